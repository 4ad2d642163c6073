/* SPDX-License-Identifier: MIT */
/*
 * Which task of a Linux guest runs: the per-CPU variable current_task, found by the kernel's symbols, and the
 * members of struct task_struct, found by its BTF. Of a kernel without BTF a task is known by its address
 * alone; of a guest that is none, its address space is all that there is to know.
 *
 * The per-CPU area is where GS leads in the kernel. In user mode, and between an entry and its SWAPGS, that
 * base waits in IA32_KERNEL_GS_BASE; which of both is the kernel's shows by its being in the upper half.
 */
#include <string.h>

#include <symbols/btf.h>

#include "../guest_symbols.h"
#include "trace.h"

#define CR3_FLAGS  0xfffu
#define COMM_BYTES 16u

static bool in_upper_half(uint64_t address)
{
    return (int64_t)address < 0;
}

/*
 * current_task, or since Linux 6.2 the member of pcpu_hot. Their addresses are offsets into the per-CPU area; in a
 * kernel for one CPU they are addresses. Where they are neither (6.15 and later), tasks are not known.
 */
static bool find_current(struct tracer *t, const struct btf *types)
{
    uint64_t hot, member, offsets;

    if (guest_symbols_find(t->symbols, "current_task", &t->tasks.current))
        return !in_upper_half(t->tasks.current) ||
               !guest_symbols_find(t->symbols, "__per_cpu_offset", &offsets);
    if (types == NULL || !guest_symbols_find(t->symbols, "pcpu_hot", &hot) ||
        !btf_member(types, "pcpu_hot", "current_task", &member))
        return false;
    t->tasks.current = hot + member;
    return true;
}

void tasks_find(struct tracer *t)
{
    const struct btf *types;
    struct task_layout *l = &t->tasks;

    if (t->symbols == NULL || !guest_symbols_of_linux(t->symbols) || !(t->cpu->efer & EFER_LMA))
        return;
    types = guest_symbols_types(t->symbols, t->m);
    l->known = find_current(t, types);
    l->have_names = l->known && types != NULL && btf_member(types, "task_struct", "pid", &l->pid) &&
                    btf_member(types, "task_struct", "tgid", &l->tgid) &&
                    btf_member(types, "task_struct", "comm", &l->comm);
}

static bool read_all(const struct cpu *cpu, uint64_t address, void *out, size_t len)
{
    return cpu_peek(cpu, address, out, len) == len;
}

static bool per_cpu_base(const struct cpu *cpu, uint64_t *base)
{
    *base = cpu->cpl != 3 ? cpu->seg[SEG_GS].base : 0;
    if (!in_upper_half(*base))
        *base = cpu->kernel_gs_base;
    return in_upper_half(*base);
}

static void read_names(const struct tracer *t, struct process *p)
{
    const struct task_layout *l = &t->tasks;

    p->named = read_all(t->cpu, p->task + l->pid, &p->pid, sizeof(p->pid)) &&
               read_all(t->cpu, p->task + l->tgid, &p->tgid, sizeof(p->tgid)) &&
               read_all(t->cpu, p->task + l->comm, p->comm, COMM_BYTES);
    p->comm[COMM_BYTES] = '\0';
}

struct process process_now(const struct tracer *t)
{
    const struct task_layout *l = &t->tasks;
    struct process p = {.cr3 = t->cpu->cr3 & ~(uint64_t)CR3_FLAGS};
    uint64_t base = 0;

    if (!l->known || !(t->cpu->efer & EFER_LMA))
        return p;
    if (!in_upper_half(l->current) && !per_cpu_base(t->cpu, &base))
        return p;
    if (!read_all(t->cpu, base + l->current, &p.task, sizeof(p.task)) || !in_upper_half(p.task))
        p.task = 0;
    if (p.task != 0 && l->have_names)
        read_names(t, &p);
    return p;
}

struct stamp stamp_of(const struct tracer *t, struct moment at)
{
    const struct clock *clock = &t->m->clock;

    /* In the middle of a block the clock may be some instructions behind, or ahead. */
    return (struct stamp){.at = at,
                          .vns = at.icount * clock->ns_per_insn + clock->idle_ns,
                          .who = process_now(t)};
}

struct stamp stamp_after(const struct tracer *t, const struct watch_event *ev)
{
    return stamp_of(t, (struct moment){.icount = ev->at.icount + 1});
}

struct stamp stamp_now(const struct tracer *t)
{
    return stamp_of(t, machine_moment(t->m));
}

bool is_wanted(const struct tracer *t)
{
    const struct trace_options *o = t->options;

    return !o->have_cr3 || ((t->cpu->cr3 ^ o->cr3) & ~(uint64_t)CR3_FLAGS) == 0;
}
