/* SPDX-License-Identifier: MIT */
/*
 * What the files of `deja bisect` share, as far as it is about one run: cmd_bisect.c reads the arguments,
 * bisect_when.c finds the first moment of a lasting condition, bisect_ever.c that of any, bisect_run.c and
 * bisect_prober.c ask a command, bisect_search.c halves, bisect_report.c prints what was found.
 */
#ifndef CLI_BISECT_H
#define CLI_BISECT_H

#include <stdbool.h>
#include <stdint.h>

#include <replay/timeline.h>

struct condition;
struct guest_symbols;

struct bisect_args {
    const char *trace;
    const char *when;        /* --when EXPR, */
    const char *run;         /* --run CMD, */
    const char *gdb_script;  /* or --gdb-script FILE */
    const char *vmlinux, *modules;
    const char *gdb;         /* the program */
    bool first_ever;
    struct moment from, to;  /* --between */
    uint64_t checkpoint_bytes; /* 0: the default */
    uint64_t jobs;           /* 0: all cores */
    bool json, no_sandbox;
};

/* A recording being asked. */
struct bisect {
    const struct bisect_args *args;
    struct timeline *t;
    struct machine *m;
    struct guest_symbols *symbols;
    struct condition *when;
    bool watching, found;    /* a run that stops where the condition holds */
    struct moment last_false; /* on its way */
    uint64_t probes;         /* so far, */
    unsigned probes_left;    /* and about so many more */
};

enum bisect_answer {
    BISECT_FOUND,      /* from `first` on, and not at `before` */
    BISECT_AT_BEGIN,   /* where the search began already: `first` */
    BISECT_NEVER,      /* at no place that was looked at */
    BISECT_NOT_LASTING, /* not at the end, but at `first` */
    BISECT_UNDECIDED,  /* somewhere after `before` and at or before `first`: the command skipped all between */
};
struct bisect_result {
    enum bisect_answer answer;
    struct moment before, first;
    bool never_good, never_bad; /* UNDECIDED: `before`, `first` was skipped too, for nothing better was found */
};

/* Looks for the guest's names where the machine stands, with warnings on standard error. */
void bisect_look(struct bisect *b);
/* EXIT_DONE, or it has been said that seen() cannot be answered. When the end has been reached, or of an index. */
int bisect_output_known(const struct bisect *b);
/* Says what a timeline's status other than THERE and END means; the exit status. */
int bisect_failed(const struct bisect *b, enum timeline_status status);
/* The timeline's `interrupted`; `opaque` is a struct bisect. */
bool bisect_interrupted(void *opaque);
/* Makes b->when of --when: going to the end of the recording where names are known only there. */
int bisect_parse_condition(struct bisect *b);

/* A timeline that this process itself runs. `interrupted` and `opaque` are the timeline's. An exit status. */
int bisect_open(struct bisect *b, bool (*interrupted)(void *opaque), void *opaque);
/* To the last checkpoint, or to the end where there are none: where the guest's kernel is up if it ever is. */
enum timeline_status bisect_go_to_symbols(struct bisect *b);
/* To where the search begins: an exit status. */
int bisect_go_to_begin(struct bisect *b);

/* --run and --gdb-script: all of it, in processes of its own. The exit status. */
int bisect_run(const struct bisect_args *a);

/* The first moment at which the condition holds. An exit status, EXIT_DONE: *result says. */
int bisect_lasting(struct bisect *b, struct bisect_result *result);

/* The same of any condition. It enters the sandbox. */
int bisect_first_ever(struct bisect *b, struct bisect_result *result);

/* --- bisect_search.c --- */

enum bisect_verdict { VERDICT_GOOD, VERDICT_BAD, VERDICT_SKIP, VERDICT_STOP };
/* Judges the moment at which the timeline stands. STOP: the search ends, what was wrong has been said. */
typedef enum bisect_verdict bisect_judge_fn(void *opaque, struct moment at);

/* Between `before`, good, and `first`, bad: the moment at which it turns. An exit status. */
int bisect_halve(struct bisect *b, bisect_judge_fn *judge, void *opaque, struct bisect_result *result);

/* From the moments --between on: all that is known is known by the judge. An exit status. */
int bisect_judged(struct bisect *b, bisect_judge_fn *judge, void *opaque, struct bisect_result *result);

/* --- bisect_report.c --- */

/* Prints what was found. The exit status. */
int bisect_report(struct bisect *b, const struct bisect_result *result);

#endif
