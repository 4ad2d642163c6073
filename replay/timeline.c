/* SPDX-License-Identifier: MIT */
/*
 * Walking a recorded run forward, and to any moment: replay/timeline.h.
 *
 * Everything is made of two moves: put the machine back to a checkpoint, and run it forward to a moment.
 * Running forward goes in slices, so that it can be interrupted, and stops at each checkpoint that is on
 * its way, from where on RAM is tracked against that one.
 *
 * Wall time decides where checkpoints are taken, and nothing else: which there are changes how fast a
 * moment is reached, never its state.
 */
#include "timeline_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <emu/cpu.h>

#include "page_store.h"

#define SLICE           400000u   /* instructions between two looks at what else there is to do */
#define CHECKPOINT_NS   50000000u /* of running, between two checkpoints, */
#define CHECKPOINT_PART 30u       /* and at least so many times what taking one costs: for each page */
#define PAGE_COST_NS    600u      /* this much, where the host's memory is warm */
#define LOCAL_NS        3000000u  /* of scanning, between two local ones */

/* Local checkpoints are left so many instructions before a place that was sought. */
static const uint64_t rung_distance[] = {16777216, 8388608, 4194304, 2097152, 1048576, 524288, 262144,
                                         65536,    16384,   4096,    1024,    256,     64};
#define RUNGS (sizeof(rung_distance) / sizeof(rung_distance[0]))

static const char index_lost[] = "the index beside the trace cannot be read any more: remove it";

static uint64_t wall_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* --- life cycle --- */

void timeline_index_path(const char *trace_path, char *out, size_t outlen)
{
    snprintf(out, outlen, "%s.index", trace_path);
}

static void take_index(struct timeline *t)
{
    char path[4096];
    struct output_log *outputs = NULL;

    if (t->options.index_path != NULL)
        snprintf(path, sizeof(path), "%s", t->options.index_path);
    else
        timeline_index_path(t->path, path, sizeof(path));
    t->indexed = index_file_read(path, t->path, &t->checkpoints, &outputs, t->index_note,
                                 sizeof(t->index_note)) > 0;
    if (outputs == NULL)
        return;
    output_log_destroy(t->outputs);
    t->outputs = outputs;
    t->all_output = true;
}

const char *timeline_index_note(const struct timeline *t)
{
    return t->index_note[0] != '\0' ? t->index_note : NULL;
}

bool timeline_is_indexed(const struct timeline *t)
{
    return t->indexed;
}

int timeline_write_index(struct timeline *t, int fd, char *err, size_t errlen)
{
    return index_file_write(fd, &t->identity, &t->checkpoints,
                            timeline_knows_all_output(t) ? t->outputs : NULL, err, errlen);
}

/* --- what the guest prints --- */

/* The machine runs, and what it prints may be what it had printed before. */
static void keep_output(struct timeline *t, unsigned port, const uint8_t *data, size_t len)
{
    const struct clock *clock = &t->m->clock;

    if (clock->icount < t->frontier || t->all_output)
        return;
    if (output_log_add(t->outputs, port, clock->icount, clock_now_ns(clock), data, len) != 0)
        t->output_lost = true;
}

static void keep_serial(void *opaque, unsigned port, const uint8_t *data, size_t len)
{
    keep_output(opaque, port, data, len);
}

static void keep_debug(void *opaque, uint16_t port, uint8_t byte)
{
    (void)port;
    keep_output(opaque, OUTPUT_DEBUG_PORT, &byte, 1);
}

const struct output_log *timeline_outputs(const struct timeline *t)
{
    return t->outputs;
}

bool timeline_knows_all_output(const struct timeline *t)
{
    return t->all_output || (t->end.icount != UINT64_MAX && !t->output_lost);
}

