/* SPDX-License-Identifier: MIT */
/* Saved state: the walk over a field table, and how loading treats hostile input. */
#include "device_test.h"

#include <stdio.h>

struct inner {
    uint16_t a;
    bool flag;
};

struct outer {
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    bool yes;
    uint8_t bytes[5];
    uint16_t words[3];
    struct inner in[2];
    uint32_t derived; /* not saved */
};

static int outer_post_load(void *obj)
{
    struct outer *o = obj;

    o->derived = o->u32 + 1;
    return o->u8 == 0xee ? -1 : 0;
}

static int inner_post_load(void *obj)
{
    const struct inner *in = obj;

    return in->a == 0xdead ? -1 : 0;
}

static const struct field inner_fields[] = {
    FIELD(struct inner, a, FIELD_U16),
    FIELD(struct inner, flag, FIELD_BOOL),
};
static const struct state_desc inner_desc = STATE_DESC("inner", 1, struct inner, inner_fields,
                                                       inner_post_load);

static const struct field outer_fields[] = {
    FIELD(struct outer, u8, FIELD_U8),           FIELD(struct outer, u16, FIELD_U16),
    FIELD(struct outer, u32, FIELD_U32),         FIELD(struct outer, u64, FIELD_U64),
    FIELD(struct outer, yes, FIELD_BOOL),        FIELD_ARRAY(struct outer, bytes, FIELD_U8),
    FIELD_ARRAY(struct outer, words, FIELD_U16), FIELD_SUBS(struct outer, in, &inner_desc),
};
static const struct state_desc outer_desc = STATE_DESC("outer", 3, struct outer, outer_fields,
                                                       outer_post_load);

#define OUTER_SAVED (1 + 2 + 4 + 8 + 1 + 5 + 6 + 2 * 3)

static struct outer sample(void)
{
    struct outer o;

    memset(&o, 0, sizeof(o));
    o.u8 = 0x11;
    o.u16 = 0x2233;
    o.u32 = 0x44556677;
    o.u64 = 0x8899aabbccddeeff;
    o.yes = true;
    memcpy(o.bytes, "abcde", 5);
    o.words[0] = 1;
    o.words[2] = 0x0302;
    o.in[1].a = 0xbeef;
    o.in[1].flag = true;
    return o;
}

static void saved_form_is_little_endian_in_table_order(void **state)
{
    static const uint8_t expected[OUTER_SAVED] = {
        0x11, 0x33, 0x22, 0x77, 0x66, 0x55, 0x44, 0xff, 0xee, 0xdd, 0xcc,
        0xbb, 0xaa, 0x99, 0x88, 1,    'a',  'b',  'c',  'd',  'e',  1,
        0,    0,    0,    2,    3,    0,    0,    0,    0xef, 0xbe, 1};
    struct outer o = sample();
    uint8_t out[OUTER_SAVED];

    (void)state;
    assert_int_equal(state_saved_size(&outer_desc), OUTER_SAVED);
    state_save(&outer_desc, &o, out);
    assert_memory_equal(out, expected, OUTER_SAVED);
}

static void load_restores_every_field_and_rebuilds_what_is_derived(void **state)
{
    struct outer o = sample();
    struct outer copy;
    uint8_t out[OUTER_SAVED];

    (void)state;
    state_save(&outer_desc, &o, out);
    memset(&copy, 0, sizeof(copy));
    assert_int_equal(state_load(&outer_desc, &copy, out, sizeof(out)), 0);
    assert_int_equal(copy.derived, 0x44556678);
    assert_true(copy.u64 == o.u64 && copy.words[2] == 0x0302 && copy.in[1].flag);
    assert_state_survives(&outer_desc, &o);
}

static void assert_rejected_unchanged(const uint8_t *in, size_t len)
{
    struct outer o = sample();
    struct outer before;

    o.derived = 99;
    memcpy(&before, &o, sizeof(o));
    assert_int_equal(state_load(&outer_desc, &o, in, len), -1);
    assert_memory_equal(&o, &before, sizeof(o));
}

