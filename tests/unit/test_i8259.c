/* SPDX-License-Identifier: MIT */
/* The pair of 8259A against the data sheet. After every step the state survives a round trip. */
#include "device_test.h"

#include <devices/i8259.h>

#define MASTER          0x20
#define SLAVE           0xa0
#define NONSPECIFIC_EOI 0x20
#define READ_IRR        0x0a
#define READ_ISR        0x0b
#define POLL            0x0c

struct fixture {
    struct fake_machine fm;
    struct irq_recorder rec;
    struct i8259_pair pic;
};

static void check(struct fixture *f)
{
    assert_state_survives(&i8259_desc, &f->pic);
    assert_int_equal(f->rec.level[0], i8259_irq_level(&f->pic));
}

static void out(struct fixture *f, uint16_t port, uint8_t value)
{
    out8(&f->fm, port, value);
    check(f);
}

static void pin(struct fixture *f, unsigned n, bool level)
{
    struct irq_line line = i8259_line(&f->pic, n);

    irq_set(&line, level);
    check(f);
}

static void pulse(struct fixture *f, unsigned n)
{
    pin(f, n, false);
    pin(f, n, true);
}

static int ack(struct fixture *f)
{
    int vector = i8259_ack(&f->pic);

    check(f);
    return vector;
}

static uint8_t irr(struct fixture *f, uint16_t port)
{
    out(f, port, READ_IRR);
    return in8(&f->fm, port);
}

static uint8_t isr(struct fixture *f, uint16_t port)
{
    out(f, port, READ_ISR);
    return in8(&f->fm, port);
}