struct timeline *timeline_open(const char *path, const struct machine_board *board,
                               const struct timeline_options *options, char *err, size_t errlen)
{
    struct timeline *t;

    if (options->struct_size != sizeof(*options)) {
        snprintf(err, errlen, "timeline_open: wrong struct_size");
        return NULL;
    }
    t = calloc(1, sizeof(*t));
    if (t == NULL) {
        snprintf(err, errlen, "out of memory");
        return NULL;
    }
    t->options = *options;
    t->end = timeline_end_moment();
    t->player = player_open(path, board, err, errlen);
    if (t->player == NULL)
        goto fail_free;
    t->m = player_machine(t->player);
    if (checkpoints_init(&t->checkpoints, t->player,
                         options->checkpoint_bytes != 0 ? options->checkpoint_bytes
                                                        : TIMELINE_DEFAULT_BYTES) != 0) {
        snprintf(err, errlen, "%s: out of memory for checkpoints", path);
        goto fail_player;
    }
    t->path = strdup(path);
    t->outputs = output_log_create();
    if (t->path == NULL || t->outputs == NULL) {
        snprintf(err, errlen, "out of memory");
        goto fail_checkpoints;
    }
    player_set_tap(t->player, &(struct machine_observer){.serial_out = keep_serial,
                                                         .debug_out = keep_debug,
                                                         .opaque = t});
    if (options->will_index && index_file_identify(path, &t->identity, err, errlen) != 0)
        goto fail_checkpoints;
    if (!options->no_index)
        take_index(t);
    return t;

fail_checkpoints:
    free(t->path);
    output_log_destroy(t->outputs);
    checkpoints_fini(&t->checkpoints);
fail_player:
    player_destroy(t->player);
fail_free:
    free(t);
    return NULL;
}

void timeline_destroy(struct timeline *t)
{
    if (t == NULL)
        return;
    checkpoints_fini(&t->checkpoints);
    player_destroy(t->player);
    output_log_destroy(t->outputs);
    free(t->points);
    free(t->path);
    free(t);
}

/* --- what there is to see --- */

struct machine *timeline_machine(const struct timeline *t)
{
    return t->m;
}

struct player *timeline_player(const struct timeline *t)
{
    return t->player;
}

struct moment timeline_now(const struct timeline *t)
{
    return machine_moment(t->m);
}

uint64_t timeline_frontier(const struct timeline *t)
{
    return t->frontier;
}

bool timeline_length(const struct timeline *t, uint64_t *icount)
{
    const struct trace_end *end = player_end(t->player);

    if (end != NULL)
        *icount = end->icount;
    else if (t->end.icount != UINT64_MAX)
        *icount = t->end.icount;
    else
        return false;
    return true;
}

const struct debug_hit *timeline_hit(const struct timeline *t)
{
    return &t->hit;
}

const char *timeline_error(const struct timeline *t)
{
    return t->error;
}

bool timeline_is_branch(const struct timeline *t)
{
    return t->branched;
}

struct moment timeline_branch_moment(const struct timeline *t)
{
    return t->branch_at;
}

enum machine_stop timeline_branch_stop(const struct timeline *t)
{
    return t->branch_stop;
}

struct timeline_checkpoints timeline_checkpoints(const struct timeline *t)
{
    return (struct timeline_checkpoints){.count = t->checkpoints.n,
                                         .bytes = checkpoints_bytes(&t->checkpoints),
                                         .budget = t->checkpoints.budget,
                                         .taken = t->checkpoints.taken,
                                         .dropped = t->checkpoints.dropped};
}

bool timeline_checkpoint_at(const struct timeline *t, size_t n, uint64_t *icount, size_t *pages)
{
    if (n >= t->checkpoints.n)
        return false;
    *icount = t->checkpoints.list[n]->icount;
    *pages = t->checkpoints.list[n]->npages;
    return true;
}

/* --- points --- */

int timeline_set_points(struct timeline *t, const struct debug_point *points, size_t n)
{
    struct debug_point *copy = malloc((n + 1) * sizeof(*copy));

    if (copy == NULL)
        return -1;
    if (n > 0)
        memcpy(copy, points, n * sizeof(*copy));
    free(t->points);
    t->points = copy;
    t->npoints = n;
    return 0;
}

