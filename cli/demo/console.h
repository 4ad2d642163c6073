/* SPDX-License-Identifier: MIT */
/* The serial console, COM1: printing, and keys by interrupt. */
#ifndef DEMO_CONSOLE_H
#define DEMO_CONSOLE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* 115200 baud, 8 data bits, no parity. Printing works from here on. */
void console_init(void);
/* `on_key` is called for each byte received, from the interrupt. */
void console_listen(void (*on_key)(uint8_t byte));

/* %s %c %d %u %x %p, with l, a width and 0 before it. A call's output is never torn apart. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void vprint(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

#endif
