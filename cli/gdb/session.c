/* SPDX-License-Identifier: MIT */
/* A machine under gdb, from the first client to the last: session.h. */
#include "session.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <emu/cpu.h>
#include <replay/describe.h>

#include "../cli.h"
#include "../console.h"
#include "../console_term.h"
#include "../guest_symbols.h"
#include "../live.h"
#include "../options.h"
#include "session_internal.h"

#define STOPPED_LOOK_MS 200 /* how often a stopped live machine's console is looked at */

/* --- life cycle --- */

static int open_events(struct session *s, char *err, size_t errlen)
{
    struct trace_error terr;

    if (s->options.trace_path == NULL)
        return 0;
    s->events = trace_reader_open(s->options.trace_path, &terr);
    if (s->events != NULL)
        return 0;
    replay_describe_error(s->options.trace_path, &terr, err, errlen);
    return -1;
}

static int open_stub(struct session *s, char *err, size_t errlen)
{
    struct gdbstub_target target;

    register_view_init(&s->view, false);
    target = session_target(s);
    s->description = session_describe_target(&s->view);
    s->stub = gdbstub_create(&target, s);
    if (s->description == NULL || s->stub == NULL) {
        snprintf(err, errlen, "out of memory");
        return -1;
    }
    s->server = gdbstub_server_open(s->options.address, s->stub, err, errlen);
    if (s->server == NULL)
        return -1;
    if (s->options.sandboxed)
        gdbstub_server_keep_path(s->server);
    return 0;
}

struct session *session_create(const struct session_options *options, char *err, size_t errlen)
{
    struct session *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        snprintf(err, errlen, "out of memory");
        return NULL;
    }
    s->options = *options;
    s->timeline = options->timeline;
    s->live = options->live;
    s->m = s->timeline != NULL ? timeline_machine(s->timeline) : s->live->m;
    s->symbols = guest_symbols_create(options->vmlinux, options->modules, err, errlen);
    if (s->symbols == NULL || open_events(s, err, errlen) != 0 || open_stub(s, err, errlen) != 0) {
        session_destroy(s);
        return NULL;
    }
    if (s->timeline != NULL)
        timeline_set_accept(s->timeline, session_accept, s);
    return s;
}

