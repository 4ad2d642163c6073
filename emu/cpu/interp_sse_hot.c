/* SPDX-License-Identifier: MIT */
/*
 * Handlers without a call for the SSE instructions that string functions, checksums and compiled
 * floating point spend their time in. They compute what the kernels compute (tests run both); floating
 * point falls back to the kernel where fp_fast.h declines.
 */
#include "fp_fast.h"
#include "simd_engine.h"

typedef union xmm xmm_t;

/* --- vectors: r = expr of a and b --- */
#define VECTOR_M(ea, name, expr)                                                                   \
    HANDLER(name##_m_##ea)                                                                         \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        xmm_t b = {.vq = LOAD128(cpu, op, aligned16(cpu, op, EA_##ea(16, false)))};                \
        xmm_t a = {.vq = XREG.vq}, r;                                                              \
        (void)a;                                                                                   \
        expr;                                                                                      \
        XREG.vq = r.vq;                                                                            \
        NEXT();                                                                                    \
    }
#define VECTOR(name, expr)                                                                         \
    HANDLER(name##_r)                                                                              \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        xmm_t b = {.vq = XRM.vq};                                                                  \
        xmm_t a = {.vq = XREG.vq}, r;                                                              \
        (void)a;                                                                                   \
        expr;                                                                                      \
        XREG.vq = r.vq;                                                                            \
        NEXT();                                                                                    \
    }                                                                                              \
    FOR_EA(VECTOR_M, name, expr)

#if defined(__clang__)
#define SHUFFLE_B(a, b, ...) __builtin_shufflevector((a), (b), __VA_ARGS__)
#define SHUFFLE_W SHUFFLE_B
#define SHUFFLE_D SHUFFLE_B
#else
typedef uint8_t idx8 __attribute__((vector_size(16)));
typedef uint16_t idx16 __attribute__((vector_size(16)));
typedef uint32_t idx32 __attribute__((vector_size(16)));
#define SHUFFLE_B(a, b, ...) __builtin_shuffle((a), (b), (idx8){__VA_ARGS__})
#define SHUFFLE_W(a, b, ...) __builtin_shuffle((a), (b), (idx16){__VA_ARGS__})
#define SHUFFLE_D(a, b, ...) __builtin_shuffle((a), (b), (idx32){__VA_ARGS__})
#endif

VECTOR(pand, r.vq = a.vq & b.vq)
VECTOR(pandn, r.vq = ~a.vq & b.vq)
VECTOR(por, r.vq = a.vq | b.vq)
VECTOR(pxor, r.vq = a.vq ^ b.vq)
VECTOR(paddb, r.vb = a.vb + b.vb)
VECTOR(paddw, r.vw = a.vw + b.vw)
VECTOR(paddd, r.vd = a.vd + b.vd)
VECTOR(paddq, r.vq = a.vq + b.vq)
VECTOR(psubb, r.vb = a.vb - b.vb)
VECTOR(psubw, r.vw = a.vw - b.vw)
VECTOR(psubd, r.vd = a.vd - b.vd)
VECTOR(psubq, r.vq = a.vq - b.vq)
VECTOR(pcmpeqb, r.vib = a.vib == b.vib)
VECTOR(pcmpeqw, r.viw = a.viw == b.viw)
VECTOR(pcmpeqd, r.vid = a.vid == b.vid)
VECTOR(pcmpgtb, r.vib = a.vib > b.vib)
VECTOR(pcmpgtd, r.vid = a.vid > b.vid)
/* The comparison is all ones or zeros a byte. */
VECTOR(pminub, r.vib = a.vb < b.vb; r.vb = (a.vb & r.vb) | (b.vb & ~r.vb))
VECTOR(pmaxub, r.vib = a.vb > b.vb; r.vb = (a.vb & r.vb) | (b.vb & ~r.vb))
VECTOR(pmullw, r.vw = a.vw * b.vw)
VECTOR(pmulld, r.vd = a.vd * b.vd)
VECTOR(pmuludq, r.vq = (a.vq & 0xffffffff) * (b.vq & 0xffffffff))
VECTOR(punpcklbw,
       r.vb = SHUFFLE_B(a.vb, b.vb, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23))
