/* SPDX-License-Identifier: MIT */
/* Checkpoints in a file: index_file.h. */
#include "index_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lz4.h>
#include <xxhash.h>

#include <emu/machine.h>
#include <emu/snapshot.h>
#include <replay/output_log.h>

#include "checkpoints.h"
#include "page_store.h"

#define MAGIC       "dejaidx"
#define VERSION     3
#define TABLE_MAX   (1ULL << 32)
#define WRITE_BYTES (1u << 20)

struct index_header {
    char magic[7];
    uint8_t version;
    struct trace_identity trace;
    uint64_t form;         /* machine_snapshot_form() */
    uint64_t state_bytes, npages, ncheckpoints, nversions;
    uint64_t table_offset, table_bytes, table_hash;
    uint64_t output_offset, output_bytes, output_hash; /* offset 0: it is not known */
};

/* Where a content is. Its hash: of a piece of state, XXH3-64 of the bytes there; of a page, ram_content_hash(). */
struct index_content {
    uint64_t offset, hash;
    uint64_t len;          /* 0: zeros; STATE_CHUNK or PAGE_STORE_PAGE: as it is; less: LZ4 */
};
/* In the table, per checkpoint: this, nchunks contents, npages u32 padded to 8 bytes. */
struct index_checkpoint {
    uint64_t icount;
    uint64_t ordinal, place_icount, nth, inputs, interrupts, digests, any_match, last_match;
    uint64_t npages;
};
/* Then, per version. */
struct index_version {
    uint64_t page, icount;
    struct index_content content;
};

static int say(char *err, size_t errlen, const char *what)
{
    snprintf(err, errlen, "%s", what);
    return -1;
}

/* --- the trace it is about --- */

