/* SPDX-License-Identifier: MIT */
/* What is written is read back: header, images, events, end, places; and what callers do wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "trace_fixture.h"

static struct trace_reader *open_bytes(struct bytes b)
{
    struct trace_error err = {0};
    struct trace_reader *r = trace_reader_open_memory(b.data, b.len, &err);

    if (!r)
        print_error("%s\n", err.text);
    assert_non_null(r);
    return r;
}

static void header_comes_back_as_it_was_given(void **state)
{
    struct bytes b = make_small(true);
    struct trace_reader *r = open_bytes(b);
    const struct trace_header *h = trace_reader_header(r);
    const struct trace_config_item *raw;

    (void)state;
    assert_int_equal(h->version, TRACE_VERSION);
    assert_string_equal(h->generator, "deja 0.1.0");
    assert_string_equal(h->cpu_model, "deja-v2");
    assert_int_equal(h->ns_per_insn, 1);
    assert_true(h->rtc_base == -12345);
    assert_int_equal(h->nseeds, 3);
    assert_true(h->seeds[0] == 0 && h->seeds[1] == 1 && h->seeds[2] == UINT64_MAX);
    assert_int_equal(h->nconfig, small_header.nconfig);
    assert_true(trace_header_uint(h, "ram_bytes", 0) == 512u << 20);
    assert_true(trace_header_uint(h, "big", 0) == UINT64_MAX);
    assert_true(trace_header_uint(h, "absent", 7) == 7);
    assert_true(trace_header_uint(h, "cmdline", 7) == 7);
    assert_int_equal(trace_header_find(h, "offset")->type, TRACE_CONFIG_INT);
    assert_true(trace_header_find(h, "offset")->value.i == INT64_MIN);
    assert_string_equal(trace_header_string(h, "cmdline", ""), "console=ttyS0 na\xc3\xafve");
    assert_string_equal(trace_header_string(h, "empty", "x"), "");
    assert_string_equal(trace_header_string(h, "raw", "x"), "x");
    raw = trace_header_find(h, "raw");
    assert_int_equal(raw->value.bytes.len, 4);
    assert_memory_equal(raw->value.bytes.data, "\0\xff\x80x", 4);
    assert_int_equal(trace_header_image(h, "kernel"), 0);
    assert_int_equal(trace_header_image(h, "drive0"), 1);
    assert_int_equal(trace_header_image(h, "bios"), -1);
    assert_true(h->images[0].embedded && !h->images[1].embedded);
    assert_string_equal(h->images[1].name, "disk.qcow2");
    assert_string_equal(h->images[1].hash, "00112233445566778899aabbccddeeff");
    assert_true(h->images[1].size == 1ULL << 40);
    trace_reader_destroy(r);
    free(b.data);
}

static void every_kind_of_event_comes_back_in_order(void **state)
{
    struct bytes b = make_small(true);
    struct trace_reader *r = open_bytes(b);
    struct saved_events got = {0};
    struct saved_event *e;

    (void)state;
    assert_int_equal(trace_reader_index_state(r), TRACE_INDEX_USED);
    assert_false(trace_reader_truncated(r, NULL));
    assert_int_equal(read_events(r, &got), 0);
    assert_int_equal(got.count, 13);
    e = got.list;
    assert_int_equal(e[0].ev.kind, TRACE_EVENT_MARK);
    assert_int_equal(e[0].ev.icount, 0);
    assert_memory_equal(e[0].data, "power on", 8);
    assert_int_equal(e[1].ev.kind, TRACE_EVENT_INTERRUPT);
    assert_int_equal(e[1].ev.icount, 1000000);
    assert_int_equal(e[1].ev.u.interrupt.vector, 0x30);
    assert_int_equal(e[1].ev.u.interrupt.source, 1);
    assert_int_equal(e[2].ev.u.input.vns, 1000500);
    assert_memory_equal(e[2].data, "ls\r", 3);
    assert_int_equal(e[3].ev.icount, 1000000);
    assert_int_equal(e[3].ev.u.input.vns, 1000900);
    assert_int_equal(e[3].ev.u.input.port, 1);
    assert_true(e[4].ev.u.digest == UINT64_MAX);
    assert_int_equal(e[6].ev.icount, 2000001);
    assert_true(e[6].ev.u.input.port == 4000000000u);
    assert_int_equal(e[6].ev.u.input.kind, 5);
    assert_int_equal(e[6].ev.u.input.len, 300);
    assert_int_equal(e[7].ev.u.mark.len, 0);
    assert_true(e[9].ev.icount == 5000000000);
    assert_true(e[9].ev.u.interrupt.vector == UINT32_MAX);
    assert_true(e[10].ev.u.input.vns == 5500000000);
    assert_int_equal(e[10].ev.u.input.len, 0);
    assert_memory_equal(e[11].data, "bad ? bytes", 11);
    assert_int_equal(e[12].ev.kind, TRACE_EVENT_END);
    free_events(&got);
    trace_reader_destroy(r);
    free(b.data);
}

static void end_tells_reason_counts_and_digest_without_reading(void **state)
{
    struct bytes b = make_small(true);
    struct trace_reader *r = open_bytes(b);
    struct trace_end end;

    (void)state;
    assert_int_equal(trace_reader_end(r, &end, NULL), 1);
    assert_string_equal(end.reason, "triple-fault");
    assert_true(end.exit_code == -3);
    assert_true(end.icount == small_end.icount && end.vns == small_end.vns);
    assert_true(end.digest == small_end.digest);
    assert_int_equal(end.inputs, 4);
    assert_int_equal(end.interrupts, 3);
    assert_int_equal(end.digests, 2);
    assert_int_equal(end.marks, 3);
    trace_reader_destroy(r);
    free(b.data);
}

static void abandoned_trace_has_all_events_and_no_end(void **state)
{
    struct bytes whole = make_small(true), cut = make_small(false);
    struct trace_reader *a = open_bytes(whole), *b = open_bytes(cut);
    struct saved_events all = {0}, some = {0};
    struct trace_end end;
    uint64_t bytes = 0;

    (void)state;
    assert_int_equal(read_events(a, &all), 0);
    assert_int_equal(read_events(b, &some), 0);
    assert_int_equal(some.count, all.count - 1);
    assert_true(same_events(&all, &some, some.count));
    assert_true(trace_reader_truncated(b, &bytes));
    assert_int_equal(bytes, cut.len);
    assert_int_equal(trace_reader_index_state(b), TRACE_INDEX_MISSING);
    assert_int_equal(trace_reader_end(b, &end, NULL), 0);
    free_events(&all);
    free_events(&some);
    trace_reader_destroy(a);
    trace_reader_destroy(b);
    free(whole.data);
    free(cut.data);
}

static void trace_without_events_is_a_trace(void **state)
{
    struct trace_header header = small_header;
    struct trace_end end = {.struct_size = sizeof(end), .reason = "halted"};
    struct trace_writer *w;
    struct trace_reader *r;
    struct trace_event ev;
    char path[64];

    (void)state;
    header.nimages = header.nconfig = header.nseeds = 0;
    temp_path(path);
    w = trace_writer_create(path, &header, NULL, NULL);
    assert_non_null(w);
    assert_int_equal(trace_writer_finish(w, &end), 0);
    trace_writer_destroy(w);
    r = trace_reader_open(path, NULL);
    assert_non_null(r);
    assert_int_equal(trace_reader_next(r, &ev), 1);
    assert_int_equal(ev.kind, TRACE_EVENT_END);
    assert_int_equal(trace_reader_next(r, &ev), 0);
    assert_int_equal(trace_reader_next(r, &ev), 0);
    trace_reader_destroy(r);
    unlink(path);
}

static uint8_t *noise(size_t len, uint32_t x)
{
    uint8_t *p = malloc(len + 1);

    assert_non_null(p);
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        p[i] = (uint8_t)(x >> 24);
    }
    return p;
}

static void big_images_come_back_byte_for_byte(void **state)
{
    /* Around the size of a chunk, and empty, and one that shrinks to nothing. */
    static const size_t sizes[] = {5000001, 0, 262144, 262143, 262145, 1, 3000000};
    enum { N = sizeof(sizes) / sizeof(sizes[0]) };
    struct trace_image images[N];
    struct trace_header header = small_header;
    struct trace_writer *w;
    struct trace_reader *r;
    struct trace_event ev;
    uint8_t *content[N];
    char path[64];

    (void)state;
    memset(images, 0, sizeof(images));
    for (unsigned i = 0; i < N; i++) {
        content[i] = noise(sizes[i], i);
        if (i == N - 1)
            memset(content[i], 0, sizes[i]);
        images[i].role = images[i].name = "image";
        images[i].data = content[i];
        images[i].size = sizes[i];
    }
    header.images = images;
    header.nimages = N;
    temp_path(path);
    w = trace_writer_create(path, &header, NULL, NULL);
    assert_non_null(w);
    assert_int_equal(trace_writer_interrupt(w, 5, 32, 0), 0);
    assert_int_equal(trace_writer_finish(w, &small_end), 0);
    trace_writer_destroy(w);
    for (unsigned pass = 0; pass < 2; pass++) {
        r = trace_reader_open(path, NULL);
        assert_non_null(r);
        for (unsigned k = 0; k < N; k++) {
            unsigned i = pass ? N - 1 - k : k;
            const uint8_t *data = NULL;
            size_t len = 1;

            assert_int_equal(trace_reader_image(r, i, &data, &len, NULL), 0);
            assert_int_equal(len, sizes[i]);
            assert_memory_equal(data, content[i], len);
        }
        assert_int_equal(trace_reader_next(r, &ev), 1);
        assert_int_equal(ev.kind, TRACE_EVENT_INTERRUPT);
        trace_reader_destroy(r);
        /* The second pass has no index. */
        struct bytes b = read_file(path);
        write_file(path, b.data, b.len - 1);
        free(b.data);
    }
    for (unsigned i = 0; i < N; i++)
        free(content[i]);
    unlink(path);
}

