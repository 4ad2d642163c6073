/* SPDX-License-Identifier: MIT */
/*
 * Floating-point operands and state for generated programs: every class of number (fp_operands.h),
 * strings and decimals in registers and memory; control words with any rounding, precision and
 * masks, though most of the time with the masks that let a program go on.
 */
#include "gen_internal.h"

#include <fp_operands.h>
#include <string.h>

static void put16(uint8_t *at, unsigned v)
{
    uint16_t w = (uint16_t)v;

    memcpy(at, &w, sizeof(w));
}

static void put64(uint8_t *at, uint64_t v)
{
    memcpy(at, &v, sizeof(v));
}

/* --- operands --- */

static struct operand_source source(struct gen *g)
{
    return (struct operand_source){rng_next(&g->rng)};
}

static void put_f80(struct gen *g, uint8_t *at)
{
    struct operand_source s = source(g);
    uint64_t sig;
    uint16_t se;

    operand_f80(&s, &sig, &se);
    if (chance(g, 15)) /* an integer: small, or near the edges of what FIST can hold */
        se = (uint16_t)(0x3fffu + rnd(g, 66));
    put64(at, sig);
    put16(at + 8, se);
}

/* Mostly digits; FBLD takes others as well. */
static void put_bcd(struct gen *g, uint8_t *at)
{
    unsigned i, digits = rnd(g, 10);

    memset(at, 0, 10);
    for (i = 0; i < digits; i++)
        at[i] = (uint8_t)(rnd(g, 10) << 4 | rnd(g, 10));
    at[9] = chance(g, 50) ? 0x80 : 0;
}

/* Bytes of a short alphabet with ends, for string comparisons. */
static void put_string(struct gen *g, uint8_t *at, unsigned bytes)
{
    unsigned i, wide = rnd(g, 2);

    for (i = 0; i < bytes; i++)
        at[i] = wide && (i & 1) ? 0 : (uint8_t)("abc\0\x80\xff"[rnd(g, chance(g, 80) ? 3 : 6)]);
}

static void put_doubles(struct gen *g, uint8_t *at, unsigned bytes)
{
    struct operand_source s = source(g);
    unsigned i;

    for (i = 0; i + 8 <= bytes; i += 8)
        put64(at + i, operand_f64(&s));
}

static void put_singles(struct gen *g, uint8_t *at, unsigned bytes)
{
    struct operand_source s = source(g);
    unsigned i;

    for (i = 0; i + 8 <= bytes; i += 8)
        put64(at + i, (uint64_t)operand_f32(&s) << 32 | operand_f32(&s));
}

void gen_fp_operands(struct gen *g, uint8_t *out, unsigned bytes)
{
    unsigned i;

    switch (rnd(g, 8)) {
    case 0:
    case 1:
    case 2: put_singles(g, out, bytes); break;
    case 3:
    case 4:
    case 5: put_doubles(g, out, bytes); break;
    case 6: put_string(g, out, bytes); break;
    default:
        for (i = 0; i + 8 <= bytes; i += 8)
            put64(out + i, gen_value(g));
        break;
    }
}

static void put_block(struct gen *g, uint8_t *out)
{
    unsigned i, kind = rnd(g, 6);

    if (kind > 1) {
        gen_fp_operands(g, out, GEN_FP_BLOCK);
        return;
    }
    for (i = 0; i + 10 <= GEN_FP_BLOCK; i += 10)
        if (kind == 0)
            put_f80(g, out + i);
        else
            put_bcd(g, out + i);
}

/* --- control words --- */

static unsigned choose_mxcsr(struct gen *g)
{
    unsigned r = rnd(g, 100), any = (unsigned)rng_next(&g->rng);

    if (r < 35)
        return 0x1f80;
    if (r < 80) /* any rounding, FTZ, DAZ, flags; all masked */
        return 0x1f80 | (any & (chance(g, 50) ? 0xe07fu : 0x6000u));
    return r < 95 ? (any & 0xffffu) | 0x1f80u >> rnd(g, 3) : any & 0xffffu;
}

static unsigned choose_fcw(struct gen *g)
{
    unsigned r = rnd(g, 100), any = (unsigned)rng_next(&g->rng);

    if (r < 40)
        return 0x37f;
    return r < 85 ? 0x7f | (any & 0xf00u) : 0x40 | (any & 0xf3fu);
}

/* ES and B as they follow from the exceptions and their masks. */
static unsigned choose_fsw(struct gen *g, unsigned fcw)
{
    unsigned any = (unsigned)rng_next(&g->rng), fsw = any & 0x7f00u;

    if (chance(g, 20))
        fsw |= any & (chance(g, 80) ? fcw & 0x3fu : 0x3fu);
    if (fsw & 1 && chance(g, 50))
        fsw |= 0x40;
    return fsw & ~fcw & 0x3fu ? fsw | 0x8080u : fsw;
}

static unsigned choose_tags(struct gen *g)
{
    unsigned any = rnd(g, 256);

    switch (rnd(g, 8)) {
    case 0: return 0;
    case 1: return 0xff;
    case 2: return any;
    default: return any | rnd(g, 256);
    }
}

/* --- state --- */

static void fill_image(struct gen *g, uint8_t *fx)
{
    unsigned i, fcw = choose_fcw(g);

    memset(fx, 0, FX_BYTES);
    put16(fx + FX_CW, fcw);
    put16(fx + FX_SW, choose_fsw(g, fcw));
    fx[FX_TAGS] = (uint8_t)choose_tags(g);
    put16(fx + FX_MXCSR, choose_mxcsr(g));
    for (i = 0; i < 8; i++)
        put_f80(g, fx + FX_ST + 16 * i);
    for (i = 0; i < 16; i++)
        gen_fp_operands(g, fx + FX_XMM + 16 * i, 16);
}

void gen_fp_state(struct gen *g)
{
    fill_image(g, g->p->fx);
    if (g->p->set == GEN_X87)
        put16(g->p->fx + FX_MXCSR, 0x1f80);
    if (g->p->set != GEN_INTEGER)
        return;
    put16(g->p->fx + FX_CW, 0x37f);
    put16(g->p->fx + FX_SW, 0);
}

void gen_fp_template(struct gen *g, uint8_t *data)
{
    uint8_t *control = data + (GEN_CONTROL_VA - DATA_VA), *image = data + (GEN_IMAGE_VA - DATA_VA);
    unsigned i;

    for (i = 0; i + GEN_FP_BLOCK <= DATA_BYTES; i += GEN_FP_BLOCK)
        if (chance(g, 60))
            put_block(g, data + i);
    for (i = 0; i < GEN_CONTROL_WORDS; i++) {
        memset(control + 16 * i, 0, 16);
        put16(control + 16 * i, choose_mxcsr(g));
        put16(control + 16 * i + 8, choose_fcw(g));
    }
    for (i = 0; i < GEN_IMAGES; i++) {
        fill_image(g, image + i * GEN_IMAGE_BYTES);
        memset(image + i * GEN_IMAGE_BYTES + XSAVE_BV, 0, XSAVE_AREA - XSAVE_BV);
    }
}
