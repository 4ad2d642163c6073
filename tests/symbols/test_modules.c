/* SPDX-License-Identifier: MIT */
/* Lists of modules in made-up memory. Real ones are in tests/e2e/test_symbols.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <symbols/modules.h>

#include "fake_guest.h"

#define BASE      0xffffffffc0000000u
#define HEAD_AT   0x100u
#define MODULE_AT 0x1000u
#define ATTRS_AT  0x2000u
#define NAMES_AT  0x3000u
#define SYMTAB_AT 0x4000u
#define NEXT_AT   0x8000u /* another module */

static uint8_t bytes[0x20000];
static struct fake_guest guest = {.base = BASE, .bytes = bytes, .len = sizeof(bytes)};
static struct symbols_memory mem = {.read = fake_guest_read, .user = &guest};

static void put(size_t at, uint64_t value, unsigned len)
{
    fake_guest_put(&guest, &at, value, len);
}

static size_t put_text(size_t at, const char *text)
{
    memcpy(bytes + at, text, strlen(text) + 1);
    return at + strlen(text) + 1;
}

static struct symbol_table *kernel_symbols(void)
{
    struct symbol_table *t = symbol_table_create();

    symbol_table_add(t, "modules", 7, BASE + HEAD_AT, 0, 'D');
    assert_int_equal(symbol_table_finish(t), SYMBOLS_OK);
    return t;
}

/* A list of two, each with the sections .text and .data; strides and offsets are those given. */
static void put_module(size_t at, const char *name, size_t next, size_t stride, size_t address)
{
    size_t names = NAMES_AT + (at == MODULE_AT ? 0 : 0x100);
    size_t attrs = ATTRS_AT + (at == MODULE_AT ? 0 : 0x800);
    size_t end = put_text(names, "sections");

    put(at + 8, BASE + next, 8);
    put_text(at + 24, name);
    put(at + 0x200, BASE + attrs, 8);
    put(attrs, BASE + names, 8);
    put(attrs + 40, 2, 4);
    put(attrs + 48, BASE + end, 8);
    put(attrs + 48 + address, BASE + at + 0x5000, 8);
    end = put_text(end, ".text");
    put(attrs + 48 + stride, BASE + end, 8);
    put(attrs + 48 + stride + address, BASE + at + 0x6000, 8);
    put_text(end, ".data");
    for (size_t i = 0; i < 2; i++) /* the function that sysfs reads by */
        put(attrs + 48 + i * stride + 40, 0xffffffff81234560, 8);
}

static void put_symbols(size_t at, const char *name)
{
    Elf64_Sym symbols[2] = {{0}, {.st_name = 1, .st_value = BASE + 0x6000, .st_size = 0x30}};
    size_t names = SYMTAB_AT + sizeof(symbols), kinds = names + 0x40;

    memcpy(bytes + SYMTAB_AT, symbols, sizeof(symbols));
    put_text(names + 1, name);
    memcpy(bytes + kinds, "?t", 2);
    put(at + 0x240, BASE + SYMTAB_AT, 8);
    put(at + 0x248, 2, 4);
    put(at + 0x250, BASE + names, 8);
    put(at + 0x258, BASE + kinds, 8);
}

static void two_modules(size_t stride, size_t address)
{
    memset(bytes, 0, sizeof(bytes));
    put(HEAD_AT, BASE + MODULE_AT + 8, 8);
    put_module(MODULE_AT, "first", NEXT_AT + 8, stride, address);
    put_module(NEXT_AT, "second_one", HEAD_AT, stride, address);
    put_symbols(MODULE_AT, "probe");
}

static struct module_list *read_list(void)
{
    struct symbol_table *t = kernel_symbols();
    struct module_list *l = NULL;

    assert_int_equal(modules_read(&mem, t, &l, NULL, 0), SYMBOLS_OK);
    symbol_table_destroy(t);
    return l;
}

