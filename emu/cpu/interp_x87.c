/* SPDX-License-Identifier: MIT */
/*
 * x87 in the interpreter, and the instructions that move whole floating-point states: FXSAVE, XSAVE and
 * theirs, LDMXCSR, STMXCSR, XGETBV, XSETBV, FWAIT (Intel SDM vol. 1, 8 and 13; vol. 2).
 *
 * FCS:FIP and FDS:FDP point to the last instruction that x87_is_recorded(), whether it raised an
 * exception or not; FDP keeps its value when that one had no memory operand. FOP stays 0.
 */
#include "simd_engine.h"
#include "x87_internal.h"

#include "system.h"

/* --- may the unit be used? --- */

static _Noreturn void x87_unavailable(struct cpu *cpu, const struct op *op)
{
    cpu->op = op;
    if (cpu->cr0 & (CR0_EM | CR0_TS))
        raise_exception(cpu, EXC_NM);
    raise_x87_error(cpu, op);
}

static inline void x87_check(struct cpu *cpu, const struct op *op, bool waits)
{
    if (unlikely((cpu->cr0 & (CR0_EM | CR0_TS)) != 0 || (waits && x87_pending_exception(&cpu->fpu))))
        x87_unavailable(cpu, op);
}

static struct x87_insn describe(const struct op *op)
{
    /* op->rep holds which form it is: lower_x87() */
    static const uint8_t forms[] = {FORM_NONE, FORM_ST0_STI, FORM_STI_ST0, FORM_STI};

    return (struct x87_insn){.id = op->id, .form = op->mem ? FORM_ST0_M : forms[op->rep],
                             .opsize = op->opsize, .sti = op->rm & 7, .mem = op->mem};
}

static void record(struct cpu *cpu, const struct op *op)
{
    if (!x87_is_recorded(op->id))
        return;
    cpu->fpu.fip = op_rip(cpu, op);
    cpu->fpu.fcs = cpu->seg[SEG_CS].selector;
    if (op->mem) {
        cpu->fpu.fdp = ea_offset(cpu, op);
        cpu->fpu.fds = cpu->seg[op->seg].selector;
    }
}

/* FOP: eleven bits of the opcode, kept for an instruction that left an unmasked exception (SDM vol. 1, 8.1.9.1). */
static OUT_OF_LINE void record_opcode(struct cpu *cpu, const struct op *op)
{
    uint64_t linear = op_rip(cpu, op) + (mode_code_size(cpu->mode) == CODE_64 ? 0 : cpu->seg[SEG_CS].base);
    uint8_t bytes[INSN_MAX_LEN] = {0};
    size_t n = cpu_peek(cpu, mode_code_size(cpu->mode) == CODE_64 ? linear : (uint32_t)linear, bytes, op->len);

    for (size_t i = 0; i + 1 < n; i++)
        if ((bytes[i] & 0xf8) == 0xd8) { /* behind the prefixes */
            cpu->fpu.fop = (uint16_t)((bytes[i] & 7) << 8 | bytes[i + 1]);
            return;
        }
}

static void record_fault(struct cpu *cpu, const struct op *op)
{
    if (unlikely(x87_pending_exception(&cpu->fpu)) && x87_is_recorded(op->id))
        record_opcode(cpu, op);
}

/* --- execution; these may fault and then have changed nothing --- */

static bool condition_of(const struct cpu *cpu, unsigned id)
{
    static const uint8_t cc[] = {2, 4, 6, 10, 3, 5, 7, 11}; /* B E BE P NB NE NBE NP */

    if (id < INSN_FCMOVB || id > INSN_FCMOVNU)
        return false;
    return flags_condition(cpu, cc[id - INSN_FCMOVB]);
}

static OUT_OF_LINE void exec_register(struct cpu *cpu, const struct op *op)
{
    struct x87_insn in = describe(op);
    struct x87_operand none = {0, 0};
    uint32_t eflags;

    x87_check(cpu, op, x87_waits(op->id));
    bool condition = condition_of(cpu, op->id);
    record(cpu, op);
    if (x87_execute(&cpu->fpu, &in, &none, condition, &eflags))
        flags_set(cpu, eflags);
    record_fault(cpu, op);
}

