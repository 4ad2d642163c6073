/* SPDX-License-Identifier: MIT */
/*
 * What `deja find` must know before it can look: the addresses of symbols, which a kernel decides itself, and the
 * moments of output.
 *
 * Whoever runs a guest is in a sandbox and can start no workers any more, so children find that out: one makes an
 * index for the occasion where there is none (temp_index.h), one looks for symbols.
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
#include "../progress.h"
#include "../sandbox.h"
#include "../temp_index.h"

/* What the child says. */
struct scouted {
    int status;
    bool resolved; /* all symbols */
    uint64_t addresses[FIND_MAX_SELECTORS];
};

static bool needs_names(const struct find_args *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->selectors[i].place.symbol[0] != '\0')
            return true;
    return false;
}

static bool needs_output(const struct find_args *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->selectors[i].kind == SELECT_OUTPUT)
            return true;
    return false;
}

/* --- in the child --- */

static void warn(void *opaque, const char *text)
{
    (void)opaque;
    cli_error("%s", text);
}

/* The addresses of all symbols, as far as they are known now: true, of all. */
static bool resolve(const struct find_args *a, const struct guest_symbols *symbols, struct scouted *s)
{
    bool all = true;

    for (size_t i = 0; i < a->n; i++)
        if (a->selectors[i].place.symbol[0] != '\0' &&
            !guest_symbols_find(symbols, a->selectors[i].place.symbol, &s->addresses[i]))
            all = false;
    return all;
}

static int say_unresolved(const struct find_args *a, const struct guest_symbols *symbols)
{
    uint64_t address;

    for (size_t i = 0; i < a->n; i++)
        if (a->selectors[i].place.symbol[0] != '\0' &&
            !guest_symbols_find(symbols, a->selectors[i].place.symbol, &address)) {
            cli_error("find: %s: no such symbol of the guest's kernel%s", a->selectors[i].place.symbol,
                      a->query.vmlinux == NULL ? " (--vmlinux FILE names one with symbols)" : "");
            break;
        }
    return EXIT_USAGE;
}

/* An image with symbols says them at power-on; else they are in place at the end, which with an index is near. */
static int look(const struct find_args *a, struct timeline *t, struct guest_symbols *symbols, struct scouted *s)
{
    guest_symbols_look(symbols, timeline_machine(t), warn, NULL);
    s->resolved = resolve(a, symbols, s);
    if (s->resolved || !timeline_is_indexed(t))
        return EXIT_DONE;
    if (timeline_seek(t, timeline_end_moment()) != TIMELINE_END) {
        cli_error("find: %s: its end cannot be reached: deja replay says why", a->trace);
        return EXIT_USAGE;
    }
    guest_symbols_look(symbols, timeline_machine(t), warn, NULL);
    s->resolved = resolve(a, symbols, s);
    return s->resolved ? EXIT_DONE : say_unresolved(a, symbols);
}

static int scout(const struct find_args *a, struct timeline *t, struct scouted *s)
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
    guest_symbols_names_only(symbols);
    status = a->query.no_sandbox ? EXIT_DONE : sandbox_enter();
    return status == EXIT_DONE ? look(a, t, symbols, s) : status;
}

static _Noreturn void be_scout(const struct find_args *a, struct timeline *t, int pipe)
{
    struct scouted s = {.status = EXIT_USAGE};
    ssize_t n;

    s.status = scout(a, t, &s);
    n = write(pipe, &s, sizeof(s));
    _exit(n == (ssize_t)sizeof(s) ? 0 : 1);
}

/* --- in this process --- */

static int read_scouted(int pipe, struct scouted *s)
{
    ssize_t n;

    do
        n = read(pipe, s, sizeof(*s));
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof(*s))
        return s->status;
    cli_error("find: the process that looks for symbols has died");
    return EXIT_USAGE;
}

static int send_scout(const struct find_args *a, struct timeline *t, struct scouted *s)
{
    int ends[2], status;
    pid_t child;

    fflush(stdout);
    if (pipe(ends) != 0 || (child = fork()) < 0) {
        cli_error("find: %s", strerror(errno));
        return EXIT_USAGE;
    }
    if (child == 0) {
        close(ends[0]);
        be_scout(a, t, ends[1]);
    }
    close(ends[1]);
    status = read_scouted(ends[0], s);
    close(ends[0]);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* Symbols become addresses. */
static int place_all(struct find_args *a, const struct scouted *s)
{
    for (size_t i = 0; i < a->n; i++) {
        struct place *p = &a->selectors[i].place;

        if (p->symbol[0] == '\0')
            continue;
        p->symbol[0] = '\0';
        p->address += s->addresses[i];
        if (p->length > 0 && p->address + (p->length - 1) < p->address) {
            cli_error("find: %s: reaches beyond the end of memory", a->selectors[i].text);
            return EXIT_USAGE;
        }
    }
    return EXIT_DONE;
}

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

static int open_indexed(const struct find_args *a, struct timeline **t)
{
    if (timeline_is_indexed(*t))
        return EXIT_DONE;
    timeline_destroy(*t);
    return temp_index_open(t, a->trace, a->query.no_sandbox);
}

static int resolve_names(struct find_args *a, struct timeline **t)
{
    struct scouted s;
    int status = send_scout(a, *t, &s);

    if (status == EXIT_DONE && !s.resolved) {
        status = open_indexed(a, t);
        if (status == EXIT_DONE)
            status = send_scout(a, *t, &s);
    }
    return status == EXIT_DONE ? place_all(a, &s) : status;
}

int find_open(struct find_args *a, struct timeline **t)
{
    int status = open_timeline(a, t);

    if (status == EXIT_DONE && needs_output(a) && !timeline_knows_all_output(*t))
        status = open_indexed(a, t);
    if (status == EXIT_DONE && needs_names(a))
        status = resolve_names(a, t);
    return status;
}
