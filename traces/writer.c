/* SPDX-License-Identifier: MIT */
/*
 * The writer: events are encoded by the caller into the open buffer; a thread of the writer's own
 * makes frames of buffers and writes them.
 *
 *     open --(full, input, flush, time)--> queue --> thread: head, LZ4, write --> free --> open
 *
 * Invariants:
 *  1. `lock` guards all but the members marked "thread". It is held for one append, or to move a
 *     buffer; never while compressing or writing.
 *  2. There are QUEUE_MAX + 2 buffers, one of them open, at most one with the thread. So a free one
 *     is there whenever the queue is not full, and whenever the thread holds none.
 *  3. Buffers are written in the order in which they were open.
 *  4. After the first failure nothing more is written: what is in the file is whole frames and at
 *     most one part of a frame at the end. Buffers are still taken from the queue, so that no
 *     caller waits for ever.
 *  5. Encoding does not allocate: a buffer has room for the longest event beyond the size at which
 *     it is closed.
 *
 * The time enters in one place, the thread's wait; it decides when bytes reach the file, never what
 * they say (but for where frames are cut).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <cbor.h>

#include "trace_internal.h"

#define QUEUE_MAX           8u
#define NBUFFERS            (QUEUE_MAX + 2u)
#define FRAME_BYTES_DEFAULT 65536u
#define FRAME_BYTES_MAX     (1u << 20)
#define FLUSH_MS_DEFAULT    500u
#define EVENT_HEAD_MAX      64u /* of an event without its bytes: at most six numbers */
#define EVENT_MAX           (EVENT_HEAD_MAX + TRACE_INPUT_MAX)
#define BLOB_LEVEL          0 /* fast: images are mostly compressed already */
#define EVENT_LEVEL         3 /* LZ4HC: a fifth smaller than fast on jittery timer interrupts */

struct event_buffer {
    struct event_buffer *next;
    struct cbor_out out;  /* the events; its memory is allocated once */
    uint64_t first, last; /* icounts */
    uint64_t vns;         /* of the last input before the buffer */
    uint64_t count;
};

enum writer_state { STARTING, RUNNING, FINISHING, ABANDONING };

struct trace_writer {
    pthread_mutex_t lock;
    pthread_cond_t work; /* to the thread */
    pthread_cond_t done; /* from the thread */
    pthread_t thread;

    enum writer_state state;
    struct event_buffer buffers[NBUFFERS];
    struct event_buffer *open, *free;
    struct event_buffer *queue_head, **queue_tail;
    unsigned queued;
    bool flush_wanted;
    bool busy;  /* the thread holds a buffer */
    bool ended; /* finish was called */
    struct trace_error error;
    uint64_t icount, vns; /* of the last event, of the last input */
    struct trace_end end; /* the counts run along; the rest is set by finish */

    /* Constant while the thread runs. */
    int fd;
    bool sync;
    uint32_t frame_bytes, flush_ms;
    const struct trace_header *header; /* until the state is RUNNING */
    struct cbor_out header_bytes;

    /* thread */
    struct trace_error failure; /* the thread's own view of `error` */
    uint64_t offset, seq;
    struct trace_index index;
    struct cbor_out content;
    uint8_t *packed;
    size_t packed_cap;
};

/* ------------------------------------------------------------------------ the thread's side -- */

static void write_bytes(struct trace_writer *w, const uint8_t *p, size_t len)
{
    uint64_t at = w->offset;

    while (len) {
        ssize_t n = write(w->fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            trace_fail_errno(&w->failure, TRACE_ERR_IO, at, n ? errno : ENOSPC,
                             "writing the trace");
            return;
        }
        p += n;
        len -= (size_t)n;
        at += (uint64_t)n;
    }
    w->offset = at;
}

static void sync_file(struct trace_writer *w)
{
    /* EINVAL and EROFS: a descriptor that has no disk behind it, such as a pipe. */
    if (w->sync && !w->failure.code && fdatasync(w->fd) < 0 && errno != EINVAL && errno != EROFS)
        trace_fail_errno(&w->failure, TRACE_ERR_IO, w->offset, errno, "syncing the trace");
}

static void write_frame(struct trace_writer *w, const void *data, size_t len, int level)
{
    size_t n;

    if (w->failure.code)
        return;
    n = frame_pack(data, len, level, &w->packed, &w->packed_cap);
    if (!n) {
        trace_fail(&w->failure, TRACE_ERR_MEMORY, w->offset, "out of memory for compression");
        return;
    }
    write_bytes(w, w->packed, n);
    w->seq++;
}

