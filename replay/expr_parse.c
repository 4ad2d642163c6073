/* SPDX-License-Identifier: MIT */
/*
 * Parsing expressions: replay/expr.h says what is written, expr_internal.h what comes out.
 *
 * Recursive descent over the forms that nest, and a loop over binary operators by precedence. The code
 * goes out as it is read; what is constant is folded on the way, so that an operand is constant when its
 * code is one EXPR_CONST.
 *
 * Everything that text could make large is counted: operations, stack, nesting, length.
 */
#include "expr_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emu/registers.h>
#include <replay/pattern.h>

/* What is known of an operand by its form. */
enum shape {
    SHAPE_ANY,
    SHAPE_CONST,
    SHAPE_TIME,    /* never decreases */
    SHAPE_LASTING, /* stays true once it is */
};

struct operand {
    size_t start; /* its first operation; it ends where the code ends */
    bool is_signed;
    enum shape shape;
};

struct parser {
    const char *text, *at;
    const struct expr_names *names;
    struct expr *e;
    size_t capacity, patterns_capacity;
    unsigned stack, nesting;
    char *err;
    size_t errlen;
};

/* --- errors --- */

/* False, so that callers can return it. */
__attribute__((format(printf, 3, 4))) static bool fail(struct parser *p, const char *where, const char *fmt, ...)
{
    va_list args;
    size_t len;

    snprintf(p->err, p->errlen, "column %zu: ", (size_t)(where - p->text) + 1);
    len = strlen(p->err);
    va_start(args, fmt);
    vsnprintf(p->err + len, p->errlen - len, fmt, args);
    va_end(args);
    return false;
}

/* What stands at `at`, to be named in an error: a word, or one character. */
static const char *shown(const char *at, char out[40])
{
    size_t len = 0;

    if (*at == '\0')
        return "the end";
    while (len < 32 && (at[len] == '_' || at[len] == '$' || at[len] == '.' ||
                        (at[len] >= '0' && at[len] <= '9') || (at[len] >= 'A' && at[len] <= 'Z') ||
                        (at[len] >= 'a' && at[len] <= 'z')))
        len++;
    if (len > 0)
        snprintf(out, 40, "'%.*s'", (int)len, at);
    else if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
        snprintf(out, 40, "byte %02x", (unsigned char)*at);
    else
        snprintf(out, 40, "'%c'", *at);
    return out;
}

/* --- characters --- */

static void skip_space(struct parser *p)
{
    while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')
        p->at++;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool begins_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c == '.';
}

static bool in_name(char c)
{
    return begins_name(c) || is_digit(c);
}

/* The next thing is `c`: takes it. */
static bool take(struct parser *p, char c)
{
    skip_space(p);
    if (*p->at != c)
        return false;
    p->at++;
    return true;
}

/* --- code --- */

static bool emit(struct parser *p, struct expr_insn in)
{
    struct expr *e = p->e;

    if (e->n == p->capacity) {
        size_t capacity = p->capacity == 0 ? 32 : 2 * p->capacity;
        struct expr_insn *code;

        if (capacity > EXPR_MAX_CODE)
            return fail(p, p->at, "it is too long: %u operations are the limit", EXPR_MAX_CODE);
        code = realloc(e->code, capacity * sizeof(*code));
        if (code == NULL)
            return fail(p, p->at, "out of memory");
        e->code = code;
        p->capacity = capacity;
    }
    e->code[e->n++] = in;
    return true;
}

static bool emit_push(struct parser *p, struct expr_insn in)
{
    if (p->stack == EXPR_MAX_STACK)
        return fail(p, p->at, "it is too deep: %u values under way are the limit", EXPR_MAX_STACK);
    p->stack++;
    return emit(p, in);
}

static bool is_const(const struct parser *p, const struct operand *o)
{
    return p->e->n == o->start + 1 && p->e->code[o->start].op == EXPR_CONST;
}

static bool push_const(struct parser *p, uint64_t value, struct operand *out)
{
    *out = (struct operand){.start = p->e->n, .shape = SHAPE_CONST};
    return emit_push(p, (struct expr_insn){.op = EXPR_CONST, .value = value});
}

/* --- numbers --- */

static unsigned digit_value(char c)
{
    if (is_digit(c))
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 99;
}

