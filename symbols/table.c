/* SPDX-License-Identifier: MIT */
/*
 * Symbol tables: an array sorted by address, and an index sorted by the hash of the name.
 *
 * 1. Before finish: symbols in the order of adding, names in chunks that never move.
 * 2. After it: first the `absolute` symbols that are numbers and no places, then the places; each
 * part sorted by (address, rank, order of adding).
 * 3. The index is sorted, not a hash table: however names are chosen, building it takes n log n. It is made
 * when names have been looked for a few times: many a table is asked for addresses only.
 */
#include <symbols/table.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <symbols/memory.h>

#define CHUNK_BYTES 65536u
/* Looking through all names costs as much as some percent of the index. */
#define LOOKS_WITHOUT_INDEX 8u

struct chunk {
    struct chunk *next;
    size_t used;
    char text[CHUNK_BYTES];
};

/* A symbol with what orders it among those at its address. */
struct entry {
    struct symbol symbol;
    uint32_t order;
    uint32_t rank; /* lower describes the address better */
};

struct name_key {
    uint64_t hash;
    size_t index;
};

struct symbol_table {
    struct entry *entries;
    size_t count, room;
    size_t absolute; /* the first so many are */
    struct chunk *chunks;
    struct name_key *names; /* as many; NULL: not indexed yet */
    unsigned looks;         /* by name, without the index */
    bool finished;
};

struct symbol_table *symbol_table_create(void)
{
    return calloc(1, sizeof(struct symbol_table));
}

void symbol_table_destroy(struct symbol_table *t)
{
    if (t == NULL)
        return;
    while (t->chunks != NULL) {
        struct chunk *next = t->chunks->next;

        free(t->chunks);
        t->chunks = next;
    }
    free(t->names);
    free(t->entries);
    free(t);
}

/* --- kinds --- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool symbol_is_code(const struct symbol *s)
{
    return lower(s->type) == 't' || lower(s->type) == 'w';
}

bool symbol_is_absolute(const struct symbol *s)
{
    return lower(s->type) == 'a';
}

bool symbol_is_global(const struct symbol *s)
{
    return s->type >= 'A' && s->type <= 'Z';
}

/* --- filling --- */

static const char *keep_name(struct symbol_table *t, const char *name, size_t len)
{
    struct chunk *c = t->chunks;
    char *to;

    if (c == NULL || CHUNK_BYTES - c->used < len + 1) {
        c = malloc(sizeof(*c));
        if (c == NULL)
            return NULL;
        c->next = t->chunks;
        c->used = 0;
        t->chunks = c;
    }
    to = c->text + c->used;
    memcpy(to, name, len);
    to[len] = '\0';
    c->used += len + 1;
    return to;
}

int symbol_table_reserve(struct symbol_table *t, size_t count)
{
    struct entry *grown;

    if (count > SYMBOL_TABLE_MAX)
        return SYMBOLS_ERR_ARGUMENT;
    if (count <= t->room)
        return SYMBOLS_OK;
    grown = realloc(t->entries, count * sizeof(*grown));
    if (grown == NULL)
        return SYMBOLS_ERR_NO_MEMORY;
    t->entries = grown;
    t->room = count;
    return SYMBOLS_OK;
}

static int make_room(struct symbol_table *t)
{
    size_t room = t->room == 0 ? 4096 : t->room * 2;

    return t->count < t->room ? SYMBOLS_OK
                              : symbol_table_reserve(t, room < SYMBOL_TABLE_MAX ? room : SYMBOL_TABLE_MAX);
}

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

/*
 * Of several names for one address: those that mark the bounds of sections say least, then weak
 * ones, then those that more underscores precede.
 */
