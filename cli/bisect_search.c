/* SPDX-License-Identifier: MIT */
/*
 * Halving a stretch of a recording until two moments are left, of which one is good and the next is bad.
 *
 * First over instructions; then over the moments between the two that are left, of which there are several
 * where interrupts and exceptions come (emu/debug.h). Both are halving over numbers, each of which stands for
 * a moment.
 *
 * A place that is skipped is stepped around: others are tried, ever closer together, and where there are few
 * all of them.
 */
#include "bisect.h"

#include <stdlib.h>

#include "cli.h"

#define MAX_SKIPS   16u      /* at one stretch: then it is given up */
#define MAX_MOMENTS 1000000u /* at one instruction: there are 100,000 faults before a guest counts as stuck */

/* Numbers from `good` to `bad`, and what they stand for. */
struct stretch {
    uint64_t good, bad;
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

/* Goes to what a number stands for, and has it judged. */
static int judge_at(struct bisect *b, const struct stretch *s, uint64_t n, bisect_judge_fn *judge, void *opaque,
                    enum bisect_verdict *verdict)
{
    struct moment to = s->moments != NULL ? s->moments[n] : (struct moment){.icount = n};
    enum timeline_status status = timeline_seek(b->t, to);

    if (status != TIMELINE_THERE && status != TIMELINE_END)
        return bisect_failed(b, status);
    b->probes++;
    b->probes_left = halvings_left(s) - 1;
    *verdict = judge(opaque, timeline_now(b->t));
    return *verdict == VERDICT_STOP ? EXIT_USAGE : EXIT_DONE;
}

/* One halving, or as many tries as it takes. *all_skipped: no place inside can be judged. */
static int halve_once(struct bisect *b, struct stretch *s, bisect_judge_fn *judge, void *opaque,
                      struct bisect_result *result, bool *all_skipped)
{
    enum bisect_verdict verdict = VERDICT_SKIP;
    uint64_t n = 0;
    int status;

    for (unsigned k = 0; verdict == VERDICT_SKIP; k++) {
        *all_skipped = !candidate(s, k, &n);
        if (*all_skipped)
            return EXIT_DONE;
        status = judge_at(b, s, n, judge, opaque, &verdict);
        if (status != EXIT_DONE)
            return status;
    }
    if (verdict == VERDICT_GOOD) {
        s->good = n;
        result->before = timeline_now(b->t);
    } else {
        s->bad = n;
        result->first = timeline_now(b->t);
    }
    return EXIT_DONE;
}

/* Until there is nothing inside, or nothing that can be judged: BISECT_UNDECIDED. */
static int halve(struct bisect *b, struct stretch *s, bisect_judge_fn *judge, void *opaque,
                 struct bisect_result *result)
{
    bool all_skipped = false;
    int status = EXIT_DONE;

    while (status == EXIT_DONE && !all_skipped && s->bad - s->good > 1)
        status = halve_once(b, s, judge, opaque, result, &all_skipped);
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
