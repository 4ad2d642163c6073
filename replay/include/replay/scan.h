/* SPDX-License-Identifier: MIT */
/*
 * Going through a recorded run in parallel: cut into segments between checkpoints, which worker processes run
 * forward, each with its own copy of the machine; what they have to say comes back in order.
 *
 *     static enum timeline_status run(void *opaque, struct scan_worker *w, const struct scan_segment *s)
 *     {
 *         struct machine *m = timeline_machine(scan_timeline(w));
 *         enum timeline_status status;
 *
 *         machine_debug_insert(m, &point);
 *         while ((status = scan_advance(w, s->to)) == TIMELINE_HIT) {
 *             if (!scan_emit(w, &what, sizeof(what)))
 *                 break;                                       // nobody wants more of this segment
 *             machine_debug_ignore(m);
 *         }
 *         return status;
 *     }
 *
 *     struct scan_options o = {.struct_size = sizeof(o), .run = run, .record = record, .to = timeline_end_moment()};
 *     switch (scan_run(t, &o, err, sizeof(err))) ...
 *
 * How it is cut changes nothing: the segments' runs together pass through the moments of one run from
 * options.from to options.to, each moment once. Without checkpoints, or with one job, this process runs through it
 * by itself, and record() is called as things happen. Otherwise workers are forked: call it before the process has
 * entered a sandbox, and let confine() enter it. run() then happens in a worker, whose memory nobody else sees,
 * and record() in this process.
 *
 * Work is handed out as workers become free. With SCAN_ALL each goes on with the segment behind its last one as long
 * as it can, which needs no going back to a checkpoint, and then helps where the most is left. With
 * SCAN_FIRST and SCAN_LAST the one record that comes first, or last, in the run is wanted: segments are taken
 * in order, and those behind a record are given up.
 *
 * A worker that dies is an error, and ends the others; they end too when this process dies.
 */
#ifndef REPLAY_SCAN_H
#define REPLAY_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <replay/timeline.h>

#define SCAN_MAX_JOBS 256u

struct scan_worker;

/* A part of the run: all moments at or after `from` and before `to`. */
struct scan_segment {
    struct moment from, to;
};

enum scan_order {
    SCAN_ALL,   /* every record, ascending */
    SCAN_FIRST, /* at most one: a segment's run ends with its first, */
    SCAN_LAST,  /* or emits the last when it is through */
};

enum scan_status {
    SCAN_DONE,        /* through all of it */
    SCAN_ENOUGH,      /* record() said so, or it was the one that was wanted */
    SCAN_INTERRUPTED, /* options.interrupted said so */
    SCAN_DIVERGED,    /* the replay departed from its trace; `err` says where */
    SCAN_ERROR,       /* `err` says what; empty: it was said before */
};

struct scan_options {
    size_t struct_size;       /* sizeof(struct scan_options) */
    unsigned jobs;            /* at most so many workers; 0: as many as there are CPUs for this process */
    enum scan_order order;
    struct moment from, to;   /* `to` beyond the end: to the end */
    /* Whether there is something to be found in this part; NULL: in all. Called in this process, before. */
    bool (*wanted)(void *opaque, const struct scan_segment *s);
    /* Enters the sandbox: called once in each process that runs the guest, and once in this one. 0, or what is
     * wrong has been printed. NULL: none. */
    int (*confine)(void *opaque);
    /* What is left to do for this process before anything is found: called once, after confine(), with workers started
     * if there are any; they do not wait for it. 0, or what is wrong has been printed. NULL: nothing. */
    int (*prepare)(void *opaque);
    /*
     * Goes through a segment with the machine at its `from`: THERE or END, or what scan_advance() gave that is
     * neither these nor HIT. Points are its own to set, and are taken away behind it; a watcher (emu/watch.h), or
     * outputs of the player's, it takes away itself.
     */
    enum timeline_status (*run)(void *opaque, struct scan_worker *w, const struct scan_segment *s);
    /* A record, in order. False: enough. */
    bool (*record)(void *opaque, const void *data, size_t len);
    /* Asked now and then, in this process: true stops. NULL: never. */
    bool (*interrupted)(void *opaque);
    /* As a timeline's. NULL: nobody wants to know. */
    void (*progress)(void *opaque, const char *what, uint64_t done, uint64_t total);
    const char *what;         /* for progress: "searching" */
    void *opaque;
};

/* The timeline stands anywhere, not in a branch, and afterwards where it was or, if this process ran itself, somewhere
 * else. */
enum scan_status scan_run(struct timeline *t, const struct scan_options *o, char *err, size_t errlen);

/* How many processes would run it: 1 means this one. */
unsigned scan_jobs(const struct timeline *t, const struct scan_options *o);

/* --- in run() --- */

struct timeline *scan_timeline(const struct scan_worker *w);
/*
 * Runs forward to `until`, not beyond the segment's end. HIT: at a point of the machine's (machine_debug_hits()),
 * machine_debug_ignore() then lets it go on. THERE, END; INTERRUPTED: return it, nobody wants this segment any
 * more; DIVERGED and ERROR: return them.
 */
enum timeline_status scan_advance(struct scan_worker *w, struct moment until);
/* Gives out a record, which is copied. May be called while the machine runs, by a watcher's callback. False: the
 * segment is not wanted any more: return as soon as convenient. */
bool scan_emit(struct scan_worker *w, const void *data, size_t len);

#endif
