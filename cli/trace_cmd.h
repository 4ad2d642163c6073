/* SPDX-License-Identifier: MIT */
/* What the commands that look at traces share: their arguments, opening, and JSON. */
#ifndef CLI_TRACE_CMD_H
#define CLI_TRACE_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct trace_reader;

/* A subcommand that takes one trace and, with one dash or two, -json: reads its arguments, opens the
 * trace and calls `fn`. Returns what fn does, or an exit status after the error was printed. */
typedef int trace_command_fn(const char *path, struct trace_reader *r, bool json);
int trace_command(int argc, char **argv, trace_command_fn *fn);

/* True when `arg` is the option `name`, written with one dash or two. */
bool is_option(const char *arg, const char *name);

/* The option `name` at argv[*i] and its value, behind '=' or in the next argument, to which *i is moved. 1: it was that;
 * 0: it is another; -1: it has no value, which was said in the name of `command`. */
int take_option(const char *name, const char *command, int argc, char **argv, int *i, const char **value);

/* What stopped the reader: prints the error and returns EXIT_USAGE, or EXIT_DONE when it was not an
 * error. */
int trace_read_status(const char *path, const struct trace_reader *r);

/* A JSON string with its quotes (RFC 8259). Bytes that are not ASCII are taken for UTF-8, and
 * become U+FFFD where they are not. */
void json_string(FILE *out, const char *text);
/* Nothing of the text would be lost. */
bool json_can_say(const char *text);

/* Bytes as a JSON string of hexadecimal digits. */
void json_hex(FILE *out, const uint8_t *data, size_t len);

#endif
