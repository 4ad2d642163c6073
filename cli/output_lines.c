/* SPDX-License-Identifier: MIT */
/* Lines out of bytes: output_lines.h. */
#include "output_lines.h"

static void end_line(struct output_lines *lines, unsigned port)
{
    size_t len = lines->ports[port].len;

    lines->ports[port].text[len] = '\0';
    lines->ports[port].len = 0;
    lines->line(lines->opaque, port, lines->ports[port].text, len);
}

void output_lines_feed(struct output_lines *lines, unsigned port, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len && port < OUTPUT_LINES_PORTS; i++) {
        if (data[i] == '\r')
            continue;
        if (data[i] == '\n' || lines->ports[port].len == OUTPUT_LINE_BYTES)
            end_line(lines, port);
        if (data[i] != '\n')
            lines->ports[port].text[lines->ports[port].len++] = (char)data[i];
    }
}

void output_lines_end(struct output_lines *lines)
{
    for (unsigned port = 0; port < OUTPUT_LINES_PORTS; port++)
        if (lines->ports[port].len > 0)
            end_line(lines, port);
}

void output_lines_drop(struct output_lines *lines)
{
    for (unsigned port = 0; port < OUTPUT_LINES_PORTS; port++)
        lines->ports[port].len = 0;
}