static bool parse_number(struct parser *p, struct operand *out)
{
    const char *start = p->at;
    unsigned base = 10;
    uint64_t value = 0;
    char word[40];

    if (p->at[0] == '0' && (p->at[1] == 'x' || p->at[1] == 'X')) {
        base = 16;
        p->at += 2;
    } else if (p->at[0] == '0' && (is_digit(p->at[1]) || p->at[1] == '_')) {
        return fail(p, start, "a number is decimal without a 0 before it, or 0x...: %s", shown(start, word));
    }
    if (digit_value(*p->at) >= base)
        return fail(p, start, "%s is no number", shown(start, word));
    for (; in_name(*p->at); p->at++) {
        unsigned digit = digit_value(*p->at);

        if (*p->at == '_')
            continue;
        if (digit >= base)
            return fail(p, start, "%s is no number", shown(start, word));
        if (value > (UINT64_MAX - digit) / base)
            return fail(p, start, "a number of more than 64 bits");
        value = value * base + digit;
    }
    if (*p->at == ',')
        return fail(p, p->at, "numbers have no commas here: 1_000 is one thousand");
    return push_const(p, value, out);
}

/* --- registers --- */

struct part {
    const char *name;
    uint8_t id, shift, bytes;
};

/* Numbers are gdb's: emu/registers.h. */
#define PARTS_BY_LETTER(id, x)                                                                                \
    {"e" x "x", id, 0, 4}, {x "x", id, 0, 2}, {x "l", id, 0, 1}, {x "h", id, 1, 1}
#define PARTS_BY_NAME(id, x) {"e" x, id, 0, 4}, {x, id, 0, 2}, {x "l", id, 0, 1}
#define PARTS_BY_NUMBER(n) {"r" #n "d", n, 0, 4}, {"r" #n "w", n, 0, 2}, {"r" #n "b", n, 0, 1}, {"r" #n "l", n, 0, 1}

static const struct part parts[] = {
    PARTS_BY_LETTER(0, "a"), PARTS_BY_LETTER(1, "b"), PARTS_BY_LETTER(2, "c"), PARTS_BY_LETTER(3, "d"),
    PARTS_BY_NAME(4, "si"), PARTS_BY_NAME(5, "di"), PARTS_BY_NAME(REG_ID_RBP, "bp"),
    PARTS_BY_NAME(REG_ID_RSP, "sp"),
    PARTS_BY_NUMBER(8), PARTS_BY_NUMBER(9), PARTS_BY_NUMBER(10), PARTS_BY_NUMBER(11),
    PARTS_BY_NUMBER(12), PARTS_BY_NUMBER(13), PARTS_BY_NUMBER(14), PARTS_BY_NUMBER(15),
    {"eip", REG_ID_RIP, 0, 4},
    {"rflags", REG_ID_EFLAGS, 0, 4},
};

static unsigned uses_of_register(unsigned id)
{
    switch (id) {
    case REG_ID_ICOUNT:
    case REG_ID_VNS:
    case REG_ID_TSC: return EXPR_USES_TIME;
    case REG_ID_CPL:
    case REG_ID_CR0:
    case REG_ID_CR2:
    case REG_ID_CR3:
    case REG_ID_CR4:
    case REG_ID_EFER: return EXPR_USES_CONTROL;
    default: return EXPR_USES_REGISTERS;
    }
}

