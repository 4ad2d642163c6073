/* SPDX-License-Identifier: MIT */
/*
 * Records a run: what the outside world did to the machine, the interrupts that followed from it,
 * and digests of the whole state.
 *
 *     struct recorder_options options = {.struct_size = sizeof(options), .outputs = observer};
 *     struct recorder *r = recorder_create(m, "t.deja", &options, err, sizeof(err));
 *     machine_set_source(m, &live_source);
 *     enum machine_stop why = recorder_run(r);
 *     if (recorder_finish(r, why, err, sizeof(err)) != 0)
 *         ... the trace could not be written, `err` says why ...
 *     recorder_destroy(r);
 *
 * The trace holds: a digest at power-on, before anything else; inputs and interrupts as they
 * happen; a digest at every multiple of digest_interval; and the end with the last digest. A digest
 * at icount n is that of the boundary at n after its timers and the inputs offered so far, before
 * its interrupts; where it stands among the inputs of that icount is its place in the file.
 *
 * A guest that resets itself runs on: a reset is deterministic, and needs no event.
 *
 * When the trace cannot be written any more, the run stops: recorder_failed(). What was written
 * before stays readable up to its last whole frame.
 *
 * Threading: as the machine. The machine's observer is the recorder's from recorder_create to
 * recorder_destroy; its source stays the caller's.
 */
#ifndef REPLAY_RECORDER_H
#define REPLAY_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/machine.h>

#define RECORDER_DIGEST_INTERVAL (1ULL << 24)

struct recorder;

struct recorder_options {
    size_t struct_size;       /* sizeof(struct recorder_options) */
    uint64_t digest_interval; /* instructions from digest to digest; 0: RECORDER_DIGEST_INTERVAL */
    uint64_t until_icount;    /* the run ends here at the latest; 0: never */
    bool sync;                /* fdatasync after each flush of the trace */
    bool no_reboot;           /* a reset ends the run */
    uint32_t flush_interval_ms; /* longest that an event stays in memory; 0: the writer's default */
    struct machine_observer
        outputs; /* is told everything that the recorder is; members may be NULL */
};

/*
 * Creates the trace (an existing regular file is emptied) and writes its header with all of the
 * machine's images. The machine is as machine_create left it. `options` NULL: the defaults.
 *
 * NULL on failure, with one line in `err` that names the file.
 */
struct recorder *recorder_create(struct machine *m, const char *path,
                                 const struct recorder_options *options, char *err, size_t errlen);

/*
 * Runs the machine until it stops for good. STOP_RESET is returned with no_reboot only, or when the
 * boot images could not be placed again; STOP_ICOUNT at until_icount only; STOP_SOURCE when the
 * source asked for it, or recorder_failed().
 */
enum machine_stop recorder_run(struct recorder *r);

/* The same until the machine stands at a moment, which STOP_ICOUNT then says too; STOP_DEBUG at a
 * debugger's point (emu/debug.h). It can be run on after both. */
enum machine_stop recorder_run_to(struct recorder *r, struct moment until);

/* True when the trace could not be written. */
bool recorder_failed(const struct recorder *r);

/*
 * Ends the trace: last digest, why the run stopped, index. 0; or -1 with one line in `err` when the
 * trace could not be written, now or before: it then has no end. Call it once, and then destroy.
 */
int recorder_finish(struct recorder *r, enum machine_stop why, char *err, size_t errlen);

/* Frees the recorder and takes its observer from the machine. NULL is fine. Without a finish
 * before, the trace stays without an end, as if the recorder had been killed. */
void recorder_destroy(struct recorder *r);

#endif
