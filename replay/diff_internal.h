/* SPDX-License-Identifier: MIT */
/* What the files of the comparison share: what is asked and found (diff.c), moving and searching
 * (diff_search.c), what a place looks like (diff_place.c). */
#ifndef REPLAY_DIFF_INTERNAL_H
#define REPLAY_DIFF_INTERNAL_H

#include <replay/diff.h>

#include "pair.h"

/* What a machine tells while it makes a move that is to be described. */
struct diff_listener {
    bool listening;
    size_t n;
    char happened[DIFF_HAPPENINGS][DIFF_TEXT];
};

struct diff {
    struct diff_options options;
    struct trace_reader *reader[2];
    struct trace_diff *events;
    struct pair pair;
    bool paired;           /* `pair` is to be closed */
    bool comparable;       /* ... and used */
    struct state_diff *state;
    struct diff_listener listener[2];
    struct diff_result result;
    struct state_counts counts; /* of the last comparison */
    uint64_t limit;        /* neither side goes further: an end, or a divergence */
    uint64_t base_icount;  /* of the first difference, from where rows are counted */
    bool interrupted;
    char error[512];       /* empty: none */
};

/* A property of where both stand: other things differ than before, or they will execute different instructions. */
struct diff_search {
    bool flow;
    uint64_t places; /* what differed before (struct state_counts); 0: nothing did */
};

/* --- diff_search.c --- */

/* Both to the moment. False: they are not there, because of an end of
 * all this (diff_stopped()), or because the limit turned out to be before it. */
bool diff_go(struct diff *d, struct moment to);
/* Interrupted, or failed. */
bool diff_stopped(const struct diff *d);
/* Compares the machines where they stand, and says whether it is so. False also when diff_stopped(). */
bool diff_holds(struct diff *d, const struct diff_search *s);

/*
 * It does not hold at `from`, where both stand. Finds the last moment at which it does not, before one at which it
 * does; the moves from `from` on are looked at one by one as far as `window` of them, the others by halving.
 * False: it holds nowhere up to the limit. *exact: no moment before was left out.
 */
bool diff_find(struct diff *d, const struct diff_search *s, struct moment from, uint64_t window,
               struct moment *before, bool *exact);
/* The same where it is known to hold at (to, 0), or in the moves from there to the next instruction. */
bool diff_find_within(struct diff *d, const struct diff_search *s, uint64_t from, uint64_t to,
                      struct moment *before);

/* Fills in the rows up to `icount`. */
void diff_fill_rows(struct diff *d, uint64_t icount);

/* --- diff_place.c --- */

/* Both stood there before the move that is sought; makes it, and describes all of it. */
void diff_describe_place(struct diff *d, struct moment before, struct diff_place *place);
/* Both stand at power-on, and differ. */
void diff_describe_power_on(struct diff *d, struct diff_place *place);

/* Both stand where symbols are worth looking for. */
void diff_look(struct diff *d);

/* Before players run: who is told what the machines do. */
void diff_listen(struct diff *d);

#endif
