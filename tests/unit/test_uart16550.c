/* SPDX-License-Identifier: MIT */
/* The 16550A against the data sheet. */
#include "device_test.h"

#include <devices/uart16550.h>

#define BASE 0x3f8
#define DATA (BASE + 0)
#define IER  (BASE + 1)
#define IIR  (BASE + 2)
#define FCR  (BASE + 2)
#define LCR  (BASE + 3)
#define MCR  (BASE + 4)
#define LSR  (BASE + 5)
#define MSR  (BASE + 6)
#define SCR  (BASE + 7)
#define OUT2 0x08
#define LOOP 0x10

struct fixture {
    struct fake_machine fm;
    struct irq_recorder rec;
    struct uart16550 uart;
    char sent[64];
    size_t nsent;
};

static void take(void *opaque, const uint8_t *data, size_t len)
{
    struct fixture *f = opaque;

    assert_true(f->nsent + len <= sizeof(f->sent));
    memcpy(f->sent + f->nsent, data, len);
    f->nsent += len;
}

static void check(struct fixture *f)
{
    assert_state_survives(&uart16550_desc, &f->uart);
    assert_int_equal(f->rec.level[4], uart16550_irq_level(&f->uart));
}

static void out(struct fixture *f, uint16_t port, uint8_t value)
{
    out8(&f->fm, port, value);
    check(f);
}

static uint8_t in(struct fixture *f, uint16_t port)
{
    uint8_t peeked = peek8(&f->fm, port);
    uint8_t value = in8(&f->fm, port);

    assert_int_equal(peeked, value);
    check(f);
    return value;
}

