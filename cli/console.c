/* SPDX-License-Identifier: MIT */
/*
 * The live source of a run's inputs: see console.h and emu/input.h.
 *
 * Nothing here decides what a guest sees but by offering inputs, which are stamped and recorded; so
 * the host's clock and descriptors may be looked at freely. It costs the guest little: between
 * looks, SLICE instructions apart, poll() is a comparison.
 *
 * A halted guest waits in wall time, one virtual nanosecond a nanosecond, when an input can still
 * come from outside; otherwise time jumps to the next deadline. What the host sleeps too long is
 * taken off the sleeps that follow, so that virtual time keeps pace with short sleeps too.
 *
 * On a terminal Ctrl-A is the escape, as in QEMU.
 */
#include "console.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <devices/pc.h>
#include <emu/cpu.h>
#include <emu/machine.h>

#include "cli.h"
#include "console_line.h"
#include "console_term.h"
#include "grace.h"

#define SLICE        200000u      /* instructions between two looks at the host: some 2 ms */
#define RELOOK_NS    100000000ULL /* how often a pty is looked at that nobody has opened */
#define MAX_AHEAD_NS 50000000ULL  /* sleeping longer than that too much is not made up for */
#define ESCAPE            0x01 /* Ctrl-A */
#define VISITOR_FDS       4u

struct console {
    struct machine *machine;
    struct input_source source;
    struct line lines[MACHINE_MAX_SERIAL];
    struct line debug;
    uint64_t next_look; /* icount */
    uint64_t ahead_ns;  /* wall time that is ahead of virtual time by sleeping too long */
    struct grace panic;
    bool panic_over;    /* it has had its time */
    bool ignore_panic;
    bool escape; /* the last key was the escape */
    bool stop_asked, stop_told, reset_asked, power_asked;
    struct console_visitor visitor;
    uint8_t offered[UART16550_FIFO_BYTES];
};

static uint64_t wall_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* --- keys that are ours --- */

static void print_help(void)
{
    fputs("\n"
          "Ctrl-A h    this help\n"
          "Ctrl-A x    end the run\n"
          "Ctrl-A r    press the reset button\n"
          "Ctrl-A p    press the power button\n"
          "Ctrl-A a    send Ctrl-A to the guest\n",
          stderr);
}

/* The key after the escape. True: the byte is the guest's. */
static bool escaped_key(struct console *c, uint8_t key)
{
    switch (key) {
    case 'x': c->stop_asked = true; return false;
    case 'r': c->reset_asked = true; return false;
    case 'p': c->power_asked = true; return false;
    case 'h':
    case '?': print_help(); return false;
    case 'a':
    case ESCAPE: return true;
    default: return false;
    }
}

/* Takes our own keys out of what a terminal gave. */
static void filter_keys(struct console *c, struct line *l)
{
    size_t kept = 0;

    for (size_t i = 0; i < l->in_len; i++) {
        uint8_t key = l->input[i];
        bool escaped = c->escape;

        c->escape = !escaped && key == ESCAPE;
        if (escaped && !escaped_key(c, key))
            continue;
        if (!c->escape)
            l->input[kept++] = escaped ? ESCAPE : key;
    }
    l->in_len = kept;
}

/* --- looking at the host --- */

static void look_at_line(struct console *c, struct line *l)
{
    bool had = l->in_pos < l->in_len;

    if (l->spec == NULL)
        return;
    line_flush(l);
    line_look(l);
    if (!had && l->terminal_in)
        filter_keys(c, l);
    c->stop_asked |= l->lost;
}

static void look_at_host(struct console *c)
{
    for (unsigned i = 0; i < MACHINE_MAX_SERIAL; i++)
        look_at_line(c, &c->lines[i]);
    look_at_line(c, &c->debug);
    c->next_look = c->machine->clock.icount + SLICE;
}

/* True: the machine is to stop for the visitor. */
static bool let_visit(struct console *c)
{
    if (c->visitor.visit == NULL || !c->visitor.visit(c->visitor.opaque))
        return false;
    machine_request_stop(c->machine, STOP_SOURCE);
    return true;
}

/* The guest is done, but for what it still prints, when it has said that it panicked. */
static void look_at_panic(struct console *c)
{
    bool panicked = !c->ignore_panic && pc_has_panicked(pc_of(c->machine));

    c->panic_over |= grace_over(&c->panic, &c->machine->clock, panicked);
}

