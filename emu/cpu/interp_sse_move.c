/* SPDX-License-Identifier: MIT */
/* Moves between XMM registers, general registers and memory (SDM vol. 2, MOVAPS to MOVSS, MASKMOVDQU). */
#include "simd_engine.h"

#include "mmu_internal.h"

/* --- 16 bytes --- */

HANDLER(mov128_r)
{
    SSE_CHECK();
    XREG.vq = XRM.vq;
    NEXT();
}
/* The encodings whose destination is r/m, between registers. */
HANDLER(mov128_r_store)
{
    SSE_CHECK();
    XRM.vq = XREG.vq;
    NEXT();
}

#define MOVES(ea, ...)                                                                             \
    HANDLER(movu_load_##ea)                                                                        \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        XREG.vq = LOAD128(cpu, op, EA_##ea(16, false));                                            \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(mova_load_##ea)                                                                        \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        XREG.vq = LOAD128(cpu, op, aligned16(cpu, op, EA_##ea(16, false)));                        \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(movu_store_##ea)                                                                       \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        STORE128(cpu, op, EA_##ea(16, true), XREG.vq);                                             \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(mova_store_##ea)                                                                       \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        STORE128(cpu, op, aligned16(cpu, op, EA_##ea(16, true)), XREG.vq);                         \
        NEXT();                                                                                    \
    }                                                                                              \
    /* --- 4 and 8 bytes; loads clear the rest --- */                                              \
    HANDLER(mov32_load_##ea)                                                                       \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        uint64_t v = LOAD32(cpu, op, EA_##ea(4, false));                                           \
        XREG.vq = (vec128){v, 0};                                                                  \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(mov64_load_##ea)                                                                       \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        uint64_t v = LOAD64(cpu, op, EA_##ea(8, false));                                           \
        XREG.vq = (vec128){v, 0};                                                                  \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(mov32_store_##ea)                                                                      \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        STORE32(cpu, op, EA_##ea(4, true), XREG.d[0]);                                             \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(mov64_store_##ea)                                                                      \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        STORE64(cpu, op, EA_##ea(8, true), XREG.q[0]);                                             \
        NEXT();                                                                                    \
    }                                                                                              \
    /* --- halves: loads keep the other one --- */                                                 \
    HANDLER(movl_load_##ea)                                                                        \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        XREG.q[0] = LOAD64(cpu, op, EA_##ea(8, false));                                            \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(movh_load_##ea)                                                                        \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        XREG.q[1] = LOAD64(cpu, op, EA_##ea(8, false));                                            \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(movh_store_##ea)                                                                       \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        STORE64(cpu, op, EA_##ea(8, true), XREG.q[1]);                                             \
        NEXT();                                                                                    \
    }
FOR_EA(MOVES)

HANDLER(movss_r)
{
    SSE_CHECK();
    XREG.d[0] = XRM.d[0];
    NEXT();
}
HANDLER(movss_r_store)
{
    SSE_CHECK();
    XRM.d[0] = XREG.d[0];
    NEXT();
}
HANDLER(movsd_r)
{
    SSE_CHECK();
    XREG.q[0] = XRM.q[0];
    NEXT();
}
HANDLER(movsd_r_store)
{
    SSE_CHECK();
    XRM.q[0] = XREG.q[0];
    NEXT();
}
HANDLER(movq_r)
{
    SSE_CHECK();
    XREG.vq = (vec128){XRM.q[0], 0};
    NEXT();
}
HANDLER(movq_r_store)
{
    SSE_CHECK();
    XRM.vq = (vec128){XREG.q[0], 0};
    NEXT();
}

/* --- general registers --- */
HANDLER(movd_x_r32)
{
    SSE_CHECK();
    XREG.vq = (vec128){(uint32_t)cpu->regs[op->rm], 0};
    NEXT();
}
HANDLER(movd_x_r64)
{
    SSE_CHECK();
    XREG.vq = (vec128){cpu->regs[op->rm], 0};
    NEXT();
}
HANDLER(movd_r32_x)
{
    SSE_CHECK();
    cpu->regs[op->rm] = XREG.d[0];
    NEXT();
}
HANDLER(movd_r64_x)
{
    SSE_CHECK();
    cpu->regs[op->rm] = XREG.q[0];
    NEXT();
}

/* --- MASKMOVDQU: bytes whose mask has its top bit set, to seg:[rDI] --- */
HANDLER(maskmovdqu)
{
    SSE_CHECK();
    static const uint64_t width[] = {0, 0xffff, 0xffffffff, UINT64_MAX};
    uint64_t offset = cpu->regs[REG_RDI] & width[op->addrsize];
    uint64_t linear = seg_linear(cpu, op, op->seg, offset, 16, true);
    unsigned mask = 0;
    for (unsigned i = 0; i < 16; i++)
        mask |= (unsigned)(XRM.b[i] >> 7) << i;
    if (mask != 0) {
        unsigned first = (unsigned)__builtin_ctz(mask), last = 31 - (unsigned)__builtin_clz(mask);
        cpu->op = op;
        mem_check_alignment(cpu, linear, 8);
        mem_probe_write(cpu, op, linear + first, 1);
        mem_probe_write(cpu, op, linear + last, 1);
        for (unsigned i = first; i <= last; i++) {
            if ((mask >> i) & 1)
                STORE8(cpu, op, linear + i, XREG.b[i]);
        }
    }
    NEXT();
}

static op_fn *const movu_load[] = EA_TABLE(movu_load), *const mova_load[] = EA_TABLE(mova_load),
                    *const movu_store[] = EA_TABLE(movu_store),
                    *const mova_store[] = EA_TABLE(mova_store),
                    *const mov32_load[] = EA_TABLE(mov32_load),
                    *const mov64_load[] = EA_TABLE(mov64_load),
                    *const mov32_store[] = EA_TABLE(mov32_store),
                    *const mov64_store[] = EA_TABLE(mov64_store),
                    *const movl_load[] = EA_TABLE(movl_load),
                    *const movh_load[] = EA_TABLE(movh_load),
                    *const movh_store[] = EA_TABLE(movh_store);

op_fn *lower_sse_move(const struct insn *in, enum ea_kind kind)
{
    bool mem = (in->flags & INSN_MEM) != 0, store = in->form == FORM_XM_X;
    bool wide = in->opsize == OPSIZE_64;

#define PICK(load_m, load_r, store_m, store_r)                                                     \
    (store ? (mem ? (store_m)[kind] : (store_r)) : (mem ? (load_m)[kind] : (load_r)))
    switch (in->id) {
    case INSN_MOVUPS:
    case INSN_MOVUPD:
    case INSN_MOVDQU:
    case INSN_LDDQU: return PICK(movu_load, mov128_r, movu_store, mov128_r_store);
    case INSN_MOVAPS:
    case INSN_MOVAPD:
    case INSN_MOVDQA:
    case INSN_MOVNTDQA:
    case INSN_MOVNTPS:
    case INSN_MOVNTPD:
    case INSN_MOVNTDQ: return PICK(mova_load, mov128_r, mova_store, mov128_r_store);
    case INSN_MOVSS: return PICK(mov32_load, movss_r, mov32_store, movss_r_store);
    case INSN_MOVSD_XMM: return PICK(mov64_load, movsd_r, mov64_store, movsd_r_store);
    case INSN_MOVQ_X_XM: return mem ? mov64_load[kind] : movq_r;
    case INSN_MOVQ_XM_X: return mem ? mov64_store[kind] : movq_r_store;
    case INSN_MOVLPS:
    case INSN_MOVLPD: return store ? mov64_store[kind] : movl_load[kind];
    case INSN_MOVHPS:
    case INSN_MOVHPD: return store ? movh_store[kind] : movh_load[kind];
    case INSN_MOVD_X_RM:
        if (mem)
            return (wide ? mov64_load : mov32_load)[kind];
        return wide ? movd_x_r64 : movd_x_r32;
    case INSN_MOVD_RM_X:
        if (mem)
            return (wide ? mov64_store : mov32_store)[kind];
        return wide ? movd_r64_x : movd_r32_x;
    case INSN_MASKMOVDQU: return maskmovdqu;
    default: return NULL;
    }
#undef PICK
}
