/* SPDX-License-Identifier: MIT */
/*
 * The x87's 80-bit arithmetic. On an x86-64 host every operation is compared with the host's own
 * instruction under all rounding and precision controls, with exceptions masked and unmasked: the
 * x87 reports an unmasked exception only at the next waiting instruction, so that its response can be
 * read off without a signal. Transcendental functions are compared with a tolerance, and with values
 * known to more digits than the format has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "fp.h"
#include "fp_operands.h"

static struct f80 f80(uint16_t se, uint64_t sig)
{
    return (struct f80){sig, se};
}

static void assert_f80(struct f80 got, uint16_t se, uint64_t sig)
{
    if (got.se != se || got.sig != sig)
        fail_msg("%04x %016llx, expected %04x %016llx", got.se, (unsigned long long)got.sig, se,
                 (unsigned long long)sig);
}

static void precision_control_narrows_the_significand_only(void **state)
{
    (void)state;
    struct fp_env env = fp_env_from_fcw(0x007f); /* 24 bits */
    struct f80 big = f80(0x7000, 0x8000000000000001);

    assert_f80(f80_add(&env, big, f80(0, 0)), 0x7000, 0x8000000000000000);
    assert_int_equal(env.flags, FP_PE); /* no overflow, though far outside of binary32 */
}

static void unmasked_overflow_wraps_the_exponent(void **state)
{
    (void)state;
    struct fp_env env = fp_env_from_fcw(0x0377);
    struct f80 r = f80_mul(&env, f80(0x7ffe, 0x8000000000000000), f80(0x4000, 0x8000000000000000));

    assert_f80(r, 0x7fff - 24576, 0x8000000000000000);
    assert_int_equal(env.flags, FP_OE);
}

static void quiet_nan_is_preferred_to_signalling_one(void **state)
{
    (void)state;
    struct fp_env env = fp_env_from_fcw(FCW_INIT);

    assert_f80(f80_add(&env, f80(0x7fff, 0xbfffffffffffffff), f80(0x7fff, 0xc000000000000001)), 0x7fff,
               0xc000000000000001);
    assert_int_equal(env.flags, FP_IE);
}

static void remainder_of_far_exponents_is_partial(void **state)
{
    (void)state;
    struct fp_env env = fp_env_from_fcw(FCW_INIT);
    struct f80 a = f80(0x3fff + 200, 0xffffffffffffffff), b = f80(0x4000, 0xc000000000000000);
    unsigned q, steps = 0;
    bool partial;

    do {
        a = f80_rem(&env, a, b, false, &q, &partial);
        steps++;
    } while (partial);
    /* (2^64 - 1) * 2^137 mod 3 = 0 */
    assert_f80(a, 0, 0);
    assert_in_range(steps, 2, 6);
    a = f80_rem(&env, f80(0x4001, 0xa000000000000000), b, true, &q, &partial);
    assert_f80(a, 0xbfff, 0x8000000000000000); /* 5 - 2 * 3 */
    assert_int_equal(q, 2);
}

static void packed_decimal_round_trip(void **state)
{
    (void)state;
    struct fp_env env = fp_env_from_fcw(FCW_INIT);
    static const uint8_t in[10] = {0x99, 0x78, 0x56, 0x34, 0x12, 0x90, 0x78, 0x56, 0x94, 0x80};
    static const uint8_t indefinite[10] = {0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff};
    uint8_t out[10];

    f80_to_bcd(&env, f80_from_bcd(in), out);
    assert_memory_equal(in, out, 10);
    assert_int_equal(env.flags, 0);
    f80_to_bcd(&env, f80_from_i64(1000000000000000000), out);
    assert_memory_equal(out, indefinite, 10);
    assert_int_equal(env.flags, FP_IE);
}

static void constants_follow_the_rounding_control(void **state)
{
    (void)state;
    struct fp_env env = fp_env_from_fcw(FCW_INIT);

    assert_f80(f80_constant(&env, F80_PI), 0x4000, 0xc90fdaa22168c235);
    env.rounding = FP_TRUNCATE;
    assert_f80(f80_constant(&env, F80_PI), 0x4000, 0xc90fdaa22168c234);
    assert_f80(f80_constant(&env, F80_LN_2), 0x3ffe, 0xb17217f7d1cf79ab);
    assert_int_equal(env.flags, 0);
}

