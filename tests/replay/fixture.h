/* SPDX-License-Identifier: MIT */
/* What the replay tests share: traces in a folder of their own, recorded, read whole, rewritten. */
#ifndef REPLAY_FIXTURE_H
#define REPLAY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <replay/player.h>
#include <replay/recorder.h>
#include <traces/trace.h>

#include "tiny_machine.h"

#define INTERVAL   4096u /* instructions between digests in these tests */
#define MAX_EVENTS 4096u

/* A path in the test's folder; two names are enough for any test. */
extern char trace_path[64], other_path[64];
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Records the tiny machine under a script to trace_path. Returns how the run ended. */
enum machine_stop record(const struct script_input *inputs, size_t n,
                         const struct recorder_options *options, struct tiny_output *out);
#define RECORD(inputs) record(inputs, sizeof(inputs) / sizeof((inputs)[0]), NULL, NULL)

/* Opens or fails the test. */
struct player *open_player(const char *path, const struct machine_board *board);
/* Replays `path` in one go on `board`. The caller destroys *out. */
enum player_status replay(const char *path, const struct machine_board *board, struct player **out);
void assert_replays_exactly(const char *path);

/* All of a trace's events, with copies of their bytes. */
struct event_list {
    struct trace_event ev[MAX_EVENTS];
    uint8_t *bytes[MAX_EVENTS];
    size_t n;
    bool truncated;
};
struct event_list *read_events(const char *path);
void free_events(struct event_list *list);
size_t count_kind(const struct event_list *list, enum trace_event_kind kind);
/* Index of the nth (from 0) event of a kind; fails the test when there are fewer. */
size_t nth(const struct event_list *list, enum trace_event_kind kind, size_t n);

/* Writes the events under from's header and images to `to`. */
void write_events(const char *from, const char *to, const struct event_list *list);

/* Cuts one event out, puts a copy of one in front of it. */
void drop_event(struct event_list *list, size_t at);
void double_event(struct event_list *list, size_t at);

uint8_t *read_file(const char *path, size_t *len);
void write_file(const char *path, const uint8_t *data, size_t len);

#endif