/* A frame of a head and, for events, what follows it. */
static void write_headed_frame(struct trace_writer *w, struct frame_head *head,
                               const struct cbor_out *events, int level)
{
    if (w->failure.code)
        return;
    head->seq = w->seq;
    w->content.len = 0;
    frame_head_put(&w->content, head);
    if (events && cbor_out_reserve(&w->content, events->len)) {
        memcpy(w->content.data + w->content.len, events->data, events->len);
        w->content.len += events->len;
    }
    if (w->content.failed) {
        trace_fail(&w->failure, TRACE_ERR_MEMORY, w->offset, "out of memory for a frame");
        return;
    }
    write_frame(w, w->content.data, w->content.len, level);
}

static void write_start(struct trace_writer *w)
{
    const struct trace_header *header = w->header;

    write_frame(w, w->header_bytes.data, w->header_bytes.len, EVENT_LEVEL);
    for (size_t i = 0; i < header->nimages; i++) {
        const struct trace_image *image = &header->images[i];

        for (uint64_t at = 0; image->data && at < image->size; at += TRACE_CHUNK_BYTES) {
            struct frame_head head = {.kind = FRAME_BLOB, .image = i, .image_offset = at};
            uint64_t left = image->size - at;

            head.data = image->data + at;
            head.len = left < TRACE_CHUNK_BYTES ? (size_t)left : TRACE_CHUNK_BYTES;
            write_headed_frame(w, &head, NULL, BLOB_LEVEL);
        }
    }
    w->index.events_offset = w->offset;
    sync_file(w);
}

static void write_events(struct trace_writer *w, const struct event_buffer *b)
{
    struct frame_head head = {
        .kind = FRAME_EVENTS, .first = b->first, .last = b->last, .vns = b->vns, .count = b->count};
    struct index_entry entry = {.seq = w->seq, .offset = w->offset, .first = b->first};

    write_headed_frame(w, &head, &b->out, EVENT_LEVEL);
    if (!w->failure.code && !index_add(&w->index, &entry, true))
        trace_fail(&w->failure, TRACE_ERR_MEMORY, w->offset, "out of memory for the index");
}

static void write_end(struct trace_writer *w)
{
    struct frame_head head = {.kind = FRAME_END, .end = w->end};

    w->index.end_offset = w->offset;
    w->index.end_seq = w->seq;
    write_headed_frame(w, &head, NULL, EVENT_LEVEL);
    if (w->failure.code)
        return;
    w->content.len = 0;
    index_put(&w->content, &w->index);
    if (w->content.failed)
        trace_fail(&w->failure, TRACE_ERR_MEMORY, w->offset, "out of memory for the index");
    else
        write_bytes(w, w->content.data, w->content.len);
    sync_file(w);
}

/* lock held */
static void publish_failure(struct trace_writer *w)
{
    if (!w->error.code)
        w->error = w->failure;
}

/* lock held */
static void enqueue_open(struct trace_writer *w)
{
    struct event_buffer *b = w->open;

    b->next = NULL;
    *w->queue_tail = b;
    w->queue_tail = &b->next;
    w->queued++;
    w->open = w->free;
    w->free = w->open->next;
}

/* lock held. The next buffer to write, or NULL. */
static struct event_buffer *take_buffer(struct trace_writer *w, bool even_open)
{
    struct event_buffer *b;

    if (!w->queue_head && even_open && w->open->count)
        enqueue_open(w); /* invariant 2: the thread holds none, so a free one is there */
    b = w->queue_head;
    if (!b)
        return NULL;
    w->queue_head = b->next;
    if (!w->queue_head)
        w->queue_tail = &w->queue_head;
    w->queued--;
    return b;
}

/* lock held, and released meanwhile. True if the time was up. */
static bool wait_for_work(struct trace_writer *w)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += w->flush_ms / 1000;
    until.tv_nsec += (long)(w->flush_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    return pthread_cond_timedwait(&w->work, &w->lock, &until) == ETIMEDOUT;
}

/* lock held, and released meanwhile */
static void write_buffer(struct trace_writer *w, struct event_buffer *b, bool last)
{
    w->busy = true;
    pthread_mutex_unlock(&w->lock);
    write_events(w, b);
    if (last)
        sync_file(w);
    pthread_mutex_lock(&w->lock);
    publish_failure(w);
    w->busy = false;
    b->count = 0;
    b->out.len = 0;
    b->next = w->free;
    w->free = b;
    pthread_cond_broadcast(&w->done);
}

