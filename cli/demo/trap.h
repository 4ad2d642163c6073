/* SPDX-License-Identifier: MIT */
/* Exceptions and interrupts. */
#ifndef DEMO_TRAP_H
#define DEMO_TRAP_H

#include <stdint.h>

#define VECTOR_IRQ0 32u
#define VECTORS     48u
#define EXC_UD      6u
#define EXC_DF      8u
#define EXC_PF      14u

#define IRQ_TIMER  0u
#define IRQ_SERIAL 4u

#define TIMER_HZ 1000u

/* What the stubs of trap.S leave on the stack. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

/* GDT, TSS and IDT; no interrupt comes before irq_enable. */
void trap_init(void);

/* 8259A pair at vectors 32 and up, all masked; 8254 channel 0 at TIMER_HZ. */
void irq_init(void);
void irq_enable(unsigned irq, void (*handler)(void));
/* Serves one, and lets the controller send the next. */
void irq_dispatch(unsigned irq);

#endif
