/* SPDX-License-Identifier: MIT */
/* The high precision event timer, after the IA-PC HPET specification 1.0a. */
#include "device_test.h"

#include <devices/hpet.h>

#define CONFIG    0x010u
#define STATUS    0x020u
#define COUNTER   0x0f0u
#define CONF(n)   (0x100u + 0x20u * (n))
#define CMP(n)    (0x108u + 0x20u * (n))
#define COUNT_NS  10u
#define LEVEL     0x002u
#define INT       0x004u
#define PERIODIC  0x008u
#define VAL_SET   0x040u
#define MODE_32   0x100u
#define ROUTE(p)  ((uint64_t)(p) << 9)

struct world {
    struct fake_machine fm;
    struct hpet hpet;
    struct irq_recorder gsi;
    struct irq_recorder isa;
};

static void set_isa(void *opaque, uint16_t lines, bool legacy)
{
    struct world *w = opaque;

    for (unsigned i = 0; i < 16; i++)
        if (((lines ^ w->hpet.isa_lines) >> i & 1) != 0)
            irq_recorder_set(&w->isa, i, lines >> i & 1);
    w->hpet.isa_lines = lines;
    w->hpet.isa_legacy = legacy;
}

static void set_gsi(void *opaque, unsigned pin, bool level)
{
    irq_recorder_set(&((struct world *)opaque)->gsi, pin, level);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    fake_init(&w->fm);
    irq_recorder_init(&w->gsi);
    irq_recorder_init(&w->isa);
    hpet_init(&w->hpet, &(struct hpet_wiring){.clock = &w->fm.clock,
                                              .memory = &w->fm.memory,
                                              .set_gsi = set_gsi,
                                              .set_isa = set_isa,
                                              .opaque = w});
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    assert_state_survives(&hpet_desc, &w->hpet);
    free(w);
    return 0;
}

static uint64_t get(struct world *w, unsigned reg)
{
    return bus_read(&w->fm.memory, HPET_BASE + reg, 8);
}

static void set(struct world *w, unsigned reg, uint64_t value)
{
    bus_write(&w->fm.memory, HPET_BASE + reg, value, 8);
    assert_state_survives(&hpet_desc, &w->hpet);
}

static void counts(struct world *w, uint64_t n)
{
    fake_advance(&w->fm, n * COUNT_NS);
    clock_run_due(&w->fm.clock);
}

static void capabilities_and_reset_values(void **state)
{
    struct world *w = *state;

    assert_int_equal(get(w, 0), 0x009896808086a201);
    assert_int_equal(get(w, CONFIG), 0);
    assert_int_equal(get(w, COUNTER), 0);
    for (unsigned n = 0; n < 3; n++) {
        assert_int_equal(get(w, CONF(n)), 0x00f0000000000030);
        assert_int_equal(get(w, CMP(n)), UINT64_MAX);
        assert_int_equal(get(w, CMP(n) + 8), 0); /* no FSB */
    }
    assert_int_equal(get(w, 0x160), 0);
    assert_int_equal(get(w, 0x3f8), 0);
}

static void only_writable_bits_change(void **state)
{
    struct world *w = *state;

    set(w, 0, 0);
    assert_int_equal(get(w, 0), 0x009896808086a201);
    set(w, CONFIG, UINT64_MAX);
    assert_int_equal(get(w, CONFIG), 3);
    set(w, CONF(1), UINT64_MAX);
    assert_int_equal(get(w, CONF(1)), 0x00f000000000017e);
    set(w, CONF(1), 0);
    assert_int_equal(get(w, CONF(1)), 0x00f0000000000030);
}

static void the_counter_runs_while_enabled(void **state)
{
    struct world *w = *state;

    counts(w, 100);
    assert_int_equal(get(w, COUNTER), 0);
    set(w, CONFIG, 1);
    counts(w, 100);
    assert_int_equal(get(w, COUNTER), 100);
    fake_advance(&w->fm, 9);
    assert_int_equal(get(w, COUNTER), 100);
    set(w, CONFIG, 1); /* no change loses nothing */
    fake_advance(&w->fm, 1);
    assert_int_equal(get(w, COUNTER), 101);
    set(w, CONFIG, 0);
    counts(w, 50);
    assert_int_equal(get(w, COUNTER), 101);
    set(w, COUNTER, 0xfffffffffffffff0);
    set(w, CONFIG, 1);
    counts(w, 0x20);
    assert_int_equal(get(w, COUNTER), 0x10);
}

static void halves_and_bytes_of_registers(void **state)
{
    struct world *w = *state;

    bus_write(&w->fm.memory, HPET_BASE + COUNTER, 0x11223344, 4);
    bus_write(&w->fm.memory, HPET_BASE + COUNTER + 4, 0x55667788, 4);
    assert_int_equal(get(w, COUNTER), 0x5566778811223344);
    assert_int_equal(bus_read(&w->fm.memory, HPET_BASE + COUNTER + 4, 4), 0x55667788);
    bus_write(&w->fm.memory, HPET_BASE + COUNTER + 1, 0xaa, 1);
    assert_int_equal(bus_read(&w->fm.memory, HPET_BASE + COUNTER, 2), 0xaa44);
    assert_int_equal(bus_read(&w->fm.memory, HPET_BASE + 4, 4), 10000000);
    bus_write(&w->fm.memory, HPET_BASE + CMP(0) - 4, 0x1234567800000000, 8); /* across two */
    assert_int_equal(get(w, CMP(0)), 0xffffffff12345678);
}

