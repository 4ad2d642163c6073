/* SPDX-License-Identifier: MIT */
/*
 * Small ISA ports of a PC: system control port 92h, POST codes at 80h, coprocessor errors at F0h, the
 * debug consoles E9h and 402h, and isa-debug-exit at F4h. devices/isa_misc.c says what is modelled.
 */
#ifndef DEVICES_ISA_MISC_H
#define DEVICES_ISA_MISC_H

#include <stdbool.h>
#include <stdint.h>

#include <emu/bus.h>
#include <emu/state.h>

#define ISA_DEBUG_EXIT_PORT 0xf4u

/* A callback that is NULL leaves its port unclaimed. `opaque` goes to all of them. */
struct isa_misc_wiring {
    struct bus *ports;
    void (*set_a20)(void *opaque, bool open);      /* port 92h bit 1 */
    void (*fast_reset)(void *opaque);              /* port 92h bit 0 rose; with set_a20 */
    void (*post_code)(void *opaque, uint8_t byte); /* port 80h */
    void (*fpu_error)(void *opaque);               /* port F0h is written */
    void (*debug_out)(void *opaque, uint16_t port, uint8_t byte); /* ports E9h, 402h */
    void (*debug_exit)(void *opaque, uint32_t value);             /* port F4h */
    void *opaque;
};

struct isa_misc {
    /* saved */
    uint8_t port92;
    uint8_t post;

    /* wiring */
    struct isa_misc_wiring wiring;
    struct bus_range port92_range;
    struct bus_range post_range;
    struct bus_range fpu_error_range;
    struct bus_range e9_range;
    struct bus_range debugcon_range;
    struct bus_range exit_range;
};

extern const struct state_desc isa_misc_desc;

void isa_misc_init(struct isa_misc *isa, const struct isa_misc_wiring *wiring);

/* Power-on state; A20 is open, as PC firmware leaves it. */
void isa_misc_reset(void *isa);

#endif
