/* SPDX-License-Identifier: MIT */
/*
 * Near control transfers. A conditional branch that is not taken goes on in its block; a taken one
 * leaves it, giving back the instructions that will not run (block_cut).
 *
 * In 64-bit mode a target that is not canonical faults at the branch (SDM vol. 2, JMP, CALL, RET); in
 * other modes one beyond CS.limit does.
 */
#include "dispatch.h"
#include "stack.h"

static inline bool is_canonical(uint64_t v)
{
    return (uint64_t)((int64_t)(v << 16) >> 16) == v;
}

/* The target of a relative branch: relative to the block's start, cut to the operand size. */
static inline uint64_t target64(const struct cpu *cpu, const struct op *op)
{
    return cpu->regs[REG_RIP] + op->imm;
}
static inline uint64_t target32(const struct cpu *cpu, const struct op *op) /* flat */
{
    return (uint32_t)(cpu->regs[REG_RIP] + op->imm);
}
static inline uint64_t target_legacy(struct cpu *cpu, const struct op *op)
{
    uint64_t rip = cpu->regs[REG_RIP] + op->imm;

    rip = op->opsize == OPSIZE_16 ? (uint16_t)rip : (uint32_t)rip;
    if (rip > cpu->seg[SEG_CS].limit) {
        cpu->op = op;
        raise_gp0(cpu);
    }
    return rip;
}
/* An absolute target from a register or memory. */
static inline uint64_t check_target(struct cpu *cpu, const struct op *op, uint64_t rip)
{
    if (mode_code_size(cpu->mode) == CODE_64) {
        if (likely(is_canonical(rip)))
            return rip;
    } else {
        rip = op->opsize == OPSIZE_16 ? (uint16_t)rip : (uint32_t)rip;
        if (likely(rip <= cpu->seg[SEG_CS].limit))
            return rip;
    }
    cpu->op = op;
    raise_gp0(cpu);
}

/* --- the end of a block: op->imm is what follows --- */

const struct op *op_end(struct cpu *cpu, const struct op *op)
{
    uint64_t rip = rip_mask(cpu, cpu->regs[REG_RIP] + op->imm);

    if (unlikely(cpu->exit_request)) {
        cpu->rip = rip;
        LEAVE();
    }
    return block_goto_linked(cpu, op, rip);
}

/* --- Jcc --- */