static void load_of_a_wrong_length_changes_nothing(void **state)
{
    uint8_t in[OUTER_SAVED + 1] = {0};

    (void)state;
    assert_rejected_unchanged(in, 0);
    assert_rejected_unchanged(in, OUTER_SAVED - 1);
    assert_rejected_unchanged(in, OUTER_SAVED + 1);
}

static void load_of_a_boolean_above_one_changes_nothing(void **state)
{
    uint8_t in[OUTER_SAVED] = {0};

    (void)state;
    in[15] = 2;
    assert_rejected_unchanged(in, sizeof(in));
    in[15] = 0;
    in[OUTER_SAVED - 1] = 0xff; /* the flag of the last inner one */
    assert_rejected_unchanged(in, sizeof(in));
}

static void load_that_post_load_rejects_changes_nothing_derived_included(void **state)
{
    uint8_t in[OUTER_SAVED] = {0};

    (void)state;
    in[0] = 0xee; /* outer_post_load runs, derives, and rejects */
    assert_rejected_unchanged(in, sizeof(in));
    in[0] = 0;
    in[OUTER_SAVED - 3] = 0xad;
    in[OUTER_SAVED - 2] = 0xde; /* inner_post_load of the second element */
    assert_rejected_unchanged(in, sizeof(in));
}

static void digest_sees_each_field_and_nothing_else(void **state)
{
    struct outer o = sample();
    uint64_t digest = state_digest(&outer_desc, &o);
    struct state_desc renamed = outer_desc;
    struct state_desc newer = outer_desc;

    (void)state;
    o.derived ^= 1;
    assert_true(state_digest(&outer_desc, &o) == digest);
    o.in[0].a ^= 0x100;
    assert_true(state_digest(&outer_desc, &o) != digest);
    o = sample();
    renamed.name = "other";
    assert_true(state_digest(&renamed, &o) != digest);
    newer.version++;
    assert_true(state_digest(&newer, &o) != digest);
}

struct big {
    uint32_t words[700];
    uint8_t bytes[2000];
};

static void digest_of_a_large_object_does_not_depend_on_how_it_is_cut(void **state)
{
    static const struct field words_first[] = {
        FIELD_ARRAY(struct big, words, FIELD_U32),
        FIELD_ARRAY(struct big, bytes, FIELD_U8),
    };
    static const struct field as_bytes[] = {
        {"all", 0, sizeof(struct big), 1, FIELD_U8, NULL},
    };
    static const struct state_desc a = STATE_DESC("big", 1, struct big, words_first, NULL);
    static const struct state_desc b = STATE_DESC("big", 1, struct big, as_bytes, NULL);
    struct big *big = malloc(sizeof(*big));

    (void)state;
    assert_non_null(big);
    for (size_t i = 0; i < sizeof(*big); i++)
        ((uint8_t *)big)[i] = (uint8_t)(i * 7);
    assert_true(state_digest(&a, big) == state_digest(&b, big));
    free(big);
}

static void note_path(void *user, const char *path, uint64_t value, unsigned width_bytes)
{
    char *log = user;
    size_t at = strlen(log);

    snprintf(log + at, 1024 - at, "%s=%llx/%u ", path, (unsigned long long)value, width_bytes);
}

static void visit_names_scalars_by_dotted_path(void **state)
{
    struct outer o = sample();
    char log[1024] = "";

    (void)state;
    state_visit(&outer_desc, &o, note_path, log);
    assert_string_equal(log, "outer.u8=11/1 outer.u16=2233/2 outer.u32=44556677/4 "
                             "outer.u64=8899aabbccddeeff/8 outer.yes=1/1 "
                             "outer.bytes[0]=61/1 outer.bytes[1]=62/1 outer.bytes[2]=63/1 "
                             "outer.bytes[3]=64/1 outer.bytes[4]=65/1 "
                             "outer.words[0]=1/2 outer.words[1]=0/2 outer.words[2]=302/2 "
                             "outer.in[0].a=0/2 outer.in[0].flag=0/1 "
                             "outer.in[1].a=beef/2 outer.in[1].flag=1/1 ");
}

