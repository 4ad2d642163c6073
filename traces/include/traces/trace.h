/* SPDX-License-Identifier: MIT */
/*
 * Trace files: what the outside world did to a machine, written while it runs and read back for
 * replay.
 *
 *     struct trace_error err;
 *     struct trace_writer *w = trace_writer_create("t.deja", &header, NULL, &err);
 *     trace_writer_input(w, icount, vns, kind, port, bytes, len);
 *     trace_writer_interrupt(w, icount, vector, source);
 *     if (trace_writer_finish(w, &end) < 0)
 *         trace_writer_error(w, &err);            // err.text says what, err.offset where
 *     trace_writer_destroy(w);
 *
 *     struct trace_reader *r = trace_reader_open("t.deja", &err);
 *     struct trace_event ev;
 *     while (trace_reader_next(r, &ev) > 0)
 *         ...
 *     trace_reader_destroy(r);
 *
 * The file: standard LZ4 frames with content checksums; decompressed, one CBOR sequence (RFC 8742)
 * that begins with the self-described tag 55799. docs/trace.cddl is its schema. `lz4 -dc` and any
 * CBOR tool read it without this library.
 *
 *     header | image chunks ... | event frames ... | end | index (skippable frame)
 *
 * A file whose recorder was killed has no end and no index. The reader finds its frames by walking
 * them, gives every event up to the last whole frame, and says so (trace_reader_truncated).
 *
 * Threading: a writer owns one thread that compresses and writes; all its functions are called by
 * one thread at a time. A reader is used by one thread at a time. Writers and readers share
 * nothing.
 *
 * Ownership: everything passed in is copied or used up before the call returns. What a reader hands
 * out belongs to the reader, for as long as each function says.
 *
 * Errors: 0 or a positive number is success; a negative number is one of enum trace_status.
 * Functions that take `struct trace_error *` accept NULL. The library never prints, exits or raises
 * a signal.
 *
 * ABI: structs that callers fill begin with struct_size; later versions add members at the end.
 */
#ifndef TRACES_TRACE_H
#define TRACES_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_VERSION    1u           /* version of the format that is written */
#define TRACE_INPUT_MAX  65536u       /* bytes of one input */
#define TRACE_MARK_MAX   4096u        /* bytes of the text of one mark */
#define TRACE_REASON_MAX 63u          /* bytes of a stop reason */
#define TRACE_IMAGE_MAX  (1ULL << 30) /* bytes of one embedded image */
#define TRACE_HEADER_MAX (1u << 20)   /* bytes of an encoded header */
#define TRACE_LIST_MAX   1024u        /* config items, images or seeds in a header */
#define TRACE_HASH_CHARS 32u          /* hex digits of an image hash */

/* Grouped by whose fault it is. The values do not change. */
enum trace_status {
    TRACE_OK = 0,

    /* The caller's. */
    TRACE_ERR_ARGUMENT = -1,     /* NULL, a wrong struct_size, text that is not UTF-8, ... */
    TRACE_ERR_ORDER = -2,        /* icount or vns lower than that of the event before */
    TRACE_ERR_STATE = -3,        /* append after finish */
    TRACE_ERR_TOO_BIG = -4,      /* longer than the TRACE_..._MAX of its kind */
    TRACE_ERR_NOT_REGULAR = -5,  /* the path names a directory, pipe, socket or disk */
    TRACE_ERR_NOT_EMBEDDED = -6, /* the trace knows that image by its hash only */

    /* The file's. `offset` is where the frame at fault begins. */
    TRACE_ERR_NOT_TRACE = -20, /* something else than a trace */
    TRACE_ERR_VERSION = -21,   /* newer than this reader */
    TRACE_ERR_TRUNCATED = -22, /* ends inside the header or an image */
    TRACE_ERR_CORRUPT = -23,   /* a checksum or a frame does not hold */
    TRACE_ERR_MALFORMED = -24, /* whole, but not what the schema says */
    TRACE_ERR_LIMIT = -25,     /* claims a size beyond what this reader accepts */
    TRACE_ERR_UNKNOWN_EVENT = -26,
    TRACE_ERR_HASH = -27, /* an embedded image does not match its hash */

    /* The host's. `sys_errno` is set. */
    TRACE_ERR_IO = -40,
    TRACE_ERR_MEMORY = -41,
    TRACE_ERR_THREAD = -42,

    /* Ours. */
    TRACE_ERR_BUG = -60,
};

/* Constant name, "corrupt"; "unknown" outside the enum. */
const char *trace_status_name(int status);

struct trace_error {
    enum trace_status code;
    int sys_errno;   /* 0 unless the host's fault */
    uint64_t offset; /* byte offset in the file, where one applies */
    char text[224];  /* one line, no newline */
};

/* ---------------------------------------------------------------------------------- header -- */

enum trace_config_type {
    TRACE_CONFIG_UINT = 1,
    TRACE_CONFIG_INT,    /* read back as UINT unless negative */
    TRACE_CONFIG_STRING, /* UTF-8, no NUL inside */
    TRACE_CONFIG_BYTES,
};

