/* SPDX-License-Identifier: MIT */
/*
 * Integer arithmetic and logic: ADD OR ADC SBB AND SUB XOR CMP TEST, INC DEC NEG NOT, MUL and DIV.
 * Undefined flags: AF after logic is 0; after MUL, ZF, SF and PF follow the low half and AF is 0;
 * after DIV flags are unchanged.
 */
#include "operands.h"

/* --- kernels: (a, b) to result and flags, one body for all widths --- */

#define SX(n, v) sext##n(v)
#define sext64(v) ((uint64_t)(v))

#define KERNELS(n, ...)                                                                            \
    static inline uint##n##_t k_add##n(struct cpu *c, uint##n##_t a, uint##n##_t b)                \
    {                                                                                              \
        uint##n##_t r = (uint##n##_t)(a + b);                                                      \
        uint##n##_t carries = (uint##n##_t)ADD_CARRIES(a, b, r);                                   \
        FLAGS_FROM_CARRIES(c, n, SX(n, r), carries);                                               \
        return r;                                                                                  \
    }                                                                                              \
    static inline uint##n##_t k_adc##n(struct cpu *c, uint##n##_t a, uint##n##_t b)                \
    {                                                                                              \
        uint##n##_t r = (uint##n##_t)(a + b + flag_cf(c));                                         \
        uint##n##_t carries = (uint##n##_t)ADD_CARRIES(a, b, r);                                   \
        FLAGS_FROM_CARRIES(c, n, SX(n, r), carries);                                               \
        return r;                                                                                  \
    }                                                                                              \
    static inline uint##n##_t k_sub##n(struct cpu *c, uint##n##_t a, uint##n##_t b)                \
    {                                                                                              \
        uint##n##_t r = (uint##n##_t)(a - b);                                                      \
        uint##n##_t borrows = (uint##n##_t)SUB_BORROWS(a, b, r);                                   \
        FLAGS_FROM_CARRIES(c, n, SX(n, r), borrows);                                               \
        return r;                                                                                  \
    }                                                                                              \
    static inline uint##n##_t k_sbb##n(struct cpu *c, uint##n##_t a, uint##n##_t b)                \
    {                                                                                              \
        uint##n##_t r = (uint##n##_t)(a - b - flag_cf(c));                                         \
        uint##n##_t borrows = (uint##n##_t)SUB_BORROWS(a, b, r);                                   \
        FLAGS_FROM_CARRIES(c, n, SX(n, r), borrows);                                               \
        return r;                                                                                  \
    }                                                                                              \
    static inline uint##n##_t k_and##n(struct cpu *c, uint##n##_t a, uint##n##_t b)                \
    {                                                                                              \
        uint##n##_t r = a & b;                                                                     \
        flags_logic(c, SX(n, r));                                                                  \
        return r;                                                                                  \
    }                                                                                              \
    static inline uint##n##_t k_or##n(struct cpu *c, uint##n##_t a, uint##n##_t b)                 \
    {                                                                                              \
        uint##n##_t r = a | b;                                                                     \
        flags_logic(c, SX(n, r));                                                                  \
        return r;                                                                                  \
    }                                                                                              \
    static inline uint##n##_t k_xor##n(struct cpu *c, uint##n##_t a, uint##n##_t b)                \
    {                                                                                              \
        uint##n##_t r = a ^ b;                                                                     \
        flags_logic(c, SX(n, r));                                                                  \
        return r;                                                                                  \
    }                                                                                              \
    static inline uint##n##_t k_inc##n(struct cpu *c, uint##n##_t a)                               \
    {                                                                                              \
        bool cf = flag_cf(c);                                                                      \
        uint##n##_t r = k_add##n(c, a, 1);                                                         \
        flags_set_cf(c, cf);                                                                       \
        return r;                                                                                  \
    }                                                                                              \
    static inline uint##n##_t k_dec##n(struct cpu *c, uint##n##_t a)                               \
    {                                                                                              \
        bool cf = flag_cf(c);                                                                      \
        uint##n##_t r = k_sub##n(c, a, 1);                                                         \
        flags_set_cf(c, cf);                                                                       \
        return r;                                                                                  \
    }                                                                                              \
    static inline uint##n##_t k_neg##n(struct cpu *c, uint##n##_t a)                               \
    {                                                                                              \
        return k_sub##n(c, 0, a);                                                                  \
    }                                                                                              \
    static inline uint##n##_t k_not##n(struct cpu *c, uint##n##_t a)                               \
    {                                                                                              \
        (void)c;                                                                                   \
        return (uint##n##_t)~a;                                                                    \
    }
FOR_SIZES(KERNELS)

/* --- two operands, destination written --- */

#define BINARY_EA(ea, k, n)                                                                        \
    HANDLER(k##n##_r_m_##ea)                                                                       \
    {                                                                                              \
        uint##n##_t b = (uint##n##_t)LOAD##n(cpu, op, EA_##ea(n / 8, false));                      \
        WR##n(op->reg, k_##k##n(cpu, RD##n(op->reg), b));                                          \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(k##n##_m_r_##ea)                                                                       \
    {                                                                                              \
        uint64_t at = EA_##ea(n / 8, true);                                                        \
        uint##n##_t a = (uint##n##_t)LOAD_RMW##n(cpu, op, at);                                     \
        STORE##n(cpu, op, at, k_##k##n(cpu, a, RD##n(op->reg)));                                   \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(k##n##_m_i_##ea)                                                                       \
    {                                                                                              \
        uint64_t at = EA_##ea(n / 8, true);                                                        \
        uint##n##_t a = (uint##n##_t)LOAD_RMW##n(cpu, op, at);                                     \
        STORE##n(cpu, op, at, k_##k##n(cpu, a, (uint##n##_t)op->imm));                             \
        NEXT();                                                                                    \
    }
#define BINARY(n, k)                                                                               \
    HANDLER(k##n##_r_r)                                                                            \
    {                                                                                              \
        WR##n(op->reg, k_##k##n(cpu, RD##n(op->reg), RD##n(op->rm)));                              \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(k##n##_r_i)                                                                            \
    {                                                                                              \
        WR##n(op->reg, k_##k##n(cpu, RD##n(op->reg), (uint##n##_t)op->imm));                       \
        NEXT();                                                                                    \
    }                                                                                              \
    FOR_EA(BINARY_EA, k, n)

FOR_SIZES(BINARY, add)
FOR_SIZES(BINARY, or)
FOR_SIZES(BINARY, adc)
FOR_SIZES(BINARY, sbb)
FOR_SIZES(BINARY, and)
FOR_SIZES(BINARY, sub)
FOR_SIZES(BINARY, xor)

/* --- two operands, flags only: CMP, TEST --- */

#define COMPARE_EA(ea, name, k, n)                                                                 \
    HANDLER(name##n##_r_m_##ea)                                                                    \
    {                                                                                              \
        uint##n##_t b = (uint##n##_t)LOAD##n(cpu, op, EA_##ea(n / 8, false));                      \
        k_##k##n(cpu, RD##n(op->reg), b);                                                          \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(name##n##_m_r_##ea)                                                                    \
    {                                                                                              \
        uint##n##_t a = (uint##n##_t)LOAD##n(cpu, op, EA_##ea(n / 8, false));                      \
        k_##k##n(cpu, a, RD##n(op->reg));                                                          \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(name##n##_m_i_##ea)                                                                    \
    {                                                                                              \
        uint##n##_t a = (uint##n##_t)LOAD##n(cpu, op, EA_##ea(n / 8, false));                      \
        k_##k##n(cpu, a, (uint##n##_t)op->imm);                                                    \
        NEXT();                                                                                    \
    }
#define COMPARE(n, name, k)                                                                        \
    HANDLER(name##n##_r_r)                                                                         \
    {                                                                                              \
        k_##k##n(cpu, RD##n(op->reg), RD##n(op->rm));                                              \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(name##n##_r_i)                                                                         \
    {                                                                                              \
        k_##k##n(cpu, RD##n(op->reg), (uint##n##_t)op->imm);                                       \
        NEXT();                                                                                    \
    }                                                                                              \
    FOR_EA(COMPARE_EA, name, k, n)

FOR_SIZES(COMPARE, cmp, sub)
FOR_SIZES(COMPARE, test, and)

/* --- one operand --- */

#define UNARY_EA(ea, k, n)                                                                         \
    HANDLER(k##n##_m_##ea)                                                                         \
    {                                                                                              \
        uint64_t at = EA_##ea(n / 8, true);                                                        \
        uint##n##_t a = (uint##n##_t)LOAD_RMW##n(cpu, op, at);                                     \
        STORE##n(cpu, op, at, k_##k##n(cpu, a));                                                   \
        NEXT();                                                                                    \
    }
#define UNARY(n, k)                                                                                \
    HANDLER(k##n##_r)                                                                              \
    {                                                                                              \
        WR##n(op->rm, k_##k##n(cpu, RD##n(op->rm)));                                               \
        NEXT();                                                                                    \
    }                                                                                              \
    FOR_EA(UNARY_EA, k, n)

FOR_SIZES(UNARY, inc)
FOR_SIZES(UNARY, dec)
FOR_SIZES(UNARY, neg)
FOR_SIZES(UNARY, not )

/* --- multiplication and division: rarer, so operands are fetched by a helper --- */

static inline uint64_t operand_rm(struct cpu *cpu, const struct op *op)
{
    uint64_t at;

    if (!op->mem)
        return op->opsize == OPSIZE_8 ? RD8(op->rm) : RD64(op->rm);
    at = ea_any(cpu, op, 1u << op->opsize, false);
    switch (op->opsize) {
    case OPSIZE_8: return LOAD8(cpu, op, at);
    case OPSIZE_16: return LOAD16(cpu, op, at);
    case OPSIZE_32: return LOAD32(cpu, op, at);
    default: return LOAD64(cpu, op, at);
    }
}

/* CF and OF say that the high half matters; the rest as the prologue says. */
static inline void mul_flags(struct cpu *cpu, uint64_t low, bool overflow)
{
    cpu->lf_result = low;
    cpu->lf_aux = overflow ? LF_CF : 0; /* bit 62 clear: OF = CF */
}

HANDLER(mul8)
{
    unsigned r = (unsigned)RD8(0) * (uint8_t)operand_rm(cpu, op);
    WR16(REG_RAX, r);
    mul_flags(cpu, sext8(r), r > 0xff);
    NEXT();
}
HANDLER(imul8)
{
    int r = (int8_t)RD8(0) * (int8_t)operand_rm(cpu, op);
    WR16(REG_RAX, r);
    mul_flags(cpu, sext8((uint64_t)r), r != (int8_t)r);
    NEXT();
}

#define MULTIPLY(n, wide, swide)                                                                   \
    HANDLER(mul##n)                                                                                \
    {                                                                                              \
        wide r = (wide)RD##n(REG_RAX) * (uint##n##_t)operand_rm(cpu, op);                          \
        WR##n(REG_RAX, (uint##n##_t)r);                                                            \
        WR##n(REG_RDX, (uint##n##_t)(r >> n));                                                     \
        mul_flags(cpu, SX(n, (uint##n##_t)r), (r >> n) != 0);                                      \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(imul##n)                                                                               \
    {                                                                                              \
        swide r = (swide)(int##n##_t)RD##n(REG_RAX) * (int##n##_t)operand_rm(cpu, op);             \
        WR##n(REG_RAX, (uint##n##_t)r);                                                            \
        WR##n(REG_RDX, (uint##n##_t)(r >> n));                                                     \
        mul_flags(cpu, SX(n, (uint##n##_t)r), r != (int##n##_t)r);                                 \
        NEXT();                                                                                    \
    }                                                                                              \
    static inline uint##n##_t k_imul##n(struct cpu *cpu, uint##n##_t a, uint##n##_t b)             \
    {                                                                                              \
        swide r = (swide)(int##n##_t)a * (int##n##_t)b;                                            \
        mul_flags(cpu, SX(n, (uint##n##_t)r), r != (int##n##_t)r);                                 \
        return (uint##n##_t)r;                                                                     \
    }                                                                                              \
    HANDLER(imul2_##n)                                                                             \
    {                                                                                              \
        uint##n##_t b = (uint##n##_t)operand_rm(cpu, op);                                          \
        WR##n(op->reg, k_imul##n(cpu, RD##n(op->reg), b));                                         \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(imul2_r_r_##n)                                                                         \
    {                                                                                              \
        WR##n(op->reg, k_imul##n(cpu, RD##n(op->reg), RD##n(op->rm)));                             \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(imul3_##n)                                                                             \
    {                                                                                              \
        uint##n##_t a = (uint##n##_t)operand_rm(cpu, op);                                          \
        WR##n(op->reg, k_imul##n(cpu, a, (uint##n##_t)op->imm));                                   \
        NEXT();                                                                                    \
    }
MULTIPLY(16, uint32_t, int32_t)
MULTIPLY(32, uint64_t, int64_t)
MULTIPLY(64, unsigned __int128, __int128)

static _Noreturn void divide_error(struct cpu *cpu, const struct op *op)
{
    cpu->op = op;
    raise_exception(cpu, EXC_DE);
}

HANDLER(div8)
{
    uint8_t d = (uint8_t)operand_rm(cpu, op);
    uint16_t a = RD16(REG_RAX);

    if (d == 0 || a / d > 0xff)
        divide_error(cpu, op);
    WR16(REG_RAX, (unsigned)(a % d) << 8 | (unsigned)(a / d));
    NEXT();
}
HANDLER(idiv8)
{
    int8_t d = (int8_t)operand_rm(cpu, op);
    int16_t a = (int16_t)RD16(REG_RAX);
    int q;

    if (d == 0)
        divide_error(cpu, op);
    q = a / d;
    if (q != (int8_t)q)
        divide_error(cpu, op);
    WR16(REG_RAX, (unsigned)((a % d) & 0xff) << 8 | (unsigned)(q & 0xff));
    NEXT();
}

#define DIVIDE(n, wide, swide)                                                                     \
    HANDLER(div##n)                                                                                \
    {                                                                                              \
        uint##n##_t d = (uint##n##_t)operand_rm(cpu, op);                                          \
        wide a = (wide)RD##n(REG_RDX) << n | RD##n(REG_RAX);                                       \
        if (d == 0 || RD##n(REG_RDX) >= d)                                                         \
            divide_error(cpu, op);                                                                 \
        WR##n(REG_RAX, (uint##n##_t)(a / d));                                                      \
        WR##n(REG_RDX, (uint##n##_t)(a % d));                                                      \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(idiv##n)                                                                               \
    {                                                                                              \
        int##n##_t d = (int##n##_t)operand_rm(cpu, op);                                            \
        swide a = (swide)((wide)RD##n(REG_RDX) << n | RD##n(REG_RAX));                             \
        swide q;                                                                                   \
        if (d == 0 || (d == -1 && a == (swide)((wide)1 << (2 * n - 1))))                           \
            divide_error(cpu, op);                                                                 \
        q = a / d;                                                                                 \
        if (q != (int##n##_t)q)                                                                    \
            divide_error(cpu, op);                                                                 \
        WR##n(REG_RAX, (uint##n##_t)q);                                                            \
        WR##n(REG_RDX, (uint##n##_t)(a % d));                                                      \
        NEXT();                                                                                    \
    }
DIVIDE(16, uint32_t, int32_t)
DIVIDE(32, uint64_t, int64_t)
DIVIDE(64, unsigned __int128, __int128)

/* --- choosing --- */

enum { SHAPE_R_R, SHAPE_R_I, SHAPE_R_M, SHAPE_M_R = SHAPE_R_M + EA_KINDS,
       SHAPE_M_I = SHAPE_M_R + EA_KINDS, SHAPES = SHAPE_M_I + EA_KINDS };

#define SHAPE_ROW(k, n)                                                                            \
    {k##n##_r_r, k##n##_r_i,                                                                       \
     k##n##_r_m_bd, k##n##_r_m_bisd, k##n##_r_m_e32, k##n##_r_m_any,                               \
     k##n##_m_r_bd, k##n##_m_r_bisd, k##n##_m_r_e32, k##n##_m_r_any,                               \
     k##n##_m_i_bd, k##n##_m_i_bisd, k##n##_m_i_e32, k##n##_m_i_any}
#define SHAPE_ROWS(k) {SHAPE_ROW(k, 8), SHAPE_ROW(k, 16), SHAPE_ROW(k, 32), SHAPE_ROW(k, 64)}

/* By id - INSN_ADD. */
static op_fn *const binary_table[9][4][SHAPES] = {
    SHAPE_ROWS(add), SHAPE_ROWS(or), SHAPE_ROWS(adc), SHAPE_ROWS(sbb), SHAPE_ROWS(and),
    SHAPE_ROWS(sub), SHAPE_ROWS(xor), SHAPE_ROWS(cmp), SHAPE_ROWS(test),
};
_Static_assert(INSN_TEST == INSN_ADD + 8, "binary_table follows the order of insn.def");

#define UNARY_ROW(k, n) {k##n##_r, k##n##_m_bd, k##n##_m_bisd, k##n##_m_e32, k##n##_m_any}
#define UNARY_ROWS(k) {UNARY_ROW(k, 8), UNARY_ROW(k, 16), UNARY_ROW(k, 32), UNARY_ROW(k, 64)}
/* By id - INSN_INC: INC, DEC, NOT, NEG. */
static op_fn *const unary_table[4][4][1 + EA_KINDS] = {
    UNARY_ROWS(inc), UNARY_ROWS(dec), UNARY_ROWS(not ), UNARY_ROWS(neg)};
_Static_assert(INSN_NEG == INSN_INC + 3, "unary_table follows the order of insn.def");

static op_fn *const multiply_table[4][4] = {
    {mul8, mul16, mul32, mul64},
    {imul8, imul16, imul32, imul64},
    {div8, div16, div32, div64},
    {idiv8, idiv16, idiv32, idiv64},
};
static op_fn *const imul2_table[4] = {NULL, imul2_16, imul2_32, imul2_64};
static op_fn *const imul2_r_r_table[4] = {NULL, imul2_r_r_16, imul2_r_r_32, imul2_r_r_64};
static op_fn *const imul3_table[4] = {NULL, imul3_16, imul3_32, imul3_64};

/* Register destinations are always op->reg, register sources op->rm. */
static void swap_registers(struct op *op)
{
    uint8_t reg = op->reg;

    op->reg = op->rm;
    op->rm = reg;
}

static op_fn *lower_binary(const struct insn *in, enum ea_kind kind, struct op *op)
{
    op_fn *const *row = binary_table[in->id - INSN_ADD][in->opsize];

    if (in->form == FORM_RM_IMM) {
        if (op->mem)
            return row[SHAPE_M_I + kind];
        op->reg = op->rm;
        return row[SHAPE_R_I];
    }
    if (op->mem)
        return row[(in->form == FORM_RM_R ? SHAPE_M_R : SHAPE_R_M) + kind];
    if (in->form == FORM_RM_R)
        swap_registers(op);
    return row[SHAPE_R_R];
}

op_fn *lower_alu(const struct insn *in, enum ea_kind kind, struct op *op)
{
    if (in->id >= INSN_ADD && in->id <= INSN_TEST)
        return lower_binary(in, kind, op);
    if (in->id >= INSN_INC && in->id <= INSN_NEG)
        return unary_table[in->id - INSN_INC][in->opsize][op->mem ? 1 + kind : 0];
    switch (in->id) {
    case INSN_MUL: return multiply_table[0][in->opsize];
    case INSN_IMUL: return multiply_table[1][in->opsize];
    case INSN_DIV: return multiply_table[2][in->opsize];
    case INSN_IDIV: return multiply_table[3][in->opsize];
    case INSN_IMUL2:
        if (in->form == FORM_R_RM_IMM)
            return imul3_table[in->opsize];
        return op->mem ? imul2_table[in->opsize] : imul2_r_r_table[in->opsize];
    default: return NULL;
    }
}
