/* SPDX-License-Identifier: MIT */
/*
 * Evaluating expressions: replay/expr.h, expr_internal.h.
 *
 * A value that is missing goes through everything as such, but for && and ||, which are those of Kleene's
 * three-valued logic: a side that decides alone needs no other.
 */
#include "expr_internal.h"

#include <emu/cpu.h>
#include <emu/machine.h>
#include <emu/registers.h>

/* --- arithmetic --- */

static uint64_t shift_right(bool is_signed, uint64_t a, uint64_t count)
{
    if (is_signed)
        return (uint64_t)((int64_t)a >> (count < 64 ? count : 63));
    return count < 64 ? a >> count : 0;
}

/* b is not 0. The one quotient that does not fit wraps around, like everything. */
static uint64_t divide(bool is_signed, uint64_t a, uint64_t b)
{
    if (is_signed && b == UINT64_MAX)
        return 0 - a;
    return is_signed ? (uint64_t)((int64_t)a / (int64_t)b) : a / b;
}

static bool less(bool is_signed, uint64_t a, uint64_t b)
{
    return is_signed ? (int64_t)a < (int64_t)b : a < b;
}

bool expr_apply(enum expr_op op, bool is_signed, uint64_t a, uint64_t b, uint64_t *value)
{
    switch (op) {
    case EXPR_ADD: *value = a + b; return true;
    case EXPR_SUB: *value = a - b; return true;
    case EXPR_MUL: *value = a * b; return true;
    case EXPR_DIV:
        if (b != 0)
            *value = divide(is_signed, a, b);
        return b != 0;
    case EXPR_MOD:
        if (b != 0)
            *value = a - b * divide(is_signed, a, b);
        return b != 0;
    case EXPR_SHL: *value = b < 64 ? a << b : 0; return true;
    case EXPR_SHR: *value = shift_right(is_signed, a, b); return true;
    case EXPR_LT: *value = less(is_signed, a, b); return true;
    case EXPR_LE: *value = !less(is_signed, b, a); return true;
    case EXPR_GT: *value = less(is_signed, b, a); return true;
    case EXPR_GE: *value = !less(is_signed, a, b); return true;
    case EXPR_EQ: *value = a == b; return true;
    case EXPR_NE: *value = a != b; return true;
    case EXPR_BIT_AND: *value = a & b; return true;
    case EXPR_BIT_XOR: *value = a ^ b; return true;
    case EXPR_BIT_OR: *value = a | b; return true;
    default: return false;
    }
}

/* --- what the machine has --- */

static uint64_t extend(uint64_t value, unsigned bytes, bool is_signed)
{
    unsigned unused = 64 - 8 * bytes;

    return is_signed ? (uint64_t)((int64_t)(value << unused) >> unused) : value << unused >> unused;
}

static uint64_t read_register(const struct machine *m, const struct expr_insn *in)
{
    return extend(cpu_register_value(&m->cpus[0], in->id) >> (8 * in->shift), in->bytes, false);
}

/* Little-endian, like the guest, whatever the host. */
static uint64_t from_bytes(const uint8_t *bytes, unsigned n)
{
    uint64_t value = 0;

    while (n-- > 0)
        value = value << 8 | bytes[n];
    return value;
}

static bool load_physical(const struct machine *m, uint64_t address, uint8_t *bytes, unsigned n)
{
    if (address + (n - 1) < address)
        return false;
    if (ram_read(&m->ram, address, bytes, n))
        return true;
    for (unsigned i = 0; i < n; i++)
        if (!ram_read(&m->ram, address + i, &bytes[i], 1))
            bytes[i] = (uint8_t)bus_peek((struct bus *)&m->memory, address + i, 1);
    return true;
}