VECTOR(punpckhbw,
       r.vb = SHUFFLE_B(a.vb, b.vb, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31))
VECTOR(punpcklwd, r.vw = SHUFFLE_W(a.vw, b.vw, 0, 8, 1, 9, 2, 10, 3, 11))
VECTOR(punpckhwd, r.vw = SHUFFLE_W(a.vw, b.vw, 4, 12, 5, 13, 6, 14, 7, 15))
VECTOR(punpckldq, r.vd = SHUFFLE_D(a.vd, b.vd, 0, 4, 1, 5))
VECTOR(punpckhdq, r.vd = SHUFFLE_D(a.vd, b.vd, 2, 6, 3, 7))
VECTOR(punpcklqdq, r.vq = ((vec128){a.q[0], b.q[0]}))
VECTOR(punpckhqdq, r.vq = ((vec128){a.q[1], b.q[1]}))

static inline vec128 shuffle32(const xmm_t *lo, const xmm_t *hi, uint64_t imm)
{
    return (vec128){lo->d[imm & 3] | (uint64_t)lo->d[(imm >> 2) & 3] << 32,
                    hi->d[(imm >> 4) & 3] | (uint64_t)hi->d[(imm >> 6) & 3] << 32};
}
VECTOR(pshufd, r.vq = shuffle32(&b, &b, op->imm))
VECTOR(shufps, r.vq = shuffle32(&a, &b, op->imm))

/* --- PMOVMSKB, MOVMSKPS/PD stay with the kernels but for the first --- */
HANDLER(pmovmskb_r)
{
    SSE_CHECK();
    const uint64_t tops = 0x8080808080808080u, gather = 0x0102040810204080u;
    uint64_t lo = ((XRM.q[0] & tops) >> 7) * gather >> 56;
    uint64_t hi = ((XRM.q[1] & tops) >> 7) * gather >> 56;
    cpu->regs[op->reg] = lo | hi << 8;
    NEXT();
}

/* --- shifts of the whole register; imm is below 16 here --- */
HANDLER(pslldq_imm)
{
    SSE_CHECK();
    unsigned __int128 v = (unsigned __int128)XRM.q[1] << 64 | XRM.q[0];
    v <<= op->imm * 8;
    XRM.vq = (vec128){(uint64_t)v, (uint64_t)(v >> 64)};
    NEXT();
}
HANDLER(psrldq_imm)
{
    SSE_CHECK();
    unsigned __int128 v = (unsigned __int128)XRM.q[1] << 64 | XRM.q[0];
    v >>= op->imm * 8;
    XRM.vq = (vec128){(uint64_t)v, (uint64_t)(v >> 64)};
    NEXT();
}

/* The rest of a handler whose short cut does not apply, so that it needs no stack frame itself. */
OUT_OF_LINE HANDLER(kernel_r)
{
    simd_run(cpu, op, simd_ops[op->id].xmm, &XREG, &XRM);
    NEXT();
}
OUT_OF_LINE HANDLER(kernel_tmp)
{
    simd_run(cpu, op, simd_ops[op->id].xmm, &XREG, &cpu->tmp[0]);
    NEXT();
}
OUT_OF_LINE HANDLER(kernel_to_r)
{
    simd_run(cpu, op, simd_ops[op->id].xmm, &cpu->tmp[1], &XRM);
    cpu->regs[op->reg] = cpu->tmp[1].q[0];
    NEXT();
}

