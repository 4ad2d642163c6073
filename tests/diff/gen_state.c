/* SPDX-License-Identifier: MIT */
/*
 * The generator's instructions that move floating-point state: FXSAVE, FXRSTOR, LDMXCSR, STMXCSR, and the XSAVE family
 * (Intel SDM vol. 1, 13; vol. 2).
 *
 * A host has more components than x87 and SSE, the CPU model no others. So the requested-feature bitmap in EDX:EAX
 * names no component that a host may have besides, and headers for XRSTOR none either; XGETBV is executed with
 * numbers of registers that no CPU has. XSAVE areas lie in one part of the arena as a whole: which bytes of an area
 * are accessed when not all of it is saved is the makers' choice.
 *
 * Left out: XSETBV but for its #GP (gen_control.c), XSAVES and XRSTORS, which the model does not have.
 */
#include "gen_internal.h"

/* Components that no processor has. */
#define NOBODYS (~(3 | HOST_COMPONENTS | 1ULL << 63))

static void emit_mov(struct gen *g, unsigned reg, uint32_t value)
{
    struct enc e = gen_enc_of(g, 0xb8 | reg, OPSIZE_32);

    e.rm = (uint8_t)reg;
    e.imm = value;
    e.imm_bytes = 4;
    e.force_rex = false;
    gen_wrote(g, reg);
    gen_emit(g, &e);
}

/* MOV dword [va], value */
static void emit_store(struct gen *g, uint32_t va, uint32_t value)
{
    struct enc e = gen_enc_of(g, 0xc7, OPSIZE_32);

    e.reg = 0;
    gen_memory_at(g, &e, va);
    e.imm = value;
    e.imm_bytes = 4;
    gen_emit(g, &e);
}

/* FXSAVE, FXRSTOR, LDMXCSR, STMXCSR: 0F AE /0 to /3. */
static void legacy_state(struct gen *g)
{
    unsigned digit = rnd(g, 4);
    struct enc e = gen_enc_of(g, 0x0fae, g->is64 && chance(g, 50) ? OPSIZE_64 : OPSIZE_32);
    uint32_t va = GEN_CONTROL_VA + 16 * rnd(g, GEN_CONTROL_WORDS);

    e.reg = (uint8_t)digit;
    if (digit < 2)
        va = GEN_IMAGE_VA + GEN_IMAGE_BYTES * rnd(g, GEN_IMAGES);
    if (chance(g, digit == 2 || digit == 1 ? 12 : 60))
        va = gen_address(g, digit < 2 ? 512 : 4);
    if (digit < 2 && chance(g, 90))
        va &= ~15u;
    gen_memory_at(g, &e, va);
    gen_emit(g, &e);
}

/* --- XSAVE --- */

/* Aligned to 64 bytes, nearly always; in memory that can be written, read, or not accessed. */
static uint32_t area_address(struct gen *g)
{
    uint32_t r = rnd(g, 100), va = GEN_IMAGE_VA + GEN_IMAGE_BYTES * rnd(g, GEN_IMAGES);

    if (r < 20)
        va = DATA_VA + (rnd(g, DATA_BYTES - XSAVE_AREA) & ~63u);
    else if (r < 25)
        va = RO_VA + (rnd(g, PAGE - XSAVE_AREA) & ~63u);
    else if (r < 28)
        va = DATA_VA - PAGE + (rnd(g, PAGE - XSAVE_AREA) & ~63u);
    return chance(g, 4) ? va + 1 + rnd(g, 63) : va;
}

/* A bit that no header may have, now and then. */
static uint64_t spoilt(struct gen *g, uint64_t bits)
{
    uint64_t bad = NOBODYS & rng_next(&g->rng);

    return chance(g, 6) ? bits | (bad & -bad) : bits;
}

static void emit_store64(struct gen *g, uint32_t va, uint64_t value)
{
    emit_store(g, va, (uint32_t)value);
    emit_store(g, va + 4, (uint32_t)(value >> 32));
}

/* XSTATE_BV, XCOMP_BV, and that the rest is not zero. */
static void write_header(struct gen *g, uint32_t area)
{
    bool compact = chance(g, 45);
    uint64_t has = rnd(g, 4), comp = compact ? 1ULL << 63 | has | rnd(g, 4) : 0;

    if (compact && chance(g, 6)) /* a component of which there is none in this format */
        has = rnd(g, 4);
    if (!compact && chance(g, 4))
        comp = rnd(g, 4);
    emit_store64(g, area + XSAVE_BV, spoilt(g, has));
    emit_store64(g, area + XSAVE_COMP, spoilt(g, comp));
    if (chance(g, 6))
        emit_store(g, area + XSAVE_COMP + 4 + 4 * rnd(g, 13), chance(g, 50) ? 0 : 1u << rnd(g, 32));
}

static void request(struct gen *g)
{
    emit_mov(g, REG_RAX, rnd(g, 4) | (chance(g, 30) ? (uint32_t)NOBODYS : 0));
    emit_mov(g, REG_RDX, chance(g, 70) ? 0 : (uint32_t)(NOBODYS >> 32));
}

/* XSAVE, XRSTOR, XSAVEOPT: 0F AE /4 to /6; XSAVEC: 0F C7 /4. */
static void extended_state(struct gen *g)
{
    static const uint8_t digits[] = {4, 5, 5, 5, 6, 4};
    unsigned k = rnd(g, sizeof(digits));
    struct enc e = gen_enc_of(g, k == 5 ? 0x0fc7 : 0x0fae, g->is64 && chance(g, 50) ? OPSIZE_64 : OPSIZE_32);
    uint32_t area = area_address(g);

    if (digits[k] == 5 && area < RO_VA && chance(g, 92))
        write_header(g, area & ~63u);
    request(g);
    e.reg = digits[k];
    gen_memory_at(g, &e, area);
    e.segment = 0; /* no far address by GS */
    gen_emit(g, &e);
}

static void no_such_register(struct gen *g)
{
    static const uint8_t xgetbv[] = {0x0f, 0x01, 0xd0};

    emit_mov(g, REG_RCX, chance(g, 50) ? 2 + rnd(g, 1000) : ~rnd(g, 1000));
    gen_emit_bytes(g, xgetbv, sizeof(xgetbv));
}

void gen_state(struct gen *g)
{
    uint32_t r = rnd(g, 100);

    if (r < 50)
        legacy_state(g);
    else if (r < 97)
        extended_state(g);
    else
        no_such_register(g);
}
