/* SPDX-License-Identifier: MIT */
/*
 * A guest that is one stretch of mapped memory, and kallsyms tables made up in it, in the layouts
 * of various kernels.
 */
#ifndef TESTS_SYMBOLS_FAKE_GUEST_H
#define TESTS_SYMBOLS_FAKE_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <symbols/memory.h>

struct fake_guest {
    uint64_t base; /* of the mapped stretch */
    uint8_t *bytes;
    size_t len;
    uint64_t reads;
};

size_t fake_guest_read(void *user, uint64_t gva, void *out, size_t len);
struct symbols_memory fake_guest_memory(struct fake_guest *g);
/* Little-endian values at offset *at, which moves on. */
void fake_guest_put(struct fake_guest *g, size_t *at, uint64_t value, unsigned bytes);
void fake_guest_align(size_t *at, size_t to);

struct fake_kallsyms {
    bool bits32;
    bool offsets_last; /* 6.5 and later */
    bool seqs;         /* sequence numbers between markers and tokens (6.2 to 6.4) */
    bool absolute_percpu;
    bool plain_addresses;
    uint32_t count;     /* symbols; the first is _stext */
    uint32_t long_name; /* this one has a name of 300 tokens; 0: none */
    /* filled in: offsets into the guest's bytes */
    size_t num_syms, names, markers, token_table, token_index, offsets, relative_base;
};

/* Fills the guest from `at` on. It must have room for 40 bytes a symbol and 64 KiB. */
void fake_kallsyms_write(struct fake_guest *g, size_t at, struct fake_kallsyms *k);
/* What the symbol at `i` is called, and where it is; the first ten are absolute with
 * absolute_percpu. */
const char *fake_kallsyms_name(const struct fake_kallsyms *k, uint32_t i, char out[512]);
uint64_t fake_kallsyms_address(const struct fake_guest *g, const struct fake_kallsyms *k,
                               uint32_t i);

#endif
