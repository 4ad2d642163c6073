/* SPDX-License-Identifier: MIT */
/* The option ROM that starts the machine's kernel (linux_rom.asm), for pc_firmware.c. */
#ifndef DEVICES_LINUX_ROM_H
#define DEVICES_LINUX_ROM_H

#include <stddef.h>
#include <stdint.h>

extern const uint8_t linux_rom[];
extern const size_t linux_rom_len;

#endif
