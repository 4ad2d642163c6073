/* SPDX-License-Identifier: MIT */
/* Options and places of questions: query.h. */
#include "query.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <replay/scan.h>

#include "cli.h"
#include "moments.h"
#include "option_values.h"
#include "trace_cmd.h"

#define KERNEL_DIGITS 16u /* of an address as kernels print it */

void query_options_init(struct query_options *q, const char *command, unsigned takes)
{
    *q = (struct query_options){.command = command, .takes = takes, .to = timeline_end_moment()};
}

/* --- options --- */

static int bad_value(const struct query_options *q, const char *name, const char *value, const char *want)
{
    cli_error("%s: --%s %s: want %s", q->command, name, value, want);
    return -1;
}

static int take_between(struct query_options *q, const char *value)
{
    struct moment last;

    if (!moment_parse_range(value, &q->from, &last))
        return bad_value(q, "between", value, "two instructions, the earlier first: A..B, begin..B or A..end");
    /* B itself is included. */
    q->to = last.icount == UINT64_MAX ? last : (struct moment){.icount = last.icount + 1};
    return 1;
}

static int take_value(struct query_options *q, const char *name, const char *value)
{
    if (strcmp(name, "between") == 0)
        return take_between(q, value);
    if (strcmp(name, "vmlinux") == 0)
        q->vmlinux = value;
    else if (strcmp(name, "modules") == 0)
        q->modules = value;
    else if (strcmp(name, "jobs") == 0)
        return value_u64(value, &q->jobs) && q->jobs > 0 && q->jobs <= SCAN_MAX_JOBS
                   ? 1
                   : bad_value(q, name, value, "a number from 1 to 256");
    else if (strcmp(value, "on") == 0 || strcmp(value, "off") == 0)
        q->no_sandbox = strcmp(value, "off") == 0;
    else
        return bad_value(q, name, value, "on or off");
    return 1;
}

int query_option(struct query_options *q, int argc, char **argv, int *i)
{
    static const struct {
        const char *name;
        unsigned needs;
    } options[] = {
        {"between", 0}, {"vmlinux", 0}, {"sandbox", 0}, {"modules", QUERY_MODULES}, {"jobs", QUERY_JOBS},
    };

    if (is_option(argv[*i], "json")) {
        q->json = true;
        return 1;
    }
    for (size_t k = 0; k < sizeof(options) / sizeof(options[0]); k++) {
        const char *value;
        int taken = (options[k].needs & ~q->takes) != 0
                        ? 0
                        : take_option(options[k].name, q->command, argc, argv, i, &value);

        if (taken != 0)
            return taken < 0 ? -1 : take_value(q, options[k].name, value);
    }
    return 0;
}

/* --- places --- */

static bool kernel_address(const char *text, uint64_t *address)
{
    if (strlen(text) != KERNEL_DIGITS || strspn(text, "0123456789abcdef") != KERNEL_DIGITS)
        return false;
    *address = strtoull(text, NULL, 16);
    return true;
}

static bool number(const char *text, uint64_t *value)
{
    return kernel_address(text, value) || value_u64(text, value);
}

/* NAME, NAME+N, and what kernels print: NAME+N/SIZE. */
static bool symbol_parse(char *text, struct place *place)
{
    char *plus = strchr(text, '+'), *slash;

    if (plus != NULL) {
        *plus++ = '\0';
        slash = strchr(plus, '/');
        if (slash != NULL)
            *slash = '\0';
        if (!value_u64(plus, &place->address))
            return false;
    }
    if (isdigit((unsigned char)text[0]) || text[0] == '\0' || strpbrk(text, " ,:/=-") != NULL)
        return false;
    strcpy(place->symbol, text);
    return true;
}

bool place_parse(const char *text, struct place *place)
{
    char copy[PLACE_SYMBOL_MAX], *comma;

    *place = (struct place){.physical = strncmp(text, "phys:", 5) == 0};
    text += place->physical ? 5 : 0;
    if (strlen(text) >= sizeof(copy))
        return false;
    strcpy(copy, text);
    comma = strchr(copy, ',');
    if (comma != NULL) {
        *comma = '\0';
        if (!value_u64(comma + 1, &place->length) || place->length == 0)
            return false;
    }
    if (number(copy, &place->address))
        return place->length == 0 || place->address + (place->length - 1) >= place->address;
    return !place->physical && symbol_parse(copy, place);
}
