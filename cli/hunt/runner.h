/* SPDX-License-Identifier: MIT */
/*
 * Runs of a plan, one after the other on one machine that is put back to power-on; or one that is recorded.
 *
 *     struct runner *r = runner_create(&plan, err, sizeof(err));
 *     ... in a process of its own, in the sandbox ...
 *     runner_prepare(r);
 *     runner_run(r, run, limit, &result, err, sizeof(err));
 *     ... or, in another one ...
 *     struct recorder *recorder = runner_open_recording(r, run, path, limit, err, sizeof(err));
 *     ... the sandbox ...
 *     runner_record(r, recorder, run, limit, &result, err, sizeof(err));
 *
 * A run is the same in all of these ways.
 */
#ifndef CLI_HUNT_RUNNER_H
#define CLI_HUNT_RUNNER_H

#include <stddef.h>
#include <stdint.h>

#include "args.h"
#include "result.h"

/* An unperturbed run that does not end by itself within so many instructions needs --until. */
#define RUNNER_BASE_LIMIT 10000000000u

struct recorder;
struct runner;

/* Makes the machine at power-on. NULL with one line in `err`. The plan must outlive it. */
struct runner *runner_create(const struct hunt_plan *plan, char *err, size_t errlen);
void runner_destroy(struct runner *r); /* NULL is fine */

/* Before the first runner_run(). 0, or -1 with a line. */
int runner_prepare(struct runner *r, char *err, size_t errlen);
/* How far runs may go. */
struct runner_limit {
    uint64_t icount; /* they are cut there */
    bool must_end;   /* one that is cut there has failed, if the user has not said what a failure is */
};

/* Run n. 0; or -1 with a line: out of memory, or the condition of --fail-when names a symbol that the unperturbed run
 * does not have. */
int runner_run(struct runner *r, uint64_t run, struct runner_limit limit, struct hunt_result *out, char *err,
               size_t errlen);

/* Recording takes the machine from power-on, once. */
struct recorder *runner_open_recording(struct runner *r, uint64_t run, const char *path,
                                       struct runner_limit limit, char *err, size_t errlen);
int runner_record(struct runner *r, struct recorder *recorder, uint64_t run, struct runner_limit limit,
                  struct hunt_result *out, char *err, size_t errlen);

/* Time inside of machines so far: on the wall, and of the CPU. */
struct runner_time {
    uint64_t wall_ns, cpu_ns;
};
struct runner_time runner_time(const struct runner *r);

#endif
