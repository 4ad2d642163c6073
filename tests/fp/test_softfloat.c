/* SPDX-License-Identifier: MIT */
/*
 * binary32 and binary64 arithmetic: hand-checked cases everywhere, and on an x86-64 host every
 * operation against the host's own SSE instruction, in every rounding mode, with and without DAZ and
 * FTZ. The SSE operations compared are specified to the bit, so any host serves as the oracle.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "fp.h"
#include "fp_fast.h"
#include "fp_operands.h"

static struct fp_env masked_env(void)
{
    return fp_env_from_mxcsr(0x1f80);
}

static void addition_rounds_ties_to_even(void **state)
{
    (void)state;
    struct fp_env env = masked_env();

    /* 1 + 2^-53 is a tie; 1 + 3 * 2^-53 is one too, and goes up */
    assert_int_equal(f64_add(&env, 0x3ff0000000000000, 0x3ca0000000000000), 0x3ff0000000000000);
    assert_int_equal(env.flags, FP_PE);
    assert_int_equal(f64_add(&env, 0x3ff0000000000001, 0x3ca0000000000000), 0x3ff0000000000002);
}

static void exact_cancellation_gives_minus_zero_only_when_rounding_down(void **state)
{
    (void)state;
    struct fp_env env = masked_env();

    assert_int_equal(f64_sub(&env, 0x4000000000000000, 0x4000000000000000), 0);
    env.rounding = FP_DOWN;
    assert_int_equal(f64_sub(&env, 0x4000000000000000, 0x4000000000000000), 0x8000000000000000);
    assert_int_equal(env.flags, 0);
}

static void first_nan_operand_is_returned_quieted(void **state)
{
    (void)state;
    struct fp_env env = masked_env();

    assert_int_equal(f32_mul(&env, 0x7fc00001, 0x7f800002), 0x7fc00001);
    assert_int_equal(env.flags, FP_IE);
    env.flags = 0;
    assert_int_equal(f32_mul(&env, 0x3f800000, 0xff800002), 0xffc00002);
    assert_int_equal(env.flags, FP_IE);
    env.flags = 0;
    assert_int_equal(f32_mul(&env, 0x7fc00001, 0x00000001), 0x7fc00001);
    assert_int_equal(env.flags, 0); /* a quiet NaN hides the denormal operand */
}

static void invalid_operations_give_the_default_nan(void **state)
{
    (void)state;
    struct fp_env env = masked_env();

    assert_int_equal(f64_div(&env, 0, 0), F64_DEFAULT_NAN);
    assert_int_equal(f64_mul(&env, 0, 0x7ff0000000000000), F64_DEFAULT_NAN);
    assert_int_equal(f64_sub(&env, 0x7ff0000000000000, 0x7ff0000000000000), F64_DEFAULT_NAN);
    assert_int_equal(f64_sqrt(&env, 0xbff0000000000000), F64_DEFAULT_NAN);
    assert_int_equal(env.flags, FP_IE);
}

static void underflow_is_detected_after_rounding(void **state)
{
    (void)state;
    struct fp_env env = masked_env();
    uint64_t least_normal = 0x0010000000000000;

    /* (1 - 2^-53) * 2^-1022 is halfway between two denormals, and below the normal range even when
     * rounded to 53 bits with an unbounded exponent: tiny, though what is delivered is normal */
    assert_int_equal(f64_mul(&env, least_normal, 0x3fefffffffffffff), least_normal);
    assert_int_equal(env.flags, FP_UE | FP_PE);
    /* nearer to 1 than 53 bits can tell: the rounded value is normal, so there is no underflow */
    env.flags = 0;
    assert_int_equal(f64_mul(&env, 0x3ff0000000000001, 0x000fffffffffffff), least_normal);
    assert_int_equal(env.flags & FP_PE, FP_PE);
}

static void masked_exact_denormal_result_raises_nothing(void **state)
{
    (void)state;
    struct fp_env env = masked_env();

    assert_int_equal(f64_mul(&env, 0x0010000000000000, 0x3fe0000000000000), 0x0008000000000000);
    assert_int_equal(env.flags, 0);
    env.masked &= (uint8_t)~FP_UE;
    f64_mul(&env, 0x0010000000000000, 0x3fe0000000000000);
    assert_int_equal(env.flags, FP_UE);
}

