/* SPDX-License-Identifier: MIT */
/*
 * Moving both machines of a comparison, and searching a property's first moment: diff_internal.h.
 *
 * A search goes in three steps: move by move for a while, since what a difference does first it does soon; then in
 * growing strides, of which the longest costs about as much as the digest that a replay checks on its way anyway;
 * then, within the stride that has it, by halving. Going back costs little: timelines leave checkpoints behind.
 */
#include "diff_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emu/cpu.h>
#include <emu/registers.h>
#include <replay/state_diff.h>

#define MAX_STRIDE  (1ULL << 24)
#define CHUNK       65536u  /* moves of each side that are noted before they are compared */
#define MAX_ENTRIES 100000u /* into handlers at one icount: a CPU gives up before */
#define MAX_POWERS  19u     /* of ten, in 64 bits */

/* --- moving --- */

bool diff_stopped(const struct diff *d)
{
    return d->interrupted || d->error[0] != '\0';
}

static void note_divergence(struct diff *d, unsigned side)
{
    const struct player_divergence *of = player_divergence(timeline_player(d->pair.t[side]));
    struct diff_result *r = &d->result;
    uint64_t last;

    if (!r->diverged[side] || of->icount < r->divergence[side].icount)
        r->divergence[side] = *of;
    r->diverged[side] = true;
    last = r->divergence[side].icount > 0 ? r->divergence[side].icount - 1 : 0;
    if (last < d->limit)
        d->limit = last;
}

/* True: the move went well. */
static bool judge(struct diff *d)
{
    bool good = true;

    for (unsigned side = 0; side < 2; side++) {
        switch (d->pair.status[side]) {
        case TIMELINE_THERE:
        case TIMELINE_END: continue;
        case TIMELINE_INTERRUPTED: d->interrupted = true; break;
        case TIMELINE_DIVERGED: note_divergence(d, side); break;
        default:
            snprintf(d->error, sizeof(d->error), "%s", timeline_error(d->pair.t[side]));
            break;
        }
        good = false;
    }
    return good;
}

static uint64_t rear_icount(const struct diff *d)
{
    uint64_t a = timeline_now(d->pair.t[0]).icount, b = timeline_now(d->pair.t[1]).icount;

    return a < b ? a : b;
}

bool diff_go(struct diff *d, struct moment to)
{
    if (to.icount > d->limit)
        return false;
    pair_seek(&d->pair, to);
    return judge(d);
}

static bool step(struct diff *d)
{
    pair_step(&d->pair);
    return judge(d);
}

/* --- properties --- */

static bool flow_differs(const struct diff *d)
{
    struct timeline *const *t = d->pair.t;

    return !moment_equal(timeline_now(t[0]), timeline_now(t[1])) ||
           cpu_linear_rip(&d->pair.m[0]->cpus[0]) != cpu_linear_rip(&d->pair.m[1]->cpus[0]);
}

/* Fills in d->counts. False: diff_stopped(). */
static bool compare_states(struct diff *d)
{
    if (state_diff_update(d->state, &d->counts) != 0)
        snprintf(d->error, sizeof(d->error), "out of memory");
    return !diff_stopped(d);
}

bool diff_holds(struct diff *d, const struct diff_search *s)
{
    if (diff_stopped(d))
        return false;
    if (s->flow)
        return flow_differs(d);
    if (!compare_states(d))
        return false;
    return !moment_equal(timeline_now(d->pair.t[0]), timeline_now(d->pair.t[1])) ||
           d->counts.places != s->places;
}

/* --- rows --- */

/* Rows are at powers of ten after the first difference, and one at the end; UINT64_MAX: there are no more. */
static uint64_t next_row(const struct diff *d)
{
    uint64_t after = 1;

    if (d->base_icount == UINT64_MAX || d->result.nrows > MAX_POWERS)
        return UINT64_MAX;
    for (size_t i = 0; i < d->result.nrows; i++)
        after *= 10;
    return after > UINT64_MAX - d->base_icount ? UINT64_MAX : d->base_icount + after;
}

static bool add_row(struct diff *d, uint64_t icount)
{
    struct diff_row *row = &d->result.rows[d->result.nrows];

    if (d->result.nrows == DIFF_ROWS || !compare_states(d))
        return false;
    *row = (struct diff_row){.after = icount - d->base_icount, .icount = icount, .counts = d->counts};
    row->bytes = state_diff_bytes(d->state);
    for (unsigned side = 0; side < 2; side++)
        row->rip[side] = cpu_linear_rip(&d->pair.m[side]->cpus[0]);
    d->result.nrows++;
    return true;
}

void diff_fill_rows(struct diff *d, uint64_t icount)
{
    const struct diff_result *r = &d->result;
    uint64_t row;

    while ((row = next_row(d)) <= icount && diff_go(d, (struct moment){.icount = row}) && add_row(d, row))
        ;
    if (row > d->limit && icount >= d->limit && (r->nrows == 0 || r->rows[r->nrows - 1].icount < d->limit) &&
        diff_go(d, (struct moment){.icount = d->limit}))
        add_row(d, d->limit);
}

