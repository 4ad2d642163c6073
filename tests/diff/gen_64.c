/* SPDX-License-Identifier: MIT */
/*
 * 32-bit programs as 64-bit code that does the same, for programs whose registers have upper halves of
 * zero (SDM vol. 1, 3.4.1.1: 32-bit results keep them so).
 *
 * Most instructions are the same bytes with 67h before them: addresses are then 32 bits wide. What 64-bit
 * code encodes otherwise gets its other encoding: a plain address of 32 bits (the form is RIP-relative
 * there), INC and DEC of 40h to 4Fh (REX there). What it has no 32-bit form of, and what it lacks, becomes a
 * few instructions that fault where the one did and leave no flag changed: pushes and pops of 32 bits, near
 * calls and returns, 16-bit counters and addresses, PUSHA, POPA, INTO, SALC. They use R8 to R14, and R15
 * points to a stack of their own.
 *
 * Both forms of an item are made equally long, with NOPs in front: so that every address in the program, as a
 * return address, is the same in both.
 *
 * Left out: far transfers and what shows CS; 16-bit addresses but LEA's and those of counters (there is
 * no memory below 64 KiB); DAA, DAS, AAA, AAS, AAM, AAD, BOUND, ARPL, LDS, LES, which test_legacy.c holds
 * against the manual.
 */
#include "gen_internal.h"

#include <string.h>

#define VIA_R8 0u /* R8 as a register field, with its REX bit in the opcode's prefix */

struct seq64 {
    uint8_t b[GEN_ITEM_BYTES];
    unsigned n;
    unsigned return_at;
};

static void put(struct seq64 *s, const uint8_t *bytes, unsigned n)
{
    memcpy(s->b + s->n, bytes, n);
    s->n += n;
}
#define PUT(s, ...) put(s, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void put_imm32(struct seq64 *s, uint64_t v)
{
    uint32_t w = (uint32_t)v;
    uint8_t bytes[4];

    memcpy(bytes, &w, sizeof(bytes));
    put(s, bytes, sizeof(bytes));
}

/* --- parts of sequences --- */

/* The item's memory operand, `more` bytes further, with the widest encoding. */
static void put_memory(struct seq64 *s, const struct insn *in, unsigned reg, int32_t more)
{
    unsigned index = in->index == REG_NONE ? 4u : in->index, mod = in->base == REG_NONE ? 0 : 2;
    unsigned base = in->base == REG_NONE ? 5u : in->base;

    PUT(s, (uint8_t)(mod << 6 | reg << 3 | 4), (uint8_t)(in->scale << 6 | index << 3 | base));
    put_imm32(s, (uint32_t)in->disp + (uint32_t)more);
}

/* MOV [ESP + offset], r of 2 or 4 bytes; r8: R8 to R15 instead. */
static void store_stack(struct seq64 *s, unsigned reg, bool r8, int offset, unsigned size)
{
    PUT(s, 0x67);
    if (size == 2)
        PUT(s, 0x66);
    if (r8)
        PUT(s, 0x44);
    PUT(s, 0x89, (uint8_t)(0x44 | reg << 3), 0x24, (uint8_t)offset);
}

static void load_stack(struct seq64 *s, unsigned reg, bool r8, int offset, unsigned size)
{
    PUT(s, 0x67);
    if (size == 2)
        PUT(s, 0x66);
    if (r8)
        PUT(s, 0x44);
    PUT(s, 0x8b, (uint8_t)(0x44 | reg << 3), 0x24, (uint8_t)offset);
}

/* LEA ESP, [ESP + by] */
static void move_stack(struct seq64 *s, uint32_t by)
{
    PUT(s, 0x67, 0x8d, 0xa4, 0x24);
    put_imm32(s, by);
}

static void push_r8(struct seq64 *s)
{
    store_stack(s, VIA_R8, true, -4, 4);
    move_stack(s, (uint32_t)-4);
}

static void r8_from_reg(struct seq64 *s, unsigned reg)
{
    PUT(s, 0x41, 0x89, (uint8_t)(0xc0 | reg << 3));
}

static void reg_from_r8(struct seq64 *s, unsigned reg)
{
    PUT(s, 0x44, 0x89, (uint8_t)(0xc0 | reg));
}