/* lock held, and released meanwhile. Returns when all is written and the state says to stop. */
static void write_until_stopped(struct trace_writer *w)
{
    bool time_up = false;

    for (;;) {
        bool stopping = w->state != RUNNING;
        struct event_buffer *b = take_buffer(w, w->flush_wanted || time_up || stopping);

        if (b) {
            write_buffer(w, b, !w->queue_head);
            time_up = false;
            continue;
        }
        w->flush_wanted = false;
        pthread_cond_broadcast(&w->done);
        if (stopping)
            return;
        time_up = wait_for_work(w);
    }
}

static void *thread_main(void *arg)
{
    struct trace_writer *w = arg;

    write_start(w);
    pthread_mutex_lock(&w->lock);
    publish_failure(w);
    w->state = RUNNING;
    pthread_cond_broadcast(&w->done);
    write_until_stopped(w);
    if (w->state == FINISHING) {
        pthread_mutex_unlock(&w->lock);
        write_end(w);
        pthread_mutex_lock(&w->lock);
        publish_failure(w);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ------------------------------------------------------------------------ the caller's side -- */

static void free_writer(struct trace_writer *w)
{
    for (size_t i = 0; i < NBUFFERS; i++)
        cbor_out_fini(&w->buffers[i].out);
    cbor_out_fini(&w->content);
    cbor_out_fini(&w->header_bytes);
    index_fini(&w->index);
    free(w->packed);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->done);
    pthread_mutex_destroy(&w->lock);
    if (w->fd >= 0)
        close(w->fd);
    free(w);
}

static int init_buffers(struct trace_writer *w, struct trace_error *err)
{
    for (size_t i = 0; i < NBUFFERS; i++) {
        if (!cbor_out_reserve(&w->buffers[i].out, w->frame_bytes + EVENT_MAX))
            return trace_fail(err, TRACE_ERR_MEMORY, 0, "out of memory for the trace's buffers");
        w->buffers[i].next = w->free;
        w->free = &w->buffers[i];
    }
    w->open = w->free;
    w->free = w->open->next;
    w->queue_tail = &w->queue_head;
    return TRACE_OK;
}

static int set_options(struct trace_writer *w, const struct trace_writer_options *options,
                       struct trace_error *err)
{
    w->frame_bytes = FRAME_BYTES_DEFAULT;
    w->flush_ms = FLUSH_MS_DEFAULT;
    if (!options)
        return TRACE_OK;
    if (options->struct_size != sizeof(*options) || options->frame_bytes > FRAME_BYTES_MAX)
        return trace_fail(err, TRACE_ERR_ARGUMENT, 0, "wrong struct_size or frame_bytes");
    w->sync = options->sync;
    if (options->frame_bytes)
        w->frame_bytes = options->frame_bytes;
    if (options->flush_interval_ms)
        w->flush_ms = options->flush_interval_ms;
    return TRACE_OK;
}

static int encode_header(struct trace_writer *w, struct trace_error *err)
{
    const struct trace_header *header = w->header;
    char(*hashes)[TRACE_HASH_CHARS + 1];
    int rc;

    if (!header || header->struct_size != sizeof(*header))
        return trace_fail(err, TRACE_ERR_ARGUMENT, 0, "no header, or its struct_size is wrong");
    if (header->nimages > TRACE_LIST_MAX)
        return trace_fail(err, TRACE_ERR_TOO_BIG, 0, "too many images");
    hashes = calloc(header->nimages + 1, sizeof(*hashes));
    if (!hashes)
        return trace_fail(err, TRACE_ERR_MEMORY, 0, "out of memory for the header");
    for (size_t i = 0; i < header->nimages; i++) {
        const struct trace_image *image = &header->images[i];

        if (image->data && image->size <= TRACE_IMAGE_MAX)
            trace_image_hash(image->data, (size_t)image->size, hashes[i]);
        else
            memcpy(hashes[i], image->hash, sizeof(hashes[i]));
    }
    rc = header_put(&w->header_bytes, header, (const char(*)[TRACE_HASH_CHARS + 1]) hashes, err);
    free(hashes);
    return rc;
}

/* Starts the thread, deaf to signals: those are the program's, and a write past RLIMIT_FSIZE is to
 * give EFBIG, one into a closed pipe EPIPE. */
static int start_thread(struct trace_writer *w, struct trace_error *err)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&w->thread, NULL, thread_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc)
        return trace_fail_errno(err, TRACE_ERR_THREAD, 0, rc, "starting the trace's writer");
    return TRACE_OK;
}

static struct trace_writer *new_writer(int fd)
{
    struct trace_writer *w = calloc(1, sizeof(*w));
    pthread_condattr_t attr;