static bool load(const struct machine *m, const struct expr_view *view, const struct expr_insn *in,
                 uint64_t *value)
{
    bool physical = in->op == EXPR_LOAD_PHYSICAL, there;
    uint8_t bytes[8];

    if (view != NULL && view->read != NULL)
        view->read(view->opaque, physical, *value, in->bytes);
    there = physical ? load_physical(m, *value, bytes, in->bytes)
                     : cpu_peek(&m->cpus[0], *value, bytes, in->bytes) == in->bytes;
    if (there)
        *value = extend(from_bytes(bytes, in->bytes), in->bytes, in->is_signed);
    return there;
}

/* --- the program --- */

struct value {
    uint64_t v;
    bool known;
};

static struct value known(uint64_t v)
{
    return (struct value){.v = v, .known = true};
}

static struct value seen(const struct expr *e, const struct expr_view *view, uint32_t n)
{
    if (view == NULL || view->seen == NULL)
        return (struct value){.known = false};
    return known(view->seen(view->opaque, e->patterns[n]));
}

static struct value push(const struct expr *e, const struct machine *m, const struct expr_view *view,
                         const struct expr_insn *in)
{
    switch (in->op) {
    case EXPR_CONST: return known(in->value);
    case EXPR_REGISTER: return known(read_register(m, in));
    case EXPR_HALTED: return known(m->cpus[0].halted != 0);
    default: return seen(e, view, in->id);
    }
}

static void unary(const struct machine *m, const struct expr_view *view, const struct expr_insn *in,
                  struct value *top)
{
    if (!top->known)
        return;
    switch (in->op) {
    case EXPR_NOT: top->v = !top->v; break;
    case EXPR_INVERT: top->v = ~top->v; break;
    case EXPR_NEGATE: top->v = 0 - top->v; break;
    default: top->known = load(m, view, in, &top->v); break;
    }
}

/* `decides`: the value of a side that settles the result alone. */
static struct value logic(struct value a, struct value b, bool decides)
{
    if ((a.known && (a.v != 0) == decides) || (b.known && (b.v != 0) == decides))
        return known(decides);
    return (struct value){.v = !decides, .known = a.known && b.known};
}

static struct value binary(const struct expr_insn *in, struct value a, struct value b)
{
    struct value result = {.known = false};

    if (in->op == EXPR_AND || in->op == EXPR_OR)
        return logic(a, b, in->op == EXPR_OR);
    if (a.known && b.known)
        result.known = expr_apply((enum expr_op)in->op, in->is_signed, a.v, b.v, &result.v);
    return result;
}

/* Where to go on after jump `at`; *depth is the stack's. */
static size_t jump(const struct expr_insn *in, size_t at, struct value *stack, size_t *depth)
{
    struct value *top = &stack[*depth - 1];

    switch (in->op) {
    case EXPR_JUMP: return in->id;
    case EXPR_AND_JUMP: return top->known && top->v == 0 ? in->id : at + 1;
    case EXPR_OR_JUMP:
        if (!top->known || top->v == 0)
            return at + 1;
        top->v = 1;
        return in->id;
    default:
        if (!top->known)
            return in->id - 1;
        --*depth;
        return top->v == 0 ? in->id : at + 1;
    }
}

bool expr_value(const struct expr *e, const struct machine *m, const struct expr_view *view, uint64_t *value)
{
    struct value stack[EXPR_MAX_STACK];
    size_t depth = 0, at = 0;

    while (at < e->n) {
        const struct expr_insn *in = &e->code[at];

        if (in->op >= EXPR_AND_JUMP) {
            at = jump(in, at, stack, &depth);
            continue;
        }
        if (in->op <= EXPR_SEEN) {
            stack[depth++] = push(e, m, view, in);
        } else if (in->op <= EXPR_NEGATE) {
            unary(m, view, in, &stack[depth - 1]);
        } else {
            depth--;
            stack[depth - 1] = binary(in, stack[depth - 1], stack[depth]);
        }
        at++;
    }
    *value = stack[0].v;
    return stack[0].known;
}

bool expr_holds(const struct expr *e, const struct machine *m, const struct expr_view *view)
{
    uint64_t value;

    return expr_value(e, m, view, &value) && value != 0;
}
