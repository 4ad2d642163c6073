/* SPDX-License-Identifier: MIT */
/* Registers and memory: g G p P m M x X, qSearch, qCRC. */
#include <stdio.h>
#include <string.h>

#include "gdbstub_fixture.h"

/* Sizes 8, 8, 4, 16, 2: register i is full of the byte 0x10 + i. */
static void fill_registers(void)
{
    for (unsigned reg = 0; reg < FAKE_REGISTERS; reg++)
        memset(fake.regs[1][reg], (int)(0x10 + reg), 16);
}

#define ALL_REGISTERS                                                                              \
    "1010101010101010"                                                                             \
    "1111111111111111"                                                                             \
    "12121212"                                                                                     \
    "13131313131313131313131313131313"                                                             \
    "1414"

static void all_registers_are_read(void **state)
{
    (void)state;
    fill_registers();
    assert_string_equal(ask("g"), ALL_REGISTERS);
}

static void unavailable_register_is_x(void **state)
{
    (void)state;
    fill_registers();
    fake.unavailable[2] = true;
    assert_string_equal(ask("g"), "10101010101010101111111111111111xxxxxxxx"
                                  "131313131313131313131313131313131414");
    assert_string_equal(ask("p2"), "xxxxxxxx");
}

static void all_registers_are_written(void **state)
{
    (void)state;
    assert_string_equal(ask("G" ALL_REGISTERS), "OK");
    assert_string_equal(ask("g"), ALL_REGISTERS);
}

static void register_written_as_x_stays(void **state)
{
    (void)state;
    fill_registers();
    assert_string_equal(ask("G0000000000000000xxxxxxxxxxxxxxxx00000000"
                            "000000000000000000000000000000000000"),
                        "OK");
    assert_string_equal(ask("p1"), "1111111111111111");
    assert_string_equal(ask("p0"), "0000000000000000");
}

static void registers_of_another_length_change_nothing(void **state)
{
    (void)state;
    fill_registers();
    assert_string_equal(ask("G00"), "E16");
    assert_string_equal(ask("G"), "E16");
    assert_string_equal(ask("G" ALL_REGISTERS "00"), "E16");
    assert_string_equal(ask("G0000000000000000xxxx"), "E16");
    assert_string_equal(ask("g"), ALL_REGISTERS);
}

static void read_only_register_may_be_written_with_its_own_value(void **state)
{
    (void)state;
    fill_registers();
    fake.read_only[1] = true;
    assert_string_equal(ask("G" ALL_REGISTERS), "OK");
    assert_string_equal(ask("G00000000000000000000000000000000"
                            "12121212"
                            "13131313131313131313131313131313"
                            "1414"),
                        "E01");
    assert_string_equal(ask("p1"), "1111111111111111");
    assert_string_equal(ask("P1=0000000000000000"), "E01");
}

static void register_is_read_and_written_by_number(void **state)
{
    (void)state;
    assert_string_equal(ask("P5=0123456789abcdef"), "OK");
    assert_string_equal(ask("p5"), "0123456789abcdef");
    assert_string_equal(ask("P4=BEEF"), "OK");
    assert_string_equal(ask("p4"), "beef");
}

static void target_may_have_other_registers_for_the_next_client(void **state)
{
    static const uint16_t sizes[] = {8, 8, 4}, wrong[] = {8, 0}, last[] = {2}, none[] = {3};
    struct gdbstub_target like = {
        .register_bytes = sizes, .nregisters = 3, .ng = 2, .expedite = last, .nexpedite = 1};

    (void)state;
    fill_registers();
    assert_int_equal(gdbstub_set_registers(fake.stub, &like), 0);
    assert_string_equal(ask("g"), "10101010101010101111111111111111");
    assert_string_equal(ask("p2"), "12121212");
    assert_string_equal(ask("p3"), "E16");
    assert_string_equal(ask("?"), "T052:12121212;thread:1;");
    like.expedite = none;
    assert_int_equal(gdbstub_set_registers(fake.stub, &like), -1);
    like.nexpedite = 0;
    like.register_bytes = wrong;
    like.nregisters = like.ng = 2;
    assert_int_equal(gdbstub_set_registers(fake.stub, &like), -1);
    assert_string_equal(ask("g"), "10101010101010101111111111111111");
}

