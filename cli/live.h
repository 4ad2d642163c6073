/* SPDX-License-Identifier: MIT */
/*
 * A machine that runs live, recorded or not, to a moment or to its end: what `deja run`, `deja record`
 * and a debugger on either have in common.
 */
#ifndef CLI_LIVE_H
#define CLI_LIVE_H

#include <stdbool.h>

#include <emu/machine.h>

struct console;
struct recorder;

struct live {
    struct machine *m;
    struct recorder *recorder; /* NULL: not recorded */
    struct console *console;
    bool no_reboot;            /* a reset ends the run */
};

/*
 * Through resets, until the machine stands at `until` (STOP_ICOUNT), at a debugger's point (STOP_DEBUG),
 * somebody asked the source to stop (STOP_SOURCE), or the run is over: any other reason.
 */
enum machine_stop live_run_to(struct live *live, struct moment until);

#endif
