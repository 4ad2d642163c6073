/* SPDX-License-Identifier: MIT */
/*
 * What only 32-bit and 16-bit code has, against its operation as Intel SDM vol. 2 writes it down: DAA, DAS, AAA, AAS
 * and AAD of 10 for all operands and flags, AAM and AAD of other bases, BOUND, ARPL, and the loads of far
 * pointers. diff_modes has no 64-bit code of the same meaning for these.
 *
 * Flags that the manual calls undefined are not compared; all else is: registers, exception, selectors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <emu/cpu.h>

#include "diff_guest.h"

#define FLAGS      (RFLAGS_ARITH | RFLAGS_DF)
#define RESULT_BITS (RFLAGS_SF | RFLAGS_ZF | RFLAGS_PF)
#define EXTRA      0xabcd0000u /* in the upper half of EAX: not to be touched */

static uint8_t template[ARENA_BYTES];

static int set_up(void **state)
{
    memset(template, 0xcc, CODE_BYTES);
    *state = guest_create(template, true);
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    guest_destroy(*state);
    return 0;
}

static struct seq begin(uint64_t rflags)
{
    struct seq seq = {.rip = CODE_VA, .cs = USER_CS32, .rflags = rflags};

    seq.regs[REG_RSP] = STACK_VA + PAGE;
    return seq;
}

static void add(struct seq *seq, const uint8_t *bytes, unsigned n)
{
    memcpy(seq->code + seq->code_len, bytes, n);
    seq->code_len = (uint16_t)(seq->code_len + n);
}
#define ADD(seq, ...) add(seq, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void run(struct guest *g, const struct seq *seq, struct outcome *out)
{
    uint64_t icount;

    assert_int_equal(guest_run(g, seq, 0, out, &icount), GUEST_DONE);
}

/* Ended by the INT3 behind the code. */
static void assert_ran(const struct outcome *out, const struct seq *seq)
{
    assert_int_equal(out->vector, EXC_BP);
    assert_int_equal(out->rip, seq->rip + seq->code_len + 1);
}

/* SF, ZF and PF of a byte. */
static uint32_t flags_of(uint8_t v)
{
    return (v & 0x80 ? RFLAGS_SF : 0) | (v == 0 ? RFLAGS_ZF : 0) |
           (__builtin_parity(v) ? 0 : RFLAGS_PF);
}

/* --- decimal adjustments --- */

struct bcd {
    uint16_t ax;
    bool cf, af;
};

static struct bcd daa(struct bcd b)
{
    uint8_t al = (uint8_t)b.ax, old = al;
    bool old_cf = b.cf;

    b.cf = false;
    if ((al & 15) > 9 || b.af) {
        b.cf = old_cf || al > 0xff - 6;
        al = (uint8_t)(al + 6);
        b.af = true;
    } else {
        b.af = false;
    }
    if (old > 0x99 || old_cf) {
        al = (uint8_t)(al + 0x60);
        b.cf = true;
    } else {
        b.cf = false;
    }
    b.ax = (uint16_t)((b.ax & 0xff00) | al);
    return b;
}

static struct bcd das(struct bcd b)
{
    uint8_t al = (uint8_t)b.ax, old = al;
    bool old_cf = b.cf;

    b.cf = false;
    if ((al & 15) > 9 || b.af) {
        b.cf = old_cf || al < 6;
        al = (uint8_t)(al - 6);
        b.af = true;
    } else {
        b.af = false;
    }
    if (old > 0x99 || old_cf) {
        al = (uint8_t)(al - 0x60);
        b.cf = true;
    }
    b.ax = (uint16_t)((b.ax & 0xff00) | al);
    return b;
}

static struct bcd aaa(struct bcd b)
{
    b.cf = b.af = (b.ax & 15) > 9 || b.af;
    if (b.af)
        b.ax = (uint16_t)(b.ax + 0x106);
    b.ax &= 0xff0f;
    return b;
}

static struct bcd aas(struct bcd b)
{
    b.cf = b.af = (b.ax & 15) > 9 || b.af;
    if (b.af)
        b.ax = (uint16_t)(b.ax - 6 - 0x100);
    b.ax &= 0xff0f;
    return b;
}

