/* SPDX-License-Identifier: MIT */
/*
 * The server, with clients that behave and others that do not. Client and server are one process,
 * or two for stdio; what one waits for is what the other did, never time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gdbstub/server.h>

#include "gdbstub_fixture.h"

#define PATIENCE_MS 20000

static struct gdbstub_server *server;
static char err[1024];
static char folder[64], path[128];

static int setup(void **state)
{
    fake_setup(state);
    server = NULL;
    snprintf(folder, sizeof(folder), "/tmp/gdbstub-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/socket", folder);
    return 0;
}

static int teardown(void **state)
{
    gdbstub_server_close(server);
    unlink(path);
    rmdir(folder);
    return fake_teardown(state);
}

static void serve(const char *address)
{
    server = gdbstub_server_open(address, fake.stub, err, sizeof(err));
    if (!server)
        fail_msg("%s", err);
}

static void serve_path(void)
{
    char address[160];

    snprintf(address, sizeof(address), "unix:%s", path);
    serve(address);
}

static const char *refusal(const char *address)
{
    strcpy(err, "untouched");
    assert_null(gdbstub_server_open(address, fake.stub, err, sizeof(err)));
    return err;
}

static int connect_tcp(void)
{
    const char *port = strrchr(gdbstub_server_address(server), ':');
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_non_null(port);
    to.sin_port = htons((uint16_t)atoi(port + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static int connect_path(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(to.sun_path, path);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* Serves until that happens; all that happened. */
static unsigned until(unsigned event)
{
    unsigned all = 0;

    while (!(all & event))
        all |= gdbstub_server_poll(server, PATIENCE_MS);
    return all;
}

static int client_of(int (*how)(void))
{
    int fd = how();

    while (!gdbstub_server_has_client(server))
        gdbstub_server_poll(server, PATIENCE_MS);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Serves until the client has got just that. */
static void hears(int fd, const char *want)
{
    char got[512];
    size_t len = 0;

    while (len < strlen(want)) {
        ssize_t n = recv(fd, got + len, sizeof(got) - 1 - len, MSG_DONTWAIT);

        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            gdbstub_server_poll(server, 10);
            continue;
        }
        assert_true(n > 0);
        len += (size_t)n;
    }
    got[len] = 0;
    assert_string_equal(got, want);
}

/* cmocka's own skip() is a failure to who reads its TAP. */
static void skipped(const char *reason)
{
    printf("# skipped: %s\n", reason);
}

static void hears_the_end(int fd)
{
    char byte;
    ssize_t n;

    while ((n = recv(fd, &byte, 1, MSG_DONTWAIT)) != 0) {
        if (n < 0 && errno == ECONNRESET)
            return;
        if (n < 0)
            assert_int_equal(errno, EAGAIN);
        gdbstub_server_poll(server, 10);
    }
}

/* ---- addresses ---- */

static void wrong_addresses_are_named(void **state)
{
    char text[512];

    (void)state;
    assert_string_equal(refusal("pigeon"),
                        "pigeon: an address is tcp:PORT, tcp:HOST:PORT, unix:PATH or stdio");
    assert_string_equal(refusal(""), ": an address is tcp:PORT, tcp:HOST:PORT, unix:PATH or stdio");
    assert_string_equal(refusal("tcp:"), "tcp:: a port is a number from 0 to 65535");
    assert_string_equal(refusal("tcp:x"), "tcp:x: a port is a number from 0 to 65535");
    assert_string_equal(refusal("tcp:65536"), "tcp:65536: a port is a number from 0 to 65535");
    assert_string_equal(refusal("tcp:-1"), "tcp:-1: a port is a number from 0 to 65535");
    assert_string_equal(refusal("tcp:localhost:"),
                        "tcp:localhost:: a port is a number from 0 to 65535");
    assert_string_equal(refusal("tcp:::1:80"),
                        "tcp:::1:80: an IPv6 address is written in brackets: tcp:[::1]:1234");
    assert_string_equal(refusal("tcp:[::1:80"),
                        "tcp:[::1:80: the bracket is not closed before the port");
    assert_string_equal(refusal("tcp:192.0.2.1:0"),
                        "tcp:192.0.2.1:0: this machine does not have that address");
    assert_string_equal(refusal("unix:"), "unix:: there is no path");
    snprintf(text, sizeof(text), "unix:/%0200d", 0);
    assert_non_null(strstr(refusal(text), ": the path is longer than 107 bytes"));
    snprintf(text, sizeof(text), "tcp:%0300d:1", 0);
    assert_non_null(strstr(refusal(text), ": the host's name is too long"));
    assert_non_null(strstr(refusal("unix:/nowhere/at/all"), "No such file or directory"));
    /* With no room for it, there is no message. */
    assert_null(gdbstub_server_open("pigeon", fake.stub, NULL, 0));
}

