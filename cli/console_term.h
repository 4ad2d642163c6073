/* SPDX-License-Identifier: MIT */
/*
 * The process's terminal and signals while a guest has them. Signals reach a process, not an
 * object, so what their handlers touch is static here, and nowhere else.
 */
#ifndef CLI_CONSOLE_TERM_H
#define CLI_CONSOLE_TERM_H

#include <stdbool.h>

/*
 * SIGINT, SIGTERM and SIGHUP are noted instead of killing; a second one kills. SIGPIPE is ignored:
 * writes fail instead. Signals of a crash restore the terminal first. 0, or -1 with errno.
 */
int term_take_signals(void);
/* SIGPIPE kills again: for listings, which are worth nothing when nobody reads on. */
void term_let_pipes_kill(void);
void term_restore_signals(void);

/* A signal has asked to stop. Costs one load. */
bool term_stop_asked(void);
/* Becomes readable when a signal asks to stop. */
int term_stop_fd(void);

/* Raw mode on a terminal for input: every key is the guest's. Output keeps its processing. */
void term_raw(int fd);
/* Back to what it was before term_raw; safe in signal handlers, and when nothing was changed. */
void term_restore(void);

#endif