static void wrong_register_requests_are_errors(void **state)
{
    static const char *const wrong[] = {
        "p",     "p6",    "pffffffffffffffff", "p1ffffffffffffffff", "p1x",    "P", "P0", "P0=",
        "P0=00", "P6=00", "P4=00000",          "P4=000000",          "P4=zzzz"};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_string_equal(ask(wrong[i]), "E16");
}

static void registers_are_those_of_the_selected_thread(void **state)
{
    (void)state;
    fake.nthreads = 3;
    fake.regs[3][4][0] = 0xaa;
    assert_string_equal(ask("p4"), "0000");
    assert_string_equal(ask("Hg3"), "OK");
    assert_string_equal(ask("p4"), "aa00");
    assert_string_equal(ask("P4=bb00"), "OK");
    assert_int_equal(fake.regs[3][4][0], 0xbb);
    assert_int_equal(fake.regs[1][4][0], 0);
}

/* ---- memory ---- */

static void memory_is_read(void **state)
{
    (void)state;
    assert_string_equal(ask("m1001,4"), "01020304");
    assert_string_equal(ask("m000000000000001001,0004"), "01020304");
}

static void memory_is_read_as_far_as_it_goes(void **state)
{
    (void)state;
    assert_string_equal(ask("m20ffe,10"), "feff");
    assert_string_equal(ask("m21000,1"), "E0e");
    assert_string_equal(ask("mfff,10"), "E0e");
    assert_string_equal(ask("x20ffe,10"), "b\xfe\xff");
    assert_string_equal(ask("x21000,1"), "E0e");
}

static void large_reads_are_cut_to_a_packet(void **state)
{
    (void)state;
    ask("m1000,20000");
    assert_int_equal(reply_len(), GDBSTUB_PACKET_BYTES);
    ask("m1000,ffffffffffffffff");
    assert_int_equal(reply_len(), GDBSTUB_PACKET_BYTES);
    ask("x1000,20000");
    assert_in_range(reply_len(), GDBSTUB_PACKET_BYTES * 9 / 10, GDBSTUB_PACKET_BYTES);
    assert_memory_equal(ask("x1000,20000") + 1, fake.memory, reply_len() - 1);
}

/* Every byte is escaped: what is sent is no longer than a packet may be. */
static void escapes_count_when_a_read_is_cut(void **state)
{
    (void)state;
    memset(fake.memory, '#', sizeof(fake.memory));
    ask("x1000,20000");
    assert_in_range(reply_len(), GDBSTUB_PACKET_BYTES / 2, GDBSTUB_PACKET_BYTES / 2 + 1);
}

static void memory_is_written(void **state)
{
    (void)state;
    assert_string_equal(ask("M1002,3:aaBBcc"), "OK");
    assert_memory_equal(fake.memory, "\x00\x01\xaa\xbb\xcc\x05", 6);
    assert_string_equal(ask_bytes("X1002,3:\0}\x03\0", 12), "OK");
    assert_memory_equal(fake.memory + 2, "\0#\0", 3);
}

static void writing_nothing_is_fine(void **state)
{
    (void)state;
    assert_string_equal(ask("X0,0:"), "OK");
    assert_string_equal(ask("M0,0:"), "OK");
    assert_string_equal(ask("x0,0"), "b");
}

static void memory_that_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    assert_string_equal(ask("M20fff,2:0000"), "E0e");
    assert_int_equal(fake.memory[0x1ffff], 0xff);
    assert_string_equal(ask("Mffffffffffffffff,2:0000"), "E0e");
    fake.memory_is_read_only = true;
    assert_string_equal(ask("M1000,1:00"), "E0e");
    assert_string_equal(ask("X1000,1:a"), "E0e");
}