/* One operand, with CF and AF as bits 0 and 1 of `flags`; the other flags are there or not, in turns. */
static void check_bcd(struct guest *g, uint8_t opcode, struct bcd (*reference)(struct bcd), uint16_t ax,
                      unsigned flags, uint32_t defined)
{
    static struct outcome out;
    struct bcd b = {ax, flags & 1, flags >> 1 & 1};
    struct seq seq = begin((b.cf ? RFLAGS_CF : 0) | (b.af ? RFLAGS_AF : 0) |
                           ((ax ^ flags) & 1 ? RFLAGS_OF | RFLAGS_SF | RFLAGS_ZF | RFLAGS_PF | RFLAGS_DF : 0));
    uint32_t expected;

    seq.regs[REG_RAX] = EXTRA | ax;
    ADD(&seq, opcode);
    run(g, &seq, &out);
    b = reference(b);
    expected = (b.cf ? RFLAGS_CF : 0) | (b.af ? RFLAGS_AF : 0) | flags_of((uint8_t)b.ax);
    assert_ran(&out, &seq);
    assert_int_equal(out.regs[REG_RAX], EXTRA | b.ax);
    assert_int_equal(out.rflags & defined, expected & defined);
    assert_int_equal(out.rflags & RFLAGS_DF, seq.rflags & RFLAGS_DF);
}

static void daa_and_das_of_all_bytes_and_flags(void **state)
{
    unsigned al, flags;

    for (al = 0; al < 256; al++)
        for (flags = 0; flags < 4; flags++) {
            check_bcd(*state, 0x27, daa, (uint16_t)(0x5a00 | al), flags, RESULT_BITS | RFLAGS_CF | RFLAGS_AF);
            check_bcd(*state, 0x2f, das, (uint16_t)(0x5a00 | al), flags, RESULT_BITS | RFLAGS_CF | RFLAGS_AF);
        }
}

static void aaa_and_aas_of_all_words_and_flags(void **state)
{
    unsigned ax, flags;

    for (ax = 0; ax < 65536; ax++)
        for (flags = 0; flags < 4; flags += 2) {
            check_bcd(*state, 0x37, aaa, (uint16_t)ax, flags | (ax & 1), RFLAGS_CF | RFLAGS_AF);
            check_bcd(*state, 0x3f, aas, (uint16_t)ax, flags | (ax & 1), RFLAGS_CF | RFLAGS_AF);
        }
}

static void check_base(struct guest *g, uint8_t opcode, uint8_t base, uint16_t ax, uint16_t expected)
{
    static struct outcome out;
    struct seq seq = begin(ax & 1 ? RFLAGS_ARITH : 0);

    seq.regs[REG_RAX] = EXTRA | ax;
    ADD(&seq, opcode, base);
    run(g, &seq, &out);
    assert_ran(&out, &seq);
    assert_int_equal(out.regs[REG_RAX], EXTRA | expected);
    assert_int_equal(out.rflags & RESULT_BITS, flags_of((uint8_t)expected));
}

static uint16_t aad(uint16_t ax, unsigned base)
{
    return (uint16_t)(((ax & 0xff) + (ax >> 8) * base) & 0xff);
}

static void aad_of_all_words_and_many_bases(void **state)
{
    unsigned ax, base;

    for (ax = 0; ax < 65536; ax++)
        check_base(*state, 0xd5, 10, (uint16_t)ax, aad((uint16_t)ax, 10));
    for (base = 0; base < 256; base++)
        for (ax = base; ax < 65536; ax += 251)
            check_base(*state, 0xd5, (uint8_t)base, (uint16_t)ax, aad((uint16_t)ax, base));
}

static void aam_of_all_bytes_and_bases(void **state)
{
    unsigned al, base;

    for (base = 1; base < 256; base++)
        for (al = 0; al < 256; al++)
            check_base(*state, 0xd4, (uint8_t)base, (uint16_t)(0x5a00 | al),
                       (uint16_t)(al / base << 8 | al % base));
}

static void aam_of_base_0_is_a_divide_error(void **state)
{
    static struct outcome out;
    struct seq seq = begin(RFLAGS_ARITH);

    seq.regs[REG_RAX] = EXTRA | 0x1234;
    ADD(&seq, 0xd4, 0);
    run(*state, &seq, &out);
    assert_int_equal(out.vector, EXC_DE);
    assert_int_equal(out.rip, CODE_VA);
    assert_int_equal(out.regs[REG_RAX], EXTRA | 0x1234);
    assert_int_equal(out.rflags & FLAGS, RFLAGS_ARITH);
}

/* --- BOUND, ARPL --- */

static void add_store(struct seq *seq, uint32_t va, uint32_t value)
{
    ADD(seq, 0xc7, 0x05);
    add(seq, (const uint8_t *)&va, 4);
    add(seq, (const uint8_t *)&value, 4);
}