static bool stop_wanted(const struct console *c)
{
    return c->stop_asked || c->panic_over || term_stop_asked();
}

/* --- the source --- */

/* How many bytes the guest's receiver takes of those that wait. */
static size_t deliverable(const struct console *c, unsigned port)
{
    const struct line *l = &c->lines[port];
    size_t waiting = l->in_len - l->in_pos, room;

    if (waiting == 0)
        return 0;
    room = uart16550_room(&pc_of(c->machine)->serial[port].uart);
    return waiting < room ? waiting : room;
}

static bool end_due(const struct line *l)
{
    return l->ended && !l->end_told && l->in_pos == l->in_len;
}

static bool anything_due(const struct console *c)
{
    if (c->reset_asked || c->power_asked || (stop_wanted(c) && !c->stop_told))
        return true;
    for (unsigned i = 0; i < MACHINE_MAX_SERIAL; i++)
        if (deliverable(c, i) > 0 || end_due(&c->lines[i]))
            return true;
    return false;
}

static bool offer(struct input *in, enum input_kind kind, uint32_t port)
{
    *in = (struct input){.kind = kind, .port = port};
    return true;
}

static bool offer_line(struct console *c, unsigned port, struct input *in)
{
    struct line *l = &c->lines[port];
    size_t n = deliverable(c, port);

    if (n == 0 && !end_due(l))
        return false;
    if (n == 0) {
        l->end_told = true;
        return offer(in, INPUT_SERIAL_EOF, port);
    }
    memcpy(c->offered, l->input + l->in_pos, n);
    l->in_pos += n;
    offer(in, INPUT_SERIAL, port);
    in->data = c->offered;
    in->len = n;
    return true;
}

static bool taken(bool *flag)
{
    bool was = *flag;

    *flag = false;
    return was;
}

static bool console_poll(void *opaque, struct machine *m, struct input *in)
{
    struct console *c = opaque;

    if (m->clock.icount >= c->next_look) {
        look_at_host(c);
        look_at_panic(c);
        if (let_visit(c))
            return false;
    }
    if (stop_wanted(c) && !c->stop_told) {
        c->stop_told = true;
        return offer(in, INPUT_STOP, 0);
    }
    if (taken(&c->reset_asked))
        return offer(in, INPUT_RESET, 0);
    if (taken(&c->power_asked))
        return offer(in, INPUT_POWER, 0);
    for (unsigned i = 0; i < MACHINE_MAX_SERIAL; i++)
        if (offer_line(c, i, in))
            return true;
    return false;
}

static uint64_t console_horizon(void *opaque, uint64_t icount)
{
    const struct console *c = opaque;

    return c->next_look > icount ? c->next_look : icount + SLICE;
}

/* --- waiting --- */

struct waiting {
    struct pollfd fds[MACHINE_MAX_SERIAL + 1 + VISITOR_FDS];
    nfds_t nfds;  /* the last is for signals */
    bool outside; /* something can come from outside */
    bool relook;
};

static struct waiting what_to_wait_for(const struct console *c)
{
    struct waiting w = {0};

