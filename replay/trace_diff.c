/* SPDX-License-Identifier: MIT */
/*
 * Two traces, event by event: replay/trace_diff.h.
 *
 * Both are read once, side by side, by ascending icount. Of inputs and of interrupts, those that the other side
 * has not answered yet wait in a short queue; heads that are equal leave it. When the heads differ, or a queue is
 * full, the first difference is found, and the queues are filled up with what follows, to tell an event that is
 * missing from one that has moved.
 *
 * Inputs and digests of one icount are also compared among themselves: that gives the places at which a
 * deterministic machine can begin to differ, and digests however often each side takes them.
 */
#include <replay/trace_diff.h>

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "config_diff.h"

#define QUEUE        32u
#define SITES        4096u
#define DIGESTS_HERE 8u /* at one icount; there is more than one only where a guest sleeps */

const char *event_relation_name(enum event_relation relation)
{
    switch (relation) {
    case EVENTS_SAME: return "same";
    case EVENT_ONLY_IN_A: return "only in A";
    case EVENT_ONLY_IN_B: return "only in B";
    case EVENT_MOVED: return "moved";
    case EVENT_OTHER: return "other";
    case EVENT_AFTER_END: return "after the end";
    }
    return "unknown";
}

/* Events of one kind. */
struct stream {
    struct event_diff *out;
    struct trace_event queue[2][QUEUE];
    size_t n[2];
    bool found;
};

/* What both sides have at the icount that is being read. */
struct here {
    uint64_t icount;
    uint64_t input_hash[2];
    uint64_t digest[2][DIGESTS_HERE];
    unsigned ndigests[2];
};

struct source {
    struct trace_reader *reader;
    struct trace_event ev; /* the next one */
    int status;            /* of trace_reader_next(): 1 while there is one */
};

struct merge {
    struct trace_diff *out;
    struct source source[2];
    struct stream inputs, interrupts;
    struct here here;
    bool failed; /* out of memory */
};

/* --- single events --- */

static bool same_content(const struct trace_event *a, const struct trace_event *b)
{
    if (a->kind == TRACE_EVENT_INTERRUPT)
        return a->u.interrupt.vector == b->u.interrupt.vector &&
               a->u.interrupt.source == b->u.interrupt.source;
    return a->u.input.kind == b->u.input.kind && a->u.input.port == b->u.input.port &&
           a->u.input.len == b->u.input.len &&
           (a->u.input.len == 0 || memcmp(a->u.input.data, b->u.input.data, a->u.input.len) == 0);
}

static bool same_time(const struct trace_event *a, const struct trace_event *b)
{
    return a->icount == b->icount &&
           (a->kind != TRACE_EVENT_INPUT || a->u.input.vns == b->u.input.vns);
}

static bool same_event(const struct trace_event *a, const struct trace_event *b)
{
    return same_time(a, b) && same_content(a, b);
}

static void free_event(struct trace_event *ev)
{
    if (ev->kind == TRACE_EVENT_INPUT)
        free((void *)ev->u.input.data);
}

/* With bytes of its own. */
static bool copy_event(struct trace_event *to, const struct trace_event *from)
{
    uint8_t *data;

    *to = *from;
    if (from->kind != TRACE_EVENT_INPUT)
        return true;
    data = malloc(from->u.input.len + 1);
    if (data == NULL)
        return false;
    if (from->u.input.len > 0)
        memcpy(data, from->u.input.data, from->u.input.len);
    to->u.input.data = data;
    return true;
}

/* --- streams --- */

static void pop(struct stream *s, unsigned side)
{
    free_event(&s->queue[side][0]);
    s->n[side]--;
    memmove(&s->queue[side][0], &s->queue[side][1], s->n[side] * sizeof(s->queue[side][0]));
}

static void settle(struct stream *s)
{
    while (!s->found && s->n[0] > 0 && s->n[1] > 0) {
        if (same_event(&s->queue[0][0], &s->queue[1][0])) {
            pop(s, 0);
            pop(s, 1);
            s->out->same++;
        } else {
            s->found = true;
        }
    }
    if (s->n[0] == QUEUE || s->n[1] == QUEUE)
        s->found = true;
}

static bool push(struct stream *s, unsigned side, const struct trace_event *ev)
{
    s->out->count[side]++;
    if (s->n[side] == QUEUE)
        return true;
    if (!copy_event(&s->queue[side][s->n[side]], ev))
        return false;
    s->n[side]++;
    settle(s);
    return true;
}

/* How many events of `side` come before one that is the other side's first; QUEUE: it is not seen. */
static size_t events_before(const struct stream *s, unsigned side)
{
    for (size_t i = 1; i < s->n[side]; i++)
        if (same_event(&s->queue[side][i], &s->queue[!side][0]))
            return i;
    return QUEUE;
}

