/* SPDX-License-Identifier: MIT */
/* A line of progress: progress.h. One a process, as there is one standard error. */
#include "progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_NS 500000000u /* work that is done by then was not long */
#define INTERVAL_NS 100000000u

static struct {
    const char *what;
    uint64_t began_ns, shown_ns, last_done;
    bool visible;
} line;

static uint64_t wall_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void progress_show(void *opaque, const char *what, uint64_t done, uint64_t total)
{
    uint64_t now = wall_ns();

    (void)opaque;
    if (line.what != what || done < line.last_done) {
        line.what = what;
        line.began_ns = now;
    }
    line.last_done = done;
    if (now - line.began_ns < PATIENCE_NS || now - line.shown_ns < INTERVAL_NS ||
        !isatty(STDERR_FILENO))
        return;
    line.shown_ns = now;
    line.visible = true;
    if (total > 0)
        fprintf(stderr, "\rdeja: %s, %u %%   ", what, done < total ? (unsigned)(done / (total / 100 + 1)) : 100u);
    else
        fprintf(stderr, "\rdeja: %s, %.1f million instructions   ", what, (double)done / 1e6);
    fflush(stderr);
}

void progress_end(void)
{
    if (line.visible)
        fputs("\r\033[K", stderr);
    line.visible = false;
    line.what = NULL;
}
