/* SPDX-License-Identifier: MIT */
/* PUSH, POP, PUSHA, POPA, PUSHF, POPF, ENTER, LEAVE. */
#include "dispatch.h"
#include "exception.h"
#include "stack.h"

/* --- 64-bit mode, 64-bit operand --- */

HANDLER(push64_r)
{
    uint64_t rsp = cpu->regs[REG_RSP] - 8;

    STORE64(cpu, op, rsp, cpu->regs[op->rm]);
    cpu->regs[REG_RSP] = rsp;
    NEXT();
}
HANDLER(push64_i)
{
    uint64_t rsp = cpu->regs[REG_RSP] - 8;

    STORE64(cpu, op, rsp, op->imm);
    cpu->regs[REG_RSP] = rsp;
    NEXT();
}
HANDLER(push64_m)
{
    uint64_t v = LOAD64(cpu, op, ea_any(cpu, op, 8, false));
    uint64_t rsp = stack_canonical(cpu, op, cpu->regs[REG_RSP] - 8, 8);

    STORE64(cpu, op, rsp, v);
    cpu->regs[REG_RSP] = rsp;
    NEXT();
}
HANDLER(pop64_r)
{
    uint64_t rsp = cpu->regs[REG_RSP];
    uint64_t v = LOAD64(cpu, op, rsp);

    cpu->regs[REG_RSP] = rsp + 8;
    cpu->regs[op->rm] = v; /* POP RSP keeps the value */
    NEXT();
}
HANDLER(leave64)
{
    uint64_t v = LOAD64(cpu, op, cpu->regs[REG_RBP]);

    cpu->regs[REG_RSP] = cpu->regs[REG_RBP] + 8;
    cpu->regs[REG_RBP] = v;
    NEXT();
}

/* --- flat 32-bit mode, 32-bit operand and stack --- */

HANDLER(push32_r)
{
    uint32_t esp = RD32(REG_RSP) - 4;

    STORE32(cpu, op, esp, RD32(op->rm));
    WR32(REG_RSP, esp);
    NEXT();
}
HANDLER(push32_i)
{
    uint32_t esp = RD32(REG_RSP) - 4;

    STORE32(cpu, op, esp, (uint32_t)op->imm);
    WR32(REG_RSP, esp);
    NEXT();
}
HANDLER(pop32_r)
{
    uint32_t esp = RD32(REG_RSP);
    uint64_t v = LOAD32(cpu, op, esp);

    WR32(REG_RSP, esp + 4);
    WR32(op->rm, v); /* POP ESP keeps the value */
    NEXT();
}
HANDLER(leave32)
{
    uint32_t ebp = RD32(REG_RBP);
    uint64_t v = LOAD32(cpu, op, ebp);

    WR32(REG_RSP, ebp + 4);
    WR32(REG_RBP, v);
    NEXT();
}

/* --- any mode and size --- */

HANDLER(push_any)
{
    unsigned size = 1u << op->opsize;
    uint64_t v = op->imm;

    if (op->rep == 1) /* lower_stack: register or memory, not immediate */
        v = op->mem ? load_sized(cpu, op, ea_any(cpu, op, size, false), size) : cpu->regs[op->rm];
    stack_push(cpu, op, v, size);
    NEXT();
}

HANDLER(pop_r_any)
{
    unsigned size = 1u << op->opsize;
    uint64_t v = stack_pop(cpu, op, size);

    if (size == 2)
        WR16(op->rm, v);
    else
        cpu->regs[op->rm] = v;
    NEXT();
}

/* The address of the destination is computed with the stack pointer already moved. */
HANDLER(pop_m_any)
{
    unsigned size = 1u << op->opsize;
    uint64_t v = stack_peek(cpu, op, 0, size), rsp = cpu->regs[REG_RSP], at, moved;

    stack_move(cpu, size);
    moved = cpu->regs[REG_RSP];
    at = ea_offset(cpu, op);
    cpu->regs[REG_RSP] = rsp;
    at = seg_linear(cpu, op, op->seg, at, size, true);
    store_sized(cpu, op, at, v, size);
    cpu->regs[REG_RSP] = moved;
    NEXT();
}

HANDLER(push_sreg)
{
    unsigned size = 1u << op->opsize;

    /* A 32-bit push of a selector writes 16 bits on current processors (SDM vol. 2, PUSH). */
    if (size == 4)
        stack_poke(cpu, op, -4, cpu->seg[op->reg].selector, 2);
    else
        stack_poke(cpu, op, -(int64_t)size, cpu->seg[op->reg].selector, size);
    stack_move(cpu, -(int64_t)size);
    NEXT();
}

HANDLER(pop_sreg)
{
    unsigned size = 1u << op->opsize;
    uint16_t selector = (uint16_t)stack_peek(cpu, op, 0, size == 4 ? 2 : size);

    cpu->op = op;
    segment_load(cpu, op->reg, selector);
    stack_move(cpu, size);
    if (op->reg == SEG_SS)
        stack_segment_shadow(cpu);
    cpu->rip = op_next_rip(cpu, op);
    END_BLOCK();
}

static void pusha_all(struct cpu *cpu, const struct op *op)
{
    unsigned size = 1u << op->opsize, i;

    /* A fault in the middle leaves what was stored, as on hardware; run again, it stores the same. */
    for (i = 0; i < 8; i++)
        stack_poke(cpu, op, -(int64_t)(size * (i + 1)), cpu->regs[i], size);
    stack_move(cpu, -(int64_t)(size * 8));
}

