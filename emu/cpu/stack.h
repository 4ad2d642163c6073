/* SPDX-License-Identifier: MIT */
/* The stack in any mode, by the width of SS (SDM vol. 1, 6.2). */
#ifndef EMU_CPU_STACK_H
#define EMU_CPU_STACK_H

#include "mmu_internal.h"
#include "operands.h"

/* Mask of the stack pointer: 16, 32 or 64 bits. */
static inline uint64_t stack_mask(const struct cpu *cpu)
{
    if (mode_code_size(cpu->mode) == CODE_64)
        return UINT64_MAX;
    return cpu->mode & MODE_STACK32 ? UINT32_MAX : UINT16_MAX;
}

static inline void stack_set_sp(struct cpu *cpu, uint64_t sp)
{
    uint64_t mask = stack_mask(cpu);

    if (mask == UINT16_MAX)
        WR16(REG_RSP, sp);
    else
        cpu->regs[REG_RSP] = sp & mask;
}

/* 64-bit mode: a stack address that is not canonical is #SS. Where the op has a memory operand besides,
 * op->seg is that operand's, and the access itself would say #GP. */
static inline uint64_t stack_canonical(struct cpu *cpu, const struct op *op, uint64_t linear,
                                       unsigned size)
{
    if (unlikely(!cpu_is_canonical(linear) || !cpu_is_canonical(linear + size - 1))) {
        cpu->op = op;
        raise_error(cpu, EXC_SS, 0);
    }
    return linear;
}

/* Linear address of `offset` bytes from the stack pointer. */
static inline uint64_t stack_linear(struct cpu *cpu, const struct op *op, int64_t offset,
                                    unsigned size, bool write)
{
    uint64_t sp = (cpu->regs[REG_RSP] + (uint64_t)offset) & stack_mask(cpu);

    if (mode_code_size(cpu->mode) == CODE_64)
        return stack_canonical(cpu, op, sp, size);
    return seg_linear(cpu, op, SEG_SS, sp, size, write);
}

static inline uint64_t load_sized(struct cpu *cpu, const struct op *op, uint64_t at, unsigned size)
{
    return size == 8   ? LOAD64(cpu, op, at)
           : size == 4 ? LOAD32(cpu, op, at)
           : size == 2 ? LOAD16(cpu, op, at)
                       : LOAD8(cpu, op, at);
}

static inline void store_sized(struct cpu *cpu, const struct op *op, uint64_t at, uint64_t v,
                               unsigned size)
{
    if (size == 8)
        STORE64(cpu, op, at, v);
    else if (size == 4)
        STORE32(cpu, op, at, v);
    else if (size == 2)
        STORE16(cpu, op, at, v);
    else
        STORE8(cpu, op, at, v);
}

/* The value at `offset` from the top; nothing moves. */
static inline uint64_t stack_peek(struct cpu *cpu, const struct op *op, int64_t offset,
                                  unsigned size)
{
    return load_sized(cpu, op, stack_linear(cpu, op, offset, size, false), size);
}

/* Stores at `offset` from the top; nothing moves. */
static inline void stack_poke(struct cpu *cpu, const struct op *op, int64_t offset, uint64_t v,
                              unsigned size)
{
    store_sized(cpu, op, stack_linear(cpu, op, offset, size, true), v, size);
}

static inline void stack_move(struct cpu *cpu, int64_t by)
{
    stack_set_sp(cpu, cpu->regs[REG_RSP] + (uint64_t)by);
}

static inline void stack_push(struct cpu *cpu, const struct op *op, uint64_t v, unsigned size)
{
    stack_poke(cpu, op, -(int64_t)size, v, size);
    stack_move(cpu, -(int64_t)size);
}

static inline uint64_t stack_pop(struct cpu *cpu, const struct op *op, unsigned size)
{
    uint64_t v = stack_peek(cpu, op, 0, size);

    stack_move(cpu, size);
    return v;
}

/*
 * MOV SS and POP SS (not LSS): nothing interrupts before the next instruction has retired, which is to load RSP
 * (SDM vol. 3, 6.8.3). Interrupts wait, and so does a data breakpoint of this instruction's operand; a single step
 * is forgotten; an instruction breakpoint on the next one is passed over, as with RF.
 */
static inline void stack_segment_shadow(struct cpu *cpu)
{
    cpu->shadow_icount = cpu->icount;
    cpu->tf_armed = false;
    cpu->pending &= ~PENDING_TRAP;
    if (cpu->code_breakpoints)
        cpu->rflags |= RFLAGS_RF;
}

#endif
