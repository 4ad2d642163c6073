/* SPDX-License-Identifier: MIT */
/*
 * What the two sides of the differential test have in common: where memory lies, how a test case
 * ("sequence") is handed over, and what a run of it leaves behind.
 *
 * Both sides, the host CPU in a child process and the emulated CPU in a machine, have the same
 * eight pages ("the arena") at the same linear addresses, filled from one template. Everything
 * around them is unmapped. A sequence is started with all registers given, and always ends in an
 * exception: the pages of code are filled with INT3. Afterwards the registers, the exception and
 * all lines of the arena that differ from the template are its outcome.
 */
#ifndef DIFF_COMMON_H
#define DIFF_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- the arena --- */

#define PAGE        4096u
#define ARENA_PAGES 8u
#define ARENA_BYTES (ARENA_PAGES * PAGE)
#define LINE_BYTES  64u
#define ARENA_LINES (ARENA_BYTES / LINE_BYTES)

#define CODE_VA     0x10000000u /* 2 pages, read write execute */
#define CODE_BYTES  (2 * PAGE)
#define DATA_VA     0x10010000u /* 3 pages, read write */
#define DATA_BYTES  (3 * PAGE)
#define RO_VA       0x10013000u /* 1 page, read only, right after the data */
#define STACK_VA    0x10020000u /* 2 pages, read write */
#define STACK_BYTES (2 * PAGE)
#define GS_BASE     (DATA_VA + 0x800u)
#define SCRATCH_VA  0x10030000u /* 1 page, read write, in the emulator alone: guest_add_scratch() */

struct arena_part {
    uint32_t va;
    uint32_t first_page; /* in the arena */
    uint32_t pages;
    bool write, exec;
};
#define ARENA_PARTS 4
static const struct arena_part arena_parts[ARENA_PARTS] = {
    {CODE_VA, 0, 2, true, true},
    {DATA_VA, 2, 3, true, false},
    {RO_VA, 5, 1, false, false},
    {STACK_VA, 6, 2, true, false},
};

/* --- a test case as it is run --- */

#define USER_CS64 0x33u /* as in Linux, so that selectors compare equal */
#define USER_CS32 0x23u
#define USER_DS   0x2bu
#define USER_CS16 0x0bu /* the emulator alone, after guest_add_code16() */

#define SEQ_CODE_BYTES 512u

/* Floating-point state is an FXSAVE image with 64-bit pointers, without what the program may use. */
#define FX_BYTES      416u
#define FX_CW         0u
#define FX_SW         2u
#define FX_TAGS       4u
#define FX_POINTERS   6u /* FOP, FIP, FDP */
#define FX_MXCSR      24u
#define FX_MXCSR_MASK 28u
#define FX_ST         32u /* ST(0) first, 16 bytes each, of which 10 count */
#define FX_XMM        160u

struct seq {
    uint64_t regs[16];
    uint8_t fx[FX_BYTES];
    uint64_t rip;
    uint64_t rflags;
    uint16_t cs;
    uint16_t code_len;
    uint8_t code[SEQ_CODE_BYTES]; /* goes to rip */
};

/* Components of XSAVE areas beside x87 and SSE that a host may have (SDM vol. 1, 13.1; AVX to APX, and AMD's LWP). */
#define HOST_COMPONENTS 0x40000000000ffffcULL
#define XSAVE_BV        512u
#define XSAVE_COMP      520u
#define XSAVE_AREA      576u

/* --- what comes out --- */

#define VECTOR_NONE 0xffffu /* the run did not end in an exception */

struct line {
    uint32_t index;
    uint8_t bytes[LINE_BYTES];
};

struct outcome {
    uint64_t regs[16];
    uint8_t fx[FX_BYTES];
    uint64_t rip;
    uint64_t rflags;
    uint64_t cr2;   /* page faults only, else 0 */
    uint32_t error; /* 0 where the exception has none */
    uint16_t vector;
    uint16_t cs, ss, ds, es;
    uint32_t nlines; /* of the arena that differ from the template, ascending */
    struct line lines[ARENA_LINES];
};

/* Whether an exception pushes an error code. */
static inline bool vector_has_error(unsigned vector)
{
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

#endif