/* One fact that fixes the machine. Keys are unique in a header; their meaning is the caller's. */
struct trace_config_item {
    const char *key;
    enum trace_config_type type;
    union {
        uint64_t u;
        int64_t i;
        const char *s;
        struct {
            const uint8_t *data;
            size_t len;
        } bytes;
    } value;
};

/*
 * An image that the machine was given.
 *
 * Writing: with `data`, the image is embedded and size and hash
 * are computed; without, size and hash are the caller's and the trace knows the image by them only.
 *
 * Reading: `data` is NULL, trace_reader_image() yields it.
 */
struct trace_image {
    const char *role;                /* "kernel", "initrd", "bios", "drive0": the caller's words */
    const char *name;                /* as the user gave it; bytes that are not UTF-8 become '?' */
    uint64_t size;                   /* bytes */
    char hash[TRACE_HASH_CHARS + 1]; /* XXH3-128, lower-case hex as `xxhsum -H2` prints it */
    bool embedded;                   /* set by the reader; the writer goes by `data` */
    const uint8_t *data;
};

struct trace_header {
    size_t struct_size;    /* sizeof(struct trace_header) */
    uint32_t version;      /* set by the reader */
    const char *generator; /* "deja 0.1.0" */
    const char *cpu_model;
    uint64_t ns_per_insn; /* at least 1 */
    int64_t rtc_base;     /* seconds since 1970 */
    const uint64_t *seeds;
    size_t nseeds;
    const struct trace_config_item *config;
    size_t nconfig;
    const struct trace_image *images;
    size_t nimages;
};

/* The item with that key, or NULL. */
const struct trace_config_item *trace_header_find(const struct trace_header *header,
                                                  const char *key);
/* The number under that key, or `fallback` if it is missing or no UINT. */
uint64_t trace_header_uint(const struct trace_header *header, const char *key, uint64_t fallback);
/* The string under that key, or `fallback` if it is missing or no STRING. */
const char *trace_header_string(const struct trace_header *header, const char *key,
                                const char *fallback);
/* Index of the first image with that role, or -1. */
int trace_header_image(const struct trace_header *header, const char *role);

/* The hash by which images are known. `len` may be 0, `data` then NULL. */
void trace_image_hash(const void *data, size_t len, char hash[TRACE_HASH_CHARS + 1]);

/* ---------------------------------------------------------------------------------- events -- */

/* The values are those in the file. */
enum trace_event_kind {
    TRACE_EVENT_INPUT = 1,
    TRACE_EVENT_INTERRUPT = 2,
    TRACE_EVENT_DIGEST = 3,
    TRACE_EVENT_MARK = 4,
    TRACE_EVENT_END = 5, /* in the file a frame of its own */
};
const char *trace_event_kind_name(unsigned kind); /* "input", ...; "unknown" */

/* How a run ended. */
struct trace_end {
    size_t struct_size;                /* sizeof(struct trace_end) */
    char reason[TRACE_REASON_MAX + 1]; /* UTF-8; the caller's words: "triple-fault" */
    int64_t exit_code;
    uint64_t icount;
    uint64_t vns;
    uint64_t digest; /* of the state at the end; 0: not taken */
    /* How many events of each kind the trace holds. Set by the writer. */
    uint64_t inputs, interrupts, digests, marks;
};

struct trace_event {
    enum trace_event_kind kind;
    uint64_t icount;
    union {
        struct {
            uint32_t kind; /* enum input_kind of the machine; a plain number here */
            uint32_t port;
            uint64_t vns;
            const uint8_t *data; /* valid until the next call to the reader */
            size_t len;
        } input;
        struct {
            uint32_t vector;
            uint32_t source;
        } interrupt;
        uint64_t digest;
        struct {
            const char *text; /* NUL-terminated; valid until the next call to the reader */
            size_t len;
        } mark;
        struct trace_end end;
    } u;
};

/* ---------------------------------------------------------------------------------- writer -- */

struct trace_writer;

struct trace_writer_options {
    size_t struct_size;         /* sizeof(struct trace_writer_options) */
    bool sync;                  /* fdatasync after each flush */
    uint32_t flush_interval_ms; /* longest that an event stays in memory; 0: 500 */
    uint32_t frame_bytes;       /* an event frame is closed at this size; 0: 65536, at most 1 MiB */
};

/*
 * Creates the file, or empties an existing regular one, and writes the header and the embedded
 * images before it returns. `options` NULL: the defaults. Of what is not a regular file, only
 * /dev/null and /dev/full are taken.
 *
 * NULL on failure, *err says why; a file that was created stays.
 */
struct trace_writer *trace_writer_create(const char *path, const struct trace_header *header,
                                         const struct trace_writer_options *options,
                                         struct trace_error *err);

/* The same on an open descriptor of any kind: an empty file, a pipe, a socket. The writer takes it
 * over and closes it, also on failure. */
