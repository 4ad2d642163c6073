/* SPDX-License-Identifier: MIT */
/*
 * One client at a time, and whoever else comes is told so.
 *
 * Sockets never block. Standard input and output are not made so, as others may have the same open
 * file: they are read once poll() says that there is something, and a pipe that can be written
 * takes PIPE_BUF bytes without waiting.
 *
 * A client that is sent away is not closed at once: closing a TCP socket that has unread bytes
 * resets the connection, and what was sent to it is lost. It is answered packet by packet, by the
 * same error, until it goes; one that came later takes its place. One place is enough for that.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server_internal.h"

#define RECEIVE_BYTES 65536u
#define LAST_READS    8u /* of a client that may have left */

struct server_end {
    int fd;         /* -1: none */
    bool is_socket; /* recv and send, not read and write */
};

struct gdbstub_server {
    struct gdbstub *stub;
    struct stub_listener listener;
    bool keep_path;
    struct server_end in, out; /* the client; the same fd for sockets */
    int refused;               /* a client that is being sent away; -1: none */
    bool told;                 /* it has been answered already */
    bool begun, ended;         /* stdio: that it is there was said; that it is gone */
    uint8_t buffer[RECEIVE_BYTES];
};

/* ---- ends ---- */

static ssize_t end_read(const struct server_end *end, void *buf, size_t len)
{
    if (end->is_socket)
        return recv(end->fd, buf, len, MSG_DONTWAIT);
    return read(end->fd, buf, len);
}

