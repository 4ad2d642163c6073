/* SPDX-License-Identifier: MIT */
/*
 * The state of a machine but for its RAM: as bytes, which is what a checkpoint holds beside pages, and
 * compared with another machine's.
 *
 *     uint8_t *bytes = malloc(machine_snapshot_bytes(m));
 *     machine_snapshot_save(m, bytes);
 *     ... the machine runs on ...
 *     ... RAM is given its old content, ram_restore_page() ...
 *     machine_snapshot_load(m, bytes, machine_snapshot_bytes(m));
 *
 * It holds what the parts' tables hold (emu/state.h), and what a machine knows beyond them and needs to
 * stop at the same moments again. It is for the program that made it: traces hold no snapshots.
 */
#ifndef EMU_SNAPSHOT_H
#define EMU_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

struct machine;
struct machine_part;

/* The same number for as long as the machine lives. */
size_t machine_snapshot_bytes(const struct machine *m);
/* A number that differs when snapshots of this machine and another, or of another version of the program,
 * have another form. */
uint64_t machine_snapshot_form(const struct machine *m);
/* Between two runs. The machine is unchanged. */
void machine_snapshot_save(const struct machine *m, uint8_t *out);
/*
 * Call it when RAM is as it was. Requests to stop that are pending, and hits, are forgotten. 0, or -1:
 * the bytes are no snapshot of this machine, which is then good for nothing but another load.
 */
int machine_snapshot_load(struct machine *m, const uint8_t *in, size_t len);

/*
 * Compares two machines of one board, as far as it decides what they do next: what digests hold, RAM apart,
 * and what perturbs their timing. Calls `fn` (NULL: nobody wants to know) for each scalar that differs, with
 * the part it is of (NULL: the machine itself), and returns how many do. A part that one of them does not have
 * differs in its "NAME.present".
 */
typedef void machine_compare_fn(void *user, const struct machine_part *part, const char *path, uint64_t a,
                                uint64_t b, unsigned width_bytes);
size_t machine_compare(const struct machine *a, const struct machine *b, machine_compare_fn *fn,
                       void *user);

#endif