static void image_known_by_hash_only_is_not_yielded(void **state)
{
    struct bytes b = make_small(true);
    struct trace_reader *r = open_bytes(b);
    struct trace_error err = {0};
    const uint8_t *data;
    size_t len;

    (void)state;
    assert_int_equal(trace_reader_image(r, 1, &data, &len, &err), TRACE_ERR_NOT_EMBEDDED);
    assert_non_null(strstr(err.text, "disk.qcow2"));
    assert_int_equal(trace_reader_image(r, 2, &data, &len, &err), TRACE_ERR_ARGUMENT);
    trace_reader_destroy(r);
    free(b.data);
}

static void asking_for_an_image_leaves_the_current_event_alone(void **state)
{
    struct bytes b = make_small(true);
    struct trace_reader *r = open_bytes(b);
    struct trace_event ev;
    const uint8_t *data;
    size_t len;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(trace_reader_next(r, &ev), 1);
    assert_int_equal(trace_reader_image(r, 0, &data, &len, NULL), 0);
    assert_memory_equal(ev.u.input.data, "ls\r", 3);
    trace_reader_destroy(r);
    free(b.data);
}

/* A trace of 20,000 events in about 100 frames; event i at icount (i / 3) * 100. */
static void make_long(const char *path)
{
    struct trace_writer_options options = {.struct_size = sizeof(options), .frame_bytes = 1024};
    struct trace_writer *w = trace_writer_create(path, &small_header, &options, NULL);
    struct trace_end end = small_end;

    assert_non_null(w);
    for (uint64_t i = 0; i < 20000; i++) {
        if (i % 3)
            assert_int_equal(trace_writer_interrupt(w, i / 3 * 100, (uint32_t)i, 0), 0);
        else
            assert_int_equal(trace_writer_digest(w, i / 3 * 100, i * 0x9e3779b97f4a7c15u), 0);
    }
    end.icount = 1000000;
    assert_int_equal(trace_writer_finish(w, &end), 0);
    trace_writer_destroy(w);
}

