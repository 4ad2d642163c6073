/* SPDX-License-Identifier: MIT */
/*
 * Replaying a trace: replay/player.h says what is checked.
 *
 * The player looks one event ahead. `next` is the first event that has not happened yet, and each
 * of the machine's questions is answered from it:
 *
 *     poll      an input that is due now is offered; a digest that is due, or an end that only the
 *               recorder knew of, stops the machine at this boundary; a moment that has passed is a
 *               divergence
 *     horizon   the machine comes back where `next` is due, or where it would be known to be
 * missing wait      a halted machine sleeps no further than to an input or end that is due by time
 *     interrupt (observed) must be `next`
 *
 * Invariants: 1. `next` moves forward only when its event happened as recorded. 2. Every stop that
 * the player asks for has a `due` that says why. 3. A boundary may be visited any number of times:
 * what was offered is no longer `next`, timers that fired are not due, so cutting a run changes
 * nothing.
 *
 * A machine that departed might never stop again by itself (halted, its timers ticking, no
 * interrupt open). Virtual time bounds that: it can no longer be right once it is later than the
 * next input or than the end. A trace that is cut off may know of neither; there MAX_IDLE_JUMPS
 * bounds it.
 */
#include <replay/player.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emu/cpu.h>
#include <replay/describe.h>

#include "machine_header.h"

#define EVENT_TEXT     192u
#define MAX_IDLE_JUMPS (1u << 26)

/* What the next thing to happen is. */
enum next_kind {
    NEXT_INPUT,
    NEXT_INTERRUPT,
    NEXT_DIGEST,
    NEXT_END,
    NEXT_CUT,        /* the recording is cut off here */
    NEXT_UNREADABLE, /* the trace is damaged here: `error` */
};

/* Why the player stopped the machine. */
enum due { DUE_NOTHING, DUE_DIGEST, DUE_END, DUE_CUT, DUE_DIVERGED, DUE_ERROR };

struct player {
    struct machine *m;
    struct trace_reader *reader;
    struct restored_config config;
    struct machine_observer outputs, tap;
    char *path;
    enum next_kind next;
    struct trace_event ev; /* `next`, unless it is CUT or UNREADABLE */
    struct player_place place; /* where `next` is in the trace */
    enum due due;
    enum player_status status; /* PLAYER_EXACT while it goes on */
    struct player_counts counts;
    struct player_divergence divergence;
    struct trace_end end;
    bool has_end;
    bool started;
    uint64_t idle_icount; /* where the machine sleeps, */
    uint32_t idle_jumps;  /* and how often it was sent on from there */
    char error[512];
    uint8_t input[TRACE_INPUT_MAX]; /* bytes of the input on offer: the reader's go with `next` */
};

const char *player_difference_name(enum player_difference what)
{
    switch (what) {
    case PLAYER_DIFFERS_INTERRUPT: return "interrupt";
    case PLAYER_DIFFERS_INPUT: return "input";
    case PLAYER_DIFFERS_DIGEST: return "digest";
    case PLAYER_DIFFERS_END: return "end";
    }
    return "unknown";
}

/* --- the next event --- */

static void unreadable(struct player *p, const struct trace_error *terr)
{
    replay_describe_error(p->path, terr, p->error, sizeof(p->error));
    p->next = NEXT_UNREADABLE;
}

static enum next_kind kind_of_event(struct player *p)
{
    switch (p->ev.kind) {
    case TRACE_EVENT_INPUT:
        if (p->ev.u.input.kind > 0 && p->ev.u.input.kind < INPUT_KIND_COUNT)
            return NEXT_INPUT;
        snprintf(p->error, sizeof(p->error),
                 "%s: the input at instruction %" PRIu64 " is of kind %" PRIu32
                 ", which this deja does not know",
                 p->path, p->ev.icount, p->ev.u.input.kind);
        return NEXT_UNREADABLE;
    case TRACE_EVENT_INTERRUPT: return NEXT_INTERRUPT;
    case TRACE_EVENT_DIGEST: return NEXT_DIGEST;
    default: return NEXT_END;
    }
}

/* The reader's next event of any kind, its place noted. */
static int read_event(struct player *p)
{
    int rc = trace_reader_next(p->reader, &p->ev);

    p->place.ordinal++;
    p->place.nth++;
    if (rc > 0 && p->ev.icount != p->place.icount) {
        p->place.icount = p->ev.icount;
        p->place.nth = 1;
    }
    return rc;
}

