/* SPDX-License-Identifier: MIT */
/*
 * The MMX and SSE to SSE4.2 instructions of the generator: a table of encodings (Intel SDM vol. 2,
 * appendix A), written from the manual and not from the emulator's tables.
 *
 * Left out: RCPPS, RCPSS, RSQRTPS, RSQRTSS (makers differ in bits; docs/deviations.md), and what is
 * no part of the CPU model, as AES.
 */
#include "gen_internal.h"

/* Register files of ModRM.reg and ModRM.rm. */
enum file { X, P, R, N }; /* XMM, MMX, general; N: ModRM.reg is part of the opcode */

#define REGS  0x01u /* ModRM.rm may be a register */
#define MEM   0x02u /* ... memory */
#define IMM   0x04u
#define WIDE  0x08u /* REX.W doubles the general register, and memory if it is 4 bytes */
#define TO_RM 0x10u /* the destination is rm */
#define ALIGN 0x20u /* memory has to be aligned */
#define STORES_RDI 0x40u
#define BOTH  (REGS | MEM)

struct row {
    uint32_t opcode;
    uint8_t prefix, reg, rm, bytes, flags;
    uint8_t digit;
};

static const struct row rows[] = {
    /* moves */
    {0x0f10, 0, X, X, 16, BOTH, 0},
    {0x0f10, 0x66, X, X, 16, BOTH, 0},
    {0x0f10, 0xf3, X, X, 4, BOTH, 0},
    {0x0f10, 0xf2, X, X, 8, BOTH, 0},
    {0x0f11, 0, X, X, 16, BOTH | TO_RM, 0},
    {0x0f11, 0x66, X, X, 16, BOTH | TO_RM, 0},
    {0x0f11, 0xf3, X, X, 4, BOTH | TO_RM, 0},
    {0x0f11, 0xf2, X, X, 8, BOTH | TO_RM, 0},
    {0x0f12, 0, X, X, 8, BOTH, 0},
    {0x0f12, 0x66, X, X, 8, MEM, 0},
    {0x0f12, 0xf2, X, X, 8, BOTH, 0},
    {0x0f12, 0xf3, X, X, 16, BOTH | ALIGN, 0},
    {0x0f13, 0, X, X, 8, MEM, 0},
    {0x0f13, 0x66, X, X, 8, MEM, 0},
    {0x0f16, 0, X, X, 8, BOTH, 0},
    {0x0f16, 0x66, X, X, 8, MEM, 0},
    {0x0f16, 0xf3, X, X, 16, BOTH | ALIGN, 0},
    {0x0f17, 0, X, X, 8, MEM, 0},
    {0x0f17, 0x66, X, X, 8, MEM, 0},
    {0x0f28, 0, X, X, 16, BOTH | ALIGN, 0},
    {0x0f28, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0f29, 0, X, X, 16, BOTH | ALIGN | TO_RM, 0},
    {0x0f29, 0x66, X, X, 16, BOTH | ALIGN | TO_RM, 0},
    {0x0f2b, 0, X, X, 16, MEM | ALIGN, 0},
    {0x0f2b, 0x66, X, X, 16, MEM | ALIGN, 0},
    {0x0f50, 0, R, X, 0, REGS, 0},
    {0x0f50, 0x66, R, X, 0, REGS, 0},
    {0x0f6e, 0, P, R, 4, BOTH | WIDE, 0},
    {0x0f6e, 0x66, X, R, 4, BOTH | WIDE, 0},
    {0x0f7e, 0, P, R, 4, BOTH | WIDE | TO_RM, 0},
    {0x0f7e, 0x66, X, R, 4, BOTH | WIDE | TO_RM, 0},
    {0x0f7e, 0xf3, X, X, 8, BOTH, 0},
    {0x0f6f, 0, P, P, 8, BOTH, 0},
    {0x0f6f, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0f6f, 0xf3, X, X, 16, BOTH, 0},
    {0x0f7f, 0, P, P, 8, BOTH | TO_RM, 0},
    {0x0f7f, 0x66, X, X, 16, BOTH | ALIGN | TO_RM, 0},
    {0x0f7f, 0xf3, X, X, 16, BOTH | TO_RM, 0},
    {0x0fd6, 0x66, X, X, 8, BOTH | TO_RM, 0},
    {0x0fd6, 0xf2, P, X, 0, REGS, 0},
    {0x0fd6, 0xf3, X, P, 0, REGS, 0},
    {0x0fd7, 0, R, P, 0, REGS, 0},
    {0x0fd7, 0x66, R, X, 0, REGS, 0},
    {0x0fe7, 0, P, P, 8, MEM, 0},
    {0x0fe7, 0x66, X, X, 16, MEM | ALIGN, 0},
    {0x0ff0, 0xf2, X, X, 16, MEM, 0},
    {0x0ff7, 0, P, P, 0, REGS | STORES_RDI, 0},
    {0x0ff7, 0x66, X, X, 0, REGS | STORES_RDI, 0},
    {0x0f382a, 0x66, X, X, 16, MEM | ALIGN, 0},
    /* single and double precision */
    {0x0f14, 0, X, X, 16, BOTH | ALIGN, 0},
    {0x0f14, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0f15, 0, X, X, 16, BOTH | ALIGN, 0},
    {0x0f15, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0f2e, 0, X, X, 4, BOTH, 0},
    {0x0f2e, 0x66, X, X, 8, BOTH, 0},
    {0x0f2f, 0, X, X, 4, BOTH, 0},
    {0x0f2f, 0x66, X, X, 8, BOTH, 0},
    {0x0f54, 0, X, X, 16, BOTH | ALIGN, 0},
    {0x0f54, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0f55, 0, X, X, 16, BOTH | ALIGN, 0},
    {0x0f55, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0f56, 0, X, X, 16, BOTH | ALIGN, 0},
    {0x0f56, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0f57, 0, X, X, 16, BOTH | ALIGN, 0},
    {0x0f57, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0fc6, 0, X, X, 16, BOTH | ALIGN | IMM, 0},
    {0x0fc6, 0x66, X, X, 16, BOTH | ALIGN | IMM, 0},
    {0x0f7c, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0f7c, 0xf2, X, X, 16, BOTH | ALIGN, 0},
    {0x0f7d, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0f7d, 0xf2, X, X, 16, BOTH | ALIGN, 0},
    {0x0fd0, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0fd0, 0xf2, X, X, 16, BOTH | ALIGN, 0},
    /* conversions */
    {0x0f2a, 0, X, P, 8, BOTH, 0},
    {0x0f2a, 0x66, X, P, 8, BOTH, 0},
    {0x0f2a, 0xf3, X, R, 4, BOTH | WIDE, 0},
    {0x0f2a, 0xf2, X, R, 4, BOTH | WIDE, 0},
    {0x0f2c, 0, P, X, 8, BOTH, 0},
    {0x0f2c, 0x66, P, X, 16, BOTH | ALIGN, 0},
    {0x0f2c, 0xf3, R, X, 4, BOTH | WIDE, 0},
    {0x0f2c, 0xf2, R, X, 8, BOTH | WIDE, 0},
    {0x0f2d, 0, P, X, 8, BOTH, 0},
    {0x0f2d, 0x66, P, X, 16, BOTH | ALIGN, 0},
    {0x0f2d, 0xf3, R, X, 4, BOTH | WIDE, 0},
    {0x0f2d, 0xf2, R, X, 8, BOTH | WIDE, 0},
    {0x0f5a, 0, X, X, 8, BOTH, 0},
    {0x0f5a, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0f5a, 0xf3, X, X, 4, BOTH, 0},
    {0x0f5a, 0xf2, X, X, 8, BOTH, 0},
    {0x0f5b, 0, X, X, 16, BOTH | ALIGN, 0},
    {0x0f5b, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0f5b, 0xf3, X, X, 16, BOTH | ALIGN, 0},
    {0x0fe6, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0fe6, 0xf3, X, X, 8, BOTH, 0},
    {0x0fe6, 0xf2, X, X, 16, BOTH | ALIGN, 0},
    /* shuffles, elements, shifts by an immediate */
    {0x0f6c, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0f6d, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0f70, 0, P, P, 8, BOTH | IMM, 0},
    {0x0f70, 0x66, X, X, 16, BOTH | ALIGN | IMM, 0},
    {0x0f70, 0xf3, X, X, 16, BOTH | ALIGN | IMM, 0},
    {0x0f70, 0xf2, X, X, 16, BOTH | ALIGN | IMM, 0},
    {0x0fc4, 0, P, R, 2, BOTH | IMM, 0},
    {0x0fc4, 0x66, X, R, 2, BOTH | IMM, 0},
    {0x0fc5, 0, R, P, 0, REGS | IMM, 0},
    {0x0fc5, 0x66, R, X, 0, REGS | IMM, 0},
    {0x0f73, 0x66, N, X, 0, REGS | IMM, 3},
    {0x0f73, 0x66, N, X, 0, REGS | IMM, 7},
    /* SSE4.1, SSE4.2 */
    {0x0f3810, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0f3814, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0f3815, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0f3817, 0x66, X, X, 16, BOTH | ALIGN, 0},
    {0x0f3820, 0x66, X, X, 8, BOTH, 0},
    {0x0f3821, 0x66, X, X, 4, BOTH, 0},
    {0x0f3822, 0x66, X, X, 2, BOTH, 0},
    {0x0f3823, 0x66, X, X, 8, BOTH, 0},
    {0x0f3824, 0x66, X, X, 4, BOTH, 0},
    {0x0f3825, 0x66, X, X, 8, BOTH, 0},
    {0x0f3830, 0x66, X, X, 8, BOTH, 0},
    {0x0f3831, 0x66, X, X, 4, BOTH, 0},
    {0x0f3832, 0x66, X, X, 2, BOTH, 0},
    {0x0f3833, 0x66, X, X, 8, BOTH, 0},
    {0x0f3834, 0x66, X, X, 4, BOTH, 0},
    {0x0f3835, 0x66, X, X, 8, BOTH, 0},
    {0x0f3a08, 0x66, X, X, 16, BOTH | ALIGN | IMM, 0},
    {0x0f3a09, 0x66, X, X, 16, BOTH | ALIGN | IMM, 0},
    {0x0f3a0a, 0x66, X, X, 4, BOTH | IMM, 0},
    {0x0f3a0b, 0x66, X, X, 8, BOTH | IMM, 0},
    {0x0f3a14, 0x66, X, R, 1, BOTH | IMM | TO_RM, 0},
    {0x0f3a15, 0x66, X, R, 2, BOTH | IMM | TO_RM, 0},
    {0x0f3a16, 0x66, X, R, 4, BOTH | IMM | TO_RM | WIDE, 0},
    {0x0f3a17, 0x66, X, R, 4, BOTH | IMM | TO_RM, 0},
    {0x0f3a20, 0x66, X, R, 1, BOTH | IMM, 0},
    {0x0f3a21, 0x66, X, X, 4, BOTH | IMM, 0},
    {0x0f3a22, 0x66, X, R, 4, BOTH | IMM | WIDE, 0},
    {0x0f3a60, 0x66, X, X, 16, BOTH | IMM | WIDE, 0},
    {0x0f3a61, 0x66, X, X, 16, BOTH | IMM | WIDE, 0},
    {0x0f3a62, 0x66, X, X, 16, BOTH | IMM, 0},
    {0x0f3a63, 0x66, X, X, 16, BOTH | IMM, 0},
};

