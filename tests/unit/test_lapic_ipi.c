/* SPDX-License-Identifier: MIT */
/* Local APIC and APIC bus against Intel SDM vol. 3, chapter 11: interprocessor interrupts, destinations, messages. */
#include "lapic_world.h"

/* --- interprocessor interrupts and destinations --- */

static void ipi_to_a_physical_destination(void **state)
{
    struct world *w = *state;

    enable_all(w);
    wr(w, ICR_HIGH, 2u << 24);
    wr(w, ICR, 0x4071);
    assert_false(irr(w, 0, 0x71));
    assert_false(irr(w, 1, 0x71));
    assert_true(irr(w, 2, 0x71));
    assert_int_equal(rd(w, ICR), 0x4071); /* delivery status idle */
    wr(w, ICR_HIGH, 0xffu << 24);
    wr(w, ICR, 0x4072);
    for (unsigned i = 0; i < NCPUS; i++)
        assert_true(irr(w, i, 0x72));
}

static void ipi_shorthands(void **state)
{
    struct world *w = *state;

    enable_all(w);
    w->bus.accessing = 1;
    wr(w, ICR, 0x44051);
    wr(w, ICR, 0x84052);
    wr(w, ICR, 0xc4053);
    for (unsigned i = 0; i < NCPUS; i++) {
        assert_int_equal(irr(w, i, 0x51), i == 1);
        assert_true(irr(w, i, 0x52));
        assert_int_equal(irr(w, i, 0x53), i != 1);
    }
}

static void ipi_to_flat_logical_destinations(void **state)
{
    struct world *w = *state;

    enable_all(w);
    for (unsigned i = 0; i < NCPUS; i++) {
        w->bus.accessing = i;
        wr(w, LDR, 0x01000000u << i);
    }
    wr(w, ICR_HIGH, 0x05u << 24);
    wr(w, ICR, 0x4861);
    assert_true(irr(w, 0, 0x61));
    assert_false(irr(w, 1, 0x61));
    assert_true(irr(w, 2, 0x61));
}

static void ipi_to_clustered_logical_destinations(void **state)
{
    struct world *w = *state;
    static const uint32_t ldr[NCPUS] = {0x11000000, 0x12000000, 0x21000000};

    enable_all(w);
    for (unsigned i = 0; i < NCPUS; i++) {
        w->bus.accessing = i;
        wr(w, DFR, 0x0fffffff);
        wr(w, LDR, ldr[i]);
    }
    wr(w, ICR_HIGH, 0x13u << 24);
    wr(w, ICR, 0x4861);
    wr(w, ICR_HIGH, 0x21u << 24);
    wr(w, ICR, 0x4862);
    wr(w, ICR_HIGH, 0xffu << 24);
    wr(w, ICR, 0x4863);
    for (unsigned i = 0; i < NCPUS; i++) {
        assert_int_equal(irr(w, i, 0x61), i != 2);
        assert_int_equal(irr(w, i, 0x62), i == 2);
        assert_true(irr(w, i, 0x63));
    }
}

static void lowest_priority_goes_to_the_idlest(void **state)
{
    struct world *w = *state;
    struct apic_message msg = {.dest = 0xff, .mode = APIC_MODE_LOWEST, .vector = 0x91};

    enable_all(w);
    wr(w, TPR, 0x30);
    w->bus.accessing = 1;
    wr(w, TPR, 0x10);
    w->bus.accessing = 2;
    wr(w, TPR, 0x10);
    assert_true(apic_bus_send(&w->bus, &msg));
    assert_false(irr(w, 0, 0x91));
    assert_true(irr(w, 1, 0x91)); /* the tie goes to the lower number */
    assert_false(irr(w, 2, 0x91));
    wr(w, SVR, 0xff); /* CPU 2: as idle as one can be, but disabled */
    wr(w, TPR, 0);
    msg.vector = 0x92;
    assert_true(apic_bus_send(&w->bus, &msg));
    assert_true(irr(w, 1, 0x92));
    lapic_intc_ops.wrmsr(&w->lapic[1], BASE_MSR, 0xfee00000);
    msg.vector = 0x93;
    assert_true(apic_bus_send(&w->bus, &msg));
    assert_true(irr(w, 0, 0x93));
}