/* Correctly rounded values, from a computation with 60 digits. */
static void transcendentals_have_known_values(void **state)
{
    (void)state;
    struct fp_env env = fp_env_from_fcw(FCW_INIT);
    struct f80 one = f80(0x3fff, 0x8000000000000000), s, c;

    assert_true(f80_sincos(&env, one, &s, &c));
    assert_f80(s, 0x3ffe, 0xd76aa47848677021); /* sin 1 */
    assert_f80(c, 0x3ffe, 0x8a51407da8345c92); /* cos 1 */
    assert_true(f80_tan(&env, one, &s));
    assert_f80(s, 0x3fff, 0xc75922e5f71d2dc5); /* tan 1 */
    assert_f80(f80_atan2(&env, one, one), 0x3ffe, 0xc90fdaa22168c235);
    assert_f80(f80_atan2(&env, one, f80(0x4000, 0x8000000000000000)), 0x3ffd, 0xed63382b0dda7b45);
    assert_f80(f80_yl2x(&env, one, f80(0x4002, 0xa000000000000000)), 0x4000, 0xd49a784bcd1b8afe);
    assert_f80(f80_2xm1(&env, f80(0x3ffe, 0x8000000000000000)), 0x3ffd, 0xd413cccfe7799211);
    assert_f80(f80_yl2xp1(&env, one, f80(0x3ffd, 0x8000000000000000)), 0x3ffd, 0xa4d3c25e68dc57f2);
    assert_int_equal(env.flags, FP_PE);
    /* exact ones raise nothing */
    env.flags = 0;
    assert_f80(f80_yl2x(&env, one, f80(0x3fff + 10, 0x8000000000000000)), 0x4002, 0xa000000000000000);
    assert_f80(f80_2xm1(&env, one), 0x3fff, 0x8000000000000000);
    assert_int_equal(env.flags, 0);
    assert_false(f80_sincos(&env, f80(0x3fff + 63, 0x8000000000000000), &s, &c));
}

static void directed_rounding_brackets_transcendentals(void **state)
{
    (void)state;
    struct operand_source src = {11};

    for (int i = 0; i < 20000; i++) {
        struct f80 x = f80((uint16_t)(0x3fff - operand_bits(&src) % 80),
                           operand_bits(&src) | 0x8000000000000000);
        struct fp_env down = fp_env_from_fcw(0x077f), up = fp_env_from_fcw(0x0b7f);
        struct f80 lo, hi;
        assert_true(f80_sincos(&down, x, &lo, NULL));
        assert_true(f80_sincos(&up, x, &hi, NULL));
        assert_int_equal((hi.se == lo.se ? hi.sig - lo.sig : hi.sig * 2 - lo.sig), 1);
        lo = f80_2xm1(&down, x);
        hi = f80_2xm1(&up, x);
        if (x.se < 0x3fff)
            assert_true(hi.sig - lo.sig == 1 || hi.sig * 2 - lo.sig == 1);
    }
}

#if defined(__x86_64__)
#define ROUNDS 6000

struct host_result {
    struct f80 st0;
    uint16_t sw;
};

static struct host_result host;

static void to_bytes(struct f80 v, uint8_t b[10])
{
    memcpy(b, &v.sig, 8);
    memcpy(b + 8, &v.se, 2);
}
static struct f80 from_bytes(const uint8_t b[10])
{
    struct f80 v;

    memcpy(&v.sig, b, 8);
    memcpy(&v.se, b + 8, 2);
    return v;
}

