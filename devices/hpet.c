/* SPDX-License-Identifier: MIT */
/*
 * High precision event timer: IA-PC HPET specification 1.0a.
 *
 * Modelled: a main counter of 64 bits at 100 MHz of virtual time; three timers, each one-shot or periodic,
 * 64 or 32 bits wide, edge or level; interrupt status; routing to the I/O APIC's inputs 20 to 23, and legacy
 * replacement: timer 0 on ISA interrupt 0, timer 1 on 8, in place of the 8254 and the RTC.
 *
 * A timer interrupts when the counter reaches its comparator; a comparator that the counter has passed waits
 * for the counter to wrap, as the specification has it. An edge leaves the line high, until the next one,
 * which is a drop and a rise, or until the timer may not interrupt any more.
 *
 * Not modelled: FSB (MSI) delivery. A 32-bit write to the upper half of a periodic comparator, with VAL_SET
 * used up by the lower, changes the period alone. Accesses of one and two bytes act on those bytes.
 *
 * Nothing ticks. A clock timer runs for each timer that is periodic or can interrupt or set its status bit;
 * the comparator of another one stands still.
 *
 * Invariant: gsis, isa_lines and isa_legacy are what drive() makes of the other fields.
 */
#include <devices/hpet.h>

#include <string.h>

#define REG_CAPS    0x000u
#define REG_CONFIG  0x010u
#define REG_STATUS  0x020u
#define REG_COUNTER 0x0f0u
#define REG_TIMER0  0x100u
#define TIMER_BYTES 0x20u
#define TIMER_CONF  0x00u
#define TIMER_CMP   0x08u

#define CONFIG_ENABLE 0x1u
#define CONFIG_LEGACY 0x2u

#define TN_LEVEL       0x0002u
#define TN_ENABLE      0x0004u
#define TN_PERIODIC    0x0008u
#define TN_CAPS        0x0030u /* periodic, 64 bits */
#define TN_VAL_SET     0x0040u
#define TN_32          0x0100u
#define TN_ROUTE_SHIFT 9
#define TN_ROUTE       0x3e00u
#define TN_WRITABLE    (TN_LEVEL | TN_ENABLE | TN_PERIODIC | TN_VAL_SET | TN_32 | TN_ROUTE)

#define NS_PER_COUNT (HPET_PERIOD_FS / 1000000u)

static int hpet_post_load(void *obj);

static const struct field timer_fields[] = {
    FIELD(struct hpet_timer, config, FIELD_U64),
    FIELD(struct hpet_timer, comparator, FIELD_U64),
    FIELD(struct hpet_timer, period, FIELD_U64),
    FIELD(struct hpet_timer, high, FIELD_BOOL),
};
static const struct state_desc timer_desc = STATE_DESC("timer", 1, struct hpet_timer, timer_fields,
                                                       NULL);
static const struct field hpet_fields[] = {
    FIELD_SUBS(struct hpet, timers, &timer_desc),
    FIELD(struct hpet, config, FIELD_U64),
    FIELD(struct hpet, status, FIELD_U64),
    FIELD(struct hpet, base_count, FIELD_U64),
    FIELD(struct hpet, base_ns, FIELD_U64),
    FIELD(struct hpet, gsis, FIELD_U32),
    FIELD(struct hpet, isa_lines, FIELD_U16),
    FIELD(struct hpet, isa_legacy, FIELD_BOOL),
};
const struct state_desc hpet_desc = STATE_DESC("hpet", 1, struct hpet, hpet_fields, hpet_post_load);

/* --- the counter --- */

static bool counts(const struct hpet *h)
{
    return h->config & CONFIG_ENABLE;
}

static uint64_t counter(const struct hpet *h)
{
    uint64_t since = clock_now_ns(h->wiring.clock) - h->base_ns;

    return counts(h) ? h->base_count + since / NS_PER_COUNT : h->base_count;
}

static uint64_t width_mask(const struct hpet_timer *t)
{
    return t->config & TN_32 ? UINT32_MAX : UINT64_MAX;
}

/* --- interrupt lines --- */

static bool timer_level(const struct hpet *h, unsigned n)
{
    const struct hpet_timer *t = &h->timers[n];

    if (!counts(h) || !(t->config & TN_ENABLE))
        return false;
    return t->config & TN_LEVEL ? h->status >> n & 1 : t->high;
}

static bool is_legacy(const struct hpet *h)
{
    return (h->config & (CONFIG_ENABLE | CONFIG_LEGACY)) == (CONFIG_ENABLE | CONFIG_LEGACY);
}

