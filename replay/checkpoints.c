/* SPDX-License-Identifier: MIT */
/* Checkpoints: see checkpoints.h. */
#include "checkpoints.h"

#include <stdlib.h>
#include <string.h>

#include <emu/machine.h>
#include <emu/snapshot.h>

#include "page_store.h"

#define MAX_LOCAL 64u
/* Checkpoints this many places back are old: their pages are compressed. */
#define AGE_PLACES 2u

/* --- finding --- */

/* How many are at or before `icount`. */
static size_t count_until(const struct checkpoints *c, uint64_t icount)
{
    size_t from = 0, end = c->n;

    while (from < end) {
        size_t mid = from + (end - from) / 2;

        if (c->list[mid]->icount <= icount)
            from = mid + 1;
        else
            end = mid;
    }
    return from;
}

struct checkpoint *checkpoints_before(const struct checkpoints *c, uint64_t icount)
{
    return c->list[count_until(c, icount) - 1];
}

struct checkpoint *checkpoints_after(const struct checkpoints *c, uint64_t icount)
{
    size_t at = count_until(c, icount);

    return at < c->n ? c->list[at] : NULL;
}

size_t checkpoints_bytes(const struct checkpoints *c)
{
    return c->own_bytes + page_store_bytes(c->store);
}

/* --- snapshots in chunks --- */

static void chunk_drop(struct checkpoints *c, struct state_chunk *chunk)
{
    if (chunk == NULL || --chunk->refs > 0)
        return;
    c->own_bytes -= sizeof(*chunk);
    free(chunk);
}

static struct state_chunk *chunk_of(struct checkpoints *c, const uint8_t *bytes,
                                    struct state_chunk *like)
{
    struct state_chunk *chunk;

    if (like != NULL && memcmp(like->bytes, bytes, STATE_CHUNK) == 0) {
        like->refs++;
        return like;
    }
    chunk = malloc(sizeof(*chunk));
    if (chunk == NULL)
        return NULL;
    chunk->refs = 1;
    memcpy(chunk->bytes, bytes, STATE_CHUNK);
    c->own_bytes += sizeof(*chunk);
    return chunk;
}

/* The machine's snapshot, sharing with `like` (NULL: nothing) what is equal. */
static bool save_state(struct checkpoints *c, struct checkpoint *cp, const struct checkpoint *like)
{
    machine_snapshot_save(c->m, c->state);
    for (size_t i = 0; i < c->nchunks; i++) {
        cp->state[i] = chunk_of(c, c->state + i * STATE_CHUNK, like == NULL ? NULL : like->state[i]);
        if (cp->state[i] == NULL)
            return false;
    }
    return true;
}

/* --- life cycle of one --- */

static size_t list_bytes(const struct checkpoints *c, const struct checkpoint *cp)
{
    return sizeof(*cp) + c->nchunks * sizeof(cp->state[0]) + cp->npages * sizeof(cp->pages[0]);
}

void checkpoint_free(struct checkpoints *c, struct checkpoint *cp)
{
    for (size_t i = 0; i < c->nchunks; i++)
        chunk_drop(c, cp->state[i]);
    c->own_bytes -= list_bytes(c, cp);
    free(cp->state);
    free(cp->pages);
    free(cp);
}

struct checkpoint *checkpoint_alloc(struct checkpoints *c, size_t npages)
{
    struct checkpoint *cp = calloc(1, sizeof(*cp));

    if (cp == NULL)
        return NULL;
    cp->state = calloc(c->nchunks, sizeof(cp->state[0]));
    cp->pages = malloc((npages + 1) * sizeof(cp->pages[0]));
    if (cp->state == NULL || cp->pages == NULL) {
        free(cp->state);
        free(cp->pages);
        free(cp);
        return NULL;
    }
    cp->npages = npages;
    c->own_bytes += list_bytes(c, cp);
    return cp;
}

/* --- dropping --- */

