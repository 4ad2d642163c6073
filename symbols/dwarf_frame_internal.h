/* SPDX-License-Identifier: MIT */
/* Pieces of .debug_frame sections (DWARF 4, 6.4): numbers, entries, and instructions of call frames. */
#ifndef SYMBOLS_DWARF_FRAME_INTERNAL_H
#define SYMBOLS_DWARF_FRAME_INTERNAL_H

#include "bytes_internal.h"

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
#define OP_CONST4U             0x0cu
#define OP_CONSTS              0x11u
#define OP_OR                  0x21u
#define OP_PLUS                0x22u
#define OP_PLUS_UCONST         0x23u
#define OP_BREG0               0x70u

void dwarf_uleb(struct bytes *b, uint64_t n);
void dwarf_sleb(struct bytes *b, int64_t n);
void dwarf_word(struct bytes *b, uint64_t value, unsigned len);

/* Begins a CIE or FDE, and ends it, with padding to a multiple of `align`: its length is filled in. */
size_t dwarf_begin_entry(struct bytes *b);
void dwarf_end_entry(struct bytes *b, size_t at, unsigned align);

/* The code goes on by `delta` bytes. */
void dwarf_advance(struct bytes *b, uint64_t delta);
/* The register is stored `words` words below the CFA. */
void dwarf_saved(struct bytes *b, unsigned reg, unsigned words);
/* An instruction about a register. */
void dwarf_rule(struct bytes *b, uint8_t op, unsigned reg);
/* A register and an offset, in an expression. */
void dwarf_breg(struct bytes *b, unsigned reg, int offset);
/* An expression, with its length. */
void dwarf_append_block(struct bytes *b, const struct bytes *block);

#endif