struct trace_writer *trace_writer_create_fd(int fd, const struct trace_header *header,
                                            const struct trace_writer_options *options,
                                            struct trace_error *err);

/*
 * Append one event. They cost tens of nanoseconds: encode into a buffer under a lock that is held
 * by the other side only to swap buffers. They wait only when eight full buffers are ahead of the
 * disk.
 *
 * `icount` never goes down from call to call, nor does `vns` from input to input.
 * An input is handed to the file at once, the others at the latest after flush_interval_ms.
 *
 * 0, or TRACE_ERR_ORDER, _TOO_BIG, _ARGUMENT, _STATE (nothing was appended, the writer is as
 * before), or the sticky error of the writer.
 */
int trace_writer_input(struct trace_writer *w, uint64_t icount, uint64_t vns, uint32_t kind,
                       uint32_t port, const void *data, size_t len);
int trace_writer_interrupt(struct trace_writer *w, uint64_t icount, uint32_t vector,
                           uint32_t source);
int trace_writer_digest(struct trace_writer *w, uint64_t icount, uint64_t digest);
/* `text` is NUL-terminated; bytes that are not UTF-8 become '?'. */
int trace_writer_mark(struct trace_writer *w, uint64_t icount, const char *text);

/* Returns when all that was appended is in the file (with `sync`: on the disk). 0 or the sticky
 * error. */
int trace_writer_flush(struct trace_writer *w);

/*
 * The sticky error: the first failure to write. After it, nothing more is written and appends
 * return its code; whole frames before it stay readable. TRACE_OK if all is well.
 */
int trace_writer_error(struct trace_writer *w, struct trace_error *err);

/*
 * Writes what is left, the end and the index, and closes the file. `end->icount` is at least that
 * of the last event, `end->vns` that of the last input; the counts in it are ignored. 0 or an
 * error: that of the arguments (nothing done), or the sticky one. Destroy the writer in either
 * case.
 */
int trace_writer_finish(struct trace_writer *w, const struct trace_end *end);

/* Frees the writer; NULL is fine. Without a finish before, what was appended is written and the
 * file stays without an end, as if the recorder had been killed. */
void trace_writer_destroy(struct trace_writer *w);

/* ---------------------------------------------------------------------------------- reader -- */

struct trace_reader;

enum trace_index_state {
    TRACE_INDEX_USED = 0,
    TRACE_INDEX_MISSING, /* the frames were walked */
    TRACE_INDEX_DAMAGED, /* there are bytes where the index should be; the frames were walked */
};

/*
 * Opens a trace and reads its header. A file without a good index is walked once, which
 * decompresses every event frame. Damage behind the header is not an error here: the events before
 * it can be read, and trace_reader_next() reports it when it gets there. A file that is being
 * recorded is read as it is now.
 *
 * NULL on failure, *err says why.
 */
struct trace_reader *trace_reader_open(const char *path, struct trace_error *err);

/* The same on bytes in memory, which stay the caller's and outlive the reader. */
struct trace_reader *trace_reader_open_memory(const void *data, size_t len,
                                              struct trace_error *err);

/* NULL is fine. Everything that the reader handed out ends with it. */
void trace_reader_destroy(struct trace_reader *r);

/* The header, until the reader is destroyed. */
const struct trace_header *trace_reader_header(const struct trace_reader *r);

/*
 * The content of image `index` of the header, checked against its hash, until the reader is
 * destroyed. Memory grows with what the file really holds, not with what it claims.
 *
 * 0, or an error that leaves events readable.
 */
int trace_reader_image(struct trace_reader *r, size_t index, const uint8_t **data, size_t *len,
                       struct trace_error *err);

/*
 * The next event. 1: *ev is it. 0: no more; the last event was TRACE_EVENT_END, or the file is
 * truncated, or the place sought is behind the end. Negative: an error, which stays until the next
 * seek; *ev is untouched.
 */
int trace_reader_next(struct trace_reader *r, struct trace_event *ev);

/* Goes where the next event is the first with an icount of at least `icount`; 0 is the beginning.
 * Clears an error of trace_reader_next(). Cannot fail: damage there shows at trace_reader_next().
 */
void trace_reader_seek(struct trace_reader *r, uint64_t icount);

/* How the run ended: 1 and *end, or 0: the recording has no end (truncated), or the error that
 * keeps the reader from finding it. Does not move the reader. */
int trace_reader_end(const struct trace_reader *r, struct trace_end *end, struct trace_error *err);

/* True if the recording stops without an end; *whole_bytes (may be NULL) is then where its last
 * whole frame ends. The events before that are all there. */
bool trace_reader_truncated(const struct trace_reader *r, uint64_t *whole_bytes);

enum trace_index_state trace_reader_index_state(const struct trace_reader *r);

/* The error of trace_reader_next(). TRACE_OK if there is none. */
int trace_reader_error(const struct trace_reader *r, struct trace_error *err);

/* Bytes of the file. */
uint64_t trace_reader_size(const struct trace_reader *r);

#endif
