/* SPDX-License-Identifier: MIT */
/* Numbers with commas: numbers.h. */
#include "numbers.h"

#include <inttypes.h>
#include <stdio.h>

#include "option_values.h"

const char *number_text(uint64_t n, char out[NUMBER_TEXT])
{
    char digits[21];
    int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
    char *to = out;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

bool number_parse(const char *text, uint64_t *n)
{
    char digits[40];
    size_t len = 0;

    for (; *text != '\0' && len + 1 < sizeof(digits); text++)
        if (*text != ',')
            digits[len++] = *text;
    digits[len] = '\0';
    return *text == '\0' && value_u64(digits, n);
}
