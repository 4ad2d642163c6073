/* SPDX-License-Identifier: MIT */
/*
 * Going backwards: the stretches between checkpoints, the last one first, are each run forward with the
 * points armed, and the last hit before here is gone to.
 */
#include "timeline_internal.h"

#include <stdlib.h>

/* What a stretch that was run forward has shown. */
struct scan {
    struct moment before;   /* hits at or after this moment do not count */
    bool found;
    struct debug_hit hit;   /* the last that counts */
};

static void look_at_hits(struct timeline *t, struct scan *s)
{
    size_t n;
    const struct debug_hit *hits = machine_debug_hits(t->m, &n);

    for (size_t i = 0; i < n; i++) {
        if (!moment_before(hits[i].at, s->before))
            continue;
        if (t->accept != NULL && !t->accept(t->accept_opaque, &hits[i]))
            continue;
        s->found = true;
        s->hit = hits[i];
    }
}

/* Runs from here to s->before with everything armed. THERE, or what went wrong. */
static enum timeline_status scan_forward(struct timeline *t, struct scan *s)
{
    enum timeline_status status;

    timeline_arm(t, ARM_ALL, false);
    for (;;) {
        status = timeline_advance(t, s->before, TO_SCAN);
        if (status != TIMELINE_HIT)
            break;
        look_at_hits(t, s);
        machine_debug_ignore(t->m);
    }
    timeline_arm(t, ARM_NONE, false);
    /* The last instruction before the end of the recording may be the one. */
    return status == TIMELINE_END ? TIMELINE_THERE : status;
}

static enum timeline_status go_to_hit(struct timeline *t, const struct scan *s)
{
    enum timeline_status status = timeline_seek(t, s->hit.at);

    t->hit = s->hit;
    return status == TIMELINE_THERE ? TIMELINE_HIT : status;
}

/* All stretches before `from`, the last first. */
static enum timeline_status scan_back(struct timeline *t, struct moment from)
{
    struct scan s = {.before = from};
    enum timeline_status status;

    t->work = "searching backwards";
    t->work_done = 0;
    t->work_total = from.icount;
    while (s.before.icount > 0 || s.before.entries > 0) {
        uint64_t below = s.before.entries > 0 ? s.before.icount : s.before.icount - 1;
        struct checkpoint *cp = checkpoints_before(&t->checkpoints, below);
        uint64_t start = cp->icount; /* it may be thinned out while the stretch is run */

        status = timeline_restore(t, cp);
        if (status == TIMELINE_THERE)
            status = scan_forward(t, &s);
        if (status != TIMELINE_THERE)
            return status;
        if (s.found)
            return go_to_hit(t, &s);
        s.before = (struct moment){.icount = start};
    }
    status = timeline_seek(t, (struct moment){.icount = 0});
    return status == TIMELINE_THERE ? TIMELINE_BEGIN : status;
}

/* An interrupted search leaves the user where he was. */
static enum timeline_status search_back(struct timeline *t)
{
    enum timeline_status status = timeline_leave_branch(t);
    struct moment from = timeline_now(t);

    if (status == TIMELINE_THERE)
        status = scan_back(t, from);
    t->work = NULL;
    if (status == TIMELINE_INTERRUPTED) {
        bool (*asked)(void *opaque) = t->options.interrupted;

        t->options.interrupted = NULL;
        status = timeline_seek(t, from);
        t->options.interrupted = asked;
        if (status == TIMELINE_THERE || status == TIMELINE_END)
            status = TIMELINE_INTERRUPTED;
    }
    return status;
}

enum timeline_status timeline_run_back(struct timeline *t)
{
    return search_back(t);
}

enum timeline_status timeline_last_write(struct timeline *t, uint64_t gpa, uint64_t len)
{
    struct debug_point watch = {.kind = DEBUG_WRITE_PHYSICAL, .address = gpa, .length = len};
    struct debug_point *points = t->points;
    size_t npoints = t->npoints;
    timeline_accept_fn *accept = t->accept;
    enum timeline_status status;

    t->points = &watch;
    t->npoints = 1;
    t->accept = NULL;
    status = search_back(t);
    t->points = points;
    t->npoints = npoints;
    t->accept = accept;
    return status;
}

/* --- one moment back --- */

/* Steps from here until `now` would be reached or passed; *last is the last moment before it. */
static enum timeline_status step_up_to(struct timeline *t, struct moment now, struct moment *last)
{
    enum timeline_status status = TIMELINE_THERE;

    while (status == TIMELINE_THERE && moment_before(timeline_now(t), now)) {
        struct moment next = *last = timeline_now(t);

        next.entries++;
        status = timeline_advance(t, next, TO_RUN);
    }
    /* The end of the recording is what `now` was. */
    return status == TIMELINE_END ? TIMELINE_THERE : status;
}

enum timeline_status timeline_step_back(struct timeline *t)
{
    enum timeline_status status = timeline_leave_branch(t);
    struct moment now = timeline_now(t), last = now, from;

    if (status != TIMELINE_THERE && status != TIMELINE_END)
        return status;
    if (now.icount == 0 && now.entries == 0)
        return TIMELINE_BEGIN;
    /* An entry at this icount may have no moment of its own before it (a trap after its instruction):
     * then the one before is further back. */
    from = (struct moment){.icount = now.entries > 0 ? now.icount : now.icount - 1};
    status = timeline_seek(t, from);
    if (status == TIMELINE_THERE && !moment_before(timeline_now(t), now) && now.icount > 0)
        status = timeline_seek(t, (struct moment){.icount = now.icount - 1});
    if (status != TIMELINE_THERE)
        return status;
    if (machine_moment(t->m).entries == 0 && !t->options.no_checkpoints)
        checkpoints_take(&t->checkpoints, true);
    status = step_up_to(t, now, &last);
    if (status != TIMELINE_THERE)
        return status;
    return timeline_seek(t, last);
}
