/* SPDX-License-Identifier: MIT */
/* What is said when a run is over, and the exit status that it means. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdio.h>

#include <emu/machine.h>

/*
 * The exit status that an end means: 0 for a guest that powered off, was stopped or halted for ever;
 * the guest's own code for isa-debug-exit; EXIT_GUEST after a triple fault, a livelock or a panic
 * that the guest reported.
 */
int report_status(const struct machine *m, enum machine_stop why);

/*
 * Says on standard error how the run ended, where there is something to say: bad ends with the state
 * of CPU 0 and how to replay it. Returns report_status(). `trace_path` NULL: nothing was recorded.
 */
int report_end(const struct machine *m, enum machine_stop why, const char *trace_path);

/* Registers, control registers and the code at RIP of CPU 0. No side effects on the guest. */
void report_cpu(const struct machine *m, FILE *out);

/* "#PF", "vector 9". */
const char *report_exception_name(unsigned vector);

/* The counters of a run, for --stats. `wall_ns`: how long it took. */
void report_stats(const struct machine *m, uint64_t wall_ns, FILE *out);

#endif
