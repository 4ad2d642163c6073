/* SPDX-License-Identifier: MIT */
/*
 * The 8254 programmable interval timer.
 *
 * Modelled: Intel 8254 data sheet (order 231164): three counters, modes 0 to 5, BCD, the counter
 * latch and read-back commands, byte-wise access, GATE; and the PC's port 61h, which gates channel
 * 2 and shows its OUT. CLK is 1193182 Hz of virtual time from power-on; its pulses are numbered,
 * and a pulse's time is ticks_to_ns(number), so nothing drifts.
 *
 * Nothing ticks. A channel remembers at which pulse it began to count from what, and everything
 * else (the counting element CE, OUT, the next edge) is arithmetic on the pulse number.
 * channel_sync() moves that beginning forward over whole periods and notes a terminal count that
 * was passed; it changes no answer, only from where it is computed. A timer runs for channel 0
 * alone, whose OUT is an interrupt line; it fires at each edge of OUT.
 *
 * A count or trigger takes effect at the pulse after it, as in the data sheet's diagrams: mode 0's
 * OUT goes high N + 1 pulses after N is written.
 *
 * Not modelled: the speaker makes no sound. Reading port 43h gives FFh. Counts of 1 in modes 2 and
 * 3 are illegal by the data sheet and act as 2. GATE going low in mode 4's one pulse of OUT ends
 * that pulse. The refresh toggle of port 61h follows the 18-pulse period that firmware gives
 * channel 1, whatever the guest does to channel 1.
 *
 * Invariants: 1. start and reload are 1..65536 in every channel that was loaded (start may be 0
 * when a paused count resumes at its end). 2. The timer is armed for the first edge of channel 0's
 * OUT after now, and irq0 has OUT's level, after every entry point.
 */
#include <devices/i8254.h>

#define BASE_PORT      0x40
#define CONTROL_OFFSET 3
#define PORT61         0x61

#define CONTROL_BCD           0x01
#define CONTROL_MODE(control) (((control) >> 1) & 7)
#define CONTROL_RW(control)   (((control) >> 4) & 3)
#define CONTROL_SC(value)     ((value) >> 6)
#define CONTROL_KEPT          0x3f
#define RW_LSB                1
#define RW_MSB                2
#define RW_BOTH               3
#define SC_READ_BACK          3
#define READ_BACK_NO_COUNT    0x20
#define READ_BACK_NO_STATUS   0x10
#define STATUS_OUT            0x80
#define STATUS_NULL           0x40

#define PORT61_GATE2    0x01
#define PORT61_WRITABLE 0x0f
#define PORT61_REFRESH  0x10
#define PORT61_OUT2     0x20
#define REFRESH_TICKS   18

#define NO_TICK UINT64_MAX

static int i8254_post_load(void *obj)
{
    const struct i8254 *pit = obj;

    for (unsigned i = 0; i < 3; i++) {
        const struct i8254_channel *c = &pit->ch[i];

        uint32_t least = (CONTROL_MODE(c->control) & 2) ? 2 : 1; /* the period of modes 2 and 3 */

        if (c->start > 0x10000 || c->reload > 0x10000 || c->latched_bytes > 2 ||
            c->control > CONTROL_KEPT || c->held > 0xffff || c->count_latch > 0xffff ||
            c->status_latch > 0xff)
            return -1;
        if ((c->loaded && c->reload < least) || (c->running && !c->loaded) ||
            (c->running && least == 2 && c->start < least))
            return -1;
    }
    return pit->port61 > PORT61_WRITABLE ? -1 : 0;
}

