/* SPDX-License-Identifier: MIT */
/*
 * Saved state, described once.
 *
 * A part of the machine (a device, the CPU, the clock) lists the fields that make up its state in
 * one table of `struct field`. Everything that treats state as a whole reads that table: save,
 * load, digest, dump and diff. What is not in a table is wiring or cache, and does not exist for a
 * replay.
 *
 *     static const struct field pit_fields[] = {
 *         FIELD_STRUCTS(struct pit, ch, &pit_channel_desc),
 *         FIELD(struct pit, port61, FIELD_U8),
 *     };
 *     const struct state_desc pit_desc = STATE_DESC("pit", 1, struct pit, pit_fields, NULL);
 *
 * Saved form: the fields in table order, each element little-endian at its natural width, no
 * padding. Saving never changes the object. Loading treats its input as hostile: sizes are checked
 * before use, booleans must be 0 or 1, and `post_load` may reject what no device could hold.
 *
 * Ownership: nothing here allocates but `state_buf_*`; the caller owns every buffer.
 */
#ifndef EMU_STATE_H
#define EMU_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_type { FIELD_U8, FIELD_U16, FIELD_U32, FIELD_U64, FIELD_BOOL, FIELD_STRUCT };

struct state_desc;

struct field {
    const char *name;
    uint32_t offset;               /* of the first element, from the start of the object */
    uint32_t count;                /* elements: 1, or an array's length */
    uint32_t stride;               /* bytes from one element to the next */
    enum field_type type;
    const struct state_desc *sub;  /* FIELD_STRUCT: what an element looks like */
};

struct state_desc {
    const char *name;              /* names the part in saved files and in reports of divergence */
    uint32_t version;              /* raised when the table changes */
    size_t size;                   /* sizeof the object */
    const struct field *fields;
    size_t nfields;
    int (*post_load)(void *obj);   /* NULL, or: rebuild what is derived; 0, or -1 to reject */
};

#define FIELD_ELEM_SIZE(type, member) sizeof(((type *)0)->member)

/* One scalar member. */
#define FIELD(type, member, kind)                                                                  \
    {#member, (uint32_t)offsetof(type, member), 1, (uint32_t)FIELD_ELEM_SIZE(type, member), kind,  \
     NULL}
/* An array member of scalars. */
#define FIELD_ARRAY(type, member, kind)                                                            \
    {#member,                                                                                      \
     (uint32_t)offsetof(type, member),                                                             \
     (uint32_t)(FIELD_ELEM_SIZE(type, member) / FIELD_ELEM_SIZE(type, member[0])),                 \
     (uint32_t)FIELD_ELEM_SIZE(type, member[0]),                                                   \
     kind,                                                                                         \
     NULL}
/* One nested struct, and an array of them. */
#define FIELD_SUB(type, member, desc)                                                              \
    {#member, (uint32_t)offsetof(type, member), 1, (uint32_t)FIELD_ELEM_SIZE(type, member),        \
     FIELD_STRUCT, desc}
#define FIELD_SUBS(type, member, desc)                                                             \
    {#member,                                                                                      \
     (uint32_t)offsetof(type, member),                                                             \
     (uint32_t)(FIELD_ELEM_SIZE(type, member) / FIELD_ELEM_SIZE(type, member[0])),                 \
     (uint32_t)FIELD_ELEM_SIZE(type, member[0]),                                                   \
     FIELD_STRUCT,                                                                                 \
     desc}

#define STATE_DESC(label, ver, type, table, after)                                                 \
    {.name = label,                                                                                \
     .version = ver,                                                                               \
     .size = sizeof(type),                                                                         \
     .fields = table,                                                                              \
     .nfields = sizeof(table) / sizeof(table[0]),                                                  \
     .post_load = after}

/* Bytes that one object takes when saved. */
size_t state_saved_size(const struct state_desc *desc);

/* Writes exactly state_saved_size(desc) bytes to `out`. `obj` is unchanged. */
void state_save(const struct state_desc *desc, const void *obj, uint8_t *out);

/*
 * Reads one object from `in`. 0, or -1 when `len` is not the saved size, a boolean is neither 0
 * nor 1, or post_load rejects it; `obj` is then unchanged.
 */
int state_load(const struct state_desc *desc, void *obj, const uint8_t *in, size_t len);

/* A 64-bit digest of the saved form (XXH3 seeded by the description's name and version). */
uint64_t state_digest(const struct state_desc *desc, const void *obj);

/*
 * Calls `fn` once per scalar, in table order, with its dotted path ("pit.ch[2].reload") and value.
 * `path` is valid during the call only.
 */
typedef void state_visit_fn(void *user, const char *path, uint64_t value, unsigned width_bytes);
void state_visit(const struct state_desc *desc, const void *obj, state_visit_fn *fn, void *user);

/*
 * Compares two objects of one description: calls `fn` (NULL: nobody wants to know) once per scalar whose
 * values differ, in table order, with its dotted path and both values. Returns how many differ. Objects that
 * are equal cost little more than comparing their bytes.
 */
typedef void state_compare_fn(void *user, const char *path, uint64_t a, uint64_t b,
                              unsigned width_bytes);
size_t state_compare(const struct state_desc *desc, const void *a, const void *b,
                     state_compare_fn *fn, void *user);

#endif
