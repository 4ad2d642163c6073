/* SPDX-License-Identifier: MIT */
/* From block to block: what branch handlers inline. */
#ifndef EMU_CPU_DISPATCH_H
#define EMU_CPU_DISPATCH_H

#include "mmu_internal.h"

/* `b` is longer than the budget: runs what fits, or leaves at `rip`. */
const struct op *block_enter_partial(struct cpu *cpu, struct block *b, uint64_t rip);
/* The target of a direct branch was not linked: finds it, and links it if that stays true. */
const struct op *block_goto_and_link(struct cpu *cpu, const struct op *op, uint64_t rip);

static inline const struct op *block_enter(struct cpu *cpu, struct block *b, uint64_t rip)
{
    cpu->regs[REG_RIP] = rip;
    cpu->icount += b->n;
    if (unlikely(cpu->icount > cpu->icount_end))
        return block_enter_partial(cpu, b, rip);
    cpu->block = b;
    DISPATCH(b->ops);
}

/* A direct branch, call or fall-through to `rip`, in the same mode. */
static inline const struct op *block_goto_linked(struct cpu *cpu, const struct op *op, uint64_t rip)
{
    struct block *b = op->link;

    if (likely(b != NULL && !b->dropped))
        return block_enter(cpu, b, rip);
    return block_goto_and_link(cpu, op, rip);
}

/* The instructions of the block after `op` do not run. */
static inline void block_cut(struct cpu *cpu, const struct op *op)
{
    cpu->icount -= (uint64_t)(cpu->block->n - op->idx - 1);
}

#endif
