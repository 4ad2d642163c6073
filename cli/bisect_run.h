/* SPDX-License-Identifier: MIT */
/*
 * `deja bisect --run` and `--gdb-script`, in two processes. One searches: it has the recording, is in the sandbox, and
 * serves gdb (bisect_run.c). The other starts what judges a moment, and may do anything (bisect_prober.c). They talk
 * over a socket that keeps messages apart: a request of the first, then the answer of the second.
 */
#ifndef CLI_BISECT_RUN_H
#define CLI_BISECT_RUN_H

#include "bisect.h"
#include "gdb/meeting.h"

/* The machine stands there, and gdb may connect: judge. */
struct bisect_request {
    struct moment at;
    unsigned left; /* about so many more */
    bool symbols;  /* the file of symbols is there */
};

struct bisect_reply {
    enum bisect_verdict verdict; /* STOP: what was wrong has been said */
    bool not_run;                /* BAD for the shell could not run the command */
};

/* The process that searches: from here to its end. `fd` is its end of the socket. The exit status. */
int bisect_search_asking(const struct bisect_args *a, const struct meeting *place, int fd);

#endif
