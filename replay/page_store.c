/* SPDX-License-Identifier: MIT */
/*
 * Versions of RAM pages: page_store.h.
 *
 * Each page has an array of versions, by ascending icount. What a version holds is a blob: nothing for a
 * page of zeros, 4 KiB as they are, or compressed. Invariants: 1. `bytes` is the sum over blobs and
 * arrays. 2. A blob on the packer's queue is `queued`; when it is dropped meanwhile it becomes an orphan,
 * which page_store_collect() frees. 3. Only this thread changes blobs.
 */
#include "page_store.h"

#include <stdlib.h>
#include <string.h>

#include <emu/ram.h>
#include <lz4.h>
#include <unistd.h>

#include "packer.h"
#include "page_slab.h"

struct blob {
    uint64_t number; /* tells versions apart */
    uint32_t len;    /* PAGE_STORE_PAGE: as it is */
    bool queued;
    bool orphan;
    bool aged;       /* was compressed, or cannot be */
    uint64_t hash;   /* ram_content_hash() */
    uint8_t *data;   /* NULL: zeros, or in the file: */
    bool stored;
    uint64_t offset;
};

struct version {
    uint64_t icount;
    struct blob *blob;
};

struct history {
    struct version *versions;
    uint32_t n, capacity;
};

struct page_store {
    struct history *pages;
    uint64_t npages;
    uint64_t numbers; /* given so far */
    size_t bytes;
    struct packer *packer;
    struct page_slab slab; /* of pages as they are; compressed ones are malloc's */
    int fd;                /* the file that stored blobs are in; -1: none */
    bool failed;
    uint8_t packed[PAGE_STORE_PAGE]; /* read from it */
};

static size_t blob_bytes(const struct blob *b)
{
    return sizeof(*b) + (b->data != NULL ? b->len : 0) + 32; /* what the allocator adds to both */
}

static struct blob *blob_create(struct page_store *s, const uint8_t *content, uint64_t hash)
{
    struct blob *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return NULL;
    b->number = ++s->numbers;
    b->aged = content == NULL;
    b->hash = hash;
    if (content != NULL) {
        b->data = page_slab_take(&s->slab);
        if (b->data == NULL) {
            free(b);
            return NULL;
        }
        memcpy(b->data, content, PAGE_STORE_PAGE);
        b->len = PAGE_STORE_PAGE;
    }
    s->bytes += blob_bytes(b);
    return b;
}

static void free_data(struct page_store *s, struct blob *b)
{
    if (b->data != NULL && b->len == PAGE_STORE_PAGE)
        page_slab_give(&s->slab, b->data);
    else
        free(b->data);
}

static void blob_drop(struct page_store *s, struct blob *b)
{
    s->bytes -= blob_bytes(b);
    if (b->queued) {
        b->orphan = true;
        return;
    }
    free_data(s, b);
    free(b);
}

struct page_store *page_store_create(uint64_t npages)
{
    struct page_store *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->pages = calloc(npages, sizeof(*s->pages));
    if (s->pages == NULL) {
        free(s);
        return NULL;
    }
    s->npages = npages;
    s->fd = -1;
    s->packer = packer_create();
    return s;
}

static void settle_job(struct page_store *s, struct pack_job *job)
{
    struct blob *b = job->tag;

    b->queued = false;
    b->aged = true;
    if (b->orphan) {
        free(job->packed);
        free_data(s, b);
        free(b);
        return;
    }
    if (job->packed == NULL)
        return;
    s->bytes -= blob_bytes(b);
    free_data(s, b);
    b->data = job->packed;
    b->len = job->packed_len;
    s->bytes += blob_bytes(b);
}

static void abandon_job(void *opaque, struct pack_job *job)
{
    settle_job(opaque, job);
}

void page_store_destroy(struct page_store *s)
{
    if (s == NULL)
        return;
    packer_destroy(s->packer, abandon_job, s);
    for (uint64_t page = 0; page < s->npages; page++) {
        struct history *h = &s->pages[page];

        for (uint32_t i = 0; i < h->n; i++)
            blob_drop(s, h->versions[i].blob);
        free(h->versions);
    }
    free(s->pages);
    if (s->fd >= 0)
        close(s->fd);
    page_slab_fini(&s->slab);
    free(s);
}

/* --- histories --- */

/* How many versions are at or before `icount`. */
static uint32_t versions_until(const struct history *h, uint64_t icount)
{
    uint32_t from = 0, end = h->n;

    while (from < end) {
        uint32_t mid = from + (end - from) / 2;

        if (h->versions[mid].icount <= icount)
            from = mid + 1;
        else
            end = mid;
    }
    return from;
}

static struct version *version_exactly(struct history *h, uint64_t icount)
{
    uint32_t n = versions_until(h, icount);

    return n > 0 && h->versions[n - 1].icount == icount ? &h->versions[n - 1] : NULL;
}

static int make_room(struct page_store *s, struct history *h)
{
    uint32_t capacity = h->capacity == 0 ? 2 : 2 * h->capacity;
    struct version *versions;

    if (h->n < h->capacity)
        return 0;
    versions = realloc(h->versions, capacity * sizeof(*versions));
    if (versions == NULL)
        return -1;
    s->bytes += (capacity - h->capacity) * sizeof(*versions);
    h->versions = versions;
    h->capacity = capacity;
    return 0;
}

static void remove_version(struct page_store *s, struct history *h, struct version *v)
{
    blob_drop(s, v->blob);
    h->n--;
    memmove(v, v + 1, (size_t)(&h->versions[h->n] - v) * sizeof(*v));
}

