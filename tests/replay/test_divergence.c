/* SPDX-License-Identifier: MIT */
/* A replay that departs from its trace stops at once and says where: one event of a good trace is
 * altered, or the machine is another one. */
#include <string.h>

#include <emu/cpu.h>

#include "fixture.h"

static const struct script_input busy[] = {
    {.icount = 15000, .kind = INPUT_SERIAL, .text = "k"},
    {.icount = 30000, .kind = INPUT_SERIAL, .text = "n"},
    {.icount = 60000, .kind = INPUT_STOP},
};
static const struct script_input halting[] = {
    {.icount = 5000, .kind = INPUT_SERIAL, .text = "h"},
    {.vns = 123456, .kind = INPUT_SERIAL, .text = "n"},
    {.vns = 300000, .kind = INPUT_STOP},
};

/* The recorded events, to be altered by the test. */
static struct event_list *recorded(void)
{
    RECORD(busy);
    return read_events(trace_path);
}

/* Writes the altered events, replays them and yields what was noticed. The caller destroys *p. */
static const struct player_divergence *replay_altered(struct event_list *list, struct player **p)
{
    write_events(trace_path, other_path, list);
    free_events(list);
    assert_int_equal(replay(other_path, &tiny_board, p), PLAYER_DIVERGED);
    assert_int_equal(player_run(*p, UINT64_MAX), PLAYER_DIVERGED);
    assert_non_null(player_divergence(*p));
    return player_divergence(*p);
}

#define assert_contains(text, part)                                                                \
    do {                                                                                           \
        if (strstr(text, part) == NULL)                                                            \
            fail_msg("\"%s\" is not in \"%s\"", part, text);                                       \
    } while (0)

/* --- one event altered --- */

static void an_unaltered_copy_replays_exactly(void **state)
{
    struct event_list *list = recorded();

    (void)state;
    write_events(trace_path, other_path, list);
    free_events(list);
    assert_replays_exactly(other_path);
}

static void an_altered_input_byte_is_caught_at_the_next_digest(void **state)
{
    struct event_list *list = recorded();
    const struct player_divergence *d;
    struct player *p;

    (void)state;
    list->bytes[nth(list, TRACE_EVENT_INPUT, 0)][0] ^= 1;
    d = replay_altered(list, &p);
    assert_int_equal(d->what, PLAYER_DIFFERS_DIGEST);
    assert_int_equal(d->icount, 4 * INTERVAL);
    assert_true(d->any_match);
    assert_int_equal(d->last_match_icount, 3 * INTERVAL);
    assert_int_equal(d->rip, player_machine(p)->cpus[0].rip);
    assert_contains(d->expected, "digest ");
    assert_contains(d->expected, "at instruction 16384");
    assert_contains(d->found, "digest ");
    assert_string_not_equal(d->found, d->expected);
    player_destroy(p);
}

static void an_altered_digest_is_caught_there(void **state)
{
    struct event_list *list = recorded();
    size_t at = nth(list, TRACE_EVENT_DIGEST, 5);
    const struct player_divergence *d;
    struct player *p;

    (void)state;
    list->ev[at].u.digest = 0xfeedULL << 48;
    d = replay_altered(list, &p);
    assert_int_equal(d->what, PLAYER_DIFFERS_DIGEST);
    assert_int_equal(d->icount, 5 * INTERVAL);
    assert_int_equal(d->last_match_icount, 4 * INTERVAL);
    assert_contains(d->expected, "digest feed000000000000 at instruction 20480");
    assert_int_equal(player_counts(p).digests, 5);
    player_destroy(p);
}

static void an_altered_digest_of_power_on_is_caught_before_anything_ran(void **state)
{
    struct event_list *list = recorded();
    const struct player_divergence *d;
    struct player *p;

    (void)state;
    list->ev[0].u.digest ^= 1;
    d = replay_altered(list, &p);
    assert_int_equal(d->what, PLAYER_DIFFERS_DIGEST);
    assert_int_equal(d->icount, 0);
    assert_int_equal(d->rip, 0xfff0);
    assert_false(d->any_match);
    player_destroy(p);
}

static void an_altered_vector_is_caught_at_its_interrupt(void **state)
{
    struct event_list *list = recorded();
    size_t at = nth(list, TRACE_EVENT_INTERRUPT, 2);
    uint64_t icount = list->ev[at].icount;
    const struct player_divergence *d;
    struct player *p;

    (void)state;
    list->ev[at].u.interrupt.vector ^= 0x40;
    d = replay_altered(list, &p);
    assert_int_equal(d->what, PLAYER_DIFFERS_INTERRUPT);
    assert_int_equal(d->icount, icount);
    assert_contains(d->expected, "interrupt 96 (lapic) at instruction ");
    assert_contains(d->found, "interrupt 32 (lapic) at instruction ");
    assert_int_equal(player_counts(p).interrupts, 2);
    player_destroy(p);
}