/* Both bounds belong to the range, and are signed (SDM vol. 2, BOUND). */
static void check_bound(struct guest *g, unsigned size, int32_t index, int32_t lower, int32_t upper)
{
    static struct outcome out;
    struct seq seq = begin(RFLAGS_ARITH | RFLAGS_DF);
    uint16_t at;

    if (size == 2) {
        add_store(&seq, DATA_VA + 1, (uint16_t)lower | (uint32_t)(uint16_t)upper << 16);
        at = seq.code_len;
        ADD(&seq, 0x66);
    } else {
        add_store(&seq, DATA_VA + 1, (uint32_t)lower);
        add_store(&seq, DATA_VA + 5, (uint32_t)upper);
        at = seq.code_len;
    }
    seq.regs[REG_RCX] = size == 2 ? EXTRA | (uint16_t)index : (uint32_t)index;
    seq.regs[REG_RSI] = DATA_VA;
    ADD(&seq, 0x62, 0x4e, 0x01); /* BOUND ECX, [ESI + 1] */
    run(g, &seq, &out);
    if (index < lower || index > upper) {
        assert_int_equal(out.vector, EXC_BR);
        assert_int_equal(out.rip, CODE_VA + at);
    } else {
        assert_ran(&out, &seq);
    }
    assert_int_equal(out.regs[REG_RCX], seq.regs[REG_RCX]);
    assert_int_equal(out.rflags & FLAGS, RFLAGS_ARITH | RFLAGS_DF);
}

static void bound_compares_signed_with_both_ends_included(void **state)
{
    static const int32_t words[] = {INT16_MIN, -2, -1, 0, 1, 2, 100, INT16_MAX};
    static const int32_t dwords[] = {INT32_MIN, -65536, -1, 0, 1, 65536, INT32_MAX - 1, INT32_MAX};
    unsigned i, j, k;

    for (i = 0; i < 8; i++)
        for (j = 0; j < 8; j++)
            for (k = 0; k < 8; k++) {
                check_bound(*state, 2, words[i], words[j], words[k]);
                check_bound(*state, 4, dwords[i], dwords[j], dwords[k]);
            }
}

static void bound_of_a_register_is_undefined(void **state)
{
    static struct outcome out;
    struct seq seq = begin(0);

    ADD(&seq, 0x62, 0xc1);
    run(*state, &seq, &out);
    assert_int_equal(out.vector, EXC_UD);
    assert_int_equal(out.rip, CODE_VA);
}

/* ARPL [ESI], CX and ARPL DX, CX. */
static void check_arpl(struct guest *g, bool memory, uint16_t dest, uint16_t source)
{
    static struct outcome out;
    struct seq seq = begin(source & 4 ? RFLAGS_ARITH : 0);
    bool raised = (dest & 3) < (source & 3);
    uint32_t expected = raised ? (dest & ~3u) | (source & 3u) : dest;

    add_store(&seq, DATA_VA, EXTRA | dest);
    seq.regs[REG_RCX] = EXTRA | source;
    seq.regs[REG_RDX] = EXTRA | dest;
    seq.regs[REG_RSI] = DATA_VA;
    ADD(&seq, 0x63, memory ? 0x0e : 0xca);
    ADD(&seq, 0x8b, 0x3e); /* MOV EDI, [ESI] */
    run(g, &seq, &out);
    assert_ran(&out, &seq);
    assert_int_equal(out.regs[memory ? REG_RDI : REG_RDX], EXTRA | expected);
    assert_int_equal(out.regs[memory ? REG_RDX : REG_RDI], EXTRA | dest);
    assert_int_equal(out.rflags & RFLAGS_ARITH, (seq.rflags & (RFLAGS_ARITH & ~RFLAGS_ZF)) | (raised ? RFLAGS_ZF : 0));
}

static void arpl_raises_the_privilege_level_and_says_so(void **state)
{
    unsigned i;

    for (i = 0; i < 64; i++) {
        check_arpl(*state, i & 1, (uint16_t)(0x7ff8 | (i >> 1 & 3)), (uint16_t)(0x0100 | i >> 3));
        check_arpl(*state, i & 1, (uint16_t)(0x0008 | (i >> 1 & 3)), (uint16_t)(0xfff8 | i >> 3));
    }
}

/* --- far pointers --- */

struct far_load {
    uint8_t bytes[2]; /* opcode */
    uint8_t n;
    uint8_t sreg; /* as ModRM.reg has it */
};
static const struct far_load far_loads[] = {
    {{0xc4}, 1, SEG_ES},       {{0xc5}, 1, SEG_DS},       {{0x0f, 0xb2}, 2, SEG_SS},
    {{0x0f, 0xb4}, 2, SEG_FS}, {{0x0f, 0xb5}, 2, SEG_GS},
};