/* Whether a register, or a part of one, has this name. */
static bool find_register(const char *name, struct part *out)
{
    int id = cpu_register_find(name);

    if (id >= 0) {
        *out = (struct part){.id = (uint8_t)id, .bytes = cpu_register_info((unsigned)id)->bytes};
        return true;
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (strcmp(parts[i].name, name) == 0) {
            *out = parts[i];
            return true;
        }
    return false;
}

static bool push_register(struct parser *p, const char *where, const char *name, const struct part *part,
                          struct operand *out)
{
    bool grows = part->id == REG_ID_ICOUNT || part->id == REG_ID_VNS;

    if (part->bytes > 8)
        return fail(p, where, "%s has more than 64 bits: it is no number", name);
    *out = (struct operand){.start = p->e->n, .shape = grows ? SHAPE_TIME : SHAPE_ANY};
    p->e->uses |= uses_of_register(part->id);
    return emit_push(p, (struct expr_insn){.op = EXPR_REGISTER, .id = part->id, .shift = part->shift,
                                           .bytes = part->bytes});
}

/* --- what a condition can look for in the output --- */

static bool add_pattern(struct parser *p, const char *where, const char *text, struct operand *out)
{
    struct expr *e = p->e;
    struct pattern *pattern;
    char why[256];

    if (e->npatterns == p->patterns_capacity) {
        size_t capacity = p->patterns_capacity == 0 ? 4 : 2 * p->patterns_capacity;
        struct pattern **patterns = realloc(e->patterns, capacity * sizeof(struct pattern *));

        if (patterns == NULL)
            return fail(p, where, "out of memory");
        e->patterns = patterns;
        p->patterns_capacity = capacity;
    }
    pattern = pattern_parse(text, why, sizeof(why));
    if (pattern == NULL)
        return fail(p, where, "%s", why);
    e->patterns[e->npatterns++] = pattern;
    e->uses |= EXPR_USES_OUTPUT;
    *out = (struct operand){.start = e->n, .shape = SHAPE_LASTING};
    return emit_push(p, (struct expr_insn){.op = EXPR_SEEN, .id = (uint32_t)(e->npatterns - 1)});
}

/* The end of a literal that begins and ends with `quote`; NULL: it has none. */
static const char *literal_end(const char *at, char quote)
{
    for (at++; *at != '\0' && *at != quote; at++)
        if (*at == '\\' && at[1] != '\0')
            at++;
    return *at == quote ? at : NULL;
}

/* "TEXT": \" and \\ stand for themselves. As pattern_parse() takes a text that may begin with a slash. */
static bool string_pattern(struct parser *p, const char *end, char *copy)
{
    char *to = copy;

    if (p->at[1] == '/')
        *to++ = '\\';
    else if (strncmp(p->at + 1, "\\\\/", 3) == 0)
        return fail(p, p->at, "a text that begins with \\/ cannot be looked for");
    for (const char *c = p->at + 1; c < end; c++) {
        if (*c == '\\' && c[1] != '"' && c[1] != '\\')
            return fail(p, c, "in a text \\\" and \\\\ are all there is of \\");
        if (*c == '\\')
            c++;
        *to++ = *c;
    }
    *to = '\0';
    return true;
}

static bool parse_seen(struct parser *p, struct operand *out)
{
    const char *start, *end;
    bool good = true;
    char quote, *copy;

    skip_space(p);
    start = p->at;
    quote = *start;
    if (quote != '"' && quote != '/')
        return fail(p, start, "seen() takes \"TEXT\" or /REGEX/");
    end = literal_end(start, quote);
    if (end == NULL)
        return fail(p, start, "this %c has no second one", quote);
    copy = calloc(1, (size_t)(end - start) + 4);
    if (copy == NULL)
        return fail(p, start, "out of memory");
    if (quote == '"') {
        good = string_pattern(p, end, copy);
    } else {
        end += end[1] == 'i';
        memcpy(copy, start, (size_t)(end - start) + 1);
    }
    p->at = end + 1;
    good = good && add_pattern(p, start, copy, out);
    free(copy);
    return good && (take(p, ')') || fail(p, p->at, "a ) is missing: seen(\"TEXT\")"));
}

/* --- what stands alone --- */

static bool parse_conditional(struct parser *p, struct operand *out);

static bool nest(struct parser *p)
{
    if (p->nesting == EXPR_MAX_NESTING)
        return fail(p, p->at, "it is nested too deeply: %u is the limit", EXPR_MAX_NESTING);
    p->nesting++;
    return true;
}

/* What is in brackets of either kind, up to the closing one. */
static bool parse_inside(struct parser *p, char close, struct operand *out)
{
    char word[40];

    if (!nest(p) || !parse_conditional(p, out))
        return false;
    p->nesting--;
    if (!take(p, close))
        return fail(p, p->at, "a %c or an operator would be right here, not %s", close, shown(p->at, word));
    return true;
}

/* "phys" and perhaps a colon. */
static bool take_phys(struct parser *p)
{
    skip_space(p);
    if (strncmp(p->at, "phys", 4) != 0 || in_name(p->at[4]))
        return false;
    p->at += 4;
    take(p, ':');
    return true;
}

static bool parse_load(struct parser *p, bool is_signed, unsigned bytes, struct operand *out)
{
    size_t start = p->e->n;
    bool physical = take_phys(p);

    if (!parse_inside(p, ']', out))
        return false;
    *out = (struct operand){.start = start, .is_signed = is_signed};
    p->e->uses |= EXPR_USES_MEMORY;
    return emit(p, (struct expr_insn){.op = physical ? EXPR_LOAD_PHYSICAL : EXPR_LOAD,
                                      .bytes = (uint8_t)bytes,
                                      .is_signed = is_signed});
}

/* u8 to u64, s8 to s64: bytes; else 0. */
static unsigned width_of(const char *name)
{
    static const char *const bits[] = {"8", "16", "32", "64"};

    if (name[0] != 'u' && name[0] != 's')
        return 0;
    for (unsigned i = 0; i < 4; i++)
        if (strcmp(name + 1, bits[i]) == 0)
            return 1u << i;
    return 0;
}

static bool parse_call(struct parser *p, const char *where, const char *name, struct operand *out)
{
    if (strcmp(name, "seen") == 0)
        return parse_seen(p, out);
    if (strcmp(name, "s") != 0 && strcmp(name, "u") != 0)
        return fail(p, where, "'%s' is no function: there are seen(), s() and u()", name);
    if (!parse_inside(p, ')', out))
        return false;
    if (out->shape != SHAPE_CONST)
        out->shape = SHAPE_ANY;
    out->is_signed = name[0] == 's';
    return true;
}

static bool push_symbol(struct parser *p, const char *where, const char *name, struct operand *out)
{
    uint64_t address;
    char lower[64];
    struct part part;
    size_t i;

    if (p->names != NULL && p->names->find != NULL && p->names->find(p->names->opaque, name, &address))
        return push_const(p, address, out);
    for (i = 0; name[i] != '\0' && i + 1 < sizeof(lower); i++)
        lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 32) : name[i];
    lower[i] = '\0';
    if (find_register(lower, &part))
        return fail(p, where, "registers are in lower case: %s", lower);
    if (width_of(lower) != 0)
        return fail(p, where, "memory is %s[ADDRESS]", lower);
    return fail(p, where, "'%.100s' is no register%s", name,
                p->names != NULL && p->names->find != NULL ? " and no symbol" : ", and no symbols are known");
}

