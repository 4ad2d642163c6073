/* SPDX-License-Identifier: MIT */
/* Walks through page tables that are laid out here, in each of the forms of paging. */
#include "device_test.h"

#include <emu/cpu.h>
#include <emu/page_walk.h>

#define P  1u
#define W  2u
#define U  4u
#define PS 0x80u
#define RAM_BYTES (16u << 20)

struct bench {
    struct cpu *cpu;
    struct ram ram;
    struct page_mapping seen[64];
    size_t nseen;
};

static void on_protect(void *opaque, uint64_t page)
{
    (void)opaque, (void)page;
}

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));

    if (b == NULL || (b->cpu = calloc(1, sizeof(*b->cpu))) == NULL ||
        ram_init(&b->ram, RAM_BYTES, 0) != 0)
        return -1;
    b->ram.on_protect = on_protect;
    b->cpu->ram = &b->ram;
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;

    ram_fini(&b->ram);
    free(b->cpu);
    free(b);
    return 0;
}

static void put(struct bench *b, uint64_t table, unsigned index, uint64_t entry)
{
    assert_true(ram_write(&b->ram, table + index * 8u, &entry, 8));
}

static void put32(struct bench *b, uint64_t table, unsigned index, uint32_t entry)
{
    assert_true(ram_write(&b->ram, table + index * 4u, &entry, 4));
}

static bool note(void *opaque, const struct page_mapping *m)
{
    struct bench *b = opaque;

    b->seen[b->nseen++] = *m;
    return b->nseen < 64;
}

static void assert_seen(const struct bench *b, size_t i, uint64_t linear, uint64_t gpa, uint64_t bytes,
                        uint64_t rights)
{
    assert_true(i < b->nseen);
    assert_true(b->seen[i].linear == linear);
    assert_true(b->seen[i].gpa == gpa);
    assert_true(b->seen[i].bytes == bytes);
    assert_true(b->seen[i].rights == rights);
}

/* A user page at 400000h, the first 2 MiB at the direct map's place, and a page at the top. */
static void lay_out_long_mode(struct bench *b)
{
    b->cpu->cr0 = CR0_PE | CR0_PG;
    b->cpu->cr4 = CR4_PAE;
    b->cpu->efer = EFER_LME | EFER_LMA;
    b->cpu->cr3 = 0x1000 | 0xabc; /* PCID bits are none of the address */
    put(b, 0x1000, 0, 0x2000 | P | W | U);
    put(b, 0x2000, 0, 0x3000 | P | W | U);
    put(b, 0x3000, 2, 0x4000 | P | W | U);
    put(b, 0x4000, 0, 0x5000 | P | U | PAGE_WALK_NX);
    put(b, 0x1000, 273, 0x6000 | P | W);
    put(b, 0x6000, 0, 0x7000 | P | W);
    put(b, 0x7000, 0, 0x0 | P | W | PS | PAGE_WALK_GLOBAL);
    put(b, 0x1000, 511, 0x8000 | P | W);
    put(b, 0x8000, 510, 0x9000 | P);
    put(b, 0x9000, 8, 0xa000 | P | W);
    put(b, 0xa000, 1, 0x5000 | P | W | PAGE_WALK_DIRTY);
}

static void long_mode_walk_gives_each_leaf_with_the_rights_of_its_path(void **state)
{
    struct bench *b = *state;

    lay_out_long_mode(b);
    assert_true(cpu_walk_pages(b->cpu, note, b));
    assert_int_equal(b->nseen, 3);
    assert_seen(b, 0, 0x400000, 0x5000, 4096, PAGE_WALK_USER | PAGE_WALK_NX);
    assert_seen(b, 1, 0xffff888000000000, 0, 2u << 20, PAGE_WALK_WRITE | PAGE_WALK_GLOBAL);
    assert_seen(b, 2, 0xffffffff81001000, 0x5000, 4096, PAGE_WALK_DIRTY);
}

