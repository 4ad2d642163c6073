/* SPDX-License-Identifier: MIT */
/*
 * What `deja bisect` has found, in words or as JSON: the moment, the instruction or the entry into a handler that
 * made it so, with the memory that the condition reads before and after, and how to go there.
 */
#include "bisect.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <emu/cpu.h>
#include <emu/machine.h>
#include <emu/registers.h>
#include <emu/watch.h>
#include <replay/describe.h>
#include <replay/expr.h>

#include "cli.h"
#include "condition.h"
#include "disasm.h"
#include "guest_symbols.h"
#include "moments.h"
#include "report.h"
#include "trace_cmd.h"

#define MAX_WORDS 8u /* of memory, that are shown */
#define CODE_BYTES 15u

/* Where the machine stands. */
struct place {
    struct moment at;
    uint64_t ns, rip;
    unsigned cpl;
    char symbol[160];      /* empty: none */
    char code[DISASM_TEXT]; /* empty: not mapped */
};

/* Memory that the condition reads. */
struct word {
    bool physical;
    uint64_t address;
    unsigned bytes;
    bool known[2]; /* before and after */
    uint64_t value[2];
};

/* What is known of the step from the last moment without to the first one with. */
struct step {
    struct place before, first;
    bool entered, reset;
    struct watch_event entry; /* kind WATCH_KIND_COUNT: into what is not known */
    struct word words[MAX_WORDS];
    size_t nwords;
};

/* --- looking --- */

static void describe_code(const struct cpu *cpu, char code[DISASM_TEXT])
{
    static const unsigned bits[] = {[CODE_16] = 16, [CODE_32] = 32, [CODE_64] = 64};
    uint8_t bytes[CODE_BYTES];
    size_t have = cpu_peek(cpu, cpu_linear_rip(cpu), bytes, sizeof(bytes));

    code[0] = '\0';
    if (have > 0)
        disasm(bits[cpu_code_size(cpu)], cpu->rip, bytes, have, code);
}

static struct place look_at_place(struct bisect *b)
{
    const struct cpu *cpu = &b->m->cpus[0];
    struct place p = {.at = timeline_now(b->t),
                      .ns = clock_now_ns(&b->m->clock),
                      .rip = cpu_linear_rip(cpu),
                      .cpl = cpu->cpl};

    bisect_look(b);
    if (!guest_symbols_describe(b->symbols, p.rip, p.symbol, sizeof(p.symbol)))
        p.symbol[0] = '\0';
    describe_code(cpu, p.code);
    return p;
}

static void read_word(const struct bisect *b, struct word *w, unsigned when)
{
    uint8_t bytes[8] = {0};

    w->known[when] = w->physical ? ram_read(&b->m->ram, w->address, bytes, w->bytes)
                                 : cpu_peek(&b->m->cpus[0], w->address, bytes, w->bytes) == w->bytes;
    w->value[when] = 0;
    for (unsigned i = w->bytes; i-- > 0;)
        w->value[when] = w->value[when] << 8 | bytes[i];
}

static void note_word(void *opaque, bool physical, uint64_t address, unsigned bytes)
{
    struct step *s = opaque;

    for (size_t i = 0; i < s->nwords; i++)
        if (s->words[i].address == address && s->words[i].physical == physical && s->words[i].bytes == bytes)
            return;
    if (s->nwords < MAX_WORDS)
        s->words[s->nwords++] = (struct word){.physical = physical, .address = address, .bytes = bytes};
}

static void note_entry(void *opaque, const struct watch_event *ev)
{
    struct step *s = opaque;

    s->entry = *ev;
}

/* Goes from `before` to `first` once more, looking. */
static enum timeline_status retrace(struct bisect *b, const struct bisect_result *r, struct step *s)
{
    const struct machine_watcher watcher = {
        .kinds = WATCH_BIT(WATCH_EXCEPTION) | WATCH_BIT(WATCH_INTERRUPT) | WATCH_BIT(WATCH_SOFT_INTERRUPT),
        .event = note_entry,
        .opaque = s};
    enum timeline_status status = timeline_seek(b->t, r->before);
    uint64_t resets = b->m->resets;

    if (status != TIMELINE_THERE)
        return status;
    s->entry.kind = WATCH_KIND_COUNT;
    s->before = look_at_place(b);
    for (size_t i = 0; i < s->nwords; i++)
        read_word(b, &s->words[i], 0);
    machine_watch(b->m, &watcher);
    status = timeline_step(b->t);
    machine_watch(b->m, NULL);
    if (status != TIMELINE_THERE && status != TIMELINE_END)
        return status;
    s->first = look_at_place(b);
    s->entered = s->first.at.entries > 0 &&
                 (s->first.at.icount > s->before.at.icount || s->first.at.entries > s->before.at.entries);
    s->reset = b->m->resets > resets;
    for (size_t i = 0; i < s->nwords; i++)
        read_word(b, &s->words[i], 1);
    return timeline_check(b->t);
}

/* Standing at the first moment is where the condition tells what it reads. */
static enum timeline_status look_at_step(struct bisect *b, const struct bisect_result *r, struct step *s)
{
    enum timeline_status status = timeline_seek(b->t, r->first);

