/* SPDX-License-Identifier: MIT */
/*
 * SSE instructions of the interpreter: those that a kernel of simd_ops executes, and the choice of
 * handlers for all of x87, MMX and SSE. Moves are in interp_sse_move.c; what programs do most has
 * handlers of its own in interp_sse_hot.c.
 *
 * Order of faults (SDM vol. 3, 6.9): #UD and #NM by the control registers, then memory, then
 * floating-point exceptions. An unmasked exception sets MXCSR's flags and leaves the destination.
 */
#include "simd_engine.h"

void simd_unavailable(struct cpu *cpu, const struct op *op)
{
    cpu->op = op;
    if ((cpu->cr0 & CR0_EM) || !(cpu->cr4 & CR4_OSFXSR))
        raise_exception(cpu, EXC_UD);
    raise_exception(cpu, EXC_NM);
}

void simd_exception(struct cpu *cpu, const struct op *op)
{
    cpu->op = op;
    raise_exception(cpu, cpu->cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
}

void misaligned(struct cpu *cpu, const struct op *op)
{
    cpu->op = op;
    raise_gp0(cpu);
}

OUT_OF_LINE vec128 load128_slow(struct cpu *cpu, const struct op *op, uint64_t linear)
{
    vec128 v;

    mem_read_bytes(cpu, op, linear, &v, sizeof(v));
    return v;
}

OUT_OF_LINE void store128_slow(struct cpu *cpu, const struct op *op, uint64_t linear, vec128 v)
{
    mem_write_bytes(cpu, op, linear, &v, sizeof(v));
}

/* --- kernels --- */

static void string_result(struct cpu *cpu, const struct op *op, const struct simd_env *env)
{
    if (op->id == INSN_PCMPESTRM || op->id == INSN_PCMPESTRM_64 || op->id == INSN_PCMPISTRM)
        cpu->fpu.xmm[0] = env->xmm0;
    else
        cpu->regs[REG_RCX] = env->index;
}

OUT_OF_LINE void simd_run(struct cpu *cpu, const struct op *op, simd_kernel *kernel, union xmm *dst,
              const union xmm *src)
{
    unsigned flags = simd_ops[op->id].flags;
    struct simd_env env = {.mxcsr = cpu->fpu.mxcsr};
    union xmm result = *dst;

    if (flags & SIMD_XMM0)
        env.xmm0 = cpu->fpu.xmm[0];
    if (flags & SIMD_STRING) {
        bool wide = op->id == INSN_PCMPESTRI_64 || op->id == INSN_PCMPESTRM_64;
        env.rax = wide ? cpu->regs[REG_RAX] : sext32(cpu->regs[REG_RAX]);
        env.rdx = wide ? cpu->regs[REG_RDX] : sext32(cpu->regs[REG_RDX]);
    }
    kernel(&env, &result, src, (uint8_t)op->imm);
    if (!simd_commit_flags(&cpu->fpu.mxcsr, env.flags))
        simd_exception(cpu, op);
    if (flags & SIMD_EFLAGS)
        flags_set(cpu, env.eflags);
    else
        *dst = result;
    if (flags & SIMD_STRING)
        string_result(cpu, op, &env);
}

/* op->rep tells that the row's other kernel is meant: the
 * prefix itself means nothing to these instructions. */
static inline simd_kernel *kernel_of(const struct op *op)
{
    return op->rep ? simd_ops[op->id].alt : simd_ops[op->id].xmm;
}

static inline const union xmm *load_operand(struct cpu *cpu, const struct op *op, uint64_t linear)
{
    union xmm *t = &cpu->tmp[0];

    switch (op->opsize) {
    case OPSIZE_8: t->q[0] = LOAD8(cpu, op, linear); break;
    case OPSIZE_16: t->q[0] = LOAD16(cpu, op, linear); break;
    case OPSIZE_32: t->q[0] = LOAD32(cpu, op, linear); break;
    case OPSIZE_64: t->q[0] = LOAD64(cpu, op, linear); break;
    default:
        if (op->aligned)
            aligned16(cpu, op, linear);
        t->vq = LOAD128(cpu, op, linear);
        return t;
    }
    t->q[1] = 0;
    return t;
}

/* --- xmm, xmm/m --- */

/* Kernels without an environment work in place. */
HANDLER(pure_r)
{
    SSE_CHECK();
    simd_ops[op->id].xmm(NULL, &XREG, &XRM, (uint8_t)op->imm);
    NEXT();
}
HANDLER(full_r)
{
    SSE_CHECK();
    simd_run(cpu, op, kernel_of(op), &XREG, &XRM);
    NEXT();
}
#define X_M(ea, ...)                                                                               \
    HANDLER(pure_m_##ea)                                                                           \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        const union xmm *src = load_operand(cpu, op, EA_##ea(1u << op->opsize, false));            \
        simd_ops[op->id].xmm(NULL, &XREG, src, (uint8_t)op->imm);                                  \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(full_m_##ea)                                                                           \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        const union xmm *src = load_operand(cpu, op, EA_##ea(1u << op->opsize, false));            \
        simd_run(cpu, op, kernel_of(op), &XREG, src);                                              \
        NEXT();                                                                                    \
    }
FOR_EA(X_M)

/* --- shifts of a register by an immediate --- */
HANDLER(shift_imm)
{
    SSE_CHECK();
    simd_ops[op->id].alt(NULL, &XRM, &XRM, (uint8_t)op->imm);
    NEXT();
}

/* --- xmm, r/m: conversions from integers sign-extend what they read --- */
HANDLER(from_r)
{
    SSE_CHECK();
    uint64_t v = cpu->regs[op->rm];
    cpu->tmp[0].q[0] = op->opsize == OPSIZE_64 ? v : sext32(v);
    simd_run(cpu, op, kernel_of(op), &XREG, &cpu->tmp[0]);
    NEXT();
}
#define FROM_M(ea, ...)                                                                            \
    HANDLER(from_m_##ea)                                                                           \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        load_operand(cpu, op, EA_##ea(1u << op->opsize, false));                                   \
        if (op->opsize == OPSIZE_32)                                                               \
            cpu->tmp[0].q[0] = sext32(cpu->tmp[0].q[0]);                                           \
        simd_run(cpu, op, kernel_of(op), &XREG, &cpu->tmp[0]);                                     \
        NEXT();                                                                                    \
    }
FOR_EA(FROM_M)

/* --- r, xmm/m --- */
HANDLER(to_r)
{
    SSE_CHECK();
    simd_run(cpu, op, kernel_of(op), &cpu->tmp[1], &XRM);
    cpu->regs[op->reg] = cpu->tmp[1].q[0];
    NEXT();
}
#define TO_R_M(ea, ...)                                                                            \
    HANDLER(to_r_m_##ea)                                                                           \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        const union xmm *src = load_operand(cpu, op, EA_##ea(1u << op->opsize, false));            \
        simd_run(cpu, op, kernel_of(op), &cpu->tmp[1], src);                                       \
        cpu->regs[op->reg] = cpu->tmp[1].q[0];                                                     \
        NEXT();                                                                                    \
    }
FOR_EA(TO_R_M)

/* --- r/m, xmm: PEXTRx, EXTRACTPS --- */
HANDLER(extract_r)
{
    SSE_CHECK();
    simd_run(cpu, op, kernel_of(op), &cpu->tmp[1], &XREG);
    cpu->regs[op->rm] = cpu->tmp[1].q[0];
    NEXT();
}
#define EXTRACT_M(ea, ...)                                                                         \
    HANDLER(extract_m_##ea)                                                                        \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        uint64_t linear = EA_##ea(1u << op->opsize, true);                                         \
        simd_run(cpu, op, kernel_of(op), &cpu->tmp[1], &XREG);                                     \
        uint64_t v = cpu->tmp[1].q[0];                                                             \
        switch (op->opsize) {                                                                      \
        case OPSIZE_8: STORE8(cpu, op, linear, v); break;                                          \
        case OPSIZE_16: STORE16(cpu, op, linear, v); break;                                        \
        case OPSIZE_32: STORE32(cpu, op, linear, v); break;                                        \
        default: STORE64(cpu, op, linear, v); break;                                               \
        }                                                                                          \
        NEXT();                                                                                    \
    }
FOR_EA(EXTRACT_M)

/* --- the choice --- */

static op_fn *const pure_m[] = EA_TABLE(pure_m), *const full_m[] = EA_TABLE(full_m),
                    *const from_m[] = EA_TABLE(from_m), *const to_r_m[] = EA_TABLE(to_r_m),
                    *const extract_m[] = EA_TABLE(extract_m);

static op_fn *lower_kernel(const struct insn *in, enum ea_kind kind, struct op *op)
{
    const struct simd_op *row = &simd_ops[in->id];
    bool mem = (in->flags & INSN_MEM) != 0;

    op->rep = ((in->id == INSN_PINSRD || in->id == INSN_PEXTRD) && in->opsize == OPSIZE_64) ||
              (in->id == INSN_INSERTPS && mem);
    op->aligned = (insn_info[in->id].attrs & IA_ALIGN16) != 0;
    if (in->form == FORM_X_IMM)
        return row->alt != NULL ? shift_imm : NULL;
    if (row->xmm == NULL)
        return NULL;
    switch (in->form) {
    case FORM_X_XM:
    case FORM_X_XM_IMM:
        if ((row->flags & SIMD_ENV) != 0 || op->rep)
            return mem ? full_m[kind] : full_r;
        return mem ? pure_m[kind] : pure_r;
    case FORM_X_RM:
    case FORM_X_RM_IMM: return mem ? from_m[kind] : from_r;
    case FORM_R_XM:
    case FORM_R_X_IMM: return mem ? to_r_m[kind] : to_r;
    case FORM_RM_X_IMM: return mem ? extract_m[kind] : extract_r;
    default: return NULL;
    }
}

op_fn *simd_lower(const struct insn *in, enum ea_kind kind, struct op *op)
{
    unsigned attrs = insn_info[in->id].attrs;
    op_fn *fn;

    if ((fn = lower_fpu_state(in)) != NULL)
        return fn;
    if (attrs & IA_X87)
        return lower_x87(in, kind, op);
    if ((attrs & IA_MMX) && (fn = lower_mmx(in, kind)) != NULL)
        return fn;
    if ((fn = lower_sse_hot(in, kind)) != NULL || (fn = lower_sse_move(in, kind)) != NULL)
        return fn;
    return lower_kernel(in, kind, op);
}
