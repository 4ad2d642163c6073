/* SPDX-License-Identifier: MIT */
/* Events of a trace in words: replay/describe.h. */
#include <replay/describe.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <emu/input.h>
#include <emu/intc.h>
#include <emu/perturb.h>
#include <emu/registers.h>
#include <traces/trace.h>

#define INPUT_PREVIEW 128u /* characters of an input in an event's description */

const char *replay_interrupt_source_name(uint32_t source)
{
    switch (source) {
    case INTR_SOURCE_LAPIC: return "lapic";
    case INTR_SOURCE_PIC: return "pic";
    case INTR_SOURCE_NMI: return "nmi";
    default: return "unknown";
    }
}

/* One byte as it stands in a C string literal; `out` holds 5. Returns its length. */
static size_t escape_byte(uint8_t byte, char *out)
{
    static const char from[] = "\a\b\t\n\v\f\r\"\\", to[] = "abtnvfr\"\\";
    const char *special = byte != 0 ? strchr(from, byte) : NULL;

    if (special != NULL)
        return (size_t)sprintf(out, "\\%c", to[special - from]);
    if (byte >= 0x20 && byte < 0x7f)
        return (size_t)sprintf(out, "%c", byte);
    return (size_t)sprintf(out, "\\x%02x", byte);
}

void replay_describe_bytes(const uint8_t *data, size_t len, char *out, size_t outlen)
{
    const size_t tail = sizeof("\"...");
    size_t at = 0, n, i;
    char escaped[5];

    if (outlen <= tail) {
        if (outlen > 0)
            out[0] = '\0';
        return;
    }
    out[at++] = '"';
    for (i = 0; i < len; i++) {
        n = escape_byte(data[i], escaped);
        if (at + n + tail > outlen)
            break;
        memcpy(out + at, escaped, n);
        at += n;
    }
    snprintf(out + at, outlen - at, i < len ? "\"..." : "\"");
}

/* --- inputs --- */

static uint64_t number_at(const uint8_t *data, size_t bytes)
{
    uint64_t n = 0;

    for (size_t i = 0; i < bytes; i++)
        n |= (uint64_t)data[i] << (8 * i);
    return n;
}

/* "ab 01", and "..." when they do not fit. */
static void describe_hex(const uint8_t *data, size_t len, char *out, size_t outlen)
{
    size_t at = 0, i;

    for (i = 0; i < len && at + sizeof("00 ...") <= outlen; i++)
        at += (size_t)sprintf(out + at, "%s%02x", i > 0 ? " " : "", data[i]);
    if (i < len)
        snprintf(out + at, outlen - at, "...");
}

static bool describe_memory(const uint8_t *data, size_t len, char *out, size_t outlen)
{
    int n;

    if (len <= 8)
        return false;
    n = snprintf(out, outlen, "memory at %" PRIx64 "h: ", number_at(data, 8));
    if (n > 0 && (size_t)n < outlen)
        describe_hex(data + 8, len - 8, out + n, outlen - (size_t)n);
    return true;
}

static bool describe_register(const uint8_t *data, size_t len, char *out, size_t outlen)
{
    uint64_t id, cpu;
    int n;

    if (len <= 8)
        return false;
    id = number_at(data, 4);
    cpu = number_at(data + 4, 4);
    if (id >= CPU_REGISTER_COUNT || cpu_register_info((unsigned)id)->bytes != len - 8)
        return false;
    n = cpu == 0 ? snprintf(out, outlen, "register %s: ", cpu_register_info((unsigned)id)->name)
                 : snprintf(out, outlen, "register %s of CPU %" PRIu64 ": ",
                            cpu_register_info((unsigned)id)->name, cpu);
    for (size_t i = len; i > 8 && n > 0 && (size_t)n + 3 <= outlen; i--)
        n += sprintf(out + n, "%02x", data[i - 1]);
    return true;
}

static bool describe_timing(uint32_t port, const uint8_t *data, size_t len, char *out, size_t outlen)
{
    if (port == INPUT_TIME_SKIP && len == 8)
        snprintf(out, outlen, "skip %" PRIu64 " ns", number_at(data, 8));
    else if (port == INPUT_TIME_HOLD && len == 8)
        snprintf(out, outlen, "hold interrupts for %" PRIu64 " instructions", number_at(data, 8));
    else if (port == INPUT_TIME_PREEMPT && len == 8)
        snprintf(out, outlen, "preempt within %" PRIu64 " ns", number_at(data, 8));
    else if (port == INPUT_TIME_LATE && len == 12)
        snprintf(out, outlen, "timer %" PRIu64 " is late by %" PRIu64 " ns", number_at(data, 4),
                 number_at(data + 4, 8));
    else
        return false;
    return true;
}

/* What the bytes mean. False: they mean nothing, or are what a line or device is given as it stands. */
static bool describe_meaning(const struct trace_event *ev, char *out, size_t outlen)
{
    const uint8_t *data = ev->u.input.data;
    size_t len = ev->u.input.len;

    if (ev->u.input.kind == INPUT_TIME)
        return describe_timing(ev->u.input.port, data, len, out, outlen);
    if (ev->u.input.kind == INPUT_DEBUG && ev->u.input.port == INPUT_DEBUG_MEMORY)
        return describe_memory(data, len, out, outlen);
    return ev->u.input.kind == INPUT_DEBUG && ev->u.input.port == INPUT_DEBUG_REGISTER &&
           describe_register(data, len, out, outlen);
}

void replay_describe_input(const struct trace_event *ev, char *out, size_t outlen)
{
    const char *name = input_kind_name((enum input_kind)ev->u.input.kind);
    int n = snprintf(out, outlen, "%s ", name);

    if (n < 0 || (size_t)n >= outlen || describe_meaning(ev, out + n, outlen - (size_t)n))
        return;
    n += snprintf(out + n, outlen - (size_t)n, "%" PRIu32 "%s", ev->u.input.port,
                  ev->u.input.len > 0 ? " " : "");
    if (ev->u.input.len > 0 && (size_t)n < outlen)
        replay_describe_bytes(ev->u.input.data, ev->u.input.len, out + n, outlen - (size_t)n);
}

/* --- events --- */

static void describe_input(const struct trace_event *ev, char *out, size_t outlen)
{
    char text[INPUT_PREVIEW];

    replay_describe_input(ev, text, sizeof(text));
    snprintf(out, outlen, "input %s", text);
}

void replay_describe_event(const struct trace_event *ev, char *out, size_t outlen)
{
    switch (ev->kind) {
    case TRACE_EVENT_INPUT: describe_input(ev, out, outlen); return;
    case TRACE_EVENT_INTERRUPT:
        snprintf(out, outlen, "interrupt %" PRIu32 " (%s)", ev->u.interrupt.vector,
                 replay_interrupt_source_name(ev->u.interrupt.source));
        return;
    case TRACE_EVENT_DIGEST: snprintf(out, outlen, "digest %016" PRIx64, ev->u.digest); return;
    case TRACE_EVENT_MARK: snprintf(out, outlen, "mark %s", ev->u.mark.text); return;
    case TRACE_EVENT_END: snprintf(out, outlen, "end (%s)", ev->u.end.reason); return;
    }
    snprintf(out, outlen, "unknown event");
}

void replay_describe_error(const char *path, const struct trace_error *error, char *out,
                           size_t outlen)
{
    size_t len = strlen(path);

    /* Some of the library's texts begin with the path already. */
    if (strncmp(error->text, path, len) == 0 && error->text[len] == ':')
        snprintf(out, outlen, "%s", error->text);
    else
        snprintf(out, outlen, "%s: %s", path, error->text);
}
