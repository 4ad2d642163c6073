/* SPDX-License-Identifier: MIT */
/*
 * The real-time clock.
 *
 * Modelled: Motorola MC146818A data sheet: time, calendar and alarm in BCD or binary, 12 or 24
 * hours, registers A to D, update, alarm and periodic interrupt, UIP; the PC's use of the memory
 * behind it (century in 32h, shutdown status in 0Fh, memory sizes), NMI mask in bit 7 of port 70h,
 * and the upper bank of the PCI bridges at 72h/73h.
 *
 * The clock does not tick. What it shows is base_seconds plus the whole seconds of virtual time
 * since base_ns. Flags of register C that nobody has asked for yet are found on demand from what
 * happened since seen_ns, so a timer is armed only when an interrupt is enabled and its flag is
 * clear.
 *
 * While the time stands still (SET, or the divider held in reset) the registers are plain memory.
 * When it goes on, they are taken as they are; values that are no date are brought into range, each
 * by itself (the chip would count on from them in ways the data sheet does not define). A write
 * without SET is such a stop and start at once. The divider goes on during SET, so the next update
 * comes when it would have; coming out of reset it comes after half a second, as the data sheet
 * says.
 *
 * What differs: leap years follow the Gregorian calendar (the chip knows every fourth year). The
 * format bits of register B show the running time in the other format, where the chip would want
 * the time set again. UIP covers the 244 us before an update, not the update, which takes no time.
 * All divider settings but reset run at 32768 Hz. Daylight saving (DSE) does nothing and is kept;
 * SQW goes nowhere. Reading port 70h or 72h gives FFh, as on the bridges.
 *
 * Nondeterminism: the host's date enters as rtc_base, which the machine's configuration fixes.
 *
 * Invariants: 1. base_seconds is within the years 0 to 9999. 2. base_ns is not after seen_ns,
 * counted modulo 2^64: the moment may lie before power-on. 3. irq8 has the level of
 * mc146818_irq_level after every entry point.
 */
#include <devices/mc146818.h>

#include <string.h>

/* --- registers --- */

#define REG_SECONDS       0x00
#define REG_SECONDS_ALARM 0x01
#define REG_MINUTES       0x02
#define REG_MINUTES_ALARM 0x03
#define REG_HOURS         0x04
#define REG_HOURS_ALARM   0x05
#define REG_DAY_OF_WEEK   0x06
#define REG_DAY           0x07
#define REG_MONTH         0x08
#define REG_YEAR          0x09
#define REG_A             0x0a
#define REG_B             0x0b
#define REG_C             0x0c
#define REG_D             0x0d
#define REG_CENTURY       0x32

#define A_RS       0x0f
#define A_DV_32KHZ 0x20
#define A_DV_RESET 0x60 /* 110 and 111 */
#define A_UIP      0x80
#define B_24H      0x02
#define B_BINARY   0x04
#define B_SQWE     0x08
#define B_UIE      0x10
#define B_AIE      0x20
#define B_PIE      0x40
#define B_SET      0x80
#define C_UF       0x10
#define C_AF       0x20
#define C_PF       0x40
#define C_FLAGS    (C_UF | C_AF | C_PF) /* at the places of their enables in B */
#define C_IRQF     0x80
#define D_VRT      0x80

#define HOURS_PM        0x80
#define ALARM_DONT_CARE 0xc0

#define DIVIDER_HZ     32768
#define UIP_NS         244141ULL /* 8 divider pulses */
#define HALF_SECOND_NS (NS_PER_SEC / 2)

#define SECONDS_MIN     (-62167219200LL) /* 0000-01-01 */
#define SECONDS_MAX     253402300799LL   /* 9999-12-31 23:59:59 */
#define SECONDS_PER_DAY 86400
#define NO_SECOND       INT64_MAX

static int mc146818_post_load(void *obj)
{
    const struct mc146818 *rtc = obj;
    int64_t seconds = (int64_t)rtc->base_seconds;

    if (seconds < SECONDS_MIN || seconds > SECONDS_MAX || rtc->dow_shift > 6)
        return -1;
    if ((rtc->ram[REG_A] & A_UIP) || (rtc->ram[REG_C] & ~C_FLAGS) || rtc->ram[REG_D] != D_VRT)
        return -1;
    return rtc->index > 127 || rtc->upper_index > 127 ? -1 : 0;
}

