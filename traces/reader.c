/* SPDX-License-Identifier: MIT */
/*
 * The reader: frames of a file that nobody vouches for, turned into events or into one error that
 * says where.
 *
 * Opening reads the header and then looks for the index at the end of the file. With a good one,
 * nothing else is read: frames are loaded as they are wanted. Without, walk() goes over all frames
 * once, up to the end frame, the first damage, or the place where the file stops.
 *
 *     header -> index good ------------------------> frames [events_offset, end frame]
 *            -> walk: end frame found  -------------> the same
 *                     the file stops inside a frame -> truncated: frames up to there
 *                     damage ----------------------> frames up to there, then the damage's error
 *
 * Invariants:
 *  1. An event is given out only from a frame whose checksum held, whose number is the one
 *     expected, and whose icounts go on where the frame before stopped. Nothing is left out
 *     silently.
 *  2. Memory is bounded by the bytes that the file really has: one frame at a time, decompressed
 *     to at most 255 times its length and 16 MiB; an image takes no more than all
 *     of the file could hold.
 *  3. Each step goes forward in the file, so every loop ends.
 *
 * A file that stops inside a frame looks like one whose block length was damaged. They are told
 * apart by what follows: whole frames of a trace behind the place mean damage.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace_internal.h"

#define RESYNC_BYTES (TRACE_FRAME_MAX + 65536u) /* how far frames are looked for behind a place */
#define RESYNC_TRIES 16u                        /* how many places that look like one are tried */

struct trace_reader {
    struct trace_source src;
    struct header_store *header;
    uint64_t blobs_offset; /* where the header's frame ends */
    uint64_t blob_frames;
    uint8_t **images; /* content, once asked for */

    /* What opening found out. */
    struct trace_index index;
    enum trace_index_state index_state;
    uint64_t frames_end;       /* no frame is read at or behind it */
    bool truncated;            /* the file stops at frames_end without an end */
    struct trace_error damage; /* the file is damaged at frames_end */
    bool has_end;
    struct trace_end end;

    /* Where the reader is. */
    uint64_t next_offset, next_seq;
    struct index_entry sought; /* what the next frame must agree with, if seq is not 0 */
    struct frame_reader fr;
    struct cbor_in in; /* the events of the current frame */
    uint64_t frame_offset;
    struct frame_head head;
    uint64_t left; /* events still in the frame */
    uint64_t icount, vns;
    bool follows;        /* the next frame goes on where the one before stopped */
    bool finished;       /* nothing more comes */
    uint64_t skip_below; /* icount sought */
    struct trace_error error;
    char text[TRACE_MARK_MAX + 1];
};

/* -------------------------------------------------------------------------- a frame at a time --
 */

/* Loads a frame behind the header and decodes its head; `in` is left behind it. */
static int load_headed(struct frame_reader *fr, struct trace_source *src,
                       const struct frame_span *span, uint64_t seq, struct frame_head *head,
                       struct cbor_in *in, struct trace_error *err)
{
    int rc = frame_load(fr, src, span, err);

    if (rc < 0)
        return rc;
    *in = (struct cbor_in){fr->content, fr->content_len, 0, NULL};
    if (!frame_head_get(in, head))
        return trace_fail(err, TRACE_ERR_MALFORMED, span->offset,
                          "the frame at byte %" PRIu64
                          " is malformed at byte %zu of its content: %s",
                          span->offset, in->pos, in->problem);
    if (head->seq != seq)
        return trace_fail(err, TRACE_ERR_MALFORMED, span->offset,
                          "frame %" PRIu64 " is at byte %" PRIu64 ", where frame %" PRIu64
                          " belongs",
                          head->seq, span->offset, seq);
    return TRACE_OK;
}

static int out_of_place(struct trace_error *err, uint64_t offset, const char *what)
{
    return trace_fail(err, TRACE_ERR_MALFORMED, offset, "the frame at byte %" PRIu64 ": %s", offset,
                      what);
}

