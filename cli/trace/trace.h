/* SPDX-License-Identifier: MIT */
/*
 * `deja trace`, inside: one object that watches a replay and prints what it sees, and the kinds of records.
 *
 *     functions.c, frames.c   --functions: breakpoints, calls that have not returned
 *     syscalls.c              --syscalls: pairs of entry and return, by task
 *     entries.c               --irqs, --page-faults, --exceptions: entries into handlers, and their IRET
 *     accesses.c              --io, --msrs, --crs
 *     out.c, values.c         lines, JSON, and what goes into them
 *
 * A record is printed when it happens. What has a beginning and an end (a call, a system call, a handler) is
 * printed at its beginning; its end joins the line when nothing came in between, and is a line of its own else.
 */
#ifndef CLI_TRACE_TRACE_H
#define CLI_TRACE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/cpu.h>
#include <emu/machine.h>
#include <emu/watch.h>

#include "../query.h"

struct functions;
struct guest_symbols;
struct syscalls;
struct handlers;

/* --- options --- */

struct address_range {
    uint64_t first, last;
};

#define TRACE_MAX_RANGES 64u

struct trace_options {
    struct query_options query;
    const char *trace, *functions; /* NULL: not given */
    bool syscalls, io, irqs, page_faults, exceptions, msrs, crs;
    struct address_range io_ranges[TRACE_MAX_RANGES];
    size_t io_nranges; /* 0: all */
    bool have_cr3;
    uint64_t cr3;
    bool no_symbols;
};

/* --- who runs --- */

/* Where the guest, if it is Linux, keeps which task runs. */
struct task_layout {
    bool known;
    uint64_t current;          /* in the per-CPU area; or its address */
    bool have_names;
    uint64_t pid, tgid, comm;  /* in struct task_struct */
};

struct process {
    uint64_t cr3;  /* without its flags */
    uint64_t task; /* address of its task_struct; 0: not known */
    bool named;
    uint32_t pid, tgid;
    char comm[17];
};

/* --- output --- */

#define TEXT_MAX 4096u

/* A line that is being made; what does not fit is cut off. */
struct text {
    char data[TEXT_MAX];
    size_t len;
};

struct trace_out {
    bool json;
    bool who_column;
    bool first_field;     /* of the JSON object that is being printed */
    struct text held;     /* a line that its end may yet join */
    uint64_t held_id;     /* of whom; 0: none is held */
};

struct tracer {
    const struct trace_options *options;
    struct machine *m;
    struct cpu *cpu;
    struct guest_symbols *symbols;
    struct task_layout tasks;
    struct trace_out out;
    uint64_t last_id;
    struct functions *functions; /* NULL: not asked for */
    struct syscalls *syscalls;
    struct handlers *handlers;
    bool failed;                 /* out of memory: the run is to stop */
};

/* When something happened, and in whom. */
struct stamp {
    struct moment at;
    uint64_t vns;
    struct process who;
};

struct stamp stamp_of(const struct tracer *t, struct moment at);
/* Behind an instruction that an event is about. */
struct stamp stamp_after(const struct tracer *t, const struct watch_event *ev);
/* Where the machine stands, between two runs. */
struct stamp stamp_now(const struct tracer *t);
/* Whether records of this moment are wanted: --cr3. */
bool is_wanted(const struct tracer *t);

/* The tasks of a Linux guest, once its symbols are known. */
void tasks_find(struct tracer *t);
struct process process_now(const struct tracer *t);

/* --- records --- */

/* A number for what has a beginning and an end. */
static inline uint64_t next_id(struct tracer *t)
{
    return ++t->last_id;
}

__attribute__((format(printf, 2, 3))) void text_add(struct text *text, const char *fmt, ...);

/* "    1.264262", `width` before the point. */
void text_add_seconds(struct text *text, int width, uint64_t ns);

/* Prints a line, or holds it for the end of `id`. 0: there is none. */
void out_line(struct tracer *t, const struct stamp *at, uint64_t id, const struct text *text);
/* The end of `id`: false when its line is printed already. */
bool out_join(struct tracer *t, uint64_t id, const struct text *text);
/* Prints what is held. */
void out_flush(struct tracer *t);

/* JSON: an object a line. Addresses and registers are strings "0x...", counts are numbers. */
void record_begin(struct tracer *t, const struct stamp *at, const char *type);
void record_key(struct tracer *t, const char *name);
void record_number(struct tracer *t, const char *name, uint64_t n);
void record_address(struct tracer *t, const char *name, uint64_t address);
void record_text(struct tracer *t, const char *name, const char *text);
/* "rip", and "symbol" where there is one. */
void record_code(struct tracer *t, const char *name, const char *symbol_name, uint64_t address);
void record_end(struct tracer *t);

/* --- kinds --- */

int functions_create(struct tracer *t, char *err, size_t errlen); /* 0, or -1 with one line */
void functions_destroy(struct functions *f);
/* Breakpoints for the run: how many, and in `out` (NULL: only how many). */
size_t functions_points(const struct functions *f, struct debug_point *out);
/* The machine stands before an instruction that has a breakpoint. */
void functions_hit(struct tracer *t, uint64_t linear);
void functions_event(struct tracer *t, const struct watch_event *ev);
/* No more is to come. */
void functions_end(struct tracer *t);

int syscalls_create(struct tracer *t);
void syscalls_destroy(struct syscalls *s);
void syscalls_event(struct tracer *t, const struct watch_event *ev);
void syscalls_end(struct tracer *t);

int handlers_create(struct tracer *t);
void handlers_destroy(struct handlers *h);
void handlers_event(struct tracer *t, const struct watch_event *ev);

void accesses_event(struct tracer *t, const struct watch_event *ev);

#endif
