/* SPDX-License-Identifier: MIT */
/* The demo guest on the PC board: it crashes by itself, and what is typed decides when, and
 * whether. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <devices/pc.h>
#include <emu/machine.h>

extern const unsigned char deja_demo_kernel[];
extern const size_t deja_demo_kernel_len;

#define LIMIT 300000000u /* instructions: many times what a run takes */

/* A run, its console, and one key typed at an instruction of our choice. */
struct run {
    char console[16384];
    size_t len;
    uint8_t key;
    uint64_t key_icount; /* UINT64_MAX: nothing is typed, or no more */
    enum machine_stop why;
    uint64_t icount;
    uint8_t exit_code;
    bool panicked;
    uint64_t digest;
};

static void on_serial(void *opaque, unsigned port, const uint8_t *data, size_t len)
{
    struct run *run = opaque;

    assert_int_equal(port, 0);
    assert_true(len < sizeof(run->console) - run->len);
    memcpy(run->console + run->len, data, len);
    run->len += len;
}

static bool poll_key(void *opaque, struct machine *m, struct input *in)
{
    struct run *run = opaque;

    if (m->clock.icount < run->key_icount)
        return false;
    run->key_icount = UINT64_MAX;
    *in = (struct input){.kind = INPUT_SERIAL, .data = &run->key, .len = 1};
    return true;
}

static uint64_t key_horizon(void *opaque, uint64_t icount)
{
    const struct run *run = opaque;

    return run->key_icount > icount ? run->key_icount : UINT64_MAX;
}

static uint64_t no_wait(void *opaque, struct machine *m, uint64_t deadline_ns)
{
    (void)opaque, (void)m;
    return deadline_ns;
}

static struct run *demo(const char *cmdline, uint8_t key, uint64_t key_icount)
{
    struct run *run = calloc(1, sizeof(*run));
    struct machine_config config = {
        .struct_size = sizeof(config),
        .ram_bytes = 16u << 20,
        .ns_per_insn = 1,
        .kernel = {.name = "demo", .data = deja_demo_kernel, .len = deja_demo_kernel_len},
        .cmdline = cmdline,
    };
    struct input_source source = {
        .poll = poll_key, .horizon = key_horizon, .wait = no_wait, .opaque = run};
    struct machine_observer observer = {.serial_out = on_serial, .opaque = run};
    struct machine *m;
    char err[256];

    assert_non_null(run);
    run->key = key;
    run->key_icount = key_icount;
    m = machine_create(&config, &pc_board, err, sizeof(err));
    if (m == NULL)
        fail_msg("%s", err);
    machine_set_source(m, &source);
    machine_set_observer(m, &observer);
    run->why = machine_run(m, LIMIT);
    run->icount = m->clock.icount;
    run->exit_code = m->exit_code;
    run->panicked = pc_has_panicked(pc_of(m));
    run->digest = machine_digest(m);
    machine_destroy(m);
    return run;
}

static struct run *demo_untouched(const char *cmdline)
{
    return demo(cmdline, 0, UINT64_MAX);
}

static void assert_says(const struct run *run, const char *text)
{
    if (strstr(run->console, text) == NULL)
        fail_msg("no \"%s\" in:\n%s", text, run->console);
}

static void demo_crashes_by_itself_with_a_report(void **state)
{
    struct run *run = demo_untouched("");

    (void)state;
    assert_says(run, "audit 1: 4096 transfers, books balance at ");
    assert_says(run, "PANIC: ledger is off by ");
    assert_says(run, "CPU: 0 thread: audit");
    assert_says(run, "] ledger_audit+0x");
    assert_says(run, "] auditor+0x");
    assert_says(run, "] thread_start+0x");
    assert_says(run, "---[ end of report ]---");
    assert_int_equal(run->why, STOP_EXIT);
    assert_int_equal(run->exit_code, 3);
    assert_true(run->panicked);
    free(run);
}

static void demo_runs_alike_twice(void **state)
{
    struct run *a = demo_untouched(""), *b = demo_untouched("");

    (void)state;
    assert_int_equal(a->icount, b->icount);
    assert_int_equal(a->digest, b->digest);
    assert_string_equal(a->console, b->console);
    free(a);
    free(b);
}

static void demo_with_the_lock_keeps_its_books(void **state)
{
    struct run *run = demo_untouched("fixed days=20");

    (void)state;
    assert_says(run, "and a lock");
    assert_says(run, "audit 20: 81920 transfers, books balance at ");
    assert_says(run, "The bank closes. Goodbye.");
    assert_int_equal(run->why, STOP_POWEROFF);
    assert_false(run->panicked);
    free(run);
}

static void demo_closes_when_q_is_typed(void **state)
{
    struct run *run = demo("fixed", 'q', 4000000);

    (void)state;
    assert_says(run, "audit 2: ");
    assert_null(strstr(run->console, "audit 3: "));
    assert_int_equal(run->why, STOP_POWEROFF);
    free(run);
}

static void demo_takes_more_customers_when_plus_is_typed(void **state)
{
    struct run *run = demo("fixed days=2", '+', 1000000);

    (void)state;
    assert_says(run,
                "audit 1: 4608 transfers, "); /* 256 more at both windows, in the middle of a day */
    free(run);
}

/* Each typed key makes another run. What they have in common is that the bug is there. */
static void demo_crashes_elsewhere_when_keys_are_typed(void **state)
{
    struct run *untouched = demo_untouched("");
    unsigned moved = 0;

    (void)state;
    for (unsigned key = 'a'; key < 'e'; key++) {
        struct run *run = demo("", (uint8_t)key, 700000);

        assert_says(run, "PANIC: ledger is off by ");
        moved += run->icount != untouched->icount;
        free(run);
    }
    assert_int_equal(moved, 4);
    free(untouched);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(demo_crashes_by_itself_with_a_report),
        cmocka_unit_test(demo_runs_alike_twice),
        cmocka_unit_test(demo_with_the_lock_keeps_its_books),
        cmocka_unit_test(demo_closes_when_q_is_typed),
        cmocka_unit_test(demo_takes_more_customers_when_plus_is_typed),
        cmocka_unit_test(demo_crashes_elsewhere_when_keys_are_typed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
