/* SPDX-License-Identifier: MIT */
/*
 * The source of a run's inputs when nobody sits at it: bytes from a file for COM1, and the end of the run.
 *
 * The guest is offered what its receiver has room for; when a text was asked for first, from where it has
 * printed that. The line ends when it has taken the last byte. The run ends (INPUT_STOP) when the guest has printed a text, or has had its time to print a
 * report: after a panic, or after what the hunt looks for.
 *
 * What is offered when follows from the machine alone: the guest is looked at when it sleeps and at multiples of
 * INPUTS_LOOK instructions, wherever else a run is cut. So a run that is repeated, recorded or not, is the same.
 */
#ifndef CLI_HUNT_INPUTS_H
#define CLI_HUNT_INPUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/machine.h>

#include "../grace.h"

#define INPUTS_LOOK 65536u /* divides the recorder's digest interval, so that digests cut nothing apart */

struct failure;
struct output_watch;
struct pattern;

enum inputs_end { INPUTS_NONE, INPUTS_PANIC, INPUTS_FAILURE, INPUTS_TEXT };

struct inputs {
    /* the caller's, constant */
    const uint8_t *input; /* NULL: no inputs, and no end of them either */
    size_t len;
    struct failure *failure;
    bool ignore_panic;

    /* its own */
    struct machine *m;
    struct output_watch *watch;
    bool has_after, has_until;
    size_t at;
    uint64_t last_icount; /* of the last byte */
    bool eof_told;
    uint64_t next_look;
    struct grace panic, failed;
    enum inputs_end end; /* why it ends the run */
    bool end_told;
};

/* `after`: input is held back until the guest has printed it; `until`: it ends the run. NULL: not so. They must
 * outlive it. 0, or -1: out of memory. */
int inputs_init(struct inputs *s, const struct pattern *after, const struct pattern *until);
void inputs_fini(struct inputs *s);

/* A run of `m` begins: becomes its source. */
void inputs_begin(struct inputs *s, struct machine *m);
/* What the guest prints; `port` as in output_lines.h. */
void inputs_output(struct inputs *s, unsigned port, const uint8_t *data, size_t len);

#endif
