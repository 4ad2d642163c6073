/* SPDX-License-Identifier: MIT */
/*
 * Perturbed timing: emu/perturb.h says what is done and why.
 *
 * Acts happen at instruction boundaries, where inputs are taken, and through the same sinks by which a trace
 * can ask for them. Where, which and how much comes from a generator in the machine's state: it is drawn from
 * when an act is done and never otherwise, so it does not matter into which slices a run is cut.
 *
 * Amounts are spread over powers of two: a race may be open for three instructions or for a millisecond.
 *
 * Invariants: 1. After each boundary next_icount is above the icount. 2. Virtual time only moves ahead, and
 * timers that this makes due have run before anything else happens. 3. An interrupt is held at most once, a
 * deadline put off at most once: nothing waits for ever.
 */
#include "perturb.h"

#include <stddef.h>
#include <string.h>

#include <emu/cpu.h>
#include <emu/machine.h>
#include <emu/perturb.h>

#define MEAN_BITS_MIN 14u /* mean distance between acts, when the seed chooses it: 2^14 to 2^22 */
#define MEAN_BITS_MAX 22u
#define SKIP_BITS     20u /* at most 1 ms at a time, */
#define TIMER_MAX_NS  16000000u /* or to a timer interrupt that is no further away than this */
#define MAX_TIMERS    4u        /* on the way to it */
#define HOLD_BITS     14u
#define LATE_BITS     20u

/* What a trace can ask for, at most: no sum of it may come near the end of virtual time. */
#define INPUT_MAX_NS   (1ULL << 40)
#define INPUT_MAX_HOLD (1ULL << 32)
#define TIME_LIMIT_NS  (1ULL << 62)

static const struct field perturb_fields[] = {
    FIELD(struct perturb, random, FIELD_U64),
    FIELD(struct perturb, next_icount, FIELD_U64),
    FIELD(struct perturb, mean, FIELD_U64),
    FIELD(struct perturb, kinds, FIELD_U32),
    FIELD(struct perturb, decided, FIELD_BOOL),
    FIELD_ARRAY(struct perturb, put_off, FIELD_U64),
};
const struct state_desc perturb_desc = STATE_DESC("perturb", 1, struct perturb, perturb_fields, NULL);

const char *perturb_kind_name(enum perturb_kind kind)
{
    static const char *const names[PERTURB_KIND_COUNT] = {
        [PERTURB_SKIP] = "skip",
        [PERTURB_TIMER] = "timer",
        [PERTURB_HOLD] = "hold",
        [PERTURB_LATE] = "late",
    };

    return kind < PERTURB_KIND_COUNT ? names[kind] : "unknown";
}

/* --- the generator --- */

/* SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). */
static uint64_t draw(struct perturb *p)
{
    uint64_t z = p->random += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

/* 1 to 2^bits, each power of two as often as the next. */
static uint64_t draw_spread(struct perturb *p, unsigned bits)
{
    uint64_t power = draw(p) % (bits + 1);

    return 1 + (draw(p) & ((1ULL << power) - 1));
}

static uint64_t saturating_add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static void draw_next(struct perturb *p, uint64_t icount)
{
    p->next_icount = saturating_add(icount, 1 + draw(p) % (2 * p->mean));
}

void perturb_init(struct machine *m)
{
    const struct perturb_config *c = &m->config.perturb;
    struct perturb *p = &m->perturb;

    *p = (struct perturb){.next_icount = UINT64_MAX};
    if (c->seed == 0)
        return;
    p->random = c->seed;
    p->kinds = (uint32_t)draw(p) & PERTURB_ALL;
    p->mean = 1ULL << (MEAN_BITS_MIN + draw(p) % (MEAN_BITS_MAX - MEAN_BITS_MIN + 1));
    if (c->kinds != 0)
        p->kinds = c->kinds & PERTURB_ALL;
    else if (p->kinds == 0)
        p->kinds = PERTURB_ALL;
    if (c->mean_icount != 0)
        p->mean = c->mean_icount;
    draw_next(p, c->from_icount);
}

void machine_perturb(struct machine *m, const struct perturb_config *config)
{
    m->config.perturb = *config;
    perturb_init(m);
}

/* --- acts --- */

static void act(struct machine *m, enum input_time_port port, const uint8_t *data, size_t len)
{
    struct input in = {.kind = INPUT_TIME, .port = port, .data = data, .len = len};
    const struct input_sink *sink = input_door_find(&m->door, in.kind, in.port);

    in.icount = m->clock.icount;
    in.vns = clock_now_ns(&m->clock);
    if (m->observer.perturbed != NULL)
        m->observer.perturbed(m->observer.opaque, &in);
    sink->deliver(sink->opaque, in.data, in.len);
}

static void act_number(struct machine *m, enum input_time_port port, uint64_t n)
{
    uint8_t bytes[8];

    memcpy(bytes, &n, sizeof(bytes));
    act(m, port, bytes, sizeof(bytes));
}

static void put_off_a_timer(struct machine *m)
{
    struct perturb *p = &m->perturb;
    uint64_t from = draw(p), ns = draw_spread(p, LATE_BITS);
    uint8_t bytes[12];

    for (unsigned i = 0; i < m->clock.ntimers; i++) {
        uint32_t id = (uint32_t)((from + i) % m->clock.ntimers);

        if (m->clock.deadline_ns[id] == CLOCK_NEVER || m->clock.deadline_ns[id] == p->put_off[id])
            continue;
        memcpy(bytes, &id, 4);
        memcpy(bytes + 4, &ns, 8);
        act(m, INPUT_TIME_LATE, bytes, sizeof(bytes));
        p->put_off[id] = m->clock.deadline_ns[id];
        return;
    }
}

/* Of the kinds that come at instructions of their own choice. */
static void act_now(struct machine *m)
{
    struct perturb *p = &m->perturb;
    uint64_t which = draw(p);

    for (unsigned i = 0; i < PERTURB_KIND_COUNT; i++) {
        enum perturb_kind kind = (enum perturb_kind)((which + i) % PERTURB_KIND_COUNT);

        if (!(p->kinds & PERTURB_BIT(kind)) || kind == PERTURB_HOLD)
            continue;
        if (kind == PERTURB_SKIP)
            act_number(m, INPUT_TIME_SKIP, draw_spread(p, SKIP_BITS));
        else if (kind == PERTURB_TIMER)
            act_number(m, INPUT_TIME_PREEMPT, TIMER_MAX_NS);
        else
            put_off_a_timer(m);
        return;
    }
}

void perturb_boundary(struct machine *m)
{
    struct perturb *p = &m->perturb;

    while (m->clock.icount >= p->next_icount && p->next_icount != UINT64_MAX) {
        draw_next(p, m->clock.icount);
        act_now(m);
    }
}

void perturb_interrupt(struct machine *m)
{
    struct perturb *p = &m->perturb;

    if (!(p->kinds & PERTURB_BIT(PERTURB_HOLD)) || p->decided || m->cpus[0].halted ||
        m->clock.icount < m->config.perturb.from_icount)
        return;
    p->decided = true;
    if (draw(p) & 1)
        act_number(m, INPUT_TIME_HOLD, draw_spread(p, HOLD_BITS));
}

void perturb_interrupt_taken(struct machine *m)
{
    m->perturb.decided = false;
}

uint64_t perturb_horizon(const struct machine *m)
{
    const struct cpu *cpu = &m->cpus[0];
    uint64_t at = m->perturb.next_icount;

    if (cpu->hold_icount > m->clock.icount && cpu->hold_icount < at)
        at = cpu->hold_icount;
    return at;
}

/* --- sinks: any bytes may come from a trace --- */

static uint64_t number_of(const uint8_t *data, uint64_t max)
{
    uint64_t n;

    memcpy(&n, data, sizeof(n));
    return n < max ? n : max;
}

static void time_skip(void *opaque, const uint8_t *data, size_t len)
{
    struct machine *m = opaque;
    uint64_t now = clock_now_ns(&m->clock);

    if (len != 8 || now > TIME_LIMIT_NS)
        return;
    clock_idle_until(&m->clock, now + number_of(data, INPUT_MAX_NS));
    clock_run_due(&m->clock);
}

static void time_hold(void *opaque, const uint8_t *data, size_t len)
{
    struct machine *m = opaque;

    if (len == 8)
        m->cpus[0].hold_icount = m->clock.icount + number_of(data, INPUT_MAX_HOLD);
}

static void time_late(void *opaque, const uint8_t *data, size_t len)
{
    struct machine *m = opaque;
    uint64_t deadline;
    uint32_t id;

    if (len != 12)
        return;
    memcpy(&id, data, sizeof(id));
    if (id >= m->clock.ntimers)
        return;
    deadline = m->clock.deadline_ns[id];
    if (deadline <= TIME_LIMIT_NS)
        timer_set(m->clock.timers[id], deadline + number_of(data + 4, INPUT_MAX_NS));
}

/* A timer may be but half of an interrupt: the output of the 8254 goes low one tick before it goes high. */
static void time_preempt(void *opaque, const uint8_t *data, size_t len)
{
    struct machine *m = opaque;
    uint64_t now = clock_now_ns(&m->clock), limit;

    if (len != 8 || now > TIME_LIMIT_NS)
        return;
    limit = now + number_of(data, INPUT_MAX_NS);
    for (unsigned i = 0; i < MAX_TIMERS && !(m->cpus[0].pending & PENDING_INTR); i++) {
        uint64_t deadline = clock_next_deadline_ns(&m->clock);

        if (deadline > limit)
            return;
        clock_idle_until(&m->clock, deadline);
        clock_run_due(&m->clock);
    }
}

void perturb_add_sinks(struct machine *m)
{
    static void (*const deliver[])(void *opaque, const uint8_t *data, size_t len) = {
        [INPUT_TIME_SKIP] = time_skip,
        [INPUT_TIME_HOLD] = time_hold,
        [INPUT_TIME_LATE] = time_late,
        [INPUT_TIME_PREEMPT] = time_preempt,
    };

    for (unsigned i = 0; i < sizeof(deliver) / sizeof(deliver[0]); i++)
        input_door_add(&m->door, &(struct input_sink){
                                     .kind = INPUT_TIME, .port = i, .deliver = deliver[i], .opaque = m});
}
