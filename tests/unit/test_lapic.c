/* SPDX-License-Identifier: MIT */
/* Local APIC and APIC bus against Intel SDM vol. 3, chapter 11. */
#include "device_test.h"

#include <devices/apic_bus.h>
#include <devices/lapic.h>

#define ID            0x020
#define VERSION       0x030
#define TPR           0x080
#define APR           0x090
#define PPR           0x0a0
#define EOI           0x0b0
#define LDR           0x0d0
#define DFR           0x0e0
#define SVR           0x0f0
#define ISR           0x100
#define TMR           0x180
#define IRR           0x200
#define ESR           0x280
#define ICR           0x300
#define ICR_HIGH      0x310
#define LVT_TIMER     0x320
#define LVT_THERMAL   0x330
#define LVT_PERF      0x340
#define LVT_LINT0     0x350
#define LVT_LINT1     0x360
#define LVT_ERROR     0x370
#define TIMER_INITIAL 0x380
#define TIMER_CURRENT 0x390
#define TIMER_DIVIDE  0x3e0

#define MASKED   0x10000u
#define PERIODIC 0x20000u
#define DEADLINE 0x40000u

#define BASE_MSR     0x1b
#define DEADLINE_MSR 0x6e0
#define X2(reg)      (0x800 + ((reg) >> 4))

#define NCPUS   3
#define TICK_NS 40

struct fake_cpu {
    bool intr;
    unsigned intr_changes;
    unsigned nmis;
    unsigned inits;
    unsigned sipis;
    uint8_t sipi_vector;
    int64_t tsc_offset;
    struct fake_machine *fm;
};

struct world {
    struct fake_machine fm;
    struct apic_bus bus;
    struct lapic lapic[NCPUS];
    struct fake_cpu cpu[NCPUS];
    uint8_t pic_vector;
    unsigned pic_acks;
    unsigned eois;
    uint8_t eoi_vector;
};

static void cpu_set_intr(void *cpu, bool level)
{
    struct fake_cpu *c = cpu;

    c->intr = level;
    c->intr_changes++;
}

static void cpu_nmi(void *cpu)
{
    ((struct fake_cpu *)cpu)->nmis++;
}

static void cpu_init(void *cpu)
{
    ((struct fake_cpu *)cpu)->inits++;
}

static void cpu_sipi(void *cpu, uint8_t vector)
{
    struct fake_cpu *c = cpu;

    c->sipis++;
    c->sipi_vector = vector;
}

static uint64_t cpu_tsc(void *cpu)
{
    struct fake_cpu *c = cpu;

    return fake_now(c->fm) + (uint64_t)c->tsc_offset;
}

static uint64_t cpu_tsc_to_ns(void *cpu, uint64_t tsc)
{
    struct fake_cpu *c = cpu;
    uint64_t ns = tsc - (uint64_t)c->tsc_offset;

    return tsc <= cpu_tsc(cpu) ? fake_now(c->fm) : ns;
}

static uint8_t pic_ack(void *opaque)
{
    struct world *w = opaque;

    w->pic_acks++;
    return w->pic_vector;
}

static void eoi_broadcast(void *opaque, uint8_t vector)
{
    struct world *w = opaque;

    w->eois++;
    w->eoi_vector = vector;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    fake_init(&w->fm);
    apic_bus_init(&w->bus, eoi_broadcast, w);
    for (unsigned i = 0; i < NCPUS; i++) {
        w->cpu[i].fm = &w->fm;
        lapic_init(&w->lapic[i], &(struct lapic_wiring){
                                     .clock = &w->fm.clock,
                                     .memory = &w->fm.memory,
                                     .bus = &w->bus,
                                     .index = i,
                                     .lines = {.cpu = &w->cpu[i],
                                               .set_intr = cpu_set_intr,
                                               .raise_nmi = cpu_nmi,
                                               .raise_init = cpu_init,
                                               .raise_sipi = cpu_sipi,
                                               .tsc = cpu_tsc,
                                               .tsc_to_ns = cpu_tsc_to_ns},
                                     .pic_ack = pic_ack,
                                     .pic = w,
                                 });
    }
    for (unsigned i = 0; i < NCPUS; i++)
        lapic_reset(&w->lapic[i]);
    w->cpu[0].intr_changes = 0;
    w->pic_vector = 0x08;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    for (unsigned i = 0; i < NCPUS; i++)
        assert_state_survives(&lapic_desc, &w->lapic[i]);
    free(w);
    return 0;
}

