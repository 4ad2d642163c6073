/* SPDX-License-Identifier: MIT */
/*
 * A worker of a scan: claims segments, runs them, and writes what it finds to its pipe, or hands it over when
 * there is only this process.
 *
 * Invariants: 1. A segment is run by the one who set its owner. 2. Frames of a segment are followed by its
 * THROUGH before those of another. 3. The first segment that is not through is somebody's, or will be claimed
 * by a worker that has nothing left to write.
 */
#include "scan_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUT_BYTES   65536u
#define WORTH_HELP  50000000u /* instructions: going back to a checkpoint costs about as much as running a third */
#define ASK_EVERY   64u  /* hits between two questions whether to go on */

/* --- claiming --- */

static bool claim(struct scan_worker *w, uint32_t place)
{
    uint_fast16_t nobody = 0;

    return atomic_compare_exchange_strong(&w->scan->shared->owner[place], &nobody, w->number + 1);
}

static bool is_free(const struct scan *s, uint32_t place)
{
    return atomic_load_explicit(&s->shared->owner[place], memory_order_relaxed) == 0;
}

/* In the longest stretch that nobody has begun: its middle, since whoever runs towards it goes on into it. False:
 * there is none that is worth it. */
static bool farthest_from_others(const struct scan *s, uint32_t *place)
{
    uint32_t best = 0, best_len = 0;

    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t begin = i;

        while (i < s->n && is_free(s, i))
            i++;
        if (i - begin > best_len) {
            best = begin;
            best_len = i - begin;
        }
    }
    *place = best + best_len / 2;
    return best_len > 0 && s->segments[best + best_len - 1].to.icount - s->segments[best].from.icount >= WORTH_HELP;
}

static bool first_free(const struct scan *s, uint32_t *place)
{
    for (*place = 0; *place < s->n; ++*place)
        if (is_free(s, *place))
            return true;
    return false;
}

/* The next segment to run, now this worker's. */
static bool claim_next(struct scan_worker *w)
{
    const struct scan *s = w->scan;
    uint32_t place;

    if (s->o->order == SCAN_ALL && w->place + 1 < s->n && claim(w, w->place + 1)) {
        w->place++;
        return true;
    }
    while (s->o->order == SCAN_ALL ? farthest_from_others(s, &place) : first_free(s, &place)) {
        if (place > atomic_load(&s->shared->limit))
            return false;
        if (claim(w, place)) {
            w->place = place;
            return true;
        }
    }
    return false;
}

/* --- what it says --- */

static void flush(struct scan_worker *w)
{
    size_t done = 0;

    while (done < w->nout && !w->lost) {
        ssize_t n = write(w->pipe, w->out + done, w->nout - done);

        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            w->lost = true;
    }
    w->nout = 0;
}

static void put(struct scan_worker *w, const void *data, size_t len)
{
    const uint8_t *from = data;

    while (len > 0) {
        size_t n = OUT_BYTES - w->nout < len ? OUT_BYTES - w->nout : len;

        memcpy(w->out + w->nout, from, n);
        w->nout += n;
        from += n;
        len -= n;
        if (w->nout == OUT_BYTES)
            flush(w);
    }
}

static void say(struct scan_worker *w, enum scan_frame_kind kind, const void *data, size_t len)
{
    struct scan_frame frame = {.kind = kind, .place = w->place, .len = (uint32_t)len};

    put(w, &frame, sizeof(frame));
    put(w, data, len);
}

/* Places behind this one are not wanted any more. */
static void limit_to(struct scan *s, uint32_t place)
{
    uint_fast32_t limit = atomic_load(&s->shared->limit);

    while (place < limit && !atomic_compare_exchange_weak(&s->shared->limit, &limit, place))
        ;
}

bool scan_emit(struct scan_worker *w, const void *data, size_t len)
{
    const struct scan_options *o = w->scan->o;

    if (w->enough || len > SCAN_RECORD_MAX)
        return false;
    if (w->pipe < 0)
        w->enough = !o->record(o->opaque, data, len);
    else
        say(w, SCAN_FRAME_RECORD, data, len);
    if (o->order != SCAN_ALL) {
        limit_to(w->scan, w->place);
        w->enough = true;
    }
    return !w->enough && !w->lost;
}

/* --- going on --- */

static bool is_wanted(const struct scan_worker *w)
{
    const struct scan_shared *shared = w->scan->shared;

    return !w->lost && !w->enough && !atomic_load_explicit(&shared->cancel, memory_order_relaxed) &&
           w->place <= atomic_load_explicit(&shared->limit, memory_order_relaxed);
}

