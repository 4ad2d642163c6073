/* SPDX-License-Identifier: MIT */
/*
 * MMX, SSE and x87 through the whole interpreter, from bytes in guest memory to the CPU's state.
 *
 * Every MMX and SSE encoding is run there and natively, with register and memory operands. x87
 * encodings are run there and as plain functions (which test_x87.c compares with the host). The rest
 * of the tests are about what only an engine does: which fault, with which state left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "fp.h"
#include "fp_operands.h"
#include "host_simd.h"
#include "simd_guest.h"
#include "x87_internal.h"

static struct machine *m;
static struct cpu *cpu;

static int set_up(void **state)
{
    (void)state;
    m = simd_guest_create();
    if (m == NULL)
        return -1;
    cpu = &m->cpus[0];
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    machine_destroy(m);
    return 0;
}

#define RUN(...)                                                                                   \
    simd_guest_run(m, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), &error)

static void fresh(void)
{
    simd_guest_prepare(m);
    fpu_reset(&cpu->fpu);
    memset(cpu->regs, 0, 16 * sizeof(cpu->regs[0]));
    cpu->regs[REG_RSP] = GUEST_STACK;
    cpu->regs[REG_RDI] = GUEST_DATA;
}

/* --- which fault --- */

static void control_registers_forbid_sse(void **state)
{
    (void)state;
    uint64_t error;

    fresh();
    cpu->cr0 |= CR0_EM;
    assert_int_equal(RUN(0x66, 0x0f, 0xef, 0xc1), EXC_UD); /* pxor xmm0, xmm1 */
    fresh();
    cpu->cr0 |= CR0_TS;
    assert_int_equal(RUN(0x66, 0x0f, 0xef, 0xc1), EXC_NM);
    fresh();
    cpu->cr0 |= CR0_TS;
    cpu->cr4 &= ~(uint64_t)CR4_OSFXSR;
    assert_int_equal(RUN(0x0f, 0x28, 0x07), EXC_UD); /* movaps xmm0, [rdi] */
    fresh();
    assert_int_equal(RUN(0x66, 0x0f, 0xef, 0xc1), -1);
}

static void control_registers_forbid_x87_and_mmx(void **state)
{
    (void)state;
    uint64_t error;

    fresh();
    cpu->cr0 |= CR0_EM;
    assert_int_equal(RUN(0xd9, 0xe8), EXC_NM);       /* fld1 */
    fresh();
    cpu->cr0 |= CR0_EM;
    assert_int_equal(RUN(0x0f, 0xef, 0xc1), EXC_UD); /* pxor mm0, mm1 */
    fresh();
    cpu->cr0 |= CR0_TS;
    assert_int_equal(RUN(0x0f, 0xef, 0xc1), EXC_NM);
    fresh();
    cpu->cr0 |= CR0_TS;
    assert_int_equal(RUN(0x9b), EXC_NM); /* fwait, with CR0.MP */
    fresh();
    cpu->cr0 = (cpu->cr0 | CR0_TS) & ~(uint64_t)CR0_MP;
    assert_int_equal(RUN(0x9b), -1);
}

static void misaligned_operand_faults_only_where_alignment_is_asked(void **state)
{
    (void)state;
    uint64_t error = 1;

    fresh();
    cpu->regs[REG_RDI]++;
    assert_int_equal(RUN(0x0f, 0x28, 0x07), EXC_GP); /* movaps xmm0, [rdi] */
    assert_int_equal(error, 0);
    fresh();
    cpu->regs[REG_RDI]++;
    assert_int_equal(RUN(0x0f, 0x10, 0x07), -1); /* movups */
    fresh();
    cpu->regs[REG_RDI]++;
    assert_int_equal(RUN(0x66, 0x0f, 0xfe, 0x07), EXC_GP); /* paddd */
    fresh();
    cpu->regs[REG_RDI]++;
    assert_int_equal(RUN(0x66, 0x0f, 0x3a, 0x63, 0x07, 0), -1); /* pcmpistri */
    fresh();
    cpu->regs[REG_RDI]++;
    assert_int_equal(RUN(0x66, 0x0f, 0xe7, 0x07), EXC_GP); /* movntdq */
    fresh();
    cpu->regs[REG_RDI]++;
    assert_int_equal(RUN(0x0f, 0x58, 0x07), EXC_GP); /* addps */
    fresh();
    cpu->regs[REG_RDI]++;
    assert_int_equal(RUN(0xf3, 0x0f, 0x58, 0x07), -1); /* addss */
}

