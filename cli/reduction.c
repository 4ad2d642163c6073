/* SPDX-License-Identifier: MIT */
/* The least that makes a run fail: reduction.h. */
#include "reduction.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <replay/describe.h>
#include <replay/player.h>
#include <replay/reduce.h>

#include "cli.h"
#include "numbers.h"
#include "progress.h"
#include "trace_cmd.h"

#define NEAR_MAX       160u /* places that are tried for one interrupt */
#define INTERRUPTS_MAX 4u   /* interrupts behind the last act that are tried */

/* --- life cycle --- */

/* A run that goes on for this much longer than the one that failed has not failed. */
static void set_limits(struct trials *t, const struct survey *bad)
{
    t->limit_icount = 2 * bad->verdict.icount + 50000000;
    t->limit_ns = 2 * bad->verdict.vns + 5 * NS_PER_SEC;
    t->no_reboot = bad->verdict.why == STOP_RESET;
}

int reduction_init(struct reduction *r, const struct reduction_options *o, struct guest_symbols *symbols,
                   const struct script *base, const struct machine_config *base_config, const struct survey *bad)
{
    char err[256];

    *r = (struct reduction){.options = o, .symbols = symbols};
    script_init(&r->least.script);
    if (transplant_init(&r->transplant, base, base_config, &bad->script, survey_config(bad), err, sizeof(err)) != 0) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    r->trials = (struct trials){.transplant = &r->transplant,
                                .failure = o->failure,
                                .symbols = symbols,
                                .jobs = o->jobs,
                                .no_sandbox = o->no_sandbox,
                                .what = "runs tried"};
    set_limits(&r->trials, bad);
    r->before = r->transplant.n;
    r->set = calloc(r->before + 1, 1);
    if (r->set != NULL)
        return EXIT_DONE;
    cli_error("out of memory");
    return EXIT_USAGE;
}

static void forget_trace(struct reduction *r)
{
    if (r->temporary)
        unlink(r->path);
    r->temporary = false;
}

void reduction_fini(struct reduction *r)
{
    forget_trace(r);
    if (r->least.path != NULL)
        survey_fini(&r->least);
    transplant_fini(&r->transplant);
    free(r->set);
}

static int host_failed(const struct reduction *r)
{
    progress_end();
    cli_error("%s", r->trials.error[0] != '\0' ? r->trials.error : "out of memory");
    return EXIT_USAGE;
}

/* --- trying --- */

static size_t first_failing(void *opaque, const uint8_t *const *sets, size_t count)
{
    struct reduction *r = opaque;
    struct trial *list = calloc(count, sizeof(*list));
    struct verdict v;
    size_t found;

    if (list == NULL)
        return REDUCE_STOPPED;
    for (size_t i = 0; i < count; i++)
        list[i] = (struct trial){.set = sets[i], .preempt = NO_PREEMPT};
    found = trials_first_failing(&r->trials, list, count, &v);
    free(list);
    return found;
}

static int reduction_try(struct reduction *r, bool all, bool *fails)
{
    const uint8_t *sets[] = {r->set};
    size_t found;

    memset(r->set, all, r->before);
    found = first_failing(r, sets, 1);
    *fails = found == 0;
    return found == SIZE_MAX ? host_failed(r) : EXIT_DONE;
}

/* --- recording what is left --- */

static int choose_path(struct reduction *r)
{
    const char *folder = getenv("TMPDIR");
    int fd;

    if (r->path[0] != '\0')
        return EXIT_DONE;
    if (r->options->output != NULL) {
        snprintf(r->path, sizeof(r->path), "%s", r->options->output);
        return EXIT_DONE;
    }
    snprintf(r->path, sizeof(r->path), "%s/deja-XXXXXX", folder != NULL ? folder : "/tmp");
    fd = mkstemp(r->path);
    if (fd < 0) {
        cli_error("%s: %s", r->path, strerror(errno));
        return EXIT_USAGE;
    }
    close(fd);
    r->temporary = true;
    return EXIT_DONE;
}

