/* SPDX-License-Identifier: MIT */
/*
 * System instructions: ports, flags, control and debug registers, descriptor tables, MSRs, time
 * (Intel SDM vol. 2; vol. 3, chapters 2, 5 and 17; vol. 1, 19.5 for I/O permission).
 */
#include "dispatch.h"
#include "inspect.h"
#include "stack.h"
#include "system.h"
#include "watch.h"

static inline void need_cpl0(struct cpu *cpu)
{
    if (unlikely(cpu->cpl != 0))
        raise_gp0(cpu);
}

/* #UD outside of protected mode: instructions that only it knows. */
static inline void need_protected(struct cpu *cpu)
{
    if (unlikely(!protected_mode(cpu)))
        raise_exception(cpu, EXC_UD);
}

static inline const struct op *next_block(struct cpu *cpu, const struct op *op)
{
    cpu->rip = op_next_rip(cpu, op);
    END_BLOCK();
}

/* --- ports --- */

void port_check(struct cpu *cpu, uint16_t port, unsigned size)
{
    uint32_t map, bits;

    if (!(cpu->cr0 & CR0_PE) || (!(cpu->rflags & RFLAGS_VM) && cpu->cpl <= iopl(cpu)))
        return;
    if (!(cpu->tr.ar & 8) || cpu->tr.limit < 103)
        raise_gp0(cpu);
    map = (uint32_t)sys_read(cpu, cpu->tr.base + 102, 2);
    if (map + port / 8 + 1 > cpu->tr.limit)
        raise_gp0(cpu);
    bits = (uint32_t)sys_read(cpu, cpu->tr.base + map + port / 8, 2) >> (port & 7);
    if (bits & ((1u << size) - 1))
        raise_gp0(cpu);
}

static uint16_t port_of(const struct cpu *cpu, const struct op *op)
{
    return op->rep ? (uint16_t)cpu->regs[REG_RDX] : (uint16_t)(op->imm & 0xff);
}

HANDLER(in_port)
{
    unsigned size = 1u << op->opsize;
    uint16_t port = port_of(cpu, op);
    uint64_t v;

    cpu->op = op;
    port_check(cpu, port, size);
    io_begin(cpu, op);
    v = bus_read(cpu->ports, port, size);
    cpu_watch_port(cpu, port, size);
    if (watched(cpu, WATCH_PORT_READ))
        watch_access(cpu, op, WATCH_PORT_READ, port, v, size);
    if (size == 1)
        WR8(0, v);
    else if (size == 2)
        WR16(REG_RAX, v);
    else
        WR32(REG_RAX, v);
    cpu->exit_request = true;
    cpu->rip = op_next_rip(cpu, op);
    LEAVE();
}

HANDLER(out_port)
{
    unsigned size = 1u << op->opsize;
    uint16_t port = port_of(cpu, op);
    uint64_t mask = size == 4 ? UINT32_MAX : size == 2 ? UINT16_MAX : UINT8_MAX;
    uint64_t v = cpu->regs[REG_RAX] & mask;

    cpu->op = op;
    port_check(cpu, port, size);
    io_begin(cpu, op);
    if (watched(cpu, WATCH_PORT_WRITE))
        watch_access(cpu, op, WATCH_PORT_WRITE, port, v, size);
    bus_write(cpu->ports, port, v, size);
    cpu_watch_port(cpu, port, size);
    cpu->exit_request = true;
    cpu->rip = op_next_rip(cpu, op);
    LEAVE();
}

/* --- interrupt flag, HLT --- */

static void need_iopl(struct cpu *cpu)
{
    if ((cpu->cr0 & CR0_PE) && cpu->cpl > iopl(cpu))
        raise_gp0(cpu);
}

HANDLER(cli)
{
    cpu->op = op;
    need_iopl(cpu);
    cpu->rflags &= ~(uint64_t)RFLAGS_IF;
    return next_block(cpu, op);
}

HANDLER(sti)
{
    cpu->op = op;
    need_iopl(cpu);
    if (!(cpu->rflags & RFLAGS_IF)) {
        cpu->rflags |= RFLAGS_IF;
        cpu->shadow_icount = cpu->icount; /* until the instruction after this one has retired */
    }
    return next_block(cpu, op);
}