    if (!w)
        return NULL;
    w->fd = fd;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->work, &attr);
    pthread_cond_init(&w->done, &attr);
    pthread_condattr_destroy(&attr);
    return w;
}

struct trace_writer *trace_writer_create_fd(int fd, const struct trace_header *header,
                                            const struct trace_writer_options *options,
                                            struct trace_error *err)
{
    struct trace_writer *w = new_writer(fd);

    if (!w) {
        close(fd);
        trace_fail(err, TRACE_ERR_MEMORY, 0, "out of memory for the trace's writer");
        return NULL;
    }
    w->header = header;
    if (set_options(w, options, err) < 0 || encode_header(w, err) < 0 || init_buffers(w, err) < 0 ||
        start_thread(w, err) < 0) {
        free_writer(w);
        return NULL;
    }
    pthread_mutex_lock(&w->lock);
    while (w->state == STARTING)
        pthread_cond_wait(&w->done, &w->lock);
    w->header = NULL;
    pthread_mutex_unlock(&w->lock);
    if (trace_writer_error(w, err) < 0) {
        trace_writer_destroy(w);
        return NULL;
    }
    return w;
}

/* /dev/null and /dev/full: writing there harms nothing. */
static bool harmless_device(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && (st->st_rdev == makedev(1, 3) || st->st_rdev == makedev(1, 7));
}

struct trace_writer *trace_writer_create(const char *path, const struct trace_header *header,
                                         const struct trace_writer_options *options,
                                         struct trace_error *err)
{
    struct stat st;
    int fd;

    if (!path) {
        trace_fail(err, TRACE_ERR_ARGUMENT, 0, "no path");
        return NULL;
    }
    /* Looked at before it is opened: opening alone can rewind a tape or wake a pipe's reader. */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !harmless_device(&st)) {
        trace_fail(err, TRACE_ERR_NOT_REGULAR, 0, "%.150s: not a regular file", path);
        return NULL;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    if (fd < 0) {
        trace_fail_errno(err, TRACE_ERR_IO, 0, errno, "creating the trace");
        return NULL;
    }
    if (fstat(fd, &st) < 0 || (S_ISREG(st.st_mode) && ftruncate(fd, 0) < 0)) {
        trace_fail_errno(err, TRACE_ERR_IO, 0, errno, "emptying the trace");
        close(fd);
        return NULL;
    }
    if (!S_ISREG(st.st_mode) && !harmless_device(&st)) {
        trace_fail(err, TRACE_ERR_NOT_REGULAR, 0, "%.150s: not a regular file", path);
        close(fd);
        return NULL;
    }
    return trace_writer_create_fd(fd, header, options, err);
}

/* lock held, kept on success only. Makes the open buffer ready for an event at `icount`. */
static int begin_event(struct trace_writer *w, uint64_t icount)
{
    struct event_buffer *b;

    pthread_mutex_lock(&w->lock);
    if (w->error.code || w->ended || icount < w->icount) {
        int rc = w->error.code ? w->error.code : w->ended ? TRACE_ERR_STATE : TRACE_ERR_ORDER;
        pthread_mutex_unlock(&w->lock);
        return rc;
    }
    b = w->open;
    if (!b->count) {
        b->first = b->last = icount;
        b->vns = w->vns;
    }
    return TRACE_OK;
}

/* The head of an event: the array, its kind, the icounts since the event before in this buffer. The
 * buffer has the room (invariant 5), which libcbor's encoders are told. */
static void put_event(struct trace_writer *w, size_t elements, enum trace_event_kind kind,
                      uint64_t icount)
{
    struct event_buffer *b = w->open;

    cbor_out_array(&b->out, elements);
    cbor_out_uint(&b->out, kind);
    cbor_out_uint(&b->out, icount - b->last);
    b->last = icount;
    b->count++;
    w->icount = icount;
}

