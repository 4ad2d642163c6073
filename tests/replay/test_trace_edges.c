/* SPDX-License-Identifier: MIT */
/* Traces that are cut off, damaged, of another machine, or could not be written; what a header
 * keeps; how events are said. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <replay/describe.h>

#include "fixture.h"

static const struct script_input busy[] = {
    {.icount = 15000, .kind = INPUT_SERIAL, .text = "k"},
    {.icount = 30000, .kind = INPUT_SERIAL, .text = "n"},
    {.icount = 45000, .kind = INPUT_SERIAL, .text = "m"},
    {.icount = 60000, .kind = INPUT_STOP},
};

#define assert_contains(text, part)                                                                \
    do {                                                                                           \
        if (strstr(text, part) == NULL)                                                            \
            fail_msg("\"%s\" is not in \"%s\"", part, text);                                       \
    } while (0)

/* --- cut off --- */

static void assert_replays_what_is_left(const char *path)
{
    struct event_list *list = read_events(path);
    struct player *p;

    assert_true(list->truncated);
    assert_int_equal(replay(path, &tiny_board, &p), PLAYER_CUT);
    assert_int_equal(player_counts(p).inputs, count_kind(list, TRACE_EVENT_INPUT));
    assert_int_equal(player_counts(p).interrupts, count_kind(list, TRACE_EVENT_INTERRUPT));
    assert_int_equal(player_counts(p).digests, count_kind(list, TRACE_EVENT_DIGEST));
    assert_int_equal(player_machine(p)->clock.icount,
                     list->n > 0 ? list->ev[list->n - 1].icount : 0);
    assert_null(player_end(p));
    assert_int_equal(player_run(p, UINT64_MAX), PLAYER_CUT);
    player_destroy(p);
    free_events(list);
}

static void a_trace_cut_anywhere_replays_to_its_last_whole_frame(void **state)
{
    size_t len, opened = 0, refused = 0;
    uint8_t *data;

    (void)state;
    RECORD(busy);
    data = read_file(trace_path, &len);
    for (size_t cut = len - 1; cut > 0; cut -= cut > 40 ? 37 : 1) {
        char err[256] = "";
        struct player *p;

        write_file(other_path, data, cut);
        p = player_open(other_path, &tiny_board, err, sizeof(err));
        if (p == NULL) {
            assert_contains(err, other_path);
            refused++;
            continue;
        }
        opened++;
        if (player_end(p) == NULL)
            assert_replays_what_is_left(other_path);
        else /* only the index is gone */
            assert_int_equal(player_run(p, UINT64_MAX), PLAYER_END);
        player_destroy(p);
    }
    assert_true(opened > 5);
    assert_true(refused > 5);
    free(data);
}

static void a_trace_without_its_end_stops_after_any_kind_of_event(void **state)
{
    struct event_list *list;
    size_t n;

    (void)state;
    RECORD(busy);
    list = read_events(trace_path);
    for (n = list->n - 1; n-- > 0;) {
        free(list->bytes[--list->n]);
        write_events(trace_path, other_path, list);
        assert_replays_what_is_left(other_path);
    }
    free_events(list);
}

static void a_recorder_that_is_destroyed_unfinished_leaves_what_was_recorded(void **state)
{
    struct recorder_options options = {.struct_size = sizeof(options), .digest_interval = INTERVAL};
    struct script script = {.inputs = busy, .n = 3};
    struct input_source source = script_source(&script);
    struct machine *m = tiny_machine_create(&tiny_board);
    struct recorder *r;
    char err[256];

    (void)state;
    options.until_icount = 50000;
    r = recorder_create(m, trace_path, &options, err, sizeof(err));
    machine_set_source(m, &source);
    assert_int_equal(recorder_run(r), STOP_ICOUNT);
    recorder_destroy(r);
    assert_int_equal(machine_run(m, 60000), STOP_ICOUNT); /* nobody watches any more */
    machine_destroy(m);
    assert_replays_what_is_left(trace_path);
}

/* --- damaged, or of another machine --- */

