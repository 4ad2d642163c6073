/* SPDX-License-Identifier: MIT */
/*
 * Integer kernels of MMX, SSE2, SSSE3 and SSE4 (Intel SDM vol. 2), but for string comparison.
 *
 * Both operands are copied to locals first, so that a compiler can vectorise the loops whatever dst
 * and src point to. Kernels whose elements do not mix serve MMX as well, which looks at half of the
 * result.
 */
#include "sse_kernels.h"

#define BEGIN()                                                                                    \
    const union xmm a = *dst, b = *src;                                                            \
    union xmm r;                                                                                   \
    (void)env, (void)imm, (void)a, (void)b
#define END() *dst = r

/* r.f[i] = expr for each of n elements */
#define EACH(name, f, n, expr)                                                                     \
    SIMD_KERNEL(name)                                                                              \
    {                                                                                              \
        BEGIN();                                                                                   \
        for (unsigned i = 0; i < (n); i++)                                                         \
            r.f[i] = (expr);                                                                       \
        END();                                                                                     \
    }
#define VECTOR(name, v, expr)                                                                      \
    SIMD_KERNEL(name)                                                                              \
    {                                                                                              \
        BEGIN();                                                                                   \
        r.v = (expr);                                                                              \
        END();                                                                                     \
    }

static inline int32_t clamp(int32_t v, int32_t lo, int32_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}
#define SAT_I8(v)  ((int8_t)clamp((v), -128, 127))
#define SAT_U8(v)  ((uint8_t)clamp((v), 0, 255))
#define SAT_I16(v) ((int16_t)clamp((v), -32768, 32767))
#define SAT_U16(v) ((uint16_t)clamp((v), 0, 65535))
#define MIN(x, y)  ((x) < (y) ? (x) : (y))
#define MAX(x, y)  ((x) > (y) ? (x) : (y))

