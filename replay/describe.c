/* SPDX-License-Identifier: MIT */
/* Events of a trace in words: replay/describe.h. */
#include <replay/describe.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <emu/input.h>
#include <emu/intc.h>
#include <traces/trace.h>

#define INPUT_PREVIEW 96u /* characters of an input's bytes in a description */

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

static void describe_input(const struct trace_event *ev, char *out, size_t outlen)
{
    char bytes[INPUT_PREVIEW] = "";

    if (ev->u.input.len > 0)
        replay_describe_bytes(ev->u.input.data, ev->u.input.len, bytes, sizeof(bytes));
    snprintf(out, outlen, "input %s %" PRIu32 "%s%s",
             input_kind_name((enum input_kind)ev->u.input.kind), ev->u.input.port,
             bytes[0] != '\0' ? " " : "", bytes);
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
