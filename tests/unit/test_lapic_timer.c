/* SPDX-License-Identifier: MIT */
/* Local APIC against Intel SDM vol. 3, 11.5.4: the timer in its three modes. */
#include "lapic_world.h"

/* --- timer --- */

static void one_shot_counts_down_and_interrupts_once(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, TIMER_DIVIDE, 0xb); /* by 1 */
    wr(w, LVT_TIMER, 0x30);
    wr(w, TIMER_INITIAL, 100);
    assert_int_equal(rd(w, TIMER_CURRENT), 100);
    fake_advance(&w->fm, 10 * TICK_NS);
    assert_int_equal(rd(w, TIMER_CURRENT), 90);
    fake_advance(&w->fm, TICK_NS - 1);
    assert_int_equal(rd(w, TIMER_CURRENT), 90);
    fake_advance(&w->fm, 1);
    assert_int_equal(rd(w, TIMER_CURRENT), 89);
    fake_advance(&w->fm, 89 * TICK_NS - 1);
    assert_int_equal(rd(w, TIMER_CURRENT), 1);
    assert_false(w->cpu[0].intr);
    fake_advance(&w->fm, 1);
    assert_int_equal(rd(w, TIMER_CURRENT), 0);
    assert_acked(w, 0x30);
    wr(w, EOI, 0);
    fake_advance(&w->fm, 1000 * TICK_NS);
    assert_false(w->cpu[0].intr);
    assert_int_equal(rd(w, TIMER_CURRENT), 0);
    assert_int_equal(rd(w, TIMER_INITIAL), 100);
}

static void divide_configuration_has_eight_values(void **state)
{
    static const struct {
        uint32_t code;
        unsigned by;
    } rows[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {0xa, 128}, {0xb, 1}};
    struct world *w = *state;

    enable(w);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        wr(w, TIMER_DIVIDE, rows[i].code);
        wr(w, TIMER_INITIAL, 1000);
        fake_advance(&w->fm, 7ull * rows[i].by * TICK_NS);
        assert_int_equal(rd(w, TIMER_CURRENT), 993);
        fake_advance(&w->fm, (uint64_t)rows[i].by * TICK_NS - 1);
        assert_int_equal(rd(w, TIMER_CURRENT), 993);
    }
}

static void changing_the_divider_keeps_the_present_count(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, TIMER_DIVIDE, 0xb);
    wr(w, LVT_TIMER, 0x30);
    wr(w, TIMER_INITIAL, 100);
    fake_advance(&w->fm, 60 * TICK_NS);
    wr(w, TIMER_DIVIDE, 0); /* by 2 */
    assert_int_equal(rd(w, TIMER_CURRENT), 40);
    fake_advance(&w->fm, 80 * TICK_NS - 1);
    assert_false(w->cpu[0].intr);
    fake_advance(&w->fm, 1);
    assert_true(w->cpu[0].intr);
}

static void periodic_reloads_without_drift(void **state)
{
    struct world *w = *state;
    uint64_t start = fake_now(&w->fm);

    enable(w);
    wr(w, TIMER_DIVIDE, 0xb);
    wr(w, LVT_TIMER, PERIODIC | 0x30);
    wr(w, TIMER_INITIAL, 25);
    for (unsigned i = 1; i <= 5; i++) {
        fake_run_until(&w->fm, start + i * 25 * TICK_NS - 1);
        assert_false(w->cpu[0].intr);
        fake_run_until(&w->fm, start + i * 25 * TICK_NS);
        clock_run_due(&w->fm.clock);
        assert_int_equal(rd(w, TIMER_CURRENT), 25);
        assert_acked(w, 0x30);
        wr(w, EOI, 0);
    }
    wr(w, TIMER_INITIAL, 0); /* stops it */
    fake_advance(&w->fm, 1000 * TICK_NS);
    assert_false(w->cpu[0].intr);
}

static void a_masked_periodic_timer_runs_on_without_deadlines(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, TIMER_DIVIDE, 0xb);
    wr(w, LVT_TIMER, MASKED | PERIODIC | 0x30);
    wr(w, TIMER_INITIAL, 100);
    assert_true(clock_next_deadline_ns(&w->fm.clock) == CLOCK_NEVER);
    fake_advance(&w->fm, 730 * TICK_NS);
    assert_int_equal(rd(w, TIMER_CURRENT), 70);
    assert_false(w->cpu[0].intr);
    wr(w, LVT_TIMER, PERIODIC | 0x30);
    fake_advance(&w->fm, 70 * TICK_NS - 1);
    assert_false(w->cpu[0].intr);
    fake_advance(&w->fm, 1);
    assert_true(w->cpu[0].intr);
}

