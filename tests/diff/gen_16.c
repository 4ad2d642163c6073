/* SPDX-License-Identifier: MIT */
/*
 * 32-bit programs as 16-bit code: the prefixes 66h and 67h are there where they were not, and gone
 * where they were (SDM vol. 1, 3.6), so that every instruction has the sizes that it had. 66h stays
 * as it is where it selects the instruction, by being there or not.
 *
 * Left out: branches that show an address of the code, as CALL; what shows or changes CS. A program ends
 * after what stores the x87's pointers, which are addresses of the code.
 */
#include "gen_internal.h"

#include <string.h>

bool gen_is_prefix(uint8_t b)
{
    return b == 0x26 || b == 0x2e || b == 0x36 || b == 0x3e || (b >= 0x64 && b <= 0x67) || b == 0xf0 ||
           b == 0xf2 || b == 0xf3;
}

bool gen_toggle_prefix(struct gen_item *item, uint8_t prefix)
{
    unsigned i;

    for (i = 0; i < item->len && gen_is_prefix(item->bytes[i]); i++)
        if (item->bytes[i] == prefix) {
            item->len--;
            item->fix_at--;
            memmove(item->bytes + i, item->bytes + i + 1, item->len - i);
            return true;
        }
    if (item->len >= INSN_MAX_LEN)
        return false;
    memmove(item->bytes + 1, item->bytes, item->len);
    item->bytes[0] = prefix;
    item->len++;
    item->fix_at++;
    return true;
}

bool gen_shows_cs(const struct insn *in)
{
    if ((in->flags & INSN_SEG) && in->seg == SEG_CS)
        return true;
    return (in->id == INSN_MOV_FROM_SREG || in->id == INSN_PUSH_SREG) && in->reg == SEG_CS;
}

/* Near, without a return address, and not too far for the longer code. */
static bool is_jump(const struct gen_item *item, const struct insn *in, unsigned index)
{
    unsigned distance = item->target > index ? item->target - index : index - item->target;

    if (item->fix != FIX_REL32 && (item->fix != FIX_REL8 || distance > 7))
        return false;
    return (in->id >= INSN_JO && in->id <= INSN_JNLE) || in->id == INSN_JMP || in->id == INSN_LOOP ||
           in->id == INSN_LOOPE || in->id == INSN_LOOPNE || in->id == INSN_JCXZ;
}

static bool is_left_out(const struct gen_item *item, const struct insn *in, unsigned index)
{
    if (is_jump(item, in, index))
        return false;
    return item->fix != FIX_NONE || gen_shows_cs(in) ||
           ((insn_info[in->id].attrs & (IA_BRANCH | IA_SERIAL)) != 0 && in->id != INSN_FXRSTOR &&
            in->id != INSN_XRSTOR);
}

bool gen_stores_pointers(unsigned id)
{
    return id == INSN_FNSTENV || id == INSN_FNSAVE || id == INSN_FXSAVE || id == INSN_XSAVE || id == INSN_XSAVEOPT ||
           id == INSN_XSAVEC;
}

static bool convert_item(struct gen_item *item, const struct insn *in)
{
    bool selects = (insn_info[in->id].attrs & (IA_MMX | IA_SSE)) != 0 || in->id == INSN_MOVNTI ||
                   in->id == INSN_CLFLUSH || in->id == INSN_LFENCE || in->id == INSN_MFENCE ||
                   in->id == INSN_SFENCE || in->id == INSN_XGETBV;

    return gen_toggle_prefix(item, 0x67) && (selects || gen_toggle_prefix(item, 0x66));
}

void gen_to_16(struct gen_program *p32, struct gen_program *p16)
{
    unsigned i;

    p32->start = 0x100;
    *p16 = *p32;
    p16->bits = 16;
    for (i = 0; i < p32->n; i++) {
        struct gen_item *item = &p16->items[i];
        struct insn in;
        bool ok = insn_decode(item->bytes, item->len, CODE_32, &in) == DECODE_OK &&
                  in.len == item->len && !is_left_out(item, &in, i) && convert_item(item, &in);

        item->dropped = p32->items[i].dropped = !ok;
        if (ok && gen_stores_pointers(in.id))
            break;
    }
    if (i < p32->n)
        p32->n = p16->n = i + 1;
}