static void one_shot_at_the_comparator(void **state)
{
    struct world *w = *state;

    set(w, CONF(2), INT | ROUTE(21));
    set(w, CMP(2), 1000);
    set(w, CONFIG, 1);
    counts(w, 999);
    assert_int_equal(w->gsi.rises[21], 0);
    counts(w, 1);
    assert_int_equal(w->gsi.rises[21], 1);
    assert_true(w->gsi.level[21]); /* an 8259 wants it to stay */
    assert_int_equal(get(w, STATUS), 0);
    set(w, CMP(2), 500); /* passed: not before the counter wraps */
    counts(w, 10000);
    assert_int_equal(w->gsi.rises[21], 1);
    set(w, CMP(2), 20000);
    counts(w, 9000);
    assert_int_equal(w->gsi.rises[21], 2);
    assert_int_equal(w->gsi.falls[21], 1);
    set(w, CONF(2), ROUTE(21));
    assert_false(w->gsi.level[21]);
}

static void level_follows_the_status_bit(void **state)
{
    struct world *w = *state;

    set(w, CONF(0), LEVEL | INT | ROUTE(20));
    set(w, CMP(0), 100);
    set(w, CONFIG, 1);
    counts(w, 100);
    assert_int_equal(get(w, STATUS), 1);
    assert_true(w->gsi.level[20]);
    set(w, CONF(0), LEVEL | ROUTE(20)); /* the status stays, the line does not */
    assert_false(w->gsi.level[20]);
    assert_int_equal(get(w, STATUS), 1);
    set(w, CONF(0), LEVEL | INT | ROUTE(20));
    assert_true(w->gsi.level[20]);
    set(w, STATUS, 6);
    assert_true(w->gsi.level[20]);
    set(w, STATUS, 1);
    assert_false(w->gsi.level[20]);
    assert_int_equal(get(w, STATUS), 0);
}

static void periodic_goes_on_from_its_own_time(void **state)
{
    struct world *w = *state;

    set(w, CONF(0), INT | PERIODIC | VAL_SET | ROUTE(22));
    set(w, CMP(0), 1000);
    assert_int_equal(get(w, CONF(0)) & VAL_SET, 0);
    set(w, CMP(0), 300); /* the period alone */
    assert_int_equal(get(w, CMP(0)), 1000);
    set(w, CONFIG, 1);
    counts(w, 1000);
    assert_int_equal(w->gsi.rises[22], 1);
    assert_int_equal(get(w, CMP(0)), 1300);
    counts(w, 3000);
    assert_int_equal(w->gsi.rises[22], 11);
    assert_int_equal(get(w, CMP(0)), 4300);
    set(w, CMP(0), 0); /* no period: once more, and then not before the counter wraps */
    counts(w, 10000);
    assert_int_equal(w->gsi.rises[22], 12);
}

static void thirty_two_bits_wrap(void **state)
{
    struct world *w = *state;

    set(w, COUNTER, 0x7fffffff0);
    set(w, CONF(1), INT | MODE_32 | ROUTE(23));
    assert_int_equal(get(w, CMP(1)), UINT32_MAX);
    set(w, CMP(1), 0x123456789abcdef0 & ~0xffffffffULL);
    assert_int_equal(get(w, CMP(1)), 0);
    set(w, CONFIG, 1);
    counts(w, 0x10);
    assert_int_equal(w->gsi.rises[23], 1);
}

static void legacy_replacement_takes_interrupts_0_and_8(void **state)
{
    struct world *w = *state;

    set(w, CONF(0), INT | ROUTE(20));
    set(w, CONF(1), INT);
    set(w, CONF(2), INT | ROUTE(20));
    for (unsigned n = 0; n < 3; n++)
        set(w, CMP(n), 100 * (n + 1));
    assert_false(w->hpet.isa_legacy);
    set(w, CONFIG, 3);
    assert_true(w->hpet.isa_legacy);
    counts(w, 300);
    assert_int_equal(w->isa.rises[0], 1);
    assert_int_equal(w->isa.rises[8], 1);
    assert_int_equal(w->gsi.rises[20], 1); /* timer 2 */
    set(w, CONFIG, 1);
    assert_false(w->isa.level[0]);
    assert_false(w->isa.level[8]);
    assert_false(w->hpet.isa_legacy);
    set(w, CONFIG, 2); /* not without the counter */
    assert_false(w->hpet.isa_legacy);
}

