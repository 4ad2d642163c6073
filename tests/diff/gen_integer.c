/* SPDX-License-Identifier: MIT */
/*
 * The integer instructions of the generator: a table of kinds with weights, a function each.
 *
 * Left out, because the host's answer is not a CPU's (SYSCALL, INT 80h), differs from run to run
 * (CPUID, RDTSC, RDRAND) or between makers (66h before near branches, BSWAP of 16 bits, MOVSXD with
 * 66h, PUSH of a segment register with 32 bits, of which AMD writes all and Intel the low half),
 * because the host has newer instructions in the same place (F3h before BSF, BSR), because
 * hypervisors change it (INT1), or because it would change state that later sequences see (loads of
 * segment registers).
 *
 * Pointers: most programs keep a few registers that point into the arena, and most operands are
 * addressed so that the access works, or just crosses a page, or just fails.
 */
#include "gen_internal.h"

#include <string.h>

/* --- arithmetic and logic --- */

static void kind_alu(struct gen *g)
{
    unsigned op = rnd(g, 8), size = gen_any_size(g, OPSIZE_8);
    bool writes = op != 7;
    struct enc e = gen_enc_of(g, 0, size);

    if (op == 2 || op == 3)
        gen_need_flags(g, FL_CF);
    switch (rnd(g, 5)) {
    case 0: /* rm, r */
        e.opcode = op << 3 | (size != OPSIZE_8);
        gen_set_rm(g, &e, writes);
        gen_set_reg(g, &e, false);
        if (writes)
            gen_maybe_lock(g, &e);
        break;
    case 1: /* r, rm */
        e.opcode = op << 3 | 2 | (size != OPSIZE_8);
        gen_set_rm(g, &e, false);
        gen_set_reg(g, &e, writes);
        break;
    case 2: /* rm, imm */
        e.opcode = size == OPSIZE_8 ? 0x80 : 0x81;
        e.byte_reg = false;
        e.reg = (uint8_t)op;
        gen_set_rm(g, &e, writes);
        gen_set_imm(g, &e, gen_imm_bytes_of(size));
        if (writes)
            gen_maybe_lock(g, &e);
        break;
    case 3: /* rm, imm8 */
        e.opcode = size == OPSIZE_8 ? 0x80 : 0x83;
        e.byte_reg = false;
        e.reg = (uint8_t)op;
        gen_set_rm(g, &e, writes);
        gen_set_imm(g, &e, 1);
        if (writes)
            gen_maybe_lock(g, &e);
        break;
    default: /* accumulator, imm */
        e.opcode = op << 3 | 4 | (size != OPSIZE_8);
        e.byte_reg = e.byte_rm = false;
        gen_set_imm(g, &e, gen_imm_bytes_of(size));
        if (writes)
            gen_wrote(g, REG_RAX);
        break;
    }
    gen_emit(g, &e);
}

static void kind_test(struct gen *g)
{
    unsigned size = gen_any_size(g, OPSIZE_8);
    struct enc e = gen_enc_of(g, size == OPSIZE_8 ? 0x84 : 0x85, size);

    switch (rnd(g, 3)) {
    case 0:
        gen_set_rm(g, &e, false);
        gen_set_reg(g, &e, false);
        break;
    case 1:
        e.opcode = size == OPSIZE_8 ? 0xf6 : 0xf7;
        e.byte_reg = false;
        e.reg = (uint8_t)rnd(g, 2); /* /1 is the same */
        gen_set_rm(g, &e, false);
        gen_set_imm(g, &e, gen_imm_bytes_of(size));
        break;
    default:
        e.opcode = size == OPSIZE_8 ? 0xa8 : 0xa9;
        e.byte_reg = e.byte_rm = false;
        gen_set_imm(g, &e, gen_imm_bytes_of(size));
        break;
    }
    gen_emit(g, &e);
}

