/* SPDX-License-Identifier: MIT */
/* The firmware configuration device, as QEMU's docs/specs/fw_cfg.rst describes it. */
#include "device_test.h"

#include <devices/fw_cfg.h>

#define MEMORY_BYTES 0x300000u
#define REQUEST      0x1000u

struct world {
    struct fake_machine fm;
    struct fw_cfg fw;
    uint8_t memory[MEMORY_BYTES];
};

static bool read_memory(void *opaque, uint64_t gpa, void *to, size_t len)
{
    const struct world *w = opaque;

    if (gpa > MEMORY_BYTES || len > MEMORY_BYTES - gpa)
        return false;
    memcpy(to, w->memory + gpa, len);
    return true;
}

static bool write_memory(void *opaque, uint64_t gpa, const void *from, size_t len)
{
    struct world *w = opaque;

    if (gpa > MEMORY_BYTES || len > MEMORY_BYTES - gpa)
        return false;
    memcpy(w->memory + gpa, from, len);
    return true;
}

static int setup(void **state)
{
    static const uint8_t cpus[2] = {4, 0};
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    fake_init(&w->fm);
    fw_cfg_init(&w->fw, &(struct fw_cfg_wiring){.ports = &w->fm.ports,
                                                .read_memory = read_memory,
                                                .write_memory = write_memory,
                                                .opaque = w});
    fw_cfg_add(&w->fw, FW_CFG_NB_CPUS, cpus, sizeof(cpus));
    fw_cfg_add_file(&w->fw, "etc/second", "two", 3);
    fw_cfg_add_file(&w->fw, "a/first", "one!", 4);
    fw_cfg_add_file(&w->fw, "opt/last", "", 0);
    fw_cfg_reset(&w->fw);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    assert_state_survives(&fw_cfg_desc, &w->fw);
    free(w);
    return 0;
}

static void read_item(struct world *w, uint16_t key, void *to, size_t len)
{
    out16(&w->fm, 0x510, key);
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)to)[i] = in8(&w->fm, 0x511);
}

static void put_be(uint8_t *to, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
}

