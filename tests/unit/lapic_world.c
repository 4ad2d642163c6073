/* SPDX-License-Identifier: MIT */
/* What tests of the local APIC share: lapic_world.h. */
#include "lapic_world.h"

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

int setup(void **state)
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

int teardown(void **state)
{
    struct world *w = *state;

    for (unsigned i = 0; i < NCPUS; i++)
        assert_state_survives(&lapic_desc, &w->lapic[i]);
    free(w);
    return 0;
}

uint32_t rd(struct world *w, unsigned offset)
{
    return (uint32_t)bus_read(&w->fm.memory, 0xfee00000 + offset, 4);
}

void wr(struct world *w, unsigned offset, uint32_t value)
{
    bus_write(&w->fm.memory, 0xfee00000 + offset, value, 4);
    assert_state_survives(&lapic_desc, &w->lapic[w->bus.accessing]);
}

struct intr_ack ack(struct world *w, unsigned cpu)
{
    return lapic_intc_ops.ack(&w->lapic[cpu]);
}

int wrmsr(struct world *w, uint32_t msr, uint64_t value)
{
    return lapic_intc_ops.wrmsr(&w->lapic[0], msr, value);
}

int rdmsr(struct world *w, uint32_t msr, uint64_t *value)
{
    return lapic_intc_ops.rdmsr(&w->lapic[0], msr, value);
}

uint64_t msr_value(struct world *w, uint32_t msr)
{
    uint64_t value = 0xdead;

    assert_int_equal(rdmsr(w, msr, &value), 0);
    return value;
}

void enable(struct world *w)
{
    wr(w, SVR, 0x1ff);
}

void enable_all(struct world *w)
{
    for (unsigned i = 0; i < NCPUS; i++) {
        w->bus.accessing = i;
        wr(w, SVR, 0x1ff);
    }
    w->bus.accessing = 0;
}

void enter_x2apic(struct world *w)
{
    assert_int_equal(wrmsr(w, BASE_MSR, 0xfee00d00), 0);
}

bool irr(struct world *w, unsigned cpu, unsigned vector)
{
    return w->lapic[cpu].irr[vector / 32] >> (vector % 32) & 1;
}

void assert_acked(struct world *w, unsigned vector)
{
    struct intr_ack a = ack(w, 0);

    assert_int_equal(a.vector, vector);
    assert_int_equal(a.source, INTR_SOURCE_LAPIC);
}
