/* SPDX-License-Identifier: MIT */
/* Local APIC against Intel SDM vol. 3, 11.4.3 and 11.12: IA32_APIC_BASE and x2APIC mode. */
#include "lapic_world.h"

/* --- IA32_APIC_BASE and x2APIC --- */

static void the_page_moves_with_the_base(void **state)
{
    struct world *w = *state;

    w->bus.accessing = 0;
    assert_int_equal(wrmsr(w, BASE_MSR, 0x80000900), 0);
    assert_int_equal(bus_read(&w->fm.memory, 0x80000030, 4), 0x01050014);
    assert_int_equal(bus_read(&w->fm.memory, 0xfee00030, 4), 0xffffffff); /* CPU 0 is elsewhere */
    w->bus.accessing = 1;
    assert_int_equal(bus_read(&w->fm.memory, 0xfee00020, 4), 1u << 24);
    w->bus.accessing = 0;
    assert_int_equal(wrmsr(w, BASE_MSR, 0xfee00900), 0);
    assert_int_equal(bus_read(&w->fm.memory, 0xfee00020, 4), 0);
}

static void each_cpu_sees_its_own_page(void **state)
{
    struct world *w = *state;

    for (unsigned i = 0; i < NCPUS; i++) {
        w->bus.accessing = i;
        assert_int_equal(rd(w, ID), i << 24);
    }
    w->bus.accessing = NCPUS; /* nobody's turn */
    assert_int_equal(bus_read(&w->fm.memory, 0xfee00020, 4), 0xffffffff);
    bus_write(&w->fm.memory, 0xfee00080, 0x50, 4);
    w->bus.accessing = 0;
    assert_int_equal(rd(w, TPR), 0);
}

static void base_transitions_follow_the_manual(void **state)
{
    struct world *w = *state;

    assert_int_equal(wrmsr(w, BASE_MSR, 0xfee00500), -1); /* EXTD without EN */
    assert_int_equal(wrmsr(w, BASE_MSR, 1ULL << LAPIC_PHYS_BITS | 0xfee00900), -1);
    assert_int_equal(wrmsr(w, BASE_MSR, 0xfee00901), -1);
    enter_x2apic(w);
    assert_int_equal(wrmsr(w, BASE_MSR, 0xfee00900), -1); /* x2APIC to xAPIC */
    assert_int_equal(wrmsr(w, BASE_MSR, 0xfee00500), -1);
    assert_int_equal(wrmsr(w, BASE_MSR, 0xfee00100), 0);  /* to disabled */
    assert_int_equal(wrmsr(w, BASE_MSR, 0xfee00d00), -1); /* disabled to x2APIC */
    assert_int_equal(wrmsr(w, BASE_MSR, 0xfee00900), 0);
    enter_x2apic(w);
    assert_int_equal(msr_value(w, BASE_MSR), 0xfee00d00);
}

static void disabling_loses_the_registers(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, TPR, 0x20);
    wr(w, LVT_LINT1, 0x400);
    wrmsr(w, BASE_MSR, 0xfee00100);
    assert_int_equal(bus_read(&w->fm.memory, 0xfee00030, 4), 0xffffffff);
    wrmsr(w, BASE_MSR, 0xfee00900);
    assert_int_equal(rd(w, TPR), 0);
    assert_int_equal(rd(w, SVR), 0xff);
    assert_int_equal(rd(w, LVT_LINT1), MASKED);
}

static void x2apic_msrs_exist_in_x2apic_mode_only(void **state)
{
    struct world *w = *state;
    uint64_t value;

    for (uint32_t msr = 0x800; msr < 0x840; msr++) {
        assert_int_equal(rdmsr(w, msr, &value), -1);
        assert_int_equal(wrmsr(w, msr, 0), -1);
    }
    enter_x2apic(w);
    assert_int_equal(bus_read(&w->fm.memory, 0xfee00030, 4), 0xffffffff); /* no page */
    assert_int_equal(msr_value(w, X2(VERSION)), 0x01050014);
}

static void x2apic_registers_are_readable_and_writable_as_listed(void **state)
{
    static const char kinds[] = /* r: read-only, w: write-only, b: both, -: none; 800h on */
        "--rr----b-rw-r-b"      /* 800 */
        "rrrrrrrrrrrrrrrr"      /* 810: ISR, TMR */
        "rrrrrrrrb-------"      /* 820: IRR, ESR */
        "b-bbbbbbbr----bw";     /* 830 */
    struct world *w = *state;
    uint64_t value;

    enter_x2apic(w);
    for (uint32_t i = 0; i < 64; i++) {
        bool readable = kinds[i] == 'r' || kinds[i] == 'b';
        bool writable = kinds[i] == 'w' || kinds[i] == 'b';
        uint64_t legal = i == 0x3f ? 0x20 : 0;

        if ((rdmsr(w, 0x800 + i, &value) == 0) != readable)
            fail_msg("read of MSR %x", 0x800 + i);
        if ((wrmsr(w, 0x800 + i, legal) == 0) != writable)
            fail_msg("write of MSR %x", 0x800 + i);
    }
    assert_int_equal(rdmsr(w, 0x840, &value), -1);
}

