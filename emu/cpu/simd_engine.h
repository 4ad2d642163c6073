/* SPDX-License-Identifier: MIT */
/*
 * What the MMX, SSE and x87 handlers of the interpreter share: conditions under which the units may be
 * used at all, operands of 16 bytes, and running a kernel.
 */
#ifndef EMU_CPU_SIMD_ENGINE_H
#define EMU_CPU_SIMD_ENGINE_H

#include "operands.h"
#include "simd_internal.h"

/* 16 bytes in a register of the host, where a union would be in memory. */
typedef uint64_t vec128 __attribute__((vector_size(16)));

/* Has locals that are passed on by address: inlined into a handler it would cost its tail call. */
#define OUT_OF_LINE __attribute__((noinline))

/* --- may the unit be used? SDM vol. 3, tables 2-2 and 13-1 --- */

_Noreturn void simd_unavailable(struct cpu *cpu, const struct op *op);
_Noreturn void mmx_unavailable(struct cpu *cpu, const struct op *op);
_Noreturn void simd_exception(struct cpu *cpu, const struct op *op); /* #XM, or #UD */

#define SSE_CHECK()                                                                                \
    do {                                                                                           \
        if (unlikely((cpu->cr0 & (CR0_EM | CR0_TS)) != 0 || (cpu->cr4 & CR4_OSFXSR) == 0))         \
            simd_unavailable(cpu, op);                                                             \
    } while (0)
#define MMX_CHECK()                                                                                \
    do {                                                                                           \
        if (unlikely((cpu->cr0 & (CR0_EM | CR0_TS)) != 0 || (cpu->fpu.sw & FSW_ES) != 0))          \
            mmx_unavailable(cpu, op);                                                              \
    } while (0)

/* --- operands --- */

#define XREG (cpu->fpu.xmm[op->reg])
#define XRM  (cpu->fpu.xmm[op->rm])
#define MREG (cpu->fpu.st[op->reg & 7].sig)
#define MRM  (cpu->fpu.st[op->rm & 7].sig)

/* Any MMX instruction but EMMS: SDM vol. 1, 9.6.2. */
static inline void mmx_enter(struct cpu *cpu)
{
    cpu->fpu.top = 0;
    cpu->fpu.valid = 0xff;
}
static inline void mmx_write(struct cpu *cpu, unsigned reg, uint64_t v)
{
    cpu->fpu.st[reg & 7] = (struct f80){v, 0xffff};
}

vec128 load128_slow(struct cpu *cpu, const struct op *op, uint64_t linear);
void store128_slow(struct cpu *cpu, const struct op *op, uint64_t linear, vec128 v);
_Noreturn void misaligned(struct cpu *cpu, const struct op *op);

static inline vec128 LOAD128(struct cpu *cpu, const struct op *op, uint64_t linear)
{
    const struct tlb_entry *e = tlb_slot(cpu, linear);

    if (likely(((linear + 15) & ~PAGE_OFFSET_MASK) == e->read)) {
        vec128 v;
        memcpy(&v, (const void *)(uintptr_t)(linear + e->addend), sizeof(v));
        return v;
    }
    return load128_slow(cpu, op, linear);
}

static inline void STORE128(struct cpu *cpu, const struct op *op, uint64_t linear, vec128 v)
{
    const struct tlb_entry *e = tlb_slot(cpu, linear);

    if (likely(((linear + 15) & ~PAGE_OFFSET_MASK) == e->write)) {
        memcpy((void *)(uintptr_t)(linear + e->addend), &v, sizeof(v));
        return;
    }
    store128_slow(cpu, op, linear, v);
}

/* #GP(0) unless aligned, whatever the segment. */
static inline uint64_t aligned16(struct cpu *cpu, const struct op *op, uint64_t linear)
{
    if (unlikely((linear & 15) != 0))
        misaligned(cpu, op);
    return linear;
}

/* --- kernels --- */

/* A kernel of simd_ops that needs an environment, on an XMM destination, flags and all. May not return. */
void simd_run(struct cpu *cpu, const struct op *op, simd_kernel *kernel, union xmm *dst,
              const union xmm *src);

/* Choosers. */
op_fn *lower_x87(const struct insn *in, enum ea_kind kind, struct op *op);
op_fn *lower_sse_move(const struct insn *in, enum ea_kind kind);
op_fn *lower_sse_hot(const struct insn *in, enum ea_kind kind);
op_fn *lower_mmx(const struct insn *in, enum ea_kind kind);
op_fn *lower_fpu_state(const struct insn *in);

#endif