/* Packed and scalar of both precisions: no prefix, 66h, F3h, F2h. */
static const uint8_t arithmetic[] = {0x51, 0x58, 0x59, 0x5c, 0x5d, 0x5e, 0x5f, 0xc2};

/* MMX without a prefix, XMM with 66h. */
static const uint32_t both_files[] = {
    0x0f60,   0x0f61,   0x0f62,   0x0f63,   0x0f64,   0x0f65,   0x0f66,   0x0f67,   0x0f68,
    0x0f69,   0x0f6a,   0x0f6b,   0x0f74,   0x0f75,   0x0f76,   0x0fd1,   0x0fd2,   0x0fd3,
    0x0fd4,   0x0fd5,   0x0fd8,   0x0fd9,   0x0fda,   0x0fdb,   0x0fdc,   0x0fdd,   0x0fde,
    0x0fdf,   0x0fe0,   0x0fe1,   0x0fe2,   0x0fe3,   0x0fe4,   0x0fe5,   0x0fe8,   0x0fe9,
    0x0fea,   0x0feb,   0x0fec,   0x0fed,   0x0fee,   0x0fef,   0x0ff1,   0x0ff2,   0x0ff3,
    0x0ff4,   0x0ff5,   0x0ff6,   0x0ff8,   0x0ff9,   0x0ffa,   0x0ffb,   0x0ffc,   0x0ffd,
    0x0ffe,   0x0f3800, 0x0f3801, 0x0f3802, 0x0f3803, 0x0f3804, 0x0f3805, 0x0f3806, 0x0f3807,
    0x0f3808, 0x0f3809, 0x0f380a, 0x0f380b, 0x0f381c, 0x0f381d, 0x0f381e, 0x0f3a0f,
};

