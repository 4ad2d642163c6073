/* SPDX-License-Identifier: MIT */
/*
 * The ACPI tables: found as an operating system finds them, checksummed, with the addresses that
 * the devices have; and each one through iasl's disassembler, where that is installed.
 */
#include "device_test.h"

#include <stdio.h>
#include <unistd.h>

#include <devices/acpi_tables.h>
#include <devices/ioapic.h>
#include <devices/lapic.h>
#include <devices/piix4_pm.h>

struct world {
    uint8_t blob[ACPI_TABLES_MAX_BYTES];
    size_t len;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    w->len = acpi_tables_build(&(struct acpi_machine){.ncpus = 2}, ACPI_TABLES_BASE, w->blob, sizeof(w->blob));
    assert_true(w->len > 0);
    *state = w;
    return 0;
}

static int setup_all(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    w->len = acpi_tables_build(&(struct acpi_machine){.ncpus = 1, .hpet = true, .mouse = true},
                               ACPI_TABLES_BASE, w->blob, sizeof(w->blob));
    assert_true(w->len > 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static uint64_t get(const uint8_t *p, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)p[i] << (8 * i);
    return value;
}

static uint8_t sum(const uint8_t *p, size_t len)
{
    uint8_t total = 0;

    while (len-- > 0)
        total += *p++;
    return total;
}

/* The table at physical address `addr`, with its signature and checksum checked. */
static const uint8_t *table(const struct world *w, uint64_t addr, const char *signature)
{
    const uint8_t *p = w->blob + (addr - ACPI_TABLES_BASE);

    assert_true(addr >= ACPI_TABLES_BASE && addr + 36 <= ACPI_TABLES_BASE + w->len);
    assert_memory_equal(p, signature, 4);
    assert_true(addr + get(p + 4, 4) <= ACPI_TABLES_BASE + w->len);
    if (strcmp(signature, "FACS") != 0)
        assert_int_equal(sum(p, get(p + 4, 4)), 0);
    return p;
}

static const uint8_t *from_xsdt(const struct world *w, const char *signature)
{
    const uint8_t *xsdt = table(w, get(w->blob + 24, 8), "XSDT");
    size_t n = (get(xsdt + 4, 4) - 36) / 8;

    for (size_t i = 0; i < n; i++) {
        uint64_t addr = get(xsdt + 36 + 8 * i, 8);

        if (memcmp(w->blob + (addr - ACPI_TABLES_BASE), signature, 4) == 0)
            return table(w, addr, signature);
    }
    fail_msg("no %s in the XSDT", signature);
    return NULL;
}

static const uint8_t *dsdt_of(const struct world *w)
{
    return table(w, get(from_xsdt(w, "FACP") + 40, 4), "DSDT");
}

static void the_rsdp_is_found_by_its_signature_and_checksums(void **state)
{
    struct world *w = *state;

    assert_int_equal(ACPI_TABLES_BASE % 16, 0);
    assert_true(ACPI_TABLES_BASE >= 0xe0000 && ACPI_TABLES_BASE + w->len <= 0x100000);
    assert_memory_equal(w->blob, "RSD PTR ", 8);
    assert_int_equal(sum(w->blob, 20), 0);
    assert_int_equal(sum(w->blob, 36), 0);
    assert_int_equal(w->blob[15], 2);
    assert_int_equal(get(w->blob + 20, 4), 36);
}

static void rsdt_and_xsdt_list_the_same_tables(void **state)
{
    struct world *w = *state;
    const uint8_t *rsdt = table(w, get(w->blob + 16, 4), "RSDT");
    const uint8_t *xsdt = table(w, get(w->blob + 24, 8), "XSDT");

    assert_int_equal(get(rsdt + 4, 4), 36 + 2 * 4);
    assert_int_equal(get(xsdt + 4, 4), 36 + 2 * 8);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(get(rsdt + 36 + 4 * i, 4), get(xsdt + 36 + 8 * i, 8));
}

static void the_fadt_has_the_devices_addresses(void **state)
{
    static const struct {
        unsigned offset;
        unsigned size;
        uint64_t value;
    } rows[] = {
        {4, 4, 244},          {8, 1, 3},       {46, 2, 9},           {48, 4, 0xb2},
        {52, 1, 0xf1},        {53, 1, 0xf0},   {56, 4, 0x600},       {60, 4, 0},
        {64, 4, 0x604},       {72, 4, 0},      {76, 4, 0x608},       {80, 4, 0xafe0},
        {84, 4, 0},           {88, 1, 4},      {89, 1, 2},           {90, 1, 0},
        {91, 1, 4},           {92, 1, 4},      {93, 1, 0},           {96, 2, 0xfff},
        {98, 2, 0xfff},       {108, 1, 0x32},  {109, 2, 3},          {112, 4, 0x465},
        {116, 4, 0x01000801}, {120, 8, 0xcf9}, {128, 1, 6},          {132, 8, 0},
        {148, 4, 0x02002001}, {152, 8, 0x600}, {172, 4, 0x02001001}, {176, 8, 0x604},
        {208, 4, 0x03002001}, {212, 8, 0x608}, {220, 4, 0x01002001}, {224, 8, 0xafe0},
    };
    struct world *w = *state;
    const uint8_t *fadt = from_xsdt(w, "FACP");

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (get(fadt + rows[i].offset, rows[i].size) != rows[i].value)
            fail_msg("FADT offset %u: %#llx", rows[i].offset,
                     (unsigned long long)get(fadt + rows[i].offset, rows[i].size));
    }
    assert_int_equal(get(fadt + 40, 4), get(fadt + 140, 8)); /* DSDT, X_DSDT */
}

