/* SPDX-License-Identifier: MIT */
/* I/O APIC against the 82093AA data sheet, with a real local APIC at the other end of the bus. */
#include "device_test.h"

#include <devices/apic_bus.h>
#include <devices/ioapic.h>
#include <devices/lapic.h>

#define LEVEL   0x8000u
#define MASKED  0x10000u
#define REMOTE  0x4000u
#define LOGICAL 0x800u

struct world {
    struct fake_machine fm;
    struct apic_bus bus;
    struct lapic lapic;
    struct ioapic io;
    bool intr;
    unsigned nmis;
    unsigned inits;
    unsigned sipis;
    unsigned pic_acks;
};

static void set_intr(void *cpu, bool level)
{
    ((struct world *)cpu)->intr = level;
}

static void raise_nmi(void *cpu)
{
    ((struct world *)cpu)->nmis++;
}

static void raise_init(void *cpu)
{
    ((struct world *)cpu)->inits++;
}

static void raise_sipi(void *cpu, uint8_t vector)
{
    (void)vector;
    ((struct world *)cpu)->sipis++;
}

static uint64_t no_tsc(void *cpu)
{
    (void)cpu;
    return 0;
}

static uint64_t no_tsc_to_ns(void *cpu, uint64_t tsc)
{
    (void)cpu;
    return tsc;
}

static uint8_t pic_ack(void *opaque)
{
    ((struct world *)opaque)->pic_acks++;
    return 8;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    fake_init(&w->fm);
    apic_bus_init(&w->bus, ioapic_eoi, &w->io);
    w->bus.sends_nmi = ioapic_sends_nmi;
    lapic_init(&w->lapic, &(struct lapic_wiring){.clock = &w->fm.clock,
                                                 .memory = &w->fm.memory,
                                                 .bus = &w->bus,
                                                 .lines = {.cpu = w,
                                                           .set_intr = set_intr,
                                                           .raise_nmi = raise_nmi,
                                                           .raise_init = raise_init,
                                                           .raise_sipi = raise_sipi,
                                                           .tsc = no_tsc,
                                                           .tsc_to_ns = no_tsc_to_ns},
                                                 .pic_ack = pic_ack,
                                                 .pic = w});
    lapic_reset(&w->lapic);
    ioapic_init(&w->io, &(struct ioapic_wiring){.memory = &w->fm.memory, .bus = &w->bus});
    ioapic_reset(&w->io);
    bus_write(&w->fm.memory, 0xfee000f0, 0x1ff, 4);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    assert_state_survives(&ioapic_desc, &w->io);
    free(w);
    return 0;
}

static uint32_t rd(struct world *w, unsigned reg)
{
    bus_write(&w->fm.memory, 0xfec00000, reg, 4);
    return (uint32_t)bus_read(&w->fm.memory, 0xfec00010, 4);
}

static void wr(struct world *w, unsigned reg, uint32_t value)
{
    bus_write(&w->fm.memory, 0xfec00000, reg, 4);
    bus_write(&w->fm.memory, 0xfec00010, value, 4);
    assert_state_survives(&ioapic_desc, &w->io);
}

static void set(struct world *w, unsigned pin, bool level)
{
    ioapic_set_pin(&w->io, pin, level);
    assert_state_survives(&ioapic_desc, &w->io);
}

static void eoi(struct world *w)
{
    bus_write(&w->fm.memory, 0xfee000b0, 0, 4);
}

/* Takes the interrupt and returns its vector, or 0: none. */
static unsigned take(struct world *w)
{
    return w->intr ? lapic_intc_ops.ack(&w->lapic).vector : 0;
}

static void reset_values_and_version(void **state)
{
    struct world *w = *state;

    assert_int_equal(rd(w, 0), 0);
    assert_int_equal(rd(w, 1), 0x00170020);
    assert_int_equal(rd(w, 2), 0);
    for (unsigned pin = 0; pin < 24; pin++) {
        assert_int_equal(rd(w, 0x10 + 2 * pin), MASKED);
        assert_int_equal(rd(w, 0x11 + 2 * pin), 0);
    }
    assert_int_equal(rd(w, 0x40), 0);
    assert_int_equal(rd(w, 0xff), 0);
}