/* INC DEC NOT NEG. */
static void kind_unary(struct gen *g)
{
    static const uint8_t ops[4][2] = {{0xfe, 0}, {0xfe, 1}, {0xf6, 2}, {0xf6, 3}};
    unsigned size = gen_any_size(g, OPSIZE_8), k = rnd(g, 4);
    struct enc e = gen_enc_of(g, ops[k][0] | (size != OPSIZE_8), size);

    if (!g->is64 && k < 2 && size != OPSIZE_8 && chance(g, 30)) {
        unsigned reg = gen_dest_reg(g);

        e.opcode = 0x40 | k << 3 | reg;
        gen_wrote(g, reg);
        gen_emit(g, &e);
        return;
    }
    e.byte_reg = false;
    e.reg = ops[k][1];
    gen_set_rm(g, &e, true);
    gen_maybe_lock(g, &e);
    gen_emit(g, &e);
}

static void kind_mul(struct gen *g)
{
    unsigned size = gen_any_size(g, OPSIZE_8);
    struct enc e = gen_enc_of(g, 0xf6 | (size != OPSIZE_8), size);

    switch (rnd(g, 4)) {
    case 0:
    case 1:
        e.byte_reg = false;
        e.reg = (uint8_t)(4 + rnd(g, 2));
        gen_set_rm(g, &e, false);
        gen_wrote(g, REG_RAX);
        gen_wrote(g, REG_RDX);
        break;
    case 2:
        e = gen_enc_of(g, 0x0faf, gen_any_size(g, OPSIZE_16));
        gen_set_rm(g, &e, false);
        gen_set_reg(g, &e, true);
        break;
    default:
        e = gen_enc_of(g, chance(g, 50) ? 0x69 : 0x6b, gen_any_size(g, OPSIZE_16));
        gen_set_rm(g, &e, false);
        gen_set_reg(g, &e, true);
        gen_set_imm(g, &e, e.opcode == 0x6b ? 1 : gen_imm_bytes_of(e.size));
        break;
    }
    gen_emit(g, &e);
}

static void kind_div(struct gen *g)
{
    static const uint8_t widen[] = {0x99, 0x98};
    unsigned size = gen_any_size(g, OPSIZE_8);
    struct enc e = gen_enc_of(g, 0xf6 | (size != OPSIZE_8), size), w;

    if (chance(g, 70)) { /* so that most quotients fit */
        w = gen_enc_of(g, widen[size == OPSIZE_8], size == OPSIZE_8 ? OPSIZE_16 : size);
        w.byte_reg = w.byte_rm = false;
        if (chance(g, 40) && size != OPSIZE_8) {
            w.opcode = 0x31;
            w.has_modrm = true;
            w.reg = w.rm = REG_RDX;
        }
        gen_emit(g, &w);
    }
    e.byte_reg = false;
    e.reg = (uint8_t)(6 + rnd(g, 2));
    gen_set_rm(g, &e, false);
    gen_wrote(g, REG_RAX);
    gen_wrote(g, REG_RDX);
    gen_emit(g, &e);
}

static void set_count(struct gen *g, struct enc *e)
{
    e->imm_bytes = 1;
    e->imm = chance(g, 70) ? rnd(g, 66) : rnd(g, 256);
    if (chance(g, 15))
        e->imm = (8u << e->size) + rnd(g, 3) - 1;
}

static void kind_shift(struct gen *g)
{
    unsigned size = gen_any_size(g, OPSIZE_8), op = rnd(g, 8);
    struct enc e = gen_enc_of(g, 0, size);

    if (op == 2 || op == 3)
        gen_need_flags(g, FL_CF);
    e.byte_reg = false;
    e.reg = (uint8_t)op;
    switch (rnd(g, 3)) {
    case 0: e.opcode = 0xd0 | (size != OPSIZE_8); break;
    case 1: e.opcode = 0xd2 | (size != OPSIZE_8); break;
    default:
        e.opcode = 0xc0 | (size != OPSIZE_8);
        set_count(g, &e);
        break;
    }
    gen_set_rm(g, &e, true);
    gen_emit(g, &e);
}

