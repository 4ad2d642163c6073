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
#include <replay/timeline.h>

#include "cli.h"
#include "numbers.h"
#include "progress.h"
#include "temp_index.h"
#include "trace_cmd.h"

#define LONG_RUN       100000000u /* instructions */
#define CUTS           3u   /* moments that are tried at a time for an earlier end */
#define NEAR_MAX       (4 * VISITS_MAX) /* places that are tried for one interrupt */
#define INTERRUPTS_MAX 4u   /* interrupts behind the last act that are tried, */
#define SOUNDINGS      8u   /* each at so many places first */

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
    r->none = calloc(r->before + 1, 1);
    if (r->set != NULL && r->none != NULL)
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
    timeline_destroy(r->trials.base);
    survey_fini(&r->least);
    transplant_fini(&r->transplant);
    free(r->set);
    free(r->none);
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
        list[i] = (struct trial){.set = sets[i]};
    found = trials_first_failing(&r->trials, list, count, &v);
    free(list);
    return found;
}

/* The run with no change made, or with all. */
static int try_extreme(struct reduction *r, bool all, struct verdict *v)
{
    memset(r->set, all, r->before);
    return trials_run_one(&r->trials, &(struct trial){.set = r->set}, v) == 0 ? EXIT_DONE : host_failed(r);
}

/* --- recording what is left --- */

static int make_temporary(char *path, size_t len)
{
    const char *folder = getenv("TMPDIR");
    int fd;

    snprintf(path, len, "%s/deja-XXXXXX", folder != NULL ? folder : "/tmp");
    fd = mkstemp(path);
    if (fd < 0) {
        cli_error("%s: %s", path, strerror(errno));
        return EXIT_USAGE;
    }
    close(fd);
    return EXIT_DONE;
}

static int choose_path(struct reduction *r)
{
    int status = EXIT_DONE;

    if (r->path[0] != '\0')
        return EXIT_DONE;
    if (r->options->output != NULL) {
        snprintf(r->path, sizeof(r->path), "%s", r->options->output);
    } else {
        status = make_temporary(r->path, sizeof(r->path));
        r->temporary = status == EXIT_DONE;
    }
    return status;
}

/* A base run that is long is recorded, with checkpoints: most runs begin like it. */
static int record_base(struct reduction *r)
{
    char path[256];
    struct verdict v;
    int status = make_temporary(path, sizeof(path));

    if (status != EXIT_DONE)
        return status;
    if (trials_record(&r->trials, &(struct trial){.set = r->none}, path, &v) != 0)
        status = host_failed(r);
    if (status == EXIT_DONE)
        status = temp_index_open(&r->trials.base, path, r->options->no_sandbox);
    unlink(path);
    return status;
}

static struct trial what_is_left(const struct reduction *r, uint64_t until)
{
    return (struct trial){.set = r->set, .more = r->by_place ? &r->preemption : NULL, .until = until};
}

