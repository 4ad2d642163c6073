/* SPDX-License-Identifier: MIT */
/* Texts and regular expressions in lines: replay/pattern.h. */
#include "device_test.h"

#include <stdio.h>
#include <string.h>

#include <replay/pattern.h>

/* Looks for `text` in a whole or growing line; the match as "begin-end" with '$' when it needs the end. */
static const char *find_in(const char *text, const char *line, size_t len, bool ended)
{
    static char found[64];
    char err[256] = "";
    struct pattern *p = pattern_parse(text, err, sizeof(err));
    struct pattern_match m;

    assert_non_null(p);
    assert_string_equal(pattern_text(p), text);
    if (pattern_search(p, line, len, ended, &m))
        snprintf(found, sizeof(found), "%zu-%zu%s", m.begin, m.end, m.at_end ? "$" : "");
    else
        snprintf(found, sizeof(found), "none");
    pattern_destroy(p);
    return found;
}

static const char *find(const char *text, const char *line)
{
    return find_in(text, line, strlen(line), true);
}

static void a_text_is_found_as_it_stands(void **state)
{
    (void)state;
    assert_string_equal(find("a.c", "abc a.c a.c"), "4-7");
    assert_string_equal(find("a.c", "abc"), "none");
    assert_string_equal(find("x", ""), "none");
    assert_string_equal(find("\\/dev", "in /dev"), "3-7");
    assert_string_equal(find("a/b", "a/b"), "0-3");
    assert_string_equal(find("\\n", "a\\n"), "1-3");
}

static void an_expression_is_between_slashes(void **state)
{
    (void)state;
    assert_string_equal(find("/BUG:|Oops/", "kernel BUG: it"), "7-11");
    assert_string_equal(find("/oops/", "Oops"), "none");
    assert_string_equal(find("/oops/i", "xOops"), "1-5");
    assert_string_equal(find("/^b/", "ab"), "none");
    assert_string_equal(find("/a/b/", "xa/b"), "1-4");
}

static void a_match_is_the_first_to_be_whole(void **state)
{
    (void)state;
    assert_string_equal(find("/panic( at .+)?/", "a panic at noon"), "2-7");
    assert_string_equal(find("/b.*/", "abcb"), "1-2");
    assert_string_equal(find("/b.+/", "abcd"), "1-3");
    assert_string_equal(find("/abcd|c/", "abcd"), "2-3");
    assert_string_equal(find("/x*/", "aaa"), "0-0");
}

static void what_a_growing_line_shows_stays_so(void **state)
{
    static const char *const patterns[] = {"/a.c/", "/b+$/", "/(ab)+|c$/", "c", "/^a.*b/", "/\\bb/"};
    static const char line[] = "abaabbcbbc";
    char first[64];

    (void)state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        strcpy(first, "none");
        for (size_t len = 0; len < sizeof(line); len++) {
            const char *now = find_in(patterns[i], line, len, false);

            if (strcmp(first, "none") != 0)
                assert_string_equal(now, first);
            strcpy(first, now);
        }
        if (strcmp(first, "none") != 0)
            assert_string_equal(find(patterns[i], line), first);
    }
}

static void an_end_is_only_where_the_line_has_ended(void **state)
{
    (void)state;
    assert_string_equal(find_in("/panic$/", "a panic", 7, false), "none");
    assert_string_equal(find_in("/panic$/", "a panic", 7, true), "2-7$");
    assert_string_equal(find("/^$/", ""), "0-0$");
    assert_string_equal(find_in("/^$/", "", 0, false), "none");
}

static void a_line_may_hold_any_byte(void **state)
{
    (void)state;
    assert_string_equal(find_in("b", "a\0b", 3, true), "2-3");
    assert_string_equal(find_in("/b$/", "a\0b", 3, true), "2-3$");
    assert_string_equal(find_in("/b/", "\xff\x80\0b", 4, true), "3-4");
    assert_string_equal(find_in("/[^a]b/", "a\xff" "b", 3, true), "1-3");
}

static void what_is_no_pattern_is_refused_in_one_line(void **state)
{
    static const char *const bad[] = {"", "/", "//", "//i", "/bin", "/a/x", "/a/ii", "/(/", "/[a/", "/a{2,1}/",
                                      "/*[/", "a\nb", "a\r"};
    char err[256];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        err[0] = '\0';
        assert_null(pattern_parse(bad[i], err, sizeof(err)));
        assert_true(strlen(err) > 10);
        assert_null(strchr(err, '\n'));
    }
    pattern_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_found_as_it_stands),
        cmocka_unit_test(an_expression_is_between_slashes),
        cmocka_unit_test(a_match_is_the_first_to_be_whole),
        cmocka_unit_test(what_a_growing_line_shows_stays_so),
        cmocka_unit_test(an_end_is_only_where_the_line_has_ended),
        cmocka_unit_test(a_line_may_hold_any_byte),
        cmocka_unit_test(what_is_no_pattern_is_refused_in_one_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
