/* SPDX-License-Identifier: MIT */
/*
 * Floating-point state: reset, control and status words, and its images in memory (Intel SDM vol. 1,
 * 8.1, 10.5 and chapter 13; vol. 2, FXSAVE and XSAVE).
 *
 * Bytes that an image reserves are written as zeros inside of the parts that are written at all, and
 * bytes 464..511 of an FXSAVE area are left to the program. The initial state of a component is told
 * by comparing with it, so that XINUSE is a function of the architectural state.
 */
#include <string.h>

#include <emu/fpu_state.h>

static const struct field f80_fields[] = {
    FIELD(struct f80, sig, FIELD_U64),
    FIELD(struct f80, se, FIELD_U16),
};
static const struct state_desc f80_desc = STATE_DESC("f80", 1, struct f80, f80_fields, NULL);

static const struct field xmm_fields[] = {
    FIELD_ARRAY(union xmm, q, FIELD_U64),
};
static const struct state_desc xmm_desc = STATE_DESC("xmm", 1, union xmm, xmm_fields, NULL);

static const struct field fpu_fields[] = {
    FIELD_SUBS(struct fpu_state, st, &f80_desc),
    FIELD(struct fpu_state, cw, FIELD_U16),
    FIELD(struct fpu_state, sw, FIELD_U16),
    FIELD(struct fpu_state, top, FIELD_U8),
    FIELD(struct fpu_state, valid, FIELD_U8),
    FIELD(struct fpu_state, fop, FIELD_U16),
    FIELD(struct fpu_state, fcs, FIELD_U16),
    FIELD(struct fpu_state, fds, FIELD_U16),
    FIELD(struct fpu_state, fip, FIELD_U64),
    FIELD(struct fpu_state, fdp, FIELD_U64),
    FIELD(struct fpu_state, mxcsr, FIELD_U32),
    FIELD_SUBS(struct fpu_state, xmm, &xmm_desc),
};

/* What no CPU could hold, and `top` indexes with. */
static int fpu_post_load(void *obj)
{
    const struct fpu_state *fpu = obj;

    return fpu->top > 7 || (fpu->mxcsr & ~MXCSR_VALID) != 0 ||
                   (fpu->sw & 7u << FSW_TOP_SHIFT) != 0
               ? -1 : 0;
}

const struct state_desc fpu_state_desc =
    STATE_DESC("fpu", 1, struct fpu_state, fpu_fields, fpu_post_load);

void fpu_init(struct fpu_state *fpu)
{
    fpu->cw = FCW_INIT;
    fpu->sw = 0;
    fpu->top = 0;
    fpu->valid = 0;
    fpu->fop = fpu->fcs = fpu->fds = 0;
    fpu->fip = fpu->fdp = 0;
}

void fpu_reset(struct fpu_state *fpu)
{
    memset(fpu, 0, sizeof(*fpu));
    fpu_init(fpu);
    fpu->mxcsr = MXCSR_INIT;
}

/* ES and B are a function of the exceptions and their masks. */
static void derive_summary(struct fpu_state *fpu)
{
    fpu->sw &= (uint16_t)~(FSW_ES | FSW_B);
    if (fpu->sw & ~fpu->cw & 0x3f)
        fpu->sw |= FSW_ES | FSW_B;
}

void fpu_set_status_word(struct fpu_state *fpu, uint16_t sw)
{
    fpu->top = (sw >> FSW_TOP_SHIFT) & 7;
    fpu->sw = sw & (uint16_t)~(7u << FSW_TOP_SHIFT);
    derive_summary(fpu);
}

void fpu_set_control_word(struct fpu_state *fpu, uint16_t cw)
{
    fpu->cw = (uint16_t)((cw & FCW_VALID) | FCW_ONE);
    derive_summary(fpu);
}

static unsigned tag_of(struct f80 v)
{
    unsigned exp = v.se & 0x7fff;

    if (exp == 0 && v.sig == 0)
        return 1;
    return exp == 0 || exp == 0x7fff || (v.sig >> 63) == 0 ? 2 : 0;
}

uint16_t fpu_tag_word(const struct fpu_state *fpu)
{
    unsigned tags = 0;

    for (unsigned i = 0; i < 8; i++)
        tags |= ((fpu->valid >> i) & 1 ? tag_of(fpu->st[i]) : 3u) << (2 * i);
    return (uint16_t)tags;
}

