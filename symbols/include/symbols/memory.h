/* SPDX-License-Identifier: MIT */
/*
 * How this library sees a guest: through one function that reads its memory by virtual address, and
 * a few registers that say where its kernel may be. And the errors that all of the library returns.
 *
 * The library depends on no machine. It turns what a Linux guest carries in its own memory, and
 * what a vmlinux says, into symbols and call frames for a debugger:
 *
 *     struct symbols_memory mem = {.read = peek, .user = machine};
 *     struct symbols_hints hints = {.struct_size = sizeof(hints), .long_mode = true, .lstar = ...};
 *     struct symbol_table *t;
 *     if (kallsyms_read(&mem, &hints, &t, NULL, err, sizeof(err)) == SYMBOLS_OK)
 *         puts(symbol_table_describe(t, rip, text, sizeof(text)));     // "do_idle+0x1a/0x2c0"
 *     symbol_table_destroy(t);
 *
 *     table.h      symbols by name and by address
 *     kallsyms.h   the symbols that a Linux kernel carries for itself
 *     elf_file.h   reading vmlinux and modules
 *     kernel.h     which kernel runs, and how far it was moved (KASLR)
 *     orc.h        call frame information from the tables of the kernel's own unwinder
 *     frame_pointer.h  the same for 32-bit kernels, from their code
 *     modules.h    which modules are loaded, and where
 *     elf_image.h  an ELF file of symbols, for gdb
 *     btf.h        types of the kernel: parameters of functions, members of structs
 *
 * Threading: no globals; objects are used by one thread at a time.
 *
 * Trust: guest memory and files are hostile. Every size is checked, every walk bounded; the worst
 * that wrong bytes can do is to give wrong names.
 *
 * Errors: functions return SYMBOLS_OK or a negative code, leave their outputs untouched on failure,
 * and say why in one line in `err` (NULL with length 0 is fine). They never print or exit.
 */
#ifndef SYMBOLS_MEMORY_H
#define SYMBOLS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum symbols_status {
    SYMBOLS_OK = 0,
    /* the caller's */
    SYMBOLS_ERR_ARGUMENT = -1,
    /* the guest's or the file's */
    SYMBOLS_ERR_NOT_FOUND = -2,    /* not there, or not yet (early boot), or not mapped now */
    SYMBOLS_ERR_DAMAGED = -3,      /* there, and contradicts itself */
    SYMBOLS_ERR_UNKNOWN = -4,      /* a kind or version that this library does not read */
    SYMBOLS_ERR_OTHER_KERNEL = -7, /* the file is not that of the kernel in the guest */
    /* the host's */
    SYMBOLS_ERR_NO_MEMORY = -5,
    SYMBOLS_ERR_IO = -6,
};

/*
 * Guest memory as the kernel sees it. `read` copies `len` bytes from virtual address `gva` on, and
 * returns how many it copied before the first one that is not mapped. It has no side effects on the
 * guest. While the guest runs user code under page table isolation, the tables that CR3 names do
 * not map the kernel: use the kernel's half, or look later.
 */
struct symbols_memory {
    size_t (*read)(void *user, uint64_t gva, void *out, size_t len);
    void *user;
};

/*
 * What the CPU says about the guest's kernel. Values that are 0 are not known. None needs to be
 * right: each is a place to look at first.
 */
struct symbols_hints {
    size_t struct_size;    /* sizeof(struct symbols_hints) */
    bool long_mode;        /* EFER.LMA: a 64-bit kernel; else a 32-bit one */
    uint64_t lstar;        /* MSR C0000082h: entry of SYSCALL in a 64-bit kernel */
    uint64_t sysenter_eip; /* MSR 176h */
    uint64_t idt_base;     /* IDTR */
    uint32_t idt_limit;    /* bytes - 1 */
    uint64_t rip;
};

#endif