/* Bytes 464 to 511 are the program's, but part of the operand. */
static void fxsave_wants_all_of_its_area_writable(void **state)
{
    (void)state;
    uint64_t error;

    fresh();
    cpu->regs[REG_RDI] = GUEST_HOLE - 464;
    assert_int_equal(RUN(0x0f, 0xae, 0x07), EXC_PF);
    assert_int_equal(cpu->cr2, GUEST_HOLE);
}

/* SDM vol. 2, CVTPI2PS: the transition to MMX comes first. */
static void conversion_from_mmx_takes_over_the_x87_before_it_faults(void **state)
{
    (void)state;
    uint64_t error;

    fresh();
    cpu->fpu.top = 5;
    cpu->fpu.st[1].sig = 0x7fffffff; /* not exact in single precision */
    cpu->fpu.mxcsr = MXCSR_INIT & ~(FP_PE << 7);
    assert_int_equal(RUN(0x0f, 0x2a, 0xc1), EXC_XM); /* cvtpi2ps xmm0, mm1 */
    assert_int_equal(cpu->fpu.valid, 0xff);
    assert_int_equal(cpu->fpu.top, 0);
}

/* D9 D8+i, a move that checks nothing. */
static void fstpnce_of_an_empty_register_only_pops(void **state)
{
    (void)state;
    uint64_t error;

    fresh();
    assert_int_equal(RUN(0xd9, 0xd9), -1);
    assert_int_equal(cpu->fpu.top, 1);
    assert_int_equal(cpu->fpu.valid, 0);
    assert_int_equal(cpu->fpu.sw, 0);
}

static void store_across_a_hole_faults_and_writes_nothing(void **state)
{
    (void)state;
    uint64_t error, before = 0x1122334455667788, after;
    uint64_t at = GUEST_HOLE - 8;

    ram_write(&m->ram, at, &before, 8);
    fresh();
    memset(&cpu->fpu.xmm[0], 0xff, 16);
    cpu->regs[REG_RDI] = at;
    assert_int_equal(RUN(0x0f, 0x11, 0x07), EXC_PF); /* movups [rdi], xmm0 */
    assert_int_equal(cpu->cr2, GUEST_HOLE);
    ram_read(&m->ram, at, &after, 8);
    assert_int_equal(after, before);
}

static void unmasked_exception_sets_mxcsr_and_leaves_the_destination(void **state)
{
    (void)state;
    uint64_t error;

    fresh();
    cpu->fpu.mxcsr = 0x1f80 & ~(FP_ZE << 7);
    cpu->fpu.xmm[0].q[0] = 0x3ff0000000000000;
    assert_int_equal(RUN(0xf2, 0x0f, 0x5e, 0xc1), EXC_XM); /* divsd xmm0, xmm1 */
    assert_int_equal(cpu->fpu.mxcsr & FP_ALL, FP_ZE);
    assert_int_equal(cpu->fpu.xmm[0].q[0], 0x3ff0000000000000);
    fresh();
    cpu->fpu.mxcsr = 0x1f80 & ~(FP_ZE << 7);
    cpu->cr4 &= ~(uint64_t)CR4_OSXMMEXCPT;
    cpu->fpu.xmm[0].q[0] = 0x3ff0000000000000;
    assert_int_equal(RUN(0xf2, 0x0f, 0x5e, 0xc1), EXC_UD);
}

static void pending_x87_exception_waits_for_a_waiting_instruction(void **state)
{
    (void)state;
    uint64_t error;

    fresh();
    fpu_set_control_word(&cpu->fpu, FCW_INIT & ~FP_IE);
    assert_int_equal(RUN(0xd9, 0xfa), -1); /* fsqrt of an empty register */
    assert_true(x87_pending_exception(&cpu->fpu));
    assert_int_equal(RUN(0xdf, 0xe0), -1); /* fnstsw ax */
    assert_int_equal(cpu->regs[REG_RAX] & 0xffff, FP_IE | FSW_SF | FSW_ES | FSW_B);
    assert_int_equal(RUN(0x9b), EXC_MF);
    simd_guest_prepare(m);
    assert_int_equal(RUN(0xd9, 0xe8), EXC_MF); /* fld1 */
    simd_guest_prepare(m);
    assert_int_equal(RUN(0x0f, 0x6f, 0xc1), EXC_MF); /* movq mm0, mm1 */
    simd_guest_prepare(m);
    assert_int_equal(RUN(0xdb, 0xe2), -1); /* fnclex */
    assert_int_equal(RUN(0xd9, 0xe8), -1);
}

