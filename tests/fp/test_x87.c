/* SPDX-License-Identifier: MIT */
/*
 * x87 instructions and the images of the floating-point state. On an x86-64 host every encoding of
 * D8..DF is decoded and run natively from the same random state (stack depth, contents, control word
 * with random masks): registers, tags, status word, memory operand and EFLAGS must come out alike.
 * Pointers to the last instruction are not compared. Transcendental functions are compared for stack,
 * exceptions before the operation and condition codes, and for values by test_f80.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <emu/fpu_state.h>
#include <emu/insn.h>

#include "fp.h"
#include "fp_operands.h"
#include "host_x87.h"
#include "x87_internal.h"

static void execute(struct fpu_state *fpu, enum insn_id id, enum insn_form form, unsigned sti)
{
    struct x87_insn in = {.id = (uint16_t)id, .form = (uint8_t)form, .opsize = OPSIZE_128,
                          .sti = (uint8_t)sti};
    struct x87_operand none = {0, 0};
    uint32_t eflags;

    x87_execute(fpu, &in, &none, false, &eflags);
}

static void stack_overflow_sets_c1_and_pushes_the_indefinite(void **state)
{
    (void)state;
    struct fpu_state fpu;

    fpu_reset(&fpu);
    for (unsigned i = 0; i < 9; i++)
        execute(&fpu, INSN_FLD1, FORM_NONE, 0);
    assert_int_equal(fpu.sw, FP_IE | FSW_SF | FSW_C1);
    assert_int_equal(fpu.top, 7);
    assert_int_equal(fpu.st[7].sig, 0xc000000000000000);
    assert_false(x87_pending_exception(&fpu));
}

static void unmasked_stack_underflow_leaves_the_stack(void **state)
{
    (void)state;
    struct fpu_state fpu;

    fpu_reset(&fpu);
    fpu_set_control_word(&fpu, FCW_INIT & ~FP_IE);
    execute(&fpu, INSN_FADDP, FORM_STI_ST0, 1);
    assert_int_equal(fpu.top, 0);
    assert_int_equal(fpu.valid, 0);
    assert_true(x87_pending_exception(&fpu));
    assert_int_equal(fpu.sw, FP_IE | FSW_SF | FSW_ES | FSW_B);
}

static void unmasked_comparison_stores_its_outcome_and_does_not_pop(void **state)
{
    (void)state;
    struct fpu_state fpu;

    fpu_reset(&fpu);
    fpu_set_control_word(&fpu, FCW_INIT & ~FP_IE);
    execute(&fpu, INSN_FCOMP, FORM_ST0_STI, 1);
    assert_int_equal(fpu.top, 0);
    assert_int_equal(fpu.sw, FP_IE | FSW_SF | FSW_ES | FSW_B | FSW_C0 | FSW_C2 | FSW_C3);
}

static void store_changes_nothing_before_it_is_committed(void **state)
{
    (void)state;
    struct fpu_state fpu, before;
    struct x87_insn in = {.id = INSN_FSTP, .form = FORM_ST0_M, .opsize = OPSIZE_32, .mem = true};
    struct x87_store store;

    fpu_reset(&fpu);
    execute(&fpu, INSN_FLDPI, FORM_NONE, 0);
    before = fpu;
    x87_store(&fpu, &in, &store);
    assert_memory_equal(&fpu, &before, sizeof(fpu));
    assert_int_equal(store.bytes, 4);
    assert_int_equal(store.out.low, 0x40490fdb);
    x87_store_commit(&fpu, &store);
    assert_int_equal(fpu.valid, 0);
    assert_int_equal(fpu.sw & FP_ALL, FP_PE);
    assert_int_equal(fpu.sw & FSW_C1, FSW_C1); /* pi was rounded up */
}

static void control_word_raises_what_it_unmasks(void **state)
{
    (void)state;
    struct fpu_state fpu;

    fpu_reset(&fpu);
    fpu_set_status_word(&fpu, FP_ZE);
    assert_false(x87_pending_exception(&fpu));
    fpu_set_control_word(&fpu, FCW_INIT & ~FP_ZE);
    assert_true(x87_pending_exception(&fpu));
    execute(&fpu, INSN_FNCLEX, FORM_NONE, 0);
    assert_false(x87_pending_exception(&fpu));
}

