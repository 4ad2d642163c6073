/* SPDX-License-Identifier: MIT */
/*
 * The interpreter's outer loop: budget, faults, single steps, traps.
 *
 * cpu_run stops exactly at icount_end. cpu->icount counts a block as a whole when it is entered; a
 * block that is longer than what is left of the budget runs as a shorter copy (blocks_part).
 *
 * An instruction that must be alone (it reaches a device, stores into code or page tables in use)
 * unwinds before it had any effect, and is run again as a block of its own with the budget set to end
 * after it. Time is then exact for the device, and what the store changed is seen by the next
 * instruction, whatever the blocks looked like: results never depend on where blocks begin and end.
 */
#include "mmu_internal.h"
#include "dispatch.h"
#include "debugger.h"
#include "exception.h"

#define LIVELOCK_FAULTS 100000u

uint64_t insn_icount(const struct cpu *cpu, const struct op *op)
{
    return cpu->icount - (uint64_t)(cpu->block->n - op->idx);
}

void engine_enter(struct cpu *cpu)
{
    cpu->icount = cpu->clock->icount;
    flags_set(cpu, cpu->rflags);
}

void engine_leave(struct cpu *cpu)
{
    cpu->clock->icount = cpu->icount;
    cpu->rflags = (cpu->rflags & ~(uint64_t)RFLAGS_ARITH) | flags_get(cpu);
}

uint64_t cpu_rflags(const struct cpu *cpu)
{
    return cpu->rflags;
}

/* --- entering blocks --- */

const struct op *block_enter_partial(struct cpu *cpu, struct block *b, uint64_t rip)
{
    uint64_t left;
    struct block *part;

    cpu->icount -= b->n;
    left = cpu->icount_end - cpu->icount;
    if (left == 0) {
        cpu->rip = rip;
        LEAVE();
    }
    part = blocks_part(cpu, b, 0, (unsigned)left);
    cpu->icount += left;
    cpu->block = part;
    DISPATCH(part->ops);
}

static inline struct jump_entry *jump_slot(struct cpu *cpu, uint64_t rip)
{
    return &cpu->jumps[(rip ^ rip >> JUMP_CACHE_BITS) & ((1u << JUMP_CACHE_BITS) - 1)];
}

/* No segment stands between RIP and the linear address. */
static bool rip_is_linear(const struct cpu *cpu)
{
    return mode_code_size(cpu->mode) == CODE_64 ||
           (cpu->seg[SEG_CS].limit == UINT32_MAX && cpu->seg[SEG_CS].base == 0);
}

/* The block at rip; may fault with cpu->rip == rip and no current instruction. */
static struct block *find_block(struct cpu *cpu, uint64_t rip)
{
    struct jump_entry *j = jump_slot(cpu, rip);
    struct block *b;

    cpu->op = NULL;
    cpu->rip = rip;
    b = blocks_lookup(cpu, rip);
    if (b->pos != UINT64_MAX && b->tail_page == UINT64_MAX && rip_is_linear(cpu)) {
        j->rip = rip;
        j->key = cpu->jump_key;
        j->block = b;
    }
    return b;
}

/* Whoever inspects every moment is to see this one before the fetch, which may set bits in page tables. */
static inline bool must_come_past_loop(const struct cpu *cpu)
{
    return unlikely(cpu->inspecting == INSPECT_EVERY) && !inspect_was_told(cpu, debugger_moment(cpu, NULL));
}

/* A block that was looked up. When the fetch was seen by a watchpoint, the run ends behind the instruction. */
static const struct op *block_enter_found(struct cpu *cpu, struct block *b, uint64_t rip)
{
    if (unlikely(cpu->exit_request))
        cpu->icount_end = cpu->icount + 1;
    return block_enter(cpu, b, rip);
}

static inline bool jump_is(const struct cpu *cpu, const struct jump_entry *j, uint64_t rip)
{
    return j->rip == rip && j->key == cpu->jump_key && !j->block->dropped;
}

const struct op *block_goto(struct cpu *cpu, uint64_t rip)
{
    struct jump_entry *j = jump_slot(cpu, rip);
    struct block *b;

    if (likely(jump_is(cpu, j, rip)))
        return block_enter(cpu, j->block, rip);
    if (cpu->icount >= cpu->icount_end || must_come_past_loop(cpu)) {
        cpu->rip = rip;
        LEAVE();
    }
    b = find_block(cpu, rip);
    return block_enter_found(cpu, b, rip);
}

