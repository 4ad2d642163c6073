/* SPDX-License-Identifier: MIT */
/*
 * Operands that make floating point go wrong: every special value, and random numbers biased towards
 * equal exponents, the edges of the range, short significands and long runs of ones. The sequence is
 * a function of the seed.
 */
#ifndef TESTS_FP_OPERANDS_H
#define TESTS_FP_OPERANDS_H

#include <stdint.h>

struct operand_source {
    uint64_t state;
};

static inline uint64_t operand_bits(struct operand_source *s)
{
    uint64_t z = (s->state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A fraction of `n` bits, often short, often with long runs. */
static inline uint64_t operand_fraction(struct operand_source *s, unsigned n)
{
    uint64_t mask = n == 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1;
    uint64_t r = operand_bits(s), f = operand_bits(s);

    switch (r & 7) {
    case 0: f = 0; break;
    case 1: f = (uint64_t)1 << (r >> 8) % n; break;
    case 2: f = ~(uint64_t)0 << (r >> 8) % n; break;
    case 3: f = ~(~(uint64_t)0 << (r >> 8) % n); break;
    case 4: f = f << (r >> 8) % n; break;
    case 5: f = mask - ((uint64_t)1 << (r >> 8) % n); break;
    default: break;
    }
    return f & mask;
}

static inline uint32_t operand_exponent(struct operand_source *s, unsigned max)
{
    uint64_t r = operand_bits(s);
    uint32_t v = (uint32_t)(r >> 32);

    switch (r & 15) {
    case 0: return 0;
    case 1: return max;
    case 2: return 1 + v % 3;
    case 3: return max - 1 - v % 3;
    case 4: case 5: case 6: case 7: return max / 2 - 4 + v % 9;
    case 8: case 9: return max / 2 - 70 + v % 140;
    case 10: return max / 4 - 4 + v % 9;
    case 11: return max / 4 * 3 - 4 + v % 9;
    default: return v % (max + 1);
    }
}

static inline uint32_t operand_f32(struct operand_source *s)
{
    uint64_t sign = operand_bits(s) & 1;
    uint32_t exp = operand_exponent(s, 255) & 255;

    return (uint32_t)(sign << 31 | (uint64_t)exp << 23 | operand_fraction(s, 23));
}

static inline uint64_t operand_f64(struct operand_source *s)
{
    uint64_t sign = operand_bits(s) & 1;
    uint64_t exp = operand_exponent(s, 2047) & 2047;

    return sign << 63 | exp << 52 | operand_fraction(s, 52);
}

/* Includes, one time in sixteen, the encodings that the 387 and later do not support. */
static inline void operand_f80(struct operand_source *s, uint64_t *sig, uint16_t *se)
{
    uint64_t r = operand_bits(s);
    uint32_t exp = operand_exponent(s, 32767) & 32767;

    *sig = operand_fraction(s, 63) | (exp != 0 ? (uint64_t)1 << 63 : 0);
    if ((r & 0xf0) == 0)
        *sig ^= (uint64_t)1 << 63;
    if ((r & 0xf00) == 0)
        *sig = exp = 0;
    *se = (uint16_t)(exp | (r & 1) << 15);
}

#endif
