/* SPDX-License-Identifier: MIT */
/*
 * binary32 and binary64 with the semantics of SSE (Intel SDM vol. 1, 11.5).
 *
 * Each operation is written once, inlined with a constant layout for the two widths. Order of checks:
 * signalling NaN, quiet NaN, other invalid operations and division by zero, denormal operands, and
 * then the operation with its overflow, underflow and inexactness (SDM vol. 1, table 4-10).
 */
#include "fp_internal.h"

struct layout {
    struct fp_format fmt;
    unsigned width;
    unsigned frac;      /* fraction bits as stored */
    uint64_t default_nan;
};
#define LAYOUT_F32 ((struct layout){FMT_F32, 32, 23, F32_DEFAULT_NAN})
#define LAYOUT_F64 ((struct layout){FMT_F64, 64, 52, F64_DEFAULT_NAN})

FP_INLINE uint64_t sign_bit(struct layout l)
{
    return (uint64_t)1 << (l.width - 1);
}

FP_INLINE struct fp_num unpack_raw(struct layout l, uint64_t a)
{
    struct fp_num n = {.sign = (a >> (l.width - 1)) & 1, .cls = FP_CLASS_FINITE};
    uint64_t frac = a & (((uint64_t)1 << l.frac) - 1);
    unsigned exp = (unsigned)(a >> l.frac) & (unsigned)(2 * l.fmt.emax + 1);

    n.sig = frac << (63 - l.frac);
    if (exp == 0) {
        if (frac == 0) {
            n.cls = FP_CLASS_ZERO;
            return n;
        }
        int shift = __builtin_clzll(n.sig);
        n.sig <<= shift;
        n.exp = l.fmt.emin - shift;
        n.denormal = true;
    } else if (exp == (unsigned)(2 * l.fmt.emax + 1)) {
        n.cls = frac == 0 ? FP_CLASS_INF : n.sig & FP_QUIET_BIT ? FP_CLASS_QNAN : FP_CLASS_SNAN;
        n.sig |= FP_TOP;
    } else {
        n.sig |= FP_TOP;
        n.exp = (int32_t)exp - l.fmt.emax;
    }
    return n;
}

FP_INLINE struct fp_num unpack(const struct fp_env *env, struct layout l, uint64_t a)
{
    struct fp_num n = unpack_raw(l, a);

    if (env->daz && n.denormal)
        n = (struct fp_num){.cls = FP_CLASS_ZERO, .sign = n.sign};
    return n;
}

FP_INLINE uint64_t pack(struct layout l, bool sign, struct fp_packed p)
{
    uint64_t frac = (p.sig & ~FP_TOP) >> (63 - l.frac);

    return (sign ? sign_bit(l) : 0) | ((uint64_t)p.exp << l.frac) | frac;
}
FP_INLINE uint64_t pack_inf(struct layout l, bool sign)
{
    return pack(l, sign, (struct fp_packed){FP_TOP, 2 * l.fmt.emax + 1});
}
FP_INLINE uint64_t pack_zero(struct layout l, bool sign)
{
    return sign ? sign_bit(l) : 0;
}
FP_INLINE uint64_t quieted(struct layout l, uint64_t a)
{
    return a | ((uint64_t)1 << (l.frac - 1));
}
FP_INLINE uint64_t invalid(struct fp_env *env, struct layout l)
{
    env->flags |= FP_IE;
    return l.default_nan;
}
FP_INLINE uint64_t finish(struct fp_env *env, struct layout l, struct fp_exact v)
{
    return pack(l, v.sign, fp_round(env, &l.fmt, l.fmt.bits, &v));
}

/* NaN operands of a two-operand instruction; true when *result is the answer. */
FP_INLINE bool nan_operand(struct fp_env *env, struct layout l, uint64_t a, uint64_t b,
                           const struct fp_num *na, const struct fp_num *nb, uint64_t *result)
{
    if (!fp_is_nan(na) && !fp_is_nan(nb))
        return false;
    if (na->cls == FP_CLASS_SNAN || nb->cls == FP_CLASS_SNAN)
        env->flags |= FP_IE;
    *result = quieted(l, fp_is_nan(na) ? a : b);
    return true;
}