/* --------------------------------------------------------------------------- opening: walking --
 */

/* True if a frame of this trace with a number above `seq` begins at `offset`. */
static bool is_later_frame(struct trace_reader *r, uint64_t offset, uint64_t seq)
{
    struct frame_span span;
    struct frame_head head;

    if (frame_scan(&r->src, offset, r->src.size, TRACE_FRAME_MAX, &span, NULL) != FRAME_OK ||
        frame_load(&r->fr, &r->src, &span, NULL) < 0)
        return false;
    r->in = (struct cbor_in){r->fr.content, r->fr.content_len, 0, NULL};
    return frame_head_get(&r->in, &head) && head.seq > seq;
}

/* Whether a whole frame follows somewhere behind `offset`, where frame `seq` is incomplete. */
static bool frames_follow(struct trace_reader *r, uint64_t offset, uint64_t seq)
{
    static const uint8_t magic[4] = {0x04, 0x22, 0x4D, 0x18};
    uint64_t end = r->src.size;
    unsigned tries = 0;

    if (end - offset > RESYNC_BYTES)
        end = offset + RESYNC_BYTES;
    for (uint64_t at = offset + 1; at + sizeof(magic) <= end; at++) {
        uint8_t raw[4];

        if (trace_source_read(&r->src, at, raw, sizeof(raw), NULL) < 0)
            return false;
        if (memcmp(raw, magic, sizeof(magic)) != 0)
            continue;
        if (is_later_frame(r, at, seq))
            return true;
        if (++tries == RESYNC_TRIES)
            return false;
    }
    return false;
}

/* The walk stops at `offset`, before frame `seq`, for a reason other than the end frame. */
static void walk_stopped(struct trace_reader *r, enum frame_found why, uint64_t offset,
                         uint64_t seq)
{
    r->frames_end = offset;
    if (seq <= r->blob_frames)
        r->index.events_offset = offset; /* not even the images are whole: no events */
    if (why == FRAME_SKIPPABLE)
        out_of_place(&r->damage, offset, "an index without an end before it");
    else if (why == FRAME_PARTIAL && frames_follow(r, offset, seq))
        trace_fail(&r->damage, TRACE_ERR_CORRUPT, offset,
                   "the frame at byte %" PRIu64 " is damaged: its length does not hold", offset);
    else if (why != FRAME_BAD)
        r->truncated = true;
}

/* Takes note of an events or end frame. False: it is damaged, r->damage says how. */
static bool walk_frame(struct trace_reader *r, const struct frame_span *span, uint64_t seq)
{
    struct index_entry entry = {.seq = seq, .offset = span->offset};
    struct frame_head head;

    if (load_headed(&r->fr, &r->src, span, seq, &head, &r->in, &r->damage) < 0)
        return false;
    if (head.kind == FRAME_BLOB) {
        out_of_place(&r->damage, span->offset, "a piece of an image among the events");
        return false;
    }
    if (head.kind == FRAME_END) {
        r->has_end = true;
        r->end = head.end;
        return true;
    }
    entry.first = head.first;
    if (r->index.count && head.first < r->index.entries[r->index.count - 1].first) {
        out_of_place(&r->damage, span->offset, "its events are before those of the frame before");
        return false;
    }
    if (!index_add(&r->index, &entry, true)) {
        trace_fail(&r->damage, TRACE_ERR_MEMORY, span->offset, "out of memory for the index");
        return false;
    }
    return true;
}

static void walk(struct trace_reader *r)
{
    uint64_t offset = r->blobs_offset, seq = 1;

    r->index.events_offset = offset;
    while (!r->has_end) {
        struct frame_span span;
        enum frame_found found = frame_scan(&r->src, offset, r->src.size, TRACE_FRAME_MAX, &span,
                                            &r->damage);

        if (found != FRAME_OK) {
            walk_stopped(r, found, offset, seq);
            return;
        }
        if (seq > r->blob_frames && !walk_frame(r, &span, seq)) {
            r->frames_end = offset;
            return;
        }
        offset += span.len;
        if (seq++ == r->blob_frames)
            r->index.events_offset = offset;
    }
    r->frames_end = offset;
    if (offset < r->src.size)
        r->index_state = TRACE_INDEX_DAMAGED;
}

