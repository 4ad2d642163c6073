/* SPDX-License-Identifier: MIT */
/*
 * Call frame information for a 32-bit kernel with frame pointers (CONFIG_FRAME_POINTER, which Linux for i386 has
 * instead of ORC tables), made from the kernel's own code in memory:
 *
 *     uint8_t *frames;
 *     size_t len;
 *     if (frame_pointer_read_frames(&mem, guest_symbols, &frames, &len, err, sizeof(err)) == SYMBOLS_OK)
 *         options.debug_frame = frames, options.debug_frame_len = len;       // see elf_image.h
 *
 * A debugger that only sees EBP skips the caller of a function that has not set it yet, or no more; and it takes no
 * step beyond an exception or interrupt, where the kernel leaves in EBP a mark for struct pt_regs. Known of a caller:
 * EIP, ESP, EBP; beyond an exception or interrupt all registers.
 */
#ifndef SYMBOLS_FRAME_POINTER_H
#define SYMBOLS_FRAME_POINTER_H

#include <stddef.h>
#include <stdint.h>

#include <symbols/memory.h>
#include <symbols/table.h>

/*
 * The content of a .debug_frame section for all code of `guest` whose beginning says how its frames are made. *frames
 * is malloc'ed, the caller's to free. SYMBOLS_ERR_NOT_FOUND: there is none. SYMBOLS_ERR_NO_MEMORY.
 */
int frame_pointer_read_frames(const struct symbols_memory *mem, const struct symbol_table *guest,
                              uint8_t **frames, size_t *len, char *err, size_t errlen);

#endif