static void advance(struct player *p)
{
    struct trace_error terr;
    int rc;

    do
        rc = read_event(p);
    while (rc > 0 && p->ev.kind == TRACE_EVENT_MARK);
    if (rc > 0) {
        p->next = kind_of_event(p);
        return;
    }
    p->next = NEXT_CUT;
    if (rc < 0) {
        trace_reader_error(p->reader, &terr);
        unreadable(p, &terr);
    }
}

static void describe_next(const struct player *p, char *out, size_t outlen)
{
    char event[EVENT_TEXT];

    if (p->next == NEXT_CUT || p->next == NEXT_UNREADABLE) {
        snprintf(out, outlen, "nothing: the recording stops here");
        return;
    }
    replay_describe_event(&p->ev, event, sizeof(event));
    snprintf(out, outlen, "%s at instruction %" PRIu64, event, p->ev.icount);
    if (p->next == NEXT_INPUT)
        snprintf(out + strlen(out), outlen - strlen(out), ", %" PRIu64 " ns", p->ev.u.input.vns);
    else if (p->next == NEXT_END)
        snprintf(out + strlen(out), outlen - strlen(out), ", %" PRIu64 " ns", p->ev.u.end.vns);
}

/* --- divergence --- */

__attribute__((format(printf, 3, 4))) static void
diverge(struct player *p, enum player_difference what, const char *found, ...)
{
    struct player_divergence *d = &p->divergence;
    va_list ap;

    if (p->status != PLAYER_EXACT)
        return;
    p->status = PLAYER_DIVERGED;
    p->due = DUE_DIVERGED;
    d->what = what;
    d->icount = p->m->clock.icount;
    d->vns = clock_now_ns(&p->m->clock);
    d->rip = p->m->cpus[0].rip;
    describe_next(p, d->expected, sizeof(d->expected));
    va_start(ap, found);
    vsnprintf(d->found, sizeof(d->found), found, ap);
    va_end(ap);
    machine_request_stop(p->m, STOP_SOURCE);
}

static enum player_difference difference_of_next(const struct player *p)
{
    switch (p->next) {
    case NEXT_INPUT: return PLAYER_DIFFERS_INPUT;
    case NEXT_INTERRUPT: return PLAYER_DIFFERS_INTERRUPT;
    case NEXT_DIGEST: return PLAYER_DIFFERS_DIGEST;
    default: return PLAYER_DIFFERS_END;
    }
}

static bool has_event(const struct player *p)
{
    return p->next != NEXT_CUT && p->next != NEXT_UNREADABLE;
}

/* Whether a machine that is here now can still be at `icount` when it is `vns`. */
static bool can_reach(const struct machine *m, uint64_t icount, uint64_t vns)
{
    unsigned __int128 earliest;

    if (icount < m->clock.icount)
        return false;
    earliest = (unsigned __int128)(icount - m->clock.icount) * m->clock.ns_per_insn +
               clock_now_ns(&m->clock);
    return earliest <= vns;
}

/* Notices that the moment of `next` has passed, or cannot come any more. */
static void check_moment(struct player *p)
{
    const struct machine *m = p->m;
    bool reachable = true;

    if (!has_event(p) || p->status != PLAYER_EXACT)
        return;
    if (p->next == NEXT_INPUT)
        reachable = can_reach(m, p->ev.icount, p->ev.u.input.vns);
    else if (p->has_end)
        reachable = can_reach(m, p->end.icount, p->end.vns);
    if (m->clock.icount > p->ev.icount)
        diverge(p, difference_of_next(p), "it did not come: the guest is at instruction %" PRIu64,
                m->clock.icount);
    else if (!reachable)
        diverge(p, difference_of_next(p),
                "it did not come: at instruction %" PRIu64 " it is %" PRIu64 " ns, too late for it",
                m->clock.icount, clock_now_ns(&m->clock));
}

/* --- source --- */

static void stop_for(struct player *p, enum due due)
{
    p->due = due;
    machine_request_stop(p->m, STOP_SOURCE);
}

/* True for an end that came from outside of the machine: it has to be made, not awaited. */
static bool end_is_ours(const struct trace_end *end)
{
    return strcmp(end->reason, machine_stop_name(STOP_SOURCE)) == 0 ||
           strcmp(end->reason, machine_stop_name(STOP_ICOUNT)) == 0;
}

static bool at_end(const struct player *p)
{
    return p->m->clock.icount == p->ev.icount && clock_now_ns(&p->m->clock) == p->ev.u.end.vns;
}

