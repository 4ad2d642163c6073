/* SPDX-License-Identifier: MIT */
/*
 * A session from create to destroy, and what goes in and out of it.
 */
#include <stdlib.h>
#include <string.h>

#include "stub_internal.h"

/* What every caller's struct has; members from there on came later. */
#define LEAST_TARGET offsetof(struct gdbstub_target, has_pc)

static bool registers_are_valid(const struct gdbstub_target *t)
{
    if (!t->register_bytes || t->ng > t->nregisters)
        return false;
    for (unsigned i = 0; i < t->nregisters; i++)
        if (t->register_bytes[i] < 1 || t->register_bytes[i] > GDBSTUB_MAX_REGISTER)
            return false;
    for (unsigned i = 0; i < t->nexpedite; i++)
        if (!t->expedite || t->expedite[i] >= t->nregisters)
            return false;
    return !t->has_pc || (t->pc_register < t->nregisters && t->register_bytes[t->pc_register] <= 8);
}

static bool target_is_valid(const struct gdbstub_target *t)
{
    return registers_are_valid(t) && t->read_register && t->write_register && t->read_memory &&
           t->write_memory && t->resume && t->interrupt && !t->insert_point == !t->remove_point && t->address_bytes <= 8;
}

/* The protocol's state, for a client of which nothing is known yet. */
static void reset_protocol(struct gdbstub *s)
{
    s->input.state = STUB_IDLE;
    s->output.len = s->output_sent = 0;
    s->last.len = 0;
    s->failed = s->leaving = s->killed = false;
    s->no_ack = s->no_ack_next = s->extended = false;
    s->wants_swbreak = s->wants_hwbreak = s->wants_exec = false;
    s->reply_due = false;
    s->continuing = STUB_ANY_THREAD;
    s->threads_told = 0;
    s->threads_xml.len = 0;
    stub_close_files(s);
}

struct gdbstub *gdbstub_create(const struct gdbstub_target *target, void *user)
{
    struct gdbstub *s;
    size_t size = target ? target->struct_size : 0;

    if (!target || size < LEAST_TARGET)
        return NULL;
    s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    memcpy(&s->target, target, size < sizeof(s->target) ? size : sizeof(s->target));
    s->user = user;
    if (!target_is_valid(&s->target)) {
        free(s);
        return NULL;
    }
    if (!s->target.address_bytes)
        s->target.address_bytes = 8;
    s->stop.kind = GDBSTUB_STOP_SIGNAL;
    s->general = 1;
    reset_protocol(s);
    return s;
}

int gdbstub_set_registers(struct gdbstub *s, const struct gdbstub_target *like)
{
    if (!registers_are_valid(like))
        return -1;
    s->target.register_bytes = like->register_bytes;
    s->target.nregisters = like->nregisters;
    s->target.ng = like->ng;
    s->target.expedite = like->expedite;
    s->target.nexpedite = like->nexpedite;
    s->target.has_pc = like->has_pc;
    s->target.pc_register = like->pc_register;
    return 0;
}

void gdbstub_destroy(struct gdbstub *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->npoints; i++)
        free(s->points[i].conditions);
    free(s->points);
    free(s->threads);
    free(s->actions);
    free(s->decided);
    free(s->stop_path);
    stub_close_files(s);
    stub_bytes_fini(&s->threads_xml);
    stub_bytes_fini(&s->output);
    stub_bytes_fini(&s->last);
    stub_bytes_fini(&s->console);
    free(s);
}

void gdbstub_connected(struct gdbstub *s)
{
    reset_protocol(s);
    stub_settle_thread(s, s->stop.thread);
    s->stop.thread = s->general;
}

void gdbstub_disconnected(struct gdbstub *s)
{
    stub_remove_all_points(s);
    reset_protocol(s);
    s->console.len = 0;
    s->console_cut = false;
    stub_bytes_fini(&s->output);
    stub_bytes_fini(&s->last);
    stub_bytes_fini(&s->threads_xml);
}

void gdbstub_receive(struct gdbstub *s, const void *data, size_t len)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len && !s->failed && !s->leaving; i++)
        stub_receive_byte(s, bytes[i]);
}

const uint8_t *gdbstub_output(const struct gdbstub *s, size_t *len)
{
    *len = s->failed ? 0 : s->output.len - s->output_sent;
    return *len ? s->output.data + s->output_sent : (const uint8_t *)"";
}

/* What is gone is cut off when it is the larger part, so that moving the rest costs no more than
 * having made it. */
void gdbstub_sent(struct gdbstub *s, size_t n)
{
    size_t left = s->output.len - s->output_sent;

    s->output_sent += n < left ? n : left;
    if (s->output_sent == s->output.len) {
        s->output.len = s->output_sent = 0;
    } else if (s->output_sent > s->output.len / 2) {
        memmove(s->output.data, s->output.data + s->output_sent, s->output.len - s->output_sent);
        s->output.len -= s->output_sent;
        s->output_sent = 0;
    }
}

bool gdbstub_running(const struct gdbstub *s)
{
    return s->running;
}

bool gdbstub_leaving(const struct gdbstub *s)
{
    return s->leaving;
}

bool gdbstub_failed(const struct gdbstub *s)
{
    return s->failed;
}