static void a_level_timer_that_may_not_interrupt_sets_its_status(void **state)
{
    struct world *w = *state;

    set(w, CONF(1), LEVEL | ROUTE(21)); /* 2.3.8: "still operate and generate appropriate status bits" */
    set(w, CMP(1), 50);
    set(w, CONFIG, 1);
    counts(w, 50);
    assert_int_equal(get(w, STATUS), 2);
    assert_false(w->gsi.level[21]);
    set(w, CONF(1), LEVEL | INT | ROUTE(21));
    assert_true(w->gsi.level[21]);
    set(w, CONFIG, 0); /* halted: no interrupts, and the status stays */
    assert_false(w->gsi.level[21]);
    assert_int_equal(get(w, STATUS), 2);
    assert_int_equal(get(w, COUNTER), 50);
    counts(w, 50);
    assert_int_equal(get(w, COUNTER), 50);
}

static void two_timers_share_an_input(void **state)
{
    struct world *w = *state;

    for (unsigned n = 0; n < 2; n++) {
        set(w, CONF(n), LEVEL | INT | ROUTE(22));
        set(w, CMP(n), 10 + n);
    }
    set(w, CONFIG, 1);
    counts(w, 11);
    assert_int_equal(get(w, STATUS), 3);
    set(w, STATUS, 1);
    assert_true(w->gsi.level[22]);
    set(w, STATUS, 2);
    assert_false(w->gsi.level[22]);
}

static void a_route_that_is_not_offered_does_not_read_back(void **state)
{
    struct world *w = *state;

    for (unsigned pin = 0; pin < 32; pin++) {
        set(w, CONF(0), ROUTE(21));
        set(w, CONF(0), ROUTE(pin));
        assert_int_equal(get(w, CONF(0)) & ROUTE(31), HPET_ROUTES >> pin & 1 ? ROUTE(pin) : ROUTE(21));
    }
}

static void a_timer_without_a_route_interrupts_nowhere(void **state)
{
    struct world *w = *state;

    for (unsigned pin = 0; pin < 32; pin++) {
        if (HPET_ROUTES >> pin & 1)
            continue;
        set(w, CONFIG, 0);
        set(w, COUNTER, 0);
        set(w, CONF(0), INT | ROUTE(pin));
        set(w, CMP(0), 5);
        set(w, CONFIG, 1);
        counts(w, 10);
    }
    for (unsigned pin = 0; pin < IRQ_RECORDER_PINS; pin++)
        assert_int_equal(w->gsi.rises[pin], 0);
}

static void far_deadlines_and_short_periods_are_survived(void **state)
{
    struct world *w = *state;

    set(w, COUNTER, 10);
    set(w, CONF(0), INT | PERIODIC | VAL_SET | ROUTE(20));
    set(w, CMP(0), 9); /* 2^64 - 1 counts ahead */
    set(w, CONFIG, 1);
    counts(w, 1000);
    assert_int_equal(w->gsi.rises[20], 0);
    set(w, CONF(1), INT | PERIODIC | VAL_SET | MODE_32 | ROUTE(21));
    set(w, CMP(1), 2000);
    set(w, CMP(1), 1);
    counts(w, 2000);
    assert_in_range(w->gsi.rises[21], 1000, 1011);
}

static void only_timers_that_matter_have_deadlines(void **state)
{
    struct world *w = *state;

    set(w, CMP(0), 100);
    set(w, CONFIG, 1);
    assert_true(clock_next_deadline_ns(&w->fm.clock) == CLOCK_NEVER);
    set(w, CONF(0), INT);
    assert_false(clock_next_deadline_ns(&w->fm.clock) == CLOCK_NEVER);
    set(w, CONFIG, 0);
    assert_true(clock_next_deadline_ns(&w->fm.clock) == CLOCK_NEVER);
}

static void states_that_no_hpet_holds_are_rejected(void **state)
{
    struct world *w = *state;
    uint8_t saved[256];
    size_t size = state_saved_size(&hpet_desc);
    struct hpet bad = w->hpet;

    assert_true(size <= sizeof(saved));
    bad.timers[1].config = 0; /* the capabilities are missing */
    state_save(&hpet_desc, &bad, saved);
    assert_int_equal(state_load(&hpet_desc, &w->hpet, saved, size), -1);
    bad = w->hpet;
    bad.isa_lines = 0x10;
    state_save(&hpet_desc, &bad, saved);
    assert_int_equal(state_load(&hpet_desc, &w->hpet, saved, size), -1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(capabilities_and_reset_values),
        T(only_writable_bits_change),
        T(the_counter_runs_while_enabled),
        T(halves_and_bytes_of_registers),
        T(one_shot_at_the_comparator),
        T(level_follows_the_status_bit),
        T(periodic_goes_on_from_its_own_time),
        T(thirty_two_bits_wrap),
        T(legacy_replacement_takes_interrupts_0_and_8),
        T(a_level_timer_that_may_not_interrupt_sets_its_status),
        T(two_timers_share_an_input),
        T(a_route_that_is_not_offered_does_not_read_back),
        T(a_timer_without_a_route_interrupts_nowhere),
        T(far_deadlines_and_short_periods_are_survived),
        T(only_timers_that_matter_have_deadlines),
        T(states_that_no_hpet_holds_are_rejected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
