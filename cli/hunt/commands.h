/* SPDX-License-Identifier: MIT */
/* The runs of a hunt as commands, for whoever has more machines: printed, or as a Slurm job array. */
#ifndef CLI_HUNT_COMMANDS_H
#define CLI_HUNT_COMMANDS_H

#include "hunt.h"

/* One a line, for those with runs that are missing. 0, or an exit status after the error was printed. */
int commands_print(const struct hunt *h, FILE *out);

/*
 * Has Slurm do the missing runs, and waits for it. 0 also when some of it failed, which was said, or when a signal
 * stopped it (h->stopped): what there is of results is in the folder. Else an exit status after the error was printed.
 */
int commands_slurm(struct hunt *h);

#endif
