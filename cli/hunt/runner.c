/* SPDX-License-Identifier: MIT */
/* Running a machine for a hunt: runner.h. */
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <devices/pc.h>
#include <emu/cpu.h>
#include <emu/machine.h>
#include <replay/expr.h>
#include <replay/pattern.h>
#include <replay/recorder.h>
#include <replay/rewind.h>

#include "../guest_symbols.h"
#include "../live.h"
#include "../report.h"
#include "inputs.h"
#include "site.h"

struct runner {
    const struct hunt_plan *plan;
    struct machine *m;
    struct rewind *rewind;   /* NULL: runner_prepare() was not called */
    bool used;               /* the machine is not at power-on */
    struct failure *failure;
    bool symbols;            /* the condition has some */
    struct pattern *until, *after;
    struct inputs inputs;
    struct site_watch site;
    struct runner_time time;
};

/* --- time in machines --- */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static struct runner_time now(void)
{
    return (struct runner_time){.wall_ns = clock_ns(CLOCK_MONOTONIC), .cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID)};
}

static void add_time_since(struct runner *r, struct runner_time start)
{
    struct runner_time end = now();

    r->time.wall_ns += end.wall_ns - start.wall_ns;
    r->time.cpu_ns += end.cpu_ns - start.cpu_ns;
}

/* --- listening --- */

static void on_serial(void *opaque, unsigned port, const uint8_t *data, size_t len)
{
    struct runner *r = opaque;

    failure_serial_out(r->failure, port, data, len);
    inputs_output(&r->inputs, port, data, len);
    site_output(&r->site, port, data, len);
}

static void on_debug(void *opaque, uint16_t port, uint8_t byte)
{
    struct runner *r = opaque;

    (void)port;
    failure_debug_out(r->failure, byte);
    inputs_output(&r->inputs, OUTPUT_LINES_DEBUG, &byte, 1);
    site_output(&r->site, OUTPUT_LINES_DEBUG, &byte, 1);
}

static struct machine_observer listener(struct runner *r)
{
    return (struct machine_observer){.serial_out = on_serial, .debug_out = on_debug, .opaque = r};
}

/* --- life cycle --- */

/* Symbols mean nothing before a guest runs; that there are some is what matters here. */
static bool find_any(void *opaque, const char *name, uint64_t *address)
{
    struct runner *r = opaque;

    (void)name;
    r->symbols = true;
    *address = 0;
    return true;
}

static int parse_pattern(const char *option, const char *text, struct pattern **out, char *err, size_t errlen)
{
    char why[256];

    *out = NULL;
    if (text == NULL || (*out = pattern_parse(text, why, sizeof(why))) != NULL)
        return 0;
    snprintf(err, errlen, "%s: %s", option, why);
    return -1;
}

static int create_judges(struct runner *r, char *err, size_t errlen)
{
    const struct hunt_plan *plan = r->plan;
    struct expr_names names = {.find = find_any, .opaque = r};

    r->failure = failure_create(&plan->failure, &names, err, errlen);
    if (r->failure == NULL || parse_pattern("--until", plan->until_output, &r->until, err, errlen) != 0 ||
        parse_pattern("--stdin-after", plan->stdin_after, &r->after, err, errlen) != 0)
        return -1;
    r->inputs = (struct inputs){.input = plan->input,
                                .len = plan->input_len,
                                .failure = r->failure,
                                .ignore_panic = plan->machine.ignore_panic};
    if (inputs_init(&r->inputs, r->after, r->until) == 0)
        return 0;
    snprintf(err, errlen, "out of memory");
    return -1;
}

static struct machine *create_machine(const struct runner *r, char *err, size_t errlen)
{
    struct machine_config config = r->plan->machine.config;

    config.perturb = (struct perturb_config){.seed = 0};
    return machine_create(&config, &pc_board, err, errlen);
}

struct runner *runner_create(const struct hunt_plan *plan, char *err, size_t errlen)
{
    struct runner *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        snprintf(err, errlen, "out of memory");
        return NULL;
    }
    r->plan = plan;
    r->m = create_machine(r, err, errlen);
    if (r->m == NULL || create_judges(r, err, errlen) != 0) {
        runner_destroy(r);
        return NULL;
    }
    return r;
}

void runner_destroy(struct runner *r)
{
    if (r == NULL)
        return;
    rewind_destroy(r->rewind);
    machine_destroy(r->m);
    inputs_fini(&r->inputs);
    failure_destroy(r->failure);
    pattern_destroy(r->until);
    pattern_destroy(r->after);
    free(r);
}

struct runner_time runner_time(const struct runner *r)
{
    return r->time;
}

/* --- power-on --- */

/* The digest first: from there on it is kept up to date by what is stored to. */
int runner_prepare(struct runner *r, char *err, size_t errlen)
{
    machine_digest(r->m);
    r->rewind = rewind_create(r->m);
    if (r->rewind != NULL)
        return 0;
    snprintf(err, errlen, "out of memory");
    return -1;
}

/* The machine of run n at power-on. */
static int power_on(struct runner *r, uint64_t run, char *err, size_t errlen)
{
    struct perturb_config perturb = r->plan->machine.config.perturb;

    if (r->used && rewind_back(r->rewind) != 0) {
        snprintf(err, errlen, "out of memory");
        return -1;
    }
    if (r->plan->vary_seed &&
        machine_reseed(r->m, hunt_plan_machine_seed(r->plan, run), err, errlen) != 0)
        return -1;
    r->used = true;
    perturb.seed = hunt_plan_seed(r->plan, run);
    machine_perturb(r->m, perturb.seed != 0 ? &perturb : &(struct perturb_config){.seed = 0});
    inputs_begin(&r->inputs, r->m);
    failure_begin(r->failure);
    site_begin(&r->site);
    return 0;
}

