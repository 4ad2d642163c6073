/* SPDX-License-Identifier: MIT */
/* What differs between two machines: found whole, and followed as it changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <emu/cpu.h>
#include <replay/state_diff.h>

#include "tiny_machine.h"

struct bench {
    struct machine *a, *b;
    struct state_diff *d;
    struct state_counts counts;
};

static struct machine *machine_of(uint64_t ram_bytes)
{
    struct machine_config config = tiny_config();
    char err[256];
    struct machine *m;

    config.ram_bytes = ram_bytes;
    m = machine_create(&config, &tiny_board, err, sizeof(err));
    if (m == NULL)
        fail_msg("%s", err);
    return m;
}

static struct bench *bench_of(uint64_t a, uint64_t b)
{
    struct bench *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    w->a = machine_of(a);
    w->b = machine_of(b);
    w->d = state_diff_create(w->a, w->b);
    assert_non_null(w->d);
    return w;
}

static int setup(void **state)
{
    *state = bench_of(16u << 20, 16u << 20);
    return 0;
}

static int teardown(void **state)
{
    struct bench *w = *state;

    state_diff_destroy(w->d);
    machine_destroy(w->a);
    machine_destroy(w->b);
    free(w);
    return 0;
}

static void update(struct bench *w)
{
    assert_int_equal(state_diff_update(w->d, &w->counts), 0);
}

static void poke(struct machine *m, uint64_t gpa, uint8_t byte)
{
    assert_true(ram_write(&m->ram, gpa, &byte, 1));
}

static struct state_difference *describe(const struct bench *w)
{
    struct state_difference *details = malloc(sizeof(*details));

    assert_non_null(details);
    state_diff_describe(w->d, details);
    return details;
}

static void equal_machines_have_no_difference(void **state)
{
    struct bench *w = *state;

    update(w);
    assert_int_equal(w->counts.places, 0);
    machine_run(w->a, 20000);
    machine_run(w->b, 20000);
    update(w);
    assert_int_equal(w->counts.places, 0);
    assert_int_equal(w->counts.registers + w->counts.fields + w->counts.pages, 0);
}

static void bytes_are_found_with_their_addresses(void **state)
{
    struct bench *w = *state;
    struct state_difference *details;

    update(w);
    poke(w->b, 0x9000, 0xab);
    poke(w->b, 0x9001, 0xcd);
    poke(w->a, 0x9fff, 1);
    poke(w->a, 0x500000, 2);
    update(w);
    assert_int_equal(w->counts.pages, 2);
    details = describe(w);
    assert_int_equal(details->bytes, 4);
    assert_int_equal(details->nruns, 3);
    assert_int_equal(details->runs[0].gpa, 0x9000);
    assert_int_equal(details->runs[0].len, 2);
    assert_int_equal(details->runs[0].bytes[0][0], 0);
    assert_int_equal(details->runs[0].bytes[1][1], 0xcd);
    assert_int_equal(details->runs[1].gpa, 0x9fff);
    assert_int_equal(details->runs[1].len, 1);
    assert_int_equal(details->runs[2].gpa, 0x500000);
    assert_int_equal(details->runs[2].linear[1], 0x500000);
    free(details);
}

static void a_page_that_becomes_equal_again_is_dropped(void **state)
{
    struct bench *w = *state;
    uint64_t places;

    poke(w->b, 0x9000, 0xab);
    poke(w->b, 0xa000, 0xab);
    update(w);
    assert_int_equal(w->counts.pages, 2);
    poke(w->a, 0x9000, 0xab);
    update(w);
    assert_int_equal(w->counts.pages, 1);
    places = w->counts.places;
    poke(w->a, 0xa001, 5); /* the same on both sides: the page changes, its difference does not */
    poke(w->b, 0xa001, 5);
    poke(w->b, 0xa000, 0xac);
    update(w);
    assert_int_equal(w->counts.places, places);
    poke(w->a, 0xa002, 1);
    update(w);
    assert_true(w->counts.places != places);
    poke(w->a, 0xa000, 0xac);
    poke(w->b, 0xa002, 1);
    update(w);
    assert_int_equal(w->counts.places, 0);
}

/* Others bring the hashes up to date between two updates: a player checks digests. */
static void pages_that_a_digest_took_in_meanwhile_are_found(void **state)
{
    struct bench *w = *state;

    update(w);
    poke(w->b, 0x9000, 0xab);
    machine_digest(w->b);
    poke(w->a, 0x8000, 1);
    machine_digest(w->a);
    update(w);
    assert_int_equal(w->counts.pages, 2);
}