static void r8_from_operand(struct seq64 *s, const struct insn *in)
{
    if (in->flags & INSN_MEM) {
        PUT(s, 0x67, 0x44, 0x8b);
        put_memory(s, in, VIA_R8, 0);
    } else {
        r8_from_reg(s, in->rm);
    }
}

/* XCHG RSP, R15: to the sequences' own stack and back. */
static void swap_stacks(struct seq64 *s)
{
    PUT(s, 0x4c, 0x87, 0xfc);
}

static void jump_r8(struct seq64 *s)
{
    PUT(s, 0x41, 0xff, 0xe0);
}

/* --- stack --- */

static void push_sequence(struct seq64 *s, const struct insn *in)
{
    if (in->form == FORM_IMM) {
        PUT(s, 0x41, 0xb8);
        put_imm32(s, in->imm);
    } else {
        r8_from_operand(s, in);
    }
    push_r8(s);
}

/* The address of a destination in memory is computed with ESP already moved (SDM vol. 2, POP). */
static void pop_sequence(struct seq64 *s, const struct insn *in)
{
    load_stack(s, VIA_R8, true, 0, 4);
    if (in->flags & INSN_MEM) {
        PUT(s, 0x67, 0x44, 0x89);
        put_memory(s, in, VIA_R8, in->base == REG_RSP ? 4 : 0);
    }
    move_stack(s, 4);
    if (!(in->flags & INSN_MEM))
        reg_from_r8(s, in->rm);
}

/* 32 bits of a selector: the low half is written. */
static void push_sreg_sequence(struct seq64 *s, const struct insn *in)
{
    unsigned size = 1u << in->opsize;

    PUT(s, 0x41, 0x8c, (uint8_t)(0xc0 | in->reg << 3));
    store_stack(s, VIA_R8, true, -(int)size, 2);
    move_stack(s, -size);
}

static void pop_sreg_sequence(struct seq64 *s, const struct insn *in)
{
    load_stack(s, VIA_R8, true, 0, 2);
    PUT(s, 0x41, 0x8e, (uint8_t)(0xc0 | in->reg << 3));
    move_stack(s, 1u << in->opsize);
}

static void pusha_sequence(struct seq64 *s, const struct insn *in)
{
    int size = 1 << in->opsize, i;

    for (i = 0; i < 8; i++)
        store_stack(s, (unsigned)i, false, -size * (i + 1), (unsigned)size);
    move_stack(s, (uint32_t)(-8 * size));
}

/* What is loaded for ESP goes to R8 and is lost when EAX's follows. */
static void popa_sequence(struct seq64 *s, const struct insn *in)
{
    static const uint8_t to[8] = {0, 1, 2, 3, 0, 4, 5, 6};
    int size = 1 << in->opsize, i;

    for (i = 7; i >= 0; i--)
        load_stack(s, to[i], true, size * (7 - i), (unsigned)size);
    for (i = 0; i < 8; i++) {
        if (i == REG_RSP)
            continue;
        if (size == 2)
            PUT(s, 0x66);
        PUT(s, 0x44, 0x89, (uint8_t)(0xc0 | to[i] << 3 | i));
    }
    move_stack(s, (uint32_t)(8 * size));
}

static void pushf_sequence(struct seq64 *s)
{
    swap_stacks(s);
    PUT(s, 0x9c, 0x41, 0x58); /* PUSHFQ; POP R8 */
    swap_stacks(s);
    push_r8(s);
}

static void popf_sequence(struct seq64 *s)
{
    load_stack(s, VIA_R8, true, 0, 4);
    swap_stacks(s);
    PUT(s, 0x41, 0x50, 0x9d); /* PUSH R8; POPFQ */
    swap_stacks(s);
    move_stack(s, 4);
}

static void leave_sequence(struct seq64 *s)
{
    PUT(s, 0x67, 0x44, 0x8b, 0x45, 0x00); /* MOV R8D, [EBP] */
    PUT(s, 0x67, 0x8d, 0x65, 0x04);       /* LEA ESP, [EBP + 4] */
    reg_from_r8(s, REG_RBP);
}

#define MAX_LEVEL 4u

/* SDM vol. 2, ENTER: the frames of the levels above, the new frame, and a top that can be written; NOT
 * twice writes without a change. */
