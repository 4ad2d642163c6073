/* SPDX-License-Identifier: MIT */
/*
 * A FIFO between an interrupt handler and the main line, one of whose places forgets to disable interrupts.
 *
 * The timer's handler puts a sample in at each tick. The main line takes out what there is after each eighth,
 * and before that drops the samples that are too weak to be worth it. How many wait is in fifo_level, which both
 * sides change. fifo_take does so with interrupts off. fifo_drop_weak does not.
 *
 * On hardware an interrupt may come between any two instructions while RFLAGS.IF is set. One that comes after
 * fifo_drop_weak has read fifo_level and before it has written it back has its increment overwritten. That
 * takes half a microsecond, right behind a tick, when the next is a millisecond away: only a tick that is late
 * or early hits it. From then on the FIFO says that it holds fewer samples than it does, until the audit
 * counts them.
 *
 * Passes when ticks come every millisecond.
 */
#include <stdbool.h>
#include <stdint.h>

#include "console.h"
#include "cpu.h"
#include "panic.h"
#include "trap.h"

#define SLOTS        64u
#define BATCHES      200u
#define BATCH_TICKS  8u
#define AUDIT_EVERY  20u
#define WORK_ON_TICK 100u
#define WORK_ON_TAKE 600u
#define WORK_ON_LOOK 8u

/* Put in less taken out is what waits; fifo_level says so too, to spare both sides the subtraction. */
volatile uint32_t fifo_put, fifo_taken, fifo_level;
static volatile uint32_t slots[SLOTS];

static volatile uint32_t lost; /* came while the FIFO was full */
static uint32_t weak, digest;

void kernel_main(uint32_t magic, uint32_t info);

static uint32_t filter(uint32_t sample, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++)
        sample = (sample ^ i) * 0x01000193u;
    return sample;
}

/* --- the handler's side --- */

static void fifo_add(uint32_t sample)
{
    if (fifo_level == SLOTS) {
        lost++;
        return;
    }
    slots[fifo_put % SLOTS] = sample;
    fifo_put++;
    fifo_level++;
}

static void on_tick(void)
{
    fifo_add(filter(fifo_put, WORK_ON_TICK));
}

/* --- the main line's side --- */

static bool fifo_take(uint32_t *sample)
{
    uint64_t flags = interrupts_off();
    bool some = fifo_level != 0;

    if (some) {
        *sample = slots[fifo_taken % SLOTS];
        fifo_taken++;
        fifo_level--;
    }
    interrupts_restore(flags);
    return some;
}

static uint32_t strength(uint32_t place)
{
    return filter(slots[place % SLOTS], WORK_ON_LOOK) >> 16;
}

/* How many of the `waiting` samples come before the first that is half as strong as the strongest. */
static uint32_t count_weak(uint32_t waiting)
{
    uint32_t peak = 0, count = 0;

    for (uint32_t i = 0; i < waiting; i++)
        if (strength(fifo_taken + i) > peak)
            peak = strength(fifo_taken + i);
    while (count < waiting && strength(fifo_taken + count) < peak / 2)
        count++;
    return count;
}

/* The bug: interrupts are on from the read of fifo_level to the write. */
static void fifo_drop_weak(void)
{
    uint32_t waiting = fifo_level;
    uint32_t count = count_weak(waiting);

    fifo_taken += count;
    fifo_level = waiting - count;
    weak += count;
}

static void fifo_audit(void)
{
    uint64_t flags = interrupts_off();
    uint32_t waiting = fifo_put - fifo_taken;

    if (fifo_level != waiting)
        panic("BUG: the FIFO says that %u samples wait, but %u do", fifo_level, waiting);
    interrupts_restore(flags);
}

static void do_batch(unsigned batch)
{
    uint32_t sample;

    for (unsigned i = 0; i < BATCH_TICKS; i++)
        wait_for_interrupt();
    fifo_drop_weak();
    while (fifo_take(&sample))
        digest ^= filter(sample, WORK_ON_TAKE);
    if (batch % AUDIT_EVERY == 0)
        fifo_audit();
}

void kernel_main(uint32_t magic, uint32_t info)
{
    console_init();
    panic_find_symbols(magic, info);
    trap_init();
    irq_init();
    irq_enable(IRQ_TIMER, on_tick);
    print("fifo: %u batches\n", BATCHES);
    for (unsigned batch = 1; batch <= BATCHES; batch++)
        do_batch(batch);
    interrupts_off();
    print("fifo: passed, %u samples, %u weak, %u lost, digest %08x\n", fifo_put, weak, lost, digest);
    power_off();
}
