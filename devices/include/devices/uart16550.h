/* SPDX-License-Identifier: MIT */
/*
 * A 16550A serial port.
 *
 *     struct uart16550 uart;
 *     uart16550_init(&uart, &(struct uart16550_wiring){
 *         .clock = &m->clock, .ports = &m->ports, .base = 0x3f8, .irq = line,
 *         .out = bytes_the_guest_sent, .opaque = ctx});
 *     machine_add_part(m, &uart16550_desc, &uart, uart16550_reset);
 *
 * Receiving: the line's other end keeps its bytes until uart16550_can_receive() and gives them one
 * at a time; a byte given in spite of that is an overrun, as on hardware.
 */
#ifndef DEVICES_UART16550_H
#define DEVICES_UART16550_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/bus.h>
#include <emu/clock.h>
#include <emu/irq.h>
#include <emu/state.h>

#define UART16550_FIFO_BYTES 16

/* Modem status inputs, at their places in MSR. */
#define UART16550_CTS 0x10
#define UART16550_DSR 0x20
#define UART16550_RI  0x40
#define UART16550_DCD 0x80

struct uart16550_wiring {
    struct clock *clock;
    struct bus *ports;
    uint16_t base; /* first of 8 ports */
    struct irq_line irq;
    const char *name; /* for dumps, static storage; NULL: "uart" */
    /* Bytes leave the port, in order, at the moment the guest writes them. NULL: lost. */
    void (*out)(void *opaque, const uint8_t *data, size_t len);
    void *opaque;
};

struct uart16550 {
    /* saved */
    uint8_t fifo[UART16550_FIFO_BYTES];        /* a ring; without FIFO mode one byte of it */
    uint8_t fifo_errors[UART16550_FIFO_BYTES]; /* LSR bits PE, FE and BI of each byte */
    uint16_t divisor;
    uint8_t fifo_head;
    uint8_t fifo_count;
    uint8_t rbr; /* the byte read last: what an empty receiver shows */
    uint8_t ier;
    uint8_t fcr; /* enable and trigger bits */
    uint8_t lcr;
    uint8_t mcr;
    uint8_t scr;
    uint8_t modem;     /* inputs CTS, DSR, RI and DCD */
    uint8_t msr_delta; /* MSR bits 0..3 */
    bool overrun;
    bool thr_pending;  /* THRE has an interrupt to give, if IER lets it */
    bool char_timeout; /* bytes below the trigger have waited for four character times */
    /* wiring */
    struct clock *clock;
    struct irq_line irq;
    void (*out)(void *opaque, const uint8_t *data, size_t len);
    void *opaque;
    struct timer timeout;
    struct bus_range range;
};

extern const struct state_desc uart16550_desc;

void uart16550_init(struct uart16550 *u, const struct uart16550_wiring *wiring);
void uart16550_reset(void *obj);

/* How many bytes the receiver takes without overrun; 0 while in loopback, where the line is cut. */
size_t uart16550_room(const struct uart16550 *u);
bool uart16550_can_receive(const struct uart16550 *u);
void uart16550_receive(struct uart16550 *u, uint8_t byte);
/* The line is held low for longer than a character. */
void uart16550_receive_break(struct uart16550 *u);

/* Levels of the modem inputs, UART16550_CTS...; after reset CTS, DSR and DCD are on. */
void uart16550_set_modem(struct uart16550 *u, uint8_t lines);

/* The interrupt output, behind the PC's OUT2 gate. */
bool uart16550_irq_level(const struct uart16550 *u);

/* Time of one character on the line, by divisor and format. */
uint64_t uart16550_char_ns(const struct uart16550 *u);

#endif
