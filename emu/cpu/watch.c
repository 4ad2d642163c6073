/* SPDX-License-Identifier: MIT */
/* Telling a machine's watcher what its guest does: emu/watch.h. */
#include "watch.h"

#include "debugger.h"

void machine_watch(struct machine *m, const struct machine_watcher *watcher)
{
    m->watcher = watcher != NULL ? *watcher : (struct machine_watcher){0};
}

struct watch_event watch_place(const struct cpu *cpu, const struct op *op)
{
    return (struct watch_event){
        .at = debugger_moment(cpu, op), .rip = debugger_rip(cpu, op), .cpl = cpu->cpl};
}

void watch_tell(struct cpu *cpu, struct watch_event *ev, enum watch_kind kind)
{
    struct machine *m = cpu->machine;

    if (!watched(cpu, kind))
        return;
    ev->kind = kind;
    m->watcher.event(m->watcher.opaque, ev);
    if (m->stop_request != STOP_ICOUNT)
        cpu->exit_request = true; /* the watcher asked for it */
}

void watch_access(struct cpu *cpu, const struct op *op, enum watch_kind kind, uint64_t address, uint64_t value,
                  unsigned size)
{
    struct watch_event ev = watch_place(cpu, op != NULL ? op : cpu->op);

    ev.address = address;
    ev.value = value;
    ev.size = size;
    watch_tell(cpu, &ev, kind);
}

void watch_exception(struct cpu *cpu, uint8_t vector, uint64_t error)
{
    struct watch_event ev = watch_place(cpu, NULL);

    ev.address = vector;
    ev.value = error;
    ev.extra = vector == EXC_PF ? cpu->cr2 : 0;
    watch_tell(cpu, &ev, WATCH_EXCEPTION);
}

void watch_interrupt(struct cpu *cpu, struct intr_ack ack)
{
    struct watch_event ev = watch_place(cpu, NULL);

    ev.address = ack.vector;
    ev.value = ack.source;
    watch_tell(cpu, &ev, WATCH_INTERRUPT);
}

void watch_syscall(struct cpu *cpu, const struct op *op, unsigned how)
{
    struct watch_event ev = watch_place(cpu, op);

    ev.address = how;
    watch_tell(cpu, &ev, WATCH_SYSCALL);
}

void watch_return(struct cpu *cpu, struct watch_event *ev, enum watch_return how)
{
    ev->address = debugger_rip(cpu, NULL);
    ev->value = how;
    if (cpu->cpl == 3 && ev->cpl < 3)
        watch_tell(cpu, ev, WATCH_USER_RETURN);
    if (how == WATCH_BY_IRET)
        watch_tell(cpu, ev, WATCH_IRET);
}