static void enter_sequence(struct seq64 *s, const struct insn *in)
{
    unsigned level = (unsigned)(in->imm >> 16) & 31, i;
    uint32_t top = -(4 * (1 + level) + (uint32_t)(in->imm & 0xffff));

    store_stack(s, REG_RBP, false, -4, 4);
    PUT(s, 0x67, 0x44, 0x8d, 0x4c, 0x24, 0xfc); /* LEA R9D, [ESP - 4] */
    for (i = 1; i < level; i++) {
        PUT(s, 0x67, 0x44, 0x8b, 0x45, (uint8_t)(-4 * (int)i)); /* MOV R8D, [EBP - 4 * i] */
        store_stack(s, VIA_R8, true, -4 * (int)(i + 1), 4);
    }
    if (level > 0)
        store_stack(s, 1, true, -4 * (int)(level + 1), 4);
    for (i = 0; i < 2; i++) {
        PUT(s, 0x67, 0xf7, 0x94, 0x24); /* NOT dword [ESP + top] */
        put_imm32(s, top);
    }
    move_stack(s, top);
    PUT(s, 0x44, 0x89, 0xcd); /* MOV EBP, R9D */
}

/* --- branches --- */

static void push_return(struct seq64 *s)
{
    PUT(s, 0x67, 0xc7, 0x44, 0x24, 0xfc);
    s->return_at = s->n;
    put_imm32(s, 0);
    move_stack(s, (uint32_t)-4);
}

static void call_sequence(struct seq64 *s, const struct insn *in)
{
    if (in->form != FORM_REL)
        r8_from_operand(s, in);
    push_return(s);
    if (in->form == FORM_REL) {
        PUT(s, 0xe9);
        put_imm32(s, 0);
    } else {
        jump_r8(s);
    }
}

static void jump_sequence(struct seq64 *s, const struct insn *in)
{
    r8_from_operand(s, in);
    jump_r8(s);
}

static void ret_sequence(struct seq64 *s, const struct insn *in)
{
    load_stack(s, VIA_R8, true, 0, 4);
    move_stack(s, 4 + (uint32_t)(in->form == FORM_IMM ? in->imm : 0));
    jump_r8(s);
}

/* LOOP, LOOPE, LOOPNE, JCXZ with CX: JECXZ looks at a copy of it; the branch comes last. */
static void cx_sequence(struct seq64 *s, const struct insn *in)
{
    bool is_jcxz = in->id == INSN_JCXZ;

    if (!is_jcxz)
        PUT(s, 0x67, 0x66, 0x8d, 0x49, 0xff); /* LEA CX, [ECX - 1] */
    if (in->id == INSN_LOOPE)
        PUT(s, 0x75, 0x19); /* JNZ to the end */
    if (in->id == INSN_LOOPNE)
        PUT(s, 0x74, 0x19);
    PUT(s, 0x44, 0x0f, 0xb7, 0xc1); /* MOVZX R8D, CX */
    PUT(s, 0x4c, 0x87, 0xc1);       /* XCHG RCX, R8 */
    if (is_jcxz) {
        PUT(s, 0x67, 0xe3, 0x05); /* JECXZ to the second XCHG */
    } else {
        PUT(s, 0x67, 0xe3, 0x02); /* JECXZ to the first */
        PUT(s, 0xeb, 0x05);
    }
    PUT(s, 0x4c, 0x87, 0xc1, 0xeb, 0x08); /* XCHG RCX, R8; JMP to the end */
    PUT(s, 0x4c, 0x87, 0xc1, 0xe9);       /* XCHG RCX, R8; JMP to the target */
    put_imm32(s, 0);
}

/* --- what 64-bit code lacks --- */

static void into_sequence(struct seq64 *s)
{
    PUT(s, 0x71, 0x02, 0xcd, 0x04); /* JNO; INT 4 */
}

/* AL = CF ? FFh : 0: SETNC R8B; LEA R8D, [R8 - 1]; MOV AL, R8B */
static void salc_sequence(struct seq64 *s)
{
    PUT(s, 0x41, 0x0f, 0x93, 0xc0, 0x45, 0x8d, 0x40, 0xff, 0x44, 0x88, 0xc0);
}

/* LEA with an address of 16 bits: LEA r16; MOVZX r32, r16 if that is its size. */
static void lea16_sequence(struct seq64 *s, const struct insn *in)
{
    PUT(s, 0x67, 0x66, 0x8d);
    put_memory(s, in, in->reg, 0);
    if (in->opsize == OPSIZE_32)
        PUT(s, 0x0f, 0xb7, (uint8_t)(0xc0 | in->reg << 3 | in->reg));
}

