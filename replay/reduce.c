/* SPDX-License-Identifier: MIT */
/* Delta debugging over sets of changes: replay/reduce.h. */
#include <replay/reduce.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CUTS 3u /* candidates of a round that looks for a beginning */

/* The candidates of a round. */
struct round {
    uint8_t **sets;
    size_t count;
};

static void round_fini(struct round *round)
{
    for (size_t i = 0; i < round->count; i++)
        free(round->sets[i]);
    free(round->sets);
}

/* `count` empty sets. */
static int round_init(struct round *round, size_t count, size_t n)
{
    *round = (struct round){.sets = calloc(count, sizeof(*round->sets))};
    if (round->sets == NULL)
        return -1;
    while (round->count < count) {
        round->sets[round->count] = calloc(n + 1, 1);
        if (round->sets[round->count] == NULL) {
            round_fini(round);
            return -1;
        }
        round->count++;
    }
    return 0;
}

static size_t try_round(const struct reduce *r, const struct round *round)
{
    return r->first_failing(r->opaque, (const uint8_t *const *)round->sets, round->count);
}

size_t reduce_count(const struct reduce *r, const uint8_t *set)
{
    size_t count = 0;

    for (size_t i = 0; i < r->n; i++)
        count += set[i] != 0;
    return count;
}

/* Members [from, to) of `set`, counted among its members, into `out`. */
static void take_members(const struct reduce *r, const uint8_t *set, size_t from, size_t to, uint8_t *out)
{
    size_t k = 0;

    for (size_t i = 0; i < r->n; i++) {
        if (set[i] == 0)
            continue;
        out[i] |= k >= from && k < to;
        k++;
    }
}

/* --- beginnings --- */

/* One round: the failure needs more than the first `low` members, and no more than the first `high`. */
static int narrow(const struct reduce *r, const uint8_t *set, size_t *low, size_t *high)
{
    size_t cuts[CUTS], n = 0, found;
    struct round round;

    for (size_t c = 1; c <= CUTS; c++) {
        size_t at = *low + (*high - *low) * c / (CUTS + 1);

        if (at > *low && (n == 0 || at > cuts[n - 1]))
            cuts[n++] = at;
    }
    if (n == 0) { /* one more than low is high */
        *low = *high;
        return 0;
    }
    if (round_init(&round, n, r->n) != 0)
        return -1;
    for (size_t c = 0; c < n; c++)
        take_members(r, set, 0, cuts[c], round.sets[c]);
    found = try_round(r, &round);
    round_fini(&round);
    if (found == REDUCE_STOPPED)
        return -1;
    if (found < n)
        *high = cuts[found];
    if (found > 0)
        *low = cuts[found - 1];
    return 0;
}

int reduce_prefix(struct reduce *r, uint8_t *set)
{
    size_t low = 0, high = reduce_count(r, set);
    uint8_t *shorter = calloc(r->n + 1, 1);
    int rc = 0;

    if (shorter == NULL)
        return -1;
    while (rc == 0 && low < high)
        rc = narrow(r, set, &low, &high);
    take_members(r, set, 0, high, shorter);
    memcpy(set, shorter, r->n);
    free(shorter);
    return rc;
}

/* --- subsets --- */

/* The candidates of a round: each of `parts` parts alone, the last first, then all but each of them. */
static void fill(const struct reduce *r, const uint8_t *set, size_t members, size_t parts, struct round *round)
{
    for (size_t p = 0; p < parts; p++) {
        size_t from = members * (parts - 1 - p) / parts, to = members * (parts - p) / parts;

        take_members(r, set, from, to, round->sets[p]);
        if (parts > 2) {
            take_members(r, set, 0, from, round->sets[parts + p]);
            take_members(r, set, to, members, round->sets[parts + p]);
        }
    }
}

/* One round. *parts becomes what the next one is to use; *done: there is no smaller set. */
static int reduce_round(const struct reduce *r, uint8_t *set, size_t *parts, bool *done)
{
    size_t members = reduce_count(r, set), found;
    struct round round;

    if (round_init(&round, *parts > 2 ? 2 * *parts : *parts, r->n) != 0)
        return -1;
    fill(r, set, members, *parts, &round);
    found = try_round(r, &round);
    if (found < round.count)
        memcpy(set, round.sets[found], r->n);
    if (found < *parts)
        *parts = 2;
    else if (found < round.count)
        *parts = *parts > 3 ? *parts - 1 : 2;
    else if (*parts < members)
        *parts = 2 * *parts < members ? 2 * *parts : members;
    else
        *done = true;
    round_fini(&round);
    return found == REDUCE_STOPPED ? -1 : 0;
}

int reduce_minimal(struct reduce *r, uint8_t *set)
{
    uint8_t *nothing = calloc(r->n + 1, 1);
    const uint8_t *const sets[] = {nothing};
    size_t parts = 2, found;
    bool done = false;
    int rc = 0;

    if (nothing == NULL)
        return -1;
    found = r->first_failing(r->opaque, sets, 1);
    if (found == 0)
        memset(set, 0, r->n);
    else if (found == REDUCE_STOPPED)
        rc = -1;
    free(nothing);
    while (rc == 0 && !done && reduce_count(r, set) > 1)
        rc = reduce_round(r, set, &parts, &done);
    return rc;
}
