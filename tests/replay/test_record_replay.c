/* SPDX-License-Identifier: MIT */
/* What is recorded replays exactly, wherever inputs fall and however the run ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

/* Types at a busy guest and stops it. */
static const struct script_input busy[] = {
    {.icount = 5000, .kind = INPUT_SERIAL, .text = "a"},
    {.icount = 12345, .kind = INPUT_SERIAL, .text = "wonky"},
    {.icount = 60000, .kind = INPUT_SERIAL, .text = "z"},
    {.icount = 100000, .kind = INPUT_STOP},
};

/* The same with a guest that halts between interrupts: most comes while it sleeps. */
static const struct script_input halting[] = {
    {.icount = 5000, .kind = INPUT_SERIAL, .text = "h"},
    {.vns = 123456, .kind = INPUT_SERIAL, .text = "one"},
    {.vns = 200000, .kind = INPUT_SERIAL, .text = "2"}, /* the moment of a timer tick */
    {.vns = 200001, .kind = INPUT_SERIAL, .text = "3"},
    {.vns = 5000000, .kind = INPUT_STOP},
};

static void a_busy_guest_replays_exactly(void **state)
{
    struct event_list *list;

    (void)state;
    assert_int_equal(RECORD(busy), STOP_USER);
    assert_replays_exactly(trace_path);
    list = read_events(trace_path);
    assert_int_equal(count_kind(list, TRACE_EVENT_INPUT), 4);
    assert_in_range(count_kind(list, TRACE_EVENT_INTERRUPT), 9 + 7, 10 + 7);
    assert_int_equal(count_kind(list, TRACE_EVENT_DIGEST), 1 + 100000 / INTERVAL);
    free_events(list);
}

static void a_halting_guest_replays_exactly(void **state)
{
    struct event_list *list;

    (void)state;
    assert_int_equal(RECORD(halting), STOP_USER);
    assert_replays_exactly(trace_path);
    list = read_events(trace_path);
    assert_int_equal(list->ev[nth(list, TRACE_EVENT_INPUT, 1)].u.input.vns, 123456);
    assert_int_equal(list->ev[nth(list, TRACE_EVENT_INPUT, 4)].u.input.vns, 5000000);
    assert_true(list->ev[list->n - 1].icount < 100000);
    free_events(list);
}

static void the_replayed_guest_says_the_same(void **state)
{
    struct tiny_output recorded = {.len = 0}, replayed = {.len = 0};
    struct machine_observer observer = tiny_output_observer(&replayed);
    struct player *p;

    (void)state;
    record(busy, 4, NULL, &recorded);
    assert_string_equal(recorded.text, "awonkyz");
    p = open_player(trace_path, &tiny_board);
    player_set_outputs(p, &observer);
    assert_int_equal(player_run(p, UINT64_MAX), PLAYER_END);
    assert_string_equal(replayed.text, recorded.text);
    player_destroy(p);
}

static void the_first_digest_is_that_of_power_on(void **state)
{
    struct machine *m = tiny_machine_create(&tiny_board);
    struct event_list *list;

    (void)state;
    RECORD(busy);
    list = read_events(trace_path);
    assert_int_equal(list->ev[0].kind, TRACE_EVENT_DIGEST);
    assert_int_equal(list->ev[0].icount, 0);
    assert_int_equal(list->ev[0].u.digest, machine_digest(m));
    machine_destroy(m);
    free_events(list);
}

static void digests_fall_on_multiples_of_the_interval(void **state)
{
    struct event_list *list;
    uint64_t expected = 0;

    (void)state;
    RECORD(halting);
    list = read_events(trace_path);
    for (size_t i = 0; i < list->n; i++) {
        if (list->ev[i].kind != TRACE_EVENT_DIGEST)
            continue;
        assert_int_equal(list->ev[i].icount, expected);
        expected += INTERVAL;
    }
    assert_true(expected > INTERVAL);
    free_events(list);
}

/* --- inputs and digests at one icount --- */

