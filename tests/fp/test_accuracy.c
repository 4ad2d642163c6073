/* SPDX-License-Identifier: MIT */
/*
 * How exact the x87's transcendental instructions and the SSE approximations are: against results with 113 bits
 * (libquadmath), whose own error is some thousandths of what is measured here, and beside the host's. test_x87.c has
 * stack, tags and what is special.
 *
 * Shown for each function and rounding: the largest error in units in the last place, and the largest distance from
 * the host. Checked: that error against the bound in docs/deviations.md; that directed rounding errs to its side
 * alone; PE, UE and OE by the exact result; C1 by whether the result was rounded away from zero. The reference of FSIN,
 * FCOS and FPTAN reduces by the same pi of 66 bits as processors do, exactly for operands below 2^40.
 */
#include <math.h>
#include <quadmath.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "fp.h"
#include "fp_operands.h"

typedef __float128 quad;

#define ROUNDS       40000
#define BOUND_ULPS   0.501 /* to nearest; docs/deviations.md */
#define HOST_ULPS    2.0   /* of hardware 1 (SDM vol. 1, 8.3.10), and of our rounding to nearest */
#define FCW_NEAREST  0x37f
#define MIN_EXPONENT (-16382)
#define REF_ERROR    0x1p-40 /* ulps: what the reference may be wrong by, or nearly so */

/* --- numbers --- */

static quad quad_of(struct f80 v)
{
    quad q = scalbnq((quad)v.sig, (v.se & 0x7fff ? v.se & 0x7fff : 1) - 16383 - 63);

    return v.se & 0x8000 ? -q : q;
}

/* The unit in the last place of an 80-bit result of this magnitude. */
static quad ulp_of(quad v)
{
    int exp = v == 0 ? MIN_EXPONENT : ilogbq(v);

    return scalbnq(1, (exp < MIN_EXPONENT ? MIN_EXPONENT : exp) - 63);
}

/* An exponent from `low` to `high`, any sign. */
static struct f80 number(struct operand_source *src, int low, int high)
{
    uint64_t r = operand_bits(src);
    int exp = low + (int)((r >> 8) % (uint64_t)(high - low + 1));

    return (struct f80){operand_fraction(src, 63) | 1ULL << 63, (uint16_t)((16383 + exp) | (r & 1) << 15)};
}

static struct f80 positive(struct f80 v)
{
    v.se &= 0x7fff;
    return v;
}

/* --- references --- */

static quad pi66_half(void)
{
    return scalbnq((quad)0xc, 64 - 67) + scalbnq((quad)0x90fdaa22168c234cULL, -67);
}

/* The remainder to the nearest multiple of pi/2, exact: the product has at most 41 + 66 bits. */
static quad reduce(quad a, unsigned *quadrant)
{
    quad n = rintq(a / pi66_half());

    *quadrant = (unsigned)((long long)n & 3);
    return a - n * pi66_half();
}

static quad ref_sin(quad b, quad a)
{
    unsigned quadrant;
    quad r = reduce(a, &quadrant), v = quadrant & 1 ? cosq(r) : sinq(r);

    (void)b;
    return quadrant & 2 ? -v : v;
}

static quad ref_cos(quad b, quad a)
{
    unsigned quadrant;
    quad r = reduce(a, &quadrant), v = quadrant & 1 ? sinq(r) : cosq(r);

    (void)b;
    return quadrant == 1 || quadrant == 2 ? -v : v;
}

static quad ref_tan(quad b, quad a)
{
    return ref_sin(b, a) / ref_cos(b, a);
}

static quad ref_atan(quad b, quad a)
{
    return atan2q(b, a);
}

static quad ref_2xm1(quad b, quad a)
{
    (void)b;
    return expm1q(a * M_LN2q);
}

static quad ref_yl2xp1(quad b, quad a)
{
    return b * (log1pq(a) * M_LOG2Eq);
}

static quad ref_yl2x(quad b, quad a)
{
    return a > 0.75Q && a < 1.5Q ? ref_yl2xp1(b, a - 1) : b * log2q(a);
}

/* --- ours --- */

static struct f80 our_sin(struct fp_env *env, struct f80 b, struct f80 a)
{
    struct f80 r = a;