/* ----------------------------------------------------------------------------------- opening -- */

static bool use_index(struct trace_reader *r)
{
    struct frame_span span;
    struct frame_head head;
    uint64_t start;

    if (!index_get(&r->src, r->blobs_offset, &r->index, &start))
        return false;
    if (frame_scan(&r->src, r->index.end_offset, start, TRACE_FRAME_MAX, &span, NULL) == FRAME_OK &&
        span.offset + span.len == start &&
        load_headed(&r->fr, &r->src, &span, r->index.end_seq, &head, &r->in, NULL) == TRACE_OK &&
        head.kind == FRAME_END) {
        r->frames_end = start;
        r->has_end = true;
        r->end = head.end;
        return true;
    }
    index_fini(&r->index);
    return false;
}

static int read_header(struct trace_reader *r, struct trace_error *err)
{
    struct frame_span span;
    struct trace_error inner = {0};
    int rc;

    if (!r->src.size)
        return trace_fail(err, TRACE_ERR_TRUNCATED, 0, "the file is empty");
    switch (frame_scan(&r->src, 0, r->src.size, TRACE_HEADER_MAX, &span, &inner)) {
    case FRAME_OK: break;
    case FRAME_EOF:
    case FRAME_PARTIAL:
        return trace_fail(err, TRACE_ERR_TRUNCATED, 0,
                          "the file ends at byte %" PRIu64 ", inside its header", r->src.size);
    case FRAME_SKIPPABLE:
        return trace_fail(err, TRACE_ERR_NOT_TRACE, 0, "not a deja trace: a skippable frame first");
    case FRAME_BAD: {
        uint8_t magic[4] = {0};

        if (inner.code != TRACE_ERR_CORRUPT ||
            trace_source_read(&r->src, 0, magic, r->src.size < 4 ? r->src.size : 4, NULL) < 0 ||
            memcmp(magic, "\x04\x22\x4D\x18", 4) == 0) {
            if (err)
                *err = inner;
            return inner.code;
        }
        return trace_fail(err, TRACE_ERR_NOT_TRACE, 0, "not a deja trace: no LZ4 frame");
    }
    }
    rc = frame_load(&r->fr, &r->src, &span, err);
    if (rc == TRACE_OK)
        rc = header_get(r->fr.content, r->fr.content_len, &r->header, err);
    if (rc < 0)
        return rc;
    r->blobs_offset = span.len;
    return TRACE_OK;
}

static struct trace_reader *open_source(struct trace_reader *r, struct trace_error *err)
{
    const struct trace_header *header;

    if (read_header(r, err) < 0)
        goto destroy;
    header = header_store_header(r->header);
    r->blob_frames = header_store_blob_frames(r->header, header->nimages);
    r->images = calloc(header->nimages + 1, sizeof(*r->images));
    if (!r->images) {
        trace_fail(err, TRACE_ERR_MEMORY, 0, "out of memory for the trace's reader");
        goto destroy;
    }
    if (!use_index(r)) {
        r->index_state = TRACE_INDEX_MISSING;
        walk(r);
    }
    trace_reader_seek(r, 0);
    return r;

destroy:
    trace_reader_destroy(r);
    return NULL;
}

static struct trace_reader *new_reader(struct trace_error *err)
{
    struct trace_reader *r = calloc(1, sizeof(*r));

    if (!r)
        trace_fail(err, TRACE_ERR_MEMORY, 0, "out of memory for the trace's reader");
    else
        r->src.fd = -1;
    return r;
}