static void check_seek(struct trace_reader *r, const struct saved_events *all, uint64_t icount)
{
    struct saved_event got;
    size_t want = 0;

    while (want < all->count && all->list[want].ev.icount < icount)
        want++;
    trace_reader_seek(r, icount);
    for (size_t i = want; i < want + 5 && i < all->count; i++) {
        assert_int_equal(trace_reader_next(r, &got.ev), 1);
        assert_true(same_event(&got, &all->list[i]));
    }
    if (want == all->count)
        assert_int_equal(trace_reader_next(r, &got.ev), 0);
}

static void seek_gives_the_first_event_at_or_after_an_icount(void **state)
{
    struct saved_events all = {0}, walked = {0};
    struct trace_reader *with, *without;
    struct bytes b;
    char path[64];

    (void)state;
    temp_path(path);
    make_long(path);
    b = read_file(path);
    with = trace_reader_open(path, NULL);
    without = trace_reader_open_memory(b.data, b.len - 1, NULL);
    assert_non_null(with);
    assert_non_null(without);
    assert_int_equal(trace_reader_index_state(with), TRACE_INDEX_USED);
    assert_int_equal(trace_reader_index_state(without), TRACE_INDEX_DAMAGED);
    assert_false(trace_reader_truncated(without, NULL));
    assert_int_equal(read_events(with, &all), 0);
    assert_int_equal(read_events(without, &walked), 0);
    assert_int_equal(all.count, 20001);
    assert_int_equal(walked.count, all.count);
    assert_true(same_events(&all, &walked, all.count));
    for (uint64_t icount = 0; icount < 670000; icount += 777) {
        check_seek(with, &all, icount);
        check_seek(without, &all, icount);
    }
    for (size_t i = all.count; i-- > 0;) {
        if (i % 50 == 0)
            check_seek(with, &all, all.list[i].ev.icount);
    }
    check_seek(with, &all, 1000000);
    check_seek(with, &all, 1000001);
    check_seek(with, &all, UINT64_MAX);
    check_seek(with, &all, 0);
    free_events(&all);
    free_events(&walked);
    trace_reader_destroy(with);
    trace_reader_destroy(without);
    free(b.data);
    unlink(path);
}