static ssize_t end_write(const struct server_end *end, const void *buf, size_t len)
{
    struct pollfd p = {end->fd, POLLOUT, 0};

    if (end->is_socket)
        return send(end->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (poll(&p, 1, 0) <= 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(end->fd, buf, len < PIPE_BUF ? len : PIPE_BUF);
}

static bool try_later(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* ---- the client ---- */

static void adopt(struct gdbstub_server *v, int fd)
{
    v->in = v->out = (struct server_end){fd, true};
    gdbstub_connected(v->stub);
}

static void drop_client(struct gdbstub_server *v)
{
    if (v->in.fd < 0)
        return;
    if (v->listener.fd >= 0)
        close(v->in.fd);
    else
        v->ended = true;
    v->in.fd = v->out.fd = -1;
    gdbstub_disconnected(v->stub);
}

/* What can be sent without waiting. False if the client is gone. */
static bool send_output(struct gdbstub_server *v)
{
    size_t len;
    const uint8_t *out = gdbstub_output(v->stub, &len);

    while (len) {
        ssize_t n = end_write(&v->out, out, len);

        if (n < 0)
            return try_later(errno);
        gdbstub_sent(v->stub, (size_t)n);
        out = gdbstub_output(v->stub, &len);
    }
    return true;
}

static bool has_output(const struct gdbstub_server *v)
{
    size_t len;

    gdbstub_output(v->stub, &len);
    return len > 0;
}

/* False if the client is gone: it said so, it left, or it cannot be kept. */
static bool receive(struct gdbstub_server *v, unsigned *events)
{
    ssize_t n = end_read(&v->in, v->buffer, sizeof(v->buffer));

    if (n < 0)
        return try_later(errno);
    if (n == 0)
        return false;
    *events |= GDBSTUB_SERVER_RECEIVED;
    gdbstub_receive(v->stub, v->buffer, (size_t)n);
    return true;
}

static bool client_is_done(const struct gdbstub_server *v)
{
    size_t len;

    gdbstub_output(v->stub, &len);
    return gdbstub_failed(v->stub) || len > GDBSTUB_SERVER_BACKLOG ||
           (gdbstub_leaving(v->stub) && !len);
}

static void lose_client(struct gdbstub_server *v, unsigned *events)
{
    drop_client(v);
    *events |= GDBSTUB_SERVER_DISCONNECTED;
    if (v->ended)
        *events |= GDBSTUB_SERVER_ENDED;
}

/* Bytes in, if there are any, and bytes out. */
static void serve(struct gdbstub_server *v, bool readable, unsigned *events)
{
    bool there;

    if (v->in.fd < 0)
        return;
    there = !readable || receive(v, events);
    if (!send_output(v))
        there = false;
    if (!there || client_is_done(v))
        lose_client(v, events);
}

/* Somebody else is there: if the client has left meanwhile, behind what it sent last, that is to be known
 * first. */
static void hear_out(struct gdbstub_server *v, unsigned *events)
{
    for (unsigned i = 0; i < LAST_READS && v->in.fd >= 0; i++) {
        struct pollfd p = {v->in.fd, POLLIN, 0};

        if (poll(&p, 1, 0) <= 0)
            return;
        serve(v, true, events);
    }
}

/* ---- who comes while there is one ---- */

static void close_refused(struct gdbstub_server *v)
{
    if (v->refused >= 0)
        close(v->refused);
    v->refused = -1;
}

/* A '+' and an error for every packet that ends in what it sent. When the client has left before this
 * one was told of it, there is nothing to refuse. */
static void serve_refused(struct gdbstub_server *v, unsigned *events)
{
    static const char reply[] = "+$E.another debugger is connected#98";
    ssize_t n;

    if (v->in.fd < 0 && !v->told) {
        adopt(v, v->refused);
        v->refused = -1;
        *events |= GDBSTUB_SERVER_CONNECTED;
        return;
    }
    n = recv(v->refused, v->buffer, sizeof(v->buffer), MSG_DONTWAIT);

    if (n == 0 || (n < 0 && !try_later(errno))) {
        close_refused(v);
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (v->buffer[i] != '#')
            continue;
        v->told = true;
        if (send(v->refused, reply, sizeof(reply) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
            close_refused(v);
            return;
        }
    }
}

static void accept_client(struct gdbstub_server *v, unsigned *events)
{
    int fd = accept4(v->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (v->in.fd < 0) {
        adopt(v, fd);
        *events |= GDBSTUB_SERVER_CONNECTED;
        return;
    }
    close_refused(v);
    v->refused = fd;
    v->told = false;
}

/* ---- polling ---- */

static size_t add_fd(struct pollfd *out, size_t n, int fd, short wanted)
{
    out[n] = (struct pollfd){fd, wanted, 0};
    return n + 1;
}

size_t gdbstub_server_pollfds(const struct gdbstub_server *v, struct pollfd *out)
{
    short write_wanted = has_output(v) ? POLLOUT : 0;
    size_t n = 0;

    if (v->listener.fd >= 0)
        n = add_fd(out, n, v->listener.fd, POLLIN);
    if (v->refused >= 0)
        n = add_fd(out, n, v->refused, POLLIN);
    if (v->in.fd < 0)
        return n;
    if (v->in.fd == v->out.fd)
        return add_fd(out, n, v->in.fd, (short)(POLLIN | write_wanted));
    n = add_fd(out, n, v->in.fd, POLLIN);
    return add_fd(out, n, v->out.fd, write_wanted);
}

static short happened(const struct pollfd *fds, size_t n, int fd)
{
    for (size_t i = 0; i < n && fd >= 0; i++)
        if (fds[i].fd == fd)
            return fds[i].revents;
    return 0;
}

/* What happened before there was any waiting: the beginning of stdio, a stop reply to be sent, a
 * client that is to go. */
static unsigned attend(struct gdbstub_server *v)
{
    unsigned events = 0;

    if (v->listener.fd < 0 && !v->begun) {
        v->begun = true;
        events |= GDBSTUB_SERVER_CONNECTED;
    }
    serve(v, false, &events);
    if (v->ended)
        events |= GDBSTUB_SERVER_ENDED;
    return events;
}

unsigned gdbstub_server_poll(struct gdbstub_server *v, int timeout_ms)
{
    struct pollfd fds[GDBSTUB_SERVER_FDS];
    unsigned events = attend(v);
    size_t n = gdbstub_server_pollfds(v, fds);
    bool unheard;

    if (v->ended)
        return events;
    if (poll(fds, n, events ? 0 : timeout_ms) <= 0)
        return events;
    unheard = v->out.fd != v->in.fd && happened(fds, n, v->out.fd) & ~POLLOUT;
    if (unheard && !happened(fds, n, v->in.fd))
        lose_client(v, &events); /* after the last that it said, which may be to kill */
    else
        serve(v, happened(fds, n, v->in.fd) & ~POLLOUT, &events);
    if (happened(fds, n, v->listener.fd) || happened(fds, n, v->refused))
        hear_out(v, &events);
    if (happened(fds, n, v->refused))
        serve_refused(v, &events);
    if (happened(fds, n, v->listener.fd))
        accept_client(v, &events);
    return events;
}

/* ---- life ---- */

/* A pipe's other end may close at any time, and write() then raises SIGPIPE, which ends a process
 * that does not know of it. Whoever handles it is left alone. */
static void ignore_sigpipe(void)
{
    struct sigaction old;

    if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

static struct server_end standard_end(int fd)
{
    struct stat st;

    return (struct server_end){fd, fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode)};
}

struct gdbstub_server *gdbstub_server_open(const char *address, struct gdbstub *s, char *err,
                                           size_t errlen)
{
    struct gdbstub_server *v = calloc(1, sizeof(*v));

    if (!v) {
        if (errlen)
            snprintf(err, errlen, "%s: out of memory", address);
        return NULL;
    }
    v->stub = s;
    v->in.fd = v->out.fd = v->refused = -1;
    if (!stub_listen(address, &v->listener, err, errlen)) {
        free(v);
        return NULL;
    }
    if (v->listener.fd < 0) {
        ignore_sigpipe();
        v->in = standard_end(STDIN_FILENO);
        v->out = standard_end(STDOUT_FILENO);
        gdbstub_connected(s);
    }
    return v;
}

void gdbstub_server_keep_path(struct gdbstub_server *v)
{
    v->keep_path = true;
}

void gdbstub_server_close(struct gdbstub_server *v)
{
    if (!v)
        return;
    if (v->in.fd >= 0)
        send_output(v);
    drop_client(v);
    close_refused(v);
    if (v->listener.fd >= 0)
        close(v->listener.fd);
    if (v->listener.path && !v->keep_path)
        unlink(v->listener.path);
    free(v->listener.path);
    free(v);
}

const char *gdbstub_server_address(const struct gdbstub_server *v)
{
    return v->listener.shown;
}

bool gdbstub_server_has_client(const struct gdbstub_server *v)
{
    return v->in.fd >= 0;
}

void gdbstub_server_disconnect(struct gdbstub_server *v)
{
    int fd;

    drop_client(v);
    close_refused(v);
    while (v->listener.fd >= 0 && (fd = accept4(v->listener.fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        close(fd);
}