static uint32_t rd(struct world *w, unsigned offset)
{
    return (uint32_t)bus_read(&w->fm.memory, 0xfee00000 + offset, 4);
}

static void wr(struct world *w, unsigned offset, uint32_t value)
{
    bus_write(&w->fm.memory, 0xfee00000 + offset, value, 4);
    assert_state_survives(&lapic_desc, &w->lapic[w->bus.accessing]);
}

static struct intr_ack ack(struct world *w, unsigned cpu)
{
    return lapic_intc_ops.ack(&w->lapic[cpu]);
}

static int wrmsr(struct world *w, uint32_t msr, uint64_t value)
{
    return lapic_intc_ops.wrmsr(&w->lapic[0], msr, value);
}

static int rdmsr(struct world *w, uint32_t msr, uint64_t *value)
{
    return lapic_intc_ops.rdmsr(&w->lapic[0], msr, value);
}

static uint64_t msr_value(struct world *w, uint32_t msr)
{
    uint64_t value = 0xdead;

    assert_int_equal(rdmsr(w, msr, &value), 0);
    return value;
}

static void enable(struct world *w)
{
    wr(w, SVR, 0x1ff);
}

static void enable_all(struct world *w)
{
    for (unsigned i = 0; i < NCPUS; i++) {
        w->bus.accessing = i;
        wr(w, SVR, 0x1ff);
    }
    w->bus.accessing = 0;
}

static void enter_x2apic(struct world *w)
{
    assert_int_equal(wrmsr(w, BASE_MSR, 0xfee00d00), 0);
}

static bool irr(struct world *w, unsigned cpu, unsigned vector)
{
    return w->lapic[cpu].irr[vector / 32] >> (vector % 32) & 1;
}

static void assert_acked(struct world *w, unsigned vector)
{
    struct intr_ack a = ack(w, 0);

    assert_int_equal(a.vector, vector);
    assert_int_equal(a.source, INTR_SOURCE_LAPIC);
}

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

/* --- timer --- */

static void one_shot_counts_down_and_interrupts_once(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, TIMER_DIVIDE, 0xb); /* by 1 */
    wr(w, LVT_TIMER, 0x30);
    wr(w, TIMER_INITIAL, 100);
    assert_int_equal(rd(w, TIMER_CURRENT), 100);
    fake_advance(&w->fm, 10 * TICK_NS);
    assert_int_equal(rd(w, TIMER_CURRENT), 90);
    fake_advance(&w->fm, TICK_NS - 1);
    assert_int_equal(rd(w, TIMER_CURRENT), 90);
    fake_advance(&w->fm, 1);
    assert_int_equal(rd(w, TIMER_CURRENT), 89);
    fake_advance(&w->fm, 89 * TICK_NS - 1);
    assert_int_equal(rd(w, TIMER_CURRENT), 1);
    assert_false(w->cpu[0].intr);
    fake_advance(&w->fm, 1);
    assert_int_equal(rd(w, TIMER_CURRENT), 0);
    assert_acked(w, 0x30);
    wr(w, EOI, 0);
    fake_advance(&w->fm, 1000 * TICK_NS);
    assert_false(w->cpu[0].intr);
    assert_int_equal(rd(w, TIMER_CURRENT), 0);
    assert_int_equal(rd(w, TIMER_INITIAL), 100);
}