/* A whole queue of this side's comes before the other side's first. */
static bool many_before(const struct stream *s, unsigned side)
{
    return s->n[side] == QUEUE && s->queue[side][QUEUE - 1].icount < s->queue[!side][0].icount;
}

static enum event_relation only_in(unsigned side)
{
    return side == 0 ? EVENT_ONLY_IN_A : EVENT_ONLY_IN_B;
}

static enum event_relation relation_of_pair(const struct stream *s)
{
    const struct trace_event *a = &s->queue[0][0], *b = &s->queue[1][0];
    size_t more_in_a = events_before(s, 0), more_in_b = events_before(s, 1);

    if (more_in_a < more_in_b || many_before(s, 0))
        return EVENT_ONLY_IN_A;
    if (more_in_b < more_in_a || many_before(s, 1))
        return EVENT_ONLY_IN_B;
    if (same_content(a, b))
        return EVENT_MOVED;
    if (same_time(a, b))
        return EVENT_OTHER;
    return only_in(a->icount > b->icount);
}

static enum event_relation relation_of_rest(const struct stream *s, unsigned side,
                                            const struct trace_extent *other)
{
    if (s->queue[side][0].icount < other->last_icount)
        return only_in(side);
    return other->has_end ? EVENT_AFTER_END : EVENTS_SAME;
}

/* Both traces have been read to their ends. */
static void conclude(struct stream *s, const struct trace_extent extent[2])
{
    struct event_diff *out = s->out;

    if (s->n[0] > 0 && s->n[1] > 0)
        out->relation = relation_of_pair(s);
    else if (s->n[0] > 0 || s->n[1] > 0)
        out->relation = relation_of_rest(s, s->n[1] > 0, &extent[s->n[0] > 0]);
    for (unsigned side = 0; side < 2; side++) {
        size_t first = 0;

        out->has[side] = s->n[side] > 0 && out->relation != EVENTS_SAME &&
                         out->relation != only_in(!side);
        if (out->has[side])
            out->ev[side] = s->queue[side][first++];
        for (; first < s->n[side]; first++)
            free_event(&s->queue[side][first]);
        s->n[side] = 0;
    }
}

/* --- events of one icount --- */

static void note_input(struct here *here, unsigned side, const struct trace_event *ev)
{
    uint64_t head[4] = {here->input_hash[side], ev->u.input.vns, ev->u.input.kind, ev->u.input.port};

    here->input_hash[side] =
        XXH3_64bits_withSeed(ev->u.input.data, ev->u.input.len, XXH3_64bits(head, sizeof(head)));
}

static void add_site(struct trace_diff *d, uint64_t icount)
{
    if (d->nsites == SITES)
        d->more_sites = true;
    else
        d->sites[d->nsites++] = icount;
}

static void compare_digest(struct digest_diff *d, uint64_t icount, uint64_t a, uint64_t b)
{
    d->compared++;
    if (a == b) {
        if (d->different == 0) {
            d->any_equal = true;
            d->equal_icount = icount;
        }
    } else if (d->different++ == 0) {
        d->icount = icount;
        d->digest[0] = a;
        d->digest[1] = b;
    }
}

static void finish_icount(struct merge *m)
{
    const struct here *here = &m->here;

    if (here->input_hash[0] != here->input_hash[1])
        add_site(m->out, here->icount);
    for (unsigned i = 0; i < here->ndigests[0] && i < here->ndigests[1]; i++)
        compare_digest(&m->out->digests, here->icount, here->digest[0][i], here->digest[1][i]);
}

/* --- reading side by side --- */

static void take_digest(struct merge *m, unsigned side, uint64_t digest)
{
    struct here *here = &m->here;

    m->out->digests.count[side]++;
    if (here->ndigests[side] < DIGESTS_HERE)
        here->digest[side][here->ndigests[side]++] = digest;
}

static void take_event(struct merge *m, unsigned side)
{
    struct source *source = &m->source[side];
    const struct trace_event *ev = &source->ev;
    struct trace_extent *extent = &m->out->extent[side];

    extent->last_icount = ev->icount;
    switch (ev->kind) {
    case TRACE_EVENT_INPUT:
        note_input(&m->here, side, ev);
        m->failed |= !push(&m->inputs, side, ev);
        break;
    case TRACE_EVENT_INTERRUPT: m->failed |= !push(&m->interrupts, side, ev); break;
    case TRACE_EVENT_DIGEST: take_digest(m, side, ev->u.digest); break;
    case TRACE_EVENT_END:
        extent->has_end = true;
        extent->end = ev->u.end;
        break;
    case TRACE_EVENT_MARK: break;
    }
    source->status = trace_reader_next(source->reader, &source->ev);
}

