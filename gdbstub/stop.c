/* SPDX-License-Identifier: MIT */
/*
 * Why the target stands where it does (GDB manual, E.3 "Stop Reply Packets"), and text for the
 * user, which may be shown while it does not (O).
 *
 *     T sig [register:value;..] thread:id; [reason]     W code     X signal
 *
 * Registers come along because gdb asks for them first, and each question that is spared is felt in
 * a row of steps.
 */
#include <stdlib.h>
#include <string.h>

#include "stub_internal.h"

#define SIGTRAP_NUMBER 5
#define SIGKILL_NUMBER 9
#define CONSOLE_CHUNK  4096u

static void put_expedited(struct gdbstub *s, gdbstub_thread thread)
{
    for (unsigned i = 0; i < s->target.nexpedite; i++) {
        unsigned reg = s->target.expedite[i];
        size_t len = s->target.register_bytes[reg];
        uint8_t value[GDBSTUB_MAX_REGISTER] = {0};

        if (s->target.read_register(s->user, thread, reg, value) < 0)
            continue;
        stub_put_number(&s->reply, reg);
        stub_put_text(&s->reply, ":");
        stub_put_bytes(&s->reply, value, len);
        stub_put_text(&s->reply, ";");
    }
}

static void put_address(struct gdbstub *s, const char *reason)
{
    stub_put_text(&s->reply, reason);
    stub_put_number(&s->reply, s->stop.address);
    stub_put_text(&s->reply, ";");
}

static void put_exec(struct gdbstub *s)
{
    const char *path = s->stop.path ? s->stop.path : "";

    stub_put_text(&s->reply, "exec:");
    stub_put_bytes(&s->reply, (const uint8_t *)path, strlen(path));
    stub_put_text(&s->reply, ";");
}

/* Reasons that a client has to ask for are left out when it did not: then it is a plain SIGTRAP. */
static void put_reason(struct gdbstub *s)
{
    switch (s->stop.kind) {
    case GDBSTUB_STOP_SOFTWARE_BREAK:
        stub_put_text(&s->reply, s->wants_swbreak ? "swbreak:;" : "");
        break;
    case GDBSTUB_STOP_HARDWARE_BREAK:
        stub_put_text(&s->reply, s->wants_hwbreak ? "hwbreak:;" : "");
        break;
    case GDBSTUB_STOP_WRITE_WATCH: put_address(s, "watch:"); break;
    case GDBSTUB_STOP_READ_WATCH: put_address(s, "rwatch:"); break;
    case GDBSTUB_STOP_ACCESS_WATCH: put_address(s, "awatch:"); break;
    case GDBSTUB_STOP_REPLAY_BEGIN: stub_put_text(&s->reply, "replaylog:begin;"); break;
    case GDBSTUB_STOP_REPLAY_END: stub_put_text(&s->reply, "replaylog:end;"); break;
    case GDBSTUB_STOP_LIBRARIES: stub_put_text(&s->reply, "library:;"); break;
    case GDBSTUB_STOP_EXEC:
        if (s->wants_exec)
            put_exec(s);
        break;
    default: break;
    }
}

void stub_put_stop(struct gdbstub *s)
{
    uint8_t signal = s->stop.signal ? s->stop.signal : SIGTRAP_NUMBER;

    if (s->killed) {
        stub_put_text(&s->reply, "X");
        stub_put_byte(&s->reply, SIGKILL_NUMBER);
        return;
    }
    if (s->stop.kind == GDBSTUB_STOP_EXITED) {
        stub_put_text(&s->reply, "W");
        stub_put_byte(&s->reply, s->stop.code);
        return;
    }
    if (s->stop.kind == GDBSTUB_STOP_TERMINATED) {
        stub_put_text(&s->reply, "X");
        stub_put_byte(&s->reply, signal);
        return;
    }
    stub_settle_thread(s, s->stop.thread);
    stub_put_text(&s->reply, "T");
    stub_put_byte(&s->reply, signal);
    put_expedited(s, s->general);
    stub_put_text(&s->reply, "thread:");
    stub_put_number(&s->reply, s->general);
    stub_put_text(&s->reply, ";");
    put_reason(s);
}

/* One that is asked about while the target runs, by a client that found it so, is stopped for that.
 */
void stub_why_stopped(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    if (!s->running) {
        stub_put_stop(s);
        return;
    }
    s->reply_due = true;
    s->reply.none = true;
    stub_interrupt(s);
}

/* False if there is no memory for the path, which is then left out. */
bool stub_set_stop(struct gdbstub *s, const struct gdbstub_stop *stop)
{
    char *path = NULL;

    if (stop->path)
        path = strndup(stop->path, STUB_MAX_PATH);
    free(s->stop_path);
    s->stop_path = path;
    s->stop = *stop;
    s->stop.path = path;
    stub_settle_thread(s, stop->thread);
    s->stop.thread = s->general; /* so that it stays the same one, whichever the client selects */
    return path || !stop->path;
}

void gdbstub_set_stop(struct gdbstub *s, const struct gdbstub_stop *stop)
{
    stub_set_stop(s, stop);
}

void gdbstub_stopped(struct gdbstub *s, const struct gdbstub_stop *stop)
{
    if (!s->running)
        return;
    stub_flush_console(s);
    s->running = false;
    stub_set_stop(s, stop);
    if (!s->reply_due)
        return;
    s->reply_due = false;
    memset(&s->reply, 0, offsetof(struct stub_reply, data));
    stub_put_stop(s);
    stub_send_reply(s);
}

/* ---- text ---- */

static void show(struct gdbstub *s, const uint8_t *text, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char packet[1 + 2 * CONSOLE_CHUNK];

    while (len) {
        size_t n = len < CONSOLE_CHUNK ? len : CONSOLE_CHUNK;

        packet[0] = 'O';
        for (size_t i = 0; i < n; i++) {
            packet[1 + 2 * i] = digits[text[i] >> 4];
            packet[2 + 2 * i] = digits[text[i] & 15];
        }
        stub_send_packet(s, packet, 1 + 2 * n);
        text += n;
        len -= n;
    }
}

static bool can_show(const struct gdbstub *s)
{
    return s->in_monitor || (s->running && s->reply_due);
}

void stub_flush_console(struct gdbstub *s)
{
    static const char cut[] = "[more was said, but not kept]\n";

    if (!can_show(s))
        return;
    show(s, s->console.data, s->console.len);
    if (s->console_cut)
        show(s, (const uint8_t *)cut, sizeof(cut) - 1);
    s->console.len = 0;
    s->console_cut = false;
}

void gdbstub_console(struct gdbstub *s, const char *text, size_t len)
{
    if (can_show(s)) {
        stub_flush_console(s);
        show(s, (const uint8_t *)text, len);
        return;
    }
    if (len > STUB_CONSOLE_MAX - s->console.len) {
        len = STUB_CONSOLE_MAX - s->console.len;
        s->console_cut = true;
    }
    if (!stub_bytes_add(&s->console, text, len, STUB_CONSOLE_MAX))
        s->console_cut = true;
}
