/* SPDX-License-Identifier: MIT */
/*
 * PCI: configuration mechanism 1, one bus, and what every PCI device shares: the type 0 header,
 * base address registers, the INTx pins. devices/pci.c says what is modelled.
 *
 *     struct nic { struct pci_device pci; ... };
 *     pci_device_init(&nic->pci, bus, PCI_DEVFN(3, 0), &(struct pci_ident){...}, NULL, NULL);
 *     pci_add_bar(&nic->pci, 0, PCI_BAR_IO, 32, "nic", &nic_ops, nic);
 *     ... machine_add_part(m, &pci_device_desc, &nic->pci, pci_device_reset) ...
 */
#ifndef DEVICES_PCI_H
#define DEVICES_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include <emu/bus.h>
#include <emu/state.h>

#define PCI_DEVFN(slot, function) ((uint8_t)((slot) << 3 | (function)))
#define PCI_MAX_DEVICES           32
#define PCI_BARS                  6
#define PCI_PIRQS                 4

/* Type 0 header (PCI Local Bus 3.0, 6.1). */
enum pci_reg {
    PCI_VENDOR = 0x00,
    PCI_DEVICE = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_CLASS = 0x09,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR = 0x2c,
    PCI_SUBSYSTEM = 0x2e,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
};

#define PCI_COMMAND_IO      0x0001u
#define PCI_COMMAND_MEMORY  0x0002u
#define PCI_COMMAND_MASTER  0x0004u
#define PCI_COMMAND_PARITY  0x0040u
#define PCI_COMMAND_SERR    0x0100u
#define PCI_COMMAND_NO_INTX 0x0400u
#define PCI_STATUS_INTX     0x0008u
#define PCI_HEADER_MULTI    0x80u

enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM32 };

struct pci_device;

struct pci_ident {
    uint16_t vendor;
    uint16_t device;
    uint32_t class_code; /* 24 bits: class, subclass, interface */
    uint8_t revision;
    uint8_t header_type;   /* PCI_HEADER_MULTI on function 0 of several */
    uint8_t interrupt_pin; /* 0 none, 1..4 INTA..INTD */
    uint16_t subsystem_vendor;
    uint16_t subsystem;
};

struct pci_hooks {
    /* After the guest wrote config bytes [offset, offset + size); may be NULL. */
    void (*written)(void *opaque, unsigned offset, unsigned size);
    /* Claims anew the ranges other than BARs that config registers place; may be NULL. */
    void (*remap)(void *opaque);
    /* Rejects a loaded config space with -1; may be NULL. */
    int (*check)(void *opaque);
    void *opaque;
};

struct pci_bar {
    enum pci_bar_kind kind;
    uint32_t size; /* a power of two: 4 or more (I/O), 16 or more (memory) */
    struct bus_range range;
};

struct pci_device {
    /* saved */
    uint8_t config[256];
    bool intx; /* what the device asserts; the pin is high unless disabled */

    /* wiring */
    uint8_t initial[256];   /* config space after reset */
    uint8_t writable[256];  /* bits that a write changes */
    uint8_t clearable[256]; /* bits that writing 1 clears */
    struct pci_bar bars[PCI_BARS];
    struct pci_bus *bus;
    uint8_t devfn;
    struct pci_hooks hooks;
};

struct pci_bus_wiring {
    struct bus *ports;
    struct bus *memory;
    /* Level of PIRQA..PIRQD (0..3), called on changes only. */
    void (*set_pirq)(void *opaque, unsigned pirq, bool level);
    void *pirq_opaque;
    /* Byte access to the port CF9h, which lies inside the address register's; may be NULL. */
    uint8_t (*cf9_peek)(void *opaque);
    void (*cf9_write)(void *opaque, uint8_t value);
    void *cf9_opaque;
    /* Called after ranges were claimed anew: what must answer before any BAR. May be NULL. */
    void (*after_remap)(void *opaque);
    void *remap_opaque;
};

/* The host's side: bus 0 and its configuration mechanism. */
struct pci_bus {
    /* saved */
    uint32_t address; /* CF8h */

    /* wiring */
    struct pci_bus_wiring wiring;
    struct pci_device *devices[PCI_MAX_DEVICES]; /* in order of pci_device_init */
    unsigned ndevices;
    struct pci_device *by_devfn[256];
    struct bus_range address_range;
    struct bus_range data_range;
};

extern const struct state_desc pci_bus_desc;
extern const struct state_desc pci_device_desc;

void pci_bus_init(struct pci_bus *bus, const struct pci_bus_wiring *wiring);
void pci_bus_reset(void *bus);

/* Puts a device on the bus at a free devfn. `hooks` may be NULL. */
void pci_device_init(struct pci_device *dev, struct pci_bus *bus, uint8_t devfn,
                     const struct pci_ident *ident, const struct pci_hooks *hooks);
void pci_device_reset(void *dev);

/* Gives the device a base address register; before the first reset. */
void pci_add_bar(struct pci_device *dev, unsigned bar, enum pci_bar_kind kind, uint32_t size,
                 const char *name, const struct bus_ops *ops, void *opaque);

/* Sets reset value, writable and write-1-to-clear bits of `size` bytes of config space. */
void pci_set_register(struct pci_device *dev, unsigned offset, unsigned size, uint32_t initial,
                      uint32_t writable, uint32_t clearable);

/* Drives the device's INTx pin. */
void pci_set_intx(struct pci_device *dev, bool level);

/* What the device may do, from its command register. */
bool pci_is_master(const struct pci_device *dev);

/* Little-endian, `size` 1, 2 or 4, inside the 256 bytes. No side effects. */
uint32_t pci_config_peek(const struct pci_device *dev, unsigned offset, unsigned size);
/* As the guest's write, with its side effects. */
void pci_config_write(struct pci_device *dev, unsigned offset, uint32_t value, unsigned size);

/* Claims every range of every device anew; see pci.c. */
void pci_remap(struct pci_bus *bus);

#endif
