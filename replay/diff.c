/* SPDX-License-Identifier: MIT */
/* The comparison of two recorded runs, from their events to where a difference leads: replay/diff.h. */
#include "diff_internal.h"
#include "output_diff.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emu/machine.h>
#include <replay/describe.h>
#include <traces/trace.h>

#define SPREAD_WINDOW (1u << 16) /* moves after the first difference that are looked at one by one */
#define FLOW_WINDOW   (1u << 22)
#define NEAR_ROWS     (1u << 21) /* rows so near to the first difference are filled in before going on from it */

/* --- life cycle --- */

static int open_reader(struct diff *d, unsigned side, const char *path, char *err, size_t errlen)
{
    struct trace_error terr;

    d->reader[side] = trace_reader_open(path, &terr);
    if (d->reader[side] != NULL)
        return 0;
    replay_describe_error(path, &terr, err, errlen);
    return -1;
}

static int read_events(struct diff *d, const char *const paths[2], char *err, size_t errlen)
{
    struct trace_error terr;
    unsigned side;

    d->events = trace_diff_create(d->reader[0], d->reader[1], &side, &terr);
    d->result.events = d->events;
    if (d->events != NULL)
        return 0;
    if (side < 2)
        replay_describe_error(paths[side], &terr, err, errlen);
    else
        snprintf(err, errlen, "out of memory");
    return -1;
}

/* Whether there is a difference in state to look for; else why_not. */
static bool wants_replay(struct diff *d)
{
    const struct trace_diff *e = d->events;
    char *why = d->result.why_not;
    size_t len = sizeof(d->result.why_not);

    if (trace_diff_same(e))
        return false;
    if (d->options.events_only)
        snprintf(why, len, "only events were to be compared");
    else if (e->other_machine && !d->options.force)
        snprintf(why, len, "the machines differ in what makes their instructions comparable");
    else if (!e->other_run && e->digests.different == 0 && e->nsites == 0 &&
             e->interrupts.relation != EVENT_ONLY_IN_A && e->interrupts.relation != EVENT_ONLY_IN_B &&
             e->interrupts.relation != EVENT_MOVED && e->interrupts.relation != EVENT_OTHER)
        snprintf(why, len, "the runs are the same as far as both go");
    return why[0] == '\0';
}

static int open_pair(struct diff *d, const char *const paths[2], const struct machine_board *board)
{
    struct timeline_options how = {.struct_size = sizeof(how),
                                   .checkpoint_bytes = d->options.checkpoint_bytes,
                                   .interrupted = d->options.interrupted,
                                   .progress = d->options.progress,
                                   .opaque = d->options.opaque};

    d->paired = true;
    if (pair_open(&d->pair, paths, board, &how, d->result.why_not, sizeof(d->result.why_not)) != 0)
        return -1;
    d->state = state_diff_create(d->pair.m[0], d->pair.m[1]);
    if (d->state == NULL) {
        snprintf(d->result.why_not, sizeof(d->result.why_not), "out of memory");
        return -1;
    }
    diff_listen(d);
    return 0;
}

struct diff *diff_open(const char *const paths[2], const struct machine_board *board,
                       const struct diff_options *options, char *err, size_t errlen)
{
    struct diff *d;

    if (options->struct_size != sizeof(*options)) {
        snprintf(err, errlen, "diff_open: wrong struct_size");
        return NULL;
    }
    d = calloc(1, sizeof(*d));
    if (d == NULL) {
        snprintf(err, errlen, "out of memory");
        return NULL;
    }
    d->options = *options;
    d->base_icount = UINT64_MAX;
    if (open_reader(d, 0, paths[0], err, errlen) != 0 || open_reader(d, 1, paths[1], err, errlen) != 0 ||
        read_events(d, paths, err, errlen) != 0) {
        diff_close(d);
        return NULL;
    }
    d->comparable = wants_replay(d) && open_pair(d, paths, board) == 0;
    return d;
}

void diff_close(struct diff *d)
{
    if (d == NULL)
        return;
    if (d->paired)
        pair_close(&d->pair);
    state_diff_destroy(d->state);
    trace_diff_destroy(d->events);
    trace_reader_destroy(d->reader[0]);
    trace_reader_destroy(d->reader[1]);
    free(d);
}

bool diff_will_replay(const struct diff *d)
{
    return d->comparable;
}

const struct diff_result *diff_result(const struct diff *d)
{
    return &d->result;
}

const struct trace_header *diff_header(const struct diff *d, unsigned side)
{
    return trace_reader_header(d->reader[side]);
}

const char *diff_error(const struct diff *d)
{
    return d->error;
}

/* --- the first difference --- */

static const struct diff_search any_difference = {.places = 0};

/* Machines of equal configuration: only where inputs differ can they begin to. */
static bool find_at_sites(struct diff *d, struct moment *before)
{
    for (size_t i = 0; i < d->events->nsites && !diff_stopped(d); i++) {
        uint64_t site = d->events->sites[i], to = site < d->limit ? site + 1 : d->limit;

        if (site <= d->limit && diff_go(d, (struct moment){.icount = to}) &&
            diff_holds(d, &any_difference))
            return diff_find_within(d, &any_difference, site > 0 ? site - 1 : 0, to, before);
    }
    return false;
}

