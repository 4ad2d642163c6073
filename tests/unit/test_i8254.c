/* SPDX-License-Identifier: MIT */
/*
 * The 8254 against the data sheet's diagrams, and against a model that does tick: reference_clk()
 * below goes pulse by pulse, and a long random session must agree with it at every pulse.
 */
#include "device_test.h"

#include <devices/i8254.h>

#define CONTROL 0x43
#define CH0     0x40
#define CH2     0x42

struct fixture {
    struct fake_machine fm;
    struct irq_recorder rec;
    struct i8254 pit;
    uint64_t origin; /* tick from which tests count */
};

static void check(struct fixture *f)
{
    assert_state_survives(&i8254_desc, &f->pit);
    assert_int_equal(f->rec.level[0], i8254_irq_level(&f->pit));
}

static uint64_t tick_now(const struct fixture *f)
{
    return ns_to_ticks(fake_now(&f->fm), I8254_HZ);
}

static void to_tick(struct fixture *f, uint64_t tick)
{
    fake_run_until(&f->fm, ticks_to_ns(f->origin + tick, I8254_HZ));
    check(f);
}

static void out(struct fixture *f, uint16_t port, uint8_t value)
{
    out8(&f->fm, port, value);
    check(f);
}

/* Programs channel 2 for two-byte counts, with its gate high, and writes the count at tick 0. */
static void start(struct fixture *f, uint8_t mode, uint16_t count)
{
    out(f, 0x61, 1);
    out(f, CONTROL, (uint8_t)(0xb0 | mode << 1));
    out(f, CH2, (uint8_t)count);
    out(f, CH2, (uint8_t)(count >> 8));
    f->origin = tick_now(f);
}

static void gate2(struct fixture *f, bool level)
{
    out(f, 0x61, level);
}

static bool out2(struct fixture *f)
{
    bool level = (in8(&f->fm, 0x61) & 0x20) != 0;

    assert_int_equal(level, i8254_out(&f->pit, 2));
    return level;
}

static uint16_t count2(struct fixture *f)
{
    uint16_t low, high;

    out(f, CONTROL, 0x80);
    low = in8(&f->fm, CH2);
    check(f);
    high = in8(&f->fm, CH2);
    return (uint16_t)(low | high << 8);
}

