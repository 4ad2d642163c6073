/* SPDX-License-Identifier: MIT */
/* The real-time clock: registers, calendar, interrupts, CMOS memory. */
#include "device_test.h"

#include <devices/mc146818.h>

#define INDEX  0x70
#define DATA   0x71
#define REG_A  0x0a
#define REG_B  0x0b
#define REG_C  0x0c
#define REG_D  0x0d
#define SET    0x80
#define PIE    0x40
#define AIE    0x20
#define UIE    0x10
#define BINARY 0x04
#define H24    0x02
#define MIB    (1ULL << 20)

/* 2023-12-31 23:59:58 UTC, a Sunday */
#define BASE 1704067198LL

struct fixture {
    struct fake_machine fm;
    struct irq_recorder rec;
    struct mc146818 rtc;
    bool nmi_masked;
    unsigned nmi_calls;
};

static void note_nmi(void *opaque, bool masked)
{
    struct fixture *f = opaque;

    f->nmi_masked = masked;
    f->nmi_calls++;
}

static void check(struct fixture *f)
{
    assert_state_survives(&mc146818_desc, &f->rtc);
    assert_int_equal(f->rec.level[8], mc146818_irq_level(&f->rtc));
}

static uint8_t get(struct fixture *f, uint8_t reg)
{
    uint8_t peeked, value;

    out8(&f->fm, INDEX, reg);
    peeked = peek8(&f->fm, DATA);
    value = in8(&f->fm, DATA);
    assert_int_equal(peeked, value);
    check(f);
    return value;
}

static void put(struct fixture *f, uint8_t reg, uint8_t value)
{
    out8(&f->fm, INDEX, reg);
    out8(&f->fm, DATA, value);
    check(f);
}

/* Century, year, month, day, hours, minutes, seconds, as the registers show them. */
static void assert_shows(struct fixture *f, const uint8_t expected[7])
{
    static const uint8_t regs[7] = {0x32, 9, 8, 7, 4, 2, 0};

    for (unsigned i = 0; i < 7; i++) {
        uint8_t value = get(f, regs[i]);

        if (value != expected[i])
            fail_msg("register %02x is %02x, expected %02x", regs[i], value, expected[i]);
    }
}

#define SHOWS(f, ...) assert_shows(f, (const uint8_t[7]){__VA_ARGS__})

static void set_time(struct fixture *f, const uint8_t value[7])
{
    static const uint8_t regs[7] = {0x32, 9, 8, 7, 4, 2, 0};
    uint8_t b = get(f, REG_B);

    put(f, REG_B, b | SET);
    for (unsigned i = 0; i < 7; i++)
        put(f, regs[i], value[i]);
    put(f, REG_B, b & (uint8_t)~SET);
}

#define SET_TIME(f, ...) set_time(f, (const uint8_t[7]){__VA_ARGS__})

static void init(struct fixture *f, int64_t base, uint64_t low, uint64_t high)
{
    memset(f, 0, sizeof(*f));
    fake_init(&f->fm);
    mc146818_init(&f->rtc, &(struct mc146818_wiring){
                               .clock = &f->fm.clock,
                               .ports = &f->fm.ports,
                               .irq8 = irq_recorder_line(&f->rec, 8),
                               .rtc_base = base,
                               .ram_low_bytes = low,
                               .ram_high_bytes = high,
                               .set_nmi_mask = note_nmi,
                               .opaque = f,
                           });
}

