/* SPDX-License-Identifier: MIT */
/* What a client asks about: features, threads, objects, files, and the target's own packets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gdbstub_fixture.h"

#define SUPPORTED "PacketSize=10000;QStartNoAckMode+;vContSupported+;binary-upload+"
#define POINTS    ";swbreak+;hwbreak+;ConditionalBreakpoints+"
#define REVERSE   ";ReverseStep+;ReverseContinue+"
#define OBJECTS                                                                                    \
    ";qXfer:threads:read+;qXfer:features:read+;qXfer:exec-file:read+;qXfer:memory-map:read+"       \
    ";qXfer:libraries:read+"

/* ---- features ---- */

static void features_follow_from_the_target(void **state)
{
    struct gdbstub_target t = fake_target;

    (void)state;
    assert_string_equal(ask("qSupported"), SUPPORTED POINTS REVERSE OBJECTS);
    t.can_reverse = false;
    t.insert_point = NULL;
    t.remove_point = NULL;
    t.object = NULL;
    fake_begin(&t);
    assert_string_equal(ask("qSupported"), SUPPORTED ";qXfer:threads:read+");
}

static void features_of_the_client_are_read(void **state)
{
    (void)state;
    assert_string_equal(ask("qSupported:multiprocess+;swbreak+;xmlRegisters=i386;exec-events+;;x"),
                        SUPPORTED POINTS REVERSE ";exec-events+" OBJECTS);
    assert_string_equal(ask("qSupported:"), SUPPORTED POINTS REVERSE ";exec-events+" OBJECTS);
}

/* Not what only looks like it. */
static void features_are_whole_words(void **state)
{
    const struct gdbstub_stop stop = {.kind = GDBSTUB_STOP_SOFTWARE_BREAK, .thread = 1};

    (void)state;
    ask("qSupported:swbreak-;hwbreak?;swbreak+x;xswbreak+;swbreak");
    ask_for_nothing("c");
    gdbstub_stopped(fake.stub, &stop);
    assert_null(strstr(reply(), "swbreak"));
}

static void small_questions(void **state)
{
    (void)state;
    assert_string_equal(ask("qAttached"), "1");
    assert_string_equal(ask("qAttached:1"), "1");
    assert_string_equal(ask("qSymbol::"), "OK");
    assert_string_equal(ask("qTStatus"), "");
    assert_string_equal(ask("vMustReplyEmpty"), "");
    assert_string_equal(ask("QPassSignals:e;10;14"), "OK");
    assert_string_equal(ask("QProgramSignals:0;1;3"), "OK");
    assert_string_equal(ask("QThreadEvents:0"), "OK");
    assert_string_equal(ask("QThreadEvents:1"), "");
    assert_string_equal(ask("QNonStop:0"), "OK");
    assert_string_equal(ask("QNonStop:1"), "E16");
}

static void what_is_not_known_is_not_supported(void **state)
{
    static const char *const unknown[] = {
        "Y",       "qNothing",    "vNothing", "QNothing:1", "b",        "bx",      "bsx",
        "bcx",     "gg",          "qCx",      "kx",         "i",        "t",       "r",
        "A1,0,61", "_",           "vStopped", "qL1",        "jThreads", "QTStart", "vFile:pwrit",
        "vCon",    "qDeja.other", "??",       "!!"};

    (void)state;
    for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++)
        assert_string_equal(ask(unknown[i]), "");
}

static void target_has_packets_of_its_own(void **state)
{
    (void)state;
    assert_string_equal(ask("qDeja.now"), "it is #1");
    /* As long as it can be, without an end. */
    ask("qDeja.full");
    assert_int_equal(reply_len(), GDBSTUB_PACKET_BYTES);
}

static void offsets_are_told_when_known(void **state)
{
    (void)state;
    assert_string_equal(ask("qOffsets"), "");
    fake.offsets_known = true;
    assert_string_equal(ask("qOffsets"), "Text=ab0000;Data=cd0000;Bss=cd0000");
}

/* ---- threads ---- */

static void threads_are_listed(void **state)
{
    (void)state;
    fake.nthreads = 3;
    assert_string_equal(ask("qfThreadInfo"), "m1,2,3");
    assert_string_equal(ask("qsThreadInfo"), "l");
    assert_string_equal(ask("qsThreadInfo"), "l");
}

