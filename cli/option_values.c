/* SPDX-License-Identifier: MIT */
/* Values of machine options, from text: see option_values.h. */
#include "option_values.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>

#include "options.h"

/* A number at *text, which moves behind it. */
static bool scan_u64(const char **text, uint64_t *value)
{
    char *end;
    unsigned long long n;

    if (!isdigit((unsigned char)**text))
        return false;
    errno = 0;
    n = strtoull(*text, &end, (*text)[0] == '0' && ((*text)[1] | 0x20) == 'x' ? 16 : 10);
    if (errno != 0)
        return false;
    *text = end;
    *value = n;
    return true;
}

bool value_u64(const char *text, uint64_t *value)
{
    uint64_t n;

    if (!scan_u64(&text, &n) || *text != '\0')
        return false;
    *value = n;
    return true;
}

bool value_size(const char *text, uint64_t *bytes)
{
    uint64_t n;
    unsigned shift = 20;

    if (!scan_u64(&text, &n))
        return false;
    switch (*text) {
    case 'k':
    case 'K':
        shift = 10;
        text++;
        break;
    case 'm':
    case 'M':
        shift = 20;
        text++;
        break;
    case 'g':
    case 'G':
        shift = 30;
        text++;
        break;
    default: break;
    }
    if (*text != '\0' || n > UINT64_MAX >> shift)
        return false;
    *bytes = n << shift;
    return true;
}

/* --- dates --- */

/* Exactly `digits` digits, then `after` unless that is 0. */
static bool scan_field(const char **text, unsigned digits, char after, int *value)
{
    int n = 0;

    for (unsigned i = 0; i < digits; i++) {
        if (!isdigit((unsigned char)**text))
            return false;
        n = n * 10 + (*(*text)++ - '0');
    }
    if (after != '\0' && *(*text)++ != after)
        return false;
    *value = n;
    return true;
}

static bool scan_time(const char **text, struct tm *tm)
{
    return scan_field(text, 2, ':', &tm->tm_hour) && scan_field(text, 2, ':', &tm->tm_min) &&
           scan_field(text, 2, '\0', &tm->tm_sec);
}

static bool date_seconds(const char *text, int64_t *seconds)
{
    struct tm tm = {0}, check;
    time_t t;

    if (!scan_field(&text, 4, '-', &tm.tm_year) || !scan_field(&text, 2, '-', &tm.tm_mon) ||
        !scan_field(&text, 2, '\0', &tm.tm_mday))
        return false;
    if (*text == 'T' && (text++, !scan_time(&text, &tm)))
        return false;
    if (*text == 'Z')
        text++;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    check = tm;
    t = timegm(&check);
    /* timegm carries what is too large: 30 February comes back as another day. */
    if (*text != '\0' || t < 0 || check.tm_mday != tm.tm_mday || check.tm_mon != tm.tm_mon ||
        check.tm_hour != tm.tm_hour || check.tm_min != tm.tm_min || check.tm_sec != tm.tm_sec)
        return false;
    *seconds = (int64_t)t;
    return true;
}

bool value_rtc(const char *text, int64_t *seconds, bool *given)
{
    if (strncmp(text, "base=", 5) != 0)
        return false;
    text += 5;
    *given = true;
    if (strcmp(text, "utc") != 0)
        return date_seconds(text, seconds);
    *seconds = (int64_t)time(NULL);
    return true;
}

/* --- lists with commas --- */

/* The next item of a list, copied; false at the end of the list, or when an item is too long. */
static bool next_item(const char **list, char *item, size_t room)
{
    size_t len = strcspn(*list, ",");

    if (**list == '\0' || len >= room)
        return false;
    memcpy(item, *list, len);
    item[len] = '\0';
    *list += len;
    if (**list == ',')
        (*list)++;
    return true;
}

/* Whether every item of `text` is one of `allowed`, which ends with NULL. */
static bool items_among(const char *text, const char *const *allowed)
{
    char item[64];
    const char *const *a;

    while (next_item(&text, item, sizeof(item))) {
        for (a = allowed; *a != NULL && strcmp(*a, item) != 0; a++)
            ;
        if (*a == NULL)
            return false;
    }
    return *text == '\0';
}

static bool unix_options(const char *text, struct serial_spec *spec)
{
    char item[16];

    while (next_item(&text, item, sizeof(item))) {
        if (strcmp(item, "server") == 0 || strcmp(item, "server=on") == 0)
            spec->server = true;
        else if (strcmp(item, "nowait") == 0 || strcmp(item, "wait=off") == 0)
            spec->nowait = true;
        else if (strcmp(item, "server=off") != 0 && strcmp(item, "wait=on") != 0)
            return false;
    }
    return *text == '\0';
}

/* The path ends at the first comma. */
static bool value_unix(const char *text, struct serial_spec *spec)
{
    struct serial_spec found = {.kind = SERIAL_UNIX};
    size_t len = strcspn(text, ",");

    if (len == 0 || len >= sizeof(((struct sockaddr_un *)0)->sun_path) ||
        !unix_options(text + len + (text[len] == ','), &found) || (found.nowait && !found.server))
        return false;
    found.path = strndup(text, len);
    *spec = found;
    return found.path != NULL;
}

