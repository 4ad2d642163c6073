/* SPDX-License-Identifier: MIT */
/*
 * The generator's stack, control transfer and string instructions, instructions that fault, code
 * that modifies itself, and what only 32-bit code has.
 */
#include "gen_internal.h"

#include <string.h>

/* --- stack --- */

/* Stack operands are 64 bits (32 in 32-bit code), or 16 with 66h. */
static struct enc stack_enc(struct gen *g, uint32_t opcode)
{
    struct enc e = gen_enc_of(g, opcode, g->is64 ? OPSIZE_64 : OPSIZE_32);

    e.no_w = true;
    if (chance(g, 15))
        e.size = OPSIZE_16;
    return e;
}

void kind_push(struct gen *g)
{
    struct enc e = stack_enc(g, 0);
    unsigned reg = gen_any_reg(g);

    switch (rnd(g, 5)) {
    case 0:
        e.opcode = 0x6a;
        gen_set_imm(g, &e, 1);
        break;
    case 1:
        e.opcode = 0x68;
        gen_set_imm(g, &e, e.size == OPSIZE_16 ? 2 : 4);
        break;
    case 2:
        e.opcode = 0xff;
        e.reg = 6;
        gen_set_rm(g, &e, false);
        break;
    case 3:
        if (chance(g, 30)) {
            e.opcode = chance(g, 50) ? 0x0fa0 : 0x0fa8; /* FS, GS */
            if (!g->is64)
                e.size = OPSIZE_16;
            break;
        }
        /* fall through */
    default:
        e.opcode = 0x50 | (reg & 7);
        e.rm = (uint8_t)reg;
        break;
    }
    gen_emit(g, &e);
}

void kind_pop(struct gen *g)
{
    struct enc e = stack_enc(g, 0);
    unsigned reg = gen_dest_reg(g);

    if (chance(g, 35)) {
        e.opcode = 0x8f;
        e.reg = 0;
        gen_set_rm(g, &e, true);
    } else {
        e.opcode = 0x58 | (reg & 7);
        e.rm = (uint8_t)reg;
        gen_wrote(g, reg);
    }
    gen_emit(g, &e);
}

void kind_flags_stack(struct gen *g)
{
    struct enc e = stack_enc(g, 0x9c), pushed = stack_enc(g, 0x68);

    if (chance(g, 55)) {
        gen_need_flags(g, FL_ARITH);
        gen_emit(g, &e);
        return;
    }
    if (chance(g, 70)) { /* mostly flags without TF, AC */
        pushed.size = e.size;
        pushed.imm = gen_value(g) & (chance(g, 90) ? ~0x44100ULL : ~0ULL);
        pushed.imm_bytes = e.size == OPSIZE_16 ? 2 : 4;
        gen_emit(g, &pushed);
    }
    e.opcode = 0x9d;
    gen_emit(g, &e);
}

void kind_frame(struct gen *g)
{
    struct enc e = stack_enc(g, 0xc9);

    if (chance(g, 50)) {
        e.opcode = 0xc8;
        e.imm = rnd(g, chance(g, 80) ? 64 : 0x10000);
        e.imm |= (uint64_t)(chance(g, 60) ? 0 : chance(g, 80) ? rnd(g, 4) : rnd(g, 256)) << 16;
        e.imm_bytes = 3;
    }
    gen_wrote(g, REG_RBP);
    gen_emit(g, &e);
}

/* --- control transfer --- */

/* The item that a short forward branch goes to. */
static unsigned forward_target(struct gen *g)
{
    return g->p->n + 1 + rnd(g, 4);
}

static void fix_branch(struct gen *g, bool is_short, unsigned target)
{
    struct gen_item *item = gen_last(g);

    item->fix = is_short ? FIX_REL8 : FIX_REL32;
    item->fix_at = (uint8_t)(item->len - (is_short ? 1 : 4));
    item->target = (uint8_t)(target > GEN_MAX_ITEMS ? GEN_MAX_ITEMS : target);
}

