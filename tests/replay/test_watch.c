/* SPDX-License-Identifier: MIT */
/*
 * Watching a machine: every event is told once, with its exact place, and changes nothing.
 *
 * tests/guests/watch makes one of each event and carries the list of them; the others are guests that go
 * through modes and privilege levels. Usage: test_watch WATCH.bin GUEST...
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <devices/pc.h>
#include <emu/cpu.h>
#include <emu/machine.h>
#include <replay/player.h>
#include <replay/recorder.h>

#define ALL_KINDS  ((1u << WATCH_KIND_COUNT) - 1)
#define MAX_EVENTS 65536u
#define LIMIT      100000000u /* instructions: many times what a run takes */
#define MARK_PORT  0x80u
#define MARK_BEGIN 0xb0u
#define MARK_END   0xe0u

struct guest {
    const char *path;
    uint8_t *data;
    size_t len;
};

static struct guest guests[8];
static size_t nguests;

/* Events as they were told; the machine is asked to stop at each when `stop`. */
struct log {
    struct machine *m;
    struct watch_event ev[MAX_EVENTS];
    size_t n;
    bool stop;
};

/* As tests/guests/watch/watch.asm writes them. */
struct listed_event {
    uint64_t kind, rip, address, value, extra;
    uint32_t size, cpl;
};

static void note(void *opaque, const struct watch_event *ev)
{
    struct log *log = opaque;

    assert_true(log->n < MAX_EVENTS);
    log->ev[log->n++] = *ev;
    if (log->stop)
        machine_request_stop(log->m, STOP_SOURCE);
}

static struct machine *create(const struct guest *g)
{
    struct machine_config config = {
        .struct_size = sizeof(config),
        .ram_bytes = 64u << 20,
        .ns_per_insn = 1,
        .kernel = {.name = "guest", .data = g->data, .len = g->len},
    };
    char err[256];
    struct machine *m = machine_create(&config, &pc_board, err, sizeof(err));

    if (m == NULL)
        fail_msg("%s: %s", g->path, err);
    return m;
}

static struct log *watch(struct machine *m, uint32_t kinds)
{
    struct log *log = calloc(1, sizeof(*log));

    assert_non_null(log);
    log->m = m;
    machine_watch(m, &(struct machine_watcher){.kinds = kinds, .event = note, .opaque = log});
    return log;
}

/* A whole run of a guest, watched. */
static struct log *run_watched(const struct guest *g, uint32_t kinds, uint64_t *digest)
{
    struct machine *m = create(g);
    struct log *log = watch(m, kinds);

    assert_int_equal(machine_run(m, LIMIT), STOP_POWEROFF);
    *digest = machine_digest(m);
    machine_destroy(m);
    return log;
}

static uint64_t unwatched_digest(const struct guest *g)
{
    struct machine *m = create(g);
    uint64_t digest;

    assert_int_equal(machine_run(m, LIMIT), STOP_POWEROFF);
    digest = machine_digest(m);
    machine_destroy(m);
    return digest;
}

/* --- the list in the guest --- */

static const struct listed_event *listed(size_t *n)
{
    const uint8_t *at = memmem(guests[0].data, guests[0].len, "EVENTS--", 8);
    uint64_t count;

    assert_non_null(at);
    memcpy(&count, at + 8, sizeof(count));
    assert_in_range(count, 1, 1000);
    *n = (size_t)count;
    return (const struct listed_event *)(const void *)(at + 16);
}

static bool is_mark(const struct watch_event *ev, uint64_t value)
{
    return ev->kind == WATCH_PORT_WRITE && ev->address == MARK_PORT && ev->value == value;
}

/* Index of the mark. */
static size_t find_mark(const struct log *log, uint64_t value)
{
    size_t i = 0;

    while (i < log->n && !is_mark(&log->ev[i], value))
        i++;
    assert_true(i < log->n);
    return i;
}

