/* SPDX-License-Identifier: MIT */
/*
 * Recording a run: replay/recorder.h says what a trace holds.
 *
 * Invariants: 1. Events are appended in the order in which the machine lived through them; the
 * player takes that order as the truth. 2. Nothing here changes the machine: where a run is cut for
 * a digest is invisible to the guest. 3. After the writer's first error nothing more is appended,
 * and the machine has been asked to stop.
 */
#include <replay/recorder.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <replay/describe.h>
#include <traces/trace.h>

#include "machine_header.h"

struct recorder {
    struct machine *m;
    struct trace_writer *w;
    struct machine_observer outputs;
    char *path;
    uint64_t interval;
    uint64_t next_digest; /* icount; UINT64_MAX: none */
    uint64_t until;       /* icount; UINT64_MAX: none */
    bool no_reboot;
    bool started;
    int failure; /* 0, or the code with which the writer refused an event */
};

/* Keeps the first failure, and stops the run for it. */
static void appended(struct recorder *r, int rc)
{
    if (rc >= 0 || r->failure != 0)
        return;
    r->failure = rc;
    machine_request_stop(r->m, STOP_SOURCE);
}

/* --- observer --- */

static void on_input(void *opaque, const struct input *in)
{
    struct recorder *r = opaque;

    if (r->failure == 0)
        appended(r, trace_writer_input(r->w, in->icount, in->vns, in->kind, in->port, in->data,
                                       in->len));
    if (r->outputs.input != NULL)
        r->outputs.input(r->outputs.opaque, in);
}

static void on_interrupt(void *opaque, uint64_t icount, struct intr_ack ack)
{
    struct recorder *r = opaque;

    if (r->failure == 0)
        appended(r, trace_writer_interrupt(r->w, icount, ack.vector, ack.source));
    if (r->outputs.interrupt != NULL)
        r->outputs.interrupt(r->outputs.opaque, icount, ack);
}

static void on_serial_out(void *opaque, unsigned port, const uint8_t *data, size_t len)
{
    struct recorder *r = opaque;

    if (r->outputs.serial_out != NULL)
        r->outputs.serial_out(r->outputs.opaque, port, data, len);
}

static void on_debug_out(void *opaque, uint16_t port, uint8_t byte)
{
    struct recorder *r = opaque;

    if (r->outputs.debug_out != NULL)
        r->outputs.debug_out(r->outputs.opaque, port, byte);
}

static void on_post_code(void *opaque, uint8_t byte)
{
    struct recorder *r = opaque;

    if (r->outputs.post_code != NULL)
        r->outputs.post_code(r->outputs.opaque, byte);
}

static void on_perturbed(void *opaque, const struct input *in)
{
    struct recorder *r = opaque;

    if (r->outputs.perturbed != NULL)
        r->outputs.perturbed(r->outputs.opaque, in);
}

/* --- life cycle --- */

static struct trace_writer *create_writer(const struct recorder *r,
                                          const struct recorder_options *options, char *err,
                                          size_t errlen)
{
    struct trace_writer_options how = {
        .struct_size = sizeof(how),
        .sync = options->sync,
        .flush_interval_ms = options->flush_interval_ms,
    };
    struct machine_header h;
    struct trace_error terr;
    struct trace_writer *w;

    machine_header_init(&h, r->m, r->interval);
    w = trace_writer_create(r->path, &h.header, &how, &terr);
    if (w == NULL)
        replay_describe_error(r->path, &terr, err, errlen);
    return w;
}

