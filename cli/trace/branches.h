/* SPDX-License-Identifier: MIT */
/* Calls and jumps in the guest's code, as it is in memory now, in the mode that the CPU is in. */
#ifndef CLI_TRACE_BRANCHES_H
#define CLI_TRACE_BRANCHES_H

#include <stdbool.h>
#include <stdint.h>

#include <emu/cpu.h>

/* A CALL ends right before `ret`; */
bool is_call_before(const struct cpu *cpu, uint64_t ret);
/* its code says that it leads to `target`. */
bool is_called_before(const struct cpu *cpu, uint64_t ret, uint64_t target);
/* A jump in the `size` bytes from `address` on (0: not known how many) leads to the first of them. */
bool leads_to_itself(const struct cpu *cpu, uint64_t address, uint64_t size);

#endif
