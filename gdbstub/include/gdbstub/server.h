/* SPDX-License-Identifier: MIT */
/*
 * Sockets for one GDB session: listens, takes one client at a time, moves bytes. Never blocks but in
 * gdbstub_server_poll(), for as long as it is told to.
 *
 *     struct gdbstub_server *v = gdbstub_server_open("tcp:1234", s, err, sizeof(err));
 *     for (;;) {
 *         gdbstub_server_poll(v, gdbstub_running(s) ? 0 : -1);
 *         if (gdbstub_running(s))
 *             ... run for some milliseconds; gdbstub_stopped() when it stopped ...
 *     }
 *     gdbstub_server_close(v);
 *
 * A second client is told that another one is there, and sent away. A client that does not read is
 * dropped when GDBSTUB_SERVER_BACKLOG bytes wait for it. All sockets are close-on-exec and
 * non-blocking; no signal is raised when a client vanishes.
 *
 * After gdbstub_server_open() the only system calls are poll, accept4, recv and send (read and write
 * for stdio) and close, so that a process may give up all others; and unlink when a Unix socket is
 * closed, unless gdbstub_server_keep_path().
 *
 * With stdio, SIGPIPE is ignored from then on if it had its default action, for there is no other
 * way to write to a pipe that nobody reads. Both stay open, and blocking, as others may use them.
 */
#ifndef GDBSTUB_SERVER_H
#define GDBSTUB_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include <gdbstub/gdbstub.h>

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

#define GDBSTUB_SERVER_BACKLOG (16u << 20)

struct gdbstub_server;
struct pollfd;

/*
 * `address`: "tcp:PORT" or "tcp:HOST:PORT" (HOST a name, an IPv4 or a [bracketed] IPv6 address; without
 * it the loopback interface; port 0: any that is free), "unix:PATH" (a socket that nobody listens
 * on any more is replaced; PATH is removed at the close), or "stdio" (standard input and output are
 * the one client, there from the start). The session outlives the server.
 *
 * NULL on failure, with one line in `err` that names the address and says what is wrong.
 */
struct gdbstub_server *gdbstub_server_open(const char *address, struct gdbstub *s, char *err,
                                           size_t errlen);
/* NULL is fine. What is still to be sent is sent as far as that takes no waiting. */
void gdbstub_server_close(struct gdbstub_server *v);

/* As the user would give it to gdb's `target remote`: "localhost:1234", the path; "-" for stdio. */
const char *gdbstub_server_address(const struct gdbstub_server *v);

/* The path of a Unix socket is not to be removed at the close: for a process that by then may not call
 * unlink. The next gdbstub_server_open() replaces it. */
void gdbstub_server_keep_path(struct gdbstub_server *v);

enum gdbstub_server_event {
    GDBSTUB_SERVER_CONNECTED = 1,    /* a client came */
    GDBSTUB_SERVER_DISCONNECTED = 2, /* it went; gdbstub_disconnected() was called */
    GDBSTUB_SERVER_RECEIVED = 4,     /* bytes were handed to the session */
    GDBSTUB_SERVER_ENDED = 8,        /* stdio: there will be no other client */
};

/* Waits up to timeout_ms (0: not at all, negative: for ever) for anything to do, and does it. A set of
 * enum gdbstub_server_event. Also returns, with 0, when a signal came. */
unsigned gdbstub_server_poll(struct gdbstub_server *v, int timeout_ms);

bool gdbstub_server_has_client(const struct gdbstub_server *v);

/* Ends the connection to the client, if there is one (gdbstub_disconnected() is called), and to all that wait
 * to become one. What comes later is let in again. */
void gdbstub_server_disconnect(struct gdbstub_server *v);

/* Fills in what to wait for, for callers with a poll of their own (then gdbstub_server_poll(v, 0)): up to
 * GDBSTUB_SERVER_FDS entries; how many. */
#define GDBSTUB_SERVER_FDS 3
size_t gdbstub_server_pollfds(const struct gdbstub_server *v, struct pollfd *out);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
