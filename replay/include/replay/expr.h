/* SPDX-License-Identifier: MIT */
/*
 * Conditions about a machine: C expressions over its registers, memory, time and output.
 *
 *     struct expr *e = expr_parse("cpl == 3 && u32[jiffies] > 0x1000", &names, err, sizeof(err));
 *     if (expr_holds(e, m, &view)) ...
 *     expr_destroy(e);
 *
 * Operators and precedence are C's (?: || && | ^ & == != < <= > >= << >> + - * / % unary ! ~ -), values 64-bit
 * and unsigned; s8[] to s64[] are sign-extended, and comparisons are signed when one side is: s(x) makes it so.
 *
 *   123 0x7b 1_000     numbers (and 1,000 is not one)
 *   rax eax ax al ...  registers: gdb's names, and their parts
 *   rip                linear
 *   icount vns cpl     time and privilege; halted: 1 when the CPU sleeps
 *   u8[A] ... u64[A]   memory at virtual address A of the present address space; s8[A] ... signed
 *   u32[phys A]        guest-physical
 *   name &name         address of a symbol; name + 8
 *   seen("TEXT")       the console has printed it; seen(/REGEX/)
 *   x / 0              makes the condition false, as does memory that is not mapped
 *
 * A register's name wins over a symbol's: write &rax for a symbol named rax.
 */
#ifndef REPLAY_EXPR_H
#define REPLAY_EXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct debug_point;
struct expr;
struct machine;
struct pattern;

/* How symbols are found while parsing; NULL function: there are none. */
struct expr_names {
    bool (*find)(void *opaque, const char *name, uint64_t *address);
    void *opaque;
};

/* What is not in the machine, while evaluating; may be NULL when the expression has no seen(). */
struct expr_view {
    /* Whether output matching `p` had been sent before the present moment. */
    bool (*seen)(void *opaque, const struct pattern *p);
    void *opaque;
};

/* NULL with one line in `err`, which names the column and what would be right there. */
struct expr *expr_parse(const char *text, const struct expr_names *names, char *err, size_t errlen);
void expr_destroy(struct expr *e);

/* Whether it holds where the machine stands: its value is not 0. CPU 0. */
bool expr_holds(const struct expr *e, const struct machine *m, const struct expr_view *view);
/* The value itself; false: it has none (memory that is not mapped, division by zero). */
bool expr_value(const struct expr *e, const struct machine *m, const struct expr_view *view, uint64_t *value);

/* What it depends on, as EXPR_USES_ bits: how finely a scan must look. */
enum {
    EXPR_USES_REGISTERS = 1, /* any that ordinary instructions change */
    EXPR_USES_MEMORY = 2,
    EXPR_USES_TIME = 4,      /* icount, vns */
    EXPR_USES_OUTPUT = 8,
    EXPR_USES_CPL = 16,      /* cpl, control registers: change only where blocks of code end */
};
unsigned expr_uses(const struct expr *e);

/*
 * When all memory that it reads is at addresses that do not change (expr_uses() is MEMORY alone): those, as
 * write watchpoints. How many there are; at most `max` are written. 0: it is not so.
 */
size_t expr_watchpoints(const struct expr *e, struct debug_point *out, size_t max);

/* Every pattern in it, for those who must look for them: false when there are fewer. */
bool expr_pattern(const struct expr *e, size_t n, const struct pattern **p);

#endif
