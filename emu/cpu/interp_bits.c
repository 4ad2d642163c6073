/* SPDX-License-Identifier: MIT */
/*
 * Shifts, rotates, bit tests and scans, population count, CRC32, and the decimal adjustments.
 *
 * Undefined flags, as we pick them: OF after a shift or rotate by more than one is computed by the rule
 * for one from the last step; AF after shifts is 0; BT and friends leave OF, SF, AF and PF alone; BSF
 * and BSR of zero leave the destination alone and set ZF, the other flags as for a logic result.
 */
#include "operands.h"

/* --- the operand, whatever it is --- */

static inline uint64_t place(struct cpu *cpu, const struct op *op)
{
    return ea_any(cpu, op, 1u << op->opsize, true);
}

#define LOAD_RM(n, at) (op->mem ? (uint##n##_t)LOAD_RMW##n(cpu, op, (at)) : (uint##n##_t)RD##n(op->rm))
#define STORE_RM(n, at, v)                                                                         \
    do {                                                                                           \
        if (op->mem)                                                                               \
            STORE##n(cpu, op, (at), (v));                                                          \
        else                                                                                       \
            WR##n(op->rm, (v));                                                                    \
    } while (0)

#define sext64(v) ((uint64_t)(v))

/* ZF, SF, PF of a result; CF and OF given; AF 0. */
static inline void shift_flags(struct cpu *cpu, uint64_t result, bool cf, bool of)
{
    cpu->lf_result = result;
    cpu->lf_aux = (uint64_t)cf << 63 | (uint64_t)(cf ^ of) << 62;
}

/* --- kernels; count is masked and not 0 --- */

#define MSB(n, v) ((bool)(((v) >> ((n)-1)) & 1))

