/* SPDX-License-Identifier: MIT */
/*
 * BTF (Linux, Documentation/bpf/btf.rst): a header, types one behind the other, strings.
 *
 * Invariants, from btf_parse() on: 1. types[id] is the offset of type `id`, whose whole record lies inside of
 * `data`; types[0] is void and has none. 2. The strings end with a '\0'; offsets beyond them read as "".
 * 3. Chains of types that refer to types are followed for MAX_CHAIN steps, so that no circle holds anybody.
 */
#include <symbols/btf.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory_internal.h"

#define BTF_MAGIC    0xeb9fu
#define HEADER_BYTES 24u
#define TYPE_BYTES   12u
#define MAX_BYTES    (64u << 20)
#define MAX_CHAIN    32u
#define MAX_NESTING  8u
#define MAX_MEMBERS  1000000u /* that one search looks at */

enum kind {
    KIND_VOID, KIND_INT, KIND_PTR, KIND_ARRAY, KIND_STRUCT, KIND_UNION, KIND_ENUM, KIND_FWD, KIND_TYPEDEF,
    KIND_VOLATILE, KIND_CONST, KIND_RESTRICT, KIND_FUNC, KIND_FUNC_PROTO, KIND_VAR, KIND_DATASEC, KIND_FLOAT,
    KIND_DECL_TAG, KIND_TYPE_TAG, KIND_ENUM64, KIND_COUNT
};

#define INT_SIGNED 1u
#define INT_BOOL   4u

struct btf {
    uint8_t *data;
    const char *strings;
    size_t strings_len;
    uint32_t *types;     /* offsets in data, by id */
    size_t count;
    uint32_t *functions; /* ids, by name */
    size_t nfunctions;
};

/* --- records --- */

static const uint8_t *record(const struct btf *b, uint32_t id)
{
    return b->data + b->types[id];
}

static uint32_t word(const struct btf *b, uint32_t id, size_t n)
{
    return le32(record(b, id) + 4 * n);
}

static uint32_t info_kind(uint32_t info)
{
    return (info >> 24) & 31;
}

static uint32_t kind_of(const struct btf *b, uint32_t id)
{
    return id == 0 || id >= b->count ? KIND_VOID : info_kind(word(b, id, 1));
}

static uint32_t vlen_of(const struct btf *b, uint32_t id)
{
    return word(b, id, 1) & 0xffff;
}

static const char *string_at(const struct btf *b, uint32_t offset)
{
    return offset < b->strings_len ? b->strings + offset : "";
}

static const char *name_of(const struct btf *b, uint32_t id)
{
    return string_at(b, word(b, id, 0));
}

/* Bytes behind the common part of a record. False: no such kind. */
static bool extra_bytes(uint32_t info, size_t *bytes)
{
    size_t vlen = info & 0xffff;

    switch (info_kind(info)) {
    case KIND_INT:
    case KIND_VAR:
    case KIND_DECL_TAG: *bytes = 4; return true;
    case KIND_ARRAY: *bytes = 12; return true;
    case KIND_STRUCT:
    case KIND_UNION:
    case KIND_DATASEC:
    case KIND_ENUM64: *bytes = 12 * vlen; return true;
    case KIND_ENUM:
    case KIND_FUNC_PROTO: *bytes = 8 * vlen; return true;
    default: *bytes = 0; return info_kind(info) != KIND_VOID && info_kind(info) < KIND_COUNT;
    }
}

/* --- reading --- */

static int fail(int status, const char *what, char *err, size_t errlen)
{
    snprintf(err, errlen, "the kernel's BTF: %s", what);
    return status;
}

/* Counts the types in [at, end), and notes where they are when b->types is there. */
static int walk_types(struct btf *b, size_t at, size_t end, char *err, size_t errlen)
{
    b->count = 1;
    while (at < end) {
        size_t extra;

        if (end - at < TYPE_BYTES || !extra_bytes(le32(b->data + at + 4), &extra))
            return fail(SYMBOLS_ERR_DAMAGED, "a type that is none", err, errlen);
        if (end - at - TYPE_BYTES < extra)
            return fail(SYMBOLS_ERR_DAMAGED, "a type that goes on behind the last one", err, errlen);
        if (b->types != NULL)
            b->types[b->count] = (uint32_t)at;
        b->count++;
        at += TYPE_BYTES + extra;
    }
    return SYMBOLS_OK;
}

static int compare_functions(const void *a, const void *c, void *opaque)
{
    const struct btf *b = opaque;

    return strcmp(name_of(b, *(const uint32_t *)a), name_of(b, *(const uint32_t *)c));
}