/* OUT of channel 2 as a string, one character a tick from `from`. */
static void assert_wave(struct fixture *f, uint64_t from, const char *wave)
{
    for (size_t i = 0; wave[i] != '\0'; i++) {
        to_tick(f, from + i);
        if (out2(f) != (wave[i] == '1'))
            fail_msg("OUT is not %c at tick %llu", wave[i], (unsigned long long)(from + i));
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    fake_init(&f->fm);
    i8254_init(&f->pit, &(struct i8254_wiring){.clock = &f->fm.clock,
                                               .ports = &f->fm.ports,
                                               .irq0 = irq_recorder_line(&f->rec, 0)});
    fake_advance(&f->fm, 12345678);
    f->origin = tick_now(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void mode0_goes_high_n_plus_1_after_the_write_and_stays(void **state)
{
    struct fixture *f = *state;

    start(f, 0, 4);
    assert_wave(f, 0, "00000111");
    to_tick(f, 1000000);
    assert_true(out2(f));
}

static void mode0_count_is_loaded_at_the_next_pulse_and_wraps(void **state)
{
    struct fixture *f = *state;

    start(f, 0, 3);
    to_tick(f, 1);
    assert_int_equal(count2(f), 3);
    to_tick(f, 4);
    assert_int_equal(count2(f), 0);
    to_tick(f, 5);
    assert_int_equal(count2(f), 0xffff);
}

static void mode0_gate_pauses_the_count(void **state)
{
    struct fixture *f = *state;

    start(f, 0, 4);
    to_tick(f, 3);
    gate2(f, false);
    to_tick(f, 10);
    assert_int_equal(count2(f), 2);
    assert_false(out2(f));
    gate2(f, true);
    assert_wave(f, 10, "0011");
}

static void mode0_loads_with_gate_low_and_counts_when_it_rises(void **state)
{
    struct fixture *f = *state;

    start(f, 0, 9);
    gate2(f, false);
    out(f, CH2, 3);
    out(f, CH2, 0);
    to_tick(f, 20);
    assert_int_equal(count2(f), 3);
    gate2(f, true);
    assert_wave(f, 20, "0001");
}

static void mode0_first_byte_of_a_new_count_stops_it_and_lowers_out(void **state)
{
    struct fixture *f = *state;

    start(f, 0, 2);
    to_tick(f, 5);
    assert_true(out2(f));
    out(f, CH2, 5);
    assert_false(out2(f));
    to_tick(f, 50);
    assert_false(out2(f));
    gate2(f, false);
    gate2(f, true); /* half a count holds it back, whatever the gate does */
    to_tick(f, 60);
    out(f, CH2, 0);
    assert_wave(f, 60, "0000001");
}

static void mode1_is_a_retriggerable_one_shot(void **state)
{
    struct fixture *f = *state;

    start(f, 1, 3);
    assert_wave(f, 0, "11111");
    gate2(f, false);
    gate2(f, true);
    assert_wave(f, 4, "100011"); /* low from the pulse after the trigger, for N */
    gate2(f, false);
    gate2(f, true);
    to_tick(f, 11);
    gate2(f, false);
    gate2(f, true); /* again while low: it starts anew */
    assert_wave(f, 11, "000011");
}

static void mode1_takes_a_new_count_at_the_next_trigger(void **state)
{
    struct fixture *f = *state;

    start(f, 1, 3);
    gate2(f, false);
    gate2(f, true);
    to_tick(f, 1);
    out(f, CH2, 5);
    out(f, CH2, 0);
    assert_wave(f, 1, "00011");
    gate2(f, false);
    gate2(f, true);
    assert_wave(f, 5, "10000011");
}

static void mode2_is_low_for_the_last_pulse_of_n(void **state)
{
    struct fixture *f = *state;

    start(f, 2, 4);
    assert_wave(f, 0, "111101110111");
}

static void mode2_counts_from_n_to_1(void **state)
{
    struct fixture *f = *state;

    start(f, 2, 3);
    for (unsigned i = 0; i < 9; i++) {
        to_tick(f, 1 + i);
        assert_int_equal(count2(f), 3 - i % 3);
    }
}

static void mode2_takes_a_new_count_at_the_end_of_the_period(void **state)
{
    struct fixture *f = *state;

    start(f, 2, 4);
    to_tick(f, 2);
    out(f, CH2, 2);
    out(f, CH2, 0);
    assert_wave(f, 2, "1101010101");
}

static void mode2_gate_low_raises_out_and_gate_high_reloads(void **state)
{
    struct fixture *f = *state;

    start(f, 2, 4);
    to_tick(f, 4);
    assert_false(out2(f));
    gate2(f, false);
    assert_true(out2(f));
    assert_wave(f, 4, "11111111");
    gate2(f, true);
    assert_wave(f, 11, "1111011101");
}

static void mode3_even_is_half_high_half_low(void **state)
{
    struct fixture *f = *state;

    start(f, 3, 4);
    assert_wave(f, 0, "11100110011");
}

static void mode3_odd_is_high_one_pulse_longer(void **state)
{
    struct fixture *f = *state;

    start(f, 3, 5);
    assert_wave(f, 0, "1111001110011100");
}

static void mode3_counts_by_two(void **state)
{
    static const uint16_t even[] = {6, 4, 2, 6, 4, 2, 6};
    static const uint16_t odd[] = {4, 2, 0, 4, 2, 4, 2, 0};
    struct fixture *f = *state;

    start(f, 3, 6);
    for (unsigned i = 0; i < 7; i++) {
        to_tick(f, 1 + i);
        assert_int_equal(count2(f), even[i]);
    }
    start(f, 3, 5);
    for (unsigned i = 0; i < 8; i++) {
        to_tick(f, 1 + i);
        assert_int_equal(count2(f), odd[i]);
    }
}

static void mode3_reload_while_counting_waits_for_the_half(void **state)
{
    struct fixture *f = *state;

    start(f, 3, 8);
    to_tick(f, 2);
    out(f, CH2, 4);
    out(f, CH2, 0);
    assert_wave(f, 2, "11100110011");
}

static void mode3_gate_low_raises_out_and_gate_high_starts_again(void **state)
{
    struct fixture *f = *state;

    start(f, 3, 4);
    to_tick(f, 3);
    gate2(f, false);
    assert_wave(f, 3, "1111");
    gate2(f, true);
    assert_wave(f, 6, "1110011");
}

static void mode4_strobes_once_n_plus_1_after_the_write(void **state)
{
    struct fixture *f = *state;

    start(f, 4, 3);
    assert_wave(f, 0, "1111011111");
    to_tick(f, 200000); /* CE has wrapped three times: no other strobe */
    assert_true(out2(f));
}

static void mode4_gate_pauses_and_a_new_count_restarts(void **state)
{
    struct fixture *f = *state;

    start(f, 4, 3);
    to_tick(f, 2);
    gate2(f, false);
    to_tick(f, 9);
    gate2(f, true);
    assert_wave(f, 9, "11011");
    out(f, CH2, 2);
    assert_wave(f, 13, "1111");
    out(f, CH2, 0);
    assert_wave(f, 16, "11101");
}

static void mode5_strobes_n_plus_1_after_a_trigger(void **state)
{
    struct fixture *f = *state;

    start(f, 5, 3);
    assert_wave(f, 0, "111111");
    gate2(f, false);
    gate2(f, true);
    assert_wave(f, 5, "111101111");
}

static void mode1_does_not_care_for_a_falling_gate(void **state)
{
    struct fixture *f = *state;

    start(f, 1, 4);
    gate2(f, false);
    gate2(f, true);
    to_tick(f, 2);
    gate2(f, false); /* "GATE has no effect on OUT" */
    assert_wave(f, 2, "000111");
    assert_int_equal(count2(f), 0xfffe); /* nor on the count, which goes on from 0 */
}

static void a_trigger_takes_the_new_count_at_once_in_modes_2_and_3(void **state)
{
    struct fixture *f = *state;

    start(f, 2, 9);
    to_tick(f, 2);
    out(f, CH2, 3);
    out(f, CH2, 0);
    gate2(f, false);
    gate2(f, true);
    assert_wave(f, 2, "1110110");
    start(f, 3, 40);
    to_tick(f, 2);
    out(f, CH2, 4);
    out(f, CH2, 0);
    gate2(f, false);
    gate2(f, true);
    assert_wave(f, 2, "1110011001");
}

static void the_initial_count_is_loaded_with_gate_low(void **state)
{
    struct fixture *f = *state;

    for (uint8_t mode = 2; mode <= 4; mode++) {
        out(f, 0x61, 0);
        out(f, CONTROL, (uint8_t)(0xb0 | mode << 1));
        out(f, CH2, 6);
        out(f, CH2, 0);
        f->origin = tick_now(f);
        to_tick(f, 3);
        assert_true(out2(f));
        assert_int_equal(count2(f), 6);
        out(f, CONTROL, 0xe8);
        assert_int_equal(in8(&f->fm, CH2) & 0x40, 0); /* no null count: it is in use */
        to_tick(f, 30);
        assert_int_equal(count2(f), 6);
    }
}

static void gate_that_rises_with_the_write_does_not_save_the_loading_pulse(void **state)
{
    struct fixture *f = *state;

    out(f, 0x61, 0);
    out(f, CONTROL, 0xb0);
    out(f, CH2, 3);
    out(f, CH2, 0);
    gate2(f, true);
    f->origin = tick_now(f);
    assert_wave(f, 0, "000011");
}

static void mode4_first_byte_of_a_new_count_changes_nothing(void **state)
{
    struct fixture *f = *state;

    start(f, 4, 3);
    to_tick(f, 2);
    out(f, CH2, 7);
    assert_wave(f, 2, "11011");
}

static void mode5_is_retriggerable(void **state)
{
    struct fixture *f = *state;

    start(f, 5, 3);
    gate2(f, false);
    gate2(f, true);
    to_tick(f, 3);
    gate2(f, false);
    gate2(f, true);
    assert_wave(f, 3, "11110111");
    out(f, CH2, 1); /* a new count waits for the next trigger */
    out(f, CH2, 0);
    assert_wave(f, 10, "1111");
    gate2(f, false);
    gate2(f, true);
    assert_wave(f, 13, "110111");
}

static void a_control_word_forgets_latches_and_half_counts(void **state)
{
    struct fixture *f = *state;

    start(f, 2, 0x1234);
    to_tick(f, 1);
    out(f, CONTROL, 0xc8);
    out(f, CH2, 0x55); /* the first byte of a count */
    start(f, 2, 0x4321);
    to_tick(f, 1);
    assert_int_equal(in8(&f->fm, CH2), 0x21); /* neither status nor the count of before */
    assert_int_equal(in8(&f->fm, CH2), 0x43);
}

static void reads_and_writes_of_two_bytes_do_not_disturb_each_other(void **state)
{
    struct fixture *f = *state;

    start(f, 4, 0x1234);
    to_tick(f, 1);
    out(f, CONTROL, 0x80);
    assert_int_equal(in8(&f->fm, CH2), 0x34);
    out(f, CH2, 0x78);
    assert_int_equal(in8(&f->fm, CH2), 0x12);
    out(f, CH2, 0x56);
    to_tick(f, 2);
    assert_int_equal(count2(f), 0x5678);
}

static void bcd_counts_in_decimal(void **state)
{
    struct fixture *f = *state;

    out(f, 0x61, 1);
    out(f, CONTROL, 0xb1); /* mode 0, BCD */
    out(f, CH2, 0x00);
    out(f, CH2, 0x10);
    f->origin = tick_now(f);
    to_tick(f, 2);
    assert_int_equal(count2(f), 0x0999);
    to_tick(f, 1000);
    assert_false(out2(f));
    to_tick(f, 1001);
    assert_true(out2(f));
    to_tick(f, 1002);
    assert_int_equal(count2(f), 0x9999);
}

static void a_count_of_zero_is_the_largest(void **state)
{
    struct fixture *f = *state;

    start(f, 0, 0);
    to_tick(f, 0x10000);
    assert_false(out2(f));
    to_tick(f, 0x10001);
    assert_true(out2(f));
    out(f, CONTROL, 0xb1);
    out(f, CH2, 0);
    out(f, CH2, 0);
    f->origin = tick_now(f);
    to_tick(f, 10000);
    assert_false(out2(f));
    to_tick(f, 10001);
    assert_true(out2(f));
}

static void a_latched_count_stands_until_it_is_read(void **state)
{
    struct fixture *f = *state;

    start(f, 2, 0x1234);
    to_tick(f, 1);
    out(f, CONTROL, 0x80);
    to_tick(f, 0x100);
    out(f, CONTROL, 0x80); /* a second latch is ignored */
    assert_int_equal(peek8(&f->fm, CH2), 0x34);
    assert_int_equal(in8(&f->fm, CH2), 0x34);
    assert_int_equal(peek8(&f->fm, CH2), 0x12);
    assert_int_equal(in8(&f->fm, CH2), 0x12);
    assert_int_equal(in8(&f->fm, CH2), 0x35); /* and from here on it is the count itself */
    assert_int_equal(in8(&f->fm, CH2), 0x11);
}

static void lsb_only_and_msb_only_access(void **state)
{
    struct fixture *f = *state;

    out(f, 0x61, 1);
    out(f, CONTROL, 0x94); /* LSB, mode 2 */
    out(f, CH2, 0x80);
    f->origin = tick_now(f);
    to_tick(f, 0x11);
    assert_int_equal(in8(&f->fm, CH2), 0x70);
    assert_int_equal(in8(&f->fm, CH2), 0x70);
    out(f, CONTROL, 0xa4); /* MSB, mode 2 */
    out(f, CH2, 0x12);
    f->origin = tick_now(f);
    to_tick(f, 2);
    assert_int_equal(in8(&f->fm, CH2), 0x11);
    out(f, CONTROL, 0x80);
    assert_int_equal(in8(&f->fm, CH2), 0x11);
    to_tick(f, 0x102);
    assert_int_equal(in8(&f->fm, CH2), 0x10);
}

static void read_back_latches_status_before_count(void **state)
{
    struct fixture *f = *state;

    start(f, 3, 0x2000);
    to_tick(f, 1);
    out(f, CONTROL, 0xc8); /* count and status of channel 2 */
    assert_int_equal(in8(&f->fm, CH2), 0x80 | 0x36);
    assert_int_equal(in8(&f->fm, CH2), 0x00);
    assert_int_equal(in8(&f->fm, CH2), 0x20);
    to_tick(f, 0x1001);
    out(f, CONTROL, 0xe8); /* status only: OUT low now */
    out(f, CONTROL, 0xe8);
    assert_int_equal(peek8(&f->fm, CH2), 0x36);
    assert_int_equal(in8(&f->fm, CH2), 0x36);
    assert_int_equal(in8(&f->fm, CH2), 0x00); /* live count: 2000h */
}

static void read_back_of_several_channels_takes_one_moment(void **state)
{
    struct fixture *f = *state;

    out(f, CONTROL, 0x34);
    out(f, CH0, 0);
    out(f, CH0, 1);
    start(f, 2, 0x100);
    to_tick(f, 3);
    out(f, CONTROL, 0xda); /* counts of 0 and 2 */
    to_tick(f, 77);
    assert_int_equal(in8(&f->fm, CH0), 0xfe);
    assert_int_equal(in8(&f->fm, CH2), 0xfe);
}

static void null_count_shows_until_the_count_is_in_use(void **state)
{
    struct fixture *f = *state;

    out(f, 0x61, 1);
    out(f, CONTROL, 0xb4);
    out(f, CONTROL, 0xe8);
    assert_int_equal(in8(&f->fm, CH2) & 0x40, 0x40);
    start(f, 2, 4);
    out(f, CONTROL, 0xe8);
    assert_int_equal(in8(&f->fm, CH2) & 0x40, 0x40); /* until the pulse */
    to_tick(f, 1);
    out(f, CONTROL, 0xe8);
    assert_int_equal(in8(&f->fm, CH2) & 0x40, 0);
    out(f, CH2, 6);
    out(f, CH2, 0);
    out(f, CONTROL, 0xe8);
    assert_int_equal(in8(&f->fm, CH2) & 0x40, 0x40); /* until the period ends */
    to_tick(f, 5);
    out(f, CONTROL, 0xe8);
    assert_int_equal(in8(&f->fm, CH2) & 0x40, 0);
}

static void status_shows_the_control_word_as_written(void **state)
{
    struct fixture *f = *state;

    out(f, CONTROL, 0xbf); /* mode 7, which is 3, BCD */
    out(f, CONTROL, 0xe8);
    assert_int_equal(in8(&f->fm, CH2) & 0x3f, 0x3f);
}

static void channel0_interrupts_at_its_rate_without_drift(void **state)
{
    struct fixture *f = *state;
    unsigned before;
    uint64_t begin;

    out(f, CONTROL, 0x34);
    out(f, CH0, 0xa9); /* 1193: 1000.15 Hz */
    out(f, CH0, 0x04);
    begin = tick_now(f);
    before = f->rec.rises[0];
    fake_run_until(&f->fm, ticks_to_ns(begin + 1 + 1193 * 5000ULL, I8254_HZ));
    assert_int_equal(f->rec.rises[0] - before, 5000);
    fake_run_until(&f->fm, ticks_to_ns(begin + 1 + 1193 * 5001ULL, I8254_HZ) - 1);
    assert_int_equal(f->rec.rises[0] - before, 5000);
    fake_advance(&f->fm, 1);
    assert_int_equal(f->rec.rises[0] - before, 5001);
    check(f);
}

static void channel0_mode0_interrupts_once(void **state)
{
    struct fixture *f = *state;
    unsigned before;

    out(f, CONTROL, 0x30);
    assert_false(f->rec.level[0]);
    before = f->rec.rises[0];
    out(f, CH0, 100);
    out(f, CH0, 0);
    fake_advance(&f->fm, 1000 * MSEC_NS);
    assert_int_equal(f->rec.rises[0] - before, 1);
    assert_true(f->rec.level[0]);
    assert_true(clock_next_deadline_ns(&f->fm.clock) == CLOCK_NEVER);
}

static void after_reset_channel0_runs_at_18_hz(void **state)
{
    struct fixture *f = *state;
    unsigned before;

    i8254_reset(&f->pit);
    check(f);
    assert_int_equal(in8(&f->fm, 0x61) & 0x0f, 0);
    before = f->rec.rises[0];
    fake_advance(&f->fm, 10 * NS_PER_SEC);
    assert_int_equal(f->rec.rises[0] - before, 182);
}

static void port61_keeps_four_bits_and_toggles_refresh(void **state)
{
    struct fixture *f = *state;
    uint8_t first;

    out(f, 0x61, 0xff);
    assert_int_equal(in8(&f->fm, 0x61) & 0xcf, 0x0f);
    first = in8(&f->fm, 0x61) & 0x10;
    fake_advance(&f->fm, 15086);
    assert_int_not_equal(in8(&f->fm, 0x61) & 0x10, first);
    fake_advance(&f->fm, 15086);
    assert_int_equal(in8(&f->fm, 0x61) & 0x10, first);
}

static void port43_reads_as_a_floating_bus(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(in8(&f->fm, CONTROL), 0xff);
    assert_int_equal(peek8(&f->fm, CONTROL), 0xff);
}

/* --- the reference that ticks --- */

struct reference {
    unsigned mode;
    bool bcd;
    bool gate, out, loaded, load_next, counting, done;
    bool odd;   /* the count that mode 3's CE was loaded from */
    bool known; /* what CE holds follows from this programming */
    unsigned ce, cr; /* numbers, not digits */
};

static unsigned ref_mod(const struct reference *r)
{
    return r->bcd ? 10000 : 0x10000;
}

static void ref_control(struct reference *r, unsigned mode, bool bcd)
{
    bool gate = r->gate;
    unsigned ce = r->ce;

    memset(r, 0, sizeof(*r));
    r->mode = mode;
    r->bcd = bcd;
    r->gate = gate;
    r->ce = ce;
    r->out = mode != 0;
}

static void ref_first_byte(struct reference *r)
{
    if (r->mode == 0) {
        r->load_next = false;
        r->counting = false;
        r->known = false;
        r->out = false;
    }
}

static void ref_count(struct reference *r, unsigned n)
{
    bool first = !r->loaded;

    r->cr = n;
    r->loaded = true;
    if (r->mode == 0 || r->mode == 4) {
        r->load_next = true;
        r->out = r->mode == 4;
    } else if ((r->mode == 2 || r->mode == 3) && first) {
        r->load_next = true; /* whatever GATE is */
    }
}

static void ref_gate(struct reference *r, bool gate)
{
    bool rises = gate && !r->gate;

    r->gate = gate;
    if ((r->mode == 2 || r->mode == 3) && !gate) {
        r->out = true;
        r->counting = false;
    }
    if (r->mode == 4 && !gate && !r->out) {
        r->out = true; /* the device's documented choice */
        r->done = true;
    }
    if (rises && r->loaded && (r->mode == 1 || r->mode == 5 || r->mode == 2 || r->mode == 3)) {
        r->load_next = true;
        if (r->mode == 5)
            r->out = true;
    }
}

/* Mode 3 loads an odd count less one (data sheet, "Mode 3"). */
static void ref_reload(struct reference *r)
{
    r->odd = r->mode == 3 && (r->cr & 1);
    r->ce = r->cr - r->odd;
}

static void ref_load(struct reference *r)
{
    ref_reload(r);
    r->load_next = false;
    r->counting = r->gate || (r->mode != 2 && r->mode != 3);
    r->known = true;
    r->done = false;
    if (r->mode == 1)
        r->out = false;
    if (r->mode >= 2)
        r->out = true;
}

static void reference_clk(struct reference *r)
{
    unsigned m = ref_mod(r);

    if (r->load_next) {
        ref_load(r);
        return;
    }
    if (!r->counting || ((r->mode == 0 || r->mode == 4) && !r->gate))
        return;
    switch (r->mode) {
    case 0:
    case 1:
        r->ce = (r->ce + m - 1) % m;
        if (r->ce == 0)
            r->out = true;
        break;
    case 2:
        if (r->ce == 1) {
            r->ce = r->cr;
            r->out = true;
        } else {
            r->ce--;
            r->out = r->ce != 1;
        }
        break;
    case 3:
        if (r->ce == (r->odd && r->out ? 0 : 2)) { /* an odd count is high for one pulse more */
            r->out = !r->out;
            ref_reload(r);
        } else {
            r->ce -= 2;
        }
        break;
    default:
        r->ce = (r->ce + m - 1) % m;
        r->out = !(r->ce == 0 && !r->done);
        if (r->ce == 0)
            r->done = true;
        break;
    }
}

static unsigned digits(const struct reference *r, unsigned n)
{
    n %= ref_mod(r);
    return r->bcd ? n / 1000 << 12 | n / 100 % 10 << 8 | n / 10 % 10 << 4 | n % 10 : n;
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void random_program(struct fixture *f, struct reference *r, uint32_t *seed)
{
    unsigned n;

    switch (next_random(seed) % 8) {
    case 0:
        n = next_random(seed) % 6;
        ref_control(r, n, next_random(seed) & 1);
        out(f, CONTROL, (uint8_t)(0xb0 | n << 1 | r->bcd));
        return;
    case 1:
    case 2:
    case 3:
        gate2(f, !r->gate);
        ref_gate(r, !r->gate);
        return;
    default:
        n = 2 + next_random(seed) % 12;
        if (r->load_next && r->mode != 0 && r->mode != 4)
            return; /* which of two counts the pulse loads is not defined */
        out(f, CH2, (uint8_t)digits(r, n));
        ref_first_byte(r);
        out(f, CH2, 0);
        ref_count(r, n);
        return;
    }
}

static void a_random_session_agrees_with_a_model_that_ticks(void **state)
{
    struct fixture *f = *state;
    struct reference r;
    uint32_t seed = 20240607;

    out(f, 0x61, 0);
    memset(&r, 0, sizeof(r));
    ref_control(&r, 0, false);
    out(f, CONTROL, 0xb0);
    r.ce = count2(f);
    for (uint64_t tick = 1; tick < 200000; tick++) {
        fake_run_until(&f->fm, ticks_to_ns(f->origin + tick, I8254_HZ));
        reference_clk(&r);
        for (unsigned acts = next_random(&seed) % 16; acts < 3; acts++) /* several at one pulse */
            random_program(f, &r, &seed);
        if (out2(f) != r.out)
            fail_msg("tick %llu, mode %u: OUT differs", (unsigned long long)tick, r.mode);
        if (r.loaded && !r.load_next && r.known && count2(f) != digits(&r, r.ce))
            fail_msg("tick %llu, mode %u: count %x, expected %x", (unsigned long long)tick, r.mode,
                     count2(f), digits(&r, r.ce));
    }
}

static void hostile_counts_of_one_do_not_hang(void **state)
{
    struct fixture *f = *state;

    for (unsigned mode = 0; mode < 8; mode++) {
        out(f, CONTROL, (uint8_t)(0x30 | mode << 1));
        out(f, CH0, 1);
        out(f, CH0, 0);
        fake_advance(&f->fm, MSEC_NS);
        check(f);
    }
}

static void every_saved_byte_is_in_the_table(void **state)
{
    (void)state;
    assert_every_field_in_table(&i8254_desc, 0, MEMBER_END(struct i8254, port61));
}

static void a_running_period_of_one_is_rejected(void **state)
{
    struct fixture *f = *state;
    uint8_t saved[MEMBER_END(struct i8254, port61)];

    state_save(&i8254_desc, &f->pit, saved);
    assert_int_equal(state_load(&i8254_desc, &f->pit, saved, sizeof(saved)), 0);
    saved[offsetof(struct i8254_channel, reload)] = 1;
    saved[offsetof(struct i8254_channel, reload) + 2] = 0;
    assert_int_equal(state_load(&i8254_desc, &f->pit, saved, sizeof(saved)), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mode0_goes_high_n_plus_1_after_the_write_and_stays),
        TEST(mode0_count_is_loaded_at_the_next_pulse_and_wraps),
        TEST(mode0_gate_pauses_the_count),
        TEST(mode0_loads_with_gate_low_and_counts_when_it_rises),
        TEST(mode0_first_byte_of_a_new_count_stops_it_and_lowers_out),
        TEST(mode1_is_a_retriggerable_one_shot),
        TEST(mode1_takes_a_new_count_at_the_next_trigger),
        TEST(mode2_is_low_for_the_last_pulse_of_n),
        TEST(mode2_counts_from_n_to_1),
        TEST(mode2_takes_a_new_count_at_the_end_of_the_period),
        TEST(mode2_gate_low_raises_out_and_gate_high_reloads),
        TEST(mode3_even_is_half_high_half_low),
        TEST(mode3_odd_is_high_one_pulse_longer),
        TEST(mode3_counts_by_two),
        TEST(mode3_reload_while_counting_waits_for_the_half),
        TEST(mode3_gate_low_raises_out_and_gate_high_starts_again),
        TEST(mode4_strobes_once_n_plus_1_after_the_write),
        TEST(mode4_gate_pauses_and_a_new_count_restarts),
        TEST(mode5_strobes_n_plus_1_after_a_trigger),
        TEST(mode1_does_not_care_for_a_falling_gate),
        TEST(a_trigger_takes_the_new_count_at_once_in_modes_2_and_3),
        TEST(the_initial_count_is_loaded_with_gate_low),
        TEST(gate_that_rises_with_the_write_does_not_save_the_loading_pulse),
        TEST(mode4_first_byte_of_a_new_count_changes_nothing),
        TEST(mode5_is_retriggerable),
        TEST(a_control_word_forgets_latches_and_half_counts),
        TEST(reads_and_writes_of_two_bytes_do_not_disturb_each_other),
        TEST(bcd_counts_in_decimal),
        TEST(a_count_of_zero_is_the_largest),
        TEST(a_latched_count_stands_until_it_is_read),
        TEST(lsb_only_and_msb_only_access),
        TEST(read_back_latches_status_before_count),
        TEST(read_back_of_several_channels_takes_one_moment),
        TEST(null_count_shows_until_the_count_is_in_use),
        TEST(status_shows_the_control_word_as_written),
        TEST(channel0_interrupts_at_its_rate_without_drift),
        TEST(channel0_mode0_interrupts_once),
        TEST(after_reset_channel0_runs_at_18_hz),
        TEST(port61_keeps_four_bits_and_toggles_refresh),
        TEST(port43_reads_as_a_floating_bus),
        TEST(a_random_session_agrees_with_a_model_that_ticks),
        TEST(hostile_counts_of_one_do_not_hang),
        TEST(every_saved_byte_is_in_the_table),
        TEST(a_running_period_of_one_is_rejected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
