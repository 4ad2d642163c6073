/* SPDX-License-Identifier: MIT */
/*
 * 4 KiB pieces of memory, in huge host pages: taking one costs no fault of the host, where malloc's would
 * take one each.
 */
#ifndef REPLAY_PAGE_SLAB_H
#define REPLAY_PAGE_SLAB_H

#include <stddef.h>
#include <stdint.h>

struct slab_chunk;

struct page_slab {
    struct slab_chunk *chunks;
    void *free;       /* list of pages given back, through their first words */
    uint8_t *next;    /* in the newest chunk */
    size_t left;      /* pages in it that were never given out */
};

/* Zeroed is initialised. */
void page_slab_fini(struct page_slab *s);
/* NULL: out of memory. */
void *page_slab_take(struct page_slab *s);
void page_slab_give(struct page_slab *s, void *page);

#endif