static void divide_configuration_has_eight_values(void **state)
{
    static const struct {
        uint32_t code;
        unsigned by;
    } rows[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {0xa, 128}, {0xb, 1}};
    struct world *w = *state;

    enable(w);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        wr(w, TIMER_DIVIDE, rows[i].code);
        wr(w, TIMER_INITIAL, 1000);
        fake_advance(&w->fm, 7ull * rows[i].by * TICK_NS);
        assert_int_equal(rd(w, TIMER_CURRENT), 993);
        fake_advance(&w->fm, (uint64_t)rows[i].by * TICK_NS - 1);
        assert_int_equal(rd(w, TIMER_CURRENT), 993);
    }
}

static void changing_the_divider_keeps_the_present_count(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, TIMER_DIVIDE, 0xb);
    wr(w, LVT_TIMER, 0x30);
    wr(w, TIMER_INITIAL, 100);
    fake_advance(&w->fm, 60 * TICK_NS);
    wr(w, TIMER_DIVIDE, 0); /* by 2 */
    assert_int_equal(rd(w, TIMER_CURRENT), 40);
    fake_advance(&w->fm, 80 * TICK_NS - 1);
    assert_false(w->cpu[0].intr);
    fake_advance(&w->fm, 1);
    assert_true(w->cpu[0].intr);
}

static void periodic_reloads_without_drift(void **state)
{
    struct world *w = *state;
    uint64_t start = fake_now(&w->fm);

    enable(w);
    wr(w, TIMER_DIVIDE, 0xb);
    wr(w, LVT_TIMER, PERIODIC | 0x30);
    wr(w, TIMER_INITIAL, 25);
    for (unsigned i = 1; i <= 5; i++) {
        fake_run_until(&w->fm, start + i * 25 * TICK_NS - 1);
        assert_false(w->cpu[0].intr);
        fake_run_until(&w->fm, start + i * 25 * TICK_NS);
        clock_run_due(&w->fm.clock);
        assert_int_equal(rd(w, TIMER_CURRENT), 25);
        assert_acked(w, 0x30);
        wr(w, EOI, 0);
    }
    wr(w, TIMER_INITIAL, 0); /* stops it */
    fake_advance(&w->fm, 1000 * TICK_NS);
    assert_false(w->cpu[0].intr);
}

static void a_masked_periodic_timer_runs_on_without_deadlines(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, TIMER_DIVIDE, 0xb);
    wr(w, LVT_TIMER, MASKED | PERIODIC | 0x30);
    wr(w, TIMER_INITIAL, 100);
    assert_true(clock_next_deadline_ns(&w->fm.clock) == CLOCK_NEVER);
    fake_advance(&w->fm, 730 * TICK_NS);
    assert_int_equal(rd(w, TIMER_CURRENT), 70);
    assert_false(w->cpu[0].intr);
    wr(w, LVT_TIMER, PERIODIC | 0x30);
    fake_advance(&w->fm, 70 * TICK_NS - 1);
    assert_false(w->cpu[0].intr);
    fake_advance(&w->fm, 1);
    assert_true(w->cpu[0].intr);
}

static void unmasking_does_not_bring_back_a_masked_expiry(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, TIMER_DIVIDE, 0xb);
    wr(w, LVT_TIMER, MASKED | 0x30);
    wr(w, TIMER_INITIAL, 10);
    fake_advance(&w->fm, 50 * TICK_NS);
    wr(w, LVT_TIMER, 0x30);
    fake_advance(&w->fm, 50 * TICK_NS);
    assert_false(w->cpu[0].intr);
    assert_int_equal(rd(w, TIMER_CURRENT), 0);
}

static void the_count_survives_a_load_in_the_middle(void **state)
{
    struct world *w = *state;
    uint8_t saved[2048];
    size_t size = state_saved_size(&lapic_desc);

    assert_true(size <= sizeof(saved));
    enable(w);
    wr(w, TIMER_DIVIDE, 0xb);
    wr(w, TIMER_INITIAL, 100);
    fake_advance(&w->fm, 30 * TICK_NS);
    state_save(&lapic_desc, &w->lapic[0], saved);
    wr(w, TIMER_INITIAL, 7);
    assert_int_equal(state_load(&lapic_desc, &w->lapic[0], saved, size), 0);
    assert_int_equal(rd(w, TIMER_CURRENT), 70);
}