void fpu_set_tag_word(struct fpu_state *fpu, uint16_t tags)
{
    fpu->valid = 0;
    for (unsigned i = 0; i < 8; i++)
        fpu->valid |= (uint8_t)((((tags >> (2 * i)) & 3) != 3) << i);
}

/* --- little-endian images --- */

static void put(uint8_t *p, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t take(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static void put_f80(uint8_t *p, struct f80 v)
{
    put(p, v.sig, 8);
    put(p + 8, v.se, 2);
}

static struct f80 take_f80(const uint8_t *p)
{
    return (struct f80){take(p, 8), (uint16_t)take(p + 8, 2)};
}

/* --- FNSTENV, FNSAVE --- */

static void pack_env16(const struct fpu_state *fpu, uint8_t *out, bool real)
{
    uint32_t ip = (uint32_t)fpu->fip + (real ? (uint32_t)fpu->fcs << 4 : 0);
    uint32_t dp = (uint32_t)fpu->fdp + (real ? (uint32_t)fpu->fds << 4 : 0);

    put(out, fpu->cw, 2);
    put(out + 2, fpu_status_word(fpu), 2);
    put(out + 4, fpu_tag_word(fpu), 2);
    put(out + 6, ip, 2);
    put(out + 8, real ? (ip >> 4 & 0xf000) | fpu->fop : fpu->fcs, 2);
    put(out + 10, dp, 2);
    put(out + 12, real ? dp >> 4 & 0xf000 : fpu->fds, 2);
}

static void pack_env32(const struct fpu_state *fpu, uint8_t *out, bool real)
{
    uint32_t ip = (uint32_t)fpu->fip + (real ? (uint32_t)fpu->fcs << 4 : 0);
    uint32_t dp = (uint32_t)fpu->fdp + (real ? (uint32_t)fpu->fds << 4 : 0);

    put(out, fpu->cw | 0xffff0000u, 4);
    put(out + 4, fpu_status_word(fpu) | 0xffff0000u, 4);
    put(out + 8, fpu_tag_word(fpu) | 0xffff0000u, 4);
    if (real) {
        put(out + 12, (ip & 0xffff) | 0xffff0000u, 4);
        put(out + 16, (ip >> 16) << 12 | fpu->fop, 4);
        put(out + 20, (dp & 0xffff) | 0xffff0000u, 4);
        put(out + 24, (dp >> 16) << 12, 4);
    } else {
        put(out + 12, ip, 4);
        put(out + 16, fpu->fcs | (uint32_t)fpu->fop << 16, 4);
        put(out + 20, dp, 4);
        put(out + 24, fpu->fds | 0xffff0000u, 4);
    }
}

void fpu_pack_env(const struct fpu_state *fpu, uint8_t *out, bool size32, bool real)
{
    if (size32)
        pack_env32(fpu, out, real);
    else
        pack_env16(fpu, out, real);
}

/* In real mode pointers come back as linear addresses with a zero selector. */
void fpu_unpack_env(struct fpu_state *fpu, const uint8_t *in, bool size32, bool real)
{
    unsigned w = size32 ? 4 : 2;

    fpu->cw = (uint16_t)((take(in, 2) & FCW_VALID) | FCW_ONE);
    fpu_set_status_word(fpu, (uint16_t)take(in + w, 2));
    fpu_set_tag_word(fpu, (uint16_t)take(in + 2 * w, 2));
    if (real) {
        uint32_t ip_high = (uint32_t)take(in + 4 * w, w) & (size32 ? 0x0ffff000u : 0xf000u);
        uint32_t dp_high = (uint32_t)take(in + 6 * w, w) & (size32 ? 0x0ffff000u : 0xf000u);
        fpu->fop = (uint16_t)(take(in + 4 * w, 2) & 0x7ff);
        fpu->fip = (uint32_t)take(in + 3 * w, 2) | ip_high << 4;
        fpu->fdp = (uint32_t)take(in + 5 * w, 2) | dp_high << 4;
        fpu->fcs = fpu->fds = 0;
    } else {
        fpu->fip = take(in + 3 * w, w);
        fpu->fcs = (uint16_t)take(in + 4 * w, 2);
        fpu->fdp = take(in + 5 * w, w);
        fpu->fds = (uint16_t)take(in + 6 * w, 2);
        if (size32)
            fpu->fop = (uint16_t)(take(in + 18, 2) & 0x7ff);
    }
}

void fpu_pack_save(const struct fpu_state *fpu, uint8_t *out, bool size32, bool real)
{
    unsigned at = size32 ? FPU_ENV32_BYTES : FPU_ENV16_BYTES;

    fpu_pack_env(fpu, out, size32, real);
    for (unsigned i = 0; i < 8; i++)
        put_f80(out + at + 10 * i, fpu->st[(fpu->top + i) & 7]);
}

void fpu_unpack_save(struct fpu_state *fpu, const uint8_t *in, bool size32, bool real)
{
    unsigned at = size32 ? FPU_ENV32_BYTES : FPU_ENV16_BYTES;

    fpu_unpack_env(fpu, in, size32, real);
    for (unsigned i = 0; i < 8; i++)
        fpu->st[(fpu->top + i) & 7] = take_f80(in + at + 10 * i);
}

/* --- FXSAVE --- */

#define FX_MXCSR 24
#define FX_ST    32
#define FX_XMM   160

static void pack_x87(const struct fpu_state *fpu, uint8_t *area, bool rex_w)
{
    put(area, fpu->cw, 2);
    put(area + 2, fpu_status_word(fpu), 2);
    put(area + 4, fpu->valid, 2);
    put(area + 6, fpu->fop, 2);
    if (rex_w) {
        put(area + 8, fpu->fip, 8);
        put(area + 16, fpu->fdp, 8);
    } else {
        put(area + 8, (uint32_t)fpu->fip, 4);
        put(area + 12, fpu->fcs, 4);
        put(area + 16, (uint32_t)fpu->fdp, 4);
        put(area + 20, fpu->fds, 4);
    }
    for (unsigned i = 0; i < 8; i++) {
        uint8_t *slot = area + FX_ST + 16 * i;
        put_f80(slot, fpu->st[(fpu->top + i) & 7]);
        put(slot + 10, 0, 6);
    }
}

static void unpack_x87(struct fpu_state *fpu, const uint8_t *area, bool rex_w)
{
    fpu->cw = (uint16_t)((take(area, 2) & FCW_VALID) | FCW_ONE);
    fpu_set_status_word(fpu, (uint16_t)take(area + 2, 2));
    fpu->valid = area[4];
    fpu->fop = (uint16_t)(take(area + 6, 2) & 0x7ff);
    fpu->fip = take(area + 8, rex_w ? 8 : 4);
    fpu->fdp = take(area + 16, rex_w ? 8 : 4);
    fpu->fcs = rex_w ? 0 : (uint16_t)take(area + 12, 2);
    fpu->fds = rex_w ? 0 : (uint16_t)take(area + 20, 2);
    for (unsigned i = 0; i < 8; i++)
        fpu->st[(fpu->top + i) & 7] = take_f80(area + FX_ST + 16 * i);
}

static void pack_mxcsr(const struct fpu_state *fpu, uint8_t *area)
{
    put(area + FX_MXCSR, fpu->mxcsr, 4);
    put(area + FX_MXCSR + 4, MXCSR_VALID, 4);
}

static void pack_xmm(const struct fpu_state *fpu, uint8_t *area, bool long_mode)
{
    for (unsigned i = 0; i < (long_mode ? 16u : 8u); i++) {
        put(area + FX_XMM + 16 * i, fpu->xmm[i].q[0], 8);
        put(area + FX_XMM + 16 * i + 8, fpu->xmm[i].q[1], 8);
    }
}

static void unpack_xmm(struct fpu_state *fpu, const uint8_t *area, bool long_mode)
{
    for (unsigned i = 0; i < (long_mode ? 16u : 8u); i++) {
        fpu->xmm[i].q[0] = take(area + FX_XMM + 16 * i, 8);
        fpu->xmm[i].q[1] = take(area + FX_XMM + 16 * i + 8, 8);
    }
}

void fpu_pack_fxsave(const struct fpu_state *fpu, uint8_t *area, bool rex_w, bool long_mode)
{
    pack_x87(fpu, area, rex_w);
    pack_mxcsr(fpu, area);
    pack_xmm(fpu, area, long_mode);
}

bool fpu_unpack_fxsave(struct fpu_state *fpu, const uint8_t *area, bool rex_w, bool long_mode)
{
    uint32_t mxcsr = (uint32_t)take(area + FX_MXCSR, 4);

    if (mxcsr & ~MXCSR_VALID)
        return false;
    unpack_x87(fpu, area, rex_w);
    fpu->mxcsr = mxcsr;
    unpack_xmm(fpu, area, long_mode);
    return true;
}

/* --- XSAVE --- */

#define XSAVE_BV   512
#define XSAVE_COMP 520
#define XCOMP_COMPACT ((uint64_t)1 << 63)

static bool x87_initial(const struct fpu_state *fpu)
{
    if (fpu->cw != FCW_INIT || fpu->sw != 0 || fpu->top != 0 || fpu->valid != 0 || fpu->fop != 0 ||
        fpu->fcs != 0 || fpu->fds != 0 || fpu->fip != 0 || fpu->fdp != 0)
        return false;
    for (unsigned i = 0; i < 8; i++) {
        if (fpu->st[i].sig != 0 || fpu->st[i].se != 0)
            return false;
    }
    return true;
}

uint64_t fpu_xinuse(const struct fpu_state *fpu, bool long_mode)
{
    uint64_t any = 0;

    for (unsigned i = 0; i < (long_mode ? 16u : 8u); i++)
        any |= fpu->xmm[i].q[0] | fpu->xmm[i].q[1];
    return (x87_initial(fpu) ? 0 : XCR0_X87) | (any != 0 ? XCR0_SSE : 0);
}

void fpu_pack_xsave(const struct fpu_state *fpu, uint8_t *area, uint64_t rfbm, bool rex_w,
                    bool long_mode, enum xsave_kind kind)
{
    uint64_t in_use = fpu_xinuse(fpu, long_mode), bv = take(area + XSAVE_BV, 8), data;

    /* XSAVEC counts MXCSR with SSE: SDM vol. 1, 13.10 */
    if (kind == XSAVE_COMPACT && fpu->mxcsr != MXCSR_INIT)
        in_use |= XCR0_SSE;
    data = kind == XSAVE_PLAIN ? rfbm : rfbm & in_use;
    if (data & XCR0_X87)
        pack_x87(fpu, area, rex_w);
    if (kind == XSAVE_COMPACT ? (data & XCR0_SSE) : (rfbm & XCR0_SSE))
        pack_mxcsr(fpu, area);
    if (data & XCR0_SSE)
        pack_xmm(fpu, area, long_mode);
    if (kind == XSAVE_COMPACT) {
        put(area + XSAVE_BV, rfbm & in_use, 8);
        put(area + XSAVE_COMP, rfbm | XCOMP_COMPACT, 8);
    } else {
        put(area + XSAVE_BV, (bv & ~rfbm) | (rfbm & in_use), 8);
    }
}

/* SDM vol. 1, 13.8.1 and 13.8.2: what XRSTOR refuses. */
static bool header_valid(const uint8_t *area, uint64_t xcr0, bool compact)
{
    uint64_t bv = take(area + XSAVE_BV, 8), comp = take(area + XSAVE_COMP, 8);

    for (unsigned i = compact ? 16 : 8; i < (compact ? 64u : 24u); i++) {
        if (area[XSAVE_BV + i] != 0)
            return false;
    }
    if (compact)
        return ((comp & ~XCOMP_COMPACT) & ~xcr0) == 0 && (bv & ~comp) == 0 &&
               (bv & XCOMP_COMPACT) == 0;
    return (bv & ~xcr0) == 0;
}

static void init_registers(struct fpu_state *fpu)
{
    fpu_init(fpu);
    memset(fpu->st, 0, sizeof(fpu->st));
}

bool fpu_unpack_xrstor(struct fpu_state *fpu, const uint8_t *area, uint64_t rfbm, uint64_t xcr0,
                       bool rex_w, bool long_mode)
{
    uint64_t bv = take(area + XSAVE_BV, 8);
    bool compact = (take(area + XSAVE_COMP, 8) & XCOMP_COMPACT) != 0;
    uint32_t mxcsr = (uint32_t)take(area + FX_MXCSR, 4);
    bool load_mxcsr = (rfbm & XCR0_SSE) && (!compact || (bv & XCR0_SSE));

    if (!header_valid(area, xcr0, compact) || (load_mxcsr && (mxcsr & ~MXCSR_VALID)))
        return false;
    if (rfbm & bv & XCR0_X87)
        unpack_x87(fpu, area, rex_w);
    else if (rfbm & XCR0_X87)
        init_registers(fpu);
    if (rfbm & bv & XCR0_SSE)
        unpack_xmm(fpu, area, long_mode);
    else if (rfbm & XCR0_SSE)
        memset(fpu->xmm, 0, (long_mode ? 16u : 8u) * sizeof(fpu->xmm[0]));
    if (load_mxcsr)
        fpu->mxcsr = mxcsr;
    else if (rfbm & XCR0_SSE)
        fpu->mxcsr = MXCSR_INIT;
    return true;
}
