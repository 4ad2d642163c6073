/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables, and where traps go: interrupts to irq.c, exceptions to panic.c. This kernel
 * has no user mode and expects no exception, so each is the end of it.
 */
#include "trap.h"

#include <stddef.h>

#include "cpu.h"
#include "panic.h"

#define CODE_SELECTOR    0x08u
#define TSS_SELECTOR     0x18u
#define STUB_BYTES       16u
#define GATE_INTERRUPT   0x8e00u /* present, DPL 0, 64-bit interrupt gate */
#define IST_DOUBLE_FAULT 1u
#define IST_STACK_BYTES  4096u

struct __attribute__((packed)) table_pointer {
    uint16_t limit;
    uint64_t base;
};

struct __attribute__((packed)) tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map;
};

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint16_t ist;
    uint16_t offset_mid;
    uint32_t offset_high;
    uint32_t reserved;
};

_Static_assert(sizeof(struct tss) == 104, "TSS layout, SDM vol. 3, 8.7");
_Static_assert(sizeof(struct gate) == 16, "gate layout, SDM vol. 3, 6.14.1");

static struct tss tss;
static uint8_t double_fault_stack[IST_STACK_BYTES] __attribute__((aligned(16)));
static struct gate idt[VECTORS];
static uint64_t gdt[5] = {
    0,                  /* 00: null */
    0x00af9b000000ffff, /* 08: code, 64-bit */
    0x00cf93000000ffff, /* 10: data; then 18: TSS, set_tss_descriptor */
};

extern const uint8_t trap_stubs[];
void trap_dispatch(const struct trap_frame *frame);

static void set_tss_descriptor(void)
{
    uint64_t base = (uint64_t)&tss;

    gdt[3] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89ULL << 40 |
             (base >> 24 & 0xff) << 56;
    gdt[4] = base >> 32;
}

static void set_gate(unsigned vector)
{
    uint64_t handler = (uint64_t)trap_stubs + vector * STUB_BYTES;
    unsigned ist = vector == EXC_DF ? IST_DOUBLE_FAULT : 0;

    idt[vector] = (struct gate){
        .offset_low = (uint16_t)handler,
        .selector = CODE_SELECTOR,
        .ist = (uint16_t)(GATE_INTERRUPT | ist),
        .offset_mid = (uint16_t)(handler >> 16),
        .offset_high = (uint32_t)(handler >> 32),
    };
}

void trap_init(void)
{
    struct table_pointer gdt_pointer = {.limit = sizeof(gdt) - 1, .base = (uint64_t)gdt};
    struct table_pointer idt_pointer = {.limit = sizeof(idt) - 1, .base = (uint64_t)idt};

    /* A stack that has run out cannot take the fault that says so: double faults get their own. */
    tss.ist[IST_DOUBLE_FAULT - 1] = (uint64_t)(double_fault_stack + IST_STACK_BYTES);
    tss.io_map = sizeof(tss);
    set_tss_descriptor();
    for (unsigned i = 0; i < VECTORS; i++)
        set_gate(i);
    /* The boot GDT has the same code and data at the same selectors: no segment needs reloading. */
    __asm__ volatile("lgdt %0" : : "m"(gdt_pointer));
    __asm__ volatile("lidt %0" : : "m"(idt_pointer));
    __asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR));
}

void trap_dispatch(const struct trap_frame *frame)
{
    if (frame->vector >= VECTOR_IRQ0)
        irq_dispatch((unsigned)frame->vector - VECTOR_IRQ0);
    else
        panic_trap(frame);
}