int session_open_live(struct session **out, struct live *live, const struct run_options *o)
{
    struct session_options options = {
        .address = o->gdb, .live = live, .stopped = o->stopped, .sandboxed = !o->no_sandbox};
    char err[512];

    *out = NULL;
    if (o->gdb == NULL)
        return EXIT_DONE;
    *out = session_create(&options, err, sizeof(err));
    if (*out == NULL) {
        cli_error("-gdb %s", err);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

void session_destroy(struct session *s)
{
    if (s == NULL)
        return;
    gdbstub_server_close(s->server);
    gdbstub_destroy(s->stub);
    trace_reader_destroy(s->events);
    guest_symbols_destroy(s->symbols);
    free(s->description);
    free(s->points);
    free(s);
}

const char *session_address(const struct session *s)
{
    return gdbstub_server_address(s->server);
}

/* --- listening --- */

static void warn(void *opaque, const char *text)
{
    struct session *s = opaque;

    cli_error("%s", text);
    session_say(s, "deja: %s\n", text);
}

void session_look(struct session *s)
{
    guest_symbols_look(s->symbols, s->m, warn, s);
}

/* A new client has not read the description yet: it gets that of the guest as it is now. Without memory for it, the
 * one of before stays, and with it the registers. */
static void choose_registers(struct session *s)
{
    struct gdbstub_target target = {0};
    struct register_view view;
    char *description;

    if (guest_symbols_are_i386(s->symbols) == s->view.i386)
        return;
    register_view_init(&view, !s->view.i386);
    description = session_describe_target(&view);
    if (description == NULL)
        return;
    free(s->description);
    s->description = description;
    s->view = view;
    register_view_fill(&s->view, &target);
    gdbstub_set_registers(s->stub, &target);
}

/* Looks at the client; true: somebody wants the run to stop. */
static bool listen_in(struct session *s, int timeout_ms)
{
    unsigned events = gdbstub_server_poll(s->server, timeout_ms);

    if (s->ended)
        events &= ~(unsigned)GDBSTUB_SERVER_ENDED; /* it is said each time */
    if (events & (GDBSTUB_SERVER_CONNECTED | GDBSTUB_SERVER_DISCONNECTED | GDBSTUB_SERVER_ENDED))
        s->interrupt = true;
    if (events & GDBSTUB_SERVER_DISCONNECTED)
        s->left = true;
    if (events & GDBSTUB_SERVER_ENDED) {
        s->ended = s->detached = true;
        s->killed = s->timeline != NULL;
    }
    if (events & GDBSTUB_SERVER_CONNECTED) {
        s->physical = false;
        s->pass_handlers = false;
        s->detached = false;
        session_look(s);
        choose_registers(s);
    }
    return s->interrupt || s->killed;
}

/* While a monitor command waits for its result gdb says nothing, but that it wants no more of it. */
static bool client_speaks(const struct session *s)
{
    struct pollfd fds[GDBSTUB_SERVER_FDS];
    size_t n = gdbstub_server_pollfds(s->server, fds);

    if (poll(fds, (nfds_t)n, 0) <= 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (fds[i].revents & (POLLIN | POLLHUP | POLLERR))
            return true;
    return false;
}

bool session_interrupted(void *opaque)
{
    struct session *s = opaque;

    if (s->in_monitor)
        return client_speaks(s) || term_stop_asked();
    return listen_in(s, 0) || term_stop_asked();
}

struct guest_symbols *session_symbols(const struct session *s)
{
    return s->symbols;
}

bool session_write_symbols(const struct session *s, int fd)
{
    const char *name = guest_symbols_exec_file(s->symbols);
    size_t len = 0, done = 0;
    const uint8_t *file = name == NULL ? NULL : guest_symbols_file(s->symbols, name, &len);

    while (file != NULL && done < len) {
        ssize_t n = write(fd, file + done, len - done);

        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return file != NULL;
}

void session_set_status(struct session *s, enum timeline_status status)
{
    struct gdbstub_stop stop = session_stop_of(s, status);

    /* That it is at the end needs no saying before anything was asked. */
    if (stop.kind == GDBSTUB_STOP_REPLAY_END || stop.kind == GDBSTUB_STOP_REPLAY_BEGIN)
        stop.kind = GDBSTUB_STOP_SIGNAL;
    gdbstub_stopped(s->stub, &stop); /* of a client that left while its guest was to run */
    gdbstub_set_stop(s->stub, &stop);
}

static void answer(struct session *s)
{
    struct gdbstub_stop stop = session_resume(s);

    gdbstub_stopped(s->stub, &stop);
    listen_in(s, 0); /* the answer is on its way before anything else is done */
    session_look(s);
}

/* --- replays --- */

static struct pollfd stop_fd(void)
{
    return (struct pollfd){.fd = term_stop_fd(), .events = POLLIN};
}

bool session_owner_speaks(const struct session *s)
{
    struct pollfd fd = {.fd = s->options.owner_fd, .events = POLLIN};

    return s->options.owner_fd > 0 && poll(&fd, 1, 0) > 0;
}

/* Waits for the client's next word, or a signal, or the owner's word or end. */
static void wait_for_client(struct session *s, int timeout_ms)
{
    struct pollfd fds[GDBSTUB_SERVER_FDS + 2];
    size_t n = gdbstub_server_pollfds(s->server, fds);

    fds[n++] = stop_fd();
    if (s->options.owner_fd > 0)
        fds[n++] = (struct pollfd){.fd = s->options.owner_fd, .events = POLLIN};
    poll(fds, (nfds_t)n, timeout_ms);
    listen_in(s, 0);
    if (session_owner_speaks(s))
        s->killed = true;
}

int session_replay(struct session *s)
{
    bool had_client = false;

    while (!s->killed && !term_stop_asked()) {
        if (gdbstub_running(s->stub))
            answer(s);
        else
            wait_for_client(s, -1);
        had_client |= gdbstub_server_has_client(s->server);
        if (had_client && s->options.until_client_leaves && !gdbstub_server_has_client(s->server))
            break;
    }
    return EXIT_DONE;
}

void session_serve_client(struct session *s)
{
    s->killed = s->left = false;
    while (!s->killed && !s->left && !term_stop_asked() && !session_owner_speaks(s)) {
        if (gdbstub_running(s->stub))
            answer(s);
        else
            wait_for_client(s, -1);
    }
}

void session_send_away(struct session *s)
{
    gdbstub_server_disconnect(s->server);
}

/* --- live machines --- */

/* A look at the host now and then, from inside of a run: true stops it. */
static bool visit(void *opaque)
{
    return listen_in(opaque, 0);
}

static size_t visitor_fds(void *opaque, struct pollfd *out, size_t capacity)
{
    const struct session *s = opaque;

    return capacity < GDBSTUB_SERVER_FDS ? 0 : gdbstub_server_pollfds(s->server, out);
}

/* Without a client, or with one that has detached. */
static void run_alone(struct session *s)
{
    enum machine_stop why;

    s->interrupt = false;
    why = live_run_to(s->live, (struct moment){.icount = UINT64_MAX});
    if (why == STOP_SOURCE && (s->interrupt || s->killed))
        return;
    s->over = true;
    s->end = why;
}

static bool has_client(const struct session *s)
{
    return gdbstub_server_has_client(s->server) && !s->detached;
}

/* The guest stands still; the user may end the run at the console all the same. */
static bool wait_stopped(struct session *s)
{
    wait_for_client(s, STOPPED_LOOK_MS);
    return console_stop_asked(s->live->console);
}

enum machine_stop session_live(struct session *s)
{
    bool stands = s->options.stopped; /* until the client lets it go */

    if (strcmp(s->options.address, "stdio") != 0)
        fprintf(stderr, "deja: waiting for gdb: target remote %s\n", session_address(s));
    console_set_visitor(s->live->console, &(struct console_visitor){
                                              .visit = visit, .pollfds = visitor_fds, .opaque = s});
    while (!s->killed && !(s->over && !has_client(s))) {
        if (s->detached)
            stands = false;
        if (gdbstub_running(s->stub)) {
            answer(s);
            stands = true;
        } else if (has_client(s) || stands) {
            stands = true;
            if (!wait_stopped(s))
                continue;
            if (!s->over)
                run_alone(s); /* takes the stop, and ends */
            break;
        } else {
            run_alone(s);
        }
    }
    return s->over ? s->end : STOP_SOURCE;
}
