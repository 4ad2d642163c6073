/* SPDX-License-Identifier: MIT */
/* Local APIC against Intel SDM vol. 3, chapter 11: registers, acceptance and priority, pins, saved state. */
#include "lapic_world.h"

/* --- reset and registers --- */

static void reset_values_are_those_of_the_manual(void **state)
{
    struct world *w = *state;

    w->bus.accessing = 1; /* not the BSP: nothing is preset there */
    assert_int_equal(rd(w, ID), 1u << 24);
    assert_int_equal(rd(w, VERSION), 0x01050014);
    assert_int_equal(rd(w, TPR), 0);
    assert_int_equal(rd(w, PPR), 0);
    assert_int_equal(rd(w, LDR), 0);
    assert_int_equal(rd(w, DFR), 0xffffffff);
    assert_int_equal(rd(w, SVR), 0xff);
    assert_int_equal(rd(w, ESR), 0);
    assert_int_equal(rd(w, ICR), 0);
    assert_int_equal(rd(w, ICR_HIGH), 0);
    for (unsigned reg = LVT_TIMER; reg <= LVT_ERROR; reg += 16)
        assert_int_equal(rd(w, reg), MASKED);
    for (unsigned reg = ISR; reg < ESR; reg += 16)
        assert_int_equal(rd(w, reg), 0);
    assert_int_equal(rd(w, TIMER_INITIAL), 0);
    assert_int_equal(rd(w, TIMER_CURRENT), 0);
    assert_int_equal(rd(w, TIMER_DIVIDE), 0);
    w->bus.accessing = 0;
    assert_int_equal(msr_value(w, BASE_MSR), 0xfee00900);
    assert_int_equal(rd(w, LVT_LINT0), 0x700); /* virtual wire, as firmware leaves it */
}

static void registers_keep_their_writable_bits_only(void **state)
{
    static const struct {
        unsigned reg;
        uint32_t mask;
        uint32_t fixed;
    } rows[] = {
        {TPR, 0xff, 0},
        {LDR, 0xff000000, 0},
        {DFR, 0xf0000000, 0x0fffffff},
        {SVR, 0x13ff, 0x100},
        {ICR_HIGH, 0xff000000, 0},
        {LVT_TIMER, 0x700ff, 0},
        {LVT_THERMAL, 0x107ff, 0},
        {LVT_PERF, 0x107ff, 0},
        {LVT_LINT0, 0x1a7ff, 0},
        {LVT_LINT1, 0x1a7ff, 0},
        {LVT_ERROR, 0x100ff, 0},
        {TIMER_DIVIDE, 0xb, 0},
    };
    struct world *w = *state;

    enable(w);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        wr(w, rows[i].reg, 0xffffffff);
        assert_int_equal(rd(w, rows[i].reg), rows[i].mask | rows[i].fixed);
        wr(w, rows[i].reg, rows[i].fixed & 0x100);
        assert_int_equal(rd(w, rows[i].reg), rows[i].fixed);
    }
    assert_int_equal(w->lapic[0].oddities, 0);
}

static void read_only_registers_ignore_writes(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, ID, 0x0f000000);
    wr(w, VERSION, 0);
    wr(w, PPR, 0xff);
    wr(w, TIMER_CURRENT, 55);
    wr(w, ISR, 0xffffffff);
    wr(w, IRR + 0x70, 0xffffffff);
    assert_int_equal(rd(w, ID), 0);
    assert_int_equal(rd(w, VERSION), 0x01050014);
    assert_int_equal(rd(w, PPR), 0);
    assert_int_equal(rd(w, TIMER_CURRENT), 0);
    assert_int_equal(rd(w, ISR), 0);
    assert_int_equal(rd(w, IRR + 0x70), 0);
    wr(w, ESR, 0);
    assert_int_equal(rd(w, ESR), 0);
}

