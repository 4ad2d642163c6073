/* SPDX-License-Identifier: MIT */
/*
 * A debugger's break- and watchpoints: emu/debug.h says what they promise.
 *
 * Breakpoints: blocks of a linear page that has any are built in a second form (MODE_CHECKED), whose
 * every instruction asks debugger_check_exec() first. Which form is entered is decided where code is
 * looked up by its linear address; links and the jump cache never lead from one form to the other,
 * because changing the set of breakpoints starts a new generation of the cache. So code elsewhere is
 * untouched, and inserting costs no decoding.
 *
 * Watchpoints: the TLB gets no tag for such accesses to a watched page, so they take the slow path; where
 * physical addresses are watched, flags of the RAM page say so. An access that hits demands that its
 * instruction is alone in its block, like one that reaches a device; the engine then returns right after it.
 *
 * Invariants: 1. `wanted` is what `points` say; during a run `exec`, `exec_map` and `linear_watch` are too.
 * 2. Nothing in here is part of the machine's state: hits are noted, never acted on by the guest.
 */
#include "debugger.h"

#include <stdlib.h>

#include <emu/machine.h>

#include "exception.h"

struct debugger *debugger_create(void)
{
    struct debugger *d = calloc(1, sizeof(*d));

    if (d != NULL)
        d->pass.icount = UINT64_MAX;
    return d;
}

void debugger_destroy(struct debugger *d)
{
    if (d == NULL)
        return;
    free(d->points);
    free(d->wanted);
    free(d->exec);
    free(d);
}

/* --- the set of points --- */

static bool same_point(const struct debug_point *a, const struct debug_point *b)
{
    return a->kind == b->kind && a->address == b->address &&
           (a->kind == DEBUG_EXEC || a->length == b->length);
}

static struct debug_point *find_point(const struct debugger *d, const struct debug_point *point)
{
    size_t i;

    for (i = 0; i < d->npoints; i++)
        if (same_point(&d->points[i], point))
            return &d->points[i];
    return NULL;
}

static void flag_page(struct ram *ram, uint64_t page, enum ram_page_flag flag, bool watched)
{
    if (watched)
        ram_set_flag(ram, page, flag);
    else
        ram_clear_flag(ram, page, flag);
}

static void flag_for_point(struct ram *ram, uint64_t page, const struct debug_point *point, bool watched)
{
    if (page == UINT64_MAX)
        return;
    if (point->kind != DEBUG_READ_PHYSICAL)
        flag_page(ram, page, RAM_WATCH, watched);
    if (point->kind != DEBUG_WRITE_PHYSICAL)
        flag_page(ram, page, RAM_WATCH_READS, watched);
}

/* What shows at an address, and the RAM behind it, which stores can reach through the chip set. */
static void flag_pages(struct machine *m, const struct debug_point *point, bool watched)
{
    uint64_t gpa = point->address & ~PAGE_OFFSET_MASK;

    for (; gpa < point->address + point->length; gpa += PAGE_BYTES) {
        flag_for_point(&m->ram, ram_page_of(&m->ram, gpa), point, watched);
        flag_for_point(&m->ram, ram_home_page(&m->ram, gpa), point, watched);
    }
}

void debugger_window_changed(struct machine *m)
{
    const struct debugger *d = m->debugger;

    for (size_t i = 0; i < d->npoints; i++)
        if (debug_is_physical(d->points[i].kind))
            flag_pages(m, &d->points[i], true);
}

/* `point` was added or removed. */
static void points_changed(struct debugger *d, const struct debug_point *point)
{
    if (point->kind == DEBUG_EXEC)
        d->exec_stale = true;
    else if (point->kind != DEBUG_WRITE_PHYSICAL) /* whose pages lose their write tags at once */
        d->watch_stale = true;
}

static int make_room(struct debugger *d)
{
    size_t capacity = d->capacity == 0 ? 16 : 2 * d->capacity;
    struct debug_point *points;
    uint64_t *wanted;

    if (d->npoints < d->capacity)
        return 0;
    points = realloc(d->points, capacity * sizeof(*points));
    if (points == NULL)
        return -1;
    d->points = points;
    wanted = realloc(d->wanted, capacity * sizeof(*wanted));
    if (wanted == NULL)
        return -1;
    d->wanted = wanted;
    d->capacity = capacity;
    return 0;
}

