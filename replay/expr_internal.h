/* SPDX-License-Identifier: MIT */
/*
 * An expression after parsing: a program for a stack of values, each of which may be missing.
 *
 * Signedness is a matter of form and settled by the parser, which picks the operation. The stack never
 * holds more than EXPR_MAX_STACK values: the parser counts.
 */
#ifndef REPLAY_EXPR_INTERNAL_H
#define REPLAY_EXPR_INTERNAL_H

#include <replay/expr.h>

#define EXPR_MAX_CODE    4096u  /* operations */
#define EXPR_MAX_STACK   128u
#define EXPR_MAX_NESTING 128u   /* of parentheses, brackets, ?: and unary operators */
#define EXPR_MAX_TEXT    65536u /* bytes */

enum expr_op {
    /* give a value */
    EXPR_CONST,    /* value */
    EXPR_REGISTER, /* id; bytes at byte `shift` of it */
    EXPR_HALTED,
    EXPR_SEEN,     /* pattern number `id` */
    /* replace the last value */
    EXPR_LOAD,     /* bytes, is_signed; of a virtual address */
    EXPR_LOAD_PHYSICAL,
    EXPR_NOT,
    EXPR_INVERT,
    EXPR_NEGATE,
    /* put one value for the last two */
    EXPR_ADD, EXPR_SUB, EXPR_MUL,
    EXPR_DIV, EXPR_MOD, EXPR_SHL, EXPR_SHR, EXPR_LT, EXPR_LE, EXPR_GT, EXPR_GE, /* is_signed */
    EXPR_EQ, EXPR_NE, EXPR_BIT_AND, EXPR_BIT_XOR, EXPR_BIT_OR,
    EXPR_AND, EXPR_OR,
    /* forward, to operation `id` */
    EXPR_AND_JUMP, /* when the last value is 0, leaving it */
    EXPR_OR_JUMP,  /* when the last value is not 0, leaving 1 */
    EXPR_ELSE_JUMP, /* takes the last value; when it is 0. When it is missing: to the jump before there, which
                     * ends the other branch, leaving it */
    EXPR_JUMP,
};

struct expr_insn {
    uint8_t op;
    uint8_t bytes;
    uint8_t shift;
    bool is_signed;
    uint32_t id;
    uint64_t value;
};

struct expr {
    struct expr_insn *code;
    size_t n;
    struct pattern **patterns;
    size_t npatterns;
    char *text;
    unsigned uses;
    bool lasting;
};

/* One of EXPR_ADD to EXPR_BIT_OR. False: there is no value. */
bool expr_apply(enum expr_op op, bool is_signed, uint64_t a, uint64_t b, uint64_t *value);

#endif
