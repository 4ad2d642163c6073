/* SPDX-License-Identifier: MIT */
/*
 * Walks a trace at random, forwards and backwards, and compares what it saw with a straight run.
 *
 *     walk TRACE [--seed N] [--operations N] [--checkpoint-mem BYTES]
 *
 * At each place that the walk stands at, the digest of the whole machine is noted by moment. In the end a
 * player of its own runs the trace once from power-on, stops at each of these moments, and must have
 * the same digest. On the way: a step back undoes a step and the reverse; nothing hits between a place
 * that a backward run found and where it began; a branch leaves no mark.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <devices/pc.h>
#include <emu/cpu.h>
#include <replay/timeline.h>

struct seen {
    struct moment at;
    uint64_t digest;
    unsigned operation;
};

static struct timeline *t;
static const char *path;
static uint64_t seed = 1, length;
static unsigned operations = 200, operation;
static struct seen *seen;
static size_t nseen;
static unsigned counts[16];

static uint64_t rnd(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

__attribute__((format(printf, 1, 2))) static _Noreturn void die(const char *fmt, ...)
{
    struct moment now = timeline_now(t);
    va_list ap;

    printf("FAIL at operation %u, instruction %" PRIu64 "+%u: ", operation, now.icount, now.entries);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    exit(1);
}

static void must(enum timeline_status status, const char *what)
{
    const struct player_divergence *d = player_divergence(timeline_player(t));

    if (status == TIMELINE_DIVERGED)
        die("%s: the replay diverged at %" PRIu64 ": expected %s, found %s", what, d->icount,
            d->expected, d->found);
    if (status == TIMELINE_ERROR)
        die("%s: %s", what, timeline_error(t));
    if (status == TIMELINE_INTERRUPTED)
        die("%s: interrupted by nobody", what);
}

/* Digests are of hashes that are known of pages, whether or not somebody has fetched them: fetches all. */
static void look_at_ram(const struct ram *ram)
{
    for (uint64_t page = 0; page < ram->npages; page++)
        if (!(ram->flags[page] & RAM_ROM) && ram_page_of(ram, ram_gpa_of(ram, page)) == page &&
            ram_content_hash(ram_page(ram, page), page) != ram->page_hash[page])
            die("page %" PRIu64 " is not what its hash says", page);
    must(timeline_check(t), "looking at all of RAM");
}

static uint64_t digest_here(void)
{
    struct machine *m = timeline_machine(t);
    uint64_t digest = machine_digest(m);

    if (rnd() % 8 == 0)
        look_at_ram(&m->ram);
    return digest;
}

static void note(void)
{
    seen[nseen++] =
        (struct seen){.at = timeline_now(t), .digest = digest_here(), .operation = operation};
}

static void same(struct moment at, uint64_t digest, const char *what)
{
    if (!moment_equal(timeline_now(t), at))
        die("%s: not at %" PRIu64 "+%u", what, at.icount, at.entries);
    if (digest_here() != digest)
        die("%s: another state", what);
}

/* --- operations --- */

static void seek_anywhere(void)
{
    must(timeline_seek(t, (struct moment){.icount = rnd() % (length + 1)}), "seek");
}

static void seek_near(void)
{
    uint64_t far = 1ULL << (rnd() % 24), by = rnd() % far, now = timeline_now(t).icount;
    struct moment to = {.icount = rnd() & 1 ? now + by : now > by ? now - by : 0,
                        .entries = rnd() % 4 == 0};

    must(timeline_seek(t, to), "seek near");
}

static void steps(void)
{
    unsigned n = 1 + (unsigned)(rnd() % 5), i;
    struct moment at[8];
    uint64_t digest[8];
    enum timeline_status status = TIMELINE_THERE;

    for (i = 0; i < n && status == TIMELINE_THERE; i++) {
        at[i] = timeline_now(t);
        digest[i] = digest_here();
        status = timeline_step(t);
        must(status, "step");
        if (status == TIMELINE_THERE && !moment_before(at[i], timeline_now(t)))
            die("a step did not move");
    }
    note();
    while (i-- > 0) {
        if (status == TIMELINE_END && moment_equal(timeline_now(t), at[i]))
            continue; /* there was nothing to step over */
        must(timeline_step_back(t), "step back");
        same(at[i], digest[i], "a step back after a step");
    }
}

