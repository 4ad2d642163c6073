/* SPDX-License-Identifier: MIT */
/* Framing, acknowledgement, and what becomes of bytes that are no packet. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gdbstub_fixture.h"

static void packet_is_acknowledged_and_answered(void **state)
{
    (void)state;
    give("$qC#b4");
    assert_string_equal(taken(), "+$QC1#c5");
}

static void bytes_may_come_one_by_one(void **state)
{
    (void)state;
    for (const char *p = "+$qC#b4"; *p; p++) {
        assert_string_equal(taken(), "");
        give_bytes(p, 1);
    }
    assert_string_equal(taken(), "+$QC1#c5");
}

static void packets_may_come_together(void **state)
{
    (void)state;
    give("+$qC#b4+$qC#b4");
    assert_string_equal(taken(), "+$QC1#c5+$QC1#c5");
}

static void checksum_digits_may_be_capitals(void **state)
{
    (void)state;
    give("$Hg0#DF");
    assert_string_equal(taken(), "+$OK#9a");
}

static void bytes_between_packets_are_ignored(void **state)
{
    (void)state;
    give("hello+++\n#12}\x04%Stop:x#00$qC#b4");
    assert_string_equal(taken(), "+$QC1#c5");
}

static void wrong_checksum_is_refused(void **state)
{
    (void)state;
    give("$qC#b5");
    assert_string_equal(taken(), "-");
    give("$qC#b4");
    assert_string_equal(taken(), "+$QC1#c5");
}

static void checksum_that_is_no_number_is_refused(void **state)
{
    (void)state;
    give("$qC#zz$qC#bx$qC#xb");
    assert_string_equal(taken(), "---");
}

static void refused_reply_is_sent_again(void **state)
{
    (void)state;
    give("$qC#b4");
    assert_string_equal(taken(), "+$QC1#c5");
    give("-");
    assert_string_equal(taken(), "$QC1#c5");
    give("-");
    assert_string_equal(taken(), "$QC1#c5");
}

static void refusal_of_what_was_not_sent_yet_is_ignored(void **state)
{
    (void)state;
    give("$qC#b4-----");
    assert_string_equal(taken(), "+$QC1#c5");
}

static void refusal_before_anything_was_sent_is_ignored(void **state)
{
    (void)state;
    give("---");
    assert_string_equal(taken(), "");
}

static void refused_stop_reply_is_sent_again(void **state)
{
    const struct gdbstub_stop stop = {.signal = 5};
    char first[256];

    (void)state;
    ask_for_nothing("c");
    gdbstub_stopped(fake.stub, &stop);
    snprintf(first, sizeof(first), "%s", taken());
    give("-");
    assert_string_equal(taken(), first);
}

static void without_acks_none_are_sent(void **state)
{
    (void)state;
    assert_string_equal(ask("QStartNoAckMode"), "OK");
    give("+$qC#b4");
    assert_string_equal(taken(), "$QC1#c5");
}

static void without_acks_checksums_do_not_count(void **state)
{
    (void)state;
    ask("QStartNoAckMode");
    give("$qC#00$qC#zz");
    assert_string_equal(taken(), "$QC1#c5$QC1#c5");
}

static void reply_to_no_ack_mode_may_still_be_refused(void **state)
{
    (void)state;
    ask("QStartNoAckMode");
    give("-");
    assert_string_equal(taken(), "$OK#9a");
    give("$qC#b4");
    assert_string_equal(taken(), "$QC1#c5");
    give("-");
    assert_string_equal(taken(), "");
}

static void new_client_is_acknowledged_again(void **state)
{
    (void)state;
    ask("QStartNoAckMode");
    gdbstub_disconnected(fake.stub);
    gdbstub_connected(fake.stub);
    give("$qC#b4");
    assert_string_equal(taken(), "+$QC1#c5");
}

static void dollar_inside_of_a_packet_begins_another(void **state)
{
    (void)state;
    give("$m1000,$qC#$qC#b$qC#b4");
    assert_string_equal(taken(), "+$QC1#c5");
}

static void escaped_bytes_are_themselves(void **state)
{
    static const char packet[] = "X1000,4:}\x03}\x04}]}\x0a";

    (void)state;
    assert_string_equal(ask_bytes(packet, sizeof(packet) - 1), "OK");
    assert_memory_equal(fake.memory, "#$}*", 4);
}

/* Only replies may be run-length encoded. */
static void asterisk_in_a_request_is_itself(void **state)
{
    (void)state;
    assert_string_equal(ask_bytes("X1000,3:a* ", 11), "OK");
    assert_memory_equal(fake.memory, "a* ", 3);
}

