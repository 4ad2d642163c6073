/* SPDX-License-Identifier: MIT */
/*
 * The decoder on encodings that are easy to get wrong, checked by hand against Intel SDM vol. 2.
 * tests/diff/decode_zydis.c covers the breadth; here each case states one rule.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <emu/insn.h>

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
#define OK64(...) decode_ok(CODE_64, BYTES(__VA_ARGS__))
#define OK32(...) decode_ok(CODE_32, BYTES(__VA_ARGS__))
#define OK16(...) decode_ok(CODE_16, BYTES(__VA_ARGS__))
#define STATUS(mode, ...) decode_status(mode, BYTES(__VA_ARGS__))
#define UD64(...) assert_int_equal(STATUS(CODE_64, __VA_ARGS__), DECODE_UNDEFINED)
#define UD32(...) assert_int_equal(STATUS(CODE_32, __VA_ARGS__), DECODE_UNDEFINED)

/* Decodes from a block of exactly n bytes, so that a sanitizer sees a read past the end. */
static enum decode_status decode_exact(enum code_size mode, const uint8_t *bytes, size_t n,
                                       struct insn *out)
{
    uint8_t *copy = malloc(n ? n : 1);
    enum decode_status status;

    assert_non_null(copy);
    memcpy(copy, bytes, n);
    status = insn_decode(copy, n, mode, out);
    free(copy);
    return status;
}

static enum decode_status decode_status(enum code_size mode, const uint8_t *bytes, size_t n)
{
    struct insn in;
    return decode_exact(mode, bytes, n, &in);
}

/* The bytes are one whole instruction. */
static struct insn decode_ok(enum code_size mode, const uint8_t *bytes, size_t n)
{
    struct insn in;
    assert_int_equal(decode_exact(mode, bytes, n, &in), DECODE_OK);
    assert_int_equal(in.len, n);
    return in;
}

static void assert_memory(const struct insn *in, unsigned seg, unsigned base, unsigned index,
                          unsigned scale, int32_t disp)
{
    assert_true(in->flags & INSN_MEM);
    assert_int_equal(in->seg, seg);
    assert_int_equal(in->base, base);
    assert_int_equal(in->index, index);
    assert_int_equal(in->scale, scale);
    assert_int_equal(in->disp, disp);
}

static void insn_table_has_a_row_per_instruction(void **state)
{
    (void)state;
    for (unsigned i = 0; i < INSN_COUNT; i++) {
        assert_non_null(insn_info[i].mnemonic);
        assert_int_equal(insn_info[i].flags_undef & ~insn_info[i].flags_written, 0);
        assert_int_equal((insn_info[i].flags_read | insn_info[i].flags_written) & ~FL_ARITH, 0);
    }
    assert_string_equal(insn_info[INSN_PCMPESTRI_64].mnemonic, "pcmpestri");
}

static void conditions_are_in_opcode_order(void **state)
{
    (void)state;
    for (unsigned cc = 0; cc < 16; cc++) {
        assert_int_equal(OK64((uint8_t)(0x70 + cc), 0x10).id, INSN_JO + cc);
        assert_int_equal(OK64(0x0f, (uint8_t)(0x80 + cc), 0, 0, 0, 0).id, INSN_JO + cc);
        assert_int_equal(OK64(0x0f, (uint8_t)(0x90 + cc), 0xc0).id, INSN_SETO + cc);
        assert_int_equal(OK64(0x0f, (uint8_t)(0x40 + cc), 0xc0).id, INSN_CMOVO + cc);
    }
}

static void arithmetic_and_shift_groups_are_in_table_order(void **state)
{
    static const uint16_t shifts[8] = {INSN_ROL, INSN_ROR, INSN_RCL, INSN_RCR,
                                       INSN_SHL, INSN_SHR, INSN_SHL, INSN_SAR};
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        uint8_t modrm = (uint8_t)(0xc0 | i << 3);
        assert_int_equal(OK64((uint8_t)(i << 3), 0xc0).id, INSN_ADD + i);
        assert_int_equal(OK64(0x83, modrm, 1).id, INSN_ADD + i);
        assert_int_equal(OK64(0xd3, modrm).id, shifts[i]);
        assert_int_equal(OK64(0xd8, modrm).id, INSN_FADD + i);
        assert_int_equal(OK64(0xda, (uint8_t)(i << 3)).id, INSN_FIADD + i);
    }
}