static void registers_and_devices_are_named(void **state)
{
    struct bench *w = *state;
    struct state_difference *details;

    w->b->cpus[0].regs[REG_RBX] = 0x1234;
    w->b->cpus[0].rng[2] ^= 1;
    w->a->cpus[0].seg[SEG_FS].base = 0x5000;
    w->a->cpus[0].fpu.xmm[3].q[1] = 7;
    w->b->clock.idle_ns = 99;
    update(w);
    assert_int_equal(w->counts.registers, 3);
    assert_int_equal(w->counts.fields, 2);
    assert_int_equal(w->counts.parts, 2);
    details = describe(w);
    assert_int_equal(details->nfields, 5);
    assert_string_equal(details->fields[0].name, "rbx");
    assert_int_equal(details->fields[0].b, 0x1234);
    assert_true(details->fields[0].is_register);
    assert_string_equal(details->fields[1].name, "fs.base");
    assert_string_equal(details->fields[2].name, "xmm3.q[1]");
    assert_string_equal(details->fields[3].name, "clock.idle_ns");
    assert_false(details->fields[3].is_register);
    assert_string_equal(details->fields[4].name, "cpu.rng[2]");
    free(details);
}

static void every_register_that_a_cpu_saves_is_seen(void **state)
{
    struct bench *w = *state;
    size_t size = state_saved_size(&cpu_desc);
    uint8_t *saved = malloc(2 * size), *changed = saved + size;
    unsigned seen = 0;

    assert_non_null(saved);
    state_save(&cpu_desc, &w->a->cpus[0], saved);
    for (size_t i = 0; i < size; i++) {
        memcpy(changed, saved, size);
        changed[i] ^= 1;
        if (state_load(&cpu_desc, &w->b->cpus[0], changed, size) != 0)
            continue; /* what no CPU could hold */
        update(w);
        assert_int_equal(w->counts.registers + w->counts.fields, 1);
        seen++;
    }
    assert_in_range(seen, size - 40, size);
    free(saved);
}

static void machines_of_other_sizes_are_compared_where_both_have_ram(void **state)
{
    struct bench *w = bench_of(16u << 20, 4u << 20);
    struct state_difference *details;

    (void)state;
    assert_int_equal(state_diff_unpaired_pages(w->d), (12u << 20) / PAGE_BYTES);
    update(w);
    assert_int_equal(w->counts.pages, 0);
    poke(w->a, 0x800000, 1); /* the other has nothing there */
    poke(w->a, 0x9000, 1);
    update(w);
    assert_int_equal(w->counts.pages, 1);
    details = describe(w);
    assert_int_equal(details->nruns, 1);
    assert_int_equal(details->runs[0].gpa, 0x9000);
    free(details);
    teardown((void **)&w);
    w = bench_of(4u << 20, 16u << 20);
    assert_int_equal(state_diff_unpaired_pages(w->d), (12u << 20) / PAGE_BYTES);
    poke(w->b, 0x800000, 1);
    poke(w->b, 0x3ff123, 1);
    update(w);
    assert_int_equal(w->counts.pages, 1);
    teardown((void **)&w);
}

static void long_lists_are_cut_and_counted(void **state)
{
    struct bench *w = *state;
    struct state_difference *details;

    for (uint64_t gpa = 0x10000; gpa < 0x10000 + 200 * PAGE_BYTES; gpa += PAGE_BYTES)
        if (ram_page_of(&w->b->ram, gpa) != UINT64_MAX)
            poke(w->b, gpa + 7, 1);
    update(w);
    details = describe(w);
    assert_int_equal(details->counts.pages, details->bytes);
    assert_in_range(details->bytes, 160, 200);
    assert_int_equal(details->nruns, STATE_DIFF_RUNS);
    free(details);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_machines_have_no_difference, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_are_found_with_their_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(a_page_that_becomes_equal_again_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(pages_that_a_digest_took_in_meanwhile_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(registers_and_devices_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(every_register_that_a_cpu_saves_is_seen, setup, teardown),
        cmocka_unit_test(machines_of_other_sizes_are_compared_where_both_have_ram),
        cmocka_unit_test_setup_teardown(long_lists_are_cut_and_counted, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