    for (unsigned i = 0; i < MACHINE_MAX_SERIAL; i++) {
        const struct line *l = &c->lines[i];
        int fd = line_wait_fd(l);

        w.outside |= l->spec != NULL && (l->in >= 0 || l->listening >= 0);
        w.relook |= l->hung;
        if (fd >= 0)
            w.fds[w.nfds++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    if (c->visitor.pollfds != NULL)
        w.nfds += c->visitor.pollfds(c->visitor.opaque, &w.fds[w.nfds], VISITOR_FDS);
    w.fds[w.nfds++] = (struct pollfd){.fd = term_stop_fd(), .events = POLLIN};
    return w;
}

static void sleep_for(struct waiting *w, uint64_t ns)
{
    struct timespec ts;

    if (w->relook && ns > RELOOK_NS)
        ns = RELOOK_NS;
    ts.tv_sec = (time_t)(ns / NS_PER_SEC);
    ts.tv_nsec = (long)(ns % NS_PER_SEC);
    ppoll(w->fds, w->nfds, ns == CLOCK_NEVER ? NULL : &ts, NULL);
}

/* Sleeps until something is due, or for `span`; CLOCK_NEVER: without end. Returns the time slept.
 */
static uint64_t wait_in_wall_time(struct console *c, uint64_t span)
{
    uint64_t start = wall_ns(), slept = 0;
    struct waiting w;

    while (slept < span) {
        w = what_to_wait_for(c);
        sleep_for(&w, span == CLOCK_NEVER ? CLOCK_NEVER : span - slept);
        slept = wall_ns() - start;
        look_at_host(c);
        if (let_visit(c) || anything_due(c))
            break;
    }
    return slept;
}

static uint64_t console_wait(void *opaque, struct machine *m, uint64_t deadline_ns)
{
    struct console *c = opaque;
    uint64_t now = clock_now_ns(&m->clock), span, slept;

    look_at_host(c);
    look_at_panic(c);
    if (let_visit(c) || anything_due(c))
        return now;
    if (!cpu_can_wake(&m->cpus[0]))
        return CLOCK_NEVER; /* halted with interrupts off, and no NMI to come: only a reset would help */
    if (!what_to_wait_for(c).outside || deadline_ns <= now)
        return deadline_ns;
    if (deadline_ns == CLOCK_NEVER)
        return now + wait_in_wall_time(c, CLOCK_NEVER);
    span = deadline_ns - now;
    if (span <= c->ahead_ns) {
        c->ahead_ns -= span;
        return deadline_ns;
    }
    slept = c->ahead_ns + wait_in_wall_time(c, span - c->ahead_ns);
    c->ahead_ns = slept > span ? slept - span : 0;
    if (c->ahead_ns > MAX_AHEAD_NS)
        c->ahead_ns = 0;
    return slept < span ? now + slept : deadline_ns;
}

/* --- life cycle --- */

static int open_lines(struct console *c, const struct run_options *o)
{
    int status = 0;

    for (unsigned i = 0; i < MACHINE_MAX_SERIAL && status == 0; i++)
        status = line_open(&c->lines[i], &o->serial[i], "-serial");
    return status != 0 ? status : line_open(&c->debug, &o->debugcon, "-debugcon");
}

static void take_terminal(const struct console *c)
{
    for (unsigned i = 0; i < MACHINE_MAX_SERIAL; i++)
        if (c->lines[i].terminal_in)
            term_raw(c->lines[i].in);
}

int console_open(struct console **out, const struct run_options *o, struct machine *m)
{
    struct console *c = calloc(1, sizeof(*c));
    int status;

    *out = NULL;
    if (c == NULL || term_take_signals() != 0) {
        cli_error("cannot open the console: %s", strerror(errno));
        free(c);
        return EXIT_USAGE;
    }
    c->machine = m;
    c->ignore_panic = o->ignore_panic;
    c->source = (struct input_source){
        .poll = console_poll, .horizon = console_horizon, .wait = console_wait, .opaque = c};
    status = open_lines(c, o);
    if (status != 0) {
        console_close(c);
        return status;
    }
    take_terminal(c);
    *out = c;
    return 0;
}

void console_set_visitor(struct console *c, const struct console_visitor *visitor)
{
    c->visitor = *visitor;
}

bool console_stop_asked(struct console *c)
{
    look_at_host(c);
    return c->stop_asked || term_stop_asked();
}

const struct input_source *console_source(struct console *c)
{
    return &c->source;
}

void console_write(struct console *c, unsigned port, const uint8_t *data, size_t len)
{
    if (port < MACHINE_MAX_SERIAL)
        line_write(&c->lines[port], data, len);
}

void console_debug_write(struct console *c, uint8_t byte)
{
    line_write(&c->debug, &byte, 1);
}

bool console_failed(const struct console *c)
{
    bool failed = c->debug.lost;

    for (unsigned i = 0; i < MACHINE_MAX_SERIAL; i++)
        failed |= c->lines[i].lost;
    return failed;
}

void console_close(struct console *c)
{
    if (c == NULL)
        return;
    for (unsigned i = 0; i < MACHINE_MAX_SERIAL; i++)
        line_close(&c->lines[i]);
    line_close(&c->debug);
    term_restore();
    term_restore_signals();
    free(c);
}
