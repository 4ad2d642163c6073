/* SPDX-License-Identifier: MIT */
/* Reading guest memory: whole values, little-endian, and searches. */
#ifndef SYMBOLS_MEMORY_INTERNAL_H
#define SYMBOLS_MEMORY_INTERNAL_H

#include <stdarg.h>
#include <string.h>

#include <symbols/memory.h>

#define GUEST_PAGE 4096u

/* All `len` bytes, or false. */
bool memory_read(const struct symbols_memory *mem, uint64_t gva, void *out, size_t len);
/* A value of `bytes` bytes, 1 to 8, zero-extended; false where it is not mapped. */
bool memory_read_word(const struct symbols_memory *mem, uint64_t gva, unsigned bytes,
                      uint64_t *value);
/* A string with its end, at most size - 1 characters; false if it is not mapped or longer. */
bool memory_read_string(const struct symbols_memory *mem, uint64_t gva, char *out, size_t size);

/*
 * Finds bytes in the mapped part of [*at, end): the address of the first occurrence at or above *at
 * in *at, or false. Unmapped stretches of 2 MiB cost 33 reads. *budget is how many bytes may yet be
 * read; at 0 the search is over.
 */
bool memory_find(const struct symbols_memory *mem, uint64_t *at, uint64_t end, const void *needle,
                 size_t len, uint64_t *budget);

static inline uint16_t le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t le64(const uint8_t *p)
{
    return le32(p) | (uint64_t)le32(p + 4) << 32;
}

static inline uint64_t align_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) & ~(to - 1);
}

/* Puts one line into the caller's buffer and returns `status`. */
int symbols_error(int status, char *err, size_t errlen, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