static uint32_t gsi_of(const struct hpet_timer *t)
{
    return (1u << ((t->config & TN_ROUTE) >> TN_ROUTE_SHIFT)) & HPET_ROUTES;
}

static void drive_gsis(struct hpet *h, uint32_t gsis)
{
    uint32_t changed = h->gsis ^ gsis;

    h->gsis = gsis;
    for (; changed != 0; changed &= changed - 1) {
        unsigned pin = (unsigned)__builtin_ctz(changed);

        h->wiring.set_gsi(h->wiring.opaque, pin, gsis >> pin & 1);
    }
}

static void drive(struct hpet *h)
{
    static const uint16_t isa_bits[HPET_TIMERS] = {1u << 0, 1u << 8, 0};
    bool legacy = is_legacy(h);
    uint32_t gsis = 0;
    unsigned isa = 0;

    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        if (!timer_level(h, n))
            continue;
        if (legacy && isa_bits[n] != 0)
            isa |= isa_bits[n];
        else
            gsis |= gsi_of(&h->timers[n]);
    }
    drive_gsis(h, gsis);
    if (h->isa_lines != isa || h->isa_legacy != legacy)
        h->wiring.set_isa(h->wiring.opaque, (uint16_t)isa, legacy);
}

/* --- the timers --- */

static bool has_deadlines(const struct hpet_timer *t)
{
    return counts(t->hpet) && (t->config & (TN_ENABLE | TN_LEVEL | TN_PERIODIC));
}

/* When the counter reaches the comparator next, after now. */
static uint64_t next_match_ns(const struct hpet_timer *t)
{
    const struct hpet *h = t->hpet;
    uint64_t ahead = (t->comparator - counter(h) - 1) & width_mask(t);
    unsigned __int128 count = (unsigned __int128)(counter(h) - h->base_count) + ahead + 1;
    unsigned __int128 ns = h->base_ns + count * NS_PER_COUNT;

    return ns >= CLOCK_NEVER ? CLOCK_NEVER - 1 : (uint64_t)ns;
}

static void arm(struct hpet_timer *t)
{
    if (has_deadlines(t))
        timer_set(&t->clock_timer, next_match_ns(t));
    else
        timer_cancel(&t->clock_timer);
}

/* Moves a periodic comparator beyond the counter. */
static void next_period(struct hpet_timer *t)
{
    uint64_t mask = width_mask(t), period = t->period & mask;
    uint64_t behind = (counter(t->hpet) - t->comparator) & mask;

    if (period != 0)
        t->comparator = (t->comparator + (behind / period + 1) * period) & mask;
}

static void matched(void *opaque)
{
    struct hpet_timer *t = opaque;
    struct hpet *h = t->hpet;
    unsigned n = (unsigned)(t - h->timers);

    if (t->config & TN_LEVEL) {
        h->status |= 1u << n;
    } else {
        t->high = false;
        drive(h);
        t->high = (t->config & TN_ENABLE) != 0;
    }
    if (t->config & TN_PERIODIC)
        next_period(t);
    drive(h);
    arm(t);
}

static bool is_route(uint64_t config)
{
    return HPET_ROUTES >> ((config & TN_ROUTE) >> TN_ROUTE_SHIFT) & 1;
}

/* A route that the timer does not have does not read back (2.3.8): the one of before stays. */
static void write_timer_config(struct hpet_timer *t, uint64_t value)
{
    if (!is_route(value))
        value = (value & ~(uint64_t)TN_ROUTE) | (t->config & TN_ROUTE);
    t->config = (value & TN_WRITABLE) | (t->config & ~(uint64_t)TN_WRITABLE);
    if (!(t->config & TN_PERIODIC))
        t->config &= ~(uint64_t)TN_VAL_SET;
    if ((t->config & TN_LEVEL) || !(t->config & TN_ENABLE))
        t->high = false;
    t->comparator &= width_mask(t);
    t->period &= width_mask(t);
}

/* In periodic mode every write sets the period; the comparator too after VAL_SET. */
static void write_comparator(struct hpet_timer *t, uint64_t value)
{
    value &= width_mask(t);
    if (!(t->config & TN_PERIODIC) || (t->config & TN_VAL_SET))
        t->comparator = value;
    t->period = value;
    t->config &= ~(uint64_t)TN_VAL_SET;
}

/* --- registers --- */

static void write_counter(struct hpet *h, uint64_t value)
{
    h->base_count = value;
    h->base_ns = clock_now_ns(h->wiring.clock);
}

static void write_config(struct hpet *h, uint64_t value)
{
    if ((value ^ h->config) & CONFIG_ENABLE)
        write_counter(h, counter(h));
    h->config = value & (CONFIG_ENABLE | CONFIG_LEGACY);
}