static void byte_registers_depend_on_rex(void **state)
{
    struct insn in;
    (void)state;

    in = OK64(0x88, 0xe1); /* mov cl, ah */
    assert_int_equal(in.reg, REG8_AH);
    assert_int_equal(in.rm, REG_RCX);
    in = OK64(0x40, 0x88, 0xe1); /* mov cl, spl */
    assert_int_equal(in.reg, REG_RSP);
    in = OK64(0x45, 0x88, 0xe1); /* mov r9b, r12b */
    assert_int_equal(in.reg, REG_R12);
    assert_int_equal(in.rm, REG_R9);
    in = OK64(0xb7, 0x80); /* mov bh, 80h */
    assert_int_equal(in.rm, REG8_AH + 3);
    assert_int_equal(in.imm, 0x80);
    in = OK64(0x41, 0xb7, 0x80); /* mov r15b, 80h */
    assert_int_equal(in.rm, REG_R15);
    in = OK64(0x0f, 0xb6, 0xec); /* movzx ebp, ah: only the source is a byte */
    assert_int_equal(in.reg, REG_RBP);
    assert_int_equal(in.rm, REG8_AH);
    in = OK64(0xf2, 0x0f, 0x38, 0xf0, 0xe5); /* crc32 esp, ch */
    assert_int_equal(in.reg, REG_RSP);
    assert_int_equal(in.rm, REG8_AH + 1);
    assert_int_equal(in.opsize, OPSIZE_8);
    in = OK64(0x66, 0x0f, 0x3a, 0x14, 0xe4, 1); /* pextrb esp, xmm4, 1: not AH */
    assert_int_equal(in.rm, REG_RSP);
}

static void rex_counts_only_directly_before_the_opcode(void **state)
{
    struct insn in;
    (void)state;

    in = OK64(0x48, 0x66, 0x89, 0xc8);
    assert_int_equal(in.opsize, OPSIZE_16);
    in = OK64(0x66, 0x48, 0x89, 0xc8);
    assert_int_equal(in.opsize, OPSIZE_64);
    in = OK64(0x48, 0x41, 0x89, 0xc8); /* the last one of two */
    assert_int_equal(in.opsize, OPSIZE_32);
    assert_int_equal(in.rm, REG_R8);
    in = OK32(0x48); /* dec eax */
    assert_int_equal(in.id, INSN_DEC);
    assert_int_equal(in.rm, REG_RAX);
}

static void last_repeat_prefix_and_last_segment_win(void **state)
{
    struct insn in;
    (void)state;

    in = OK64(0xf2, 0xf3, 0x0f, 0x10, 0xc1);
    assert_int_equal(in.id, INSN_MOVSS);
    in = OK64(0xf3, 0xf2, 0x0f, 0x10, 0xc1);
    assert_int_equal(in.id, INSN_MOVSD_XMM);
    assert_int_equal(in.flags & (INSN_REP | INSN_REPNE), 0);
    in = OK64(0xf3, 0xf2, 0xa6);
    assert_int_equal(in.flags & (INSN_REP | INSN_REPNE), INSN_REPNE);
    in = OK32(0x64, 0x2e, 0x8b, 0x00);
    assert_memory(&in, SEG_CS, REG_RAX, REG_NONE, 0, 0);
    in = OK64(0x64, 0x2e, 0x8b, 0x00); /* CS does not count, so FS stays */
    assert_memory(&in, SEG_FS, REG_RAX, REG_NONE, 0, 0);
    in = OK64(0x2e, 0x8b, 0x45, 0x00);
    assert_memory(&in, SEG_SS, REG_RBP, REG_NONE, 0, 0);
    assert_false(in.flags & INSN_SEG);
}

static void sib_special_cases(void **state)
{
    struct insn in;
    (void)state;

    in = OK64(0x8b, 0x04, 0x24); /* [rsp] */
    assert_memory(&in, SEG_SS, REG_RSP, REG_NONE, 0, 0);
    in = OK64(0x42, 0x8b, 0x04, 0x60); /* [rax + r12 * 2]: index 4 with REX.X is R12 */
    assert_memory(&in, SEG_DS, REG_RAX, REG_R12, 1, 0);
    in = OK64(0x41, 0x8b, 0x04, 0x24); /* [r12]: not the stack segment */
    assert_memory(&in, SEG_DS, REG_R12, REG_NONE, 0, 0);
    in = OK64(0x8b, 0x04, 0x25, 0x78, 0x56, 0x34, 0x92); /* [disp32], sign-extended */
    assert_memory(&in, SEG_DS, REG_NONE, REG_NONE, 0, (int32_t)0x92345678);
    in = OK64(0x41, 0x8b, 0x04, 0x25, 1, 0, 0, 0); /* no base whatever REX.B */
    assert_memory(&in, SEG_DS, REG_NONE, REG_NONE, 0, 1);
    in = OK64(0x8b, 0x04, 0xed, 1, 0, 0, 0); /* [rbp * 8 + 1]: RBP as an index is no stack */
    assert_memory(&in, SEG_DS, REG_NONE, REG_RBP, 3, 1);
    in = OK64(0x8b, 0x44, 0x25, 0xff); /* [rbp - 1] through SIB */
    assert_memory(&in, SEG_SS, REG_RBP, REG_NONE, 0, -1);
    in = OK64(0x41, 0x8b, 0x45, 0x00); /* [r13] needs its displacement */
    assert_memory(&in, SEG_DS, REG_R13, REG_NONE, 0, 0);
}