static void kind_double_shift(struct gen *g)
{
    struct enc e = gen_enc_of(g, chance(g, 50) ? 0x0fa4 : 0x0fac, gen_any_size(g, OPSIZE_16));

    if (chance(g, 40))
        e.opcode |= 1; /* by CL */
    else
        set_count(g, &e);
    if (e.size == OPSIZE_16 && e.imm_bytes)
        e.imm = (e.imm & ~31ULL) | (e.imm & 31) % 17;
    gen_set_rm(g, &e, true);
    gen_set_reg(g, &e, false);
    gen_emit(g, &e);
}

static void kind_bit(struct gen *g)
{
    unsigned k = rnd(g, 4);
    struct enc e = gen_enc_of(g, 0, gen_any_size(g, OPSIZE_16));

    gen_set_rm(g, &e, k != 0);
    if (chance(g, 50)) {
        e.opcode = 0x0fa3 | k << 3;
        gen_set_reg(g, &e, false);
        if (e.is_mem && g->small && chance(g, 85))
            e.reg = (uint8_t)__builtin_ctz(g->small); /* else far away */
        else if (e.segment == 0x65)
            e.segment = 0; /* an AMD wants the sum without the segment's base canonical */
    } else {
        e.opcode = 0x0fba;
        e.reg = (uint8_t)(4 + k);
        e.imm = rnd(g, 256);
        e.imm_bytes = 1;
    }
    if (k != 0)
        gen_maybe_lock(g, &e);
    gen_emit(g, &e);
}

static void kind_scan(struct gen *g)
{
    static const uint32_t ops[3] = {0x0fbc, 0x0fbd, 0x0fb8};
    unsigned k = rnd(g, 3);
    struct enc e = gen_enc_of(g, ops[k], gen_any_size(g, OPSIZE_16));

    e.repeat = k == 2 ? 0xf3 : 0;
    gen_set_rm(g, &e, false);
    gen_set_reg(g, &e, true);
    gen_emit(g, &e);
}

static void kind_crc32(struct gen *g)
{
    unsigned size = gen_any_size(g, OPSIZE_8);
    struct enc e = gen_enc_of(g, size == OPSIZE_8 ? 0x0f38f0 : 0x0f38f1, size);

    e.repeat = 0xf2;
    e.byte_reg = false;
    gen_set_rm(g, &e, false);
    gen_set_reg(g, &e, true);
    gen_emit(g, &e);
}

static void kind_bswap(struct gen *g)
{
    unsigned reg = gen_dest_reg(g);
    struct enc e = gen_enc_of(g, 0x0fc8 | (reg & 7),
                              g->is64 && chance(g, 50) ? OPSIZE_64 : OPSIZE_32);

    /* The register is in the opcode; REX.B comes from a register operand. */
    e.rm = (uint8_t)reg;
    gen_wrote(g, reg);
    gen_emit(g, &e);
}

/* --- moves --- */

static void mov_immediate(struct gen *g)
{
    unsigned size = gen_any_size(g, OPSIZE_8), reg = gen_dest_reg(g);
    struct enc e = gen_enc_of(g, 0, size);

    if (chance(g, 50)) {
        e.opcode = 0xc6 | (size != OPSIZE_8);
        e.byte_reg = false;
        gen_set_rm(g, &e, true);
        gen_set_imm(g, &e, gen_imm_bytes_of(size));
    } else {
        e.rm = (uint8_t)gen_sized_reg(g, reg, size);
        e.opcode = (size == OPSIZE_8 ? 0xb0u : 0xb8u) |
                   (e.rm >= REG8_AH ? e.rm - REG8_AH + 4u : e.rm & 7u);
        gen_set_imm(g, &e, 1u << size);
        gen_wrote(g, reg);
    }
    gen_emit(g, &e);
}