static void list_remove(struct checkpoints *c, size_t at)
{
    c->n--;
    memmove(&c->list[at], &c->list[at + 1], (c->n - at) * sizeof(c->list[0]));
}

/* The pages of `from` become pages of `to` as well, without the doubles. */
static bool join_pages(struct checkpoints *c, const struct checkpoint *from, struct checkpoint *to)
{
    uint32_t *pages = malloc((from->npages + to->npages + 1) * sizeof(pages[0]));
    size_t n = 0;

    if (pages == NULL)
        return false;
    if (++c->stamp == 0) {
        memset(c->stamps, 0, c->m->ram.npages * sizeof(c->stamps[0]));
        c->stamp = 1;
    }
    for (size_t i = 0; i < to->npages; i++) {
        c->stamps[to->pages[i]] = c->stamp;
        pages[n++] = to->pages[i];
    }
    for (size_t i = 0; i < from->npages; i++)
        if (c->stamps[from->pages[i]] != c->stamp)
            pages[n++] = from->pages[i];
    c->own_bytes += (n - to->npages) * sizeof(pages[0]);
    free(to->pages);
    to->pages = pages;
    to->npages = n;
    return true;
}

/* Drops the one at `at`, which is neither the first nor the last nor the base. */
static bool drop(struct checkpoints *c, size_t at)
{
    struct checkpoint *cp = c->list[at], *next = c->list[at + 1];

    if (!join_pages(c, cp, next))
        return false;
    for (size_t i = 0; i < cp->npages; i++)
        page_store_merge(c->store, cp->pages[i], cp->icount, next->icount);
    if (cp->local)
        c->nlocal--;
    c->dropped++;
    list_remove(c, at);
    checkpoint_free(c, cp);
    return true;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a < b ? b - a : a - b;
}

static bool may_drop(const struct checkpoints *c, size_t at)
{
    return at > 0 && at + 1 < c->n && c->list[at] != c->base;
}

/* The local one that is of least use at `here`: those behind serve steps back, those ahead hardly
 * anything. 0: none. */