static void random_state(struct operand_source *src, struct fpu_state *fpu)
{
    fpu_reset(fpu);
    for (unsigned i = 0; i < 8; i++)
        operand_f80(src, &fpu->st[i].sig, &fpu->st[i].se);
    uint64_t r = operand_bits(src);
    fpu->cw = (uint16_t)(FCW_ONE | FP_ALL | (r & 3) << 10 | (r & 0x80 ? 3u : r >> 2 & 3) << 8);
    if ((fpu->cw & 0x300) == 0x100)
        fpu->cw |= 0x300;
    if ((r & 0x30) == 0)
        fpu->cw &= (uint16_t)(~FP_ALL | r >> 8);
    fpu->sw = (uint16_t)((r >> 16 & (FP_ALL | FSW_SF | FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3)) &
                         ~(~fpu->cw & FP_ALL));
    fpu->top = r >> 32 & 7;
    fpu->valid = (r & 0xc0) == 0 ? (uint8_t)(r >> 40) : (r & 0x300) == 0 ? 0xff : 0x7f;
    if (fpu->valid == 0x7f) /* room for one */
        fpu->valid = (uint8_t)~(1u << ((fpu->top + 7) & 7));
}

static void save_images_round_trip(void **state)
{
    (void)state;
    struct operand_source src = {8};
    uint8_t image[FPU_SAVE32_BYTES], fx[FXSAVE_BYTES], again[FXSAVE_BYTES];

    for (int i = 0; i < 2000; i++) {
        struct fpu_state a, b;
        random_state(&src, &a);
        a.fip = operand_bits(&src) & 0xffff;
        a.fdp = operand_bits(&src) & 0xffff;
        for (unsigned n = 0; n < 16; n++)
            a.xmm[n].q[0] = operand_bits(&src);
        a.mxcsr = operand_bits(&src) & MXCSR_VALID;
        for (unsigned size32 = 0; size32 < 2; size32++) {
            fpu_pack_save(&a, image, size32 != 0, false);
            b = a;
            b.top = b.valid = 0;
            memset(b.st, 0, sizeof(b.st));
            fpu_unpack_save(&b, image, size32 != 0, false);
            assert_int_equal(fpu_status_word(&a), fpu_status_word(&b));
            assert_int_equal(a.valid, b.valid);
            for (unsigned n = 0; n < 8; n++) {
                assert_int_equal(a.st[n].sig, b.st[n].sig);
                assert_int_equal(a.st[n].se, b.st[n].se);
            }
        }
        memset(fx, 0x5a, sizeof(fx));
        fpu_pack_fxsave(&a, fx, true, true);
        fpu_reset(&b);
        assert_true(fpu_unpack_fxsave(&b, fx, true, true));
        memset(again, 0x5a, sizeof(again));
        fpu_pack_fxsave(&b, again, true, true);
        assert_memory_equal(fx, again, sizeof(fx));
        assert_int_equal(fx[511], 0x5a);
    }
}

static void xrstor_refuses_bad_headers_and_initialises_absent_parts(void **state)
{
    (void)state;
    struct fpu_state fpu, before;
    uint8_t area[XSAVE_BYTES] = {0};

    fpu_reset(&fpu);
    fpu.xmm[3].q[1] = 7;
    execute(&fpu, INSN_FLD1, FORM_NONE, 0);
    fpu_pack_xsave(&fpu, area, XCR0_VALID, true, true, XSAVE_PLAIN);
    assert_int_equal(area[512], 3);
    before = fpu;
    area[512] = 4; /* a component that XCR0 does not have */
    assert_false(fpu_unpack_xrstor(&fpu, area, XCR0_VALID, XCR0_VALID, true, true));
    assert_memory_equal(&fpu, &before, sizeof(fpu));
    area[512] = 3;
    area[530] = 1; /* reserved */
    assert_false(fpu_unpack_xrstor(&fpu, area, XCR0_VALID, XCR0_VALID, true, true));
    area[530] = 0;
    area[24 + 2] = 1; /* MXCSR bit 16 */
    assert_false(fpu_unpack_xrstor(&fpu, area, XCR0_VALID, XCR0_VALID, true, true));
    area[24 + 2] = 0;
    area[512] = 2;
    assert_true(fpu_unpack_xrstor(&fpu, area, XCR0_VALID, XCR0_VALID, true, true));
    assert_int_equal(fpu.valid, 0);
    assert_int_equal(fpu.xmm[3].q[1], 7);
    area[512] = 0;
    assert_true(fpu_unpack_xrstor(&fpu, area, XCR0_SSE, XCR0_VALID, true, true));
    assert_int_equal(fpu.xmm[3].q[1], 0);
    assert_int_equal(fpu_xinuse(&fpu, true), 0);
}