    (void)b;
    assert_true(f80_sincos(env, a, &r, NULL));
    return r;
}

static struct f80 our_cos(struct fp_env *env, struct f80 b, struct f80 a)
{
    struct f80 r = a;

    (void)b;
    assert_true(f80_sincos(env, a, NULL, &r));
    return r;
}

static struct f80 our_tan(struct fp_env *env, struct f80 b, struct f80 a)
{
    struct f80 r = a;

    (void)b;
    assert_true(f80_tan(env, a, &r));
    return r;
}

static struct f80 our_2xm1(struct fp_env *env, struct f80 b, struct f80 a)
{
    (void)b;
    return f80_2xm1(env, a);
}

/* --- the host's --- */

#if defined(__x86_64__)
/* ST(1) = b, ST(0) = a. */
#define HOST(name, insn)                                                                           \
    static struct f80 host_##name(struct f80 b, struct f80 a)                                      \
    {                                                                                              \
        long double y, x, r;                                                                       \
        struct f80 out = {0, 0};                                                                   \
                                                                                                   \
        memset(&y, 0, sizeof(y));                                                                  \
        memset(&x, 0, sizeof(x));                                                                  \
        memcpy(&y, &b.sig, 8), memcpy((char *)&y + 8, &b.se, 2);                                   \
        memcpy(&x, &a.sig, 8), memcpy((char *)&x + 8, &a.se, 2);                                   \
        __asm__ volatile("fninit\n\tfldt %2\n\tfldt %1\n\t" insn "\n\tfnclex\n\tfstpt %0\n\tfninit" \
                         : "=m"(r)                                                                 \
                         : "m"(x), "m"(y)                                                          \
                         : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");   \
        memcpy(&out.sig, &r, 8), memcpy(&out.se, (char *)&r + 8, 2);                               \
        return out;                                                                                \
    }
HOST(sin, "fsin")
HOST(cos, "fcos")
HOST(tan, "fptan\n\tfstp %%st(0)")
HOST(atan, "fpatan")
HOST(2xm1, "f2xm1")
HOST(yl2x, "fyl2x")
HOST(yl2xp1, "fyl2xp1")
#define HOST_OF(name) host_##name
#else
#define HOST_OF(name) NULL
#endif

/* --- functions and where they are measured --- */

struct function {
    const char *name;
    struct f80 (*ours)(struct fp_env *env, struct f80 b, struct f80 a);
    quad (*reference)(quad b, quad a);
    struct f80 (*host)(struct f80 b, struct f80 a);
    int a_low, a_high, b_low, b_high; /* exponents */
    bool positive_a;
};

static const struct function functions[] = {
    {"fsin, below 1", our_sin, ref_sin, HOST_OF(sin), -70, -1, 0, 0, false},
    {"fsin, to 2^40", our_sin, ref_sin, HOST_OF(sin), 0, 39, 0, 0, false},
    {"fcos, below 1", our_cos, ref_cos, HOST_OF(cos), -70, -1, 0, 0, false},
    {"fcos, to 2^40", our_cos, ref_cos, HOST_OF(cos), 0, 39, 0, 0, false},
    {"fptan, below 1", our_tan, ref_tan, HOST_OF(tan), -70, -1, 0, 0, false},
    {"fptan, to 2^40", our_tan, ref_tan, HOST_OF(tan), 0, 39, 0, 0, false},
    {"fpatan, near", f80_atan2, ref_atan, HOST_OF(atan), -10, 10, -10, 10, false},
    {"fpatan, all", f80_atan2, ref_atan, HOST_OF(atan), -16382, 16383, -16382, 16383, false},
    {"f2xm1", our_2xm1, ref_2xm1, HOST_OF(2xm1), -80, -1, 0, 0, false},
    {"fyl2x, near 1", f80_yl2x, ref_yl2x, HOST_OF(yl2x), -2, 1, -10, 10, true},
    {"fyl2x, all", f80_yl2x, ref_yl2x, HOST_OF(yl2x), -16382, 16383, -16382, 16383, true},
    {"fyl2xp1", f80_yl2xp1, ref_yl2xp1, HOST_OF(yl2xp1), -80, -2, -10, 10, false},
};
#define FUNCTIONS (sizeof(functions) / sizeof(functions[0]))

static void wrong(const struct function *f, const char *what, uint16_t cw, struct f80 b, struct f80 a, struct f80 got,
                  const struct fp_env *env)
{
    fail_msg("%s, cw %#x: %04x:%016llx, %04x:%016llx: %s: %04x:%016llx, flags %#x, up %d", f->name, cw, b.se,
             (unsigned long long)b.sig, a.se, (unsigned long long)a.sig, what, got.se, (unsigned long long)got.sig,
             env->flags, env->rounded_up);
}

static bool is_finite(struct f80 v)
{
    return (v.se & 0x7fff) != 0x7fff;
}

static void check_flags(const struct function *f, uint16_t cw, struct f80 b, struct f80 a, struct f80 got, quad exact,
                        const struct fp_env *env)
{
    quad error = (quad_of(got) - exact) / ulp_of(exact), least = scalbnq(1, MIN_EXPONENT);
    bool away = fabsq(quad_of(got)) > fabsq(exact);

    if (fabsq(error) < REF_ERROR)
        return; /* exact, or next to it: the reference cannot tell */
    if (!(env->flags & FP_PE))
        wrong(f, "inexact without PE", cw, b, a, got, env);
    if (env->rounded_up != away)
        wrong(f, "C1", cw, b, a, got, env);
    if (fabsq(exact) < least * (1 - 0x1p-60Q) && !(env->flags & FP_UE))
        wrong(f, "tiny without UE", cw, b, a, got, env);
    if (fabsq(exact) > least && (env->flags & FP_UE))
        wrong(f, "UE", cw, b, a, got, env);
    if (env->flags & FP_OE)
        wrong(f, "OE", cw, b, a, got, env);
}

/* The error in ulps, signed; NAN for a result that overflows. */
static double error_of(const struct function *f, uint16_t cw, struct f80 b, struct f80 a, struct f80 *got)
{
    struct fp_env env = fp_env_from_fcw(cw);
    quad exact = f->reference(quad_of(b), quad_of(a));

    *got = f->ours(&env, b, a);
    if (fabsq(exact) >= scalbnq(1, 16384)) {
        if (!(env.flags & FP_OE))
            wrong(f, "too large without OE", cw, b, a, *got, &env);
        return NAN;
    }
    if (!is_finite(*got))
        return NAN; /* just below that, and rounded up */
    check_flags(f, cw, b, a, *got, exact, &env);
    return (double)((quad_of(*got) - exact) / ulp_of(exact));
}

static void measure(const struct function *f)
{
    struct operand_source src = {77};
    double worst = 0, far = 0;
    int i;

    for (i = 0; i < ROUNDS; i++) {
        struct f80 a = number(&src, f->a_low, f->a_high), b = number(&src, f->b_low, f->b_high), got;
        double error;

        if (f->positive_a)
            a = positive(a);
        error = fabs(error_of(f, FCW_NEAREST, b, a, &got));
        if (isnan(error))
            continue;
        worst = error > worst ? error : worst;
        if (f->host != NULL) {
            struct f80 host = f->host(b, a);
            double distance = fabs((double)((quad_of(got) - quad_of(host)) / ulp_of(quad_of(got))));

            far = is_finite(host) && distance > far ? distance : far;
        }
    }
    print_message("%-15s largest error %.6f ulp, largest distance from the host %.0f ulp\n", f->name, worst, far);
    assert_true(worst <= BOUND_ULPS);
    assert_true(far <= HOST_ULPS);
}

static void functions_err_by_little_more_than_rounding_does(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FUNCTIONS; i++)
        measure(&functions[i]);
}

/* Below 1 ulp, and to the side that the rounding control says. */
static void directed_rounding_errs_to_its_side(void **state)
{
    static const uint16_t words[] = {0x77f, 0xb7f, 0xf7f}; /* down, up, towards zero */
    struct operand_source src = {78};

    (void)state;
    for (unsigned i = 0; i < FUNCTIONS; i++)
        for (int k = 0; k < ROUNDS / 8; k++) {
            const struct function *f = &functions[i];
            struct f80 a = number(&src, f->a_low, f->a_high), b = number(&src, f->b_low, f->b_high), got;
            uint16_t cw = words[k % 3];
            double error;

            if (f->positive_a)
                a = positive(a);
            error = error_of(f, cw, b, a, &got);
            if (isnan(error))
                continue;
            if (cw == 0xf7f)
                error = got.se & 0x8000 ? -error : error;
            if (cw == 0xb7f ? error < -0.001 || error >= 1.001 : error > 0.001 || error <= -1.001)
                fail_msg("%s, cw %#x: error %g ulp", f->name, cw, error);
        }
}

/* --- RCPSS, RSQRTSS --- */

static float as_float(uint32_t v)
{
    float f;

    memcpy(&f, &v, sizeof(f));
    return f;
}

#if defined(__x86_64__)
static uint32_t host_rcp(uint32_t v)
{
    float f;
    uint32_t out;

    _mm_store_ss(&f, _mm_rcp_ss(_mm_set_ss(as_float(v))));
    memcpy(&out, &f, sizeof(out));
    return out;
}

static uint32_t host_rsqrt(uint32_t v)
{
    float f;
    uint32_t out;

    _mm_store_ss(&f, _mm_rsqrt_ss(_mm_set_ss(as_float(v))));
    memcpy(&out, &f, sizeof(out));
    return out;
}

/* What is no approximation is equal: zeros, denormals (which count as such), infinities, NaNs, negative operands. */
static void special_approximations_equal_the_host(void **state)
{
    static const uint32_t special[] = {0,          1,          0x007fffff, 0x7f800000, 0x7f800001, 0x7fbfffff,
                                       0x7fc00000, 0x7fc12345, 0x7fffffff, 0x3f800000, 0x40800000};
    unsigned i, sign;

    (void)state;
    for (i = 0; i < sizeof(special) / sizeof(special[0]); i++)
        for (sign = 0; sign < 2; sign++) {
            uint32_t v = special[i] | sign << 31;
            bool is_number = (v & 0x7fffffff) - 1 < 0x7f7fffff && (v & 0x7fffffff) >= 0x00800000;

            if (!is_number)
                assert_int_equal(f32_rcp_approx(v), host_rcp(v));
            if (!is_number || sign)
                assert_int_equal(f32_rsqrt_approx(v), host_rsqrt(v));
        }
}
#endif

static double relative_error(uint32_t got, double exact)
{
    return fabs((double)as_float(got) / exact - 1);
}

static void larger(double *to, double v)
{
    if (v > *to)
        *to = v;
}

/* 1.5 * 2^-12 is the manual's bound (SDM vol. 2, RCPPS); ours are within 2^-12. */
static void approximations_keep_the_bound(void **state)
{
    struct operand_source src = {79};
    double rcp = 0, rsqrt = 0, their_rcp = 0, their_rsqrt = 0;
    int i;

    (void)state;
    for (i = 0; i < 400000; i++) {
        uint32_t v = operand_f32(&src) & 0x7fffffff;

        if (v < 0x00800000 || v >= 0x7e800000) /* the reciprocal has to be normal */
            continue;
        larger(&rcp, relative_error(f32_rcp_approx(v), 1 / (double)as_float(v)));
        larger(&rsqrt, relative_error(f32_rsqrt_approx(v), 1 / sqrt((double)as_float(v))));
#if defined(__x86_64__)
        larger(&their_rcp, relative_error(host_rcp(v), 1 / (double)as_float(v)));
        larger(&their_rsqrt, relative_error(host_rsqrt(v), 1 / sqrt((double)as_float(v))));
#endif
    }
    print_message("rcpss           largest relative error %.3f * 2^-12, the host's %.3f * 2^-12\n", rcp * 4096,
                  their_rcp * 4096);
    print_message("rsqrtss         largest relative error %.3f * 2^-12, the host's %.3f * 2^-12\n", rsqrt * 4096,
                  their_rsqrt * 4096);
    assert_true(rcp <= 0x1p-12 && rsqrt <= 0x1p-12);
    assert_true(their_rcp <= 0x1.8p-12 && their_rsqrt <= 0x1.8p-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_err_by_little_more_than_rounding_does),
        cmocka_unit_test(directed_rounding_errs_to_its_side),
        cmocka_unit_test(approximations_keep_the_bound),
#if defined(__x86_64__)
        cmocka_unit_test(special_approximations_equal_the_host),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
