/* SPDX-License-Identifier: MIT */
/*
 * Encodings that nobody chose: prefixes in any number and order, any opcode of the four maps, any ModRM byte; and
 * instructions of the other sets with a byte changed, a bit flipped, or prefixes in front. So #UD, the rules of LOCK
 * and the limit of 15 bytes are compared where no table of the generator's thought of them.
 *
 * The decoder says where an encoding ends, so that the next one starts there; nothing else here asks it. What must not
 * reach a host, or is its own, is cut before it is executed (diff_encoding.c).
 */
#include "gen_internal.h"

#include <string.h>

static const uint8_t prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x26, 0x2e, 0x36, 0x3e, 0x65};

static uint8_t any_byte(struct gen *g)
{
    return (uint8_t)rnd(g, 256);
}

static uint8_t any_prefix(struct gen *g)
{
    return prefixes[rnd(g, sizeof(prefixes))];
}

static unsigned put_prefixes(struct gen *g, uint8_t *bytes)
{
    unsigned n = 0, count = chance(g, 55) ? 0 : chance(g, 96) ? 1 + rnd(g, 3) : 10 + rnd(g, 6);

    while (n < count)
        bytes[n++] = any_prefix(g);
    if (g->is64 && chance(g, 30))
        bytes[n++] = (uint8_t)(0x40 | rnd(g, 16));
    return n;
}

static unsigned put_opcode(struct gen *g, uint8_t *bytes)
{
    uint32_t r = rnd(g, 100);
    unsigned n = 0;

    if (r >= 45)
        bytes[n++] = 0x0f;
    if (r >= 80)
        bytes[n++] = r < 90 ? 0x38 : 0x3a;
    bytes[n++] = any_byte(g);
    return n;
}

/* Most often memory that is there, by one of the registers that point to it. */
static unsigned put_modrm(struct gen *g, uint8_t *bytes)
{
    unsigned base = g->pointers & 0xef ? (unsigned)__builtin_ctz(g->pointers & 0xef) : 0;

    if (chance(g, 50)) {
        bytes[0] = any_byte(g);
        return 1;
    }
    bytes[0] = (uint8_t)(0x40 | rnd(g, 8) << 3 | base);
    bytes[1] = (uint8_t)(rnd(g, 256) & (chance(g, 50) ? 0xf0 : 0xff));
    return 2;
}

/* At least one byte, at most all. */
static unsigned length_of(const struct gen *g, const uint8_t *bytes, unsigned n)
{
    struct insn in;

    insn_decode(bytes, n, g->is64 ? CODE_64 : CODE_32, &in);
    return in.len == 0 ? 1 : in.len < n ? in.len : n;
}

static void random_encoding(struct gen *g)
{
    uint8_t bytes[64];
    unsigned n = put_prefixes(g, bytes);

    n += put_opcode(g, bytes + n);
    n += put_modrm(g, bytes + n);
    for (unsigned end = n + 12; n < end; n++)
        bytes[n] = any_byte(g);
    gen_emit_bytes(g, bytes, length_of(g, bytes, n));
}

static void change(struct gen *g, struct gen_item *item)
{
    unsigned at = rnd(g, item->len < 5 ? item->len : 5);

    switch (rnd(g, 4)) {
    case 0: item->bytes[at] = any_byte(g); break;
    case 1: item->bytes[at] ^= (uint8_t)(1u << rnd(g, 8)); break;
    default:
        memmove(item->bytes + 1, item->bytes, item->len);
        item->bytes[0] = any_prefix(g);
        item->len++;
        break;
    }
}

static void changed_instruction(struct gen *g)
{
    unsigned from = g->p->n, times = 1 + rnd(g, chance(g, 90) ? 2 : 8);

    switch (rnd(g, 3)) {
    case 0: gen_integer(g); break;
    case 1: gen_simd(g); break;
    default: gen_x87(g); break;
    }
    for (; from < g->p->n; from++)
        for (unsigned i = 0; i < times && g->p->items[from].fix == FIX_NONE; i++)
            change(g, &g->p->items[from]);
}

void gen_bytes(struct gen *g)
{
    if (chance(g, 50))
        random_encoding(g);
    else
        changed_instruction(g);
}
