/* SPDX-License-Identifier: MIT */
/*
 * kallsyms: the symbols that a Linux kernel (CONFIG_KALLSYMS) carries in its read-only data to name
 * functions in an oops. They are found and decoded from guest memory alone, with no file.
 *
 * Read: kernels from 4.20 on, 32 and 64 bits, in each layout that scripts/kallsyms.c has had since:
 * offsets before the names (up to 6.4) or behind the token index, with the table of sequence
 * numbers or without it, with absolute per-CPU symbols or without, or plain addresses instead of
 * offsets. Symbols of modules are not among them.
 */
#ifndef SYMBOLS_KALLSYMS_H
#define SYMBOLS_KALLSYMS_H

#include <stddef.h>
#include <stdint.h>

#include <symbols/memory.h>
#include <symbols/table.h>

/* Where the tables are in guest memory, for those who want to know. */
struct kallsyms_layout {
    uint64_t token_table, token_index, names, markers, num_syms;
    uint64_t offsets;       /* of the offsets, or of the addresses */
    uint64_t relative_base; /* the value; 0 with plain addresses */
    bool absolute_percpu;   /* negative offsets are relative, others are per-CPU */
    bool plain_addresses;
};

/*
 * Finds and decodes the kernel's symbols. *out is a finished table, the caller's to destroy;
 * *layout (may be NULL) where they were. Takes some tens of milliseconds.
 *
 * SYMBOLS_ERR_NOT_FOUND: no such tables are mapped: early boot, another system, a kernel without
 * kallsyms. SYMBOLS_ERR_NO_MEMORY.
 */
int kallsyms_read(const struct symbols_memory *mem, const struct symbols_hints *hints,
                  struct symbol_table **out, struct kallsyms_layout *layout, char *err,
                  size_t errlen);

#endif
