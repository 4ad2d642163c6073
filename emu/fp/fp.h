/* SPDX-License-Identifier: MIT */
/*
 * Floating point by integer arithmetic: binary32, binary64 and the x87's 80-bit format, with the
 * results and exception flags of the x86 (Intel SDM vol. 1, chapters 4, 8 and 11).
 *
 *     struct fp_env env = fp_env_from_mxcsr(0x1f80);
 *     uint64_t sum = f64_add(&env, a, b);      // bits in, bits out
 *     if (env.flags & ~env.masked) ...         // raise #XM
 *
 * Everything is a function of its arguments and `env`; nothing here uses the host's floating-point
 * unit, so a result is the same on every host. fp_fast.h has the short cuts that do use it, where
 * IEEE 754 leaves it no choice.
 *
 * Rules that the two units share: tininess is detected after rounding; a masked underflow is flagged
 * only when the result is inexact too, an unmasked one always; a NaN operand hides division by zero,
 * other invalid operations and denormal operands. They differ in which of two NaNs they return: SSE
 * the first, the x87 the one with the greater significand.
 *
 * Transcendental functions and the reciprocal approximations are not specified to the bit by any
 * manual. Here they are rules of our own, given with their error bounds at each function.
 */
#ifndef EMU_FP_FP_H
#define EMU_FP_FP_H

#include <stdbool.h>
#include <stdint.h>

#include <emu/fpu_state.h>

/* Exceptions, with the bits of MXCSR and of the x87 status word. */
#define FP_IE  0x01u /* invalid operation */
#define FP_DE  0x02u /* denormal operand */
#define FP_ZE  0x04u /* division by zero */
#define FP_OE  0x08u /* overflow */
#define FP_UE  0x10u /* underflow */
#define FP_PE  0x20u /* inexact */
#define FP_ALL 0x3fu
#define FP_PRE (FP_IE | FP_DE | FP_ZE) /* detected before the operation is carried out */

/* Rounding, as MXCSR.RC and FCW.RC code it. */
enum fp_rounding { FP_NEAREST, FP_DOWN, FP_UP, FP_TRUNCATE };

struct fp_env {
    uint8_t rounding;  /* enum fp_rounding */
    uint8_t precision; /* significand bits of f80 add, sub, mul, div, sqrt: 24, 53 or 64 */
    uint8_t masked;    /* FP_*: exceptions that are masked */
    uint8_t flags;     /* FP_*: exceptions raised; only ever set here */
    bool daz;          /* denormal operands of f32 and f64 operations count as zeros */
    bool ftz;          /* tiny f32 and f64 results become zeros, if underflow is masked */
    bool rounded_up;   /* the last rounding increased the magnitude: C1 of the x87 */
};

static inline struct fp_env fp_env_from_mxcsr(uint32_t mxcsr)
{
    struct fp_env env = {
        .rounding = (mxcsr >> 13) & 3,
        .precision = 64,
        .masked = (mxcsr >> 7) & FP_ALL,
        .daz = (mxcsr >> 6) & 1,
        .ftz = (mxcsr >> 15) & 1,
    };
    return env;
}

static inline struct fp_env fp_env_from_fcw(uint16_t fcw)
{
    static const uint8_t precision[4] = {24, 64, 53, 64}; /* 1 is reserved; processors use 64 */
    struct fp_env env = {
        .rounding = (fcw >> 10) & 3,
        .precision = precision[(fcw >> 8) & 3],
        .masked = fcw & FP_ALL,
    };
    return env;
}

enum fp_relation { FP_LESS, FP_EQUAL, FP_GREATER, FP_UNORDERED };

#define F32_DEFAULT_NAN 0xffc00000u
#define F64_DEFAULT_NAN 0xfff8000000000000u

/* SSE arithmetic on bit patterns. Of two NaNs the first operand is returned, quieted. */
uint32_t f32_add(struct fp_env *env, uint32_t a, uint32_t b);
uint32_t f32_sub(struct fp_env *env, uint32_t a, uint32_t b);
uint32_t f32_mul(struct fp_env *env, uint32_t a, uint32_t b);
uint32_t f32_div(struct fp_env *env, uint32_t a, uint32_t b);
uint32_t f32_sqrt(struct fp_env *env, uint32_t a);
uint64_t f64_add(struct fp_env *env, uint64_t a, uint64_t b);
uint64_t f64_sub(struct fp_env *env, uint64_t a, uint64_t b);
uint64_t f64_mul(struct fp_env *env, uint64_t a, uint64_t b);
uint64_t f64_div(struct fp_env *env, uint64_t a, uint64_t b);
uint64_t f64_sqrt(struct fp_env *env, uint64_t a);

/* MINPS and the like: the second operand if either is a NaN (IE) or both are zeros. */
uint32_t f32_min(struct fp_env *env, uint32_t a, uint32_t b);
uint32_t f32_max(struct fp_env *env, uint32_t a, uint32_t b);
uint64_t f64_min(struct fp_env *env, uint64_t a, uint64_t b);
uint64_t f64_max(struct fp_env *env, uint64_t a, uint64_t b);

/* `signaling`: a quiet NaN raises IE as well (COMISS, CMPLTPS); without, only a signalling one. */
enum fp_relation f32_compare(struct fp_env *env, uint32_t a, uint32_t b, bool signaling);
enum fp_relation f64_compare(struct fp_env *env, uint64_t a, uint64_t b, bool signaling);

/* ROUNDPS and the like; raises IE and PE. */
uint32_t f32_round_to_integral(struct fp_env *env, uint32_t a);
uint64_t f64_round_to_integral(struct fp_env *env, uint64_t a);

