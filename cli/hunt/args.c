/* SPDX-License-Identifier: MIT */
/* The command line of `deja hunt`: args.h. */
#include "args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cli.h"
#include "../files.h"
#include "../numbers.h"
#include "../option_values.h"
#include "../trace_cmd.h"

#define MAX_JOBS  1024u
#define MAX_INPUT ((size_t)16 << 20)

struct parser {
    struct hunt_plan *plan;
    struct hunt_session *session; /* NULL: the plan's options only, from hunt.json */
    int machine_from;             /* an option of the machine begins here in argv; 0: none is open */
    bool runs_given;
    const char *session_only;     /* the option that says that the plan is in a folder; NULL: none */
};

/* --- values --- */

static int bad_value(const char *option, const char *value, const char *want)
{
    cli_error("hunt: --%s %s: want %s", option, value, want);
    return -1;
}

static int set_count(const char *option, const char *value, uint64_t max, uint64_t *out)
{
    char want[64], n[NUMBER_TEXT];

    if (number_parse(value, out) && *out >= 1 && *out <= max)
        return 1;
    snprintf(want, sizeof(want), "a number from 1 to %s", number_text(max, n));
    return bad_value(option, value, want);
}

static int set_runs(struct parser *p, const char *value)
{
    p->runs_given = true;
    return set_count("runs", value, HUNT_MAX_RUNS, &p->plan->runs);
}

/* A number of instructions, or a text. */
static int set_until(struct parser *p, const char *value)
{
    if (value[0] == '\0')
        return bad_value("until", "''", "a number of instructions, or a text that the guest prints");
    if (!number_parse(value, &p->plan->until_icount))
        p->plan->until_output = value;
    else if (p->plan->until_icount == 0)
        return bad_value("until", value, "a number of instructions above 0, or a text that the guest prints");
    return 1;
}

static int set_until_output(struct parser *p, const char *value)
{
    p->plan->until_output = value;
    return 1;
}

static int set_keep(struct parser *p, const char *value)
{
    static const char *const names[] = {[KEEP_UNIQUE] = "unique", [KEEP_FAILING] = "failing", [KEEP_ALL] = "all"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(value, names[i]) == 0) {
            p->plan->keep = (enum hunt_keep)i;
            return 1;
        }
    return bad_value("keep", value, "all, failing or unique");
}

static int set_keep_per_site(struct parser *p, const char *value)
{
    return set_count("keep-per-site", value, HUNT_MAX_RUNS, &p->plan->keep_per_site);
}

static int set_stop_after(struct parser *p, const char *value)
{
    return set_count("stop-after", value, HUNT_MAX_RUNS, &p->plan->stop_after);
}

static int set_stdin(struct parser *p, const char *value)
{
    p->plan->stdin_path = value;
    return 1;
}

static int set_stdin_after(struct parser *p, const char *value)
{
    p->plan->stdin_after = value;
    return 1;
}

static int set_dir(struct parser *p, const char *value)
{
    if (p->session->dir != NULL && strcmp(p->session->dir, value) != 0) {
        cli_error("hunt: two folders, %s and %s: want one", p->session->dir, value);
        return -1;
    }
    if (value[0] == '\0')
        return bad_value("o", "''", "the name of a folder");
    p->session->dir = value;
    return 1;
}

static int set_mode(struct parser *p, enum hunt_mode mode, const char *option)
{
    if (p->session->mode != HUNT_NEW) {
        cli_error("hunt: %s and %s: want one of them", p->session_only, option);
        return -1;
    }
    p->session->mode = mode;
    p->session_only = option;
    return 1;
}

static int set_resume(struct parser *p, const char *value)
{
    return set_mode(p, HUNT_RESUME, "--resume") < 0 ? -1 : set_dir(p, value);
}

static int set_collect(struct parser *p, const char *value)
{
    return set_mode(p, HUNT_COLLECT, "--collect") < 0 ? -1 : set_dir(p, value);
}

static int set_one(struct parser *p, const char *value)
{
    return set_mode(p, HUNT_ONE, "--one") < 0 ? -1 : set_count("one", value, HUNT_MAX_RUNS, &p->session->first);
}

static int set_chunk(struct parser *p, const char *value)
{
    return set_count("chunk", value, HUNT_MAX_RUNS, &p->session->chunk);
}

static int set_jobs(struct parser *p, const char *value)
{
    return set_count("jobs", value, MAX_JOBS, &p->session->jobs);
}

static int set_sandbox(struct parser *p, const char *value)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
        return bad_value("sandbox", value, "on or off");
    p->session->no_sandbox = value[1] == 'f';
    return 1;
}

