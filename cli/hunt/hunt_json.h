/* SPDX-License-Identifier: MIT */
/* hunt.json: what a hunt was asked, and what came of it. The manual page lists its members. */
#ifndef CLI_HUNT_HUNT_JSON_H
#define CLI_HUNT_HUNT_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "args.h"
#include "book.h"
#include "folder.h"
#include "runner.h"

/* Where the time went. Machines that run again, to be recorded, count as work beside the runs. */
struct hunt_time {
    uint64_t wall_ns;          /* of this process, while it hunted */
    uint64_t jobs;
    uint64_t runs;             /* that it did */
    struct runner_time guests; /* of these, in machines, summed up */
    uint64_t recording_ns;     /* on the wall, in machines that ran again */
    uint64_t cpu_ns;           /* of all processes */
};
/* Of the wall time that the jobs had, and of the CPU time that was used, what was not spent in runs of guests. 0 to 1.
 * The first includes waiting, for other programs too. */
double hunt_time_outside(const struct hunt_time *t);
double hunt_time_outside_cpu(const struct hunt_time *t);

/* `limit` 0: not known yet. `time` NULL: nothing ran here. */
void hunt_json_print(const struct hunt_plan *plan, const struct book *b, uint64_t limit, const struct hunt_time *time,
                     FILE *out);
/* The same into the folder, in one go. 0, or an exit status after the error was printed. */
int hunt_json_write(const struct hunt_folder *f, const struct hunt_plan *plan, const struct book *b, uint64_t limit,
                    const struct hunt_time *time);

/* The plan of a folder; its images must be those of then. `runs` 0, or how many there are from now on. 0, or an exit
 * status after the error was printed; *plan is to be freed in both cases. Changes the current folder. */
int hunt_json_read_plan(const struct hunt_folder *f, uint64_t runs, struct hunt_plan *plan);

#endif
