/* SPDX-License-Identifier: MIT */
/*
 * The first item of each frame behind the header: an array that begins with a word and the number
 * of the frame.
 *
 *     ["blob", seq, image, offset, data]                   alone in its frame
 *     ["events", seq, first, last, vns, count]             `count` events follow
 *     ["end", seq, icount, vns, reason, exit, digest, [inputs, interrupts, digests, marks]]  alone
 */
#include <string.h>

#include "trace_internal.h"

static const struct {
    const char *word;
    enum frame_kind kind;
    size_t elements;
} forms[] = {
    {"blob", FRAME_BLOB, 5},
    {"events", FRAME_EVENTS, 6},
    {"end", FRAME_END, 8},
};
#define NFORMS (sizeof(forms) / sizeof(forms[0]))

static void put_end(struct cbor_out *o, const struct trace_end *end)
{
    cbor_out_uint(o, end->icount);
    cbor_out_uint(o, end->vns);
    cbor_out_text(o, end->reason, strnlen(end->reason, TRACE_REASON_MAX));
    cbor_out_int(o, end->exit_code);
    cbor_out_uint(o, end->digest);
    cbor_out_array(o, 4);
    cbor_out_uint(o, end->inputs);
    cbor_out_uint(o, end->interrupts);
    cbor_out_uint(o, end->digests);
    cbor_out_uint(o, end->marks);
}

void frame_head_put(struct cbor_out *o, const struct frame_head *head)
{
    size_t i = 0;

    while (forms[i].kind != head->kind)
        i++;
    cbor_out_array(o, forms[i].elements);
    cbor_out_text(o, forms[i].word, strlen(forms[i].word));
    cbor_out_uint(o, head->seq);
    switch (head->kind) {
    case FRAME_BLOB:
        cbor_out_uint(o, head->image);
        cbor_out_uint(o, head->image_offset);
        cbor_out_bytes(o, head->data, head->len);
        break;
    case FRAME_EVENTS:
        cbor_out_uint(o, head->first);
        cbor_out_uint(o, head->last);
        cbor_out_uint(o, head->vns);
        cbor_out_uint(o, head->count);
        break;
    case FRAME_END: put_end(o, &head->end); break;
    }
}

static bool get_end(struct cbor_in *in, struct trace_end *end)
{
    const char *reason;
    size_t len;
    uint64_t n;

    memset(end, 0, sizeof(*end));
    end->struct_size = sizeof(*end);
    if (!cbor_in_uint(in, &end->icount, UINT64_MAX) || !cbor_in_uint(in, &end->vns, UINT64_MAX) ||
        !cbor_in_text(in, &reason, &len, TRACE_REASON_MAX) || !cbor_in_int(in, &end->exit_code) ||
        !cbor_in_uint(in, &end->digest, UINT64_MAX) || !cbor_in_array(in, &n))
        return false;
    memcpy(end->reason, reason, len);
    if (n != 4) {
        in->problem = "the end does not hold four counts";
        return false;
    }
    return cbor_in_uint(in, &end->inputs, UINT64_MAX) &&
           cbor_in_uint(in, &end->interrupts, UINT64_MAX) &&
           cbor_in_uint(in, &end->digests, UINT64_MAX) && cbor_in_uint(in, &end->marks, UINT64_MAX);
}

static bool get_events(struct cbor_in *in, struct frame_head *head)
{
    if (!cbor_in_uint(in, &head->first, UINT64_MAX) || !cbor_in_uint(in, &head->last, UINT64_MAX) ||
        !cbor_in_uint(in, &head->vns, UINT64_MAX) || !cbor_in_uint(in, &head->count, UINT64_MAX))
        return false;
    if (head->first > head->last || !head->count) {
        in->problem = "a frame of events whose range is empty or runs backwards";
        return false;
    }
    return true;
}

static bool get_body(struct cbor_in *in, struct frame_head *head)
{
    switch (head->kind) {
    case FRAME_BLOB:
        return cbor_in_uint(in, &head->image, TRACE_LIST_MAX) &&
               cbor_in_uint(in, &head->image_offset, TRACE_IMAGE_MAX) &&
               cbor_in_bytes(in, &head->data, &head->len, TRACE_FRAME_MAX);
    case FRAME_EVENTS: return get_events(in, head);
    case FRAME_END: return get_end(in, &head->end);
    }
    return false;
}

bool frame_head_get(struct cbor_in *in, struct frame_head *head)
{
    const char *word;
    size_t len, i = 0;
    uint64_t n;

    if (!cbor_in_array(in, &n) || !cbor_in_text(in, &word, &len, 16))
        return false;
    while (i < NFORMS && (strlen(forms[i].word) != len || memcmp(forms[i].word, word, len) != 0))
        i++;
    if (i == NFORMS || n != forms[i].elements) {
        in->problem = "an unknown kind of frame";
        return false;
    }
    head->kind = forms[i].kind;
    if (!cbor_in_uint(in, &head->seq, UINT64_MAX) || !get_body(in, head))
        return false;
    if (head->kind != FRAME_EVENTS && !cbor_in_at_end(in)) {
        in->problem = "bytes follow what should be alone in its frame";
        return false;
    }
    return true;
}
