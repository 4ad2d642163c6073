/* SPDX-License-Identifier: MIT */
/*
 * The ACPI tables that firmware places: its script, carried out here as a firmware does, must give what
 * acpi_tables_build() builds for the same address.
 */
#include "device_test.h"

#include <devices/acpi_loader.h>

#define RSDP_AT   0xf5a00u
#define TABLES_AT 0x3fe0000u

static const struct acpi_machine machine = {.ncpus = 2, .hpet = true, .mouse = true};

struct file {
    const char *name;
    uint8_t bytes[ACPI_TABLES_MAX_BYTES];
    size_t len;
    uint32_t at;
    unsigned align, zone;
};

struct world {
    struct acpi_loader_files files;
    struct file rsdp, tables;
    unsigned commands[4];
};

static uint64_t get(const uint8_t *p, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)p[i] << (8 * i);
    return value;
}

static struct file *named(struct world *w, const uint8_t *name)
{
    assert_non_null(memchr(name, 0, 56));
    if (strcmp((const char *)name, w->rsdp.name) == 0)
        return &w->rsdp;
    assert_string_equal((const char *)name, w->tables.name);
    return &w->tables;
}

static void add_pointer(struct world *w, const uint8_t *at)
{
    struct file *to = named(w, at);
    const struct file *from = named(w, at + 56);
    uint64_t offset = get(at + 112, 4);
    unsigned size = at[116];
    uint64_t value;

    assert_true(size == 4 || size == 8);
    assert_true(offset + size <= to->len && from->at != 0);
    value = get(to->bytes + offset, size);
    assert_true(value < from->len);
    value += from->at;
    for (unsigned i = 0; i < size; i++)
        to->bytes[offset + i] = (uint8_t)(value >> (8 * i));
}

static void add_sum(struct world *w, const uint8_t *at)
{
    struct file *file = named(w, at);
    uint64_t sum_at = get(at + 56, 4), begin = get(at + 60, 4), len = get(at + 64, 4);
    uint8_t sum = 0;

    assert_true(begin + len <= file->len && sum_at >= begin && sum_at < begin + len);
    for (uint64_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + file->bytes[begin + i]);
    file->bytes[sum_at] = (uint8_t)(file->bytes[sum_at] - sum);
}

static void carry_out(struct world *w)
{
    for (size_t i = 0; i < w->files.script_len; i += 128) {
        const uint8_t *at = w->files.script + i;
        uint64_t command = get(at, 4);

        assert_true(command >= 1 && command <= 3);
        w->commands[command]++;
        if (command == 2) {
            add_pointer(w, at + 4);
        } else if (command == 3) {
            add_sum(w, at + 4);
        } else {
            struct file *file = named(w, at + 4);

            file->align = (unsigned)get(at + 60, 4);
            file->zone = at[64];
            file->at = file == &w->rsdp ? RSDP_AT : TABLES_AT;
        }
    }
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    acpi_loader_build(&w->files, &machine);
    w->rsdp.name = ACPI_LOADER_RSDP_FILE;
    w->rsdp.len = ACPI_LOADER_RSDP_BYTES;
    memcpy(w->rsdp.bytes, w->files.blob, w->rsdp.len);
    w->tables.name = ACPI_LOADER_TABLES_FILE;
    w->tables.len = w->files.tables_len;
    memcpy(w->tables.bytes, w->files.tables, w->tables.len);
    carry_out(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void files_are_allocated_where_they_belong(void **state)
{
    struct world *w = *state;

    assert_int_equal(w->files.script_len % 128, 0);
    assert_int_equal(w->commands[1], 2);
    assert_int_equal(w->rsdp.zone, 2);
    assert_int_equal(w->rsdp.align, 16);
    assert_int_equal(w->tables.zone, 1);
    assert_int_equal(w->tables.align, 64);
}

static void placed_tables_are_those_built_there(void **state)
{
    struct world *w = *state;
    uint8_t direct[ACPI_TABLES_MAX_BYTES];
    size_t len = acpi_tables_build(&machine, TABLES_AT - 64, direct, sizeof(direct));

    assert_int_equal(len, w->tables.len + 64);
    assert_memory_equal(w->tables.bytes, direct + 64, w->tables.len);
    assert_memory_equal(w->rsdp.bytes, direct, w->rsdp.len);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(files_are_allocated_where_they_belong),
        T(placed_tables_are_those_built_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
