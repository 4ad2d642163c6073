/* SPDX-License-Identifier: MIT */
/*
 * MMX in the interpreter (SDM vol. 1, chapter 9): the registers are the significands of the physical
 * x87 registers. Every instruction makes TOP 0 and all of them valid, EMMS empty (table 13-1 of vol. 3);
 * a written register's sign and exponent become all ones.
 */
#include "simd_engine.h"

#include "mmu_internal.h"

void mmx_unavailable(struct cpu *cpu, const struct op *op)
{
    cpu->op = op;
    if (cpu->cr0 & CR0_EM)
        raise_exception(cpu, EXC_UD);
    if (cpu->cr0 & CR0_TS)
        raise_exception(cpu, EXC_NM);
    raise_x87_error(cpu, op);
}

/* Runs the row's MMX kernel on the register `reg` and a loaded or copied source. */
static void run_mmx(struct cpu *cpu, const struct op *op, simd_kernel *kernel, unsigned reg)
{
    cpu->tmp[1].vq = (vec128){cpu->fpu.st[reg & 7].sig, 0};
    simd_run(cpu, op, kernel, &cpu->tmp[1], &cpu->tmp[0]);
    mmx_enter(cpu);
    mmx_write(cpu, reg, cpu->tmp[1].q[0]);
}

