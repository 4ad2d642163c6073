/* SPDX-License-Identifier: MIT */
/*
 * `deja info`: what is in a trace: the machine, its images, how long it ran, what was recorded and
 * how it ended. Reads every event once.
 *
 * Bytes by kind are those of the events before compression, without the heads of their frames.
 */
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <emu/input.h>
#include <emu/intc.h>
#include <replay/describe.h>
#include <traces/trace.h>

#include "trace_cmd.h"

#define KINDS    (TRACE_EVENT_END + 1)
#define VECTORS  256u
#define SOURCES  (INTR_SOURCE_COUNT + 1) /* the last: of no known source */
#define TEXT_MAX (4u * 4096u + 8u)

struct summary {
    struct trace_reader *r;
    const struct trace_header *header;
    uint64_t count[KINDS];
    uint64_t bytes[KINDS];
    uint64_t inputs[INPUT_KIND_COUNT]; /* by kind; 0: of no known kind */
    uint64_t vectors[SOURCES][VECTORS];
    uint64_t strange_vectors;
    uint64_t icount; /* of the last event */
    uint64_t vns;    /* of the end, or what is known of it */
    struct trace_end end;
    bool has_end;
    bool truncated;
    uint64_t whole_bytes;
};

/* --- counting --- */

/* Bytes that CBOR needs for an unsigned number, or for the head of a string. */
static uint64_t cbor_bytes(uint64_t n)
{
    return n < 24 ? 1 : n <= UINT8_MAX ? 2 : n <= UINT16_MAX ? 3 : n <= UINT32_MAX ? 5 : 9;
}

static uint64_t encoded_bytes(const struct summary *s, const struct trace_event *ev)
{
    uint64_t bytes = 2 + cbor_bytes(ev->icount - s->icount); /* array, kind, delta */

    switch (ev->kind) {
    case TRACE_EVENT_INPUT:
        return bytes + cbor_bytes(ev->u.input.vns - s->vns) + cbor_bytes(ev->u.input.kind) +
               cbor_bytes(ev->u.input.port) + cbor_bytes(ev->u.input.len) + ev->u.input.len;
    case TRACE_EVENT_INTERRUPT:
        return bytes + cbor_bytes(ev->u.interrupt.vector) + cbor_bytes(ev->u.interrupt.source);
    case TRACE_EVENT_DIGEST: return bytes + cbor_bytes(ev->u.digest);
    case TRACE_EVENT_MARK: return bytes + cbor_bytes(ev->u.mark.len) + ev->u.mark.len;
    case TRACE_EVENT_END: break;
    }
    return 0; /* a frame of its own */
}

static void count_interrupt(struct summary *s, uint32_t vector, uint32_t source)
{
    if (vector >= VECTORS)
        s->strange_vectors++;
    else
        s->vectors[source < INTR_SOURCE_COUNT ? source : INTR_SOURCE_COUNT][vector]++;
}

static void count_event(struct summary *s, const struct trace_event *ev)
{
    s->count[ev->kind]++;
    s->bytes[ev->kind] += encoded_bytes(s, ev);
    s->icount = ev->icount;
    switch (ev->kind) {
    case TRACE_EVENT_INPUT:
        s->inputs[ev->u.input.kind < INPUT_KIND_COUNT ? ev->u.input.kind : 0]++;
        s->vns = ev->u.input.vns;
        break;
    case TRACE_EVENT_INTERRUPT:
        count_interrupt(s, ev->u.interrupt.vector, ev->u.interrupt.source);
        break;
    case TRACE_EVENT_END:
        s->end = ev->u.end;
        s->has_end = true;
        s->vns = ev->u.end.vns;
        break;
    default: break;
    }
}

/* Damage ends the count; it is reported after what was read. */
static void summarize(struct summary *s)
{
    struct trace_event ev;
    uint64_t running;

    while (trace_reader_next(s->r, &ev) > 0)
        count_event(s, &ev);
    s->truncated = trace_reader_truncated(s->r, &s->whole_bytes);
    if (!s->has_end && !__builtin_mul_overflow(s->icount, s->header->ns_per_insn, &running) &&
        running > s->vns)
        s->vns = running;
}

static const char *index_name(const struct summary *s)
{
    switch (trace_reader_index_state(s->r)) {
    case TRACE_INDEX_USED: return "good";
    case TRACE_INDEX_MISSING: return "missing";
    case TRACE_INDEX_DAMAGED: return "damaged";
    }
    return "unknown";
}

/* --- text --- */

static void quoted(const char *text)
{
    char out[TEXT_MAX];

    replay_describe_bytes((const uint8_t *)text, strlen(text), out, sizeof(out));
    fputs(out, stdout);
}