HANDLER(hlt)
{
    cpu->op = op;
    need_cpl0(cpu);
    cpu->halted = 1;
    cpu->rip = op_next_rip(cpu, op);
    LEAVE();
}

/* --- control and debug registers --- */

static void store_general(struct cpu *cpu, const struct op *op, uint64_t value)
{
    if (mode_code_size(cpu->mode) == CODE_64)
        cpu->regs[op->rm] = value;
    else
        WR32(op->rm, value);
}

static uint64_t load_general(const struct cpu *cpu, const struct op *op)
{
    return mode_code_size(cpu->mode) == CODE_64 ? cpu->regs[op->rm] : (uint32_t)cpu->regs[op->rm];
}

static uint64_t control_read(const struct cpu *cpu, unsigned n)
{
    switch (n) {
    case 0: return cpu->cr0;
    case 2: return cpu->cr2;
    case 3: return cpu->cr3;
    case 4: return cpu->cr4;
    default: return cpu->intc->get_cr8(cpu->intc_opaque);
    }
}

HANDLER(mov_from_cr)
{
    cpu->op = op;
    need_cpl0(cpu);
    if (op->reg == 8)
        io_begin(cpu, op);
    store_general(cpu, op, control_read(cpu, op->reg));
    return next_block(cpu, op);
}

static void control_write(struct cpu *cpu, const struct op *op, unsigned n, uint64_t value)
{
    switch (n) {
    case 0: cr0_write(cpu, value); break;
    case 2:
        cpu->cr2 = value;
        inspect_control_changed(cpu);
        break;
    case 3: cr3_write(cpu, value); break;
    case 4: cr4_write(cpu, value); break;
    default:
        if (value & ~15ULL)
            raise_gp0(cpu);
        io_begin(cpu, op);
        cpu->intc->set_cr8(cpu->intc_opaque, (uint8_t)value);
        cpu->exit_request = true;
        break;
    }
}

static __attribute__((noinline)) void watched_control_write(struct cpu *cpu, const struct op *op, unsigned n,
                                                            uint64_t value)
{
    struct watch_event ev = watch_place(cpu, op);

    ev.address = n;
    ev.extra = control_read(cpu, n);
    control_write(cpu, op, n, value);
    ev.value = control_read(cpu, n);
    watch_tell(cpu, &ev, WATCH_CR_WRITE);
}

static void tell_control_write(struct cpu *cpu, const struct op *op, unsigned n, uint64_t value)
{
    if (watched(cpu, WATCH_CR_WRITE))
        watched_control_write(cpu, op, n, value);
    else
        control_write(cpu, op, n, value);
}

HANDLER(mov_to_cr)
{
    uint64_t value = load_general(cpu, op);

    cpu->op = op;
    need_cpl0(cpu);
    tell_control_write(cpu, op, op->reg, value);
    return next_block(cpu, op);
}

/* DR4 and DR5 are DR6 and DR7 unless CR4.DE forbids them; DR7.GD makes any access a fault. */
static unsigned debug_register(struct cpu *cpu, const struct op *op)
{
    unsigned n = op->reg;

    need_cpl0(cpu);
    if ((n == 4 || n == 5) && (cpu->cr4 & CR4_DE))
        raise_exception(cpu, EXC_UD);
    if (n == 4 || n == 5)
        n += 2;
    if (cpu->dr[7] & DR7_GD) {
        cpu->dr[6] |= DR6_BD;
        cpu->exc_debug = DEBUG_REGISTERS;
        raise_exception(cpu, EXC_DB);
    }
    return n;
}

HANDLER(mov_from_dr)
{
    cpu->op = op;
    store_general(cpu, op, cpu->dr[debug_register(cpu, op)]);
    return next_block(cpu, op);
}

HANDLER(mov_to_dr)
{
    uint64_t value = load_general(cpu, op);
    unsigned n;

    cpu->op = op;
    n = debug_register(cpu, op);
    if (n >= 6 && (value >> 32))
        raise_gp0(cpu);
    if (n == 6)
        value = (value & 0xe00f) | DR6_FIXED;
    else if (n == 7)
        value = (value & 0xffff2fffu) | DR7_FIXED;
    cpu->dr[n] = value;
    cpu_debug_changed(cpu);
    return next_block(cpu, op);
}