#define JCC_OF(cc, bits, test)                                                                     \
    HANDLER(j##cc##_##bits)                                                                        \
    {                                                                                              \
        if (test) {                                                                                \
            block_cut(cpu, op);                                                                    \
            return block_goto_linked(cpu, op, target##bits(cpu, op));                              \
        }                                                                                          \
        NEXT();                                                                                    \
    }
#define JCC(cc, test) JCC_OF(cc, 64, test) JCC_OF(cc, 32, test)
JCC(o, flag_of(cpu))
JCC(no, !flag_of(cpu))
JCC(b, flag_cf(cpu))
JCC(nb, !flag_cf(cpu))
JCC(z, flag_zf(cpu))
JCC(nz, !flag_zf(cpu))
JCC(be, flag_cf(cpu) || flag_zf(cpu))
JCC(nbe, !(flag_cf(cpu) || flag_zf(cpu)))
JCC(s, flag_sf(cpu))
JCC(ns, !flag_sf(cpu))
JCC(p, flag_pf(cpu))
JCC(np, !flag_pf(cpu))
JCC(l, flag_sf(cpu) != flag_of(cpu))
JCC(nl, flag_sf(cpu) == flag_of(cpu))
JCC(le, flag_zf(cpu) || flag_sf(cpu) != flag_of(cpu))
JCC(nle, !flag_zf(cpu) && flag_sf(cpu) == flag_of(cpu))

HANDLER(jcc_legacy)
{
    if (flags_condition(cpu, op->id - INSN_JO)) {
        uint64_t rip = target_legacy(cpu, op);

        block_cut(cpu, op);
        return block_goto_linked(cpu, op, rip);
    }
    NEXT();
}

/* LOOP, LOOPE, LOOPNE, JCXZ: they end their block. */
HANDLER(loop_any)
{
    uint64_t mask = op->addrsize == OPSIZE_64   ? UINT64_MAX
                    : op->addrsize == OPSIZE_32 ? UINT32_MAX
                                                : UINT16_MAX;
    uint64_t count = cpu->regs[REG_RCX] & mask, rip;
    bool taken;

    if (op->id == INSN_JCXZ) {
        taken = count == 0;
    } else {
        count = (count - 1) & mask;
        taken = count != 0;
        if (op->id == INSN_LOOPE)
            taken = taken && flag_zf(cpu);
        else if (op->id == INSN_LOOPNE)
            taken = taken && !flag_zf(cpu);
    }
    rip = mode_code_size(cpu->mode) == CODE_64 ? target64(cpu, op)
          : taken                              ? target_legacy(cpu, op)
                                               : 0;
    if (op->id != INSN_JCXZ) {
        if (op->addrsize == OPSIZE_16)
            WR16(REG_RCX, count);
        else
            cpu->regs[REG_RCX] = count;
    }
    if (taken)
        return block_goto_linked(cpu, op, rip);
    NEXT();
}

/* --- JMP, CALL, RET --- */

HANDLER(jmp_rel64)
{
    return block_goto_linked(cpu, op, target64(cpu, op));
}
HANDLER(jmp_rel32)
{
    return block_goto_linked(cpu, op, target32(cpu, op));
}
HANDLER(jmp_rel_legacy)
{
    return block_goto_linked(cpu, op, target_legacy(cpu, op));
}
HANDLER(jmp_r64)
{
    return block_goto(cpu, check_target(cpu, op, cpu->regs[op->rm]));
}
HANDLER(jmp_m64)
{
    return block_goto(cpu, check_target(cpu, op, LOAD64(cpu, op, ea_any(cpu, op, 8, false))));
}

static uint64_t operand_target(struct cpu *cpu, const struct op *op)
{
    unsigned size = 1u << op->opsize;

    if (!op->mem)
        return cpu->regs[op->rm];
    return load_sized(cpu, op, ea_any(cpu, op, size, false), size);
}
HANDLER(jmp_rm_legacy)
{
    return block_goto(cpu, check_target(cpu, op, operand_target(cpu, op)));
}

HANDLER(call_rel64)
{
    uint64_t rsp = cpu->regs[REG_RSP] - 8;

    STORE64(cpu, op, rsp, cpu->regs[REG_RIP] + op->off + op->len);
    cpu->regs[REG_RSP] = rsp;
    return block_goto_linked(cpu, op, target64(cpu, op));
}
HANDLER(call_rel32)
{
    uint32_t esp = RD32(REG_RSP) - 4;

    STORE32(cpu, op, esp, cpu->regs[REG_RIP] + op->off + op->len);
    WR32(REG_RSP, esp);
    return block_goto_linked(cpu, op, target32(cpu, op));
}
HANDLER(call_rel_legacy)
{
    uint64_t rip = target_legacy(cpu, op);

    stack_push(cpu, op, op_next_rip(cpu, op), 1u << op->opsize);
    return block_goto_linked(cpu, op, rip);
}
HANDLER(call_rm64)
{
    uint64_t rip = op->mem ? LOAD64(cpu, op, ea_any(cpu, op, 8, false)) : cpu->regs[op->rm];
    uint64_t rsp = cpu->regs[REG_RSP] - 8;

    rip = check_target(cpu, op, rip);
    if (op->mem)
        stack_canonical(cpu, op, rsp, 8);
    STORE64(cpu, op, rsp, cpu->regs[REG_RIP] + op->off + op->len);
    cpu->regs[REG_RSP] = rsp;
    return block_goto(cpu, rip);
}
HANDLER(call_rm_legacy)
{
    uint64_t rip = check_target(cpu, op, operand_target(cpu, op));

    stack_push(cpu, op, op_next_rip(cpu, op), 1u << op->opsize);
    return block_goto(cpu, rip);
}

HANDLER(ret64)
{
    uint64_t rsp = cpu->regs[REG_RSP];
    uint64_t rip = check_target(cpu, op, LOAD64(cpu, op, rsp));

    cpu->regs[REG_RSP] = rsp + 8 + op->imm;
    return block_goto(cpu, rip);
}
HANDLER(ret32)
{
    uint32_t esp = RD32(REG_RSP);
    uint64_t rip = LOAD32(cpu, op, esp);

    WR32(REG_RSP, esp + 4 + op->imm);
    return block_goto(cpu, rip);
}
HANDLER(ret_legacy)
{
    unsigned size = 1u << op->opsize;
    uint64_t rip = check_target(cpu, op, stack_peek(cpu, op, 0, size));

    stack_move(cpu, (int64_t)(size + op->imm));
    return block_goto(cpu, rip);
}

/* --- choosing --- */

#define JCC_TABLE(bits)                                                                            \
    {jo_##bits, jno_##bits, jb_##bits, jnb_##bits, jz_##bits, jnz_##bits, jbe_##bits, jnbe_##bits, \
     js_##bits, jns_##bits, jp_##bits, jnp_##bits, jl_##bits, jnl_##bits, jle_##bits, jnle_##bits}
static op_fn *const jcc_table_64[16] = JCC_TABLE(64), *const jcc_table_32[16] = JCC_TABLE(32);

static op_fn *lower_jcc(const struct cpu *cpu, const struct insn *in)
{
    unsigned cc = in->id - INSN_JO;

    if (mode_code_size(cpu->mode) == CODE_64)
        return jcc_table_64[cc];
    return mode_is_flat32(cpu->mode) && in->opsize == OPSIZE_32 ? jcc_table_32[cc] : jcc_legacy;
}

op_fn *lower_branch(const struct cpu *cpu, const struct insn *in, enum ea_kind kind, struct op *op)
{
    bool is64 = mode_code_size(cpu->mode) == CODE_64;
    bool is32 = mode_is_flat32(cpu->mode) && in->opsize == OPSIZE_32, stack32 = is32 && (cpu->mode & MODE_STACK32);

    (void)kind;
    if (in->form == FORM_REL) {
        op->imm = in->imm + op->off + op->len;
        op->link = NULL;
    }
    if (in->id >= INSN_JO && in->id <= INSN_JNLE)
        return lower_jcc(cpu, in);
    switch (in->id) {
    case INSN_LOOP: case INSN_LOOPE: case INSN_LOOPNE: case INSN_JCXZ: return loop_any;
    case INSN_JMP:
        if (in->form == FORM_REL)
            return is64 ? jmp_rel64 : is32 ? jmp_rel32 : jmp_rel_legacy;
        return !is64 ? jmp_rm_legacy : op->mem ? jmp_m64 : jmp_r64;
    case INSN_CALL:
        if (!op->mem) /* faults of the stack, not of an operand */
            op->seg = SEG_SS;
        if (in->form == FORM_REL)
            return is64 ? call_rel64 : stack32 ? call_rel32 : call_rel_legacy;
        return is64 ? call_rm64 : call_rm_legacy;
    case INSN_RET: op->seg = SEG_SS; return is64 ? ret64 : stack32 ? ret32 : ret_legacy;
    default: return NULL;
    }
}