struct trace_reader *trace_reader_open(const char *path, struct trace_error *err)
{
    struct trace_reader *r;
    struct stat st;

    if (!path) {
        trace_fail(err, TRACE_ERR_ARGUMENT, 0, "no path");
        return NULL;
    }
    r = new_reader(err);
    if (!r)
        return NULL;
    r->src.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (r->src.fd < 0 || fstat(r->src.fd, &st) < 0) {
        trace_fail_errno(err, TRACE_ERR_IO, 0, errno, "opening the trace");
        goto destroy;
    }
    if (!S_ISREG(st.st_mode)) {
        trace_fail(err, TRACE_ERR_NOT_REGULAR, 0, "%.150s: not a regular file", path);
        goto destroy;
    }
    r->src.size = (uint64_t)st.st_size;
    return open_source(r, err);

destroy:
    trace_reader_destroy(r);
    return NULL;
}

struct trace_reader *trace_reader_open_memory(const void *data, size_t len, struct trace_error *err)
{
    struct trace_reader *r;

    if (!data && len) {
        trace_fail(err, TRACE_ERR_ARGUMENT, 0, "no data");
        return NULL;
    }
    r = new_reader(err);
    if (!r)
        return NULL;
    r->src.mem = data;
    r->src.size = len;
    return open_source(r, err);
}

void trace_reader_destroy(struct trace_reader *r)
{
    if (!r)
        return;
    if (r->images) {
        for (size_t i = 0; i < header_store_header(r->header)->nimages; i++)
            free(r->images[i]);
        free(r->images);
    }
    header_store_destroy(r->header);
    index_fini(&r->index);
    frame_reader_fini(&r->fr);
    if (r->src.fd >= 0)
        close(r->src.fd);
    free(r);
}

/* ------------------------------------------------------------------------------------ events -- */

static int bad_event(struct trace_reader *r, const char *what)
{
    return trace_fail(&r->error, TRACE_ERR_MALFORMED, r->frame_offset,
                      "the frame at byte %" PRIu64 " is malformed at byte %zu of its content: %s",
                      r->frame_offset, r->in.pos, what);
}

/* A number that is to be added to *v without overflow. */
static bool get_delta(struct cbor_in *in, uint64_t *v)
{
    uint64_t delta;

    if (!cbor_in_uint(in, &delta, UINT64_MAX - *v))
        return false;
    *v += delta;
    return true;
}

static bool get_u32(struct cbor_in *in, uint32_t *v)
{
    uint64_t wide;

    if (!cbor_in_uint(in, &wide, UINT32_MAX))
        return false;
    *v = (uint32_t)wide;
    return true;
}

static bool get_mark(struct trace_reader *r, struct trace_event *ev)
{
    const char *text;
    size_t len;

    if (!cbor_in_text(&r->in, &text, &len, TRACE_MARK_MAX))
        return false;
    memcpy(r->text, text, len);
    r->text[len] = '\0';
    ev->u.mark.text = r->text;
    ev->u.mark.len = len;
    return true;
}

static bool get_event_body(struct trace_reader *r, struct trace_event *ev)
{
    struct cbor_in *in = &r->in;

    switch (ev->kind) {
    case TRACE_EVENT_INPUT:
        if (!get_delta(in, &r->vns) || !get_u32(in, &ev->u.input.kind) ||
            !get_u32(in, &ev->u.input.port) ||
            !cbor_in_bytes(in, &ev->u.input.data, &ev->u.input.len, TRACE_INPUT_MAX))
            return false;
        ev->u.input.vns = r->vns;
        return true;
    case TRACE_EVENT_INTERRUPT:
        return get_u32(in, &ev->u.interrupt.vector) && get_u32(in, &ev->u.interrupt.source);
    case TRACE_EVENT_DIGEST: return cbor_in_uint(in, &ev->u.digest, UINT64_MAX);
    case TRACE_EVENT_MARK: return get_mark(r, ev);
    case TRACE_EVENT_END: break;
    }
    return false;
}