/* --- the end --- */

static void ignore_warning(void *opaque, const char *text)
{
    (void)opaque, (void)text;
}

static struct guest_symbols *look_at_symbols(const struct runner *r)
{
    char err[256];
    struct guest_symbols *g = guest_symbols_create(NULL, NULL, err, sizeof(err));

    if (g != NULL)
        guest_symbols_look(g, r->m, ignore_warning, NULL);
    return g;
}

static bool find_symbol(void *opaque, const char *name, uint64_t *address)
{
    return guest_symbols_find(opaque, name, address);
}

/* A symbol that the guest does not have, or not yet, makes the condition false; in the run that all are compared with
 * it is a mistake. */
static int judge(struct runner *r, bool must_end, struct hunt_result *out, char *err, size_t errlen)
{
    struct guest_symbols *g = r->symbols ? look_at_symbols(r) : NULL;
    struct expr_names names = {.find = g != NULL ? find_symbol : NULL, .opaque = g};
    int rc = r->symbols ? failure_rename(r->failure, &names, err, errlen) : 0;

    out->failed = rc == 0 && failure_judge(r->failure, r->m, out->why);
    guest_symbols_destroy(g);
    if (!failure_given(&r->plan->failure))
        out->failed |= out->overlong && must_end;
    return rc != 0 && out->run == 0 ? -1 : 0;
}

static void say_how(const struct runner *r, const struct hunt_result *out, char *how, size_t len)
{
    switch (out->why) {
    case STOP_TRIPLE_FAULT:
        snprintf(how, len, "triple fault (%s)", report_exception_name(r->m->cpus[0].exc_vector));
        break;
    case STOP_EXIT: snprintf(how, len, "exit %u", out->exit_code); break;
    case STOP_LIVELOCK: snprintf(how, len, "exceptions for ever"); break;
    case STOP_ICOUNT:
        snprintf(how, len, "%s%s", out->overlong ? "does not end" : "cut at the limit",
                 out->panicked ? ", panic" : r->m->cpus[0].halted ? ", asleep" : "");
        break;
    default:
        if (out->panicked)
            snprintf(how, len, "panic");
        else if (out->why == STOP_USER)
            snprintf(how, len, "printed");
        else
            snprintf(how, len, "%s", machine_stop_name(out->why));
    }
}

/* The function that the machine is in, without an offset; "" when it is not known. */
static void find_function(const struct runner *r, char *out, size_t len)
{
    const struct cpu *cpu = &r->m->cpus[0];
    struct guest_symbols *g = look_at_symbols(r);
    char text[256];

    out[0] = '\0';
    if (g != NULL && guest_symbols_describe(g, cpu->seg[SEG_CS].base + cpu->rip, text, sizeof(text)))
        site_normalise(text, out, len);
    guest_symbols_destroy(g);
}

/* Where a run was ended by us says nothing. */
static void describe_site(struct runner *r, struct hunt_result *out)
{
    char how[64], function[SITE_PART] = "";

    say_how(r, out, how, sizeof(how));
    if (r->site.function[0] == '\0' && out->why != STOP_ICOUNT && out->why != STOP_USER)
        find_function(r, function, sizeof(function));
    site_describe(&r->site, how, failure_line(r->failure), function, out->site);
}

static int finish(struct runner *r, uint64_t run, enum machine_stop why, bool must_end, struct hunt_result *out,
                  char *err, size_t errlen)
{
    const struct machine *m = r->m;

    *out = (struct hunt_result){
        .run = run,
        .seed = m->config.perturb.seed,
        .machine_seed = m->config.seed,
        .why = why,
        .exit_code = why == STOP_EXIT ? m->exit_code : 0,
        .status = (uint8_t)report_status(m, why),
        .panicked = pc_has_panicked(pc_of(m)),
        .overlong = why == STOP_ICOUNT && r->plan->until_icount == 0,
        .icount = m->clock.icount,
        .vns = clock_now_ns(&m->clock),
        .digest = machine_digest(r->m),
    };
    if (judge(r, must_end, out, err, errlen) != 0)
        return -1;
    if (out->failed)
        describe_site(r, out);
    return 0;
}

/* --- running --- */

int runner_run(struct runner *r, uint64_t run, struct runner_limit limit, struct hunt_result *out, char *err,
               size_t errlen)
{
    struct live live = {.no_reboot = r->plan->machine.no_reboot};
    struct machine_observer observer = listener(r);
    struct runner_time start;
    enum machine_stop why;

    if (power_on(r, run, err, errlen) != 0)
        return -1;
    machine_set_observer(r->m, &observer);
    live.m = r->m;
    start = now();
    why = live_run_to(&live, (struct moment){.icount = limit.icount});
    add_time_since(r, start);
    return finish(r, run, why, limit.must_end, out, err, errlen);
}

struct recorder *runner_open_recording(struct runner *r, uint64_t run, const char *path,
                                       struct runner_limit limit, char *err, size_t errlen)
{
    struct recorder_options how = {
        .struct_size = sizeof(how),
        .until_icount = limit.icount,
        .no_reboot = r->plan->machine.no_reboot,
        .outputs = listener(r),
    };

    if (power_on(r, run, err, errlen) != 0)
        return NULL;
    return recorder_create(r->m, path, &how, err, errlen);
}

int runner_record(struct runner *r, struct recorder *recorder, uint64_t run, struct runner_limit limit,
                  struct hunt_result *out, char *err, size_t errlen)
{
    struct runner_time start = now();
    enum machine_stop why = recorder_run(recorder);

    add_time_since(r, start);
    if (recorder_finish(recorder, why, err, errlen) != 0)
        return -1;
    return finish(r, run, why, limit.must_end, out, err, errlen);
}
