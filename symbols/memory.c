/* SPDX-License-Identifier: MIT */
/* Reading guest memory through the caller's function, and searching in it. */
#include "memory_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define CHUNK_BYTES (128u * 1024)
#define LARGE_PAGE  (2u * 1024 * 1024)
#define PROBE_STEP  (64u * 1024)

bool memory_read(const struct symbols_memory *mem, uint64_t gva, void *out, size_t len)
{
    return len == 0 || (gva + (len - 1) >= gva && mem->read(mem->user, gva, out, len) == len);
}

bool memory_read_word(const struct symbols_memory *mem, uint64_t gva, unsigned bytes,
                      uint64_t *value)
{
    uint8_t raw[8] = {0};

    if (!memory_read(mem, gva, raw, bytes))
        return false;
    *value = le64(raw);
    return true;
}

bool memory_read_string(const struct symbols_memory *mem, uint64_t gva, char *out, size_t size)
{
    size_t got = mem->read(mem->user, gva, out, size);

    return got <= size && memchr(out, '\0', got) != NULL;
}

/* --- search --- */

static bool mapped(const struct symbols_memory *mem, uint64_t gva)
{
    uint8_t byte;

    return mem->read(mem->user, gva, &byte, 1) == 1;
}

/* The page at `gva` is not mapped: the next address worth a look. */
static uint64_t skip_unmapped(const struct symbols_memory *mem, uint64_t gva, uint64_t end)
{
    if (gva % LARGE_PAGE != 0)
        return gva + GUEST_PAGE;
    for (uint64_t probe = gva; probe < gva + LARGE_PAGE && probe < end; probe += PROBE_STEP)
        if (mapped(mem, probe))
            return gva + GUEST_PAGE;
    return gva + LARGE_PAGE;
}

static bool find_in_chunks(const struct symbols_memory *mem, uint64_t *at, uint64_t end,
                           const void *needle, size_t len, uint64_t *budget, uint8_t *chunk)
{
    uint64_t pos = *at;

    while (pos<end && * budget> 0) {
        size_t want = end - pos < CHUNK_BYTES ? (size_t)(end - pos) : CHUNK_BYTES;
        size_t got = mem->read(mem->user, pos, chunk, want);
        const uint8_t *hit = got >= len && got <= want ? memmem(chunk, got, needle, len) : NULL;
        uint64_t before = pos;

        *budget -= got < *budget ? got : *budget;
        if (hit != NULL) {
            *at = pos + (uint64_t)(hit - chunk);
            return true;
        }
        if (got == want)
            pos += got > len ? got - len + 1 : got;
        else
            pos = skip_unmapped(mem, (pos + got) & ~(uint64_t)(GUEST_PAGE - 1), end);
        if (pos <= before) /* the end of the address space */
            break;
    }
    return false;
}

bool memory_find(const struct symbols_memory *mem, uint64_t *at, uint64_t end, const void *needle,
                 size_t len, uint64_t *budget)
{
    uint8_t *chunk = malloc(CHUNK_BYTES);
    bool found = chunk != NULL && find_in_chunks(mem, at, end, needle, len, budget, chunk);

    free(chunk);
    return found;
}

/* --- messages --- */

int symbols_error(int status, char *err, size_t errlen, const char *format, ...)
{
    va_list args;

    if (errlen == 0)
        return status;
    va_start(args, format);
    vsnprintf(err, errlen, format, args);
    va_end(args);
    return status;
}
