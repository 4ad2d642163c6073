/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the trace reader: every byte string is a trace, or an error; never a crash, a hang or more
 * memory than its size allows. See README.md for how it is run.
 *
 * LZ4's checksums would stop nearly every mutation at the door. So the first byte of an input says what the
 * rest is, by its remainder mod 3:
 *
 *   0  a recipe: records of (u8 kind, u16 length, bytes), whose bytes become the content of a frame with
 *      good checksums (kind 0), of an index with a good hash (kind 1), or are taken raw (kind 2);
 *   1  a file;
 *   2  damage to a sound file: u16 length to which it is cut, then (u16 offset, u8 to be XORed) each; an u8
 *      of 0 takes out a frame instead, that of which `offset` is the number.
 *
 * Of a damaged file, the frames before the first damaged byte must be read as they were, and nothing may be
 * read that was not written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <xxhash.h>

#include <traces/trace.h>

#include "trace_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_FILE     (1u << 20)
#define MEMORY_BYTES (1u << 30) /* far above 255 times an input; the fuzzer's own limit is lower */
#define MAX_EVENTS   256u
#define MAX_FRAMES   64u

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fuzz_trace: %s\n", what);
    abort();
}

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

/* --- what may be read --- */

/* Of each event, the icount and a hash of all of it. */
struct events {
    struct {
        uint64_t icount, hash;
    } list[MAX_EVENTS];
    size_t count;
};

static uint64_t event_hash(const struct trace_event *ev)
{
    uint64_t words[4] = {ev->kind, ev->icount, 0, 0};
    uint64_t more = 0;

    switch (ev->kind) {
    case TRACE_EVENT_INPUT:
        words[2] = (uint64_t)ev->u.input.kind << 32 | ev->u.input.port;
        words[3] = ev->u.input.vns;
        more = XXH3_64bits(ev->u.input.data, ev->u.input.len);
        break;
    case TRACE_EVENT_INTERRUPT: words[2] = (uint64_t)ev->u.interrupt.vector << 32 | ev->u.interrupt.source; break;
    case TRACE_EVENT_DIGEST: words[2] = ev->u.digest; break;
    case TRACE_EVENT_MARK:
        require(strlen(ev->u.mark.text) == ev->u.mark.len, "the length of a mark");
        more = XXH3_64bits(ev->u.mark.text, ev->u.mark.len);
        break;
    case TRACE_EVENT_END:
        words[2] = (uint64_t)ev->u.end.exit_code;
        words[3] = ev->u.end.digest;
        more = XXH3_64bits(ev->u.end.reason, strlen(ev->u.end.reason));
        break;
    default: require(false, "an event of no kind");
    }
    return XXH3_64bits_withSeed(words, sizeof(words), more);
}

/* Events never go backwards, whatever the file; their bytes can be read. The first go to *out. */
static void read_all(struct trace_reader *r, uint64_t from, struct events *out)
{
    struct trace_event ev;
    struct trace_error err = {0};
    uint64_t icount = from;
    int rc;

    out->count = 0;
    trace_reader_seek(r, from);
    while ((rc = trace_reader_next(r, &ev)) > 0) {
        uint64_t hash = event_hash(&ev);

        require(ev.icount >= icount, "an event before the one before it");
        icount = ev.icount;
        if (out->count == MAX_EVENTS)
            continue;
        out->list[out->count].icount = ev.icount;
        out->list[out->count++].hash = hash;
    }
    require(trace_reader_error(r, &err) == rc, "the reader forgets its error");
    require(rc == 0 || (err.text[0] && rc != TRACE_ERR_MEMORY), "an error without text, or memory ran out");
}

static void read_images(struct trace_reader *r)
{
    for (size_t i = 0; i < trace_reader_header(r)->nimages && i < 8; i++) {
        struct trace_error err = {0};
        const uint8_t *image;
        size_t len;

        if (trace_reader_image(r, i, &image, &len, &err) < 0)
            require(err.text[0] && err.code != TRACE_ERR_MEMORY, "an image without text, or memory ran out");
        else
            require(len == trace_reader_header(r)->images[i].size, "an image of another size");
    }
}

static void read_trace(const uint8_t *data, size_t size, struct events *out)
{
    struct trace_error err = {0};
    struct trace_reader *r = trace_reader_open_memory(data, size, &err);
    struct events again;
    struct trace_end end;
    uint64_t whole = 0;

    out->count = 0;
    if (!r) {
        require(err.code < 0 && err.code != TRACE_ERR_MEMORY && err.text[0], "no trace, and no error");
        return;
    }
    read_all(r, 0, out);
    read_all(r, 1000, &again);
    if (trace_reader_end(r, &end, &err) == 1)
        read_all(r, end.icount, &again);
    require(!trace_reader_truncated(r, &whole) || whole <= size, "whole frames beyond the file");
    read_images(r);
    trace_reader_destroy(r);
}

/* --- a sound file, and damage --- */

static struct file sound;
static struct frame_span frames[MAX_FRAMES]; /* of it, without the index */
static size_t nframes;