FP_INLINE uint64_t ieee_add(struct fp_env *env, struct layout l, uint64_t a, uint64_t b, bool sub)
{
    struct fp_num na = unpack(env, l, a), nb = unpack(env, l, b);
    uint64_t result;

    if (nan_operand(env, l, a, b, &na, &nb, &result))
        return result;
    nb.sign ^= sub;
    if (na.cls == FP_CLASS_INF && nb.cls == FP_CLASS_INF && na.sign != nb.sign)
        return invalid(env, l);
    if (na.denormal || nb.denormal)
        env->flags |= FP_DE;
    if (na.cls == FP_CLASS_INF || nb.cls == FP_CLASS_INF)
        return pack_inf(l, na.cls == FP_CLASS_INF ? na.sign : nb.sign);
    bool zero_sign = na.sign == nb.sign ? na.sign : env->rounding == FP_DOWN;
    if (na.cls == FP_CLASS_ZERO && nb.cls == FP_CLASS_ZERO)
        return pack_zero(l, zero_sign);
    struct fp_exact v = na.cls == FP_CLASS_ZERO ? fp_widen(&nb)
                        : nb.cls == FP_CLASS_ZERO ? fp_widen(&na) : fp_sum(&na, &nb);
    if (v.sig == 0)
        return pack_zero(l, zero_sign);
    return finish(env, l, v);
}

FP_INLINE uint64_t ieee_mul(struct fp_env *env, struct layout l, uint64_t a, uint64_t b)
{
    struct fp_num na = unpack(env, l, a), nb = unpack(env, l, b);
    bool sign = na.sign != nb.sign;
    bool inf = na.cls == FP_CLASS_INF || nb.cls == FP_CLASS_INF;
    bool zero = na.cls == FP_CLASS_ZERO || nb.cls == FP_CLASS_ZERO;
    uint64_t result;

    if (nan_operand(env, l, a, b, &na, &nb, &result))
        return result;
    if (inf && zero)
        return invalid(env, l);
    if (na.denormal || nb.denormal)
        env->flags |= FP_DE;
    if (inf)
        return pack_inf(l, sign);
    if (zero)
        return pack_zero(l, sign);
    return finish(env, l, fp_product(&na, &nb));
}

FP_INLINE uint64_t ieee_div(struct fp_env *env, struct layout l, uint64_t a, uint64_t b)
{
    struct fp_num na = unpack(env, l, a), nb = unpack(env, l, b);
    bool sign = na.sign != nb.sign;
    uint64_t result;

    if (nan_operand(env, l, a, b, &na, &nb, &result))
        return result;
    if (na.cls == nb.cls && na.cls != FP_CLASS_FINITE)
        return invalid(env, l); /* 0/0, inf/inf */
    if (nb.cls == FP_CLASS_ZERO && na.cls == FP_CLASS_FINITE) {
        env->flags |= FP_ZE;
        return pack_inf(l, sign);
    }
    if (na.denormal || nb.denormal)
        env->flags |= FP_DE;
    if (na.cls == FP_CLASS_INF || nb.cls == FP_CLASS_ZERO)
        return pack_inf(l, sign);
    if (nb.cls == FP_CLASS_INF || na.cls == FP_CLASS_ZERO)
        return pack_zero(l, sign);
    return finish(env, l, fp_quotient(&na, &nb));
}

FP_INLINE uint64_t ieee_sqrt(struct fp_env *env, struct layout l, uint64_t a)
{
    struct fp_num n = unpack(env, l, a);
    uint64_t result;

    if (nan_operand(env, l, a, a, &n, &n, &result))
        return result;
    if (n.cls == FP_CLASS_ZERO)
        return pack_zero(l, n.sign);
    if (n.sign)
        return invalid(env, l);
    if (n.denormal)
        env->flags |= FP_DE;
    if (n.cls == FP_CLASS_INF)
        return a;
    return finish(env, l, fp_root(&n));
}

FP_INLINE enum fp_relation ieee_compare(struct fp_env *env, struct layout l, uint64_t a, uint64_t b,
                                        bool signaling)
{
    struct fp_num na = unpack(env, l, a), nb = unpack(env, l, b);

    if (fp_is_nan(&na) || fp_is_nan(&nb)) {
        if (signaling || na.cls == FP_CLASS_SNAN || nb.cls == FP_CLASS_SNAN)
            env->flags |= FP_IE;
        return FP_UNORDERED;
    }
    if (na.denormal || nb.denormal)
        env->flags |= FP_DE;
    return fp_order(&na, &nb);
}

