/* SPDX-License-Identifier: MIT */
/*
 * The modules that a Linux x86-64 guest has loaded, by a look at its memory: names, where their
 * sections are, their symbols and their unwinding tables. No file and no debug information is
 * needed; what struct module looks like differs between versions, so its members are told by what
 * they hold.
 *
 *     struct module_list *modules;
 *     if (modules_read(&mem, kernel_symbols, &modules, err, sizeof(err)) == SYMBOLS_OK) {
 *         struct symbol_table *all = symbol_table_create();
 *         symbol_table_append(all, kernel_symbols);
 *         modules_add_symbols(&mem, modules, all);
 *         symbol_table_finish(all);
 *         ...
 *     }
 *     module_list_destroy(modules);
 *
 * With the .ko files at hand, modules_library_list() gives gdb what it loads their debug
 * information by.
 *
 * Needs the kernel's data symbols (CONFIG_KALLSYMS_ALL) and sysfs' section attributes
 * (CONFIG_SYSFS), as distributions have them.
 */
#ifndef SYMBOLS_MODULES_H
#define SYMBOLS_MODULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <symbols/elf_file.h>
#include <symbols/memory.h>
#include <symbols/orc.h>
#include <symbols/table.h>

#define MODULE_NAME_MAX 64u /* with its '\0' */

struct module_section {
    char *name;
    uint64_t address;
};

struct guest_module {
    char name[MODULE_NAME_MAX];      /* as lsmod prints it: "pvpanic_mmio" */
    uint64_t address;                /* of its struct module */
    bool live;                       /* initialised; its .init sections are freed */
    struct module_section *sections; /* what is in memory of it, in the kernel's order */
    size_t section_count;            /* 0: they were not found */
    struct build_id build_id;        /* len 0: none */
    struct orc_place orc;            /* all 0: none */
    /* Its symbols: struct elf64_sym each, names, and a letter of nm each. count 0: none. */
    uint64_t symtab, strtab, typetab;
    uint32_t symbol_count;
};

struct module_list {
    struct guest_module *modules; /* newest first, as the kernel lists them */
    size_t count;
};

/*
 * Reads the list; *out is the caller's to destroy. An empty list is fine. A member of the list that
 * is no module ends it.
 *
 * SYMBOLS_ERR_NOT_FOUND: `guest` has no symbol `modules`, or it is not mapped.
 * SYMBOLS_ERR_NO_MEMORY.
 */
int modules_read(const struct symbols_memory *mem, const struct symbol_table *guest,
                 struct module_list **out, char *err, size_t errlen);
/* NULL is fine. */
void module_list_destroy(struct module_list *l);

/* Where a section of it is; 0: not in memory. */
uint64_t guest_module_section(const struct guest_module *m, const char *name);

/* Adds the modules' symbols to a table that is not finished. A module whose symbols are damaged is
 * left out. SYMBOLS_ERR_ARGUMENT (table full or finished), SYMBOLS_ERR_NO_MEMORY. */
int modules_add_symbols(const struct symbols_memory *mem, const struct module_list *l,
                        struct symbol_table *t);

/*
 * The modules' files (.ko) below a folder. All that is needed of them is read here: a process may have no
 * right to open files later. Links are not followed. NULL, with a line in `err`: the folder cannot be read,
 * or no memory.
 */
struct module_files;
struct module_files *module_files_scan(const char *dir, char *err, size_t errlen);
/* NULL is fine. */
void module_files_destroy(struct module_files *files);

/*
 * The answer to qXfer:libraries:read: an XML document of gdb's library-list.dtd, with a <library>
 * for each module whose file is there, and in it the address of each of the file's allocated sections
 * in order (a place where nothing is, for those that are not in memory). Files are told by name ('-'
 * as '_') and build-id; one that differs is left out, and `warning` (may be NULL with length 0) says
 * so, of the first such one; else it is made empty.
 *
 * *xml is malloc'ed, ends with '\0', and is the caller's to free. SYMBOLS_ERR_NO_MEMORY.
 */
int modules_library_list(const struct module_list *l, const struct module_files *files, char **xml,
                         char *warning, size_t warning_len, char *err, size_t errlen);

#endif
