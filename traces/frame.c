/* SPDX-License-Identifier: MIT */
/*
 * LZ4 frames (LZ4 Frame Format 1.6) as a trace uses them: written and decompressed by liblz4, their
 * extent found here by following the block headers, so that a frame can be skipped, or found to be
 * cut off, without decompressing it.
 *
 * A frame begins: magic, FLG, BD, content size (8), HC. Then blocks: size (4, the top bit says
 * "stored"), data, and a checksum if FLG says so. A size of 0 ends them; the content checksum
 * follows. Accepted are frames with content size, with content checksum and without a dictionary,
 * which is what trace_writer and plain `lz4 --content-size` make.
 *
 * Sizes are believed only as far as they agree: a block is never longer than the content that is
 * left to fill (an encoder stores what does not shrink), and content is never more than 255 times
 * the blocks, the best that the LZ4 block format can do. So memory is bounded by the bytes that
 * exist.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <lz4frame.h>
#include <xxhash.h>

#include "trace_internal.h"

#define FRAME_MAGIC        0x184D2204u
#define FRAME_HEADER_BYTES 15u /* magic 4, FLG, BD, content size 8, HC */
#define SKIPPABLE_MAGIC    0x184D2A50u
#define SKIPPABLE_MASK     0xFFFFFFF0u
#define FLG_VERSION_MASK   0xC0u
#define FLG_VERSION        0x40u
#define FLG_BLOCK_CHECKSUM 0x10u
#define FLG_CONTENT_SIZE   0x08u
#define FLG_CONTENT_SUM    0x04u
#define FLG_RESERVED       0x02u
#define FLG_DICTIONARY     0x01u
#define BD_RESERVED        0x8Fu
#define BLOCK_STORED       0x80000000u

static uint32_t get_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get_le64(const uint8_t *p)
{
    return get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}

static int damaged(struct trace_error *err, enum trace_status code, uint64_t offset,
                   const char *what)
{
    return trace_fail(err, code, offset, "the frame at byte %" PRIu64 " is damaged: %s", offset,
                      what);
}

static enum frame_found bad(struct trace_error *err, enum trace_status code, uint64_t offset,
                            const char *what)
{
    damaged(err, code, offset, what);
    return FRAME_BAD;
}

/* Magic and descriptor. FRAME_OK leaves the content size in span and FLG in *flg. */
static enum frame_found scan_header(struct trace_source *src, uint64_t limit, uint32_t content_max,
                                    struct frame_span *span, uint8_t *flg, struct trace_error *err)
{
    uint8_t head[FRAME_HEADER_BYTES] = {0};
    uint64_t left = limit - span->offset;
    size_t have = left < sizeof(head) ? (size_t)left : sizeof(head);
    uint64_t content;
    static const uint8_t magic[4] = {0x04, 0x22, 0x4D, 0x18};

    if (trace_source_read(src, span->offset, head, have, err) < 0)
        return FRAME_BAD;
    if (have >= 4 && (get_le32(head) & SKIPPABLE_MASK) == SKIPPABLE_MAGIC)
        return FRAME_SKIPPABLE;
    if (memcmp(head, magic, have < 4 ? have : 4) != 0)
        return bad(err, TRACE_ERR_CORRUPT, span->offset, "no LZ4 frame begins there");
    if (have < sizeof(head))
        return FRAME_PARTIAL;
    if (head[14] != (uint8_t)(XXH32(head + 4, 10, 0) >> 8))
        return bad(err, TRACE_ERR_CORRUPT, span->offset, "its header checksum does not hold");
    *flg = head[4];
    if ((*flg & (FLG_VERSION_MASK | FLG_RESERVED)) != FLG_VERSION || (head[5] & BD_RESERVED))
        return bad(err, TRACE_ERR_MALFORMED, span->offset, "an unknown version of LZ4 frames");
    if (!(*flg & FLG_CONTENT_SIZE) || !(*flg & FLG_CONTENT_SUM) || (*flg & FLG_DICTIONARY))
        return bad(err, TRACE_ERR_MALFORMED, span->offset,
                   "it lacks a content size or checksum, or wants a dictionary");
    content = get_le64(head + 6);
    if (!content || content > content_max) {
        trace_fail(err, TRACE_ERR_LIMIT, span->offset,
                   "the frame at byte %" PRIu64 " claims to hold %" PRIu64
                   " bytes; at most %" PRIu32 " are read",
                   span->offset, content, content_max);
        return FRAME_BAD;
    }
    span->content_size = (uint32_t)content;
    return FRAME_OK;
}

