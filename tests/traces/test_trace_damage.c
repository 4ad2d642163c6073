/* SPDX-License-Identifier: MIT */
/*
 * Files that are cut, changed or forged. Whatever is done to a trace, the reader gives the events
 * that were written, or some first part of them and says where it stopped, or an error with its
 * place.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace_fixture.h"
#include "trace_internal.h"

/* ---- building files by hand ---- */

static void add(struct bytes *file, const void *data, size_t len)
{
    file->data = realloc(file->data, file->len + len + 1);
    assert_non_null(file->data);
    if (len)
        memcpy(file->data + file->len, data, len);
    file->len += len;
}

static void add_frame(struct bytes *file, const void *data, size_t len)
{
    uint8_t *packed = NULL;
    size_t cap = 0, n = frame_pack(data, len, 0, &packed, &cap);

    assert_true(n > 0);
    add(file, packed, n);
    free(packed);
}

static void add_out(struct bytes *file, struct cbor_out *o)
{
    assert_false(o->failed);
    add_frame(file, o->data, o->len);
    cbor_out_fini(o);
}

static void text(struct cbor_out *o, const char *s)
{
    cbor_out_text(o, s, strlen(s));
}

static void plain_header(struct cbor_out *o)
{
    struct trace_header header = small_header;

    header.nimages = 0;
    assert_int_equal(header_put(o, &header, NULL, NULL), 0);
}

static struct bytes header_only(void)
{
    struct bytes file = {0};
    struct cbor_out o = {0};

    plain_header(&o);
    add_out(&file, &o);
    return file;
}

static void put_head(struct cbor_out *o, uint64_t seq, uint64_t first, uint64_t last,
                     uint64_t count)
{
    struct frame_head head = {
        .kind = FRAME_EVENTS, .seq = seq, .first = first, .last = last, .count = count};

    frame_head_put(o, &head);
}

static void put_interrupt(struct cbor_out *o, uint64_t delta)
{
    cbor_out_array(o, 4);
    cbor_out_uint(o, TRACE_EVENT_INTERRUPT);
    cbor_out_uint(o, delta);
    cbor_out_uint(o, 32);
    cbor_out_uint(o, 0);
}

/* Frame `seq`: two interrupts, at `first` and `first + 10`. */
static void add_events(struct bytes *file, uint64_t seq, uint64_t first)
{
    struct cbor_out o = {0};

    put_head(&o, seq, first, first + 10, 2);
    put_interrupt(&o, 0);
    put_interrupt(&o, 10);
    add_out(file, &o);
}

static void add_end(struct bytes *file, uint64_t seq, uint64_t icount)
{
    struct frame_head head = {.kind = FRAME_END, .seq = seq, .end = small_end};
    struct cbor_out o = {0};

    head.end.icount = icount;
    frame_head_put(&o, &head);
    add_out(file, &o);
}

/* Opens, reads everything and returns the last word, which is also in *err. The file is freed. */
static int read_all(struct bytes *file, struct saved_events *events, struct trace_error *err)
{
    struct saved_events local = {0};
    struct trace_reader *r;
    int rc;

    memset(err, 0, sizeof(*err));
    r = trace_reader_open_memory(file->data, file->len, err);
    if (r) {
        rc = read_events(r, events ? events : &local);
        assert_int_equal(trace_reader_error(r, err), rc);
        trace_reader_destroy(r);
        free_events(&local);
    } else {
        rc = err->code;
        assert_true(rc < 0);
    }
    assert_true(rc == 0 || err->text[0]);
    free(file->data);
    memset(file, 0, sizeof(*file));
    return rc;
}

static void expect(struct bytes file, int code, const char *says)
{
    struct trace_error err;
    int rc = read_all(&file, NULL, &err);

    if (rc != code || !strstr(err.text, says))
        fail_msg("got %d \"%s\", not %d \"...%s...\"", rc, err.text, code, says);
}

/* ---- cut ---- */

