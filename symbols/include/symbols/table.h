/* SPDX-License-Identifier: MIT */
/*
 * Symbols of one kernel, by name and by address.
 *
 *     struct symbol_table *t = symbol_table_create();
 *     symbol_table_add(t, "do_idle", 7, 0xffffffff810e5a90, 0, 't');
 *     if (symbol_table_finish(t) < 0) ...
 *     const struct symbol *s = symbol_table_by_name(t, "do_idle");
 *     symbol_table_destroy(t);
 *
 * A table is filled, finished once, and from then on only read, by one thread at a time: an index of the names
 * is made when it is worth it.
 */
#ifndef SYMBOLS_TABLE_H
#define SYMBOLS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbol_table;

/* More symbols than this, or a longer name, and a source is not believed. */
#define SYMBOL_TABLE_MAX (4u * 1024 * 1024)
#define SYMBOL_NAME_MAX  4096u

struct symbol {
    uint64_t address;
    /* Bytes. If the source does not say, the distance to the next higher symbol; 0 for the last one
     * and for absolute ones. */
    uint64_t size;
    const char *name; /* the table's */
    /* As nm prints it: t code, d data, r read-only, b zeroed, w weak, v weak data, a absolute (a
     * number, not an address: offsets into per-CPU areas among others); capital: global. */
    char type;
};

/* NULL: no memory. */
struct symbol_table *symbol_table_create(void);
/* NULL is fine. */
void symbol_table_destroy(struct symbol_table *t);

/*
 * Adds a symbol; the name's `len` bytes are copied. `size` 0: not known. Before
 * symbol_table_finish only. SYMBOLS_ERR_ARGUMENT for a name that is empty or too long, or when the
 * table is full or finished.
 */
int symbol_table_add(struct symbol_table *t, const char *name, size_t len, uint64_t address,
                     uint64_t size, char type);

/* Room for so many symbols, in all, at once: a wish. SYMBOLS_ERR_ARGUMENT: more than a table takes. */
int symbol_table_reserve(struct symbol_table *t, size_t count);
/* Adds all symbols of a finished table. Errors as symbol_table_add. */
int symbol_table_append(struct symbol_table *t, const struct symbol_table *from);

/* Sorts. Adding ends, looking begins. */
int symbol_table_finish(struct symbol_table *t);

/* How many. */
size_t symbol_table_count(const struct symbol_table *t);

/* The one at `index`, below the count: absolute ones first, then the others, each in ascending
 * order of address; of symbols at one address the one that describes it best is first. */
const struct symbol *symbol_table_at(const struct symbol_table *t, size_t index);

/* Exactly that name. Of several, a global one, then the lowest address. NULL: none. */
const struct symbol *symbol_table_by_name(const struct symbol_table *t, const char *name);

/* Where `name` is. False, *address untouched: none. */
bool symbol_table_address(const struct symbol_table *t, const char *name, uint64_t *address);

/*
 * The best symbol at or below an address, absolute ones left out: the one whose bytes hold it, or
 * that precedes it by padding alone. NULL below the first symbol, and behind the last one's size.
 */
const struct symbol *symbol_table_by_address(const struct symbol_table *t, uint64_t address);

/*
 * "name+0x12/0x40", the size left out where it is not known, or "0x..." where there is no symbol;
 * cut to `len` with its '\0'. Returns `out`.
 */
char *symbol_table_describe(const struct symbol_table *t, uint64_t address, char *out, size_t len);

/* Code, data, or neither, by type. */
bool symbol_is_code(const struct symbol *s);
bool symbol_is_absolute(const struct symbol *s);
bool symbol_is_global(const struct symbol *s);

#endif
