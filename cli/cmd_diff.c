/* SPDX-License-Identifier: MIT */
/*
 * `deja diff`: the first difference of two recordings, in events and in state. replay/diff.h finds it, diff_print.c
 * and diff_json.c show it.
 *
 * Exit status: 0 the same run, as far as both recordings go; 1 different; 2 no trace, a damaged one, or interrupted.
 */
#include "cli.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <devices/pc.h>
#include <replay/diff.h>

#include "console_term.h"
#include "diff_view.h"
#include "guest_symbols.h"
#include "numbers.h"
#include "option_values.h"
#include "progress.h"
#include "sandbox.h"
#include "trace_cmd.h"

struct diff_args {
    const char *path[2];
    const char *vmlinux, *modules;
    uint64_t after; /* UINT64_MAX: to the end */
    uint64_t checkpoint_bytes;
    bool events_only, force, json, no_sandbox;
};

/* --- arguments --- */

static int bad_usage(const char *what, const char *arg)
{
    cli_error("diff: %s%s: deja diff TRACE TRACE [--events] [--after N] [--force] [--json] ...", what, arg);
    return EXIT_USAGE;
}

static bool option_value(const char *name, int argc, char **argv, int *i)
{
    if (!is_option(argv[*i], name) || *i + 1 == argc)
        return false;
    ++*i;
    return true;
}

/* An option with a value. 1: it was one, 0: it is none of these, -1: the value is wrong, and it was said. */
static int parse_value(struct diff_args *a, int argc, char **argv, int *i)
{
    if (option_value("vmlinux", argc, argv, i)) {
        a->vmlinux = argv[*i];
    } else if (option_value("modules", argc, argv, i)) {
        a->modules = argv[*i];
    } else if (option_value("after", argc, argv, i)) {
        if (strcmp(argv[*i], "end") != 0 && !number_parse(argv[*i], &a->after))
            return -bad_usage("--after takes a number of instructions, or end, not ", argv[*i]);
    } else if (option_value("checkpoint-mem", argc, argv, i)) {
        if (!value_size(argv[*i], &a->checkpoint_bytes) || a->checkpoint_bytes == 0)
            return -bad_usage("--checkpoint-mem takes a size such as 512M, not ", argv[*i]);
    } else if (option_value("sandbox", argc, argv, i)) {
        a->no_sandbox = strcmp(argv[*i], "off") == 0;
        if (!a->no_sandbox && strcmp(argv[*i], "on") != 0)
            return -bad_usage("-sandbox is on or off, not ", argv[*i]);
    } else {
        return 0;
    }
    return 1;
}

static int parse_args(struct diff_args *a, int argc, char **argv)
{
    *a = (struct diff_args){.after = UINT64_MAX};
    for (int i = 1; i < argc; i++) {
        int taken = parse_value(a, argc, argv, &i);

        if (taken < 0)
            return EXIT_USAGE;
        if (taken > 0)
            continue;
        if (is_option(argv[i], "events"))
            a->events_only = true;
        else if (is_option(argv[i], "force"))
            a->force = true;
        else if (is_option(argv[i], "json"))
            a->json = true;
        else if (argv[i][0] == '-' && argv[i][1] != '\0')
            return bad_usage("unknown option, or one without its value: ", argv[i]);
        else if (a->path[1] != NULL)
            return bad_usage("takes two traces, this is a third: ", argv[i]);
        else
            a->path[a->path[0] != NULL] = argv[i];
    }
    return a->path[1] == NULL ? bad_usage("needs two traces", "") : EXIT_DONE;
}

/* --- symbols --- */

static void warn(void *opaque, const char *text)
{
    (void)opaque;
    progress_end();
    cli_error("%s", text);
}

static void look(void *opaque, unsigned side, const struct machine *m)
{
    struct diff_view *v = opaque;

    guest_symbols_look(v->symbols[side], m, warn, NULL);
}

static int open_symbols(const struct diff_args *a, struct diff_view *v)
{
    char err[512];

    for (unsigned side = 0; side < 2; side++) {
        v->symbols[side] = guest_symbols_create(a->vmlinux, a->modules, err, sizeof(err));
        if (v->symbols[side] == NULL) {
            cli_error("%s", err);
            return EXIT_USAGE;
        }
        guest_symbols_names_only(v->symbols[side]);
    }
    return EXIT_DONE;
}

/* --- the command --- */

static bool interrupted(void *opaque)
{
    (void)opaque;
    return term_stop_asked();
}

static void show_progress(void *opaque, const char *what, uint64_t done, uint64_t total)
{
    (void)opaque;
    progress_show(NULL, what, done, total);
}

static int verdict_status(const struct diff *d, enum diff_verdict verdict)
{
    switch (verdict) {
    case DIFF_SAME: return EXIT_DONE;
    case DIFF_DIFFERENT: return EXIT_NO;
    case DIFF_INTERRUPTED: cli_error("diff: interrupted"); return EXIT_USAGE;
    case DIFF_ERROR: break;
    }
    cli_error("%s", diff_error(d));
    return EXIT_USAGE;
}

static int compare(const struct diff_args *a, struct diff *d, struct diff_view *v)
{
    int status = diff_will_replay(d) && !a->no_sandbox ? sandbox_enter() : EXIT_DONE;

    if (status != EXIT_DONE)
        return status;
    v->r = diff_result(d);
    v->verdict = diff_run(d);
    progress_end();
    for (unsigned side = 0; side < 2; side++) {
        v->path[side] = a->path[side];
        v->header[side] = diff_header(d, side);
    }
    if (v->verdict != DIFF_ERROR)
        (a->json ? diff_print_json : diff_print)(v);
    fflush(stdout);
    return verdict_status(d, v->verdict);
}

int cmd_diff(int argc, char **argv)
{
    struct diff_options options = {.struct_size = sizeof(options)};
    struct diff_view view = {.r = NULL};
    struct diff *d = NULL;
    struct diff_args a;
    char err[512];
    int status = parse_args(&a, argc, argv);

    if (status == EXIT_DONE)
        status = open_symbols(&a, &view);
    if (status == EXIT_DONE) {
        options.events_only = a.events_only;
        options.force = a.force;
        options.after = a.after;
        options.checkpoint_bytes = a.checkpoint_bytes;
        options.interrupted = interrupted;
        options.progress = show_progress;
        options.look = look;
        options.opaque = &view;
        term_take_signals();
        d = diff_open(a.path, &pc_board, &options, err, sizeof(err));
        if (d == NULL) {
            cli_error("%s", err);
            status = EXIT_USAGE;
        }
    }
    if (status == EXIT_DONE)
        status = compare(&a, d, &view);
    diff_close(d);
    guest_symbols_destroy(view.symbols[0]);
    guest_symbols_destroy(view.symbols[1]);
    return status;
}