/* Lxx ECX, [ESI] with ESI and the segments that it found; then the selector in EDI. */
static void run_far_load(struct guest *g, const struct far_load *load, unsigned size, uint16_t selector,
                         struct outcome *out, uint16_t *at)
{
    struct seq seq = begin(RFLAGS_ARITH);

    add_store(&seq, DATA_VA, 0x89abcdef);
    add_store(&seq, DATA_VA + size, EXTRA | selector);
    seq.regs[REG_RCX] = 0x11223344;
    seq.regs[REG_RSI] = DATA_VA;
    *at = seq.code_len;
    if (size == 2)
        ADD(&seq, 0x66);
    add(&seq, load->bytes, load->n);
    ADD(&seq, 0x0e);
    ADD(&seq, 0x8c, (uint8_t)(0xc7 | load->sreg << 3)); /* MOV EDI, sreg */
    run(g, &seq, out);
    if (out->vector == EXC_BP)
        assert_int_equal(out->rip, CODE_VA + seq.code_len + 1);
}

static void far_pointers_load_register_and_selector(void **state)
{
    static struct outcome out;
    unsigned i, size;
    uint16_t at;

    for (i = 0; i < sizeof(far_loads) / sizeof(far_loads[0]); i++)
        for (size = 2; size <= 4; size += 2) {
            run_far_load(*state, &far_loads[i], size, USER_DS, &out, &at);
            assert_int_equal(out.vector, EXC_BP);
            assert_int_equal(out.regs[REG_RCX], size == 2 ? 0x1122cdef : 0x89abcdef);
            assert_int_equal(out.regs[REG_RDI], USER_DS);
            assert_int_equal(out.rflags & FLAGS, RFLAGS_ARITH);
        }
}

/* A null selector may be loaded into any but SS (SDM vol. 2, LDS). */
static void far_pointers_with_null_selectors(void **state)
{
    static struct outcome out;
    unsigned i;
    uint16_t at;

    for (i = 0; i < sizeof(far_loads) / sizeof(far_loads[0]); i++) {
        bool is_ss = far_loads[i].sreg == SEG_SS;

        run_far_load(*state, &far_loads[i], 4, 3, &out, &at);
        assert_int_equal(out.vector, is_ss ? EXC_GP : EXC_BP);
        assert_int_equal(out.error, 0);
        assert_int_equal(out.regs[REG_RCX], is_ss ? 0x11223344 : 0x89abcdef);
        if (!is_ss)
            assert_int_equal(out.regs[REG_RDI], 3);
    }
}

/* Of another privilege level, or beyond the table: #GP with the selector, and nothing is loaded. */
static void far_pointers_with_bad_selectors_load_nothing(void **state)
{
    static const uint16_t bad[] = {0x18, 0x10, 0xfff8, 0x40};
    static struct outcome out;
    unsigned i, k;
    uint16_t at;

    for (i = 0; i < sizeof(far_loads) / sizeof(far_loads[0]); i++)
        for (k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
            run_far_load(*state, &far_loads[i], 4, bad[k], &out, &at);
            assert_int_equal(out.vector, EXC_GP);
            assert_int_equal(out.error, bad[k]);
            assert_int_equal(out.rip, CODE_VA + at);
            assert_int_equal(out.regs[REG_RCX], 0x11223344);
            assert_int_equal(out.ds, USER_DS);
            assert_int_equal(out.es, USER_DS);
            assert_int_equal(out.ss, USER_DS);
        }
}

/* C4h and C5h with a register are VEX prefixes, without AVX #UD. */
static void far_pointers_in_registers_are_undefined(void **state)
{
    static struct outcome out;
    unsigned i;

    for (i = 0; i < sizeof(far_loads) / sizeof(far_loads[0]); i++) {
        struct seq seq = begin(0);

        add(&seq, far_loads[i].bytes, far_loads[i].n);
        ADD(&seq, 0xce);
        run(*state, &seq, &out);
        assert_int_equal(out.vector, EXC_UD);
        assert_int_equal(out.rip, CODE_VA);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(daa_and_das_of_all_bytes_and_flags),
        TEST(aaa_and_aas_of_all_words_and_flags),
        TEST(aad_of_all_words_and_many_bases),
        TEST(aam_of_all_bytes_and_bases),
        TEST(aam_of_base_0_is_a_divide_error),
        TEST(bound_compares_signed_with_both_ends_included),
        TEST(bound_of_a_register_is_undefined),
        TEST(arpl_raises_the_privilege_level_and_says_so),
        TEST(far_pointers_load_register_and_selector),
        TEST(far_pointers_with_null_selectors),
        TEST(far_pointers_with_bad_selectors_load_nothing),
        TEST(far_pointers_in_registers_are_undefined),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
