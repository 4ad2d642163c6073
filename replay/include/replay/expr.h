/* SPDX-License-Identifier: MIT */
/*
 * Conditions about a machine: C expressions over its registers, memory, time and output.
 *
 *     struct expr *e = expr_parse("cpl == 3 && u32[jiffies] > 0x1000", &names, err, sizeof(err));
 *     if (expr_holds(e, m, &view)) ...
 *     expr_destroy(e);
 *
 * Operators and their precedence are C's: ?: || && | ^ & == != < <= > >= << >> + - * / % and unary ! ~ -.
 *
 *   123 0x7b 1_000     numbers (1,000 is none, nor is 010)
 *   rax eax ax al ...  registers: gdb's names, and the parts of the general ones; $rax is the same
 *   rip                linear, as memory at it is the code
 *   icount vns cpl     time and privilege; halted: 1 when the CPU sleeps
 *   u8[A] ... u64[A]   memory at virtual address A of the present address space; s8[A] ... signed
 *   u32[phys A]        guest-physical; what is neither RAM nor a device reads as ones
 *   name &name         address of a symbol; name + 8
 *   seen("TEXT")       the console has printed it; seen(/REGEX/), seen(/REGEX/i)
 *   s(X) u(X)          X as a signed, an unsigned number
 *
 * A register's name wins over a symbol's: write &rax for a symbol named rax.
 *
 * Values have 64 bits and are unsigned, but for s8[] to s64[] and s(). An operation of which one side is
 * signed is signed, and so is its result (of shifts the left side decides); comparisons give 0 or 1. -1 is
 * the largest number: it equals s32[A] that is -1, and rax >= -4095 is what the kernel calls IS_ERR.
 * Shifts by 64 and more leave 0 (or the sign), everything wraps around.
 *
 * Memory that is not mapped and x / 0 have no value, and what is made of them has none; only && and || do
 * not need the side that does not decide. A condition without a value does not hold, nor does its contrary.
 *
 * Hostile text is as good as any other: size, nesting and work per evaluation are bounded.
 */
#ifndef REPLAY_EXPR_H
#define REPLAY_EXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct expr;
struct machine;
struct pattern;

/* How symbols are found while parsing; NULL function: there are none. */
struct expr_names {
    bool (*find)(void *opaque, const char *name, uint64_t *address);
    void *opaque;
};

/* What is not in the machine, while evaluating. Each function may be NULL. */
struct expr_view {
    /* Whether output matching `p` had been sent before the present moment. NULL: seen() has no value. */
    bool (*seen)(void *opaque, const struct pattern *p);
    /* Told each read of memory before it is made. As long as these bytes, and where virtual addresses lead,
     * stay as they are, an expression that expr_uses() nothing but memory keeps its value. */
    void (*read)(void *opaque, bool physical, uint64_t address, unsigned bytes);
    void *opaque;
};

/* NULL with one line in `err`, which names the column and what would be right there. `names` may be NULL. */
struct expr *expr_parse(const char *text, const struct expr_names *names, char *err, size_t errlen);
/* NULL is fine. */
void expr_destroy(struct expr *e);
/* As it was given to expr_parse(). */
const char *expr_text(const struct expr *e);

/* Whether it holds where the machine stands: it has a value, and not 0. CPU 0. `view` may be NULL. */
bool expr_holds(const struct expr *e, const struct machine *m, const struct expr_view *view);
/* The value itself; false: it has none. */
bool expr_value(const struct expr *e, const struct machine *m, const struct expr_view *view, uint64_t *value);

/* What it depends on: how finely a scan must look. */
enum {
    EXPR_USES_REGISTERS = 1, /* those that ordinary instructions change */
    EXPR_USES_MEMORY = 2,
    EXPR_USES_TIME = 4,      /* icount, vns, tsc */
    EXPR_USES_OUTPUT = 8,    /* seen() */
    EXPR_USES_CONTROL = 16,  /* cpl, halted, CR0 to CR4, EFER */
};
unsigned expr_uses(const struct expr *e);

/*
 * Whether its form alone says that it stays true once it is: icount and vns compared upwards with numbers,
 * seen(), and these joined by && and ||. So its first moment can be found by halving.
 */
bool expr_is_lasting(const struct expr *e);

/* The nth pattern in it, for those who must look for them: false when there are fewer. It is the
 * expression's. */
bool expr_pattern(const struct expr *e, size_t n, const struct pattern **p);

#endif