static int get_event(struct trace_reader *r, struct trace_event *ev)
{
    static const uint8_t elements[] = {[TRACE_EVENT_INPUT] = 6,
                                       [TRACE_EVENT_INTERRUPT] = 4,
                                       [TRACE_EVENT_DIGEST] = 3,
                                       [TRACE_EVENT_MARK] = 3};
    uint64_t n, kind;

    if (!cbor_in_array(&r->in, &n) || !cbor_in_uint(&r->in, &kind, UINT64_MAX))
        return bad_event(r, r->in.problem);
    if (kind >= sizeof(elements) || !elements[kind])
        return trace_fail(&r->error, TRACE_ERR_UNKNOWN_EVENT, r->frame_offset,
                          "unknown kind of event %" PRIu64
                          " at byte %zu of the content of the frame "
                          "at byte %" PRIu64,
                          kind, r->in.pos, r->frame_offset);
    if (n != elements[kind])
        return bad_event(r, "an event of the wrong length");
    ev->kind = (enum trace_event_kind)kind;
    if (!get_delta(&r->in, &r->icount) || !get_event_body(r, ev))
        return bad_event(r, r->in.problem);
    if (r->icount > r->head.last)
        return bad_event(r, "an event lies outside the range of its frame");
    ev->icount = r->icount;
    r->left--;
    if (!r->left && (!cbor_in_at_end(&r->in) || r->icount != r->head.last))
        return bad_event(r, "the frame does not end with its last event");
    return 1;
}

static int start_events(struct trace_reader *r)
{
    const struct frame_head *head = &r->head;

    if (r->follows && (head->first < r->icount || head->vns != r->vns))
        return out_of_place(&r->error, r->frame_offset,
                            "it does not go on where the frame before stopped");
    if (r->sought.seq && r->sought.first != head->first)
        return out_of_place(&r->error, r->frame_offset, "the index says something else about it");
    r->sought.seq = 0;
    r->left = head->count;
    r->icount = head->first;
    r->vns = head->vns;
    r->follows = true;
    return 1;
}

static int give_end(struct trace_reader *r, struct trace_event *ev)
{
    const struct trace_end *end = &r->head.end;

    if (r->sought.seq)
        return out_of_place(&r->error, r->frame_offset, "the index says something else about it");
    if (r->follows && (end->icount < r->icount || end->vns < r->vns))
        return out_of_place(&r->error, r->frame_offset, "an end before the last event");
    r->finished = true;
    if (end->icount < r->skip_below)
        return 0;
    memset(ev, 0, sizeof(*ev));
    ev->kind = TRACE_EVENT_END;
    ev->icount = end->icount;
    ev->u.end = *end;
    return 1;
}

/* Where no further frame is. */
static int stop_here(struct trace_reader *r)
{
    if (r->damage.code) {
        r->error = r->damage;
        return r->error.code;
    }
    r->finished = true;
    return 0;
}

/* Loads the next frame. 1: r->head is its head. */
static int next_frame(struct trace_reader *r)
{
    struct frame_span span;
    int rc;

    if (r->next_offset >= r->frames_end)
        return stop_here(r);
    if (frame_scan(&r->src, r->next_offset, r->frames_end, TRACE_FRAME_MAX, &span, &r->error) !=
        FRAME_OK) {
        if (!r->error.code)
            trace_fail(&r->error, TRACE_ERR_CORRUPT, r->next_offset,
                       "the frame at byte %" PRIu64 " is damaged: it is not a whole LZ4 frame",
                       r->next_offset);
        return r->error.code;
    }
    r->frame_offset = span.offset;
    rc = load_headed(&r->fr, &r->src, &span, r->next_seq, &r->head, &r->in, &r->error);
    if (rc < 0)
        return rc;
    r->next_offset += span.len;
    r->next_seq++;
    return 1;
}