/* Releases the lock. */
static void end_event(struct trace_writer *w, bool flush)
{
    bool wake = flush;

    if (w->open->out.len >= w->frame_bytes) {
        while (w->queued == QUEUE_MAX)
            pthread_cond_wait(&w->done, &w->lock);
        /* The thread may have taken the buffer while this one waited. */
        if (w->open->out.len >= w->frame_bytes)
            enqueue_open(w);
        wake = true;
    }
    w->flush_wanted |= flush;
    if (wake)
        pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

int trace_writer_input(struct trace_writer *w, uint64_t icount, uint64_t vns, uint32_t kind,
                       uint32_t port, const void *data, size_t len)
{
    struct cbor_out *out;
    int rc;

    if (!data && len)
        return TRACE_ERR_ARGUMENT;
    if (len > TRACE_INPUT_MAX)
        return TRACE_ERR_TOO_BIG;
    rc = begin_event(w, icount);
    if (rc < 0)
        return rc;
    if (vns < w->vns) {
        pthread_mutex_unlock(&w->lock);
        return TRACE_ERR_ORDER;
    }
    out = &w->open->out;
    put_event(w, 6, TRACE_EVENT_INPUT, icount);
    cbor_out_uint(out, vns - w->vns);
    cbor_out_uint(out, kind);
    cbor_out_uint(out, port);
    cbor_out_bytes(out, data, len);
    w->vns = vns;
    w->end.inputs++;
    end_event(w, true);
    return TRACE_OK;
}

int trace_writer_interrupt(struct trace_writer *w, uint64_t icount, uint32_t vector,
                           uint32_t source)
{
    int rc = begin_event(w, icount);

    if (rc < 0)
        return rc;
    put_event(w, 4, TRACE_EVENT_INTERRUPT, icount);
    cbor_out_uint(&w->open->out, vector);
    cbor_out_uint(&w->open->out, source);
    w->end.interrupts++;
    end_event(w, false);
    return TRACE_OK;
}

int trace_writer_digest(struct trace_writer *w, uint64_t icount, uint64_t digest)
{
    int rc = begin_event(w, icount);

    if (rc < 0)
        return rc;
    put_event(w, 3, TRACE_EVENT_DIGEST, icount);
    cbor_out_uint(&w->open->out, digest);
    w->end.digests++;
    end_event(w, false);
    return TRACE_OK;
}

int trace_writer_mark(struct trace_writer *w, uint64_t icount, const char *text)
{
    size_t len;
    int rc;

    if (!text)
        return TRACE_ERR_ARGUMENT;
    len = strlen(text);
    if (len > TRACE_MARK_MAX)
        return TRACE_ERR_TOO_BIG;
    rc = begin_event(w, icount);
    if (rc < 0)
        return rc;
    put_event(w, 3, TRACE_EVENT_MARK, icount);
    cbor_out_text_lossy(&w->open->out, text, len);
    w->end.marks++;
    end_event(w, false);
    return TRACE_OK;
}

int trace_writer_flush(struct trace_writer *w)
{
    int rc;

    pthread_mutex_lock(&w->lock);
    if (!w->ended && (w->open->count || w->queue_head || w->busy)) {
        w->flush_wanted = true;
        pthread_cond_signal(&w->work);
        while (w->open->count || w->queue_head || w->busy)
            pthread_cond_wait(&w->done, &w->lock);
    }
    rc = w->error.code;
    pthread_mutex_unlock(&w->lock);
    return rc;
}

int trace_writer_error(struct trace_writer *w, struct trace_error *err)
{
    int rc;

    pthread_mutex_lock(&w->lock);
    rc = w->error.code;
    if (err)
        *err = w->error;
    pthread_mutex_unlock(&w->lock);
    return rc;
}

/* Lets the thread write what is left and waits for its end. */
static void stop_thread(struct trace_writer *w, enum writer_state how)
{
    pthread_mutex_lock(&w->lock);
    w->state = how;
    w->ended = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
}

int trace_writer_finish(struct trace_writer *w, const struct trace_end *end)
{
    size_t len;

    if (!end || end->struct_size != sizeof(*end))
        return TRACE_ERR_ARGUMENT;
    if (w->ended)
        return TRACE_ERR_STATE;
    len = strnlen(end->reason, sizeof(end->reason));
    if (len > TRACE_REASON_MAX || !trace_utf8_valid(end->reason, len))
        return TRACE_ERR_ARGUMENT;
    if (end->icount < w->icount || end->vns < w->vns)
        return TRACE_ERR_ORDER;
    memcpy(w->end.reason, end->reason, len + 1);
    w->end.exit_code = end->exit_code;
    w->end.icount = end->icount;
    w->end.vns = end->vns;
    w->end.digest = end->digest;
    stop_thread(w, FINISHING);
    if (close(w->fd) < 0 && !w->error.code)
        trace_fail_errno(&w->error, TRACE_ERR_IO, w->offset, errno, "closing the trace");
    w->fd = -1;
    return w->error.code;
}

void trace_writer_destroy(struct trace_writer *w)
{
    if (!w)
        return;
    if (!w->ended)
        stop_thread(w, ABANDONING);
    free_writer(w);
}
