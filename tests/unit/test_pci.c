/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration mechanism 1, base addresses and interrupt pins; the 440FX and PIIX3 functions
 * behind them.
 */
#include "device_test.h"

#include <devices/i440fx.h>
#include <devices/pci.h>
#include <devices/piix3.h>

#define CARD_SLOT 3

struct world {
    struct fake_machine fm;
    struct irq_recorder isa;
    struct pci_bus bus;
    struct i440fx host;
    struct piix3 piix3;
    struct pci_device card;
    struct pci_device other;
    unsigned resets;
    unsigned remaps;
};

static void request_reset(void *opaque)
{
    ((struct world *)opaque)->resets++;
}

static void after_remap(void *opaque)
{
    ((struct world *)opaque)->remaps++;
}

static uint64_t card_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque, (void)size;
    return 0xa0 + offset;
}

static const struct bus_ops card_ops = {.read = card_read, .peek = card_read, .max_size = 1};

static uint64_t other_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque, (void)size;
    return 0x50 + offset;
}

static const struct bus_ops other_ops = {.read = other_read, .peek = other_read, .max_size = 1};

static int setup(void **state)
{
    static const struct pci_ident card = {.vendor = 0x1af4,
                                          .device = 0x1000,
                                          .class_code = 0x020000,
                                          .revision = 7,
                                          .interrupt_pin = 1,
                                          .subsystem_vendor = 0x1234,
                                          .subsystem = 0x5678};
    static const struct pci_ident other = {.vendor = 0x1af4, .device = 0x1001, .interrupt_pin = 2};
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    fake_init(&w->fm);
    irq_recorder_init(&w->isa);
    pci_bus_init(&w->bus, &(struct pci_bus_wiring){.ports = &w->fm.ports,
                                                   .memory = &w->fm.memory,
                                                   .set_pirq = piix3_set_pirq,
                                                   .pirq_opaque = &w->piix3,
                                                   .cf9_peek = piix3_cf9_peek,
                                                   .cf9_write = piix3_cf9_write,
                                                   .cf9_opaque = &w->piix3,
                                                   .after_remap = after_remap,
                                                   .remap_opaque = w});
    i440fx_init(&w->host, &w->bus, &(struct i440fx_wiring){.memory = &w->fm.memory});
    piix3_init(&w->piix3, &w->bus,
               &(struct piix3_wiring){.set_irq = irq_recorder_set,
                                      .irq_opaque = &w->isa,
                                      .reset = request_reset,
                                      .reset_opaque = w});
    pci_device_init(&w->card, &w->bus, PCI_DEVFN(CARD_SLOT, 0), &card, NULL);
    pci_add_bar(&w->card, 0, PCI_BAR_IO, 32, "card io", &card_ops, w);
    pci_add_bar(&w->card, 1, PCI_BAR_MEM32, 4096, "card memory", &card_ops, w);
    pci_device_init(&w->other, &w->bus, PCI_DEVFN(CARD_SLOT + 1, 0), &other, NULL);
    pci_add_bar(&w->other, 0, PCI_BAR_IO, 16, "other io", &other_ops, w);
    pci_bus_reset(&w->bus);
    i440fx_reset(&w->host);
    piix3_reset(&w->piix3);
    pci_device_reset(&w->card);
    pci_device_reset(&w->other);
    *state = w;
    return 0;
}

static void assert_all_survive(struct world *w)
{
    assert_state_survives(&pci_bus_desc, &w->bus);
    assert_state_survives(&i440fx_desc, &w->host);
    assert_state_survives(&piix3_desc, &w->piix3);
    assert_state_survives(&pci_device_desc, &w->card);
    assert_state_survives(&pci_device_desc, &w->other);
}

static int teardown(void **state)
{
    assert_all_survive(*state);
    free(*state);
    return 0;
}

static void address(struct world *w, unsigned slot, unsigned function, unsigned reg)
{
    out32(&w->fm, 0xcf8, 0x80000000u | slot << 11 | function << 8 | (reg & 0xfc));
}

static uint32_t cfg(struct world *w, unsigned slot, unsigned function, unsigned reg, unsigned size)
{
    address(w, slot, function, reg);
    return (uint32_t)bus_read(&w->fm.ports, 0xcfc + (reg & 3), size);
}

static void cfg_write(struct world *w, unsigned slot, unsigned function, unsigned reg,
                      uint32_t value, unsigned size)
{
    address(w, slot, function, reg);
    bus_write(&w->fm.ports, 0xcfc + (reg & 3), value, size);
    assert_all_survive(w);
}

