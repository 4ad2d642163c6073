/* SPDX-License-Identifier: MIT */
/*
 * `deja debug`: gdb on a recording, with everything in place: connected, at the end of the run or where
 * one asked for, symbols where the kernel is.
 *
 * Two processes. A grandchild, in a session of its own so that Ctrl-C is gdb's alone, opens the trace,
 * goes to the place, and serves on a socket in a private folder; when it is ready this process becomes
 * gdb. The server ends with its client, or with the gdb that never was one.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <devices/pc.h>
#include <replay/pattern.h>
#include <replay/timeline.h>

#include "console_term.h"
#include "gdb/meeting.h"
#include "gdb/session.h"
#include "moments.h"
#include "option_values.h"
#include "progress.h"
#include "sandbox.h"
#include "trace_cmd.h"

#define OWN_GDB_ARGS (MEETING_GDB_ARGS + 8) /* at most, before those of the user */

struct debug_args {
    const char *trace, *vmlinux, *modules;
    const char *gdb;           /* the program */
    struct moment at;
    const char *output_text;   /* --at-output, */
    struct pattern *output;    /* the same; NULL: not given */
    uint64_t checkpoint_bytes; /* 0: the default */
    bool no_sandbox;
    char **more;               /* arguments for gdb, after -- */
    int nmore;
};

/* --- arguments --- */

static int bad_usage(const char *what, const char *arg)
{
    cli_error("debug: %s%s: deja debug TRACE [vmlinux] [--at N|begin|end] [--at-output TEXT] "
              "[-- gdb options]", what, arg);
    return EXIT_USAGE;
}

static int parse_output(struct debug_args *a, const char *text)
{
    char err[256];

    pattern_destroy(a->output);
    a->output_text = text;
    a->output = pattern_parse(text, err, sizeof(err));
    return a->output != NULL ? 0 : bad_usage("--at-output: ", err);
}

static int parse_option(struct debug_args *a, const char *name, const char *value)
{
    if (is_option(name, "at"))
        return moment_parse(value, &a->at) ? 0 : bad_usage("--at takes an instruction, begin or end, not ", value);
    if (is_option(name, "at-output"))
        return parse_output(a, value);
    if (is_option(name, "modules"))
        a->modules = value;
    else if (is_option(name, "gdb"))
        a->gdb = value;
    else if (is_option(name, "checkpoint-mem"))
        return value_size(value, &a->checkpoint_bytes) && a->checkpoint_bytes > 0
                   ? 0
                   : bad_usage("--checkpoint-mem takes a size such as 512M, not ", value);
    else if (is_option(name, "sandbox"))
        a->no_sandbox = strcmp(value, "off") == 0;
    else
        return bad_usage("unknown option: ", name);
    return 0;
}

static int parse_args(struct debug_args *a, int argc, char **argv)
{
    int i, status = 0;

    *a = (struct debug_args){.gdb = "gdb", .at = timeline_end_moment()};
    for (i = 1; i < argc && status == 0; i++) {
        if (strcmp(argv[i], "--") == 0) {
            a->more = argv + i + 1;
            a->nmore = argc - i - 1;
            break;
        }
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            if (i + 1 == argc)
                return bad_usage("unknown option, or one without its value: ", argv[i]);
            status = parse_option(a, argv[i], argv[i + 1]);
            i++;
        } else if (a->trace == NULL) {
            a->trace = argv[i];
        } else if (a->vmlinux == NULL) {
            a->vmlinux = argv[i];
        } else {
            return bad_usage("takes a trace and a vmlinux, this is one more: ", argv[i]);
        }
    }
    if (status != 0)
        return status;
    return a->trace == NULL ? bad_usage("needs a trace", "") : EXIT_DONE;
}

/* --- the server --- */

struct server {
    struct session *session;
    int ready;   /* pipe to the process that becomes gdb */
    int symbols; /* a file for what the guest's own tables say, open before the sandbox */
    bool serving;
};

/* What the server says to the process that becomes gdb. */
enum readiness {
    READY = 'R',
    READY_WITH_SYMBOLS = 'S',
    NOT_FOUND = 'N', /* the place to begin at; it has said so, */
    FAILED = 'F',    /* or why */
};

/* The user gave up, before gdb was there or in it. */
static bool interrupted(void *opaque)
{
    const struct server *v = opaque;
    struct pollfd fd = {.fd = v->ready};

    if (v->serving)
        return session_interrupted(v->session);
    return poll(&fd, 1, 0) > 0 && (fd.revents & POLLERR);
}

/* Through the whole run once, to its end: what the guest's symbols are is known then, and everything is at
 * hand. */
static enum timeline_status go_to_end(struct server *v, struct timeline *t)
{
    enum timeline_status status = timeline_seek(t, timeline_end_moment());

    session_look(v->session);
    progress_end();
    return status;
}

/* Where the user wants to be. False: it was not printed. */
static bool find_place(const struct debug_args *a, const struct timeline *t, struct moment *at)
{
    struct output_match match;

    *at = a->at;
    if (a->output == NULL)
        return true;
    if (!output_log_find(timeline_outputs(t), a->output, -1, 0, &match)) {
        cli_error("debug: %s: not found in what the guest printed", a->output_text);
        return false;
    }
    at->icount = match.icount;
    return true;
}

static void say(int ready, enum readiness what)
{
    char answer = (char)what;
    ssize_t n = write(ready, &answer, 1);

    (void)n; /* nobody may be there any more */
}

