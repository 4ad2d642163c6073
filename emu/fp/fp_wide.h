/* SPDX-License-Identifier: MIT */
/*
 * Numbers of 128 significant bits, as struct fp_exact, for the transcendental functions: products and
 * quotients that lose less than 2^-126 of their value. Fixed-point values are plain u128: Q0.128 is
 * v * 2^-128, Q1.127 v * 2^-127, and so on.
 */
#ifndef EMU_FP_FP_WIDE_H
#define EMU_FP_FP_WIDE_H

#include "fp_internal.h"

#define U128(hi, lo) ((u128)(hi) << 64 | (lo))
#define WIDE_TOP ((u128)1 << 127) /* 1.0 in Q1.127 */

/* The upper 128 of 256 bits. */
static inline u128 wide_mulhi(u128 a, u128 b)
{
    uint64_t ah = (uint64_t)(a >> 64), al = (uint64_t)a;
    uint64_t bh = (uint64_t)(b >> 64), bl = (uint64_t)b;
    u128 mid = (u128)ah * bl + ((u128)al * bl >> 64);
    u128 mid2 = (u128)al * bh + (uint64_t)mid;

    return (u128)ah * bh + (mid >> 64) + (mid2 >> 64);
}

static inline struct fp_exact wide_normalise(u128 sig, int exp, bool sign)
{
    int shift = fp_clz128(sig);

    return (struct fp_exact){sig << shift, exp - shift, sign};
}

static inline struct fp_exact wide_mul(struct fp_exact a, struct fp_exact b)
{
    return wide_normalise(wide_mulhi(a.sig, b.sig), a.exp + b.exp + 1, a.sign != b.sign);
}

/* One 64-bit digit of n / d: n < d, d with its top bit set. Returns it, n becomes the rest. */
static inline uint64_t wide_digit(u128 *n, u128 d)
{
    uint64_t dh = (uint64_t)(d >> 64), dl = (uint64_t)d;
    u128 q = *n / dh;
    if (q >> 64 != 0)
        q = UINT64_MAX;
    u128 r = *n - q * dh; /* may be as large as dh + something when q was cut */
    /* rest = (r << 64) - q * dl, with q at most two too large */
    u128 sub = q * dl;
    while ((r >> 64) == 0 && sub > r << 64) {
        q--;
        r += dh;
        sub -= dl;
    }
    *n = (r << 64) - sub;
    return (uint64_t)q;
}

static inline struct fp_exact wide_div(struct fp_exact a, struct fp_exact b)
{
    bool less = a.sig < b.sig;
    u128 n = less ? a.sig : a.sig - b.sig;
    uint64_t hi = wide_digit(&n, b.sig);
    uint64_t lo = wide_digit(&n, b.sig);
    u128 q = U128(hi, lo); /* fraction bits of the quotient: 0.q, or 1.q when not less */

    if (less)
        return wide_normalise(q, a.exp - b.exp - 1, a.sign != b.sign);
    return (struct fp_exact){WIDE_TOP | q >> 1, a.exp - b.exp, a.sign != b.sign};
}

/* |v| * 2^fraction_bits as an integer, cut. For |v| < 2^(128 - fraction_bits). */
static inline u128 wide_to_fixed(struct fp_exact v, int fraction_bits)
{
    int shift = 127 - fraction_bits - v.exp;

    return shift > 127 ? 0 : v.sig >> shift;
}

/* The result of a function whose values are never exact: rounds with the sticky bit set. */
static inline struct f80 wide_finish(struct fp_env *env, struct fp_exact v)
{
    v.sig |= 1;
    return f80_round_pack(env, 64, &v);
}

#endif