static void opcode_of_an_unmasked_exception_is_kept(void **state)
{
    (void)state;
    uint64_t error;

    fresh();
    fpu_set_control_word(&cpu->fpu, FCW_INIT);
    assert_int_equal(RUN(0xd9, 0xfa), -1); /* fsqrt of an empty register, masked */
    assert_int_equal(cpu->fpu.fop, 0);
    fpu_init(&cpu->fpu);
    fpu_set_control_word(&cpu->fpu, FCW_INIT & ~FP_IE);
    assert_int_equal(RUN(0x67, 0xd8, 0x0f), -1); /* fmul dword [edi], behind a prefix */
    assert_true(x87_pending_exception(&cpu->fpu));
    assert_int_equal(cpu->fpu.fop, 0x00f);
    assert_int_equal(RUN(0xdb, 0xe2), -1); /* fnclex: no instruction that is recorded */
    assert_int_equal(cpu->fpu.fop, 0x00f);
    assert_int_equal(RUN(0xdd, 0x1f), -1); /* fstp qword [rdi]: empty */
    assert_int_equal(cpu->fpu.fop, 0x51f);
}

static void faulting_x87_store_leaves_the_stack(void **state)
{
    (void)state;
    uint64_t error;

    fresh();
    assert_int_equal(RUN(0xd9, 0xeb), -1); /* fldpi */
    struct fpu_state before = cpu->fpu;
    cpu->regs[REG_RDI] = GUEST_HOLE;
    assert_int_equal(RUN(0xd9, 0x1f), EXC_PF); /* fstp dword [rdi] */
    assert_memory_equal(&before, &cpu->fpu, sizeof(before));
    simd_guest_prepare(m);
    cpu->regs[REG_RDI] = GUEST_HOLE - 8;
    assert_int_equal(RUN(0xdb, 0x3f), EXC_PF); /* fstp tbyte [rdi] */
    assert_memory_equal(&before, &cpu->fpu, sizeof(before));
}

static void mmx_instructions_take_over_the_x87(void **state)
{
    (void)state;
    uint64_t error;

    fresh();
    assert_int_equal(RUN(0xd9, 0xe8), -1); /* fld1: TOP is 7 */
    assert_int_equal(RUN(0x0f, 0xef, 0xdb), -1); /* pxor mm3, mm3 */
    assert_int_equal(cpu->fpu.top, 0);
    assert_int_equal(cpu->fpu.valid, 0xff);
    assert_int_equal(cpu->fpu.st[3].se, 0xffff);
    assert_int_equal(cpu->fpu.st[3].sig, 0);
    cpu->fpu.top = 3;
    assert_int_equal(RUN(0x0f, 0x77), -1); /* emms */
    assert_int_equal(cpu->fpu.valid, 0);
    assert_int_equal(cpu->fpu.top, 0);
    assert_int_equal(RUN(0x0f, 0x2a, 0x07), -1); /* cvtpi2ps xmm0, [rdi]: no MMX register */
    assert_int_equal(cpu->fpu.valid, 0);
}

static void state_instructions_round_trip_and_check(void **state)
{
    (void)state;
    uint64_t error;

    fresh();
    RUN(0xd9, 0xeb); /* fldpi */
    cpu->fpu.xmm[15].q[1] = 0x77;
    struct fpu_state saved = cpu->fpu;
    cpu->regs[REG_RAX] = 7;
    assert_int_equal(RUN(0x48, 0x0f, 0xae, 0x07), -1); /* fxsave64 [rdi] */
    fpu_reset(&cpu->fpu);
    assert_int_equal(RUN(0x48, 0x0f, 0xae, 0x0f), -1); /* fxrstor64 */
    saved.fcs = saved.fds = 0; /* not in the 64-bit layout */
    assert_memory_equal(&saved, &cpu->fpu, sizeof(saved));
    assert_int_equal(RUN(0x48, 0x0f, 0xae, 0x27), -1); /* xsave64 */
    fpu_reset(&cpu->fpu);
    assert_int_equal(RUN(0x48, 0x0f, 0xae, 0x2f), -1); /* xrstor64 */
    assert_memory_equal(&saved, &cpu->fpu, sizeof(saved));
    cpu->regs[REG_RDI] += 16;
    assert_int_equal(RUN(0x48, 0x0f, 0xae, 0x27), EXC_GP); /* not 64-byte aligned */
    fresh();
    cpu->regs[REG_RDI] += 8;
    assert_int_equal(RUN(0x48, 0x0f, 0xae, 0x07), EXC_GP);
    fresh();
    cpu->cr4 &= ~(uint64_t)CR4_OSXSAVE;
    assert_int_equal(RUN(0x48, 0x0f, 0xae, 0x27), EXC_UD);
}

