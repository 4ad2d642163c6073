/* SPDX-License-Identifier: MIT */
/*
 * How one run of a machine differs from another in what came to it, as changes that can be made one by one.
 *
 *     struct transplant t;
 *     if (transplant_init(&t, &base, &base_config, &other, &other_config, err, sizeof(err)) == 0) {
 *         set[i] = 1; ...                               // t.n changes, 1: made
 *         transplant_apply(&t, set, &script, &config);  // none: the base run; all: the other
 *     }
 *     transplant_fini(&t);
 *
 * Inputs are aligned by content, so that one which only came at another moment is one change. Acts upon timing are
 * the same when they are so in all. Of the configuration, seed, wall clock and command line can be transplanted;
 * machines that differ in more are not comparable.
 */
#ifndef REPLAY_TRANSPLANT_H
#define REPLAY_TRANSPLANT_H

#include <stddef.h>
#include <stdint.h>

#include <emu/machine.h>
#include <replay/script.h>

enum change_kind { CHANGE_SEED, CHANGE_RTC, CHANGE_CMDLINE, CHANGE_EVENT };

#define NO_EVENT SIZE_MAX

struct change {
    enum change_kind kind;
    size_t removed; /* CHANGE_EVENT: index of the base's event that goes, */
    size_t added;   /* and of the other's that comes; NO_EVENT: none */
};

struct transplant {
    const struct script *base, *other;
    const struct machine_config *base_config, *other_config;
    struct change *changes; /* of the configuration first, then by moment */
    size_t n, capacity;
    uint64_t *base_rank, *other_rank; /* order of events of one moment */
};

/* All but `t` must outlive it. 0, or -1 with one line in `err`: not comparable, or out of memory. */
int transplant_init(struct transplant *t, const struct script *base, const struct machine_config *base_config,
                    const struct script *other, const struct machine_config *other_config, char *err,
                    size_t errlen);
void transplant_fini(struct transplant *t);

/* The run with the changes in `set`: its events, added to the empty *out, and its configuration, without a
 * perturbation seed. 0, or -1: out of memory. */
int transplant_apply(const struct transplant *t, const uint8_t *set, struct script *out,
                     struct machine_config *config);

#endif
