/* SPDX-License-Identifier: MIT */
/* Lines of output and their moments: replay/output_log.h. */
#include "device_test.h"

#include <stdlib.h>
#include <string.h>

#include <replay/output_log.h>
#include <replay/pattern.h>

/* Byte k of `text` is sent at instruction `from` + step * k, nanosecond 3 * that + 7. */
static void send(struct output_log *log, unsigned port, uint64_t from, uint64_t step, const char *text)
{
    for (size_t k = 0; k < strlen(text); k++) {
        uint64_t icount = from + step * k;

        assert_int_equal(output_log_add(log, port, icount, 3 * icount + 7, (const uint8_t *)text + k, 1), 0);
    }
}

static void is_line(const struct output_log *log, size_t n, unsigned port, uint64_t icount, const char *text,
                    bool complete)
{
    struct output_line line;

    assert_true(output_log_line(log, n, &line));
    assert_int_equal(line.port, port);
    assert_int_equal(line.icount, icount);
    assert_int_equal(line.vns, 3 * icount + 7);
    assert_int_equal(line.len, strlen(text));
    assert_string_equal(line.text, text);
    assert_int_equal(line.complete, complete);
}

/* The icount of the first match at or after `from`; -1: none. */
static int64_t find(const struct output_log *log, const char *text, int port, uint64_t from)
{
    char err[128];
    struct pattern *p = pattern_parse(text, err, sizeof(err));
    struct output_match m;
    int64_t at = -1;

    assert_non_null(p);
    if (output_log_find(log, p, port, from, &m)) {
        at = (int64_t)m.icount;
        assert_int_equal(m.vns, 3 * m.icount + 7);
    }
    pattern_destroy(p);
    return at;
}

static struct output_log *sample(void)
{
    struct output_log *log = output_log_create();

    send(log, 0, 100, 1, "one\r\n\r\ntwo");
    send(log, 1, 200, 10, "other\nline\n");
    send(log, 0, 1000, 1000, " and more\n");
    send(log, OUTPUT_DEBUG_PORT, 1000000000000, 1, "login: ");
    return log;
}

static void check_sample(const struct output_log *log)
{
    assert_int_equal(output_log_lines(log), 6);
    is_line(log, 0, 0, 100, "one", true);
    is_line(log, 1, 0, 106, "", true);
    is_line(log, 2, 0, 107, "two and more", true);
    is_line(log, 3, 1, 200, "other", true);
    is_line(log, 4, 1, 260, "line", true);
    is_line(log, 5, 2, 1000000000000, "login: ", false);
    assert_false(output_log_line(log, 6, &(struct output_line){0}));
}

static void lines_are_those_of_their_ports_by_first_byte(void **state)
{
    struct output_log *log = sample();

    (void)state;
    check_sample(log);
    output_log_destroy(log);
    output_log_destroy(NULL);
}

static void a_match_is_at_the_byte_that_completes_it(void **state)
{
    struct output_log *log = sample();

    (void)state;
    assert_int_equal(find(log, "one", -1, 0), 102);
    assert_int_equal(find(log, "/one$/", -1, 0), 104);
    assert_int_equal(find(log, "/^$/", -1, 0), 106);
    assert_int_equal(find(log, "/o/", -1, 0), 100);
    assert_int_equal(find(log, "o", -1, 101), 109);
    assert_int_equal(find(log, "two and", -1, 0), 4000);
    assert_int_equal(find(log, "/more$/", -1, 0), 10000);
    assert_int_equal(find(log, "login:", -1, 0), 1000000000005);
    assert_int_equal(find(log, "/login: $/", -1, 0), -1);
    assert_int_equal(find(log, "one", 1, 0), -1);
    assert_int_equal(find(log, "o", 1, 0), 200);
    assert_int_equal(find(log, "one", -1, 103), -1);
    output_log_destroy(log);
}

static void the_first_match_may_be_in_a_line_that_began_later(void **state)
{
    struct output_log *log = output_log_create();

    (void)state;
    send(log, 0, 10, 1, "slow ");
    send(log, 1, 20, 1, "fast x\n");
    send(log, 0, 40, 1, "x\n");
    assert_int_equal(find(log, "x", -1, 0), 25);
    assert_int_equal(find(log, "x", -1, 26), 40);
    output_log_destroy(log);
}

