/* SPDX-License-Identifier: MIT */
/*
 * A machine of one CPU and RAM, in 64-bit mode at CPL 0, that runs one instruction at a time.
 *
 * Guest memory is mapped linear = physical up to 2 MiB, in pages of 4 KiB; GUEST_HOLE is not mapped.
 * Exceptions lead to a HLT of their own.
 */
#ifndef TESTS_FP_SIMD_GUEST_H
#define TESTS_FP_SIMD_GUEST_H

#include <emu/cpu.h>
#include <emu/machine.h>

#define GUEST_CODE  0x20000u
#define GUEST_DATA  0x30000u
#define GUEST_HOLE  0x31000u
#define GUEST_STACK 0x40000u
#define GUEST_CR0   (CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG)
#define GUEST_CR4   (CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE)

struct machine *simd_guest_create(void);

/* CR0 and CR4 as above, flat segments, RSP; general registers, XMM and x87 state as they are. */
void simd_guest_prepare(struct machine *m);

/*
 * Places `bytes` at GUEST_CODE and runs one instruction. -1 when it retired, else the vector of the exception that it raised; error code in
 * *error if that has one.
 */
int simd_guest_run(struct machine *m, const uint8_t *bytes, size_t n, uint64_t *error);

#endif