static int fail(int ready)
{
    say(ready, FAILED);
    return EXIT_USAGE;
}

static void serve(const struct debug_args *a, struct server *v, struct timeline *t)
{
    enum timeline_status status = go_to_end(v, t);
    char ready = READY;
    struct moment at;

    if (status == TIMELINE_INTERRUPTED)
        return;
    if (!find_place(a, t, &at)) {
        say(v->ready, NOT_FOUND);
        return;
    }
    if (status == TIMELINE_END && at.icount != UINT64_MAX)
        status = timeline_seek(t, at);
    progress_end();
    if (status == TIMELINE_INTERRUPTED)
        return;
    session_set_status(v->session, status);
    if (a->vmlinux == NULL && session_write_symbols(v->session, v->symbols))
        ready = READY_WITH_SYMBOLS;
    v->serving = true;
    if (write(v->ready, &ready, 1) == 1)
        session_replay(v->session);
}

static int run_server(const struct debug_args *a, const struct meeting *p, int ready)
{
    struct server v = {.ready = ready};
    struct timeline_options how = {.struct_size = sizeof(how),
                                   .checkpoint_bytes = a->checkpoint_bytes,
                                   .interrupted = interrupted,
                                   .progress = progress_show,
                                   .opaque = &v};
    struct session_options options = {.address = p->address, .trace_path = a->trace,
                                      .vmlinux = a->vmlinux, .modules = a->modules,
                                      .until_client_leaves = true,
                                      .owner_fd = ready,
                                      .sandboxed = !a->no_sandbox};
    char err[512];
    int status = EXIT_USAGE;
    struct timeline *t;

    term_take_signals();
    t = timeline_open(a->trace, &pc_board, &how, err, sizeof(err));
    if (t == NULL) {
        cli_error("%s", err);
        return fail(ready);
    }
    if (timeline_index_note(t) != NULL)
        cli_error("%s", timeline_index_note(t));
    options.timeline = t;
    v.symbols = open(p->symbols, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    v.session = session_create(&options, err, sizeof(err));
    if (v.session == NULL) {
        if (err[0] != '\0')
            cli_error("debug: %s", err);
    } else if (a->no_sandbox || sandbox_enter() == 0) {
        serve(a, &v, t);
        status = EXIT_DONE;
    }
    if (status != EXIT_DONE)
        fail(ready);
    session_destroy(v.session);
    timeline_destroy(t);
    return status;
}

/* The grandchild: nobody's child any more, so that gdb has none it does not know. */
static _Noreturn void become_server(const struct debug_args *a, const struct meeting *p, int ready)
{
    pid_t child;

    setsid();
    child = fork();
    if (child != 0)
        _exit(child < 0 ? EXIT_USAGE : EXIT_DONE);
    _exit(run_server(a, p, ready));
}

/* --- gdb --- */

static int become_gdb(const struct debug_args *a, const struct meeting *p, bool symbols)
{
    char **args = calloc((size_t)a->nmore + OWN_GDB_ARGS, sizeof(*args));
    struct meeting_gdb gdb = {
        .program = a->gdb, .vmlinux = a->vmlinux, .modules = a->modules != NULL, .symbols = symbols};
    char connect[128], clean[256];
    int n;

    if (args == NULL) {
        cli_error("debug: out of memory");
        meeting_leave(p);
        return EXIT_USAGE;
    }
    snprintf(connect, sizeof(connect), "target remote %s", p->socket);
    snprintf(clean, sizeof(clean), "python deja_remove_at_exit('%s')", p->folder);
    n = meeting_gdb_args(p, &gdb, args);
    args[n++] = "-iex";
    args[n++] = clean;
    args[n++] = "-ex";
    args[n++] = connect;
    for (int i = 0; i < a->nmore; i++)
        args[n++] = a->more[i];
    args[n] = NULL;
    execvp(a->gdb, args);
    cli_error("debug: cannot start %s: %s: install gdb, or name one with --gdb PROGRAM", a->gdb,
              strerror(errno));
    free(args);
    meeting_leave(p);
    return EXIT_USAGE;
}

static int start(const struct debug_args *a, const struct meeting *p)
{
    int ready[2], status = EXIT_USAGE, child_status;
    char answer;
    pid_t child;

    if (pipe(ready) != 0 || (child = fork()) < 0) {
        cli_error("debug: cannot start a server: %s", strerror(errno));
        meeting_leave(p);
        return EXIT_USAGE;
    }
    if (child == 0) {
        close(ready[0]);
        become_server(a, p, ready[1]);
    }
    close(ready[1]);
    waitpid(child, &child_status, 0);
    if (read(ready[0], &answer, 1) != 1)
        cli_error("debug: the process that replays the recording has died");
    else if (answer == NOT_FOUND)
        status = EXIT_NO;
    else if (answer != FAILED)
        return become_gdb(a, p, answer == READY_WITH_SYMBOLS); /* which keeps ready[0] while it lives */
    meeting_leave(p);
    return status;
}

int cmd_debug(int argc, char **argv)
{
    struct debug_args a;
    struct meeting p;
    int status = parse_args(&a, argc, argv);

    if (status == EXIT_DONE && access(a.trace, R_OK) != 0) {
        cli_error("%s: %s", a.trace, strerror(errno));
        return EXIT_USAGE;
    }
    if (status == EXIT_DONE)
        status = meeting_make(&p, "debug");
    if (status == EXIT_DONE)
        status = start(&a, &p);
    pattern_destroy(a.output);
    return status;
}