/* --- mm, mm/m64 --- */
HANDLER(p_r)
{
    MMX_CHECK();
    cpu->tmp[0].vq = (vec128){MRM, 0};
    run_mmx(cpu, op, simd_ops[op->id].mmx, op->reg);
    NEXT();
}
/* PUNPCKLxx read four bytes, the others eight. */
#define P_M(ea, ...)                                                                               \
    HANDLER(p_m_##ea)                                                                              \
    {                                                                                              \
        MMX_CHECK();                                                                               \
        uint64_t linear = EA_##ea(1u << op->opsize, false);                                        \
        uint64_t v = op->opsize == OPSIZE_32 ? LOAD32(cpu, op, linear) : LOAD64(cpu, op, linear);  \
        cpu->tmp[0].vq = (vec128){v, 0};                                                           \
        run_mmx(cpu, op, simd_ops[op->id].mmx, op->reg);                                           \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(movd_load_##ea)                                                                        \
    {                                                                                              \
        MMX_CHECK();                                                                               \
        uint64_t v = LOAD32(cpu, op, EA_##ea(4, false));                                           \
        mmx_enter(cpu);                                                                            \
        mmx_write(cpu, op->reg, v);                                                                \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(movq_load_##ea)                                                                        \
    {                                                                                              \
        MMX_CHECK();                                                                               \
        uint64_t v = LOAD64(cpu, op, EA_##ea(8, false));                                           \
        mmx_enter(cpu);                                                                            \
        mmx_write(cpu, op->reg, v);                                                                \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(movd_store_##ea)                                                                       \
    {                                                                                              \
        MMX_CHECK();                                                                               \
        STORE32(cpu, op, EA_##ea(4, true), MREG);                                                  \
        mmx_enter(cpu);                                                                            \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(movq_store_##ea)                                                                       \
    {                                                                                              \
        MMX_CHECK();                                                                               \
        STORE64(cpu, op, EA_##ea(8, true), MREG);                                                  \
        mmx_enter(cpu);                                                                            \
        NEXT();                                                                                    \
    }                                                                                              \
    /* PINSRW mm, m16 */                                                                           \
    HANDLER(p_m16_##ea)                                                                            \
    {                                                                                              \
        MMX_CHECK();                                                                               \
        uint64_t v = LOAD16(cpu, op, EA_##ea(2, false));                                           \
        cpu->tmp[0].vq = (vec128){v, 0};                                                           \
        run_mmx(cpu, op, simd_ops[op->id].mmx, op->reg);                                           \
        NEXT();                                                                                    \
    }                                                                                              \
    /* CVTPS2PI and the like: an SSE source */                                                     \
    HANDLER(p_xm_##ea)                                                                             \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        MMX_CHECK();                                                                               \
        uint64_t linear = EA_##ea(1u << op->opsize, false);                                        \
        if (op->opsize == OPSIZE_128)                                                              \
            cpu->tmp[0].vq = LOAD128(cpu, op, aligned16(cpu, op, linear));                         \
        else                                                                                       \
            cpu->tmp[0].vq = (vec128){LOAD64(cpu, op, linear), 0};                                 \
        mmx_enter(cpu); /* even if #XM follows, as hardware does */                                \
        run_mmx(cpu, op, simd_ops[op->id].mmx, op->reg);                                           \
        NEXT();                                                                                    \
    }                                                                                              \
    /* CVTPI2PS, CVTPI2PD from memory: the x87 is not entered */                                   \
    HANDLER(x_pm_##ea)                                                                             \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        uint64_t v = LOAD64(cpu, op, EA_##ea(8, false));                                           \
        cpu->tmp[0].vq = (vec128){v, 0};                                                           \
        simd_run(cpu, op, simd_ops[op->id].xmm, &XREG, &cpu->tmp[0]);                              \
        NEXT();                                                                                    \
    }
FOR_EA(P_M)

HANDLER(p_xr)
{
    SSE_CHECK();
    MMX_CHECK();
    cpu->tmp[0].vq = XRM.vq;
    mmx_enter(cpu);
    run_mmx(cpu, op, simd_ops[op->id].mmx, op->reg);
    NEXT();
}
HANDLER(x_pr)
{
    SSE_CHECK();
    MMX_CHECK();
    cpu->tmp[0].vq = (vec128){MRM, 0};
    mmx_enter(cpu); /* even if #XM follows */
    simd_run(cpu, op, simd_ops[op->id].xmm, &XREG, &cpu->tmp[0]);
    NEXT();
}

/* --- shifts by an immediate --- */
HANDLER(p_imm)
{
    MMX_CHECK();
    run_mmx(cpu, op, simd_ops[op->id].alt, op->rm);
    NEXT();
}

/* --- general registers --- */
HANDLER(p_from_r)
{
    MMX_CHECK();
    cpu->tmp[0].vq = (vec128){cpu->regs[op->rm], 0};
    run_mmx(cpu, op, simd_ops[op->id].mmx, op->reg);
    NEXT();
}
HANDLER(p_to_r)
{
    MMX_CHECK();
    cpu->tmp[0].vq = (vec128){MRM, 0};
    simd_run(cpu, op, simd_ops[op->id].mmx, &cpu->tmp[1], &cpu->tmp[0]);
    mmx_enter(cpu);
    cpu->regs[op->reg] = cpu->tmp[1].q[0];
    NEXT();
}
HANDLER(movd_p_r32)
{
    MMX_CHECK();
    mmx_enter(cpu);
    mmx_write(cpu, op->reg, (uint32_t)cpu->regs[op->rm]);
    NEXT();
}
HANDLER(movd_p_r64)
{
    MMX_CHECK();
    mmx_enter(cpu);
    mmx_write(cpu, op->reg, cpu->regs[op->rm]);
    NEXT();
}
HANDLER(movd_r32_p)
{
    MMX_CHECK();
    mmx_enter(cpu);
    cpu->regs[op->rm] = (uint32_t)MREG;
    NEXT();
}
HANDLER(movd_r64_p)
{
    MMX_CHECK();
    mmx_enter(cpu);
    cpu->regs[op->rm] = MREG;
    NEXT();
}

/* --- moves --- */
HANDLER(movq_r)
{
    MMX_CHECK();
    mmx_enter(cpu);
    mmx_write(cpu, op->reg, MRM);
    NEXT();
}
HANDLER(movq_r_store)
{
    MMX_CHECK();
    mmx_enter(cpu);
    mmx_write(cpu, op->rm, MREG);
    NEXT();
}
HANDLER(movq2dq)
{
    SSE_CHECK();
    MMX_CHECK();
    mmx_enter(cpu);
    XREG.vq = (vec128){MRM, 0};
    NEXT();
}
HANDLER(movdq2q)
{
    SSE_CHECK();
    MMX_CHECK();
    mmx_enter(cpu);
    mmx_write(cpu, op->reg, XRM.q[0]);
    NEXT();
}
HANDLER(maskmovq)
{
    MMX_CHECK();
    static const uint64_t width[] = {0, 0xffff, 0xffffffff, UINT64_MAX};
    uint64_t offset = cpu->regs[REG_RDI] & width[op->addrsize];
    uint64_t linear = seg_linear(cpu, op, op->seg, offset, 8, true);
    uint64_t mask = MRM & 0x8080808080808080u;
    if (mask != 0) {
        unsigned first = (unsigned)__builtin_ctzll(mask) / 8;
        unsigned last = 7 - (unsigned)__builtin_clzll(mask) / 8;
        cpu->op = op;
        mem_check_alignment(cpu, linear, 8);
        mem_probe_write(cpu, op, linear + first, 1);
        mem_probe_write(cpu, op, linear + last, 1);
        for (unsigned i = first; i <= last; i++) {
            if ((mask >> (8 * i)) & 0x80)
                STORE8(cpu, op, linear + i, (uint8_t)(MREG >> (8 * i)));
        }
    }
    mmx_enter(cpu);
    NEXT();
}
HANDLER(emms)
{
    MMX_CHECK();
    cpu->fpu.valid = 0;
    cpu->fpu.top = 0;
    NEXT();
}

static op_fn *const p_m[] = EA_TABLE(p_m), *const p_m16[] = EA_TABLE(p_m16),
                    *const p_xm[] = EA_TABLE(p_xm), *const x_pm[] = EA_TABLE(x_pm),
                    *const movd_load[] = EA_TABLE(movd_load), *const movq_load[] = EA_TABLE(movq_load),
                    *const movd_store[] = EA_TABLE(movd_store),
                    *const movq_store[] = EA_TABLE(movq_store);

static op_fn *lower_mmx_move(const struct insn *in, enum ea_kind kind)
{
    bool mem = (in->flags & INSN_MEM) != 0, wide = in->opsize == OPSIZE_64;

    switch (in->id) {
    case INSN_EMMS: return emms;
    case INSN_MOVD_P_RM:
        if (mem)
            return (wide ? movq_load : movd_load)[kind];
        return wide ? movd_p_r64 : movd_p_r32;
    case INSN_MOVD_RM_P:
        if (mem)
            return (wide ? movq_store : movd_store)[kind];
        return wide ? movd_r64_p : movd_r32_p;
    case INSN_MOVQ_P_PM: return mem ? movq_load[kind] : movq_r;
    case INSN_MOVQ_PM_P: return mem ? movq_store[kind] : movq_r_store;
    case INSN_MOVNTQ: return mem ? movq_store[kind] : NULL;
    case INSN_MASKMOVQ: return maskmovq;
    case INSN_MOVQ2DQ: return movq2dq;
    case INSN_MOVDQ2Q: return movdq2q;
    default: return NULL;
    }
}

op_fn *lower_mmx(const struct insn *in, enum ea_kind kind)
{
    const struct simd_op *row = &simd_ops[in->id];
    bool mem = (in->flags & INSN_MEM) != 0;
    op_fn *fn = lower_mmx_move(in, kind);

    if (fn != NULL)
        return fn;
    if (in->form == FORM_P_IMM)
        return row->alt != NULL ? p_imm : NULL;
    if (in->form == FORM_X_PM)
        return mem ? x_pm[kind] : x_pr;
    if (row->mmx == NULL)
        return NULL;
    switch (in->form) {
    case FORM_P_PM:
    case FORM_P_PM_IMM: return mem ? p_m[kind] : p_r;
    case FORM_P_RM_IMM: return mem ? p_m16[kind] : p_from_r;
    case FORM_R_P:
    case FORM_R_P_IMM: return p_to_r;
    case FORM_P_XM: return mem ? p_xm[kind] : p_xr;
    default: return NULL;
    }
}
