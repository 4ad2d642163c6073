/* SPDX-License-Identifier: MIT */
/*
 * Floating-point kernels of SSE to SSE4.1 (Intel SDM vol. 1, chapters 10 to 12).
 *
 * Each tries the host's unit for all elements together where fp_fast.h allows it, and else goes
 * element by element through the software. Exceptions of the elements are collected; an unmasked
 * invalid, denormal or zero-divide exception in any of them suppresses the later ones of all (SDM
 * vol. 1, 11.5.4).
 */
#include "fp.h"
#include "fp_fast.h"
#include "sse_kernels.h"

static inline void finish(struct simd_env *env, const struct fp_env *fp)
{
    uint32_t flags = fp->flags;

    if (flags & ~(uint32_t)fp->masked & FP_PRE)
        flags &= FP_PRE;
    env->flags |= flags;
}

/* --- lanes that the host may do: fp_fast.h, four or two at a time --- */

static inline bool all_set(union xmm m)
{
    return (m.q[0] & m.q[1]) == ~(uint64_t)0;
}
static inline union xmm denormal32(union xmm a)
{
    union xmm r;

    r.vid = (a.vd << 1) - 1 < (1u << 24) - 1;
    return r;
}
static inline union xmm normal32(union xmm a)
{
    union xmm r;

    r.vid = (a.vd << 1) - ((1u << 24) + 1) < (0xfeu << 24) - 1;
    return r;
}
static inline union xmm zero32(union xmm a)
{
    union xmm r;

    r.vid = a.vd << 1 == 0;
    return r;
}
static inline union xmm denormal64(union xmm a)
{
    return (union xmm){.q = {-(uint64_t)fp_fast64_denormal(a.q[0]),
                             -(uint64_t)fp_fast64_denormal(a.q[1])}};
}
static inline union xmm normal64(union xmm a)
{
    return (union xmm){
        .q = {-(uint64_t)fp_fast64_normal(a.q[0]), -(uint64_t)fp_fast64_normal(a.q[1])}};
}
static inline union xmm zero64(union xmm a)
{
    return (union xmm){.q = {-(uint64_t)(a.q[0] << 1 == 0), -(uint64_t)(a.q[1] << 1 == 0)}};
}