struct recorder *recorder_create(struct machine *m, const char *path,
                                 const struct recorder_options *options, char *err, size_t errlen)
{
    static const struct recorder_options defaults = {.struct_size = sizeof(defaults)};
    struct recorder *r;

    if (options == NULL)
        options = &defaults;
    if (options->struct_size != sizeof(*options)) {
        snprintf(err, errlen, "recorder_create: wrong struct_size");
        return NULL;
    }
    r = calloc(1, sizeof(*r));
    if (r == NULL || (r->path = strdup(path)) == NULL) {
        snprintf(err, errlen, "out of memory");
        goto fail_free;
    }
    r->m = m;
    r->outputs = options->outputs;
    r->interval = options->digest_interval != 0 ? options->digest_interval
                                                : RECORDER_DIGEST_INTERVAL;
    r->until = options->until_icount != 0 ? options->until_icount : UINT64_MAX;
    r->no_reboot = options->no_reboot;
    r->w = create_writer(r, options, err, errlen);
    if (r->w == NULL)
        goto fail_free;
    machine_set_observer(m, &(struct machine_observer){
                                .input = on_input,
                                .interrupt = on_interrupt,
                                .serial_out = on_serial_out,
                                .debug_out = on_debug_out,
                                .post_code = on_post_code,
                                .perturbed = on_perturbed,
                                .opaque = r,
                            });
    return r;

fail_free:
    if (r != NULL)
        free(r->path);
    free(r);
    return NULL;
}

void recorder_destroy(struct recorder *r)
{
    if (r == NULL)
        return;
    machine_set_observer(r->m, &(struct machine_observer){.opaque = NULL});
    trace_writer_destroy(r->w);
    free(r->path);
    free(r);
}

/* --- running --- */

static void take_digest(struct recorder *r)
{
    uint64_t icount = r->m->clock.icount;

    appended(r, trace_writer_digest(r->w, icount, machine_digest(r->m)));
    r->next_digest = icount > UINT64_MAX - r->interval
                         ? UINT64_MAX
                         : icount - icount % r->interval + r->interval;
}

enum machine_stop recorder_run(struct recorder *r)
{
    return recorder_run_to(r, (struct moment){.icount = UINT64_MAX});
}

enum machine_stop recorder_run_to(struct recorder *r, struct moment until)
{
    char err[128];

    if (!r->started) {
        r->started = true;
        take_digest(r);
    }
    while (r->failure == 0) {
        uint64_t target = r->next_digest < r->until ? r->next_digest : r->until;
        bool ours = target <= until.icount; /* where the run is cut is no moment to anybody else */
        enum machine_stop why =
            machine_run_to(r->m, ours ? (struct moment){.icount = target} : until);

        if (r->failure != 0)
            break;
        if (why == STOP_ICOUNT && ours && r->m->clock.icount >= r->next_digest) {
            take_digest(r);
            if (!moment_before(machine_moment(r->m), until))
                return why;
        } else if (why == STOP_RESET && !r->no_reboot) {
            if (machine_reset(r->m, err, sizeof(err)) != 0)
                return why;
        } else {
            return why;
        }
    }
    return STOP_SOURCE;
}

bool recorder_failed(const struct recorder *r)
{
    return r->failure != 0;
}

static int write_end(struct recorder *r, enum machine_stop why)
{
    struct trace_end end = {
        .struct_size = sizeof(end),
        .exit_code = why == STOP_EXIT ? r->m->exit_code : 0,
        .icount = r->m->clock.icount,
        .vns = clock_now_ns(&r->m->clock),
        .digest = machine_digest(r->m),
    };

    snprintf(end.reason, sizeof(end.reason), "%s", machine_stop_name(why));
    return trace_writer_finish(r->w, &end);
}

int recorder_finish(struct recorder *r, enum machine_stop why, char *err, size_t errlen)
{
    struct trace_error terr;

    if (r->failure == 0)
        r->failure = write_end(r, why);
    if (r->failure == 0)
        return 0;
    if (trace_writer_error(r->w, &terr) == 0) /* not the disk: the writer refused an event */
        snprintf(terr.text, sizeof(terr.text), "an event was refused: %s",
                 trace_status_name(r->failure));
    replay_describe_error(r->path, &terr, err, errlen);
    return -1;
}
