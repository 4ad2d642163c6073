/* SPDX-License-Identifier: MIT */
/* Break- and watchpoints, and the agent expressions that are their conditions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gdbstub_fixture.h"

static const struct gdbstub_point here = {GDBSTUB_SOFTWARE_BREAK, 0x1000, 1};

static bool stops(void)
{
    return gdbstub_should_stop(fake.stub, &here, 1);
}

/* ---- points ---- */

static void every_kind_is_inserted_and_removed(void **state)
{
    char insert[32], remove_it[32];

    (void)state;
    for (int kind = 0; kind <= 4; kind++) {
        snprintf(insert, sizeof(insert), "Z%d,fffffffffffffff8,8", kind);
        snprintf(remove_it, sizeof(remove_it), "z%d,fffffffffffffff8,8", kind);
        assert_string_equal(ask(insert), "OK");
        assert_int_equal(fake.npoints, 1);
        assert_int_equal(fake.points[0].kind, kind);
        assert_int_equal(fake.points[0].address, 0xfffffffffffffff8);
        assert_int_equal(fake.points[0].length, 8);
        assert_string_equal(ask(remove_it), "OK");
        assert_int_equal(fake.npoints, 0);
    }
}

static void points_are_told_apart_by_all_they_have(void **state)
{
    (void)state;
    ask("Z0,1000,1");
    ask("Z0,1000,2");
    ask("Z0,1001,1");
    ask("Z1,1000,1");
    assert_int_equal(fake.npoints, 4);
    ask("z0,1000,2");
    ask("z1,1000,1");
    ask("z0,1001,1");
    assert_int_equal(fake.npoints, 1);
    assert_int_equal(fake.points[0].address, 0x1000);
}

static void same_point_again_is_one(void **state)
{
    (void)state;
    assert_string_equal(ask("Z0,1000,1"), "OK");
    assert_string_equal(ask("Z0,1000,1"), "OK");
    assert_string_equal(ask("z0,1000,1"), "OK");
    assert_int_equal(fake.npoints, 0);
}

static void removing_what_is_not_there_is_fine(void **state)
{
    (void)state;
    assert_string_equal(ask("z0,1000,1"), "OK");
    assert_int_equal(fake.removes, 0);
}

static void refusals_of_the_target_are_told(void **state)
{
    (void)state;
    fake.insert_result = 1;
    assert_string_equal(ask("Z3,1000,1"), "");
    fake.insert_result = -1;
    assert_string_equal(ask("Z2,1000,1"), "E16");
    fake.insert_result = 0;
    gdbstub_disconnected(fake.stub);
    assert_int_equal(fake.removes, 0);
}

static void client_that_goes_takes_its_points_along(void **state)
{
    (void)state;
    ask("Z0,1000,1");
    ask("Z0,1001,1;X3,220027");
    ask("Z4,1002,2");
    gdbstub_disconnected(fake.stub);
    assert_int_equal(fake.npoints, 0);
    assert_int_equal(fake.removes, 3);
    gdbstub_connected(fake.stub);
    assert_true(gdbstub_should_stop(fake.stub, &(struct gdbstub_point){0, 0x1001, 1}, 1));
}

static void wrong_points_are_errors(void **state)
{
    static const char *const wrong[] = {"Z",
                                        "Z0",
                                        "Z5,1000,1",
                                        "Z0,1000",
                                        "Z0,1000,",
                                        "Z0,,1",
                                        "Z0,1000,1x",
                                        "Z2,1000,0",
                                        "Z2,ffffffffffffffff,2",
                                        "Z0,1000,1;X",
                                        "Z0,1000,1;X3",
                                        "Z0,1000,1;X3,",
                                        "Z0,1000,1;X3,2200",
                                        "Z0,1000,1;X3,22002x",
                                        "Z0,1000,1;X3,2200277",
                                        "Z0,1000,1;Y3,220027",
                                        "Z0,1000,1;X8000000000000000,22",
                                        "z0,1000,1;X1,27",
                                        "z9,1,1"};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_string_equal(ask(wrong[i]), "E16");
    assert_int_equal(fake.inserts, 0);
}

static void number_of_points_is_bounded(void **state)
{
    char packet[32];
    unsigned i = 0;

    (void)state;
    do
        snprintf(packet, sizeof(packet), "Z0,%x,1", i++);
    while (i < 100000 && strcmp(ask(packet), "OK") == 0);
    assert_in_range(i, 1000, 10000);
    assert_string_equal(reply_len() ? "E0c" : "", "E0c");
    assert_string_equal(ask("z0,0,1"), "OK");
    assert_string_equal(ask("Z0,1000000,1"), "OK");
}

