/* SPDX-License-Identifier: MIT */
/*
 * Beginning again, leaving and ending (GDB manual, E.2: !, R, vRun, vAttach, D, k, vKill). In
 * extended mode a client may go on after the end of what it debugged, so that the connection stays.
 */
#include "stub_internal.h"

void stub_extend(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    s->extended = true;
    stub_ok(s);
}

static bool restart(struct gdbstub *s)
{
    struct gdbstub_stop at_start = {.kind = GDBSTUB_STOP_SIGNAL};

    if (s->target.restart(s->user) < 0)
        return false;
    stub_list_threads(s);
    if (s->nthreads)
        at_start.thread = s->threads[0];
    stub_set_stop(s, &at_start);
    s->killed = false;
    return true;
}

/* It has no reply, not even when it fails. */
void stub_restart(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    if (!s->target.restart)
        return;
    restart(s);
    s->reply.none = true;
}

/* The target is what it is: a program's name and arguments are not looked at. */
void stub_run(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    if (!s->target.restart)
        return;
    if (restart(s))
        stub_put_stop(s);
    else
        stub_error(s, STUB_EPERM);
}

void stub_attach(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    stub_error(s, STUB_EPERM);
}

/* ---- going ---- */

static void leave(struct gdbstub *s)
{
    s->leaving = !s->extended;
}

/* The next client finds the target where it was left. */
static void kill_target(struct gdbstub *s)
{
    static const struct gdbstub_stop left = {.kind = GDBSTUB_STOP_SIGNAL};

    if (s->running)
        stub_set_stop(s, &left);
    s->running = false;
    s->reply_due = false;
    if (s->target.kill)
        s->target.kill(s->user);
    s->killed = true;
    leave(s);
}

/* "D" or "D;pid" */
void stub_detach(struct gdbstub *s, struct stub_cursor *c)
{
    uint64_t pid;

    if (stub_left(c) && (!stub_read_char(c, ';') || !stub_read_number(c, &pid) || stub_left(c))) {
        stub_error(s, STUB_EINVAL);
        return;
    }
    stub_remove_all_points(s);
    if (s->target.detach)
        s->target.detach(s->user);
    s->reply_due = false;
    stub_ok(s);
    leave(s);
}

void stub_kill(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    kill_target(s);
    s->reply.none = true;
}

void stub_vkill(struct gdbstub *s, struct stub_cursor *c)
{
    uint64_t pid;

    if (!stub_read_number(c, &pid) || stub_left(c)) {
        stub_error(s, STUB_EINVAL);
        return;
    }
    kill_target(s);
    stub_ok(s);
}