void kind_jcc(struct gen *g)
{
    unsigned cc = rnd(g, 16), target;
    bool is_short = chance(g, 60), jump = chance(g, 12);
    struct enc e = gen_enc_of(g, 0, OPSIZE_32);

    if (!jump)
        gen_need_flags(g, insn_info[INSN_JO + cc].flags_read);
    target = forward_target(g);
    if (jump)
        e.opcode = is_short ? 0xeb : 0xe9;
    else
        e.opcode = is_short ? 0x70 | cc : 0x0f80 | cc;
    e.imm_bytes = is_short ? 1 : 4;
    e.force_rex = false;
    if (gen_emit(g, &e))
        fix_branch(g, is_short, target);
}

void kind_loop(struct gen *g)
{
    unsigned k = rnd(g, 4), target;
    struct enc e = gen_enc_of(g, 0xe0 | k, OPSIZE_32);

    if (k < 2)
        gen_need_flags(g, FL_ZF);
    target = forward_target(g);
    e.addr_small = chance(g, 30);
    e.imm_bytes = 1;
    gen_wrote(g, REG_RCX);
    if (gen_emit(g, &e))
        fix_branch(g, true, target);
}

/* MOV ECX, n; an instruction or two; LOOP back. */
void kind_loop_back(struct gen *g)
{
    struct enc e = gen_enc_of(g, 0xb8 | REG_RCX, OPSIZE_32);
    unsigned head;

    e.imm = 1 + rnd(g, 12);
    e.imm_bytes = 4;
    e.force_rex = false;
    gen_wrote(g, REG_RCX);
    if (!gen_emit(g, &e))
        return;
    head = g->p->n;
    e = gen_enc_of(g, chance(g, 50) ? 0x11 : 0x01, gen_any_size(g, OPSIZE_32));
    gen_set_rm_reg(g, &e, true);
    gen_set_reg(g, &e, false);
    if (e.rm == REG_RCX)
        e.rm = REG_RAX;
    gen_need_flags(g, FL_CF);
    head = g->p->n;
    gen_emit(g, &e);
    e = gen_enc_of(g, 0xe2, OPSIZE_32);
    e.imm_bytes = 1;
    e.force_rex = false;
    if (gen_emit(g, &e))
        fix_branch(g, true, head);
}

/* Address of an item in a register. */
static void label_to_reg(struct gen *g, unsigned reg, unsigned target)
{
    struct enc e = gen_enc_of(g, 0xb8 | (reg & 7), OPSIZE_32);

    e.rm = (uint8_t)reg;
    e.imm_bytes = 4;
    gen_wrote(g, reg);
    if (!gen_emit(g, &e))
        return;
    gen_last(g)->fix = FIX_ABS_ITEM;
    gen_last(g)->fix_at = (uint8_t)(gen_last(g)->len - 4);
    gen_last(g)->target = (uint8_t)(target > GEN_MAX_ITEMS ? GEN_MAX_ITEMS : target);
}

void kind_call(struct gen *g)
{
    struct enc e = gen_enc_of(g, 0xe8, OPSIZE_32);
    unsigned target = g->p->n + 2 + rnd(g, 4), reg = gen_dest_reg(g);

    if (chance(g, 50)) {
        e.imm_bytes = 4;
        e.force_rex = false;
        if (gen_emit(g, &e))
            fix_branch(g, false, target);
        return;
    }
    if (reg == REG_RSP)
        return;
    label_to_reg(g, reg, target);
    e.opcode = 0xff;
    e.reg = (uint8_t)(chance(g, 50) ? 2 : 4);
    e.no_w = chance(g, 80);
    e.size = g->is64 ? OPSIZE_64 : OPSIZE_32;
    if (chance(g, 15)) { /* through memory that holds no code address */
        gen_memory(g, &e, 8);
    } else {
        e.has_modrm = true;
        e.rm = (uint8_t)reg;
    }
    gen_emit(g, &e);
}

void kind_ret(struct gen *g)
{
    struct enc e = stack_enc(g, 0xc3);
    unsigned reg = gen_dest_reg(g);

    e.size = g->is64 ? OPSIZE_64 : OPSIZE_32;
    if (chance(g, 60) && reg != REG_RSP) { /* to a label, by PUSH */
        struct enc push = stack_enc(g, 0x50 | (reg & 7));

        label_to_reg(g, reg, forward_target(g) + 2);
        push.size = e.size;
        push.rm = (uint8_t)reg;
        gen_emit(g, &push);
    }
    if (chance(g, 30)) {
        e.opcode = 0xc2;
        e.imm = rnd(g, chance(g, 80) ? 64 : 0x10000);
        e.imm_bytes = 2;
    }
    gen_emit(g, &e);
}