static void a_register_that_is_not_there_sets_the_illegal_address_bit(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, LVT_ERROR, 0x66);
    assert_int_equal(rd(w, 0x040), 0);
    assert_true(w->cpu[0].intr);
    assert_acked(w, 0x66);
    assert_int_equal(rd(w, ESR), 0); /* latched by a write only */
    wr(w, ESR, 0);
    assert_int_equal(rd(w, ESR), 0x80);
    wr(w, ESR, 0);
    assert_int_equal(rd(w, ESR), 0);
    wr(w, 0x2f0, 5); /* LVT CMCI: not in this version */
    wr(w, ESR, 0);
    assert_int_equal(rd(w, ESR), 0x80);
}

static void peek_of_a_missing_register_raises_no_error(void **state)
{
    struct world *w = *state;

    enable(w);
    assert_int_equal(bus_peek(&w->fm.memory, 0xfee00040, 4), 0);
    wr(w, ESR, 0);
    assert_int_equal(rd(w, ESR), 0);
}

static void narrow_accesses_read_bytes_and_write_nothing(void **state)
{
    struct world *w = *state;

    assert_int_equal(bus_read(&w->fm.memory, 0xfee00030, 1), 0x14);
    assert_int_equal(bus_read(&w->fm.memory, 0xfee00032, 1), 0x05);
    assert_int_equal(bus_read(&w->fm.memory, 0xfee00030, 2), 0x0014);
    assert_int_equal(bus_read(&w->fm.memory, 0xfee00034, 4), 0);
    bus_write(&w->fm.memory, 0xfee00080, 0x50, 1);
    assert_int_equal(rd(w, TPR), 0);
}

/* --- acceptance and priority --- */

static void fixed_interrupt_goes_irr_isr_eoi(void **state)
{
    struct world *w = *state;

    enable(w);
    assert_true(lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x41, false));
    assert_int_equal(rd(w, IRR + 0x20), 1u << 1);
    assert_true(w->cpu[0].intr);
    assert_acked(w, 0x41);
    assert_int_equal(rd(w, IRR + 0x20), 0);
    assert_int_equal(rd(w, ISR + 0x20), 1u << 1);
    assert_int_equal(rd(w, PPR), 0x40);
    assert_false(w->cpu[0].intr);
    wr(w, EOI, 0);
    assert_int_equal(rd(w, ISR + 0x20), 0);
    assert_int_equal(rd(w, PPR), 0);
    assert_int_equal(w->eois, 0); /* edge: no broadcast */
}

static void only_a_higher_class_interrupts_a_handler(void **state)
{
    struct world *w = *state;

    enable(w);
    lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x52, false);
    assert_acked(w, 0x52);
    lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x5f, false); /* same class */
    assert_false(w->cpu[0].intr);
    lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x61, false);
    assert_true(w->cpu[0].intr);
    assert_acked(w, 0x61);
    assert_int_equal(rd(w, PPR), 0x60);
    wr(w, EOI, 0); /* ends 61h, the highest in service */
    assert_int_equal(rd(w, PPR), 0x50);
    assert_false(w->cpu[0].intr);
    wr(w, EOI, 0);
    assert_true(w->cpu[0].intr);
    assert_acked(w, 0x5f);
    wr(w, EOI, 0);
}

static void tpr_holds_back_its_class_and_lower(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, TPR, 0x45);
    assert_int_equal(rd(w, PPR), 0x45);
    lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x4f, false);
    assert_false(w->cpu[0].intr);
    wr(w, TPR, 0x3f);
    assert_true(w->cpu[0].intr);
    wr(w, TPR, 0x40);
    assert_false(w->cpu[0].intr);
    assert_int_equal(ack(w, 0).vector, 0xff); /* gone: the spurious vector */
    assert_int_equal(rd(w, ISR + 0x20), 0);
    assert_true(irr(w, 0, 0x4f));
}

static void an_acknowledge_that_comes_too_late_gives_the_spurious_vector(void **state)
{
    struct world *w = *state;

    wr(w, SVR, 0x1e3);
    lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x51, false);
    wr(w, TPR, 0x50); /* between INTR and INTA (SDM vol. 3, 11.9) */
    assert_false(w->cpu[0].intr);
    assert_acked(w, 0xe3);
    assert_int_equal(rd(w, ISR + 0x20), 0);
    assert_true(irr(w, 0, 0x51));
    wr(w, TPR, 0);
    assert_acked(w, 0x51);
}