/* XMM with 66h only, aligned, without an immediate but those of 0F 3Ah. */
static const uint32_t xmm_only[] = {
    0x0f3828, 0x0f3829, 0x0f382b, 0x0f3837, 0x0f3838, 0x0f3839, 0x0f383a, 0x0f383b, 0x0f383c,
    0x0f383d, 0x0f383e, 0x0f383f, 0x0f3840, 0x0f3841, 0x0f3a0c, 0x0f3a0d, 0x0f3a0e, 0x0f3a40,
    0x0f3a41, 0x0f3a42,
};

#define COUNT(a) ((unsigned)(sizeof(a) / sizeof((a)[0])))

static struct row pick_arithmetic(struct gen *g)
{
    static const uint8_t prefixes[4] = {0, 0x66, 0xf3, 0xf2}, bytes[4] = {16, 16, 4, 8};
    unsigned op = arithmetic[rnd(g, COUNT(arithmetic))], k = rnd(g, 4);

    return (struct row){0x0f00u | op, prefixes[k], X, X, bytes[k],
                        (uint8_t)(BOTH | (k < 2 ? ALIGN : 0) | (op == 0xc2 ? IMM : 0)), 0};
}

static struct row pick_both_files(struct gen *g)
{
    uint32_t opcode = both_files[rnd(g, COUNT(both_files))];
    unsigned flags = BOTH | ALIGN | (opcode == 0x0f3a0f ? IMM : 0);