/* IRET and far RET to the same level, with a frame that was pushed. */
void kind_far_return(struct gen *g)
{
    bool iret = chance(g, 60);
    unsigned target = g->p->n + 7 + rnd(g, 2);
    struct enc e = gen_enc_of(g, 0, g->is64 ? OPSIZE_64 : OPSIZE_32);
    uint32_t cs = g->is64 ? USER_CS64 : USER_CS32;

    e.no_w = true;
    e.opcode = 0x68;
    e.imm_bytes = 4;
    e.force_rex = false;
    if (iret && g->is64) {
        e.imm = chance(g, 95) ? USER_DS : gen_value(g) & 0xffff;
        gen_emit(g, &e);
        e.imm = STACK_VA + 0x800 + (rnd(g, 0x1000) & ~7u);
        gen_emit(g, &e);
    }
    if (iret) {
        e.imm = gen_value(g) & 0xcd5;
        gen_emit(g, &e);
    }
    e.imm = chance(g, 85) ? cs : chance(g, 60) ? cs ^ (USER_CS64 ^ USER_CS32) : gen_value(g) & 0x7b;
    gen_emit(g, &e);
    e.imm = 0;
    if (!gen_emit(g, &e))
        return;
    gen_last(g)->fix = FIX_ABS_ITEM;
    gen_last(g)->fix_at = (uint8_t)(gen_last(g)->len - 4);
    gen_last(g)->target = (uint8_t)(target > GEN_MAX_ITEMS ? GEN_MAX_ITEMS : target);
    e.imm_bytes = 0;
    e.no_w = false;
    e.opcode = iret ? 0xcf : 0xcb;
    gen_emit(g, &e);
}

/* Far JMP or CALL through memory: an address and a selector are stored, then used. */
void kind_far_indirect(struct gen *g)
{
    struct enc e = gen_enc_of(g, 0xc7, OPSIZE_32);
    uint32_t at = DATA_VA + rnd(g, DATA_BYTES - 8), cs = g->is64 ? USER_CS64 : USER_CS32;
    unsigned target = g->p->n + 3 + rnd(g, 2);

    e.has_modrm = e.is_mem = true;
    e.force_rex = false;
    e.rip = g->is64;
    e.rip_va = at;
    e.disp = (int32_t)at;
    e.imm_bytes = 4;
    if (!gen_emit(g, &e))
        return;
    if (!g->is64) { /* one fix an item: here it is the label, in 64-bit code the operand */
        gen_last(g)->fix = FIX_ABS_ITEM;
        gen_last(g)->fix_at = (uint8_t)(gen_last(g)->len - 4);
        gen_last(g)->target = (uint8_t)(target > GEN_MAX_ITEMS ? GEN_MAX_ITEMS : target);
    }
    e.size = OPSIZE_16;
    e.rip_va += 4;
    e.disp += 4;
    e.imm = chance(g, 80) ? cs : chance(g, 50) ? cs ^ (USER_CS64 ^ USER_CS32) : gen_value(g) & 0x7b;
    e.imm_bytes = 2;
    gen_emit(g, &e);
    e.opcode = 0xff;
    e.size = OPSIZE_32;
    e.reg = chance(g, 50) ? 3 : 5;
    e.rip_va -= 4;
    e.disp -= 4;
    e.imm_bytes = 0;
    gen_emit(g, &e);
}

