/* SPDX-License-Identifier: MIT */
/* The results of a hunt: book.h. */
#include "book.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

int book_init(struct book *b, const struct hunt_plan *plan, uint64_t first, uint64_t last)
{
    *b = (struct book){.plan = plan, .first = first, .next = first, .last = last};
    b->entries = calloc(plan->runs + 1, sizeof(*b->entries));
    return b->entries == NULL ? -1 : 0;
}

void book_fini(struct book *b)
{
    for (uint64_t run = 0; b->entries != NULL && run <= b->plan->runs; run++)
        free(b->entries[run].result);
    for (uint32_t i = 0; i < b->nsites; i++) {
        free(b->sites[i].text);
        free(b->sites[i].recorded);
    }
    free(b->entries);
    free(b->sites);
    free(b->table);
    *b = (struct book){.plan = NULL};
}

int book_add(struct book *b, const struct hunt_result *r)
{
    struct book_entry *e = &b->entries[r->run];
    size_t size = offsetof(struct hunt_result, site) + strlen(r->site) + 1;

    if (e->result != NULL)
        return hunt_result_equal(e->result, r) ? 0 : 1;
    e->result = malloc(size);
    if (e->result == NULL)
        return -1;
    memcpy(e->result, r, size);
    return 0;
}

const struct hunt_result *book_result(const struct book *b, uint64_t run)
{
    return run <= b->plan->runs ? b->entries[run].result : NULL;
}

/* --- sites --- */

/* The slot of the table that has this site, or is free for it. */
static uint32_t *find_slot(const struct book *b, const char *text)
{
    uint32_t at = (uint32_t)XXH3_64bits(text, strlen(text));

    for (;; at++) {
        uint32_t *slot = &b->table[at & (b->table_size - 1)];

        if (*slot == 0 || strcmp(b->sites[*slot - 1].text, text) == 0)
            return slot;
    }
}

/* At least half of the table stays free. */
static int grow(struct book *b)
{
    uint32_t size = b->table_size == 0 ? 64 : b->table_size * 2;
    struct book_site *sites = realloc(b->sites, size / 2 * sizeof(*sites));
    uint32_t *table = calloc(size, sizeof(*table));

    if (sites != NULL)
        b->sites = sites;
    if (sites == NULL || table == NULL) {
        free(table);
        return -1;
    }
    free(b->table);
    b->table = table;
    b->table_size = size;
    for (uint32_t i = 0; i < b->nsites; i++)
        *find_slot(b, b->sites[i].text) = i + 1;
    return 0;
}

/* Its place, plus 1; 0: out of memory. */
static uint32_t site_number(struct book *b, const char *text, uint64_t run)
{
    uint32_t *slot;

    if (b->nsites >= b->table_size / 2 && grow(b) != 0)
        return 0;
    slot = find_slot(b, text);
    if (*slot == 0) {
        struct book_site site = {.text = strdup(text), .first = run};

        if (site.text == NULL)
            return 0;
        b->sites[b->nsites++] = site;
        *slot = b->nsites;
    }
    return *slot;
}

const struct book_site *book_site_of(const struct book *b, uint64_t run)
{
    const struct book_entry *e = &b->entries[run];

    return e->site != 0 ? &b->sites[e->site - 1] : NULL;
}

/* --- settling --- */

static bool wants_recording(const struct book *b, const struct hunt_result *r, const struct book_site *site)
{
    if (b->plan->keep == KEEP_ALL)
        return true;
    return r->failed && (b->plan->keep == KEEP_FAILING || site->kept < b->plan->keep_per_site);
}

static int settle(struct book *b, uint64_t run)
{
    struct book_entry *e = &b->entries[run];
    struct book_site *site = NULL;

    if (e->result->failed) {
        e->site = site_number(b, e->result->site, run);
        if (e->site == 0)
            return -1;
        site = &b->sites[e->site - 1];
        b->failed++;
    }
    e->settled = true;
    e->keep = wants_recording(b, e->result, site);
    b->done++;
    b->overlong += e->result->overlong;
    if (site != NULL) {
        site->count++;
        site->kept += e->keep;
    }
    if (b->plan->stop_after != 0 && b->failed >= b->plan->stop_after)
        b->last = run;
    return 0;
}

int book_settle(struct book *b, bool gaps, uint64_t *run)
{
    while (gaps && b->next <= b->last && b->entries[b->next].result == NULL)
        b->next++;
    if (b->next > b->last || b->entries[b->next].result == NULL)
        return 0;
    *run = b->next++;
    return settle(b, *run) == 0 ? 1 : -1;
}

bool book_is_complete(const struct book *b)
{
    for (uint64_t run = b->first; run <= b->last; run++)
        if (!b->entries[run].settled)
            return false;
    return true;
}

int book_recorded(struct book *b, uint64_t run)
{
    struct book_entry *e = &b->entries[run];
    struct book_site *site = e->site != 0 ? &b->sites[e->site - 1] : NULL;
    uint64_t *runs;
    size_t at;

    if (e->recorded)
        return 0;
    e->recorded = true;
    if (site == NULL)
        return 0;
    runs = realloc(site->recorded, (site->nrecorded + 1) * sizeof(*runs));
    if (runs == NULL)
        return -1;
    for (at = site->nrecorded++; at > 0 && runs[at - 1] > run; at--)
        runs[at] = runs[at - 1];
    runs[at] = run;
    site->recorded = runs;
    return 0;
}