static void mov_offset(struct gen *g)
{
    unsigned size = gen_any_size(g, OPSIZE_8), k = rnd(g, 2);
    struct enc e = gen_enc_of(g, 0xa0 | k << 1 | (size != OPSIZE_8), size);

    e.byte_reg = e.byte_rm = false;
    e.imm = gen_address(g, 1u << size);
    e.addr_small = g->is64 && chance(g, 30);
    e.imm_bytes = g->is64 && !e.addr_small ? 8 : 4;
    if (k == 0)
        gen_wrote(g, REG_RAX);
    gen_emit(g, &e);
}

static void kind_mov(struct gen *g)
{
    unsigned size = gen_any_size(g, OPSIZE_8), k = rnd(g, 8);
    struct enc e = gen_enc_of(g, 0x88 | (size != OPSIZE_8), size);

    if (k < 2) {
        mov_immediate(g);
        return;
    }
    if (k == 2) {
        mov_offset(g);
        return;
    }
    if (chance(g, 50)) {
        gen_set_rm(g, &e, true);
        gen_set_reg(g, &e, false);
    } else {
        e.opcode |= 2;
        gen_set_rm(g, &e, false);
        gen_set_reg(g, &e, true);
    }
    gen_emit(g, &e);
}

static void kind_extend(struct gen *g)
{
    static const uint32_t ops[4] = {0x0fb6, 0x0fb7, 0x0fbe, 0x0fbf};
    unsigned k = rnd(g, g->is64 ? 5 : 4), size = gen_any_size(g, OPSIZE_16);
    struct enc e = gen_enc_of(g, k == 4 ? 0x63 : ops[k], k == 4 ? OPSIZE_32 + rnd(g, 2) : size);

    e.byte_rm = k == 0 || k == 2;
    if (chance(g, 45))
        gen_memory(g, &e, k == 4 ? 4 : k & 1 ? 2 : 1);
    else
        gen_set_rm_reg(g, &e, false);
    gen_set_reg(g, &e, true);
    gen_emit(g, &e);
}

static void kind_movbe(struct gen *g)
{
    struct enc e = gen_enc_of(g, 0x0f38f0 | rnd(g, 2), gen_any_size(g, OPSIZE_16));

    gen_memory(g, &e, 1u << e.size);
    gen_set_reg(g, &e, !(e.opcode & 1));
    gen_emit(g, &e);
}

static void kind_movnti(struct gen *g)
{
    struct enc e = gen_enc_of(g, 0x0fc3, OPSIZE_32 + (g->is64 && chance(g, 50)));

    gen_memory(g, &e, 1u << e.size);
    gen_set_reg(g, &e, false);
    gen_emit(g, &e);
}

/* 67h in 32-bit code: the addressing forms of the 8086, all 24 of them. */
static void lea_16bit(struct gen *g)
{
    uint64_t disp = rng_next(&g->rng);
    unsigned reg = gen_dest_reg(g), mod = rnd(g, 3), rm = rnd(g, 8);
    unsigned disp_bytes = mod == 0 && rm == 6 ? 2 : mod;
    uint8_t bytes[6] = {0x67, 0x8d, (uint8_t)(mod << 6 | reg << 3 | rm)};

    memcpy(bytes + 3, &disp, disp_bytes);
    gen_wrote(g, reg);
    gen_emit_bytes(g, bytes, 3 + disp_bytes);
}

static void kind_lea(struct gen *g)
{
    struct enc e = gen_enc_of(g, 0x8d, gen_any_size(g, OPSIZE_16));

    if (!g->is64 && chance(g, 40)) {
        lea_16bit(g);
        return;
    }
    gen_memory(g, &e, 8);
    gen_set_reg(g, &e, true);
    gen_emit(g, &e);
}

