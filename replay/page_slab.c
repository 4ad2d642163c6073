/* SPDX-License-Identifier: MIT */
/* Pieces of huge pages: page_slab.h. Chunks are kept until the end, and used again. */
#include "page_slab.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PIECE       4096u
#define CHUNK_BYTES (8u << 20)
#define HUGE_BYTES  (2u << 20)

struct slab_chunk {
    struct slab_chunk *next;
    void *mapping;
    size_t bytes;
};

static int add_chunk(struct page_slab *s)
{
    struct slab_chunk *c = malloc(sizeof(*c));
    size_t skew;

    if (c == NULL)
        return -1;
    c->bytes = CHUNK_BYTES + HUGE_BYTES;
    c->mapping = mmap(NULL, c->bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (c->mapping == MAP_FAILED) {
        free(c);
        return -1;
    }
    c->next = s->chunks;
    s->chunks = c;
    skew = (HUGE_BYTES - (uintptr_t)c->mapping % HUGE_BYTES) % HUGE_BYTES;
    s->next = (uint8_t *)c->mapping + skew;
    s->left = CHUNK_BYTES / PIECE;
    madvise(s->next, CHUNK_BYTES, MADV_HUGEPAGE); /* advice only */
    return 0;
}

void *page_slab_take(struct page_slab *s)
{
    void *page = s->free;

    if (page != NULL) {
        memcpy(&s->free, page, sizeof(s->free));
        return page;
    }
    if (s->left == 0 && add_chunk(s) != 0)
        return NULL;
    page = s->next;
    s->next += PIECE;
    s->left--;
    return page;
}

void page_slab_give(struct page_slab *s, void *page)
{
    memcpy(page, &s->free, sizeof(s->free));
    s->free = page;
}

void page_slab_fini(struct page_slab *s)
{
    while (s->chunks != NULL) {
        struct slab_chunk *c = s->chunks;

        s->chunks = c->next;
        munmap(c->mapping, c->bytes);
        free(c);
    }
    memset(s, 0, sizeof(*s));
}
