/* SPDX-License-Identifier: MIT */
/*
 * Conditions: that they mean what C means, what the machine has, and what is said about bad ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <emu/cpu.h>
#include <emu/machine.h>
#include <emu/registers.h>
#include <replay/expr.h>
#include <replay/pattern.h>

#include "tiny_machine.h"

static struct machine *m;

static int setup(void **state)
{
    (void)state;
    m = tiny_machine_create(&tiny_board);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    machine_destroy(m);
    return 0;
}

/* --- helpers --- */

static bool find(void *opaque, const char *name, uint64_t *address)
{
    (void)opaque;
    if (strcmp(name, "jiffies") == 0)
        *address = 0x3000;
    else if (strcmp(name, "foo.isra.0") == 0)
        *address = 0x4000;
    else if (strcmp(name, "rax") == 0 || strcmp(name, "phys") == 0)
        *address = 0x5000;
    else
        return false;
    return true;
}

static const struct expr_names names = {.find = find};

static struct expr *parse(const char *text)
{
    char err[256] = "";
    struct expr *e = expr_parse(text, &names, err, sizeof(err));

    if (e == NULL)
        fail_msg("%s: %s", text, err);
    assert_string_equal(expr_text(e), text);
    return e;
}

static bool value_with(const char *text, const struct expr_view *view, uint64_t *value)
{
    struct expr *e = parse(text);
    bool known = expr_value(e, m, view, value);

    assert_int_equal(expr_holds(e, m, view), known && *value != 0);
    expr_destroy(e);
    return known;
}

static void assert_value(const char *text, uint64_t expected)
{
    uint64_t v = 0;

    if (!value_with(text, NULL, &v))
        fail_msg("%s has no value", text);
    if (v != expected)
        fail_msg("%s is %#llx, not %#llx", text, (unsigned long long)v, (unsigned long long)expected);
}

static void assert_no_value(const char *text)
{
    uint64_t v = 0;

    if (value_with(text, NULL, &v))
        fail_msg("%s has a value: %#llx", text, (unsigned long long)v);
}

/* The one line said of a bad text. */
static void assert_refused(const char *text, const char *message)
{
    char err[256] = "";

    if (expr_parse(text, &names, err, sizeof(err)) != NULL)
        fail_msg("%s is taken", text);
    assert_string_equal(err, message);
}

static uint64_t *reg(unsigned id)
{
    return &m->cpus[0].regs[id];
}

static void store(uint64_t gpa, uint64_t value)
{
    assert_true(ram_write(&m->ram, gpa, &value, sizeof(value)));
}

/* --- operators, beside the compiler's --- */

/* What two operators between three numbers give: C's values for all triples, in this order. */
struct triples {
    const uint64_t *a, *b, *c;
    size_t na, nb, nc;
};

static void check_pair(const char *text, const struct triples *t, const uint64_t *by_c)
{
    struct expr *e = parse(text);
    uint64_t v;

    for (size_t i = 0; i < t->na * t->nb * t->nc; i++) {
        *reg(REG_RAX) = t->a[i / (t->nb * t->nc)];
        *reg(REG_RBX) = t->b[i / t->nc % t->nb];
        *reg(REG_RCX) = t->c[i % t->nc];
        assert_true(expr_value(e, m, NULL, &v));
        if (v != by_c[i])
            fail_msg("%s with %#llx, %#llx, %#llx is %#llx, and %#llx in C", text,
                     (unsigned long long)*reg(REG_RAX), (unsigned long long)*reg(REG_RBX),
                     (unsigned long long)*reg(REG_RCX), (unsigned long long)v, (unsigned long long)by_c[i]);
    }
    expr_destroy(e);
}

#define MAX_TRIPLES 1000