static void bytes_of_conditions_are_bounded(void **state)
{
    enum { CODE = 30000 };
    char *packet = malloc(2 * CODE + 64);
    const char *answer = "OK";
    unsigned i = 0;

    (void)state;
    assert_non_null(packet);
    for (; i < 1000 && strcmp(answer, "OK") == 0; i++) {
        int n = sprintf(packet, "Z0,%x,1;X%x,", i, CODE);

        memset(packet + n, '2', 2 * CODE);
        packet[n + 2 * CODE] = 0;
        answer = ask(packet);
    }
    assert_string_equal(answer, "E0c");
    assert_in_range(i, 10, 100);
    free(packet);
    /* The same point again needs only as much as it has. */
    assert_string_equal(ask("Z0,0,1;X3,220027"), "OK");
}

/* ---- conditions ---- */

static void point_without_condition_stops(void **state)
{
    (void)state;
    assert_true(stops());
    ask("Z0,1000,1");
    assert_true(stops());
}

static void condition_decides(void **state)
{
    (void)state;
    assert_string_equal(ask("Z0,1000,1;X3,220027"), "OK");
    assert_false(stops());
    assert_string_equal(ask("Z0,1000,1;X3,220127"), "OK");
    assert_true(stops());
}

static void one_of_several_conditions_suffices(void **state)
{
    (void)state;
    ask("Z0,1000,1;X3,220027X3,220027");
    assert_false(stops());
    ask("Z0,1000,1;X3,220027X3,220127");
    assert_true(stops());
    ask("Z0,1000,1;X3,220027;X3,220127");
    assert_true(stops());
}

static void point_again_brings_new_conditions(void **state)
{
    (void)state;
    ask("Z0,1000,1;X3,220027");
    assert_false(stops());
    ask("Z0,1000,1");
    assert_true(stops());
    ask("Z0,1000,1;X3,220027");
    ask("z0,1000,1");
    assert_true(stops());
}

static void condition_stays_when_the_target_refuses_another(void **state)
{
    (void)state;
    ask("Z0,1000,1;X3,220027");
    fake.insert_result = -1;
    assert_string_equal(ask("Z0,1000,1"), "E16");
    assert_false(stops());
}

/* Commands of breakpoints are not announced; the client gets the stop. */
static void commands_are_left_to_the_client(void **state)
{
    (void)state;
    assert_string_equal(ask("Z0,1000,1;cmds:1,X3,220027"), "OK");
    assert_true(stops());
    assert_string_equal(ask("Z0,1000,1;X3,220027;cmds:0,X1,27"), "OK");
    assert_false(stops());
}

/* ---- agent expressions ---- */

static void set_condition(const char *code, const char *rest)
{
    char packet[512];

    sprintf(packet, "Z0,1000,1;X%zx,", (strlen(code) + strlen(rest)) / 2);
    strcat(packet, code);
    strcat(packet, rest);
    assert_string_equal(ask(packet), "OK");
}

/* "const64 want, equal, log_not, end" makes zero of the right result, and one of another. */
static void gives(const char *code, uint64_t want)
{
    char rest[64];

    sprintf(rest, "25%016llx130e27", (unsigned long long)want);
    set_condition(code, rest);
    if (stops())
        fail_msg("%s is not %llx", code, (unsigned long long)want);
    sprintf(rest, "25%016llx130e27", (unsigned long long)want + 1);
    set_condition(code, rest);
    assert_true(stops());
}

/* The code leaves zero, if it can be evaluated; so that only what cannot be stops. */
static void faults(const char *code)
{
    set_condition(code, "");
    if (!stops())
        fail_msg("%s can be evaluated", code);
}

static void gives_zero(const char *code)
{
    set_condition(code, "");
    if (stops())
        fail_msg("%s stops", code);
}

static void constants(void **state)
{
    (void)state;
    gives("22ff", 0xff);
    gives("23fffe", 0xfffe);
    gives("24fffffffd", 0xfffffffd);
    gives("250123456789abcdef", 0x0123456789abcdef);
    faults("2227");       /* no end: its code is the operand */
    faults("2500000000"); /* cut */
    faults("2200");       /* without end */
}

static void arithmetic(void **state)
{
    (void)state;
    gives("2205220302", 8);
    gives("2203220503", (uint64_t)-2);
    gives("25ffffffffffffffff220304", (uint64_t)-3);
    gives("25fffffffffffffff9220205", (uint64_t)-3); /* -7 / 2 */
    gives("25fffffffffffffff9220206", 0x7ffffffffffffffc);
    gives("25fffffffffffffff9220207", (uint64_t)-1); /* -7 % 2 */
    gives("25fffffffffffffff9220a08", 9);            /* unsigned */
    gives("25800000000000000025ffffffffffffffff05", 0x8000000000000000);
    gives("25800000000000000025ffffffffffffffff07", 0);
}

