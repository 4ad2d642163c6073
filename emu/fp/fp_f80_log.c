/* SPDX-License-Identifier: MIT */
/*
 * F2XM1, FYL2X and FYL2XP1, by fixed-point series.
 *
 * 2^a - 1 = v E(v) with v = a ln 2 and E(v) = 1 + v/2! + v^2/3! + ... in Q1.127. The logarithm of
 * m in [sqrt(1/2), sqrt(2)) is 2 atanh(s), s = (m - 1)/(m + 1); with its exponent s keeps its relative
 * precision where m is next to 1.
 */
#include "fp_wide.h"

#define EXP_TERMS 26
#define ATANH_TERMS 20

static const struct fp_exact one = {WIDE_TOP, 0, false};

static struct f80 signed_zero(bool sign)
{
    return (struct f80){0, sign ? 0x8000 : 0};
}
static struct f80 signed_inf(bool sign)
{
    return (struct f80){FP_TOP, sign ? 0xffff : 0x7fff};
}

struct f80 f80_2xm1(struct fp_env *env, struct f80 a)
{
    static const struct fp_exact ln2 = {U128(0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af), -1, false};
    struct fp_num n = f80_unpack(a);
    struct f80 result;

    if (f80_nan_operand(env, &n, &n, &result))
        return result;
    if (n.cls == FP_CLASS_INF)
        return n.sign ? (struct f80){FP_TOP, 0xbfff} : a;
    if (n.denormal)
        env->flags |= FP_DE;
    if (n.cls == FP_CLASS_ZERO || n.exp > 0 || (n.exp == 0 && n.sig != FP_TOP))
        return a;
    if (n.exp == 0)
        return n.sign ? (struct f80){FP_TOP, 0xbffe} : a; /* 2^-1 - 1 = -1/2, 2^1 - 1 = 1 */
    struct fp_exact v = wide_mul(fp_widen(&n), ln2);
    u128 f = wide_to_fixed(v, 128), acc = WIDE_TOP;
    for (unsigned k = EXP_TERMS; k >= 2; k--) {
        u128 term = wide_mulhi(f, acc) / k;
        acc = n.sign ? WIDE_TOP - term : WIDE_TOP + term;
    }
    return wide_finish(env, wide_mul(v, wide_normalise(acc, 0, false)));
}

/* log2((1 + s) / (1 - s)) for |s| < 0.18. */
static struct fp_exact log2_of_ratio(struct fp_exact s)
{
    static const struct fp_exact two_log2e = {U128(0xb8aa3b295c17f0bb, 0xbe87fed0691d3e88), 1, false};
    u128 f = wide_to_fixed(s, 128), z = wide_mulhi(f, f), acc = 0;

    for (unsigned k = ATANH_TERMS; k-- > 0;)
        acc = WIDE_TOP / (2 * k + 1) + wide_mulhi(z, acc);
    return wide_mul(wide_mul(s, wide_normalise(acc, 0, false)), two_log2e);
}

/* exponent + fraction, where |fraction| <= 1/2 and the exponent is not 0. */
static struct fp_exact add_exponent(int exponent, struct fp_exact fraction)
{
    bool sign = exponent < 0;
    u128 whole = (u128)(unsigned)(sign ? -exponent : exponent) << 112;
    u128 part = wide_to_fixed(fraction, 112);

    return wide_normalise(fraction.sign == sign ? whole + part : whole - part, 15, sign);
}

/* log2 of a positive x that is no power of two. */
static struct fp_exact log2_wide(struct fp_exact x)
{
    static const u128 root2 = U128(0xb504f333f9de6484, 0x597d89b3754abe9f);
    u128 num, den;
    bool below = x.sig > root2;

    if (below) { /* m = x / 2^(exp + 1), in [sqrt(1/2), 1) */
        x.exp++;
        num = -x.sig;                         /* (1 - m) 2^128 */
        den = WIDE_TOP | x.sig >> 1;          /* (1 + m) 2^127 */
        num >>= 1;
    } else {
        num = (x.sig - WIDE_TOP) >> 1;        /* (m - 1) 2^126 */
        den = (x.sig >> 1) + (WIDE_TOP >> 1); /* (m + 1) 2^126 */
    }
    struct fp_exact s = wide_div(wide_normalise(num, 127, false), wide_normalise(den, 127, false));
    s.sign = below;
    struct fp_exact fraction = log2_of_ratio(s);
    return x.exp == 0 ? fraction : add_exponent(x.exp, fraction);
}

/* y * k for an integer k: exact before it is rounded. */
static struct f80 times_integer(struct fp_env *env, const struct fp_num *y, int k)
{
    if (k == 0)
        return signed_zero(y->sign);
    struct fp_num n = fp_num_from_u64(k < 0, (uint64_t)(k < 0 ? -k : k));
    struct fp_exact v = fp_product(y, &n);
    return f80_round_pack(env, 64, &v);
}