static void threads_are_selected_and_alive(void **state)
{
    static const char *const fine[] = {"Hg1", "Hg0", "Hg-1", "Hc1",    "Hc0",   "Hc-1",
                                       "Hg3", "T1",  "T3",   "Hgp1.2", "Hgp0.0"};
    static const char *const wrong[] = {"Hg4",          "Hc4", "Hg", "H",   "Hx1", "Hg1x", "Hgp",
                                        "Hgffffffffff", "T4",  "T0", "T-1", "T",   "Tx",   "Hg-2"};

    (void)state;
    fake.nthreads = 3;
    for (size_t i = 0; i < sizeof(fine) / sizeof(*fine); i++)
        assert_string_equal(ask(fine[i]), "OK");
    assert_string_equal(ask("qC"), "QC2");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_string_equal(ask(wrong[i]), "E16");
    assert_string_equal(ask("qC"), "QC2");
}

static void thread_that_is_gone_is_not_current(void **state)
{
    const struct gdbstub_stop stop = {.thread = 1};

    (void)state;
    fake.nthreads = 3;
    ask("Hg3");
    ask("Hc3");
    ask_for_nothing("c");
    fake.nthreads = 1;
    gdbstub_stopped(fake.stub, &stop);
    reply();
    assert_string_equal(ask("qC"), "QC1");
    ask_for_nothing("c");
    assert_int_equal(fake.how.nactions, 1);
    assert_int_equal(fake.actions[0].action, GDBSTUB_CONTINUE);
}

static void extra_line_is_shown(void **state)
{
    (void)state;
    fake.extra = "halted";
    assert_string_equal(ask("qThreadExtraInfo,1"), "68616c746564");
    fake.extra = NULL;
    assert_string_equal(ask("qThreadExtraInfo,1"), "4350552030"); /* the name */
    assert_string_equal(ask("qThreadExtraInfo,2"), "E16");
    assert_string_equal(ask("qThreadExtraInfo,"), "E16");
}

static void threads_are_an_object(void **state)
{
    (void)state;
    fake.nthreads = 2;
    fake.extra = "a<b>&\"'\n\xc3";
    assert_string_equal(ask("qXfer:threads:read::0,1000"),
                        "l<?xml version=\"1.0\"?>\n<threads>\n"
                        "<thread id=\"1\" name=\"CPU 0\">a&lt;b&gt;&amp;&quot;&apos;?"
                        "?</thread>\n"
                        "<thread id=\"2\" name=\"CPU 1\">a&lt;b&gt;&amp;&quot;&apos;?"
                        "?</thread>\n"
                        "</threads>\n");
}

static void parts_of_the_thread_list_fit_together(void **state)
{
    char whole[4096], parts[4096] = "", packet[64];

    (void)state;
    fake.nthreads = 3;
    snprintf(whole, sizeof(whole), "%s", ask("qXfer:threads:read::0,1000") + 1);
    for (size_t at = 0; at < strlen(whole); at += 7) {
        const char *part;

        snprintf(packet, sizeof(packet), "qXfer:threads:read::%zx,7", at);
        part = ask(packet);
        assert_int_equal(part[0], at + 7 < strlen(whole) ? 'm' : 'l');
        strcat(parts, part + 1);
        fake.nthreads = 1; /* changes nothing in the middle of it */
    }
    assert_string_equal(parts, whole);
}

static size_t many_threads(void *user, gdbstub_thread *out, size_t capacity)
{
    (void)user;
    for (size_t i = 0; i < 5000 && i < capacity; i++)
        out[i] = (gdbstub_thread)(i + 1);
    return 5000;
}

static void many_threads_are_listed_in_parts(void **state)
{
    struct gdbstub_target t = fake_target;
    unsigned n = 0;

    (void)state;
    t.threads = many_threads;
    fake_begin(&t);
    for (const char *p = ask("qfThreadInfo"); *p == 'm'; p = ask("qsThreadInfo"))
        for (const char *q = p; q; q = strchr(q + 1, ','))
            assert_int_equal(strtoul(q + 1, NULL, 16), ++n);
    assert_int_equal(n, 5000);
}

static size_t no_threads(void *user, gdbstub_thread *out, size_t capacity)
{
    (void)user;
    (void)out;
    (void)capacity;
    return 0;
}

static void target_without_threads_does_not_run(void **state)
{
    struct gdbstub_target t = fake_target;

    (void)state;
    t.threads = no_threads;
    fake_begin(&t);
    assert_string_equal(ask("qfThreadInfo"), "l");
    assert_string_equal(ask("c"), "E0c");
    assert_string_equal(ask("vCont;c"), "E0c");
}

