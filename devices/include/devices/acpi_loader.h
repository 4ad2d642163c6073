/* SPDX-License-Identifier: MIT */
/*
 * The ACPI tables as files for a firmware that places them itself: the RSDP, all the rest, and the script
 * that says how (QEMU's table-loader interface). devices/acpi_loader.c has its form.
 */
#ifndef DEVICES_ACPI_LOADER_H
#define DEVICES_ACPI_LOADER_H

#include <stddef.h>
#include <stdint.h>

#include <devices/acpi_tables.h>

#define ACPI_LOADER_RSDP_FILE   "etc/acpi/rsdp"
#define ACPI_LOADER_TABLES_FILE "etc/acpi/tables"
#define ACPI_LOADER_SCRIPT_FILE "etc/table-loader"

#define ACPI_LOADER_RSDP_BYTES  36u
#define ACPI_LOADER_MAX_SCRIPT  (48u * 128u)

struct acpi_loader_files {
    uint8_t blob[ACPI_TABLES_MAX_BYTES]; /* the RSDP first */
    const uint8_t *tables;               /* within blob */
    size_t tables_len;
    uint8_t script[ACPI_LOADER_MAX_SCRIPT];
    size_t script_len;
};

void acpi_loader_build(struct acpi_loader_files *files, const struct acpi_machine *machine);

#endif
