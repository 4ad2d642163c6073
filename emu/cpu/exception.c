/* SPDX-License-Identifier: MIT */
/*
 * Delivery of exceptions and interrupts (Intel SDM vol. 3, chapter 6), and debug registers (17.2).
 *
 * Modelled: real mode vectors; 32-bit and 16-bit interrupt and trap gates with stack switches, out of
 * virtual-8086 mode as well; task gates; 64-bit gates with IST; double and triple faults; error codes with
 * EXT and IDT bits.
 *
 * A delivery commits nothing before its last memory access, so that a fault in the middle finds the
 * state of the interrupted program.
 */
#include "exception.h"

#include "debugger.h"
#include "task.h"
#include "watch.h"

/* How an event came about: decides DPL checks, EXT, RF and what is pushed. */
enum event_kind { EVENT_FAULT, EVENT_TRAP, EVENT_SOFT, EVENT_EXTERNAL };

struct event {
    uint8_t vector;
    enum event_kind kind;
    bool check_dpl;     /* INT n, INT3, INTO */
    bool breakpoint;    /* an instruction breakpoint of DR0..DR3 */
    bool has_error;
    uint32_t error;
    uint64_t rip;       /* to push */
};

/* Clear for INT n, INT3 and INTO alone (SDM vol. 3, 6.13). */
static uint32_t ext_bit(const struct event *ev)
{
    return ev->check_dpl ? 0 : 1;
}

static uint32_t idt_error(const struct event *ev)
{
    return (uint32_t)ev->vector * 8 + 2 + ext_bit(ev);
}

uint64_t rflags_read(const struct cpu *cpu)
{
    return (cpu->rflags & ~(uint64_t)RFLAGS_ARITH) | flags_get(cpu) | RFLAGS_ONE;
}

void rflags_write(struct cpu *cpu, uint64_t value, uint64_t mask)
{
    uint64_t now = rflags_read(cpu);

    now = (now & ~mask) | (value & mask);
    flags_set(cpu, now);
    cpu->rflags = (now & ~(uint64_t)RFLAGS_ARITH) | RFLAGS_ONE;
}

/* A repeated string instruction goes on here. */
static bool between_iterations(const struct cpu *cpu)
{
    return cpu->repeat_mark == cpu->icount && cpu_entries(cpu, cpu->icount) == 0;
}

/*
 * RF is set for faults, so that the instruction gets past its breakpoint when it is run again; but not for the fault
 * that this breakpoint is. And between two iterations of a string instruction (SDM vol. 3, 17.3.1.1).
 */
static uint32_t pushed_rf(const struct cpu *cpu, const struct event *ev)
{
    if (ev->kind == EVENT_FAULT)
        return ev->breakpoint ? 0 : RFLAGS_RF;
    return ev->kind != EVENT_SOFT && between_iterations(cpu) ? RFLAGS_RF : 0;
}

static uint64_t pushed_flags(const struct cpu *cpu, const struct event *ev)
{
    return rflags_read(cpu) | pushed_rf(cpu, ev);
}

/* SS:ESP of the TSS for a privilege level. */
static void tss_stack(struct cpu *cpu, unsigned level, unsigned ext, uint16_t *ss, uint64_t *rsp)
{
    bool is32 = cpu->tr.ar & 8;
    uint32_t at = is32 ? 4 + level * 8 : 2 + level * 4;
    uint32_t size = is32 ? 6 : 4;

    if (at + size - 1 > cpu->tr.limit)
        raise_error(cpu, EXC_TS, (cpu->tr.selector & 0xfffcu) | ext);
    *rsp = sys_read(cpu, (uint32_t)(cpu->tr.base + at), is32 ? 4 : 2);
    *ss = (uint16_t)sys_read(cpu, (uint32_t)(cpu->tr.base + at + (is32 ? 4u : 2u)), 2);
}

/* --- 64-bit --- */

static uint64_t tss64_rsp(struct cpu *cpu, unsigned at, unsigned ext)
{
    uint64_t rsp;

    if (at + 7 > cpu->tr.limit)
        raise_error(cpu, EXC_TS, (cpu->tr.selector & 0xfffcu) | ext);
    rsp = sys_read(cpu, cpu->tr.base + at, 8);
    if (!cpu_is_canonical(rsp))
        raise_error(cpu, EXC_SS, ext);
    return rsp;
}

