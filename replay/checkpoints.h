/* SPDX-License-Identifier: MIT */
/*
 * The checkpoints of a replayed machine: making them, thinning them, putting the machine back to one.
 *
 * Invariants: 1. RAM is what checkpoint `base` has, but for the pages in ram.touched. 2. A page that was
 * ever touched has a version at icount 0, taken when it was first touched. 3. The pages of checkpoint k
 * are those that differ, or may, between k-1 and k; each has a version at k. 4. The first checkpoint is
 * at power-on and stays.
 */
#ifndef REPLAY_CHECKPOINTS_H
#define REPLAY_CHECKPOINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <replay/player.h>

struct page_store;

#define STATE_CHUNK 4096u

/* A piece of a machine's snapshot, shared by checkpoints between which it did not change. */
struct state_chunk {
    uint32_t refs;
    uint8_t bytes[STATE_CHUNK];
};

struct checkpoint {
    uint64_t icount;
    bool local;             /* left near a place that was sought: dropped first */
    struct player_place place;
    struct state_chunk **state;
    uint32_t *pages;
    size_t npages;
};

struct checkpoints {
    struct player *player;
    struct machine *m;
    struct page_store *store;
    struct checkpoint **list; /* ascending */
    size_t n, capacity;
    struct checkpoint *base;
    size_t state_bytes, nchunks;
    uint8_t *state;           /* a snapshot, being made or put together */
    uint32_t *stamps;         /* per page: restore() has been there */
    uint32_t stamp;
    size_t own_bytes;         /* of chunks and page lists */
    size_t budget;
    size_t nlocal;
    uint64_t taken, dropped;
    bool failed;              /* out of memory: no more are made */
};

/* The machine is at power-on; the first checkpoint is made. 0, or -1: out of memory. */
int checkpoints_init(struct checkpoints *c, struct player *player, size_t budget);
void checkpoints_fini(struct checkpoints *c);

/* The last one at or before `icount`: there always is one. */
struct checkpoint *checkpoints_before(const struct checkpoints *c, uint64_t icount);
/* The first one after `icount`; NULL: none. */
struct checkpoint *checkpoints_after(const struct checkpoints *c, uint64_t icount);

/* One here: the machine stands at (icount, 0), reached by running, in the recorded run. Uses the one that
 * is there already. Thins the others to the budget. */
void checkpoints_take(struct checkpoints *c, bool local);
/* RAM, machine and player become what they were there. 0, or -1: the snapshot was not taken back. */
int checkpoints_restore(struct checkpoints *c, struct checkpoint *to);

size_t checkpoints_bytes(const struct checkpoints *c);

/* --- for index_file.c --- */

/* With room for `npages` pages and all of the snapshot, none of it there yet; NULL: out of memory. */
struct checkpoint *checkpoint_alloc(struct checkpoints *c, size_t npages);
/* Its memory, what there is of it; its versions are the caller's business. */
void checkpoint_free(struct checkpoints *c, struct checkpoint *cp);
/* Behind all others; one at power-on is dropped for the one that is there. False: out of memory. */
bool checkpoints_add(struct checkpoints *c, struct checkpoint *cp);
/* Back to power-on alone, where the machine is, and no versions. */
void checkpoints_forget(struct checkpoints *c);

#endif
