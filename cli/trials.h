/* SPDX-License-Identifier: MIT */
/*
 * Running a recorded machine again with some of the changes between two runs made, and judging each run: side by
 * side, each in a process of its own and in the sandbox.
 */
#ifndef CLI_TRIALS_H
#define CLI_TRIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <replay/transplant.h>

#include "survey.h"

struct trials {
    const struct transplant *transplant;
    const struct failure_options *failure;
    struct guest_symbols *symbols;
    uint64_t limit_icount, limit_ns; /* a run that goes on and on has not failed */
    bool no_reboot;                  /* a reset ends a run */
    bool no_sandbox;
    unsigned jobs;                   /* 0: as many as there are cores */
    uint64_t count;                  /* runs so far */
    struct timeline *base;           /* the base run, for those that begin like it; NULL: all begin at power-on */
    const char *what;                /* progress is about; NULL: none is shown */
    char error[256];                 /* after a failure of the host */
};

/* One run. */
struct trial {
    const uint8_t *set;
    const struct script_event *more; /* comes too; NULL: nothing */
    uint64_t until;                  /* it is judged after so many instructions; 0: at its end */
};

/* Whether each fails: as many verdicts. 0, or -1: trials.error. */
int trials_run(struct trials *t, const struct trial *list, struct verdict *verdicts, size_t n);
/* The same of one. */
int trials_run_one(struct trials *t, const struct trial *trial, struct verdict *verdict);
/* The lowest index of one that fails, and its verdict: those behind it may not be run. n: none does. SIZE_MAX:
 * trials.error. */
size_t trials_first_failing(struct trials *t, const struct trial *list, size_t n, struct verdict *verdict);

/* Of a run: when it executes an instruction. */
struct visit {
    struct moment at;
    uint64_t vns;
};

#define VISITS_MAX 40u /* of a kind, on either side */

struct visits {
    struct visit list[4 * VISITS_MAX];
    size_t alike; /* so many come first: the stack is as deep, and the function probably called from the same place */
    size_t n;
};

/* Of the run with these changes: when it executes the instruction at `like->rip`. Of the visits that are alike, and of
 * the others, those closest to `like->at` by icount, none further away than TRIALS_NEAR. 0, or -1: trials.error. */
#define TRIALS_NEAR 20000000u
int trials_find(struct trials *t, const uint8_t *set, const struct place *like, struct visits *out);

/* Records a run into the file `path`. 0, or -1: trials.error. */
int trials_record(struct trials *t, const struct trial *trial, const char *path, struct verdict *verdict);

#endif
