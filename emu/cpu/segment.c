/* SPDX-License-Identifier: MIT */
/*
 * Segment registers: descriptors, loading, checking (Intel SDM vol. 3, chapters 3 and 5), and the
 * linear addresses of everything but flat 64-bit operands.
 */
#include "exception.h"
#include "inspect.h"

/* --- descriptors --- */

bool descriptor_read(struct cpu *cpu, uint16_t selector, struct descriptor *d)
{
    bool local = selector & 4;
    uint64_t base = local ? cpu->ldtr.base : cpu->gdtr.base;
    uint32_t limit = local ? cpu->ldtr.limit : cpu->gdtr.limit;
    uint32_t offset = selector & 0xfff8u;
    uint64_t raw;

    if (local && (cpu->ldtr.ar & SEG_UNUSABLE))
        return false;
    if (offset + 7 > limit)
        return false;
    d->linear = base + offset;
    if (!long_mode(cpu))
        d->linear = (uint32_t)d->linear;
    raw = sys_read(cpu, d->linear, 8);
    d->low = (uint32_t)raw;
    d->high = (uint32_t)(raw >> 32);
    d->upper = 0;
    if (!(d->high & DESC_S) && long_mode(cpu) && DESC_TYPE(d) != 0) {
        if (offset + 15 > limit)
            return false;
        d->upper = (uint32_t)sys_read(cpu, d->linear + 8, 4);
    }
    return true;
}

uint32_t descriptor_base(const struct descriptor *d)
{
    return d->low >> 16 | (d->high & 0xff) << 16 | (d->high & 0xff000000u);
}

uint32_t descriptor_limit(const struct descriptor *d)
{
    uint32_t limit = (d->low & 0xffff) | (d->high & 0xf0000u);

    return d->high & DESC_G ? limit << 12 | 0xfff : limit;
}

uint32_t descriptor_ar(const struct descriptor *d)
{
    return (d->high >> 8) & 0xf0ffu;
}

void descriptor_mark_accessed(struct cpu *cpu, struct descriptor *d)
{
    if (d->high & DESC_ACCESSED)
        return;
    d->high |= DESC_ACCESSED;
    sys_write(cpu, d->linear + 4, d->high, 4);
}

void segment_from_descriptor(struct segment *seg, uint16_t selector, const struct descriptor *d)
{
    seg->selector = selector;
    seg->base = descriptor_base(d) | (uint64_t)d->upper << 32;
    seg->limit = descriptor_limit(d);
    seg->ar = descriptor_ar(d);
}

/* --- loading --- */

void segment_load_real(struct cpu *cpu, unsigned seg, uint16_t selector)
{
    cpu->seg[seg].selector = selector;
    cpu->seg[seg].base = (uint64_t)selector << 4;
    if (cpu->rflags & RFLAGS_VM) {
        cpu->seg[seg].limit = 0xffff;
        cpu->seg[seg].ar = 0xf3;
    }
    /* In real mode limit and rights stay what they were ("big real mode"). */
    cpu_update_mode(cpu);
}

static void load_null(struct cpu *cpu, unsigned seg, uint16_t selector)
{
    struct segment *s = &cpu->seg[seg];

    s->selector = selector;
    s->base = 0;
    s->limit = 0;
    s->ar = SEG_UNUSABLE;
    if (seg == SEG_SS)
        s->ar |= cpu->cpl << 5 | AR_DB; /* the stack's level is the CPL, in 64-bit mode */
}

static void check_stack_segment(struct cpu *cpu, uint16_t selector, const struct descriptor *d)
{
    bool writable_data = (d->high & DESC_S) && !(d->high & DESC_CODE) && (d->high & DESC_RW);

    if ((selector & 3u) != cpu->cpl || !writable_data || DESC_DPL(d) != cpu->cpl)
        raise_error(cpu, EXC_GP, selector & 0xfffcu);
    if (!(d->high & DESC_P))
        raise_error(cpu, EXC_SS, selector & 0xfffcu);
}

static void check_data_segment(struct cpu *cpu, uint16_t selector, const struct descriptor *d)
{
    bool code = d->high & DESC_CODE;
    bool conforming = code && (d->high & DESC_CONF);
    unsigned rpl = selector & 3u;

    if (!(d->high & DESC_S) || (code && !(d->high & DESC_RW)))
        raise_error(cpu, EXC_GP, selector & 0xfffcu);
    if (!conforming && (rpl > DESC_DPL(d) || cpu->cpl > DESC_DPL(d)))
        raise_error(cpu, EXC_GP, selector & 0xfffcu);
    if (!(d->high & DESC_P))
        raise_error(cpu, EXC_NP, selector & 0xfffcu);
}