static void lowest_priority_with_a_shorthand_goes_to_one(void **state)
{
    struct world *w = *state;

    enable_all(w);
    w->bus.accessing = 1;
    wr(w, TPR, 0x40);
    w->bus.accessing = 0;
    wr(w, ICR, 0xc0000 | 0x4100 | 0x77); /* all but the sender, which would be the idlest */
    assert_false(irr(w, 0, 0x77));
    assert_false(irr(w, 1, 0x77));
    assert_true(irr(w, 2, 0x77));
}

static void init_and_startup_reach_the_other_cpu(void **state)
{
    struct world *w = *state;

    enable_all(w);
    wr(w, ICR_HIGH, 1u << 24);
    wr(w, ICR, 0xc500);
    assert_int_equal(w->cpu[1].inits, 1);
    assert_int_equal(w->lapic[1].svr, 0xff); /* its APIC was reset as well */
    wr(w, ICR, 0x8500);                      /* de-assert: nothing */
    assert_int_equal(w->cpu[1].inits, 1);
    wr(w, ICR, 0x469a);
    assert_int_equal(w->cpu[1].sipis, 1);
    assert_int_equal(w->cpu[1].sipi_vector, 0x9a);
    wr(w, ICR, 0x4400);
    assert_int_equal(w->cpu[1].nmis, 1);
    assert_int_equal(w->cpu[0].nmis, 0);
}

static void a_cpu_sends_nmi_init_and_startup_to_itself(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, ICR_HIGH, 0);
    wr(w, ICR, 0x4400);
    assert_int_equal(w->cpu[0].nmis, 1);
    wr(w, ICR, 0x4612);
    assert_int_equal(w->cpu[0].sipis, 1); /* which a CPU that does not wait for it ignores */
    wr(w, ICR, 0x4500);
    assert_int_equal(w->cpu[0].inits, 1);
    assert_int_equal(rd(w, SVR), 0xff);
    assert_int_equal(rd(w, ICR), 0);
}

static void nmi_init_and_startup_need_no_enabled_apic(void **state)
{
    struct world *w = *state;

    w->bus.accessing = 1; /* all are software-disabled */
    wr(w, ICR_HIGH, 0);
    wr(w, ICR, 0x4400);
    wr(w, ICR, 0x4612);
    assert_int_equal(w->cpu[0].nmis, 1);
    assert_int_equal(w->cpu[0].sipis, 1);
    wr(w, ICR, 0x4040); /* a vector does */
    assert_false(irr(w, 0, 0x40));
    w->bus.accessing = 0;
}

static void what_was_pending_is_served_after_software_disable(void **state)
{
    struct world *w = *state;

    enable(w);
    lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x51, false);
    wr(w, SVR, 0xff);
    assert_true(w->cpu[0].intr);
    assert_acked(w, 0x51);
    wr(w, EOI, 0);
    assert_int_equal(w->lapic[0].isr[2], 0);
}

static void a_logical_broadcast_reaches_every_model(void **state)
{
    struct world *w = *state;

    enable_all(w);
    w->bus.accessing = 1;
    wr(w, DFR, 0x0fffffff); /* clusters here, flat elsewhere; no LDR is set */
    w->bus.accessing = 0;
    wr(w, ICR_HIGH, 0xff000000);
    wr(w, ICR, 0x4800 | 0x55);
    for (unsigned i = 0; i < NCPUS; i++)
        assert_true(irr(w, i, 0x55));
}

static void smi_and_reserved_ipis_are_dropped(void **state)
{
    static const uint32_t modes[] = {0x200, 0x300, 0x700};
    struct world *w = *state;

    enable_all(w);
    for (unsigned i = 0; i < 3; i++) {
        wr(w, ICR_HIGH, 1u << 24);
        wr(w, ICR, 0x4000 | modes[i] | 0x50);
    }
    assert_false(w->cpu[1].intr);
    assert_int_equal(w->cpu[1].sipis + w->cpu[1].inits + w->cpu[1].nmis, 0);
    wr(w, ESR, 0);
    assert_int_equal(rd(w, ESR), 0);
}

