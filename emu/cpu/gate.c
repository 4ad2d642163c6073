/* SPDX-License-Identifier: MIT */
/*
 * Call gates (Intel SDM vol. 3, 5.8.3 to 5.8.5) of 16, 32 and 64 bits, and task switches by far JMP and CALL
 * (8.3): through a task gate, or to a TSS.
 */
#include "gate.h"

#include "dispatch.h"
#include "stack.h"
#include "task.h"

#define MAX_PARAMETERS 31u

/* What a call gate says. */
struct call_gate {
    uint16_t selector;
    uint64_t rip;
    unsigned words; /* to copy from stack to stack */
    unsigned size;  /* bytes of what is pushed */
};

/* Who may use a gate, or name a TSS, and whether it is there. */
static void check_access(struct cpu *cpu, uint16_t selector, const struct descriptor *d)
{
    uint32_t error = selector & 0xfffcu;

    if (DESC_DPL(d) < cpu->cpl || DESC_DPL(d) < (selector & 3u))
        raise_error(cpu, EXC_GP, error);
    if (!(d->high & DESC_P))
        raise_error(cpu, EXC_NP, error);
}

static struct call_gate read_gate(struct cpu *cpu, uint16_t selector, const struct descriptor *d)
{
    struct call_gate g = {.selector = (uint16_t)(d->low >> 16), .rip = d->low & 0xffff};

    if (long_mode(cpu)) {
        /* The fourth word holds the type 0, so that no selector can name the gate's upper half. */
        if (sys_read(cpu, d->linear + 12, 4) & 0x1f00u)
            raise_error(cpu, EXC_GP, selector & 0xfffcu);
        g.rip |= (d->high & 0xffff0000u) | (uint64_t)d->upper << 32;
        g.size = 8;
    } else {
        g.size = DESC_TYPE(d) == SYS_CALL ? 4 : 2;
        if (g.size == 4)
            g.rip |= d->high & 0xffff0000u;
        g.words = d->high & MAX_PARAMETERS;
    }
    return g;
}

/* The code segment that the gate leads to. */
static void read_target(struct cpu *cpu, const struct call_gate *g, struct descriptor *d)
{
    uint32_t error = g->selector & 0xfffcu;

    if (selector_is_null(g->selector))
        raise_gp0(cpu);
    if (!descriptor_read(cpu, g->selector, d) || !(d->high & DESC_S) || !(d->high & DESC_CODE) ||
        DESC_DPL(d) > cpu->cpl)
        raise_error(cpu, EXC_GP, error);
    if (long_mode(cpu) && (!(d->high & DESC_L) || (d->high & DESC_DB)))
        raise_error(cpu, EXC_GP, error);
    if (!(d->high & DESC_P))
        raise_error(cpu, EXC_NP, error);
}

static void check_target_rip(struct cpu *cpu, const struct call_gate *g, const struct descriptor *d)
{
    if (long_mode(cpu) ? !cpu_is_canonical(g->rip) : g->rip > descriptor_limit(d))
        raise_gp0(cpu);
}

/* --- call gates --- */

static void jump_through(struct cpu *cpu, const struct call_gate *g)
{
    struct descriptor d;

    read_target(cpu, g, &d);
    if (!(d.high & DESC_CONF) && DESC_DPL(&d) != cpu->cpl)
        raise_error(cpu, EXC_GP, g->selector & 0xfffcu);
    check_target_rip(cpu, g, &d);
    cpu->rip = g->rip;
    code_segment_set(cpu, g->selector, &d, cpu->cpl);
}

static void call_same_level(struct cpu *cpu, const struct op *op, const struct call_gate *g, struct descriptor *d)
{
    stack_poke(cpu, op, -(int64_t)g->size, cpu->seg[SEG_CS].selector, g->size);
    stack_poke(cpu, op, -2 * (int64_t)g->size, op_next_rip(cpu, op), g->size);
    stack_move(cpu, -2 * (int64_t)g->size);
    cpu->rip = g->rip;
    code_segment_set(cpu, g->selector, d, cpu->cpl);
}

static void push_long(struct cpu *cpu, uint64_t *rsp, uint64_t value)
{
    *rsp -= 8;
    if (!cpu_is_canonical(*rsp))
        raise_error(cpu, EXC_SS, 0);
    sys_write(cpu, *rsp, value, 8);
}