static void mxcsr_and_xcr0_refuse_reserved_bits(void **state)
{
    (void)state;
    uint64_t error, v = 0x10000;

    fresh();
    ram_write(&m->ram, GUEST_DATA, &v, 8);
    assert_int_equal(RUN(0x0f, 0xae, 0x17), EXC_GP); /* ldmxcsr */
    assert_int_equal(cpu->fpu.mxcsr, MXCSR_INIT);
    v = 0x1fa0;
    ram_write(&m->ram, GUEST_DATA, &v, 8);
    fresh();
    assert_int_equal(RUN(0x0f, 0xae, 0x17), -1);
    assert_int_equal(cpu->fpu.mxcsr, 0x1fa0);
    cpu->regs[REG_RAX] = 2; /* SSE without x87 */
    assert_int_equal(RUN(0x0f, 0x01, 0xd1), EXC_GP); /* xsetbv */
    fresh();
    cpu->regs[REG_RAX] = 1;
    assert_int_equal(RUN(0x0f, 0x01, 0xd1), -1);
    cpu->regs[REG_RAX] = 0;
    assert_int_equal(RUN(0x0f, 0x01, 0xd0), -1); /* xgetbv */
    assert_int_equal(cpu->regs[REG_RAX], 1);
}

/* --- x87 encodings --- */

static void random_fpu(struct operand_source *src, struct fpu_state *f)
{
    fpu_reset(f);
    for (unsigned i = 0; i < 8; i++)
        operand_f80(src, &f->st[i].sig, &f->st[i].se);
    f->top = operand_bits(src) & 7;
    f->valid = (uint8_t)operand_bits(src) | (uint8_t)operand_bits(src) | (uint8_t)(1u << f->top);
    f->cw = (uint16_t)(FCW_INIT ^ (operand_bits(src) & 3) << 10);
}

static void plain(const struct insn *d, struct fpu_state *f, uint8_t *memory, uint64_t *rax)
{
    struct x87_insn in = {.id = d->id, .form = d->form, .opsize = d->opsize, .sti = d->rm & 7,
                          .mem = (d->flags & INSN_MEM) != 0};
    struct x87_operand operand = {0, 0};
    uint32_t eflags;

    if (d->id == INSN_FNSTSW && !in.mem) {
        *rax = (*rax & ~0xffffULL) | fpu_status_word(f);
    } else if (x87_kind(&in) == X87_STORE) {
        struct x87_store s;
        x87_store(f, &in, &s);
        memcpy(memory, &s.out.low, s.bytes < 8 ? s.bytes : 8);
        if (s.bytes == 10)
            memcpy(memory + 8, &s.out.high, 2);
        x87_store_commit(f, &s);
    } else {
        memcpy(&operand.low, memory, 8);
        memcpy(&operand.high, memory + 8, 2);
        x87_execute(f, &in, &operand, false, &eflags);
    }
}

static bool by_engine_alone(enum insn_id id)
{
    return id == INSN_FNSTENV || id == INSN_FNSAVE || id == INSN_FLDENV || id == INSN_FRSTOR ||
           id == INSN_FWAIT;
}

