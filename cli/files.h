/* SPDX-License-Identifier: MIT */
/* Whole files into memory. */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Reads the file `path`, 1 to `max` bytes, into memory that the caller frees. `option` names in
 * messages what the file was given for ("-kernel"). 0, or EXIT_USAGE after the error was printed;
 * outputs are untouched then.
 */
int file_load(const char *option, const char *path, size_t max, uint8_t **data, size_t *len);

#endif
