/* SPDX-License-Identifier: MIT */
/*
 * Running a machine many times from one place: replay/rewind.h.
 *
 * Invariants: 1. RAM is as it was, but for the pages in ram.touched. 2. A page that was ever touched is in
 * `kept`, with its content at the beginning.
 */
#include <replay/rewind.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <emu/machine.h>
#include <emu/snapshot.h>

struct rewind {
    struct machine *m;
    uint8_t *state;      /* a snapshot */
    const uint8_t **kept; /* by page; NULL: not touched so far */
    bool failed;
};

static const uint8_t zeros[PAGE_BYTES];

static void on_touch(void *opaque, uint64_t page)
{
    struct rewind *w = opaque;
    const struct ram *ram = &w->m->ram;
    uint8_t *copy;

    if (w->kept[page] != NULL)
        return;
    w->kept[page] = zeros;
    if (ram_page_is_zero(ram, page))
        return;
    copy = malloc(PAGE_BYTES);
    w->failed |= copy == NULL;
    if (copy != NULL)
        w->kept[page] = memcpy(copy, ram_page(ram, page), PAGE_BYTES);
}

struct rewind *rewind_create(struct machine *m)
{
    struct rewind *w = calloc(1, sizeof(*w));

    if (w == NULL || m->ram.touched != NULL)
        goto fail_free;
    w->m = m;
    w->state = malloc(machine_snapshot_bytes(m));
    w->kept = calloc(m->ram.npages, sizeof(*w->kept));
    if (w->state == NULL || w->kept == NULL || ram_track_touched(&m->ram, on_touch, w) != 0)
        goto fail_free;
    machine_snapshot_save(m, w->state);
    return w;

fail_free:
    if (w != NULL) {
        free(w->state);
        free(w->kept);
    }
    free(w);
    return NULL;
}

void rewind_destroy(struct rewind *w)
{
    if (w == NULL)
        return;
    ram_untrack_touched(&w->m->ram);
    for (uint64_t page = 0; page < w->m->ram.npages; page++)
        if (w->kept[page] != zeros)
            free((void *)(uintptr_t)w->kept[page]);
    free(w->kept);
    free(w->state);
    free(w);
}

int rewind_back(struct rewind *w)
{
    struct ram *ram = &w->m->ram;

    if (w->failed)
        return -1;
    for (uint64_t i = 0; i < ram->ntouched; i++) {
        uint64_t page = ram->touched[i];

        ram_restore_page(ram, page, w->kept[page]);
    }
    if (machine_snapshot_load(w->m, w->state, machine_snapshot_bytes(w->m)) != 0)
        return -1;
    return ram_track_touched(ram, on_touch, w);
}