static void the_highest_linear_address_of_a_page_is_found(void **state)
{
    static const uint64_t gpa[] = {0x5678, 0x6789, 0x200000, 0x1ff000};
    struct bench *b = *state;
    uint64_t linear[4];

    lay_out_long_mode(b);
    cpu_find_linear(b->cpu, gpa, linear, 4);
    assert_true(linear[0] == 0xffffffff81001678);
    assert_true(linear[1] == 0xffff888000006789);
    assert_true(linear[2] == UINT64_MAX);
    assert_true(linear[3] == 0xffff8880001ff000);
}

static void without_paging_addresses_are_physical(void **state)
{
    static const uint64_t gpa[] = {0x5678};
    struct bench *b = *state;
    uint64_t linear[1];

    assert_false(cpu_walk_pages(b->cpu, note, b));
    assert_int_equal(b->nseen, 0);
    cpu_find_linear(b->cpu, gpa, linear, 1);
    assert_true(linear[0] == 0x5678);
}

static void legacy_walk_knows_4_mib_pages_only_with_pse(void **state)
{
    struct bench *b = *state;

    b->cpu->cr0 = CR0_PE | CR0_PG;
    b->cpu->cr4 = CR4_PSE;
    b->cpu->cr3 = 0x1000;
    put32(b, 0x1000, 768, 0x400000 | P | W | PS);
    put32(b, 0x1000, 1, 0x2000 | P | W | U);
    put32(b, 0x2000, 1023, 0x3000 | P | W | U);
    assert_true(cpu_walk_pages(b->cpu, note, b));
    assert_int_equal(b->nseen, 2);
    assert_seen(b, 0, 0x7ff000, 0x3000, 4096, PAGE_WALK_WRITE | PAGE_WALK_USER);
    assert_seen(b, 1, 0xc0000000, 0x400000, 4u << 20, PAGE_WALK_WRITE);
    b->cpu->cr4 = 0;
    b->nseen = 0;
    put32(b, 0x400000, 0, 0x5000 | P | W);
    assert_true(cpu_walk_pages(b->cpu, note, b));
    assert_int_equal(b->nseen, 2);
    assert_seen(b, 1, 0xc0000000, 0x5000, 4096, PAGE_WALK_WRITE);
}

static void pae_walk_begins_at_the_loaded_pointers(void **state)
{
    struct bench *b = *state;

    b->cpu->cr0 = CR0_PE | CR0_PG;
    b->cpu->cr4 = CR4_PAE;
    b->cpu->pdpte[3] = 0x2000 | P;
    put(b, 0x2000, 1, 0x200000 | P | W | PS);
    assert_true(cpu_walk_pages(b->cpu, note, b));
    assert_int_equal(b->nseen, 1);
    assert_seen(b, 0, 0xc0200000, 0x200000, 2u << 20, PAGE_WALK_WRITE);
}

static bool count_to_ever(void *opaque, const struct page_mapping *m)
{
    (void)m;
    ++*(uint64_t *)opaque;
    return true;
}

/* Every entry of the top table is the table itself: 512 to the power of 4 pages. */
static void tables_that_hold_themselves_end(void **state)
{
    struct bench *b = *state;
    uint64_t count = 0;

    lay_out_long_mode(b);
    for (unsigned i = 0; i < 512; i++)
        put(b, 0x1000, i, 0x1000 | P | W | U);
    assert_true(cpu_walk_pages(b->cpu, count_to_ever, &count));
    assert_in_range(count, 1u << 20, 1u << 25);
}

static void a_visitor_that_has_enough_stops_the_walk(void **state)
{
    struct bench *b = *state;

    lay_out_long_mode(b);
    b->nseen = 62;
    assert_true(cpu_walk_pages(b->cpu, note, b));
    assert_int_equal(b->nseen, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            long_mode_walk_gives_each_leaf_with_the_rights_of_its_path, setup, teardown),
        cmocka_unit_test_setup_teardown(the_highest_linear_address_of_a_page_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(without_paging_addresses_are_physical, setup, teardown),
        cmocka_unit_test_setup_teardown(legacy_walk_knows_4_mib_pages_only_with_pse, setup, teardown),
        cmocka_unit_test_setup_teardown(pae_walk_begins_at_the_loaded_pointers, setup, teardown),
        cmocka_unit_test_setup_teardown(tables_that_hold_themselves_end, setup, teardown),
        cmocka_unit_test_setup_teardown(a_visitor_that_has_enough_stops_the_walk, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