static int setup(void **state)
{
    struct fixture *f = malloc(sizeof(*f));

    init(f, BASE, 512 * MIB, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void the_time_is_the_base_plus_virtual_seconds(void **state)
{
    struct fixture *f = *state;

    SHOWS(f, 0x20, 0x23, 0x12, 0x31, 0x23, 0x59, 0x58);
    assert_int_equal(get(f, 6), 1);
    fake_run_until(&f->fm, NS_PER_SEC - 1);
    assert_int_equal(get(f, 0), 0x58);
    fake_run_until(&f->fm, NS_PER_SEC);
    assert_int_equal(get(f, 0), 0x59);
    fake_run_until(&f->fm, 2 * NS_PER_SEC);
    SHOWS(f, 0x20, 0x24, 0x01, 0x01, 0x00, 0x00, 0x00);
    assert_int_equal(get(f, 6), 2);
}

static void binary_mode_shows_numbers(void **state)
{
    struct fixture *f = *state;

    put(f, REG_B, H24 | BINARY);
    SHOWS(f, 20, 23, 12, 31, 23, 59, 58);
}

static void twelve_hour_mode_marks_the_afternoon(void **state)
{
    static const uint8_t bcd[24] = {0x12, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
                                    0x08, 0x09, 0x10, 0x11, 0x92, 0x81, 0x82, 0x83,
                                    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x90, 0x91};
    struct fixture *f = *state;

    for (unsigned h = 0; h < 24; h++) {
        put(f, REG_B, 0);
        SET_TIME(f, 0x20, 0x24, 0x05, 0x06, bcd[h], 0x07, 0x08);
        assert_int_equal(get(f, 4), bcd[h]);
        put(f, REG_B, H24 | BINARY);
        assert_int_equal(get(f, 4), h);
        put(f, REG_B, BINARY);
        assert_int_equal(get(f, 4), (h + 11) % 12 + 1 + (h >= 12 ? 0x80 : 0));
    }
}

static void setting_the_time_under_set_stops_and_starts_it(void **state)
{
    struct fixture *f = *state;

    fake_advance(&f->fm, 300 * MSEC_NS);
    put(f, REG_B, SET | H24);
    fake_advance(&f->fm, 5 * NS_PER_SEC);
    assert_int_equal(get(f, 0), 0x58);
    put(f, 0x32, 0x19);
    put(f, 9, 0x99);
    put(f, 8, 0x02);
    put(f, 7, 0x28);
    put(f, 4, 0x23);
    put(f, 2, 0x59);
    put(f, 0, 0x59);
    put(f, 6, 0x01);
    put(f, REG_B, H24);
    SHOWS(f, 0x19, 0x99, 0x02, 0x28, 0x23, 0x59, 0x59);
    fake_advance(&f->fm, 700 * MSEC_NS - 1); /* the divider went on: updates stay where they were */
    assert_int_equal(get(f, 0), 0x59);
    fake_advance(&f->fm, 1);
    SHOWS(f, 0x19, 0x99, 0x03, 0x01, 0x00, 0x00, 0x00);
    assert_int_equal(get(f, 6), 2);
}

static void a_write_without_set_changes_the_running_time(void **state)
{
    struct fixture *f = *state;

    put(f, 2, 0x10);
    SHOWS(f, 0x20, 0x23, 0x12, 0x31, 0x23, 0x10, 0x58);
    fake_advance(&f->fm, 2 * NS_PER_SEC);
    SHOWS(f, 0x20, 0x23, 0x12, 0x31, 0x23, 0x11, 0x00);
}

static void a_day_of_the_week_of_the_guests_own_goes_on_from_there(void **state)
{
    struct fixture *f = *state;

    put(f, 6, 5);
    assert_int_equal(get(f, 6), 5);
    fake_advance(&f->fm, 2 * NS_PER_SEC);
    assert_int_equal(get(f, 6), 6);
    fake_advance(&f->fm, 2 * 86400 * NS_PER_SEC);
    assert_int_equal(get(f, 6), 1);
}

static void leap_years_are_gregorian(void **state)
{
    static const struct {
        uint8_t century, year, month, day;
    } after_feb28[] = {
        {0x20, 0x24, 0x02, 0x29}, {0x20, 0x23, 0x03, 0x01}, {0x20, 0x00, 0x02, 0x29},
        {0x19, 0x00, 0x03, 0x01}, {0x21, 0x00, 0x03, 0x01}, {0x24, 0x00, 0x02, 0x29},
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < 6; i++) {
        SET_TIME(f, after_feb28[i].century, after_feb28[i].year, 0x02, 0x28, 0x23, 0x59, 0x59);
        fake_advance(&f->fm, NS_PER_SEC);
        SHOWS(f, after_feb28[i].century, after_feb28[i].year, after_feb28[i].month,
              after_feb28[i].day, 0, 0, 0);
    }
}

static void every_day_of_four_centuries_follows_the_one_before(void **state)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct fixture *f = *state;
    unsigned y = 1899, m = 12, d = 31, dow = 0; /* a Sunday */

    put(f, REG_B, SET | H24 | BINARY);
    put(f, 0x32, 18);
    put(f, 9, 99);
    put(f, 8, 12);
    put(f, 7, 31);
    put(f, 6, 1);
    put(f, 4, 12);
    put(f, REG_B, H24 | BINARY);
    for (unsigned n = 0; n < 146097; n++) {
        out8(&f->fm, INDEX, 9);
        assert_int_equal(in8(&f->fm, DATA), y % 100);
        out8(&f->fm, INDEX, 8);
        assert_int_equal(in8(&f->fm, DATA), m);
        out8(&f->fm, INDEX, 7);
        assert_int_equal(in8(&f->fm, DATA), d);
        out8(&f->fm, INDEX, 6);
        assert_int_equal(in8(&f->fm, DATA), dow + 1);
        fake_advance(&f->fm, 86400 * NS_PER_SEC);
        dow = (dow + 1) % 7;
        if (++d >
            days[m - 1] + (m == 2 && ((y % 4 == 0 && y % 100 != 0) || y % 400 == 0) ? 1u : 0u)) {
            d = 1;
            if (++m > 12) {
                m = 1;
                y++;
            }
        }
    }
    assert_int_equal(y, 2299);
}

static void values_that_are_no_date_are_brought_into_range(void **state)
{
    struct fixture *f = *state;

    put(f, REG_B, SET | H24);
    for (unsigned reg = 0; reg < 10; reg++)
        put(f, (uint8_t)reg, 0xff);
    assert_int_equal(get(f, 8), 0xff); /* memory, while it stands still */
    put(f, REG_B, H24);
    SHOWS(f, 0x20, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59);
    put(f, REG_B, SET | H24);
    put(f, 8, 0);
    put(f, 7, 0);
    put(f, REG_B, H24);
    SHOWS(f, 0x20, 0x99, 0x01, 0x01, 0x23, 0x59, 0x59);
}

static void after_the_year_9999_comes_the_year_0(void **state)
{
    struct fixture *f = *state;

    SET_TIME(f, 0x99, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59);
    fake_advance(&f->fm, NS_PER_SEC);
    SHOWS(f, 0, 0, 1, 1, 0, 0, 0);
}

static void any_rtc_base_gives_a_date(void **state)
{
    struct fixture *f = *state;

    init(f, INT64_MIN, MIB, 0);
    SHOWS(f, 0, 0, 1, 1, 0, 0, 0);
    init(f, INT64_MAX, MIB, 0);
    SHOWS(f, 0x99, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59);
    init(f, 0, MIB, 0);
    SHOWS(f, 0x19, 0x70, 0x01, 0x01, 0, 0, 0);
    assert_int_equal(get(f, 6), 5);
}

static void uip_rises_244_us_before_an_update(void **state)
{
    struct fixture *f = *state;

    fake_run_until(&f->fm, NS_PER_SEC - 245 * USEC_NS);
    assert_int_equal(get(f, REG_A) & 0x80, 0);
    fake_run_until(&f->fm, NS_PER_SEC - 244 * USEC_NS);
    assert_int_equal(get(f, REG_A) & 0x80, 0x80);
    put(f, REG_B, SET | H24); /* no update will come */
    assert_int_equal(get(f, REG_A) & 0x80, 0);
    put(f, REG_B, H24);
    fake_run_until(&f->fm, NS_PER_SEC);
    assert_int_equal(get(f, REG_A) & 0x80, 0);
    put(f, REG_A, 0xa6); /* UIP cannot be written */
    assert_int_equal(get(f, REG_A), 0x26);
}

static void divider_reset_stops_time_and_restarts_it_half_a_second_before_an_update(void **state)
{
    struct fixture *f = *state;

    fake_advance(&f->fm, 123 * MSEC_NS);
    put(f, REG_A, 0x76);
    get(f, REG_C);
    fake_advance(&f->fm, 10 * NS_PER_SEC);
    assert_int_equal(get(f, 0), 0x58);
    assert_int_equal(get(f, REG_C), 0); /* no periodic flag either */
    put(f, REG_A, 0x26);
    fake_advance(&f->fm, 500 * MSEC_NS - 1);
    assert_int_equal(get(f, 0), 0x58);
    fake_advance(&f->fm, 1);
    assert_int_equal(get(f, 0), 0x59);
}

static void divider_reset_at_power_on_counts_from_before_it(void **state)
{
    struct fixture *f = *state;

    put(f, REG_A, 0x66);
    put(f, REG_A, 0x26);
    fake_advance(&f->fm, 500 * MSEC_NS - 1);
    assert_int_equal(get(f, 0), 0x58);
    fake_advance(&f->fm, 1);
    assert_int_equal(get(f, 0), 0x59);
}

static void update_ended_interrupts_each_second_until_c_is_read(void **state)
{
    struct fixture *f = *state;

    get(f, REG_C);
    put(f, REG_B, H24 | UIE);
    fake_run_until(&f->fm, NS_PER_SEC - 1);
    assert_false(f->rec.level[8]);
    fake_run_until(&f->fm, NS_PER_SEC);
    assert_true(f->rec.level[8]);
    fake_run_until(&f->fm, 5 * NS_PER_SEC);
    assert_int_equal(f->rec.rises[8], 1);
    assert_int_equal(get(f, REG_C) & 0x90, 0x90);
    assert_false(f->rec.level[8]);
    fake_run_until(&f->fm, 6 * NS_PER_SEC);
    assert_int_equal(f->rec.rises[8], 2);
}

static void set_clears_uie_when_it_rises(void **state)
{
    struct fixture *f = *state;

    put(f, REG_B, H24 | UIE);
    put(f, REG_B, H24 | UIE | SET);
    assert_int_equal(get(f, REG_B), H24 | SET);
}

static void periodic_rates_are_those_of_the_table(void **state)
{
    static const unsigned hz[16] = {0,   256, 128, 8192, 4096, 2048, 1024, 512,
                                    256, 128, 64,  32,   16,   8,    4,    2};
    struct fixture *f = *state;

    for (uint8_t rs = 0; rs < 16; rs++) {
        unsigned before;
        uint64_t end;

        put(f, REG_A, 0x20 | rs);
        put(f, REG_B, H24 | PIE);
        get(f, REG_C);
        before = f->rec.rises[8];
        end = fake_now(&f->fm) + NS_PER_SEC;
        while (clock_next_deadline_ns(&f->fm.clock) <= end) {
            fake_run_until(&f->fm, clock_next_deadline_ns(&f->fm.clock));
            out8(&f->fm, INDEX, REG_C);
            assert_int_equal(in8(&f->fm, DATA) & 0xc0, 0xc0);
        }
        fake_run_until(&f->fm, end);
        assert_int_equal(f->rec.rises[8] - before, hz[rs]);
        check(f);
    }
}

static void periodic_does_not_drift(void **state)
{
    struct fixture *f = *state;

    put(f, REG_A, 0x26);
    put(f, REG_B, H24 | PIE);
    for (unsigned i = 1; i <= 3000; i++) {
        assert_true(clock_next_deadline_ns(&f->fm.clock) == ticks_to_ns(i * 32ULL, 32768));
        fake_run_until(&f->fm, clock_next_deadline_ns(&f->fm.clock));
        out8(&f->fm, INDEX, REG_C);
        in8(&f->fm, DATA);
    }
}

static void periodic_goes_on_under_set(void **state)
{
    struct fixture *f = *state;

    put(f, REG_B, H24 | SET | PIE);
    fake_advance(&f->fm, 2 * MSEC_NS);
    assert_true(f->rec.level[8]);
}

static void flags_come_up_without_their_enables_and_no_timer(void **state)
{
    struct fixture *f = *state;

    put(f, 1, 0xff);
    put(f, 3, 0xff);
    put(f, 5, 0xff);
    get(f, REG_C);
    assert_true(clock_next_deadline_ns(&f->fm.clock) == CLOCK_NEVER);
    fake_advance(&f->fm, NS_PER_SEC);
    assert_int_equal(get(f, REG_C), 0x70);
    assert_int_equal(get(f, REG_C), 0x00);
    assert_false(f->rec.level[8]);
    fake_advance(&f->fm, NS_PER_SEC);
    put(f, REG_B, H24 | UIE); /* enabling a flag that is up interrupts at once */
    assert_true(f->rec.level[8]);
}

static void the_alarm_fires_at_its_time_and_no_other(void **state)
{
    struct fixture *f = *state;

    put(f, 1, 0x30);
    put(f, 3, 0x15);
    put(f, 5, 0x07);
    put(f, REG_B, H24 | AIE);
    fake_run_until(&f->fm, (2 + 7 * 3600 + 15 * 60 + 30) * NS_PER_SEC - 1);
    assert_false(f->rec.level[8]);
    fake_advance(&f->fm, 1);
    assert_true(f->rec.level[8]);
    assert_int_equal(get(f, REG_C) & 0xa0, 0xa0);
    fake_advance(&f->fm, 86400 * NS_PER_SEC - 1);
    assert_int_equal(f->rec.rises[8], 1);
    fake_advance(&f->fm, 1);
    assert_int_equal(f->rec.rises[8], 2);
}

static void dont_care_alarms_repeat(void **state)
{
    struct fixture *f = *state;
    unsigned before;

    put(f, 1, 0x00);
    put(f, 3, 0xc0);
    put(f, 5, 0xff); /* every minute */
    put(f, REG_B, H24 | AIE);
    before = f->rec.rises[8];
    for (unsigned i = 0; i < 120; i++) {
        fake_run_until(&f->fm, clock_next_deadline_ns(&f->fm.clock));
        get(f, REG_C);
    }
    assert_int_equal(f->rec.rises[8] - before, 120);
    assert_int_equal(fake_now(&f->fm), (2 + 119 * 60) * NS_PER_SEC);
    put(f, 1, 0xff);
    put(f, 3, 0xff); /* every second */
    assert_int_equal(clock_next_deadline_ns(&f->fm.clock), fake_now(&f->fm) + NS_PER_SEC);
}

static void an_alarm_in_twelve_hour_format_compares_the_pm_bit(void **state)
{
    struct fixture *f = *state;

    put(f, REG_B, 0);
    put(f, 1, 0x00);
    put(f, 3, 0x00);
    put(f, 5, 0x81); /* 1 pm */
    put(f, REG_B, AIE);
    assert_int_equal(clock_next_deadline_ns(&f->fm.clock), (2 + 13 * 3600) * NS_PER_SEC);
}

static void an_impossible_alarm_never_fires(void **state)
{
    struct fixture *f = *state;

    put(f, 1, 0x7f);
    put(f, REG_B, H24 | AIE);
    assert_true(clock_next_deadline_ns(&f->fm.clock) == CLOCK_NEVER);
    fake_advance(&f->fm, 100000 * NS_PER_SEC);
    assert_int_equal(get(f, REG_C) & 0x20, 0);
}

static void setting_the_time_moves_the_alarm(void **state)
{
    struct fixture *f = *state;

    put(f, 1, 0x00);
    put(f, 3, 0x00);
    put(f, 5, 0x12);
    put(f, REG_B, H24 | AIE);
    put(f, 4, 0x11); /* 11:59:58 */
    assert_int_equal(clock_next_deadline_ns(&f->fm.clock), 2 * NS_PER_SEC);
}

static void under_set_there_is_no_update_flag_and_no_alarm(void **state)
{
    struct fixture *f = *state;

    for (uint8_t reg = 1; reg <= 5; reg += 2)
        put(f, reg, 0xff);
    put(f, REG_B, H24 | SET);
    get(f, REG_C);
    fake_advance(&f->fm, 5 * NS_PER_SEC);
    assert_int_equal(get(f, REG_C) & 0x30, 0);
    put(f, REG_B, H24);
    fake_advance(&f->fm, NS_PER_SEC);
    assert_int_equal(get(f, REG_C) & 0x30, 0x30);
}

static void rate_0_has_no_periodic_flag(void **state)
{
    struct fixture *f = *state;

    put(f, REG_A, 0x20);
    get(f, REG_C);
    put(f, REG_B, H24 | PIE);
    fake_advance(&f->fm, 3 * NS_PER_SEC);
    assert_int_equal(get(f, REG_C) & 0xc0, 0);
    assert_int_equal(f->rec.rises[8], 0);
}

static void midnight_and_noon_are_12_in_twelve_hour_format(void **state)
{
    struct fixture *f = *state;

    put(f, REG_B, 0);
    fake_advance(&f->fm, 2 * NS_PER_SEC);
    assert_int_equal(get(f, 4), 0x12);
    fake_advance(&f->fm, 43200 * NS_PER_SEC);
    assert_int_equal(get(f, 4), 0x92);
    put(f, REG_B, BINARY);
    assert_int_equal(get(f, 4), 0x8c);
}

static void the_daylight_and_square_wave_bits_are_kept_and_reset_clears_the_latter(void **state)
{
    struct fixture *f = *state;

    put(f, REG_B, H24 | 0x09);
    assert_int_equal(get(f, REG_B), H24 | 0x09);
    mc146818_reset(&f->rtc);
    assert_int_equal(get(f, REG_B), H24 | 0x01);
}

static void peek_of_c_does_not_take_the_flags(void **state)
{
    struct fixture *f = *state;

    put(f, REG_B, H24 | UIE);
    fake_advance(&f->fm, NS_PER_SEC);
    out8(&f->fm, INDEX, REG_C);
    assert_int_equal(peek8(&f->fm, DATA) & 0x90, 0x90);
    assert_int_equal(peek8(&f->fm, DATA) & 0x90, 0x90);
    assert_true(f->rec.level[8]);
}

static void registers_c_and_d_cannot_be_written(void **state)
{
    struct fixture *f = *state;

    get(f, REG_C);
    put(f, REG_C, 0xff);
    put(f, REG_D, 0x00);
    assert_int_equal(get(f, REG_C), 0);
    assert_int_equal(get(f, REG_D), 0x80);
}

static void memory_is_kept_over_reset_and_so_is_the_time(void **state)
{
    struct fixture *f = *state;

    put(f, 0x0f, 0x0a);
    put(f, 0x7f, 0x77);
    out8(&f->fm, 0x72, 0x05);
    out8(&f->fm, 0x73, 0x55);
    put(f, 4, 0x10);
    put(f, REG_B, H24 | PIE | AIE | UIE | 0x08);
    fake_advance(&f->fm, NS_PER_SEC);
    assert_true(f->rec.level[8]);
    mc146818_reset(&f->rtc);
    check(f);
    assert_false(f->rec.level[8]);
    assert_int_equal(get(f, REG_B), H24);
    assert_int_equal(get(f, 0x0f), 0x0a);
    assert_int_equal(get(f, 0x7f), 0x77);
    assert_int_equal(get(f, 4), 0x10);
    out8(&f->fm, 0x72, 0x05);
    assert_int_equal(in8(&f->fm, 0x73), 0x55);
    assert_int_equal(in8(&f->fm, INDEX), 0xff);
}

static void bit_7_of_the_index_masks_nmi(void **state)
{
    struct fixture *f = *state;

    out8(&f->fm, INDEX, 0x8f);
    assert_true(f->nmi_masked);
    assert_true(f->rtc.nmi_masked);
    put(f, 0x0f, 0x12);
    assert_false(f->nmi_masked);
    out8(&f->fm, INDEX, 0x8f);
    assert_int_equal(in8(&f->fm, DATA), 0x12);
    mc146818_reset(&f->rtc);
    assert_false(f->nmi_masked);
}

static unsigned get16(struct fixture *f, uint8_t reg)
{
    return get(f, reg) | (unsigned)get(f, (uint8_t)(reg + 1)) << 8;
}

static void memory_sizes_are_where_firmware_keeps_them(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(get16(f, 0x15), 640);
    assert_int_equal(get16(f, 0x17), 0xffff);
    assert_int_equal(get16(f, 0x30), 0xffff);
    assert_int_equal(get16(f, 0x34), (512 - 16) * 16);
    assert_int_equal(get16(f, 0x5b) | get(f, 0x5d), 0);
    init(f, BASE, 8 * MIB, 0);
    assert_int_equal(get16(f, 0x17), 7 * 1024);
    assert_int_equal(get16(f, 0x34), 0);
    init(f, BASE, 3072 * MIB, 61440 * MIB);
    assert_int_equal(get16(f, 0x34), (3072 - 16) * 16);
    assert_int_equal(get16(f, 0x5b) | (unsigned)get(f, 0x5d) << 16, 61440 * 16);
}

static void the_checksum_covers_10h_to_2dh(void **state)
{
    struct fixture *f = *state;
    unsigned sum = 0;

    mc146818_set_cmos(&f->rtc, 0x10, 0x40);
    mc146818_set_cmos(&f->rtc, 0x00, 0x40); /* the time is not the board's */
    for (uint8_t i = 0x10; i < 0x2e; i++)
        sum += get(f, i);
    assert_int_equal((unsigned)get(f, 0x2e) << 8 | get(f, 0x2f), sum);
    assert_int_equal(get(f, 0x10), 0x40);
    assert_int_equal(get(f, 0), 0x58);
}

static void every_saved_byte_is_in_the_table(void **state)
{
    (void)state;
    assert_every_field_in_table(&mc146818_desc, 0, MEMBER_END(struct mc146818, nmi_masked));
}

static void a_state_outside_the_calendar_is_rejected(void **state)
{
    struct fixture *f = *state;
    uint8_t saved[MEMBER_END(struct mc146818, nmi_masked)];

    state_save(&mc146818_desc, &f->rtc, saved);
    saved[6] = 0x70;
    assert_int_equal(state_load(&mc146818_desc, &f->rtc, saved, sizeof(saved)), -1);
    saved[6] = 0;
    saved[offsetof(struct mc146818, dow_shift)] = 7;
    assert_int_equal(state_load(&mc146818_desc, &f->rtc, saved, sizeof(saved)), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_time_is_the_base_plus_virtual_seconds),
        TEST(binary_mode_shows_numbers),
        TEST(twelve_hour_mode_marks_the_afternoon),
        TEST(setting_the_time_under_set_stops_and_starts_it),
        TEST(a_write_without_set_changes_the_running_time),
        TEST(a_day_of_the_week_of_the_guests_own_goes_on_from_there),
        TEST(leap_years_are_gregorian),
        TEST(every_day_of_four_centuries_follows_the_one_before),
        TEST(values_that_are_no_date_are_brought_into_range),
        TEST(after_the_year_9999_comes_the_year_0),
        TEST(any_rtc_base_gives_a_date),
        TEST(uip_rises_244_us_before_an_update),
        TEST(divider_reset_stops_time_and_restarts_it_half_a_second_before_an_update),
        TEST(divider_reset_at_power_on_counts_from_before_it),
        TEST(update_ended_interrupts_each_second_until_c_is_read),
        TEST(set_clears_uie_when_it_rises),
        TEST(periodic_rates_are_those_of_the_table),
        TEST(periodic_does_not_drift),
        TEST(periodic_goes_on_under_set),
        TEST(flags_come_up_without_their_enables_and_no_timer),
        TEST(the_alarm_fires_at_its_time_and_no_other),
        TEST(dont_care_alarms_repeat),
        TEST(an_alarm_in_twelve_hour_format_compares_the_pm_bit),
        TEST(an_impossible_alarm_never_fires),
        TEST(setting_the_time_moves_the_alarm),
        TEST(under_set_there_is_no_update_flag_and_no_alarm),
        TEST(rate_0_has_no_periodic_flag),
        TEST(midnight_and_noon_are_12_in_twelve_hour_format),
        TEST(the_daylight_and_square_wave_bits_are_kept_and_reset_clears_the_latter),
        TEST(peek_of_c_does_not_take_the_flags),
        TEST(registers_c_and_d_cannot_be_written),
        TEST(memory_is_kept_over_reset_and_so_is_the_time),
        TEST(bit_7_of_the_index_masks_nmi),
        TEST(memory_sizes_are_where_firmware_keeps_them),
        TEST(the_checksum_covers_10h_to_2dh),
        TEST(every_saved_byte_is_in_the_table),
        TEST(a_state_outside_the_calendar_is_rejected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
