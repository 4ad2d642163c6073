/* SPDX-License-Identifier: MIT */
/* Two traces compared as they are written: every relation that their events can have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <replay/trace_diff.h>

#define VECTOR 0x20u

static char folder[32], path[2][64];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/trace-diff-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    for (unsigned side = 0; side < 2; side++)
        snprintf(path[side], sizeof(path[side]), "%s/%u.deja", folder, side);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path[0]);
    unlink(path[1]);
    return rmdir(folder);
}

/* --- traces --- */

static const uint64_t seed_1[] = {1}, seed_2[] = {2};

static struct trace_header plain_header(void)
{
    static const struct trace_config_item items[] = {
        {.key = "board", .type = TRACE_CONFIG_STRING, .value.s = "tiny"},
        {.key = "ram_bytes", .type = TRACE_CONFIG_UINT, .value.u = 1 << 20},
        {.key = "digest_interval", .type = TRACE_CONFIG_UINT, .value.u = 100},
    };

    return (struct trace_header){.struct_size = sizeof(struct trace_header),
                                 .generator = "deja 0.1.0",
                                 .cpu_model = "some CPU",
                                 .ns_per_insn = 1,
                                 .seeds = seed_1,
                                 .nseeds = 1,
                                 .config = items,
                                 .nconfig = 3};
}

static struct trace_writer *create(unsigned side, const struct trace_header *header)
{
    struct trace_header plain = plain_header();
    struct trace_error err;
    struct trace_writer *w = trace_writer_create(path[side], header != NULL ? header : &plain, NULL, &err);

    if (w == NULL)
        fail_msg("%s", err.text);
    return w;
}

static void finish(struct trace_writer *w, uint64_t icount)
{
    struct trace_end end = {
        .struct_size = sizeof(end), .reason = "poweroff", .icount = icount, .vns = icount, .digest = 7};

    assert_int_equal(trace_writer_finish(w, &end), 0);
    trace_writer_destroy(w);
}

static void cut(struct trace_writer *w)
{
    trace_writer_destroy(w);
}

static void serial(struct trace_writer *w, uint64_t icount, const char *text)
{
    assert_int_equal(trace_writer_input(w, icount, icount, 1, 0, text, strlen(text)), 0);
}

static void interrupts(struct trace_writer *w, const uint64_t *icounts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(trace_writer_interrupt(w, icounts[i], VECTOR, 0), 0);
}

static struct trace_diff *compare(struct trace_reader *readers[2])
{
    struct trace_error err;
    struct trace_diff *d;
    unsigned side;

    for (side = 0; side < 2; side++) {
        readers[side] = trace_reader_open(path[side], &err);
        if (readers[side] == NULL)
            fail_msg("%s", err.text);
    }
    d = trace_diff_create(readers[0], readers[1], &side, &err);
    if (d == NULL)
        fail_msg("trace_diff_create: side %u: %s", side, side < 2 ? err.text : "out of memory");
    return d;
}

static void done(struct trace_diff *d, struct trace_reader *readers[2])
{
    trace_diff_destroy(d);
    trace_reader_destroy(readers[0]);
    trace_reader_destroy(readers[1]);
}

/* Two traces that differ in their interrupts alone. */
static struct trace_diff *compare_interrupts(const uint64_t *a, size_t na, const uint64_t *b, size_t nb,
                                             struct trace_reader *readers[2])
{
    struct trace_writer *w[2] = {create(0, NULL), create(1, NULL)};

    interrupts(w[0], a, na);
    interrupts(w[1], b, nb);
    finish(w[0], 1000);
    finish(w[1], 1000);
    return compare(readers);
}

#define COMPARE_INTERRUPTS(a, b, readers)                                                          \
    compare_interrupts(a, sizeof(a) / sizeof((a)[0]), b, sizeof(b) / sizeof((b)[0]), readers)

/* --- tests --- */

static void write_plain(unsigned side)
{
    static const uint64_t at[] = {20, 40, 60};
    struct trace_writer *w = create(side, NULL);

    serial(w, 10, "x");
    interrupts(w, at, 3);
    assert_int_equal(trace_writer_digest(w, 100, 0x1234), 0);
    finish(w, 200);
}

static void equal_traces_are_the_same(void **state)
{
    struct trace_reader *r[2];
    struct trace_diff *d;

    (void)state;
    write_plain(0);
    write_plain(1);
    d = compare(r);
    assert_true(trace_diff_same(d));
    assert_int_equal(d->inputs.same, 1);
    assert_int_equal(d->interrupts.same, 3);
    assert_int_equal(d->digests.compared, 1);
    assert_int_equal(d->nconfig, 0);
    assert_int_equal(d->nsites, 0);
    assert_int_equal(d->common_icount, 200);
    done(d, r);
}

