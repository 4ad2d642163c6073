/* SPDX-License-Identifier: MIT */
/*
 * Far transfers: JMP, CALL, RET and IRET between segments, INT, SYSCALL, SYSENTER and their returns
 * (Intel SDM vol. 2, and vol. 3, 5.8).
 *
 * What goes through gates, and to other tasks, is in gate.c and task.c.
 */
#include "dispatch.h"
#include "exception.h"
#include "gate.h"
#include "stack.h"
#include "task.h"
#include "watch.h"

static inline bool is_canonical(uint64_t v)
{
    return cpu_is_canonical(v);
}

/* RIP within the segment that was just described. */
static void check_offset(struct cpu *cpu, const struct descriptor *d, uint64_t rip)
{
    if (long_mode(cpu) && (d->high & DESC_L)) {
        if (!is_canonical(rip))
            raise_gp0(cpu);
    } else if (rip > descriptor_limit(d)) {
        raise_gp0(cpu);
    }
}

/* --- JMP and CALL to ptr16:xx --- */

static void fetch_code(struct cpu *cpu, uint16_t selector, struct descriptor *d)
{
    if (selector_is_null(selector))
        raise_gp0(cpu);
    if (!descriptor_read(cpu, selector, d))
        raise_error(cpu, EXC_GP, selector & 0xfffcu);
}

static void jump_far(struct cpu *cpu, const struct op *op, uint16_t selector, uint64_t rip)
{
    struct descriptor d;

    if (!protected_mode(cpu)) {
        if (rip > cpu->seg[SEG_CS].limit)
            raise_gp0(cpu);
        cpu->rip = rip;
        segment_load_real(cpu, SEG_CS, selector);
        return;
    }
    fetch_code(cpu, selector, &d);
    if (!(d.high & DESC_S)) {
        gate_jump(cpu, op, selector, &d);
        return;
    }
    code_target_check(cpu, selector, &d, cpu->cpl);
    check_offset(cpu, &d, rip);
    cpu->rip = rip;
    code_segment_set(cpu, selector, &d, cpu->cpl);
}

static void call_far(struct cpu *cpu, const struct op *op, uint16_t selector, uint64_t rip)
{
    unsigned size = 1u << op->opsize;
    uint64_t next = op_next_rip(cpu, op);
    uint16_t old = cpu->seg[SEG_CS].selector;
    struct descriptor d;

    if (protected_mode(cpu)) {
        fetch_code(cpu, selector, &d);
        if (!(d.high & DESC_S)) {
            gate_call(cpu, op, selector, &d);
            return;
        }
        code_target_check(cpu, selector, &d, cpu->cpl);
        check_offset(cpu, &d, rip);
    } else if (rip > cpu->seg[SEG_CS].limit) {
        raise_gp0(cpu);
    }
    /* One after the other: a fault of the second leaves the first in memory, as on hardware. */
    stack_poke(cpu, op, -(int64_t)size, old, size);
    stack_poke(cpu, op, -2 * (int64_t)size, next, size);
    stack_move(cpu, -2 * (int64_t)size);
    cpu->rip = rip;
    if (protected_mode(cpu))
        code_segment_set(cpu, selector, &d, cpu->cpl);
    else
        segment_load_real(cpu, SEG_CS, selector);
}

static uint64_t far_offset(struct cpu *cpu, const struct op *op, uint16_t *selector)
{
    unsigned size = 1u << op->opsize;
    uint64_t at, offset;

    if (!op->mem) {
        *selector = (uint16_t)op->disp;
        return op->imm;
    }
    at = ea_any(cpu, op, size + 2, false);
    offset = load_sized(cpu, op, at, size);
    *selector = (uint16_t)LOAD16(cpu, op, at + size);
    return offset;
}

