/* SPDX-License-Identifier: MIT */
/*
 * Errors as values, the names of codes and kinds, and the check that text is UTF-8 (RFC 3629),
 * which CBOR demands of text strings.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "trace_internal.h"

const char *trace_status_name(int status)
{
    switch (status) {
    case TRACE_OK: return "ok";
    case TRACE_ERR_ARGUMENT: return "argument";
    case TRACE_ERR_ORDER: return "order";
    case TRACE_ERR_STATE: return "state";
    case TRACE_ERR_TOO_BIG: return "too-big";
    case TRACE_ERR_NOT_REGULAR: return "not-regular";
    case TRACE_ERR_NOT_EMBEDDED: return "not-embedded";
    case TRACE_ERR_NOT_TRACE: return "not-trace";
    case TRACE_ERR_VERSION: return "version";
    case TRACE_ERR_TRUNCATED: return "truncated";
    case TRACE_ERR_CORRUPT: return "corrupt";
    case TRACE_ERR_MALFORMED: return "malformed";
    case TRACE_ERR_LIMIT: return "limit";
    case TRACE_ERR_UNKNOWN_EVENT: return "unknown-event";
    case TRACE_ERR_HASH: return "hash";
    case TRACE_ERR_IO: return "io";
    case TRACE_ERR_MEMORY: return "memory";
    case TRACE_ERR_THREAD: return "thread";
    case TRACE_ERR_BUG: return "bug";
    default: return "unknown";
    }
}

const char *trace_event_kind_name(unsigned kind)
{
    static const char *const names[] = {"unknown", "input", "interrupt", "digest", "mark", "end"};

    return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : names[0];
}

int trace_fail(struct trace_error *err, enum trace_status code, uint64_t offset, const char *format,
               ...)
{
    if (!err)
        return code;

    va_list ap;

    err->code = code;
    err->sys_errno = 0;
    err->offset = offset;
    va_start(ap, format);
    vsnprintf(err->text, sizeof(err->text), format, ap);
    va_end(ap);
    return code;
}

int trace_fail_errno(struct trace_error *err, enum trace_status code, uint64_t offset,
                     int sys_errno, const char *what)
{
    char reason[96];

    /* The GNU variant: the answer may be `reason` or a constant. */
    trace_fail(err, code, offset, "%s: %s", what, strerror_r(sys_errno, reason, sizeof(reason)));
    if (err)
        err->sys_errno = sys_errno;
    return code;
}

/* Length of the UTF-8 sequence at `p`, 0 if it is none. */
static size_t utf8_sequence(const uint8_t *p, size_t len)
{
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t code;
    size_t n;

    if (p[0] < 0x80)
        return 1;
    if ((p[0] & 0xe0) == 0xc0) {
        n = 2;
        code = p[0] & 0x1fu;
    } else if ((p[0] & 0xf0) == 0xe0) {
        n = 3;
        code = p[0] & 0x0fu;
    } else if ((p[0] & 0xf8) == 0xf0) {
        n = 4;
        code = p[0] & 0x07u;
    } else {
        return 0;
    }
    if (n > len)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3fu);
    }
    if (code < lowest[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    return n;
}

bool trace_utf8_valid(const char *text, size_t len)
{
    const uint8_t *p = (const uint8_t *)text;

    while (len) {
        size_t n = utf8_sequence(p, len);
        if (!n)
            return false;
        p += n;
        len -= n;
    }
    return true;
}

size_t trace_utf8_repair(char *text, size_t len)
{
    uint8_t *p = (uint8_t *)text;
    size_t repaired = 0;

    while (len) {
        size_t n = utf8_sequence(p, len);
        if (!n) {
            *p = '?';
            n = 1;
            repaired++;
        }
        p += n;
        len -= n;
    }
    return repaired;
}
