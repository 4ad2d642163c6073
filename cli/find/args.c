/* SPDX-License-Identifier: MIT */
/* The command line of `deja find`, and the filters that it sets: find.h. */
#include "find.h"

#include <stdio.h>
#include <string.h>

#include <replay/pattern.h>

#include "../cli.h"
#include "../option_values.h"
#include "../trace_cmd.h"

#define USAGE "deja find TRACE [--exec PLACE] [--writes|--reads|--accesses PLACE[,LEN]] [--output TEXT] [--event NAME] ..."
#define CR3_ADDRESS 0x000ffffffffff000ULL /* of the tables; the rest are flags and, with KPTI, which of two */

static int bad(const char *option, const char *value, const char *want)
{
    cli_error("find: --%s %s: %s", option, value, want);
    return -1;
}

/* --- selectors --- */

static struct selector *add_selector(struct find_args *a, enum selector_kind kind, const char *text)
{
    struct selector *s = &a->selectors[a->n];

    if (a->n == FIND_MAX_SELECTORS) {
        cli_error("find: more than %u things to look for", FIND_MAX_SELECTORS);
        return NULL;
    }
    *s = (struct selector){.kind = kind, .text = text};
    a->n++;
    return s;
}

static int take_exec(struct find_args *a, const char *value)
{
    struct selector *s = add_selector(a, SELECT_EXEC, value);

    if (s == NULL)
        return -1;
    if (!place_parse(value, &s->place) || s->place.physical || s->place.length > 0)
        return bad("exec", value, "want a virtual address, or a symbol: 0x1000, do_idle, do_idle+4");
    return 1;
}

static int take_memory(struct find_args *a, const char *option, const char *value)
{
    struct selector *s = add_selector(a, SELECT_MEMORY, value);

    if (s == NULL)
        return -1;
    s->reads = strcmp(option, "writes") != 0;
    s->writes = strcmp(option, "reads") != 0;
    if (!place_parse(value, &s->place))
        return bad(option, value, "want an address or a symbol, and how many bytes: 0x1000,8, phys:0x1000,8, jiffies_64,8");
    return 1;
}

static int take_output(struct find_args *a, const char *value)
{
    struct selector *s = add_selector(a, SELECT_OUTPUT, value);
    char err[256];

    if (s == NULL)
        return -1;
    s->pattern = pattern_parse(value, err, sizeof(err));
    return s->pattern != NULL ? 1 : bad("output", value, err);
}

static int take_event(struct find_args *a, const char *value)
{
    struct selector *s = add_selector(a, SELECT_EVENT, value);
    char err[256];

    if (s == NULL)
        return -1;
    return find_event_parse(value, s, err, sizeof(err)) ? 1 : bad("event", value, err);
}

/* --- filters --- */

static const struct {
    const char *text;
    enum value_test test;
} operators[] = {
    {"==", VALUE_EQUAL},   {"!=", VALUE_UNEQUAL}, {"<=", VALUE_AT_MOST}, {">=", VALUE_AT_LEAST},
    {"=", VALUE_EQUAL},    {"<", VALUE_LESS},     {">", VALUE_GREATER},  {"&", VALUE_BITS},
};

/* The operator that a text begins with, and what is behind it. */
static enum value_test take_operator(const char **text)
{
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        size_t len = strlen(operators[i].text);

        if (strncmp(*text, operators[i].text, len) == 0) {
            *text += len;
            return operators[i].test;
        }
    }
    return VALUE_EQUAL;
}

/* `next`: the argument behind it, which *used says is a part of it. */
static int take_value(struct find_args *a, const char *value, const char *next, bool *used)
{
    const char *rest = value;

    a->test = take_operator(&rest);
    *used = rest != value && *rest == '\0' && next != NULL;
    if (*used)
        rest = next;
    while (*rest == ' ')
        rest++;
    a->negative = *rest == '-';
    if (!value_u64(rest + a->negative, &a->value))
        return bad("value", value, "want a number, or one behind ==, !=, <, >, <=, >= or &");
    if (a->negative)
        a->value = -a->value;
    return 1;
}

static int take_cpl(struct find_args *a, const char *value)
{
    a->have_cpl = true;
    return value_u64(value, &a->cpl) && a->cpl <= 3 ? 1 : bad("cpl", value, "want a privilege level, 0 to 3");
}

