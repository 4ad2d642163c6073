/* SPDX-License-Identifier: MIT */
/*
 * Two timelines side by side: pair.h.
 *
 * The first side is moved by the caller's thread, the second by one that waits for work from pair_open() on:
 * inside of a sandbox none could be started. Machines share nothing, so the two need no care but to wait for each
 * other.
 */
#include "pair.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOOK_NS 100000000 /* while waiting for the other side: how often progress is told */

/* --- the second side's thread --- */

static void *serve(void *opaque)
{
    struct pair *p = opaque;

    pthread_mutex_lock(&p->lock);
    p->running = true;
    pthread_cond_broadcast(&p->changed);
    for (;;) {
        while (p->work == NULL && !p->quit)
            pthread_cond_wait(&p->changed, &p->lock);
        if (p->quit)
            break;
        pthread_mutex_unlock(&p->lock);
        p->work(p->ctx, 1);
        pthread_mutex_lock(&p->lock);
        p->work = NULL;
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Returns when the thread is there: what it does to begin with, a sandbox may forbid. Signals are not for it. */
static int start(struct pair *p)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&p->thread, NULL, serve, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return -1;
    pthread_mutex_lock(&p->lock);
    while (!p->running)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return 0;
}

/* How much ground both have covered: it does not shrink when they go back over it. */
static void tell_progress(struct pair *p)
{
    uint64_t done;

    pthread_mutex_lock(&p->lock);
    done = p->sides[0].frontier + p->sides[1].frontier;
    pthread_mutex_unlock(&p->lock);
    if (p->progress != NULL && p->length <= UINT64_MAX / 2)
        p->progress(p->opaque, "comparing", done, 2 * p->length);
}

static void wait_for_other(struct pair *p)
{
    struct timespec until;
    int rc = 0;

    pthread_mutex_lock(&p->lock);
    while (p->work != NULL) {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        rc = pthread_cond_timedwait(&p->changed, &p->lock, &until);
        if (rc != ETIMEDOUT || p->work == NULL)
            continue;
        pthread_mutex_unlock(&p->lock);
        tell_progress(p);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
}

void pair_both(struct pair *p, void (*work)(void *ctx, unsigned side), void *ctx)
{
    pthread_mutex_lock(&p->lock);
    p->work = work;
    p->ctx = ctx;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    work(ctx, 0);
    wait_for_other(p);
}

/* --- what the timelines ask --- */

static void on_progress(void *opaque, const char *what, uint64_t done, uint64_t total)
{
    struct pair_side *s = opaque;

    (void)what, (void)done, (void)total;
    pthread_mutex_lock(&s->pair->lock);
    s->frontier = timeline_frontier(s->pair->t[s->side]);
    pthread_mutex_unlock(&s->pair->lock);
    if (s->side == 0)
        tell_progress(s->pair);
}

static bool on_interrupted(void *opaque)
{
    const struct pair_side *s = opaque;

    return s->pair->interrupted != NULL && s->pair->interrupted(s->pair->opaque);
}

/* --- life cycle --- */

static int open_side(struct pair *p, unsigned side, const char *path, const struct machine_board *board,
                     const struct timeline_options *options, char *err, size_t errlen)
{
    struct timeline_options how = *options;

    p->sides[side] = (struct pair_side){.pair = p, .side = side};
    how.progress = on_progress;
    how.interrupted = on_interrupted;
    how.opaque = &p->sides[side];
    p->t[side] = timeline_open(path, board, &how, err, errlen);
    if (p->t[side] == NULL)
        return -1;
    p->m[side] = timeline_machine(p->t[side]);
    return 0;
}

int pair_open(struct pair *p, const char *const paths[2], const struct machine_board *board,
              const struct timeline_options *options, char *err, size_t errlen)
{
    *p = (struct pair){.progress = options->progress,
                       .interrupted = options->interrupted,
                       .opaque = options->opaque};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    for (unsigned side = 0; side < 2; side++)
        if (open_side(p, side, paths[side], board, options, err, errlen) != 0)
            return -1;
    if (start(p) != 0) {
        snprintf(err, errlen, "cannot start a thread");
        return -1;
    }
    return 0;
}

void pair_close(struct pair *p)
{
    if (p->running) {
        pthread_mutex_lock(&p->lock);
        p->quit = true;
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
        pthread_join(p->thread, NULL);
    }
    for (unsigned side = 0; side < 2; side++)
        timeline_destroy(p->t[side]);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
}

/* --- moves --- */

struct move {
    struct pair *p;
    struct moment to;
};

static void seek_side(void *ctx, unsigned side)
{
    const struct move *move = ctx;

    move->p->status[side] = timeline_seek(move->p->t[side], move->to);
}

static bool went_well(const struct pair *p)
{
    for (unsigned side = 0; side < 2; side++)
        if (p->status[side] != TIMELINE_THERE && p->status[side] != TIMELINE_END)
            return false;
    return true;
}

bool pair_seek(struct pair *p, struct moment to)
{
    pair_both(p, seek_side, &(struct move){.p = p, .to = to});
    return went_well(p);
}

bool pair_step(struct pair *p)
{
    /* Shorter than waking a thread. */
    for (unsigned side = 0; side < 2; side++)
        p->status[side] = timeline_step(p->t[side]);
    return went_well(p);
}
