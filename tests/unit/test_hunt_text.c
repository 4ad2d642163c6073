/* SPDX-License-Identifier: MIT */
/* What `deja hunt` makes of text: sites of failures out of what guests print, and JSON that anybody may have changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <hunt/site.h>
#include <json.h>

/* --- sites --- */

static void numbers_addresses_times_and_offsets_go(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},
        {"plain words", "plain words"},
        {"[    1.234567] BUG: unable to handle page fault for address: ffffc90000123000",
         "BUG: unable to handle page fault for address: #"},
        {"[   12.345678] [  T123] Oops: 0002 [#1] PREEMPT SMP", "Oops: # [##] PREEMPT SMP"},
        {"[   12.345678][  C0] watchdog: stuck for 22s!", "watchdog: stuck for #s!"},
        {"ledger is off by -4026: expected 955140, found 951114", "ledger is off by #: expected #, found #"},
        {"RIP: 0010:[<ffffffff81012345>] do_thing+0x12/0x340 ", "RIP: #:[<#>] do_thing"},
        {"kworker/0:1 x86_64 sda1 rcu_sched 6.1.0-18-cloud-amd64", "kworker/#:# x86_64 sda1 rcu_sched #-#-cloud-amd64"},
        {"at 0xdeadBEEF deadbeef 12ab decade", "at # # # decade"},
        {"its words add up to 3f, not a8. e3x be", "its words add up to #, not #. e3x be"},
        {"a\tb \x01 c\xff", "a b c"},
        {"[info] not a time", "[info] not a time"},
        {"3-2 -1 x-1 10.5.", "#-# # x-# #."},
    };
    char out[SITE_PART];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        site_normalise(cases[i].text, out, sizeof(out));
        assert_string_equal(out, cases[i].want);
        site_normalise(out, out, sizeof(out));
        assert_string_equal(out, cases[i].want);
    }
}

static void a_long_line_is_cut(void **state)
{
    char text[4 * SITE_PART], out[SITE_PART];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    site_normalise(text, out, sizeof(out));
    assert_int_equal(strlen(out), SITE_PART - 1);
}

static void say(struct site_watch *w, const char *text)
{
    site_output(w, 0, (const uint8_t *)text, strlen(text));
}

static void assert_site(struct site_watch *w, const char *line, const char *function, const char *want)
{
    char out[SITE_BYTES];

    site_describe(w, "exit 3", line, function, out);
    assert_string_equal(out, want);
}

static void an_oops_is_named_by_its_headline_function_and_panic(void **state)
{
    static struct site_watch w;

    (void)state;
    site_begin(&w);
    say(&w, "[    0.1] Kernel command line: panic=-1 oops=panic\n"
            "[    0.2] BUG: kernel NULL pointer dereference, address: 0000000000000008\r\n"
            "[    0.2] #PF: supervisor read access in kernel mode\r\n"
            "[    0.2] Oops: 0000 [#1]\n"
            "[    0.2] RIP: 0010:list_walk+0x12/0x34 [mod]\n"
            "[    0.2] RIP: 0010:later+0x1/0x2\n"
            "[    0.3] Kernel panic - not syncing: Fatal exception\n"
            "[    0.3] ---[ end Kernel panic - not syncing: Fatal exception ]---\n");
    assert_site(&w, NULL, "ignored",
                "exit 3 | BUG: kernel NULL pointer dereference, address: # | in list_walk | "
                "Kernel panic - not syncing: Fatal exception");
}

static void what_was_looked_for_is_the_headline(void **state)
{
    static struct site_watch w;

    (void)state;
    site_begin(&w);
    say(&w, "BUG: something else\n");
    assert_site(&w, "[    1.0] sum is 17", "there", "exit 3 | sum is # | in there");
    site_begin(&w); /* the last run is forgotten */
    assert_site(&w, NULL, "", "exit 3");
}

static void a_line_without_an_end_counts(void **state)
{
    static struct site_watch w;

    (void)state;
    site_begin(&w);
    say(&w, "RIP: 0008:here+0x");
    say(&w, "1/0x2");
    assert_site(&w, NULL, "there", "exit 3 | in here");
}

