/* SPDX-License-Identifier: MIT */
/*
 * Interrupts and exceptions: entries into handlers, each paired with the IRET that leads back to the
 * interrupted instruction.
 *
 * An IRET is that of the latest entry whose instruction and stack pointer it restores: nothing else leads there
 * while the handler runs above that stack, and in user mode in that address space. A handler that returns
 * elsewhere (a signal, an exception that was fixed up) has no end.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <replay/describe.h>

#include "values.h"

#define MAX_PENDING 1024u /* of those without an end, the oldest are forgotten */

struct pending {
    uint64_t id;
    struct stamp at;
    uint64_t rip, rsp;
    unsigned cpl;
};

struct handlers {
    struct pending list[MAX_PENDING]; /* the oldest first */
    size_t n;
};

int handlers_create(struct tracer *t)
{
    t->handlers = calloc(1, sizeof(*t->handlers));
    return t->handlers == NULL ? -1 : 0;
}

void handlers_destroy(struct handlers *h)
{
    free(h);
}

/* --- pairs --- */

static void forget(struct handlers *h, size_t i)
{
    memmove(&h->list[i], &h->list[i + 1], (h->n - i - 1) * sizeof(h->list[0]));
    h->n--;
}

static bool leads_to(const struct pending *p, uint64_t rip, uint64_t rsp, unsigned cpl, uint64_t cr3)
{
    return p->rip == rip && p->rsp == rsp && p->cpl == cpl && (cpl != 3 || p->at.who.cr3 == cr3);
}

static void remember(struct handlers *h, const struct pending *new)
{
    for (size_t i = h->n; i-- > 0;) /* interrupted there again: the one before did not return */
        if (leads_to(&h->list[i], new->rip, new->rsp, new->cpl, new->at.who.cr3))
            forget(h, i);
    if (h->n == MAX_PENDING)
        forget(h, 0);
    h->list[h->n++] = *new;
}

static void print_end(struct tracer *t, const struct pending *p, const struct stamp *now)
{
    struct text text = {.len = 0}, line = {.len = 0};

    if (t->out.json) {
        record_begin(t, now, "iret");
        record_number(t, "id", p->id);
        record_number(t, "instructions", now->at.icount - p->at.at.icount);
        record_number(t, "ns", now->vns - p->at.vns);
        record_end(t);
        return;
    }
    add_duration(t, &text, &p->at, now);
    if (out_join(t, p->id, &text))
        return;
    text_add(&line, "iret to ");
    add_code(t, &line, p->rip);
    text_add(&line, "%s", text.data);
    out_line(t, now, 0, &line);
}

static void on_iret(struct tracer *t, const struct watch_event *ev)
{
    struct handlers *h = t->handlers;
    const struct cpu *cpu = t->cpu;
    struct stamp now;

    if (h->n == 0)
        return;
    now = stamp_after(t, ev);
    for (size_t i = h->n; i-- > 0;) {
        if (!leads_to(&h->list[i], ev->address, cpu->regs[REG_RSP], cpu->cpl, now.who.cr3))
            continue;
        print_end(t, &h->list[i], &now);
        forget(h, i);
        return;
    }
}

/* --- entries --- */

static void begin(struct tracer *t, const struct watch_event *ev, struct pending *p)
{
    *p = (struct pending){.id = next_id(t),
                          .at = stamp_of(t, ev->at),
                          .rip = ev->rip,
                          .rsp = t->cpu->regs[REG_RSP],
                          .cpl = ev->cpl};
    remember(t->handlers, p);
}

static void finish(struct tracer *t, const struct pending *p, struct text *text)
{
    text_add(text, "  at ");
    add_code(t, text, p->rip);
    out_line(t, &p->at, p->id, text);
}

static void json_finish(struct tracer *t, const struct pending *p)
{
    record_code(t, "rip", "symbol", p->rip);
    record_number(t, "cpl", p->cpl);
    record_end(t);
}

/* The base of a code segment of the GDT; of 64-bit code, and where it cannot be read, 0. */
static uint64_t segment_base(const struct cpu *cpu, uint16_t selector)
{
    uint64_t d = 0;

    if (cpu->efer & EFER_LMA || (selector & 4) || cpu_peek(cpu, cpu->gdtr.base + (selector & ~7u), &d, 8) != 8)
        return 0;
    return (d >> 16 & 0xffffff) | (d >> 56 << 24);
}

/* Where the gate of a vector leads: linear. False: nowhere. */
static bool handler_of(const struct cpu *cpu, unsigned vector, uint64_t *address)
{
    uint64_t at = cpu->idtr.base, low = 0, high = 0;

    if (!(cpu->cr0 & CR0_PE)) {
        if (cpu_peek(cpu, at + 4 * vector, &low, 4) != 4)
            return false;
        *address = (low >> 16 << 4) + (low & 0xffff);
        return true;
    }
    at += (cpu->efer & EFER_LMA ? 16 : 8) * vector;
    if (cpu_peek(cpu, at, &low, 8) != 8)
        return false;
    if ((cpu->efer & EFER_LMA) && cpu_peek(cpu, at + 8, &high, 4) != 4)
        return false;
    *address = segment_base(cpu, (uint16_t)(low >> 16)) + ((low & 0xffff) | (low >> 32 & 0xffff0000u) | high << 32);
    return true;
}

