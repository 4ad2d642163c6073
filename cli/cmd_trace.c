/* SPDX-License-Identifier: MIT */
/*
 * `deja trace`: what one wishes one had traced, from an old recording: calls of functions, system calls,
 * accesses to devices, interrupts, faults, a line each, in the order of their instructions. cli/trace/trace.h says
 * how it is made.
 *
 * Names come first: those of a Linux guest can be read from its memory once it is up, so the recording is
 * gone through once before, to the end of what is looked at; with an index that is no work. Then the part that is
 * asked for is run from the nearest checkpoint.
 *
 * Exit status: 0; 1 the replay diverged (what came before is printed); 2 bad usage, no trace, or a damaged one.
 */
#include "cli.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <devices/pc.h>
#include <replay/timeline.h>

#include "console_term.h"
#include "guest_symbols.h"
#include "progress.h"
#include "sandbox.h"
#include "trace/trace.h"
#include "trace_cmd.h"

static const char usage[] = "deja trace TRACE [--functions F,...] [--syscalls] [--io [PORTS]] [--irqs] [--page-faults] "
                            "[--exceptions] [--msrs] [--crs] [--between A,B] [--cr3 X] [--json]";

static int bad_usage(const char *what, const char *arg)
{
    cli_error("trace: %s%s: %s", what, arg, usage);
    return EXIT_USAGE;
}

/* --- options --- */

static bool parse_hex(const char *text, char **end, uint64_t *value)
{
    if (!isxdigit((unsigned char)*text))
        return false;
    *value = strtoull(text, end, 16);
    return true;
}

/* "3f8,60-64,fee00000": hexadecimal. False, and nothing is set: it is none. */
static bool parse_ranges(const char *text, struct address_range *ranges, size_t *n)
{
    char *end;

    for (*n = 0; *n < TRACE_MAX_RANGES; text = end + 1) {
        struct address_range *r = &ranges[(*n)++];

        if (!parse_hex(text, &end, &r->first))
            return false;
        r->last = r->first;
        if (*end == '-' && (!parse_hex(end + 1, &end, &r->last) || r->last < r->first))
            return false;
        if (*end == '\0')
            return true;
        if (*end != ',')
            return false;
    }
    return false;
}

/* What follows --io is its list if it looks like one. */
static int parse_io(struct trace_options *o, const char *value, bool must)
{
    struct address_range ranges[TRACE_MAX_RANGES];
    size_t n;

    o->io = true;
    if (value == NULL || !parse_ranges(value, ranges, &n))
        return must ? -1 : 0;
    memcpy(o->io_ranges, ranges, n * sizeof(ranges[0]));
    o->io_nranges = n;
    return 1;
}

/* Options without a value. */
static bool parse_switch(struct trace_options *o, const char *arg)
{
    const struct {
        const char *name;
        bool *what;
    } switches[] = {
        {"syscalls", &o->syscalls}, {"irqs", &o->irqs},   {"page-faults", &o->page_faults},
        {"exceptions", &o->exceptions}, {"msrs", &o->msrs}, {"crs", &o->crs},
        {"no-symbols", &o->no_symbols},
    };

    for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
        if (!is_option(arg, switches[i].name))
            continue;
        *switches[i].what = true;
        return true;
    }
    return false;
}

static int take_cr3(struct trace_options *o, const char *value)
{
    char *end;

    if (!parse_hex(value, &end, &o->cr3) || *end != '\0')
        return bad_usage("--cr3 takes a hexadecimal number, not ", value);
    o->have_cr3 = true;
    return EXIT_DONE;
}

/* --io alone, with its list behind it, or with '='. 1: taken; 0: another option; -1: an error, which was said. */
static int take_io(struct trace_options *o, int argc, char **argv, int *i)
{
    const char *equals = strchr(argv[*i], '=');

    if (is_option(argv[*i], "io")) {
        *i += parse_io(o, *i + 1 < argc ? argv[*i + 1] : NULL, false);
        return 1;
    }
    if (strncmp(argv[*i], "--io=", 5) != 0 && strncmp(argv[*i], "-io=", 4) != 0)
        return 0;
    if (parse_io(o, equals + 1, true) > 0)
        return 1;
    bad_usage("--io takes hexadecimal addresses, as 3f8,60-64, not ", equals + 1);
    return -1;
}

static int parse_option(struct trace_options *o, int argc, char **argv, int *i)
{
    const char *value;
    int taken = take_io(o, argc, argv, i);

    if (taken == 0 && parse_switch(o, argv[*i]))
        return EXIT_DONE;
    if (taken == 0)
        taken = query_option(&o->query, argc, argv, i);
    if (taken == 0)
        taken = take_option("functions", "trace", argc, argv, i, &o->functions);
    if (taken == 0) {
        taken = take_option("cr3", "trace", argc, argv, i, &value);
        if (taken > 0)
            return take_cr3(o, value);
    }
    if (taken == 0)
        return bad_usage("unknown option: ", argv[*i]);
    return taken > 0 ? EXIT_DONE : EXIT_USAGE;
}