static const struct field mc146818_fields[] = {
    FIELD(struct mc146818, base_seconds, FIELD_U64), FIELD(struct mc146818, base_ns, FIELD_U64),
    FIELD(struct mc146818, seen_ns, FIELD_U64),      FIELD_ARRAY(struct mc146818, ram, FIELD_U8),
    FIELD(struct mc146818, index, FIELD_U8),         FIELD(struct mc146818, upper_index, FIELD_U8),
    FIELD(struct mc146818, dow_shift, FIELD_U8),     FIELD(struct mc146818, nmi_masked, FIELD_BOOL),
};
const struct state_desc mc146818_desc = STATE_DESC("mc146818", 1, struct mc146818, mc146818_fields,
                                                   mc146818_post_load);

/* --- calendar --- */

struct civil {
    unsigned year; /* 0..9999 */
    unsigned month, day, hour, minute, second;
    unsigned dow; /* 0: Sunday */
};

static bool is_leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && is_leap(year) ? 1u : 0u);
}

/* Days from 0000-01-01 to the first of January of `year`. */
static unsigned days_before_year(unsigned year)
{
    unsigned before = year - 1;

    return year == 0 ? 0 : year * 365 + before / 4 - before / 100 + before / 400 + 1;
}

static struct civil civil_from_seconds(int64_t seconds)
{
    uint64_t since = (uint64_t)(seconds - SECONDS_MIN);
    unsigned days = (unsigned)(since / SECONDS_PER_DAY);
    unsigned rest = (unsigned)(since % SECONDS_PER_DAY);
    struct civil t = {.year = days / 366, .month = 1};

    t.dow = (days + 6) % 7; /* 0000-01-01 was a Saturday */
    while (days_before_year(t.year + 1) <= days)
        t.year++;
    days -= days_before_year(t.year);
    while (days >= days_in_month(t.year, t.month))
        days -= days_in_month(t.year, t.month++);
    t.day = days + 1;
    t.hour = rest / 3600;
    t.minute = rest / 60 % 60;
    t.second = rest % 60;
    return t;
}

static int64_t seconds_from_civil(const struct civil *t)
{
    unsigned days = days_before_year(t->year);

    for (unsigned month = 1; month < t->month; month++)
        days += days_in_month(t->year, month);
    days += t->day - 1;
    return SECONDS_MIN + (int64_t)days * SECONDS_PER_DAY + t->hour * 3600 + t->minute * 60 +
           t->second;
}

/* --- formats --- */

static uint8_t encode(const struct mc146818 *rtc, unsigned n)
{
    return (uint8_t)((rtc->ram[REG_B] & B_BINARY) ? n : (n / 10 << 4 | n % 10));
}

static unsigned decode(const struct mc146818 *rtc, uint8_t value)
{
    return (rtc->ram[REG_B] & B_BINARY) ? value : (value >> 4) * 10u + (value & 15);
}

static uint8_t encode_hour(const struct mc146818 *rtc, unsigned hour)
{
    if (rtc->ram[REG_B] & B_24H)
        return encode(rtc, hour);
    return (uint8_t)(encode(rtc, (hour + 11) % 12 + 1) | (hour >= 12 ? HOURS_PM : 0));
}

static unsigned decode_hour(const struct mc146818 *rtc, uint8_t value)
{
    if (rtc->ram[REG_B] & B_24H)
        return decode(rtc, value);
    return decode(rtc, value & 0x7f) % 12 + ((value & HOURS_PM) ? 12u : 0u);
}

static unsigned clamp(unsigned n, unsigned least, unsigned most)
{
    return n < least ? least : n > most ? most : n;
}

/* --- time --- */

static bool divider_in_reset(const struct mc146818 *rtc)
{
    return (rtc->ram[REG_A] & A_DV_RESET) == A_DV_RESET;
}

static bool stands_still(const struct mc146818 *rtc)
{
    return (rtc->ram[REG_B] & B_SET) || divider_in_reset(rtc);
}

/* Updates from base_ns to `ns`, one a second. */
static int64_t updates_at(const struct mc146818 *rtc, uint64_t ns)
{
    return (int64_t)((ns - rtc->base_ns) / NS_PER_SEC);
}

static uint64_t ns_of_update(const struct mc146818 *rtc, int64_t n)
{
    return rtc->base_ns + (uint64_t)n * NS_PER_SEC;
}

