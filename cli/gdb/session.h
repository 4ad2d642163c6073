/* SPDX-License-Identifier: MIT */
/*
 * A machine under gdb: live (run, record) or replayed. What gdb asks for is done here, by the timeline or
 * by the live machine; the protocol is gdbstub/'s.
 *
 *     struct session *s = session_create(&options, err, sizeof(err));
 *     ... sandbox ...
 *     status = session_replay(s);        or: session_live(s), which returns when the run is over
 *     session_destroy(s);
 *
 * One thread; the guest runs in slices between which the client is listened to.
 */
#ifndef CLI_GDB_SESSION_H
#define CLI_GDB_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/machine.h>
#include <replay/timeline.h>

struct guest_symbols;
struct session;
struct live;

struct session_options {
    const char *address;       /* -gdb: where to listen */
    struct timeline *timeline; /* a replay; else NULL, and: */
    struct live *live;
    const char *trace_path;    /* of the replay */
    const char *vmlinux;       /* NULL: symbols come from the guest's own tables, if it has any */
    const char *modules;       /* folder of .ko files; NULL: none */
    bool until_client_leaves;  /* a replay ends with its first client, */
    int owner_fd;              /* or when the other end of this is closed, or writes; 0: none */
    bool stopped;              /* live: wait for a client before the first instruction (-S) */
    bool sandboxed;            /* the process will be in its sandbox: a socket's path stays behind */
};

struct run_options;

/* The session that a live machine's options ask for; *out stays NULL when they ask for none. `live` is
 * complete when it runs. 0, or an exit status after the error was printed. */
int session_open_live(struct session **out, struct live *live, const struct run_options *o);

/* Listens. NULL with one line in `err`. The timeline or live machine stays the caller's. */
struct session *session_create(const struct session_options *options, char *err, size_t errlen);
void session_destroy(struct session *s);

/* What to give to gdb's `target remote`. */
const char *session_address(const struct session *s);

/* Looks for the guest's symbols where the timeline stands now. */
void session_look(struct session *s);
/* What it has found; the session's. */
struct guest_symbols *session_symbols(const struct session *s);
/* Writes the ELF file of the guest's symbols, which was made or is the kernel's own image. A local file spares gdb
 * the transfer, and the user a warning about it. False: there is none, or it cannot be written. */
bool session_write_symbols(const struct session *s, int fd);
/* What the timeline's last move came to: what a client that connects is told. */
void session_set_status(struct session *s, enum timeline_status status);

/* Serves a replay until its client kills it or a signal ends the process. The exit status. */
int session_replay(struct session *s);
/* Serves one client of a replay until it leaves or the owner speaks or ends, or a signal asks for an end: which of
 * these, the caller looks. Then the next one may be there already, but has not been listened to. */
void session_serve_client(struct session *s);
/* Ends all connections; the points of who had one are gone. */
void session_send_away(struct session *s);
bool session_owner_speaks(const struct session *s);
/* Runs the live machine, with and without a client, to its end. */
enum machine_stop session_live(struct session *s);

/* The timeline's `interrupted`: somebody wants the run to stop. */
bool session_interrupted(void *opaque);

#endif