static void call_inner_long(struct cpu *cpu, const struct op *op, const struct call_gate *g, struct descriptor *d)
{
    unsigned cpl = DESC_DPL(d);
    uint64_t rsp = tss64_stack(cpu, cpl, 0);

    push_long(cpu, &rsp, cpu->seg[SEG_SS].selector);
    push_long(cpu, &rsp, cpu->regs[REG_RSP]);
    push_long(cpu, &rsp, cpu->seg[SEG_CS].selector);
    push_long(cpu, &rsp, op_next_rip(cpu, op));
    stack_segment_null(cpu, cpl);
    cpu->regs[REG_RSP] = rsp;
    cpu->rip = g->rip;
    code_segment_set(cpu, g->selector, d, cpl);
}

/* The parameters lie on the old stack with the last one pushed at its top. They are pushed in the same order. */
static void copy_parameters(struct cpu *cpu, const struct op *op, const struct call_gate *g, struct stack_push *st)
{
    for (unsigned i = g->words; i-- > 0;)
        stack_push_to(cpu, st, (uint32_t)stack_peek(cpu, op, (int64_t)i * g->size, g->size));
}

static void call_inner(struct cpu *cpu, const struct op *op, const struct call_gate *g, struct descriptor *d)
{
    unsigned cpl = DESC_DPL(d);
    struct stack_push st;
    struct segment ss;
    uint64_t esp;

    inner_stack(cpu, cpl, 0, &ss, &esp);
    st = stack_pushes(&ss, esp, g->size);
    stack_check_room(cpu, &ss, esp, g->size * (4 + g->words), ss.selector & 0xfffcu);
    stack_push_to(cpu, &st, cpu->seg[SEG_SS].selector);
    stack_push_to(cpu, &st, (uint32_t)cpu->regs[REG_RSP]);
    copy_parameters(cpu, op, g, &st);
    stack_push_to(cpu, &st, cpu->seg[SEG_CS].selector);
    stack_push_to(cpu, &st, (uint32_t)op_next_rip(cpu, op));
    stack_set(cpu, &ss, st.sp);
    cpu->rip = g->rip;
    code_segment_set(cpu, g->selector, d, cpl);
}

static void call_through(struct cpu *cpu, const struct op *op, const struct call_gate *g)
{
    struct descriptor d;

    read_target(cpu, g, &d);
    check_target_rip(cpu, g, &d);
    if ((d.high & DESC_CONF) || DESC_DPL(&d) == cpu->cpl)
        call_same_level(cpu, op, g, &d);
    else if (long_mode(cpu))
        call_inner_long(cpu, op, g, &d);
    else
        call_inner(cpu, op, g, &d);
}

/* --- tasks --- */

static void to_task(struct cpu *cpu, const struct op *op, uint16_t selector, enum task_source source)
{
    task_switch(cpu, &(struct task_switch){
                         .source = source, .selector = selector, .saved_rip = op_next_rip(cpu, op)});
}

/* --- which of them --- */

enum gate_kind { GATE_NONE, GATE_CALL, GATE_TASK, GATE_TSS };

static enum gate_kind kind_of(const struct cpu *cpu, const struct descriptor *d)
{
    switch (DESC_TYPE(d)) {
    case SYS_CALL: return GATE_CALL;
    case SYS_CALL16: return long_mode(cpu) ? GATE_NONE : GATE_CALL;
    case SYS_TASK_GATE: return long_mode(cpu) ? GATE_NONE : GATE_TASK;
    case SYS_TSS16_AVAIL:
    case SYS_TSS_AVAIL: return long_mode(cpu) ? GATE_NONE : GATE_TSS;
    default: return GATE_NONE;
    }
}

static void go(struct cpu *cpu, const struct op *op, uint16_t selector, const struct descriptor *d, bool call)
{
    enum task_source source = call ? TASK_CALL : TASK_JMP;
    enum gate_kind kind = kind_of(cpu, d);
    struct call_gate g;

    if (kind == GATE_NONE)
        raise_error(cpu, EXC_GP, selector & 0xfffcu);
    check_access(cpu, selector, d);
    switch (kind) {
    case GATE_TASK: to_task(cpu, op, (uint16_t)(d->low >> 16), source); break;
    case GATE_TSS: to_task(cpu, op, selector, source); break;
    default:
        g = read_gate(cpu, selector, d);
        if (call)
            call_through(cpu, op, &g);
        else
            jump_through(cpu, &g);
    }
}

void gate_jump(struct cpu *cpu, const struct op *op, uint16_t selector, const struct descriptor *d)
{
    go(cpu, op, selector, d, false);
}

void gate_call(struct cpu *cpu, const struct op *op, uint16_t selector, const struct descriptor *d)
{
    go(cpu, op, selector, d, true);
}
