/* SPDX-License-Identifier: MIT */
/*
 * Halving a stretch of a recording until two moments are left, of which one is good and the next is bad. Where only
 * the judge knows whether its ends are, these are judged first, and moved inwards where they are skipped.
 *
 * First over instructions; then over the moments between the two that are left, of which there are several
 * where interrupts and exceptions come (emu/debug.h). Both are halving over numbers, each of which stands for
 * a moment.
 *
 * A place that is skipped is stepped around: others are tried, ever closer together, and where there are few
 * all of them. When all of many were skipped they are taken for one block: its ends are looked for, so that what is
 * left undecided is as short as can be, or that what turns beside the block is found.
 */
#include "bisect.h"

#include <stdlib.h>

#include "cli.h"

#define MAX_SKIPS   16u      /* at one stretch: then it is given up */
#define MAX_MOMENTS 1000000u /* at one instruction: there are 100,000 faults before a guest counts as stuck */

/* Numbers from `good` to `bad`, and what they stand for. */
struct stretch {
    uint64_t good, bad;
    uint64_t skipped_low, skipped_high; /* between them, when all that was tried there was skipped */
    const struct moment *moments; /* NULL: the number is that of instructions */
};

/* The kth number to try between the ends; false: there is no more. */
static bool candidate(const struct stretch *s, unsigned k, uint64_t *n)
{
    uint64_t inside = s->bad - s->good - 1, part = k + 1;
    unsigned bits = 0;

    if (k >= MAX_SKIPS || k >= inside)
        return false;
    if (inside <= MAX_SKIPS) { /* the middle, and its neighbours to both sides */
        uint64_t middle = s->good + (s->bad - s->good) / 2, away = (k + 1) / 2;

        *n = k % 2 == 1 ? middle + away : middle - away;
        return true;
    }
    /* 1/2, 1/4, 3/4, 1/8, 5/8, ...: the bits of k backwards. */
    *n = s->good;
    for (; part != 0; part >>= 1) {
        bits++;
        if (part & 1)
            *n += (s->bad - s->good) >> bits;
    }
    return *n > s->good && *n < s->bad;
}

static unsigned halvings_left(const struct stretch *s)
{
    uint64_t inside = s->bad - s->good;
    unsigned n = 0;

    for (; inside > 1; inside = (inside + 1) / 2)
        n++;
    return n;
}

/* A moment that was judged. */
struct judged {
    struct moment at;
    enum bisect_verdict verdict;
};

/* Goes there, and has it judged; what that does to the machine does not matter. */
static int judge_moment(struct bisect *b, struct moment to, bisect_judge_fn *judge, void *opaque, struct judged *out)
{
    enum timeline_status status = timeline_seek(b->t, to);

    if (status != TIMELINE_THERE && status != TIMELINE_END)
        return bisect_failed(b, status);
    b->probes++;
    out->at = timeline_now(b->t);
    out->verdict = judge(opaque, out->at);
    return out->verdict == VERDICT_STOP ? EXIT_USAGE : EXIT_DONE;
}

/* The same of what a number stands for. */
static int judge_at(struct bisect *b, const struct stretch *s, uint64_t n, bisect_judge_fn *judge, void *opaque,
                    struct judged *out)
{
    struct moment to = s->moments != NULL ? s->moments[n] : (struct moment){.icount = n};

    b->probes_left = halvings_left(s) - 1;
    return judge_moment(b, to, judge, opaque, out);
}

/* The same, and what it says of where it turns. */
static int judge_inside(struct bisect *b, struct stretch *s, uint64_t n, bisect_judge_fn *judge, void *opaque,
                        struct bisect_result *result, enum bisect_verdict *verdict)
{
    struct judged found = {.verdict = VERDICT_STOP};
    int status = judge_at(b, s, n, judge, opaque, &found);

    *verdict = found.verdict;
    if (found.verdict == VERDICT_GOOD) {
        s->good = n;
        result->before = found.at;
    } else if (found.verdict == VERDICT_BAD) {
        s->bad = n;
        result->first = found.at;
    }
    return status;
}

/* One halving, or as many tries as it takes. *all_skipped: none of them could be judged. */
static int halve_once(struct bisect *b, struct stretch *s, bisect_judge_fn *judge, void *opaque,
                      struct bisect_result *result, bool *all_skipped)
{
    enum bisect_verdict verdict = VERDICT_SKIP;
    uint64_t n = 0;
    int status = EXIT_DONE;

