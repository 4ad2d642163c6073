/* SPDX-License-Identifier: MIT */
/*
 * What differs between two traces as they are written: configuration, inputs, interrupts, digests, end.
 * Nothing is run.
 *
 *     struct trace_diff *d = trace_diff_create(a, b, err, sizeof(err));
 *     if (trace_diff_same(d)) ...
 *     trace_diff_destroy(d);
 *
 * Events are aligned by icount. Of a recording that is cut off, the events behind the cut are missing and no
 * difference: the two are compared as far as both go.
 */
#ifndef REPLAY_TRACE_DIFF_H
#define REPLAY_TRACE_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <traces/trace.h>

/* What a difference in the header means. */
enum config_effect {
    CONFIG_REMARK,  /* nothing for the run: who wrote the trace, how often it takes digests */
    CONFIG_RUN,     /* another run of a machine that can be compared instruction by instruction */
    CONFIG_MACHINE, /* another machine: other code from the first instruction on, other RAM */
};

struct config_difference {
    char key[80];   /* "cmdline", "seed", "image kernel" */
    char *value[2]; /* text; NULL: there is none */
    bool is_text[2]; /* to be quoted; else a number or the like */
    enum config_effect effect;
};

enum event_relation {
    EVENTS_SAME,        /* all of them, as far as both traces go */
    EVENT_ONLY_IN_A,
    EVENT_ONLY_IN_B,
    EVENT_MOVED,        /* the same event, at another time */
    EVENT_OTHER,        /* another one at the same time: other bytes, another vector */
    EVENT_AFTER_END,    /* the other run had ended before */
};
const char *event_relation_name(enum event_relation relation); /* "same", "only in A", ... */

/* All events of a kind, and the first one that differs. */
struct event_diff {
    uint64_t count[2]; /* in each trace */
    uint64_t same;     /* that come before the first difference */
    enum event_relation relation;
    bool has[2];       /* which side's `ev` there is */
    struct trace_event ev[2]; /* the trace_diff's, bytes included */
};

struct digest_diff {
    uint64_t count[2];
    uint64_t compared;  /* taken at the same icounts in both */
    uint64_t different; /* of these */
    bool any_equal;     /* before the first that differs, */
    uint64_t equal_icount; /* the last of them */
    uint64_t icount;    /* of the first that differs */
    uint64_t digest[2];
};

struct trace_extent {
    bool has_end;
    struct trace_end end;  /* if it has one */
    uint64_t last_icount;  /* of the last event, the end included */
    uint64_t whole_bytes;  /* of a trace without an end: where it is cut off */
};

struct trace_diff {
    struct config_difference *config;
    size_t nconfig;
    bool other_run;     /* the configuration differs by more than remarks */
    bool other_machine; /* ... by another machine */
    struct event_diff inputs, interrupts;
    struct digest_diff digests;
    bool other_end;     /* both have one */
    struct trace_extent extent[2];
    uint64_t common_icount; /* both go as far as this */
    uint64_t *sites;    /* icounts at which inputs differ, ascending, none twice */
    size_t nsites;
    bool more_sites;    /* there are more than are listed */
};

/* Reads both from the beginning. NULL with one line in `err`: which trace (1: the second) is damaged is in
 * *side then, or 2: out of memory. The readers outlive it. */
struct trace_diff *trace_diff_create(struct trace_reader *a, struct trace_reader *b, unsigned *side,
                                     struct trace_error *err);
void trace_diff_destroy(struct trace_diff *d); /* NULL is fine */

/* Nothing but remarks. */
bool trace_diff_same(const struct trace_diff *d);

#endif