static struct hpet_timer *timer_at(struct hpet *h, unsigned reg)
{
    unsigned n = (reg - REG_TIMER0) / TIMER_BYTES;

    return reg >= REG_TIMER0 && n < HPET_TIMERS ? &h->timers[n] : NULL;
}

static uint64_t read_register(const struct hpet *h, unsigned reg)
{
    const struct hpet_timer *t = timer_at((struct hpet *)h, reg);

    if (t != NULL && reg % TIMER_BYTES == TIMER_CONF)
        return t->config;
    if (t != NULL)
        return reg % TIMER_BYTES == TIMER_CMP ? t->comparator : 0;
    switch (reg) {
    case REG_CAPS: return (uint64_t)HPET_PERIOD_FS << 32 | HPET_ID;
    case REG_CONFIG: return h->config;
    case REG_STATUS: return h->status;
    case REG_COUNTER: return counter(h);
    default: return 0;
    }
}

static void write_register(struct hpet *h, unsigned reg, uint64_t value, uint64_t written)
{
    struct hpet_timer *t = timer_at(h, reg);

    if (t != NULL && reg % TIMER_BYTES == TIMER_CONF)
        write_timer_config(t, value);
    else if (t != NULL && reg % TIMER_BYTES == TIMER_CMP)
        write_comparator(t, value);
    else if (reg == REG_CONFIG)
        write_config(h, value);
    else if (reg == REG_STATUS)
        h->status &= ~(value & written);
    else if (reg == REG_COUNTER)
        write_counter(h, value);
    drive(h);
    for (unsigned n = 0; n < HPET_TIMERS; n++)
        arm(&h->timers[n]);
}

static uint64_t hpet_read(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        unsigned at = (unsigned)offset + i;

        value |= (read_register(opaque, at & ~7u) >> (8 * (at & 7)) & 0xff) << (8 * i);
    }
    return value;
}

/* Part of one register; an access that crosses into the next one is two. */
static void hpet_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    unsigned shift = 8 * (offset & 7), room = 8 - (unsigned)(offset & 7);
    unsigned here = size < room ? size : room;
    uint64_t mask = (here == 8 ? UINT64_MAX : (1ULL << (8 * here)) - 1) << shift;
    unsigned reg = (unsigned)offset & ~7u;

    write_register(opaque, reg, (read_register(opaque, reg) & ~mask) | (value << shift & mask), mask);
    if (here < size)
        hpet_write(opaque, offset + here, value >> (8 * here), size - here);
}

static const struct bus_ops hpet_ops = {.read = hpet_read, .write = hpet_write, .max_size = 8};

/* --- life cycle --- */

static int hpet_post_load(void *obj)
{
    const struct hpet *h = obj;
    uint64_t caps = (uint64_t)HPET_ROUTES << 32 | TN_CAPS;

    for (unsigned n = 0; n < HPET_TIMERS; n++)
        if ((h->timers[n].config & ~(uint64_t)TN_WRITABLE) != caps)
            return -1;
    return h->config & ~(uint64_t)(CONFIG_ENABLE | CONFIG_LEGACY) || h->status >> HPET_TIMERS != 0 ||
                   (h->gsis & ~HPET_ROUTES) != 0 || (h->isa_lines & ~0x101u) != 0
               ? -1
               : 0;
}

void hpet_reset(void *obj)
{
    struct hpet *h = obj;

    h->config = 0;
    h->status = 0;
    h->base_count = 0;
    h->base_ns = clock_now_ns(h->wiring.clock);
    h->gsis = 0;
    h->isa_lines = 0;
    h->isa_legacy = false;
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        struct hpet_timer *t = &h->timers[n];

        t->config = (uint64_t)HPET_ROUTES << 32 | TN_CAPS;
        t->comparator = UINT64_MAX;
        t->period = 0;
        t->high = false;
        timer_cancel(&t->clock_timer);
    }
}

void hpet_init(struct hpet *h, const struct hpet_wiring *wiring)
{
    static const char *const names[HPET_TIMERS] = {"hpet 0", "hpet 1", "hpet 2"};

    memset(h, 0, sizeof(*h));
    h->wiring = *wiring;
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        h->timers[n].hpet = h;
        timer_init(&h->timers[n].clock_timer, wiring->clock, matched, &h->timers[n], names[n]);
    }
    bus_add(wiring->memory, &h->range, "hpet", HPET_BASE, HPET_BYTES, &hpet_ops, h);
    hpet_reset(h);
}
