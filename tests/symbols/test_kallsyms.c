/* SPDX-License-Identifier: MIT */
/* kallsyms tables in made-up memory: every layout, and every kind of damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <symbols/kallsyms.h>

#include "fake_guest.h"

#define GUEST_BYTES (4u << 20)
#define TABLES_AT   0x21000u

static struct fake_guest guest_create(uint64_t base)
{
    struct fake_guest g = {.base = base, .bytes = calloc(1, GUEST_BYTES), .len = GUEST_BYTES};

    assert_non_null(g.bytes);
    return g;
}

static int read_symbols(struct fake_guest *g, bool bits32, struct symbol_table **t,
                        struct kallsyms_layout *layout)
{
    struct symbols_memory mem = fake_guest_memory(g);
    struct symbols_hints hints = {
        .struct_size = sizeof(hints), .long_mode = !bits32, .sysenter_eip = bits32 ? g->base : 0};
    char err[128] = "";
    int status = kallsyms_read(&mem, &hints, t, layout, err, sizeof(err));

    assert_true((status < 0) == (err[0] != '\0'));
    return status;
}

static void check_layout(struct fake_kallsyms k)
{
    struct fake_guest g = guest_create(k.bits32 ? 0xc1000000 : 0xffffffff9a200000);
    struct symbol_table *t = NULL;
    struct kallsyms_layout layout;

    k.count = k.count != 0 ? k.count : 5000;
    fake_kallsyms_write(&g, TABLES_AT, &k);
    assert_int_equal(read_symbols(&g, k.bits32, &t, &layout), SYMBOLS_OK);
    assert_int_equal(symbol_table_count(t), k.count);
    assert_int_equal(layout.names, g.base + k.names);
    assert_int_equal(layout.offsets, g.base + k.offsets);
    assert_int_equal(layout.absolute_percpu, k.absolute_percpu);
    for (uint32_t i = 0; i < k.count; i++) {
        char room[512];
        const char *name = fake_kallsyms_name(&k, i, room);
        const struct symbol *s = symbol_table_at(t, i);

        assert_string_equal(s->name, name);
        assert_int_equal(s->address, fake_kallsyms_address(&g, &k, i));
    }
    symbol_table_destroy(t);
    free(g.bytes);
}

static void offsets_before_names(void **state)
{
    (void)state;
    check_layout((struct fake_kallsyms){.absolute_percpu = true});
    check_layout((struct fake_kallsyms){.absolute_percpu = false});
}

static void offsets_behind_tokens(void **state)
{
    (void)state;
    check_layout((struct fake_kallsyms){.offsets_last = true, .absolute_percpu = true});
    check_layout((struct fake_kallsyms){.offsets_last = true});
}

static void sequence_numbers_before_tokens(void **state)
{
    (void)state;
    check_layout((struct fake_kallsyms){.seqs = true, .absolute_percpu = true});
    check_layout((struct fake_kallsyms){.seqs = true});
}

static void thirty_two_bits(void **state)
{
    (void)state;
    check_layout((struct fake_kallsyms){.bits32 = true});
    check_layout((struct fake_kallsyms){.bits32 = true, .seqs = true});
    check_layout((struct fake_kallsyms){.bits32 = true, .offsets_last = true});
}

static void plain_addresses(void **state)
{
    (void)state;
    check_layout((struct fake_kallsyms){.plain_addresses = true});
    check_layout((struct fake_kallsyms){.plain_addresses = true, .bits32 = true});
}

static void names_longer_than_127_tokens(void **state)
{
    (void)state;
    check_layout((struct fake_kallsyms){.long_name = 777});
}

static void counts_around_a_marker(void **state)
{
    (void)state;
    for (uint32_t count = 5119; count <= 5122; count++) {
        check_layout((struct fake_kallsyms){.count = count, .absolute_percpu = true});
        check_layout((struct fake_kallsyms){.count = count, .seqs = true});
    }
}

/* --- not there --- */

static void nothing_mapped(void **state)
{
    struct fake_guest g = {.base = 0, .bytes = NULL, .len = 0};
    struct symbol_table *t = NULL;

    (void)state;
    assert_int_equal(read_symbols(&g, false, &t, NULL), SYMBOLS_ERR_NOT_FOUND);
    assert_null(t);
    assert_in_range(g.reads, 1, 100000);
}

static void only_zeros(void **state)
{
    struct fake_guest g = guest_create(0xffffffff81000000);
    struct symbol_table *t = NULL;

    (void)state;
    assert_int_equal(read_symbols(&g, false, &t, NULL), SYMBOLS_ERR_NOT_FOUND);
    free(g.bytes);
}

