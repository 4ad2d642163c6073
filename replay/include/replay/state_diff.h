/* SPDX-License-Identifier: MIT */
/*
 * What differs between two machines, asked again and again while they run.
 *
 *     struct state_diff *d = state_diff_create(a, b);
 *     ... both run to some moment ...
 *     state_diff_update(d, &counts);          // cheap: pages are told apart by the digests' hashes
 *     if (counts.places != 0)
 *         state_diff_describe(d, &details);
 *     state_diff_destroy(d);
 *
 * RAM is compared at equal guest-physical addresses, so machines of different sizes can be compared, too: what
 * only one of them has is no difference.
 *
 * Machines are only read, but that their digests' hashes of pages are brought up to date.
 */
#ifndef REPLAY_STATE_DIFF_H
#define REPLAY_STATE_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine;
struct state_diff;

struct state_counts {
    size_t registers; /* scalars of CPUs that programs can see */
    size_t fields;    /* all others but RAM: of devices, clock, and what a CPU keeps to itself */
    size_t parts;     /* that these are of */
    size_t pages;     /* of RAM and ROM */
    uint64_t places;  /* a hash of what differs, by name and address, whatever the values; 0: nothing does */
};

/* NULL: out of memory. The machines outlive it. */
struct state_diff *state_diff_create(struct machine *a, struct machine *b);
void state_diff_destroy(struct state_diff *d); /* NULL is fine */

/* Compares the machines as they are now, between two runs. 0, or -1: out of memory. */
int state_diff_update(struct state_diff *d, struct state_counts *counts);

/* How many bytes of RAM differ, as of the last update; reads all pages that do. */
uint64_t state_diff_bytes(const struct state_diff *d);
/* 4 KiB pages of RAM that only one of the machines has. */
uint64_t state_diff_unpaired_pages(const struct state_diff *d);

#define STATE_DIFF_FIELDS 96u
#define STATE_DIFF_RUNS   48u
#define STATE_DIFF_BYTES  16u

struct field_difference {
    char name[96];    /* "rax", "uart16550[1].lsr" */
    uint64_t a, b;
    unsigned width;   /* bytes */
    bool is_register;
};

/* Bytes in a row, few of which are equal. */
struct bytes_difference {
    uint64_t gpa;
    uint64_t linear[2]; /* mapped there by each side's present tables; UINT64_MAX: nowhere */
    unsigned len;
    uint8_t bytes[2][STATE_DIFF_BYTES];
};

/* What differs, by name; of long lists the first. */
struct state_difference {
    struct state_counts counts;
    uint64_t bytes;
    size_t nfields, nruns; /* that are listed */
    struct field_difference fields[STATE_DIFF_FIELDS]; /* registers first */
    struct bytes_difference runs[STATE_DIFF_RUNS];     /* by address */
};

/* As of the last update. */
void state_diff_describe(const struct state_diff *d, struct state_difference *out);

#endif
