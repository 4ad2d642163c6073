/* SPDX-License-Identifier: MIT */
/*
 * Two timelines that are moved side by side, each by a thread of its own.
 *
 *     if (pair_open(&p, paths, &pc_board, &options, err, sizeof(err)) == 0) {
 *         pair_seek(&p, (struct moment){.icount = n});
 *         ... p.status[0], p.status[1], timeline_now(p.t[0]) ...
 *     }
 *     pair_close(&p);
 *
 * Between calls both stand still and are the caller's.
 */
#ifndef REPLAY_PAIR_H
#define REPLAY_PAIR_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <replay/timeline.h>

/* One side's way. */
struct pair_side {
    struct pair *pair;
    unsigned side;
    uint64_t frontier; /* for progress: under `lock` */
};

struct pair {
    struct timeline *t[2];
    struct machine *m[2];
    enum timeline_status status[2]; /* how the last move of each ended */
    struct pair_side sides[2];
    uint64_t length; /* of either way as a whole, for progress: the caller's to say */
    void (*progress)(void *opaque, const char *what, uint64_t done, uint64_t total);
    bool (*interrupted)(void *opaque);
    void *opaque;
    /* the second side's thread */
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void (*work)(void *ctx, unsigned side); /* NULL: it waits */
    void *ctx;
    bool quit;
};

/* options: as for timeline_open(), for both. 0, or -1 with one line in `err`. Close it in either case. */
int pair_open(struct pair *p, const char *const paths[2], const struct machine_board *board,
              const struct timeline_options *options, char *err, size_t errlen);
void pair_close(struct pair *p);

/* Calls work(ctx, 0) and work(ctx, 1) at the same time; returns when both have. */
void pair_both(struct pair *p, void (*work)(void *ctx, unsigned side), void *ctx);

/* Both to a moment, and both one moment on; `status` says how it went. True: both are THERE or at their END. */
bool pair_seek(struct pair *p, struct moment to);
bool pair_step(struct pair *p);

#endif
