/* SPDX-License-Identifier: MIT */
/*
 * `deja bisect --when`: the first moment of a condition that stays true once it is.
 *
 * Where there are no checkpoints yet the run goes forward and leaves some, and the condition is asked at
 * every slice of it, which costs next to nothing: it stops at the first slice at whose end the condition
 * holds. Where there are checkpoints the condition is asked at them, halving, and then in the one stretch
 * that is left. What remains is a slice, which is halved to the moment.
 *
 * A condition that does not last is noticed where it does not hold at the end; then every checkpoint is
 * asked, so that "never" is not said too soon.
 */
#include "bisect.h"

#include <stdlib.h>

#include "cli.h"
#include "condition.h"
#include "console_term.h"
#include "guest_symbols.h"

/* --- asking --- */

static bool ask(struct bisect *b)
{
    b->probes++;
    return condition_holds(b->when);
}

bool bisect_interrupted(void *opaque)
{
    struct bisect *b = opaque;

    if (b->watching) {
        b->found = ask(b);
        if (b->found)
            return true;
        b->last_false = timeline_now(b->t);
    }
    return term_stop_asked();
}

/* Forward from where it does not hold to where it does, or to `to`: b->found. */
static enum timeline_status run_until(struct bisect *b, struct moment to)
{
    enum timeline_status status;

    b->last_false = timeline_now(b->t);
    b->found = false;
    b->watching = true;
    status = timeline_run_forward(b->t, to);
    b->watching = false;
    if (status == TIMELINE_INTERRUPTED && b->found)
        return TIMELINE_THERE;
    if (!b->found && (status == TIMELINE_THERE || status == TIMELINE_END))
        b->found = ask(b);
    return status;
}

static enum bisect_verdict judge(void *opaque, struct moment at)
{
    struct bisect *b = opaque;

    (void)at;
    return condition_holds(b->when) ? VERDICT_BAD : VERDICT_GOOD;
}

/* --- checkpoints --- */

struct places {
    uint64_t *icounts;
    size_t n;
};

/* The checkpoints behind `from` and before `to`. False: out of memory. */
static bool checkpoints_inside(const struct bisect *b, struct places *p)
{
    const struct bisect_args *a = b->args;
    size_t count = timeline_checkpoints(b->t).count, pages;

    *p = (struct places){.icounts = calloc(count + 1, sizeof(*p->icounts))};
    for (size_t i = 0; i < count && p->icounts != NULL; i++)
        if (timeline_checkpoint_at(b->t, i, &p->icounts[p->n], &pages) &&
            p->icounts[p->n] > a->from.icount && p->icounts[p->n] < a->to.icount)
            p->n++;
    return p->icounts != NULL;
}

/* Goes there and asks. */
static enum timeline_status ask_at(struct bisect *b, uint64_t icount, bool *holds)
{
    enum timeline_status status = timeline_seek(b->t, (struct moment){.icount = icount});

    *holds = false;
    if (status == TIMELINE_THERE || status == TIMELINE_END)
        *holds = ask(b);
    return status == TIMELINE_END ? TIMELINE_THERE : status;
}

/* It holds at the last of them. Leaves before and first next to each other in the list. */
static enum timeline_status halve_checkpoints(struct bisect *b, const struct places *p,
                                              struct bisect_result *r)
{
    size_t good = 0, bad = p->n; /* how many are known not to hold from the left; number of one that does, + 1 */
    enum timeline_status status = TIMELINE_THERE;
    bool holds;

    while (status == TIMELINE_THERE && bad - good > 1) {
        size_t mid = good + (bad - good) / 2;

        status = ask_at(b, p->icounts[mid - 1], &holds);
        *(holds ? &bad : &good) = mid;
        *(holds ? &r->first : &r->before) = timeline_now(b->t);
    }
    return status;
}

/* It does not hold at the end. Did it anywhere? */
static enum timeline_status ask_everywhere(struct bisect *b, const struct places *p, struct bisect_result *r)
{
    enum timeline_status status = TIMELINE_THERE;
    bool holds = false;

    r->answer = BISECT_NEVER;
    for (size_t i = 0; i < p->n && status == TIMELINE_THERE && !holds; i++) {
        status = ask_at(b, p->icounts[i], &holds);
        if (!holds)
            continue;
        r->answer = BISECT_NOT_LASTING;
        r->first = timeline_now(b->t);
    }
    return status;
}

/* --- the search --- */

/* The stretch in which it begins to hold, as short as running forward once makes it. */
static enum timeline_status find_stretch(struct bisect *b, const struct places *p, struct bisect_result *r)
{
    enum timeline_status status = TIMELINE_THERE;
    bool last_holds = false;

    if (p->n > 0) {
        status = ask_at(b, p->icounts[p->n - 1], &last_holds);
        *(last_holds ? &r->first : &r->before) = timeline_now(b->t);
    }
    if (status == TIMELINE_THERE && last_holds) {
        status = halve_checkpoints(b, p, r);
        if (status == TIMELINE_THERE)
            status = timeline_seek(b->t, r->before);
    }
    if (status == TIMELINE_THERE)
        status = run_until(b, last_holds ? r->first : b->args->to);
    if (status != TIMELINE_THERE && status != TIMELINE_END)
        return status;
    if (!b->found)
        return ask_everywhere(b, p, r);
    r->answer = BISECT_FOUND;
    r->before = b->last_false;
    r->first = timeline_now(b->t);
    return TIMELINE_THERE;
}

static int search(struct bisect *b, const struct places *p, struct bisect_result *r)
{
    enum timeline_status status = find_stretch(b, p, r);

    if (status != TIMELINE_THERE)
        return bisect_failed(b, status);
    if (r->answer != BISECT_FOUND)
        return bisect_output_known(b);
    return bisect_halve(b, judge, b, r);
}

int bisect_go_to_begin(struct bisect *b)
{
    enum timeline_status status = timeline_seek(b->t, b->args->from);

    if (status == TIMELINE_THERE)
        return EXIT_DONE;
    if (status != TIMELINE_END)
        return bisect_failed(b, status);
    cli_error("bisect: --between begins where the recording ends, or behind");
    return EXIT_USAGE;
}

int bisect_lasting(struct bisect *b, struct bisect_result *result)
{
    struct places p;
    int rc;

    *result = (struct bisect_result){.answer = BISECT_AT_BEGIN};
    if (!checkpoints_inside(b, &p)) {
        cli_error("bisect: out of memory");
        return EXIT_USAGE;
    }
    rc = bisect_go_to_begin(b);
    result->before = result->first = timeline_now(b->t);
    if (rc == EXIT_DONE && !ask(b))
        rc = search(b, &p, result);
    free(p.icounts);
    return rc;
}