static int set_slurm_options(struct parser *p, const char *value)
{
    p->session->slurm_options = value;
    return 1;
}

/* --- the options --- */

static const struct {
    const char *name;
    int (*set)(struct parser *p, const char *value);
    bool of_session;
} with_value[] = {
    {"runs", set_runs, true},
    {"until", set_until, false},
    {"until-output", set_until_output, false},
    {"keep", set_keep, false},
    {"keep-per-site", set_keep_per_site, false},
    {"stop-after", set_stop_after, false},
    {"stdin", set_stdin, false},
    {"stdin-after", set_stdin_after, false},
    {"o", set_dir, true},
    {"dir", set_dir, true},
    {"resume", set_resume, true},
    {"collect", set_collect, true},
    {"one", set_one, true},
    {"chunk", set_chunk, true},
    {"jobs", set_jobs, true},
    {"sandbox", set_sandbox, true},
    {"slurm-options", set_slurm_options, true},
};

static bool take_flag(struct parser *p, const char *arg, bool *of_session)
{
    struct {
        const char *name;
        bool *flag;
    } flags[] = {
        {"print-commands", &p->session->print_commands},
        {"slurm", &p->session->slurm},
        {"json", &p->session->json},
        {"stats", &p->session->stats},
    };

    *of_session = true;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if (is_option(arg, flags[i].name))
            return *flags[i].flag = true;
    *of_session = false;
    return is_option(arg, "vary-seed") && (p->plan->vary_seed = true);
}

/* One of hunt's own options: 1, 0 or -1 as options_take_fn. */
static int take_own(struct parser *p, int argc, char **argv, int *i, bool *of_session)
{
    const char *value;
    int rc;

    if (take_flag(p, argv[*i], of_session))
        return 1;
    *of_session = false;
    rc = failure_option(&p->plan->failure, "hunt", argc, argv, i);
    for (size_t n = 0; rc == 0 && n < sizeof(with_value) / sizeof(with_value[0]); n++) {
        rc = take_option(with_value[n].name, "hunt", argc, argv, i, &value);
        if (rc > 0) {
            *of_session = with_value[n].of_session;
            rc = with_value[n].set(p, value);
        }
    }
    return rc;
}

static void keep(struct parser *p, char **argv, int from, int end)
{
    while (from < end)
        p->plan->argv[p->plan->argc++] = argv[from++];
}

/* How many arguments an option of the machine has is seen from where the next option begins. */
static void keep_machine(struct parser *p, char **argv, int end)
{
    struct hunt_plan *plan = p->plan;

    if (p->machine_from == 0)
        return;
    for (int i = p->machine_from; i < end; i++)
        plan->machine_argv[plan->machine_argc++] = argv[i];
    keep(p, argv, p->machine_from, end);
    p->machine_from = 0;
}

static int take(void *opaque, int argc, char **argv, int *i)
{
    struct parser *p = opaque;
    bool of_session;
    int from = *i, rc;

    keep_machine(p, argv, from);
    rc = take_own(p, argc, argv, i, &of_session);
    if (rc == 0)
        p->machine_from = from;
    else if (rc > 0 && !of_session)
        keep(p, argv, from, *i + 1);
    return rc;
}

/* --- what they mean together --- */

static int usage(const char *text)
{
    cli_error("hunt: %s", text);
    return EXIT_USAGE;
}

static int check_session(const struct parser *p)
{
    const struct hunt_session *s = p->session;
    const char *fixed = p->plan->argc > 0 ? p->plan->argv[0] : NULL;

    if (p->runs_given && s->mode != HUNT_RESUME)
        fixed = "--runs";
    if (s->mode != HUNT_NEW && fixed != NULL) {
        cli_error("hunt: %s: with %s all that fixes the runs comes from the folder's hunt.json", fixed, p->session_only);
        return EXIT_USAGE;
    }
    if (s->mode == HUNT_ONE && s->dir == NULL)
        return usage("--one needs the folder of the hunt: --dir DIR");
    if (s->slurm && s->print_commands)
        return usage("--slurm and --print-commands: want one of them");
    if ((s->slurm || s->print_commands) && s->mode != HUNT_NEW && s->mode != HUNT_RESUME)
        return usage("--slurm and --print-commands begin a hunt or, with --resume, go on with one");
    if (s->slurm_options != NULL && !s->slurm)
        return usage("--slurm-options says something to --slurm");
    if (s->chunk != 0 && s->mode != HUNT_ONE && !s->slurm && !s->print_commands)
        return usage("--chunk is for --print-commands, --slurm and --one");
    return EXIT_DONE;
}