static void registers_keep_their_writable_bits(void **state)
{
    struct world *w = *state;

    wr(w, 0, 0xffffffff);
    assert_int_equal(rd(w, 0), 0x0f000000);
    assert_int_equal(rd(w, 2), 0x0f000000);
    wr(w, 1, 0);
    assert_int_equal(rd(w, 1), 0x00170020);
    wr(w, 0x10, 0xffffffff);
    wr(w, 0x11, 0xffffffff);
    assert_int_equal(rd(w, 0x10), 0x1afff); /* not delivery status, not remote IRR */
    assert_int_equal(rd(w, 0x11), 0xff000000);
    wr(w, 0x40, 0xffffffff); /* past the last entry */
    assert_int_equal(rd(w, 0x3f), 0);
}

static void the_select_register_reads_back(void **state)
{
    struct world *w = *state;

    bus_write(&w->fm.memory, 0xfec00000, 0x123, 4);
    assert_int_equal(bus_read(&w->fm.memory, 0xfec00000, 4), 0x23);
    bus_write(&w->fm.memory, 0xfec00000, 1, 1);
    assert_int_equal(bus_peek(&w->fm.memory, 0xfec00010, 4), 0x00170020);
    assert_int_equal(bus_read(&w->fm.memory, 0xfec00012, 1), 0x17);
    assert_int_equal(bus_read(&w->fm.memory, 0xfec00020, 4), 0);
}

static void an_edge_is_delivered_once(void **state)
{
    struct world *w = *state;

    wr(w, 0x10 + 2 * 4, 0x34);
    set(w, 4, true);
    assert_int_equal(take(w), 0x34);
    eoi(w);
    set(w, 4, true);
    assert_int_equal(take(w), 0);
    set(w, 4, false);
    set(w, 4, true);
    assert_int_equal(take(w), 0x34);
    assert_int_equal(w->lapic.tmr[1], 0);
}

static void an_edge_on_a_masked_pin_is_lost(void **state)
{
    struct world *w = *state;

    wr(w, 0x18, MASKED | 0x34);
    set(w, 4, true);
    wr(w, 0x18, 0x34);
    assert_int_equal(take(w), 0);
}

static void a_level_interrupt_repeats_after_eoi_while_high(void **state)
{
    struct world *w = *state;

    wr(w, 0x10 + 2 * 9, LEVEL | 0x49);
    set(w, 9, true);
    assert_int_equal(rd(w, 0x22), LEVEL | REMOTE | 0x49);
    assert_int_equal(take(w), 0x49);
    set(w, 9, false);
    set(w, 9, true); /* remote IRR holds it back */
    assert_int_equal(w->lapic.irr[2], 0);
    eoi(w);
    assert_int_equal(take(w), 0x49);
    set(w, 9, false);
    eoi(w);
    assert_int_equal(take(w), 0);
    assert_int_equal(rd(w, 0x22), LEVEL | 0x49);
}

static void unmasking_a_high_level_pin_interrupts(void **state)
{
    struct world *w = *state;

    wr(w, 0x22, LEVEL | MASKED | 0x49);
    set(w, 9, true);
    assert_int_equal(take(w), 0);
    wr(w, 0x22, LEVEL | 0x49);
    assert_int_equal(take(w), 0x49);
}

