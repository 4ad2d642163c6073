/* SPDX-License-Identifier: MIT */
/* Runs with changed inputs: trials.h. */
#include "trials.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <devices/pc.h>
#include <emu/cpu.h>
#include <replay/pool.h>
#include <replay/recorder.h>
#include <replay/timeline.h>

#include "progress.h"
#include "sandbox.h"

#define WORTH_SEEKING 5000000u /* instructions: going to a moment of the base run costs about as much as these */

/* --- one run, in its own process --- */

struct runner {
    const struct trials *t;
    struct script script;
    struct machine_config config;
    struct script_run run;
    struct machine *m;
    struct failure *failure;
};

static void heard(struct runner *r, bool line_feed)
{
    if (r->t->failure->output != NULL && line_feed && failure_seen(r->failure))
        machine_request_stop(r->m, STOP_SOURCE); /* nothing that comes can change the verdict */
}

static void on_serial(void *opaque, unsigned port, const uint8_t *data, size_t len)
{
    struct runner *r = opaque;

    failure_serial_out(r->failure, port, data, len);
    heard(r, memchr(data, '\n', len) != NULL);
}

static void on_debug(void *opaque, uint16_t port, uint8_t byte)
{
    struct runner *r = opaque;

    (void)port;
    failure_debug_out(r->failure, byte);
    heard(r, byte == '\n');
}

static struct machine_observer listener(struct runner *r)
{
    return (struct machine_observer){.serial_out = on_serial, .debug_out = on_debug, .opaque = r};
}

/* Where it belongs among the others. */
static bool insert_event(struct script *s, const struct script_event *e)
{
    struct script_event last;
    size_t at;

    if (script_add(s, e) != 0)
        return false;
    last = s->events[s->n - 1];
    for (at = s->n - 1; at > 0 && moment_before(last.at, s->events[at - 1].at); at--)
        s->events[at] = s->events[at - 1];
    s->events[at] = last;
    return true;
}

/* --- where a run begins --- */

/* Runs are the same up to here, at least; both lists ascend. */
static uint64_t same_until(const struct script *a, const struct script *b)
{
    uint64_t until = UINT64_MAX;
    size_t i = 0;

    while (i < a->n && i < b->n && script_same_event(&a->events[i], &b->events[i]))
        i++;
    if (i < a->n)
        until = a->events[i].at.icount;
    if (i < b->n && b->events[i].at.icount < until)
        until = b->events[i].at.icount;
    return until;
}

static bool changes_machine(const struct transplant *t, const uint8_t *set)
{
    for (size_t c = 0; c < t->n && t->changes[c].kind != CHANGE_EVENT; c++)
        if (set[c])
            return true;
    return false;
}

/* The last icount before `limit` at which nothing came to the run: what came before has come, the rest has not. */
static uint64_t quiet_before(const struct script *s, uint64_t limit)
{
    uint64_t at = limit - 1;

    for (size_t i = s->n; i-- > 0;)
        if (s->events[i].at.icount == at)
            at--;
    return at;
}

/* The base run's machine, where it had executed `icount` instructions. */
static bool begin_there(struct runner *r, uint64_t icount, char *err, size_t errlen)
{
    struct timeline *t = r->t->base;

    timeline_after_fork(t);
    if (timeline_seek(t, (struct moment){.icount = icount}) != TIMELINE_THERE) {
        snprintf(err, errlen, "the replay of the run to be changed did not get to instruction %" PRIu64, icount);
        return false;
    }
    timeline_branch(t);
    r->m = timeline_machine(t);
    survey_tell_past(r->failure, timeline_outputs(t), icount);
    while (r->run.next < r->script.n && r->script.events[r->run.next].at.icount <= icount)
        r->run.next++;
    return true;
}

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How long it is the base run, which has come to its end when the first change may be still to come. */
static uint64_t same_as_base(const struct runner *r, const struct trial *trial)
{
    uint64_t same = same_until(r->t->transplant->base, &r->script), length;

    if (trial->until != 0)
        same = lower(same, trial->until);
    return r->t->base != NULL && timeline_length(r->t->base, &length) ? lower(same, length) : same;
}

static bool begin(struct runner *r, const struct trial *trial, char *err, size_t errlen)
{
    const struct transplant *tp = r->t->transplant;
    uint64_t same = same_as_base(r, trial);

    if (r->t->base != NULL && same > WORTH_SEEKING && same != UINT64_MAX && !changes_machine(tp, trial->set))
        return begin_there(r, quiet_before(&r->script, same), err, errlen);
    r->m = machine_create(&r->config, &pc_board, err, errlen);
    return r->m != NULL;
}