/* Index of the first of ascending addresses that is not below `linear`. */
static size_t lower_bound(const uint64_t *addresses, size_t n, uint64_t linear)
{
    size_t from = 0, end = n;

    while (from < end) {
        size_t mid = from + (end - from) / 2;

        if (addresses[mid] < linear)
            from = mid + 1;
        else
            end = mid;
    }
    return from;
}

static bool is_wanted(const struct debugger *d, uint64_t linear)
{
    size_t at = lower_bound(d->wanted, d->nwanted, linear);

    return at < d->nwanted && d->wanted[at] == linear;
}

static void want(struct debugger *d, uint64_t linear)
{
    size_t at = lower_bound(d->wanted, d->nwanted, linear);

    memmove(d->wanted + at + 1, d->wanted + at, (d->nwanted - at) * sizeof(*d->wanted));
    d->wanted[at] = linear;
    d->nwanted++;
}

static void unwant(struct debugger *d, uint64_t linear)
{
    size_t at = lower_bound(d->wanted, d->nwanted, linear);

    d->nwanted--;
    memmove(d->wanted + at, d->wanted + at + 1, (d->nwanted - at) * sizeof(*d->wanted));
}

int machine_debug_insert(struct machine *m, const struct debug_point *point)
{
    struct debugger *d = m->debugger;

    if (point->kind != DEBUG_EXEC &&
        (point->length == 0 || point->address + point->length - 1 < point->address))
        return -1;
    if (point->kind == DEBUG_EXEC ? is_wanted(d, point->address) : find_point(d, point) != NULL)
        return 0;
    if (make_room(d) != 0)
        return -1;
    d->points[d->npoints++] = *point;
    if (point->kind == DEBUG_EXEC)
        want(d, point->address);
    if (debug_is_physical(point->kind))
        flag_pages(m, point, true);
    points_changed(d, point);
    return 0;
}

void machine_debug_remove(struct machine *m, const struct debug_point *point)
{
    struct debugger *d = m->debugger;
    struct debug_point *found = find_point(d, point), removed;
    size_t i;

    if (found == NULL)
        return;
    removed = *found;
    *found = d->points[--d->npoints];
    points_changed(d, &removed);
    if (removed.kind == DEBUG_EXEC)
        unwant(d, removed.address);
    if (!debug_is_physical(removed.kind))
        return;
    flag_pages(m, &removed, false);
    for (i = 0; i < d->npoints; i++) /* pages that others share */
        if (debug_is_physical(d->points[i].kind))
            flag_pages(m, &d->points[i], true);
}

void machine_debug_clear(struct machine *m)
{
    struct debugger *d = m->debugger;

    for (size_t i = 0; i < d->npoints; i++) {
        points_changed(d, &d->points[i]);
        if (debug_is_physical(d->points[i].kind))
            flag_pages(m, &d->points[i], false);
    }
    d->npoints = d->nwanted = 0;
    d->pass.icount = UINT64_MAX;
}

/* --- making them known to the engine --- */

static void map_exec(struct debugger *d)
{
    size_t i;

    memset(d->exec_map, 0, sizeof(d->exec_map));
    for (i = 0; i < d->nexec; i++)
        d->exec_map[(d->exec[i] & PAGE_OFFSET_MASK) >> 6] |= 1ULL << (d->exec[i] & 63);
}

/* Points are taken away and put back around every stop: often nothing has changed in the end. */
static int refresh_exec(struct machine *m)
{
    struct debugger *d = m->debugger;
    size_t n = d->nwanted;
    uint64_t *exec;
    unsigned i;

    if (n == d->nexec && (n == 0 || memcmp(d->wanted, d->exec, n * sizeof(*exec)) == 0)) {
        d->exec_stale = false;
        return 0;
    }
    exec = realloc(d->exec, (n + 1) * sizeof(*exec));
    if (exec == NULL)
        return -1;
    if (n > 0)
        memcpy(exec, d->wanted, n * sizeof(*exec));
    d->exec_stale = false;
    d->exec = exec;
    d->nexec = n;
    map_exec(d);
    for (i = 0; i < m->ncpus; i++)
        blocks_forget_jumps(&m->cpus[i]);
    return 0;
}

static void refresh_watch(struct machine *m)
{
    struct debugger *d = m->debugger;
    size_t k;
    unsigned i;

    d->watch_stale = d->linear_watch = false;
    for (k = 0; k < d->npoints; k++)
        d->linear_watch |= d->points[k].kind != DEBUG_EXEC && !debug_is_physical(d->points[k].kind);
    for (i = 0; i < m->ncpus; i++)
        cpu_debug_changed(&m->cpus[i]);
}

