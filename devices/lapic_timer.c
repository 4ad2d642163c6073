/* SPDX-License-Identifier: MIT */
/*
 * Local APIC timer: one-shot, periodic and TSC-deadline (Intel SDM vol. 3, 11.5.4).
 *
 * The counter is not stepped. It is the pair (timer_from, timer_start_ns): at that virtual time it
 * held that count, and it has gone down by one every (40 ns * divisor) since. The clock's timer is
 * armed for the moment at which it reaches zero, and only while the entry is unmasked; a masked
 * periodic counter goes on without costing anything.
 *
 * Where the manual leaves room: a write of the divide configuration lets the present count go on at
 * the new rate; the count of a periodic timer never reads 0, for it reloads as it gets there; a
 * periodic timer that is late by several periods raises one interrupt and keeps its phase;
 * unmasking does not bring back an expiry that was masked.
 */
#include "lapic_internal.h"

#define TICK_NS (NS_PER_SEC / LAPIC_TIMER_HZ)
_Static_assert(NS_PER_SEC % LAPIC_TIMER_HZ == 0, "a count lasts a whole number of ns");

static bool is_deadline_mode(const struct lapic *l)
{
    return (l->lvt[LAPIC_LVT_TIMER] & LVT_TSC_DEADLINE) != 0;
}

static bool is_periodic(const struct lapic *l)
{
    return (l->lvt[LAPIC_LVT_TIMER] & LVT_PERIODIC) != 0;
}

/* Divide configuration: bits 3, 1, 0; 111b divides by 1, n by 2^(n+1). */
static unsigned divisor(const struct lapic *l)
{
    unsigned code = (l->timer_divide & 3) | (l->timer_divide >> 1 & 4);

    return code == 7 ? 1 : 2u << code;
}

static uint64_t count_ns(const struct lapic *l)
{
    return TICK_NS * divisor(l);
}

/* Counts since timer_start_ns. */
static uint64_t elapsed(const struct lapic *l)
{
    uint64_t now = clock_now_ns(l->wiring.clock);

    return now < l->timer_start_ns ? 0 : (now - l->timer_start_ns) / count_ns(l);
}

uint32_t lapic_timer_current(const struct lapic *l)
{
    uint64_t gone = elapsed(l);

    if (is_deadline_mode(l) || l->timer_from == 0)
        return 0;
    if (gone < l->timer_from)
        return (uint32_t)(l->timer_from - gone);
    if (!is_periodic(l))
        return 0;
    return (uint32_t)(l->timer_initial - (gone - l->timer_from) % l->timer_initial);
}

/* Moves (timer_from, timer_start_ns) to the last reload that has passed. */
static void catch_up(struct lapic *l)
{
    uint64_t gone = elapsed(l);

    if (l->timer_from == 0 || gone < l->timer_from)
        return;
    if (!is_periodic(l)) {
        l->timer_from = 0;
        return;
    }
    gone -= (gone - l->timer_from) % l->timer_initial;
    l->timer_start_ns += gone * count_ns(l);
    l->timer_from = l->timer_initial;
}

void lapic_timer_rearm(struct lapic *l)
{
    const struct cpu_lines *lines = &l->wiring.lines;

    if (is_deadline_mode(l) && l->tsc_deadline != 0)
        timer_set(&l->timer, lines->tsc_to_ns(lines->cpu, l->tsc_deadline));
    else if (is_deadline_mode(l) || l->timer_from == 0 || l->lvt[LAPIC_LVT_TIMER] & LVT_MASKED)
        timer_cancel(&l->timer);
    else
        timer_set(&l->timer, l->timer_start_ns + l->timer_from * count_ns(l));
}

void lapic_timer_set_initial(struct lapic *l, uint32_t count)
{
    if (is_deadline_mode(l))
        return;
    l->timer_initial = count;
    l->timer_from = count;
    l->timer_start_ns = clock_now_ns(l->wiring.clock);
    lapic_timer_rearm(l);
}

void lapic_timer_set_divide(struct lapic *l, uint32_t value)
{
    catch_up(l);
    l->timer_from = lapic_timer_current(l);
    l->timer_start_ns = clock_now_ns(l->wiring.clock);
    l->timer_divide = value & 0xb;
    lapic_timer_rearm(l);
}

/* Going to or from TSC-deadline mode disarms the timer. */
void lapic_timer_set_lvt(struct lapic *l, uint32_t value)
{
    catch_up(l);
    if ((value ^ l->lvt[LAPIC_LVT_TIMER]) & LVT_TSC_DEADLINE) {
        l->timer_from = 0;
        l->tsc_deadline = 0;
    }
    l->lvt[LAPIC_LVT_TIMER] = value;
    lapic_timer_rearm(l);
}

uint64_t lapic_timer_get_deadline(const struct lapic *l)
{
    return l->tsc_deadline;
}

void lapic_timer_set_deadline(struct lapic *l, uint64_t tsc)
{
    if (!is_deadline_mode(l))
        return;
    l->tsc_deadline = tsc;
    lapic_timer_rearm(l);
}

static void deadline_reached(struct lapic *l)
{
    const struct cpu_lines *lines = &l->wiring.lines;

    if (lines->tsc(lines->cpu) < l->tsc_deadline) {
        lapic_timer_rearm(l);
        return;
    }
    l->tsc_deadline = 0;
    lapic_raise_lvt(l, LAPIC_LVT_TIMER);
}

static void timer_fired(void *opaque)
{
    struct lapic *l = opaque;

    if (is_deadline_mode(l)) {
        if (l->tsc_deadline != 0)
            deadline_reached(l);
        return;
    }
    catch_up(l);
    lapic_timer_rearm(l);
    lapic_raise_lvt(l, LAPIC_LVT_TIMER);
}

void lapic_timer_reset(struct lapic *l)
{
    l->timer_initial = 0;
    l->timer_from = 0;
    l->timer_start_ns = 0;
    l->timer_divide = 0;
    l->tsc_deadline = 0;
    timer_cancel(&l->timer);
}

void lapic_timer_init(struct lapic *l)
{
    timer_init(&l->timer, l->wiring.clock, timer_fired, l, "lapic");
}
