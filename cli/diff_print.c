/* SPDX-License-Identifier: MIT */
/* What `deja diff` found, for people: diff_view.h. */
#include "diff_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <replay/describe.h>

#include "disasm.h"
#include "guest_symbols.h"
#include "numbers.h"

#define TEXT_MAX   2048u
#define SYMBOL_MAX 160u
#define LIST_MAX   16u /* of each kind of difference that are printed */

static const char side_name[2] = {'A', 'B'};

static void print_quoted(const char *text, size_t len)
{
    char out[TEXT_MAX];

    replay_describe_bytes((const uint8_t *)text, len, out, sizeof(out));
    fputs(out, stdout);
}

static void print_number(const char *format, uint64_t n)
{
    char text[NUMBER_TEXT];

    printf(format, number_text(n, text));
}

/* --- the traces --- */

static void print_trace(const struct diff_view *v, unsigned side)
{
    const struct trace_extent *extent = &v->r->events->extent[side];

    printf("%c: %s, by %s, ", side_name[side], v->path[side], v->header[side]->generator);
    print_number("%s instructions", extent->last_icount);
    if (extent->has_end)
        printf(", %s\n", extent->end.reason);
    else
        printf(", cut off after byte %" PRIu64 "\n", extent->whole_bytes);
}

static void print_value(unsigned side, const struct config_difference *c)
{
    printf("%c ", side_name[side]);
    if (c->value[side] == NULL)
        fputs("none", stdout);
    else if (c->is_text[side])
        print_quoted(c->value[side], strlen(c->value[side]));
    else
        fputs(c->value[side], stdout);
}

static const char *effect_text(enum config_effect effect)
{
    switch (effect) {
    case CONFIG_REMARK: return "  (no difference of the run)";
    case CONFIG_MACHINE: return "  (another machine)";
    case CONFIG_RUN: break;
    }
    return "";
}

static void print_config(const struct trace_diff *e)
{
    printf("\nconfiguration:  %s\n", e->other_run ? "different" : "the same");
    for (size_t i = 0; i < e->nconfig; i++) {
        const struct config_difference *c = &e->config[i];

        printf("  %-20s ", c->key);
        print_value(0, c);
        printf("\n  %-20s ", "");
        print_value(1, c);
        printf("%s\n", effect_text(c->effect));
    }
}

/* --- events --- */

static const char *relation_text(enum event_relation relation)
{
    switch (relation) {
    case EVENTS_SAME: break;
    case EVENT_ONLY_IN_A: return "then one only in A";
    case EVENT_ONLY_IN_B: return "then one only in B";
    case EVENT_MOVED: return "then the same one at another time";
    case EVENT_OTHER: return "then another one at the same time";
    case EVENT_AFTER_END: return "then the other run has ended";
    }
    return "";
}

static void print_events(const char *name, const struct event_diff *d)
{
    char n[3][NUMBER_TEXT];

    printf("%-15s %s and %s", name, number_text(d->count[0], n[0]), number_text(d->count[1], n[1]));
    if (d->relation == EVENTS_SAME) {
        puts(d->same == d->count[0] && d->same == d->count[1] ? ", the same"
                                                              : ", the same as far as both go");
        return;
    }
    printf("; the first %s are the same, %s\n", number_text(d->same, n[2]), relation_text(d->relation));
    for (unsigned side = 0; side < 2; side++) {
        char text[TEXT_MAX];

        if (!d->has[side])
            continue;
        replay_describe_event(&d->ev[side], text, sizeof(text));
        printf("  %c %18s  %s", side_name[side], number_text(d->ev[side].icount, n[0]), text);
        if (d->ev[side].kind == TRACE_EVENT_INPUT)
            printf(" at %s ns", number_text(d->ev[side].u.input.vns, n[1]));
        putchar('\n');
    }
}

static void print_digests(const struct digest_diff *d)
{
    char n[3][NUMBER_TEXT];

    printf("%-15s %s and %s, %s at the same places", "digests:", number_text(d->count[0], n[0]),
           number_text(d->count[1], n[1]), number_text(d->compared, n[2]));
    if (d->different == 0) {
        puts(": the same");
        return;
    }
    if (d->any_equal)
        print_number(": the same up to %s,", d->equal_icount);
    else
        fputs(": none the same before the first that differs,", stdout);
    print_number(" different at %s\n", d->icount);
    for (unsigned side = 0; side < 2; side++)
        printf("  %c %016" PRIx64 "\n", side_name[side], d->digest[side]);
}

static void print_end(const struct diff_view *v)
{
    const struct trace_diff *e = v->r->events;

    if (!e->extent[0].has_end || !e->extent[1].has_end) {
        const char *which = e->extent[0].has_end ? "B" : e->extent[1].has_end ? "A" : "A and B";

        printf("%-15s %s cut off: compared up to", "end:", which);
        print_number(" %s\n", e->common_icount);
        return;
    }
    printf("%-15s %s\n", "end:", e->other_end ? "different" : "the same");
    for (unsigned side = 0; side < 2 && e->other_end; side++) {
        const struct trace_end *end = &e->extent[side].end;
        char n[2][NUMBER_TEXT];

        printf("  %c %18s  %s, exit code %" PRId64 ", digest %016" PRIx64 ", at %s ns\n", side_name[side],
               number_text(end->icount, n[0]), end->reason, end->exit_code, end->digest,
               number_text(end->vns, n[1]));
    }
}

