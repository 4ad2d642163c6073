/* SPDX-License-Identifier: MIT */
/*
 * CBOR from hostile bytes, an item at a time, by libcbor's streaming decoder: it allocates nothing
 * and does not recurse, so depth and claimed lengths cost nothing.
 *
 * Refused: indefinite lengths and break codes (a trace has none), element counts above the number
 * of bytes that are left (each element takes one at least).
 */
#include <string.h>

#include <cbor.h>

#include "trace_internal.h"

static void set_item(void *opaque, enum cbor_in_type type, uint64_t u)
{
    struct cbor_in_item *item = opaque;

    item->type = type;
    item->u = u;
}

static void on_uint8(void *item, uint8_t v)
{
    set_item(item, CBOR_IN_UINT, v);
}

static void on_uint16(void *item, uint16_t v)
{
    set_item(item, CBOR_IN_UINT, v);
}

static void on_uint32(void *item, uint32_t v)
{
    set_item(item, CBOR_IN_UINT, v);
}

static void on_uint64(void *item, uint64_t v)
{
    set_item(item, CBOR_IN_UINT, v);
}

static void on_negint8(void *item, uint8_t v)
{
    set_item(item, CBOR_IN_NEGINT, v);
}

static void on_negint16(void *item, uint16_t v)
{
    set_item(item, CBOR_IN_NEGINT, v);
}

static void on_negint32(void *item, uint32_t v)
{
    set_item(item, CBOR_IN_NEGINT, v);
}

static void on_negint64(void *item, uint64_t v)
{
    set_item(item, CBOR_IN_NEGINT, v);
}

static void on_bytes(void *opaque, cbor_data data, size_t len)
{
    struct cbor_in_item *item = opaque;

    set_item(item, CBOR_IN_BYTES, len);
    item->data = data;
}

static void on_text(void *opaque, cbor_data data, size_t len)
{
    struct cbor_in_item *item = opaque;

    set_item(item, CBOR_IN_TEXT, len);
    item->data = data;
}

static void on_array(void *item, size_t n)
{
    set_item(item, CBOR_IN_ARRAY, n);
}

static void on_map(void *item, size_t n)
{
    set_item(item, CBOR_IN_MAP, n);
}

static void on_tag(void *item, uint64_t tag)
{
    set_item(item, CBOR_IN_TAG, tag);
}

static void on_bool(void *item, bool v)
{
    set_item(item, CBOR_IN_BOOL, v);
}

static void on_float(void *item, float v)
{
    (void)v;
    set_item(item, CBOR_IN_OTHER, 0);
}

static void on_double(void *item, double v)
{
    (void)v;
    set_item(item, CBOR_IN_OTHER, 0);
}

static void on_other(void *item)
{
    set_item(item, CBOR_IN_OTHER, 0);
}

static void on_indefinite(void *item)
{
    set_item(item, CBOR_IN_OTHER, 1);
}

static const struct cbor_callbacks callbacks = {
    .uint8 = on_uint8,
    .uint16 = on_uint16,
    .uint32 = on_uint32,
    .uint64 = on_uint64,
    .negint8 = on_negint8,
    .negint16 = on_negint16,
    .negint32 = on_negint32,
    .negint64 = on_negint64,
    .byte_string_start = on_indefinite,
    .byte_string = on_bytes,
    .string = on_text,
    .string_start = on_indefinite,
    .indef_array_start = on_indefinite,
    .array_start = on_array,
    .indef_map_start = on_indefinite,
    .map_start = on_map,
    .tag = on_tag,
    .float2 = on_float,
    .float4 = on_float,
    .float8 = on_double,
    .undefined = on_other,
    .null = on_other,
    .boolean = on_bool,
    .indef_break = on_indefinite,
};

static bool problem(struct cbor_in *in, const char *what)
{
    in->problem = what;
    return false;
}

bool cbor_in_next(struct cbor_in *in, struct cbor_in_item *item)
{
    struct cbor_decoder_result result;
    size_t left = in->len - in->pos;

    if (!left)
        return problem(in, "it ends too early");
    result = cbor_stream_decode(in->data + in->pos, left, &callbacks, item);
    if (result.status == CBOR_DECODER_NEDATA)
        return problem(in, "an item is longer than what holds it");
    if (result.status != CBOR_DECODER_FINISHED || !result.read || result.read > left)
        return problem(in, "not CBOR");
    if (item->type == CBOR_IN_OTHER && item->u)
        return problem(in, "an item of indefinite length");
    left -= result.read;
    if ((item->type == CBOR_IN_ARRAY && item->u > left) ||
        (item->type == CBOR_IN_MAP && item->u > left / 2))
        return problem(in, "more elements claimed than there are bytes");
    in->pos += result.read;
    return true;
}