static __attribute__((noinline)) void do_jmp_far(struct cpu *cpu, const struct op *op)
{
    uint16_t selector;
    uint64_t offset = far_offset(cpu, op, &selector);

    cpu->op = op;
    jump_far(cpu, op, selector, offset);
}
static __attribute__((noinline)) void do_call_far(struct cpu *cpu, const struct op *op)
{
    uint16_t selector;
    uint64_t offset = far_offset(cpu, op, &selector);

    cpu->op = op;
    call_far(cpu, op, selector, offset);
}

/* --- returns --- */

/* CS:RIP, and for returns to an outer level SS:RSP, on their way from the stack to the CPU. */
struct frame {
    uint64_t rip, rsp;
    uint16_t cs, ss;
    struct descriptor cs_desc;
};

/* The checks on a return's CS; its level is selector's RPL. */
static void check_return_cs(struct cpu *cpu, struct frame *f)
{
    uint32_t error = f->cs & 0xfffcu;
    unsigned rpl = f->cs & 3u;
    const struct descriptor *d = &f->cs_desc;

    if (selector_is_null(f->cs))
        raise_gp0(cpu);
    if (!descriptor_read(cpu, f->cs, &f->cs_desc))
        raise_error(cpu, EXC_GP, error);
    if (!(d->high & DESC_S) || !(d->high & DESC_CODE) || rpl < cpu->cpl)
        raise_error(cpu, EXC_GP, error);
    if (d->high & DESC_CONF ? DESC_DPL(d) > rpl : DESC_DPL(d) != rpl)
        raise_error(cpu, EXC_GP, error);
    if (long_mode(cpu) && (d->high & DESC_L) && (d->high & DESC_DB))
        raise_error(cpu, EXC_GP, error);
    if (!(d->high & DESC_P))
        raise_error(cpu, EXC_NP, error);
    check_offset(cpu, d, f->rip);
}

/* SS for level `cpl`: checked and described. */
static void describe_return_ss(struct cpu *cpu, uint16_t selector, unsigned cpl,
                               const struct descriptor *cs, struct segment *ss)
{
    uint32_t error = selector & 0xfffcu;
    struct descriptor d;

    if (selector_is_null(selector)) {
        /* Null is fine for 64-bit code that is not at level 3. */
        if (!(long_mode(cpu) && (cs->high & DESC_L)) || cpl == 3 || (selector & 3u) != cpl)
            raise_gp0(cpu);
        memset(ss, 0, sizeof(*ss));
        ss->selector = selector;
        ss->ar = SEG_UNUSABLE | cpl << 5 | AR_DB;
        return;
    }
    if (!descriptor_read(cpu, selector, &d))
        raise_error(cpu, EXC_GP, error);
    if ((selector & 3u) != cpl || DESC_DPL(&d) != cpl || !(d.high & DESC_S) ||
        (d.high & DESC_CODE) || !(d.high & DESC_RW))
        raise_error(cpu, EXC_GP, error);
    if (!(d.high & DESC_P))
        raise_error(cpu, EXC_SS, error);
    descriptor_mark_accessed(cpu, &d);
    segment_from_descriptor(ss, selector, &d);
}

static void set_rsp_for(struct cpu *cpu, const struct segment *ss, const struct descriptor *cs,
                        uint64_t rsp)
{
    if (long_mode(cpu) && (cs->high & DESC_L))
        cpu->regs[REG_RSP] = rsp;
    else if (ss->ar & AR_DB)
        cpu->regs[REG_RSP] = (uint32_t)rsp;
    else
        cpu->regs[REG_RSP] = (cpu->regs[REG_RSP] & ~0xffffULL) | (uint16_t)rsp;
}

