/* SPDX-License-Identifier: MIT */
/*
 * The 8042 keyboard controller of the PS/2, with the keyboard behind it.
 *
 *     struct i8042 kbc;
 *     i8042_init(&kbc, &(struct i8042_wiring){
 *         .clock = &m->clock, .ports = &m->ports, .irq1 = pic1, .irq12 = pic12,
 *         .set_a20 = open_or_close_the_gate, .reset = reset_the_machine, .opaque = m});
 *     machine_add_part(m, &i8042_desc, &kbc, i8042_reset);
 *     input_door_add(&m->door, &(struct input_sink){.kind = INPUT_KEY,
 *         .ready = i8042_key_ready, .deliver = i8042_key_deliver, .opaque = &kbc});
 *
 * Ports 60h and 64h. The auxiliary (mouse) port is there, with whatever `aux` in the wiring names
 * behind it.
 */
#ifndef DEVICES_I8042_H
#define DEVICES_I8042_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/bus.h>
#include <emu/clock.h>
#include <emu/irq.h>
#include <emu/state.h>

/* A device at the auxiliary port. The controller takes its bytes one by one, when it has room. */
struct i8042_aux {
    void (*write)(void *opaque, uint8_t byte); /* a byte from the host; NULL: nothing attached */
    bool (*next)(void *opaque, uint8_t *byte); /* takes the device's next byte; false: none */
    bool (*pending)(const void *opaque);       /* true when next() would give one */
    void *opaque;
};

struct i8042_wiring {
    struct clock *clock;
    struct bus *ports;
    struct irq_line irq1;
    struct irq_line irq12;
    struct i8042_aux aux;
    void (*set_a20)(void *opaque, bool open); /* the guest wrote the gate; open after reset */
    void (*reset)(void *opaque);              /* the guest pulled the CPU's reset line */
    void *opaque;
};

#define PS2_KEYBOARD_QUEUE   16
#define PS2_KEYBOARD_REPLIES 4

/* The keyboard, an MF-II. */
struct ps2_keyboard {
    /* saved */
    uint8_t queue[PS2_KEYBOARD_QUEUE];     /* scan codes, a ring */
    uint8_t replies[PS2_KEYBOARD_REPLIES]; /* to commands; they go before scan codes */
    uint8_t set3_break[32];                /* a bit a set-3 code: the key reports its release */
    uint8_t queue_head;
    uint8_t queue_count;
    uint8_t nreplies;
    uint8_t command; /* waits for its argument; 0: none */
    uint8_t set;     /* scan code set, 1..3 */
    uint8_t leds;
    uint8_t typematic;
    uint8_t last_sent;  /* for FEh, resend */
    uint8_t prefix;     /* of set 2, seen and not yet used: E0h, or 0 */
    uint8_t pause_left; /* bytes of a Pause sequence still to be skipped for set 3 */
    bool release;       /* F0h of set 2 was seen */
    bool scanning;
    bool testing; /* the self test runs */
};

struct i8042 {
    /* saved */
    struct ps2_keyboard kbd;
    uint8_t ram[32];     /* [0] is the command byte */
    uint8_t output;      /* the output buffer, and what port 60h shows once it was read */
    uint8_t reply;       /* of the controller itself, waits for the buffer */
    uint8_t command;     /* the last one; waits for its byte at port 60h if command_waits */
    uint8_t output_port; /* bits 0 (reset, inverted) and 1 (A20) and the others as written */
    bool command_waits;
    bool last_was_command; /* status bit 3 */
    bool output_full;
    bool output_aux; /* it came from the auxiliary port */
    bool output_timeout;
    bool reply_waits;
    bool reply_aux;
    bool reply_timeout;
    bool translate_release; /* the translation saw F0h */
    /* wiring */
    struct clock *clock;
    struct irq_line irq1;
    struct irq_line irq12;
    struct i8042_aux aux;
    void (*set_a20)(void *opaque, bool open);
    void (*reset)(void *opaque);
    void *opaque;
    struct timer transfer;  /* a byte is on its way from keyboard or mouse */
    struct timer self_test; /* the keyboard's */
    struct bus_range range[2];
};

extern const struct state_desc i8042_desc;

void i8042_init(struct i8042 *s, const struct i8042_wiring *wiring);
void i8042_reset(void *obj);

/* Level of IRQ 1 (aux false) or IRQ 12 (aux true). */
bool i8042_irq_level(const struct i8042 *s, bool aux);

/*
 * The INPUT_KEY sink: bytes of scan code set 2, whole sequences, any number. Ready while the
 * longest sequence of one key fits. What does not fit is lost and leaves the keyboard's overrun
 * code.
 */
bool i8042_key_ready(void *opaque);
void i8042_key_deliver(void *opaque, const uint8_t *data, size_t len);

/* The auxiliary device has bytes to send. */
void i8042_aux_notify(struct i8042 *s);

/* Keyboard lights as the guest set them: bit 0 scroll lock, 1 num lock, 2 caps lock. */
uint8_t i8042_leds(const struct i8042 *s);

#endif