static void print_date(int64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;
    char text[40];

    if (gmtime_r(&t, &tm) == NULL || strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) == 0)
        snprintf(text, sizeof(text), "%" PRId64 " s since 1970", seconds);
    printf("rtc:          %s UTC at power-on\n", text);
}

static void print_config_item(const struct trace_config_item *item)
{
    char out[TEXT_MAX];

    printf("%s:%*s", item->key, (int)(strlen(item->key) < 12 ? 13 - strlen(item->key) : 1), "");
    switch (item->type) {
    case TRACE_CONFIG_UINT: printf("%" PRIu64, item->value.u); break;
    case TRACE_CONFIG_INT: printf("%" PRId64, item->value.i); break;
    case TRACE_CONFIG_STRING: quoted(item->value.s); break;
    case TRACE_CONFIG_BYTES:
        replay_describe_bytes(item->value.bytes.data, item->value.bytes.len, out, sizeof(out));
        fputs(out, stdout);
        break;
    }
    putchar('\n');
}

static void print_machine(const struct trace_header *h)
{
    printf("cpu:          ");
    quoted(h->cpu_model);
    printf("\nspeed:        %" PRIu64 " ns an instruction\n", h->ns_per_insn);
    print_date(h->rtc_base);
    for (size_t i = 0; i < h->nseeds; i++)
        printf("seed:         %" PRIu64 "\n", h->seeds[i]);
    for (size_t i = 0; i < h->nconfig; i++)
        print_config_item(&h->config[i]);
    for (size_t i = 0; i < h->nimages; i++) {
        const struct trace_image *image = &h->images[i];

        printf("image:        ");
        quoted(image->role);
        putchar(' ');
        quoted(image->name);
        printf(", %" PRIu64 " bytes, %s, %s\n", image->size, image->hash,
               image->embedded ? "embedded" : "by hash only");
    }
}

static void print_inputs(const struct summary *s)
{
    printf("inputs:       %" PRIu64, s->count[TRACE_EVENT_INPUT]);
    for (unsigned kind = 0; kind < INPUT_KIND_COUNT; kind++)
        if (s->inputs[kind] > 0)
            printf(", %s %" PRIu64, input_kind_name((enum input_kind)kind), s->inputs[kind]);
    putchar('\n');
}

static void print_interrupts(const struct summary *s)
{
    printf("interrupts:   %" PRIu64 "\n", s->count[TRACE_EVENT_INTERRUPT]);
    for (unsigned source = 0; source < SOURCES; source++)
        for (unsigned v = 0; v < VECTORS; v++)
            if (s->vectors[source][v] > 0)
                printf("  vector %3u  %" PRIu64 " (%s)\n", v, s->vectors[source][v],
                       replay_interrupt_source_name(source));
    if (s->strange_vectors > 0)
        printf("  no vector   %" PRIu64 "\n", s->strange_vectors);
}

static void print_end(const struct summary *s)
{
    printf("end:          ");
    if (s->has_end) {
        quoted(s->end.reason);
        printf(", exit code %" PRId64 ", digest %016" PRIx64 "\n", s->end.exit_code, s->end.digest);
    } else if (s->truncated) {
        printf("none, the recording is cut off after byte %" PRIu64 "\n", s->whole_bytes);
    } else {
        printf("none was found\n");
    }
}

static void print_text(const struct summary *s)
{
    const struct trace_header *h = s->header;

    printf("trace:        format %" PRIu32 ", %" PRIu64 " bytes, index %s, written by ", h->version,
           trace_reader_size(s->r), index_name(s));
    quoted(h->generator);
    putchar('\n');
    print_machine(h);
    printf("length:       %" PRIu64 " instructions, %s%.9f s of the guest's time\n", s->icount,
           s->has_end ? "" : "at least ", (double)s->vns / 1e9);
    print_inputs(s);
    print_interrupts(s);
    printf("digests:      %" PRIu64 "\n", s->count[TRACE_EVENT_DIGEST]);
    printf("marks:        %" PRIu64 "\n", s->count[TRACE_EVENT_MARK]);
    printf("event bytes:  %" PRIu64 " of inputs, %" PRIu64 " of interrupts, %" PRIu64
           " of digests, %" PRIu64 " of marks, before compression\n",
           s->bytes[TRACE_EVENT_INPUT], s->bytes[TRACE_EVENT_INTERRUPT],
           s->bytes[TRACE_EVENT_DIGEST], s->bytes[TRACE_EVENT_MARK]);
    print_end(s);
}

/* --- JSON --- */

static void json_member(const char *before, const char *key, const char *value)
{
    fputs(before, stdout);
    json_string(stdout, key);
    putchar(':');
    json_string(stdout, value);
}

