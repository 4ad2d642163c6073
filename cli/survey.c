/* SPDX-License-Identifier: MIT */
/* What happened in a recorded run: survey.h. */
#include "survey.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <devices/pc.h>
#include <emu/cpu.h>
#include <emu/registers.h>
#include <replay/expr.h>
#include <replay/output_log.h>
#include <replay/player.h>
#include <replay/pool.h>

#include "cli.h"
#include "guest_symbols.h"
#include "numbers.h"
#include "report.h"
#include "sandbox.h"

/* --- judging --- */

/* Until the guest is up its symbols are not to be had: any name will do. */
static bool find_any(void *opaque, const char *name, uint64_t *address)
{
    (void)opaque;
    (void)name;
    *address = 0;
    return true;
}

static void no_warning(void *opaque, const char *text)
{
    (void)opaque;
    (void)text;
}

/* Finding all of a Linux kernel's symbols takes longer than many a run. */
struct naming {
    struct guest_symbols *symbols;
    const struct machine *m;
    bool looked;
};

static bool find_symbol(void *opaque, const char *name, uint64_t *address)
{
    struct naming *n = opaque;

    if (!n->looked)
        guest_symbols_look(n->symbols, n->m, no_warning, NULL);
    n->looked = true;
    return guest_symbols_find(n->symbols, name, address);
}

struct failure *survey_judge_create(const struct failure_options *o, char *err, size_t errlen)
{
    return failure_create(o, &(struct expr_names){.find = find_any}, err, errlen);
}

void survey_tell_past(struct failure *f, const struct output_log *log, uint64_t icount)
{
    struct output_line line;

    for (size_t i = 0; output_log_line(log, i, &line) && line.icount < icount; i++) {
        bool debug = line.port == OUTPUT_DEBUG_PORT;

        for (size_t k = 0; debug && k < line.len; k++)
            failure_debug_out(f, (uint8_t)line.text[k]);
        if (debug)
            failure_debug_out(f, '\n');
        else
            failure_serial_out(f, line.port, (const uint8_t *)line.text, line.len);
        if (!debug && line.complete)
            failure_serial_out(f, line.port, (const uint8_t *)"\n", 1);
    }
}

void survey_judge(struct verdict *v, struct failure *f, struct guest_symbols *symbols, struct machine *m,
                  enum machine_stop why)
{
    struct naming naming = {.symbols = symbols, .m = m};
    const char *line;

    v->why = why;
    v->status = report_status(m, why);
    v->icount = m->clock.icount;
    v->vns = clock_now_ns(&m->clock);
    v->rip = cpu_linear_rip(&m->cpus[0]);
    if (failure_rename(f, &(struct expr_names){.find = find_symbol, .opaque = &naming}, v->error,
                       sizeof(v->error)) != 0)
        return;
    v->failed = failure_judge(f, m, why);
    line = failure_line(f);
    if (line != NULL)
        snprintf(v->line, sizeof(v->line), "%s", line);
}

void survey_describe(const struct verdict *v, char *out, size_t len)
{
    char n[NUMBER_TEXT];

    snprintf(out, len, "%s%s%s (%s, status %d) at instruction %s", v->line[0] != '\0' ? "printed \"" : "ended",
             v->line, v->line[0] != '\0' ? "\" and ended" : "",
             v->stopped_short ? "cut short" : machine_stop_name(v->why), v->status, number_text(v->icount, n));
}

/* --- in the process that runs the guest --- */

struct surveyor {
    struct survey *s;
    const struct survey_options *options;
    struct script_collector collector;
    struct failure *failure;
    size_t places_room, interrupts_room;
    int fd; /* what it has seen goes here */
};

static struct place here(const struct machine *m)
{
    return (struct place){.at = machine_moment(m),
                          .vns = clock_now_ns(&m->clock),
                          .rip = cpu_linear_rip(&m->cpus[0]),
                          .rsp = m->cpus[0].regs[REG_RSP]};
}

/* Makes room for `n` elements; false: out of memory. */
static bool grow(void **list, size_t *room, size_t n, size_t size)
{
    size_t more = *room == 0 ? 256 : 2 * *room;
    void *p;

    if (n <= *room)
        return true;
    while (more < n)
        more *= 2;
    p = realloc(*list, more * size);
    if (p == NULL)
        return false;
    *list = p;
    *room = more;
    return true;
}