/* What the running clock shows at `ns`; after the year 9999 it begins again with the year 0. */
static int64_t seconds_at(const struct mc146818 *rtc, uint64_t ns)
{
    int64_t range = SECONDS_MAX - SECONDS_MIN + 1;
    int64_t since = (int64_t)rtc->base_seconds + updates_at(rtc, ns) - SECONDS_MIN;

    return (since % range + range) % range + SECONDS_MIN;
}

/* Divider pulses from base_ns to `ns`. A second is a multiple of every period, so all count alike.
 */
static uint64_t divider_at(const struct mc146818 *rtc, uint64_t ns)
{
    return ns_to_ticks(ns - rtc->base_ns, DIVIDER_HZ);
}

static uint64_t ns_of_divider(const struct mc146818 *rtc, uint64_t pulse)
{
    return rtc->base_ns + ticks_to_ns(pulse, DIVIDER_HZ);
}

/* Divider pulses from one periodic interrupt to the next, 0 for none. */
static uint64_t periodic_pulses(const struct mc146818 *rtc)
{
    unsigned rs = rtc->ram[REG_A] & A_RS;

    if (rs == 0 || divider_in_reset(rtc))
        return 0;
    return rs < 3 ? 64u << rs : 1u << (rs - 1);
}

static uint64_t now_ns(const struct mc146818 *rtc)
{
    return clock_now_ns(rtc->clock);
}

/* --- alarm --- */

static bool alarm_matches(const struct mc146818 *rtc, unsigned reg, uint8_t shown)
{
    uint8_t alarm = rtc->ram[reg];

    return (alarm & ALARM_DONT_CARE) == ALARM_DONT_CARE || alarm == shown;
}

/*
 * The first moment after `after` at which the clock shows the alarm's time, in the clock's seconds,
 * or NO_SECOND. Goes by hours, then minutes, then seconds: 150 steps at most.
 */
static int64_t next_alarm(const struct mc146818 *rtc, int64_t after)
{
    int64_t t = after + 1;

    while (t - after <= SECONDS_PER_DAY + 3600) {
        unsigned of_day = (unsigned)((t - SECONDS_MIN) % SECONDS_PER_DAY);

        if (!alarm_matches(rtc, REG_HOURS_ALARM, encode_hour(rtc, of_day / 3600)))
            t += 3600 - of_day % 3600;
        else if (!alarm_matches(rtc, REG_MINUTES_ALARM, encode(rtc, of_day / 60 % 60)))
            t += 60 - of_day % 60;
        else if (!alarm_matches(rtc, REG_SECONDS_ALARM, encode(rtc, of_day % 60)))
            t++;
        else
            return t;
    }
    return NO_SECOND;
}

/* --- flags --- */

bool mc146818_irq_level(const struct mc146818 *rtc)
{
    return (rtc->ram[REG_C] & rtc->ram[REG_B] & C_FLAGS) != 0;
}

/* The flags that came up in (seen_ns, now]. */
static uint8_t new_flags(const struct mc146818 *rtc, uint64_t now)
{
    uint64_t pulses = periodic_pulses(rtc);
    int64_t seconds = (int64_t)rtc->base_seconds + updates_at(rtc, rtc->seen_ns);
    int64_t passed = updates_at(rtc, now) - updates_at(rtc, rtc->seen_ns);
    uint8_t flags = 0;

    if (pulses != 0 && divider_at(rtc, now) / pulses > divider_at(rtc, rtc->seen_ns) / pulses)
        flags |= C_PF;
    if (!stands_still(rtc) && passed > 0) {
        int64_t alarm = next_alarm(rtc, seconds);

        flags |= C_UF;
        if (alarm != NO_SECOND && alarm - seconds <= passed)
            flags |= C_AF;
    }
    return flags;
}