enum frame_found frame_scan(struct trace_source *src, uint64_t offset, uint64_t limit,
                            uint32_t content_max, struct frame_span *span, struct trace_error *err)
{
    uint64_t at = offset + FRAME_HEADER_BYTES, packed = 0;
    enum frame_found found;
    uint8_t flg = 0;

    span->offset = offset;
    if (offset >= limit)
        return FRAME_EOF;
    found = scan_header(src, limit, content_max, span, &flg, err);
    if (found != FRAME_OK)
        return found;
    for (;;) {
        uint8_t raw[4];
        uint32_t size;

        if (limit - at < sizeof(raw))
            return FRAME_PARTIAL;
        if (trace_source_read(src, at, raw, sizeof(raw), err) < 0)
            return FRAME_BAD;
        at += sizeof(raw);
        size = get_le32(raw);
        if (!size)
            break;
        size &= ~BLOCK_STORED;
        if (!size || size > span->content_size - packed)
            return bad(err, TRACE_ERR_CORRUPT, offset, "its blocks do not fit its content");
        packed += size;
        if (flg & FLG_BLOCK_CHECKSUM)
            size += 4;
        if (limit - at < size)
            return FRAME_PARTIAL;
        at += size;
    }
    if (limit - at < 4)
        return FRAME_PARTIAL;
    if (span->content_size > packed * LZ4_MAX_RATIO)
        return bad(err, TRACE_ERR_LIMIT, offset, "it claims more content than its blocks can hold");
    span->len = at + 4 - offset;
    return FRAME_OK;
}

static int grow(uint8_t **buf, size_t *cap, size_t need, uint64_t offset, struct trace_error *err)
{
    uint8_t *p;

    if (*cap >= need)
        return TRACE_OK;
    p = realloc(*buf, need);
    if (!p)
        return trace_fail(err, TRACE_ERR_MEMORY, offset, "out of memory for a frame of %zu bytes",
                          need);
    *buf = p;
    *cap = need;
    return TRACE_OK;
}

static int prepare(struct frame_reader *fr, const struct frame_span *span, struct trace_error *err)
{
    int rc = grow(&fr->packed, &fr->packed_cap, (size_t)span->len, span->offset, err);

    if (rc == TRACE_OK)
        rc = grow(&fr->content, &fr->content_cap, span->content_size, span->offset, err);
    if (rc < 0)
        return rc;
    if (fr->dctx) {
        LZ4F_resetDecompressionContext(fr->dctx);
    } else if (LZ4F_isError(LZ4F_createDecompressionContext(&fr->dctx, LZ4F_VERSION))) {
        fr->dctx = NULL;
        return trace_fail(err, TRACE_ERR_MEMORY, span->offset, "out of memory for LZ4");
    }
    return TRACE_OK;
}

int frame_load(struct frame_reader *fr, struct trace_source *src, const struct frame_span *span,
               struct trace_error *err)
{
    size_t in = 0, out = 0, hint;
    int rc = prepare(fr, span, err);

    fr->content_len = 0;
    if (rc == TRACE_OK)
        rc = trace_source_read(src, span->offset, fr->packed, (size_t)span->len, err);
    if (rc < 0)
        return rc;
    do {
        size_t took = (size_t)span->len - in, gave = span->content_size - out;

        hint = LZ4F_decompress(fr->dctx, fr->content + out, &gave, fr->packed + in, &took, NULL);
        if (LZ4F_isError(hint))
            return damaged(err, TRACE_ERR_CORRUPT, span->offset, LZ4F_getErrorName(hint));
        in += took;
        out += gave;
        if (hint && !took && !gave)
            break; /* wants more input or room than the frame has */
    } while (hint);
    if (hint || in != span->len || out != span->content_size)
        return damaged(err, TRACE_ERR_CORRUPT, span->offset,
                       "its content does not end where it should");
    fr->content_len = out;
    return TRACE_OK;
}

void frame_reader_fini(struct frame_reader *fr)
{
    LZ4F_freeDecompressionContext(fr->dctx);
    free(fr->packed);
    free(fr->content);
    memset(fr, 0, sizeof(*fr));
}

size_t frame_pack(const void *data, size_t len, int level, uint8_t **packed, size_t *packed_cap)
{
    LZ4F_preferences_t prefs = LZ4F_INIT_PREFERENCES;
    size_t n;

    prefs.frameInfo.blockSizeID = LZ4F_max256KB;
    prefs.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    prefs.frameInfo.contentSize = len;
    prefs.compressionLevel = level;
    if (grow(packed, packed_cap, LZ4F_compressFrameBound(len, &prefs), 0, NULL) < 0)
        return 0;
    n = LZ4F_compressFrame(*packed, *packed_cap, data, len, &prefs);
    return LZ4F_isError(n) ? 0 : n;
}
