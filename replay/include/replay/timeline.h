/* SPDX-License-Identifier: MIT */
/*
 * A recorded run that can be walked in both directions: a player with checkpoints.
 *
 *     struct timeline *t = timeline_open("t.deja", &pc_board, &options, err, sizeof(err));
 *     timeline_seek(t, timeline_end_moment());                     // forward once, leaving checkpoints
 *     timeline_set_points(t, points, n);
 *     if (timeline_run_back(t) == TIMELINE_HIT)                    // the last hit before here
 *         hit = timeline_hit(t);
 *     timeline_step_back(t);
 *     timeline_destroy(t);
 *
 * The machine always stands at a moment (emu/debug.h) of the recorded run, in the state that a straight
 * run has there, however it was reached; all that is run again is checked again. Only a branch is
 * different: see timeline_branch().
 *
 * Checkpoints are taken while running forward over new ground, about every 50 ms of running, each of the
 * pages stored to since the one before. When they take more than the budget, those are dropped that are
 * missed least: close together and far from here. A few more are left behind just before each place that
 * was sought, so that stepping back from there costs next to nothing.
 *
 * Threading: one thread at a time; the timeline has one of its own that compresses.
 */
#ifndef REPLAY_TIMELINE_H
#define REPLAY_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/debug.h>
#include <emu/machine.h>
#include <replay/output_log.h>
#include <replay/player.h>

#define TIMELINE_DEFAULT_BYTES (1ULL << 30)

struct timeline;

enum timeline_status {
    TIMELINE_THERE,       /* where it was asked to go, or as near as there is a moment */
    TIMELINE_HIT,         /* at a point: timeline_hit() */
    TIMELINE_BEGIN,       /* at power-on, there is nothing before */
    TIMELINE_END,         /* at the end of the recording, or of what there is of it */
    TIMELINE_INTERRUPTED, /* options.interrupted said so; it stands where it happened to be */
    TIMELINE_DIVERGED,    /* the replay departed here: player_divergence() */
    TIMELINE_ERROR,       /* timeline_error() */
};

struct timeline_options {
    size_t struct_size;          /* sizeof(struct timeline_options) */
    uint64_t checkpoint_bytes;   /* budget; 0: TIMELINE_DEFAULT_BYTES */
    bool no_index;               /* leave the file of `deja index` alone */
    bool will_index;             /* timeline_write_index() is to come */
    const char *index_path;      /* the file of checkpoints; NULL: the one beside the trace, if there is one */
    bool no_checkpoints;         /* none but power-on: to measure what they cost */
    /* Asked every few milliseconds while running: true stops. NULL: never. */
    bool (*interrupted)(void *opaque);
    /* Told now and then what is going on: `done` of `total` instructions of work, both growing with what
     * was asked. NULL: nobody wants to know. */
    void (*progress)(void *opaque, const char *what, uint64_t done, uint64_t total);
    void *opaque;
};

/* Opens the trace at power-on. NULL, with one line in `err` that names the file. */
struct timeline *timeline_open(const char *path, const struct machine_board *board,
                               const struct timeline_options *options, char *err, size_t errlen);
void timeline_destroy(struct timeline *t);
/* In the child of a fork, before anything else: goes on without the thread, which is not there. */
void timeline_after_fork(struct timeline *t);

/* The file of checkpoints beside a trace: its name with ".index". */
void timeline_index_path(const char *trace_path, char *out, size_t outlen);
/* What there is to say about that file: NULL (it is in use, or there is none), or one line: why it is not
 * used. */
const char *timeline_index_note(const struct timeline *t);
bool timeline_is_indexed(const struct timeline *t);
/* Writes all checkpoints to the empty file `fd`. 0, or -1 with one line in `err`. */
int timeline_write_index(struct timeline *t, int fd, char *err, size_t errlen);

/* To be looked at. Its source, observer and points are the timeline's. */
struct machine *timeline_machine(const struct timeline *t);
struct player *timeline_player(const struct timeline *t);

