/* SPDX-License-Identifier: MIT */
/* Between the parts of the generator: gen.c (values, layout), gen_encode.c, gen_operands.c,
 * gen_integer.c, gen_control.c, gen_fp.c, gen_simd.c, gen_state.c, gen_x87.c, gen_bytes.c, gen_16.c, gen_64.c. */
#ifndef DIFF_GEN_INTERNAL_H
#define DIFF_GEN_INTERNAL_H

#include "gen.h"

#include <emu/insn.h>

struct gen {
    struct rng rng;
    struct gen_program *p;
    bool is64;
    uint32_t pointers;   /* bit set: registers that hold `known` */
    uint32_t small;      /* registers that hold a small `known`, for indexes */
    uint32_t edges;      /* registers that hold `known` near an end of the address space */
    uint32_t dirty_high; /* pointers only in their low 32 bits */
    uint64_t known[16];
    uint32_t undef; /* FL_*: undefined at this point if no branch is taken */
};

static inline uint32_t rnd(struct gen *g, uint32_t n)
{
    return rng_below(&g->rng, n);
}
static inline bool chance(struct gen *g, uint32_t percent)
{
    return rnd(g, 100) < percent;
}

uint64_t gen_value(struct gen *g);
/* An address for an access of `size` bytes, most often one that can be made. */
uint32_t gen_address(struct gen *g, unsigned size);

/* --- encoding --- */

struct enc {
    uint32_t opcode; /* 1 to 3 bytes, most significant first: 0x89, 0x0faf, 0x0f38f1 */
    uint8_t size;    /* enum opsize: gives 66h and REX.W */
    uint8_t repeat;  /* 0, F2h or F3h */
    bool lock;
    bool no_size;           /* size changes neither 66h nor REX.W */
    bool no_w;              /* ... not REX.W (64-bit by nature) */
    bool byte_reg, byte_rm; /* 8-bit registers: 0..3 and 4..15, or 16..19 for AH..BH */
    bool has_modrm;
    bool is_mem;
    bool addr_small; /* 67h */
    bool force_rex;
    uint8_t segment; /* 0 or a prefix byte */
    uint8_t reg, rm;
    uint8_t base, index, scale; /* REG_NONE: none */
    int32_t disp;
    uint8_t disp_bytes; /* 0: as the form demands; 1, 4 */
    bool rip;
    uint32_t rip_va;
    uint64_t imm;
    uint8_t imm_bytes;
};

/* Appends an instruction. False when the program is full or the operands cannot be encoded
 * together. The item is the last one then. */
bool gen_emit(struct gen *g, const struct enc *e);
bool gen_emit_bytes(struct gen *g, const uint8_t *bytes, unsigned len);
static inline struct gen_item *gen_last(struct gen *g)
{
    return &g->p->items[g->p->n - 1];
}
/* Chooses a memory operand of `size` bytes. */
void gen_memory(struct gen *g, struct enc *e, unsigned size);
/* ... at this address. */
void gen_memory_at(struct gen *g, struct enc *e, uint64_t target);
/* ... now and then, and true then, before, across or behind an end of the address space. */
bool gen_memory_at_edge(struct gen *g, struct enc *e, unsigned size);

/* --- operands (gen_operands.c) --- */

unsigned gen_any_reg(struct gen *g);
/* A register to write: seldom one of those that hold pointers, next to never RSP. */
unsigned gen_dest_reg(struct gen *g);
/* A register's value is not what it was at the start. */
void gen_wrote(struct gen *g, unsigned reg);
unsigned gen_sized_reg(struct gen *g, unsigned reg, unsigned size);
/* An operand size from `least` on. */
unsigned gen_any_size(struct gen *g, unsigned least);
struct enc gen_enc_of(struct gen *g, uint32_t opcode, unsigned size);
void gen_set_reg(struct gen *g, struct enc *e, bool written);
void gen_set_rm_reg(struct gen *g, struct enc *e, bool written);
void gen_set_rm(struct gen *g, struct enc *e, bool written);
void gen_set_imm(struct gen *g, struct enc *e, unsigned bytes);
unsigned gen_imm_bytes_of(unsigned size);
void gen_maybe_lock(struct gen *g, struct enc *e);
/* Makes `flags` (FL_*) defined before an instruction that reads them. */
void gen_need_flags(struct gen *g, uint32_t flags);

/* --- floating point (gen_fp.c) --- */

/* A block of this many bytes of operands of one kind: singles, doubles, 80-bit, integers ... */
void gen_fp_operands(struct gen *g, uint8_t *out, unsigned bytes);
#define GEN_FP_BLOCK 80u
void gen_fp_state(struct gen *g);
/* In the arena's template: words for MXCSR, FCW and state images to be loaded from. */
#define GEN_CONTROL_VA    (DATA_VA + 0x400u)
#define GEN_CONTROL_WORDS 32u /* 16 bytes each: MXCSR, FCW */
#define GEN_IMAGE_VA      (DATA_VA + 0x600u)
#define GEN_IMAGES        4u
#define GEN_IMAGE_BYTES   0x240u
void gen_fp_template(struct gen *g, uint8_t *data);

/* --- the same in other modes (gen_16.c, gen_64.c) --- */

/* Puts the prefix in front, or takes it away. False when the item gets too long. */
bool gen_toggle_prefix(struct gen_item *item, uint8_t prefix);
/* As a value, or as the segment of an operand: its base can be another one. */
bool gen_shows_cs(const struct insn *in);
/* FOP, FIP, FDP, in the way of the mode. */
bool gen_stores_pointers(unsigned id);

/* --- kinds of instructions (gen_integer.c, gen_control.c) --- */

/* Appends one instruction, or a few that belong together. */
void gen_integer(struct gen *g);
void gen_simd(struct gen *g);
void gen_state(struct gen *g);
void gen_x87(struct gen *g);
void gen_bytes(struct gen *g);

void kind_plain(struct gen *g);
void kind_push(struct gen *g);
void kind_pop(struct gen *g);
void kind_flags_stack(struct gen *g);
void kind_frame(struct gen *g);
void kind_jcc(struct gen *g);
void kind_loop(struct gen *g);
void kind_loop_back(struct gen *g);
void kind_call(struct gen *g);
void kind_ret(struct gen *g);
void kind_far_return(struct gen *g);
void kind_far_indirect(struct gen *g);
void kind_to_sreg(struct gen *g);
void kind_string(struct gen *g);
void kind_fault(struct gen *g);
void kind_modify_code(struct gen *g);
void kind_legacy(struct gen *g);

#endif
