/* SPDX-License-Identifier: MIT */
/* pvpanic's one port. */
#include "device_test.h"

#include <devices/pvpanic.h>

struct world {
    struct fake_machine fm;
    struct pvpanic p;
    uint8_t events;
    unsigned calls;
};

static void on_event(void *opaque, uint8_t events)
{
    struct world *w = opaque;

    w->events = events;
    w->calls++;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    fake_init(&w->fm);
    pvpanic_init(&w->p,
                 &(struct pvpanic_wiring){.ports = &w->fm.ports, .event = on_event, .opaque = w});
    pvpanic_reset(&w->p);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    assert_state_survives(&pvpanic_desc, &w->p);
    free(w);
    return 0;
}

static void reading_gives_the_events_that_are_understood(void **state)
{
    struct world *w = *state;

    assert_int_equal(in8(&w->fm, 0x505), 0x03);
    assert_int_equal(peek8(&w->fm, 0x505), 0x03);
    assert_int_equal(w->calls, 0);
}

static void a_panic_is_remembered_and_reported(void **state)
{
    struct world *w = *state;

    assert_false(w->p.panicked);
    out8(&w->fm, 0x505, 0x01);
    assert_true(w->p.panicked);
    assert_false(w->p.crash_loaded);
    assert_int_equal(w->calls, 1);
    assert_int_equal(w->events, PVPANIC_PANICKED);
    out8(&w->fm, 0x505, 0x02);
    assert_true(w->p.panicked);
    assert_true(w->p.crash_loaded);
    assert_int_equal(w->events, PVPANIC_CRASH_LOADED);
    assert_int_equal(in8(&w->fm, 0x505), 0x03);
}

static void unknown_events_are_counted_only(void **state)
{
    struct world *w = *state;

    out8(&w->fm, 0x505, 0xfc);
    out8(&w->fm, 0x505, 0x00);
    assert_false(w->p.panicked);
    assert_int_equal(w->calls, 0);
    assert_int_equal(w->p.oddities, 2);
    out8(&w->fm, 0x505, 0xff);
    assert_int_equal(w->events, 0x03);
}

static void reset_forgets(void **state)
{
    struct world *w = *state;

    out8(&w->fm, 0x505, 0x03);
    pvpanic_reset(&w->p);
    assert_false(w->p.panicked);
    assert_false(w->p.crash_loaded);
}

static void nobody_needs_to_listen(void **state)
{
    struct fake_machine fm;
    struct pvpanic p;

    (void)state;
    fake_init(&fm);
    pvpanic_init(&p, &(struct pvpanic_wiring){.ports = &fm.ports});
    pvpanic_reset(&p);
    out8(&fm, 0x505, 0x01);
    assert_true(p.panicked);
}

static void every_field_is_saved(void **state)
{
    (void)state;
    assert_every_field_in_table(&pvpanic_desc, offsetof(struct pvpanic, panicked),
                                MEMBER_END(struct pvpanic, crash_loaded));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(reading_gives_the_events_that_are_understood),
        T(a_panic_is_remembered_and_reported),
        T(unknown_events_are_counted_only),
        T(reset_forgets),
        T(nobody_needs_to_listen),
        T(every_field_is_saved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
