/* SPDX-License-Identifier: MIT */
/*
 * `deja bisect T --causal`: when did the failure become inevitable? From moments of the recorded run before it, the
 * guest is run on with other timing, many times from each, and the share that still fails is given over icount.
 * Moments are spread evenly first; then the stretch in which the share rises most is halved, again and again.
 *
 * Exit status: 0; 1 the run does not fail; 2 bad usage or input.
 */
#include "bisect_runs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emu/cpu.h>
#include <replay/describe.h>
#include <replay/output_log.h>
#include <replay/pattern.h>
#include <replay/pool.h>
#include <replay/timeline.h>

#include "causal_plot.h"
#include "cli.h"
#include "guest_symbols.h"
#include "numbers.h"
#include "progress.h"
#include "runs_options.h"
#include "sandbox.h"
#include "survey.h"
#include "temp_index.h"
#include "trace_cmd.h"

#define DEFAULT_SAMPLES 20u
#define DEFAULT_POINTS  24u
#define EVENTS_SHOWN    12u

static const char usage[] = "deja bisect TRACE --causal [--samples K] [--points P] [--svg FILE] " FAILURE_USAGE;

struct causal {
    const struct runs_options *options;
    struct guest_symbols *symbols;
    struct timeline *timeline;
    struct survey run;
    struct script inputs;          /* without acts upon timing */
    uint64_t failed_at;            /* no later moment is of interest */
    uint64_t samples;
    struct causal_point *points;   /* ascending by icount */
    size_t npoints;
    size_t asked;                  /* the point that samples are taken of */
    uint64_t count, total;         /* samples taken, and to be taken */
    bool died;
};

/* --- one sample, in its own process --- */

struct sample {
    const struct causal *c;
    struct failure *failure;
    struct machine *m;
};

static void on_serial(void *opaque, unsigned port, const uint8_t *data, size_t len)
{
    struct sample *s = opaque;

    failure_serial_out(s->failure, port, data, len);
    if (s->c->options->failure.output != NULL && memchr(data, '\n', len) != NULL && failure_seen(s->failure))
        machine_request_stop(s->m, STOP_SOURCE);
}

static void on_debug(void *opaque, uint16_t port, uint8_t byte)
{
    struct sample *s = opaque;

    (void)port;
    failure_debug_out(s->failure, byte);
}

/* The same seeds at each moment, so that two of them differ by nothing else. */
static uint64_t sample_seed(const struct causal *c, size_t k)
{
    uint64_t z = (c->options->seed != 0 ? c->options->seed : 1) + (k + 1) * 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    z ^= z >> 31;
    return z != 0 ? z : 1;
}

static size_t first_input_from(const struct script *s, struct moment at)
{
    size_t i = 0;

    while (i < s->n && moment_before(s->events[i].at, at))
        i++;
    return i;
}

static void run_sample(void *opaque, size_t k, void *result)
{
    const struct causal *c = opaque;
    struct verdict *v = result;
    struct timeline *t = c->timeline;
    struct moment at = {.icount = c->points[c->asked].icount};
    struct script_run run = {.script = &c->inputs,
                             .until = {.icount = 2 * c->run.verdict.icount + 50000000},
                             .limit_ns = 2 * c->run.verdict.vns + 5 * NS_PER_SEC,
                             .no_reboot = c->run.verdict.why == STOP_RESET};
    struct sample s = {.c = c, .m = timeline_machine(t)};
    enum timeline_status status;
    enum machine_stop why;

    timeline_after_fork(t);
    s.failure = survey_judge_create(&c->options->failure, v->error, sizeof(v->error));
    if (s.failure == NULL)
        return;
    failure_begin(s.failure);
    status = timeline_seek(t, at);
    if (status != TIMELINE_THERE) {
        snprintf(v->error, sizeof(v->error), "the replay did not get to instruction %" PRIu64, at.icount);
        return;
    }
    survey_tell_past(s.failure, timeline_outputs(t), at.icount);
    timeline_branch(t);
    machine_perturb(s.m, &(struct perturb_config){.seed = sample_seed(c, k), .from_icount = at.icount});
    run.next = first_input_from(&c->inputs, machine_moment(s.m));
    machine_set_observer(s.m, &(struct machine_observer){
                                  .serial_out = on_serial, .debug_out = on_debug, .opaque = &s});
    why = script_play(&run, s.m);
    survey_judge(v, s.failure, c->symbols, s.m, why);
}

static enum pool_next take_sample(void *opaque, size_t k, const void *result)
{
    struct causal *c = opaque;
    struct causal_point *p = &c->points[c->asked];
    const struct verdict *v = result;

    (void)k;
    c->count++;
    progress_show(NULL, "samples", c->count, c->total);
    if (v == NULL || v->error[0] != '\0') {
        progress_end();
        cli_error("%s", v == NULL ? "a process that ran the guest died" : v->error);
        c->died = true;
        return POOL_STOP;
    }
    p->samples++;
    p->failed += v->failed;
    return POOL_GO_ON;
}

/* --- moments --- */

