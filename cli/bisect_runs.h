/* SPDX-License-Identifier: MIT */
/* The forms of `deja bisect` that run a machine again with other inputs and timing. They return the exit status. */
#ifndef CLI_BISECT_RUNS_H
#define CLI_BISECT_RUNS_H

/* --good G... --bad B...: which inputs, or which interrupt, make the difference. */
int bisect_runs(int argc, char **argv);
/* T --causal: when the failure became inevitable. */
int bisect_causal(int argc, char **argv);

#endif