static void note_difference(void *user, const char *path, uint64_t a, uint64_t b, unsigned width_bytes)
{
    char *log = user;
    size_t at = strlen(log);

    snprintf(log + at, 1024 - at, "%s=%llx,%llx/%u ", path, (unsigned long long)a, (unsigned long long)b,
             width_bytes);
}

static void compare_of_objects_that_differ_only_outside_of_the_table_is_silent(void **state)
{
    struct outer a = sample(), b;
    uint8_t saved[OUTER_SAVED];
    char log[1024] = "";

    (void)state;
    state_save(&outer_desc, &a, saved);
    memset(&b, 0xaa, sizeof(b));
    assert_int_equal(state_load(&outer_desc, &b, saved, sizeof(saved)), 0);
    b.derived = 5;
    assert_memory_not_equal(&a, &b, sizeof(a));
    assert_int_equal(state_compare(&outer_desc, &a, &b, note_difference, log), 0);
    assert_string_equal(log, "");
}

static void compare_names_each_differing_scalar_with_both_values(void **state)
{
    struct outer a = sample(), b = sample();
    char log[1024] = "";

    (void)state;
    b.u64 ^= 1;
    b.yes = false;
    b.bytes[3] = 'x';
    b.words[1] = 7;
    b.in[0].a = 0x1234;
    b.in[1].flag = false;
    assert_int_equal(state_compare(&outer_desc, &a, &b, note_difference, log), 6);
    assert_string_equal(log, "outer.u64=8899aabbccddeeff,8899aabbccddeefe/8 outer.yes=1,0/1 "
                             "outer.bytes[3]=64,78/1 outer.words[1]=0,7/2 "
                             "outer.in[0].a=0,1234/2 outer.in[1].flag=1,0/1 ");
    assert_int_equal(state_compare(&outer_desc, &a, &b, NULL, NULL), 6);
}

/* Whatever byte of the saved form differs, compare sees it, and digest agrees. */
static void compare_sees_each_saved_byte(void **state)
{
    struct outer a = sample(), b;
    uint8_t saved[OUTER_SAVED], flipped[OUTER_SAVED];
    unsigned seen = 0;

    (void)state;
    state_save(&outer_desc, &a, saved);
    for (size_t i = 0; i < sizeof(saved); i++) {
        memcpy(flipped, saved, sizeof(saved));
        flipped[i] ^= 1;
        b = sample();
        assert_int_equal(state_load(&outer_desc, &b, flipped, sizeof(flipped)), 0);
        assert_int_equal(state_compare(&outer_desc, &a, &b, NULL, NULL), 1);
        assert_true(state_digest(&outer_desc, &a) != state_digest(&outer_desc, &b));
        seen++;
    }
    assert_int_equal(seen, OUTER_SAVED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saved_form_is_little_endian_in_table_order),
        cmocka_unit_test(load_restores_every_field_and_rebuilds_what_is_derived),
        cmocka_unit_test(load_of_a_wrong_length_changes_nothing),
        cmocka_unit_test(load_of_a_boolean_above_one_changes_nothing),
        cmocka_unit_test(load_that_post_load_rejects_changes_nothing_derived_included),
        cmocka_unit_test(digest_sees_each_field_and_nothing_else),
        cmocka_unit_test(digest_of_a_large_object_does_not_depend_on_how_it_is_cut),
        cmocka_unit_test(visit_names_scalars_by_dotted_path),
        cmocka_unit_test(compare_of_objects_that_differ_only_outside_of_the_table_is_silent),
        cmocka_unit_test(compare_names_each_differing_scalar_with_both_values),
        cmocka_unit_test(compare_sees_each_saved_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
