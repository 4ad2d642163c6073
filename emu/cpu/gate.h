/* SPDX-License-Identifier: MIT */
/* Far JMP and CALL to system descriptors: call gates, task gates, TSSs. */
#ifndef EMU_CPU_GATE_H
#define EMU_CPU_GATE_H

#include "exception.h"

/* `d` is what `selector` names, no code or data segment. #GP(selector) if it is none of these. */
void gate_jump(struct cpu *cpu, const struct op *op, uint16_t selector, const struct descriptor *d);
void gate_call(struct cpu *cpu, const struct op *op, uint16_t selector, const struct descriptor *d);

#endif
