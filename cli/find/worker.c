/* SPDX-License-Identifier: MIT */
/* Running a segment with all selectors armed, and what counts as a hit: find.h. */
#include "find.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <emu/cpu.h>
#include <emu/machine.h>
#include <emu/registers.h>
#include <replay/describe.h>
#include <traces/trace.h>

#define VALUE_BYTES 8u

/* --- giving hits out --- */

static void emit(struct find_run *r, const struct find_hit *hit)
{
    if (r->args->order == SCAN_LAST) {
        r->last = *hit;
        r->any = true;
        return;
    }
    scan_emit(r->worker, hit, offsetof(struct find_hit, text) + strlen(hit->text) + 1);
}

static uint64_t mask_to(uint64_t value, unsigned size)
{
    return size < VALUE_BYTES ? value & ((1ULL << 8 * size) - 1) : value;
}

static bool value_counts(const struct find_run *r, const struct find_hit *hit)
{
    uint64_t value = hit->have_after ? hit->after : hit->before;

    if (r->args->test == VALUE_ANY || hit->value_size == 0)
        return true;
    return (hit->have_after || hit->have_before) && find_value_counts(r->args, value, hit->value_size);
}

/* Gives it out if the filters let it through. */
static void judge(struct find_run *r, struct find_hit *hit)
{
    hit->cr3 = r->m->cpus[0].cr3;
    if (find_state_counts(r->args, hit->cr3, hit->cpl) && value_counts(r, hit))
        emit(r, hit);
}

/* --- instructions and memory --- */

static enum debug_kind kind_of(const struct selector *s)
{
    bool physical = s->place.physical;

    if (s->kind == SELECT_EXEC)
        return DEBUG_EXEC;
    if (s->reads && s->writes)
        return physical ? DEBUG_ACCESS_PHYSICAL : DEBUG_ACCESS;
    if (s->reads)
        return physical ? DEBUG_READ_PHYSICAL : DEBUG_READ;
    return physical ? DEBUG_WRITE_PHYSICAL : DEBUG_WRITE;
}

static struct debug_point point_of(const struct selector *s)
{
    return (struct debug_point){.kind = kind_of(s),
                                .address = s->place.address,
                                .length = s->place.length > 0 ? s->place.length : 1};
}

static bool arm(const struct find_run *r)
{
    for (size_t i = 0; i < r->args->n; i++) {
        const struct selector *s = &r->args->selectors[i];
        struct debug_point point = point_of(s);

        if ((s->kind == SELECT_EXEC || s->kind == SELECT_MEMORY) && machine_debug_insert(r->m, &point) != 0)
            return false;
    }
    return true;
}

/* The selector that a hit belongs to. */
static const struct selector *selector_of(const struct find_run *r, const struct debug_point *point)
{
    for (size_t i = 0; i < r->args->n; i++) {
        const struct selector *s = &r->args->selectors[i];
        struct debug_point own = point_of(s);

        if ((s->kind == SELECT_EXEC || s->kind == SELECT_MEMORY) && own.kind == point->kind &&
            own.address == point->address && own.length == point->length)
            return s;
    }
    return NULL;
}

static uint64_t number_of(const uint8_t *bytes, size_t n)
{
    uint64_t value = 0;

    memcpy(&value, bytes, n);
    return value;
}

/* The value of a word that was given with its length is all of it; else it is that of the bytes accessed, from where
 * they are the ones asked for. */
static void take_before(struct find_hit *hit, const struct selector *s, const struct debug_hit *h,
                        uint64_t *address)
{
    uint64_t length = s->place.length, skip, size;

    if (length > 0 && length <= VALUE_BYTES) {
        *address = s->place.address;
        hit->value_size = (uint32_t)length;
        hit->have_before = h->nbefore >= length;
        hit->before = hit->have_before ? number_of(h->before, (size_t)length) : 0;
        return;
    }
    skip = s->place.address > h->address ? s->place.address - h->address : 0;
    size = h->size - skip;
    if (length > 0 && s->place.address + length - (h->address + skip) < size)
        size = s->place.address + length - (h->address + skip);
    if (size > VALUE_BYTES)
        size = VALUE_BYTES;
    *address = h->address + skip;
    hit->value_size = (uint32_t)size;
    hit->have_before = h->naccessed >= skip + size;
    hit->before = hit->have_before ? number_of(h->accessed + skip, (size_t)size) : 0;
}

static void take_after(const struct find_run *r, struct find_hit *hit, uint64_t address)
{
    uint8_t bytes[VALUE_BYTES] = {0};

    hit->have_after = hit->physical ? ram_read(&r->m->ram, address, bytes, hit->value_size)
                                    : cpu_peek(&r->m->cpus[0], address, bytes, hit->value_size) == hit->value_size;
    hit->after = number_of(bytes, hit->value_size);
}

static void on_hit(struct find_run *r, const struct debug_hit *h)
{
    const struct selector *s = selector_of(r, &h->point);
    struct find_hit hit = {.at = h->at, .vns = h->vns, .rip = h->rip, .cpl = h->cpl, .what = HIT_EXEC};
    uint64_t value_at;

    if (s != NULL && s->kind == SELECT_MEMORY) {
        hit.what = !h->write ? HIT_READ : h->read ? HIT_UPDATE : HIT_WRITE;
        hit.physical = s->place.physical;
        hit.address = h->address;
        hit.size = h->size;
        take_before(&hit, s, h, &value_at);
        if (h->write)
            take_after(r, &hit, value_at);
    }
    if (s != NULL)
        judge(r, &hit);
}