static void rip_relative_only_in_64_bit_code(void **state)
{
    struct insn in;
    (void)state;

    in = OK64(0x48, 0x8b, 0x05, 0xf0, 0xff, 0xff, 0xff);
    assert_memory(&in, SEG_DS, REG_RIP, REG_NONE, 0, -16);
    in = OK64(0x67, 0x8b, 0x05, 1, 0, 0, 0);
    assert_memory(&in, SEG_DS, REG_RIP, REG_NONE, 0, 1);
    assert_int_equal(in.addrsize, OPSIZE_32);
    in = OK32(0x8b, 0x05, 1, 0, 0, 0);
    assert_memory(&in, SEG_DS, REG_NONE, REG_NONE, 0, 1);
    in = OK64(0x80, 0x3d, 1, 0, 0, 0, 0x7f); /* the immediate comes after */
    assert_memory(&in, SEG_DS, REG_RIP, REG_NONE, 0, 1);
    assert_int_equal(in.imm, 0x7f);
}

static void addresses_of_16_bits(void **state)
{
    struct insn in;
    (void)state;

    in = OK16(0x8b, 0x42, 0xfe); /* [bp + si - 2] */
    assert_memory(&in, SEG_SS, REG_RBP, REG_RSI, 0, -2);
    in = OK16(0x8b, 0x07); /* [bx] */
    assert_memory(&in, SEG_DS, REG_RBX, REG_NONE, 0, 0);
    in = OK16(0x8b, 0x06, 0x34, 0x12); /* [1234h] */
    assert_memory(&in, SEG_DS, REG_NONE, REG_NONE, 0, 0x1234);
    in = OK16(0x8b, 0x46, 0x00); /* [bp] */
    assert_memory(&in, SEG_SS, REG_RBP, REG_NONE, 0, 0);
    in = OK32(0x67, 0x8b, 0x05); /* [di] */
    assert_memory(&in, SEG_DS, REG_RDI, REG_NONE, 0, 0);
    assert_int_equal(in.opsize, OPSIZE_32);
    in = OK16(0x66, 0x67, 0x8b, 0x04, 0x24); /* mov eax, [esp] */
    assert_memory(&in, SEG_SS, REG_RSP, REG_NONE, 0, 0);
    assert_int_equal(in.opsize, OPSIZE_32);
}

static void immediates_are_extended_as_the_instruction_does(void **state)
{
    (void)state;
    assert_int_equal(OK64(0x48, 0x83, 0xc0, 0x80).imm, (uint64_t)-128);
    assert_int_equal(OK64(0x48, 0xc7, 0xc0, 0, 0, 0, 0x80).imm, 0xffffffff80000000);
    assert_int_equal(OK64(0xb8, 0, 0, 0, 0x80).imm, 0x80000000);
    assert_int_equal(OK64(0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 0x88).imm, 0x8807060504030201);
    assert_int_equal(OK64(0x66, 0xb8, 0xff, 0xff).imm, 0xffff);
    assert_int_equal(OK64(0x6a, 0xff).imm, UINT64_MAX);
    assert_int_equal(OK64(0xcd, 0x80).imm, 0x80);
    assert_int_equal(OK64(0xc1, 0xe0, 0xff).imm, 0xff);
    assert_int_equal(OK64(0xd1, 0xe0).imm, 1);
    assert_int_equal(OK64(0xc2, 0xf0, 0xff).imm, 0xfff0);
    assert_int_equal(OK64(0xc3).imm, 0);
    assert_int_equal(OK64(0xe4, 0xf0).imm, 0xf0);
    assert_int_equal(OK64(0xc8, 0x34, 0xf2, 0x81).imm, 0x81f234);
    assert_int_equal(OK64(0x66, 0x0f, 0x70, 0xc1, 0xe4).imm, 0xe4);
}

