/* SPDX-License-Identifier: MIT */
/* ORC tables in made-up memory: what becomes of each kind of entry, and of damage. gdb's backtraces
 * of stock kernels are in tests/e2e/test_symbols.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <symbols/orc.h>

#include "fake_guest.h"

#define IPS_AT     0x1000u
#define ENTRIES_AT 0x8000u
#define BASE       0xffffffff82000000u
#define TEXT       0xffffffff81000000u

struct entry {
    uint64_t ip;
    int16_t sp_offset, bp_offset;
    uint16_t flags;
};

static uint8_t bytes[0x20000];
static struct fake_guest guest = {.base = BASE, .bytes = bytes, .len = sizeof(bytes)};

static struct orc_place place_of(size_t count)
{
    return (struct orc_place){.ip_begin = BASE + IPS_AT,
                              .ip_end = BASE + IPS_AT + 4 * count,
                              .begin = BASE + ENTRIES_AT,
                              .end = BASE + ENTRIES_AT + 6 * count};
}

static struct orc_place put_entries(const struct entry *e, size_t count)
{
    size_t ip = IPS_AT, at = ENTRIES_AT;

    memset(bytes, 0, sizeof(bytes));
    for (size_t i = 0; i < count; i++) {
        fake_guest_put(&guest, &ip, e[i].ip - (BASE + ip), 4);
        fake_guest_put(&guest, &at, (uint16_t)e[i].sp_offset, 2);
        fake_guest_put(&guest, &at, (uint16_t)e[i].bp_offset, 2);
        fake_guest_put(&guest, &at, e[i].flags, 2);
    }
    return place_of(count);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* The FDE at or behind *at; NULL: no more. Checks that every entry is whole and has its CIE. */
static const uint8_t *next_fde(const uint8_t *frames, size_t len, size_t *at)
{
    while (*at < len) {
        const uint8_t *entry = frames + *at;
        uint32_t cie = get32(entry + 4);

        assert_in_range(get32(entry), 12, len - *at - 4);
        assert_int_equal((get32(entry) + 4) % 8, 0);
        *at += get32(entry) + 4;
        if (cie != 0xffffffff) {
            assert_true(cie < len && get32(frames + cie + 4) == 0xffffffff);
            return entry;
        }
    }
    assert_int_equal(*at, len);
    return NULL;
}

static bool is_signal(const uint8_t *frames, const uint8_t *fde)
{
    return strcmp((const char *)frames + get32(fde + 4) + 9, "zS") == 0;
}

/* One FDE, with that range and those instructions. */
static void expect(const uint8_t *frames, size_t len, size_t *at, uint64_t begin, uint64_t end,
                   bool signal, const char *code, size_t code_len)
{
    const uint8_t *fde = next_fde(frames, len, at);

    assert_non_null(fde);
    assert_int_equal(get64(fde + 8), begin);
    assert_int_equal(get64(fde + 8) + get64(fde + 16), end);
    assert_int_equal(is_signal(frames, fde), signal);
    assert_in_range(code_len, 0, get32(fde) - 20 - signal);
    assert_memory_equal(fde + 24 + signal, code, code_len);
}

#define CODE(s) (s), sizeof(s) - 1

static void check_kinds(uint16_t call, uint16_t regs, uint16_t partial, uint16_t end)
{
    const struct entry e[] = {
        {TEXT, 8, 0, call | 5},                 /* a function: RSP + 8 */
        {TEXT + 1, 16, -16, call | 5 | 1 << 4}, /* RBP pushed */
        {TEXT + 4, 16, -16, call | 4 | 1 << 4}, /* RBP is the frame pointer */
        {TEXT + 0x30, 0, 0, 0},                 /* nothing known */
        {TEXT + 0x40, -8, 0, call | 8},         /* stored at RBP - 8 */
        {TEXT + 0x50, 8, 0, call | 9},          /* another stack, its RSP on top of this one */
        {TEXT + 0x60, 0, 0, regs | 5},          /* pt_regs at RSP */
        {TEXT + 0x70, 8, 0, partial | 5},
        {TEXT + 0x80, 0, 0, end},
        {TEXT + 0x90, 0, 0, 0},
    };
    struct orc_place p = put_entries(e, sizeof(e) / sizeof(e[0]));
    struct symbols_memory mem = fake_guest_memory(&guest);
    uint8_t *f;
    size_t len, at = 0;

    assert_int_equal(orc_read_frames_at(&mem, &p, 1, NULL, &f, &len, NULL, 0), SYMBOLS_OK);
    expect(f, len, &at, TEXT, TEXT + 0x30, false,
           CODE("\x0c\x07\x08"
                "\x41\x0e\x10\x86\x02"
                "\x43\x0d\x06"));
    expect(f, len, &at, TEXT + 0x40, TEXT + 0x60, false,
           CODE("\x0f\x03\x76\x78\x06"
                "\x50\x0f\x06\x77\x00\x06\x11\x08\x22"));
    expect(f, len, &at, TEXT + 0x60, TEXT + 0x70, true, CODE("\x0c\x07\xa8\x01"));
    expect(f, len, &at, TEXT + 0x70, TEXT + 0x80, true, CODE("\x0c\x07\x30"));
    expect(f, len, &at, TEXT + 0x80, TEXT + 0x90, false, CODE(""));
    assert_null(next_fde(f, len, &at));
    free(f);
}

