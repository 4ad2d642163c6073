/* SPDX-License-Identifier: MIT */
/*
 * The PIIX4 power management function (device 1, function 3): ACPI fixed hardware.
 * devices/piix4_pm.c says what is modelled. The addresses are what the ACPI tables tell the guest.
 */
#ifndef DEVICES_PIIX4_PM_H
#define DEVICES_PIIX4_PM_H

#include <stdbool.h>
#include <stdint.h>

#include <devices/pci.h>
#include <emu/clock.h>
#include <emu/irq.h>

#define PIIX4_PM_BASE         0x600u /* where firmware puts the PM registers */
#define PIIX4_PM_BYTES        64u
#define PIIX4_PM_GPE0         0xafe0u
#define PIIX4_PM_GPE0_BYTES   4u
#define PIIX4_PM_SMI_CMD      0xb2u
#define PIIX4_PM_ACPI_ENABLE  0xf1u /* what the guest writes to SMI_CMD */
#define PIIX4_PM_ACPI_DISABLE 0xf0u
#define PIIX4_PM_SCI_IRQ      9u
#define PIIX4_PM_TIMER_HZ     3579545u

/* Offsets from the PM base. */
#define PIIX4_PM1_EVENT   0x00u
#define PIIX4_PM1_CONTROL 0x04u
#define PIIX4_PM_TIMER    0x08u

/* Config registers that firmware sets. */
#define PIIX4_PM_REG_PMBA   0x40u
#define PIIX4_PM_REG_MISC   0x80u
#define PIIX4_PM_MISC_IO_EN 0x01u

struct piix4_pm_wiring {
    struct clock *clock;
    struct bus *ports;
    struct irq_line sci;
    void (*power_off)(void *opaque); /* the guest entered S5 */
    void *power_opaque;
};

struct piix4_pm {
    struct pci_device pci;

    /* saved */
    uint64_t overflow_at; /* PM timer tick at which TMROF_STS is set next */
    uint16_t pm1_status;
    uint16_t pm1_enable;
    uint16_t pm1_control;
    uint16_t gpe_status;
    uint16_t gpe_enable;
    uint8_t apm_control; /* B2h */
    uint8_t apm_status;  /* B3h */

    /* wiring */
    struct piix4_pm_wiring wiring;
    struct bus_range pm_range;
    struct bus_range gpe_range;
    struct bus_range apm_range;
    struct timer timer;
    uint64_t oddities;
};

extern const struct state_desc piix4_pm_desc;

void piix4_pm_init(struct piix4_pm *pm, struct pci_bus *bus, const struct piix4_pm_wiring *wiring);
void piix4_pm_reset(void *pm);

/* The power button was pressed. */
void piix4_pm_power_button(struct piix4_pm *pm);

#endif
