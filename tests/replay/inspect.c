/* SPDX-License-Identifier: MIT */
/*
 * Whether an inspector (emu/inspect.h) sees what stepping from moment to moment sees: the same moments, with the
 * same registers, time, memory and, of moments at which control state has changed, the same ones.
 *
 *     inspect TRACE [--between A B] [--steps N]
 *
 * Runs the recording three times from A: stepping, inspecting every moment, inspecting control state; and compares.
 * Of the second one every Nth moment stops the run.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <devices/pc.h>
#include <emu/cpu.h>
#include <emu/inspect.h>
#include <emu/machine.h>
#include <emu/registers.h>
#include <replay/player.h>

struct seen {
    struct moment at;
    uint64_t registers; /* a sum over all of them, and over the memory that RSP and RIP point to */
    uint64_t control;
};

struct list {
    struct seen *list;
    size_t n, capacity;
};

static const char *path;
static struct moment from, to = {.icount = UINT64_MAX};
static uint64_t every;

__attribute__((format(printf, 1, 2))) static _Noreturn void die(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

/* --- what is seen --- */

static uint64_t mix(uint64_t sum, const uint64_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sum = (sum ^ values[i]) * 0x9e3779b97f4a7c15;
        sum ^= sum >> 29;
    }
    return sum;
}

static uint64_t sum_registers(const struct machine *m)
{
    const struct cpu *cpu = &m->cpus[0];
    uint64_t v[2 * CPU_REGISTER_COUNT + 3] = {0};

    for (unsigned id = 0; id < CPU_REGISTER_COUNT; id++)
        cpu_register_read(cpu, id, (uint8_t *)&v[2 * id]);
    v[2 * CPU_REGISTER_COUNT] = cpu->halted;
    cpu_peek(cpu, cpu->regs[REG_RSP], &v[2 * CPU_REGISTER_COUNT + 1], 8);
    cpu_peek(cpu, cpu_linear_rip(cpu), &v[2 * CPU_REGISTER_COUNT + 2], 8);
    return mix(1, v, sizeof(v) / sizeof(v[0]));
}

static uint64_t sum_control(const struct cpu *cpu)
{
    uint64_t v[] = {cpu->cr0, cpu->cr2, cpu->cr3, cpu->cr4, cpu->efer, cpu->cpl, cpu->halted,
                    cpu->machine->a20_mask, cpu->pdpte[0], cpu->pdpte[1], cpu->pdpte[2], cpu->pdpte[3]};

    return mix(1, v, sizeof(v) / sizeof(v[0]));
}

static void note(struct list *l, const struct machine *m)
{
    if (l->n == l->capacity) {
        l->capacity = l->capacity == 0 ? 1024 : 2 * l->capacity;
        l->list = realloc(l->list, l->capacity * sizeof(*l->list));
        if (l->list == NULL)
            die("out of memory");
    }
    l->list[l->n++] = (struct seen){
        .at = machine_moment(m), .registers = sum_registers(m), .control = sum_control(&m->cpus[0])};
}

/* --- three ways --- */

static struct player *open_at_from(void)
{
    char err[512];
    struct player *p = player_open(path, &pc_board, err, sizeof(err));

    if (p == NULL)
        die("%s", err);
    if (player_run_to(p, from) != PLAYER_EXACT)
        die("the recording ends before the first moment");
    return p;
}

static uint64_t step(struct list *l)
{
    struct player *p = open_at_from();
    struct machine *m = player_machine(p);
    enum player_status status = PLAYER_EXACT;
    uint64_t digest;

    while (status == PLAYER_EXACT && moment_before(machine_moment(m), to)) {
        struct moment next = machine_moment(m);

        note(l, m);
        next.entries++;
        status = player_run_to(p, next);
    }
    if (status != PLAYER_EXACT && status != PLAYER_END)
        die("stepping: the replay failed");
    digest = machine_digest(m);
    player_destroy(p);
    return digest;
}

struct looker {
    struct list list;
    struct machine *m;
    uint64_t n, stop_every; /* 0: never */
};

