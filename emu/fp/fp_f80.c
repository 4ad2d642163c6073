/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic in the x87's 80-bit format (Intel SDM vol. 1, chapters 4 and 8).
 *
 * Unnormals, pseudo-infinities and pseudo-NaNs are unsupported and raise IE, as on the 387 and later;
 * a pseudo-denormal counts as the denormal that it is worth. Precision control narrows the
 * significand of sums, products, quotients and roots, never the exponent's range.
 */
#include "fp_internal.h"

#define EXP_MAX 0x7fff

struct fp_num f80_unpack(struct f80 a)
{
    struct fp_num n = {.sig = a.sig, .sign = a.se >> 15, .cls = FP_CLASS_FINITE};
    int exp = a.se & EXP_MAX;

    if (exp == EXP_MAX) {
        if ((a.sig & FP_TOP) == 0)
            n.cls = FP_CLASS_UNSUPPORTED;
        else if (a.sig == FP_TOP)
            n.cls = FP_CLASS_INF;
        else
            n.cls = a.sig & FP_QUIET_BIT ? FP_CLASS_QNAN : FP_CLASS_SNAN;
    } else if (exp != 0) {
        n.exp = exp - 16383;
        if ((a.sig & FP_TOP) == 0)
            n.cls = FP_CLASS_UNSUPPORTED;
    } else if (a.sig == 0) {
        n.cls = FP_CLASS_ZERO;
    } else {
        int shift = __builtin_clzll(a.sig);
        n.sig <<= shift;
        n.exp = -16382 - shift;
        n.denormal = true;
    }
    return n;
}

struct f80 f80_pack(bool sign, struct fp_packed p)
{
    return (struct f80){p.sig, (uint16_t)(p.exp | (sign ? 0x8000 : 0))};
}

struct f80 f80_round_pack(struct fp_env *env, unsigned bits, const struct fp_exact *v)
{
    return f80_pack(v->sign, fp_round(env, &FMT_F80, bits, v));
}

static struct f80 pack_inf(bool sign)
{
    return (struct f80){FP_TOP, (uint16_t)(EXP_MAX | (sign ? 0x8000 : 0))};
}
static struct f80 pack_zero(bool sign)
{
    return (struct f80){0, sign ? 0x8000 : 0};
}

struct f80 f80_invalid(struct fp_env *env)
{
    env->flags |= FP_IE;
    return F80_DEFAULT_NAN;
}

static struct f80 pack_nan(const struct fp_num *n)
{
    return (struct f80){n->sig | FP_QUIET_BIT, (uint16_t)(EXP_MAX | (n->sign ? 0x8000 : 0))};
}

/* Which of two NaNs is returned: SDM vol. 1, table 4-7. */
static const struct fp_num *choose_nan(const struct fp_num *a, const struct fp_num *b)
{
    if (!fp_is_nan(b))
        return a;
    if (!fp_is_nan(a))
        return b;
    if (a->cls != b->cls)
        return a->cls == FP_CLASS_QNAN ? a : b;
    if (a->sig != b->sig)
        return a->sig > b->sig ? a : b;
    return a->sign ? b : a;
}

bool f80_nan_operand(struct fp_env *env, const struct fp_num *a, const struct fp_num *b,
                     struct f80 *result)
{
    env->rounded_up = false;
    if (a->cls == FP_CLASS_UNSUPPORTED || b->cls == FP_CLASS_UNSUPPORTED) {
        *result = f80_invalid(env);
        return true;
    }
    if (!fp_is_nan(a) && !fp_is_nan(b))
        return false;
    if (a->cls == FP_CLASS_SNAN || b->cls == FP_CLASS_SNAN)
        env->flags |= FP_IE;
    *result = pack_nan(choose_nan(a, b));
    return true;
}

static void denormal_operands(struct fp_env *env, const struct fp_num *a, const struct fp_num *b)
{
    if (a->denormal || b->denormal)
        env->flags |= FP_DE;
}

/* An unmasked denormal operand stops the operation before it has a result of its own. */
static bool stopped(const struct fp_env *env)
{
    return (env->flags & ~env->masked & FP_DE) != 0;
}

static struct f80 add(struct fp_env *env, struct f80 a, struct f80 b, bool sub)
{
    struct fp_num na = f80_unpack(a), nb = f80_unpack(b);
    struct f80 result;

    if (f80_nan_operand(env, &na, &nb, &result))
        return result;
    nb.sign ^= sub;
    if (na.cls == FP_CLASS_INF && nb.cls == FP_CLASS_INF && na.sign != nb.sign)
        return f80_invalid(env);
    denormal_operands(env, &na, &nb);
    if (na.cls == FP_CLASS_INF || nb.cls == FP_CLASS_INF)
        return pack_inf(na.cls == FP_CLASS_INF ? na.sign : nb.sign);
    bool zero_sign = na.sign == nb.sign ? na.sign : env->rounding == FP_DOWN;
    if (stopped(env) || (na.cls == FP_CLASS_ZERO && nb.cls == FP_CLASS_ZERO))
        return pack_zero(zero_sign);
    struct fp_exact v = na.cls == FP_CLASS_ZERO ? fp_widen(&nb)
                        : nb.cls == FP_CLASS_ZERO ? fp_widen(&na) : fp_sum(&na, &nb);
    if (v.sig == 0)
        return pack_zero(zero_sign);
    return f80_round_pack(env, env->precision, &v);
}

