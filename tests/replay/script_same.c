/* SPDX-License-Identifier: MIT */
/*
 * Reads what came to a recorded run from outside, its perturbation included, and gives the same to a plain
 * machine: it must end at the same place with the same digest.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <devices/pc.h>
#include <replay/player.h>
#include <replay/script.h>

static void die(const char *text)
{
    fprintf(stderr, "script_same: %s\n", text);
    exit(1);
}

int main(int argc, char **argv)
{
    struct machine_config config;
    struct script script;
    struct script_run run = {.script = &script};
    struct player *p;
    struct machine *m;
    const struct trace_end *end;
    enum machine_stop why;
    char err[512];

    if (argc != 2)
        die("usage: script_same TRACE");
    p = player_open(argv[1], &pc_board, err, sizeof(err));
    if (p == NULL)
        die(err);
    script_init(&script);
    if (script_read(&script, p, err, sizeof(err)) != 0)
        die(err);
    end = player_end(p);
    config = player_machine(p)->config;
    config.perturb = (struct perturb_config){.seed = 0};
    m = machine_create(&config, &pc_board, err, sizeof(err));
    if (m == NULL)
        die(err);
    machine_digest(m); /* from here on pages are tracked */
    run.no_reboot = strcmp(end->reason, machine_stop_name(STOP_RESET)) == 0;
    why = script_play(&run, m);
    printf("%zu events; ended (%s) at instruction %" PRIu64 ", %" PRIu64 " ns; recorded (%s) at %" PRIu64
           ", %" PRIu64 " ns\n",
           script.n, machine_stop_name(why), m->clock.icount, clock_now_ns(&m->clock), end->reason, end->icount,
           end->vns);
    if (strcmp(machine_stop_name(why), end->reason) != 0 || m->clock.icount != end->icount ||
        clock_now_ns(&m->clock) != end->vns)
        die("it ended elsewhere");
    if (machine_digest(m) != end->digest)
        die("the digest differs");
    machine_destroy(m);
    script_fini(&script);
    player_destroy(p);
    return 0;
}
