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
 *
 * Firmware that finds no file of a name takes its default; there is no bootorder and no SMBIOS.
 */
#include <devices/pc_firmware.h>

#include <emu/machine.h>
#include <emu/ram.h>

#define FOUR_GIB      (4ULL << 30)
#define E820_RAM      1u
#define VGA_ROM_FILE  "vgaroms/vgabios.bin"
#define BOOT_FAIL_FILE "etc/boot-fail-wait"

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

void pc_firmware_init(struct pc_firmware *pf, struct machine *m)
{
    fw_cfg_init(&pf->fw_cfg, &(struct fw_cfg_wiring){.ports = &m->ports,
                                                     .read_memory = read_memory,
                                                     .write_memory = write_memory,
                                                     .opaque = m});
    add_numbers(pf, m);
    add_files(pf, m);
    add_acpi(pf, m);
}
