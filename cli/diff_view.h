/* SPDX-License-Identifier: MIT */
/* What `deja diff` found, shown to people (diff_print.c) and to programs (diff_json.c). */
#ifndef CLI_DIFF_VIEW_H
#define CLI_DIFF_VIEW_H

#include <stdbool.h>

#include <replay/diff.h>

struct guest_symbols;

struct diff_view {
    const char *path[2];
    const struct trace_header *header[2];
    const struct diff_result *r;
    enum diff_verdict verdict;
    struct guest_symbols *symbols[2];
};

/* To standard output. */
void diff_print(const struct diff_view *v);
void diff_print_json(const struct diff_view *v);

#endif
