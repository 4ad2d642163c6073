/* SPDX-License-Identifier: MIT */
/*
 * `deja dump`: every event of a trace, a line each: icount, kind, and what there is to say.
 *
 * With --json a line is an object; numbers that need 64 bits are numbers all the same (icount,
 * vns), digests are strings of 16 hexadecimal digits, bytes are strings of hexadecimal digits.
 */
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <emu/input.h>
#include <replay/describe.h>
#include <traces/trace.h>

#include "trace_cmd.h"

#define INPUT_TEXT (4u * TRACE_INPUT_MAX + 128u) /* every byte as \xNN, and what it is */

/* --- text --- */

static void print_input(const struct trace_event *ev, char *buffer)
{
    replay_describe_input(ev, buffer, INPUT_TEXT);
    printf("%s at %" PRIu64 " ns\n", buffer, ev->u.input.vns);
}

static void print_event(const struct trace_event *ev, char *buffer)
{
    const struct trace_end *end = &ev->u.end;

    printf("%16" PRIu64 " %-9s ", ev->icount, trace_event_kind_name(ev->kind));
    switch (ev->kind) {
    case TRACE_EVENT_INPUT: print_input(ev, buffer); break;
    case TRACE_EVENT_INTERRUPT:
        printf("%" PRIu32 " %s\n", ev->u.interrupt.vector,
               replay_interrupt_source_name(ev->u.interrupt.source));
        break;
    case TRACE_EVENT_DIGEST: printf("%016" PRIx64 "\n", ev->u.digest); break;
    case TRACE_EVENT_MARK:
        replay_describe_bytes((const uint8_t *)ev->u.mark.text, ev->u.mark.len, buffer, INPUT_TEXT);
        printf("%s\n", buffer);
        break;
    case TRACE_EVENT_END:
        printf("%s, exit code %" PRId64 ", digest %016" PRIx64 " at %" PRIu64 " ns\n", end->reason,
               end->exit_code, end->digest, end->vns);
        break;
    }
}

/* --- JSON --- */

static void print_json_end(const struct trace_end *end)
{
    fputs(",\"reason\":", stdout);
    json_string(stdout, end->reason);
    printf(",\"exit\":%" PRId64 ",\"vns\":%" PRIu64 ",\"digest\":\"%016" PRIx64 "\"",
           end->exit_code, end->vns, end->digest);
}

static void print_json(const struct trace_event *ev, char *buffer)
{
    printf("{\"icount\":%" PRIu64 ",\"event\":\"%s\"", ev->icount, trace_event_kind_name(ev->kind));
    switch (ev->kind) {
    case TRACE_EVENT_INPUT:
        printf(",\"kind\":\"%s\",\"number\":%" PRIu32 ",\"port\":%" PRIu32 ",\"vns\":%" PRIu64
               ",\"data\":",
               input_kind_name((enum input_kind)ev->u.input.kind), ev->u.input.kind,
               ev->u.input.port, ev->u.input.vns);
        json_hex(stdout, ev->u.input.data, ev->u.input.len);
        replay_describe_input(ev, buffer, INPUT_TEXT);
        fputs(",\"text\":", stdout);
        json_string(stdout, buffer);
        break;
    case TRACE_EVENT_INTERRUPT:
        printf(",\"vector\":%" PRIu32 ",\"source\":\"%s\"", ev->u.interrupt.vector,
               replay_interrupt_source_name(ev->u.interrupt.source));
        break;
    case TRACE_EVENT_DIGEST: printf(",\"digest\":\"%016" PRIx64 "\"", ev->u.digest); break;
    case TRACE_EVENT_MARK:
        fputs(",\"text\":", stdout);
        json_string(stdout, ev->u.mark.text);
        break;
    case TRACE_EVENT_END: print_json_end(&ev->u.end); break;
    }
    fputs("}\n", stdout);
}

static int dump(const char *path, struct trace_reader *r, bool json)
{
    void (*print)(const struct trace_event *ev, char *buffer) = json ? print_json : print_event;
    char *buffer = malloc(INPUT_TEXT);
    struct trace_event ev;
    uint64_t whole;

    if (buffer == NULL) {
        cli_error("out of memory");
        return EXIT_USAGE;
    }
    while (trace_reader_next(r, &ev) > 0)
        print(&ev, buffer);
    free(buffer);
    fflush(stdout);
    if (trace_reader_truncated(r, &whole))
        cli_error("%s: the recording is cut off after byte %" PRIu64 ", it has no end", path,
                  whole);
    return trace_read_status(path, r);
}

int cmd_dump(int argc, char **argv)
{
    return trace_command(argc, argv, dump);
}
