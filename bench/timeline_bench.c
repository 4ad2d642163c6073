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
                                 .no_index = true,
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

/* A word of RAM that holds something; its address. */
static uint64_t random_word(const struct machine *m)
{
    uint64_t gpa, v = 0;

    for (unsigned tries = 0; tries < 100000; tries++) {
        gpa = (rnd() % m->ram.low_bytes) & ~7ULL;
        if (ram_read(&m->ram, gpa, &v, 8) && v != 0)
            return gpa;
    }
    return 0x1000;
}

struct distance_class {
    uint64_t from, to;
    const char *name;
    double back[256], ratio[256];
    size_t n;
};

/* From random places back to the store that last wrote to a random word, beside running the same stretch
 * forward. */
static void measure_backward(struct timeline *t, uint64_t length)
{
    static struct distance_class classes[] = {
        {100000, 2000000, "  0.1 to 2 million instructions back", {0}, {0}, 0},
        {2000000, 20000000, "  2 to 20 million", {0}, {0}, 0},
        {20000000, 200000000, "  20 to 200 million", {0}, {0}, 0},
        {200000000, UINT64_MAX, "  more", {0}, {0}, 0},
    };

    for (unsigned i = 0; i < places / 2 + 5; i++) {
        uint64_t from = length / 8 + rnd() % (length - length / 8), distance;
        double back, forward;

        timeline_seek(t, (struct moment){.icount = from});
        back = now_ms();
        if (timeline_last_write(t, random_word(timeline_machine(t)), 8) != TIMELINE_HIT)
            continue;
        back = now_ms() - back;
        distance = from - timeline_hit(t)->at.icount;
        forward = now_ms();
        timeline_run_forward(t, (struct moment){.icount = from});
        forward = now_ms() - forward;
        for (size_t k = 0; k < sizeof(classes) / sizeof(classes[0]); k++) {
            struct distance_class *c = &classes[k];

            if (distance < c->from || distance >= c->to || c->n == 256)
                continue;
            c->back[c->n] = back;
            c->ratio[c->n++] = back / forward;
        }
    }
    printf("back to the last store to a random word, time beside running forward from there:\n");
    for (size_t k = 0; k < sizeof(classes) / sizeof(classes[0]); k++) {
        struct distance_class *c = &classes[k];

        if (c->n == 0)
            continue;
        print_times(c->name, c->back, c->n);
        printf("%-44s median %9.2f, 90%% %10.2f\n", "    back / forward", median(c->ratio, c->n),
               c->ratio[c->n * 9 / 10]);
    }
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
    measure_backward(t, length);
    c = timeline_checkpoints(t);
    getrusage(RUSAGE_SELF, &usage);
    printf("%zu checkpoints in %zu MiB of %zu, %" PRIu64 " taken; peak memory of the process %ld MiB\n",
           c.count, c.bytes >> 20, c.budget >> 20, c.taken, usage.ru_maxrss >> 10);
    timeline_destroy(t);
    return 0;
}