/* Bytes per event of 100,000 timer interrupts, every `odd`-th of them late by a few instructions.
 */
static double timer_cost(unsigned odd)
{
    struct trace_header header = small_header;
    struct trace_end end = {.struct_size = sizeof(end), .reason = "user", .icount = UINT64_MAX};
    struct trace_writer *w;
    uint32_t x = 1;
    struct bytes b;
    char path[64];
    double cost;

    header.nimages = 0;
    temp_path(path);
    w = trace_writer_create(path, &header, NULL, NULL);
    assert_non_null(w);
    for (uint64_t i = 1; i <= 100000; i++) {
        uint64_t late = 0;

        x = x * 1664525u + 1013904223u;
        if (odd && (x >> 16) % odd == 0)
            late = (x >> 24) % 64;
        assert_int_equal(trace_writer_interrupt(w, i * 4000000 + late, 0xec, 0), 0);
    }
    assert_int_equal(trace_writer_finish(w, &end), 0);
    trace_writer_destroy(w);
    b = read_file(path);
    cost = (double)b.len / 100000;
    print_message("# timer interrupts, one in %u late: %.3f bytes each\n", odd, cost);
    free(b.data);
    unlink(path);
    return cost;
}

static void timer_interrupts_take_under_three_bytes_each(void **state)
{
    (void)state;
    assert_true(timer_cost(0) < 0.2);
    assert_true(timer_cost(4) < 3.0);
    assert_true(timer_cost(1) < 3.0);
}