/* Copies the name that begins here. */
static bool take_name(struct parser *p, char *out, size_t len)
{
    size_t n = 0;

    while (in_name(p->at[n]))
        n++;
    if (n >= len)
        return fail(p, p->at, "a name of more than %zu characters", len - 1);
    memcpy(out, p->at, n);
    out[n] = '\0';
    p->at += n;
    return true;
}

static bool parse_name(struct parser *p, struct operand *out)
{
    const char *where = p->at;
    struct part part;
    char name[512];
    unsigned bytes;

    if (!take_name(p, name, sizeof(name)))
        return false;
    bytes = width_of(name);
    if (bytes != 0 && take(p, '['))
        return parse_load(p, name[0] == 's', bytes, out);
    if (take(p, '('))
        return parse_call(p, where, name, out);
    if (take(p, '['))
        return fail(p, where, "memory is u8[ADDRESS] to u64[ADDRESS], or s8[ADDRESS] to s64[ADDRESS]");
    if (find_register(name[0] == '$' ? name + 1 : name, &part))
        return push_register(p, where, name, &part, out);
    if (strcmp(name, "halted") == 0) {
        *out = (struct operand){.start = p->e->n};
        p->e->uses |= EXPR_USES_CONTROL;
        return emit_push(p, (struct expr_insn){.op = EXPR_HALTED});
    }
    return push_symbol(p, where, name, out);
}

/* &name */
static bool parse_address(struct parser *p, struct operand *out)
{
    const char *where;
    char name[512];

    skip_space(p);
    where = p->at;
    if (!begins_name(*p->at))
        return fail(p, where, "the name of a symbol would be right after &");
    return take_name(p, name, sizeof(name)) && push_symbol(p, where, name, out);
}

static bool parse_unary(struct parser *p, struct operand *out);

