/* SPDX-License-Identifier: MIT */
/*
 * `deja bisect --when EXPR --first-ever`: the first moment of any condition, by looking at all of them, in parallel
 * over the stretches between checkpoints.
 *
 * What can change a condition decides how: one of registers or time is asked in every moment; one of memory, control
 * registers, privilege and output only when something that it depends on has changed (reach.h), at full speed
 * between. A condition that lasts by its form needs no scan.
 */
#include "bisect.h"

#include <string.h>

#include <emu/inspect.h>
#include <replay/expr.h>
#include <replay/scan.h>

#include "cli.h"
#include "condition.h"
#include "console_term.h"
#include "progress.h"
#include "reach.h"
#include "sandbox.h"

struct ever {
    struct bisect *b;
    bool found;
    struct moment first;
    /* of a worker */
    bool every_moment; /* nothing less will do, in this segment */
    struct reach reach;
};

/* --- in a worker: asking in every moment --- */

static bool holds_here(void *opaque, struct moment at)
{
    const struct ever *e = opaque;

    (void)at;
    return condition_holds(e->b->when);
}

static enum timeline_status ask_every_moment(struct ever *e, struct scan_worker *w, const struct scan_segment *s)
{
    machine_inspect(e->b->m, &(struct machine_inspector){
                                 .what = INSPECT_EVERY, .look = holds_here, .opaque = e});
    return scan_advance(w, s->to);
}

/* --- in a worker: asking after changes --- */

/* Control state has changed, which is all that the inspector is told of. */
static bool always(void *opaque, struct moment at)
{
    (void)opaque, (void)at;
    return true;
}

/* Asks, and watches what the answer depends on. */
static bool ask_and_watch(struct ever *e)
{
    struct machine *m = e->b->m;
    struct reach now;
    bool holds = reach_look(&now, e->b->when, m);

    if (!reach_is_same(&now, &e->reach)) {
        machine_debug_clear(m);
        for (size_t i = 0; i < now.n; i++)
            if (machine_debug_insert(m, &now.points[i]) != 0)
                now.beyond = true;
        e->reach = now;
    }
    e->every_moment = now.beyond;
    return holds;
}

/* HIT: it holds. THERE, before the segment's end: every_moment has become true. */
static enum timeline_status ask_after_changes(struct ever *e, struct scan_worker *w, const struct scan_segment *s)
{
    struct bisect *b = e->b;
    enum timeline_status status = TIMELINE_HIT;

    e->reach.n = 0;
    machine_inspect(b->m, &(struct machine_inspector){.what = INSPECT_CONTROL, .look = always});
    while (status == TIMELINE_HIT || (status == TIMELINE_THERE && moment_before(timeline_now(b->t), s->to))) {
        uint64_t seen = condition_next_seen(b->when, timeline_now(b->t).icount);

        if (ask_and_watch(e))
            return TIMELINE_HIT;
        if (e->every_moment)
            return TIMELINE_THERE;
        status = scan_advance(w, seen < s->to.icount ? (struct moment){.icount = seen} : s->to);
    }
    return status;
}

/* --- in a worker: a segment --- */

static enum timeline_status run(void *opaque, struct scan_worker *w, const struct scan_segment *s)
{
    const unsigned fine = EXPR_USES_REGISTERS | EXPR_USES_TIME;
    struct ever *e = opaque;
    enum timeline_status status = TIMELINE_THERE;
    struct moment now;

    e->every_moment = (expr_uses(condition_expr(e->b->when)) & fine) != 0;
    if (!e->every_moment)
        status = ask_after_changes(e, w, s);
    machine_debug_clear(e->b->m);
    if (status == TIMELINE_THERE && e->every_moment)
        status = ask_every_moment(e, w, s);
    machine_inspect(e->b->m, NULL);
    now = timeline_now(e->b->t);
    if (status != TIMELINE_HIT && !(status == TIMELINE_END && condition_holds(e->b->when)))
        return status;
    if (moment_before(now, s->to))
        scan_emit(w, &now, sizeof(now));
    return status == TIMELINE_HIT ? TIMELINE_THERE : status;
}

/* --- in this process --- */

static bool record(void *opaque, const void *data, size_t len)
{
    struct ever *e = opaque;

    e->found = len == sizeof(e->first);
    memcpy(&e->first, data, sizeof(e->first));
    return false;
}

static int confine(void *opaque)
{
    const struct ever *e = opaque;

    return e->b->args->no_sandbox ? 0 : sandbox_enter();
}

static bool interrupted(void *opaque)
{
    (void)opaque;
    return term_stop_asked();
}

static int settle(struct bisect *b, const struct ever *e, struct bisect_result *r)
{
    enum timeline_status status;

    *r = (struct bisect_result){.answer = e->found ? BISECT_FOUND : BISECT_NEVER, .first = e->first};
    if (!e->found)
        return EXIT_DONE;
    if (!moment_before(b->args->from, e->first)) {
        r->answer = BISECT_AT_BEGIN;
        return EXIT_DONE;
    }
    status = timeline_seek(b->t, e->first);
    if (status == TIMELINE_THERE || status == TIMELINE_END)
        status = timeline_step_back(b->t);
    if (status != TIMELINE_THERE)
        return bisect_failed(b, status);
    r->before = timeline_now(b->t);
    return EXIT_DONE;
}

static int scan(struct bisect *b, struct bisect_result *result)
{
    struct ever e = {.b = b};
    struct scan_options o = {.struct_size = sizeof(o),
                             .jobs = (unsigned)b->args->jobs,
                             .order = SCAN_FIRST,
                             .from = b->args->from,
                             .to = b->args->to,
                             .confine = confine,
                             .run = run,
                             .record = record,
                             .interrupted = interrupted,
                             .progress = progress_show,
                             .what = "asking at every moment",
                             .opaque = &e};
    char err[768] = "";
    enum scan_status status;

    if (o.to.icount != UINT64_MAX)
        o.to.entries++; /* --between has both ends in it */
    status = scan_run(b->t, &o, err, sizeof(err));
    progress_end();
    switch (status) {
    case SCAN_DONE:
    case SCAN_ENOUGH: return settle(b, &e, result);
    case SCAN_INTERRUPTED: cli_error("bisect: interrupted"); return EXIT_USAGE;
    case SCAN_DIVERGED: cli_error("%s", err); return EXIT_NO;
    case SCAN_ERROR: break;
    }
    cli_error("bisect: %s", err);
    return EXIT_USAGE;
}

int bisect_first_ever(struct bisect *b, struct bisect_result *result)
{
    int status;

    if (!expr_is_lasting(condition_expr(b->when))) {
        status = bisect_output_known(b);
        return status == EXIT_DONE ? scan(b, result) : status;
    }
    status = b->args->no_sandbox ? EXIT_DONE : sandbox_enter();
    return status == EXIT_DONE ? bisect_lasting(b, result) : status;
}
