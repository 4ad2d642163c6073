/* SPDX-License-Identifier: MIT */
/*
 * What gdb's requests to go on mean: a timeline's runs and steps for a replay, runs of the live machine
 * with its points armed otherwise. And what the machine's stops mean to gdb.
 */
#include "session_internal.h"

#include <inttypes.h>
#include <string.h>

#include <devices/pc.h>
#include <emu/cpu.h>
#include <emu/registers.h>

#include "../live.h"

#define SIGNAL_INT  2
#define SIGNAL_TRAP 5

/* --- points --- */

static bool is_same(const struct debug_point *a, const struct debug_point *b)
{
    return a->kind == b->kind && a->address == b->address && a->length == b->length;
}

/* The client's point that the hit is of, from index `from` on; NULL: none. */
static const struct gdbstub_point *client_point(const struct session *s, const struct debug_hit *hit,
                                                size_t *from)
{
    for (; *from < s->npoints; ++*from) {
        struct debug_point p = session_debug_point(&s->points[*from]);

        if (is_same(&p, &hit->point))
            return &s->points[(*from)++];
    }
    return NULL;
}

/* A store of what was there already is none to gdb's `watch`. */
static bool changes_nothing(const struct session *s, const struct debug_hit *hit)
{
    uint8_t now[DEBUG_VALUE_BYTES];

    return hit->point.kind == DEBUG_WRITE && hit->nbefore == hit->point.length &&
           machine_debug_value(s->m, &hit->point, now) == hit->nbefore &&
           memcmp(now, hit->before, hit->nbefore) == 0;
}

bool session_accept(void *opaque, const struct debug_hit *hit)
{
    struct session *s = opaque;
    const struct gdbstub_point *p;
    size_t from = 0;

    if (changes_nothing(s, hit))
        return false;
    while ((p = client_point(s, hit, &from)) != NULL)
        if (gdbstub_should_stop(s->stub, p, SESSION_THREAD(0)))
            return true;
    return false;
}

/* --- the live machine's runs, as a timeline's --- */

static enum timeline_status live_status(struct session *s, enum machine_stop why)
{
    switch (why) {
    case STOP_ICOUNT: return TIMELINE_THERE;
    case STOP_DEBUG: return TIMELINE_HIT;
    case STOP_SOURCE:
        if (s->interrupt)
            return TIMELINE_INTERRUPTED;
        break; /* the recorder cannot go on */
    default: break;
    }
    s->over = true;
    s->end = why;
    return TIMELINE_END;
}

static bool first_accepted(struct session *s)
{
    size_t n;
    const struct debug_hit *hits = machine_debug_hits(s->m, &n);

    for (size_t i = 0; i < n; i++) {
        if (session_accept(s, &hits[i])) {
            s->hit = hits[i];
            return true;
        }
    }
    return false;
}

static void live_arm(struct session *s, bool exec)
{
    machine_debug_clear(s->m);
    for (size_t i = 0; i < s->npoints; i++) {
        struct debug_point p = session_debug_point(&s->points[i]);

        if (exec || p.kind != DEBUG_EXEC)
            machine_debug_insert(s->m, &p);
    }
}

static enum timeline_status live_run(struct session *s, struct moment until, bool exec)
{
    enum timeline_status status;

    live_arm(s, exec);
    machine_debug_pass(s->m);
    for (;;) {
        status = s->over ? TIMELINE_END : live_status(s, live_run_to(s->live, until));
        if (status != TIMELINE_HIT || first_accepted(s))
            break;
        machine_debug_ignore(s->m);
    }
    machine_debug_clear(s->m);
    return status;
}

/* --- moves --- */

static const struct moment no_end = {.icount = UINT64_MAX};

static enum timeline_status forward(struct session *s)
{
    enum timeline_status status;

    if (s->timeline == NULL)
        return live_run(s, no_end, true);
    status = timeline_run_forward(s->timeline, no_end);
    s->hit = *timeline_hit(s->timeline);
    return status;
}

static enum timeline_status backward(struct session *s)
{
    enum timeline_status status;

    if (s->timeline == NULL)
        return TIMELINE_BEGIN; /* nothing of what was is known */
    status = timeline_run_back(s->timeline);
    s->hit = *timeline_hit(s->timeline);
    return status;
}

