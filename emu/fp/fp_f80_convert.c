/* SPDX-License-Identifier: MIT */
/*
 * Conversions of the x87: integers, packed decimal, binary32 and binary64, and the constants that it
 * can load. Loads raise IE and DE; stores raise IE, OE, UE and PE, never DE.
 */
#include <string.h>

#include "fp_internal.h"

#define F80_INF_EXP 0x7fff

struct f80 f80_from_i64(int64_t v)
{
    uint64_t m = v < 0 ? -(uint64_t)v : (uint64_t)v;

    if (m == 0)
        return (struct f80){0, 0};
    int shift = __builtin_clzll(m);
    return (struct f80){m << shift, (uint16_t)((16383 + 63 - shift) | (v < 0 ? 0x8000 : 0))};
}

static struct f80 from_num(struct fp_env *env, const struct fp_num *n)
{
    uint16_t sign = n->sign ? 0x8000 : 0;

    env->rounded_up = false;
    switch (n->cls) {
    case FP_CLASS_ZERO: return (struct f80){0, sign};
    case FP_CLASS_FINITE:
        if (n->denormal)
            env->flags |= FP_DE;
        return (struct f80){n->sig, (uint16_t)((n->exp + 16383) | sign)};
    case FP_CLASS_SNAN: env->flags |= FP_IE; return (struct f80){n->sig | FP_QUIET_BIT,
                                                                 F80_INF_EXP | sign};
    default: return (struct f80){n->sig, F80_INF_EXP | sign};
    }
}

struct f80 f80_from_f32(struct fp_env *env, uint32_t a)
{
    struct fp_num n = f32_unpack_raw(a);

    return from_num(env, &n);
}

struct f80 f80_from_f64(struct fp_env *env, uint64_t a)
{
    struct fp_num n = f64_unpack_raw(a);

    return from_num(env, &n);
}

/* To a format with `frac` stored fraction bits, in the low bits of the result. */
FP_INLINE uint64_t to_ieee(struct fp_env *env, struct f80 a, struct fp_format f, unsigned frac,
                           uint64_t default_nan)
{
    struct fp_num n = f80_unpack(a);
    uint64_t sign = (uint64_t)n.sign << (frac + (f.emax == 127 ? 8 : 11));
    uint64_t inf = (uint64_t)(2 * f.emax + 1) << frac;

    env->rounded_up = false;
    switch (n.cls) {
    case FP_CLASS_ZERO: return sign;
    case FP_CLASS_INF: return sign | inf;
    case FP_CLASS_SNAN: env->flags |= FP_IE; /* fall through */
    case FP_CLASS_QNAN: return sign | inf | ((n.sig | FP_QUIET_BIT) & ~FP_TOP) >> (63 - frac);
    case FP_CLASS_FINITE: break;
    default: env->flags |= FP_IE; return default_nan;
    }
    struct fp_exact v = fp_widen(&n);
    struct fp_env local = *env;
    local.flags = 0;
    struct fp_packed p = fp_round(&local, &f, f.bits, &v);
    /* an unmasked overflow or underflow leaves memory alone: nothing was rounded */
    bool aborted = (local.flags & ~env->masked & (FP_OE | FP_UE)) != 0;
    env->flags |= (uint8_t)(aborted ? local.flags & ~FP_PE : local.flags);
    env->rounded_up = local.rounded_up && !aborted;
    return sign | (uint64_t)p.exp << frac | (p.sig & ~FP_TOP) >> (63 - frac);
}

uint32_t f80_to_f32(struct fp_env *env, struct f80 a)
{
    return (uint32_t)to_ieee(env, a, FMT_F32, 23, F32_DEFAULT_NAN);
}

uint64_t f80_to_f64(struct fp_env *env, struct f80 a)
{
    return to_ieee(env, a, FMT_F64, 52, F64_DEFAULT_NAN);
}

/* A magnitude of at most `limit` (one more when negative and `extra`). */
static bool to_magnitude(struct fp_env *env, const struct fp_num *n, enum fp_rounding rounding,
                         uint64_t limit, bool extra, uint64_t *m)
{
    bool fits = n->cls <= FP_CLASS_FINITE, inexact = false, up = false;

    env->rounded_up = false;
    if (fits)
        *m = fp_to_magnitude(n, rounding, &fits, &inexact, &up);
    if (!fits || *m > limit + (extra && n->sign)) {
        env->flags |= FP_IE;
        return false;
    }
    if (inexact)
        env->flags |= FP_PE;
    env->rounded_up = up;
    return true;
}

int64_t f80_to_int(struct fp_env *env, struct f80 a, unsigned bits, enum fp_rounding rounding)
{
    struct fp_num n = f80_unpack(a);
    uint64_t top = (uint64_t)1 << (bits - 1), m;

    if (!to_magnitude(env, &n, rounding, top - 1, true, &m))
        return (int64_t)-top;
    return (int64_t)(n.sign ? -m : m);
}

struct f80 f80_from_bcd(const uint8_t bcd[10])
{
    uint64_t m = 0;

    for (int i = 8; i >= 0; i--)
        m = m * 100 + (bcd[i] >> 4) * 10u + (bcd[i] & 15);
    struct f80 r = f80_from_i64((int64_t)m);
    r.se |= (uint16_t)((bcd[9] & 0x80) << 8);
    return r;
}

void f80_to_bcd(struct fp_env *env, struct f80 a, uint8_t bcd[10])
{
    static const uint8_t indefinite[10] = {0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff};
    struct fp_num n = f80_unpack(a);
    uint64_t m;

    if (!to_magnitude(env, &n, env->rounding, 999999999999999999u, false, &m)) {
        memcpy(bcd, indefinite, sizeof(indefinite));
        return;
    }
    for (int i = 0; i < 9; i++) {
        bcd[i] = (uint8_t)(m % 10 | m / 10 % 10 << 4);
        m /= 100;
    }
    bcd[9] = n.sign ? 0x80 : 0;
}

struct f80 f80_constant(const struct fp_env *env, enum f80_constant which)
{
    /* the first 128 bits of each, which round correctly in every mode */
    static const struct {
        uint64_t hi, lo;
        int exp;
    } table[] = {
        [F80_ONE] = {FP_TOP, 0, 0},
        [F80_LOG2_10] = {0xd49a784bcd1b8afe, 0x492bf6ff4dafdb4c, 1},
        [F80_LOG2_E] = {0xb8aa3b295c17f0bb, 0xbe87fed0691d3e88, 0},
        [F80_PI] = {0xc90fdaa22168c234, 0xc4c6628b80dc1cd1, 1},
        [F80_LOG10_2] = {0x9a209a84fbcff798, 0x8f8959ac0b7c9178, -2},
        [F80_LN_2] = {0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af, -1},
    };
    struct fp_env local = {.rounding = env->rounding, .precision = 64, .masked = FP_ALL};

    if (which == F80_PLUS_ZERO)
        return (struct f80){0, 0};
    struct fp_exact v = {(u128)table[which].hi << 64 | table[which].lo, table[which].exp, false};
    return f80_round_pack(&local, 64, &v);
}