static void cr8_is_the_upper_half_of_tpr(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, TPR, 0x7c);
    assert_int_equal(lapic_intc_ops.get_cr8(&w->lapic[0]), 7);
    lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x75, false);
    assert_false(w->cpu[0].intr);
    lapic_intc_ops.set_cr8(&w->lapic[0], 6);
    assert_int_equal(rd(w, TPR), 0x60);
    assert_true(w->cpu[0].intr);
}

static void apr_is_the_highest_class_of_all(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, TPR, 0x35);
    assert_int_equal(rd(w, APR), 0x35);
    lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x48, false);
    assert_int_equal(rd(w, APR), 0x40);
    assert_acked(w, 0x48);
    assert_int_equal(rd(w, APR), 0x40);
}

static void vectors_below_16_are_refused_with_an_error(void **state)
{
    struct world *w = *state;

    enable(w);
    assert_false(lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x0f, false));
    assert_int_equal(rd(w, IRR), 0);
    wr(w, ESR, 0);
    assert_int_equal(rd(w, ESR), 0x40);
    assert_true(lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x10, false));
    assert_int_equal(rd(w, IRR), 1u << 16);
}

static void an_error_interrupts_once_until_esr_is_written(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, LVT_ERROR, 0x66);
    rd(w, 0x040);
    assert_acked(w, 0x66);
    wr(w, EOI, 0);
    rd(w, 0x040);
    lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 3, false);
    assert_false(w->cpu[0].intr); /* noted, but the mechanism is not armed */
    wr(w, ESR, 0);
    assert_int_equal(rd(w, ESR), 0xc0);
    rd(w, 0x040);
    assert_acked(w, 0x66);
}

static void an_illegal_vector_in_the_error_entry_does_not_recurse(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, LVT_ERROR, 0x05);
    rd(w, 0x040);
    wr(w, ESR, 0);
    assert_int_equal(rd(w, ESR), 0xc0);
    assert_false(w->cpu[0].intr);
}

static void software_disable_masks_the_lvt_and_takes_no_vectors(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, LVT_TIMER, 0x31);
    lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x70, false);
    wr(w, SVR, 0xff);
    assert_int_equal(rd(w, LVT_TIMER), MASKED | 0x31);
    wr(w, LVT_TIMER, 0x31);
    assert_int_equal(rd(w, LVT_TIMER), MASKED | 0x31); /* the mask cannot be cleared */
    assert_false(lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x80, false));
    assert_true(lapic_deliver(&w->lapic[0], APIC_MODE_NMI, 0, false));
    assert_int_equal(w->cpu[0].nmis, 1);
    assert_acked(w, 0x70); /* what was pending stays */
}

static void level_interrupts_broadcast_their_eoi(void **state)
{
    struct world *w = *state;

    enable(w);
    lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x45, true);
    assert_int_equal(rd(w, TMR + 0x20), 1u << 5);
    assert_acked(w, 0x45);
    wr(w, EOI, 0);
    assert_int_equal(w->eois, 1);
    assert_int_equal(w->eoi_vector, 0x45);
    lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x45, false); /* an edge clears TMR's bit */
    assert_int_equal(rd(w, TMR + 0x20), 0);
    assert_acked(w, 0x45);
    wr(w, EOI, 0);
    assert_int_equal(w->eois, 1);
}

static void eoi_broadcast_can_be_suppressed(void **state)
{
    struct world *w = *state;

    wr(w, SVR, 0x11ff);
    lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x45, true);
    assert_acked(w, 0x45);
    wr(w, EOI, 0);
    assert_int_equal(w->eois, 0);
    assert_int_equal(rd(w, ISR + 0x20), 0);
}

static void eoi_with_nothing_in_service_does_nothing(void **state)
{
    struct world *w = *state;

    enable(w);
    lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x45, true);
    wr(w, EOI, 0);
    assert_true(irr(w, 0, 0x45));
    assert_int_equal(w->eois, 0);
}

static void intr_is_driven_on_changes_only(void **state)
{
    struct world *w = *state;

    enable(w);
    for (unsigned v = 0x30; v < 0x90; v++)
        lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, (uint8_t)v, false);
    assert_int_equal(w->cpu[0].intr_changes, 1);
}