/* Returns an operand: with DAZ a denormal one comes back as the zero it counts as. */
FP_INLINE uint64_t ieee_pick(struct fp_env *env, struct layout l, uint64_t a, uint64_t b,
                             enum fp_relation a_if)
{
    uint64_t r = ieee_compare(env, l, a, b, true) == a_if ? a : b;

    if (env->daz && unpack_raw(l, r).denormal)
        r &= sign_bit(l);
    return r;
}

FP_INLINE uint64_t ieee_round(struct fp_env *env, struct layout l, uint64_t a)
{
    struct fp_num n = unpack(env, l, a);
    bool fits, inexact, up;
    uint64_t result;

    if (nan_operand(env, l, a, a, &n, &n, &result))
        return result;
    if (n.cls == FP_CLASS_ZERO)
        return pack_zero(l, n.sign);
    if (n.cls == FP_CLASS_INF || n.exp >= (int)l.frac)
        return a;
    uint64_t m = fp_to_magnitude(&n, env->rounding, &fits, &inexact, &up);
    if (inexact)
        env->flags |= FP_PE;
    if (m == 0)
        return pack_zero(l, n.sign);
    struct fp_num i = fp_num_from_u64(n.sign, m);
    return finish(env, l, fp_widen(&i));
}

FP_INLINE uint64_t ieee_to_int(struct fp_env *env, struct layout l, uint64_t a, unsigned bits,
                               enum fp_rounding rounding)
{
    struct fp_num n = unpack(env, l, a);
    uint64_t limit = (uint64_t)1 << (bits - 1);
    bool fits = true, inexact, up;
    uint64_t m = 0;

    if (n.cls > FP_CLASS_FINITE)
        fits = false;
    else
        m = fp_to_magnitude(&n, rounding, &fits, &inexact, &up);
    if (!fits || m > limit - !n.sign) {
        env->flags |= FP_IE;
        return limit;
    }
    if (inexact)
        env->flags |= FP_PE;
    return n.sign ? -m : m;
}

FP_INLINE uint64_t ieee_from_int(struct fp_env *env, struct layout l, int64_t v)
{
    struct fp_num n = fp_num_from_u64(v < 0, v < 0 ? -(uint64_t)v : (uint64_t)v);

    if (n.cls == FP_CLASS_ZERO)
        return 0;
    return finish(env, l, fp_widen(&n));
}

FP_INLINE uint64_t ieee_convert(struct fp_env *env, struct layout from, struct layout to, uint64_t a)
{
    struct fp_num n = unpack(env, from, a);

    if (n.cls == FP_CLASS_SNAN)
        env->flags |= FP_IE;
    if (fp_is_nan(&n))
        return pack(to, n.sign, (struct fp_packed){n.sig | FP_QUIET_BIT, 2 * to.fmt.emax + 1});
    if (n.cls == FP_CLASS_INF)
        return pack_inf(to, n.sign);
    if (n.cls == FP_CLASS_ZERO)
        return pack_zero(to, n.sign);
    if (n.denormal)
        env->flags |= FP_DE;
    return finish(env, to, fp_widen(&n));
}

#define DEFINE_BINARY(f, t, L)                                                                     \
    t f##_add(struct fp_env *env, t a, t b)                                                        \
    {                                                                                              \
        return (t)ieee_add(env, L, a, b, false);                                                   \
    }                                                                                              \
    t f##_sub(struct fp_env *env, t a, t b)                                                        \
    {                                                                                              \
        return (t)ieee_add(env, L, a, b, true);                                                    \
    }                                                                                              \
    t f##_mul(struct fp_env *env, t a, t b)                                                        \
    {                                                                                              \
        return (t)ieee_mul(env, L, a, b);                                                          \
    }                                                                                              \
    t f##_div(struct fp_env *env, t a, t b)                                                        \
    {                                                                                              \
        return (t)ieee_div(env, L, a, b);                                                          \
    }                                                                                              \
    t f##_min(struct fp_env *env, t a, t b)                                                        \
    {                                                                                              \
        return (t)ieee_pick(env, L, a, b, FP_LESS);                                                \
    }                                                                                              \
    t f##_max(struct fp_env *env, t a, t b)                                                        \
    {                                                                                              \
        return (t)ieee_pick(env, L, a, b, FP_GREATER);                                             \
    }                                                                                              \
    enum fp_relation f##_compare(struct fp_env *env, t a, t b, bool signaling)                     \
    {                                                                                              \
        return ieee_compare(env, L, a, b, signaling);                                              \
    }