/* --- places --- */

static void print_symbol(const struct diff_view *v, unsigned side, uint64_t address)
{
    char symbol[SYMBOL_MAX];

    if (guest_symbols_describe(v->symbols[side], address, symbol, sizeof(symbol)))
        printf(" <%s>", symbol);
}

static void print_instruction(const struct diff_view *v, unsigned side, const char *before,
                              const struct diff_instruction *i)
{
    char text[DISASM_TEXT], n[NUMBER_TEXT];

    disasm(i->bits, i->rip, i->bytes, i->nbytes, text);
    printf("  %s %18s  %016" PRIx64, before, number_text(i->at.icount, n), i->linear);
    print_symbol(v, side, i->linear);
    printf("  %s%s\n", i->nbytes == 0 ? "(not mapped)" : text, i->halted ? "  (asleep)" : "");
}

static bool same_instruction(const struct diff_instruction *a, const struct diff_instruction *b)
{
    return moment_equal(a->at, b->at) && a->linear == b->linear && a->bits == b->bits &&
           a->nbytes == b->nbytes && memcmp(a->bytes, b->bytes, a->nbytes) == 0;
}

/* One line when both sides do the same, else two. */
static void print_both(const struct diff_view *v, const char *before, const struct diff_instruction *a,
                       const struct diff_instruction *b)
{
    char mark[8];

    if (same_instruction(a, b)) {
        print_instruction(v, 0, before, a);
        return;
    }
    snprintf(mark, sizeof(mark), "A%s", before + 1);
    print_instruction(v, 0, mark, a);
    mark[0] = 'B';
    print_instruction(v, 1, mark, b);
}

static void print_happenings(const struct diff_place *p)
{
    for (unsigned side = 0; side < 2; side++)
        for (size_t i = 0; i < p->nhappened[side]; i++)
            printf("  %c  %18s  %s\n", side_name[side], "", p->happened[side][i]);
}

static void print_fields(const struct state_difference *d, bool registers)
{
    size_t printed = 0, all = registers ? d->counts.registers : d->counts.fields;

    for (size_t i = 0; i < d->nfields && printed < LIST_MAX; i++) {
        const struct field_difference *f = &d->fields[i];
        int width = (int)f->width * 2;

        if (f->is_register != registers)
            continue;
        if (printed++ == 0)
            puts(registers ? "  registers:" : "  devices, clock, what the CPU keeps to itself:");
        printf("    %-28s A %0*" PRIx64 "  B %0*" PRIx64 "\n", f->name, width, f->a, width, f->b);
    }
    if (all > printed)
        print_number("    ... and %s more\n", all - printed);
}

static void print_run(const struct diff_view *v, const struct bytes_difference *run)
{
    printf("    physical %010" PRIx64, run->gpa);
    if (run->linear[0] != UINT64_MAX && run->linear[0] != run->gpa)
        printf("  linear %016" PRIx64, run->linear[0]);
    if (run->linear[0] != UINT64_MAX)
        print_symbol(v, 0, run->linear[0]);
    if (run->linear[1] != run->linear[0] && run->linear[1] != UINT64_MAX) {
        printf("  (B: linear %016" PRIx64, run->linear[1]);
        print_symbol(v, 1, run->linear[1]);
        putchar(')');
    }
    for (unsigned side = 0; side < 2; side++) {
        printf("\n      %c", side_name[side]);
        for (unsigned i = 0; i < run->len; i++)
            printf(" %02x", run->bytes[side][i]);
    }
    putchar('\n');
}

static void print_memory(const struct diff_view *v, const struct state_difference *d)
{
    char n[2][NUMBER_TEXT];

    if (d->counts.pages == 0)
        return;
    printf("  memory: %s byte%s in %s page%s\n", number_text(d->bytes, n[0]), d->bytes == 1 ? "" : "s",
           number_text(d->counts.pages, n[1]), d->counts.pages == 1 ? "" : "s");
    for (size_t i = 0; i < d->nruns && i < LIST_MAX; i++)
        print_run(v, &d->runs[i]);
    if (d->nruns > LIST_MAX)
        puts("    ... and more");
}

static void print_place(const struct diff_view *v, const char *title, const struct diff_place *p)
{
    char n[NUMBER_TEXT];

    if (p->power_on) {
        printf("\n%s: at power-on\n", title);
    } else {
        printf("\n%s: after %s instructions", title, number_text(p->at.icount, n));
        if (p->at.entries > 0)
            printf(" and %" PRIu32 " %s into handlers", p->at.entries, p->at.entries == 1 ? "entry" : "entries");
        puts(p->exact ? "" : " (found by halving: it may have been so for a while before)");
        for (size_t i = 0; i < p->npast; i++)
            print_both(v, "  ", &p->past[0][i], &p->past[1][i]);
        print_both(v, "->", &p->here[0], &p->here[1]);
        print_happenings(p);
        print_both(v, "  ", &p->next[0], &p->next[1]);
        puts(p->difference.counts.places != 0 ? "  what differs now:" : "  nothing differs now");
    }
    print_fields(&p->difference, true);
    print_fields(&p->difference, false);
    print_memory(v, &p->difference);
}

