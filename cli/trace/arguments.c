/* SPDX-License-Identifier: MIT */
/*
 * Arguments and results of functions in words (calls.h): the System V ABI of x86-64, of i386, and of a 32-bit
 * Linux kernel, which passes the first three in registers.
 *
 * The handler of an event has none but what the user says: its registers are those of what came before it.
 *
 * How many there are, and what, is by the letters that the user gave, by the kernel's BTF, or not known: then
 * they are all those in registers, or the first words on the stack.
 */
#include <inttypes.h>
#include <string.h>

#include "../guest_symbols.h"
#include "calls.h"
#include "values.h"

#define REGISTER_ARGS 6u
#define STACK_ARGS    4u

/* A struct by value takes registers, or words on the stack, of which what follows cannot know. */
static bool is_opaque(const struct btf_value *v)
{
    return v->form == BTF_OTHER || v->bytes > 8;
}

static uint64_t on_stack(const struct tracer *t, size_t n)
{
    unsigned word = stack_word(t->cpu);
    uint64_t value = 0;

    cpu_peek(t->cpu, stack_top(t->cpu) + (n + 1) * word, &value, word);
    return value;
}

static bool passes_in_registers(const struct tracer *t)
{
    return t->cpu->cpl != 3 && t->symbols != NULL && guest_symbols_of_linux(t->symbols);
}

/* The nth argument, as a word. */
static uint64_t argument(const struct tracer *t, size_t n)
{
    static const uint8_t sysv[REGISTER_ARGS] = {REG_RDI, REG_RSI, REG_RDX, REG_RCX, REG_R8, REG_R9};
    static const uint8_t regparm[3] = {REG_RAX, REG_RDX, REG_RCX};
    const struct cpu *cpu = t->cpu;

    if (cpu_code_size(cpu) == CODE_64)
        return n < REGISTER_ARGS ? cpu->regs[sysv[n]] : on_stack(t, n - REGISTER_ARGS);
    if (!passes_in_registers(t))
        return on_stack(t, n);
    return n < 3 ? (uint32_t)cpu->regs[regparm[n]] : on_stack(t, n - 3);
}

static size_t count_of(const struct tracer *t, const struct frame *frame)
{
    const struct function *function = frame->function;

    if (function->format != NULL)
        return function->nformat;
    if (frame->entered == BY_EVENT)
        return 0;
    if (function->types != NULL)
        return function->types->count;
    return cpu_code_size(t->cpu) == CODE_64 ? REGISTER_ARGS : STACK_ARGS;
}

/* --- values --- */

static void add_number(struct text *text, uint64_t value, unsigned word)
{
    uint64_t error;

    if (is_error(value, word, &error))
        text_add(text, "-%" PRIu64, error);
    else
        text_add(text, value < 10 ? "%" PRIu64 : "0x%" PRIx64, value);
}

static void add_by_letter(const struct tracer *t, struct text *text, char letter, uint64_t value)
{
    switch (letter) {
    case 'd': text_add(text, "%" PRId32, (int32_t)value); break;
    case 'l': text_add(text, "%" PRId64, (int64_t)value); break;
    case 'u': text_add(text, "%" PRIu64, value); break;
    case 's': add_string(t, text, value); break;
    case 'p':
        if (value == 0)
            add_pointer(text, value);
        else
            add_code(t, text, value);
        break;
    default: text_add(text, "0x%" PRIx64, value); break;
    }
}

static uint64_t cut(uint64_t value, unsigned bytes)
{
    return bytes == 0 || bytes >= 8 ? value : value & ((1ULL << (8 * bytes)) - 1);
}

static bool has_bits(const char *name)
{
    return strstr(name, "flags") != NULL || strstr(name, "mask") != NULL || strstr(name, "addr") != NULL ||
           strcmp(name, "prot") == 0 || strcmp(name, "start") == 0 || strcmp(name, "end") == 0 ||
           strcmp(name, "cmd") == 0 || strcmp(name, "arg") == 0;
}

static void add_unsigned(struct text *text, const char *name, uint64_t value)
{
    text_add(text, value >> 32 != 0 || (has_bits(name) && value > 9) ? "0x%" PRIx64 : "%" PRIu64, value);
}

/* Of the value of a parameter, or of a result (""), which may be an error. */
static void add_signed(struct text *text, const struct btf_value *v, uint64_t value)
{
    uint64_t error;

    if (v->name[0] == '\0')
        add_result(text, value, v->bytes);
    else if (is_error(value, v->bytes, &error))
        text_add(text, error == 100 && strcmp(v->name, "dfd") == 0 ? "AT_FDCWD" : "-%" PRIu64, error);
    else if (has_bits(v->name))
        add_unsigned(text, v->name, cut(value, v->bytes));
    else
        add_result(text, value, v->bytes);
}

static void add_by_type(const struct tracer *t, struct text *text, const struct btf_value *v, uint64_t value)
{
    switch (v->form) {
    case BTF_SIGNED: add_signed(text, v, value); break;
    case BTF_UNSIGNED: add_unsigned(text, v->name, cut(value, v->bytes)); break;
    case BTF_BOOL: text_add(text, "%s", value & 0xff ? "true" : "false"); break;
    case BTF_STRING: add_string(t, text, value); break;
    case BTF_FUNCTION: add_by_letter(t, text, 'p', value); break;
    case BTF_OTHER: text_add(text, "{...}"); break;
    case BTF_POINTER:
    case BTF_VOID: add_pointer(text, value); break;
    }
}

size_t add_call(const struct tracer *t, struct text *text, const struct frame *frame, uint64_t *args)
{
    const struct function *function = frame->function;
    const struct btf_prototype *types = function->format == NULL ? function->types : NULL;
    size_t count = count_of(t, frame), n;

    text_add(text, "%s(", function->name);
    for (n = 0; n < count; n++) {
        text_add(text, "%s", n > 0 ? ", " : "");
        args[n] = argument(t, n);
        if (types != NULL) {
            text_add(text, "%s%s", types->params[n].name, types->params[n].name[0] != '\0' ? "=" : "");
            add_by_type(t, text, &types->params[n], args[n]);
            if (is_opaque(&types->params[n]) && n + 1 < count) {
                text_add(text, ", ...");
                break;
            }
        } else if (function->format != NULL) {
            add_by_letter(t, text, function->format[n], args[n]);
        } else {
            add_number(text, args[n], stack_word(t->cpu));
        }
    }
    text_add(text, "%s)", types != NULL && types->variadic ? ", ..." : "");
    return n;
}

void add_returned(const struct tracer *t, struct text *text, const struct frame *frame)
{
    const struct btf_value *v = frame->function->types == NULL ? NULL : &frame->function->types->result;
    unsigned word = frame->word;
    uint64_t value = cut(t->cpu->regs[REG_RAX], word), error;

    text_add(text, " -> ");
    if (frame->entered == BY_EVENT)
        add_code(t, text, frame->origin.rip);
    else if (v != NULL && v->form == BTF_VOID)
        text_add(text, "void");
    else if (v != NULL && (v->form == BTF_POINTER || v->form == BTF_STRING || v->form == BTF_FUNCTION) &&
             is_error(value, word, &error))
        add_result(text, value, word);
    else if (v != NULL)
        add_by_type(t, text, v, value);
    else
        add_number(text, value, word);
}
