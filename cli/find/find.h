/* SPDX-License-Identifier: MIT */
/*
 * `deja find`, inside.
 *
 *     args.c      the command line: what is looked for (selectors), which of it counts (filters)
 *     events.c    names of events
 *     names.c     addresses of symbols
 *     scout.c     opening the trace with what must be known before
 *     plan.c      where hits can be
 *     worker.c    running a segment with all selectors armed
 *     print.c     hits in text and JSON
 *     cmd_find.c  the order of it all
 *
 * Whoever runs a segment makes a struct find_hit of each moment that counts; it is printed by the process that the
 * user started.
 */
#ifndef CLI_FIND_FIND_H
#define CLI_FIND_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/debug.h>
#include <emu/watch.h>
#include <replay/scan.h>

#include "../query.h"

#define FIND_MAX_SELECTORS 64u

struct guest_symbols;
struct pattern;

/* --- what is looked for --- */

enum selector_kind { SELECT_EXEC, SELECT_MEMORY, SELECT_OUTPUT, SELECT_EVENT };

struct selector {
    enum selector_kind kind;
    const char *text;         /* as given */
    struct place place;       /* EXEC, MEMORY: once resolved, without a symbol */
    bool reads, writes;       /* MEMORY */
    struct pattern *pattern;  /* OUTPUT */
    uint32_t kinds;           /* EVENT: WATCH_BIT()s, */
    bool inputs;              /* or inputs */
    bool ranged;
    uint64_t first, last;     /* numbers that count: of ports, vectors, ... */
};

/* Which values count. */
enum value_test { VALUE_ANY, VALUE_EQUAL, VALUE_UNEQUAL, VALUE_LESS, VALUE_GREATER, VALUE_AT_MOST, VALUE_AT_LEAST, VALUE_BITS };

struct find_args {
    struct query_options query;
    const char *trace;
    struct selector selectors[FIND_MAX_SELECTORS];
    size_t n;
    enum scan_order order;
    enum value_test test;
    uint64_t value;
    bool negative;            /* --value -1: of as many bits as what it is compared with */
    bool have_cr3, have_cpl;
    uint64_t cr3, cpl;
};

/* EXIT_DONE, or an exit status after the error was printed. */
int find_args_parse(struct find_args *a, int argc, char **argv);
void find_args_free(struct find_args *a);

bool find_value_counts(const struct find_args *a, uint64_t value, unsigned size);
bool find_state_counts(const struct find_args *a, uint64_t cr3, unsigned cpl);

/* --- events.c --- */

/* "irq=14", "input", "io=3f8-3ff", ...: fills an EVENT selector. False with one line in `err`. */
bool find_event_parse(const char *text, struct selector *s, char *err, size_t errlen);
/* Of those that find_event_parse() knows, for messages. */
const char *find_event_names(void);
/* Whether an event is one that the selector looks for; `number` is what its range is about. */
bool find_event_counts(const struct selector *s, enum watch_kind kind, uint64_t number, unsigned size);
/* "io", "msr", ... for JSON. */
const char *find_event_name(enum watch_kind kind);

/* --- what was found --- */

enum hit_what { HIT_EXEC, HIT_READ, HIT_WRITE, HIT_UPDATE, HIT_OUTPUT, HIT_INPUT, HIT_EVENT };

struct find_hit {
    struct moment at;
    uint64_t vns, rip, cr3;
    uint64_t address;       /* first byte accessed; of an event, its number */
    uint64_t size;          /* bytes accessed */
    uint64_t before, after; /* value_size bytes of memory; of an event, its value is `after` */
    uint64_t extra;         /* of an event */
    uint64_t line;          /* OUTPUT: of the output log */
    uint32_t what, cpl, kind; /* enum hit_what; enum watch_kind */
    uint32_t value_size;    /* 0: no value */
    bool physical, have_before, have_after;
    char text[224];         /* INPUT: in words */
};

/* --- names.c --- */

struct find_names;
/* In memory that later children share. NULL: out of memory. */
struct find_names *find_names_create(void);
void find_names_destroy(struct find_names *n); /* NULL is fine */
/* Whether there are selectors whose symbols have no address yet. */
bool find_needs_names(const struct find_args *a);
/* Looks up their addresses; true: all are known. */
bool find_names_resolve(struct find_names *n, const struct find_args *a, const struct guest_symbols *symbols);
bool find_names_known(const struct find_names *n);
/* Says which one there is not. An exit status. */
int find_names_missing(struct find_names *n, const struct find_args *a, const struct guest_symbols *symbols);
/* Nothing more will become known: whoever waits may go on. */
void find_names_tell(struct find_names *n);
/* Waits for that, and gives the selectors their addresses. False: there are not all. */
bool find_names_take(struct find_names *n, struct find_args *a);

/* --- scout.c --- */

/*
 * Opens the trace so that what the selectors need is known, or will be at its end, which an index makes near: all
 * output, if some is to be found, and symbols. An exit status; *t is the timeline, or NULL.
 */
int find_open(struct find_args *a, struct find_names *names, struct timeline **t);

/* --- plan.c --- */

/* What is known before anything is run: when output is sent, and when there are interrupts and inputs. Ascending. */
struct find_output {
    uint64_t icount;
    size_t line;
};
struct find_plan {
    struct find_output *outputs;
    size_t noutputs;
    uint64_t *events;
    size_t nevents;
    bool everywhere;        /* there is something to look for that is not among them */
};

/* What can be said in advance of where hits are. An exit status. */
int find_plan(const struct find_args *a, const struct timeline *t, struct find_plan *plan);
void find_plan_free(struct find_plan *plan);
/* Whether there may be hits at these moments, */
bool find_plan_wants(const struct find_plan *plan, const struct scan_segment *s);
/* and the last icount at which there may be one. */
uint64_t find_plan_last(const struct find_plan *plan);

/* --- worker.c --- */

struct find_run {
    struct find_args *args;
    struct find_names *names;
    const struct find_plan *plan;
    /* while a segment is run: */
    struct scan_worker *worker;
    struct machine *m;
    size_t next;            /* in plan->outputs */
    struct watch_event port; /* the last write to a port */
    struct find_hit last;   /* SCAN_LAST */
    bool any;
};

/* Goes through a segment, as scan_options.run does. */
enum timeline_status find_segment(struct find_run *r, struct scan_worker *w, const struct scan_segment *s);

/* --- print.c --- */

struct find_printer {
    bool json;
    const struct guest_symbols *symbols; /* NULL: none */
    const struct timeline *t;            /* its output */
};
void find_print(const struct find_printer *p, const struct find_hit *hit);

#endif
