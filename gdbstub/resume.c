/* SPDX-License-Identifier: MIT */
/*
 * Letting the target go, and stopping it (GDB manual, E.2: c, C, s, S, bc, bs, vCont; E.8
 * "Interrupts").
 *
 * All forms end in one: an action for each thread. In c, s and their kind, the thread of Hc moves
 * alone if there is one; without, the current thread does what is asked and all others continue.
 * The reply is the next stop.
 */
#include <stdlib.h>
#include <string.h>

#include "stub_internal.h"

/* An entry for each thread, all of them holding. */
static bool prepare(struct gdbstub *s)
{
    stub_list_threads(s);
    if (s->nthreads > s->actions_cap) {
        size_t cap = s->threads_cap;
        struct gdbstub_thread_action *actions = realloc(s->actions, cap * sizeof(*actions));
        bool *decided;

        if (actions)
            s->actions = actions;
        decided = realloc(s->decided, cap * sizeof(*decided));
        if (decided)
            s->decided = decided;
        if (!actions || !decided)
            return false;
        s->actions_cap = cap;
    }
    for (size_t i = 0; i < s->nthreads; i++) {
        s->actions[i] = (struct gdbstub_thread_action){s->threads[i], GDBSTUB_HOLD, 0, 0, 0};
        s->decided[i] = false;
    }
    return s->nthreads > 0;
}

static void go(struct gdbstub *s, size_t first)
{
    struct gdbstub_resume how = {s->actions, s->nthreads, first};

    if (s->killed || s->target.resume(s->user, &how) < 0) {
        stub_error(s, STUB_EPERM);
        return;
    }
    s->running = true;
    s->reply_due = true;
    s->reply.none = true;
    stub_flush_console(s);
}

/* ---- one thread's action, and that of the rest ---- */

static void resume_one(struct gdbstub *s, enum gdbstub_action action, uint8_t signal,
                       enum gdbstub_action others)
{
    gdbstub_thread about = s->general;
    size_t first = 0;

    if (!prepare(s)) {
        stub_error(s, STUB_ENOMEM);
        return;
    }
    if (s->continuing > 0) {
        about = (gdbstub_thread)s->continuing;
        others = GDBSTUB_HOLD;
    }
    for (size_t i = 0; i < s->nthreads; i++) {
        s->actions[i].action = others;
        if (s->threads[i] == about)
            first = i;
    }
    s->actions[first].action = action;
    s->actions[first].signal = signal;
    go(s, first);
}

/* An address to go on at, or nothing. */
static bool set_address(struct gdbstub *s, struct stub_cursor *c)
{
    uint64_t address;

    if (!stub_left(c))
        return true;
    return stub_read_number(c, &address) && !stub_left(c) && s->target.has_pc &&
           stub_set_register(s, s->general, s->target.pc_register, address);
}

static void resume_at(struct gdbstub *s, struct stub_cursor *c, enum gdbstub_action action)
{
    if (set_address(s, c))
        resume_one(s, action, 0, GDBSTUB_CONTINUE);
    else
        stub_error(s, STUB_EINVAL);
}

static void resume_signal(struct gdbstub *s, struct stub_cursor *c, enum gdbstub_action action)
{
    uint64_t signal;

    if (!stub_read_number(c, &signal) || signal > UINT8_MAX ||
        (stub_left(c) && !stub_read_char(c, ';')) || !set_address(s, c))
        stub_error(s, STUB_EINVAL);
    else
        resume_one(s, action, (uint8_t)signal, GDBSTUB_CONTINUE);
}

void stub_continue(struct gdbstub *s, struct stub_cursor *c)
{
    resume_at(s, c, GDBSTUB_CONTINUE);
}

void stub_continue_signal(struct gdbstub *s, struct stub_cursor *c)
{
    resume_signal(s, c, GDBSTUB_CONTINUE);
}

void stub_step(struct gdbstub *s, struct stub_cursor *c)
{
    resume_at(s, c, GDBSTUB_STEP);
}

void stub_step_signal(struct gdbstub *s, struct stub_cursor *c)
{
    resume_signal(s, c, GDBSTUB_STEP);
}

void stub_reverse_continue(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    if (s->target.can_reverse)
        resume_one(s, GDBSTUB_REVERSE_CONTINUE, 0, GDBSTUB_REVERSE_CONTINUE);
}

