/* SPDX-License-Identifier: MIT */
/* CPUID, MSRs, time and randomness, as system instructions use them. */
#ifndef EMU_CPU_SYSTEM_H
#define EMU_CPU_SYSTEM_H

#include "exception.h"

#define TSC_HZ     1000000000u /* one count per nanosecond of virtual time */
#define CRYSTAL_HZ 25000000u   /* also what the local APIC's timer counts */

/* CPUID of EAX, ECX into the four registers. */
void cpu_cpuid(struct cpu *cpu);

/* 0, or -1: #GP(0). clock->icount must be exact. */
int msr_read(struct cpu *cpu, uint32_t msr, uint64_t *value);
int msr_write(struct cpu *cpu, uint32_t msr, uint64_t value);

/* The next 64 bits of RDRAND. */
uint64_t cpu_random(struct cpu *cpu);
void cpu_seed_random(struct cpu *cpu, uint64_t seed);

/* Control registers with all checks; they raise #GP(0). */
void cr0_write(struct cpu *cpu, uint64_t value);
void cr3_write(struct cpu *cpu, uint64_t value);
void cr4_write(struct cpu *cpu, uint64_t value);

#endif
