/* SPDX-License-Identifier: MIT */
/* The pvpanic ISA device: a guest says that it panicked. devices/pvpanic.c says how. */
#ifndef DEVICES_PVPANIC_H
#define DEVICES_PVPANIC_H

#include <stdbool.h>
#include <stdint.h>

#include <emu/bus.h>
#include <emu/state.h>

#define PVPANIC_PORT 0x505u

#define PVPANIC_PANICKED     0x01u /* the guest panicked and is lost */
#define PVPANIC_CRASH_LOADED 0x02u /* it panicked and goes on in a crash kernel */

struct pvpanic_wiring {
    struct bus *ports;
    /* Called at each write with the events that it named (PVPANIC_*, not 0); may be NULL. */
    void (*event)(void *opaque, uint8_t events);
    void *opaque;
};

struct pvpanic {
    /* saved */
    bool panicked;
    bool crash_loaded;

    /* wiring */
    struct pvpanic_wiring wiring;
    struct bus_range range;
    uint64_t oddities; /* writes that name no known event */
};

extern const struct state_desc pvpanic_desc;

void pvpanic_init(struct pvpanic *p, const struct pvpanic_wiring *wiring);
void pvpanic_reset(void *pvpanic);

#endif
