/* SPDX-License-Identifier: MIT */
/* The system calls of Linux on x86, by number. */
#ifndef CLI_TRACE_SYSCALL_TABLE_H
#define CLI_TRACE_SYSCALL_TABLE_H

#include <stddef.h>
#include <stdint.h>

/*
 * `args` has a letter for each argument:
 *
 *     d int   l long   u unsigned   x hexadecimal   o octal (a mode)   p pointer   s string (a path)
 *     W buffer, as long as the next argument says   V vector of strings   t struct timespec
 *     R buffer for as many bytes as the result says   Z buffer for a string
 *     A folder or AT_FDCWD   O flags of open()   P protection and M flags of mmap()   C flags of clone()
 *     S signal   w whence of lseek()
 */
struct syscall_row {
    const char *name; /* NULL: there is none */
    const char *args;
};

/* NULL: there is none of that number. */
const struct syscall_row *syscall_64(uint64_t number);
/* Of 32-bit programs: INT 80h, SYSENTER. */
const struct syscall_row *syscall_32(uint64_t number);

#endif
