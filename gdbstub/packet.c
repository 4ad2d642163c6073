/* SPDX-License-Identifier: MIT */
/*
 * Framing (GDB manual, E.1 "Overview" and E.11 "Packet Acknowledgment"): $body#sum, where sum is
 * that of the body's bytes modulo 256, '}' escapes the byte after it, and each packet is
 * acknowledged by
 * '+', or refused by '-', until the client asks for that to end.
 *
 *     IDLE  --'$'-->  BODY  --'#'-->  SUM_HIGH  -->  SUM_LOW  -->  IDLE
 *
 * A '$' always begins a packet, as it is escaped inside of one: what came before was cut short.
 * Between packets, 03 is the interrupt (E.8), '-' asks for the last packet once more, and all
 * else, acknowledgements included, is ignored. Only replies may be run-length encoded; in a request
 * '*' stands for itself, and the replies made here do not use it.
 */
#include <stdlib.h>
#include <string.h>

#include "stub_internal.h"

#define INTERRUPT 0x03

static void send_bytes(struct gdbstub *s, const void *data, size_t len)
{
    if (s->failed)
        return;
    if (!stub_bytes_add(&s->output, data, len, STUB_OUTPUT_MAX))
        s->failed = true;
}

/* The last packet is kept as it was framed. Without memory for that it cannot be sent again, and a
 * client that asks for it will ask again and then give up. */
static void keep_last(struct gdbstub *s, size_t begin)
{
    s->last.len = 0;
    if (!s->no_ack)
        stub_bytes_add(&s->last, s->output.data + begin, s->output.len - begin, STUB_OUTPUT_MAX);
}

void stub_send_packet(struct gdbstub *s, const void *data, size_t len)
{
    const uint8_t *from = data;
    size_t begin = s->output.len;
    uint8_t sum = 0, *to;

    if (s->failed || !stub_bytes_reserve(&s->output, 2 * len + 4, STUB_OUTPUT_MAX)) {
        s->failed = true;
        return;
    }
    to = s->output.data + begin;
    *to++ = '$';
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = from[i];

        if (byte == '#' || byte == '$' || byte == '}' || byte == '*') {
            *to++ = '}';
            sum = (uint8_t)(sum + '}');
            byte ^= 0x20;
        }
        *to++ = byte;
        sum = (uint8_t)(sum + byte);
    }
    *to++ = '#';
    *to++ = (uint8_t) "0123456789abcdef"[sum >> 4];
    *to++ = (uint8_t) "0123456789abcdef"[sum & 15];
    s->output.len = (size_t)(to - s->output.data);
    keep_last(s, begin);
}

void stub_send_reply(struct gdbstub *s)
{
    if (s->reply.overflow)
        stub_error(s, STUB_E2BIG);
    stub_send_packet(s, s->reply.data, s->reply.len);
}

/* A packet that is still on its way cannot be what is refused. This also bounds what a client gets
 * that does nothing but refuse. */
static void send_again(struct gdbstub *s)
{
    if (s->output.len == 0 && s->last.len)
        send_bytes(s, s->last.data, s->last.len);
}

static void begin_packet(struct stub_input *in)
{
    in->state = STUB_BODY;
    in->sum = 0;
    in->bad_sum = false;
    in->wire = 0;
    in->len = 0;
}

static void idle_byte(struct gdbstub *s, uint8_t byte)
{
    if (byte == '$')
        begin_packet(&s->input);
    else if (byte == '-')
        send_again(s);
    else if (byte == INTERRUPT)
        stub_interrupt(s);
}

/* What is too long is counted, not kept. */
static void body_byte(struct stub_input *in, uint8_t byte)
{
    if (in->state == STUB_BODY && byte == '#') {
        in->state = STUB_SUM_HIGH;
        return;
    }
    in->sum = (uint8_t)(in->sum + byte);
    if (in->wire <= GDBSTUB_PACKET_BYTES)
        in->wire++;
    if (in->state == STUB_BODY && byte == '}') {
        in->state = STUB_ESCAPED;
        return;
    }
    if (in->state == STUB_ESCAPED)
        byte ^= 0x20;
    in->state = STUB_BODY;
    if (in->wire <= GDBSTUB_PACKET_BYTES)
        in->data[in->len++] = (char)byte;
}

/* Checksums count only as long as acknowledgements do (E.11): then the transport is to be trusted.
 */
static void end_packet(struct gdbstub *s)
{
    struct stub_input *in = &s->input;

    in->state = STUB_IDLE;
    if (!s->no_ack) {
        send_bytes(s, in->bad_sum ? "-" : "+", 1);
        if (in->bad_sum)
            return;
    }
    s->last.len = 0;
    in->data[in->len] = 0;
    memset(&s->reply, 0, offsetof(struct stub_reply, data));
    if (in->wire > GDBSTUB_PACKET_BYTES)
        stub_error(s, STUB_E2BIG);
    else
        stub_dispatch(s);
    if (!s->reply.none)
        stub_send_reply(s);
    if (s->no_ack_next)
        s->no_ack = true;
}

static void sum_byte(struct gdbstub *s, uint8_t byte)
{
    struct stub_input *in = &s->input;
    int digit = stub_hex_digit(byte);

    if (digit < 0) {
        in->bad_sum = true;
        digit = 0;
    }
    if (in->state == STUB_SUM_HIGH) {
        in->claimed = (uint8_t)(digit << 4);
        in->state = STUB_SUM_LOW;
        return;
    }
    if ((in->claimed | digit) != in->sum)
        in->bad_sum = true;
    end_packet(s);
}

void stub_receive_byte(struct gdbstub *s, uint8_t byte)
{
    struct stub_input *in = &s->input;

    if (in->state == STUB_IDLE)
        idle_byte(s, byte);
    else if (byte == '$' && in->state != STUB_ESCAPED)
        begin_packet(in);
    else if (in->state == STUB_BODY || in->state == STUB_ESCAPED)
        body_byte(in, byte);
    else
        sum_byte(s, byte);
}
