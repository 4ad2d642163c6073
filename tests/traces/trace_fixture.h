/* SPDX-License-Identifier: MIT */
/* What the tests of the trace library share: a known trace, files in memory, event comparison. */
#ifndef TRACE_FIXTURE_H
#define TRACE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <traces/trace.h>

struct bytes {
    uint8_t *data;
    size_t len;
};

/* An event with its own copy of what it points to. */
struct saved_event {
    struct trace_event ev;
    uint8_t *data;
};

struct saved_events {
    struct saved_event *list;
    size_t count;
};

extern const struct trace_header
    small_header; /* every config type, an embedded and a named image */
extern const struct trace_end small_end;

/* A new empty file; `path` has room for 64 bytes. */
void temp_path(char *path);
struct bytes read_file(const char *path);
void write_file(const char *path, const void *data, size_t len);

/* Appends one event of every kind, some twice at one icount, some with nothing in them. */
void append_small(struct trace_writer *w);
/* The trace of small_header and append_small, in several event frames; with or without its end. */
struct bytes make_small(bool finished);

/* Appends the reader's events to *out until it says no more; returns what it said last. */
int read_events(struct trace_reader *r, struct saved_events *out);
void free_events(struct saved_events *events);
bool same_event(const struct saved_event *a, const struct saved_event *b);
/* Whether the first `n` of both are the same. */
bool same_events(const struct saved_events *a, const struct saved_events *b, size_t n);

#endif