static const struct field channel_fields[] = {
    FIELD(struct i8254_channel, start_tick, FIELD_U64),
    FIELD(struct i8254_channel, start, FIELD_U32),
    FIELD(struct i8254_channel, reload, FIELD_U32),
    FIELD(struct i8254_channel, held, FIELD_U32),
    FIELD(struct i8254_channel, count_latch, FIELD_U32),
    FIELD(struct i8254_channel, control, FIELD_U16),
    FIELD(struct i8254_channel, status_latch, FIELD_U16),
    FIELD(struct i8254_channel, write_lsb, FIELD_U8),
    FIELD(struct i8254_channel, latched_bytes, FIELD_U8),
    FIELD(struct i8254_channel, status_latched, FIELD_BOOL),
    FIELD(struct i8254_channel, write_msb_next, FIELD_BOOL),
    FIELD(struct i8254_channel, read_msb_next, FIELD_BOOL),
    FIELD(struct i8254_channel, loaded, FIELD_BOOL),
    FIELD(struct i8254_channel, running, FIELD_BOOL),
    FIELD(struct i8254_channel, null_count, FIELD_BOOL),
    FIELD(struct i8254_channel, done, FIELD_BOOL),
    FIELD(struct i8254_channel, high, FIELD_BOOL),
    FIELD(struct i8254_channel, held_out, FIELD_BOOL),
    FIELD(struct i8254_channel, gate, FIELD_BOOL),
};
static const struct state_desc channel_desc = STATE_DESC("i8254-channel", 1, struct i8254_channel,
                                                         channel_fields, NULL);

static const struct field i8254_fields[] = {
    FIELD_SUBS(struct i8254, ch, &channel_desc),
    FIELD(struct i8254, port61, FIELD_U8),
};
const struct state_desc i8254_desc = STATE_DESC("i8254", 1, struct i8254, i8254_fields,
                                                i8254_post_load);

/* --- one channel: pure helpers --- */

/* 0..5; the control word's modes 6 and 7 are 2 and 3. */
static unsigned mode_of(const struct i8254_channel *c)
{
    unsigned mode = CONTROL_MODE(c->control);

    return mode > 5 ? mode - 4 : mode;
}

static bool is_periodic(const struct i8254_channel *c)
{
    return mode_of(c) == 2 || mode_of(c) == 3;
}

static bool is_triggered(const struct i8254_channel *c)
{
    return mode_of(c) == 1 || mode_of(c) == 5;
}

static uint32_t modulus(const struct i8254_channel *c)
{
    return (c->control & CONTROL_BCD) ? 10000 : 0x10000;
}

static uint32_t from_bcd(uint16_t bcd)
{
    return (bcd >> 12) * 1000u + ((bcd >> 8) & 15) * 100u + ((bcd >> 4) & 15) * 10u + (bcd & 15);
}

static uint16_t to_bcd(uint32_t n)
{
    return (uint16_t)((n / 1000) << 12 | (n / 100 % 10) << 8 | (n / 10 % 10) << 4 | n % 10);
}

/* The count that the bytes written stand for: 0 is the largest, and digits above 9 carry. */
static uint32_t count_from_bytes(const struct i8254_channel *c, uint16_t bytes)
{
    uint32_t n = (c->control & CONTROL_BCD) ? from_bcd(bytes) : bytes;

    n = (n + modulus(c) - 1) % modulus(c) + 1;
    return is_periodic(c) && n == 1 ? 2 : n;
}

/* Pulses in the half of mode 3's square wave that `high` names. */
static uint32_t half_period(uint32_t n, bool high)
{
    return high ? (n + 1) / 2 : n / 2;
}

static bool has_started(const struct i8254_channel *c, uint64_t tick)
{
    return c->running && tick >= c->start_tick;
}

static bool channel_out(const struct i8254_channel *c, uint64_t tick)
{
    uint64_t elapsed = tick - c->start_tick;

    if (!has_started(c, tick))
        return c->held_out;
    switch (mode_of(c)) {
    case 0:
    case 1: return c->done;
    case 2: return elapsed != c->start - 1;
    case 3: return c->high;
    default: return c->done || elapsed != c->start;
    }
}

