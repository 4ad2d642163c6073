/* SPDX-License-Identifier: MIT */
/* The 440FX's PAM registers (data sheet 290549, 3.2.19): which block of C0000h..FFFFFh shows what. */
#include "device_test.h"

#include <devices/i440fx.h>

#define WINDOW_BASE 0xc0000u

struct world {
    struct fake_machine fm;
    struct pci_bus bus;
    struct i440fx host;
    enum ram_window window[RAM_WINDOW_BLOCKS];
    uint8_t shadow[0x40000];
};

static void no_pirq(void *opaque, unsigned pirq, bool level)
{
    (void)opaque, (void)pirq, (void)level;
}

static void set_window(void *opaque, unsigned block, enum ram_window what)
{
    struct world *w = opaque;

    assert_true(block < RAM_WINDOW_BLOCKS);
    w->window[block] = what;
}

static uint8_t rom_byte(void *opaque, uint64_t gpa)
{
    (void)opaque;
    return (uint8_t)(gpa >> 8);
}

static void write_shadow(void *opaque, uint64_t gpa, uint8_t byte)
{
    ((struct world *)opaque)->shadow[gpa - WINDOW_BASE] = byte;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    fake_init(&w->fm);
    pci_bus_init(&w->bus, &(struct pci_bus_wiring){
                              .ports = &w->fm.ports, .memory = &w->fm.memory, .set_pirq = no_pirq});
    i440fx_init(&w->host, &w->bus,
                &(struct i440fx_wiring){.memory = &w->fm.memory,
                                        .set_window = set_window,
                                        .rom_byte = rom_byte,
                                        .write_shadow = write_shadow,
                                        .opaque = w});
    i440fx_reset(&w->host);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    assert_state_survives(&i440fx_desc, &w->host);
    free(w);
    return 0;
}

static void pam(struct world *w, unsigned n, uint8_t value)
{
    pci_config_write(&w->host.pci, 0x59 + n, value, 1);
}

static void nothing_is_ram_at_reset(void **state)
{
    struct world *w = *state;

    for (unsigned i = 0; i < RAM_WINDOW_BLOCKS; i++)
        assert_int_equal(w->window[i], RAM_WINDOW_ROM);
    pam(w, 3, 0x33);
    i440fx_reset(&w->host);
    assert_int_equal(w->window[4], RAM_WINDOW_ROM);
}

static void each_field_is_two_bits_for_a_block(void **state)
{
    static const enum ram_window shown[] = {RAM_WINDOW_ROM, RAM_WINDOW_READ_ONLY, RAM_WINDOW_BUS,
                                            RAM_WINDOW_RAM};
    struct world *w = *state;

    for (unsigned n = 1; n <= 6; n++) {
        for (unsigned low = 0; low < 4; low++) {
            for (unsigned high = 0; high < 4; high++) {
                pam(w, n, (uint8_t)(high << 4 | low));
                assert_int_equal(w->window[2 * n - 2], shown[low]);
                assert_int_equal(w->window[2 * n - 1], shown[high]);
            }
        }
    }
}

static void pam0_has_the_last_64_kib(void **state)
{
    struct world *w = *state;

    pam(w, 0, 0x33); /* bits 1:0 are reserved */
    assert_int_equal(pci_config_peek(&w->host.pci, 0x59, 1), 0x30);
    for (unsigned i = 0; i < RAM_WINDOW_BLOCKS; i++)
        assert_int_equal(w->window[i], i < 12 ? RAM_WINDOW_ROM : RAM_WINDOW_RAM);
}

static void writes_go_to_ram_alone_while_reads_come_from_rom(void **state)
{
    struct world *w = *state;

    pam(w, 5, 0x02); /* E0000h */
    bus_write(&w->fm.memory, 0xe0010, 0x1122334455667788, 8);
    assert_memory_equal(&w->shadow[0x20010], "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
    assert_int_equal(bus_read(&w->fm.memory, 0xe00fe, 4), 0x01010000);
    bus_write(&w->fm.memory, 0xe4000, 0x55, 1); /* the block behind is closed */
    assert_int_equal(w->shadow[0x24000], 0);
    bus_write(&w->fm.memory, 0xe3fff, 0x6655, 2); /* one byte on each side */
    assert_int_equal(w->shadow[0x23fff], 0x55);
    assert_int_equal(w->shadow[0x24000], 0);
}

static void a_load_opens_and_closes_too(void **state)
{
    struct world *w = *state;
    uint8_t closed[512], open[512];
    size_t size = state_saved_size(&i440fx_desc);

    assert_true(size <= sizeof(closed));
    state_save(&i440fx_desc, &w->host, closed);
    pam(w, 1, 0x31);
    state_save(&i440fx_desc, &w->host, open);
    assert_int_equal(state_load(&i440fx_desc, &w->host, closed, size), 0);
    assert_int_equal(w->window[1], RAM_WINDOW_ROM);
    assert_int_equal(state_load(&i440fx_desc, &w->host, open, size), 0);
    assert_int_equal(w->window[0], RAM_WINDOW_READ_ONLY);
    assert_int_equal(w->window[1], RAM_WINDOW_RAM);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(nothing_is_ram_at_reset),
        T(each_field_is_two_bits_for_a_block),
        T(pam0_has_the_last_64_kib),
        T(writes_go_to_ram_alone_while_reads_come_from_rom),
        T(a_load_opens_and_closes_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
