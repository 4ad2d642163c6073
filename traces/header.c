/* SPDX-License-Identifier: MIT */
/*
 * The header: tag 55799 on a map with text keys, the only item of the first frame.
 *
 *     "format" "deja-trace"   "version" 1          found first, whatever else is in the map
 *     "generator" "cpu" text  "ns_per_insn" uint   "rtc_base" int   "seeds" [uint]
 *     "config" {text: uint / int / text / bytes}   "chunk" uint
 *     "images" [{"role" "name" "hash" text, "size" uint, "embedded" bool}]
 *
 * All of them are required, each once. Keys that this version does not know are passed over, in the
 * header and in an image; a config value of another type is an error, because config fixes the
 * machine and a machine that lacks a fact would replay wrongly.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "trace_internal.h"

#define HEADER_KEYS 10u
#define KEY_MAX     64u   /* bytes of a key */
#define NAME_BYTES  4096u /* of generator, CPU model, role, name */
#define CHUNK_MAX   (TRACE_FRAME_MAX - 64u)

/* ---- for callers ---- */

const struct trace_config_item *trace_header_find(const struct trace_header *header,
                                                  const char *key)
{
    for (size_t i = 0; i < header->nconfig; i++) {
        if (strcmp(header->config[i].key, key) == 0)
            return &header->config[i];
    }
    return NULL;
}

uint64_t trace_header_uint(const struct trace_header *header, const char *key, uint64_t fallback)
{
    const struct trace_config_item *item = trace_header_find(header, key);

    return item && item->type == TRACE_CONFIG_UINT ? item->value.u : fallback;
}

const char *trace_header_string(const struct trace_header *header, const char *key,
                                const char *fallback)
{
    const struct trace_config_item *item = trace_header_find(header, key);

    return item && item->type == TRACE_CONFIG_STRING ? item->value.s : fallback;
}

int trace_header_image(const struct trace_header *header, const char *role)
{
    for (size_t i = 0; i < header->nimages; i++) {
        if (strcmp(header->images[i].role, role) == 0)
            return (int)i;
    }
    return -1;
}

void trace_image_hash(const void *data, size_t len, char hash[TRACE_HASH_CHARS + 1])
{
    static const char digits[] = "0123456789abcdef";
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, len));
    for (size_t i = 0; i < sizeof(canonical.digest); i++) {
        hash[2 * i] = digits[canonical.digest[i] >> 4];
        hash[2 * i + 1] = digits[canonical.digest[i] & 15];
    }
    hash[TRACE_HASH_CHARS] = '\0';
}

static bool hash_valid(const char *hash, size_t len)
{
    return len == TRACE_HASH_CHARS && strspn(hash, "0123456789abcdef") >= TRACE_HASH_CHARS;
}

/* ---- encoding ---- */

static void put_key(struct cbor_out *o, const char *key)
{
    cbor_out_text(o, key, strlen(key));
}

static int bad_item(struct trace_error *err, const char *key, const char *what)
{
    return trace_fail(err, TRACE_ERR_ARGUMENT, 0, "config item \"%.64s\": %s", key, what);
}

static int check_config(const struct trace_header *header, struct trace_error *err)
{
    for (size_t i = 0; i < header->nconfig; i++) {
        const struct trace_config_item *item = &header->config[i];

        if (!item->key)
            return trace_fail(err, TRACE_ERR_ARGUMENT, 0, "config item %zu has no key", i);
        size_t len = strlen(item->key);
        if (!len || len > KEY_MAX || !trace_utf8_valid(item->key, len))
            return bad_item(err, item->key, "the key is empty, too long or not UTF-8");
        if (trace_header_find(header, item->key) != item)
            return bad_item(err, item->key, "given twice");
        switch (item->type) {
        case TRACE_CONFIG_UINT:
        case TRACE_CONFIG_INT: break;
        case TRACE_CONFIG_STRING:
            if (!item->value.s || !trace_utf8_valid(item->value.s, strlen(item->value.s)))
                return bad_item(err, item->key, "the string is not UTF-8; pass it as bytes");
            break;
        case TRACE_CONFIG_BYTES:
            if (!item->value.bytes.data && item->value.bytes.len)
                return bad_item(err, item->key, "bytes missing");
            break;
        default: return bad_item(err, item->key, "unknown type");
        }
    }
    return TRACE_OK;
}

