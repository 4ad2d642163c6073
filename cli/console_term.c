/* SPDX-License-Identifier: MIT */
/* The process's terminal and signals: see console_term.h. */
#include "console_term.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static struct {
    volatile sig_atomic_t stop;
    volatile sig_atomic_t raw; /* saved and wanted are valid, the terminal is ours */
    int fd;
    int wake[2]; /* a pipe: the handler writes, poll() sees it */
    struct termios saved, wanted;
} term = {.wake = {-1, -1}};

static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP};
static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- the terminal --- */

void term_restore(void)
{
    if (!term.raw)
        return;
    term.raw = 0;
    tcsetattr(term.fd, TCSANOW, &term.saved);
}

void term_raw(int fd)
{
    if (tcgetattr(fd, &term.saved) != 0)
        return;
    term.wanted = term.saved;
    term.wanted.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL |
                                       IXON);
    term.wanted.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
    term.wanted.c_cc[VMIN] = 1;
    term.wanted.c_cc[VTIME] = 0;
    term.fd = fd;
    if (tcsetattr(fd, TCSANOW, &term.wanted) == 0)
        term.raw = 1;
}

/* --- signals --- */

static void on_stop(int sig)
{
    int saved = errno;
    ssize_t n;

    if (term.stop) { /* asked twice: whatever is in the way, this ends now */
        term_restore();
        signal(sig, SIG_DFL);
        raise(sig);
    }
    term.stop = 1;
    n = write(term.wake[1], "", 1);
    (void)n;
    errno = saved;
}

/* The handler is gone already (SA_RESETHAND): the signal raised again kills on return. */
static void on_crash(int sig)
{
    term_restore();
    raise(sig);
}

/* Stopped from outside and continued: the shell has set the terminal its own way since. */
static void on_continue(int sig)
{
    int saved = errno;

    (void)sig;
    if (term.raw)
        tcsetattr(term.fd, TCSANOW, &term.wanted);
    errno = saved;
}

static void handle(int sig, void (*handler)(int), int flags)
{
    struct sigaction sa = {.sa_handler = handler, .sa_flags = flags};

    sigemptyset(&sa.sa_mask);
    sigaction(sig, &sa, NULL);
}

/* Signals that were ignored when we began (nohup) stay ignored. */
static bool is_ignored(int sig)
{
    struct sigaction sa;

    return sigaction(sig, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
}

int term_take_signals(void)
{
    if (pipe2(term.wake, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    for (size_t i = 0; i < COUNT(stop_signals); i++)
        if (!is_ignored(stop_signals[i]))
            handle(stop_signals[i], on_stop, 0);
    for (size_t i = 0; i < COUNT(crash_signals); i++)
        handle(crash_signals[i], on_crash, (int)SA_RESETHAND);
    handle(SIGCONT, on_continue, SA_RESTART);
    handle(SIGPIPE, SIG_IGN, 0);
    return 0;
}

void term_let_pipes_kill(void)
{
    handle(SIGPIPE, SIG_DFL, 0);
}

void term_restore_signals(void)
{
    for (size_t i = 0; i < COUNT(stop_signals); i++)
        if (!is_ignored(stop_signals[i]))
            handle(stop_signals[i], SIG_DFL, 0);
    for (size_t i = 0; i < COUNT(crash_signals); i++)
        handle(crash_signals[i], SIG_DFL, 0);
    handle(SIGCONT, SIG_DFL, 0);
    for (size_t i = 0; i < COUNT(term.wake); i++) {
        close(term.wake[i]);
        term.wake[i] = -1;
    }
    term.stop = 0;
}

bool term_stop_asked(void)
{
    return term.stop != 0;
}

int term_stop_fd(void)
{
    return term.wake[0];
}
