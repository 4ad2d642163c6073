/* SPDX-License-Identifier: MIT */
/*
 * The index: which icounts are where. It is the last thing in a file, in a skippable LZ4 frame that
 * `lz4 -dc` passes over:
 *
 *     magic 184D2A5D, u32 length      little-endian, as LZ4 has it
 *     CBOR ["deja-index", events_offset, end_offset, end_seq, [seq, offset, first, seq, ...]]
 *     u64 XXH3-64 of the CBOR, u32 length of the whole frame, "djix"
 *
 * The numbers in the inner array are differences to the entry before. Entries may be left out: each
 * is a place where reading can begin, and nothing more is derived from them. What an entry says is
 * compared with the frame it leads to before it is used; an index cannot hide or add events.
 */
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "trace_internal.h"

static void put_le(uint8_t *p, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t get_le(const uint8_t *p, size_t bytes)
{
    uint64_t v = 0;

    for (size_t i = bytes; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static void drop_every_second(struct trace_index *index)
{
    for (size_t i = 0; i < index->count / 2; i++)
        index->entries[i] = index->entries[2 * i];
    index->count /= 2;
    index->stride *= 2;
}

bool index_add(struct trace_index *index, const struct index_entry *entry, bool thin)
{
    if (thin) {
        if (!index->stride)
            index->stride = 1;
        if (index->count == TRACE_INDEX_MAX)
            drop_every_second(index);
        if (index->seen++ % index->stride)
            return true;
    }
    if (index->count == index->cap) {
        size_t cap = index->cap ? index->cap * 2 : 64;
        struct index_entry *entries = reallocarray(index->entries, cap, sizeof(*entries));

        if (!entries)
            return false;
        index->entries = entries;
        index->cap = cap;
    }
    index->entries[index->count++] = *entry;
    return true;
}

void index_put(struct cbor_out *o, const struct trace_index *index)
{
    struct index_entry last = {0};
    size_t start = o->len, body;
    uint64_t hash;

    if (!cbor_out_reserve(o, 8))
        return;
    o->len += 8;
    body = o->len;
    cbor_out_array(o, 5);
    cbor_out_text(o, TRACE_INDEX_NAME, strlen(TRACE_INDEX_NAME));
    cbor_out_uint(o, index->events_offset);
    cbor_out_uint(o, index->end_offset);
    cbor_out_uint(o, index->end_seq);
    cbor_out_array(o, index->count * 3);
    for (size_t i = 0; i < index->count; i++) {
        const struct index_entry *entry = &index->entries[i];

        cbor_out_uint(o, entry->seq - last.seq);
        cbor_out_uint(o, entry->offset - last.offset);
        cbor_out_uint(o, entry->first - last.first);
        last = *entry;
    }
    if (!cbor_out_reserve(o, TRACE_INDEX_FOOTER))
        return;
    hash = XXH3_64bits(o->data + body, o->len - body);
    put_le(o->data + o->len, hash, 8);
    put_le(o->data + o->len + 8, o->len + TRACE_INDEX_FOOTER - start, 4);
    memcpy(o->data + o->len + 12, "djix", 4);
    o->len += TRACE_INDEX_FOOTER;
    put_le(o->data + start, TRACE_INDEX_MAGIC, 4);
    put_le(o->data + start + 4, o->len - body, 4);
}

/* Adds a difference, which is at least `least`, without overflow and staying below `limit`. */
static bool get_step(struct cbor_in *in, uint64_t *v, uint64_t least, uint64_t limit)
{
    uint64_t step;

    if (!cbor_in_uint(in, &step, UINT64_MAX) || step < least || step > UINT64_MAX - *v)
        return false;
    *v += step;
    return *v < limit;
}

static bool get_entries(struct cbor_in *in, struct trace_index *index)
{
    struct index_entry entry = {0};
    uint64_t n;

    if (!cbor_in_array(in, &n) || n % 3)
        return false;
    for (uint64_t i = 0; i < n; i += 3) {
        if (!get_step(in, &entry.seq, 1, index->end_seq) ||
            !get_step(in, &entry.offset, 1, index->end_offset) ||
            !get_step(in, &entry.first, 0, UINT64_MAX))
            return false;
        if (entry.offset < index->events_offset || !index_add(index, &entry, false))
            return false;
    }
    return cbor_in_at_end(in);
}

static bool get_body(struct cbor_in *in, uint64_t floor, uint64_t start, struct trace_index *index)
{
    const char *name;
    uint64_t n;
    size_t len;

    return cbor_in_array(in, &n) && n == 5 && cbor_in_text(in, &name, &len, 16) &&
           len == strlen(TRACE_INDEX_NAME) && memcmp(name, TRACE_INDEX_NAME, len) == 0 &&
           cbor_in_uint(in, &index->events_offset, start) && index->events_offset >= floor &&
           cbor_in_uint(in, &index->end_offset, start) &&
           index->end_offset >= index->events_offset &&
           cbor_in_uint(in, &index->end_seq, UINT64_MAX) && get_entries(in, index);
}

bool index_get(struct trace_source *src, uint64_t floor, struct trace_index *index, uint64_t *start)
{
    uint8_t footer[TRACE_INDEX_FOOTER];
    uint64_t len;
    uint8_t *frame;
    bool good = false;

    memset(index, 0, sizeof(*index));
    if (src->size < floor || src->size - floor < 8 + sizeof(footer) ||
        trace_source_read(src, src->size - sizeof(footer), footer, sizeof(footer), NULL) < 0 ||
        memcmp(footer + 12, "djix", 4) != 0)
        return false;
    len = get_le(footer + 8, 4);
    if (len < 8 + sizeof(footer) || len > src->size - floor || len > TRACE_INDEX_BYTES)
        return false;
    *start = src->size - len;
    frame = malloc(len);
    if (frame && trace_source_read(src, *start, frame, len, NULL) == TRACE_OK &&
        get_le(frame, 4) == TRACE_INDEX_MAGIC && get_le(frame + 4, 4) == len - 8) {
        struct cbor_in in = {frame + 8, len - 8 - sizeof(footer), 0, NULL};

        good = XXH3_64bits(in.data, in.len) == get_le(footer, 8) &&
               get_body(&in, floor, *start, index);
    }
    free(frame);
    if (!good)
        index_fini(index);
    return good;
}

const struct index_entry *index_find(const struct trace_index *index, uint64_t icount)
{
    size_t low = 0, high = index->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (index->entries[mid].first < icount)
            low = mid + 1;
        else
            high = mid;
    }
    return low ? &index->entries[low - 1] : NULL;
}

void index_fini(struct trace_index *index)
{
    free(index->entries);
    memset(index, 0, sizeof(*index));
}