static void tsc_deadline_fires_at_the_tsc_and_disarms(void **state)
{
    struct world *w = *state;
    uint64_t now = fake_now(&w->fm);

    enable(w);
    assert_int_equal(wrmsr(w, DEADLINE_MSR, now + 500), 0);
    assert_int_equal(msr_value(w, DEADLINE_MSR), 0); /* ignored in another mode */
    wr(w, LVT_TIMER, DEADLINE | 0x39);
    assert_int_equal(wrmsr(w, DEADLINE_MSR, now + 500), 0);
    assert_int_equal(msr_value(w, DEADLINE_MSR), now + 500);
    wr(w, TIMER_INITIAL, 5); /* ignored in this mode */
    assert_int_equal(rd(w, TIMER_INITIAL), 0);
    assert_int_equal(rd(w, TIMER_CURRENT), 0);
    fake_advance(&w->fm, 499);
    assert_false(w->cpu[0].intr);
    fake_advance(&w->fm, 1);
    assert_acked(w, 0x39);
    assert_int_equal(msr_value(w, DEADLINE_MSR), 0);
    wr(w, EOI, 0);
    fake_advance(&w->fm, 10000);
    assert_false(w->cpu[0].intr);
}

static void a_tsc_deadline_in_the_past_fires_at_once(void **state)
{
    struct world *w = *state;

    enable(w);
    fake_advance(&w->fm, 1000);
    wr(w, LVT_TIMER, DEADLINE | 0x39);
    wrmsr(w, DEADLINE_MSR, 1);
    clock_run_due(&w->fm.clock);
    assert_true(w->cpu[0].intr);
}

static void leaving_deadline_mode_or_writing_zero_disarms(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, LVT_TIMER, DEADLINE | 0x39);
    wrmsr(w, DEADLINE_MSR, 500);
    wrmsr(w, DEADLINE_MSR, 0);
    fake_advance(&w->fm, 1000);
    assert_false(w->cpu[0].intr);
    wrmsr(w, DEADLINE_MSR, 5000);
    wr(w, LVT_TIMER, 0x39);
    assert_int_equal(msr_value(w, DEADLINE_MSR), 0);
    fake_advance(&w->fm, 10000);
    assert_false(w->cpu[0].intr);
}

static void a_tsc_deadline_follows_a_written_tsc(void **state)
{
    struct world *w = *state;

    enable(w);
    wr(w, LVT_TIMER, DEADLINE | 0x39);
    wrmsr(w, DEADLINE_MSR, 10000);
    w->cpu[0].tsc_offset = 9000; /* the TSC jumps ahead */
    lapic_intc_ops.tsc_changed(&w->lapic[0]);
    fake_advance(&w->fm, 999);
    assert_false(w->cpu[0].intr);
    fake_advance(&w->fm, 1);
    assert_true(w->cpu[0].intr);
}

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

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
        T(one_shot_counts_down_and_interrupts_once),
        T(divide_configuration_has_eight_values),
        T(changing_the_divider_keeps_the_present_count),
        T(periodic_reloads_without_drift),
        T(a_masked_periodic_timer_runs_on_without_deadlines),
        T(unmasking_does_not_bring_back_a_masked_expiry),
        T(the_count_survives_a_load_in_the_middle),
        T(tsc_deadline_fires_at_the_tsc_and_disarms),
        T(a_tsc_deadline_in_the_past_fires_at_once),
        T(leaving_deadline_mode_or_writing_zero_disarms),
        T(a_tsc_deadline_follows_a_written_tsc),
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
        T(every_field_is_saved),
        T(impossible_states_are_rejected),
        T(loading_moves_the_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