static void an_ipi_with_an_illegal_vector_is_an_error_of_the_sender(void **state)
{
    struct world *w = *state;

    enable_all(w);
    wr(w, ICR_HIGH, 1u << 24);
    wr(w, ICR, 0x4008);
    wr(w, ESR, 0);
    assert_int_equal(rd(w, ESR), 0x20);
    assert_int_equal(w->lapic[1].irr[0], 0);
    assert_int_equal(w->lapic[1].esr_pending, 0);
}

static void vector_16_is_the_first_that_an_ipi_may_carry(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, ICR, 0x44010);
    assert_true(irr(w, 0, 0x10));
    enter_x2apic(w);
    assert_int_equal(wrmsr(w, 0x83f, 0x10), 0);
    assert_int_equal(w->lapic[0].esr_pending, 0);
}

static void a_32_bit_destination_does_not_wrap_onto_an_xapic(void **state)
{
    struct world *w = *state;

    enable_all(w);
    enter_x2apic(w); /* CPU 0 alone */
    w->lapic[1].ldr = 0xff000000;
    assert_int_equal(wrmsr(w, X2(ICR), 0x101ULL << 32 | 0x4861), 0);
    assert_int_equal(wrmsr(w, X2(ICR), 0x101ULL << 32 | 0x4062), 0);
    assert_int_equal(wrmsr(w, X2(ICR), 1ULL << 32 | 0x4063), 0);
    assert_false(irr(w, 1, 0x61));
    assert_false(irr(w, 1, 0x62));
    assert_true(irr(w, 1, 0x63));
}

static void msi_names_destination_mode_and_vector(void **state)
{
    struct world *w = *state;

    enable_all(w);
    assert_true(apic_bus_msi(&w->bus, 0xfee01000, 0x55));
    assert_true(irr(w, 1, 0x55));
    assert_true(apic_bus_msi(&w->bus, 0xfee02000, 0xc056)); /* level, assert */
    assert_true(irr(w, 2, 0x56));
    assert_int_equal(w->lapic[2].tmr[2], 1u << 22);
    assert_false(apic_bus_msi(&w->bus, 0xfee02000, 0x8057)); /* level, de-assert */
    assert_false(irr(w, 2, 0x57));
    assert_true(apic_bus_msi(&w->bus, 0xfee01000, 0x400));
    assert_int_equal(w->cpu[1].nmis, 1);
    assert_true(apic_bus_msi(&w->bus, 0xfeeff000, 0x58)); /* broadcast */
    assert_true(irr(w, 0, 0x58) && irr(w, 1, 0x58) && irr(w, 2, 0x58));
    assert_false(apic_bus_msi(&w->bus, 0xfed01000, 0x55)); /* no APIC address */
    assert_false(apic_bus_msi(&w->bus, 0xfee07000, 0x55)); /* nobody there */
}

static void an_extint_message_is_acknowledged_at_the_pic(void **state)
{
    struct world *w = *state;

    assert_false(lapic_deliver(&w->lapic[0], APIC_MODE_EXTINT, 0, false)); /* software-disabled */
    assert_false(w->cpu[0].intr);
    enable(w);
    assert_true(lapic_deliver(&w->lapic[0], APIC_MODE_EXTINT, 0, false));
    assert_true(w->cpu[0].intr);
    assert_int_equal(ack(w, 0).source, INTR_SOURCE_PIC);
    assert_false(w->cpu[0].intr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(ipi_to_a_physical_destination),
        T(ipi_shorthands),
        T(vector_16_is_the_first_that_an_ipi_may_carry),
        T(a_32_bit_destination_does_not_wrap_onto_an_xapic),
        T(ipi_to_flat_logical_destinations),
        T(ipi_to_clustered_logical_destinations),
        T(lowest_priority_goes_to_the_idlest),
        T(lowest_priority_with_a_shorthand_goes_to_one),
        T(init_and_startup_reach_the_other_cpu),
        T(a_cpu_sends_nmi_init_and_startup_to_itself),
        T(nmi_init_and_startup_need_no_enabled_apic),
        T(what_was_pending_is_served_after_software_disable),
        T(a_logical_broadcast_reaches_every_model),
        T(smi_and_reserved_ipis_are_dropped),
        T(an_ipi_with_an_illegal_vector_is_an_error_of_the_sender),
        T(msi_names_destination_mode_and_vector),
        T(an_extint_message_is_acknowledged_at_the_pic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
