/* SPDX-License-Identifier: MIT */
/*
 * Placing what boots: a firmware image, a Linux bzImage (64-bit or 32-bit boot protocol, boot protocol
 * 2.06 and later), or a Multiboot 1 kernel (ELF32, ELF64 entered in 32-bit mode, a.out kludge).
 *
 * The kernel's kind is told from its bytes. With neither kernel nor firmware the machine's embedded
 * guest is what the caller passes as kernel.
 */
#ifndef EMU_BOOT_H
#define EMU_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine;
struct machine_image;

enum boot_kind { BOOT_NONE, BOOT_LINUX, BOOT_MULTIBOOT, BOOT_UNKNOWN };

/* What an image is; never fails on any bytes. */
enum boot_kind boot_identify(const uint8_t *data, size_t len);
/* A bzImage that says it has no 64-bit kernel. False for all else. */
bool boot_is_linux32(const uint8_t *data, size_t len);

/*
 * Places config.kernel, initrd, command line and tables in RAM and sets CPU 0 to enter them, or leaves
 * the CPU at its reset vector when there is only firmware. Called by machine_reset after all parts were
 * reset; `rsdp`: physical address of the ACPI RSDP, 0 for none. 0, or -1 with one line in `err` that
 * names the image and what is wrong with it.
 *
 * An initrd given to a Multiboot kernel is its module (name: image name).
 */
int boot_place(struct machine *m, uint64_t rsdp, char *err, size_t errlen);

/*
 * A bzImage taken apart for a loader that runs in the guest, under firmware: the real-mode part, its header
 * filled in, is to go to BOOT_SETUP_GPA and be entered at its second sector, the command line to
 * BOOT_CMDLINE_GPA, the code to BOOT_CODE_GPA, the initrd to `initrd_gpa`.
 */
#define BOOT_SETUP_GPA       0x10000u
#define BOOT_CMDLINE_GPA     0x20000u
#define BOOT_CODE_GPA        0x100000u
#define BOOT_SETUP_MAX_BYTES 0xc000u

struct boot_linux_parts {
    uint8_t setup[BOOT_SETUP_MAX_BYTES];
    size_t setup_len;
    const uint8_t *code; /* within config.kernel */
    size_t code_len;
    uint32_t initrd_gpa;
};
/* 0, or -1 with one line in `err` that names the image and what is wrong with it. */
int boot_linux_split(struct machine *m, struct boot_linux_parts *parts, char *err, size_t errlen);

/* One entry of the memory map, for E820 and Multiboot alike. type 1: usable, 2: reserved, 3: ACPI. */
struct boot_range {
    uint64_t base, len;
    uint32_t type;
};
#define BOOT_MAX_RANGES 8
/* The machine's memory map, ascending. Returns how many entries. */
unsigned boot_memory_map(const struct machine *m, struct boot_range map[BOOT_MAX_RANGES]);

#endif