static int index_functions(struct btf *b, char *err, size_t errlen)
{
    for (uint32_t id = 1; id < b->count; id++)
        b->nfunctions += kind_of(b, id) == KIND_FUNC;
    b->functions = malloc((b->nfunctions + 1) * sizeof(*b->functions));
    if (b->functions == NULL)
        return fail(SYMBOLS_ERR_NO_MEMORY, "no memory", err, errlen);
    b->nfunctions = 0;
    for (uint32_t id = 1; id < b->count; id++)
        if (kind_of(b, id) == KIND_FUNC)
            b->functions[b->nfunctions++] = id;
    qsort_r(b->functions, b->nfunctions, sizeof(*b->functions), compare_functions, b);
    return SYMBOLS_OK;
}

/* The header: where types and strings are. */
static int read_header(struct btf *b, size_t len, size_t *types, size_t *types_end, char *err, size_t errlen)
{
    size_t header, strings;

    if (len < HEADER_BYTES || le16(b->data) != BTF_MAGIC || b->data[2] != 1)
        return fail(SYMBOLS_ERR_UNKNOWN, "of another kind or version", err, errlen);
    header = le32(b->data + 4);
    if (header < HEADER_BYTES || header > len)
        return fail(SYMBOLS_ERR_DAMAGED, "a header that is longer than all of it", err, errlen);
    *types = header + le32(b->data + 8);
    *types_end = *types + le32(b->data + 12);
    strings = header + le32(b->data + 16);
    b->strings_len = le32(b->data + 20);
    if (*types > len || *types_end > len || strings > len || b->strings_len > len - strings)
        return fail(SYMBOLS_ERR_DAMAGED, "parts that lie outside", err, errlen);
    b->strings = (const char *)b->data + strings;
    if (b->strings_len == 0 || b->strings[b->strings_len - 1] != '\0')
        return fail(SYMBOLS_ERR_DAMAGED, "strings without an end", err, errlen);
    return SYMBOLS_OK;
}

static int read_all(struct btf *b, size_t len, char *err, size_t errlen)
{
    size_t types, end;
    int status = read_header(b, len, &types, &end, err, errlen);

    if (status == SYMBOLS_OK)
        status = walk_types(b, types, end, err, errlen);
    if (status != SYMBOLS_OK)
        return status;
    b->types = calloc(b->count, sizeof(*b->types));
    if (b->types == NULL)
        return fail(SYMBOLS_ERR_NO_MEMORY, "no memory", err, errlen);
    walk_types(b, types, end, err, errlen);
    return index_functions(b, err, errlen);
}

int btf_parse(uint8_t *data, size_t len, struct btf **out, char *err, size_t errlen)
{
    struct btf *b = calloc(1, sizeof(*b));
    int status;

    if (b == NULL) {
        free(data);
        return fail(SYMBOLS_ERR_NO_MEMORY, "no memory", err, errlen);
    }
    b->data = data;
    status = len > MAX_BYTES ? fail(SYMBOLS_ERR_DAMAGED, "too large", err, errlen)
                             : read_all(b, len, err, errlen);
    if (status == SYMBOLS_OK)
        *out = b;
    else
        btf_destroy(b);
    return status;
}

int btf_read(const struct symbols_memory *mem, const struct symbol_table *guest, struct btf **out, char *err,
             size_t errlen)
{
    uint64_t from, end;
    uint8_t *data;

    if (!symbol_table_address(guest, "__start_BTF", &from) ||
        !symbol_table_address(guest, "__stop_BTF", &end))
        return fail(SYMBOLS_ERR_NOT_FOUND, "it has none", err, errlen);
    if (end <= from || end - from > MAX_BYTES)
        return fail(SYMBOLS_ERR_DAMAGED, "of no plausible size", err, errlen);
    data = malloc((size_t)(end - from));
    if (data == NULL)
        return fail(SYMBOLS_ERR_NO_MEMORY, "no memory", err, errlen);
    if (!memory_read(mem, from, data, (size_t)(end - from))) {
        free(data);
        return fail(SYMBOLS_ERR_NOT_FOUND, "not mapped", err, errlen);
    }
    return btf_parse(data, (size_t)(end - from), out, err, errlen);
}

void btf_destroy(struct btf *b)
{
    if (b == NULL)
        return;
    free(b->data);
    free(b->types);
    free(b->functions);
    free(b);
}

/* --- values --- */

static bool is_name_for_another(uint32_t kind)
{
    return kind == KIND_TYPEDEF || kind == KIND_VOLATILE || kind == KIND_CONST || kind == KIND_RESTRICT ||
           kind == KIND_TYPE_TAG;
}

/* What stands behind typedefs, const and their like. */
static uint32_t resolve(const struct btf *b, uint32_t id)
{
    for (unsigned i = 0; i < MAX_CHAIN && is_name_for_another(kind_of(b, id)); i++)
        id = word(b, id, 2);
    return is_name_for_another(kind_of(b, id)) || id >= b->count ? 0 : id;
}

/* Whether const is among what resolve() passes by. */
static bool is_const(const struct btf *b, uint32_t id)
{
    for (unsigned i = 0; i < MAX_CHAIN && is_name_for_another(kind_of(b, id)); i++) {
        if (kind_of(b, id) == KIND_CONST)
            return true;
        id = word(b, id, 2);
    }
    return false;
}

