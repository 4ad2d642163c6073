/* SPDX-License-Identifier: MIT */
/* The 440FX host bridge (device 0, function 0). devices/i440fx.c says what is modelled. */
#ifndef DEVICES_I440FX_H
#define DEVICES_I440FX_H

#include <devices/pci.h>

struct i440fx {
    struct pci_device pci; /* all its state is config space */
};

extern const struct state_desc i440fx_desc;

void i440fx_init(struct i440fx *host, struct pci_bus *bus);
void i440fx_reset(void *host);

#endif
