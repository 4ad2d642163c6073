/* SPDX-License-Identifier: MIT */
/* The share of failing samples over icount, as a picture. */
#ifndef CLI_CAUSAL_PLOT_H
#define CLI_CAUSAL_PLOT_H

#include <stddef.h>
#include <stdint.h>

struct causal_point {
    uint64_t icount;
    uint64_t samples; /* 0: the failure itself, which is sure */
    uint64_t failed;
};

/* Writes an SVG file; the stretch from point `steepest` to the next is marked, SIZE_MAX: none. 0, or EXIT_USAGE after
 * the error was printed. */
int causal_plot(const char *path, const char *title, const struct causal_point *points, size_t n, size_t steepest);

#endif
