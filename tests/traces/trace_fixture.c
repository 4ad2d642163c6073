/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trace_fixture.h"

static const uint8_t raw_value[] = {0x00, 0xff, 0x80, 'x'};
static const uint8_t kernel[] = "not quite a kernel, but it has bytes";
static const uint64_t seeds[] = {0, 1, UINT64_MAX};

static const struct trace_config_item config[] = {
    {"ram_bytes", TRACE_CONFIG_UINT, {.u = 512u << 20}},
    {"big", TRACE_CONFIG_UINT, {.u = UINT64_MAX}},
    {"offset", TRACE_CONFIG_INT, {.i = INT64_MIN}},
    {"cmdline", TRACE_CONFIG_STRING, {.s = "console=ttyS0 na\xc3\xafve"}},
    {"empty", TRACE_CONFIG_STRING, {.s = ""}},
    {"raw", TRACE_CONFIG_BYTES, {.bytes = {raw_value, sizeof(raw_value)}}},
};

static const struct trace_image images[] = {
    {.role = "kernel", .name = "vmlinuz-6.1", .size = sizeof(kernel), .data = kernel},
    {.role = "drive0",
     .name = "disk.qcow2",
     .size = 1ULL << 40,
     .hash = "00112233445566778899aabbccddeeff"},
};

const struct trace_header small_header = {
    .struct_size = sizeof(struct trace_header),
    .generator = "deja 0.1.0",
    .cpu_model = "deja-v2",
    .ns_per_insn = 1,
    .rtc_base = -12345,
    .seeds = seeds,
    .nseeds = 3,
    .config = config,
    .nconfig = sizeof(config) / sizeof(config[0]),
    .images = images,
    .nimages = 2,
};

const struct trace_end small_end = {
    .struct_size = sizeof(struct trace_end),
    .reason = "triple-fault",
    .exit_code = -3,
    .icount = 5000000100,
    .vns = 6000000000,
    .digest = 0x0123456789abcdef,
};

void temp_path(char *path)
{
    int fd;

    strcpy(path, "/tmp/deja-trace-test-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
}

struct bytes read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct bytes b = {malloc(1), 0};
    size_t n;
    uint8_t buf[65536];

    assert_non_null(f);
    while ((n = fread(buf, 1, sizeof(buf), f)) > 0) {
        b.data = realloc(b.data, b.len + n);
        assert_non_null(b.data);
        memcpy(b.data + b.len, buf, n);
        b.len += n;
    }
    fclose(f);
    return b;
}

void write_file(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

void append_small(struct trace_writer *w)
{
    static const uint8_t packet[300] = {1, 2, 3};

    assert_int_equal(trace_writer_mark(w, 0, "power on"), 0);
    assert_int_equal(trace_writer_interrupt(w, 1000000, 0x30, 1), 0);
    assert_int_equal(trace_writer_input(w, 1000000, 1000500, 1, 0, "ls\r", 3), 0);
    assert_int_equal(trace_writer_input(w, 1000000, 1000900, 1, 1, "\0", 1), 0);
    assert_int_equal(trace_writer_digest(w, 1048576, UINT64_MAX), 0);
    assert_int_equal(trace_writer_flush(w), 0);
    assert_int_equal(trace_writer_interrupt(w, 2000000, 0xec, 0), 0);
    assert_int_equal(trace_writer_input(w, 2000001, 9000000, 5, 4000000000u, packet, 300), 0);
    assert_int_equal(trace_writer_mark(w, 2000001, ""), 0);
    assert_int_equal(trace_writer_flush(w), 0);
    assert_int_equal(trace_writer_digest(w, 2097152, 0), 0);
    assert_int_equal(trace_writer_interrupt(w, 5000000000, UINT32_MAX, UINT32_MAX), 0);
    assert_int_equal(trace_writer_input(w, 5000000000, 5500000000, 6, 0, NULL, 0), 0);
    assert_int_equal(trace_writer_mark(w, 5000000100, "bad \xff bytes"), 0);
}

struct bytes make_small(bool finished)
{
    struct trace_error err = {0};
    struct trace_writer *w;
    struct bytes b;
    char path[64];

    temp_path(path);
    w = trace_writer_create(path, &small_header, NULL, &err);
    assert_non_null(w);
    append_small(w);
    if (finished)
        assert_int_equal(trace_writer_finish(w, &small_end), 0);
    trace_writer_destroy(w);
    b = read_file(path);
    unlink(path);
    return b;
}

static void save(struct saved_event *to, const struct trace_event *ev)
{
    const void *data = NULL;
    size_t len = 0;

    to->ev = *ev;
    to->data = NULL;
    if (ev->kind == TRACE_EVENT_INPUT) {
        data = ev->u.input.data;
        len = ev->u.input.len;
    } else if (ev->kind == TRACE_EVENT_MARK) {
        assert_int_equal(strlen(ev->u.mark.text), ev->u.mark.len);
        data = ev->u.mark.text;
        len = ev->u.mark.len;
    }
    if (len) {
        to->data = malloc(len);
        assert_non_null(to->data);
        memcpy(to->data, data, len);
    }
}

int read_events(struct trace_reader *r, struct saved_events *out)
{
    struct trace_event ev;
    int rc;

    while ((rc = trace_reader_next(r, &ev)) > 0) {
        if ((out->count & (out->count - 1)) == 0) {
            out->list = realloc(out->list, (out->count ? out->count * 2 : 1) * sizeof(*out->list));
            assert_non_null(out->list);
        }
        save(&out->list[out->count++], &ev);
    }
    return rc;
}

void free_events(struct saved_events *events)
{
    for (size_t i = 0; i < events->count; i++)
        free(events->list[i].data);
    free(events->list);
    events->list = NULL;
    events->count = 0;
}

bool same_event(const struct saved_event *a, const struct saved_event *b)
{
    const struct trace_event *x = &a->ev, *y = &b->ev;

    if (x->kind != y->kind || x->icount != y->icount)
        return false;
    switch (x->kind) {
    case TRACE_EVENT_INPUT:
        return x->u.input.kind == y->u.input.kind && x->u.input.port == y->u.input.port &&
               x->u.input.vns == y->u.input.vns && x->u.input.len == y->u.input.len &&
               (!x->u.input.len || memcmp(a->data, b->data, x->u.input.len) == 0);
    case TRACE_EVENT_INTERRUPT:
        return x->u.interrupt.vector == y->u.interrupt.vector &&
               x->u.interrupt.source == y->u.interrupt.source;
    case TRACE_EVENT_DIGEST: return x->u.digest == y->u.digest;
    case TRACE_EVENT_MARK:
        return x->u.mark.len == y->u.mark.len &&
               (!x->u.mark.len || memcmp(a->data, b->data, x->u.mark.len) == 0);
    case TRACE_EVENT_END:
        return strcmp(x->u.end.reason, y->u.end.reason) == 0 &&
               x->u.end.exit_code == y->u.end.exit_code && x->u.end.vns == y->u.end.vns &&
               x->u.end.digest == y->u.end.digest && x->u.end.inputs == y->u.end.inputs &&
               x->u.end.interrupts == y->u.end.interrupts && x->u.end.digests == y->u.end.digests &&
               x->u.end.marks == y->u.end.marks;
    }
    return false;
}

bool same_events(const struct saved_events *a, const struct saved_events *b, size_t n)
{
    if (a->count < n || b->count < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!same_event(&a->list[i], &b->list[i]))
            return false;
    }
    return true;
}