/* Digests say up to where a replay need not look, as long as it is what was recorded. */
static bool find_by_digests(struct diff *d, struct moment *before, bool *exact)
{
    const struct digest_diff *digests = &d->events->digests;
    struct moment from = {.icount = digests->any_equal ? digests->equal_icount : 0};

    if (!diff_go(d, from) || diff_holds(d, &any_difference)) {
        from.icount = 0;
        if (!diff_go(d, from) || diff_holds(d, &any_difference))
            return false;
    }
    return diff_find(d, &any_difference, from, 0, before, exact);
}

/* Whether inputs explain all that differs in the traces. */
static bool inputs_explain(const struct trace_diff *e)
{
    return !e->other_run && e->nsites > 0 &&
           (e->digests.different == 0 || e->digests.icount >= e->sites[0]);
}

static void find_first(struct diff *d)
{
    struct diff_place *first = &d->result.first;
    struct moment before;
    bool exact = true, found;

    if (diff_holds(d, &any_difference)) {
        diff_describe_power_on(d, first);
        return;
    }
    found = inputs_explain(d->events) && find_at_sites(d, &before);
    if (!found && !diff_stopped(d))
        found = find_by_digests(d, &before, &exact);
    if (found) {
        first->exact = exact;
        diff_describe_place(d, before, first);
    }
}

/* --- where it leads --- */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static struct moment moment_after(const struct diff_place *place)
{
    return moment_before(place->after[0], place->after[1]) ? place->after[0] : place->after[1];
}

/* The two are about to execute different instructions. */
static bool is_parted(const struct diff_place *place)
{
    return !moment_equal(place->after[0], place->after[1]) ||
           place->next[0].linear != place->next[1].linear;
}

/* The first of anything else that differs. */
static void find_spread(struct diff *d)
{
    const struct diff_place *first = &d->result.first;
    struct diff_place *spread = &d->result.spread;
    struct diff_search s = {.places = first->difference.counts.places};
    struct moment before;

    if (is_parted(first) || !diff_find(d, &s, moment_after(first), SPREAD_WINDOW, &before, &spread->exact))
        return;
    diff_describe_place(d, before, spread);
}

/* Flows cannot part before anything spreads. */
static void find_parting(struct diff *d)
{
    const struct diff_result *r = &d->result;
    const struct diff_place *from = r->spread.found ? &r->spread : &r->first;
    struct diff_place *parting = &d->result.parting;
    const struct diff_search s = {.flow = true};
    struct moment before = from->before;
    bool exact = true;

    if (from->power_on && is_parted(from)) {
        *parting = *from;
        return;
    }
    if (!is_parted(from) &&
        (!r->spread.found || !diff_find(d, &s, moment_after(from), FLOW_WINDOW, &before, &exact)))
        return;
    parting->exact = exact && from->exact;
    diff_describe_place(d, before, parting);
}

static void follow(struct diff *d)
{
    const struct diff_place *first = &d->result.first;

    d->base_icount = later(first->after[0].icount, first->after[1].icount);
    if (d->options.after < d->limit && d->base_icount < d->limit - d->options.after)
        d->limit = d->pair.length = d->base_icount + d->options.after;
    diff_fill_rows(d, d->limit - d->base_icount > NEAR_ROWS ? d->base_icount + NEAR_ROWS : d->limit);
    find_spread(d);
    if (!diff_stopped(d))
        find_parting(d);
    if (!diff_stopped(d))
        diff_fill_rows(d, d->limit);
}

/* --- all of it --- */

static void run(struct diff *d)
{
    d->result.replayed = true;
    d->limit = d->pair.length = d->events->common_icount;
    d->result.unpaired_pages = state_diff_unpaired_pages(d->state);
    find_first(d);
    if (d->result.first.found && !diff_stopped(d))
        follow(d);
    else if (!diff_stopped(d))
        diff_go(d, (struct moment){.icount = d->limit});
}

/* A run that ends at the limit may end a handler's entry or a sleep later than the icount says. */
static void go_to_end(struct diff *d, unsigned side)
{
    const struct trace_extent *extent = &d->events->extent[side];
    struct diff_result *r = &d->result;

    r->ended[side] = extent->has_end && extent->last_icount <= d->limit;
    if (r->ended[side] && !r->diverged[side] && !diff_stopped(d))
        timeline_seek(d->pair.t[side], timeline_end_moment());
}

static void conclude(struct diff *d)
{
    const struct output_log *log[2];
    struct diff_result *r = &d->result;
    bool all[2];

    r->followed_to = d->limit;
    diff_look(d);
    for (unsigned side = 0; side < 2; side++) {
        go_to_end(d, side);
        log[side] = timeline_outputs(d->pair.t[side]);
        all[side] = d->events->extent[side].has_end && timeline_knows_all_output(d->pair.t[side]);
    }
    output_diff(log, all, &r->output);
    for (unsigned side = 0; side < 2; side++)
        if (timeline_check(d->pair.t[side]) != TIMELINE_THERE)
            snprintf(d->error, sizeof(d->error), "%s", timeline_error(d->pair.t[side]));
}

enum diff_verdict diff_run(struct diff *d)
{
    if (d->comparable) {
        run(d);
        conclude(d);
    }
    if (d->error[0] != '\0')
        return DIFF_ERROR;
    if (d->interrupted)
        return DIFF_INTERRUPTED;
    return trace_diff_same(d->events) ? DIFF_SAME : DIFF_DIFFERENT;
}