static struct btf_value pointer_to(const struct btf *b, uint32_t id)
{
    uint32_t to = resolve(b, id);

    if (kind_of(b, to) == KIND_FUNC_PROTO)
        return (struct btf_value){.form = BTF_FUNCTION};
    /* char has no flag of its own in what compilers write: it is called so. */
    if (kind_of(b, to) == KIND_INT && word(b, to, 2) == 1 && strcmp(name_of(b, to), "char") == 0 &&
        is_const(b, id))
        return (struct btf_value){.form = BTF_STRING};
    return (struct btf_value){.form = BTF_POINTER};
}

static struct btf_value value_of(const struct btf *b, uint32_t type)
{
    uint32_t id = resolve(b, type), flags;

    switch (kind_of(b, id)) {
    case KIND_VOID: return (struct btf_value){.form = BTF_VOID};
    case KIND_PTR: return pointer_to(b, word(b, id, 2));
    case KIND_INT:
        flags = word(b, id, 3) >> 24 & 15;
        return (struct btf_value){.form = flags & INT_BOOL     ? BTF_BOOL
                                          : flags & INT_SIGNED ? BTF_SIGNED
                                                               : BTF_UNSIGNED,
                                  .bytes = word(b, id, 2)};
    case KIND_ENUM:
    case KIND_ENUM64: return (struct btf_value){.form = BTF_UNSIGNED, .bytes = word(b, id, 2)};
    default: return (struct btf_value){.form = BTF_OTHER};
    }
}

/* --- functions --- */

/* The first of that name, as an index into b->functions; nfunctions: none. */
static size_t find_function(const struct btf *b, const char *name)
{
    size_t from = 0, end = b->nfunctions;

    while (from < end) {
        size_t mid = from + (end - from) / 2;

        if (strcmp(name_of(b, b->functions[mid]), name) < 0)
            from = mid + 1;
        else
            end = mid;
    }
    return from < b->nfunctions && strcmp(name_of(b, b->functions[from]), name) == 0 ? from : b->nfunctions;
}

bool btf_function(const struct btf *b, const char *name, struct btf_prototype *p)
{
    size_t at = find_function(b, name);
    uint32_t proto;

    if (at == b->nfunctions)
        return false;
    proto = word(b, b->functions[at], 2);
    if (kind_of(b, proto) != KIND_FUNC_PROTO)
        return false;
    *p = (struct btf_prototype){.result = value_of(b, word(b, proto, 2))};
    p->result.name = "";
    for (uint32_t i = 0; i < vlen_of(b, proto) && p->count < BTF_MAX_PARAMS; i++) {
        const uint8_t *param = record(b, proto) + TYPE_BYTES + 8 * i;

        if (le32(param + 4) == 0) { /* the last one: ... */
            p->variadic = true;
            break;
        }
        p->params[p->count] = value_of(b, le32(param + 4));
        p->params[p->count++].name = string_at(b, le32(param));
    }
    return true;
}

/* --- members --- */

static bool is_aggregate(uint32_t kind)
{
    return kind == KIND_STRUCT || kind == KIND_UNION;
}

struct member_search {
    const struct btf *b;
    const char *member;
    uint32_t budget; /* members that it may yet look at */
};

/* In bits from the beginning of type `id`. */
static bool find_member(struct member_search *s, uint32_t id, unsigned nesting, uint64_t *bits)
{
    const struct btf *b = s->b;
    bool bitfields = word(b, id, 1) >> 31;

    for (uint32_t i = 0; i < vlen_of(b, id) && s->budget > 0; i++) {
        const uint8_t *m = record(b, id) + TYPE_BYTES + 12 * i;
        const char *name = string_at(b, le32(m));
        uint64_t at = bitfields ? le32(m + 8) & 0xffffff : le32(m + 8), inside;
        uint32_t type = resolve(b, le32(m + 4));

        s->budget--;
        if (strcmp(name, s->member) == 0) {
            *bits = at;
            return true;
        }
        if (name[0] == '\0' && nesting < MAX_NESTING && is_aggregate(kind_of(b, type)) &&
            find_member(s, type, nesting + 1, &inside)) {
            *bits = at + inside;
            return true;
        }
    }
    return false;
}

bool btf_member(const struct btf *b, const char *struct_name, const char *member, uint64_t *offset)
{
    struct member_search search = {.b = b, .member = member, .budget = MAX_MEMBERS};
    uint64_t bits;

    for (uint32_t id = 1; id < b->count; id++) {
        if (kind_of(b, id) != KIND_STRUCT || strcmp(name_of(b, id), struct_name) != 0)
            continue;
        if (!find_member(&search, id, 0, &bits) || bits % 8 != 0)
            continue;
        *offset = bits / 8;
        return true;
    }
    return false;
}
