/* SPDX-License-Identifier: MIT */
#include "fake_guest.h"

#include <stdio.h>
#include <string.h>

size_t fake_guest_read(void *user, uint64_t gva, void *out, size_t len)
{
    struct fake_guest *g = user;

    g->reads++;
    if (gva < g->base || gva - g->base >= g->len)
        return 0;
    if (len > g->len - (size_t)(gva - g->base))
        len = g->len - (size_t)(gva - g->base);
    memcpy(out, g->bytes + (gva - g->base), len);
    return len;
}

struct symbols_memory fake_guest_memory(struct fake_guest *g)
{
    return (struct symbols_memory){.read = fake_guest_read, .user = g};
}

void fake_guest_put(struct fake_guest *g, size_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        g->bytes[(*at)++] = (uint8_t)(value >> 8 * i);
}

void fake_guest_align(size_t *at, size_t to)
{
    *at = (*at + to - 1) / to * to;
}

/* --- kallsyms --- */

#define ABSOLUTE 10u /* so many symbols, with absolute_percpu */

/* Bytes that a name can hold stand for themselves, so that names are their own compressed form;
 * the others are pairs of letters. */
static void put_tokens(struct fake_guest *g, size_t *at, struct fake_kallsyms *k)
{
    uint16_t index[256];

    k->token_table = *at;
    for (unsigned i = 0; i < 256; i++) {
        index[i] = (uint16_t)(*at - k->token_table);
        if ((i >= '0' && i <= '9') || (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z') || i == '_')
            fake_guest_put(g, at, i, 1);
        else
            fake_guest_put(g, at, ('a' + i % 26) | ('b' + i % 7) << 8, 2);
        fake_guest_put(g, at, 0, 1);
    }
    fake_guest_align(at, k->bits32 ? 4 : 8);
    k->token_index = *at;
    for (unsigned i = 0; i < 256; i++)
        fake_guest_put(g, at, index[i], 2);
}

const char *fake_kallsyms_name(const struct fake_kallsyms *k, uint32_t i, char out[512])
{
    uint32_t first = k->absolute_percpu ? ABSOLUTE : 0;

    if (i == first)
        return "_stext";
    if (i == k->long_name && i != 0) {
        memset(out, 'x', 299);
        out[299] = '\0';
    } else {
        snprintf(out, 512, "symbol_%u", i);
    }
    return out;
}

uint64_t fake_kallsyms_address(const struct fake_guest *g, const struct fake_kallsyms *k,
                               uint32_t i)
{
    if (k->absolute_percpu && i < ABSOLUTE)
        return i * 0x100;
    return g->base + 16 * (uint64_t)(i - (k->absolute_percpu ? ABSOLUTE : 0));
}

static void put_names(struct fake_guest *g, size_t *at, struct fake_kallsyms *k)
{
    size_t align = k->bits32 ? 4 : 8;
    uint32_t marks[4096];

    k->num_syms = *at;
    fake_guest_put(g, at, k->count, 4);
    fake_guest_align(at, align);
    k->names = *at;
    for (uint32_t i = 0; i < k->count; i++) {
        char room[512];
        const char *name = fake_kallsyms_name(k, i, room);
        size_t len = strlen(name) + 1;

        if (i % 256 == 0)
            marks[i / 256] = (uint32_t)(*at - k->names);
        if (len >= 0x80)
            fake_guest_put(g, at, (len & 0x7f) | 0x80 | len >> 7 << 8, 2);
        else
            fake_guest_put(g, at, len, 1);
        fake_guest_put(g, at, k->absolute_percpu && i < ABSOLUTE ? 'A' : i % 2 ? 't' : 'T', 1);
        memcpy(g->bytes + *at, name, len - 1);
        *at += len - 1;
    }
    fake_guest_align(at, align);
    k->markers = *at;
    for (uint32_t i = 0; i < (k->count + 255) / 256; i++)
        fake_guest_put(g, at, marks[i], 4);
    fake_guest_align(at, align);
    for (uint32_t i = 0; k->seqs && i < k->count; i++)
        fake_guest_put(g, at, (i * 7919) % k->count, 3);
    fake_guest_align(at, align);
}

static void put_offsets(struct fake_guest *g, size_t *at, struct fake_kallsyms *k)
{
    unsigned word = k->bits32 ? 4 : 8;

    k->offsets = *at;
    for (uint32_t i = 0; i < k->count; i++) {
        uint64_t address = fake_kallsyms_address(g, k, i);

        if (k->plain_addresses)
            fake_guest_put(g, at, address, word);
        else if (!k->absolute_percpu)
            fake_guest_put(g, at, address - g->base, 4);
        else
            fake_guest_put(g, at, i < ABSOLUTE ? address : g->base - 1 - address, 4);
    }
    fake_guest_align(at, word);
    if (!k->plain_addresses) {
        k->relative_base = *at;
        fake_guest_put(g, at, g->base, word);
    }
}

void fake_kallsyms_write(struct fake_guest *g, size_t at, struct fake_kallsyms *k)
{
    if (!k->offsets_last)
        put_offsets(g, &at, k);
    put_names(g, &at, k);
    put_tokens(g, &at, k);
    if (k->offsets_last)
        put_offsets(g, &at, k);
}