static bool parse_prefixed(struct parser *p, enum expr_op op, struct operand *out)
{
    struct expr_insn *last;

    p->at++;
    if (!nest(p) || !parse_unary(p, out))
        return false;
    p->nesting--;
    out->is_signed = out->is_signed && op != EXPR_NOT;
    if (is_const(p, out)) {
        last = &p->e->code[out->start];
        last->value = op == EXPR_NOT ? !last->value : op == EXPR_INVERT ? ~last->value : 0 - last->value;
        return true;
    }
    out->shape = SHAPE_ANY;
    return emit(p, (struct expr_insn){.op = (uint8_t)op});
}

static bool parse_unary(struct parser *p, struct operand *out)
{
    char word[40];

    skip_space(p);
    switch (*p->at) {
    case '!': return parse_prefixed(p, EXPR_NOT, out);
    case '~': return parse_prefixed(p, EXPR_INVERT, out);
    case '-': return parse_prefixed(p, EXPR_NEGATE, out);
    case '&': p->at++; return parse_address(p, out);
    case '(': p->at++; return parse_inside(p, ')', out);
    case '*': return fail(p, p->at, "memory is u32[ADDRESS] and the like, there is no *");
    default: break;
    }
    if (is_digit(*p->at))
        return parse_number(p, out);
    if (begins_name(*p->at))
        return parse_name(p, out);
    return fail(p, p->at, "a value would be right here, not %s", shown(p->at, word));
}

/* --- binary operators --- */

struct binary {
    const char *text;
    enum expr_op op;
    unsigned precedence; /* C's: higher binds tighter */
};

/* Longer ones before those that they begin with. */
static const struct binary binaries[] = {
    {"||", EXPR_OR, 1},      {"&&", EXPR_AND, 2},      {"==", EXPR_EQ, 6},  {"!=", EXPR_NE, 6},
    {"<<", EXPR_SHL, 8},     {">>", EXPR_SHR, 8},      {"<=", EXPR_LE, 7},  {">=", EXPR_GE, 7},
    {"<", EXPR_LT, 7},       {">", EXPR_GT, 7},        {"|", EXPR_BIT_OR, 3}, {"^", EXPR_BIT_XOR, 4},
    {"&", EXPR_BIT_AND, 5},  {"+", EXPR_ADD, 9},       {"-", EXPR_SUB, 9},  {"*", EXPR_MUL, 10},
    {"/", EXPR_DIV, 10},     {"%", EXPR_MOD, 10},
};
#define LOGIC_PRECEDENCE 2u

static const struct binary *peek_binary(struct parser *p)
{
    skip_space(p);
    for (size_t i = 0; i < sizeof(binaries) / sizeof(binaries[0]); i++)
        if (strncmp(p->at, binaries[i].text, strlen(binaries[i].text)) == 0)
            return &binaries[i];
    return NULL;
}

static bool is_comparison(enum expr_op op)
{
    return (op >= EXPR_LT && op <= EXPR_GE) || op == EXPR_EQ || op == EXPR_NE;
}

static enum shape shape_of(enum expr_op op, bool is_signed, enum shape left, enum shape right)
{
    bool up = left == SHAPE_TIME && right == SHAPE_CONST && (op == EXPR_GT || op == EXPR_GE);
    bool down = left == SHAPE_CONST && right == SHAPE_TIME && (op == EXPR_LT || op == EXPR_LE);

    if (op == EXPR_AND || op == EXPR_OR)
        return (left == SHAPE_LASTING || left == SHAPE_CONST) &&
                       (right == SHAPE_LASTING || right == SHAPE_CONST)
                   ? SHAPE_LASTING
                   : SHAPE_ANY;
    return (up || down) && !is_signed ? SHAPE_LASTING : SHAPE_ANY;
}

/* Both sides are constant: computes it now, when it can be. */
static bool fold(struct parser *p, const struct binary *b, bool is_signed, const struct operand *left,
                 const struct operand *right)
{
    struct expr_insn *code = p->e->code;

    if (right->start != left->start + 1 || code[left->start].op != EXPR_CONST || !is_const(p, right) ||
        !expr_apply(b->op, is_signed, code[left->start].value, code[right->start].value,
                    &code[left->start].value))
        return false;
    p->e->n = right->start;
    return true;
}