static void division_by_zero_cannot_be_evaluated(void **state)
{
    (void)state;
    faults("2205220005220027");
    faults("2205220006220027");
    faults("2205220007220027");
    faults("2205220008220027");
}

static void shifts(void **state)
{
    (void)state;
    gives("2201223f09", 0x8000000000000000);
    gives("2201224009", 0);
    gives("25800000000000000022040a", 0xf800000000000000);
    gives("25800000000000000022000a", 0x8000000000000000);
    gives("25800000000000000022400a", UINT64_MAX);
    gives("25700000000000000022ff0a", 0);
    gives("25800000000000000022040b", 0x0800000000000000);
    gives("25800000000000000022400b", 0);
}

static void logic_and_comparisons(void **state)
{
    (void)state;
    gives("22000e", 1);
    gives("22050e", 0);
    gives("220c220a0f", 8);
    gives("220c220a10", 14);
    gives("220c220a11", 6);
    gives("220012", UINT64_MAX);
    gives("2205220513", 1);
    gives("2205220613", 0);
    gives("25ffffffffffffffff220114", 1);
    gives("25ffffffffffffffff220115", 0);
    gives("2201220114", 0);
    gives("2201220215", 1);
}

static void extensions(void **state)
{
    (void)state;
    gives("22801608", 0xffffffffffffff80);
    gives("227f1608", 0x7f);
    gives("24ffff80001610", 0xffffffffffff8000);
    gives("25ffffffffffffffff2a20", 0xffffffff);
    gives("25ffffffffffffffff2a40", UINT64_MAX);
    gives("25ffffffffffffffff16ff", UINT64_MAX);
    gives("22011601", UINT64_MAX);
    faults("22001600220027");
    faults("22002a00220027");
}

static void memory_is_referred_to(void **state)
{
    (void)state;
    gives("23100117", 0x01);
    gives("23100118", 0x0201);
    gives("23100119", 0x04030201);
    gives("2310011a", 0x0807060504030201);
    faults("220017220027");
    faults("2400020fff18220027"); /* its second byte is not there */
}

static void byte_order_is_the_targets(void **state)
{
    struct gdbstub_target t = fake_target;

    (void)state;
    t.big_endian = true;
    fake_begin(&t);
    memcpy(fake.regs[1][2], "\1\2\3\4", 4);
    gives("23100118", 0x0102);
    gives("2310011a", 0x0102030405060708);
    gives("260002", 0x01020304);
}

static void addresses_are_as_wide_as_the_targets(void **state)
{
    struct gdbstub_target t = fake_target;

    (void)state;
    faults("25ffffffff0000100117220027");
    t.address_bytes = 4;
    fake_begin(&t);
    gives("25ffffffff0000100117", 1);
}

static void registers_are_unsigned(void **state)
{
    (void)state;
    memset(fake.regs[1], 0xff, sizeof(fake.regs[1]));
    gives("260000", UINT64_MAX);
    gives("260002", 0xffffffff);
    gives("260004", 0xffff);
    gives("260005", UINT64_MAX); /* not in g, but a register */
    faults("260003220027");      /* 16 bytes */
    faults("260006220027");
    faults("26ffff220027");
    fake.unavailable[0] = true;
    faults("260000220027");
}

static void registers_are_those_of_the_thread_that_is_there(void **state)
{
    (void)state;
    fake.nthreads = 2;
    fake.regs[2][4][0] = 1;
    ask("Z0,1000,1;X4,26000427");
    assert_false(gdbstub_should_stop(fake.stub, &here, 1));
    assert_true(gdbstub_should_stop(fake.stub, &here, 2));
}

/* Digits 1 2 3 on the stack, reduced to a number: a * 100 + b * 10 + c, top last. */
static void orders(const char *code, uint64_t want)
{
    /* c, then b * 10, then a * 100, by swaps only of neighbours that are known to work */
    char program[256];

    snprintf(program, sizeof(program),
             "220122022203%s"
             "2b220a0402"
             "2b22640402",
             code);
    gives(program, want);
}

static void stack_items_change_places(void **state)
{
    (void)state;
    orders("", 123);
    orders("2b", 132); /* swap */
    orders("33", 312); /* rot: a b c gives c a b */
    orders("29"
           "28",
           122); /* pop, dup */
    orders("29"
           "3201",
           121); /* pop, pick 1 */
    gives("22012202"
          "3200",
          2);
}

static void stack_underrun_cannot_be_evaluated(void **state)
{
    static const char *const codes[] = {
        "27",           "29220027",         "28220027",   "2b220027",       "22002b220027",
        "33220027",     "2200220033220027", "3200220027", "22003201220027", "02220027",
        "220002220027", "0e220027",         "17220027",   "20000422002727", "1608220027"};

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
        faults(codes[i]);
}