void timeline_set_accept(struct timeline *t, timeline_accept_fn *fn, void *opaque)
{
    t->accept = fn;
    t->accept_opaque = opaque;
}

void timeline_arm(struct timeline *t, enum timeline_arming what, bool pass)
{
    machine_debug_clear(t->m);
    for (size_t i = 0; i < t->npoints && what != ARM_NONE; i++)
        if (what == ARM_ALL || t->points[i].kind != DEBUG_EXEC)
            machine_debug_insert(t->m, &t->points[i]);
    if (pass)
        machine_debug_pass(t->m);
}

/* --- checkpoints on the way --- */

/* The machine stands at (icount, 0), reached by running. */
static void take_checkpoint(struct timeline *t, bool local)
{
    checkpoints_take(&t->checkpoints, local);
    t->local_mark_ns = wall_ns();
    if (!local)
        t->wall_mark_ns = t->local_mark_ns;
}

/* Whether running since the last one was worth another. */
static bool worth_it(const struct timeline *t, uint64_t since_ns, uint64_t at_least_ns)
{
    return since_ns >= at_least_ns &&
           since_ns / CHECKPOINT_PART >= t->m->ram.ntouched * PAGE_COST_NS;
}

static void take_if_due(struct timeline *t, enum timeline_purpose purpose)
{
    uint64_t now = wall_ns();

    if (t->options.no_checkpoints)
        return;
    if (worth_it(t, now - t->wall_mark_ns, CHECKPOINT_NS))
        take_checkpoint(t, false);
    else if (purpose == TO_SCAN && worth_it(t, now - t->local_mark_ns, LOCAL_NS))
        take_checkpoint(t, true);
}

bool timeline_checkpoint(struct timeline *t)
{
    /* That a machine has stopped, or is to stop, is not part of its state: at the end it would run on. */
    if (t->branched || t->at_end || t->m->stop_request != STOP_ICOUNT ||
        machine_moment(t->m).entries != 0)
        return false;
    take_checkpoint(t, false);
    return !t->checkpoints.failed;
}

/* --- forward --- */

static void note_ground(struct timeline *t)
{
    if (t->m->clock.icount > t->frontier)
        t->frontier = t->m->clock.icount;
}

static bool is_interrupted(struct timeline *t)
{
    if (t->options.progress != NULL && t->work != NULL)
        t->options.progress(t->options.opaque, t->work, t->work_done, t->work_total);
    return t->options.interrupted != NULL && t->options.interrupted(t->options.opaque);
}

static enum timeline_status fail(struct timeline *t, const char *text)
{
    snprintf(t->error, sizeof(t->error), "%s", text);
    return TIMELINE_ERROR;
}

static enum timeline_status of_player(struct timeline *t, enum player_status status)
{
    switch (status) {
    case PLAYER_EXACT: return TIMELINE_THERE;
    case PLAYER_STOPPED: return TIMELINE_HIT;
    case PLAYER_END:
    case PLAYER_CUT:
        t->at_end = true;
        t->end = machine_moment(t->m);
        return TIMELINE_END;
    case PLAYER_DIVERGED: return TIMELINE_DIVERGED;
    case PLAYER_ERROR: break;
    }
    return fail(t, player_error(t->player));
}

enum timeline_status timeline_check(struct timeline *t)
{
    return page_store_failed(t->checkpoints.store) ? fail(t, index_lost) : TIMELINE_THERE;
}

/* In a branch: no trace to follow, the machine ends when it ends. */
static enum timeline_status run_branch(struct timeline *t, struct moment until)
{
    char err[256];

    for (;;) {
        enum machine_stop why = machine_run_to(t->m, until);

        if (why == STOP_ICOUNT)
            return TIMELINE_THERE;
        if (why == STOP_DEBUG)
            return TIMELINE_HIT;
        if (why == STOP_SOURCE)
            return TIMELINE_INTERRUPTED;
        if (why != STOP_RESET || machine_reset(t->m, err, sizeof(err)) != 0) {
            t->branch_stop = why;
            return TIMELINE_END;
        }
    }
}

