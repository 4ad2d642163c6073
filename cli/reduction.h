/* SPDX-License-Identifier: MIT */
/*
 * From two runs of a machine, one that fails and one that does not, to the least that makes the difference: what
 * `deja minimize` and `deja bisect --good --bad` have in common.
 *
 * First all that comes after the failure was sure is left out. If what then comes last is an act upon timing, the
 * interrupts that came then are looked for in the good run: at the places near there where the interrupted
 * instruction is executed, those with a stack as deep first, the guest is preempted, and if one of these runs fails,
 * that preemption alone is the answer, however many acts had led to it. Otherwise changes are taken away until none can be (replay/reduce.h).
 */
#ifndef CLI_REDUCTION_H
#define CLI_REDUCTION_H

#include <stdbool.h>
#include <stdint.h>

#include "survey.h"
#include "trials.h"

struct reduction_options {
    const struct failure_options *failure;
    const char *vmlinux;
    const char *output;   /* the trace to write; NULL: none */
    unsigned jobs;
    bool no_sandbox, json;
};

struct reduction {
    const struct reduction_options *options;
    struct guest_symbols *symbols;
    struct transplant transplant;
    struct trials trials;
    uint8_t *set;                  /* the changes that are left */
    uint8_t *none;                 /* no change */
    size_t before, after;          /* how many there were, and are */
    bool by_place;                 /* instead of them: */
    struct script_event preemption;
    uint64_t until;                /* it ends after so many instructions; 0: by itself */
    struct survey least;           /* the run with what is left */
    char path[256];                /* its trace */
    bool temporary;
};

/* Set *r up for runs of `bad`'s machine with changes made to `base`, which needs no survey when it is an empty script
 * (minimize). 0, or an exit status after the error was printed. */
int reduction_init(struct reduction *r, const struct reduction_options *o, struct guest_symbols *symbols,
                   const struct script *base, const struct machine_config *base_config, const struct survey *bad);
void reduction_fini(struct reduction *r);

/* Finds the least, which may be nothing at all, records it and looks at what happens in it. 0, or an exit status after
 * the error was printed. */
int reduction_find(struct reduction *r);
/* Of a failure that is a condition: ends the run that is left where it holds first, taking for granted that it goes on
 * to hold. Likewise. */
int reduction_end_early(struct reduction *r);

/* The changes that are left, a line each, or as a JSON array. */
void reduction_print(const struct reduction *r, const struct survey *bad, const struct survey *good);

#endif