static void far_pointers_and_absolute_addresses(void **state)
{
    struct insn in;
    (void)state;

    in = OK32(0xea, 0x78, 0x56, 0x34, 0x92, 0x08, 0xf0);
    assert_int_equal(in.id, INSN_JMP_FAR);
    assert_int_equal(in.imm, 0x92345678);
    assert_int_equal(in.disp, 0xf008);
    in = OK16(0x9a, 0x34, 0x12, 0x00, 0xf0);
    assert_int_equal(in.imm, 0x1234);
    assert_int_equal(in.disp, 0xf000);
    UD64(0xea, 0, 0, 0, 0, 0, 0);
    in = OK64(0x65, 0x48, 0xa1, 1, 2, 3, 4, 5, 6, 7, 8);
    assert_int_equal(in.form, FORM_R_MOFFS);
    assert_int_equal(in.imm, 0x0807060504030201);
    assert_int_equal(in.seg, SEG_GS);
    assert_true(in.flags & INSN_SEG);
    in = OK64(0x67, 0xa2, 1, 2, 3, 0x84);
    assert_int_equal(in.form, FORM_MOFFS_R);
    assert_int_equal(in.imm, 0x84030201);
    in = OK64(0x48, 0xff, 0x28); /* jmp far m16:64 */
    assert_int_equal(in.form, FORM_M_FAR);
    assert_int_equal(in.opsize, OPSIZE_64);
    UD64(0xff, 0xe8); /* with a register */
}

static void default_sizes_in_64_bit_code(void **state)
{
    struct insn in;
    (void)state;

    assert_int_equal(OK64(0x50).opsize, OPSIZE_64);
    assert_int_equal(OK64(0x66, 0x50).opsize, OPSIZE_16);
    assert_int_equal(OK64(0x41, 0x57).rm, REG_R15);
    assert_int_equal(OK64(0xff, 0x30).opsize, OPSIZE_64);
    assert_int_equal(OK64(0xc9).opsize, OPSIZE_64);
    assert_int_equal(OK64(0x9c).opsize, OPSIZE_64);
    assert_int_equal(OK64(0xcf).opsize, OPSIZE_32);
    assert_int_equal(OK64(0xcb).opsize, OPSIZE_32);
    assert_int_equal(OK64(0x0f, 0x20, 0xc0).opsize, OPSIZE_64);
    assert_int_equal(OK64(0x48, 0xed).opsize, OPSIZE_32); /* no 64-bit IN */
    in = OK64(0x66, 0xe8, 1, 0, 0, 0x80); /* near branches ignore 66h */
    assert_int_equal(in.opsize, OPSIZE_64);
    assert_int_equal(in.imm, 0xffffffff80000001);
    in = OK32(0x66, 0xe8, 0x01, 0x80);
    assert_int_equal(in.opsize, OPSIZE_16);
    assert_int_equal(in.imm, 0xffffffffffff8001);
    assert_int_equal(OK64(0x66, 0xff, 0xe0).opsize, OPSIZE_64);
    assert_int_equal(OK64(0x67, 0xe3, 0).addrsize, OPSIZE_32);
}

static void lock_wants_a_lockable_memory_destination(void **state)
{
    struct insn in;
    (void)state;

    in = OK64(0xf0, 0x48, 0x0f, 0xb1, 0x0f);
    assert_int_equal(in.id, INSN_CMPXCHG);
    assert_true(in.flags & INSN_LOCK);
    OK64(0xf0, 0x0f, 0xc7, 0x0f);    /* cmpxchg8b */
    OK64(0xf0, 0x87, 0x07);          /* xchg */
    OK64(0xf0, 0x0f, 0xba, 0x2f, 1); /* bts m, 1 */
    UD64(0xf0, 0x01, 0xc0);          /* register destination */
    UD64(0xf0, 0x03, 0x07);          /* add eax, m */
    UD64(0xf0, 0x39, 0x07);          /* cmp */
    UD64(0xf0, 0x89, 0x07);          /* mov */
    UD64(0xf0, 0x0f, 0xba, 0x27, 1); /* bt */
    UD64(0xf0, 0xd1, 0x27);          /* shl */
    UD64(0xf0, 0x90);
    UD64(0xf0, 0xf3, 0xa4);
    UD64(0xf0, 0x91); /* xchg ecx, eax */
}

