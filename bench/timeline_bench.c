/* SPDX-License-Identifier: MIT */
/*
 * How fast a recording is walked.
 *
 *     timeline_bench TRACE [--seed N] [--places N] [--checkpoint-mem BYTES] [--rounds N]
 *
 * Prints, one a line: what the first pass costs beside a plain replay (interleaved rounds, medians), how
 * long seeks to random places take, a step back there, a hundred steps back, and going back to a
 * watchpoint's hit beside running the same stretch forward.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <devices/pc.h>
#include <emu/cpu.h>
#include <emu/registers.h>
#include <replay/timeline.h>

static const char *path;
static uint64_t seed = 1, budget;
static unsigned places = 100, rounds = 3;

static double now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static uint64_t rnd(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

__attribute__((format(printf, 1, 2))) static _Noreturn void die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof(v[0]), by_size);
    return n == 0 ? 0 : v[n / 2];
}

/* After median(): sorted. */
static void print_times(const char *what, double *v, size_t n)
{
    double m = median(v, n);

    printf("%-44s median %9.3f ms, 90%% %9.3f, worst %9.3f (%zu)\n", what, m, v[n * 9 / 10], v[n - 1],
           n);
    fflush(stdout);
}

static struct timeline *open_timeline(bool checkpoints)
{
    struct timeline_options o = {.struct_size = sizeof(o),
                                 .checkpoint_bytes = budget,
                                 .no_checkpoints = !checkpoints};
    char err[512];
    struct timeline *t = timeline_open(path, &pc_board, &o, err, sizeof(err));

    if (t == NULL)
        die("%s", err);
    return t;
}

static double plain_replay(void)
{
    char err[512];
    struct player *p = player_open(path, &pc_board, err, sizeof(err));
    double start = now_ms();

    if (p == NULL || (player_run(p, UINT64_MAX), 0))
        die("%s", err);
    start = now_ms() - start;
    player_destroy(p);
    return start;
}

static double first_pass(struct timeline *t)
{
    double start = now_ms();

    if (timeline_seek(t, timeline_end_moment()) != TIMELINE_END)
        die("the replay did not reach its end");
    return now_ms() - start;
}

static struct timeline *compare_passes(void)
{
    double plain[16], with[16], without[16], ratio[16];
    struct timeline *t = NULL;

    for (unsigned i = 0; i < rounds; i++) {
        plain[i] = plain_replay();
        t = open_timeline(false);
        without[i] = first_pass(t);
        timeline_destroy(t);
        t = open_timeline(true);
        with[i] = first_pass(t);
        ratio[i] = with[i] / plain[i];
        if (i + 1 < rounds)
            timeline_destroy(t);
    }
    printf("first pass: plain replay %.0f ms, in slices %.0f ms, with checkpoints %.0f ms; with / plain %.3f\n",
           median(plain, rounds), median(without, rounds), median(with, rounds), median(ratio, rounds));
    return t;
}

static void measure_seeks(struct timeline *t, uint64_t length)
{
    double *seeks = calloc(places, sizeof(double)), *backs = calloc(places, sizeof(double));
    double *hundreds = calloc(places, sizeof(double));

    for (unsigned i = 0; i < places; i++) {
        double start = now_ms();

        timeline_seek(t, (struct moment){.icount = rnd() % length});
        seeks[i] = now_ms() - start;
        start = now_ms();
        timeline_step_back(t);
        backs[i] = now_ms() - start;
        start = now_ms();
        for (unsigned k = 0; k < 100; k++)
            timeline_step_back(t);
        hundreds[i] = now_ms() - start;
    }
    print_times("seek to a random place", seeks, places);
    print_times("a step back there", backs, places);
    print_times("a hundred steps back", hundreds, places);
    free(seeks);
    free(backs);
    free(hundreds);
}

/* Forward for `distance` from a random place, then back to it: the watchpoint hits at its beginning. */
static void measure_backward(struct timeline *t, uint64_t length, uint64_t distance)
{
    unsigned n = places / 10 + 3, done = 0;
    double *ratios = calloc(n, sizeof(double)), *backs = calloc(n, sizeof(double));
    char what[64];

    for (unsigned i = 0; i < n; i++) {
        uint64_t from = rnd() % (length - length / 4), gpa;
        const struct cpu *cpu = &timeline_machine(t)->cpus[0];
        struct debug_point exec;
        double forward, back;

        timeline_seek(t, (struct moment){.icount = from});
        gpa = cpu_linear_rip(cpu);
        exec = (struct debug_point){.kind = DEBUG_EXEC, .address = gpa};
        timeline_set_points(t, NULL, 0);
        forward = now_ms();
        if (timeline_run_forward(t, (struct moment){.icount = from + distance}) != TIMELINE_THERE)
            continue;
        forward = now_ms() - forward;
        timeline_set_points(t, &exec, 1);
        back = now_ms();
        if (timeline_run_back(t) != TIMELINE_HIT)
            die("no hit going back");
        back = now_ms() - back;
        /* The code may have run again meanwhile: then the hit is nearer, and so is what it is held
         * against. */
        forward *= (double)(from + distance - timeline_hit(t)->at.icount) / (double)distance;
        if (forward < 0.1)
            continue;
        backs[done] = back;
        ratios[done++] = back / forward;
    }
    timeline_set_points(t, NULL, 0);
    if (done > 0) {
        snprintf(what, sizeof(what), "back to a hit %" PRIu64 " instructions ago", distance);
        print_times(what, backs, done);
        printf("%-44s median %9.2f\n", "  / running there forward", median(ratios, done));
    }
    free(ratios);
    free(backs);
}

static void parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[++i], NULL, 0);
        else if (i + 1 < argc && strcmp(argv[i], "--places") == 0)
            places = (unsigned)strtoul(argv[++i], NULL, 0);
        else if (i + 1 < argc && strcmp(argv[i], "--rounds") == 0)
            rounds = (unsigned)strtoul(argv[++i], NULL, 0);
        else if (i + 1 < argc && strcmp(argv[i], "--checkpoint-mem") == 0)
            budget = strtoull(argv[++i], NULL, 0);
        else
            path = argv[i];
    }
    if (path == NULL || rounds < 1 || rounds > 16 || places < 1)
        die("usage: timeline_bench TRACE [--seed N] [--places N] [--rounds N] [--checkpoint-mem BYTES]");
}

int main(int argc, char **argv)
{
    struct timeline_checkpoints c;
    struct rusage usage;
    struct timeline *t;
    uint64_t length;

    parse(argc, argv);
    t = compare_passes();
    length = timeline_now(t).icount;
    c = timeline_checkpoints(t);
    printf("%" PRIu64 " instructions; %zu checkpoints in %zu MiB after the first pass\n", length, c.count,
           c.bytes >> 20);
    measure_seeks(t, length);
    measure_backward(t, length, 1000000);
    measure_backward(t, length, 30000000);
    measure_backward(t, length, 300000000);
    c = timeline_checkpoints(t);
    getrusage(RUSAGE_SELF, &usage);
    printf("%zu checkpoints in %zu MiB of %zu, %" PRIu64 " taken; peak memory of the process %ld MiB\n",
           c.count, c.bytes >> 20, c.budget >> 20, c.taken, usage.ru_maxrss >> 10);
    timeline_destroy(t);
    return 0;
}
