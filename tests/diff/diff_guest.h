/* SPDX-License-Identifier: MIT */
/* The emulated CPU's side: a machine with nothing but a CPU and RAM, that runs sequences at CPL 3.
 */
#ifndef DIFF_GUEST_H
#define DIFF_GUEST_H

#include "diff_common.h"

struct cpu;
struct guest;

/* Looks at the CPU before each user instruction of a stepped run. Returns false to end the run
 * there (GUEST_CUT). */
typedef bool guest_step_fn(void *opaque, const struct cpu *cpu);

enum guest_end {
    GUEST_DONE,    /* an exception; the outcome is filled in */
    GUEST_CUT,     /* the step function said so */
    GUEST_RUNAWAY, /* more than GUEST_MAX_INSNS */
    GUEST_BROKEN,  /* triple fault, livelock, or the budget was not kept: `problem` says what */
};
#define GUEST_MAX_INSNS 60000u

/* `code32`: the GDT has a segment for 32-bit code, as the host's has; without, USER_CS32 faults. */
struct guest *guest_create(const uint8_t *template, bool code32);
/* Adds USER_CS16 to the GDT, with CODE_VA as its base. */
void guest_add_code16(struct guest *g);
/* Maps SCRATCH_VA: memory of its own for gen_to_64()'s sequences, no part of outcomes. */
void guest_add_scratch(struct guest *g);
void guest_destroy(struct guest *g);

/* With budgets of `slice` instructions; 0: all of it in one go. *icount: instructions retired from
 * the first of the sequence on. */
enum guest_end guest_run(struct guest *g, const struct seq *seq, unsigned slice,
                         struct outcome *out, uint64_t *icount);
/* Budget of one instruction at a time. */
enum guest_end guest_run_stepped(struct guest *g, const struct seq *seq, struct outcome *out,
                                 uint64_t *icount, guest_step_fn *step, void *opaque);

/* What was wrong after GUEST_BROKEN. */
const char *guest_problem(const struct guest *g);

/* Bytes of the arena as the guest has them now, from `va`; returns how many. */
size_t guest_peek(const struct guest *g, uint64_t va, uint8_t *out, size_t len);

#endif
