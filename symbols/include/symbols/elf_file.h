/* SPDX-License-Identifier: MIT */
/*
 * ELF files: a kernel (vmlinux) or a module (.ko), 32 or 64 bits, little-endian. Of the file only
 * the headers are read when it is opened, and what is asked for later; a vmlinux of 600 MB costs
 * the 10 MB of its symbols.
 *
 *     struct elf_file *f = elf_file_open("vmlinux", err, sizeof(err));
 *     struct symbol_table *linked;
 *     if (elf_file_symbols(f, 0, &linked, err, sizeof(err)) == SYMBOLS_OK) ...
 *     elf_file_close(f);
 */
#ifndef SYMBOLS_ELF_FILE_H
#define SYMBOLS_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <symbols/memory.h>
#include <symbols/table.h>

struct elf_file;

enum elf_file_machine { ELF_FILE_X86_64, ELF_FILE_I386, ELF_FILE_OTHER };

struct elf_file_section {
    const char *name; /* the file's */
    uint64_t address; /* as linked; 0 in a module */
    uint64_t size;
    uint64_t align;
    bool alloc; /* is in memory when loaded */
    bool code;  /* executable */
    bool writable;
    bool contents; /* the file has its bytes */
    bool note;
};

/* What `ld --build-id` put into a file: 20 bytes of SHA-1, as a rule. */
#define BUILD_ID_MAX 32u
struct build_id {
    size_t len; /* 0: none */
    uint8_t bytes[BUILD_ID_MAX];
};

/* Opens a file. NULL with one line that names it: not readable, no ELF file, or headers that point
 * outside of it. */
struct elf_file *elf_file_open(const char *path, char *err, size_t errlen);
/* The same on bytes in memory, which stay the caller's and outlive the file. `name` is for
 * messages. */
struct elf_file *elf_file_open_memory(const char *name, const void *data, size_t len, char *err,
                                      size_t errlen);
/* NULL is fine. */
void elf_file_close(struct elf_file *f);

/* As it was opened. */
const char *elf_file_name(const struct elf_file *f);
enum elf_file_machine elf_file_machine(const struct elf_file *f);
/* 32 or 64. */
unsigned elf_file_bits(const struct elf_file *f);
/* A module or other object file: its symbols have no addresses of their own. */
bool elf_file_is_relocatable(const struct elf_file *f);

/* Sections in the order of the file; the first, index 0, is empty. */
size_t elf_file_section_count(const struct elf_file *f);
const struct elf_file_section *elf_file_section(const struct elf_file *f, size_t index);
/* The first of that name; NULL: none. */
const struct elf_file_section *elf_file_section_by_name(const struct elf_file *f, const char *name);

/* Copies `len` bytes that are at link address `address` by the sections with contents. False, `out`
 * undefined: not in the file. */
bool elf_file_read(const struct elf_file *f, uint64_t address, void *out, size_t len);

/*
 * The build-id. *address (may be NULL) is where it is linked to in memory, past the note's header;
 * 0 in a module. SYMBOLS_ERR_NOT_FOUND: the file has none.
 */
int elf_file_build_id(const struct elf_file *f, struct build_id *id, uint64_t *address);

/*
 * The symbols of .symtab, moved by `offset` (run address - link address, modulo 2^64; 0: as
 * linked). Absolute symbols and per-CPU offsets stay as they are. *out is finished, and the
 * caller's to destroy.
 *
 * SYMBOLS_ERR_NOT_FOUND: there is no .symtab (the file is stripped). SYMBOLS_ERR_ARGUMENT: a
 * module. SYMBOLS_ERR_DAMAGED, SYMBOLS_ERR_IO, SYMBOLS_ERR_NO_MEMORY.
 */
int elf_file_symbols(const struct elf_file *f, uint64_t offset, struct symbol_table **out,
                     char *err, size_t errlen);

/* Equal, and not empty. */
bool build_id_equal(const struct build_id *a, const struct build_id *b);
/* Hexadecimal digits, cut to `len` with the '\0'; "none" if empty. Returns `out`. */
char *build_id_text(const struct build_id *id, char *out, size_t len);
/* The build-id among notes (struct { namesz, descsz, type; name; desc }, each padded to 4 bytes).
 * *at (may be NULL): where its bytes are. False: none. */
bool build_id_in_notes(const void *notes, size_t len, struct build_id *id, size_t *at);

#endif
