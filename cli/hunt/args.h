/* SPDX-License-Identifier: MIT */
/*
 * What `deja hunt` was asked: a plan, which fixes every run and is kept in hunt.json, and a session, which says how
 * much of it is done now, where and by whom.
 */
#ifndef CLI_HUNT_ARGS_H
#define CLI_HUNT_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../failure.h"
#include "../options.h"

#define HUNT_MAX_RUNS 10000000u

enum hunt_keep { KEEP_UNIQUE, KEEP_FAILING, KEEP_ALL };

struct hunt_plan {
    uint64_t runs;            /* beside run 0, the unperturbed one */
    bool vary_seed;           /* the machine's own seed differs from run to run, too */
    uint64_t until_icount;    /* 0: as the unperturbed run says */
    const char *until_output; /* a text that ends a run; NULL: none */
    struct failure_options failure;
    enum hunt_keep keep;
    uint64_t keep_per_site;
    uint64_t stop_after;      /* failures; 0: never */
    const char *stdin_path, *stdin_after; /* NULL: none */
    struct run_options machine;
    uint8_t *input;           /* of stdin_path */
    size_t input_len;

    /* The arguments that say all this but for `runs`, as they were given, those of them that are the machine's, and
     * the folder in which. */
    char **argv, **machine_argv;
    int argc, machine_argc;
    char *folder;
    char **owned; /* what they are in, if they come from hunt.json; NULL: main()'s */
};

enum hunt_mode { HUNT_NEW, HUNT_RESUME, HUNT_ONE, HUNT_COLLECT };

struct hunt_session {
    enum hunt_mode mode;
    const char *dir;
    uint64_t jobs;        /* 0: not said */
    uint64_t first;       /* HUNT_ONE: this run, */
    uint64_t chunk;       /* and so many, or so many a command; 0: not said */
    uint64_t more_runs;   /* HUNT_RESUME: runs of the plan from now on; 0: as before */
    bool print_commands, slurm, json, stats, no_sandbox;
    const char *slurm_options; /* NULL: none */
};

/*
 * Reads the command line. The plan is read and complete when the mode is HUNT_NEW; else it is in the folder, for
 * hunt_plan_parse(). 0, or an exit status after the error was printed. *plan is to be freed in both cases.
 */
int hunt_args_parse(struct hunt_plan *plan, struct hunt_session *session, int argc, char **argv);

/* A plan from its arguments, an allocated array of allocated texts that ends with NULL and is taken over, like `folder`:
 * that becomes the current folder, since names of files are relative to it. The same returns. */
int hunt_plan_parse(struct hunt_plan *plan, int argc, char **argv, char *folder);
void hunt_plan_free(struct hunt_plan *plan);

/* Seeds of run n, from 1: of its perturbation, and of its machine. */
uint64_t hunt_plan_seed(const struct hunt_plan *plan, uint64_t run);
uint64_t hunt_plan_machine_seed(const struct hunt_plan *plan, uint64_t run);

#endif
