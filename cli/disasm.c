/* SPDX-License-Identifier: MIT */
/* Code in words: disasm.h. */
#include "disasm.h"

#include <stdio.h>

#include <Zydis/Zydis.h>

size_t disasm(unsigned bits, uint64_t rip, const uint8_t *bytes, size_t len, char out[DISASM_TEXT])
{
    ZydisMachineMode mode = bits == 64   ? ZYDIS_MACHINE_MODE_LONG_64
                            : bits == 32 ? ZYDIS_MACHINE_MODE_LEGACY_32
                                         : ZYDIS_MACHINE_MODE_LEGACY_16;
    ZydisDisassembledInstruction insn;

    if (!ZYAN_SUCCESS(ZydisDisassembleIntel(mode, rip, bytes, len, &insn))) {
        snprintf(out, DISASM_TEXT, "(no instruction)");
        return 0;
    }
    snprintf(out, DISASM_TEXT, "%s", insn.text);
    return insn.info.length;
}
