/* SPDX-License-Identifier: MIT */
/* A growing buffer of bytes. */
#include "bytes_internal.h"

#include <stdlib.h>
#include <string.h>

void bytes_fini(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){0};
}

static bool grow(struct bytes *b, size_t more)
{
    size_t room = b->room == 0 ? 4096 : b->room;
    uint8_t *grown;

    if (b->failed || more > SIZE_MAX / 4 - b->len) {
        b->failed = true;
        return false;
    }
    if (b->len + more <= b->room)
        return true;
    while (room < b->len + more)
        room *= 2;
    grown = realloc(b->data, room);
    if (grown == NULL) {
        b->failed = true;
        return false;
    }
    b->data = grown;
    b->room = room;
    return true;
}

void bytes_append(struct bytes *b, const void *data, size_t len)
{
    if (len == 0 || !grow(b, len))
        return;
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

void bytes_append_zeros(struct bytes *b, size_t len)
{
    if (len == 0 || !grow(b, len))
        return;
    memset(b->data + b->len, 0, len);
    b->len += len;
}

void bytes_align(struct bytes *b, size_t to)
{
    bytes_append_zeros(b, -b->len & (to - 1));
}
