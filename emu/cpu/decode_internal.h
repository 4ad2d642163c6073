/* SPDX-License-Identifier: MIT */
/*
 * The decoder's tables: what decode.c walks and decode_tables.c fills in.
 *
 * A table entry is one of
 *   - a leaf: an instruction and its shape (operand form, size rule, immediate, constraints);
 *   - a leaf with F_ID: an instruction only, its shape is that of the selector above it;
 *   - a selector: `sub` points to a table that something beside the opcode byte indexes;
 *   - all zero: undefined.
 */
#ifndef EMU_DECODE_INTERNAL_H
#define EMU_DECODE_INTERNAL_H

#include <emu/insn.h>

/* What indexes a selector's table, and how many entries that has. */
enum dec_select {
    SEL_NONE,   /* a leaf */
    SEL_PREFIX, /* 4: no mandatory prefix, 66h, F3h, F2h; F3h and F2h go before 66h */
    SEL_REG,    /* 8: ModRM.reg */
    SEL_RM,     /* 8: ModRM.rm */
    SEL_MOD,    /* 2: memory, register */
    SEL_MODE64, /* 2: 16 or 32-bit code, 64-bit code */
    SEL_REX_W,  /* 2 */
    SEL_REX_B,  /* 2 */
};

/* Operand size; the fixed ones equal enum opsize. */
enum dec_size {
    SZ_B = OPSIZE_8,
    SZ_W = OPSIZE_16,
    SZ_D = OPSIZE_32,
    SZ_Q = OPSIZE_64,
    SZ_X = OPSIZE_128,
    SZ_V,    /* 16, 32 or 64 by mode, 66h and REX.W */
    SZ_Z,    /* as SZ_V, but 32 for 64 */
    SZ_Y,    /* 64 with REX.W, else 32 */
    SZ_D64,  /* as SZ_V, but 64-bit code has 64 where SZ_V has 32 */
    SZ_F64,  /* as SZ_V, but always 64 in 64-bit code: near branches, descriptor tables */
    SZ_MODE, /* 64 in 64-bit code, else 32: control and debug registers */
};

enum dec_imm {
    IMM_NONE,
    IMM_SB,    /* byte, sign-extended */
    IMM_UB,    /* byte, zero-extended */
    IMM_UW,    /* word, zero-extended */
    IMM_Z,     /* word, or dword for 32 and 64-bit operands, sign-extended */
    IMM_V,     /* as wide as the operand, not extended */
    IMM_ONE,   /* no bytes: the value 1 */
    IMM_ENTER, /* word and byte */
    IMM_FAR,   /* offset by operand size, then selector */
    IMM_MOFFS, /* as wide as an address */
};

#define F_MODRM  0x0001u
#define F_ID     0x0002u /* a leaf that takes its shape from above */
#define F_OPR    0x0004u /* rm is the register in the opcode's low three bits */
#define F_MEM    0x0008u /* #UD with a register operand */
#define F_REG    0x0010u /* #UD with a memory operand */
#define F_NO64   0x0020u /* #UD in 64-bit code */
#define F_ONLY64 0x0040u /* #UD elsewhere */
#define F_REG8   0x0080u /* reg is a byte register */
#define F_RM8    0x0100u /* rm is a byte register, if a register */
#define F_MEM16  0x0200u /* memory operand has 16 bits whatever the size */
#define F_NOMOD  0x0400u /* ModRM.mod is ignored: always a register */
#define F_SEG    0x0800u /* implied memory operand in DS, which an override replaces */
#define F_AX     0x1000u /* rm is rAX, not ModRM.rm */
#define F_8      (F_REG8 | F_RM8)

struct dec_entry {
    const struct dec_entry *sub;
    uint16_t id; /* enum insn_id */
    uint8_t sel; /* enum dec_select */
    uint8_t form;
    uint8_t size;
    uint8_t imm;
    uint16_t flags;
};
_Static_assert(sizeof(struct dec_entry) <= 16, "four entries per cache line");

extern const struct dec_entry dec_map_one[256];
extern const struct dec_entry dec_map_0f[256];
extern const struct dec_entry dec_map_0f38[256];
extern const struct dec_entry dec_map_0f3a[256];

#endif