#define DEFINE_UNARY(f, t, L)                                                                      \
    t f##_sqrt(struct fp_env *env, t a)                                                            \
    {                                                                                              \
        return (t)ieee_sqrt(env, L, a);                                                            \
    }                                                                                              \
    t f##_round_to_integral(struct fp_env *env, t a)                                               \
    {                                                                                              \
        return (t)ieee_round(env, L, a);                                                           \
    }                                                                                              \
    uint32_t f##_to_i32(struct fp_env *env, t a, enum fp_rounding rounding)                        \
    {                                                                                              \
        return (uint32_t)ieee_to_int(env, L, a, 32, rounding);                                     \
    }                                                                                              \
    uint64_t f##_to_i64(struct fp_env *env, t a, enum fp_rounding rounding)                        \
    {                                                                                              \
        return ieee_to_int(env, L, a, 64, rounding);                                               \
    }                                                                                              \
    t f##_from_i64(struct fp_env *env, int64_t v)                                                  \
    {                                                                                              \
        return (t)ieee_from_int(env, L, v);                                                        \
    }
DEFINE_BINARY(f32, uint32_t, LAYOUT_F32)
DEFINE_BINARY(f64, uint64_t, LAYOUT_F64)
DEFINE_UNARY(f32, uint32_t, LAYOUT_F32)
DEFINE_UNARY(f64, uint64_t, LAYOUT_F64)

uint64_t f32_to_f64(struct fp_env *env, uint32_t a)
{
    return ieee_convert(env, LAYOUT_F32, LAYOUT_F64, a);
}

uint32_t f64_to_f32(struct fp_env *env, uint64_t a)
{
    return (uint32_t)ieee_convert(env, LAYOUT_F64, LAYOUT_F32, a);
}

struct fp_num f32_unpack_raw(uint32_t a)
{
    return unpack_raw(LAYOUT_F32, a);
}

struct fp_num f64_unpack_raw(uint64_t a)
{
    return unpack_raw(LAYOUT_F64, a);
}

/* 12 bits, to nearest; results that would be denormal are zeros. */
static uint32_t approximation(const struct fp_exact *v)
{
    struct fp_env env = {.rounding = FP_NEAREST, .masked = FP_ALL, .ftz = true};

    return (uint32_t)pack(LAYOUT_F32, v->sign, fp_round(&env, &LAYOUT_F32.fmt, 12, v));
}

uint32_t f32_rcp_approx(uint32_t a)
{
    static const struct fp_num one = {.sig = FP_TOP, .cls = FP_CLASS_FINITE};
    struct fp_num n = unpack_raw(LAYOUT_F32, a);

    if (fp_is_nan(&n))
        return (uint32_t)quieted(LAYOUT_F32, a);
    if (n.cls == FP_CLASS_INF)
        return (uint32_t)pack_zero(LAYOUT_F32, n.sign);
    if (n.cls == FP_CLASS_ZERO || n.denormal)
        return (uint32_t)pack_inf(LAYOUT_F32, n.sign);
    struct fp_exact v = fp_quotient(&one, &n);
    return approximation(&v);
}

uint32_t f32_rsqrt_approx(uint32_t a)
{
    static const struct fp_num one = {.sig = FP_TOP, .cls = FP_CLASS_FINITE};
    struct fp_num n = unpack_raw(LAYOUT_F32, a);

    if (fp_is_nan(&n))
        return (uint32_t)quieted(LAYOUT_F32, a);
    if (n.cls == FP_CLASS_ZERO || n.denormal)
        return (uint32_t)pack_inf(LAYOUT_F32, n.sign);
    if (n.sign)
        return F32_DEFAULT_NAN;
    if (n.cls == FP_CLASS_INF)
        return 0;
    /* the root of the reciprocal; what the 128-bit quotient leaves out cannot reach bit 12 but by
     * way of a tie, and 1/sqrt(x) of a 24-bit x is never one: its square would need 26 bits at most,
     * and be the reciprocal of a number that is no power of two */
    struct fp_exact r = fp_quotient(&one, &n);
    struct fp_num q = {.sig = (uint64_t)(r.sig >> 64), .exp = r.exp, .cls = FP_CLASS_FINITE};
    struct fp_exact v = fp_root(&q);
    return approximation(&v);
}