/* The machine with the changes made, at power-on or later. False: `err` says why. */
static bool prepare(struct runner *r, const struct trials *t, const struct trial *trial, char *err,
                    size_t errlen)
{
    struct machine_observer observer;

    *r = (struct runner){.t = t};
    script_init(&r->script);
    snprintf(err, errlen, "out of memory");
    if (transplant_apply(t->transplant, trial->set, &r->script, &r->config) != 0 ||
        (trial->more != NULL && !insert_event(&r->script, trial->more)))
        return false;
    r->run = (struct script_run){.script = &r->script,
                                 .until = {.icount = trial->until != 0 ? trial->until : t->limit_icount},
                                 .limit_ns = t->limit_ns,
                                 .no_reboot = t->no_reboot};
    r->failure = survey_judge_create(t->failure, err, errlen);
    if (r->failure == NULL)
        return false;
    failure_begin(r->failure);
    if (!begin(r, trial, err, errlen))
        return false;
    observer = listener(r);
    machine_set_observer(r->m, &observer);
    err[0] = '\0';
    return true;
}

static void judge(struct runner *r, struct verdict *v, enum machine_stop why)
{
    survey_judge(v, r->failure, r->t->symbols, r->m, why);
    v->stopped_short = why == STOP_ICOUNT || why == STOP_SOURCE;
}

static void run_trial(const struct trials *t, const struct trial *trial, struct verdict *v)
{
    struct runner r;

    if (prepare(&r, t, trial, v->error, sizeof(v->error)))
        judge(&r, v, script_play(&r.run, r.m));
}

/* --- many --- */

struct batch {
    struct trials *t;
    const struct trial *list;
    struct verdict *verdicts; /* of all, or NULL: */
    size_t lowest;            /* one that fails, */
    struct verdict *verdict;  /* and its verdict */
};

static void work(void *opaque, size_t i, void *result)
{
    const struct batch *b = opaque;

    run_trial(b->t, &b->list[i], result);
}

static enum pool_next done(void *opaque, size_t i, const void *result)
{
    struct batch *b = opaque;
    const struct verdict *v = result;

    b->t->count++;
    if (b->t->what != NULL)
        progress_show(NULL, b->t->what, b->t->count, 0);
    if (v == NULL)
        snprintf(b->t->error, sizeof(b->t->error), "a process that ran the guest died");
    else if (v->error[0] != '\0')
        snprintf(b->t->error, sizeof(b->t->error), "%s", v->error);
    if (b->t->error[0] != '\0')
        return POOL_STOP;
    if (b->verdicts != NULL)
        b->verdicts[i] = *v;
    else if (v->failed && i < b->lowest) {
        b->lowest = i;
        *b->verdict = *v;
        return POOL_DROP_LATER;
    }
    return POOL_GO_ON;
}

static int run_batch(struct trials *t, struct batch *b, size_t n)
{
    struct pool pool = {.jobs = t->jobs,
                        .result_bytes = sizeof(struct verdict),
                        .enter = t->no_sandbox ? NULL : sandbox_enter,
                        .work = work,
                        .done = done,
                        .opaque = b};

    t->error[0] = '\0';
    if (pool_run(&pool, n, t->error, sizeof(t->error)) != 0)
        return -1;
    return t->error[0] != '\0' ? -1 : 0;
}

int trials_run(struct trials *t, const struct trial *list, struct verdict *verdicts, size_t n)
{
    struct batch b = {.t = t, .list = list, .verdicts = verdicts};

    return run_batch(t, &b, n);
}

int trials_run_one(struct trials *t, const struct trial *trial, struct verdict *verdict)
{
    return trials_run(t, trial, verdict, 1);
}

size_t trials_first_failing(struct trials *t, const struct trial *list, size_t n, struct verdict *verdict)
{
    struct batch b = {.t = t, .list = list, .lowest = n, .verdict = verdict};

    return run_batch(t, &b, n) == 0 ? b.lowest : SIZE_MAX;
}

/* --- where an instruction is executed --- */

#define PAGE_BYTES 4096u  /* stacks are aligned to as much, at least: by less than that, their depths can be compared */
#define HITS_MAX   200000u /* behind: a loop that goes on and on is not gone through in search of what is alike */

/* Visits of one kind. */
struct kind {
    size_t before, after; /* of the moment that they are to be close to: how many were seen */
    struct visit first[VISITS_MAX], later[VISITS_MAX]; /* the last of those before, in a ring; the first after */
};

struct found {
    struct kind kinds[2]; /* others, and those alike */
    char error[200];
};

_Static_assert(sizeof(struct found) <= POOL_MAX_RESULT, "a pipe takes it at once");
_Static_assert(sizeof(struct verdict) <= POOL_MAX_RESULT, "a pipe takes it at once");

struct search {
    struct trials *t;
    const uint8_t *set;
    const struct place *like;
    struct found found;
};

static bool is_alike(const struct machine *m, const struct place *like)
{
    return ((m->cpus[0].regs[REG_RSP] ^ like->rsp) & (PAGE_BYTES - 1)) == 0;
}

static void note_visit(struct kind *k, struct visit now, uint64_t near)
{
    if (now.at.icount < near)
        k->first[k->before++ % VISITS_MAX] = now;
    else if (k->after < VISITS_MAX)
        k->later[k->after++] = now;
}

