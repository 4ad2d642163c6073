/* SPDX-License-Identifier: MIT */
/*
 * Opening a recording so that it can be searched at once: what must be known is the addresses of symbols, which a
 * kernel decides itself, and the moments of output.
 *
 * Both are known at the end of an indexed recording. Where there is no index, a child makes one for the occasion
 * (temp_index.h), unless all that is asked for are symbols and the kernel's image says them: another child looks
 * for that, since this process is to start workers, which whoever has run a guest cannot.
 */
#include "find.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <devices/pc.h>

#include "../cli.h"
#include "../guest_symbols.h"
#include "../sandbox.h"
#include "../temp_index.h"

static bool needs_output(const struct find_args *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->selectors[i].kind == SELECT_OUTPUT)
            return true;
    return false;
}

/* --- the child that looks at the image --- */

static void say_nothing(void *opaque, const char *text)
{
    (void)opaque, (void)text;
}

static int scout(const struct find_args *a, struct timeline *t, struct find_names *names)
{
    struct guest_symbols *symbols;
    char err[512];
    int status;

    timeline_after_fork(t);
    symbols = guest_symbols_create(a->query.vmlinux, a->query.modules, err, sizeof(err));
    if (symbols == NULL) {
        cli_error("find: %s", err);
        return EXIT_USAGE;
    }
    status = a->query.no_sandbox ? EXIT_DONE : sandbox_enter();
    if (status != EXIT_DONE)
        return status;
    guest_symbols_look(symbols, timeline_machine(t), say_nothing, NULL);
    if (find_names_resolve(names, a, symbols))
        find_names_tell(names);
    return EXIT_DONE;
}

static int send_scout(const struct find_args *a, struct timeline *t, struct find_names *names)
{
    pid_t child;
    int status;

    fflush(stdout);
    child = fork();
    if (child == 0)
        _exit(scout(a, t, names));
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (child > 0 && WIFEXITED(status))
        return WEXITSTATUS(status);
    cli_error("find: the process that looks for symbols has died");
    return EXIT_USAGE;
}

/* --- opening --- */

static int open_timeline(const struct find_args *a, struct timeline **t)
{
    struct timeline_options how = {.struct_size = sizeof(how), .no_checkpoints = true};
    char err[768];

    *t = timeline_open(a->trace, &pc_board, &how, err, sizeof(err));
    if (*t == NULL) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    if (timeline_index_note(*t) != NULL)
        cli_error("%s", timeline_index_note(*t));
    return EXIT_DONE;
}

static int make_index(const struct find_args *a, struct timeline **t)
{
    timeline_destroy(*t);
    return temp_index_open(t, a->trace, a->query.no_sandbox);
}

int find_open(struct find_args *a, struct find_names *names, struct timeline **t)
{
    int status = open_timeline(a, t);

    if (status != EXIT_DONE || timeline_is_indexed(*t))
        return status;
    if (needs_output(a))
        return make_index(a, t);
    if (!find_needs_names(a))
        return EXIT_DONE;
    status = send_scout(a, *t, names);
    if (status == EXIT_DONE && !find_names_known(names))
        return make_index(a, t);
    if (status == EXIT_DONE)
        find_names_take(names, a);
    return status;
}
