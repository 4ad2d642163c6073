/* SPDX-License-Identifier: MIT */
/*
 * Writes unwinding rows as .debug_frame (DWARF 4, 6.4), for x86-64.
 *
 * There is one CIE for each kind of frame. An FDE covers up to ROWS_MAX rows of one kind that
 * follow each other, without regard to functions; few, because a debugger executes them from the
 * first. Its instructions set the canonical frame address (CFA) and where the caller's RBP is, row
 * by row.
 *
 * CFA by kind, "place" being what a row leads to:
 *     call      place: the caller's RSP. The return address is below it.
 *     regs      place + 168, the end of struct pt_regs, in which all registers are.
 *     partial   place + 40, the end of what the CPU pushed, which is that of pt_regs too: so the
 * CFA stays the same while an entry saves the other registers. end       RSP; the return address is
 * undefined, by which a debugger knows the outermost frame.
 *
 * regs and partial are signal frames (augmentation "S"): the caller's RIP is that of an instruction
 * to be executed, not the one behind a call.
 */
#include "orc_internal.h"

#define ROWS_MAX 32u

/* DWARF 4, 7.23 and 7.7.1 */
#define CFA_ADVANCE_LOC        0x40u
#define CFA_OFFSET             0x80u
#define CFA_ADVANCE_LOC1       0x02u
#define CFA_ADVANCE_LOC2       0x03u
#define CFA_ADVANCE_LOC4       0x04u
#define CFA_OFFSET_EXTENDED    0x05u
#define CFA_UNDEFINED          0x07u
#define CFA_SAME_VALUE         0x08u
#define CFA_DEF_CFA            0x0cu
#define CFA_DEF_CFA_REGISTER   0x0du
#define CFA_DEF_CFA_OFFSET     0x0eu
#define CFA_DEF_CFA_EXPRESSION 0x0fu
#define CFA_EXPRESSION         0x10u
#define OP_DEREF               0x06u
#define OP_CONSTS              0x11u
#define OP_PLUS                0x22u
#define OP_BREG0               0x70u

#define PT_REGS_BYTES 168
#define IRET_BYTES    40

static void uleb(struct bytes *b, uint64_t n)
{
    do {
        bytes_append_byte(b, (uint8_t)((n & 0x7f) | (n > 0x7f ? 0x80 : 0)));
        n >>= 7;
    } while (n != 0);
}

static void sleb(struct bytes *b, int64_t n)
{
    bool more = true;

    while (more) {
        uint8_t low = (uint8_t)(n & 0x7f);

        n = (n - low) / 128;
        more = !((n == 0 && (low & 0x40) == 0) || (n == -1 && (low & 0x40) != 0));
        bytes_append_byte(b, more ? low | 0x80 : low);
    }
}

static void word(struct bytes *b, uint64_t value, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        bytes_append_byte(b, (uint8_t)(value >> 8 * i));
}

/* Begins a CIE or FDE; end_entry fills in its length. */
static size_t begin_entry(struct bytes *b)
{
    size_t at = b->len;

    word(b, 0, 4);
    return at;
}

static void end_entry(struct bytes *b, size_t at)
{
    size_t len;

    while ((b->len - at) % 8 != 0)
        bytes_append_byte(b, 0); /* DW_CFA_nop */
    len = b->len - at - 4;
    for (unsigned i = 0; i < 4 && !b->failed; i++)
        b->data[at + i] = (uint8_t)(len >> 8 * i);
}

/* --- CIEs --- */

static bool is_signal(enum orc_kind kind)
{
    return kind == ORC_REGS || kind == ORC_PARTIAL;
}

/* The register is stored `words` words below the CFA. */
static void saved(struct bytes *b, unsigned reg, unsigned words)
{
    if (reg < 0x40) {
        bytes_append_byte(b, (uint8_t)(CFA_OFFSET | reg));
    } else {
        bytes_append_byte(b, CFA_OFFSET_EXTENDED);
        uleb(b, reg);
    }
    uleb(b, words);
}

static void rule(struct bytes *b, uint8_t op, unsigned reg)
{
    bytes_append_byte(b, op);
    uleb(b, reg);
}

/* What the CPU pushes when it enters a handler. */
static void saved_by_cpu(struct bytes *b)
{
    saved(b, DWARF_SS, 1);
    saved(b, DWARF_RSP, 2);
    saved(b, DWARF_RFLAGS, 3);
    saved(b, DWARF_CS, 4);
    saved(b, DWARF_RIP, 5);
}