static void damage_inside_is_an_error_that_names_file_and_byte(void **state)
{
    size_t len, refused = 0;
    uint8_t *data;

    (void)state;
    RECORD(busy);
    data = read_file(trace_path, &len);
    for (size_t at = 0; at < len; at += 13) {
        char err[512] = "";
        struct player *p;
        enum player_status status;

        data[at] ^= 0x55;
        write_file(other_path, data, len);
        data[at] ^= 0x55;
        p = player_open(other_path, &tiny_board, err, sizeof(err));
        if (p == NULL) {
            assert_contains(err, other_path);
            refused++;
            continue;
        }
        status = player_run(p, UINT64_MAX);
        assert_int_not_equal(status, PLAYER_DIVERGED);
        if (status == PLAYER_ERROR) {
            assert_contains(player_error(p), other_path);
            assert_contains(player_error(p), "byte");
            refused++;
        } else {
            assert_string_equal(player_error(p), "");
        }
        player_destroy(p);
    }
    assert_true(refused > 10);
    free(data);
}

static void an_input_of_an_unknown_kind_is_an_error(void **state)
{
    struct event_list *list;
    struct player *p;

    (void)state;
    RECORD(busy);
    list = read_events(trace_path);
    list->ev[nth(list, TRACE_EVENT_INPUT, 1)].u.input.kind = INPUT_KIND_COUNT;
    write_events(trace_path, other_path, list);
    free_events(list);
    assert_int_equal(replay(other_path, &tiny_board, &p), PLAYER_ERROR);
    assert_contains(player_error(p), "the input at instruction 30000");
    assert_true(player_machine(p)->clock.icount <= 30000);
    player_destroy(p);
}

static void an_input_for_which_nobody_listens_is_taken(void **state)
{
    static const struct script_input inputs[] = {
        {.icount = 1000, .kind = INPUT_MEDIUM, .text = "nobody"},
        {.icount = 30000, .kind = INPUT_STOP},
    };

    (void)state;
    RECORD(inputs);
    assert_replays_exactly(trace_path);
}

static void marks_are_passed_over(void **state)
{
    struct event_list *list;

    (void)state;
    RECORD(busy);
    list = read_events(trace_path);
    double_event(list, 3);
    list->ev[3] = (struct trace_event){.kind = TRACE_EVENT_MARK, .icount = list->ev[2].icount};
    list->ev[3].u.mark.text = "here";
    write_events(trace_path, other_path, list);
    free_events(list);
    assert_replays_exactly(other_path);
}

static void assert_refused(const struct machine_board *board, const char *path, const char *why)
{
    char err[256] = "";

    assert_null(player_open(path, board, err, sizeof(err)));
    assert_contains(err, path);
    assert_contains(err, why);
}

static void another_board_is_refused(void **state)
{
    (void)state;
    RECORD(busy);
    assert_refused(&tiny_board_other, trace_path, "\"tiny\"");
}

static void what_is_no_trace_is_refused(void **state)
{
    (void)state;
    assert_refused(&tiny_board, "/nonexistent/t.deja", "No such file");
    write_file(other_path, (const uint8_t *)"\177ELF and more", 13);
    assert_refused(&tiny_board, other_path, "not a deja trace");
    write_file(other_path, NULL, 0);
    assert_refused(&tiny_board, other_path, "empty");
}

/* A trace of nothing but this header. */
static void write_header(const struct trace_config_item *items, size_t nitems,
                         const struct trace_image *image, const char *cpu, size_t nseeds)
{
    static const uint64_t seeds[2] = {1, 2};
    struct trace_header header = {
        .struct_size = sizeof(header),
        .generator = "test",
        .cpu_model = cpu,
        .ns_per_insn = 1,
        .seeds = seeds,
        .nseeds = nseeds,
        .config = items,
        .nconfig = nitems,
        .images = image,
        .nimages = image != NULL,
    };
    struct trace_writer *w = trace_writer_create(other_path, &header, NULL, NULL);

    assert_non_null(w);
    trace_writer_destroy(w);
}

#define CPU "deja x86-64-v2"