static void the_eoi_register_ends_a_vector(void **state)
{
    struct world *w = *state;

    bus_write(&w->fm.memory, 0xfee000f0, 0x11ff, 4); /* no broadcast */
    wr(w, 0x22, LEVEL | 0x49);
    set(w, 9, true);
    assert_int_equal(take(w), 0x49);
    eoi(w);
    assert_int_equal(rd(w, 0x22), LEVEL | REMOTE | 0x49);
    assert_int_equal(take(w), 0);
    bus_write(&w->fm.memory, 0xfec00040, 0x48, 4); /* another vector */
    assert_int_equal(take(w), 0);
    bus_write(&w->fm.memory, 0xfec00040, 0x49, 4);
    assert_int_equal(take(w), 0x49);
}

static void rewriting_as_edge_clears_remote_irr(void **state)
{
    struct world *w = *state;

    wr(w, 0x22, LEVEL | 0x49);
    set(w, 9, true);
    assert_int_equal(take(w), 0x49);
    set(w, 9, false);
    wr(w, 0x22, MASKED | 0x49);
    assert_int_equal(rd(w, 0x22), MASKED | 0x49);
    wr(w, 0x22, LEVEL | 0x49);
    assert_int_equal(rd(w, 0x22), LEVEL | 0x49);
}

static void eoi_reaches_every_pin_with_the_vector(void **state)
{
    struct world *w = *state;

    wr(w, 0x24, LEVEL | 0x50);
    wr(w, 0x26, LEVEL | 0x50);
    set(w, 10, true);
    set(w, 11, true);
    assert_int_equal(take(w), 0x50);
    set(w, 10, false);
    set(w, 11, false);
    eoi(w);
    assert_int_equal(rd(w, 0x24), LEVEL | 0x50);
    assert_int_equal(rd(w, 0x26), LEVEL | 0x50);
}

static void delivery_modes(void **state)
{
    struct world *w = *state;

    wr(w, 0x10, 0x400 | LEVEL); /* NMI, an edge all the same */
    set(w, 0, true);
    assert_int_equal(w->nmis, 1);
    assert_int_equal(rd(w, 0x10), 0x400 | LEVEL);
    wr(w, 0x12, 0x133); /* lowest priority */
    set(w, 1, true);
    assert_int_equal(take(w), 0x33);
    eoi(w);
    wr(w, 0x14, 0x700); /* ExtINT */
    set(w, 2, true);
    assert_int_equal(take(w), 8);
    assert_int_equal(w->pic_acks, 1);
    wr(w, 0x16, 0x500); /* INIT */
    set(w, 3, true);
    assert_int_equal(w->inits, 1);
}

static void reserved_delivery_modes_deliver_nothing(void **state)
{
    struct world *w = *state;

    for (unsigned mode = 3; mode <= 6; mode += 3) {
        wr(w, 0x10, mode << 8 | 0x35);
        set(w, 0, true);
        set(w, 0, false);
        assert_false(apic_bus_msi(&w->bus, 0xfee00000, mode << 8 | 0x35));
    }
    assert_int_equal(w->sipis, 0);
    assert_false(w->intr);
}

static void a_level_that_came_and_went_while_masked_is_forgotten(void **state)
{
    struct world *w = *state;

    wr(w, 0x22, LEVEL | MASKED | 0x49);
    set(w, 9, true);
    set(w, 9, false);
    wr(w, 0x22, LEVEL | 0x49);
    assert_int_equal(take(w), 0);
}

static void masking_takes_nothing_back(void **state)
{
    struct world *w = *state;

    wr(w, 0x22, LEVEL | 0x49);
    set(w, 9, true);
    wr(w, 0x22, LEVEL | MASKED | 0x49); /* "has no effect on that interrupt" once it was accepted */
    assert_int_equal(rd(w, 0x22), LEVEL | MASKED | REMOTE | 0x49);
    assert_int_equal(take(w), 0x49);
    eoi(w);
    assert_int_equal(rd(w, 0x22), LEVEL | MASKED | 0x49);
    assert_int_equal(take(w), 0);
}