static int take_cr3(struct find_args *a, const char *value)
{
    a->have_cr3 = true;
    return value_u64(value, &a->cr3) ? 1 : bad("cr3", value, "want the value of CR3 of an address space");
}

bool find_value_counts(const struct find_args *a, uint64_t value, unsigned size)
{
    uint64_t want = a->value;

    if (a->negative && size < 8)
        want &= (1ULL << 8 * size) - 1;
    switch (a->test) {
    case VALUE_ANY: break;
    case VALUE_EQUAL: return value == want;
    case VALUE_UNEQUAL: return value != want;
    case VALUE_LESS: return value < want;
    case VALUE_GREATER: return value > want;
    case VALUE_AT_MOST: return value <= want;
    case VALUE_AT_LEAST: return value >= want;
    case VALUE_BITS: return (value & want) != 0;
    }
    return true;
}

bool find_state_counts(const struct find_args *a, uint64_t cr3, unsigned cpl)
{
    return (!a->have_cpl || cpl == a->cpl) && (!a->have_cr3 || ((cr3 ^ a->cr3) & CR3_ADDRESS) == 0);
}

/* --- all of it --- */

static const char *const valued[] = {"exec", "writes", "reads", "accesses", "output", "event", "value", "cpl", "cr3"};
#define NVALUED (sizeof(valued) / sizeof(valued[0]))

static int take_valued(struct find_args *a, const char *option, const char *value, int argc, char **argv, int *i)
{
    bool used = false;
    int taken;

    if (strcmp(option, "exec") == 0)
        return take_exec(a, value);
    if (strcmp(option, "output") == 0)
        return take_output(a, value);
    if (strcmp(option, "event") == 0)
        return take_event(a, value);
    if (strcmp(option, "cpl") == 0)
        return take_cpl(a, value);
    if (strcmp(option, "cr3") == 0)
        return take_cr3(a, value);
    if (strcmp(option, "value") != 0)
        return take_memory(a, option, value);
    taken = take_value(a, value, *i + 1 < argc ? argv[*i + 1] : NULL, &used);
    *i += used;
    return taken;
}

static bool take_order(struct find_args *a, const char *arg)
{
    if (is_option(arg, "first"))
        a->order = SCAN_FIRST;
    else if (is_option(arg, "last"))
        a->order = SCAN_LAST;
    else if (is_option(arg, "all"))
        a->order = SCAN_ALL;
    else
        return false;
    return true;
}

/* 1: taken; 0: it is no option of ours; -1: an error that was said. */
static int take(struct find_args *a, int argc, char **argv, int *i)
{
    int taken;

    if (take_order(a, argv[*i]))
        return 1;
    for (size_t k = 0; k < NVALUED; k++) {
        const char *value;

        taken = take_option(valued[k], "find", argc, argv, i, &value);
        if (taken != 0)
            return taken < 0 ? -1 : take_valued(a, valued[k], value, argc, argv, i);
    }
    return query_option(&a->query, argc, argv, i);
}

static int bad_usage(const char *what, const char *arg)
{
    cli_error("find: %s%s: " USAGE, what, arg);
    return EXIT_USAGE;
}

int find_args_parse(struct find_args *a, int argc, char **argv)
{
    memset(a, 0, sizeof(*a));
    query_options_init(&a->query, "find", QUERY_JOBS | QUERY_MODULES);
    for (int i = 1; i < argc; i++) {
        int taken = take(a, argc, argv, &i);

        if (taken < 0)
            return EXIT_USAGE;
        if (taken > 0)
            continue;
        if (argv[i][0] == '-' && argv[i][1] != '\0')
            return bad_usage("unknown option: ", argv[i]);
        if (a->trace != NULL)
            return bad_usage("takes one trace, this is a second: ", argv[i]);
        a->trace = argv[i];
    }
    if (a->trace == NULL)
        return bad_usage("needs a trace", "");
    return a->n > 0 ? EXIT_DONE : bad_usage("nothing to look for", "");
}

void find_args_free(struct find_args *a)
{
    for (size_t i = 0; i < a->n; i++)
        pattern_destroy(a->selectors[i].pattern);
}