static void an_input_before_the_digest_of_its_icount_replays(void **state)
{
    static const struct script_input inputs[] = {
        {.icount = 2 * INTERVAL, .kind = INPUT_SERIAL, .text = "x1"},
        {.icount = 50000, .kind = INPUT_STOP},
    };
    struct event_list *list;
    size_t digest;

    (void)state;
    record(inputs, 1, NULL, NULL);
    list = read_events(trace_path);
    digest = nth(list, TRACE_EVENT_DIGEST, 2);
    assert_int_equal(list->ev[digest - 1].kind, TRACE_EVENT_INPUT);
    assert_int_equal(list->ev[digest - 1].icount, 2 * INTERVAL);
    assert_int_equal(list->ev[digest].icount, 2 * INTERVAL);
    assert_replays_exactly(trace_path);
    free_events(list);
}

static void an_input_after_the_digest_of_its_icount_replays(void **state)
{
    static const struct script_input inputs[] = {
        {.icount = 2 * INTERVAL, .skip = 1, .kind = INPUT_SERIAL, .text = "1"},
        {.icount = 2 * INTERVAL, .kind = INPUT_SERIAL, .text = "2"},
        {.icount = 50000, .kind = INPUT_STOP},
    };
    struct event_list *list;
    size_t digest;

    (void)state;
    RECORD(inputs);
    list = read_events(trace_path);
    digest = nth(list, TRACE_EVENT_DIGEST, 2);
    assert_int_equal(list->ev[digest].icount, 2 * INTERVAL);
    assert_int_equal(list->ev[digest + 1].kind, TRACE_EVENT_INPUT);
    assert_int_equal(list->ev[digest + 1].icount, 2 * INTERVAL);
    assert_int_equal(list->ev[digest + 2].icount, 2 * INTERVAL);
    assert_replays_exactly(trace_path);
    free_events(list);
}

static void an_input_after_an_interrupt_of_its_icount_replays(void **state)
{
    /* "1" raises an interrupt that is taken at once; "2" comes at the boundary behind it. */
    static const struct script_input inputs[] = {
        {.icount = 4321, .kind = INPUT_SERIAL, .text = "1"},
        {.icount = 4321, .skip = 1, .kind = INPUT_SERIAL, .text = "2"},
        {.icount = 50000, .kind = INPUT_STOP},
    };
    struct event_list *list;
    size_t first;

    (void)state;
    RECORD(inputs);
    list = read_events(trace_path);
    first = nth(list, TRACE_EVENT_INPUT, 0);
    assert_int_equal(list->ev[first + 1].kind, TRACE_EVENT_INTERRUPT);
    assert_int_equal(list->ev[first + 1].icount, 4321);
    assert_int_equal(list->ev[first + 2].kind, TRACE_EVENT_INPUT);
    assert_int_equal(list->ev[first + 2].icount, 4321);
    assert_replays_exactly(trace_path);
    free_events(list);
}

static void inputs_at_power_on_and_many_at_one_moment_replay(void **state)
{
    static const struct script_input inputs[] = {
        {.kind = INPUT_SERIAL, .text = "a"},
        {.kind = INPUT_SERIAL, .text = ""},
        {.kind = INPUT_KEY, .text = "nobody listens"},
        {.kind = INPUT_SERIAL, .text = "bc"},
        {.icount = 1, .kind = INPUT_SERIAL, .text = "d"},
        {.icount = 30000, .kind = INPUT_STOP},
    };

    (void)state;
    RECORD(inputs);
    assert_replays_exactly(trace_path);
}

/* --- ways to end --- */