static enum timeline_status run_slice(struct timeline *t, struct moment until)
{
    uint64_t start = t->m->clock.icount;
    enum timeline_status status = t->branched ? run_branch(t, until)
                                              : of_player(t, player_run_to(t->player, until));

    if (!t->branched)
        note_ground(t);
    t->work_done += t->m->clock.icount - start;
    if (timeline_check(t) != TIMELINE_THERE)
        return TIMELINE_ERROR;
    return t->checkpoints.failed ? fail(t, "out of memory for checkpoints") : status;
}

/* The next place to leave a local checkpoint at, above `icount`; UINT64_MAX: none. */
static uint64_t next_rung(uint64_t icount, uint64_t target)
{
    for (size_t i = 0; i < RUNGS; i++)
        if (target > rung_distance[i] && target - rung_distance[i] > icount)
            return target - rung_distance[i];
    return UINT64_MAX;
}

static struct moment slice_end(const struct timeline *t, struct moment until, uint64_t rung,
                               enum timeline_purpose purpose)
{
    uint64_t now = t->m->clock.icount, end = now + SLICE;
    const struct checkpoint *next =
        t->branched || purpose == TO_LOOK ? NULL : checkpoints_after(&t->checkpoints, now);

    if (next != NULL && next->icount < end)
        end = next->icount;
    if (rung < end)
        end = rung;
    return end < until.icount ? (struct moment){.icount = end} : until;
}

/* A slice has ended at its end. */
static void settle_slice(struct timeline *t, struct moment end, uint64_t rung,
                         enum timeline_purpose purpose)
{
    const struct checkpoint *here;

    if (t->branched || purpose == TO_LOOK || end.entries != 0 || !moment_equal(machine_moment(t->m), end))
        return;
    here = checkpoints_before(&t->checkpoints, end.icount);
    if (end.icount == rung && !t->options.no_checkpoints)
        take_checkpoint(t, true);
    else if (here->icount == end.icount)
        take_checkpoint(t, here->local);
    else
        take_if_due(t, purpose);
}

enum timeline_status timeline_advance(struct timeline *t, struct moment until,
                                      enum timeline_purpose purpose)
{
    enum timeline_status status = TIMELINE_THERE;

    t->wall_mark_ns = t->local_mark_ns = wall_ns();
    while (status == TIMELINE_THERE && moment_before(machine_moment(t->m), until)) {
        uint64_t rung = purpose == TO_SEEK ? next_rung(t->m->clock.icount, until.icount) : UINT64_MAX;
        struct moment end = slice_end(t, until, rung, purpose);

        if (t->at_end)
            return TIMELINE_END;
        status = run_slice(t, end);
        if (status == TIMELINE_THERE) {
            settle_slice(t, end, rung, purpose);
            if (is_interrupted(t))
                status = TIMELINE_INTERRUPTED;
        }
    }
    return status;
}

enum timeline_status timeline_restore(struct timeline *t, struct checkpoint *to)
{
    t->branched = false;
    t->at_end = false;
    if (checkpoints_restore(&t->checkpoints, to) != 0)
        return fail(t, "a checkpoint could not be restored: this is a bug");
    return timeline_check(t);
}

void timeline_after_fork(struct timeline *t)
{
    page_store_after_fork(t->checkpoints.store);
}

/* --- seeking --- */

static void begin_work(struct timeline *t, const char *what, uint64_t total)
{
    t->work = what;
    t->work_done = 0;
    t->work_total = total;
}

/* The machine can go on from where it is, and nothing is nearer. */
static bool nothing_nearer(const struct timeline *t, const struct checkpoint *from, struct moment to)
{
    struct moment now = machine_moment(t->m);

    return !t->branched && !moment_before(to, now) &&
           (from->icount <= now.icount || from == t->checkpoints.base);
}