static bool offer_input(struct player *p, struct input *in)
{
    const struct trace_event *ev = &p->ev;

    if (p->m->clock.icount != ev->icount || clock_now_ns(&p->m->clock) != ev->u.input.vns)
        return false;
    *in = (struct input){.kind = (enum input_kind)ev->u.input.kind,
                         .port = ev->u.input.port,
                         .data = p->input,
                         .len = ev->u.input.len};
    if (in->len > 0)
        memcpy(p->input, ev->u.input.data, in->len);
    p->counts.inputs++;
    advance(p);
    return true;
}

static bool poll_next(void *opaque, struct machine *m, struct input *in)
{
    struct player *p = opaque;

    check_moment(p);
    if (p->status != PLAYER_EXACT)
        return false;
    switch (p->next) {
    case NEXT_INPUT: return offer_input(p, in);
    case NEXT_INTERRUPT: break;
    case NEXT_DIGEST:
        if (m->clock.icount == p->ev.icount)
            stop_for(p, DUE_DIGEST);
        break;
    case NEXT_END:
        if (at_end(p) && end_is_ours(&p->ev.u.end))
            stop_for(p, DUE_END);
        break;
    case NEXT_CUT: stop_for(p, DUE_CUT); break;
    case NEXT_UNREADABLE: stop_for(p, DUE_ERROR); break;
    }
    return false;
}

static uint64_t horizon(void *opaque, uint64_t icount)
{
    const struct player *p = opaque;
    uint64_t at = p->ev.icount;

    switch (p->next) {
    case NEXT_INPUT:
    case NEXT_DIGEST: break;
    case NEXT_END:
        if (end_is_ours(&p->ev.u.end))
            break;
        /* fall through */
    case NEXT_INTERRUPT: /* due at `at`, known to be missing one further */
        at = at == UINT64_MAX ? at : at + 1;
        break;
    case NEXT_CUT:
    case NEXT_UNREADABLE: at = 0; break;
    }
    return at > icount ? at : icount + 1;
}

/* The same sleep without any progress, again and again, in a trace that gives time no bound. */
static bool sleeps_for_ever(struct player *p)
{
    uint64_t icount = p->m->clock.icount;

    if (p->idle_icount != icount) {
        p->idle_icount = icount;
        p->idle_jumps = 0;
    }
    return ++p->idle_jumps >= MAX_IDLE_JUMPS && !p->has_end && p->next != NEXT_INPUT;
}

static uint64_t wait_next(void *opaque, struct machine *m, uint64_t deadline_ns)
{
    struct player *p = opaque;
    uint64_t now = clock_now_ns(&m->clock), at = CLOCK_NEVER;

    if (sleeps_for_ever(p)) {
        diverge(p, difference_of_next(p), "the guest sleeps at instruction %" PRIu64 " for ever",
                m->clock.icount);
        return now;
    }
    if (p->next == NEXT_INPUT && p->ev.icount == m->clock.icount)
        at = p->ev.u.input.vns;
    else if (p->next == NEXT_END && p->ev.icount == m->clock.icount)
        at = p->ev.u.end.vns;
    /* The recorder's source ended the run here, by knowing that nothing would come. */
    if (p->next == NEXT_END && at_end(p) &&
        strcmp(p->ev.u.end.reason, machine_stop_name(STOP_HALTED)) == 0)
        return CLOCK_NEVER;
    if (at <= now)
        at = CLOCK_NEVER;
    return at < deadline_ns ? at : deadline_ns;
}

/* --- observer --- */

static void on_input(void *opaque, const struct input *in)
{
    const struct player *p = opaque;

    if (p->outputs.input != NULL)
        p->outputs.input(p->outputs.opaque, in);
}

static bool is_next(const struct player *p, uint64_t icount, struct intr_ack ack)
{
    return p->next == NEXT_INTERRUPT && p->ev.icount == icount &&
           p->ev.u.interrupt.vector == ack.vector && p->ev.u.interrupt.source == ack.source;
}

static void on_interrupt(void *opaque, uint64_t icount, struct intr_ack ack)
{
    struct player *p = opaque;

    if (!is_next(p, icount, ack)) {
        diverge(p, PLAYER_DIFFERS_INTERRUPT, "interrupt %u (%s) at instruction %" PRIu64,
                ack.vector, replay_interrupt_source_name(ack.source), icount);
        return;
    }
    p->counts.interrupts++;
    advance(p);
    if (p->outputs.interrupt != NULL)
        p->outputs.interrupt(p->outputs.opaque, icount, ack);
}

