/* SPDX-License-Identifier: MIT */
/*
 * A stack that overflows when interrupts nest.
 *
 * The timer's handler runs on a stack of its own, as in many kernels, which lies above other per-CPU data. It takes
 * a while: it writes a record of what it has seen to a buffer on that stack, and works on it. So as not to keep
 * interrupts off for so long, it enables them first. Too early: its own interrupt has been ended by then, and
 * may come again.
 *
 * On hardware the 8259A passes a request of the same priority on as soon as the one before was ended (EOI), and
 * the CPU takes it when RFLAGS.IF is set. With a tick each millisecond and a handler of 150 us that never
 * happens. Where ticks bunch up, one handler is entered on top of the other: a hypervisor that makes up for lost
 * ticks does that, or a handler that was itself held up. There is room for three; the fourth writes over the
 * per-CPU data, which nobody notices before the next tick.
 *
 * Passes when ticks come every millisecond.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "console.h"
#include "cpu.h"
#include "panic.h"
#include "trap.h"

#define TICKS        40u
#define RECORD_WORDS 96u
#define HISTORY      512u
#define STACK_BYTES  4096u
#define STACK_END    0x57ac6e9d57ac6e9dULL
#define WORK         30000u /* rounds: 150 us */

/* The stack grows downwards, into what is declared before it. */
struct per_cpu {
    volatile uint64_t ticks;
    volatile uint64_t history[HISTORY]; /* what the ticks came to; the oldest are overwritten */
    volatile uint64_t stack_end;        /* STACK_END, for ever */
    uint8_t irq_stack[STACK_BYTES] __attribute__((aligned(16)));
};

struct per_cpu per_cpu = {.stack_end = STACK_END};
static volatile unsigned nesting;

void kernel_main(uint32_t magic, uint32_t info);

static uint64_t churn(uint64_t value, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++)
        value = (value ^ i) * 0x100000001b3ULL;
    return value;
}

__attribute__((noinline)) static void write_record(uint64_t *record, uint64_t tick)
{
    for (unsigned i = 0; i < RECORD_WORDS; i++)
        record[i] = tick * RECORD_WORDS + i;
}

static void keep_record(void)
{
    uint64_t record[RECORD_WORDS], tick = per_cpu.ticks++, sum = 0;

    /* The bug: from here on the next tick may come on top of this one. */
    __asm__ volatile("sti" : : : "memory");
    write_record(record, tick);
    for (unsigned i = 0; i < RECORD_WORDS; i++)
        sum += record[i];
    per_cpu.history[tick % HISTORY] = churn(sum, WORK);
    interrupts_off();
}

/* Calls keep_record on the interrupt stack. */
static void call_on_irq_stack(void)
{
    __asm__ volatile("movq %%rsp, %%rbx\n\t"
                     "movq %0, %%rsp\n\t"
                     "call *%1\n\t"
                     "movq %%rbx, %%rsp"
                     :
                     : "r"(per_cpu.irq_stack + STACK_BYTES), "r"(keep_record)
                     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
}

static void check_stack(void)
{
    if (per_cpu.stack_end != STACK_END)
        panic("BUG: the interrupt stack was overrun: its end reads %016lx", per_cpu.stack_end);
}

static void on_tick(void)
{
    check_stack();
    if (nesting++ == 0)
        call_on_irq_stack();
    else
        keep_record();
    nesting--;
}

void kernel_main(uint32_t magic, uint32_t info)
{
    console_init();
    panic_find_symbols(magic, info);
    trap_init();
    irq_init();
    irq_enable(IRQ_TIMER, on_tick);
    print("nest: %u ticks\n", TICKS);
    while (per_cpu.ticks < TICKS) {
        wait_for_interrupt();
        check_stack();
    }
    interrupts_off();
    print("nest: passed, the last tick came to %016lx\n", per_cpu.history[TICKS - 1]);
    power_off();
}
