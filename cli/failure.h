/* SPDX-License-Identifier: MIT */
/*
 * What counts as a failure of a run, as the user said it: one of
 *
 *   --fail-when EXPR (also --when)   the condition holds at the end of the run
 *   --output TEXT | /REGEX/          the guest printed it, on any port
 *   --status N                       `deja run` would have exited with N
 *
 * or nothing: the guest ended badly, with a status of 3 or above (report_status(): isa-debug-exit, a triple
 * fault, a livelock, a panic that it reported). A run that was cut short has not ended badly.
 *
 *     struct failure *f = failure_create(&options, &names, err, sizeof(err));
 *     failure_begin(f);
 *     ... the machine runs, its observer calls failure_serial_out() and failure_debug_out() ...
 *     if (failure_judge(f, m, why)) ...
 *     failure_destroy(f);
 */
#ifndef CLI_FAILURE_H
#define CLI_FAILURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/machine.h>

/* All zero: the default. Texts are the caller's, and must outlive what is created from them. */
struct failure_options {
    const char *when;    /* NULL: not given */
    const char *output;  /* NULL: not given */
    bool status_given;
    uint64_t status;
};

/* For messages and help. */
#define FAILURE_USAGE "[--fail-when EXPR|--output TEXT|--status N]"

/* Takes argv[*i] and its value (behind '=' or in the next argument) if it is one of the options above, moving *i
 * to the last taken. 1: taken; 0: it is another option; -1: an error, said on standard error. */
int failure_option(struct failure_options *o, const char *command, int argc, char **argv, int *i);

/* Whether one was given, or it is the default. */
bool failure_given(const struct failure_options *o);

/*
 * A judge of one run at a time. It listens to the outputs (hand it on as, or from, the machine's observer),
 * and says at the end.
 */
struct failure;

struct expr_names;
/* `names` NULL: there are no symbols. NULL with one line in `err`. */
struct failure *failure_create(const struct failure_options *o, const struct expr_names *names, char *err,
                               size_t errlen);
void failure_destroy(struct failure *f); /* NULL is fine */
/* From here on symbols in the condition mean these addresses: kernels that place themselves are elsewhere in
 * each run. 0; or -1 with one line in `err`, and they mean what they did. */
int failure_rename(struct failure *f, const struct expr_names *names, char *err, size_t errlen);
/* A new run begins. */
void failure_begin(struct failure *f);
/* For an observer's members. */
void failure_serial_out(struct failure *f, unsigned port, const uint8_t *data, size_t len);
void failure_debug_out(struct failure *f, uint8_t byte);
/* The run has printed what --output asks for: it need not run on. Costs a search through the last line when
 * there is more of it than at the last call. */
bool failure_seen(struct failure *f);
/* The line in which it did, or as much of it as there was; NULL: it has not, or there is no --output. */
const char *failure_line(const struct failure *f);
/* Whether the run that stopped as `why` has failed. */
bool failure_judge(struct failure *f, const struct machine *m, enum machine_stop why);
/* "the guest printed /BUG:/", "the status is 7": the criterion in words. */
void failure_describe(const struct failure_options *o, char *out, size_t len);

#endif