static void json_config(const struct trace_header *h)
{
    fputs(",\"config\":{", stdout);
    for (size_t i = 0; i < h->nconfig; i++) {
        const struct trace_config_item *item = &h->config[i];

        if (i > 0)
            putchar(',');
        json_string(stdout, item->key);
        putchar(':');
        switch (item->type) {
        case TRACE_CONFIG_UINT: printf("%" PRIu64, item->value.u); break;
        case TRACE_CONFIG_INT: printf("%" PRId64, item->value.i); break;
        case TRACE_CONFIG_STRING: json_string(stdout, item->value.s); break;
        case TRACE_CONFIG_BYTES:
            fputs("{\"hex\":", stdout);
            json_hex(stdout, item->value.bytes.data, item->value.bytes.len);
            putchar('}');
            break;
        }
    }
    putchar('}');
}

static void json_images(const struct trace_header *h)
{
    fputs(",\"images\":[", stdout);
    for (size_t i = 0; i < h->nimages; i++) {
        const struct trace_image *image = &h->images[i];

        json_member(i > 0 ? ",{" : "{", "role", image->role);
        json_member(",", "name", image->name);
        json_member(",", "hash", image->hash);
        printf(",\"size\":%" PRIu64 ",\"embedded\":%s}", image->size,
               image->embedded ? "true" : "false");
    }
    putchar(']');
}

static void json_header(const struct trace_header *h)
{
    printf("\"version\":%" PRIu32, h->version);
    json_member(",", "generator", h->generator);
    json_member(",", "cpu", h->cpu_model);
    printf(",\"ns_per_insn\":%" PRIu64 ",\"rtc_base\":%" PRId64 ",\"seeds\":[", h->ns_per_insn,
           h->rtc_base);
    for (size_t i = 0; i < h->nseeds; i++)
        printf("%s%" PRIu64, i > 0 ? "," : "", h->seeds[i]);
    putchar(']');
    json_config(h);
    json_images(h);
}

static void json_counts(const struct summary *s)
{
    const char *comma = "";

    fputs(",\"events\":{", stdout);
    for (unsigned kind = TRACE_EVENT_INPUT; kind < TRACE_EVENT_END; kind++)
        printf("%s\"%ss\":{\"count\":%" PRIu64 ",\"bytes\":%" PRIu64 "}",
               kind > TRACE_EVENT_INPUT ? "," : "", trace_event_kind_name(kind), s->count[kind],
               s->bytes[kind]);
    fputs("},\"interrupts\":[", stdout);
    for (unsigned source = 0; source < SOURCES; source++)
        for (unsigned v = 0; v < VECTORS; v++) {
            if (s->vectors[source][v] == 0)
                continue;
            printf("%s{\"vector\":%u,\"source\":\"%s\",\"count\":%" PRIu64 "}", comma, v,
                   replay_interrupt_source_name(source), s->vectors[source][v]);
            comma = ",";
        }
    fputs("],\"inputs\":{", stdout);
    comma = "";
    for (unsigned kind = 0; kind < INPUT_KIND_COUNT; kind++) {
        if (s->inputs[kind] == 0)
            continue;
        printf("%s\"%s\":%" PRIu64, comma, input_kind_name((enum input_kind)kind), s->inputs[kind]);
        comma = ",";
    }
    putchar('}');
}

static void print_json(const struct summary *s)
{
    printf("{\"bytes\":%" PRIu64 ",\"index\":\"%s\",", trace_reader_size(s->r), index_name(s));
    json_header(s->header);
    printf(",\"icount\":%" PRIu64 ",\"vns\":%" PRIu64, s->icount, s->vns);
    json_counts(s);
    printf(",\"truncated\":%s", s->truncated ? "true" : "false");
    if (s->truncated)
        printf(",\"whole_bytes\":%" PRIu64, s->whole_bytes);
    if (s->has_end) {
        json_member(",\"end\":{", "reason", s->end.reason);
        printf(",\"exit\":%" PRId64 ",\"digest\":\"%016" PRIx64 "\"}", s->end.exit_code,
               s->end.digest);
    } else {
        fputs(",\"end\":null", stdout);
    }
    fputs("}\n", stdout);
}

static int info(const char *path, struct trace_reader *r, bool json)
{
    struct summary *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        cli_error("out of memory");
        return EXIT_USAGE;
    }
    s->r = r;
    s->header = trace_reader_header(r);
    summarize(s);
    if (json)
        print_json(s);
    else
        print_text(s);
    free(s);
    fflush(stdout);
    return trace_read_status(path, r);
}

int cmd_info(int argc, char **argv)
{
    return trace_command(argc, argv, info);
}
