/* SPDX-License-Identifier: MIT */
/*
 * Which flags are undefined: followed along a stepped run, instruction by instruction, with the
 * values at hand, so that counts of shifts and operands of scans are known. The rules are those of
 * the instructions' pages in Intel SDM vol. 2, from insn_info and, where they depend on values,
 * here.
 */
#ifndef DIFF_UNDEF_H
#define DIFF_UNDEF_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct insn;

#define UNDEF_MAX_BYTES 15

/* Beside FL_*: C1 of the x87's status word. */
#define UNDEF_C1 0x80000000u

/* Bytes of memory, by linear address; empty: len 0. */
struct undef_range {
    uint64_t va;
    uint32_t len;
};
#define UNDEF_RANGES 2

struct undef {
    uint32_t now;          /* FL_*: undefined before the instruction that comes next */
    uint32_t after;        /* what it will be if that instruction retires */
    uint64_t last_rip;     /* of the instruction seen last; UINT64_MAX: none */
    uint32_t insns;        /* instructions seen, repeated ones once */
    uint64_t cut_rip;      /* where undef_step refused */
    uint64_t ids_seen[16]; /* bit set of enum insn_id % 1024 */
    bool pending;          /* an unmasked x87 exception, before the instruction seen last */
    bool pointers_known;   /* FOP, FIP, FDP are those of the instruction that raised it */
    bool pointers_loaded;  /* by FLDENV, FRSTOR, FXRSTOR */
    uint16_t last_id;      /* enum insn_id */
    /* Where the instruction seen last stored FOP, FIP, FDP and MXCSR_MASK, in which makers differ. */
    struct undef_range pointers[UNDEF_RANGES];
    /* Bytes at a linear address; how many of len there are. */
    unsigned (*peek)(void *opaque, uint64_t va, uint8_t *out, unsigned len);
    void *opaque;
};

void undef_begin(struct undef *u);
/* Before each instruction. False: what it would do is undefined (it reads an undefined flag, its
 * result is undefined, or the one before stored the x87's pointers), and cannot be compared. */
bool undef_step(struct undef *u, const struct cpu *cpu);
static inline bool undef_saw(const struct undef *u, unsigned id)
{
    return u->ids_seen[(id & 1023) >> 6] >> (id & 63) & 1;
}

/* Linear address of the memory operand, with flat segments but GS. */
uint64_t undef_linear(const struct insn *in, const struct cpu *cpu);

#endif