int debugger_refresh(struct machine *m)
{
    if (m->debugger->watch_stale)
        refresh_watch(m);
    return m->debugger->exec_stale ? refresh_exec(m) : 0;
}

const struct debug_hit *machine_debug_hits(const struct machine *m, size_t *n)
{
    *n = m->debugger->nhits;
    return m->debugger->hits;
}

void machine_debug_pass(struct machine *m)
{
    m->debugger->pass = machine_moment(m);
}

void machine_debug_ignore(struct machine *m)
{
    const struct debugger *d = m->debugger;

    if (d->nhits > 0 && d->hits[0].point.kind == DEBUG_EXEC)
        machine_debug_pass(m);
}

/* The first bytes of a range, by addresses of a point's kind. */
static size_t value_at(const struct machine *m, enum debug_kind kind, uint64_t address, uint64_t length,
                       uint8_t out[DEBUG_VALUE_BYTES])
{
    size_t len = length < DEBUG_VALUE_BYTES ? (size_t)length : DEBUG_VALUE_BYTES;

    if (kind == DEBUG_EXEC)
        return 0;
    if (debug_is_physical(kind))
        return ram_read(&m->ram, address, out, len) ? len : 0;
    return cpu_peek(&m->cpus[0], address, out, len);
}

size_t machine_debug_value(const struct machine *m, const struct debug_point *point,
                           uint8_t out[DEBUG_VALUE_BYTES])
{
    return value_at(m, point->kind, point->address, point->length, out);
}

void debugger_forget_hits(struct debugger *d)
{
    d->nhits = 0;
}

/* --- hits --- */

uint64_t debugger_rip(const struct cpu *cpu, const struct op *op)
{
    uint64_t rip = op != NULL ? op_rip(cpu, op) : cpu->rip;

    return mode_code_size(cpu->mode) == CODE_64 ? rip : (uint32_t)(cpu->seg[SEG_CS].base + rip);
}

struct moment debugger_moment(const struct cpu *cpu, const struct op *op)
{
    uint64_t icount = op != NULL ? insn_icount(cpu, op) : cpu->icount;

    return (struct moment){.icount = icount, .entries = cpu_entries(cpu, icount)};
}

/* What the present instruction has done to a point so far; NULL: nothing. */
static struct debug_hit *noted(struct debugger *d, const struct debug_point *point)
{
    size_t i;

    for (i = 0; i < d->nhits; i++)
        if (same_point(&d->hits[i].point, point))
            return &d->hits[i];
    return NULL;
}

static void note_hit(struct cpu *cpu, const struct debug_point *point, uint64_t address,
                     unsigned size, bool write)
{
    struct debugger *d = cpu->debugger;
    struct debug_hit *hit = noted(d, point);

    cpu->exit_request = true;
    if (hit != NULL) {
        hit->read |= !write;
        hit->write |= write;
        return;
    }
    if (d->nhits == DEBUG_MAX_HITS)
        return;
    hit = &d->hits[d->nhits];
    *hit = (struct debug_hit){.point = *point,
                              .at = debugger_moment(cpu, cpu->op),
                              .rip = debugger_rip(cpu, cpu->op),
                              .address = address,
                              .size = size,
                              .cpl = cpu->cpl,
                              .read = !write && point->kind != DEBUG_EXEC,
                              .write = write};
    hit->vns = hit->at.icount * cpu->clock->ns_per_insn + cpu->clock->idle_ns;
    hit->nbefore = (uint32_t)machine_debug_value(cpu->machine, point, hit->before);
    hit->naccessed = (uint32_t)value_at(cpu->machine, point->kind, address, size, hit->accessed);
    d->nhits++;
}

/* --- breakpoints --- */

bool debugger_page_has_exec(const struct debugger *d, uint64_t linear)
{
    uint64_t page = linear & ~PAGE_OFFSET_MASK;
    size_t at;

    if (d->inspection.by.what == INSPECT_EVERY)
        return true;
    if (d->nexec == 0)
        return false;
    at = lower_bound(d->exec, d->nexec, page);
    return at < d->nexec && d->exec[at] - page < PAGE_BYTES;
}