static void wrong_memory_requests_are_errors(void **state)
{
    static const char *const wrong[] = {"m",
                                        "m1000",
                                        "m1000,",
                                        "m,4",
                                        "m1000,4x",
                                        "m1000,0",
                                        "m11111111111111111,1",
                                        "mxyz,1",
                                        "x",
                                        "x1000",
                                        "x1000,4:",
                                        "M",
                                        "M1000",
                                        "M1000,2",
                                        "M1000,2:",
                                        "M1000,2:00",
                                        "M1000,2:000000",
                                        "M1000,2:00zz",
                                        "M1000,8000000000000000:",
                                        "M1000,8000000000000001:00",
                                        "X1000,2:a",
                                        "X1000,2:abc",
                                        "X1000,2",
                                        "X1000,ffffffffffffffff:a"};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_string_equal(ask(wrong[i]), "E16");
    assert_memory_equal(fake.memory, "\0\1\2\3", 4);
}

/* ---- searching ---- */

static void pattern_is_found(void **state)
{
    (void)state;
    memcpy(fake.memory + 0x12345, "needle", 6);
    assert_string_equal(ask("qSearch:memory:1000;20000;needle"), "1,13345");
    assert_string_equal(ask("qSearch:memory:13345;6;needle"), "1,13345");
    assert_string_equal(ask("qSearch:memory:13346;20;needle"), "0");
    assert_string_equal(ask("qSearch:memory:13345;5;needle"), "0");
    assert_string_equal(ask("qSearch:memory:1000;20000;nothing"), "0");
}

/* Chunks are 64 KiB; one byte more or less at each side of their border. */
static void pattern_across_chunks_is_found(void **state)
{
    char want[32];

    (void)state;
    for (uint32_t at = 0x10000 - 8; at < 0x10000 + 2; at++) {
        memset(fake.memory, 0, sizeof(fake.memory));
        memcpy(fake.memory + at, "needle", 6);
        snprintf(want, sizeof(want), "1,%x", FAKE_BASE + at);
        assert_string_equal(ask("qSearch:memory:1000;20000;needle"), want);
    }
}

static void pattern_may_hold_any_byte(void **state)
{
    static const char packet[] = "qSearch:memory:1000;100;}\x03;\0";

    (void)state;
    memcpy(fake.memory + 0x80, "#;\0", 3);
    assert_string_equal(ask_bytes(packet, sizeof(packet) - 1), "1,1080");
}

static void search_ends_where_memory_does(void **state)
{
    (void)state;
    memcpy(fake.memory + FAKE_MEMORY - 4, "last", 4);
    assert_string_equal(ask("qSearch:memory:20f00;10000;last"), "1,20ffc");
    assert_string_equal(ask("qSearch:memory:20f00;10000;more"), "E0e");
    assert_string_equal(ask("qSearch:memory:0;10;more"), "E0e");
    assert_string_equal(ask("qSearch:memory:fffffffffffffff0;ffffffffffffffff;x"), "E0e");
}

static int own_search(void *user, uint64_t address, uint64_t len, const uint8_t *pattern,
                      size_t pattern_len, uint64_t *found)
{
    struct fake *f = user;

    assert_int_equal(address, 0x10);
    assert_int_equal(len, 0x20);
    assert_memory_equal(pattern, "ab", 2);
    assert_int_equal(pattern_len, 2);
    *found = 0x18;
    return f->search_calls++ ? -1 : 1;
}

static void target_may_search_by_itself(void **state)
{
    struct gdbstub_target t = fake_target;

    (void)state;
    t.search = own_search;
    fake_begin(&t);
    assert_string_equal(ask("qSearch:memory:10;20;ab"), "1,18");
    assert_string_equal(ask("qSearch:memory:10;20;ab"), "E0e");
}

