/* SPDX-License-Identifier: MIT */
/*
 * What `deja diff` found, for programs: one JSON object. Counts of instructions are numbers; addresses, values of
 * registers and digests are strings of hexadecimal digits; what there is not is null. docs/deja.1 lists the members.
 */
#include "diff_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <emu/input.h>
#include <replay/describe.h>

#include "disasm.h"
#include "guest_symbols.h"
#include "trace_cmd.h"

#define SYMBOL_MAX 160u

static const char *const side_name[2] = {"a", "b"};

/* `,` before all members but the first of an object or list. */
static void comma(size_t i)
{
    if (i > 0)
        putchar(',');
}

static void string_member(const char *before, const char *key, const char *value)
{
    printf("%s\"%s\":", before, key);
    if (value != NULL)
        json_string(stdout, value);
    else
        fputs("null", stdout);
}

static const char *boolean(bool value)
{
    return value ? "true" : "false";
}

/* --- the traces --- */

static void json_trace(const struct diff_view *v, unsigned side)
{
    const struct trace_extent *extent = &v->r->events->extent[side];

    printf("\"%s\":{", side_name[side]);
    string_member("", "trace", v->path[side]);
    string_member(",", "generator", v->header[side]->generator);
    printf(",\"icount\":%" PRIu64 ",\"truncated\":%s", extent->last_icount, boolean(!extent->has_end));
    if (extent->has_end) {
        const struct trace_end *end = &extent->end;

        string_member(",\"end\":{", "reason", end->reason);
        printf(",\"exit\":%" PRId64 ",\"vns\":%" PRIu64 ",\"digest\":\"%016" PRIx64 "\"}", end->exit_code,
               end->vns, end->digest);
    } else {
        printf(",\"end\":null,\"whole_bytes\":%" PRIu64, extent->whole_bytes);
    }
    putchar('}');
}

static void json_config(const struct trace_diff *e)
{
    static const char *const effects[] = {[CONFIG_REMARK] = "remark",
                                          [CONFIG_RUN] = "run",
                                          [CONFIG_MACHINE] = "machine"};

    fputs(",\"config\":[", stdout);
    for (size_t i = 0; i < e->nconfig; i++) {
        const struct config_difference *c = &e->config[i];

        comma(i);
        string_member("{", "key", c->key);
        string_member(",", "a", c->value[0]);
        string_member(",", "b", c->value[1]);
        string_member(",", "effect", effects[c->effect]);
        putchar('}');
    }
    putchar(']');
}

/* --- events --- */

static void json_event(const struct trace_event *ev)
{
    printf("{\"icount\":%" PRIu64, ev->icount);
    if (ev->kind == TRACE_EVENT_INTERRUPT) {
        printf(",\"vector\":%" PRIu32, ev->u.interrupt.vector);
        string_member(",", "source", replay_interrupt_source_name(ev->u.interrupt.source));
    } else {
        string_member(",", "kind", input_kind_name((enum input_kind)ev->u.input.kind));
        printf(",\"number\":%" PRIu32 ",\"port\":%" PRIu32 ",\"vns\":%" PRIu64 ",\"data\":",
               ev->u.input.kind, ev->u.input.port, ev->u.input.vns);
        json_hex(stdout, ev->u.input.data, ev->u.input.len);
    }
    putchar('}');
}

static void json_events(const char *name, const struct event_diff *d)
{
    printf(",\"%s\":{\"count\":[%" PRIu64 ",%" PRIu64 "],\"same\":%" PRIu64, name, d->count[0], d->count[1],
           d->same);
    string_member(",", "relation", event_relation_name(d->relation));
    for (unsigned side = 0; side < 2; side++) {
        printf(",\"%s\":", side_name[side]);
        if (d->has[side])
            json_event(&d->ev[side]);
        else
            fputs("null", stdout);
    }
    putchar('}');
}

static void json_digests(const struct digest_diff *d)
{
    printf(",\"digests\":{\"count\":[%" PRIu64 ",%" PRIu64 "],\"compared\":%" PRIu64 ",\"different\":%" PRIu64,
           d->count[0], d->count[1], d->compared, d->different);
    if (d->any_equal)
        printf(",\"last_equal\":%" PRIu64, d->equal_icount);
    else
        fputs(",\"last_equal\":null", stdout);
    if (d->different > 0)
        printf(",\"first_different\":%" PRIu64 ",\"a\":\"%016" PRIx64 "\",\"b\":\"%016" PRIx64 "\"}", d->icount,
               d->digest[0], d->digest[1]);
    else
        fputs(",\"first_different\":null}", stdout);
}

