/* SPDX-License-Identifier: MIT */
/*
 * Hardware tasks (Intel SDM vol. 3, chapter 8): switches by JMP, CALL, IRET, and by task gates of the IDT, between
 * 16-bit and 32-bit TSSs.
 *
 * A switch has two halves (vol. 3, 8.3 and table 8-1). What is checked or touched before `commit` faults in the old
 * task, and the instruction or event can be begun anew: memory that was written holds what it will hold again, and
 * the new TSS is marked busy last. From there on the CPU is in the new task, at its first instruction, and a fault
 * is that one's.
 */
#include "task.h"

#include "exception.h"
#include "interp_internal.h"
#include "system.h"

#define DR6_BT     0x8000u
#define DR7_LOCAL  0x155u /* L0 to L3, LE */
#define FLAGS_TASK (RFLAGS_ARITH | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF |     \
                    RFLAGS_VM | RFLAGS_AC | RFLAGS_VIF | RFLAGS_VIP | RFLAGS_ID)

/* Where things are in a TSS (vol. 3, figures 8-2 and 8-10). General registers and segments follow each other in
 * the order of their numbers, `step` bytes apart. */
struct tss_layout {
    uint8_t width, step;
    uint8_t cr3;         /* 0: it has none */
    uint8_t rip, flags, regs, segs, nsegs, ldt;
    uint8_t trap;        /* 0: it has none */
    uint8_t limit;       /* at least */
};
static const struct tss_layout layout32 = {.width = 4, .step = 4, .cr3 = 28, .rip = 32, .flags = 36, .regs = 40,
                                           .segs = 72, .nsegs = 6, .ldt = 96, .trap = 100, .limit = 103};
static const struct tss_layout layout16 = {.width = 2, .step = 2, .rip = 14, .flags = 16, .regs = 18,
                                           .segs = 34, .nsegs = 4, .ldt = 42, .limit = 43};

/* What a TSS says. */
struct task {
    uint32_t cr3, rip, flags, regs[8];
    uint16_t segs[6], ldt;
    bool trap;
};

static const struct tss_layout *layout_of(uint32_t type)
{
    return type & 8 ? &layout32 : &layout16;
}

/* --- finding the new TSS --- */

/* The descriptor of a TSS that may be switched to. */
static void find_tss(struct cpu *cpu, const struct task_switch *how, struct descriptor *d)
{
    bool back = how->source == TASK_IRET;
    uint32_t error = (how->selector & 0xfffcu) | how->ext;
    enum exception wrong = back ? EXC_TS : EXC_GP;
    unsigned type;

    if (selector_is_null(how->selector) || (how->selector & 4) || !descriptor_read(cpu, how->selector, d))
        raise_error(cpu, wrong, error);
    type = DESC_TYPE(d) & ~8u;
    if ((d->high & DESC_S) || type != (back ? SYS_TSS16_BUSY : SYS_TSS16_AVAIL))
        raise_error(cpu, wrong, error);
    if (!(d->high & DESC_P))
        raise_error(cpu, EXC_NP, error);
    if (descriptor_limit(d) < layout_of(DESC_TYPE(d))->limit)
        raise_error(cpu, EXC_TS, error);
}

static uint32_t tss_get(struct cpu *cpu, const struct descriptor *d, unsigned at, unsigned size)
{
    return (uint32_t)sys_read(cpu, (uint32_t)(descriptor_base(d) + at), size);
}

static void read_task(struct cpu *cpu, const struct descriptor *d, struct task *t)
{
    const struct tss_layout *l = layout_of(DESC_TYPE(d));
    uint32_t upper = l->width == 2 ? 0xffff0000u : 0; /* of registers: undefined by the manual */

    *t = (struct task){.cr3 = (uint32_t)cpu->cr3};
    if (l->cr3 != 0)
        t->cr3 = tss_get(cpu, d, l->cr3, 4);
    t->rip = tss_get(cpu, d, l->rip, l->width);
    t->flags = tss_get(cpu, d, l->flags, l->width);
    for (unsigned i = 0; i < 8; i++)
        t->regs[i] = upper | tss_get(cpu, d, l->regs + i * l->step, l->width);
    for (unsigned i = 0; i < l->nsegs; i++)
        t->segs[i] = (uint16_t)tss_get(cpu, d, l->segs + i * l->step, 2);
    t->ldt = (uint16_t)tss_get(cpu, d, l->ldt, 2);
    t->trap = l->trap != 0 && (tss_get(cpu, d, l->trap, 2) & 1);
}

