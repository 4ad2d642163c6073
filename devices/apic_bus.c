/* SPDX-License-Identifier: MIT */
/*
 * The APIC bus: resolves destinations (Intel SDM vol. 3, 11.6.2 and 11.11) among the local APICs.
 *
 * Modelled: physical and logical destinations, broadcast, lowest-priority arbitration by PPR with
 * ties going to the lowest CPU number. Not modelled: focus processors, bus errors, interrupt
 * remapping; a message that names nobody is lost, as on a system bus.
 */
#include <devices/apic_bus.h>

#include <assert.h>
#include <stddef.h>

#include <devices/lapic.h>

#define MSI_ADDR_BASE       0xfee00000u
#define MSI_ADDR_LOGICAL    (1u << 2)
#define MSI_ADDR_DEST_SHIFT 12
#define MSI_DATA_MODE_SHIFT 8
#define MSI_DATA_ASSERT     (1u << 14)
#define MSI_DATA_LEVEL      (1u << 15)

void apic_bus_init(struct apic_bus *bus, void (*eoi)(void *opaque, uint8_t vector),
                   void *eoi_opaque)
{
    *bus = (struct apic_bus){.eoi = eoi, .eoi_opaque = eoi_opaque};
}

/* Sends to the APIC with the lowest processor priority among those that match. */
static bool send_lowest(struct apic_bus *bus, const struct apic_message *msg)
{
    struct lapic *best = NULL;

    for (unsigned i = 0; i < bus->nlapics; i++) {
        struct lapic *l = bus->lapics[i];

        if (lapic_matches(l, msg) && lapic_takes_vectors(l) &&
            (best == NULL || lapic_ppr(l) < lapic_ppr(best)))
            best = l;
    }
    return best != NULL && lapic_deliver(best, APIC_MODE_FIXED, msg->vector, msg->level);
}

bool apic_bus_send(struct apic_bus *bus, const struct apic_message *msg)
{
    bool accepted = false;

    if (msg->mode == APIC_MODE_LOWEST)
        return send_lowest(bus, msg);
    for (unsigned i = 0; i < bus->nlapics; i++) {
        if (lapic_matches(bus->lapics[i], msg))
            accepted |= lapic_deliver(bus->lapics[i], msg->mode, msg->vector, msg->level);
    }
    return accepted;
}

bool apic_bus_msi(struct apic_bus *bus, uint64_t addr, uint32_t data)
{
    struct apic_message msg = {
        .dest = (addr >> MSI_ADDR_DEST_SHIFT) & 0xff,
        .logical = (addr & MSI_ADDR_LOGICAL) != 0,
        .level = (data & MSI_DATA_LEVEL) != 0,
        .mode = (enum apic_mode)((data >> MSI_DATA_MODE_SHIFT) & 7),
        .vector = (uint8_t)data,
    };

    if ((addr & ~0xfffffULL) != MSI_ADDR_BASE || msg.mode == APIC_MODE_SIPI) /* reserved (SDM vol. 3, 11.11.2) */
        return false;
    /* A level message's de-assertion is for a device's own bookkeeping: nothing happens. */
    if (msg.level && !(data & MSI_DATA_ASSERT))
        return false;
    return apic_bus_send(bus, &msg);
}

void apic_bus_remap(struct apic_bus *bus)
{
    for (unsigned i = 0; i < bus->nlapics; i++)
        lapic_remap(bus->lapics[i]);
}