/* --- logic and plain arithmetic --- */
VECTOR(k_pand, vq, a.vq & b.vq)
VECTOR(k_pandn, vq, ~a.vq & b.vq)
VECTOR(k_por, vq, a.vq | b.vq)
VECTOR(k_pxor, vq, a.vq ^ b.vq)
VECTOR(k_paddb, vb, a.vb + b.vb)
VECTOR(k_paddw, vw, a.vw + b.vw)
VECTOR(k_paddd, vd, a.vd + b.vd)
VECTOR(k_paddq, vq, a.vq + b.vq)
VECTOR(k_psubb, vb, a.vb - b.vb)
VECTOR(k_psubw, vw, a.vw - b.vw)
VECTOR(k_psubd, vd, a.vd - b.vd)
VECTOR(k_psubq, vq, a.vq - b.vq)
VECTOR(k_pcmpeqb, vib, a.vib == b.vib)
VECTOR(k_pcmpeqw, viw, a.viw == b.viw)
VECTOR(k_pcmpeqd, vid, a.vid == b.vid)
VECTOR(k_pcmpeqq, viq, a.viq == b.viq)
VECTOR(k_pcmpgtb, vib, a.vib > b.vib)
VECTOR(k_pcmpgtw, viw, a.viw > b.viw)
VECTOR(k_pcmpgtd, vid, a.vid > b.vid)
VECTOR(k_pcmpgtq, viq, a.viq > b.viq)
EACH(k_paddsb, ib, 16, SAT_I8(a.ib[i] + b.ib[i]))
EACH(k_paddsw, iw, 8, SAT_I16(a.iw[i] + b.iw[i]))
EACH(k_paddusb, b, 16, SAT_U8(a.b[i] + b.b[i]))
EACH(k_paddusw, w, 8, SAT_U16(a.w[i] + b.w[i]))
EACH(k_psubsb, ib, 16, SAT_I8(a.ib[i] - b.ib[i]))
EACH(k_psubsw, iw, 8, SAT_I16(a.iw[i] - b.iw[i]))
EACH(k_psubusb, b, 16, SAT_U8(a.b[i] - b.b[i]))
EACH(k_psubusw, w, 8, SAT_U16(a.w[i] - b.w[i]))
EACH(k_pminub, b, 16, MIN(a.b[i], b.b[i]))
EACH(k_pmaxub, b, 16, MAX(a.b[i], b.b[i]))
EACH(k_pminsb, ib, 16, MIN(a.ib[i], b.ib[i]))
EACH(k_pmaxsb, ib, 16, MAX(a.ib[i], b.ib[i]))
EACH(k_pminuw, w, 8, MIN(a.w[i], b.w[i]))
EACH(k_pmaxuw, w, 8, MAX(a.w[i], b.w[i]))
EACH(k_pminsw, iw, 8, MIN(a.iw[i], b.iw[i]))
EACH(k_pmaxsw, iw, 8, MAX(a.iw[i], b.iw[i]))
EACH(k_pminud, d, 4, MIN(a.d[i], b.d[i]))
EACH(k_pmaxud, d, 4, MAX(a.d[i], b.d[i]))
EACH(k_pminsd, id, 4, MIN(a.id[i], b.id[i]))
EACH(k_pmaxsd, id, 4, MAX(a.id[i], b.id[i]))
EACH(k_pavgb, b, 16, (uint8_t)((a.b[i] + b.b[i] + 1) >> 1))
EACH(k_pavgw, w, 8, (uint16_t)((a.w[i] + b.w[i] + 1) >> 1))
EACH(k_pabsb, b, 16, (uint8_t)(b.ib[i] < 0 ? -b.b[i] : b.b[i]))
EACH(k_pabsw, w, 8, (uint16_t)(b.iw[i] < 0 ? -b.w[i] : b.w[i]))
EACH(k_pabsd, d, 4, b.id[i] < 0 ? -b.d[i] : b.d[i])
EACH(k_psignb, b, 16, (uint8_t)(b.ib[i] < 0 ? -a.b[i] : b.ib[i] == 0 ? 0 : a.b[i]))
EACH(k_psignw, w, 8, (uint16_t)(b.iw[i] < 0 ? -a.w[i] : b.iw[i] == 0 ? 0 : a.w[i]))
EACH(k_psignd, d, 4, b.id[i] < 0 ? -a.d[i] : b.id[i] == 0 ? 0 : a.d[i])

/* --- multiplication --- */
EACH(k_pmullw, w, 8, (uint16_t)((uint32_t)a.w[i] * b.w[i]))
EACH(k_pmulhw, w, 8, (uint16_t)((a.iw[i] * b.iw[i]) >> 16))
EACH(k_pmulhuw, w, 8, (uint16_t)(((uint32_t)a.w[i] * b.w[i]) >> 16))
EACH(k_pmulhrsw, w, 8, (uint16_t)((((a.iw[i] * b.iw[i]) >> 14) + 1) >> 1))
VECTOR(k_pmulld, vd, a.vd * b.vd)
EACH(k_pmuludq, q, 2, (uint64_t)a.d[2 * i] * b.d[2 * i])
EACH(k_pmuldq, iq, 2, (int64_t)a.id[2 * i] * b.id[2 * i])
EACH(k_pmaddwd, d, 4,
     (uint32_t)(a.iw[2 * i] * b.iw[2 * i]) + (uint32_t)(a.iw[2 * i + 1] * b.iw[2 * i + 1]))
EACH(k_pmaddubsw, iw, 8,
     SAT_I16(a.b[2 * i] * b.ib[2 * i] + a.b[2 * i + 1] * b.ib[2 * i + 1]))

static inline uint32_t difference(uint8_t x, uint8_t y)
{
    return x > y ? (uint32_t)(x - y) : (uint32_t)(y - x);
}