static void flush_to_zero_keeps_the_sign(void **state)
{
    (void)state;
    struct fp_env env = masked_env();

    env.ftz = true;
    assert_int_equal(f64_mul(&env, 0x8010000000000000, 0x3fe0000000000000), 0x8000000000000000);
    assert_int_equal(env.flags, FP_UE | FP_PE);
}

static void conversion_out_of_range_gives_integer_indefinite(void **state)
{
    (void)state;
    struct fp_env env = masked_env();

    assert_int_equal(f64_to_i32(&env, 0x41e0000000000000, FP_TRUNCATE), 0x80000000u);
    assert_int_equal(env.flags, FP_IE);
    env.flags = 0;
    assert_int_equal(f64_to_i32(&env, 0xc1e0000000000000, FP_TRUNCATE), 0x80000000u); /* -2^31 */
    assert_int_equal(env.flags, 0);
    assert_int_equal(f64_to_i32(&env, 0xc1e00000001fffff, FP_TRUNCATE), 0x80000000u);
    assert_int_equal(env.flags, FP_PE);
    env.flags = 0;
    assert_int_equal(f32_to_i64(&env, 0x7fc00000, FP_NEAREST), 0x8000000000000000u);
    assert_int_equal(env.flags, FP_IE);
}

static double as_double(uint64_t bits)
{
    double d;

    __builtin_memcpy(&d, &bits, sizeof(d));
    return d;
}
static float as_float(uint32_t bits)
{
    float f;

    __builtin_memcpy(&f, &bits, sizeof(f));
    return f;
}

static void reciprocal_approximations_keep_their_bound(void **state)
{
    (void)state;
    struct operand_source src = {42};

    for (int i = 0; i < 200000; i++) {
        uint32_t x = operand_f32(&src) & 0x7fffffff;
        if (x < 0x00800000 || x >= 0x7e800000)
            continue;
        double v = as_float(x), r = as_float(f32_rcp_approx(x)), q = as_float(f32_rsqrt_approx(x));
        double rcp_err = r * v - 1, sqrt_err = q * q * v - 1;
        assert_true(rcp_err < 0x1p-12 && rcp_err > -0x1p-12);
        assert_true(sqrt_err < 0x1.01p-11 && sqrt_err > -0x1.01p-11);
    }
    assert_int_equal(f32_rcp_approx(0x3f800000), 0x3f800000);
    assert_int_equal(f32_rcp_approx(0x80000000), 0xff800000);
    assert_int_equal(f32_rcp_approx(0x00000001), 0x7f800000);
    assert_int_equal(f32_rcp_approx(0xff800000), 0x80000000);
    assert_int_equal(f32_rcp_approx(0x7f000000), 0x00000000);
    assert_int_equal(f32_rsqrt_approx(0x40800000), 0x3f000000);
    assert_int_equal(f32_rsqrt_approx(0xbf800000), F32_DEFAULT_NAN);
    assert_int_equal(f32_rsqrt_approx(0x80000000), 0xff800000);
}

