/* SPDX-License-Identifier: MIT */
/*
 * `deja bisect --good G... --bad B...`: which inputs, or which interrupt, make the difference between recorded runs
 * that end well and others that end badly.
 *
 * Exit status: 0; 1 there is no answer: a good run fails, a bad one does not; 2 bad usage or input.
 */
#include "bisect_runs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <replay/describe.h>

#include "cli.h"
#include "guest_symbols.h"
#include "numbers.h"
#include "progress.h"
#include "reduction.h"
#include "runs_options.h"
#include "trace_cmd.h"

static const char usage[] = "deja bisect --good TRACE... --bad TRACE... " FAILURE_USAGE " [-o MIN]";

struct runs {
    const struct runs_options *options;
    struct guest_symbols *symbols;
    struct survey good[RUNS_MAX], bad[RUNS_MAX];
    const struct survey *from, *to; /* the pair that differs least */
};

/* --- the runs that there are --- */

static int survey_one(struct runs *r, struct survey *s, const char *path, bool fails)
{
    struct survey_options how = {
        .failure = &r->options->failure, .symbols = r->symbols, .no_sandbox = r->options->no_sandbox};
    char text[320];
    int status = survey_trace(s, path, &how);

    if (status != EXIT_DONE || s->verdict.failed == fails)
        return status;
    survey_describe(&s->verdict, text, sizeof(text));
    cli_error("%s: named as %s, but it %s: it %s", path, fails ? "bad" : "good", fails ? "does not fail" : "fails",
              text);
    return EXIT_NO;
}

static int survey_all(struct runs *r)
{
    const struct runs_options *o = r->options;
    int status = EXIT_DONE;

    for (size_t i = 0; i < o->ngood && status == EXIT_DONE; i++)
        status = survey_one(r, &r->good[i], o->good[i], false);
    for (size_t i = 0; i < o->nbad && status == EXIT_DONE; i++)
        status = survey_one(r, &r->bad[i], o->bad[i], true);
    return status;
}

/* The pair with the fewest differences. */
static int choose_pair(struct runs *r)
{
    size_t least = SIZE_MAX;
    char err[256] = "";

    for (size_t g = 0; g < r->options->ngood; g++)
        for (size_t b = 0; b < r->options->nbad; b++) {
            struct transplant t;

            if (transplant_init(&t, &r->good[g].script, survey_config(&r->good[g]), &r->bad[b].script,
                                survey_config(&r->bad[b]), err, sizeof(err)) == 0 &&
                t.n < least) {
                least = t.n;
                r->from = &r->good[g];
                r->to = &r->bad[b];
            }
            transplant_fini(&t);
        }
    if (least != SIZE_MAX)
        return EXIT_DONE;
    cli_error("bisect: %s", err);
    return EXIT_USAGE;
}

/* --- what the changes do --- */

/* The first interrupt of the new run that the good one did not take like that. NULL: none. *was: what the good run took
 * instead, or NULL. */
static const struct surveyed_interrupt *first_difference(const struct survey *good, const struct survey *now,
                                                         const struct surveyed_interrupt **was)
{
    for (size_t i = 0; i < now->ninterrupts; i++) {
        const struct surveyed_interrupt *a = &now->interrupts[i];
        const struct surveyed_interrupt *b = i < good->ninterrupts ? &good->interrupts[i] : NULL;

        if (b != NULL && moment_equal(a->place.at, b->place.at) && a->vector == b->vector &&
            a->source == b->source)
            continue;
        *was = b;
        return a;
    }
    return NULL;
}

static void print_interrupt_json(const char *name, const struct surveyed_interrupt *i)
{
    printf(", \"%s\": ", name);
    if (i == NULL) {
        printf("null");
        return;
    }
    printf("{\"vector\": %" PRIu32 ", \"source\": \"%s\", \"icount\": %" PRIu64 ", \"vns\": %" PRIu64
           ", \"rip\": %" PRIu64 ", \"symbol\": ",
           i->vector, replay_interrupt_source_name(i->source), i->place.at.icount, i->place.vns, i->place.rip);
    json_string(stdout, i->place.symbol);
    printf("}");
}

static const char *in_symbol(const struct place *p, char *out, size_t len)
{
    if (p->symbol[0] != '\0')
        snprintf(out, len, "in %s", p->symbol);
    else
        snprintf(out, len, "at %#" PRIx64, p->rip);
    return out;
}

