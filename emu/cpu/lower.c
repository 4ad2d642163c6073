/* SPDX-License-Identifier: MIT */
/*
 * From a decoded instruction to an op: operands in the form handlers read them, and the handler.
 * Everything that can be decided before the instruction runs is decided here.
 */
#include "operands.h"
#include "mmu_internal.h"

/* Which of `reg` and `rm` are 8-bit general registers. */
static void byte_registers(const struct insn *in, struct op *op)
{
    bool reg8 = false, rm8 = false;

    switch (in->id) {
    case INSN_MOVZX8: case INSN_MOVSX8: rm8 = true; break;
    case INSN_CRC32: rm8 = in->opsize == OPSIZE_8; break;
    default:
        if ((insn_info[in->id].attrs & (IA_X87 | IA_MMX | IA_SSE)) || in->opsize != OPSIZE_8)
            return;
        reg8 = rm8 = true;
        break;
    }
    if (reg8)
        op->reg = reg8_offset(op->reg);
    if (rm8 && !(in->flags & INSN_MEM))
        op->rm = reg8_offset(op->rm);
}

/* A RIP-relative displacement becomes relative to the block's start. One that leaves 32 bits by that counts as
 * unsigned: the scale, which this form does not have, tells ea_offset(). */
static enum ea_kind rebase_disp(const struct insn *in, struct op *op, enum ea_kind kind)
{
    int64_t disp = (int64_t)in->disp + op->off + op->len;

    if (in->base != REG_RIP)
        return kind;
    op->disp = (int32_t)disp;
    if (disp == op->disp)
        return kind;
    op->scale = 1;
    return EA_ANY;
}

static void fill_op(const struct insn *in, struct op *op, unsigned off)
{
    memset(op, 0, sizeof(*op));
    op->imm = in->imm;
    op->disp = in->disp;
    op->reg = in->reg;
    op->rm = in->rm;
    op->base = in->base;
    op->index = in->index;
    op->off = (uint16_t)off;
    op->len = in->len;
    op->scale = in->scale;
    op->opsize = in->opsize & 7u;
    op->addrsize = in->addrsize & 7u;
    op->seg = in->seg & 7u;
    op->mem = (in->flags & INSN_MEM) != 0;
    op->rep = (in->flags & INSN_REP ? 1u : in->flags & INSN_REPNE ? 2u : 0u) & 3u;
    op->id = in->id;
}

/* Instructions that the table knows and nothing here executes: #UD, counted by name. */
static const struct op *op_unimplemented(struct cpu *cpu, const struct op *op)
{
    raise_unimplemented(cpu, op);
}

const struct op *op_undefined(struct cpu *cpu, const struct op *op)
{
    cpu->op = op;
    if (op->imm == EXC_GP)
        raise_gp0(cpu);
    cpu->undefined_bytes++;
    raise_exception(cpu, EXC_UD);
}

static op_fn *choose(const struct cpu *cpu, const struct insn *in, enum ea_kind kind, struct op *op)
{
    unsigned attrs = insn_info[in->id].attrs;
    op_fn *fn;

    if (attrs & (IA_X87 | IA_MMX | IA_SSE))
        return simd_lower(in, kind, op);
    if (attrs & IA_STRING)
        return lower_string(in, op);
    if ((fn = lower_alu(in, kind, op)) != NULL || (fn = lower_mov(in, kind, op)) != NULL ||
        (fn = lower_branch(cpu, in, kind, op)) != NULL ||
        (fn = lower_stack(cpu, in, kind, op)) != NULL || (fn = lower_bits(in, kind, op)) != NULL ||
        (fn = lower_far(in, op)) != NULL || (fn = lower_system(in, kind, op)) != NULL)
        return fn;
    return simd_lower(in, kind, op); /* XGETBV, XSETBV */
}

void lower_insn(const struct cpu *cpu, const struct insn *in, struct op *op, unsigned off)
{
    enum ea_kind kind = in->flags & INSN_MEM ? ea_kind_of(cpu, in) : EA_BD;

    fill_op(in, op, off);
    byte_registers(in, op);
    op->fn = choose(cpu, in, rebase_disp(in, op, kind), op);
    if (op->fn == NULL)
        op->fn = op_unimplemented;
}