static void vex_evex_and_xop_are_undefined_and_legacy_forms_stay(void **state)
{
    struct insn in;
    (void)state;

    UD64(0xc5, 0xf8, 0x77);
    UD64(0xc4, 0xe2, 0x7d, 0x18, 0x07);
    UD64(0x62, 0xf1, 0x7c, 0x48, 0x10, 0x07);
    UD64(0x8f, 0xe8, 0x78, 0xc0, 0xc0, 1);
    UD32(0xc5, 0xf8, 0x77);
    UD32(0xc4, 0xe2, 0x7d, 0x18, 0x07);
    UD32(0x62, 0xf1, 0x7c, 0x48, 0x10, 0x07);
    in = OK32(0xc5, 0x38);
    assert_int_equal(in.id, INSN_LDS);
    assert_int_equal(in.reg, REG_RDI);
    in = OK32(0xc4, 0x38);
    assert_int_equal(in.id, INSN_LES);
    in = OK32(0x62, 0x38);
    assert_int_equal(in.id, INSN_BOUND);
    in = OK64(0x41, 0x8f, 0xc0);
    assert_int_equal(in.id, INSN_POP);
    assert_int_equal(in.rm, REG_R8);
}

static void segment_registers_that_do_not_exist(void **state)
{
    struct insn in;
    (void)state;

    UD64(0x8e, 0xc8); /* mov cs, eax */
    UD64(0x8e, 0xf0);
    UD64(0x8c, 0xf8);
    in = OK64(0x44, 0x8c, 0xe8); /* REX.R does not extend them: mov eax, gs */
    assert_int_equal(in.reg, SEG_GS);
    in = OK64(0x48, 0x8c, 0x28); /* memory gets 16 bits */
    assert_int_equal(in.opsize, OPSIZE_16);
    assert_int_equal(OK32(0x1e).reg, SEG_DS);
    assert_int_equal(OK64(0x0f, 0xa8).reg, SEG_GS);
    UD64(0x1e);
}

static void control_and_debug_registers(void **state)
{
    struct insn in;
    (void)state;

    in = OK64(0x44, 0x0f, 0x20, 0xc1); /* mov rcx, cr8 */
    assert_int_equal(in.id, INSN_MOV_FROM_CR);
    assert_int_equal(in.reg, 8);
    assert_int_equal(in.rm, REG_RCX);
    in = OK64(0x0f, 0x22, 0x1d); /* mod is ignored: mov cr3, rbp, no displacement */
    assert_int_equal(in.reg, 3);
    assert_int_equal(in.rm, REG_RBP);
    assert_false(in.flags & INSN_MEM);
    UD64(0x0f, 0x20, 0xc8);       /* cr1 */
    UD64(0x0f, 0x22, 0xe8);       /* cr5 */
    UD64(0x44, 0x0f, 0x20, 0xc8); /* cr9 */
    assert_int_equal(OK32(0x0f, 0x23, 0xf8).reg, 7);
    UD64(0x44, 0x0f, 0x21, 0xc0); /* dr8 */
}

static void nop_pause_and_their_neighbours(void **state)
{
    (void)state;
    assert_int_equal(OK64(0x90).id, INSN_NOP);
    assert_int_equal(OK64(0x66, 0x90).id, INSN_NOP);
    assert_int_equal(OK64(0x48, 0x90).id, INSN_NOP);
    assert_int_equal(OK64(0xf3, 0x90).id, INSN_PAUSE);
    assert_int_equal(OK64(0x41, 0x90).id, INSN_XCHG);
    assert_int_equal(OK64(0xf3, 0x41, 0x90).id, INSN_XCHG);
    assert_int_equal(OK64(0xf3, 0x0f, 0x1e, 0xfa).id, INSN_NOP); /* endbr64 */
    assert_int_equal(OK64(0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0).id, INSN_NOP);
    assert_int_equal(OK64(0x0f, 0x18, 0x0f).id, INSN_PREFETCH);
    assert_int_equal(OK64(0x0f, 0x18, 0x27).id, INSN_NOP);
    assert_int_equal(OK64(0x0f, 0x0d, 0x0f).id, INSN_PREFETCH);
}

static void newer_bit_instructions_are_their_older_selves(void **state)
{
    (void)state;
    assert_int_equal(OK64(0xf3, 0x0f, 0xbc, 0xc1).id, INSN_BSF);
    assert_int_equal(OK64(0xf3, 0x0f, 0xbd, 0xc1).id, INSN_BSR);
    assert_int_equal(OK64(0xf3, 0x0f, 0x09).id, INSN_WBINVD);
    assert_int_equal(OK64(0xf3, 0x0f, 0xb8, 0xc1).id, INSN_POPCNT);
    UD64(0x0f, 0xb8, 0xc1);
}

