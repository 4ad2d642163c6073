/* SPDX-License-Identifier: MIT */
/*
 * Compresses blobs on a thread of its own. It only reads what it is given and hands back what it made:
 * owner of everything else stays the caller's thread.
 */
#ifndef REPLAY_PACKER_H
#define REPLAY_PACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packer;

struct pack_job {
    void *tag;            /* the caller's */
    const uint8_t *data;  /* must stay as it is until the job is back */
    uint32_t len;
    uint8_t *packed;      /* result, LZ4: allocated, the caller's to free; NULL: not smaller, or no memory */
    uint32_t packed_len;
};

/* NULL when there is no thread to be had: then nothing is compressed. */
struct packer *packer_create(void);
/* Ends the thread. Jobs that are not back yet are given to `abandon`. */
void packer_destroy(struct packer *p, void (*abandon)(void *opaque, struct pack_job *job),
                    void *opaque);

/* False: the queue is full, try later. */
bool packer_give(struct packer *p, const struct pack_job *job);
/* The next job that is done; false: none. Never waits. */
bool packer_take(struct packer *p, struct pack_job *job);

#endif