static void program(struct fixture *f, uint8_t icw4_master, uint8_t icw4_slave)
{
    out(f, MASTER, 0x11);
    out(f, MASTER + 1, 0x30);
    out(f, MASTER + 1, 0x04);
    out(f, MASTER + 1, icw4_master);
    out(f, SLAVE, 0x11);
    out(f, SLAVE + 1, 0x38);
    out(f, SLAVE + 1, 0x02);
    out(f, SLAVE + 1, icw4_slave);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    fake_init(&f->fm);
    i8259_init(&f->pic, &(struct i8259_wiring){.ports = &f->fm.ports,
                                               .intr = irq_recorder_line(&f->rec, 0)});
    program(f, 0x01, 0x01);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void an_edge_requests_and_ack_gives_the_programmed_vector(void **state)
{
    struct fixture *f = *state;

    pin(f, 4, true);
    assert_true(f->rec.level[0]);
    assert_int_equal(irr(f, MASTER), 0x10);
    assert_int_equal(ack(f), 0x34);
    assert_false(f->rec.level[0]);
    assert_int_equal(isr(f, MASTER), 0x10);
    assert_int_equal(irr(f, MASTER), 0); /* still high, but that was the edge */
    out(f, MASTER, NONSPECIFIC_EOI);
    assert_int_equal(isr(f, MASTER), 0);
    assert_false(f->rec.level[0]);
}

static void a_level_input_requests_again_after_eoi(void **state)
{
    struct fixture *f = *state;

    out(f, 0x4d0, 0x20);
    pin(f, 5, true);
    assert_int_equal(ack(f), 0x35);
    assert_int_equal(irr(f, MASTER), 0x20);
    assert_false(f->rec.level[0]);
    out(f, MASTER, NONSPECIFIC_EOI);
    assert_true(f->rec.level[0]);
    pin(f, 5, false);
    assert_false(f->rec.level[0]);
}

static void elcr_keeps_the_timer_keyboard_cascade_rtc_and_fpu_edge_sensitive(void **state)
{
    struct fixture *f = *state;

    out(f, 0x4d0, 0xff);
    out(f, 0x4d1, 0xff);
    assert_int_equal(in8(&f->fm, 0x4d0), 0xf8);
    assert_int_equal(in8(&f->fm, 0x4d1), 0xde);
    program(f, 0x01, 0x01); /* ICW1 leaves ELCR alone */
    assert_int_equal(in8(&f->fm, 0x4d0), 0xf8);
}

static void an_edge_that_drops_before_ack_gives_the_spurious_irq7(void **state)
{
    struct fixture *f = *state;

    pin(f, 3, true);
    pin(f, 3, false);
    assert_false(f->rec.level[0]);
    assert_int_equal(ack(f), 0x37);
    assert_int_equal(isr(f, MASTER), 0); /* a spurious one is not in service */
}

static void a_slave_request_that_drops_gives_the_spurious_irq15_and_holds_irq2(void **state)
{
    struct fixture *f = *state;

    pin(f, 11, true);
    out(f, SLAVE + 1, 0xff);
    assert_false(f->rec.level[0]);
    out(f, SLAVE + 1, 0);
    assert_true(f->rec.level[0]);
    /* Between the master's INTA and the slave's there is no moment for it to drop: poll the slave.
     */
    out(f, SLAVE, POLL);
    assert_int_equal(in8(&f->fm, SLAVE), 0x83);
    assert_false(f->rec.level[0]);
    out(f, 0x4d0, 0x00);
    /* A master that holds IR2 although the slave has nothing: from a saved state. */
    f->pic.chip[0].lines |= 4;
    f->pic.chip[0].latch |= 4;
    assert_int_equal(i8259_ack(&f->pic), 0x3f);
    assert_int_equal(isr(f, MASTER), 0x04);
}

static void priorities_nest_and_lower_requests_wait(void **state)
{
    struct fixture *f = *state;

    pin(f, 4, true);
    assert_int_equal(ack(f), 0x34);
    pin(f, 6, true);
    assert_false(f->rec.level[0]);
    pin(f, 1, true);
    assert_true(f->rec.level[0]);
    assert_int_equal(ack(f), 0x31);
    assert_int_equal(isr(f, MASTER), 0x12);
    out(f, MASTER, NONSPECIFIC_EOI); /* ends 1, the highest */
    assert_int_equal(isr(f, MASTER), 0x10);
    assert_false(f->rec.level[0]);
    out(f, MASTER, NONSPECIFIC_EOI);
    assert_int_equal(ack(f), 0x36);
}

static void a_masked_input_waits_in_irr(void **state)
{
    struct fixture *f = *state;

    out(f, MASTER + 1, 0x10);
    assert_int_equal(in8(&f->fm, MASTER + 1), 0x10);
    pin(f, 4, true);
    assert_false(f->rec.level[0]);
    assert_int_equal(irr(f, MASTER), 0x10);
    out(f, MASTER + 1, 0);
    assert_true(f->rec.level[0]);
}

static void a_slave_interrupt_is_in_service_in_both(void **state)
{
    struct fixture *f = *state;

    pin(f, 12, true);
    assert_int_equal(irr(f, MASTER), 0x04);
    assert_int_equal(ack(f), 0x3c);
    assert_int_equal(isr(f, MASTER), 0x04);
    assert_int_equal(isr(f, SLAVE), 0x10);
    out(f, SLAVE, NONSPECIFIC_EOI);
    out(f, MASTER, NONSPECIFIC_EOI);
    assert_int_equal(isr(f, MASTER) | isr(f, SLAVE), 0);
}

static void a_second_slave_request_makes_a_new_edge_at_the_master(void **state)
{
    struct fixture *f = *state;

    pin(f, 12, true);
    pin(f, 14, true);
    assert_int_equal(ack(f), 0x3c);
    out(f, MASTER, NONSPECIFIC_EOI);
    assert_false(f->rec.level[0]); /* 14 waits for 12 in the slave */
    out(f, SLAVE, NONSPECIFIC_EOI);
    assert_true(f->rec.level[0]);
    assert_int_equal(ack(f), 0x3e);
}

static void with_aeoi_in_the_slave_a_pending_request_reaches_the_master_again(void **state)
{
    struct fixture *f = *state;

    program(f, 0x01, 0x03);
    pulse(f, 9);
    pulse(f, 10);
    assert_int_equal(ack(f), 0x39);
    assert_int_equal(isr(f, SLAVE), 0);
    assert_int_equal(irr(f, MASTER), 0x04); /* the slave's INT fell in INTA and rose again */
    out(f, MASTER, NONSPECIFIC_EOI);
    assert_int_equal(ack(f), 0x3a);
}

static void the_cascade_pin_ignores_what_drives_it(void **state)
{
    struct fixture *f = *state;

    pin(f, 2, true);
    pin(f, 16, true);
    assert_false(f->rec.level[0]);
    assert_int_equal(irr(f, MASTER), 0);
}

static void special_fully_nested_mode_lets_the_slave_interrupt_itself(void **state)
{
    struct fixture *f = *state;

    pin(f, 12, true);
    assert_int_equal(ack(f), 0x3c);
    pin(f, 9, true);
    assert_false(f->rec.level[0]); /* fully nested: IR2 is in service */
    program(f, 0x11, 0x01);
    pulse(f, 12);
    assert_int_equal(ack(f), 0x3c);
    pulse(f, 9);
    assert_true(f->rec.level[0]);
    assert_int_equal(ack(f), 0x39);
    pulse(f, 5);
    assert_false(f->rec.level[0]); /* lower than IR2: still waits */
}

static void specific_eoi_ends_the_input_it_names(void **state)
{
    struct fixture *f = *state;

    pin(f, 4, true);
    ack(f);
    pin(f, 1, true);
    ack(f);
    out(f, MASTER, 0x60 | 4);
    assert_int_equal(isr(f, MASTER), 0x02);
}

static void automatic_eoi_leaves_nothing_in_service(void **state)
{
    struct fixture *f = *state;

    program(f, 0x03, 0x01);
    pulse(f, 4);
    assert_int_equal(ack(f), 0x34);
    assert_int_equal(isr(f, MASTER), 0);
    pulse(f, 6);
    assert_true(f->rec.level[0]);
}

static void rotate_on_nonspecific_eoi_makes_the_served_input_the_lowest(void **state)
{
    struct fixture *f = *state;

    pulse(f, 4);
    ack(f);
    out(f, MASTER, 0xa0);
    pulse(f, 4);
    pulse(f, 6);
    assert_int_equal(ack(f), 0x36); /* 5, 6, 7, 0, ... 4 now */
    assert_false(f->rec.level[0]);
}

static void rotate_on_specific_eoi_and_set_priority(void **state)
{
    struct fixture *f = *state;

    pulse(f, 1);
    ack(f);
    out(f, MASTER, 0xe0 | 1);
    assert_int_equal(isr(f, MASTER), 0);
    pulse(f, 1);
    pulse(f, 7);
    assert_int_equal(ack(f), 0x37);
    out(f, MASTER, NONSPECIFIC_EOI);
    out(f, MASTER, 0xc0 | 6); /* set priority: 6 the lowest, 7 the highest */
    pulse(f, 7);
    assert_int_equal(ack(f), 0x37);
    out(f, MASTER, 0x40); /* no operation */
    assert_int_equal(isr(f, MASTER), 0x80);
}

static void rotate_in_automatic_eoi_goes_round(void **state)
{
    struct fixture *f = *state;

    program(f, 0x03, 0x01);
    out(f, MASTER, 0x80);
    out(f, 0x4d0, 0x18); /* 3 and 4 stay high */
    pin(f, 3, true);
    pin(f, 4, true);
    assert_int_equal(ack(f), 0x33);
    assert_int_equal(ack(f), 0x34);
    assert_int_equal(ack(f), 0x33);
    out(f, MASTER, 0x00); /* clear rotation */
    assert_int_equal(ack(f), 0x34);
    assert_int_equal(ack(f), 0x34); /* 3 stays the lowest */
}

static void special_mask_mode_lets_lower_requests_through(void **state)
{
    struct fixture *f = *state;

    pin(f, 3, true);
    ack(f);
    pin(f, 6, true);
    assert_false(f->rec.level[0]);
    out(f, MASTER + 1, 0x08);
    out(f, MASTER, 0x68);
    assert_true(f->rec.level[0]);
    assert_int_equal(ack(f), 0x36);
    out(f, MASTER, NONSPECIFIC_EOI); /* ends 6: 3 is masked, and so out of its reach */
    assert_int_equal(isr(f, MASTER), 0x08);
    out(f, MASTER, NONSPECIFIC_EOI);
    assert_int_equal(isr(f, MASTER), 0x08);
    out(f, MASTER, 0x48); /* ESMM without SMM ends the mode */
    out(f, MASTER, NONSPECIFIC_EOI);
    assert_int_equal(isr(f, MASTER), 0);
}

static void int_drops_in_inta_so_that_the_next_request_is_an_edge(void **state)
{
    struct fixture *f = *state;

    program(f, 0x03, 0x01); /* automatic EOI: nothing in service holds the next one back */
    pin(f, 3, true);
    pin(f, 4, true);
    assert_int_equal(f->rec.rises[0], 1);
    assert_int_equal(ack(f), 0x33);
    assert_true(f->rec.level[0]);
    assert_int_equal(f->rec.rises[0], 2);
    assert_int_equal(ack(f), 0x34);
    assert_false(f->rec.level[0]);
}

static void requests_wait_for_the_end_of_the_initialization_sequence(void **state)
{
    struct fixture *f = *state;

    out(f, 0x4d0, 0x20);
    pin(f, 5, true);
    out(f, MASTER, 0x11);
    assert_false(f->rec.level[0]);
    out(f, MASTER + 1, 0x30);
    pin(f, 3, true);
    assert_false(f->rec.level[0]);
    out(f, MASTER + 1, 0x04);
    assert_int_equal(irr(f, MASTER), 0x28);
    assert_false(f->rec.level[0]);
    out(f, MASTER + 1, 0x01);
    assert_true(f->rec.level[0]);
    assert_int_equal(ack(f), 0x33);
}

static void ltim_does_not_make_inputs_level_sensitive(void **state)
{
    struct fixture *f = *state;

    out(f, MASTER, 0x19); /* ICW1 with LTIM; ELCR alone counts (82371AB, 4D0h) */
    out(f, MASTER + 1, 0x30);
    out(f, MASTER + 1, 0x04);
    out(f, MASTER + 1, 0x01);
    pin(f, 5, true);
    assert_int_equal(ack(f), 0x35);
    out(f, MASTER, NONSPECIFIC_EOI);
    assert_false(f->rec.level[0]);
}

static void in_special_mask_mode_a_masked_input_is_not_ended_by_nonspecific_eoi(void **state)
{
    struct fixture *f = *state;

    pin(f, 3, true);
    assert_int_equal(ack(f), 0x33);
    out(f, MASTER + 1, 0x08);
    out(f, MASTER, 0x68);
    pin(f, 5, true);
    assert_int_equal(ack(f), 0x35);
    out(f, MASTER, NONSPECIFIC_EOI);
    assert_int_equal(isr(f, MASTER), 0x08);
    out(f, MASTER, NONSPECIFIC_EOI);
    assert_int_equal(isr(f, MASTER), 0x08);
    out(f, MASTER, 0x63); /* the specific one does */
    assert_int_equal(isr(f, MASTER), 0);
}

static void the_operation_without_eoi_and_rotation_changes_nothing(void **state)
{
    struct fixture *f = *state;

    pin(f, 3, true);
    assert_int_equal(ack(f), 0x33);
    out(f, MASTER, 0x40); /* OCW2 010: no operation */
    assert_int_equal(isr(f, MASTER), 0x08);
    assert_int_equal(f->pic.chip[0].lowest, 7);
}

static void rotation_in_automatic_eoi_can_be_switched_off(void **state)
{
    struct fixture *f = *state;

    program(f, 0x03, 0x01);
    out(f, MASTER, 0x80);
    pulse(f, 3);
    assert_int_equal(ack(f), 0x33);
    assert_int_equal(f->pic.chip[0].lowest, 3);
    out(f, MASTER, 0x00);
    pulse(f, 5);
    assert_int_equal(ack(f), 0x35);
    assert_int_equal(f->pic.chip[0].lowest, 3);
}

static void polling_the_master_and_then_the_slave_serves_a_slave_input(void **state)
{
    struct fixture *f = *state;

    pin(f, 12, true);
    out(f, MASTER, POLL);
    assert_int_equal(in8(&f->fm, MASTER), 0x82);
    out(f, SLAVE, POLL);
    assert_int_equal(in8(&f->fm, SLAVE + 1), 0x84); /* either port is the poll */
    assert_int_equal(isr(f, MASTER), 0x04);
    assert_int_equal(isr(f, SLAVE), 0x10);
    assert_false(f->rec.level[0]);
    out(f, MASTER, POLL);
    assert_int_equal(in8(&f->fm, MASTER) & 0x80, 0);
}

static void automatic_eoi_of_a_level_input_interrupts_on_and_on(void **state)
{
    struct fixture *f = *state;

    program(f, 0x03, 0x01);
    out(f, 0x4d0, 0x20);
    pin(f, 5, true);
    assert_int_equal(ack(f), 0x35);
    assert_true(f->rec.level[0]);
    assert_int_equal(ack(f), 0x35);
    pin(f, 5, false);
    assert_false(f->rec.level[0]);
}

static void a_nonspecific_eoi_ends_the_highest_in_service_by_the_priority_of_now(void **state)
{
    struct fixture *f = *state;

    pin(f, 5, true);
    assert_int_equal(ack(f), 0x35);
    pin(f, 2 + 1, true);
    assert_int_equal(ack(f), 0x33);
    out(f, MASTER, 0xc3); /* 3 is the lowest now, 5 is higher */
    out(f, MASTER, NONSPECIFIC_EOI);
    assert_int_equal(isr(f, MASTER), 0x08);
}

static void poll_acknowledges_and_peek_does_not(void **state)
{
    struct fixture *f = *state;

    pin(f, 5, true);
    out(f, MASTER, POLL);
    assert_int_equal(peek8(&f->fm, MASTER), 0x85);
    assert_int_equal(peek8(&f->fm, MASTER), 0x85);
    assert_int_equal(in8(&f->fm, MASTER), 0x85);
    check(f);
    assert_false(f->rec.level[0]);
    assert_int_equal(isr(f, MASTER), 0x20);
    out(f, MASTER, POLL);
    assert_int_equal(in8(&f->fm, MASTER + 1), 0x00); /* either port; nothing requests */
    assert_int_equal(in8(&f->fm, MASTER + 1), 0x00); /* IMR again */
}

static void ocw3_without_rr_keeps_what_the_even_port_reads(void **state)
{
    struct fixture *f = *state;

    pin(f, 5, true);
    ack(f);
    out(f, MASTER, READ_ISR);
    out(f, MASTER, 0x08);
    assert_int_equal(in8(&f->fm, MASTER), 0x20);
    out(f, MASTER, 0x11);
    assert_int_equal(in8(&f->fm, MASTER), 0x00); /* ICW1 selects IRR */
}

static void icw1_forgets_edges_masks_and_service(void **state)
{
    struct fixture *f = *state;

    out(f, MASTER + 1, 0x40);
    pin(f, 1, true);
    ack(f);
    pin(f, 0, true);
    program(f, 0x01, 0x01);
    assert_int_equal(isr(f, MASTER), 0);
    assert_int_equal(in8(&f->fm, MASTER + 1), 0);
    assert_int_equal(irr(f, MASTER), 0);
    assert_false(f->rec.level[0]);
    pulse(f, 0);
    assert_int_equal(ack(f), 0x30);
}

static void icw3_is_skipped_in_single_mode_and_icw4_without_ic4(void **state)
{
    struct fixture *f = *state;

    out(f, MASTER, 0x12); /* single, no ICW4 */
    out(f, MASTER + 1, 0x47);
    out(f, MASTER + 1, 0xf7); /* OCW1 already */
    assert_int_equal(in8(&f->fm, MASTER + 1), 0xf7);
    pulse(f, 3);
    assert_int_equal(ack(f), 0x43);
    assert_int_equal(isr(f, MASTER), 0x08); /* without ICW4 there is no AEOI */
    out(f, MASTER, 0x10);                   /* cascade, no ICW4 */
    out(f, MASTER + 1, 0x48);
    out(f, MASTER + 1, 0x04);
    out(f, MASTER + 1, 0x55);
    assert_int_equal(in8(&f->fm, MASTER + 1), 0x55);
}

static void a_slave_with_another_identity_leaves_the_bus_floating(void **state)
{
    struct fixture *f = *state;

    out(f, SLAVE, 0x11);
    out(f, SLAVE + 1, 0x38);
    out(f, SLAVE + 1, 0x05);
    out(f, SLAVE + 1, 0x01);
    pin(f, 8, true);
    assert_int_equal(ack(f), 0xff);
}

static void reset_masks_all_inputs(void **state)
{
    struct fixture *f = *state;

    pin(f, 1, true);
    i8259_reset(&f->pic);
    check(f);
    assert_false(f->rec.level[0]);
    assert_int_equal(in8(&f->fm, MASTER + 1), 0xff);
    assert_int_equal(in8(&f->fm, SLAVE + 1), 0xff);
    assert_int_equal(ack(f), 0x0f);
}

static void every_saved_byte_is_in_the_table(void **state)
{
    (void)state;
    assert_every_field_in_table(&i8259_desc, 0, MEMBER_END(struct i8259_pair, chip));
}

static void a_state_that_no_chip_holds_is_rejected(void **state)
{
    struct fixture *f = *state;
    uint8_t saved[2 * sizeof(struct i8259_chip)];

    state_save(&i8259_desc, &f->pic, saved);
    saved[offsetof(struct i8259_chip, lowest)] = 8;
    assert_int_equal(state_load(&i8259_desc, &f->pic, saved, sizeof(saved)), -1);
    saved[offsetof(struct i8259_chip, lowest)] = 7;
    saved[offsetof(struct i8259_chip, latch)] = 1;
    assert_int_equal(state_load(&i8259_desc, &f->pic, saved, sizeof(saved)), -1);
    saved[offsetof(struct i8259_chip, lines)] = 1;
    assert_int_equal(state_load(&i8259_desc, &f->pic, saved, sizeof(saved)), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_edge_requests_and_ack_gives_the_programmed_vector),
        TEST(a_level_input_requests_again_after_eoi),
        TEST(elcr_keeps_the_timer_keyboard_cascade_rtc_and_fpu_edge_sensitive),
        TEST(an_edge_that_drops_before_ack_gives_the_spurious_irq7),
        TEST(a_slave_request_that_drops_gives_the_spurious_irq15_and_holds_irq2),
        TEST(priorities_nest_and_lower_requests_wait),
        TEST(a_masked_input_waits_in_irr),
        TEST(a_slave_interrupt_is_in_service_in_both),
        TEST(a_second_slave_request_makes_a_new_edge_at_the_master),
        TEST(with_aeoi_in_the_slave_a_pending_request_reaches_the_master_again),
        TEST(the_cascade_pin_ignores_what_drives_it),
        TEST(special_fully_nested_mode_lets_the_slave_interrupt_itself),
        TEST(specific_eoi_ends_the_input_it_names),
        TEST(automatic_eoi_leaves_nothing_in_service),
        TEST(rotate_on_nonspecific_eoi_makes_the_served_input_the_lowest),
        TEST(rotate_on_specific_eoi_and_set_priority),
        TEST(rotate_in_automatic_eoi_goes_round),
        TEST(special_mask_mode_lets_lower_requests_through),
        TEST(int_drops_in_inta_so_that_the_next_request_is_an_edge),
        TEST(requests_wait_for_the_end_of_the_initialization_sequence),
        TEST(ltim_does_not_make_inputs_level_sensitive),
        TEST(in_special_mask_mode_a_masked_input_is_not_ended_by_nonspecific_eoi),
        TEST(the_operation_without_eoi_and_rotation_changes_nothing),
        TEST(rotation_in_automatic_eoi_can_be_switched_off),
        TEST(polling_the_master_and_then_the_slave_serves_a_slave_input),
        TEST(automatic_eoi_of_a_level_input_interrupts_on_and_on),
        TEST(a_nonspecific_eoi_ends_the_highest_in_service_by_the_priority_of_now),
        TEST(poll_acknowledges_and_peek_does_not),
        TEST(ocw3_without_rr_keeps_what_the_even_port_reads),
        TEST(icw1_forgets_edges_masks_and_service),
        TEST(icw3_is_skipped_in_single_mode_and_icw4_without_ic4),
        TEST(a_slave_with_another_identity_leaves_the_bus_floating),
        TEST(reset_masks_all_inputs),
        TEST(every_saved_byte_is_in_the_table),
        TEST(a_state_that_no_chip_holds_is_rejected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
