/* SPDX-License-Identifier: MIT */
/* `deja run`: boots a guest with a live console; nothing is recorded. */
#include "cli.h"

#include <stdio.h>
#include <time.h>

#include <devices/pc.h>
#include <emu/machine.h>

#include "console.h"
#include "gdb/session.h"
#include "live.h"
#include "options.h"
#include "report.h"
#include "sandbox.h"

static void on_serial(void *opaque, unsigned port, const uint8_t *data, size_t len)
{
    console_write(opaque, port, data, len);
}

static void on_debug(void *opaque, uint16_t port, uint8_t byte)
{
    (void)port;
    console_debug_write(opaque, byte);
}

static uint64_t wall_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static int run_console(struct live *live, struct session *s, const struct run_options *o)
{
    struct machine *m = live->m;
    struct console *c = live->console;
    struct machine_observer observer = {
        .serial_out = on_serial, .debug_out = on_debug, .opaque = c};
    enum machine_stop why;
    uint64_t start;
    bool failed;
    int status;

    machine_set_observer(m, &observer);
    start = wall_ns();
    why = s != NULL ? session_live(s)
                    : live_run_to(live, (struct moment){.icount = UINT64_MAX});
    start = wall_ns() - start;
    failed = console_failed(c);
    console_close(c);
    status = report_end(m, why, NULL);
    if (o->stats)
        report_stats(m, start, stderr);
    return failed && status == EXIT_DONE ? EXIT_USAGE : status;
}

static int run_options(struct run_options *o)
{
    char err[256];
    struct machine *m = machine_create(&o->config, &pc_board, err, sizeof(err));
    struct live live = {.m = m, .no_reboot = o->no_reboot};
    struct session *s = NULL;
    int status;

    if (m == NULL) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    status = session_open_live(&s, &live, o);
    if (status == 0)
        status = console_open(&live.console, o, m);
    if (status != 0)
        goto destroy_machine;
    machine_set_source(m, console_source(live.console));
    if (!o->no_sandbox)
        status = sandbox_enter();
    if (status != 0) {
        console_close(live.console);
        goto destroy_machine;
    }
    status = run_console(&live, s, o);

destroy_machine:
    session_destroy(s);
    machine_destroy(m);
    return status;
}

int cmd_run(int argc, char **argv)
{
    struct run_options o;
    int status = options_parse(&o, argc, argv, FOR_RUN);

    if (status != 0)
        return status;
    status = run_options(&o);
    options_free(&o);
    return status;
}
