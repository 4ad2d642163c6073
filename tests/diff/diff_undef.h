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

#define UNDEF_MAX_BYTES 15

struct undef {
    uint32_t now;          /* FL_*: undefined before the instruction that comes next */
    uint32_t after;        /* what it will be if that instruction retires */
    uint64_t last_rip;     /* of the instruction seen last; UINT64_MAX: none */
    uint32_t insns;        /* instructions seen, repeated ones once */
    uint64_t cut_rip;      /* where undef_step refused */
    uint64_t ids_seen[16]; /* bit set of enum insn_id % 1024 */
    /* Bytes at a linear address; how many of len there are. */
    unsigned (*peek)(void *opaque, uint64_t va, uint8_t *out, unsigned len);
    void *opaque;
};

void undef_begin(struct undef *u);
/* Before each instruction. False: what it would do is undefined (it reads an undefined flag, or its
 * result is undefined), and cannot be compared. */
bool undef_step(struct undef *u, const struct cpu *cpu);
static inline bool undef_saw(const struct undef *u, unsigned id)
{
    return u->ids_seen[(id & 1023) >> 6] >> (id & 63) & 1;
}

#endif
