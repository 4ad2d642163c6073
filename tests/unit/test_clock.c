/* SPDX-License-Identifier: MIT */
/* Virtual time and the event queue. */
#include "device_test.h"

struct firing {
    struct timer timer;
    char label;
    char *log;
    uint64_t again_after_ns; /* re-arms itself so much after now; 0: not */
    struct timer *cancels;
    struct timer *arms;
};

static void fire(void *opaque)
{
    struct firing *f = opaque;
    struct clock *clock = f->timer.clock;
    size_t at = strlen(f->log);

    assert_false(timer_pending(&f->timer));
    f->log[at] = f->label;
    f->log[at + 1] = '\0';
    if (f->again_after_ns != 0)
        timer_set(&f->timer, clock_now_ns(clock) + f->again_after_ns);
    if (f->cancels != NULL)
        timer_cancel(f->cancels);
    if (f->arms != NULL)
        timer_set(f->arms, clock_now_ns(clock));
}

static void firing_init(struct firing *f, struct clock *clock, char label, char *log)
{
    *f = (struct firing){.label = label, .log = log};
    timer_init(&f->timer, clock, fire, f, "firing");
}

static void timers_fire_by_deadline_then_by_order_of_init(void **state)
{
    struct clock clock;
    struct firing a, b, c;
    char log[8] = "";

    (void)state;
    clock_init(&clock, 1);
    firing_init(&a, &clock, 'a', log);
    firing_init(&b, &clock, 'b', log);
    firing_init(&c, &clock, 'c', log);
    timer_set(&c.timer, 10);
    timer_set(&b.timer, 20);
    timer_set(&a.timer, 20);
    assert_int_equal(clock_next_deadline_ns(&clock), 10);
    clock.icount = 9;
    clock_run_due(&clock);
    assert_string_equal(log, "");
    clock.icount = 30;
    clock_run_due(&clock);
    assert_string_equal(log, "cab");
    assert_true(clock_next_deadline_ns(&clock) == CLOCK_NEVER);
}

static void moving_and_cancelling_a_timer_keeps_the_next_deadline(void **state)
{
    struct clock clock;
    struct firing a, b;
    char log[8] = "";

    (void)state;
    clock_init(&clock, 1);
    firing_init(&a, &clock, 'a', log);
    firing_init(&b, &clock, 'b', log);
    timer_set(&a.timer, 10);
    timer_set(&b.timer, 15);
    timer_set(&a.timer, 20);
    assert_int_equal(clock_next_deadline_ns(&clock), 15);
    assert_int_equal(timer_deadline_ns(&a.timer), 20);
    timer_cancel(&b.timer);
    assert_int_equal(clock_next_deadline_ns(&clock), 20);
    assert_false(timer_pending(&b.timer));
    timer_cancel(&a.timer);
    assert_true(clock_next_deadline_ns(&clock) == CLOCK_NEVER);
}

static void a_callback_may_rearm_cancel_and_arm(void **state)
{
    struct clock clock;
    struct firing a, b, c;
    char log[8] = "";

    (void)state;
    clock_init(&clock, 1);
    firing_init(&a, &clock, 'a', log);
    firing_init(&b, &clock, 'b', log);
    firing_init(&c, &clock, 'c', log);
    a.again_after_ns = 5;
    a.cancels = &b.timer;
    a.arms = &c.timer;
    timer_set(&a.timer, 10);
    timer_set(&b.timer, 10);
    clock.icount = 10;
    clock_run_due(&clock);
    assert_string_equal(log, "ac");
    assert_int_equal(timer_deadline_ns(&a.timer), 15);
}

static void run_due_twice_at_one_boundary_is_run_due_once(void **state)
{
    struct clock clock;
    struct firing a, b;
    char log[8] = "";

    (void)state;
    clock_init(&clock, 1);
    firing_init(&a, &clock, 'a', log);
    firing_init(&b, &clock, 'b', log);
    b.arms = &a.timer; /* for now: due at this very boundary */
    timer_set(&b.timer, 3);
    clock.icount = 3;
    clock_run_due(&clock);
    assert_string_equal(log, "ba");
    clock_run_due(&clock);
    assert_string_equal(log, "ba");
}

static void at_the_end_of_time_no_timer_fires(void **state)
{
    struct clock clock;
    struct firing a;
    char log[8] = "";

    (void)state;
    clock_init(&clock, 1);
    firing_init(&a, &clock, 'a', log);
    timer_set(&a.timer, CLOCK_END - 1);
    clock_idle_until(&clock, clock_next_deadline_ns(&clock));
    a.again_after_ns = 1; /* a device that computes its next deadline, which saturates */
    clock_run_due(&clock);
    assert_string_equal(log, "a");
    assert_false(timer_pending(&a.timer));
    timer_set(&a.timer, CLOCK_NEVER - 1);
    assert_true(clock_next_deadline_ns(&clock) == CLOCK_NEVER);
}

