/* SPDX-License-Identifier: MIT */
#include "diff_encoding.h"

#include <Zydis/Zydis.h>

#include <emu/cpu.h>
#include <emu/insn.h>

#include "gen.h"

/* System calls, which the child must not make; what depends on the host, or lasts beyond a sequence; descriptors, which
 * are the host's own; what each maker approximates; and FS, whose base is an address in the child. */
static bool is_hosts_own(const struct insn *in)
{
    static const uint16_t own[] = {
        INSN_SYSCALL, INSN_SYSENTER, INSN_SYSEXIT, INSN_SYSRET, INSN_INT, INSN_CPUID, INSN_RDTSC, INSN_RDTSCP,
        INSN_RDPMC, INSN_RDRAND, INSN_RDSEED, INSN_RDPID, INSN_RDFSBASE, INSN_WRFSBASE, INSN_WRGSBASE, INSN_SGDT,
        INSN_SIDT, INSN_SLDT, INSN_STR, INSN_SMSW, INSN_LAR, INSN_LSL, INSN_VERR, INSN_VERW, INSN_VMCALL,
        INSN_MONITOR, INSN_MWAIT, INSN_INVPCID, INSN_RSM, INSN_JMP_FAR, INSN_CALL_FAR, INSN_RET_FAR, INSN_IRET,
        INSN_LES, INSN_LDS, INSN_LSS, INSN_LFS, INSN_LGS, INSN_MOV_TO_SREG, INSN_POP_SREG, INSN_RCPPS, INSN_RCPSS,
        INSN_RSQRTPS, INSN_RSQRTSS, INSN_F2XM1, INSN_FYL2X, INSN_FYL2XP1, INSN_FPTAN, INSN_FPATAN, INSN_FSIN,
        INSN_FCOS, INSN_FSINCOS,
    };

    for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (in->id == own[i])
            return true;
    return in->seg == SEG_FS;
}

static bool has_prefix(const ZydisDecodedInstruction *in, uint8_t prefix)
{
    for (unsigned i = 0; i < in->raw.prefix_count; i++)
        if (in->raw.prefixes[i].value == prefix)
            return true;
    return false;
}

/* PREFETCHW of a register: NOP for Intel, #UD for AMD. F2h and F3h before LOOPE and LOOPNE, which the manual reserves:
 * an AMD takes the condition from them. */
static bool is_differently_read(const ZydisDecodedInstruction *in)
{
    if (in->opcode_map == ZYDIS_OPCODE_MAP_0F)
        return in->opcode == 0x0d && in->raw.modrm.mod == 3;
    return in->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (in->opcode == 0xe0 || in->opcode == 0xe1) &&
           (has_prefix(in, 0xf2) || has_prefix(in, 0xf3));
}

struct encoding_front encoding_front(const uint8_t *bytes, unsigned n, bool is64)
{
    struct encoding_front f = {0};

    for (; f.n < n && (gen_is_prefix(bytes[f.n]) || (is64 && (bytes[f.n] & 0xf0) == 0x40)); f.n++) {
        f.lock |= bytes[f.n] == 0xf0;
        f.opsize |= bytes[f.n] == 0x66;
    }
    return f;
}

/* LOCK MOV CR0, which for AMD is CR8; the instructions on descriptors with LOCK; 0F 01h with registers, as VMCALL; near
 * branches with 66h in 64-bit code, which are shorter for AMD; the prefixes of VEX and EVEX, and 8Fh as AMD's XOP. */
static bool is_makers_encoding(const uint8_t *bytes, unsigned n, bool is64)
{
    struct encoding_front f = encoding_front(bytes, n, is64);
    unsigned first = f.n < n ? bytes[f.n] : 0, second = f.n + 1 < n ? bytes[f.n + 1] : 0;
    unsigned third = f.n + 2 < n ? bytes[f.n + 2] : 0;

    if ((first == 0xc4 || first == 0xc5 || first == 0x62) && (is64 || second >= 0xc0))
        return true;
    if (first == 0x0f && second == 0x01 && third >= 0xc0)
        return true;
    if (first == 0x0f)
        return (f.lock && (second & 0xfc) == 0x20) || (f.lock && second <= 1) ||
               (f.opsize && is64 && (second & 0xf0) == 0x80);
    return (f.opsize && is64 && (first & 0xfe) == 0xe8) || (first == 0x8f && (second & 0x38) != 0);
}

/* What the model does not know and Zydis does, a host may have; TZCNT and LZCNT are BSF and BSR to the model. */
bool encoding_is_not_for_hosts(const struct cpu *cpu, const uint8_t *bytes, unsigned n)
{
    bool is64 = cpu_code_size(cpu) == CODE_64;
    ZydisDisassembledInstruction known;
    struct insn in;

    if (insn_decode(bytes, n, is64 ? CODE_64 : CODE_32, &in) == DECODE_OK && is_hosts_own(&in))
        return true;
    if (is_makers_encoding(bytes, n, is64))
        return true;
    if (!ZYAN_SUCCESS(ZydisDisassembleIntel(is64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LONG_COMPAT_32,
                                            cpu->rip, bytes, n, &known)))
        return false;
    if (known.info.mnemonic == ZYDIS_MNEMONIC_TZCNT || known.info.mnemonic == ZYDIS_MNEMONIC_LZCNT)
        return true;
    if (is_differently_read(&known.info))
        return true;
    return insn_decode(bytes, n, is64 ? CODE_64 : CODE_32, &in) == DECODE_UNDEFINED;
}