static void stack_overrun_cannot_be_evaluated(void **state)
{
    (void)state;
    faults("2200"
           "210000"); /* pushes for ever */
    faults("2200"
           "28"
           "210002");
}

static void jumps(void **state)
{
    (void)state;
    gives_zero("210006"
               "220127"
               "220027");
    gives_zero("2201200008"
               "220127"
               "220027");
    gives_zero("2200200008"
               "220027"
               "220127");
    /* A loop: 10 down to 0, which is the result. */
    gives_zero("220a"
               "220103"
               "28"
               "200002"
               "27");
    faults("21ffff220027");
    faults("210004"
           "27"
           "2122"); /* into its end */
    faults("2100");
}

static void endless_loop_ends(void **state)
{
    (void)state;
    faults("210000");
}

/* Ten loops of five rounds are fine, thousands of them take too long. */
static void conditions_share_their_steps(void **state)
{
    static char packet[65536];
    static const char loop[] = "Xa,22052201032820000227";
    int n = sprintf(packet, "Z0,1000,1;");

    (void)state;
    for (int i = 0; i < 10; i++)
        n += sprintf(packet + n, "%s", loop);
    assert_string_equal(ask(packet), "OK");
    assert_false(stops());
    while (n < 60000)
        n += sprintf(packet + n, "%s", loop);
    assert_string_equal(ask(packet), "OK");
    assert_true(stops());
}

static void code_without_an_end_cannot_be_evaluated(void **state)
{
    (void)state;
    faults("");
    faults("2200");
    faults("22");
}

static void other_instructions_cannot_be_evaluated(void **state)
{
    static const uint8_t known[] = {0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,
                                    0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
                                    0x18, 0x19, 0x1a, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26,
                                    0x27, 0x28, 0x29, 0x2a, 0x2b, 0x32, 0x33};
    char code[64];

    (void)state;
    for (unsigned op = 0; op < 256; op++) {
        if (memchr(known, (int)op, sizeof(known)))
            continue;
        /* Operands enough, and then a zero. */
        snprintf(code, sizeof(code), "220022002200%02x%s", op, "22002200220027");
        faults(code);
    }
}

/* As gdb 13 compiled: $ecx == 2. */
static void comparison_by_gdb(void **state)
{
    (void)state;
    ask("Z0,1000,1;X9,260001162022021327");
    assert_false(stops());
    fake.regs[1][1][0] = 2;
    assert_true(stops());
    memset(fake.regs[1][1] + 4, 0xff, 4); /* it is an int */
    assert_true(stops());
}

/* *(int *)0x1010 > 3 && $eax < 0x100 || *(char *)0x1010 == -1 */
static void logical_operators_by_gdb(void **state)
{
    (void)state;
    memset(fake.memory + 0x10, 0, 4);
    assert_string_equal(
        ask("Z0,1000,1;X3f,23101019162022032b1420001021002426000016202301001420001f21002422"
            "01210026220020003c23101017160822ff16081320003c220021003e220127"),
        "OK");
    assert_false(stops());
    fake.memory[0x10] = 4;
    assert_true(stops());
    fake.regs[1][0][1] = 1;
    assert_false(stops());
    fake.memory[0x10] = 0xff;
    assert_true(stops());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_kind_is_inserted_and_removed),
        TEST(points_are_told_apart_by_all_they_have),
        TEST(same_point_again_is_one),
        TEST(removing_what_is_not_there_is_fine),
        TEST(refusals_of_the_target_are_told),
        TEST(client_that_goes_takes_its_points_along),
        TEST(wrong_points_are_errors),
        TEST(number_of_points_is_bounded),
        TEST(bytes_of_conditions_are_bounded),
        TEST(point_without_condition_stops),
        TEST(condition_decides),
        TEST(one_of_several_conditions_suffices),
        TEST(point_again_brings_new_conditions),
        TEST(condition_stays_when_the_target_refuses_another),
        TEST(commands_are_left_to_the_client),
        TEST(constants),
        TEST(arithmetic),
        TEST(division_by_zero_cannot_be_evaluated),
        TEST(shifts),
        TEST(logic_and_comparisons),
        TEST(extensions),
        TEST(memory_is_referred_to),
        TEST(byte_order_is_the_targets),
        TEST(addresses_are_as_wide_as_the_targets),
        TEST(registers_are_unsigned),
        TEST(registers_are_those_of_the_thread_that_is_there),
        TEST(stack_items_change_places),
        TEST(stack_underrun_cannot_be_evaluated),
        TEST(stack_overrun_cannot_be_evaluated),
        TEST(jumps),
        TEST(endless_loop_ends),
        TEST(conditions_share_their_steps),
        TEST(code_without_an_end_cannot_be_evaluated),
        TEST(other_instructions_cannot_be_evaluated),
        TEST(comparison_by_gdb),
        TEST(logical_operators_by_gdb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