static int check_images(const struct trace_header *header,
                        const char (*hashes)[TRACE_HASH_CHARS + 1], struct trace_error *err)
{
    for (size_t i = 0; i < header->nimages; i++) {
        const struct trace_image *image = &header->images[i];

        if (!image->role || !image->name || strlen(image->role) > NAME_BYTES ||
            strlen(image->name) > NAME_BYTES)
            return trace_fail(err, TRACE_ERR_ARGUMENT, 0,
                              "image %zu: role or name missing or too long", i);
        if (!hash_valid(hashes[i], strnlen(hashes[i], TRACE_HASH_CHARS + 1)))
            return trace_fail(err, TRACE_ERR_ARGUMENT, 0,
                              "image \"%.64s\": neither data nor a hash", image->name);
        if (image->data && image->size > TRACE_IMAGE_MAX)
            return trace_fail(err, TRACE_ERR_TOO_BIG, 0,
                              "image \"%.64s\": too big to embed: %" PRIu64 " bytes", image->name,
                              image->size);
    }
    return TRACE_OK;
}

static int check_header(const struct trace_header *header,
                        const char (*hashes)[TRACE_HASH_CHARS + 1], struct trace_error *err)
{
    int rc;

    if (!header->generator || !header->cpu_model || !header->ns_per_insn)
        return trace_fail(err, TRACE_ERR_ARGUMENT, 0,
                          "the header lacks generator, CPU model or ns_per_insn");
    if (strlen(header->generator) > NAME_BYTES || strlen(header->cpu_model) > NAME_BYTES ||
        header->nseeds > TRACE_LIST_MAX || header->nconfig > TRACE_LIST_MAX)
        return trace_fail(err, TRACE_ERR_TOO_BIG, 0, "the header holds too much");
    rc = check_config(header, err);
    return rc < 0 ? rc : check_images(header, hashes, err);
}

static void put_config(struct cbor_out *o, const struct trace_header *header)
{
    put_key(o, "config");
    cbor_out_map(o, header->nconfig);
    for (size_t i = 0; i < header->nconfig; i++) {
        const struct trace_config_item *item = &header->config[i];

        put_key(o, item->key);
        switch (item->type) {
        case TRACE_CONFIG_UINT: cbor_out_uint(o, item->value.u); break;
        case TRACE_CONFIG_INT: cbor_out_int(o, item->value.i); break;
        case TRACE_CONFIG_STRING: cbor_out_text(o, item->value.s, strlen(item->value.s)); break;
        case TRACE_CONFIG_BYTES:
            cbor_out_bytes(o, item->value.bytes.data, item->value.bytes.len);
            break;
        }
    }
}

static void put_images(struct cbor_out *o, const struct trace_header *header,
                       const char (*hashes)[TRACE_HASH_CHARS + 1])
{
    put_key(o, "images");
    cbor_out_array(o, header->nimages);
    for (size_t i = 0; i < header->nimages; i++) {
        const struct trace_image *image = &header->images[i];

        cbor_out_map(o, 5);
        put_key(o, "role");
        cbor_out_text_lossy(o, image->role, strlen(image->role));
        put_key(o, "name");
        cbor_out_text_lossy(o, image->name, strlen(image->name));
        put_key(o, "size");
        cbor_out_uint(o, image->size);
        put_key(o, "hash");
        cbor_out_text(o, hashes[i], TRACE_HASH_CHARS);
        put_key(o, "embedded");
        cbor_out_bool(o, image->data != NULL);
    }
}