/* --- leaving the old one --- */

static void tr_put(struct cpu *cpu, unsigned at, uint64_t value, unsigned size)
{
    sys_write(cpu, (uint32_t)(cpu->tr.base + at), value, size);
}

static void save_task(struct cpu *cpu, const struct task_switch *how)
{
    const struct tss_layout *l = layout_of(cpu->tr.ar);
    uint64_t flags = rflags_read(cpu) | how->saved_flags;

    if (cpu->tr.limit < l->limit)
        raise_error(cpu, EXC_TS, (cpu->tr.selector & 0xfffcu) | how->ext);
    if (how->source == TASK_IRET)
        flags &= ~(uint64_t)RFLAGS_NT;
    tr_put(cpu, l->rip, how->saved_rip, l->width);
    tr_put(cpu, l->flags, flags, l->width);
    for (unsigned i = 0; i < 8; i++)
        tr_put(cpu, l->regs + i * l->step, cpu->regs[i], l->width);
    for (unsigned i = 0; i < l->nsegs; i++)
        tr_put(cpu, l->segs + i * l->step, cpu->seg[i].selector, 2);
}

/* In the GDT. */
static void mark_old_available(struct cpu *cpu)
{
    struct descriptor d;

    if (selector_is_null(cpu->tr.selector) || !descriptor_read(cpu, cpu->tr.selector, &d))
        return;
    sys_write(cpu, d.linear + 4, d.high & ~DESC_RW, 4);
}

/* --- entering the new one --- */

/* The hidden parts of its segments are not there yet. */
static void commit(struct cpu *cpu, const struct task_switch *how, const struct descriptor *d, const struct task *t)
{
    bool nested = how->source == TASK_CALL || how->source == TASK_EVENT;

    cpu->op = NULL;
    cpu->tf_armed = false;
    cpu->shadow_icount = UINT64_MAX;
    segment_from_descriptor(&cpu->tr, how->selector, d);
    cpu->rip = t->rip;
    for (unsigned i = 0; i < 8; i++)
        cpu->regs[i] = t->regs[i];
    rflags_write(cpu, t->flags | (nested ? RFLAGS_NT : 0), FLAGS_TASK);
    for (unsigned i = 0; i < 6; i++)
        cpu->seg[i] = (struct segment){.selector = t->segs[i], .ar = SEG_UNUSABLE};
    cpu->ldtr = (struct segment){.selector = t->ldt, .ar = SEG_UNUSABLE};
    cpu->cpl = t->flags & RFLAGS_VM ? 3 : t->segs[SEG_CS] & 3u;
    cr0_write(cpu, cpu->cr0 | CR0_TS);
    cpu->dr[7] &= ~(uint64_t)DR7_LOCAL;
    cpu_debug_changed(cpu);
    cpu_update_mode(cpu);
}

static void load_cr3(struct cpu *cpu, const struct descriptor *d, const struct task *t)
{
    if ((cpu->cr0 & CR0_PG) && layout_of(DESC_TYPE(d))->cr3 != 0)
        cr3_write(cpu, t->cr3);
}

static void load_ldt(struct cpu *cpu, uint16_t selector, unsigned ext)
{
    struct descriptor d;

    if (selector_is_null(selector))
        return;
    if ((selector & 4) || !descriptor_read(cpu, selector, &d) || (d.high & DESC_S) ||
        DESC_TYPE(&d) != SYS_LDT || !(d.high & DESC_P))
        raise_error(cpu, EXC_TS, (selector & 0xfffcu) | ext);
    segment_from_descriptor(&cpu->ldtr, selector, &d);
}

