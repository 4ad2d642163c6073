/* SPDX-License-Identifier: MIT */
/*
 * Processes of a hunt: crew.h.
 *
 * A worker is forked when it is first needed, with the runner as it is then, at power-on. Orders and replies are
 * packets on a socket pair. A worker that dies is made anew with the orders that it had; a second death without a
 * reply between is no accident.
 */
#include "crew.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <replay/child.h>
#include <replay/recorder.h>

#include "../console_term.h"
#include "../sandbox.h"

#define IN_HAND    4u         /* orders a worker has at most */
#define AHEAD_NS   300000000u /* for how long it has orders beyond the one that it carries out */
#define MAX_DEATHS 2u

struct order {
    uint64_t run;
    struct runner_limit limit;
};

struct slot {
    struct child worker;
    struct order orders[IN_HAND]; /* oldest first */
    unsigned norders;
    unsigned deaths;              /* without a reply between */
    struct child recorder;
    uint64_t recording;
};

struct crew {
    struct runner *runner;
    bool no_sandbox;
    bool record_waits;
    uint64_t replies, guest_ns; /* so far */
    unsigned n;
    struct slot *slots;
    struct pollfd *fds; /* two a slot, and the signals' */
    char error[256];    /* why a worker cannot be had; "": none could not */
};

/* --- in a child --- */

static void leave_others(const struct crew *c, int fd)
{
    child_leave_signals();
    for (unsigned i = 0; i < c->n; i++) {
        if (c->slots[i].worker.pid != 0 && c->slots[i].worker.fd != fd)
            close(c->slots[i].worker.fd);
        if (c->slots[i].recorder.pid != 0 && c->slots[i].recorder.fd != fd)
            close(c->slots[i].recorder.fd);
    }
}

static void reply(int fd, const struct crew_reply *r)
{
    if (write(fd, r, sizeof(*r)) != (ssize_t)sizeof(*r))
        _exit(1); /* the hunt is gone */
}

static void enter_sandbox(const struct crew *c)
{
    if (!c->no_sandbox && sandbox_enter() != 0)
        _exit(1);
}