static void on_event(void *opaque, const struct input *in)
{
    struct surveyor *y = opaque;
    struct survey *s = y->s;
    size_t from = s->script.n;

    script_collect(&y->collector, in);
    if (!grow((void **)&s->places, &y->places_room, s->script.n, sizeof(*s->places))) {
        y->collector.failed = true;
        return;
    }
    for (size_t i = from; i < s->script.n; i++)
        s->places[i] = here(y->collector.m);
}

static void on_interrupt(void *opaque, uint64_t icount, struct intr_ack ack)
{
    struct surveyor *y = opaque;
    struct survey *s = y->s;

    (void)icount;
    if (!grow((void **)&s->interrupts, &y->interrupts_room, s->ninterrupts + 1, sizeof(*s->interrupts))) {
        y->collector.failed = true;
        return;
    }
    s->interrupts[s->ninterrupts++] = (struct surveyed_interrupt){
        .place = here(y->collector.m), .vector = ack.vector, .source = ack.source};
}

static void on_serial(void *opaque, unsigned port, const uint8_t *data, size_t len)
{
    failure_serial_out(((struct surveyor *)opaque)->failure, port, data, len);
}

static void on_debug(void *opaque, uint16_t port, uint8_t byte)
{
    (void)port;
    failure_debug_out(((struct surveyor *)opaque)->failure, byte);
}

static void name_place(struct guest_symbols *symbols, struct place *p)
{
    if (!guest_symbols_describe(symbols, p->rip, p->symbol, sizeof(p->symbol)))
        p->symbol[0] = '\0';
}

static enum machine_stop reason_of(const struct player *p)
{
    const struct trace_end *end = player_end((struct player *)p);

    for (int why = 0; end != NULL && why < STOP_REASON_COUNT; why++)
        if (strcmp(end->reason, machine_stop_name((enum machine_stop)why)) == 0)
            return (enum machine_stop)why;
    return STOP_SOURCE;
}

static void replay(struct surveyor *y)
{
    struct survey *s = y->s;
    struct player *p = s->player;
    enum player_status status;
    const struct player_divergence *d;

    player_set_outputs(p, &(struct machine_observer){.input = on_event,
                                                     .perturbed = on_event,
                                                     .interrupt = on_interrupt,
                                                     .serial_out = on_serial,
                                                     .debug_out = on_debug,
                                                     .opaque = y});
    failure_begin(y->failure);
    status = player_run(p, UINT64_MAX);
    d = player_divergence(p);
    if (y->collector.failed)
        snprintf(s->verdict.error, sizeof(s->verdict.error), "out of memory");
    else if (status == PLAYER_DIVERGED)
        snprintf(s->verdict.error, sizeof(s->verdict.error), "the replay diverged at instruction %" PRIu64,
                 d->icount);
    else if (status == PLAYER_ERROR)
        snprintf(s->verdict.error, sizeof(s->verdict.error), "%s", player_error(p));
    else
        survey_judge(&s->verdict, y->failure, y->options->symbols, player_machine(p), reason_of(p));
}

/* --- from there to here --- */

struct survey_counts {
    uint64_t events, interrupts;
};

static bool write_events(FILE *f, const struct survey *s)
{
    for (size_t i = 0; i < s->script.n; i++) {
        const struct script_event *e = &s->script.events[i];

        if (fwrite(e, sizeof(*e), 1, f) != 1 || fwrite(e->data, 1, e->len, f) != e->len ||
            fwrite(&s->places[i], sizeof(s->places[i]), 1, f) != 1)
            return false;
    }
    return true;
}

static bool write_survey(FILE *f, const struct survey *s)
{
    struct survey_counts counts = {s->script.n, s->ninterrupts};

    return fwrite(&counts, sizeof(counts), 1, f) == 1 && write_events(f, s) &&
           fwrite(s->interrupts, sizeof(*s->interrupts), s->ninterrupts, f) == s->ninterrupts && fflush(f) == 0;
}

static void survey_in_job(void *opaque, size_t i, void *result)
{
    struct surveyor *y = opaque;
    struct survey *s = y->s;
    FILE *f = fdopen(y->fd, "w");

    (void)i;
    replay(y);
    guest_symbols_look(y->options->symbols, player_machine(s->player), no_warning, NULL);
    for (size_t k = 0; k < s->script.n; k++)
        name_place(y->options->symbols, &s->places[k]);
    for (size_t k = 0; k < s->ninterrupts; k++)
        name_place(y->options->symbols, &s->interrupts[k].place);
    if (s->verdict.error[0] == '\0' && (f == NULL || !write_survey(f, s)))
        snprintf(s->verdict.error, sizeof(s->verdict.error), "out of memory");
    memcpy(result, &s->verdict, sizeof(s->verdict));
}