static void only_64_bit_mode_has_the_upper_registers_in_use(void **state)
{
    (void)state;
    struct fpu_state fpu;
    uint8_t area[XSAVE_BYTES] = {0};

    fpu_reset(&fpu);
    fpu.xmm[8].q[1] = 1;
    assert_int_equal(fpu_xinuse(&fpu, true), XCR0_SSE);
    assert_int_equal(fpu_xinuse(&fpu, false), 0);
    fpu_pack_xsave(&fpu, area, XCR0_SSE, false, false, XSAVE_PLAIN);
    assert_int_equal(area[512], 0);
    fpu_pack_xsave(&fpu, area, XCR0_SSE, true, true, XSAVE_PLAIN);
    assert_int_equal(area[512], XCR0_SSE);
}

static void xsavec_writes_the_compacted_header(void **state)
{
    (void)state;
    struct fpu_state fpu, back;
    uint8_t area[XSAVE_BYTES];

    memset(area, 0, sizeof(area));
    fpu_reset(&fpu);
    fpu.mxcsr = 0x1fa0;
    fpu_pack_xsave(&fpu, area, XCR0_VALID, true, true, XSAVE_COMPACT);
    assert_int_equal(area[512], XCR0_SSE); /* MXCSR is not initial, so SSE counts as in use */
    assert_int_equal(area[520], 3);
    assert_int_equal(area[527], 0x80);
    fpu_reset(&back);
    assert_true(fpu_unpack_xrstor(&back, area, XCR0_VALID, XCR0_VALID, true, true));
    assert_int_equal(back.mxcsr, 0x1fa0);
}

#if defined(__x86_64__)

static bool transcendental(enum insn_id id)
{
    switch (id) {
    case INSN_FSIN: case INSN_FCOS: case INSN_FSINCOS: case INSN_FPTAN: case INSN_FPATAN:
    case INSN_F2XM1: case INSN_FYL2X: case INSN_FYL2XP1: return true;
    default: return false;
    }
}

/* Instructions that the engine does itself, or that are no operation of the x87's. */
static bool engine_only(enum insn_id id)
{
    return id == INSN_FNSTENV || id == INSN_FNSAVE || id == INSN_FLDENV || id == INSN_FRSTOR ||
           id == INSN_FWAIT;
}

static bool condition_holds(enum insn_id id, uint64_t rflags)
{
    bool cf = rflags & FL_CF, zf = (rflags & FL_ZF) != 0, pf = (rflags & FL_PF) != 0;

    switch (id) {
    case INSN_FCMOVB: return cf;
    case INSN_FCMOVE: return zf;
    case INSN_FCMOVBE: return cf || zf;
    case INSN_FCMOVU: return pf;
    case INSN_FCMOVNB: return !cf;
    case INSN_FCMOVNE: return !zf;
    case INSN_FCMOVNBE: return !cf && !zf;
    case INSN_FCMOVNU: return !pf;
    default: return false;
    }
}

static void run_ours(const struct insn *d, struct fpu_state *fpu, struct host_x87 *h)
{
    struct x87_insn in = {.id = d->id, .form = d->form, .opsize = d->opsize, .sti = d->rm & 7,
                          .mem = (d->flags & INSN_MEM) != 0};
    struct x87_operand m = {0, 0};
    uint32_t eflags;

    if (d->id == INSN_FNSTSW && !in.mem) {
        h->rax = fpu_status_word(fpu);
    } else if (x87_kind(&in) == X87_STORE) {
        struct x87_store s;
        x87_store(fpu, &in, &s);
        memcpy(h->memory, &s.out.low, s.bytes < 8 ? s.bytes : 8);
        if (s.bytes == 10)
            memcpy(h->memory + 8, &s.out.high, 2);
        x87_store_commit(fpu, &s);
    } else {
        memcpy(&m.low, h->memory, 8);
        memcpy(&m.high, h->memory + 8, 2);
        if (x87_execute(fpu, &in, &m, condition_holds(d->id, h->rflags), &eflags))
            h->rflags = (h->rflags & ~(uint64_t)FL_ARITH) | eflags;
    }
}

