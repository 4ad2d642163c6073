/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the instruction decoder: the first byte is the code size, the rest is code.
 *
 * Each length of the input is decoded from a block of just that size, so that AddressSanitizer sees
 * a read past it. What must hold: a length that is not DECODE_MORE decides for all longer ones; an
 * instruction of len bytes decodes from just these, and from fewer asks for more; no field is out
 * of range; and Zydis says the same of the whole input, up to the differences that have a reason.
 */
#include <stdlib.h>
#include <string.h>

#include "zydis_compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_BYTES 20

static void require(bool condition)
{
    if (!condition)
        abort();
}

static enum decode_status decode_exact(const uint8_t *code, size_t n, enum code_size mode,
                                       struct insn *out)
{
    uint8_t *copy = malloc(n ? n : 1);
    enum decode_status status;

    require(copy != NULL);
    memcpy(copy, code, n);
    memset(out, 0xa5, sizeof(*out)); /* every field must be set */
    status = insn_decode(n ? copy : copy + 1, n, mode, out);
    free(copy);
    require(out->len <= n && out->len <= INSN_MAX_LEN);
    return status;
}

static void check_fields(const struct insn *in)
{
    const uint8_t known = INSN_MEM | INSN_LOCK | INSN_REP | INSN_REPNE | INSN_SEG | INSN_OPSZ;

    require(in->id > INSN_INVALID && in->id < INSN_COUNT);
    require(in->form < FORM_COUNT);
    require(in->opsize <= OPSIZE_128);
    require(in->addrsize >= OPSIZE_16 && in->addrsize <= OPSIZE_64);
    require(in->reg < 20 && in->rm < 20);
    require(in->base <= REG_RIP && in->index <= REG_NONE);
    require(in->seg <= SEG_GS);
    require((in->flags & ~known) == 0);
    require(!(in->flags & INSN_LOCK) || (in->flags & INSN_MEM));
}

static void check_with_zydis(const uint8_t *data, size_t n, enum code_size mode)
{
    static ZydisDecoder decoders[3];
    static bool ready;
    struct pair pair;
    uint32_t diffs;

    if (!ready)
        pair_init_decoders(decoders);
    ready = true;
    pair_decode(decoders, data, n, mode, &pair);
    diffs = pair_compare(&pair);
    if (diffs == 1u << ONLY_ZYDIS && pair_isa_missing(&pair))
        return;
    require(pair_explain(&pair, diffs) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct insn first, in;
    enum decode_status decided = DECODE_MORE;
    enum code_size mode;

    if (size == 0)
        return 0;
    mode = (enum code_size)(data[0] % 3);
    data++;
    size = size - 1 < MAX_BYTES ? size - 1 : MAX_BYTES;
    for (size_t n = 0; n <= size; n++) {
        enum decode_status status = decode_exact(data, n, mode, &in);
        if (decided != DECODE_MORE) {
            require(status == decided && in.len == first.len);
            require(memcmp(&in, &first, sizeof(in)) == 0);
        } else if (status != DECODE_MORE) {
            decided = status;
            first = in;
            if (status == DECODE_OK) {
                require(in.len == n);
                check_fields(&in);
            }
        }
    }
    check_with_zydis(data, size, mode);
    return 0;
}
