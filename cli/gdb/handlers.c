/* SPDX-License-Identifier: MIT */
/*
 * Stepping past the handlers of interrupts and exceptions: forwards they run to their end, backwards the step
 * goes on to where they came. Who steps through a line wants to know nothing of the timer.
 *
 * A handler is left by an IRET to the same place of the same stack; that is how its beginning and end are
 * told to belong together.
 */
#include "session_internal.h"

#include <emu/cpu.h>
#include <emu/registers.h>

#define MAX_NESTED 32u /* interrupts that are looked at, the latest first */

struct handler_place handler_place_now(const struct session *s)
{
    const struct cpu *cpu = &s->m->cpus[0];

    return (struct handler_place){.rip = cpu_linear_rip(cpu), .rsp = cpu->regs[REG_RSP]};
}

bool handler_place_is(const struct session *s, const struct handler_place *at)
{
    struct handler_place now = handler_place_now(s);

    return now.rip == at->rip && now.rsp == at->rsp;
}

/* The next instruction is an IRET. */
static bool is_at_return(const struct session *s)
{
    const struct cpu *cpu = &s->m->cpus[0];
    uint8_t code[2] = {0, 0};

    cpu_peek(cpu, cpu_linear_rip(cpu), code, sizeof(code));
    return code[0] == 0xcf || (code[1] == 0xcf && (code[0] == 0x48 || code[0] == 0x66));
}

/* The icounts of the last interrupts before `icount`, in a ring; how many were seen. */
static size_t interrupts_between(struct session *s, uint64_t from, uint64_t icount,
                                 uint64_t ring[MAX_NESTED])
{
    struct trace_event ev;
    size_t n = 0;

    trace_reader_seek(s->events, from);
    while (trace_reader_next(s->events, &ev) > 0 && ev.icount < icount)
        if (ev.kind == TRACE_EVENT_INTERRUPT)
            ring[n++ % MAX_NESTED] = ev.icount;
    return n;
}

/* To where an interrupt came whose handler returned here at `end`. */
static bool seek_interrupt(struct session *s, const struct handler_place *at, struct moment end)
{
    uint64_t ring[MAX_NESTED], span = 1 << 22, from;
    size_t n, k;

    do {
        from = end.icount > span ? end.icount - span : 0;
        n = interrupts_between(s, from, end.icount, ring);
        span *= 8;
    } while (n < MAX_NESTED && from > 0);
    for (k = 1; k <= n && k <= MAX_NESTED; k++) {
        if (timeline_seek(s->timeline, (struct moment){.icount = ring[(n - k) % MAX_NESTED]}) !=
            TIMELINE_THERE)
            return false;
        if (handler_place_is(s, at))
            return true;
    }
    return false;
}

static bool same_stack(void *opaque, const struct debug_hit *hit)
{
    const struct session *s = opaque;

    (void)hit;
    return s->m->cpus[0].regs[REG_RSP] == s->returned_to.rsp;
}

/* To the instruction's attempt that raised the exception: its last one before the handler's end, `end`. */
static bool seek_exception(struct session *s, const struct handler_place *at, struct moment end)
{
    struct debug_point point = {.kind = DEBUG_EXEC, .address = at->rip, .length = 1};
    enum timeline_status status;

    s->returned_to = *at;
    timeline_set_accept(s->timeline, same_stack, s);
    timeline_set_points(s->timeline, &point, 1);
    status = timeline_seek(s->timeline, end);
    if (status == TIMELINE_THERE)
        status = timeline_run_back(s->timeline);
    timeline_set_accept(s->timeline, session_accept, s);
    session_tell_points(s);
    return status == TIMELINE_HIT;
}

enum timeline_status session_step_back(struct session *s)
{
    struct handler_place at = handler_place_now(s);
    struct moment end;
    enum timeline_status status = timeline_step_back(s->timeline);

    if (!s->pass_handlers || status != TIMELINE_THERE || !is_at_return(s))
        return status;
    end = timeline_now(s->timeline);
    if (seek_interrupt(s, &at, end) || seek_exception(s, &at, end))
        return TIMELINE_THERE;
    return timeline_seek(s->timeline, end); /* another IRET: to a thread, to user mode */
}
