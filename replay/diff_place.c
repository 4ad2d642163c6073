/* SPDX-License-Identifier: MIT */
/*
 * What a place of a comparison looks like: diff_internal.h. The move is made again, with everything that there is
 * to know noted on the way: the instructions before it, what came from outside, what differs after it.
 */
#include "diff_internal.h"

#include <stdio.h>
#include <string.h>

#include <emu/cpu.h>
#include <emu/intc.h>
#include <emu/registers.h>
#include <replay/describe.h>

/* --- what happens in a move --- */

static void note(struct diff_listener *l, const struct trace_event *ev)
{
    if (l->listening && l->n < DIFF_HAPPENINGS)
        replay_describe_event(ev, l->happened[l->n++], DIFF_TEXT);
}

static struct trace_event event_of(const struct input *in)
{
    return (struct trace_event){.kind = TRACE_EVENT_INPUT,
                                .icount = in->icount,
                                .u.input = {.kind = in->kind,
                                            .port = in->port,
                                            .vns = in->vns,
                                            .data = in->data,
                                            .len = in->len}};
}

static void on_input(void *opaque, const struct input *in)
{
    struct trace_event ev = event_of(in);

    note(opaque, &ev);
}

/* The machine's own act upon its timing: no input, though of the same form. */
static void on_perturbed(void *opaque, const struct input *in)
{
    struct diff_listener *l = opaque;
    struct trace_event ev = event_of(in);
    char text[DIFF_TEXT - 16];

    if (!l->listening || l->n == DIFF_HAPPENINGS)
        return;
    replay_describe_input(&ev, text, sizeof(text));
    snprintf(l->happened[l->n++], DIFF_TEXT, "perturbed: %s", text);
}

static void on_interrupt(void *opaque, uint64_t icount, struct intr_ack ack)
{
    note(opaque, &(struct trace_event){.kind = TRACE_EVENT_INTERRUPT,
                                       .icount = icount,
                                       .u.interrupt = {.vector = ack.vector, .source = ack.source}});
}

void diff_listen(struct diff *d)
{
    for (unsigned side = 0; side < 2; side++) {
        player_set_outputs(timeline_player(d->pair.t[side]),
                           &(struct machine_observer){.input = on_input,
                                                      .interrupt = on_interrupt,
                                                      .perturbed = on_perturbed,
                                                      .opaque = &d->listener[side]});
    }
}

/* An entry into a handler that no interrupt explains. */
static void note_exception(struct diff_listener *l, const struct machine *m)
{
    for (size_t i = 0; i < l->n; i++)
        if (strncmp(l->happened[i], "interrupt", 9) == 0)
            return;
    if (l->n < DIFF_HAPPENINGS)
        snprintf(l->happened[l->n++], DIFF_TEXT, "exception %u", m->cpus[0].exc_vector);
}

static void listen_to_move(struct diff *d, struct diff_place *place)
{
    for (unsigned side = 0; side < 2; side++) {
        d->listener[side].listening = true;
        d->listener[side].n = 0;
    }
    pair_step(&d->pair);
    for (unsigned side = 0; side < 2; side++) {
        struct diff_listener *l = &d->listener[side];

        l->listening = false;
        place->after[side] = timeline_now(d->pair.t[side]);
        if (place->after[side].icount == place->before.icount &&
            place->after[side].entries > place->before.entries)
            note_exception(l, d->pair.m[side]);
        memcpy(place->happened[side], l->happened, sizeof(l->happened));
        place->nhappened[side] = l->n;
    }
}

/* --- instructions --- */

static void note_instruction(const struct machine *m, struct diff_instruction *out)
{
    static const unsigned bits[] = {[CODE_16] = 16, [CODE_32] = 32, [CODE_64] = 64};
    const struct cpu *cpu = &m->cpus[0];

    *out = (struct diff_instruction){.at = machine_moment(m),
                                     .rip = cpu->rip,
                                     .linear = cpu_linear_rip(cpu),
                                     .bits = bits[cpu_code_size(cpu)],
                                     .halted = cpu->halted != 0};
    out->nbytes = (unsigned)cpu_peek(cpu, out->linear, out->bytes, sizeof(out->bytes));
}

static void forget_oldest(struct diff_place *place)
{
    for (unsigned side = 0; side < 2; side++)
        memmove(&place->past[side][0], &place->past[side][1],
                (DIFF_PAST - 1) * sizeof(place->past[side][0]));
    place->npast--;
}

/* Walks up to `before`, from a little earlier. */
static void note_past(struct diff *d, struct moment before, struct diff_place *place)
{
    uint64_t start = before.icount > DIFF_PAST ? before.icount - DIFF_PAST : 0;

    if (!diff_go(d, (struct moment){.icount = start}))
        return;
    while (moment_before(timeline_now(d->pair.t[0]), before) &&
           moment_before(timeline_now(d->pair.t[1]), before)) {
        if (place->npast == DIFF_PAST)
            forget_oldest(place);
        for (unsigned side = 0; side < 2; side++)
            note_instruction(d->pair.m[side], &place->past[side][place->npast]);
        place->npast++;
        if (!pair_step(&d->pair))
            return;
    }
}

/* --- places --- */

void diff_look(struct diff *d)
{
    for (unsigned side = 0; side < 2 && d->options.look != NULL; side++)
        d->options.look(d->options.opaque, side, d->pair.m[side]);
}

static void describe_difference(struct diff *d, struct diff_place *place)
{
    for (unsigned side = 0; side < 2; side++)
        note_instruction(d->pair.m[side], &place->next[side]);
    if (state_diff_update(d->state, &d->counts) == 0)
        state_diff_describe(d->state, &place->difference);
    diff_look(d);
}

void diff_describe_place(struct diff *d, struct moment before, struct diff_place *place)
{
    place->found = true;
    place->before = before;
    note_past(d, before, place);
    if (!diff_go(d, before))
        return;
    for (unsigned side = 0; side < 2; side++)
        note_instruction(d->pair.m[side], &place->here[side]);
    listen_to_move(d, place);
    place->at = moment_before(place->after[1], place->after[0]) ? place->after[1] : place->after[0];
    describe_difference(d, place);
}

void diff_describe_power_on(struct diff *d, struct diff_place *place)
{
    place->found = place->exact = place->power_on = true;
    for (unsigned side = 0; side < 2; side++)
        note_instruction(d->pair.m[side], &place->here[side]);
    describe_difference(d, place);
}
