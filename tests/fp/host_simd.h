/* SPDX-License-Identifier: MIT */
/*
 * Runs one MMX or SSE instruction on the host, in a page of its own, from and into a register image.
 */
#ifndef TESTS_FP_HOST_SIMD_H
#define TESTS_FP_HOST_SIMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/fpu_state.h>

/* XMM0..2, MM0..2 and the registers that instructions name implicitly. */
struct host_simd {
    union xmm x[3];
    uint64_t mm[3];
    uint64_t rax, rcx, rdx, rflags;
    uint32_t mxcsr, restore;
    uint64_t rdi; /* in: address of the memory operand */
};

bool host_simd_init(void);
void host_simd_fini(void);
/* The instruction to run from now on. */
void host_simd_set(const uint8_t *bytes, size_t n);
/* True when it raised SIGFPE; *h is then what the instruction left. */
bool host_simd_run(struct host_simd *h);

#endif