struct f80 f80_add(struct fp_env *env, struct f80 a, struct f80 b)
{
    return add(env, a, b, false);
}

struct f80 f80_sub(struct fp_env *env, struct f80 a, struct f80 b)
{
    return add(env, a, b, true);
}

struct f80 f80_mul(struct fp_env *env, struct f80 a, struct f80 b)
{
    struct fp_num na = f80_unpack(a), nb = f80_unpack(b);
    bool sign = na.sign != nb.sign;
    bool inf = na.cls == FP_CLASS_INF || nb.cls == FP_CLASS_INF;
    bool zero = na.cls == FP_CLASS_ZERO || nb.cls == FP_CLASS_ZERO;
    struct f80 result;

    if (f80_nan_operand(env, &na, &nb, &result))
        return result;
    if (inf && zero)
        return f80_invalid(env);
    denormal_operands(env, &na, &nb);
    if (inf)
        return pack_inf(sign);
    if (zero || stopped(env))
        return pack_zero(sign);
    struct fp_exact v = fp_product(&na, &nb);
    return f80_round_pack(env, env->precision, &v);
}

struct f80 f80_div(struct fp_env *env, struct f80 a, struct f80 b)
{
    struct fp_num na = f80_unpack(a), nb = f80_unpack(b);
    bool sign = na.sign != nb.sign;
    struct f80 result;

    if (f80_nan_operand(env, &na, &nb, &result))
        return result;
    if (na.cls == nb.cls && na.cls != FP_CLASS_FINITE)
        return f80_invalid(env); /* 0/0, inf/inf */
    if (nb.cls == FP_CLASS_ZERO && na.cls == FP_CLASS_FINITE) {
        env->flags |= FP_ZE;
        return pack_inf(sign);
    }
    denormal_operands(env, &na, &nb);
    if (na.cls == FP_CLASS_INF || nb.cls == FP_CLASS_ZERO)
        return pack_inf(sign);
    if (nb.cls == FP_CLASS_INF || na.cls == FP_CLASS_ZERO || stopped(env))
        return pack_zero(sign);
    struct fp_exact v = fp_quotient(&na, &nb);
    return f80_round_pack(env, env->precision, &v);
}

struct f80 f80_sqrt(struct fp_env *env, struct f80 a)
{
    struct fp_num n = f80_unpack(a);
    struct f80 result;

    if (f80_nan_operand(env, &n, &n, &result))
        return result;
    if (n.cls == FP_CLASS_ZERO)
        return a;
    if (n.sign)
        return f80_invalid(env);
    denormal_operands(env, &n, &n);
    if (n.cls == FP_CLASS_INF || stopped(env))
        return a;
    struct fp_exact v = fp_root(&n);
    return f80_round_pack(env, env->precision, &v);
}

/* |a| mod |b| for exponents at most 63 apart, exact. `a` is replaced; returns the quotient. */
static uint64_t remainder_step(struct fp_num *a, const struct fp_num *b, int distance, bool nearest)
{
    u128 n = a->sig, d = b->sig;

    if (distance < 0) {
        if (distance < -1)
            return 0;
        d <<= 1;
    } else {
        n <<= distance;
    }
    u128 q = n / d, rest = n % d;
    if (nearest && (rest << 1 > d || (rest << 1 == d && (q & 1) != 0))) {
        q++;
        rest = d - rest;
        a->sign = !a->sign;
    }
    int exp = distance < 0 ? a->exp : b->exp;
    if (rest == 0) {
        a->cls = FP_CLASS_ZERO;
    } else {
        /* at most 65 bits, and the lowest is 0 when there are 65 */
        int shift = fp_clz128(rest) - 64;
        a->sig = shift < 0 ? (uint64_t)(rest >> -shift) : (uint64_t)rest << shift;
        a->exp = exp - shift;
    }
    return (uint64_t)q;
}

static struct f80 finish_exact(struct fp_env *env, const struct fp_num *n)
{
    if (n->cls == FP_CLASS_ZERO)
        return pack_zero(n->sign);
    struct fp_exact v = fp_widen(n);
    return f80_round_pack(env, 64, &v);
}