static void interrupt_byte_inside_of_a_packet_is_data(void **state)
{
    (void)state;
    assert_string_equal(ask_bytes("X1000,2:\x03\x03", 10), "OK");
    assert_int_equal(fake.memory[0], 3);
    assert_int_equal(fake.interrupts, 0);
}

static void special_bytes_in_a_reply_are_escaped(void **state)
{
    (void)state;
    memcpy(fake.memory, "#$}*", 4);
    give("$x1000,4#99");
    assert_string_equal(taken(), "+$b}\x03}\x04}]}\x0a#c4");
}

static void interrupt_acts_while_running_only(void **state)
{
    (void)state;
    give("\x03");
    assert_int_equal(fake.interrupts, 0);
    ask_for_nothing("c");
    give("\x03");
    assert_int_equal(fake.interrupts, 1);
    assert_string_equal(taken(), "");
}

static void interrupt_right_behind_a_continue_acts(void **state)
{
    (void)state;
    give("$c#63\x03");
    assert_int_equal(fake.interrupts, 1);
}

static void give_packet_of(size_t body)
{
    char *packet = malloc(body + 5);
    unsigned sum;

    assert_non_null(packet);
    memset(packet, 'a', body + 1);
    packet[0] = '$';
    sum = (unsigned)(body * 'a') & 0xff;
    sprintf(packet + body + 1, "#%02x", sum);
    give_bytes(packet, body + 4);
    free(packet);
}

static void largest_packet_is_taken(void **state)
{
    (void)state;
    give_packet_of(GDBSTUB_PACKET_BYTES);
    assert_string_equal(taken(), "+$#00");
}

static void larger_packet_is_an_error(void **state)
{
    (void)state;
    give_packet_of(GDBSTUB_PACKET_BYTES + 1);
    assert_string_equal(taken(), "+$E07#ac");
    give_packet_of(3 * GDBSTUB_PACKET_BYTES);
    assert_string_equal(taken(), "+$E07#ac");
    assert_string_equal(ask("qC"), "QC1");
}

static void packet_without_end_takes_no_memory(void **state)
{
    static char flood[65536];

    (void)state;
    memset(flood, 'x', sizeof(flood));
    give("$");
    for (int i = 0; i < 1000; i++)
        give_bytes(flood, sizeof(flood));
    assert_string_equal(taken(), "");
    give("$qC#b4");
    assert_string_equal(taken(), "+$QC1#c5");
}

static void empty_packet_is_not_supported(void **state)
{
    (void)state;
    assert_string_equal(ask(""), "");
}

static void packet_with_a_nul_is_not_taken_for_its_beginning(void **state)
{
    (void)state;
    assert_string_equal(ask_bytes("qC\0", 3), "");
    assert_string_equal(ask_bytes("qDeja.now\0", 10), "");
    assert_int_equal(reply_len(), 0);
}

/* Memory is held up to a bound; then the client is to be dropped. */
static void client_that_does_not_read_fails(void **state)
{
    size_t len;

    (void)state;
    for (int i = 0; i < 10000 && !gdbstub_failed(fake.stub); i++)
        give("$m1000,8000#22");
    assert_true(gdbstub_failed(fake.stub));
    gdbstub_output(fake.stub, &len);
    assert_int_equal(len, 0);
    gdbstub_disconnected(fake.stub);
    gdbstub_connected(fake.stub);
    assert_false(gdbstub_failed(fake.stub));
    assert_string_equal(ask("qC"), "QC1");
}

