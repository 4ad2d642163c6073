/* SPDX-License-Identifier: MIT */
/*
 * What the PC board tells a firmware about itself, by fw_cfg (names and forms are QEMU's, which SeaBIOS
 * and OVMF expect):
 *
 *     sizes of RAM, numbers of CPUs, no NUMA, no boot menu, ISA interrupt 0 on I/O APIC pin 2
 *     etc/e820               the RAM, as entries of u64 base, u64 length, u32 type
 *     etc/acpi/..., etc/table-loader
 *                            the ACPI tables and how to place them (acpi_loader.h)
 *     etc/boot-fail-wait     without anything to boot the firmware waits for ever
 *     vgaroms/vgabios.bin    the firmware of the text screen, when the machine has one
 *     genroms/linux.bin, bootorder, and the parts of a kernel with their places
 *                            when the machine has a kernel: an option ROM (linux_rom.asm) starts it
 *
 * Firmware that finds no file of a name takes its default; there is no SMBIOS.
 */
#include <devices/pc_firmware.h>

#include <string.h>

#include <emu/machine.h>
#include <emu/ram.h>

#include "linux_rom.h"

#define FOUR_GIB      (4ULL << 30)
#define E820_RAM      1u
#define VGA_ROM_FILE  "vgaroms/vgabios.bin"
#define BOOT_FAIL_FILE "etc/boot-fail-wait"
#define LINUX_ROM_FILE "genroms/linux.bin"

