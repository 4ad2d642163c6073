/* SPDX-License-Identifier: MIT */
/* Hardware tasks: outside of long mode, in protected and virtual-8086 mode. */
#ifndef EMU_CPU_TASK_H
#define EMU_CPU_TASK_H

#include <stdint.h>

struct cpu;

enum task_source { TASK_JMP, TASK_CALL, TASK_IRET, TASK_EVENT };

struct task_switch {
    enum task_source source;
    uint16_t selector;    /* of the TSS; what allows to name it (a gate, the TSS's own DPL) was checked */
    uint64_t saved_rip;   /* where the old task goes on, */
    uint32_t saved_flags; /* with these flags besides */
    unsigned ext;         /* the EXT bit of error codes */
};

/* Faults in the old task (nothing has changed), or, with cpu->op NULL, in the new one. */
void task_switch(struct cpu *cpu, const struct task_switch *how);
/* IRET with NT set: to the task that the back link names. */
void task_return(struct cpu *cpu, uint64_t next_rip);

#endif