    s->skipped_low = s->bad;
    s->skipped_high = s->good;
    for (unsigned k = 0; status == EXIT_DONE && verdict == VERDICT_SKIP; k++) {
        *all_skipped = !candidate(s, k, &n);
        if (*all_skipped)
            return EXIT_DONE;
        status = judge_inside(b, s, n, judge, opaque, result, &verdict);
        s->skipped_low = n < s->skipped_low ? n : s->skipped_low;
        s->skipped_high = n > s->skipped_high ? n : s->skipped_high;
    }
    return status;
}

/* The ends of a block that is skipped, or what turns before or behind it: then *all_skipped is not so. */
static int narrow(struct bisect *b, struct stretch *s, bisect_judge_fn *judge, void *opaque,
                  struct bisect_result *result, bool *all_skipped)
{
    enum bisect_verdict verdict = VERDICT_SKIP;
    int status = EXIT_DONE;

    while (status == EXIT_DONE && verdict != VERDICT_BAD && s->skipped_low - s->good > 1) {
        uint64_t n = s->good + (s->skipped_low - s->good) / 2;

        status = judge_inside(b, s, n, judge, opaque, result, &verdict);
        if (verdict == VERDICT_SKIP)
            s->skipped_low = n;
    }
    *all_skipped = verdict != VERDICT_BAD;
    while (status == EXIT_DONE && *all_skipped && s->bad - s->skipped_high > 1) {
        uint64_t n = s->skipped_high + (s->bad - s->skipped_high) / 2;

        status = judge_inside(b, s, n, judge, opaque, result, &verdict);
        if (verdict == VERDICT_SKIP)
            s->skipped_high = n;
        *all_skipped = verdict != VERDICT_GOOD;
    }
    return status;
}

/* Until there is nothing inside, or nothing that can be judged: BISECT_UNDECIDED. */
static int halve(struct bisect *b, struct stretch *s, bisect_judge_fn *judge, void *opaque,
                 struct bisect_result *result)
{
    bool all_skipped = false;
    int status = EXIT_DONE;

    while (status == EXIT_DONE && !all_skipped && s->bad - s->good > 1) {
        status = halve_once(b, s, judge, opaque, result, &all_skipped);
        if (status == EXIT_DONE && all_skipped)
            status = narrow(b, s, judge, opaque, result, &all_skipped);
    }
    result->answer = all_skipped ? BISECT_UNDECIDED : BISECT_FOUND;
    return status;
}

/* The moments from `before` to `first`, both included. NULL: it has been said why not. */
static struct moment *moments_between(struct bisect *b, const struct bisect_result *r, size_t *n, int *failed)
{
    enum timeline_status status = timeline_seek(b->t, r->before);
    size_t capacity = 0;
    struct moment *list = NULL;

    *n = 0;
    while (status == TIMELINE_THERE || status == TIMELINE_END) {
        if (*n == capacity) {
            struct moment *more;

            capacity = capacity == 0 ? 16 : 2 * capacity;
            more = capacity > MAX_MOMENTS ? NULL : realloc(list, capacity * sizeof(*list));
            if (more == NULL) {
                cli_error("bisect: out of memory");
                *failed = EXIT_USAGE;
                free(list);
                return NULL;
            }
            list = more;
        }
        list[(*n)++] = timeline_now(b->t);
        if (status == TIMELINE_END || !moment_before(timeline_now(b->t), r->first))
            return list;
        status = timeline_step(b->t);
    }
    *failed = bisect_failed(b, status);
    free(list);
    return NULL;
}

int bisect_halve(struct bisect *b, bisect_judge_fn *judge, void *opaque, struct bisect_result *result)
{
    struct stretch s = {.good = result->before.icount, .bad = result->first.icount};
    struct moment *moments;
    size_t n;
    int status = halve(b, &s, judge, opaque, result);

    if (status != EXIT_DONE || result->answer != BISECT_FOUND)
        return status;
    moments = moments_between(b, result, &n, &status);
    if (moments == NULL)
        return status;
    s = (struct stretch){.good = 0, .bad = n - 1, .moments = moments};
    status = halve(b, &s, judge, opaque, result);
    free(moments);
    return status;
}

/* --- where only the judge knows the ends --- */

/* What is known of a stretch of which an end was skipped: low is not bad, high is not good. */
struct ends {
    struct judged low, high;
};

static struct stretch inside(struct moment from, struct moment to)
{
    return (struct stretch){.good = from.icount, .bad = to.icount};
}