/* --- choosing --- */

static bool is_loop(unsigned id)
{
    return id == INSN_LOOP || id == INSN_LOOPE || id == INSN_LOOPNE || id == INSN_JCXZ;
}

static bool is_condition(unsigned id)
{
    return id >= INSN_JO && id <= INSN_JNLE;
}

/* Those of 16 bits are the same instruction in 64-bit code. */
static void stack_sequence(struct seq64 *s, const struct insn *in)
{
    switch (in->id) {
    case INSN_PUSH: push_sequence(s, in); break;
    case INSN_POP: pop_sequence(s, in); break;
    case INSN_PUSHF: pushf_sequence(s); break;
    case INSN_POPF: popf_sequence(s); break;
    case INSN_LEAVE: leave_sequence(s); break;
    case INSN_ENTER:
        if (((in->imm >> 16) & 31) <= MAX_LEVEL)
            enter_sequence(s, in);
        break;
    default: break;
    }
}

/* A few instructions for one; none (n is 0) if it has the same form in 64-bit code, or no equivalent. */
static void choose_sequence(struct seq64 *s, const struct insn *in)
{
    if (in->addrsize == OPSIZE_16) {
        if (is_loop(in->id))
            cx_sequence(s, in);
        else if (in->id == INSN_LEA)
            lea16_sequence(s, in);
        return;
    }
    if (in->opsize == OPSIZE_32)
        stack_sequence(s, in);
    switch (in->id) {
    case INSN_PUSH_SREG: push_sreg_sequence(s, in); break;
    case INSN_POP_SREG:
        if (in->reg != SEG_FS && in->reg != SEG_GS)
            pop_sreg_sequence(s, in);
        break;
    case INSN_PUSHA: pusha_sequence(s, in); break;
    case INSN_POPA: popa_sequence(s, in); break;
    case INSN_INTO: into_sequence(s); break;
    case INSN_SALC: salc_sequence(s); break;
    case INSN_CALL: call_sequence(s, in); break;
    case INSN_RET: ret_sequence(s, in); break;
    case INSN_JMP:
        if (in->form != FORM_REL)
            jump_sequence(s, in);
        break;
    default: break;
    }
}

/* The same bytes are the same instruction, but for 67h. */
static bool has_same_form(const struct insn *in)
{
    unsigned id = in->id, attrs = insn_info[id].attrs;

    if (in->addrsize == OPSIZE_16 || (attrs & (IA_NO64 | IA_ONLY64)) || id == INSN_POP_SREG)
        return false;
    if (in->opsize == OPSIZE_32 && (id == INSN_PUSH || id == INSN_POP || id == INSN_PUSHF ||
                                    id == INSN_POPF || id == INSN_LEAVE || id == INSN_ENTER))
        return false;
    if (attrs & IA_BRANCH)
        return is_loop(id) || is_condition(id) || (id == INSN_JMP && in->form == FORM_REL) ||
               id == INSN_INT || id == INSN_INT3;
    return true;
}

/* Near branches with 66h are the makers' choice in 64-bit code (diff_undef.c), 16 bits wide here. */
static bool is_left_out(const struct gen_item *item, const struct insn *in)
{
    bool is_near = item->fix == FIX_REL8 || item->fix == FIX_REL32 || in->id == INSN_RET ||
                   in->id == INSN_CALL || in->id == INSN_JMP;

    return gen_shows_cs(in) || (is_near && (in->flags & INSN_OPSZ));
}

/* --- encodings --- */

/* After prefixes: where the opcode is, of one byte or the last of more. */
static unsigned opcode_at(const struct gen_item *item)
{
    unsigned i = 0;

    while (gen_is_prefix(item->bytes[i]))
        i++;
    if (item->bytes[i] != 0x0f)
        return i;
    i++;
    return item->bytes[i] == 0x38 || item->bytes[i] == 0x3a ? i + 1 : i;
}

static bool insert(struct gen_item *item, unsigned at, uint8_t byte)
{
    if (item->len >= INSN_MAX_LEN)
        return false;
    memmove(item->bytes + at + 1, item->bytes + at, item->len - at);
    item->bytes[at] = byte;
    item->len++;
    item->fix_at = (uint8_t)(item->fix_at + (item->fix_at >= at));
    return true;
}

