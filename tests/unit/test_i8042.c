/* SPDX-License-Identifier: MIT */
/* The keyboard controller and the keyboard behind it. */
#include "device_test.h"

#include <devices/i8042.h>

#define DATA        0x60
#define COMMAND     0x64
#define TRANSFER_NS 660000ULL
#define NOTHING     (-1)

/* A device at the auxiliary port that answers each byte with ACK and the byte plus one. */
struct mouse {
    uint8_t bytes[8];
    unsigned n;
    uint8_t written;
};

struct fixture {
    struct fake_machine fm;
    struct irq_recorder rec;
    struct i8042 kbc;
    struct mouse mouse;
    bool a20;
    unsigned a20_calls;
    unsigned resets;
};

static void set_a20(void *opaque, bool open)
{
    struct fixture *f = opaque;

    f->a20 = open;
    f->a20_calls++;
}

static void reset(void *opaque)
{
    ((struct fixture *)opaque)->resets++;
}

static void mouse_write(void *opaque, uint8_t byte)
{
    struct mouse *m = opaque;

    m->written = byte;
    m->bytes[m->n++] = 0xfa;
    m->bytes[m->n++] = (uint8_t)(byte + 1);
}

static bool mouse_next(void *opaque, uint8_t *byte)
{
    struct mouse *m = opaque;

    if (m->n == 0)
        return false;
    *byte = m->bytes[0];
    memmove(m->bytes, m->bytes + 1, --m->n);
    return true;
}

static bool mouse_pending(const void *opaque)
{
    return ((const struct mouse *)opaque)->n != 0;
}

static void check(struct fixture *f)
{
    assert_state_survives(&i8042_desc, &f->kbc);
    assert_int_equal(f->rec.level[1], i8042_irq_level(&f->kbc, false));
    assert_int_equal(f->rec.level[12], i8042_irq_level(&f->kbc, true));
}

static void out(struct fixture *f, uint16_t port, uint8_t value)
{
    out8(&f->fm, port, value);
    check(f);
}

static uint8_t status(struct fixture *f)
{
    return in8(&f->fm, COMMAND);
}

static uint8_t read_data(struct fixture *f)
{
    uint8_t peeked = peek8(&f->fm, DATA);
    uint8_t value = in8(&f->fm, DATA);

    assert_int_equal(peeked, value);
    check(f);
    return value;
}

/* The next byte, or NOTHING if none comes in ten transfer times. */
static int next_byte(struct fixture *f)
{
    for (unsigned i = 0; i < 10 && !(status(f) & 1); i++) {
        fake_advance(&f->fm, TRANSFER_NS);
        check(f);
    }
    return (status(f) & 1) ? read_data(f) : NOTHING;
}

static void assert_bytes(struct fixture *f, const char *expected_hex)
{
    char got[128] = "";

    for (int byte = next_byte(f); byte != NOTHING; byte = next_byte(f)) {
        size_t at = strlen(got);

        assert_true(at + 4 < sizeof(got));
        got[at] = "0123456789abcdef"[byte >> 4];
        got[at + 1] = "0123456789abcdef"[byte & 15];
        got[at + 2] = ' ';
        got[at + 3] = '\0';
    }
    assert_string_equal(got, expected_hex);
}

static void keys(struct fixture *f, const char *bytes, size_t len)
{
    i8042_key_deliver(&f->kbc, (const uint8_t *)bytes, len);
    check(f);
}

#define KEYS(f, literal) keys(f, literal, sizeof(literal) - 1)

/* A command to the keyboard with its acknowledge. */
static void keyboard(struct fixture *f, uint8_t byte)
{
    out(f, DATA, byte);
    assert_int_equal(next_byte(f), 0xfa);
}

static void write_ccb(struct fixture *f, uint8_t ccb)
{
    out(f, COMMAND, 0x60);
    out(f, DATA, ccb);
}

static uint8_t read_ccb(struct fixture *f)
{
    out(f, COMMAND, 0x20);
    return read_data(f);
}

static void init(struct fixture *f, struct i8042_aux aux)
{
    memset(f, 0, sizeof(*f));
    fake_init(&f->fm);
    i8042_init(&f->kbc, &(struct i8042_wiring){
                            .clock = &f->fm.clock,
                            .ports = &f->fm.ports,
                            .irq1 = irq_recorder_line(&f->rec, 1),
                            .irq12 = irq_recorder_line(&f->rec, 12),
                            .aux = aux,
                            .set_a20 = set_a20,
                            .reset = reset,
                            .opaque = f,
                        });
}

