/* SPDX-License-Identifier: MIT */
#include "diff_undef.h"

#include <string.h>

#include <emu/cpu.h>
#include <emu/insn.h>

#include "diff_common.h"

void undef_begin(struct undef *u)
{
    u->now = u->after = 0;
    u->last_rip = UINT64_MAX;
    u->insns = 0;
    u->cut_rip = UINT64_MAX;
    memset(u->ids_seen, 0, sizeof(u->ids_seen));
}

static unsigned width_of(const struct insn *in)
{
    return 8u << in->opsize;
}

/* Count of a shift or rotate, masked as the CPU masks it. */
static unsigned shift_count(const struct insn *in, const struct cpu *cpu)
{
    bool by_cl = in->form == FORM_RM_CL || in->form == FORM_RM_R_CL;
    uint64_t count = by_cl ? cpu->regs[REG_RCX] : in->imm;

    return (unsigned)count & (in->opsize == OPSIZE_64 ? 63 : 31);
}

static uint32_t after_rotate(const struct insn *in, unsigned count, uint32_t now)
{
    bool through_carry = in->id == INSN_RCL || in->id == INSN_RCR;

    if (count == 0)
        return now;
    if (!through_carry || count % (width_of(in) + 1) != 0)
        now &= ~FL_CF;
    return count == 1 ? now & ~FL_OF : now | FL_OF;
}

static uint32_t after_shift(const struct insn *in, unsigned count, uint32_t now)
{
    bool cf_lost = in->id != INSN_SAR && count >= width_of(in);

    if (in->id == INSN_SHLD || in->id == INSN_SHRD)
        cf_lost = false; /* larger counts are refused */
    if (count == 0)
        return now;
    return FL_AF | (count == 1 ? 0 : FL_OF) | (cf_lost ? FL_CF : 0);
}

static uint32_t after_insn(const struct insn *in, const struct cpu *cpu, uint32_t now)
{
    const struct insn_info *info = &insn_info[in->id];

    switch (in->id) {
    case INSN_ROL:
    case INSN_ROR:
    case INSN_RCL:
    case INSN_RCR: return after_rotate(in, shift_count(in, cpu), now);
    case INSN_SHL:
    case INSN_SHR:
    case INSN_SAR:
    case INSN_SHLD:
    case INSN_SHRD: return after_shift(in, shift_count(in, cpu), now);
    default: return (now & ~(uint32_t)info->flags_written) | info->flags_undef;
    }
}

/* The GDT of Linux has a segment of its own at 78h, that user mode can load. */
static bool loads_linux_segment(const struct undef *u, const struct insn *in, const struct cpu *cpu)
{
    uint8_t top[2] = {0, 0};
    uint64_t selector = cpu->regs[in->rm & 15];

    if (in->id == INSN_POP_SREG) {
        u->peek(u->opaque, cpu->regs[REG_RSP], top, sizeof(top));
        selector = top[0] | (uint64_t)top[1] << 8;
    }
    return (selector & 0xfffc) == 0x78;
}

/* With 66h in 64-bit mode AMD cuts RIP to 16 bits, Intel ignores the prefix. */
static bool is_short_near_branch(const struct insn *in, const struct cpu *cpu)
{
    bool is_near = in->form == FORM_REL || in->id == INSN_RET ||
                   ((in->id == INSN_JMP || in->id == INSN_CALL) && in->form == FORM_RM);

    return is_near && (in->flags & INSN_OPSZ) && cpu_code_size(cpu) == CODE_64;
}

static bool result_is_undefined(const struct undef *u, const struct insn *in, const struct cpu *cpu)
{
    if (is_short_near_branch(in, cpu))
        return true;
    switch (in->id) {
    case INSN_SHLD:
    case INSN_SHRD: return shift_count(in, cpu) > width_of(in);
    case INSN_BSWAP: return in->opsize == OPSIZE_16;
    case INSN_PUSH_SREG: /* of 32 bits AMD writes all, Intel the low half */
        return in->opsize == OPSIZE_32;
    case INSN_POP_SREG: /* of 32 bits AMD reads all */
        return (in->opsize == OPSIZE_32 && (cpu->regs[REG_RSP] & 3)) ||
               loads_linux_segment(u, in, cpu);
    case INSN_MOV_TO_SREG: return loads_linux_segment(u, in, cpu);
    case INSN_MOVS:
    case INSN_STOS: /* over itself: hardware notices after an unknown number of iterations */
        return (uint32_t)cpu->regs[REG_RDI] - (CODE_VA - 64) < CODE_BYTES + 64;
    default: return false;
    }
}

/* A repeated comparison with a count of zero leaves the flags alone. */
static bool does_nothing(const struct insn *in, const struct cpu *cpu)
{
    uint64_t mask = in->addrsize == OPSIZE_64   ? UINT64_MAX
                    : in->addrsize == OPSIZE_32 ? UINT32_MAX
                                                : UINT16_MAX;

    return (insn_info[in->id].attrs & IA_STRING) && (in->flags & (INSN_REP | INSN_REPNE)) &&
           (cpu->regs[REG_RCX] & mask) == 0;
}

bool undef_step(struct undef *u, const struct cpu *cpu)
{
    uint8_t bytes[UNDEF_MAX_BYTES];
    struct insn in;
    unsigned n;

    u->now = u->after;
    n = u->peek(u->opaque, cpu->rip, bytes, sizeof(bytes));
    if (n == 0 || insn_decode(bytes, n, cpu_code_size(cpu), &in) != DECODE_OK)
        return true; /* it will fault */
    if ((insn_info[in.id].flags_read & u->now) || result_is_undefined(u, &in, cpu)) {
        u->cut_rip = cpu->rip;
        return false;
    }
    if (!does_nothing(&in, cpu))
        u->after = after_insn(&in, cpu, u->now);
    if (cpu->rip != u->last_rip)
        u->insns++;
    u->last_rip = cpu->rip;
    u->ids_seen[(in.id & 1023) >> 6] |= 1ULL << (in.id & 63);
    return true;
}