/* Runs a DMA request; returns its control word after it. */
static uint32_t dma(struct world *w, uint32_t control, uint32_t len, uint64_t address)
{
    const uint8_t *p = w->memory + REQUEST;

    put_be(w->memory + REQUEST, 4, control);
    put_be(w->memory + REQUEST + 4, 4, len);
    put_be(w->memory + REQUEST + 8, 8, address);
    out32(&w->fm, 0x514, 0);
    out32(&w->fm, 0x518, __builtin_bswap32(REQUEST));
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void items_are_read_byte_by_byte_and_then_zeros(void **state)
{
    struct world *w = *state;
    uint8_t bytes[6];

    read_item(w, FW_CFG_SIGNATURE, bytes, 6);
    assert_memory_equal(bytes, "QEMU\0\0", 6);
    read_item(w, FW_CFG_ID, bytes, 4);
    assert_memory_equal(bytes, "\3\0\0\0", 4);
    read_item(w, FW_CFG_NB_CPUS, bytes, 3);
    assert_memory_equal(bytes, "\4\0\0", 3);
    read_item(w, 0x7fff, bytes, 2);
    assert_memory_equal(bytes, "\0\0", 2);
    read_item(w, FW_CFG_SIGNATURE, bytes, 1); /* from the beginning again */
    assert_int_equal(bytes[0], 'Q');
    assert_int_equal(peek8(&w->fm, 0x511), 'E');
    assert_int_equal(peek8(&w->fm, 0x511), 'E');
}

static void the_directory_is_in_order_of_names(void **state)
{
    struct world *w = *state;
    uint8_t dir[4 + 3 * 64];
    uint8_t bytes[4];

    read_item(w, FW_CFG_FILE_DIR, dir, sizeof(dir));
    assert_memory_equal(dir, "\0\0\0\3", 4);
    assert_memory_equal(dir + 4, "\0\0\0\4\0\x20\0\0a/first", 16);
    assert_memory_equal(dir + 68, "\0\0\0\3\0\x21\0\0etc/second", 19);
    assert_memory_equal(dir + 132, "\0\0\0\0\0\x22\0\0opt/last", 17);
    read_item(w, 0x20, bytes, 4);
    assert_memory_equal(bytes, "one!", 4);
    read_item(w, 0x21, bytes, 4);
    assert_memory_equal(bytes, "two", 4);
    read_item(w, 0x23, bytes, 1);
    assert_int_equal(bytes[0], 0);
}

static void what_is_no_access_of_its_does_nothing(void **state)
{
    struct world *w = *state;

    out16(&w->fm, 0x510, FW_CFG_SIGNATURE);
    out8(&w->fm, 0x510, 5); /* the selector is a word */
    out8(&w->fm, 0x511, 'x');
    assert_int_equal(in8(&w->fm, 0x511), 'Q');
    assert_int_equal(in16(&w->fm, 0x510), 0xffff);
    assert_int_equal(in8(&w->fm, 0x511), 'E');
    out16(&w->fm, 0x518, 0x1234);
    assert_int_equal(in8(&w->fm, 0x511), 'M');
}

static void the_dma_register_reads_its_signature(void **state)
{
    struct world *w = *state;

    assert_int_equal(in32(&w->fm, 0x514), 0x554d4551); /* "QEMU" */
    assert_int_equal(in32(&w->fm, 0x518), 0x47464320); /* " CFG" */
    assert_int_equal(in8(&w->fm, 0x519), 'C');
}

static void dma_selects_skips_and_reads(void **state)
{
    struct world *w = *state;

    assert_int_equal(dma(w, 0x20u << 16 | 0x08, 0, 0), 0);
    assert_int_equal(dma(w, 0x04, 1, 0), 0);
    memset(w->memory + 0x2000, 0xaa, 8);
    assert_int_equal(dma(w, 0x02, 2, 0x2000), 0);
    assert_memory_equal(w->memory + 0x2000, "ne\xaa", 3);
    assert_int_equal(dma(w, 0x02, 4, 0x2000), 0); /* one byte is left, zeros follow */
    assert_memory_equal(w->memory + 0x2000, "!\0\0\0\xaa", 5);
    assert_int_equal(dma(w, 0x20u << 16 | 0x0a, 4, 0x2000), 0); /* select and read at once */
    assert_memory_equal(w->memory + 0x2000, "one!", 4);
    assert_int_equal(in8(&w->fm, 0x511), 0);
}

static void dma_that_cannot_be_done_is_an_error(void **state)
{
    struct world *w = *state;

    assert_int_equal(dma(w, 0x20u << 16 | 0x1008, 0, 0), 0);
    assert_int_equal(dma(w, 0x10, 1, 0x2000), 1);         /* nothing can be written */
    assert_int_equal(dma(w, 0x02, 4, MEMORY_BYTES), 1);   /* no memory there */
    assert_int_equal(dma(w, 0x02, 4, UINT64_MAX - 1), 1); /* nor around the end of the address space */
    assert_int_equal(dma(w, 0x02, 0xffffffff, 0), 1);
    assert_int_equal(in8(&w->fm, 0x511), 'o'); /* no step was taken */
    assert_int_equal(dma(w, 0x04, 0xfffffffe, 0), 0);
    assert_int_equal(dma(w, 0x04, 1, 0), 1); /* the offset has 32 bits */
    assert_int_equal(dma(w, 0x04, 0, 0), 0);
}

static void a_request_outside_memory_is_dropped(void **state)
{
    struct world *w = *state;

    out16(&w->fm, 0x510, 0x20);
    out32(&w->fm, 0x514, 0xffffffff);
    out32(&w->fm, 0x518, 0xf0ffffff);
    assert_int_equal(in8(&w->fm, 0x511), 'o');
    assert_int_equal(dma(w, 0x02, 1, 0x2000), 0); /* the high half was used up */
    assert_int_equal(w->memory[0x2000], 'n');
}

static void reset_forgets(void **state)
{
    struct world *w = *state;

    out16(&w->fm, 0x510, 0x20);
    out32(&w->fm, 0x514, 0x01000000);
    in8(&w->fm, 0x511);
    fw_cfg_reset(&w->fw);
    assert_int_equal(in8(&w->fm, 0x511), 'Q');
    assert_int_equal(w->fw.dma_address, 0);
}

static void every_saved_field_is_in_the_table(void **state)
{
    (void)state;
    assert_every_field_in_table(&fw_cfg_desc, offsetof(struct fw_cfg, dma_address),
                                MEMBER_END(struct fw_cfg, selected));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(items_are_read_byte_by_byte_and_then_zeros),
        T(the_directory_is_in_order_of_names),
        T(what_is_no_access_of_its_does_nothing),
        T(the_dma_register_reads_its_signature),
        T(dma_selects_skips_and_reads),
        T(dma_that_cannot_be_done_is_an_error),
        T(a_request_outside_memory_is_dropped),
        T(reset_forgets),
        T(every_saved_field_is_in_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