/* What there is of the clock, and was not told so far. */
static void add_times(struct crew_reply *r, const struct crew *c, struct runner_time *told, uint64_t *cpu_told)
{
    struct runner_time guest = runner_time(c->runner);
    struct timespec ts;
    uint64_t cpu;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    cpu = (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
    r->guest.wall_ns = guest.wall_ns - told->wall_ns;
    r->guest.cpu_ns = guest.cpu_ns - told->cpu_ns;
    r->cpu_ns = cpu - *cpu_told;
    *told = guest;
    *cpu_told = cpu;
}

_Noreturn static void work(struct crew *c, int fd)
{
    struct crew_reply r = {.recorded = false};
    struct runner_time told = {0};
    uint64_t cpu_told = 0;
    struct order o;
    bool ready;

    enter_sandbox(c);
    ready = runner_prepare(c->runner, r.error, sizeof(r.error)) == 0;
    while (read(fd, &o, sizeof(o)) == (ssize_t)sizeof(o)) {
        r.result.run = o.run;
        if (ready) {
            r.error[0] = '\0';
            if (runner_run(c->runner, o.run, o.limit, &r.result, r.error, sizeof(r.error)) != 0)
                r.result.run = o.run;
        }
        add_times(&r, c, &told, &cpu_told);
        reply(fd, &r);
    }
    _exit(0);
}

_Noreturn static void record(struct crew *c, int fd, struct order o, const char *path)
{
    struct crew_reply r = {.recorded = true};
    struct runner_time told = {0};
    uint64_t cpu_told = 0;
    struct recorder *recorder =
        runner_open_recording(c->runner, o.run, path, o.limit, r.error, sizeof(r.error));

    if (recorder != NULL) {
        enter_sandbox(c);
        runner_record(c->runner, recorder, o.run, o.limit, &r.result, r.error, sizeof(r.error));
    }
    r.result.run = o.run;
    add_times(&r, c, &told, &cpu_told);
    reply(fd, &r);
    _exit(0);
}

/* --- making and ending children --- */

/* True in the child. */
static bool start_child(struct crew *c, struct child *child)
{
    pid_t pid = child_fork(child, CHILD_PACKETS);

    if (pid == 0)
        leave_others(c, child->fd);
    else if (pid < 0)
        snprintf(c->error, sizeof(c->error), "no process for a worker: %s", strerror(errno));
    return pid == 0;
}

struct crew *crew_create(struct runner *runner, unsigned jobs, bool no_sandbox)
{
    struct crew *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->runner = runner;
    c->no_sandbox = no_sandbox;
    c->n = jobs;
    c->slots = calloc(jobs, sizeof(*c->slots));
    c->fds = calloc((size_t)jobs * 2 + 1, sizeof(*c->fds));
    if (c->slots != NULL && c->fds != NULL)
        return c;
    crew_destroy(c);
    return NULL;
}

void crew_destroy(struct crew *c)
{
    if (c == NULL)
        return;
    for (unsigned i = 0; i < c->n && c->slots != NULL; i++) {
        child_end(&c->slots[i].worker);
        child_end(&c->slots[i].recorder);
    }
    free(c->slots);
    free(c->fds);
    free(c);
}

/* --- orders --- */

/* The slot with the fewest orders among those that do not record; NULL: all do. */
static struct slot *least_busy(const struct crew *c, const struct slot *but)
{
    struct slot *best = NULL;

    for (unsigned i = 0; i < c->n; i++) {
        struct slot *s = &c->slots[i];

        if (s->recorder.pid == 0 && s != but && (best == NULL || s->norders < best->norders))
            best = s;
    }
    return best;
}

/* Short runs are ordered ahead, since this process may be slow to see that one has ended. Long ones are not: in the end
 * one worker would have some, and others none. */
static unsigned depth(const struct crew *c)
{
    uint64_t ahead = c->replies == 0 ? 0 : AHEAD_NS / (c->guest_ns / c->replies + 1);

    return ahead < IN_HAND ? 1 + (unsigned)ahead : IN_HAND;
}

/* Who gets the next order; NULL: nobody. The one that will be free first is kept for a recording that waits. */
static struct slot *next_worker(const struct crew *c)
{
    struct slot *s = least_busy(c, c->record_waits ? least_busy(c, NULL) : NULL);

    return s != NULL && s->norders < depth(c) ? s : NULL;
}

void crew_record_waits(struct crew *c, bool waits)
{
    c->record_waits = waits;
}

bool crew_wants(const struct crew *c)
{
    return next_worker(c) != NULL;
}

/* A write that fails is seen as a death, when the socket is read. */
static void send_order(const struct slot *s, struct order o)
{
    ssize_t n = write(s->worker.fd, &o, sizeof(o));

    (void)n;
}

static void start_worker(struct crew *c, struct slot *s)
{
    if (start_child(c, &s->worker))
        work(c, s->worker.fd);
    for (unsigned i = 0; i < s->norders && s->worker.pid != 0; i++)
        send_order(s, s->orders[i]);
}

void crew_run(struct crew *c, uint64_t run, struct runner_limit limit)
{
    struct slot *s = next_worker(c);
    struct order o = {.run = run, .limit = limit};

    if (s->worker.pid == 0)
        start_worker(c, s);
    s->orders[s->norders++] = o;
    if (s->worker.pid != 0)
        send_order(s, o);
}

bool crew_can_record(const struct crew *c)
{
    const struct slot *s = least_busy(c, NULL);

    return s != NULL && s->norders == 0;
}

void crew_record(struct crew *c, uint64_t run, struct runner_limit limit, const char *path)
{
    struct slot *s = least_busy(c, NULL);

    s->recording = run;
    if (start_child(c, &s->recorder))
        record(c, s->recorder.fd, (struct order){.run = run, .limit = limit}, path);
}

bool crew_is_idle(const struct crew *c)
{
    for (unsigned i = 0; i < c->n; i++)
        if (c->slots[i].norders > 0 || c->slots[i].recorder.pid != 0)
            return false;
    return true;
}

/* --- events --- */

static void add_fd(struct crew *c, nfds_t *n, const struct child *child)
{
    c->fds[(*n)++] = (struct pollfd){.fd = child->pid != 0 ? child->fd : -1, .events = POLLIN};
}

/* A worker's packet, or its death. */
static enum crew_event hear_worker(struct crew *c, struct slot *s, struct crew_reply *out)
{
    ssize_t n = read(s->worker.fd, out, sizeof(*out));
    char how[128];

    if (n == (ssize_t)sizeof(*out) && s->norders > 0) {
        s->deaths = 0;
        s->norders--;
        memmove(s->orders, s->orders + 1, s->norders * sizeof(s->orders[0]));
        c->replies++;
        c->guest_ns += out->guest.wall_ns;
        return CREW_REPLY;
    }
    child_describe_end(child_bury(&s->worker), how, sizeof(how));
    if (s->norders > 0 && ++s->deaths < MAX_DEATHS) {
        start_worker(c, s);
        return c->error[0] != '\0' ? CREW_LOST : CREW_TIME;
    }
    if (s->norders == 0)
        return CREW_TIME; /* made anew when it is needed */
    snprintf(c->error, sizeof(c->error), "run %llu: its process %s, twice", (unsigned long long)s->orders[0].run, how);
    return CREW_LOST;
}

static enum crew_event hear_recorder(struct slot *s, struct crew_reply *out)
{
    ssize_t n = read(s->recorder.fd, out, sizeof(*out));
    char how[128];
    int status = child_bury(&s->recorder);

    if (n == (ssize_t)sizeof(*out))
        return CREW_REPLY;
    *out = (struct crew_reply){.recorded = true, .result = {.run = s->recording}};
    child_describe_end(status, how, sizeof(how));
    snprintf(out->error, sizeof(out->error), "its process %s", how);
    return CREW_REPLY;
}

static enum crew_event hear(struct crew *c, struct crew_reply *out)
{
    for (unsigned i = 0; i < c->n; i++) {
        if (c->fds[2 * i].revents != 0)
            return hear_worker(c, &c->slots[i], out);
        if (c->fds[2 * i + 1].revents != 0)
            return hear_recorder(&c->slots[i], out);
    }
    return CREW_TIME;
}

enum crew_event crew_wait(struct crew *c, int timeout_ms, struct crew_reply *out)
{
    enum crew_event event = CREW_LOST;
    nfds_t n = 0;

    for (unsigned i = 0; i < c->n; i++) {
        add_fd(c, &n, &c->slots[i].worker);
        add_fd(c, &n, &c->slots[i].recorder);
    }
    c->fds[n++] = (struct pollfd){.fd = term_stop_fd(), .events = POLLIN};
    if (c->error[0] == '\0') {
        int ready = poll(c->fds, n, timeout_ms);

        if (term_stop_asked())
            return CREW_STOPPED;
        event = ready > 0 ? hear(c, out) : CREW_TIME;
    }
    if (event == CREW_LOST)
        snprintf(out->error, sizeof(out->error), "%s", c->error);
    return event;
}
