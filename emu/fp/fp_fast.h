/* SPDX-License-Identifier: MIT */
/*
 * Short cuts through the host's floating-point unit, for the cases in which IEEE 754 leaves exactly
 * one answer and SSE has no side effect to add.
 *
 * They hold when fp_fast_allowed(mxcsr): rounding to nearest, every exception masked, and PE already
 * set, so that inexactness changes nothing. Each function then takes operands that are normal, zero
 * or (where the check on the result suffices) anything but denormal, and declines, returning false,
 * unless the result is normal or an exact zero. A result equal to the least normal number is declined
 * as well: it may have underflowed before it was rounded. What is declined goes to fp.h.
 *
 * Needs IEEE binary32 and binary64 evaluated at their own width, in the default host environment, and
 * neither contraction nor fast-math in the flags of the files that include it.
 */
#ifndef EMU_FP_FP_FAST_H
#define EMU_FP_FP_FAST_H

#include <float.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __FAST_MATH__
#error "fp_fast.h relies on IEEE arithmetic: build without -ffast-math"
#endif
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif
#if FLT_EVAL_METHOD == 0
#define FP_FAST_HOST 1
#else
#define FP_FAST_HOST 0
#endif

static inline bool fp_fast_allowed(uint32_t mxcsr)
{
    return FP_FAST_HOST && (mxcsr & 0x7fa0u) == 0x1fa0u;
}

static inline double fp_host64(uint64_t bits)
{
    double d;

    memcpy(&d, &bits, sizeof(d));
    return d;
}
static inline uint64_t fp_bits64(double d)
{
    uint64_t bits;

    memcpy(&bits, &d, sizeof(bits));
    return bits;
}
static inline float fp_host32(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, sizeof(f));
    return f;
}
static inline uint32_t fp_bits32(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof(bits));
    return bits;
}

/* Shifting out the sign and subtracting one sends zero past everything else. */
static inline bool fp_fast64_denormal(uint64_t a)
{
    return (a << 1) - 1 < ((uint64_t)1 << 53) - 1;
}
static inline bool fp_fast32_denormal(uint32_t a)
{
    return (a << 1) - 1 < ((uint32_t)1 << 24) - 1;
}
/* Normal, finite and not the least normal number. */
static inline bool fp_fast64_normal(uint64_t r)
{
    return (r << 1) - (((uint64_t)1 << 53) + 1) < ((uint64_t)0x7fe << 53) - 1;
}
static inline bool fp_fast32_normal(uint32_t r)
{
    return (r << 1) - (((uint32_t)1 << 24) + 1) < ((uint32_t)0xfe << 24) - 1;
}
/* Neither NaN nor denormal: compares without a flag, in any mode. */
static inline bool fp_fast64_comparable(uint64_t a)
{
    return (a << 1) <= (uint64_t)0x7ff << 53 && !fp_fast64_denormal(a);
}
static inline bool fp_fast32_comparable(uint32_t a)
{
    return (a << 1) <= (uint32_t)0xff << 24 && !fp_fast32_denormal(a);
}

#define FP_FAST_DEFINE(w, t)                                                                       \
    static inline bool fp_fast##w##_add(t a, t b, t *r)                                            \
    {                                                                                              \
        *r = fp_bits##w(fp_host##w(a) + fp_host##w(b));                                            \
        return (fp_fast##w##_normal(*r) || (t)(*r << 1) == 0) && !fp_fast##w##_denormal(a) &&      \
               !fp_fast##w##_denormal(b);                                                          \
    }                                                                                              \
    static inline bool fp_fast##w##_sub(t a, t b, t *r)                                            \
    {                                                                                              \
        *r = fp_bits##w(fp_host##w(a) - fp_host##w(b));                                            \
        return (fp_fast##w##_normal(*r) || (t)(*r << 1) == 0) && !fp_fast##w##_denormal(a) &&      \
               !fp_fast##w##_denormal(b);                                                          \
    }                                                                                              \
    static inline bool fp_fast##w##_mul(t a, t b, t *r)                                            \
    {                                                                                              \
        *r = fp_bits##w(fp_host##w(a) * fp_host##w(b));                                            \
        return (fp_fast##w##_normal(*r) ||                                                         \
                ((t)(*r << 1) == 0 && ((t)(a << 1) == 0 || (t)(b << 1) == 0))) &&                  \
               !fp_fast##w##_denormal(a) && !fp_fast##w##_denormal(b);                             \
    }                                                                                              \
    static inline bool fp_fast##w##_div(t a, t b, t *r)                                            \
    {                                                                                              \
        *r = fp_bits##w(fp_host##w(a) / fp_host##w(b));                                            \
        return (fp_fast##w##_normal(*r) || ((t)(*r << 1) == 0 && (t)(a << 1) == 0)) &&             \
               !fp_fast##w##_denormal(a) && !fp_fast##w##_denormal(b);                             \
    }
FP_FAST_DEFINE(64, uint64_t)
FP_FAST_DEFINE(32, uint32_t)
#undef FP_FAST_DEFINE

/* Out of line, in a file that is built without errno for mathematics. */
bool fp_fast64_sqrt(uint64_t a, uint64_t *r);
bool fp_fast32_sqrt(uint32_t a, uint32_t *r);

static inline bool fp_fast_64_to_32(uint64_t a, uint32_t *r)
{
    *r = fp_bits32((float)fp_host64(a));
    return (fp_fast32_normal(*r) && !fp_fast64_denormal(a)) || a << 1 == 0;
}
static inline bool fp_fast_32_to_64(uint32_t a, uint64_t *r)
{
    *r = fp_bits64((double)fp_host32(a));
    return fp_fast32_normal(a) || (uint32_t)(a << 1) == 0;
}
/* Truncation; the bounds are below the integers' so that the C conversion is defined. */
static inline bool fp_fast64_to_i32(uint64_t a, uint32_t *r)
{
    double d = fp_host64(a);

    if (!(d > -2147483648.0 && d < 2147483648.0))
        return false;
    *r = (uint32_t)(int32_t)d;
    return true;
}
static inline bool fp_fast64_to_i64(uint64_t a, uint64_t *r)
{
    double d = fp_host64(a);

    if (!(d > -9223372036854775808.0 && d < 9223372036854775808.0))
        return false;
    *r = (uint64_t)(int64_t)d;
    return true;
}
static inline bool fp_fast32_to_i32(uint32_t a, uint32_t *r)
{
    float f = fp_host32(a);

    if (!(f > -2147483648.0f && f < 2147483648.0f))
        return false;
    *r = (uint32_t)(int32_t)f;
    return true;
}
static inline bool fp_fast32_to_i64(uint32_t a, uint64_t *r)
{
    float f = fp_host32(a);

    if (!(f > -9223372036854775808.0f && f < 9223372036854775808.0f))
        return false;
    *r = (uint64_t)(int64_t)f;
    return true;
}

#endif