void debugger_check_exec(struct cpu *cpu, const struct op *op, uint64_t linear)
{
    struct debugger *d = cpu->debugger;
    size_t at = lower_bound(d->exec, d->nexec, linear);
    struct moment now;

    if (at == d->nexec || d->exec[at] != linear)
        return;
    now = debugger_moment(cpu, op);
    if (moment_equal(now, d->pass))
        return;
    if (now.entries == 0 && now.icount == cpu->repeat_mark)
        return; /* a later iteration of a string instruction that was stopped at before */
    cpu->op = op;
    d->nhits = 0;
    note_hit(cpu, &(struct debug_point){.kind = DEBUG_EXEC, .address = linear, .length = 1}, linear, 1,
             false);
    engine_stop_here(cpu);
}

/* --- watchpoints --- */

static bool overlaps(const struct debug_point *p, uint64_t address, uint64_t size)
{
    /* Neither range wraps around. */
    return address <= p->address + (p->length - 1) && p->address <= address + (size - 1);
}

static bool sees(const struct debug_point *p, bool write)
{
    switch (p->kind) {
    case DEBUG_WRITE: return write;
    case DEBUG_READ: return !write;
    case DEBUG_ACCESS: return true;
    case DEBUG_EXEC:
    case DEBUG_WRITE_PHYSICAL:
    case DEBUG_READ_PHYSICAL:
    case DEBUG_ACCESS_PHYSICAL: break;
    }
    return false;
}

static bool sees_physical(const struct debug_point *p, bool write)
{
    return debug_is_physical(p->kind) &&
           p->kind != (write ? DEBUG_READ_PHYSICAL : DEBUG_WRITE_PHYSICAL);
}

bool debugger_watches(const struct debugger *d)
{
    return d->linear_watch;
}

unsigned debugger_page_watch(const struct debugger *d, uint64_t page_linear)
{
    unsigned watch = 0;
    size_t i;

    for (i = 0; d->linear_watch && i < d->npoints; i++) {
        const struct debug_point *p = &d->points[i];

        if (p->kind != DEBUG_EXEC && !debug_is_physical(p->kind) &&
            overlaps(p, page_linear, PAGE_BYTES))
            watch |= p->kind == DEBUG_WRITE ? PAGE_WATCH_WRITES : PAGE_WATCH_ALL;
    }
    return watch;
}

bool debugger_overlaps(const struct debugger *d, uint64_t linear, unsigned size, bool write)
{
    size_t i;

    for (i = 0; d->linear_watch && i < d->npoints; i++)
        if (sees(&d->points[i], write) && overlaps(&d->points[i], linear, size))
            return true;
    return false;
}

void debugger_access(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size, bool write)
{
    const struct debugger *d = cpu->debugger;
    size_t i;

    if (!debugger_overlaps(d, linear, size, write))
        return;
    if (op != NULL)
        cpu->op = op;
    if (cpu->op != NULL)
        require_solo(cpu);
    for (i = 0; i < d->npoints; i++)
        if (sees(&d->points[i], write) && overlaps(&d->points[i], linear, size))
            note_hit(cpu, &d->points[i], linear, size, write);
}

static bool overlaps_physical(const struct debugger *d, uint64_t gpa, size_t size, bool write)
{
    size_t i;

    for (i = 0; i < d->npoints; i++)
        if (sees_physical(&d->points[i], write) && overlaps(&d->points[i], gpa, size))
            return true;
    return false;
}

bool debugger_overlaps_physical(const struct debugger *d, uint64_t gpa, size_t size)
{
    return overlaps_physical(d, gpa, size, true);
}

static void note_physical(struct cpu *cpu, uint64_t gpa, size_t size, bool write)
{
    const struct debugger *d = cpu->debugger;
    size_t i;

    for (i = 0; i < d->npoints; i++)
        if (sees_physical(&d->points[i], write) && overlaps(&d->points[i], gpa, size))
            note_hit(cpu, &d->points[i], gpa, (unsigned)size, write);
}

void debugger_physical_store(struct cpu *cpu, uint64_t gpa, size_t size)
{
    note_physical(cpu, gpa, size, true);
}

void debugger_physical_load(struct cpu *cpu, const struct op *op, uint64_t gpa, unsigned size)
{
    if (!overlaps_physical(cpu->debugger, gpa, size, false))
        return;
    if (op != NULL)
        cpu->op = op;
    if (cpu->op != NULL)
        require_solo(cpu);
    note_physical(cpu, gpa, size, false);
}