static void kind_exchange(struct gen *g)
{
    static const uint32_t ops[3] = {0x86, 0x0fc0, 0x0fb0};
    unsigned size = gen_any_size(g, OPSIZE_8), k = rnd(g, 4);
    struct enc e = gen_enc_of(g, 0, size);

    if (k == 3) { /* XCHG rAX, r */
        unsigned reg = gen_dest_reg(g);

        e = gen_enc_of(g, 0x90 | (reg & 7), gen_any_size(g, OPSIZE_16));
        e.rm = (uint8_t)reg;
        gen_wrote(g, reg);
        gen_wrote(g, REG_RAX);
        gen_emit(g, &e);
        return;
    }
    e.opcode = ops[k] | (size != OPSIZE_8);
    gen_set_rm(g, &e, true);
    gen_set_reg(g, &e, k != 2);
    if (k == 2)
        gen_wrote(g, REG_RAX);
    gen_maybe_lock(g, &e);
    gen_emit(g, &e);
}

static void kind_cmpxchg_wide(struct gen *g)
{
    struct enc e = gen_enc_of(g, 0x0fc7, g->is64 && chance(g, 50) ? OPSIZE_64 : OPSIZE_32);

    e.reg = 1;
    gen_memory(g, &e, 2u << e.size);
    if (e.rip && chance(g, 70))
        e.rip_va &= ~15u;
    gen_maybe_lock(g, &e);
    gen_wrote(g, REG_RAX);
    gen_wrote(g, REG_RDX);
    gen_emit(g, &e);
}

/* One opcode, no operands. */
void kind_plain(struct gen *g)
{
    static const struct {
        uint32_t opcode;
        uint8_t sized; /* 1: by operand size */
        uint32_t reads;
    } ops[] = {
        {0x98, 1, 0}, {0x99, 1, 0}, {0x9e, 0, 0},     {0x9f, 0, FL_ARITH & ~FL_OF},
        {0xf8, 0, 0}, {0xf9, 0, 0}, {0xf5, 0, FL_CF}, {0xfc, 0, 0},
        {0xfd, 0, 0}, {0xd7, 0, 0}, {0x90, 0, 0},
    };
    unsigned k = rnd(g, sizeof(ops) / sizeof(ops[0]));
    struct enc e = gen_enc_of(g, ops[k].opcode,
                              ops[k].sized ? gen_any_size(g, OPSIZE_16) : OPSIZE_32);

    gen_need_flags(g, ops[k].reads);
    gen_wrote(g, REG_RAX);
    if (ops[k].opcode == 0x99)
        gen_wrote(g, REG_RDX);
    if (ops[k].opcode == 0xd7) {
        e.addr_small = g->is64 && chance(g, 20);
        if (g->is64 && chance(g, 10))
            e.segment = 0x65;
    }
    if (ops[k].opcode == 0x90 && chance(g, 30))
        e.repeat = 0xf3;
    gen_emit(g, &e);
}

/* LFENCE, MFENCE, SFENCE; PREFETCHNTA to T2, PREFETCHW; CLFLUSH. */
static void kind_hint(struct gen *g)
{
    struct enc e = gen_enc_of(g, 0x0fae, OPSIZE_32);
    unsigned k = rnd(g, 6);

    e.has_modrm = true;
    e.reg = (uint8_t)(k < 3 ? 5 + k : k == 3 ? rnd(g, 4) : k == 4 ? 1 : 7);
    if (k == 3)
        e.opcode = 0x0f18;
    else if (k == 4)
        e.opcode = 0x0f0d;
    if (k >= 3)
        gen_memory(g, &e, 1);
    gen_emit(g, &e);
}

static void kind_nop(struct gen *g)
{
    static const uint8_t endbr[] = {0xf3, 0x0f, 0x1e, 0xfa};
    struct enc e = gen_enc_of(g, 0x0f1f, gen_any_size(g, OPSIZE_16));

    if (chance(g, 20) && g->is64) {
        gen_emit_bytes(g, endbr, sizeof(endbr));
        return;
    }
    e.reg = 0;
    gen_set_rm(g, &e, false);
    gen_emit(g, &e);
}

