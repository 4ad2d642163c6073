/* SPDX-License-Identifier: MIT */
/* What a condition depends on: reach.h. */
#include "reach.h"

#include <string.h>

#include <emu/cpu.h>
#include <emu/machine.h>

#include "condition.h"

#define ENTRY_BYTES 8u /* of a page table, at most */

struct looker {
    struct reach *reach;
    const struct machine *m;
};

static bool is_at(const struct debug_point *p, uint64_t gpa, uint64_t len)
{
    return p->address == gpa && p->length == len;
}

/* Sorted, so that two lists can be compared. */
static void add(struct reach *r, const struct machine *m, uint64_t gpa, uint64_t len)
{
    size_t at = r->n;

    if (ram_page_of(&m->ram, gpa) == UINT64_MAX || ram_page_of(&m->ram, gpa + len - 1) == UINT64_MAX) {
        r->beyond = true;
        return;
    }
    while (at > 0 && (r->points[at - 1].address > gpa ||
                      (r->points[at - 1].address == gpa && r->points[at - 1].length > len)))
        at--;
    if (at > 0 && is_at(&r->points[at - 1], gpa, len))
        return;
    if (r->n == REACH_MAX) {
        r->beyond = true;
        return;
    }
    memmove(&r->points[at + 1], &r->points[at], (r->n - at) * sizeof(r->points[0]));
    r->points[at] = (struct debug_point){.kind = DEBUG_WRITE_PHYSICAL, .address = gpa, .length = len};
    r->n++;
}

static void add_translation(struct looker *l, uint64_t linear)
{
    uint64_t path[CPU_PATH_MAX];
    unsigned n = cpu_peek_path(&l->m->cpus[0], linear, path);

    for (unsigned i = 0; i < n; i++)
        add(l->reach, l->m, path[i] & ~(uint64_t)(ENTRY_BYTES - 1), ENTRY_BYTES);
}

/* The bytes of one page: up to its end. */
static unsigned within_page(uint64_t address, unsigned bytes)
{
    uint64_t room = PAGE_BYTES - (address & PAGE_OFFSET_MASK);

    return room < bytes ? (unsigned)room : bytes;
}

static void on_read(void *opaque, bool physical, uint64_t address, unsigned bytes)
{
    struct looker *l = opaque;
    unsigned n;

    for (unsigned done = 0; done < bytes; done += n) {
        uint64_t gpa = address + done;

        n = within_page(gpa, bytes - done);
        if (!physical) {
            add_translation(l, address + done);
            gpa = cpu_peek_translate(&l->m->cpus[0], address + done);
        }
        if (gpa != UINT64_MAX)
            add(l->reach, l->m, gpa, n);
    }
}

bool reach_look(struct reach *reach, struct condition *c, const struct machine *m)
{
    struct looker l = {.reach = reach, .m = m};

    reach->n = 0;
    reach->beyond = false;
    return condition_holds_telling(c, on_read, &l);
}

bool reach_is_same(const struct reach *a, const struct reach *b)
{
    if (a->n != b->n || a->beyond != b->beyond)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!is_at(&a->points[i], b->points[i].address, b->points[i].length))
            return false;
    return true;
}
