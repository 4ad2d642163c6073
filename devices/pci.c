/* SPDX-License-Identifier: MIT */
/*
 * PCI bus 0: configuration mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2), type 0 headers (6.1), base
 * addresses (6.2.5), interrupt pins (2.2.6).
 *
 * Not modelled: other buses and bridges to them (type 1 cycles read all ones, as a master abort
 * does), parity and bus errors, expansion ROMs, 64-bit BARs, capability structures (a device lays
 * them out in its own config bytes).
 *
 * Which range answers where two overlap must follow from the state, or a machine loaded from a
 * checkpoint could differ from the one that ran there. So no range is ever moved alone: pci_remap
 * claims all of them, device by device, BAR by BAR, at every change of one, at reset and after
 * load.
 *
 * The pins: slot s, pin p (INTA = 0) drives PIRQ (s - 1 + p) mod 4, as on PIIX boards. A PIRQ is
 * high while any device drives it.
 */
#include <devices/pci.h>

#include <assert.h>
#include <string.h>

#define PORT_ADDRESS 0xcf8u
#define PORT_DATA    0xcfcu
#define CF9_OFFSET   1u

#define ADDRESS_ENABLE   0x80000000u
#define ADDRESS_WRITABLE 0x80fffffcu

#define BAR_IO_SPACE 1u

static int pci_device_post_load(void *obj);

static const struct field pci_bus_fields[] = {
    FIELD(struct pci_bus, address, FIELD_U32),
};
const struct state_desc pci_bus_desc = STATE_DESC("pci_bus", 1, struct pci_bus, pci_bus_fields,
                                                  NULL);

static const struct field pci_device_fields[] = {
    FIELD_ARRAY(struct pci_device, config, FIELD_U8),
    FIELD(struct pci_device, intx, FIELD_BOOL),
};
const struct state_desc pci_device_desc = STATE_DESC("pci_device", 1, struct pci_device,
                                                     pci_device_fields, pci_device_post_load);

/* --- helpers --- */

static uint32_t get_le(const uint8_t *bytes, unsigned size)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint32_t)bytes[i] << (8 * i);
    return value;
}

static void put_le(uint8_t *bytes, unsigned size, uint32_t value)
{
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static unsigned command(const struct pci_device *dev)
{
    return get_le(&dev->config[PCI_COMMAND], 2);
}

bool pci_is_master(const struct pci_device *dev)
{
    return command(dev) & PCI_COMMAND_MASTER;
}

uint32_t pci_config_peek(const struct pci_device *dev, unsigned offset, unsigned size)
{
    return get_le(&dev->config[offset], size);
}

/* --- ranges --- */

static void map_bar(struct pci_device *dev, unsigned n)
{
    struct pci_bar *bar = &dev->bars[n];
    bool io = bar->kind == PCI_BAR_IO;
    bool enabled = command(dev) & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);
    uint32_t base = get_le(&dev->config[PCI_BAR0 + 4 * n], 4) & ~(bar->size - 1);

    bus_move(io ? dev->bus->wiring.ports : dev->bus->wiring.memory, &bar->range, base,
             enabled ? bar->size : 0);
}

static void map_device(struct pci_device *dev)
{
    for (unsigned n = 0; n < PCI_BARS; n++) {
        if (dev->bars[n].kind != PCI_BAR_NONE)
            map_bar(dev, n);
    }
    if (dev->hooks.remap != NULL)
        dev->hooks.remap(dev->hooks.opaque);
}

void pci_remap(struct pci_bus *bus)
{
    for (unsigned i = 0; i < bus->ndevices; i++)
        map_device(bus->devices[i]);
    if (bus->wiring.after_remap != NULL)
        bus->wiring.after_remap(bus->wiring.remap_opaque);
}

/* --- interrupt pins --- */

static bool intx_level(const struct pci_device *dev)
{
    return dev->intx && dev->config[PCI_INTERRUPT_PIN] != 0 &&
           !(command(dev) & PCI_COMMAND_NO_INTX);
}

static unsigned pirq_of(const struct pci_device *dev)
{
    unsigned slot = dev->devfn >> 3;

    return (slot + dev->config[PCI_INTERRUPT_PIN] + 2u) % PCI_PIRQS; /* slot - 1 + (pin - 1) */
}

