/* SPDX-License-Identifier: MIT */
/* Three local APICs on a bus, with CPUs that count what reaches them: what tests of the local APIC share. */
#ifndef TESTS_UNIT_LAPIC_WORLD_H
#define TESTS_UNIT_LAPIC_WORLD_H

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

/* cmocka's: a world after reset, APICs software-disabled; what it leaves must survive being saved. */
int setup(void **state);
int teardown(void **state);

/* Registers as the CPU that bus.accessing names sees them. */
uint32_t rd(struct world *w, unsigned offset);
void wr(struct world *w, unsigned offset, uint32_t value);
/* MSRs are those of CPU 0. */
struct intr_ack ack(struct world *w, unsigned cpu);
int wrmsr(struct world *w, uint32_t msr, uint64_t value);
int rdmsr(struct world *w, uint32_t msr, uint64_t *value);
uint64_t msr_value(struct world *w, uint32_t msr);
/* Software-enabled: the first, or all. */
void enable(struct world *w);
void enable_all(struct world *w);
void enter_x2apic(struct world *w);
bool irr(struct world *w, unsigned cpu, unsigned vector);
void assert_acked(struct world *w, unsigned vector);

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