/* An expression as C sees it and as text. `type` is that of a, b and c; `cast` makes it so in the text. */
#define PAIR(t, type, left, right, first, second)                                                             \
    do {                                                                                                      \
        uint64_t by_c[MAX_TRIPLES];                                                                           \
        for (size_t i = 0; i < (t)->na * (t)->nb * (t)->nc; i++) {                                            \
            type a = (type)(t)->a[i / ((t)->nb * (t)->nc)], b = (type)(t)->b[i / (t)->nc % (t)->nb],          \
                 c = (type)(t)->c[i % (t)->nc];                                                               \
            by_c[i] = (uint64_t)(a first b second c);                                                         \
        }                                                                                                     \
        check_pair(left "rax" right " " #first left "rbx" right #second " " left "rcx" right, t, by_c);       \
    } while (0);
#define UNSIGNED_PAIR(first, second) PAIR(&triples, uint64_t, "", "", first, second)
#define SIGNED_PAIR(first, second)   PAIR(&triples, int64_t, "s(", ")", first, second)

#define TAME(X, first)                                                                                        \
    X(first, ||) X(first, &&) X(first, |) X(first, ^) X(first, &) X(first, ==) X(first, !=) X(first, <)       \
    X(first, <=) X(first, >) X(first, >=) X(first, +) X(first, -) X(first, *)
#define ALL_TAME(X)                                                                                           \
    TAME(X, ||) TAME(X, &&) TAME(X, |) TAME(X, ^) TAME(X, &) TAME(X, ==) TAME(X, !=) TAME(X, <) TAME(X, <=)   \
    TAME(X, >) TAME(X, >=) TAME(X, +) TAME(X, -) TAME(X, *)
/* Those that are not defined for all numbers. */
#define WILD(X, first) X(first, /) X(first, %) X(first, <<) X(first, >>)
#define WITH_WILD(X)                                                                                          \
    WILD(X, ||) WILD(X, &&) WILD(X, |) WILD(X, ^) WILD(X, &) WILD(X, ==) WILD(X, !=) WILD(X, <) WILD(X, <=)   \
    WILD(X, >) WILD(X, >=) WILD(X, +) WILD(X, -) WILD(X, *) WILD(X, /) WILD(X, %) WILD(X, <<) WILD(X, >>)     \
    TAME(X, /) TAME(X, %) TAME(X, <<) TAME(X, >>)

static const uint64_t telling[] = {0, 1, 2, 3, 63, 100, INT64_MAX, 1ULL << 63, UINT64_MAX - 1, UINT64_MAX};
static const uint64_t small[] = {0, 1, 2, 5, 100, 1000};
/* Any two operators with these are defined: counts of shifts stay below 64, no divisor is 0. */
static const uint64_t fives[] = {5, 7, 9}, ones[] = {1, 2, 3};

#pragma GCC diagnostic push
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wbool-compare"
#endif
#pragma GCC diagnostic ignored "-Wparentheses"
#pragma GCC diagnostic ignored "-Wbool-operation"
#pragma GCC diagnostic ignored "-Wint-in-bool-context"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wconversion"

static void every_two_operators_bind_as_in_c(void **state)
{
    const struct triples triples = {telling, telling, telling, 10, 10, 10};

    (void)state;
    ALL_TAME(UNSIGNED_PAIR)
}

static void every_two_operators_of_which_one_divides_or_shifts_bind_as_in_c(void **state)
{
    const struct triples triples = {telling, fives, ones, 10, 3, 3};

    (void)state;
    WITH_WILD(UNSIGNED_PAIR)
}

static void every_two_operators_on_signed_numbers_are_those_of_c(void **state)
{
    static const uint64_t negative[] = {5, (uint64_t)-5, (uint64_t)-1000, 0, 77};
    const struct triples triples = {negative, fives, ones, 5, 3, 3};

    (void)state;
    ALL_TAME(SIGNED_PAIR)
    {
        const struct triples both = {small, negative, small, 6, 5, 6};

        PAIR(&both, int64_t, "s(", ")", <, +)
        PAIR(&both, int64_t, "s(", ")", *, >=)
        PAIR(&both, int64_t, "s(", ")", -, <=)
    }
}

#pragma GCC diagnostic pop

static void unary_operators_bind_tighter_than_binary_ones(void **state)
{
    (void)state;
    *reg(REG_RAX) = 5;
    *reg(REG_RBX) = 0;
    assert_value("-rax + 6", 1);
    assert_value("!rax == 0", 1);
    assert_value("!(rax == 0)", 1);
    assert_value("!rbx + 1", 2);
    assert_value("~rax & 0xf", 10);
    assert_value("- - rax", 5);
    assert_value("!!rax", 1);
    assert_value("~~rax", 5);
    assert_value("-~rax", 6);
    assert_value("2 - -rax", 7);
    assert_value("!5", 0);
    assert_value("~0", UINT64_MAX);
}

static void conditional_is_c_s(void **state)
{
    (void)state;
    *reg(REG_RAX) = 5;
    *reg(REG_RBX) = 0;
    assert_value("rax ? 1 : 2", 1);
    assert_value("rbx ? 1 : 2", 2);
    assert_value("rbx ? 1 : rax ? 3 : 4", 3);
    assert_value("rax ? rbx ? 1 : 2 : 3", 2);
    assert_value("rax == 5 ? 7 : 8", 7);
    assert_value("1 + (rbx ? 10 : 20) * 2", 41);
    assert_value("rbx || rax ? 1 : 0", 1);
    assert_value("(rbx ? s(1) : 2) - 3 < 0", 1);
    assert_value("(rbx ? 1 : 2) - 3 < 0", 0);
    assert_value("0 ? 1 : 3 + 4", 7);
    assert_value("1 ? 3 + 4 : 1", 7);
}

static void numbers_are_decimal_or_hexadecimal(void **state)
{
    (void)state;
    assert_value("0", 0);
    assert_value("123", 123);
    assert_value("1_000_000", 1000000);
    assert_value("0x7b", 123);
    assert_value("0XffFF_0000", 0xffff0000);
    assert_value("18446744073709551615", UINT64_MAX);
    assert_value("0xffffffffffffffff", UINT64_MAX);
    assert_value(" \t( 1+2 ) * 3\n", 9);
}

static void shifts_leave_nothing_when_they_are_long(void **state)
{
    (void)state;
    *reg(REG_RAX) = 1ULL << 63;
    *reg(REG_RCX) = 64;
    assert_value("rax >> rcx", 0);
    assert_value("rax << rcx", 0);
    assert_value("1 << 64", 0);
    assert_value("s(rax) >> rcx", UINT64_MAX);
    assert_value("s(rax) >> 63", UINT64_MAX);
    assert_value("rax >> 63", 1);
    assert_value("s(5) >> 200", 0);
    assert_value("rax >> s(63)", 1);
    assert_value("rax >> -1", 0);
}

static void an_operation_with_a_signed_side_is_signed(void **state)
{
    (void)state;
    *reg(REG_RAX) = (uint64_t)-2;
    *reg(REG_RBX) = 3;
    assert_value("rax < 3", 0);
    assert_value("s(rax) < 3", 1);
    assert_value("3 > s(rax)", 1);
    assert_value("s(rax) + 1 < 0", 1);
    assert_value("rax + s(1) < 0", 1);
    assert_value("u(s(rax)) < 3", 0);
    assert_value("-s(1) < 0", 1);
    assert_value("-1 < 0", 0);
    assert_value("~s(0) < 0", 1);
    assert_value("s(rax) / 2", (uint64_t)-1);
    assert_value("rax / 2", 0x7fffffffffffffff);
    assert_value("s(rax) % 3", (uint64_t)-2);
    assert_value("(s(rax) < 3) - 2 < 0", 0);
    assert_value("!s(rax) - 1 < 0", 0);
    assert_value("(s(rax) || 0) - 2 < 0", 0);
    assert_value("rax >= -4095", 1);
    assert_value("rbx >= -4095", 0);
    assert_value("rax == -2", 1);
    assert_value("s(1 << 63) / -s(1)", 1ULL << 63);
    assert_value("s(1 << 63) % -s(1)", 0);
    *reg(REG_RAX) = 1ULL << 63;
    *reg(REG_RCX) = UINT64_MAX;
    assert_value("s(rax) / rcx", 1ULL << 63);
    assert_value("s(rax) % rcx", 0);
    assert_value("s(rax) <= rcx", 1);
    assert_value("s(rcx) >= rax", 1);
}

/* --- what the machine has --- */

static void registers_have_parts(void **state)
{
    (void)state;
    *reg(REG_RAX) = 0x1122334455667788;
    *reg(REG_RSI) = 0xaabbccddeeff0011;
    *reg(15) = 0x0102030405060708;
    assert_value("rax", 0x1122334455667788);
    assert_value("$rax", 0x1122334455667788);
    assert_value("eax", 0x55667788);
    assert_value("ax", 0x7788);
    assert_value("al", 0x88);
    assert_value("ah", 0x77);
    assert_value("esi", 0xeeff0011);
    assert_value("si", 0x0011);
    assert_value("sil", 0x11);
    assert_value("r15", 0x0102030405060708);
    assert_value("r15d", 0x05060708);
    assert_value("r15w", 0x0708);
    assert_value("r15b", 0x08);
    assert_value("r15l", 0x08);
}

/* A general register's number and its names, from the widest to the narrowest. */
static void every_general_register_has_its_names(void **state)
{
    static const struct {
        unsigned id;
        const char *names[5];
    } rows[] = {
        {REG_RAX, {"rax", "eax", "ax", "al", "ah"}}, {REG_RBX, {"rbx", "ebx", "bx", "bl", "bh"}},
        {REG_RCX, {"rcx", "ecx", "cx", "cl", "ch"}}, {REG_RDX, {"rdx", "edx", "dx", "dl", "dh"}},
        {REG_RSI, {"rsi", "esi", "si", "sil", NULL}}, {REG_RDI, {"rdi", "edi", "di", "dil", NULL}},
        {REG_RBP, {"rbp", "ebp", "bp", "bpl", NULL}}, {REG_RSP, {"rsp", "esp", "sp", "spl", NULL}},
        {8, {"r8", "r8d", "r8w", "r8b", NULL}}, {9, {"r9", "r9d", "r9w", "r9b", NULL}},
        {10, {"r10", "r10d", "r10w", "r10b", NULL}}, {11, {"r11", "r11d", "r11w", "r11b", NULL}},
        {12, {"r12", "r12d", "r12w", "r12b", NULL}}, {13, {"r13", "r13d", "r13w", "r13b", NULL}},
        {14, {"r14", "r14d", "r14w", "r14b", NULL}}, {15, {"r15", "r15d", "r15w", "r15b", NULL}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static const uint64_t masks[] = {UINT64_MAX, 0xffffffff, 0xffff, 0xff, 0xff};
        uint64_t v = 0x0123456789abcdef * (2 * i + 1);

        *reg(rows[i].id) = v;
        for (size_t k = 0; k < 5 && rows[i].names[k] != NULL; k++)
            assert_value(rows[i].names[k], (k == 4 ? v >> 8 : v) & masks[k]);
    }
}

static void every_register_that_is_a_number_can_be_named(void **state)
{
    (void)state;
    for (unsigned id = 0; id < CPU_REGISTER_COUNT; id++) {
        const struct cpu_register_info *info = cpu_register_info(id);
        uint8_t bytes[CPU_REGISTER_MAX_BYTES] = {0};
        uint64_t expected;
        char message[80];

        cpu_register_read(&m->cpus[0], id, bytes);
        memcpy(&expected, bytes, sizeof(expected));
        if (info->bytes <= 8) {
            assert_value(info->name, expected);
            continue;
        }
        snprintf(message, sizeof(message), "column 1: %s has more than 64 bits: it is no number", info->name);
        assert_refused(info->name, message);
    }
}

static void time_privilege_and_sleep_are_the_machine_s(void **state)
{
    (void)state;
    m->cpus[0].cpl = 3;
    m->cpus[0].cr2 = 0x1234;
    assert_value("cpl == 3 && cr2 == 0x1234", 1);
    assert_value("halted", 0);
    m->cpus[0].halted = 1;
    assert_value("halted", 1);
    m->clock.icount = 1000;
    m->clock.idle_ns = 500;
    assert_value("icount", 1000);
    assert_value("vns", 1500);
    m->cpus[0].rflags |= RFLAGS_ZF;
    assert_value("(rflags & 0x40) != 0 && rflags == eflags", 1);
    assert_value("rip == eip", 1);
}

static void memory_has_widths_and_signs(void **state)
{
    (void)state;
    store(0x3000, 0x8182838485868788);
    *reg(REG_RBX) = 0x2ff0;
    assert_value("u8[0x3000]", 0x88);
    assert_value("u16[0x3000]", 0x8788);
    assert_value("u32[0x3000]", 0x85868788);
    assert_value("u64[0x3000]", 0x8182838485868788);
    assert_value("s8[0x3000]", 0xffffffffffffff88);
    assert_value("s16[0x3000]", 0xffffffffffff8788);
    assert_value("s32[0x3000]", 0xffffffff85868788);
    assert_value("s64[0x3000] < 0", 1);
    assert_value("s8[0x3000] < 0", 1);
    assert_value("u8[0x3000] < 0", 0);
    assert_value("s8 [ 0x3000 ] == -120", 1);
    assert_value("u32[rbx + 16]", 0x85868788);
    assert_value("u16[phys 0x3001]", 0x8687);
    assert_value("u16[phys:0x3001]", 0x8687);
    store(0x3100, 0x3000);
    assert_value("u8[u64[0x3100] + 1]", 0x87);
    assert_value("u8[phys u64[phys 0x3100] + 1]", 0x87);
    assert_value("u8[u64[0x3100] == 0x3000 ? 0x3002 : 0]", 0x86);
}

static void symbols_are_addresses(void **state)
{
    (void)state;
    store(0x3000, 77);
    store(0x5000, 99);
    *reg(REG_RAX) = 1;
    assert_value("jiffies", 0x3000);
    assert_value("&jiffies", 0x3000);
    assert_value("& jiffies + 8", 0x3008);
    assert_value("u32[jiffies] == 77", 1);
    assert_value("foo.isra.0", 0x4000);
    assert_value("rax", 1);
    assert_value("&rax", 0x5000);
    assert_value("u32[&phys]", 99);
    assert_value("1 && &rax == 0x5000", 1);
    assert_value("0xffff & &rax", 0x5000);
}

/* 32-bit paging with one page: 5000h leads to 7000h, all else nowhere. */
static void map_one_page(void)
{
    store(0x1000, 0x2003);
    store(0x2000 + 5 * 4, 0x7003);
    m->cpus[0].cr3 = 0x1000;
    m->cpus[0].cr0 |= CR0_PE | CR0_PG;
    cpu_state_changed(&m->cpus[0]);
}

static void memory_that_is_not_mapped_has_no_value(void **state)
{
    (void)state;
    store(0x7000, 42);
    store(0x7ffc, 0x1111111122222222);
    map_one_page();
    assert_value("u32[0x5000]", 42);
    assert_value("u32[phys 0x7000]", 42);
    assert_no_value("u32[0x6000]");
    assert_no_value("u32[0x6000] == 0");
    assert_no_value("u32[0x6000] != 0");
    assert_no_value("!u32[0x6000]");
    assert_no_value("-u32[0x6000]");
    assert_no_value("u32[u32[0x6000]]");
    assert_value("u32[0x5ffc]", 0x22222222);
    assert_no_value("u32[0x5ffd]");
    assert_no_value("u32[0x6000] ? 1 : 2");
    assert_no_value("rbx + (u32[0x6000] ? 1 : 2)");
    assert_value("1 ? 2 : u32[0x6000]", 2);
    assert_no_value("u64[phys 0xfffffffffffffffc]");
}

static void a_side_that_decides_needs_no_other(void **state)
{
    (void)state;
    map_one_page();
    assert_value("u32[0x6000] == 5 || 1", 1);
    assert_value("1 || u32[0x6000] == 5", 1);
    assert_value("u32[0x6000] == 5 && 0", 0);
    assert_value("0 && u32[0x6000] == 5", 0);
    assert_no_value("u32[0x6000] == 5 || 0");
    assert_no_value("0 || u32[0x6000] == 5");
    assert_no_value("u32[0x6000] == 5 && 1");
    assert_no_value("1 && u32[0x6000] == 5");
    assert_no_value("u32[0x6000] || u32[0x6000]");
    assert_value("!(u32[0x6000] && 0)", 1);
    assert_value("u32[0x6000] || 7", 1);
    assert_value("7 || u32[0x6000]", 1);
}

static void what_is_neither_ram_nor_device_reads_as_ones(void **state)
{
    (void)state;
    assert_value("u32[phys 0x12345678000]", 0xffffffff);
}

static void division_by_zero_has_no_value(void **state)
{
    (void)state;
    *reg(REG_RBX) = 0;
    assert_no_value("1 / rbx");
    assert_no_value("1 % rbx");
    assert_no_value("1 / 0");
    assert_no_value("1 % 0 == 0");
    assert_no_value("s(1) / 0");
    assert_no_value("!(1 / rbx)");
    assert_value("rbx == 0 || 1 / rbx", 1);
}

/* --- what an expression depends on --- */

struct reads {
    unsigned n;
    uint64_t address[8];
    unsigned bytes[8];
    bool physical[8];
};

static void on_read(void *opaque, bool physical, uint64_t address, unsigned bytes)
{
    struct reads *r = opaque;

    r->physical[r->n] = physical;
    r->address[r->n] = address;
    r->bytes[r->n++] = bytes;
}

static void reads_are_told(void **state)
{
    struct reads r = {0};
    const struct expr_view view = {.read = on_read, .opaque = &r};
    uint64_t v;

    (void)state;
    store(0x3000, 0x4000);
    store(0x4000, 0);
    assert_true(value_with("u8[u64[jiffies]] && u32[phys 0x100]", &view, &v));
    /* Evaluated twice by value_with(). */
    assert_int_equal(r.n, 4);
    assert_int_equal(r.address[0], 0x3000);
    assert_int_equal(r.bytes[0], 8);
    assert_int_equal(r.address[1], 0x4000);
    assert_int_equal(r.bytes[1], 1);
    assert_false(r.physical[1]);
    r.n = 0;
    store(0x4000, 1);
    assert_true(value_with("u8[u64[jiffies]] && u32[phys 0x100]", &view, &v));
    assert_int_equal(r.n, 6);
    assert_int_equal(r.address[2], 0x100);
    assert_true(r.physical[2]);
}

static bool has_seen(void *opaque, const struct pattern *p)
{
    return strcmp(opaque, pattern_text(p)) == 0;
}

static void output_is_asked_for_by_its_pattern(void **state)
{
    struct {
        const char *text, *pattern;
    } rows[] = {
        {"seen(\"BUG:\")", "BUG:"},
        {"seen( \"say \\\"hi\\\" \\\\o/\" )", "say \"hi\" \\o/"},
        {"seen(/BUG:|Oops/)", "/BUG:|Oops/"},
        {"seen(/a\\/b/i)", "/a\\/b/i"},
        {"seen(\"/dev/vda\")", "\\/dev/vda"},
    };
    uint64_t v;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct expr_view view = {.seen = has_seen, .opaque = (void *)rows[i].pattern};
        struct expr *e = parse(rows[i].text);
        const struct pattern *p;

        assert_true(expr_holds(e, m, &view));
        view.opaque = (void *)"other";
        assert_true(expr_value(e, m, &view, &v));
        assert_int_equal(v, 0);
        assert_true(expr_pattern(e, 0, &p));
        assert_string_equal(pattern_text(p), rows[i].pattern);
        assert_false(expr_pattern(e, 1, &p));
        expr_destroy(e);
    }
    assert_no_value("seen(\"x\")");
    assert_value("seen(\"x\") || 1", 1);
}

static void what_is_used_is_known(void **state)
{
    static const struct {
        const char *text;
        unsigned uses;
    } rows[] = {
        {"1", 0},
        {"rax == 1", EXPR_USES_REGISTERS},
        {"ah", EXPR_USES_REGISTERS},
        {"rip", EXPR_USES_REGISTERS},
        {"u32[jiffies]", EXPR_USES_MEMORY},
        {"u32[rax]", EXPR_USES_MEMORY | EXPR_USES_REGISTERS},
        {"icount > 5", EXPR_USES_TIME},
        {"vns > 5", EXPR_USES_TIME},
        {"tsc > 5", EXPR_USES_TIME},
        {"cpl", EXPR_USES_CONTROL},
        {"halted", EXPR_USES_CONTROL},
        {"cr3 == cr2", EXPR_USES_CONTROL},
        {"seen(\"x\") && cpl", EXPR_USES_OUTPUT | EXPR_USES_CONTROL},
        {"0 && rax", EXPR_USES_REGISTERS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct expr *e = parse(rows[i].text);

        if (expr_uses(e) != rows[i].uses)
            fail_msg("%s uses %u, not %u", rows[i].text, expr_uses(e), rows[i].uses);
        expr_destroy(e);
    }
}

static void what_must_last_is_known(void **state)
{
    static const char *const lasting[] = {
        "icount > 5", "icount >= 5", "5 < vns", "5 <= vns", "seen(\"x\")", "(seen(/x/)) && icount > 1_000",
        "seen(\"x\") || vns > 5 * 1000 + 2", "1", "icount > 5 && 1", "icount >= -1",
    };
    static const char *const not[] = {
        "icount < 5", "icount == 5", "!seen(\"x\")", "icount + 1 > 5", "icount > s(5)", "s(icount) > 5",
        "icount > vns", "rax", "u32[0] && icount > 5", "seen(\"x\") + 1", "icount > 5 ? 1 : 0", "tsc > 5",
        "icount", "icount > 5 == 0", "seen(\"x\") && cpl == 3", "-icount", "~seen(\"x\")", "icount > 1 / 0",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++) {
        struct expr *e = parse(lasting[i]);

        if (!expr_is_lasting(e))
            fail_msg("%s lasts", lasting[i]);
        expr_destroy(e);
    }
    for (size_t i = 0; i < sizeof(not) / sizeof(not[0]); i++) {
        struct expr *e = parse(not[i]);

        if (expr_is_lasting(e))
            fail_msg("%s need not last", not[i]);
        expr_destroy(e);
    }
}

/* --- bad text --- */

static void what_is_wrong_is_said_with_its_column(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "column 1: a value would be right here, not the end"},
        {"  ", "column 3: a value would be right here, not the end"},
        {"1 +", "column 4: a value would be right here, not the end"},
        {"1 2", "column 3: an operator would be right here, not '2'"},
        {"(1", "column 3: a ) or an operator would be right here, not the end"},
        {"u8[1)", "column 5: a ] or an operator would be right here, not ')'"},
        {"u8[]", "column 4: a value would be right here, not ']'"},
        {"u8[phys]", "column 8: a value would be right here, not ']'"},
        {"1 ? 2", "column 6: a : or an operator would be right here, not the end"},
        {"1)", "column 2: an operator would be right here, not ')'"},
        {"rax = 1", "column 5: what is equal is written =="},
        {"1,000", "column 2: numbers have no commas here: 1_000 is one thousand"},
        {"010", "column 1: a number is decimal without a 0 before it, or 0x...: '010'"},
        {"0x", "column 1: '0x' is no number"},
        {"0xg", "column 1: '0xg' is no number"},
        {"12ab", "column 1: '12ab' is no number"},
        {"1.5", "column 1: '1.5' is no number"},
        {"18446744073709551616", "column 1: a number of more than 64 bits"},
        {"0x10000000000000000", "column 1: a number of more than 64 bits"},
        {"1 + nosuch", "column 5: 'nosuch' is no register and no symbol"},
        {"$nosuch", "column 1: '$nosuch' is no register and no symbol"},
        {"RAX", "column 1: registers are in lower case: rax"},
        {"u32", "column 1: memory is u32[ADDRESS]"},
        {"U32[1]", "column 1: memory is u8[ADDRESS] to u64[ADDRESS], or s8[ADDRESS] to s64[ADDRESS]"},
        {"u24[1]", "column 1: memory is u8[ADDRESS] to u64[ADDRESS], or s8[ADDRESS] to s64[ADDRESS]"},
        {"*rax", "column 1: memory is u32[ADDRESS] and the like, there is no *"},
        {"1 && *rax", "column 6: memory is u32[ADDRESS] and the like, there is no *"},
        {"f(1)", "column 1: 'f' is no function: there are seen(), s() and u()"},
        {"xmm0", "column 1: xmm0 has more than 64 bits: it is no number"},
        {"&5", "column 2: the name of a symbol would be right after &"},
        {"&&rax", "column 2: the name of a symbol would be right after &"},
        {"seen(BUG)", "column 6: seen() takes \"TEXT\" or /REGEX/"},
        {"seen(\"BUG)", "column 6: this \" has no second one"},
        {"seen(/BUG)", "column 6: this / has no second one"},
        {"seen(\"BUG\"", "column 11: a ) is missing: seen(\"TEXT\")"},
        {"seen(\"a\\n\")", "column 8: in a text \\\" and \\\\ are all there is of \\"},
        {"seen(\"\\\\/a\")", "column 6: a text that begins with \\/ cannot be looked for"},
        {"seen(\"\")", "column 6: an empty text is everywhere"},
        {"\x01", "column 1: a value would be right here, not byte 01"},
        {"1 \xc3\xa4", "column 3: an operator would be right here, not byte c3"},
        {"1 @ 2", "column 3: an operator would be right here, not '@'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_refused(rows[i].text, rows[i].message);
}

static void without_symbols_that_is_said(void **state)
{
    char err[256];

    (void)state;
    assert_null(expr_parse("jiffies", NULL, err, sizeof(err)));
    assert_string_equal(err, "column 1: 'jiffies' is no register, and no symbols are known");
    assert_null(expr_parse("jiffies", &(struct expr_names){.find = NULL}, err, sizeof(err)));
    assert_string_equal(err, "column 1: 'jiffies' is no register, and no symbols are known");
}

static void an_error_is_cut_to_its_room(void **state)
{
    char err[8];

    (void)state;
    memset(err, 'x', sizeof(err));
    assert_null(expr_parse("nosuch", &names, err, sizeof(err)));
    assert_string_equal(err, "column ");
}

/* --- size --- */

/* `n` times `what`, with something before and after. */
static char *repeated(const char *before, const char *what, size_t n, const char *after)
{
    size_t len = strlen(what), begin = strlen(before);
    char *text = calloc(1, begin + n * len + strlen(after) + 1);

    assert_non_null(text);
    memcpy(text, before, begin);
    for (size_t i = 0; i < n; i++)
        memcpy(text + begin + i * len, what, len);
    strcat(text, after);
    return text;
}

static void assert_too_much(char *text, const char *part)
{
    char err[256] = "";

    assert_null(expr_parse(text, &names, err, sizeof(err)));
    if (strstr(err, part) == NULL)
        fail_msg("%s", err);
    free(text);
}

static void nesting_is_bounded(void **state)
{
    static const char *const openers[] = {"(", "u8[", "!", "~", "-", "s(", "1?", "1?2:", "u8[phys "};

    (void)state;
    for (size_t i = 0; i < sizeof(openers) / sizeof(openers[0]); i++)
        assert_too_much(repeated("", openers[i], 65536 / strlen(openers[i]) - 1, ""), "nested too deeply");
}

static void length_is_bounded(void **state)
{
    char *chain = repeated("rax", " + rax", 2000, " > 5");
    struct expr *e = parse(chain);

    (void)state;
    expr_destroy(e);
    free(chain);
    assert_too_much(repeated("rax", "+rax", 5000, ""), "4096 operations are the limit");
    assert_too_much(repeated("rax", "||rax", 5000, ""), "4096 operations are the limit");
    assert_too_much(repeated("", " ", 65537, "1"), "65536 characters are the limit");
    assert_too_much(repeated("", "a", 600, ""), "more than 511 characters");
}

static void values_under_way_are_bounded(void **state)
{
    (void)state;
    /* Each level leaves as many values waiting as there are precedences. */
    assert_too_much(repeated("", "rax||rax&&rax|rax^rax&rax==rax<rax<<rax+rax*(", 100, ""), "128 values under way");
}

static void a_long_chain_is_evaluated(void **state)
{
    char *chain = repeated("1", " + rax * 2 - 1", 500, "");

    (void)state;
    *reg(REG_RAX) = 3;
    assert_value(chain, 1 + 500 * 5);
    free(chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_two_operators_bind_as_in_c, setup, teardown),
        cmocka_unit_test_setup_teardown(every_two_operators_of_which_one_divides_or_shifts_bind_as_in_c, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(every_two_operators_on_signed_numbers_are_those_of_c, setup, teardown),
        cmocka_unit_test_setup_teardown(unary_operators_bind_tighter_than_binary_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(conditional_is_c_s, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_are_decimal_or_hexadecimal, setup, teardown),
        cmocka_unit_test_setup_teardown(shifts_leave_nothing_when_they_are_long, setup, teardown),
        cmocka_unit_test_setup_teardown(an_operation_with_a_signed_side_is_signed, setup, teardown),
        cmocka_unit_test_setup_teardown(registers_have_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(every_general_register_has_its_names, setup, teardown),
        cmocka_unit_test_setup_teardown(every_register_that_is_a_number_can_be_named, setup, teardown),
        cmocka_unit_test_setup_teardown(time_privilege_and_sleep_are_the_machine_s, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_has_widths_and_signs, setup, teardown),
        cmocka_unit_test_setup_teardown(symbols_are_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_that_is_not_mapped_has_no_value, setup, teardown),
        cmocka_unit_test_setup_teardown(a_side_that_decides_needs_no_other, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_neither_ram_nor_device_reads_as_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(division_by_zero_has_no_value, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(output_is_asked_for_by_its_pattern, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_used_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(what_must_last_is_known, setup, teardown),
        cmocka_unit_test(what_is_wrong_is_said_with_its_column),
        cmocka_unit_test(without_symbols_that_is_said),
        cmocka_unit_test(an_error_is_cut_to_its_room),
        cmocka_unit_test_setup_teardown(nesting_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(length_is_bounded, setup, teardown),
        cmocka_unit_test(values_under_way_are_bounded),
        cmocka_unit_test_setup_teardown(a_long_chain_is_evaluated, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
