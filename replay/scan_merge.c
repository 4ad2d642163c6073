/* SPDX-License-Identifier: MIT */
/*
 * The process that asked for a scan: forks the workers, and puts what they say in order.
 *
 * Records of the first segment that is not through are delivered as they come, those of later ones wait. When
 * too much is waiting, only the owner of that first segment is listened to; the others then wait in write().
 *
 * Invariants: 1. `head` is the first place that is not through; all records before it have been delivered. 2. A
 * worker whose pipe ends without a BYE has died. 3. When scan_in_processes() returns there are no workers any more.
 */
#include "scan_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <replay/child.h>

#define LOOK_MS       100         /* between two looks at progress and interrupts */
#define WAITING_BYTES (256u << 20)
#define IN_BYTES      65536u

/* What a worker has written so far of its present frame. */
struct listener {
    struct child child;
    bool bye;
    uint8_t *in;   /* a frame and what follows it */
    size_t nin, capacity;
};

/* Records of a segment that wait: each with its length before it. */
struct waiting {
    uint8_t *data;
    size_t len, capacity;
    bool through;
};

struct merge {
    struct scan *s;
    struct listener *listeners;
    struct pollfd *fds;
    struct waiting *waiting; /* by place */
    uint32_t head;
    size_t bytes;            /* in all that waits */
    enum scan_status status; /* SCAN_DONE: so far */
    bool over;               /* nothing more is to be delivered */
};

static void over(struct merge *m, enum scan_status status)
{
    if (!m->over)
        m->status = status;
    m->over = true;
}

static void fail(struct merge *m, enum scan_status status, const char *text, size_t len)
{
    if (!m->over)
        snprintf(m->s->err, m->s->errlen, "%.*s", (int)len, text);
    over(m, status);
}

static void fail_text(struct merge *m, const char *text)
{
    fail(m, SCAN_ERROR, text, strlen(text));
}

/* --- workers --- */

static _Noreturn void be_worker(struct merge *m, unsigned number)
{
    const struct scan_options *o = m->s->o;
    struct scan_worker w = {.scan = m->s, .number = number, .pipe = m->listeners[number].child.fd};

    child_leave_signals(); /* this process passes them on */
    for (unsigned i = 0; i < number; i++)
        close(m->listeners[i].child.fd);
    timeline_after_fork(m->s->t);
    for (w.place = 0; atomic_load(&m->s->shared->owner[w.place]) != number + 1; w.place++)
        ;
    if (o->confine != NULL && o->confine(o->opaque) != 0)
        _exit(1);
    scan_worker_run(&w);
    _exit(0);
}

/* Who begins where: spread over all of it, or one behind the other. */
static void share_out(struct scan *s)
{
    for (unsigned i = 0; i < s->jobs; i++) {
        uint32_t place = s->o->order == SCAN_ALL ? (uint32_t)((uint64_t)i * s->n / s->jobs) : i;

        atomic_store(&s->shared->owner[place], (uint_fast16_t)(i + 1));
    }
}

static void start_workers(struct merge *m)
{
    char text[128];

    share_out(m->s);
    for (unsigned i = 0; i < m->s->jobs && !m->over; i++) {
        pid_t pid = child_fork(&m->listeners[i].child, CHILD_PIPE);

        if (pid == 0)
            be_worker(m, i);
        if (pid > 0)
            continue;
        snprintf(text, sizeof(text), "cannot start a worker: %s", strerror(errno));
        fail_text(m, text);
    }
}

static void stop_workers(struct merge *m)
{
    atomic_store(&m->s->shared->cancel, true);
    for (unsigned i = 0; i < m->s->jobs; i++) {
        struct listener *l = &m->listeners[i];

        if (l->child.fd >= 0)
            close(l->child.fd); /* who writes to it ends */
        l->child.fd = -1;
        if (l->child.pid > 0)
            child_bury(&l->child);
        free(l->in);
    }
}

/* --- records --- */

static bool reserve(uint8_t **data, size_t *capacity, size_t want)
{
    size_t n = *capacity == 0 ? 4096 : *capacity;
    uint8_t *more;

    if (want <= *capacity)
        return true;
    while (n < want)
        n *= 2;
    more = realloc(*data, n);
    if (more == NULL)
        return false;
    *data = more;
    *capacity = n;
    return true;
}

static void deliver(struct merge *m, const void *data, size_t len)
{
    const struct scan_options *o = m->s->o;

    if (m->over)
        return;
    if (!o->record(o->opaque, data, len) || o->order != SCAN_ALL)
        over(m, SCAN_ENOUGH);
}

static void keep(struct merge *m, uint32_t place, const uint8_t *data, uint32_t len)
{
    struct waiting *w = &m->waiting[place];

    if (!reserve(&w->data, &w->capacity, w->len + sizeof(len) + len)) {
        fail_text(m, "out of memory for what was found");
        return;
    }
    memcpy(w->data + w->len, &len, sizeof(len));
    memcpy(w->data + w->len + sizeof(len), data, len);
    w->len += sizeof(len) + len;
    m->bytes += sizeof(len) + len;
}

static void deliver_waiting(struct merge *m, struct waiting *w)
{
    uint32_t len;

    for (size_t at = 0; at < w->len && !m->over; at += sizeof(len) + len) {
        memcpy(&len, w->data + at, sizeof(len));
        deliver(m, w->data + at + sizeof(len), len);
    }
    m->bytes -= w->len;
    free(w->data);
    w->data = NULL;
    w->len = w->capacity = 0;
}