static void time_is_icount_times_ns_per_insn_plus_idle(void **state)
{
    struct clock clock;

    (void)state;
    clock_init(&clock, 4);
    clock.icount = 10;
    assert_int_equal(clock_now_ns(&clock), 40);
    clock_idle_until(&clock, 100);
    assert_int_equal(clock_now_ns(&clock), 100);
    assert_int_equal(clock.idle_ns, 60);
    clock_idle_until(&clock, 50);
    assert_int_equal(clock_now_ns(&clock), 100);
    clock_idle_until(&clock, CLOCK_NEVER);
    assert_int_equal(clock_now_ns(&clock), 100);
}

static void icount_at_is_the_first_at_which_the_time_is_reached(void **state)
{
    struct clock clock;

    (void)state;
    clock_init(&clock, 4);
    clock.icount = 10;
    clock.idle_ns = 2; /* now is 42 */
    assert_int_equal(clock_icount_at(&clock, 0), 10);
    assert_int_equal(clock_icount_at(&clock, 42), 10);
    assert_int_equal(clock_icount_at(&clock, 43), 11);
    assert_int_equal(clock_icount_at(&clock, 46), 11);
    assert_int_equal(clock_icount_at(&clock, 47), 12);
    assert_true(clock_icount_at(&clock, CLOCK_NEVER) == UINT64_MAX);
}

static void ticks_and_ns_are_inverse_and_do_not_overflow(void **state)
{
    static const uint64_t hz[] = {1193182, 32768, 3579545, 1000000000, 24000000};

    (void)state;
    for (size_t i = 0; i < sizeof(hz) / sizeof(hz[0]); i++) {
        for (uint64_t tick = 0; tick < 1ULL << 40; tick = tick * 3 + 1) {
            uint64_t ns = ticks_to_ns(tick, hz[i]);

            assert_true(ns_to_ticks(ns, hz[i]) == tick);
            if (ns > 0)
                assert_true(ns_to_ticks(ns - 1, hz[i]) == tick - 1);
        }
    }
    assert_true(ns_to_ticks(UINT64_MAX, 1000000000) == UINT64_MAX);
    assert_true(ticks_to_ns(UINT64_MAX, 1193182) == CLOCK_NEVER - 1);
}

static void loading_a_state_rebuilds_the_next_deadline(void **state)
{
    struct clock clock;
    struct firing a, b;
    char log[8] = "";
    uint8_t saved[8 * (3 + CLOCK_MAX_TIMERS)];

    (void)state;
    clock_init(&clock, 2);
    firing_init(&a, &clock, 'a', log);
    firing_init(&b, &clock, 'b', log);
    timer_set(&b.timer, 7);
    clock.icount = 1;
    clock.idle_ns = 3;
    assert_int_equal(state_saved_size(&clock_desc), sizeof(saved));
    state_save(&clock_desc, &clock, saved);
    assert_state_survives(&clock_desc, &clock);
    timer_set(&a.timer, 1);
    clock.icount = 100;
    assert_int_equal(state_load(&clock_desc, &clock, saved, sizeof(saved)), 0);
    assert_int_equal(clock_next_deadline_ns(&clock), 7);
    assert_int_equal(clock_now_ns(&clock), 5);
    assert_false(timer_pending(&a.timer));
}

static void a_state_with_a_stopped_clock_or_a_timer_too_many_is_rejected(void **state)
{
    struct clock clock;
    struct firing a;
    char log[8] = "";
    uint8_t saved[8 * (3 + CLOCK_MAX_TIMERS)];

    (void)state;
    clock_init(&clock, 1);
    firing_init(&a, &clock, 'a', log);
    state_save(&clock_desc, &clock, saved);
    saved[16] = 0; /* ns_per_insn */
    assert_int_equal(state_load(&clock_desc, &clock, saved, sizeof(saved)), -1);
    assert_int_equal(clock.ns_per_insn, 1);
    saved[16] = 1;
    saved[8 * 4] = 0; /* the deadline of a second timer */
    assert_int_equal(state_load(&clock_desc, &clock, saved, sizeof(saved)), -1);
}

static void every_saved_byte_of_the_clock_is_in_its_table(void **state)
{
    (void)state;
    assert_every_field_in_table(&clock_desc, 0, MEMBER_END(struct clock, deadline_ns));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_by_deadline_then_by_order_of_init),
        cmocka_unit_test(moving_and_cancelling_a_timer_keeps_the_next_deadline),
        cmocka_unit_test(a_callback_may_rearm_cancel_and_arm),
        cmocka_unit_test(run_due_twice_at_one_boundary_is_run_due_once),
        cmocka_unit_test(at_the_end_of_time_no_timer_fires),
        cmocka_unit_test(time_is_icount_times_ns_per_insn_plus_idle),
        cmocka_unit_test(icount_at_is_the_first_at_which_the_time_is_reached),
        cmocka_unit_test(ticks_and_ns_are_inverse_and_do_not_overflow),
        cmocka_unit_test(loading_a_state_rebuilds_the_next_deadline),
        cmocka_unit_test(a_state_with_a_stopped_clock_or_a_timer_too_many_is_rejected),
        cmocka_unit_test(every_saved_byte_of_the_clock_is_in_its_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