static void a_guest_may_print_anything(void **state)
{
    static struct site_watch w;
    uint64_t s = 1;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        static const char bits[] = "BUG: IP: +0x/0x[]<>-#. 0123456789abcdef panic\n\r\0\xff\x01";
        uint8_t bytes[200];
        char out[SITE_BYTES];

        for (size_t n = 0; n < sizeof(bytes); n++) {
            s = s * 6364136223846793005ULL + 1442695040888963407ULL;
            bytes[n] = (uint8_t)bits[(s >> 33) % sizeof(bits)];
        }
        if (i % 50 == 0)
            site_begin(&w);
        site_output(&w, i % OUTPUT_LINES_PORTS, bytes, sizeof(bytes));
        if (i % 10 == 0)
            site_describe(&w, "exit 3", NULL, "", out);
    }
}

/* --- JSON --- */

static const char good[] = " {\"a\": [1, \"two\\n\\u00e9\\ud83d\\ude00\", true, null, {\"b\": {}}], \"n\": 18446744073709551615,"
                           " \"h\": \"0xff\", \"f\": -1.5e+3, \"big\": {\"a\": [[[1]]]}} ";

static struct json *parse(const char *text, const char *const *only)
{
    char err[128] = "";

    return json_parse(text, strlen(text), only, err, sizeof(err));
}

static void json_is_read(void **state)
{
    struct json *j = parse(good, NULL);
    const struct json *a = json_first(json_get(j, "a"));
    uint64_t n;

    (void)state;
    assert_non_null(j);
    assert_true(json_u64(a, &n) && n == 1);
    a = json_next(a);
    assert_string_equal(json_text(a), "two\n\xc3\xa9\xf0\x9f\x98\x80");
    a = json_next(a);
    assert_true(json_is_true(a));
    assert_false(json_is_true(json_next(a)));
    assert_true(json_u64(json_get(j, "n"), &n) && n == UINT64_MAX);
    assert_true(json_u64(json_get(j, "h"), &n) && n == 255);
    assert_false(json_u64(json_get(j, "f"), &n));
    assert_null(json_get(j, "z"));
    assert_null(json_get(json_get(j, "n"), "z"));
    assert_null(json_text(NULL));
    json_destroy(j);
}

static void members_that_nobody_wants_are_read_over(void **state)
{
    static const char *const only[] = {"n", "a", NULL};
    struct json *j = parse(good, only);

    (void)state;
    assert_non_null(json_get(j, "n"));
    assert_non_null(json_first(json_get(j, "a")));
    assert_null(json_get(j, "big"));
    assert_null(json_get(j, "h"));
    json_destroy(j);
}

static void what_is_no_json_is_refused(void **state)
{
    static const char *const bad[] = {
        "",       "{",       "}",        "[1,]",       "[1 2]",      "{\"a\"}",    "{\"a\":}",      "{a: 1}",
        "tru",    "nul",     "01",       "1.",         "1e",         "-",          "+1",            ".5",
        "\"",     "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\u0000\"", "\"\n\"",        "1 1",
        "[1}",    "{\"a\": 1,}", "\"\\",  "\"\\u",      "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct json *j = parse(bad[i], NULL);

        if (j != NULL)
            fail_msg("taken for JSON: %s", bad[i]);
    }
}

static void any_bytes_may_come(void **state)
{
    char text[sizeof(good)], err[128];
    uint64_t s = 7;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        size_t len = sizeof(good) - 1;

        memcpy(text, good, sizeof(good));
        for (int k = 0; k < 1 + i % 3; k++) {
            s = s * 6364136223846793005ULL + 1442695040888963407ULL;
            text[(s >> 33) % len] ^= (char)(1u << (s >> 29) % 8);
        }
        if (i % 5 == 0)
            len = (s >> 40) % len;
        json_destroy(json_parse(text, len, NULL, err, sizeof(err)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_addresses_times_and_offsets_go),
        cmocka_unit_test(a_long_line_is_cut),
        cmocka_unit_test(an_oops_is_named_by_its_headline_function_and_panic),
        cmocka_unit_test(what_was_looked_for_is_the_headline),
        cmocka_unit_test(a_line_without_an_end_counts),
        cmocka_unit_test(a_guest_may_print_anything),
        cmocka_unit_test(json_is_read),
        cmocka_unit_test(members_that_nobody_wants_are_read_over),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(any_bytes_may_come),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