/* Reads on until an event is there, sought or not. */
static int step(struct trace_reader *r, struct trace_event *ev)
{
    while (!r->left) {
        int rc = next_frame(r);

        if (rc <= 0)
            return rc;
        if (r->head.kind == FRAME_END)
            return give_end(r, ev);
        if (r->head.kind == FRAME_BLOB)
            return out_of_place(&r->error, r->frame_offset, "a piece of an image among the events");
        rc = start_events(r);
        if (rc < 0)
            return rc;
    }
    return get_event(r, ev);
}

int trace_reader_next(struct trace_reader *r, struct trace_event *ev)
{
    struct trace_event found;
    int rc;

    if (r->error.code)
        return r->error.code;
    do {
        if (r->finished)
            return 0;
        rc = step(r, &found);
        if (rc <= 0)
            return rc;
    } while (found.icount < r->skip_below);
    *ev = found;
    return 1;
}

void trace_reader_seek(struct trace_reader *r, uint64_t icount)
{
    const struct index_entry *entry = index_find(&r->index, icount);

    memset(&r->error, 0, sizeof(r->error));
    r->next_offset = entry ? entry->offset : r->index.events_offset;
    r->next_seq = entry ? entry->seq : r->blob_frames + 1;
    r->sought = entry ? *entry : (struct index_entry){0};
    r->left = 0;
    r->follows = false;
    r->finished = false;
    r->icount = 0;
    r->vns = 0;
    r->skip_below = icount;
}

/* ------------------------------------------------------------------------------------ images -- */

/* Finds the first frame of an image by skipping those before it. */
static int find_image(struct trace_reader *r, uint64_t seq, uint64_t *offset,
                      struct trace_error *err)
{
    *offset = r->blobs_offset;
    for (uint64_t at = 1; at < seq; at++) {
        struct frame_span span;
        struct trace_error inner = {0};

        if (frame_scan(&r->src, *offset, r->frames_end, TRACE_FRAME_MAX, &span, &inner) !=
            FRAME_OK) {
            if (!inner.code)
                trace_fail(&inner, TRACE_ERR_TRUNCATED, *offset,
                           "the file stops at byte %" PRIu64 ", inside its images", *offset);
            if (err)
                *err = inner;
            return inner.code;
        }
        *offset += span.len;
    }
    return TRACE_OK;
}

static int load_chunk(struct trace_reader *r, struct frame_reader *fr, uint64_t seq, size_t index,
                      uint64_t at, uint64_t *offset, struct frame_head *head,
                      struct trace_error *err)
{
    const struct trace_image *image = &header_store_header(r->header)->images[index];
    uint64_t want = image->size - at, chunk = header_store_chunk(r->header);
    struct frame_span span;
    struct trace_error inner = {0};
    struct cbor_in in;
    int rc = TRACE_OK;

    if (frame_scan(&r->src, *offset, r->frames_end, TRACE_FRAME_MAX, &span, &inner) != FRAME_OK) {
        if (!inner.code)
            trace_fail(&inner, r->truncated ? TRACE_ERR_TRUNCATED : TRACE_ERR_CORRUPT, *offset,
                       "the image's frame at byte %" PRIu64 " is not whole", *offset);
        rc = inner.code;
    }
    if (rc == TRACE_OK)
        rc = load_headed(fr, &r->src, &span, seq, head, &in, &inner);
    if (rc == TRACE_OK && (head->kind != FRAME_BLOB || head->image != index ||
                           head->image_offset != at || head->len != (want < chunk ? want : chunk)))
        rc = out_of_place(&inner, span.offset, "not the piece of the image that belongs there");
    if (rc < 0 && err)
        *err = inner;
    if (rc == TRACE_OK)
        *offset += span.len;
    return rc;
}