    *s = (struct step){.nwords = 0};
    if (status != TIMELINE_THERE && status != TIMELINE_END)
        return status;
    if (b->when != NULL)
        condition_holds_telling(b->when, note_word, s);
    return retrace(b, r, s);
}

/* --- words --- */

static const char *subject(const struct bisect *b)
{
    return b->args->when != NULL ? b->args->when : b->args->run != NULL ? b->args->run : b->args->gdb_script;
}

static void describe_entry(const struct step *s, char *out, size_t len)
{
    const struct watch_event *ev = &s->entry;

    if (s->reset)
        snprintf(out, len, "a reset");
    else if (ev->kind == WATCH_EXCEPTION && ev->address == EXC_PF)
        snprintf(out, len, "exception %s, error code %" PRIx64 "h, address %" PRIx64 "h",
                 report_exception_name((unsigned)ev->address), ev->value, ev->extra);
    else if (ev->kind == WATCH_EXCEPTION)
        snprintf(out, len, "exception %s", report_exception_name((unsigned)ev->address));
    else if (ev->kind == WATCH_INTERRUPT)
        snprintf(out, len, "interrupt %" PRIu64 " (%s)", ev->address,
                 replay_interrupt_source_name((uint32_t)ev->value));
    else
        snprintf(out, len, "a handler");
}

static void print_rip(const struct place *p)
{
    printf("%016" PRIx64, p->rip);
    if (p->symbol[0] != '\0')
        printf(" <%s>", p->symbol);
}

static void print_value(const struct word *w, unsigned when)
{
    if (w->known[when])
        printf("%#" PRIx64, w->value[when]);
    else
        printf("not mapped");
}

static void print_words(const struct step *s)
{
    for (size_t i = 0; i < s->nwords; i++) {
        const struct word *w = &s->words[i];

        printf("  memory      u%u[%s%" PRIx64 "h]: ", 8 * w->bytes, w->physical ? "phys " : "", w->address);
        print_value(w, 0);
        if (w->known[0] != w->known[1] || w->value[0] != w->value[1]) {
            fputs(" -> ", stdout);
            print_value(w, 1);
        }
        putchar('\n');
    }
}

/* A word of a shell command. */
static void print_quoted(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:+=@%";

    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        fputs(word, stdout);
        return;
    }
    putchar('\'');
    for (; *word != '\0'; word++)
        if (*word == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*word);
    putchar('\'');
}

static void print_debug_command(const struct bisect *b, struct moment at)
{
    char n[MOMENT_TEXT];

    fputs("  deja debug ", stdout);
    print_quoted(b->args->trace);
    if (b->args->vmlinux != NULL) {
        putchar(' ');
        print_quoted(b->args->vmlinux);
    }
    printf(" --at %s\n", moment_text(at, n));
}

/* A command takes its time, so that one likes to know how often it ran. */
static void print_probes(const struct bisect *b)
{
    if (b->when == NULL)
        printf("  asked       %" PRIu64 " times\n", b->probes);
}

static void print_when(const struct bisect *b, const struct place *p)
{
    uint64_t second = NS_PER_SEC;
    char n[MOMENT_TEXT];

    printf("%s: %s instruction %s, %" PRIu64 ".%09" PRIu64 " s", subject(b),
           b->when == NULL ? "bad from" : b->args->first_ever ? "first holds at" : "holds from",
           moment_text(p->at, n), p->ns / second, p->ns % second);
}

static void print_found(const struct bisect *b, const struct step *s)
{
    char entry[128], n[MOMENT_TEXT];

    print_when(b, &s->first);
    printf("%s\n  made so by  ", b->args->first_ever ? "" : " on");
    if (s->entered) {
        describe_entry(s, entry, sizeof(entry));
        printf("the entry into %s, at\n              ", entry);
    }
    print_rip(&s->before);
    printf("  %s\n  there       instruction %s, CPL %u\n", s->before.code[0] != '\0' ? s->before.code : "(not mapped)",
           moment_text(s->before.at, n), s->before.cpl);
    print_words(s);
    fputs("  next        ", stdout);
    print_rip(&s->first);
    printf(", CPL %u\n", s->first.cpl);
    print_probes(b);
    print_debug_command(b, s->first.at);
}

/* --- JSON --- */

static void json_place(const struct place *p)
{
    printf("{\"icount\": %" PRIu64 ", \"entries\": %" PRIu32 ", \"vns\": %" PRIu64 ", \"rip\": %" PRIu64
           ", \"cpl\": %u, \"symbol\": ",
           p->at.icount, p->at.entries, p->ns, p->rip, p->cpl);
    if (p->symbol[0] != '\0')
        json_string(stdout, p->symbol);
    else
        fputs("null", stdout);
    fputs(", \"instruction\": ", stdout);
    if (p->code[0] != '\0')
        json_string(stdout, p->code);
    else
        fputs("null", stdout);
    putchar('}');
}

static void json_value(const struct word *w, unsigned when)
{
    if (w->known[when])
        printf("%" PRIu64, w->value[when]);
    else
        fputs("null", stdout);
}

