/* SPDX-License-Identifier: MIT */
/* Saving, loading and comparing all of a machine but its RAM. See emu/snapshot.h. */
#include <emu/snapshot.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include <emu/cpu.h>
#include <emu/machine.h>

#include "../cpu/debugger.h"
#include "perturb.h"

/* Beyond the parts: kept out of digests, so their form may change from version to version. */
static const struct field machine_fields[] = {
    FIELD(struct machine, a20_mask, FIELD_BOOL),
    FIELD(struct machine, exit_code, FIELD_U8),
    FIELD(struct machine, resets, FIELD_U64),
    FIELD_SUB(struct machine, perturb, &perturb_desc),
};
static const struct state_desc machine_marks =
    STATE_DESC("machine", 1, struct machine, machine_fields, NULL);

static const struct field cpu_mark_fields[] = {
    FIELD(struct cpu, faults_in_a_row, FIELD_U32),
    FIELD(struct cpu, retired_mark, FIELD_U64),
    FIELD(struct cpu, entry_icount, FIELD_U64),
    FIELD(struct cpu, entries, FIELD_U32),
    FIELD(struct cpu, repeat_mark, FIELD_U64),
    FIELD(struct cpu, hold_icount, FIELD_U64),
};
static const struct state_desc cpu_marks =
    STATE_DESC("cpu-marks", 1, struct cpu, cpu_mark_fields, NULL);

size_t machine_snapshot_bytes(const struct machine *m)
{
    size_t size = state_saved_size(&machine_marks) + m->ncpus * state_saved_size(&cpu_marks);
    unsigned i;

    for (i = 0; i < m->nparts; i++)
        size += state_saved_size(m->parts[i].desc);
    return size;
}

/* Names, versions and the fields' places in the saved form. */
static uint64_t form_of(const struct state_desc *desc, uint64_t seed)
{
    uint64_t numbers[4];

    for (size_t i = 0; i < desc->nfields; i++) {
        const struct field *f = &desc->fields[i];

        numbers[0] = seed;
        numbers[1] = f->count;
        numbers[2] = (uint64_t)f->type;
        numbers[3] = f->type == FIELD_STRUCT ? form_of(f->sub, seed) : 0;
        seed = XXH3_64bits_withSeed(f->name, strlen(f->name),
                                    XXH3_64bits(numbers, sizeof(numbers)));
    }
    return XXH3_64bits_withSeed(desc->name, strlen(desc->name), seed + desc->version);
}

uint64_t machine_snapshot_form(const struct machine *m)
{
    uint64_t form = form_of(&cpu_marks, form_of(&machine_marks, m->ncpus));

    for (unsigned i = 0; i < m->nparts; i++)
        form = form_of(m->parts[i].desc, form);
    return form;
}

static uint8_t *save(const struct state_desc *desc, const void *obj, uint8_t *out)
{
    state_save(desc, obj, out);
    return out + state_saved_size(desc);
}

void machine_snapshot_save(const struct machine *m, uint8_t *out)
{
    unsigned i;

    for (i = 0; i < m->nparts; i++)
        out = save(m->parts[i].desc, m->parts[i].obj, out);
    for (i = 0; i < m->ncpus; i++)
        out = save(&cpu_marks, &m->cpus[i], out);
    save(&machine_marks, m, out);
}

/* NULL: rejected, now or before. */
static const uint8_t *load(const struct state_desc *desc, void *obj, const uint8_t *in)
{
    size_t size = state_saved_size(desc);

    if (in == NULL || state_load(desc, obj, in, size) != 0)
        return NULL;
    return in + size;
}

int machine_snapshot_load(struct machine *m, const uint8_t *in, size_t len)
{
    unsigned i;

    if (len != machine_snapshot_bytes(m))
        return -1;
    for (i = 0; i < m->nparts; i++)
        in = load(m->parts[i].desc, m->parts[i].obj, in);
    /* Rebuilds the caches, and the marks with them, which come next. */
    for (i = 0; i < m->ncpus; i++)
        cpu_state_changed(&m->cpus[i]);
    for (i = 0; i < m->ncpus; i++)
        in = load(&cpu_marks, &m->cpus[i], in);
    in = load(&machine_marks, m, in);
    ram_count_rom(&m->ram, m->resets == 0);
    m->stop_request = STOP_ICOUNT;
    debugger_forget_hits(m->debugger);
    inspect_forget(m);
    return in == NULL ? -1 : 0;
}

/* --- comparing --- */

struct comparison {
    machine_compare_fn *fn;
    void *user;
    const struct machine_part *part;
    size_t count;
};

static void tell(void *opaque, const char *path, uint64_t a, uint64_t b, unsigned width_bytes)
{
    struct comparison *c = opaque;

    c->count++;
    if (c->fn != NULL)
        c->fn(c->user, c->part, path, a, b, width_bytes);
}

static void tell_if_differs(struct comparison *c, const char *path, uint64_t a, uint64_t b,
                            unsigned width_bytes)
{
    c->part = NULL;
    if (a != b)
        tell(c, path, a, b, width_bytes);
}

static const struct machine_part *find_part(const struct machine *m, const struct machine_part *like)
{
    for (unsigned i = 0; i < m->nparts; i++)
        if (m->parts[i].desc == like->desc && m->parts[i].instance == like->instance)
            return &m->parts[i];
    return NULL;
}

static void tell_present(struct comparison *c, const struct machine_part *part, bool in_a)
{
    char path[64];

    snprintf(path, sizeof(path), "%s.present", part->desc->name);
    c->part = part;
    tell(c, path, in_a, !in_a, 1);
}

static void compare_parts(struct comparison *c, const struct machine *a, const struct machine *b)
{
    for (unsigned i = 0; i < a->nparts; i++) {
        const struct machine_part *other = find_part(b, &a->parts[i]);

        c->part = &a->parts[i];
        if (other == NULL)
            tell_present(c, c->part, true);
        else
            state_compare(c->part->desc, c->part->obj, other->obj, tell, c);
    }
    for (unsigned i = 0; i < b->nparts; i++)
        if (find_part(a, &b->parts[i]) == NULL)
            tell_present(c, &b->parts[i], false);
}

/* A hold that is over holds nothing. */
static uint64_t hold_of(const struct machine *m, unsigned cpu)
{
    return m->cpus[cpu].hold_icount > m->clock.icount ? m->cpus[cpu].hold_icount : 0;
}

size_t machine_compare(const struct machine *a, const struct machine *b, machine_compare_fn *fn,
                       void *user)
{
    struct comparison c = {.fn = fn, .user = user};

    compare_parts(&c, a, b);
    tell_if_differs(&c, "machine.a20_mask", a->a20_mask, b->a20_mask, 1);
    for (unsigned i = 0; i < a->ncpus && i < b->ncpus; i++)
        tell_if_differs(&c, "machine.hold_icount", hold_of(a, i), hold_of(b, i), 8);
    c.part = NULL;
    state_compare(&perturb_desc, &a->perturb, &b->perturb, tell, &c);
    return c.count;
}
