/* SPDX-License-Identifier: MIT */
/*
 * `deja bisect` of one recording: the first moment at which a condition holds, or from which on a command says
 * that something is wrong.
 *
 * Exit status: 0 found; 1 it never holds, or it could not be told where it begins to; 2 bad usage or input, an
 * interrupted search, a command that failed.
 */
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <devices/pc.h>
#include <replay/expr.h>

#include "bisect.h"
#include "bisect_runs.h"
#include "condition.h"
#include "console_term.h"
#include "guest_symbols.h"
#include "moments.h"
#include "option_values.h"
#include "progress.h"
#include "sandbox.h"
#include "temp_index.h"
#include "trace_cmd.h"

/* --- arguments --- */

static int bad_usage(const char *what, const char *arg)
{
    cli_error("bisect: %s%s: deja bisect TRACE --when EXPR [--first-ever] | --run CMD | --gdb-script FILE, or "
              "--good G... --bad B..., or TRACE --causal",
              what, arg);
    return EXIT_USAGE;
}

static int parse_number_option(struct bisect_args *a, const char *name, const char *value)
{
    if (is_option(name, "between"))
        return moment_parse_range(value, &a->from, &a->to)
                   ? EXIT_DONE
                   : bad_usage("--between takes A,B or A..B with A before B, not ", value);
    if (is_option(name, "jobs"))
        return value_u64(value, &a->jobs) && a->jobs >= 1 && a->jobs <= 256
                   ? EXIT_DONE
                   : bad_usage("--jobs takes a number from 1 to 256, not ", value);
    if (is_option(name, "checkpoint-mem"))
        return value_size(value, &a->checkpoint_bytes) && a->checkpoint_bytes > 0
                   ? EXIT_DONE
                   : bad_usage("--checkpoint-mem takes a size such as 512M, not ", value);
    return bad_usage("unknown option: ", name);
}

static int parse_option(struct bisect_args *a, const char *name, const char *value)
{
    const struct {
        const char *name, **value;
    } texts[] = {{"when", &a->when},       {"run", &a->run},         {"gdb-script", &a->gdb_script},
                 {"vmlinux", &a->vmlinux}, {"modules", &a->modules}, {"gdb", &a->gdb}};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (is_option(name, texts[i].name)) {
            *texts[i].value = value;
            return EXIT_DONE;
        }
    if (is_option(name, "sandbox")) {
        a->no_sandbox = strcmp(value, "off") == 0;
        return EXIT_DONE;
    }
    return parse_number_option(a, name, value);
}

static int check_args(const struct bisect_args *a)
{
    unsigned asked = (a->when != NULL) + (a->run != NULL) + (a->gdb_script != NULL);

    if (a->trace == NULL)
        return bad_usage("needs a trace", "");
    if (asked != 1)
        return bad_usage(asked == 0 ? "needs to know what to look for" : "takes one thing to look for", "");
    if (a->first_ever && a->when == NULL)
        return bad_usage("--first-ever goes with --when", "");
    return EXIT_DONE;
}

static int parse_args(struct bisect_args *a, int argc, char **argv)
{
    int status = EXIT_DONE;

    *a = (struct bisect_args){.gdb = "gdb", .to = timeline_end_moment()};
    for (int i = 1; i < argc && status == EXIT_DONE; i++) {
        if (is_option(argv[i], "json")) {
            a->json = true;
        } else if (is_option(argv[i], "first-ever")) {
            a->first_ever = true;
        } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            if (i + 1 == argc)
                return bad_usage("unknown option, or one without its value: ", argv[i]);
            status = parse_option(a, argv[i], argv[i + 1]);
            i++;
        } else if (a->trace != NULL) {
            return bad_usage("takes one trace, this is a second: ", argv[i]);
        } else {
            a->trace = argv[i];
        }
    }
    return status == EXIT_DONE ? check_args(a) : status;
}

/* --- what the searches share --- */

static void warn(void *opaque, const char *text)
{
    (void)opaque;
    cli_error("%s", text);
}

void bisect_look(struct bisect *b)
{
    guest_symbols_look(b->symbols, b->m, warn, NULL);
}

int bisect_failed(const struct bisect *b, enum timeline_status status)
{
    const struct player_divergence *d = player_divergence(timeline_player(b->t));

    progress_end();
    if (status == TIMELINE_DIVERGED) {
        cli_error("%s: the replay diverged at instruction %" PRIu64 ": expected %s, found %s", b->args->trace,
                  d->icount, d->expected, d->found);
        return EXIT_NO;
    }
    if (status == TIMELINE_INTERRUPTED)
        cli_error("bisect: interrupted");
    else
        cli_error("%s", timeline_error(b->t));
    return EXIT_USAGE;
}

static bool any_name(void *opaque, const char *name, uint64_t *address)
{
    (void)opaque, (void)name;
    *address = 0;
    return true;
}

/* What is wrong with it whatever names there are. */
static bool is_well_formed(const char *text, char *err, size_t errlen)
{
    struct expr *e = expr_parse(text, &(struct expr_names){.find = any_name}, err, errlen);
    bool good = e != NULL;

    expr_destroy(e);
    return good;
}

