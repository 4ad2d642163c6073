/* SPDX-License-Identifier: MIT */
/*
 * Instruction encoding for the generator (Intel SDM vol. 2, chapter 2). Independent of the decoder
 * on purpose: what it builds goes to both CPUs, and nothing in the test decodes it for the host.
 */
#include "gen_internal.h"

#include <string.h>

struct writer {
    uint8_t b[24];
    unsigned n;
};

static void put(struct writer *w, uint64_t v, unsigned bytes)
{
    for (; bytes > 0; bytes--, v >>= 8)
        w->b[w->n++] = (uint8_t)v;
}

/* Register number as ModRM and REX have it. AH..BH are 4..7 without REX. */
static unsigned reg_code(bool byte, unsigned reg)
{
    return byte && reg >= REG8_AH ? reg - REG8_AH + 4 : reg;
}

static bool is_high_byte(bool byte, unsigned reg)
{
    return byte && reg >= REG8_AH;
}
/* SPL, BPL, SIL, DIL exist only with REX. */
static bool is_low_byte(bool byte, unsigned reg)
{
    return byte && reg >= REG_RSP && reg <= REG_RDI;
}

/* REX, or 0; *ok false when AH..BH and REX meet. */
static unsigned rex_of(const struct gen *g, const struct enc *e, bool *ok)
{
    unsigned rex = 0;
    bool high = is_high_byte(e->byte_reg, e->reg), need = false;

    if (e->size == OPSIZE_64 && !e->no_w && !e->no_size)
        rex |= 8;
    if (reg_code(e->byte_reg, e->reg) & 8)
        rex |= 4;
    need = is_low_byte(e->byte_reg, e->reg) || e->force_rex;
    if (e->is_mem) {
        if (e->base < REG_NONE && (e->base & 8))
            rex |= 1;
        if (e->index < REG_NONE && (e->index & 8))
            rex |= 2;
    } else {
        high |= is_high_byte(e->byte_rm, e->rm);
        need |= is_low_byte(e->byte_rm, e->rm);
        if (reg_code(e->byte_rm, e->rm) & 8)
            rex |= 1;
    }
    if (rex || need)
        rex |= 0x40;
    *ok = !(rex && (high || !g->is64));
    return rex;
}

static void put_prefixes(const struct gen *g, const struct enc *e, struct writer *w)
{
    (void)g;
    if (e->segment)
        put(w, e->segment, 1);
    if (e->lock)
        put(w, 0xf0, 1);
    if (e->addr_small)
        put(w, 0x67, 1);
    if (e->size == OPSIZE_16 && !e->no_size)
        put(w, 0x66, 1);
    if (e->repeat)
        put(w, e->repeat, 1);
}

static void put_opcode(const struct enc *e, struct writer *w)
{
    if (e->opcode > 0xffff)
        put(w, e->opcode >> 16, 1);
    if (e->opcode > 0xff)
        put(w, e->opcode >> 8, 1);
    put(w, e->opcode, 1);
}

/* 32- and 64-bit addressing. */
static void put_memory(const struct gen *g, const struct enc *e, struct writer *w,
                       unsigned *disp_at)
{
    unsigned reg = (reg_code(e->byte_reg, e->reg) & 7) << 3, mod, n;
    bool sib = e->index != REG_NONE || (e->base & 7) == 4 || (e->base == REG_NONE && g->is64);

    if (e->rip) {
        put(w, reg | 5, 1);
        *disp_at = w->n;
        put(w, 0, 4);
        return;
    }
    if (e->base == REG_NONE) {
        mod = 0;
        n = 4;
    } else if (e->disp_bytes == 4 || e->disp < -128 || e->disp > 127) {
        mod = 2;
        n = 4;
    } else if (e->disp_bytes == 1 || e->disp != 0 || (e->base & 7) == 5) {
        mod = 1;
        n = 1;
    } else {
        mod = 0;
        n = 0;
    }
    if (sib) {
        put(w, mod << 6 | reg | 4, 1);
        put(w,
            (unsigned)e->scale << 6 | (e->index == REG_NONE ? 4u : e->index & 7u) << 3 |
                (e->base == REG_NONE ? 5u : e->base & 7u),
            1);
    } else {
        put(w, mod << 6 | reg | (e->base == REG_NONE ? 5u : e->base & 7u), 1);
    }
    put(w, (uint32_t)e->disp, n);
}