/* Same page both linear and physical: the translation is the one being executed from. Elsewhere than in
 * 64-bit code the way to a linear address must be one as well: no base, no limit, no cut to 16 bits. */
static bool may_link(const struct cpu *cpu, const struct block *from, const struct op *op,
                     const struct block *to, uint64_t rip)
{
    return to->pos != UINT64_MAX && to->tail_page == UINT64_MAX && from->pos != UINT64_MAX &&
           from->tail_page == UINT64_MAX && !((from->pos ^ to->pos) & ~PAGE_OFFSET_MASK) &&
           !((block_rip(cpu) ^ rip) & ~PAGE_OFFSET_MASK) &&
           (mode_code_size(cpu->mode) == CODE_64 || (mode_is_flat32(cpu->mode) && op->opsize != OPSIZE_16));
}

const struct op *block_goto_and_link(struct cpu *cpu, const struct op *op, uint64_t rip)
{
    const struct jump_entry *j = jump_slot(cpu, rip);
    uint64_t flushes = cpu->blocks->flushes;
    const struct block *from = cpu->block;
    struct block *b;

    if (likely(jump_is(cpu, j, rip))) { /* another page's, most often */
        if (may_link(cpu, from, op, j->block, rip))
            ((struct op *)op)->link = j->block;
        return block_enter(cpu, j->block, rip);
    }
    if (cpu->icount >= cpu->icount_end || must_come_past_loop(cpu)) {
        cpu->rip = rip;
        LEAVE();
    }
    b = find_block(cpu, rip);
    if (flushes == cpu->blocks->flushes && may_link(cpu, from, op, b, rip))
        ((struct op *)op)->link = b;
    return block_enter_found(cpu, b, rip);
}

const struct op *block_continue(struct cpu *cpu)
{
    if (unlikely(cpu->pending != 0 || cpu->exit_request || cpu_must_step(cpu)))
        LEAVE();
    return block_goto(cpu, cpu->rip);
}

/* --- faults --- */

static _Noreturn void unwind(struct cpu *cpu, enum unwind_reason why)
{
    longjmp(*cpu->unwind, (int)why);
}

_Noreturn void raise_exception(struct cpu *cpu, enum exception vector)
{
    cpu->exc_vector = (uint8_t)vector;
    cpu->exc_has_error = false;
    cpu->exc_error = 0;
    unwind(cpu, UNWIND_FAULT);
}

_Noreturn void raise_error(struct cpu *cpu, enum exception vector, uint32_t error)
{
    cpu->exc_vector = (uint8_t)vector;
    cpu->exc_has_error = true;
    cpu->exc_error = error;
    unwind(cpu, UNWIND_FAULT);
}

_Noreturn void raise_page_fault(struct cpu *cpu, uint64_t linear, uint32_t error)
{
    cpu->exc_cr2 = linear;
    raise_error(cpu, EXC_PF, error);
}

_Noreturn void raise_ud(struct cpu *cpu, const struct op *op)
{
    cpu->op = op;
    raise_exception(cpu, EXC_UD);
}

_Noreturn void raise_unimplemented(struct cpu *cpu, const struct op *op)
{
    cpu->undefined_count[op->id]++;
    raise_ud(cpu, op);
}

/* --- x87 errors with CR0.NE clear (SDM vol. 1, 8.7.2; Pentium manual vol. 1, 5.1.21) --- */

_Noreturn void raise_x87_error(struct cpu *cpu, const struct op *op)
{
    cpu->op = op;
    if (cpu->cr0 & CR0_NE)
        raise_exception(cpu, EXC_MF);
    if (cpu->pending & PENDING_IGNNE)
        unwind(cpu, UNWIND_IGNNE);
    require_solo(cpu);
    io_begin(cpu, op);
    if (!(cpu->pending & PENDING_FERR)) {
        cpu->pending |= PENDING_FERR;
        if (cpu->machine->ferr != NULL)
            cpu->machine->ferr(cpu->machine->ferr_opaque);
    }
    unwind(cpu, UNWIND_FROZEN);
}