/* y * log2(x) where one of them is zero or infinite, or x is negative: SDM, FYL2X. */
static struct f80 yl2x_special(struct fp_env *env, const struct fp_num *y, const struct fp_num *x)
{
    bool x_is_one = x->cls == FP_CLASS_FINITE && x->exp == 0 && x->sig == FP_TOP;
    bool log_negative = x->cls == FP_CLASS_ZERO || (x->cls == FP_CLASS_FINITE && x->exp < 0);

    if (x->sign && x->cls != FP_CLASS_ZERO)
        return f80_invalid(env);
    if (x->cls == FP_CLASS_ZERO || x->cls == FP_CLASS_INF) {
        if (y->cls == FP_CLASS_ZERO)
            return f80_invalid(env);
        if (x->cls == FP_CLASS_ZERO && y->cls == FP_CLASS_FINITE)
            env->flags |= FP_ZE;
        else if (y->denormal)
            env->flags |= FP_DE;
        return signed_inf(y->sign != log_negative);
    }
    if (y->cls == FP_CLASS_INF && x_is_one)
        return f80_invalid(env);
    if (x->denormal)
        env->flags |= FP_DE;
    if (y->cls == FP_CLASS_INF)
        return signed_inf(y->sign != log_negative);
    return signed_zero(y->sign != log_negative);
}

struct f80 f80_yl2x(struct fp_env *env, struct f80 y, struct f80 x)
{
    struct fp_num ny = f80_unpack(y), nx = f80_unpack(x);
    struct f80 result;

    if (f80_nan_operand(env, &ny, &nx, &result))
        return result;
    if (ny.cls != FP_CLASS_FINITE || nx.cls != FP_CLASS_FINITE || nx.sign)
        return yl2x_special(env, &ny, &nx);
    if (ny.denormal || nx.denormal)
        env->flags |= FP_DE;
    if (nx.sig == FP_TOP)
        return times_integer(env, &ny, nx.exp);
    return wide_finish(env, wide_mul(log2_wide(fp_widen(&nx)), fp_widen(&ny)));
}

static bool at_most_minus_one(const struct fp_num *x)
{
    return x->sign && (x->cls == FP_CLASS_INF || (x->cls == FP_CLASS_FINITE && x->exp >= 0));
}

static struct f80 yl2xp1_special(struct fp_env *env, const struct fp_num *y, const struct fp_num *x)
{
    bool sign = y->sign != x->sign;

    if ((y->cls == FP_CLASS_INF && x->cls == FP_CLASS_ZERO) ||
        (y->cls == FP_CLASS_ZERO && x->cls == FP_CLASS_INF))
        return f80_invalid(env);
    if (y->denormal || x->denormal)
        env->flags |= FP_DE;
    if (y->cls == FP_CLASS_INF || x->cls == FP_CLASS_INF)
        return signed_inf(sign);
    return signed_zero(sign);
}

/* log2(1 + x), x > -1; *exact and an integer in *power when 1 + x is a power of two. */
static struct fp_exact log2_plus_one(const struct fp_num *x, bool *exact, int *power)
{
    static const struct fp_num num_one = {.sig = FP_TOP, .cls = FP_CLASS_FINITE};

    *exact = false;
    if (x->exp < -2) {
        /* x / (2 + x), the denominator in Q2.126 */
        u128 fx = wide_to_fixed(fp_widen(x), 126);
        u128 den = x->sign ? WIDE_TOP - fx : WIDE_TOP + fx;
        struct fp_exact s = wide_div(fp_widen(x), wide_normalise(den, 1, false));
        return log2_of_ratio(s);
    }
    /* past 2^64 the 1 is below every bit that a result has */
    struct fp_exact sum = x->exp > 64 ? fp_widen(x) : fp_sum(&num_one, x);
    *exact = sum.sig == WIDE_TOP;
    *power = sum.exp;
    return *exact ? one : log2_wide(sum);
}

struct f80 f80_yl2xp1(struct fp_env *env, struct f80 y, struct f80 x)
{
    struct fp_num ny = f80_unpack(y), nx = f80_unpack(x);
    struct f80 result;
    bool exact;
    int power = 0;

    if (f80_nan_operand(env, &ny, &nx, &result))
        return result;
    if (at_most_minus_one(&nx))
        return f80_invalid(env);
    if (ny.cls != FP_CLASS_FINITE || nx.cls != FP_CLASS_FINITE)
        return yl2xp1_special(env, &ny, &nx);
    if (ny.denormal || nx.denormal)
        env->flags |= FP_DE;
    struct fp_exact log = log2_plus_one(&nx, &exact, &power);
    if (exact)
        return times_integer(env, &ny, power);
    return wide_finish(env, wide_mul(log, fp_widen(&ny)));
}