HANDLER(clts)
{
    cpu->op = op;
    need_cpl0(cpu);
    tell_control_write(cpu, op, 0, cpu->cr0 & ~(uint64_t)CR0_TS);
    return next_block(cpu, op);
}

HANDLER(lmsw)
{
    uint64_t value;

    cpu->op = op;
    need_cpl0(cpu); /* before the operand's faults */
    value = op->mem ? LOAD16(cpu, op, ea_any(cpu, op, 2, false)) : cpu->regs[op->rm];
    /* PE can be set but not cleared. */
    tell_control_write(cpu, op, 0, (cpu->cr0 & ~0xeULL) | (value & 0xf));
    return next_block(cpu, op);
}

/* Stores of 16-bit system registers: 16 bits to memory, operand size to a register. */
static void store_selector(struct cpu *cpu, const struct op *op, uint64_t value)
{
    if (op->mem)
        STORE16(cpu, op, ea_any(cpu, op, 2, true), value);
    else if (op->opsize == OPSIZE_16)
        WR16(op->rm, value);
    else
        cpu->regs[op->rm] = op->opsize == OPSIZE_32 ? (uint32_t)value : value;
}

HANDLER(smsw)
{
    store_selector(cpu, op, cpu->cr0);
    NEXT();
}

/* --- segment registers --- */

HANDLER(mov_from_sreg)
{
    store_selector(cpu, op, cpu->seg[op->reg].selector);
    NEXT();
}

static uint16_t load_selector(struct cpu *cpu, const struct op *op)
{
    if (!op->mem)
        return (uint16_t)cpu->regs[op->rm];
    return (uint16_t)LOAD16(cpu, op, ea_any(cpu, op, 2, false));
}

HANDLER(mov_to_sreg)
{
    uint16_t selector = load_selector(cpu, op);

    cpu->op = op;
    segment_load(cpu, op->reg, selector);
    if (op->reg == SEG_SS)
        stack_segment_shadow(cpu);
    return next_block(cpu, op);
}

/* LDS, LES, LSS, LFS, LGS */
HANDLER(load_far_pointer)
{
    unsigned size = 1u << op->opsize;
    uint64_t at = ea_any(cpu, op, size + 2, false), offset;
    uint16_t selector;

    offset = load_sized(cpu, op, at, size);
    selector = (uint16_t)LOAD16(cpu, op, at + size);
    cpu->op = op;
    segment_load(cpu, (unsigned)op->imm, selector);
    if (op->opsize == OPSIZE_16)
        WR16(op->reg, offset);
    else
        cpu->regs[op->reg] = offset;
    return next_block(cpu, op);
}

/* --- descriptor tables --- */

static void load_table(struct cpu *cpu, const struct op *op, struct table_register *table)
{
    bool wide = mode_code_size(cpu->mode) == CODE_64;
    uint64_t at = ea_any(cpu, op, wide ? 10 : 6, false), base;
    uint16_t limit = (uint16_t)LOAD16(cpu, op, at);

    base = wide ? LOAD64(cpu, op, at + 2) : LOAD32(cpu, op, at + 2);
    if (!wide && op->opsize == OPSIZE_16)
        base &= 0xffffff;
    if (!cpu_is_canonical(base))
        raise_gp0(cpu);
    table->base = base;
    table->limit = limit;
}

HANDLER(lgdt)
{
    cpu->op = op;
    need_cpl0(cpu);
    load_table(cpu, op, &cpu->gdtr);
    return next_block(cpu, op);
}
HANDLER(lidt)
{
    cpu->op = op;
    need_cpl0(cpu);
    load_table(cpu, op, &cpu->idtr);
    return next_block(cpu, op);
}

static void store_table(struct cpu *cpu, const struct op *op, const struct table_register *table)
{
    bool wide = mode_code_size(cpu->mode) == CODE_64;
    uint64_t at = ea_any(cpu, op, wide ? 10 : 6, true);

    mem_probe_write(cpu, op, at, wide ? 10 : 6);
    STORE16(cpu, op, at, table->limit);
    if (wide)
        STORE64(cpu, op, at + 2, table->base);
    else
        STORE32(cpu, op, at + 2, table->base);
}

