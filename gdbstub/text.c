/* SPDX-License-Identifier: MIT */
/*
 * Reading requests and writing replies: hexadecimal numbers and bytes, bounded on both sides.
 */
#include <stdlib.h>
#include <string.h>

#include "stub_internal.h"

/* ---- buffers that grow ---- */

bool stub_bytes_reserve(struct stub_bytes *b, size_t more, size_t limit)
{
    size_t cap = b->cap ? b->cap : 256;
    uint8_t *data;

    if (more > limit || b->len > limit - more)
        return false;
    while (cap < b->len + more)
        cap *= 2;
    if (cap == b->cap)
        return true;
    data = realloc(b->data, cap);
    if (!data)
        return false;
    b->data = data;
    b->cap = cap;
    return true;
}

bool stub_bytes_add(struct stub_bytes *b, const void *data, size_t len, size_t limit)
{
    if (!stub_bytes_reserve(b, len, limit))
        return false;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    return true;
}

bool stub_bytes_text(struct stub_bytes *b, const char *text, size_t limit)
{
    return stub_bytes_add(b, text, strlen(text), limit);
}

void stub_bytes_fini(struct stub_bytes *b)
{
    free(b->data);
    memset(b, 0, sizeof(*b));
}

/* ---- requests ---- */

int stub_hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

size_t stub_left(const struct stub_cursor *c)
{
    return (size_t)(c->end - c->p);
}

bool stub_read_char(struct stub_cursor *c, char wanted)
{
    if (c->p == c->end || *c->p != wanted)
        return false;
    c->p++;
    return true;
}

bool stub_read_literal(struct stub_cursor *c, const char *wanted)
{
    size_t len = strlen(wanted);

    if (stub_left(c) < len || memcmp(c->p, wanted, len) != 0)
        return false;
    c->p += len;
    return true;
}

bool stub_read_number(struct stub_cursor *c, uint64_t *value)
{
    const char *begin = c->p;
    uint64_t v = 0;

    for (; c->p < c->end && stub_hex_digit(*c->p) >= 0; c->p++) {
        if (v >> 60)
            return false;
        v = v << 4 | (uint64_t)stub_hex_digit(*c->p);
    }
    *value = v;
    return c->p > begin;
}

bool stub_read_bytes(struct stub_cursor *c, uint8_t *out, size_t len)
{
    if (stub_left(c) / 2 < len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int high = stub_hex_digit(c->p[2 * i]), low = stub_hex_digit(c->p[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    c->p += 2 * len;
    return true;
}

bool stub_read_range(struct stub_cursor *c, uint64_t *address, uint64_t *len)
{
    return stub_read_number(c, address) && stub_read_char(c, ',') && stub_read_number(c, len);
}

/* ---- replies ---- */

void stub_put(struct stub_reply *r, const void *data, size_t len)
{
    if (len > sizeof(r->data) - r->len) {
        r->overflow = true;
        return;
    }
    if (len)
        memcpy(r->data + r->len, data, len);
    r->len += len;
}

void stub_put_text(struct stub_reply *r, const char *text)
{
    stub_put(r, text, strlen(text));
}

void stub_put_byte(struct stub_reply *r, uint8_t value)
{
    static const char digits[] = "0123456789abcdef";
    char text[2] = {digits[value >> 4], digits[value & 15]};

    stub_put(r, text, 2);
}

void stub_put_bytes(struct stub_reply *r, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        stub_put_byte(r, data[i]);
}

/* As short as it goes; gdb takes leading zeros, but not everybody does. */
void stub_put_number(struct stub_reply *r, uint64_t value)
{
    char text[16];
    size_t n = sizeof(text);

    do {
        text[--n] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    stub_put(r, text + n, sizeof(text) - n);
}

size_t stub_put_binary(struct stub_reply *r, const uint8_t *data, size_t len)
{
    size_t room = sizeof(r->data) - r->len, n = 0;

    for (; n < len; n++) {
        bool escaped = data[n] == '#' || data[n] == '$' || data[n] == '}' || data[n] == '*';
        size_t cost = escaped ? 2 : 1;

        if (cost > room)
            break;
        room -= cost;
    }
    stub_put(r, data, n);
    return n;
}
