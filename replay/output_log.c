/* SPDX-License-Identifier: MIT */
/*
 * Lines of output with the moment of each byte: replay/output_log.h.
 *
 * Of a line's bytes the first has its moment in the line; each later one, the LF included, has a pair of
 * numbers in `stamps`: instructions and nanoseconds since the byte before, seven bits a byte (LEB128), mostly
 * one byte each.
 *
 * Invariants: 1. lines[] ascends by first byte. 2. open[port] is the only line of its port that is not complete,
 * and its last. 3. `bytes` is what all of it takes. 4. Behind a line's text is a NUL.
 */
#include <replay/output_log.h>

#include <stdlib.h>
#include <string.h>

#include <replay/pattern.h>

#define NO_LINE   SIZE_MAX
#define STAMP_MAX 20u /* bytes of the longest pair */

struct buffer {
    uint8_t *data;
    uint32_t len, capacity;
};

struct line {
    uint64_t icount, vns;
    uint64_t last_icount, last_vns; /* of its last byte */
    struct buffer text, stamps;
    uint8_t port;
    bool complete;
};

struct output_log {
    struct line *lines;
    size_t n, capacity;
    size_t open[OUTPUT_PORTS]; /* NO_LINE: none */
    size_t bytes;
    bool full;
};

struct output_log *output_log_create(void)
{
    struct output_log *log = calloc(1, sizeof(*log));

    for (unsigned port = 0; log != NULL && port < OUTPUT_PORTS; port++)
        log->open[port] = NO_LINE;
    return log;
}

void output_log_destroy(struct output_log *log)
{
    if (log == NULL)
        return;
    for (size_t i = 0; i < log->n; i++) {
        free(log->lines[i].text.data);
        free(log->lines[i].stamps.data);
    }
    free(log->lines);
    free(log);
}

/* --- memory, within its limit --- */

/* Room for `more` bytes; false: there is none. */
static bool reserve(struct output_log *log, struct buffer *b, uint32_t more)
{
    uint32_t capacity = b->capacity == 0 ? 32 : b->capacity;
    uint8_t *data;

    while (capacity < b->len + more)
        capacity *= 2;
    if (capacity == b->capacity)
        return true;
    if (capacity - b->capacity > OUTPUT_LOG_MAX - log->bytes)
        return false;
    data = realloc(b->data, capacity);
    if (data == NULL)
        return false;
    log->bytes += capacity - b->capacity;
    b->data = data;
    b->capacity = capacity;
    return true;
}

/* Makes room for one line more. */
static bool reserve_line(struct output_log *log)
{
    size_t capacity = log->capacity == 0 ? 64 : 2 * log->capacity;
    size_t more = (capacity - log->capacity) * sizeof(struct line);
    struct line *lines;

    if (log->n < log->capacity)
        return true;
    if (more > OUTPUT_LOG_MAX - log->bytes)
        return false;
    lines = realloc(log->lines, capacity * sizeof(*lines));
    if (lines == NULL)
        return false;
    log->bytes += more;
    log->lines = lines;
    log->capacity = capacity;
    return true;
}

/* --- stamps --- */

static void put_number(struct buffer *b, uint64_t n)
{
    for (; n >= 0x80; n >>= 7)
        b->data[b->len++] = (uint8_t)(n | 0x80);
    b->data[b->len++] = (uint8_t)n;
}

