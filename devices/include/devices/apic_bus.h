/* SPDX-License-Identifier: MIT */
/*
 * The APIC bus: carries interrupt messages from I/O APICs, MSIs and local APICs to the local APICs
 * that the message's destination names, and end-of-interrupt messages back.
 *
 * Messages arrive at once, in the order they were sent; nothing is queued here, and the bus has no
 * state of its own.
 */
#ifndef DEVICES_APIC_BUS_H
#define DEVICES_APIC_BUS_H

#include <stdbool.h>
#include <stdint.h>

#define APIC_BUS_MAX_CPUS 64

/* Delivery modes, as in an I/O APIC's redirection entry and in the ICR (bits 10:8). */
enum apic_mode {
    APIC_MODE_FIXED = 0,
    APIC_MODE_LOWEST = 1,
    APIC_MODE_SMI = 2,
    APIC_MODE_NMI = 4,
    APIC_MODE_INIT = 5,
    APIC_MODE_SIPI = 6,
    APIC_MODE_EXTINT = 7,
};

struct apic_message {
    uint32_t dest;
    bool logical; /* destination mode: false is physical */
    bool wide;    /* dest has 32 bits (sent by an x2APIC), not 8 */
    bool level;   /* trigger mode: level */
    enum apic_mode mode;
    uint8_t vector;
};

struct lapic;

struct apic_bus {
    struct lapic *lapics[APIC_BUS_MAX_CPUS]; /* in order of CPU number */
    unsigned nlapics;
    unsigned accessing; /* the CPU whose turn it is: its local APIC answers at the APIC page */
    void (*eoi)(void *opaque, uint8_t vector); /* EOI broadcast, to every I/O APIC; may be NULL */
    void *eoi_opaque;
    bool (*sends_nmi)(const void *opaque); /* whether an I/O APIC may send NMI or INIT; of eoi_opaque; may be NULL */
};

void apic_bus_init(struct apic_bus *bus, void (*eoi)(void *opaque, uint8_t vector),
                   void *eoi_opaque);

/* Delivers `msg` to whom it names. True when at least one local APIC accepted it. */
bool apic_bus_send(struct apic_bus *bus, const struct apic_message *msg);

/* A message-signalled interrupt: a device's store of `data` to FEExxxxxh (SDM vol. 3, 11.11). */
bool apic_bus_msi(struct apic_bus *bus, uint64_t addr, uint32_t data);

/*
 * Claims the APIC pages anew, in order of CPU number, so that which range answers where two overlap
 * depends on the state alone and not on how it came about.
 */
void apic_bus_remap(struct apic_bus *bus);

#endif
