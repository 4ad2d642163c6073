/* SPDX-License-Identifier: MIT */
/*
 * An ELF file of symbols alone, made in memory, that gdb takes as the guest's executable: it gives
 * names to addresses, and call frame information if there is any. It has no contents; gdb reads
 * code and data from the target.
 *
 *     struct elf_image_options o = {.struct_size = sizeof(o), .bits = 64};
 *     uint8_t *image;
 *     size_t len;
 *     if (elf_image_build(table, &o, &image, &len, err, sizeof(err)) == SYMBOLS_OK)
 *         fwrite(image, 1, len, f);
 *     free(image);
 *
 * Its addresses are the table's: where the kernel runs, if the table came from the guest. Then gdb
 * is to be told of no offset.
 */
#ifndef SYMBOLS_ELF_IMAGE_H
#define SYMBOLS_ELF_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include <symbols/memory.h>
#include <symbols/table.h>

struct elf_image_options {
    size_t struct_size; /* sizeof(struct elf_image_options) */
    unsigned bits;      /* 64: ELFCLASS64, x86-64; 32: ELFCLASS32, i386 */
    const uint8_t
        *debug_frame; /* content of .debug_frame (DWARF 4, 6.4.1), see orc.h; NULL: none */
    size_t debug_frame_len;
};

/*
 * Builds the file. Code symbols become functions, others objects, absolute ones SHN_ABS; sizes are
 * the table's. A section .text, .data, .text.1, ... covers each run of symbols of one kind.
 *
 * *image is malloc'ed, the caller's to free. SYMBOLS_ERR_ARGUMENT: a table that is empty, or has
 * addresses above 4 GiB for 32 bits. SYMBOLS_ERR_NO_MEMORY.
 */
int elf_image_build(const struct symbol_table *table, const struct elf_image_options *options,
                    uint8_t **image, size_t *len, char *err, size_t errlen);

#endif