static void the_facs_is_aligned(void **state)
{
    struct world *w = *state;
    uint64_t addr = get(from_xsdt(w, "FACP") + 36, 4);
    const uint8_t *facs = table(w, addr, "FACS");

    assert_int_equal(addr % 64, 0);
    assert_int_equal(get(facs + 4, 4), 64);
    assert_int_equal(facs[32], 1);
}

static void the_madt_lists_cpus_ioapic_overrides_and_nmi(void **state)
{
    struct world *w = *state;
    const uint8_t *madt = from_xsdt(w, "APIC");
    size_t len = get(madt + 4, 4);
    unsigned count[5] = {0};

    assert_int_equal(get(madt + 36, 4), LAPIC_BASE_DEFAULT);
    assert_int_equal(get(madt + 40, 4), 1);
    for (size_t at = 44; at < len; at += madt[at + 1]) {
        const uint8_t *e = madt + at;

        assert_true(e[0] < 5 && e[1] >= 6);
        switch (e[0]) {
        case 0:
            assert_int_equal(e[3], count[0]);
            assert_int_equal(get(e + 4, 4), 1);
            break;
        case 1:
            assert_int_equal(get(e + 4, 4), IOAPIC_BASE);
            assert_int_equal(get(e + 8, 4), 0);
            break;
        case 2:
            assert_int_equal(get(e + 4, 4), e[3] == 0 ? 2 : e[3]);
            assert_int_equal(get(e + 8, 2), e[3] == 0 ? 0 : 0x0d);
            break;
        default:
            assert_int_equal(e[2], 0xff);
            assert_int_equal(e[5], 1);
            break;
        }
        count[e[0]]++;
    }
    assert_int_equal(count[0], 2);
    assert_int_equal(count[1], 1);
    assert_int_equal(count[2], 5);
    assert_int_equal(count[4], 1);
}

static void the_tables_follow_the_number_of_cpus_and_the_base(void **state)
{
    struct world *w = *state;
    uint8_t *other = malloc(ACPI_TABLES_MAX_BYTES);

    assert_non_null(other);
    assert_int_equal(acpi_tables_build(&(struct acpi_machine){.ncpus = 2}, ACPI_TABLES_BASE, other, ACPI_TABLES_MAX_BYTES), w->len);
    assert_memory_equal(other, w->blob, w->len);
    assert_true(acpi_tables_build(&(struct acpi_machine){.ncpus = 64}, ACPI_TABLES_BASE, other, ACPI_TABLES_MAX_BYTES) > w->len);
    assert_int_equal(acpi_tables_build(&(struct acpi_machine){.ncpus = 2}, 0x7fe0000, other, ACPI_TABLES_MAX_BYTES), w->len);
    assert_int_equal(get(other + 24, 8) - 0x7fe0000, get(w->blob + 24, 8) - ACPI_TABLES_BASE);
    free(other);
}