static void search_in_job(void *opaque, size_t i, void *result)
{
    const struct search *s = opaque;
    struct found *f = result;
    uint64_t near = s->like->at.icount, hits = 0;
    struct debug_point point = {.kind = DEBUG_EXEC, .address = s->like->rip, .length = 1};
    struct trial from = {.set = s->set, .until = near > TRIALS_NEAR ? near - TRIALS_NEAR : 1};
    struct runner r;

    (void)i;
    if (!prepare(&r, s->t, &from, f->error, sizeof(f->error)))
        return;
    r.run.until.icount = near + TRIALS_NEAR;
    machine_debug_insert(r.m, &point);
    while (script_play(&r.run, r.m) == STOP_DEBUG && f->kinds[true].after < VISITS_MAX && hits < HITS_MAX) {
        struct visit now = {machine_moment(r.m), clock_now_ns(&r.m->clock)};

        if (now.at.icount + TRIALS_NEAR >= near) /* that it came by here on the way is of no interest */
            note_visit(&f->kinds[is_alike(r.m, s->like)], now, near);
        hits += now.at.icount >= near;
        machine_debug_ignore(r.m);
    }
}

static enum pool_next take_found(void *opaque, size_t i, const void *result)
{
    struct search *s = opaque;

    (void)i;
    if (result != NULL)
        memcpy(&s->found, result, sizeof(s->found));
    else
        snprintf(s->found.error, sizeof(s->found.error), "a process that ran the guest died");
    return POOL_GO_ON;
}

static void add_visits(struct visits *out, const struct kind *k)
{
    for (size_t i = k->before < VISITS_MAX ? 0 : k->before - VISITS_MAX; i < k->before; i++)
        out->list[out->n++] = k->first[i % VISITS_MAX];
    for (size_t i = 0; i < k->after; i++)
        out->list[out->n++] = k->later[i];
}

int trials_find(struct trials *t, const uint8_t *set, const struct place *like, struct visits *out)
{
    struct search s = {.t = t, .set = set, .like = like};
    struct pool pool = {.jobs = 1,
                        .result_bytes = sizeof(struct found),
                        .enter = t->no_sandbox ? NULL : sandbox_enter,
                        .work = search_in_job,
                        .done = take_found,
                        .opaque = &s};

    if (pool_run(&pool, 1, t->error, sizeof(t->error)) != 0)
        return -1;
    if (s.found.error[0] != '\0') {
        snprintf(t->error, sizeof(t->error), "%s", s.found.error);
        return -1;
    }
    out->n = 0;
    add_visits(out, &s.found.kinds[true]);
    out->alike = out->n;
    add_visits(out, &s.found.kinds[false]);
    return 0;
}

/* --- recording one --- */

struct recording {
    struct trials *t;
    const struct trial *trial;
    const char *path;
    struct verdict *verdict;
};

static void record(struct runner *r, const struct recording *job, struct verdict *v)
{
    struct recorder_options how = {.struct_size = sizeof(how),
                                   .until_icount = job->trial->until,
                                   .no_reboot = r->t->no_reboot,
                                   .outputs = listener(r)};
    struct input_source source = script_source(&r->run);
    struct recorder *rec = recorder_create(r->m, job->path, &how, v->error, sizeof(v->error));
    enum machine_stop why;
    char err[200];

    if (rec == NULL)
        return;
    if (!r->t->no_sandbox && sandbox_enter() != 0) {
        snprintf(v->error, sizeof(v->error), "no sandbox");
        return;
    }
    machine_set_source(r->m, &source);
    why = recorder_run(rec);
    judge(r, v, why);
    if (recorder_finish(rec, why, err, sizeof(err)) != 0)
        snprintf(v->error, sizeof(v->error), "%s", err);
    recorder_destroy(rec);
}

static void record_in_job(void *opaque, size_t i, void *result)
{
    const struct recording *job = opaque;
    struct trials t = *job->t;
    struct verdict *v = result;
    struct runner r;

    (void)i;
    t.base = NULL; /* a recording begins at power-on */
    if (prepare(&r, &t, job->trial, v->error, sizeof(v->error)))
        record(&r, job, v);
}

static enum pool_next take_recording(void *opaque, size_t i, const void *result)
{
    struct recording *job = opaque;
    struct trials *t = job->t;

    (void)i;
    if (result == NULL) {
        snprintf(t->error, sizeof(t->error), "the process that recorded the guest died");
        return POOL_GO_ON;
    }
    memcpy(job->verdict, result, sizeof(*job->verdict));
    if (job->verdict->error[0] != '\0')
        snprintf(t->error, sizeof(t->error), "%s", job->verdict->error);
    return POOL_GO_ON;
}

int trials_record(struct trials *t, const struct trial *trial, const char *path, struct verdict *verdict)
{
    struct recording job = {.t = t, .trial = trial, .path = path, .verdict = verdict};
    struct pool pool = {.jobs = 1,
                        .result_bytes = sizeof(struct verdict),
                        .work = record_in_job,
                        .done = take_recording,
                        .opaque = &job};

    t->error[0] = '\0';
    if (pool_run(&pool, 1, t->error, sizeof(t->error)) != 0)
        return -1;
    return t->error[0] != '\0' ? -1 : 0;
}
