/* SPDX-License-Identifier: MIT */
/* What the replay tests share: fixture.h. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char trace_path[64], other_path[64];
static char folder[32];

int fixture_setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/replay-test-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(trace_path, sizeof(trace_path), "%s/t.deja", folder);
    snprintf(other_path, sizeof(other_path), "%s/other.deja", folder);
    return 0;
}

int fixture_teardown(void **state)
{
    (void)state;
    unlink(trace_path);
    unlink(other_path);
    return rmdir(folder);
}

/* --- recording and replaying --- */

enum machine_stop record(const struct script_input *inputs, size_t n,
                         const struct recorder_options *options, struct tiny_output *out)
{
    struct recorder_options how = {.struct_size = sizeof(how)};
    struct script script = {.inputs = inputs, .n = n};
    struct machine *m = tiny_machine_create(&tiny_board);
    struct input_source source = script_source(&script);
    enum machine_stop why;
    struct recorder *r;
    char err[256] = "";

    if (options != NULL)
        how = *options;
    if (how.digest_interval == 0)
        how.digest_interval = INTERVAL;
    if (out != NULL)
        how.outputs = tiny_output_observer(out);
    r = recorder_create(m, trace_path, &how, err, sizeof(err));
    if (r == NULL)
        fail_msg("recorder_create: %s", err);
    machine_set_source(m, &source);
    why = recorder_run(r);
    if (recorder_finish(r, why, err, sizeof(err)) != 0)
        fail_msg("recorder_finish: %s", err);
    recorder_destroy(r);
    machine_destroy(m);
    return why;
}

struct player *open_player(const char *path, const struct machine_board *board)
{
    char err[512] = "";
    struct player *p = player_open(path, board, err, sizeof(err));

    if (p == NULL)
        fail_msg("player_open: %s", err);
    return p;
}

enum player_status replay(const char *path, const struct machine_board *board, struct player **out)
{
    *out = open_player(path, board);
    return player_run(*out, UINT64_MAX);
}

void assert_replays_exactly(const char *path)
{
    struct player *p;
    enum player_status status = replay(path, &tiny_board, &p);
    const struct player_divergence *d = player_divergence(p);
    const struct trace_end *end = player_end(p);
    struct player_counts counts = player_counts(p);

    if (d != NULL)
        fail_msg("diverged at %llu: expected %s, found %s", (unsigned long long)d->icount,
                 d->expected, d->found);
    assert_int_equal(status, PLAYER_END);
    assert_int_equal(counts.inputs, end->inputs);
    assert_int_equal(counts.interrupts, end->interrupts);
    assert_int_equal(counts.digests, end->digests + 1); /* and that of the end */
    player_destroy(p);
}

/* --- traces as lists of events --- */

static void keep_bytes(struct event_list *list, struct trace_event *ev)
{
    const void *from = NULL;
    size_t len = 0;

    if (ev->kind == TRACE_EVENT_INPUT) {
        from = ev->u.input.data;
        len = ev->u.input.len;
    } else if (ev->kind == TRACE_EVENT_MARK) {
        from = ev->u.mark.text;
        len = ev->u.mark.len + 1;
    }
    list->bytes[list->n] = malloc(len + 1);
    assert_non_null(list->bytes[list->n]);
    if (len > 0)
        memcpy(list->bytes[list->n], from, len);
    if (ev->kind == TRACE_EVENT_INPUT)
        ev->u.input.data = list->bytes[list->n];
    else if (ev->kind == TRACE_EVENT_MARK)
        ev->u.mark.text = (const char *)list->bytes[list->n];
}

struct event_list *read_events(const char *path)
{
    struct event_list *list = calloc(1, sizeof(*list));
    struct trace_error terr;
    struct trace_reader *r = trace_reader_open(path, &terr);
    int rc;

    assert_non_null(list);
    if (r == NULL)
        fail_msg("%s", terr.text);
    while ((rc = trace_reader_next(r, &list->ev[list->n])) > 0) {
        keep_bytes(list, &list->ev[list->n]);
        list->n++;
        assert_true(list->n < MAX_EVENTS);
    }
    assert_int_equal(rc, 0);
    list->truncated = trace_reader_truncated(r, NULL);
    trace_reader_destroy(r);
    return list;
}

void free_events(struct event_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->bytes[i]);
    free(list);
}

size_t count_kind(const struct event_list *list, enum trace_event_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < list->n; i++)
        count += list->ev[i].kind == kind;
    return count;
}

size_t nth(const struct event_list *list, enum trace_event_kind kind, size_t n)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->ev[i].kind == kind && n-- == 0)
            return i;
    fail_msg("the trace has too few events of kind %s", trace_event_kind_name(kind));
    return 0;
}

static int write_event(struct trace_writer *w, const struct trace_event *ev)
{
    switch (ev->kind) {
    case TRACE_EVENT_INPUT:
        return trace_writer_input(w, ev->icount, ev->u.input.vns, ev->u.input.kind,
                                  ev->u.input.port, ev->u.input.data, ev->u.input.len);
    case TRACE_EVENT_INTERRUPT:
        return trace_writer_interrupt(w, ev->icount, ev->u.interrupt.vector,
                                      ev->u.interrupt.source);
    case TRACE_EVENT_DIGEST: return trace_writer_digest(w, ev->icount, ev->u.digest);
    case TRACE_EVENT_MARK: return trace_writer_mark(w, ev->icount, ev->u.mark.text);
    case TRACE_EVENT_END: return trace_writer_finish(w, &ev->u.end);
    }
    return TRACE_ERR_BUG;
}

void write_events(const char *from, const char *to, const struct event_list *list)
{
    struct trace_reader *r = trace_reader_open(from, NULL);
    struct trace_header header = *trace_reader_header(r);
    struct trace_image images[4];
    struct trace_writer *w;
    struct trace_error terr;
    size_t len;

    assert_true(header.nimages <= 4);
    for (size_t i = 0; i < header.nimages; i++) {
        images[i] = header.images[i];
        assert_int_equal(trace_reader_image(r, i, &images[i].data, &len, NULL), 0);
    }
    header.images = images;
    w = trace_writer_create(to, &header, NULL, &terr);
    if (w == NULL)
        fail_msg("%s", terr.text);
    for (size_t i = 0; i < list->n; i++)
        assert_int_equal(write_event(w, &list->ev[i]), 0);
    trace_writer_destroy(w);
    trace_reader_destroy(r);
}

void drop_event(struct event_list *list, size_t at)
{
    free(list->bytes[at]);
    list->n--;
    memmove(&list->ev[at], &list->ev[at + 1], (list->n - at) * sizeof(list->ev[0]));
    memmove(&list->bytes[at], &list->bytes[at + 1], (list->n - at) * sizeof(list->bytes[0]));
}

void double_event(struct event_list *list, size_t at)
{
    assert_true(list->n + 1 < MAX_EVENTS);
    memmove(&list->ev[at + 1], &list->ev[at], (list->n - at) * sizeof(list->ev[0]));
    memmove(&list->bytes[at + 1], &list->bytes[at], (list->n - at) * sizeof(list->bytes[0]));
    list->bytes[at] = NULL; /* the copy shares those of the original */
    list->n++;
}

/* --- files --- */

uint8_t *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data;

    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *len = (size_t)ftell(f);
    rewind(f);
    data = malloc(*len + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *len, f), *len);
    fclose(f);
    return data;
}

void write_file(const char *path, const uint8_t *data, size_t len)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    if (len > 0)
        assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}