static void output_may_be_sent_in_pieces(void **state)
{
    const uint8_t *out;
    size_t len, got = 0;
    char all[64] = "";

    (void)state;
    give("$qC#b4");
    for (out = gdbstub_output(fake.stub, &len); len; out = gdbstub_output(fake.stub, &len)) {
        all[got++] = (char)out[0];
        gdbstub_sent(fake.stub, 1);
        if (got == 3)
            give("+$qC#b4");
    }
    assert_string_equal(all, "+$QC1#c5+$QC1#c5");
    gdbstub_sent(fake.stub, 100); /* more than there is does no harm */
    gdbstub_output(fake.stub, &len);
    assert_int_equal(len, 0);
}

static void session_needs_what_is_not_optional(void **state)
{
    static const uint16_t no_size[1] = {0}, too_large[1] = {GDBSTUB_MAX_REGISTER + 1};
    struct gdbstub_target t = fake_target;

    (void)state;
    assert_null(gdbstub_create(NULL, NULL));
    t.resume = NULL;
    assert_null(gdbstub_create(&t, NULL));
    t = fake_target;
    t.struct_size = 8;
    assert_null(gdbstub_create(&t, NULL));
    t = fake_target;
    t.insert_point = NULL;
    assert_null(gdbstub_create(&t, NULL));
    t = fake_target;
    t.ng = t.nregisters + 1;
    assert_null(gdbstub_create(&t, NULL));
    t = fake_target;
    t.nregisters = t.ng = 1;
    t.nexpedite = 0;
    t.has_pc = false;
    t.register_bytes = no_size;
    assert_null(gdbstub_create(&t, NULL));
    t.register_bytes = too_large;
    assert_null(gdbstub_create(&t, NULL));
    gdbstub_destroy(NULL);
}

/* A caller that was compiled before the last members were added. */
static void shorter_target_is_taken(void **state)
{
    struct gdbstub_target t = fake_target;

    (void)state;
    t.struct_size = offsetof(struct gdbstub_target, has_pc);
    fake_begin(&t);
    assert_string_equal(ask("qC"), "QC1");
    assert_string_equal(ask("c1000"), "E16");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
    const struct CMUnitTest tests[] = {
        TEST(packet_is_acknowledged_and_answered),
        TEST(bytes_may_come_one_by_one),
        TEST(packets_may_come_together),
        TEST(checksum_digits_may_be_capitals),
        TEST(bytes_between_packets_are_ignored),
        TEST(wrong_checksum_is_refused),
        TEST(checksum_that_is_no_number_is_refused),
        TEST(refused_reply_is_sent_again),
        TEST(refusal_of_what_was_not_sent_yet_is_ignored),
        TEST(refusal_before_anything_was_sent_is_ignored),
        TEST(refused_stop_reply_is_sent_again),
        TEST(without_acks_none_are_sent),
        TEST(without_acks_checksums_do_not_count),
        TEST(reply_to_no_ack_mode_may_still_be_refused),
        TEST(new_client_is_acknowledged_again),
        TEST(dollar_inside_of_a_packet_begins_another),
        TEST(escaped_bytes_are_themselves),
        TEST(asterisk_in_a_request_is_itself),
        TEST(interrupt_byte_inside_of_a_packet_is_data),
        TEST(special_bytes_in_a_reply_are_escaped),
        TEST(interrupt_acts_while_running_only),
        TEST(interrupt_right_behind_a_continue_acts),
        TEST(largest_packet_is_taken),
        TEST(larger_packet_is_an_error),
        TEST(packet_without_end_takes_no_memory),
        TEST(empty_packet_is_not_supported),
        TEST(packet_with_a_nul_is_not_taken_for_its_beginning),
        TEST(client_that_does_not_read_fails),
        TEST(output_may_be_sent_in_pieces),
        TEST(session_needs_what_is_not_optional),
        TEST(shorter_target_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