static void hpet_and_mouse_have_tables_where_there_are_these(void **state)
{
    struct world *w = *state;
    const uint8_t *hpet = from_xsdt(w, "HPET");

    assert_int_equal(get(hpet + 4, 4), 56);
    assert_int_equal(get(hpet + 36, 4), 0x8086a201);
    assert_int_equal(get(hpet + 44, 8), 0xfed00000);
    assert_int_equal(get(table(w, get(w->blob + 16, 4), "RSDT") + 4, 4), 36 + 4 * 4);
    from_xsdt(w, "SSDT");
}

static void too_little_room_gives_zero(void **state)
{
    struct world *w = *state;

    for (size_t cap = 0; cap < w->len; cap += cap < 200 ? 1 : 97) {
        uint8_t *out = malloc(cap + 1); /* the sanitizer guards its end */

        assert_non_null(out);
        assert_int_equal(acpi_tables_build(&(struct acpi_machine){.ncpus = 2}, ACPI_TABLES_BASE, out, cap), 0);
        free(out);
    }
}

/* --- through iasl --- */

static void write_file(const char *path, const uint8_t *data, size_t len)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* Disassembles one table in `dir`; its text contains `wanted` and no complaint. */
static void disassemble(const char *dir, const char *name, const uint8_t *data, const char *wanted)
{
    char path[256];
    char command[1024];
    char *text = calloc(1, 1 << 20);
    FILE *f;

    assert_non_null(text);
    snprintf(path, sizeof(path), "%s/%s.aml", dir, name);
    write_file(path, data, get(data + 4, 4));
    snprintf(command, sizeof(command), "cd %s && iasl -d %s.aml > %s.log 2>&1", dir, name, name);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof(path), "%s/%s.dsl", dir, name);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    if (strstr(text, wanted) == NULL)
        fail_msg("%s.dsl lacks %s", name, wanted);
    assert_null(strstr(text, "Incorrect checksum"));
    assert_null(strstr(text, "**** "));
    assert_null(strstr(text, "Unknown"));
    assert_null(strstr(text, "Invalid"));
    free(text);
}

static void iasl_disassembles_every_table(void **state)
{
    struct world *w = *state;
    char dir[] = "acpi-XXXXXX";
    char command[64];

    if (system("iasl -v > /dev/null 2>&1") != 0) {
        print_message("skipped: no iasl (acpica-tools)\n");
        skip();
    }
    assert_non_null(mkdtemp(dir));
    disassemble(dir, "facp", from_xsdt(w, "FACP"), "PM Timer Block Length : 04");
    disassemble(dir, "apic", from_xsdt(w, "APIC"), "I/O Apic ID : 00");
    disassemble(dir, "xsdt", table(w, get(w->blob + 24, 8), "XSDT"), "ACPI Table Address");
    disassemble(dir, "rsdt", table(w, get(w->blob + 16, 4), "RSDT"), "ACPI Table Address");
    disassemble(dir, "facs", table(w, get(from_xsdt(w, "FACP") + 36, 4), "FACS"), "Version : 01");
    disassemble(dir, "dsdt", dsdt_of(w), "PNP0A03");
    snprintf(command, sizeof(command), "iasl %s/dsdt.dsl > /dev/null 2>&1", dir);
    assert_int_equal(system(command), 0); /* and what comes out compiles again */
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

static void iasl_disassembles_the_other_tables(void **state)
{
    struct world *w = *state;
    char dir[] = "acpi-XXXXXX";
    char command[64];

    if (system("iasl -v > /dev/null 2>&1") != 0) {
        print_message("skipped: no iasl (acpica-tools)\n");
        skip();
    }
    assert_non_null(mkdtemp(dir));
    disassemble(dir, "hpet", from_xsdt(w, "HPET"), "00000000FED00000");
    disassemble(dir, "ssdt", from_xsdt(w, "SSDT"), "PNP0F13");
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

#define A(name) cmocka_unit_test_setup_teardown(name, setup_all, teardown)
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_rsdp_is_found_by_its_signature_and_checksums),
        T(rsdt_and_xsdt_list_the_same_tables),
        T(the_fadt_has_the_devices_addresses),
        T(the_facs_is_aligned),
        T(the_madt_lists_cpus_ioapic_overrides_and_nmi),
        T(the_tables_follow_the_number_of_cpus_and_the_base),
        T(too_little_room_gives_zero),
        T(iasl_disassembles_every_table),
        A(hpet_and_mouse_have_tables_where_there_are_these),
        A(iasl_disassembles_the_other_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
