/* SPDX-License-Identifier: MIT */
/* Going on, stopping, stop replies, console text, leaving. */
#include <stdio.h>
#include <string.h>

#include "gdbstub_fixture.h"

static void stop_as(enum gdbstub_stop_kind kind)
{
    struct gdbstub_stop stop = {
        .kind = kind, .thread = 1, .address = 0x1234, .path = "/a", .code = 7};

    gdbstub_stopped(fake.stub, &stop);
}

/* The T packets of these tests carry registers 0 and 2. */
#define EXPEDITED "0:0000000000000000;2:00000000;thread:1;"

static void expect_action(size_t i, gdbstub_thread thread, enum gdbstub_action action,
                          uint8_t signal)
{
    assert_true(i < fake.how.nactions);
    assert_int_equal(fake.actions[i].thread, thread);
    assert_int_equal(fake.actions[i].action, action);
    assert_int_equal(fake.actions[i].signal, signal);
}

/* Asks for something that resumes a lone thread, and lets it stop. */
static void expect_resume(const char *packet, enum gdbstub_action action, uint8_t signal)
{
    ask_for_nothing(packet);
    assert_true(gdbstub_running(fake.stub));
    assert_int_equal(fake.how.nactions, 1);
    assert_int_equal(fake.how.first, 0);
    expect_action(0, 1, action, signal);
    stop_as(GDBSTUB_STOP_SIGNAL);
    assert_false(gdbstub_running(fake.stub));
    assert_string_equal(reply(), "T05" EXPEDITED);
}

/* ---- resuming ---- */

static void each_way_to_go_on_reaches_the_target(void **state)
{
    (void)state;
    expect_resume("c", GDBSTUB_CONTINUE, 0);
    expect_resume("s", GDBSTUB_STEP, 0);
    expect_resume("C0b", GDBSTUB_CONTINUE, 11);
    expect_resume("S02", GDBSTUB_STEP, 2);
    expect_resume("bc", GDBSTUB_REVERSE_CONTINUE, 0);
    expect_resume("bs", GDBSTUB_REVERSE_STEP, 0);
    expect_resume("vCont;c", GDBSTUB_CONTINUE, 0);
    expect_resume("vCont;s:1", GDBSTUB_STEP, 0);
    expect_resume("vCont;s:1;c", GDBSTUB_STEP, 0);
    expect_resume("vCont;C0b:-1", GDBSTUB_CONTINUE, 11);
    expect_resume("vCont;S02:0", GDBSTUB_STEP, 2);
    expect_resume("vCont;c:p1.-1", GDBSTUB_CONTINUE, 0);
    expect_resume("vCont;r100,108:1", GDBSTUB_RANGE_STEP, 0);
    assert_int_equal(fake.actions[0].range_begin, 0x100);
    assert_int_equal(fake.actions[0].range_end, 0x108);
}

static void address_to_go_on_at_is_set_first(void **state)
{
    (void)state;
    expect_resume("c123456", GDBSTUB_CONTINUE, 0);
    assert_string_equal(ask("p1"), "5634120000000000");
    expect_resume("S05;10", GDBSTUB_STEP, 5);
    assert_string_equal(ask("p1"), "1000000000000000");
}

static void address_follows_the_targets_byte_order(void **state)
{
    struct gdbstub_target t = fake_target;

    (void)state;
    t.big_endian = true;
    fake_begin(&t);
    ask_for_nothing("s123456");
    assert_memory_equal(fake.regs[1][1], "\0\0\0\0\0\x12\x34\x56", 8);
}

static void wrong_ways_to_go_on_are_errors(void **state)
{
    static const char *const wrong[] = {"cx",        "c1;",        "C",        "C100",
                                        "C05,",      "C05;x",      "sx",       "S",
                                        "vCont;",    "vCont;x",    "vCont;c:", "vCont;c:x",
                                        "vCont;C",   "vCont;Cfff", "vCont;r1", "vCont;r1,",
                                        "vCont;c:9", "vCont;s:1;", "vCont;c1", "vCont;c:100000000"};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_string_equal(ask(wrong[i]), "E16");
    assert_int_equal(fake.resumes, 0);
    assert_false(gdbstub_running(fake.stub));
}

static void target_that_cannot_go_on_stays_stopped(void **state)
{
    (void)state;
    fake.resume_result = -1;
    assert_string_equal(ask("c"), "E01");
    assert_string_equal(ask("vCont;s:1"), "E01");
    assert_false(gdbstub_running(fake.stub));
    stop_as(GDBSTUB_STOP_SIGNAL);
    assert_string_equal(taken(), "");
}

