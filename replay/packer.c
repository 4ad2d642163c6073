/* SPDX-License-Identifier: MIT */
/* A thread that compresses: packer.h. Two rings under one lock, jobs to do and jobs done. */
#include "packer.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <lz4.h>

#define RING 8192u

struct ring {
    struct pack_job jobs[RING];
    unsigned head, count;
};

struct packer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;    /* to_do has jobs, or quit */
    pthread_cond_t started; /* running */
    struct ring to_do, done;
    bool busy;           /* the thread holds a job, which has a place in `done` */
    bool running;
    bool quit;
};

static bool ring_push(struct ring *r, const struct pack_job *job)
{
    if (r->count == RING)
        return false;
    r->jobs[(r->head + r->count++) % RING] = *job;
    return true;
}

static bool ring_pop(struct ring *r, struct pack_job *job)
{
    if (r->count == 0)
        return false;
    *job = r->jobs[r->head];
    r->head = (r->head + 1) % RING;
    r->count--;
    return true;
}

/* Worth it from an eighth saved on. */
static void pack(struct pack_job *job)
{
    char buf[LZ4_COMPRESSBOUND(4096)];
    int n;

    job->packed = NULL;
    if (job->len > 4096)
        return;
    n = LZ4_compress_default((const char *)job->data, buf, (int)job->len, sizeof(buf));
    if (n <= 0 || (uint32_t)n > job->len - job->len / 8)
        return;
    job->packed = malloc((size_t)n);
    if (job->packed == NULL)
        return;
    memcpy(job->packed, buf, (size_t)n);
    job->packed_len = (uint32_t)n;
}

static void *work(void *opaque)
{
    struct packer *p = opaque;
    struct pack_job job;

    pthread_mutex_lock(&p->lock);
    p->running = true;
    pthread_cond_signal(&p->started);
    while (!p->quit) {
        if (p->done.count == RING || !ring_pop(&p->to_do, &job)) {
            pthread_cond_wait(&p->work, &p->lock);
            continue;
        }
        p->busy = true;
        pthread_mutex_unlock(&p->lock);
        pack(&job);
        pthread_mutex_lock(&p->lock);
        p->busy = false;
        ring_push(&p->done, &job);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Signals are the other threads'. Returns when the thread runs: what its start needs of the system may be
 * out of reach a moment later. */
static int start(struct packer *p)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&p->thread, NULL, work, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return -1;
    pthread_mutex_lock(&p->lock);
    while (!p->running)
        pthread_cond_wait(&p->started, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return 0;
}

static void release(struct packer *p)
{
    pthread_cond_destroy(&p->started);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

struct packer *packer_create(void)
{
    struct packer *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return NULL;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->started, NULL);
    if (start(p) != 0) {
        release(p);
        return NULL;
    }
    return p;
}

void packer_destroy(struct packer *p, void (*abandon)(void *opaque, struct pack_job *job),
                    void *opaque)
{
    struct pack_job job;

    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->quit = true;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    while (ring_pop(&p->done, &job) || ring_pop(&p->to_do, &job))
        abandon(opaque, &job);
    release(p);
}

bool packer_give(struct packer *p, const struct pack_job *job)
{
    bool taken;

    pthread_mutex_lock(&p->lock);
    taken = ring_push(&p->to_do, job);
    if (taken && p->to_do.count == 1)
        pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    return taken;
}

bool packer_take(struct packer *p, struct pack_job *job)
{
    bool taken;

    pthread_mutex_lock(&p->lock);
    taken = ring_pop(&p->done, job);
    if (taken && p->done.count == RING - 1)
        pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    return taken;
}