static void an_altered_source_is_caught_at_its_interrupt(void **state)
{
    struct event_list *list = recorded();
    size_t at = nth(list, TRACE_EVENT_INTERRUPT, 0);
    const struct player_divergence *d;
    struct player *p;

    (void)state;
    list->ev[at].u.interrupt.source = INTR_SOURCE_NMI;
    d = replay_altered(list, &p);
    assert_int_equal(d->what, PLAYER_DIFFERS_INTERRUPT);
    assert_contains(d->expected, "interrupt 32 (nmi)");
    assert_contains(d->found, "interrupt 32 (lapic)");
    player_destroy(p);
}

static void an_interrupt_that_was_not_recorded_is_caught(void **state)
{
    struct event_list *list = recorded();
    size_t at = nth(list, TRACE_EVENT_INTERRUPT, 2);
    uint64_t icount = list->ev[at].icount;
    const struct player_divergence *d;
    struct player *p;

    (void)state;
    drop_event(list, at);
    d = replay_altered(list, &p);
    assert_int_equal(d->what, PLAYER_DIFFERS_INTERRUPT);
    assert_int_equal(d->icount, icount);
    assert_contains(d->found, "interrupt 32 (lapic)");
    player_destroy(p);
}

static void a_recorded_interrupt_that_does_not_come_is_caught(void **state)
{
    struct event_list *list = recorded();
    size_t at = nth(list, TRACE_EVENT_INTERRUPT, 2);
    uint64_t icount = list->ev[at].icount;
    const struct player_divergence *d;
    struct player *p;

    (void)state;
    double_event(list, at);
    list->ev[at].icount -= 500;
    list->ev[at].u.interrupt.vector = 0x33;
    d = replay_altered(list, &p);
    assert_int_equal(d->what, PLAYER_DIFFERS_INTERRUPT);
    assert_int_equal(d->icount, icount - 500 + 1); /* one instruction further it is known */
    assert_contains(d->expected, "interrupt 51 (lapic)");
    assert_contains(d->found, "did not come");
    player_destroy(p);
}

static void an_interrupt_recorded_later_than_it_comes_is_caught(void **state)
{
    struct event_list *list = recorded();
    size_t at = nth(list, TRACE_EVENT_INTERRUPT, 0);
    uint64_t icount = list->ev[at].icount;
    const struct player_divergence *d;
    struct player *p;

    (void)state;
    list->ev[at].icount++;
    d = replay_altered(list, &p);
    assert_int_equal(d->what, PLAYER_DIFFERS_INTERRUPT);
    assert_int_equal(d->icount, icount);
    assert_contains(d->found, "interrupt 32 (lapic)");
    player_destroy(p);
}

static void an_input_at_an_impossible_moment_is_caught(void **state)
{
    struct event_list *list = recorded();
    size_t at = nth(list, TRACE_EVENT_INPUT, 0);
    const struct player_divergence *d;
    struct player *p;

    (void)state;
    list->ev[at].u.input.vns++; /* a busy guest is not there then */
    d = replay_altered(list, &p);
    assert_int_equal(d->what, PLAYER_DIFFERS_INPUT);
    assert_in_range(d->icount, 15000, 15001);
    assert_contains(d->expected, "input serial 0 \"k\" at instruction 15000, 15001 ns");
    assert_int_equal(player_counts(p).inputs, 0);
    player_destroy(p);
}

static void an_input_that_is_too_early_in_time_is_caught(void **state)
{
    struct event_list *list = recorded();
    size_t at = nth(list, TRACE_EVENT_INPUT, 0);
    const struct player_divergence *d;
    struct player *p;

    (void)state;
    list->ev[at].u.input.vns = 14000;
    d = replay_altered(list, &p);
    assert_int_equal(d->what, PLAYER_DIFFERS_INPUT);
    assert_contains(d->found, "too late");
    player_destroy(p);
}

static void an_input_for_a_sleeping_guest_that_is_moved_in_icount_is_caught(void **state)
{
    struct event_list *list;
    const struct player_divergence *d;
    struct player *p;
    size_t at;

    (void)state;
    RECORD(halting);
    list = read_events(trace_path);
    at = nth(list, TRACE_EVENT_INPUT, 1);
    list->ev[at].icount--;
    d = replay_altered(list, &p);
    assert_int_equal(d->what, PLAYER_DIFFERS_INPUT);
    player_destroy(p);
}