static void drive_pirq(struct pci_bus *bus, unsigned pirq)
{
    bool level = false;

    for (unsigned i = 0; i < bus->ndevices; i++)
        level |= pirq_of(bus->devices[i]) == pirq && intx_level(bus->devices[i]);
    bus->wiring.set_pirq(bus->wiring.pirq_opaque, pirq, level);
}

static void update_intx(struct pci_device *dev)
{
    uint8_t *status = &dev->config[PCI_STATUS];

    *status = (uint8_t)((*status & ~PCI_STATUS_INTX) | (dev->intx ? PCI_STATUS_INTX : 0));
    if (dev->config[PCI_INTERRUPT_PIN] != 0)
        drive_pirq(dev->bus, pirq_of(dev));
}

void pci_set_intx(struct pci_device *dev, bool level)
{
    if (dev->intx == level)
        return;
    dev->intx = level;
    update_intx(dev);
}

/* --- configuration space --- */

static bool touches(unsigned offset, unsigned size, unsigned begin, unsigned end)
{
    return offset < end && offset + size > begin;
}

void pci_config_write(struct pci_device *dev, unsigned offset, uint32_t value, unsigned size)
{
    for (unsigned i = offset; i < offset + size; i++, value >>= 8) {
        uint8_t byte = (uint8_t)value;
        uint8_t kept = dev->config[i] & (uint8_t)~dev->writable[i];

        dev->config[i] = (kept & (uint8_t) ~(byte & dev->clearable[i])) | (byte & dev->writable[i]);
    }
    if (touches(offset, size, PCI_COMMAND, PCI_COMMAND + 2))
        update_intx(dev);
    if (touches(offset, size, PCI_COMMAND, PCI_COMMAND + 2) ||
        touches(offset, size, PCI_BAR0, PCI_BAR0 + 4 * PCI_BARS))
        pci_remap(dev->bus);
    if (dev->hooks.written != NULL)
        dev->hooks.written(dev->hooks.opaque, offset, size);
}

static struct pci_device *addressed(const struct pci_bus *bus)
{
    if (!(bus->address & ADDRESS_ENABLE) || (bus->address >> 16 & 0xff) != 0)
        return NULL;
    return bus->by_devfn[bus->address >> 8 & 0xff];
}

static uint64_t data_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct pci_bus *bus = opaque;
    const struct pci_device *dev = addressed(bus);

    if (dev == NULL || offset + size > 4)
        return UINT64_MAX;
    return pci_config_peek(dev, (bus->address & 0xfc) + (unsigned)offset, size);
}

static void data_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct pci_bus *bus = opaque;
    struct pci_device *dev = addressed(bus);

    if (dev != NULL && offset + size <= 4)
        pci_config_write(dev, (bus->address & 0xfc) + (unsigned)offset, (uint32_t)value, size);
}

static const struct bus_ops data_ops = {
    .read = data_peek,
    .write = data_write,
    .peek = data_peek,
    .max_size = 4,
};

/* The address register is reached by dwords alone; a byte at CF9h is the reset control register. */
static uint64_t address_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct pci_bus *bus = opaque;

    if (size == 4 && offset == 0)
        return bus->address;
    if (size == 1 && offset == CF9_OFFSET && bus->wiring.cf9_peek != NULL)
        return bus->wiring.cf9_peek(bus->wiring.cf9_opaque);
    return UINT64_MAX;
}

static void address_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct pci_bus *bus = opaque;

    if (size == 4 && offset == 0)
        bus->address = (uint32_t)value & ADDRESS_WRITABLE;
    else if (size == 1 && offset == CF9_OFFSET && bus->wiring.cf9_write != NULL)
        bus->wiring.cf9_write(bus->wiring.cf9_opaque, (uint8_t)value);
}

static const struct bus_ops address_ops = {
    .read = address_peek,
    .write = address_write,
    .peek = address_peek,
    .max_size = 4,
};

/* --- life cycle --- */