/* Runs what is left, recorded, and replays the recording. */
static int record_least(struct reduction *r, uint64_t until)
{
    struct survey_options how = {
        .failure = r->options->failure, .symbols = r->symbols, .no_sandbox = r->options->no_sandbox};
    struct verdict v;
    int status = choose_path(r);

    if (status != EXIT_DONE)
        return status;
    if (trials_record(&r->trials, r->set, r->by_place ? &r->preemption : NULL, until, r->path, &v) != 0)
        return host_failed(r);
    progress_end();
    if (r->least.path != NULL)
        survey_fini(&r->least);
    status = survey_trace(&r->least, r->path, &how);
    if (status == EXIT_DONE && !r->least.verdict.failed) {
        cli_error("%s: this run fails no more when it is recorded", r->path);
        status = EXIT_NO;
    }
    return status;
}

int reduction_shorten(struct reduction *r, uint64_t until)
{
    return record_least(r, until);
}

/* --- by place --- */

/* The last change that is made is an act upon timing: its moment. */
static bool last_is_act(const struct reduction *r, struct moment *at)
{
    for (size_t c = r->transplant.n; c-- > 0;) {
        const struct change *change = &r->transplant.changes[c];
        const struct script_event *e;

        if (!r->set[c])
            continue;
        if (change->kind != CHANGE_EVENT || change->added == NO_EVENT)
            return false;
        e = &r->transplant.other->events[change->added];
        *at = e->at;
        return e->kind == INPUT_TIME;
    }
    return false;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* The nearest first. */
static void sort_by_distance(struct moment *places, size_t n, uint64_t near)
{
    for (size_t i = 1; i < n; i++) {
        struct moment m = places[i];
        size_t k = i;

        for (; k > 0 && distance(places[k - 1].icount, near) > distance(m.icount, near); k--)
            places[k] = places[k - 1];
        places[k] = m;
    }
}

/* Preempts the base run where it executes what this interrupt interrupted. 1: that fails; 0: it does not; -1. */
static int try_places(struct reduction *r, const struct place *interrupted)
{
    uint8_t *none = calloc(r->before + 1, 1);
    struct moment places[NEAR_MAX];
    struct trial list[NEAR_MAX];
    struct verdict v = {0};
    size_t n, found;

    if (none == NULL)
        return -1;
    n = trials_find(&r->trials, none, interrupted->rip, interrupted->at.icount, places, NEAR_MAX);
    if (n == SIZE_MAX) {
        free(none);
        return -1;
    }
    sort_by_distance(places, n, interrupted->at.icount);
    for (size_t i = 0; i < n; i++)
        list[i] = (struct trial){.set = none, .preempt = places[i]};
    found = trials_first_failing(&r->trials, list, n, &v);
    free(none);
    if (found == SIZE_MAX)
        return -1;
    if (found == n || v.preempt_ns == 0)
        return 0;
    r->by_place = true;
    r->preemption_ns = v.preempt_ns;
    r->preemption = (struct script_event){.kind = INPUT_TIME,
                                          .port = INPUT_TIME_SKIP,
                                          .at = places[found],
                                          .vns = v.preempt_vns,
                                          .data = (const uint8_t *)&r->preemption_ns,
                                          .len = sizeof(r->preemption_ns)};
    memset(r->set, 0, r->before);
    return 1;
}

/* EXIT_DONE also when it did not help. */
static int look_by_place(struct reduction *r)
{
    struct moment act;
    unsigned tried = 0;
    int status;

    if (!last_is_act(r, &act))
        return EXIT_DONE;
    status = record_least(r, 0);
    for (size_t i = 0; status == EXIT_DONE && i < r->least.ninterrupts && tried < INTERRUPTS_MAX; i++) {
        const struct place *p = &r->least.interrupts[i].place;

        if (moment_before(p->at, act))
            continue;
        tried++;
        switch (try_places(r, p)) {
        case 1: return EXIT_DONE;
        case 0: break;
        default: status = host_failed(r);
        }
    }
    return status;
}

/* --- all of it --- */

/* All changes together fail, none does not. */
static int shrink(struct reduction *r)
{
    struct reduce reduce = {.n = r->before, .first_failing = first_failing, .opaque = r};
    int status;

    memset(r->set, 1, r->before);
    if (reduce_prefix(&reduce, r->set) != 0)
        return host_failed(r);
    status = look_by_place(r);
    if (status == EXIT_DONE && !r->by_place && reduce_minimal(&reduce, r->set) != 0)
        status = host_failed(r);
    r->after = r->by_place ? 1 : reduce_count(&reduce, r->set);
    return status;
}

int reduction_find(struct reduction *r)
{
    bool fails;
    int status = reduction_try(r, false, &fails);

    if (status == EXIT_DONE && !fails) {
        status = reduction_try(r, true, &fails);
        if (status == EXIT_DONE && !fails) {
            progress_end();
            cli_error("the run fails no more when what came to it comes to it again, as inputs");
            return EXIT_NO;
        }
        if (status == EXIT_DONE)
            status = shrink(r);
    }
    return status == EXIT_DONE ? record_least(r, 0) : status;
}

/* --- printing --- */

static const char *config_change(enum change_kind kind)
{
    switch (kind) {
    case CHANGE_SEED: return "the machine's seed";
    case CHANGE_RTC: return "the time at power-on";
    case CHANGE_CMDLINE: return "the command line";
    case CHANGE_EVENT: break;
    }
    return "";
}

struct printer {
    bool json;
    size_t n; /* lines so far */
};

static void print_item(struct printer *p, const struct place *at, const char *text)
{
    uint64_t second = NS_PER_SEC;
    char n[NUMBER_TEXT];

    if (!p->json && at == NULL) {
        printf("  %s\n", text);
    } else if (!p->json) {
        printf("  %s  %5" PRIu64 ".%06" PRIu64 "  %s%s%s\n", number_text(at->at.icount, n), at->vns / second,
               at->vns % second / 1000, text, at->symbol[0] != '\0' ? ", in " : "", at->symbol);
    } else {
        printf("%s{\"what\": ", p->n > 0 ? ", " : "");
        json_string(stdout, text);
        if (at != NULL) {
            printf(", \"icount\": %" PRIu64 ", \"entries\": %" PRIu32 ", \"vns\": %" PRIu64 ", \"rip\": %" PRIu64
                   ", \"symbol\": ",
                   at->at.icount, at->at.entries, at->vns, at->rip);
            json_string(stdout, at->symbol);
        }
        printf("}");
    }
    p->n++;
}

static void print_change(struct printer *p, const struct survey *least, const struct survey *bad,
                         const struct survey *good, const struct change *c)
{
    const struct script_event *e;
    char what[160], text[256];

    (void)least;
    if (c->kind != CHANGE_EVENT) {
        print_item(p, NULL, config_change(c->kind));
        return;
    }
    e = c->added != NO_EVENT ? &bad->script.events[c->added] : &good->script.events[c->removed];
    script_describe(e, what, sizeof(what));
    if (c->added != NO_EVENT && c->removed != NO_EVENT)
        snprintf(text, sizeof(text), "%s, which came at %" PRIu64, what, good->script.events[c->removed].at.icount);
    else
        snprintf(text, sizeof(text), "%s%s", c->added == NO_EVENT ? "without " : "", what);
    print_item(p, c->added != NO_EVENT ? &bad->places[c->added] : &good->places[c->removed], text);
}

void reduction_print(const struct reduction *r, const struct survey *bad, const struct survey *good)
{
    struct printer p = {.json = r->options->json};

    if (p.json)
        printf("[");
    if (r->by_place) {
        char text[160];

        script_describe(&r->preemption, text, sizeof(text));
        for (size_t i = 0; i < r->least.script.n; i++)
            if (script_same_event(&r->least.script.events[i], &r->preemption))
                print_item(&p, &r->least.places[i], text);
    }
    for (size_t c = 0; c < r->transplant.n; c++)
        if (r->set[c])
            print_change(&p, &r->least, bad, good, &r->transplant.changes[c]);
    if (p.json)
        printf("]");
}