static size_t least_local(const struct checkpoints *c, uint64_t here)
{
    size_t best = 0;
    uint64_t best_score = 0;

    for (size_t i = 1; i + 1 < c->n; i++) {
        uint64_t score = distance(c->list[i]->icount, here);

        if (!c->list[i]->local || !may_drop(c, i))
            continue;
        if (c->list[i]->icount > here)
            score = score < UINT64_MAX >> 12 ? score << 12 : UINT64_MAX;
        if (best == 0 || score > best_score) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

/* The one that is missed least: the gap that it leaves is the smallest, seen from here. 0: none. */
static size_t least_useful(const struct checkpoints *c, uint64_t here)
{
    size_t best = 0;
    double best_score = 0;

    for (size_t i = 1; i + 1 < c->n; i++) {
        double gap = (double)(c->list[i + 1]->icount - c->list[i - 1]->icount);
        double score = gap / ((double)distance(c->list[i]->icount, here) + 1e8);

        if (may_drop(c, i) && (best == 0 || score < best_score)) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

static void thin(struct checkpoints *c)
{
    uint64_t here = c->m->clock.icount;
    size_t at;

    while (c->nlocal > MAX_LOCAL && (at = least_local(c, here)) != 0 && drop(c, at))
        ;
    while (checkpoints_bytes(c) > c->budget && (at = least_useful(c, here)) != 0 && drop(c, at))
        ;
}

/* --- taking --- */

/* The present content becomes the page's version at `icount`. */
static bool save_page(struct checkpoints *c, uint64_t page, uint64_t icount)
{
    const uint8_t *content = ram_page(&c->m->ram, page);
    bool zeros = ram_page_is_zero(&c->m->ram, page);

    return page_store_put(c->store, page, icount, zeros ? NULL : content,
                          zeros ? 0 : ram_content_hash(content, page)) == 0;
}

/* RAM_SAVED pages are stored to for the first time: what a page was at power-on. */
static void on_touch(void *opaque, uint64_t page)
{
    struct checkpoints *c = opaque;

    if (!page_store_has(c->store, page) && !save_page(c, page, 0))
        c->failed = true;
}

static bool list_insert(struct checkpoints *c, struct checkpoint *cp)
{
    size_t at = count_until(c, cp->icount);

    if (c->n == c->capacity) {
        size_t capacity = c->capacity == 0 ? 64 : 2 * c->capacity;
        struct checkpoint **list = realloc(c->list, capacity * sizeof(list[0]));

        if (list == NULL)
            return false;
        c->list = list;
        c->capacity = capacity;
    }
    memmove(&c->list[at + 1], &c->list[at], (c->n - at) * sizeof(c->list[0]));
    c->list[at] = cp;
    c->n++;
    return true;
}

/* What was touched becomes the pages of `cp`, with their versions. */
static bool save_pages(struct checkpoints *c, struct checkpoint *cp)
{
    const struct ram *ram = &c->m->ram;

    for (uint64_t i = 0; i < ram->ntouched; i++) {
        cp->pages[i] = ram->touched[i];
        if (!save_page(c, ram->touched[i], cp->icount))
            return false;
    }
    return true;
}

/* The present state is checkpoint `cp`. */
static void rebase(struct checkpoints *c, struct checkpoint *cp)
{
    c->base = cp;
    ram_track_touched(&c->m->ram, on_touch, c); /* cannot fail any more */
}

static struct checkpoint *make(struct checkpoints *c, bool local)
{
    uint64_t icount = c->m->clock.icount;
    struct checkpoint *cp = checkpoint_alloc(c, c->m->ram.ntouched);
    const struct checkpoint *like = c->n == 0 ? NULL : checkpoints_before(c, icount);

    if (cp == NULL)
        return NULL;
    cp->icount = icount;
    cp->local = local;
    cp->place = player_place(c->player);
    if (!save_state(c, cp, like) || !save_pages(c, cp) || !list_insert(c, cp)) {
        checkpoint_free(c, cp);
        return NULL;
    }
    c->nlocal += local;
    c->taken++;
    return cp;
}

static void age(struct checkpoints *c, const struct checkpoint *cp)
{
    size_t at = count_until(c, cp->icount);

    page_store_collect(c->store);
    if (at <= AGE_PLACES)
        return;
    cp = c->list[at - 1 - AGE_PLACES];
    for (size_t i = 0; i < cp->npages; i++)
        page_store_age(c->store, cp->pages[i], cp->icount);
}

void checkpoints_take(struct checkpoints *c, bool local)
{
    struct checkpoint *cp = checkpoints_before(c, c->m->clock.icount);

    if (c->failed)
        return;
    if (cp->icount != c->m->clock.icount) {
        cp = make(c, local);
        if (cp == NULL) {
            c->failed = true;
            return;
        }
    }
    rebase(c, cp);
    if (!local)
        age(c, cp);
    thin(c);
}

/* --- going back to one --- */

/* RAM_ABSENT pages are wanted: they are as they were at the base. */
static void fetch_page(void *opaque, uint64_t page, uint8_t *to)
{
    struct checkpoints *c = opaque;
    const uint8_t *content = page_store_get(c->store, page, c->base->icount, to);

    if (content == NULL)
        memset(to, 0, PAGE_STORE_PAGE);
    else if (content != to)
        memcpy(to, content, PAGE_STORE_PAGE);
}

/* Most pages are not looked at before the next seek: their contents stay where they are. */
static void restore_page(struct checkpoints *c, uint64_t page, uint64_t from, uint64_t to, bool touched)
{
    uint8_t buf[PAGE_STORE_PAGE];

    if (c->stamps[page] == c->stamp)
        return;
    c->stamps[page] = c->stamp;
    if (!touched && page_store_version(c->store, page, from) == page_store_version(c->store, page, to))
        return;
    if (!ram_defer_page(&c->m->ram, page, page_store_hash(c->store, page, to)))
        ram_restore_page(&c->m->ram, page, page_store_get(c->store, page, to, buf));
}

static void restore_ram(struct checkpoints *c, struct checkpoint *to)
{
    const struct ram *ram = &c->m->ram;
    uint64_t from = c->base->icount;
    size_t low = count_until(c, from < to->icount ? from : to->icount);
    size_t high = count_until(c, from < to->icount ? to->icount : from);

    if (++c->stamp == 0) {
        memset(c->stamps, 0, ram->npages * sizeof(c->stamps[0]));
        c->stamp = 1;
    }
    c->base = to; /* for fetch_page() */
    for (uint64_t i = 0; i < ram->ntouched; i++)
        restore_page(c, ram->touched[i], from, to->icount, true);
    for (size_t k = low; k < high; k++)
        for (size_t i = 0; i < c->list[k]->npages; i++)
            restore_page(c, c->list[k]->pages[i], from, to->icount, false);
}

int checkpoints_restore(struct checkpoints *c, struct checkpoint *to)
{
    int rc;

    restore_ram(c, to);
    for (size_t i = 0; i < c->nchunks; i++)
        memcpy(c->state + i * STATE_CHUNK, to->state[i]->bytes, STATE_CHUNK);
    rc = machine_snapshot_load(c->m, c->state, c->state_bytes);
    player_go(c->player, &to->place);
    rebase(c, to);
    return rc;
}

/* --- for index_file.c --- */

bool checkpoints_add(struct checkpoints *c, struct checkpoint *cp)
{
    if (cp->icount > 0)
        return list_insert(c, cp);
    /* Equal to ours, which is the base and stays. Its pieces serve the one that follows. */
    for (size_t i = 0; i < c->nchunks; i++) {
        chunk_drop(c, c->list[0]->state[i]);
        c->list[0]->state[i] = cp->state[i];
        cp->state[i] = NULL;
    }
    checkpoint_free(c, cp);
    return true;
}

void checkpoints_forget(struct checkpoints *c)
{
    while (c->n > 1)
        checkpoint_free(c, c->list[--c->n]);
    page_store_destroy(c->store);
    c->store = page_store_create(c->m->ram.npages);
    if (c->store == NULL)
        c->failed = true;
    machine_snapshot_save(c->m, c->state);
    for (size_t i = 0; i < c->nchunks; i++)
        memcpy(c->list[0]->state[i]->bytes, c->state + i * STATE_CHUNK, STATE_CHUNK);
}

/* --- life cycle --- */

int checkpoints_init(struct checkpoints *c, struct player *player, size_t budget)
{
    struct checkpoint *first;

    memset(c, 0, sizeof(*c));
    c->player = player;
    c->m = player_machine(player);
    c->m->ram.fetch = fetch_page;
    ram_digest(&c->m->ram); /* only where hashes are kept can contents be deferred */
    c->budget = budget;
    c->state_bytes = machine_snapshot_bytes(c->m);
    c->nchunks = (c->state_bytes + STATE_CHUNK - 1) / STATE_CHUNK;
    c->state = calloc(c->nchunks, STATE_CHUNK);
    c->stamps = calloc(c->m->ram.npages, sizeof(c->stamps[0]));
    c->store = page_store_create(c->m->ram.npages);
    if (c->state == NULL || c->stamps == NULL || c->store == NULL ||
        ram_track_touched(&c->m->ram, on_touch, c) != 0 || (first = make(c, false)) == NULL) {
        checkpoints_fini(c);
        return -1;
    }
    rebase(c, first);
    return 0;
}

void checkpoints_fini(struct checkpoints *c)
{
    if (c->m != NULL)
        ram_untrack_touched(&c->m->ram);
    for (size_t i = 0; i < c->n; i++)
        checkpoint_free(c, c->list[i]);
    free(c->list);
    page_store_destroy(c->store);
    free(c->state);
    free(c->stamps);
    memset(c, 0, sizeof(*c));
}
