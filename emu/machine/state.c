/* SPDX-License-Identifier: MIT */
/*
 * Saved state: the walks over a field table: save, load, digest, visit and compare.
 *
 * Every operation is a function of (description, object) and sees the object only through its
 * table, so two objects that agree in their tables agree in saved form, digest and dump, whatever
 * their padding, pointers and caches hold.
 *
 * Invariants: 1. save and digest read the same bytes in the same order; the digest is XXH3-64 of
 * the saved form, seeded by XXH3-64 of the description's name with its version as seed. 2. Nothing
 * is stored into an object before the whole input has been checked. 3. post_load runs when every
 * field of the object is in place, the innermost structs first; when one rejects, the object gets
 * all its bytes back, derived ones included. That needs a copy for the duration of the call, which
 * is the only memory this file takes; without memory the load fails.
 *
 * Booleans are handled as bytes: a bool object that holds neither 0 nor 1 has no value in C.
 */
#include <emu/state.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY /* the streaming state on the stack */
#include <xxhash.h>

#define VISIT_PATH_BYTES   256
#define DIGEST_CHUNK_BYTES 512

/* --- helpers --- */

static unsigned scalar_width(enum field_type type)
{
    switch (type) {
    case FIELD_U8:
    case FIELD_BOOL: return 1;
    case FIELD_U16: return 2;
    case FIELD_U32: return 4;
    case FIELD_U64: return 8;
    case FIELD_STRUCT: break;
    }
    return 0;
}

static uint64_t scalar_get(const uint8_t *elem, unsigned width)
{
    uint8_t v8;
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;

    switch (width) {
    case 1: memcpy(&v8, elem, 1); return v8;
    case 2: memcpy(&v16, elem, 2); return v16;
    case 4: memcpy(&v32, elem, 4); return v32;
    default: memcpy(&v64, elem, 8); return v64;
    }
}

static void scalar_set(uint8_t *elem, unsigned width, uint64_t value)
{
    uint8_t v8 = (uint8_t)value;
    uint16_t v16 = (uint16_t)value;
    uint32_t v32 = (uint32_t)value;

    switch (width) {
    case 1: memcpy(elem, &v8, 1); break;
    case 2: memcpy(elem, &v16, 2); break;
    case 4: memcpy(elem, &v32, 4); break;
    default: memcpy(elem, &value, 8); break;
    }
}

static void put_le(uint8_t *out, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(const uint8_t *in, unsigned width)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)in[i] << (8 * i);
    return value;
}

/* An array of bytes without gaps is its own saved form. */
static bool is_byte_run(const struct field *f)
{
    return scalar_width(f->type) == 1 && (f->stride == 1 || f->count == 1);
}

size_t state_saved_size(const struct state_desc *desc)
{
    size_t size = 0;

    for (size_t i = 0; i < desc->nfields; i++) {
        const struct field *f = &desc->fields[i];
        size_t elem = f->type == FIELD_STRUCT ? state_saved_size(f->sub) : scalar_width(f->type);

        size += elem * f->count;
    }
    return size;
}

/* --- save and digest --- */

/* Takes the saved form piece by piece. */
struct save_sink {
    void (*put)(struct save_sink *sink, const uint8_t *bytes, size_t len);
    uint8_t *out;
    XXH3_state_t *hash;
    size_t held; /* bytes in `chunk` not yet hashed */
    uint8_t chunk[DIGEST_CHUNK_BYTES];
};

static void save_field(const struct field *f, const uint8_t *obj, struct save_sink *sink);

static void save_object(const struct state_desc *desc, const uint8_t *obj, struct save_sink *sink)
{
    for (size_t i = 0; i < desc->nfields; i++)
        save_field(&desc->fields[i], obj, sink);
}

static void save_field(const struct field *f, const uint8_t *obj, struct save_sink *sink)
{
    const uint8_t *elem = obj + f->offset;
    unsigned width = scalar_width(f->type);
    uint8_t bytes[8];

    if (is_byte_run(f)) {
        sink->put(sink, elem, f->count);
        return;
    }
    for (uint32_t i = 0; i < f->count; i++, elem += f->stride) {
        if (f->type == FIELD_STRUCT) {
            save_object(f->sub, elem, sink);
            continue;
        }
        put_le(bytes, width, scalar_get(elem, width));
        sink->put(sink, bytes, width);
    }
}