static int setup(void **state)
{
    struct fixture *f = malloc(sizeof(*f));

    init(f, (struct i8042_aux){.write = NULL});
    *state = f;
    return 0;
}

static int setup_with_mouse(void **state)
{
    struct fixture *f = malloc(sizeof(*f));

    init(f, (struct i8042_aux){.write = mouse_write,
                               .next = mouse_next,
                               .pending = mouse_pending,
                               .opaque = &f->mouse});
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void reset_leaves_what_firmware_leaves(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(status(f), 0x14);
    assert_int_equal(read_ccb(f), 0x65);
    assert_int_equal(next_byte(f), NOTHING);
}

static void a_key_arrives_translated_after_a_transfer_time_with_irq1(void **state)
{
    struct fixture *f = *state;

    KEYS(f, "\x1c"); /* A */
    fake_advance(&f->fm, TRANSFER_NS - 1);
    assert_int_equal(status(f) & 1, 0);
    fake_advance(&f->fm, 1);
    assert_int_equal(status(f) & 0x21, 0x01);
    assert_true(f->rec.level[1]);
    assert_int_equal(read_data(f), 0x1e);
    assert_false(f->rec.level[1]);
    assert_int_equal(read_data(f), 0x1e); /* again, until the next one comes */
}

static void each_byte_makes_its_own_edge(void **state)
{
    struct fixture *f = *state;

    KEYS(f, "\xe0\x75\xe0\xf0\x75"); /* cursor up, down and up again */
    assert_bytes(f, "e0 48 e0 c8 ");
    assert_int_equal(f->rec.rises[1], 4);
}

static void the_output_buffer_holds_one_byte_and_the_keyboard_the_rest(void **state)
{
    struct fixture *f = *state;

    KEYS(f, "\x1c\x32");
    fake_advance(&f->fm, 100 * TRANSFER_NS);
    assert_int_equal(read_data(f), 0x1e);
    assert_int_equal(status(f) & 1, 0);
    fake_advance(&f->fm, TRANSFER_NS);
    assert_int_equal(read_data(f), 0x30);
}

static void without_translation_set_2_comes_through(void **state)
{
    struct fixture *f = *state;

    write_ccb(f, 0x25);
    KEYS(f, "\xe0\x75\xe0\xf0\x75\xf0\x1c");
    assert_bytes(f, "e0 75 e0 f0 75 f0 1c ");
}

static void translation_maps_function_keys_and_pause(void **state)
{
    struct fixture *f = *state;

    KEYS(f, "\x83\xf0\x83\x78\x07\x76\x84");
    assert_bytes(f, "41 c1 57 58 01 54 ");
    KEYS(f, "\xe1\x14\x77\xe1\xf0\x14\xf0\x77");
    assert_bytes(f, "e1 1d 45 e1 9d c5 ");
}

static void irq1_needs_its_bit_in_the_command_byte(void **state)
{
    struct fixture *f = *state;

    write_ccb(f, 0x64);
    KEYS(f, "\x1c");
    fake_advance(&f->fm, TRANSFER_NS);
    assert_int_equal(status(f) & 1, 1);
    assert_false(f->rec.level[1]);
    write_ccb(f, 0x65);
    assert_true(f->rec.level[1]);
}

static void a_disabled_keyboard_keeps_its_bytes(void **state)
{
    struct fixture *f = *state;

    out(f, COMMAND, 0xad);
    KEYS(f, "\x1c");
    assert_int_equal(next_byte(f), NOTHING);
    assert_int_equal(read_ccb(f), 0x75);
    out(f, COMMAND, 0xae);
    assert_int_equal(next_byte(f), 0x1e);
}

static void a_byte_for_the_keyboard_enables_it(void **state)
{
    struct fixture *f = *state;

    out(f, COMMAND, 0xad);
    keyboard(f, 0xf4);
    assert_int_equal(read_ccb(f), 0x65);
}

static void self_tests_pass(void **state)
{
    struct fixture *f = *state;

    write_ccb(f, 0x61);
    assert_int_equal(status(f) & 4, 0);
    out(f, COMMAND, 0xaa);
    assert_int_equal(status(f), 0x14 | 0x08 | 0x01);
    assert_int_equal(read_data(f), 0x55);
    assert_int_equal(read_ccb(f), 0x65);
    out(f, COMMAND, 0xab);
    assert_int_equal(read_data(f), 0x00);
    out(f, COMMAND, 0xa9);
    assert_int_equal(read_data(f), 0x00);
    out(f, COMMAND, 0xa4);
    assert_int_equal(read_data(f), 0xf1);
    out(f, COMMAND, 0xc0);
    assert_int_equal(read_data(f) & 0x80, 0x80);
    out(f, COMMAND, 0xe0);
    assert_int_equal(read_data(f), 0);
}

static void status_tells_commands_from_data(void **state)
{
    struct fixture *f = *state;

    out(f, COMMAND, 0xae);
    assert_int_equal(status(f) & 8, 8);
    out(f, DATA, 0xf4);
    assert_int_equal(status(f) & 8, 0);
    assert_int_equal(status(f) & 2, 0); /* the input buffer is never full */
}

static void controller_memory_reads_back(void **state)
{
    struct fixture *f = *state;

    for (uint8_t i = 1; i < 32; i++) {
        out(f, COMMAND, 0x60 | i);
        out(f, DATA, (uint8_t)(i * 3));
    }
    for (uint8_t i = 1; i < 32; i++) {
        out(f, COMMAND, 0x20 | i);
        assert_int_equal(read_data(f), i * 3);
    }
    assert_int_equal(read_ccb(f), 0x65);
}

static void a20_goes_through_the_output_port_and_its_short_cuts(void **state)
{
    struct fixture *f = *state;

    out(f, COMMAND, 0xd1);
    out(f, DATA, 0xdd);
    assert_false(f->a20);
    out(f, COMMAND, 0xd0);
    assert_int_equal(read_data(f) & 0x03, 0x01);
    out(f, COMMAND, 0xd1);
    out(f, DATA, 0xdf);
    assert_true(f->a20);
    out(f, COMMAND, 0xdd);
    assert_false(f->a20);
    out(f, COMMAND, 0xdf);
    assert_true(f->a20);
    assert_int_equal(f->a20_calls, 4);
    assert_int_equal(f->resets, 0);
}

static void the_output_port_shows_a_full_buffer(void **state)
{
    struct fixture *f = *state;

    KEYS(f, "\x1c");
    fake_advance(&f->fm, TRANSFER_NS);
    out(f, COMMAND, 0xd0);
    assert_int_equal(read_data(f), 0x1e);
    assert_int_equal(read_data(f) & 0x30, 0x10);
}

static void reset_is_pulsed_by_even_commands_and_by_the_output_port(void **state)
{
    struct fixture *f = *state;

    out(f, COMMAND, 0xff);
    out(f, COMMAND, 0xfd);
    assert_int_equal(f->resets, 0);
    out(f, COMMAND, 0xfe);
    assert_int_equal(f->resets, 1);
    out(f, COMMAND, 0xf0);
    assert_int_equal(f->resets, 2);
    out(f, COMMAND, 0xd1);
    out(f, DATA, 0xde);
    assert_int_equal(f->resets, 3);
}

static void a_reply_waits_for_a_full_buffer_and_raises_the_line_anew(void **state)
{
    struct fixture *f = *state;

    KEYS(f, "\x1c");
    fake_advance(&f->fm, TRANSFER_NS);
    out(f, COMMAND, 0xaa);
    assert_int_equal(read_data(f), 0x1e);
    assert_int_equal(f->rec.rises[1], 2);
    assert_int_equal(read_data(f), 0x55);
    assert_false(f->rec.level[1]);
}

static void buffers_can_be_written_as_if_a_device_had_sent(void **state)
{
    struct fixture *f = *state;

    write_ccb(f, 0x47);
    out(f, COMMAND, 0xd2);
    out(f, DATA, 0x5a);
    assert_int_equal(status(f) & 0x21, 0x01);
    assert_true(f->rec.level[1] && !f->rec.level[12]);
    assert_int_equal(read_data(f), 0x5a);
    out(f, COMMAND, 0xd3);
    out(f, DATA, 0xa5);
    assert_int_equal(status(f) & 0x21, 0x21);
    assert_true(f->rec.level[12] && !f->rec.level[1]);
    assert_int_equal(read_data(f), 0xa5);
    assert_false(f->rec.level[12]);
}

static void the_auxiliary_port_opens_and_closes(void **state)
{
    struct fixture *f = *state;

    out(f, COMMAND, 0xa8);
    assert_int_equal(read_ccb(f), 0x45);
    out(f, COMMAND, 0xa7);
    assert_int_equal(read_ccb(f), 0x65);
}

static void nothing_at_the_auxiliary_port_times_out(void **state)
{
    struct fixture *f = *state;

    write_ccb(f, 0x47);
    out(f, COMMAND, 0xd4);
    out(f, DATA, 0xff);
    assert_int_equal(status(f) & 0x61, 0x61);
    assert_true(f->rec.level[12]);
    assert_int_equal(read_data(f), 0xfe);
    assert_int_equal(status(f) & 0x61, 0);
    assert_int_equal(next_byte(f), NOTHING);
}

static void a_mouse_gets_bytes_and_answers_with_irq12(void **state)
{
    struct fixture *f = *state;

    write_ccb(f, 0x47);
    out(f, COMMAND, 0xd4);
    out(f, DATA, 0xf3);
    assert_int_equal(f->mouse.written, 0xf3);
    fake_advance(&f->fm, TRANSFER_NS);
    assert_int_equal(status(f) & 0x61, 0x21);
    assert_true(f->rec.level[12]);
    assert_int_equal(read_data(f), 0xfa);
    assert_int_equal(next_byte(f), 0xf4);
    f->mouse.bytes[0] = 0x08;
    f->mouse.n = 1;
    i8042_aux_notify(&f->kbc);
    assert_int_equal(next_byte(f), 0x08);
    out(f, COMMAND, 0xa7);
    f->mouse.n = 1;
    i8042_aux_notify(&f->kbc);
    assert_int_equal(next_byte(f), NOTHING);
    out(f, COMMAND, 0xa8);
    assert_int_equal(next_byte(f), 0x08);
}

static void keyboard_reset_acknowledges_then_passes_its_test(void **state)
{
    struct fixture *f = *state;

    out(f, DATA, 0xff);
    assert_int_equal(next_byte(f), 0xfa);
    assert_int_equal(next_byte(f), 0xaa);
    assert_int_equal(next_byte(f), NOTHING);
    KEYS(f, "\x1c"); /* scanning is on */
    assert_int_equal(next_byte(f), 0x1e);
}

static void keys_during_the_self_test_are_lost(void **state)
{
    struct fixture *f = *state;

    out(f, DATA, 0xff);
    KEYS(f, "\x1c");
    assert_bytes(f, "fa aa ");
}

static void identify_echo_and_resend(void **state)
{
    struct fixture *f = *state;

    out(f, DATA, 0xf2);
    assert_bytes(f, "fa ab 41 "); /* 83h, translated */
    write_ccb(f, 0x25);
    out(f, DATA, 0xf2);
    assert_bytes(f, "fa ab 83 ");
    out(f, DATA, 0xfe);
    assert_bytes(f, "83 ");
    out(f, DATA, 0xee);
    assert_bytes(f, "ee ");
    out(f, DATA, 0xe5); /* no command */
    assert_bytes(f, "fe ");
}

static void leds_and_typematic_take_an_argument(void **state)
{
    struct fixture *f = *state;

    keyboard(f, 0xed);
    keyboard(f, 0x05);
    assert_int_equal(i8042_leds(&f->kbc), 5);
    keyboard(f, 0xf3);
    keyboard(f, 0x7f);
    assert_int_equal(f->kbc.kbd.typematic, 0x7f);
    keyboard(f, 0xed);
    out(f, DATA, 0xee); /* a command instead of an argument */
    assert_bytes(f, "ee ");
    assert_int_equal(i8042_leds(&f->kbc), 5);
}

static void disable_stops_scanning_and_enable_starts_it(void **state)
{
    struct fixture *f = *state;

    keyboard(f, 0xf5);
    KEYS(f, "\x1c");
    assert_int_equal(next_byte(f), NOTHING);
    keyboard(f, 0xf4);
    KEYS(f, "\x1c");
    assert_int_equal(next_byte(f), 0x1e);
    out(f, COMMAND, 0xad);
    KEYS(f, "\x32");
    keyboard(f, 0xf6); /* defaults: what was typed before is forgotten */
    assert_int_equal(next_byte(f), NOTHING);
    KEYS(f, "\x1c");
    assert_int_equal(next_byte(f), 0x1e);
}

static void replies_go_before_scan_codes(void **state)
{
    struct fixture *f = *state;

    KEYS(f, "\x1c");
    out(f, DATA, 0xee);
    assert_bytes(f, "ee 1e ");
}

static void a_command_ends_the_answer_to_the_one_before(void **state)
{
    struct fixture *f = *state;

    out(f, DATA, 0xf2);
    assert_int_equal(next_byte(f), 0xfa);
    out(f, DATA, 0xee); /* the identity is not sent any more */
    assert_bytes(f, "ee ");
}

static void the_scan_code_set_can_be_read_and_chosen(void **state)
{
    struct fixture *f = *state;

    write_ccb(f, 0x25);
    keyboard(f, 0xf0);
    out(f, DATA, 0x00);
    assert_bytes(f, "fa 02 ");
    keyboard(f, 0xf0);
    keyboard(f, 0x01);
    KEYS(f, "\x1c\xf0\x1c\xe0\x75\xe0\xf0\x75\x83");
    assert_bytes(f, "1e 9e e0 48 e0 c8 41 ");
    keyboard(f, 0xf0);
    out(f, DATA, 0x04);
    assert_bytes(f, "fe ");
    keyboard(f, 0xf0);
    out(f, DATA, 0x00);
    assert_bytes(f, "fa 01 ");
}

static void set_3_has_one_code_a_key_and_releases_for_some(void **state)
{
    struct fixture *f = *state;

    write_ccb(f, 0x25);
    keyboard(f, 0xf0);
    keyboard(f, 0x03);
    KEYS(f, "\x1c\xf0\x1c");                             /* A: typematic, no release */
    KEYS(f, "\x12\xf0\x12");                             /* left shift */
    KEYS(f, "\xe0\x12\xe0\x7c\xe0\xf0\x7c\xe0\xf0\x12"); /* print screen and its fake shifts */
    assert_bytes(f, "1c 12 f0 12 57 ");
    KEYS(f, "\xe1\x14\x77\xe1\xf0\x14\xf0\x77\xe0\x75\xe0\xf0\x75\x05\x58\xf0\x58");
    assert_bytes(f, "62 63 07 14 f0 14 ");
}

static void set_3_key_types_can_be_set_for_all_and_for_one(void **state)
{
    struct fixture *f = *state;

    write_ccb(f, 0x25);
    keyboard(f, 0xf0);
    keyboard(f, 0x03);
    keyboard(f, 0xf8); /* all: make and break */
    KEYS(f, "\x1c\xf0\x1c\xe0\xf0\x75");
    assert_bytes(f, "1c f0 1c f0 63 ");
    keyboard(f, 0xfd); /* make only: A, B, KP minus */
    keyboard(f, 0x1c);
    keyboard(f, 0x32);
    keyboard(f, 0x84);
    out(f, DATA, 0xf4); /* ends the list */
    assert_bytes(f, "fa ");
    KEYS(f, "\xf0\x1c\xf0\x32\xf0\x7b\xf0\x21");
    assert_bytes(f, "f0 21 ");
    keyboard(f, 0xfc);
    keyboard(f, 0x1c);
    keyboard(f, 0xf4);
    KEYS(f, "\xf0\x1c");
    assert_bytes(f, "f0 1c ");
    keyboard(f, 0xf7);
    KEYS(f, "\xf0\x1c");
    assert_bytes(f, "");
    keyboard(f, 0xfa);
    KEYS(f, "\xf0\x32");
    assert_bytes(f, "f0 32 ");
}

static void sixteen_codes_fit_and_the_last_place_is_for_the_overrun_code(void **state)
{
    struct fixture *f = *state;

    write_ccb(f, 0x25);
    assert_true(i8042_key_ready(&f->kbc));
    KEYS(f, "\x1c\x1c\x1c\x1c\x1c\x1c\x1c");
    assert_true(i8042_key_ready(&f->kbc));
    KEYS(f, "\x1c");
    assert_false(i8042_key_ready(&f->kbc));
    KEYS(f, "\x32\x32\x32\x32\x32\x32\x32\x21\x21\x21");
    assert_bytes(f, "1c 1c 1c 1c 1c 1c 1c 1c 32 32 32 32 32 32 32 00 ");
    assert_true(i8042_key_ready(&f->kbc));
}

static void a_machine_reset_restores_the_defaults_and_stops_timers(void **state)
{
    struct fixture *f = *state;

    out(f, DATA, 0xff);
    write_ccb(f, 0x00);
    KEYS(f, "\x1c");
    i8042_reset(&f->kbc);
    check(f);
    assert_true(clock_next_deadline_ns(&f->fm.clock) == CLOCK_NEVER);
    reset_leaves_what_firmware_leaves(state);
}

static void any_sequence_of_writes_is_survived(void **state)
{
    struct fixture *f = *state;
    uint32_t seed = 7;

    for (unsigned i = 0; i < 20000; i++) {
        seed = seed * 1664525 + 1013904223;
        switch (seed >> 29) {
        case 0:
        case 1: out(f, COMMAND, (uint8_t)(seed >> 8)); break;
        case 2:
        case 3: out(f, DATA, (uint8_t)(seed >> 8)); break;
        case 4: read_data(f); break;
        case 5: keys(f, (const char[]){(char)(seed >> 8), (char)(seed >> 16)}, 2); break;
        default: fake_advance(&f->fm, seed >> 12); break;
        }
        check(f);
    }
}

static void every_saved_byte_is_in_the_table(void **state)
{
    (void)state;
    assert_every_field_in_table(&i8042_desc, 0, MEMBER_END(struct i8042, translate_release));
}

static void a_state_that_no_keyboard_holds_is_rejected(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } bad[] = {
        {offsetof(struct ps2_keyboard, queue_head), 16},
        {offsetof(struct ps2_keyboard, queue_count), 17},
        {offsetof(struct ps2_keyboard, nreplies), 5},
        {offsetof(struct ps2_keyboard, set), 0},
        {offsetof(struct ps2_keyboard, set), 4},
        {offsetof(struct i8042, reply_waits), 1},
    };
    struct fixture *f = *state;
    uint8_t saved[MEMBER_END(struct i8042, translate_release)];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        state_save(&i8042_desc, &f->kbc, saved);
        saved[bad[i].at] = bad[i].value;
        assert_int_equal(state_load(&i8042_desc, &f->kbc, saved, sizeof(saved)), -1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reset_leaves_what_firmware_leaves),
        TEST(a_key_arrives_translated_after_a_transfer_time_with_irq1),
        TEST(each_byte_makes_its_own_edge),
        TEST(the_output_buffer_holds_one_byte_and_the_keyboard_the_rest),
        TEST(without_translation_set_2_comes_through),
        TEST(translation_maps_function_keys_and_pause),
        TEST(irq1_needs_its_bit_in_the_command_byte),
        TEST(a_disabled_keyboard_keeps_its_bytes),
        TEST(a_byte_for_the_keyboard_enables_it),
        TEST(self_tests_pass),
        TEST(status_tells_commands_from_data),
        TEST(controller_memory_reads_back),
        TEST(a20_goes_through_the_output_port_and_its_short_cuts),
        TEST(the_output_port_shows_a_full_buffer),
        TEST(reset_is_pulsed_by_even_commands_and_by_the_output_port),
        TEST(a_reply_waits_for_a_full_buffer_and_raises_the_line_anew),
        TEST(buffers_can_be_written_as_if_a_device_had_sent),
        TEST(the_auxiliary_port_opens_and_closes),
        TEST(nothing_at_the_auxiliary_port_times_out),
        cmocka_unit_test_setup_teardown(a_mouse_gets_bytes_and_answers_with_irq12, setup_with_mouse,
                                        teardown),
        TEST(keyboard_reset_acknowledges_then_passes_its_test),
        TEST(keys_during_the_self_test_are_lost),
        TEST(identify_echo_and_resend),
        TEST(leds_and_typematic_take_an_argument),
        TEST(disable_stops_scanning_and_enable_starts_it),
        TEST(replies_go_before_scan_codes),
        TEST(a_command_ends_the_answer_to_the_one_before),
        TEST(the_scan_code_set_can_be_read_and_chosen),
        TEST(set_3_has_one_code_a_key_and_releases_for_some),
        TEST(set_3_key_types_can_be_set_for_all_and_for_one),
        TEST(sixteen_codes_fit_and_the_last_place_is_for_the_overrun_code),
        TEST(a_machine_reset_restores_the_defaults_and_stops_timers),
        TEST(any_sequence_of_writes_is_survived),
        TEST(every_saved_byte_is_in_the_table),
        TEST(a_state_that_no_keyboard_holds_is_rejected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
