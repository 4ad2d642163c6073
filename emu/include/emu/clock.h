/* SPDX-License-Identifier: MIT */
/*
 * Virtual time and the event queue.
 *
 *     vns = icount * ns_per_insn + idle_ns
 *
 * icount is the number of guest instructions retired since power-on; it is the only clock there
 * is. idle_ns grows when the guest halts and the machine jumps to its next deadline.
 *
 * Timers are one-shot. They fire in order of (deadline, order of timer_init), never before their
 * deadline, always at an instruction boundary, from clock_run_due() and nowhere else. Arming one in
 * the past makes it fire at the next boundary.
 *
 * Invariants: 1. clock_now_ns never goes back, but by loading a state. 2. A timer's callback may
 * arm or cancel any timer, its own included. 3. Which timers exist, and in which order, depends on
 * the machine's configuration alone, so the queue can be saved as one deadline per timer.
 */
#ifndef EMU_CLOCK_H
#define EMU_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLOCK_NEVER UINT64_MAX
#define CLOCK_END   (1ULL << 63) /* 292 years: no timer fires from here on */
#define CLOCK_MAX_TIMERS 64
#define NS_PER_SEC 1000000000ULL

struct clock;

typedef void timer_fn(void *opaque);

struct timer {
    struct clock *clock;
    timer_fn *fn;
    void *opaque;
    const char *name;     /* for dumps; static storage */
    unsigned id;          /* place in clock->timers, and tie-break */
};

struct clock {
    uint64_t icount;      /* saved: exact whenever a device, timer or observer runs */
    uint64_t idle_ns;     /* saved */
    uint64_t ns_per_insn; /* saved; at least 1 */
    uint64_t deadline_ns[CLOCK_MAX_TIMERS]; /* saved; CLOCK_NEVER: not armed */
    uint64_t next_ns;     /* derived: the least of deadline_ns */
    unsigned ntimers;
    struct timer *timers[CLOCK_MAX_TIMERS]; /* wiring */
};

extern const struct state_desc clock_desc;

void clock_init(struct clock *clock, uint64_t ns_per_insn);

static inline uint64_t clock_now_ns(const struct clock *clock)
{
    return clock->icount * clock->ns_per_insn + clock->idle_ns;
}

/* Registers `t`, unarmed. The owner keeps `t` alive as long as the clock. */
void timer_init(struct timer *t, struct clock *clock, timer_fn *fn, void *opaque,
                const char *name);
void timer_set(struct timer *t, uint64_t deadline_ns); /* CLOCK_END or later: as timer_cancel() */
void timer_cancel(struct timer *t);
bool timer_pending(const struct timer *t);
uint64_t timer_deadline_ns(const struct timer *t); /* CLOCK_NEVER when not armed */

/* Fires every timer whose deadline is at or before now. */
void clock_run_due(struct clock *clock);

/* Earliest armed deadline in ns, or CLOCK_NEVER. */
uint64_t clock_next_deadline_ns(const struct clock *clock);

/* First icount at which `ns` has been reached if the guest does not halt before. */
uint64_t clock_icount_at(const struct clock *clock, uint64_t ns);

/* Moves time forward to `ns` while the guest is halted. `ns` at or before now does nothing. */
void clock_idle_until(struct clock *clock, uint64_t ns);

/* (ticks of a counter of `hz` since `ns` 0), exact and without overflow for 64-bit ns. */
static inline uint64_t ns_to_ticks(uint64_t ns, uint64_t hz)
{
    return (uint64_t)((unsigned __int128)ns * hz / NS_PER_SEC);
}
/* First ns at which ns_to_ticks(ns, hz) >= ticks. Saturates below CLOCK_NEVER. */
static inline uint64_t ticks_to_ns(uint64_t ticks, uint64_t hz)
{
    unsigned __int128 ns = ((unsigned __int128)ticks * NS_PER_SEC + hz - 1) / hz;
    return ns >= CLOCK_NEVER ? CLOCK_NEVER - 1 : (uint64_t)ns;
}

#endif
