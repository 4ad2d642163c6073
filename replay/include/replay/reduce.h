/* SPDX-License-Identifier: MIT */
/*
 * Making a set of changes smaller that makes a run fail: delta debugging (Zeller and Hildebrandt, Simplifying and
 * Isolating Failure-Inducing Input, 2002), a round of candidates at a time, so that they can be tried side by
 * side. What comes out does not depend on how many are.
 *
 *     uint8_t *set = ...;                          // n bytes, 1: the change is made; a set that fails
 *     struct reduce r = {.n = n, .first_failing = try_them, .opaque = &runs};
 *     if (reduce_prefix(&r, set) == 0 && reduce_minimal(&r, set) == 0)
 *         ...                                      // without any one of them it does not fail
 */
#ifndef REPLAY_REDUCE_H
#define REPLAY_REDUCE_H

#include <stddef.h>
#include <stdint.h>

#define REDUCE_STOPPED SIZE_MAX

struct reduce {
    size_t n;
    /* Tries `count` sets of n bytes each. The lowest index of one that fails; `count`: none does; REDUCE_STOPPED: an
     * error, or somebody wants it to end. */
    size_t (*first_failing)(void *opaque, const uint8_t *const *sets, size_t count);
    void *opaque;
};

/*
 * Takes away what comes after the failure was sure: the shortest beginning of the set that fails, taking for
 * granted that longer ones fail too. 0; or -1: stopped, or out of memory; the set is still one that fails.
 */
int reduce_prefix(struct reduce *r, uint8_t *set);
/* Until no single change can be taken away. Likewise. */
int reduce_minimal(struct reduce *r, uint8_t *set);

size_t reduce_count(const struct reduce *r, const uint8_t *set);

#endif