uint64_t tss64_stack(struct cpu *cpu, unsigned level, unsigned ext)
{
    return tss64_rsp(cpu, 4 + level * 8, ext);
}

/* The code segment that a gate names: checked, and the level it runs at. */
static unsigned gate_target(struct cpu *cpu, const struct event *ev, uint16_t selector,
                            struct descriptor *d)
{
    uint32_t error = (selector & 0xfffcu) | ext_bit(ev);

    if (selector_is_null(selector))
        raise_error(cpu, EXC_GP, ext_bit(ev));
    if (!descriptor_read(cpu, selector, d))
        raise_error(cpu, EXC_GP, error);
    if (!(d->high & DESC_S) || !(d->high & DESC_CODE) || DESC_DPL(d) > cpu->cpl)
        raise_error(cpu, EXC_GP, error);
    if (long_mode(cpu) && (!(d->high & DESC_L) || (d->high & DESC_DB)))
        raise_error(cpu, EXC_GP, error);
    /* Out of virtual-8086 mode there is but one way: to level 0 (vol. 2, INT n). */
    if ((cpu->rflags & RFLAGS_VM) && ((d->high & DESC_CONF) || DESC_DPL(d) != 0))
        raise_error(cpu, EXC_GP, error);
    if (!(d->high & DESC_P))
        raise_error(cpu, EXC_NP, error);
    return d->high & DESC_CONF ? cpu->cpl : DESC_DPL(d);
}

static void check_gate(struct cpu *cpu, const struct event *ev, unsigned type, uint32_t high)
{
    bool known = type == SYS_INT || type == SYS_TRAP;

    if (!long_mode(cpu))
        known = known || type == SYS_INT16 || type == SYS_TRAP16 || type == SYS_TASK_GATE;

    if ((high & DESC_S) || !known)
        raise_error(cpu, EXC_GP, idt_error(ev));
    if (ev->check_dpl && ((high >> 13) & 3) < cpu->cpl)
        raise_error(cpu, EXC_GP, idt_error(ev) & ~1u);
    if (!(high & DESC_P))
        raise_error(cpu, EXC_NP, idt_error(ev));
}

static void push64(struct cpu *cpu, uint64_t *rsp, uint64_t value)
{
    *rsp -= 8;
    if (!cpu_is_canonical(*rsp))
        raise_error(cpu, EXC_SS, 0);
    sys_write(cpu, *rsp, value, 8);
}

static void enter_common(struct cpu *cpu, bool interrupt_gate)
{
    cpu->rflags &= ~(uint64_t)(RFLAGS_TF | RFLAGS_RF | RFLAGS_NT | RFLAGS_VM);
    if (interrupt_gate)
        cpu->rflags &= ~(uint64_t)RFLAGS_IF;
    cpu->shadow_icount = UINT64_MAX;
}

static void deliver_long(struct cpu *cpu, const struct event *ev)
{
    uint64_t low, high, rip, rsp = cpu->regs[REG_RSP];
    struct descriptor d;
    uint16_t selector;
    unsigned type, ist, cpl;
    uint16_t old_cs = cpu->seg[SEG_CS].selector, old_ss = cpu->seg[SEG_SS].selector;

    if ((uint32_t)ev->vector * 16 + 15 > cpu->idtr.limit)
        raise_error(cpu, EXC_GP, idt_error(ev));
    low = sys_read(cpu, cpu->idtr.base + ev->vector * 16u, 8);
    high = sys_read(cpu, cpu->idtr.base + ev->vector * 16u + 8, 8);
    type = (unsigned)(low >> 40) & 15;
    check_gate(cpu, ev, type, (uint32_t)(low >> 32));
    selector = (uint16_t)(low >> 16);
    rip = (low & 0xffff) | (low >> 32 & 0xffff0000u) | high << 32;
    cpl = gate_target(cpu, ev, selector, &d);
    ist = (unsigned)(low >> 32) & 7;
    if (ist != 0)
        rsp = tss64_rsp(cpu, 28 + ist * 8, ext_bit(ev));
    else if (cpl < cpu->cpl)
        rsp = tss64_stack(cpu, cpl, ext_bit(ev));
    rsp &= ~15ULL;
    push64(cpu, &rsp, old_ss);
    push64(cpu, &rsp, cpu->regs[REG_RSP]);
    push64(cpu, &rsp, pushed_flags(cpu, ev));
    push64(cpu, &rsp, old_cs);
    push64(cpu, &rsp, ev->rip);
    if (ev->has_error)
        push64(cpu, &rsp, ev->error);
    if (!cpu_is_canonical(rip))
        raise_gp0(cpu);
    descriptor_mark_accessed(cpu, &d);
    if (cpl != cpu->cpl)
        stack_segment_null(cpu, cpl);
    cpu->regs[REG_RSP] = rsp;
    cpu->rip = rip;
    enter_common(cpu, type == SYS_INT);
    code_segment_set(cpu, selector, &d, cpl);
}

