/* SPDX-License-Identifier: MIT */
/* Saving and loading all of a machine but its RAM. See emu/snapshot.h. */
#include <emu/snapshot.h>

#include <stdbool.h>
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
    return in == NULL ? -1 : 0;
}