static enum timeline_status step(struct session *s)
{
    struct moment next = machine_moment(s->m);
    enum timeline_status status;

    if (s->timeline != NULL) {
        status = timeline_step(s->timeline);
        s->hit = *timeline_hit(s->timeline);
        /* It was done, even if nothing comes after: that is the next one's news. */
        if (status == TIMELINE_END && !timeline_is_branch(s->timeline) &&
            moment_before(next, machine_moment(s->m)))
            status = TIMELINE_THERE;
        return status;
    }
    next.entries++;
    return live_run(s, next, false);
}

/*
 * An interrupt or exception came while a line was stepped through: its handler runs, with all of the
 * client's points in force, until it returns here.
 */
static enum timeline_status run_handler(struct session *s, const struct handler_place *at)
{
    struct gdbstub_point back = {.kind = GDBSTUB_HARDWARE_BREAK, .address = at->rip, .length = 1};
    enum timeline_status status;
    bool ours, clients = session_has_point(s, &back);

    do {
        if (session_insert_point(s, &back) != 0)
            return TIMELINE_ERROR;
        status = forward(s);
        if (!clients)
            session_remove_point(s, &back);
        ours = status == TIMELINE_HIT && s->hit.point.kind == DEBUG_EXEC && s->hit.rip == at->rip;
    } while (ours && !handler_place_is(s, at));
    return ours ? TIMELINE_THERE : status;
}

/* Whether the client has a breakpoint here, in the middle of a range that is stepped through. */
static bool stands_at_breakpoint(struct session *s)
{
    struct debug_hit hit = {
        .point = {.kind = DEBUG_EXEC, .address = cpu_linear_rip(&s->m->cpus[0]), .length = 1},
        .at = machine_moment(s->m),
    };
    size_t from = 0;

    hit.rip = hit.address = hit.point.address;
    if (client_point(s, &hit, &from) == NULL || !session_accept(s, &hit))
        return false;
    s->hit = hit;
    return true;
}

static enum timeline_status step_range(struct session *s)
{
    enum timeline_status status = TIMELINE_THERE;
    uint64_t begin = s->action.range_begin, end = s->action.range_end, rip;

    do {
        struct moment before = machine_moment(s->m), after;
        struct handler_place at = handler_place_now(s);

        status = step(s);
        after = machine_moment(s->m);
        if (status == TIMELINE_THERE && after.icount == before.icount && after.entries > before.entries)
            status = run_handler(s, &at);
        if (status == TIMELINE_THERE && stands_at_breakpoint(s))
            return TIMELINE_HIT;
        if (status == TIMELINE_THERE && session_interrupted(s))
            status = TIMELINE_INTERRUPTED;
        rip = cpu_linear_rip(&s->m->cpus[0]);
    } while (status == TIMELINE_THERE && rip >= begin && rip < end);
    return status;
}

static enum timeline_status move(struct session *s)
{
    switch (s->action.action) {
    case GDBSTUB_STEP: return step(s);
    case GDBSTUB_RANGE_STEP: return step_range(s);
    case GDBSTUB_REVERSE_STEP:
        return s->timeline == NULL ? TIMELINE_BEGIN : session_step_back(s);
    case GDBSTUB_REVERSE_CONTINUE: return backward(s);
    case GDBSTUB_CONTINUE:
    case GDBSTUB_HOLD: break;
    }
    return forward(s);
}

/* --- stops --- */

static struct gdbstub_stop stop_of_hit(struct session *s)
{
    const struct debug_hit *hit = &s->hit;
    size_t from = 0;
    const struct gdbstub_point *p = client_point(s, hit, &from);
    static const enum gdbstub_stop_kind kinds[] = {
        [GDBSTUB_SOFTWARE_BREAK] = GDBSTUB_STOP_SOFTWARE_BREAK,
        [GDBSTUB_HARDWARE_BREAK] = GDBSTUB_STOP_HARDWARE_BREAK,
        [GDBSTUB_WRITE_WATCH] = GDBSTUB_STOP_WRITE_WATCH,
        [GDBSTUB_READ_WATCH] = GDBSTUB_STOP_READ_WATCH,
        [GDBSTUB_ACCESS_WATCH] = GDBSTUB_STOP_ACCESS_WATCH,
    };

