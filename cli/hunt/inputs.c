/* SPDX-License-Identifier: MIT */
/* Inputs from a file: inputs.h. */
#include "inputs.h"

#include <devices/pc.h>
#include <emu/cpu.h>

#include "../failure.h"
#include "../output_watch.h"

enum { WATCH_AFTER, WATCH_UNTIL };

static bool sleeps(const struct machine *m)
{
    return m->cpus[0].halted != 0;
}

/* --- what is due --- */

static void look_at_end(struct inputs *s)
{
    const struct clock *clock = &s->m->clock;
    bool panicked = !s->ignore_panic && pc_has_panicked(pc_of(s->m));

    if (s->end != INPUTS_NONE)
        return;
    if (s->has_until && output_watch_seen(s->watch, WATCH_UNTIL))
        s->end = INPUTS_TEXT;
    else if (grace_over(&s->panic, clock, panicked))
        s->end = INPUTS_PANIC;
    else if (grace_over(&s->failed, clock, failure_seen(s->failure)))
        s->end = INPUTS_FAILURE;
}

static bool offer(struct input *in, enum input_kind kind)
{
    *in = (struct input){.kind = kind};
    return true;
}

/* A guest may forget what it has not read when the carrier drops: the last byte has gone a look ago. */
static bool end_is_due(const struct inputs *s, const struct uart16550 *uart)
{
    return s->at == s->len && !s->eof_told && uart->fifo_count == 0 &&
           s->m->clock.icount >= s->last_icount + INPUTS_LOOK;
}

static bool offer_bytes(struct inputs *s, struct input *in)
{
    const struct uart16550 *uart = &pc_of(s->m)->serial[0].uart;
    size_t n = s->len - s->at, room = uart16550_room(uart);

    if (s->input == NULL || (s->has_after && !output_watch_seen(s->watch, WATCH_AFTER)))
        return false;
    if (end_is_due(s, uart)) {
        s->eof_told = true;
        return offer(in, INPUT_SERIAL_EOF);
    }
    if (n > room)
        n = room;
    if (n == 0)
        return false;
    offer(in, INPUT_SERIAL);
    in->data = s->input + s->at;
    in->len = n;
    s->at += n;
    s->last_icount = s->m->clock.icount;
    return true;
}

/* --- the source --- */

static bool inputs_poll(void *opaque, struct machine *m, struct input *in)
{
    struct inputs *s = opaque;
    uint64_t icount = m->clock.icount;

    if (icount < s->next_look && !sleeps(m))
        return false;
    look_at_end(s);
    if (s->end != INPUTS_NONE && !s->end_told) {
        s->end_told = true;
        return offer(in, INPUT_STOP);
    }
    if (offer_bytes(s, in))
        return true;
    s->next_look = icount - icount % INPUTS_LOOK + INPUTS_LOOK;
    return false;
}

static uint64_t inputs_horizon(void *opaque, uint64_t icount)
{
    (void)opaque;
    return icount - icount % INPUTS_LOOK + INPUTS_LOOK;
}

/* Nothing comes by itself: time goes on to what the machine waits for. */
static uint64_t inputs_wait(void *opaque, struct machine *m, uint64_t deadline_ns)
{
    (void)opaque, (void)m;
    return deadline_ns;
}

/* --- life cycle --- */

int inputs_init(struct inputs *s, const struct pattern *after, const struct pattern *until)
{
    const struct pattern *patterns[] = {[WATCH_AFTER] = after, [WATCH_UNTIL] = until};

    s->has_after = after != NULL;
    s->has_until = until != NULL;
    s->watch = output_watch_create(patterns, 2);
    return s->watch == NULL ? -1 : 0;
}

void inputs_fini(struct inputs *s)
{
    output_watch_destroy(s->watch);
    s->watch = NULL;
}

void inputs_begin(struct inputs *s, struct machine *m)
{
    s->m = m;
    s->at = 0;
    s->eof_told = s->end_told = false;
    s->next_look = 0;
    s->panic = s->failed = (struct grace){.running = false};
    s->end = INPUTS_NONE;
    output_watch_begin(s->watch);
    machine_set_source(m, &(struct input_source){.poll = inputs_poll,
                                                 .horizon = inputs_horizon,
                                                 .wait = inputs_wait,
                                                 .opaque = s});
}

void inputs_output(struct inputs *s, unsigned port, const uint8_t *data, size_t len)
{
    if (s->has_after || s->has_until)
        output_watch_feed(s->watch, port, data, len);
}
