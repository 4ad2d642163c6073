/* SPDX-License-Identifier: MIT */
/*
 * Lines out of what a guest sends, byte by byte, on any of its ports.
 *
 *     struct output_lines lines = {.line = on_line, .opaque = x};
 *     ... an observer calls output_lines_feed(&lines, port, data, len) ...
 *     output_lines_end(&lines);          // what has no line feed yet counts as a line
 *
 * Lines come without CR and LF. What a line has beyond OUTPUT_LINE_BYTES comes as another line.
 */
#ifndef CLI_OUTPUT_LINES_H
#define CLI_OUTPUT_LINES_H

#include <stddef.h>
#include <stdint.h>

#include <emu/machine.h>

#define OUTPUT_LINE_BYTES 4096u
/* Serial lines, then the debug console (ports E9h and 402h). */
#define OUTPUT_LINES_DEBUG MACHINE_MAX_SERIAL
#define OUTPUT_LINES_PORTS (MACHINE_MAX_SERIAL + 1u)

struct output_lines {
    /* `text` has a NUL behind it, and may have others in it. */
    void (*line)(void *opaque, unsigned port, const char *text, size_t len);
    void *opaque;
    struct {
        size_t len;
        char text[OUTPUT_LINE_BYTES + 1];
    } ports[OUTPUT_LINES_PORTS];
};

void output_lines_feed(struct output_lines *lines, unsigned port, const uint8_t *data, size_t len);
void output_lines_end(struct output_lines *lines);
/* Forgets what has no line feed yet. */
void output_lines_drop(struct output_lines *lines);

#endif
