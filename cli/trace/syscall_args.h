/* SPDX-License-Identifier: MIT */
/* Arguments and results of Linux system calls in words. */
#ifndef CLI_TRACE_SYSCALL_ARGS_H
#define CLI_TRACE_SYSCALL_ARGS_H

#include "syscall_table.h"
#include "trace.h"

#define SYSCALL_ARGS 6u

struct syscall_call {
    const struct syscall_row *row; /* NULL: no system call of that number */
    uint64_t number;
    uint64_t args[SYSCALL_ARGS];
    bool is32;
};

/* "openat(AT_FDCWD, "/etc/passwd", O_RDONLY)", by the memory of the caller, who is running. */
void add_syscall(const struct tracer *t, struct text *text, const struct syscall_call *call);
/* How many arguments the table knows of. */
size_t syscall_nargs(const struct syscall_call *call);
/* " = 3", and what was read; the caller is running again. */
void add_syscall_result(const struct tracer *t, struct text *text, const struct syscall_call *call,
                        uint64_t result);

#endif
