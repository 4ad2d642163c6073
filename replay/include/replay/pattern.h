/* SPDX-License-Identifier: MIT */
/*
 * What to look for in a guest's output: a text, or a regular expression between slashes.
 *
 *     struct pattern *p = pattern_parse("/BUG:|Oops|panic/", err, sizeof(err));
 *     if (pattern_search(p, line, len, true, &match)) ...
 *     pattern_destroy(p);
 *
 * TEXT is found as it stands; "\/..." is a text that begins with a slash. /REGEX/ is an extended regular
 * expression (POSIX), and "/REGEX/i" one without regard to case. Both are looked for line by line.
 *
 * A match is the first that is whole while the line is being sent: /panic( at .+)?/ is whole with the "c",
 * and /panic$/ only when the line has ended. So the moment of a match does not depend on what comes
 * after it.
 */
#ifndef REPLAY_PATTERN_H
#define REPLAY_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

struct pattern;

/* NULL with one line in `err`. */
struct pattern *pattern_parse(const char *text, char *err, size_t errlen);
void pattern_destroy(struct pattern *p); /* NULL is fine */

struct pattern_match {
    size_t begin, end; /* [begin, end) of the line */
    bool at_end;       /* it needs the line's end: whole when that was sent, not a byte earlier */
};
/* The match in a line of `len` bytes, which may hold any byte. `ended`: nothing follows them on this line. */
bool pattern_search(const struct pattern *p, const char *line, size_t len, bool ended,
                    struct pattern_match *match);

/* As it was given to pattern_parse(). */
const char *pattern_text(const struct pattern *p);

#endif
