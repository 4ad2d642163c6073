/* SPDX-License-Identifier: MIT */
/* Programs: initial state, layout, and the values that make trouble. */
#include "gen_internal.h"

#include <string.h>

uint64_t rng_next(struct rng *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

/* --- values --- */

static uint64_t arena_pointer(struct gen *g)
{
    return chance(g, 75) ? DATA_VA + rnd(g, DATA_BYTES) : STACK_VA + rnd(g, STACK_BYTES);
}

uint64_t gen_value(struct gen *g)
{
    uint64_t bit = 1ULL << rnd(g, 64), r = rng_next(&g->rng);

    switch (rnd(g, 16)) {
    case 0: return 0;
    case 1: return 1;
    case 2: return UINT64_MAX;
    case 3: return bit;
    case 4: return bit - 1;
    case 5: return -bit;
    case 6: return (r & ~0xffffffffULL) | (chance(g, 50) ? 0x80000000u : 0x7fffffffu);
    case 7: return r & 0xff;
    case 8: return arena_pointer(g);
    case 9: return r & 0xffffffffu;
    case 10: return (uint64_t)(int64_t)(int32_t)r;
    case 11: return 0x7ffffffffff0ULL + (r & 0x1f);
    case 12: return (r & ~0xffffULL) | (chance(g, 50) ? 0x8080 : 0x7f7f);
    case 13: return (r & 0xff) * 0x0101010101010101ULL;
    default: return r;
    }
}

uint32_t gen_address(struct gen *g, unsigned size)
{
    uint32_t r = rnd(g, 100), back = rnd(g, size + 1);

    if (r < 50)
        return DATA_VA + rnd(g, DATA_BYTES - 16);
    if (r < 62)
        return DATA_VA + (rnd(g, DATA_BYTES) & ~15u);
    if (r < 74)
        return DATA_VA + PAGE * (1 + rnd(g, 2)) - back;
    if (r < 79)
        return RO_VA + rnd(g, PAGE - 16);
    if (r < 82)
        return RO_VA - back;
    if (r < 84)
        return RO_VA + PAGE - back;
    if (r < 86)
        return DATA_VA - back;
    if (r < 97)
        return STACK_VA + rnd(g, STACK_BYTES - 16);
    return r == 97 ? STACK_VA + STACK_BYTES - back : (uint32_t)gen_value(g);
}

void gen_template(uint8_t *arena, uint64_t seed)
{
    struct gen g = {.rng = {seed}};
    uint32_t at;

    memset(arena, 0xcc, CODE_BYTES);
    for (at = CODE_BYTES; at < ARENA_BYTES; at += 8) {
        uint64_t v = gen_value(&g);

        memcpy(arena + at, &v, sizeof(v));
    }
    gen_fp_template(&g, arena + CODE_BYTES);
}

/* --- initial state --- */

/* Ends of what can be addressed: of the canonical halves, of 64 and of 32 bits. */
static uint64_t edge_address(struct gen *g)
{
    static const uint64_t ends[] = {0x800000000000ULL, 0xffff800000000000ULL, 0};

    return g->is64 ? ends[rnd(g, 3)] : 0;
}

static void choose_registers(struct gen *g)
{
    unsigned i, last = g->is64 ? 16 : 8;

    for (i = 0; i < last; i++) {
        uint32_t r = rnd(g, 100);

        if (i == REG_RSP || (i == REG_RBP && r < 60) || (i == REG_RBX && r < 60) || r < 15) {
            g->pointers |= 1u << i;
            g->known[i] = i == REG_RSP || i == REG_RBP
                              ? STACK_VA + 1024 + (rnd(g, STACK_BYTES - 2048) & ~7u)
                              : DATA_VA + rnd(g, DATA_BYTES);
            if (i == REG_RSP && chance(g, 10))
                g->known[i] = STACK_VA + (chance(g, 50) ? 0 : STACK_BYTES) - 16 + rnd(g, 33);
            if (i == REG_RSP && chance(g, 10))
                g->known[i] += rnd(g, 8);
        } else if (r < 17) {
            g->edges |= 1u << i;
            g->known[i] = edge_address(g);
        } else if (r < 25) {
            g->small |= 1u << i;
            g->known[i] = chance(g, 80) ? rnd(g, 256) : (uint64_t) - (int64_t)rnd(g, 256);
        } else {
            g->known[i] = gen_value(g);
        }
        if (g->is64 && (g->pointers >> i & 1) && i != REG_RSP && chance(g, 10)) {
            g->dirty_high |= 1u << i;
            g->known[i] |= rng_next(&g->rng) << 32;
        }
    }
    for (i = 0; i < last; i++) {
        if (!g->is64)
            g->known[i] = (uint32_t)g->known[i];
        g->p->regs[i] = g->known[i];
    }
}

static uint64_t choose_flags(struct gen *g)
{
    uint64_t flags = rng_next(&g->rng) & 0x8d5; /* CF PF AF ZF SF OF */

    if (chance(g, 15))
        flags |= 0x400; /* DF */
    if (chance(g, 3))
        flags |= 0x40000; /* AC */
    if (chance(g, 1))
        flags |= 0x100; /* TF */
    return flags;
}

static uint32_t choose_start(struct gen *g)
{
    uint32_t r = rnd(g, 100);

    if (r < 65)
        return rnd(g, CODE_BYTES - SEQ_CODE_BYTES);
    if (r < 95)
        return PAGE - rnd(g, 100);
    return CODE_BYTES - SEQ_CODE_BYTES + rnd(g, SEQ_CODE_BYTES);
}

static void append(struct gen *g)
{
    if (g->p->set == GEN_INTEGER || chance(g, 15))
        gen_integer(g);
    else if (g->p->set == GEN_SIMD)
        gen_simd(g);
    else if (g->p->set == GEN_BYTES)
        gen_bytes(g);
    else
        gen_x87(g);
}

void gen_program(struct gen_program *p, uint64_t seed, unsigned bits, enum gen_set set)
{
    struct gen g = {.rng = {seed}, .p = p};
    unsigned wanted, is32;

    memset(p, 0, sizeof(*p));
    p->seed = seed;
    is32 = rnd(&g, 100) < 15;
    p->bits = bits ? bits : is32 ? 32 : 64;
    g.is64 = p->bits == 64;
    p->set = set == GEN_MIXED ? (enum gen_set)rnd(&g, GEN_SETS) : set;
    choose_registers(&g);
    p->rflags = choose_flags(&g);
    gen_fp_state(&g);
    p->start = choose_start(&g);
    wanted = 1 + rnd(&g, 16);
    while (p->n < wanted)
        append(&g);
}

/* --- layout --- */

static void put32(uint8_t *at, uint32_t v)
{
    memcpy(at, &v, sizeof(v));
}

/* Fills in what depends on addresses. `at`: linear address of each item, and of the end. */
static void fix_item(const struct gen_item *item, uint8_t *bytes, uint32_t here, const uint32_t *at)
{
    uint32_t end = here + item->len, target = at[item->target];

    switch ((enum gen_fix)item->fix) {
    case FIX_NONE: break;
    case FIX_REL8: bytes[item->fix_at] = (uint8_t)(target - end); break;
    case FIX_REL32: put32(bytes + item->fix_at, target - end); break;
    case FIX_RIP_VA: put32(bytes + item->fix_at, item->va - end); break;
    case FIX_RIP_ITEM: put32(bytes + item->fix_at, target + item->va - end); break;
    case FIX_ABS_ITEM: put32(bytes + item->fix_at, target + item->va); break;
    }
    if (item->return_at)
        put32(bytes + item->return_at, end);
}

bool gen_assemble(const struct gen_program *p, struct seq *seq)
{
    uint32_t at[GEN_MAX_ITEMS + 1], here = CODE_VA + p->start;
    unsigned i;

    for (i = 0; i < p->n; i++) {
        at[i] = here;
        here += p->items[i].dropped ? 0 : p->items[i].len;
    }
    for (; i <= GEN_MAX_ITEMS; i++)
        at[i] = here;
    memset(seq, 0, sizeof(*seq));
    seq->code_len = (uint16_t)(here - at[0]);
    if (p->start >= CODE_BYTES || here - at[0] > SEQ_CODE_BYTES)
        return false;
    if (here > CODE_VA + CODE_BYTES) /* runs out of the code pages: cut, and faults there */
        seq->code_len = (uint16_t)(CODE_BYTES - p->start);
    for (i = 0; i < p->n; i++) {
        uint8_t bytes[GEN_ITEM_BYTES];
        uint32_t off = at[i] - at[0];

        if (p->items[i].dropped)
            continue;
        memcpy(bytes, p->items[i].bytes, sizeof(bytes));
        fix_item(&p->items[i], bytes, at[i], at);
        if (off < seq->code_len)
            memcpy(seq->code + off, bytes,
                   off + p->items[i].len <= seq->code_len ? p->items[i].len : seq->code_len - off);
    }
    memcpy(seq->regs, p->regs, sizeof(seq->regs));
    memcpy(seq->fx, p->fx, sizeof(seq->fx));
    seq->rip = p->bits == 16 ? at[0] - CODE_VA : at[0];
    seq->rflags = p->rflags;
    seq->cs = p->bits == 64 ? USER_CS64 : p->bits == 32 ? USER_CS32 : USER_CS16;
    return true;
}
