/* SPDX-License-Identifier: MIT */
/*
 * Memory (GDB manual, E.2: m, M, x, X; E.4: qSearch:memory, qCRC).
 *
 * What is asked for is answered up to the first byte that cannot be read; nothing at all is an
 * error. Searches and checksums go over no more than STUB_SCAN_MAX bytes, so that no packet takes
 * for ever.
 */
#include <stdlib.h>
#include <string.h>

#include "stub_internal.h"

#define CHUNK 65536u

/* Bytes from an address to the end of the address space, at most len; all addresses are there. */
static uint64_t clamp(uint64_t address, uint64_t len)
{
    uint64_t room = UINT64_MAX - address;

    return len && len - 1 > room ? room + 1 : len;
}

static size_t read_up_to(struct gdbstub *s, uint64_t address, uint64_t len, size_t capacity)
{
    size_t n;

    len = clamp(address, len);
    if (len > capacity)
        len = capacity;
    if (!len)
        return 0;
    n = s->target.read_memory(s->user, address, s->scratch, (size_t)len);
    return n < len ? n : (size_t)len;
}

void stub_read_memory(struct gdbstub *s, struct stub_cursor *c)
{
    uint64_t address, len;
    size_t n;

    if (!stub_read_range(c, &address, &len) || stub_left(c) || !len) {
        stub_error(s, STUB_EINVAL);
        return;
    }
    n = read_up_to(s, address, len, sizeof(s->reply.data) / 2);
    if (n)
        stub_put_bytes(&s->reply, s->scratch, n);
    else
        stub_error(s, STUB_EFAULT);
}

/* Replies begin with 'b', as gdb has it where it is announced as binary-upload. */
void stub_read_memory_binary(struct gdbstub *s, struct stub_cursor *c)
{
    uint64_t address, len;
    size_t n;

    if (!stub_read_range(c, &address, &len) || stub_left(c)) {
        stub_error(s, STUB_EINVAL);
        return;
    }
    n = read_up_to(s, address, len, sizeof(s->reply.data) - 1);
    if (len && !n) {
        stub_error(s, STUB_EFAULT);
        return;
    }
    stub_put_text(&s->reply, "b");
    stub_put_binary(&s->reply, s->scratch, n);
}

static void write_memory(struct gdbstub *s, uint64_t address, const uint8_t *data, uint64_t len)
{
    if (clamp(address, len) != len)
        stub_error(s, STUB_EFAULT);
    else if (len && s->target.write_memory(s->user, address, data, (size_t)len) < 0)
        stub_error(s, STUB_EFAULT);
    else
        stub_ok(s);
}

void stub_write_memory(struct gdbstub *s, struct stub_cursor *c)
{
    uint64_t address, len;

    if (!stub_read_range(c, &address, &len) || !stub_read_char(c, ':') || len > stub_left(c) ||
        stub_left(c) != 2 * len || !stub_read_bytes(c, s->scratch, (size_t)len))
        stub_error(s, STUB_EINVAL);
    else
        write_memory(s, address, s->scratch, len);
}

void stub_write_memory_binary(struct gdbstub *s, struct stub_cursor *c)
{
    uint64_t address, len;

    if (!stub_read_range(c, &address, &len) || !stub_read_char(c, ':') || stub_left(c) != len)
        stub_error(s, STUB_EINVAL);
    else
        write_memory(s, address, (const uint8_t *)c->p, len);
}

/* ---- searching ---- */

/*
 * 1 and *found, 0, or -1: what there is to search is not all readable, or too much. The window
 * holds the last pattern_len - 1 bytes of what was searched, which may begin a match, and then a
 * chunk.
 */
static int search(struct gdbstub *s, uint64_t address, uint64_t len, const uint8_t *pattern,
                  size_t pattern_len, uint8_t *window, uint64_t *found)
{
    uint64_t left = len < STUB_SCAN_MAX ? len : STUB_SCAN_MAX;
    size_t have = 0;

    while (left) {
        size_t want = left < CHUNK ? (size_t)left : CHUNK;
        size_t n = s->target.read_memory(s->user, address, window + have, want);
        const uint8_t *match;

        n = n < want ? n : want;
        match = memmem(window, have + n, pattern, pattern_len);
        if (match) {
            *found = address - have + (size_t)(match - window);
            return 1;
        }
        if (n < want)
            return -1;
        have += n;
        if (have >= pattern_len) {
            memmove(window, window + have - (pattern_len - 1), pattern_len - 1);
            have = pattern_len - 1;
        }
        address += n;
        left -= n;
    }
    return len > STUB_SCAN_MAX ? -1 : 0;
}

static int search_memory(struct gdbstub *s, uint64_t address, uint64_t len, const uint8_t *pattern,
                         size_t pattern_len, uint64_t *found)
{
    uint8_t *window;
    int rc;

    if (len < pattern_len)
        return 0;
    if (s->target.search)
        return s->target.search(s->user, address, len, pattern, pattern_len, found);
    window = malloc(pattern_len + CHUNK);
    if (!window)
        return -1;
    rc = search(s, address, len, pattern, pattern_len, window, found);
    free(window);
    return rc;
}

void stub_search_memory(struct gdbstub *s, struct stub_cursor *c)
{
    uint64_t address, len, found = 0;
    int rc;

    if (!stub_read_number(c, &address) || !stub_read_char(c, ';') || !stub_read_number(c, &len) ||
        !stub_read_char(c, ';') || !stub_left(c)) {
        stub_error(s, STUB_EINVAL);
        return;
    }
    rc = search_memory(s, address, clamp(address, len), (const uint8_t *)c->p, stub_left(c),
                       &found);
    if (rc < 0) {
        stub_error(s, STUB_EFAULT);
    } else if (rc == 0) {
        stub_put_text(&s->reply, "0");
    } else {
        stub_put_text(&s->reply, "1,");
        stub_put_number(&s->reply, found);
    }
}

/* ---- the checksum of compare-sections ---- */

/* CRC-32 with the polynomial 04c11db7, high bits first, from all ones, not inverted. */
static uint32_t crc_table_entry(uint32_t byte)
{
    uint32_t crc = byte << 24;

    for (int bit = 0; bit < 8; bit++)
        crc = crc << 1 ^ (crc >> 31 ? 0x04c11db7u : 0);
    return crc;
}

void stub_crc_memory(struct gdbstub *s, struct stub_cursor *c)
{
    uint32_t table[256], crc = UINT32_MAX;
    uint64_t address, len;

    if (!stub_read_range(c, &address, &len) || stub_left(c) || len > STUB_SCAN_MAX ||
        clamp(address, len) != len) {
        stub_error(s, STUB_EINVAL);
        return;
    }
    for (uint32_t i = 0; i < 256; i++)
        table[i] = crc_table_entry(i);
    while (len) {
        size_t n = read_up_to(s, address, len, sizeof(s->scratch));

        if (!n) {
            stub_error(s, STUB_EFAULT);
            return;
        }
        for (size_t i = 0; i < n; i++)
            crc = crc << 8 ^ table[crc >> 24 ^ s->scratch[i]];
        address += n;
        len -= n;
    }
    stub_put_text(&s->reply, "C");
    stub_put_number(&s->reply, crc);
}
