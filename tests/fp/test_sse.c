/* SPDX-License-Identifier: MIT */
/*
 * Every MMX and SSE instruction that has a kernel against the host's own. The encodings are not listed
 * here: all opcodes of the three maps are decoded, and what yields a row of simd_ops is run natively
 * on random operands and compared in destination, general registers, flags and MXCSR. Exceptions are
 * masked at random; an unmasked one arrives as SIGFPE and must have been foretold, with its flags.
 *
 * Only on x86-64 hosts with SSE4.2. RCPPS and RSQRTPS are rules of our own (test_softfloat.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <emu/insn.h>

#include "fp.h"
#include "fp_operands.h"
#include "host_simd.h"
#include "simd_internal.h"

static void commit_is_refused_for_unmasked_flags(void **state)
{
    (void)state;
    uint32_t mxcsr = 0x1f80 & ~(FP_ZE << 7);

    assert_true(simd_commit_flags(&mxcsr, FP_PE));
    assert_false(simd_commit_flags(&mxcsr, FP_ZE | FP_PE));
    assert_int_equal(mxcsr & FP_ALL, FP_PE | FP_ZE);
}

static void unmasked_invalid_hides_inexact_of_other_elements(void **state)
{
    (void)state;
    struct simd_env env = {.mxcsr = 0x1f00};
    union xmm a = {.d = {0x3f800000, 0x7f800001, 0, 0}}, b = {.d = {0x33000000, 0, 0, 0}};

    simd_ops[INSN_ADDPS].xmm(&env, &a, &b, 0);
    assert_int_equal(env.flags, FP_IE);
}

#if defined(__x86_64__)
static union xmm random_vector(struct operand_source *src)
{
    union xmm v;
    uint64_t how = operand_bits(src);

    for (unsigned i = 0; i < 2; i++)
        v.q[i] = operand_f64(src);
    if ((how & 3) == 0) {
        for (unsigned i = 0; i < 4; i++)
            v.d[i] = operand_f32(src);
    } else if ((how & 3) == 1) { /* short strings over a small alphabet, many zeros */
        for (unsigned i = 0; i < 16; i++)
            v.b[i] = (uint8_t)(operand_bits(src) % 5 * ((how >> 8 & 1) | i % 2));
    } else if ((how & 0xf) == 2) {
        v.q[0] = operand_bits(src) % 70; /* shift counts */
        v.q[1] = operand_bits(src);
    } else if ((how & 0xf) == 6) {
        v.q[0] = operand_bits(src);
        v.q[1] = operand_bits(src);
    }
    return v;
}

static uint32_t random_mxcsr(struct operand_source *src)
{
    uint64_t r = operand_bits(src);
    uint32_t v = 0x1f80;

    if (r & 1)
        v |= (uint32_t)(r >> 8) & 0xe040u;
    if (r & 2)
        v |= FP_PE;
    if ((r & 12) == 0)
        v &= (uint32_t)(r >> 16) | ~0x1f80u;
    return v;
}

/* Where the destination and source of a form are. */
enum place { NOWHERE, XMM1, XMM2, MM1, MM2, RCX, RDX };

static bool places(const struct insn *in, enum place *dst, enum place *src)
{
    switch (in->form) {
    case FORM_X_XM: case FORM_X_XM_IMM: *dst = XMM1; *src = XMM2; return true;
    case FORM_P_PM: case FORM_P_PM_IMM: *dst = MM1; *src = MM2; return true;
    case FORM_X_IMM: *dst = XMM2; *src = NOWHERE; return true;
    case FORM_P_IMM: *dst = MM2; *src = NOWHERE; return true;
    case FORM_X_RM: case FORM_X_RM_IMM: *dst = XMM1; *src = RDX; return true;
    case FORM_P_RM_IMM: *dst = MM1; *src = RDX; return true;
    case FORM_R_XM: case FORM_R_X_IMM: *dst = RCX; *src = XMM2; return true;
    case FORM_R_P: case FORM_R_P_IMM: *dst = RCX; *src = MM2; return true;
    case FORM_RM_X_IMM: *dst = RDX; *src = XMM1; return true;
    case FORM_P_XM: *dst = MM1; *src = XMM2; return true;
    case FORM_X_PM: *dst = XMM1; *src = MM2; return true;
    default: return false;
    }
}

static union xmm get(const struct host_simd *h, enum place p)
{
    union xmm v = {.q = {0, 0}};

    switch (p) {
    case XMM1: return h->x[1];
    case XMM2: return h->x[2];
    case MM1: v.q[0] = h->mm[1]; break;
    case MM2: v.q[0] = h->mm[2]; break;
    case RCX: v.q[0] = h->rcx; break;
    case RDX: v.q[0] = h->rdx; break;
    default: break;
    }
    return v;
}

