/* SPDX-License-Identifier: MIT */
/*
 * The results of a hunt: what is known of each run, the sites of failures, and which recordings are kept.
 *
 * Results come in any order; what they mean is settled in the order of runs. So counts, the recordings that are kept
 * and where --stop-after ends the hunt do not depend on who was faster.
 */
#ifndef CLI_HUNT_BOOK_H
#define CLI_HUNT_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "args.h"
#include "result.h"

struct book_site {
    char *text;
    uint64_t count;
    uint64_t first;  /* the first run that failed there */
    uint64_t kept;   /* recordings that are to be kept of it */
    uint64_t *recorded; /* runs whose recordings are there, ascending */
    size_t nrecorded;
};

struct book_entry {
    struct hunt_result *result; /* NULL: not known; its site may be cut off behind its NUL */
    uint32_t site;              /* of a settled failure: place in `sites`, plus 1 */
    bool settled;
    bool keep;     /* its recording is to be kept */
    bool recorded; /* it is there */
};

struct book {
    const struct hunt_plan *plan;
    struct book_entry *entries; /* by run, plan->runs + 1 of them */
    struct book_site *sites;    /* by first run */
    uint32_t nsites;
    uint32_t *table;            /* places in `sites`, plus 1, by hash; a power of two of them */
    uint32_t table_size;
    uint64_t first;             /* the first run that counts */
    uint64_t next;              /* all before are settled, or not to be */
    uint64_t last;              /* the last run that counts: where --stop-after ends the hunt, or the plan's last */
    uint64_t done, failed, overlong; /* of the settled */
};

/* For runs `first` to `last`, and run 0, which is never settled. 0, or -1: out of memory. */
int book_init(struct book *b, const struct hunt_plan *plan, uint64_t first, uint64_t last);
void book_fini(struct book *b);

/* A result; its run is not beyond the plan's. 0; -1: out of memory; 1: there is another result of that run, and they
 * differ. */
int book_add(struct book *b, const struct hunt_result *r);
/* The result of a run; NULL: not known. */
const struct hunt_result *book_result(const struct book *b, uint64_t run);

/* Settles what can be settled. 1: one run was, *run, which may have to be recorded (entries[*run].keep); 0: nothing
 * more can be; -1: out of memory. `gaps`: also behind runs that are not known. */
int book_settle(struct book *b, bool gaps, uint64_t *run);
/* Every run that counts is settled. */
bool book_is_complete(const struct book *b);
/* A recording of the run, which is settled or run 0, is there. 0, or -1: out of memory. */
int book_recorded(struct book *b, uint64_t run);
/* The site of a failure; NULL: it did not fail, or is not settled. */
const struct book_site *book_site_of(const struct book *b, uint64_t run);

#endif