/* Where it stands. */
struct moment timeline_now(const struct timeline *t);
/* A moment behind any end. */
static inline struct moment timeline_end_moment(void)
{
    return (struct moment){.icount = UINT64_MAX};
}
/* The furthest icount that was reached: the guest's output beyond it is new. */
uint64_t timeline_frontier(const struct timeline *t);
/* The recorded end, where the trace knows it: true. */
bool timeline_length(const struct timeline *t, uint64_t *icount);

/* What the guest printed, as far as the frontier, or all of it where that is known. */
const struct output_log *timeline_outputs(const struct timeline *t);
/* It is all that there is in the recording: the end was reached, or the index beside the trace has it. */
bool timeline_knows_all_output(const struct timeline *t);

/*
 * Where forward and backward runs stop. Points are armed during these runs only, never in seeks and
 * steps back. Copied. 0, or -1: out of memory, or a range that is none.
 */
int timeline_set_points(struct timeline *t, const struct debug_point *points, size_t n);

/*
 * Whether a hit is to stop a run: asked with the machine at it (a breakpoint: before the instruction; a
 * watchpoint: after it). NULL: each one does. It must not run or change the machine; but it may insert points
 * into it (emu/debug.h), which hold to the end of the run.
 */
typedef bool timeline_accept_fn(void *opaque, const struct debug_hit *hit);
void timeline_set_accept(struct timeline *t, timeline_accept_fn *fn, void *opaque);

/* Each first leaves a branch. A seek beyond the end stands at the end (TIMELINE_END). */
enum timeline_status timeline_seek(struct timeline *t, struct moment to);
/* Forward to the next accepted hit, or at the latest to `until`. A breakpoint where it stands now
 * does not count. After a watchpoint's instruction. */
enum timeline_status timeline_run_forward(struct timeline *t, struct moment until);
/* One moment forward: an instruction, or the entry into a handler. Watchpoints count. */
enum timeline_status timeline_step(struct timeline *t);
/* Backward to the last accepted hit before now: before its instruction. TIMELINE_BEGIN: there is none. */
enum timeline_status timeline_run_back(struct timeline *t);
/* To the moment before this one. */
enum timeline_status timeline_step_back(struct timeline *t);
/* Backward to the store that last wrote to any of these bytes of guest-physical RAM; before it. */
enum timeline_status timeline_last_write(struct timeline *t, uint64_t gpa, uint64_t len);

/*
 * Whether all that was seen of the machine so far was what the recording has: an index file gives the content of
 * a page when somebody looks at it, and may turn out damaged then. THERE, or ERROR. Going anywhere asks, too;
 * who reports what it has read from the machine asks before.
 */
enum timeline_status timeline_check(struct timeline *t);

/* What the last TIMELINE_HIT was. */
const struct debug_hit *timeline_hit(const struct timeline *t);
/* One line, after TIMELINE_ERROR. */
const char *timeline_error(const struct timeline *t);

/*
 * From here on the machine is no longer bound to the recording: it may be changed, gets no inputs, and
 * runs on by itself. Forward runs and steps work and end where the machine does (TIMELINE_END); all that
 * goes elsewhere returns to the recorded run, steps and runs back from the moment of the branch.
 */
void timeline_branch(struct timeline *t);
bool timeline_is_branch(const struct timeline *t);
/* The moment at which the branch began. */
struct moment timeline_branch_moment(const struct timeline *t);
/* Why the branch's machine stopped, after TIMELINE_END in a branch. */
enum machine_stop timeline_branch_stop(const struct timeline *t);

/* In the child of a fork, before anything else: goes on without the thread that is not there. */
void timeline_after_fork(struct timeline *t);

/* A checkpoint here, if the moment allows one (not inside of an entry, not at the end): true. */
bool timeline_checkpoint(struct timeline *t);

struct timeline_checkpoints {
    size_t count;
    size_t bytes;        /* what they take now */
    size_t budget;
    uint64_t taken;      /* so far, */
    uint64_t dropped;    /* of which dropped */
};
struct timeline_checkpoints timeline_checkpoints(const struct timeline *t);
/* The nth, by icount: its icount, and the number of pages it holds. False: there are fewer. */
bool timeline_checkpoint_at(const struct timeline *t, size_t n, uint64_t *icount, size_t *pages);

#endif