/* fp_fast.h either declines or agrees. */
static void fast_path_agrees_with_softfloat(void **state)
{
    (void)state;
    struct operand_source src = {7};
    unsigned taken = 0;

    for (int i = 0; i < 400000; i++) {
        uint64_t a = operand_f64(&src), b = operand_f64(&src), r;
        uint32_t c = operand_f32(&src), d = operand_f32(&src), s;
#define AGREE(call, soft)                                                                          \
    do {                                                                                           \
        struct fp_env env = masked_env();                                                          \
        if (call) {                                                                                \
            taken++;                                                                               \
            soft;                                                                                  \
            assert_int_equal(env.flags & ~FP_PE, 0);                                               \
        }                                                                                          \
    } while (0)
        AGREE(fp_fast64_add(a, b, &r), assert_int_equal(r, f64_add(&env, a, b)));
        AGREE(fp_fast64_sub(a, b, &r), assert_int_equal(r, f64_sub(&env, a, b)));
        AGREE(fp_fast64_mul(a, b, &r), assert_int_equal(r, f64_mul(&env, a, b)));
        AGREE(fp_fast64_div(a, b, &r), assert_int_equal(r, f64_div(&env, a, b)));
        AGREE(fp_fast64_sqrt(a, &r), assert_int_equal(r, f64_sqrt(&env, a)));
        AGREE(fp_fast32_add(c, d, &s), assert_int_equal(s, f32_add(&env, c, d)));
        AGREE(fp_fast32_sub(c, d, &s), assert_int_equal(s, f32_sub(&env, c, d)));
        AGREE(fp_fast32_mul(c, d, &s), assert_int_equal(s, f32_mul(&env, c, d)));
        AGREE(fp_fast32_div(c, d, &s), assert_int_equal(s, f32_div(&env, c, d)));
        AGREE(fp_fast32_sqrt(c, &s), assert_int_equal(s, f32_sqrt(&env, c)));
        AGREE(fp_fast_64_to_32(a, &s), assert_int_equal(s, f64_to_f32(&env, a)));
        AGREE(fp_fast_32_to_64(c, &r), assert_int_equal(r, f32_to_f64(&env, c)));
        AGREE(fp_fast64_to_i32(a, &s), assert_int_equal(s, f64_to_i32(&env, a, FP_TRUNCATE)));
        AGREE(fp_fast64_to_i64(a, &r), assert_int_equal(r, f64_to_i64(&env, a, FP_TRUNCATE)));
        AGREE(fp_fast32_to_i32(c, &s), assert_int_equal(s, f32_to_i32(&env, c, FP_TRUNCATE)));
        AGREE(fp_fast64_comparable(a) && fp_fast64_comparable(b),
              assert_int_equal(as_double(a) < as_double(b),
                               f64_compare(&env, a, b, true) == FP_LESS));
    }
    assert_true(taken > 1000000);
    assert_true(fp_fast_allowed(0x1fa0));
    assert_true(fp_fast_allowed(0x9fff));
    assert_false(fp_fast_allowed(0x1f80)); /* PE is not set yet */
    assert_false(fp_fast_allowed(0x0fa0));
    assert_false(fp_fast_allowed(0x3fa0));
}

#if defined(__x86_64__)
#define ROUNDS 30000

static uint32_t host_mxcsr;

#define HOST_OP(insn, load, type, a, b, out)                                                       \
    do {                                                                                           \
        uint32_t saved_;                                                                           \
        __asm__ volatile("stmxcsr %1\n\tldmxcsr %2\n\t" load " %3, %%xmm0\n\t" load                \
                         " %4, %%xmm1\n\t" insn " %%xmm1, %%xmm0\n\t" load                         \
                         " %%xmm0, %0\n\tstmxcsr %2\n\tldmxcsr %1"                                 \
                         : "=m"(out), "=m"(saved_), "+m"(host_mxcsr)                               \
                         : "m"(a), "m"(b)                                                          \
                         : "xmm0", "xmm1");                                                        \
    } while (0)
#define HOST_TO_INT(insn, load, reg, a, out)                                                       \
    do {                                                                                           \
        uint32_t saved_;                                                                           \
        __asm__ volatile("stmxcsr %1\n\tldmxcsr %2\n\t" load " %3, %%xmm0\n\t" insn " %%xmm0, %" reg  \
                         "0\n\tstmxcsr %2\n\tldmxcsr %1"                                           \
                         : "=r"(out), "=m"(saved_), "+m"(host_mxcsr)                               \
                         : "m"(a)                                                                  \
                         : "xmm0");                                                                \
    } while (0)
#define HOST_FROM_INT(insn, load, a, out)                                                          \
    do {                                                                                           \
        uint32_t saved_;                                                                           \
        __asm__ volatile("stmxcsr %1\n\tldmxcsr %2\n\tpxor %%xmm0, %%xmm0\n\t" insn                \
                         " %3, %%xmm0\n\t" load " %%xmm0, %0\n\tstmxcsr %2\n\tldmxcsr %1"          \
                         : "=m"(out), "=m"(saved_), "+m"(host_mxcsr)                               \
                         : "r"(a)                                                                  \
                         : "xmm0");                                                                \
    } while (0)

static void check(const char *what, uint32_t mxcsr, uint64_t a, uint64_t b, uint64_t got,
                  uint64_t want, unsigned flags)
{
    if (got == want && flags == (host_mxcsr & FP_ALL))
        return;
    fail_msg("%s %#llx, %#llx, mxcsr %#x: %#llx flags %#x, host %#llx flags %#x", what,
             (unsigned long long)a, (unsigned long long)b, mxcsr, (unsigned long long)got, flags,
             (unsigned long long)want, host_mxcsr & FP_ALL);
}