static int check_plan(const struct hunt_plan *plan)
{
    if (plan->runs == 0)
        return usage("how many? deja hunt --runs N [machine options]");
    if (plan->stdin_after != NULL && plan->stdin_path == NULL)
        return usage("--stdin-after says when --stdin FILE is read: give that, too");
    if (plan->keep != KEEP_UNIQUE && plan->keep_per_site != 0)
        return usage("--keep-per-site is for --keep unique");
    return EXIT_DONE;
}

static int load_input(struct hunt_plan *plan)
{
    if (plan->stdin_path == NULL)
        return EXIT_DONE;
    return file_load("--stdin", plan->stdin_path, MAX_INPUT, &plan->input, &plan->input_len);
}

static int complete_plan(struct hunt_plan *plan)
{
    int status = check_plan(plan);

    if (plan->keep_per_site == 0)
        plan->keep_per_site = 3;
    return status != EXIT_DONE ? status : load_input(plan);
}

/* hunt.json could not say them. */
static int check_text(const struct hunt_plan *plan)
{
    for (int i = 0; i < plan->argc; i++)
        if (!json_can_say(plan->argv[i])) {
            cli_error("hunt: %s: want an argument in UTF-8", plan->argv[i]);
            return EXIT_USAGE;
        }
    return EXIT_DONE;
}

static int parse(struct parser *p, int argc, char **argv)
{
    struct hunt_plan *plan = p->plan;
    int status;

    plan->argv = calloc((size_t)argc + 1, sizeof(*plan->argv));
    plan->machine_argv = calloc((size_t)argc + 1, sizeof(*plan->machine_argv));
    if (plan->argv == NULL || plan->machine_argv == NULL)
        return usage("out of memory");
    status = options_parse_beside(&plan->machine, argc, argv, FOR_HUNT, take, p);
    keep_machine(p, argv, argc);
    return status != EXIT_DONE ? status : check_text(plan);
}

int hunt_args_parse(struct hunt_plan *plan, struct hunt_session *session, int argc, char **argv)
{
    struct parser p = {.plan = plan, .session = session};
    int status;

    *plan = (struct hunt_plan){.runs = 0};
    *session = (struct hunt_session){.mode = HUNT_NEW};
    status = parse(&p, argc, argv);
    if (status == EXIT_DONE)
        status = check_session(&p);
    if (status != EXIT_DONE || session->mode != HUNT_NEW) {
        session->more_runs = plan->runs;
        return status;
    }
    if (session->dir == NULL)
        session->dir = "deja-hunt";
    plan->folder = getcwd(NULL, 0);
    if (plan->folder == NULL) {
        cli_error("hunt: the current folder: %s", strerror(errno));
        return EXIT_USAGE;
    }
    return complete_plan(plan);
}

int hunt_plan_parse(struct hunt_plan *plan, int argc, char **argv, char *folder)
{
    struct hunt_session none = {.mode = HUNT_NEW};
    struct parser p = {.plan = plan, .session = &none};
    int status;

    *plan = (struct hunt_plan){.folder = folder, .owned = argv};
    if (chdir(folder) != 0) {
        cli_error("hunt: %s, in which the hunt began: %s", folder, strerror(errno));
        return EXIT_USAGE;
    }
    status = parse(&p, argc, argv);
    return status != EXIT_DONE ? status : complete_plan(plan);
}

void hunt_plan_free(struct hunt_plan *plan)
{
    options_free(&plan->machine);
    free(plan->input);
    free(plan->argv);
    free(plan->machine_argv);
    free(plan->folder);
    for (size_t i = 0; plan->owned != NULL && plan->owned[i] != NULL; i++)
        free(plan->owned[i]);
    free(plan->owned);
}

/* --- seeds --- */

/* The nth output, from 1, of SplitMix64 begun with `seed`; 0, which would mean none, becomes 1. */
static uint64_t splitmix64(uint64_t seed, uint64_t n)
{
    uint64_t z = seed + n * 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    z ^= z >> 31;
    return z != 0 ? z : 1;
}

uint64_t hunt_plan_seed(const struct hunt_plan *plan, uint64_t run)
{
    return run == 0 ? 0 : splitmix64(plan->machine.config.seed, run);
}

uint64_t hunt_plan_machine_seed(const struct hunt_plan *plan, uint64_t run)
{
    if (run == 0 || !plan->vary_seed)
        return plan->machine.config.seed;
    return splitmix64(hunt_plan_seed(plan, run), 1);
}