static void x2apic_reserved_bits_fault(void **state)
{
    static const struct {
        uint32_t msr;
        uint64_t value;
    } rows[] = {
        {X2(TPR), 0x100},       {X2(EOI), 1},
        {X2(SVR), 0x2000},      {X2(ESR), 1},
        {X2(ICR), 0x100000},    {X2(ICR), 0x2000},
        {X2(LVT_TIMER), 0x400}, {X2(LVT_TIMER), 0x80000},
        {X2(LVT_ERROR), 0x100}, {X2(LVT_PERF), 0x2000},
        {X2(TIMER_DIVIDE), 4},  {X2(TIMER_INITIAL), 1ULL << 32},
        {0x83f, 0x100},         {X2(TPR), 1ULL << 32},
    };
    struct world *w = *state;

    enter_x2apic(w);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(wrmsr(w, rows[i].msr, rows[i].value), -1);
}

static void x2apic_accepts_what_is_defined(void **state)
{
    static const struct {
        uint32_t msr;
        uint64_t value;
        uint64_t kept;
    } rows[] = {
        {X2(TPR), 0xff, 0xff},
        {X2(SVR), 0x13ff, 0x13ff},
        {X2(LVT_TIMER), 0x710ff, 0x700ff}, /* delivery status may be written, and is not kept */
        {X2(LVT_THERMAL), 0x117ff, 0x107ff},
        {X2(LVT_PERF), 0x117ff, 0x107ff},
        {X2(LVT_LINT0), 0x1f7ff, 0x1a7ff},
        {X2(LVT_LINT1), 0x1f7ff, 0x1a7ff},
        {X2(LVT_ERROR), 0x110ff, 0x100ff},
        {X2(TIMER_DIVIDE), 0xb, 0xb},
    };
    struct world *w = *state;

    enable(w);
    enter_x2apic(w);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(wrmsr(w, rows[i].msr, rows[i].value), 0);
        assert_int_equal(msr_value(w, rows[i].msr), rows[i].kept);
    }
}

static void x2apic_id_and_logical_id_follow_from_the_number(void **state)
{
    struct world *w = *state;
    struct lapic *l = &w->lapic[1];
    uint64_t value;

    assert_int_equal(lapic_intc_ops.wrmsr(l, BASE_MSR, 0xfee00c00), 0);
    assert_int_equal(lapic_intc_ops.rdmsr(l, X2(ID), &value), 0);
    assert_int_equal(value, 1);
    assert_int_equal(lapic_intc_ops.rdmsr(l, X2(LDR), &value), 0);
    assert_int_equal(value, 2);
    assert_int_equal(lapic_intc_ops.wrmsr(l, X2(LDR), 5), -1);
}

static void x2apic_icr_sends_with_one_write(void **state)
{
    struct world *w = *state;

    enable_all(w);
    for (unsigned i = 0; i < NCPUS; i++)
        assert_int_equal(lapic_intc_ops.wrmsr(&w->lapic[i], BASE_MSR, 0xfee00c00), 0);
    assert_int_equal(wrmsr(w, X2(ICR), 2ULL << 32 | 0x4071), 0);
    assert_true(irr(w, 2, 0x71));
    assert_false(irr(w, 1, 0x71));
    assert_int_equal(msr_value(w, X2(ICR)), 2ULL << 32 | 0x4071);
    assert_int_equal(wrmsr(w, X2(ICR), 0xffffffffULL << 32 | 0x4072), 0);
    assert_true(irr(w, 0, 0x72) && irr(w, 1, 0x72) && irr(w, 2, 0x72));
    assert_int_equal(wrmsr(w, X2(ICR), 6ULL << 32 | 0x4873), 0); /* logical, cluster 0 */
    assert_false(irr(w, 0, 0x73));
    assert_true(irr(w, 1, 0x73) && irr(w, 2, 0x73));
    assert_int_equal(wrmsr(w, X2(ICR), 0x10001ULL << 32 | 0x4874), 0); /* cluster 1: nobody */
    assert_false(irr(w, 0, 0x74));
}

static void self_ipi_register(void **state)
{
    struct world *w = *state;

    enable(w);
    enter_x2apic(w);
    assert_int_equal(wrmsr(w, 0x83f, 0x88), 0);
    assert_true(irr(w, 0, 0x88));
    assert_false(irr(w, 1, 0x88));
    assert_int_equal(wrmsr(w, 0x83f, 5), 0);
    assert_int_equal(wrmsr(w, X2(ESR), 0), 0);
    assert_int_equal(msr_value(w, X2(ESR)), 0x20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_page_moves_with_the_base),
        T(each_cpu_sees_its_own_page),
        T(base_transitions_follow_the_manual),
        T(disabling_loses_the_registers),
        T(x2apic_msrs_exist_in_x2apic_mode_only),
        T(x2apic_registers_are_readable_and_writable_as_listed),
        T(x2apic_reserved_bits_fault),
        T(x2apic_accepts_what_is_defined),
        T(x2apic_id_and_logical_id_follow_from_the_number),
        T(x2apic_icr_sends_with_one_write),
        T(self_ipi_register),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
