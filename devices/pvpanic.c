/* SPDX-License-Identifier: MIT */
/*
 * pvpanic, as in QEMU's docs/specs/pvpanic: one port, ACPI name QEMU0001. Reading gives the events
 * that are understood; writing reports those that happened. They are remembered until reset, for
 * tools that ask whether this guest has panicked.
 */
#include <devices/pvpanic.h>

#define KNOWN_EVENTS (PVPANIC_PANICKED | PVPANIC_CRASH_LOADED)

static const struct field pvpanic_fields[] = {
    FIELD(struct pvpanic, panicked, FIELD_BOOL),
    FIELD(struct pvpanic, crash_loaded, FIELD_BOOL),
};
const struct state_desc pvpanic_desc = STATE_DESC("pvpanic", 1, struct pvpanic, pvpanic_fields,
                                                  NULL);

static uint64_t pvpanic_peek(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque, (void)offset, (void)size;
    return KNOWN_EVENTS;
}

static void pvpanic_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct pvpanic *p = opaque;
    uint8_t events = value & KNOWN_EVENTS;

    (void)offset, (void)size;
    if (events == 0) {
        p->oddities++;
        return;
    }
    p->panicked |= (events & PVPANIC_PANICKED) != 0;
    p->crash_loaded |= (events & PVPANIC_CRASH_LOADED) != 0;
    if (p->wiring.event != NULL)
        p->wiring.event(p->wiring.opaque, events);
}

static const struct bus_ops pvpanic_ops = {
    .read = pvpanic_peek,
    .write = pvpanic_write,
    .peek = pvpanic_peek,
    .max_size = 1,
};

void pvpanic_reset(void *pvpanic)
{
    struct pvpanic *p = pvpanic;

    p->panicked = false;
    p->crash_loaded = false;
}

void pvpanic_init(struct pvpanic *p, const struct pvpanic_wiring *wiring)
{
    *p = (struct pvpanic){.wiring = *wiring};
    bus_add(wiring->ports, &p->range, "pvpanic", PVPANIC_PORT, 1, &pvpanic_ops, p);
}
