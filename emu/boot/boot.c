/* SPDX-License-Identifier: MIT */
/*
 * What boots, and where: tells a kernel's kind from its bytes, draws the memory map, and hands over
 * to the loader concerned. See emu/boot.h.
 *
 * Every size and address in an image is a stranger's: it is compared with what is really there, in
 * 64 bits, before it is used. A broken image yields one line and a machine that must not be run.
 */
#include <emu/boot.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <emu/cpu.h>

#include "boot_internal.h"

#define GIB           (1ULL << 30)
#define FOUR_GIB      (4 * GIB)
#define FIRMWARE_HOLE 0x40000u /* reserved below 4 GiB even when no image is there */
#define MAX_ROM_BYTES (16u << 20)

int boot_fail(const struct boot *b, const struct machine_image *image, const char *format, ...)
{
    char what[160];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    snprintf(b->err, b->errlen, "%s: %s",
             image->name == NULL || image->name[0] == '\0' ? "built-in image" : image->name, what);
    return -1;
}

int boot_check_fits(const struct boot *b, const struct machine_image *image, uint64_t end)
{
    if (end <= b->m->ram.low_bytes)
        return 0;
    if (end > MACHINE_MAX_RAM || b->m->ram.low_bytes < b->m->ram.bytes)
        return boot_fail(b, image, "wants memory up to %llxh, but RAM below 4 GiB ends at %llxh",
                         (unsigned long long)end, (unsigned long long)b->m->ram.low_bytes);
    return boot_fail(b, image, "needs %llu MiB of memory, the machine has %llu",
                     (unsigned long long)((end + 0xfffff) >> 20),
                     (unsigned long long)(b->m->ram.bytes >> 20));
}

int boot_write(const struct boot *b, const struct machine_image *image, uint64_t gpa,
               const void *data, size_t len)
{
    if (ram_write(&b->m->ram, gpa, data, len))
        return 0;
    return boot_fail(b, image, "no memory at %llxh for %zu bytes", (unsigned long long)gpa, len);
}

/* --- identification --- */

enum boot_kind boot_identify(const uint8_t *data, size_t len)
{
    if (data == NULL || len == 0)
        return BOOT_NONE;
    if (boot_is_linux(data, len))
        return BOOT_LINUX;
    if (boot_is_multiboot(data, len))
        return BOOT_MULTIBOOT;
    return BOOT_UNKNOWN;
}

/* --- memory map --- */

static void add_range(struct boot_range *map, unsigned *n, uint64_t base, uint64_t end,
                      uint32_t type)
{
    if (base < end)
        map[(*n)++] = (struct boot_range){.base = base, .len = end - base, .type = type};
}

unsigned boot_memory_map(const struct machine *m, struct boot_range map[BOOT_MAX_RANGES])
{
    const struct ram *ram = &m->ram;
    uint64_t rom = ram->rom_bytes > FIRMWARE_HOLE ? ram->rom_bytes : FIRMWARE_HOLE;
    unsigned n = 0;

    add_range(map, &n, 0, LOW_USABLE_END, 1);
    add_range(map, &n, LOW_USABLE_END, 0xa0000, 2);
    add_range(map, &n, 0xe0000, HIGH_BASE, 2);
    add_range(map, &n, HIGH_BASE, ram->low_bytes, 1);
    add_range(map, &n, 0xfec00000, 0xfec01000, 2); /* I/O APIC */
    add_range(map, &n, 0xfee00000, 0xfee01000, 2); /* local APICs */
    add_range(map, &n, FOUR_GIB - rom, FOUR_GIB, 2);
    add_range(map, &n, FOUR_GIB, FOUR_GIB + ram->bytes - ram->low_bytes, 1);
    return n;
}

/* --- firmware --- */

static int check_firmware(const struct boot *b)
{
    const struct machine_image *bios = &b->m->config.bios;

    if (bios->len == 0)
        return boot_fail(b, bios, "the firmware image is empty");
    if (bios->len > MAX_ROM_BYTES)
        return boot_fail(b, bios, "the firmware image has %zu bytes, at most 16 MiB are possible",
                         bios->len);
    return 0;
}

/* The chip set shows the end of the ROM below 1 MiB too; with shadow RAM that is a copy. */
static int shadow_firmware(const struct boot *b)
{
    const struct machine_image *bios = &b->m->config.bios;
    size_t len = bios->len < FIRMWARE_SHADOW_BYTES ? bios->len : FIRMWARE_SHADOW_BYTES;

    return boot_write(b, bios, HIGH_BASE - len, bios->data + bios->len - len, len);
}

/* --- placing --- */

static int place_kernel(const struct boot *b)
{
    const struct machine_image *kernel = &b->m->config.kernel;
    int status;

    boot_place_bios_data(b);
    switch (boot_identify(kernel->data, kernel->len)) {
    case BOOT_LINUX: status = boot_linux(b); break;
    case BOOT_MULTIBOOT: status = boot_multiboot(b); break;
    case BOOT_NONE: return boot_fail(b, kernel, "the kernel image is empty");
    default:
        if (kernel->len >= 4 && memcmp(kernel->data, "\177ELF", 4) == 0)
            return boot_fail(b, kernel,
                             "an ELF file without a Multiboot header (for Linux, use its bzImage)");
        return boot_fail(b, kernel, "not a bzImage, Multiboot or ELF kernel");
    }
    if (status != 0)
        return status;
    boot_set_mtrrs(&b->m->cpus[0]);
    cpu_state_changed(&b->m->cpus[0]);
    return 0;
}

int boot_place(struct machine *m, uint64_t rsdp, char *err, size_t errlen)
{
    const struct boot b = {.m = m, .rsdp = rsdp, .err = err, .errlen = errlen};

    if (m->config.bios.data != NULL && check_firmware(&b) != 0)
        return -1;
    if (m->config.firmware)
        return 0; /* it places all else */
    if (m->config.kernel.data != NULL)
        return place_kernel(&b);
    if (m->config.bios.data != NULL)
        return shadow_firmware(&b);
    return 0; /* nothing to boot: the CPU stays at its reset vector, whatever it finds there */
}
