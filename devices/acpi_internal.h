/* SPDX-License-Identifier: MIT */
/* The compiled DSDT (dsdt_aml.c) for acpi_tables.c. */
#ifndef DEVICES_ACPI_INTERNAL_H
#define DEVICES_ACPI_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

extern const uint8_t dsdt_aml[];
extern const size_t dsdt_aml_len;

#endif