static void interrupts_that_are_missing_are_in_one_side_only(void **state)
{
    static const uint64_t a[] = {20, 40, 60, 80}, b[] = {20, 60, 80};
    struct trace_reader *r[2];
    struct trace_diff *d = COMPARE_INTERRUPTS(a, b, r);

    (void)state;
    assert_int_equal(d->interrupts.relation, EVENT_ONLY_IN_A);
    assert_int_equal(d->interrupts.same, 1);
    assert_true(d->interrupts.has[0] && !d->interrupts.has[1]);
    assert_int_equal(d->interrupts.ev[0].icount, 40);
    assert_false(trace_diff_same(d));
    done(d, r);
    d = COMPARE_INTERRUPTS(b, a, r);
    assert_int_equal(d->interrupts.relation, EVENT_ONLY_IN_B);
    assert_int_equal(d->interrupts.ev[1].icount, 40);
    done(d, r);
}

static void interrupts_that_are_late_have_moved(void **state)
{
    static const uint64_t a[] = {20, 40, 60, 80}, b[] = {20, 43, 63, 83};
    struct trace_reader *r[2];
    struct trace_diff *d = COMPARE_INTERRUPTS(a, b, r);

    (void)state;
    assert_int_equal(d->interrupts.relation, EVENT_MOVED);
    assert_int_equal(d->interrupts.ev[0].icount, 40);
    assert_int_equal(d->interrupts.ev[1].icount, 43);
    done(d, r);
}

static void another_vector_at_the_same_place_is_another_interrupt(void **state)
{
    struct trace_writer *w[2] = {create(0, NULL), create(1, NULL)};
    struct trace_reader *r[2];
    struct trace_diff *d;

    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        assert_int_equal(trace_writer_interrupt(w[side], 20, 0x20 + side, 0), 0);
        finish(w[side], 100);
    }
    d = compare(r);
    assert_int_equal(d->interrupts.relation, EVENT_OTHER);
    assert_int_equal(d->interrupts.same, 0);
    assert_int_equal(d->interrupts.ev[1].u.interrupt.vector, 0x21);
    done(d, r);
}

/* More of them than wait in a queue. */
static void long_runs_of_missing_interrupts_are_in_one_side_only(void **state)
{
    uint64_t a[500], b[1] = {9000};
    struct trace_writer *w[2] = {create(0, NULL), create(1, NULL)};
    struct trace_reader *r[2];
    struct trace_diff *d;

    (void)state;
    for (size_t i = 0; i < 500; i++)
        a[i] = 10 + i / 5;
    interrupts(w[0], a, 500);
    interrupts(w[0], b, 1);
    interrupts(w[1], b, 1);
    finish(w[0], 10000);
    finish(w[1], 10000);
    d = compare(r);
    assert_int_equal(d->interrupts.relation, EVENT_ONLY_IN_A);
    assert_int_equal(d->interrupts.count[0], 501);
    assert_int_equal(d->interrupts.count[1], 1);
    assert_int_equal(d->interrupts.ev[0].icount, 10);
    done(d, r);
}

static void other_bytes_of_an_input_are_told_with_both_sides(void **state)
{
    struct trace_writer *w[2] = {create(0, NULL), create(1, NULL)};
    static const char *const text[2] = {"hello", "hallo"};
    struct trace_reader *r[2];
    struct trace_diff *d;

    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        serial(w[side], 5, "same");
        serial(w[side], 30, text[side]);
        serial(w[side], 50, "same again");
        finish(w[side], 100);
    }
    d = compare(r);
    assert_int_equal(d->inputs.relation, EVENT_OTHER);
    assert_int_equal(d->inputs.same, 1);
    for (unsigned side = 0; side < 2; side++) {
        assert_int_equal(d->inputs.ev[side].icount, 30);
        assert_memory_equal(d->inputs.ev[side].u.input.data, text[side], 5);
    }
    assert_int_equal(d->nsites, 1);
    assert_int_equal(d->sites[0], 30);
    done(d, r);
}

/* The same instruction, another time of its sleep. */
static void an_input_at_another_virtual_time_has_moved(void **state)
{
    struct trace_writer *w[2] = {create(0, NULL), create(1, NULL)};
    struct trace_reader *r[2];
    struct trace_diff *d;

    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        assert_int_equal(trace_writer_input(w[side], 30, 100 + side, 1, 0, "x", 1), 0);
        finish(w[side], 500);
    }
    d = compare(r);
    assert_int_equal(d->inputs.relation, EVENT_MOVED);
    assert_int_equal(d->nsites, 1);
    done(d, r);
}

