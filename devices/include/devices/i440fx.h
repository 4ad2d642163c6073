/* SPDX-License-Identifier: MIT */
/* The 440FX host bridge (device 0, function 0). devices/i440fx.c says what is modelled. */
#ifndef DEVICES_I440FX_H
#define DEVICES_I440FX_H

#include <devices/pci.h>
#include <emu/bus.h>
#include <emu/ram.h>

struct i440fx_wiring {
    struct bus *memory;
    /* Block `block` of 16 KiB from C0000h on shows this from now on; NULL, and all below is unused: it
     * is RAM for ever. */
    void (*set_window)(void *opaque, unsigned block, enum ram_window what);
    /* A byte of the ROM, and one for the RAM, behind an address of the window. */
    uint8_t (*rom_byte)(void *opaque, uint64_t gpa);
    void (*write_shadow)(void *opaque, uint64_t gpa, uint8_t byte);
    void *opaque;
};

struct i440fx {
    struct pci_device pci; /* all its state is config space */

    /* wiring */
    struct i440fx_wiring wiring;
    struct bus_range window_range;
};

extern const struct state_desc i440fx_desc;

void i440fx_init(struct i440fx *host, struct pci_bus *bus, const struct i440fx_wiring *wiring);
void i440fx_reset(void *host);

#endif