/* --- mechanism 1 --- */

static void the_address_register_takes_dwords_only(void **state)
{
    struct world *w = *state;

    out32(&w->fm, 0xcf8, 0xffffffff);
    assert_int_equal(in32(&w->fm, 0xcf8), 0x80fffffc);
    out16(&w->fm, 0xcf8, 0x1234);
    out8(&w->fm, 0xcf8, 0x12);
    out8(&w->fm, 0xcfa, 0x06); /* nor is this CF9h */
    assert_int_equal(w->resets, 0);
    assert_int_equal(in32(&w->fm, 0xcf8), 0x80fffffc);
}

static void identification_reads_at_every_width(void **state)
{
    struct world *w = *state;

    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x00, 4), 0x10001af4);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x02, 2), 0x1000);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x01, 1), 0x1a);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x08, 4), 0x02000007);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x2c, 4), 0x56781234);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x3d, 1), 1);
}

static void absent_functions_and_other_buses_read_ones(void **state)
{
    struct world *w = *state;

    assert_int_equal(cfg(w, 9, 0, 0, 4), 0xffffffff);
    assert_int_equal(cfg(w, 1, 1, 0, 2), 0xffff);
    out32(&w->fm, 0xcf8, 0x80010000); /* bus 1 */
    assert_int_equal(in32(&w->fm, 0xcfc), 0xffffffff);
    out32(&w->fm, 0xcf8, 0x80800000); /* bus 128 */
    assert_int_equal(in32(&w->fm, 0xcfc), 0xffffffff);
    out32(&w->fm, 0xcf8, 0x00000000); /* not enabled */
    assert_int_equal(in32(&w->fm, 0xcfc), 0xffffffff);
    out32(&w->fm, 0xcfc, 0x12345678); /* goes nowhere */
}

static void read_only_bytes_do_not_change(void **state)
{
    struct world *w = *state;

    for (unsigned reg = 0; reg < 0x10; reg += 4)
        cfg_write(w, CARD_SLOT, 0, reg, 0xffffffff, 4);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x00, 4), 0x10001af4);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x04, 4), 0x00000547);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x08, 4), 0x02000007);
    cfg_write(w, CARD_SLOT, 0, 0x3c, 0xffffffff, 4);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x3c, 4), 0x000001ff);
}

static void narrow_writes_leave_their_neighbours(void **state)
{
    struct world *w = *state;

    cfg_write(w, CARD_SLOT, 0, 0x10, 0x0000c100, 4);
    cfg_write(w, CARD_SLOT, 0, 0x11, 0xd2, 1);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x10, 4), 0x0000d201);
    cfg_write(w, CARD_SLOT, 0, 0x12, 0xbeef, 2);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x10, 4), 0xbeefd201);
}

/* --- base addresses --- */

static void bars_answer_the_sizing_protocol(void **state)
{
    struct world *w = *state;

    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x10, 4), 1);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x14, 4), 0);
    for (unsigned reg = 0x10; reg < 0x28; reg += 4)
        cfg_write(w, CARD_SLOT, 0, reg, 0xffffffff, 4);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x10, 4), 0xffffffe1);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x14, 4), 0xfffff000);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x18, 4), 0);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x30, 4), 0); /* no ROM */
}

static void a_bar_answers_where_and_while_it_is_enabled(void **state)
{
    struct world *w = *state;

    cfg_write(w, CARD_SLOT, 0, 0x10, 0xc000, 4);
    assert_int_equal(in8(&w->fm, 0xc004), 0xff);
    cfg_write(w, CARD_SLOT, 0, 0x04, 1, 2);
    assert_int_equal(in8(&w->fm, 0xc004), 0xa4);
    assert_int_equal(in8(&w->fm, 0xc020), 0xff);
    cfg_write(w, CARD_SLOT, 0, 0x10, 0xc100, 4);
    assert_int_equal(in8(&w->fm, 0xc004), 0xff);
    assert_int_equal(in8(&w->fm, 0xc11f), 0xbf);
    cfg_write(w, CARD_SLOT, 0, 0x14, 0xe0000000, 4);
    assert_int_equal(bus_read(&w->fm.memory, 0xe0000001, 1), 0xff);
    cfg_write(w, CARD_SLOT, 0, 0x04, 3, 2);
    assert_int_equal(bus_read(&w->fm.memory, 0xe0000001, 1), 0xa1);
    cfg_write(w, CARD_SLOT, 0, 0x04, 2, 2);
    assert_int_equal(in8(&w->fm, 0xc104), 0xff);
    assert_int_equal(bus_read(&w->fm.memory, 0xe0000001, 1), 0xa1);
}