/* --- places --- */

static void json_symbol(const struct diff_view *v, unsigned side, uint64_t address)
{
    char symbol[SYMBOL_MAX];
    bool known = guest_symbols_describe(v->symbols[side], address, symbol, sizeof(symbol));

    string_member(",", "symbol", known ? symbol : NULL);
}

static void json_instruction(const struct diff_view *v, unsigned side, const struct diff_instruction *i)
{
    char text[DISASM_TEXT];
    size_t len = disasm(i->bits, i->rip, i->bytes, i->nbytes, text);

    printf("{\"icount\":%" PRIu64 ",\"entries\":%" PRIu32 ",\"rip\":\"%016" PRIx64 "\",\"linear\":\"%016" PRIx64
           "\",\"halted\":%s,\"bytes\":",
           i->at.icount, i->at.entries, i->rip, i->linear, boolean(i->halted));
    json_hex(stdout, i->bytes, len > 0 ? len : i->nbytes);
    string_member(",", "text", len > 0 ? text : NULL);
    json_symbol(v, side, i->linear);
    putchar('}');
}

static void json_fields(const struct state_difference *d, bool registers)
{
    size_t printed = 0;

    printf(",\"%s\":[", registers ? "registers" : "fields");
    for (size_t i = 0; i < d->nfields; i++) {
        const struct field_difference *f = &d->fields[i];
        int width = (int)f->width * 2;

        if (f->is_register != registers)
            continue;
        comma(printed++);
        string_member("{", "name", f->name);
        printf(",\"a\":\"%0*" PRIx64 "\",\"b\":\"%0*" PRIx64 "\"}", width, f->a, width, f->b);
    }
    putchar(']');
}

static void json_linear(const struct diff_view *v, unsigned side, uint64_t linear)
{
    if (linear == UINT64_MAX) {
        fputs("null", stdout);
        return;
    }
    printf("{\"linear\":\"%016" PRIx64 "\"", linear);
    json_symbol(v, side, linear);
    putchar('}');
}

static void json_memory(const struct diff_view *v, const struct state_difference *d)
{
    fputs(",\"memory\":[", stdout);
    for (size_t i = 0; i < d->nruns; i++) {
        const struct bytes_difference *run = &d->runs[i];

        comma(i);
        printf("{\"gpa\":\"%010" PRIx64 "\",\"a\":", run->gpa);
        json_hex(stdout, run->bytes[0], run->len);
        fputs(",\"b\":", stdout);
        json_hex(stdout, run->bytes[1], run->len);
        fputs(",\"mapped\":[", stdout);
        json_linear(v, 0, run->linear[0]);
        putchar(',');
        json_linear(v, 1, run->linear[1]);
        fputs("]}", stdout);
    }
    putchar(']');
}

static void json_counts(const struct state_counts *counts, uint64_t bytes)
{
    printf("\"counts\":{\"registers\":%zu,\"fields\":%zu,\"parts\":%zu,\"pages\":%zu,\"bytes\":%" PRIu64 "}",
           counts->registers, counts->fields, counts->parts, counts->pages, bytes);
}

static void json_moment(struct moment at)
{
    printf("{\"icount\":%" PRIu64 ",\"entries\":%" PRIu32 "}", at.icount, at.entries);
}

static void json_side(const struct diff_view *v, const struct diff_place *p, unsigned side)
{
    printf(",\"%s\":{\"after\":", side_name[side]);
    json_moment(p->after[side]);
    fputs(",\"instruction\":", stdout);
    json_instruction(v, side, &p->here[side]);
    fputs(",\"next\":", stdout);
    json_instruction(v, side, &p->next[side]);
    fputs(",\"past\":[", stdout);
    for (size_t i = 0; i < p->npast; i++) {
        comma(i);
        json_instruction(v, side, &p->past[side][i]);
    }
    fputs("],\"happened\":[", stdout);
    for (size_t i = 0; i < p->nhappened[side]; i++) {
        comma(i);
        json_string(stdout, p->happened[side][i]);
    }
    fputs("]}", stdout);
}

