/* SPDX-License-Identifier: MIT */
/* Events by name: find.h. */
#include "find.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emu/input.h>

/* What the number behind a name is. */
enum number_kind { DECIMAL, HEX, INPUT_NAME, NO_NUMBER };

#define BIT WATCH_BIT
#define CR(n) {"cr" #n, BIT(WATCH_CR_WRITE), NO_NUMBER, n}

static const struct event_name {
    const char *name;
    uint32_t kinds;      /* 0: inputs */
    enum number_kind number;
    int fixed;           /* the number, where there is NO_NUMBER; -1: any */
} events[] = {
    {"irq", BIT(WATCH_INTERRUPT), DECIMAL, -1},
    {"exception", BIT(WATCH_EXCEPTION), DECIMAL, -1},
    {"int", BIT(WATCH_SOFT_INTERRUPT), HEX, -1},
    {"input", 0, INPUT_NAME, -1},
    {"io", BIT(WATCH_PORT_READ) | BIT(WATCH_PORT_WRITE), HEX, -1},
    {"in", BIT(WATCH_PORT_READ), HEX, -1},
    {"out", BIT(WATCH_PORT_WRITE), HEX, -1},
    {"mmio", BIT(WATCH_MMIO_READ) | BIT(WATCH_MMIO_WRITE), HEX, -1},
    {"msr", BIT(WATCH_MSR_READ) | BIT(WATCH_MSR_WRITE), HEX, -1},
    {"rdmsr", BIT(WATCH_MSR_READ), HEX, -1},
    {"wrmsr", BIT(WATCH_MSR_WRITE), HEX, -1},
    {"syscall", BIT(WATCH_SYSCALL), DECIMAL, -1},
    {"cr", BIT(WATCH_CR_WRITE), NO_NUMBER, -1},
    CR(0), CR(2), CR(3), CR(4), CR(8),
};
#define NEVENTS (sizeof(events) / sizeof(events[0]))

const char *find_event_names(void)
{
    return "irq[=VECTOR], exception[=VECTOR], int[=VECTOR], input[=KIND], io[=PORT], in, out, mmio[=ADDRESS], "
           "msr[=NUMBER], rdmsr, wrmsr, syscall[=NUMBER], cr, cr0, cr2, cr3, cr4, cr8";
}

static const struct event_name *find_name(const char *name, size_t len)
{
    for (size_t i = 0; i < NEVENTS; i++)
        if (strlen(events[i].name) == len && memcmp(events[i].name, name, len) == 0)
            return &events[i];
    return NULL;
}

/* --- numbers --- */

/* One number up to *end; false: there is none. */
static bool parse_number(const char *text, enum number_kind kind, const char **end, uint64_t *n)
{
    char *behind;

    if (!isxdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    *n = strtoull(text, &behind, kind == HEX || strncmp(text, "0x", 2) == 0 ? 16 : 10);
    *end = behind;
    return behind != text && errno == 0;
}

/* "N" or "N-M". */
static bool parse_range(const char *text, enum number_kind kind, struct selector *s)
{
    const char *end;

    if (!parse_number(text, kind, &end, &s->first))
        return false;
    s->last = s->first;
    if (*end == '-' && !parse_number(end + 1, kind, &end, &s->last))
        return false;
    return *end == '\0' && s->first <= s->last;
}

static bool parse_input_kind(const char *text, struct selector *s)
{
    for (unsigned k = 1; k < INPUT_KIND_COUNT; k++)
        if (strcmp(input_kind_name((enum input_kind)k), text) == 0) {
            s->first = s->last = k;
            return true;
        }
    return false;
}

static bool parse_which(const struct event_name *e, const char *text, struct selector *s)
{
    s->ranged = true;
    if (e->number == INPUT_NAME)
        return parse_input_kind(text, s);
    return e->number != NO_NUMBER && parse_range(text, e->number, s);
}

static const char *const wanted[] = {
    [DECIMAL] = "a number, or two with - between",
    [HEX] = "a hexadecimal number, or two with - between",
    [INPUT_NAME] = "a kind of input, as deja dump shows it: serial, key, reset, ...",
    [NO_NUMBER] = "nothing",
};

bool find_event_parse(const char *text, struct selector *s, char *err, size_t errlen)
{
    size_t len = strcspn(text, "=");
    const struct event_name *e = find_name(text, len);

    if (e == NULL) {
        snprintf(err, errlen, "no such event; there are %s", find_event_names());
        return false;
    }
    s->kinds = e->kinds;
    s->inputs = e->kinds == 0;
    if (e->fixed >= 0) {
        s->ranged = true;
        s->first = s->last = (uint64_t)e->fixed;
    }
    if (text[len] == '\0' || parse_which(e, text + len + 1, s))
        return true;
    snprintf(err, errlen, "behind %s= stands %s", e->name, wanted[e->number]);
    return false;
}

bool find_event_counts(const struct selector *s, enum watch_kind kind, uint64_t number, unsigned size)
{
    uint64_t last = number + (size > 0 ? size - 1 : 0);

    if (s->kind != SELECT_EVENT || !(s->kinds & WATCH_BIT(kind)))
        return false;
    if (kind == WATCH_MSR_READ || kind == WATCH_MSR_WRITE)
        last = number;
    return !s->ranged || (number <= s->last && s->first <= last);
}

const char *find_event_name(enum watch_kind kind)
{
    static const char *const names[WATCH_KIND_COUNT] = {
        [WATCH_PORT_READ] = "in",     [WATCH_PORT_WRITE] = "out",
        [WATCH_MMIO_READ] = "mmio-read", [WATCH_MMIO_WRITE] = "mmio-write",
        [WATCH_MSR_READ] = "rdmsr",   [WATCH_MSR_WRITE] = "wrmsr",
        [WATCH_CR_WRITE] = "cr",      [WATCH_EXCEPTION] = "exception",
        [WATCH_INTERRUPT] = "irq",    [WATCH_SOFT_INTERRUPT] = "int",
        [WATCH_SYSCALL] = "syscall",
    };

    return names[kind] != NULL ? names[kind] : "event";
}
