/* SPDX-License-Identifier: MIT */
/* The host's end of one serial line: see console_line.h. */
#include "console_line.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "cli.h"
#include "console_term.h"

/* --- opening --- */

/* Standard input as a source: open, readable, and not the null device. */
static bool is_readable_source(int fd)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY || fstat(fd, &st) != 0 || S_ISDIR(st.st_mode))
        return false;
    return !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3);
}

static int open_stdio(struct line *l)
{
    if (is_readable_source(STDIN_FILENO)) {
        l->in = STDIN_FILENO;
        l->terminal_in = isatty(STDIN_FILENO);
    }
    l->out = STDOUT_FILENO;
    l->terminal_out = isatty(STDOUT_FILENO);
    return 0;
}

static int open_file(struct line *l, const char *option)
{
    l->out = open(l->spec->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (l->out >= 0)
        return 0;
    cli_error("%s file:%s: cannot write it: %s", option, l->spec->path, strerror(errno));
    return EXIT_USAGE;
}

/* The slave is opened once, so that the terminal has a mode and its hanging up shows from now on.
 */
static int open_pty(struct line *l, const char *option)
{
    struct termios mode;
    char name[64];
    int slave;

    l->in = l->out = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    l->own = true;
    if (l->in < 0 || grantpt(l->in) != 0 || unlockpt(l->in) != 0 ||
        ptsname_r(l->in, name, sizeof(name)) != 0 ||
        (slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
        cli_error("%s pty: cannot get a pseudo-terminal: %s", option, strerror(errno));
        return EXIT_USAGE;
    }
    if (tcgetattr(slave, &mode) == 0) {
        cfmakeraw(&mode);
        tcsetattr(slave, TCSANOW, &mode);
    }
    close(slave);
    l->hung = true;
    fprintf(stderr, "deja: serial line on %s\n", name);
    return 0;
}

static int new_socket(struct sockaddr_un *addr, const char *path)
{
    *addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(addr->sun_path, path, strlen(path)); /* fits: see value_serial */
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int socket_error(const struct line *l, const char *option, const char *what)
{
    cli_error("%s unix:%s: %s: %s", option, l->spec->path, what, strerror(errno));
    return EXIT_USAGE;
}

static void take_client(struct line *l, int fd)
{
    fcntl(fd, F_SETFL, O_NONBLOCK);
    l->in = l->out = fd;
    l->own = true;
}

static int connect_unix(struct line *l, const char *option)
{
    struct sockaddr_un addr;
    int fd = new_socket(&addr, l->spec->path);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
        take_client(l, fd);
        return 0;
    }
    socket_error(l, option, "cannot connect (',server' makes deja listen there)");
    if (fd >= 0)
        close(fd);
    return EXIT_USAGE;
}

/* A socket on which nobody listens any more is in the way of a new one. */
static void remove_stale(const struct sockaddr_un *addr)
{
    struct stat st;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return;
    if (lstat(addr->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
        connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) != 0 && errno == ECONNREFUSED)
        unlink(addr->sun_path);
    close(fd);
}

static void accept_client(struct line *l)
{
    int fd = accept4(l->listening, NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0)
        take_client(l, fd);
}

static int wait_for_client(struct line *l, const char *option)
{
    struct pollfd fds[2] = {{.fd = l->listening, .events = POLLIN},
                            {.fd = term_stop_fd(), .events = POLLIN}};

    fprintf(stderr, "deja: waiting for a connection to %s\n", l->spec->path);
    while (l->in < 0) {
        if (term_stop_asked()) {
            cli_error("%s unix:%s: stopped before anybody connected", option, l->spec->path);
            return EXIT_USAGE;
        }
        if (poll(fds, 2, -1) > 0 && fds[0].revents != 0)
            accept_client(l);
    }
    return 0;
}

static int listen_unix(struct line *l, const char *option)
{
    struct sockaddr_un addr;

    l->listening = new_socket(&addr, l->spec->path);
    if (l->listening < 0)
        return socket_error(l, option, "no socket");
    remove_stale(&addr);
    if (bind(l->listening, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
        listen(l->listening, 1) != 0 || fcntl(l->listening, F_SETFL, O_NONBLOCK) != 0)
        return socket_error(l, option, "cannot listen there");
    return l->spec->nowait ? 0 : wait_for_client(l, option);
}

int line_open(struct line *l, const struct serial_spec *spec, const char *option)
{
    *l = (struct line){.spec = spec, .in = -1, .out = -1, .listening = -1};
    switch (spec->kind) {
    case SERIAL_STDIO: return open_stdio(l);
    case SERIAL_FILE: return open_file(l, option);
    case SERIAL_PTY: return open_pty(l, option);
    case SERIAL_UNIX: return spec->server ? listen_unix(l, option) : connect_unix(l, option);
    default: return 0;
    }
}

static void hang_up(struct line *l)
{
    if (l->own && l->out >= 0)
        close(l->out);
    l->in = l->out = -1;
}

void line_close(struct line *l)
{
    if (l->spec == NULL)
        return;
    line_flush(l);
    if (l->spec->kind == SERIAL_FILE && l->out >= 0)
        close(l->out);
    hang_up(l);
    if (l->listening >= 0)
        close(l->listening);
    l->spec = NULL;
}

/* --- output --- */

static const char *line_name(const struct line *l)
{
    return l->spec->kind == SERIAL_STDIO ? "standard output" : l->spec->path;
}

/* A client that went away may come back. What else cannot be written is said, once. */
static void output_failed(struct line *l, int error)
{
    l->out_len = 0;
    if (l->spec->kind == SERIAL_UNIX || l->spec->kind == SERIAL_PTY) {
        l->ended = l->listening < 0;
        hang_up(l);
        return;
    }
    l->lost = true;
    l->out = -1;
    cli_error("%s: %s: the guest's output from here on is lost", line_name(l), strerror(error));
}

/* Waits until the line takes output. False: the user has stopped the run meanwhile. */
static bool wait_to_write(const struct line *l)
{
    struct pollfd fds[2] = {{.fd = l->out, .events = POLLOUT},
                            {.fd = term_stop_fd(), .events = POLLIN}};

    while (poll(fds, 2, -1) < 0 && errno == EINTR && !term_stop_asked())
        ;
    return fds[0].revents != 0 || !term_stop_asked();
}

static bool nobody_there(struct line *l)
{
    struct pollfd fd = {.fd = l->out};

    if (l->spec->kind == SERIAL_PTY)
        l->hung = poll(&fd, 1, 0) > 0 && (fd.revents & POLLHUP);
    return l->out < 0 || l->hung;
}

static ssize_t write_some(const struct line *l, const uint8_t *data, size_t len)
{
    if (l->spec->kind == SERIAL_UNIX)
        return send(l->out, data, len, MSG_NOSIGNAL);
    return write(l->out, data, len);
}

void line_flush(struct line *l)
{
    size_t done = 0;
    ssize_t n;

    if (l->out_len == 0)
        return;
    while (done < l->out_len && !nobody_there(l) && wait_to_write(l)) {
        n = write_some(l, l->output + done, l->out_len - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR && errno != EAGAIN)
            output_failed(l, errno);
    }
    l->out_len = 0;
}

void line_write(struct line *l, const uint8_t *data, size_t len)
{
    bool newline = false;

    if (l->out < 0)
        return;
    while (len-- > 0) {
        newline |= *data == '\n';
        l->output[l->out_len++] = *data++;
        if (l->out_len == sizeof(l->output))
            line_flush(l);
    }
    if (newline && l->terminal_out)
        line_flush(l);
}

/* --- input --- */

int line_wait_fd(const struct line *l)
{
    if (l->spec == NULL || l->in_pos < l->in_len || l->hung)
        return -1;
    return l->in >= 0 ? l->in : l->listening;
}

static void input_ended(struct line *l)
{
    if (l->spec->kind == SERIAL_PTY) {
        l->hung = true;
        return;
    }
    l->ended = l->listening < 0; /* a server waits for the next client instead */
    if (l->own)
        hang_up(l);
    l->in = -1;
}

static void read_input(struct line *l)
{
    ssize_t n = read(l->in, l->input, sizeof(l->input));

    l->in_pos = l->in_len = 0;
    if (n > 0)
        l->in_len = (size_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        input_ended(l);
}

void line_look(struct line *l)
{
    struct pollfd fd = {.events = POLLIN};

    if (l->hung)
        nobody_there(l);
    fd.fd = line_wait_fd(l);
    if (fd.fd < 0 || poll(&fd, 1, 0) <= 0 || fd.revents == 0)
        return;
    if (fd.fd == l->in)
        read_input(l);
    else
        accept_client(l);
}