static void assert_listed(const struct watch_event *ev, const struct listed_event *want, size_t i)
{
    if (ev->kind == want->kind && ev->rip == want->rip && ev->address == want->address &&
        ev->value == want->value && ev->extra == want->extra && ev->size == want->size &&
        ev->cpl == want->cpl)
        return;
    fail_msg("event %zu is kind %d at %llx, %llx %llx %llx, size %u, CPL %u; listed is kind %d at %llx, "
             "%llx %llx %llx, size %u, CPL %u",
             i, ev->kind, (unsigned long long)ev->rip, (unsigned long long)ev->address,
             (unsigned long long)ev->value, (unsigned long long)ev->extra, ev->size, ev->cpl,
             (int)want->kind, (unsigned long long)want->rip, (unsigned long long)want->address,
             (unsigned long long)want->value, (unsigned long long)want->extra, want->size, want->cpl);
}

static void each_event_is_told_once_in_order(void **state)
{
    uint64_t digest;
    struct log *log = run_watched(&guests[0], ALL_KINDS, &digest);
    size_t begin = find_mark(log, MARK_BEGIN), end = find_mark(log, MARK_END), n;
    const struct listed_event *want = listed(&n);
    uint32_t seen = 0;

    (void)state;
    for (size_t i = begin + 1; i < end && i - begin - 1 < n; i++) {
        assert_listed(&log->ev[i], &want[i - begin - 1], i - begin - 1);
        seen |= WATCH_BIT(log->ev[i].kind);
    }
    assert_int_equal(end - begin - 1, n);
    assert_int_equal(seen, ALL_KINDS);
    free(log);
}

static void assert_same(const struct watch_event *a, const struct watch_event *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_true(moment_equal(a->at, b->at));
    assert_int_equal(a->rip, b->rip);
    assert_int_equal(a->address, b->address);
    assert_int_equal(a->value, b->value);
    assert_int_equal(a->extra, b->extra);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->cpl, b->cpl);
}

static void only_the_kinds_asked_for_are_told(void **state)
{
    uint64_t digest;
    struct log *all = run_watched(&guests[0], ALL_KINDS, &digest);

    (void)state;
    for (unsigned kind = 0; kind < WATCH_KIND_COUNT; kind++) {
        struct log *one = run_watched(&guests[0], WATCH_BIT(kind), &digest);
        size_t at = 0;

        for (size_t i = 0; i < all->n; i++)
            if (all->ev[i].kind == kind)
                assert_same(&all->ev[i], &one->ev[at++]);
        assert_int_equal(at, one->n);
        free(one);
    }
    free(all);
}

/* --- places --- */

static uint64_t linear_rip(const struct cpu *cpu)
{
    return cpu_code_size(cpu) == CODE_64 ? cpu->rip : (uint32_t)(cpu->seg[SEG_CS].base + cpu->rip);
}

/* Where a machine that is asked to stop by an event stops. */
static struct moment moment_after(const struct watch_event *ev)
{
    struct moment at = ev->at;

    if (ev->kind == WATCH_EXCEPTION || ev->kind == WATCH_INTERRUPT)
        at.entries++;
    else
        at = (struct moment){.icount = at.icount + 1};
    return at;
}

/* A trap follows its instruction at once: there is no moment between them. */
static bool is_trap(const struct watch_event *ev)
{
    return ev->kind == WATCH_EXCEPTION && ev->address == EXC_DB;
}

static void assert_at(const struct machine *m, const struct watch_event *ev)
{
    struct moment now = machine_moment(m);

    if (!moment_equal(now, ev->at) && !(is_trap(ev) && moment_equal(now, moment_after(ev))))
        fail_msg("event of kind %d, %llx at %llx: told for %llu, %u, but there is %llu, %u", ev->kind,
                 (unsigned long long)ev->address, (unsigned long long)ev->rip,
                 (unsigned long long)ev->at.icount, ev->at.entries, (unsigned long long)now.icount,
                 now.entries);
}

static void a_machine_that_goes_there_stands_before_the_instruction(void **state)
{
    (void)state;
    for (size_t g = 0; g < nguests; g++) {
        uint64_t digest;
        struct log *log = run_watched(&guests[g], ALL_KINDS, &digest);
        struct machine *m = create(&guests[g]);

        assert_true(log->n > 20);
        for (size_t i = 0; i < log->n; i++) {
            assert_int_equal(machine_run_to(m, log->ev[i].at), STOP_ICOUNT);
            assert_at(m, &log->ev[i]);
            if (moment_equal(machine_moment(m), log->ev[i].at)) {
                assert_int_equal(linear_rip(&m->cpus[0]), log->ev[i].rip);
                assert_int_equal(m->cpus[0].cpl, log->ev[i].cpl);
            }
        }
        machine_destroy(m);
        free(log);
    }
}