/* --- scalar arithmetic --- */
#define SCALAR(name, w, t, f, bytes)                                                               \
    HANDLER(name##_r)                                                                              \
    {                                                                                              \
        t r;                                                                                       \
        SSE_CHECK();                                                                               \
        if (unlikely(!fp_fast_allowed(cpu->fpu.mxcsr) ||                                           \
                     !SCALAR_##name(XREG.f[0], XRM.f[0], &r)))                                     \
            return kernel_r(cpu, op);                                                              \
        XREG.f[0] = r;                                                                             \
        NEXT();                                                                                    \
    }                                                                                              \
    FOR_EA(SCALAR_M, name, w, t, f, bytes)
#define SCALAR_M(ea, name, w, t, f, bytes)                                                         \
    HANDLER(name##_m_##ea)                                                                         \
    {                                                                                              \
        t r;                                                                                       \
        SSE_CHECK();                                                                               \
        t b = (t)LOAD##w(cpu, op, EA_##ea(bytes, false));                                          \
        if (unlikely(!fp_fast_allowed(cpu->fpu.mxcsr) || !SCALAR_##name(XREG.f[0], b, &r))) {      \
            cpu->tmp[0].vq = (vec128){b, 0};                                                       \
            return kernel_tmp(cpu, op);                                                            \
        }                                                                                          \
        XREG.f[0] = r;                                                                             \
        NEXT();                                                                                    \
    }
#define SCALAR_addsd fp_fast64_add
#define SCALAR_subsd fp_fast64_sub
#define SCALAR_mulsd fp_fast64_mul
#define SCALAR_divsd fp_fast64_div
#define SCALAR_addss fp_fast32_add
#define SCALAR_subss fp_fast32_sub
#define SCALAR_mulss fp_fast32_mul
#define SCALAR_divss fp_fast32_div
SCALAR(addsd, 64, uint64_t, q, 8)
SCALAR(subsd, 64, uint64_t, q, 8)
SCALAR(mulsd, 64, uint64_t, q, 8)
SCALAR(divsd, 64, uint64_t, q, 8)
SCALAR(addss, 32, uint32_t, d, 4)
SCALAR(subss, 32, uint32_t, d, 4)
SCALAR(mulss, 32, uint32_t, d, 4)
SCALAR(divss, 32, uint32_t, d, 4)

/* --- comparison to EFLAGS: numbers that raise nothing compare alike in all four instructions --- */
static inline uint32_t relation_flags(bool less, bool equal)
{
    return less ? FL_CF : equal ? FL_ZF : 0;
}
#define COMPARE(name, w, t, f, bytes)                                                              \
    HANDLER(name##_r)                                                                              \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        t a = XREG.f[0], b = XRM.f[0];                                                             \
        if (unlikely(!FP_FAST_HOST || !fp_fast##w##_comparable(a) || !fp_fast##w##_comparable(b))) \
            return kernel_r(cpu, op);                                                              \
        flags_set(cpu, relation_flags(fp_host##w(a) < fp_host##w(b),                               \
                                      fp_host##w(a) == fp_host##w(b)));                            \
        NEXT();                                                                                    \
    }                                                                                              \
    FOR_EA(COMPARE_M, name, w, t, f, bytes)
#define COMPARE_M(ea, name, w, t, f, bytes)                                                        \
    HANDLER(name##_m_##ea)                                                                         \
    {                                                                                              \
        SSE_CHECK();                                                                               \
        t b = (t)LOAD##w(cpu, op, EA_##ea(bytes, false)), a = XREG.f[0];                           \
        if (unlikely(!FP_FAST_HOST || !fp_fast##w##_comparable(a) ||                               \
                     !fp_fast##w##_comparable(b))) {                                               \
            cpu->tmp[0].vq = (vec128){b, 0};                                                       \
            return kernel_tmp(cpu, op);                                                            \
        }                                                                                          \
        flags_set(cpu, relation_flags(fp_host##w(a) < fp_host##w(b),                               \
                                      fp_host##w(a) == fp_host##w(b)));                            \
        NEXT();                                                                                    \
    }
COMPARE(comisd, 64, uint64_t, q, 8)
COMPARE(comiss, 32, uint32_t, d, 4)

/* --- conversions between integers and double --- */
HANDLER(cvtsi2sd_r32)
{
    SSE_CHECK();
    XREG.q[0] = fp_bits64((double)(int32_t)cpu->regs[op->rm]); /* always exact */
    NEXT();
}
HANDLER(cvtsi2sd_r64)
{
    SSE_CHECK();
    int64_t v = (int64_t)cpu->regs[op->rm];
    if (unlikely(!FP_FAST_HOST || v < -((int64_t)1 << 53) || v > (int64_t)1 << 53)) {
        cpu->tmp[0].iq[0] = v;
        return kernel_tmp(cpu, op);
    }
    XREG.q[0] = fp_bits64((double)v);
    NEXT();
}
#define TRUNCATE(name, to, t)                                                                      \
    HANDLER(name##_r)                                                                              \
    {                                                                                              \
        t r;                                                                                       \
        SSE_CHECK();                                                                               \
        if (unlikely(!fp_fast_allowed(cpu->fpu.mxcsr) || !to(XRM.q[0], &r)))                       \
            return kernel_to_r(cpu, op);                                                           \
        cpu->regs[op->reg] = r;                                                                    \
        NEXT();                                                                                    \
    }
TRUNCATE(cvttsd2si, fp_fast64_to_i32, uint32_t)
TRUNCATE(cvttsd2si_64, fp_fast64_to_i64, uint64_t)

/* --- the choice --- */

struct hot {
    op_fn *r;
    op_fn *m[EA_KINDS];
};
#define HOT(id, name) [INSN_##id] = {name##_r, EA_TABLE(name##_m)}

static const struct hot hot[INSN_COUNT] = {
    HOT(PAND, pand), HOT(ANDPS, pand), HOT(ANDPD, pand),
    HOT(PANDN, pandn), HOT(ANDNPS, pandn), HOT(ANDNPD, pandn),
    HOT(POR, por), HOT(ORPS, por), HOT(ORPD, por),
    HOT(PXOR, pxor), HOT(XORPS, pxor), HOT(XORPD, pxor),
    HOT(PADDB, paddb), HOT(PADDW, paddw), HOT(PADDD, paddd), HOT(PADDQ, paddq),
    HOT(PSUBB, psubb), HOT(PSUBW, psubw), HOT(PSUBD, psubd), HOT(PSUBQ, psubq),
    HOT(PCMPEQB, pcmpeqb), HOT(PCMPEQW, pcmpeqw), HOT(PCMPEQD, pcmpeqd),
    HOT(PCMPGTB, pcmpgtb), HOT(PCMPGTD, pcmpgtd),
    HOT(PMINUB, pminub), HOT(PMAXUB, pmaxub),
    HOT(PMULLW, pmullw), HOT(PMULLD, pmulld), HOT(PMULUDQ, pmuludq),
    HOT(PUNPCKLBW, punpcklbw), HOT(PUNPCKHBW, punpckhbw),
    HOT(PUNPCKLWD, punpcklwd), HOT(PUNPCKHWD, punpckhwd),
    HOT(PUNPCKLDQ, punpckldq), HOT(UNPCKLPS, punpckldq),
    HOT(PUNPCKHDQ, punpckhdq), HOT(UNPCKHPS, punpckhdq),
    HOT(PUNPCKLQDQ, punpcklqdq), HOT(UNPCKLPD, punpcklqdq),
    HOT(PUNPCKHQDQ, punpckhqdq), HOT(UNPCKHPD, punpckhqdq),
    HOT(PSHUFD, pshufd), HOT(SHUFPS, shufps),
    HOT(ADDSD, addsd), HOT(SUBSD, subsd), HOT(MULSD, mulsd), HOT(DIVSD, divsd),
    HOT(ADDSS, addss), HOT(SUBSS, subss), HOT(MULSS, mulss), HOT(DIVSS, divss),
    HOT(COMISD, comisd), HOT(UCOMISD, comisd), HOT(COMISS, comiss), HOT(UCOMISS, comiss),
    [INSN_CVTTSD2SI] = {.r = cvttsd2si_r},
    [INSN_CVTTSD2SI_64] = {.r = cvttsd2si_64_r},
    [INSN_PMOVMSKB] = {.r = pmovmskb_r},
};

op_fn *lower_sse_hot(const struct insn *in, enum ea_kind kind)
{
    bool mem = (in->flags & INSN_MEM) != 0;

    switch (in->form) {
    case FORM_X_XM:
    case FORM_X_XM_IMM:
    case FORM_R_XM: return mem ? hot[in->id].m[kind] : hot[in->id].r;
    case FORM_X_IMM:
        if (in->imm < 16 && in->id == INSN_PSLLDQ)
            return pslldq_imm;
        return in->imm < 16 && in->id == INSN_PSRLDQ ? psrldq_imm : NULL;
    case FORM_X_RM:
        if (in->id == INSN_CVTSI2SD && !mem)
            return in->opsize == OPSIZE_64 ? cvtsi2sd_r64 : cvtsi2sd_r32;
        return NULL;
    default: return NULL;
    }
}
