/* SPDX-License-Identifier: MIT */
/*
 * Kernels of the MMX and SSE instructions: functions of plain operands, independent of the engine.
 *
 * An engine fetches the operands, checks what can fault, runs the kernel on a copy of the destination
 * where the row says SIMD_FP, asks simd_commit_flags(), and stores the result. Conventions:
 *
 *   - `dst` is the first operand, read and written; `src` the second. A memory operand is loaded into
 *     a union xmm, of which only the bytes that the instruction reads need be defined.
 *   - A general register as source is in src->q[0] (32-bit ones sign-extended for CVTSI2SS/SD); as
 *     destination the result is in dst->q[0], zero-extended.
 *   - MMX operands are in q[0]; kernels in `mmx` leave q[1] undefined. Many are those of the XMM form.
 *   - dst and src may be the same object.
 *
 * Unmasked exceptions: the kernel raises in env->flags what SDM vol. 1, 11.5.3 says for all elements
 * together; nothing of dst may then be committed.
 */
#ifndef EMU_CPU_SIMD_INTERNAL_H
#define EMU_CPU_SIMD_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include <emu/fpu_state.h>
#include <emu/insn.h>

struct simd_env {
    uint32_t mxcsr;
    uint32_t flags;         /* out: FP_* raised */
    uint32_t eflags;        /* out, SIMD_EFLAGS: all six arithmetic flags */
    uint32_t index;         /* out: PCMPxSTRI */
    union xmm xmm0;         /* in: implied mask of BLENDV*; out: result of PCMPxSTRM */
    uint64_t rax, rdx;      /* in: lengths for PCMPESTRx, sign-extended from what the form uses */
};

typedef void simd_kernel(struct simd_env *env, union xmm *dst, const union xmm *src, uint8_t imm);

#define SIMD_FP     0x01u /* may raise floating-point exceptions: use a copy of dst */
#define SIMD_EFLAGS 0x02u /* sets the arithmetic flags from env->eflags; dst is not written */
#define SIMD_XMM0   0x04u /* needs or yields env->xmm0 */
#define SIMD_STRING 0x08u /* PCMPxSTRx: dst is not written */
#define SIMD_ENV (SIMD_FP | SIMD_EFLAGS | SIMD_XMM0 | SIMD_STRING) /* env is not NULL */

struct simd_op {
    simd_kernel *xmm; /* NULL: no such form, or a plain move that the engine does itself */
    simd_kernel *mmx;
    simd_kernel *alt; /* count or distance in imm (FORM_X_IMM, FORM_P_IMM); PINSRQ and PEXTRQ; INSERTPS
                       * from memory */
    uint8_t flags;
};
extern const struct simd_op simd_ops[INSN_COUNT];

#define SIMD_KERNEL(name)                                                                          \
    void name(struct simd_env *env, union xmm *dst, const union xmm *src, uint8_t imm)

/*
 * Puts env->flags into *mxcsr. True when the result may be committed; false: #XM, or #UD without
 * CR4.OSXMMEXCPT.
 */
static inline bool simd_commit_flags(uint32_t *mxcsr, uint32_t flags)
{
    *mxcsr |= flags;
    return (flags & ~(*mxcsr >> 7) & 0x3fu) == 0;
}

#endif
