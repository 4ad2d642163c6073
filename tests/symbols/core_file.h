/* SPDX-License-Identifier: MIT */
/*
 * A core file of a guest's CPU, so that gdb can be asked for a backtrace without a connection: its
 * registers, the stack that RSP points into, and every page that words on it point to, the stacks
 * among these followed once more.
 */
#ifndef TESTS_SYMBOLS_CORE_FILE_H
#define TESTS_SYMBOLS_CORE_FILE_H

#include <stdbool.h>

#include <emu/cpu.h>

bool core_file_write(const char *path, const struct cpu *cpu);

#endif