static void every_place_where_inputs_differ_is_a_site(void **state)
{
    struct trace_writer *w[2] = {create(0, NULL), create(1, NULL)};
    static const uint64_t expected[] = {10, 30, 40, 70};
    struct trace_reader *r[2];
    struct trace_diff *d;

    (void)state;
    serial(w[0], 10, "only a");
    for (unsigned side = 0; side < 2; side++) {
        serial(w[side], 20, "same");
        serial(w[side], 30 + 10 * side, "moved");
        serial(w[side], 60, "same");
        serial(w[side], 70, side == 0 ? "in two" : "in ");
    }
    serial(w[1], 70, "two");
    finish(w[0], 100);
    finish(w[1], 100);
    d = compare(r);
    assert_int_equal(d->nsites, 4);
    assert_memory_equal(d->sites, expected, sizeof(expected));
    assert_false(d->more_sites);
    done(d, r);
}

static void digests_are_compared_where_both_have_them(void **state)
{
    struct trace_writer *w[2] = {create(0, NULL), create(1, NULL)};
    struct trace_reader *r[2];
    struct trace_diff *d;

    (void)state;
    for (uint64_t at = 0; at <= 600; at += 100) /* the second side has every other one of them */
        for (unsigned side = 0; side < 2; side++)
            if (side == 0 || at % 200 == 0)
                assert_int_equal(trace_writer_digest(w[side], at, at < 400 ? 1 : 2 + side), 0);
    finish(w[0], 1000);
    finish(w[1], 1000);
    d = compare(r);
    assert_int_equal(d->digests.count[0], 7);
    assert_int_equal(d->digests.count[1], 4);
    assert_int_equal(d->digests.compared, 4);
    assert_int_equal(d->digests.different, 2);
    assert_true(d->digests.any_equal);
    assert_int_equal(d->digests.equal_icount, 200);
    assert_int_equal(d->digests.icount, 400);
    assert_int_equal(d->digests.digest[1], 3);
    done(d, r);
}

static void what_a_cut_recording_lacks_is_no_difference(void **state)
{
    struct trace_writer *w[2] = {create(0, NULL), create(1, NULL)};
    static const uint64_t a[] = {20, 40, 60, 80}, b[] = {20, 40};
    struct trace_reader *r[2];
    struct trace_diff *d;

    (void)state;
    interrupts(w[0], a, 4);
    serial(w[0], 90, "later");
    finish(w[0], 1000);
    interrupts(w[1], b, 2);
    cut(w[1]);
    d = compare(r);
    assert_true(trace_diff_same(d));
    assert_int_equal(d->interrupts.relation, EVENTS_SAME);
    assert_int_equal(d->interrupts.count[0], 4);
    assert_int_equal(d->interrupts.same, 2);
    assert_false(d->extent[1].has_end);
    assert_int_equal(d->common_icount, 40);
    assert_int_equal(d->nsites, 0);
    done(d, r);
}

static void what_a_cut_recording_lacks_before_its_cut_is_a_difference(void **state)
{
    struct trace_writer *w[2] = {create(0, NULL), create(1, NULL)};
    static const uint64_t late[] = {40};
    struct trace_reader *r[2];
    struct trace_diff *d;

    (void)state;
    serial(w[0], 10, "x");
    interrupts(w[0], late, 1);
    finish(w[0], 1000);
    interrupts(w[1], late, 1);
    cut(w[1]);
    d = compare(r);
    assert_false(trace_diff_same(d));
    assert_int_equal(d->inputs.relation, EVENT_ONLY_IN_A);
    assert_int_equal(d->sites[0], 10);
    done(d, r);
}

static void events_behind_the_others_end_are_told_as_such(void **state)
{
    struct trace_writer *w[2] = {create(0, NULL), create(1, NULL)};
    static const uint64_t a[] = {20, 40, 60, 80};
    struct trace_reader *r[2];
    struct trace_diff *d;

    (void)state;
    interrupts(w[0], a, 4);
    finish(w[0], 100);
    interrupts(w[1], a, 2);
    finish(w[1], 50);
    d = compare(r);
    assert_int_equal(d->interrupts.relation, EVENT_AFTER_END);
    assert_int_equal(d->interrupts.ev[0].icount, 60);
    assert_true(d->other_end);
    assert_false(trace_diff_same(d));
    done(d, r);
}

static const struct config_difference *config_of(const struct trace_diff *d, const char *key)
{
    for (size_t i = 0; i < d->nconfig; i++)
        if (strcmp(d->config[i].key, key) == 0)
            return &d->config[i];
    fail_msg("%s does not differ", key);
    return NULL;
}

