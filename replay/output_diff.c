/* SPDX-License-Identifier: MIT */
/* Where two runs' outputs part, line by line: output_diff.h. */
#include "output_diff.h"

#include <string.h>

#include <replay/output_log.h>

/* The lines of one port, one after another. */
struct lines {
    const struct output_log *log;
    unsigned port;
    bool all;
    size_t next; /* in the log */
    bool has;    /* `line` is one; else there are no more */
    struct output_line line;
};

static void advance(struct lines *l)
{
    do
        l->has = output_log_line(l->log, l->next++, &l->line);
    while (l->has && l->line.port != l->port);
}

static size_t common_bytes(const struct output_line *a, const struct output_line *b)
{
    size_t n = 0;

    while (n < a->len && n < b->len && a->text[n] == b->text[n])
        n++;
    return n;
}

/* What more there is of this side's line is not known. */
static bool is_open(const struct lines *l, size_t common)
{
    return !l->all && !l->line.complete && common == l->line.len;
}

enum outcome { LINES_SAME, LINES_DIFFER, LINES_UNKNOWN };

static enum outcome compare(const struct lines *a, const struct lines *b, size_t *common)
{
    *common = 0;
    if (!a->has || !b->has)
        return (a->has || a->all) && (b->has || b->all) && a->has != b->has ? LINES_DIFFER : LINES_UNKNOWN;
    *common = common_bytes(&a->line, &b->line);
    if (is_open(a, *common) || is_open(b, *common))
        return LINES_UNKNOWN;
    return *common == a->line.len && *common == b->line.len && a->line.complete == b->line.complete
               ? LINES_SAME
               : LINES_DIFFER;
}

static void describe(const struct lines sides[2], unsigned port, uint64_t number, size_t common,
                     struct diff_output *out)
{
    *out = (struct diff_output){.found = true, .port = port, .line = number, .column = common + 1};
    for (unsigned side = 0; side < 2; side++) {
        const struct lines *l = &sides[side];

        out->has[side] = l->has;
        if (!l->has)
            continue;
        out->icount[side] = l->line.icount;
        out->text[side] = l->line.text;
        out->len[side] = l->line.len;
    }
}

static uint64_t first_icount(const struct lines sides[2])
{
    uint64_t a = sides[0].has ? sides[0].line.icount : UINT64_MAX;
    uint64_t b = sides[1].has ? sides[1].line.icount : UINT64_MAX;

    return a < b ? a : b;
}

void output_diff(const struct output_log *const log[2], const bool all[2], struct diff_output *out)
{
    uint64_t first = UINT64_MAX;

    *out = (struct diff_output){.found = false};
    for (unsigned port = 0; port < OUTPUT_PORTS; port++) {
        struct lines sides[2] = {{.log = log[0], .port = port, .all = all[0]},
                                 {.log = log[1], .port = port, .all = all[1]}};
        enum outcome outcome = LINES_SAME;
        uint64_t number = 0;
        size_t common;

        while (outcome == LINES_SAME) {
            advance(&sides[0]);
            advance(&sides[1]);
            outcome = compare(&sides[0], &sides[1], &common);
            number++;
        }
        if (outcome == LINES_DIFFER && first_icount(sides) < first) {
            first = first_icount(sides);
            describe(sides, port, number, common, out);
        }
    }
}
