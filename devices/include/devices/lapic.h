/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of one CPU: xAPIC and x2APIC. devices/lapic.c says what is modelled.
 *
 *     lapic_init(&l, &(struct lapic_wiring){.clock = ..., .memory = ..., .bus = &apic_bus,
 *                                           .index = 0, .lines = ..., .pic_ack = ...});
 *     lapic_reset(&l);
 */
#ifndef DEVICES_LAPIC_H
#define DEVICES_LAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include <devices/apic_bus.h>
#include <emu/bus.h>
#include <emu/clock.h>
#include <emu/intc.h>
#include <emu/state.h>

/*
 * What the timer counts before its divider: the crystal clock. CPUID leaf 15h gives the same number
 * in ECX (with EBX/EAX = 40/1 for a 1 GHz TSC), leaf 40000010h gives it in kHz in EBX.
 */
#define LAPIC_TIMER_HZ 25000000u

#define LAPIC_BASE_DEFAULT 0xfee00000u
#define LAPIC_PHYS_BITS    40 /* IA32_APIC_BASE bits from here on are reserved */

/* Local vector table, in register order 320h..370h. */
enum lapic_lvt {
    LAPIC_LVT_TIMER,
    LAPIC_LVT_THERMAL,
    LAPIC_LVT_PERF,
    LAPIC_LVT_LINT0,
    LAPIC_LVT_LINT1,
    LAPIC_LVT_ERROR,
    LAPIC_LVT_COUNT
};

struct lapic_wiring {
    struct clock *clock;
    struct bus *memory; /* where the APIC page is claimed */
    struct apic_bus *bus;
    unsigned index; /* CPU number; also the APIC ID. CPU 0 is the BSP */
    struct cpu_lines lines;
    uint8_t (*pic_ack)(void *opaque); /* INTA cycle to the 8259A: its vector */
    void *pic;
};

struct lapic {
    /* saved */
    uint64_t base_msr;       /* IA32_APIC_BASE */
    uint64_t icr;            /* as in x2APIC: destination in bits 63:32 (xAPIC: 63:56) */
    uint64_t timer_start_ns; /* when the count was timer_from */
    uint64_t tsc_deadline;   /* IA32_TSC_DEADLINE; 0: not armed */
    uint32_t timer_initial;
    uint32_t timer_from; /* 0: the counter stands at 0 */
    uint32_t timer_divide;
    uint32_t tpr;
    uint32_t ldr; /* xAPIC's; in x2APIC mode it follows from the ID */
    uint32_t dfr;
    uint32_t svr;
    uint32_t esr;         /* what a read shows */
    uint32_t esr_pending; /* errors since ESR was written */
    uint32_t lvt[LAPIC_LVT_COUNT];
    uint32_t isr[8];
    uint32_t tmr[8];
    uint32_t irr[8];
    bool lint[2]; /* level at the pins */
    bool extint;  /* an ExtINT message was accepted, not yet acknowledged */
    bool intr;    /* level driven on the CPU's INTR */

    /* wiring */
    struct lapic_wiring wiring;
    struct bus_range range;
    struct timer timer;
    uint64_t oddities; /* accesses and messages that mean nothing here */
};

extern const struct state_desc lapic_desc;
extern const struct intc_ops lapic_intc_ops; /* opaque: struct lapic */

/* Claims the APIC page (once lapic_reset ran) and joins the APIC bus. */
void lapic_init(struct lapic *l, const struct lapic_wiring *wiring);

/*
 * Power-on state, but for LINT0 of CPU 0, which is left as PC firmware leaves it: ExtINT, unmasked,
 * so that the 8259A works before a kernel knows of APICs (virtual wire mode).
 */
void lapic_reset(void *lapic);

/* Accepts one interrupt message. False when this APIC does not take it. */
bool lapic_deliver(struct lapic *l, enum apic_mode mode, uint8_t vector, bool level);

/* Drives LINT0 (the 8259A's INT output) or LINT1 (NMI). */
void lapic_set_lint(struct lapic *l, unsigned pin, bool level);

/* Whether a message is for this APIC. */
bool lapic_matches(const struct lapic *l, const struct apic_message *msg);

/* Enabled by IA32_APIC_BASE and by SVR: fixed and lowest-priority messages are accepted. */
bool lapic_takes_vectors(const struct lapic *l);

/* Processor priority (PPR), for lowest-priority arbitration. */
uint8_t lapic_ppr(const struct lapic *l);

/* The TSC was written: what waits for a TSC value waits for another moment now. */
void lapic_tsc_changed(struct lapic *l);

/* Claims the APIC page at IA32_APIC_BASE; see apic_bus_remap. */
void lapic_remap(struct lapic *l);

#endif
