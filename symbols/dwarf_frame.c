/* SPDX-License-Identifier: MIT */
/* Writing pieces of .debug_frame sections: dwarf_frame_internal.h. */
#include "dwarf_frame_internal.h"

void dwarf_uleb(struct bytes *b, uint64_t n)
{
    do {
        bytes_append_byte(b, (uint8_t)((n & 0x7f) | (n > 0x7f ? 0x80 : 0)));
        n >>= 7;
    } while (n != 0);
}

void dwarf_sleb(struct bytes *b, int64_t n)
{
    bool more = true;

    while (more) {
        uint8_t low = (uint8_t)(n & 0x7f);

        n = (n - low) / 128;
        more = !((n == 0 && (low & 0x40) == 0) || (n == -1 && (low & 0x40) != 0));
        bytes_append_byte(b, more ? low | 0x80 : low);
    }
}

void dwarf_word(struct bytes *b, uint64_t value, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        bytes_append_byte(b, (uint8_t)(value >> 8 * i));
}

size_t dwarf_begin_entry(struct bytes *b)
{
    size_t at = b->len;

    dwarf_word(b, 0, 4);
    return at;
}

void dwarf_end_entry(struct bytes *b, size_t at, unsigned align)
{
    size_t len;

    while ((b->len - at) % align != 0)
        bytes_append_byte(b, 0); /* DW_CFA_nop */
    len = b->len - at - 4;
    for (unsigned i = 0; i < 4 && !b->failed; i++)
        b->data[at + i] = (uint8_t)(len >> 8 * i);
}

void dwarf_advance(struct bytes *b, uint64_t delta)
{
    if (delta < 0x40) {
        bytes_append_byte(b, (uint8_t)(CFA_ADVANCE_LOC | delta));
    } else if (delta < 0x100) {
        bytes_append_byte(b, CFA_ADVANCE_LOC1);
        dwarf_word(b, delta, 1);
    } else if (delta < 0x10000) {
        bytes_append_byte(b, CFA_ADVANCE_LOC2);
        dwarf_word(b, delta, 2);
    } else {
        bytes_append_byte(b, CFA_ADVANCE_LOC4);
        dwarf_word(b, delta, 4);
    }
}

void dwarf_saved(struct bytes *b, unsigned reg, unsigned words)
{
    if (reg < 0x40) {
        bytes_append_byte(b, (uint8_t)(CFA_OFFSET | reg));
    } else {
        bytes_append_byte(b, CFA_OFFSET_EXTENDED);
        dwarf_uleb(b, reg);
    }
    dwarf_uleb(b, words);
}

void dwarf_rule(struct bytes *b, uint8_t op, unsigned reg)
{
    bytes_append_byte(b, op);
    dwarf_uleb(b, reg);
}

void dwarf_breg(struct bytes *b, unsigned reg, int offset)
{
    bytes_append_byte(b, (uint8_t)(OP_BREG0 + reg));
    dwarf_sleb(b, offset);
}

void dwarf_append_block(struct bytes *b, const struct bytes *block)
{
    dwarf_uleb(b, block->len);
    bytes_append(b, block->data, block->len);
    b->failed |= block->failed;
}