/* --- 32-bit and 16-bit gates --- */

void stack_push_to(struct cpu *cpu, struct stack_push *st, uint32_t value)
{
    st->sp = (st->sp - st->size) & st->mask;
    sys_write(cpu, (uint32_t)(st->base + st->sp), value, st->size);
}

struct stack_push stack_pushes(const struct segment *ss, uint64_t sp, unsigned size)
{
    uint32_t mask = ss->ar & AR_DB ? 0xffffffffu : 0xffffu;

    return (struct stack_push){.base = ss->base, .sp = (uint32_t)sp & mask, .mask = mask, .size = size};
}

void stack_set(struct cpu *cpu, const struct segment *ss, uint32_t sp)
{
    cpu->seg[SEG_SS] = *ss;
    cpu->regs[REG_RSP] = ss->ar & AR_DB ? sp : (cpu->regs[REG_RSP] & ~0xffffULL) | (uint16_t)sp;
}

void stack_segment_read(struct cpu *cpu, uint16_t selector, unsigned cpl, unsigned ext, struct segment *ss)
{
    uint32_t error = (selector & 0xfffcu) | ext;
    struct descriptor d;

    if (selector_is_null(selector) || !descriptor_read(cpu, selector, &d) ||
        (selector & 3u) != cpl || DESC_DPL(&d) != cpl || !(d.high & DESC_S) ||
        (d.high & DESC_CODE) || !(d.high & DESC_RW))
        raise_error(cpu, EXC_TS, error);
    if (!(d.high & DESC_P))
        raise_error(cpu, EXC_SS, error);
    descriptor_mark_accessed(cpu, &d);
    segment_from_descriptor(ss, selector, &d);
}

void inner_stack(struct cpu *cpu, unsigned cpl, unsigned ext, struct segment *ss, uint64_t *esp)
{
    uint16_t selector;

    tss_stack(cpu, cpl, ext, &selector, esp);
    stack_segment_read(cpu, selector, cpl, ext, ss);
}

void stack_check_room(struct cpu *cpu, const struct segment *ss, uint64_t sp, unsigned bytes, uint32_t error)
{
    uint32_t low = (uint32_t)(sp - bytes);
    bool down = ss->ar & AR_DC;

    if (!(ss->ar & AR_DB))
        low &= 0xffff;
    if (down ? low <= ss->limit : (uint64_t)low + bytes - 1 > ss->limit)
        raise_error(cpu, EXC_SS, error);
}

/* A task of its own handles it. */
static void enter_task(struct cpu *cpu, const struct event *ev, uint16_t selector)
{
    struct stack_push st;

    task_switch(cpu, &(struct task_switch){.source = TASK_EVENT,
                                           .selector = selector,
                                           .saved_rip = ev->rip,
                                           .saved_flags = pushed_rf(cpu, ev),
                                           .ext = ext_bit(ev)});
    if (!ev->has_error)
        return;
    st = stack_pushes(&cpu->seg[SEG_SS], cpu->regs[REG_RSP], cpu->tr.ar & 8 ? 4 : 2);
    stack_check_room(cpu, &cpu->seg[SEG_SS], cpu->regs[REG_RSP], st.size, ext_bit(ev));
    stack_push_to(cpu, &st, ev->error);
    stack_set(cpu, &cpu->seg[SEG_SS], st.sp);
}

/* What goes to the handler's stack, in this order. */
static void push_frame(struct cpu *cpu, const struct event *ev, struct stack_push *st, bool inner)
{
    static const uint8_t data[] = {SEG_GS, SEG_FS, SEG_DS, SEG_ES};

    for (unsigned i = 0; i < sizeof(data) && (cpu->rflags & RFLAGS_VM); i++)
        stack_push_to(cpu, st, cpu->seg[data[i]].selector);
    if (inner) {
        stack_push_to(cpu, st, cpu->seg[SEG_SS].selector);
        stack_push_to(cpu, st, (uint32_t)cpu->regs[REG_RSP]);
    }
    stack_push_to(cpu, st, (uint32_t)pushed_flags(cpu, ev));
    stack_push_to(cpu, st, cpu->seg[SEG_CS].selector);
    stack_push_to(cpu, st, (uint32_t)ev->rip);
    if (ev->has_error)
        stack_push_to(cpu, st, ev->error);
}