HANDLER(sgdt)
{
    store_table(cpu, op, &cpu->gdtr);
    NEXT();
}
HANDLER(sidt)
{
    store_table(cpu, op, &cpu->idtr);
    NEXT();
}

HANDLER(sldt)
{
    cpu->op = op;
    need_protected(cpu);
    store_selector(cpu, op, cpu->ldtr.selector);
    NEXT();
}
HANDLER(str)
{
    cpu->op = op;
    need_protected(cpu);
    store_selector(cpu, op, cpu->tr.selector);
    NEXT();
}

/* LDTR and TR: the descriptor of a system segment of type `type`, present, in the GDT. */
static void system_descriptor(struct cpu *cpu, uint16_t selector, struct descriptor *d, bool tss)
{
    uint32_t error = selector & 0xfffcu;
    unsigned type;

    if ((selector & 4) || !descriptor_read(cpu, selector, d) || (d->high & DESC_S))
        raise_error(cpu, EXC_GP, error);
    type = DESC_TYPE(d);
    if (tss ? type != SYS_TSS_AVAIL && (type != SYS_TSS16_AVAIL || long_mode(cpu)) : type != SYS_LDT)
        raise_error(cpu, EXC_GP, error);
    if (!(d->high & DESC_P))
        raise_error(cpu, EXC_NP, error);
}

static __attribute__((noinline)) void do_lldt(struct cpu *cpu, uint16_t selector)
{
    struct descriptor d;

    if (selector_is_null(selector)) {
        cpu->ldtr.selector = selector;
        cpu->ldtr.ar |= SEG_UNUSABLE;
        return;
    }
    system_descriptor(cpu, selector, &d, false);
    segment_from_descriptor(&cpu->ldtr, selector, &d);
}

static __attribute__((noinline)) void do_ltr(struct cpu *cpu, uint16_t selector)
{
    struct descriptor d;

    if (selector_is_null(selector))
        raise_gp0(cpu);
    system_descriptor(cpu, selector, &d, true);
    d.high |= DESC_RW; /* busy */
    sys_write(cpu, d.linear + 4, d.high, 4);
    segment_from_descriptor(&cpu->tr, selector, &d);
}

HANDLER(lldt)
{
    uint16_t selector;

    cpu->op = op;
    need_protected(cpu);
    need_cpl0(cpu);
    selector = load_selector(cpu, op);
    cpu->op = op;
    do_lldt(cpu, selector);
    return next_block(cpu, op);
}
HANDLER(ltr)
{
    uint16_t selector;

    cpu->op = op;
    need_protected(cpu);
    need_cpl0(cpu);
    selector = load_selector(cpu, op);
    cpu->op = op;
    do_ltr(cpu, selector);
    return next_block(cpu, op);
}

/* --- LAR, LSL, VERR, VERW, ARPL: they answer in ZF --- */

static bool lar_type_ok(const struct cpu *cpu, const struct descriptor *d, bool lsl)
{
    unsigned type = DESC_TYPE(d);
    bool tss_or_ldt = type == SYS_LDT || type == SYS_TSS_AVAIL || type == SYS_TSS_BUSY;

    if (d->high & DESC_S)
        return true;
    if (tss_or_ldt)
        return true;
    if (!lsl && type == SYS_CALL)
        return true;
    if (long_mode(cpu))
        return false;
    if (type == SYS_TSS16_AVAIL || type == SYS_TSS16_BUSY)
        return true;
    return !lsl && (type == SYS_CALL16 || type == SYS_TASK_GATE);
}

/* The descriptor, if it exists and CPL and RPL may see it. */
static bool visible_descriptor(struct cpu *cpu, uint16_t selector, struct descriptor *d)
{
    bool conforming;

    if (selector_is_null(selector) || !descriptor_read(cpu, selector, d))
        return false;
    conforming = (d->high & DESC_S) && (d->high & DESC_CODE) && (d->high & DESC_CONF);
    return conforming || (cpu->cpl <= DESC_DPL(d) && (selector & 3u) <= DESC_DPL(d));
}