int header_put(struct cbor_out *o, const struct trace_header *header,
               const char (*hashes)[TRACE_HASH_CHARS + 1], struct trace_error *err)
{
    int rc = check_header(header, hashes, err);

    if (rc < 0)
        return rc;
    cbor_out_tag(o, TRACE_CBOR_TAG);
    cbor_out_map(o, HEADER_KEYS);
    put_key(o, "format");
    put_key(o, TRACE_FORMAT_NAME);
    put_key(o, "version");
    cbor_out_uint(o, TRACE_VERSION);
    put_key(o, "generator");
    cbor_out_text_lossy(o, header->generator, strlen(header->generator));
    put_key(o, "cpu");
    cbor_out_text_lossy(o, header->cpu_model, strlen(header->cpu_model));
    put_key(o, "ns_per_insn");
    cbor_out_uint(o, header->ns_per_insn);
    put_key(o, "rtc_base");
    cbor_out_int(o, header->rtc_base);
    put_key(o, "seeds");
    cbor_out_array(o, header->nseeds);
    for (size_t i = 0; i < header->nseeds; i++)
        cbor_out_uint(o, header->seeds[i]);
    put_config(o, header);
    put_key(o, "chunk");
    cbor_out_uint(o, TRACE_CHUNK_BYTES);
    put_images(o, header, hashes);
    if (o->failed)
        return trace_fail(err, TRACE_ERR_MEMORY, 0, "out of memory for the header");
    if (o->len > TRACE_HEADER_MAX)
        return trace_fail(err, TRACE_ERR_TOO_BIG, 0, "the header takes %zu bytes, at most %u fit",
                          o->len, TRACE_HEADER_MAX);
    return TRACE_OK;
}

/* ---- decoding ---- */

struct header_store {
    struct trace_header header;
    struct trace_config_item *config;
    struct trace_image *images;
    uint64_t *seeds;
    uint64_t chunk;
    char *arena; /* texts with a NUL, and bytes */
    size_t
        arena_used; /* a NUL takes the place of the item's head: never above the header's length */
};

static bool problem(struct cbor_in *in, const char *what)
{
    in->problem = what;
    return false;
}

static const char *keep(struct header_store *s, const void *data, size_t len)
{
    char *p = s->arena + s->arena_used;

    memcpy(p, data, len);
    p[len] = '\0';
    s->arena_used += len + 1;
    return p;
}

static bool get_text(struct cbor_in *in, struct header_store *s, const char **text, size_t max)
{
    const char *p;
    size_t len;

    if (!cbor_in_text(in, &p, &len, max))
        return false;
    *text = keep(s, p, len);
    return true;
}

static bool get_seeds(struct cbor_in *in, struct header_store *s)
{
    uint64_t n;

    if (!cbor_in_array(in, &n))
        return false;
    if (n > TRACE_LIST_MAX)
        return problem(in, "too many seeds");
    s->seeds = calloc(n + 1, sizeof(*s->seeds));
    if (!s->seeds)
        return problem(in, "out of memory");
    for (uint64_t i = 0; i < n; i++) {
        if (!cbor_in_uint(in, &s->seeds[i], UINT64_MAX))
            return false;
    }
    s->header.seeds = s->seeds;
    s->header.nseeds = n;
    return true;
}

static bool get_config_value(struct cbor_in *in, struct header_store *s,
                             struct trace_config_item *item)
{
    struct cbor_in_item raw;
    size_t pos = in->pos;

    if (!cbor_in_next(in, &raw))
        return false;
    switch (raw.type) {
    case CBOR_IN_UINT:
        item->type = TRACE_CONFIG_UINT;
        item->value.u = raw.u;
        return true;
    case CBOR_IN_NEGINT:
        in->pos = pos;
        item->type = TRACE_CONFIG_INT;
        return cbor_in_int(in, &item->value.i);
    case CBOR_IN_TEXT:
        in->pos = pos;
        item->type = TRACE_CONFIG_STRING;
        return get_text(in, s, &item->value.s, TRACE_HEADER_MAX);
    case CBOR_IN_BYTES:
        item->type = TRACE_CONFIG_BYTES;
        item->value.bytes.data = (const uint8_t *)keep(s, raw.data, raw.u);
        item->value.bytes.len = raw.u;
        return true;
    default: return problem(in, "a config value of an unknown type");
    }
}

static bool get_config(struct cbor_in *in, struct header_store *s)
{
    uint64_t n;

    if (!cbor_in_map(in, &n))
        return false;
    if (n > TRACE_LIST_MAX)
        return problem(in, "too many config items");
    s->config = calloc(n + 1, sizeof(*s->config));
    if (!s->config)
        return problem(in, "out of memory");
    s->header.config = s->config;
    for (uint64_t i = 0; i < n; i++) {
        struct trace_config_item *item = &s->config[i];

        if (!get_text(in, s, &item->key, KEY_MAX) || !get_config_value(in, s, item))
            return false;
        if (trace_header_find(&s->header, item->key))
            return problem(in, "a config key comes twice");
        s->header.nconfig++;
    }
    return true;
}

