/* SPDX-License-Identifier: MIT */
/* What the files of the timeline share: running in slices (timeline.c), going back (timeline_back.c). */
#ifndef REPLAY_TIMELINE_INTERNAL_H
#define REPLAY_TIMELINE_INTERNAL_H

#include <replay/timeline.h>

#include "checkpoints.h"
#include "index_file.h"

struct timeline {
    struct player *player;
    struct machine *m;
    struct checkpoints checkpoints;
    struct timeline_options options;
    uint64_t frontier;
    struct moment end;       /* where END was seen; icount UINT64_MAX: not yet */
    struct debug_point *points;
    size_t npoints;
    timeline_accept_fn *accept;
    void *accept_opaque;
    struct debug_hit hit;
    bool at_end;             /* the player has nothing more to give */
    bool branched;
    struct moment branch_at;
    enum machine_stop branch_stop;
    uint64_t wall_mark_ns;   /* of the last checkpoint, */
    uint64_t local_mark_ns;  /* of any kind */
    const char *work;        /* what progress is about; NULL: nothing */
    uint64_t work_done, work_total;
    char *path;
    struct trace_identity identity; /* with options.will_index */
    bool indexed;
    struct output_log *outputs;
    bool all_output;         /* `outputs` is from the index */
    bool output_lost;        /* there was no more memory for it */
    char index_note[640];    /* empty: nothing to say */
    char error[512];
};

enum timeline_arming { ARM_NONE, ARM_WATCHPOINTS, ARM_ALL };

/* Puts the points into the machine; `pass`: not those where it stands. */
void timeline_arm(struct timeline *t, enum timeline_arming what, bool pass);

/* What a run is for decides which local checkpoints it leaves: those just before the place sought; one
 * now and then, since a hit will be gone back to; none; no checkpoints of any kind. */
enum timeline_purpose { TO_SEEK, TO_SCAN, TO_RUN, TO_LOOK };

/*
 * Runs forward to `until`: in slices, leaving and adopting checkpoints. THERE, END, HIT (the machine's,
 * not judged), INTERRUPTED, DIVERGED or ERROR.
 */
enum timeline_status timeline_advance(struct timeline *t, struct moment until,
                                      enum timeline_purpose purpose);
/* Puts the machine back to a checkpoint. */
enum timeline_status timeline_restore(struct timeline *t, struct checkpoint *to);
/* Leaves a branch for the recorded run, at the branch's moment. */
enum timeline_status timeline_leave_branch(struct timeline *t);

#endif
