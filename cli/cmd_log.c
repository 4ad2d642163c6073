/* SPDX-License-Identifier: MIT */
/*
 * `deja log`: what the guest printed on a serial line, a line each, with the instruction and the virtual
 * time at which its first byte was sent: a place for `deja debug --at` and `monitor seek`.
 *
 * The index beside the trace has it all; without one the recording is replayed, and lines come as they are
 * printed.
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
#include <replay/output_log.h>
#include <replay/timeline.h>

#include "numbers.h"
#include "option_values.h"
#include "sandbox.h"
#include "trace_cmd.h"

struct log_args {
    const char *trace;
    uint64_t port;
    bool json, no_sandbox;
};

/* The line that is being put together. */
struct log {
    const struct log_args *args;
    const struct machine *m;
    struct output_line line;
    char text[OUTPUT_LINE_MAX + 1];
};

static int bad_usage(const char *what, const char *arg)
{
    cli_error("log: %s%s: deja log TRACE [--port 0|1|debug] [--json]", what, arg);
    return EXIT_USAGE;
}

static bool parse_port(const char *text, uint64_t *port)
{
    if (strcmp(text, "debug") == 0) {
        *port = OUTPUT_DEBUG_PORT;
        return true;
    }
    return value_u64(text, port) && *port < MACHINE_MAX_SERIAL;
}

static int parse_args(struct log_args *a, int argc, char **argv)
{
    *a = (struct log_args){0};
    for (int i = 1; i < argc; i++) {
        if (is_option(argv[i], "json")) {
            a->json = true;
        } else if (is_option(argv[i], "port") && i + 1 < argc) {
            if (!parse_port(argv[++i], &a->port))
                return bad_usage("--port is 0 for COM1, 1 for COM2, or debug for port E9h, not ", argv[i]);
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

static void print_line(const struct log_args *a, const struct output_line *line)
{
    char n[NUMBER_TEXT];
    uint64_t second = NS_PER_SEC;

    if (a->json) {
        printf("{\"icount\": %" PRIu64 ", \"vns\": %" PRIu64 ", \"text\": ", line->icount, line->vns);
        json_string(stdout, line->text);
        puts("}");
        return;
    }
    printf("%18s %5" PRIu64 ".%06" PRIu64 "  ", number_text(line->icount, n), line->vns / second,
           line->vns % second / 1000);
    put_plain(line->text, line->len);
    putchar('\n');
}

/* --- as it is printed --- */

static void end_line(struct log *log)
{
    log->text[log->line.len] = '\0';
    print_line(log->args, &log->line);
    log->line.len = 0;
}

static void on_output(struct log *log, unsigned port, const uint8_t *data, size_t len)
{
    struct output_line *line = &log->line;

    for (size_t i = 0; i < len && port == log->args->port; i++) {
        if (data[i] == '\r')
            continue;
        if (line->len == OUTPUT_LINE_MAX)
            end_line(log);
        if (line->len == 0) {
            line->icount = log->m->clock.icount;
            line->vns = clock_now_ns(&log->m->clock);
        }
        if (data[i] == '\n')
            end_line(log);
        else
            log->text[line->len++] = (char)data[i];
    }
}

static void on_serial(void *opaque, unsigned port, const uint8_t *data, size_t len)
{
    on_output(opaque, port, data, len);
}

static void on_debug(void *opaque, uint16_t port, uint8_t byte)
{
    (void)port;
    on_output(opaque, OUTPUT_DEBUG_PORT, &byte, 1);
}

static int cut_off(const struct log_args *a)
{
    cli_error("%s: the recording is cut off, this is what there is of it", a->trace);
    return EXIT_DONE;
}

static int verdict(const struct log_args *a, struct player *p, enum player_status status)
{
    const struct player_divergence *d = player_divergence(p);

    if (status == PLAYER_END)
        return EXIT_DONE;
    if (status == PLAYER_CUT)
        return cut_off(a);
    if (status == PLAYER_DIVERGED) {
        cli_error("%s: the replay diverged at instruction %" PRIu64 ": expected %s, found %s", a->trace,
                  d->icount, d->expected, d->found);
        return EXIT_NO;
    }
    cli_error("%s", player_error(p));
    return EXIT_USAGE;
}

static int print_replayed(const struct log_args *a, struct player *p)
{
    struct log *log = calloc(1, sizeof(*log));
    enum player_status status;

    if (log == NULL) {
        cli_error("out of memory");
        return EXIT_USAGE;
    }
    log->args = a;
    log->m = player_machine(p);
    log->line.text = log->text;
    player_set_outputs(p, &(struct machine_observer){
                              .serial_out = on_serial, .debug_out = on_debug, .opaque = log});
    status = player_run(p, UINT64_MAX);
    if (log->line.len > 0)
        end_line(log);
    free(log);
    return verdict(a, p, status);
}

/* --- from the index --- */

static int print_known(const struct log_args *a, const struct timeline *t)
{
    struct output_line line;

    for (size_t n = 0; output_log_line(timeline_outputs(t), n, &line); n++)
        if (line.port == a->port)
            print_line(a, &line);
    return player_end(timeline_player(t)) == NULL ? cut_off(a) : EXIT_DONE;
}

static int print_log(const struct log_args *a, struct timeline *t)
{
    if (timeline_index_note(t) != NULL)
        cli_error("%s", timeline_index_note(t));
    return timeline_knows_all_output(t) ? print_known(a, t) : print_replayed(a, timeline_player(t));
}

int cmd_log(int argc, char **argv)
{
    struct timeline_options how = {.struct_size = sizeof(how), .no_checkpoints = true};
    struct log_args a;
    struct timeline *t;
    char err[512];
    int status = parse_args(&a, argc, argv);

    if (status != EXIT_DONE)
        return status;
    t = timeline_open(a.trace, &pc_board, &how, err, sizeof(err));
    if (t == NULL) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    status = a.no_sandbox ? EXIT_DONE : sandbox_enter();
    if (status == EXIT_DONE)
        status = print_log(&a, t);
    timeline_destroy(t);
    return status;
}
