/* SPDX-License-Identifier: MIT */
/*
 * The guest's symbols, for gdb and for listings: where its vmlinux was moved to, which file it runs, which
 * modules it has loaded.
 *
 *     struct guest_symbols *g = guest_symbols_create(vmlinux, NULL, err, sizeof(err));
 *     ... the guest's kernel is up ...
 *     guest_symbols_look(g, m, warn, opaque);
 *     if (guest_symbols_describe(g, rip, text, sizeof(text)))
 */
#ifndef CLI_GUEST_SYMBOLS_H
#define CLI_GUEST_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct btf;
struct guest_symbols;
struct machine;
struct symbol_table;

/* The name under which the client may read the symbols made from the guest's own tables. */
#define GUEST_SYMBOLS_FILE "/deja/guest-symbols"

/* Opens what the options name. NULL with one line in `err`. */
struct guest_symbols *guest_symbols_create(const char *vmlinux, const char *modules, char *err,
                                           size_t errlen);
void guest_symbols_destroy(struct guest_symbols *g);
/* For listings: no file is made of the guest's own tables, which takes longer than all the rest. */
void guest_symbols_names_only(struct guest_symbols *g);

/*
 * Looks at the guest as it is now: cheap when nothing has to be found any more. Warnings, such as a
 * vmlinux of another build, go to `warn` once.
 */
void guest_symbols_look(struct guest_symbols *g, const struct machine *m,
                        void (*warn)(void *opaque, const char *text), void *opaque);

/* At the last look this was a 32-bit kernel, for which gdb has another architecture. */
bool guest_symbols_are_i386(const struct guest_symbols *g);
bool guest_symbols_offset(const struct guest_symbols *g, uint64_t *offset);
const char *guest_symbols_exec_file(const struct guest_symbols *g); /* NULL: none */
const char *guest_symbols_libraries(const struct guest_symbols *g);
const uint8_t *guest_symbols_file(const struct guest_symbols *g, const char *path, size_t *len);
/* "do_idle+0x12/0x200", for listings; false: not known. */
bool guest_symbols_describe(const struct guest_symbols *g, uint64_t address, char *out, size_t len);
/* The table behind the two below: addresses as the guest runs them are *offset above the table's. NULL: none. */
const struct symbol_table *guest_symbols_table(const struct guest_symbols *g, uint64_t *offset);
/* They are those of a Linux kernel, from its own memory. */
bool guest_symbols_of_linux(const struct guest_symbols *g);
/* The types that this kernel carries, read when it is first asked; NULL: none. The guest symbols'. */
const struct btf *guest_symbols_types(struct guest_symbols *g, const struct machine *m);
/* The address of a symbol by name. */
bool guest_symbols_find(const struct guest_symbols *g, const char *name, uint64_t *address);

#endif