static void put_memory(struct save_sink *sink, const uint8_t *bytes, size_t len)
{
    memcpy(sink->out, bytes, len);
    sink->out += len;
}

void state_save(const struct state_desc *desc, const void *obj, uint8_t *out)
{
    struct save_sink sink;

    sink.put = put_memory;
    sink.out = out;
    save_object(desc, obj, &sink);
}

static void flush_hash(struct save_sink *sink)
{
    XXH3_64bits_update(sink->hash, sink->chunk, sink->held);
    sink->held = 0;
}

static void put_hash(struct save_sink *sink, const uint8_t *bytes, size_t len)
{
    if (len > sizeof(sink->chunk) - sink->held)
        flush_hash(sink);
    if (len > sizeof(sink->chunk)) {
        XXH3_64bits_update(sink->hash, bytes, len);
        return;
    }
    memcpy(sink->chunk + sink->held, bytes, len);
    sink->held += len;
}

uint64_t state_digest(const struct state_desc *desc, const void *obj)
{
    XXH3_state_t hash;
    struct save_sink sink;
    XXH64_hash_t seed = XXH3_64bits_withSeed(desc->name, strlen(desc->name), desc->version);

    XXH3_INITSTATE(&hash);
    XXH3_64bits_reset_withSeed(&hash, seed);
    sink.put = put_hash;
    sink.hash = &hash;
    sink.held = 0;
    save_object(desc, obj, &sink);
    flush_hash(&sink);
    return XXH3_64bits_digest(&hash);
}

/* --- load --- */

/* Checks the booleans of one object; returns the input after it, or NULL. */
static const uint8_t *check_object(const struct state_desc *desc, const uint8_t *in)
{
    for (size_t i = 0; i < desc->nfields; i++) {
        const struct field *f = &desc->fields[i];

        if (f->type != FIELD_STRUCT && f->type != FIELD_BOOL) {
            in += (size_t)f->count * scalar_width(f->type);
            continue;
        }
        for (uint32_t n = 0; n < f->count; n++) {
            if (f->type == FIELD_STRUCT)
                in = check_object(f->sub, in);
            else if (*in++ > 1)
                return NULL;
            if (in == NULL)
                return NULL;
        }
    }
    return in;
}

static const uint8_t *load_object(const struct state_desc *desc, uint8_t *obj, const uint8_t *in)
{
    for (size_t i = 0; i < desc->nfields; i++) {
        const struct field *f = &desc->fields[i];
        unsigned width = scalar_width(f->type);
        uint8_t *elem = obj + f->offset;

        if (is_byte_run(f)) {
            memcpy(elem, in, f->count);
            in += f->count;
            continue;
        }
        for (uint32_t n = 0; n < f->count; n++, elem += f->stride) {
            if (f->type == FIELD_STRUCT) {
                in = load_object(f->sub, elem, in);
                continue;
            }
            scalar_set(elem, width, get_le(in, width));
            in += width;
        }
    }
    return in;
}

static bool has_post_load(const struct state_desc *desc)
{
    if (desc->post_load != NULL)
        return true;
    for (size_t i = 0; i < desc->nfields; i++) {
        if (desc->fields[i].type == FIELD_STRUCT && has_post_load(desc->fields[i].sub))
            return true;
    }
    return false;
}

static int run_post_load(const struct state_desc *desc, uint8_t *obj)
{
    for (size_t i = 0; i < desc->nfields; i++) {
        const struct field *f = &desc->fields[i];

        if (f->type != FIELD_STRUCT)
            continue;
        for (uint32_t n = 0; n < f->count; n++) {
            if (run_post_load(f->sub, obj + f->offset + (size_t)n * f->stride) != 0)
                return -1;
        }
    }
    return desc->post_load != NULL ? desc->post_load(obj) : 0;
}

int state_load(const struct state_desc *desc, void *obj, const uint8_t *in, size_t len)
{
    void *before;
    int rc;

    if (len != state_saved_size(desc) || check_object(desc, in) == NULL)
        return -1;
    if (!has_post_load(desc)) {
        load_object(desc, obj, in);
        return 0;
    }
    before = malloc(desc->size);
    if (before == NULL)
        return -1;
    memcpy(before, obj, desc->size);
    load_object(desc, obj, in);
    rc = run_post_load(desc, obj);
    if (rc != 0)
        memcpy(obj, before, desc->size);
    free(before);
    return rc != 0 ? -1 : 0;
}

