/* SPDX-License-Identifier: MIT */
/* Runs from an edited list of inputs: replay/script.h. */
#include <replay/script.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emu/cpu.h>
#include <replay/describe.h>
#include <replay/player.h>

#define MAX_IDLE_JUMPS (1u << 22) /* of a CPU that sleeps on and on */
#define RETRY_ICOUNT   256u       /* until a device that had no room is asked again */

/* --- lists --- */

void script_init(struct script *s)
{
    *s = (struct script){.n = 0};
}

void script_fini(struct script *s)
{
    for (size_t i = 0; i < s->n; i++)
        free((void *)s->events[i].data);
    free(s->events);
    script_init(s);
}

static int make_room(struct script *s)
{
    size_t capacity = s->capacity == 0 ? 64 : 2 * s->capacity;
    struct script_event *events;

    if (s->n < s->capacity)
        return 0;
    events = realloc(s->events, capacity * sizeof(*events));
    if (events == NULL)
        return -1;
    s->events = events;
    s->capacity = capacity;
    return 0;
}

int script_add(struct script *s, const struct script_event *e)
{
    uint8_t *data = malloc(e->len + 1);

    if (data == NULL || make_room(s) != 0) {
        free(data);
        return -1;
    }
    if (e->len > 0)
        memcpy(data, e->data, e->len);
    s->events[s->n] = *e;
    s->events[s->n++].data = data;
    return 0;
}

