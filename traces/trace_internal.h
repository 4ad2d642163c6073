/* SPDX-License-Identifier: MIT */
/*
 * What the files of the trace library share: CBOR in and out, LZ4 frames, header and index.
 *
 * The layout that both sides agree on, beside docs/trace.cddl:
 *  1. Every LZ4 frame names its content size and carries a content checksum.
 *  2. Frames are numbered: the header is 0, then every frame one more. A frame that was lost,
 *     repeated or moved shows.
 *  3. An embedded image of n bytes takes ceil(n / chunk) frames, image after image, so the
 *     number of the first event frame follows from the header.
 *  4. An event frame can be read alone: its head has the icount and vns that its deltas start from.
 */
#ifndef TRACES_TRACE_INTERNAL_H
#define TRACES_TRACE_INTERNAL_H

#include <traces/trace.h>

#define TRACE_FORMAT_NAME  "deja-trace"
#define TRACE_INDEX_NAME   "deja-index"
#define TRACE_CBOR_TAG     55799u
#define TRACE_FRAME_MAX    (16u << 20)  /* bytes that a frame may decompress to */
#define TRACE_CHUNK_BYTES  (256u << 10) /* of an image per frame, as written */
#define TRACE_INDEX_MAX    (1u << 18)   /* entries that the writer keeps; then every second goes */
#define TRACE_INDEX_BYTES  (64u << 20)  /* of an index that the reader accepts */
#define TRACE_INDEX_MAGIC  0x184D2A5Du  /* one of the sixteen skippable magics */
#define TRACE_INDEX_FOOTER 16u          /* XXH3-64 of the CBOR, u32 length of the frame, "djix" */
#define LZ4_MAX_RATIO      255u         /* of what is decompressed to what is stored */

/* ---- errors ---- */

/* Fills *err (NULL is fine) and returns `code`. */
int trace_fail(struct trace_error *err, enum trace_status code, uint64_t offset, const char *format,
               ...) __attribute__((format(printf, 4, 5)));
/* The same for a failed system call: appends strerror(sys_errno). */
int trace_fail_errno(struct trace_error *err, enum trace_status code, uint64_t offset,
                     int sys_errno, const char *what);

bool trace_utf8_valid(const char *text, size_t len);
/* Puts '?' for each byte that is not part of valid UTF-8; returns how many there were. */
size_t trace_utf8_repair(char *text, size_t len);

/* ---- CBOR out: a growing buffer; `failed` when memory ran out, checked once at the end ---- */

struct cbor_out {
    uint8_t *data;
    size_t len, cap;
    bool failed;
};

bool cbor_out_reserve(struct cbor_out *o, size_t more);
void cbor_out_uint(struct cbor_out *o, uint64_t v);
void cbor_out_int(struct cbor_out *o, int64_t v);
void cbor_out_bool(struct cbor_out *o, bool v);
void cbor_out_bytes(struct cbor_out *o, const void *data, size_t len);
void cbor_out_text(struct cbor_out *o, const char *text, size_t len); /* UTF-8 */
/* The same with trace_utf8_repair() applied to what is written. */
void cbor_out_text_lossy(struct cbor_out *o, const char *text, size_t len);
void cbor_out_array(struct cbor_out *o, size_t n);
void cbor_out_map(struct cbor_out *o, size_t n);
void cbor_out_tag(struct cbor_out *o, uint64_t tag);
void cbor_out_fini(struct cbor_out *o);

/* ---- CBOR in: a cursor over bytes; no memory, no recursion ---- */

enum cbor_in_type {
    CBOR_IN_UINT,
    CBOR_IN_NEGINT, /* the value is -1 - u */
    CBOR_IN_BYTES,
    CBOR_IN_TEXT,
    CBOR_IN_ARRAY,
    CBOR_IN_MAP,
    CBOR_IN_TAG,
    CBOR_IN_BOOL,
    CBOR_IN_OTHER, /* null, undefined, floats */
};

struct cbor_in_item {
    enum cbor_in_type type;
    uint64_t u;          /* number, element count, tag, truth value or length */
    const uint8_t *data; /* BYTES and TEXT */
};

struct cbor_in {
    const uint8_t *data;
    size_t len, pos;
    const char *problem; /* why the last call failed; text that fits "... is malformed: %s" */
};

/* Each returns false and sets `problem` on failure, leaving `pos` at the item at fault. Element
 * counts are checked against the bytes that are left, so counting loops are bounded by the input.
 */
bool cbor_in_next(struct cbor_in *in, struct cbor_in_item *item);
bool cbor_in_uint(struct cbor_in *in, uint64_t *v, uint64_t max);
bool cbor_in_int(struct cbor_in *in, int64_t *v);
bool cbor_in_bool(struct cbor_in *in, bool *v);
bool cbor_in_bytes(struct cbor_in *in, const uint8_t **data, size_t *len, size_t max);
bool cbor_in_text(struct cbor_in *in, const char **text, size_t *len, size_t max); /* UTF-8 */
bool cbor_in_array(struct cbor_in *in, uint64_t *n);
bool cbor_in_map(struct cbor_in *in, uint64_t *n);
/* Skips one item with all that is in it. */
bool cbor_in_skip(struct cbor_in *in);
bool cbor_in_at_end(const struct cbor_in *in);