static __attribute__((noinline)) bool query_descriptor(struct cpu *cpu, uint16_t selector, bool lsl,
                                                       uint32_t *out)
{
    struct descriptor d;

    if (!visible_descriptor(cpu, selector, &d) || !lar_type_ok(cpu, &d, lsl))
        return false;
    *out = lsl ? descriptor_limit(&d) : d.high & 0x00ffff00u;
    return true;
}

static __attribute__((noinline)) void lar_lsl(struct cpu *cpu, const struct op *op)
{
    uint16_t selector;
    uint32_t value = 0;
    bool ok;

    cpu->op = op;
    need_protected(cpu);
    selector = load_selector(cpu, op);
    cpu->op = op;
    ok = query_descriptor(cpu, selector, op->id == INSN_LSL, &value);
    if (ok && op->opsize == OPSIZE_16)
        WR16(op->reg, value);
    else if (ok)
        cpu->regs[op->reg] = value;
    flags_merge(cpu, RFLAGS_ZF, ok ? RFLAGS_ZF : 0);
}

static __attribute__((noinline)) void verify(struct cpu *cpu, const struct op *op)
{
    uint16_t selector;
    struct descriptor d;
    bool ok;

    cpu->op = op;
    need_protected(cpu);
    selector = load_selector(cpu, op);
    cpu->op = op;
    ok = visible_descriptor(cpu, selector, &d) && (d.high & DESC_S);
    if (ok && op->id == INSN_VERR)
        ok = !(d.high & DESC_CODE) || (d.high & DESC_RW);
    else if (ok)
        ok = !(d.high & DESC_CODE) && (d.high & DESC_RW);
    flags_merge(cpu, RFLAGS_ZF, ok ? RFLAGS_ZF : 0);
}

HANDLER(lar_lsl_h)
{
    lar_lsl(cpu, op);
    NEXT();
}
HANDLER(verify_h)
{
    verify(cpu, op);
    NEXT();
}

HANDLER(arpl)
{
    uint64_t at = 0;
    uint16_t dst, src = RD16(op->reg);
    bool lower;

    cpu->op = op;
    need_protected(cpu);
    if (op->mem)
        at = ea_any(cpu, op, 2, false);
    dst = op->mem ? (uint16_t)LOAD16(cpu, op, at) : RD16(op->rm);
    lower = (dst & 3) < (src & 3);
    if (lower) { /* only then is it a store, and faults as one */
        dst = (uint16_t)((dst & ~3u) | (src & 3u));
        if (op->mem)
            STORE16(cpu, op, ea_any(cpu, op, 2, true), dst);
        else
            WR16(op->rm, dst);
    }
    flags_merge(cpu, RFLAGS_ZF, lower ? RFLAGS_ZF : 0);
    NEXT();
}

/* --- FS and GS bases --- */

HANDLER(swapgs)
{
    uint64_t base = cpu->seg[SEG_GS].base;

    cpu->op = op;
    need_cpl0(cpu);
    cpu->seg[SEG_GS].base = cpu->kernel_gs_base;
    cpu->kernel_gs_base = base;
    return next_block(cpu, op);
}

static void need_fsgsbase(struct cpu *cpu, const struct op *op)
{
    cpu->op = op;
    if (!(cpu->cr4 & CR4_FSGSBASE) || mode_code_size(cpu->mode) != CODE_64)
        raise_exception(cpu, EXC_UD);
}

HANDLER(read_segment_base)
{
    uint64_t base = cpu->seg[op->id == INSN_RDFSBASE ? SEG_FS : SEG_GS].base;

    need_fsgsbase(cpu, op);
    cpu->regs[op->rm] = op->opsize == OPSIZE_64 ? base : (uint32_t)base;
    NEXT();
}
HANDLER(write_segment_base)
{
    uint64_t base = op->opsize == OPSIZE_64 ? cpu->regs[op->rm] : (uint32_t)cpu->regs[op->rm];

    need_fsgsbase(cpu, op);
    if (!cpu_is_canonical(base))
        raise_gp0(cpu);
    cpu->seg[op->id == INSN_WRFSBASE ? SEG_FS : SEG_GS].base = base;
    return next_block(cpu, op);
}