static void fences_and_bases_share_an_opcode(void **state)
{
    (void)state;
    assert_int_equal(OK64(0x0f, 0xae, 0xe8).id, INSN_LFENCE);
    assert_int_equal(OK64(0x0f, 0xae, 0xf7).id, INSN_MFENCE);
    assert_int_equal(OK64(0x0f, 0xae, 0xf8).id, INSN_SFENCE);
    assert_int_equal(OK64(0x0f, 0xae, 0x38).id, INSN_CLFLUSH);
    UD64(0xf3, 0x0f, 0xae, 0xf8);
    UD64(0x66, 0x0f, 0xae, 0x38); /* clflushopt */
    assert_int_equal(OK64(0xf3, 0x48, 0x0f, 0xae, 0xc8).id, INSN_RDGSBASE);
    UD32(0xf3, 0x0f, 0xae, 0xc8);
    assert_int_equal(OK64(0x48, 0x0f, 0xae, 0x00).opsize, OPSIZE_64); /* fxsave64 */
    assert_int_equal(OK64(0x0f, 0x01, 0xf8).id, INSN_SWAPGS);
    UD32(0x0f, 0x01, 0xf8);
    assert_int_equal(OK32(0x0f, 0x01, 0xf9).id, INSN_RDTSCP);
    assert_int_equal(OK64(0x48, 0x0f, 0xc7, 0x0f).id, INSN_CMPXCHG16B);
    assert_int_equal(OK64(0x66, 0x0f, 0xc7, 0xf0).opsize, OPSIZE_16); /* rdrand ax */
    assert_int_equal(OK64(0xf3, 0x0f, 0xc7, 0xf8).id, INSN_RDPID);
    UD64(0x0f, 0xc7, 0x2f); /* xsaves */
}

static void instruction_sets_of_other_cpus_are_undefined(void **state)
{
    (void)state;
    UD64(0x0f, 0x0e);                         /* femms */
    UD64(0x0f, 0x0f, 0xc1, 0x9e);             /* 3dnow */
    UD64(0x66, 0x0f, 0x38, 0xdc, 0xc1);       /* aesenc */
    UD64(0x66, 0x0f, 0x3a, 0x44, 0xc1, 0x11); /* pclmulqdq */
    UD64(0x0f, 0x38, 0xc8, 0xc1);             /* sha1nexte */
    UD64(0xf3, 0x0f, 0x38, 0xf6, 0xc1);       /* adox */
    UD64(0x0f, 0x78, 0xc1);                   /* vmread */
    UD64(0x0f, 0x01, 0xd8);                   /* vmrun */
    UD64(0xc7, 0xf8, 0, 0, 0, 0);             /* xbegin */
    UD64(0x0f, 0x04);
    UD64(0xd6);
    UD64(0x82, 0xc0, 1);
    UD64(0xfe, 0xd0);
    UD64(0xf3, 0x0f, 0x54, 0xc1); /* andps has no F3 form */
}

static void mandatory_prefix_selects_and_is_not_reported(void **state)
{
    struct insn in;
    (void)state;

    in = OK64(0x66, 0x0f, 0xfe, 0xc1);
    assert_int_equal(in.form, FORM_X_XM);
    assert_false(in.flags & INSN_OPSZ);
    in = OK64(0x0f, 0xfe, 0xc1);
    assert_int_equal(in.id, INSN_PADDD);
    assert_int_equal(in.form, FORM_P_PM);
    in = OK64(0x45, 0x0f, 0xfe, 0xc1); /* REX does not extend MMX registers */
    assert_int_equal(in.reg, 0);
    assert_int_equal(in.rm, 1);
    in = OK64(0x66, 0xf2, 0x0f, 0x38, 0xf1, 0xc1); /* crc32 eax, cx: 66h is the size */
    assert_int_equal(in.id, INSN_CRC32);
    assert_int_equal(in.opsize, OPSIZE_16);
    in = OK64(0x66, 0xf3, 0x0f, 0xb8, 0xc1); /* popcnt ax, cx */
    assert_int_equal(in.opsize, OPSIZE_16);
    in = OK64(0x66, 0x0f, 0x38, 0xf0, 0x01); /* movbe ax, [rcx] */
    assert_int_equal(in.id, INSN_MOVBE);
    assert_int_equal(in.opsize, OPSIZE_16);
    UD64(0x0f, 0x38, 0xf0, 0xc1); /* memory only */
    in = OK64(0x66, 0x01, 0xc0);
    assert_true(in.flags & INSN_OPSZ);
}