static void vcont_says_what_there_is(void **state)
{
    struct gdbstub_target t = fake_target;

    (void)state;
    assert_string_equal(ask("vCont?"), "vCont;c;C;s;S;t;r");
    t.can_range_step = false;
    t.can_reverse = false;
    fake_begin(&t);
    assert_string_equal(ask("vCont?"), "vCont;c;C;s;S;t");
    assert_string_equal(ask("bs"), "");
    assert_string_equal(ask("bc"), "");
    expect_resume("vCont;r100,108:1", GDBSTUB_STEP, 0);
}

static void leftmost_action_that_fits_a_thread_is_its(void **state)
{
    (void)state;
    fake.nthreads = 3;
    ask_for_nothing("vCont;s:2;C05:3;s:3;c");
    assert_int_equal(fake.how.nactions, 3);
    assert_int_equal(fake.how.first, 1);
    expect_action(0, 1, GDBSTUB_CONTINUE, 0);
    expect_action(1, 2, GDBSTUB_STEP, 0);
    expect_action(2, 3, GDBSTUB_CONTINUE, 5);
}

static void thread_without_an_action_holds(void **state)
{
    (void)state;
    fake.nthreads = 3;
    ask_for_nothing("vCont;c:3;t:1");
    assert_int_equal(fake.how.first, 2);
    expect_action(0, 1, GDBSTUB_HOLD, 0);
    expect_action(1, 2, GDBSTUB_HOLD, 0);
    expect_action(2, 3, GDBSTUB_CONTINUE, 0);
}

static void step_moves_the_others_along(void **state)
{
    (void)state;
    fake.nthreads = 3;
    ask("Hg2");
    ask_for_nothing("s");
    assert_int_equal(fake.how.first, 1);
    expect_action(0, 1, GDBSTUB_CONTINUE, 0);
    expect_action(1, 2, GDBSTUB_STEP, 0);
}

static void thread_of_hc_moves_alone(void **state)
{
    (void)state;
    fake.nthreads = 3;
    assert_string_equal(ask("Hc3"), "OK");
    ask_for_nothing("bs");
    assert_int_equal(fake.how.first, 2);
    expect_action(0, 1, GDBSTUB_HOLD, 0);
    expect_action(2, 3, GDBSTUB_REVERSE_STEP, 0);
    stop_as(GDBSTUB_STOP_SIGNAL);
    reply();
    ask("Hc-1");
    ask_for_nothing("c");
    expect_action(0, 1, GDBSTUB_CONTINUE, 0);
    expect_action(2, 3, GDBSTUB_CONTINUE, 0);
}

static void stop_of_what_is_stopped_says_why(void **state)
{
    (void)state;
    assert_string_equal(ask("vCont;t"), "T05" EXPEDITED);
    assert_int_equal(fake.resumes, 0);
}

static void stop_of_what_runs_interrupts(void **state)
{
    (void)state;
    ask_for_nothing("c");
    ask_for_nothing("vCont;t");
    assert_int_equal(fake.interrupts, 1);
    assert_string_equal(ask("vCtrlC"), "OK");
    assert_int_equal(fake.interrupts, 2);
    stop_as(GDBSTUB_STOP_SIGNAL);
    assert_string_equal(reply(), "T05" EXPEDITED);
    assert_string_equal(ask("vCtrlC"), "OK");
    assert_int_equal(fake.interrupts, 2);
}

/* ---- stop replies ---- */

static void expect_stop(enum gdbstub_stop_kind kind, const char *want)
{
    ask_for_nothing("c");
    stop_as(kind);
    assert_string_equal(reply(), want);
    assert_string_equal(ask("?"), want);
}

