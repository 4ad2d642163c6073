/* SPDX-License-Identifier: MIT */
/* A machine that is put back to where it stood runs as a new one does, whatever it did before. */
#include <replay/rewind.h>

#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#include <emu/snapshot.h>

#define END 80000u

static const struct script_input quiet[] = {{.icount = UINT64_MAX}};
static const struct script_input busy[] = {
    {.icount = 5000, .kind = INPUT_SERIAL, .text = "a"},
    {.icount = 12345, .kind = INPUT_SERIAL, .text = "wonky"},
    {.icount = 60000, .kind = INPUT_SERIAL, .text = "z"},
};
static const struct script_input resetting[] = {
    {.icount = 20000, .kind = INPUT_SERIAL, .text = "r"},
    {.icount = 50000, .kind = INPUT_SERIAL, .text = "b"},
};
static const struct script_input dying[] = {{.icount = 30000, .kind = INPUT_SERIAL, .text = "d"}};
static const struct script_input exiting[] = {{.icount = 30000, .kind = INPUT_SERIAL, .text = "x"}};

static const struct {
    const struct script_input *inputs;
    size_t n;
} scripts[] = {
    {quiet, 1}, {busy, 3}, {resetting, 2}, {dying, 1}, {exiting, 1},
};
#define NSCRIPTS (sizeof(scripts) / sizeof(scripts[0]))

struct outcome {
    enum machine_stop why;
    uint64_t icount, digest;
    uint8_t *state;
    struct tiny_output said;
};

/* Under script `n` to its end, through resets; with a digest first, as recordings have. */
static struct outcome run(struct machine *m, size_t n)
{
    struct script s = {.inputs = scripts[n].inputs, .n = scripts[n].n};
    struct input_source source = script_source(&s);
    struct outcome out = {.why = STOP_RESET};
    struct machine_observer observer = tiny_output_observer(&out.said);
    char err[128];

    machine_digest(m);
    machine_set_source(m, &source);
    machine_set_observer(m, &observer);
    while ((out.why = machine_run(m, END)) == STOP_RESET)
        assert_int_equal(machine_reset(m, err, sizeof(err)), 0);
    out.icount = m->clock.icount;
    out.digest = machine_digest(m);
    out.state = malloc(machine_snapshot_bytes(m));
    machine_snapshot_save(m, out.state);
    return out;
}

static void assert_same(struct outcome a, struct outcome b, size_t bytes)
{
    assert_int_equal(a.why, b.why);
    assert_int_equal(a.icount, b.icount);
    assert_int_equal(a.digest, b.digest);
    assert_memory_equal(a.state, b.state, bytes);
    assert_string_equal(a.said.text, b.said.text);
    free(a.state);
    free(b.state);
}

static void every_run_after_every_other_is_that_of_a_new_machine(void **state)
{
    struct machine *m = tiny_machine_create(&tiny_board);
    struct rewind *w = rewind_create(m);

    (void)state;
    assert_non_null(w);
    for (size_t i = 0; i < NSCRIPTS * NSCRIPTS; i++) {
        size_t n = i % 2 == 0 ? i / 2 % NSCRIPTS : i * 7 % NSCRIPTS;
        struct machine *fresh = tiny_machine_create(&tiny_board);

        assert_same(run(fresh, n), run(m, n), machine_snapshot_bytes(m));
        assert_int_equal(rewind_back(w), 0);
        machine_destroy(fresh);
    }
    rewind_destroy(w);
    machine_destroy(m);
}

static void power_on_comes_back(void **state)
{
    struct machine *m = tiny_machine_create(&tiny_board);
    uint64_t digest = machine_digest(m);
    struct rewind *w = rewind_create(m);

    (void)state;
    for (size_t n = 0; n < NSCRIPTS; n++) {
        free(run(m, n).state);
        assert_int_not_equal(machine_digest(m), digest);
        assert_int_equal(rewind_back(w), 0);
        assert_int_equal(machine_digest(m), digest);
        assert_int_equal(m->clock.icount, 0);
        assert_int_equal(m->resets, 0);
    }
    rewind_destroy(w);
    machine_destroy(m);
}

