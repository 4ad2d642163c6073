/* SPDX-License-Identifier: MIT */
/*
 * Goes through a trace in parallel and prints its interrupts, which the trace's own list must equal.
 *
 *     scan TRACE all|first|last JOBS [FROM TO] [die|flood|stop]
 *
 * A line an interrupt: icount, vector, RIP before it.
 * die: a worker dies in its third segment. flood: each interrupt is told 2,000 times, which must
 * come in order. stop: enough after the tenth. The last line says how it ended.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <devices/pc.h>
#include <emu/cpu.h>
#include <replay/scan.h>

struct seen {
    uint64_t icount, rip;
    uint32_t vector, copy;
};

struct probe {
    struct scan_worker *w;
    struct machine *m;
    enum scan_order order;
    const char *trouble;
    unsigned segments, told;
    struct seen last;
    bool any;
};

static void on_interrupt(void *opaque, uint64_t icount, struct intr_ack ack)
{
    struct probe *p = opaque;
    unsigned copies = strcmp(p->trouble, "flood") == 0 ? 2000 : 1;

    p->last = (struct seen){.icount = icount, .rip = p->m->cpus[0].rip, .vector = ack.vector};
    p->any = true;
    for (unsigned i = 0; i < copies && p->order != SCAN_LAST; i++) {
        p->last.copy = i;
        scan_emit(p->w, &p->last, sizeof(p->last));
    }
}

static enum timeline_status run(void *opaque, struct scan_worker *w, const struct scan_segment *s)
{
    struct probe *p = opaque;
    enum timeline_status status;

    if (strcmp(p->trouble, "die") == 0 && p->segments++ == 2)
        abort();
    p->w = w;
    p->m = timeline_machine(scan_timeline(w));
    p->any = false;
    player_set_outputs(timeline_player(scan_timeline(w)),
                       &(struct machine_observer){.interrupt = on_interrupt, .opaque = p});
    while ((status = scan_advance(w, s->to)) == TIMELINE_HIT)
        machine_debug_ignore(p->m);
    if (p->order == SCAN_LAST && p->any)
        scan_emit(w, &p->last, sizeof(p->last));
    return status;
}

static bool record(void *opaque, const void *data, size_t len)
{
    struct probe *p = opaque;
    struct seen seen;

    if (len != sizeof(seen))
        exit(3);
    memcpy(&seen, data, len);
    if (strcmp(p->trouble, "flood") == 0 && seen.copy != p->told++ % 2000)
        exit(4);
    if (seen.copy == 0)
        printf("%" PRIu64 " %u %" PRIx64 "\n", seen.icount, seen.vector, seen.rip);
    return strcmp(p->trouble, "stop") != 0 || ++p->told < 10;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"done", "enough", "interrupted", "diverged", "error"};
    struct timeline_options how = {.struct_size = sizeof(how)};
    struct probe p = {.trouble = argc == 5 ? argv[4] : argc == 7 ? argv[6] : ""};
    struct scan_options o = {.struct_size = sizeof(o), .run = run, .record = record, .opaque = &p,
                             .to = timeline_end_moment()};
    char err[1024] = "";
    struct timeline *t;
    enum scan_status status;

    if (argc < 4)
        return 2;
    t = timeline_open(argv[1], &pc_board, &how, err, sizeof(err));
    if (t == NULL)
        return 2;
    p.order = o.order = strcmp(argv[2], "first") == 0 ? SCAN_FIRST : strcmp(argv[2], "last") == 0 ? SCAN_LAST : SCAN_ALL;
    o.jobs = (unsigned)atoi(argv[3]);
    if (argc >= 6) {
        o.from.icount = strtoull(argv[4], NULL, 0);
        o.to.icount = strtoull(argv[5], NULL, 0);
    }
    fprintf(stderr, "%u jobs\n", scan_jobs(t, &o));
    status = scan_run(t, &o, err, sizeof(err));
    printf("%s%s%s\n", names[status], err[0] != '\0' ? ": " : "", err);
    timeline_destroy(t);
    return 0;
}
