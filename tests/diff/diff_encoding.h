/* SPDX-License-Identifier: MIT */
/* Encodings that nobody chose (gen_bytes.c): which of them a host must not execute, or reads differently. */
#ifndef DIFF_ENCODING_H
#define DIFF_ENCODING_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;

/* What is in front of an opcode. */
struct encoding_front {
    unsigned n; /* bytes */
    bool lock, opsize;
};
struct encoding_front encoding_front(const uint8_t *bytes, unsigned n, bool is64);

/* Whether the n bytes at RIP are not to be compared with a host, nor executed by it. */
bool encoding_is_not_for_hosts(const struct cpu *cpu, const uint8_t *bytes, unsigned n);

#endif
