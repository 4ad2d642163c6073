/* SPDX-License-Identifier: MIT */
/*
 * Runs one x87 instruction on the host, from and into an FNSAVE image of 108 bytes. FNSAVE does not
 * wait, so that an exception that the instruction left pending is seen and never taken.
 */
#ifndef TESTS_FP_HOST_X87_H
#define TESTS_FP_HOST_X87_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host_x87 {
    uint8_t image[112];  /* in: what FRSTOR loads; out: what FNSAVE stored */
    uint8_t memory[32];  /* operand at [RCX] */
    uint64_t rflags;     /* in and out: arithmetic flags */
    uint64_t rax;        /* out */
};

bool host_x87_init(void);
void host_x87_fini(void);
void host_x87_set(const uint8_t *bytes, size_t n);
void host_x87_run(struct host_x87 *h);
/* FXSAVE of the state in h->image into 512 aligned bytes, which are filled by the caller before. */
void host_x87_fxsave(const struct host_x87 *h, uint8_t *area);

#endif
