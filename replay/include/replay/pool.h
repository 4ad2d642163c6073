/* SPDX-License-Identifier: MIT */
/*
 * Jobs that run machines, each in a process of its own that begins as a copy of this one, some at a time.
 *
 *     struct pool pool = {.jobs = pool_cores(), .result_bytes = sizeof(struct verdict),
 *                         .enter = sandbox_enter, .work = run_one, .done = take_verdict, .opaque = &search};
 *     if (pool_run(&pool, n, err, sizeof(err)) != 0) ...
 *
 * A machine that this process created and never ran is at power-on in every job: memory is shared until it is
 * written to. Jobs end with this process, however it ends.
 */
#ifndef REPLAY_POOL_H
#define REPLAY_POOL_H

#include <stdbool.h>
#include <stddef.h>

/* What is to become of the jobs that are not done yet. */
enum pool_next {
    POOL_GO_ON,
    POOL_DROP_LATER, /* those with a higher number are not needed any more */
    POOL_STOP,       /* none is */
};

struct pool {
    unsigned jobs;       /* at a time; 0: as many as there are cores */
    size_t result_bytes; /* at most POOL_MAX_RESULT */
    /* In the job's process, first: 0, or it is to exit with that status. NULL: nothing. */
    int (*enter)(void);
    /* In the job's process: job `i`, its answer to *result, which is zeroed. */
    void (*work)(void *opaque, size_t i, void *result);
    /* In this process, in the order in which they end. `result` NULL: the process of job `i` died. */
    enum pool_next (*done)(void *opaque, size_t i, const void *result);
    void *opaque;
};

#define POOL_MAX_RESULT 4096u /* a pipe takes it at once */

/* How many cores this process may use. */
unsigned pool_cores(void);

/* Jobs 0 to n - 1, begun in this order. 0 when all are done or dropped; -1 with one line in `err`: the host gives no
 * process, all that were running have been ended. */
int pool_run(const struct pool *pool, size_t n, char *err, size_t errlen);

#endif