static void kinds_of_entries_up_to_6_2(void **state)
{
    (void)state;
    check_kinds(0, 0x100, 0x200, 0x400);
}

static void kinds_of_entries_of_6_3(void **state)
{
    (void)state;
    check_kinds(0, 0x500, 0x600, 0x800);
}

static void kinds_of_entries_from_6_4(void **state)
{
    (void)state;
    check_kinds(0x200, 0xb00, 0xc00, 0x100);
}

static void unsorted_tables_are_sorted(void **state)
{
    static const struct entry e[] = {
        {TEXT + 0x20, 0, 0, 0}, {TEXT + 0x10, 16, 0, 5}, {TEXT + 0x10, 0, 0, 0}, {TEXT, 8, 0, 5}};
    struct orc_place p = put_entries(e, 4);
    struct symbols_memory mem = fake_guest_memory(&guest);
    uint8_t *f;
    size_t len, at = 0;

    (void)state;
    assert_int_equal(orc_read_frames_at(&mem, &p, 1, NULL, &f, &len, NULL, 0), SYMBOLS_OK);
    expect(f, len, &at, TEXT, TEXT + 0x20, false,
           CODE("\x0c\x07\x08"
                "\x50\x0e\x10"));
    assert_null(next_fde(f, len, &at));
    free(f);
}

static void system_calls_end_a_backtrace(void **state)
{
    static const struct entry e[] = {{TEXT, 0, 0, 0x105}, {TEXT + 0x10, 0, 0, 0}};
    struct orc_place p = put_entries(e, 2);
    struct symbols_memory mem = fake_guest_memory(&guest);
    struct symbol_table *t = symbol_table_create();
    uint8_t *f;
    size_t len, at = 0;

    (void)state;
    symbol_table_add(t, "entry_SYSCALL_64", 16, TEXT, 0, 'T');
    symbol_table_add(t, "asm_exc_page_fault", 18, TEXT + 0x10, 0, 'T');
    assert_int_equal(symbol_table_finish(t), SYMBOLS_OK);
    assert_int_equal(orc_read_frames_at(&mem, &p, 1, t, &f, &len, NULL, 0), SYMBOLS_OK);
    expect(f, len, &at, TEXT, TEXT + 0x10, false, CODE(""));
    free(f);
    symbol_table_destroy(t);
}

static void refuses_tables_that_do_not_fit(void **state)
{
    struct symbols_memory mem = fake_guest_memory(&guest);
    struct orc_place bad[7];
    struct symbol_table *t = symbol_table_create();
    uint8_t *f = NULL;
    size_t len;
    char err[128];

    (void)state;
    for (size_t i = 0; i < 7; i++)
        bad[i] = place_of(100);
    bad[0].ip_end = bad[0].ip_begin;
    bad[1].end -= 6;
    bad[2].ip_end = bad[2].ip_begin - 4;
    bad[3] = place_of(0);
    bad[4] = place_of((size_t)1 << 40);
    bad[5] = place_of(0x10000); /* more than is mapped */
    bad[6].begin = 0;
    bad[6].end = 600;
    for (size_t i = 0; i < 7; i++) {
        err[0] = '\0';
        assert_true(orc_read_frames_at(&mem, &bad[i], 1, NULL, &f, &len, err, sizeof(err)) < 0);
        assert_null(f);
        assert_true(err[0] != '\0');
    }
    assert_int_equal(symbol_table_finish(t), SYMBOLS_OK);
    assert_int_equal(orc_read_frames(&mem, t, &f, &len, NULL, 0), SYMBOLS_ERR_NOT_FOUND);
    symbol_table_destroy(t);
}

/* Whatever the entries say, what is written can be walked. */
static void random_tables(void **state)
{
    struct symbols_memory mem = fake_guest_memory(&guest);
    uint64_t random = 3;

    (void)state;
    for (int round = 0; round < 200; round++) {
        struct orc_place p = place_of(1 + (size_t)round * 10);
        uint8_t *f;
        size_t len, at = 0;

        for (size_t i = 0; i < sizeof(bytes); i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (uint8_t)(random >> 56);
        }
        assert_int_equal(orc_read_frames_at(&mem, &p, 1, NULL, &f, &len, NULL, 0), SYMBOLS_OK);
        while (next_fde(f, len, &at) != NULL)
            ;
        free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_of_entries_up_to_6_2),
        cmocka_unit_test(kinds_of_entries_of_6_3),
        cmocka_unit_test(kinds_of_entries_from_6_4),
        cmocka_unit_test(unsorted_tables_are_sorted),
        cmocka_unit_test(system_calls_end_a_backtrace),
        cmocka_unit_test(refuses_tables_that_do_not_fit),
        cmocka_unit_test(random_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