static void caller_mistakes_are_refused_and_leave_the_trace_whole(void **state)
{
    struct trace_end end = small_end, early = small_end;
    struct trace_writer *w;
    struct trace_reader *r;
    struct saved_events got = {0};
    char path[64], mark[TRACE_MARK_MAX + 2];

    (void)state;
    temp_path(path);
    w = trace_writer_create(path, &small_header, NULL, NULL);
    assert_non_null(w);
    memset(mark, 'm', sizeof(mark));
    mark[TRACE_MARK_MAX + 1] = '\0';
    assert_int_equal(trace_writer_interrupt(w, 100, 1, 0), 0);
    assert_int_equal(trace_writer_interrupt(w, 99, 1, 0), TRACE_ERR_ORDER);
    assert_int_equal(trace_writer_input(w, 100, 500, 1, 0, "a", 1), 0);
    assert_int_equal(trace_writer_input(w, 101, 499, 1, 0, "b", 1), TRACE_ERR_ORDER);
    assert_int_equal(trace_writer_input(w, 101, 500, 1, 0, NULL, 1), TRACE_ERR_ARGUMENT);
    assert_int_equal(trace_writer_input(w, 101, 500, 1, 0, "c", TRACE_INPUT_MAX + 1),
                     TRACE_ERR_TOO_BIG);
    assert_int_equal(trace_writer_mark(w, 101, mark), TRACE_ERR_TOO_BIG);
    assert_int_equal(trace_writer_mark(w, 101, NULL), TRACE_ERR_ARGUMENT);
    early.icount = 99;
    assert_int_equal(trace_writer_finish(w, &early), TRACE_ERR_ORDER);
    early = small_end;
    early.vns = 499;
    assert_int_equal(trace_writer_finish(w, &early), TRACE_ERR_ORDER);
    early = small_end;
    early.struct_size = 0;
    assert_int_equal(trace_writer_finish(w, &early), TRACE_ERR_ARGUMENT);
    assert_int_equal(trace_writer_error(w, NULL), 0);
    assert_int_equal(trace_writer_finish(w, &end), 0);
    assert_int_equal(trace_writer_finish(w, &end), TRACE_ERR_STATE);
    assert_int_equal(trace_writer_interrupt(w, UINT64_MAX, 1, 0), TRACE_ERR_STATE);
    assert_int_equal(trace_writer_flush(w), 0);
    trace_writer_destroy(w);
    r = trace_reader_open(path, NULL);
    assert_non_null(r);
    assert_int_equal(read_events(r, &got), 0);
    assert_int_equal(got.count, 3);
    free_events(&got);
    trace_reader_destroy(r);
    unlink(path);
}

static void expect_header_error(const struct trace_header *header, int code)
{
    struct trace_error err = {0};
    char path[64];

    temp_path(path);
    assert_null(trace_writer_create(path, header, NULL, &err));
    assert_int_equal(err.code, code);
    assert_true(err.text[0]);
    unlink(path);
}

static void headers_that_cannot_be_written_are_refused(void **state)
{
    struct trace_config_item items[2] = {{"a", TRACE_CONFIG_UINT, {.u = 1}},
                                         {"a", TRACE_CONFIG_UINT, {.u = 2}}};
    struct trace_image image = {.role = "disk", .name = "d", .hash = "00"};
    struct trace_header h = small_header;

    (void)state;
    h.struct_size = 8;
    expect_header_error(&h, TRACE_ERR_ARGUMENT);
    h = small_header;
    h.generator = NULL;
    expect_header_error(&h, TRACE_ERR_ARGUMENT);
    h = small_header;
    h.ns_per_insn = 0;
    expect_header_error(&h, TRACE_ERR_ARGUMENT);
    h = small_header;
    h.config = items;
    h.nconfig = 2;
    expect_header_error(&h, TRACE_ERR_ARGUMENT);
    items[1].key = "b";
    items[1].type = TRACE_CONFIG_STRING;
    items[1].value.s = "latin \xe9";
    expect_header_error(&h, TRACE_ERR_ARGUMENT);
    h = small_header;
    h.images = &image;
    h.nimages = 1;
    expect_header_error(&h, TRACE_ERR_ARGUMENT);
    image.data = (const uint8_t *)"";
    image.size = TRACE_IMAGE_MAX + 1;
    expect_header_error(&h, TRACE_ERR_ARGUMENT);
    memcpy(image.hash, "00112233445566778899aabbccddeeff", 33);
    expect_header_error(&h, TRACE_ERR_TOO_BIG);
}