#define ENV()                                                                                      \
    struct fp_env env = fp_env_from_mxcsr(mxcsr);                                                  \
    host_mxcsr = mxcsr
#define BINARY(insn, load, t, a, b, call)                                                          \
    do {                                                                                           \
        t want_ = 0;                                                                               \
        ENV();                                                                                     \
        t got_ = call;                                                                             \
        HOST_OP(insn, load, t, a, b, want_);                                                       \
        check(insn, mxcsr, a, b, got_, want_, env.flags);                                          \
    } while (0)
#define TO_INT(insn, load, t, reg, a, call)                                                        \
    do {                                                                                           \
        t want_ = 0;                                                                               \
        ENV();                                                                                     \
        t got_ = call;                                                                             \
        HOST_TO_INT(insn, load, reg, a, want_);                                                    \
        check(insn, mxcsr, a, 0, got_, want_, env.flags);                                          \
    } while (0)
#define FROM_INT(insn, load, t, a, call)                                                           \
    do {                                                                                           \
        t want_ = 0;                                                                               \
        ENV();                                                                                     \
        t got_ = call;                                                                             \
        HOST_FROM_INT(insn, load, a, want_);                                                       \
        check(insn, mxcsr, (uint64_t)(a), 0, got_, want_, env.flags);                              \
    } while (0)
#define COMPARE(insn, load, t, a, b, call)                                                         \
    do {                                                                                           \
        static const uint8_t codes_[] = {1, 0x40, 0, 0x45}; /* CF, ZF, none, all */                \
        uint64_t fl_;                                                                              \
        uint32_t saved_;                                                                           \
        ENV();                                                                                     \
        unsigned got_ = codes_[call];                                                              \
        __asm__ volatile("stmxcsr %1\n\tldmxcsr %2\n\t" load " %3, %%xmm0\n\t" load                \
                         " %4, %%xmm1\n\t" insn " %%xmm1, %%xmm0\n\tpushfq\n\tpop %0\n\t"          \
                         "stmxcsr %2\n\tldmxcsr %1"                                                \
                         : "=r"(fl_), "=m"(saved_), "+m"(host_mxcsr)                               \
                         : "m"(a), "m"(b)                                                          \
                         : "xmm0", "xmm1", "cc");                                                  \
        check(insn, mxcsr, a, b, got_, fl_ & 0x45, env.flags);                                     \
    } while (0)

typedef void host_case(uint32_t mxcsr, struct operand_source *src);

static void each_mode(host_case *fn)
{
    struct operand_source src = {1};

    for (uint32_t mode = 0; mode < 16; mode++) {
        uint32_t mxcsr = 0x1f80 | (mode & 3) << 13 | (mode & 4) << 4 | (mode & 8) << 12;
        for (int i = 0; i < ROUNDS; i++)
            fn(mxcsr, &src);
    }
}

static void case_arith32(uint32_t mxcsr, struct operand_source *src)
{
    uint32_t a = operand_f32(src), b = operand_f32(src);

    BINARY("addss", "movss", uint32_t, a, b, f32_add(&env, a, b));
    BINARY("subss", "movss", uint32_t, a, b, f32_sub(&env, a, b));
    BINARY("mulss", "movss", uint32_t, a, b, f32_mul(&env, a, b));
    BINARY("divss", "movss", uint32_t, a, b, f32_div(&env, a, b));
    BINARY("sqrtss", "movss", uint32_t, a, b, f32_sqrt(&env, b));
    BINARY("minss", "movss", uint32_t, a, b, f32_min(&env, a, b));
    BINARY("maxss", "movss", uint32_t, a, b, f32_max(&env, a, b));
    COMPARE("comiss", "movss", uint32_t, a, b, f32_compare(&env, a, b, true));
    COMPARE("ucomiss", "movss", uint32_t, a, b, f32_compare(&env, a, b, false));
}

