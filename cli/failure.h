/* SPDX-License-Identifier: MIT */
/*
 * What counts as a failure of a run, as the user said it: one of
 *
 *   --fail-when EXPR (also --when)   the condition holds at the end of the run
 *   --output TEXT | /REGEX/          the guest printed it, on any port
 *   --status N                       `deja run` would have exited with N
 *
 * or nothing: the guest ended badly (status 3 or above of isa-debug-exit, triple fault, panic seen).
 */
#ifndef CLI_FAILURE_H
#define CLI_FAILURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/machine.h>

struct failure_options {
    const char *when;    /* NULL: not given */
    const char *output;
    bool any_status;     /* no --status */
    uint64_t status;
};

/* Takes argv[*i] and its value if it is one of the options above, moving *i to the last taken. 1: taken; 0: it is
 * another option; -1: an error, said on standard error. */
int failure_option(struct failure_options *o, const char *command, int argc, char **argv, int *i);

/*
 * A judge of one run at a time. It listens to the outputs (hand it on as, or from, the machine's observer),
 * and says at the end.
 */
struct failure;

struct expr_names;
/* NULL with one line in `err`. */
struct failure *failure_create(const struct failure_options *o, const struct expr_names *names, char *err,
                               size_t errlen);
void failure_destroy(struct failure *f);
/* A new run begins. */
void failure_begin(struct failure *f);
/* For an observer's members. */
void failure_serial_out(struct failure *f, unsigned port, const uint8_t *data, size_t len);
void failure_debug_out(struct failure *f, uint8_t byte);
/* The run has printed what --output asks for: it need not run on. */
bool failure_seen(const struct failure *f);
/* Whether the run that stopped as `why` has failed. */
bool failure_judge(const struct failure *f, const struct machine *m, enum machine_stop why);
/* "console printed /BUG:/", "guest exited with 3": the criterion in words. */
void failure_describe(const struct failure *f, char *out, size_t len);

#endif
