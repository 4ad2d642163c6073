/* SPDX-License-Identifier: MIT */
/*
 * `deja find`: where in a recording something is executed, read, written, printed or otherwise happens.
 *
 * Exit status: 0; 1 there is no such moment, or the replay diverged; 2 no trace, a damaged one, or bad usage.
 */
#include "cli.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console_term.h"
#include "find/find.h"
#include "guest_symbols.h"
#include "progress.h"
#include "sandbox.h"

#define HELD_BYTES (64u << 20)

struct asking {
    struct find_args args;
    struct timeline *t;
    struct find_plan plan;
    struct find_run run;
    struct find_printer printer;
    struct guest_symbols *symbols;
    struct find_names *names;
    bool here;        /* this process runs the guest: its machine cannot be moved to look for symbols */
    bool looked;      /* for symbols, for the last time */
    uint8_t *held;    /* hits that wait for symbols, each with its length before it */
    size_t nheld, capacity;
    uint64_t hits;
};

/* --- symbols --- */

static void warn(void *opaque, const char *text)
{
    (void)opaque;
    progress_end();
    cli_error("%s", text);
}

static void look(struct asking *k)
{
    guest_symbols_look(k->symbols, timeline_machine(k->t), warn, NULL);
}

/* Where all of the guest's kernel is in place. */
static void look_at_end(struct asking *k)
{
    if (timeline_seek(k->t, timeline_end_moment()) == TIMELINE_END)
        look(k);
    k->looked = true;
}

/* --- hits --- */

static void print_hit(struct asking *k, const struct find_hit *hit)
{
    char text[8];

    /* An image with symbols names everything at once. */
    if (!k->looked && !k->here && !guest_symbols_describe(k->symbols, hit->rip, text, sizeof(text)))
        look_at_end(k);
    progress_end();
    find_print(&k->printer, hit);
}

static void print_held(struct asking *k)
{
    struct find_hit hit;
    uint32_t len;

    for (size_t at = 0; at < k->nheld && !term_stop_asked() && !ferror(stdout); at += sizeof(len) + len) {
        memcpy(&len, k->held + at, sizeof(len));
        memset(&hit, 0, sizeof(hit));
        memcpy(&hit, k->held + at + sizeof(len), len);
        print_hit(k, &hit);
    }
    k->nheld = 0;
}

/* False: it does not fit. */
static bool hold(struct asking *k, const void *data, uint32_t len)
{
    if (k->capacity - k->nheld < sizeof(len) + len) {
        size_t capacity = 2 * k->capacity + 4096;
        uint8_t *more = capacity < HELD_BYTES ? realloc(k->held, capacity) : NULL;

        if (more == NULL)
            return false;
        k->held = more;
        k->capacity = capacity;
    }
    memcpy(k->held + k->nheld, &len, sizeof(len));
    memcpy(k->held + k->nheld + sizeof(len), data, len);
    k->nheld += sizeof(len) + len;
    return true;
}

/* What a worker sends is not believed. */
static bool take_hit(struct find_hit *hit, const void *data, size_t len)
{
    memset(hit, 0, sizeof(*hit));
    if (len < offsetof(struct find_hit, text) || len > sizeof(*hit))
        return false;
    memcpy(hit, data, len);
    return hit->what <= HIT_EVENT && hit->kind < WATCH_KIND_COUNT && hit->text[sizeof(hit->text) - 1] == '\0';
}

static bool record(void *opaque, const void *data, size_t len)
{
    struct asking *k = opaque;
    struct find_hit hit;

    if (!take_hit(&hit, data, len))
        return true;
    k->hits++;
    if (k->here && !k->looked) {
        if (hold(k, data, (uint32_t)len))
            return true;
        look(k); /* as far as the guest has got */
        k->looked = true;
        print_held(k);
    }
    print_hit(k, &hit);
    return !ferror(stdout);
}

/* --- running --- */

static int confine(void *opaque)
{
    struct asking *k = opaque;

    if (!k->args.query.no_sandbox && sandbox_enter() != 0)
        return -1;
    return 0;
}

/* Symbols, where they are needed to begin, or there will be no other occasion: with an index the end is near. */
static int prepare(void *opaque)
{
    struct asking *k = opaque;
    bool names = find_needs_names(&k->args);
    int status = EXIT_DONE;

    if (!names && (!k->here || !timeline_is_indexed(k->t)))
        return EXIT_DONE;
    look(k);
    if (!names || !find_names_resolve(k->names, &k->args, k->symbols))
        look_at_end(k);
    if (names && !find_names_resolve(k->names, &k->args, k->symbols))
        status = find_names_missing(k->names, &k->args, k->symbols);
    find_names_tell(k->names);
    return status;
}

