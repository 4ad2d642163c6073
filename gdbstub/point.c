/* SPDX-License-Identifier: MIT */
/*
 * Break- and watchpoints and their conditions (GDB manual, E.2: "Z type,addr,kind").
 *
 *     Z0,addr,kind[;Xlen,bytecode[Xlen,bytecode..]]..[;cmds:..]
 *
 * A point is what its type, address and kind say; the same one again brings new conditions. It
 * stops the target if one of them is not zero. Commands to be run by the stub are not announced; a
 * client that sends some gets an ordinary breakpoint, and may run them itself.
 */
#include <stdlib.h>
#include <string.h>

#include "stub_internal.h"

/* A bytecode's length as it is kept before it. A packet holds no longer one. */
#define LENGTH_BYTES 2u

static bool same_point(const struct gdbstub_point *a, const struct gdbstub_point *b)
{
    return a->kind == b->kind && a->address == b->address && a->length == b->length;
}

static struct stub_point *find_point(const struct gdbstub *s, const struct gdbstub_point *at)
{
    for (size_t i = 0; i < s->npoints; i++)
        if (same_point(&s->points[i].at, at))
            return &s->points[i];
    return NULL;
}

static bool read_point(struct stub_cursor *c, struct gdbstub_point *at)
{
    uint64_t kind;
    bool watch;

    if (!stub_read_number(c, &kind) || kind > GDBSTUB_ACCESS_WATCH || !stub_read_char(c, ',') ||
        !stub_read_range(c, &at->address, &at->length))
        return false;
    at->kind = (enum gdbstub_point_kind)kind;
    watch = at->kind >= GDBSTUB_WRITE_WATCH;
    return !watch || (at->length && at->length - 1 <= UINT64_MAX - at->address);
}

/* Xlen,bytecode: appends it. */
static bool read_condition(struct stub_cursor *c, struct stub_bytes *out)
{
    uint64_t len;
    uint16_t kept;

    if (!stub_read_number(c, &len) || !stub_read_char(c, ',') || len > stub_left(c) / 2)
        return false;
    kept = (uint16_t)len;
    if (!stub_bytes_reserve(out, LENGTH_BYTES + len, STUB_CONDITION_BYTES))
        return false;
    memcpy(out->data + out->len, &kept, LENGTH_BYTES);
    if (!stub_read_bytes(c, out->data + out->len + LENGTH_BYTES, len))
        return false;
    out->len += LENGTH_BYTES + len;
    return true;
}

static bool read_conditions(struct stub_cursor *c, struct stub_bytes *out)
{
    while (stub_read_char(c, ';')) {
        if (stub_read_literal(c, "cmds:"))
            return true;
        while (stub_read_char(c, 'X'))
            if (!read_condition(c, out))
                return false;
    }
    return !stub_left(c);
}

static bool room_for_point(struct gdbstub *s)
{
    size_t cap = s->points_cap ? 2 * s->points_cap : 16;
    struct stub_point *points;

    if (s->npoints < s->points_cap)
        return true;
    if (cap > STUB_MAX_POINTS)
        return false;
    points = realloc(s->points, cap * sizeof(*points));
    if (!points)
        return false;
    s->points = points;
    s->points_cap = cap;
    return true;
}

static void set_conditions(struct gdbstub *s, struct stub_point *point, struct stub_bytes *code)
{
    s->condition_bytes = s->condition_bytes - point->nconditions_bytes + code->len;
    free(point->conditions);
    point->conditions = code->len ? code->data : NULL;
    point->nconditions_bytes = code->len;
    if (!code->len)
        free(code->data);
}

/* Takes the conditions, on success: the reply is OK. */
static bool insert(struct gdbstub *s, const struct gdbstub_point *at, struct stub_bytes *code)
{
    struct stub_point *point = find_point(s, at);
    size_t had = point ? point->nconditions_bytes : 0;
    int rc;

    if (code->len > STUB_CONDITION_BYTES - (s->condition_bytes - had) ||
        (!point && !room_for_point(s))) {
        stub_error(s, STUB_ENOMEM);
        return false;
    }
    rc = s->target.insert_point(s->user, at);
    if (rc < 0)
        stub_error(s, STUB_EINVAL);
    if (rc)
        return false;
    if (!point) {
        point = &s->points[s->npoints++];
        *point = (struct stub_point){.at = *at};
    }
    set_conditions(s, point, code);
    stub_ok(s);
    return true;
}

void stub_insert_point(struct gdbstub *s, struct stub_cursor *c)
{
    struct stub_bytes code = {0};
    struct gdbstub_point at;

    if (!s->target.insert_point)
        return;
    if (!read_point(c, &at) || !read_conditions(c, &code)) {
        stub_error(s, STUB_EINVAL);
        stub_bytes_fini(&code);
    } else if (!insert(s, &at, &code)) {
        stub_bytes_fini(&code);
    }
}

static void forget(struct gdbstub *s, struct stub_point *point)
{
    s->condition_bytes -= point->nconditions_bytes;
    free(point->conditions);
    *point = s->points[--s->npoints];
}

/* One that is not there is gone already. */
void stub_remove_point(struct gdbstub *s, struct stub_cursor *c)
{
    struct stub_point *point;
    struct gdbstub_point at;
    int rc;

    if (!s->target.remove_point)
        return;
    if (!read_point(c, &at) || stub_left(c)) {
        stub_error(s, STUB_EINVAL);
        return;
    }
    point = find_point(s, &at);
    rc = point ? s->target.remove_point(s->user, &at) : 0;
    if (rc < 0)
        stub_error(s, STUB_EINVAL);
    if (rc)
        return;
    if (point)
        forget(s, point);
    stub_ok(s);
}

/* Last in, first out, so that a target that keeps a list finds them at its end. */
void stub_remove_all_points(struct gdbstub *s)
{
    while (s->npoints) {
        struct stub_point *point = &s->points[s->npoints - 1];

        s->target.remove_point(s->user, &point->at);
        forget(s, point);
    }
}

bool gdbstub_should_stop(struct gdbstub *s, const struct gdbstub_point *at, gdbstub_thread thread)
{
    const struct stub_point *point = find_point(s, at);
    unsigned steps = STUB_CONDITION_STEPS;
    size_t i = 0;

    if (!point || !point->nconditions_bytes)
        return true;
    while (i < point->nconditions_bytes) {
        uint64_t value;
        uint16_t len;

        memcpy(&len, point->conditions + i, LENGTH_BYTES);
        i += LENGTH_BYTES;
        if (!stub_evaluate(s, thread, point->conditions + i, len, &steps, &value) || value)
            return true;
        i += len;
    }
    return false;
}
