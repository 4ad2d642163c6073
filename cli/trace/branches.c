/* SPDX-License-Identifier: MIT */
/* Calls and jumps in the guest's code: branches.h. By Zydis, as all that is shown of code. */
#include "branches.h"

#include <stdlib.h>

#include <Zydis/Zydis.h>

#define MAX_CALL     8u           /* bytes of a CALL */
#define MAX_CODE     (64u << 10)  /* of a function that is looked at */
#define CODE_GUESSED 4096u        /* where its size is not known */

static void init_decoder(const struct cpu *cpu, ZydisDecoder *decoder)
{
    switch (cpu_code_size(cpu)) {
    case CODE_64: ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64); break;
    case CODE_32: ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32); break;
    default: ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16); break;
    }
}

/* A decoded branch: how long, of which kind, and where it leads if its code says so. */
struct branch {
    size_t len;  /* 0: no instruction */
    bool call, jump, direct;
    uint64_t to; /* cut to the width of the code's addresses */
};

static struct branch decode(const ZydisDecoder *decoder, const uint8_t *code, size_t len, uint64_t at)
{
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    struct branch b = {0};
    ZyanU64 to = 0;

    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, code, len, &insn, operands)))
        return b;
    b.len = insn.length;
    b.call = insn.meta.category == ZYDIS_CATEGORY_CALL;
    b.jump = insn.meta.category == ZYDIS_CATEGORY_COND_BR || insn.meta.category == ZYDIS_CATEGORY_UNCOND_BR;
    b.direct = (b.call || b.jump) && operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
               ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&insn, &operands[0], at, &to));
    b.to = to;
    return b;
}

static bool leads_to(const struct cpu *cpu, const struct branch *b, uint64_t target)
{
    uint64_t difference = b->to ^ target;

    switch (cpu_code_size(cpu)) {
    case CODE_64: return b->direct && difference == 0;
    case CODE_32: return b->direct && (uint32_t)difference == 0;
    default: return b->direct && (uint16_t)difference == 0;
    }
}

/* Whether a CALL ends right before `ret`; with `target`, one whose code says that it leads there. */
static bool find_call(const struct cpu *cpu, uint64_t ret, const uint64_t *target)
{
    static const uint8_t lengths[] = {5, 2, 3, 6, 7, 4, 8}; /* the frequent ones first */
    uint8_t code[MAX_CALL];
    ZydisDecoder decoder;

    init_decoder(cpu, &decoder);
    for (size_t i = 0; i < sizeof(lengths); i++) {
        size_t len = lengths[i];
        struct branch b;

        if (cpu_peek(cpu, ret - len, code, len) != len)
            continue;
        b = decode(&decoder, code, len, ret - len);
        if (b.len == len && b.call && (target == NULL || leads_to(cpu, &b, *target)))
            return true;
    }
    return false;
}

bool is_call_before(const struct cpu *cpu, uint64_t ret)
{
    return find_call(cpu, ret, NULL);
}

bool is_called_before(const struct cpu *cpu, uint64_t ret, uint64_t target)
{
    return find_call(cpu, ret, &target);
}

bool leads_to_itself(const struct cpu *cpu, uint64_t address, uint64_t size)
{
    size_t room = size != 0 && size < MAX_CODE ? (size_t)size : CODE_GUESSED, len;
    uint8_t *code = malloc(room);
    bool answer = false;
    ZydisDecoder decoder;
    struct branch b;

    if (code == NULL)
        return false;
    len = cpu_peek(cpu, address, code, room);
    init_decoder(cpu, &decoder);
    for (size_t at = 0; at < len && !answer; at += b.len) {
        b = decode(&decoder, code + at, len - at, address + at);
        answer = b.jump && leads_to(cpu, &b, address);
        if (b.len == 0)
            break;
    }
    free(code);
    return answer;
}
