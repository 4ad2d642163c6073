/* SPDX-License-Identifier: MIT */
/*
 * Whether a guest has printed certain texts, on any of its ports.
 *
 *     struct output_watch *w = output_watch_create(patterns, n);
 *     output_watch_begin(w);                                     // a run begins
 *     ... an observer calls output_watch_feed(w, port, data, len) ...
 *     if (output_watch_seen(w, 0)) ...
 *     output_watch_destroy(w);
 *
 * Patterns are looked for in each line when it is whole, and in what there is of the last line when somebody
 * asks: a prompt has no line feed.
 */
#ifndef CLI_OUTPUT_WATCH_H
#define CLI_OUTPUT_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct output_watch;
struct pattern;

/* The array is copied, the patterns must live as long; one that is NULL is never seen. NULL: out of memory. */
struct output_watch *output_watch_create(const struct pattern *const *patterns, size_t n);
void output_watch_destroy(struct output_watch *w); /* NULL is fine */
void output_watch_begin(struct output_watch *w);
/* `port` as in output_lines.h. */
void output_watch_feed(struct output_watch *w, unsigned port, const uint8_t *data, size_t len);
/* Whether the nth pattern was printed since output_watch_begin(). */
bool output_watch_seen(struct output_watch *w, size_t n);
/* The line in which it was first seen, or as much of it as there was; NULL: it was not. */
const char *output_watch_line(const struct output_watch *w, size_t n);

#endif