static void on_interrupt(struct tracer *t, const struct watch_event *ev)
{
    unsigned vector = (unsigned)ev->address;
    const char *source = replay_interrupt_source_name((uint32_t)ev->value);
    struct text text = {.len = 0};
    struct pending p;
    uint64_t handler;
    bool known = handler_of(t->cpu, vector, &handler);

    begin(t, ev, &p);
    if (t->out.json) {
        record_begin(t, &p.at, "interrupt");
        record_number(t, "id", p.id);
        record_number(t, "vector", vector);
        record_text(t, "source", source);
        if (known)
            record_code(t, "handler", "handler_symbol", handler);
        json_finish(t, &p);
        return;
    }
    text_add(&text, "irq %u %s", vector, source);
    if (known) {
        text_add(&text, " ");
        add_code(t, &text, handler);
    }
    finish(t, &p, &text);
}

static const char *access_of(uint64_t error)
{
    return error & PF_FETCH ? "fetch" : error & PF_WRITE ? "write" : "read";
}

static const char *reason_of(uint64_t error)
{
    return error & PF_RSVD ? "reserved bit" : error & PF_PRESENT ? "protection" : "not present";
}

static void print_page_fault(struct tracer *t, const struct watch_event *ev, const struct pending *p)
{
    const char *mode = ev->value & PF_USER ? "user" : "kernel";
    struct text text = {.len = 0};

    if (t->out.json) {
        record_begin(t, &p->at, "page-fault");
        record_number(t, "id", p->id);
        record_address(t, "address", ev->extra);
        record_number(t, "error", ev->value);
        record_text(t, "access", access_of(ev->value));
        record_text(t, "mode", mode);
        record_text(t, "reason", reason_of(ev->value));
        json_finish(t, p);
        return;
    }
    text_add(&text, "#PF %s %s of 0x%" PRIx64 ", %s, cpl=%u cr3=%" PRIx64, mode, access_of(ev->value), ev->extra,
             reason_of(ev->value), p->cpl, p->at.who.cr3);
    finish(t, p, &text);
}

static const char *exception_name(unsigned vector)
{
    static const char *const names[] = {
        "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", NULL,
        "#TS", "#NP", "#SS", "#GP", "#PF", NULL,  "#MF", "#AC", "#MC", "#XM",
    };

    return vector < sizeof(names) / sizeof(names[0]) ? names[vector] : NULL;
}

static bool has_error_code(unsigned vector)
{
    return vector == EXC_DF || (vector >= EXC_TS && vector <= EXC_PF) || vector == EXC_AC;
}

static void print_exception(struct tracer *t, const struct watch_event *ev, const struct pending *p)
{
    unsigned vector = (unsigned)ev->address;
    const char *name = exception_name(vector);
    struct text text = {.len = 0};

    if (t->out.json) {
        record_begin(t, &p->at, "exception");
        record_number(t, "id", p->id);
        record_number(t, "vector", vector);
        if (name != NULL)
            record_text(t, "name", name);
        record_number(t, "error", ev->value);
        if (vector == EXC_PF)
            record_address(t, "address", ev->extra);
        json_finish(t, p);
        return;
    }
    text_add(&text, "%s", name != NULL ? name : "exception");
    if (name == NULL)
        text_add(&text, " %u", vector);
    if (has_error_code(vector))
        text_add(&text, "(0x%" PRIx64 ")", ev->value);
    if (vector == EXC_PF)
        text_add(&text, " of 0x%" PRIx64, ev->extra);
    text_add(&text, ", cpl=%u", p->cpl);
    finish(t, p, &text);
}

static void on_exception(struct tracer *t, const struct watch_event *ev)
{
    const struct trace_options *o = t->options;
    bool page_fault = o->page_faults && ev->address == EXC_PF;
    struct pending p;

    if (!page_fault && !o->exceptions)
        return;
    begin(t, ev, &p);
    if (page_fault)
        print_page_fault(t, ev, &p);
    else
        print_exception(t, ev, &p);
}

/* INT3, INTO and INT1, or INT with their numbers, are exceptions to the guest. The entry is done. */
static void on_trap_instruction(struct tracer *t, const struct watch_event *ev)
{
    struct pending p = {.at = stamp_of(t, ev->at), .rip = ev->rip, .cpl = ev->cpl};

    if (ev->address != EXC_DB && ev->address != EXC_BP && ev->address != EXC_OF)
        return;
    print_exception(t, ev, &p);
}

void handlers_event(struct tracer *t, const struct watch_event *ev)
{
    if (ev->kind == WATCH_IRET)
        on_iret(t, ev);
    else if (!is_wanted(t))
        return;
    else if (ev->kind == WATCH_INTERRUPT && t->options->irqs)
        on_interrupt(t, ev);
    else if (ev->kind == WATCH_EXCEPTION)
        on_exception(t, ev);
    else if (ev->kind == WATCH_SOFT_INTERRUPT && t->options->exceptions)
        on_trap_instruction(t, ev);
}