static enum timeline_status seek(struct timeline *t, struct moment to)
{
    struct checkpoint *from = checkpoints_before(&t->checkpoints, to.icount);
    enum timeline_status status = TIMELINE_THERE;
    uint64_t length;

    timeline_arm(t, ARM_NONE, false);
    if (!nothing_nearer(t, from, to))
        status = timeline_restore(t, from);
    if (!timeline_length(t, &length) || length > to.icount)
        length = to.icount;
    begin_work(t, "seeking", length > t->m->clock.icount ? length - t->m->clock.icount : 0);
    if (status == TIMELINE_THERE)
        status = timeline_advance(t, to, TO_SEEK);
    t->work = NULL;
    return status;
}

enum timeline_status timeline_seek(struct timeline *t, struct moment to)
{
    /* The end is a place like others, with rungs before it, where it is known. */
    if (to.icount == UINT64_MAX && player_end(t->player) != NULL) {
        enum timeline_status status = seek(t, (struct moment){.icount = player_end(t->player)->icount});

        if (status != TIMELINE_THERE)
            return status;
        return timeline_advance(t, to, TO_RUN);
    }
    return seek(t, to);
}

enum timeline_status timeline_leave_branch(struct timeline *t)
{
    return t->branched ? timeline_seek(t, t->branch_at) : TIMELINE_THERE;
}

/* --- running on --- */

/* Which of the machine's hits is to stop the run. */
static bool is_accepted(struct timeline *t)
{
    size_t n;
    const struct debug_hit *hits = machine_debug_hits(t->m, &n);

    for (size_t i = 0; i < n; i++) {
        if (t->accept != NULL && !t->accept(t->accept_opaque, &hits[i]))
            continue;
        t->hit = hits[i];
        return true;
    }
    return false;
}

enum timeline_status timeline_run_forward(struct timeline *t, struct moment until)
{
    enum timeline_status status;
    uint64_t length;

    if (!timeline_length(t, &length))
        length = t->m->clock.icount;
    begin_work(t, "running", length > t->m->clock.icount ? length - t->m->clock.icount : 0);
    timeline_arm(t, ARM_ALL, true);
    for (;;) {
        status = timeline_advance(t, until, TO_RUN);
        if (status != TIMELINE_HIT || is_accepted(t))
            break;
        machine_debug_ignore(t->m);
    }
    timeline_arm(t, ARM_NONE, false);
    t->work = NULL;
    return status;
}

enum timeline_status timeline_step(struct timeline *t)
{
    struct moment next = timeline_now(t);
    enum timeline_status status;

    next.entries++;
    timeline_arm(t, ARM_WATCHPOINTS, false);
    status = timeline_advance(t, next, TO_RUN);
    if (status == TIMELINE_HIT && !is_accepted(t))
        status = TIMELINE_THERE;
    timeline_arm(t, ARM_NONE, false);
    return status;
}

/* --- branches --- */

static uint64_t branch_horizon(void *opaque, uint64_t icount)
{
    (void)opaque;
    return icount + SLICE;
}

/* A branch gets no input: it sleeps from timer to timer, unless somebody wants it to stop. */
static uint64_t branch_wait(void *opaque, struct machine *m, uint64_t deadline_ns)
{
    struct timeline *t = opaque;

    if (t->options.interrupted != NULL && t->options.interrupted(t->options.opaque)) {
        machine_request_stop(m, STOP_SOURCE);
        return clock_now_ns(&m->clock);
    }
    return deadline_ns;
}

void timeline_branch(struct timeline *t)
{
    if (t->branched)
        return;
    t->branched = true;
    t->branch_at = timeline_now(t);
    t->at_end = false;
    machine_set_source(t->m, &(struct input_source){.horizon = branch_horizon,
                                                    .wait = branch_wait,
                                                    .opaque = t});
    machine_set_observer(t->m, player_outputs(t->player));
}
