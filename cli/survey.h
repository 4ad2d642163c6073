/* SPDX-License-Identifier: MIT */
/*
 * What happened in a recorded run: whether it failed, what came to it, which interrupts it took, and where in the
 * guest's code. The trace is replayed for it once, in a process of its own and in the sandbox.
 */
#ifndef CLI_SURVEY_H
#define CLI_SURVEY_H

#include <stdbool.h>
#include <stdint.h>

#include <emu/machine.h>
#include <replay/script.h>

#include "failure.h"

struct guest_symbols;

#define PLACE_TEXT 96 /* bytes of "do_idle+0x12/0x200" */

/* How a run ended. */
struct verdict {
    bool failed;
    bool stopped_short; /* it reached a limit */
    enum machine_stop why;
    int status;         /* exit status of `deja run` */
    uint64_t icount, vns;
    uint64_t rip;
    char line[160];     /* what it printed that --output asks for */
    char error[200];    /* it could not be judged; else empty */
};

struct place {
    struct moment at;
    uint64_t vns;
    uint64_t rip;          /* linear, of the instruction before which it happened */
    uint64_t rsp;
    char symbol[PLACE_TEXT]; /* empty: none is known */
};

struct surveyed_interrupt {
    struct place place; /* where it interrupted */
    uint32_t vector, source;
};

struct survey {
    const char *path;
    struct player *player;   /* at power-on: for its machine's configuration */
    struct verdict verdict;
    struct script script;
    struct place *places;    /* of the script's events */
    struct surveyed_interrupt *interrupts;
    size_t ninterrupts;
};

struct survey_options {
    const struct failure_options *failure;
    struct guest_symbols *symbols; /* made before, looked at in the process that runs the guest */
    bool no_sandbox;
};

/* 0, or an exit status after the error was printed. `path` must outlive *s, which is to be finished in both
 * cases. */
int survey_trace(struct survey *s, const char *path, const struct survey_options *o);
/* Nothing to do for a zeroed one. */
void survey_fini(struct survey *s);

/* The machine's configuration, its perturbation seed included. */
const struct machine_config *survey_config(const struct survey *s);

/* --- for those who judge runs themselves --- */

/* Judges a run that has ended, naming the symbols of a condition by where this guest has them. */
void survey_judge(struct verdict *v, struct failure *f, struct guest_symbols *symbols, struct machine *m,
                  enum machine_stop why);
/* A run that begins like a recorded one, after `icount` instructions, has printed what that had. */
struct output_log;
void survey_tell_past(struct failure *f, const struct output_log *log, uint64_t icount);
/* A judge before the guest has any symbols. NULL with one line in `err`. */
struct failure *survey_judge_create(const struct failure_options *o, char *err, size_t errlen);
/* The verdict in words: "ended (exit) with status 3 at instruction 18,659,440". */
void survey_describe(const struct verdict *v, char *out, size_t len);

#endif