/* CE as the guest reads it. */
static uint16_t channel_count(const struct i8254_channel *c, uint64_t tick)
{
    uint64_t elapsed = tick - c->start_tick;
    uint32_t m = modulus(c);
    uint32_t n;

    if (!has_started(c, tick))
        return (uint16_t)c->held;
    if (mode_of(c) == 3) /* counts by two, from the even number at or below the count */
        n = (uint32_t)((c->start & ~1u) - 2 * elapsed);
    else
        n = (uint32_t)((c->start + m - elapsed % m) % m);
    n %= m;
    return (c->control & CONTROL_BCD) ? to_bcd(n) : (uint16_t)n;
}

/* The first pulse after `tick` at which OUT may change, for a channel synced to `tick`. */
static uint64_t next_edge(const struct i8254_channel *c, uint64_t tick)
{
    uint64_t elapsed = tick - c->start_tick;

    if (!c->running)
        return NO_TICK;
    if (tick < c->start_tick)
        return c->start_tick;
    switch (mode_of(c)) {
    case 2: return c->start_tick + (elapsed < c->start - 1 ? c->start - 1 : c->start);
    case 3: return c->start_tick + half_period(c->start, c->high);
    case 0:
    case 1: return c->done ? NO_TICK : c->start_tick + c->start;
    default:
        if (c->done)
            return NO_TICK;
        return c->start_tick + (elapsed < c->start ? c->start : c->start + 1);
    }
}

/* --- one channel: the passing of time --- */

static void sync_mode2(struct i8254_channel *c, uint64_t tick)
{
    uint64_t periods;

    if (tick - c->start_tick < c->start)
        return;
    c->start_tick += c->start;
    c->start = c->reload;
    c->null_count = false;
    periods = (tick - c->start_tick) / c->start;
    c->start_tick += periods * c->start;
}

static void sync_mode3(struct i8254_channel *c, uint64_t tick)
{
    uint64_t periods;

    if (tick - c->start_tick < half_period(c->start, c->high))
        return;
    c->start_tick += half_period(c->start, c->high);
    c->high = !c->high;
    c->start = c->reload; /* a new count is taken at the end of either half */
    c->null_count = false;
    periods = (tick - c->start_tick) / c->start;
    c->start_tick += periods * c->start;
    if (tick - c->start_tick >= half_period(c->start, c->high)) {
        c->start_tick += half_period(c->start, c->high);
        c->high = !c->high;
    }
}

/* Brings the channel to `tick`. */
static void channel_sync(struct i8254_channel *c, uint64_t tick)
{
    uint64_t elapsed = tick - c->start_tick;

    if (!has_started(c, tick))
        return;
    switch (mode_of(c)) {
    case 0:
    case 1: c->done = c->done || elapsed >= c->start; break;
    case 2: sync_mode2(c, tick); break;
    case 3: sync_mode3(c, tick); break;
    default: c->done = c->done || elapsed > c->start; break;
    }
}

static bool null_count_at(const struct i8254_channel *c, uint64_t tick)
{
    return c->null_count || !c->loaded || (c->running && tick < c->start_tick);
}

/* --- one channel: what the guest does (all on a channel synced to `tick`) --- */

/* Stops counting with CE and OUT as they are. */
static void channel_hold(struct i8254_channel *c, uint64_t tick)
{
    uint16_t held = channel_count(c, tick);
    bool out = channel_out(c, tick);

    c->held = held;
    c->held_out = out;
    c->running = false;
}

/* Loads CR into CE at the next pulse and counts from there. */
static void channel_load(struct i8254_channel *c, uint64_t tick)
{
    channel_hold(c, tick);
    c->start = c->reload;
    c->start_tick = tick + 1;
    c->running = true;
    c->null_count = false;
    c->done = false;
    c->high = true;
    if (mode_of(c) != 1) /* a one-shot's OUT waits for the pulse; the others are at rest at once */
        c->held_out = mode_of(c) != 0;
}

