/* SPDX-License-Identifier: MIT */
/*
 * `deja replay`: runs a recording again, shows what the guest printed on its first serial line, and
 * says whether everything was as recorded.
 *
 * Exit status: 0 exact (however the guest ended: that is the recording's news, not the replay's),
 * also when stopped by --until and for a recording that is cut off; 1 diverged; 2 no trace, or one
 * that is damaged.
 */
#include "cli.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <devices/pc.h>
#include <emu/machine.h>
#include <replay/player.h>

#include "console_term.h"
#include "gdb/session.h"
#include "numbers.h"
#include "option_values.h"
#include "options.h"
#include "progress.h"
#include "sandbox.h"
#include "trace_cmd.h"

struct replay_args {
    const char *path;
    uint64_t until; /* UINT64_MAX: the end */
    bool quiet;
    bool no_sandbox;
    const char *gdb;        /* NULL: not under a debugger */
    const char *vmlinux, *modules;
    uint64_t checkpoint_bytes; /* 0: the default */
};

/* What the guest printed, to standard output. */
struct printer {
    bool quiet;
    bool in_line; /* the last byte was not a line feed */
};

/* --- arguments --- */

static int bad_usage(const char *what, const char *arg)
{
    cli_error("replay: %s%s: deja replay TRACE [--until N] [--gdb WHERE] [--quiet] ...", what, arg);
    return EXIT_USAGE;
}

/* An option that takes a value. True: *i has moved to it. */
static bool option_value(const char *name, int argc, char **argv, int *i)
{
    if (!is_option(argv[*i], name) || *i + 1 == argc)
        return false;
    ++*i;
    return true;
}

static int parse_args(struct replay_args *a, int argc, char **argv)
{
    *a = (struct replay_args){.until = UINT64_MAX};
    for (int i = 1; i < argc; i++) {
        if (option_value("until", argc, argv, &i)) {
            if (!number_parse(argv[i], &a->until))
                return bad_usage("--until takes a number of instructions, not ", argv[i]);
        } else if (option_value("sandbox", argc, argv, &i)) {
            a->no_sandbox = strcmp(argv[i], "off") == 0;
            if (!a->no_sandbox && strcmp(argv[i], "on") != 0)
                return bad_usage("-sandbox is on or off, not ", argv[i]);
        } else if (option_value("gdb", argc, argv, &i)) {
            a->gdb = argv[i];
        } else if (option_value("vmlinux", argc, argv, &i)) {
            a->vmlinux = argv[i];
        } else if (option_value("modules", argc, argv, &i)) {
            a->modules = argv[i];
        } else if (option_value("checkpoint-mem", argc, argv, &i)) {
            if (!value_size(argv[i], &a->checkpoint_bytes) || a->checkpoint_bytes == 0)
                return bad_usage("--checkpoint-mem takes a size such as 512M, not ", argv[i]);
        } else if (is_option(argv[i], "s")) {
            a->gdb = OPTIONS_GDB_DEFAULT;
        } else if (is_option(argv[i], "S")) {
            continue; /* a replay under gdb always waits */
        } else if (is_option(argv[i], "quiet")) {
            a->quiet = true;
        } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            return bad_usage("unknown option, or one without its value: ", argv[i]);
        } else if (a->path != NULL) {
            return bad_usage("takes one trace, this is a second: ", argv[i]);
        } else {
            a->path = argv[i];
        }
    }
    return a->path == NULL ? bad_usage("needs a trace", "") : EXIT_DONE;
}

/* --- what the guest prints --- */

static void on_serial(void *opaque, unsigned port, const uint8_t *data, size_t len)
{
    struct printer *p = opaque;

    if (port != 0 || len == 0 || p->quiet)
        return;
    fwrite(data, 1, len, stdout);
    p->in_line = data[len - 1] != '\n';
}

/* So that a message begins a line of its own where both go to one screen. */
static void end_printing(const struct printer *p)
{
    fflush(stdout);
    if (p->in_line && isatty(STDOUT_FILENO) && isatty(STDERR_FILENO))
        fputc('\n', stderr);
}

/* --- the verdict --- */

static void print_exact(struct player *p, const char *verdict, double seconds)
{
    struct player_counts counts = player_counts(p);
    uint64_t icount = player_machine(p)->clock.icount;
    char n[4][NUMBER_TEXT];

    fprintf(stderr,
            "deja: %s: %s instructions, %s interrupts, %s inputs, %s digests in %.1f s "
            "(%.1f MIPS)\n",
            verdict, number_text(icount, n[0]), number_text(counts.interrupts, n[1]),
            number_text(counts.inputs, n[2]), number_text(counts.digests, n[3]), seconds,
            seconds > 0 ? (double)icount / seconds / 1e6 : 0.0);
}

static void print_divergence(const char *path, const struct player_divergence *d)
{
    char n[NUMBER_TEXT];

    fprintf(stderr,
            "deja: %s: replay diverged at instruction %s (%s)\n"
            "  at:         instruction %" PRIu64 ", %" PRIu64 " ns, RIP %" PRIx64 "\n"
            "  expected:   %s\n"
            "  found:      %s\n",
            path, number_text(d->icount, n), player_difference_name(d->what), d->icount, d->vns,
            d->rip, d->expected, d->found);
    if (d->any_match)
        fprintf(stderr, "  last match: the digest at instruction %" PRIu64 "\n",
                d->last_match_icount);
    else
        fprintf(stderr, "  last match: none, no digest before it matched\n");
}

