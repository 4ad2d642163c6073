/* SPDX-License-Identifier: MIT */
/* Running a live machine: live.h. */
#include "live.h"

#include <replay/recorder.h>

#include "cli.h"

enum machine_stop live_run_to(struct live *live, struct moment until)
{
    char err[256];

    if (live->recorder != NULL)
        return recorder_run_to(live->recorder, until);
    for (;;) {
        enum machine_stop why = machine_run_to(live->m, until);

        if (why != STOP_RESET || live->no_reboot)
            return why;
        if (machine_reset(live->m, err, sizeof(err)) != 0) {
            cli_error("after the guest's reset: %s", err);
            return STOP_RESET;
        }
    }
}
