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
#include <emu/boot.h>

struct machine;

#define PC_FIRMWARE_E820_BYTES 20u

struct pc_firmware {
    struct fw_cfg fw_cfg;
    uint8_t ram_bytes[8];
    uint8_t ncpus[2];
    uint8_t e820[2 * PC_FIRMWARE_E820_BYTES];
    struct acpi_loader_files acpi;
    struct boot_linux_parts linux_parts;   /* of the kernel, if there is one */
    uint8_t linux_numbers[4 * 2][4]; /* where they go, and how large they are */
};

/* Once the machine's RAM and CPUs are known. The images that its configuration names are referred to. 0, or
 * -1 with a line: a kernel that firmware cannot start. */
int pc_firmware_init(struct pc_firmware *pf, struct machine *m, char *err, size_t errlen);

#endif