static void unmasking_does_not_bring_back_a_masked_expiry(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, TIMER_DIVIDE, 0xb);
    wr(w, LVT_TIMER, MASKED | 0x30);
    wr(w, TIMER_INITIAL, 10);
    fake_advance(&w->fm, 50 * TICK_NS);
    wr(w, LVT_TIMER, 0x30);
    fake_advance(&w->fm, 50 * TICK_NS);
    assert_false(w->cpu[0].intr);
    assert_int_equal(rd(w, TIMER_CURRENT), 0);
}

static void the_count_survives_a_load_in_the_middle(void **state)
{
    struct world *w = *state;
    uint8_t saved[2048];
    size_t size = state_saved_size(&lapic_desc);

    assert_true(size <= sizeof(saved));
    enable(w);
    wr(w, TIMER_DIVIDE, 0xb);
    wr(w, TIMER_INITIAL, 100);
    fake_advance(&w->fm, 30 * TICK_NS);
    state_save(&lapic_desc, &w->lapic[0], saved);
    wr(w, TIMER_INITIAL, 7);
    assert_int_equal(state_load(&lapic_desc, &w->lapic[0], saved, size), 0);
    assert_int_equal(rd(w, TIMER_CURRENT), 70);
}

static void tsc_deadline_fires_at_the_tsc_and_disarms(void **state)
{
    struct world *w = *state;
    uint64_t now = fake_now(&w->fm);

    enable(w);
    assert_int_equal(wrmsr(w, DEADLINE_MSR, now + 500), 0);
    assert_int_equal(msr_value(w, DEADLINE_MSR), 0); /* ignored in another mode */
    wr(w, LVT_TIMER, DEADLINE | 0x39);
    assert_int_equal(wrmsr(w, DEADLINE_MSR, now + 500), 0);
    assert_int_equal(msr_value(w, DEADLINE_MSR), now + 500);
    wr(w, TIMER_INITIAL, 5); /* ignored in this mode */
    assert_int_equal(rd(w, TIMER_INITIAL), 0);
    assert_int_equal(rd(w, TIMER_CURRENT), 0);
    fake_advance(&w->fm, 499);
    assert_false(w->cpu[0].intr);
    fake_advance(&w->fm, 1);
    assert_acked(w, 0x39);
    assert_int_equal(msr_value(w, DEADLINE_MSR), 0);
    wr(w, EOI, 0);
    fake_advance(&w->fm, 10000);
    assert_false(w->cpu[0].intr);
}

static void a_tsc_deadline_in_the_past_fires_at_once(void **state)
{
    struct world *w = *state;

    enable(w);
    fake_advance(&w->fm, 1000);
    wr(w, LVT_TIMER, DEADLINE | 0x39);
    wrmsr(w, DEADLINE_MSR, 1);
    clock_run_due(&w->fm.clock);
    assert_true(w->cpu[0].intr);
}

static void leaving_deadline_mode_or_writing_zero_disarms(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, LVT_TIMER, DEADLINE | 0x39);
    wrmsr(w, DEADLINE_MSR, 500);
    wrmsr(w, DEADLINE_MSR, 0);
    fake_advance(&w->fm, 1000);
    assert_false(w->cpu[0].intr);
    wrmsr(w, DEADLINE_MSR, 5000);
    wr(w, LVT_TIMER, 0x39);
    assert_int_equal(msr_value(w, DEADLINE_MSR), 0);
    fake_advance(&w->fm, 10000);
    assert_false(w->cpu[0].intr);
}

static void a_tsc_deadline_follows_a_written_tsc(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, LVT_TIMER, DEADLINE | 0x39);
    wrmsr(w, DEADLINE_MSR, 10000);
    w->cpu[0].tsc_offset = 9000; /* the TSC jumps ahead */
    lapic_intc_ops.tsc_changed(&w->lapic[0]);
    fake_advance(&w->fm, 999);
    assert_false(w->cpu[0].intr);
    fake_advance(&w->fm, 1);
    assert_true(w->cpu[0].intr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(one_shot_counts_down_and_interrupts_once),
        T(divide_configuration_has_eight_values),
        T(changing_the_divider_keeps_the_present_count),
        T(periodic_reloads_without_drift),
        T(a_masked_periodic_timer_runs_on_without_deadlines),
        T(unmasking_does_not_bring_back_a_masked_expiry),
        T(the_count_survives_a_load_in_the_middle),
        T(tsc_deadline_fires_at_the_tsc_and_disarms),
        T(a_tsc_deadline_in_the_past_fires_at_once),
        T(leaving_deadline_mode_or_writing_zero_disarms),
        T(a_tsc_deadline_follows_a_written_tsc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