/* --- move by move --- */

/* Each move compared as a whole. False: not found within the window; both stand behind it. */
static bool walk(struct diff *d, const struct diff_search *s, uint64_t window, struct moment *before)
{
    struct moment at = timeline_now(d->pair.t[0]);

    for (uint64_t i = 0; i < window && at.icount < d->limit; i++) {
        if (!step(d))
            return false;
        if (diff_holds(d, s)) {
            *before = at;
            return true;
        }
        if (moment_equal(at, timeline_now(d->pair.t[0])))
            return false; /* the end */
        at = timeline_now(d->pair.t[0]);
    }
    return false;
}

/* Moves of one side. */
struct track {
    struct moment at[CHUNK]; /* before each, */
    uint64_t rip[CHUNK];     /* and the instruction there */
    size_t n;
};

struct tracks {
    struct diff *d;
    struct track side[2];
    uint64_t limit;
};

static void follow(void *ctx, unsigned side)
{
    struct tracks *tracks = ctx;
    struct track *track = &tracks->side[side];
    struct pair *p = &tracks->d->pair;

    p->status[side] = TIMELINE_THERE;
    for (track->n = 0; track->n < CHUNK && p->status[side] == TIMELINE_THERE; track->n++) {
        track->at[track->n] = timeline_now(p->t[side]);
        track->rip[track->n] = cpu_linear_rip(&p->m[side]->cpus[0]);
        if (track->at[track->n].icount >= tracks->limit)
            break;
        p->status[side] = timeline_step(p->t[side]);
    }
}

/* How many moves were the same. */
static size_t count_common(const struct tracks *tracks)
{
    const struct track *a = &tracks->side[0], *b = &tracks->side[1];
    size_t i = 0;

    while (i < a->n && i < b->n && moment_equal(a->at[i], b->at[i]) && a->rip[i] == b->rip[i])
        i++;
    return i;
}

/* One chunk. 1: they parted, 0: they did not, -1: the end of the way. *before: the last moment in common. */
static int follow_chunk(struct diff *d, struct tracks *tracks, struct moment *before)
{
    size_t common;
    bool good;

    tracks->limit = d->limit;
    pair_both(&d->pair, follow, tracks);
    common = count_common(tracks);
    if (common > 0)
        *before = tracks->side[0].at[common - 1];
    if (common < tracks->side[0].n && common < tracks->side[1].n)
        return 1;
    good = judge(d);
    if (good && flow_differs(d))
        return 1;
    return good && d->pair.status[0] == TIMELINE_THERE && tracks->side[0].n == CHUNK ? 0 : -1;
}

/* The same for the control flow alone: both sides run by themselves for a while, then their ways are compared. */
static bool walk_flow(struct diff *d, uint64_t window, struct moment *before)
{
    struct tracks *tracks = malloc(sizeof(*tracks));
    int parted = 0;

    if (tracks == NULL) {
        snprintf(d->error, sizeof(d->error), "out of memory");
        return false;
    }
    tracks->d = d;
    for (uint64_t done = 0; done < window && parted == 0; done += CHUNK)
        parted = follow_chunk(d, tracks, before);
    free(tracks);
    return parted > 0 && before->icount <= d->limit;
}

/* --- by strides, and by halving --- */

bool diff_find_within(struct diff *d, const struct diff_search *s, uint64_t from, uint64_t to,
                      struct moment *before)
{
    while (to - from > 1) {
        uint64_t mid = from + (to - from) / 2;

        if (!diff_go(d, (struct moment){.icount = mid}))
            return false;
        if (diff_holds(d, s))
            to = mid;
        else
            from = mid;
    }
    return diff_go(d, (struct moment){.icount = from}) && walk(d, s, MAX_ENTRIES, before);
}

/* Where both stand it does not hold. False: nor does it anywhere up to the limit. */
static bool stride(struct diff *d, const struct diff_search *s, uint64_t *from, uint64_t *to)
{
    uint64_t length = 1, row;

    for (*from = rear_icount(d); *from < d->limit && !diff_stopped(d);) {
        *to = d->limit - *from < length ? d->limit : *from + length;
        row = next_row(d);
        if (row > *from && row < *to)
            *to = row;
        if (!diff_go(d, (struct moment){.icount = *to}))
            continue; /* to a limit that is nearer now, if to anything */
        if (*to == row)
            add_row(d, row);
        if (diff_holds(d, s))
            return true;
        *from = *to;
        length = length < MAX_STRIDE ? 2 * length : MAX_STRIDE;
    }
    return false;
}

bool diff_find(struct diff *d, const struct diff_search *s, struct moment from, uint64_t window,
               struct moment *before, bool *exact)
{
    uint64_t to, last;

    *before = from;
    *exact = true;
    if (!diff_go(d, from))
        return false;
    if (s->flow ? walk_flow(d, window, before) : walk(d, s, window, before))
        return true;
    *exact = false;
    return !diff_stopped(d) && stride(d, s, &last, &to) && diff_find_within(d, s, last, to, before);
}