void x87_error_settle(struct cpu *cpu)
{
    if (cpu->ignoring_error)
        return; /* what it has left is seen when it is through */
    if ((cpu->cr0 & CR0_NE) || !x87_pending_exception(&cpu->fpu))
        cpu->pending &= ~(PENDING_FERR | PENDING_IGNNE);
}

static void x87_error_hidden(struct cpu *cpu)
{
    cpu->ignoring_error = true;
    cpu->fpu.sw &= (uint16_t)~FSW_ES;
}

static void x87_error_shown(struct cpu *cpu)
{
    cpu->ignoring_error = false;
    fpu_set_status_word(&cpu->fpu, fpu_status_word(&cpu->fpu));
    x87_error_settle(cpu);
}

void require_solo(struct cpu *cpu)
{
    if (!cpu->solo)
        unwind(cpu, UNWIND_SOLO);
}

_Noreturn void engine_stop_here(struct cpu *cpu)
{
    unwind(cpu, UNWIND_DEBUG);
}

void engine_settle_fault(struct cpu *cpu)
{
    if (cpu->op != NULL) {
        cpu->icount = insn_icount(cpu, cpu->op);
        cpu->rip = op_rip(cpu, cpu->op);
    }
    cpu->clock->icount = cpu->icount;
}

/* --- the loop --- */

/* Something makes every instruction worth looking at: TF, an armed instruction breakpoint, or a trap that waits for
 * the end of the instruction behind a MOV SS. */
bool cpu_must_step(const struct cpu *cpu)
{
    return (cpu->rflags & RFLAGS_TF) || cpu_code_breakpoints(cpu) || cpu->trap_dr6 != 0;
}

static void run_ops(struct cpu *cpu, const struct op *op)
{
#if DEJA_TAIL_CALLS
    if (op != NULL)
        op->fn(cpu, op);
#else
    while (op != NULL)
        op = op->fn(cpu, op);
#endif
}

/* block_goto for the loop: does not run the block when calls are chained by tail calls, so the loop
 * looks the same in both builds. */
static void run_from_rip(struct cpu *cpu)
{
    run_ops(cpu, block_goto(cpu, cpu->rip));
}

/* Traps that were held back: the instruction that held them has retired, or its fault is delivered. */
static void release_held_traps(struct cpu *cpu)
{
    if (cpu->held_dr6 == 0)
        return;
    cpu->trap_dr6 |= cpu->held_dr6;
    cpu->held_dr6 = 0;
    cpu->pending |= PENDING_TRAP;
}

/* After the instruction that began with tf_armed has retired. */
static void finish_step(struct cpu *cpu)
{
    release_held_traps(cpu);
    if (!cpu->tf_armed)
        return;
    cpu->tf_armed = false;
    cpu->pending |= PENDING_TRAP;
    cpu->trap_dr6 |= DR6_BS;
}

/* Runs one instruction with TF and instruction breakpoints in force. */
static void step(struct cpu *cpu, uint64_t end)
{
    uint64_t linear = cpu->rip;

    if (mode_code_size(cpu->mode) != CODE_64)
        linear = (uint32_t)(linear + cpu->seg[SEG_CS].base);
    if (debugger_may_stop_at(cpu->debugger, linear))
        debugger_check_exec(cpu, NULL, linear); /* before anything has changed */
    cpu_check_code_breakpoints(cpu);
    cpu->rflags &= ~(uint64_t)RFLAGS_RF; /* holds for one instruction */
    cpu->held_dr6 = cpu->trap_dr6;
    cpu->trap_dr6 = 0;
    cpu->icount_end = cpu->icount + 1;
    cpu->tf_armed = cpu->rflags & RFLAGS_TF;
    run_from_rip(cpu);
    cpu->icount_end = end;
    finish_step(cpu);
}

/* The one instruction that STI or MOV SS shields from an interrupt that is waiting. */
static void run_shadowed(struct cpu *cpu, uint64_t end)
{
    cpu->icount_end = cpu->icount + 1;
    run_from_rip(cpu);
    cpu->icount_end = end;
}

