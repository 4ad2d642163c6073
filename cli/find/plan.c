/* SPDX-License-Identifier: MIT */
/* What is known of where hits are, before anything is run: find.h. Output by its log, interrupts and inputs by the
 * trace's own list; so that only stretches with something in them are run. */
#include "find.h"

#include <stdlib.h>
#include <string.h>

#include <replay/describe.h>
#include <replay/pattern.h>
#include <traces/trace.h>

#include "../cli.h"

static int no_memory(void)
{
    cli_error("find: out of memory");
    return EXIT_USAGE;
}

/* Room for one more; NULL: there is none. */
static void *grow(void *list, size_t n, size_t bytes)
{
    /* A power of two: it is full. */
    return n & (n - 1) ? list : realloc(list, (n == 0 ? 1 : 2 * n) * bytes);
}

/* --- output --- */

static int compare_outputs(const void *a, const void *b)
{
    const struct find_output *x = a, *y = b;

    if (x->icount != y->icount)
        return x->icount < y->icount ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

static bool add_output(struct find_plan *plan, const struct output_match *match)
{
    struct find_output *list = grow(plan->outputs, plan->noutputs, sizeof(*list));

    if (list == NULL)
        return false;
    plan->outputs = list;
    list[plan->noutputs++] = (struct find_output){.icount = match->icount, .line = match->line};
    return true;
}

static bool plan_pattern(struct find_plan *plan, const struct pattern *p, const struct timeline *t)
{
    const struct output_log *log = timeline_outputs(t);
    struct output_match match;

    for (size_t line = 0; line < output_log_lines(log); line++)
        if (output_log_match(log, line, p, &match) && !add_output(plan, &match))
            return false;
    return true;
}

/* By moment, each once, whatever number of patterns it matches. */
static void sort_outputs(struct find_plan *plan)
{
    size_t kept = 0;

    if (plan->noutputs == 0)
        return;
    qsort(plan->outputs, plan->noutputs, sizeof(plan->outputs[0]), compare_outputs);
    for (size_t i = 1; i < plan->noutputs; i++)
        if (compare_outputs(&plan->outputs[kept], &plan->outputs[i]) != 0)
            plan->outputs[++kept] = plan->outputs[i];
    plan->noutputs = kept + 1;
}

static int plan_outputs(const struct find_args *a, const struct timeline *t, struct find_plan *plan)
{
    for (size_t i = 0; i < a->n; i++) {
        if (a->selectors[i].kind != SELECT_OUTPUT)
            continue;
        if (!timeline_knows_all_output(t)) {
            cli_error("find: %s: the guest printed more than can be kept", a->trace);
            return EXIT_USAGE;
        }
        if (!plan_pattern(plan, a->selectors[i].pattern, t))
            return no_memory();
    }
    sort_outputs(plan);
    return EXIT_DONE;
}

/* --- the trace's list --- */

static bool is_listed(const struct selector *s)
{
    return s->kind == SELECT_EVENT && (s->inputs || s->kinds == WATCH_BIT(WATCH_INTERRUPT));
}

static bool is_wanted(const struct find_args *a, const struct trace_event *ev)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct selector *s = &a->selectors[i];
        uint64_t number = ev->kind == TRACE_EVENT_INPUT ? ev->u.input.kind : ev->u.interrupt.vector;

        if (is_listed(s) && s->inputs == (ev->kind == TRACE_EVENT_INPUT) &&
            (!s->ranged || (number >= s->first && number <= s->last)))
            return true;
    }
    return false;
}

static int read_events(const struct find_args *a, struct trace_reader *r, struct find_plan *plan)
{
    struct trace_event ev;
    int rc;

    while ((rc = trace_reader_next(r, &ev)) > 0) {
        uint64_t *list;

        if ((ev.kind != TRACE_EVENT_INPUT && ev.kind != TRACE_EVENT_INTERRUPT) || !is_wanted(a, &ev))
            continue;
        list = grow(plan->events, plan->nevents, sizeof(*list));
        if (list == NULL)
            return no_memory();
        plan->events = list;
        list[plan->nevents++] = ev.icount;
    }
    if (rc < 0)
        plan->everywhere = true; /* a damaged trace: running it says where */
    return EXIT_DONE;
}

static int plan_events(const struct find_args *a, struct find_plan *plan)
{
    struct trace_error terr;
    struct trace_reader *r;
    char text[640];
    int status;

    r = trace_reader_open(a->trace, &terr);
    if (r == NULL) {
        replay_describe_error(a->trace, &terr, text, sizeof(text));
        cli_error("%s", text);
        return EXIT_USAGE;
    }
    status = read_events(a, r, plan);
    trace_reader_destroy(r);
    return status;
}

/* --- all of it --- */

int find_plan(const struct find_args *a, const struct timeline *t, struct find_plan *plan)
{
    bool listed = false;
    int status;

    *plan = (struct find_plan){0};
    for (size_t i = 0; i < a->n; i++) {
        listed |= is_listed(&a->selectors[i]);
        plan->everywhere |= a->selectors[i].kind != SELECT_OUTPUT && !is_listed(&a->selectors[i]);
    }
    status = plan_outputs(a, t, plan);
    if (status == EXIT_DONE && listed && !plan->everywhere)
        status = plan_events(a, plan);
    return status;
}

void find_plan_free(struct find_plan *plan)
{
    free(plan->outputs);
    free(plan->events);
}

bool find_plan_wants(const struct find_plan *plan, const struct scan_segment *s)
{
    if (plan->everywhere)
        return true;
    /* What happens at the boundary itself may be on either side. */
    for (size_t i = 0; i < plan->noutputs; i++)
        if (plan->outputs[i].icount >= s->from.icount && plan->outputs[i].icount <= s->to.icount)
            return true;
    for (size_t i = 0; i < plan->nevents; i++)
        if (plan->events[i] >= s->from.icount && plan->events[i] <= s->to.icount)
            return true;
    return false;
}

uint64_t find_plan_last(const struct find_plan *plan)
{
    uint64_t last = 0;

    if (plan->everywhere)
        return UINT64_MAX;
    if (plan->noutputs > 0)
        last = plan->outputs[plan->noutputs - 1].icount;
    if (plan->nevents > 0 && plan->events[plan->nevents - 1] > last)
        last = plan->events[plan->nevents - 1];
    return last;
}