static void case_arith64(uint32_t mxcsr, struct operand_source *src)
{
    uint64_t a = operand_f64(src), b = operand_f64(src);

    BINARY("addsd", "movsd", uint64_t, a, b, f64_add(&env, a, b));
    BINARY("subsd", "movsd", uint64_t, a, b, f64_sub(&env, a, b));
    BINARY("mulsd", "movsd", uint64_t, a, b, f64_mul(&env, a, b));
    BINARY("divsd", "movsd", uint64_t, a, b, f64_div(&env, a, b));
    BINARY("sqrtsd", "movsd", uint64_t, a, b, f64_sqrt(&env, b));
    BINARY("minsd", "movsd", uint64_t, a, b, f64_min(&env, a, b));
    BINARY("maxsd", "movsd", uint64_t, a, b, f64_max(&env, a, b));
    COMPARE("comisd", "movsd", uint64_t, a, b, f64_compare(&env, a, b, true));
    COMPARE("ucomisd", "movsd", uint64_t, a, b, f64_compare(&env, a, b, false));
}

static void case_convert(uint32_t mxcsr, struct operand_source *src)
{
    uint32_t a = operand_f32(src);
    uint64_t b = operand_f64(src);
    int64_t i = (int64_t)operand_fraction(src, 64);
    int32_t j = (int32_t)operand_fraction(src, 32);

    TO_INT("cvtss2sil", "movss", uint32_t, "", a, f32_to_i32(&env, a, env.rounding));
    TO_INT("cvttss2sil", "movss", uint32_t, "", a, f32_to_i32(&env, a, FP_TRUNCATE));
    TO_INT("cvtss2siq", "movss", uint64_t, "", a, f32_to_i64(&env, a, env.rounding));
    TO_INT("cvttss2siq", "movss", uint64_t, "", a, f32_to_i64(&env, a, FP_TRUNCATE));
    TO_INT("cvtsd2sil", "movsd", uint32_t, "", b, f64_to_i32(&env, b, env.rounding));
    TO_INT("cvttsd2sil", "movsd", uint32_t, "", b, f64_to_i32(&env, b, FP_TRUNCATE));
    TO_INT("cvtsd2siq", "movsd", uint64_t, "", b, f64_to_i64(&env, b, env.rounding));
    TO_INT("cvttsd2siq", "movsd", uint64_t, "", b, f64_to_i64(&env, b, FP_TRUNCATE));
    FROM_INT("cvtsi2ssq", "movss", uint32_t, i, f32_from_i64(&env, i));
    FROM_INT("cvtsi2sdq", "movsd", uint64_t, i, f64_from_i64(&env, i));
    FROM_INT("cvtsi2ssl", "movss", uint32_t, j, f32_from_i64(&env, j));
    FROM_INT("cvtsi2sdl", "movsd", uint64_t, j, f64_from_i64(&env, j));
    BINARY("cvtss2sd", "movsd", uint64_t, b, b, f32_to_f64(&env, (uint32_t)b));
    BINARY("cvtsd2ss", "movsd", uint64_t, b, b, (b & ~0xffffffffull) | f64_to_f32(&env, b));
    if (__builtin_cpu_supports("sse4.1")) {
        BINARY("roundss $4,", "movss", uint32_t, a, a, f32_round_to_integral(&env, a));
        BINARY("roundsd $4,", "movsd", uint64_t, b, b, f64_round_to_integral(&env, b));
    }
}

static void arithmetic_f32_equals_the_host(void **state)
{
    (void)state;
    each_mode(case_arith32);
}
static void arithmetic_f64_equals_the_host(void **state)
{
    (void)state;
    each_mode(case_arith64);
}
static void conversions_equal_the_host(void **state)
{
    (void)state;
    each_mode(case_convert);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addition_rounds_ties_to_even),
        cmocka_unit_test(exact_cancellation_gives_minus_zero_only_when_rounding_down),
        cmocka_unit_test(first_nan_operand_is_returned_quieted),
        cmocka_unit_test(invalid_operations_give_the_default_nan),
        cmocka_unit_test(underflow_is_detected_after_rounding),
        cmocka_unit_test(masked_exact_denormal_result_raises_nothing),
        cmocka_unit_test(flush_to_zero_keeps_the_sign),
        cmocka_unit_test(conversion_out_of_range_gives_integer_indefinite),
        cmocka_unit_test(reciprocal_approximations_keep_their_bound),
        cmocka_unit_test(fast_path_agrees_with_softfloat),
#if defined(__x86_64__)
        cmocka_unit_test(arithmetic_f32_equals_the_host),
        cmocka_unit_test(arithmetic_f64_equals_the_host),
        cmocka_unit_test(conversions_equal_the_host),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