    if (p == NULL)
        return (struct gdbstub_stop){.kind = GDBSTUB_STOP_SIGNAL, .signal = SIGNAL_TRAP};
    return (struct gdbstub_stop){
        .kind = kinds[p->kind],
        .address = hit->address > p->address ? hit->address : p->address,
    };
}

static void say_divergence(struct session *s)
{
    const struct player_divergence *d = player_divergence(timeline_player(s->timeline));

    session_say(s, "deja: the replay departs from its recording at instruction %" PRIu64
                   " (%s)\n  expected: %s\n  found:    %s\n",
                d->icount, player_difference_name(d->what), d->expected, d->found);
}

/* In a few words, how the guest that runs freely has ended. */
static const char *end_name(const struct session *s)
{
    if (pc_has_panicked(pc_of(s->m)))
        return "it panicked";
    return machine_stop_name(s->timeline != NULL ? timeline_branch_stop(s->timeline) : s->end);
}

static struct gdbstub_stop stop_of_end(struct session *s)
{
    if (s->timeline != NULL && !timeline_is_branch(s->timeline))
        return (struct gdbstub_stop){.kind = GDBSTUB_STOP_REPLAY_END};
    session_say(s, "deja: the guest has ended (%s) at instruction %" PRIu64 "\n", end_name(s),
                s->m->clock.icount);
    return (struct gdbstub_stop){.kind = GDBSTUB_STOP_SIGNAL, .signal = SIGNAL_TRAP};
}

static struct gdbstub_stop stop_of(struct session *s, enum timeline_status status)
{
    struct gdbstub_stop stop = {.kind = GDBSTUB_STOP_SIGNAL, .signal = SIGNAL_TRAP};

    switch (status) {
    case TIMELINE_THERE: break;
    case TIMELINE_HIT: return stop_of_hit(s);
    case TIMELINE_BEGIN: stop.kind = GDBSTUB_STOP_REPLAY_BEGIN; break;
    case TIMELINE_END: return stop_of_end(s);
    case TIMELINE_INTERRUPTED: stop.signal = SIGNAL_INT; break;
    case TIMELINE_DIVERGED:
        say_divergence(s);
        stop.kind = GDBSTUB_STOP_REPLAY_END;
        break;
    case TIMELINE_ERROR:
        if (s->timeline != NULL)
            session_say(s, "deja: %s\n", timeline_error(s->timeline));
        break;
    }
    return stop;
}

struct gdbstub_stop session_stop_of(struct session *s, enum timeline_status status)
{
    struct gdbstub_stop stop = stop_of(s, status);

    stop.thread = SESSION_THREAD(0);
    return stop;
}

struct gdbstub_stop session_resume(struct session *s)
{
    return session_stop_of(s, move(s));
}

/* --- changes --- */

/* Changing a replayed machine makes a branch of it. */
static bool begin_branch(struct session *s)
{
    if (s->timeline == NULL)
        return false;
    if (!timeline_is_branch(s->timeline)) {
        timeline_branch(s->timeline);
        session_say(s, "deja: from instruction %" PRIu64 " on this is a branch, live and unrecorded, "
                       "until a reverse command or `monitor seek`\n",
                    timeline_branch_moment(s->timeline).icount);
    }
    return true;
}

int session_write_memory(struct session *s, uint64_t gpa, const void *data, size_t len)
{
    if (!begin_branch(s))
        return machine_debug_write(s->m, gpa, data, len);
    return ram_write(&s->m->ram, gpa, data, len) ? 0 : -1;
}

int session_set_register(struct session *s, unsigned cpu, unsigned id, const uint8_t *value)
{
    /* gdb puts all registers back after it has called a function of the guest, icount and its like among
     * them, whatever their description says: that must not fail. */
    if (cpu_register_info(id)->read_only)
        return s->timeline == NULL || timeline_is_branch(s->timeline) ? 0 : -1;
    if (!begin_branch(s))
        return machine_debug_set_register(s->m, cpu, id, value);
    return cpu_register_write(&s->m->cpus[cpu], id, value) ? 0 : -1;
}