static bool read_events(FILE *f, struct survey *s, uint64_t n)
{
    uint8_t data[INPUT_MAX_BYTES];

    for (uint64_t i = 0; i < n; i++) {
        struct script_event e;

        if (fread(&e, sizeof(e), 1, f) != 1 || e.len > sizeof(data) || fread(data, 1, e.len, f) != e.len)
            return false;
        e.data = data;
        if (script_add(&s->script, &e) != 0 || fread(&s->places[i], sizeof(s->places[i]), 1, f) != 1)
            return false;
    }
    return true;
}

static bool read_survey(FILE *f, struct survey *s)
{
    struct survey_counts counts;

    if (fread(&counts, sizeof(counts), 1, f) != 1 || counts.events > UINT32_MAX || counts.interrupts > UINT32_MAX)
        return false;
    s->places = calloc(counts.events + 1, sizeof(*s->places));
    s->interrupts = calloc(counts.interrupts + 1, sizeof(*s->interrupts));
    if (s->places == NULL || s->interrupts == NULL || !read_events(f, s, counts.events))
        return false;
    s->ninterrupts = counts.interrupts;
    return fread(s->interrupts, sizeof(*s->interrupts), s->ninterrupts, f) == s->ninterrupts;
}

static enum pool_next take_verdict(void *opaque, size_t i, const void *result)
{
    struct surveyor *y = opaque;
    struct verdict *v = &y->s->verdict;

    (void)i;
    if (result != NULL)
        memcpy(v, result, sizeof(*v));
    else
        snprintf(v->error, sizeof(v->error), "the process that replayed it died");
    return POOL_GO_ON;
}

static int collect(struct surveyor *y)
{
    struct pool pool = {.jobs = 1,
                        .result_bytes = sizeof(struct verdict),
                        .enter = y->options->no_sandbox ? NULL : sandbox_enter,
                        .work = survey_in_job,
                        .done = take_verdict,
                        .opaque = y};
    struct survey *s = y->s;
    char err[256];
    FILE *f;
    bool good;

    if (pool_run(&pool, 1, err, sizeof(err)) != 0) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    if (s->verdict.error[0] != '\0') {
        cli_error("%s: %s", s->path, s->verdict.error);
        return strstr(s->verdict.error, "diverged") != NULL ? EXIT_NO : EXIT_USAGE;
    }
    if (lseek(y->fd, 0, SEEK_SET) != 0 || (f = fdopen(y->fd, "r")) == NULL) {
        cli_error("%s: %s", s->path, strerror(errno));
        return EXIT_USAGE;
    }
    good = read_survey(f, s);
    fclose(f);
    y->fd = -1;
    if (!good)
        cli_error("%s: out of memory", s->path);
    return good ? EXIT_DONE : EXIT_USAGE;
}

int survey_trace(struct survey *s, const char *path, const struct survey_options *o)
{
    struct surveyor y = {.s = s, .options = o, .fd = -1};
    char err[512];
    int status = EXIT_USAGE;

    *s = (struct survey){.path = path};
    script_init(&s->script);
    s->player = player_open(path, &pc_board, err, sizeof(err));
    if (s->player == NULL || (y.failure = survey_judge_create(o->failure, err, sizeof(err))) == NULL) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    y.collector = (struct script_collector){.script = &s->script, .m = player_machine(s->player)};
    y.fd = memfd_create("survey", MFD_CLOEXEC);
    if (y.fd < 0)
        cli_error("no memory for what happens in %s: %s", path, strerror(errno));
    else
        status = collect(&y);
    if (y.fd >= 0)
        close(y.fd);
    failure_destroy(y.failure);
    return status;
}

void survey_fini(struct survey *s)
{
    if (s->path == NULL)
        return;
    script_fini(&s->script);
    free(s->places);
    free(s->interrupts);
    player_destroy(s->player);
    *s = (struct survey){.path = NULL};
}

const struct machine_config *survey_config(const struct survey *s)
{
    return &player_machine(s->player)->config;
}