static void on_serial_out(void *opaque, unsigned port, const uint8_t *data, size_t len)
{
    const struct player *p = opaque;

    if (p->tap.serial_out != NULL)
        p->tap.serial_out(p->tap.opaque, port, data, len);
    if (p->outputs.serial_out != NULL)
        p->outputs.serial_out(p->outputs.opaque, port, data, len);
}

static void on_debug_out(void *opaque, uint16_t port, uint8_t byte)
{
    const struct player *p = opaque;

    if (p->tap.debug_out != NULL)
        p->tap.debug_out(p->tap.opaque, port, byte);
    if (p->outputs.debug_out != NULL)
        p->outputs.debug_out(p->outputs.opaque, port, byte);
}

static void on_post_code(void *opaque, uint8_t byte)
{
    const struct player *p = opaque;

    if (p->outputs.post_code != NULL)
        p->outputs.post_code(p->outputs.opaque, byte);
}

static void on_perturbed(void *opaque, const struct input *in)
{
    const struct player *p = opaque;

    if (p->outputs.perturbed != NULL)
        p->outputs.perturbed(p->outputs.opaque, in);
}

/* --- running --- */

static bool matches(struct player *p, uint64_t expected)
{
    uint64_t found = machine_digest(p->m);

    if (found != expected) {
        diverge(p, PLAYER_DIFFERS_DIGEST, "digest %016" PRIx64, found);
        return false;
    }
    p->counts.digests++;
    p->divergence.any_match = true;
    p->divergence.last_match_icount = p->m->clock.icount;
    return true;
}

static void check_digest(struct player *p)
{
    if (matches(p, p->ev.u.digest))
        advance(p);
}

/* The machine stopped for good, as `why`. */
static void check_end(struct player *p, const char *why, int64_t exit_code)
{
    const struct trace_end *end = &p->ev.u.end;
    const struct machine *m = p->m;

    if (p->next == NEXT_CUT) {
        p->status = PLAYER_CUT;
        return;
    }
    if (p->next == NEXT_UNREADABLE) {
        p->status = PLAYER_ERROR;
        return;
    }
    check_moment(p);
    if (p->status != PLAYER_EXACT)
        return;
    if (p->next != NEXT_END || !at_end(p) || strcmp(end->reason, why) != 0)
        diverge(p, PLAYER_DIFFERS_END, "end (%s) at instruction %" PRIu64 ", %" PRIu64 " ns", why,
                m->clock.icount, clock_now_ns(&m->clock));
    else if (end->exit_code != exit_code)
        diverge(p, PLAYER_DIFFERS_END, "exit code %" PRId64 ", not %" PRId64, exit_code,
                end->exit_code);
    else if (end->digest == 0 || matches(p, end->digest))
        p->status = PLAYER_END;
}

static void reset(struct player *p)
{
    char err[256];

    if (machine_reset(p->m, err, sizeof(err)) == 0)
        return;
    snprintf(p->error, sizeof(p->error), "%s: at the reset at instruction %" PRIu64 ": %s", p->path,
             p->m->clock.icount, err);
    p->status = PLAYER_ERROR;
}

/* The player asked for this stop. */
static void after_own_stop(struct player *p)
{
    enum due due = p->due;

    p->due = DUE_NOTHING;
    switch (due) {
    case DUE_DIGEST: check_digest(p); break;
    case DUE_END: check_end(p, p->ev.u.end.reason, 0); break;
    case DUE_CUT: p->status = PLAYER_CUT; break;
    case DUE_ERROR: p->status = PLAYER_ERROR; break;
    case DUE_DIVERGED:
    case DUE_NOTHING: break;
    }
}

static bool ends_in_reset(const struct player *p)
{
    return p->next == NEXT_END && strcmp(p->ev.u.end.reason, machine_stop_name(STOP_RESET)) == 0 &&
           at_end(p);
}

enum player_status player_run(struct player *p, uint64_t icount)
{
    return player_run_to(p, (struct moment){.icount = icount});
}

enum player_status player_run_to(struct player *p, struct moment until)
{
    if (!p->started) {
        p->started = true;
        if (p->next == NEXT_DIGEST && p->ev.icount == 0)
            check_digest(p); /* power-on: before the first boundary's timers and inputs */
    }
    while (p->status == PLAYER_EXACT) {
        enum machine_stop why = machine_run_to(p->m, until);

        if (p->status != PLAYER_EXACT)
            break;
        if (why == STOP_DEBUG)
            return PLAYER_STOPPED;
        if (why == STOP_ICOUNT || (why == STOP_SOURCE && p->due == DUE_NOTHING))
            return PLAYER_EXACT;
        if (why == STOP_SOURCE)
            after_own_stop(p);
        else if (why == STOP_RESET && !ends_in_reset(p))
            reset(p);
        else
            check_end(p, machine_stop_name(why), why == STOP_EXIT ? p->m->exit_code : 0);
    }
    return p->status;
}

