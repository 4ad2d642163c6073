/* SPDX-License-Identifier: MIT */
/*
 * A machine that is run many times from where it stands: at power-on, say, by `deja hunt`.
 *
 *     struct rewind *w = rewind_create(m);      // here
 *     for (...) {
 *         machine_run(m, ...);
 *         if (rewind_back(w) != 0) ...          // here again
 *     }
 *     rewind_destroy(w);
 *
 * Costs are those of the pages that a run stores to: the first time that one is, its content is kept, and each
 * rewind gives it back. Blocks of code that were decoded stay where their bytes did not change.
 *
 * The machine is as before but for its observer, source and debugger, which are the caller's.
 */
#ifndef REPLAY_REWIND_H
#define REPLAY_REWIND_H

struct machine;
struct rewind;

/* NULL: out of memory, or somebody tracks the machine's pages already (a timeline). The machine must outlive it. */
struct rewind *rewind_create(struct machine *m);
void rewind_destroy(struct rewind *w); /* NULL is fine */
/* Between two runs. 0, or -1: memory ran out while the machine ran; it is good for nothing any more. */
int rewind_back(struct rewind *w);

#endif
