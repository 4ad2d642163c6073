/* SPDX-License-Identifier: MIT */
/*
 * Random programs for the differential test.
 *
 * A program is a list of items, one instruction each, with the initial registers. It is a function
 * of its seed alone. Items can be left out (`dropped`) and the rest assembled again, branches and
 * addresses adjusted: that is how a failing program is reduced.
 */
#ifndef DIFF_GEN_H
#define DIFF_GEN_H

#include "diff_common.h"

#define GEN_MAX_ITEMS  40u
#define GEN_ITEM_BYTES 96u /* one instruction, or what gen_to_64() makes of it */

/* What in an item depends on where things lie. */
enum gen_fix {
    FIX_NONE,
    FIX_REL8, /* to the start of item `target` */
    FIX_REL32,
    FIX_RIP_VA,   /* RIP-relative displacement to linear address `va` */
    FIX_RIP_ITEM, /* RIP-relative displacement to item `target` plus `va` bytes */
    FIX_ABS_ITEM, /* 32-bit absolute address of item `target` plus `va` bytes */
};

struct gen_item {
    uint8_t bytes[GEN_ITEM_BYTES];
    uint8_t len;
    uint8_t fix;    /* enum gen_fix */
    uint8_t fix_at; /* offset in bytes */
    uint8_t target; /* item; the number of items: the end */
    uint8_t pad;    /* NOPs in front */
    uint8_t return_at; /* offset of the 32-bit address of the item's end; 0: there is none */
    uint32_t va;
    bool dropped;
};

/* Of which instructions programs are made; all but integer ones have some of those mixed in. */
enum gen_set { GEN_INTEGER, GEN_SIMD, GEN_X87, GEN_SETS, GEN_MIXED = GEN_SETS, GEN_BYTES };

struct gen_program {
    uint64_t seed;
    enum gen_set set; /* not GEN_MIXED */
    unsigned bits; /* 64 or 32; 16: gen_to_16() */
    unsigned n;
    uint64_t regs[16];
    uint64_t rflags;
    uint8_t fx[FX_BYTES];
    uint32_t start; /* offset of the code in the code pages */
    struct gen_item items[GEN_MAX_ITEMS];
};

/* splitmix64 */
struct rng {
    uint64_t state;
};
uint64_t rng_next(struct rng *r);
/* In [0, n). */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
    return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}

/* `bits`: 64, 32, or 0 for mostly 64. GEN_MIXED: any set. */
void gen_program(struct gen_program *p, uint64_t seed, unsigned bits, enum gen_set set);
/* Lays the program out. False when it does not fit into the code pages. */
bool gen_assemble(const struct gen_program *p, struct seq *seq);
/* Make the same in 16-bit or 64-bit code of a 32-bit program, both with the same items left out. */
void gen_to_16(struct gen_program *p32, struct gen_program *p16);
void gen_to_64(struct gen_program *p32, struct gen_program *p64);
bool gen_is_prefix(uint8_t byte);
/* The arena's initial content. */
void gen_template(uint8_t *arena, uint64_t seed);

#endif
