/* SPDX-License-Identifier: MIT */
/*
 * Lazy arithmetic flags.
 *
 * An instruction that sets all of CF PF AF ZF SF OF leaves two words behind, and a reader derives the
 * flag that it wants without knowing which instruction that was, or how wide:
 *
 *     lf_result  the result, sign-extended to 64 bits
 *     lf_aux     carries out of every bit, moved so that the carry out of the top bit is bit 63
 *                and the one below it bit 62, with the carry out of bit 3 kept in bit 3;
 *                bit 4: SF is the opposite of what lf_result says; bits 15:8: to be XOR-ed with the
 *                low byte of lf_result before its parity is taken
 *
 *     ZF = lf_result == 0           SF = lf_result[63] ^ lf_aux[4]
 *     CF = lf_aux[63]               OF = lf_aux[63] ^ lf_aux[62]
 *     AF = lf_aux[3]                PF = even parity of (lf_result ^ lf_aux >> 8)[7:0]
 *
 * The two corrections exist because POPF and SAHF can ask for ZF, SF and PF that no result has.
 */
#ifndef EMU_CPU_FLAGS_H
#define EMU_CPU_FLAGS_H

#include <stdbool.h>
#include <stdint.h>

#include <emu/cpu.h>

#define LF_CF (1ULL << 63)
#define LF_PO (1ULL << 62)
#define LF_AF (1ULL << 3)
#define LF_SD (1ULL << 4)

static inline bool flag_zf(const struct cpu *c)
{
    return c->lf_result == 0;
}
static inline bool flag_cf(const struct cpu *c)
{
    return (int64_t)c->lf_aux < 0;
}
static inline bool flag_sf(const struct cpu *c)
{
    return ((c->lf_result >> 63) ^ (c->lf_aux >> 4)) & 1;
}
static inline bool flag_of(const struct cpu *c)
{
    return ((c->lf_aux ^ (c->lf_aux << 1)) >> 63) & 1;
}
static inline bool flag_af(const struct cpu *c)
{
    return (c->lf_aux >> 3) & 1;
}
static inline bool flag_pf(const struct cpu *c)
{
    return !__builtin_parity((unsigned)((c->lf_result ^ (c->lf_aux >> 8)) & 0xff));
}

/* The arithmetic flags as RFLAGS has them. */
static inline uint32_t flags_get(const struct cpu *c)
{
    return (uint32_t)flag_cf(c) | (uint32_t)flag_pf(c) << 2 | (uint32_t)flag_af(c) << 4 |
           (uint32_t)flag_zf(c) << 6 | (uint32_t)flag_sf(c) << 7 | (uint32_t)flag_of(c) << 11;
}

/* Sets all six from an RFLAGS image. */
static inline void flags_set(struct cpu *c, uint64_t rflags)
{
    uint64_t zf = (rflags >> 6) & 1, cf = rflags & 1, of = (rflags >> 11) & 1;
    uint64_t odd = ((rflags >> 2) & 1) ^ 1;
    uint64_t result = zf ^ 1; /* 0 or 1: SF says 0, parity says `result` is odd when 1 */
    uint64_t fix_parity = (result ^ odd) & 1;

    c->lf_result = result;
    c->lf_aux = cf << 63 | (cf ^ of) << 62 | ((rflags >> 4) & 1) << 3 | ((rflags >> 7) & 1) << 4 |
                fix_parity << 8;
}

/* Sets some of the six, keeps the others. */
static inline void flags_merge(struct cpu *c, uint32_t mask, uint32_t value)
{
    flags_set(c, (flags_get(c) & ~mask) | (value & mask));
}

static inline void flags_set_cf(struct cpu *c, bool cf)
{
    /* OF is the XOR of bits 63 and 62: flipping CF flips both to leave OF alone. */
    uint64_t flip = (uint64_t)(flag_cf(c) != cf);
    c->lf_aux ^= flip << 63 | flip << 62;
}

/* CF and OF, the others kept (rotates). */
static inline void flags_set_cf_of(struct cpu *c, bool cf, bool of)
{
    c->lf_aux = (c->lf_aux & ~(LF_CF | LF_PO)) | (uint64_t)cf << 63 | (uint64_t)(cf ^ of) << 62;
}

/* Results of the widths, sign-extended. */
static inline uint64_t sext8(uint64_t v)
{
    return (uint64_t)(int64_t)(int8_t)v;
}
static inline uint64_t sext16(uint64_t v)
{
    return (uint64_t)(int64_t)(int16_t)v;
}
static inline uint64_t sext32(uint64_t v)
{
    return (uint64_t)(int64_t)(int32_t)v;
}

/* `carries`: carry out of each bit position of a `bits` wide operation. */
#define FLAGS_FROM_CARRIES(c, bits, result, carries)                                               \
    do {                                                                                           \
        (c)->lf_result = (result);                                                                 \
        (c)->lf_aux = ((uint64_t)(carries) << (64 - (bits)) & (LF_CF | LF_PO)) |                   \
                      ((uint64_t)(carries)&LF_AF);                                                 \
    } while (0)

/* a + b (+ carry in) = r */
#define ADD_CARRIES(a, b, r) (((a) & (b)) | (((a) | (b)) & ~(r)))
/* a - b (- borrow in) = r */
#define SUB_BORROWS(a, b, r) ((~(a) & (b)) | (~((a) ^ (b)) & (r)))

static inline void flags_logic(struct cpu *c, uint64_t result)
{
    c->lf_result = result;
    c->lf_aux = 0;
}

/* Condition code 0..15, as in the low bits of Jcc's opcode. */
static inline bool flags_condition(const struct cpu *c, unsigned cc)
{
    bool v;

    switch (cc >> 1) {
    case 0: v = flag_of(c); break;
    case 1: v = flag_cf(c); break;
    case 2: v = flag_zf(c); break;
    case 3: v = flag_cf(c) || flag_zf(c); break;
    case 4: v = flag_sf(c); break;
    case 5: v = flag_pf(c); break;
    case 6: v = flag_sf(c) != flag_of(c); break;
    default: v = flag_zf(c) || flag_sf(c) != flag_of(c); break;
    }
    return v ^ (cc & 1);
}

#endif