/* --- visit --- */

struct visit {
    state_visit_fn *fn;
    void *user;
    char path[VISIT_PATH_BYTES];
};

static void visit_object(struct visit *v, size_t at, const struct state_desc *desc,
                         const uint8_t *obj);

/* Appends to the path from `at` on; returns where the path ends now. */
static size_t path_append(struct visit *v, size_t at, const char *name, bool indexed,
                          uint32_t index)
{
    size_t room = sizeof(v->path) - at;
    int n = indexed ? snprintf(v->path + at, room, ".%s[%u]", name, (unsigned)index)
                    : snprintf(v->path + at, room, ".%s", name);

    if (n < 0)
        return at;
    return (size_t)n < room ? at + (size_t)n : sizeof(v->path) - 1;
}

static void visit_field(struct visit *v, size_t at, const struct field *f, const uint8_t *obj)
{
    const uint8_t *elem = obj + f->offset;
    unsigned width = scalar_width(f->type);

    for (uint32_t i = 0; i < f->count; i++, elem += f->stride) {
        size_t end = path_append(v, at, f->name, f->count > 1, i);

        if (f->type == FIELD_STRUCT)
            visit_object(v, end, f->sub, elem);
        else
            v->fn(v->user, v->path, scalar_get(elem, width), width);
    }
}

static void visit_object(struct visit *v, size_t at, const struct state_desc *desc,
                         const uint8_t *obj)
{
    for (size_t i = 0; i < desc->nfields; i++)
        visit_field(v, at, &desc->fields[i], obj);
}

void state_visit(const struct state_desc *desc, const void *obj, state_visit_fn *fn, void *user)
{
    struct visit v = {.fn = fn, .user = user};
    int n = snprintf(v.path, sizeof(v.path), "%s", desc->name);
    size_t at = n < 0 ? 0 : (size_t)n;

    visit_object(&v, at < sizeof(v.path) ? at : sizeof(v.path) - 1, desc, obj);
}

/* --- compare --- */

/* A scalar's place, from the inside out: put into words only where there is a difference. */
struct place {
    const struct place *outer; /* NULL: of the object itself */
    const char *name;
    bool indexed;
    uint32_t index;
};

struct compare {
    state_compare_fn *fn;
    void *user;
    size_t count;
};

static size_t place_text(const struct place *p, char *out, size_t outlen)
{
    size_t at = p->outer != NULL ? place_text(p->outer, out, outlen) : 0;
    const char *dot = p->outer != NULL ? "." : "";
    int n = p->indexed ? snprintf(out + at, outlen - at, "%s%s[%u]", dot, p->name, (unsigned)p->index)
                       : snprintf(out + at, outlen - at, "%s%s", dot, p->name);

    return n >= 0 && (size_t)n < outlen - at ? at + (size_t)n : outlen - 1;
}

static void compare_scalar(struct compare *c, const struct place *place, const uint8_t *a,
                           const uint8_t *b, unsigned width)
{
    char path[VISIT_PATH_BYTES];

    if (memcmp(a, b, width) == 0)
        return;
    c->count++;
    if (c->fn == NULL)
        return;
    place_text(place, path, sizeof(path));
    c->fn(c->user, path, scalar_get(a, width), scalar_get(b, width), width);
}

static void compare_object(struct compare *c, const struct place *outer,
                           const struct state_desc *desc, const uint8_t *a, const uint8_t *b)
{
    for (size_t i = 0; i < desc->nfields; i++) {
        const struct field *f = &desc->fields[i];
        const uint8_t *of_a = a + f->offset, *of_b = b + f->offset;
        struct place place = {.outer = outer, .name = f->name, .indexed = f->count > 1};
        unsigned width = scalar_width(f->type);

        if (f->stride == width && memcmp(of_a, of_b, (size_t)width * f->count) == 0)
            continue;
        for (; place.index < f->count; place.index++, of_a += f->stride, of_b += f->stride) {
            if (f->type == FIELD_STRUCT)
                compare_object(c, &place, f->sub, of_a, of_b);
            else
                compare_scalar(c, &place, of_a, of_b, width);
        }
    }
}

size_t state_compare(const struct state_desc *desc, const void *a, const void *b,
                     state_compare_fn *fn, void *user)
{
    struct compare c = {.fn = fn, .user = user};

    compare_object(&c, &(struct place){.name = desc->name}, desc, a, b);
    return c.count;
}