/* --- the end --- */

static struct trace_end *end_of(struct event_list *list)
{
    return &list->ev[nth(list, TRACE_EVENT_END, 0)].u.end;
}

static void another_reason_to_end_is_caught(void **state)
{
    static const char *const reasons[] = {"poweroff", "no such reason", "halted", "reset"};

    (void)state;
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        struct event_list *list = recorded();
        const struct player_divergence *d;
        struct player *p;

        strcpy(end_of(list)->reason, reasons[i]);
        d = replay_altered(list, &p);
        assert_int_equal(d->what, PLAYER_DIFFERS_END);
        assert_contains(d->expected, reasons[i]);
        assert_contains(d->found, "end (user) at instruction 60000");
        player_destroy(p);
    }
}

static void a_run_that_goes_on_after_its_end_is_caught(void **state)
{
    struct event_list *list = recorded();
    const struct player_divergence *d;
    struct player *p;

    (void)state;
    drop_event(list, nth(list, TRACE_EVENT_INPUT, 2)); /* what stopped it */
    d = replay_altered(list, &p);
    assert_int_equal(d->what, PLAYER_DIFFERS_END);
    assert_in_range(d->icount, 60000, 60001);
    assert_contains(d->expected, "end (user) at instruction 60000, 60000 ns");
    player_destroy(p);
}

static void a_run_that_ends_before_its_end_is_caught(void **state)
{
    struct event_list *list = recorded();
    const struct player_divergence *d;
    struct player *p;

    (void)state;
    list->ev[nth(list, TRACE_EVENT_INPUT, 0)].u.input.kind = INPUT_STOP;
    d = replay_altered(list, &p);
    assert_int_equal(d->what, PLAYER_DIFFERS_END);
    assert_int_equal(d->icount, 15000);
    assert_contains(d->expected, "interrupt ");
    assert_contains(d->found, "end (user) at instruction 15000");
    player_destroy(p);
}

static void another_last_digest_is_caught(void **state)
{
    struct event_list *list = recorded();
    const struct player_divergence *d;
    struct player *p;

    (void)state;
    end_of(list)->digest ^= 2;
    d = replay_altered(list, &p);
    assert_int_equal(d->what, PLAYER_DIFFERS_DIGEST);
    assert_int_equal(d->icount, 60000);
    player_destroy(p);
}

static void another_exit_code_is_caught(void **state)
{
    static const struct script_input inputs[] = {
        {.icount = 15000, .kind = INPUT_SERIAL, .text = "x"},
    };
    struct event_list *list;
    const struct player_divergence *d;
    struct player *p;

    (void)state;
    RECORD(inputs);
    list = read_events(trace_path);
    end_of(list)->exit_code = 3;
    d = replay_altered(list, &p);
    assert_int_equal(d->what, PLAYER_DIFFERS_END);
    assert_contains(d->found, "exit code 7, not 3");
    player_destroy(p);
}

static void an_end_at_a_later_moment_is_caught(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct event_list *list = recorded();
        const struct player_divergence *d;
        struct player *p;

        if (i == 0)
            list->ev[list->n - 1].icount = end_of(list)->icount = 60001;
        end_of(list)->vns = 60001;
        d = replay_altered(list, &p);
        assert_int_equal(d->what, PLAYER_DIFFERS_END);
        player_destroy(p);
    }
}

/* --- another machine --- */

static void a_late_timer_is_caught_at_its_interrupt(void **state)
{
    /* So few digests that none sees the timer's register first. */
    struct recorder_options options = {.struct_size = sizeof(options), .digest_interval = 1 << 20};
    const struct player_divergence *d;
    struct player *p;

    (void)state;
    record(busy, 3, &options, NULL);
    assert_int_equal(replay(trace_path, &tiny_board_late, &p), PLAYER_DIVERGED);
    d = player_divergence(p);
    assert_int_equal(d->what, PLAYER_DIFFERS_INTERRUPT);
    assert_contains(d->found, "did not come");
    player_destroy(p);
}