static unsigned frame_words(const struct cpu *cpu, const struct event *ev, bool inner)
{
    return 3u + (inner ? 2u : 0u) + (cpu->rflags & RFLAGS_VM ? 4u : 0u) + (ev->has_error ? 1u : 0u);
}

static void enter_gate(struct cpu *cpu, const struct event *ev, uint64_t gate)
{
    struct segment ss = cpu->seg[SEG_SS];
    uint64_t esp = cpu->regs[REG_RSP], rip;
    unsigned type = (unsigned)(gate >> 40) & 15, cpl;
    bool wide = type & 8, inner, from_vm = cpu->rflags & RFLAGS_VM;
    uint16_t selector = (uint16_t)(gate >> 16);
    struct descriptor d;
    struct stack_push st;

    cpl = gate_target(cpu, ev, selector, &d);
    inner = cpl < cpu->cpl;
    if (inner)
        inner_stack(cpu, cpl, ext_bit(ev), &ss, &esp);
    st = stack_pushes(&ss, esp, wide ? 4 : 2);
    stack_check_room(cpu, &ss, esp, st.size * frame_words(cpu, ev, inner),
                     inner ? (ss.selector & 0xfffcu) | ext_bit(ev) : ext_bit(ev));
    rip = (gate & 0xffff) | (wide ? gate >> 32 & 0xffff0000u : 0);
    if (rip > descriptor_limit(&d))
        raise_error(cpu, EXC_GP, ext_bit(ev));
    push_frame(cpu, ev, &st, inner);
    cpu->rip = rip;
    stack_set(cpu, &ss, st.sp);
    enter_common(cpu, type == SYS_INT || type == SYS_INT16);
    code_segment_set(cpu, selector, &d, cpl);
    if (from_vm)
        segments_forget_data(cpu);
}

static void deliver_protected(struct cpu *cpu, const struct event *ev)
{
    uint64_t gate;
    unsigned type;

    if ((uint32_t)ev->vector * 8 + 7 > cpu->idtr.limit)
        raise_error(cpu, EXC_GP, idt_error(ev));
    gate = sys_read(cpu, (uint32_t)(cpu->idtr.base + ev->vector * 8u), 8);
    type = (unsigned)(gate >> 40) & 15;
    check_gate(cpu, ev, type, (uint32_t)(gate >> 32));
    if (type == SYS_TASK_GATE)
        enter_task(cpu, ev, (uint16_t)(gate >> 16));
    else
        enter_gate(cpu, ev, gate);
}

/* --- real mode --- */

static void deliver_real(struct cpu *cpu, const struct event *ev)
{
    struct stack_push st = {.base = cpu->seg[SEG_SS].base,
                            .sp = (uint16_t)cpu->regs[REG_RSP],
                            .mask = 0xffff,
                            .size = 2};
    uint64_t vector;

    if ((uint32_t)ev->vector * 4 + 3 > cpu->idtr.limit)
        raise_error(cpu, EXC_GP, idt_error(ev));
    vector = sys_read(cpu, (uint32_t)(cpu->idtr.base + ev->vector * 4u), 4);
    stack_push_to(cpu, &st, (uint32_t)pushed_flags(cpu, ev) & 0xffff);
    stack_push_to(cpu, &st, cpu->seg[SEG_CS].selector);
    stack_push_to(cpu, &st, (uint32_t)ev->rip);
    cpu->regs[REG_RSP] = (cpu->regs[REG_RSP] & ~0xffffULL) | st.sp;
    cpu->rip = vector & 0xffff;
    enter_common(cpu, true);
    cpu->rflags &= ~(uint64_t)RFLAGS_AC;
    segment_load_real(cpu, SEG_CS, (uint16_t)(vector >> 16));
}

static void deliver(struct cpu *cpu, const struct event *ev)
{
    if (!(cpu->cr0 & CR0_PE))
        deliver_real(cpu, ev);
    else if (long_mode(cpu))
        deliver_long(cpu, ev);
    else
        deliver_protected(cpu, ev);
}