static int parse_args(struct trace_options *o, int argc, char **argv)
{
    *o = (struct trace_options){.trace = NULL};
    query_options_init(&o->query, "trace", 0);
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            int status = parse_option(o, argc, argv, &i);

            if (status != EXIT_DONE)
                return status;
        } else if (o->trace != NULL) {
            return bad_usage("takes one trace, this is a second: ", argv[i]);
        } else {
            o->trace = argv[i];
        }
    }
    if (o->trace == NULL)
        return bad_usage("needs a trace", "");
    if (o->functions == NULL && !o->syscalls && !o->io && !o->irqs && !o->page_faults && !o->exceptions &&
        !o->msrs && !o->crs)
        return bad_usage("needs something to trace", "");
    return EXIT_DONE;
}

/* --- running --- */

static bool progress_wanted; /* not among the records */

static void show_progress(void *opaque, const char *what, uint64_t done, uint64_t total)
{
    if (progress_wanted)
        progress_show(opaque, what, done, total);
}

static bool interrupted(void *opaque)
{
    const struct tracer *t = opaque;

    return t->failed || term_stop_asked() || ferror(stdout) != 0;
}

static bool on_hit(void *opaque, const struct debug_hit *hit)
{
    functions_hit(opaque, hit->rip);
    return false;
}

static void on_event(void *opaque, const struct watch_event *ev)
{
    struct tracer *t = opaque;

    if (t->functions != NULL)
        functions_event(t, ev);
    if (t->syscalls != NULL)
        syscalls_event(t, ev);
    if (t->handlers != NULL)
        handlers_event(t, ev);
    accesses_event(t, ev);
}

static uint32_t kinds_of(const struct trace_options *o)
{
    uint32_t kinds = 0;

    if (o->functions != NULL)
        kinds |= WATCH_BIT(WATCH_EXCEPTION) | WATCH_BIT(WATCH_INTERRUPT) | WATCH_BIT(WATCH_SOFT_INTERRUPT) |
                 WATCH_BIT(WATCH_SYSCALL) | WATCH_BIT(WATCH_USER_RETURN) | WATCH_BIT(WATCH_IRET);
    if (o->syscalls)
        kinds |= WATCH_BIT(WATCH_SYSCALL) | WATCH_BIT(WATCH_SOFT_INTERRUPT) | WATCH_BIT(WATCH_USER_RETURN);
    if (o->io)
        kinds |= WATCH_BIT(WATCH_PORT_READ) | WATCH_BIT(WATCH_PORT_WRITE) | WATCH_BIT(WATCH_MMIO_READ) |
                 WATCH_BIT(WATCH_MMIO_WRITE);
    if (o->irqs)
        kinds |= WATCH_BIT(WATCH_INTERRUPT) | WATCH_BIT(WATCH_IRET);
    if (o->page_faults || o->exceptions)
        kinds |= WATCH_BIT(WATCH_EXCEPTION) | WATCH_BIT(WATCH_IRET);
    if (o->exceptions)
        kinds |= WATCH_BIT(WATCH_SOFT_INTERRUPT);
    if (o->msrs)
        kinds |= WATCH_BIT(WATCH_MSR_READ) | WATCH_BIT(WATCH_MSR_WRITE);
    if (o->crs)
        kinds |= WATCH_BIT(WATCH_CR_WRITE);
    return kinds;
}

/* What a run's end means. */
static int verdict(const struct tracer *t, struct timeline *line, enum timeline_status status)
{
    const char *trace = t->options->trace;
    struct player *p = timeline_player(line);
    const struct player_divergence *d = player_divergence(p);

    if (t->failed) {
        cli_error("trace: out of memory");
        return EXIT_USAGE;
    }
    switch (status) {
    case TIMELINE_THERE: return EXIT_DONE;
    case TIMELINE_END:
        if (player_end(p) == NULL)
            cli_error("%s: the recording is cut off, this is what there is of it", trace);
        return EXIT_DONE;
    case TIMELINE_DIVERGED:
        cli_error("%s: the replay diverged at instruction %" PRIu64 ": expected %s, found %s", trace, d->icount,
                  d->expected, d->found);
        return EXIT_NO;
    case TIMELINE_INTERRUPTED: cli_error("trace: interrupted"); return EXIT_USAGE;
    default: cli_error("%s", timeline_error(line)); return EXIT_USAGE;
    }
}

static int set_points(struct timeline *line, const struct functions *f)
{
    struct debug_point *points = calloc(functions_points(f, NULL), sizeof(*points));
    int rc = points == NULL ? -1 : timeline_set_points(line, points, functions_points(f, points));

    free(points);
    return rc;
}

static uint64_t linear_rip(const struct cpu *cpu)
{
    return cpu_code_size(cpu) == CODE_64 ? cpu->rip : (uint32_t)(cpu->seg[SEG_CS].base + cpu->rip);
}