static void a_run_that_ends_by_itself_replays(void **state)
{
    static const struct {
        const char *text;
        enum machine_stop why;
    } ends[] = {
        {"p", STOP_POWEROFF},
        {"x", STOP_EXIT},
        {"d", STOP_TRIPLE_FAULT},
        {"hx", STOP_EXIT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct script_input inputs[] = {
            {.icount = 33333, .kind = INPUT_SERIAL, .text = ends[i].text},
        };
        struct event_list *list;

        assert_int_equal(RECORD(inputs), ends[i].why);
        assert_replays_exactly(trace_path);
        list = read_events(trace_path);
        assert_string_equal(list->ev[list->n - 1].u.end.reason, machine_stop_name(ends[i].why));
        assert_int_equal(list->ev[list->n - 1].u.end.exit_code,
                         ends[i].why == STOP_EXIT ? TINY_EXIT_CODE : 0);
        free_events(list);
    }
}

static void a_guest_that_resets_itself_runs_on(void **state)
{
    static const struct script_input inputs[] = {
        {.icount = 20000, .kind = INPUT_SERIAL, .text = "ar"},
        {.icount = 40000, .kind = INPUT_SERIAL, .text = "b"},
        {.icount = 60000, .kind = INPUT_RESET},
        {.icount = 80000, .kind = INPUT_SERIAL, .text = "r"},
        {.icount = 100000, .kind = INPUT_STOP},
    };
    struct tiny_output out = {.len = 0};

    (void)state;
    assert_int_equal(record(inputs, 5, NULL, &out), STOP_USER);
    assert_string_equal(out.text, "arbr");
    assert_replays_exactly(trace_path);
}

static void a_reset_ends_the_run_when_asked_to(void **state)
{
    static const struct script_input inputs[] = {
        {.icount = 20000, .kind = INPUT_SERIAL, .text = "r"},
    };
    struct recorder_options options = {.struct_size = sizeof(options), .no_reboot = true};

    (void)state;
    assert_int_equal(record(inputs, 1, &options, NULL), STOP_RESET);
    assert_replays_exactly(trace_path);
}

static void a_reset_at_the_icount_of_a_digest_replays(void **state)
{
    static const struct script_input inputs[] = {
        {.icount = 3 * INTERVAL, .kind = INPUT_RESET},
        {.icount = 3 * INTERVAL, .kind = INPUT_SERIAL, .text = "after"},
        {.icount = 6 * INTERVAL, .skip = 1, .kind = INPUT_RESET},
        {.icount = 60000, .kind = INPUT_STOP},
    };

    (void)state;
    RECORD(inputs);
    assert_replays_exactly(trace_path);
}

static void a_recording_that_ends_at_an_icount_replays(void **state)
{
    struct recorder_options options = {.struct_size = sizeof(options)};

    (void)state;
    for (options.until_icount = 8 * INTERVAL - 1; options.until_icount <= 8 * INTERVAL + 1;
         options.until_icount++) {
        assert_int_equal(record(busy, 2, &options, NULL), STOP_ICOUNT);
        assert_replays_exactly(trace_path);
    }
}

static void a_recording_that_its_source_ends_replays(void **state)
{
    struct script script = {.inputs = halting, .n = 3, .ends_run = true};
    struct recorder_options options = {.struct_size = sizeof(options), .digest_interval = INTERVAL};
    struct input_source source = script_source(&script);
    struct machine *m = tiny_machine_create(&tiny_board);
    struct recorder *r;
    char err[256];

    (void)state;
    r = recorder_create(m, trace_path, &options, err, sizeof(err));
    machine_set_source(m, &source);
    assert_int_equal(recorder_run(r), STOP_SOURCE);
    assert_false(recorder_failed(r));
    assert_int_equal(recorder_finish(r, STOP_SOURCE, err, sizeof(err)), 0);
    recorder_destroy(r);
    machine_destroy(m);
    assert_replays_exactly(trace_path);
}

/* A source that knows at some moment of a sleep that nothing will come any more. */
static uint64_t give_up(void *opaque, struct machine *m, uint64_t deadline_ns)
{
    uint64_t now = clock_now_ns(&m->clock);
    const uint64_t *until = opaque;

    if (now >= *until)
        return CLOCK_NEVER;
    return *until < deadline_ns ? *until : deadline_ns;
}

static bool type_s(void *opaque, struct machine *m, struct input *in)
{
    (void)opaque;
    *in = (struct input){.kind = INPUT_SERIAL, .data = (const uint8_t *)"s", .len = 1};
    return m->clock.icount == 9000;
}

static uint64_t until_9000(void *opaque, uint64_t icount)
{
    (void)opaque;
    return icount < 9000 ? 9000 : UINT64_MAX;
}

static bool offer_once(void *opaque, struct machine *m, struct input *in)
{
    uint64_t *until = opaque;

    if (until[1] != 0 || !type_s(opaque, m, in))
        return false;
    until[1] = 1;
    return true;
}

static void a_guest_that_is_left_halted_replays(void **state)
{
    uint64_t script[2] = {1234567, 0};
    struct input_source source = {
        .poll = offer_once, .horizon = until_9000, .wait = give_up, .opaque = script};
    struct recorder_options options = {.struct_size = sizeof(options), .digest_interval = INTERVAL};
    struct machine *m = tiny_machine_create(&tiny_board);
    struct recorder *r;
    struct event_list *list;
    char err[256];

    (void)state;
    r = recorder_create(m, trace_path, &options, err, sizeof(err));
    machine_set_source(m, &source);
    assert_int_equal(recorder_run(r), STOP_HALTED);
    assert_int_equal(recorder_finish(r, STOP_HALTED, err, sizeof(err)), 0);
    recorder_destroy(r);
    machine_destroy(m);
    list = read_events(trace_path);
    assert_int_equal(list->ev[list->n - 1].u.end.vns, 1234567);
    free_events(list);
    assert_replays_exactly(trace_path);
}

/* --- cutting a replay --- */

static void a_replay_cut_at_many_icounts_is_the_same_run(void **state)
{
    struct event_list *list;
    struct player *p;
    uint64_t end;

    (void)state;
    RECORD(halting);
    list = read_events(trace_path);
    end = list->ev[list->n - 1].icount;
    p = open_player(trace_path, &tiny_board);
    for (uint64_t n = 1; n < end; n += n % 7 == 0 ? 1 : n % 97 + 1) {
        assert_int_equal(player_run(p, n), PLAYER_EXACT);
        assert_int_equal(player_machine(p)->clock.icount, n);
        assert_int_equal(player_run(p, n), PLAYER_EXACT);
    }
    assert_int_equal(player_run(p, UINT64_MAX), PLAYER_END);
    assert_int_equal(player_run(p, UINT64_MAX), PLAYER_END);
    assert_int_equal(machine_digest(player_machine(p)), list->ev[list->n - 1].u.end.digest);
    player_destroy(p);
    free_events(list);
}

static void a_replay_cut_at_every_event_is_the_same_run(void **state)
{
    struct event_list *list;
    struct player *p;

    (void)state;
    RECORD(busy);
    list = read_events(trace_path);
    p = open_player(trace_path, &tiny_board);
    for (size_t i = 0; i + 2 < list->n; i++)
        assert_int_equal(player_run(p, list->ev[i].icount), PLAYER_EXACT);
    assert_int_equal(player_run(p, UINT64_MAX), PLAYER_END);
    player_destroy(p);
    free_events(list);
}

static void the_state_at_an_icount_is_that_of_an_uncut_replay(void **state)
{
    struct player *p, *q;

    (void)state;
    RECORD(busy);
    p = open_player(trace_path, &tiny_board);
    for (uint64_t n = 1000; n < 90000; n += 12347) {
        assert_int_equal(player_run(p, n), PLAYER_EXACT);
        q = open_player(trace_path, &tiny_board);
        assert_int_equal(player_run(q, n), PLAYER_EXACT);
        assert_int_equal(machine_digest(player_machine(p)), machine_digest(player_machine(q)));
        player_destroy(q);
    }
    player_destroy(p);
}

static void a_foreign_stop_request_returns_and_harms_nothing(void **state)
{
    struct player *p;

    (void)state;
    RECORD(busy);
    p = open_player(trace_path, &tiny_board);
    assert_int_equal(player_run(p, 20000), PLAYER_EXACT);
    machine_request_stop(player_machine(p), STOP_SOURCE);
    assert_int_equal(player_run(p, UINT64_MAX), PLAYER_EXACT);
    assert_int_equal(player_machine(p)->clock.icount, 20000);
    assert_int_equal(player_run(p, UINT64_MAX), PLAYER_END);
    player_destroy(p);
}

/* --- at random --- */

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static size_t random_script(uint64_t *s, struct script_input *inputs, size_t max)
{
    static const char *const texts[] = {"h", "b", "a", "zz", "hello", "r", "hr", "bb", ""};
    uint64_t icount = 0, vns = 0;
    size_t n = 1 + next_random(s) % (max - 1);

    for (size_t i = 0; i < n; i++) {
        inputs[i] = (struct script_input){.skip = (unsigned)(next_random(s) % 4),
                                          .kind = INPUT_SERIAL,
                                          .text = texts[next_random(s) % 9]};
        switch (next_random(s) % 4) {
        case 0: icount += next_random(s) % 3000; break;
        case 1: icount = (icount / INTERVAL + 1) * INTERVAL; break;
        case 2: vns += next_random(s) % 30000; break;
        case 3: vns = (vns / TINY_TIMER_NS + 1) * TINY_TIMER_NS; break;
        }
        inputs[i].icount = next_random(s) % 2 ? icount : 0;
        inputs[i].vns = vns;
        if (next_random(s) % 16 == 0)
            inputs[i].kind = INPUT_RESET;
    }
    inputs[n] = (struct script_input){.vns = vns + icount, .kind = INPUT_STOP};
    return n + 1;
}

static void random_runs_replay_exactly(void **state)
{
    struct script_input inputs[40];

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t s = seed * 0x9e3779b97f4a7c15ULL;
        size_t n = random_script(&s, inputs, 39);
        struct player *whole, *cut;

        assert_int_equal(record(inputs, n, NULL, NULL), STOP_USER);
        if (replay(trace_path, &tiny_board, &whole) != PLAYER_END)
            fail_msg("script %llu does not replay exactly", (unsigned long long)seed);
        cut = open_player(trace_path, &tiny_board);
        for (uint64_t at = 0; player_run(cut, at) == PLAYER_EXACT;)
            at += next_random(&s) % 5000;
        if (player_run(cut, UINT64_MAX) != PLAYER_END)
            fail_msg("script %llu does not replay exactly in pieces", (unsigned long long)seed);
        player_destroy(whole);
        player_destroy(cut);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_busy_guest_replays_exactly),
        TEST(a_halting_guest_replays_exactly),
        TEST(the_replayed_guest_says_the_same),
        TEST(the_first_digest_is_that_of_power_on),
        TEST(digests_fall_on_multiples_of_the_interval),
        TEST(an_input_before_the_digest_of_its_icount_replays),
        TEST(an_input_after_the_digest_of_its_icount_replays),
        TEST(an_input_after_an_interrupt_of_its_icount_replays),
        TEST(inputs_at_power_on_and_many_at_one_moment_replay),
        TEST(a_run_that_ends_by_itself_replays),
        TEST(a_guest_that_resets_itself_runs_on),
        TEST(a_reset_ends_the_run_when_asked_to),
        TEST(a_reset_at_the_icount_of_a_digest_replays),
        TEST(a_recording_that_ends_at_an_icount_replays),
        TEST(a_recording_that_its_source_ends_replays),
        TEST(a_guest_that_is_left_halted_replays),
        TEST(a_replay_cut_at_many_icounts_is_the_same_run),
        TEST(a_replay_cut_at_every_event_is_the_same_run),
        TEST(the_state_at_an_icount_is_that_of_an_uncut_replay),
        TEST(a_foreign_stop_request_returns_and_harms_nothing),
        TEST(random_runs_replay_exactly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