/* --- double faults (SDM vol. 3, table 6-5) --- */

static bool is_contributory(unsigned vector)
{
    return vector == EXC_DE || (vector >= EXC_TS && vector <= EXC_GP);
}

static bool makes_double_fault(unsigned first, unsigned second)
{
    if (first == EXC_PF)
        return second == EXC_PF || is_contributory(second);
    return is_contributory(first) && is_contributory(second);
}

/* What is pending in exc_* as an event at cpu->rip. */
static struct event noted_event(struct cpu *cpu)
{
    struct event ev = {.vector = cpu->exc_vector,
                       .kind = EVENT_FAULT,
                       .has_error = cpu->exc_has_error && (cpu->cr0 & CR0_PE),
                       .error = cpu->exc_error,
                       .rip = cpu->rip};

    if (ev.vector == EXC_DB) {
        ev.kind = cpu->exc_debug == DEBUG_TRAP ? EVENT_TRAP : EVENT_FAULT;
        ev.breakpoint = cpu->exc_debug == DEBUG_CODE;
        cpu->dr[7] &= ~(uint64_t)DR7_GD; /* the handler may use debug registers (vol. 3, 17.2.4) */
    }
    if (ev.vector == EXC_PF)
        cpu->cr2 = cpu->exc_cr2;
    cpu->exc_debug = DEBUG_TRAP;
    if (watched(cpu, WATCH_EXCEPTION))
        watch_exception(cpu, ev.vector, ev.has_error ? ev.error : 0);
    return ev;
}

static struct event double_fault(struct cpu *cpu, const struct event *first)
{
    if (watched(cpu, WATCH_EXCEPTION))
        watch_exception(cpu, EXC_DF, 0);
    return (struct event){.vector = EXC_DF,
                          .kind = EVENT_FAULT,
                          .has_error = (cpu->cr0 & CR0_PE) != 0,
                          .rip = first->rip};
}

/* Delivers `ev`, or what faults on the way make of it. */
static bool deliver_all(struct cpu *cpu, struct event *volatile ev)
{
    jmp_buf env, *volatile outer = cpu->unwind;
    struct event next;
    bool alive = true;

    cpu->op = NULL;
    cpu->unwind = &env;
    if (_setjmp(env) != 0) {
        next = noted_event(cpu);
        if (ev->vector == EXC_DF) {
            cpu->halted = 3;
            alive = false;
            goto done;
        }
        if (ev->kind != EVENT_EXTERNAL && ev->kind != EVENT_SOFT &&
            makes_double_fault(ev->vector, next.vector))
            next = double_fault(cpu, ev);
        *ev = next;
        cpu->op = NULL;
    }
    deliver(cpu, ev);
    cpu_count_entry(cpu, cpu->icount);
    if (cpu->stop_at_entry)
        cpu->exit_request = true;
done:
    cpu->unwind = outer;
    return alive;
}

bool exception_deliver(struct cpu *cpu)
{
    struct event ev = noted_event(cpu);

    return deliver_all(cpu, &ev);
}

bool interrupt_deliver(struct cpu *cpu, uint8_t vector)
{
    struct event ev = {.vector = vector, .kind = EVENT_EXTERNAL, .rip = cpu->rip};

    return deliver_all(cpu, &ev);
}

void software_interrupt(struct cpu *cpu, uint8_t vector, bool check_dpl, uint64_t next_rip)
{
    struct event ev = {
        .vector = vector, .kind = EVENT_SOFT, .check_dpl = check_dpl, .rip = next_rip};

    /* A fault on the way belongs to the INT instruction, and restarts it: the caller's unwinding. */
    deliver(cpu, &ev);
    cpu->tf_armed = false; /* delivery has cleared TF: the handler is not stepped (vol. 3, 17.3.1.4) */
}

/* --- alignment and debug registers --- */

void mem_check_alignment(struct cpu *cpu, uint64_t linear, unsigned size)
{
    if ((cpu->cr0 & CR0_AM) && (cpu->rflags & RFLAGS_AC) && cpu->cpl == 3 &&
        (linear & (size - 1)) != 0)
        raise_error(cpu, EXC_AC, 0);
}

static unsigned dr7_type(uint64_t dr7, unsigned i)
{
    return (unsigned)(dr7 >> (16 + i * 4)) & 3;
}
static unsigned dr7_len(uint64_t dr7, unsigned i)
{
    static const uint8_t bytes[4] = {1, 2, 8, 4};

    return bytes[(dr7 >> (18 + i * 4)) & 3];
}
static bool dr7_armed(uint64_t dr7, unsigned i)
{
    return (dr7 >> (i * 2)) & 3;
}

