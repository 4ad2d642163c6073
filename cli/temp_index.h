/* SPDX-License-Identifier: MIT */
/*
 * A timeline with checkpoints for a process that is not to run the guest itself: those of the file beside the trace
 * or, where there is none, of one that a process in the sandbox makes for the occasion, in memory.
 */
#ifndef CLI_TEMP_INDEX_H
#define CLI_TEMP_INDEX_H

#include <stdbool.h>

struct timeline;

/* *out stands at power-on. 0, or an exit status after the error was printed. */
int temp_index_open(struct timeline **out, const char *trace, bool no_sandbox);

#endif