static void put_le(uint8_t *to, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static bool read_memory(void *opaque, uint64_t gpa, void *to, size_t len)
{
    const struct machine *m = opaque;

    return ram_read(&m->ram, gpa, to, len);
}

static bool write_memory(void *opaque, uint64_t gpa, const void *from, size_t len)
{
    struct machine *m = opaque;

    return ram_write(&m->ram, gpa, from, len);
}

static void put_e820(uint8_t *entry, uint64_t base, uint64_t len)
{
    put_le(entry, 8, base);
    put_le(entry + 8, 8, len);
    put_le(entry + 16, 4, E820_RAM);
}

static void add_numbers(struct pc_firmware *pf, const struct machine *m)
{
    static const uint8_t zeros[8], ones[4] = {1};

    put_le(pf->ram_bytes, 8, m->ram.bytes);
    put_le(pf->ncpus, 2, m->ncpus);
    fw_cfg_add(&pf->fw_cfg, FW_CFG_RAM_SIZE, pf->ram_bytes, 8);
    fw_cfg_add(&pf->fw_cfg, FW_CFG_NOGRAPHIC, zeros, 2);
    fw_cfg_add(&pf->fw_cfg, FW_CFG_NB_CPUS, pf->ncpus, 2);
    fw_cfg_add(&pf->fw_cfg, FW_CFG_MAX_CPUS, pf->ncpus, 2);
    fw_cfg_add(&pf->fw_cfg, FW_CFG_NUMA, zeros, 8);
    fw_cfg_add(&pf->fw_cfg, FW_CFG_BOOT_MENU, zeros, 2);
    fw_cfg_add(&pf->fw_cfg, FW_CFG_IRQ0_OVERRIDE, ones, 4);
}

static void add_files(struct pc_firmware *pf, const struct machine *m)
{
    static const uint8_t for_ever[4] = {0xff, 0xff, 0xff, 0xff};
    uint64_t high = m->ram.bytes - m->ram.low_bytes;
    const struct machine_image *vga = &m->config.vgabios;

    put_e820(pf->e820, 0, m->ram.low_bytes);
    put_e820(pf->e820 + PC_FIRMWARE_E820_BYTES, FOUR_GIB, high);
    fw_cfg_add_file(&pf->fw_cfg, "etc/e820", pf->e820,
                    (high > 0 ? 2 : 1) * PC_FIRMWARE_E820_BYTES);
    fw_cfg_add_file(&pf->fw_cfg, BOOT_FAIL_FILE, for_ever, sizeof(for_ever));
    if (vga->data != NULL)
        fw_cfg_add_file(&pf->fw_cfg, VGA_ROM_FILE, vga->data, vga->len);
}

static void add_acpi(struct pc_firmware *pf, const struct machine *m)
{
    acpi_loader_build(&pf->acpi, &(struct acpi_machine){.ncpus = m->ncpus,
                                                        .hpet = m->config.hpet != 0,
                                                        .mouse = m->config.mouse != 0});
    fw_cfg_add_file(&pf->fw_cfg, ACPI_LOADER_RSDP_FILE, pf->acpi.blob, ACPI_LOADER_RSDP_BYTES);
    fw_cfg_add_file(&pf->fw_cfg, ACPI_LOADER_TABLES_FILE, pf->acpi.tables, pf->acpi.tables_len);
    fw_cfg_add_file(&pf->fw_cfg, ACPI_LOADER_SCRIPT_FILE, pf->acpi.script, pf->acpi.script_len);
}

/* Items that say where a part of the kernel goes, how large it is, and what it is. */
static void add_part(struct pc_firmware *pf, unsigned n, const uint16_t keys[3], uint32_t gpa,
                     const void *data, size_t len)
{
    uint8_t *address = pf->linux_numbers[2 * n], *size = pf->linux_numbers[2 * n + 1];

    put_le(address, 4, gpa);
    put_le(size, 4, len);
    fw_cfg_add(&pf->fw_cfg, keys[0], address, 4);
    fw_cfg_add(&pf->fw_cfg, keys[1], size, 4);
    fw_cfg_add(&pf->fw_cfg, keys[2], data, len);
}

static int add_linux(struct pc_firmware *pf, struct machine *m, char *err, size_t errlen)
{
    static const uint16_t keys[4][3] = {
        {FW_CFG_SETUP_ADDR, FW_CFG_SETUP_SIZE, FW_CFG_SETUP_DATA},
        {FW_CFG_CMDLINE_ADDR, FW_CFG_CMDLINE_SIZE, FW_CFG_CMDLINE_DATA},
        {FW_CFG_KERNEL_ADDR, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA},
        {FW_CFG_INITRD_ADDR, FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA},
    };
    static const char bootorder[] = "/rom@" LINUX_ROM_FILE;
    const struct boot_linux_parts *parts = &pf->linux_parts;
    const struct machine_config *c = &m->config;
    const char *cmdline = c->cmdline == NULL ? "" : c->cmdline;

    if (boot_linux_split(m, &pf->linux_parts, err, errlen) != 0)
        return -1;
    add_part(pf, 0, keys[0], BOOT_SETUP_GPA, parts->setup, parts->setup_len);
    add_part(pf, 1, keys[1], BOOT_CMDLINE_GPA, cmdline, strlen(cmdline) + 1);
    add_part(pf, 2, keys[2], BOOT_CODE_GPA, parts->code, parts->code_len);
    add_part(pf, 3, keys[3], parts->initrd_gpa, c->initrd.data, c->initrd.len);
    fw_cfg_add_file(&pf->fw_cfg, LINUX_ROM_FILE, linux_rom, linux_rom_len);
    fw_cfg_add_file(&pf->fw_cfg, "bootorder", bootorder, sizeof(bootorder));
    return 0;
}

int pc_firmware_init(struct pc_firmware *pf, struct machine *m, char *err, size_t errlen)
{
    fw_cfg_init(&pf->fw_cfg, &(struct fw_cfg_wiring){.ports = &m->ports,
                                                     .read_memory = read_memory,
                                                     .write_memory = write_memory,
                                                     .opaque = m});
    add_numbers(pf, m);
    add_files(pf, m);
    add_acpi(pf, m);
    return m->config.kernel.data == NULL ? 0 : add_linux(pf, m, err, errlen);
}
