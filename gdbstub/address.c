/* SPDX-License-Identifier: MIT */
/*
 * From "tcp:1234", "unix:PATH" and "stdio" to something that listens. Whatever is wrong with an
 * address is said with the address as the user wrote it.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server_internal.h"

#define BACKLOG    4 /* clients that wait to be let in, or sent away */
#define HOST_BYTES 256u

struct failure {
    const char *address;
    char *err;
    size_t errlen;
};

__attribute__((format(printf, 2, 3))) static bool fail(const struct failure *f, const char *format,
                                                       ...)
{
    char what[256];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    if (f->errlen)
        snprintf(f->err, f->errlen, "%s: %s", f->address, what);
    return false;
}

/* ---- TCP ---- */

struct place {
    char host[HOST_BYTES]; /* empty: the loopback interface */
    char port[8];
};

static bool is_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    return digits && digits <= 5 && !text[digits] && atoi(text) <= 65535;
}

/* "PORT", "HOST:PORT" or "[HOST]:PORT" */
static bool read_place(const char *text, struct place *place, const struct failure *f)
{
    const char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text;
    size_t len = colon ? (size_t)(colon - text) : 0;

    if (!is_port(port))
        return fail(f, "a port is a number from 0 to 65535");
    snprintf(place->port, sizeof(place->port), "%s", port);
    if (len && text[0] == '[') {
        if (len < 3 || text[len - 1] != ']')
            return fail(f, "the bracket is not closed before the port");
        text++;
        len -= 2;
    } else if (memchr(text, ':', len)) {
        return fail(f, "an IPv6 address is written in brackets: tcp:[::1]:1234");
    }
    if (len >= sizeof(place->host))
        return fail(f, "the host's name is too long");
    memcpy(place->host, text, len);
    place->host[len] = 0;
    return true;
}

/* What is accepted inherits TCP_NODELAY. Without it each packet waits for the client's delayed
 * acknowledgement, about 40 ms. */
static int open_tcp(const struct addrinfo *ai)
{
    int on = 1, saved;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0 &&
        bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static bool explain_tcp(const struct failure *f, int error)
{
    switch (error) {
    case EADDRINUSE: return fail(f, "port is in use");
    case EACCES: return fail(f, "this port is for the superuser only");
    case EADDRNOTAVAIL: return fail(f, "this machine does not have that address");
    default: return fail(f, "%s", strerror(error));
    }
}

static bool is_loopback(const struct sockaddr *address)
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;

    if (address->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
    return ntohl(v4->sin_addr.s_addr) >> 24 == 127 || v4->sin_addr.s_addr == INADDR_ANY;
}

/* The port may have been chosen by the system just now. */
static void show_tcp(struct stub_listener *l)
{
    struct sockaddr_storage bound = {0};
    struct sockaddr *address = (struct sockaddr *)&bound;
    socklen_t len = sizeof(bound);
    char host[HOST_BYTES], port[8];

    if (getsockname(l->fd, address, &len) < 0 ||
        getnameinfo(address, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(l->shown, sizeof(l->shown), "?");
    else if (is_loopback(address))
        snprintf(l->shown, sizeof(l->shown), "localhost:%s", port);
    else if (address->sa_family == AF_INET6)
        snprintf(l->shown, sizeof(l->shown), "[%s]:%s", host, port);
    else
        snprintf(l->shown, sizeof(l->shown), "%s:%s", host, port);
}

/* A name may stand for several addresses: the first that can be listened on is it. Without a host,
 * that is 127.0.0.1 wherever there is IPv4. */
static bool listen_tcp(const char *text, struct stub_listener *l, const struct failure *f)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    struct place place;
    int rc, error = 0;

    if (!read_place(text, &place, f))
        return false;
    hints.ai_flags = AI_NUMERICSERV;
    rc = getaddrinfo(place.host[0] ? place.host : "127.0.0.1", place.port, &hints, &list);
    if (rc)
        return fail(f, "the host cannot be found: %s", gai_strerror(rc));
    for (const struct addrinfo *ai = list; ai && l->fd < 0; ai = ai->ai_next) {
        l->fd = open_tcp(ai);
        if (l->fd < 0 && !error)
            error = errno;
    }
    freeaddrinfo(list);
    if (l->fd < 0)
        return explain_tcp(f, error);
    show_tcp(l);
    return true;
}

/* ---- Unix sockets ---- */

enum found {
    FOUND_NOTHING,
    FOUND_STALE, /* a socket that nobody listens on */
    FOUND_LIVE,
    FOUND_OTHER,
};

static enum found look_at(const struct sockaddr_un *address)
{
    struct stat st;
    int fd, rc, error;

    if (lstat(address->sun_path, &st) < 0)
        return FOUND_NOTHING;
    if (!S_ISSOCK(st.st_mode))
        return FOUND_OTHER;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return FOUND_LIVE;
    rc = connect(fd, (const struct sockaddr *)address, sizeof(*address));
    error = errno;
    close(fd);
    return rc < 0 && error == ECONNREFUSED ? FOUND_STALE : FOUND_LIVE;
}

/* Mode 600 from the beginning on: a socket's file takes the mode that the socket has when it is
 * bound. Whoever may connect may do anything to what is debugged. */
static bool bind_unix(const struct sockaddr_un *address, struct stub_listener *l,
                      const struct failure *f)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    if (fd < 0)
        return fail(f, "%s", strerror(errno));
    fchmod(fd, S_IRUSR | S_IWUSR);
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 &&
        listen(fd, BACKLOG) == 0) {
        l->fd = fd;
        return true;
    }
    error = errno;
    close(fd);
    return fail(f, "%s", error == EADDRINUSE ? "somebody else was faster" : strerror(error));
}

static bool listen_unix(const char *path, struct stub_listener *l, const struct failure *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (!*path)
        return fail(f, "there is no path");
    if (strlen(path) >= sizeof(address.sun_path))
        return fail(f, "the path is longer than %zu bytes", sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, path);
    switch (look_at(&address)) {
    case FOUND_LIVE: return fail(f, "somebody listens there already");
    case FOUND_OTHER: return fail(f, "there is a file that is not a socket");
    case FOUND_STALE: unlink(path); break;
    case FOUND_NOTHING: break;
    }
    l->path = strdup(path);
    if (!l->path)
        return fail(f, "out of memory");
    if (!bind_unix(&address, l, f)) {
        free(l->path);
        l->path = NULL;
        return false;
    }
    snprintf(l->shown, sizeof(l->shown), "%s", path);
    return true;
}

bool stub_listen(const char *address, struct stub_listener *l, char *err, size_t errlen)
{
    struct failure f = {address, err, errlen};

    *l = (struct stub_listener){.fd = -1};
    if (strncmp(address, "tcp:", 4) == 0)
        return listen_tcp(address + 4, l, &f);
    if (strncmp(address, "unix:", 5) == 0)
        return listen_unix(address + 5, l, &f);
    if (strcmp(address, "stdio") == 0) {
        strcpy(l->shown, "-");
        return true;
    }
    return fail(&f, "an address is tcp:PORT, tcp:HOST:PORT, unix:PATH or stdio");
}
