/* SPDX-License-Identifier: MIT */
/*
 * Code in words. By Zydis, the other disassembler of the house, so that a mistake of ours in decoding cannot hide
 * in what is shown of it.
 */
#ifndef CLI_DISASM_H
#define CLI_DISASM_H

#include <stddef.h>
#include <stdint.h>

#define DISASM_TEXT 128u

/* One instruction of `bits`-bit code at `rip`, in Intel's syntax. Returns its length in bytes, or 0: these
 * bytes begin none, and `out` says so. */
size_t disasm(unsigned bits, uint64_t rip, const uint8_t *bytes, size_t len, char out[DISASM_TEXT]);

#endif
