/* SPDX-License-Identifier: MIT */
/*
 * One instruction by our decoder and by Zydis, and what the two say differently.
 *
 * Zydis knows every instruction set; an instruction of one that the CPU model lacks (by Zydis's
 * meta.isa_ext) is expected to be undefined. Its modes that turn hint NOPs, BSF, BSR and WBINVD
 * into newer instructions are off.
 */
#ifndef TESTS_DIFF_ZYDIS_COMPARE_H
#define TESTS_DIFF_ZYDIS_COMPARE_H

#include <emu/insn.h>
#include <Zydis/Zydis.h>

enum diff_kind {
    ONLY_OURS,   /* we accept what Zydis rejects */
    ONLY_ZYDIS,
    BAD_LENGTH,
    BAD_NAME,
    BAD_COUNT,   /* of operands */
    BAD_REG,
    BAD_MEM,
    BAD_IMM,
    BAD_WIDTH,
    BAD_OPSIZE,
    BAD_ADDRSIZE,
    BAD_PREFIX,
    BAD_FLAGS_READ,
    BAD_FLAGS_WRITTEN,
    BAD_FLAGS_UNDEF,
    DIFF_KINDS
};

/* One decoding by both. */
struct pair {
    const uint8_t *bytes;
    enum code_size mode;
    enum decode_status status;
    struct insn insn;
    ZyanStatus zstatus;
    ZydisDecodedInstruction zinsn;
    ZydisDecodedOperand zops[ZYDIS_MAX_OPERAND_COUNT];
};
/* For the three modes, by enum code_size. */
void pair_init_decoders(ZydisDecoder decoders[3]);
void pair_decode(const ZydisDecoder decoders[3], const uint8_t *bytes, size_t n, enum code_size mode,
                 struct pair *p);

bool pair_zydis_ok(const struct pair *p);
/* Bit set of enum diff_kind. */
uint32_t pair_compare(const struct pair *p);
/* True if the instruction is of a set that the CPU model does not have. */
bool pair_isa_missing(const struct pair *p);
/* What is left of the differences when those are taken out that have a known reason, which is counted. */
uint32_t pair_explain(const struct pair *p, uint32_t diffs);

struct zydis_exception {
    const char *reason;
    uint32_t diffs; /* bits of enum diff_kind that it explains */
    bool (*applies)(const struct pair *p);
    uint64_t count;
};
const struct zydis_exception *zydis_exceptions(size_t *count);

#endif
