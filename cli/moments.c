/* SPDX-License-Identifier: MIT */
/* Moments in text: moments.h. */
#include "moments.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "option_values.h"

#define LONGEST 64u

const char *moment_text(struct moment at, char out[MOMENT_TEXT])
{
    char n[NUMBER_TEXT];

    if (at.entries > 0)
        snprintf(out, MOMENT_TEXT, "%s+%" PRIu32, number_text(at.icount, n), at.entries);
    else
        snprintf(out, MOMENT_TEXT, "%s", number_text(at.icount, n));
    return out;
}

bool moment_parse(const char *text, struct moment *at)
{
    const char *plus = strchr(text, '+');
    char copy[LONGEST];
    uint64_t entries = 0;

    *at = (struct moment){0};
    if (strcmp(text, "begin") == 0)
        return true;
    if (strcmp(text, "end") == 0) {
        at->icount = UINT64_MAX;
        return true;
    }
    if (strlen(text) >= sizeof(copy))
        return false;
    strcpy(copy, text);
    if (plus != NULL) {
        copy[plus - text] = '\0';
        if (!value_u64(plus + 1, &entries) || entries > UINT32_MAX)
            return false;
    }
    at->entries = (uint32_t)entries;
    return number_parse(copy, &at->icount);
}

bool moment_parse_range(const char *text, struct moment *from, struct moment *to)
{
    const char *dots = strstr(text, ".."), *colon = strchr(text, ':'), *comma = strchr(text, ',');
    const char *between = dots != NULL ? dots : colon != NULL ? colon : comma;
    const char *end = between == NULL ? NULL : between + (dots != NULL ? 2 : 1);
    char copy[2 * LONGEST];

    /* 1,000,2,000 could be anything. */
    if (between == NULL || strlen(text) >= sizeof(copy) || (between == comma && strrchr(text, ',') != comma))
        return false;
    strcpy(copy, text);
    copy[between - text] = '\0';
    return moment_parse(*copy == '\0' ? "begin" : copy, from) && moment_parse(*end == '\0' ? "end" : end, to) &&
           !moment_before(*to, *from);
}