/* The machine stands at the beginning of what is asked for. */
static int run(struct tracer *t, struct timeline *line)
{
    const struct trace_options *o = t->options;
    enum timeline_status status;

    if (t->functions != NULL) {
        functions_hit(t, linear_rip(t->cpu)); /* breakpoints where a run begins do not count */
        t->failed = t->failed || set_points(line, t->functions) != 0;
        timeline_set_accept(line, on_hit, t);
    }
    if (t->failed)
        return verdict(t, line, TIMELINE_ERROR);
    machine_watch(t->m, &(struct machine_watcher){.kinds = kinds_of(o), .event = on_event, .opaque = t});
    status = timeline_run_forward(line, o->query.to);
    machine_watch(t->m, NULL);
    progress_end();
    if (t->functions != NULL)
        functions_end(t);
    if (t->syscalls != NULL)
        syscalls_end(t);
    out_flush(t);
    return verdict(t, line, status);
}

static void warn(void *opaque, const char *text)
{
    (void)opaque;
    cli_error("%s", text);
}

/* Has names of the guest read where they are known. The last status of going there. */
static enum timeline_status look_for_symbols(struct tracer *t, struct timeline *line)
{
    enum timeline_status status = TIMELINE_THERE;
    struct moment until = timeline_is_indexed(line) ? timeline_end_moment() : t->options->query.to;
    uint64_t offset;

    guest_symbols_look(t->symbols, t->m, warn, NULL); /* a kernel that is an ELF file */
    if (guest_symbols_table(t->symbols, &offset) == NULL) {
        status = timeline_seek(line, until);
        progress_end();
        guest_symbols_look(t->symbols, t->m, warn, NULL);
    }
    tasks_find(t);
    return status;
}

static int create_parts(struct tracer *t)
{
    const struct trace_options *o = t->options;
    char err[512] = "out of memory";

    if ((o->functions == NULL || functions_create(t, err, sizeof(err)) == 0) &&
        (!o->syscalls || syscalls_create(t) == 0) &&
        (!(o->irqs || o->page_faults || o->exceptions) || handlers_create(t) == 0))
        return EXIT_DONE;
    cli_error("trace: %s", err);
    return EXIT_USAGE;
}

static void destroy_parts(struct tracer *t)
{
    functions_destroy(t->functions);
    syscalls_destroy(t->syscalls);
    handlers_destroy(t->handlers);
}

static bool is_there(enum timeline_status status)
{
    return status == TIMELINE_THERE || status == TIMELINE_END;
}

static int trace(struct tracer *t, struct timeline *line)
{
    const struct trace_options *o = t->options;
    enum timeline_status status = TIMELINE_THERE;
    uint64_t length;
    int code;

    if (!o->no_symbols)
        status = look_for_symbols(t, line);
    if (is_there(status) && (code = create_parts(t)) != EXIT_DONE)
        return code;
    if (is_there(status))
        status = timeline_seek(line, o->query.from);
    progress_end();
    if (!is_there(status))
        return verdict(t, line, status);
    if (t->m->clock.icount < o->query.from.icount && timeline_length(line, &length)) {
        cli_error("trace: --between begins behind the end of the recording, which has %" PRIu64 " instructions",
                  length);
        return EXIT_USAGE;
    }
    t->out = (struct trace_out){.json = o->query.json,
                                .who_column = t->tasks.known ? o->functions != NULL || o->syscalls || o->page_faults
                                                             : o->syscalls};
    progress_wanted = !isatty(STDOUT_FILENO);
    return run(t, line);
}

static int open_and_trace(const struct trace_options *o, struct guest_symbols *symbols)
{
    struct tracer t = {.options = o, .symbols = symbols};
    struct timeline_options how = {.struct_size = sizeof(how),
                                   .no_checkpoints = o->query.from.icount == 0,
                                   .interrupted = interrupted,
                                   .progress = show_progress,
                                   .opaque = &t};
    char err[512];
    struct timeline *line = timeline_open(o->trace, &pc_board, &how, err, sizeof(err));
    int status;

    if (line == NULL) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    if (timeline_index_note(line) != NULL)
        cli_error("%s", timeline_index_note(line));
    t.m = timeline_machine(line);
    t.cpu = &t.m->cpus[0];
    progress_wanted = true;
    term_take_signals();
    term_let_pipes_kill();
    status = o->query.no_sandbox ? EXIT_DONE : sandbox_enter();
    if (status == EXIT_DONE)
        status = trace(&t, line);
    destroy_parts(&t);
    timeline_destroy(line);
    return status;
}

int cmd_trace(int argc, char **argv)
{
    struct trace_options o;
    struct guest_symbols *symbols;
    char err[512];
    int status = parse_args(&o, argc, argv);

    if (status != EXIT_DONE)
        return status;
    symbols = guest_symbols_create(o.query.vmlinux, NULL, err, sizeof(err));
    if (symbols == NULL) {
        cli_error("trace: %s", err);
        return EXIT_USAGE;
    }
    guest_symbols_names_only(symbols);
    status = open_and_trace(&o, symbols);
    guest_symbols_destroy(symbols);
    return status;
}