/* --- MSRs, time, randomness, identification --- */

static __attribute__((noinline)) uint64_t checked_rdmsr(struct cpu *cpu)
{
    uint64_t value = 0;

    if (msr_read(cpu, (uint32_t)cpu->regs[REG_RCX], &value) != 0)
        raise_gp0(cpu);
    return value;
}

HANDLER(rdmsr)
{
    uint64_t value;

    cpu->op = op;
    need_cpl0(cpu);
    io_begin(cpu, op);
    value = checked_rdmsr(cpu);
    if (watched(cpu, WATCH_MSR_READ))
        watch_access(cpu, op, WATCH_MSR_READ, (uint32_t)cpu->regs[REG_RCX], value, 0);
    cpu->regs[REG_RAX] = (uint32_t)value;
    cpu->regs[REG_RDX] = value >> 32;
    return next_block(cpu, op);
}

HANDLER(wrmsr)
{
    uint64_t value = (uint32_t)cpu->regs[REG_RAX] | cpu->regs[REG_RDX] << 32;

    cpu->op = op;
    need_cpl0(cpu);
    io_begin(cpu, op);
    if (msr_write(cpu, (uint32_t)cpu->regs[REG_RCX], value) != 0)
        raise_gp0(cpu);
    if (watched(cpu, WATCH_MSR_WRITE))
        watch_access(cpu, op, WATCH_MSR_WRITE, (uint32_t)cpu->regs[REG_RCX], value, 0);
    cpu->exit_request = true;
    return next_block(cpu, op);
}

HANDLER(rdtsc)
{
    uint64_t tsc;

    cpu->op = op;
    if ((cpu->cr4 & CR4_TSD) && cpu->cpl != 0)
        raise_gp0(cpu);
    io_begin(cpu, op);
    tsc = cpu_tsc(cpu);
    cpu->regs[REG_RAX] = (uint32_t)tsc;
    cpu->regs[REG_RDX] = tsc >> 32;
    if (op->id == INSN_RDTSCP)
        cpu->regs[REG_RCX] = (uint32_t)cpu->tsc_aux;
    NEXT();
}

HANDLER(rdpmc) /* no counters are announced */
{
    cpu->op = op;
    raise_gp0(cpu);
}

HANDLER(rdrand)
{
    uint64_t v = cpu_random(cpu);

    if (op->opsize == OPSIZE_16)
        WR16(op->rm, v);
    else if (op->opsize == OPSIZE_32)
        WR32(op->rm, v);
    else
        cpu->regs[op->rm] = v;
    flags_set(cpu, RFLAGS_CF);
    NEXT();
}

HANDLER(cpuid)
{
    cpu_cpuid(cpu);
    return next_block(cpu, op);
}

/* --- translations and caches --- */

HANDLER(invlpg)
{
    cpu->op = op;
    need_cpl0(cpu);
    mmu_flush_page(cpu, ea_offset(cpu, op) +
                            (mode_code_size(cpu->mode) != CODE_64 || op->seg >= SEG_FS
                                 ? cpu->seg[op->seg].base
                                 : 0));
    return next_block(cpu, op);
}

HANDLER(cache_control) /* WBINVD, INVD: caches are not modelled */
{
    cpu->op = op;
    need_cpl0(cpu);
    return next_block(cpu, op);
}

HANDLER(clflush) /* faults as a byte load does */
{
    (void)LOAD8(cpu, op, ea_any(cpu, op, 1, false));
    NEXT();
}

HANDLER(set_ac)
{
    cpu->op = op;
    if (cpu->cpl != 0 || !(cpu->cr0 & CR0_PE))
        raise_exception(cpu, EXC_UD);
    if (op->id == INSN_STAC)
        cpu->rflags |= RFLAGS_AC;
    else
        cpu->rflags &= ~(uint64_t)RFLAGS_AC;
    cpu_update_mode(cpu);
    return next_block(cpu, op);
}