static void a_machine_that_cannot_be_built_is_refused(void **state)
{
    struct trace_config_item items[] = {
        {.key = "board", .type = TRACE_CONFIG_STRING, .value.s = "tiny"},
        {.key = "ram_bytes", .type = TRACE_CONFIG_UINT, .value.u = 1 << 20},
        {.key = "cmdline", .type = TRACE_CONFIG_UINT, .value.u = 1},
    };
    struct trace_image absent = {
        .role = "bios", .name = "b", .size = 4096, .hash = "0123456789abcdef0123456789abcdef"};
    struct trace_image strange = {
        .role = "drive0", .name = "d", .size = 1, .data = (const uint8_t *)"x"};

    (void)state;
    write_header(items, 2, &absent, CPU, 1);
    assert_refused(&tiny_board, other_path, "not in the trace");
    write_header(items, 2, &strange, CPU, 1);
    assert_refused(&tiny_board, other_path, "drive0");
    write_header(items, 2, NULL, "deja i486", 1);
    assert_refused(&tiny_board, other_path, "i486");
    write_header(items, 2, NULL, CPU, 2);
    assert_refused(&tiny_board, other_path, "seeds");
    write_header(items, 3, NULL, CPU, 1);
    assert_refused(&tiny_board, other_path, "cmdline");
    write_header(items, 1, NULL, CPU, 1);
    assert_refused(&tiny_board, other_path, "memory size");
    items[2].key = "smp";
    write_header(items, 3, NULL, CPU, 1);
    assert_refused(&tiny_board, other_path, "\"smp\"");
    items[1].value.u = UINT64_MAX;
    write_header(items, 2, NULL, CPU, 1);
    assert_refused(&tiny_board, other_path, "memory size");
}

/* --- what a header keeps --- */

static void the_configuration_comes_back_as_it_was(void **state)
{
    static const uint8_t initrd[] = {1, 2, 3};
    struct machine_config config = tiny_config();
    const struct machine_config *back;
    struct recorder *r;
    struct machine *m;
    struct player *p;
    char err[256];

    (void)state;
    config.ram_bytes = 3u << 20;
    config.seed = UINT64_MAX;
    config.rtc_base = -1;
    config.ns_per_insn = 3;
    config.boot32 = 1;
    config.cmdline = "quiet \xff\xfe \xc3\xa4";
    config.initrd = (struct machine_image){"caf\xe9.img", initrd, sizeof(initrd)};
    m = machine_create(&config, &tiny_board, err, sizeof(err));
    r = recorder_create(m, trace_path, NULL, err, sizeof(err));
    assert_non_null(r);
    assert_int_equal(recorder_finish(r, STOP_SOURCE, err, sizeof(err)), 0);
    recorder_destroy(r);
    machine_destroy(m);

    p = open_player(trace_path, &tiny_board);
    back = &player_machine(p)->config;
    assert_int_equal(back->ram_bytes, config.ram_bytes);
    assert_int_equal(back->seed, config.seed);
    assert_int_equal(back->rtc_base, config.rtc_base);
    assert_int_equal(back->ns_per_insn, config.ns_per_insn);
    assert_int_equal(back->boot32, config.boot32);
    assert_string_equal(back->cmdline, config.cmdline);
    assert_string_equal(back->initrd.name, config.initrd.name);
    assert_int_equal(back->initrd.len, sizeof(initrd));
    assert_memory_equal(back->initrd.data, initrd, sizeof(initrd));
    assert_null(back->kernel.data);
    assert_int_equal(back->bios.len, config.bios.len);
    assert_memory_equal(back->bios.data, config.bios.data, config.bios.len);
    assert_string_equal(back->bios.name, "tiny.bin");
    assert_int_equal(player_run(p, UINT64_MAX), PLAYER_END);
    player_destroy(p);
}

/* --- a trace that cannot be written --- */

static void a_trace_that_cannot_be_created_is_an_error(void **state)
{
    struct machine *m = tiny_machine_create(&tiny_board);
    char err[256] = "";

    (void)state;
    assert_null(recorder_create(m, "/nonexistent/t.deja", NULL, err, sizeof(err)));
    assert_contains(err, "/nonexistent/t.deja: ");
    assert_null(recorder_create(m, "/", NULL, err, sizeof(err)));
    assert_contains(err, "/: not a regular file");
    machine_destroy(m);
}

