/* SPDX-License-Identifier: MIT */
/* Where the outputs of two runs first differ, whenever it was that they were sent. */
#ifndef REPLAY_OUTPUT_DIFF_H
#define REPLAY_OUTPUT_DIFF_H

#include <stdbool.h>

#include <replay/diff.h>

struct output_log;

/* The first line that differs, on the port where that comes first. all[side]: the log is all that there is;
 * else what it does not have is no difference. The texts are the logs'. */
void output_diff(const struct output_log *const log[2], const bool all[2], struct diff_output *out);

#endif
