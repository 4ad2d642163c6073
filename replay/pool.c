/* SPDX-License-Identifier: MIT */
/* Jobs in processes of their own: replay/pool.h. */
#include <replay/pool.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <replay/child.h>

struct job {
    size_t i;
    struct child child; /* its answer comes from there */
};

struct running {
    const struct pool *pool;
    struct job *jobs;
    struct pollfd *polls;
    unsigned n, max;
    size_t next, end; /* not begun: [next, end) */
};

unsigned pool_cores(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

static _Noreturn void be_job(const struct pool *pool, size_t i, int fd)
{
    uint8_t result[POOL_MAX_RESULT] = {0};
    int status = pool->enter == NULL ? 0 : pool->enter();

    if (status != 0)
        _exit(status);
    pool->work(pool->opaque, i, result);
    _exit(write(fd, result, pool->result_bytes) == (ssize_t)pool->result_bytes ? 0 : 1);
}

static int begin(struct running *r)
{
    struct job *job = &r->jobs[r->n];
    pid_t pid = child_fork(&job->child, CHILD_PIPE);

    job->i = r->next;
    if (pid == 0)
        be_job(r->pool, job->i, job->child.fd);
    if (pid < 0)
        return -1;
    r->next++;
    r->n++;
    return 0;
}

static void drop(struct running *r, unsigned k)
{
    child_end(&r->jobs[k].child);
    r->jobs[k] = r->jobs[--r->n];
}

/* Ends the jobs with numbers above `i`, and begins none of them. */
static void drop_above(struct running *r, size_t i)
{
    for (unsigned k = r->n; k-- > 0;)
        if (r->jobs[k].i > i)
            drop(r, k);
    if (r->end > i + 1)
        r->end = i + 1;
}

static void drop_all(struct running *r)
{
    while (r->n > 0)
        drop(r, r->n - 1);
    r->end = 0;
}

/* Job `k` has answered, or died. */
static void finish(struct running *r, unsigned k)
{
    uint8_t result[POOL_MAX_RESULT];
    size_t i = r->jobs[k].i;
    ssize_t got;
    enum pool_next next;

    do
        got = read(r->jobs[k].child.fd, result, r->pool->result_bytes);
    while (got < 0 && errno == EINTR);
    child_bury(&r->jobs[k].child);
    r->jobs[k] = r->jobs[--r->n];
    next = r->pool->done(r->pool->opaque, i, got == (ssize_t)r->pool->result_bytes ? result : NULL);
    if (next == POOL_DROP_LATER)
        drop_above(r, i);
    else if (next == POOL_STOP)
        drop_all(r);
}

/* Waits for at least one. */
static void wait_for_some(struct running *r)
{
    unsigned n = r->n;

    for (unsigned k = 0; k < n; k++)
        r->polls[k] = (struct pollfd){.fd = r->jobs[k].child.fd, .events = POLLIN};
    if (poll(r->polls, n, -1) <= 0)
        return;
    for (unsigned k = 0; k < n; k++) {
        int fd = r->polls[k].fd;

        if (r->polls[k].revents == 0)
            continue;
        for (unsigned j = 0; j < r->n; j++) /* it may have moved, or been dropped */
            if (r->jobs[j].child.fd == fd) {
                finish(r, j);
                break;
            }
    }
}

int pool_run(const struct pool *pool, size_t n, char *err, size_t errlen)
{
    struct running r = {.pool = pool, .max = pool->jobs != 0 ? pool->jobs : pool_cores(), .end = n};
    int rc = 0;

    r.jobs = calloc(r.max, sizeof(*r.jobs));
    r.polls = calloc(r.max, sizeof(*r.polls));
    if (r.jobs == NULL || r.polls == NULL) {
        snprintf(err, errlen, "out of memory");
        rc = -1;
    }
    while (rc == 0 && (r.n > 0 || r.next < r.end)) {
        while (rc == 0 && r.n < r.max && r.next < r.end)
            if (begin(&r) != 0) {
                snprintf(err, errlen, "cannot start a process: %s", strerror(errno));
                rc = -1;
            }
        if (rc == 0)
            wait_for_some(&r);
    }
    drop_all(&r);
    free(r.jobs);
    free(r.polls);
    return rc;
}