bool gen_emit_bytes(struct gen *g, const uint8_t *bytes, unsigned len)
{
    struct gen_item *item;

    if (g->p->n >= GEN_MAX_ITEMS || len > GEN_ITEM_BYTES)
        return false;
    item = &g->p->items[g->p->n++];
    memset(item, 0, sizeof(*item));
    memcpy(item->bytes, bytes, len);
    item->len = (uint8_t)len;
    return true;
}

bool gen_emit(struct gen *g, const struct enc *e)
{
    struct writer w = {.n = 0};
    unsigned disp_at = 0, rex;
    bool ok;

    rex = rex_of(g, e, &ok);
    if (!ok)
        return false;
    put_prefixes(g, e, &w);
    if (rex)
        put(&w, rex, 1);
    put_opcode(e, &w);
    if (e->is_mem)
        put_memory(g, e, &w, &disp_at);
    else if (e->has_modrm)
        put(&w, 0xc0 | (reg_code(e->byte_reg, e->reg) & 7) << 3 | (reg_code(e->byte_rm, e->rm) & 7),
            1);
    put(&w, e->imm, e->imm_bytes);
    if (w.n > INSN_MAX_LEN || !gen_emit_bytes(g, w.b, w.n))
        return false;
    if (e->is_mem && e->rip) {
        gen_last(g)->fix = FIX_RIP_VA;
        gen_last(g)->fix_at = (uint8_t)disp_at;
        gen_last(g)->va = e->rip_va;
    }
    return true;
}

/* --- choosing a memory operand --- */

static unsigned pick_in(struct gen *g, uint32_t set)
{
    unsigned n = (unsigned)__builtin_popcount(set), k = rnd(g, n);

    for (; k > 0; k--)
        set &= set - 1;
    return (unsigned)__builtin_ctz(set);
}

static void pick_index(struct gen *g, struct enc *e)
{
    uint32_t set = g->small;

    e->scale = (uint8_t)rnd(g, 4);
    if (set == 0 || chance(g, 15))
        set = g->is64 ? 0xffef : 0xef; /* any, which RSP cannot be */
    e->index = (uint8_t)pick_in(g, set & ~(1u << REG_RSP) ? set & ~(1u << REG_RSP) : 1);
}

bool gen_memory_at_edge(struct gen *g, struct enc *e, unsigned size)
{
    if (g->edges == 0 || !chance(g, 5))
        return false;
    e->is_mem = true;
    e->has_modrm = true;
    if (g->is64 && chance(g, 20)) { /* the end of what a RIP-relative displacement reaches */
        e->rip = true;
        e->rip_va = CODE_VA + g->p->start + INT32_MAX + rnd(g, 256);
        return true;
    }
    e->base = (uint8_t)pick_in(g, g->edges);
    e->index = REG_NONE;
    e->disp = (int32_t)rnd(g, 4) - (int32_t)rnd(g, size + 4);
    return true;
}

void gen_memory(struct gen *g, struct enc *e, unsigned size)
{
    if (!gen_memory_at_edge(g, e, size))
        gen_memory_at(g, e, gen_address(g, size));
}

void gen_memory_at(struct gen *g, struct enc *e, uint64_t target)
{
    uint64_t known = 0;

    e->is_mem = true;
    e->has_modrm = true;
    e->base = e->index = REG_NONE;
    e->addr_small = g->is64 && chance(g, 6);
    if (g->is64 && chance(g, 3)) {
        e->segment = 0x65; /* GS */
        target -= GS_BASE;
    } else if (chance(g, 2)) {
        e->segment = "\x26\x2e\x36\x3e"[rnd(g, 4)];
    }
    if (g->is64 && !e->segment && chance(g, 12)) {
        e->rip = true;
        e->rip_va = (uint32_t)target;
        return;
    }
    if (!chance(g, 6)) {
        uint32_t set = chance(g, 92) ? g->pointers : (g->is64 ? 0xffffu : 0xffu);

        if (set == 0)
            set = 1u << REG_RSP;
        e->base = (uint8_t)pick_in(g, set);
        known = g->known[e->base];
        if (g->dirty_high >> e->base & 1)
            e->addr_small = chance(g, 90);
    }
    if (chance(g, 35)) {
        pick_index(g, e);
        known += g->known[e->index] << e->scale;
    }
    e->disp = (int32_t)(target - known);
    if ((int64_t)(target - known) != e->disp && chance(g, 80))
        e->addr_small = g->is64;
    if (chance(g, 15))
        e->disp_bytes = 4;
    else if (chance(g, 10) && e->base != REG_NONE)
        e->disp = (int8_t)e->disp;
}