static bool value_file(const char *text, struct serial_spec *spec)
{
    *spec = (struct serial_spec){.kind = SERIAL_FILE, .path = strdup(text)};
    return spec->path != NULL && *text != '\0';
}

bool value_serial(const char *text, struct serial_spec *spec)
{
    static const struct {
        const char *name;
        enum serial_kind kind;
    } plain[] = {
        {"stdio", SERIAL_STDIO}, {"mon:stdio", SERIAL_STDIO}, {"null", SERIAL_NULL},
        {"none", SERIAL_NULL},   {"pty", SERIAL_PTY},
    };

    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if (strcmp(text, plain[i].name) == 0) {
            *spec = (struct serial_spec){.kind = plain[i].kind};
            return true;
        }
    if (strncmp(text, "file:", 5) == 0)
        return value_file(text + 5, spec);
    return strncmp(text, "unix:", 5) == 0 && value_unix(text + 5, spec);
}

bool value_action(const char *text, bool *ignore_panic, bool *no_reboot)
{
    char item[24];

    if (*text == '\0')
        return false;
    while (next_item(&text, item, sizeof(item))) {
        if (strcmp(item, "panic=none") == 0)
            *ignore_panic = true;
        else if (strcmp(item, "panic=shutdown") == 0)
            *ignore_panic = false;
        else if (strcmp(item, "reboot=shutdown") == 0)
            *no_reboot = true;
        else if (strcmp(item, "reboot=reset") == 0)
            *no_reboot = false;
        else
            return false;
    }
    return *text == '\0';
}

bool value_all_ones(const char *text)
{
    static const char *const allowed[] = {"1",       "cpus=1",    "sockets=1", "dies=1",
                                          "cores=1", "threads=1", "maxcpus=1", NULL};

    return *text != '\0' && items_among(text, allowed);
}

bool value_is_pc(const char *text, bool *hpet)
{
    static const char *const allowed[] = {"pc",      "type=pc",  "accel=tcg", "usb=off",    "acpi=on",
                                          "hpet=on", "hpet=off", "hpet",      "vmport=off", NULL};
    char item[64];
    static const char versioned[] = "pc-i440fx-";

    if (strncmp(text, versioned, sizeof(versioned) - 1) == 0)
        text += strcspn(text, ",") + (strchr(text, ',') != NULL);
    else if (*text == '\0')
        return false;
    if (!items_among(text, allowed))
        return false;
    *hpet = false;
    while (next_item(&text, item, sizeof(item)))
        if (strncmp(item, "hpet", 4) == 0)
            *hpet = strcmp(item, "hpet=off") != 0;
    return true;
}

bool value_is_present_device(const char *text)
{
    static const char *const debug_exit[] = {"isa-debug-exit", "iobase=0xf4", "iosize=4",
                                             "iosize=0x4",     "iosize=0x04", NULL};
    static const char *const pvpanic[] = {"pvpanic", "ioport=0x505", "ioport=1285", NULL};

    if (strncmp(text, "isa-debug-exit", 14) == 0)
        /* Without iobase it would be at 501h, where it is not. */
        return strstr(text, "iobase=0xf4") != NULL && items_among(text, debug_exit);
    return strncmp(text, "pvpanic", 7) == 0 && items_among(text, pvpanic);
}

/* --- perturbation --- */

/* "skip+hold" */
static bool value_perturb_kinds(const char *text, uint32_t *kinds)
{
    *kinds = 0;
    for (;;) {
        size_t len = strcspn(text, "+");
        uint32_t before = *kinds;

        for (unsigned k = 0; k < PERTURB_KIND_COUNT; k++) {
            const char *name = perturb_kind_name((enum perturb_kind)k);

            if (strlen(name) == len && memcmp(name, text, len) == 0)
                *kinds |= PERTURB_BIT(k);
        }
        if (*kinds == before)
            return false;
        if (text[len] == '\0')
            return true;
        text += len + 1;
    }
}

bool value_perturb(const char *text, struct perturb_config *config)
{
    struct perturb_config c = {0};
    char item[64];

    while (next_item(&text, item, sizeof(item))) {
        bool good = false;

        if (strncmp(item, "seed=", 5) == 0)
            good = value_u64(item + 5, &c.seed) && c.seed != 0;
        else if (strncmp(item, "kinds=", 6) == 0)
            good = value_perturb_kinds(item + 6, &c.kinds);
        else if (strncmp(item, "mean=", 5) == 0)
            good = value_u64(item + 5, &c.mean_icount) && c.mean_icount > 0 &&
                   c.mean_icount <= PERTURB_MAX_MEAN;
        else if (strncmp(item, "from=", 5) == 0)
            good = value_u64(item + 5, &c.from_icount);
        if (!good)
            return false;
    }
    if (*text != '\0')
        return false;
    *config = c;
    return true;
}
