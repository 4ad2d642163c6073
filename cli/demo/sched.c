/* SPDX-License-Identifier: MIT */
/*
 * The scheduler. See sched.h.
 *
 * A thread that is not running has the frame of switch_stack on top of its stack: six saved
 * registers and a return address. A preempted thread has below that the trap frame of the timer's
 * interrupt.
 */
#include "sched.h"

#include <stdbool.h>
#include <stddef.h>

#include "cpu.h"
#include "panic.h"
#include "trap.h"

#define MAX_THREADS 4u
#define STACK_BYTES 8192u
#define IDLE        0u
#define FRAME_WORDS 7u /* r15 r14 r13 r12 rbx rbp, return address */
#define FRAME_RBX   4u
#define FRAME_RIP   6u

struct thread {
    const char *name;
    uint64_t *rsp;      /* while it does not run */
    uint64_t wake_tick; /* runnable from then on */
};

static struct thread threads[MAX_THREADS];
static uint8_t stacks[MAX_THREADS][STACK_BYTES] __attribute__((aligned(16)));
static unsigned nthreads;
static unsigned current;
static volatile uint64_t ticks;

void switch_stack(uint64_t **save_rsp, uint64_t *rsp);
void thread_start(void);

/* The next one in turn that is not asleep; the idle thread when there is none. */
static unsigned pick_next(void)
{
    unsigned i, n;

    for (i = 1; i <= nthreads; i++) {
        n = (current + i) % nthreads;
        if (n != IDLE && threads[n].wake_tick <= ticks)
            return n;
    }
    return IDLE;
}

/* Interrupts are off. */
static void schedule(void)
{
    unsigned previous = current, next = pick_next();

    if (next == previous)
        return;
    current = next;
    switch_stack(&threads[previous].rsp, threads[next].rsp);
}

static void on_tick(void)
{
    ticks++;
    schedule();
}

void sched_init(void)
{
    threads[IDLE].name = "idle";
    nthreads = 1;
    current = IDLE;
    irq_enable(IRQ_TIMER, on_tick);
}

void thread_create(const char *name, void (*function)(void))
{
    struct thread *t = &threads[nthreads];
    uint64_t *top = (uint64_t *)(stacks[nthreads] + STACK_BYTES);

    if (nthreads == MAX_THREADS)
        panic("no room for thread %s", name);
    t->name = name;
    t->rsp = top - FRAME_WORDS - 1; /* thread_start finds the stack aligned for its call */
    t->rsp[FRAME_RBX] = (uint64_t)function;
    t->rsp[FRAME_RIP] = (uint64_t)thread_start;
    nthreads++;
}

void sched_idle(void)
{
    for (;;)
        wait_for_interrupt();
}

uint64_t sched_ticks(void)
{
    return ticks;
}

void thread_sleep_until(uint64_t tick)
{
    uint64_t flags = interrupts_off();

    threads[current].wake_tick = tick;
    if (tick > ticks)
        schedule();
    interrupts_restore(flags);
}

/* --- for reports --- */

const char *thread_name(void)
{
    return nthreads == 0 ? "boot" : threads[current].name;
}

void thread_list(void (*tell)(const char *name, uint64_t rip, uint64_t wake_tick))
{
    for (unsigned i = 0; i < nthreads; i++) {
        uint64_t rip = i == current ? 0 : threads[i].rsp[FRAME_RIP];

        tell(threads[i].name, rip, threads[i].wake_tick);
    }
}

int thread_owns_stack(uint64_t begin, uint64_t end)
{
    return begin >= (uint64_t)stacks && end <= (uint64_t)stacks + sizeof(stacks) && begin <= end;
}