static void overlapping_bars_resolve_by_state_not_by_history(void **state)
{
    struct world *w = *state;

    cfg_write(w, CARD_SLOT, 0, 0x04, 1, 2);
    cfg_write(w, CARD_SLOT + 1, 0, 0x04, 1, 2);
    cfg_write(w, CARD_SLOT, 0, 0x10, 0xc000, 4);
    cfg_write(w, CARD_SLOT + 1, 0, 0x10, 0xc000, 4);
    assert_int_equal(in8(&w->fm, 0xc000), 0x50);
    cfg_write(w, CARD_SLOT, 0, 0x10, 0xc100, 4);
    cfg_write(w, CARD_SLOT, 0, 0x10, 0xc000, 4); /* moved last, and yet the same answer */
    assert_int_equal(in8(&w->fm, 0xc000), 0x50);
    assert_true(w->remaps > 0);
}

static void loading_moves_the_bars(void **state)
{
    struct world *w = *state;
    uint8_t saved[512];
    size_t size = state_saved_size(&pci_device_desc);

    cfg_write(w, CARD_SLOT, 0, 0x10, 0xc000, 4);
    cfg_write(w, CARD_SLOT, 0, 0x04, 1, 2);
    state_save(&pci_device_desc, &w->card, saved);
    pci_device_reset(&w->card);
    assert_int_equal(in8(&w->fm, 0xc004), 0xff);
    assert_int_equal(state_load(&pci_device_desc, &w->card, saved, size), 0);
    assert_int_equal(in8(&w->fm, 0xc004), 0xa4);
}

static void a_config_space_that_is_not_this_devices_is_rejected(void **state)
{
    struct world *w = *state;
    uint8_t saved[512];
    size_t size = state_saved_size(&pci_device_desc);

    state_save(&pci_device_desc, &w->card, saved);
    saved[0] ^= 1; /* vendor */
    assert_int_equal(state_load(&pci_device_desc, &w->card, saved, size), -1);
    saved[0] ^= 1;
    saved[0x10] = 0; /* an I/O BAR that claims to be memory */
    assert_int_equal(state_load(&pci_device_desc, &w->card, saved, size), -1);
    saved[0x10] = 1;
    assert_int_equal(state_load(&pci_device_desc, &w->card, saved, size), 0);
}

/* --- interrupts --- */

static void pins_reach_the_pirq_of_their_slot(void **state)
{
    struct world *w = *state;

    /* Slot 3 INTA: PIRQ (3 - 1 + 0) = C. Slot 4 INTB: (4 - 1 + 1) mod 4 = A. */
    cfg_write(w, 1, 0, 0x60, 0x800b8005, 4); /* A to 5, C to 11 */
    pci_set_intx(&w->card, true);
    assert_true(w->isa.level[11]);
    assert_false(w->isa.level[5]);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x06, 2) & 8, 8);
    pci_set_intx(&w->other, true);
    assert_true(w->isa.level[5]);
    pci_set_intx(&w->card, false);
    assert_false(w->isa.level[11]);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x06, 2) & 8, 0);
}

static void pirqs_that_share_an_interrupt_are_ored(void **state)
{
    struct world *w = *state;

    cfg_write(w, 1, 0, 0x60, 0x0a0a0a0a, 4);
    pci_set_intx(&w->card, true);
    pci_set_intx(&w->other, true);
    assert_int_equal(w->isa.rises[10], 1);
    pci_set_intx(&w->card, false);
    assert_true(w->isa.level[10]);
    pci_set_intx(&w->other, false);
    assert_false(w->isa.level[10]);
}

static void rerouting_moves_a_line_that_is_high(void **state)
{
    struct world *w = *state;

    pci_set_intx(&w->card, true);
    for (unsigned irq = 0; irq < 16; irq++)
        assert_false(w->isa.level[irq]); /* not routed after reset */
    cfg_write(w, 1, 0, 0x62, 0x0b, 1);
    assert_true(w->isa.level[11]);
    cfg_write(w, 1, 0, 0x62, 0x0a, 1);
    assert_false(w->isa.level[11]);
    assert_true(w->isa.level[10]);
    cfg_write(w, 1, 0, 0x62, 0x80, 1);
    assert_false(w->isa.level[10]);
    cfg_write(w, 1, 0, 0x62, 0x08, 1); /* reserved */
    assert_false(w->isa.level[8]);
}