void stub_reverse_step(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    if (s->target.can_reverse)
        resume_one(s, GDBSTUB_REVERSE_STEP, 0, GDBSTUB_REVERSE_CONTINUE);
}

/* ---- vCont ---- */

void stub_vcont_query(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    stub_put_text(&s->reply, s->target.can_range_step ? "vCont;c;C;s;S;t;r" : "vCont;c;C;s;S;t");
}

/* "c", "Csig", "s", "Ssig", "t" or "rbegin,end" */
static bool read_action(struct stub_cursor *c, const struct gdbstub_target *t,
                        struct gdbstub_thread_action *a)
{
    char letter = c->p < c->end ? *c->p++ : 0;
    uint64_t signal = 0;

    memset(a, 0, sizeof(*a));
    switch (letter) {
    case 'c':
    case 'C': a->action = GDBSTUB_CONTINUE; break;
    case 's':
    case 'S': a->action = GDBSTUB_STEP; break;
    case 't': a->action = GDBSTUB_HOLD; break;
    case 'r':
        a->action = t->can_range_step ? GDBSTUB_RANGE_STEP : GDBSTUB_STEP;
        return stub_read_range(c, &a->range_begin, &a->range_end);
    default: return false;
    }
    if (letter == 'C' || letter == 'S') {
        if (!stub_read_number(c, &signal) || signal > UINT8_MAX)
            return false;
        a->signal = (uint8_t)signal;
    }
    return true;
}

/* The leftmost action that fits a thread is its action. "Any" is the current one. */
static void apply(struct gdbstub *s, const struct gdbstub_thread_action *a, int64_t thread)
{
    if (thread == STUB_ANY_THREAD)
        thread = s->general;
    for (size_t i = 0; i < s->nthreads; i++) {
        if (s->decided[i] || (thread != STUB_ALL_THREADS && s->threads[i] != (uint64_t)thread))
            continue;
        s->actions[i] = *a;
        s->actions[i].thread = s->threads[i];
        s->decided[i] = true;
    }
}

static bool read_actions(struct gdbstub *s, struct stub_cursor *c)
{
    do {
        struct gdbstub_thread_action action;
        int64_t thread = STUB_ALL_THREADS;

        if (!read_action(c, &s->target, &action))
            return false;
        if (stub_read_char(c, ':') && !stub_read_thread(c, &thread))
            return false;
        apply(s, &action, thread);
    } while (stub_read_char(c, ';'));
    return !stub_left(c);
}

/* The thread that is stepped; else the current one, if it moves; else the first that does; else
 * none, which is nthreads. */
static size_t thread_in_question(const struct gdbstub *s)
{
    size_t moving = s->nthreads;

    for (size_t i = 0; i < s->nthreads; i++) {
        enum gdbstub_action action = s->actions[i].action;

        if (action == GDBSTUB_STEP || action == GDBSTUB_RANGE_STEP)
            return i;
        if (action != GDBSTUB_HOLD && (moving == s->nthreads || s->threads[i] == s->general))
            moving = i;
    }
    return moving;
}

static bool any_decided(const struct gdbstub *s)
{
    for (size_t i = 0; i < s->nthreads; i++)
        if (s->decided[i])
            return true;
    return false;
}

/* vCont;t says to stop, whether it runs or not: the reply is how it stopped. */
static void stop_all(struct gdbstub *s)
{
    if (s->running)
        stub_why_stopped(s, NULL);
    else
        stub_put_stop(s);
}

void stub_vcont(struct gdbstub *s, struct stub_cursor *c)
{
    size_t first;

    if (!prepare(s)) {
        stub_error(s, STUB_ENOMEM);
        return;
    }
    if (!read_actions(s, c) || !any_decided(s)) {
        stub_error(s, STUB_EINVAL);
        return;
    }
    first = thread_in_question(s);
    if (first == s->nthreads)
        stop_all(s);
    else if (s->running)
        stub_error(s, STUB_EBUSY);
    else
        go(s, first);
}

/* ---- stopping ---- */

/* There is nothing to interrupt when the target stopped just before: the stop reply is on its way.
 */
void stub_interrupt(struct gdbstub *s)
{
    if (s->running)
        s->target.interrupt(s->user);
}

void stub_vctrlc(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    stub_interrupt(s);
    stub_ok(s);
}
