/* SPDX-License-Identifier: MIT */
/* Calls of traced functions: what functions.c finds at entries, frames.c pairs with returns. */
#ifndef CLI_TRACE_CALLS_H
#define CLI_TRACE_CALLS_H

#include <symbols/btf.h>

#include "trace.h"

#define MAX_FORMAT 12u
_Static_assert(MAX_FORMAT == BTF_MAX_PARAMS, "arguments by letters and by types have room in the same array");

/* Whether a function's code holds a jump to its own first instruction. */
enum loops { LOOPS_UNKNOWN, LOOPS_NO, LOOPS_YES };

struct function {
    uint64_t address, size;       /* size 0: not known */
    const char *name;             /* the symbol table's, or function's own */
    const char *format;           /* a letter an argument, as the user asked; NULL: by type, or all */
    size_t nformat;
    struct btf_prototype *types;  /* NULL: not known */
    enum loops loops;
};

/* How a function came to run. */
enum entered {
    BY_CALL,  /* returns to the address on the stack */
    BY_TAIL,  /* jumped to in the end of one that is waiting, and returns with it */
    BY_EVENT, /* as the handler of an interrupt, exception or system call: returns to what that came from */
    BY_JUMP,  /* otherwise: what is on the stack is no return address */
};

/* Where a handler's event came from. */
struct origin {
    struct moment entered; /* the moment after the event */
    uint64_t rip, rsp, cr3;
    unsigned cpl;
};

/* A call that has not returned. */
struct frame {
    uint64_t id;
    struct stamp at;
    const struct function *function;
    enum entered entered;
    struct origin origin; /* BY_EVENT */
    uint64_t slot;     /* where the return address lies: linear */
    uint64_t pushed;   /* what lies there, */
    uint64_t ret;      /* as a linear address */
    unsigned word;     /* bytes of a word on it */
    unsigned cpl, depth;
};

struct frames;

struct frames *frames_create(void); /* NULL: out of memory */
void frames_destroy(struct frames *f);
/* The machine stands at the entry of `function`, in *frame: false when it is in a loop, or memory ran out
 * (t->failed). `origin`: of the last event. Calls that this one shows to be gone are told. */
bool frames_enter(struct tracer *t, struct frames *f, struct function *function, const struct origin *origin,
                  struct frame *frame);
/* The machine stands where calls return to: ends those that do now. */
void frames_return(struct tracer *t, struct frames *f, uint64_t linear);
/* A far return (WATCH_IRET, WATCH_USER_RETURN): ends the handler of what came from where it leads. */
void frames_far_return(struct tracer *t, struct frames *f, const struct watch_event *ev);
/* The run is over: those that are left are told. */
void frames_end(struct tracer *t, struct frames *f);

/* The linear address of the top of the stack. */
uint64_t stack_top(const struct cpu *cpu);
unsigned stack_word(const struct cpu *cpu);

/* "vfs_read(file=0xffff888003c40000, ..." without what comes behind; args: raw values, as many as are returned. */
size_t add_call(const struct tracer *t, struct text *text, const struct frame *frame, uint64_t *args);
/* " -> 5" */
void add_returned(const struct tracer *t, struct text *text, const struct frame *frame);

#endif