static void sync_flags(struct mc146818 *rtc)
{
    uint64_t now = now_ns(rtc);

    rtc->ram[REG_C] |= new_flags(rtc, now);
    rtc->seen_ns = now;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When the next flag comes up that is enabled and clear; flags are synced. */
static uint64_t next_event_ns(const struct mc146818 *rtc)
{
    uint8_t wanted = rtc->ram[REG_B] & (uint8_t)~rtc->ram[REG_C];
    uint64_t pulses = periodic_pulses(rtc);
    uint64_t now = rtc->seen_ns;
    int64_t updates = updates_at(rtc, now);
    uint64_t event = CLOCK_NEVER;

    if ((wanted & B_PIE) && pulses != 0)
        event = ns_of_divider(rtc, (divider_at(rtc, now) / pulses + 1) * pulses);
    if (stands_still(rtc))
        return event;
    if (wanted & B_UIE)
        event = earlier(event, ns_of_update(rtc, updates + 1));
    if (wanted & B_AIE) {
        int64_t seconds = (int64_t)rtc->base_seconds + updates;
        int64_t alarm = next_alarm(rtc, seconds);

        if (alarm != NO_SECOND)
            event = earlier(event, ns_of_update(rtc, updates + alarm - seconds));
    }
    return event;
}

/* Drives the line and arms the timer. */
static void update(struct mc146818 *rtc)
{
    irq_set(&rtc->irq8, mc146818_irq_level(rtc));
    timer_set(&rtc->timer, next_event_ns(rtc));
}

/* --- stopping and starting the clock --- */

static uint8_t time_register(const struct mc146818 *rtc, const struct civil *t, uint8_t reg)
{
    switch (reg) {
    case REG_SECONDS: return encode(rtc, t->second);
    case REG_MINUTES: return encode(rtc, t->minute);
    case REG_HOURS: return encode_hour(rtc, t->hour);
    case REG_DAY_OF_WEEK: return encode(rtc, (t->dow + rtc->dow_shift) % 7 + 1);
    case REG_DAY: return encode(rtc, t->day);
    case REG_MONTH: return encode(rtc, t->month);
    case REG_YEAR: return encode(rtc, t->year % 100);
    default: return encode(rtc, t->year / 100);
    }
}

static const uint8_t time_registers[] = {REG_SECONDS, REG_MINUTES, REG_HOURS, REG_DAY_OF_WEEK,
                                         REG_DAY,     REG_MONTH,   REG_YEAR,  REG_CENTURY};

static bool is_time_register(uint8_t reg)
{
    return memchr(time_registers, reg, sizeof(time_registers)) != NULL;
}

/* Puts what the clock shows into the registers. */
static void freeze_time(struct mc146818 *rtc)
{
    struct civil t = civil_from_seconds(seconds_at(rtc, now_ns(rtc)));

    for (unsigned i = 0; i < sizeof(time_registers); i++)
        rtc->ram[time_registers[i]] = time_register(rtc, &t, time_registers[i]);
}

/* Lets the clock go on from what the registers hold; updates come when they would have. */
static void resume_time(struct mc146818 *rtc)
{
    struct civil t;
    unsigned dow = clamp(decode(rtc, rtc->ram[REG_DAY_OF_WEEK]), 1, 7) - 1;
    int64_t seconds;

    t.year = clamp(decode(rtc, rtc->ram[REG_CENTURY]), 0, 99) * 100 +
             clamp(decode(rtc, rtc->ram[REG_YEAR]), 0, 99);
    t.month = clamp(decode(rtc, rtc->ram[REG_MONTH]), 1, 12);
    t.day = clamp(decode(rtc, rtc->ram[REG_DAY]), 1, days_in_month(t.year, t.month));
    t.hour = clamp(decode_hour(rtc, rtc->ram[REG_HOURS]), 0, 23);
    t.minute = clamp(decode(rtc, rtc->ram[REG_MINUTES]), 0, 59);
    t.second = clamp(decode(rtc, rtc->ram[REG_SECONDS]), 0, 59);
    seconds = seconds_from_civil(&t);
    rtc->dow_shift = (uint8_t)((dow + 7 - civil_from_seconds(seconds).dow) % 7);
    rtc->base_ns = ns_of_update(rtc, updates_at(rtc, now_ns(rtc)));
    rtc->base_seconds = (uint64_t)seconds;
}

/* --- registers --- */

static void write_control(struct mc146818 *rtc, uint8_t reg, uint8_t value)
{
    bool was_still = stands_still(rtc);
    bool was_reset = divider_in_reset(rtc);
    uint8_t before = rtc->ram[reg];

    if (!was_still)
        freeze_time(rtc); /* in the format of before; without effect should it not stop */
    if (reg == REG_B && (value & ~before & B_SET))
        value &= (uint8_t)~B_UIE;
    rtc->ram[reg] = value;
    if (was_reset && !divider_in_reset(rtc))
        rtc->base_ns = now_ns(rtc) - HALF_SECOND_NS;
    if (was_still && !stands_still(rtc))
        resume_time(rtc);
}

static void write_time(struct mc146818 *rtc, uint8_t reg, uint8_t value)
{
    if (stands_still(rtc)) {
        rtc->ram[reg] = value;
        return;
    }
    freeze_time(rtc);
    rtc->ram[reg] = value;
    resume_time(rtc);
}

static void write_register(struct mc146818 *rtc, uint8_t reg, uint8_t value)
{
    sync_flags(rtc);
    if (is_time_register(reg))
        write_time(rtc, reg, value);
    else if (reg == REG_A)
        write_control(rtc, reg, value & (uint8_t)~A_UIP);
    else if (reg == REG_B)
        write_control(rtc, reg, value);
    else if (reg != REG_C && reg != REG_D)
        rtc->ram[reg] = value;
    update(rtc);
}

static bool update_in_progress(const struct mc146818 *rtc)
{
    uint64_t into = (now_ns(rtc) - rtc->base_ns) % NS_PER_SEC;

    return !stands_still(rtc) && into >= NS_PER_SEC - UIP_NS;
}

static uint8_t peek_register(const struct mc146818 *rtc, uint8_t reg)
{
    struct civil t;
    uint8_t flags;

    if (reg == REG_A)
        return rtc->ram[reg] | (update_in_progress(rtc) ? A_UIP : 0);
    if (reg == REG_C) {
        flags = rtc->ram[reg] | new_flags(rtc, now_ns(rtc));
        return flags | ((flags & rtc->ram[REG_B]) ? C_IRQF : 0);
    }
    if (!is_time_register(reg) || stands_still(rtc))
        return rtc->ram[reg];
    t = civil_from_seconds(seconds_at(rtc, now_ns(rtc)));
    return time_register(rtc, &t, reg);
}

static uint8_t read_register(struct mc146818 *rtc, uint8_t reg)
{
    uint8_t value = peek_register(rtc, reg);

    if (reg == REG_C) { /* reading takes all flags back */
        sync_flags(rtc);
        rtc->ram[REG_C] = 0;
        update(rtc);
    }
    return value;
}

/* --- ports --- */

#define OFFSET_INDEX       0
#define OFFSET_DATA        1
#define OFFSET_UPPER_INDEX 2
#define OFFSET_UPPER_DATA  3

static uint64_t rtc_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct mc146818 *rtc = opaque;

    (void)size;
    if (offset == OFFSET_DATA)
        return peek_register(rtc, rtc->index);
    return offset == OFFSET_UPPER_DATA ? rtc->ram[128 + rtc->upper_index] : 0xff;
}