/* struct pt_regs, from its end down; orig_ax is the sixth word. */
static void saved_in_pt_regs(struct bytes *b)
{
    static const uint8_t order[] = {DWARF_RDI, DWARF_RSI, DWARF_RDX, DWARF_RCX, DWARF_RAX,
                                    DWARF_R8,  DWARF_R9,  DWARF_R10, DWARF_R11, DWARF_RBX,
                                    DWARF_RBP, DWARF_R12, DWARF_R13, DWARF_R14, DWARF_R15};

    saved_by_cpu(b);
    for (unsigned i = 0; i < sizeof(order); i++)
        saved(b, order[i], i + 7);
}

static void initial_rules(struct bytes *b, enum orc_kind kind)
{
    bytes_append_byte(b, CFA_DEF_CFA);
    uleb(b, DWARF_RSP);
    uleb(b, 8);
    if (kind == ORC_REGS) {
        saved_in_pt_regs(b);
        return;
    }
    if (kind == ORC_PARTIAL)
        saved_by_cpu(b);
    else if (kind == ORC_CALL)
        saved(b, DWARF_RIP, 1);
    else
        rule(b, CFA_UNDEFINED, DWARF_RIP);
    for (unsigned reg = DWARF_RAX; reg <= DWARF_R15; reg++)
        if (reg != DWARF_RSP)
            rule(b, kind == ORC_PARTIAL || reg == DWARF_RBP ? CFA_SAME_VALUE : CFA_UNDEFINED, reg);
}

static void write_cie(struct bytes *b, enum orc_kind kind)
{
    bool signal = is_signal(kind);
    size_t at = begin_entry(b);

    word(b, 0xffffffff, 4);  /* a CIE */
    bytes_append_byte(b, 1); /* version */
    bytes_append(b, "zS", signal ? 2 : 0);
    bytes_append_byte(b, 0);
    uleb(b, 1);                      /* code alignment */
    sleb(b, -8);                     /* data alignment */
    bytes_append_byte(b, DWARF_RIP); /* return address */
    if (signal)
        uleb(b, 0); /* length of augmentation data */
    initial_rules(b, kind);
    end_entry(b, at);
}

/* --- rows --- */

static void breg(struct bytes *b, unsigned reg, int offset)
{
    bytes_append_byte(b, (uint8_t)(OP_BREG0 + reg));
    sleb(b, offset);
}

static void append_block(struct bytes *b, const struct bytes *block)
{
    uleb(b, block->len);
    bytes_append(b, block->data, block->len);
    b->failed |= block->failed;
}

/* What is added to a row's place to get the CFA. */
static int cfa_above(enum orc_kind kind)
{
    return kind == ORC_REGS ? PT_REGS_BYTES : kind == ORC_PARTIAL ? IRET_BYTES : 0;
}

static void cfa_by_expression(struct bytes *b, const struct orc_row *r)
{
    struct bytes block = {0};
    int add = cfa_above(r->kind);

    if (r->base == ORC_BASE_SP_INDIRECT) {
        breg(&block, r->base_reg, 0);
        bytes_append_byte(&block, OP_DEREF);
        add += r->offset;
    } else {
        breg(&block, r->base_reg, r->offset);
        if (r->base == ORC_BASE_REG_INDIRECT)
            bytes_append_byte(&block, OP_DEREF);
    }
    if (add != 0) {
        bytes_append_byte(&block, OP_CONSTS);
        sleb(&block, add);
        bytes_append_byte(&block, OP_PLUS);
    }
    bytes_append_byte(b, CFA_DEF_CFA_EXPRESSION);
    append_block(b, &block);
    bytes_fini(&block);
}

/* A CFA that is a register and an offset that is not negative, as DW_CFA_def_cfa wants it. */
static bool is_plain(const struct orc_row *r)
{
    return r->base == ORC_BASE_REG && r->offset + cfa_above(r->kind) >= 0;
}

