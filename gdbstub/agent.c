/* SPDX-License-Identifier: MIT */
/*
 * Agent expressions (GDB manual, appendix F): the bytecode in which gdb sends the conditions of
 * breakpoints. A stack of 64-bit integers, registers and memory of the target, no side effects.
 *
 * Not here: floating point, which gdb does not compile, and tracing, strings and variables, which
 * belong to tracepoints. These, a stack that is over- or underrun, a division by zero, memory or a
 * register that cannot be read, and more instructions than are left of STUB_CONDITION_STEPS make an
 * expression one that cannot be evaluated.
 *
 * Where the manual leaves a result open: arithmetic wraps; the most negative number divided by -1
 * is itself; shifts by 64 or more leave nothing, or only the sign.
 */
#include <string.h>

#include "stub_internal.h"

#define MAX_STACK 256u

/* Numbers of the instructions (F.2 "Bytecode Descriptions"). */
enum op {
    OP_ADD = 0x02,
    OP_SUB = 0x03,
    OP_MUL = 0x04,
    OP_DIV_SIGNED = 0x05,
    OP_DIV_UNSIGNED = 0x06,
    OP_REM_SIGNED = 0x07,
    OP_REM_UNSIGNED = 0x08,
    OP_LSH = 0x09,
    OP_RSH_SIGNED = 0x0a,
    OP_RSH_UNSIGNED = 0x0b,
    OP_LOG_NOT = 0x0e,
    OP_BIT_AND = 0x0f,
    OP_BIT_OR = 0x10,
    OP_BIT_XOR = 0x11,
    OP_BIT_NOT = 0x12,
    OP_EQUAL = 0x13,
    OP_LESS_SIGNED = 0x14,
    OP_LESS_UNSIGNED = 0x15,
    OP_EXT = 0x16,
    OP_REF8 = 0x17,
    OP_REF16 = 0x18,
    OP_REF32 = 0x19,
    OP_REF64 = 0x1a,
    OP_IF_GOTO = 0x20,
    OP_GOTO = 0x21,
    OP_CONST8 = 0x22,
    OP_CONST16 = 0x23,
    OP_CONST32 = 0x24,
    OP_CONST64 = 0x25,
    OP_REG = 0x26,
    OP_END = 0x27,
    OP_DUP = 0x28,
    OP_POP = 0x29,
    OP_ZERO_EXT = 0x2a,
    OP_SWAP = 0x2b,
    OP_PICK = 0x32,
    OP_ROT = 0x33,
};

struct agent {
    struct gdbstub *s;
    gdbstub_thread thread;
    const uint8_t *code;
    size_t len, pc;
    size_t depth;
    bool fault;
    uint64_t stack[MAX_STACK];
};

static uint64_t fail(struct agent *a)
{
    a->fault = true;
    return 0;
}

/* Operands of instructions are big-endian. */
static uint64_t operand(struct agent *a, size_t bytes)
{
    uint64_t v = 0;

    if (a->len - a->pc < bytes)
        return fail(a);
    while (bytes--)
        v = v << 8 | a->code[a->pc++];
    return v;
}

static uint64_t pop(struct agent *a)
{
    return a->depth ? a->stack[--a->depth] : fail(a);
}

static void push(struct agent *a, uint64_t v)
{
    if (a->depth == MAX_STACK)
        fail(a);
    else
        a->stack[a->depth++] = v;
}

/* The item `below` the top. */
static uint64_t *item(struct agent *a, size_t below)
{
    if (below < a->depth)
        return &a->stack[a->depth - 1 - below];
    fail(a);
    return &a->stack[0];
}

static uint64_t target_number(const struct gdbstub *s, const uint8_t *bytes, size_t len)
{
    uint64_t v = 0;

    for (size_t i = 0; i < len; i++)
        v = v << 8 | bytes[s->target.big_endian ? i : len - 1 - i];
    return v;
}

static uint64_t read_memory(struct agent *a, uint64_t address, size_t len)
{
    unsigned bits = 8 * a->s->target.address_bytes;
    uint8_t bytes[8];

    if (bits < 64)
        address &= (UINT64_C(1) << bits) - 1;
    if (a->s->target.read_memory(a->s->user, address, bytes, len) != len)
        return fail(a);
    return target_number(a->s, bytes, len);
}

static uint64_t read_register(struct agent *a, uint64_t reg)
{
    const struct gdbstub_target *t = &a->s->target;
    uint8_t bytes[GDBSTUB_MAX_REGISTER] = {0};

    if (reg >= t->nregisters || t->register_bytes[reg] > 8 ||
        t->read_register(a->s->user, a->thread, (unsigned)reg, bytes) < 0)
        return fail(a);
    return target_number(a->s, bytes, t->register_bytes[reg]);
}

/* ---- two operands ---- */

static uint64_t divide_signed(struct agent *a, uint64_t x, uint64_t y)
{
    if (!y)
        return fail(a);
    return y == UINT64_MAX ? 0 - x : (uint64_t)((int64_t)x / (int64_t)y);
}

static uint64_t remainder_signed(struct agent *a, uint64_t x, uint64_t y)
{
    if (!y)
        return fail(a);
    return y == UINT64_MAX ? 0 : (uint64_t)((int64_t)x % (int64_t)y);
}