static int put_blob(struct page_store *s, uint64_t page, uint64_t icount, struct blob *b)
{
    struct history *h = &s->pages[page];
    struct version *v = version_exactly(h, icount);
    uint32_t at;

    if (b == NULL)
        return -1;
    if (v == NULL && make_room(s, h) != 0) {
        blob_drop(s, b);
        return -1;
    }
    if (v != NULL) {
        blob_drop(s, v->blob);
        v->blob = b;
        return 0;
    }
    at = versions_until(h, icount);
    memmove(&h->versions[at + 1], &h->versions[at], (h->n - at) * sizeof(h->versions[0]));
    h->versions[at] = (struct version){.icount = icount, .blob = b};
    h->n++;
    return 0;
}

int page_store_put(struct page_store *s, uint64_t page, uint64_t icount, const uint8_t *content,
                   uint64_t hash)
{
    return put_blob(s, page, icount, blob_create(s, content, hash));
}

int page_store_put_stored(struct page_store *s, uint64_t page, uint64_t icount, uint64_t offset,
                          uint32_t len, uint64_t hash)
{
    struct blob *b = blob_create(s, NULL, hash);

    if (b != NULL && len > 0) {
        b->stored = true;
        b->len = len;
        b->offset = offset;
    }
    return put_blob(s, page, icount, b);
}

void page_store_set_file(struct page_store *s, int fd)
{
    s->fd = fd;
}

bool page_store_failed(const struct page_store *s)
{
    return s->failed;
}

void page_store_merge(struct page_store *s, uint64_t page, uint64_t from, uint64_t to)
{
    struct history *h = &s->pages[page];
    struct version *v = version_exactly(h, from);

    if (v == NULL)
        return;
    if (version_exactly(h, to) != NULL)
        remove_version(s, h, v);
    else
        v->icount = to;
}

void page_store_drop(struct page_store *s, uint64_t page, uint64_t icount)
{
    struct history *h = &s->pages[page];
    struct version *v = version_exactly(h, icount);

    if (v != NULL)
        remove_version(s, h, v);
}

bool page_store_has(const struct page_store *s, uint64_t page)
{
    return s->pages[page].n > 0;
}

uint64_t page_store_version(const struct page_store *s, uint64_t page, uint64_t icount)
{
    const struct history *h = &s->pages[page];
    uint32_t n = versions_until(h, icount);

    return n == 0 ? 0 : h->versions[n - 1].blob->number;
}

/* A blob's bytes, as long as it says; NULL: zeros. */
static const uint8_t *blob_data(struct page_store *s, const struct blob *b)
{
    if (!b->stored)
        return b->data;
    if (pread(s->fd, s->packed, b->len, (off_t)b->offset) != (ssize_t)b->len)
        s->failed = true;
    return s->packed;
}

/* What blob_data() holds; NULL: zeros. */
static const uint8_t *unpack(struct page_store *s, uint64_t page, const struct blob *b, const uint8_t *data,
                             uint8_t buf[PAGE_STORE_PAGE])
{
    if (data == NULL)
        return NULL;
    if (b->len < PAGE_STORE_PAGE) {
        if (LZ4_decompress_safe((const char *)data, (char *)buf, (int)b->len, PAGE_STORE_PAGE) !=
            PAGE_STORE_PAGE)
            s->failed = true;
        data = buf;
    }
    if (ram_content_hash(data, page) != b->hash)
        s->failed = true;
    return data;
}

static const struct blob *blob_at(const struct page_store *s, uint64_t page, uint64_t icount)
{
    const struct history *h = &s->pages[page];

    return h->versions[versions_until(h, icount) - 1].blob;
}

uint64_t page_store_hash(const struct page_store *s, uint64_t page, uint64_t icount)
{
    return blob_at(s, page, icount)->hash;
}

const uint8_t *page_store_get(struct page_store *s, uint64_t page, uint64_t icount,
                              uint8_t buf[PAGE_STORE_PAGE])
{
    const struct blob *b = blob_at(s, page, icount);

    return unpack(s, page, b, blob_data(s, b), buf);
}

bool page_store_visit(struct page_store *s, page_store_visit_fn *fn, void *opaque)
{
    uint8_t buf[PAGE_STORE_PAGE];

    for (uint64_t page = 0; page < s->npages; page++) {
        const struct history *h = &s->pages[page];

        for (uint32_t i = 0; i < h->n; i++) {
            const struct blob *b = h->versions[i].blob;
            const uint8_t *data = blob_data(s, b);

            if (b->stored)
                unpack(s, page, b, data, buf); /* is it whole? */
            if (!fn(opaque, page, h->versions[i].icount, data, data == NULL ? 0 : b->len, b->hash))
                return false;
        }
    }
    return true;
}

size_t page_store_bytes(const struct page_store *s)
{
    return s->bytes;
}

/* --- compression --- */

/* What the thread holds is never handed back: those blobs stay queued, and their memory with them. */
void page_store_after_fork(struct page_store *s)
{
    s->packer = NULL;
}

void page_store_collect(struct page_store *s)
{
    struct pack_job job;

    while (s->packer != NULL && packer_take(s->packer, &job))
        settle_job(s, &job);
}

void page_store_age(struct page_store *s, uint64_t page, uint64_t icount)
{
    struct version *v = version_exactly(&s->pages[page], icount);
    struct blob *b;

    if (v == NULL || s->packer == NULL)
        return;
    b = v->blob;
    if (b->queued || b->aged)
        return;
    b->queued = packer_give(s->packer,
                            &(struct pack_job){.tag = b, .data = b->data, .len = b->len});
}
