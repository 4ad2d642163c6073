/* SPDX-License-Identifier: MIT */
/*
 * Which Linux kernel runs in the guest, whether a vmlinux is its, and how far KASLR moved it.
 *
 *     struct kernel_place place;
 *     int status = kernel_find_place(&mem, &hints, guest_symbols, vmlinux, linked, &place, err,
 * sizeof(err)); if (status == SYMBOLS_OK)
 *         ... place.offset is what gdb's qOffsets wants as Text, Data and Bss
 *     else if (status == SYMBOLS_ERR_OTHER_KERNEL)
 *         ... err: "vmlinux: build-id 12.. is not the guest's, ab..: its symbols do not fit"
 */
#ifndef SYMBOLS_KERNEL_H
#define SYMBOLS_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include <symbols/elf_file.h>
#include <symbols/memory.h>
#include <symbols/table.h>

/* What the offset was seen from. */
enum kernel_evidence {
    KERNEL_BY_KALLSYMS, /* the guest's own symbols */
    KERNEL_BY_SYSCALL,  /* LSTAR, the entry of SYSCALL */
    KERNEL_BY_SYSENTER, /* MSR 176h */
    KERNEL_BY_IDT,      /* the handler of page faults, or of division errors */
    KERNEL_BY_SEARCH,   /* the kernel's notes were found where KASLR could have put them */
};
const char *kernel_evidence_name(enum kernel_evidence evidence); /* "kallsyms", ... */

struct kernel_place {
    /* Run address - link address, modulo 2^64 (2^32 for a 32-bit kernel). */
    uint64_t offset;
    enum kernel_evidence evidence;
    /* The file's build-id, or its linux_banner, is in guest memory where the offset says. False:
     * the file has neither, and the offset is only plausible. */
    bool verified;
};

/*
 * Finds the offset between the addresses of `vmlinux`, whose symbols as linked are `linked`, and
 * those that the guest runs at. `guest` (may be NULL) are the symbols that kallsyms_read found.
 * Takes a few microseconds, or, when only a search helps, a thousand small reads.
 *
 * SYMBOLS_ERR_OTHER_KERNEL: the guest runs another kernel; `err` says so, fit to be shown as a
 * warning. SYMBOLS_ERR_NOT_FOUND: no kernel is mapped yet, or it is not this one.
 * SYMBOLS_ERR_ARGUMENT: the file is for another CPU, or a module.
 */
int kernel_find_place(const struct symbols_memory *mem, const struct symbols_hints *hints,
                      const struct symbol_table *guest, const struct elf_file *vmlinux,
                      const struct symbol_table *linked, struct kernel_place *place, char *err,
                      size_t errlen);

/* The build-id in the notes of the running kernel, whose own symbols are `guest`.
 * SYMBOLS_ERR_NOT_FOUND: it has none, or its symbols do not tell where. */
int kernel_read_build_id(const struct symbols_memory *mem, const struct symbol_table *guest,
                         struct build_id *id);

/* "Linux version 6.1.0-...", without its line end, cut to `len`. SYMBOLS_ERR_NOT_FOUND. */
int kernel_read_banner(const struct symbols_memory *mem, const struct symbol_table *guest,
                       char *out, size_t len);

/* Where the IDT leads for `vector`. False: not known, not mapped or not present. */
bool kernel_idt_handler(const struct symbols_memory *mem, const struct symbols_hints *hints,
                        unsigned vector, uint64_t *handler);

#endif
