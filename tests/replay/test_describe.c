/* SPDX-License-Identifier: MIT */
/* Events in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <emu/input.h>
#include <emu/perturb.h>
#include <emu/registers.h>
#include <replay/describe.h>
#include <traces/trace.h>

static struct trace_event input(uint32_t kind, uint32_t port, const void *data, size_t len)
{
    return (struct trace_event){.kind = TRACE_EVENT_INPUT,
                                .u.input = {.kind = kind, .port = port, .data = data, .len = len}};
}

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static void assert_input(uint32_t kind, uint32_t port, const void *data, size_t len, const char *expected)
{
    struct trace_event ev = input(kind, port, data, len);
    char text[200], whole[220];

    replay_describe_input(&ev, text, sizeof(text));
    assert_string_equal(text, expected);
    replay_describe_event(&ev, whole, sizeof(whole));
    assert_memory_equal(whole, "input ", 6);
    assert_string_equal(whole + 6, expected);
}

static void bytes_for_a_line_are_a_string(void **state)
{
    (void)state;
    assert_input(INPUT_SERIAL, 1, "ls\r\0\x80", 5, "serial 1 \"ls\\r\\x00\\x80\"");
    assert_input(INPUT_POWER, 0, NULL, 0, "power 0");
}

static void a_debuggers_changes_are_said(void **state)
{
    (void)state;
    assert_input(INPUT_DEBUG, INPUT_DEBUG_MEMORY, BYTES(0x10, 0x32, 0, 0, 1, 0, 0, 0, 0xab, 0x01),
                 "debug memory at 100003210h: ab 01");
    assert_input(INPUT_DEBUG, INPUT_DEBUG_REGISTER,
                 BYTES(REG_ID_RAX, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8),
                 "debug register rax: 0807060504030201");
    assert_input(INPUT_DEBUG, INPUT_DEBUG_REGISTER, BYTES(REG_ID_CS, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0),
                 "debug register cs of CPU 2: 00000008");
}

static void acts_upon_timing_are_said(void **state)
{
    (void)state;
    assert_input(INPUT_TIME, INPUT_TIME_SKIP, BYTES(0xf4, 1, 0, 0, 0, 0, 0, 0), "time skip 500 ns");
    assert_input(INPUT_TIME, INPUT_TIME_HOLD, BYTES(7, 0, 0, 0, 0, 0, 0, 0),
                 "time hold interrupts for 7 instructions");
    assert_input(INPUT_TIME, INPUT_TIME_LATE, BYTES(3, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0),
                 "time timer 3 is late by 9 ns");
    assert_input(INPUT_TIME, INPUT_TIME_PREEMPT, BYTES(9, 0, 0, 0, 0, 0, 0, 0), "time preempt within 9 ns");
}

/* A trace is hostile: what is none of these is shown as bytes. */
static void data_of_another_form_is_shown_as_it_is(void **state)
{
    (void)state;
    assert_input(INPUT_DEBUG, INPUT_DEBUG_MEMORY, BYTES(1, 0, 0, 0, 0, 0, 0, 0),
                 "debug 0 \"\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\"");
    assert_input(INPUT_DEBUG, INPUT_DEBUG_REGISTER, BYTES(255, 0, 0, 0, 0, 0, 0, 0, 'x'),
                 "debug 1 \"\\xff\\x00\\x00\\x00\\x00\\x00\\x00\\x00x\"");
    assert_input(INPUT_DEBUG, 7, BYTES('x'), "debug 7 \"x\"");
    assert_input(INPUT_TIME, INPUT_TIME_SKIP, BYTES('x'), "time 0 \"x\"");
    assert_input(INPUT_TIME, 9, BYTES(1, 2, 3, 4, 5, 6, 7, 8),
                 "time 9 \"\\x01\\x02\\x03\\x04\\x05\\x06\\a\\b\"");
    assert_input(99, 0, "y", 1, "unknown 0 \"y\"");
}

static void descriptions_fit_whatever_room_there_is(void **state)
{
    uint8_t data[512];
    struct trace_event events[] = {
        input(INPUT_DEBUG, INPUT_DEBUG_MEMORY, data, sizeof(data)),
        input(INPUT_DEBUG, INPUT_DEBUG_REGISTER, data, 24),
        input(INPUT_DEBUG, INPUT_DEBUG_REGISTER, data, 16),
        input(INPUT_SERIAL, 0, data, sizeof(data)),
        input(INPUT_TIME, INPUT_TIME_LATE, data, 12),
        input(INPUT_TIME, INPUT_TIME_HOLD, data, 8),
    };
    char text[600];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = i < 8 && i != 0 ? 0 : 0xee;
    data[0] = REG_ID_XMM0;
    for (size_t e = 0; e < sizeof(events) / sizeof(events[0]); e++)
        for (size_t room = 1; room < sizeof(text) - 1; room++) {
            memset(text, 0x55, sizeof(text));
            replay_describe_input(&events[e], text, room);
            assert_non_null(memchr(text, '\0', room));
            assert_int_equal(text[room], 0x55);
            memset(text, 0x55, sizeof(text));
            replay_describe_event(&events[e], text, room);
            assert_non_null(memchr(text, '\0', room));
            assert_int_equal(text[room], 0x55);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_for_a_line_are_a_string),
        cmocka_unit_test(a_debuggers_changes_are_said),
        cmocka_unit_test(acts_upon_timing_are_said),
        cmocka_unit_test(data_of_another_form_is_shown_as_it_is),
        cmocka_unit_test(descriptions_fit_whatever_room_there_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