/* ---- objects ---- */

static void objects_come_in_parts(void **state)
{
    (void)state;
    assert_string_equal(ask("qXfer:features:read:target.xml:0,8"), "m<target>");
    assert_string_equal(ask("qXfer:features:read:target.xml:8,4"), "m}#$*");
    assert_string_equal(ask("qXfer:features:read:target.xml:c,100"), "l</target>");
    assert_string_equal(ask("qXfer:features:read:target.xml:15,100"), "l");
    assert_string_equal(ask("qXfer:features:read:target.xml:16,100"), "E01");
    assert_string_equal(ask("qXfer:features:read:target.xml:0,0"), "m");
    assert_string_equal(ask("qXfer:features:read:target.xml:0,ffffffffffffffff"),
                        "l<target>}#$*</target>");
    assert_string_equal(ask("qXfer:features:read:target.xml:ffffffffffffffff,1"), "E01");
}

static void objects_that_are_not_there(void **state)
{
    (void)state;
    assert_string_equal(ask("qXfer:features:read:other.xml:0,8"), "E00");
    assert_string_equal(ask("qXfer:libraries:read::0,8"), "E00");
    assert_string_equal(ask("qXfer:auxv:read::0,8"), "");
    /* One that is not announced may be asked for all the same. */
    assert_string_equal(ask("qXfer:secret:read::0,8"), "l");
}

static void annex_may_hold_colons(void **state)
{
    (void)state;
    assert_string_equal(ask("qXfer:exec-file:read:a:b:0,8"), "l/a:b");
}

static void wrong_object_requests_are_not_supported(void **state)
{
    static const char *const wrong[] = {"qXfer:",
                                        "qXfer:features",
                                        "qXfer:features:read",
                                        "qXfer:features:read:",
                                        "qXfer:features:read:target.xml",
                                        "qXfer:features:read:target.xml:",
                                        "qXfer:features:read:target.xml:0",
                                        "qXfer:features:read:target.xml:0,",
                                        "qXfer:features:read:target.xml:0,8x",
                                        "qXfer:features:write:target.xml:0:aa",
                                        "qXfer:features:read:target.xml:x,8"};
    char packet[1024];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_string_equal(ask(wrong[i]), "");
    snprintf(packet, sizeof(packet), "qXfer:features:read:%0500d:0,8", 0);
    assert_string_equal(ask(packet), "");
    assert_string_equal(ask_bytes("qXfer:features:read:a\0b:0,8", 27), "");
}

/* ---- files ---- */

#define VMLINUX "2f626f6f742f766d6c696e7578"

static void file_is_read(void **state)
{
    (void)state;
    assert_string_equal(ask("vFile:setfs:0"), "F0");
    assert_string_equal(ask("vFile:open:" VMLINUX ",0,0"), "F0");
    assert_memory_equal(ask("vFile:pread:0,4,41"), "F4;ABCD", 8);
    assert_string_equal(ask("vFile:pread:0,4,1fffe"), "F2;\xfe\xff");
    assert_string_equal(ask("vFile:pread:0,4,20000"), "F0;");
    assert_string_equal(ask("vFile:pread:0,4,ffffffffffffffff"), "F0;");
    assert_string_equal(ask("vFile:close:0"), "F0");
    assert_string_equal(ask("vFile:close:0"), "F-1,9");
    assert_string_equal(ask("vFile:pread:0,4,0"), "F-1,9");
}

/* The count is that of what fits, with its escapes. */
static void large_file_reads_are_cut(void **state)
{
    unsigned long count;
    const char *data;
    char *end;

    (void)state;
    for (size_t i = 0; i < sizeof(fake.memory); i++)
        fake.memory[i] = i % 3 ? '}' : 'a';
    ask("vFile:open:" VMLINUX ",0,0");
    data = ask("vFile:pread:0,ffffffffffffffff,0");
    count = strtoul(data + 1, &end, 16);
    assert_int_equal(*end, ';');
    assert_int_equal(count, reply_len() - (size_t)(end + 1 - data));
    assert_in_range(count * 5 / 3, GDBSTUB_PACKET_BYTES - 64, GDBSTUB_PACKET_BYTES);
    assert_memory_equal(end + 1, fake.memory, count);
}

