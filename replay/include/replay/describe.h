/* SPDX-License-Identifier: MIT */
/*
 * Events of a trace in words, the same in every message and listing.
 *
 * All functions write one NUL-terminated line without a newline, cut to fit.
 */
#ifndef REPLAY_DESCRIBE_H
#define REPLAY_DESCRIBE_H

#include <stddef.h>
#include <stdint.h>

struct trace_error;
struct trace_event;

/* "lapic", "pic", "nmi"; "unknown" outside enum intr_source. */
const char *replay_interrupt_source_name(uint32_t source);

/* Bytes as a C string literal with its quotes, ASCII only: "ls\r\x00". When they do not fit, the
 * literal ends early and "..." follows it. */
void replay_describe_bytes(const uint8_t *data, size_t len, char *out, size_t outlen);

/*
 * An input, without its time: `serial 0 "x"`, `debug memory at 5000h: ab cd`, `debug register rax: 00000000000000ff`,
 * `time skip 500 ns`. Bytes that do not fit end in "...".
 */
void replay_describe_input(const struct trace_event *ev, char *out, size_t outlen);

/* What an event is, without its icount: `interrupt 32 (pic)`, `input serial 0 "x"`, `digest
 * 0123456789abcdef`, `end (poweroff)`. */
void replay_describe_event(const struct trace_event *ev, char *out, size_t outlen);

/* "<path>: <what is wrong with it>". */
void replay_describe_error(const char *path, const struct trace_error *error, char *out,
                           size_t outlen);

#endif