/* --- events --- */

static uint64_t vns_at(const struct machine *m, struct moment at)
{
    return at.icount * m->clock.ns_per_insn + m->clock.idle_ns;
}

static void on_event(void *opaque, const struct watch_event *ev)
{
    struct find_run *r = opaque;
    struct find_hit hit = {.what = HIT_EVENT, .kind = ev->kind, .at = ev->at, .rip = ev->rip, .cpl = ev->cpl,
                           .address = ev->address, .size = ev->size, .extra = ev->extra};
    bool wanted = false;

    if (ev->kind == WATCH_PORT_WRITE)
        r->port = *ev;
    if (ev->kind == WATCH_SYSCALL) {
        hit.extra = ev->address;
        hit.address = (uint32_t)r->m->cpus[0].regs[REG_RAX];
    }
    for (size_t i = 0; i < r->args->n && !wanted; i++)
        wanted = find_event_counts(&r->args->selectors[i], ev->kind, hit.address, ev->size);
    if (!wanted)
        return;
    hit.vns = vns_at(r->m, ev->at);
    if (ev->kind <= WATCH_CR_WRITE) {
        hit.value_size = ev->size > 0 && ev->size < VALUE_BYTES ? ev->size : VALUE_BYTES;
        hit.after = mask_to(ev->value, hit.value_size);
        hit.have_after = true;
        hit.have_before = ev->kind == WATCH_CR_WRITE;
        hit.before = hit.have_before ? ev->extra : 0;
    } else {
        hit.after = ev->value;
    }
    judge(r, &hit);
}

static void on_input(void *opaque, const struct input *in)
{
    struct find_run *r = opaque;
    const struct cpu *cpu = &r->m->cpus[0];
    struct find_hit hit = {.what = HIT_INPUT, .at = machine_moment(r->m), .rip = cpu_linear_rip(cpu),
                           .cpl = cpu->cpl, .address = in->kind, .vns = clock_now_ns(&r->m->clock)};
    struct trace_event ev = {.kind = TRACE_EVENT_INPUT,
                             .u.input = {.kind = in->kind, .port = in->port, .data = in->data, .len = in->len}};
    bool wanted = false;

    for (size_t i = 0; i < r->args->n; i++) {
        const struct selector *s = &r->args->selectors[i];

        wanted |= s->kind == SELECT_EVENT && s->inputs &&
                  (!s->ranged || (in->kind >= s->first && in->kind <= s->last));
    }
    if (!wanted)
        return;
    replay_describe_event(&ev, hit.text, sizeof(hit.text));
    judge(r, &hit);
}

/* --- output: its moments are known, here is who sent it --- */

static void on_byte(struct find_run *r)
{
    const struct find_plan *plan = r->plan;
    uint64_t now = r->m->clock.icount;

    while (r->next < plan->noutputs && plan->outputs[r->next].icount < now)
        r->next++;
    for (; r->next < plan->noutputs && plan->outputs[r->next].icount == now; r->next++) {
        struct find_hit hit = {.what = HIT_OUTPUT, .at = r->port.at, .rip = r->port.rip, .cpl = r->port.cpl,
                               .vns = vns_at(r->m, r->port.at), .line = plan->outputs[r->next].line};

        judge(r, &hit);
    }
}

static void on_serial(void *opaque, unsigned port, const uint8_t *data, size_t len)
{
    (void)port, (void)data, (void)len;
    on_byte(opaque);
}

static void on_debug(void *opaque, uint16_t port, uint8_t byte)
{
    (void)port, (void)byte;
    on_byte(opaque);
}

/* --- all of it --- */

static void watch(struct find_run *r)
{
    struct machine_watcher watcher = {.event = on_event, .opaque = r};

    for (size_t i = 0; i < r->args->n; i++)
        watcher.kinds |= r->args->selectors[i].kinds;
    if (r->plan->noutputs > 0)
        watcher.kinds |= WATCH_BIT(WATCH_PORT_WRITE);
    if (watcher.kinds != 0)
        machine_watch(r->m, &watcher);
}

static enum timeline_status run_armed(struct find_run *r, const struct scan_segment *s)
{
    const struct debug_hit *hits;
    enum timeline_status status;
    size_t n;

    while ((status = scan_advance(r->worker, s->to)) == TIMELINE_HIT) {
        hits = machine_debug_hits(r->m, &n);
        for (size_t i = 0; i < n; i++)
            on_hit(r, &hits[i]);
        machine_debug_ignore(r->m);
    }
    return status;
}

enum timeline_status find_segment(struct find_run *r, struct scan_worker *w, const struct scan_segment *s)
{
    struct player *player = timeline_player(scan_timeline(w));
    enum timeline_status status = TIMELINE_ERROR;

    if (!find_names_take(r->names, r->args))
        return TIMELINE_INTERRUPTED; /* whoever looked has said why */
    r->worker = w;
    r->m = timeline_machine(scan_timeline(w));
    r->next = 0;
    r->any = false;
    watch(r);
    player_set_outputs(player, &(struct machine_observer){
                                   .serial_out = on_serial, .debug_out = on_debug, .input = on_input, .opaque = r});
    if (arm(r))
        status = run_armed(r, s);
    player_set_outputs(player, &(struct machine_observer){0});
    machine_watch(r->m, NULL);
    if (r->any)
        scan_emit(w, &r->last, offsetof(struct find_hit, text) + strlen(r->last.text) + 1);
    return status;
}
