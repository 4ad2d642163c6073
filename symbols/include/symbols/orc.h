/* SPDX-License-Identifier: MIT */
/*
 * Call frame information for a kernel without frame pointers and without DWARF in memory.
 *
 * Linux x86-64 kernels (CONFIG_UNWINDER_ORC, every distribution's) carry tables that say for each
 * stretch of code how to get at the caller's stack pointer, frame pointer and return address. They
 * are read from guest memory and written as a .debug_frame section, so that gdb's backtraces are
 * right through the whole kernel, assembly, interrupts and exceptions included:
 *
 *     uint8_t *frames;
 *     size_t len;
 *     if (orc_read_frames(&mem, guest_symbols, &frames, &len, err, sizeof(err)) == SYMBOLS_OK)
 *         options.debug_frame = frames, options.debug_frame_len = len;       // see elf_image.h
 *
 * What gdb then knows of a caller: rip, rsp, rbp where it was saved; other registers are shown as
 * not saved, because the tables do not tell. Beyond an exception or interrupt, all registers. gdb
 * prints the entry code of these as "<signal handler called>". A backtrace ends at the entry of a
 * system call, as the kernel's own do.
 */
#ifndef SYMBOLS_ORC_H
#define SYMBOLS_ORC_H

#include <stddef.h>
#include <stdint.h>

#include <symbols/memory.h>
#include <symbols/table.h>

/* Where a kernel, or a module, has its tables: guest addresses, [begin, end). */
struct orc_place {
    uint64_t ip_begin, ip_end; /* 4 bytes an entry: code address, relative to the entry's own */
    uint64_t begin, end;       /* 6 bytes an entry */
};

/*
 * The content of a .debug_frame section for the running kernel, whose symbols, data included
 * (CONFIG_KALLSYMS_ALL), are `guest`. *frames is malloc'ed, the caller's to free.
 *
 * SYMBOLS_ERR_NOT_FOUND: the symbols name no such tables, or they are not mapped.
 * SYMBOLS_ERR_DAMAGED: the tables contradict each other. SYMBOLS_ERR_NO_MEMORY.
 */
int orc_read_frames(const struct symbols_memory *mem, const struct symbol_table *guest,
                    uint8_t **frames, size_t *len, char *err, size_t errlen);

/*
 * The same for tables whose places are known: the kernel's, which orc_find_place() gives, and those
 * of modules (modules.h) behind it. Places with ip_begin 0 are skipped, and those that are damaged
 * or not mapped, as long as one is good. `guest` (may be NULL) tells system calls from interrupts.
 */
int orc_read_frames_at(const struct symbols_memory *mem, const struct orc_place *places,
                       size_t count, const struct symbol_table *guest, uint8_t **frames,
                       size_t *len, char *err, size_t errlen);

/* Where the kernel's tables are. SYMBOLS_ERR_NOT_FOUND: the symbols do not say. */
int orc_find_place(const struct symbol_table *guest, struct orc_place *place);

#endif