static bool wanted(void *opaque, const struct scan_segment *s)
{
    struct asking *k = opaque;

    return find_plan_wants(&k->plan, s);
}

static enum timeline_status run(void *opaque, struct scan_worker *w, const struct scan_segment *s)
{
    struct asking *k = opaque;

    return find_segment(&k->run, w, s);
}

static bool interrupted(void *opaque)
{
    (void)opaque;
    return term_stop_asked();
}

static int verdict(const struct asking *k, enum scan_status status, const char *err)
{
    if (term_stop_asked()) {
        clearerr(stdout); /* a write that the signal cut short is no news */
        cli_error("find: interrupted");
        return EXIT_USAGE;
    }
    switch (status) {
    case SCAN_DONE:
    case SCAN_ENOUGH:
    case SCAN_INTERRUPTED: break;
    case SCAN_DIVERGED: cli_error("%s", err); return EXIT_NO;
    case SCAN_ERROR:
        if (err[0] != '\0')
            cli_error("find: %s", err);
        return EXIT_USAGE;
    }
    if (status == SCAN_DONE && player_end(timeline_player(k->t)) == NULL)
        cli_error("%s: the recording is cut off, this is what there is of it", k->args.trace);
    if (k->hits > 0)
        return EXIT_DONE;
    cli_error("find: not found");
    return EXIT_NO;
}

static int ask(struct asking *k)
{
    struct scan_options o = {.struct_size = sizeof(o),
                             .jobs = (unsigned)k->args.query.jobs,
                             .order = k->args.order,
                             .from = k->args.query.from,
                             .to = k->args.query.to,
                             .wanted = wanted,
                             .confine = confine,
                             .prepare = prepare,
                             .run = run,
                             .record = record,
                             .interrupted = interrupted,
                             .progress = progress_show,
                             .what = "searching",
                             .opaque = k};
    uint64_t last = find_plan_last(&k->plan);
    enum scan_status status;
    char err[1024];

    if (last < o.to.icount)
        o.to = (struct moment){.icount = last + 1};
    k->here = scan_jobs(k->t, &o) == 1;
    fflush(stdout);
    status = scan_run(k->t, &o, err, sizeof(err));
    if (k->here && !k->looked && k->nheld > 0)
        look(k);
    print_held(k);
    progress_end();
    if (timeline_check(k->t) != TIMELINE_THERE) {
        cli_error("%s: %s", k->args.trace, timeline_error(k->t));
        return EXIT_USAGE;
    }
    return verdict(k, status, err);
}

static int open_all(struct asking *k)
{
    char err[512];
    int status;

    k->names = find_names_create();
    if (k->names == NULL) {
        cli_error("out of memory");
        return EXIT_USAGE;
    }
    status = find_open(&k->args, k->names, &k->t);
    if (status != EXIT_DONE)
        return status;
    k->symbols = guest_symbols_create(k->args.query.vmlinux, k->args.query.modules, err, sizeof(err));
    if (k->symbols == NULL) {
        cli_error("find: %s", err);
        return EXIT_USAGE;
    }
    guest_symbols_names_only(k->symbols);
    k->printer = (struct find_printer){.json = k->args.query.json, .symbols = k->symbols, .t = k->t};
    k->run = (struct find_run){.args = &k->args, .names = k->names, .plan = &k->plan};
    return find_plan(&k->args, k->t, &k->plan);
}

int cmd_find(int argc, char **argv)
{
    struct asking *k = calloc(1, sizeof(*k));
    int status;

    if (k == NULL) {
        cli_error("out of memory");
        return EXIT_USAGE;
    }
    status = find_args_parse(&k->args, argc, argv);
    if (status == EXIT_DONE)
        status = open_all(k);
    if (status == EXIT_DONE) {
        term_take_signals();
        signal(SIGPIPE, SIG_DFL); /* who pipes into head wants silence */
        status = ask(k);
    }
    guest_symbols_destroy(k->symbols);
    find_plan_free(&k->plan);
    timeline_destroy(k->t);
    find_names_destroy(k->names);
    find_args_free(&k->args);
    free(k->held);
    free(k);
    return status;
}
