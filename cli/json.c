/* SPDX-License-Identifier: MIT */
/* Reading JSON by recursive descent: json.h. */
#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "option_values.h"

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_type type;
    char *name;  /* of a member */
    char *text;  /* JSON_STRING, JSON_NUMBER as written */
    struct json *first, *next;
};

struct parser {
    const char *begin, *at, *end;
    const char *const *only;
    unsigned depth;
    unsigned unwanted; /* how deep inside of what is just read over */
    const char *problem; /* the first */
};

static bool parse_value(struct parser *p, struct json **out);

/* --- characters --- */

static bool fail(struct parser *p, const char *problem)
{
    if (p->problem == NULL)
        p->problem = problem;
    return false;
}

static void skip_space(struct parser *p)
{
    while (p->at < p->end && strchr(" \t\r\n", *p->at) != NULL && *p->at != '\0')
        p->at++;
}

static bool take(struct parser *p, char c)
{
    if (p->at == p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

/* --- strings --- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hex4(struct parser *p, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++) {
        int digit = p->at < p->end ? hex_digit(*p->at) : -1;

        if (digit < 0)
            return fail(p, "a \\u without its four digits");
        *code = *code << 4 | (uint32_t)digit;
        p->at++;
    }
    return true;
}

static char *put_utf8(char *to, uint32_t code)
{
    unsigned more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};

    *to++ = (char)(lead[more] | code >> 6 * more);
    while (more-- > 0)
        *to++ = (char)(0x80 | (code >> 6 * more & 0x3f));
    return to;
}

/* Behind "\u". */
static bool take_unicode(struct parser *p, char **to)
{
    uint32_t code, low;

    if (!take_hex4(p, &code))
        return false;
    if (code >= 0xd800 && code < 0xdc00) {
        if (!take(p, '\\') || !take(p, 'u') || !take_hex4(p, &low) || low < 0xdc00 || low >= 0xe000)
            return fail(p, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code < 0xe000) {
        return fail(p, "half of a surrogate pair");
    }
    if (code == 0)
        return fail(p, "a NUL in a string");
    *to = put_utf8(*to, code);
    return true;
}

static bool take_escape(struct parser *p, char **to)
{
    static const char from[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *which;
    char c;

    if (p->at == p->end)
        return fail(p, "a string without its end");
    c = *p->at++;
    if (c == 'u')
        return take_unicode(p, to);
    which = c == '\0' ? NULL : strchr(from, c);
    if (which == NULL)
        return fail(p, "an unknown escape");
    *(*to)++ = meant[which - from];
    return true;
}

/* *out is the caller's to free. An escape is never shorter than what it means. */
static bool take_string(struct parser *p, char **out)
{
    const char *close;
    char *to;

    *out = NULL;
    if (!take(p, '"'))
        return fail(p, "no string where one belongs");
    for (close = p->at; close < p->end && *close != '"'; close++)
        close += *close == '\\' && close + 1 < p->end;
    to = *out = malloc((size_t)(close - p->at) + 1);
    if (to == NULL)
        return fail(p, "out of memory");
    while (p->at < p->end && *p->at != '"') {
        char c = *p->at++;

        if ((unsigned char)c < 0x20)
            return fail(p, "a control character in a string");
        if (c != '\\')
            *to++ = c;
        else if (!take_escape(p, &to))
            return false;
    }
    *to = '\0';
    return take(p, '"') || fail(p, "a string without its end");
}

/* --- values --- */

static bool take_digits(struct parser *p)
{
    const char *from = p->at;

    while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
        p->at++;
    return p->at > from || fail(p, "a number without digits");
}

static bool take_number(struct parser *p, char **out)
{
    const char *from = p->at;

    take(p, '-');
    if (!take(p, '0') && !take_digits(p))
        return false;
    if (take(p, '.') && !take_digits(p))
        return false;
    if (take(p, 'e') || take(p, 'E')) {
        if (!take(p, '+'))
            take(p, '-');
        if (!take_digits(p))
            return false;
    }
    *out = strndup(from, (size_t)(p->at - from));
    return *out != NULL || fail(p, "out of memory");
}

static bool is_wanted(const struct parser *p, const char *name)
{
    if (p->only == NULL || p->depth > 1)
        return true;
    for (size_t i = 0; p->only[i] != NULL; i++)
        if (strcmp(p->only[i], name) == 0)
            return true;
    return false;
}

static bool take_name(struct parser *p, char **name)
{
    if (!take_string(p, name))
        return false;
    skip_space(p);
    return take(p, ':') || fail(p, "a name without ':'");
}

/* One element or member, added behind *last unless it is read over. */
static bool take_element(struct parser *p, bool named, struct json ***last)
{
    struct json *element = NULL;
    char *name = NULL;
    bool good, wanted;

    skip_space(p);
    good = !named || take_name(p, &name);
    wanted = good && (!named || is_wanted(p, name));
    p->unwanted += !wanted;
    good = good && parse_value(p, &element);
    if (good && p->unwanted == 0) {
        element->name = name;
        **last = element;
        *last = &element->next;
        return true;
    }
    p->unwanted -= !wanted;
    free(name);
    json_destroy(element);
    return good;
}

static bool take_list(struct parser *p, bool named, struct json *list)
{
    struct json **last = &list->first;
    char close = named ? '}' : ']';

    if (++p->depth > JSON_DEPTH)
        return fail(p, "nested too deeply");
    skip_space(p);
    if (!take(p, close)) {
        do {
            if (!take_element(p, named, &last))
                return false;
            skip_space(p);
        } while (take(p, ','));
        if (!take(p, close))
            return fail(p, "a list without its end");
    }
    p->depth--;
    return true;
}

static bool take_word(struct parser *p, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(p->end - p->at) < len || memcmp(p->at, word, len) != 0)
        return fail(p, "no value where one belongs");
    p->at += len;
    return true;
}

static bool take_by_type(struct parser *p, struct json *j)
{
    switch (p->at == p->end ? '\0' : *p->at) {
    case '{': p->at++; j->type = JSON_OBJECT; return take_list(p, true, j);
    case '[': p->at++; j->type = JSON_ARRAY; return take_list(p, false, j);
    case '"': j->type = JSON_STRING; return take_string(p, &j->text);
    case 't': j->type = JSON_TRUE; return take_word(p, "true");
    case 'f': j->type = JSON_FALSE; return take_word(p, "false");
    case 'n': j->type = JSON_NULL; return take_word(p, "null");
    default: j->type = JSON_NUMBER; return take_number(p, &j->text);
    }
}

static bool parse_value(struct parser *p, struct json **out)
{
    skip_space(p);
    *out = calloc(1, sizeof(**out));
    if (*out == NULL)
        return fail(p, "out of memory");
    return take_by_type(p, *out);
}

struct json *json_parse(const char *text, size_t len, const char *const *only, char *err, size_t errlen)
{
    struct parser p = {.begin = text, .at = text, .end = text + len, .only = only};
    struct json *j = NULL;

    if (parse_value(&p, &j)) {
        skip_space(&p);
        if (p.at == p.end)
            return j;
        fail(&p, "something behind the value");
    }
    json_destroy(j);
    snprintf(err, errlen, "no JSON: %s, at byte %zu", p.problem, (size_t)(p.at - p.begin));
    return NULL;
}

/* Depth is bounded, length is not. */
void json_destroy(struct json *j)
{
    while (j != NULL) {
        struct json *next = j->next;

        json_destroy(j->first);
        free(j->name);
        free(j->text);
        free(j);
        j = next;
    }
}

/* --- looking --- */

const struct json *json_first(const struct json *array)
{
    return array == NULL ? NULL : array->first;
}

const struct json *json_next(const struct json *element)
{
    return element == NULL ? NULL : element->next;
}

const struct json *json_get(const struct json *object, const char *name)
{
    const struct json *j = object == NULL || object->type != JSON_OBJECT ? NULL : object->first;

    while (j != NULL && strcmp(j->name, name) != 0)
        j = j->next;
    return j;
}

bool json_is_true(const struct json *value)
{
    return value != NULL && value->type == JSON_TRUE;
}

const char *json_text(const struct json *value)
{
    return value != NULL && value->type == JSON_STRING ? value->text : NULL;
}

bool json_u64(const struct json *value, uint64_t *n)
{
    return value != NULL && (value->type == JSON_STRING || value->type == JSON_NUMBER) &&
           value_u64(value->text, n);
}
