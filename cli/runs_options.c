/* SPDX-License-Identifier: MIT */
/* Command lines of minimize and of bisecting across runs: runs_options.h. */
#include "runs_options.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "option_values.h"
#include "trace_cmd.h"

/* Where a name without an option goes. */
enum list { LIST_TRACES, LIST_GOOD, LIST_BAD };

static const struct number_option {
    const char *name;
    size_t offset;
    uint64_t min, max;
} numbers[] = {
    {"jobs", offsetof(struct runs_options, jobs), 1, 4096},
    {"samples", offsetof(struct runs_options, samples), 1, 100000},
    {"points", offsetof(struct runs_options, points), 2, 1000},
    {"seed", offsetof(struct runs_options, seed), 1, UINT64_MAX},
};

static const struct text_option {
    const char *name;
    size_t offset;
} texts[] = {
    {"o", offsetof(struct runs_options, output)},
    {"vmlinux", offsetof(struct runs_options, vmlinux)},
    {"svg", offsetof(struct runs_options, svg)},
};

static bool take_number(struct runs_options *a, const char *arg, const char *value, const char *command, bool *good)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const struct number_option *o = &numbers[i];
        uint64_t n;

        if (!is_option(arg, o->name))
            continue;
        *good = value_u64(value, &n) && n >= o->min && n <= o->max;
        if (*good)
            memcpy((char *)a + o->offset, &n, sizeof(n));
        else
            cli_error("%s: --%s %s: want a number from %llu to %llu", command, o->name, value,
                      (unsigned long long)o->min, (unsigned long long)o->max);
        return true;
    }
    return false;
}

static bool take_text(struct runs_options *a, const char *arg, const char *value)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (is_option(arg, texts[i].name)) {
            memcpy((char *)a + texts[i].offset, &value, sizeof(value));
            return true;
        }
    return false;
}

static bool take_switch(struct runs_options *a, const char *arg)
{
    if (is_option(arg, "json"))
        a->json = true;
    else if (is_option(arg, "causal"))
        a->causal = true;
    else
        return false;
    return true;
}

static bool add_name(struct runs_options *a, enum list to, const char *name)
{
    const char **list = to == LIST_TRACES ? a->traces : to == LIST_GOOD ? a->good : a->bad;
    size_t *n = to == LIST_TRACES ? &a->ntraces : to == LIST_GOOD ? &a->ngood : &a->nbad;

    if (*n == RUNS_MAX)
        return false;
    list[(*n)++] = name;
    return true;
}

int runs_options_parse(struct runs_options *a, const char *command, const char *usage, int argc, char **argv)
{
    enum list list = LIST_TRACES;

    *a = (struct runs_options){.jobs = 0};
    for (int i = 1; i < argc; i++) {
        int taken = failure_option(&a->failure, command, argc, argv, &i);
        bool good = true;

        if (taken < 0)
            return EXIT_USAGE;
        if (taken > 0 || take_switch(a, argv[i]))
            continue;
        if (is_option(argv[i], "good") || is_option(argv[i], "bad")) {
            list = is_option(argv[i], "good") ? LIST_GOOD : LIST_BAD;
        } else if (argv[i][0] != '-' || argv[i][1] == '\0') {
            if (!add_name(a, list, argv[i])) {
                cli_error("%s: more than %d traces", command, RUNS_MAX);
                return EXIT_USAGE;
            }
        } else if (i + 1 < argc && is_option(argv[i], "sandbox")) {
            a->no_sandbox = strcmp(argv[++i], "off") == 0;
        } else if (i + 1 < argc && take_text(a, argv[i], argv[i + 1])) {
            i++;
        } else if (i + 1 < argc && take_number(a, argv[i], argv[i + 1], command, &good)) {
            i++;
        } else {
            cli_error("%s: unknown option, or one without its value: %s: %s", command, argv[i], usage);
            return EXIT_USAGE;
        }
        if (!good)
            return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int runs_options_check_output(const struct runs_options *a, const char *command)
{
    bool same = false;

    for (size_t i = 0; a->output != NULL && i < RUNS_MAX; i++)
        same |= (i < a->ntraces && is_same_file(a->output, a->traces[i])) ||
                (i < a->ngood && is_same_file(a->output, a->good[i])) ||
                (i < a->nbad && is_same_file(a->output, a->bad[i]));
    if (!same)
        return EXIT_DONE;
    cli_error("%s: -o %s: that is a trace to be read, the new one needs another name", command, a->output);
    return EXIT_USAGE;
}
