/* SPDX-License-Identifier: MIT */
/* The client's break- and watchpoints, and what the machine has of them. */
#include "session_internal.h"

#include <stdlib.h>
#include <string.h>

static size_t find(const struct session *s, const struct gdbstub_point *point)
{
    size_t i;

    for (i = 0; i < s->npoints; i++)
        if (s->points[i].kind == point->kind && s->points[i].address == point->address &&
            s->points[i].length == point->length)
            break;
    return i;
}

struct debug_point session_debug_point(const struct gdbstub_point *p)
{
    static const enum debug_kind kinds[] = {
        [GDBSTUB_SOFTWARE_BREAK] = DEBUG_EXEC, [GDBSTUB_HARDWARE_BREAK] = DEBUG_EXEC,
        [GDBSTUB_WRITE_WATCH] = DEBUG_WRITE,   [GDBSTUB_READ_WATCH] = DEBUG_READ,
        [GDBSTUB_ACCESS_WATCH] = DEBUG_ACCESS,
    };

    return (struct debug_point){.kind = kinds[p->kind],
                                .address = p->address,
                                .length = kinds[p->kind] == DEBUG_EXEC ? 1 : p->length};
}

/* The timeline keeps a list of its own; a live machine is armed when it runs. */
int session_tell_points(struct session *s)
{
    struct debug_point *points;
    int rc;

    if (s->timeline == NULL)
        return 0;
    points = calloc(s->npoints + 1, sizeof(*points));
    if (points == NULL)
        return -1;
    for (size_t i = 0; i < s->npoints; i++)
        points[i] = session_debug_point(&s->points[i]);
    rc = timeline_set_points(s->timeline, points, s->npoints);
    free(points);
    return rc;
}

bool session_has_point(const struct session *s, const struct gdbstub_point *point)
{
    return find(s, point) < s->npoints;
}

int session_insert_point(struct session *s, const struct gdbstub_point *point)
{
    struct gdbstub_point *points;

    if (session_has_point(s, point))
        return 0;
    if (point->kind >= GDBSTUB_WRITE_WATCH &&
        (point->length == 0 || point->address + (point->length - 1) < point->address))
        return -1;
    if (s->npoints == s->capacity) {
        points = realloc(s->points, (s->capacity + 16) * sizeof(*points));
        if (points == NULL)
            return -1;
        s->points = points;
        s->capacity += 16;
    }
    s->points[s->npoints++] = *point;
    return session_tell_points(s);
}

int session_remove_point(struct session *s, const struct gdbstub_point *point)
{
    size_t at = find(s, point);

    if (at == s->npoints)
        return 0;
    s->npoints--;
    memmove(&s->points[at], &s->points[at + 1], (s->npoints - at) * sizeof(s->points[0]));
    return session_tell_points(s);
}
