/* SPDX-License-Identifier: MIT */
/*
 * `deja log`: what the guest printed on a serial line, a line each, with the instruction and the virtual
 * time at which its first byte was sent: a place for `deja debug --at` and `monitor seek`.
 *
 * Exit status: 0; 1 the replay diverged (what came before is printed); 2 no trace, or a damaged one.
 */
#include "cli.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <devices/pc.h>
#include <emu/machine.h>
#include <replay/player.h>

#include "numbers.h"
#include "option_values.h"
#include "sandbox.h"
#include "trace_cmd.h"

#define MAX_LINE 65536u /* a longer one is cut in two */

struct log_args {
    const char *trace;
    uint64_t port;
    bool json, no_sandbox;
};

/* The line that is being put together. */
struct log {
    const struct log_args *args;
    const struct machine *m;
    uint64_t icount, ns; /* of its first byte */
    size_t len;
    char text[MAX_LINE + 1];
};

static int bad_usage(const char *what, const char *arg)
{
    cli_error("log: %s%s: deja log TRACE [--port N] [--json]", what, arg);
    return EXIT_USAGE;
}

static int parse_args(struct log_args *a, int argc, char **argv)
{
    *a = (struct log_args){0};
    for (int i = 1; i < argc; i++) {
        if (is_option(argv[i], "json")) {
            a->json = true;
        } else if (is_option(argv[i], "port") && i + 1 < argc) {
            if (!value_u64(argv[++i], &a->port) || a->port >= MACHINE_MAX_SERIAL)
                return bad_usage("--port is 0 for COM1 or 1 for COM2, not ", argv[i]);
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

/* Control characters would move the reader's cursor. */
static void put_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < 0x20 && c != '\t')
            printf("^%c", c + '@');
        else if (c == 0x7f)
            fputs("^?", stdout);
        else
            putchar(c);
    }
}

static void print_line(struct log *log)
{
    char n[NUMBER_TEXT];
    uint64_t second = NS_PER_SEC;

    log->text[log->len] = '\0';
    if (log->args->json) {
        printf("{\"icount\": %" PRIu64 ", \"vns\": %" PRIu64 ", \"text\": ", log->icount, log->ns);
        json_string(stdout, log->text);
        puts("}");
    } else {
        printf("%18s %5" PRIu64 ".%06" PRIu64 "  ", number_text(log->icount, n), log->ns / second,
               log->ns % second / 1000);
        put_plain(log->text, log->len);
        putchar('\n');
    }
    log->len = 0;
}

static void on_serial(void *opaque, unsigned port, const uint8_t *data, size_t len)
{
    struct log *log = opaque;

    for (size_t i = 0; i < len && port == log->args->port; i++) {
        if (data[i] == '\r')
            continue;
        if (log->len == 0) {
            log->icount = log->m->clock.icount;
            log->ns = clock_now_ns(&log->m->clock);
        }
        if (data[i] == '\n' || log->len == MAX_LINE)
            print_line(log);
        if (data[i] != '\n')
            log->text[log->len++] = (char)data[i];
    }
}

static int verdict(const struct log_args *a, struct player *p, enum player_status status)
{
    const struct player_divergence *d = player_divergence(p);

    if (status == PLAYER_END)
        return EXIT_DONE;
    if (status == PLAYER_CUT) {
        cli_error("%s: the recording is cut off, this is what there is of it", a->trace);
        return EXIT_DONE;
    }
    if (status == PLAYER_DIVERGED) {
        cli_error("%s: the replay diverged at instruction %" PRIu64 ": expected %s, found %s", a->trace,
                  d->icount, d->expected, d->found);
        return EXIT_NO;
    }
    cli_error("%s", player_error(p));
    return EXIT_USAGE;
}

static int print_log(const struct log_args *a, struct player *p)
{
    struct log *log = calloc(1, sizeof(*log));
    enum player_status status;

    if (log == NULL) {
        cli_error("out of memory");
        return EXIT_USAGE;
    }
    log->args = a;
    log->m = player_machine(p);
    player_set_outputs(p, &(struct machine_observer){.serial_out = on_serial, .opaque = log});
    status = player_run(p, UINT64_MAX);
    if (log->len > 0)
        print_line(log);
    free(log);
    return verdict(a, p, status);
}

int cmd_log(int argc, char **argv)
{
    struct log_args a;
    struct player *p;
    char err[512];
    int status = parse_args(&a, argc, argv);

    if (status != EXIT_DONE)
        return status;
    p = player_open(a.trace, &pc_board, err, sizeof(err));
    if (p == NULL) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    status = a.no_sandbox ? EXIT_DONE : sandbox_enter();
    if (status == EXIT_DONE)
        status = print_log(&a, p);
    player_destroy(p);
    return status;
}