/* ---- where bytes come from ---- */

#define TRACE_WINDOW 4096u

struct trace_source {
    const uint8_t *mem; /* NULL: fd */
    int fd;
    uint64_t size;
    uint64_t window_offset;
    size_t window_len;
    uint8_t window[TRACE_WINDOW]; /* small reads of a file go through it */
};

/* Reads exactly `len` bytes, all of them below src->size. */
int trace_source_read(struct trace_source *src, uint64_t offset, void *buf, size_t len,
                      struct trace_error *err);

/* ---- LZ4 frames ---- */

struct frame_span {
    uint64_t offset;
    uint64_t len;          /* in the file */
    uint32_t content_size; /* decompressed, 1..TRACE_FRAME_MAX */
};

enum frame_found {
    FRAME_OK,
    FRAME_EOF,       /* offset is the limit */
    FRAME_PARTIAL,   /* what is there could begin a frame; the rest is missing */
    FRAME_SKIPPABLE, /* a skippable frame begins here */
    FRAME_BAD,       /* *err says what */
};

/* Buffers that are reused from frame to frame. */
struct frame_reader {
    struct LZ4F_dctx_s *dctx;
    uint8_t *packed, *content;
    size_t packed_cap, content_cap;
    size_t content_len;
};

/* Finds the extent of the frame at `offset` without decompressing it. Nothing at or past `limit` is
 * looked at. Claimed sizes are checked against each other. */
enum frame_found frame_scan(struct trace_source *src, uint64_t offset, uint64_t limit,
                            uint32_t content_max, struct frame_span *span, struct trace_error *err);
/* Reads and decompresses a frame into fr->content, checksum verified. */
int frame_load(struct frame_reader *fr, struct trace_source *src, const struct frame_span *span,
               struct trace_error *err);
void frame_reader_fini(struct frame_reader *fr);

/* Compresses `len` bytes into one frame. *packed is grown as needed and owned by the caller.
 * Returns the length of the frame, 0 when memory ran out. */
size_t frame_pack(const void *data, size_t len, int level, uint8_t **packed, size_t *packed_cap);

/* ---- heads: the first item of each frame but the header ---- */

enum frame_kind { FRAME_BLOB, FRAME_EVENTS, FRAME_END };

struct frame_head {
    enum frame_kind kind;
    uint64_t seq;
    /* FRAME_BLOB */
    uint64_t image, image_offset;
    const uint8_t *data;
    size_t len;
    /* FRAME_EVENTS */
    uint64_t first, last; /* icounts of its first and last event */
    uint64_t vns;         /* of the last input before this frame */
    uint64_t count;       /* events that follow */
    /* FRAME_END */
    struct trace_end end;
};

void frame_head_put(struct cbor_out *o, const struct frame_head *head);
/* Leaves `in` behind the head. Blob and end frames must hold nothing else. */
bool frame_head_get(struct cbor_in *in, struct frame_head *head);

/* ---- header ---- */

struct header_store; /* a decoded header and the memory of all it points to */

/* Encodes; checks what the caller gave. `hashes[i]` are those of header->images. */
int header_put(struct cbor_out *o, const struct trace_header *header,
               const char (*hashes)[TRACE_HASH_CHARS + 1], struct trace_error *err);
int header_get(const uint8_t *data, size_t len, struct header_store **store,
               struct trace_error *err);
const struct trace_header *header_store_header(const struct header_store *store);
/* Frames that the embedded images before `index` take (index = nimages: all of them). */
uint64_t header_store_blob_frames(const struct header_store *store, size_t index);
uint32_t header_store_chunk(const struct header_store *store);
void header_store_destroy(struct header_store *store);

/* ---- index ---- */

struct index_entry {
    uint64_t seq;
    uint64_t offset;
    uint64_t first; /* icount */
};

struct trace_index {
    uint64_t events_offset; /* of the first frame behind the images */
    uint64_t end_offset;    /* of the end frame */
    uint64_t end_seq;
    struct index_entry *entries; /* ascending in all three */
    size_t count, cap;
    uint32_t stride; /* writer: every stride-th event frame is kept */
    uint64_t seen;   /* writer: event frames so far */
};

/* Remembers a frame; with `thin`, keeps at most TRACE_INDEX_MAX. False when memory ran out. */
bool index_add(struct trace_index *index, const struct index_entry *entry, bool thin);
/* The whole skippable frame. */
void index_put(struct cbor_out *o, const struct trace_index *index);
/* Looks for an index at the end of the source. True: *index is it, and it begins at *start. */
bool index_get(struct trace_source *src, uint64_t floor, struct trace_index *index,
               uint64_t *start);
/* The last entry whose first icount is below `icount`, or NULL. */
const struct index_entry *index_find(const struct trace_index *index, uint64_t icount);
void index_fini(struct trace_index *index);

#endif