static void random_memory(struct operand_source *src, const struct insn *d, uint8_t *memory)
{
    uint64_t sig = operand_f64(src);
    uint16_t se = (uint16_t)operand_bits(src);

    if (d->opsize == OPSIZE_128)
        operand_f80(src, &sig, &se);
    else if (d->opsize == OPSIZE_32)
        sig = operand_f32(src);
    if (d->id == INSN_FLDCW)
        sig = 0x7f | (operand_bits(src) & 0xf00) | FP_ALL;
    if (d->id == INSN_FLDCW && (sig & 0x300) == 0x100)
        sig |= 0x300;
    if (d->id == INSN_FBLD) { /* other digits than 0..9 have no defined value */
        for (unsigned i = 0; i < 8; i++)
            sig = sig << 8 | operand_bits(src) % 10 << 4 | operand_bits(src) % 10;
        se = (uint16_t)((se & 0x8000) | operand_bits(src) % 10 << 4 | operand_bits(src) % 10);
    }
    memset(memory, 0xa5, 32);
    memcpy(memory, &sig, 8);
    memcpy(memory + 8, &se, 2);
}

static void dump(char *to, size_t n, const struct fpu_state *f)
{
    size_t at = (size_t)snprintf(to, n, "cw %04x sw %04x valid %02x\n", f->cw, fpu_status_word(f),
                                 f->valid);

    for (unsigned i = 0; i < 8 && at < n; i++)
        at += (size_t)snprintf(to + at, n - at, "    st%u %04x %016llx\n", i,
                               f->st[(f->top + i) & 7].se,
                               (unsigned long long)f->st[(f->top + i) & 7].sig);
}

static void mismatch(const struct insn *d, const struct fpu_state *before,
                     const struct host_x87 *mem, const struct fpu_state *got,
                     const struct fpu_state *want)
{
    static char b[1024], g[1024], w[1024];

    dump(b, sizeof(b), before);
    dump(g, sizeof(g), got);
    dump(w, sizeof(w), want);
    fail_msg("%s form %d st(%d) opsize %d memory %02x%02x %016llx\n  before %s  got %s  host %s",
             insn_info[d->id].mnemonic, d->form, d->rm, d->opsize, mem->memory[9], mem->memory[8],
             (unsigned long long)*(const uint64_t *)(const void *)mem->memory, b, g, w);
}

/* Values that rules of our own decide are compared by kind only, and PE, UE not at all. */
static bool alike(const struct insn *d, struct fpu_state *ours, struct fpu_state *host)
{
    if (transcendental(d->id)) {
        const uint16_t loose = FP_PE | FP_UE | FP_OE | FSW_C1 | FSW_ES | FSW_B;
        ours->sw &= (uint16_t)~loose;
        host->sw &= (uint16_t)~loose;
        for (unsigned i = 0; i < 2; i++) {
            struct f80 *a = &ours->st[(ours->top + i) & 7], *b = &host->st[(host->top + i) & 7];
            if ((f80_classify(*a) == F80_NAN) == (f80_classify(*b) == F80_NAN))
                *a = *b;
        }
    }
    if (d->id >= INSN_FCOMI && d->id <= INSN_FUCOMIP) { /* the SDM clears C1; not all makers do */
        ours->sw &= (uint16_t)~FSW_C1;
        host->sw &= (uint16_t)~FSW_C1;
    }
    /* the SDM leaves condition codes alone then; other makers' processors set them */
    if (ours->sw & ~ours->cw & FP_PRE) {
        ours->sw &= (uint16_t)~(FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3);
        host->sw &= (uint16_t)~(FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3);
    }
    for (unsigned i = 0; i < 8; i++) {
        /* what an empty register holds after a stack fault differs between processors */
        if ((ours->sw & FSW_SF) && (((ours->valid | host->valid) >> i) & 1) == 0)
            continue;
        if (ours->st[i].sig != host->st[i].sig || ours->st[i].se != host->st[i].se)
            return false;
    }
    return ours->cw == host->cw && ours->sw == host->sw && ours->top == host->top &&
           ours->valid == host->valid;
}

/* FPREM's and FXAM's condition codes aside, C0, C2 and C3 of an instruction that does not set them are
 * undefined by the manual; ours keep their values, as processors do. */