static uint64_t rtc_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mc146818 *rtc = opaque;

    if (offset == OFFSET_DATA)
        return read_register(rtc, rtc->index);
    return rtc_peek(opaque, offset, size);
}

static void set_nmi_mask(struct mc146818 *rtc, bool masked)
{
    rtc->nmi_masked = masked;
    if (rtc->set_nmi_mask != NULL)
        rtc->set_nmi_mask(rtc->opaque, masked);
}

static void rtc_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct mc146818 *rtc = opaque;

    (void)size;
    switch (offset) {
    case OFFSET_INDEX:
        rtc->index = value & 0x7f;
        set_nmi_mask(rtc, (value & 0x80) != 0);
        break;
    case OFFSET_DATA: write_register(rtc, rtc->index, (uint8_t)value); break;
    case OFFSET_UPPER_INDEX: rtc->upper_index = value & 0x7f; break;
    default: rtc->ram[128 + rtc->upper_index] = (uint8_t)value; break;
    }
}

static const struct bus_ops rtc_ops = {
    .read = rtc_read, .write = rtc_write, .peek = rtc_peek, .max_size = 1};

/* --- timer --- */

static void rtc_event(void *opaque)
{
    struct mc146818 *rtc = opaque;

    sync_flags(rtc);
    update(rtc);
}

/* --- life cycle --- */

void mc146818_reset(void *obj)
{
    struct mc146818 *rtc = obj;

    sync_flags(rtc);
    rtc->ram[REG_B] &= (uint8_t) ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    rtc->ram[REG_C] = 0;
    rtc->index = 0;
    rtc->upper_index = 0;
    set_nmi_mask(rtc, false);
    update(rtc);
}

