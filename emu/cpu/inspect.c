/* SPDX-License-Identifier: MIT */
/*
 * Inspecting a machine in every moment: emu/inspect.h.
 *
 * Moments are where an instruction or the entry into a handler begins. The machine's loop comes past those at
 * which an interrupt is taken or the CPU sleeps, the engine's loop past those at which it looks for a block, which
 * are those after entries and faults too, and for INSPECT_EVERY all blocks are of the checked form (debugger.c), so
 * that each of their instructions comes past here, and none is looked for before its moment was told; repeated string instructions leave their block after each
 * iteration. Whoever comes past a moment that was told already is not heard.
 *
 * Control state is changed by instructions that end their block and go on through the engine's loop when an exit
 * is requested (interp_internal.h, rule 4), and by entries: so for INSPECT_CONTROL the loops are enough.
 */
#include "inspect.h"

#include <emu/clock.h>
#include <emu/machine.h>

#include "debugger.h"

void machine_inspect(struct machine *m, const struct machine_inspector *inspector)
{
    struct inspection *in = &m->debugger->inspection;
    unsigned i;

    if ((inspector != NULL && inspector->what == INSPECT_EVERY) != (in->by.what == INSPECT_EVERY))
        for (i = 0; i < m->ncpus; i++)
            blocks_forget_jumps(&m->cpus[i]); /* to blocks of the other form */
    *in = (struct inspection){.any = false};
    if (inspector != NULL)
        in->by = *inspector;
    for (i = 0; i < m->ncpus; i++)
        m->cpus[i].inspecting = (uint8_t)in->by.what;
}

void inspect_forget(struct machine *m)
{
    m->debugger->inspection.any = m->debugger->inspection.stop = false;
}

bool inspect_was_told(const struct cpu *cpu, struct moment at)
{
    const struct inspection *in = &cpu->debugger->inspection;

    return in->any && moment_equal(at, in->told);
}

static struct control_state control_of(const struct cpu *cpu)
{
    struct control_state now = {.cr0 = cpu->cr0,
                                .cr2 = cpu->cr2,
                                .cr3 = cpu->cr3,
                                .cr4 = cpu->cr4,
                                .efer = cpu->efer,
                                .cpl = cpu->cpl,
                                .halted = cpu->halted,
                                .a20 = cpu->machine->a20_mask};

    memcpy(now.pdpte, cpu->pdpte, sizeof(now.pdpte));
    return now;
}

static bool same_control(const struct control_state *a, const struct control_state *b)
{
    return a->cr0 == b->cr0 && a->cr2 == b->cr2 && a->cr3 == b->cr3 && a->cr4 == b->cr4 && a->efer == b->efer &&
           a->cpl == b->cpl && a->halted == b->halted && a->a20 == b->a20 &&
           memcmp(a->pdpte, b->pdpte, sizeof(a->pdpte)) == 0;
}

/* Whether the inspector wants to be told of this moment; it counts as told then. */
static bool is_news(struct inspection *in, const struct cpu *cpu, struct moment at)
{
    struct control_state now;
    bool first = !in->any;

    if (!first && moment_equal(at, in->told))
        return false;
    in->any = true;
    in->told = at;
    if (in->by.what == INSPECT_EVERY)
        return true;
    now = control_of(cpu);
    if (!first && same_control(&now, &in->control))
        return false;
    in->control = now;
    return true;
}

static uint64_t settled_flags(const struct cpu *cpu)
{
    return (cpu->rflags & ~(uint64_t)RFLAGS_ARITH) | flags_get(cpu);
}

static bool look(struct cpu *cpu, struct moment at)
{
    struct inspection *in = &cpu->debugger->inspection;

    if (!is_news(in, cpu, at))
        return false;
    in->stop = in->by.look(in->by.opaque, at);
    return in->stop;
}

bool inspect_in_machine(struct machine *m)
{
    return look(&m->cpus[0], machine_moment(m));
}

bool inspect_in_engine(struct cpu *cpu)
{
    cpu->rflags = settled_flags(cpu);
    return look(cpu, debugger_moment(cpu, NULL));
}

void inspect_op(struct cpu *cpu, const struct op *op)
{
    uint64_t rip = cpu->rip, icount = cpu->clock->icount, rflags = cpu->rflags;
    struct moment at = debugger_moment(cpu, op);
    bool stop;

    cpu->rip = op_rip(cpu, op);
    cpu->clock->icount = at.icount;
    cpu->rflags = settled_flags(cpu);
    stop = look(cpu, at);
    cpu->rip = rip;
    cpu->clock->icount = icount;
    cpu->rflags = rflags;
    if (!stop)
        return;
    cpu->op = op;
    engine_stop_here(cpu);
}
