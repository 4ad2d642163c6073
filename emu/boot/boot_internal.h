/* SPDX-License-Identifier: MIT */
/*
 * What the boot loaders share: one call's context, the low-memory layout, and the states in which a
 * CPU may be handed over.
 *
 * The first MiB, as a kernel finds it. Everything of ours lies in memory that the map calls usable:
 * a kernel copies what it wants to keep and takes the rest.
 *
 *     00400  BIOS data area
 *     80000  GDT, then identity page tables (64-bit Linux only)
 *     90000  boot_params, 91000 setup_data, 92000 command line (Linux); Multiboot: see its file
 *     9FC00  extended BIOS data area (reserved)
 *     E0000  ACPI tables (reserved), placed by the board before us
 */
#ifndef EMU_BOOT_BOOT_INTERNAL_H
#define EMU_BOOT_BOOT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/boot.h>
#include <emu/machine.h>

#define LOW_USABLE_BEGIN      0x500u /* above vectors and BIOS data area */
#define LOW_USABLE_END        0x9fc00u
#define EBDA_BASE             LOW_USABLE_END
#define HIGH_BASE             0x100000u
#define FIRMWARE_SHADOW_BYTES 0x20000u

/* One call of boot_place. */
struct boot {
    struct machine *m;
    uint64_t rsdp;
    char *err;
    size_t errlen;
};

/* Writes "<image>: <what is wrong>" to b->err; returns -1. */
int boot_fail(const struct boot *b, const struct machine_image *image, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Fails with how much memory the machine would need, when `end` is beyond its low memory. */
int boot_check_fits(const struct boot *b, const struct machine_image *image, uint64_t end);

/* ram_write for addresses that were checked before; failing all the same is reported. */
int boot_write(const struct boot *b, const struct machine_image *image, uint64_t gpa,
               const void *data, size_t len);

bool boot_is_linux(const uint8_t *data, size_t len);
bool boot_is_multiboot(const uint8_t *data, size_t len);
int boot_linux(const struct boot *b);
int boot_multiboot(const struct boot *b);

/* --- what firmware leaves behind (boot_cpu.c) --- */

void boot_place_bios_data(const struct boot *b);
void boot_set_mtrrs(struct cpu *cpu);

/* --- CPU states at hand-over (boot_cpu.c) --- */

#define BOOT_CS                0x10u
#define BOOT_DS                0x18u
#define BOOT_GDT_BYTES         32u
#define BOOT_PAGE_TABLES_BYTES (6u * 4096u)

/* Flat 32-bit protected mode, paging off, IF clear; the GDT is written to `gdt`. The caller sets
 * registers and RIP, then calls cpu_state_changed. */
void boot_enter_protected(const struct boot *b, uint32_t gdt);
/* 64-bit mode, the first 4 GiB mapped one to one by tables written to `tables` (page aligned). */
void boot_enter_long(const struct boot *b, uint32_t gdt, uint32_t tables);

/* --- little-endian fields --- */

static inline uint64_t get_le(const uint8_t *p, unsigned size)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < size; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static inline uint16_t get_le16(const uint8_t *p)
{
    return (uint16_t)get_le(p, 2);
}

static inline uint32_t get_le32(const uint8_t *p)
{
    return (uint32_t)get_le(p, 4);
}

static inline uint64_t get_le64(const uint8_t *p)
{
    return get_le(p, 8);
}

static inline void put_le(uint8_t *p, unsigned size, uint64_t v)
{
    for (unsigned i = 0; i < size; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint64_t page_up(uint64_t v)
{
    return (v + 4095) & ~4095ULL;
}

#endif