static void print_interrupt(const struct surveyed_interrupt *now, const struct surveyed_interrupt *was)
{
    char a[NUMBER_TEXT], b[NUMBER_TEXT], d[NUMBER_TEXT], here[PLACE_TEXT + 8], there[PLACE_TEXT + 8];
    uint64_t x = now->place.at.icount, y = was != NULL ? was->place.at.icount : 0;

    printf("the first interrupt that differs: %" PRIu32 " (%s) comes at %s %s", now->vector,
           replay_interrupt_source_name(now->source), number_text(x, a), in_symbol(&now->place, here, sizeof(here)));
    if (was == NULL)
        printf(", where the good run takes none\n");
    else
        printf(",\n  in the good run %" PRIu32 " at %s %s: %s instructions %s\n", was->vector, number_text(y, b),
               in_symbol(&was->place, there, sizeof(there)), number_text(x < y ? y - x : x - y, d),
               x < y ? "earlier" : "later");
}

static void print_json(const struct runs *r, const struct reduction *d)
{
    const struct surveyed_interrupt *was = NULL, *now = first_difference(r->from, &d->least, &was);

    printf("{\"good\": ");
    json_string(stdout, r->from->path);
    printf(", \"bad\": ");
    json_string(stdout, r->to->path);
    printf(", \"differences\": %zu, \"runs\": %" PRIu64 ", \"changes\": ", d->before, d->trials.count);
    reduction_print(d, r->to, r->from);
    print_interrupt_json("interrupt", now);
    print_interrupt_json("instead_of", was);
    printf(", \"fails_at\": %" PRIu64 ", \"trace\": ", d->least.verdict.icount);
    if (d->temporary)
        printf("null");
    else
        json_string(stdout, d->path);
    puts("}");
}

static void print_result(const struct runs *r, const struct reduction *d)
{
    const struct surveyed_interrupt *was = NULL, *now = first_difference(r->from, &d->least, &was);
    char text[320];

    if (r->options->json) {
        print_json(r, d);
        return;
    }
    printf("%s and %s differ in %zu %s; with %s the good run fails (%" PRIu64 " runs tried):\n", r->from->path,
           r->to->path, d->before, d->before == 1 ? "thing" : "things", d->after == 1 ? "this alone" : "these",
           d->trials.count);
    reduction_print(d, r->to, r->from);
    if (now != NULL)
        print_interrupt(now, was);
    survey_describe(&d->least.verdict, text, sizeof(text));
    printf("it %s\n", text);
    if (!d->temporary)
        printf("deja debug %s\n", d->path);
}

/* --- the command --- */

static int find_difference(struct runs *r)
{
    const struct runs_options *a = r->options;
    struct reduction_options o = {.failure = &a->failure,
                                  .output = a->output,
                                  .jobs = (unsigned)a->jobs,
                                  .no_sandbox = a->no_sandbox,
                                  .json = a->json};
    struct reduction d;
    int status = reduction_init(&d, &o, r->symbols, &r->from->script, survey_config(r->from), r->to);

    if (status == EXIT_DONE)
        status = reduction_find(&d);
    progress_end();
    if (status == EXIT_DONE && d.after == 0) {
        cli_error("%s: it fails when what came to it comes to it again, as inputs", r->from->path);
        status = EXIT_NO;
    }
    if (status == EXIT_DONE)
        print_result(r, &d);
    reduction_fini(&d);
    return status;
}

static int with_symbols(struct runs *r)
{
    const struct runs_options *o = r->options;
    int status = survey_all(r);

    if (status == EXIT_DONE)
        status = choose_pair(r);
    if (status == EXIT_DONE)
        status = find_difference(r);
    for (size_t i = 0; i < o->ngood; i++)
        survey_fini(&r->good[i]);
    for (size_t i = 0; i < o->nbad; i++)
        survey_fini(&r->bad[i]);
    return status;
}

int bisect_runs(int argc, char **argv)
{
    struct runs_options a;
    struct runs *r;
    char err[512];
    int status = runs_options_parse(&a, "bisect", usage, argc, argv);

    if (status == EXIT_DONE && (a.ngood == 0 || a.nbad == 0 || a.ntraces > 0)) {
        cli_error("bisect: wants good runs and bad ones: %s", usage);
        status = EXIT_USAGE;
    }
    if (status == EXIT_DONE)
        status = runs_options_check_output(&a, "bisect");
    if (status != EXIT_DONE)
        return status;
    r = calloc(1, sizeof(*r));
    if (r == NULL || (r->symbols = guest_symbols_create(a.vmlinux, NULL, err, sizeof(err))) == NULL) {
        cli_error("%s", r == NULL ? "out of memory" : err);
        free(r);
        return EXIT_USAGE;
    }
    r->options = &a;
    status = with_symbols(r);
    guest_symbols_destroy(r->symbols);
    free(r);
    return status;
}