static void put(struct host_simd *h, enum place p, union xmm v)
{
    switch (p) {
    case XMM1: h->x[1] = v; break;
    case XMM2: h->x[2] = v; break;
    case MM1: h->mm[1] = v.q[0]; break;
    case MM2: h->mm[2] = v.q[0]; break;
    case RCX: h->rcx = v.q[0]; break;
    case RDX: h->rdx = v.q[0]; break;
    default: break;
    }
}

static bool mmx_form(const struct insn *in)
{
    return in->form == FORM_P_PM || in->form == FORM_P_PM_IMM || in->form == FORM_P_IMM ||
           in->form == FORM_P_RM_IMM || in->form == FORM_R_P || in->form == FORM_R_P_IMM ||
           in->form == FORM_P_XM;
}

static simd_kernel *kernel_of(const struct insn *in)
{
    const struct simd_op *op = &simd_ops[in->id];

    if (in->form == FORM_X_IMM || in->form == FORM_P_IMM ||
        ((in->id == INSN_PINSRD || in->id == INSN_PEXTRD) && in->opsize == OPSIZE_64))
        return op->alt;
    return mmx_form(in) ? op->mmx : op->xmm;
}

/* What the kernel makes of the same state; true when its result is committed. */
static bool run_kernel(const struct insn *in, struct host_simd *h)
{
    enum place d = NOWHERE, s = NOWHERE;
    struct simd_env env = {.mxcsr = h->mxcsr, .xmm0 = h->x[0], .rax = h->rax, .rdx = h->rdx};

    assert_true(places(in, &d, &s));
    if (in->id == INSN_PCMPESTRI || in->id == INSN_PCMPESTRM) {
        env.rax = (uint64_t)(int32_t)h->rax;
        env.rdx = (uint64_t)(int32_t)h->rdx;
    }
    union xmm dst = get(h, d), src = get(h, s);
    if (s == RDX && in->opsize < OPSIZE_64)
        src.iq[0] = src.id[0];
    uint8_t flags = simd_ops[in->id].flags;
    kernel_of(in)(&env, &dst, &src, (uint8_t)in->imm);
    if (!simd_commit_flags(&h->mxcsr, env.flags))
        return false;
    if (flags & SIMD_EFLAGS)
        h->rflags = env.eflags;
    if (in->id == INSN_PCMPESTRI || in->id == INSN_PCMPESTRI_64 || in->id == INSN_PCMPISTRI)
        h->rcx = env.index;
    else if (flags & SIMD_STRING)
        h->x[0] = env.xmm0;
    else if ((flags & SIMD_EFLAGS) == 0)
        put(h, d, dst);
    return true;
}

static void report(const struct insn *in, const struct host_simd *before, const struct host_simd *got,
                   const struct host_simd *want)
{
    fail_msg("%s form %d imm %#llx mxcsr %#x\n"
             "  xmm0 %016llx:%016llx xmm1 %016llx:%016llx xmm2 %016llx:%016llx\n"
             "  mm1 %016llx mm2 %016llx rax %llx rcx %llx rdx %llx\n"
             "  got  xmm0 %016llx:%016llx xmm1 %016llx:%016llx mm1 %016llx rcx %llx rdx %llx fl %llx mx %x\n"
             "  host xmm0 %016llx:%016llx xmm1 %016llx:%016llx mm1 %016llx rcx %llx rdx %llx fl %llx mx %x",
             insn_info[in->id].mnemonic, in->form, (unsigned long long)in->imm, before->mxcsr,
#define LL(v) (unsigned long long)(v)
             LL(before->x[0].q[1]), LL(before->x[0].q[0]), LL(before->x[1].q[1]),
             LL(before->x[1].q[0]), LL(before->x[2].q[1]), LL(before->x[2].q[0]), LL(before->mm[1]),
             LL(before->mm[2]), LL(before->rax), LL(before->rcx), LL(before->rdx),
             LL(got->x[0].q[1]), LL(got->x[0].q[0]), LL(got->x[1].q[1]), LL(got->x[1].q[0]),
             LL(got->mm[1]), LL(got->rcx), LL(got->rdx), LL(got->rflags), got->mxcsr,
             LL(want->x[0].q[1]), LL(want->x[0].q[0]), LL(want->x[1].q[1]), LL(want->x[1].q[0]),
             LL(want->mm[1]), LL(want->rcx), LL(want->rdx), LL(want->rflags), want->mxcsr);
}

