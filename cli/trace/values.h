/* SPDX-License-Identifier: MIT */
/* Values of a guest in words: addresses, numbers, strings in its memory, names of errors. */
#ifndef CLI_TRACE_VALUES_H
#define CLI_TRACE_VALUES_H

#include "trace.h"

#define SYMBOL_TEXT  256u /* room for a name and its offset */
#define STRING_SHOWN 32u  /* bytes of a string that are shown */

/* "do_idle+0x12"; false: no symbol is there. */
bool symbol_of(const struct tracer *t, uint64_t address, char *out, size_t len);
/* The symbol, or the address. */
void add_code(const struct tracer *t, struct text *text, uint64_t address);

/* "ENOENT" of 2, the kernel's own such as ERESTARTSYS included; NULL: it is none. */
const char *errno_name(uint64_t number);
/* Whether a value of `bytes` bytes is an error as the kernel returns it, -4095 to -1: its number. */
bool is_error(uint64_t value, unsigned bytes, uint64_t *number);

/* NULL, or hexadecimal. */
void add_pointer(struct text *text, uint64_t address);
/* "-2 ENOENT", "3" */
void add_result(struct text *text, uint64_t value, unsigned bytes);
/* Bytes of the guest's memory as a string literal, the first STRING_SHOWN of them and "..."; the address where
 * they cannot be read. */
void add_buffer(const struct tracer *t, struct text *text, uint64_t address, uint64_t len);
/* The same up to a '\0'. */
void add_string(const struct tracer *t, struct text *text, uint64_t address);

/* "in 12,345"; and how long it slept, if it did. */
void add_duration(const struct tracer *t, struct text *text, const struct stamp *from, const struct stamp *to);

#endif