bool script_same_content(const struct script_event *a, const struct script_event *b)
{
    return a->kind == b->kind && a->port == b->port && a->len == b->len &&
           (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

bool script_same_event(const struct script_event *a, const struct script_event *b)
{
    return script_same_content(a, b) && moment_equal(a->at, b->at) && a->vns == b->vns;
}

static uint64_t number_at(const struct script_event *e, size_t offset)
{
    uint64_t n = 0;

    if (e->len >= offset + sizeof(n))
        memcpy(&n, e->data + offset, sizeof(n));
    return n;
}

static void describe_act(const struct script_event *e, char *out, size_t len)
{
    uint32_t timer = 0;

    if (e->port == INPUT_TIME_SKIP) {
        snprintf(out, len, "time jumps ahead by %" PRIu64 " ns", number_at(e, 0));
    } else if (e->port == INPUT_TIME_HOLD) {
        snprintf(out, len, "interrupts are held for %" PRIu64 " instructions", number_at(e, 0));
    } else if (e->port == INPUT_TIME_PREEMPT) {
        snprintf(out, len, "preempted: time jumps ahead to the next timer interrupt");
    } else {
        if (e->len >= sizeof(timer))
            memcpy(&timer, e->data, sizeof(timer));
        snprintf(out, len, "timer %" PRIu32 " is put off by %" PRIu64 " ns", timer, number_at(e, 4));
    }
}

void script_describe(const struct script_event *e, char *out, size_t len)
{
    char bytes[80];

    if (e->kind == INPUT_TIME) {
        describe_act(e, out, len);
        return;
    }
    replay_describe_bytes(e->data, e->len, bytes, sizeof(bytes));
    snprintf(out, len, "%s %" PRIu32 " %s", input_kind_name(e->kind), e->port, bytes);
}

/* --- reading --- */

void script_collect(void *collector, const struct input *in)
{
    struct script_collector *c = collector;
    struct script_event e = {.kind = in->kind,
                             .port = in->port,
                             .at = machine_moment(c->m),
                             .vns = in->vns,
                             .data = in->data,
                             .len = in->len};
    size_t step = in->kind == INPUT_SERIAL ? 1 : in->len;

    if (in->len == 0) {
        c->failed |= script_add(c->script, &e) != 0;
        return;
    }
    for (size_t i = 0; i < in->len; i += step) {
        e.data = in->data + i;
        e.len = step;
        c->failed |= script_add(c->script, &e) != 0;
    }
}

int script_read(struct script *s, struct player *p, char *err, size_t errlen)
{
    struct script_collector c = {.script = s, .m = player_machine(p)};
    const struct player_divergence *d;
    enum player_status status;

    player_set_outputs(p, &(struct machine_observer){
                                  .input = script_collect, .perturbed = script_collect, .opaque = &c});
    status = player_run(p, UINT64_MAX);
    player_set_outputs(p, &(struct machine_observer){.opaque = NULL});
    d = player_divergence(p);
    if (c.failed)
        snprintf(err, errlen, "out of memory");
    else if (status == PLAYER_DIVERGED)
        snprintf(err, errlen, "the replay diverged at instruction %" PRIu64 ": expected %.200s, found %.200s",
                 d->icount, d->expected, d->found);
    else if (status == PLAYER_ERROR)
        snprintf(err, errlen, "%s", player_error(p));
    else
        return 0;
    return -1;
}

/* --- running --- */

static const struct script_event *next_event(const struct script_run *run)
{
    return run->next < run->script->n ? &run->script->events[run->next] : NULL;
}

static bool is_due(const struct script_event *e, const struct machine *m)
{
    struct moment now = machine_moment(m);
    uint64_t ns = clock_now_ns(&m->clock);

    if (m->cpus[0].halted == 0 || now.icount > e->at.icount)
        return !moment_before(now, e->at);
    if (now.icount == e->at.icount && now.entries < e->at.entries)
        return ns > e->vns; /* an interrupt was to come before it, and did not */
    return ns >= e->vns;
}

static bool has_room(const struct script_event *e, const struct machine *m)
{
    const struct input_sink *sink = input_door_find(&m->door, e->kind, e->port);

    return sink == NULL || sink->ready == NULL || sink->ready(sink->opaque);
}

static bool poll_script(void *opaque, struct machine *m, struct input *in)
{
    struct script_run *run = opaque;
    const struct script_event *e = next_event(run);

    if (run->limit_ns != 0 && clock_now_ns(&m->clock) >= run->limit_ns) {
        machine_request_stop(m, STOP_SOURCE);
        return false;
    }
    if (e == NULL || !is_due(e, m) || !has_room(e, m))
        return false;
    *in = (struct input){.kind = e->kind, .port = e->port, .data = e->data, .len = e->len};
    run->next++;
    return true;
}

static uint64_t script_horizon(void *opaque, uint64_t icount)
{
    const struct script_run *run = opaque;
    const struct script_event *e = next_event(run);

    if (e == NULL)
        return UINT64_MAX;
    return e->at.icount > icount ? e->at.icount : icount + RETRY_ICOUNT;
}

static uint64_t script_wait(void *opaque, struct machine *m, uint64_t deadline_ns)
{
    struct script_run *run = opaque;
    const struct script_event *e = next_event(run);
    uint64_t now = clock_now_ns(&m->clock);

    if (run->idle_icount != m->clock.icount) {
        run->idle_icount = m->clock.icount;
        run->idle_jumps = 0;
    }
    if (++run->idle_jumps > MAX_IDLE_JUMPS) {
        machine_request_stop(m, STOP_SOURCE);
        return now;
    }
    if (e != NULL && e->vns > now && e->vns < deadline_ns)
        return e->vns;
    return deadline_ns;
}

struct input_source script_source(struct script_run *run)
{
    return (struct input_source){
        .poll = poll_script, .horizon = script_horizon, .wait = script_wait, .opaque = run};
}

enum machine_stop script_play(struct script_run *run, struct machine *m)
{
    struct moment until = run->until.icount != 0 ? run->until : (struct moment){.icount = UINT64_MAX};
    struct input_source source = script_source(run);
    char err[256];

    machine_set_source(m, &source);
    for (;;) {
        enum machine_stop why = machine_run_to(m, until);

        if (why != STOP_RESET || run->no_reboot || machine_reset(m, err, sizeof(err)) != 0)
            return why;
    }
}