static void write_cfa(struct bytes *b, const struct orc_row *r, const struct orc_row *before)
{
    uint64_t offset = (uint64_t)(r->offset + cfa_above(r->kind));

    if (before != NULL && r->base == before->base && r->base_reg == before->base_reg &&
        r->offset == before->offset)
        return;
    if (!is_plain(r)) {
        cfa_by_expression(b, r);
    } else if (before != NULL && is_plain(before) && r->base_reg == before->base_reg) {
        bytes_append_byte(b, CFA_DEF_CFA_OFFSET);
        uleb(b, offset);
    } else if (before != NULL && is_plain(before) && r->offset == before->offset) {
        rule(b, CFA_DEF_CFA_REGISTER, r->base_reg);
    } else {
        rule(b, CFA_DEF_CFA, r->base_reg);
        uleb(b, offset);
    }
}

/* Where the caller's RBP is, in frames of calls. The expressions' RSP and RBP are this frame's. */
static void write_bp(struct bytes *b, const struct orc_row *r, const struct orc_row *before)
{
    if (before != NULL ? r->bp == before->bp && r->bp_reg == before->bp_reg &&
                             r->bp_offset == before->bp_offset
                       : r->bp == ORC_BASE_NONE)
        return;
    if (r->bp == ORC_BASE_NONE) {
        rule(b, CFA_SAME_VALUE, DWARF_RBP);
    } else if (r->bp_reg == DWARF_RSP && r->bp_offset <= 0 && r->bp_offset % 8 == 0) {
        saved(b, DWARF_RBP, (unsigned)(-r->bp_offset / 8));
    } else {
        struct bytes block = {0};

        /* DW_CFA_expression finds the CFA on its stack. */
        if (r->bp_reg == DWARF_RSP) {
            bytes_append_byte(&block, OP_CONSTS);
            sleb(&block, r->bp_offset);
            bytes_append_byte(&block, OP_PLUS);
        } else {
            breg(&block, r->bp_reg, r->bp_offset);
        }
        rule(b, CFA_EXPRESSION, DWARF_RBP);
        append_block(b, &block);
        bytes_fini(&block);
    }
}

static void advance(struct bytes *b, uint64_t delta)
{
    if (delta < 0x40) {
        bytes_append_byte(b, (uint8_t)(CFA_ADVANCE_LOC | delta));
    } else if (delta < 0x100) {
        bytes_append_byte(b, CFA_ADVANCE_LOC1);
        word(b, delta, 1);
    } else if (delta < 0x10000) {
        bytes_append_byte(b, CFA_ADVANCE_LOC2);
        word(b, delta, 2);
    } else {
        bytes_append_byte(b, CFA_ADVANCE_LOC4);
        word(b, delta, 4);
    }
}

static void write_fde(struct bytes *b, const struct orc_row *rows, size_t count, uint64_t end,
                      size_t cie)
{
    enum orc_kind kind = rows[0].kind;
    size_t at = begin_entry(b);

    word(b, cie, 4);
    word(b, rows[0].ip, 8);
    word(b, end - rows[0].ip, 8);
    if (is_signal(kind))
        uleb(b, 0); /* length of augmentation data */
    for (size_t i = 0; i < count && kind != ORC_END; i++) {
        if (i > 0)
            advance(b, rows[i].ip - rows[i - 1].ip);
        write_cfa(b, &rows[i], i > 0 ? &rows[i - 1] : NULL);
        if (kind == ORC_CALL)
            write_bp(b, &rows[i], i > 0 ? &rows[i - 1] : NULL);
    }
    end_entry(b, at);
}

/* How many rows from the first on can share an FDE with it. */
static size_t fde_rows(const struct orc_row *rows, size_t count)
{
    size_t n = 1;

    while (n < ROWS_MAX && n < count && rows[n].kind == rows[0].kind &&
           rows[n].ip - rows[n - 1].ip <= UINT32_MAX)
        n++;
    return n;
}

void orc_write_dwarf(struct bytes *out, const struct orc_row *rows, size_t count, uint64_t end)
{
    size_t cies[ORC_PARTIAL + 1] = {0};
    size_t n;

    for (enum orc_kind kind = ORC_END; kind <= ORC_PARTIAL; kind++) {
        cies[kind] = out->len;
        write_cie(out, kind);
    }
    for (size_t i = 0; i < count; i += n) {
        n = fde_rows(rows + i, count - i);
        if (rows[i].kind != ORC_UNKNOWN)
            write_fde(out, rows + i, n, i + n < count ? rows[i + n].ip : end, cies[rows[i].kind]);
    }
}
