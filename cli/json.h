/* SPDX-License-Identifier: MIT */
/*
 * Reading JSON (RFC 8259): for the files that `deja hunt` keeps and takes up again.
 *
 *     struct json *j = json_parse(text, len, NULL, err, sizeof(err));
 *     const char *name = json_text(json_get(j, "name"));
 *     json_destroy(j);
 *
 * Any bytes may come: what is no JSON, nested deeper than JSON_DEPTH or with numbers that are none is refused.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH 32u

struct json;

/*
 * One value with white space around it. `only` NULL: all of it; else, a list of names that ends with NULL:
 * of the outermost object only these members are kept, the others are just read over.
 * NULL with one line in `err`.
 */
struct json *json_parse(const char *text, size_t len, const char *const *only, char *err, size_t errlen);
void json_destroy(struct json *j); /* NULL is fine */

/* All of these take NULL, and values of another type, for nothing. */
const struct json *json_get(const struct json *object, const char *name); /* the first of that name */
const struct json *json_first(const struct json *array);                  /* also an object's first member */
const struct json *json_next(const struct json *element);
bool json_is_true(const struct json *value);
/* UTF-8, NUL-terminated (a string with a NUL in it is refused by json_parse); NULL: no string. */
const char *json_text(const struct json *value);
/* A whole number from 0 to 2^64-1, or a string of such a number, decimal or 0x... */
bool json_u64(const struct json *value, uint64_t *n);

#endif
