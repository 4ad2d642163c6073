/* SPDX-License-Identifier: MIT */
/* Judging runs: failure.h. */
#include "failure.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <replay/expr.h>
#include <replay/pattern.h>

#include "cli.h"
#include "option_values.h"
#include "output_lines.h"
#include "output_watch.h"
#include "report.h"
#include "trace_cmd.h"

struct failure {
    struct failure_options o;
    struct pattern *output; /* NULL: no --output */
    struct expr *when;      /* NULL: no --fail-when */
    struct expr *renamed;   /* the same with other symbols; NULL: as it is */
    struct output_watch *watch; /* for `output`, or the patterns of `when` */
};

/* --- options --- */

bool failure_given(const struct failure_options *o)
{
    return o->when != NULL || o->output != NULL || o->status_given;
}

static int set_status(struct failure_options *o, const char *command, const char *value)
{
    o->status_given = true;
    if (value_u64(value, &o->status) && o->status <= 255)
        return 1;
    cli_error("%s: --status %s: want an exit status of `deja run`, from 0 to 255", command, value);
    return -1;
}

int failure_option(struct failure_options *o, const char *command, int argc, char **argv, int *i)
{
    static const char *const names[] = {"fail-when", "when", "output", "status"};
    const char *option = argv[*i], *value = NULL;
    size_t n = 0;
    int rc = 0;

    while (n < sizeof(names) / sizeof(names[0]) && rc == 0)
        rc = take_option(names[n++], command, argc, argv, i, &value);
    if (rc <= 0)
        return rc;
    if (failure_given(o)) {
        cli_error("%s: %s: what a failure is has been said already; give one of --fail-when, --output and --status",
                  command, option);
        return -1;
    }
    if (n == 4)
        return set_status(o, command, value);
    *(n == 3 ? &o->output : &o->when) = value;
    return 1;
}

void failure_describe(const struct failure_options *o, char *out, size_t len)
{
    if (o->output != NULL)
        snprintf(out, len, "the guest printed %s", o->output);
    else if (o->when != NULL)
        snprintf(out, len, "%s at the end", o->when);
    else if (o->status_given)
        snprintf(out, len, "the status is %" PRIu64, o->status);
    else
        snprintf(out, len, "the guest ended badly");
}

/* --- listening --- */

void failure_begin(struct failure *f)
{
    output_watch_begin(f->watch);
}

void failure_serial_out(struct failure *f, unsigned port, const uint8_t *data, size_t len)
{
    output_watch_feed(f->watch, port, data, len);
}

void failure_debug_out(struct failure *f, uint8_t byte)
{
    output_watch_feed(f->watch, OUTPUT_LINES_DEBUG, &byte, 1);
}

/* --- judging --- */

bool failure_seen(struct failure *f)
{
    return f->output != NULL && output_watch_seen(f->watch, 0);
}

const char *failure_line(const struct failure *f)
{
    return f->output != NULL ? output_watch_line(f->watch, 0) : NULL;
}

/* Patterns by their text: the condition may have been parsed again since the watch began. */
static bool has_seen(void *opaque, const struct pattern *wanted)
{
    const struct failure *f = opaque;
    const struct pattern *p;

    for (size_t i = 0; expr_pattern(f->when, i, &p); i++)
        if (strcmp(pattern_text(p), pattern_text(wanted)) == 0)
            return output_watch_seen(f->watch, i);
    return false;
}

bool failure_judge(struct failure *f, const struct machine *m, enum machine_stop why)
{
    struct expr_view view = {.seen = has_seen, .opaque = f};
    int status = report_status(m, why);

    if (f->output != NULL)
        return failure_seen(f);
    if (f->when != NULL)
        return expr_holds(f->renamed != NULL ? f->renamed : f->when, m, &view);
    return f->o.status_given ? (uint64_t)status == f->o.status : status >= EXIT_GUEST;
}

/* --- life cycle --- */

static int watch_patterns(struct failure *f)
{
    const struct pattern *p, **patterns;
    size_t n = 0;

    while (f->when != NULL && expr_pattern(f->when, n, &p))
        n++;
    patterns = calloc(n + 1, sizeof(*patterns));
    if (patterns == NULL)
        return -1;
    for (size_t i = 0; i < n; i++)
        expr_pattern(f->when, i, &patterns[i]);
    if (f->output != NULL)
        patterns[n++] = f->output;
    f->watch = output_watch_create(patterns, n);
    free(patterns);
    return f->watch == NULL ? -1 : 0;
}

/* "--output" in front of a message about its value. */
static void name_option(char *err, size_t errlen, const char *option)
{
    char text[512];

    snprintf(text, sizeof(text), "%s", err);
    snprintf(err, errlen, "%s: %s", option, text);
}

static struct expr *parse_condition(const char *text, const struct expr_names *names, char *err, size_t errlen)
{
    struct expr *e = expr_parse(text, names, err, errlen);

    if (e == NULL)
        name_option(err, errlen, "--fail-when");
    return e;
}

struct failure *failure_create(const struct failure_options *o, const struct expr_names *names, char *err,
                               size_t errlen)
{
    struct failure *f = calloc(1, sizeof(*f));

    if (f == NULL)
        goto no_memory;
    f->o = *o;
    if (o->output != NULL && (f->output = pattern_parse(o->output, err, errlen)) == NULL) {
        name_option(err, errlen, "--output");
        goto fail;
    }
    if (o->when != NULL && (f->when = parse_condition(o->when, names, err, errlen)) == NULL)
        goto fail;
    if (watch_patterns(f) == 0)
        return f;

no_memory:
    snprintf(err, errlen, "out of memory");
fail:
    failure_destroy(f);
    return NULL;
}

int failure_rename(struct failure *f, const struct expr_names *names, char *err, size_t errlen)
{
    struct expr *e = f->when == NULL ? NULL : parse_condition(f->o.when, names, err, errlen);

    if (f->when == NULL)
        return 0;
    if (e == NULL)
        return -1;
    expr_destroy(f->renamed);
    f->renamed = e;
    return 0;
}

void failure_destroy(struct failure *f)
{
    if (f == NULL)
        return;
    output_watch_destroy(f->watch);
    pattern_destroy(f->output);
    expr_destroy(f->renamed);
    expr_destroy(f->when);
    free(f);
}
