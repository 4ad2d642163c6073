/* SPDX-License-Identifier: MIT */
/*
 * What came to a run from outside, as a list that can be edited and run again: inputs, and acts upon timing.
 *
 *     struct script s;
 *     script_init(&s);
 *     script_read(&s, player, err, sizeof(err));        // replays it; its perturbation becomes acts
 *     struct script_run run = {.script = &s, .use = use, .limit = ...};
 *     enum machine_stop why = script_play(&run, m);     // a machine like it, without a perturbation seed
 *
 * All of a script gives the run that it was read from, instruction by instruction. With events taken out, added
 * or moved the run becomes another one, in which the moments of the others may not come any more: an event is
 * delivered at the first chance at or after its icount, or, while the CPU sleeps, its virtual time; and an input
 * whose device has no room for it waits.
 */
#ifndef REPLAY_SCRIPT_H
#define REPLAY_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/machine.h>

struct player;

struct script_event {
    enum input_kind kind; /* INPUT_TIME: an act upon timing */
    uint32_t port;
    struct moment at;     /* delivered at */
    uint64_t vns;         /* and at this virtual time */
    const uint8_t *data;  /* the script's; serial inputs are of one byte each */
    size_t len;
};

struct script {
    struct script_event *events;
    size_t n, capacity;
};

void script_init(struct script *s);
void script_fini(struct script *s);
/* Adds a copy at the end. 0, or -1: out of memory. */
int script_add(struct script *s, const struct script_event *e);
/* For an observer's `input` and `perturbed`: adds what the machine gets. */
struct script_collector {
    struct script *script;
    struct machine *m;
    bool failed; /* out of memory: something is missing */
};
void script_collect(void *collector, const struct input *in);
/* Adds what a recorded run got from outside: runs the player, which is at power-on, to its end. 0, or -1 with one
 * line in `err`. */
int script_read(struct script *s, struct player *p, char *err, size_t errlen);

/* Same kind, port and bytes; the moment does not matter. */
bool script_same_content(const struct script_event *a, const struct script_event *b);
/* The same in all. */
bool script_same_event(const struct script_event *a, const struct script_event *b);
/* "serial 0 \"x\"", "hold 120 instructions", ... */
void script_describe(const struct script_event *e, char *out, size_t len);

/* One run. Set the members of the first group; the rest is used while it runs. */
struct script_run {
    const struct script *script; /* events ascending by moment */
    struct moment until;         /* the run is left here; icount 0: it is not */
    uint64_t limit_ns;           /* it ends at this virtual time; 0: never */
    bool no_reboot;              /* a reset ends the run */

    size_t next;
    uint64_t idle_icount;
    uint32_t idle_jumps;
};
/* The source of inputs of such a run, for machine_set_source(). */
struct input_source script_source(struct script_run *run);
/* Runs the machine from where it stands to its end, or on from where it was left: STOP_ICOUNT at run->until,
 * STOP_DEBUG at a debugger's point, STOP_SOURCE where time was up, the CPU sleeps for ever, or somebody asked. */
enum machine_stop script_play(struct script_run *run, struct machine *m);

#endif
