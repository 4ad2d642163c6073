/* SPDX-License-Identifier: MIT */
/*
 * Looking at a machine in every moment of a run (emu/debug.h), or in those after which its control state is
 * another one, many times faster than by running it from moment to moment.
 *
 *     machine_inspect(m, &(struct machine_inspector){.what = INSPECT_EVERY, .look = fn});
 *     while (machine_run(m, UINT64_MAX) == STOP_DEBUG) ...      // fn said so
 *     machine_inspect(m, NULL);
 *
 * `look` finds the machine as machine_run_to() leaves it at that moment: registers (by emu/registers.h), memory (by
 * cpu_peek() and ram_read()) and time. It must not change or run it. When it returns true the run ends there:
 * STOP_DEBUG, without hits. A moment is told once, also when runs begin or end at it: the one at which a run
 * ends is told by the next run. The moment at which the guest ends is told by none. A guest that nobody inspects
 * runs as fast as ever.
 */
#ifndef EMU_INSPECT_H
#define EMU_INSPECT_H

#include <stdbool.h>

#include <emu/debug.h>

struct machine;

enum machine_inspection {
    INSPECT_NOTHING = 0,
    /* Moments at which one of these differs from what it was when something was told last: CPL, CR0, CR2, CR3, CR4,
     * EFER, the PDPTEs, the A20 gate, whether the CPU is halted. The first moment of all is told as well, those
     * behind a reset, and those behind an instruction that faulted after it had touched something that a debugger
     * watches. */
    INSPECT_CONTROL,
    INSPECT_EVERY,
};

struct machine_inspector {
    enum machine_inspection what;
    bool (*look)(void *opaque, struct moment at);
    void *opaque;
};

/* One at a time; NULL: none. Copied. Between two runs. */
void machine_inspect(struct machine *m, const struct machine_inspector *inspector);

#endif
