/* SPDX-License-Identifier: MIT */
/* Looking for texts in what a guest prints: output_watch.h. */
#include "output_watch.h"

#include <stdlib.h>
#include <string.h>

#include <replay/pattern.h>

#include "output_lines.h"

struct wanted {
    const struct pattern *pattern;
    char *line; /* where it was seen; NULL: nowhere */
    bool seen;
};

struct output_watch {
    struct wanted *wanted;
    size_t n;
    size_t missing; /* not seen so far */
    bool fresh;     /* bytes came since the last lines were looked at */
    struct output_lines lines;
};

static char *copy_of(const char *text, size_t len)
{
    char *copy = malloc(len + 1);

    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

/* `ended`: the line is whole. */
static void look_at(struct output_watch *w, const char *text, size_t len, bool ended)
{
    struct pattern_match match;

    for (size_t i = 0; i < w->n; i++) {
        struct wanted *wanted = &w->wanted[i];

        if (wanted->pattern == NULL || wanted->seen || !pattern_search(wanted->pattern, text, len, ended, &match))
            continue;
        wanted->seen = true;
        wanted->line = copy_of(text, len);
        w->missing--;
    }
}

static void on_line(void *opaque, unsigned port, const char *text, size_t len)
{
    (void)port;
    look_at(opaque, text, len, true);
}

struct output_watch *output_watch_create(const struct pattern *const *patterns, size_t n)
{
    struct output_watch *w = calloc(1, sizeof(*w));

    if (w == NULL || (w->wanted = calloc(n + 1, sizeof(*w->wanted))) == NULL) {
        free(w);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        w->wanted[i].pattern = patterns[i];
    w->n = w->missing = n;
    w->lines.line = on_line;
    w->lines.opaque = w;
    return w;
}

void output_watch_begin(struct output_watch *w)
{
    for (size_t i = 0; i < w->n; i++) {
        free(w->wanted[i].line);
        w->wanted[i].line = NULL;
        w->wanted[i].seen = false;
    }
    w->missing = w->n;
    w->fresh = false;
    output_lines_drop(&w->lines);
}

void output_watch_destroy(struct output_watch *w)
{
    if (w == NULL)
        return;
    output_watch_begin(w);
    free(w->wanted);
    free(w);
}

void output_watch_feed(struct output_watch *w, unsigned port, const uint8_t *data, size_t len)
{
    if (w->missing == 0)
        return;
    output_lines_feed(&w->lines, port, data, len);
    w->fresh = true;
}

/* At the lines that are not whole yet. */
static void look_at_last(struct output_watch *w)
{
    for (unsigned port = 0; port < OUTPUT_LINES_PORTS && w->missing > 0; port++)
        if (w->lines.ports[port].len > 0)
            look_at(w, w->lines.ports[port].text, w->lines.ports[port].len, false);
    w->fresh = false;
}

bool output_watch_seen(struct output_watch *w, size_t n)
{
    if (!w->wanted[n].seen && w->fresh)
        look_at_last(w);
    return w->wanted[n].seen;
}

const char *output_watch_line(const struct output_watch *w, size_t n)
{
    return w->wanted[n].line;
}