static uint32_t rank_of(const char *name, char type)
{
    uint32_t underscores = (uint32_t)strspn(name, "_");
    bool bound = begins(name, "__start_") || begins(name, "__stop_") || begins(name, "__end_") ||
                 begins(name, "_end") || begins(name, "_text") || begins(name, "_stext") ||
                 begins(name, "_etext") || begins(name, "_sdata") || begins(name, "_edata");

    return (bound ? 1u << 16 : 0) + (lower(type) == 'w' || lower(type) == 'v' ? 1u << 15 : 0) +
           (underscores < 255 ? underscores : 255);
}

int symbol_table_add(struct symbol_table *t, const char *name, size_t len, uint64_t address,
                     uint64_t size, char type)
{
    struct entry *e;

    if (len == 0 || len > SYMBOL_NAME_MAX || t->finished || t->count >= SYMBOL_TABLE_MAX)
        return SYMBOLS_ERR_ARGUMENT;
    if (make_room(t) != SYMBOLS_OK)
        return SYMBOLS_ERR_NO_MEMORY;
    e = &t->entries[t->count];
    e->symbol = (struct symbol){.address = address, .size = size, .type = type};
    e->symbol.name = keep_name(t, name, len);
    if (e->symbol.name == NULL)
        return SYMBOLS_ERR_NO_MEMORY;
    e->order = (uint32_t)t->count;
    e->rank = rank_of(e->symbol.name, type);
    t->count++;
    return SYMBOLS_OK;
}

int symbol_table_append(struct symbol_table *t, const struct symbol_table *from)
{
    int status = symbol_table_reserve(t, t->count + from->count);

    for (size_t i = 0; i < from->count && status == SYMBOLS_OK; i++) {
        const struct symbol *s = &from->entries[i].symbol;

        status = symbol_table_add(t, s->name, strlen(s->name), s->address, s->size, s->type);
    }
    return status;
}

/* --- finishing --- */

