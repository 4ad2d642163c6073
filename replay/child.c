/* SPDX-License-Identifier: MIT */
/* Forked children: replay/child.h. */
#include <replay/child.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_channel(enum child_channel channel, int ends[2])
{
    return channel == CHILD_PIPE ? pipe2(ends, O_CLOEXEC)
                                 : socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static void become_child(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1); /* it died before it could be known */
}

pid_t child_fork(struct child *c, enum child_channel channel)
{
    pid_t parent = getpid();
    int ends[2], error;

    *c = (struct child){.fd = -1};
    if (open_channel(channel, ends) != 0)
        return -1;
    fflush(NULL);
    c->pid = fork();
    if (c->pid == 0) {
        become_child(parent);
        close(ends[0]);
        c->fd = ends[1];
        return 0;
    }
    error = errno;
    close(ends[1]);
    c->fd = ends[0];
    if (c->pid > 0)
        return c->pid;
    close(ends[0]);
    *c = (struct child){.fd = -1};
    errno = error;
    return -1;
}

void child_leave_signals(void)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

int child_bury(struct child *c)
{
    int status = 0;

    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (c->fd >= 0)
        close(c->fd);
    *c = (struct child){.fd = -1};
    return status;
}

void child_end(struct child *c)
{
    if (c->pid == 0)
        return;
    kill(c->pid, SIGKILL);
    child_bury(c);
}

void child_describe_end(int wait_status, char *out, size_t len)
{
    if (WIFSIGNALED(wait_status))
        snprintf(out, len, "was killed by signal %d (%s)", WTERMSIG(wait_status),
                 strsignal(WTERMSIG(wait_status)));
    else
        snprintf(out, len, "ended with status %d", WEXITSTATUS(wait_status));
}