/* The first place of those tried between two that is judged as wanted, or in any way where that is SKIP. */
static int look_for(struct bisect *b, struct moment from, struct moment to, enum bisect_verdict wanted,
                    bisect_judge_fn *judge, void *opaque, struct judged *found)
{
    struct stretch s = inside(from, to);
    uint64_t n;
    int status = EXIT_DONE;

    for (unsigned k = 0; status == EXIT_DONE && s.bad - s.good > 1 && candidate(&s, k, &n); k++) {
        struct judged here;

        status = judge_at(b, &s, n, judge, opaque, &here);
        if (status != EXIT_DONE || here.verdict == VERDICT_SKIP ||
            (wanted != VERDICT_SKIP && here.verdict != wanted))
            continue;
        *found = here;
        break;
    }
    return status;
}

/* Skipped places are taken to be at the ends only: first those that are too early to be judged, then the good ones,
 * the bad ones, and those that are too late. */
static int approach(struct bisect *b, struct ends *e, bisect_judge_fn *judge, void *opaque)
{
    int status = EXIT_DONE;

    while (status == EXIT_DONE && (e->low.verdict == VERDICT_SKIP || e->high.verdict == VERDICT_SKIP)) {
        struct stretch s = inside(e->low.at, e->high.at);
        struct judged here;

        if (s.bad - s.good <= 1)
            break;
        status = judge_at(b, &s, s.good + (s.bad - s.good) / 2, judge, opaque, &here);
        if (status != EXIT_DONE)
            break;
        if (here.verdict == VERDICT_GOOD || (here.verdict == VERDICT_SKIP && e->low.verdict == VERDICT_SKIP))
            e->low = here;
        else
            e->high = here;
    }
    return status;
}

/* Ends that were skipped, moved inwards to the first place that was good and one behind it that was bad, if such are
 * found. */
static int move_inwards(struct bisect *b, struct ends *e, bisect_judge_fn *judge, void *opaque)
{
    const struct ends outer = *e;
    int status = EXIT_DONE;

    if (e->low.verdict == VERDICT_SKIP && e->high.verdict == VERDICT_SKIP) {
        struct judged any = {.verdict = VERDICT_SKIP};

        status = look_for(b, e->low.at, e->high.at, VERDICT_SKIP, judge, opaque, &any);
        if (status != EXIT_DONE || any.verdict == VERDICT_SKIP)
            return status;
        *(any.verdict == VERDICT_GOOD ? &e->low : &e->high) = any;
    }
    status = approach(b, e, judge, opaque);
    if (status == EXIT_DONE && e->low.verdict == VERDICT_SKIP)
        status = look_for(b, outer.low.at, e->low.at, VERDICT_GOOD, judge, opaque, &e->low);
    if (status == EXIT_DONE && e->high.verdict == VERDICT_SKIP)
        status = look_for(b, e->high.at, outer.high.at, VERDICT_BAD, judge, opaque, &e->high);
    return status;
}

int bisect_judged(struct bisect *b, bisect_judge_fn *judge, void *opaque, struct bisect_result *result)
{
    struct ends e = {0};
    int status = bisect_go_to_begin(b);
    uint64_t end;

    *result = (struct bisect_result){.answer = BISECT_AT_BEGIN};
    if (!timeline_length(b->t, &end) || end > b->args->to.icount)
        end = b->args->to.icount;
    b->probes_left = halvings_left(&(struct stretch){.good = b->args->from.icount, .bad = end}) + 1;
    if (status == EXIT_DONE)
        status = judge_moment(b, b->args->from, judge, opaque, &e.low);
    result->first = e.low.at;
    if (status != EXIT_DONE || e.low.verdict == VERDICT_BAD)
        return status;
    status = judge_moment(b, b->args->to, judge, opaque, &e.high);
    if (status == EXIT_DONE && (e.low.verdict == VERDICT_SKIP || e.high.verdict == VERDICT_SKIP) &&
        e.high.verdict != VERDICT_GOOD)
        status = move_inwards(b, &e, judge, opaque);
    *result = (struct bisect_result){.answer = e.high.verdict == VERDICT_GOOD ? BISECT_NEVER : BISECT_UNDECIDED,
                                     .before = e.low.at,
                                     .first = e.high.at,
                                     .never_good = e.low.verdict == VERDICT_SKIP,
                                     .never_bad = e.high.verdict == VERDICT_SKIP};
    if (status != EXIT_DONE || e.low.verdict != VERDICT_GOOD || e.high.verdict != VERDICT_BAD)
        return status;
    return bisect_halve(b, judge, opaque, result);
}
