/* SPDX-License-Identifier: MIT */
/*
 * The ACPI tables that tell a guest what the PC board has: RSDP, RSDT, XSDT, FADT, FACS, MADT,
 * DSDT; the HPET's and an SSDT for the mouse, where there are these.
 */
#ifndef DEVICES_ACPI_TABLES_H
#define DEVICES_ACPI_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the board puts them: the RSDP is the first, where a guest without hints looks for it. */
#define ACPI_TABLES_BASE      0xe0000u
#define ACPI_TABLES_MAX_BYTES 0x4000u

/* What differs from one PC to another. */
struct acpi_machine {
    unsigned ncpus; /* 1..64; APIC IDs 0 and up */
    bool hpet;      /* it has one, and a table that says so */
    bool mouse;     /* a PS/2 mouse, likewise */
};

/*
 * Builds the tables for a machine as they are to
 * stand at physical address `base`, a multiple of 64 below 4 GiB. Writes to `out`, which has `cap`
 * bytes, and returns how many it took; 0, with `out` in no useful state, when `cap` does not do.
 * The RSDP comes first. ACPI_TABLES_MAX_BYTES always does.
 */
size_t acpi_tables_build(const struct acpi_machine *machine, uint32_t base, uint8_t *out, size_t cap);

#endif
