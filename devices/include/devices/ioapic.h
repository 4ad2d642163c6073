/* SPDX-License-Identifier: MIT */
/* The I/O APIC: 24 inputs to interrupt messages. devices/ioapic.c says what is modelled. */
#ifndef DEVICES_IOAPIC_H
#define DEVICES_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include <devices/apic_bus.h>
#include <emu/bus.h>
#include <emu/state.h>

#define IOAPIC_PINS 24
#define IOAPIC_BASE 0xfec00000u

struct ioapic_wiring {
    struct bus *memory;
    struct apic_bus *bus;
};

struct ioapic {
    /* saved */
    uint64_t redir[IOAPIC_PINS];
    uint32_t pins;  /* level of each input, true when asserted */
    uint8_t select; /* IOREGSEL */
    uint8_t id;     /* bits 27:24 of register 0 */

    /* wiring */
    struct ioapic_wiring wiring;
    struct bus_range range;
    uint64_t oddities;
};

extern const struct state_desc ioapic_desc;

void ioapic_init(struct ioapic *io, const struct ioapic_wiring *wiring);
void ioapic_reset(void *ioapic);

/* Drives input `pin`; true is asserted, whatever the entry's polarity. An irq_set_fn. */
void ioapic_set_pin(void *ioapic, unsigned pin, bool level);

/* Whether an input may cause an NMI or INIT, as the entries are. */
bool ioapic_sends_nmi(const void *ioapic);

/* An EOI message from a local APIC for `vector`. */
void ioapic_eoi(void *ioapic, uint8_t vector);

#endif