static void json_step(const struct step *s)
{
    char entry[128];

    fputs(", \"first\": ", stdout);
    json_place(&s->first);
    fputs(", \"before\": ", stdout);
    json_place(&s->before);
    fputs(", \"entry\": ", stdout);
    if (s->entered) {
        describe_entry(s, entry, sizeof(entry));
        json_string(stdout, entry);
    } else {
        fputs("null", stdout);
    }
    fputs(", \"memory\": [", stdout);
    for (size_t i = 0; i < s->nwords; i++) {
        const struct word *w = &s->words[i];

        printf("%s{\"address\": %" PRIu64 ", \"physical\": %s, \"bytes\": %u, \"before\": ", i > 0 ? ", " : "",
               w->address, w->physical ? "true" : "false", w->bytes);
        json_value(w, 0);
        fputs(", \"after\": ", stdout);
        json_value(w, 1);
        putchar('}');
    }
    putchar(']');
}

static void json_begin(const struct bisect *b, const char *answer)
{
    printf("{\"answer\": \"%s\", \"%s\": ", answer,
           b->args->when != NULL ? "when" : b->args->run != NULL ? "run" : "gdb_script");
    json_string(stdout, subject(b));
    printf(", \"probes\": %" PRIu64, b->probes);
}

/* --- answers --- */

static int report_found(struct bisect *b, const struct bisect_result *r)
{
    struct step s;
    enum timeline_status status = look_at_step(b, r, &s);

    if (status != TIMELINE_THERE)
        return bisect_failed(b, status);
    if (b->args->json) {
        json_begin(b, "found");
        json_step(&s);
        puts("}");
    } else {
        print_found(b, &s);
    }
    return EXIT_DONE;
}

/* It is so at one place, and there is no step to be shown. */
static int report_place(struct bisect *b, struct moment at, const char *answer, const char *more, int rc)
{
    enum timeline_status status = timeline_seek(b->t, at);
    struct place p;

    if (status != TIMELINE_THERE && status != TIMELINE_END)
        return bisect_failed(b, status);
    p = look_at_place(b);
    if (b->args->json) {
        json_begin(b, answer);
        fputs(", \"first\": ", stdout);
        json_place(&p);
        puts("}");
        return rc;
    }
    print_when(b, &p);
    printf("%s\n  there       ", more);
    print_rip(&p);
    printf(", CPL %u\n", p.cpl);
    print_debug_command(b, p.at);
    return rc;
}

static int report_never(const struct bisect *b)
{
    if (player_end(timeline_player(b->t)) == NULL)
        cli_error("%s: the recording is cut off, this is what there is of it", b->args->trace);
    if (b->args->json) {
        json_begin(b, "never");
        puts("}");
    } else if (b->when == NULL) {
        printf("%s: good at the end: there is nothing to be found\n", subject(b));
    } else if (b->args->first_ever || expr_is_lasting(condition_expr(b->when))) {
        printf("%s: never holds\n", subject(b));
    } else {
        printf("%s: does not hold at the end, nor at any of %" PRIu64 " places that were asked; --first-ever asks "
               "at every one\n", subject(b), b->probes);
    }
    return EXIT_NO;
}

static const char *why_undecided(const struct bisect_result *r)
{
    if (r->never_good && r->never_bad)
        return "nothing that was tried is good or bad";
    if (r->never_good)
        return "nothing that was tried is good";
    return r->never_bad ? "nothing that was tried is bad" : "what was tried between them was skipped";
}

/* Null: there is no such moment. */
static void json_bound(const char *name, struct moment at, bool known)
{
    if (known)
        printf(", \"%s\": %" PRIu64, name, at.icount);
    else
        printf(", \"%s\": null", name);
}

static int report_undecided(const struct bisect *b, const struct bisect_result *r)
{
    char from[MOMENT_TEXT], to[MOMENT_TEXT];

    if (b->args->json) {
        json_begin(b, "undecided");
        json_bound("after", r->before, !r->never_good);
        json_bound("at_latest", r->first, !r->never_bad);
        puts("}");
    } else {
        printf("%s: %s at instruction %s, %s at %s, and %s; asked %" PRIu64 " times\n", subject(b),
               r->never_good ? "skipped" : "good", moment_text(r->before, from), r->never_bad ? "skipped" : "bad",
               moment_text(r->first, to), why_undecided(r), b->probes);
    }
    return EXIT_NO;
}

int bisect_report(struct bisect *b, const struct bisect_result *r)
{
    switch (r->answer) {
    case BISECT_FOUND: return report_found(b, r);
    case BISECT_AT_BEGIN:
        return report_place(b, r->first, "begin", b->args->first_ever ? ", where the search begins" : " on already, where the search begins", EXIT_DONE);
    case BISECT_NOT_LASTING:
        return report_place(b, r->first, "not lasting",
                            ", but not at the end: it does not last. --first-ever finds its first moment", EXIT_NO);
    case BISECT_UNDECIDED: return report_undecided(b, r);
    case BISECT_NEVER: break;
    }
    return report_never(b);
}