/* BOUND: signed index against a pair in memory. */
HANDLER(bound)
{
    unsigned size = 1u << op->opsize;
    uint64_t mask = op->addrsize == OPSIZE_16 ? UINT16_MAX : UINT32_MAX;
    uint64_t at = ea_offset(cpu, op);
    int64_t low, high, index;

    /* Two reads, each with its own limit check. */
    low = (int64_t)load_sized(cpu, op, seg_linear(cpu, op, op->seg, at, size, false), size);
    at = (at + size) & mask;
    high = (int64_t)load_sized(cpu, op, seg_linear(cpu, op, op->seg, at, size, false), size);
    index = size == 2 ? (int16_t)cpu->regs[op->reg] : (int32_t)cpu->regs[op->reg];
    low = size == 2 ? (int16_t)low : (int32_t)low;
    high = size == 2 ? (int16_t)high : (int32_t)high;
    if (index < low || index > high) {
        cpu->op = op;
        raise_exception(cpu, EXC_BR);
    }
    NEXT();
}

/* An operation that this CPU model knows and does not offer: #UD without being counted. */
HANDLER(not_offered)
{
    raise_ud(cpu, op);
}

static op_fn *lower_system_rare(const struct insn *in)
{
    switch (in->id) {
    case INSN_UD0: case INSN_UD1: case INSN_UD2:
    case INSN_MONITOR: case INSN_MWAIT: case INSN_RSM: case INSN_VMCALL: case INSN_INVPCID:
    case INSN_RDPID:
        return not_offered;
    case INSN_INVLPG: return invlpg;
    case INSN_INVD: case INSN_WBINVD: return cache_control;
    case INSN_CLFLUSH: return clflush;
    case INSN_CLAC: case INSN_STAC: return set_ac;
    case INSN_BOUND: return bound;
    case INSN_RDPMC: return rdpmc;
    case INSN_LMSW: return lmsw;
    case INSN_SMSW: return smsw;
    case INSN_ARPL: return arpl;
    case INSN_LAR: case INSN_LSL: return lar_lsl_h;
    case INSN_VERR: case INSN_VERW: return verify_h;
    case INSN_SGDT: return sgdt;
    case INSN_SIDT: return sidt;
    case INSN_SLDT: return sldt;
    case INSN_STR: return str;
    default: return NULL;
    }
}

op_fn *lower_system(const struct insn *in, enum ea_kind kind, struct op *op)
{
    (void)kind;
    switch (in->id) {
    case INSN_IN: op->rep = in->form == FORM_DX; return in_port;
    case INSN_OUT: op->rep = in->form == FORM_DX; return out_port;
    case INSN_CLI: return cli;
    case INSN_STI: return sti;
    case INSN_HLT: return hlt;
    case INSN_MOV_FROM_CR: return mov_from_cr;
    case INSN_MOV_TO_CR: return mov_to_cr;
    case INSN_MOV_FROM_DR: return mov_from_dr;
    case INSN_MOV_TO_DR: return mov_to_dr;
    case INSN_CLTS: return clts;
    case INSN_MOV_FROM_SREG: return mov_from_sreg;
    case INSN_MOV_TO_SREG: return mov_to_sreg;
    case INSN_LES: op->imm = SEG_ES; return load_far_pointer;
    case INSN_LDS: op->imm = SEG_DS; return load_far_pointer;
    case INSN_LSS: op->imm = SEG_SS; return load_far_pointer;
    case INSN_LFS: op->imm = SEG_FS; return load_far_pointer;
    case INSN_LGS: op->imm = SEG_GS; return load_far_pointer;
    case INSN_LGDT: return lgdt;
    case INSN_LIDT: return lidt;
    case INSN_LLDT: return lldt;
    case INSN_LTR: return ltr;
    case INSN_SWAPGS: return swapgs;
    case INSN_RDFSBASE: case INSN_RDGSBASE: return read_segment_base;
    case INSN_WRFSBASE: case INSN_WRGSBASE: return write_segment_base;
    case INSN_RDMSR: return rdmsr;
    case INSN_WRMSR: return wrmsr;
    case INSN_RDTSC: case INSN_RDTSCP: return rdtsc;
    case INSN_RDRAND: case INSN_RDSEED: return rdrand;
    case INSN_CPUID: return cpuid;
    default: return lower_system_rare(in);
    }
}