static void check_cut(struct bytes file, size_t len, const struct saved_events *all, size_t *before)
{
    struct saved_events got = {0};
    struct trace_error err = {0};
    uint8_t *copy = malloc(len + 1); /* so that a read past the cut is seen by sanitizers */
    struct trace_reader *r;
    uint64_t whole = UINT64_MAX;

    assert_non_null(copy);
    memcpy(copy, file.data, len);
    r = trace_reader_open_memory(copy, len, &err);
    if (!r) {
        assert_int_equal(err.code, TRACE_ERR_TRUNCATED);
        assert_int_equal(*before, 0);
        free(copy);
        return;
    }
    assert_int_equal(read_events(r, &got), 0);
    assert_true(same_events(&got, all, got.count));
    assert_true(got.count >= *before);
    if (got.count < all->count || all->list[all->count - 1].ev.kind != TRACE_EVENT_END) {
        assert_true(trace_reader_truncated(r, &whole));
        assert_true(whole <= len);
    } else {
        assert_false(trace_reader_truncated(r, NULL));
    }
    *before = got.count;
    free_events(&got);
    trace_reader_destroy(r);
    free(copy);
}

static void cut_everywhere(bool finished)
{
    struct bytes file = make_small(finished);
    struct saved_events all = {0};
    struct trace_reader *r = trace_reader_open_memory(file.data, file.len, NULL);
    size_t before = 0;

    assert_non_null(r);
    assert_int_equal(read_events(r, &all), 0);
    for (size_t len = 0; len <= file.len; len++)
        check_cut(file, len, &all, &before);
    assert_int_equal(before, all.count);
    free_events(&all);
    trace_reader_destroy(r);
    free(file.data);
}

static void trace_cut_at_any_byte_yields_its_whole_frames(void **state)
{
    (void)state;
    cut_everywhere(true);
    cut_everywhere(false);
}

/* ---- flipped bits ---- */