static int verdict(const struct replay_args *a, struct player *p, enum player_status status,
                   double seconds)
{
    switch (status) {
    case PLAYER_END: print_exact(p, "replay exact", seconds); return EXIT_DONE;
    case PLAYER_EXACT:
        print_exact(p, "stopped by --until, replay exact so far", seconds);
        return EXIT_DONE;
    case PLAYER_CUT:
        cli_error("%s: the recording is cut off after byte %" PRIu64
                  ", it was replayed to its last whole event",
                  a->path, player_whole_bytes(p));
        print_exact(p, "replay exact up to there", seconds);
        return EXIT_DONE;
    case PLAYER_DIVERGED: print_divergence(a->path, player_divergence(p)); return EXIT_NO;
    case PLAYER_ERROR:
    case PLAYER_STOPPED: break;
    }
    cli_error("%s", player_error(p));
    return EXIT_USAGE;
}

static double wall_seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int replay(const struct replay_args *a, struct player *p)
{
    struct printer printer = {.quiet = a->quiet};
    enum player_status status;
    double start;

    player_set_outputs(p, &(struct machine_observer){.serial_out = on_serial, .opaque = &printer});
    start = wall_seconds();
    status = player_run(p, a->until);
    end_printing(&printer);
    return verdict(a, p, status, wall_seconds() - start);
}

/* --- under gdb --- */

/* What the guest prints on new ground, or in a branch; not what it printed before. */
struct gdb_printer {
    struct printer printer;
    const struct timeline *timeline;
    struct session *session;
};

static void on_gdb_serial(void *opaque, unsigned port, const uint8_t *data, size_t len)
{
    struct gdb_printer *p = opaque;

    if (timeline_is_branch(p->timeline) ||
        timeline_now(p->timeline).icount >= timeline_frontier(p->timeline)) {
        on_serial(&p->printer, port, data, len);
        fflush(stdout);
    }
}

static bool interrupted(void *opaque)
{
    struct gdb_printer *p = opaque;

    return p->session != NULL ? session_interrupted(p->session) : term_stop_asked();
}

static int serve(const struct replay_args *a, struct gdb_printer *p, struct timeline *t)
{
    struct session_options options = {.address = a->gdb, .timeline = t, .trace_path = a->path,
                                      .vmlinux = a->vmlinux, .modules = a->modules,
                                      .sandboxed = !a->no_sandbox};
    enum timeline_status at = TIMELINE_THERE;
    struct session *session;
    char err[512];
    int status;

    session = session_create(&options, err, sizeof(err));
    if (session == NULL) {
        if (err[0] != '\0')
            cli_error("--gdb %s", err);
        return EXIT_USAGE;
    }
    status = a->no_sandbox ? EXIT_DONE : sandbox_enter();
    /* Whoever connects meanwhile waits: to the session it would be an interrupt. */
    if (status == EXIT_DONE && a->until != UINT64_MAX)
        at = timeline_seek(t, (struct moment){.icount = a->until});
    progress_end();
    if (status == EXIT_DONE) {
        if (strcmp(a->gdb, "stdio") != 0)
            fprintf(stderr, "deja: waiting for gdb: target remote %s\n", session_address(session));
        session_set_status(session, at);
        p->session = session;
        status = session_replay(session);
    }
    p->session = NULL;
    session_destroy(session);
    return status;
}

static int replay_under_gdb(const struct replay_args *a)
{
    struct gdb_printer printer = {.printer = {.quiet = a->quiet || strcmp(a->gdb, "stdio") == 0}};
    struct timeline_options options = {.struct_size = sizeof(options),
                                       .checkpoint_bytes = a->checkpoint_bytes,
                                       .interrupted = interrupted,
                                       .progress = progress_show,
                                       .opaque = &printer};
    char err[512];
    struct timeline *t;
    int status;

    if (term_take_signals() != 0) {
        cli_error("cannot take signals");
        return EXIT_USAGE;
    }
    t = timeline_open(a->path, &pc_board, &options, err, sizeof(err));
    if (t == NULL) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    if (timeline_index_note(t) != NULL)
        cli_error("%s", timeline_index_note(t));
    printer.timeline = t;
    player_set_outputs(timeline_player(t),
                       &(struct machine_observer){.serial_out = on_gdb_serial, .opaque = &printer});
    status = serve(a, &printer, t);
    end_printing(&printer.printer);
    timeline_destroy(t);
    return status;
}

int cmd_replay(int argc, char **argv)
{
    struct replay_args a;
    struct player *p;
    char err[512];
    int status = parse_args(&a, argc, argv);

    if (status != EXIT_DONE)
        return status;
    if (a.gdb != NULL)
        return replay_under_gdb(&a);
    p = player_open(a.path, &pc_board, err, sizeof(err));
    if (p == NULL) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    if (!a.no_sandbox)
        status = sandbox_enter();
    if (status == EXIT_DONE)
        status = replay(&a, p);
    player_destroy(p);
    return status;
}
