/* SPDX-License-Identifier: MIT */
/*
 * A machine small enough to know by heart, for the tests of recorder and player: the real CPU, a
 * periodic timer (vector 20h), a serial line (vector 21h), and ports to reset, power off and exit.
 * Its guest is tiny_guest.S.
 *
 * And a live source for it, scripted: what comes when.
 */
#ifndef TINY_MACHINE_H
#define TINY_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/machine.h>

#define TINY_TIMER_NS   10000u
#define TINY_EXIT_CODE  7
#define TINY_OUTPUT_MAX 4096u

extern const uint8_t tiny_guest[], tiny_guest_end[];

/* As recorded. */
extern const struct machine_board tiny_board;
/* The same by name, but departing: the timer is late by 1 ns from its 5th tick on, uses another
 * vector from its 5th tick on, or falls silent after 4 ticks, its clock going on. */
extern const struct machine_board tiny_board_late, tiny_board_other_vector, tiny_board_silent;
/* One of another name. */
extern const struct machine_board tiny_board_other;

struct machine_config tiny_config(void);
/* Fails the test when it cannot be made. */
struct machine *tiny_machine_create(const struct machine_board *board);

/* Comes when both moments are reached and the machine has polled `skip` times more. */
struct script_input {
    uint64_t icount;
    uint64_t vns;
    unsigned skip;
    enum input_kind kind;
    const char *text;
};

struct script {
    const struct script_input *inputs;
    size_t n;
    size_t at;
    unsigned skipped;
    bool ends_run; /* after the last one the source asks the machine to stop */
};
struct input_source script_source(struct script *s);

/* What a machine said on its serial line. */
struct tiny_output {
    char text[TINY_OUTPUT_MAX];
    size_t len;
};
struct machine_observer tiny_output_observer(struct tiny_output *out);

#endif