/* A table that names no kernel is not believed. */
static void no_known_name(void **state)
{
    struct fake_guest g = guest_create(0xffffffff81000000);
    struct fake_kallsyms k = {.count = 3000};
    struct symbol_table *t = NULL;

    (void)state;
    fake_kallsyms_write(&g, TABLES_AT, &k);
    assert_memory_equal(g.bytes + k.names + 1, "T_stext", 7);
    g.bytes[k.names + 2] = 'x';
    assert_int_equal(read_symbols(&g, false, &t, NULL), SYMBOLS_ERR_NOT_FOUND);
    free(g.bytes);
}

/* --- damage --- */

static void refuse(struct fake_guest *g)
{
    struct symbol_table *t = NULL;

    assert_true(read_symbols(g, false, &t, NULL) < 0);
    assert_null(t);
}

static void put32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static void wrong_counts(void **state)
{
    static const uint32_t counts[] = {0, 1, 255, 4999, 5001, 1u << 20, 0x7fffffff, 0xffffffff};
    struct fake_guest g = guest_create(0xffffffff81000000);
    struct fake_kallsyms k = {.count = 5000, .absolute_percpu = true};

    (void)state;
    fake_kallsyms_write(&g, TABLES_AT, &k);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        put32(g.bytes + k.num_syms, counts[i]);
        refuse(&g);
    }
    free(g.bytes);
}

static void offsets_that_do_not_ascend(void **state)
{
    struct fake_guest g = guest_create(0xffffffff81000000);
    struct fake_kallsyms k = {.count = 5000};

    (void)state;
    fake_kallsyms_write(&g, TABLES_AT, &k);
    put32(g.bytes + k.offsets + 4 * 3000, 5);
    refuse(&g);
    free(g.bytes);
}

static void base_outside_of_the_kernel(void **state)
{
    struct fake_guest g = guest_create(0xffffffff81000000);
    struct fake_kallsyms k = {.count = 5000};

    (void)state;
    fake_kallsyms_write(&g, TABLES_AT, &k);
    memset(g.bytes + k.relative_base, 0, 8);
    refuse(&g);
    free(g.bytes);
}

/* Memory ends somewhere: whatever is cut off, there are all symbols or none. */
static void truncated_memory(void **state)
{
    struct fake_guest g = guest_create(0xffffffff81000000);
    struct fake_kallsyms k = {.count = 3000, .offsets_last = true};

    (void)state;
    fake_kallsyms_write(&g, TABLES_AT, &k);
    for (size_t len = TABLES_AT; len < k.relative_base + 8; len += 701) {
        g.len = len;
        refuse(&g);
    }
    g.len = k.relative_base + 7;
    refuse(&g);
    free(g.bytes);
}

/* Wherever a byte is wrong: no crash, and a table only of the right size. */
static void mutated_tables(void **state)
{
    struct fake_guest g = guest_create(0xffffffff81000000);
    struct fake_kallsyms k = {.count = 2000, .absolute_percpu = true};
    uint64_t random = 1;

    (void)state;
    fake_kallsyms_write(&g, TABLES_AT, &k);
    for (int round = 0; round < 2000; round++) {
        size_t at;
        uint8_t before;
        struct symbol_table *t = NULL;

        random = random * 6364136223846793005u + 1442695040888963407u;
        at = k.offsets + (size_t)(random >> 33) % (k.token_index + 512 - k.offsets);
        before = g.bytes[at];
        g.bytes[at] = (uint8_t)(random >> 20);
        if (read_symbols(&g, false, &t, NULL) == SYMBOLS_OK)
            assert_int_equal(symbol_table_count(t), k.count);
        symbol_table_destroy(t);
        g.bytes[at] = before;
    }
    free(g.bytes);
}

/* Token tables without end, each of which must be looked at: there is a bound. */
static void many_token_tables(void **state)
{
    struct fake_guest g = guest_create(0xffffffff81000000);
    struct fake_kallsyms k = {.count = 1100};

    (void)state;
    for (size_t at = 0; at + 0x20000 < GUEST_BYTES; at += 0x10000) {
        fake_kallsyms_write(&g, at, &k);
        put32(g.bytes + k.num_syms, 5);
    }
    refuse(&g);
    assert_in_range(g.reads, 1, 100000);
    free(g.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_before_names),
        cmocka_unit_test(offsets_behind_tokens),
        cmocka_unit_test(sequence_numbers_before_tokens),
        cmocka_unit_test(thirty_two_bits),
        cmocka_unit_test(plain_addresses),
        cmocka_unit_test(names_longer_than_127_tokens),
        cmocka_unit_test(counts_around_a_marker),
        cmocka_unit_test(nothing_mapped),
        cmocka_unit_test(only_zeros),
        cmocka_unit_test(no_known_name),
        cmocka_unit_test(wrong_counts),
        cmocka_unit_test(offsets_that_do_not_ascend),
        cmocka_unit_test(base_outside_of_the_kernel),
        cmocka_unit_test(truncated_memory),
        cmocka_unit_test(mutated_tables),
        cmocka_unit_test(many_token_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
