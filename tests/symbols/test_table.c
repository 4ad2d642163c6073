/* SPDX-License-Identifier: MIT */
/* Symbol tables, and the ELF file made of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include <symbols/elf_image.h>
#include <symbols/memory.h>
#include <symbols/table.h>

static void add(struct symbol_table *t, const char *name, uint64_t address, uint64_t size,
                char type)
{
    assert_int_equal(symbol_table_add(t, name, strlen(name), address, size, type), SYMBOLS_OK);
}

/* Out of order, with aliases, a per-CPU number and a gap. */
static struct symbol_table *example(void)
{
    struct symbol_table *t = symbol_table_create();

    assert_non_null(t);
    add(t, "last", 0xffffffff81000500, 0x10, 'T');
    add(t, "_stext", 0xffffffff81000000, 0, 'T');
    add(t, "first", 0xffffffff81000000, 0, 'T');
    add(t, "percpu", 0x100, 0, 'A');
    add(t, "__alias", 0xffffffff81000100, 0, 'T');
    add(t, "function", 0xffffffff81000100, 0x20, 't');
    add(t, "weak", 0xffffffff81000100, 0, 'W');
    add(t, "data", 0xffffffff81000400, 0, 'd');
    add(t, "twice", 0xffffffff81000300, 0, 't');
    add(t, "twice", 0xffffffff81000380, 0, 'T');
    assert_int_equal(symbol_table_finish(t), SYMBOLS_OK);
    return t;
}

static void ascends_by_address(void **state)
{
    struct symbol_table *t = example();

    (void)state;
    assert_int_equal(symbol_table_count(t), 10);
    assert_string_equal(symbol_table_at(t, 0)->name, "percpu");
    for (size_t i = 2; i < 10; i++)
        assert_true(symbol_table_at(t, i)->address >= symbol_table_at(t, i - 1)->address);
    symbol_table_destroy(t);
}

static void finds_names_exactly(void **state)
{
    struct symbol_table *t = example();
    uint64_t address = 0;

    (void)state;
    for (unsigned round = 0; round < 5; round++) { /* without an index, and with it */
        assert_true(symbol_table_address(t, "function", &address));
        assert_int_equal(address, 0xffffffff81000100);
        assert_false(symbol_table_address(t, "functio", &address));
        assert_false(symbol_table_address(t, "functions", &address));
        assert_false(symbol_table_address(t, "", &address));
        assert_int_equal(symbol_table_by_name(t, "twice")->address, 0xffffffff81000380);
        assert_int_equal(symbol_table_by_name(t, "percpu")->address, 0x100);
    }
    symbol_table_destroy(t);
}

static void names_at_one_address_are_ordered_in_sorted_tables_too(void **state)
{
    static const struct {
        const char *name;
        uint64_t address;
    } given[] = {{"__start_rodata", 0x1000}, {"rodata", 0x1000}, {"_x", 0x2000}, {"__x", 0x2000}, {"x", 0x2000},
                 {"last", 0x3000}};
    struct symbol_table *t = symbol_table_create();

    (void)state;
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
        assert_int_equal(symbol_table_add(t, given[i].name, strlen(given[i].name), given[i].address, 0, 't'),
                         SYMBOLS_OK);
    assert_int_equal(symbol_table_finish(t), SYMBOLS_OK);
    assert_string_equal(symbol_table_by_address(t, 0x1800)->name, "rodata");
    assert_string_equal(symbol_table_by_address(t, 0x2000)->name, "x");
    assert_string_equal(symbol_table_at(t, 4)->name, "__x");
    assert_int_equal(symbol_table_by_address(t, 0x2000)->size, 0x1000);
    symbol_table_destroy(t);
}

static void describes_addresses(void **state)
{
    static const struct {
        uint64_t address;
        const char *text;
    } cases[] = {
        {0xffffffff81000000, "first+0x0/0x100"},    {0xffffffff810000ff, "first+0xff/0x100"},
        {0xffffffff81000100, "function+0x0/0x20"},  {0xffffffff81000110, "function+0x10/0x20"},
        {0xffffffff81000130, "function+0x30/0x20"}, {0xffffffff81000401, "data+0x1/0x100"},
        {0xffffffff8100050f, "last+0xf/0x10"},      {0xffffffff81000510, "0xffffffff81000510"},
        {0xffffffff80ffffff, "0xffffffff80ffffff"}, {0x100, "0x100"},
    };
    struct symbol_table *t = example();
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(symbol_table_describe(t, cases[i].address, text, sizeof(text)),
                            cases[i].text);
    assert_string_equal(symbol_table_describe(t, 0xffffffff81000110, text, 6), "funct");
    symbol_table_destroy(t);
}

static void refuses_what_is_no_symbol(void **state)
{
    struct symbol_table *t = symbol_table_create();
    char *name = calloc(1, SYMBOL_NAME_MAX + 1);

    (void)state;
    memset(name, 'n', SYMBOL_NAME_MAX + 1);
    assert_int_equal(symbol_table_add(t, "", 0, 1, 0, 't'), SYMBOLS_ERR_ARGUMENT);
    assert_int_equal(symbol_table_add(t, name, SYMBOL_NAME_MAX + 1, 1, 0, 't'),
                     SYMBOLS_ERR_ARGUMENT);
    assert_int_equal(symbol_table_add(t, name, SYMBOL_NAME_MAX, 1, 0, 't'), SYMBOLS_OK);
    assert_null(symbol_table_by_name(t, "n"));
    assert_null(symbol_table_by_address(t, 1));
    assert_int_equal(symbol_table_finish(t), SYMBOLS_OK);
    assert_int_equal(symbol_table_add(t, "n", 1, 1, 0, 't'), SYMBOLS_ERR_ARGUMENT);
    assert_int_equal(symbol_table_finish(t), SYMBOLS_ERR_ARGUMENT);
    symbol_table_destroy(t);
    free(name);
}