static bool look(void *opaque, struct moment at)
{
    struct looker *l = opaque;

    if (!moment_equal(at, machine_moment(l->m)))
        die("told of %" PRIu64 "+%u at %" PRIu64 "+%u", at.icount, at.entries, machine_moment(l->m).icount,
            machine_moment(l->m).entries);
    note(&l->list, l->m);
    return l->stop_every != 0 && ++l->n % l->stop_every == 0;
}

static uint64_t inspect(struct looker *l, enum machine_inspection what)
{
    struct player *p = open_at_from();
    enum player_status status;
    uint64_t digest;

    l->m = player_machine(p);
    machine_inspect(l->m, &(struct machine_inspector){.what = what, .look = look, .opaque = l});
    while ((status = player_run_to(p, to)) == PLAYER_STOPPED) {
        const struct seen *last = &l->list.list[l->list.n - 1];

        if (!moment_equal(last->at, machine_moment(l->m)) || last->registers != sum_registers(l->m))
            die("stopped at %" PRIu64 "+%u, not where it was told to", machine_moment(l->m).icount,
                machine_moment(l->m).entries);
    }
    if (status != PLAYER_EXACT && status != PLAYER_END)
        die("inspecting: the replay failed");
    machine_inspect(l->m, NULL);
    digest = machine_digest(l->m);
    player_destroy(p);
    return digest;
}

/* --- comparing --- */

static void same(const struct seen *a, const struct seen *b, const char *what)
{
    if (!moment_equal(a->at, b->at))
        die("%s: %" PRIu64 "+%u instead of %" PRIu64 "+%u", what, b->at.icount, b->at.entries, a->at.icount,
            a->at.entries);
    if (a->registers != b->registers || a->control != b->control)
        die("%s: another state at %" PRIu64 "+%u", what, a->at.icount, a->at.entries);
}

static void compare_every(const struct list *stepped, const struct list *seen)
{
    for (size_t i = 0; i < stepped->n && i < seen->n; i++)
        same(&stepped->list[i], &seen->list[i], "every moment");
    if (stepped->n != seen->n)
        die("%zu moments were inspected, there are %zu", seen->n, stepped->n);
}

static size_t compare_control(const struct list *stepped, const struct list *seen)
{
    size_t n = 0;

    for (size_t i = 0; i < stepped->n; i++) {
        if (i > 0 && stepped->list[i].control == stepped->list[i - 1].control)
            continue;
        if (n == seen->n)
            die("control state: nothing was told of %" PRIu64 "+%u", stepped->list[i].at.icount,
                stepped->list[i].at.entries);
        same(&stepped->list[i], &seen->list[n++], "control state");
    }
    if (n != seen->n)
        die("%zu changes of control state were told, there are %zu", seen->n, n);
    return n;
}

int main(int argc, char **argv)
{
    struct list stepped = {0};
    struct looker every_moment = {0}, control = {0};
    uint64_t digest;

    for (int i = 1; i < argc; i++) {
        if (i + 2 < argc && strcmp(argv[i], "--between") == 0) {
            from.icount = strtoull(argv[++i], NULL, 0);
            to.icount = strtoull(argv[++i], NULL, 0);
        } else if (i + 1 < argc && strcmp(argv[i], "--steps") == 0) {
            every = strtoull(argv[++i], NULL, 0);
        } else {
            path = argv[i];
        }
    }
    if (path == NULL)
        die("usage: inspect TRACE [--between A B] [--steps N]");
    every_moment.stop_every = every;
    digest = step(&stepped);
    if (inspect(&every_moment, INSPECT_EVERY) != digest || inspect(&control, INSPECT_CONTROL) != digest)
        die("the state at the end is another one");
    compare_every(&stepped, &every_moment.list);
    printf("%zu moments, %zu changes of control state: the same\n", stepped.n,
           compare_control(&stepped, &control.list));
    free(stepped.list);
    free(every_moment.list.list);
    free(control.list.list);
    return 0;
}