static void image_hash_is_that_of_xxhsum(void **state)
{
    char hash[TRACE_HASH_CHARS + 1];

    (void)state;
    /* printf "" | xxhsum -H2 */
    trace_image_hash(NULL, 0, hash);
    assert_string_equal(hash, "99aa06d3014798d86001c324468d497f");
}

static void idle_guest_does_not_hold_events_back(void **state)
{
    struct trace_writer_options options = {.struct_size = sizeof(options), .flush_interval_ms = 20};
    struct trace_writer *w;
    char path[64];
    size_t count = 0;

    (void)state;
    temp_path(path);
    w = trace_writer_create(path, &small_header, &options, NULL);
    assert_non_null(w);
    assert_int_equal(trace_writer_interrupt(w, 7, 32, 0), 0);
    /* Nobody appends any more; the writer's own thread must bring it to the file. */
    for (unsigned i = 0; i < 1000 && !count; i++) {
        struct trace_reader *r = trace_reader_open(path, NULL);
        struct saved_events got = {0};

        assert_non_null(r);
        assert_int_equal(read_events(r, &got), 0);
        count = got.count;
        free_events(&got);
        trace_reader_destroy(r);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    assert_int_equal(count, 1);
    trace_writer_destroy(w);
    unlink(path);
}

static void largest_inputs_fit(void **state)
{
    uint8_t *big = noise(TRACE_INPUT_MAX, 5);
    struct saved_events got = {0};
    struct trace_writer *w;
    struct trace_reader *r;
    char path[64];

    (void)state;
    temp_path(path);
    w = trace_writer_create(path, &small_header, NULL, NULL);
    assert_non_null(w);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(trace_writer_input(w, i, i, 5, 0, big, TRACE_INPUT_MAX), 0);
    assert_int_equal(trace_writer_finish(w, &small_end), 0);
    trace_writer_destroy(w);
    r = trace_reader_open(path, NULL);
    assert_non_null(r);
    assert_int_equal(read_events(r, &got), 0);
    assert_int_equal(got.count, 101);
    assert_memory_equal(got.list[99].data, big, TRACE_INPUT_MAX);
    free_events(&got);
    trace_reader_destroy(r);
    free(big);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_comes_back_as_it_was_given),
        cmocka_unit_test(every_kind_of_event_comes_back_in_order),
        cmocka_unit_test(end_tells_reason_counts_and_digest_without_reading),
        cmocka_unit_test(abandoned_trace_has_all_events_and_no_end),
        cmocka_unit_test(trace_without_events_is_a_trace),
        cmocka_unit_test(big_images_come_back_byte_for_byte),
        cmocka_unit_test(image_known_by_hash_only_is_not_yielded),
        cmocka_unit_test(asking_for_an_image_leaves_the_current_event_alone),
        cmocka_unit_test(seek_gives_the_first_event_at_or_after_an_icount),
        cmocka_unit_test(timer_interrupts_take_under_three_bytes_each),
        cmocka_unit_test(caller_mistakes_are_refused_and_leave_the_trace_whole),
        cmocka_unit_test(headers_that_cannot_be_written_are_refused),
        cmocka_unit_test(image_hash_is_that_of_xxhsum),
        cmocka_unit_test(idle_guest_does_not_hold_events_back),
        cmocka_unit_test(largest_inputs_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