static void moments_far_apart_are_exact(void **state)
{
    struct output_log *log = output_log_create();
    uint8_t byte[] = "abc";

    (void)state;
    output_log_add(log, 0, 5, 1ULL << 62, &byte[0], 1);
    output_log_add(log, 0, 1ULL << 63, UINT64_MAX - 1, &byte[1], 1);
    output_log_add(log, 0, UINT64_MAX, UINT64_MAX, &byte[2], 1);
    for (size_t k = 0; k < 3; k++) {
        char err[64], text[2] = {(char)byte[k], '\0'};
        struct pattern *p = pattern_parse(text, err, sizeof(err));
        struct output_match m;

        assert_true(output_log_find(log, p, -1, 0, &m));
        assert_true(m.icount == (k == 0 ? 5 : k == 1 ? 1ULL << 63 : UINT64_MAX));
        assert_true(m.vns == (k == 0 ? 1ULL << 62 : k == 1 ? UINT64_MAX - 1 : UINT64_MAX));
        pattern_destroy(p);
    }
    output_log_destroy(log);
}

static void a_line_without_end_is_cut(void **state)
{
    struct output_log *log = output_log_create();
    struct output_line line;
    uint8_t *many = malloc(OUTPUT_LINE_MAX + 2);

    (void)state;
    memset(many, 'a', OUTPUT_LINE_MAX + 2);
    assert_int_equal(output_log_add(log, 0, 1, 10, many, OUTPUT_LINE_MAX + 2), 0);
    assert_int_equal(output_log_lines(log), 2);
    output_log_line(log, 0, &line);
    assert_int_equal(line.len, OUTPUT_LINE_MAX);
    assert_true(line.complete);
    is_line(log, 1, 0, 1, "aa", false);
    free(many);
    output_log_destroy(log);
}

static void a_flood_is_refused_at_the_limit(void **state)
{
    struct output_log *log = output_log_create();
    uint8_t *ends = malloc(1u << 20);
    size_t added = 0;

    (void)state;
    memset(ends, '\n', 1u << 20);
    while (output_log_add(log, 0, added, added, ends, 1u << 20) == 0)
        assert_true(++added < OUTPUT_LOG_MAX >> 20);
    assert_true(output_log_lines(log) > OUTPUT_LOG_MAX / 1000);
    assert_int_equal(output_log_add(log, 1, added, added, ends, 1), -1);
    free(ends);
    output_log_destroy(log);
}

static uint8_t *save(const struct output_log *log, size_t *len)
{
    uint8_t *data = malloc(output_log_saved_bytes(log) + 1);

    *len = output_log_saved_bytes(log);
    output_log_save(log, data);
    return data;
}

static void what_was_saved_is_loaded_again(void **state)
{
    struct output_log *log = sample(), *again;
    size_t len, len_again;
    uint8_t *data = save(log, &len), *data_again;

    (void)state;
    again = output_log_load(data, len);
    assert_non_null(again);
    check_sample(again);
    assert_int_equal(find(again, "two and", -1, 0), 4000);
    assert_int_equal(find(again, "/more$/", -1, 0), 10000);
    data_again = save(again, &len_again);
    assert_int_equal(len_again, len);
    assert_memory_equal(data_again, data, len);
    send(again, OUTPUT_DEBUG_PORT, 1000000000100, 1, "root\n");
    is_line(again, 5, 2, 1000000000000, "login: root", true);
    free(data);
    free(data_again);
    output_log_destroy(log);
    output_log_destroy(again);
    again = output_log_load(NULL, 0);
    assert_int_equal(output_log_lines(again), 0);
    output_log_destroy(again);
}

static void damage_is_refused_or_harmless(void **state)
{
    struct output_log *log = sample(), *other;
    struct pattern *p = pattern_parse("/x|e$/", (char[64]){""}, 64);
    struct output_match m;
    size_t len, refused = 0;
    uint8_t *data = save(log, &len);

    (void)state;
    for (size_t cut = 1; cut < len; cut++) {
        other = output_log_load(data, cut); /* whole lines are a log */
        refused += other == NULL;
        output_log_destroy(other);
    }
    assert_true(refused > len - 7);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        struct output_line line;

        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        other = output_log_load(data, len);
        refused += other == NULL;
        for (size_t n = 0; other != NULL && output_log_line(other, n, &line); n++)
            assert_int_equal(strnlen(line.text, line.len + 1) <= line.len, 1);
        if (other != NULL)
            output_log_find(other, p, -1, 0, &m);
        output_log_destroy(other);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(refused > 2 * len);
    pattern_destroy(p);
    free(data);
    output_log_destroy(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_those_of_their_ports_by_first_byte),
        cmocka_unit_test(a_match_is_at_the_byte_that_completes_it),
        cmocka_unit_test(the_first_match_may_be_in_a_line_that_began_later),
        cmocka_unit_test(moments_far_apart_are_exact),
        cmocka_unit_test(a_line_without_end_is_cut),
        cmocka_unit_test(a_flood_is_refused_at_the_limit),
        cmocka_unit_test(what_was_saved_is_loaded_again),
        cmocka_unit_test(damage_is_refused_or_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