static void empty_table(void **state)
{
    struct symbol_table *t = symbol_table_create();
    struct elf_image_options o = {.struct_size = sizeof(o), .bits = 64};
    uint8_t *image = NULL;
    size_t len = 0;
    char err[64] = "", text[32];

    (void)state;
    assert_int_equal(symbol_table_finish(t), SYMBOLS_OK);
    assert_null(symbol_table_by_address(t, 0));
    assert_null(symbol_table_by_name(t, "x"));
    assert_string_equal(symbol_table_describe(t, 0x10, text, sizeof(text)), "0x10");
    assert_int_equal(elf_image_build(t, &o, &image, &len, err, sizeof(err)), SYMBOLS_ERR_ARGUMENT);
    assert_null(image);
    symbol_table_destroy(t);
    symbol_table_destroy(NULL);
}

/* --- the ELF file --- */

static void elf_has_every_symbol_in_a_section(void **state)
{
    struct symbol_table *t = example();
    struct elf_image_options o = {.struct_size = sizeof(o), .bits = 64};
    uint8_t *image;
    size_t len, seen = 0;
    const Elf64_Ehdr *e;
    const Elf64_Shdr *s;

    (void)state;
    assert_int_equal(elf_image_build(t, &o, &image, &len, NULL, 0), SYMBOLS_OK);
    e = (const void *)image;
    assert_memory_equal(e->e_ident, ELFMAG, SELFMAG);
    assert_int_equal(e->e_shoff + e->e_shnum * sizeof(*s), len);
    s = (const void *)(image + e->e_shoff);
    for (unsigned i = 0; i < e->e_shnum; i++) {
        const Elf64_Sym *sym = (const void *)(image + s[i].sh_offset);
        const char *names = (const char *)image + s[s[i].sh_link].sh_offset;

        for (size_t n = 1; s[i].sh_type == SHT_SYMTAB && n < s[i].sh_size / sizeof(*sym); n++) {
            const Elf64_Shdr *in = &s[sym[n].st_shndx];

            assert_int_equal(ELF64_ST_BIND(sym[n].st_info) == STB_LOCAL, n < s[i].sh_info);
            if (sym[n].st_shndx == SHN_ABS)
                assert_string_equal(names + sym[n].st_name, "percpu");
            else
                assert_in_range(sym[n].st_value, in->sh_addr, in->sh_addr + in->sh_size - 1);
            seen++;
        }
    }
    assert_int_equal(seen, symbol_table_count(t));
    free(image);
    symbol_table_destroy(t);
}

static void elf_of_32_bits_takes_low_addresses_only(void **state)
{
    struct symbol_table *high = example(), *low = symbol_table_create();
    struct elf_image_options o = {.struct_size = sizeof(o), .bits = 32};
    uint8_t *image = NULL;
    size_t len;

    (void)state;
    assert_int_equal(elf_image_build(high, &o, &image, &len, NULL, 0), SYMBOLS_ERR_ARGUMENT);
    add(low, "f", 0xc1000000, 0, 'T');
    add(low, "d", 0xc1001000, 0, 'D');
    assert_int_equal(symbol_table_finish(low), SYMBOLS_OK);
    assert_int_equal(elf_image_build(low, &o, &image, &len, NULL, 0), SYMBOLS_OK);
    assert_int_equal(image[EI_CLASS], ELFCLASS32);
    free(image);
    symbol_table_destroy(high);
    symbol_table_destroy(low);
}

/* Each symbol another kind than the one before: sections are bounded. */
static void elf_with_endless_alternation(void **state)
{
    struct symbol_table *t = symbol_table_create();
    struct elf_image_options o = {.struct_size = sizeof(o), .bits = 64};
    uint8_t *image;
    size_t len;

    (void)state;
    for (uint64_t i = 0; i < 70000; i++)
        assert_int_equal(symbol_table_add(t, "s", 1, 0x1000 + i, 0, i % 2 ? 't' : 'd'), 0);
    assert_int_equal(symbol_table_finish(t), SYMBOLS_OK);
    assert_int_equal(elf_image_build(t, &o, &image, &len, NULL, 0), SYMBOLS_OK);
    assert_in_range(((const Elf64_Ehdr *)(const void *)image)->e_shnum, 5, 3000);
    free(image);
    symbol_table_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ascends_by_address),
        cmocka_unit_test(finds_names_exactly),
        cmocka_unit_test(names_at_one_address_are_ordered_in_sorted_tables_too),
        cmocka_unit_test(describes_addresses),
        cmocka_unit_test(refuses_what_is_no_symbol),
        cmocka_unit_test(empty_table),
        cmocka_unit_test(elf_has_every_symbol_in_a_section),
        cmocka_unit_test(elf_of_32_bits_takes_low_addresses_only),
        cmocka_unit_test(elf_with_endless_alternation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