void segment_load(struct cpu *cpu, unsigned seg, uint16_t selector)
{
    struct descriptor d;

    if (!protected_mode(cpu)) {
        segment_load_real(cpu, seg, selector);
        return;
    }
    if (selector_is_null(selector)) {
        if (seg == SEG_SS && (mode_code_size(cpu->mode) != CODE_64 || cpu->cpl == 3 ||
                              (selector & 3u) != cpu->cpl))
            raise_gp0(cpu);
        load_null(cpu, seg, selector);
        cpu_update_mode(cpu);
        return;
    }
    if (!descriptor_read(cpu, selector, &d))
        raise_error(cpu, EXC_GP, selector & 0xfffcu);
    if (seg == SEG_SS)
        check_stack_segment(cpu, selector, &d);
    else
        check_data_segment(cpu, selector, &d);
    descriptor_mark_accessed(cpu, &d);
    segment_from_descriptor(&cpu->seg[seg], selector, &d);
    cpu_update_mode(cpu);
}

void code_target_check(struct cpu *cpu, uint16_t selector, const struct descriptor *d, unsigned cpl)
{
    uint32_t error = selector & 0xfffcu;
    bool conforming = d->high & DESC_CONF;

    if (!(d->high & DESC_S) || !(d->high & DESC_CODE))
        raise_error(cpu, EXC_GP, error);
    if (conforming ? DESC_DPL(d) > cpl : (selector & 3u) > cpl || DESC_DPL(d) != cpl)
        raise_error(cpu, EXC_GP, error);
    if (long_mode(cpu) && (d->high & DESC_L) && (d->high & DESC_DB))
        raise_error(cpu, EXC_GP, error);
    if (!(d->high & DESC_P))
        raise_error(cpu, EXC_NP, error);
}

void code_segment_set(struct cpu *cpu, uint16_t selector, struct descriptor *d, unsigned cpl)
{
    descriptor_mark_accessed(cpu, d);
    segment_from_descriptor(&cpu->seg[SEG_CS], (uint16_t)((selector & 0xfffcu) | cpl), d);
    cpu->cpl = cpl;
    cpu_update_mode(cpu);
}

void stack_segment_null(struct cpu *cpu, unsigned cpl)
{
    cpu->cpl = cpl;
    load_null(cpu, SEG_SS, (uint16_t)cpl);
}

void segments_forget_data(struct cpu *cpu)
{
    load_null(cpu, SEG_ES, 0);
    load_null(cpu, SEG_DS, 0);
    load_null(cpu, SEG_FS, 0);
    load_null(cpu, SEG_GS, 0);
    cpu_update_mode(cpu);
}

void segments_drop_inner(struct cpu *cpu)
{
    static const uint8_t data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    unsigned i;

    for (i = 0; i < sizeof(data); i++) {
        struct segment *s = &cpu->seg[data[i]];
        bool conforming = (s->ar & AR_CODE) && (s->ar & AR_DC);

        if (selector_is_null(s->selector))
            s->selector = 0; /* whatever its RPL (SDM vol. 2, IRET) */
        if (!(s->ar & SEG_UNUSABLE) && !conforming && AR_DPL(s->ar) < cpu->cpl) {
            uint64_t base = s->base;

            load_null(cpu, data[i], 0);
            /* In 64-bit mode FS and GS bases live on (they are MSRs). */
            if (long_mode(cpu) && data[i] >= SEG_FS)
                cpu->seg[data[i]].base = base;
        }
    }
    cpu_update_mode(cpu);
}

/* --- addresses --- */

static bool limit_allows(const struct segment *s, uint64_t offset, unsigned size)
{
    uint64_t last = offset + size - 1;

    if (!(s->ar & AR_CODE) && (s->ar & AR_DC) && (s->ar & AR_S)) /* expand-down */
        return offset > s->limit && last <= (s->ar & AR_DB ? 0xffffffffu : 0xffffu);
    return last <= s->limit;
}

static bool type_allows(const struct segment *s, bool write)
{
    if (write)
        return !(s->ar & AR_CODE) && (s->ar & AR_RW);
    return !(s->ar & AR_CODE) || (s->ar & AR_RW);
}

