/* SPDX-License-Identifier: MIT */
/* Types of a kernel that was made up for it: found, and harmless when they are damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <symbols/btf.h>

#define ROOM 4096u

enum { INT = 1, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO };

/* What is being put together: types and strings apart. */
struct blob {
    uint8_t types[ROOM], strings[ROOM];
    size_t types_len, strings_len;
    uint32_t last; /* id of the last type */
};

static uint32_t text(struct blob *b, const char *s)
{
    size_t at = b->strings_len;

    memcpy(b->strings + at, s, strlen(s) + 1);
    b->strings_len += strlen(s) + 1;
    return (uint32_t)at;
}

static void word(struct blob *b, uint32_t v)
{
    memcpy(b->types + b->types_len, &v, sizeof(v));
    b->types_len += sizeof(v);
}

static uint32_t type(struct blob *b, const char *name, uint32_t kind, uint32_t vlen, uint32_t size_or_type)
{
    word(b, name[0] != '\0' ? text(b, name) : 0);
    word(b, kind << 24 | vlen);
    word(b, size_or_type);
    return ++b->last;
}

static uint32_t integer(struct blob *b, const char *name, uint32_t bytes, uint32_t encoding)
{
    uint32_t id = type(b, name, INT, 0, bytes);

    word(b, encoding << 24 | bytes * 8);
    return id;
}

static void member(struct blob *b, const char *name, uint32_t of, uint32_t bits)
{
    word(b, name[0] != '\0' ? text(b, name) : 0);
    word(b, of);
    word(b, bits);
}

static void param(struct blob *b, const char *name, uint32_t of)
{
    word(b, name[0] != '\0' ? text(b, name) : 0);
    word(b, of);
}

static uint8_t *finish(const struct blob *b, size_t *len)
{
    uint32_t header[6] = {0x0001eb9f, 24, 0, (uint32_t)b->types_len, (uint32_t)b->types_len,
                          (uint32_t)b->strings_len};
    uint8_t *data;

    *len = 24 + b->types_len + b->strings_len;
    data = malloc(*len);
    assert_non_null(data);
    memcpy(data, header, 24);
    memcpy(data + 24, b->types, b->types_len);
    memcpy(data + 24 + b->types_len, b->strings, b->strings_len);
    return data;
}

/*
 *     typedef long ssize_t;
 *     ssize_t reader(int fd, char *buf, const unsigned long n, _Bool wait, int (*done)(void), struct task *t);
 *     void printer(const char *format, ...);
 *     struct task { int state; union { struct { long a; int pid; }; char b[16]; }; int bits : 3; };
 */
static uint8_t *kernel(size_t *len)
{
    struct blob *b = calloc(1, sizeof(*b));
    uint32_t i, l, ul, c, boolean, cchar, str, cstr, ssize, culong, proto, fp, inner, un, task, taskp;
    uint8_t *data;

    assert_non_null(b);
    b->strings_len = 1;
    i = integer(b, "int", 4, 1);
    l = integer(b, "long int", 8, 1);
    ul = integer(b, "long unsigned int", 8, 0);
    c = integer(b, "char", 1, 1);
    boolean = integer(b, "_Bool", 1, 4);
    str = type(b, "", PTR, 0, c);
    cchar = type(b, "", CONST, 0, c);
    cstr = type(b, "", PTR, 0, cchar);
    ssize = type(b, "ssize_t", TYPEDEF, 0, l);
    culong = type(b, "", CONST, 0, ul);
    proto = type(b, "", FUNC_PROTO, 0, i);
    fp = type(b, "", PTR, 0, proto);
    inner = type(b, "", STRUCT, 2, 16);
    member(b, "a", l, 0);
    member(b, "pid", i, 64);
    un = type(b, "", UNION, 1, 16);
    member(b, "", inner, 0);
    task = type(b, "task", STRUCT, 3, 32);
    member(b, "state", i, 0);
    member(b, "", un, 64);
    member(b, "bits", i, 193);
    taskp = type(b, "", PTR, 0, task);
    proto = type(b, "", FUNC_PROTO, 6, ssize);
    param(b, "fd", i);
    param(b, "buf", str);
    param(b, "n", culong);
    param(b, "wait", boolean);
    param(b, "done", fp);
    param(b, "t", taskp);
    type(b, "reader", FUNC, 0, proto);
    proto = type(b, "", FUNC_PROTO, 2, 0);
    param(b, "format", cstr);
    param(b, "", 0);
    type(b, "printer", FUNC, 0, proto);
    type(b, "circle", TYPEDEF, 0, b->last + 1);
    proto = type(b, "", FUNC_PROTO, 0, b->last);
    type(b, "looper", FUNC, 0, proto);
    data = finish(b, len);
    free(b);
    return data;
}

static struct btf *parse(void)
{
    size_t len;
    uint8_t *data = kernel(&len);
    struct btf *b;
    char err[128];

    if (btf_parse(data, len, &b, err, sizeof(err)) != SYMBOLS_OK)
        fail_msg("%s", err);
    return b;
}

