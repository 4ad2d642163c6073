/* SPDX-License-Identifier: MIT */
/*
 * Virtual time and the event queue: emu/clock.h says what they promise.
 *
 * The queue is an array of deadlines, one a timer, with the least of them kept in next_ns. A
 * machine has a dozen timers or two and looks at next_ns far more often than it arms one, so a scan
 * of the array when the least one goes away is cheaper than any ordered structure, and saved state
 * is the array itself.
 *
 * Invariants: 1. next_ns is the least of deadline_ns[0..ntimers). 2. A deadline of a timer that
 * does not exist is CLOCK_NEVER. 3. clock_run_due leaves nothing due, so calling it twice at one
 * boundary is the same as calling it once, and a run may be cut in two anywhere. A callback must
 * therefore arm its own timer for a moment after now, as every device here does by computing from
 * now on.
 */
#include <emu/clock.h>

#include <assert.h>

#include <emu/state.h>

static void derive_next(struct clock *clock)
{
    uint64_t next = CLOCK_NEVER;

    for (unsigned i = 0; i < clock->ntimers; i++) {
        if (clock->deadline_ns[i] < next)
            next = clock->deadline_ns[i];
    }
    clock->next_ns = next;
}

static int clock_post_load(void *obj)
{
    struct clock *clock = obj;

    if (clock->ns_per_insn == 0)
        return -1;
    for (unsigned i = clock->ntimers; i < CLOCK_MAX_TIMERS; i++) {
        if (clock->deadline_ns[i] != CLOCK_NEVER)
            return -1;
    }
    derive_next(clock);
    return 0;
}

static const struct field clock_fields[] = {
    FIELD(struct clock, icount, FIELD_U64),
    FIELD(struct clock, idle_ns, FIELD_U64),
    FIELD(struct clock, ns_per_insn, FIELD_U64),
    FIELD_ARRAY(struct clock, deadline_ns, FIELD_U64),
};
const struct state_desc clock_desc = STATE_DESC("clock", 1, struct clock, clock_fields,
                                                clock_post_load);

void clock_init(struct clock *clock, uint64_t ns_per_insn)
{
    assert(ns_per_insn > 0);
    *clock = (struct clock){.ns_per_insn = ns_per_insn, .next_ns = CLOCK_NEVER};
    for (unsigned i = 0; i < CLOCK_MAX_TIMERS; i++)
        clock->deadline_ns[i] = CLOCK_NEVER;
}

/* --- timers --- */

void timer_init(struct timer *t, struct clock *clock, timer_fn *fn, void *opaque, const char *name)
{
    assert(clock->ntimers < CLOCK_MAX_TIMERS);
    *t = (struct timer){
        .clock = clock, .fn = fn, .opaque = opaque, .name = name, .id = clock->ntimers};
    clock->timers[clock->ntimers++] = t;
}

void timer_set(struct timer *t, uint64_t deadline_ns)
{
    struct clock *clock = t->clock;
    uint64_t before = clock->deadline_ns[t->id];

    if (deadline_ns >= CLOCK_END)
        deadline_ns = CLOCK_NEVER;
    clock->deadline_ns[t->id] = deadline_ns;
    if (deadline_ns <= clock->next_ns)
        clock->next_ns = deadline_ns;
    else if (before == clock->next_ns)
        derive_next(clock);
}

void timer_cancel(struct timer *t)
{
    timer_set(t, CLOCK_NEVER);
}

bool timer_pending(const struct timer *t)
{
    return timer_deadline_ns(t) != CLOCK_NEVER;
}

uint64_t timer_deadline_ns(const struct timer *t)
{
    return t->clock->deadline_ns[t->id];
}

/* --- the queue --- */

/* The timer that fires first; only called when one is armed. */
static struct timer *first_timer(const struct clock *clock)
{
    unsigned id = 0;

    while (clock->deadline_ns[id] != clock->next_ns)
        id++;
    return clock->timers[id];
}

void clock_run_due(struct clock *clock)
{
    while (clock->next_ns != CLOCK_NEVER && clock->next_ns <= clock_now_ns(clock)) {
        struct timer *t = first_timer(clock);

        timer_cancel(t);
        t->fn(t->opaque);
    }
}

uint64_t clock_next_deadline_ns(const struct clock *clock)
{
    return clock->next_ns;
}

uint64_t clock_icount_at(const struct clock *clock, uint64_t ns)
{
    uint64_t wait;

    if (ns == CLOCK_NEVER)
        return UINT64_MAX;
    if (ns <= clock_now_ns(clock))
        return clock->icount;
    wait = ns - clock_now_ns(clock);
    return clock->icount + wait / clock->ns_per_insn + (wait % clock->ns_per_insn != 0);
}

void clock_idle_until(struct clock *clock, uint64_t ns)
{
    uint64_t now = clock_now_ns(clock);

    if (ns != CLOCK_NEVER && ns > now)
        clock->idle_ns += ns - now;
}