static void reasons_are_told(void **state)
{
    (void)state;
    ask("qSupported:swbreak+;hwbreak+;exec-events+");
    expect_stop(GDBSTUB_STOP_SIGNAL, "T05" EXPEDITED);
    expect_stop(GDBSTUB_STOP_SOFTWARE_BREAK, "T05" EXPEDITED "swbreak:;");
    expect_stop(GDBSTUB_STOP_HARDWARE_BREAK, "T05" EXPEDITED "hwbreak:;");
    expect_stop(GDBSTUB_STOP_WRITE_WATCH, "T05" EXPEDITED "watch:1234;");
    expect_stop(GDBSTUB_STOP_READ_WATCH, "T05" EXPEDITED "rwatch:1234;");
    expect_stop(GDBSTUB_STOP_ACCESS_WATCH, "T05" EXPEDITED "awatch:1234;");
    expect_stop(GDBSTUB_STOP_REPLAY_BEGIN, "T05" EXPEDITED "replaylog:begin;");
    expect_stop(GDBSTUB_STOP_REPLAY_END, "T05" EXPEDITED "replaylog:end;");
    expect_stop(GDBSTUB_STOP_LIBRARIES, "T05" EXPEDITED "library:;");
    expect_stop(GDBSTUB_STOP_EXEC, "T05" EXPEDITED "exec:2f61;");
    expect_stop(GDBSTUB_STOP_EXITED, "W07");
    expect_stop(GDBSTUB_STOP_TERMINATED, "X05");
}

static void reasons_that_were_not_asked_for_are_left_out(void **state)
{
    (void)state;
    expect_stop(GDBSTUB_STOP_SOFTWARE_BREAK, "T05" EXPEDITED);
    expect_stop(GDBSTUB_STOP_HARDWARE_BREAK, "T05" EXPEDITED);
    expect_stop(GDBSTUB_STOP_EXEC, "T05" EXPEDITED);
}

static void question_before_anything_ran_has_an_answer(void **state)
{
    const struct gdbstub_stop stop = {.signal = 11, .thread = 1};

    (void)state;
    assert_string_equal(ask("?"), "T05" EXPEDITED);
    gdbstub_set_stop(fake.stub, &stop);
    assert_string_equal(taken(), "");
    assert_string_equal(ask("?"), "T0b" EXPEDITED);
}

static void thread_that_stopped_is_the_current_one(void **state)
{
    struct gdbstub_stop stop = {.thread = 2};

    (void)state;
    fake.nthreads = 2;
    fake.regs[2][2][0] = 0x77;
    ask_for_nothing("c");
    gdbstub_stopped(fake.stub, &stop);
    assert_string_equal(reply(), "T050:0000000000000000;2:77000000;thread:2;");
    assert_string_equal(ask("qC"), "QC2");
    assert_string_equal(ask("p2"), "77000000");
}

static void stop_stays_that_of_its_thread(void **state)
{
    (void)state;
    fake.nthreads = 2;
    ask("Hg2");
    assert_string_equal(ask("?"), "T05" EXPEDITED);
    ask("Hg2");
    assert_string_equal(ask("vRun;"), "T05" EXPEDITED);
    assert_string_equal(ask("qC"), "QC1");
}

static void unavailable_registers_are_not_sent_along(void **state)
{
    (void)state;
    fake.unavailable[0] = true;
    expect_stop(GDBSTUB_STOP_SIGNAL, "T052:00000000;thread:1;");
}

static void stop_of_what_does_not_run_is_ignored(void **state)
{
    (void)state;
    stop_as(GDBSTUB_STOP_EXITED);
    assert_string_equal(taken(), "");
    assert_string_equal(ask("?"), "T05" EXPEDITED);
}

static void exec_without_a_path_is_told(void **state)
{
    const struct gdbstub_stop stop = {.kind = GDBSTUB_STOP_EXEC, .thread = 1};

    (void)state;
    ask("qSupported:exec-events+");
    ask_for_nothing("c");
    gdbstub_stopped(fake.stub, &stop);
    assert_string_equal(reply(), "T05" EXPEDITED "exec:;");
}

static void path_of_a_stop_is_copied(void **state)
{
    char path[] = "/b";
    struct gdbstub_stop stop = {.kind = GDBSTUB_STOP_EXEC, .thread = 1, .path = path};

    (void)state;
    ask("qSupported:exec-events+");
    ask_for_nothing("c");
    gdbstub_stopped(fake.stub, &stop);
    memset(path, 'x', 2);
    reply();
    assert_string_equal(ask("?"), "T05" EXPEDITED "exec:2f62;");
}

/* A client went away while the target ran, and it goes on. */
static void stop_without_a_client_is_kept_for_the_next(void **state)
{
    (void)state;
    ask_for_nothing("c");
    gdbstub_disconnected(fake.stub);
    assert_true(gdbstub_running(fake.stub));
    stop_as(GDBSTUB_STOP_WRITE_WATCH);
    assert_false(gdbstub_running(fake.stub));
    gdbstub_connected(fake.stub);
    assert_string_equal(taken(), "");
    assert_string_equal(ask("?"), "T05" EXPEDITED "watch:1234;");
}

