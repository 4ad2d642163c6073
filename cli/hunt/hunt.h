/* SPDX-License-Identifier: MIT */
/*
 * A hunt: a plan, its folder, and as many of its runs as are missing.
 *
 *     hunt_open(&h, &plan, &folder, &session, 1, plan.runs);
 *     hunt_take_up(&h);
 *     status = hunt_base(&h);                  // the unperturbed run
 *     status = hunt_missing(&h);
 *     hunt_close(&h);
 */
#ifndef CLI_HUNT_HUNT_H
#define CLI_HUNT_HUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "args.h"
#include "book.h"
#include "crew.h"
#include "folder.h"
#include "hunt_json.h"

struct hunt {
    const struct hunt_plan *plan;
    const struct hunt_session *session;
    struct hunt_folder *folder;
    struct book book;
    struct runner *runner;
    struct crew *crew;     /* NULL: nothing runs */
    unsigned jobs;
    struct runner_limit limit; /* of a run; icount 0: not known yet */
    bool loose;            /* recordings stay in results/, hunt.json is not written: a single command */
    bool stopped;          /* a signal asked for it */

    uint64_t cursor;       /* runs before it are done, or ordered */
    uint64_t *to_record;   /* runs whose recordings are due, a queue */
    size_t nto_record, at_record, room_record;
    uint64_t begin_ns, json_ns, json_cost_ns, shown_ns;
    uint64_t crew_cpu_ns;  /* CPU time of the crew */
    struct hunt_time time;
};

/* The file in results/ of those who hunt here alone. */
#define HUNT_LOCAL "local"

/* For runs `first` to `last`. 0, or an exit status after the error was printed; hunt_close() is fine then, too. */
int hunt_open(struct hunt *h, const struct hunt_plan *plan, struct hunt_folder *folder,
              const struct hunt_session *session, uint64_t first, uint64_t last);
/* Takes up the results that are in the folder: all; or those of one file. The same returns. */
int hunt_take_up(struct hunt *h);
int hunt_take_up_file(struct hunt *h, const char *name);
void hunt_close(struct hunt *h);

/* Sees that the unperturbed run is there, with its recording; it says how long the others may be. */
int hunt_base(struct hunt *h);
/* Does what is missing. EXIT_DONE also when it was stopped: h->stopped. */
int hunt_missing(struct hunt *h);
/* Without running a guest but to record it: settles what there is of results, takes in loose recordings. */
int hunt_collect(struct hunt *h);
/* Counts what is known, also behind gaps. The same returns. */
int hunt_settle_rest(struct hunt *h);
/* All is there: removes recordings that are not kept. */
void hunt_tidy(struct hunt *h);
/* hunt.json. */
int hunt_write(struct hunt *h);

#endif
