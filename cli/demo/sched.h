/* SPDX-License-Identifier: MIT */
/*
 * Kernel threads: preemptive, round robin, one timer tick each. The thread that boots the kernel
 * becomes the idle thread, which runs when all others sleep.
 */
#ifndef DEMO_SCHED_H
#define DEMO_SCHED_H

#include <stdint.h>

void sched_init(void);
/* `name` is kept by reference. Interrupts are off, or no timer runs yet. */
void thread_create(const char *name, void (*function)(void));
/* The running thread becomes the idle thread; does not return. */
void sched_idle(void);

/* Ticks since the timer was started. */
uint64_t sched_ticks(void);
/* Returns at that tick or later; at once when it has passed. */
void thread_sleep_until(uint64_t tick);

/* --- for reports --- */
const char *thread_name(void);
/* Calls `tell` for each thread: name, where it left off (0: running), and when it wakes. */
void thread_list(void (*tell)(const char *name, uint64_t rip, uint64_t wake_tick));
/* Whether an address range is on some thread's stack. */
int thread_owns_stack(uint64_t begin, uint64_t end);

#endif