static void configuration_is_told_by_what_it_means(void **state)
{
    static const struct trace_config_item items[] = {
        {.key = "board", .type = TRACE_CONFIG_STRING, .value.s = "tiny"},
        {.key = "ram_bytes", .type = TRACE_CONFIG_UINT, .value.u = 2 << 20},
        {.key = "cmdline", .type = TRACE_CONFIG_STRING, .value.s = "quiet"},
        {.key = "digest_interval", .type = TRACE_CONFIG_UINT, .value.u = 50},
    };
    static const struct trace_image image = {.role = "kernel", .name = "k", .data = (const uint8_t *)"abc",
                                             .size = 3};
    struct trace_header other = plain_header();
    struct trace_reader *r[2];
    struct trace_diff *d;

    (void)state;
    other.generator = "deja 0.2.0";
    other.seeds = seed_2;
    other.config = items;
    other.nconfig = 4;
    other.images = &image;
    other.nimages = 1;
    finish(create(0, NULL), 10);
    finish(create(1, &other), 10);
    d = compare(r);
    assert_int_equal(config_of(d, "generator")->effect, CONFIG_REMARK);
    assert_int_equal(config_of(d, "digest_interval")->effect, CONFIG_REMARK);
    assert_int_equal(config_of(d, "name of image kernel")->effect, CONFIG_REMARK);
    assert_int_equal(config_of(d, "seed")->effect, CONFIG_RUN);
    assert_int_equal(config_of(d, "cmdline")->effect, CONFIG_RUN);
    assert_null(config_of(d, "cmdline")->value[0]);
    assert_string_equal(config_of(d, "cmdline")->value[1], "quiet");
    assert_int_equal(config_of(d, "ram_bytes")->effect, CONFIG_MACHINE);
    assert_int_equal(config_of(d, "image kernel")->effect, CONFIG_MACHINE);
    assert_int_equal(d->nconfig, 7);
    assert_true(d->other_run && d->other_machine);
    done(d, r);
}

static void another_generator_alone_makes_no_other_run(void **state)
{
    struct trace_header other = plain_header();
    struct trace_reader *r[2];
    struct trace_diff *d;

    (void)state;
    other.generator = "deja 0.2.0";
    finish(create(0, NULL), 10);
    finish(create(1, &other), 10);
    d = compare(r);
    assert_int_equal(d->nconfig, 1);
    assert_false(d->other_run);
    assert_true(trace_diff_same(d));
    done(d, r);
}

static void flip(const char *file, long at)
{
    FILE *f = fopen(file, "r+b");
    int byte;

    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    byte = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(byte ^ 0x10, f);
    fclose(f);
}

static void damage_is_told_with_its_side(void **state)
{
    struct trace_error err;
    unsigned side, told = 0;

    (void)state;
    write_plain(0);
    for (long at = 3; at < 400; at += 7) {
        struct trace_reader *r[2];

        write_plain(1);
        flip(path[1], at);
        r[0] = trace_reader_open(path[0], NULL);
        r[1] = trace_reader_open(path[1], NULL);
        assert_non_null(r[0]);
        if (r[1] != NULL) {
            struct trace_diff *d = trace_diff_create(r[0], r[1], &side, &err);

            if (d == NULL) {
                assert_int_equal(side, 1);
                assert_true(err.text[0] != '\0');
                told++;
            }
            trace_diff_destroy(d);
        }
        trace_reader_destroy(r[0]);
        trace_reader_destroy(r[1]);
    }
    assert_true(told > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_traces_are_the_same),
        cmocka_unit_test(interrupts_that_are_missing_are_in_one_side_only),
        cmocka_unit_test(interrupts_that_are_late_have_moved),
        cmocka_unit_test(another_vector_at_the_same_place_is_another_interrupt),
        cmocka_unit_test(long_runs_of_missing_interrupts_are_in_one_side_only),
        cmocka_unit_test(other_bytes_of_an_input_are_told_with_both_sides),
        cmocka_unit_test(an_input_at_another_virtual_time_has_moved),
        cmocka_unit_test(every_place_where_inputs_differ_is_a_site),
        cmocka_unit_test(digests_are_compared_where_both_have_them),
        cmocka_unit_test(what_a_cut_recording_lacks_is_no_difference),
        cmocka_unit_test(what_a_cut_recording_lacks_before_its_cut_is_a_difference),
        cmocka_unit_test(events_behind_the_others_end_are_told_as_such),
        cmocka_unit_test(configuration_is_told_by_what_it_means),
        cmocka_unit_test(another_generator_alone_makes_no_other_run),
        cmocka_unit_test(damage_is_told_with_its_side),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
