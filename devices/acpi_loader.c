/* SPDX-License-Identifier: MIT */
/*
 * A script for placing ACPI tables, as firmware of QEMU's machines understands it (the comments of QEMU's
 * bios-linker-loader and SeaBIOS's romfile_loader describe it): commands of 128 bytes, a little-endian u32
 * first.
 *
 *     1 allocate      name[56], u32 alignment, u8 zone (1 anywhere below 4 GiB, 2 F0000h..FFFFFh)
 *     2 add pointer   name[56] of the file to change, name[56] of the file pointed into, u32 offset, u8 size:
 *                     the field holds an offset into the second file; its address is added
 *     3 add checksum  name[56], u32 offset of the sum, u32 begin, u32 length
 *
 * Pointers come before sums. The tables are built as if the file of tables began at address 0, so that
 * every pointer is an offset already.
 */
#include <devices/acpi_loader.h>

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "acpi_internal.h"

#define COMMAND_BYTES    128u
#define NAME_BYTES       56u
#define COMMAND_ALLOCATE 1u
#define COMMAND_POINTER  2u
#define COMMAND_SUM      3u
#define ZONE_HIGH        1u
#define ZONE_FSEG        2u
#define TABLES_AT        64u /* in the blob: behind the RSDP, aligned as the FACS wants it */

static uint8_t *begin_command(struct acpi_loader_files *files, uint8_t command)
{
    uint8_t *at = files->script + files->script_len;

    assert(files->script_len + COMMAND_BYTES <= sizeof(files->script));
    memset(at, 0, COMMAND_BYTES);
    at[0] = command;
    files->script_len += COMMAND_BYTES;
    return at + 4;
}

static uint8_t *put_name(uint8_t *at, const char *name)
{
    memcpy(at, name, strlen(name));
    return at + NAME_BYTES;
}

static uint8_t *put_u32(uint8_t *at, size_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
    return at + 4;
}

static void allocate(struct acpi_loader_files *files, const char *name, unsigned align, uint8_t zone)
{
    uint8_t *at = put_name(begin_command(files, COMMAND_ALLOCATE), name);

    *put_u32(at, align) = zone;
}

/* The file that has the blob's byte `at`, and where it has it. */
static const char *file_of(size_t at, size_t *offset)
{
    bool tables = at >= TABLES_AT;

    *offset = tables ? at - TABLES_AT : at;
    return tables ? ACPI_LOADER_TABLES_FILE : ACPI_LOADER_RSDP_FILE;
}

static void add_pointer(struct acpi_loader_files *files, const struct acpi_pointer *pointer)
{
    size_t offset;
    const char *name = file_of(pointer->at, &offset);
    uint8_t *at = put_name(begin_command(files, COMMAND_POINTER), name);

    at = put_name(at, ACPI_LOADER_TABLES_FILE);
    *put_u32(at, offset) = (uint8_t)pointer->size;
}

static void add_sum(struct acpi_loader_files *files, const struct acpi_sum *sum)
{
    size_t begin, sum_at;
    const char *name = file_of(sum->at, &begin);
    uint8_t *at = put_name(begin_command(files, COMMAND_SUM), name);

    file_of(sum->sum_at, &sum_at);
    put_u32(put_u32(put_u32(at, sum_at), begin), sum->len);
}

void acpi_loader_build(struct acpi_loader_files *files, const struct acpi_machine *machine)
{
    struct acpi_fixups fixups = {.npointers = 0};
    size_t len = acpi_tables_build_movable(machine, 0u - TABLES_AT, files->blob, sizeof(files->blob),
                                           &fixups);

    assert(len > TABLES_AT);
    files->tables = files->blob + TABLES_AT;
    files->tables_len = len - TABLES_AT;
    files->script_len = 0;
    allocate(files, ACPI_LOADER_RSDP_FILE, 16, ZONE_FSEG);
    allocate(files, ACPI_LOADER_TABLES_FILE, 64, ZONE_HIGH);
    for (unsigned i = 0; i < fixups.npointers; i++)
        add_pointer(files, &fixups.pointers[i]);
    for (unsigned i = 0; i < fixups.nsums; i++)
        add_sum(files, &fixups.sums[i]);
}
