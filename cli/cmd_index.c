/* SPDX-License-Identifier: MIT */
/*
 * `deja index`: runs a recording once and writes checkpoints beside it, so that from then on every place
 * of it is reached at once.
 *
 * A child does the work inside of the sandbox; this process keeps the means to remove what was not
 * finished.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <devices/pc.h>
#include <replay/timeline.h>

#include "console_term.h"
#include "option_values.h"
#include "progress.h"
#include "sandbox.h"
#include "trace_cmd.h"

struct index_args {
    const char *trace;
    uint64_t checkpoint_bytes; /* 0: the default */
    bool no_sandbox;
};

static int bad_usage(const char *what, const char *arg)
{
    cli_error("index: %s%s: deja index TRACE [--checkpoint-mem SIZE]", what, arg);
    return EXIT_USAGE;
}

static int parse_args(struct index_args *a, int argc, char **argv)
{
    *a = (struct index_args){0};
    for (int i = 1; i < argc; i++) {
        if (is_option(argv[i], "checkpoint-mem") && i + 1 < argc) {
            if (!value_size(argv[++i], &a->checkpoint_bytes) || a->checkpoint_bytes == 0)
                return bad_usage("--checkpoint-mem takes a size such as 512M, not ", argv[i]);
        } else if (is_option(argv[i], "sandbox") && i + 1 < argc) {
            a->no_sandbox = strcmp(argv[++i], "off") == 0;
        } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            return bad_usage("unknown option, or one without its value: ", argv[i]);
        } else if (a->trace != NULL) {
            return bad_usage("takes one trace, this is a second: ", argv[i]);
        } else {
            a->trace = argv[i];
        }
    }
    return a->trace == NULL ? bad_usage("needs a trace", "") : EXIT_DONE;
}

static bool interrupted(void *opaque)
{
    (void)opaque;
    return term_stop_asked();
}

static int run_through(struct timeline *t, const char *trace)
{
    enum timeline_status status = timeline_seek(t, timeline_end_moment());
    const struct player_divergence *d = player_divergence(timeline_player(t));

    progress_end();
    switch (status) {
    case TIMELINE_END: return EXIT_DONE;
    case TIMELINE_DIVERGED:
        cli_error("%s: the replay diverged at instruction %" PRIu64 ": expected %s, found %s", trace,
                  d->icount, d->expected, d->found);
        return EXIT_NO;
    case TIMELINE_INTERRUPTED: cli_error("index: interrupted"); return EXIT_USAGE;
    default: cli_error("%s", timeline_error(t)); return EXIT_USAGE;
    }
}

static int make_index(const struct index_args *a, int fd)
{
    struct timeline_options how = {.struct_size = sizeof(how),
                                   .checkpoint_bytes = a->checkpoint_bytes,
                                   .no_index = true,
                                   .will_index = true,
                                   .interrupted = interrupted,
                                   .progress = progress_show};
    char err[512];
    struct timeline *t = timeline_open(a->trace, &pc_board, &how, err, sizeof(err));
    int status;

    if (t == NULL) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    status = a->no_sandbox ? EXIT_DONE : sandbox_enter();
    if (status == EXIT_DONE)
        status = run_through(t, a->trace);
    if (status == EXIT_DONE && timeline_write_index(t, fd, err, sizeof(err)) != 0) {
        cli_error("index: %s", err);
        status = EXIT_USAGE;
    }
    if (status == EXIT_DONE)
        printf("%zu checkpoints\n", timeline_checkpoints(t).count);
    timeline_destroy(t);
    return status;
}

/* The work in a child of ours. Its exit status. */
static int work_apart(const struct index_args *a, int fd)
{
    pid_t child = fork();
    int status;

    if (child < 0) {
        cli_error("index: %s", strerror(errno));
        return EXIT_USAGE;
    }
    if (child == 0) {
        term_take_signals();
        status = make_index(a, fd);
        fflush(stdout);
        _exit(status);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_USAGE;
}

int cmd_index(int argc, char **argv)
{
    struct index_args a;
    char path[4096];
    int status = parse_args(&a, argc, argv), fd;

    if (status != EXIT_DONE)
        return status;
    if (access(a.trace, R_OK) != 0) {
        cli_error("%s: %s", a.trace, strerror(errno));
        return EXIT_USAGE;
    }
    timeline_index_path(a.trace, path, sizeof(path));
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        cli_error("%s: %s", path, strerror(errno));
        return EXIT_USAGE;
    }
    fflush(stdout);
    status = work_apart(&a, fd);
    close(fd);
    if (status != EXIT_DONE)
        unlink(path);
    return status;
}