/* The timeline asks this every few milliseconds. */
static bool is_interrupted(void *opaque)
{
    struct scan_worker *w = opaque;
    const struct scan *s = w->scan;
    uint64_t from = s->segments[w->place].from.icount, now = s->t->m->clock.icount;
    uint64_t done = w->done + (now > from ? now - from : 0);

    atomic_store_explicit(&s->shared->done[w->number], done, memory_order_relaxed);
    if (w->pipe >= 0)
        return !is_wanted(w);
    if (s->o->progress != NULL)
        s->o->progress(s->o->opaque, s->o->what, done, s->total);
    if (s->o->interrupted != NULL && s->o->interrupted(s->o->opaque))
        atomic_store(&s->shared->cancel, true);
    return !is_wanted(w);
}

enum timeline_status scan_advance(struct scan_worker *w, struct moment until)
{
    struct moment end = w->scan->segments[w->place].to;
    enum timeline_status status;

    if (w->enough || (++w->unasked >= ASK_EVERY && is_interrupted(w)))
        return TIMELINE_INTERRUPTED;
    status = timeline_advance(w->scan->t, moment_before(until, end) ? until : end, TO_LOOK);
    if (status != TIMELINE_HIT)
        w->unasked = 0;
    return status;
}

struct timeline *scan_timeline(const struct scan_worker *w)
{
    return w->scan->t;
}

/* --- segments --- */

/* The machine comes to stand where the segment begins. */
static enum timeline_status go_to(struct scan_worker *w, struct moment from)
{
    struct timeline *t = w->scan->t;
    struct checkpoint *cp = checkpoints_before(&t->checkpoints, from.icount);
    struct moment now = timeline_now(t);
    enum timeline_status status = TIMELINE_THERE;

    if (t->at_end || moment_before(from, now) || now.icount < cp->icount)
        status = timeline_restore(t, cp);
    if (status == TIMELINE_THERE)
        status = timeline_advance(t, from, TO_LOOK);
    return status;
}

static enum timeline_status run_segment(struct scan_worker *w)
{
    const struct scan_options *o = w->scan->o;
    const struct scan_segment *segment = &w->scan->segments[w->place];
    enum timeline_status status;

    w->enough = false;
    w->unasked = 0;
    machine_debug_clear(w->scan->t->m);
    status = go_to(w, segment->from);
    if (status == TIMELINE_THERE)
        status = o->run(o->opaque, w, segment);
    machine_debug_clear(w->scan->t->m);
    return status;
}

static enum scan_status failed(struct scan_worker *w, enum timeline_status status)
{
    const struct timeline *t = w->scan->t;
    const struct player_divergence *d = player_divergence(t->player);
    bool diverged = status == TIMELINE_DIVERGED;
    char text[768];

    if (diverged)
        snprintf(text, sizeof(text),
                 "%s: the replay diverged at instruction %" PRIu64 ": expected %s, found %s", t->path,
                 d->icount, d->expected, d->found);
    else
        snprintf(text, sizeof(text), "%s: %s", t->path, timeline_error(t));
    if (w->pipe >= 0)
        say(w, diverged ? SCAN_FRAME_DIVERGED : SCAN_FRAME_ERROR, text, strlen(text));
    snprintf(w->scan->err, w->scan->errlen, "%s", text);
    return diverged ? SCAN_DIVERGED : SCAN_ERROR;
}

/* The segment has ended as `status`; SCAN_DONE: on to the next. */
static enum scan_status settle(struct scan_worker *w, enum timeline_status status)
{
    const struct scan_segment *segment = &w->scan->segments[w->place];
    uint64_t now = w->scan->t->m->clock.icount;

    if (now > segment->from.icount)
        w->done += now - segment->from.icount;
    if (status != TIMELINE_DIVERGED && timeline_check(w->scan->t) != TIMELINE_THERE)
        status = TIMELINE_ERROR;
    if (status == TIMELINE_DIVERGED || status == TIMELINE_ERROR)
        return failed(w, status);
    if (w->lost || atomic_load(&w->scan->shared->cancel))
        return SCAN_INTERRUPTED;
    if (w->pipe < 0)
        return w->enough ? SCAN_ENOUGH : SCAN_DONE;
    say(w, SCAN_FRAME_THROUGH, NULL, 0);
    flush(w);
    return SCAN_DONE;
}

static enum scan_status run_segments(struct scan_worker *w)
{
    enum scan_status status = SCAN_DONE;

    /* The first was claimed for it. */
    do
        status = settle(w, run_segment(w));
    while (status == SCAN_DONE && claim_next(w));
    return status;
}

enum scan_status scan_worker_run(struct scan_worker *w)
{
    struct timeline *t = w->scan->t;
    struct timeline_options asked = t->options;
    enum scan_status status;

    w->out = malloc(OUT_BYTES);
    if (w->out == NULL) {
        snprintf(w->scan->err, w->scan->errlen, "out of memory");
        return SCAN_ERROR;
    }
    t->options.interrupted = is_interrupted;
    t->options.progress = NULL;
    t->options.opaque = w;
    status = run_segments(w);
    if (w->pipe >= 0) {
        say(w, SCAN_FRAME_BYE, NULL, 0);
        flush(w);
    }
    t->options = asked;
    free(w->out);
    return status;
}
