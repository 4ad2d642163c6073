/* SPDX-License-Identifier: MIT */
/*
 * What a guest gets to print its report before its run is ended, when it has said that it panicked: so many
 * instructions, or so much of its time, whichever comes first.
 *
 *     struct grace grace = {0};
 *     ... now and then ...
 *     if (grace_over(&grace, clock, pc_has_panicked(pc_of(m)))) ... the run is to end ...
 */
#ifndef CLI_GRACE_H
#define CLI_GRACE_H

#include <stdbool.h>
#include <stdint.h>

#include <emu/clock.h>

#define GRACE_INSNS 20000000u
#define GRACE_NS    NS_PER_SEC

struct grace {
    bool running;
    uint64_t icount, ns; /* since when */
};

/* `due`: there is reason for it. It ends when that goes, as by a reset. True: the time is over. */
static inline bool grace_over(struct grace *g, const struct clock *clock, bool due)
{
    uint64_t now = clock_now_ns(clock);

    if (due && !g->running) {
        g->icount = clock->icount;
        g->ns = now;
    }
    g->running = due;
    return due && (clock->icount - g->icount >= GRACE_INSNS || now - g->ns >= GRACE_NS);
}

#endif
