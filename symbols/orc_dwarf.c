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
#include "dwarf_frame_internal.h"
#include "orc_internal.h"

#define ROWS_MAX 32u

#define PT_REGS_BYTES 168
#define IRET_BYTES    40

/* --- CIEs --- */

static bool is_signal(enum orc_kind kind)
{
    return kind == ORC_REGS || kind == ORC_PARTIAL;
}

/* What the CPU pushes when it enters a handler. */
static void saved_by_cpu(struct bytes *b)
{
    dwarf_saved(b, DWARF_SS, 1);
    dwarf_saved(b, DWARF_RSP, 2);
    dwarf_saved(b, DWARF_RFLAGS, 3);
    dwarf_saved(b, DWARF_CS, 4);
    dwarf_saved(b, DWARF_RIP, 5);
}

/* struct pt_regs, from its end down; orig_ax is the sixth word. */
static void saved_in_pt_regs(struct bytes *b)
{
    static const uint8_t order[] = {DWARF_RDI, DWARF_RSI, DWARF_RDX, DWARF_RCX, DWARF_RAX,
                                    DWARF_R8,  DWARF_R9,  DWARF_R10, DWARF_R11, DWARF_RBX,
                                    DWARF_RBP, DWARF_R12, DWARF_R13, DWARF_R14, DWARF_R15};

    saved_by_cpu(b);
    for (unsigned i = 0; i < sizeof(order); i++)
        dwarf_saved(b, order[i], i + 7);
}

static void initial_rules(struct bytes *b, enum orc_kind kind)
{
    bytes_append_byte(b, CFA_DEF_CFA);
    dwarf_uleb(b, DWARF_RSP);
    dwarf_uleb(b, 8);
    if (kind == ORC_REGS) {
        saved_in_pt_regs(b);
        return;
    }
    if (kind == ORC_PARTIAL)
        saved_by_cpu(b);
    else if (kind == ORC_CALL)
        dwarf_saved(b, DWARF_RIP, 1);
    else
        dwarf_rule(b, CFA_UNDEFINED, DWARF_RIP);
    for (unsigned reg = DWARF_RAX; reg <= DWARF_R15; reg++)
        if (reg != DWARF_RSP)
            dwarf_rule(b, kind == ORC_PARTIAL || reg == DWARF_RBP ? CFA_SAME_VALUE : CFA_UNDEFINED, reg);
}

static void write_cie(struct bytes *b, enum orc_kind kind)
{
    bool signal = is_signal(kind);
    size_t at = dwarf_begin_entry(b);

    dwarf_word(b, 0xffffffff, 4);  /* a CIE */
    bytes_append_byte(b, 1); /* version */
    bytes_append(b, "zS", signal ? 2 : 0);
    bytes_append_byte(b, 0);
    dwarf_uleb(b, 1);                      /* code alignment */
    dwarf_sleb(b, -8);                     /* data alignment */
    bytes_append_byte(b, DWARF_RIP); /* return address */
    if (signal)
        dwarf_uleb(b, 0); /* length of augmentation data */
    initial_rules(b, kind);
    dwarf_end_entry(b, at, 8);
}

/* --- rows --- */

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
        dwarf_breg(&block, r->base_reg, 0);
        bytes_append_byte(&block, OP_DEREF);
        add += r->offset;
    } else {
        dwarf_breg(&block, r->base_reg, r->offset);
        if (r->base == ORC_BASE_REG_INDIRECT)
            bytes_append_byte(&block, OP_DEREF);
    }
    if (add != 0) {
        bytes_append_byte(&block, OP_CONSTS);
        dwarf_sleb(&block, add);
        bytes_append_byte(&block, OP_PLUS);
    }
    bytes_append_byte(b, CFA_DEF_CFA_EXPRESSION);
    dwarf_append_block(b, &block);
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
        dwarf_uleb(b, offset);
    } else if (before != NULL && is_plain(before) && r->offset == before->offset) {
        dwarf_rule(b, CFA_DEF_CFA_REGISTER, r->base_reg);
    } else {
        dwarf_rule(b, CFA_DEF_CFA, r->base_reg);
        dwarf_uleb(b, offset);
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
        dwarf_rule(b, CFA_SAME_VALUE, DWARF_RBP);
    } else if (r->bp_reg == DWARF_RSP && r->bp_offset <= 0 && r->bp_offset % 8 == 0) {
        dwarf_saved(b, DWARF_RBP, (unsigned)(-r->bp_offset / 8));
    } else {
        struct bytes block = {0};

        /* DW_CFA_expression finds the CFA on its stack. */
        if (r->bp_reg == DWARF_RSP) {
            bytes_append_byte(&block, OP_CONSTS);
            dwarf_sleb(&block, r->bp_offset);
            bytes_append_byte(&block, OP_PLUS);
        } else {
            dwarf_breg(&block, r->bp_reg, r->bp_offset);
        }
        dwarf_rule(b, CFA_EXPRESSION, DWARF_RBP);
        dwarf_append_block(b, &block);
        bytes_fini(&block);
    }
}

static void write_fde(struct bytes *b, const struct orc_row *rows, size_t count, uint64_t end,
                      size_t cie)
{
    enum orc_kind kind = rows[0].kind;
    size_t at = dwarf_begin_entry(b);

    dwarf_word(b, cie, 4);
    dwarf_word(b, rows[0].ip, 8);
    dwarf_word(b, end - rows[0].ip, 8);
    if (is_signal(kind))
        dwarf_uleb(b, 0); /* length of augmentation data */
    for (size_t i = 0; i < count && kind != ORC_END; i++) {
        if (i > 0)
            dwarf_advance(b, rows[i].ip - rows[i - 1].ip);
        write_cfa(b, &rows[i], i > 0 ? &rows[i - 1] : NULL);
        if (kind == ORC_CALL)
            write_bp(b, &rows[i], i > 0 ? &rows[i - 1] : NULL);
    }
    dwarf_end_entry(b, at, 8);
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