/* 40h to 4Fh: FFh /0, /1. */
static bool use_long_inc(struct gen_item *item, unsigned at)
{
    unsigned modrm = 0xc0u | (item->bytes[at] & 15);

    item->bytes[at] = 0xff;
    return insert(item, at + 1, (uint8_t)modrm);
}

/* A plain address: with a SIB byte of no base and no index (SDM vol. 2, table 2-7). */
static bool use_sib(struct gen_item *item, unsigned modrm_at)
{
    if ((item->bytes[modrm_at] & 0xc7) != 5)
        return false;
    item->bytes[modrm_at]--;
    return insert(item, modrm_at + 1, 0x25);
}

static bool recode(struct gen_item *item, const struct insn *in)
{
    unsigned at = opcode_at(item);
    bool is_plain = (in->flags & INSN_MEM) && in->base == REG_NONE && in->index == REG_NONE &&
                    in->form != FORM_R_MOFFS && in->form != FORM_MOFFS_R;

    if ((in->id == INSN_INC || in->id == INSN_DEC) && item->bytes[at] < 0x50)
        return use_long_inc(item, at);
    if (is_plain && (item->bytes[at + 1] & 0xc7) == 5 && !use_sib(item, at + 1))
        return false;
    return gen_toggle_prefix(item, 0x67);
}

static bool convert_item(struct gen_item *item, const struct insn *in)
{
    struct seq64 s = {.n = 0};

    if (is_left_out(item, in))
        return false;
    choose_sequence(&s, in);
    if (s.n == 0)
        return has_same_form(in) && recode(item, in);
    memcpy(item->bytes, s.b, s.n);
    item->len = (uint8_t)s.n;
    item->return_at = (uint8_t)s.return_at;
    if (item->fix == FIX_REL8 || item->fix == FIX_REL32) {
        item->fix = FIX_REL32;
        item->fix_at = (uint8_t)(s.n - 4);
    } else if (item->fix == FIX_ABS_ITEM) {
        item->fix_at = 2; /* PUSH of a label: MOV R8D, imm32 */
    }
    return true;
}

/* --- the same addresses --- */

static void pad(struct gen_item *item, unsigned len)
{
    unsigned by = len - item->len;

    memmove(item->bytes + by, item->bytes, item->len);
    memset(item->bytes, 0x90, by);
    item->len = (uint8_t)len;
    item->pad = (uint8_t)by;
    item->fix_at = (uint8_t)(item->fix_at + by);
    if (item->return_at)
        item->return_at = (uint8_t)(item->return_at + by);
}

static bool reaches(const struct gen_program *p, unsigned from)
{
    unsigned to = p->items[from].target < p->n ? p->items[from].target : p->n, i;
    int distance = 0;

    for (i = from + 1; i < to; i++)
        distance += p->items[i].dropped ? 0 : p->items[i].len;
    for (i = to; i <= from; i++)
        distance -= p->items[i].dropped ? 0 : p->items[i].len;
    return distance == (int8_t)distance;
}

static void drop_far_jumps(struct gen_program *a, struct gen_program *b)
{
    unsigned i;

    for (i = 0; i < a->n; i++)
        if ((a->items[i].fix == FIX_REL8 || b->items[i].fix == FIX_REL8) && !reaches(a, i))
            a->items[i].dropped = b->items[i].dropped = true;
}

void gen_to_64(struct gen_program *p32, struct gen_program *p64)
{
    unsigned i;

    if (p32->start > CODE_BYTES - SEQ_CODE_BYTES) /* both would be cut, not at the same instruction */
        p32->start = 0x100;
    *p64 = *p32;
    p64->bits = 64;
    p64->regs[REG_R15] = SCRATCH_VA + PAGE / 2;
    for (i = 0; i < p32->n; i++) {
        struct gen_item *a = &p32->items[i], *b = &p64->items[i];
        struct insn in;
        bool ok = insn_decode(a->bytes, a->len, CODE_32, &in) == DECODE_OK && in.len == a->len &&
                  convert_item(b, &in);

        a->dropped = b->dropped = !ok;
        if (!ok)
            continue;
        pad(a, a->len > b->len ? a->len : b->len);
        pad(b, a->len);
        if (gen_stores_pointers(in.id))
            break;
    }
    if (i < p32->n)
        p32->n = p64->n = i + 1;
    drop_far_jumps(p32, p64);
}