static void sse_moves_by_direction_and_operand(void **state)
{
    struct insn in;
    (void)state;

    assert_int_equal(OK64(0x0f, 0x12, 0xc1).id, INSN_MOVHLPS);
    assert_int_equal(OK64(0x0f, 0x12, 0x01).id, INSN_MOVLPS);
    assert_int_equal(OK64(0x0f, 0x16, 0xc1).id, INSN_MOVLHPS);
    UD64(0x66, 0x0f, 0x12, 0xc1);
    UD64(0x0f, 0x2b, 0xc1);
    in = OK64(0x66, 0x48, 0x0f, 0x7e, 0xc8);
    assert_int_equal(in.id, INSN_MOVD_RM_X);
    assert_int_equal(in.opsize, OPSIZE_64);
    assert_int_equal(OK64(0xf3, 0x0f, 0x7e, 0xc8).id, INSN_MOVQ_X_XM);
    assert_int_equal(OK64(0x66, 0x0f, 0xd6, 0xc8).id, INSN_MOVQ_XM_X);
    assert_int_equal(OK64(0xf2, 0x48, 0x0f, 0x2d, 0xc1).id, INSN_CVTSD2SI_64);
    assert_int_equal(OK64(0xf2, 0x48, 0x0f, 0x2a, 0xc1).opsize, OPSIZE_64);
    assert_int_equal(OK64(0x66, 0x0f, 0x73, 0xd9, 4).id, INSN_PSRLDQ);
    UD64(0x0f, 0x73, 0xd9, 4);
    UD64(0x66, 0x0f, 0x73, 0x19, 4);
    assert_int_equal(OK64(0x66, 0x48, 0x0f, 0x3a, 0x61, 0xc1, 4).id, INSN_PCMPESTRI_64);
    in = OK64(0x65, 0x66, 0x0f, 0xf7, 0xc1); /* maskmovdqu to gs:[rdi] */
    assert_int_equal(in.seg, SEG_GS);
    assert_true(insn_info[INSN_MOVAPS].attrs & IA_ALIGN16);
    assert_false(insn_info[INSN_MOVUPS].attrs & IA_ALIGN16);
    assert_false(insn_info[INSN_ADDSD].attrs & IA_ALIGN16);
}

static void x87_forms(void **state)
{
    struct insn in;
    (void)state;

    in = OK64(0xdc, 0xe1); /* fsubr st1, st0 */
    assert_int_equal(in.id, INSN_FSUBR);
    assert_int_equal(in.form, FORM_STI_ST0);
    assert_int_equal(in.rm, 1);
    in = OK64(0xd8, 0xe1); /* fsub st0, st1 */
    assert_int_equal(in.id, INSN_FSUB);
    assert_int_equal(in.form, FORM_ST0_STI);
    assert_int_equal(OK64(0xde, 0xe9).id, INSN_FSUBP);
    assert_int_equal(OK64(0xde, 0xd9).id, INSN_FCOMPP);
    UD64(0xde, 0xd8);
    in = OK64(0xdb, 0x28); /* fld m80 */
    assert_int_equal(in.id, INSN_FLD);
    assert_int_equal(in.opsize, OPSIZE_128);
    assert_int_equal(OK64(0xdf, 0x28).opsize, OPSIZE_64); /* fild m64 */
    assert_int_equal(OK64(0xde, 0x00).opsize, OPSIZE_16); /* fiadd m16 */
    in = OK64(0x41, 0xdf, 0xe0); /* fnstsw ax whatever REX.B */
    assert_int_equal(in.form, FORM_RM);
    assert_int_equal(in.rm, REG_RAX);
    assert_int_equal(in.opsize, OPSIZE_16);
    assert_int_equal(OK16(0xd9, 0x37).opsize, OPSIZE_16); /* fnstenv, 14 bytes */
    assert_int_equal(OK64(0x48, 0xd9, 0x37).opsize, OPSIZE_32);
    assert_int_equal(OK64(0x41, 0xd9, 0xc9).rm, 1); /* fxch st1 whatever REX.B */
    UD64(0xd9, 0xd1);
    UD64(0xd9, 0x08);
}

static void string_instructions_carry_segment_and_repeat(void **state)
{
    struct insn in;
    (void)state;

    in = OK64(0xf3, 0x65, 0x48, 0xa5);
    assert_int_equal(in.id, INSN_MOVS);
    assert_int_equal(in.opsize, OPSIZE_64);
    assert_int_equal(in.seg, SEG_GS);
    assert_true(in.flags & INSN_REP);
    in = OK64(0x65, 0xaa); /* stos: ES cannot be overridden */
    assert_false(in.flags & INSN_SEG);
    in = OK64(0xf3, 0xc3); /* not a repeat */
    assert_false(in.flags & INSN_REP);
    assert_int_equal(OK16(0x67, 0x66, 0xab).addrsize, OPSIZE_32);
}