    if (chance(g, 50))
        return (struct row){opcode, 0x66, X, X, 16, (uint8_t)flags, 0};
    return (struct row){opcode, 0, P, P, 8, (uint8_t)(flags & ~ALIGN), 0};
}

static struct row pick_xmm_only(struct gen *g)
{
    uint32_t opcode = xmm_only[rnd(g, COUNT(xmm_only))];

    return (struct row){opcode, 0x66, X, X, 16,
                        (uint8_t)(BOTH | ALIGN | (opcode >= 0x0f3a00 ? IMM : 0)), 0};
}

/* 0F 71h to 73h /2, /4, /6; the last has no /4. */
static struct row pick_shift(struct gen *g)
{
    unsigned op = rnd(g, 3), digit = 2 + 2 * rnd(g, 3);
    bool xmm = chance(g, 50);

    if (op == 2 && digit == 4)
        digit = 2;
    return (struct row){0x0f71u + op, xmm ? 0x66 : 0, N, xmm ? X : P, 0, REGS | IMM, (uint8_t)digit};
}

static struct row pick_row(struct gen *g)
{
    uint32_t r = rnd(g, 100);

    if (r < 45)
        return rows[rnd(g, COUNT(rows))];
    if (r < 70)
        return pick_arithmetic(g);
    if (r < 88)
        return pick_both_files(g);
    return r < 95 ? pick_xmm_only(g) : pick_shift(g);
}

/* Number of a register; MMX registers ignore REX. */
static unsigned pick_register(struct gen *g, unsigned file, bool written)
{
    unsigned reg;

    if (file == P)
        return rnd(g, g->is64 && chance(g, 10) ? 16 : 8);
    if (file == X)
        return gen_any_reg(g);
    reg = written ? gen_dest_reg(g) : gen_any_reg(g);
    if (written)
        gen_wrote(g, reg);
    return reg;
}

static void set_memory(struct gen *g, struct enc *e, const struct row *row)
{
    unsigned bytes = row->bytes << (row->rm == R && e->size == OPSIZE_64 && (row->flags & WIDE));
    uint32_t va = gen_address(g, bytes);

    if ((row->flags & ALIGN) && !chance(g, 6))
        va &= ~15u;
    if (!gen_memory_at_edge(g, e, bytes))
        gen_memory_at(g, e, va);
}

/* Counts and selectors: mostly small. */
static void set_control(struct gen *g, struct enc *e)
{
    e->imm = rnd(g, chance(g, 60) ? 32 : 256);
    e->imm_bytes = 1;
}

static void emit_row(struct gen *g, const struct row *row)
{
    bool wide = g->is64 && chance(g, row->flags & WIDE ? 40 : 2);
    struct enc e = gen_enc_of(g, row->opcode, wide ? OPSIZE_64 : OPSIZE_32);

    e.repeat = row->prefix;
    e.has_modrm = true;
    if ((row->flags & MEM) && (!(row->flags & REGS) || chance(g, 40)))
        set_memory(g, &e, row);
    else
        e.rm = (uint8_t)pick_register(g, row->rm, row->flags & TO_RM);
    e.reg = row->reg == N ? row->digit : (uint8_t)pick_register(g, row->reg, !(row->flags & TO_RM));
    if (row->flags & IMM)
        set_control(g, &e);
    if ((row->opcode == 0x0f3a61 || row->opcode == 0x0f3a63))
        gen_wrote(g, REG_RCX);
    gen_emit(g, &e);
}

/* MASKMOVQ and MASKMOVDQU store at rDI: point it somewhere. */
static void aim_rdi(struct gen *g)
{
    struct enc e = gen_enc_of(g, 0xb8 | REG_RDI, OPSIZE_32);

    e.rm = REG_RDI;
    e.imm = gen_address(g, 16);
    e.imm_bytes = 4;
    e.force_rex = false;
    gen_wrote(g, REG_RDI);
    gen_emit(g, &e);
}

void gen_simd(struct gen *g)
{
    static const uint8_t emms[] = {0x0f, 0x77};
    uint32_t r = rnd(g, 200);
    struct row row;

    if (r < 8) {
        gen_state(g);
        return;
    }
    if (r < 10) {
        gen_emit_bytes(g, emms, sizeof(emms));
        return;
    }
    row = pick_row(g);
    if ((row.flags & STORES_RDI) && chance(g, 80))
        aim_rdi(g);
    emit_row(g, &row);
}