static void compare_once(const struct insn *d, struct operand_source *src)
{
    struct fpu_state before, ours, host;
    struct host_x87 h = {.rflags = 2 | (operand_bits(src) & FL_ARITH)}, mem;

    random_state(src, &before);
    struct f80 *st0 = &before.st[before.top];
    if ((d->id == INSN_FYL2XP1 || d->id == INSN_F2XM1) && (st0->se & 0x7fff) >= 0x3ffd &&
        (st0->se & 0x7fff) != 0x7fff)
        st0->se = (uint16_t)((st0->se & 0x8000) | (st0->se & 0x1fff)); /* else undefined */
    random_memory(src, d, h.memory);
    fpu_pack_save(&before, h.image, true, false);
    ours = before;
    mem = h;
    struct host_x87 mine = h;
    host_x87_run(&h);
    run_ours(d, &ours, &mine);
    fpu_reset(&host);
    fpu_unpack_save(&host, h.image, true, false);
    if (d->id == INSN_FNSTSW && (d->flags & INSN_MEM) == 0 && (h.rax & 0xffff) != mine.rax)
        fail_msg("fnstsw ax %llx, host %llx", (unsigned long long)mine.rax,
                 (unsigned long long)h.rax);
    if (ours.sw & ~ours.cw & FP_PRE) /* as for the condition codes, see alike() */
        mine.rflags = h.rflags;
    unsigned unmasked = ours.sw & ~ours.cw & (FP_OE | FP_UE);
    if (unmasked && x87_kind(&(struct x87_insn){.id = d->id, .mem = true}) == X87_STORE) {
        /* PE then differs between processors */
        ours.sw |= FP_PE;
        host.sw |= FP_PE;
        fpu_set_control_word(&ours, ours.cw);
        fpu_set_control_word(&host, host.cw);
    }
    if (!alike(d, &ours, &host) || memcmp(h.memory, mine.memory, 32) != 0 ||
        ((h.rflags ^ mine.rflags) & FL_ARITH) != 0)
        mismatch(d, &before, &mem, &ours, &host);
}

static void every_encoding_equals_the_host(void **state)
{
    (void)state;
    struct operand_source src = {21};
    unsigned encodings = 0;

    assert_true(host_x87_init());
    for (unsigned opcode = 0xd8; opcode <= 0xdf; opcode++) {
        for (unsigned modrm = 0; modrm < 256; modrm++) {
            uint8_t bytes[15] = {(uint8_t)opcode, (uint8_t)modrm};
            struct insn d;
            if (modrm < 0xc0 && (modrm & 0xc7) != 1) /* memory operands: [RCX] only */
                continue;
            if (opcode == 0xd9 && modrm >= 0xd8 && modrm <= 0xdf)
                continue; /* undocumented FSTP: does not fault for an empty ST(0) on some processors */
            if (insn_decode(bytes, sizeof(bytes), CODE_64, &d) != DECODE_OK || engine_only(d.id) ||
                (insn_info[d.id].attrs & IA_X87) == 0)
                continue;
            host_x87_set(bytes, d.len);
            for (int i = 0; i < 3000; i++)
                compare_once(&d, &src);
            encodings++;
        }
    }
    host_x87_fini();
    assert_true(encodings > 400);
}

static void fxsave_image_equals_the_host(void **state)
{
    (void)state;
    struct operand_source src = {4};
    static uint8_t want[512] __attribute__((aligned(16))), got[512];

    for (int i = 0; i < 500; i++) {
        struct fpu_state fpu;
        struct host_x87 h = {.rflags = 2};
        random_state(&src, &fpu);
        fpu_pack_save(&fpu, h.image, true, false);
        memset(want, 0x5a, sizeof(want));
        memset(got, 0x5a, sizeof(got));
        host_x87_fxsave(&h, want);
        fpu_pack_fxsave(&fpu, got, true, true);
        assert_memory_equal(got, want, 6);            /* control, status, tags */
        assert_memory_equal(got + 32, want + 32, 128); /* registers */
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stack_overflow_sets_c1_and_pushes_the_indefinite),
        cmocka_unit_test(unmasked_stack_underflow_leaves_the_stack),
        cmocka_unit_test(unmasked_comparison_stores_its_outcome_and_does_not_pop),
        cmocka_unit_test(store_changes_nothing_before_it_is_committed),
        cmocka_unit_test(control_word_raises_what_it_unmasks),
        cmocka_unit_test(save_images_round_trip),
        cmocka_unit_test(xrstor_refuses_bad_headers_and_initialises_absent_parts),
        cmocka_unit_test(only_64_bit_mode_has_the_upper_registers_in_use),
        cmocka_unit_test(xsavec_writes_the_compacted_header),
#if defined(__x86_64__)
        cmocka_unit_test(every_encoding_equals_the_host),
        cmocka_unit_test(fxsave_image_equals_the_host),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
