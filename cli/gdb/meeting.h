/* SPDX-License-Identifier: MIT */
/*
 * Where a process that serves a machine and the gdb that is started for it meet: a private folder with the socket,
 * gdb's commands for deja, and a file for the symbols that a guest has in its own memory.
 *
 *     struct meeting p;
 *     status = meeting_make(&p, "debug");
 *     ... one process: session_create() at p.address, session_write_symbols() to p.symbols ...
 *     ... the other:   n = meeting_gdb_args(&p, &gdb, args), and `target remote` p.socket ...
 *     meeting_leave(&p);
 */
#ifndef CLI_GDB_MEETING_H
#define CLI_GDB_MEETING_H

#include <stdbool.h>

struct meeting {
    char folder[64];
    char socket[96], commands[96], symbols[96];
    char address[112]; /* the socket, as a session takes it */
    char source[112];  /* gdb's command that loads the commands */
};

/* `who` is for messages. 0, or an exit status after the error was printed. */
int meeting_make(struct meeting *p, const char *who);
void meeting_leave(const struct meeting *p);

struct meeting_gdb {
    const char *program;
    const char *vmlinux; /* the user's; NULL: none */
    bool modules;        /* the session lists those that the guest has loaded */
    bool symbols;        /* without a vmlinux: the file for symbols was written */
};
#define MEETING_GDB_ARGS 9 /* at most */

/* gdb with everything in place but the connection: fills in the first of its arguments. How many. */
int meeting_gdb_args(const struct meeting *p, const struct meeting_gdb *gdb, char **args);

#endif