static void kind_setcc(struct gen *g)
{
    unsigned cc = rnd(g, 16);
    struct enc e = gen_enc_of(g, 0x0f90 | cc, OPSIZE_8);

    gen_need_flags(g, insn_info[INSN_JO + cc].flags_read);
    e.byte_reg = false;
    e.reg = (uint8_t)rnd(g, 8);
    gen_set_rm(g, &e, true);
    gen_emit(g, &e);
}

static void kind_cmov(struct gen *g)
{
    unsigned cc = rnd(g, 16);
    struct enc e = gen_enc_of(g, 0x0f40 | cc, gen_any_size(g, OPSIZE_16));

    gen_need_flags(g, insn_info[INSN_JO + cc].flags_read);
    gen_set_rm(g, &e, false);
    gen_set_reg(g, &e, true);
    gen_emit(g, &e);
}

static void kind_from_sreg(struct gen *g)
{
    struct enc e = gen_enc_of(g, 0x8c, gen_any_size(g, OPSIZE_16));

    e.reg = (uint8_t)rnd(g, 6);
    if (chance(g, 2))
        e.reg = (uint8_t)(6 + rnd(g, 2)); /* #UD */
    if (chance(g, 40))
        gen_memory(g, &e, 2);
    else
        gen_set_rm_reg(g, &e, true);
    gen_emit(g, &e);
}

/* RDFSBASE would show an address of the host's. */
static void kind_gs_base(struct gen *g)
{
    struct enc e = gen_enc_of(g, 0x0fae, OPSIZE_32 + (g->is64 && chance(g, 50)));

    e.repeat = 0xf3;
    e.reg = 1;
    gen_set_rm_reg(g, &e, true);
    gen_emit(g, &e);
}

/* --- choosing --- */

static const struct {
    void (*fn)(struct gen *g);
    unsigned weight;
} kinds[] = {
    {kind_alu, 160},     {kind_test, 30},         {kind_unary, 50},        {kind_mul, 40},
    {kind_div, 22},      {kind_shift, 70},        {kind_double_shift, 25}, {kind_bit, 40},
    {kind_scan, 25},     {kind_crc32, 12},        {kind_bswap, 12},        {kind_mov, 110},
    {kind_extend, 35},   {kind_movbe, 12},        {kind_movnti, 5},        {kind_lea, 30},
    {kind_exchange, 50}, {kind_cmpxchg_wide, 14}, {kind_plain, 50},        {kind_nop, 10},
    {kind_hint, 8},
    {kind_setcc, 25},    {kind_cmov, 25},         {kind_from_sreg, 6},     {kind_gs_base, 2},
    {kind_push, 40},     {kind_pop, 30},          {kind_flags_stack, 25},  {kind_frame, 12},
    {kind_jcc, 45},      {kind_loop, 14},         {kind_loop_back, 4},     {kind_call, 18},
    {kind_ret, 12},      {kind_far_return, 4},    {kind_far_indirect, 3},  {kind_to_sreg, 6},
    {kind_string, 50},   {kind_fault, 6},         {kind_modify_code, 6},   {kind_legacy, 25},
};

/* Follows the flags through what was just appended. */
static void follow_flags(struct gen *g, unsigned from)
{
    enum code_size size = g->is64 ? CODE_64 : CODE_32;
    struct insn in;

    for (; from < g->p->n; from++) {
        const struct gen_item *item = &g->p->items[from];

        if (insn_decode(item->bytes, item->len, size, &in) != DECODE_OK)
            continue;
        if (in.id >= INSN_ROL && in.id <= INSN_SHRD) /* the count may be 0, or not */
            g->undef |= insn_info[in.id].flags_undef | FL_CF;
        else
            g->undef = (g->undef & ~(uint32_t)insn_info[in.id].flags_written) |
                       insn_info[in.id].flags_undef;
    }
}

void gen_integer(struct gen *g)
{
    unsigned total = 0, i, pick, from = g->p->n;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        total += kinds[i].weight;
    pick = rnd(g, total);
    for (i = 0; pick >= kinds[i].weight; i++)
        pick -= kinds[i].weight;
    kinds[i].fn(g);
    follow_flags(g, from);
}