static void flip_everywhere(bool finished)
{
    struct bytes file = make_small(finished);
    struct saved_events all = {0};
    struct trace_reader *r = trace_reader_open_memory(file.data, file.len, NULL);
    const uint8_t *image, *other;
    size_t image_len, other_len, errors = 0, same = 0;

    assert_non_null(r);
    assert_int_equal(read_events(r, &all), 0);
    assert_int_equal(trace_reader_image(r, 0, &image, &image_len, NULL), 0);
    for (size_t bit = 0; bit < file.len * 8; bit++) {
        struct saved_events got = {0};
        struct trace_error err = {0};
        struct trace_reader *b;
        int rc;

        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        b = trace_reader_open_memory(file.data, file.len, &err);
        if (!b) {
            assert_true(err.code <= TRACE_ERR_NOT_TRACE && err.text[0]);
            errors++;
        } else {
            rc = read_events(b, &got);
            assert_true(same_events(&got, &all, got.count));
            if (rc < 0)
                errors++;
            else if (got.count == all.count)
                same++;
            else /* without an index, a longer last frame cannot be told from a cut one */
                assert_true(!finished && trace_reader_truncated(b, NULL));
            if (trace_reader_image(b, 0, &other, &other_len, NULL) == 0) {
                assert_int_equal(other_len, image_len);
                assert_memory_equal(other, image, image_len);
            }
            free_events(&got);
            trace_reader_destroy(b);
        }
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    print_message("# %zu bits: %zu errors, %zu equal\n", file.len * 8, errors, same);
    assert_true(errors > file.len * 4);
    free_events(&all);
    trace_reader_destroy(r);
    free(file.data);
}

static void trace_with_any_bit_flipped_never_yields_wrong_events(void **state)
{
    (void)state;
    flip_everywhere(true);
    flip_everywhere(false);
}

static void damage_in_the_middle_is_an_error_at_its_place_after_the_events_before(void **state)
{
    struct bytes file = header_only();
    struct saved_events got = {0};
    struct trace_error err;
    size_t second;

    (void)state;
    add_events(&file, 1, 100);
    second = file.len;
    add_events(&file, 2, 200);
    add_events(&file, 3, 300);
    add_end(&file, 4, 400);
    file.data[second + 25] ^= 1;
    assert_int_equal(read_all(&file, &got, &err), TRACE_ERR_CORRUPT);
    assert_int_equal(err.offset, second);
    assert_int_equal(got.count, 2);
    free_events(&got);
}

static void damaged_index_is_passed_over(void **state)
{
    struct bytes file = make_small(true);
    struct trace_reader *r;
    struct saved_events got = {0};
    struct trace_end end;

    (void)state;
    file.data[file.len - 20] ^= 0x40;
    r = trace_reader_open_memory(file.data, file.len, NULL);
    assert_non_null(r);
    assert_int_equal(trace_reader_index_state(r), TRACE_INDEX_DAMAGED);
    assert_int_equal(trace_reader_end(r, &end, NULL), 1);
    assert_int_equal(read_events(r, &got), 0);
    assert_int_equal(got.count, 13);
    free_events(&got);
    trace_reader_destroy(r);
    free(file.data);
}

static void seek_goes_past_damage_and_clears_its_error(void **state)
{
    struct bytes file = header_only();
    struct trace_index index = {0};
    struct cbor_out o = {0};
    struct trace_event ev;
    struct trace_reader *r;
    size_t first;

    (void)state;
    index.events_offset = first = file.len;
    for (unsigned i = 0; i < 3; i++) {
        struct index_entry entry = {i + 1, file.len, 100 * (i + 1)};

        assert_true(index_add(&index, &entry, true));
        add_events(&file, i + 1, 100 * (i + 1));
    }
    index.end_offset = file.len;
    index.end_seq = 4;
    add_end(&file, 4, 400);
    index_put(&o, &index);
    add(&file, o.data, o.len);
    file.data[first + 25] ^= 1;
    r = trace_reader_open_memory(file.data, file.len, NULL);
    assert_non_null(r);
    assert_int_equal(trace_reader_index_state(r), TRACE_INDEX_USED);
    assert_int_equal(trace_reader_next(r, &ev), TRACE_ERR_CORRUPT);
    assert_int_equal(trace_reader_next(r, &ev), TRACE_ERR_CORRUPT);
    trace_reader_seek(r, 205);
    assert_int_equal(trace_reader_next(r, &ev), 1);
    assert_int_equal(ev.icount, 210);
    trace_reader_destroy(r);
    cbor_out_fini(&o);
    index_fini(&index);
    free(file.data);
}

/* ---- forged frames ---- */

static void lost_repeated_and_moved_frames_are_noticed(void **state)
{
    static const uint64_t orders[][3] = {{1, 3, 4}, {1, 1, 2}, {2, 1, 3}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct bytes file = header_only();

        for (size_t k = 0; k < 3; k++)
            add_events(&file, orders[i][k], 100 * orders[i][k]);
        add_end(&file, 5, 1000);
        expect(file, TRACE_ERR_MALFORMED, "belongs");
    }
}

static void time_that_runs_backwards_is_refused(void **state)
{
    struct bytes file = header_only();

    (void)state;
    add_events(&file, 1, 200);
    add_events(&file, 2, 205);
    add_end(&file, 3, 400);
    expect(file, TRACE_ERR_MALFORMED, "where the frame before stopped");
    file = header_only();
    add_events(&file, 1, 200);
    add_events(&file, 2, 100);
    expect(file, TRACE_ERR_MALFORMED, "before those");
    file = header_only();
    add_events(&file, 1, 200);
    add_end(&file, 2, 209);
    expect(file, TRACE_ERR_MALFORMED, "an end before the last event");
}

static void frame_that_starts_from_another_vns_is_refused(void **state)
{
    struct frame_head head = {
        .kind = FRAME_EVENTS, .seq = 2, .first = 200, .last = 200, .vns = 7, .count = 1};
    struct bytes file = header_only();
    struct cbor_out o = {0};

    (void)state;
    add_events(&file, 1, 100);
    frame_head_put(&o, &head);
    put_interrupt(&o, 0);
    add_out(&file, &o);
    expect(file, TRACE_ERR_MALFORMED, "where the frame before stopped");
}

/* A block length that points past the end of the file looks like a recorder that was killed. */
static void damaged_length_with_whole_frames_behind_it_is_no_truncation(void **state)
{
    struct bytes file = header_only();
    struct cbor_out o = {0};
    struct trace_error err;
    size_t first = file.len;

    (void)state;
    put_head(&o, 1, 0, 29990, 3000);
    for (unsigned i = 0; i < 3000; i++)
        put_interrupt(&o, i ? 10 : 0);
    add_out(&file, &o);
    add_events(&file, 2, 30000);
    assert_true(file.len - first < 5000);
    file.data[first + 15] = 0;
    file.data[first + 16] = 5000 >> 8; /* of 15,000 bytes of content: not impossible by itself */
    assert_int_equal(read_all(&file, NULL, &err), TRACE_ERR_CORRUPT);
    assert_int_equal(err.offset, first);
    assert_non_null(strstr(err.text, "its length does not hold"));
}

static void expect_events(void (*fill)(struct cbor_out *), int code, const char *says)
{
    struct bytes file = header_only();
    struct cbor_out o = {0};

    fill(&o);
    add_out(&file, &o);
    add_end(&file, 2, 1000000);
    expect(file, code, says);
}

static void unknown_kind(struct cbor_out *o)
{
    put_head(o, 1, 5, 5, 1);
    cbor_out_array(o, 2);
    cbor_out_uint(o, 77);
    cbor_out_uint(o, 0);
}

static void end_among_events(struct cbor_out *o)
{
    put_head(o, 1, 5, 5, 1);
    cbor_out_array(o, 2);
    cbor_out_uint(o, TRACE_EVENT_END);
    cbor_out_uint(o, 0);
}

static void event_of_wrong_length(struct cbor_out *o)
{
    put_head(o, 1, 5, 5, 1);
    cbor_out_array(o, 3);
    cbor_out_uint(o, TRACE_EVENT_INTERRUPT);
    cbor_out_uint(o, 0);
    cbor_out_uint(o, 0);
}

static void too_few_events(struct cbor_out *o)
{
    put_head(o, 1, 5, 5, 2);
    put_interrupt(o, 0);
}

static void too_many_events(struct cbor_out *o)
{
    put_head(o, 1, 5, 5, 1);
    put_interrupt(o, 0);
    put_interrupt(o, 0);
}

static void events_past_the_range(struct cbor_out *o)
{
    put_head(o, 1, 5, 10, 2);
    put_interrupt(o, 0);
    put_interrupt(o, 6);
}

static void events_short_of_the_range(struct cbor_out *o)
{
    put_head(o, 1, 5, 10, 2);
    put_interrupt(o, 0);
    put_interrupt(o, 4);
}

static void overflowing_delta(struct cbor_out *o)
{
    put_head(o, 1, UINT64_MAX - 1, UINT64_MAX, 2);
    put_interrupt(o, 1);
    put_interrupt(o, UINT64_MAX);
}

static void empty_range(struct cbor_out *o)
{
    put_head(o, 1, 5, 5, 0);
}

static void backward_range(struct cbor_out *o)
{
    put_head(o, 1, 6, 5, 1);
    put_interrupt(o, 0);
}

static void blob_among_events(struct cbor_out *o)
{
    struct frame_head head = {.kind = FRAME_BLOB, .seq = 1, .data = (const uint8_t *)"x", .len = 1};

    frame_head_put(o, &head);
}

static void not_cbor(struct cbor_out *o)
{
    put_head(o, 1, 5, 5, 1);
    cbor_out_reserve(o, 4);
    memcpy(o->data + o->len, "\x1c\x1c\x1c\x1c", 4);
    o->len += 4;
}

static void indefinite_array(struct cbor_out *o)
{
    put_head(o, 1, 5, 5, 1);
    cbor_out_reserve(o, 7);
    memcpy(o->data + o->len, "\x9f\x02\x00\x18\x20\x00\xff", 7);
    o->len += 7;
}

static void huge_bytes(struct cbor_out *o)
{
    put_head(o, 1, 5, 5, 1);
    cbor_out_array(o, 6);
    cbor_out_uint(o, TRACE_EVENT_INPUT);
    for (unsigned i = 0; i < 4; i++)
        cbor_out_uint(o, 0);
    cbor_out_reserve(o, 9);
    memcpy(o->data + o->len, "\x5b\x7f\xff\xff\xff\xff\xff\xff\xff", 9);
    o->len += 9;
}

static void huge_array(struct cbor_out *o)
{
    put_head(o, 1, 5, 5, 1);
    cbor_out_reserve(o, 9);
    memcpy(o->data + o->len, "\x9b\xff\xff\xff\xff\xff\xff\xff\xff", 9);
    o->len += 9;
}

static void long_input(struct cbor_out *o)
{
    uint8_t *data = calloc(1, TRACE_INPUT_MAX + 1);

    assert_non_null(data);
    put_head(o, 1, 5, 5, 1);
    cbor_out_array(o, 6);
    cbor_out_uint(o, TRACE_EVENT_INPUT);
    for (unsigned i = 0; i < 4; i++)
        cbor_out_uint(o, 0);
    cbor_out_bytes(o, data, TRACE_INPUT_MAX + 1);
    free(data);
}

static void mark_of_no_utf8(struct cbor_out *o)
{
    put_head(o, 1, 5, 5, 1);
    cbor_out_array(o, 3);
    cbor_out_uint(o, TRACE_EVENT_MARK);
    cbor_out_uint(o, 0);
    cbor_out_text(o, "\xed\xa0\x80", 3);
}

static void deep_nesting(struct cbor_out *o)
{
    put_head(o, 1, 5, 5, 1);
    for (unsigned i = 0; i < 1000000; i++)
        cbor_out_array(o, 1);
    cbor_out_uint(o, 0);
}

static void malformed_events_are_refused_with_the_reason(void **state)
{
    (void)state;
    expect_events(unknown_kind, TRACE_ERR_UNKNOWN_EVENT, "unknown kind of event 77");
    expect_events(end_among_events, TRACE_ERR_UNKNOWN_EVENT, "unknown kind of event 5");
    expect_events(event_of_wrong_length, TRACE_ERR_MALFORMED, "wrong length");
    expect_events(too_few_events, TRACE_ERR_MALFORMED, "too early");
    expect_events(too_many_events, TRACE_ERR_MALFORMED, "does not end with its last event");
    expect_events(events_past_the_range, TRACE_ERR_MALFORMED, "outside the range");
    expect_events(events_short_of_the_range, TRACE_ERR_MALFORMED, "does not end");
    expect_events(overflowing_delta, TRACE_ERR_MALFORMED, "out of range");
    expect_events(empty_range, TRACE_ERR_MALFORMED, "range is empty");
    expect_events(backward_range, TRACE_ERR_MALFORMED, "range is empty or runs backwards");
    expect_events(blob_among_events, TRACE_ERR_MALFORMED, "piece of an image");
    expect_events(not_cbor, TRACE_ERR_MALFORMED, "not CBOR");
    expect_events(indefinite_array, TRACE_ERR_MALFORMED, "indefinite length");
    expect_events(huge_bytes, TRACE_ERR_MALFORMED, "longer than what holds it");
    expect_events(huge_array, TRACE_ERR_MALFORMED, "more elements claimed");
    expect_events(long_input, TRACE_ERR_MALFORMED, "too long");
    expect_events(mark_of_no_utf8, TRACE_ERR_MALFORMED, "not UTF-8");
    expect_events(deep_nesting, TRACE_ERR_MALFORMED, "not an unsigned number");
}

/* ---- forged headers ---- */

static struct bytes header_file(struct cbor_out *o)
{
    struct bytes file = {0};

    add_out(&file, o);
    return file;
}

static void later_versions_are_refused_by_name(void **state)
{
    struct cbor_out o = {0};

    (void)state;
    cbor_out_tag(&o, TRACE_CBOR_TAG);
    cbor_out_map(&o, 3);
    text(&o, "something new");
    cbor_out_array(&o, 2);
    cbor_out_map(&o, 1);
    text(&o, "a");
    cbor_out_bytes(&o, "b", 1);
    cbor_out_tag(&o, 0);
    text(&o, "c");
    text(&o, "version");
    cbor_out_uint(&o, 7);
    text(&o, "format");
    text(&o, "deja-trace");
    expect(header_file(&o), TRACE_ERR_VERSION, "version 7, this deja reads up to 1");
    cbor_out_tag(&o, TRACE_CBOR_TAG);
    cbor_out_map(&o, 1);
    text(&o, "format");
    text(&o, "deja-trace");
    expect(header_file(&o), TRACE_ERR_VERSION, "version 0");
}

static void other_files_are_no_traces(void **state)
{
    struct bytes file = {0};
    struct cbor_out o = {0};

    (void)state;
    expect(file, TRACE_ERR_TRUNCATED, "empty");
    add(&file, "\x1f\x8b\x08 gzip, perhaps", 17);
    expect(file, TRACE_ERR_NOT_TRACE, "not a deja trace");
    memset(&file, 0, sizeof(file));
    add(&file, "\x04", 1);
    expect(file, TRACE_ERR_TRUNCATED, "inside its header");
    memset(&file, 0, sizeof(file));
    add_frame(&file, "hello, this is some text", 24);
    expect(file, TRACE_ERR_NOT_TRACE, "not self-described CBOR");
    cbor_out_tag(&o, TRACE_CBOR_TAG);
    cbor_out_map(&o, 1);
    text(&o, "format");
    text(&o, "something-else");
    expect(header_file(&o), TRACE_ERR_NOT_TRACE, "no format");
    cbor_out_tag(&o, TRACE_CBOR_TAG);
    cbor_out_uint(&o, 1);
    expect(header_file(&o), TRACE_ERR_NOT_TRACE, "no format");
    memset(&file, 0, sizeof(file));
    add(&file, "\x5d\x2a\x4d\x18\x00\x00\x00\x00", 8);
    expect(file, TRACE_ERR_NOT_TRACE, "skippable");
}

/* A good header of ten keys with one more, whose value `fill` puts. */
static struct bytes header_with(void (*fill)(struct cbor_out *), const char *key)
{
    struct cbor_out o = {0};

    plain_header(&o);
    assert_int_equal(o.data[3], 0xaa);
    o.data[3] = 0xab;
    text(&o, key);
    fill(&o);
    return header_file(&o);
}

static void put_nested(struct cbor_out *o)
{
    for (unsigned i = 0; i < 900000; i++)
        cbor_out_array(o, 1);
    cbor_out_uint(o, 0);
}

static void put_unclosed(struct cbor_out *o)
{
    for (unsigned i = 0; i < 1000; i++)
        cbor_out_array(o, 2);
}

static void put_huge_map(struct cbor_out *o)
{
    cbor_out_map(o, SIZE_MAX);
}

static void put_number(struct cbor_out *o)
{
    cbor_out_uint(o, 1);
}

static void strange_headers_are_refused_or_passed_over(void **state)
{
    struct bytes file;
    struct cbor_out o = {0};

    (void)state;
    expect(header_with(put_number, "a key of a later deja"), 0, "");
    expect(header_with(put_nested, "nested"), 0, "");
    expect(header_with(put_unclosed, "unclosed"), TRACE_ERR_MALFORMED, "more elements");
    expect(header_with(put_huge_map, "huge"), TRACE_ERR_MALFORMED, "more elements");
    expect(header_with(put_number, "chunk"), TRACE_ERR_MALFORMED, "twice");
    plain_header(&o);
    cbor_out_uint(&o, 1);
    expect(header_file(&o), TRACE_ERR_MALFORMED, "bytes follow");
    cbor_out_tag(&o, TRACE_CBOR_TAG);
    cbor_out_map(&o, 2);
    text(&o, "format");
    text(&o, "deja-trace");
    text(&o, "version");
    cbor_out_uint(&o, 1);
    expect(header_file(&o), TRACE_ERR_MALFORMED, "a required key is missing");
    plain_header(&o);
    file = header_file(&o);
    file.data[file.len - 1] ^= 1;
    expect(file, TRACE_ERR_CORRUPT, "damaged");
}

/* ---- bombs ---- */

static void frames_that_grow_beyond_bounds_are_refused(void **state)
{
    struct bytes file = header_only();
    size_t len = TRACE_FRAME_MAX + 1;
    uint8_t *zeros = calloc(1, len);

    (void)state;
    assert_non_null(zeros);
    add_frame(&file, zeros, len);
    expect(file, TRACE_ERR_LIMIT, "claims to hold 16777217 bytes");
    memset(&file, 0, sizeof(file));
    add_frame(&file, zeros, TRACE_HEADER_MAX + 1);
    expect(file, TRACE_ERR_LIMIT, "at most 1048576");
    file = header_only();
    add_frame(&file, zeros, TRACE_FRAME_MAX);
    expect(file, TRACE_ERR_MALFORMED, "not an array");
    free(zeros);
}

static void frame_that_claims_more_than_it_can_hold_is_refused_before_memory_is_taken(void **state)
{
    /* Magic, FLG (version 1, content size and checksum), BD, 16 MiB, HC, a stored block of 1 byte.
     */
    uint8_t raw[] = {0x04, 0x22, 0x4D, 0x18, 0x4C, 0x40, 0, 0, 0, 1, 0, 0, 0, 0,
                     0,    1,    0,    0,    0x80, 'x',  0, 0, 0, 0, 0, 0, 0, 0};
    struct bytes file;

    (void)state;
    for (unsigned hc = 0; hc < 256; hc++) {
        struct trace_error err;
        int rc;

        file = header_only();
        raw[14] = (uint8_t)hc;
        add(&file, raw, sizeof(raw));
        rc = read_all(&file, NULL, &err);
        if (rc == TRACE_ERR_CORRUPT && strstr(err.text, "header checksum"))
            continue;
        assert_int_equal(rc, TRACE_ERR_LIMIT);
        assert_non_null(strstr(err.text, "more content than its blocks can hold"));
        return;
    }
    fail_msg("no header checksum fits");
}

static void embedded_image_that_is_not_there_is_an_error(void **state)
{
    struct trace_image image = {
        .role = "kernel", .name = "k", .data = (const uint8_t *)"", .size = TRACE_IMAGE_MAX};
    static const char hashes[1][TRACE_HASH_CHARS + 1] = {"00112233445566778899aabbccddeeff"};
    struct trace_header header = small_header;
    struct trace_reader *r;
    struct trace_error err;
    struct bytes file = {0};
    struct cbor_out o = {0};
    const uint8_t *data;
    struct frame_head head = {.kind = FRAME_BLOB, .seq = 1, .data = (const uint8_t *)"x", .len = 1};
    size_t len;

    (void)state;
    header.images = &image;
    header.nimages = 1;
    assert_int_equal(header_put(&o, &header, hashes, NULL), 0);
    add_out(&file, &o);
    r = trace_reader_open_memory(file.data, file.len, NULL);
    assert_non_null(r);
    assert_true(trace_reader_truncated(r, NULL));
    assert_int_equal(trace_reader_image(r, 0, &data, &len, &err), TRACE_ERR_TRUNCATED);
    trace_reader_destroy(r);
    frame_head_put(&o, &head);
    add_out(&file, &o);
    r = trace_reader_open_memory(file.data, file.len, NULL);
    assert_non_null(r);
    assert_int_equal(trace_reader_image(r, 0, &data, &len, &err), TRACE_ERR_MALFORMED);
    trace_reader_destroy(r);
    free(file.data);
}

static void embedded_image_with_another_hash_is_refused(void **state)
{
    struct trace_image image = {
        .role = "kernel", .name = "k", .data = (const uint8_t *)"x", .size = 1};
    static const char hashes[1][TRACE_HASH_CHARS + 1] = {"00112233445566778899aabbccddeeff"};
    struct trace_header header = small_header;
    struct frame_head head = {.kind = FRAME_BLOB, .seq = 1, .data = (const uint8_t *)"x", .len = 1};
    struct trace_reader *r;
    struct bytes file = {0};
    struct cbor_out o = {0};
    struct trace_event ev;
    const uint8_t *data;
    size_t len;

    (void)state;
    header.images = &image;
    header.nimages = 1;
    assert_int_equal(header_put(&o, &header, hashes, NULL), 0);
    add_out(&file, &o);
    frame_head_put(&o, &head);
    add_out(&file, &o);
    add_events(&file, 2, 100);
    r = trace_reader_open_memory(file.data, file.len, NULL);
    assert_non_null(r);
    assert_int_equal(trace_reader_image(r, 0, &data, &len, NULL), TRACE_ERR_HASH);
    assert_int_equal(trace_reader_next(r, &ev), 1);
    assert_int_equal(ev.icount, 100);
    trace_reader_destroy(r);
    free(file.data);
}

/* ---- forged indexes: the hash holds, what it says does not ---- */

static struct trace_reader *open_forged(struct bytes *file, void (*forge)(struct trace_index *))
{
    struct trace_index index = {0};
    struct trace_reader *r;
    struct cbor_out o = {0};

    *file = header_only();
    index.events_offset = file->len;
    for (unsigned i = 0; i < 4; i++) {
        struct index_entry entry = {i + 1, file->len, 100 * (i + 1)};

        assert_true(index_add(&index, &entry, true));
        add_events(file, i + 1, 100 * (i + 1));
    }
    index.end_offset = file->len;
    index.end_seq = 5;
    add_end(file, 5, 1000);
    forge(&index);
    index_put(&o, &index);
    add(file, o.data, o.len);
    r = trace_reader_open_memory(file->data, file->len, NULL);
    assert_non_null(r);
    cbor_out_fini(&o);
    index_fini(&index);
    return r;
}

static void forge_nothing(struct trace_index *index)
{
    (void)index;
}

static void forge_early_first(struct trace_index *index)
{
    index->entries[2].first = 201; /* truly 300: a seek to 210 would pass over the second frame */
}

static void forge_other_frame(struct trace_index *index)
{
    index->entries[1].offset = index->entries[2].offset - 1;
}

static void forge_late_start(struct trace_index *index)
{
    index->events_offset = index->entries[1].offset;
    index->entries[0].offset = index->events_offset;
    index->entries[1].offset++;
}

static void forge_end(struct trace_index *index)
{
    index->end_offset--;
}

static void forge_end_seq(struct trace_index *index)
{
    index->end_seq++;
}

static void forge_order(struct trace_index *index)
{
    index->entries[1].offset = index->entries[0].offset;
}

static void forged_indexes_do_not_hide_events(void **state)
{
    static void (*const forgeries[])(struct trace_index *) = {
        forge_nothing, forge_early_first, forge_other_frame, forge_late_start,
        forge_end,     forge_end_seq,     forge_order};

    (void)state;
    for (size_t i = 0; i < sizeof(forgeries) / sizeof(forgeries[0]); i++) {
        struct bytes file;
        struct trace_reader *r = open_forged(&file, forgeries[i]);
        struct saved_events got = {0};
        int rc = read_events(r, &got);

        assert_true(rc < 0 || got.count == 9);
        for (uint64_t icount = 95; icount < 420; icount += 5) {
            struct trace_event ev;
            uint64_t want = icount;

            /* Events are at 100, 110, 200, 210, ... */
            while (want % 100 != 0 && want % 100 != 10)
                want++;
            trace_reader_seek(r, icount);
            rc = trace_reader_next(r, &ev);
            if (rc > 0 && want <= 410)
                assert_int_equal(ev.icount, want);
            else
                assert_true(rc > 0 || i > 0);
        }
        if (i == 0)
            assert_int_equal(got.count, 9);
        free_events(&got);
        trace_reader_destroy(r);
        free(file.data);
    }
}

static void index_of_thinned_entries_still_finds_every_event(void **state)
{
    struct trace_index index = {0};
    uint64_t frames = 3 * (uint64_t)TRACE_INDEX_MAX;

    (void)state;
    for (uint64_t i = 0; i < frames; i++) {
        struct index_entry entry = {i + 1, 100 + i, i * 10};

        assert_true(index_add(&index, &entry, true));
    }
    assert_true(index.count <= TRACE_INDEX_MAX);
    for (size_t i = 0; i < index.count; i++)
        assert_int_equal(index.entries[i].seq, 1 + i * 4);
    assert_null(index_find(&index, 0));
    assert_int_equal(index_find(&index, 1)->seq, 1);
    assert_int_equal(index_find(&index, 40)->seq, 1);
    assert_int_equal(index_find(&index, 41)->seq, 5);
    assert_int_equal(index_find(&index, UINT64_MAX)->seq, 1 + (index.count - 1) * 4);
    index_fini(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trace_cut_at_any_byte_yields_its_whole_frames),
        cmocka_unit_test(trace_with_any_bit_flipped_never_yields_wrong_events),
        cmocka_unit_test(damage_in_the_middle_is_an_error_at_its_place_after_the_events_before),
        cmocka_unit_test(damaged_index_is_passed_over),
        cmocka_unit_test(seek_goes_past_damage_and_clears_its_error),
        cmocka_unit_test(lost_repeated_and_moved_frames_are_noticed),
        cmocka_unit_test(time_that_runs_backwards_is_refused),
        cmocka_unit_test(frame_that_starts_from_another_vns_is_refused),
        cmocka_unit_test(damaged_length_with_whole_frames_behind_it_is_no_truncation),
        cmocka_unit_test(malformed_events_are_refused_with_the_reason),
        cmocka_unit_test(later_versions_are_refused_by_name),
        cmocka_unit_test(other_files_are_no_traces),
        cmocka_unit_test(strange_headers_are_refused_or_passed_over),
        cmocka_unit_test(frames_that_grow_beyond_bounds_are_refused),
        cmocka_unit_test(frame_that_claims_more_than_it_can_hold_is_refused_before_memory_is_taken),
        cmocka_unit_test(embedded_image_that_is_not_there_is_an_error),
        cmocka_unit_test(embedded_image_with_another_hash_is_refused),
        cmocka_unit_test(forged_indexes_do_not_hide_events),
        cmocka_unit_test(index_of_thinned_entries_still_finds_every_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
