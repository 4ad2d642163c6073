/* SPDX-License-Identifier: MIT */
/* The high precision event timer. devices/hpet.c says what is modelled. */
#ifndef DEVICES_HPET_H
#define DEVICES_HPET_H

#include <stdbool.h>
#include <stdint.h>

#include <emu/bus.h>
#include <emu/clock.h>
#include <emu/state.h>

#define HPET_BASE      0xfed00000u
#define HPET_BYTES     0x400u
#define HPET_TIMERS    3u
#define HPET_PERIOD_FS 10000000u   /* of the main counter: 10 ns */
#define HPET_ID        0x8086a201u /* low half of the capabilities: three 64-bit timers, legacy routing */
#define HPET_ROUTES    0x00f00000u /* I/O APIC inputs that a timer can be routed to */

struct hpet_wiring {
    struct clock *clock;
    struct bus *memory;
    /* Input `pin` of the I/O APIC, one of HPET_ROUTES. */
    void (*set_gsi)(void *opaque, unsigned pin, bool level);
    /*
     * `lines` and `legacy` are to be what hpet_isa_* say from now on: the board stores them there and drives
     * what changes by it.
     */
    void (*set_isa)(void *opaque, uint16_t lines, bool legacy);
    void *opaque;
};

struct hpet;

struct hpet_timer {
    /* saved */
    uint64_t config;
    uint64_t comparator;
    uint64_t period; /* of a periodic timer: what was written to the comparator last */
    bool high;       /* the line, as the timer drives it */

    /* wiring */
    struct hpet *hpet;
    struct timer clock_timer;
};

struct hpet {
    /* saved */
    struct hpet_timer timers[HPET_TIMERS];
    uint64_t config;
    uint64_t status;
    uint64_t base_count; /* the main counter at base_ns; while it is halted, ever since */
    uint64_t base_ns;
    uint32_t gsis;      /* inputs of the I/O APIC that are held high */
    uint16_t isa_lines; /* legacy interrupts that are held high: 0 and 8 */
    bool isa_legacy;    /* and belong to the HPET alone */

    /* wiring */
    struct hpet_wiring wiring;
    struct bus_range range;
};

extern const struct state_desc hpet_desc;

void hpet_init(struct hpet *hpet, const struct hpet_wiring *wiring);
void hpet_reset(void *hpet);

#endif
