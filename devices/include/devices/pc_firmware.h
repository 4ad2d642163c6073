/* SPDX-License-Identifier: MIT */
/*
 * What the PC board tells a firmware about itself: the items of its fw_cfg device.
 * devices/pc_firmware.c lists them. All of it follows from the machine's configuration.
 */
#ifndef DEVICES_PC_FIRMWARE_H
#define DEVICES_PC_FIRMWARE_H

#include <stdint.h>

#include <devices/acpi_loader.h>
#include <devices/fw_cfg.h>

struct machine;

#define PC_FIRMWARE_E820_BYTES 20u

struct pc_firmware {
    struct fw_cfg fw_cfg;
    uint8_t ram_bytes[8];
    uint8_t ncpus[2];
    uint8_t e820[2 * PC_FIRMWARE_E820_BYTES];
    struct acpi_loader_files acpi;
};

/* Once the machine's RAM and CPUs are known. The images that its configuration names are referred to. */
void pc_firmware_init(struct pc_firmware *pf, struct machine *m);

#endif
