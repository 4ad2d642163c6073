/* SPDX-License-Identifier: MIT */
/*
 * Asks conditions at every moment of a recording, one after the other and without any cleverness: what
 * `deja bisect` is compared with.
 *
 *     every_moment TRACE [--between A B] EXPR...
 *
 * Prints a JSON line for each: where it held first and in which moment before that it did not, how often it
 * began to hold, and whether it holds at the end.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <devices/pc.h>
#include <emu/cpu.h>
#include <emu/machine.h>
#include <emu/registers.h>
#include <replay/expr.h>
#include <replay/pattern.h>
#include <replay/player.h>

#define MAX_ASKED 64
#define MAX_LINE  4096

struct place {
    struct moment at;
    uint64_t rip;
};

struct asked {
    struct expr *expr;
    bool holds;
    uint64_t begins;            /* how often it began to hold */
    struct place first, before; /* of the first time */
};

static struct asked asked[MAX_ASKED];
static unsigned nasked;
static struct machine *m;
/* The line that is being printed on the first serial port, and the moments since which patterns are whole. */
static char line[MAX_LINE];
static size_t line_len;
static bool seen[MAX_ASKED][8];

__attribute__((format(printf, 1, 2))) static _Noreturn void die(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(2);
}

static void on_serial(void *opaque, unsigned port, const uint8_t *data, size_t len)
{
    struct pattern_match match;
    const struct pattern *p;

    (void)opaque;
    for (size_t i = 0; i < len && port == 0; i++) {
        if (data[i] == '\n')
            line_len = 0;
        else if (data[i] != '\r' && line_len < MAX_LINE)
            line[line_len++] = (char)data[i];
        for (unsigned k = 0; k < nasked; k++)
            for (size_t n = 0; n < 8 && expr_pattern(asked[k].expr, n, &p); n++)
                seen[k][n] |= pattern_search(p, line, line_len, false, &match);
    }
}

static bool has_seen(void *opaque, const struct pattern *wanted)
{
    unsigned k = (unsigned)((struct asked *)opaque - asked);
    const struct pattern *p;

    for (size_t n = 0; n < 8 && expr_pattern(asked[k].expr, n, &p); n++)
        if (p == wanted)
            return seen[k][n];
    return false;
}

static void ask_all(struct place here, struct place before)
{
    for (unsigned k = 0; k < nasked; k++) {
        struct asked *a = &asked[k];
        const struct expr_view view = {.seen = has_seen, .opaque = a};
        bool holds = expr_holds(a->expr, m, &view);

        if (holds && !a->holds && a->begins++ == 0) {
            a->first = here;
            a->before = before;
        }
        a->holds = holds;
    }
}

static struct place here(void)
{
    return (struct place){.at = machine_moment(m), .rip = cpu_linear_rip(&m->cpus[0])};
}

static void run(struct player *p, struct moment from, struct moment to)
{
    enum player_status status = player_run_to(p, from);
    struct place now = here(), before = now;

    ask_all(now, before);
    while (status == PLAYER_EXACT && moment_before(now.at, to)) {
        before = now;
        status = player_run_to(p, (struct moment){.icount = now.at.icount, .entries = now.at.entries + 1});
        now = here();
        ask_all(now, before);
    }
    if (status != PLAYER_EXACT && status != PLAYER_END)
        die("the replay failed");
}

static void print(const struct asked *a)
{
    printf("{\"begins\": %" PRIu64 ", \"holds\": %s, \"icount\": %" PRIu64 ", \"entries\": %u, \"rip\": %" PRIu64
           ", \"before\": {\"icount\": %" PRIu64 ", \"entries\": %u, \"rip\": %" PRIu64 "}}\n",
           a->begins, a->holds ? "true" : "false", a->first.at.icount, a->first.at.entries, a->first.rip,
           a->before.at.icount, a->before.at.entries, a->before.rip);
}

int main(int argc, char **argv)
{
    struct moment from = {0}, to = {.icount = UINT64_MAX};
    char err[512];
    struct player *p;
    int i = 2;

    if (argc > 4 && strcmp(argv[2], "--between") == 0) {
        from.icount = strtoull(argv[3], NULL, 0);
        to.icount = strtoull(argv[4], NULL, 0);
        i = 5;
    }
    if (i >= argc)
        die("usage: every_moment TRACE [--between A B] EXPR...");
    for (; i < argc && nasked < MAX_ASKED; i++)
        if ((asked[nasked++].expr = expr_parse(argv[i], NULL, err, sizeof(err))) == NULL)
            die("%s: %s", argv[i], err);
    p = player_open(argv[1], &pc_board, err, sizeof(err));
    if (p == NULL)
        die("%s", err);
    m = player_machine(p);
    player_set_outputs(p, &(struct machine_observer){.serial_out = on_serial});
    run(p, from, to);
    for (unsigned k = 0; k < nasked; k++) {
        print(&asked[k]);
        expr_destroy(asked[k].expr);
    }
    player_destroy(p);
    return 0;
}