static void port_in_use_is_said(void **state)
{
    char address[64], want[128];

    (void)state;
    serve("tcp:0");
    snprintf(address, sizeof(address), "tcp%s", strchr(gdbstub_server_address(server), ':'));
    snprintf(want, sizeof(want), "%s: port is in use", address);
    assert_string_equal(refusal(address), want);
}

static void address_is_as_gdb_takes_it(void **state)
{
    (void)state;
    serve("tcp:127.0.0.1:0");
    assert_memory_equal(gdbstub_server_address(server), "localhost:", 10);
    assert_true(atoi(gdbstub_server_address(server) + 10) > 0);
    gdbstub_server_close(server);
    serve_path();
    assert_string_equal(gdbstub_server_address(server), path);
}

static void ipv6_is_listened_on(void **state)
{
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool there = probe >= 0 && bind(probe, (struct sockaddr *)&any, sizeof(any)) == 0;

    (void)state;
    close(probe);
    if (!there) {
        skipped("there is no IPv6");
        return;
    }
    serve("tcp:[::1]:0");
    assert_memory_equal(gdbstub_server_address(server), "localhost:", 10);
}

static void socket_is_for_its_owner(void **state)
{
    struct stat st;

    (void)state;
    serve_path();
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    gdbstub_server_close(server);
    server = NULL;
    assert_int_equal(stat(path, &st), -1);
}

static void path_stays_when_told_so_and_is_replaced(void **state)
{
    struct stat st;

    (void)state;
    serve_path();
    gdbstub_server_keep_path(server);
    gdbstub_server_close(server);
    assert_int_equal(stat(path, &st), 0);
    serve_path();
    close(client_of(connect_path));
}

static void path_in_use_is_said(void **state)
{
    char address[160];

    (void)state;
    serve_path();
    snprintf(address, sizeof(address), "unix:%s", path);
    assert_non_null(strstr(refusal(address), ": somebody listens there already"));
    gdbstub_server_close(server);
    server = NULL;
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_non_null(strstr(refusal(address), ": there is a file that is not a socket"));
}

/* ---- one client ---- */

static void client_is_served(int (*how)(void))
{
    int fd = how();

    assert_true(until(GDBSTUB_SERVER_CONNECTED) & GDBSTUB_SERVER_CONNECTED);
    say(fd, "+$qC#b4");
    hears(fd, "+$QC1#c5");
    close(fd);
    assert_true(until(GDBSTUB_SERVER_DISCONNECTED));
    assert_false(gdbstub_server_has_client(server));
    fd = client_of(how); /* the next */
    say(fd, "$qC#b4");
    hears(fd, "+$QC1#c5");
    close(fd);
}

static void client_is_served_by_tcp(void **state)
{
    (void)state;
    serve("tcp:0");
    client_is_served(connect_tcp);
}

static void client_is_served_by_path(void **state)
{
    (void)state;
    serve_path();
    client_is_served(connect_path);
}

/* A packet in small pieces is not held back: accepted sockets inherit that from the listening one.
 */
