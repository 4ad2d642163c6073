/* SPDX-License-Identifier: MIT */
/*
 * What to look for in a guest's output: a text, or a regular expression between slashes.
 *
 *     struct pattern *p = pattern_parse("/BUG:|Oops|panic/", err, sizeof(err));
 *     if (pattern_search(p, line, len, &begin, &end)) ...
 *     pattern_destroy(p);
 *
 * TEXT is found as it stands; "\/..." is a text that begins with a slash. /REGEX/ is an extended regular
 * expression (POSIX), and "/REGEX/i" one without regard to case. Both are looked for line by line.
 */
#ifndef REPLAY_PATTERN_H
#define REPLAY_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

struct pattern;

/* NULL with one line in `err`. */
struct pattern *pattern_parse(const char *text, char *err, size_t errlen);
void pattern_destroy(struct pattern *p); /* NULL is fine */

/* The first match in a line of `len` bytes, which may hold any byte: [*begin, *end). */
bool pattern_search(const struct pattern *p, const char *line, size_t len, size_t *begin, size_t *end);

/* As it was given to pattern_parse(). */
const char *pattern_text(const struct pattern *p);

#endif