/* A loaded config space holds what this device can: nothing else in its read-only bits. */
static int pci_device_post_load(void *obj)
{
    struct pci_device *dev = obj;

    for (unsigned i = 0; i < sizeof(dev->config); i++) {
        uint8_t fixed = (uint8_t) ~(dev->writable[i] | dev->clearable[i]);

        if (i == PCI_STATUS)
            fixed &= (uint8_t)~PCI_STATUS_INTX;
        if ((dev->config[i] ^ dev->initial[i]) & fixed)
            return -1;
    }
    if (dev->hooks.check != NULL && dev->hooks.check(dev->hooks.opaque) != 0)
        return -1;
    pci_remap(dev->bus);
    return 0;
}

void pci_set_register(struct pci_device *dev, unsigned offset, unsigned size, uint32_t initial,
                      uint32_t writable, uint32_t clearable)
{
    put_le(&dev->initial[offset], size, initial);
    put_le(&dev->writable[offset], size, writable);
    put_le(&dev->clearable[offset], size, clearable);
}

void pci_add_bar(struct pci_device *dev, unsigned bar, enum pci_bar_kind kind, uint32_t size,
                 const char *name, const struct bus_ops *ops, void *opaque)
{
    bool io = kind == PCI_BAR_IO;
    struct bus *space = io ? dev->bus->wiring.ports : dev->bus->wiring.memory;

    assert(bar < PCI_BARS && kind != PCI_BAR_NONE && dev->bars[bar].kind == PCI_BAR_NONE);
    assert((size & (size - 1)) == 0 && size >= (io ? 4u : 16u));
    dev->bars[bar].kind = kind;
    dev->bars[bar].size = size;
    pci_set_register(dev, PCI_BAR0 + 4 * bar, 4, io ? BAR_IO_SPACE : 0, ~(size - 1), 0);
    dev->writable[PCI_COMMAND] |= io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    bus_add(space, &dev->bars[bar].range, name, 0, 0, ops, opaque);
}

void pci_device_init(struct pci_device *dev, struct pci_bus *bus, uint8_t devfn,
                     const struct pci_ident *ident, const struct pci_hooks *hooks)
{
    assert(bus->ndevices < PCI_MAX_DEVICES && bus->by_devfn[devfn] == NULL);
    *dev = (struct pci_device){.bus = bus, .devfn = devfn};
    if (hooks != NULL)
        dev->hooks = *hooks;
    pci_set_register(dev, PCI_VENDOR, 2, ident->vendor, 0, 0);
    pci_set_register(dev, PCI_DEVICE, 2, ident->device, 0, 0);
    pci_set_register(
        dev, PCI_COMMAND, 2, 0,
        PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_NO_INTX, 0);
    pci_set_register(dev, PCI_STATUS, 2, 0, 0, 0xf900); /* errors, which never happen */
    pci_set_register(dev, PCI_REVISION, 4, ident->class_code << 8 | ident->revision, 0, 0);
    pci_set_register(dev, PCI_HEADER_TYPE, 1, ident->header_type, 0, 0);
    pci_set_register(dev, PCI_SUBSYSTEM_VENDOR, 2, ident->subsystem_vendor, 0, 0);
    pci_set_register(dev, PCI_SUBSYSTEM, 2, ident->subsystem, 0, 0);
    pci_set_register(dev, PCI_INTERRUPT_LINE, 1, 0, ident->interrupt_pin != 0 ? 0xff : 0, 0);
    pci_set_register(dev, PCI_INTERRUPT_PIN, 1, ident->interrupt_pin, 0, 0);
    bus->devices[bus->ndevices++] = dev;
    bus->by_devfn[devfn] = dev;
}

void pci_device_reset(void *obj)
{
    struct pci_device *dev = obj;

    memcpy(dev->config, dev->initial, sizeof(dev->config));
    dev->intx = false;
    update_intx(dev);
    pci_remap(dev->bus);
}

void pci_bus_reset(void *bus)
{
    ((struct pci_bus *)bus)->address = 0;
}

void pci_bus_init(struct pci_bus *bus, const struct pci_bus_wiring *wiring)
{
    *bus = (struct pci_bus){.wiring = *wiring};
    bus_add(wiring->ports, &bus->address_range, "pci address", PORT_ADDRESS, 4, &address_ops, bus);
    bus_add(wiring->ports, &bus->data_range, "pci data", PORT_DATA, 4, &data_ops, bus);
}
