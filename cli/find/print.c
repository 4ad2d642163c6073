/* SPDX-License-Identifier: MIT */
/* Hits in text and JSON: find.h. */
#include "find.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <emu/clock.h>
#include <replay/describe.h>

#include "../guest_symbols.h"
#include "../moments.h"
#include "../trace_cmd.h"

#define SYMBOL_TEXT 256

static bool symbol_of(const struct find_printer *p, uint64_t address, char out[SYMBOL_TEXT])
{
    return p->symbols != NULL && guest_symbols_describe(p->symbols, address, out, SYMBOL_TEXT);
}

static bool line_of(const struct find_printer *p, const struct find_hit *hit, struct output_line *line)
{
    return hit->what == HIT_OUTPUT && output_log_line(timeline_outputs(p->t), (size_t)hit->line, line);
}

/* --- text --- */

/* "0x1000 <name+0x2>" */
static void put_address(const struct find_printer *p, uint64_t address)
{
    char symbol[SYMBOL_TEXT];

    printf("0x%" PRIx64, address);
    if (symbol_of(p, address, symbol))
        printf(" <%s>", symbol);
}

static void put_value(bool have, uint64_t value)
{
    if (have)
        printf("0x%" PRIx64, value);
    else
        putchar('?');
}

static void put_memory(const struct find_printer *p, const struct find_hit *hit)
{
    static const char *const verbs[] = {[HIT_READ] = "read", [HIT_WRITE] = "write", [HIT_UPDATE] = "update"};

    printf("%s ", verbs[hit->what]);
    put_value(hit->have_before, hit->before);
    if (hit->what != HIT_READ) {
        fputs(" -> ", stdout);
        put_value(hit->have_after, hit->after);
    }
    printf(", %" PRIu64 " byte%s at ", hit->size, hit->size == 1 ? "" : "s");
    if (hit->physical)
        printf("phys:0x%" PRIx64, hit->address);
    else
        put_address(p, hit->address);
}

static void put_event(const struct find_hit *hit)
{
    const char *name = find_event_name((enum watch_kind)hit->kind);

    switch ((enum watch_kind)hit->kind) {
    case WATCH_PORT_READ:
    case WATCH_PORT_WRITE:
    case WATCH_MMIO_READ:
    case WATCH_MMIO_WRITE:
        printf("%s %" PRIx64 ": 0x%" PRIx64 ", %" PRIu64 " byte%s", name, hit->address, hit->after, hit->size,
               hit->size == 1 ? "" : "s");
        break;
    case WATCH_MSR_READ:
    case WATCH_MSR_WRITE: printf("%s %" PRIx64 ": 0x%" PRIx64, name, hit->address, hit->after); break;
    case WATCH_CR_WRITE:
        printf("cr%" PRIu64 " 0x%" PRIx64 " -> 0x%" PRIx64, hit->address, hit->before, hit->after);
        break;
    case WATCH_EXCEPTION:
        printf("exception %" PRIu64 ", error 0x%" PRIx64, hit->address, hit->after);
        if (hit->address == 14)
            printf(", address 0x%" PRIx64, hit->extra);
        break;
    case WATCH_INTERRUPT:
        printf("irq %" PRIu64 " (%s)", hit->address, replay_interrupt_source_name((uint32_t)hit->after));
        break;
    case WATCH_SOFT_INTERRUPT: printf("int %" PRIx64, hit->address); break;
    default: printf("%s %" PRIu64 "%s", name, hit->address, hit->extra == 1 ? " by sysenter" : ""); break;
    }
}

static void put_output(const struct find_printer *p, const struct find_hit *hit)
{
    struct output_line line;
    char text[512];

    if (!line_of(p, hit, &line))
        return;
    replay_describe_bytes((const uint8_t *)line.text, line.len, text, sizeof(text));
    printf("output %s", text);
}

static void put_what(const struct find_printer *p, const struct find_hit *hit)
{
    switch ((enum hit_what)hit->what) {
    case HIT_EXEC: fputs("exec", stdout); break;
    case HIT_READ:
    case HIT_WRITE:
    case HIT_UPDATE: put_memory(p, hit); break;
    case HIT_OUTPUT: put_output(p, hit); break;
    case HIT_INPUT: printf("input %s", hit->text); break;
    case HIT_EVENT: put_event(hit); break;
    }
}

static void print_text(const struct find_printer *p, const struct find_hit *hit)
{
    uint64_t second = NS_PER_SEC;
    char at[MOMENT_TEXT];

    printf("%18s %5" PRIu64 ".%06" PRIu64 "  ", moment_text(hit->at, at), hit->vns / second,
           hit->vns % second / 1000);
    put_what(p, hit);
    printf(hit->what == HIT_EXEC ? " " : ", by ");
    put_address(p, hit->rip);
    printf(", cpl %" PRIu32 "\n", hit->cpl);
}