uint64_t seg_linear(struct cpu *cpu, const struct op *op, unsigned seg, uint64_t offset,
                    unsigned size, bool write)
{
    const struct segment *s = &cpu->seg[seg];
    bool ok;

    if (mode_code_size(cpu->mode) == CODE_64)
        return seg >= SEG_FS ? s->base + offset : offset;
    ok = limit_allows(s, offset, size);
    if (ok && protected_mode(cpu))
        ok = !(s->ar & SEG_UNUSABLE) && type_allows(s, write);
    if (!ok) {
        cpu->op = op;
        raise_error(cpu, seg == SEG_SS ? EXC_SS : EXC_GP, 0);
    }
    return (uint32_t)(s->base + offset);
}

uint64_t ea_offset(const struct cpu *cpu, const struct op *op)
{
    uint64_t base = cpu->regs[op->base], ea;

    if (op->base == REG_RIP && op->scale != 0) /* lower.c, rebase_disp() */
        base += 1ULL << 32;
    ea = base + (cpu->regs[op->index] << op->scale) + (uint64_t)(int64_t)op->disp;
    switch (op->addrsize) {
    case OPSIZE_16: return (uint16_t)ea;
    case OPSIZE_32: return (uint32_t)ea;
    default: return ea;
    }
}

uint64_t ea_any(struct cpu *cpu, const struct op *op, unsigned size, bool write)
{
    return seg_linear(cpu, op, op->seg, ea_offset(cpu, op), size, write);
}

enum ea_kind ea_kind_of(const struct cpu *cpu, const struct insn *in)
{
    if (mode_code_size(cpu->mode) == CODE_64) {
        if (in->addrsize != OPSIZE_64 || in->seg >= SEG_FS)
            return EA_ANY;
        return in->index == REG_NONE ? EA_BD : EA_BISD;
    }
    /* CS is flat too, but cannot be written: EA_ANY looks. */
    if ((cpu->mode & MODE_FLAT) && in->addrsize == OPSIZE_32 && in->seg < SEG_FS &&
        in->seg != SEG_CS)
        return EA_32;
    return EA_ANY;
}

/* --- mode bits --- */

static bool is_flat(const struct segment *s)
{
    return s->base == 0 && s->limit == UINT32_MAX && !(s->ar & SEG_UNUSABLE);
}

/* Flat only when every access that protected mode could refuse is allowed as well. */
static bool all_flat(const struct cpu *cpu)
{
    static const uint8_t segs[] = {SEG_ES, SEG_SS, SEG_DS};
    unsigned i;

    if (!(cpu->cr0 & CR0_PE) || !is_flat(&cpu->seg[SEG_CS]) || !(cpu->seg[SEG_CS].ar & AR_RW))
        return false;
    for (i = 0; i < sizeof(segs); i++) {
        const struct segment *s = &cpu->seg[segs[i]];

        if (!is_flat(s) || (s->ar & AR_CODE) || (s->ar & AR_DC) || !(s->ar & AR_RW))
            return false;
    }
    return true;
}

enum code_size cpu_code_size(const struct cpu *cpu)
{
    if (long_mode(cpu) && (cpu->seg[SEG_CS].ar & AR_L))
        return CODE_64;
    if (cpu->rflags & RFLAGS_VM)
        return CODE_16;
    return cpu->seg[SEG_CS].ar & AR_DB ? CODE_32 : CODE_16;
}

static enum mmu_view current_view(const struct cpu *cpu)
{
    if (cpu->cpl == 3)
        return MMU_USER;
    return (cpu->cr4 & CR4_SMAP) && !(cpu->rflags & RFLAGS_AC) ? MMU_KERNEL : MMU_KERNEL_AC;
}

void cpu_update_mode(struct cpu *cpu)
{
    enum code_size size = cpu_code_size(cpu);
    bool align = (cpu->cr0 & CR0_AM) && (cpu->rflags & RFLAGS_AC) && cpu->cpl == 3;

    cpu->mode = (uint32_t)size;
    if (size != CODE_64) {
        if (all_flat(cpu))
            cpu->mode |= MODE_FLAT;
        if (cpu->seg[SEG_SS].ar & AR_DB)
            cpu->mode |= MODE_STACK32;
    }
    if (cpu->cpl == 3)
        cpu->mode |= MODE_USER;
    cpu->view = current_view(cpu);
    cpu->tlb = cpu->tlbs[align ? (unsigned)MMU_VIEWS : cpu->view];
    cpu->jump_key = (cpu->jump_key & ~0xffULL) | cpu->mode;
    inspect_control_changed(cpu);
}
