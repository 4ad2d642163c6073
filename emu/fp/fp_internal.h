/* SPDX-License-Identifier: MIT */
/*
 * What the three formats share: a number taken apart, exact operations on such numbers, and the one
 * rounding function through which every result goes.
 *
 * Invariants: 1. the significand of a finite, nonzero fp_num has bit 63 set, whatever format it came
 * from; its value is sig * 2^(exp - 63). 2. That of an fp_exact has bit 127 set; its value is
 * sig * 2^(exp - 127), but for bit 0, which also stands for any nonzero rest ("sticky"). A format of
 * at most 64 bits therefore rounds it correctly.
 */
#ifndef EMU_FP_INTERNAL_H
#define EMU_FP_INTERNAL_H

#include "fp.h"

typedef unsigned __int128 u128;
typedef __int128 i128;

#define FP_INLINE static inline __attribute__((always_inline))
#define FP_TOP ((uint64_t)1 << 63)
#define FP_QUIET_BIT ((uint64_t)1 << 62)

enum fp_class { FP_CLASS_ZERO, FP_CLASS_FINITE, FP_CLASS_INF, FP_CLASS_QNAN, FP_CLASS_SNAN,
                FP_CLASS_UNSUPPORTED };

struct fp_num {
    uint64_t sig;   /* NaNs: the fraction, aligned as that of a number */
    int32_t exp;
    uint8_t cls;    /* enum fp_class */
    bool sign;
    bool denormal;  /* finite, and coded with the least exponent without being normal */
};

struct fp_exact {
    u128 sig;
    int32_t exp;
    bool sign;
};

struct fp_format {
    int emin;       /* exponent of the least normal number */
    int emax;       /* and of the greatest */
    int wrap;       /* what an unmasked overflow subtracts from the exponent */
    unsigned bits;  /* significand bits, the integer bit included */
};

#define FMT_F32 ((struct fp_format){-126, 127, 192, 24})
#define FMT_F64 ((struct fp_format){-1022, 1023, 1536, 53})
#define FMT_F80 ((struct fp_format){-16382, 16383, 24576, 64})

/* A rounded result, ready to be packed. exp is biased by the format; sig has bit 63 clear and exp is
 * 0 when denormal or zero. */
struct fp_packed {
    uint64_t sig;
    int32_t exp;
};

FP_INLINE bool fp_is_nan(const struct fp_num *n)
{
    return n->cls == FP_CLASS_QNAN || n->cls == FP_CLASS_SNAN;
}

FP_INLINE int fp_clz128(u128 v)
{
    uint64_t hi = (uint64_t)(v >> 64);
    return hi != 0 ? __builtin_clzll(hi) : 64 + __builtin_clzll((uint64_t)v);
}

/* v >> n, any n, with a nonzero rest kept in bit 0. */
FP_INLINE u128 fp_shift_right_sticky(u128 v, unsigned n)
{
    if (n == 0)
        return v;
    if (n > 127)
        return v != 0;
    return (v >> n) | ((v << (128 - n)) != 0);
}

/*
 * Rounds the top `bits` of sig. Returns them top-aligned in 64 bits, 0 when the carry ran out of the
 * top (the value is then 2.0).
 */
FP_INLINE uint64_t fp_round_sig(enum fp_rounding rounding, bool sign, u128 sig, unsigned bits,
                                bool *inexact, bool *up)
{
    uint64_t unit = (uint64_t)1 << (64 - bits);
    uint64_t kept = (uint64_t)(sig >> 64) & ~(unit - 1);
    u128 rest = sig - ((u128)kept << 64);
    u128 half = (u128)unit << 63;

    *inexact = rest != 0;
    switch (rounding) {
    case FP_NEAREST: *up = rest > half || (rest == half && (kept & unit) != 0); break;
    case FP_DOWN: *up = *inexact && sign; break;
    case FP_UP: *up = *inexact && !sign; break;
    default: *up = false; break;
    }
    return *up ? kept + unit : kept;
}

FP_INLINE struct fp_packed fp_overflow(struct fp_env *env, const struct fp_format *f,
                                       unsigned bits, bool sign)
{
    bool to_inf = env->rounding == FP_NEAREST || env->rounding == (sign ? FP_DOWN : FP_UP);
    int bias = f->emax;

    env->flags |= FP_OE | FP_PE;
    env->rounded_up = to_inf;
    if (to_inf)
        return (struct fp_packed){FP_TOP, f->emax + 1 + bias};
    return (struct fp_packed){~(uint64_t)0 << (64 - bits), f->emax + bias};
}