SIMD_KERNEL(k_psadbw)
{
    BEGIN();
    for (unsigned h = 0; h < 2; h++) {
        uint32_t sum = 0;
        for (unsigned i = 0; i < 8; i++)
            sum += difference(a.b[8 * h + i], b.b[8 * h + i]);
        r.q[h] = sum;
    }
    END();
}

SIMD_KERNEL(k_mpsadbw)
{
    BEGIN();
    unsigned at = imm & 4, block = (imm & 3u) * 4;
    for (unsigned i = 0; i < 8; i++) {
        uint32_t sum = 0;
        for (unsigned j = 0; j < 4; j++)
            sum += difference(a.b[at + i + j], b.b[block + j]);
        r.w[i] = (uint16_t)sum;
    }
    END();
}

SIMD_KERNEL(k_phminposuw)
{
    BEGIN();
    unsigned best = 0;
    for (unsigned i = 1; i < 8; i++) {
        if (b.w[i] < b.w[best])
            best = i;
    }
    r.q[0] = b.w[best] | (uint64_t)best << 16;
    r.q[1] = 0;
    END();
}

/* --- horizontal sums: `half` elements of the result come from each operand --- */
#define HORIZONTAL(name, f, n, expr)                                                               \
    static inline void name##_n(union xmm *dst, const union xmm *src, unsigned half)               \
    {                                                                                              \
        const union xmm a = *dst, b = *src;                                                        \
        union xmm r = a;                                                                           \
        for (unsigned i = 0; i < half; i++) {                                                      \
            int64_t x = a.i##f[2 * i], y = a.i##f[2 * i + 1];                                      \
            r.f[i] = (expr);                                                                       \
        }                                                                                          \
        for (unsigned i = 0; i < half; i++) {                                                      \
            int64_t x = b.i##f[2 * i], y = b.i##f[2 * i + 1];                                      \
            r.f[half + i] = (expr);                                                                \
        }                                                                                          \
        *dst = r;                                                                                  \
    }                                                                                              \
    SIMD_KERNEL(k_##name)                                                                          \
    {                                                                                              \
        (void)env, (void)imm;                                                                      \
        name##_n(dst, src, (n) / 2);                                                               \
    }                                                                                              \
    SIMD_KERNEL(m_##name)                                                                          \
    {                                                                                              \
        (void)env, (void)imm;                                                                      \
        name##_n(dst, src, (n) / 4);                                                               \
    }
HORIZONTAL(phaddw, w, 8, (uint16_t)(x + y))
HORIZONTAL(phaddd, d, 4, (uint32_t)(x + y))
HORIZONTAL(phaddsw, w, 8, (uint16_t)SAT_I16((int32_t)(x + y)))
HORIZONTAL(phsubw, w, 8, (uint16_t)(x - y))
HORIZONTAL(phsubd, d, 4, (uint32_t)(x - y))
HORIZONTAL(phsubsw, w, 8, (uint16_t)SAT_I16((int32_t)(x - y)))

/* --- shifts; the count is an immediate for FORM_*_IMM, else the low quadword of src --- */
#define SHIFT(name, f, n, width, expr, over)                                                       \
    static inline void name##_by(union xmm *dst, uint64_t count)                                   \
    {                                                                                              \
        const union xmm a = *dst;                                                                  \
        union xmm r;                                                                               \
        unsigned c = count > (width)-1 ? (width)-1 : (unsigned)count;                              \
        for (unsigned i = 0; i < (n); i++)                                                         \
            r.f[i] = (expr);                                                                       \
        if (count > (width)-1 && (over))                                                           \
            r.q[0] = r.q[1] = 0;                                                                   \
        *dst = r;                                                                                  \
    }                                                                                              \
    SIMD_KERNEL(k_##name)                                                                          \
    {                                                                                              \
        (void)env, (void)imm;                                                                      \
        name##_by(dst, src->q[0]);                                                                 \
    }                                                                                              \
    SIMD_KERNEL(i_##name)                                                                          \
    {                                                                                              \
        (void)env, (void)src;                                                                      \
        name##_by(dst, imm);                                                                       \
    }
SHIFT(psllw, w, 8, 16, (uint16_t)((uint32_t)a.w[i] << c), true)
SHIFT(pslld, d, 4, 32, a.d[i] << c, true)
SHIFT(psllq, q, 2, 64, a.q[i] << c, true)
SHIFT(psrlw, w, 8, 16, (uint16_t)(a.w[i] >> c), true)
SHIFT(psrld, d, 4, 32, a.d[i] >> c, true)
SHIFT(psrlq, q, 2, 64, a.q[i] >> c, true)
SHIFT(psraw, w, 8, 16, (uint16_t)(a.iw[i] >> c), false)
SHIFT(psrad, d, 4, 32, (uint32_t)(a.id[i] >> c), false)

SIMD_KERNEL(i_pslldq)
{
    BEGIN();
    unsigned __int128 v = (unsigned __int128)a.q[1] << 64 | a.q[0];
    v = imm > 15 ? 0 : v << (imm * 8);
    r.q[0] = (uint64_t)v;
    r.q[1] = (uint64_t)(v >> 64);
    END();
}

SIMD_KERNEL(i_psrldq)
{
    BEGIN();
    unsigned __int128 v = (unsigned __int128)a.q[1] << 64 | a.q[0];
    v = imm > 15 ? 0 : v >> (imm * 8);
    r.q[0] = (uint64_t)v;
    r.q[1] = (uint64_t)(v >> 64);
    END();
}

/* --- packing: n elements of each operand --- */
#define PACK(name, from, to, n, expr)                                                              \
    static inline void name##_n(union xmm *dst, const union xmm *src, unsigned half)               \
    {                                                                                              \
        const union xmm a = *dst, b = *src;                                                        \
        union xmm r = a;                                                                           \
        for (unsigned i = 0; i < half; i++) {                                                      \
            int32_t v = a.from[i];                                                                 \
            r.to[i] = (expr);                                                                      \
        }                                                                                          \
        for (unsigned i = 0; i < half; i++) {                                                      \
            int32_t v = b.from[i];                                                                 \
            r.to[half + i] = (expr);                                                               \
        }                                                                                          \
        *dst = r;                                                                                  \
    }                                                                                              \
    SIMD_KERNEL(k_##name)                                                                          \
    {                                                                                              \
        (void)env, (void)imm;                                                                      \
        name##_n(dst, src, n);                                                                     \
    }                                                                                              \
    SIMD_KERNEL(m_##name)                                                                          \
    {                                                                                              \
        (void)env, (void)imm;                                                                      \
        name##_n(dst, src, (n) / 2);                                                               \
    }
PACK(packsswb, iw, ib, 8, SAT_I8(v))
PACK(packuswb, iw, b, 8, SAT_U8(v))
PACK(packssdw, id, iw, 4, SAT_I16(v))
EACH(k_packusdw, w, 8, i < 4 ? SAT_U16(a.id[i & 3]) : SAT_U16(b.id[i & 3]))

/* --- interleaving: `half` pairs, from element `from` on --- */
#define UNPACK(name, f, half, from, from_mmx)                                                      \
    SIMD_KERNEL(k_##name)                                                                          \
    {                                                                                              \
        BEGIN();                                                                                   \
        for (unsigned i = 0; i < (half); i++) {                                                    \
            r.f[2 * i] = a.f[(from) + i];                                                          \
            r.f[2 * i + 1] = b.f[(from) + i];                                                      \
        }                                                                                          \
        END();                                                                                     \
    }                                                                                              \
    SIMD_KERNEL(m_##name)                                                                          \
    {                                                                                              \
        BEGIN();                                                                                   \
        r = a;                                                                                     \
        for (unsigned i = 0; i < (half) / 2; i++) {                                                \
            r.f[2 * i] = a.f[(from_mmx) + i];                                                      \
            r.f[2 * i + 1] = b.f[(from_mmx) + i];                                                  \
        }                                                                                          \
        END();                                                                                     \
    }
UNPACK(punpcklbw, b, 8, 0, 0)
UNPACK(punpcklwd, w, 4, 0, 0)
UNPACK(punpckldq, d, 2, 0, 0)
UNPACK(punpckhbw, b, 8, 8, 4)
UNPACK(punpckhwd, w, 4, 4, 2)
UNPACK(punpckhdq, d, 2, 2, 1)

SIMD_KERNEL(k_punpcklqdq)
{
    (void)env, (void)imm;
    dst->q[1] = src->q[0];
}
SIMD_KERNEL(k_punpckhqdq)
{
    BEGIN();
    r.q[0] = a.q[1];
    r.q[1] = b.q[1];
    END();
}

/* --- shuffles --- */
EACH(k_pshufd, d, 4, b.d[(imm >> (2 * i)) & 3])
EACH(k_pshuflw, w, 8, i < 4 ? b.w[(imm >> (2 * i)) & 3] : b.w[i])
EACH(k_pshufhw, w, 8, i < 4 ? b.w[i] : b.w[4 + ((imm >> (2 * (i - 4))) & 3)])
EACH(k_pshufb, b, 16, b.ib[i] < 0 ? 0 : a.b[b.b[i] & 15])
EACH(m_pshufb, b, 16, b.ib[i] < 0 ? 0 : a.b[b.b[i] & 7])
EACH(k_shufps, d, 4, i < 2 ? a.d[(imm >> (2 * i)) & 3] : b.d[(imm >> (2 * i)) & 3])
EACH(k_shufpd, q, 2, i == 0 ? a.q[imm & 1] : b.q[(imm >> 1) & 1])
EACH(k_blendps, d, 4, (imm >> i) & 1 ? b.d[i] : a.d[i])
EACH(k_blendpd, q, 2, (imm >> i) & 1 ? b.q[i] : a.q[i])
EACH(k_pblendw, w, 8, (imm >> i) & 1 ? b.w[i] : a.w[i])
EACH(k_pblendvb, b, 16, env->xmm0.ib[i] < 0 ? b.b[i] : a.b[i])
EACH(k_blendvps, d, 4, env->xmm0.id[i] < 0 ? b.d[i] : a.d[i])
EACH(k_blendvpd, q, 2, env->xmm0.iq[i] < 0 ? b.q[i] : a.q[i])

static inline uint8_t concatenated(const union xmm *hi, const union xmm *lo, unsigned at, unsigned n)
{
    return at < n ? lo->b[at] : at < 2 * n ? hi->b[at - n] : 0;
}
EACH(k_palignr, b, 16, concatenated(&a, &b, imm + i, 16))
EACH(m_palignr, b, 16, i < 8 ? concatenated(&a, &b, imm + i, 8) : 0)

EACH(k_movddup, q, 2, b.q[0])
EACH(k_movsldup, d, 4, b.d[i & 2])
EACH(k_movshdup, d, 4, b.d[i | 1])

SIMD_KERNEL(k_movhlps)
{
    (void)env, (void)imm;
    dst->q[0] = src->q[1];
}
/* MOVHPS from memory: the same */
SIMD_KERNEL(k_movlhps)
{
    (void)env, (void)imm;
    dst->q[1] = src->q[0];
}
SIMD_KERNEL(k_movlps)
{
    (void)env, (void)imm;
    dst->q[0] = src->q[0];
}

/* --- widening --- */
EACH(k_pmovsxbw, iw, 8, b.ib[i])
EACH(k_pmovsxbd, id, 4, b.ib[i])
EACH(k_pmovsxbq, iq, 2, b.ib[i])
EACH(k_pmovsxwd, id, 4, b.iw[i])
EACH(k_pmovsxwq, iq, 2, b.iw[i])
EACH(k_pmovsxdq, iq, 2, b.id[i])
EACH(k_pmovzxbw, w, 8, b.b[i])
EACH(k_pmovzxbd, d, 4, b.b[i])
EACH(k_pmovzxbq, q, 2, b.b[i])
EACH(k_pmovzxwd, d, 4, b.w[i])
EACH(k_pmovzxwq, q, 2, b.w[i])
EACH(k_pmovzxdq, q, 2, b.d[i])

/* --- to and from general registers --- */
SIMD_KERNEL(m_pmovmskb)
{
    (void)env, (void)imm;
    /* the multiplication gathers bit 7 of every byte in the top byte */
    dst->q[0] = ((src->q[0] & 0x8080808080808080u) >> 7) * 0x0102040810204080u >> 56;
}
SIMD_KERNEL(k_pmovmskb)
{
    union xmm lo = {.q = {src->q[0]}}, hi = {.q = {src->q[1]}};
    m_pmovmskb(env, &lo, &lo, imm);
    m_pmovmskb(env, &hi, &hi, imm);
    dst->q[0] = lo.q[0] | hi.q[0] << 8;
}
SIMD_KERNEL(k_movmskps)
{
    (void)env, (void)imm;
    dst->q[0] = src->d[0] >> 31 | src->d[1] >> 31 << 1 | src->d[2] >> 31 << 2 |
                src->d[3] >> 31 << 3;
}
SIMD_KERNEL(k_movmskpd)
{
    (void)env, (void)imm;
    dst->q[0] = src->q[0] >> 63 | src->q[1] >> 63 << 1;
}
SIMD_KERNEL(k_pinsrb)
{
    (void)env;
    dst->b[imm & 15] = src->b[0];
}
SIMD_KERNEL(k_pinsrw)
{
    (void)env;
    dst->w[imm & 7] = src->w[0];
}
SIMD_KERNEL(m_pinsrw)
{
    (void)env;
    dst->w[imm & 3] = src->w[0];
}
SIMD_KERNEL(k_pinsrd)
{
    (void)env;
    dst->d[imm & 3] = src->d[0];
}
SIMD_KERNEL(k_pinsrq)
{
    (void)env;
    dst->q[imm & 1] = src->q[0];
}
SIMD_KERNEL(k_pextrb)
{
    (void)env;
    dst->q[0] = src->b[imm & 15];
}
SIMD_KERNEL(k_pextrw)
{
    (void)env;
    dst->q[0] = src->w[imm & 7];
}
SIMD_KERNEL(m_pextrw)
{
    (void)env;
    dst->q[0] = src->w[imm & 3];
}
SIMD_KERNEL(k_pextrd)
{
    (void)env;
    dst->q[0] = src->d[imm & 3];
}
SIMD_KERNEL(k_pextrq)
{
    (void)env;
    dst->q[0] = src->q[imm & 1];
}
/* The source element comes from imm[7:6] of a register, and is element 0 of memory. */
static void insertps(union xmm *dst, uint32_t v, uint8_t imm)
{
    dst->d[(imm >> 4) & 3] = v;
    for (unsigned i = 0; i < 4; i++) {
        if ((imm >> i) & 1)
            dst->d[i] = 0;
    }
}
SIMD_KERNEL(k_insertps)
{
    (void)env;
    insertps(dst, src->d[imm >> 6], imm);
}
SIMD_KERNEL(k_insertps_mem)
{
    (void)env;
    insertps(dst, src->d[0], imm);
}

SIMD_KERNEL(k_ptest)
{
    (void)imm;
    uint64_t both = (dst->q[0] & src->q[0]) | (dst->q[1] & src->q[1]);
    uint64_t only = (~dst->q[0] & src->q[0]) | (~dst->q[1] & src->q[1]);
    env->eflags = (both == 0 ? FL_ZF : 0) | (only == 0 ? FL_CF : 0);
}