static void load_code(struct cpu *cpu, uint16_t selector, unsigned ext)
{
    uint32_t error = (selector & 0xfffcu) | ext;
    unsigned rpl = selector & 3u;
    struct descriptor d;

    if (selector_is_null(selector) || !descriptor_read(cpu, selector, &d) || !(d.high & DESC_S) ||
        !(d.high & DESC_CODE) || (d.high & DESC_CONF ? DESC_DPL(&d) > rpl : DESC_DPL(&d) != rpl))
        raise_error(cpu, EXC_TS, error);
    if (!(d.high & DESC_P))
        raise_error(cpu, EXC_NP, error);
    code_segment_set(cpu, selector, &d, rpl);
}

static void load_stack(struct cpu *cpu, uint16_t selector, unsigned ext)
{
    stack_segment_read(cpu, selector, cpu->cpl, ext, &cpu->seg[SEG_SS]);
}

static void load_data(struct cpu *cpu, unsigned seg, uint16_t selector, unsigned ext)
{
    uint32_t error = (selector & 0xfffcu) | ext;
    struct descriptor d;
    bool code;

    if (selector_is_null(selector))
        return;
    if (!descriptor_read(cpu, selector, &d) || !(d.high & DESC_S))
        raise_error(cpu, EXC_TS, error);
    code = d.high & DESC_CODE;
    if ((code && !(d.high & DESC_RW)) ||
        (!(code && (d.high & DESC_CONF)) && ((selector & 3u) > DESC_DPL(&d) || cpu->cpl > DESC_DPL(&d))))
        raise_error(cpu, EXC_TS, error);
    if (!(d.high & DESC_P))
        raise_error(cpu, EXC_NP, error);
    descriptor_mark_accessed(cpu, &d);
    segment_from_descriptor(&cpu->seg[seg], selector, &d);
}

static void load_segments(struct cpu *cpu, const struct task *t, unsigned ext)
{
    static const uint8_t data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};

    load_ldt(cpu, t->ldt, ext);
    if (t->flags & RFLAGS_VM) {
        for (unsigned i = 0; i < 6; i++)
            segment_load_real(cpu, i, t->segs[i]);
    } else {
        load_code(cpu, t->segs[SEG_CS], ext);
        load_stack(cpu, t->segs[SEG_SS], ext);
        for (unsigned i = 0; i < sizeof(data); i++)
            load_data(cpu, data[i], t->segs[data[i]], ext);
    }
    cpu_update_mode(cpu);
    if (cpu->rip > cpu->seg[SEG_CS].limit)
        raise_error(cpu, EXC_GP, ext);
}

/* --- all of it --- */

void task_switch(struct cpu *cpu, const struct task_switch *how)
{
    bool nested = how->source == TASK_CALL || how->source == TASK_EVENT;
    const struct op *op = cpu->op;
    uint64_t retired = cpu->icount;
    struct descriptor d;
    struct task t;

    find_tss(cpu, how, &d);
    read_task(cpu, &d, &t);
    save_task(cpu, how);
    if (nested)
        sys_write(cpu, descriptor_base(&d), cpu->tr.selector, 2); /* the back link */
    else
        mark_old_available(cpu);
    d.high |= DESC_RW;
    if (how->source != TASK_IRET)
        sys_write(cpu, d.linear + 4, d.high, 4);
    commit(cpu, how, &d, &t);
    if (op != NULL)
        cpu->icount = insn_icount(cpu, op); /* an instruction that faults does not count, in the new task either */
    load_cr3(cpu, &d, &t);
    load_segments(cpu, &t, how->ext);
    cpu->icount = retired;
    if (t.trap) {
        cpu->trap_dr6 |= DR6_BT;
        cpu->pending |= PENDING_TRAP;
    }
}

void task_return(struct cpu *cpu, uint64_t next_rip)
{
    task_switch(cpu, &(struct task_switch){.source = TASK_IRET,
                                           .selector = (uint16_t)sys_read(cpu, (uint32_t)cpu->tr.base, 2),
                                           .saved_rip = next_rip});
}
