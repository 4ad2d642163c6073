/* SPDX-License-Identifier: MIT */
/*
 * What a CPU and its local interrupt controller say to each other.
 *
 * The controller drives the CPU's INTR, NMI, INIT and SIPI lines through `struct cpu_lines`, which
 * the CPU fills in; the CPU acknowledges interrupts, reads and writes the task priority (CR8) and the
 * controller's MSRs through `struct intc_ops`, which the controller fills in.
 */
#ifndef EMU_INTC_H
#define EMU_INTC_H

#include <stdbool.h>
#include <stdint.h>

/* Where an acknowledged interrupt came from; written to traces, so the values are for ever. */
enum intr_source {
    INTR_SOURCE_LAPIC = 0,   /* IRR of the local APIC: I/O APIC, IPI or a local vector */
    INTR_SOURCE_PIC = 1,     /* 8259A, through LINT0 in ExtINT mode or with the APIC disabled */
    INTR_SOURCE_NMI = 2,
    INTR_SOURCE_COUNT
};

struct intr_ack {
    uint8_t vector;
    uint8_t source; /* enum intr_source */
};

struct intc_ops {
    /*
     * The CPU takes the interrupt that INTR announced. Always yields a vector: the spurious one of
     * the controller if the cause is gone.
     */
    struct intr_ack (*ack)(void *opaque);
    /* Task priority as CR8 sees it: bits 7:4 of TPR, in 0..15. */
    uint8_t (*get_cr8)(void *opaque);
    void (*set_cr8)(void *opaque, uint8_t cr8);
    /* IA32_APIC_BASE (1Bh), IA32_TSC_DEADLINE (6E0h), x2APIC (800h..83Fh). 0, or -1: #GP(0). */
    int (*rdmsr)(void *opaque, uint32_t msr, uint64_t *value);
    int (*wrmsr)(void *opaque, uint32_t msr, uint64_t value);
    /* CPUID.1:EDX[9] and CPUID.1:ECX[21] as IA32_APIC_BASE has them now. */
    bool (*enabled)(void *opaque);
    /* Whether a device may yet cause an NMI or INIT, which end HLT with IF clear, too. NULL: never. */
    bool (*nmi_expected)(void *opaque);
    /* The guest wrote the TSC or IA32_TSC_ADJUST: a TSC deadline falls on another moment now. NULL:
     * the controller has none. */
    void (*tsc_changed)(void *opaque);
};

/* Filled in by the CPU; called by its interrupt controller. */
struct cpu_lines {
    void *cpu;
    void (*set_intr)(void *cpu, bool level);
    void (*raise_nmi)(void *cpu);            /* edge */
    void (*raise_init)(void *cpu);           /* edge */
    void (*raise_sipi)(void *cpu, uint8_t vector);
    uint64_t (*tsc)(void *cpu);              /* the CPU's TSC now, IA32_TSC_ADJUST included */
    uint64_t (*tsc_to_ns)(void *cpu, uint64_t tsc); /* first vns at which TSC >= tsc; CLOCK_NEVER-1 caps */
};

#endif