/* --- LINT pins and the 8259A --- */

static void lint0_in_extint_mode_takes_the_vector_from_the_pic(void **state)
{
    struct world *w = *state;
    struct intr_ack a;

    lapic_set_lint(&w->lapic[0], 0, true); /* virtual wire works though software-disabled */
    assert_true(w->cpu[0].intr);
    a = ack(w, 0);
    assert_int_equal(a.vector, 0x08);
    assert_int_equal(a.source, INTR_SOURCE_PIC);
    assert_int_equal(w->pic_acks, 1);
    lapic_set_lint(&w->lapic[0], 0, false);
    assert_false(w->cpu[0].intr);
}

static void extint_ignores_priority_and_the_mask_stops_it(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, LVT_LINT0, 0x700);
    wr(w, TPR, 0xff);
    lapic_set_lint(&w->lapic[0], 0, true);
    assert_true(w->cpu[0].intr);
    wr(w, LVT_LINT0, MASKED | 0x700);
    assert_false(w->cpu[0].intr);
    wr(w, LVT_LINT0, 0x700);
    assert_true(w->cpu[0].intr);
}

static void lint1_takes_extint_as_well(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, LVT_LINT0, MASKED);
    wr(w, LVT_LINT1, 0x700);
    lapic_set_lint(&w->lapic[0], 0, true);
    assert_false(w->cpu[0].intr);
    lapic_set_lint(&w->lapic[0], 1, true);
    assert_true(w->cpu[0].intr);
    assert_int_equal(ack(w, 0).source, INTR_SOURCE_PIC);
    wr(w, LVT_LINT1, MASKED | 0x700);
    assert_false(w->cpu[0].intr);
}

static void a_disabled_apic_passes_the_pins_on(void **state)
{
    struct world *w = *state;
    struct intr_ack a;

    assert_int_equal(wrmsr(w, BASE_MSR, 0xfee00100), 0);
    assert_false(lapic_intc_ops.enabled(&w->lapic[0]));
    lapic_set_lint(&w->lapic[0], 0, true);
    assert_true(w->cpu[0].intr);
    a = ack(w, 0);
    assert_int_equal(a.source, INTR_SOURCE_PIC);
    lapic_set_lint(&w->lapic[0], 1, true);
    assert_int_equal(w->cpu[0].nmis, 1);
    assert_false(lapic_deliver(&w->lapic[0], APIC_MODE_FIXED, 0x40, false));
}

static void lint1_in_nmi_mode_acts_on_the_rising_edge(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, LVT_LINT1, 0x400);
    lapic_set_lint(&w->lapic[0], 1, true);
    lapic_set_lint(&w->lapic[0], 1, true);
    assert_int_equal(w->cpu[0].nmis, 1);
    lapic_set_lint(&w->lapic[0], 1, false);
    lapic_set_lint(&w->lapic[0], 1, true);
    assert_int_equal(w->cpu[0].nmis, 2);
    lapic_set_lint(&w->lapic[0], 1, false);
    wr(w, LVT_LINT1, MASKED | 0x400);
    lapic_set_lint(&w->lapic[0], 1, true);
    assert_int_equal(w->cpu[0].nmis, 2);
}

static void reserved_modes_of_an_entry_deliver_nothing(void **state)
{
    static const uint32_t reserved[] = {0x100, 0x300, 0x600};
    struct world *w = *state;

    enable(w);
    for (unsigned i = 0; i < 3; i++) {
        wr(w, LVT_LINT1, reserved[i] | 0x44);
        lapic_set_lint(&w->lapic[0], 1, true);
        lapic_set_lint(&w->lapic[0], 1, false);
    }
    assert_false(w->cpu[0].intr);
    assert_int_equal(w->cpu[0].sipis + w->cpu[0].inits + w->cpu[0].nmis, 0);
    assert_false(irr(w, 0, 0x44));
}

static void lint1_in_init_mode_resets_the_cpu_but_for_its_apic_base(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, LVT_LINT1, 0x500);
    lapic_set_lint(&w->lapic[0], 1, true);
    assert_int_equal(w->cpu[0].inits, 1);
    assert_int_equal(rd(w, SVR), 0xff);
    assert_int_equal(rd(w, LVT_LINT1), MASKED);
}

