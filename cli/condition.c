/* SPDX-License-Identifier: MIT */
/*
 * Conditions along a timeline: condition.h.
 *
 * For each pattern the earliest byte that completes a match is what decides, and is remembered once it is
 * known; lines that are complete and do not match are not looked at again.
 */
#include "condition.h"

#include <stdio.h>
#include <stdlib.h>

#include <replay/output_log.h>
#include <replay/timeline.h>

#include "guest_symbols.h"

struct sought {
    const struct pattern *pattern;
    size_t next;       /* the lines before it need no more looking at */
    uint64_t seen_at;  /* UINT64_MAX: not yet; else the icount from which on it has been seen */
};

struct condition {
    struct expr *expr;
    const struct timeline *t;
    struct sought *sought;
    size_t nsought;
    void (*read)(void *opaque, bool physical, uint64_t address, unsigned bytes);
    void *opaque;
};

static bool find_symbol(void *opaque, const char *name, uint64_t *address)
{
    return guest_symbols_find(opaque, name, address);
}

static int collect_patterns(struct condition *c)
{
    const struct pattern *p;
    size_t n = 0;

    while (expr_pattern(c->expr, n, &p))
        n++;
    c->sought = calloc(n + 1, sizeof(*c->sought));
    if (c->sought == NULL)
        return -1;
    for (; c->nsought < n; c->nsought++) {
        c->sought[c->nsought].seen_at = UINT64_MAX;
        expr_pattern(c->expr, c->nsought, &c->sought[c->nsought].pattern);
    }
    return 0;
}

struct condition *condition_create(const char *text, const struct guest_symbols *symbols,
                                   const struct timeline *t, char *err, size_t errlen)
{
    struct expr_names names = {.find = symbols == NULL ? NULL : find_symbol, .opaque = (void *)symbols};
    struct condition *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        snprintf(err, errlen, "out of memory");
        return NULL;
    }
    c->t = t;
    c->expr = expr_parse(text, &names, err, errlen);
    if (c->expr != NULL && collect_patterns(c) != 0) {
        snprintf(err, errlen, "out of memory");
    } else if (c->expr != NULL) {
        return c;
    }
    condition_destroy(c);
    return NULL;
}

void condition_destroy(struct condition *c)
{
    if (c == NULL)
        return;
    expr_destroy(c->expr);
    free(c->sought);
    free(c);
}

const struct expr *condition_expr(const struct condition *c)
{
    return c->expr;
}

/* --- output --- */

/* Looks at what has been printed since the last time. Lines that began before the match may still be
 * whole before it. */
static void look(const struct condition *c, struct sought *s)
{
    const struct output_log *log = timeline_outputs(c->t);
    struct output_match match;
    struct output_line line;
    bool all_done = true;

    for (size_t n = s->next; output_log_line(log, n, &line) && line.icount < s->seen_at; n++) {
        if (output_log_match(log, n, s->pattern, &match) && match.icount < s->seen_at)
            s->seen_at = match.icount + 1;
        all_done = all_done && line.complete;
        if (all_done)
            s->next = n + 1;
    }
}

static uint64_t seen_at(const struct condition *c, struct sought *s)
{
    if (s->seen_at == UINT64_MAX)
        look(c, s);
    return s->seen_at;
}

static bool has_seen(void *opaque, const struct pattern *p)
{
    struct condition *c = opaque;

    for (size_t i = 0; i < c->nsought; i++)
        if (c->sought[i].pattern == p)
            return seen_at(c, &c->sought[i]) <= timeline_now(c->t).icount;
    return false;
}

uint64_t condition_next_seen(struct condition *c, uint64_t icount)
{
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < c->nsought; i++) {
        uint64_t at = seen_at(c, &c->sought[i]);

        if (at > icount && at < next)
            next = at;
    }
    return next;
}

/* --- asking --- */

static void on_read(void *opaque, bool physical, uint64_t address, unsigned bytes)
{
    struct condition *c = opaque;

    c->read(c->opaque, physical, address, bytes);
}

bool condition_holds(struct condition *c)
{
    const struct expr_view view = {.seen = has_seen, .opaque = c};

    return expr_holds(c->expr, timeline_machine(c->t), &view);
}

bool condition_holds_telling(struct condition *c,
                             void (*read)(void *opaque, bool physical, uint64_t address, unsigned bytes),
                             void *opaque)
{
    const struct expr_view view = {.seen = has_seen, .read = on_read, .opaque = c};

    c->read = read;
    c->opaque = opaque;
    return expr_holds(c->expr, timeline_machine(c->t), &view);
}