/* With GATE low: CE takes the count at `pulse`, and waits. It reads as loaded at once. */
static void channel_load_paused(struct i8254_channel *c, uint64_t pulse)
{
    uint32_t n = c->reload % modulus(c);

    if (mode_of(c) == 3)
        n &= ~1u;
    c->start = c->reload;
    c->start_tick = pulse;
    c->held = (c->control & CONTROL_BCD) ? to_bcd(n) : (uint16_t)n;
    c->held_out = mode_of(c) != 0;
    c->running = false;
    c->null_count = false;
    c->done = false;
}

static void channel_set_count(struct i8254_channel *c, uint16_t bytes, uint64_t tick)
{
    bool first = !c->loaded;

    c->reload = count_from_bytes(c, bytes);
    c->loaded = true;
    c->null_count = true;
    if (is_triggered(c))
        return;
    if (is_periodic(c) && !first)
        return;
    if (c->gate)
        channel_load(c, tick);
    else
        channel_load_paused(c, tick + 1);
}

static void channel_write(struct i8254_channel *c, uint8_t value, uint64_t tick)
{
    switch (CONTROL_RW(c->control)) {
    case RW_LSB: channel_set_count(c, value, tick); return;
    case RW_MSB: channel_set_count(c, (uint16_t)(value << 8), tick); return;
    default: break;
    }
    if (c->write_msb_next) {
        c->write_msb_next = false;
        channel_set_count(c, (uint16_t)(value << 8 | c->write_lsb), tick);
        return;
    }
    c->write_lsb = value;
    c->write_msb_next = true;
    if (mode_of(c) == 0) { /* the first byte stops the count, and OUT goes low without a pulse */
        channel_hold(c, tick);
        c->held_out = false;
    }
}

static void channel_set_control(struct i8254_channel *c, uint8_t value, uint64_t tick)
{
    channel_hold(c, tick);
    c->control = value & CONTROL_KEPT;
    c->held_out = mode_of(c) != 0;
    c->loaded = false;
    c->null_count = true;
    c->done = false;
    c->latched_bytes = 0;
    c->status_latched = false;
    c->write_msb_next = false;
    c->read_msb_next = false;
}

static void gate_falls(struct i8254_channel *c, uint64_t tick)
{
    if (!c->running || is_triggered(c))
        return;
    if (tick < c->start_tick) { /* the pulse that loads CE comes in any case */
        channel_load_paused(c, c->start_tick);
        return;
    }
    channel_hold(c, tick);
    if (is_periodic(c)) {
        c->held_out = true;
        return;
    }
    if (!c->done)
        c->start -= (uint32_t)(tick - c->start_tick);
    if (mode_of(c) == 4 && c->start == 0) {
        c->done = true;
        c->held_out = true;
    }
}

/*
 * Goes on from where GATE stopped the count, not before the pulse that loads it. CE keeps wrapping when it was
 * past its end.
 */
static void channel_resume(struct i8254_channel *c, uint64_t tick)
{
    if (c->done) {
        uint32_t n = (c->control & CONTROL_BCD) ? from_bcd((uint16_t)c->held) : c->held;

        c->start = n;
    }
    if (c->start_tick < tick)
        c->start_tick = tick;
    c->running = true;
}

static void gate_rises(struct i8254_channel *c, uint64_t tick)
{
    if (!c->loaded)
        return;
    if (is_triggered(c) || is_periodic(c))
        channel_load(c, tick);
    else if (mode_of(c) == 4 || !c->write_msb_next) /* half a count holds mode 0 back */
        channel_resume(c, tick);
}

static void channel_set_gate(struct i8254_channel *c, bool gate, uint64_t tick)
{
    if (gate == c->gate)
        return;
    c->gate = gate;
    if (gate)
        gate_rises(c, tick);
    else
        gate_falls(c, tick);
}

/* --- one channel: latches and reads --- */