/* The next item, which must be of that type; else `pos` stays before it. */
static bool next_of_type(struct cbor_in *in, struct cbor_in_item *item, enum cbor_in_type type,
                         const char *what)
{
    size_t pos = in->pos;

    if (!cbor_in_next(in, item))
        return false;
    if (item->type == type)
        return true;
    in->pos = pos;
    return problem(in, what);
}

bool cbor_in_uint(struct cbor_in *in, uint64_t *v, uint64_t max)
{
    struct cbor_in_item item;
    size_t pos = in->pos;

    if (!next_of_type(in, &item, CBOR_IN_UINT, "not an unsigned number"))
        return false;
    if (item.u > max) {
        in->pos = pos;
        return problem(in, "a number is out of range");
    }
    *v = item.u;
    return true;
}

bool cbor_in_int(struct cbor_in *in, int64_t *v)
{
    struct cbor_in_item item;
    size_t pos = in->pos;

    if (!cbor_in_next(in, &item))
        return false;
    if ((item.type != CBOR_IN_UINT && item.type != CBOR_IN_NEGINT) || item.u > INT64_MAX) {
        in->pos = pos;
        return problem(in, "not a number that fits 64 bits");
    }
    *v = item.type == CBOR_IN_UINT ? (int64_t)item.u : -1 - (int64_t)item.u;
    return true;
}

bool cbor_in_bool(struct cbor_in *in, bool *v)
{
    struct cbor_in_item item;

    if (!next_of_type(in, &item, CBOR_IN_BOOL, "neither true nor false"))
        return false;
    *v = item.u;
    return true;
}

bool cbor_in_bytes(struct cbor_in *in, const uint8_t **data, size_t *len, size_t max)
{
    struct cbor_in_item item;
    size_t pos = in->pos;

    if (!next_of_type(in, &item, CBOR_IN_BYTES, "not a byte string"))
        return false;
    if (item.u > max) {
        in->pos = pos;
        return problem(in, "a byte string is too long");
    }
    *data = item.data;
    *len = item.u;
    return true;
}

bool cbor_in_text(struct cbor_in *in, const char **text, size_t *len, size_t max)
{
    struct cbor_in_item item;
    size_t pos = in->pos;

    if (!next_of_type(in, &item, CBOR_IN_TEXT, "not a text string"))
        return false;
    if (item.u > max) {
        in->pos = pos;
        return problem(in, "a text is too long");
    }
    if (!trace_utf8_valid((const char *)item.data, item.u) || memchr(item.data, 0, item.u)) {
        in->pos = pos;
        return problem(in, "a text is not UTF-8 without NUL");
    }
    *text = (const char *)item.data;
    *len = item.u;
    return true;
}

bool cbor_in_array(struct cbor_in *in, uint64_t *n)
{
    struct cbor_in_item item;

    if (!next_of_type(in, &item, CBOR_IN_ARRAY, "not an array"))
        return false;
    *n = item.u;
    return true;
}

bool cbor_in_map(struct cbor_in *in, uint64_t *n)
{
    struct cbor_in_item item;

    if (!next_of_type(in, &item, CBOR_IN_MAP, "not a map"))
        return false;
    *n = item.u;
    return true;
}

bool cbor_in_skip(struct cbor_in *in)
{
    /* Items still to come. Each pending one needs a byte, which bounds the sum: no overflow. */
    uint64_t pending = 1;

    while (pending) {
        struct cbor_in_item item;

        if (pending > in->len - in->pos)
            return problem(in, "more elements claimed than there are bytes");
        if (!cbor_in_next(in, &item))
            return false;
        pending--;
        if (item.type == CBOR_IN_ARRAY)
            pending += item.u;
        else if (item.type == CBOR_IN_MAP)
            pending += 2 * item.u;
        else if (item.type == CBOR_IN_TAG)
            pending++;
    }
    return true;
}

bool cbor_in_at_end(const struct cbor_in *in)
{
    return in->pos == in->len;
}
