/* SPDX-License-Identifier: MIT */
/* What the files about ACPI tables share: the compiled DSDT (dsdt_aml.c), and what must be done to tables
 * that somebody else places. */
#ifndef DEVICES_ACPI_INTERNAL_H
#define DEVICES_ACPI_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include <devices/acpi_tables.h>

extern const uint8_t dsdt_aml[];
extern const size_t dsdt_aml_len;

#define ACPI_MAX_FIXUPS 24

/* A field that holds an address within the tables. */
struct acpi_pointer {
    size_t at;
    unsigned size;
};

/* The byte at sum_at makes [at, at + len) add up to 0. */
struct acpi_sum {
    size_t at, len, sum_at;
};

/* In the order in which they were made; sums are good once all pointers are. */
struct acpi_fixups {
    struct acpi_pointer pointers[ACPI_MAX_FIXUPS];
    unsigned npointers;
    struct acpi_sum sums[ACPI_MAX_FIXUPS];
    unsigned nsums;
};

/* acpi_tables_build(), telling what depends on `base`. */
size_t acpi_tables_build_movable(const struct acpi_machine *machine, uint32_t base, uint8_t *out,
                                 size_t cap, struct acpi_fixups *fixups);

#endif