static void check_records(size_t stride, size_t address)
{
    struct module_list *l;

    two_modules(stride, address);
    l = read_list();
    assert_int_equal(l->count, 2);
    assert_string_equal(l->modules[0].name, "first");
    assert_string_equal(l->modules[1].name, "second_one");
    assert_true(l->modules[0].live);
    for (size_t i = 0; i < 2; i++) {
        uint64_t at = BASE + (i == 0 ? MODULE_AT : NEXT_AT);

        assert_int_equal(l->modules[i].section_count, 2);
        assert_int_equal(guest_module_section(&l->modules[i], ".text"), at + 0x5000);
        assert_int_equal(guest_module_section(&l->modules[i], ".data"), at + 0x6000);
        assert_int_equal(guest_module_section(&l->modules[i], ".bss"), 0);
    }
    module_list_destroy(l);
}

/* Up to 6.13 the address is behind a bin_attribute; later in its member `private`. */
static void section_addresses_wherever_they_are(void **state)
{
    (void)state;
    check_records(72, 64);
    check_records(64, 56);
    check_records(64, 24);
}

static void symbols_of_modules(void **state)
{
    struct module_list *l;
    struct symbol_table *t = symbol_table_create();

    (void)state;
    two_modules(72, 64);
    l = read_list();
    assert_int_equal(modules_add_symbols(&mem, l, t), SYMBOLS_OK);
    assert_int_equal(symbol_table_finish(t), SYMBOLS_OK);
    assert_int_equal(symbol_table_count(t), 1);
    assert_int_equal(symbol_table_by_name(t, "probe")->address, BASE + 0x6000);
    assert_int_equal(symbol_table_by_name(t, "probe")->size, 0x30);
    module_list_destroy(l);
    symbol_table_destroy(t);
}

static void empty_list(void **state)
{
    struct module_list *l;

    (void)state;
    memset(bytes, 0, sizeof(bytes));
    put(HEAD_AT, BASE + HEAD_AT, 8);
    l = read_list();
    assert_int_equal(l->count, 0);
    module_list_destroy(l);
    module_list_destroy(NULL);
}

static void a_list_that_never_ends(void **state)
{
    struct module_list *l;

    (void)state;
    two_modules(72, 64);
    put(NEXT_AT + 8, BASE + NEXT_AT + 8, 8);
    l = read_list();
    assert_in_range(l->count, 2, 4096);
    module_list_destroy(l);
}

static void a_list_that_leads_nowhere(void **state)
{
    static const uint64_t nexts[] = {0,
                                     8,
                                     0x7fffffffffff,
                                     0xffffffff80000000,
                                     UINT64_MAX,
                                     BASE + sizeof(bytes) - 8,
                                     BASE + 0x10000};

    (void)state;
    for (size_t i = 0; i < sizeof(nexts) / sizeof(nexts[0]); i++) {
        struct module_list *l;

        two_modules(72, 64);
        put(MODULE_AT + 8, nexts[i], 8);
        l = read_list();
        assert_int_equal(l->count, 1);
        module_list_destroy(l);
    }
}

static void no_symbol_no_list(void **state)
{
    struct symbol_table *t = symbol_table_create();
    struct module_list *l = NULL;
    char err[100] = "";

    (void)state;
    symbol_table_finish(t);
    assert_int_equal(modules_read(&mem, t, &l, err, sizeof(err)), SYMBOLS_ERR_NOT_FOUND);
    assert_null(l);
    assert_true(err[0] != '\0');
    symbol_table_destroy(t);
}

/* Any byte of the structures may be anything. */
static void mutated_memory(void **state)
{
    uint64_t random = 11;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct symbol_table *t = symbol_table_create();
        struct module_list *l;

        if (round % 100 == 0)
            two_modules(72, 64);
        random = random * 6364136223846793005u + 1442695040888963407u;
        bytes[(random >> 33) % (NEXT_AT + 0x300)] = (uint8_t)(random >> 20);
        l = read_list();
        modules_add_symbols(&mem, l, t);
        module_list_destroy(l);
        symbol_table_destroy(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(section_addresses_wherever_they_are),
        cmocka_unit_test(symbols_of_modules),
        cmocka_unit_test(empty_list),
        cmocka_unit_test(a_list_that_never_ends),
        cmocka_unit_test(a_list_that_leads_nowhere),
        cmocka_unit_test(no_symbol_no_list),
        cmocka_unit_test(mutated_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
