/* SPDX-License-Identifier: MIT */
/* Ports 92h, 80h, F0h, E9h, 402h and F4h. */
#include "device_test.h"

#include <devices/isa_misc.h>

struct world {
    struct fake_machine fm;
    struct isa_misc isa;
    bool a20;
    unsigned a20_calls;
    unsigned resets;
    uint8_t post;
    unsigned fpu_errors;
    uint16_t debug_port;
    char debug[16];
    unsigned ndebug;
    uint32_t exit_value;
    unsigned exits;
};

static void set_a20(void *opaque, bool open)
{
    struct world *w = opaque;

    w->a20 = open;
    w->a20_calls++;
}

static void fast_reset(void *opaque)
{
    ((struct world *)opaque)->resets++;
}

static void post_code(void *opaque, uint8_t byte)
{
    ((struct world *)opaque)->post = byte;
}

static void fpu_error(void *opaque)
{
    ((struct world *)opaque)->fpu_errors++;
}

static void debug_out(void *opaque, uint16_t port, uint8_t byte)
{
    struct world *w = opaque;

    w->debug_port = port;
    w->debug[w->ndebug++] = (char)byte;
}

static void debug_exit(void *opaque, uint32_t value)
{
    struct world *w = opaque;

    w->exit_value = value;
    w->exits++;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    fake_init(&w->fm);
    isa_misc_init(&w->isa, &(struct isa_misc_wiring){.ports = &w->fm.ports,
                                                     .set_a20 = set_a20,
                                                     .fast_reset = fast_reset,
                                                     .post_code = post_code,
                                                     .fpu_error = fpu_error,
                                                     .debug_out = debug_out,
                                                     .debug_exit = debug_exit,
                                                     .opaque = w});
    isa_misc_reset(&w->isa);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    assert_state_survives(&isa_misc_desc, &w->isa);
    free(w);
    return 0;
}

static void a20_is_open_after_reset_and_follows_bit_1(void **state)
{
    struct world *w = *state;

    assert_true(w->a20);
    assert_int_equal(in8(&w->fm, 0x92), 0x02);
    out8(&w->fm, 0x92, 0x00);
    assert_false(w->a20);
    out8(&w->fm, 0x92, 0xf2);
    assert_true(w->a20);
    assert_int_equal(in8(&w->fm, 0x92), 0xf2);
    assert_int_equal(w->resets, 0);
    out8(&w->fm, 0x92, 0x00);
    isa_misc_reset(&w->isa);
    assert_true(w->a20);
}

static void coprocessor_errors_are_told_by_any_write(void **state)
{
    struct world *w = *state;

    assert_int_equal(in8(&w->fm, 0xf0), 0xff);
    assert_int_equal(w->fpu_errors, 0);
    out8(&w->fm, 0xf0, 0);
    out8(&w->fm, 0xf0, 0xff);
    assert_int_equal(w->fpu_errors, 2);
    out8(&w->fm, 0xf1, 0); /* resets a coprocessor of the AT's; the PIIX3 has none */
    assert_int_equal(w->fpu_errors, 2);
}

static void fast_reset_acts_on_the_rising_edge(void **state)
{
    struct world *w = *state;

    out8(&w->fm, 0x92, 0x03);
    assert_int_equal(w->resets, 1);
    out8(&w->fm, 0x92, 0x03);
    assert_int_equal(w->resets, 1);
    out8(&w->fm, 0x92, 0x02);
    out8(&w->fm, 0x92, 0x03);
    assert_int_equal(w->resets, 2);
}

static void post_codes_are_reported_and_read_back(void **state)
{
    struct world *w = *state;

    out8(&w->fm, 0x80, 0xa5);
    assert_int_equal(w->post, 0xa5);
    assert_int_equal(in8(&w->fm, 0x80), 0xa5);
    assert_int_equal(in8(&w->fm, 0x81), 0xff);
}

static void debug_consoles_take_bytes_and_identify_themselves(void **state)
{
    struct world *w = *state;

    assert_int_equal(in8(&w->fm, 0xe9), 0xe9);
    assert_int_equal(in8(&w->fm, 0x402), 0xe9);
    out8(&w->fm, 0xe9, 'h');
    assert_int_equal(w->debug_port, 0xe9);
    out8(&w->fm, 0x402, 'i');
    assert_int_equal(w->debug_port, 0x402);
    assert_string_equal(w->debug, "hi");
}

static void debug_exit_takes_any_width(void **state)
{
    struct world *w = *state;

    assert_int_equal(in32(&w->fm, 0xf4), 0);
    assert_int_equal(w->exits, 0);
    out8(&w->fm, 0xf4, 0x10);
    assert_int_equal(w->exit_value, 0x10);
    out32(&w->fm, 0xf4, 0x12345678);
    assert_int_equal(w->exit_value, 0x12345678);
    assert_int_equal(w->exits, 2);
}

static void what_is_not_wired_is_not_there(void **state)
{
    struct world *w = *state;
    struct fake_machine fm;
    struct isa_misc isa;

    (void)w;
    fake_init(&fm);
    isa_misc_init(&isa, &(struct isa_misc_wiring){.ports = &fm.ports});
    isa_misc_reset(&isa);
    out8(&fm, 0x92, 0xff);
    out8(&fm, 0xf4, 1);
    assert_int_equal(in8(&fm, 0x92), 0xff);
    assert_int_equal(in8(&fm, 0x80), 0xff);
    out8(&fm, 0xf0, 0);
    assert_int_equal(in8(&fm, 0xe9), 0xff);
    assert_int_equal(in8(&fm, 0x402), 0xff);
    assert_int_equal(in32(&fm, 0xf4), 0xffffffff);
}

static void peek_and_load_have_no_side_effects(void **state)
{
    struct world *w = *state;
    unsigned calls = w->a20_calls;

    assert_int_equal(peek8(&w->fm, 0x92), 0x02);
    assert_int_equal(peek8(&w->fm, 0xe9), 0xe9);
    assert_state_survives(&isa_misc_desc, &w->isa);
    assert_int_equal(w->a20_calls, calls);
}

static void every_field_is_saved(void **state)
{
    (void)state;
    assert_every_field_in_table(&isa_misc_desc, offsetof(struct isa_misc, port92),
                                MEMBER_END(struct isa_misc, post));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a20_is_open_after_reset_and_follows_bit_1),
        T(coprocessor_errors_are_told_by_any_write),
        T(fast_reset_acts_on_the_rising_edge),
        T(post_codes_are_reported_and_read_back),
        T(debug_consoles_take_bytes_and_identify_themselves),
        T(debug_exit_takes_any_width),
        T(what_is_not_wired_is_not_there),
        T(peek_and_load_have_no_side_effects),
        T(every_field_is_saved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