/* ST(1) = b, ST(0) = a; the instruction; FSW; the top of the stack. */
#define HOST_X87(insn, cw, a, b)                                                                   \
    do {                                                                                           \
        uint8_t a_[10], b_[10], r_[10];                                                            \
        to_bytes(a, a_);                                                                           \
        to_bytes(b, b_);                                                                           \
        __asm__ volatile("fninit\n\tfldt %3\n\tfldt %2\n\tfldcw %4\n\t" insn                       \
                         "\n\tfnstsw %1\n\tfnclex\n\tfstpt %0\n\tfninit"                           \
                         : "=m"(r_), "=m"(host.sw)                                                 \
                         : "m"(a_), "m"(b_), "m"(cw)                                               \
                         : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");   \
        host.st0 = from_bytes(r_);                                                                 \
    } while (0)
/* ST(0) = a; a store to memory of the given size. */
#define HOST_STORE(insn, cw, a, out)                                                               \
    do {                                                                                           \
        uint8_t a_[10];                                                                            \
        to_bytes(a, a_);                                                                           \
        __asm__ volatile("fninit\n\tfldt %2\n\tfldcw %3\n\t" insn                                  \
                         " %0\n\tfnstsw %1\n\tfninit"                                              \
                         : "+m"(out), "=m"(host.sw)                                                \
                         : "m"(a_), "m"(cw)                                                        \
                         : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");   \
    } while (0)

static void mismatch(const char *what, uint16_t cw, struct f80 a, struct f80 b, struct f80 got,
                     const struct fp_env *env)
{
    fail_msg("%s cw %#x: %04x:%016llx, %04x:%016llx: %04x:%016llx flags %#x up %d; host "
             "%04x:%016llx sw %#x",
             what, cw, a.se, (unsigned long long)a.sig, b.se, (unsigned long long)b.sig, got.se,
             (unsigned long long)got.sig, env->flags, env->rounded_up, host.st0.se,
             (unsigned long long)host.st0.sig, host.sw);
}

/* Result, flags and C1; the operands stay when an exception stopped the operation. */
static void compare(const char *what, uint16_t cw, struct f80 a, struct f80 b, struct f80 got,
                    const struct fp_env *env, bool check_c1)
{
    bool stopped = (env->flags & ~env->masked & FP_PRE) != 0;

    if ((host.sw & FP_ALL) != env->flags)
        mismatch(what, cw, a, b, got, env);
    if (!stopped && (got.se != host.st0.se || got.sig != host.st0.sig))
        mismatch(what, cw, a, b, got, env);
    if (check_c1 && !stopped && ((host.sw & FSW_C1) != 0) != env->rounded_up)
        mismatch(what, cw, a, b, got, env);
}

#define CHECK(insn, call)                                                                          \
    do {                                                                                           \
        struct fp_env env = fp_env_from_fcw(cw);                                                   \
        struct f80 got_ = call;                                                                    \
        HOST_X87(insn, cw, a, b);                                                                  \
        compare(insn, cw, a, b, got_, &env, true);                                                 \
    } while (0)

typedef void x87_case(uint16_t cw, struct operand_source *src);

static void each_control_word(x87_case *fn)
{
    static const uint8_t masks[] = {0x3f, 0x3f, 0x3e, 0x3d, 0x3b, 0x37, 0x2f, 0x1f, 0x00};
    struct operand_source src = {3};

    for (unsigned rc = 0; rc < 4; rc++) {
        for (unsigned pc = 0; pc < 4; pc++) {
            if (pc == 1)
                continue;
            for (unsigned m = 0; m < sizeof(masks); m++) {
                for (int i = 0; i < ROUNDS / 4; i++)
                    fn((uint16_t)(rc << 10 | pc << 8 | 0x40 | masks[m]), &src);
            }
        }
    }
}

static struct f80 random_f80(struct operand_source *src)
{
    struct f80 v;

    operand_f80(src, &v.sig, &v.se);
    return v;
}

static void case_arithmetic(uint16_t cw, struct operand_source *src)
{
    struct f80 a = random_f80(src), b = random_f80(src);

    CHECK("fadd %%st(1), %%st", f80_add(&env, a, b));
    CHECK("fsub %%st(1), %%st", f80_sub(&env, a, b));
    CHECK("fsubr %%st(1), %%st", f80_sub(&env, b, a));
    CHECK("fmul %%st(1), %%st", f80_mul(&env, a, b));
    CHECK("fdiv %%st(1), %%st", f80_div(&env, a, b));
    CHECK("fdivr %%st(1), %%st", f80_div(&env, b, a));
    CHECK("fsqrt", f80_sqrt(&env, a));
    CHECK("frndint", f80_round_to_integral(&env, a));
    CHECK("fscale", f80_scale(&env, a, b));
    if ((operand_bits(src) & 3) == 0) {
        struct f80 small = f80_from_i64((int64_t)(operand_bits(src) % 40000) - 20000);
        b = small;
        CHECK("fscale", f80_scale(&env, a, b));
    }
}

static void case_remainder(uint16_t cw, struct operand_source *src)
{
    struct f80 a = random_f80(src), b = random_f80(src);

    for (int nearest = 0; nearest < 2; nearest++) {
        struct fp_env env = fp_env_from_fcw(cw);
        unsigned q;
        bool partial;
        struct f80 got = f80_rem(&env, a, b, nearest != 0, &q, &partial);
        if (nearest)
            HOST_X87("fprem1", cw, a, b);
        else
            HOST_X87("fprem", cw, a, b);
        compare("fprem", cw, a, b, got, &env, false);
        unsigned c = (host.sw & FSW_C0 ? 4u : 0) | (host.sw & FSW_C3 ? 2u : 0) |
                     (host.sw & FSW_C1 ? 1u : 0);
        bool special = (env.flags & FP_IE) || (env.flags & ~env.masked & FP_PRE);
        if (!special && (got.se & 0x7fff) != 0x7fff &&
            (partial != ((host.sw & FSW_C2) != 0) || (!partial && c != q)))
            mismatch("fprem quotient", cw, a, b, got, &env);
    }
}

static void case_compare(uint16_t cw, struct operand_source *src)
{
    static const uint16_t codes[] = {FSW_C0, FSW_C3, 0, FSW_C0 | FSW_C2 | FSW_C3};
    struct f80 a = random_f80(src), b = random_f80(src);

    for (int signaling = 0; signaling < 2; signaling++) {
        struct fp_env env = fp_env_from_fcw(cw);
        enum fp_relation r = f80_compare(&env, a, b, signaling != 0);
        if (signaling)
            HOST_X87("fcom %%st(1)", cw, a, b);
        else
            HOST_X87("fucom %%st(1)", cw, a, b);
        if ((host.sw & FP_ALL) != env.flags ||
            (!(env.flags & ~env.masked & FP_PRE) &&
             (host.sw & (FSW_C0 | FSW_C2 | FSW_C3)) != codes[r]))
            mismatch("fcom", cw, a, b, a, &env);
    }
    struct fp_env env = fp_env_from_fcw(cw);
    struct f80 significand, exponent = f80_extract(&env, a, &significand);
    HOST_X87("fxtract", cw, a, b);
    compare("fxtract", cw, a, b, significand, &env, false);
    if ((cw & FP_ALL) == FP_ALL) {
        HOST_X87("fxtract\n\tfxch", cw, a, b);
        compare("fxtract exponent", cw, a, b, exponent, &env, false);
    }
    HOST_X87("fxam", cw, a, b);
    unsigned class = (host.sw & FSW_C3 ? 4u : 0) | (host.sw & FSW_C2 ? 2u : 0) |
                     (host.sw & FSW_C0 ? 1u : 0);
    if (class != f80_classify(a))
        mismatch("fxam", cw, a, b, a, &env);
}

#define CHECK_STORE(insn, type, call, stored)                                                      \
    do {                                                                                           \
        struct fp_env env = fp_env_from_fcw(cw);                                                   \
        type want_ = 0;                                                                            \
        type got_ = (type)(call);                                                                  \
        HOST_STORE(insn, cw, a, want_);                                                            \
        host.st0 = f80(0, (uint64_t)want_);                                                        \
        unsigned unmasked_ = env.flags & ~env.masked;                                              \
        if (unmasked_ & (FP_OE | FP_UE)) /* PE then differs between processors */                  \
            host.sw = (uint16_t)((host.sw & ~FP_PE) | (env.flags & FP_PE));                        \
        if ((host.sw & FP_ALL) != env.flags || (!(unmasked_ & (stored)) && got_ != want_) ||       \
            (!(unmasked_ & (stored)) && ((host.sw & FSW_C1) != 0) != env.rounded_up))              \
            mismatch(insn, cw, a, a, f80(0, (uint64_t)got_), &env);                                \
    } while (0)

static void case_convert(uint16_t cw, struct operand_source *src)
{
    struct f80 a = random_f80(src), b = a;

    if (operand_bits(src) & 1) /* near the range of the formats */
        a.se = (uint16_t)((a.se & 0x8000) | (0x3fff - 1100 + operand_bits(src) % 2200));
    if (operand_bits(src) & 1)
        a.se = (uint16_t)((a.se & 0x8000) | (0x3fff - 5 + operand_bits(src) % 75));
    CHECK_STORE("fsts", uint32_t, f80_to_f32(&env, a), FP_IE | FP_OE | FP_UE);
    CHECK_STORE("fstl", uint64_t, f80_to_f64(&env, a), FP_IE | FP_OE | FP_UE);
    CHECK_STORE("fists", int16_t, f80_to_int(&env, a, 16, env.rounding), FP_IE);
    CHECK_STORE("fistl", int32_t, f80_to_int(&env, a, 32, env.rounding), FP_IE);
    CHECK_STORE("fistpll", int64_t, f80_to_int(&env, a, 64, env.rounding), FP_IE);

    struct fp_env env = fp_env_from_fcw(cw);
    uint8_t got[10], want[10] = {0};
    f80_to_bcd(&env, a, got);
    HOST_STORE("fbstp", cw, a, want);
    if ((host.sw & FP_ALL) != env.flags ||
        (!(env.flags & ~env.masked & FP_IE) && memcmp(got, want, 10) != 0))
        mismatch("fbstp", cw, a, a, from_bytes(got), &env);

    uint32_t f = operand_f32(src);
    uint64_t d = operand_f64(src);
    env = fp_env_from_fcw(cw);
    struct f80 r = f80_from_f32(&env, f);
    __asm__ volatile("" : : "m"(f), "m"(d));
#define HOST_LOAD(insn, m)                                                                         \
    __asm__ volatile("fninit\n\tfldcw %3\n\t" insn " %2\n\tfnstsw %1\n\tfnclex\n\tfstpt %0\n\tfninit" \
                     : "=m"(want), "=m"(host.sw)                                                   \
                     : "m"(m), "m"(cw)                                                             \
                     : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)")
    if ((cw & FP_ALL) == FP_ALL) {
        HOST_LOAD("flds", f);
        host.st0 = from_bytes(want);
        compare("flds", cw, f80(0, f), f80(0, 0), r, &env, false);
        env = fp_env_from_fcw(cw);
        r = f80_from_f64(&env, d);
        HOST_LOAD("fldl", d);
        host.st0 = from_bytes(want);
        compare("fldl", cw, f80(0, d), f80(0, 0), r, &env, false);
    }
    (void)b;
}

static void case_constants(uint16_t cw, struct operand_source *src)
{
    struct f80 a = f80(0, 0), b = a;

    (void)src;
    CHECK("fld1", f80_constant(&env, F80_ONE));
    CHECK("fldl2t", f80_constant(&env, F80_LOG2_10));
    CHECK("fldl2e", f80_constant(&env, F80_LOG2_E));
    CHECK("fldpi", f80_constant(&env, F80_PI));
    CHECK("fldlg2", f80_constant(&env, F80_LOG10_2));
    CHECK("fldln2", f80_constant(&env, F80_LN_2));
}

static void arithmetic_equals_the_host(void **state)
{
    (void)state;
    each_control_word(case_arithmetic);
}
static void remainder_equals_the_host(void **state)
{
    (void)state;
    each_control_word(case_remainder);
}
static void comparison_equals_the_host(void **state)
{
    (void)state;
    each_control_word(case_compare);
}
static void conversion_equals_the_host(void **state)
{
    (void)state;
    each_control_word(case_convert);
}
static void constants_equal_the_host(void **state)
{
    (void)state;
    each_control_word(case_constants);
}

/* Distance in units of the last place, saturated; 0 for equal bits. */
static uint64_t ulps(struct f80 a, struct f80 b)
{
    if (a.se == b.se)
        return a.sig > b.sig ? a.sig - b.sig : b.sig - a.sig;
    if ((uint16_t)(a.se + 1) == b.se)
        return (b.sig - 0x8000000000000000u) * 2 + (0 - a.sig);
    if ((uint16_t)(b.se + 1) == a.se)
        return (a.sig - 0x8000000000000000u) * 2 + (0 - b.sig);
    return UINT64_MAX;
}

#define CLOSE(insn, call, limit)                                                                   \
    do {                                                                                           \
        struct fp_env env = fp_env_from_fcw(cw);                                                   \
        struct f80 got_ = call;                                                                    \
        HOST_X87(insn, cw, a, b);                                                                  \
        if (ulps(got_, host.st0) > (limit) ||                                                      \
            (host.sw & (FP_IE | FP_DE | FP_ZE)) != (env.flags & (FP_IE | FP_DE | FP_ZE)))          \
            mismatch(insn, cw, a, b, got_, &env);                                                  \
    } while (0)

static struct f80 sin_of(struct fp_env *env, struct f80 a)
{
    struct f80 r = a;

    f80_sincos(env, a, &r, NULL);
    return r;
}
static struct f80 cos_of(struct fp_env *env, struct f80 a)
{
    struct f80 r = a;

    f80_sincos(env, a, NULL, &r);
    return r;
}
static struct f80 tan_of(struct fp_env *env, struct f80 a)
{
    struct f80 r = a;

    f80_tan(env, a, &r);
    return r;
}

/* Ordinary magnitudes and the special values, where the functions are defined. */
static void transcendentals_are_near_the_host(void **state)
{
    (void)state;
    struct operand_source src = {5};
    uint16_t cw = FCW_INIT;

    for (int i = 0; i < 60000; i++) {
        struct f80 a = random_f80(&src), b = random_f80(&src);
        CLOSE("fpatan", f80_atan2(&env, b, a), 2);
        CLOSE("fyl2x", f80_yl2x(&env, b, a), 2);
        if ((a.se & 0x7fff) < 0x3fff && (a.se & 0x7fff) > 100)
            CLOSE("f2xm1", f80_2xm1(&env, a), 2);
        if ((a.se & 0x7fff) < 0x3ffd)
            CLOSE("fyl2xp1", f80_yl2xp1(&env, b, a), 2);
        if ((a.se & 0x7fff) < 0x3fff || (a.se & 0x7fff) == 0x7fff) {
            CLOSE("fsin", sin_of(&env, a), 2);
            CLOSE("fcos", cos_of(&env, a), 2);
            CLOSE("fptan\n\tfstp %%st(0)", tan_of(&env, a), 2);
        }
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precision_control_narrows_the_significand_only),
        cmocka_unit_test(unmasked_overflow_wraps_the_exponent),
        cmocka_unit_test(quiet_nan_is_preferred_to_signalling_one),
        cmocka_unit_test(remainder_of_far_exponents_is_partial),
        cmocka_unit_test(packed_decimal_round_trip),
        cmocka_unit_test(constants_follow_the_rounding_control),
        cmocka_unit_test(transcendentals_have_known_values),
        cmocka_unit_test(directed_rounding_brackets_transcendentals),
#if defined(__x86_64__)
        cmocka_unit_test(arithmetic_equals_the_host),
        cmocka_unit_test(remainder_equals_the_host),
        cmocka_unit_test(comparison_equals_the_host),
        cmocka_unit_test(conversion_equals_the_host),
        cmocka_unit_test(constants_equal_the_host),
        cmocka_unit_test(transcendentals_are_near_the_host),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
