/* SPDX-License-Identifier: MIT */
/* Moves: MOV, MOVZX, MOVSX, LEA, XCHG, CMOVcc, SETcc, exchange-and-compare, sign extension. */
#include "operands.h"

/* --- MOV --- */

#define MOV_EA(ea, n)                                                                              \
    HANDLER(mov##n##_r_m_##ea)                                                                     \
    {                                                                                              \
        uint64_t v = LOAD##n(cpu, op, EA_##ea(n / 8, false));                                      \
        WR##n(op->reg, v);                                                                         \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(mov##n##_m_r_##ea)                                                                     \
    {                                                                                              \
        STORE##n(cpu, op, EA_##ea(n / 8, true), RD##n(op->reg));                                   \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(mov##n##_m_i_##ea)                                                                     \
    {                                                                                              \
        STORE##n(cpu, op, EA_##ea(n / 8, true), (uint##n##_t)op->imm);                             \
        NEXT();                                                                                    \
    }
#define MOV(n, ...)                                                                                \
    HANDLER(mov##n##_r_r)                                                                          \
    {                                                                                              \
        WR##n(op->reg, RD##n(op->rm));                                                             \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(mov##n##_r_i)                                                                          \
    {                                                                                              \
        WR##n(op->reg, op->imm);                                                                   \
        NEXT();                                                                                    \
    }                                                                                              \
    FOR_EA(MOV_EA, n)                                                                              \
    HANDLER(mov##n##_r_moffs)                                                                      \
    {                                                                                              \
        uint64_t v = LOAD##n(cpu, op, seg_linear(cpu, op, op->seg, op->imm, n / 8, false));        \
        WR##n(REG_RAX, v);                                                                         \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(mov##n##_moffs_r)                                                                      \
    {                                                                                              \
        STORE##n(cpu, op, seg_linear(cpu, op, op->seg, op->imm, n / 8, true), RD##n(REG_RAX));     \
        NEXT();                                                                                    \
    }
FOR_SIZES(MOV)

/* --- MOVZX, MOVSX, MOVSXD: [source width][destination width] --- */

#define EXTEND_EA(ea, name, from, to, conv)                                                        \
    HANDLER(name##from##_##to##_m_##ea)                                                            \
    {                                                                                              \
        uint##from##_t v = (uint##from##_t)LOAD##from(cpu, op, EA_##ea(from / 8, false));          \
        WR##to(op->reg, conv);                                                                     \
        NEXT();                                                                                    \
    }
#define EXTEND(name, from, to, conv)                                                               \
    HANDLER(name##from##_##to##_r)                                                                 \
    {                                                                                              \
        uint##from##_t v = (uint##from##_t)RD##from(op->rm);                                       \
        WR##to(op->reg, conv);                                                                     \
        NEXT();                                                                                    \
    }                                                                                              \
    FOR_EA(EXTEND_EA, name, from, to, conv)

EXTEND(movzx, 8, 16, v)
EXTEND(movzx, 8, 32, v)
EXTEND(movzx, 16, 16, v)
EXTEND(movzx, 16, 32, v)
EXTEND(movsx, 8, 16, (int8_t)v)
EXTEND(movsx, 8, 32, (int8_t)v)
EXTEND(movsx, 8, 64, (int64_t)(int8_t)v)
EXTEND(movsx, 16, 16, v)
EXTEND(movsx, 16, 32, (int16_t)v)
EXTEND(movsx, 16, 64, (int64_t)(int16_t)v)
EXTEND(movsx, 32, 16, v)
EXTEND(movsx, 32, 32, v)
EXTEND(movsx, 32, 64, (int64_t)(int32_t)v)

/* --- LEA --- */

HANDLER(lea64_bd)
{
    cpu->regs[op->reg] = ea_bd(cpu, op);
    NEXT();
}
HANDLER(lea64_bisd)
{
    cpu->regs[op->reg] = ea_bisd(cpu, op);
    NEXT();
}
HANDLER(lea32_bisd)
{
    cpu->regs[op->reg] = (uint32_t)ea_bisd(cpu, op);
    NEXT();
}
HANDLER(lea_any)
{
    uint64_t ea = ea_offset(cpu, op);

    if (op->opsize == OPSIZE_16)
        WR16(op->reg, ea);
    else if (op->opsize == OPSIZE_32)
        WR32(op->reg, ea);
    else
        WR64(op->reg, ea);
    NEXT();
}

/* --- XCHG, XADD, CMPXCHG: one CPU at a time runs, so LOCK needs nothing --- */

#define EXCHANGE(n, ...)                                                                           \
    HANDLER(xchg##n##_r)                                                                           \
    {                                                                                              \
        uint##n##_t a = RD##n(op->rm), b = RD##n(op->reg);                                         \
        WR##n(op->rm, b);                                                                          \
        WR##n(op->reg, a);                                                                         \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(xchg##n##_m)                                                                           \
    {                                                                                              \
        uint64_t at = ea_any(cpu, op, n / 8, true);                                                \
        uint##n##_t a = (uint##n##_t)LOAD_RMW##n(cpu, op, at);                                     \
        STORE##n(cpu, op, at, RD##n(op->reg));                                                     \
        WR##n(op->reg, a);                                                                         \
        NEXT();                                                                                    \
    }                                                                                              \
    static inline uint##n##_t add_flags##n(struct cpu *cpu, uint##n##_t a, uint##n##_t b)          \
    {                                                                                              \
        uint##n##_t r = (uint##n##_t)(a + b), carries = (uint##n##_t)ADD_CARRIES(a, b, r);         \
        FLAGS_FROM_CARRIES(cpu, n, (uint64_t)(int64_t)(int##n##_t)r, carries);                     \
        return r;                                                                                  \
    }                                                                                              \
    static inline void cmp_flags##n(struct cpu *cpu, uint##n##_t a, uint##n##_t b)                 \
    {                                                                                              \
        uint##n##_t r = (uint##n##_t)(a - b), borrows = (uint##n##_t)SUB_BORROWS(a, b, r);         \
        FLAGS_FROM_CARRIES(cpu, n, (uint64_t)(int64_t)(int##n##_t)r, borrows);                     \
    }                                                                                              \
    HANDLER(xadd##n##_r)                                                                           \
    {                                                                                              \
        uint##n##_t a = RD##n(op->rm), r = add_flags##n(cpu, a, RD##n(op->reg));                   \
        WR##n(op->reg, a);                                                                         \
        WR##n(op->rm, r);                                                                          \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(xadd##n##_m)                                                                           \
    {                                                                                              \
        uint64_t at = ea_any(cpu, op, n / 8, true);                                                \
        uint##n##_t a = (uint##n##_t)LOAD_RMW##n(cpu, op, at);                                     \
        STORE##n(cpu, op, at, add_flags##n(cpu, a, RD##n(op->reg)));                               \
        WR##n(op->reg, a);                                                                         \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(cmpxchg##n##_r)                                                                        \
    {                                                                                              \
        uint##n##_t a = RD##n(op->rm), expect = RD##n(REG_RAX);                                    \
        cmp_flags##n(cpu, expect, a);                                                              \
        if (expect == a)                                                                           \
            WR##n(op->rm, RD##n(op->reg));                                                         \
        else                                                                                       \
            WR##n(REG_RAX, a);                                                                     \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(cmpxchg##n##_m) /* the destination is written either way */                            \
    {                                                                                              \
        uint64_t at = ea_any(cpu, op, n / 8, true);                                                \
        uint##n##_t a = (uint##n##_t)LOAD_RMW##n(cpu, op, at), expect = RD##n(REG_RAX);            \
        STORE##n(cpu, op, at, expect == a ? RD##n(op->reg) : a);                                   \
        cmp_flags##n(cpu, expect, a);                                                              \
        if (expect != a)                                                                           \
            WR##n(REG_RAX, a);                                                                     \
        NEXT();                                                                                    \
    }
FOR_SIZES(EXCHANGE)

static void set_zf(struct cpu *cpu, bool zf)
{
    flags_merge(cpu, RFLAGS_ZF, zf ? RFLAGS_ZF : 0);
}

HANDLER(cmpxchg8b)
{
    uint64_t at = ea_any(cpu, op, 8, true), a = LOAD_RMW64(cpu, op, at);
    uint64_t expect = (uint64_t)RD32(REG_RDX) << 32 | RD32(REG_RAX);
    uint64_t with = (uint64_t)RD32(REG_RCX) << 32 | RD32(REG_RBX);

    STORE64(cpu, op, at, a == expect ? with : a);
    set_zf(cpu, a == expect);
    if (a != expect) {
        WR32(REG_RAX, a);
        WR32(REG_RDX, a >> 32);
    }
    NEXT();
}

HANDLER(cmpxchg16b)
{
    uint64_t at = ea_any(cpu, op, 16, true), low, high;
    bool equal;

    if (at & 15) {
        cpu->op = op;
        raise_gp0(cpu);
    }
    low = LOAD_RMW64(cpu, op, at);
    high = LOAD_RMW64(cpu, op, at + 8);
    equal = low == cpu->regs[REG_RAX] && high == cpu->regs[REG_RDX];
    STORE64(cpu, op, at, equal ? cpu->regs[REG_RBX] : low);
    STORE64(cpu, op, at + 8, equal ? cpu->regs[REG_RCX] : high);
    set_zf(cpu, equal);
    if (!equal) {
        cpu->regs[REG_RAX] = low;
        cpu->regs[REG_RDX] = high;
    }
    NEXT();
}

/* --- CMOVcc, SETcc --- */

#define COND_o  flag_of(cpu)
#define COND_b  flag_cf(cpu)
#define COND_z  flag_zf(cpu)
#define COND_be (flag_cf(cpu) || flag_zf(cpu))
#define COND_s  flag_sf(cpu)
#define COND_p  flag_pf(cpu)
#define COND_l  (flag_sf(cpu) != flag_of(cpu))
#define COND_le (flag_zf(cpu) || flag_sf(cpu) != flag_of(cpu))

#define CONDITIONAL(cc, test)                                                                      \
    HANDLER(set##cc##_r)                                                                           \
    {                                                                                              \
        WR8(op->rm, test);                                                                         \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(set##cc##_m)                                                                           \
    {                                                                                              \
        STORE8(cpu, op, ea_any(cpu, op, 1, true), test);                                           \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(cmov##cc##64_r)                                                                        \
    {                                                                                              \
        uint64_t v = cpu->regs[op->rm];                                                            \
        cpu->regs[op->reg] = (test) ? v : cpu->regs[op->reg];                                      \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(cmov##cc##32_r)                                                                        \
    {                                                                                              \
        uint64_t v = cpu->regs[op->rm];                                                            \
        cpu->regs[op->reg] = (uint32_t)((test) ? v : cpu->regs[op->reg]);                          \
        NEXT();                                                                                    \
    }
CONDITIONAL(o, COND_o)
CONDITIONAL(no, !COND_o)
CONDITIONAL(b, COND_b)
CONDITIONAL(nb, !COND_b)
CONDITIONAL(z, COND_z)
CONDITIONAL(nz, !COND_z)
CONDITIONAL(be, COND_be)
CONDITIONAL(nbe, !COND_be)
CONDITIONAL(s, COND_s)
CONDITIONAL(ns, !COND_s)
CONDITIONAL(p, COND_p)
CONDITIONAL(np, !COND_p)
CONDITIONAL(l, COND_l)
CONDITIONAL(nl, !COND_l)
CONDITIONAL(le, COND_le)
CONDITIONAL(nle, !COND_le)

/* Memory sources (read whatever the condition) and 16 bits. */
HANDLER(cmov_any)
{
    bool move = flags_condition(cpu, op->id - INSN_CMOVO);
    uint64_t v = cpu->regs[op->rm], at;

    if (op->mem) {
        at = ea_any(cpu, op, 1u << op->opsize, false);
        v = op->opsize == OPSIZE_16   ? LOAD16(cpu, op, at)
            : op->opsize == OPSIZE_32 ? LOAD32(cpu, op, at)
                                      : LOAD64(cpu, op, at);
    }
    if (!move)
        v = cpu->regs[op->reg];
    if (op->opsize == OPSIZE_16)
        WR16(op->reg, v);
    else if (op->opsize == OPSIZE_32)
        WR32(op->reg, v);
    else
        WR64(op->reg, v);
    NEXT();
}

/* --- the rest --- */

HANDLER(bswap32)
{
    WR32(op->rm, __builtin_bswap32(RD32(op->rm)));
    NEXT();
}
HANDLER(bswap64)
{
    cpu->regs[op->rm] = __builtin_bswap64(cpu->regs[op->rm]);
    NEXT();
}
HANDLER(bswap16) /* undefined: hardware clears the low half */
{
    WR16(op->rm, 0);
    NEXT();
}

static uint64_t byte_swap(uint64_t v, unsigned opsize)
{
    return opsize == OPSIZE_16   ? __builtin_bswap16((uint16_t)v)
           : opsize == OPSIZE_32 ? __builtin_bswap32((uint32_t)v)
                                 : __builtin_bswap64(v);
}
HANDLER(movbe_load)
{
    uint64_t at = ea_any(cpu, op, 1u << op->opsize, false), v;

    v = op->opsize == OPSIZE_16   ? LOAD16(cpu, op, at)
        : op->opsize == OPSIZE_32 ? LOAD32(cpu, op, at)
                                  : LOAD64(cpu, op, at);
    v = byte_swap(v, op->opsize);
    if (op->opsize == OPSIZE_16)
        WR16(op->reg, v);
    else
        cpu->regs[op->reg] = v;
    NEXT();
}
HANDLER(movbe_store)
{
    uint64_t at = ea_any(cpu, op, 1u << op->opsize, true);
    uint64_t v = byte_swap(cpu->regs[op->reg], op->opsize);

    if (op->opsize == OPSIZE_16)
        STORE16(cpu, op, at, v);
    else if (op->opsize == OPSIZE_32)
        STORE32(cpu, op, at, v);
    else
        STORE64(cpu, op, at, v);
    NEXT();
}

HANDLER(cbw)
{
    WR16(REG_RAX, (int8_t)cpu->regs[REG_RAX]);
    NEXT();
}
HANDLER(cwde)
{
    WR32(REG_RAX, (int16_t)cpu->regs[REG_RAX]);
    NEXT();
}
HANDLER(cdqe)
{
    cpu->regs[REG_RAX] = sext32(cpu->regs[REG_RAX]);
    NEXT();
}
HANDLER(cwd)
{
    WR16(REG_RDX, (int16_t)cpu->regs[REG_RAX] < 0 ? 0xffff : 0);
    NEXT();
}
HANDLER(cdq)
{
    WR32(REG_RDX, (int32_t)cpu->regs[REG_RAX] < 0 ? UINT32_MAX : 0);
    NEXT();
}
HANDLER(cqo)
{
    cpu->regs[REG_RDX] = (int64_t)cpu->regs[REG_RAX] < 0 ? UINT64_MAX : 0;
    NEXT();
}

HANDLER(xlat)
{
    uint64_t offset = cpu->regs[REG_RBX] + RD8(0);

    if (op->addrsize != OPSIZE_64)
        offset = op->addrsize == OPSIZE_32 ? (uint32_t)offset : (uint16_t)offset;
    WR8(0, LOAD8(cpu, op, seg_linear(cpu, op, op->seg, offset, 1, false)));
    NEXT();
}

HANDLER(lahf)
{
    WR8(1, (flags_get(cpu) & 0xd5) | 2); /* AH */
    NEXT();
}
HANDLER(sahf)
{
    flags_merge(cpu, 0xd5, RD8(1));
    NEXT();
}
HANDLER(salc)
{
    WR8(0, flag_cf(cpu) ? 0xff : 0);
    NEXT();
}
HANDLER(clc)
{
    flags_set_cf(cpu, false);
    NEXT();
}
HANDLER(stc)
{
    flags_set_cf(cpu, true);
    NEXT();
}
HANDLER(cmc)
{
    flags_set_cf(cpu, !flag_cf(cpu));
    NEXT();
}
HANDLER(cld)
{
    cpu->rflags &= ~(uint64_t)RFLAGS_DF;
    NEXT();
}
HANDLER(std)
{
    cpu->rflags |= RFLAGS_DF;
    NEXT();
}
HANDLER(nop)
{
    NEXT();
}

/* --- choosing --- */

#define MOV_ROW(n)                                                                                 \
    {mov##n##_r_r, mov##n##_r_i,                                                                   \
     mov##n##_r_m_bd, mov##n##_r_m_bisd, mov##n##_r_m_e32, mov##n##_r_m_any,                       \
     mov##n##_m_r_bd, mov##n##_m_r_bisd, mov##n##_m_r_e32, mov##n##_m_r_any,                       \
     mov##n##_m_i_bd, mov##n##_m_i_bisd, mov##n##_m_i_e32, mov##n##_m_i_any,                       \
     mov##n##_r_moffs, mov##n##_moffs_r}
enum { MOV_R_R, MOV_R_I, MOV_R_M, MOV_M_R = MOV_R_M + EA_KINDS, MOV_M_I = MOV_M_R + EA_KINDS,
       MOV_R_MOFFS = MOV_M_I + EA_KINDS, MOV_MOFFS_R, MOV_SHAPES };
static op_fn *const mov_table[4][MOV_SHAPES] = {MOV_ROW(8), MOV_ROW(16), MOV_ROW(32), MOV_ROW(64)};

static op_fn *lower_plain_mov(const struct insn *in, enum ea_kind kind, struct op *op)
{
    op_fn *const *row = mov_table[in->opsize];
    uint8_t reg;

    switch (in->form) {
    case FORM_RM_IMM:
        if (op->mem)
            return row[MOV_M_I + kind];
        op->reg = op->rm;
        return row[MOV_R_I];
    case FORM_RM_R:
        if (op->mem)
            return row[MOV_M_R + kind];
        reg = op->reg;
        op->reg = op->rm;
        op->rm = reg;
        return row[MOV_R_R];
    case FORM_R_RM: return op->mem ? row[MOV_R_M + kind] : row[MOV_R_R];
    case FORM_R_MOFFS: return row[MOV_R_MOFFS];
    case FORM_MOFFS_R: return row[MOV_MOFFS_R];
    default: return NULL;
    }
}

#define EXTEND_ROW(name, from, to)                                                                 \
    {name##from##_##to##_r, name##from##_##to##_m_bd, name##from##_##to##_m_bisd,                  \
     name##from##_##to##_m_e32, name##from##_##to##_m_any}
/* [kind of extension][destination 16, 32, 64]; zero extension to 64 is that to 32. */
static op_fn *const extend_table[5][3][1 + EA_KINDS] = {
    {EXTEND_ROW(movzx, 8, 16), EXTEND_ROW(movzx, 8, 32), EXTEND_ROW(movzx, 8, 32)},
    {EXTEND_ROW(movzx, 16, 16), EXTEND_ROW(movzx, 16, 32), EXTEND_ROW(movzx, 16, 32)},
    {EXTEND_ROW(movsx, 8, 16), EXTEND_ROW(movsx, 8, 32), EXTEND_ROW(movsx, 8, 64)},
    {EXTEND_ROW(movsx, 16, 16), EXTEND_ROW(movsx, 16, 32), EXTEND_ROW(movsx, 16, 64)},
    {EXTEND_ROW(movsx, 32, 16), EXTEND_ROW(movsx, 32, 32), EXTEND_ROW(movsx, 32, 64)},
};

#define EXCHANGE_ROW(k) {{k##8_r, k##8_m}, {k##16_r, k##16_m}, {k##32_r, k##32_m}, {k##64_r, k##64_m}}
static op_fn *const exchange_table[3][4][2] = {EXCHANGE_ROW(xchg), EXCHANGE_ROW(xadd),
                                               EXCHANGE_ROW(cmpxchg)};
_Static_assert(INSN_CMPXCHG == INSN_XCHG + 2, "exchange_table follows the order of insn.def");

#define CC_ROW(cc) {set##cc##_r, set##cc##_m, cmov##cc##32_r, cmov##cc##64_r}
static op_fn *const cc_table[16][4] = {CC_ROW(o), CC_ROW(no), CC_ROW(b),  CC_ROW(nb),
                                       CC_ROW(z), CC_ROW(nz), CC_ROW(be), CC_ROW(nbe),
                                       CC_ROW(s), CC_ROW(ns), CC_ROW(p),  CC_ROW(np),
                                       CC_ROW(l), CC_ROW(nl), CC_ROW(le), CC_ROW(nle)};

static op_fn *lower_extend(const struct insn *in, enum ea_kind kind, struct op *op)
{
    unsigned which = in->id - INSN_MOVZX8;

    return extend_table[which][in->opsize - OPSIZE_16][op->mem ? 1 + kind : 0];
}
_Static_assert(INSN_MOVSXD == INSN_MOVZX8 + 4, "extend_table follows the order of insn.def");

static op_fn *lower_lea(const struct insn *in, enum ea_kind kind, struct op *op)
{
    if (in->addrsize == OPSIZE_64 && in->opsize == OPSIZE_64 && kind != EA_ANY)
        return op->index == REG_NONE ? lea64_bd : lea64_bisd;
    if (in->addrsize != OPSIZE_16 && in->opsize == OPSIZE_32)
        return lea32_bisd;
    return lea_any;
}

static op_fn *lower_cc(const struct insn *in, struct op *op)
{
    if (in->id >= INSN_SETO && in->id <= INSN_SETNLE)
        return cc_table[in->id - INSN_SETO][op->mem];
    if (op->mem || in->opsize == OPSIZE_16)
        return cmov_any;
    return cc_table[in->id - INSN_CMOVO][in->opsize == OPSIZE_32 ? 2 : 3];
}

op_fn *lower_mov(const struct insn *in, enum ea_kind kind, struct op *op)
{
    if (in->id >= INSN_SETO && in->id <= INSN_CMOVNLE)
        return lower_cc(in, op);
    switch (in->id) {
    case INSN_MOV: return lower_plain_mov(in, kind, op);
    case INSN_MOVNTI: return mov_table[in->opsize][MOV_M_R + kind];
    case INSN_MOVZX8: case INSN_MOVZX16: case INSN_MOVSX8: case INSN_MOVSX16: case INSN_MOVSXD:
        return lower_extend(in, kind, op);
    case INSN_LEA: return lower_lea(in, kind, op);
    case INSN_XCHG: case INSN_XADD: case INSN_CMPXCHG:
        return exchange_table[in->id - INSN_XCHG][in->opsize][op->mem];
    case INSN_CMPXCHG8B: return cmpxchg8b;
    case INSN_CMPXCHG16B: return cmpxchg16b;
    case INSN_BSWAP:
        return in->opsize == OPSIZE_64 ? bswap64 : in->opsize == OPSIZE_32 ? bswap32 : bswap16;
    case INSN_MOVBE: return in->form == FORM_R_RM ? movbe_load : movbe_store;
    case INSN_CBW: return in->opsize == OPSIZE_64 ? cdqe : in->opsize == OPSIZE_32 ? cwde : cbw;
    case INSN_CWD: return in->opsize == OPSIZE_64 ? cqo : in->opsize == OPSIZE_32 ? cdq : cwd;
    case INSN_XLAT: return xlat;
    case INSN_LAHF: return lahf;
    case INSN_SAHF: return sahf;
    case INSN_SALC: return salc;
    case INSN_CLC: return clc;
    case INSN_STC: return stc;
    case INSN_CMC: return cmc;
    case INSN_CLD: return cld;
    case INSN_STD: return std;
    case INSN_NOP: case INSN_PAUSE: case INSN_PREFETCH: case INSN_LFENCE: case INSN_MFENCE:
    case INSN_SFENCE:
        return nop;
    default: return NULL;
    }
}