static void write_events(struct trace_writer *w)
{
    static const uint8_t bytes[] = "some bytes";

    for (uint32_t i = 0; i < 60; i++) {
        trace_writer_interrupt(w, i * 100, 32 + i, i % 3);
        if (i % 7 == 0)
            trace_writer_digest(w, i * 100, i * 0x9e3779b97f4a7c15u);
        if (i % 9 == 0)
            trace_writer_input(w, i * 100 + 1, i * 100 + 500, 3, i, bytes, i % 11);
        if (i % 20 == 0)
            trace_writer_mark(w, i * 100 + 2, "mark");
    }
}

static void find_frames(void)
{
    struct trace_source src = {.mem = sound.data, .fd = -1, .size = sound.len};
    uint64_t at = 0;

    while (nframes < MAX_FRAMES &&
           frame_scan(&src, at, sound.len, TRACE_FRAME_MAX, &frames[nframes], NULL) == FRAME_OK)
        at += frames[nframes++].len;
    require(nframes > 5 && nframes < MAX_FRAMES, "a trace to damage of few frames");
}

/* A finished trace of a few frames, with an image and an index. */
static void make_sound(void)
{
    static const uint8_t image[300] = {1, 2, 3};
    const struct trace_image images[] = {{.role = "kernel", .name = "k", .size = sizeof(image), .data = image}};
    const struct trace_header header = {.struct_size = sizeof(header),
                                        .generator = "fuzz_trace",
                                        .cpu_model = "test",
                                        .ns_per_insn = 1,
                                        .images = images,
                                        .nimages = 1};
    const struct trace_writer_options options = {.struct_size = sizeof(options), .frame_bytes = 200};
    const struct trace_end end = {.struct_size = sizeof(end), .reason = "exit", .icount = 9000, .vns = 9000};
    int fd = memfd_create("trace", 0), copy = dup(fd);
    struct trace_writer *w = trace_writer_create_fd(fd, &header, &options, NULL);
    ssize_t n;

    require(w != NULL && copy >= 0, "no trace to damage");
    write_events(w);
    require(trace_writer_finish(w, &end) == 0, "no trace to damage");
    trace_writer_destroy(w);
    sound.data = malloc(MAX_FILE);
    require(sound.data != NULL, "no memory");
    n = pread(copy, sound.data, MAX_FILE, 0);
    close(copy);
    require(n > 1000 && n < 65536, "a trace to damage of a wrong size");
    sound.len = (size_t)n;
    find_frames();
}

static size_t word(const uint8_t *data)
{
    return data[0] | (size_t)data[1] << 8;
}

static void take_out(struct file *f, const struct frame_span *frame)
{
    size_t end = (size_t)(frame->offset + frame->len);

    if (end > f->len)
        return;
    memmove(f->data + frame->offset, f->data + end, f->len - end);
    f->len -= (size_t)frame->len;
}

/* The sound file, cut and changed; returns where it first differs, or the length of what is left. */
static size_t damage(struct file *f, const uint8_t *data, size_t size)
{
    f->len = 0;
    add(f, sound.data, sound.len);
    if (size >= 2 && word(data) < sound.len)
        f->len = word(data);
    for (size_t i = 2; i + 3 <= size; i += 3) {
        size_t at = word(data + i);

        if (data[i + 2] == 0)
            take_out(f, &frames[at % nframes]);
        else if (at < f->len)
            f->data[at] ^= data[i + 2];
    }
    for (size_t i = 0; i < f->len; i++)
        if (f->data[i] != sound.data[i])
            return i;
    return f->len;
}

static void read_damaged(struct file *f, const uint8_t *data, size_t size)
{
    struct events all, least, got;
    size_t first = damage(f, data, size);

    read_trace(sound.data, sound.len, &all);
    require(all.count > 60 && all.count < MAX_EVENTS, "the sound trace is not read");
    read_trace(sound.data, first, &least);
    read_trace(f->data, f->len, &got);
    require(got.count >= least.count, "what was whole before the damage is not read");
    require(got.count <= all.count && memcmp(got.list, all.list, got.count * sizeof(got.list[0])) == 0,
            "an event that was not written");
}

/* --- an input --- */

/* With the sanitizer, whose shadow is large, the fuzzer's limits count. */
static void begin(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
    setrlimit(RLIMIT_AS, &(struct rlimit){MEMORY_BYTES, MEMORY_BYTES});
#endif
    make_sound();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct file f = {NULL, 0};
    struct events events;

    if (!sound.data)
        begin();
    if (!size)
        return 0;
    if (data[0] % 3 == 1) {
        read_trace(data + 1, size - 1, &events);
        return 0;
    }
    f.data = malloc(MAX_FILE);
    if (!f.data)
        return 0;
    if (data[0] % 3 == 2) {
        read_damaged(&f, data + 1, size - 1);
        free(f.data);
        return 0;
    }
    cook(&f, data + 1, size - 1);
    /* Its own allocation, of the exact size, so that a read past the end is seen. */
    uint8_t *exact = realloc(f.data, f.len ? f.len : 1);
    read_trace(exact ? exact : f.data, f.len, &events);
    free(exact ? exact : f.data);
    return 0;
}
