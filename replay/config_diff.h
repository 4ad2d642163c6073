/* SPDX-License-Identifier: MIT */
/* What differs between the headers of two traces: the first part of replay/trace_diff.h. */
#ifndef REPLAY_CONFIG_DIFF_H
#define REPLAY_CONFIG_DIFF_H

struct trace_diff;
struct trace_header;

/* Fills in config, nconfig, other_run and other_machine. 0, or -1: out of memory; what was filled in is the
 * trace_diff's. */
int config_diff(struct trace_diff *out, const struct trace_header *a, const struct trace_header *b);

#endif