#define SHIFT_KERNELS(n, ...)                                                                      \
    static inline uint##n##_t k_shl##n(struct cpu *c, uint##n##_t a, unsigned count)               \
    {                                                                                              \
        uint64_t wide = count < 64 ? (uint64_t)a << count : 0;                                     \
        uint##n##_t r = count < n ? (uint##n##_t)wide : 0;                                         \
        bool cf = count <= n && ((a >> (n - count)) & 1);                                          \
        shift_flags(c, sext##n(r), cf, cf ^ MSB(n, r));                                            \
        return r;                                                                                  \
    }                                                                                              \
    static inline uint##n##_t k_shr##n(struct cpu *c, uint##n##_t a, unsigned count)               \
    {                                                                                              \
        uint##n##_t r = (uint##n##_t)(count < n ? (uint64_t)a >> count : 0);                       \
        bool cf = count <= n && ((a >> (count - 1)) & 1);                                          \
        shift_flags(c, sext##n(r), cf, MSB(n, r) ^ MSB(n, (uint##n##_t)(r << 1)));                 \
        return r;                                                                                  \
    }                                                                                              \
    static inline uint##n##_t k_sar##n(struct cpu *c, uint##n##_t a, unsigned count)               \
    {                                                                                              \
        unsigned by = count < n ? count : n - 1;                                                   \
        uint##n##_t r = (uint##n##_t)((int##n##_t)a >> by);                                        \
        bool cf = count <= n ? ((int##n##_t)a >> (count - 1)) & 1 : MSB(n, a);                     \
        shift_flags(c, sext##n(r), cf, false);                                                     \
        return r;                                                                                  \
    }                                                                                              \
    static inline uint##n##_t k_rol##n(struct cpu *c, uint##n##_t a, unsigned count)               \
    {                                                                                              \
        unsigned by = count & (n - 1);                                                             \
        uint64_t wide = a;                                                                         \
        uint##n##_t r = (uint##n##_t)(by ? wide << by | wide >> (n - by) : wide);                  \
        flags_set_cf_of(c, r & 1, (r & 1) ^ MSB(n, r));                                            \
        return r;                                                                                  \
    }                                                                                              \
    static inline uint##n##_t k_ror##n(struct cpu *c, uint##n##_t a, unsigned count)               \
    {                                                                                              \
        unsigned by = count & (n - 1);                                                             \
        uint64_t wide = a;                                                                         \
        uint##n##_t r = (uint##n##_t)(by ? wide >> by | wide << (n - by) : wide);                  \
        flags_set_cf_of(c, MSB(n, r), MSB(n, r) ^ MSB(n, (uint##n##_t)(r << 1)));                  \
        return r;                                                                                  \
    }                                                                                              \
    static inline uint##n##_t k_rcl##n(struct cpu *c, uint##n##_t a, unsigned count)               \
    {                                                                                              \
        bool cf = flag_cf(c);                                                                      \
        unsigned by = count % (n + 1);                                                             \
        for (; by > 0; by--) {                                                                     \
            bool out = MSB(n, a);                                                                  \
            a = (uint##n##_t)(a << 1 | cf);                                                        \
            cf = out;                                                                              \
        }                                                                                          \
        flags_set_cf_of(c, cf, cf ^ MSB(n, a));                                                    \
        return a;                                                                                  \
    }                                                                                              \
    static inline uint##n##_t k_rcr##n(struct cpu *c, uint##n##_t a, unsigned count)               \
    {                                                                                              \
        bool cf = flag_cf(c);                                                                      \
        unsigned by = count % (n + 1);                                                             \
        for (; by > 0; by--) {                                                                     \
            bool out = a & 1;                                                                      \
            a = (uint##n##_t)(a >> 1 | (uint##n##_t)((uint##n##_t)cf << (n - 1)));                 \
            cf = out;                                                                              \
        }                                                                                          \
        flags_set_cf_of(c, cf, MSB(n, a) ^ MSB(n, (uint##n##_t)(a << 1)));                         \
        return a;                                                                                  \
    }
FOR_SIZES(SHIFT_KERNELS)

#define COUNT_MASK(n) ((n) == 64 ? 63u : 31u)

/* By register, immediate count known not to be 0; by CL; and any form for memory. A count of 0
 * changes nothing, but a 32-bit register is still zero-extended. */
#define SHIFT(n, k)                                                                                \
    HANDLER(k##n##_r_i)                                                                            \
    {                                                                                              \
        WR##n(op->rm, k_##k##n(cpu, RD##n(op->rm), (unsigned)op->imm));                            \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(k##n##_r_cl)                                                                           \
    {                                                                                              \
        unsigned count = (unsigned)cpu->regs[REG_RCX] & COUNT_MASK(n);                             \
        uint##n##_t a = RD##n(op->rm);                                                             \
        WR##n(op->rm, count ? k_##k##n(cpu, a, count) : a);                                        \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(k##n##_m_i)                                                                            \
    {                                                                                              \
        uint64_t at = place(cpu, op);                                                              \
        uint##n##_t a = (uint##n##_t)LOAD_RMW##n(cpu, op, at);                                     \
        STORE##n(cpu, op, at, op->imm ? k_##k##n(cpu, a, (unsigned)op->imm) : a);                  \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(k##n##_m_cl)                                                                           \
    {                                                                                              \
        unsigned count = (unsigned)cpu->regs[REG_RCX] & COUNT_MASK(n);                             \
        uint64_t at = place(cpu, op);                                                              \
        uint##n##_t a = (uint##n##_t)LOAD_RMW##n(cpu, op, at);                                     \
        STORE##n(cpu, op, at, count ? k_##k##n(cpu, a, count) : a);                                \
        NEXT();                                                                                    \
    }
FOR_SIZES(SHIFT, rol)
FOR_SIZES(SHIFT, ror)
FOR_SIZES(SHIFT, rcl)
FOR_SIZES(SHIFT, rcr)
FOR_SIZES(SHIFT, shl)
FOR_SIZES(SHIFT, shr)
FOR_SIZES(SHIFT, sar)

HANDLER(shift32_by_zero)
{
    cpu->regs[op->rm] = (uint32_t)cpu->regs[op->rm];
    NEXT();
}
HANDLER(shift_by_zero)
{
    NEXT();
}

/* SHLD, SHRD. With 16 bits and a count over 16 the result is undefined; we shift the 48-bit string
 * destination:source:destination, as hardware does. */
#define DOUBLE_SHIFT(n, wide)                                                                      \
    static inline uint##n##_t k_shld##n(struct cpu *c, uint##n##_t a, uint##n##_t b, unsigned count) \
    {                                                                                              \
        wide pair = (wide)a << n | b;                                                              \
        uint##n##_t r;                                                                             \
        bool cf;                                                                                   \
        if (n == 16 && count > 16) {                                                               \
            uint64_t s = (uint64_t)a << 32 | (uint64_t)b << 16 | a;                                \
            r = (uint##n##_t)(s >> (32 - count));                                                  \
            cf = (s >> (48 - count)) & 1;                                                          \
        } else {                                                                                   \
            r = (uint##n##_t)((pair << count) >> n);                                               \
            cf = (a >> (n - count)) & 1;                                                           \
        }                                                                                          \
        shift_flags(c, sext##n(r), cf, MSB(n, r) ^ MSB(n, a));                                     \
        return r;                                                                                  \
    }                                                                                              \
    static inline uint##n##_t k_shrd##n(struct cpu *c, uint##n##_t a, uint##n##_t b, unsigned count) \
    {                                                                                              \
        wide pair = (wide)b << n | a;                                                              \
        uint##n##_t r;                                                                             \
        bool cf;                                                                                   \
        if (n == 16 && count > 16) {                                                               \
            uint64_t s = (uint64_t)a << 32 | (uint64_t)b << 16 | a;                                \
            r = (uint##n##_t)(s >> count);                                                         \
            cf = (s >> (count - 1)) & 1;                                                           \
        } else {                                                                                   \
            r = (uint##n##_t)(pair >> count);                                                      \
            cf = (a >> (count - 1)) & 1;                                                           \
        }                                                                                          \
        shift_flags(c, sext##n(r), cf, MSB(n, r) ^ MSB(n, a));                                     \
        return r;                                                                                  \
    }
DOUBLE_SHIFT(16, uint64_t)
DOUBLE_SHIFT(32, uint64_t)
DOUBLE_SHIFT(64, unsigned __int128)

#define DOUBLE_HANDLER(n, k)                                                                       \
    HANDLER(k##n)                                                                                  \
    {                                                                                              \
        bool by_cl = op->imm == UINT64_MAX;                                                        \
        unsigned count = (unsigned)(by_cl ? cpu->regs[REG_RCX] : op->imm) & COUNT_MASK(n);         \
        uint64_t at = op->mem ? place(cpu, op) : 0;                                                \
        uint##n##_t a = LOAD_RM(n, at);                                                            \
        STORE_RM(n, at, count ? k_##k##n(cpu, a, RD##n(op->reg), count) : a);                      \
        NEXT();                                                                                    \
    }
DOUBLE_HANDLER(16, shld)
DOUBLE_HANDLER(32, shld)
DOUBLE_HANDLER(64, shld)
DOUBLE_HANDLER(16, shrd)
DOUBLE_HANDLER(32, shrd)
DOUBLE_HANDLER(64, shrd)

/* --- bit tests --- */

enum { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };

static inline uint64_t bit_apply(unsigned what, uint64_t a, unsigned bit)
{
    switch (what) {
    case BIT_SET: return a | 1ULL << bit;
    case BIT_RESET: return a & ~(1ULL << bit);
    case BIT_COMPLEMENT: return a ^ 1ULL << bit;
    default: return a;
    }
}

/* With a register as bit offset, memory operands reach beyond the operand (SDM vol. 2, BT). */
#define BIT_STRING_OFFSET(n) ((uint64_t)(((int64_t)(int##n##_t)RD##n(op->reg) >> 3) & -(n / 8)))

#define BIT_HANDLERS(n, name, what)                                                                \
    HANDLER(name##n##_r)                                                                           \
    {                                                                                              \
        unsigned bit = (unsigned)(op->imm == UINT64_MAX ? RD##n(op->reg) : op->imm) & (n - 1);     \
        uint64_t a = RD##n(op->rm);                                                                \
        flags_set_cf(cpu, (a >> bit) & 1);                                                         \
        if (what != BIT_TEST)                                                                      \
            WR##n(op->rm, bit_apply(what, a, bit));                                                \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(name##n##_m)                                                                           \
    {                                                                                              \
        bool by_reg = op->imm == UINT64_MAX;                                                       \
        unsigned bit = (unsigned)(by_reg ? RD##n(op->reg) : op->imm) & (n - 1);                    \
        uint64_t at = ea_offset(cpu, op) + (by_reg ? BIT_STRING_OFFSET(n) : 0), a;                 \
        if (op->addrsize != OPSIZE_64)                                                             \
            at = op->addrsize == OPSIZE_32 ? (uint32_t)at : (uint16_t)at;                          \
        at = seg_linear(cpu, op, op->seg, at, n / 8, what != BIT_TEST);                            \
        a = what == BIT_TEST ? LOAD##n(cpu, op, at) : LOAD_RMW##n(cpu, op, at);                    \
        if (what != BIT_TEST)                                                                      \
            STORE##n(cpu, op, at, bit_apply(what, a, bit));                                        \
        flags_set_cf(cpu, (a >> bit) & 1);                                                         \
        NEXT();                                                                                    \
    }
#define BIT_SIZES(name, what)                                                                      \
    BIT_HANDLERS(16, name, what) BIT_HANDLERS(32, name, what) BIT_HANDLERS(64, name, what)
BIT_SIZES(bt, BIT_TEST)
BIT_SIZES(bts, BIT_SET)
BIT_SIZES(btr, BIT_RESET)
BIT_SIZES(btc, BIT_COMPLEMENT)

/* --- scans and counts --- */

#define LOAD_SOURCE(n)                                                                             \
    (op->mem ? (uint##n##_t)LOAD##n(cpu, op, ea_any(cpu, op, n / 8, false))                        \
             : (uint##n##_t)RD##n(op->rm))

#define SCANS(n, ...)                                                                              \
    HANDLER(bsf##n)                                                                                \
    {                                                                                              \
        uint##n##_t a = LOAD_SOURCE(n);                                                            \
        if (a != 0)                                                                                \
            WR##n(op->reg, __builtin_ctzll(a));                                                    \
        flags_logic(cpu, a);                                                                       \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(bsr##n)                                                                                \
    {                                                                                              \
        uint##n##_t a = LOAD_SOURCE(n);                                                            \
        if (a != 0)                                                                                \
            WR##n(op->reg, 63 - __builtin_clzll(a));                                               \
        flags_logic(cpu, a);                                                                       \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(popcnt##n)                                                                             \
    {                                                                                              \
        uint##n##_t a = LOAD_SOURCE(n);                                                            \
        WR##n(op->reg, __builtin_popcountll(a));                                                   \
        cpu->lf_result = a == 0 ? 0 : 1;                                                           \
        cpu->lf_aux = a == 0 ? 1 << 8 : 0; /* PF is cleared always: make the parity odd */         \
        NEXT();                                                                                    \
    }
SCANS(16)
SCANS(32)
SCANS(64)

/* CRC32-C, reflected, one byte at a time (SDM vol. 2, CRC32). */
static uint32_t crc32_step(uint32_t crc, uint64_t data, unsigned bytes)
{
    unsigned i, k;

    for (i = 0; i < bytes; i++) {
        crc ^= (uint32_t)(data >> (8 * i)) & 0xff;
        for (k = 0; k < 8; k++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    }
    return crc;
}

HANDLER(crc32)
{
    uint64_t data, at;

    if (op->mem) {
        at = ea_any(cpu, op, 1u << op->opsize, false);
        data = op->opsize == OPSIZE_8    ? LOAD8(cpu, op, at)
               : op->opsize == OPSIZE_16 ? LOAD16(cpu, op, at)
               : op->opsize == OPSIZE_32 ? LOAD32(cpu, op, at)
                                         : LOAD64(cpu, op, at);
    } else {
        data = op->opsize == OPSIZE_8 ? RD8(op->rm) : cpu->regs[op->rm];
    }
    cpu->regs[op->reg] = crc32_step((uint32_t)cpu->regs[op->reg], data, 1u << op->opsize);
    NEXT();
}

/* --- decimal adjustments (not in 64-bit mode) --- */

HANDLER(daa)
{
    uint8_t al = RD8(0), old = al;
    bool cf = flag_cf(cpu), af = flag_af(cpu), carry = false;

    if ((al & 15) > 9 || af) {
        carry = cf || al > 0xf9;
        al = (uint8_t)(al + 6);
        af = true;
    }
    if (old > 0x99 || cf) {
        al = (uint8_t)(al + 0x60);
        carry = true;
    }
    WR8(0, al);
    shift_flags(cpu, sext8(al), carry, false);
    cpu->lf_aux |= af ? LF_AF : 0;
    NEXT();
}
HANDLER(das)
{
    uint8_t al = RD8(0), old = al;
    bool cf = flag_cf(cpu), af = flag_af(cpu), carry = false;

    if ((al & 15) > 9 || af) {
        carry = cf || al < 6;
        al = (uint8_t)(al - 6);
        af = true;
    }
    if (old > 0x99 || cf) {
        al = (uint8_t)(al - 0x60);
        carry = true;
    }
    WR8(0, al);
    shift_flags(cpu, sext8(al), carry, false);
    cpu->lf_aux |= af ? LF_AF : 0;
    NEXT();
}

static void ascii_adjust(struct cpu *cpu, int sign)
{
    bool adjust = (RD8(0) & 15) > 9 || flag_af(cpu);

    if (adjust)
        WR16(REG_RAX, RD16(REG_RAX) + (sign > 0 ? 0x106 : -0x106));
    WR8(0, RD8(0) & 15);
    shift_flags(cpu, sext8(RD8(0)), adjust, false);
    cpu->lf_aux |= adjust ? LF_AF : 0;
}
HANDLER(aaa)
{
    ascii_adjust(cpu, 1);
    NEXT();
}
HANDLER(aas)
{
    ascii_adjust(cpu, -1);
    NEXT();
}
HANDLER(aam)
{
    uint8_t base = (uint8_t)op->imm, al = RD8(0);

    if (base == 0) {
        cpu->op = op;
        raise_exception(cpu, EXC_DE);
    }
    WR16(REG_RAX, (unsigned)(al / base) << 8 | al % base);
    flags_logic(cpu, sext8(al % base));
    NEXT();
}
HANDLER(aad)
{
    uint8_t al = (uint8_t)(RD8(0) + RD8(1) * (uint8_t)op->imm);

    WR16(REG_RAX, al);
    flags_logic(cpu, sext8(al));
    NEXT();
}

/* --- choosing --- */

enum { SHIFT_R_I, SHIFT_R_CL, SHIFT_M_I, SHIFT_M_CL };
#define SHIFT_ROW(k, n) {k##n##_r_i, k##n##_r_cl, k##n##_m_i, k##n##_m_cl}
#define SHIFT_ROWS(k) {SHIFT_ROW(k, 8), SHIFT_ROW(k, 16), SHIFT_ROW(k, 32), SHIFT_ROW(k, 64)}
/* By id - INSN_ROL. */
static op_fn *const shift_table[7][4][4] = {SHIFT_ROWS(rol), SHIFT_ROWS(ror), SHIFT_ROWS(rcl),
                                            SHIFT_ROWS(rcr), SHIFT_ROWS(shl), SHIFT_ROWS(shr),
                                            SHIFT_ROWS(sar)};
_Static_assert(INSN_SAR == INSN_ROL + 6, "shift_table follows the order of insn.def");

static op_fn *lower_shift(const struct insn *in, struct op *op)
{
    op_fn *const *row = shift_table[in->id - INSN_ROL][in->opsize];

    if (in->form == FORM_RM_CL)
        return row[op->mem ? SHIFT_M_CL : SHIFT_R_CL];
    op->imm = in->imm & (in->opsize == OPSIZE_64 ? 63 : 31);
    if (op->mem)
        return row[SHIFT_M_I];
    if (op->imm == 0)
        return in->opsize == OPSIZE_32 ? shift32_by_zero : shift_by_zero;
    return row[SHIFT_R_I];
}

#define BIT_ROW(name)                                                                              \
    {{name##16_r, name##16_m}, {name##32_r, name##32_m}, {name##64_r, name##64_m}}
static op_fn *const bit_table[4][3][2] = {BIT_ROW(bt), BIT_ROW(bts), BIT_ROW(btr), BIT_ROW(btc)};
_Static_assert(INSN_BTC == INSN_BT + 3, "bit_table follows the order of insn.def");

static op_fn *const scan_table[3][3] = {
    {bsf16, bsf32, bsf64}, {bsr16, bsr32, bsr64}, {popcnt16, popcnt32, popcnt64}};
static op_fn *const double_table[2][3] = {{shld16, shld32, shld64}, {shrd16, shrd32, shrd64}};

op_fn *lower_bits(const struct insn *in, enum ea_kind kind, struct op *op)
{
    unsigned width = in->opsize - OPSIZE_16; /* of those without an 8-bit form */

    (void)kind;
    switch (in->id) {
    case INSN_ROL: case INSN_ROR: case INSN_RCL: case INSN_RCR:
    case INSN_SHL: case INSN_SHR: case INSN_SAR:
        return lower_shift(in, op);
    case INSN_SHLD:
    case INSN_SHRD:
        if (in->form == FORM_RM_R_CL)
            op->imm = UINT64_MAX;
        return double_table[in->id - INSN_SHLD][width];
    case INSN_BT: case INSN_BTS: case INSN_BTR: case INSN_BTC:
        if (in->form == FORM_RM_R)
            op->imm = UINT64_MAX;
        else
            op->imm = in->imm & 0xff;
        return bit_table[in->id - INSN_BT][width][op->mem];
    case INSN_BSF: return scan_table[0][width];
    case INSN_BSR: return scan_table[1][width];
    case INSN_POPCNT: return scan_table[2][width];
    case INSN_CRC32: return crc32;
    case INSN_DAA: return daa;
    case INSN_DAS: return das;
    case INSN_AAA: return aaa;
    case INSN_AAS: return aas;
    case INSN_AAM: return aam;
    case INSN_AAD: return aad;
    default: return NULL;
    }
}
