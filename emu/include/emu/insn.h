/* SPDX-License-Identifier: MIT */
/*
 * A decoded x86 instruction, and the decoder's interface.
 *
 * The decoder is one table-driven pass over the bytes (Intel SDM vol. 2, chapter 2 and appendix A).
 * It yields a `struct insn`, 24 bytes, that says everything the engines need: which instruction,
 * how wide, which operands. It looks at nothing but the bytes and the code size; privilege, CPUID
 * features that can be off (CR4.OSFXSR) and segment state are the engines' business.
 *
 * Normal forms, so that engines see few shapes:
 *   - an operand that is a register coded in the opcode (PUSH r, MOV r,imm, XCHG rAX,r, BSWAP) or
 *     implied (ADD rAX,imm) is given as `rm` with INSN_MEM clear;
 *   - 8-bit registers are 0..15 for AL, CL, DL, BL, SPL.. R15B and 16..19 for AH, CH, DH, BH;
 *   - immediates and branch displacements are sign-extended to 64 bits where the instruction sign
 *     extends them, zero-extended where it does not (ENTER, RET, IN, OUT, INT, shift counts, SSE
 *     control bytes); branch displacements are relative to the end of the instruction;
 *   - a memory operand is seg:[base + (index << scale) + disp]; base REG_RIP is relative to the end
 *     of the instruction; absent base or index is REG_NONE; A0h..A3h moves have the address in `imm`
 *     and the FORM_*_MOFFS forms;
 *   - string instructions have the source segment in `seg`, repeat in flags, width in opsize.
 *
 * insn.def holds one row per instruction: name, flags read, written and undefined, attributes.
 */
#ifndef EMU_INSN_H
#define EMU_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INSN_MAX_LEN 15

enum reg_name {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    REG_NONE = 16, /* reads as zero in an address */
    REG_RIP = 17,  /* base only */
};
#define REG8_AH 16 /* 8-bit operands: 16..19 are AH, CH, DH, BH */

enum seg_name { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS };

/* log2 of an operand's bytes. */
enum opsize { OPSIZE_8, OPSIZE_16, OPSIZE_32, OPSIZE_64, OPSIZE_128 };

enum code_size { CODE_16, CODE_32, CODE_64 };

/* Status flags, as in RFLAGS; for insn_info. */
#define FL_CF 0x001u
#define FL_PF 0x004u
#define FL_AF 0x010u
#define FL_ZF 0x040u
#define FL_SF 0x080u
#define FL_OF 0x800u
#define FL_ARITH (FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF)

/* Attributes of an instruction, whatever its operands. */
#define IA_BRANCH 0x0001u   /* may set RIP to other than the next instruction: ends a block */
#define IA_SERIAL 0x0002u   /* changes mode, translation, or what interrupts may do: ends a block */
#define IA_IO     0x0004u   /* may reach a device or reads time: runs last in its block */
#define IA_CPL0   0x0008u   /* #GP(0) outside CPL 0 */
#define IA_STRING 0x0010u   /* string instruction: REP counts iterations */
#define IA_NO64   0x0020u   /* #UD in 64-bit mode */
#define IA_ONLY64 0x0040u   /* #UD outside 64-bit mode */
#define IA_LOCK   0x0080u   /* LOCK allowed when the destination is memory */
#define IA_X87    0x0100u
#define IA_MMX    0x0200u
#define IA_SSE    0x0400u
#define IA_ALIGN16 0x0800u  /* a 128-bit memory operand, and FXSAVE's, is aligned or #GP(0) */

enum insn_id {
    INSN_INVALID,
#define INSN(id, mnemonic, fl_read, fl_written, fl_undef, attrs) INSN_##id,
#include <emu/insn.def>
#undef INSN
    INSN_COUNT
};

struct insn_info {
    const char *mnemonic;  /* lower case, as Intel spells it */
    uint16_t flags_read;   /* FL_*; condition codes read all that any condition of theirs reads */
    uint16_t flags_written;
    uint16_t flags_undef;  /* subset of flags_written */
    uint16_t attrs;
};
extern const struct insn_info insn_info[INSN_COUNT];