static bool get_hash(struct cbor_in *in, struct trace_image *image)
{
    const char *text;
    size_t len;

    if (!cbor_in_text(in, &text, &len, TRACE_HASH_CHARS))
        return false;
    if (len != TRACE_HASH_CHARS)
        return problem(in, "an image hash of the wrong length");
    memcpy(image->hash, text, len);
    return hash_valid(image->hash, len) || problem(in, "an image hash that is not lower-case hex");
}

static bool get_image_member(struct cbor_in *in, struct header_store *s, struct trace_image *image,
                             unsigned *seen)
{
    static const char *const keys[] = {"role", "name", "size", "hash", "embedded"};
    const char *key;
    size_t len, i = 0;

    if (!cbor_in_text(in, &key, &len, KEY_MAX))
        return false;
    while (i < 5 && (strlen(keys[i]) != len || memcmp(keys[i], key, len) != 0))
        i++;
    if (i == 5)
        return cbor_in_skip(in);
    if (*seen & 1u << i)
        return problem(in, "an image says something twice");
    *seen |= 1u << i;
    switch (i) {
    case 0: return get_text(in, s, &image->role, NAME_BYTES);
    case 1: return get_text(in, s, &image->name, NAME_BYTES);
    case 2: return cbor_in_uint(in, &image->size, UINT64_MAX);
    case 3: return get_hash(in, image);
    default: return cbor_in_bool(in, &image->embedded);
    }
}

static bool get_image(struct cbor_in *in, struct header_store *s, struct trace_image *image)
{
    unsigned seen = 0;
    uint64_t n;

    if (!cbor_in_map(in, &n))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (!get_image_member(in, s, image, &seen))
            return false;
    }
    if (seen != 0x1f)
        return problem(in, "an image lacks role, name, size, hash or embedded");
    if (image->embedded && image->size > TRACE_IMAGE_MAX)
        return problem(in, "an embedded image is too big");
    return true;
}

static bool get_images(struct cbor_in *in, struct header_store *s)
{
    uint64_t n;

    if (!cbor_in_array(in, &n))
        return false;
    if (n > TRACE_LIST_MAX)
        return problem(in, "too many images");
    s->images = calloc(n + 1, sizeof(*s->images));
    if (!s->images)
        return problem(in, "out of memory");
    for (uint64_t i = 0; i < n; i++) {
        if (!get_image(in, s, &s->images[i]))
            return false;
    }
    s->header.images = s->images;
    s->header.nimages = n;
    return true;
}

enum header_key {
    KEY_FORMAT,
    KEY_VERSION,
    KEY_GENERATOR,
    KEY_CPU,
    KEY_NS_PER_INSN,
    KEY_RTC_BASE,
    KEY_SEEDS,
    KEY_CONFIG,
    KEY_CHUNK,
    KEY_IMAGES,
    KEY_UNKNOWN
};

static bool get_key(struct cbor_in *in, enum header_key *key)
{
    static const char *const names[HEADER_KEYS] = {"format",      "version",  "generator", "cpu",
                                                   "ns_per_insn", "rtc_base", "seeds",     "config",
                                                   "chunk",       "images"};
    const char *text;
    size_t len, i = 0;

    if (!cbor_in_text(in, &text, &len, KEY_MAX))
        return false;
    while (i < HEADER_KEYS && (strlen(names[i]) != len || memcmp(names[i], text, len) != 0))
        i++;
    *key = (enum header_key)i;
    return true;
}

static bool get_value(struct cbor_in *in, struct header_store *s, enum header_key key)
{
    switch (key) {
    case KEY_GENERATOR: return get_text(in, s, &s->header.generator, NAME_BYTES);
    case KEY_CPU: return get_text(in, s, &s->header.cpu_model, NAME_BYTES);
    case KEY_NS_PER_INSN:
        return cbor_in_uint(in, &s->header.ns_per_insn, UINT64_MAX) &&
               (s->header.ns_per_insn || problem(in, "ns_per_insn is 0"));
    case KEY_RTC_BASE: return cbor_in_int(in, &s->header.rtc_base);
    case KEY_SEEDS: return get_seeds(in, s);
    case KEY_CONFIG: return get_config(in, s);
    case KEY_CHUNK:
        return cbor_in_uint(in, &s->chunk, CHUNK_MAX) && (s->chunk || problem(in, "chunk is 0"));
    case KEY_IMAGES: return get_images(in, s);
    case KEY_FORMAT:
    case KEY_VERSION:
    case KEY_UNKNOWN: break;
    }
    return cbor_in_skip(in);
}