static void destinations(void **state)
{
    struct world *w = *state;

    wr(w, 0x11, 5u << 24);
    wr(w, 0x10, 0x35);
    set(w, 0, true);
    assert_int_equal(take(w), 0); /* nobody has ID 5 */
    wr(w, 0x13, 0xffu << 24);
    wr(w, 0x12, 0x36);
    set(w, 1, true);
    assert_int_equal(take(w), 0x36);
    eoi(w);
    bus_write(&w->fm.memory, 0xfee000d0, 0x04000000, 4);
    wr(w, 0x15, 4u << 24);
    wr(w, 0x14, LOGICAL | 0x37);
    set(w, 2, true);
    assert_int_equal(take(w), 0x37);
}

static void a_level_message_nobody_takes_is_not_in_service(void **state)
{
    struct world *w = *state;

    wr(w, 0x11, 5u << 24);
    wr(w, 0x10, LEVEL | 0x35);
    set(w, 0, true);
    assert_int_equal(rd(w, 0x10), LEVEL | 0x35);
    wr(w, 0x11, 0);
    assert_int_equal(take(w), 0x35);
}

static void every_field_is_saved(void **state)
{
    (void)state;
    assert_every_field_in_table(&ioapic_desc, offsetof(struct ioapic, redir),
                                MEMBER_END(struct ioapic, id));
}

static void impossible_states_are_rejected(void **state)
{
    struct world *w = *state;
    struct ioapic bad = w->io;
    uint8_t saved[256];
    size_t size = state_saved_size(&ioapic_desc);

    bad.pins = 1u << 24;
    state_save(&ioapic_desc, &bad, saved);
    assert_int_equal(state_load(&ioapic_desc, &w->io, saved, size), -1);
    bad.pins = 0;
    bad.redir[3] = 1ULL << 40;
    state_save(&ioapic_desc, &bad, saved);
    assert_int_equal(state_load(&ioapic_desc, &w->io, saved, size), -1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static bool nmi_expected(struct world *w)
{
    return lapic_intc_ops.nmi_expected(&w->lapic);
}

/* What a CPU that halts with IF clear may wait for. */
static void an_nmi_is_expected_of_inputs_that_cause_one(void **state)
{
    struct world *w = *state;

    assert_false(nmi_expected(w));
    wr(w, 0x10 + 2 * 7, MASKED | 0x400);
    assert_false(nmi_expected(w));
    wr(w, 0x10 + 2 * 7, 0x400);
    assert_true(nmi_expected(w));
    wr(w, 0x10 + 2 * 7, 0x37);
    assert_false(nmi_expected(w));
    wr(w, 0x10 + 2 * 23, 0x500); /* INIT */
    assert_true(nmi_expected(w));
    wr(w, 0x10 + 2 * 23, MASKED);
    bus_write(&w->fm.memory, 0xfee00350, 0x400, 4); /* LINT0 */
    assert_true(nmi_expected(w));
    bus_write(&w->fm.memory, 0xfee00350, MASKED | 0x400, 4);
    bus_write(&w->fm.memory, 0xfee00360, 0x400, 4); /* LINT1, to which nothing is wired */
    assert_false(nmi_expected(w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(reset_values_and_version),
        T(registers_keep_their_writable_bits),
        T(the_select_register_reads_back),
        T(an_edge_is_delivered_once),
        T(an_edge_on_a_masked_pin_is_lost),
        T(a_level_interrupt_repeats_after_eoi_while_high),
        T(unmasking_a_high_level_pin_interrupts),
        T(the_eoi_register_ends_a_vector),
        T(rewriting_as_edge_clears_remote_irr),
        T(eoi_reaches_every_pin_with_the_vector),
        T(delivery_modes),
        T(reserved_delivery_modes_deliver_nothing),
        T(a_level_that_came_and_went_while_masked_is_forgotten),
        T(masking_takes_nothing_back),
        T(destinations),
        T(a_level_message_nobody_takes_is_not_in_service),
        T(every_field_is_saved),
        T(impossible_states_are_rejected),
        T(an_nmi_is_expected_of_inputs_that_cause_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
