/* SPDX-License-Identifier: MIT */
/* What reading ORC tables (orc.c) hands to writing DWARF (orc_dwarf.c). */
#ifndef SYMBOLS_ORC_INTERNAL_H
#define SYMBOLS_ORC_INTERNAL_H

#include <symbols/orc.h>

#include "bytes_internal.h"

/* What the stack holds at the place that an entry leads to. */
enum orc_kind {
    ORC_UNKNOWN, /* nothing is known about this code */
    ORC_END,     /* there is no caller */
    ORC_CALL,    /* a return address */
    ORC_REGS,    /* all registers (struct pt_regs): an exception, interrupt or system call */
    ORC_PARTIAL, /* what the CPU pushes: RIP, CS, RFLAGS, RSP, SS */
};

enum orc_base { ORC_BASE_NONE, ORC_BASE_REG, ORC_BASE_REG_INDIRECT, ORC_BASE_SP_INDIRECT };

/* How to unwind from an address; holds up to the next row's. */
struct orc_row {
    uint64_t ip;
    enum orc_kind kind;
    /* The place: REG: reg + offset; REG_INDIRECT: what is stored there; SP_INDIRECT: what is stored
     * at RSP, + offset. */
    enum orc_base base;
    uint8_t base_reg; /* as DWARF numbers registers */
    int16_t offset;
    /* The caller's RBP: NONE: unchanged; REG: stored at base_reg + offset, with the register 7,
     * RSP, meaning the place above. */
    enum orc_base bp;
    uint8_t bp_reg;
    int16_t bp_offset;
};

#define DWARF_RAX    0u
#define DWARF_RDX    1u
#define DWARF_RCX    2u
#define DWARF_RBX    3u
#define DWARF_RSI    4u
#define DWARF_RDI    5u
#define DWARF_RBP    6u
#define DWARF_RSP    7u
#define DWARF_R8     8u
#define DWARF_R9     9u
#define DWARF_R10    10u
#define DWARF_R11    11u
#define DWARF_R12    12u
#define DWARF_R13    13u
#define DWARF_R14    14u
#define DWARF_R15    15u
#define DWARF_RIP    16u
#define DWARF_RFLAGS 49u
#define DWARF_CS     51u
#define DWARF_SS     52u

/* Appends .debug_frame for `count` rows in ascending order; the last one ends at `end`. */
void orc_write_dwarf(struct bytes *out, const struct orc_row *rows, size_t count, uint64_t end);

#endif