bool cpu_code_breakpoints(const struct cpu *cpu)
{
    return cpu->code_breakpoints;
}

void cpu_debug_changed(struct cpu *cpu)
{
    unsigned i;

    cpu->code_breakpoints = false;
    cpu->watch_pages = debugger_watches(cpu->debugger);
    for (i = 0; i < 4; i++) {
        if (!dr7_armed(cpu->dr[7], i))
            continue;
        if (dr7_type(cpu->dr[7], i) == 0)
            cpu->code_breakpoints = true;
        else if (dr7_type(cpu->dr[7], i) != 2)
            cpu->watch_pages = true;
    }
    mmu_flush(cpu);
}

void cpu_check_code_breakpoints(struct cpu *cpu)
{
    uint64_t linear = mode_code_size(cpu->mode) == CODE_64
                          ? cpu->rip
                          : (uint32_t)(cpu->seg[SEG_CS].base + cpu->rip);
    uint32_t hit = 0;
    unsigned i;

    if (!cpu->code_breakpoints || (cpu->rflags & RFLAGS_RF) || between_iterations(cpu))
        return;
    for (i = 0; i < 4; i++)
        if (dr7_armed(cpu->dr[7], i) && dr7_type(cpu->dr[7], i) == 0 && cpu->dr[i] == linear)
            hit |= 1u << i;
    if (hit == 0)
        return;
    cpu->dr[6] |= hit;
    cpu->op = NULL;
    cpu->exc_debug = DEBUG_CODE;
    raise_exception(cpu, EXC_DB);
}

/* Bytes that DRi watches. */
static void watched_range(const struct cpu *cpu, unsigned i, uint64_t *from, uint64_t *end)
{
    unsigned len = dr7_len(cpu->dr[7], i);

    *from = cpu->dr[i] & ~(uint64_t)(len - 1);
    *end = *from + len;
}

unsigned cpu_page_watch(const struct cpu *cpu, uint64_t page_linear)
{
    uint64_t from, end;
    unsigned i, watch = debugger_page_watch(cpu->debugger, page_linear);

    for (i = 0; i < 4; i++) {
        if (!dr7_armed(cpu->dr[7], i) || !(dr7_type(cpu->dr[7], i) & 1))
            continue;
        watched_range(cpu, i, &from, &end);
        if (from < page_linear + PAGE_BYTES && page_linear < end)
            watch |= PAGE_WATCH_ALL;
    }
    return watch;
}

/* DR0..DR3 do not see the processor's own accesses. */
static void watch_by_registers(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size,
                      bool write)
{
    uint64_t from, end;
    unsigned i, type;

    for (i = 0; i < 4; i++) {
        type = dr7_type(cpu->dr[7], i);
        if (!dr7_armed(cpu->dr[7], i) || !(type & 1) || (type == 1 && !write))
            continue;
        watched_range(cpu, i, &from, &end);
        if (linear < end && from < linear + size) {
            cpu->op = op;
            require_solo(cpu);
            cpu->trap_dr6 |= 1u << i;
            cpu->pending |= PENDING_TRAP;
        }
    }
}

void cpu_watch_port(struct cpu *cpu, uint16_t port, unsigned size)
{
    uint64_t from, end;

    if (!(cpu->cr4 & CR4_DE))
        return;
    for (unsigned i = 0; i < 4; i++) {
        if (!dr7_armed(cpu->dr[7], i) || dr7_type(cpu->dr[7], i) != 2)
            continue;
        watched_range(cpu, i, &from, &end);
        if (port < end && from < (uint64_t)port + size) {
            cpu->trap_dr6 |= 1u << i;
            cpu->pending |= PENDING_TRAP;
        }
    }
}

void cpu_watch_access(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size,
                      bool write)
{
    if (op != NULL)
        watch_by_registers(cpu, op, linear, size, write);
    debugger_access(cpu, op, linear, size, write);
}

void cpu_watch_probe(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size)
{
    if (op == NULL)
        return;
    watch_by_registers(cpu, op, linear, size, true);
    if (debugger_overlaps(cpu->debugger, linear, size, true)) {
        cpu->op = op;
        require_solo(cpu);
    }
}
