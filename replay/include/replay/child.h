/* SPDX-License-Identifier: MIT */
/*
 * A process that is forked to work for this one, and what they say to each other through.
 *
 *     if (child_fork(&c, CHILD_PIPE) == 0)
 *         work_and_write_to(c.fd), _exit(0);
 *     read(c.fd, ...);
 *     status = child_bury(&c);
 *
 * A child dies with its parent.
 */
#ifndef REPLAY_CHILD_H
#define REPLAY_CHILD_H

#include <stddef.h>
#include <sys/types.h>

enum child_channel {
    CHILD_PIPE,    /* bytes from the child to the parent */
    CHILD_PACKETS, /* packets, both ways */
};

struct child {
    pid_t pid; /* 0: none; in the child as well */
    int fd;    /* this process's end; -1: closed */
};

/* As fork(): 0 in the child, where nothing is printed again that was printed before; -1 with errno, and there is
 * none. Both ends are close-on-exec. */
pid_t child_fork(struct child *c, enum child_channel channel);
/* In a child: stop requests are for the process that was asked to stop, and ends its children. */
void child_leave_signals(void);

/* Waits for its end, which has come or is certain; closes the channel. Returns its wait status. */
int child_bury(struct child *c);
/* Kills and buries it, if there is one. */
void child_end(struct child *c);
/* "was killed by signal 9 (Killed)" or "ended with status 1". */
void child_describe_end(int wait_status, char *out, size_t len);

#endif