/* Out of line: a handler with an array on its stack could not jump to the next one. */
static __attribute__((noinline)) void popa_all(struct cpu *cpu, const struct op *op)
{
    unsigned size = 1u << op->opsize, i;
    uint64_t value[8];

    for (i = 0; i < 8; i++)
        value[7 - i] = stack_peek(cpu, op, size * i, size);
    for (i = 0; i < 8; i++) {
        if (i == REG_RSP)
            continue;
        if (size == 2)
            WR16(i, value[i]);
        else
            cpu->regs[i] = value[i];
    }
    stack_move(cpu, size * 8);
}

HANDLER(pusha)
{
    pusha_all(cpu, op);
    NEXT();
}
HANDLER(popa)
{
    popa_all(cpu, op);
    NEXT();
}

/* --- PUSHF, POPF --- */

HANDLER(pushf)
{
    unsigned size = 1u << op->opsize;

    if ((cpu->rflags & RFLAGS_VM) && iopl(cpu) < 3) {
        cpu->op = op;
        raise_gp0(cpu);
    }
    stack_push(cpu, op, rflags_read(cpu) & ~(uint64_t)(RFLAGS_RF | RFLAGS_VM), size);
    NEXT();
}

HANDLER(popf)
{
    unsigned size = 1u << op->opsize;
    uint64_t value, mask = RFLAGS_ARITH | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID;

    cpu->op = op;
    if ((cpu->rflags & RFLAGS_VM) && iopl(cpu) < 3)
        raise_gp0(cpu);
    value = stack_pop(cpu, op, size);
    if (cpu->cpl <= iopl(cpu))
        mask |= RFLAGS_IF;
    if (cpu->cpl == 0)
        mask |= RFLAGS_IOPL;
    if (size == 2)
        mask &= 0xffff;
    rflags_write(cpu, value, mask);
    cpu->rip = op_next_rip(cpu, op);
    cpu_update_mode(cpu); /* AC */
    END_BLOCK();
}

/* --- ENTER, LEAVE --- */

static uint64_t masked(const struct cpu *cpu, uint64_t v)
{
    return v & stack_mask(cpu);
}

/* imm: size | level << 16. */
HANDLER(enter)
{
    unsigned size = 1u << op->opsize, level = (unsigned)(op->imm >> 16) & 31, i;
    uint64_t alloc = op->imm & 0xffff, frame, at = size;
    uint64_t mask = stack_mask(cpu);

    frame = cpu->regs[REG_RSP] - size;
    stack_poke(cpu, op, -(int64_t)size, cpu->regs[REG_RBP], size);
    for (i = 1; i < level; i++) {
        uint64_t from = masked(cpu, cpu->regs[REG_RBP] - (uint64_t)size * i);
        uint64_t v = load_sized(cpu, op, seg_linear(cpu, op, SEG_SS, from, size, false), size);

        at += size;
        stack_poke(cpu, op, -(int64_t)at, v, size);
    }
    if (level > 0) {
        at += size;
        stack_poke(cpu, op, -(int64_t)at, frame, size);
    }
    /* The new top must be writable (SDM vol. 2, ENTER). */
    mem_probe_write(cpu, op, stack_linear(cpu, op, -(int64_t)(at + alloc), size, true), size);
    stack_move(cpu, -(int64_t)(at + alloc));
    if (size == 2)
        WR16(REG_RBP, frame);
    else
        cpu->regs[REG_RBP] = mask == UINT16_MAX
                                 ? (cpu->regs[REG_RBP] & 0xffff0000u) | (uint16_t)frame
                                 : frame & mask;
    NEXT();
}

HANDLER(leave_any)
{
    unsigned size = 1u << op->opsize;
    uint64_t rbp = masked(cpu, cpu->regs[REG_RBP]);
    uint64_t v = load_sized(cpu, op, seg_linear(cpu, op, SEG_SS, rbp, size, false), size);

    stack_set_sp(cpu, rbp + size);
    if (size == 2)
        WR16(REG_RBP, v);
    else
        cpu->regs[REG_RBP] = v;
    NEXT();
}

/* --- choosing --- */

static bool is_flat32_stack(const struct cpu *cpu, const struct insn *in)
{
    return mode_is_flat32(cpu->mode) && (cpu->mode & MODE_STACK32) && in->opsize == OPSIZE_32;
}

op_fn *lower_stack(const struct cpu *cpu, const struct insn *in, enum ea_kind kind, struct op *op)
{
    bool is64 = mode_code_size(cpu->mode) == CODE_64 && in->opsize == OPSIZE_64;
    bool is32 = is_flat32_stack(cpu, in);

    (void)kind;
    switch (in->id) {
    case INSN_PUSH:
        if (!op->mem) /* faults of the stack, not of an operand */
            op->seg = SEG_SS;
        if (is64)
            return in->form == FORM_IMM ? push64_i : op->mem ? push64_m : push64_r;
        if (is32 && !op->mem)
            return in->form == FORM_IMM ? push32_i : push32_r;
        op->rep = in->form != FORM_IMM;
        return push_any;
    case INSN_POP:
        if (op->mem)
            return pop_m_any;
        op->seg = SEG_SS;
        return is64 ? pop64_r : is32 ? pop32_r : pop_r_any;
    case INSN_PUSH_SREG: op->seg = SEG_SS; return push_sreg;
    case INSN_POP_SREG: op->seg = SEG_SS; return pop_sreg;
    case INSN_PUSHA: op->seg = SEG_SS; return pusha;
    case INSN_POPA: op->seg = SEG_SS; return popa;
    case INSN_PUSHF: op->seg = SEG_SS; return pushf;
    case INSN_POPF: op->seg = SEG_SS; return popf;
    case INSN_ENTER: op->seg = SEG_SS; return enter;
    case INSN_LEAVE: op->seg = SEG_SS; return is64 ? leave64 : is32 ? leave32 : leave_any;
    default: return NULL;
    }
}