static void a_full_disk_ends_the_recording_and_leaves_whole_frames(void **state)
{
    struct script script = {.inputs = busy, .n = 2};
    struct input_source source = script_source(&script);
    struct recorder_options options = {
        .struct_size = sizeof(options), .digest_interval = 64, .flush_interval_ms = 1};
    struct machine *m = tiny_machine_create(&tiny_board);
    struct rlimit before, small;
    struct recorder *r;
    char err[256] = "";

    (void)state;
    r = recorder_create(m, trace_path, &options, err, sizeof(err));
    assert_non_null(r);
    machine_set_source(m, &source);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 20000;
    setrlimit(RLIMIT_FSIZE, &small);
    assert_int_equal(recorder_run(r), STOP_SOURCE); /* it would never stop by itself */
    setrlimit(RLIMIT_FSIZE, &before);
    assert_true(recorder_failed(r));
    assert_int_equal(recorder_finish(r, STOP_SOURCE, err, sizeof(err)), -1);
    assert_contains(err, trace_path);
    assert_contains(err, "File too large");
    recorder_destroy(r);
    machine_destroy(m);
    assert_replays_what_is_left(trace_path);
}

/* --- in words --- */

static void bytes_are_said_as_c_writes_them(void **state)
{
    static const uint8_t bytes[] = {'l', 's', '\r', '\n', 0, 0x1b, '"', '\\', 0xff, 'x'};
    char out[64];

    (void)state;
    replay_describe_bytes(bytes, sizeof(bytes), out, sizeof(out));
    assert_string_equal(out, "\"ls\\r\\n\\x00\\x1b\\\"\\\\\\xffx\"");
    replay_describe_bytes(bytes, 0, out, sizeof(out));
    assert_string_equal(out, "\"\"");
    for (size_t room = 0; room < 40; room++) {
        memset(out, '#', sizeof(out));
        replay_describe_bytes(bytes, sizeof(bytes), out, room);
        assert_int_equal(out[room], '#');
        if (room > 0)
            assert_true(strlen(out) < room);
        if (room > 6 && room < 28)
            assert_contains(out, "\"...");
    }
}

static void events_are_said_in_words(void **state)
{
    struct trace_event ev = {.kind = TRACE_EVENT_INTERRUPT};
    char out[96];

    (void)state;
    ev.u.interrupt.vector = 236;
    replay_describe_event(&ev, out, sizeof(out));
    assert_string_equal(out, "interrupt 236 (lapic)");
    ev = (struct trace_event){.kind = TRACE_EVENT_INPUT};
    ev.u.input.kind = INPUT_STOP;
    replay_describe_event(&ev, out, sizeof(out));
    assert_string_equal(out, "input stop 0");
    ev = (struct trace_event){.kind = TRACE_EVENT_DIGEST, .u.digest = 0xabc};
    replay_describe_event(&ev, out, sizeof(out));
    assert_string_equal(out, "digest 0000000000000abc");
    ev = (struct trace_event){.kind = TRACE_EVENT_MARK};
    ev.u.mark.text = "boot";
    replay_describe_event(&ev, out, sizeof(out));
    assert_string_equal(out, "mark boot");
    ev = (struct trace_event){.kind = TRACE_EVENT_END};
    strcpy(ev.u.end.reason, "exit");
    replay_describe_event(&ev, out, sizeof(out));
    assert_string_equal(out, "end (exit)");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_trace_cut_anywhere_replays_to_its_last_whole_frame),
        TEST(a_trace_without_its_end_stops_after_any_kind_of_event),
        TEST(a_recorder_that_is_destroyed_unfinished_leaves_what_was_recorded),
        TEST(damage_inside_is_an_error_that_names_file_and_byte),
        TEST(an_input_of_an_unknown_kind_is_an_error),
        TEST(an_input_for_which_nobody_listens_is_taken),
        TEST(marks_are_passed_over),
        TEST(another_board_is_refused),
        TEST(what_is_no_trace_is_refused),
        TEST(a_machine_that_cannot_be_built_is_refused),
        TEST(the_configuration_comes_back_as_it_was),
        TEST(a_trace_that_cannot_be_created_is_an_error),
        TEST(a_full_disk_ends_the_recording_and_leaves_whole_frames),
        TEST(bytes_are_said_as_c_writes_them),
        TEST(events_are_said_in_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