static bool get_map(struct cbor_in *in, struct header_store *s)
{
    unsigned seen = 0;
    uint64_t n;

    if (!cbor_in_map(in, &n))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        enum header_key key;

        if (!get_key(in, &key))
            return false;
        if (key != KEY_UNKNOWN && (seen & 1u << key))
            return problem(in, "a key comes twice");
        seen |= 1u << key;
        if (!get_value(in, s, key))
            return false;
    }
    if ((seen & ((1u << HEADER_KEYS) - 1)) != (1u << HEADER_KEYS) - 1)
        return problem(in, "a required key is missing");
    return cbor_in_at_end(in) || problem(in, "bytes follow it");
}

/* Looks for format and version only, in a map that may be of any later version. */
static int check_version(struct cbor_in in, uint32_t *version, struct trace_error *err)
{
    bool format = false;
    uint64_t n = 0, found = 0;

    cbor_in_map(&in, &n);
    for (uint64_t i = 0; i < n; i++) {
        enum header_key key;
        const char *text;
        size_t len;
        bool ok;

        if (!get_key(&in, &key))
            break;
        if (key == KEY_FORMAT) {
            ok = cbor_in_text(&in, &text, &len, KEY_MAX);
            format = ok && len == strlen(TRACE_FORMAT_NAME) &&
                     memcmp(text, TRACE_FORMAT_NAME, len) == 0;
        } else if (key == KEY_VERSION) {
            ok = cbor_in_uint(&in, &found, UINT32_MAX);
        } else {
            ok = cbor_in_skip(&in);
        }
        if (!ok)
            break;
    }
    if (!format)
        return trace_fail(err, TRACE_ERR_NOT_TRACE, 0, "not a deja trace: no format in its header");
    if (!found || found > TRACE_VERSION)
        return trace_fail(err, TRACE_ERR_VERSION, 0,
                          "trace format version %" PRIu64 ", this deja reads up to %u", found,
                          TRACE_VERSION);
    *version = (uint32_t)found;
    return TRACE_OK;
}

int header_get(const uint8_t *data, size_t len, struct header_store **store,
               struct trace_error *err)
{
    static const uint8_t tag[] = {0xd9, 0xd9, 0xf7};
    struct cbor_in in = {data, len, sizeof(tag), NULL};
    struct header_store *s;
    int rc;

    if (len <= sizeof(tag) || memcmp(data, tag, sizeof(tag)) != 0)
        return trace_fail(err, TRACE_ERR_NOT_TRACE, 0,
                          "not a deja trace: its content is not self-described CBOR");
    s = calloc(1, sizeof(*s));
    if (s)
        s->arena = malloc(len);
    if (!s || !s->arena) {
        header_store_destroy(s);
        return trace_fail(err, TRACE_ERR_MEMORY, 0, "out of memory for the header");
    }
    s->header.struct_size = sizeof(s->header);
    rc = check_version(in, &s->header.version, err);
    if (rc == TRACE_OK && !get_map(&in, s))
        rc = trace_fail(err, TRACE_ERR_MALFORMED, 0,
                        "the header is malformed at byte %zu of its content: %s", in.pos,
                        in.problem);
    if (rc < 0) {
        header_store_destroy(s);
        return rc;
    }
    *store = s;
    return TRACE_OK;
}

const struct trace_header *header_store_header(const struct header_store *store)
{
    return &store->header;
}

uint64_t header_store_blob_frames(const struct header_store *store, size_t index)
{
    uint64_t frames = 0;

    for (size_t i = 0; i < index; i++) {
        if (store->images[i].embedded)
            frames += (store->images[i].size + store->chunk - 1) / store->chunk;
    }
    return frames;
}

uint32_t header_store_chunk(const struct header_store *store)
{
    return (uint32_t)store->chunk;
}

void header_store_destroy(struct header_store *store)
{
    if (!store)
        return;
    free(store->config);
    free(store->images);
    free(store->seeds);
    free(store->arena);
    free(store);
}
