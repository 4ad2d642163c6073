/* SPDX-License-Identifier: MIT */
/* The end: a crash report on the console, and a word to the machine. */
#ifndef DEMO_PANIC_H
#define DEMO_PANIC_H

#include <stdint.h>

struct trap_frame;

/* The Multiboot information names the kernel's ELF sections; with them, reports name functions. */
void panic_find_symbols(uint32_t multiboot_magic, uint32_t multiboot_info);

/* Reports and stops. */
void panic(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void panic_trap(const struct trap_frame *frame) __attribute__((noreturn));

/* Switches the machine off. */
void power_off(void) __attribute__((noreturn));

#endif