/* The current instruction again, from nothing, alone. */
static void run_solo(struct cpu *cpu, uint64_t end)
{
    struct block *part = blocks_part(cpu, cpu->block, cpu->op->idx, 1);

    cpu->solo = true;
    cpu->block = part;
    cpu->icount++;
    cpu->icount_end = cpu->icount;
    run_ops(cpu, part->ops);
    cpu->icount_end = end;
    cpu->solo = false;
}

/* The instruction that holds them has not begun. */
static void hold_traps_again(struct cpu *cpu)
{
    cpu->trap_dr6 = cpu->held_dr6;
    cpu->held_dr6 = 0;
}

/*
 * An x87 error with CR0.NE clear: the CPU stands before the waiting instruction as behind HLT. That it came there
 * counts as an instruction, so that the moment before and the one behind have numbers of their own.
 */
static void freeze(struct cpu *cpu, uint64_t end)
{
    cpu->rip = op_rip(cpu, cpu->op);
    cpu->clock->icount = cpu->icount;
    cpu->icount_end = end;
    cpu->solo = false;
    cpu->tf_armed = false;
    hold_traps_again(cpu);
    cpu->halted = 1;
}

/* After an unwind: 0 when the loop can go on, else the exit. */
static bool recover(struct cpu *cpu, enum unwind_reason why, uint64_t end, enum cpu_exit *exit)
{
    if (cpu->ignoring_error)
        x87_error_shown(cpu);
    if (why == UNWIND_FROZEN) {
        freeze(cpu, end);
        *exit = CPU_EXIT_HALTED;
        return false;
    }
    engine_settle_fault(cpu);
    cpu->solo = false;
    cpu->icount_end = end;
    if (why == UNWIND_SOLO || why == UNWIND_IGNNE)
        return true;
    cpu->tf_armed = false;
    cpu->pending &= ~PENDING_TRAP; /* data breakpoints of an instruction that did not complete */
    cpu->trap_dr6 = 0;
    if (why == UNWIND_DEBUG) {
        hold_traps_again(cpu);
        *exit = CPU_EXIT_EVENT;
        return false;
    }
    /* A fetch that failed right behind an instruction: nobody has come past the moment between them. */
    if (unlikely(cpu->inspecting != INSPECT_NOTHING) && cpu->op == NULL && inspect_in_engine(cpu)) {
        hold_traps_again(cpu);
        *exit = CPU_EXIT_EVENT;
        return false;
    }
    if (cpu->debugger->nhits > 0)
        inspect_hits_lost(&cpu->debugger->inspection);
    debugger_forget_hits(cpu->debugger);
    if (cpu->icount == cpu->retired_mark)
        cpu->faults_in_a_row++;
    else
        cpu->faults_in_a_row = 0;
    cpu->retired_mark = cpu->icount;
    if (cpu->faults_in_a_row > LIVELOCK_FAULTS) {
        *exit = CPU_EXIT_LIVELOCK;
        return false;
    }
    if (!exception_deliver(cpu)) {
        *exit = CPU_EXIT_SHUTDOWN;
        return false;
    }
    release_held_traps(cpu);
    return true;
}

/* Raises the #DB of a trap that is due, through the ordinary delivery. It ends HLT (SDM vol. 2, HLT). */
static bool deliver_trap(struct cpu *cpu)
{
    if (cpu->halted == 1)
        cpu->halted = 0;
    cpu->pending &= ~PENDING_TRAP;
    cpu->dr[6] |= cpu->trap_dr6;
    cpu->trap_dr6 = 0;
    cpu->op = NULL;
    cpu->exc_vector = EXC_DB;
    cpu->exc_has_error = false;
    return exception_deliver(cpu);
}

/* Whether cpu_run has to return now; *exit says why. */
static bool must_return(struct cpu *cpu, enum cpu_exit *exit)
{
    if (cpu->halted)
        *exit = CPU_EXIT_HALTED;
    else if (cpu->exit_request || (cpu->pending & ~PENDING_TRAP && cpu_wants_interrupt(cpu)))
        *exit = CPU_EXIT_EVENT;
    else if (cpu->icount >= cpu->icount_end)
        *exit = CPU_EXIT_ICOUNT;
    else
        return false;
    return true;
}