static void latch_count(struct i8254_channel *c, uint64_t tick)
{
    if (c->latched_bytes != 0) /* the first latch stands until it is read */
        return;
    c->count_latch = channel_count(c, tick);
    c->latched_bytes = CONTROL_RW(c->control) == RW_BOTH ? 2 : 1;
}

static void latch_status(struct i8254_channel *c, uint64_t tick)
{
    if (c->status_latched)
        return;
    c->status_latch = (uint16_t)((channel_out(c, tick) ? STATUS_OUT : 0) |
                                 (null_count_at(c, tick) ? STATUS_NULL : 0) | c->control);
    c->status_latched = true;
}

/* One byte of the count, by the access mode; changes `c`, so a peek gives it a copy. */
static uint8_t channel_read(struct i8254_channel *c, uint64_t tick)
{
    uint32_t count = c->latched_bytes != 0 ? c->count_latch : channel_count(c, tick);
    unsigned rw = CONTROL_RW(c->control);
    bool msb = rw == RW_MSB || (rw == RW_BOTH && c->read_msb_next);

    if (c->status_latched) {
        c->status_latched = false;
        return (uint8_t)c->status_latch;
    }
    if (rw == RW_BOTH)
        c->read_msb_next = !c->read_msb_next;
    if (c->latched_bytes != 0)
        c->latched_bytes--;
    return (uint8_t)(msb ? count >> 8 : count);
}

/* --- the chip --- */

static uint64_t tick_now(const struct i8254 *pit)
{
    return ns_to_ticks(clock_now_ns(pit->clock), I8254_HZ);
}

/* The channel as of now, without changing it. */
static struct i8254_channel channel_now(const struct i8254 *pit, unsigned n, uint64_t tick)
{
    struct i8254_channel c = pit->ch[n];

    channel_sync(&c, tick);
    return c;
}

bool i8254_out(const struct i8254 *pit, unsigned channel)
{
    uint64_t tick = tick_now(pit);
    struct i8254_channel c = channel_now(pit, channel, tick);

    return channel_out(&c, tick);
}

bool i8254_irq_level(const struct i8254 *pit)
{
    return i8254_out(pit, 0);
}

static void sync_all(struct i8254 *pit, uint64_t tick)
{
    for (unsigned i = 0; i < 3; i++)
        channel_sync(&pit->ch[i], tick);
}

/* Drives the line and arms the timer for its next change; channel 0 is synced to `tick`. */
static void update(struct i8254 *pit, uint64_t tick)
{
    uint64_t edge = next_edge(&pit->ch[0], tick);

    irq_set(&pit->irq0, channel_out(&pit->ch[0], tick));
    if (edge == NO_TICK)
        timer_cancel(&pit->timer);
    else
        timer_set(&pit->timer, ticks_to_ns(edge, I8254_HZ));
}

static void read_back(struct i8254 *pit, uint8_t value, uint64_t tick)
{
    for (unsigned i = 0; i < 3; i++) {
        if (!(value & (2u << i)))
            continue;
        if (!(value & READ_BACK_NO_COUNT))
            latch_count(&pit->ch[i], tick);
        if (!(value & READ_BACK_NO_STATUS))
            latch_status(&pit->ch[i], tick);
    }
}

static void write_control(struct i8254 *pit, uint8_t value, uint64_t tick)
{
    unsigned sc = CONTROL_SC(value);

    if (sc == SC_READ_BACK)
        read_back(pit, value, tick);
    else if (CONTROL_RW(value) == 0)
        latch_count(&pit->ch[sc], tick);
    else
        channel_set_control(&pit->ch[sc], value, tick);
}

/* --- ports --- */

static uint64_t pit_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8254 *pit = opaque;
    uint64_t tick = tick_now(pit);

    (void)size;
    if (offset == CONTROL_OFFSET)
        return 0xff;
    channel_sync(&pit->ch[offset], tick);
    return channel_read(&pit->ch[offset], tick);
}

