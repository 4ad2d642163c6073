/* SPDX-License-Identifier: MIT */
/*
 * The 8254 interval timer with the PC's port 61h (gate and output of channel 2, refresh toggle).
 *
 *     struct i8254 pit;
 *     i8254_init(&pit, &(struct i8254_wiring){.clock = &m->clock, .ports = &m->ports, .irq0 =
 * line}); machine_add_part(m, &i8254_desc, &pit, i8254_reset);
 *
 * Ports 40h-43h and 61h. Channel 0's OUT drives irq0, as a level.
 */
#ifndef DEVICES_I8254_H
#define DEVICES_I8254_H

#include <stdbool.h>
#include <stdint.h>

#include <emu/bus.h>
#include <emu/clock.h>
#include <emu/irq.h>
#include <emu/state.h>

#define I8254_HZ 1193182u

struct i8254_wiring {
    struct clock *clock;
    struct bus *ports;
    struct irq_line irq0;
};

struct i8254_channel {
    /* saved */
    uint64_t start_tick; /* the CLK pulse at which CE holds `start`; it may lie one ahead */
    uint32_t start;      /* what CE counts down from */
    uint32_t reload;     /* CR: the last whole count written, 1..10000h or 1..10000 in BCD */
    uint32_t held;       /* CE while it does not count, and until start_tick; as read, 16 bits */
    uint32_t count_latch;
    uint16_t control; /* low six bits of the control word as written */
    uint16_t status_latch;
    uint8_t write_lsb;     /* the first byte of a two-byte count */
    uint8_t latched_bytes; /* of count_latch still to be read */
    bool status_latched;
    bool write_msb_next;
    bool read_msb_next;
    bool loaded;     /* CR was written since the control word */
    bool running;    /* CE counts from start_tick on */
    bool null_count; /* CR waits for a period's end or a trigger to be loaded into CE */
    bool done;       /* modes 0, 1, 4, 5: terminal count was passed */
    bool high;       /* mode 3: the half with OUT high */
    bool held_out;   /* OUT while CE does not count, and until start_tick */
    bool gate;
};

struct i8254 {
    /* saved */
    struct i8254_channel ch[3];
    uint8_t port61; /* bits 0..3 as written */
    /* wiring */
    struct clock *clock;
    struct irq_line irq0;
    struct timer timer;
    struct bus_range range[2];
};

extern const struct state_desc i8254_desc;

void i8254_init(struct i8254 *pit, const struct i8254_wiring *wiring);
void i8254_reset(void *obj);

/* OUT of channel 0 now. */
bool i8254_irq_level(const struct i8254 *pit);
/* OUT of a channel, 0..2, now. */
bool i8254_out(const struct i8254 *pit, unsigned channel);

#endif
