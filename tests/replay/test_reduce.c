/* SPDX-License-Identifier: MIT */
/* Delta debugging, on failures that are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <replay/reduce.h>

#define N 200

/* Fails when all of `needed` are made. */
struct failure {
    const size_t *needed;
    size_t nneeded;
    size_t tests, most;
    size_t stop_after;
};

static size_t first_failing(void *opaque, const uint8_t *const *sets, size_t count)
{
    struct failure *f = opaque;

    if (f->stop_after > 0 && f->tests >= f->stop_after)
        return REDUCE_STOPPED;
    f->most = count > f->most ? count : f->most;
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;

        f->tests++;
        while (k < f->nneeded && sets[i][f->needed[k]] != 0)
            k++;
        if (k == f->nneeded)
            return i;
    }
    return count;
}

static void check(const size_t *needed, size_t nneeded, size_t max_tests)
{
    struct failure f = {.needed = needed, .nneeded = nneeded};
    struct reduce r = {.n = N, .first_failing = first_failing, .opaque = &f};
    uint8_t set[N], want[N] = {0};

    memset(set, 1, N);
    assert_int_equal(reduce_prefix(&r, set), 0);
    if (nneeded > 0)
        assert_int_equal(reduce_count(&r, set), needed[nneeded - 1] + 1);
    assert_int_equal(reduce_minimal(&r, set), 0);
    for (size_t i = 0; i < nneeded; i++)
        want[needed[i]] = 1;
    assert_memory_equal(set, want, N);
    assert_true(f.tests <= max_tests);
}

static void one_change_is_found_in_few_tests(void **state)
{
    (void)state;
    for (size_t i = 0; i < N; i++)
        check(&i, 1, 40);
}

static void several_changes_are_found(void **state)
{
    static const size_t two[] = {3, 150}, four[] = {0, 17, 18, 199}, eight[] = {1, 2, 3, 50, 51, 120, 198, 199};

    (void)state;
    check(two, 2, 100);
    check(four, 4, 300);
    check(eight, 8, 600);
}

static void no_change_is_needed(void **state)
{
    (void)state;
    check(NULL, 0, 20);
}

static void what_was_reached_when_stopped_still_fails(void **state)
{
    static const size_t needed[] = {10, 90, 140};

    (void)state;
    for (size_t stop = 1; stop < 60; stop++) {
        struct failure f = {.needed = needed, .nneeded = 3, .stop_after = stop};
        struct reduce r = {.n = N, .first_failing = first_failing, .opaque = &f};
        uint8_t set[N];
        const uint8_t *const sets[] = {set};

        memset(set, 1, N);
        if (reduce_prefix(&r, set) == 0)
            reduce_minimal(&r, set);
        f.stop_after = 0;
        assert_int_equal(first_failing(&f, sets, 1), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_change_is_found_in_few_tests),
        cmocka_unit_test(several_changes_are_found),
        cmocka_unit_test(no_change_is_needed),
        cmocka_unit_test(what_was_reached_when_stopped_still_fails),
    };

    return cmocka_run_group_tests_name("reduce", tests, NULL, NULL);
}