static void steps_back(void)
{
    unsigned n = 1 + (unsigned)(rnd() % 20);

    while (n-- > 0) {
        struct moment before = timeline_now(t);
        uint64_t digest = digest_here();
        enum timeline_status status = timeline_step_back(t);

        must(status, "step back");
        if (status == TIMELINE_BEGIN)
            return;
        if (!moment_before(timeline_now(t), before))
            die("a step back did not move");
        note();
        if (rnd() % 4 == 0) {
            must(timeline_step(t), "step");
            same(before, digest, "a step after a step back");
            must(timeline_step_back(t), "step back");
        }
    }
}

static void choose_points(void)
{
    const struct cpu *cpu = &timeline_machine(t)->cpus[0];
    struct debug_point p[3];
    size_t n = 1 + rnd() % 3, i;

    for (i = 0; i < n; i++) {
        p[i] = (struct debug_point){.kind = (enum debug_kind)(rnd() % 7), .length = 1 + rnd() % 12};
        if (p[i].kind == DEBUG_EXEC)
            p[i].address = cpu->rip;
        else if (debug_is_physical(p[i].kind))
            p[i].address = cpu_peek_translate(cpu, cpu->regs[REG_RSP] - 8);
        else
            p[i].address = cpu->regs[rnd() % 16] + (rnd() % 64) - 32;
        if (p[i].address > UINT64_MAX - 64)
            p[i].address = 0x1000;
    }
    if (timeline_set_points(t, p, n) != 0)
        die("points");
    must(timeline_seek(t, (struct moment){.icount = timeline_now(t).icount + rnd() % 100000}), "seek");
}

static bool reject_some(void *opaque, const struct debug_hit *hit)
{
    (void)opaque;
    return hit->at.icount % 3 != 0;
}

static void forward(void)
{
    struct moment from, until = {.icount = timeline_now(t).icount + rnd() % 3000000};
    enum timeline_status status;

    choose_points();
    from = timeline_now(t);
    status = timeline_run_forward(t, until);
    must(status, "run forward");
    if (status == TIMELINE_HIT && moment_before(timeline_hit(t)->at, from))
        die("a hit before the run");
    if (status == TIMELINE_HIT)
        counts[8]++;
}

static void check_nothing_between(struct moment hit, struct moment from, enum debug_kind kind)
{
    enum timeline_status status = timeline_run_forward(t, from);

    must(status, "forward again");
    if (kind != DEBUG_EXEC) {
        if (status != TIMELINE_HIT || !moment_equal(timeline_hit(t)->at, hit))
            die("the watchpoint's hit at %" PRIu64 "+%u is not there going forward", hit.icount,
                hit.entries);
        status = timeline_run_forward(t, from);
        must(status, "forward again");
    }
    if (status == TIMELINE_HIT && moment_before(timeline_hit(t)->at, from))
        die("going back from %" PRIu64 "+%u missed a hit at %" PRIu64 "+%u, found %" PRIu64 "+%u",
            from.icount, from.entries, timeline_hit(t)->at.icount, timeline_hit(t)->at.entries,
            hit.icount, hit.entries);
}

static void back(void)
{
    struct moment from;
    enum timeline_status status;

    choose_points();
    from = timeline_now(t);
    status = timeline_run_back(t);
    must(status, "run back");
    note();
    if (status == TIMELINE_HIT) {
        struct moment hit = timeline_hit(t)->at;
        enum debug_kind kind = timeline_hit(t)->point.kind;

        counts[9]++;
        if (!moment_equal(timeline_now(t), hit) || !moment_before(hit, from))
            die("a backward run stands at the wrong place");
        check_nothing_between(hit, from, kind);
    } else if (status != TIMELINE_BEGIN) {
        die("a backward run ended with %d", status);
    }
}

static void last_write(void)
{
    const struct cpu *cpu = &timeline_machine(t)->cpus[0];
    uint64_t gpa = cpu_peek_translate(cpu, cpu->regs[REG_RSP]);

    if (gpa == UINT64_MAX)
        return;
    must(timeline_last_write(t, gpa & ~7ULL, 8), "last write");
}