/* Which zeros in a result are exact: all of a sum, those of a zero factor, of a zero dividend. */
#define ZERO_ADD(w) zero##w(r).vq
#define ZERO_SUB(w) zero##w(r).vq
#define ZERO_MUL(w) (zero##w(r).vq & (zero##w(a).vq | zero##w(b).vq))
#define ZERO_DIV(w) (zero##w(r).vq & zero##w(a).vq)
#define FAST_OK(w, zero)                                                                           \
    ((normal##w(r).vq | (zero)) & ~(denormal##w(a).vq | denormal##w(b).vq))

#define ARITH(name, sign, zero)                                                                    \
    SIMD_KERNEL(k_##name##ps)                                                                      \
    {                                                                                              \
        const union xmm a = *dst, b = *src;                                                        \
        union xmm r;                                                                               \
        (void)imm;                                                                                 \
        if (fp_fast_allowed(env->mxcsr)) {                                                         \
            r.vf = a.vf sign b.vf;                                                                 \
            union xmm ok = {.vq = FAST_OK(32, zero(32))};                                          \
            if (all_set(ok)) {                                                                     \
                *dst = r;                                                                          \
                return;                                                                            \
            }                                                                                      \
        }                                                                                          \
        struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);                                          \
        for (unsigned i = 0; i < 4; i++)                                                           \
            dst->d[i] = f32_##name(&fp, a.d[i], b.d[i]);                                           \
        finish(env, &fp);                                                                          \
    }                                                                                              \
    SIMD_KERNEL(k_##name##pd)                                                                      \
    {                                                                                              \
        const union xmm a = *dst, b = *src;                                                        \
        union xmm r;                                                                               \
        (void)imm;                                                                                 \
        if (fp_fast_allowed(env->mxcsr)) {                                                         \
            r.vg = a.vg sign b.vg;                                                                 \
            union xmm ok = {.vq = FAST_OK(64, zero(64))};                                          \
            if (all_set(ok)) {                                                                     \
                *dst = r;                                                                          \
                return;                                                                            \
            }                                                                                      \
        }                                                                                          \
        struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);                                          \
        for (unsigned i = 0; i < 2; i++)                                                           \
            dst->q[i] = f64_##name(&fp, a.q[i], b.q[i]);                                           \
        finish(env, &fp);                                                                          \
    }                                                                                              \
    SIMD_KERNEL(k_##name##ss)                                                                      \
    {                                                                                              \
        uint32_t r;                                                                                \
        (void)imm;                                                                                 \
        if (fp_fast_allowed(env->mxcsr) && fp_fast32_##name(dst->d[0], src->d[0], &r)) {           \
            dst->d[0] = r;                                                                         \
            return;                                                                                \
        }                                                                                          \
        struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);                                          \
        dst->d[0] = f32_##name(&fp, dst->d[0], src->d[0]);                                         \
        finish(env, &fp);                                                                          \
    }                                                                                              \
    SIMD_KERNEL(k_##name##sd)                                                                      \
    {                                                                                              \
        uint64_t r;                                                                                \
        (void)imm;                                                                                 \
        if (fp_fast_allowed(env->mxcsr) && fp_fast64_##name(dst->q[0], src->q[0], &r)) {           \
            dst->q[0] = r;                                                                         \
            return;                                                                                \
        }                                                                                          \
        struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);                                          \
        dst->q[0] = f64_##name(&fp, dst->q[0], src->q[0]);                                         \
        finish(env, &fp);                                                                          \
    }
ARITH(add, +, ZERO_ADD)
ARITH(sub, -, ZERO_SUB)
ARITH(mul, *, ZERO_MUL)
ARITH(div, /, ZERO_DIV)

/* --- element by element: the four forms of an operation --- */

#define FOUR_FORMS(name, e32, e64)                                                                 \
    SIMD_KERNEL(k_##name##ps)                                                                      \
    {                                                                                              \
        const union xmm a = *dst, b = *src;                                                        \
        struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);                                          \
        (void)imm, (void)a;                                                                        \
        for (unsigned i = 0; i < 4; i++)                                                           \
            dst->d[i] = e32(&fp, a.d[i], b.d[i], imm);                                             \
        finish(env, &fp);                                                                          \
    }                                                                                              \
    SIMD_KERNEL(k_##name##pd)                                                                      \
    {                                                                                              \
        const union xmm a = *dst, b = *src;                                                        \
        struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);                                          \
        (void)imm, (void)a;                                                                        \
        for (unsigned i = 0; i < 2; i++)                                                           \
            dst->q[i] = e64(&fp, a.q[i], b.q[i], imm);                                             \
        finish(env, &fp);                                                                          \
    }                                                                                              \
    SIMD_KERNEL(k_##name##ss)                                                                      \
    {                                                                                              \
        struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);                                          \
        (void)imm;                                                                                 \
        dst->d[0] = e32(&fp, dst->d[0], src->d[0], imm);                                           \
        finish(env, &fp);                                                                          \
    }                                                                                              \
    SIMD_KERNEL(k_##name##sd)                                                                      \
    {                                                                                              \
        struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);                                          \
        (void)imm;                                                                                 \
        dst->q[0] = e64(&fp, dst->q[0], src->q[0], imm);                                           \
        finish(env, &fp);                                                                          \
    }

static inline uint32_t sqrt32(struct fp_env *fp, uint32_t a, uint32_t b, uint8_t imm)
{
    (void)a, (void)imm;
    return f32_sqrt(fp, b);
}
static inline uint64_t sqrt64(struct fp_env *fp, uint64_t a, uint64_t b, uint8_t imm)
{
    (void)a, (void)imm;
    return f64_sqrt(fp, b);
}

static inline uint32_t min32(struct fp_env *fp, uint32_t a, uint32_t b, uint8_t imm)
{
    (void)imm;
    if (FP_FAST_HOST && fp_fast32_comparable(a) && fp_fast32_comparable(b))
        return fp_host32(a) < fp_host32(b) ? a : b;
    return f32_min(fp, a, b);
}
static inline uint32_t max32(struct fp_env *fp, uint32_t a, uint32_t b, uint8_t imm)
{
    (void)imm;
    if (FP_FAST_HOST && fp_fast32_comparable(a) && fp_fast32_comparable(b))
        return fp_host32(a) > fp_host32(b) ? a : b;
    return f32_max(fp, a, b);
}
static inline uint64_t min64(struct fp_env *fp, uint64_t a, uint64_t b, uint8_t imm)
{
    (void)imm;
    if (FP_FAST_HOST && fp_fast64_comparable(a) && fp_fast64_comparable(b))
        return fp_host64(a) < fp_host64(b) ? a : b;
    return f64_min(fp, a, b);
}
static inline uint64_t max64(struct fp_env *fp, uint64_t a, uint64_t b, uint8_t imm)
{
    (void)imm;
    if (FP_FAST_HOST && fp_fast64_comparable(a) && fp_fast64_comparable(b))
        return fp_host64(a) > fp_host64(b) ? a : b;
    return f64_max(fp, a, b);
}
FOUR_FORMS(min, min32, min64)
FOUR_FORMS(max, max32, max64)

static inline enum fp_relation relation32(struct fp_env *fp, uint32_t a, uint32_t b, bool signaling)
{
    if (FP_FAST_HOST && fp_fast32_comparable(a) && fp_fast32_comparable(b))
        return fp_host32(a) < fp_host32(b)    ? FP_LESS
               : fp_host32(a) == fp_host32(b) ? FP_EQUAL : FP_GREATER;
    return f32_compare(fp, a, b, signaling);
}
static inline enum fp_relation relation64(struct fp_env *fp, uint64_t a, uint64_t b, bool signaling)
{
    if (FP_FAST_HOST && fp_fast64_comparable(a) && fp_fast64_comparable(b))
        return fp_host64(a) < fp_host64(b)    ? FP_LESS
               : fp_host64(a) == fp_host64(b) ? FP_EQUAL : FP_GREATER;
    return f64_compare(fp, a, b, signaling);
}

/* EQ LT LE UNORD, and their opposites; LT and LE signal for quiet NaNs. */
static inline bool predicate(enum fp_relation r, uint8_t imm)
{
    bool v;

    switch (imm & 3) {
    case 0: v = r == FP_EQUAL; break;
    case 1: v = r == FP_LESS; break;
    case 2: v = r == FP_LESS || r == FP_EQUAL; break;
    default: v = r == FP_UNORDERED; break;
    }
    return v != ((imm & 4) != 0);
}
static inline bool predicate_signals(uint8_t imm)
{
    return (imm & 3) == 1 || (imm & 3) == 2;
}
static inline uint32_t cmp32(struct fp_env *fp, uint32_t a, uint32_t b, uint8_t imm)
{
    return -(uint32_t)predicate(relation32(fp, a, b, predicate_signals(imm)), imm);
}
static inline uint64_t cmp64(struct fp_env *fp, uint64_t a, uint64_t b, uint8_t imm)
{
    return -(uint64_t)predicate(relation64(fp, a, b, predicate_signals(imm)), imm);
}
FOUR_FORMS(cmp, cmp32, cmp64)

/* ROUNDPS: imm 1:0 rounding, 2: that of MXCSR instead, 3: PE is suppressed. */
static inline uint32_t round32(struct fp_env *fp, uint32_t a, uint32_t b, uint8_t imm)
{
    struct fp_env e = *fp;

    (void)a;
    if ((imm & 4) == 0)
        e.rounding = imm & 3;
    uint32_t r = f32_round_to_integral(&e, b);
    fp->flags |= (uint8_t)(imm & 8 ? (e.flags & ~FP_PE) : e.flags);
    return r;
}
static inline uint64_t round64(struct fp_env *fp, uint64_t a, uint64_t b, uint8_t imm)
{
    struct fp_env e = *fp;

    (void)a;
    if ((imm & 4) == 0)
        e.rounding = imm & 3;
    uint64_t r = f64_round_to_integral(&e, b);
    fp->flags |= (uint8_t)(imm & 8 ? (e.flags & ~FP_PE) : e.flags);
    return r;
}
FOUR_FORMS(round, round32, round64)

FOUR_FORMS(sqrt_soft_, sqrt32, sqrt64) /* when fp_fast.h declines */

#define SQRT(form, w, t, f, n)                                                                     \
    SIMD_KERNEL(k_sqrt##form)                                                                      \
    {                                                                                              \
        const union xmm b = *src;                                                                  \
        union xmm r = *dst;                                                                        \
        bool ok = fp_fast_allowed(env->mxcsr);                                                     \
        for (unsigned i = 0; ok && i < (n); i++)                                                   \
            ok = fp_fast##w##_sqrt(b.f[i], &r.f[i]);                                               \
        if (ok)                                                                                    \
            *dst = r;                                                                              \
        else                                                                                       \
            k_sqrt_soft_##form(env, dst, src, imm);                                                \
    }
SQRT(ps, 32, uint32_t, d, 4)
SQRT(pd, 64, uint64_t, q, 2)
SQRT(ss, 32, uint32_t, d, 1)
SQRT(sd, 64, uint64_t, q, 1)

/* --- approximations: no exceptions --- */
#define APPROXIMATION(name)                                                                        \
    SIMD_KERNEL(k_##name##ps)                                                                      \
    {                                                                                              \
        (void)env, (void)imm;                                                                      \
        for (unsigned i = 0; i < 4; i++)                                                           \
            dst->d[i] = f32_##name##_approx(src->d[i]);                                            \
    }                                                                                              \
    SIMD_KERNEL(k_##name##ss)                                                                      \
    {                                                                                              \
        (void)env, (void)imm;                                                                      \
        dst->d[0] = f32_##name##_approx(src->d[0]);                                                \
    }
APPROXIMATION(rcp)
APPROXIMATION(rsqrt)

/* --- comparison to EFLAGS: unordered sets ZF, PF, CF; OF, SF, AF are cleared --- */
static const uint8_t comis_flags[] = {
    [FP_LESS] = FL_CF, [FP_EQUAL] = FL_ZF, [FP_GREATER] = 0, [FP_UNORDERED] = FL_ZF | FL_PF | FL_CF};

#define COMIS(name, w, f, signaling)                                                               \
    SIMD_KERNEL(k_##name)                                                                          \
    {                                                                                              \
        struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);                                          \
        (void)imm;                                                                                 \
        env->eflags = comis_flags[relation##w(&fp, dst->f[0], src->f[0], signaling)];              \
        finish(env, &fp);                                                                          \
    }
COMIS(comiss, 32, d, true)
COMIS(comisd, 64, q, true)
COMIS(ucomiss, 32, d, false)
COMIS(ucomisd, 64, q, false)

/* --- conversions --- */
#define CONVERT(name, body)                                                                        \
    SIMD_KERNEL(k_##name)                                                                          \
    {                                                                                              \
        const union xmm b = *src;                                                                  \
        struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);                                          \
        union xmm r = *dst;                                                                        \
        (void)imm;                                                                                 \
        body;                                                                                      \
        *dst = r;                                                                                  \
        finish(env, &fp);                                                                          \
    }
#define EACH(n) for (unsigned i = 0; i < (n); i++)

CONVERT(cvtps2pd, EACH(2) r.q[i] = f32_to_f64(&fp, b.d[i]))
CONVERT(cvtpd2ps, EACH(2) r.d[i] = f64_to_f32(&fp, b.q[i]); r.q[1] = 0)
CONVERT(cvtdq2pd, EACH(2) r.q[i] = f64_from_i64(&fp, b.id[i]))
CONVERT(cvtdq2ps, EACH(4) r.d[i] = f32_from_i64(&fp, b.id[i]))
CONVERT(cvtps2dq, EACH(4) r.d[i] = f32_to_i32(&fp, b.d[i], fp.rounding))
CONVERT(cvttps2dq, EACH(4) r.d[i] = f32_to_i32(&fp, b.d[i], FP_TRUNCATE))
CONVERT(cvtpd2dq, EACH(2) r.d[i] = f64_to_i32(&fp, b.q[i], fp.rounding); r.q[1] = 0)
CONVERT(cvttpd2dq, EACH(2) r.d[i] = f64_to_i32(&fp, b.q[i], FP_TRUNCATE); r.q[1] = 0)
/* MMX operands are in q[0]: r.d[0..1] on either side */
CONVERT(cvtpi2ps, EACH(2) r.d[i] = f32_from_i64(&fp, b.id[i]))
CONVERT(cvtps2pi, EACH(2) r.d[i] = f32_to_i32(&fp, b.d[i], fp.rounding))
CONVERT(cvttps2pi, EACH(2) r.d[i] = f32_to_i32(&fp, b.d[i], FP_TRUNCATE))
CONVERT(cvtsi2ss, r.d[0] = f32_from_i64(&fp, b.iq[0]))
CONVERT(cvtss2si, r.q[0] = f32_to_i32(&fp, b.d[0], fp.rounding))
CONVERT(cvtsd2si, r.q[0] = f64_to_i32(&fp, b.q[0], fp.rounding))
CONVERT(cvtss2si_64, r.q[0] = f32_to_i64(&fp, b.d[0], fp.rounding))
CONVERT(cvtsd2si_64, r.q[0] = f64_to_i64(&fp, b.q[0], fp.rounding))

/* With a short cut for what is exact, or inexact with PE set. */
#define CONVERT_FAST(name, fast_call, from, type, soft)                                            \
    SIMD_KERNEL(k_##name)                                                                          \
    {                                                                                              \
        type v;                                                                                    \
        (void)imm;                                                                                 \
        if (fp_fast_allowed(env->mxcsr) && fast_call(src->from[0], &v)) {                          \
            CONVERT_STORE_##name;                                                                  \
            return;                                                                                \
        }                                                                                          \
        struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);                                          \
        v = soft;                                                                                  \
        CONVERT_STORE_##name;                                                                      \
        finish(env, &fp);                                                                          \
    }
#define CONVERT_STORE_cvtss2sd dst->q[0] = v
#define CONVERT_STORE_cvtsd2ss dst->d[0] = v
#define CONVERT_STORE_cvttss2si dst->q[0] = v
#define CONVERT_STORE_cvttsd2si dst->q[0] = v
#define CONVERT_STORE_cvttss2si_64 dst->q[0] = v
#define CONVERT_STORE_cvttsd2si_64 dst->q[0] = v
CONVERT_FAST(cvtss2sd, fp_fast_32_to_64, d, uint64_t, f32_to_f64(&fp, src->d[0]))
CONVERT_FAST(cvtsd2ss, fp_fast_64_to_32, q, uint32_t, f64_to_f32(&fp, src->q[0]))
CONVERT_FAST(cvttss2si, fp_fast32_to_i32, d, uint32_t, f32_to_i32(&fp, src->d[0], FP_TRUNCATE))
CONVERT_FAST(cvttsd2si, fp_fast64_to_i32, q, uint32_t, f64_to_i32(&fp, src->q[0], FP_TRUNCATE))
CONVERT_FAST(cvttss2si_64, fp_fast32_to_i64, d, uint64_t, f32_to_i64(&fp, src->d[0], FP_TRUNCATE))
CONVERT_FAST(cvttsd2si_64, fp_fast64_to_i64, q, uint64_t, f64_to_i64(&fp, src->q[0], FP_TRUNCATE))

SIMD_KERNEL(k_cvtsi2sd)
{
    int64_t v = src->iq[0];

    (void)imm;
    /* 53 bits are exact in every mode */
    if (FP_FAST_HOST && v >= -((int64_t)1 << 53) && v <= (int64_t)1 << 53) {
        dst->q[0] = fp_bits64((double)v);
        return;
    }
    struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);
    dst->q[0] = f64_from_i64(&fp, v);
    finish(env, &fp);
}

/* --- SSE3: horizontal and alternating --- */
#define HORIZONTAL(name, op)                                                                       \
    SIMD_KERNEL(k_##name##ps)                                                                      \
    {                                                                                              \
        const union xmm a = *dst, b = *src;                                                        \
        struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);                                          \
        (void)imm;                                                                                 \
        EACH(2) dst->d[i] = f32_##op(&fp, a.d[2 * i], a.d[2 * i + 1]);                             \
        EACH(2) dst->d[2 + i] = f32_##op(&fp, b.d[2 * i], b.d[2 * i + 1]);                         \
        finish(env, &fp);                                                                          \
    }                                                                                              \
    SIMD_KERNEL(k_##name##pd)                                                                      \
    {                                                                                              \
        const union xmm a = *dst, b = *src;                                                        \
        struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);                                          \
        (void)imm;                                                                                 \
        dst->q[0] = f64_##op(&fp, a.q[0], a.q[1]);                                                 \
        dst->q[1] = f64_##op(&fp, b.q[0], b.q[1]);                                                 \
        finish(env, &fp);                                                                          \
    }
HORIZONTAL(hadd, add)
HORIZONTAL(hsub, sub)

SIMD_KERNEL(k_addsubps)
{
    const union xmm a = *dst, b = *src;
    struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);

    (void)imm;
    EACH(4) dst->d[i] = i & 1 ? f32_add(&fp, a.d[i], b.d[i]) : f32_sub(&fp, a.d[i], b.d[i]);
    finish(env, &fp);
}
SIMD_KERNEL(k_addsubpd)
{
    const union xmm a = *dst, b = *src;
    struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);

    (void)imm;
    dst->q[0] = f64_sub(&fp, a.q[0], b.q[0]);
    dst->q[1] = f64_add(&fp, a.q[1], b.q[1]);
    finish(env, &fp);
}

/*
 * Dot products: products of the elements that imm[7:4] names, zeros for the others, summed in pairs.
 * Each of the steps rounds, and raises exceptions of its own; an unmasked one ends the instruction.
 */
static bool step_done(struct simd_env *env, struct fp_env *fp)
{
    finish(env, fp);
    bool stop = (fp->flags & ~fp->masked & FP_ALL) != 0;
    fp->flags = 0;
    return !stop;
}

SIMD_KERNEL(k_dpps)
{
    const union xmm a = *dst, b = *src;
    struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);
    uint32_t p[4];

    EACH(4) p[i] = (imm >> (4 + i)) & 1 ? f32_mul(&fp, a.d[i], b.d[i]) : 0;
    if (!step_done(env, &fp))
        return;
    uint32_t lo = f32_add(&fp, p[0], p[1]), hi = f32_add(&fp, p[2], p[3]);
    if (!step_done(env, &fp))
        return;
    uint32_t sum = f32_add(&fp, lo, hi);
    EACH(4) dst->d[i] = (imm >> i) & 1 ? sum : 0;
    finish(env, &fp);
}

SIMD_KERNEL(k_dppd)
{
    const union xmm a = *dst, b = *src;
    struct fp_env fp = fp_env_from_mxcsr(env->mxcsr);
    uint64_t p[2];

    EACH(2) p[i] = (imm >> (4 + i)) & 1 ? f64_mul(&fp, a.q[i], b.q[i]) : 0;
    if (!step_done(env, &fp))
        return;
    uint64_t sum = f64_add(&fp, p[0], p[1]);
    EACH(2) dst->q[i] = (imm >> i) & 1 ? sum : 0;
    finish(env, &fp);
}
