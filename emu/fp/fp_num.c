/* SPDX-License-Identifier: MIT */
/*
 * Exact arithmetic on numbers taken apart: sums, quotients, roots, integers, order. Rounding is the
 * caller's, by fp_round().
 */
#include "fp_internal.h"

struct fp_exact fp_sum(const struct fp_num *a, const struct fp_num *b)
{
    if (a->exp < b->exp || (a->exp == b->exp && a->sig < b->sig)) {
        const struct fp_num *t = a;
        a = b;
        b = t;
    }
    /* One free bit on top for the carry; 63 below, so that what is shifted out only ever matters
     * as a sticky bit: cancellation of more than one bit happens for distances 0 and 1 alone. */
    u128 big = (u128)a->sig << 63;
    u128 small = fp_shift_right_sticky((u128)b->sig << 63, (unsigned)(a->exp - b->exp));
    u128 sum = a->sign == b->sign ? big + small : big - small;
    if (sum == 0)
        return (struct fp_exact){0, 0, false};
    int shift = fp_clz128(sum);
    return (struct fp_exact){sum << shift, a->exp + 1 - shift, a->sign};
}

struct fp_exact fp_quotient(const struct fp_num *a, const struct fp_num *b)
{
    bool less = a->sig < b->sig;
    u128 n = (u128)a->sig << (less ? 64 : 63);
    uint64_t q = (uint64_t)(n / b->sig);
    u128 rest = (n - (u128)q * b->sig) << 1;
    /* the next quotient bit, and whether anything follows it */
    uint64_t next = rest >= b->sig;
    uint64_t more = (rest - (next ? b->sig : 0)) != 0;

    return (struct fp_exact){((u128)q << 64) | ((u128)next << 63) | more,
                             a->exp - b->exp - less, a->sign != b->sign};
}

/* floor(sqrt(v)) for v >= 2^62, and the remainder. */
static uint32_t root64(uint64_t v, uint64_t *rest)
{
    uint64_t root = 0, r = v;

    for (unsigned bit = 32; bit-- > 0;) {
        uint64_t trial = ((root << 1) + ((uint64_t)1 << bit)) << bit;
        if (r >= trial) {
            r -= trial;
            root += (uint64_t)1 << bit;
        }
    }
    *rest = r;
    return (uint32_t)root;
}

struct fp_exact fp_root(const struct fp_num *a)
{
    /* radicand of 128 bits with an even exponent, its root has 64 bits, the top one set */
    bool odd = a->exp & 1;
    u128 v = (u128)a->sig << (odd ? 64 : 63);
    uint64_t hi = (uint64_t)(v >> 64), lo = (uint64_t)v;
    uint64_t r;
    uint64_t s = root64(hi, &r);
    /* Zimmermann: the lower half of the root is the rest divided by twice the upper half */
    u128 n = ((u128)r << 32) | (lo >> 32);
    u128 q = n / (s << 1);
    u128 u = n - q * (s << 1);
    i128 rest = (i128)((u << 32) | (lo & 0xffffffffu)) - (i128)(q * q);
    u128 root = ((u128)s << 32) + q;

    while (rest < 0) {
        root--;
        rest += (i128)((root << 1) + 1);
    }
    /* (root + 1/2)^2 = root^2 + root + 1/4: the rest tells which side of it the radicand is on */
    uint64_t below = ((u128)rest > root ? FP_TOP : 0) | (rest != 0);
    return (struct fp_exact){(root << 64) | below, (a->exp - odd) / 2, false};
}

uint64_t fp_to_magnitude(const struct fp_num *a, enum fp_rounding rounding, bool *fits,
                         bool *inexact, bool *up)
{
    *fits = true;
    *inexact = *up = false;
    if (a->cls == FP_CLASS_ZERO)
        return 0;
    if (a->exp > 63) {
        *fits = false;
        return 0;
    }
    u128 v = fp_shift_right_sticky((u128)a->sig << 64, (unsigned)(63 - a->exp));
    uint64_t r = fp_round_sig(rounding, a->sign, v, 64, inexact, up);
    if (*up && r == 0)
        *fits = false;
    return r;
}

struct fp_num fp_num_from_u64(bool sign, uint64_t magnitude)
{
    if (magnitude == 0)
        return (struct fp_num){.cls = FP_CLASS_ZERO, .sign = sign};
    int shift = __builtin_clzll(magnitude);
    return (struct fp_num){
        .sig = magnitude << shift, .exp = 63 - shift, .cls = FP_CLASS_FINITE, .sign = sign};
}

/* -1, 0, 1 by magnitude. */
static int order_magnitude(const struct fp_num *a, const struct fp_num *b)
{
    if (a->cls != b->cls)
        return a->cls < b->cls ? -1 : 1; /* zero, finite, infinite: as the enum has them */
    if (a->cls != FP_CLASS_FINITE)
        return 0;
    if (a->exp != b->exp)
        return a->exp < b->exp ? -1 : 1;
    return a->sig < b->sig ? -1 : a->sig > b->sig;
}

enum fp_relation fp_order(const struct fp_num *a, const struct fp_num *b)
{
    if (a->cls == FP_CLASS_ZERO && b->cls == FP_CLASS_ZERO)
        return FP_EQUAL;
    if (a->sign != b->sign)
        return a->sign ? FP_LESS : FP_GREATER;
    int order = order_magnitude(a, b);
    if (a->sign)
        order = -order;
    return order < 0 ? FP_LESS : order > 0 ? FP_GREATER : FP_EQUAL;
}
