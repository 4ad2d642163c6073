/* SPDX-License-Identifier: MIT */
/*
 * The PS/2 mouse behind its controller, after IBM's PS/2 Hardware Interface Technical Reference and the
 * IntelliMouse's additions: everything goes through ports 60h and 64h.
 */
#include "device_test.h"

#include <devices/ps2_mouse.h>

struct world {
    struct fake_machine fm;
    struct irq_recorder rec;
    struct i8042 kbc;
    struct ps2_mouse mouse;
};

static void ignore_a20(void *opaque, bool open)
{
    (void)opaque, (void)open;
}

static void ignore(void *opaque)
{
    (void)opaque;
}

static void out(struct world *w, uint16_t port, uint8_t byte)
{
    out8(&w->fm, port, byte);
    assert_state_survives(&ps2_mouse_desc, &w->mouse);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    fake_init(&w->fm);
    irq_recorder_init(&w->rec);
    ps2_mouse_init(&w->mouse, &w->kbc);
    i8042_init(&w->kbc, &(struct i8042_wiring){.clock = &w->fm.clock,
                                               .ports = &w->fm.ports,
                                               .irq1 = irq_recorder_line(&w->rec, 1),
                                               .irq12 = irq_recorder_line(&w->rec, 12),
                                               .aux = ps2_mouse_aux(&w->mouse),
                                               .set_a20 = ignore_a20,
                                               .reset = ignore,
                                               .opaque = w});
    i8042_reset(&w->kbc);
    ps2_mouse_reset(&w->mouse);
    out(w, 0x64, 0x60); /* both ports on, both interrupts */
    out(w, 0x60, 0x47);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    assert_state_survives(&ps2_mouse_desc, &w->mouse);
    free(w);
    return 0;
}

/* The next byte from the mouse, or -1. */
static int next(struct world *w)
{
    fake_advance(&w->fm, 5 * MSEC_NS);
    if ((in8(&w->fm, 0x64) & 0x21) != 0x21)
        return -1;
    assert_true(w->rec.level[12]);
    return in8(&w->fm, 0x60);
}

static void expect_bytes(struct world *w, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(next(w), (uint8_t)bytes[i]);
    assert_int_equal(next(w), -1);
}
#define EXPECT(w, bytes) expect_bytes(w, bytes, sizeof(bytes) - 1)

static void send(struct world *w, uint8_t byte)
{
    out(w, 0x64, 0xd4);
    out(w, 0x60, byte);
}

static void send_acked(struct world *w, uint8_t byte)
{
    send(w, byte);
    EXPECT(w, "\xfa");
}

static void set_rates(struct world *w, uint8_t a, uint8_t b, uint8_t c)
{
    const uint8_t rates[] = {a, b, c};

    for (unsigned i = 0; i < 3; i++) {
        send_acked(w, 0xf3);
        send_acked(w, rates[i]);
    }
}

static void move(struct world *w, int x, int y, int z, unsigned buttons)
{
    const uint32_t values[4] = {(uint32_t)x, (uint32_t)y, (uint32_t)z, buttons};
    uint8_t bytes[PS2_MOUSE_INPUT_BYTES];

    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(values[i / 4] >> (8 * (i % 4)));
    ps2_mouse_deliver(&w->mouse, bytes, sizeof(bytes));
    assert_state_survives(&ps2_mouse_desc, &w->mouse);
}

static void reset_and_identity(void **state)
{
    struct world *w = *state;

    send(w, 0xff);
    EXPECT(w, "\xfa\xaa\0");
    send(w, 0xf2);
    EXPECT(w, "\xfa\0");
}

static void nothing_is_reported_before_it_is_enabled(void **state)
{
    struct world *w = *state;

    move(w, 1, 1, 0, PS2_MOUSE_LEFT);
    assert_int_equal(next(w), -1);
    send_acked(w, 0xf4); /* what was before is forgotten */
    assert_int_equal(next(w), -1);
    move(w, 3, -2, 0, PS2_MOUSE_LEFT);
    EXPECT(w, "\x29\x03\xfe");
    move(w, 0, 0, 0, PS2_MOUSE_RIGHT | PS2_MOUSE_MIDDLE);
    EXPECT(w, "\x0e\0\0");
    move(w, 0, 0, 0, PS2_MOUSE_RIGHT | PS2_MOUSE_MIDDLE);
    assert_int_equal(next(w), -1);
    move(w, 0, 0, 5, 6); /* without a wheel nobody hears of it */
    assert_int_equal(next(w), -1);
    send_acked(w, 0xf5);
    move(w, 1, 0, 0, 0);
    assert_int_equal(next(w), -1);
}

static void far_movement_takes_several_reports(void **state)
{
    struct world *w = *state;

    send_acked(w, 0xf4);
    move(w, 300, -600, 0, 0);
    EXPECT(w, "\x28\xff\x01"
              "\x28\x2d\x01"
              "\x28\x00\xa6");
    move(w, INT32_MAX, INT32_MIN, INT32_MAX, 0);
    move(w, INT32_MAX, INT32_MIN, INT32_MIN, 0);
    assert_int_equal(next(w), 0x28);
}

static void the_wheel_is_found_by_sample_rates(void **state)
{
    struct world *w = *state;

    set_rates(w, 200, 100, 80);
    send(w, 0xf2);
    EXPECT(w, "\xfa\x03");
    send_acked(w, 0xf4);
    move(w, 1, 2, -1, 0);
    EXPECT(w, "\x08\x01\x02\xff");
    move(w, 0, 0, 9, 0);
    EXPECT(w, "\x08\0\0\x07\x08\0\0\x02");
}