static void load_operand(struct cpu *cpu, const struct op *op, uint64_t linear,
                         struct x87_operand *m)
{
    m->high = 0;
    switch (op->opsize) {
    case OPSIZE_16: m->low = LOAD16(cpu, op, linear); break;
    case OPSIZE_32: m->low = LOAD32(cpu, op, linear); break;
    case OPSIZE_64: m->low = LOAD64(cpu, op, linear); break;
    default:
        m->low = LOAD64(cpu, op, linear);
        m->high = (uint16_t)LOAD16(cpu, op, linear + 8);
        break;
    }
}

static OUT_OF_LINE void exec_load(struct cpu *cpu, const struct op *op, uint64_t linear)
{
    struct x87_insn in = describe(op);
    struct x87_operand m;
    uint32_t eflags;

    load_operand(cpu, op, linear, &m);
    record(cpu, op);
    x87_execute(&cpu->fpu, &in, &m, false, &eflags);
    record_fault(cpu, op);
}

static OUT_OF_LINE void exec_store(struct cpu *cpu, const struct op *op, uint64_t linear)
{
    struct x87_insn in = describe(op);
    struct x87_store s;
    uint8_t bytes[10];

    x87_store(&cpu->fpu, &in, &s);
    switch (s.bytes) {
    case 0: mem_probe_write(cpu, op, linear, x87_operand_bytes(&in)); break;
    case 2: STORE16(cpu, op, linear, s.out.low); break;
    case 4: STORE32(cpu, op, linear, s.out.low); break;
    case 8: STORE64(cpu, op, linear, s.out.low); break;
    default:
        memcpy(bytes, &s.out.low, 8);
        memcpy(bytes + 8, &s.out.high, 2);
        mem_write_bytes(cpu, op, linear, bytes, sizeof(bytes));
        break;
    }
    record(cpu, op);
    x87_store_commit(&cpu->fpu, &s);
    record_fault(cpu, op);
}

static inline unsigned operand_bytes(const struct op *op)
{
    return op->opsize == OPSIZE_128 ? 10 : 1u << op->opsize;
}

