/* SPDX-License-Identifier: MIT */
/*
 * FSIN, FCOS, FPTAN and FPATAN, by fixed-point Taylor series.
 *
 * Sine and cosine: the operand is reduced to at most pi/4, exactly, by the 66-bit pi that processors
 * use; then sin r = r S(r^2), cos r = C(r^2), where S and C lie in (0.7, 1] and are summed in Q1.127
 * until terms are below 2^-90. As r keeps its own exponent the relative error stays the same for the
 * least operand. Arc tangent: the lesser operand over the greater is compared with the nearest i/8,
 * whose arc tangent is known, and the difference, below 1/15, goes through the series.
 */
#include "fp_wide.h"

/* pi * 2^66, to the bit that processors have: pi/2 in units of 2^-67. */
#define PI66 (((u128)0xc << 64) | 0x90fdaa22168c234cu)

#define SERIES_TERMS 13

/* 1 - z/(a(a+1)) (1 - z/((a+2)(a+3)) (1 - ...)): a = 2 for the sine's S, 1 for the cosine. */
static u128 alternating_series(u128 z, unsigned a)
{
    u128 acc = WIDE_TOP;

    for (unsigned k = SERIES_TERMS; k-- > 0;) {
        unsigned n = a + 2 * k;
        acc = WIDE_TOP - wide_mulhi(z, acc) / (n * (n + 1));
    }
    /* below 1 for every operand but 0: matters to directed rounding when z vanishes */
    return acc == WIDE_TOP ? WIDE_TOP - 1 : acc;
}

struct reduced {
    struct fp_exact r;  /* |r| <= pi/4; sign as that of a */
    unsigned quadrant;  /* |a| = |r| + quadrant * pi/2, with r negated if `negate` */
    bool negate;
};

static struct reduced reduce(const struct fp_num *a)
{
    struct reduced out = {fp_widen(a), 0, false};

    if (a->exp < -4)
        return out;
    u128 n = a->sig;
    int shift = a->exp + 4; /* |a| in units of 2^-67 is sig << shift */
    uint64_t quadrant = (uint64_t)(n / PI66);
    n %= PI66;
    while (shift > 0) {
        int step = shift < 59 ? shift : 59;
        n <<= step;
        quadrant = (quadrant << step) + (uint64_t)(n / PI66);
        n %= PI66;
        shift -= step;
    }
    if (n > PI66 / 2) {
        n = PI66 - n;
        quadrant++;
        out.negate = true;
    }
    out.quadrant = (unsigned)(quadrant & 3);
    out.r = wide_normalise(n, 127 - 67, a->sign);
    return out;
}

/* sin and cos of r, positive r. */
static void kernels(const struct fp_exact *r, struct fp_exact *s, struct fp_exact *c)
{
    u128 f = wide_to_fixed(*r, 128);
    u128 z = wide_mulhi(f, f);
    struct fp_exact series = wide_normalise(alternating_series(z, 2), 0, false);

    *s = wide_mul((struct fp_exact){r->sig, r->exp, false}, series);
    *c = wide_normalise(alternating_series(z, 1), 0, false);
}

enum trig_special { TRIG_DONE, TRIG_GO_ON, TRIG_OUT_OF_RANGE };

/* Zeros are left to the caller. */
static enum trig_special trig_operand(struct fp_env *env, const struct fp_num *n, struct f80 *result)
{
    if (f80_nan_operand(env, n, n, result))
        return TRIG_DONE;
    if (n->cls == FP_CLASS_INF) {
        *result = f80_invalid(env);
        return TRIG_DONE;
    }
    if (n->denormal)
        env->flags |= FP_DE;
    return n->cls == FP_CLASS_FINITE && n->exp >= 63 ? TRIG_OUT_OF_RANGE : TRIG_GO_ON;
}

static struct f80 finish_signed(struct fp_env *env, struct fp_exact v, bool sign)
{
    v.sign = sign;
    return wide_finish(env, v);
}

bool f80_sincos(struct fp_env *env, struct f80 a, struct f80 *sin, struct f80 *cos)
{
    struct fp_num n = f80_unpack(a);
    struct f80 special, unused;

    if (sin == NULL)
        sin = &unused;
    if (cos == NULL)
        cos = &unused;
    switch (trig_operand(env, &n, &special)) {
    case TRIG_DONE: *sin = *cos = special; return true;
    case TRIG_OUT_OF_RANGE: return false;
    default: break;
    }
    if (n.cls == FP_CLASS_ZERO) {
        *sin = a;
        *cos = (struct f80){FP_TOP, 16383};
        return true;
    }
    struct reduced red = reduce(&n);
    struct fp_exact s, c;
    kernels(&red.r, &s, &c);
    /* sin(|r'| + q pi/2) where r' = -r if negated: odd quadrants exchange the two */
    bool sin_sign = red.negate, cos_sign = false;
    if (red.quadrant & 1) {
        struct fp_exact t = s;
        s = c;
        c = t;
        sin_sign = false;
        cos_sign = !red.negate;
    }
    if (red.quadrant & 2) {
        sin_sign = !sin_sign;
        cos_sign = !cos_sign;
    }
    if (cos != &unused)
        *cos = finish_signed(env, c, cos_sign);
    if (sin != &unused)
        *sin = finish_signed(env, s, sin_sign != n.sign);
    return true;
}

