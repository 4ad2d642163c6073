/* SPDX-License-Identifier: MIT */
/*
 * CBOR (RFC 8949) into a growing buffer, each item in its shortest form, by libcbor's encoders.
 *
 * Running out of memory sets `failed` and turns later calls into no-ops, so that a caller checks
 * once.
 */
#include <stdlib.h>
#include <string.h>

#include <cbor.h>

#include "trace_internal.h"

#define HEAD_BYTES 9 /* the longest head of an item */

bool cbor_out_reserve(struct cbor_out *o, size_t more)
{
    size_t cap = o->cap ? o->cap : 256;
    uint8_t *data;

    if (o->failed)
        return false;
    if (o->cap - o->len >= more)
        return true;
    while (cap - o->len < more) {
        if (cap > SIZE_MAX / 2)
            goto failed;
        cap *= 2;
    }
    data = realloc(o->data, cap);
    if (!data)
        goto failed;
    o->data = data;
    o->cap = cap;
    return true;

failed:
    o->failed = true;
    return false;
}

void cbor_out_uint(struct cbor_out *o, uint64_t v)
{
    if (cbor_out_reserve(o, HEAD_BYTES))
        o->len += cbor_encode_uint(v, o->data + o->len, o->cap - o->len);
}

void cbor_out_int(struct cbor_out *o, int64_t v)
{
    if (v >= 0)
        cbor_out_uint(o, (uint64_t)v);
    else if (cbor_out_reserve(o, HEAD_BYTES))
        o->len += cbor_encode_negint(~(uint64_t)v, o->data + o->len, o->cap - o->len);
}

void cbor_out_bool(struct cbor_out *o, bool v)
{
    if (cbor_out_reserve(o, HEAD_BYTES))
        o->len += cbor_encode_bool(v, o->data + o->len, o->cap - o->len);
}

static void put_raw(struct cbor_out *o, const void *data, size_t len)
{
    if (len)
        memcpy(o->data + o->len, data, len);
    o->len += len;
}

void cbor_out_bytes(struct cbor_out *o, const void *data, size_t len)
{
    if (!cbor_out_reserve(o, HEAD_BYTES + len))
        return;
    o->len += cbor_encode_bytestring_start(len, o->data + o->len, o->cap - o->len);
    put_raw(o, data, len);
}

void cbor_out_text(struct cbor_out *o, const char *text, size_t len)
{
    if (!cbor_out_reserve(o, HEAD_BYTES + len))
        return;
    o->len += cbor_encode_string_start(len, o->data + o->len, o->cap - o->len);
    put_raw(o, text, len);
}

void cbor_out_text_lossy(struct cbor_out *o, const char *text, size_t len)
{
    cbor_out_text(o, text, len);
    if (!o->failed)
        trace_utf8_repair((char *)o->data + o->len - len, len);
}

void cbor_out_array(struct cbor_out *o, size_t n)
{
    if (cbor_out_reserve(o, HEAD_BYTES))
        o->len += cbor_encode_array_start(n, o->data + o->len, o->cap - o->len);
}

void cbor_out_map(struct cbor_out *o, size_t n)
{
    if (cbor_out_reserve(o, HEAD_BYTES))
        o->len += cbor_encode_map_start(n, o->data + o->len, o->cap - o->len);
}

void cbor_out_tag(struct cbor_out *o, uint64_t tag)
{
    if (cbor_out_reserve(o, HEAD_BYTES))
        o->len += cbor_encode_tag(tag, o->data + o->len, o->cap - o->len);
}

void cbor_out_fini(struct cbor_out *o)
{
    free(o->data);
    memset(o, 0, sizeof(*o));
}
