/* SPDX-License-Identifier: MIT */
/*
 * The processes of a hunt: workers, each of which has a machine and runs it again and again, and one for each
 * recording. All of them are in the sandbox while a guest runs, hear no signal of the terminal, and end with the
 * hunt, however that ends.
 *
 *     struct crew *c = crew_create(runner, jobs, no_sandbox);
 *     if (crew_wants(c)) crew_run(c, run, limit);
 *     if (crew_can_record(c)) crew_record(c, run, limit, path);
 *     switch (crew_wait(c, -1, &reply)) ...
 *     crew_destroy(c);
 *
 * There are as many guests running as there are jobs, or fewer. Workers have a few orders in hand when runs are
 * short, so that none waits for the hunt.
 */
#ifndef CLI_HUNT_CREW_H
#define CLI_HUNT_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "result.h"
#include "runner.h"

struct crew;

struct crew_reply {
    struct hunt_result result;
    struct runner_time guest; /* time in the machine, */
    uint64_t cpu_ns;   /* and CPU time of the process since its last reply */
    bool recorded;     /* the answer to crew_record() */
    char error[256];   /* "": none, and the result is there; else only its number */
};

enum crew_event {
    CREW_REPLY,
    CREW_TIME,    /* the time is up */
    CREW_STOPPED, /* a signal asks to stop: term_stop_asked() */
    CREW_LOST,    /* a worker cannot be had, or dies again and again: reply->error says how */
};

/* `runner` is at power-on, and is not to be used while the crew is there. NULL: out of memory. */
struct crew *crew_create(struct runner *runner, unsigned jobs, bool no_sandbox);
/* Kills what still runs. NULL is fine. */
void crew_destroy(struct crew *c);

/* From now on one is kept free for a recording; or not. */
void crew_record_waits(struct crew *c, bool waits);
/* Whether somebody would take a run now. */
bool crew_wants(const struct crew *c);
void crew_run(struct crew *c, uint64_t run, struct runner_limit limit);
bool crew_can_record(const struct crew *c);
void crew_record(struct crew *c, uint64_t run, struct runner_limit limit, const char *path);
/* Nothing is being done. */
bool crew_is_idle(const struct crew *c);

/* The next that happens, within so many milliseconds; -1: for ever. */
enum crew_event crew_wait(struct crew *c, int timeout_ms, struct crew_reply *reply);

#endif
