/* SPDX-License-Identifier: MIT */
/*
 * A machine's configuration as a trace's header says it, in both directions.
 *
 * Header fields: generator, cpu, ns_per_insn, rtc_base; seeds: exactly one. Images by role:
 * "kernel", "initrd", "bios", "vgabios", all embedded. The rest is in "config":
 *
 *     board           text   name of the machine_board
 *     ram_bytes       uint
 *     boot32          uint   1: bzImage entered by the 32-bit protocol
 *     firmware        uint   1: the machine starts in its firmware; absent: 0 (see struct machine_config)
 *     hpet            uint   1: it has a high precision event timer; absent: 0
 *     mouse           uint   1: it has a PS/2 mouse; absent: 0
 *     cmdline         text, or bytes when it is not plain ASCII; absent: none
 *     initrd_name     the same; only there when the image's name cannot say it (guests can see it)
 *     perturb_seed    uint   timing is perturbed (emu/perturb.h), with
 *     perturb_from, perturb_kinds, perturb_mean
 *                     uint   the other members of struct perturb_config; absent: 0
 *     digest_interval uint   instructions from one digest to the next; for information
 *
 * A header with a key or a role that is not in this list describes a machine that this program
 * cannot build, and is refused.
 */
#ifndef REPLAY_MACHINE_HEADER_H
#define REPLAY_MACHINE_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include <emu/machine.h>
#include <traces/trace.h>

#define MACHINE_HEADER_ITEMS  16
#define MACHINE_HEADER_IMAGES 4

/* A header and what it points to. Points into the machine's configuration. */
struct machine_header {
    struct trace_header header;
    struct trace_config_item items[MACHINE_HEADER_ITEMS];
    struct trace_image images[MACHINE_HEADER_IMAGES];
};

void machine_header_init(struct machine_header *h, const struct machine *m,
                         uint64_t digest_interval);

/* A configuration that was read from a trace. Images belong to the reader. */
struct restored_config {
    struct machine_config config;
    char *cmdline;     /* owned */
    char *initrd_name; /* owned */
};

/* 0, or -1 with a line in `err` that does not name the file. `out` is to be finished in both cases.
 */
int restored_config_init(struct restored_config *out, struct trace_reader *reader,
                         const struct machine_board *board, char *err, size_t errlen);
void restored_config_fini(struct restored_config *config);

#endif