int index_file_identify(const char *path, struct trace_identity *id, char *err, size_t errlen)
{
    XXH3_state_t *state = XXH3_createState();
    uint8_t *buf = malloc(WRITE_BYTES);
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = -1;
    XXH128_hash_t hash;
    ssize_t n = -1;

    if (state == NULL || buf == NULL || fd < 0)
        goto done;
    *id = (struct trace_identity){0};
    XXH3_128bits_reset(state);
    while ((n = read(fd, buf, WRITE_BYTES)) > 0) {
        XXH3_128bits_update(state, buf, (size_t)n);
        id->bytes += (uint64_t)n;
    }
    hash = XXH3_128bits_digest(state);
    id->hash[0] = hash.low64;
    id->hash[1] = hash.high64;
    rc = n < 0 ? -1 : 0;
done:
    if (rc != 0)
        snprintf(err, errlen, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(buf);
    XXH3_freeState(state);
    return rc;
}

static void fill_header(struct index_header *h, const struct trace_identity *id,
                        const struct checkpoints *c)
{
    *h = (struct index_header){.trace = *id,
                               .form = machine_snapshot_form(c->m),
                               .state_bytes = c->state_bytes,
                               .npages = c->m->ram.npages};
    memcpy(h->magic, MAGIC, sizeof(h->magic));
    h->version = VERSION;
}

/* --- writing --- */

struct index_writer {
    int fd;
    uint64_t offset;  /* of the next byte */
    uint8_t *table;
    size_t table_len, table_capacity;
    uint64_t nversions;
    bool failed;
};

static void put(struct index_writer *w, const void *data, size_t len)
{
    const uint8_t *from = data;

    while (len > 0 && !w->failed) {
        ssize_t n = pwrite(w->fd, from, len, (off_t)w->offset);

        if (n <= 0) {
            w->failed = true;
            return;
        }
        from += n;
        len -= (size_t)n;
        w->offset += (uint64_t)n;
    }
}

static void table_put(struct index_writer *w, const void *data, size_t len)
{
    if (w->table_capacity - w->table_len < len) {
        size_t capacity = 2 * w->table_capacity + len + WRITE_BYTES;
        uint8_t *table = realloc(w->table, capacity);

        if (table == NULL) {
            w->failed = true;
            return;
        }
        w->table = table;
        w->table_capacity = capacity;
    }
    memcpy(w->table + w->table_len, data, len);
    w->table_len += len;
}

static struct index_content put_content(struct index_writer *w, const uint8_t *data, uint32_t len)
{
    struct index_content c = {.offset = w->offset, .len = len};
    char packed[LZ4_COMPRESSBOUND(PAGE_STORE_PAGE)];
    int n = 0;

    if (len == 0)
        return c;
    if (len == PAGE_STORE_PAGE)
        n = LZ4_compress_default((const char *)data, packed, (int)len, sizeof(packed));
    if (n > 0 && n < (int)PAGE_STORE_PAGE) {
        data = (const uint8_t *)packed;
        c.len = (uint64_t)n;
    }
    c.hash = XXH3_64bits(data, (size_t)c.len);
    put(w, data, (size_t)c.len);
    return c;
}

/* Checkpoints share pieces with the one before: looking at its own place in the last one is enough. */
static struct index_content put_chunk(struct index_writer *w, const struct checkpoint *last,
                                      const struct index_content *last_places,
                                      const struct checkpoint *cp, size_t i)
{
    if (last != NULL && last->state[i] == cp->state[i])
        return last_places[i];
    return put_content(w, cp->state[i]->bytes, STATE_CHUNK);
}

static void put_checkpoint(struct index_writer *w, const struct checkpoints *c, size_t at,
                           struct index_content *places, struct index_content *last_places)
{
    const struct checkpoint *cp = c->list[at], *last = at == 0 ? NULL : c->list[at - 1];
    const struct player_place *p = &cp->place;
    struct index_checkpoint entry = {.icount = cp->icount,
                                     .ordinal = p->ordinal,
                                     .place_icount = p->icount,
                                     .nth = p->nth,
                                     .inputs = p->counts.inputs,
                                     .interrupts = p->counts.interrupts,
                                     .digests = p->counts.digests,
                                     .any_match = p->any_match,
                                     .last_match = p->last_match_icount,
                                     .npages = cp->npages};
    uint32_t none = 0;

    for (size_t i = 0; i < c->nchunks; i++)
        places[i] = put_chunk(w, last, last_places, cp, i);
    memcpy(last_places, places, c->nchunks * sizeof(places[0]));
    table_put(w, &entry, sizeof(entry));
    table_put(w, places, c->nchunks * sizeof(places[0]));
    table_put(w, cp->pages, cp->npages * sizeof(cp->pages[0]));
    if (cp->npages % 2 != 0)
        table_put(w, &none, sizeof(none));
}

static bool put_version(void *opaque, uint64_t page, uint64_t icount, const uint8_t *data, uint32_t len,
                        uint64_t hash)
{
    struct index_writer *w = opaque;
    struct index_version v = {.page = page, .icount = icount};

    v.content = put_content(w, data, len);
    v.content.hash = hash;
    table_put(w, &v, sizeof(v));
    w->nversions++;
    return !w->failed;
}

static void put_outputs(struct index_writer *w, struct index_header *h, const struct output_log *outputs)
{
    size_t len = output_log_saved_bytes(outputs);
    uint8_t *data = malloc(len + 1);

    if (data == NULL) {
        w->failed = true;
        return;
    }
    output_log_save(outputs, data);
    h->output_offset = w->offset;
    h->output_bytes = len;
    h->output_hash = XXH3_64bits(data, len);
    put(w, data, len);
    free(data);
}

static int write_all(struct index_writer *w, struct index_header *h, struct checkpoints *c,
                     const struct output_log *outputs)
{
    struct index_content *places = calloc(2 * c->nchunks, sizeof(*places));

    w->offset = sizeof(*h);
    if (places == NULL)
        return -1;
    for (size_t i = 0; i < c->n; i++)
        put_checkpoint(w, c, i, places, places + c->nchunks);
    free(places);
    page_store_visit(c->store, put_version, w);
    if (outputs != NULL)
        put_outputs(w, h, outputs);
    h->ncheckpoints = c->n;
    h->nversions = w->nversions;
    h->table_offset = w->offset;
    h->table_bytes = w->table_len;
    h->table_hash = XXH3_64bits(w->table, w->table_len);
    put(w, w->table, w->table_len);
    w->offset = 0;
    put(w, h, sizeof(*h));
    return w->failed || page_store_failed(c->store) ? -1 : 0;
}

int index_file_write(int fd, const struct trace_identity *id, struct checkpoints *c,
                     const struct output_log *outputs, char *err, size_t errlen)
{
    struct index_writer w = {.fd = fd};
    struct index_header h;
    int rc;

    fill_header(&h, id, c);
    rc = write_all(&w, &h, c, outputs);
    if (rc != 0)
        snprintf(err, errlen, "the index cannot be written: %s", strerror(errno));
    free(w.table);
    return rc;
}

/* --- reading: nothing in the file is believed --- */

struct index_reader {
    int fd;
    struct index_header h;
    uint8_t *table;
    size_t at;      /* in the table */
    uint64_t content_end;
};

static const void *table_take(struct index_reader *r, uint64_t len)
{
    const void *data = r->table + r->at;

    if (len > r->h.table_bytes - r->at)
        return NULL;
    r->at += (size_t)len;
    return data;
}

static bool content_ok(const struct index_reader *r, const struct index_content *c)
{
    return c->len <= PAGE_STORE_PAGE && c->offset <= r->content_end &&
           c->len <= r->content_end - c->offset;
}

static struct state_chunk *read_chunk(struct index_reader *r, const struct index_content *place)
{
    struct state_chunk *chunk = malloc(sizeof(*chunk));
    uint8_t packed[STATE_CHUNK];

    if (chunk == NULL || place->len == 0 || !content_ok(r, place) ||
        pread(r->fd, packed, (size_t)place->len, (off_t)place->offset) != (ssize_t)place->len ||
        XXH3_64bits(packed, (size_t)place->len) != place->hash)
        goto bad;
    chunk->refs = 1;
    if (place->len == STATE_CHUNK)
        memcpy(chunk->bytes, packed, STATE_CHUNK);
    else if (LZ4_decompress_safe((const char *)packed, (char *)chunk->bytes, (int)place->len,
                                 STATE_CHUNK) != STATE_CHUNK)
        goto bad;
    return chunk;

bad:
    free(chunk);
    return NULL;
}

static bool read_state(struct index_reader *r, struct checkpoints *c, struct checkpoint *cp,
                       const struct index_content *places, const struct checkpoint *last,
                       const struct index_content *last_places)
{
    for (size_t i = 0; i < c->nchunks; i++) {
        if (last != NULL && last_places[i].offset == places[i].offset) {
            cp->state[i] = last->state[i];
            cp->state[i]->refs++;
            continue;
        }
        cp->state[i] = read_chunk(r, &places[i]);
        if (cp->state[i] == NULL)
            return false;
        c->own_bytes += sizeof(*cp->state[i]);
    }
    return true;
}

static bool pages_ok(const struct index_reader *r, const uint32_t *pages, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (pages[i] >= r->h.npages)
            return false;
    return true;
}

static struct player_place place_of(const struct index_checkpoint *e)
{
    return (struct player_place){.ordinal = e->ordinal,
                                 .icount = e->place_icount,
                                 .nth = e->nth,
                                 .counts = {.inputs = e->inputs,
                                            .interrupts = e->interrupts,
                                            .digests = e->digests},
                                 .any_match = e->any_match != 0,
                                 .last_match_icount = e->last_match};
}

/* The next checkpoint of the table; *places is where its pieces are. */
static struct checkpoint *read_checkpoint(struct index_reader *r, struct checkpoints *c,
                                          const struct checkpoint *last,
                                          const struct index_content **places)
{
    const struct index_content *last_places = *places;
    const struct index_checkpoint *e = table_take(r, sizeof(*e));
    const uint32_t *pages;
    struct checkpoint *cp;

    if (e == NULL || e->npages > r->h.npages || (last != NULL && e->icount <= last->icount))
        return NULL;
    *places = table_take(r, c->nchunks * sizeof(**places));
    pages = table_take(r, (e->npages + e->npages % 2) * sizeof(*pages));
    if (*places == NULL || pages == NULL || !pages_ok(r, pages, e->npages))
        return NULL;
    cp = checkpoint_alloc(c, (size_t)e->npages);
    if (cp == NULL)
        return NULL;
    cp->icount = e->icount;
    cp->place = place_of(e);
    memcpy(cp->pages, pages, (size_t)e->npages * sizeof(*pages));
    if (read_state(r, c, cp, *places, last, last_places))
        return cp;
    checkpoint_free(c, cp);
    return NULL;
}

/* The file's list takes the place of power-on alone, which is the first of both. */
static bool read_checkpoints(struct index_reader *r, struct checkpoints *c)
{
    const struct index_content *places = NULL;
    const struct checkpoint *last = NULL;

    for (uint64_t i = 0; i < r->h.ncheckpoints; i++) {
        struct checkpoint *cp = read_checkpoint(r, c, last, &places);

        if (cp == NULL)
            return false;
        if ((i == 0) != (cp->icount == 0) || !checkpoints_add(c, cp)) {
            checkpoint_free(c, cp);
            return false;
        }
        last = c->list[c->n - 1];
    }
    return true;
}

static bool read_versions(struct index_reader *r, struct checkpoints *c)
{
    for (uint64_t i = 0; i < r->h.nversions; i++) {
        const struct index_version *v = table_take(r, sizeof(*v));

        if (v == NULL || v->page >= r->h.npages || !content_ok(r, &v->content) ||
            page_store_put_stored(c->store, v->page, v->icount, v->content.offset,
                                  (uint32_t)v->content.len, v->content.hash) != 0)
            return false;
    }
    return true;
}

/* Every page of a checkpoint must have a version there. */
static bool versions_complete(const struct checkpoints *c)
{
    for (size_t k = 1; k < c->n; k++)
        for (size_t i = 0; i < c->list[k]->npages; i++)
            if (page_store_version(c->store, c->list[k]->pages[i], 0) == 0 ||
                page_store_version(c->store, c->list[k]->pages[i], c->list[k]->icount) == 0)
                return false;
    return true;
}

static int check_header(struct index_reader *r, const struct index_header *want, uint64_t file_bytes,
                        char *err, size_t errlen)
{
    const struct index_header *h = &r->h;

    if (memcmp(h->magic, MAGIC, sizeof(h->magic)) != 0)
        return say(err, errlen, "it is no finished index");
    if (h->version != want->version)
        return say(err, errlen, "another version of deja made it");
    if (memcmp(&h->trace, &want->trace, sizeof(h->trace)) != 0)
        return say(err, errlen, "it is that of another trace");
    if (h->form != want->form || h->state_bytes != want->state_bytes || h->npages != want->npages)
        return say(err, errlen, "another version of deja made it");
    if (h->table_offset < sizeof(*h) || h->table_bytes > TABLE_MAX || h->table_offset > file_bytes ||
        h->table_bytes > file_bytes - h->table_offset || h->ncheckpoints == 0)
        return say(err, errlen, "it is damaged");
    r->content_end = h->table_offset;
    return 0;
}

static int read_table(struct index_reader *r, char *err, size_t errlen)
{
    r->table = malloc((size_t)r->h.table_bytes + 8);
    if (r->table == NULL)
        return say(err, errlen, "out of memory");
    if (pread(r->fd, r->table, (size_t)r->h.table_bytes, (off_t)r->h.table_offset) !=
            (ssize_t)r->h.table_bytes ||
        XXH3_64bits(r->table, (size_t)r->h.table_bytes) != r->h.table_hash)
        return say(err, errlen, "it is damaged");
    return 0;
}

/* What the guest printed; NULL: it is not in the file. 0, or -1: it cannot be as it was written. */
static int read_outputs(struct index_reader *r, struct output_log **outputs)
{
    const struct index_header *h = &r->h;
    uint8_t *data;

    *outputs = NULL;
    if (h->output_offset == 0)
        return 0;
    if (h->output_bytes > OUTPUT_LOG_MAX || h->output_offset > r->content_end ||
        h->output_bytes > r->content_end - h->output_offset ||
        (data = malloc((size_t)h->output_bytes + 1)) == NULL)
        return -1;
    if (pread(r->fd, data, (size_t)h->output_bytes, (off_t)h->output_offset) == (ssize_t)h->output_bytes &&
        XXH3_64bits(data, (size_t)h->output_bytes) == h->output_hash)
        *outputs = output_log_load(data, (size_t)h->output_bytes);
    free(data);
    return *outputs != NULL ? 0 : -1;
}

static int read_all(struct index_reader *r, const char *trace_path, struct checkpoints *c,
                    struct output_log **outputs, char *err, size_t errlen)
{
    struct trace_identity id;
    struct index_header want;
    struct stat st;

    if (fstat(r->fd, &st) != 0 || pread(r->fd, &r->h, sizeof(r->h), 0) != (ssize_t)sizeof(r->h))
        return say(err, errlen, "it is no finished index");
    if (index_file_identify(trace_path, &id, err, errlen) != 0)
        return -1;
    fill_header(&want, &id, c);
    if (check_header(r, &want, (uint64_t)st.st_size, err, errlen) != 0 ||
        read_table(r, err, errlen) != 0)
        return -1;
    if (!read_checkpoints(r, c) || !read_versions(r, c) || !versions_complete(c) ||
        read_outputs(r, outputs) != 0)
        return say(err, errlen, "it is damaged");
    return 0;
}

int index_file_read(const char *path, const char *trace_path, struct checkpoints *c,
                    struct output_log **outputs, char *err, size_t errlen)
{
    struct index_reader r = {.fd = open(path, O_RDONLY | O_CLOEXEC)};
    char why[256];
    int rc;

    if (r.fd < 0 && errno == ENOENT)
        return 0;
    if (r.fd < 0) {
        snprintf(err, errlen, "%s: %s", path, strerror(errno));
        return -1;
    }
    rc = read_all(&r, trace_path, c, outputs, why, sizeof(why));
    free(r.table);
    if (rc != 0) {
        close(r.fd);
        checkpoints_forget(c);
        snprintf(err, errlen, "%s is not used: %s (deja index makes a new one)", path, why);
        return -1;
    }
    page_store_set_file(c->store, r.fd);
    return 1;
}
