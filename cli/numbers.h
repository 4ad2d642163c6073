/* SPDX-License-Identifier: MIT */
/* Instruction counts in text: 1,702,345. */
#ifndef CLI_NUMBERS_H
#define CLI_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

#define NUMBER_TEXT 27 /* the longest, with its '\0' */

/* Decimal with commas. Returns `out`. */
const char *number_text(uint64_t n, char out[NUMBER_TEXT]);
/* The same back, with or without commas, or 0x... False: it is none. */
bool number_parse(const char *text, uint64_t *n);

#endif