/* CMOS memory as a PC's firmware keeps it. */
#define CMOS_EQUIPMENT      0x14
#define CMOS_BASE_KIB       0x15 /* memory below 640 KiB, in KiB */
#define CMOS_EXT_KIB        0x17 /* memory above 1 MiB, in KiB, at most FFFFh */
#define CMOS_CHECKSUM_BEGIN 0x10
#define CMOS_CHECKSUM_END   0x2e /* and the sum itself, high byte first */
#define CMOS_EXT_KIB_FOUND  0x30 /* the same as 17h */
#define CMOS_ABOVE_16M      0x34 /* memory from 16 MiB to 4 GiB, in 64 KiB */
#define CMOS_ABOVE_4G       0x5b /* memory above 4 GiB, in 64 KiB, three bytes */
#define EQUIPMENT_FPU       0x02

#define KIB 1024ULL
#define MIB (1024 * KIB)

static void put_cmos(struct mc146818 *rtc, uint8_t at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        rtc->ram[at + i] = (uint8_t)(value >> (8 * i));
}

/* Memory beyond `from`, in `unit`s, as far as it can be said in `bytes` bytes. */
static uint64_t memory_beyond(uint64_t ram_bytes, uint64_t from, uint64_t unit, unsigned bytes)
{
    uint64_t units = ram_bytes > from ? (ram_bytes - from) / unit : 0;
    uint64_t most = (1ULL << (8 * bytes)) - 1;

    return units < most ? units : most;
}

static void put_checksum(struct mc146818 *rtc)
{
    unsigned sum = 0;

    for (unsigned i = CMOS_CHECKSUM_BEGIN; i < CMOS_CHECKSUM_END; i++)
        sum += rtc->ram[i];
    rtc->ram[CMOS_CHECKSUM_END] = (uint8_t)(sum >> 8);
    rtc->ram[CMOS_CHECKSUM_END + 1] = (uint8_t)sum;
}

static void fill_cmos(struct mc146818 *rtc, const struct mc146818_wiring *wiring)
{
    uint64_t low = wiring->ram_low_bytes;
    uint64_t base = low < 640 * KIB ? low : 640 * KIB;

    rtc->ram[CMOS_EQUIPMENT] = EQUIPMENT_FPU;
    put_cmos(rtc, CMOS_BASE_KIB, base / KIB, 2);
    put_cmos(rtc, CMOS_EXT_KIB, memory_beyond(low, MIB, KIB, 2), 2);
    put_cmos(rtc, CMOS_EXT_KIB_FOUND, memory_beyond(low, MIB, KIB, 2), 2);
    put_cmos(rtc, CMOS_ABOVE_16M, memory_beyond(low, 16 * MIB, 64 * KIB, 2), 2);
    put_cmos(rtc, CMOS_ABOVE_4G, memory_beyond(wiring->ram_high_bytes, 0, 64 * KIB, 3), 3);
    put_checksum(rtc);
}

void mc146818_set_cmos(struct mc146818 *rtc, uint8_t index, uint8_t value)
{
    if (index <= REG_D || index == REG_CENTURY)
        return;
    rtc->ram[index] = value;
    put_checksum(rtc);
}

static int64_t within_calendar(int64_t seconds)
{
    if (seconds < SECONDS_MIN)
        return SECONDS_MIN;
    return seconds > SECONDS_MAX ? SECONDS_MAX : seconds;
}

void mc146818_init(struct mc146818 *rtc, const struct mc146818_wiring *wiring)
{
    *rtc = (struct mc146818){
        .base_seconds = (uint64_t)within_calendar(wiring->rtc_base),
        .clock = wiring->clock,
        .irq8 = wiring->irq8,
        .set_nmi_mask = wiring->set_nmi_mask,
        .opaque = wiring->opaque,
    };
    rtc->ram[REG_A] = A_DV_32KHZ | 6; /* 1024 Hz, as firmware sets it */
    rtc->ram[REG_B] = B_24H;
    rtc->ram[REG_D] = D_VRT;
    fill_cmos(rtc, wiring);
    timer_init(&rtc->timer, wiring->clock, rtc_event, rtc, "rtc");
    bus_add(wiring->ports, &rtc->range, "rtc", 0x70, 4, &rtc_ops, rtc);
    mc146818_reset(rtc);
}
