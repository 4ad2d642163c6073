/* SPDX-License-Identifier: MIT */
/* Telling a machine's watcher (emu/watch.h), as the paths do on which events happen. */
#ifndef EMU_CPU_WATCH_H
#define EMU_CPU_WATCH_H

#include <emu/watch.h>

#include "mmu_internal.h"

/* Whether somebody wants to know: all that an unwatched machine pays. */
static inline bool watched(const struct cpu *cpu, enum watch_kind kind)
{
    return unlikely(cpu->machine->watcher.kinds & WATCH_BIT(kind));
}

/* An event at the instruction `op`; NULL: at cpu->rip. Taken before the instruction changes anything, where
 * the event is told after it. */
struct watch_event watch_place(const struct cpu *cpu, const struct op *op);

/* Tells it if it is watched, as `kind`. */
void watch_tell(struct cpu *cpu, struct watch_event *ev, enum watch_kind kind);

/* An access, or an MSR: place and telling in one. */
void watch_access(struct cpu *cpu, const struct op *op, enum watch_kind kind, uint64_t address, uint64_t value,
                  unsigned size);

/* The exception that is noted in exc_*, at cpu->rip. */
void watch_exception(struct cpu *cpu, uint8_t vector, uint64_t error);
void watch_interrupt(struct cpu *cpu, struct intr_ack ack);
/* SYSCALL (0) or SYSENTER (1) is about to happen. */
void watch_syscall(struct cpu *cpu, const struct op *op, unsigned how);
/* A far return from the place in `ev`, done. `how`: enum watch_return. */
void watch_return(struct cpu *cpu, struct watch_event *ev, enum watch_return how);

#endif