static void interrupt_disable_lowers_the_pin(void **state)
{
    struct world *w = *state;

    cfg_write(w, 1, 0, 0x60, 0x0a0a0a0a, 4);
    pci_set_intx(&w->card, true);
    cfg_write(w, CARD_SLOT, 0, 0x04, 0x400, 2);
    assert_false(w->isa.level[10]);
    assert_int_equal(cfg(w, CARD_SLOT, 0, 0x06, 2) & 8, 8); /* the status stays */
    cfg_write(w, CARD_SLOT, 0, 0x04, 0, 2);
    assert_true(w->isa.level[10]);
}

/* --- chip set functions --- */

static void the_host_bridge_is_a_440fx(void **state)
{
    struct world *w = *state;

    assert_int_equal(cfg(w, 0, 0, 0x00, 4), 0x12378086);
    assert_int_equal(cfg(w, 0, 0, 0x08, 4), 0x06000002);
    assert_int_equal(cfg(w, 0, 0, 0x04, 2), 0x0006);
    assert_int_equal(cfg(w, 0, 0, 0x72, 1), 0x02);
    cfg_write(w, 0, 0, 0x59, 0xff, 1);
    cfg_write(w, 0, 0, 0x5a, 0xffffffff, 4);
    cfg_write(w, 0, 0, 0x72, 0xff, 1);
    assert_int_equal(cfg(w, 0, 0, 0x59, 1), 0x30);
    assert_int_equal(cfg(w, 0, 0, 0x5a, 2), 0x3333);
    assert_int_equal(cfg(w, 0, 0, 0x72, 1), 0x7a);
}

struct stored {
    uint8_t offset;
    uint8_t size;
    uint32_t reset;
    uint32_t writable;
};

static void assert_stored(struct world *w, unsigned slot, const struct stored *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct stored *r = &rows[i];
        uint32_t fixed = r->reset & ~r->writable;

        if (cfg(w, slot, 0, r->offset, r->size) != r->reset)
            fail_msg("reset value of register %02x", r->offset);
        cfg_write(w, slot, 0, r->offset, 0xffffffff, r->size);
        if (cfg(w, slot, 0, r->offset, r->size) != (fixed | r->writable))
            fail_msg("ones in register %02x", r->offset);
        cfg_write(w, slot, 0, r->offset, 0, r->size);
        if (cfg(w, slot, 0, r->offset, r->size) != fixed)
            fail_msg("zeros in register %02x", r->offset);
    }
}

/* Intel 290549, register index: what firmware programs and reads back. */
static void the_host_bridge_stores_its_memory_registers(void **state)
{
    static const struct stored rows[] = {
        {0x0d, 1, 0x00, 0xf8},
        {0x50, 2, 0x0000, 0xffff},
        {0x52, 1, 0x00, 0xff},
        {0x53, 1, 0x80, 0xff},
        {0x54, 1, 0x00, 0xff},
        {0x55, 1, 0x00, 0xff},
        {0x57, 1, 0x01, 0xff},
        {0x58, 1, 0x10, 0xff},
        {0x59, 1, 0x00, 0x30},
        {0x5a, 2, 0, 0x3333},
        {0x5c, 2, 0, 0x3333},
        {0x5e, 2, 0, 0x3333},
        {0x60, 4, 0x01010101, 0xffffffff},
        {0x64, 4, 0x01010101, 0xffffffff},
        {0x68, 1, 0x00, 0xff},
        {0x70, 1, 0x10, 0xff},
        {0x71, 1, 0x10, 0xff},
        {0x72, 1, 0x02, 0x78},
        {0x90, 1, 0x00, 0xff},
    };

    assert_stored(*state, 0, rows, sizeof(rows) / sizeof(rows[0]));
}

/* Intel 290550, register index. */
static void the_isa_bridge_stores_its_board_registers(void **state)
{
    static const struct stored rows[] = {
        {0x4c, 1, 0x4d, 0xff},     {0x4e, 2, 0x0003, 0x01ff}, {0x60, 4, 0x80808080, 0x8f8f8f8f},
        {0x69, 1, 0x02, 0xfe},     {0x70, 2, 0x8080, 0xefef}, {0x76, 2, 0x0c0c, 0x8f8f},
        {0x78, 2, 0x0002, 0xffff}, {0x80, 1, 0x00, 0x7f},     {0x82, 1, 0x00, 0x0f},
        {0xa0, 1, 0x08, 0x1f},     {0xa2, 2, 0x0000, 0x01ff}, {0xa8, 1, 0x0f, 0xff},
    };

    assert_stored(*state, 1, rows, sizeof(rows) / sizeof(rows[0]));
}