/* The number at *at, which moves on; false: it does not end before `end`, or is none. */
static bool take_number(const uint8_t **at, const uint8_t *end, uint64_t *n)
{
    *n = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;

        *n |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* The moment of byte `n` of a line; its LF is byte text.len. */
static void moment_of_byte(const struct line *l, size_t n, uint64_t *icount, uint64_t *vns)
{
    const uint8_t *at = l->stamps.data, *end = at + l->stamps.len;
    uint64_t more = 0, more_ns = 0;

    *icount = l->icount;
    *vns = l->vns;
    for (size_t i = 0; i < n && take_number(&at, end, &more) && take_number(&at, end, &more_ns); i++) {
        *icount += more;
        *vns += more_ns;
    }
}

/* --- adding --- */

/* Begins a line. NULL: no memory for it. */
static struct line *begin_line(struct output_log *log, unsigned port, uint64_t icount, uint64_t vns)
{
    struct line *l;

    if (!reserve_line(log))
        return NULL;
    l = &log->lines[log->n];
    *l = (struct line){.port = (uint8_t)port, .icount = icount, .vns = vns};
    if (!reserve(log, &l->text, 2) || !reserve(log, &l->stamps, STAMP_MAX)) {
        log->bytes -= l->text.capacity;
        free(l->text.data);
        return NULL;
    }
    l->text.data[0] = '\0';
    log->open[port] = log->n++;
    return l;
}

/* The moment of one byte more, unless it is the first. */
static void stamp(struct line *l, bool first, uint64_t icount, uint64_t vns)
{
    if (!first) {
        put_number(&l->stamps, icount - l->last_icount);
        put_number(&l->stamps, vns - l->last_vns);
    }
    l->last_icount = icount;
    l->last_vns = vns;
}

static bool add_byte(struct output_log *log, unsigned port, uint64_t icount, uint64_t vns, uint8_t byte)
{
    bool first = log->open[port] == NO_LINE;
    struct line *l = first ? begin_line(log, port, icount, vns) : &log->lines[log->open[port]];

    if (l == NULL || !reserve(log, &l->text, 2) || !reserve(log, &l->stamps, STAMP_MAX))
        return false;
    stamp(l, first, icount, vns);
    if (byte != '\n' && l->text.len < OUTPUT_LINE_MAX) {
        l->text.data[l->text.len++] = byte;
        l->text.data[l->text.len] = '\0';
        return true;
    }
    l->complete = true;
    log->open[port] = NO_LINE;
    return byte == '\n' || add_byte(log, port, icount, vns, byte);
}

int output_log_add(struct output_log *log, unsigned port, uint64_t icount, uint64_t vns, const uint8_t *data,
                   size_t len)
{
    for (size_t i = 0; i < len && !log->full; i++)
        if (data[i] != '\r')
            log->full = !add_byte(log, port, icount, vns, data[i]);
    return log->full ? -1 : 0;
}

/* --- looking --- */

size_t output_log_lines(const struct output_log *log)
{
    return log->n;
}

bool output_log_line(const struct output_log *log, size_t n, struct output_line *line)
{
    const struct line *l;

    if (n >= log->n)
        return false;
    l = &log->lines[n];
    *line = (struct output_line){.port = l->port,
                                 .icount = l->icount,
                                 .vns = l->vns,
                                 .text = (const char *)l->text.data,
                                 .len = l->text.len,
                                 .complete = l->complete};
    return true;
}

bool output_log_match(const struct output_log *log, size_t n, const struct pattern *p,
                      struct output_match *match)
{
    const struct line *l = &log->lines[n];
    struct pattern_match found;
    size_t last;

    if (n >= log->n ||
        !pattern_search(p, (const char *)l->text.data, l->text.len, l->complete, &found))
        return false;
    *match = (struct output_match){.line = n, .begin = found.begin, .end = found.end};
    last = found.end > 0 ? found.end - 1 : 0;
    moment_of_byte(l, found.at_end ? l->text.len : last, &match->icount, &match->vns);
    return true;
}

bool output_log_find(const struct output_log *log, const struct pattern *p, int port, uint64_t from,
                     struct output_match *match)
{
    struct output_match found;
    bool any = false;

    /* Lines of several ports overlap: one that began later may be complete before. */
    for (size_t i = 0; i < log->n && (!any || log->lines[i].icount <= match->icount); i++) {
        const struct line *l = &log->lines[i];

        if ((port >= 0 && l->port != port) || l->last_icount < from ||
            !output_log_match(log, i, p, &found) || found.icount < from)
            continue;
        if (!any || found.icount < match->icount)
            *match = found;
        any = true;
    }
    return any;
}

/* --- as bytes --- */

/* Then text and stamps. Little-endian, as this host is. */
struct saved_line {
    uint64_t icount, vns;
    uint32_t len, stamps;
    uint32_t port, complete;
};

size_t output_log_saved_bytes(const struct output_log *log)
{
    size_t bytes = 0;

    for (size_t i = 0; i < log->n; i++)
        bytes += sizeof(struct saved_line) + log->lines[i].text.len + log->lines[i].stamps.len;
    return bytes;
}

static uint8_t *put_bytes(uint8_t *to, const void *data, size_t len)
{
    if (len > 0)
        memcpy(to, data, len);
    return to + len;
}

void output_log_save(const struct output_log *log, uint8_t *out)
{
    for (size_t i = 0; i < log->n; i++) {
        const struct line *l = &log->lines[i];
        struct saved_line saved = {.icount = l->icount,
                                   .vns = l->vns,
                                   .len = l->text.len,
                                   .stamps = l->stamps.len,
                                   .port = l->port,
                                   .complete = l->complete};

        out = put_bytes(out, &saved, sizeof(saved));
        out = put_bytes(out, l->text.data, l->text.len);
        out = put_bytes(out, l->stamps.data, l->stamps.len);
    }
}

/* Adds one byte of a saved line, by its stamp. */
static bool load_byte(struct output_log *log, unsigned port, uint64_t *icount, uint64_t *vns, bool first,
                      const uint8_t **stamps, const uint8_t *end, uint8_t byte)
{
    uint64_t more, more_ns;

    if (!first) {
        if (!take_number(stamps, end, &more) || !take_number(stamps, end, &more_ns) ||
            more > UINT64_MAX - *icount || more_ns > UINT64_MAX - *vns)
            return false;
        *icount += more;
        *vns += more_ns;
    }
    return add_byte(log, port, *icount, *vns, byte);
}

static bool load_line(struct output_log *log, const struct saved_line *saved, const uint8_t *text)
{
    const uint8_t *stamps = text + saved->len, *end = stamps + saved->stamps;
    uint64_t icount = saved->icount, vns = saved->vns;

    if (saved->port >= OUTPUT_PORTS || log->open[saved->port] != NO_LINE || saved->len > OUTPUT_LINE_MAX ||
        saved->complete > 1 || (saved->len == 0 && !saved->complete) ||
        (log->n > 0 && icount < log->lines[log->n - 1].icount))
        return false;
    for (uint32_t i = 0; i < saved->len; i++)
        if (text[i] == '\n' || text[i] == '\r' ||
            !load_byte(log, saved->port, &icount, &vns, i == 0, &stamps, end, text[i]))
            return false;
    if (saved->complete &&
        !load_byte(log, saved->port, &icount, &vns, saved->len == 0, &stamps, end, '\n'))
        return false;
    return stamps == end;
}

static bool load_lines(struct output_log *log, const uint8_t *data, size_t len)
{
    struct saved_line saved;

    while (len > 0) {
        if (len < sizeof(saved))
            return false;
        memcpy(&saved, data, sizeof(saved));
        data += sizeof(saved);
        len -= sizeof(saved);
        if (saved.len > len || saved.stamps > len - saved.len || !load_line(log, &saved, data))
            return false;
        data += saved.len + saved.stamps;
        len -= saved.len + saved.stamps;
    }
    return true;
}

struct output_log *output_log_load(const uint8_t *data, size_t len)
{
    struct output_log *log = output_log_create();

    if (log == NULL || load_lines(log, data, len))
        return log;
    output_log_destroy(log);
    return NULL;
}