static void json_place(const struct diff_view *v, const char *name, const struct diff_place *p)
{
    printf(",\"%s\":", name);
    if (!p->found) {
        fputs("null", stdout);
        return;
    }
    printf("{\"icount\":%" PRIu64 ",\"entries\":%" PRIu32 ",\"exact\":%s,\"before\":", p->at.icount,
           p->at.entries, boolean(p->exact));
    if (p->power_on)
        fputs("null", stdout);
    else
        json_moment(p->before);
    putchar(',');
    json_counts(&p->difference.counts, p->difference.bytes);
    json_fields(&p->difference, true);
    json_fields(&p->difference, false);
    json_memory(v, &p->difference);
    json_side(v, p, 0);
    json_side(v, p, 1);
    putchar('}');
}

/* --- where it leads --- */

static void json_text(const char *before, const char *text, size_t len)
{
    fputs(before, stdout);
    json_hex(stdout, (const uint8_t *)text, len);
    string_member(",", "text", text);
}

static void json_output(const struct diff_output *o)
{
    fputs(",\"output\":", stdout);
    if (!o->found) {
        fputs("null", stdout);
        return;
    }
    printf("{\"port\":%u,\"line\":%" PRIu64 ",\"column\":%zu", o->port, o->line, o->column);
    for (unsigned side = 0; side < 2; side++) {
        printf(",\"%s\":", side_name[side]);
        if (!o->has[side]) {
            fputs("null", stdout);
            continue;
        }
        printf("{\"icount\":%" PRIu64, o->icount[side]);
        json_text(",\"data\":", o->text[side], o->len[side]);
        putchar('}');
    }
    putchar('}');
}

static void json_rows(const struct diff_view *v)
{
    fputs(",\"followed\":[", stdout);
    for (size_t i = 0; i < v->r->nrows; i++) {
        const struct diff_row *row = &v->r->rows[i];

        comma(i);
        printf("{\"after\":%" PRIu64 ",\"icount\":%" PRIu64 ",", row->after, row->icount);
        json_counts(&row->counts, row->bytes);
        for (unsigned side = 0; side < 2; side++) {
            printf(",\"%s\":{\"linear\":\"%016" PRIx64 "\"", side_name[side], row->rip[side]);
            json_symbol(v, side, row->rip[side]);
            putchar('}');
        }
        putchar('}');
    }
    putchar(']');
}

static void json_divergences(const struct diff_result *r)
{
    fputs(",\"divergence\":{", stdout);
    for (unsigned side = 0; side < 2; side++) {
        const struct player_divergence *d = &r->divergence[side];

        comma(side);
        printf("\"%s\":", side_name[side]);
        if (!r->diverged[side]) {
            fputs("null", stdout);
            continue;
        }
        string_member("{", "what", player_difference_name(d->what));
        printf(",\"icount\":%" PRIu64 ",\"rip\":\"%016" PRIx64 "\"", d->icount, d->rip);
        string_member(",", "expected", d->expected);
        string_member(",", "found", d->found);
        if (d->any_match)
            printf(",\"last_match\":%" PRIu64 "}", d->last_match_icount);
        else
            fputs(",\"last_match\":null}", stdout);
    }
    putchar('}');
}

static void json_state(const struct diff_view *v)
{
    const struct diff_result *r = v->r;

    fputs(",\"state\":{", stdout);
    if (!r->replayed) {
        string_member("\"compared\":false,", "why", r->why_not[0] != '\0' ? r->why_not : NULL);
        putchar('}');
        return;
    }
    printf("\"compared\":true,\"up_to\":%" PRIu64 ",\"unpaired_pages\":%" PRIu64, r->followed_to,
           r->unpaired_pages);
    json_divergences(r);
    json_place(v, "first", &r->first);
    json_place(v, "spread", &r->spread);
    json_place(v, "parting", &r->parting);
    json_output(&r->output);
    json_rows(v);
    putchar('}');
}

void diff_print_json(const struct diff_view *v)
{
    static const char *const verdicts[] = {[DIFF_SAME] = "same",
                                           [DIFF_DIFFERENT] = "different",
                                           [DIFF_INTERRUPTED] = "interrupted",
                                           [DIFF_ERROR] = "error"};
    const struct trace_diff *e = v->r->events;

    string_member("{", "verdict", verdicts[v->verdict]);
    putchar(',');
    json_trace(v, 0);
    putchar(',');
    json_trace(v, 1);
    printf(",\"common_icount\":%" PRIu64, e->common_icount);
    json_config(e);
    json_events("inputs", &e->inputs);
    json_events("interrupts", &e->interrupts);
    json_digests(&e->digests);
    if (e->extent[0].has_end && e->extent[1].has_end)
        printf(",\"other_end\":%s", boolean(e->other_end));
    else
        fputs(",\"other_end\":null", stdout);
    json_state(v);
    puts("}");
}
