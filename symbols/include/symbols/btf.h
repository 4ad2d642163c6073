/* SPDX-License-Identifier: MIT */
/*
 * BTF: the types that a Linux kernel (CONFIG_DEBUG_INFO_BTF) carries in its own memory. Read from it: what
 * parameters a function has, and where a member of a struct is.
 *
 *     struct btf *b;
 *     if (btf_read(&mem, guest_symbols, &b, err, sizeof(err)) == SYMBOLS_OK &&
 *         btf_function(b, "do_sys_openat2", &f))
 *         for (size_t i = 0; i < f.count; i++)
 *             puts(f.params[i].name);                              // dfd, filename, how
 *     btf_destroy(b);
 *
 * Format: Linux, Documentation/bpf/btf.rst. Types of modules are not among them.
 */
#ifndef SYMBOLS_BTF_H
#define SYMBOLS_BTF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <symbols/memory.h>
#include <symbols/table.h>

struct btf;

/* What a value is, as far as printing it goes. */
enum btf_form {
    BTF_VOID,
    BTF_SIGNED,
    BTF_UNSIGNED, /* also enumerations, which are numbers here */
    BTF_BOOL,
    BTF_POINTER,
    BTF_STRING,   /* pointer to const char */
    BTF_FUNCTION, /* pointer to a function */
    BTF_OTHER,    /* a struct or union by value, a floating point number */
};

struct btf_value {
    enum btf_form form;
    unsigned bytes;   /* of the value; pointers: 0, which is the kernel's word */
    const char *name; /* of a parameter; "" if it has none. The btf's */
};

#define BTF_MAX_PARAMS 12u

struct btf_prototype {
    struct btf_value params[BTF_MAX_PARAMS];
    size_t count;   /* of a function with more, the first ones */
    bool variadic;
    struct btf_value result;
};

/* Takes over `data`, from malloc(), whatever the answer. SYMBOLS_ERR_DAMAGED, SYMBOLS_ERR_UNKNOWN (another
 * version or byte order), SYMBOLS_ERR_NO_MEMORY. */
int btf_parse(uint8_t *data, size_t len, struct btf **out, char *err, size_t errlen);
/* What lies between the kernel's symbols __start_BTF and __stop_BTF; also SYMBOLS_ERR_NOT_FOUND. */
int btf_read(const struct symbols_memory *mem, const struct symbol_table *guest, struct btf **out, char *err,
             size_t errlen);
void btf_destroy(struct btf *b); /* NULL is fine */

/* The function of that name: *p is then filled in. Of several that are called so, any; false: none. */
bool btf_function(const struct btf *b, const char *name, struct btf_prototype *p);
/* Where a member of a struct is, in bytes from its beginning; members of nameless structs and unions inside
 * are its own. False: there is no such struct, or it has no such member at a whole byte. */
bool btf_member(const struct btf *b, const char *struct_name, const char *member, uint64_t *offset);

#endif