/* Which operands, in Intel's order: destination first. "RM" is `rm`, or memory if INSN_MEM. */
enum insn_form {
    FORM_NONE,        /* implied operands only */
    FORM_RM,
    FORM_RM_R,
    FORM_R_RM,
    FORM_RM_IMM,
    FORM_RM_CL,       /* shifts and rotates by CL */
    FORM_R_RM_IMM,    /* IMUL */
    FORM_RM_R_IMM,    /* SHLD, SHRD by imm8 */
    FORM_RM_R_CL,     /* SHLD, SHRD by CL */
    FORM_IMM,         /* PUSH imm, INT n, RET n, ENTER (imm = size | level << 16), AAM, IN/OUT imm8 */
    FORM_DX,          /* IN/OUT with DX */
    FORM_REL,         /* near branches */
    FORM_FAR,         /* CALL/JMP ptr16:xx: offset in imm, selector in disp */
    FORM_M_FAR,       /* CALL/JMP m16:xx, LDS and friends (reg: destination) */
    FORM_R_MOFFS,     /* MOV rAX, moffs: address in imm */
    FORM_MOFFS_R,
    FORM_SREG,        /* PUSH/POP sreg: reg = enum seg_name */
    FORM_RM_SREG,     /* MOV r/m, sreg */
    FORM_SREG_RM,
    FORM_R_CR,        /* MOV r, CRn: rm = general register, reg = n */
    FORM_CR_R,
    FORM_R_DR,
    FORM_DR_R,
    /* x87; memory widths in opsize, kind (float, int, bcd, environment) by the instruction */
    FORM_ST0_M,       /* memory operand */
    FORM_ST0_STI,     /* ST0 op= ST(rm) */
    FORM_STI_ST0,     /* ST(rm) op= ST0 */
    FORM_STI,         /* ST(rm) only */
    /* MMX and SSE: P = mmx register, X = xmm register, PM/XM = that or memory, R/RM = general */
    FORM_P_PM, FORM_PM_P, FORM_P_PM_IMM, FORM_P_IMM,
    FORM_P_RM, FORM_RM_P, FORM_R_P, FORM_R_P_IMM, FORM_P_RM_IMM,
    FORM_X_XM, FORM_XM_X, FORM_X_XM_IMM, FORM_X_IMM, FORM_XM_X_IMM,
    FORM_X_RM, FORM_RM_X, FORM_R_XM, FORM_R_X_IMM, FORM_X_RM_IMM, FORM_RM_X_IMM,
    FORM_P_XM, FORM_X_PM, FORM_P_X, FORM_X_P,
    FORM_M,           /* memory only: FXSAVE, LDMXCSR, LGDT, INVLPG, CLFLUSH, PREFETCH, ... */
    FORM_COUNT
};

#define INSN_MEM   0x01u  /* the RM operand is memory */
#define INSN_LOCK  0x02u
#define INSN_REP   0x04u  /* F3h, when it is a repeat prefix (not when it selects the opcode) */
#define INSN_REPNE 0x08u  /* F2h, likewise */
#define INSN_SEG   0x10u  /* a segment override was given and counts */
#define INSN_OPSZ  0x20u  /* 66h was given, and does not select the opcode */

struct insn {
    uint64_t imm;
    int32_t disp;      /* FORM_FAR: the selector */
    uint16_t id;       /* enum insn_id */
    uint8_t len;
    uint8_t form;      /* enum insn_form */
    uint8_t opsize;    /* enum opsize: of the operation; SSE and x87: of the memory operand */
    uint8_t addrsize;  /* enum opsize: 16, 32 or 64 */
    uint8_t reg;
    uint8_t rm;
    uint8_t base;
    uint8_t index;
    uint8_t seg : 4;   /* enum seg_name: the memory operand's segment, override considered */
    uint8_t scale : 2; /* log2 */
    uint8_t flags;
};
_Static_assert(sizeof(struct insn) == 24, "two instructions and a half per cache line");

enum decode_status {
    DECODE_OK,
    DECODE_MORE,      /* `n` bytes are not enough to tell: fetch more */
    DECODE_UNDEFINED, /* #UD; out->len is set to the bytes looked at */
    DECODE_TOO_LONG,  /* over 15 bytes: #GP(0) */
};

/*
 * Decodes the instruction at `bytes`. Reads at most n bytes. For DECODE_OK all of *out is set; for
 * others only out->len. Never fails to terminate and never reads outside of [bytes, bytes + n).
 */
enum decode_status insn_decode(const uint8_t *bytes, size_t n, enum code_size size,
                               struct insn *out);

#endif
