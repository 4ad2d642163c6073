/* SPDX-License-Identifier: MIT */
/* Cutting a recorded run into segments, and who runs them: replay/scan.h. */
#include "scan_internal.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* With SCAN_FIRST and SCAN_LAST a segment has so many stretches between checkpoints: going from one segment to
 * another costs about as much as a tenth of such a stretch. */
#define GROUP 4u

static unsigned cpus(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

/* --- cutting --- */

static bool add(struct scan *s, struct moment from, struct moment to)
{
    struct scan_segment segment = {.from = from, .to = to};

    if (!moment_before(from, to) || (s->o->wanted != NULL && !s->o->wanted(s->o->opaque, &segment)))
        return false;
    s->segments[s->n++] = segment;
    return true;
}

/* All segments from options.from to options.to, ascending. Local checkpoints are too close together. */
static void cut(struct scan *s)
{
    const struct checkpoints *c = &s->t->checkpoints;
    struct moment from = s->o->from;
    unsigned group = s->o->order == SCAN_ALL ? 1 : GROUP, n = 0;

    for (size_t i = 0; i < c->n; i++) {
        struct moment at = {.icount = c->list[i]->icount};

        if (c->list[i]->local || !moment_before(from, at) || ++n < group)
            continue;
        if (!moment_before(at, s->o->to))
            break;
        add(s, from, at);
        from = at;
        n = 0;
    }
    add(s, from, s->o->to);
}

static void reverse(struct scan *s)
{
    for (uint32_t i = 0; i < s->n / 2; i++) {
        struct scan_segment last = s->segments[s->n - 1 - i];

        s->segments[s->n - 1 - i] = s->segments[i];
        s->segments[i] = last;
    }
}

/* The end of the run as far as it is known. */
static uint64_t known_end(const struct timeline *t)
{
    uint64_t end;

    return timeline_length(t, &end) ? end : t->checkpoints.list[t->checkpoints.n - 1]->icount;
}

static void measure(struct scan *s)
{
    uint64_t end = known_end(s->t);

    s->total = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        uint64_t to = s->segments[i].to.icount < end ? s->segments[i].to.icount : end;

        if (to > s->segments[i].from.icount)
            s->total += to - s->segments[i].from.icount;
    }
}

/* --- life cycle --- */

static int plan(struct scan *s)
{
    unsigned jobs = s->o->jobs != 0 ? s->o->jobs : cpus();

    s->segments = malloc((s->t->checkpoints.n + 1) * sizeof(s->segments[0]));
    if (s->segments == NULL)
        return -1;
    cut(s);
    if (s->o->order == SCAN_LAST)
        reverse(s);
    measure(s);
    s->jobs = jobs < SCAN_MAX_JOBS ? jobs : SCAN_MAX_JOBS;
    if (s->jobs > s->n)
        s->jobs = s->n > 0 ? s->n : 1;
    return 0;
}

static int share(struct scan *s)
{
    void *shared;

    s->shared_bytes = sizeof(*s->shared) + s->n * sizeof(s->shared->owner[0]);
    shared = mmap(NULL, s->shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return -1;
    s->shared = shared; /* zeros: nothing cancelled, nothing claimed */
    atomic_store(&s->shared->limit, s->n);
    return 0;
}

static void release(struct scan *s)
{
    free(s->segments);
    if (s->shared != NULL)
        munmap(s->shared, s->shared_bytes);
}

bool scan_prepare(const struct scan *s)
{
    const struct scan_options *o = s->o;

    return (o->confine == NULL || o->confine(o->opaque) == 0) &&
           (o->prepare == NULL || o->prepare(o->opaque) == 0);
}

static enum scan_status run_here(struct scan *s)
{
    struct scan_worker w = {.scan = s, .pipe = -1};

    if (!scan_prepare(s))
        return SCAN_ERROR;
    if (s->n == 0)
        return SCAN_DONE;
    atomic_store(&s->shared->owner[0], 1);
    return scan_worker_run(&w);
}

unsigned scan_jobs(const struct timeline *t, const struct scan_options *o)
{
    struct scan s = {.t = (struct timeline *)t, .o = o};
    unsigned jobs = plan(&s) == 0 ? s.jobs : 1;

    release(&s);
    return jobs;
}

enum scan_status scan_run(struct timeline *t, const struct scan_options *o, char *err, size_t errlen)
{
    struct scan s = {.t = t, .o = o, .err = err, .errlen = errlen};
    enum scan_status status = SCAN_ERROR;

    err[0] = '\0';
    if (o->struct_size != sizeof(*o))
        snprintf(err, errlen, "scan_run: wrong struct_size");
    else if (plan(&s) != 0 || share(&s) != 0)
        snprintf(err, errlen, "out of memory");
    else
        status = s.jobs > 1 ? scan_in_processes(&s) : run_here(&s);
    release(&s);
    return status;
}
