/* SPDX-License-Identifier: MIT */
/*
 * Objects (GDB manual, E.4: "qXfer:object:read:annex:offset,length"): "m" and a part, or "l" and
 * the last part. An annex that does not exist is E00, an offset behind the end E01; an object that
 * is not supported gets the empty reply.
 */
#include <stdlib.h>
#include <string.h>

#include "stub_internal.h"

#define NAME_BYTES 256u

struct request {
    char object[NAME_BYTES];
    char annex[NAME_BYTES];
    uint64_t offset, len;
};

/* Up to the separator, which is passed over. */
static bool read_name(struct stub_cursor *c, const char *separator, char *out)
{
    size_t len;

    if (!separator)
        return false;
    len = (size_t)(separator - c->p);
    if (len >= NAME_BYTES || memchr(c->p, 0, len))
        return false;
    memcpy(out, c->p, len);
    out[len] = 0;
    c->p = separator + 1;
    return true;
}

/* An annex may hold colons; an offset does not. */
static bool read_request(struct stub_cursor *c, struct request *r)
{
    return read_name(c, memchr(c->p, ':', stub_left(c)), r->object) &&
           stub_read_literal(c, "read:") &&
           read_name(c, memrchr(c->p, ':', stub_left(c)), r->annex) &&
           stub_read_range(c, &r->offset, &r->len) && !stub_left(c);
}

static bool is_announced(const struct gdbstub *s, const char *object)
{
    const char *const *name = s->target.objects;

    for (; name && *name; name++)
        if (strcmp(*name, object) == 0)
            return true;
    return false;
}

static void put_part(struct gdbstub *s, const uint8_t *data, size_t size, const struct request *r)
{
    uint64_t left;
    size_t n;

    if (r->offset > size) {
        stub_put_text(&s->reply, "E01");
        return;
    }
    left = size - r->offset;
    stub_put_text(&s->reply, "l");
    n = stub_put_binary(&s->reply, data + r->offset, (size_t)(r->len < left ? r->len : left));
    if (n < left)
        s->reply.data[0] = 'm';
}

/* The list stays as it is while a client reads on, so that its parts fit together. */
static void transfer_threads(struct gdbstub *s, const struct request *r)
{
    if ((r->offset == 0 || !s->threads_xml.len) && !stub_make_threads_xml(s)) {
        s->threads_xml.len = 0;
        stub_error(s, STUB_ENOMEM);
        return;
    }
    put_part(s, s->threads_xml.data, s->threads_xml.len, r);
}

void stub_transfer(struct gdbstub *s, struct stub_cursor *c)
{
    struct request r;
    const char *data;
    size_t size = 0;

    if (!read_request(c, &r))
        return;
    if (strcmp(r.object, "threads") == 0) {
        transfer_threads(s, &r);
        return;
    }
    if (!s->target.object)
        return;
    data = s->target.object(s->user, r.object, r.annex, &size);
    if (data)
        put_part(s, (const uint8_t *)data, size, &r);
    else if (is_announced(s, r.object))
        stub_put_text(&s->reply, "E00");
}