/* Takes the samples of a new moment, and puts it among the others. */
static int add_point(struct causal *c, uint64_t icount)
{
    struct pool pool = {.jobs = (unsigned)c->options->jobs,
                        .result_bytes = sizeof(struct verdict),
                        .enter = c->options->no_sandbox ? NULL : sandbox_enter,
                        .work = run_sample,
                        .done = take_sample,
                        .opaque = c};
    size_t at = c->npoints;
    char err[256];

    while (at > 0 && c->points[at - 1].icount > icount)
        at--;
    memmove(&c->points[at + 1], &c->points[at], (c->npoints - at) * sizeof(*c->points));
    c->points[at] = (struct causal_point){.icount = icount};
    c->npoints++;
    c->asked = at;
    if (pool_run(&pool, c->samples, err, sizeof(err)) != 0) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    return c->died ? EXIT_USAGE : EXIT_DONE;
}

static double share(const struct causal_point *p)
{
    return p->samples == 0 ? 1.0 : (double)p->failed / (double)p->samples;
}

/* The stretch, from this point to the next, in which the share rises most; of equals the last. SIZE_MAX: in none. */
static size_t steepest(const struct causal *c)
{
    size_t best = SIZE_MAX;
    double most = 0;

    for (size_t i = 0; i + 1 < c->npoints; i++) {
        double rise = share(&c->points[i + 1]) - share(&c->points[i]);

        if (rise > 0 && rise >= most) {
            most = rise;
            best = i;
        }
    }
    return best;
}

static int take_all(struct causal *c, uint64_t points)
{
    uint64_t even = points / 3 > 2 ? points / 3 : 2;
    int status = EXIT_DONE;

    c->total = points * c->samples;
    for (uint64_t i = 0; i < even && status == EXIT_DONE; i++)
        status = add_point(c, (uint64_t)((unsigned __int128)c->failed_at * i / even));
    /* Where it has failed, it has failed in every sample. */
    if (status == EXIT_DONE)
        c->points[c->npoints++] = (struct causal_point){.icount = c->failed_at};
    for (uint64_t i = even; i < points && status == EXIT_DONE; i++) {
        size_t s = steepest(c);
        uint64_t from, to;

        if (s == SIZE_MAX)
            break;
        from = c->points[s].icount;
        to = c->points[s + 1].icount;
        if (to - from < 2)
            break;
        status = add_point(c, from + (to - from) / 2);
    }
    progress_end();
    return status;
}

/* --- what is said --- */

/* What happened in the recorded run in the stretch. */
static void list_events(const struct causal *c, uint64_t from, uint64_t to, void (*print)(const struct causal *c,
                        const struct place *p, const char *text))
{
    char text[160];

    for (size_t i = 0; i < c->run.script.n; i++) {
        const struct script_event *e = &c->run.script.events[i];
        uint64_t at = c->run.places[i].at.icount;

        /* An act upon timing is done as soon as its moment is there: the samples from there on come after it. */
        if (e->kind == INPUT_TIME ? at <= from || at > to : at < from || at >= to)
            continue;
        script_describe(e, text, sizeof(text));
        print(c, &c->run.places[i], text);
    }
    for (size_t i = 0; i < c->run.ninterrupts; i++) {
        const struct surveyed_interrupt *n = &c->run.interrupts[i];

        if (n->place.at.icount < from || n->place.at.icount >= to)
            continue;
        snprintf(text, sizeof(text), "interrupt %" PRIu32 " (%s)", n->vector,
                 replay_interrupt_source_name(n->source));
        print(c, &n->place, text);
    }
}

static size_t printed; /* events so far: the first of them stands for no comma, the last for "more" */

static void print_event(const struct causal *c, const struct place *p, const char *text)
{
    char n[NUMBER_TEXT];

    (void)c;
    if (printed++ < EVENTS_SHOWN)
        printf("  %18s  %s%s%s\n", number_text(p->at.icount, n), text, p->symbol[0] != '\0' ? ", in " : "",
               p->symbol);
}

static void print_event_json(const struct causal *c, const struct place *p, const char *text)
{
    (void)c;
    printf("%s{\"icount\": %" PRIu64 ", \"entries\": %" PRIu32 ", \"vns\": %" PRIu64 ", \"rip\": %" PRIu64
           ", \"symbol\": ",
           printed++ > 0 ? ", " : "", p->at.icount, p->at.entries, p->vns, p->rip);
    json_string(stdout, p->symbol);
    printf(", \"what\": ");
    json_string(stdout, text);
    printf("}");
}