static void a_watcher_can_stop_after_each_event(void **state)
{
    (void)state;
    for (size_t g = 0; g < nguests; g++) {
        struct machine *m = create(&guests[g]);
        struct log *log = watch(m, ALL_KINDS);
        enum machine_stop why;
        size_t stops = 0;

        log->stop = true;
        while ((why = machine_run(m, LIMIT)) == STOP_SOURCE) {
            assert_true(log->n > stops);
            stops = log->n;
            assert_true(moment_equal(machine_moment(m), moment_after(&log->ev[log->n - 1])));
        }
        /* The request comes before the power-off of the last one. */
        assert_true(why == STOP_POWEROFF || why == STOP_HALTED);
        assert_true(stops > 20);
        machine_destroy(m);
        free(log);
    }
}

/* --- nothing changes --- */

static void digests_are_those_of_an_unwatched_run(void **state)
{
    (void)state;
    for (size_t g = 0; g < nguests; g++) {
        uint64_t digest;

        free(run_watched(&guests[g], ALL_KINDS, &digest));
        assert_int_equal(digest, unwatched_digest(&guests[g]));
    }
}

static void record(const struct guest *g, const char *path)
{
    struct recorder_options options = {.struct_size = sizeof(options), .digest_interval = 65536};
    struct machine *m = create(g);
    char err[256];
    struct recorder *r = recorder_create(m, path, &options, err, sizeof(err));
    enum machine_stop why;

    assert_non_null(r);
    why = recorder_run(r);
    assert_int_equal(why, STOP_POWEROFF);
    assert_int_equal(recorder_finish(r, why, err, sizeof(err)), 0);
    recorder_destroy(r);
    machine_destroy(m);
}

static void a_watched_replay_is_exact_and_tells_the_same(void **state)
{
    char path[] = "/tmp/deja-watch-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    for (size_t g = 0; g < nguests; g++) {
        uint64_t digest;
        struct log *live = run_watched(&guests[g], ALL_KINDS, &digest), *again;
        char err[256];
        struct player *p;

        record(&guests[g], path);
        p = player_open(path, &pc_board, err, sizeof(err));
        assert_non_null(p);
        again = watch(player_machine(p), ALL_KINDS);
        assert_int_equal(player_run(p, UINT64_MAX), PLAYER_END);
        assert_true(player_counts(p).digests > 1);
        assert_int_equal(live->n, again->n);
        for (size_t i = 0; i < live->n; i++)
            assert_same(&live->ev[i], &again->ev[i]);
        player_destroy(p);
        free(live);
        free(again);
    }
    unlink(path);
}

static void read_guest(struct guest *g, const char *path)
{
    FILE *f = fopen(path, "rb");
    long len;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (len = ftell(f)) <= 0) {
        perror(path);
        exit(2);
    }
    rewind(f);
    *g = (struct guest){.path = path, .data = malloc((size_t)len), .len = (size_t)len};
    if (g->data == NULL || fread(g->data, 1, g->len, f) != g->len) {
        perror(path);
        exit(2);
    }
    fclose(f);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_event_is_told_once_in_order),
        cmocka_unit_test(only_the_kinds_asked_for_are_told),
        cmocka_unit_test(a_machine_that_goes_there_stands_before_the_instruction),
        cmocka_unit_test(a_watcher_can_stop_after_each_event),
        cmocka_unit_test(digests_are_those_of_an_unwatched_run),
        cmocka_unit_test(a_watched_replay_is_exact_and_tells_the_same),
    };
    int status;

    if (argc < 2 || argc > 9) {
        fprintf(stderr, "usage: test_watch WATCH.bin GUEST...\n");
        return 2;
    }
    for (nguests = 0; nguests + 1 < (size_t)argc; nguests++)
        read_guest(&guests[nguests], argv[nguests + 1]);
    status = cmocka_run_group_tests(tests, NULL, NULL);
    for (size_t i = 0; i < nguests; i++)
        free(guests[i].data);
    return status;
}