/* Memory for an image, or for as much of it as the whole file could hold if that is less than it says. */
static uint8_t *image_memory(const struct trace_reader *r, uint64_t size, uint64_t *cap)
{
    const uintptr_t large = 2u << 20; /* small pages would cost as much to get from the host as to fill */
    uint64_t most = r->src.size * LZ4_MAX_RATIO;
    uintptr_t from, end;
    uint8_t *data;

    *cap = size < most ? size : most;
    data = malloc((size_t)*cap + 1);
    if (data == NULL)
        return NULL;
    from = ((uintptr_t)data + large - 1) & ~(large - 1);
    end = ((uintptr_t)data + *cap) & ~(large - 1);
    if (from < end)
        madvise((void *)from, end - from, MADV_HUGEPAGE); /* advice only */
    return data;
}

static int load_image(struct trace_reader *r, struct frame_reader *fr, size_t index, uint8_t **data,
                      struct trace_error *err)
{
    const struct trace_image *image = &header_store_header(r->header)->images[index];
    uint64_t seq = 1 + header_store_blob_frames(r->header, index), offset = 0, at = 0, cap;
    int rc = find_image(r, seq, &offset, err);

    *data = image_memory(r, image->size, &cap);
    if (*data == NULL)
        return trace_fail(err, TRACE_ERR_MEMORY, offset, "out of memory for an image");
    while (rc == TRACE_OK && at < image->size) {
        struct frame_head head;

        rc = load_chunk(r, fr, seq++, index, at, &offset, &head, err);
        if (rc < 0)
            break;
        if (cap - at < head.len)
            return out_of_place(err, offset, "more of the image than the file can hold");
        memcpy(*data + at, head.data, head.len);
        at += head.len;
    }
    return rc;
}

int trace_reader_image(struct trace_reader *r, size_t index, const uint8_t **data, size_t *len,
                       struct trace_error *err)
{
    const struct trace_header *header = header_store_header(r->header);
    const struct trace_image *image;
    char hash[TRACE_HASH_CHARS + 1];

    if (index >= header->nimages)
        return trace_fail(err, TRACE_ERR_ARGUMENT, 0, "there is no image %zu", index);
    image = &header->images[index];
    if (!image->embedded)
        return trace_fail(err, TRACE_ERR_NOT_EMBEDDED, 0,
                          "the %.64s \"%.100s\" is not in the trace", image->role, image->name);
    if (!r->images[index]) {
        struct frame_reader fr = {0}; /* leaves the current event's bytes alone */
        uint8_t *content = NULL;
        int rc = load_image(r, &fr, index, &content, err);

        frame_reader_fini(&fr);
        if (rc == TRACE_OK) {
            trace_image_hash(content, (size_t)image->size, hash);
            if (strcmp(hash, image->hash) != 0)
                rc = trace_fail(err, TRACE_ERR_HASH, r->blobs_offset,
                                "the %.64s in the trace does not match its hash", image->role);
        }
        if (rc < 0) {
            free(content);
            return rc;
        }
        r->images[index] = content;
    }
    *data = r->images[index];
    *len = (size_t)image->size;
    return TRACE_OK;
}

/* ----------------------------------------------------------------------------------- queries -- */

const struct trace_header *trace_reader_header(const struct trace_reader *r)
{
    return header_store_header(r->header);
}

int trace_reader_end(const struct trace_reader *r, struct trace_end *end, struct trace_error *err)
{
    if (r->has_end) {
        *end = r->end;
        return 1;
    }
    if (r->damage.code && err)
        *err = r->damage;
    return r->damage.code;
}

bool trace_reader_truncated(const struct trace_reader *r, uint64_t *whole_bytes)
{
    if (r->truncated && whole_bytes)
        *whole_bytes = r->frames_end;
    return r->truncated;
}

enum trace_index_state trace_reader_index_state(const struct trace_reader *r)
{
    return r->index_state;
}

int trace_reader_error(const struct trace_reader *r, struct trace_error *err)
{
    if (err)
        *err = r->error;
    return r->error.code;
}

uint64_t trace_reader_size(const struct trace_reader *r)
{
    return r->src.size;
}
