/* SPDX-License-Identifier: MIT */
/*
 * PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (Intel SDM vol. 2, 4.1).
 *
 * imm: 1:0 element (bytes or words, unsigned or signed), 3:2 aggregation, 5:4 polarity, 6 index or
 * mask as bit or element.
 */
#include "sse_kernels.h"

enum { EQUAL_ANY, RANGES, EQUAL_EACH, EQUAL_ORDERED };

struct text {
    int32_t e[16];
    unsigned len;   /* valid elements */
};

static void take_elements(struct text *t, const union xmm *v, uint8_t imm, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        switch (imm & 3) {
        case 0: t->e[i] = v->b[i]; break;
        case 1: t->e[i] = v->w[i]; break;
        case 2: t->e[i] = v->ib[i]; break;
        default: t->e[i] = v->iw[i]; break;
        }
    }
}

static unsigned implicit_length(const struct text *t, unsigned n)
{
    unsigned len = 0;

    while (len < n && t->e[len] != 0)
        len++;
    return len;
}

/* The magnitude of a signed length, saturated. */
static unsigned explicit_length(uint64_t v, unsigned n)
{
    uint64_t m = (int64_t)v < 0 ? -v : v;

    return m > n ? n : (unsigned)m;
}

static bool any_equal(const struct text *set, int32_t v)
{
    for (unsigned i = 0; i < set->len; i++) {
        if (set->e[i] == v)
            return true;
    }
    return false;
}

static bool in_ranges(const struct text *ranges, int32_t v)
{
    for (unsigned i = 0; i + 1 < ranges->len; i += 2) {
        if (v >= ranges->e[i] && v <= ranges->e[i + 1])
            return true;
    }
    return false;
}

/* `needle` as far as the register reaches. */
static bool starts_at(const struct text *needle, const struct text *hay, unsigned at, unsigned n)
{
    for (unsigned i = 0; i < needle->len && at + i < n; i++) {
        if (at + i >= hay->len || needle->e[i] != hay->e[at + i])
            return false;
    }
    return true;
}

static uint32_t aggregate(const struct text *a, const struct text *b, uint8_t imm, unsigned n)
{
    uint32_t bits = 0;

    for (unsigned j = 0; j < n; j++) {
        bool hit;
        switch ((imm >> 2) & 3) {
        case EQUAL_ANY: hit = j < b->len && any_equal(a, b->e[j]); break;
        case RANGES: hit = j < b->len && in_ranges(a, b->e[j]); break;
        case EQUAL_EACH:
            hit = (j < a->len) == (j < b->len) && (j >= a->len || a->e[j] == b->e[j]);
            break;
        default: hit = starts_at(a, b, j, n); break;
        }
        bits |= (uint32_t)hit << j;
    }
    if (imm & 0x10) { /* negative polarity; masked: valid elements of b only */
        uint32_t all = (1u << n) - 1;
        bits ^= imm & 0x20 ? (1u << b->len) - 1 : all;
    }
    return bits;
}

static uint32_t compare(struct simd_env *env, const union xmm *dst, const union xmm *src, uint8_t imm,
                        bool explicit)
{
    unsigned n = imm & 1 ? 8 : 16;
    struct text a, b;

    take_elements(&a, dst, imm, n);
    take_elements(&b, src, imm, n);
    a.len = explicit ? explicit_length(env->rax, n) : implicit_length(&a, n);
    b.len = explicit ? explicit_length(env->rdx, n) : implicit_length(&b, n);
    uint32_t bits = aggregate(&a, &b, imm, n);
    env->eflags = (bits != 0 ? FL_CF : 0) | (b.len < n ? FL_ZF : 0) | (a.len < n ? FL_SF : 0) |
                  (bits & 1 ? FL_OF : 0);
    return bits;
}

static void give_index(struct simd_env *env, uint32_t bits, uint8_t imm)
{
    unsigned n = imm & 1 ? 8 : 16;

    if (bits == 0)
        env->index = n;
    else
        env->index = (uint32_t)(imm & 0x40 ? 31 - __builtin_clz(bits) : __builtin_ctz(bits));
}

static void give_mask(struct simd_env *env, uint32_t bits, uint8_t imm)
{
    env->xmm0 = (union xmm){.q = {bits, 0}};
    if ((imm & 0x40) == 0)
        return;
    for (unsigned i = 0; i < 16; i++)
        env->xmm0.b[i] = (bits >> (imm & 1 ? i / 2 : i)) & 1 ? 0xff : 0;
}

SIMD_KERNEL(k_pcmpestri)
{
    give_index(env, compare(env, dst, src, imm, true), imm);
}
SIMD_KERNEL(k_pcmpestrm)
{
    give_mask(env, compare(env, dst, src, imm, true), imm);
}
SIMD_KERNEL(k_pcmpistri)
{
    give_index(env, compare(env, dst, src, imm, false), imm);
}
SIMD_KERNEL(k_pcmpistrm)
{
    give_mask(env, compare(env, dst, src, imm, false), imm);
}