static void x87_encodings_reach_their_function(void **state)
{
    (void)state;
    struct operand_source src = {77};
    unsigned encodings = 0;

    for (unsigned opcode = 0xd8; opcode <= 0xdf; opcode++) {
        for (unsigned modrm = 0; modrm < 256; modrm++) {
            uint8_t bytes[15] = {(uint8_t)opcode, (uint8_t)modrm}, memory[16], got[16];
            uint64_t error, rax = 0x1234567;
            struct insn d;
            if ((modrm < 0xc0 && (modrm & 0xc7) != 7) ||
                insn_decode(bytes, sizeof(bytes), CODE_64, &d) != DECODE_OK || by_engine_alone(d.id) ||
                !(insn_info[d.id].attrs & IA_X87))
                continue;
            bool conditional = d.id >= INSN_FCMOVB && d.id <= INSN_FCMOVNU;
            for (int i = 0; i < 4; i++) {
                struct fpu_state want;
                fresh();
                random_fpu(&src, &cpu->fpu);
                for (unsigned j = 0; j < 2; j++) {
                    uint64_t v = operand_f64(&src);
                    memcpy(memory + 8 * j, &v, 8);
                }
                ram_write(&m->ram, GUEST_DATA, memory, 16);
                cpu->regs[REG_RAX] = rax;
                want = cpu->fpu;
                assert_int_equal(simd_guest_run(m, bytes, d.len, &error), -1);
                plain(&d, &want, memory, &rax);
                if (conditional && (d.id >= INSN_FCMOVNB)) /* flags are clear: these move */
                    want = cpu->fpu;
                ram_read(&m->ram, GUEST_DATA, got, 16);
                assert_memory_equal(got, memory, 16);
                assert_memory_equal(want.st, cpu->fpu.st, sizeof(want.st));
                assert_int_equal(want.sw, cpu->fpu.sw);
                assert_int_equal(want.cw, cpu->fpu.cw);
                assert_int_equal(want.top, cpu->fpu.top);
                assert_int_equal(want.valid, cpu->fpu.valid);
                assert_int_equal(rax, cpu->regs[REG_RAX]);
            }
            encodings++;
        }
    }
    assert_true(encodings > 400);
}

static void last_instruction_pointer_is_kept(void **state)
{
    (void)state;
    uint64_t error;

    fresh();
    RUN(0xd9, 0x07); /* fld dword [rdi] */
    assert_int_equal(cpu->fpu.fip, GUEST_CODE);
    assert_int_equal(cpu->fpu.fdp, GUEST_DATA);
    RUN(0xdb, 0xe3); /* fninit */
    assert_int_equal(cpu->fpu.fip, 0);
}

/* --- MMX and SSE against the host --- */

#if defined(__x86_64__)
#define MEMORY_BYTES 32
static uint8_t host_memory[MEMORY_BYTES] __attribute__((aligned(64)));

static bool wanted(const struct insn *d)
{
    switch (d->id) {
    case INSN_RCPPS: case INSN_RCPSS: case INSN_RSQRTPS: case INSN_RSQRTSS: /* our own rules */
    case INSN_FXSAVE: case INSN_FXRSTOR: case INSN_XSAVE: case INSN_XSAVEOPT: case INSN_XSAVEC:
    case INSN_XRSTOR: case INSN_LDMXCSR: case INSN_STMXCSR: case INSN_EMMS: return false;
    default: return (insn_info[d->id].attrs & (IA_MMX | IA_SSE)) != 0;
    }
}

static uint64_t random_word(struct operand_source *src)
{
    switch (operand_bits(src) & 3) {
    case 0: return operand_f64(src);
    case 1: return operand_f32(src) | (uint64_t)operand_f32(src) << 32;
    case 2: return operand_bits(src) % 70;
    default: return operand_bits(src);
    }
}

static void randomise(struct operand_source *src, struct host_simd *h)
{
    *h = (struct host_simd){.mxcsr = 0x1f80, .rax = random_word(src), .rcx = random_word(src),
                            .rdx = random_word(src), .rdi = (uintptr_t)host_memory};
    if (operand_bits(src) & 1)
        h->mxcsr |= operand_bits(src) & 0xe060;
    if (operand_bits(src) & 1)
        h->mxcsr |= FP_PE;
    for (unsigned i = 0; i < 3; i++) {
        h->x[i].q[0] = random_word(src);
        h->x[i].q[1] = random_word(src);
        h->mm[i] = random_word(src);
    }
    for (unsigned i = 0; i < MEMORY_BYTES; i += 8) {
        uint64_t v = random_word(src);
        memcpy(host_memory + i, &v, 8);
    }
}

static void to_guest(const struct host_simd *h)
{
    fresh();
    cpu->fpu.mxcsr = h->mxcsr;
    for (unsigned i = 0; i < 3; i++) {
        cpu->fpu.xmm[i] = h->x[i];
        cpu->fpu.st[i] = (struct f80){h->mm[i], 0xffff};
    }
    cpu->fpu.valid = 0xff;
    cpu->regs[REG_RAX] = h->rax;
    cpu->regs[REG_RCX] = h->rcx;
    cpu->regs[REG_RDX] = h->rdx;
    ram_write(&m->ram, GUEST_DATA, host_memory, MEMORY_BYTES);
}