static void receive(struct fixture *f, const char *text)
{
    for (; *text != '\0'; text++) {
        uart16550_receive(&f->uart, (uint8_t)*text);
        check(f);
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    fake_init(&f->fm);
    uart16550_init(&f->uart, &(struct uart16550_wiring){.clock = &f->fm.clock,
                                                        .ports = &f->fm.ports,
                                                        .base = BASE,
                                                        .irq = irq_recorder_line(&f->rec, 4),
                                                        .out = take,
                                                        .opaque = f});
    out(f, MCR, OUT2);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void reset_state_is_the_data_sheets_with_a_line_set_up(void **state)
{
    struct fixture *f = *state;

    uart16550_reset(&f->uart);
    check(f);
    assert_int_equal(in(f, IER), 0);
    assert_int_equal(in(f, IIR), 0x01);
    assert_int_equal(in(f, LCR), 0x03);
    assert_int_equal(in(f, MCR), 0);
    assert_int_equal(in(f, LSR), 0x60);
    assert_int_equal(in(f, MSR), 0xb0);
    out(f, LCR, 0x83);
    assert_int_equal(in(f, DATA), 12);
    assert_int_equal(in(f, IER), 0);
}

static void a_written_byte_leaves_at_once_and_thr_stays_empty(void **state)
{
    struct fixture *f = *state;

    out(f, DATA, 'h');
    assert_int_equal(in(f, LSR), 0x60);
    out(f, DATA, 'i');
    assert_int_equal(f->nsent, 2);
    assert_memory_equal(f->sent, "hi", 2);
}

static void dlab_shows_the_divisor_and_hides_data_and_ier(void **state)
{
    struct fixture *f = *state;

    receive(f, "x");
    out(f, LCR, 0x83);
    out(f, DATA, 0x34);
    out(f, IER, 0x12);
    assert_int_equal(in(f, DATA), 0x34);
    assert_int_equal(in(f, IER), 0x12);
    assert_int_equal(f->nsent, 0);
    out(f, LCR, 0x03);
    assert_int_equal(in(f, IER), 0);
    assert_int_equal(in(f, DATA), 'x');
}

static void writable_bits_are_those_of_the_chip(void **state)
{
    struct fixture *f = *state;

    out(f, IER, 0xff);
    assert_int_equal(in(f, IER), 0x0f);
    out(f, MCR, 0xff);
    assert_int_equal(in(f, MCR), 0x1f);
    out(f, SCR, 0xa5);
    assert_int_equal(in(f, SCR), 0xa5);
    out(f, LSR, 0xff);
    out(f, MCR, 0);
    assert_int_equal(in(f, LSR), 0x60);
}

static void thre_interrupts_once_when_enabled_and_once_a_write(void **state)
{
    struct fixture *f = *state;

    out(f, IER, 0x02);
    assert_true(f->rec.level[4]);
    assert_int_equal(in(f, IIR), 0x02);
    assert_false(f->rec.level[4]); /* reading IIR took it back */
    assert_int_equal(in(f, IIR), 0x01);
    out(f, IER, 0x02); /* was enabled already */
    assert_false(f->rec.level[4]);
    out(f, DATA, 'a');
    assert_true(f->rec.level[4]);
    out(f, IER, 0x00);
    assert_false(f->rec.level[4]);
    out(f, IER, 0x02);
    assert_int_equal(in(f, IIR), 0x02);
}

static void a_write_makes_an_edge_even_when_thre_was_not_acknowledged(void **state)
{
    struct fixture *f = *state;
    unsigned rises;

    out(f, IER, 0x02);
    rises = f->rec.rises[4];
    out(f, DATA, 'a');
    out(f, DATA, 'b');
    assert_int_equal(f->rec.rises[4] - rises, 2);
}

static void without_fifo_one_byte_interrupts_and_a_second_overruns_it(void **state)
{
    struct fixture *f = *state;

    out(f, IER, 0x01);
    assert_true(uart16550_can_receive(&f->uart));
    receive(f, "a");
    assert_false(uart16550_can_receive(&f->uart));
    assert_int_equal(in(f, IIR), 0x04);
    assert_int_equal(in(f, LSR), 0x61);
    receive(f, "b");
    assert_int_equal(in(f, LSR), 0x63);
    assert_int_equal(in(f, LSR), 0x61); /* reading took OE back */
    assert_int_equal(in(f, DATA), 'b');
    assert_false(f->rec.level[4]);
    assert_int_equal(in(f, LSR), 0x60);
    assert_int_equal(in(f, DATA), 'b'); /* an empty receiver shows the last byte */
}

static void the_fifo_keeps_order_and_interrupts_at_its_trigger(void **state)
{
    static const uint8_t levels[4] = {1, 4, 8, 14};
    struct fixture *f = *state;

    out(f, IER, 0x01);
    for (unsigned t = 0; t < 4; t++) {
        out(f, FCR, (uint8_t)(0x03 | t << 6));
        for (unsigned i = 0; i < 16; i++) {
            assert_int_equal(uart16550_room(&f->uart), 16 - i);
            assert_int_equal(f->rec.level[4], i >= levels[t]);
            uart16550_receive(&f->uart, (uint8_t)('a' + i));
            check(f);
        }
        assert_int_equal(in(f, IIR), 0xc4);
        assert_false(uart16550_can_receive(&f->uart));
        for (unsigned i = 0; i < 16; i++) {
            assert_int_equal(f->rec.level[4], 16 - i >= levels[t]);
            assert_int_equal(in(f, DATA), 'a' + i);
        }
        assert_int_equal(in(f, LSR), 0x60);
    }
}

static void a_full_fifo_loses_the_new_byte_and_says_overrun(void **state)
{
    struct fixture *f = *state;

    out(f, FCR, 0x01);
    out(f, IER, 0x04);
    receive(f, "0123456789abcdef");
    assert_false(f->rec.level[4]);
    receive(f, "X");
    assert_int_equal(in(f, IIR), 0xc6);
    assert_int_equal(in(f, LSR), 0x63);
    assert_false(f->rec.level[4]);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(in(f, DATA), "0123456789abcdef"[i]);
    assert_int_equal(in(f, LSR), 0x60);
}

static void character_timeout_comes_after_four_character_times(void **state)
{
    struct fixture *f = *state;
    uint64_t four;

    out(f, FCR, 0xc1);
    out(f, IER, 0x01);
    out(f, LCR, 0x83);
    out(f, DATA, 1);
    out(f, LCR, 0x03);
    four = 4 * uart16550_char_ns(&f->uart);
    assert_in_range(four, 4 * 86800, 4 * 86810); /* 10 bits at 115200 */
    receive(f, "a");
    fake_advance(&f->fm, four - 1);
    assert_false(f->rec.level[4]);
    receive(f, "b"); /* starts the wait again */
    fake_advance(&f->fm, four - 1);
    assert_false(f->rec.level[4]);
    fake_advance(&f->fm, 1);
    check(f);
    assert_int_equal(in(f, IIR), 0xcc);
    assert_int_equal(in(f, IIR), 0xcc); /* only reading data takes it back */
    assert_int_equal(in(f, DATA), 'a');
    assert_false(f->rec.level[4]);
    fake_advance(&f->fm, four);
    assert_int_equal(in(f, IIR), 0xcc);
    assert_int_equal(in(f, DATA), 'b');
    fake_advance(&f->fm, 10 * four);
    assert_false(f->rec.level[4]);
}

static void no_character_timeout_without_fifo(void **state)
{
    struct fixture *f = *state;

    receive(f, "a");
    assert_true(clock_next_deadline_ns(&f->fm.clock) == CLOCK_NEVER);
}

static void character_time_follows_divisor_and_format(void **state)
{
    struct fixture *f = *state;

    f->uart.divisor = 12;
    f->uart.lcr = 0x03; /* 8N1 at 9600 */
    assert_int_equal(uart16550_char_ns(&f->uart), 1041667);
    f->uart.lcr = 0x1f; /* 8E2: 12 bits */
    assert_int_equal(uart16550_char_ns(&f->uart), 1250000);
    f->uart.lcr = 0x04; /* 5N1.5: 7.5 bits */
    assert_int_equal(uart16550_char_ns(&f->uart), 781250);
    f->uart.divisor = 0; /* 65536 */
    f->uart.lcr = 0x03;
    assert_int_equal(uart16550_char_ns(&f->uart), 5688888889ULL);
}

static void interrupt_priorities_are_line_data_thre_modem(void **state)
{
    struct fixture *f = *state;

    out(f, IER, 0x0f);
    receive(f, "ab");
    uart16550_set_modem(&f->uart, 0);
    check(f);
    assert_int_equal(in(f, IIR), 0x06);
    in(f, LSR);
    assert_int_equal(in(f, IIR), 0x04);
    in(f, DATA);
    assert_int_equal(in(f, IIR), 0x02);
    assert_int_equal(in(f, IIR), 0x00);
    in(f, MSR);
    assert_int_equal(in(f, IIR), 0x01);
    assert_false(f->rec.level[4]);
}

static void out2_gates_the_interrupt_line(void **state)
{
    struct fixture *f = *state;

    out(f, IER, 0x01);
    out(f, MCR, 0);
    receive(f, "a");
    assert_false(f->rec.level[4]);
    assert_int_equal(in(f, IIR), 0x04);
    out(f, MCR, OUT2);
    assert_true(f->rec.level[4]);
}

static void a_break_travels_with_its_byte(void **state)
{
    struct fixture *f = *state;

    out(f, FCR, 0x01);
    out(f, IER, 0x04);
    receive(f, "a");
    uart16550_receive_break(&f->uart);
    check(f);
    receive(f, "b");
    assert_false(f->rec.level[4]); /* not at the top yet */
    assert_int_equal(peek8(&f->fm, LSR), 0xe1);
    assert_int_equal(in(f, DATA), 'a');
    assert_true(f->rec.level[4]);
    assert_int_equal(in(f, IIR), 0xc6);
    assert_int_equal(in(f, LSR), 0xf1);
    assert_int_equal(in(f, LSR), 0x61);
    assert_false(f->rec.level[4]);
    assert_int_equal(in(f, DATA), 0);
    assert_int_equal(in(f, DATA), 'b');
}

static void modem_status_deltas_last_until_read(void **state)
{
    struct fixture *f = *state;

    in(f, MSR);
    out(f, IER, 0x08);
    uart16550_set_modem(&f->uart, UART16550_DSR | UART16550_DCD);
    check(f);
    assert_true(f->rec.level[4]);
    assert_int_equal(in(f, MSR), 0xa1);
    assert_false(f->rec.level[4]);
    assert_int_equal(in(f, MSR), 0xa0);
    uart16550_set_modem(&f->uart, UART16550_RI);
    assert_int_equal(in(f, MSR), 0x40 | 0x0a); /* RI that begins is no event */
    uart16550_set_modem(&f->uart, 0);
    assert_int_equal(in(f, MSR), 0x04); /* RI that ends is */
}

static void loopback_turns_outputs_into_inputs(void **state)
{
    struct fixture *f = *state;

    out(f, MCR, LOOP);
    in(f, MSR);
    out(f, MCR, LOOP | 0x0a); /* what autoconfiguration looks for: RTS and OUT2 */
    assert_int_equal(in(f, MSR) & 0xf0, 0x90);
    out(f, MCR, LOOP | 0x01);
    assert_int_equal(in(f, MSR), 0x20 | 0x0b);
    out(f, MCR, LOOP | 0x04);
    assert_int_equal(in(f, MSR), 0x40 | 0x02);
    out(f, MCR, LOOP);
    assert_int_equal(in(f, MSR), 0x04);
}

static void loopback_feeds_the_receiver_and_cuts_the_line(void **state)
{
    struct fixture *f = *state;

    out(f, FCR, 0x01);
    out(f, MCR, LOOP);
    for (unsigned i = 0; i < 20; i++)
        out(f, DATA, (uint8_t)i);
    assert_int_equal(f->nsent, 0);
    assert_false(uart16550_can_receive(&f->uart));
    uart16550_receive(&f->uart, 'x');
    uart16550_receive_break(&f->uart);
    assert_int_equal(in(f, LSR), 0x63);
    for (unsigned i = 0; i < 16; i++) /* this is how drivers measure the FIFO */
        assert_int_equal(in(f, DATA), i);
    assert_int_equal(in(f, LSR), 0x60);
    out(f, LCR, 0x43); /* break in loopback comes back */
    assert_int_equal(in(f, LSR), 0xf1);
}

static void while_break_is_sent_no_byte_leaves(void **state)
{
    struct fixture *f = *state;

    out(f, LCR, 0x43);
    out(f, DATA, 'a');
    assert_int_equal(f->nsent, 0);
    assert_int_equal(in(f, LSR), 0x60); /* and none is received either */
}

static void short_words_have_no_high_bits(void **state)
{
    struct fixture *f = *state;

    out(f, LCR, 0x02); /* 7 bits */
    out(f, DATA, 0xc1);
    assert_int_equal((uint8_t)f->sent[0], 0x41);
    uart16550_receive(&f->uart, 0xc2);
    assert_int_equal(in(f, DATA), 0x42);
}

static void fcr_clears_the_receiver_and_needs_its_enable_bit(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(in(f, IIR) & 0xc0, 0);
    out(f, FCR, 0xc1);
    assert_int_equal(in(f, IIR) & 0xc0, 0xc0);
    receive(f, "abc");
    out(f, FCR, 0xc3);
    assert_int_equal(in(f, LSR), 0x60);
    receive(f, "abc");
    out(f, FCR, 0xc1); /* no change: nothing is lost */
    assert_int_equal(uart16550_room(&f->uart), 13);
    out(f, FCR, 0x00); /* leaving FIFO mode clears */
    assert_int_equal(in(f, LSR), 0x60);
    assert_true(clock_next_deadline_ns(&f->fm.clock) == CLOCK_NEVER);
    receive(f, "a");
    out(f, FCR, 0x02); /* clear without enable: not programmed */
    assert_int_equal(in(f, LSR), 0x61);
}

static void every_saved_byte_is_in_the_table(void **state)
{
    (void)state;
    assert_every_field_in_table(&uart16550_desc, 0, MEMBER_END(struct uart16550, char_timeout));
}

static void a_state_that_no_chip_holds_is_rejected(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } bad[] = {
        {offsetof(struct uart16550, fifo_head), 16},
        {offsetof(struct uart16550, fifo_count), 17},
        {offsetof(struct uart16550, fifo_count), 2},
        {offsetof(struct uart16550, ier), 0x10},
        {offsetof(struct uart16550, mcr), 0x20},
        {offsetof(struct uart16550, fifo_errors), 0x80},
        {offsetof(struct uart16550, overrun), 2},
    };
    struct fixture *f = *state;
    uint8_t saved[MEMBER_END(struct uart16550, char_timeout)];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        state_save(&uart16550_desc, &f->uart, saved);
        saved[bad[i].at] = bad[i].value;
        assert_int_equal(state_load(&uart16550_desc, &f->uart, saved, sizeof(saved)), -1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reset_state_is_the_data_sheets_with_a_line_set_up),
        TEST(a_written_byte_leaves_at_once_and_thr_stays_empty),
        TEST(dlab_shows_the_divisor_and_hides_data_and_ier),
        TEST(writable_bits_are_those_of_the_chip),
        TEST(thre_interrupts_once_when_enabled_and_once_a_write),
        TEST(a_write_makes_an_edge_even_when_thre_was_not_acknowledged),
        TEST(without_fifo_one_byte_interrupts_and_a_second_overruns_it),
        TEST(the_fifo_keeps_order_and_interrupts_at_its_trigger),
        TEST(a_full_fifo_loses_the_new_byte_and_says_overrun),
        TEST(character_timeout_comes_after_four_character_times),
        TEST(no_character_timeout_without_fifo),
        TEST(character_time_follows_divisor_and_format),
        TEST(interrupt_priorities_are_line_data_thre_modem),
        TEST(out2_gates_the_interrupt_line),
        TEST(a_break_travels_with_its_byte),
        TEST(modem_status_deltas_last_until_read),
        TEST(loopback_turns_outputs_into_inputs),
        TEST(loopback_feeds_the_receiver_and_cuts_the_line),
        TEST(while_break_is_sent_no_byte_leaves),
        TEST(short_words_have_no_high_bits),
        TEST(fcr_clears_the_receiver_and_needs_its_enable_bit),
        TEST(every_saved_byte_is_in_the_table),
        TEST(a_state_that_no_chip_holds_is_rejected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