/* A segment is through: what waits behind it may go on. */
static void through(struct merge *m, uint32_t place)
{
    m->waiting[place].through = true;
    while (m->head < m->s->n && m->waiting[m->head].through) {
        m->head++;
        if (m->head < m->s->n)
            deliver_waiting(m, &m->waiting[m->head]);
    }
}

/* --- listening --- */

static void take_frame(struct merge *m, struct listener *l, const struct scan_frame *f, const uint8_t *data)
{
    switch ((enum scan_frame_kind)f->kind) {
    case SCAN_FRAME_RECORD:
        if (f->place == m->head)
            deliver(m, data, f->len);
        else
            keep(m, f->place, data, f->len);
        break;
    case SCAN_FRAME_THROUGH: through(m, f->place); break;
    case SCAN_FRAME_DIVERGED: fail(m, SCAN_DIVERGED, (const char *)data, f->len); break;
    case SCAN_FRAME_ERROR: fail(m, SCAN_ERROR, (const char *)data, f->len); break;
    case SCAN_FRAME_BYE: l->bye = true; break;
    }
}

/* All frames that are whole. */
static void take_frames(struct merge *m, struct listener *l)
{
    struct scan_frame f;
    size_t at = 0;

    while (l->nin - at >= sizeof(f)) {
        memcpy(&f, l->in + at, sizeof(f));
        /* A worker that a guest has taken over writes anything. */
        if (f.kind > SCAN_FRAME_BYE || f.place >= m->s->n || f.len > SCAN_RECORD_MAX) {
            fail_text(m, "a worker says what makes no sense");
            return;
        }
        if (l->nin - at - sizeof(f) < f.len)
            break;
        take_frame(m, l, &f, l->in + at + sizeof(f));
        at += sizeof(f) + f.len;
    }
    memmove(l->in, l->in + at, l->nin - at);
    l->nin -= at;
}

static void died(struct merge *m, struct listener *l)
{
    char how[96], text[128];

    child_describe_end(child_bury(&l->child), how, sizeof(how));
    snprintf(text, sizeof(text), "a worker %s", how);
    fail_text(m, text);
}

static void listen_to(struct merge *m, struct listener *l)
{
    ssize_t n;

    if (!reserve(&l->in, &l->capacity, l->nin + IN_BYTES)) {
        fail_text(m, "out of memory for what was found");
        return;
    }
    n = read(l->child.fd, l->in + l->nin, IN_BYTES);
    if (n < 0 && errno == EINTR)
        return;
    if (n > 0) {
        l->nin += (size_t)n;
        take_frames(m, l);
        return;
    }
    if (!l->bye) {
        died(m, l);
        return;
    }
    close(l->child.fd);
    l->child.fd = -1;
}

/* Whom to listen to now: all, or when too much waits those who may have what it waits for. */
static bool is_heard(const struct merge *m, unsigned number)
{
    unsigned owner;

    if (m->listeners[number].child.fd < 0)
        return false;
    if (m->bytes < WAITING_BYTES || m->head == m->s->n)
        return true;
    owner = (unsigned)atomic_load(&m->s->shared->owner[m->head]);
    return owner == 0 || owner == number + 1;
}

static unsigned choose(struct merge *m)
{
    unsigned open = 0;

    for (unsigned i = 0; i < m->s->jobs; i++) {
        m->fds[i] = (struct pollfd){.fd = is_heard(m, i) ? m->listeners[i].child.fd : -1, .events = POLLIN};
        open += m->listeners[i].child.fd >= 0;
    }
    return open;
}

static void look(struct merge *m)
{
    const struct scan_options *o = m->s->o;
    uint64_t done = 0;

    for (unsigned i = 0; i < m->s->jobs; i++)
        done += atomic_load_explicit(&m->s->shared->done[i], memory_order_relaxed);
    if (o->progress != NULL)
        o->progress(o->opaque, o->what, done < m->s->total ? done : m->s->total, m->s->total);
    if (o->interrupted != NULL && o->interrupted(o->opaque))
        over(m, SCAN_INTERRUPTED);
}

static void listen_to_all(struct merge *m)
{
    while (!m->over && choose(m) > 0) {
        if (poll(m->fds, m->s->jobs, LOOK_MS) > 0)
            for (unsigned i = 0; i < m->s->jobs && !m->over; i++)
                if (m->fds[i].revents != 0)
                    listen_to(m, &m->listeners[i]);
        look(m);
    }
    if (!m->over && m->head < m->s->n)
        fail_text(m, "workers have left a part of the run: this is a bug");
}

/* --- all of it --- */

static bool prepare(struct merge *m)
{
    m->listeners = calloc(m->s->jobs, sizeof(m->listeners[0]));
    m->fds = calloc(m->s->jobs, sizeof(m->fds[0]));
    m->waiting = calloc(m->s->n, sizeof(m->waiting[0]));
    if (m->listeners == NULL || m->fds == NULL || m->waiting == NULL)
        return false;
    for (unsigned i = 0; i < m->s->jobs; i++)
        m->listeners[i].child.fd = -1;
    return true;
}

enum scan_status scan_in_processes(struct scan *s)
{
    struct merge m = {.s = s, .status = SCAN_DONE};

    if (!prepare(&m)) {
        fail_text(&m, "out of memory");
    } else {
        start_workers(&m);
        if (!m.over && !scan_prepare(s))
            fail_text(&m, "");
        listen_to_all(&m);
        stop_workers(&m);
    }
    for (uint32_t i = 0; m.waiting != NULL && i < s->n; i++)
        free(m.waiting[i].data);
    free(m.waiting);
    free(m.fds);
    free(m.listeners);
    return m.status;
}