static void compare_once(const struct insn *in, struct operand_source *src)
{
    struct host_simd h = {.mxcsr = random_mxcsr(src), .rax = operand_bits(src), .rcx = operand_bits(src),
                     .rdx = operand_bits(src)};

    if (operand_bits(src) & 3) { /* string lengths, and integers that are exact */
        h.rax = operand_bits(src) % 40 - 20;
        h.rdx = operand_bits(src) % 40 - 20;
    }
    for (unsigned i = 0; i < 3; i++) {
        h.x[i] = random_vector(src);
        h.mm[i] = random_vector(src).q[0];
    }
    if ((operand_bits(src) & 7) == 0)
        h.x[2] = h.x[1];
    struct host_simd before = h, ours = h;
    bool faulted = host_simd_run(&h);
    bool committed = run_kernel(in, &ours);
    uint64_t flags = simd_ops[in->id].flags & SIMD_EFLAGS && committed ? FL_ARITH : 0;
    /* whether PE accompanies an unmasked overflow or underflow differs between processors */
    if (!committed && (h.mxcsr & ~(h.mxcsr >> 7) & (FP_OE | FP_UE)))
        h.mxcsr |= FP_PE, ours.mxcsr |= FP_PE;
    if (committed == faulted || memcmp(h.x, ours.x, sizeof(h.x)) != 0 ||
        memcmp(h.mm, ours.mm, sizeof(h.mm)) != 0 || h.rax != ours.rax || h.rcx != ours.rcx ||
        h.rdx != ours.rdx || h.mxcsr != ours.mxcsr || ((h.rflags ^ ours.rflags) & flags) != 0)
        report(in, &before, &ours, &h);
}

static bool approximation(const struct insn *in)
{
    return in->id == INSN_RCPPS || in->id == INSN_RCPSS || in->id == INSN_RSQRTPS ||
           in->id == INSN_RSQRTSS;
}

static unsigned tested[INSN_COUNT];

/* One encoding, with a register operand; true when it was one for us. */
static bool try_encoding(const uint8_t bytes[15], size_t n, struct operand_source *src)
{
    struct insn in;
    enum place d, s;

    if (insn_decode(bytes, n, CODE_64, &in) != DECODE_OK || in.len > n ||
        (in.flags & INSN_MEM) != 0 || (insn_info[in.id].attrs & (IA_MMX | IA_SSE)) == 0)
        return false;
    const struct simd_op *op = &simd_ops[in.id];
    if ((op->xmm == NULL && op->mmx == NULL && op->alt == NULL) || approximation(&in) ||
        !places(&in, &d, &s))
        return false;
    bool has_imm = in.form == FORM_X_XM_IMM || in.form == FORM_P_PM_IMM || in.form == FORM_X_IMM ||
                   in.form == FORM_P_IMM || in.form == FORM_X_RM_IMM || in.form == FORM_P_RM_IMM ||
                   in.form == FORM_R_X_IMM || in.form == FORM_R_P_IMM || in.form == FORM_RM_X_IMM;
    unsigned rounds = has_imm ? 256 * 12 : 3000;
    uint8_t code[15];
    memcpy(code, bytes, in.len);
    for (unsigned i = 0; i < rounds; i++) {
        if (has_imm)
            in.imm = code[in.len - 1] = (uint8_t)i;
        host_simd_set(code, in.len);
        compare_once(&in, src);
    }
    tested[in.id]++;
    return true;
}

static void every_kernel_equals_the_host(void **state)
{
    (void)state;
    static const uint8_t prefixes[] = {0, 0x66, 0xf3, 0xf2};
    struct operand_source src = {99};

    if (!__builtin_cpu_supports("sse4.2")) {
        print_message("skipped: the host has no SSE4.2\n");
        skip();
    }
    assert_true(host_simd_init());
    for (unsigned variant = 0; variant < 4 * 3 * 2; variant++) {
        unsigned p = variant & 3, map = (variant >> 2) % 3, rex = variant / 12;
        for (unsigned opcode = 0; opcode < 256; opcode++) {
            bool group = map == 0 && opcode >= 0x71 && opcode <= 0x73;
            for (unsigned reg = group ? 0 : 1; reg < (group ? 8u : 2u); reg++) {
                uint8_t bytes[15] = {0};
                size_t n = 0;
                if (prefixes[p] != 0)
                    bytes[n++] = prefixes[p];
                if (rex)
                    bytes[n++] = 0x48;
                bytes[n++] = 0x0f;
                if (map != 0)
                    bytes[n++] = map == 1 ? 0x38 : 0x3a;
                bytes[n++] = (uint8_t)opcode;
                bytes[n++] = (uint8_t)(0xc2 | reg << 3);
                bytes[n++] = 0; /* an immediate, if any */
                try_encoding(bytes, n, &src);
            }
        }
    }
    host_simd_fini();
    for (unsigned id = 1; id < INSN_COUNT; id++) {
        struct insn in = {.id = (uint16_t)id};
        const struct simd_op *op = &simd_ops[id];
        bool memory_only = id == INSN_MOVLPS || id == INSN_MOVLPD || id == INSN_MOVHPS ||
                           id == INSN_MOVHPD;
        if ((op->xmm || op->mmx || op->alt) && !approximation(&in) && !memory_only && !tested[id])
            fail_msg("%s was never run", insn_info[id].mnemonic);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commit_is_refused_for_unmasked_flags),
        cmocka_unit_test(unmasked_invalid_hides_inexact_of_other_elements),
#if defined(__x86_64__)
        cmocka_unit_test(every_kernel_equals_the_host),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