static void another_vector_is_caught_at_its_interrupt(void **state)
{
    const struct player_divergence *d;
    struct player *p;

    (void)state;
    RECORD(busy);
    assert_int_equal(replay(trace_path, &tiny_board_other_vector, &p), PLAYER_DIVERGED);
    d = player_divergence(p);
    assert_int_equal(d->what, PLAYER_DIFFERS_INTERRUPT);
    assert_contains(d->expected, "interrupt 32 (lapic)");
    assert_contains(d->found, "interrupt 33 (lapic)");
    assert_true(d->last_match_icount > 0);
    player_destroy(p);
}

/* Asleep for ever, its clock ticking: what is recorded cannot come any more, and that is noticed.
 */
static void a_guest_that_no_longer_wakes_is_caught(void **state)
{
    const struct player_divergence *d;
    struct player *p;

    (void)state;
    RECORD(halting);
    assert_int_equal(replay(trace_path, &tiny_board_silent, &p), PLAYER_DIVERGED);
    d = player_divergence(p);
    assert_int_equal(d->what, PLAYER_DIFFERS_INTERRUPT);
    assert_contains(d->found, "too late");
    player_destroy(p);
}

/* --- altered at random --- */

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* Alters one event in one of its parts; icounts stay in order, as the writer wants them. */
static void alter(struct event_list *list, uint64_t *s)
{
    size_t at = next_random(s) % list->n;
    struct trace_event *ev = &list->ev[at];
    uint64_t room = at + 1 < list->n ? list->ev[at + 1].icount - ev->icount : 100;

    if (next_random(s) % 3 == 0 && room > 0) {
        ev->icount += 1 + next_random(s) % room;
        if (ev->kind == TRACE_EVENT_END)
            ev->u.end.icount = ev->icount;
        return;
    }
    switch (ev->kind) {
    case TRACE_EVENT_INPUT: ev->u.input.kind = INPUT_MEDIUM; break; /* nobody listens */
    case TRACE_EVENT_INTERRUPT: ev->u.interrupt.vector = (uint32_t)next_random(s); break;
    case TRACE_EVENT_DIGEST: ev->u.digest ^= 1ULL << next_random(s) % 64; break;
    case TRACE_EVENT_END: ev->u.end.vns += 1 + next_random(s) % 1000; break;
    case TRACE_EVENT_MARK: break;
    }
    if (ev->kind != TRACE_EVENT_END && next_random(s) % 2)
        drop_event(list, at);
}

/* A digest that is not there checks nothing; anything else is noticed. */
static void no_alteration_replays_to_the_end_but_a_left_out_digest(void **state)
{
    uint64_t s = 0x9e3779b97f4a7c15ULL;

    (void)state;
    for (int i = 0; i < 160; i++) {
        struct event_list *list;
        size_t digests;
        struct player *p;

        if (i == 0)
            RECORD(busy);
        else if (i == 80)
            RECORD(halting);
        list = read_events(trace_path);
        digests = count_kind(list, TRACE_EVENT_DIGEST);
        alter(list, &s);
        write_events(trace_path, other_path, list);
        if (replay(other_path, &tiny_board, &p) != PLAYER_DIVERGED &&
            count_kind(list, TRACE_EVENT_DIGEST) == digests)
            fail_msg("alteration %d went unnoticed", i);
        player_destroy(p);
        free_events(list);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_unaltered_copy_replays_exactly),
        TEST(an_altered_input_byte_is_caught_at_the_next_digest),
        TEST(an_altered_digest_is_caught_there),
        TEST(an_altered_digest_of_power_on_is_caught_before_anything_ran),
        TEST(an_altered_vector_is_caught_at_its_interrupt),
        TEST(an_altered_source_is_caught_at_its_interrupt),
        TEST(an_interrupt_that_was_not_recorded_is_caught),
        TEST(a_recorded_interrupt_that_does_not_come_is_caught),
        TEST(an_interrupt_recorded_later_than_it_comes_is_caught),
        TEST(an_input_at_an_impossible_moment_is_caught),
        TEST(an_input_that_is_too_early_in_time_is_caught),
        TEST(an_input_for_a_sleeping_guest_that_is_moved_in_icount_is_caught),
        TEST(another_reason_to_end_is_caught),
        TEST(a_run_that_goes_on_after_its_end_is_caught),
        TEST(a_run_that_ends_before_its_end_is_caught),
        TEST(another_last_digest_is_caught),
        TEST(another_exit_code_is_caught),
        TEST(an_end_at_a_later_moment_is_caught),
        TEST(a_late_timer_is_caught_at_its_interrupt),
        TEST(another_vector_is_caught_at_its_interrupt),
        TEST(a_guest_that_no_longer_wakes_is_caught),
        TEST(no_alteration_replays_to_the_end_but_a_left_out_digest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
