/* SPDX-License-Identifier: MIT */
/*
 * Perturbed timing: the same guest, with everything that timing decides decided otherwise.
 *
 * A machine whose configuration has a perturbation seed draws, from a generator that is part of its state,
 * where and how its timing differs from the plain machine's. All of it is of four kinds, each of which
 * hardware could do:
 *
 *   skip    virtual time jumps ahead by some ns: timers come early, counted in instructions
 *   timer   it jumps to the next timer interrupt: a preemption at an instruction of our choice
 *   hold    an interrupt that could be taken now is held for some instructions: it comes late
 *   late    a device's timer is put off: its completion comes late, and others before it
 *
 * How often and how much is drawn from the seed too, so that a few seeds try much. Nothing is lost and no
 * interrupt is made up.
 *
 * Each such act can also be said from outside, as an input (INPUT_TIME): a run that was perturbed by a seed and
 * one that gets the same acts as inputs are the same, instruction by instruction and digest by digest. The
 * generator is kept out of digests for that.
 */
#ifndef EMU_PERTURB_H
#define EMU_PERTURB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/clock.h>

enum perturb_kind { PERTURB_SKIP, PERTURB_TIMER, PERTURB_HOLD, PERTURB_LATE, PERTURB_KIND_COUNT };
#define PERTURB_BIT(kind) (1u << (kind))
#define PERTURB_ALL ((1u << PERTURB_KIND_COUNT) - 1)
const char *perturb_kind_name(enum perturb_kind kind); /* "skip", "timer", "hold", "late" */

#define PERTURB_MAX_MEAN (1ULL << 40)

/* Part of a machine's configuration, and of a trace's header. All zero: none. */
struct perturb_config {
    uint64_t seed;        /* 0: none */
    uint64_t from_icount; /* nothing happens before */
    uint32_t kinds;       /* PERTURB_BIT()s; 0: those that the seed chooses */
    uint64_t mean_icount; /* mean number of instructions between two acts; 0: the seed chooses; at most
                           * PERTURB_MAX_MEAN */
};

/* Ports of INPUT_TIME, and their bytes, little-endian. */
enum input_time_port {
    INPUT_TIME_SKIP = 0, /* u64 ns: virtual time jumps ahead by this much */
    INPUT_TIME_HOLD = 1, /* u64 n: no interrupt is taken within the next n instructions, unless the CPU sleeps */
    INPUT_TIME_LATE = 2, /* u32 number of a timer, u64 ns: its deadline, if it is armed, moves by this much */
    INPUT_TIME_PREEMPT = 3, /* u64 ns: virtual time jumps from timer to timer until an interrupt is waiting, a few
                             * timers and so many ns at most */
};

/* The generator's state; emu/machine/perturb.c's. */
struct perturb {
    uint64_t random;
    uint64_t next_icount; /* of the next act but holds; UINT64_MAX: none */
    uint64_t mean;
    uint32_t kinds;
    bool decided;         /* about the interrupt that is waiting */
    uint64_t put_off[CLOCK_MAX_TIMERS]; /* the deadline that a timer was given: once is enough */
};

#endif