/* DS, ES or SS loaded with what is in them, or with what faults: nothing that lasts. */
void kind_to_sreg(struct gen *g)
{
    static const uint8_t segs[3] = {0, 2, 3}, pops[3] = {0x07, 0x17, 0x1f};
    static const uint16_t bad[] = {0x10, 0x18, 0x40, 0x0c, 0x17, 0xfffb, 0xffff};
    struct enc e = gen_enc_of(g, 0xb8, OPSIZE_32);
    unsigned reg = gen_dest_reg(g), k = rnd(g, 3);

    if (reg == REG_RSP)
        return;
    e.imm = chance(g, 92) ? USER_DS : bad[rnd(g, sizeof(bad) / sizeof(bad[0]))];
    e.imm_bytes = 4;
    e.force_rex = false;
    if (!g->is64 && chance(g, 40)) {
        e.opcode = 0x68;
        gen_emit(g, &e);
        e.opcode = pops[k];
        e.imm_bytes = 0;
        gen_emit(g, &e);
        return;
    }
    e.opcode |= reg & 7;
    e.rm = (uint8_t)reg;
    gen_wrote(g, reg);
    if (!gen_emit(g, &e))
        return;
    if (k == 1 && chance(g, 15)) { /* MOV SS holds off the single step that POPF asks for */
        static const uint8_t step[] = {0x68, 0x02, 0x03, 0x00, 0x00, 0x9d};

        gen_emit_bytes(g, step, 5);
        gen_emit_bytes(g, step + 5, 1);
        g->undef = 0;
    }
    e.opcode = 0x8e;
    e.has_modrm = true;
    e.reg = segs[k];
    e.imm_bytes = 0;
    e.size = (uint8_t)gen_any_size(g, OPSIZE_16);
    gen_emit(g, &e);
}

/* --- strings --- */

static void point_at(struct gen *g, unsigned reg)
{
    struct enc e = gen_enc_of(g, 0xb8 | reg, OPSIZE_32);

    e.rm = (uint8_t)reg;
    e.imm = gen_address(g, 8);
    e.imm_bytes = 4;
    e.force_rex = false;
    if (gen_emit(g, &e)) {
        gen_wrote(g, reg);
        g->pointers |= 1u << reg;
        g->known[reg] = e.imm;
    }
}

static void set_repeat_count(struct gen *g)
{
    struct enc e = gen_enc_of(g, 0xb8 | REG_RCX, OPSIZE_32);

    e.imm = chance(g, 10) ? 0 : chance(g, 70) ? rnd(g, 24) : rnd(g, 600);
    e.imm_bytes = 4;
    e.force_rex = false;
    gen_wrote(g, REG_RCX);
    gen_emit(g, &e);
}

void kind_string(struct gen *g)
{
    static const uint8_t ops[5] = {0xa4, 0xaa, 0xac, 0xa6, 0xae};
    unsigned k = rnd(g, 5), size = gen_any_size(g, OPSIZE_8);
    struct enc e = gen_enc_of(g, ops[k] | (size != OPSIZE_8), size);
    bool source = k != 1 && k != 4, dest = k != 2;

    if (chance(g, 10)) {
        struct enc flag = gen_enc_of(g, 0xfc | rnd(g, 2), OPSIZE_32);

        gen_emit(g, &flag);
    }
    if (source && !(g->pointers >> REG_RSI & 1) && chance(g, 93))
        point_at(g, REG_RSI);
    if (dest && !(g->pointers >> REG_RDI & 1) && chance(g, 93))
        point_at(g, REG_RDI);
    if (chance(g, 60)) {
        if (chance(g, 97))
            set_repeat_count(g);
        e.repeat = chance(g, 65) ? 0xf3 : 0xf2;
    }
    e.byte_reg = e.byte_rm = false;
    e.addr_small = chance(g, g->is64 ? 12 : 6);
    if (g->is64 && source && chance(g, 3))
        e.segment = 0x65;
    gen_emit(g, &e);
}

/* --- faults by intent --- */

