/* SPDX-License-Identifier: MIT */
/*
 * `deja hunt`: many runs of a guest with perturbed timing, each by a seed of its own; keeps recordings of those that
 * fail, folded by where they fail.
 *
 * Exit status: 0 a failure was found; 1 none was; 2 bad usage, a bad folder, or trouble on the way. A single command
 * (--one) and --print-commands: 0 when it was done.
 */
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>

#include <replay/pool.h>

#include "console_term.h"
#include "hunt/commands.h"
#include "hunt/hunt.h"
#include "hunt/table.h"

/* --- a whole hunt --- */

static void print_outcome(const struct hunt *h)
{
    if (h->session->json)
        hunt_json_print(h->plan, &h->book, h->limit.icount, h->time.runs > 0 ? &h->time : NULL, stdout);
    else
        table_print(h, stdout);
    if (h->session->stats)
        table_print_time(h, stderr);
}

static void say_what_is_left(const struct hunt *h)
{
    uint64_t all = h->book.last - h->book.first + 1;

    if (!book_is_complete(&h->book))
        cli_error("hunt: %s%" PRIu64 " of %" PRIu64 " runs are done: go on with deja hunt --resume %s",
                  h->stopped ? "stopped; " : "", h->book.done, all, h->folder->given);
}

/* hunt.json says what there is, whatever came before. */
static int conclude(struct hunt *h, int status)
{
    int settled = hunt_settle_rest(h), written;

    if (status == EXIT_DONE)
        status = settled;
    if (status == EXIT_DONE && book_is_complete(&h->book))
        hunt_tidy(h);
    written = hunt_write(h);
    if (status == EXIT_DONE)
        status = written;
    if (status != EXIT_DONE)
        return status;
    print_outcome(h);
    say_what_is_left(h);
    return h->book.failed > 0 ? EXIT_DONE : EXIT_NO;
}

static int run_missing(struct hunt *h)
{
    int status;

    if (!h->session->slurm)
        return hunt_missing(h);
    status = commands_slurm(h);
    if (status == EXIT_DONE)
        status = hunt_take_up(h);
    return status == EXIT_DONE && !h->stopped ? hunt_collect(h) : status;
}

/* The folder is locked: half-written files in it are nobody's. */
static int hunt_all(struct hunt *h)
{
    int status;

    folder_remove_parts(h->folder);
    status = folder_open_journal(h->folder, HUNT_LOCAL);
    if (status == EXIT_DONE)
        status = hunt_take_up(h);
    if (status == EXIT_DONE)
        status = hunt_write(h);
    if (status != EXIT_DONE)
        return status;
    status = hunt_base(h);
    if (status == EXIT_DONE && !h->stopped && h->session->print_commands) {
        status = hunt_write(h);
        return status == EXIT_DONE ? commands_print(h, stdout) : status;
    }
    if (status == EXIT_DONE && !h->stopped)
        status = h->session->mode == HUNT_COLLECT ? hunt_collect(h) : run_missing(h);
    return conclude(h, status);
}

/* --- a single command --- */

static int hunt_one(struct hunt *h)
{
    char name[32];
    int status;

    snprintf(name, sizeof(name), "from-%06" PRIu64, h->book.first);
    h->loose = true;
    status = hunt_take_up_file(h, HUNT_LOCAL);
    if (status == EXIT_DONE)
        status = hunt_take_up_file(h, name);
    if (status == EXIT_DONE)
        status = folder_open_journal(h->folder, name);
    if (status != EXIT_DONE)
        return status;
    if (book_result(&h->book, 0) == NULL) {
        cli_error("hunt: %s: the unperturbed run is missing: begin with deja hunt --resume %s --print-commands",
                  h->folder->given, h->folder->given);
        return EXIT_USAGE;
    }
    status = hunt_base(h);
    if (status == EXIT_DONE && !h->stopped)
        status = hunt_missing(h);
    if (status == EXIT_DONE && h->stopped)
        status = EXIT_NO;
    return status;
}

/* --- what was asked --- */

static int run_session(struct hunt_plan *plan, struct hunt_session *session, struct hunt_folder *folder)
{
    bool one = session->mode == HUNT_ONE;
    uint64_t first = one ? session->first : 1, last = plan->runs, chunk = session->chunk > 0 ? session->chunk : 1;
    struct hunt h;
    int status;

    if (first > plan->runs) {
        cli_error("hunt: --one %" PRIu64 ": %s has runs 1 to %" PRIu64, first, folder->given, plan->runs);
        return EXIT_USAGE;
    }
    if (one && chunk <= plan->runs - first)
        last = first + chunk - 1;
    if (session->jobs == 0)
        session->jobs = one ? 1 : pool_cores();
    status = hunt_open(&h, plan, folder, session, first, last);
    if (status == EXIT_DONE)
        status = one ? hunt_one(&h) : hunt_all(&h);
    hunt_close(&h);
    return status;
}

static int with_signals(struct hunt_plan *plan, struct hunt_session *session, struct hunt_folder *folder)
{
    int status;

    if (term_take_signals() != 0) {
        cli_error("hunt: cannot take signals");
        return EXIT_USAGE;
    }
    status = run_session(plan, session, folder);
    term_restore_signals();
    return status;
}

static int open_folder(struct hunt_plan *plan, const struct hunt_session *session, struct hunt_folder *folder)
{
    int status;

    if (session->mode == HUNT_NEW)
        return folder_create(folder, session->dir);
    status = folder_open(folder, session->dir, session->mode == HUNT_ONE);
    if (status != EXIT_DONE)
        return status;
    hunt_plan_free(plan); /* of the command line it said nothing */
    return hunt_json_read_plan(folder, session->more_runs, plan);
}

int cmd_hunt(int argc, char **argv)
{
    struct hunt_folder folder = {.lock = -1, .journal = -1};
    struct hunt_session session;
    struct hunt_plan plan;
    int status = hunt_args_parse(&plan, &session, argc, argv);

    if (status == EXIT_DONE)
        status = open_folder(&plan, &session, &folder);
    if (status == EXIT_DONE)
        status = with_signals(&plan, &session, &folder);
    folder_close(&folder);
    hunt_plan_free(&plan);
    return status;
}
