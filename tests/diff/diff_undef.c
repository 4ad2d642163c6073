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
    u->pending = false;
    u->pointers_known = u->pointers_loaded = false;
    u->last_id = INSN_INVALID;
    memset(u->pointers, 0, sizeof(u->pointers));
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
    return (now & UNDEF_C1) | FL_AF | (count == 1 ? 0 : FL_OF) | (cf_lost ? FL_CF : 0);
}

/* C1 after FCOMI and theirs: Intel clears it (SDM vol. 2), an AMD leaves it. Anything that writes a
 * result defines it again. */
static uint32_t after_x87(const struct insn *in, uint32_t now)
{
    if (in->id >= INSN_FCOMI && in->id <= INSN_FUCOMIP)
        return now | UNDEF_C1;
    if (in->id == INSN_FNINIT || in->id == INSN_FLDENV || in->id == INSN_FRSTOR ||
        in->id == INSN_FXRSTOR || (in->id >= INSN_FADD && in->id <= INSN_FUCOMPP))
        return now & ~UNDEF_C1;
    return now;
}

static bool is_xsave(unsigned id)
{
    return id >= INSN_XSAVE && id <= INSN_XSAVEC;
}

/* What stores the status word. */
static uint32_t x87_reads(const struct insn *in)
{
    return in->id == INSN_FNSTSW || in->id == INSN_FNSTENV || in->id == INSN_FNSAVE ||
                   in->id == INSN_FXSAVE || is_xsave(in->id)
               ? UNDEF_C1 : 0;
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
    default: return (after_x87(in, now) & ~(uint32_t)info->flags_written) | info->flags_undef;
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

static uint64_t reg_or_zero(const struct cpu *cpu, unsigned reg)
{
    return reg < REG_NONE ? cpu->regs[reg] : 0;
}

uint64_t undef_linear(const struct insn *in, const struct cpu *cpu)
{
    uint64_t base = in->base == REG_RIP ? cpu->rip + in->len : reg_or_zero(cpu, in->base);
    uint64_t offset = base + (reg_or_zero(cpu, in->index) << in->scale) + (uint64_t)(int64_t)in->disp;

    if (in->addrsize == OPSIZE_32)
        offset = (uint32_t)offset;
    else if (in->addrsize == OPSIZE_16)
        offset = (uint16_t)offset;
    return offset + (in->seg == SEG_GS ? GS_BASE : 0);
}

/* Whether masked bytes are accessed, as far as faults can tell, is the makers' choice (SDM vol. 2,
 * MASKMOVDQU): an AMD always faults, Intel's with a mask of zeros need not. */
static bool is_partial_store(const struct insn *in, const struct cpu *cpu)
{
    uint64_t rdi = cpu->regs[REG_RDI], bytes = in->id == INSN_MASKMOVQ ? 8 : 16;

    if (in->addrsize != OPSIZE_64)
        rdi &= in->addrsize == OPSIZE_32 ? UINT32_MAX : UINT16_MAX;
    if (cpu_code_size(cpu) != CODE_64 && (in->seg == SEG_CS || in->seg == SEG_GS))
        return true;
    rdi += in->seg == SEG_GS ? GS_BASE : 0;
    if ((cpu->rflags & RFLAGS_AC) && (rdi & (bytes - 1)) != 0)
        return true;
    return !(rdi - DATA_VA <= DATA_BYTES - bytes || rdi - STACK_VA <= STACK_BYTES - bytes);
}

/* Whether AC wants 16-byte operands that need no alignment aligned to 8 or 16 bytes, or at all, is the
 * makers' choice (SDM vol. 2, MOVUPS). */
static bool is_loosely_aligned(const struct insn *in, const struct cpu *cpu)
{
    unsigned attrs = insn_info[in->id].attrs;
    bool stores = in->id == INSN_MASKMOVDQU;
    uint64_t va = stores ? cpu->regs[REG_RDI] : undef_linear(in, cpu);

    return (cpu->rflags & RFLAGS_AC) && (attrs & IA_SSE) && !(attrs & IA_ALIGN16) &&
           (stores || ((in->flags & INSN_MEM) && in->opsize == OPSIZE_128)) && (va & 15) == 8;
}

/* Bit 17 of MXCSR is AMD's (misaligned operands are allowed); for Intel it is reserved, #GP. */
static bool loads_amd_mxcsr(const struct undef *u, const struct insn *in, const struct cpu *cpu)
{
    uint64_t va = undef_linear(in, cpu) + (in->id == INSN_LDMXCSR ? 0 : FX_MXCSR);
    uint8_t bytes[4] = {0};

    u->peek(u->opaque, va, bytes, sizeof(bytes));
    return (bytes[2] & 2) != 0;
}

static uint64_t area_field(const struct undef *u, uint64_t area, unsigned at)
{
    uint64_t v = 0;

    u->peek(u->opaque, area + at, (uint8_t *)&v, sizeof(v));
    return v;
}

/* Whether a host's answer depends on components that the model does not have, or on which bytes of an area are
 * accessed: for XRSTOR bit 17 of MXCSR besides. */
static bool is_other_area(const struct undef *u, const struct insn *in, const struct cpu *cpu)
{
    uint64_t area = undef_linear(in, cpu), named = cpu->regs[REG_RDX] << 32 | (uint32_t)cpu->regs[REG_RAX];
    uint8_t bytes[XSAVE_AREA];
    unsigned n = u->peek(u->opaque, area, bytes, sizeof(bytes));
    bool is_mixed = (n != 0 && n != sizeof(bytes)) || (n != 0 && (RO_VA - area < sizeof(bytes) && area < RO_VA));

    if (in->id == INSN_XRSTOR) {
        named |= area_field(u, area, XSAVE_BV) | area_field(u, area, XSAVE_COMP);
        is_mixed |= loads_amd_mxcsr(u, in, cpu);
    } else if ((named & XCR0_SSE) && !(fpu_xinuse(&cpu->fpu, cpu_code_size(cpu) == CODE_64) & XCR0_SSE)) {
        return true; /* whether XMM registers of zeros are in use is open (SDM vol. 1, 13.6) */
    }
    return is_mixed || (named & HOST_COMPONENTS);
}

static bool result_is_undefined(const struct undef *u, const struct insn *in, const struct cpu *cpu)
{
    if (is_short_near_branch(in, cpu) || is_loosely_aligned(in, cpu))
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
    case INSN_LDMXCSR:
    case INSN_FXRSTOR: return loads_amd_mxcsr(u, in, cpu);
    case INSN_XSAVE:
    case INSN_XSAVEOPT:
    case INSN_XSAVEC:
    case INSN_XRSTOR: return is_other_area(u, in, cpu);
    case INSN_CALL_FAR: /* between 32-bit and 64-bit code an AMD pushes with the stack's width of there, and hung */
        return cpu->regs[REG_RSP] - 16 > UINT32_MAX - 16;
    case INSN_INT1: return true; /* hypervisors change it */
    case INSN_XGETBV: /* XCR0 has the host's components */
        return (uint32_t)cpu->regs[REG_RCX] < 2;
    case INSN_MASKMOVQ:
    case INSN_MASKMOVDQU: return is_partial_store(in, cpu);
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

/* FOP, FIP and FDP in what FNSTENV, FNSAVE and FXSAVE store; in the last the mask of MXCSR too. */
static void note_pointers(struct undef *u, const struct insn *in, const struct cpu *cpu)
{
    switch (in->id) {
    case INSN_FNSTENV:
    case INSN_FNSAVE:
        u->pointers[0].va = undef_linear(in, cpu) + (in->opsize == OPSIZE_16 ? 6 : 12);
        u->pointers[0].len = in->opsize == OPSIZE_16 ? 8 : 16;
        break;
    case INSN_FXSAVE:
    case INSN_XSAVE:
    case INSN_XSAVEOPT:
    case INSN_XSAVEC:
        u->pointers[0] = (struct undef_range){undef_linear(in, cpu) + FX_POINTERS, FX_MXCSR - FX_POINTERS};
        u->pointers[1] = (struct undef_range){undef_linear(in, cpu) + FX_MXCSR_MASK, 4};
        break;
    default: break;
    }
}

/* All makers keep the pointers of an instruction that raises an unmasked exception, for its handler;
 * not of one whose exception another unmasks. An AMD loads none if no exception is pending. */
static void follow_pending(struct undef *u, const struct cpu *cpu)
{
    bool pending = (cpu->fpu.sw & FSW_ES) != 0;

    if (u->last_id == INSN_FLDENV || u->last_id == INSN_FRSTOR || u->last_id == INSN_FXRSTOR ||
        u->last_id == INSN_XRSTOR) {
        u->pointers_loaded = true;
        u->pointers_known = false;
    }
    if (u->last_id != INSN_INVALID && pending && !u->pending)
        u->pointers_known = u->last_id != INSN_FLDCW && !u->pointers_loaded;
    u->pending = pending;
}

bool undef_step(struct undef *u, const struct cpu *cpu)
{
    uint8_t bytes[UNDEF_MAX_BYTES];
    struct insn in;
    bool pointers_stored;
    unsigned n;

    u->now = u->after;
    follow_pending(u, cpu);
    n = u->peek(u->opaque, cpu->rip + cpu->seg[SEG_CS].base, bytes, sizeof(bytes));
    if (n == 0 || insn_decode(bytes, n, cpu_code_size(cpu), &in) != DECODE_OK)
        return true; /* it will fault */
    pointers_stored = u->pointers[0].len != 0;
    note_pointers(u, &in, cpu);
    if (pointers_stored && in.id != INSN_INT3) { /* it could read them */
        u->cut_rip = cpu->rip;
        return false;
    }
    if (((insn_info[in.id].flags_read | x87_reads(&in)) & u->now) || result_is_undefined(u, &in, cpu)) {
        u->cut_rip = cpu->rip;
        return false;
    }
    if (!does_nothing(&in, cpu))
        u->after = after_insn(&in, cpu, u->now);
    if (cpu->rip != u->last_rip)
        u->insns++;
    u->last_rip = cpu->rip;
    u->last_id = in.id;
    u->ids_seen[(in.id & 1023) >> 6] |= 1ULL << (in.id & 63);
    return true;
}
