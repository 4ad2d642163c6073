/* SPDX-License-Identifier: MIT */
/* A machine's break- and watchpoints, as the engine and the MMU ask for them. See emu/debug.h. */
#ifndef EMU_CPU_DEBUGGER_H
#define EMU_CPU_DEBUGGER_H

#include <emu/debug.h>

#include "inspect.h"
#include "mmu_internal.h"

struct debugger {
    struct debug_point *points; /* all of them, in order of insertion */
    size_t npoints, capacity;
    bool exec_stale, watch_stale; /* points came or went since the last run */
    uint64_t *wanted;           /* addresses of the DEBUG_EXEC ones, ascending, */
    size_t nwanted;             /* with room for `capacity` */
    uint64_t *exec;             /* and as of the last run */
    size_t nexec;
    uint64_t exec_map[PAGE_BYTES / 64]; /* a bit per offset in a page at which some lie */
    bool linear_watch;          /* there is a linear watchpoint */
    struct moment pass;         /* breakpoints of this moment do not stop */
    struct debug_hit hits[DEBUG_MAX_HITS];
    size_t nhits;
    struct inspection inspection;
};

struct debugger *debugger_create(void); /* NULL: out of memory */
void debugger_destroy(struct debugger *d);

/* Before a run: the engine comes to know of the points as they are now. 0, or -1: out of memory. */
int debugger_refresh(struct machine *m);

/* Where an instruction is: its linear address, the moment before it. `op` NULL: the one at cpu->rip, between
 * instructions. */
uint64_t debugger_rip(const struct cpu *cpu, const struct op *op);
struct moment debugger_moment(const struct cpu *cpu, const struct op *op);

/* Whether blocks of this linear page must look before each instruction: for a breakpoint, or the inspector. */
bool debugger_page_has_exec(const struct debugger *d, uint64_t linear);
/* Stops before the instruction at `linear` if it has a breakpoint. `op` NULL: the one at cpu->rip. */
void debugger_check_exec(struct cpu *cpu, const struct op *op, uint64_t linear);
static inline bool debugger_may_stop_at(const struct debugger *d, uint64_t linear)
{
    return d->exec_map[(linear & PAGE_OFFSET_MASK) >> 6] >> (linear & 63) & 1;
}

/* Data. `write` false: a read. */
bool debugger_watches(const struct debugger *d);
unsigned debugger_page_watch(const struct debugger *d, uint64_t page_linear);
bool debugger_overlaps(const struct debugger *d, uint64_t linear, unsigned size, bool write);
void debugger_access(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size,
                     bool write);
/* Whether a store there is a hit. */
/* Addresses below 1 MiB lead to other pages now: those that are watched get their flags. */
void debugger_window_changed(struct machine *m);
bool debugger_overlaps_physical(const struct debugger *d, uint64_t gpa, size_t size);
void debugger_physical_store(struct cpu *cpu, uint64_t gpa, size_t size);
/* `op` NULL: by an entry into a handler, or a load of the processor's own. */
void debugger_physical_load(struct cpu *cpu, const struct op *op, uint64_t gpa, unsigned size);

/* The instruction that made them has faulted. */
void debugger_forget_hits(struct debugger *d);

#endif