bool f80_tan(struct fp_env *env, struct f80 a, struct f80 *tan)
{
    struct fp_num n = f80_unpack(a);

    switch (trig_operand(env, &n, tan)) {
    case TRIG_DONE: return true;
    case TRIG_OUT_OF_RANGE: return false;
    default: break;
    }
    if (n.cls == FP_CLASS_ZERO) {
        *tan = a;
        return true;
    }
    struct reduced red = reduce(&n);
    struct fp_exact s, c, t;
    kernels(&red.r, &s, &c);
    if (red.r.exp < -64) { /* tan r is r and a little more */
        s = (struct fp_exact){red.r.sig, red.r.exp, false};
        c = (struct fp_exact){WIDE_TOP, 0, false};
    }
    t = red.quadrant & 1 ? wide_div(c, s) : wide_div(s, c);
    *tan = finish_signed(env, t, (red.negate != ((red.quadrant & 1) != 0)) != n.sign);
    return true;
}

/* pi * m/4 in Q2.126, m = 0..4. */
static u128 quarter_pi(unsigned m)
{
    return U128(0x3243f6a8885a308d, 0x313198a2e0370734) * m + (m >> 2);
}

static struct f80 pi_fraction(struct fp_env *env, unsigned quarters, bool sign)
{
    return finish_signed(env, wide_normalise(quarter_pi(quarters), 1, false), sign);
}

/* arc tangent of n / d <= 1 without its sign. */
static struct fp_exact atan_ratio(const struct fp_num *n, const struct fp_num *d)
{
    static const uint64_t eighths[9][2] = { /* atan(i/8) in Q2.126 */
        {0, 0},
        {0x07f56ea6ab0bdb71, 0x9644bcc4f9f44477},
        {0x0fadbafc96406eb1, 0x56dc79ef5f7a217e},
        {0x16f61941e4def08e, 0x715464245b9fc890},
        {0x1dac670561bb4f68, 0xadfc88bd978751a0},
        {0x23c01757bdfd67e6, 0xd720d78599710dd1},
        {0x292f1f464d3dc249, 0x066a1fca915f6b27},
        {0x2e014f8af08c679c, 0xf2cb69548429110f},
        {0x3243f6a8885a308d, 0x313198a2e0370734},
    };
    int distance = d->exp - n->exp;
    unsigned i = 0;
    bool below = false;
    struct fp_exact u;

    if (distance > 5) {
        struct fp_exact wn = fp_widen(n), wd = fp_widen(d);
        u = wide_div(wn, wd);
    } else {
        /* (n/d - i/8) / (1 + (n/d) (i/8)) = (8n - i d) / (8d + i n), exact integers */
        u128 in = n->sig, id = (u128)d->sig << distance;
        i = (unsigned)((8 * in + id / 2) / id);
        u128 left = 8 * in, right = i * id;
        below = left < right;
        u128 difference = below ? right - left : left - right;
        if (difference == 0)
            return wide_normalise(U128(eighths[i][0], eighths[i][1]), 1, false);
        u = wide_div(wide_normalise(difference, 127, false),
                     wide_normalise(8 * id + i * in, 127, false));
    }
    u.sign = false;
    u128 f = wide_to_fixed(u, 128), w = wide_mulhi(f, f), acc = 0;
    for (unsigned k = SERIES_TERMS; k-- > 0;)
        acc = WIDE_TOP / (2 * k + 1) - wide_mulhi(w, acc);
    if (acc == WIDE_TOP)
        acc--;
    struct fp_exact a = wide_mul(u, wide_normalise(acc, 0, false));
    if (i == 0)
        return a;
    u128 base = U128(eighths[i][0], eighths[i][1]), part = wide_to_fixed(a, 126);
    return wide_normalise(below ? base - part : base + part, 1, false);
}

/* Zeros and infinities: multiples of pi/4, or a zero. */
static struct f80 atan_special(struct fp_env *env, const struct fp_num *y, const struct fp_num *x)
{
    if (y->cls == FP_CLASS_INF)
        return pi_fraction(env, x->cls != FP_CLASS_INF ? 2 : x->sign ? 3 : 1, y->sign);
    if (y->cls == FP_CLASS_ZERO || x->cls == FP_CLASS_INF) {
        if (x->sign)
            return pi_fraction(env, 4, y->sign);
        return (struct f80){0, y->sign ? 0x8000 : 0};
    }
    return pi_fraction(env, 2, y->sign); /* x is zero */
}

struct f80 f80_atan2(struct fp_env *env, struct f80 y, struct f80 x)
{
    struct fp_num ny = f80_unpack(y), nx = f80_unpack(x);
    struct f80 result;

    if (f80_nan_operand(env, &ny, &nx, &result))
        return result;
    if (ny.denormal || nx.denormal)
        env->flags |= FP_DE;
    if (ny.cls != FP_CLASS_FINITE || nx.cls != FP_CLASS_FINITE)
        return atan_special(env, &ny, &nx);
    bool swap = ny.exp > nx.exp || (ny.exp == nx.exp && ny.sig > nx.sig);
    struct fp_exact a = swap ? atan_ratio(&nx, &ny) : atan_ratio(&ny, &nx);
    if (swap || nx.sign) {
        u128 part = wide_to_fixed(a, 126), base = quarter_pi(swap ? 2 : 4);
        /* pi/2 - a, pi/2 + a, pi - a */
        a = wide_normalise(swap && nx.sign ? base + part : base - part, 1, false);
    }
    return finish_signed(env, a, ny.sign);
}
