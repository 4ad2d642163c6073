/* SPDX-License-Identifier: MIT */
/* Moments of a run (emu/debug.h) in text: 1,702,345, and 1,702,345+1 behind an entry into a handler there. */
#ifndef CLI_MOMENTS_H
#define CLI_MOMENTS_H

#include <stdbool.h>

#include <emu/debug.h>

#include "numbers.h"

#define MOMENT_TEXT (NUMBER_TEXT + 11) /* the longest, with its '\0' */

/* As `deja debug --at` and `monitor seek` take it. Returns `out`. */
const char *moment_text(struct moment at, char out[MOMENT_TEXT]);
/* The same back, with or without commas, or 0x...; also "begin" and "end", which is beyond any. */
bool moment_parse(const char *text, struct moment *at);
/* "A,B"; or "A..B", "A:B" where numbers may have commas. A is not behind B. One left out is the begin or the end. */
bool moment_parse_range(const char *text, struct moment *from, struct moment *to);

#endif