struct f80 f80_rem(struct fp_env *env, struct f80 a, struct f80 b, bool nearest,
                   unsigned *quotient, bool *partial)
{
    struct fp_num na = f80_unpack(a), nb = f80_unpack(b);
    struct f80 result;

    *quotient = 0;
    *partial = false;
    if (f80_nan_operand(env, &na, &nb, &result))
        return result;
    if (na.cls == FP_CLASS_INF || nb.cls == FP_CLASS_ZERO)
        return f80_invalid(env);
    denormal_operands(env, &na, &nb);
    if (na.cls == FP_CLASS_ZERO || stopped(env))
        return a;
    if (nb.cls == FP_CLASS_INF)
        return finish_exact(env, &na);

    int distance = na.exp - nb.exp;
    if (distance < 64) {
        bool sign = na.sign;
        *quotient = remainder_step(&na, &nb, distance, nearest) & 7;
        if (na.cls == FP_CLASS_ZERO)
            na.sign = sign;
    } else {
        /* takes 32..63 bits off the distance, as processors do */
        *partial = true;
        nb.exp += distance - ((distance & 31) | 32);
        remainder_step(&na, &nb, na.exp - nb.exp, false);
    }
    return finish_exact(env, &na);
}

struct f80 f80_round_to_integral(struct fp_env *env, struct f80 a)
{
    struct fp_num n = f80_unpack(a);
    bool fits, inexact, up;
    struct f80 result;

    if (f80_nan_operand(env, &n, &n, &result))
        return result;
    denormal_operands(env, &n, &n);
    if (n.cls != FP_CLASS_FINITE || n.exp >= 63 || stopped(env))
        return a;
    uint64_t m = fp_to_magnitude(&n, env->rounding, &fits, &inexact, &up);
    if (inexact)
        env->flags |= FP_PE;
    env->rounded_up = up;
    if (m == 0)
        return pack_zero(n.sign);
    int shift = __builtin_clzll(m);
    return (struct f80){m << shift, (uint16_t)((63 - shift + 16383) | (n.sign ? 0x8000 : 0))};
}

static struct f80 scale_special(struct fp_env *env, struct f80 a, const struct fp_num *na,
                                const struct fp_num *nb)
{
    if (nb->cls == FP_CLASS_INF) {
        if (na->cls == (nb->sign ? FP_CLASS_INF : FP_CLASS_ZERO))
            return f80_invalid(env); /* inf * 2^-inf, 0 * 2^inf */
        denormal_operands(env, na, nb);
        return nb->sign ? pack_zero(na->sign) : pack_inf(na->sign);
    }
    denormal_operands(env, na, nb);
    return a;
}

struct f80 f80_scale(struct fp_env *env, struct f80 a, struct f80 b)
{
    struct fp_num na = f80_unpack(a), nb = f80_unpack(b);
    bool fits, inexact, up;
    struct f80 result;

    if (f80_nan_operand(env, &na, &nb, &result))
        return result;
    if (nb.cls == FP_CLASS_INF || na.cls != FP_CLASS_FINITE)
        return scale_special(env, a, &na, &nb);
    denormal_operands(env, &na, &nb);
    if (stopped(env))
        return a;
    uint64_t m = fp_to_magnitude(&nb, FP_TRUNCATE, &fits, &inexact, &up);
    int by = !fits || m > 0x20000 ? 0x20000 : (int)m;
    struct fp_exact v = fp_widen(&na);
    v.exp += nb.sign ? -by : by;
    return f80_round_pack(env, 64, &v);
}

struct f80 f80_extract(struct fp_env *env, struct f80 a, struct f80 *significand)
{
    struct fp_num n = f80_unpack(a);
    struct f80 result;

    *significand = a;
    if (f80_nan_operand(env, &n, &n, &result)) {
        *significand = result;
        return result;
    }
    if (n.cls == FP_CLASS_ZERO) {
        env->flags |= FP_ZE;
        return pack_inf(true);
    }
    if (n.cls == FP_CLASS_INF)
        return pack_inf(false);
    denormal_operands(env, &n, &n);
    *significand = (struct f80){n.sig, (uint16_t)(16383 | (n.sign ? 0x8000 : 0))};
    return f80_from_i64(n.exp);
}

enum fp_relation f80_compare(struct fp_env *env, struct f80 a, struct f80 b, bool signaling)
{
    struct fp_num na = f80_unpack(a), nb = f80_unpack(b);

    env->rounded_up = false;
    if (na.cls > FP_CLASS_INF || nb.cls > FP_CLASS_INF) {
        if (signaling || na.cls > FP_CLASS_QNAN || nb.cls > FP_CLASS_QNAN)
            env->flags |= FP_IE;
        return FP_UNORDERED;
    }
    denormal_operands(env, &na, &nb);
    return fp_order(&na, &nb);
}

enum f80_class f80_classify(struct f80 a)
{
    struct fp_num n = f80_unpack(a);

    switch (n.cls) {
    case FP_CLASS_ZERO: return F80_ZERO;
    case FP_CLASS_INF: return F80_INFINITY;
    case FP_CLASS_QNAN:
    case FP_CLASS_SNAN: return F80_NAN;
    case FP_CLASS_FINITE: return n.denormal ? F80_DENORMAL : F80_NORMAL;
    default: return F80_UNSUPPORTED;
    }
}
