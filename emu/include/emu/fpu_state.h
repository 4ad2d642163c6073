/* SPDX-License-Identifier: MIT */
/*
 * The floating-point and vector state of a CPU: x87 (with MMX on top of it), SSE, and the layouts in
 * which FXSAVE, XSAVE, FNSAVE and FNSTENV put it in memory (Intel SDM vol. 1, chapters 8, 10, 13).
 *
 * `st` holds the physical registers R0..R7: ST(i) is st[(top + i) & 7], MMi is the significand of
 * st[i]. TOP and the tags are kept apart from `sw`, whose bits 13:11 are always 0 here;
 * fpu_status_word() puts them together.
 *
 * The pack and unpack functions work on byte buffers and know nothing of memory or faults: an engine
 * fetches or stores the buffer, and commits only when nothing can fault any more.
 */
#ifndef EMU_FPU_STATE_H
#define EMU_FPU_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/state.h>

/* The x87's register format. The integer bit is bit 63 of `sig`. */
struct f80 {
    uint64_t sig;
    uint16_t se; /* sign and biased exponent */
};

/* One vector register, by element width: b, w, d, q; i*: signed; v*: as a vector; f, g: float, double. */
union xmm {
    uint8_t b[16];
    uint16_t w[8];
    uint32_t d[4];
    uint64_t q[2];
    int8_t ib[16];
    int16_t iw[8];
    int32_t id[4];
    int64_t iq[2];
    uint8_t vb __attribute__((vector_size(16)));
    uint16_t vw __attribute__((vector_size(16)));
    uint32_t vd __attribute__((vector_size(16)));
    uint64_t vq __attribute__((vector_size(16)));
    int8_t vib __attribute__((vector_size(16)));
    int16_t viw __attribute__((vector_size(16)));
    int32_t vid __attribute__((vector_size(16)));
    int64_t viq __attribute__((vector_size(16)));
    float vf __attribute__((vector_size(16)));
    double vg __attribute__((vector_size(16)));
};

/* FCW and FSW. Bits 5:0 of both, and of MXCSR, are the six exceptions (FP_* in fp.h). */
#define FCW_INIT    0x037fu
#define FCW_ONE     0x0040u /* always reads as 1 */
#define FCW_VALID   0x1f7fu /* bits 7, 13, 14, 15 read as 0 */
#define FSW_SF      0x0040u /* stack fault */
#define FSW_ES      0x0080u /* an unmasked exception is pending */
#define FSW_C0      0x0100u
#define FSW_C1      0x0200u
#define FSW_C2      0x0400u
#define FSW_C3      0x4000u
#define FSW_B       0x8000u /* copy of ES */
#define FSW_TOP_SHIFT 11
#define MXCSR_INIT  0x1f80u
#define MXCSR_VALID 0xffffu /* MXCSR_MASK of this CPU: DAZ is supported */

#define XCR0_X87 1u
#define XCR0_SSE 2u
#define XCR0_VALID (XCR0_X87 | XCR0_SSE)

struct fpu_state {
    struct f80 st[8];
    uint16_t cw;
    uint16_t sw;      /* without TOP */
    uint8_t top;      /* 0..7 */
    uint8_t valid;    /* bit i: st[i] is not empty (the abridged tag word of FXSAVE) */
    uint16_t fop;     /* 11 bits of the last non-control instruction's opcode */
    uint16_t fcs, fds;
    uint64_t fip, fdp;
    uint32_t mxcsr;
    union xmm xmm[16];
};

extern const struct state_desc fpu_state_desc;

/* State after RESET; SSE registers are cleared. */
void fpu_reset(struct fpu_state *fpu);
/* FNINIT: x87 only, registers keep their content. */
void fpu_init(struct fpu_state *fpu);

static inline uint16_t fpu_status_word(const struct fpu_state *fpu)
{
    return (uint16_t)(fpu->sw | fpu->top << FSW_TOP_SHIFT);
}
/* Sets FSW, TOP included; ES and B follow from the exceptions and FCW. */
void fpu_set_status_word(struct fpu_state *fpu, uint16_t sw);
void fpu_set_control_word(struct fpu_state *fpu, uint16_t cw);
/* Two bits a register: 0 valid, 1 zero, 2 special, 3 empty. */
uint16_t fpu_tag_word(const struct fpu_state *fpu);
void fpu_set_tag_word(struct fpu_state *fpu, uint16_t tags);

/* True when a waiting x87 or MMX instruction must raise #MF (or FERR#) first. */
static inline bool x87_pending_exception(const struct fpu_state *fpu)
{
    return (fpu->sw & FSW_ES) != 0;
}

/* Environment of FNSTENV and FNSAVE, by operand size and mode (SDM vol. 1, 8.1.10). */
#define FPU_ENV16_BYTES 14u
#define FPU_ENV32_BYTES 28u
#define FPU_SAVE16_BYTES 94u
#define FPU_SAVE32_BYTES 108u
/* `real`: real-address or virtual-8086 mode, where pointers are linear addresses. */
void fpu_pack_env(const struct fpu_state *fpu, uint8_t *out, bool size32, bool real);
void fpu_unpack_env(struct fpu_state *fpu, const uint8_t *in, bool size32, bool real);
/* Environment and the eight registers, ST(0) first. FNSAVE initialises the unit afterwards. */
void fpu_pack_save(const struct fpu_state *fpu, uint8_t *out, bool size32, bool real);
void fpu_unpack_save(struct fpu_state *fpu, const uint8_t *in, bool size32, bool real);

/*
 * The 512-byte FXSAVE area. `rex_w` chooses the layout with 64-bit pointers, `long_mode` whether
 * XMM8..15 are there. Packing leaves bytes that the processor does not write as they are in `area`
 * (464..511 are the program's). Unpacking returns false, changing nothing, when reserved bits of
 * MXCSR are set: #GP(0).
 */
#define FXSAVE_BYTES 512u
#define FXSAVE_WRITTEN 464u /* at most: what follows is the program's */
void fpu_pack_fxsave(const struct fpu_state *fpu, uint8_t *area, bool rex_w, bool long_mode);
bool fpu_unpack_fxsave(struct fpu_state *fpu, const uint8_t *area, bool rex_w, bool long_mode);

/*
 * XSAVE: legacy region and header, 576 bytes; there are no extended components here, so that the
 * compacted form has the same size. `rfbm` is the instruction's EDX:EAX AND XCR0.
 */
#define XSAVE_BYTES 576u
enum xsave_kind { XSAVE_PLAIN, XSAVE_OPT, XSAVE_COMPACT };
/* Read-modify-write of the area's image. */
void fpu_pack_xsave(const struct fpu_state *fpu, uint8_t *area, uint64_t rfbm, bool rex_w,
                    bool long_mode, enum xsave_kind kind);
/* False, nothing changed, for what is #GP(0): a bad header, reserved bits of MXCSR. */
bool fpu_unpack_xrstor(struct fpu_state *fpu, const uint8_t *area, uint64_t rfbm, uint64_t xcr0,
                       bool rex_w, bool long_mode);
/* XCR0-style bits of the components that are not in their initial configuration: XINUSE. Outside of 64-bit mode that is
 * one of XMM0 to XMM7 (SDM vol. 1, 13.6). */
uint64_t fpu_xinuse(const struct fpu_state *fpu, bool long_mode);

#endif
