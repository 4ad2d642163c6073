/* SPDX-License-Identifier: MIT */
/*
 * The course of a hunt: hunt.h.
 *
 * A run is not recorded at first: it is a function of its seed. One whose recording is kept runs again, recorded, in a
 * process of its own, and must come to the same end. That makes recordings as costly as their runs; there are few of
 * them, and a run that is not kept costs nothing but itself.
 */
#include "hunt.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../cli.h"
#include "../console_term.h"
#include "table.h"

#define SHOW_NS     250000000u  /* between two lines of progress */
#define JSON_NS     2000000000u /* between two writings of hunt.json, */
#define JSON_SHARE  20u         /* which take at most a 20th of the time */
#define LIMIT_TIMES 4u          /* a run is cut at 4 times the unperturbed one, */
#define LIMIT_MORE  50000000u   /* and this */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static uint64_t wall_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

static void stop_clock(struct hunt *h)
{
    h->time.wall_ns = wall_ns() - h->begin_ns;
    h->time.cpu_ns = h->crew_cpu_ns + clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static int no_memory(void)
{
    cli_error("hunt: out of memory");
    return EXIT_USAGE;
}

/* --- opening --- */

static int take_up(void *opaque, const struct hunt_result *r)
{
    struct hunt *h = opaque;
    int rc;

    if (r->run > h->plan->runs)
        return EXIT_DONE;
    rc = book_add(&h->book, r);
    if (rc < 0)
        return no_memory();
    if (rc == 0)
        return EXIT_DONE;
    cli_error("hunt: %s/results: run %" PRIu64 " is there twice and ended differently: remove one of them",
              h->folder->given, r->run);
    return EXIT_USAGE;
}

int hunt_open(struct hunt *h, const struct hunt_plan *plan, struct hunt_folder *folder,
              const struct hunt_session *session, uint64_t first, uint64_t last)
{
    char err[512];

    *h = (struct hunt){.plan = plan, .session = session, .folder = folder, .cursor = first};
    h->jobs = (unsigned)session->jobs;
    h->time.jobs = h->jobs;
    h->begin_ns = wall_ns();
    if (book_init(&h->book, plan, first, last) != 0)
        return no_memory();
    h->runner = runner_create(plan, err, sizeof(err));
    if (h->runner == NULL) {
        cli_error("hunt: %s", err);
        return EXIT_USAGE;
    }
    h->crew = crew_create(h->runner, h->jobs, session->no_sandbox);
    return h->crew == NULL ? no_memory() : EXIT_DONE;
}

int hunt_take_up(struct hunt *h)
{
    return folder_read_results(h->folder, take_up, h);
}

int hunt_take_up_file(struct hunt *h, const char *name)
{
    return folder_read_results_of(h->folder, name, take_up, h);
}

void hunt_close(struct hunt *h)
{
    crew_destroy(h->crew);
    runner_destroy(h->runner);
    book_fini(&h->book);
    free(h->to_record);
}

int hunt_write(struct hunt *h)
{
    uint64_t start = wall_ns();
    int status;

    stop_clock(h);
    status = hunt_json_write(h->folder, h->plan, &h->book, h->limit.icount, h->time.runs > 0 ? &h->time : NULL);
    h->json_ns = wall_ns();
    h->json_cost_ns = h->json_ns - start;
    return status;
}

/* --- recordings --- */

static void trace_name(const struct hunt *h, uint64_t run, char name[FOLDER_NAME_BYTES])
{
    if (h->loose && run != 0)
        folder_loose_name(run, book_result(&h->book, run)->site, name);
    else
        folder_trace_name(run, name);
}

static int queue_recording(struct hunt *h, uint64_t run)
{
    if (h->nto_record == h->room_record) {
        size_t room = h->room_record == 0 ? 64 : h->room_record * 2;
        uint64_t *runs = realloc(h->to_record, room * sizeof(*runs));

        if (runs == NULL)
            return no_memory();
        h->to_record = runs;
        h->room_record = room;
    }
    h->to_record[h->nto_record++] = run;
    return EXIT_DONE;
}

/* A single command leaves out what others before it have seen often enough. */
static bool is_superfluous(const struct hunt *h, uint64_t run)
{
    const struct hunt_plan *plan = h->plan;

    return h->loose && plan->keep == KEEP_UNIQUE &&
           folder_count_loose(h->folder, run, book_result(&h->book, run)->site) >= plan->keep_per_site;
}

/* The recording of a settled run: there already, to be taken in, or to be made. */
static int see_to_recording(struct hunt *h, uint64_t run)
{
    char name[FOLDER_NAME_BYTES], loose[FOLDER_NAME_BYTES];

    if (!h->book.entries[run].keep)
        return EXIT_DONE;
    trace_name(h, run, name);
    folder_loose_name(run, book_result(&h->book, run)->site, loose);
    if (!folder_has(h->folder, name) && folder_has(h->folder, loose) &&
        folder_rename(h->folder, loose, name) != EXIT_DONE)
        return EXIT_USAGE;
    if (folder_has(h->folder, name))
        return book_recorded(&h->book, run) == 0 ? EXIT_DONE : no_memory();
    return is_superfluous(h, run) ? EXIT_DONE : queue_recording(h, run);
}

static int settle(struct hunt *h, bool gaps)
{
    uint64_t run;
    int rc, status = EXIT_DONE;

    while (status == EXIT_DONE && (rc = book_settle(&h->book, gaps, &run)) != 0)
        status = rc < 0 ? no_memory() : see_to_recording(h, run);
    return status;
}

static void start_recording(struct hunt *h, uint64_t run)
{
    char part[FOLDER_NAME_BYTES], path[PATH_MAX];

    folder_part_name(run, h->loose, part);
    folder_path(h->folder, part, path, sizeof(path));
    crew_record(h->crew, run, h->limit.icount == 0 ? (struct runner_limit){.icount = RUNNER_BASE_LIMIT} : h->limit, path);
}

/* --- what comes back --- */

static int note(struct hunt *h, const struct hunt_result *r)
{
    int rc = book_add(&h->book, r);

    if (rc < 0)
        return no_memory();
    if (rc == 0)
        return EXIT_DONE;
    cli_error("hunt: run %" PRIu64 " ended differently when it was run again (after %" PRIu64 " instructions, and %" PRIu64
              "): a mistake of deja",
              r->run, book_result(&h->book, r->run)->icount, r->icount);
    return EXIT_USAGE;
}

static int finish_recording(struct hunt *h, uint64_t run)
{
    char name[FOLDER_NAME_BYTES], part[FOLDER_NAME_BYTES];

    folder_part_name(run, h->loose, part);
    trace_name(h, run, name);
    if (folder_rename(h->folder, part, name) != EXIT_DONE)
        return EXIT_USAGE;
    if (run != 0 && !h->book.entries[run].settled) /* it is found when it is */
        return EXIT_DONE;
    return book_recorded(&h->book, run) == 0 ? EXIT_DONE : no_memory();
}

/* `again`: the run was done before, this is its recording. */
static void count_time(struct hunt *h, const struct crew_reply *reply, bool again)
{
    h->crew_cpu_ns += reply->cpu_ns;
    if (again) {
        h->time.recording_ns += reply->guest.wall_ns;
        return;
    }
    h->time.runs++;
    h->time.guests.wall_ns += reply->guest.wall_ns;
    h->time.guests.cpu_ns += reply->guest.cpu_ns;
}

static int take_reply(struct hunt *h, const struct crew_reply *reply)
{
    const struct hunt_result *r = &reply->result;
    bool known = book_result(&h->book, r->run) != NULL;
    int status;

    if (reply->error[0] != '\0') {
        cli_error("hunt: run %" PRIu64 ": %s", r->run, reply->error);
        return EXIT_USAGE;
    }
    count_time(h, reply, known);
    status = note(h, r);
    if (status == EXIT_DONE && !known)
        status = folder_note(h->folder, r);
    if (status == EXIT_DONE && reply->recorded)
        status = finish_recording(h, r->run);
    return status == EXIT_DONE && !known ? settle(h, false) : status;
}

static void show(struct hunt *h)
{
    uint64_t now = wall_ns();

    if (now - h->shown_ns < SHOW_NS)
        return;
    h->shown_ns = now;
    table_show_progress(h, now - h->begin_ns);
}

static int write_now_and_then(struct hunt *h)
{
    uint64_t since = wall_ns() - h->json_ns;

    if (h->loose || since < JSON_NS || since < h->json_cost_ns * JSON_SHARE)
        return EXIT_DONE;
    return hunt_write(h);
}

static int wait_for_reply(struct hunt *h)
{
    struct crew_reply reply;

    switch (crew_wait(h->crew, (int)(SHOW_NS / 1000000u), &reply)) {
    case CREW_REPLY: return take_reply(h, &reply);
    case CREW_STOPPED: h->stopped = true; return EXIT_DONE;
    case CREW_LOST: cli_error("hunt: %s", reply.error); return EXIT_USAGE;
    default: return EXIT_DONE;
    }
}

/* --- giving orders --- */

/* The next run that nobody has done or was told to do. */
static bool next_run(struct hunt *h)
{
    while (h->cursor <= h->book.last && book_result(&h->book, h->cursor) != NULL)
        h->cursor++;
    return h->cursor <= h->book.last;
}

static bool recordings_wait(const struct hunt *h)
{
    return h->at_record < h->nto_record;
}

static void give_orders(struct hunt *h)
{
    bool record_all = h->plan->keep == KEEP_ALL;

    while (recordings_wait(h) && crew_can_record(h->crew))
        start_recording(h, h->to_record[h->at_record++]);
    crew_record_waits(h->crew, recordings_wait(h));
    while (record_all && !recordings_wait(h) && next_run(h) && crew_can_record(h->crew))
        start_recording(h, h->cursor++);
    while (!record_all && next_run(h) && crew_wants(h->crew))
        crew_run(h->crew, h->cursor++, h->limit);
}

/* Until nothing is being done and nothing is left to do, or the first trouble, or a signal. */
static int go_on(struct hunt *h)
{
    int status = EXIT_DONE;

    while (status == EXIT_DONE && !h->stopped) {
        give_orders(h);
        if (crew_is_idle(h->crew))
            break;
        status = wait_for_reply(h);
        show(h);
        if (status == EXIT_DONE)
            status = write_now_and_then(h);
    }
    table_end_progress();
    if (status != EXIT_DONE || h->stopped) {
        crew_destroy(h->crew);
        h->crew = NULL;
    }
    stop_clock(h);
    return status;
}

/* --- the parts of a hunt --- */

/* What the unperturbed run says about all others. */
static int set_limit(struct hunt *h)
{
    const struct hunt_result *base = book_result(&h->book, 0);
    uint64_t until = h->plan->until_icount;

    if (base == NULL) /* stopped before its end */
        return EXIT_DONE;
    if (base->overlong) {
        cli_error("hunt: the unperturbed run did not end within %" PRIu64 " instructions: say how long runs are with "
                  "--until N or --until TEXT",
                  base->icount);
        return EXIT_USAGE;
    }
    h->limit.icount = until != 0 ? until : base->icount * LIMIT_TIMES + LIMIT_MORE;
    h->limit.must_end = !base->failed;
    return EXIT_DONE;
}

int hunt_base(struct hunt *h)
{
    char name[FOLDER_NAME_BYTES];
    uint64_t last = h->book.last;
    int status = EXIT_DONE;

    folder_trace_name(0, name);
    h->limit.icount = h->plan->until_icount;
    h->book.entries[0].recorded = folder_has(h->folder, name);
    if (book_result(&h->book, 0) == NULL || !h->book.entries[0].recorded) {
        h->book.last = 0; /* nothing else yet */
        start_recording(h, 0);
        status = go_on(h);
        h->book.last = last;
    }
    return status == EXIT_DONE ? set_limit(h) : status;
}

int hunt_missing(struct hunt *h)
{
    int status = settle(h, false);

    return status == EXIT_DONE && !h->stopped ? go_on(h) : status;
}

int hunt_collect(struct hunt *h)
{
    int status = settle(h, true);

    h->cursor = h->book.last + 1;
    return status == EXIT_DONE ? go_on(h) : status;
}

int hunt_settle_rest(struct hunt *h)
{
    return settle(h, true);
}

static bool is_kept(void *opaque, uint64_t run)
{
    const struct hunt *h = opaque;

    return run == 0 || (run <= h->book.last && h->book.entries[run].keep);
}

/* With results missing, others were kept than with all. */
void hunt_tidy(struct hunt *h)
{
    folder_remove_traces(h->folder, is_kept, h);
}