static void five_buttons_are_found_too(void **state)
{
    struct world *w = *state;

    set_rates(w, 200, 100, 80);
    set_rates(w, 200, 200, 80);
    send(w, 0xf2);
    EXPECT(w, "\xfa\x04");
    send_acked(w, 0xf4);
    move(w, 0, 0, -1, PS2_MOUSE_EXTRA | PS2_MOUSE_LEFT);
    EXPECT(w, "\x09\0\0\x2f");
    send(w, 0xff);
    EXPECT(w, "\xfa\xaa\0");
}

static void status_tells_the_settings(void **state)
{
    struct world *w = *state;

    send(w, 0xe9);
    EXPECT(w, "\xfa\0\x02\x64");
    send_acked(w, 0xe8);
    send_acked(w, 3);
    send_acked(w, 0xf3);
    send_acked(w, 40);
    send_acked(w, 0xe7);
    send_acked(w, 0xf4);
    move(w, 0, 0, 0, PS2_MOUSE_LEFT | PS2_MOUSE_RIGHT);
    EXPECT(w, "\x0b\0\0");
    send(w, 0xe9);
    EXPECT(w, "\xfa\x35\x03\x28");
    send_acked(w, 0xf6);
    send(w, 0xe9);
    EXPECT(w, "\xfa\x05\x02\x64");
}

static void remote_mode_reports_when_asked(void **state)
{
    struct world *w = *state;

    send_acked(w, 0xf4);
    send_acked(w, 0xf0);
    move(w, 7, 0, 0, 0);
    assert_int_equal(next(w), -1);
    send(w, 0xeb);
    EXPECT(w, "\xfa\x08\x07\0");
    send(w, 0xeb);
    EXPECT(w, "\xfa\x08\0\0");
    send_acked(w, 0xea);
    move(w, 1, 0, 0, 0);
    EXPECT(w, "\x08\x01\0");
}

static void wrap_mode_echoes(void **state)
{
    struct world *w = *state;

    send_acked(w, 0xf4);
    send_acked(w, 0xee);
    send(w, 0xf2);
    EXPECT(w, "\xf2");
    send(w, 0xfe);
    EXPECT(w, "\xfe");
    move(w, 1, 1, 0, 0);
    assert_int_equal(next(w), -1);
    send(w, 0xec);
    EXPECT(w, "\xfa\x08\x01\x01");
}

static void scaling_doubles_in_stream_mode_alone(void **state)
{
    struct world *w = *state;

    send_acked(w, 0xe7);
    send_acked(w, 0xf4);
    move(w, 5, -3, 0, 0);
    EXPECT(w, "\x28\x09\xfd");
    move(w, 6, 200, 0, 0);
    EXPECT(w, "\x08\x0c\xff");
    move(w, 5, 0, 0, 0);
    assert_int_equal(next(w), 0x08);
    send_acked(w, 0xf0); /* a command drops the rest of a report */
    move(w, 5, 0, 0, 0);
    send(w, 0xeb);
    EXPECT(w, "\xfa\x08\x05\0");
}

static void resend_repeats_the_last_answer(void **state)
{
    struct world *w = *state;

    send(w, 0xf2);
    EXPECT(w, "\xfa\0");
    send(w, 0xfe);
    EXPECT(w, "\0");
    send_acked(w, 0xf4);
    move(w, 1, 2, 0, 0);
    EXPECT(w, "\x08\x01\x02");
    send(w, 0xfe);
    EXPECT(w, "\x08\x01\x02");
}

static void what_is_wrong_is_answered_by_resend(void **state)
{
    struct world *w = *state;

    send(w, 0xe5);
    EXPECT(w, "\xfe");
    send(w, 0x10);
    EXPECT(w, "\xfe");
    send_acked(w, 0xf3);
    send(w, 55);
    EXPECT(w, "\xfe");
    send_acked(w, 0xe8);
    send(w, 4);
    EXPECT(w, "\xfe");
    send_acked(w, 0xe8);
    send_acked(w, 0xf4); /* a command instead of an argument */
    ps2_mouse_deliver(&w->mouse, (const uint8_t *)"\1", 1);
    assert_int_equal(next(w), -1);
}

static void any_sequence_of_bytes_is_survived(void **state)
{
    struct world *w = *state;
    uint32_t x = 1;

    for (unsigned i = 0; i < 20000; i++) {
        x = x * 1664525 + 1013904223;
        if (x >> 30 == 0)
            move(w, (int)(x >> 8 & 0xfff) - 2048, (int)(x & 0xff) - 128, (int)(x >> 4 & 15) - 8, x >> 20);
        else if (x >> 30 == 1)
            next(w);
        else
            send(w, (uint8_t)(x >> 16));
    }
}

static void every_saved_byte_is_in_the_table(void **state)
{
    (void)state;
    assert_every_field_in_table(&ps2_mouse_desc, offsetof(struct ps2_mouse, moved),
                                MEMBER_END(struct ps2_mouse, doubling));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(reset_and_identity),
        T(nothing_is_reported_before_it_is_enabled),
        T(far_movement_takes_several_reports),
        T(the_wheel_is_found_by_sample_rates),
        T(five_buttons_are_found_too),
        T(status_tells_the_settings),
        T(remote_mode_reports_when_asked),
        T(wrap_mode_echoes),
        T(scaling_doubles_in_stream_mode_alone),
        T(resend_repeats_the_last_answer),
        T(what_is_wrong_is_answered_by_resend),
        T(any_sequence_of_bytes_is_survived),
        T(every_saved_byte_is_in_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