static bool try_condition(struct bisect *b, const struct guest_symbols *symbols, char *err, size_t errlen)
{
    b->when = condition_create(b->args->when, symbols, b->t, err, errlen);
    return b->when != NULL;
}

enum timeline_status bisect_go_to_symbols(struct bisect *b)
{
    size_t count = timeline_checkpoints(b->t).count, pages;
    enum timeline_status status;
    uint64_t icount;

    if (count > 1 && timeline_checkpoint_at(b->t, count - 1, &icount, &pages))
        return timeline_seek(b->t, (struct moment){.icount = icount});
    status = timeline_seek(b->t, timeline_end_moment());
    return status == TIMELINE_END ? TIMELINE_THERE : status;
}

int bisect_parse_condition(struct bisect *b)
{
    enum timeline_status status;
    char err[512];

    if (!is_well_formed(b->args->when, err, sizeof(err))) {
        cli_error("bisect: --when: %s", err);
        return EXIT_USAGE;
    }
    if (try_condition(b, NULL, err, sizeof(err)))
        return EXIT_DONE;
    bisect_look(b); /* the kernel image may have its symbols with it, */
    if (try_condition(b, b->symbols, err, sizeof(err)))
        return EXIT_DONE;
    status = bisect_go_to_symbols(b); /* or its memory, in the end */
    if (status != TIMELINE_THERE)
        return bisect_failed(b, status);
    bisect_look(b);
    if (try_condition(b, b->symbols, err, sizeof(err)))
        return EXIT_DONE;
    progress_end();
    cli_error("bisect: --when: %s", err);
    return EXIT_USAGE;
}

int bisect_output_known(const struct bisect *b)
{
    if (!(expr_uses(condition_expr(b->when)) & EXPR_USES_OUTPUT) || timeline_knows_all_output(b->t))
        return EXIT_DONE;
    cli_error("%s: the guest prints more than is kept of it: seen() cannot be answered", b->args->trace);
    return EXIT_USAGE;
}

/* --- the searches --- */

int bisect_open(struct bisect *b, bool (*interrupted)(void *opaque), void *opaque)
{
    struct timeline_options how = {.struct_size = sizeof(how),
                                   .checkpoint_bytes = b->args->checkpoint_bytes,
                                   .interrupted = interrupted,
                                   .progress = progress_show,
                                   .opaque = opaque};
    char err[512];

    b->t = timeline_open(b->args->trace, &pc_board, &how, err, sizeof(err));
    if (b->t == NULL) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    b->m = timeline_machine(b->t);
    if (timeline_index_note(b->t) != NULL)
        cli_error("%s", timeline_index_note(b->t));
    return EXIT_DONE;
}

static int open_symbols(struct bisect *b)
{
    char err[512];

    b->symbols = guest_symbols_create(b->args->vmlinux, b->args->modules, err, sizeof(err));
    if (b->symbols == NULL) {
        cli_error("bisect: %s", err);
        return EXIT_USAGE;
    }
    guest_symbols_names_only(b->symbols);
    return EXIT_DONE;
}

static int search_lasting(struct bisect *b, struct bisect_result *result)
{
    int status = bisect_open(b, bisect_interrupted, b);

    if (status == EXIT_DONE)
        status = open_symbols(b);
    term_take_signals();
    if (status == EXIT_DONE && !b->args->no_sandbox)
        status = sandbox_enter();
    if (status == EXIT_DONE)
        status = bisect_parse_condition(b);
    return status == EXIT_DONE ? bisect_lasting(b, result) : status;
}

/* This process only looks, until bisect_first_ever() has entered the sandbox. */
static int search_first_ever(struct bisect *b, struct bisect_result *result)
{
    int status;

    term_take_signals();
    status = temp_index_open(&b->t, b->args->trace, b->args->no_sandbox);
    if (status == EXIT_DONE) {
        b->m = timeline_machine(b->t);
        status = open_symbols(b);
    }
    if (status == EXIT_DONE)
        status = bisect_parse_condition(b);
    return status == EXIT_DONE ? bisect_first_ever(b, result) : status;
}

static int search_when(const struct bisect_args *a)
{
    struct bisect b = {.args = a};
    struct bisect_result result;
    int status = a->first_ever ? search_first_ever(&b, &result) : search_lasting(&b, &result);

    if (status == EXIT_DONE)
        status = bisect_report(&b, &result);
    progress_end();
    condition_destroy(b.when);
    guest_symbols_destroy(b.symbols);
    timeline_destroy(b.t);
    return status;
}

static bool has_option(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (is_option(argv[i], name))
            return true;
    return false;
}

int cmd_bisect(int argc, char **argv)
{
    struct bisect_args a;
    int status;

    if (has_option(argc, argv, "good") || has_option(argc, argv, "bad"))
        return bisect_runs(argc, argv);
    if (has_option(argc, argv, "causal"))
        return bisect_causal(argc, argv);
    status = parse_args(&a, argc, argv);
    if (status != EXIT_DONE)
        return status;
    return a.when != NULL ? search_when(&a) : bisect_run(&a);
}