static __attribute__((noinline)) void do_ret_far(struct cpu *cpu, const struct op *op)
{
    unsigned size = 1u << op->opsize, rpl;
    struct frame f;
    struct segment ss;
    bool outer;

    cpu->op = op;
    f.rip = stack_peek(cpu, op, 0, size);
    f.cs = (uint16_t)stack_peek(cpu, op, size, size);
    if (!protected_mode(cpu)) {
        if (f.rip > cpu->seg[SEG_CS].limit)
            raise_gp0(cpu);
        stack_move(cpu, (int64_t)(2 * size + op->imm));
        cpu->rip = f.rip;
        segment_load_real(cpu, SEG_CS, f.cs);
        return;
    }
    check_return_cs(cpu, &f);
    rpl = f.cs & 3u;
    outer = rpl > cpu->cpl;
    if (!outer) {
        stack_move(cpu, (int64_t)(2 * size + op->imm));
        cpu->rip = f.rip;
        code_segment_set(cpu, f.cs, &f.cs_desc, cpu->cpl);
        return;
    }
    f.rsp = stack_peek(cpu, op, (int64_t)(2 * size + op->imm), size);
    f.ss = (uint16_t)stack_peek(cpu, op, (int64_t)(3 * size + op->imm), size);
    describe_return_ss(cpu, f.ss, rpl, &f.cs_desc, &ss);
    descriptor_mark_accessed(cpu, &f.cs_desc);
    cpu->seg[SEG_SS] = ss;
    set_rsp_for(cpu, &ss, &f.cs_desc, f.rsp + op->imm);
    cpu->rip = f.rip;
    code_segment_set(cpu, f.cs, &f.cs_desc, rpl);
    segments_drop_inner(cpu);
}

/* --- IRET --- */

static uint64_t iret_mask(const struct cpu *cpu, unsigned size)
{
    uint64_t mask = RFLAGS_ARITH | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT;

    if (size > 2)
        mask |= RFLAGS_RF | RFLAGS_AC | RFLAGS_ID;
    if (cpu->cpl <= iopl(cpu))
        mask |= RFLAGS_IF;
    if (cpu->cpl == 0)
        mask |= RFLAGS_IOPL | (size > 2 ? RFLAGS_VIF | RFLAGS_VIP : 0);
    return mask;
}

/* RF holds off instruction breakpoints for one instruction: without any it may as well be clear. */
static void iret_flags(struct cpu *cpu, uint64_t value, uint64_t mask)
{
    rflags_write(cpu, value, mask);
    if (!cpu_code_breakpoints(cpu))
        cpu->rflags &= ~(uint64_t)RFLAGS_RF;
}

static void iret_real(struct cpu *cpu, const struct op *op, unsigned size)
{
    uint64_t rip = stack_peek(cpu, op, 0, size), flags = stack_peek(cpu, op, 2 * size, size);
    uint16_t cs = (uint16_t)stack_peek(cpu, op, size, size);

    if (rip > cpu->seg[SEG_CS].limit)
        raise_gp0(cpu);
    stack_move(cpu, 3 * size);
    cpu->rip = rip;
    iret_flags(cpu, flags, iret_mask(cpu, size) & ~(uint64_t)(RFLAGS_VIF | RFLAGS_VIP));
    segment_load_real(cpu, SEG_CS, cs);
}

