/* SPDX-License-Identifier: MIT */
/*
 * The filter around a running guest: after set-up a process that runs one needs to read, write,
 * wait and take memory, and nothing else. cli/sandbox.c lists the system calls.
 *
 * Enter it when every file is open and every thread has been started, right before the guest's
 * first instruction. There is no way back. A call that the filter forbids says so on standard error
 * and kills the process with SIGSYS.
 */
#ifndef CLI_SANDBOX_H
#define CLI_SANDBOX_H

/* Puts all threads of this process into the filter. 0, also where there is a reason to go without
 * (sandbox_off_reason); or an exit status after the error was printed. */
int sandbox_enter(void);

/* Why this process goes without a filter: built with a sanitizer, under valgrind. NULL: it does
 * not. */
const char *sandbox_off_reason(void);

#endif