enum cpu_exit cpu_run(struct cpu *cpu, uint64_t icount_end)
{
    jmp_buf env;
    volatile enum unwind_reason why;
    enum cpu_exit exit = CPU_EXIT_ICOUNT;

    engine_enter(cpu);
    cpu->icount_end = icount_end;
    cpu->exit_request = false;
    cpu->unwind = &env;
    why = (enum unwind_reason)_setjmp(env);
    if (why != UNWIND_NONE && !recover(cpu, why, icount_end, &exit))
        goto out;
    if (why == UNWIND_SOLO || why == UNWIND_IGNNE) {
        if (why == UNWIND_IGNNE)
            x87_error_hidden(cpu);
        why = UNWIND_NONE;
        run_solo(cpu, icount_end);
        if (cpu->ignoring_error)
            x87_error_shown(cpu);
        finish_step(cpu);
    }
    for (;;) {
        cpu->clock->icount = cpu->icount;
        if (cpu->pending & PENDING_TRAP) {
            if (!deliver_trap(cpu)) {
                exit = CPU_EXIT_SHUTDOWN;
                break;
            }
        }
        if (must_return(cpu, &exit))
            break;
        if (unlikely(cpu->inspecting != INSPECT_NOTHING) && inspect_in_engine(cpu)) {
            exit = CPU_EXIT_EVENT;
            break;
        }
        if (unlikely(cpu_must_step(cpu)))
            step(cpu, icount_end);
        else if (unlikely(cpu->pending != 0 && cpu->shadow_icount == cpu->icount))
            run_shadowed(cpu, icount_end);
        else
            run_from_rip(cpu);
    }
out:
    cpu->unwind = NULL;
    engine_leave(cpu);
    return exit;
}

/* --- interrupts, between runs --- */

static bool interrupts_open(const struct cpu *cpu)
{
    return (cpu->rflags & RFLAGS_IF) && cpu->clock->icount != cpu->shadow_icount;
}

bool cpu_interrupt_ready(const struct cpu *cpu)
{
    if (cpu->pending & (PENDING_INIT | PENDING_SIPI))
        return true;
    if ((cpu->pending & PENDING_NMI) && !cpu->nmi_blocked &&
        cpu->clock->icount != cpu->shadow_icount)
        return true;
    return (cpu->pending & PENDING_INTR) && interrupts_open(cpu);
}

bool cpu_wants_interrupt(const struct cpu *cpu)
{
    return cpu_interrupt_ready(cpu) && (cpu->clock->icount >= cpu->hold_icount || cpu->halted);
}

bool cpu_can_wake(const struct cpu *cpu)
{
    if (cpu->halted != 1)
        return false;
    if ((cpu->rflags & RFLAGS_IF) || (cpu->pending & PENDING_NMI))
        return true;
    return cpu->intc->nmi_expected != NULL && cpu->intc->nmi_expected(cpu->intc_opaque);
}

static void take_init(struct cpu *cpu)
{
    cpu->pending &= ~PENDING_INIT;
    cpu_init_signal(cpu);
    cpu_count_entry(cpu, cpu->clock->icount); /* another moment: the state before it was one */
}

bool cpu_take_interrupt(struct cpu *cpu, struct intr_ack *seen)
{
    if (cpu->pending & PENDING_INIT) {
        take_init(cpu);
        return false;
    }
    if (cpu->pending & PENDING_SIPI) {
        cpu->pending &= ~PENDING_SIPI;
        cpu_startup_signal(cpu, (uint8_t)cpu->sipi_vector);
        cpu_count_entry(cpu, cpu->clock->icount);
        return false;
    }
    if ((cpu->pending & PENDING_NMI) && !cpu->nmi_blocked) {
        cpu->pending &= ~PENDING_NMI;
        cpu->nmi_blocked = 1;
        *seen = (struct intr_ack){.vector = EXC_NMI, .source = INTR_SOURCE_NMI};
    } else {
        *seen = cpu->intc->ack(cpu->intc_opaque);
    }
    cpu->halted = 0;
    return true;
}

bool cpu_enter_interrupt(struct cpu *cpu, uint8_t vector)
{
    bool alive;

    engine_enter(cpu);
    cpu->op = NULL;
    alive = interrupt_deliver(cpu, vector);
    engine_leave(cpu);
    return alive;
}
