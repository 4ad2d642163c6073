/* SPDX-License-Identifier: MIT */
/* Checkpoints for the occasion: temp_index.h. */
#include "temp_index.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <devices/pc.h>
#include <replay/pool.h>
#include <replay/timeline.h>

#include "cli.h"
#include "progress.h"
#include "sandbox.h"

struct maker {
    const char *trace;
    int fd;
    bool no_sandbox;
    char error[512];
};

static struct timeline *open_timeline(const char *trace, const char *index, bool will_index, char *err, size_t len)
{
    struct timeline_options o = {.struct_size = sizeof(o),
                                 .index_path = index,
                                 .no_index = will_index,
                                 .will_index = will_index,
                                 .progress = progress_show};

    return timeline_open(trace, &pc_board, &o, err, len);
}

/* In its own process: opens the trace, enters the sandbox, runs through. */
static void make(void *opaque, size_t i, void *result)
{
    const struct maker *m = opaque;
    char *error = result;
    struct timeline *t = open_timeline(m->trace, NULL, true, error, sizeof(m->error));
    enum timeline_status status;

    (void)i;
    if (t == NULL || (!m->no_sandbox && sandbox_enter() != 0))
        return;
    status = timeline_seek(t, timeline_end_moment());
    progress_end();
    if (status == TIMELINE_DIVERGED)
        snprintf(error, sizeof(m->error), "%s: the replay diverges: deja replay says where", m->trace);
    else if (status != TIMELINE_END && status != TIMELINE_THERE)
        snprintf(error, sizeof(m->error), "%s", timeline_error(t));
    else
        timeline_write_index(t, m->fd, error, sizeof(m->error));
}

static enum pool_next made(void *opaque, size_t i, const void *result)
{
    struct maker *m = opaque;

    (void)i;
    if (result != NULL)
        memcpy(m->error, result, sizeof(m->error));
    else
        snprintf(m->error, sizeof(m->error), "%s: the process that replayed it died", m->trace);
    return POOL_GO_ON;
}

int temp_index_open(struct timeline **out, const char *trace, bool no_sandbox)
{
    struct maker m = {.trace = trace, .no_sandbox = no_sandbox};
    struct pool pool = {
        .jobs = 1, .result_bytes = sizeof(m.error), .work = make, .done = made, .opaque = &m};
    char path[64];

    *out = open_timeline(trace, NULL, false, m.error, sizeof(m.error));
    if (*out != NULL && timeline_is_indexed(*out))
        return EXIT_DONE;
    if (*out != NULL) {
        timeline_destroy(*out);
        *out = NULL;
        m.fd = memfd_create("checkpoints", MFD_CLOEXEC);
        if (m.fd < 0)
            snprintf(m.error, sizeof(m.error), "no memory for checkpoints: %s", strerror(errno));
        else
            pool_run(&pool, 1, m.error, sizeof(m.error));
        snprintf(path, sizeof(path), "/proc/self/fd/%d", m.fd);
        if (m.error[0] == '\0')
            *out = open_timeline(trace, path, false, m.error, sizeof(m.error));
        if (m.fd >= 0)
            close(m.fd);
    }
    if (*out != NULL)
        return EXIT_DONE;
    cli_error("%s", m.error);
    return EXIT_USAGE;
}
