/* SPDX-License-Identifier: MIT */
/* A growing buffer of bytes. Once it could not grow it stays `failed`, and appending does nothing.
 */
#ifndef SYMBOLS_BYTES_INTERNAL_H
#define SYMBOLS_BYTES_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *data;
    size_t len, room;
    bool failed;
};

void bytes_fini(struct bytes *b);
void bytes_append(struct bytes *b, const void *data, size_t len);
void bytes_append_zeros(struct bytes *b, size_t len);
/* Zeros up to a multiple of `to`, a power of two. */
void bytes_align(struct bytes *b, size_t to);

static inline void bytes_append_byte(struct bytes *b, uint8_t byte)
{
    bytes_append(b, &byte, 1);
}

#endif
