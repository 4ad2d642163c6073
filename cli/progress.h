/* SPDX-License-Identifier: MIT */
/* How far long work has got, on a terminal: one line on standard error that is written over. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdint.h>

/* Shows it, at most ten times a second, and not before the work has taken a while. Nothing when standard
 * error is no terminal. `opaque` is not used: it fits a timeline's `progress`. */
void progress_show(void *opaque, const char *what, uint64_t done, uint64_t total);
/* Wipes the line out, if there is one. */
void progress_end(void);

#endif
