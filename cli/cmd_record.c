/* SPDX-License-Identifier: MIT */
/* `deja record`: boots a guest with a live console and records the run. */
#include "cli.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include <devices/pc.h>
#include <emu/machine.h>
#include <replay/recorder.h>

#include "console.h"
#include "gdb/session.h"
#include "live.h"
#include "options.h"
#include "report.h"
#include "sandbox.h"

/* What the recorder passes outputs to; the console comes after the recorder. */
struct outputs {
    struct console *console;
};

static void on_serial(void *opaque, unsigned port, const uint8_t *data, size_t len)
{
    const struct outputs *out = opaque;

    console_write(out->console, port, data, len);
}

static void on_debug(void *opaque, uint16_t port, uint8_t byte)
{
    const struct outputs *out = opaque;

    (void)port;
    console_debug_write(out->console, byte);
}

static uint64_t wall_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* Creating the trace would empty an image that goes by the same name. */
static int check_trace_path(const struct run_options *o)
{
    const struct machine_image *images[] = {&o->config.kernel, &o->config.initrd, &o->config.bios,
                                            &o->config.vgabios};
    struct stat trace, image;

    if (stat(o->trace_path, &trace) != 0)
        return EXIT_DONE;
    for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
        if (images[i]->data == NULL || images[i]->name == NULL ||
            stat(images[i]->name, &image) != 0)
            continue;
        if (S_ISREG(image.st_mode) && image.st_dev == trace.st_dev &&
            image.st_ino == trace.st_ino) {
            cli_error("-o %s: that is the image %s, the trace needs another name", o->trace_path,
                      images[i]->name);
            return EXIT_USAGE;
        }
    }
    return EXIT_DONE;
}

/* The trace is finished first: a terminal that went away must not cost its end. */
static int run_to_end(struct live *live, struct session *s, const struct run_options *o)
{
    struct machine *m = live->m;
    struct recorder *r = live->recorder;
    struct console *c = live->console;
    uint64_t start = wall_ns();
    enum machine_stop why = s != NULL ? session_live(s) : recorder_run(r);
    char err[512];
    bool console_lost, trace_lost;
    int status;

    start = wall_ns() - start;
    trace_lost = recorder_finish(r, why, err, sizeof(err)) != 0;
    console_lost = console_failed(c);
    console_close(c);
    if (trace_lost) {
        cli_error("%s: the recording ended at instruction %llu, what was written before can be "
                  "replayed",
                  err, (unsigned long long)m->clock.icount);
        return EXIT_USAGE;
    }
    status = report_end(m, why, o->trace_path);
    if (o->stats)
        report_stats(m, start, stderr);
    return console_lost && status == EXIT_DONE ? EXIT_USAGE : status;
}

static int record_machine(struct live *live, struct session *s, const struct run_options *o)
{
    struct machine *m = live->m;
    struct outputs out = {.console = NULL};
    struct recorder_options how = {
        .struct_size = sizeof(how),
        .sync = o->sync,
        .no_reboot = o->no_reboot,
        .outputs = {.serial_out = on_serial, .debug_out = on_debug, .opaque = &out},
    };
    char err[512];
    struct recorder *r = recorder_create(m, o->trace_path, &how, err, sizeof(err));
    int status;

    if (r == NULL) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    status = console_open(&out.console, o, m);
    if (status != 0)
        goto destroy_recorder;
    live->recorder = r;
    live->console = out.console;
    machine_set_source(m, console_source(out.console));
    if (!o->no_sandbox)
        status = sandbox_enter();
    if (status == 0)
        status = run_to_end(live, s, o);
    else
        console_close(out.console);

destroy_recorder:
    recorder_destroy(r);
    return status;
}

static int record_options(const struct run_options *o)
{
    char err[256];
    struct machine *m;
    struct live live;
    struct session *s = NULL;
    int status = check_trace_path(o);

    if (status != EXIT_DONE)
        return status;
    m = machine_create(&o->config, &pc_board, err, sizeof(err));
    if (m == NULL) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    live = (struct live){.m = m, .no_reboot = o->no_reboot};
    status = session_open_live(&s, &live, o);
    if (status == EXIT_DONE)
        status = record_machine(&live, s, o);
    session_destroy(s);
    machine_destroy(m);
    return status;
}

int cmd_record(int argc, char **argv)
{
    struct run_options o;
    int status = options_parse(&o, argc, argv, FOR_RECORD);

    if (status != 0)
        return status;
    status = record_options(&o);
    options_free(&o);
    return status;
}