/* All of the address space reads as zeros. */
static size_t endless(void *user, uint64_t address, uint8_t *out, size_t len)
{
    (void)user;
    (void)address;
    memset(out, 0, len);
    return len;
}

static void endless_searches_end(void **state)
{
    struct gdbstub_target t = fake_target;

    (void)state;
    t.read_memory = endless;
    fake_begin(&t);
    assert_string_equal(ask("qSearch:memory:0;ffffffffffffffff;x"), "E0e");
    assert_string_equal(ask("qCRC:0,ffffffffffffffff"), "E16");
    assert_string_equal(ask("m0,ffffffffffffffff") + reply_len() - 4, "0000");
    /* The last byte there is. */
    assert_string_equal(ask("mffffffffffffffff,4"), "00");
    assert_string_equal(ask("qSearch:memory:ffffffffffffffff;9;x"), "0");
}

static void wrong_searches_are_errors(void **state)
{
    (void)state;
    assert_string_equal(ask("qSearch:memory:"), "E16");
    assert_string_equal(ask("qSearch:memory:1000;10;"), "E16");
    assert_string_equal(ask("qSearch:memory:1000;x;a"), "E16");
    assert_string_equal(ask("qSearch:memory:1000,10,a"), "E16");
}

/* Value from the definition: "123456789" gives 0376e6e7. */
static void checksum_is_that_of_compare_sections(void **state)
{
    (void)state;
    memcpy(fake.memory, "123456789", 9);
    assert_string_equal(ask("qCRC:1000,9"), "C376e6e7");
    assert_string_equal(ask("qCRC:1000,0"), "Cffffffff");
    assert_string_equal(ask("qCRC:20fff,2"), "E0e");
    assert_string_equal(ask("qCRC:1000"), "E16");
}

static void state_is_not_to_be_had_while_running(void **state)
{
    static const char *const no[] = {"g",
                                     "p0",
                                     "m1000,1",
                                     "x1000,1",
                                     "M1000,1:00",
                                     "X1000,1:a",
                                     "P4=0000",
                                     "Z0,1000,1",
                                     "z0,1000,1",
                                     "c",
                                     "s",
                                     "bs",
                                     "bc",
                                     "vCont;c",
                                     "qRcmd,30",
                                     "qCRC:1000,1",
                                     "qSearch:memory:1000;1;a",
                                     "R00",
                                     "vRun;"};

    (void)state;
    ask_for_nothing("c");
    for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
        assert_string_equal(ask(no[i]), "E10");
    assert_int_equal(fake.resumes, 1);
    assert_string_equal(ask("qC"), "QC1");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
    const struct CMUnitTest tests[] = {
        TEST(all_registers_are_read),
        TEST(unavailable_register_is_x),
        TEST(all_registers_are_written),
        TEST(register_written_as_x_stays),
        TEST(registers_of_another_length_change_nothing),
        TEST(read_only_register_may_be_written_with_its_own_value),
        TEST(register_is_read_and_written_by_number),
        TEST(target_may_have_other_registers_for_the_next_client),
        TEST(wrong_register_requests_are_errors),
        TEST(registers_are_those_of_the_selected_thread),
        TEST(memory_is_read),
        TEST(memory_is_read_as_far_as_it_goes),
        TEST(large_reads_are_cut_to_a_packet),
        TEST(escapes_count_when_a_read_is_cut),
        TEST(memory_is_written),
        TEST(writing_nothing_is_fine),
        TEST(memory_that_cannot_be_written_is_an_error),
        TEST(wrong_memory_requests_are_errors),
        TEST(pattern_is_found),
        TEST(pattern_across_chunks_is_found),
        TEST(pattern_may_hold_any_byte),
        TEST(search_ends_where_memory_does),
        TEST(target_may_search_by_itself),
        TEST(endless_searches_end),
        TEST(wrong_searches_are_errors),
        TEST(checksum_is_that_of_compare_sections),
        TEST(state_is_not_to_be_had_while_running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