HANDLER(x87_register)
{
    exec_register(cpu, op);
    NEXT();
}
/* FNINIT, FNCLEX and FLDCW: what may end an error. */
HANDLER(x87_control)
{
    exec_register(cpu, op);
    x87_error_changed(cpu);
    NEXT();
}
HANDLER(fldcw)
{
    x87_check(cpu, op, true);
    exec_load(cpu, op, ea_any(cpu, op, 2, false));
    x87_error_changed(cpu);
    NEXT();
}
HANDLER(fnstsw_ax)
{
    x87_check(cpu, op, false);
    WR16(REG_RAX, fpu_status_word(&cpu->fpu));
    NEXT();
}
HANDLER(fwait)
{
    const uint64_t wait_bits = CR0_MP | CR0_TS;

    cpu->op = op;
    if ((cpu->cr0 & wait_bits) == wait_bits)
        raise_exception(cpu, EXC_NM);
    if (x87_pending_exception(&cpu->fpu))
        raise_x87_error(cpu, op);
    NEXT();
}
#define X87_MEMORY(ea, ...)                                                                        \
    HANDLER(x87_load_##ea)                                                                         \
    {                                                                                              \
        x87_check(cpu, op, true);                                                                  \
        exec_load(cpu, op, EA_##ea(operand_bytes(op), false));                                     \
        NEXT();                                                                                    \
    }                                                                                              \
    HANDLER(x87_store_##ea)                                                                        \
    {                                                                                              \
        x87_check(cpu, op, x87_waits(op->id));                                                     \
        exec_store(cpu, op, EA_##ea(operand_bytes(op), true));                                     \
        NEXT();                                                                                    \
    }
FOR_EA(X87_MEMORY)

static op_fn *const x87_load_m[] = EA_TABLE(x87_load), *const x87_store_m[] = EA_TABLE(x87_store);

/* --- environments --- */

static bool real_pointers(const struct cpu *cpu)
{
    return !(cpu->cr0 & CR0_PE) || (cpu->rflags & RFLAGS_VM) != 0;
}

/* These are aligned when their words are: 2 or 4 bytes (SDM vol. 3, table 6-7). */
static void write_words(struct cpu *cpu, const struct op *op, uint64_t linear, const uint8_t *image,
                        unsigned bytes, bool size32)
{
    unsigned i, word = size32 ? 4 : 2;
    uint32_t v = 0;

    mem_probe_write_aligned(cpu, op, linear, bytes, word);
    for (i = 0; i < bytes; i += word) {
        memcpy(&v, image + i, word);
        if (size32)
            STORE32(cpu, op, linear + i, v);
        else
            STORE16(cpu, op, linear + i, v);
    }
}

static void read_words(struct cpu *cpu, const struct op *op, uint64_t linear, uint8_t *image,
                       unsigned bytes, bool size32)
{
    unsigned i, word = size32 ? 4 : 2;

    for (i = 0; i < bytes; i += word) {
        uint32_t v = (uint32_t)(size32 ? LOAD32(cpu, op, linear + i) : LOAD16(cpu, op, linear + i));

        memcpy(image + i, &v, word);
    }
}

static OUT_OF_LINE void exec_env_store(struct cpu *cpu, const struct op *op)
{
    bool size32 = op->opsize != OPSIZE_16, save = op->id == INSN_FNSAVE;
    unsigned bytes = save ? (size32 ? FPU_SAVE32_BYTES : FPU_SAVE16_BYTES)
                          : (size32 ? FPU_ENV32_BYTES : FPU_ENV16_BYTES);
    uint8_t image[FPU_SAVE32_BYTES];

    x87_check(cpu, op, false);
    uint64_t linear = ea_any(cpu, op, bytes, true);
    if (save)
        fpu_pack_save(&cpu->fpu, image, size32, real_pointers(cpu));
    else
        fpu_pack_env(&cpu->fpu, image, size32, real_pointers(cpu));
    write_words(cpu, op, linear, image, bytes, size32);
    if (save)
        fpu_init(&cpu->fpu);
    else
        fpu_set_control_word(&cpu->fpu, cpu->fpu.cw | 0x3f);
    x87_error_changed(cpu);
}

static OUT_OF_LINE void exec_env_load(struct cpu *cpu, const struct op *op)
{
    bool size32 = op->opsize != OPSIZE_16, save = op->id == INSN_FRSTOR;
    unsigned bytes = save ? (size32 ? FPU_SAVE32_BYTES : FPU_SAVE16_BYTES)
                          : (size32 ? FPU_ENV32_BYTES : FPU_ENV16_BYTES);
    uint8_t image[FPU_SAVE32_BYTES];

    x87_check(cpu, op, true);
    read_words(cpu, op, ea_any(cpu, op, bytes, false), image, bytes, size32);
    if (save)
        fpu_unpack_save(&cpu->fpu, image, size32, real_pointers(cpu));
    else
        fpu_unpack_env(&cpu->fpu, image, size32, real_pointers(cpu));
    x87_error_changed(cpu);
}

HANDLER(env_store)
{
    exec_env_store(cpu, op);
    NEXT();
}
HANDLER(env_load)
{
    exec_env_load(cpu, op);
    NEXT();
}

/* --- FXSAVE --- */

static uint64_t save_area(struct cpu *cpu, const struct op *op, unsigned bytes, unsigned alignment,
                          bool write)
{
    uint64_t linear = ea_any(cpu, op, bytes, write);

    if (linear & (alignment - 1))
        misaligned(cpu, op);
    return linear;
}

static OUT_OF_LINE void exec_fxsave(struct cpu *cpu, const struct op *op)
{
    bool rex_w = op->opsize == OPSIZE_64, long_mode = mode_code_size(cpu->mode) == CODE_64;
    uint8_t area[FXSAVE_BYTES];

    if (cpu->cr0 & (CR0_EM | CR0_TS))
        x87_unavailable(cpu, op);
    uint64_t linear = save_area(cpu, op, FXSAVE_BYTES, 16, true);
    /* all of it has to be writable, though the end is not written (SDM vol. 2, FXSAVE: m512byte) */
    mem_probe_write(cpu, op, linear, FXSAVE_BYTES);
    fpu_pack_fxsave(&cpu->fpu, area, rex_w, long_mode);
    mem_write_bytes(cpu, op, linear, area, long_mode ? 416 : 288);
}

static OUT_OF_LINE void exec_fxrstor(struct cpu *cpu, const struct op *op)
{
    bool rex_w = op->opsize == OPSIZE_64, long_mode = mode_code_size(cpu->mode) == CODE_64;
    uint8_t area[FXSAVE_BYTES];

    if (cpu->cr0 & (CR0_EM | CR0_TS))
        x87_unavailable(cpu, op);
    mem_read_bytes(cpu, op, save_area(cpu, op, FXSAVE_BYTES, 16, false), area, FXSAVE_BYTES);
    cpu->op = op;
    if (!fpu_unpack_fxsave(&cpu->fpu, area, rex_w, long_mode))
        raise_gp0(cpu);
    x87_error_changed(cpu);
}

/* --- XSAVE --- */

static uint64_t requested(const struct cpu *cpu)
{
    return ((cpu->regs[REG_RDX] << 32) | (uint32_t)cpu->regs[REG_RAX]) & cpu->xcr0;
}

static void xsave_check(struct cpu *cpu, const struct op *op)
{
    cpu->op = op;
    if (!(cpu->cr4 & CR4_OSXSAVE))
        raise_exception(cpu, EXC_UD);
    if (cpu->cr0 & CR0_TS)
        raise_exception(cpu, EXC_NM);
}

static OUT_OF_LINE void exec_xsave(struct cpu *cpu, const struct op *op)
{
    bool rex_w = op->opsize == OPSIZE_64, long_mode = mode_code_size(cpu->mode) == CODE_64;
    enum xsave_kind kind = op->id == INSN_XSAVE      ? XSAVE_PLAIN
                           : op->id == INSN_XSAVEOPT ? XSAVE_OPT : XSAVE_COMPACT;
    uint8_t area[XSAVE_BYTES];

    xsave_check(cpu, op);
    uint64_t linear = save_area(cpu, op, XSAVE_BYTES, 64, true);
    mem_read_bytes(cpu, op, linear, area, XSAVE_BYTES);
    fpu_pack_xsave(&cpu->fpu, area, requested(cpu), rex_w, long_mode, kind);
    mem_write_bytes(cpu, op, linear, area, XSAVE_BYTES);
}

static OUT_OF_LINE void exec_xrstor(struct cpu *cpu, const struct op *op)
{
    bool rex_w = op->opsize == OPSIZE_64, long_mode = mode_code_size(cpu->mode) == CODE_64;
    uint8_t area[XSAVE_BYTES];

    xsave_check(cpu, op);
    mem_read_bytes(cpu, op, save_area(cpu, op, XSAVE_BYTES, 64, false), area, XSAVE_BYTES);
    cpu->op = op;
    if (!fpu_unpack_xrstor(&cpu->fpu, area, requested(cpu), cpu->xcr0, rex_w, long_mode))
        raise_gp0(cpu);
    x87_error_changed(cpu);
}

/* The state is restored in the middle of nothing that a block caches: no need to end it but that the
 * table marks these as serialising, so that the next instruction is looked up. */
static inline const struct op *go_on(struct cpu *cpu, const struct op *op)
{
    cpu->rip = op_next_rip(cpu, op);
    END_BLOCK();
}

HANDLER(fxsave)
{
    exec_fxsave(cpu, op);
    NEXT();
}
HANDLER(fxrstor)
{
    exec_fxrstor(cpu, op);
    return go_on(cpu, op);
}
HANDLER(xsave)
{
    exec_xsave(cpu, op);
    NEXT();
}
HANDLER(xrstor)
{
    exec_xrstor(cpu, op);
    return go_on(cpu, op);
}

/* --- MXCSR --- */

HANDLER(ldmxcsr)
{
    SSE_CHECK();
    uint64_t v = LOAD32(cpu, op, ea_any(cpu, op, 4, false));
    cpu->op = op;
    if (v & ~(uint64_t)MXCSR_VALID)
        raise_gp0(cpu);
    cpu->fpu.mxcsr = (uint32_t)v;
    NEXT();
}
HANDLER(stmxcsr)
{
    SSE_CHECK();
    STORE32(cpu, op, ea_any(cpu, op, 4, true), cpu->fpu.mxcsr);
    NEXT();
}

/* --- XCR0 --- */

HANDLER(xgetbv)
{
    cpu->op = op;
    if (!(cpu->cr4 & CR4_OSXSAVE))
        raise_exception(cpu, EXC_UD);
    if ((uint32_t)cpu->regs[REG_RCX] != 0) /* of 1, XINUSE, leaf 0Dh of CPUID says nothing */
        raise_gp0(cpu);
    cpu->regs[REG_RAX] = (uint32_t)cpu->xcr0;
    cpu->regs[REG_RDX] = cpu->xcr0 >> 32;
    NEXT();
}
HANDLER(xsetbv)
{
    cpu->op = op;
    if (!(cpu->cr4 & CR4_OSXSAVE))
        raise_exception(cpu, EXC_UD);
    uint64_t v = cpu->regs[REG_RDX] << 32 | (uint32_t)cpu->regs[REG_RAX];
    if (cpu->cpl != 0 || (uint32_t)cpu->regs[REG_RCX] != 0 || (v & ~(uint64_t)XCR0_VALID) ||
        !(v & XCR0_X87))
        raise_gp0(cpu);
    cpu->xcr0 = v;
    return go_on(cpu, op);
}

/* --- the choice --- */

op_fn *lower_x87(const struct insn *in, enum ea_kind kind, struct op *op)
{
    struct x87_insn x = {.id = in->id, .form = in->form, .opsize = in->opsize,
                         .mem = (in->flags & INSN_MEM) != 0};

    op->rep = in->form == FORM_ST0_STI ? 1 : in->form == FORM_STI_ST0 ? 2 : in->form == FORM_STI ? 3 : 0;
    switch (in->id) {
    case INSN_FWAIT: return fwait;
    case INSN_FNINIT:
    case INSN_FNCLEX: return x87_control;
    case INSN_FLDCW: return fldcw;
    case INSN_FNSTENV:
    case INSN_FNSAVE: return env_store;
    case INSN_FLDENV:
    case INSN_FRSTOR: return env_load;
    case INSN_FNSTSW:
        if (!x.mem)
            return fnstsw_ax;
        break;
    default: break;
    }
    switch (x87_kind(&x)) {
    case X87_LOAD: return x87_load_m[kind];
    case X87_STORE: return x87_store_m[kind];
    default: return x87_register;
    }
}

op_fn *lower_fpu_state(const struct insn *in)
{
    switch (in->id) {
    case INSN_FXSAVE: return fxsave;
    case INSN_FXRSTOR: return fxrstor;
    case INSN_XSAVE:
    case INSN_XSAVEOPT:
    case INSN_XSAVEC: return xsave;
    case INSN_XRSTOR: return xrstor;
    case INSN_LDMXCSR: return ldmxcsr;
    case INSN_STMXCSR: return stmxcsr;
    case INSN_XGETBV: return xgetbv;
    case INSN_XSETBV: return xsetbv;
    default: return NULL;
    }
}