static void it_can_begin_in_the_middle_of_a_run(void **state)
{
    struct machine *m = tiny_machine_create(&tiny_board);
    struct rewind *w;
    struct outcome first;

    (void)state;
    machine_run(m, 10007);
    w = rewind_create(m);
    assert_non_null(w);
    first = run(m, 1);
    assert_int_equal(rewind_back(w), 0);
    assert_int_equal(m->clock.icount, 10007);
    free(run(m, 2).state);
    assert_int_equal(rewind_back(w), 0);
    assert_same(first, run(m, 1), machine_snapshot_bytes(m));
    rewind_destroy(w);
    machine_destroy(m);
}

static void digests_do_not_tell_when_they_began(void **state)
{
    struct machine *early = tiny_machine_create(&tiny_board), *late = tiny_machine_create(&tiny_board);
    char err[128];

    (void)state;
    machine_digest(early);
    assert_int_equal(machine_reset(early, err, sizeof(err)), 0);
    assert_int_equal(machine_reset(late, err, sizeof(err)), 0);
    assert_int_equal(machine_digest(early), machine_digest(late));
    machine_destroy(early);
    machine_destroy(late);
}

/* The ROM counts in digests before a reset only. */
static void a_firmware_machine_is_the_same_on_both_sides_of_a_reset(void **state)
{
    struct machine *m = tiny_machine_create(&tiny_board);
    uint64_t before = machine_digest(m), after;
    struct rewind *w;
    char err[128];

    (void)state;
    w = rewind_create(m);
    assert_int_equal(machine_reset(m, err, sizeof(err)), 0);
    after = machine_digest(m);
    assert_int_equal(rewind_back(w), 0);
    assert_int_equal(machine_digest(m), before);
    assert_int_equal(machine_reset(m, err, sizeof(err)), 0);
    rewind_destroy(w);
    w = rewind_create(m);
    assert_int_equal(machine_digest(m), after);
    assert_int_equal(machine_reset(m, err, sizeof(err)), 0);
    assert_int_equal(rewind_back(w), 0);
    assert_int_equal(machine_digest(m), after);
    rewind_destroy(w);
    machine_destroy(m);
}

static void a_machine_with_another_seed_is_that_which_is_created_with_it(void **state)
{
    struct machine_config config = tiny_config();
    struct machine *m = tiny_machine_create(&tiny_board), *other;
    struct rewind *w = rewind_create(m);
    char err[128];

    (void)state;
    config.seed = 4711;
    other = machine_create(&config, &tiny_board, err, sizeof(err));
    assert_int_not_equal(machine_digest(m), machine_digest(other));
    free(run(m, 1).state);
    assert_int_equal(rewind_back(w), 0);
    assert_int_equal(machine_reseed(m, 4711, err, sizeof(err)), 0);
    assert_same(run(other, 2), run(m, 2), machine_snapshot_bytes(m));
    rewind_destroy(w);
    machine_destroy(m);
    machine_destroy(other);
}

static void a_machine_whose_pages_are_tracked_is_refused(void **state)
{
    struct machine *m = tiny_machine_create(&tiny_board);
    struct rewind *w = rewind_create(m);

    (void)state;
    assert_non_null(w);
    assert_null(rewind_create(m));
    rewind_destroy(w);
    w = rewind_create(m);
    assert_non_null(w);
    rewind_destroy(w);
    machine_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_run_after_every_other_is_that_of_a_new_machine),
        cmocka_unit_test(power_on_comes_back),
        cmocka_unit_test(it_can_begin_in_the_middle_of_a_run),
        cmocka_unit_test(digests_do_not_tell_when_they_began),
        cmocka_unit_test(a_firmware_machine_is_the_same_on_both_sides_of_a_reset),
        cmocka_unit_test(a_machine_with_another_seed_is_that_which_is_created_with_it),
        cmocka_unit_test(a_machine_whose_pages_are_tracked_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