static void branch(void)
{
    struct moment at = timeline_now(t);
    uint64_t digest = digest_here(), junk = rnd();

    timeline_branch(t);
    ram_write(&timeline_machine(t)->ram, (rnd() % 0x100000) & ~7ULL & 0x7ffff, &junk, 8);
    timeline_machine(t)->cpus[0].regs[REG_RAX] ^= junk;
    cpu_state_changed(&timeline_machine(t)->cpus[0]);
    timeline_set_points(t, NULL, 0);
    must(timeline_run_forward(t, (struct moment){.icount = at.icount + rnd() % 200000}), "branch");
    must(timeline_seek(t, at), "back from a branch");
    same(at, digest, "back from a branch");
}

static void one_operation(void)
{
    static void (*const all[])(void) = {seek_anywhere, seek_near, steps,      steps_back,
                                        forward,       back,      last_write, branch};
    unsigned which = (unsigned)(rnd() % (sizeof(all) / sizeof(all[0])));

    timeline_set_accept(t, rnd() & 1 ? reject_some : NULL, NULL);
    counts[which]++;
    all[which]();
    note();
}

/* --- the straight run --- */

static int by_moment(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;

    return moment_before(x->at, y->at) ? -1 : moment_before(y->at, x->at);
}

static void check_straight(void)
{
    char err[512];
    struct player *p = player_open(path, &pc_board, err, sizeof(err));

    if (p == NULL)
        die("%s", err);
    qsort(seen, nseen, sizeof(seen[0]), by_moment);
    for (size_t i = 0; i < nseen; i++) {
        struct machine *m = player_machine(p);

        operation = seen[i].operation;
        if (seen[i].at.icount > m->clock.icount)
            player_run(p, seen[i].at.icount);
        player_run_to(p, seen[i].at);
        if (!moment_equal(machine_moment(m), seen[i].at))
            die("the straight run has no moment %" PRIu64 "+%u, it is at %" PRIu64 "+%u",
                seen[i].at.icount, seen[i].at.entries, machine_moment(m).icount,
                machine_moment(m).entries);
        if (machine_digest(m) != seen[i].digest)
            die("another state than the straight run at %" PRIu64 "+%u", seen[i].at.icount,
                seen[i].at.entries);
    }
    player_destroy(p);
}

static void parse(int argc, char **argv, struct timeline_options *options)
{
    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[++i], NULL, 0);
        else if (i + 1 < argc && strcmp(argv[i], "--operations") == 0)
            operations = (unsigned)strtoul(argv[++i], NULL, 0);
        else if (i + 1 < argc && strcmp(argv[i], "--checkpoint-mem") == 0)
            options->checkpoint_bytes = strtoull(argv[++i], NULL, 0);
        else
            path = argv[i];
    }
    if (path == NULL) {
        fprintf(stderr, "usage: walk TRACE [--seed N] [--operations N] [--checkpoint-mem BYTES]\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct timeline_options options = {.struct_size = sizeof(options)};
    struct timeline_checkpoints cps;
    uint64_t first;
    char err[512];

    parse(argc, argv, &options);
    first = seed;
    t = timeline_open(path, &pc_board, &options, err, sizeof(err));
    if (t == NULL) {
        fprintf(stderr, "walk: %s\n", err);
        return 2;
    }
    seen = calloc((size_t)operations * 24 + 16, sizeof(*seen));
    must(timeline_seek(t, timeline_end_moment()), "to the end");
    length = timeline_now(t).icount;
    note();
    for (operation = 1; operation <= operations; operation++)
        one_operation();
    cps = timeline_checkpoints(t);
    check_straight();
    printf("seed %" PRIu64 ": %u operations over %" PRIu64 " instructions, %zu places compared; %u forward "
           "and %u backward hits; %zu checkpoints in %zu KiB, %" PRIu64 " taken, %" PRIu64 " dropped\n",
           first, operations, length, nseen, counts[8], counts[9], cps.count, cps.bytes >> 10, cps.taken,
           cps.dropped);
    timeline_destroy(t);
    free(seen);
    return 0;
}