static void a_function_has_its_parameters(void **state)
{
    static const struct btf_value want[] = {
        {BTF_SIGNED, 4, "fd"}, {BTF_POINTER, 0, "buf"},   {BTF_UNSIGNED, 8, "n"},
        {BTF_BOOL, 1, "wait"}, {BTF_FUNCTION, 0, "done"}, {BTF_POINTER, 0, "t"},
    };
    struct btf *b = parse();
    struct btf_prototype p;

    (void)state;
    assert_true(btf_function(b, "reader", &p));
    assert_int_equal(p.count, 6);
    assert_false(p.variadic);
    for (size_t i = 0; i < p.count; i++) {
        assert_int_equal(p.params[i].form, want[i].form);
        assert_int_equal(p.params[i].bytes, want[i].bytes);
        assert_string_equal(p.params[i].name, want[i].name);
    }
    assert_int_equal(p.result.form, BTF_SIGNED);
    assert_int_equal(p.result.bytes, 8);
    assert_true(btf_function(b, "printer", &p));
    assert_int_equal(p.count, 1);
    assert_true(p.variadic);
    assert_int_equal(p.params[0].form, BTF_STRING);
    assert_int_equal(p.result.form, BTF_VOID);
    btf_destroy(b);
}

static void a_name_that_is_no_function_is_not_found(void **state)
{
    struct btf *b = parse();
    struct btf_prototype p;

    (void)state;
    assert_false(btf_function(b, "task", &p));
    assert_false(btf_function(b, "", &p));
    assert_false(btf_function(b, "zzz", &p));
    btf_destroy(b);
}

static void a_member_is_found_through_nameless_ones(void **state)
{
    struct btf *b = parse();
    uint64_t offset;

    (void)state;
    assert_true(btf_member(b, "task", "state", &offset));
    assert_int_equal(offset, 0);
    assert_true(btf_member(b, "task", "pid", &offset));
    assert_int_equal(offset, 16);
    assert_false(btf_member(b, "task", "bits", &offset)); /* at no whole byte */
    assert_false(btf_member(b, "task", "fd", &offset));
    assert_false(btf_member(b, "int", "pid", &offset));
    btf_destroy(b);
}

static void types_that_lead_in_a_circle_lead_nowhere(void **state)
{
    struct btf *b = parse();
    struct btf_prototype p;

    (void)state;
    assert_true(btf_function(b, "looper", &p)); /* its result is a typedef of itself */
    assert_int_equal(p.result.form, BTF_VOID);
    btf_destroy(b);
}

/* Whatever it says now, looking at it ends. */
static void use(const uint8_t *data, size_t len)
{
    static const char *const names[] = {"reader", "printer", "looper"};
    uint8_t *copy = malloc(len + 1);
    struct btf_prototype p;
    struct btf *b;
    char err[128];
    uint64_t offset;

    assert_non_null(copy);
    memcpy(copy, data, len);
    if (btf_parse(copy, len, &b, err, sizeof(err)) != SYMBOLS_OK)
        return;
    for (size_t i = 0; i < 3; i++)
        btf_function(b, names[i], &p);
    btf_member(b, "task", "pid", &offset);
    btf_destroy(b);
}

static void damage_is_refused_or_harmless(void **state)
{
    size_t len;
    uint8_t *data = kernel(&len);

    (void)state;
    for (size_t cut = 0; cut < len; cut++)
        use(data, cut);
    for (size_t at = 0; at < len; at++) {
        uint8_t was = data[at];

        for (unsigned bit = 0; bit < 8; bit++) {
            data[at] = (uint8_t)(was ^ 1u << bit);
            use(data, len);
        }
        data[at] = 0xff;
        use(data, len);
        data[at] = was;
    }
    free(data);
}

/* A struct in a struct in a struct ..., each many times: not all of it is looked at. */
static void deep_nesting_does_not_take_for_ever(void **state)
{
    struct blob *b = calloc(1, sizeof(*b));
    struct btf *btf;
    char err[128];
    uint64_t offset;
    size_t len;
    uint8_t *data;

    (void)state;
    assert_non_null(b);
    b->strings_len = 1;
    for (uint32_t level = 0; level < 9; level++) {
        type(b, level == 8 ? "top" : "", STRUCT, 30, 8);
        for (unsigned i = 0; i < 30; i++)
            member(b, "", level, 0);
    }
    data = finish(b, &len);
    free(b);
    assert_int_equal(btf_parse(data, len, &btf, err, sizeof(err)), SYMBOLS_OK);
    assert_false(btf_member(btf, "top", "pid", &offset));
    btf_destroy(btf);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_has_its_parameters),
        cmocka_unit_test(a_name_that_is_no_function_is_not_found),
        cmocka_unit_test(a_member_is_found_through_nameless_ones),
        cmocka_unit_test(types_that_lead_in_a_circle_lead_nowhere),
        cmocka_unit_test(damage_is_refused_or_harmless),
        cmocka_unit_test(deep_nesting_does_not_take_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