/* From level 0 of protected mode: nine words. */
static void iret_to_vm(struct cpu *cpu, const struct op *op, uint32_t flags)
{
    static const uint8_t order[] = {SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    uint32_t rip = (uint32_t)stack_peek(cpu, op, 0, 4), esp = (uint32_t)stack_peek(cpu, op, 12, 4);
    uint16_t cs = (uint16_t)stack_peek(cpu, op, 4, 4), selector[sizeof(order)];

    for (unsigned i = 0; i < sizeof(order); i++)
        selector[i] = (uint16_t)stack_peek(cpu, op, 16 + 4 * (int64_t)i, 4);
    if (rip > 0xffff)
        raise_gp0(cpu);
    cpu->rip = rip;
    cpu->regs[REG_RSP] = esp;
    iret_flags(cpu, flags, iret_mask(cpu, 4) | RFLAGS_VM);
    cpu->cpl = 3;
    segment_load_real(cpu, SEG_CS, cs);
    for (unsigned i = 0; i < sizeof(order); i++)
        segment_load_real(cpu, order[i], selector[i]);
}

static __attribute__((noinline)) void do_iret(struct cpu *cpu, const struct op *op)
{
    unsigned size = 1u << op->opsize, rpl;
    struct frame f;
    struct segment ss;
    uint64_t flags, mask;
    bool from64 = mode_code_size(cpu->mode) == CODE_64;

    cpu->op = op;
    cpu->nmi_blocked = 0;
    if (!protected_mode(cpu)) {
        if ((cpu->rflags & RFLAGS_VM) && iopl(cpu) < 3)
            raise_gp0(cpu);
        iret_real(cpu, op, size);
        return;
    }
    if (cpu->rflags & RFLAGS_NT) {
        if (long_mode(cpu))
            raise_gp0(cpu);
        task_return(cpu, op_next_rip(cpu, op));
        return;
    }
    f.rip = stack_peek(cpu, op, 0, size);
    f.cs = (uint16_t)stack_peek(cpu, op, size, size);
    flags = stack_peek(cpu, op, 2 * size, size);
    if ((flags & RFLAGS_VM) && size == 4 && cpu->cpl == 0 && !long_mode(cpu)) {
        iret_to_vm(cpu, op, (uint32_t)flags);
        return;
    }
    check_return_cs(cpu, &f);
    rpl = f.cs & 3u;
    mask = iret_mask(cpu, size);
    if (rpl == cpu->cpl && !from64) {
        stack_move(cpu, 3 * size);
        cpu->rip = f.rip;
        iret_flags(cpu, flags, mask);
        code_segment_set(cpu, f.cs, &f.cs_desc, rpl);
        return;
    }
    f.rsp = stack_peek(cpu, op, 3 * size, size);
    f.ss = (uint16_t)stack_peek(cpu, op, 4 * size, size);
    describe_return_ss(cpu, f.ss, rpl, &f.cs_desc, &ss);
    descriptor_mark_accessed(cpu, &f.cs_desc);
    cpu->seg[SEG_SS] = ss;
    set_rsp_for(cpu, &ss, &f.cs_desc, f.rsp);
    cpu->rip = f.rip;
    iret_flags(cpu, flags, mask);
    if (rpl != cpu->cpl) {
        code_segment_set(cpu, f.cs, &f.cs_desc, rpl);
        segments_drop_inner(cpu);
    } else {
        code_segment_set(cpu, f.cs, &f.cs_desc, rpl);
    }
}

/* --- SYSCALL, SYSRET, SYSENTER, SYSEXIT --- */

static void flat_code(struct cpu *cpu, uint16_t selector, unsigned cpl, bool is64)
{
    struct segment *cs = &cpu->seg[SEG_CS];

    cs->selector = selector;
    cs->base = 0;
    cs->limit = UINT32_MAX;
    cs->ar = 0x1bu | AR_P | cpl << 5 | AR_G | (is64 ? AR_L : AR_DB);
    cpu->cpl = cpl;
}

static void flat_stack(struct cpu *cpu, uint16_t selector, unsigned cpl)
{
    struct segment *ss = &cpu->seg[SEG_SS];

    ss->selector = selector;
    ss->base = 0;
    ss->limit = UINT32_MAX;
    ss->ar = 0x13u | AR_P | cpl << 5 | AR_G | AR_DB;
}

/* After SYSCALL and SYSRET the TF that they have loaded decides whether a single step ends here, so that IA32_FMASK
 * can spare the kernel one. */
static void trap_by_new_tf(struct cpu *cpu)
{
    cpu->tf_armed = false;
    if (!(cpu->rflags & RFLAGS_TF))
        return;
    cpu->pending |= PENDING_TRAP;
    cpu->trap_dr6 |= DR6_BS;
}

static void do_syscall(struct cpu *cpu, const struct op *op)
{
    uint16_t selector = (uint16_t)(cpu->star >> 32) & 0xfffc;

    cpu->op = op;
    if (!(cpu->efer & EFER_SCE) || mode_code_size(cpu->mode) != CODE_64)
        raise_exception(cpu, EXC_UD); /* Intel: only in 64-bit mode */
    if (watched(cpu, WATCH_SYSCALL))
        watch_syscall(cpu, op, 0);
    cpu->regs[REG_RCX] = op_next_rip(cpu, op);
    cpu->regs[REG_R11] = rflags_read(cpu) & ~(uint64_t)RFLAGS_RF;
    cpu->rip = cpu->lstar;
    rflags_write(cpu, 0, cpu->fmask & ~(uint64_t)RFLAGS_ONE);
    cpu->rflags &= ~(uint64_t)RFLAGS_RF;
    flat_code(cpu, selector, 0, true);
    flat_stack(cpu, (uint16_t)(selector + 8), 0);
    cpu_update_mode(cpu);
    trap_by_new_tf(cpu);
}

static void do_sysret(struct cpu *cpu, const struct op *op)
{
    uint16_t base = (uint16_t)(cpu->star >> 48);
    bool to64 = op->opsize == OPSIZE_64;
    uint64_t mask = 0x3c7fd7;

    cpu->op = op;
    if (!(cpu->efer & EFER_SCE) || mode_code_size(cpu->mode) != CODE_64)
        raise_exception(cpu, EXC_UD);
    if (cpu->cpl != 0 || (to64 && !is_canonical(cpu->regs[REG_RCX])))
        raise_gp0(cpu);
    cpu->rip = to64 ? cpu->regs[REG_RCX] : (uint32_t)cpu->regs[REG_RCX];
    rflags_write(cpu, cpu->regs[REG_R11], mask);
    cpu->rflags &= ~(uint64_t)(RFLAGS_RF | RFLAGS_VM);
    flat_code(cpu, (uint16_t)((base + (to64 ? 16 : 0)) | 3), 3, to64);
    flat_stack(cpu, (uint16_t)((base + 8) | 3), 3);
    cpu_update_mode(cpu);
    trap_by_new_tf(cpu);
}

static void do_sysenter(struct cpu *cpu, const struct op *op)
{
    uint16_t selector = (uint16_t)cpu->sysenter_cs & 0xfffc;
    bool is64 = long_mode(cpu);

    cpu->op = op;
    if (!(cpu->cr0 & CR0_PE) || selector == 0)
        raise_gp0(cpu);
    if (watched(cpu, WATCH_SYSCALL))
        watch_syscall(cpu, op, 1);
    cpu->rflags &= ~(uint64_t)(RFLAGS_VM | RFLAGS_IF | RFLAGS_RF);
    cpu->regs[REG_RSP] = is64 ? cpu->sysenter_esp : (uint32_t)cpu->sysenter_esp;
    cpu->rip = is64 ? cpu->sysenter_eip : (uint32_t)cpu->sysenter_eip;
    flat_code(cpu, selector, 0, is64);
    flat_stack(cpu, (uint16_t)(selector + 8), 0);
    cpu_update_mode(cpu);
}

static void do_sysexit(struct cpu *cpu, const struct op *op)
{
    uint16_t base = (uint16_t)cpu->sysenter_cs & 0xfffc;
    bool to64 = op->opsize == OPSIZE_64;

    cpu->op = op;
    if (base == 0 || !(cpu->cr0 & CR0_PE) || cpu->cpl != 0)
        raise_gp0(cpu);
    if (to64 && (!is_canonical(cpu->regs[REG_RCX]) || !is_canonical(cpu->regs[REG_RDX])))
        raise_gp0(cpu);
    cpu->regs[REG_RSP] = to64 ? cpu->regs[REG_RCX] : (uint32_t)cpu->regs[REG_RCX];
    cpu->rip = to64 ? cpu->regs[REG_RDX] : (uint32_t)cpu->regs[REG_RDX];
    flat_code(cpu, (uint16_t)((base + (to64 ? 32 : 16)) | 3), 3, to64);
    flat_stack(cpu, (uint16_t)((base + (to64 ? 40 : 24)) | 3), 3);
    cpu_update_mode(cpu);
}

/* --- INT --- */

static uint8_t int_vector(const struct op *op)
{
    switch (op->id) {
    case INSN_INT3: return EXC_BP;
    case INSN_INTO: return EXC_OF;
    case INSN_INT1: return EXC_DB;
    default: return (uint8_t)op->imm;
    }
}

static void enter_int(struct cpu *cpu, const struct op *op)
{
    cpu->op = op;
    if (op->id == INSN_INT && (cpu->rflags & RFLAGS_VM) && iopl(cpu) < 3)
        raise_gp0(cpu); /* without VME */
    software_interrupt(cpu, int_vector(op), op->id != INSN_INT1, op_next_rip(cpu, op));
}

static __attribute__((noinline)) void watched_int(struct cpu *cpu, const struct op *op)
{
    struct watch_event ev = watch_place(cpu, op);

    enter_int(cpu, op);
    ev.address = int_vector(op);
    watch_tell(cpu, &ev, WATCH_SOFT_INTERRUPT);
}

static void do_int(struct cpu *cpu, const struct op *op)
{
    if (watched(cpu, WATCH_SOFT_INTERRUPT))
        watched_int(cpu, op);
    else
        enter_int(cpu, op);
}

HANDLER(into)
{
    if (!flag_of(cpu)) {
        cpu->rip = op_next_rip(cpu, op);
        END_BLOCK();
    }
    do_int(cpu, op);
    END_BLOCK();
}

#define ENDING(name, call)                                                                         \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        call(cpu, op);                                                                             \
        END_BLOCK();                                                                               \
    }