static bool same(const struct host_simd *h, bool flags)
{
    uint8_t memory[MEMORY_BYTES];

    ram_read(&m->ram, GUEST_DATA, memory, MEMORY_BYTES);
    for (unsigned i = 0; i < 3; i++) {
        if (memcmp(&cpu->fpu.xmm[i], &h->x[i], 16) != 0 || cpu->fpu.st[i].sig != h->mm[i])
            return false;
    }
    return memcmp(memory, host_memory, MEMORY_BYTES) == 0 && cpu->regs[REG_RAX] == h->rax &&
           cpu->regs[REG_RCX] == h->rcx && cpu->regs[REG_RDX] == h->rdx &&
           cpu->fpu.mxcsr == h->mxcsr &&
           (!flags || ((cpu_rflags(cpu) ^ h->rflags) & RFLAGS_ARITH) == 0);
}

static unsigned try_encoding(const uint8_t *bytes, size_t n, struct operand_source *src)
{
    struct insn d;
    struct host_simd h;

    if (insn_decode(bytes, n, CODE_64, &d) != DECODE_OK || d.len > n || !wanted(&d))
        return 0;
    for (unsigned i = 0; i < 40; i++) {
        uint8_t code[15];
        memcpy(code, bytes, d.len);
        if (d.len == n) /* an immediate, or the part of a displacement that is not there */
            code[n - 1] = (uint8_t)operand_bits(src);
        randomise(src, &h);
        to_guest(&h);
        host_simd_set(code, d.len);
        host_simd_run(&h);
        int vector = simd_guest_run(m, code, d.len, NULL);
        if (vector != -1 || !same(&h, insn_info[d.id].flags_written != 0))
            fail_msg("%s form %d mem %d imm %#x: vector %d, xmm1 %016llx:%016llx host %016llx:%016llx "
                     "mxcsr %#x host %#x",
                     insn_info[d.id].mnemonic, d.form, d.flags & INSN_MEM, code[d.len - 1], vector,
                     (unsigned long long)cpu->fpu.xmm[1].q[1],
                     (unsigned long long)cpu->fpu.xmm[1].q[0], (unsigned long long)h.x[1].q[1],
                     (unsigned long long)h.x[1].q[0], cpu->fpu.mxcsr, h.mxcsr);
    }
    return 1;
}

static void every_simd_encoding_equals_the_host(void **state)
{
    (void)state;
    static const uint8_t prefixes[] = {0, 0x66, 0xf3, 0xf2};
    struct operand_source src = {123};
    unsigned encodings = 0;

    if (!__builtin_cpu_supports("sse4.2")) {
        print_message("skipped: the host has no SSE4.2\n");
        skip();
    }
    assert_true(host_simd_init());
    for (unsigned variant = 0; variant < 4 * 3 * 2 * 2; variant++) {
        unsigned p = variant & 3, map = (variant >> 2) % 3, rex = variant / 12 & 1,
                 memory = variant / 24;
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
                bytes[n++] = (uint8_t)((memory ? 0x07 : 0xc2) | reg << 3);
                bytes[n++] = 0;
                encodings += try_encoding(bytes, n, &src);
            }
        }
    }
    host_simd_fini();
    assert_true(encodings > 900);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_registers_forbid_sse),
        cmocka_unit_test(control_registers_forbid_x87_and_mmx),
        cmocka_unit_test(misaligned_operand_faults_only_where_alignment_is_asked),
        cmocka_unit_test(fxsave_wants_all_of_its_area_writable),
        cmocka_unit_test(conversion_from_mmx_takes_over_the_x87_before_it_faults),
        cmocka_unit_test(fstpnce_of_an_empty_register_only_pops),
        cmocka_unit_test(store_across_a_hole_faults_and_writes_nothing),
        cmocka_unit_test(unmasked_exception_sets_mxcsr_and_leaves_the_destination),
        cmocka_unit_test(pending_x87_exception_waits_for_a_waiting_instruction),
        cmocka_unit_test(opcode_of_an_unmasked_exception_is_kept),
        cmocka_unit_test(faulting_x87_store_leaves_the_stack),
        cmocka_unit_test(mmx_instructions_take_over_the_x87),
        cmocka_unit_test(state_instructions_round_trip_and_check),
        cmocka_unit_test(mxcsr_and_xcr0_refuse_reserved_bits),
        cmocka_unit_test(x87_encodings_reach_their_function),
        cmocka_unit_test(last_instruction_pointer_is_kept),
#if defined(__x86_64__)
        cmocka_unit_test(every_simd_encoding_equals_the_host),
#endif
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
