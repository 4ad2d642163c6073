/* SPDX-License-Identifier: MIT */
/* Operands of generated instructions: registers, immediates, locks, and flags that are defined. */
#include "gen_internal.h"

/* --- registers --- */

unsigned gen_any_reg(struct gen *g)
{
    return rnd(g, g->is64 ? 16 : 8);
}

/* A register to write: seldom one of those that hold pointers, next to never RSP. */
unsigned gen_dest_reg(struct gen *g)
{
    unsigned reg = gen_any_reg(g), tries;

    for (tries = 0; tries < 8; tries++, reg = gen_any_reg(g)) {
        if (reg == REG_RSP && !chance(g, 2))
            continue;
        if (!((g->pointers | g->small) >> reg & 1) || chance(g, 8))
            break;
    }
    return reg;
}

void gen_wrote(struct gen *g, unsigned reg)
{
    if (reg >= REG8_AH)
        reg -= REG8_AH;
    g->pointers &= ~(1u << reg);
    g->small &= ~(1u << reg);
    g->edges &= ~(1u << reg);
}

/* Operand numbers of 8-bit registers: 16..19 are AH..BH; 4..7 exist in 64-bit mode only. */
static unsigned byte_reg(struct gen *g, unsigned reg)
{
    if (reg < 4 && chance(g, 30))
        return reg + REG8_AH;
    if (!g->is64 && reg >= 4)
        return reg - 4 + REG8_AH;
    return reg;
}

unsigned gen_sized_reg(struct gen *g, unsigned reg, unsigned size)
{
    return size == OPSIZE_8 ? byte_reg(g, reg) : reg;
}

/* From OPSIZE_8 or OPSIZE_16 to the largest. */
unsigned gen_any_size(struct gen *g, unsigned least)
{
    return least + rnd(g, (g->is64 ? 4 : 3) - least);
}

struct enc gen_enc_of(struct gen *g, uint32_t opcode, unsigned size)
{
    return (struct enc){.opcode = opcode,
                        .size = (uint8_t)size,
                        .byte_reg = size == OPSIZE_8,
                        .byte_rm = size == OPSIZE_8,
                        .base = REG_NONE,
                        .index = REG_NONE,
                        .force_rex = g->is64 && chance(g, 4)};
}

void gen_set_reg(struct gen *g, struct enc *e, bool written)
{
    unsigned reg = written ? gen_dest_reg(g) : gen_any_reg(g);

    e->reg = (uint8_t)(e->byte_reg ? byte_reg(g, reg) : reg);
    if (written)
        gen_wrote(g, e->reg);
}

void gen_set_rm_reg(struct gen *g, struct enc *e, bool written)
{
    unsigned reg = written ? gen_dest_reg(g) : gen_any_reg(g);

    e->has_modrm = true;
    e->rm = (uint8_t)(e->byte_rm ? byte_reg(g, reg) : reg);
    if (written)
        gen_wrote(g, e->rm);
}

/* Register or memory. */
void gen_set_rm(struct gen *g, struct enc *e, bool written)
{
    if (chance(g, 45))
        gen_memory(g, e, 1u << e->size);
    else
        gen_set_rm_reg(g, e, written);
}

void gen_set_imm(struct gen *g, struct enc *e, unsigned bytes)
{
    e->imm = gen_value(g);
    e->imm_bytes = (uint8_t)bytes;
}

unsigned gen_imm_bytes_of(unsigned size)
{
    return size == OPSIZE_8 ? 1 : size == OPSIZE_16 ? 2 : 4;
}

/* LOCK, where it is allowed, and now and then where it is not (#UD). */
void gen_maybe_lock(struct gen *g, struct enc *e)
{
    e->lock = e->is_mem ? chance(g, 12) : chance(g, 1);
}

static void define_flags(struct gen *g)
{
    struct enc e = gen_enc_of(g, 0x39, OPSIZE_32);

    e.has_modrm = true;
    e.reg = (uint8_t)gen_any_reg(g);
    e.rm = (uint8_t)gen_any_reg(g);
    e.force_rex = false;
    if (gen_emit(g, &e))
        g->undef = 0;
}

void gen_need_flags(struct gen *g, uint32_t flags)
{
    if (g->undef & flags)
        define_flags(g);
}