static int compare(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    bool a_place = !symbol_is_absolute(&a->symbol), b_place = !symbol_is_absolute(&b->symbol);

    if (a_place != b_place)
        return a_place ? 1 : -1;
    if (a->symbol.address != b->symbol.address)
        return a->symbol.address < b->symbol.address ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

static bool same_address(const struct entry *a, const struct entry *b)
{
    return a->symbol.address == b->symbol.address && symbol_is_absolute(&a->symbol) == symbol_is_absolute(&b->symbol);
}

/* Sorts the entries, which most sources list by address: then only those at one address are out of order. */
static void sort_entries(struct symbol_table *t)
{
    struct entry *e = t->entries;
    size_t first = 0;

    for (size_t i = 1; i < t->count; i++)
        if (!same_address(&e[i - 1], &e[i]) && compare(&e[i - 1], &e[i]) > 0) {
            qsort(e, t->count, sizeof(*e), compare);
            return;
        }
    for (size_t i = 1; i <= t->count; i++) {
        if (i < t->count && same_address(&e[first], &e[i]))
            continue;
        if (i - first > 1)
            qsort(&e[first], i - first, sizeof(*e), compare);
        first = i;
    }
}

static void fill_sizes(struct symbol_table *t)
{
    uint64_t next = 0; /* the next higher address; 0: none */

    for (size_t i = t->count; i-- > t->absolute;) {
        struct symbol *s = &t->entries[i].symbol;

        if (i + 1 < t->count && t->entries[i + 1].symbol.address != s->address)
            next = t->entries[i + 1].symbol.address;
        if (s->size == 0 && next != 0)
            s->size = next - s->address;
    }
}

static uint64_t hash_name(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

    for (; *name != '\0'; name++)
        h = (h ^ (uint8_t)*name) * 0x100000001b3u;
    return h;
}

static int compare_keys(const void *left, const void *right)
{
    const struct name_key *a = left, *b = right;

    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

/* Without memory for it there is none. */
static void index_names(struct symbol_table *t)
{
    t->names = malloc(t->count == 0 ? 1 : t->count * sizeof(*t->names));
    if (t->names == NULL)
        return;
    for (size_t i = 0; i < t->count; i++)
        t->names[i] = (struct name_key){hash_name(t->entries[i].symbol.name), i};
    qsort(t->names, t->count, sizeof(*t->names), compare_keys);
}

int symbol_table_finish(struct symbol_table *t)
{
    if (t->finished)
        return SYMBOLS_ERR_ARGUMENT;
    sort_entries(t);
    while (t->absolute < t->count && symbol_is_absolute(&t->entries[t->absolute].symbol))
        t->absolute++;
    fill_sizes(t);
    t->finished = true;
    return SYMBOLS_OK;
}

/* --- looking --- */

size_t symbol_table_count(const struct symbol_table *t)
{
    return t->count;
}

const struct symbol *symbol_table_at(const struct symbol_table *t, size_t index)
{
    return &t->entries[index].symbol;
}

/* The first key whose hash is at least that. */
static size_t first_key(const struct symbol_table *t, uint64_t hash)
{
    size_t low = 0, high = t->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (t->names[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Of those with the name the first global one is meant, or the first. */
static bool is_better(const struct symbol *s, const struct symbol *best, const char *name)
{
    return strcmp(s->name, name) == 0 && (best == NULL || (symbol_is_global(s) && !symbol_is_global(best)));
}

static const struct symbol *look_in_index(const struct symbol_table *t, const char *name)
{
    uint64_t hash = hash_name(name);
    const struct symbol *best = NULL;

    for (size_t i = first_key(t, hash); i < t->count && t->names[i].hash == hash; i++) {
        const struct symbol *s = &t->entries[t->names[i].index].symbol;

        if (is_better(s, best, name))
            best = s;
    }
    return best;
}

static const struct symbol *look_everywhere(const struct symbol_table *t, const char *name)
{
    const struct symbol *best = NULL;

    for (size_t i = 0; i < t->count; i++)
        if (is_better(&t->entries[i].symbol, best, name))
            best = &t->entries[i].symbol;
    return best;
}

const struct symbol *symbol_table_by_name(const struct symbol_table *table, const char *name)
{
    struct symbol_table *t = (struct symbol_table *)table; /* the index is no part of what it says */

    if (!t->finished)
        return NULL;
    if (t->names == NULL && t->looks++ >= LOOKS_WITHOUT_INDEX)
        index_names(t);
    return t->names != NULL ? look_in_index(t, name) : look_everywhere(t, name);
}

bool symbol_table_address(const struct symbol_table *t, const char *name, uint64_t *address)
{
    const struct symbol *s = symbol_table_by_name(t, name);

    if (s != NULL)
        *address = s->address;
    return s != NULL;
}

/* The first place at or above an address. */
static size_t first_place(const struct symbol_table *t, uint64_t address)
{
    size_t low = t->absolute, high = t->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (t->entries[middle].symbol.address < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct symbol *symbol_table_by_address(const struct symbol_table *t, uint64_t address)
{
    size_t at = first_place(t, address);
    const struct symbol *s;

    if (!t->finished)
        return NULL;
    if (at < t->count && t->entries[at].symbol.address == address)
        return &t->entries[at].symbol;
    if (at == t->absolute)
        return NULL;
    s = &t->entries[at - 1].symbol;
    if (at == t->count && address - s->address >= s->size)
        return NULL;
    return &t->entries[first_place(t, s->address)].symbol;
}

char *symbol_table_describe(const struct symbol_table *t, uint64_t address, char *out, size_t len)
{
    const struct symbol *s = symbol_table_by_address(t, address);

    if (len == 0)
        return out;
    if (s == NULL)
        snprintf(out, len, "0x%" PRIx64, address);
    else if (s->size == 0)
        snprintf(out, len, "%s+0x%" PRIx64, s->name, address - s->address);
    else
        snprintf(out, len, "%s+0x%" PRIx64 "/0x%" PRIx64, s->name, address - s->address, s->size);
    return out;
}