static void sockets_do_not_delay(void **state)
{
    struct pollfd fds[GDBSTUB_SERVER_FDS];
    socklen_t len = sizeof(int);
    int fd, on = 0;

    (void)state;
    serve("tcp:0");
    fd = client_of(connect_tcp);
    assert_int_equal(gdbstub_server_pollfds(server, fds), 2);
    assert_int_equal(getsockopt(fds[1].fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
    assert_true(on);
    assert_true(fcntl(fds[1].fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fds[1].fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
}

static void client_may_trickle(void **state)
{
    int fd;

    (void)state;
    serve("tcp:0");
    fd = client_of(connect_tcp);
    for (const char *p = "+$qC#b4"; *p; p++) {
        assert_int_equal(send(fd, p, 1, MSG_NOSIGNAL), 1);
        until(GDBSTUB_SERVER_RECEIVED);
    }
    hears(fd, "+$QC1#c5");
    close(fd);
}

static void stop_reply_is_sent_by_the_next_poll(void **state)
{
    const struct gdbstub_stop stop = {.thread = 1, .kind = GDBSTUB_STOP_EXITED};
    char got[32] = "";
    int fd;

    (void)state;
    serve("tcp:0");
    fd = client_of(connect_tcp);
    say(fd, "$c#63");
    hears(fd, "+");
    assert_true(gdbstub_running(fake.stub));
    gdbstub_stopped(fake.stub, &stop);
    gdbstub_server_poll(server, 0);
    assert_int_equal(recv(fd, got, sizeof(got) - 1, 0), 7);
    assert_string_equal(got, "$W00#b7");
    close(fd);
}

static void leaving_client_gets_its_reply_first(void **state)
{
    int fd;

    (void)state;
    serve("tcp:0");
    fd = client_of(connect_tcp);
    say(fd, "$D#44");
    hears(fd, "+$OK#9a");
    hears_the_end(fd);
    assert_false(gdbstub_server_has_client(server));
    assert_int_equal(fake.detaches, 1);
    close(fd);
}

static void client_that_vanishes_takes_its_points_along(void **state)
{
    int fd;

    (void)state;
    serve("tcp:0");
    fd = client_of(connect_tcp);
    say(fd, "$Z0,1000,1#d4");
    hears(fd, "+$OK#9a");
    assert_int_equal(fake.npoints, 1);
    say(fd, "$m1000,");
    close(fd);
    until(GDBSTUB_SERVER_DISCONNECTED);
    assert_int_equal(fake.npoints, 0);
}

/* A reset, not an orderly end. */
static void client_may_be_torn_away(void **state)
{
    const struct linger now = {1, 0};
    int fd;

    (void)state;
    serve("tcp:0");
    fd = client_of(connect_tcp);
    say(fd, "$m1000,8000#22");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
    until(GDBSTUB_SERVER_DISCONNECTED);
    close(client_of(connect_tcp));
}

static void client_that_does_not_read_is_dropped(void **state)
{
    static const char question[] = "$m1000,8000#22";
    unsigned events = 0;
    int fd;

    (void)state;
    serve_path();
    fd = client_of(connect_path);
    for (int i = 0; i < 1000000 && !(events & GDBSTUB_SERVER_DISCONNECTED); i++) {
        send(fd, question, sizeof(question) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        events = gdbstub_server_poll(server, 0);
    }
    assert_true(events & GDBSTUB_SERVER_DISCONNECTED);
    close(fd);
    close(client_of(connect_path));
}

static void flood_of_nonsense_is_survived(void **state)
{
    static uint8_t flood[1 << 16];
    uint32_t seed = 1;
    int fd;

    (void)state;
    for (size_t i = 0; i < sizeof(flood); i++) {
        seed = seed * 1664525u + 1013904223u;
        flood[i] = (uint8_t)(seed >> 24);
        if (flood[i] == 3 || flood[i] == '$')
            flood[i] = 'x';
    }
    serve_path();
    fd = client_of(connect_path);
    for (size_t sent = 0; sent < 64 * sizeof(flood);) {
        ssize_t n = send(fd, flood, sizeof(flood), MSG_DONTWAIT | MSG_NOSIGNAL);

        sent += n > 0 ? (size_t)n : 0;
        gdbstub_server_poll(server, 0);
    }
    while (gdbstub_server_poll(server, 0) & GDBSTUB_SERVER_RECEIVED)
        continue;
    say(fd, "$qC#b4");
    hears(fd, "+$QC1#c5");
    close(fd);
}

/* ---- a second one ---- */

static void second_client_is_told_of_the_first(void **state)
{
    static const char told[] = "+$E.another debugger is connected#98";
    int first, second;

    (void)state;
    serve("tcp:0");
    first = client_of(connect_tcp);
    second = connect_tcp();
    say(second, "+$qSupported:swbreak+#8b");
    hears(second, told);
    say(second, "$vMustReplyEmpty#3a");
    hears(second, told);
    say(first, "$qC#b4");
    hears(first, "+$QC1#c5");
    close(second);
    say(first, "$qC#b4");
    hears(first, "+$QC1#c5");
    close(first);
}

/* The first one's last words and its end are there before the second is listened to. */
static void second_client_is_taken_when_the_first_has_just_left(void **state)
{
    int first, second;

    (void)state;
    serve_path();
    first = client_of(connect_path);
    say(first, "+");
    close(first);
    second = connect_path();
    say(second, "$qC#b4");
    until(GDBSTUB_SERVER_CONNECTED);
    hears(second, "+$QC1#c5");
    close(second);
    until(GDBSTUB_SERVER_DISCONNECTED);

    first = client_of(connect_path);
    second = connect_path();
    while (gdbstub_server_poll(server, 0))
        continue;
    close(first);
    say(second, "$qC#b4");
    until(GDBSTUB_SERVER_CONNECTED);
    hears(second, "+$QC1#c5");
    close(second);
}

/* One that says nothing is held for no longer than nobody else comes; none disturbs the first. */
/* The client, one that was refused, and one that nobody has looked at yet; the next is let in. */
static void all_may_be_sent_away(void **state)
{
    int fds[3], next;
    char got;

    (void)state;
    serve_path();
    fds[0] = client_of(connect_path);
    say(fds[0], "$Z0,1000,1#d4");
    hears(fds[0], "+$OK#9a");
    fds[1] = connect_path();
    say(fds[1], "+$qC#b4");
    hears(fds[1], "+$E.another debugger is connected#98");
    fds[2] = connect_path();
    gdbstub_server_disconnect(server);
    assert_false(gdbstub_server_has_client(server));
    assert_int_equal(fake.npoints, 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(recv(fds[i], &got, 1, 0) <= 0);
        close(fds[i]);
    }
    assert_int_equal(gdbstub_server_poll(server, 0), 0);
    next = client_of(connect_path);
    say(next, "$qC#b4");
    hears(next, "+$QC1#c5");
    close(next);
}

static void third_client_takes_the_place_of_the_second(void **state)
{
    int first, others[8];

    (void)state;
    serve_path();
    first = client_of(connect_path);
    for (int i = 0; i < 8; i++) {
        others[i] = connect_path();
        say(first, "$qC#b4");
        hears(first, "+$QC1#c5");
        while (gdbstub_server_poll(server, 0))
            continue;
        if (i)
            hears_the_end(others[i - 1]);
    }
    close(first);
    until(GDBSTUB_SERVER_DISCONNECTED);
    first = client_of(connect_path);
    say(first, "$qC#b4");
    hears(first, "+$QC1#c5");
    close(first);
    for (int i = 0; i < 8; i++)
        close(others[i]);
}

static void second_client_that_does_not_read_is_dropped(void **state)
{
    static char marks[65536];
    int first, second, alive = 1;

    (void)state;
    memset(marks, '#', sizeof(marks));
    serve_path();
    first = client_of(connect_path);
    second = connect_path();
    for (int i = 0; i < 10000 && alive; i++) {
        ssize_t n = send(second, marks, sizeof(marks), MSG_DONTWAIT | MSG_NOSIGNAL);

        alive = n >= 0 || errno == EAGAIN;
        gdbstub_server_poll(server, 0);
    }
    assert_false(alive);
    say(first, "$qC#b4");
    hears(first, "+$QC1#c5");
    close(first);
    close(second);
}

/* ---- others' loops ---- */

static void caller_may_poll_by_itself(void **state)
{
    struct pollfd fds[GDBSTUB_SERVER_FDS];
    char got[16] = "";
    int fd;

    (void)state;
    serve("tcp:0");
    assert_int_equal(gdbstub_server_pollfds(server, fds), 1);
    fd = connect_tcp();
    assert_int_equal(poll(fds, 1, PATIENCE_MS), 1);
    assert_int_equal(gdbstub_server_poll(server, 0), GDBSTUB_SERVER_CONNECTED);
    say(fd, "$qC#b4");
    assert_int_equal(gdbstub_server_pollfds(server, fds), 2);
    assert_int_equal(poll(fds, 2, PATIENCE_MS), 1);
    assert_int_equal(gdbstub_server_poll(server, 0), GDBSTUB_SERVER_RECEIVED);
    assert_int_equal(recv(fd, got, sizeof(got) - 1, 0), 8);
    assert_int_equal(gdbstub_server_poll(server, 0), 0);
    close(fd);
}

static void closing_sends_what_is_left_and_disconnects(void **state)
{
    const struct gdbstub_stop stop = {.thread = 1, .kind = GDBSTUB_STOP_EXITED};
    char got[32] = "";
    int fd;

    (void)state;
    serve("tcp:0");
    fd = client_of(connect_tcp);
    say(fd, "$c#63");
    hears(fd, "+");
    gdbstub_stopped(fake.stub, &stop);
    gdbstub_server_close(server);
    server = NULL;
    assert_int_equal(recv(fd, got, sizeof(got) - 1, 0), 7);
    assert_string_equal(got, "$W00#b7");
    assert_int_equal(recv(fd, got, 1, 0), 0);
    close(fd);
    gdbstub_server_close(NULL);
}

/* ---- stdio ---- */

static _Noreturn void serve_stdio(int in, int out)
{
    unsigned events;

    dup2(in, 0);
    dup2(out, 1);
    server = gdbstub_server_open("stdio", fake.stub, err, sizeof(err));
    if (!server || strcmp(gdbstub_server_address(server), "-") != 0)
        _exit(10);
    events = gdbstub_server_poll(server, 0);
    if (!(events & GDBSTUB_SERVER_CONNECTED))
        _exit(11);
    while (!(events & GDBSTUB_SERVER_ENDED))
        events = gdbstub_server_poll(server, PATIENCE_MS);
    if (!(events & GDBSTUB_SERVER_DISCONNECTED) || gdbstub_server_has_client(server))
        _exit(12);
    if (gdbstub_server_poll(server, -1) != GDBSTUB_SERVER_ENDED) /* and does not wait */
        _exit(13);
    gdbstub_server_close(server);
    _exit(fcntl(0, F_GETFD) < 0 || fcntl(1, F_GETFD) < 0 ? 14 : 0);
}

struct child {
    pid_t pid;
    int in, out;
};

static struct child start(bool sockets)
{
    struct child c;
    int to[2], from[2];

    if (sockets) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, to), 0);
        from[0] = dup(to[1]);
        from[1] = dup(to[0]);
    } else {
        assert_int_equal(pipe(to), 0);
        assert_int_equal(pipe(from), 0);
    }
    c.pid = fork();
    assert_true(c.pid >= 0);
    if (c.pid == 0) {
        close(to[1]);
        close(from[0]);
        serve_stdio(to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    c.in = to[1];
    c.out = from[0];
    return c;
}

static void child_hears(const struct child *c, const char *text)
{
    assert_int_equal(write(c->in, text, strlen(text)), strlen(text));
}

static void child_says(const struct child *c, const char *want)
{
    char got[64];
    size_t len = 0;

    while (len < strlen(want)) {
        ssize_t n = read(c->out, got + len, strlen(want) - len);

        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_memory_equal(got, want, len);
}

static void child_ends_well(const struct child *c)
{
    int status;

    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void stdio_ends_with_its_input(void **state)
{
    (void)state;
    for (int sockets = 0; sockets < 2; sockets++) {
        struct child c = start(sockets);

        child_hears(&c, "+$qC#b4");
        child_says(&c, "+$QC1#c5");
        close(c.in);
        if (sockets)
            close(c.out);
        child_ends_well(&c);
        if (!sockets)
            close(c.out);
    }
}

static void stdio_ends_when_the_client_detaches(void **state)
{
    struct child c = start(false);

    (void)state;
    child_hears(&c, "$D#44");
    child_says(&c, "+$OK#9a");
    child_ends_well(&c);
    close(c.in);
    close(c.out);
}

/* Without SIGPIPE, and without waiting for more input. */
static void stdio_ends_when_nobody_reads(void **state)
{
    struct child c = start(false);

    (void)state;
    child_hears(&c, "$qC#b4");
    child_says(&c, "+$QC1#c5");
    close(c.out);
    child_ends_well(&c);
    close(c.in);
}

static void stdio_gets_large_replies_through_a_pipe(void **state)
{
    struct child c = start(false);
    static char got[65536 + 5];
    size_t len = 0;

    (void)state;
    child_hears(&c, "$m1000,8000#22");
    while (len < sizeof(got)) {
        ssize_t n = read(c.out, got + len, sizeof(got) - len);

        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_memory_equal(got, "+$00010203", 10);
    assert_int_equal(got[sizeof(got) - 3], '#');
    close(c.in);
    child_ends_well(&c);
    close(c.out);
}

/* ---- in a sandbox ---- */

static bool give_up_system_calls(void)
{
    const int needed[] = {SCMP_SYS(poll),    SCMP_SYS(accept4), SCMP_SYS(recvfrom),
                          SCMP_SYS(sendto),  SCMP_SYS(close),   SCMP_SYS(brk),
                          SCMP_SYS(mmap),    SCMP_SYS(munmap),  SCMP_SYS(mremap),
                          SCMP_SYS(madvise), SCMP_SYS(futex),   SCMP_SYS(exit_group)};
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    bool good = ctx != NULL;

    for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
        good = good && seccomp_rule_add(ctx, SCMP_ACT_ALLOW, needed[i], 0) == 0;
    good = good && seccomp_load(ctx) == 0;
    seccomp_release(ctx);
    return good;
}

static _Noreturn void serve_sandboxed(void)
{
    if (!give_up_system_calls())
        _exit(77);
    for (;;) {
        if (gdbstub_server_poll(server, -1) & GDBSTUB_SERVER_DISCONNECTED)
            break;
    }
    gdbstub_server_keep_path(server);
    gdbstub_server_close(server);
    _exit(0);
}

static void answers(int fd, const char *question, const char *want)
{
    char got[256] = "";
    size_t len = 0;

    say(fd, question);
    while (len < strlen(want)) {
        ssize_t n = recv(fd, got + len, sizeof(got) - 1 - len, 0);

        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_string_equal(got, want);
}

static void serving_needs_few_system_calls(void **state)
{
    const char *sanitized = getenv("DEJA_TEST_SANITIZED");
    int first, second, status;
    pid_t pid;

    (void)state;
    if (sanitized && sanitized[0] == '1') {
        skipped("sanitizers need more");
        return;
    }
    serve_path();
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        serve_sandboxed();
    first = connect_path();
    answers(first, "$qC#b4", "+$QC1#c5");
    second = connect_path();
    answers(second, "$qC#b4", "+$E.another debugger is connected#98");
    close(second);
    answers(first, "$D#44", "+$OK#9a");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(first);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        skipped("there is no seccomp");
        return;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(wrong_addresses_are_named),
        TEST(port_in_use_is_said),
        TEST(address_is_as_gdb_takes_it),
        TEST(ipv6_is_listened_on),
        TEST(socket_is_for_its_owner),
        TEST(path_stays_when_told_so_and_is_replaced),
        TEST(path_in_use_is_said),
        TEST(client_is_served_by_tcp),
        TEST(client_is_served_by_path),
        TEST(sockets_do_not_delay),
        TEST(client_may_trickle),
        TEST(stop_reply_is_sent_by_the_next_poll),
        TEST(leaving_client_gets_its_reply_first),
        TEST(client_that_vanishes_takes_its_points_along),
        TEST(client_may_be_torn_away),
        TEST(client_that_does_not_read_is_dropped),
        TEST(flood_of_nonsense_is_survived),
        TEST(second_client_is_told_of_the_first),
        TEST(second_client_is_taken_when_the_first_has_just_left),
        TEST(third_client_takes_the_place_of_the_second),
        TEST(all_may_be_sent_away),
        TEST(second_client_that_does_not_read_is_dropped),
        TEST(caller_may_poll_by_itself),
        TEST(closing_sends_what_is_left_and_disconnects),
        TEST(stdio_ends_with_its_input),
        TEST(stdio_ends_when_the_client_detaches),
        TEST(stdio_ends_when_nobody_reads),
        TEST(stdio_gets_large_replies_through_a_pipe),
        TEST(serving_needs_few_system_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
