/* SPDX-License-Identifier: MIT */
/*
 * The x87 instructions of the generator, by opcode: D8h to DFh with every memory form and every
 * register form (Intel SDM vol. 2, appendix A.5), FWAIT, and MMX now and then.
 *
 * Left out: the transcendental instructions, whose last bits are this emulator's own (see
 * docs/deviations.md; tests/fp compares them with a bound).
 */
#include "gen_internal.h"

/* Bytes of the memory operand by opcode and ModRM.reg; 0: there is no such instruction. */
static const uint8_t memory_bytes[8][8] = {
    {4, 4, 4, 4, 4, 4, 4, 4},     {4, 0, 4, 4, 28, 2, 28, 2}, {4, 4, 4, 4, 4, 4, 4, 4},
    {4, 4, 4, 4, 0, 10, 0, 10},   {8, 8, 8, 8, 8, 8, 8, 8},   {8, 8, 8, 8, 108, 0, 108, 2},
    {2, 2, 2, 2, 2, 2, 2, 2},     {2, 2, 2, 2, 10, 8, 10, 8},
};

static struct enc escape(struct gen *g, unsigned op)
{
    struct enc e = gen_enc_of(g, 0xd8 | op, OPSIZE_32);

    e.has_modrm = true;
    return e;
}

static bool is_environment(unsigned op, unsigned reg)
{
    return memory_bytes[op][reg] >= 28;
}

static bool loads_control(unsigned op, unsigned reg)
{
    return op == 1 && reg == 5;
}

static void memory_form(struct gen *g)
{
    unsigned op = rnd(g, 8), reg = rnd(g, 8), bytes = memory_bytes[op][reg];
    struct enc e = escape(g, op);

    if (bytes == 0 && !chance(g, 3))
        return;
    if (is_environment(op, reg)) {
        if (!chance(g, 25))
            return;
        e.size = chance(g, 70) ? OPSIZE_32 : OPSIZE_16;
    }
    e.reg = (uint8_t)reg;
    if (loads_control(op, reg) && chance(g, 85))
        gen_memory_at(g, &e, GEN_CONTROL_VA + 16 * rnd(g, GEN_CONTROL_WORDS) + 8);
    else
        gen_memory(g, &e, bytes ? bytes : 2);
    gen_emit(g, &e);
}

/* D9 F0..F3, F9, FB, FE, FF. */
static bool is_transcendental(unsigned op, unsigned modrm)
{
    return op == 1 && modrm >= 0xf0 && (0xca0fu >> (modrm - 0xf0) & 1);
}

/* FNINIT, FNCLEX and the encodings of nothing. */
static bool is_rare(unsigned op, unsigned modrm)
{
    static const uint8_t nothing[8] = {0, 0, 0xd0, 0x80, 0, 0xc0, 0x08, 0x88};
    unsigned reg = modrm >> 3 & 7;

    if (op == 1 && (reg == 2 || modrm == 0xe2 || modrm == 0xe3 || modrm == 0xe6 || modrm == 0xe7 ||
                    modrm == 0xef))
        return true;
    return (op == 3 && reg == 4) || (nothing[op] >> reg & 1);
}

static void register_form(struct gen *g)
{
    unsigned op = rnd(g, 8), modrm = 0xc0 | rnd(g, 64);
    struct enc e = escape(g, op);

    if (op == 1 && chance(g, 50)) /* most one-operand instructions are here */
        modrm |= 0x20;
    if (is_transcendental(op, modrm) || (is_rare(op, modrm) && !chance(g, 8)))
        return;
    e.reg = modrm >> 3 & 7;
    e.rm = modrm & 7;
    if (op == 2 || op == 3) /* FCMOVcc */
        gen_need_flags(g, FL_ARITH);
    if (op == 7 && modrm == 0xe0)
        gen_wrote(g, REG_RAX);
    gen_emit(g, &e);
}

/* Puts something into what is empty, or makes room. */
static void balance(struct gen *g)
{
    struct enc e = escape(g, chance(g, 50) ? 1 : 5);

    e.reg = 0; /* FLD ST(i), FFREE ST(i) */
    e.rm = (uint8_t)rnd(g, 8);
    if (e.opcode == 0xd9 && chance(g, 50)) {
        e.reg = 5; /* a constant */
        e.rm = (uint8_t)rnd(g, 7);
    }
    gen_emit(g, &e);
}

void gen_x87(struct gen *g)
{
    uint32_t r = rnd(g, 100);
    static const uint8_t wait[] = {0x9b};

    if (r < 45)
        memory_form(g);
    else if (r < 90)
        register_form(g);
    else if (r < 95)
        balance(g);
    else if (r < 97)
        gen_emit_bytes(g, wait, sizeof(wait));
    else
        gen_simd(g);
}
