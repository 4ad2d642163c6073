/* SPDX-License-Identifier: MIT */
/* What finding the tables of kallsyms (kallsyms_find.c) hands to decoding them (kallsyms.c). */
#ifndef SYMBOLS_KALLSYMS_INTERNAL_H
#define SYMBOLS_KALLSYMS_INTERNAL_H

#include <symbols/kallsyms.h>

#include "memory_internal.h"

#define KALLSYMS_TOKENS 256u
/* Of one name, its type included; the kernel's limit (KSYM_NAME_LEN) is 512. */
#define KALLSYMS_NAME_MAX 1024u

/*
 * A copy of the guest memory around the tables, and where in it they are, as offsets into `bytes`.
 * All names and offsets lie inside, as checked by kallsyms_find.
 */
struct kallsyms_tables {
    uint8_t *bytes;
    size_t len;
    uint64_t gva;  /* of bytes[0] */
    unsigned word; /* 4 or 8 */
    size_t token_table, token_index;
    size_t names, markers, num_syms;
    size_t names_end;
    uint32_t count;
    size_t offsets; /* or addresses */
    uint64_t relative_base;
    bool absolute_percpu, plain_addresses;
};

/* 0 and *t, to be freed by kallsyms_tables_free; or a negative code with its line. */
int kallsyms_find(const struct symbols_memory *mem, const struct symbols_hints *hints,
                  struct kallsyms_tables *t, char *err, size_t errlen);
void kallsyms_tables_free(struct kallsyms_tables *t);

/* The length of the compressed name at `at`, in tokens, and where they begin; false: outside. */
bool kallsyms_name_at(const struct kallsyms_tables *t, size_t at, size_t *tokens, size_t *length);
/* Address of symbol `i`; *absolute: it is a number. */
uint64_t kallsyms_address(const struct kallsyms_tables *t, uint32_t i, bool *absolute);

#endif
