/* SPDX-License-Identifier: MIT */
/*
 * What a guest sent to its serial lines and debug console in a recorded run, with the moment of each byte.
 *
 * A timeline keeps one for as far as it has run (timeline_outputs()), and `deja index` writes it to the file
 * beside the trace, so that of an indexed trace all of it is known at once.
 *
 * A line ends with its LF; CRs are left out; one that is longer than OUTPUT_LINE_MAX is cut there. Of the moments
 * of bytes each costs about two bytes of memory.
 *
 * Threading: as any plain data structure.
 */
#ifndef REPLAY_OUTPUT_LOG_H
#define REPLAY_OUTPUT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct output_log;
struct pattern;

#define OUTPUT_DEBUG_PORT 2u /* ports 0 and 1 are COM1 and COM2; this is E9h and 402h */
#define OUTPUT_PORTS      3u
#define OUTPUT_LINE_MAX   65536u
#define OUTPUT_LOG_MAX    (256u << 20) /* bytes of memory that a log takes at most */

struct output_log *output_log_create(void); /* NULL: out of memory */
void output_log_destroy(struct output_log *log); /* NULL is fine */

/* Bytes that the guest sent by the instruction after `icount` others. Ascending. 0; or -1: out of memory, or
 * of OUTPUT_LOG_MAX: the log then stays as it is. */
int output_log_add(struct output_log *log, unsigned port, uint64_t icount, uint64_t vns, const uint8_t *data,
                   size_t len);

struct output_line {
    unsigned port;
    uint64_t icount, vns; /* of its first byte: instructions before the one that sent it */
    const char *text;     /* without CR and LF, NUL-terminated; valid until the log changes */
    size_t len;
    bool complete;        /* its LF was seen */
};
/* The nth line of all ports together, by first byte. False: there are fewer. */
bool output_log_line(const struct output_log *log, size_t n, struct output_line *line);
size_t output_log_lines(const struct output_log *log);

struct output_match {
    size_t line;
    uint64_t icount, vns; /* of the byte that completed the match: instructions before the one that sent it */
    size_t begin, end;    /* within the line */
};
/* Whether line `n` matches; one match a line, which is the first to be complete. */
bool output_log_match(const struct output_log *log, size_t n, const struct pattern *p,
                      struct output_match *match);
/* The first of these matches whose completing byte was sent at or after `from`. port: -1 for any. */
bool output_log_find(const struct output_log *log, const struct pattern *p, int port, uint64_t from,
                     struct output_match *match);

/* The log as bytes, for a file: how many, and written to `out`. */
size_t output_log_saved_bytes(const struct output_log *log);
void output_log_save(const struct output_log *log, uint8_t *out);
/* The log again; NULL: out of memory, or these are no such bytes. Trusts none of them. */
struct output_log *output_log_load(const uint8_t *data, size_t len);

#endif