static void print_text(const struct causal *c)
{
    size_t s = steepest(c);
    char a[NUMBER_TEXT], b[NUMBER_TEXT];

    puts("       instruction  samples  failing");
    for (size_t i = 0; i < c->npoints; i++) {
        const struct causal_point *p = &c->points[i];

        if (p->samples == 0)
            printf("%18s        -     100%%  the failure\n", number_text(p->icount, a));
        else
            printf("%18s  %7" PRIu64 "  %6.0f%%\n", number_text(p->icount, a), p->samples, 100 * share(p));
    }
    if (s == SIZE_MAX) {
        puts("the share never rises: the failure does not depend on timing, or was sure from the start");
        return;
    }
    printf("it rises most from %s to %s: %.0f%% to %.0f%%\n", number_text(c->points[s].icount, a),
           number_text(c->points[s + 1].icount, b), 100 * share(&c->points[s]), 100 * share(&c->points[s + 1]));
    printed = 0;
    list_events(c, c->points[s].icount, c->points[s + 1].icount, print_event);
    if (printed == 0)
        puts("  no interrupt and no input there: what the guest did there by itself made it sure");
    else if (printed > EVENTS_SHOWN)
        printf("  and %zu more\n", printed - EVENTS_SHOWN);
    printf("deja debug %s --at %" PRIu64 "\n", c->run.path, c->points[s].icount);
}

static void print_json(const struct causal *c)
{
    size_t s = steepest(c);

    printf("{\"trace\": ");
    json_string(stdout, c->run.path);
    printf(", \"points\": [");
    for (size_t i = 0; i < c->npoints; i++)
        printf("%s{\"icount\": %" PRIu64 ", \"samples\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"share\": %.4f}",
               i > 0 ? ", " : "", c->points[i].icount, c->points[i].samples, c->points[i].failed,
               share(&c->points[i]));
    printf("], \"rise\": ");
    if (s == SIZE_MAX) {
        puts("null}");
        return;
    }
    printf("{\"from\": %" PRIu64 ", \"to\": %" PRIu64 ", \"events\": [", c->points[s].icount,
           c->points[s + 1].icount);
    printed = 0;
    list_events(c, c->points[s].icount, c->points[s + 1].icount, print_event_json);
    puts("]}}");
}

static int report(const struct causal *c)
{
    size_t s = steepest(c);

    if (c->options->json)
        print_json(c);
    else
        print_text(c);
    if (c->options->svg == NULL)
        return EXIT_DONE;
    return causal_plot(c->options->svg, c->run.path, c->points, c->npoints, s);
}

/* --- the command --- */

static int copy_inputs(struct causal *c)
{
    for (size_t i = 0; i < c->run.script.n; i++)
        if (c->run.script.events[i].kind != INPUT_TIME && script_add(&c->inputs, &c->run.script.events[i]) != 0) {
            cli_error("out of memory");
            return EXIT_USAGE;
        }
    return EXIT_DONE;
}

/* The end, or where the text of --output was complete. */
static int find_failure(struct causal *c)
{
    struct output_match match;
    struct pattern *p;
    char err[256];

    c->failed_at = c->run.verdict.icount;
    if (c->options->failure.output == NULL)
        return EXIT_DONE;
    p = pattern_parse(c->options->failure.output, err, sizeof(err));
    if (p == NULL) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    if (output_log_find(timeline_outputs(c->timeline), p, -1, 0, &match))
        c->failed_at = match.icount;
    pattern_destroy(p);
    return EXIT_DONE;
}

static int with_run(struct causal *c, uint64_t points)
{
    char text[320];
    int status;

    if (!c->run.verdict.failed) {
        survey_describe(&c->run.verdict, text, sizeof(text));
        cli_error("%s: it does not fail: it %s", c->run.path, text);
        return EXIT_NO;
    }
    status = copy_inputs(c);
    if (status == EXIT_DONE)
        status = temp_index_open(&c->timeline, c->run.path, c->options->no_sandbox);
    if (status == EXIT_DONE)
        status = find_failure(c);
    if (status == EXIT_DONE)
        status = take_all(c, points);
    if (status == EXIT_DONE)
        status = report(c);
    timeline_destroy(c->timeline);
    return status;
}

static int with_symbols(struct causal *c)
{
    struct survey_options how = {.failure = &c->options->failure,
                                 .symbols = c->symbols,
                                 .no_sandbox = c->options->no_sandbox};
    uint64_t points = c->options->points != 0 ? c->options->points : DEFAULT_POINTS;
    int status = EXIT_USAGE;

    c->samples = c->options->samples != 0 ? c->options->samples : DEFAULT_SAMPLES;
    c->points = calloc(points + 2, sizeof(*c->points));
    if (c->points == NULL)
        cli_error("out of memory");
    else
        status = survey_trace(&c->run, c->options->traces[0], &how);
    if (status == EXIT_DONE)
        status = with_run(c, points);
    survey_fini(&c->run);
    script_fini(&c->inputs);
    free(c->points);
    return status;
}

int bisect_causal(int argc, char **argv)
{
    struct runs_options a;
    struct causal c = {.options = &a};
    char err[512];
    int status = runs_options_parse(&a, "bisect", usage, argc, argv);

    if (status == EXIT_DONE && (a.ntraces != 1 || a.ngood + a.nbad > 0 || a.output != NULL)) {
        cli_error("bisect: --causal wants one trace, and writes none: %s", usage);
        status = EXIT_USAGE;
    }
    if (status != EXIT_DONE)
        return status;
    c.symbols = guest_symbols_create(a.vmlinux, NULL, err, sizeof(err));
    if (c.symbols == NULL) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    status = with_symbols(&c);
    guest_symbols_destroy(c.symbols);
    return status;
}
