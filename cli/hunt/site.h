/* SPDX-License-Identifier: MIT */
/*
 * Where a run failed, in a line that is the same for runs that failed the same way: how it ended, what the guest
 * said about it, and the function it was in, without addresses, numbers and times.
 *
 *     exit 3 | PANIC: ledger is off by #: expected #, found # | in panic
 *     panic | BUG: kernel NULL pointer dereference, address: # | in do_something | Kernel panic - not syncing: ...
 *     triple fault (#DF) | in irq_entry
 */
#ifndef CLI_HUNT_SITE_H
#define CLI_HUNT_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/machine.h>

#include "../output_lines.h"

#define SITE_BYTES 512u /* the longest, with its NUL */
#define SITE_PART  160u

/* What a guest has said that tells failures apart. All zero at first. */
struct site_watch {
    struct output_lines lines;
    char headline[SITE_PART]; /* the first line that begins a report, normalised; "": none */
    char function[SITE_PART]; /* of the first "RIP: ..." */
    char last_words[SITE_PART]; /* "Kernel panic - ...", if it is not the headline */
};

void site_begin(struct site_watch *w);
/* `port` as in output_lines.h. */
void site_output(struct site_watch *w, unsigned port, const uint8_t *data, size_t len);

/*
 * The site of the run that has ended. `how`: "exit 3". `line`: the line that made it a failure, or NULL.
 * `function`: where the machine stands, or ""; for guests that did not say.
 */
void site_describe(struct site_watch *w, const char *how, const char *line, const char *function,
                   char out[SITE_BYTES]);

/* One line without addresses, numbers, times and offsets into functions; cut to fit. */
void site_normalise(const char *text, char *out, size_t len);

#endif