static void question_of_a_new_client_stops_what_runs(void **state)
{
    (void)state;
    ask_for_nothing("c");
    gdbstub_disconnected(fake.stub);
    gdbstub_connected(fake.stub);
    assert_int_equal(fake.interrupts, 0);
    ask_for_nothing("?");
    assert_int_equal(fake.interrupts, 1);
    stop_as(GDBSTUB_STOP_SIGNAL);
    assert_string_equal(reply(), "T05" EXPEDITED);
}

/* ---- text for the user ---- */

static void text_is_shown_while_running(void **state)
{
    (void)state;
    ask_for_nothing("c");
    gdbstub_console(fake.stub, "hi\n", 3);
    assert_string_equal(reply(), "O68690a");
}

static void text_waits_until_it_can_be_shown(void **state)
{
    (void)state;
    gdbstub_console(fake.stub, "a", 1);
    gdbstub_console(fake.stub, "b", 1);
    assert_string_equal(taken(), "");
    give("$c#63");
    assert_string_equal(taken(), "+$O6162#1e");
}

static void text_that_waits_is_bounded(void **state)
{
    static char text[100000];

    (void)state;
    memset(text, 'x', sizeof(text));
    for (int i = 0; i < 1000; i++)
        gdbstub_console(fake.stub, text, sizeof(text));
    give("$c#63");
    assert_in_range(strlen(taken()), 2 * 65536, 2 * 65536 + 1000);
}

static void monitor_command_is_passed_on(void **state)
{
    (void)state;
    assert_string_equal(ask("qRcmd,6869"), "OK");
    assert_string_equal(fake.monitor_command, "hi");
    assert_string_equal(ask("qRcmd,"), "OK");
    assert_string_equal(fake.monitor_command, "");
}

static void monitor_output_comes_before_its_end(void **state)
{
    (void)state;
    fake.monitor_text = "ok\n";
    give("$qRcmd,68#91");
    assert_string_equal(taken(), "+$O6f6b0a#14$OK#9a");
    fake.monitor_result = -1;
    give("$qRcmd,68#91");
    assert_string_equal(taken(), "+$O6f6b0a#14$E01#a6");
}

static void wrong_monitor_commands_are_errors(void **state)
{
    struct gdbstub_target t = fake_target;

    (void)state;
    assert_string_equal(ask("qRcmd,6"), "E16");
    assert_string_equal(ask("qRcmd,6x"), "E16");
    assert_string_equal(ask("qRcmd,6800"), "E16");
    assert_string_equal(fake.monitor_command, "");
    t.monitor = NULL;
    fake_begin(&t);
    assert_string_equal(ask("qRcmd,68"), "");
}

/* ---- beginning, leaving and ending ---- */

static void detach_takes_points_along(void **state)
{
    (void)state;
    ask("Z0,1000,1");
    ask("Z2,1000,8");
    assert_string_equal(ask("D"), "OK");
    assert_int_equal(fake.detaches, 1);
    assert_int_equal(fake.npoints, 0);
    assert_true(gdbstub_leaving(fake.stub));
    give("$qC#b4");
    assert_string_equal(taken(), "");
}

static void detach_may_name_a_process(void **state)
{
    (void)state;
    assert_string_equal(ask("D;x"), "E16");
    assert_string_equal(ask("Dx"), "E16");
    assert_false(gdbstub_leaving(fake.stub));
    assert_string_equal(ask("D;1"), "OK");
    assert_true(gdbstub_leaving(fake.stub));
}

static void kill_has_no_reply(void **state)
{
    (void)state;
    ask_for_nothing("c");
    ask_for_nothing("k");
    assert_int_equal(fake.kills, 1);
    assert_true(gdbstub_leaving(fake.stub));
    assert_false(gdbstub_running(fake.stub));
}

static void vkill_has_one(void **state)
{
    (void)state;
    assert_string_equal(ask("vKill;"), "E16");
    assert_string_equal(ask("vKill;1"), "OK");
    assert_int_equal(fake.kills, 1);
    assert_true(gdbstub_leaving(fake.stub));
}

static void extended_client_stays_after_the_end(void **state)
{
    (void)state;
    assert_string_equal(ask("!"), "OK");
    assert_string_equal(ask("vKill;1"), "OK");
    assert_false(gdbstub_leaving(fake.stub));
    assert_string_equal(ask("?"), "X09");
    assert_string_equal(ask("c"), "E01");
    assert_string_equal(ask("vRun;2f61"), "T05" EXPEDITED);
    assert_int_equal(fake.restarts, 1);
    assert_string_equal(ask("?"), "T05" EXPEDITED);
    ask_for_nothing("R00");
    assert_int_equal(fake.restarts, 2);
    fake.restart_result = -1;
    assert_string_equal(ask("vRun;"), "E01");
    ask_for_nothing("R00");
}

