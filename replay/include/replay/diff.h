/* SPDX-License-Identifier: MIT */
/*
 * The first difference of two recorded runs, in their events and, replaying both side by side, in state: the
 * first instruction after which registers, memory or devices differ, where the difference spreads, where the
 * control flow parts, and how much differs at a series of moments after that.
 *
 *     struct diff *d = diff_open(paths, &pc_board, &options, err, sizeof(err));
 *     if (diff_will_replay(d))
 *         ... the last chance to give up what running guests is not to have ...
 *     switch (diff_run(d)) { case DIFF_SAME: ... }
 *     ... diff_result(d) ...
 *     diff_close(d);
 *
 * How the first difference is found. A machine is a function of its configuration and its inputs: two of equal
 * configuration cannot differ before the first input that differs, so states are compared there, and at the next
 * such input as long as they are still equal. Where the configuration differs, states are compared at power-on,
 * and if they are equal there, further and further on, and then by halving. Recordings that differ although
 * configuration and inputs are the same come from programs that differ: at most one of them is what this one does,
 * and the replay of the other diverges, which is part of the result.
 */
#ifndef REPLAY_DIFF_H
#define REPLAY_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/debug.h>
#include <replay/player.h>
#include <replay/state_diff.h>
#include <replay/trace_diff.h>

struct diff;
struct machine;
struct machine_board;

struct diff_options {
    size_t struct_size;        /* sizeof(struct diff_options) */
    bool events_only;          /* replay nothing */
    bool force;                /* compare states of machines that have nothing to do with each other, too */
    uint64_t after;            /* how far the first difference is followed, in instructions */
    uint64_t checkpoint_bytes; /* budget of each side; 0: TIMELINE_DEFAULT_BYTES */
    /* As for timelines (replay/timeline.h). */
    bool (*interrupted)(void *opaque);
    void (*progress)(void *opaque, const char *what, uint64_t done, uint64_t total);
    /* A side's machine stands where something is found: a place to look for its symbols. NULL: nobody does. */
    void (*look)(void *opaque, unsigned side, const struct machine *m);
    void *opaque;
};

enum diff_verdict {
    DIFF_SAME,        /* no difference, as far as both recordings go */
    DIFF_DIFFERENT,
    DIFF_INTERRUPTED, /* different; what is known so far is in the result */
    DIFF_ERROR,       /* diff_error() */
};

#define DIFF_PAST  6u /* instructions before a place */
#define DIFF_HAPPENINGS 4u
#define DIFF_TEXT  192u

/* What a CPU is about to execute. */
struct diff_instruction {
    struct moment at;
    uint64_t rip;     /* in its code segment, */
    uint64_t linear;  /* and linear */
    unsigned bits;    /* 16, 32, 64 */
    unsigned nbytes;  /* that could be read there */
    uint8_t bytes[15];
    bool halted;      /* it sleeps, and this is what it will wake up to without a handler */
};

/* One move of both machines. */
struct diff_place {
    bool found;
    bool exact;         /* no earlier moment can be it; else it was found by halving */
    bool power_on;      /* the machines differ before they run: there is no move */
    struct moment before; /* both stood here, the last moment at which it was not so, */
    struct moment after[2]; /* and there after the move: an instruction, or an entry into a handler */
    struct moment at;     /* the earlier of the two */
    struct diff_instruction past[2][DIFF_PAST]; /* the last ones before, oldest first */
    size_t npast;
    struct diff_instruction here[2]; /* at `before` */
    struct diff_instruction next[2]; /* after the move */
    /* Inputs, interrupts and exceptions during the move, in words. */
    char happened[2][DIFF_HAPPENINGS][DIFF_TEXT];
    size_t nhappened[2];
    struct state_difference difference; /* after the move */
};

/* How much differs, so many instructions after the first difference. */
struct diff_row {
    uint64_t after;
    uint64_t icount;
    struct state_counts counts;
    uint64_t bytes;  /* of RAM */
    uint64_t rip[2]; /* linear */
};
#define DIFF_ROWS 24u

/* The first line of output that differs, whenever it was sent. */
struct diff_output {
    bool found;
    unsigned port;        /* 0, 1: COM1, COM2; 2: the debug console */
    uint64_t line;        /* from 1, of those of the port */
    size_t column;        /* from 1: the first byte that differs */
    bool has[2];          /* false: that side printed nothing more */
    uint64_t icount[2];   /* at which its first byte was sent */
    const char *text[2];  /* of any bytes; as long as the diff lives */
    size_t len[2];
};

struct diff_result {
    const struct trace_diff *events;
    bool replayed;        /* states were compared */
    char why_not[256];    /* else: why; empty: there was nothing to look for */
    uint64_t followed_to; /* the icount up to which both were replayed and compared */
    bool ended[2];        /* at which the run of that side had ended */
    uint64_t unpaired_pages; /* of RAM that only one machine has */
    bool diverged[2];     /* that side's replay is not what was recorded: */
    struct player_divergence divergence[2];
    struct diff_place first;  /* the first move after which the states differ */
    struct diff_place spread; /* after that: the first after which something else differs, too */
    struct diff_place parting; /* the first after which the two are about to execute different instructions */
    struct diff_row rows[DIFF_ROWS];
    size_t nrows;
    struct diff_output output;
};

/* Reads the events of both traces, and opens their machines if they are to be compared. NULL with one line in
 * `err`, which names the file. */
struct diff *diff_open(const char *const paths[2], const struct machine_board *board,
                       const struct diff_options *options, char *err, size_t errlen);
void diff_close(struct diff *d); /* NULL is fine */

bool diff_will_replay(const struct diff *d);
enum diff_verdict diff_run(struct diff *d);
const struct diff_result *diff_result(const struct diff *d);
/* The headers, as long as `d` lives. */
const struct trace_header *diff_header(const struct diff *d, unsigned side);
const char *diff_error(const struct diff *d); /* one line, after DIFF_ERROR */

#endif
