/* SPDX-License-Identifier: MIT */
/*
 * Stopping a machine where somebody wants to look: break- and watchpoints that the guest cannot see,
 * and moments, which are the places between instructions where it can stand.
 *
 *     machine_debug_insert(m, &(struct debug_point){.kind = DEBUG_EXEC, .address = 0x100000, .length = 1});
 *     while (machine_run(m, UINT64_MAX) == STOP_DEBUG) {
 *         hits = machine_debug_hits(m, &n);
 *         ...
 *         machine_debug_pass(m);          // go on past a breakpoint that it stands at
 *     }
 *
 * Nothing here changes what the guest does: no byte of it is written, and a run with stops passes
 * through the same states as one without.
 *
 * A breakpoint stops before its instruction, once for a repeated string instruction (not again for
 * its later iterations, unless the guest came back to it from somewhere else). A watchpoint stops after
 * the instruction, or after the entry into a handler, that did the access; hits of an instruction that
 * faulted are forgotten. Code in pages without breakpoints runs as fast as ever.
 *
 * Linear watchpoints see accesses by that linear address in any address space. Physical ones see every
 * store to those bytes, by whatever address, the page walker's and devices' included, and every load by an
 * instruction or an entry into a handler; not those of the walker and of devices, nor fetches of code.
 */
#ifndef EMU_DEBUG_H
#define EMU_DEBUG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine;

/*
 * A place between two instructions: after `icount` instructions, and after `entries` deliveries of an
 * interrupt or exception (or resets) at that icount. (n, 0) is before an interrupt that comes at n,
 * (n, 1) the first instruction of its handler. Moments are totally ordered.
 */
struct moment {
    uint64_t icount;
    uint32_t entries;
};

static inline bool moment_before(struct moment a, struct moment b)
{
    return a.icount != b.icount ? a.icount < b.icount : a.entries < b.entries;
}
static inline bool moment_equal(struct moment a, struct moment b)
{
    return a.icount == b.icount && a.entries == b.entries;
}

enum debug_kind {
    DEBUG_EXEC,           /* linear address of an instruction (CS base included) */
    DEBUG_WRITE,          /* linear range */
    DEBUG_READ,
    DEBUG_ACCESS,
    DEBUG_WRITE_PHYSICAL, /* range of guest-physical RAM */
    DEBUG_READ_PHYSICAL,
    DEBUG_ACCESS_PHYSICAL,
};

struct debug_point {
    enum debug_kind kind;
    uint64_t address;
    uint64_t length; /* bytes, at least 1, not wrapping around; DEBUG_EXEC: ignored */
};

#define DEBUG_VALUE_BYTES 16

struct debug_hit {
    struct debug_point point; /* as it was inserted */
    struct moment at;         /* of the instruction, before it; of the moment before an entry */
    uint64_t vns;             /* virtual time there */
    uint64_t rip;             /* linear, of that instruction */
    uint64_t address;         /* first byte accessed: linear, or physical */
    uint32_t size;
    unsigned cpl;             /* before it */
    bool read, write;         /* an instruction may do both; `address` and `size` are of its first access */
    uint8_t before[DEBUG_VALUE_BYTES]; /* what the first bytes of the watched range held, */
    uint32_t nbefore;                  /* as many as could be read */
    uint8_t accessed[DEBUG_VALUE_BYTES]; /* the same of the bytes accessed */
    uint32_t naccessed;
};

#define DEBUG_MAX_HITS 8 /* by one instruction; more are not told apart */

/* Where the machine stands. Exact whenever machine_run() has returned. */
struct moment machine_moment(const struct machine *m);

/* 0, or -1: out of memory, or a range that is empty or wraps. Inserting a point twice is fine. */
int machine_debug_insert(struct machine *m, const struct debug_point *point);
/* Removing one that is not there is fine. */
void machine_debug_remove(struct machine *m, const struct debug_point *point);
/* Removes all, and forgets machine_debug_pass(). */
void machine_debug_clear(struct machine *m);

/* What made machine_run() return STOP_DEBUG; until the next run. */
const struct debug_hit *machine_debug_hits(const struct machine *m, size_t *n);
/* A breakpoint at the present moment is not to stop the next run. */
void machine_debug_pass(struct machine *m);
/* Goes on after a hit that is to be ignored: passes it if it is a breakpoint. */
void machine_debug_ignore(struct machine *m);
/* Whether a kind's addresses are guest-physical. */
static inline bool debug_is_physical(enum debug_kind kind)
{
    return kind >= DEBUG_WRITE_PHYSICAL;
}
/* The first bytes of the range of a hit's watchpoint as they are now; how many could be read. */
size_t machine_debug_value(const struct machine *m, const struct debug_point *point,
                           uint8_t out[DEBUG_VALUE_BYTES]);

/*
 * A debugger's changes. They are inputs like others: stamped, told to the observer (so a recording holds
 * them) and delivered, at the boundary where the machine stands. Bytes outside of RAM are an error.
 * 0; or -1: not there, not writable, or not now, because an instruction has just faulted after it had
 * touched a device or the like: where no input is taken (step once and try again).
 */
int machine_debug_write(struct machine *m, uint64_t gpa, const void *data, size_t len);
int machine_debug_set_register(struct machine *m, unsigned cpu, unsigned id, const uint8_t *value);

#endif
