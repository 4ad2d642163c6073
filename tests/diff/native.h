/* SPDX-License-Identifier: MIT */
/*
 * The host CPU as oracle: a sandboxed child process that runs sequences natively.
 *
 * The child runs one batch while its owner prepares the other: submit(0), submit(1), wait(0), ...
 * Batches finish in the order in which they were submitted.
 */
#ifndef DIFF_NATIVE_H
#define DIFF_NATIVE_H

#include "diff_common.h"

#define NATIVE_BATCH 64u
#define NATIVE_SLOTS 2u

struct native_batch {
    uint32_t count;
    struct seq seqs[NATIVE_BATCH];
    struct outcome outcomes[NATIVE_BATCH];
};

struct native; /* opaque */

/* Starts the child. `template`: ARENA_BYTES, copied. NULL with a line on stderr. */
struct native *native_create(const uint8_t *template);
void native_destroy(struct native *n);

/* 1: the host's CPU runs 32-bit code, 0: it has no segment for it, -1 with a line on stderr. Call
 * while nothing is in flight; uses slot 0. */
int native_runs_32bit(struct native *n);

/* The batch to fill in before submit and to read after wait. */
struct native_batch *native_slot(struct native *n, unsigned slot);
/* 0, or -1: the child is gone. */
int native_submit(struct native *n, unsigned slot);
/* 0, or -1 when the child died or did not answer: *culprit is then the sequence of the batch that
 * it was running. The child is started anew; nothing is in flight. */
int native_wait(struct native *n, unsigned slot, unsigned *culprit);

#endif
