/* SPDX-License-Identifier: MIT */
/* Telling a machine's inspector (emu/inspect.h), as the engine and the machine's loop come past moments. */
#ifndef EMU_CPU_INSPECT_H
#define EMU_CPU_INSPECT_H

#include <emu/inspect.h>

#include "mmu_internal.h"

struct control_state {
    uint64_t cr0, cr2, cr3, cr4, efer, pdpte[4];
    uint32_t cpl, halted;
    bool a20;
};

struct inspection {
    struct machine_inspector by;
    bool any;               /* was told since machine_inspect(), last: */
    struct moment told;
    struct control_state control;
    bool stop;              /* the inspector ends the run */
};

/* In the machine's loop, and in the engine's, between two instructions. True: the run is to end. */
bool inspect_in_machine(struct machine *m);
bool inspect_in_engine(struct cpu *cpu);
/* Before an instruction of a block; does not return when the run is to end. */
void inspect_op(struct cpu *cpu, const struct op *op);
/* Whether this moment is behind the inspector. */
bool inspect_was_told(const struct cpu *cpu, struct moment at);
/* The machine was put elsewhere, or reset. */
void inspect_forget(struct machine *m);

/* The hits of an instruction that faulted are forgotten (emu/debug.h), but what it changed before is changed: the
 * next moment counts as news. */
static inline void inspect_hits_lost(struct inspection *in)
{
    in->any = false;
}

/* Control state has changed, or may have: the engine is to come past its loop after this instruction. */
static inline void inspect_control_changed(struct cpu *cpu)
{
    if (unlikely(cpu->inspecting != INSPECT_NOTHING))
        cpu->exit_request = true;
}

#endif
