/* SPDX-License-Identifier: MIT */
/*
 * What the files of a scan share: cutting and running in this process (scan.c), claiming and running segments
 * (scan_worker.c), forking, and merging what workers say (scan_merge.c).
 *
 * A segment's *place* is its number in the order in which records are delivered.
 */
#ifndef REPLAY_SCAN_INTERNAL_H
#define REPLAY_SCAN_INTERNAL_H

#include <stdatomic.h>

#include <replay/scan.h>

#include "timeline_internal.h"

/* Memory that all processes of a scan see. */
struct scan_shared {
    atomic_bool cancel;                       /* nobody wants anything any more */
    atomic_uint_fast32_t limit;               /* places beyond it are not wanted */
    atomic_uint_fast64_t done[SCAN_MAX_JOBS]; /* instructions that each worker has run */
    atomic_uint_fast16_t owner[];             /* by place: 1 + the worker that has claimed it; 0: nobody */
};

struct scan {
    struct timeline *t;
    const struct scan_options *o;
    struct scan_segment *segments; /* by place */
    uint32_t n;
    uint64_t total;                /* instructions in all of them; 0: not known */
    unsigned jobs;
    struct scan_shared *shared;
    size_t shared_bytes;
    char *err;
    size_t errlen;
};

struct scan_worker {
    struct scan *scan;
    unsigned number;
    uint32_t place;     /* of the segment that it runs */
    uint64_t done;      /* instructions in the segments before */
    uint32_t unasked;   /* hits since it was last asked whether to go on */
    bool enough;        /* of this segment: a record was the one, or was refused */
    bool lost;          /* the process that listens is gone */
    int pipe;           /* -1: this process is the one that listens */
    uint8_t *out;       /* frames that are not written yet */
    size_t nout;
};

/* What goes through a worker's pipe. */
enum scan_frame_kind {
    SCAN_FRAME_RECORD,   /* of the segment at `place`: len bytes follow */
    SCAN_FRAME_THROUGH,  /* the segment at `place` is done */
    SCAN_FRAME_DIVERGED, /* one line follows, without its NUL */
    SCAN_FRAME_ERROR,
    SCAN_FRAME_BYE,      /* nothing left to claim */
};
struct scan_frame {
    uint32_t kind, place, len;
};
#define SCAN_RECORD_MAX (1u << 20)

/* The part of this process: confine() and prepare(). False: one of them failed. */
bool scan_prepare(const struct scan *s);

/* Claims segments and runs them until there are none left: `w` has its scan, number and pipe. */
enum scan_status scan_worker_run(struct scan_worker *w);

/* Forks, and delivers records in order until the scan is over. */
enum scan_status scan_in_processes(struct scan *s);

#endif