static void target_may_lack_all_that_is_optional(void **state)
{
    static const char *const none[] = {"R00",
                                       "vRun;",
                                       "Z0,1000,1",
                                       "z0,1000,1",
                                       "bs",
                                       "bc",
                                       "qOffsets",
                                       "vFile:open:2f61,0,0",
                                       "vFile:setfs:0",
                                       "vFile:close:0",
                                       "vFile:fstat:0",
                                       "vFile:pread:0,1,0",
                                       "vFile:readlink:2f",
                                       "vFile:unlink:2f",
                                       "qRcmd,30",
                                       "qXfer:features:read:target.xml:0,100",
                                       "qDeja.now"};
    const struct gdbstub_target t = {
        .struct_size = sizeof(t),
        .register_bytes = fake_target.register_bytes,
        .nregisters = FAKE_REGISTERS,
        .ng = FAKE_NG,
        .read_register = fake_target.read_register,
        .write_register = fake_target.write_register,
        .read_memory = fake_target.read_memory,
        .write_memory = fake_target.write_memory,
        .resume = fake_target.resume,
        .interrupt = fake_target.interrupt,
    };

    (void)state;
    fake_begin(&t);
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        assert_string_equal(ask(none[i]), "");
    assert_string_equal(ask("qfThreadInfo"), "m1");
    assert_string_equal(ask("qsThreadInfo"), "l");
    assert_string_equal(ask("?"), "T05thread:1;");
    assert_string_equal(ask("D"), "OK");
    gdbstub_disconnected(fake.stub);
    gdbstub_connected(fake.stub);
    ask_for_nothing("k");
}

static void killed_target_is_there_for_the_next_client(void **state)
{
    (void)state;
    ask_for_nothing("c");
    ask_for_nothing("k");
    stop_as(GDBSTUB_STOP_WRITE_WATCH); /* comes too late */
    gdbstub_disconnected(fake.stub);
    gdbstub_connected(fake.stub);
    assert_string_equal(ask("?"), "T05" EXPEDITED);
    expect_resume("c", GDBSTUB_CONTINUE, 0);
}

static void attaching_is_not_possible(void **state)
{
    (void)state;
    assert_string_equal(ask("vAttach;1"), "E01");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_way_to_go_on_reaches_the_target),
        TEST(address_to_go_on_at_is_set_first),
        TEST(address_follows_the_targets_byte_order),
        TEST(wrong_ways_to_go_on_are_errors),
        TEST(target_that_cannot_go_on_stays_stopped),
        TEST(vcont_says_what_there_is),
        TEST(leftmost_action_that_fits_a_thread_is_its),
        TEST(thread_without_an_action_holds),
        TEST(step_moves_the_others_along),
        TEST(thread_of_hc_moves_alone),
        TEST(stop_of_what_is_stopped_says_why),
        TEST(stop_of_what_runs_interrupts),
        TEST(reasons_are_told),
        TEST(reasons_that_were_not_asked_for_are_left_out),
        TEST(question_before_anything_ran_has_an_answer),
        TEST(thread_that_stopped_is_the_current_one),
        TEST(stop_stays_that_of_its_thread),
        TEST(unavailable_registers_are_not_sent_along),
        TEST(stop_of_what_does_not_run_is_ignored),
        TEST(exec_without_a_path_is_told),
        TEST(path_of_a_stop_is_copied),
        TEST(stop_without_a_client_is_kept_for_the_next),
        TEST(question_of_a_new_client_stops_what_runs),
        TEST(text_is_shown_while_running),
        TEST(text_waits_until_it_can_be_shown),
        TEST(text_that_waits_is_bounded),
        TEST(monitor_command_is_passed_on),
        TEST(monitor_output_comes_before_its_end),
        TEST(wrong_monitor_commands_are_errors),
        TEST(detach_takes_points_along),
        TEST(detach_may_name_a_process),
        TEST(kill_has_no_reply),
        TEST(vkill_has_one),
        TEST(extended_client_stays_after_the_end),
        TEST(target_may_lack_all_that_is_optional),
        TEST(killed_target_is_there_for_the_next_client),
        TEST(attaching_is_not_possible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