static bool emit_binary(struct parser *p, const struct binary *b, struct operand *left,
                        const struct operand *right)
{
    bool shifts = b->op == EXPR_SHL || b->op == EXPR_SHR;
    bool is_signed = left->is_signed || (right->is_signed && !shifts);
    bool folded = fold(p, b, is_signed, left, right);

    p->stack--;
    left->shape = folded ? SHAPE_CONST : shape_of(b->op, is_signed, left->shape, right->shape);
    left->is_signed = is_signed && !is_comparison(b->op) && b->precedence > LOGIC_PRECEDENCE;
    return folded || emit(p, (struct expr_insn){.op = (uint8_t)b->op, .is_signed = is_signed});
}

static bool parse_binary(struct parser *p, unsigned least, struct operand *left)
{
    const struct binary *b;

    if (!parse_unary(p, left))
        return false;
    while ((b = peek_binary(p)) != NULL && b->precedence >= least) {
        size_t jump = p->e->n;
        struct operand right;

        p->at += strlen(b->text);
        if (b->precedence <= LOGIC_PRECEDENCE &&
            !emit(p, (struct expr_insn){.op = b->op == EXPR_OR ? EXPR_OR_JUMP : EXPR_AND_JUMP}))
            return false;
        if (!parse_binary(p, b->precedence + 1, &right) || !emit_binary(p, b, left, &right))
            return false;
        if (b->precedence <= LOGIC_PRECEDENCE)
            p->e->code[jump].id = (uint32_t)p->e->n;
    }
    return true;
}

/* c ? a : b, after c. */
static bool parse_branches(struct parser *p, struct operand *out)
{
    struct operand a, b;
    size_t to_else = p->e->n, to_end;
    char word[40];

    p->stack--;
    if (!nest(p) || !emit(p, (struct expr_insn){.op = EXPR_ELSE_JUMP}) || !parse_conditional(p, &a))
        return false;
    if (!take(p, ':'))
        return fail(p, p->at, "a : or an operator would be right here, not %s", shown(p->at, word));
    p->stack--;
    to_end = p->e->n;
    if (!emit(p, (struct expr_insn){.op = EXPR_JUMP}))
        return false;
    p->e->code[to_else].id = (uint32_t)p->e->n;
    if (!parse_conditional(p, &b))
        return false;
    p->e->code[to_end].id = (uint32_t)p->e->n;
    p->nesting--;
    out->is_signed = a.is_signed || b.is_signed;
    out->shape = SHAPE_ANY;
    return true;
}

static bool parse_conditional(struct parser *p, struct operand *out)
{
    if (!parse_binary(p, 1, out))
        return false;
    return take(p, '?') ? parse_branches(p, out) : true;
}

/* --- the whole --- */

static bool parse_all(struct parser *p)
{
    struct operand result;
    char word[40];

    if (strlen(p->text) > EXPR_MAX_TEXT)
        return fail(p, p->text, "it is too long: %u characters are the limit", EXPR_MAX_TEXT);
    if (!parse_conditional(p, &result))
        return false;
    skip_space(p);
    if (*p->at == '=')
        return fail(p, p->at, "what is equal is written ==");
    if (*p->at != '\0')
        return fail(p, p->at, "an operator would be right here, not %s", shown(p->at, word));
    p->e->lasting = result.shape == SHAPE_LASTING || result.shape == SHAPE_CONST;
    return true;
}

struct expr *expr_parse(const char *text, const struct expr_names *names, char *err, size_t errlen)
{
    struct parser p = {.text = text, .at = text, .names = names, .err = err, .errlen = errlen};

    p.e = calloc(1, sizeof(*p.e));
    if (p.e != NULL)
        p.e->text = strdup(text);
    if (p.e == NULL || p.e->text == NULL) {
        snprintf(err, errlen, "out of memory");
    } else if (parse_all(&p)) {
        return p.e;
    }
    expr_destroy(p.e);
    return NULL;
}

void expr_destroy(struct expr *e)
{
    if (e == NULL)
        return;
    for (size_t i = 0; i < e->npatterns; i++)
        pattern_destroy(e->patterns[i]);
    free(e->patterns);
    free(e->code);
    free(e->text);
    free(e);
}

const char *expr_text(const struct expr *e)
{
    return e->text;
}

unsigned expr_uses(const struct expr *e)
{
    return e->uses;
}

bool expr_is_lasting(const struct expr *e)
{
    return e->lasting;
}

bool expr_pattern(const struct expr *e, size_t n, const struct pattern **p)
{
    if (n >= e->npatterns)
        return false;
    *p = e->patterns[n];
    return true;
}
