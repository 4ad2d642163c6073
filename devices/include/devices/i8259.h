/* SPDX-License-Identifier: MIT */
/*
 * The PC's pair of 8259A interrupt controllers, with the edge/level registers of the PCI era.
 *
 *     struct i8259_pair pic;
 *     i8259_init(&pic, &(struct i8259_wiring){.ports = &m->ports, .intr = to_the_cpu});
 *     machine_add_part(m, &i8259_desc, &pic, i8259_reset);
 *     uart_wiring.irq = i8259_line(&pic, 4);
 *
 * Pins 0..7 are the master's, 8..15 the slave's; pin 2 is the cascade and ignores what drives it.
 * Ports 20h-21h, A0h-A1h, 4D0h-4D1h.
 *
 * Reset takes all inputs for low; register the pair before the devices that drive it, so that their
 * resets come after and say what their lines are.
 */
#ifndef DEVICES_I8259_H
#define DEVICES_I8259_H

#include <stdbool.h>
#include <stdint.h>

#include <emu/bus.h>
#include <emu/irq.h>
#include <emu/state.h>

struct i8259_wiring {
    struct bus *ports;
    struct irq_line intr; /* the master's INT output */
};

struct i8259_chip {
    /* saved */
    uint8_t lines; /* level of each IR input now */
    uint8_t latch; /* edge-sensitive requests: rose, stayed high, not yet acknowledged */
    uint8_t isr;
    uint8_t imr;
    uint8_t elcr; /* 1: the input is level-sensitive */
    uint8_t icw1;
    uint8_t vector_base;
    uint8_t icw3;
    uint8_t icw4;
    uint8_t init_step; /* which ICW the next write to the odd port is: 2..4; 0: OCW1 */
    uint8_t lowest;    /* the input with the lowest priority now, 0..7 */
    bool rotate_aeoi;
    bool special_mask;
    bool poll;     /* the next read is a poll */
    bool read_isr; /* the even port reads ISR, not IRR */
};

struct i8259_pair {
    /* saved */
    struct i8259_chip chip[2]; /* 0: master, 1: slave */
    /* wiring */
    struct irq_line intr;
    struct bus_range range[3];
    struct i8259_port {
        struct i8259_pair *pair;
        unsigned chip;
    } port[2];
};

extern const struct state_desc i8259_desc;

void i8259_init(struct i8259_pair *pair, const struct i8259_wiring *wiring);
void i8259_reset(void *obj);

/* Drives input `pin` (0..15); an irq_set_fn, `opaque` is the pair. */
void i8259_set_pin(void *opaque, unsigned pin, bool level);
struct irq_line i8259_line(struct i8259_pair *pair, unsigned pin);

/* Level of the master's INT output. */
bool i8259_irq_level(const struct i8259_pair *pair);

/*
 * The interrupt acknowledge cycle of the CPU. Returns the vector, 0..255; when nothing requests any
 * longer that is the vector of IR7 (of the slave's IR7, IRQ 15, if only the slave's request went).
 */
int i8259_ack(struct i8259_pair *pair);

#endif
