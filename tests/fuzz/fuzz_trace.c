/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the trace reader: every byte string is a trace, or an error; never a crash, a hang or more
 * memory than its size allows.
 *
 *     clang -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_trace.c
 *
 * LZ4's checksums would stop nearly every mutation at the door. So an input whose first byte is
 * even is not a file but a recipe: records of (u8 kind, u16 length, bytes), whose bytes become the
 * content of a frame with good checksums (kind 0), of an index with a good hash (kind 1), or are
 * taken raw (kind 2). With an odd first byte, the rest is the file.
 */
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include <traces/trace.h>

#include "trace_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_FILE (1u << 20)

struct file {
    uint8_t *data;
    size_t len;
};

static void add(struct file *f, const void *data, size_t len)
{
    if (len > MAX_FILE - f->len)
        len = MAX_FILE - f->len;
    memcpy(f->data + f->len, data, len);
    f->len += len;
}

static void add_frame(struct file *f, const uint8_t *data, size_t len)
{
    uint8_t *packed = NULL;
    size_t cap = 0, n;

    if (!len)
        return;
    n = frame_pack(data, len, 0, &packed, &cap);
    add(f, packed, n);
    free(packed);
}

static void add_index(struct file *f, const uint8_t *data, size_t len)
{
    uint32_t head[2] = {TRACE_INDEX_MAGIC, (uint32_t)len + TRACE_INDEX_FOOTER};
    uint64_t hash = XXH3_64bits(data, len);
    uint32_t total = head[1] + 8;

    add(f, head, sizeof(head));
    add(f, data, len);
    add(f, &hash, sizeof(hash));
    add(f, &total, sizeof(total));
    add(f, "djix", 4);
}

static void cook(struct file *f, const uint8_t *data, size_t size)
{
    while (size >= 3) {
        size_t len = data[1] | (size_t)data[2] << 8;
        unsigned kind = data[0] % 3;

        data += 3;
        size -= 3;
        if (len > size)
            len = size;
        if (kind == 0)
            add_frame(f, data, len);
        else if (kind == 1)
            add_index(f, data, len);
        else
            add(f, data, len);
        data += len;
        size -= len;
    }
}

/* Events never go backwards, whatever the file; their bytes can be read. */
static void read_all(struct trace_reader *r, uint64_t from)
{
    struct trace_event ev;
    uint64_t icount = from;
    volatile uint8_t sink = 0;

    trace_reader_seek(r, from);
    while (trace_reader_next(r, &ev) > 0) {
        if (ev.icount < icount)
            abort();
        icount = ev.icount;
        if (ev.kind == TRACE_EVENT_INPUT && ev.u.input.len)
            sink ^= ev.u.input.data[ev.u.input.len - 1];
        if (ev.kind == TRACE_EVENT_MARK && strlen(ev.u.mark.text) != ev.u.mark.len)
            abort();
    }
    (void)sink;
}

static void read_trace(const uint8_t *data, size_t size)
{
    struct trace_error err = {0};
    struct trace_reader *r = trace_reader_open_memory(data, size, &err);
    struct trace_end end;
    uint64_t whole = 0;

    if (!r) {
        if (err.code >= 0 || !err.text[0])
            abort();
        return;
    }
    read_all(r, 0);
    read_all(r, 1000);
    if (trace_reader_end(r, &end, &err) == 1)
        read_all(r, end.icount);
    if (trace_reader_truncated(r, &whole) && whole > size)
        abort();
    for (size_t i = 0; i < trace_reader_header(r)->nimages && i < 8; i++) {
        const uint8_t *image;
        size_t len;

        trace_reader_image(r, i, &image, &len, &err);
    }
    trace_reader_destroy(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct file f = {NULL, 0};

    if (!size)
        return 0;
    if (data[0] & 1) {
        read_trace(data + 1, size - 1);
        return 0;
    }
    f.data = malloc(MAX_FILE);
    if (!f.data)
        return 0;
    cook(&f, data + 1, size - 1);
    /* Its own allocation, of the exact size, so that a read past the end is seen. */
    uint8_t *exact = realloc(f.data, f.len ? f.len : 1);
    read_trace(exact ? exact : f.data, f.len);
    free(exact ? exact : f.data);
    return 0;
}