ENDING(jmp_far_h, do_jmp_far)
ENDING(call_far_h, do_call_far)
ENDING(syscall_h, do_syscall)
ENDING(sysenter_h, do_sysenter)
ENDING(int_h, do_int)

/* Returns: told when they are done, as from where they were. */
static __attribute__((noinline)) void watched_return(struct cpu *cpu, const struct op *op,
                                                     void (*call)(struct cpu *, const struct op *),
                                                     enum watch_return how)
{
    struct watch_event ev = watch_place(cpu, op);

    call(cpu, op);
    watch_return(cpu, &ev, how);
}

#define RETURNING(name, call, how)                                                                 \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        if (watched(cpu, WATCH_USER_RETURN) || watched(cpu, WATCH_IRET))                           \
            watched_return(cpu, op, call, how);                                                    \
        else                                                                                       \
            call(cpu, op);                                                                         \
        END_BLOCK();                                                                               \
    }
RETURNING(ret_far_h, do_ret_far, WATCH_BY_RETF)
RETURNING(iret_h, do_iret, WATCH_BY_IRET)
RETURNING(sysret_h, do_sysret, WATCH_BY_SYSRET)
RETURNING(sysexit_h, do_sysexit, WATCH_BY_SYSEXIT)

op_fn *lower_far(const struct insn *in, struct op *op)
{
    switch (in->id) {
    case INSN_JMP_FAR: return jmp_far_h;
    case INSN_CALL_FAR: return call_far_h;
    case INSN_RET_FAR: op->seg = SEG_SS; return ret_far_h;
    case INSN_IRET: op->seg = SEG_SS; return iret_h;
    case INSN_INT: case INSN_INT3: case INSN_INT1: return int_h;
    case INSN_INTO: return into;
    case INSN_SYSCALL: return syscall_h;
    case INSN_SYSRET: return sysret_h;
    case INSN_SYSENTER: return sysenter_h;
    case INSN_SYSEXIT: return sysexit_h;
    default: return NULL;
    }
}