/* A result below the normal range, underflow masked: SDM vol. 1, 4.9.1.5. */
FP_INLINE struct fp_packed fp_denormalise(struct fp_env *env, const struct fp_format *f,
                                          unsigned bits, const struct fp_exact *v)
{
    bool inexact, up;

    if (env->ftz) {
        env->flags |= FP_UE | FP_PE;
        env->rounded_up = false;
        return (struct fp_packed){0, 0};
    }
    u128 sig = fp_shift_right_sticky(v->sig, (unsigned)(f->emin - v->exp));
    uint64_t r = fp_round_sig(env->rounding, v->sign, sig, bits, &inexact, &up);
    if (inexact)
        env->flags |= FP_UE | FP_PE;
    env->rounded_up = up;
    return (struct fp_packed){r, (r & FP_TOP) != 0};
}

/* Unmasked, and so far out that wrapping the exponent does not help: SDM vol. 1, 8.5.4, for FSCALE,
 * whose result is then another, inexact one. A conversion of SSE has none: the caller tells of PE. */
FP_INLINE struct fp_packed fp_massive(struct fp_env *env, const struct fp_format *f, bool inexact,
                                      bool overflow)
{
    if (inexact || f->bits == 64)
        env->flags |= FP_PE;
    env->rounded_up = overflow;
    return overflow ? (struct fp_packed){FP_TOP, 2 * f->emax + 1} : (struct fp_packed){0, 0};
}

/*
 * Rounds an exact nonzero value to `bits` significand bits in format f (bits is f->bits but for the
 * x87's precision control). Raises OE, UE, PE.
 */
FP_INLINE struct fp_packed fp_round(struct fp_env *env, const struct fp_format *f, unsigned bits,
                                    const struct fp_exact *v)
{
    bool inexact, up;
    uint64_t sig = fp_round_sig(env->rounding, v->sign, v->sig, bits, &inexact, &up);
    int exp = v->exp;

    if (sig == 0) {
        sig = FP_TOP;
        exp++;
    }
    if (__builtin_expect(exp < f->emin, 0)) {
        if (env->masked & FP_UE)
            return fp_denormalise(env, f, bits, v);
        env->flags |= FP_UE;
        exp += f->wrap;
        if (exp < f->emin)
            return fp_massive(env, f, inexact, false);
    } else if (__builtin_expect(exp > f->emax, 0)) {
        if (env->masked & FP_OE)
            return fp_overflow(env, f, bits, v->sign);
        env->flags |= FP_OE;
        exp -= f->wrap;
        if (exp > f->emax)
            return fp_massive(env, f, inexact, true);
    }
    if (inexact)
        env->flags |= FP_PE;
    env->rounded_up = up;
    return (struct fp_packed){sig, exp + f->emax};
}

/* Exact operations on finite, nonzero numbers. fp_sum returns sig 0 for an exact zero. */
struct fp_exact fp_sum(const struct fp_num *a, const struct fp_num *b);

FP_INLINE struct fp_exact fp_widen(const struct fp_num *a)
{
    return (struct fp_exact){(u128)a->sig << 64, a->exp, a->sign};
}

FP_INLINE struct fp_exact fp_product(const struct fp_num *a, const struct fp_num *b)
{
    u128 p = (u128)a->sig * b->sig;
    int exp = a->exp + b->exp + 1;

    if ((p >> 127) == 0) {
        p <<= 1;
        exp--;
    }
    return (struct fp_exact){p, exp, a->sign != b->sign};
}

struct fp_exact fp_quotient(const struct fp_num *a, const struct fp_num *b);
struct fp_exact fp_root(const struct fp_num *a); /* a positive */

/*
 * A finite number rounded to an integer, as a magnitude of at most 64 bits; `*fits` false when it
 * has more.
 */
uint64_t fp_to_magnitude(const struct fp_num *a, enum fp_rounding rounding, bool *fits,
                         bool *inexact, bool *up);

struct fp_num fp_num_from_u64(bool sign, uint64_t magnitude);
enum fp_relation fp_order(const struct fp_num *a, const struct fp_num *b); /* no NaNs */

struct fp_num f80_unpack(struct f80 a);
struct fp_num f32_unpack_raw(uint32_t a); /* without regard to DAZ, raising nothing */
struct fp_num f64_unpack_raw(uint64_t a);
struct f80 f80_pack(bool sign, struct fp_packed p);
struct f80 f80_round_pack(struct fp_env *env, unsigned bits, const struct fp_exact *v);
/* Handles operands that are NaNs or unsupported; true when *result is the answer. */
bool f80_nan_operand(struct fp_env *env, const struct fp_num *a, const struct fp_num *b,
                     struct f80 *result);
struct f80 f80_invalid(struct fp_env *env);

#endif