/* Runs what is left, recorded, and replays the recording. */
static int record_least(struct reduction *r)
{
    struct survey_options how = {
        .failure = r->options->failure, .symbols = r->symbols, .no_sandbox = r->options->no_sandbox};
    struct trial trial = what_is_left(r, r->until);
    struct verdict v;
    int status = choose_path(r);

    if (status != EXIT_DONE)
        return status;
    if (trials_record(&r->trials, &trial, r->path, &v) != 0)
        return host_failed(r);
    progress_end();
    survey_fini(&r->least);
    status = survey_trace(&r->least, r->path, &how);
    if (status == EXIT_DONE && !r->least.verdict.failed) {
        cli_error("%s: this run fails no more when it is recorded", r->path);
        status = EXIT_NO;
    }
    return status;
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
static void sort_by_distance(struct visit *places, size_t n, uint64_t near)
{
    for (size_t i = 1; i < n; i++) {
        struct visit v = places[i];
        size_t k = i;

        for (; k > 0 && distance(places[k - 1].at.icount, near) > distance(v.at.icount, near); k--)
            places[k] = places[k - 1];
        places[k] = v;
    }
}

static const uint64_t preempt_ns = 16000000; /* to a timer interrupt no further away */

static struct script_event preemption_at(const struct visit *where)
{
    return (struct script_event){.kind = INPUT_TIME,
                                 .port = INPUT_TIME_PREEMPT,
                                 .at = where->at,
                                 .vns = where->vns,
                                 .data = (const uint8_t *)&preempt_ns,
                                 .len = sizeof(preempt_ns)};
}

/* Where the base run executes what an interrupt interrupted, the likeliest first: where the stack is as deep; then, the
 * nearest. */
struct candidates {
    struct visits places;
    struct script_event events[NEAR_MAX];
    struct trial trials[NEAR_MAX];
    size_t n;
};

static int find_candidates(struct reduction *r, const struct place *interrupted, struct candidates *c)
{
    struct visits *v = &c->places;
    uint64_t near = interrupted->at.icount;

    if (trials_find(&r->trials, r->none, interrupted, v) != 0)
        return -1;
    sort_by_distance(v->list, v->alike, near);
    sort_by_distance(v->list + v->alike, v->n - v->alike, near);
    c->n = v->n;
    for (size_t i = 0; i < c->n; i++) {
        c->events[i] = preemption_at(&v->list[i]);
        c->trials[i] = (struct trial){.set = r->none, .more = &c->events[i]};
    }
    return 0;
}

static void keep_preemption(struct reduction *r, const struct script_event *e)
{
    r->by_place = true;
    r->preemption = *e;
    memset(r->set, 0, r->before);
}

/* Of the first few candidates, how many fail: a preemption in the right place fails nearly always, one anywhere else
 * only if a later interrupt happens to be moved to the right place. */
static int sound(struct reduction *r, const struct candidates *c, size_t *fail, size_t *first)
{
    struct verdict v[SOUNDINGS];
    size_t n = c->n < SOUNDINGS ? c->n : SOUNDINGS;

    *fail = 0;
    if (trials_run(&r->trials, c->trials, v, n) != 0)
        return -1;
    for (size_t i = n; i-- > 0;)
        if (v[i].failed) {
            *first = i;
            ++*fail;
        }
    return 0;
}

/* The interrupts behind the last act, `n` of them. 0, also when none of their places fails; -1: host. */
static int try_places(struct reduction *r, const struct surveyed_interrupt *interrupts, size_t n)
{
    struct candidates *c = calloc(n + 1, sizeof(*c));
    size_t best = 0, fail, first = 0, v = 0;
    struct verdict verdict;
    int rc = c == NULL ? -1 : 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = find_candidates(r, &interrupts[i].place, &c[i]);
        if (rc == 0)
            rc = sound(r, &c[i], &fail, &first);
        if (rc == 0 && fail > best) {
            best = fail;
            keep_preemption(r, &c[i].events[first]);
        }
    }
    for (size_t i = 0; i < n && rc == 0 && best == 0 && v == 0; i++) {
        first = trials_first_failing(&r->trials, c[i].trials, c[i].n, &verdict);
        rc = first == SIZE_MAX ? -1 : 0;
        v = rc == 0 && first < c[i].n;
        if (v > 0)
            keep_preemption(r, &c[i].events[first]);
    }
    free(c);
    return rc;
}

/* EXIT_DONE also when it did not help. */
static int look_by_place(struct reduction *r)
{
    struct moment act;
    size_t from = 0, n;
    int status;

    if (!last_is_act(r, &act))
        return EXIT_DONE;
    status = record_least(r);
    if (status != EXIT_DONE)
        return status;
    while (from < r->least.ninterrupts && moment_before(r->least.interrupts[from].place.at, act))
        from++;
    n = r->least.ninterrupts - from;
    if (n > INTERRUPTS_MAX)
        n = INTERRUPTS_MAX;
    return try_places(r, r->least.interrupts + from, n) == 0 ? EXIT_DONE : host_failed(r);
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
    struct verdict base, all;
    int status = try_extreme(r, false, &base);

    if (status == EXIT_DONE && !base.failed) {
        status = try_extreme(r, true, &all);
        if (status == EXIT_DONE && !all.failed) {
            progress_end();
            cli_error("the run fails no more when what came to it comes to it again, as inputs");
            return EXIT_NO;
        }
        if (status == EXIT_DONE && base.icount > LONG_RUN)
            status = record_base(r);
        if (status == EXIT_DONE)
            status = shrink(r);
    }
    return status == EXIT_DONE ? record_least(r) : status;
}

/* --- an earlier end --- */

int reduction_end_early(struct reduction *r)
{
    uint64_t low = 0, high = r->least.verdict.icount; /* it does not hold after low, it does after high */
    struct verdict v;

    while (high - low > 1) {
        struct trial list[CUTS];
        size_t n = 0, found;

        for (unsigned c = 1; c <= CUTS; c++) {
            uint64_t at = low + (uint64_t)((unsigned __int128)(high - low) * c / (CUTS + 1));

            if (at > low && (n == 0 || at > list[n - 1].until))
                list[n++] = what_is_left(r, at);
        }
        found = trials_first_failing(&r->trials, list, n, &v);
        if (found == SIZE_MAX)
            return host_failed(r);
        if (found > 0)
            low = list[found - 1].until;
        if (found < n)
            high = list[found].until;
    }
    if (high == r->least.verdict.icount)
        return EXIT_DONE;
    r->until = high;
    return record_least(r);
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

/* Where in the guest's code an event came in the run that is left. */
static const struct place *place_in(const struct survey *least, const struct script_event *e)
{
    for (size_t i = 0; i < least->script.n; i++)
        if (script_same_content(&least->script.events[i], e) && !moment_before(least->script.events[i].at, e->at))
            return &least->places[i];
    return NULL;
}

static void print_change(struct printer *p, const struct survey *least, const struct survey *bad,
                         const struct survey *good, const struct change *c)
{
    const struct script_event *e;
    char what[160], text[256];

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
    print_item(p, c->added != NO_EVENT ? place_in(least, e) : &good->places[c->removed], text);
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