static void fifteen_bytes_and_no_more(void **state)
{
    uint8_t bytes[20];
    struct insn in;
    (void)state;

    memset(bytes, 0x66, sizeof(bytes));
    bytes[14] = 0x90;
    assert_int_equal(decode_exact(CODE_64, bytes, sizeof(bytes), &in), DECODE_OK);
    assert_int_equal(in.len, 15);
    bytes[14] = 0x66;
    bytes[15] = 0x90;
    assert_int_equal(decode_exact(CODE_64, bytes, sizeof(bytes), &in), DECODE_TOO_LONG);
    assert_int_equal(decode_exact(CODE_64, bytes, 15, &in), DECODE_TOO_LONG);
    assert_int_equal(decode_exact(CODE_64, bytes, 14, &in), DECODE_MORE);
    memset(bytes, 0x3e, sizeof(bytes));
    bytes[10] = 0x05; /* add eax, imm32: its last byte is the fifteenth */
    assert_int_equal(decode_exact(CODE_64, bytes, sizeof(bytes), &in), DECODE_OK);
    assert_int_equal(in.len, 15);
    bytes[10] = 0x3e;
    bytes[11] = 0x05; /* and now the sixteenth: known before the immediate is there */
    assert_int_equal(decode_exact(CODE_64, bytes, sizeof(bytes), &in), DECODE_TOO_LONG);
    assert_int_equal(decode_exact(CODE_64, bytes, 12, &in), DECODE_TOO_LONG);
}

static void every_proper_prefix_asks_for_more(void **state)
{
    static const uint8_t bytes[] = {0x66, 0x65, 0x41, 0x81, 0x84, 0x88, 1, 2, 3, 4, 5, 6};
    static const uint8_t far[] = {0xea, 1, 2, 3, 4, 5, 6};
    static const uint8_t sse[] = {0x66, 0x0f, 0x3a, 0x0f, 0x05, 1, 2, 3, 4, 5};
    struct insn in;
    (void)state;

    for (size_t n = 0; n < sizeof(bytes); n++) {
        assert_int_equal(decode_exact(CODE_64, bytes, n, &in), DECODE_MORE);
        assert_true(in.len <= n);
    }
    for (size_t n = 0; n < sizeof(far); n++)
        assert_int_equal(decode_exact(CODE_32, far, n, &in), DECODE_MORE);
    for (size_t n = 0; n < sizeof(sse); n++)
        assert_int_equal(decode_exact(CODE_64, sse, n, &in), DECODE_MORE);
    decode_ok(CODE_64, bytes, sizeof(bytes));
    decode_ok(CODE_32, far, sizeof(far));
    decode_ok(CODE_64, sse, sizeof(sse));
}

static void ud0_and_ud1_take_their_operands(void **state)
{
    (void)state;
    assert_int_equal(OK64(0x0f, 0xff, 0x84, 0x88, 1, 2, 3, 4).id, INSN_UD0);
    assert_int_equal(OK64(0x0f, 0xb9, 0x40, 0x10).id, INSN_UD1);
    assert_int_equal(OK64(0x0f, 0x0b).id, INSN_UD2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(insn_table_has_a_row_per_instruction),
        cmocka_unit_test(conditions_are_in_opcode_order),
        cmocka_unit_test(arithmetic_and_shift_groups_are_in_table_order),
        cmocka_unit_test(byte_registers_depend_on_rex),
        cmocka_unit_test(rex_counts_only_directly_before_the_opcode),
        cmocka_unit_test(last_repeat_prefix_and_last_segment_win),
        cmocka_unit_test(sib_special_cases),
        cmocka_unit_test(rip_relative_only_in_64_bit_code),
        cmocka_unit_test(addresses_of_16_bits),
        cmocka_unit_test(immediates_are_extended_as_the_instruction_does),
        cmocka_unit_test(far_pointers_and_absolute_addresses),
        cmocka_unit_test(default_sizes_in_64_bit_code),
        cmocka_unit_test(lock_wants_a_lockable_memory_destination),
        cmocka_unit_test(vex_evex_and_xop_are_undefined_and_legacy_forms_stay),
        cmocka_unit_test(segment_registers_that_do_not_exist),
        cmocka_unit_test(control_and_debug_registers),
        cmocka_unit_test(nop_pause_and_their_neighbours),
        cmocka_unit_test(newer_bit_instructions_are_their_older_selves),
        cmocka_unit_test(fences_and_bases_share_an_opcode),
        cmocka_unit_test(instruction_sets_of_other_cpus_are_undefined),
        cmocka_unit_test(mandatory_prefix_selects_and_is_not_reported),
        cmocka_unit_test(sse_moves_by_direction_and_operand),
        cmocka_unit_test(x87_forms),
        cmocka_unit_test(string_instructions_carry_segment_and_repeat),
        cmocka_unit_test(fifteen_bytes_and_no_more),
        cmocka_unit_test(every_proper_prefix_asks_for_more),
        cmocka_unit_test(ud0_and_ud1_take_their_operands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