/* --- where it leads --- */

static void print_output(const struct diff_view *v)
{
    static const char *const ports[] = {"COM1", "COM2", "the debug console"};
    const struct diff_output *o = &v->r->output;
    char n[NUMBER_TEXT];

    if (!o->found) {
        printf("\noutput: no difference up to instruction %s\n", number_text(v->r->followed_to, n));
        return;
    }
    printf("\noutput: line %s on %s differs", number_text(o->line, n), ports[o->port]);
    printf(" from column %zu on\n", o->column);
    for (unsigned side = 0; side < 2; side++) {
        printf("  %c ", side_name[side]);
        if (o->has[side]) {
            printf("%18s  ", number_text(o->icount[side], n));
            print_quoted(o->text[side], o->len[side]);
        } else {
            fputs("prints nothing more", stdout);
        }
        putchar('\n');
    }
}

static void print_row(const struct diff_view *v, const struct diff_row *row)
{
    char n[3][NUMBER_TEXT];

    printf("  %18s %9zu %8zu %9s %13s  ", number_text(row->after, n[0]), row->counts.registers,
           row->counts.fields, number_text(row->counts.pages, n[1]), number_text(row->bytes, n[2]));
    printf("%016" PRIx64, row->rip[0]);
    print_symbol(v, 0, row->rip[0]);
    if (row->rip[1] != row->rip[0]) {
        printf(" | %016" PRIx64, row->rip[1]);
        print_symbol(v, 1, row->rip[1]);
    }
    putchar('\n');
}

static void print_rows(const struct diff_view *v)
{
    if (v->r->nrows == 0)
        return;
    puts("\nhow much differs, so many instructions after the first difference:");
    printf("  %18s %9s %8s %9s %13s  %s\n", "after", "registers", "fields", "pages", "bytes",
           "RIP of A | of B");
    for (size_t i = 0; i < v->r->nrows; i++)
        print_row(v, &v->r->rows[i]);
}

static void print_divergence(const struct diff_view *v, unsigned side)
{
    const struct player_divergence *d = &v->r->divergence[side];
    const struct digest_diff *digests = &v->r->events->digests;
    char n[NUMBER_TEXT], other[32];

    printf("\nreplay of %c diverges from its recording at instruction %s (%s)\n", side_name[side],
           number_text(d->icount, n), player_difference_name(d->what));
    printf("  recorded  %s\n  replayed  %s\n", d->expected, d->found);
    if (d->any_match)
        print_number("  it is as recorded at least up to the digest at %s\n", d->last_match_icount);
    snprintf(other, sizeof(other), "digest %016" PRIx64, digests->digest[!side]);
    if (d->what == PLAYER_DIFFERS_DIGEST && digests->different > 0 && digests->icount == d->icount &&
        strcmp(other, d->found) == 0)
        printf("  what this deja does instead is what %c has recorded there\n", side_name[!side]);
}

/* --- all of it --- */

static void print_state(const struct diff_view *v)
{
    const struct diff_result *r = v->r;

    if (r->unpaired_pages > 0)
        print_number("\nmemory: %s pages that only one of the machines has are not compared\n",
                     r->unpaired_pages);
    for (unsigned side = 0; side < 2; side++)
        if (r->diverged[side])
            print_divergence(v, side);
    if (!r->first.found) {
        print_number("\nstate: no difference was found up to instruction %s\n", r->followed_to);
        return;
    }
    print_place(v, "first difference in state", &r->first);
    if (r->spread.found)
        print_place(v, r->spread.difference.counts.places != 0 ? "first spread of it" : "it goes away", &r->spread);
    else
        print_number("\nspread: nothing else differs up to instruction %s\n", r->followed_to);
    if (r->parting.found)
        print_place(v, "the control flow parts", &r->parting);
    else
        print_number("\ncontrol flow: the same up to instruction %s\n", r->followed_to);
    print_output(v);
    print_rows(v);
}

void diff_print(const struct diff_view *v)
{
    const struct trace_diff *e = v->r->events;

    print_trace(v, 0);
    print_trace(v, 1);
    print_config(e);
    print_events("inputs:", &e->inputs);
    print_events("interrupts:", &e->interrupts);
    print_digests(&e->digests);
    print_end(v);
    if (v->r->replayed)
        print_state(v);
    else if (v->r->why_not[0] != '\0')
        printf("\nstate: not compared, %s\n", v->r->why_not);
    if (v->verdict == DIFF_INTERRUPTED)
        puts("\ninterrupted: this is what was found until then");
    else
        printf("\n%s\n", v->verdict != DIFF_SAME ? "the runs are different"
                         : e->extent[0].has_end && e->extent[1].has_end
                             ? "the runs are the same"
                             : "the runs are the same as far as both recordings go");
}