void kind_fault(struct gen *g)
{
    static const uint8_t faults[][4] = {/* length, bytes */
                                        {2, 0x0f, 0x0b},
                                        {3, 0x0f, 0xb9, 0xc0},
                                        {1, 0xcc},
                                        {2, 0xcd, 0x03},
                                        {2, 0xcd, 0x04},
                                        {2, 0xcd, 0x0d},
                                        {2, 0xcd, 0x1f},
                                        {2, 0xcd, 0x20},
                                        {2, 0xcd, 0xff},
                                        {1, 0xf4},
                                        {1, 0xfa},
                                        {1, 0xfb},
                                        {1, 0xec},
                                        {1, 0xef},
                                        {2, 0xe4, 0x60},
                                        {2, 0xe7, 0x80},
                                        {2, 0x0f, 0x30},
                                        {2, 0x0f, 0x32},
                                        {2, 0x0f, 0x06},
                                        {2, 0x0f, 0x09},
                                        {2, 0x0f, 0x08},
                                        {3, 0x0f, 0x22, 0xc0},
                                        {3, 0x0f, 0x20, 0xd8},
                                        {3, 0x0f, 0x23, 0xf8},
                                        {3, 0x0f, 0x21, 0xf0},
                                        {1, 0x6c},
                                        {1, 0x6f},
                                        {3, 0x0f, 0x01, 0xf8},
                                        {2, 0xf0, 0x90},
                                        {3, 0xf0, 0x01, 0xc0},
                                        {3, 0x0f, 0x01, 0xcb}};
    static const uint8_t only_legacy[] = {0x06, 0x0e, 0x16, 0x1e, 0x07, 0x17, 0x1f, 0x27, 0x2f,
                                          0x37, 0x3f, 0x60, 0x61, 0x9a, 0xce, 0xd6, 0xea};
    unsigned k = rnd(g, 40), n = sizeof(faults) / sizeof(faults[0]);

    if (k < n)
        gen_emit_bytes(g, &faults[k][1], faults[k][0]);
    else if (g->is64)
        gen_emit_bytes(g, &only_legacy[rnd(g, sizeof(only_legacy))], 1);
}

/* A store that changes an immediate of the instruction after next. */
void kind_modify_code(struct gen *g)
{
    struct enc e = gen_enc_of(g, 0xc6, OPSIZE_8);
    unsigned reg = gen_dest_reg(g), distance = 1 + rnd(g, 2), store;

    if (!g->is64 || reg == REG_RSP)
        return;
    e.byte_reg = false;
    e.reg = 0;
    e.is_mem = e.has_modrm = e.rip = true;
    e.imm = rnd(g, 256);
    e.imm_bytes = 1;
    e.force_rex = false;
    if (!gen_emit(g, &e))
        return;
    store = g->p->n - 1;
    if (distance == 2)
        kind_plain(g);
    e = gen_enc_of(g, 0xb8 | (reg & 7), OPSIZE_32);
    e.rm = (uint8_t)reg;
    gen_set_imm(g, &e, 4);
    if (!gen_emit(g, &e))
        return;
    gen_wrote(g, reg);
    g->p->items[store].fix = FIX_RIP_ITEM;
    g->p->items[store].target = (uint8_t)(g->p->n - 1);
    g->p->items[store].va = (uint32_t)(gen_last(g)->len - 1 - (int)rnd(g, 4));
}

/* --- 32-bit only --- */

static void arpl(struct gen *g)
{
    struct enc e = gen_enc_of(g, 0x63, OPSIZE_32);

    e.force_rex = false;
    if (chance(g, 50))
        gen_memory(g, &e, 2);
    else
        gen_set_rm_reg(g, &e, true);
    gen_set_reg(g, &e, false);
    gen_emit(g, &e);
}

void kind_legacy(struct gen *g)
{
    static const uint8_t ops[] = {0x27, 0x2f, 0x37, 0x3f, 0xd4, 0xd5, 0x60, 0x61,
                                  0xce, 0xd6, 0x62, 0x06, 0x0e, 0x16, 0x1e};
    static const uint32_t reads[] = {FL_CF | FL_AF, FL_CF | FL_AF, FL_AF, FL_AF, 0, 0, 0, 0,
                                     FL_OF,         FL_CF,         0,     0,     0, 0, 0};
    unsigned k = rnd(g, sizeof(ops));
    struct enc e = gen_enc_of(g, ops[k], chance(g, 20) ? OPSIZE_16 : OPSIZE_32);

    if (g->is64)
        return;
    if (chance(g, 8)) {
        arpl(g);
        return;
    }
    gen_need_flags(g, reads[k]);
    if (k >= 11)
        e.size = OPSIZE_16;
    if (ops[k] == 0xd4 || ops[k] == 0xd5) {
        e.imm = chance(g, 60) ? 10 : chance(g, 10) ? 0 : rnd(g, 256);
        e.imm_bytes = 1;
    }
    if (ops[k] == 0x62) {
        gen_set_reg(g, &e, false);
        gen_memory(g, &e, 2u << e.size);
    }
    if (ops[k] == 0x61)
        g->pointers &= 1u << REG_RSP;
    gen_wrote(g, REG_RAX);
    gen_emit(g, &e);
}