static void file_has_a_stat(void **state)
{
    const uint8_t *stat;

    (void)state;
    ask("vFile:open:" VMLINUX ",0,0");
    stat = (const uint8_t *)ask("vFile:fstat:0");
    assert_int_equal(reply_len(), 4 + 64);
    assert_memory_equal(stat, "F40;", 4);
    assert_memory_equal(stat + 4 + 8, "\0\0\x81\x24", 4);        /* a regular file, 0444 */
    assert_memory_equal(stat + 4 + 28, "\0\0\0\0\0\2\0\0", 8);   /* its size */
    assert_memory_equal(stat + 4 + 36, "\0\0\0\0\0\0\x10\0", 8); /* size of a block */
    assert_memory_equal(stat + 4 + 44, "\0\0\0\0\0\0\1\0", 8);   /* blocks of 512 bytes */
    assert_string_equal(ask("vFile:fstat:1"), "F-1,9");
}

static void files_cannot_be_written(void **state)
{
    (void)state;
    assert_string_equal(ask("vFile:open:" VMLINUX ",1,0"), "F-1,1e");
    assert_string_equal(ask("vFile:open:" VMLINUX ",2,0"), "F-1,1e");
    assert_string_equal(ask("vFile:open:" VMLINUX ",200,1a4"), "F-1,1e");
    assert_string_equal(ask("vFile:pwrite:0,0,a"), "F-1,1e");
    assert_string_equal(ask("vFile:unlink:" VMLINUX), "F-1,1e");
}

static void files_that_are_not_there(void **state)
{
    (void)state;
    assert_string_equal(ask("vFile:open:2f61,0,0"), "F-1,2");
    assert_string_equal(ask("vFile:readlink:2f61"), "F-1,2");
    assert_string_equal(ask("vFile:readlink:" VMLINUX), "F-1,16");
}

static void number_of_open_files_is_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++)
        assert_int_equal(ask("vFile:open:" VMLINUX ",0,0")[1], '0' + i);
    assert_string_equal(ask("vFile:open:" VMLINUX ",0,0"), "F-1,18");
    assert_string_equal(ask("vFile:close:3"), "F0");
    assert_string_equal(ask("vFile:open:" VMLINUX ",0,0"), "F3");
    gdbstub_disconnected(fake.stub);
    gdbstub_connected(fake.stub);
    assert_string_equal(ask("vFile:pread:3,1,0"), "F-1,9");
}

static void wrong_file_requests_are_failures(void **state)
{
    static const char *const wrong[] = {
        "vFile:open:",         "vFile:open:2f6",           "vFile:open:2x,0,0",
        "vFile:open:" VMLINUX, "vFile:open:" VMLINUX ",0", "vFile:open:" VMLINUX ",0,0x",
        "vFile:open:2f00,0,0", "vFile:readlink:",          "vFile:pread:0",
        "vFile:pread:0,1",     "vFile:pread:0,1,x"};
    char packet[10000];

    (void)state;
    ask("vFile:open:" VMLINUX ",0,0");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_string_equal(ask(wrong[i]), "F-1,16");
    snprintf(packet, sizeof(packet), "vFile:open:%09000d,0,0", 0);
    assert_string_equal(ask(packet), "F-1,5b");
    assert_string_equal(ask("vFile:pread:x"), "F-1,9");
    assert_string_equal(ask("vFile:pread:ffffffffffffffff,1,0"), "F-1,9");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
    const struct CMUnitTest tests[] = {
        TEST(features_follow_from_the_target),
        TEST(features_of_the_client_are_read),
        TEST(features_are_whole_words),
        TEST(small_questions),
        TEST(what_is_not_known_is_not_supported),
        TEST(target_has_packets_of_its_own),
        TEST(offsets_are_told_when_known),
        TEST(threads_are_listed),
        TEST(threads_are_selected_and_alive),
        TEST(thread_that_is_gone_is_not_current),
        TEST(extra_line_is_shown),
        TEST(threads_are_an_object),
        TEST(parts_of_the_thread_list_fit_together),
        TEST(many_threads_are_listed_in_parts),
        TEST(target_without_threads_does_not_run),
        TEST(objects_come_in_parts),
        TEST(objects_that_are_not_there),
        TEST(annex_may_hold_colons),
        TEST(wrong_object_requests_are_not_supported),
        TEST(file_is_read),
        TEST(large_file_reads_are_cut),
        TEST(file_has_a_stat),
        TEST(files_cannot_be_written),
        TEST(files_that_are_not_there),
        TEST(number_of_open_files_is_bounded),
        TEST(wrong_file_requests_are_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
