/* SPDX-License-Identifier: MIT */
/* What the commands that look at traces share: their arguments, opening, and JSON. */
#ifndef CLI_TRACE_CMD_H
#define CLI_TRACE_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct trace_reader;

/* `argv` is a subcommand that takes one trace and, with one dash or two, -json. 0, or an exit
 * status after the error was printed. */
int trace_args(int argc, char **argv, const char **path, bool *json);

/* True when `arg` is the option `name`, written with one dash or two. */
bool is_option(const char *arg, const char *name);

/* NULL after the error was printed. */
struct trace_reader *trace_open(const char *path);

/* What stopped the reader: prints the error and returns EXIT_USAGE, or EXIT_DONE when it was not an
 * error. */
int trace_read_status(const char *path, const struct trace_reader *r);

/* A JSON string with its quotes (RFC 8259). Bytes that are not ASCII are taken for UTF-8, and
 * become U+FFFD where they are not. */
void json_string(FILE *out, const char *text);

/* Bytes as a JSON string of hexadecimal digits. */
void json_hex(FILE *out, const uint8_t *data, size_t len);

#endif