static void a_fixed_level_pin_waits_for_its_eoi(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, LVT_LINT0, 0x8048);
    lapic_set_lint(&w->lapic[0], 0, true);
    assert_int_equal(rd(w, LVT_LINT0), 0xc048); /* remote IRR */
    assert_acked(w, 0x48);
    assert_false(irr(w, 0, 0x48));
    wr(w, EOI, 0); /* still high: again */
    assert_true(irr(w, 0, 0x48));
    assert_acked(w, 0x48);
    lapic_set_lint(&w->lapic[0], 0, false);
    wr(w, EOI, 0);
    assert_false(irr(w, 0, 0x48));
    assert_int_equal(rd(w, LVT_LINT0), 0x8048);
}

/* --- saved state --- */

static void every_field_is_saved(void **state)
{
    (void)state;
    assert_every_field_in_table(&lapic_desc, offsetof(struct lapic, base_msr),
                                MEMBER_END(struct lapic, intr));
}

static void impossible_states_are_rejected(void **state)
{
    struct world *w = *state;
    struct lapic bad;
    uint8_t saved[2048];
    size_t size = state_saved_size(&lapic_desc);

    for (unsigned i = 0; i < 5; i++) {
        bad = w->lapic[0];
        switch (i) {
        case 0: bad.base_msr = 0xfee00500; break;
        case 1: bad.irr[0] = 1; break;
        case 2: bad.tpr = 0x100; break;
        case 3: bad.timer_from = 5, bad.timer_initial = 0; break;
        default: bad.base_msr |= 1ULL << 60; break;
        }
        state_save(&lapic_desc, &bad, saved);
        assert_int_equal(state_load(&lapic_desc, &w->lapic[0], saved, size), -1);
    }
}

static void loading_moves_the_page(void **state)
{
    struct world *w = *state;
    uint8_t saved[2048];
    size_t size = state_saved_size(&lapic_desc);

    state_save(&lapic_desc, &w->lapic[0], saved);
    enter_x2apic(w);
    assert_int_equal(state_load(&lapic_desc, &w->lapic[0], saved, size), 0);
    assert_int_equal(rd(w, VERSION), 0x01050014);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(reset_values_are_those_of_the_manual),
        T(registers_keep_their_writable_bits_only),
        T(read_only_registers_ignore_writes),
        T(a_register_that_is_not_there_sets_the_illegal_address_bit),
        T(peek_of_a_missing_register_raises_no_error),
        T(narrow_accesses_read_bytes_and_write_nothing),
        T(fixed_interrupt_goes_irr_isr_eoi),
        T(only_a_higher_class_interrupts_a_handler),
        T(tpr_holds_back_its_class_and_lower),
        T(an_acknowledge_that_comes_too_late_gives_the_spurious_vector),
        T(cr8_is_the_upper_half_of_tpr),
        T(apr_is_the_highest_class_of_all),
        T(vectors_below_16_are_refused_with_an_error),
        T(an_error_interrupts_once_until_esr_is_written),
        T(an_illegal_vector_in_the_error_entry_does_not_recurse),
        T(software_disable_masks_the_lvt_and_takes_no_vectors),
        T(level_interrupts_broadcast_their_eoi),
        T(eoi_broadcast_can_be_suppressed),
        T(eoi_with_nothing_in_service_does_nothing),
        T(intr_is_driven_on_changes_only),
        T(lint0_in_extint_mode_takes_the_vector_from_the_pic),
        T(extint_ignores_priority_and_the_mask_stops_it),
        T(lint1_takes_extint_as_well),
        T(a_disabled_apic_passes_the_pins_on),
        T(lint1_in_nmi_mode_acts_on_the_rising_edge),
        T(reserved_modes_of_an_entry_deliver_nothing),
        T(lint1_in_init_mode_resets_the_cpu_but_for_its_apic_base),
        T(a_fixed_level_pin_waits_for_its_eoi),
        T(every_field_is_saved),
        T(impossible_states_are_rejected),
        T(loading_moves_the_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