static bool is_at(const struct source *source, uint64_t icount)
{
    return source->status > 0 && source->ev.icount == icount;
}

static void read_both(struct merge *m)
{
    struct source *a = &m->source[0], *b = &m->source[1];

    a->status = trace_reader_next(a->reader, &a->ev);
    b->status = trace_reader_next(b->reader, &b->ev);
    while ((a->status > 0 || b->status > 0) && !m->failed) {
        uint64_t icount = a->status > 0 ? a->ev.icount : b->ev.icount;

        if (b->status > 0 && b->ev.icount < icount)
            icount = b->ev.icount;
        m->here = (struct here){.icount = icount};
        while ((is_at(a, icount) || is_at(b, icount)) && !m->failed)
            for (unsigned side = 0; side < 2; side++)
                if (is_at(&m->source[side], icount))
                    take_event(m, side);
        finish_icount(m);
    }
}

/* --- both ends --- */

static bool same_end(const struct trace_end *a, const struct trace_end *b)
{
    return strcmp(a->reason, b->reason) == 0 && a->exit_code == b->exit_code &&
           a->icount == b->icount && a->vns == b->vns &&
           (a->digest == b->digest || a->digest == 0 || b->digest == 0);
}

static void compare_ends(struct trace_diff *d)
{
    const struct trace_extent *a = &d->extent[0], *b = &d->extent[1];

    d->other_end = a->has_end && b->has_end && !same_end(&a->end, &b->end);
    d->common_icount = a->last_icount < b->last_icount ? a->last_icount : b->last_icount;
    while (d->nsites > 0 && d->sites[d->nsites - 1] > d->common_icount)
        d->nsites--;
}

/* The last icount of a recording that is cut off may have had more inputs. */
static void drop_site_of_cut(struct trace_diff *d)
{
    for (unsigned side = 0; side < 2; side++)
        if (!d->extent[side].has_end && d->nsites > 0 &&
            d->sites[d->nsites - 1] == d->extent[side].last_icount)
            d->nsites--;
}

static void conclude_all(struct merge *m)
{
    struct trace_diff *d = m->out;

    for (unsigned side = 0; side < 2; side++)
        trace_reader_truncated(m->source[side].reader, &d->extent[side].whole_bytes);
    compare_ends(d);
    drop_site_of_cut(d);
    conclude(&m->inputs, d->extent);
    conclude(&m->interrupts, d->extent);
}

/* --- life cycle --- */

static bool check_status(const struct merge *m, unsigned *side, struct trace_error *err)
{
    for (*side = 0; *side < 2; ++*side) {
        if (m->source[*side].status >= 0)
            continue;
        trace_reader_error(m->source[*side].reader, err);
        return false;
    }
    return !m->failed;
}

struct trace_diff *trace_diff_create(struct trace_reader *a, struct trace_reader *b, unsigned *side,
                                     struct trace_error *err)
{
    struct trace_diff *d = calloc(1, sizeof(*d));
    struct merge *m = calloc(1, sizeof(*m));

    *side = 2;
    if (d == NULL || m == NULL || (d->sites = calloc(SITES, sizeof(*d->sites))) == NULL ||
        config_diff(d, trace_reader_header(a), trace_reader_header(b)) != 0) {
        free(m);
        trace_diff_destroy(d);
        return NULL;
    }
    m->out = d;
    m->source[0].reader = a;
    m->source[1].reader = b;
    m->inputs.out = &d->inputs;
    m->interrupts.out = &d->interrupts;
    read_both(m);
    conclude_all(m);
    if (!check_status(m, side, err)) {
        trace_diff_destroy(d);
        d = NULL;
    }
    free(m);
    return d;
}

static void free_stream(struct event_diff *d)
{
    for (unsigned side = 0; side < 2; side++)
        if (d->has[side])
            free_event(&d->ev[side]);
}

void trace_diff_destroy(struct trace_diff *d)
{
    if (d == NULL)
        return;
    for (size_t i = 0; i < d->nconfig; i++) {
        free(d->config[i].value[0]);
        free(d->config[i].value[1]);
    }
    free(d->config);
    free_stream(&d->inputs);
    free_stream(&d->interrupts);
    free(d->sites);
    free(d);
}

bool trace_diff_same(const struct trace_diff *d)
{
    return !d->other_run && d->inputs.relation == EVENTS_SAME &&
           d->interrupts.relation == EVENTS_SAME && d->digests.different == 0 && !d->other_end;
}