/* --- places --- */

struct player_place player_place(const struct player *p)
{
    struct player_place place = p->place;

    place.counts = p->counts;
    place.any_match = p->divergence.any_match;
    place.last_match_icount = p->divergence.last_match_icount;
    return place;
}

/* Reads on from the first event at the place's icount until its own is next. */
static void find_place(struct player *p, const struct player_place *place)
{
    trace_reader_seek(p->reader, place->icount);
    p->place = (struct player_place){.icount = place->icount};
    while (p->place.nth + 1 < place->nth)
        read_event(p);
    advance(p);
    p->place.ordinal = place->ordinal;
}

void player_go(struct player *p, const struct player_place *place)
{
    if (place->ordinal != p->place.ordinal)
        find_place(p, place);
    p->counts = place->counts;
    p->divergence.any_match = place->any_match;
    p->divergence.last_match_icount = place->last_match_icount;
    p->status = PLAYER_EXACT;
    p->due = DUE_NOTHING;
    p->idle_icount = UINT64_MAX;
    p->started = place->ordinal > 1;
    player_attach(p);
}

/* --- life cycle --- */

void player_attach(struct player *p)
{
    machine_set_source(p->m, &(struct input_source){
                                 .poll = poll_next,
                                 .horizon = horizon,
                                 .wait = wait_next,
                                 .opaque = p,
                             });
    machine_set_observer(p->m, &(struct machine_observer){
                                   .input = on_input,
                                   .interrupt = on_interrupt,
                                   .serial_out = on_serial_out,
                                   .debug_out = on_debug_out,
                                   .post_code = on_post_code,
                                   .perturbed = on_perturbed,
                                   .opaque = p,
                               });
}

static int open_reader(struct player *p, char *err, size_t errlen)
{
    struct trace_error terr;

    p->reader = trace_reader_open(p->path, &terr);
    if (p->reader == NULL) {
        replay_describe_error(p->path, &terr, err, errlen);
        return -1;
    }
    p->has_end = trace_reader_end(p->reader, &p->end, NULL) > 0;
    return 0;
}

static int create_machine(struct player *p, const struct machine_board *board, char *err,
                          size_t errlen)
{
    char text[256];

    if (restored_config_init(&p->config, p->reader, board, text, sizeof(text)) == 0) {
        p->m = machine_create(&p->config.config, board, text, sizeof(text));
        if (p->m != NULL)
            return 0;
    }
    snprintf(err, errlen, "%s: %s", p->path, text);
    return -1;
}

struct player *player_open(const char *path, const struct machine_board *board, char *err,
                           size_t errlen)
{
    struct player *p = calloc(1, sizeof(*p));

    if (p == NULL || (p->path = strdup(path)) == NULL) {
        free(p);
        snprintf(err, errlen, "out of memory");
        return NULL;
    }
    if (open_reader(p, err, errlen) != 0 || create_machine(p, board, err, errlen) != 0) {
        player_destroy(p);
        return NULL;
    }
    player_attach(p);
    advance(p);
    return p;
}

void player_destroy(struct player *p)
{
    if (p == NULL)
        return;
    machine_destroy(p->m);
    restored_config_fini(&p->config);
    trace_reader_destroy(p->reader);
    free(p->path);
    free(p);
}

struct machine *player_machine(struct player *p)
{
    return p->m;
}

const struct trace_header *player_header(const struct player *p)
{
    return trace_reader_header(p->reader);
}

void player_set_outputs(struct player *p, const struct machine_observer *outputs)
{
    p->outputs = *outputs;
}

void player_set_tap(struct player *p, const struct machine_observer *tap)
{
    p->tap = *tap;
}

const struct machine_observer *player_outputs(const struct player *p)
{
    return &p->outputs;
}

const struct player_divergence *player_divergence(const struct player *p)
{
    return p->status == PLAYER_DIVERGED ? &p->divergence : NULL;
}

const char *player_error(const struct player *p)
{
    return p->status == PLAYER_ERROR ? p->error : "";
}

const struct trace_end *player_end(const struct player *p)
{
    return p->has_end ? &p->end : NULL;
}

uint64_t player_whole_bytes(const struct player *p)
{
    uint64_t whole;

    return trace_reader_truncated(p->reader, &whole) ? whole : 0;
}

struct player_counts player_counts(const struct player *p)
{
    return p->counts;
}
