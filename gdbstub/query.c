/* SPDX-License-Identifier: MIT */
/*
 * Packets that ask what there is or set how to talk (GDB manual, E.4 "General Query Packets").
 */
#include <stdlib.h>
#include <string.h>

#include "stub_internal.h"

/* ---- qSupported ---- */

static bool is_feature(const struct stub_cursor *c, const char *name)
{
    return stub_left(c) == strlen(name) && memcmp(c->p, name, stub_left(c)) == 0;
}

/* "[:feature;feature;..]": those that are not known do not matter. */
static void read_client_features(struct gdbstub *s, struct stub_cursor *c)
{
    while (stub_left(c)) {
        const char *separator = memchr(++c->p, ';', stub_left(c));
        struct stub_cursor feature = {c->p, separator ? separator : c->end};

        if (is_feature(&feature, "swbreak+"))
            s->wants_swbreak = true;
        else if (is_feature(&feature, "hwbreak+"))
            s->wants_hwbreak = true;
        else if (is_feature(&feature, "exec-events+"))
            s->wants_exec = true;
        c->p = feature.end;
    }
}

static void put_objects(struct gdbstub *s)
{
    const char *const *name = s->target.object ? s->target.objects : NULL;

    stub_put_text(&s->reply, ";qXfer:threads:read+");
    for (; name && *name; name++) {
        if (strcmp(*name, "threads") == 0)
            continue;
        stub_put_text(&s->reply, ";qXfer:");
        stub_put_text(&s->reply, *name);
        stub_put_text(&s->reply, ":read+");
    }
}

/* exec-events is said only to who asked: others would be right to wonder. */
void stub_supported(struct gdbstub *s, struct stub_cursor *c)
{
    struct stub_reply *r = &s->reply;

    read_client_features(s, c);
    stub_put_text(r, "PacketSize=");
    stub_put_number(r, GDBSTUB_PACKET_BYTES);
    stub_put_text(r, ";QStartNoAckMode+;vContSupported+;binary-upload+");
    if (s->target.insert_point)
        stub_put_text(r, ";swbreak+;hwbreak+;ConditionalBreakpoints+");
    if (s->target.can_reverse)
        stub_put_text(r, ";ReverseStep+;ReverseContinue+");
    if (s->wants_exec)
        stub_put_text(r, ";exec-events+");
    put_objects(s);
}

/* The reply to this one is still acknowledged. */
void stub_no_ack_mode(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    s->no_ack_next = true;
    stub_ok(s);
}

/* ---- small ones ---- */

/* What is debugged was there before: a client that ends detaches, it does not kill. */
void stub_attached(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    stub_put_text(&s->reply, "1");
}

/* The client offers to look up symbols; none are wanted. */
void stub_symbol(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    stub_ok(s);
}

/* Data and Bss must be equal for gdb to believe them. */
void stub_offsets(struct gdbstub *s, struct stub_cursor *c)
{
    uint64_t text = 0, data = 0;

    (void)c;
    if (!s->target.offsets || !s->target.offsets(s->user, &text, &data))
        return;
    stub_put_text(&s->reply, "Text=");
    stub_put_number(&s->reply, text);
    stub_put_text(&s->reply, ";Data=");
    stub_put_number(&s->reply, data);
    stub_put_text(&s->reply, ";Bss=");
    stub_put_number(&s->reply, data);
}

/* Which signals the client need not hear of, and which the program may get. The client copes with
 * those that it hears of all the same. */
void stub_signals(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    stub_ok(s);
}

/* Threads come and go without a word: that they do not is all that can be promised. */
void stub_thread_events(struct gdbstub *s, struct stub_cursor *c)
{
    if (is_feature(c, "0"))
        stub_ok(s);
}

void stub_non_stop(struct gdbstub *s, struct stub_cursor *c)
{
    if (is_feature(c, "0"))
        stub_ok(s);
    else
        stub_error(s, STUB_EINVAL);
}

/* ---- monitor ---- */

/* The command is a string of the target's: what is none is not passed on. It is copied, for the
 * console's text uses the buffers. */
static char *read_command(struct stub_cursor *c)
{
    size_t len = stub_left(c) / 2;
    char *command;

    if (stub_left(c) % 2)
        return NULL;
    command = malloc(len + 1);
    if (!command)
        return NULL;
    if (!stub_read_bytes(c, (uint8_t *)command, len) || memchr(command, 0, len)) {
        free(command);
        return NULL;
    }
    command[len] = 0;
    return command;
}

void stub_monitor(struct gdbstub *s, struct stub_cursor *c)
{
    char *command;
    int rc;

    if (!s->target.monitor)
        return;
    command = read_command(c);
    if (!command) {
        stub_error(s, STUB_EINVAL);
        return;
    }
    s->in_monitor = true;
    stub_flush_console(s);
    rc = s->target.monitor(s->user, s, command);
    s->in_monitor = false;
    free(command);
    stub_settle_thread(s, s->general);
    if (rc < 0)
        stub_error(s, STUB_EPERM);
    else
        stub_ok(s);
}