static uint64_t shift_right_signed(uint64_t x, uint64_t count)
{
    uint64_t sign = x >> 63 ? UINT64_MAX : 0;

    if (count >= 64)
        return sign;
    return count ? x >> count | sign << (64 - count) : x;
}

static bool binary(struct agent *a, enum op op)
{
    uint64_t y, x, r;

    if ((op < OP_ADD || op > OP_RSH_UNSIGNED) && (op < OP_BIT_AND || op > OP_LESS_UNSIGNED))
        return false;
    if (op == OP_BIT_NOT)
        return false;
    y = pop(a);
    x = pop(a);
    switch (op) {
    case OP_ADD: r = x + y; break;
    case OP_SUB: r = x - y; break;
    case OP_MUL: r = x * y; break;
    case OP_DIV_SIGNED: r = divide_signed(a, x, y); break;
    case OP_DIV_UNSIGNED: r = y ? x / y : fail(a); break;
    case OP_REM_SIGNED: r = remainder_signed(a, x, y); break;
    case OP_REM_UNSIGNED: r = y ? x % y : fail(a); break;
    case OP_LSH: r = y < 64 ? x << y : 0; break;
    case OP_RSH_SIGNED: r = shift_right_signed(x, y); break;
    case OP_RSH_UNSIGNED: r = y < 64 ? x >> y : 0; break;
    case OP_BIT_AND: r = x & y; break;
    case OP_BIT_OR: r = x | y; break;
    case OP_BIT_XOR: r = x ^ y; break;
    case OP_EQUAL: r = x == y; break;
    case OP_LESS_SIGNED: r = (int64_t)x < (int64_t)y; break;
    default: r = x < y; break; /* OP_LESS_UNSIGNED */
    }
    push(a, r);
    return true;
}

/* ---- one operand ---- */

static uint64_t extend(struct agent *a, uint64_t x, uint64_t bits, bool is_signed)
{
    uint64_t mask;

    if (!bits)
        return fail(a);
    if (bits >= 64)
        return x;
    mask = (UINT64_C(1) << bits) - 1;
    return is_signed && x >> (bits - 1) & 1 ? x | ~mask : x & mask;
}

static bool unary(struct agent *a, enum op op)
{
    switch (op) {
    case OP_LOG_NOT: push(a, !pop(a)); return true;
    case OP_BIT_NOT: push(a, ~pop(a)); return true;
    case OP_EXT: push(a, extend(a, pop(a), operand(a, 1), true)); return true;
    case OP_ZERO_EXT: push(a, extend(a, pop(a), operand(a, 1), false)); return true;
    case OP_REF8: push(a, read_memory(a, pop(a), 1)); return true;
    case OP_REF16: push(a, read_memory(a, pop(a), 2)); return true;
    case OP_REF32: push(a, read_memory(a, pop(a), 4)); return true;
    case OP_REF64: push(a, read_memory(a, pop(a), 8)); return true;
    default: return false;
    }
}

/* ---- what brings, moves and drops values ---- */

static bool constant(struct agent *a, enum op op)
{
    switch (op) {
    case OP_CONST8: push(a, operand(a, 1)); return true;
    case OP_CONST16: push(a, operand(a, 2)); return true;
    case OP_CONST32: push(a, operand(a, 4)); return true;
    case OP_CONST64: push(a, operand(a, 8)); return true;
    case OP_REG: push(a, read_register(a, operand(a, 2))); return true;
    default: return false;
    }
}

static void swap(struct agent *a)
{
    uint64_t *below = item(a, 1), *top = item(a, 0), v = *top;

    *top = *below;
    *below = v;
}

/* The top goes below the two under it. */
static void rotate(struct agent *a)
{
    uint64_t *third = item(a, 2), *second = item(a, 1), *top = item(a, 0), v = *top;

    *top = *second;
    *second = *third;
    *third = v;
}

static bool stack(struct agent *a, enum op op)
{
    switch (op) {
    case OP_DUP: push(a, *item(a, 0)); return true;
    case OP_POP: pop(a); return true;
    case OP_PICK: push(a, *item(a, (size_t)operand(a, 1))); return true;
    case OP_SWAP: swap(a); return true;
    case OP_ROT: rotate(a); return true;
    default: return false;
    }
}

static bool jump(struct agent *a, enum op op)
{
    uint64_t to;

    if (op != OP_GOTO && op != OP_IF_GOTO)
        return false;
    to = operand(a, 2);
    if (op == OP_GOTO || pop(a))
        a->pc = (size_t)to;
    if (a->pc > a->len)
        a->pc = a->len;
    return true;
}

bool stub_evaluate(struct gdbstub *s, gdbstub_thread thread, const uint8_t *code, size_t len,
                   unsigned *steps_left, uint64_t *value)
{
    struct agent a; /* the stack's content does not matter, and would take time to clear */

    a.s = s;
    a.thread = thread;
    a.code = code;
    a.len = len;
    a.pc = a.depth = 0;
    a.fault = false;
    a.stack[0] = 0;
    for (; *steps_left && !a.fault && a.pc < a.len; --*steps_left) {
        enum op op = (enum op)a.code[a.pc++];

        if (op == OP_END) {
            *value = pop(&a);
            return !a.fault;
        }
        if (!constant(&a, op) && !binary(&a, op) && !unary(&a, op) && !stack(&a, op) &&
            !jump(&a, op))
            return false;
    }
    return false;
}