static uint64_t pit_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct i8254 *pit = opaque;
    uint64_t tick = tick_now(pit);
    struct i8254_channel c;

    (void)size;
    if (offset == CONTROL_OFFSET)
        return 0xff;
    c = channel_now(pit, (unsigned)offset, tick);
    return channel_read(&c, tick);
}

static void pit_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8254 *pit = opaque;
    uint64_t tick = tick_now(pit);

    (void)size;
    sync_all(pit, tick);
    if (offset == CONTROL_OFFSET)
        write_control(pit, (uint8_t)value, tick);
    else
        channel_write(&pit->ch[offset], (uint8_t)value, tick);
    update(pit, tick);
}

static uint64_t port61_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct i8254 *pit = opaque;
    uint64_t refresh = (tick_now(pit) / REFRESH_TICKS) & 1;

    (void)offset;
    (void)size;
    return pit->port61 | (refresh ? PORT61_REFRESH : 0u) | (i8254_out(pit, 2) ? PORT61_OUT2 : 0u);
}

static void port61_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8254 *pit = opaque;
    uint64_t tick = tick_now(pit);

    (void)offset;
    (void)size;
    pit->port61 = value & PORT61_WRITABLE;
    channel_sync(&pit->ch[2], tick);
    channel_set_gate(&pit->ch[2], (value & PORT61_GATE2) != 0, tick);
}

static const struct bus_ops pit_ops = {
    .read = pit_read, .write = pit_write, .peek = pit_peek, .max_size = 1};
static const struct bus_ops port61_ops = {
    .read = port61_read, .write = port61_write, .max_size = 1};

/* --- timer --- */

static void channel0_edge(void *opaque)
{
    struct i8254 *pit = opaque;
    uint64_t tick = tick_now(pit);

    channel_sync(&pit->ch[0], tick);
    update(pit, tick);
}

/* --- life cycle --- */

/*
 * A channel whose count is in CR, before the pulse that loads it. The first version left channel 2 so until its
 * gate opened, and the digests of its recordings begin with that.
 */
static struct i8254_channel before_loading(const struct i8254_channel *c)
{
    struct i8254_channel early = *c;

    early.start = 0;
    early.start_tick = 0;
    early.held = 0;
    early.null_count = true;
    return early;
}

/*
 * The data sheet leaves a counter undefined until it is programmed. A kernel that is loaded without
 * firmware expects what firmware leaves: channel 0 at 18.2 Hz in mode 3, channel 1 refreshing
 * memory, channel 2 set for the speaker and its gate shut.
 */
void i8254_reset(void *obj)
{
    static const struct {
        uint8_t control;
        uint16_t count;
    } firmware[3] = {{0x36, 0}, {0x14, REFRESH_TICKS}, {0x36, 0}};
    struct i8254 *pit = obj;
    uint64_t tick = tick_now(pit);

    pit->port61 = 0;
    for (unsigned i = 0; i < 3; i++) {
        pit->ch[i] = (struct i8254_channel){.gate = i != 2, .held_out = true};
        channel_set_control(&pit->ch[i], firmware[i].control, tick);
        channel_set_count(&pit->ch[i], firmware[i].count, tick);
    }
    pit->ch[2] = before_loading(&pit->ch[2]);
    update(pit, tick);
}

void i8254_init(struct i8254 *pit, const struct i8254_wiring *wiring)
{
    *pit = (struct i8254){.clock = wiring->clock, .irq0 = wiring->irq0};
    timer_init(&pit->timer, wiring->clock, channel0_edge, pit, "pit-channel0");
    bus_add(wiring->ports, &pit->range[0], "pit", BASE_PORT, 4, &pit_ops, pit);
    bus_add(wiring->ports, &pit->range[1], "port61", PORT61, 1, &port61_ops, pit);
    i8254_reset(pit);
}
