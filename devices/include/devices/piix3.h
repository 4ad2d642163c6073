/* SPDX-License-Identifier: MIT */
/*
 * The PIIX3 PCI-to-ISA bridge (device 1, function 0): PIRQ routing and the reset control register.
 * devices/piix3.c says what is modelled.
 *
 * It is made after the PCI bus and is the other end of the bus's PIRQ and CF9h wiring:
 * piix3_set_pirq, piix3_cf9_peek, piix3_cf9_write.
 */
#ifndef DEVICES_PIIX3_H
#define DEVICES_PIIX3_H

#include <stdbool.h>
#include <stdint.h>

#include <devices/pci.h>
#include <emu/irq.h>

struct piix3_wiring {
    irq_set_fn *set_irq; /* pin: ISA interrupt 0..15 */
    void *irq_opaque;
    void (*reset)(void *opaque); /* the guest resets the machine */
    void *reset_opaque;
};

struct piix3 {
    struct pci_device pci;

    /* saved */
    uint16_t driven;       /* ISA interrupts held high for a PIRQ */
    uint8_t pirqs;         /* level of PIRQA..D, bits 0..3 */
    uint8_t reset_control; /* CF9h */

    /* wiring */
    struct piix3_wiring wiring;
};

extern const struct state_desc piix3_desc;

void piix3_init(struct piix3 *p, struct pci_bus *bus, const struct piix3_wiring *wiring);
void piix3_reset(void *piix3);

void piix3_set_pirq(void *piix3, unsigned pirq, bool level);
uint8_t piix3_cf9_peek(void *piix3);
void piix3_cf9_write(void *piix3, uint8_t value);

#endif