/* What does not fit gives the integer indefinite value (only the top bit set) and IE. */
uint32_t f32_to_i32(struct fp_env *env, uint32_t a, enum fp_rounding rounding);
uint64_t f32_to_i64(struct fp_env *env, uint32_t a, enum fp_rounding rounding);
uint32_t f64_to_i32(struct fp_env *env, uint64_t a, enum fp_rounding rounding);
uint64_t f64_to_i64(struct fp_env *env, uint64_t a, enum fp_rounding rounding);
uint32_t f32_from_i64(struct fp_env *env, int64_t v);
uint64_t f64_from_i64(struct fp_env *env, int64_t v);
uint64_t f32_to_f64(struct fp_env *env, uint32_t a);
uint32_t f64_to_f32(struct fp_env *env, uint64_t a);

/*
 * RCPPS and RSQRTPS: the exact 1/x or 1/sqrt(x), rounded to nearest at 12 significant bits, so the
 * relative error is at most 2^-12 (the manual allows 1.5 * 2^-12). Denormal operands count as
 * zeros, a result below the normal range is a zero, and no exception is raised.
 */
uint32_t f32_rcp_approx(uint32_t a);
uint32_t f32_rsqrt_approx(uint32_t a);

#define F80_DEFAULT_NAN ((struct f80){0xc000000000000000u, 0xffff})

/* Arithmetic at env->precision; of two NaNs the x87's rule chooses. */
struct f80 f80_add(struct fp_env *env, struct f80 a, struct f80 b);
struct f80 f80_sub(struct fp_env *env, struct f80 a, struct f80 b);
struct f80 f80_mul(struct fp_env *env, struct f80 a, struct f80 b);
struct f80 f80_div(struct fp_env *env, struct f80 a, struct f80 b);
struct f80 f80_sqrt(struct fp_env *env, struct f80 a);

/*
 * FPREM (`nearest` false) and FPREM1: one step of the remainder of a by b. *partial (C2) tells that
 * the exponents are too far apart to finish; then *quotient is 0. Otherwise *quotient has the low
 * three bits of the magnitude of the quotient.
 */
struct f80 f80_rem(struct fp_env *env, struct f80 a, struct f80 b, bool nearest,
                   unsigned *quotient, bool *partial);
struct f80 f80_round_to_integral(struct fp_env *env, struct f80 a);
struct f80 f80_scale(struct fp_env *env, struct f80 a, struct f80 b);
/* FXTRACT: returns the exponent of a as a number, *significand in [1, 2) with a's sign. */
struct f80 f80_extract(struct fp_env *env, struct f80 a, struct f80 *significand);
enum fp_relation f80_compare(struct fp_env *env, struct f80 a, struct f80 b, bool signaling);

struct f80 f80_from_i64(int64_t v);
struct f80 f80_from_f32(struct fp_env *env, uint32_t a); /* IE for SNaN, DE for denormals */
struct f80 f80_from_f64(struct fp_env *env, uint64_t a);
uint32_t f80_to_f32(struct fp_env *env, struct f80 a);
uint64_t f80_to_f64(struct fp_env *env, struct f80 a);
/* To an integer of `bits` 16, 32 or 64, sign-extended; indefinite and IE if it does not fit. */
int64_t f80_to_int(struct fp_env *env, struct f80 a, unsigned bits, enum fp_rounding rounding);
struct f80 f80_from_bcd(const uint8_t bcd[10]);
void f80_to_bcd(struct fp_env *env, struct f80 a, uint8_t bcd[10]);

/* FXAM's classes, as C3 C2 C0 code them. */
enum f80_class {
    F80_UNSUPPORTED = 0, F80_NAN = 1, F80_NORMAL = 2, F80_INFINITY = 3, F80_ZERO = 4,
    F80_EMPTY = 5, F80_DENORMAL = 6,
};
enum f80_class f80_classify(struct f80 a);

/* FLD1 and the like, rounded as env->rounding says; raises nothing. */
enum f80_constant { F80_ONE, F80_LOG2_10, F80_LOG2_E, F80_PI, F80_LOG10_2, F80_LN_2, F80_PLUS_ZERO };
struct f80 f80_constant(const struct fp_env *env, enum f80_constant which);

/*
 * The x87's transcendental functions. Each is computed in fixed point of 128 bits to a relative
 * error below 2^-100 of the mathematical function of the reduced argument and rounded once to 64
 * bits by env->rounding: the result is within 0.51 ulp to nearest, 1 ulp otherwise.
 *
 * FSIN, FCOS, FPTAN reduce by the 66-bit approximation of pi that the processors use (SDM vol. 1,
 * 8.3.8), exactly. They return false, doing nothing, for |a| >= 2^63 (C2).
 */
bool f80_sincos(struct fp_env *env, struct f80 a, struct f80 *sin, struct f80 *cos); /* or NULL */
bool f80_tan(struct fp_env *env, struct f80 a, struct f80 *tan);
struct f80 f80_atan2(struct fp_env *env, struct f80 y, struct f80 x);
/* 2^a - 1. Outside [-1, 1] the manual leaves it undefined; here the operand comes back. */
struct f80 f80_2xm1(struct fp_env *env, struct f80 a);
struct f80 f80_yl2x(struct fp_env *env, struct f80 y, struct f80 x);   /* y * log2(x) */
/* y * log2(x + 1), for any x > -1; x <= -1 is invalid. */
struct f80 f80_yl2xp1(struct fp_env *env, struct f80 y, struct f80 x);

#endif
