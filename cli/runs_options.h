/* SPDX-License-Identifier: MIT */
/* The command lines of what runs a recorded machine again with changes: minimize, bisect --good --bad, --causal. */
#ifndef CLI_RUNS_OPTIONS_H
#define CLI_RUNS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "failure.h"

#define RUNS_MAX 64

struct runs_options {
    const char *traces[RUNS_MAX]; /* those that no option came before */
    size_t ntraces;
    const char *good[RUNS_MAX];
    size_t ngood;
    const char *bad[RUNS_MAX];
    size_t nbad;
    struct failure_options failure;
    const char *output, *vmlinux, *svg;
    uint64_t jobs, samples, points, seed;
    bool causal, json, no_sandbox;
};

/* 0, or EXIT_USAGE after the error was printed. */
int runs_options_parse(struct runs_options *a, const char *command, const char *usage, int argc, char **argv);
/* The trace to write must not be one that is read. */
int runs_options_check_output(const struct runs_options *a, const char *command);

#endif
