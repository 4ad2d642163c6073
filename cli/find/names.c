/* SPDX-License-Identifier: MIT */
/*
 * Symbols of selectors become addresses: find.h. One process looks for them, in memory that all share, and the
 * others wait for it.
 */
#include "find.h"

#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "../cli.h"
#include "../guest_symbols.h"

struct find_names {
    sem_t ready;    /* whoever has waited lets the next one through */
    bool known;     /* all of them */
    uint64_t addresses[FIND_MAX_SELECTORS];
};

bool find_needs_names(const struct find_args *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->selectors[i].place.symbol[0] != '\0')
            return true;
    return false;
}

struct find_names *find_names_create(void)
{
    struct find_names *n = mmap(NULL, sizeof(*n), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (n == MAP_FAILED)
        return NULL;
    if (sem_init(&n->ready, 1, 0) == 0)
        return n;
    munmap(n, sizeof(*n));
    return NULL;
}

void find_names_destroy(struct find_names *n)
{
    if (n != NULL)
        munmap(n, sizeof(*n));
}

/* --- whoever looks --- */

/* NULL: all symbols are known now; else one that is not. */
static const char *unresolved(struct find_names *n, const struct find_args *a, const struct guest_symbols *symbols)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct place *p = &a->selectors[i].place;

        if (p->symbol[0] != '\0' && !guest_symbols_find(symbols, p->symbol, &n->addresses[i]))
            return p->symbol;
    }
    return NULL;
}

bool find_names_resolve(struct find_names *n, const struct find_args *a, const struct guest_symbols *symbols)
{
    n->known = unresolved(n, a, symbols) == NULL;
    return n->known;
}

int find_names_missing(struct find_names *n, const struct find_args *a, const struct guest_symbols *symbols)
{
    cli_error("find: %s: no such symbol of the guest's kernel%s", unresolved(n, a, symbols),
              a->query.vmlinux == NULL ? " (--vmlinux FILE names one with symbols)" : "");
    return EXIT_USAGE;
}

void find_names_tell(struct find_names *n)
{
    sem_post(&n->ready);
}

bool find_names_known(const struct find_names *n)
{
    return n->known;
}

/* --- whoever uses them --- */

static void place_all(const struct find_names *n, struct find_args *a)
{
    for (size_t i = 0; i < a->n; i++) {
        struct place *p = &a->selectors[i].place;

        if (p->symbol[0] == '\0')
            continue;
        p->symbol[0] = '\0';
        p->address += n->addresses[i];
        if (p->length > 0 && p->length - 1 > UINT64_MAX - p->address)
            p->length = UINT64_MAX - p->address + 1; /* up to the end of memory */
    }
}

bool find_names_take(struct find_names *n, struct find_args *a)
{
    if (!find_needs_names(a))
        return true;
    while (sem_wait(&n->ready) != 0) /* a signal came in between */
        ;
    sem_post(&n->ready);
    if (n->known)
        place_all(n, a);
    return n->known;
}