/* --- JSON --- */

static void json_address(const struct find_printer *p, const char *name, const char *symbol_name, uint64_t address)
{
    char symbol[SYMBOL_TEXT];

    printf(", \"%s\": \"0x%" PRIx64 "\"", name, address);
    if (symbol_of(p, address, symbol)) {
        printf(", \"%s\": ", symbol_name);
        json_string(stdout, symbol);
    }
}

static void json_value(const char *name, bool have, uint64_t value)
{
    if (have)
        printf(", \"%s\": \"0x%" PRIx64 "\"", name, value);
}

static void json_memory(const struct find_printer *p, const struct find_hit *hit)
{
    if (hit->physical)
        printf(", \"physical\": \"0x%" PRIx64 "\"", hit->address);
    else
        json_address(p, "address", "object", hit->address);
    printf(", \"size\": %" PRIu64, hit->size);
    json_value(hit->what == HIT_READ ? "value" : "before", hit->have_before, hit->before);
    json_value("after", hit->have_after, hit->after);
}

static void json_event(const struct find_hit *hit)
{
    switch ((enum watch_kind)hit->kind) {
    case WATCH_PORT_READ:
    case WATCH_PORT_WRITE:
    case WATCH_MMIO_READ:
    case WATCH_MMIO_WRITE:
        printf(", \"%s\": \"0x%" PRIx64 "\", \"size\": %" PRIu64,
               hit->kind == WATCH_PORT_READ || hit->kind == WATCH_PORT_WRITE ? "port" : "physical", hit->address,
               hit->size);
        json_value("value", true, hit->after);
        break;
    case WATCH_MSR_READ:
    case WATCH_MSR_WRITE:
        printf(", \"msr\": \"0x%" PRIx64 "\"", hit->address);
        json_value("value", true, hit->after);
        break;
    case WATCH_CR_WRITE:
        printf(", \"register\": %" PRIu64, hit->address);
        json_value("before", true, hit->before);
        json_value("after", true, hit->after);
        break;
    case WATCH_EXCEPTION:
        printf(", \"vector\": %" PRIu64, hit->address);
        json_value("error", true, hit->after);
        json_value("cr2", hit->address == 14, hit->extra);
        break;
    case WATCH_INTERRUPT:
        printf(", \"vector\": %" PRIu64 ", \"source\": \"%s\"", hit->address,
               replay_interrupt_source_name((uint32_t)hit->after));
        break;
    case WATCH_SOFT_INTERRUPT: printf(", \"vector\": %" PRIu64, hit->address); break;
    default: printf(", \"number\": %" PRIu64 ", \"by\": \"%s\"", hit->address, hit->extra == 1 ? "sysenter" : "syscall"); break;
    }
}

static void json_output(const struct find_printer *p, const struct find_hit *hit)
{
    struct output_line line;

    if (!line_of(p, hit, &line))
        return;
    if (line.port == OUTPUT_DEBUG_PORT)
        fputs(", \"port\": \"debug\"", stdout);
    else
        printf(", \"port\": %u", line.port);
    fputs(", \"text\": ", stdout);
    json_string(stdout, line.text);
}

static const char *name_of(const struct find_hit *hit)
{
    static const char *const names[] = {
        [HIT_EXEC] = "exec",     [HIT_READ] = "read",     [HIT_WRITE] = "write",
        [HIT_UPDATE] = "update", [HIT_OUTPUT] = "output", [HIT_INPUT] = "input",
    };

    return hit->what == HIT_EVENT ? find_event_name((enum watch_kind)hit->kind) : names[hit->what];
}

static void print_json(const struct find_printer *p, const struct find_hit *hit)
{
    printf("{\"icount\": %" PRIu64 ", \"entries\": %" PRIu32 ", \"vns\": %" PRIu64 ", \"what\": \"%s\"",
           hit->at.icount, hit->at.entries, hit->vns, name_of(hit));
    json_address(p, "rip", "symbol", hit->rip);
    printf(", \"cpl\": %" PRIu32 ", \"cr3\": \"0x%" PRIx64 "\"", hit->cpl, hit->cr3);
    switch ((enum hit_what)hit->what) {
    case HIT_EXEC: break;
    case HIT_READ:
    case HIT_WRITE:
    case HIT_UPDATE: json_memory(p, hit); break;
    case HIT_OUTPUT: json_output(p, hit); break;
    case HIT_INPUT:
        fputs(", \"input\": ", stdout);
        json_string(stdout, hit->text);
        break;
    case HIT_EVENT: json_event(hit); break;
    }
    puts("}");
}

void find_print(const struct find_printer *p, const struct find_hit *hit)
{
    if (p->json)
        print_json(p, hit);
    else
        print_text(p, hit);
}