static void a_piix3_state_that_contradicts_itself_is_rejected(void **state)
{
    struct world *w = *state;
    uint8_t saved[512];
    size_t size = state_saved_size(&piix3_desc);

    for (unsigned i = 0; i < 3; i++) {
        struct piix3 bad = w->piix3;

        if (i == 0)
            bad.driven = 0x0800;
        else if (i == 1)
            bad.pirqs = 0x10;
        else
            bad.reset_control = 0x01;
        state_save(&piix3_desc, &bad, saved);
        assert_int_equal(state_load(&piix3_desc, &w->piix3, saved, size), -1);
    }
    out8(&w->fm, 0xcf9, 0x06);
    state_save(&piix3_desc, &w->piix3, saved);
    assert_int_equal(state_load(&piix3_desc, &w->piix3, saved, size), 0);
}

static void the_isa_bridge_is_a_multifunction_piix3(void **state)
{
    struct world *w = *state;

    assert_int_equal(cfg(w, 1, 0, 0x00, 4), 0x70008086);
    assert_int_equal(cfg(w, 1, 0, 0x08, 4), 0x06010000);
    assert_int_equal(cfg(w, 1, 0, 0x0e, 1), 0x80);
    assert_int_equal(cfg(w, 1, 0, 0x60, 4), 0x80808080);
    cfg_write(w, 1, 0, 0x60, 0xffffffff, 4);
    assert_int_equal(cfg(w, 1, 0, 0x60, 4), 0x8f8f8f8f);
}

static void reset_control_acts_on_the_rise_of_bit_2(void **state)
{
    struct world *w = *state;

    out8(&w->fm, 0xcf9, 0x02);
    assert_int_equal(w->resets, 0);
    assert_int_equal(in8(&w->fm, 0xcf9), 0x02);
    out8(&w->fm, 0xcf9, 0x06);
    assert_int_equal(w->resets, 1);
    out8(&w->fm, 0xcf9, 0x06);
    assert_int_equal(w->resets, 1);
    out8(&w->fm, 0xcf9, 0x00);
    out8(&w->fm, 0xcf9, 0x04);
    assert_int_equal(w->resets, 2);
    piix3_reset(&w->piix3);
    assert_int_equal(in8(&w->fm, 0xcf9), 0);
}

static void every_field_is_saved(void **state)
{
    struct state_desc own = piix3_desc;

    (void)state;
    assert_every_field_in_table(&pci_device_desc, offsetof(struct pci_device, config),
                                MEMBER_END(struct pci_device, intx));
    assert_every_field_in_table(&pci_bus_desc, offsetof(struct pci_bus, address),
                                MEMBER_END(struct pci_bus, address));
    own.fields++; /* the PCI part comes first, and was checked */
    own.nfields--;
    assert_every_field_in_table(&own, offsetof(struct piix3, driven),
                                MEMBER_END(struct piix3, reset_control));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_address_register_takes_dwords_only),
        T(identification_reads_at_every_width),
        T(absent_functions_and_other_buses_read_ones),
        T(read_only_bytes_do_not_change),
        T(narrow_writes_leave_their_neighbours),
        T(bars_answer_the_sizing_protocol),
        T(a_bar_answers_where_and_while_it_is_enabled),
        T(overlapping_bars_resolve_by_state_not_by_history),
        T(loading_moves_the_bars),
        T(a_config_space_that_is_not_this_devices_is_rejected),
        T(pins_reach_the_pirq_of_their_slot),
        T(pirqs_that_share_an_interrupt_are_ored),
        T(rerouting_moves_a_line_that_is_high),
        T(interrupt_disable_lowers_the_pin),
        T(the_host_bridge_is_a_440fx),
        T(the_isa_bridge_is_a_multifunction_piix3),
        T(the_host_bridge_stores_its_memory_registers),
        T(the_isa_bridge_stores_its_board_registers),
        T(a_piix3_state_that_contradicts_itself_is_rejected),
        T(reset_control_acts_on_the_rise_of_bit_2),
        T(every_field_is_saved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
