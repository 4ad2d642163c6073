/* SPDX-License-Identifier: MIT */
/* The guest's symbols for gdb: symbols.h. */
#include "symbols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct guest_symbols {
    const char *vmlinux;
};

struct guest_symbols *guest_symbols_create(const char *vmlinux, const char *modules, char *err,
                                           size_t errlen)
{
    struct guest_symbols *g = calloc(1, sizeof(*g));

    (void)modules;
    if (g == NULL)
        snprintf(err, errlen, "out of memory");
    else
        g->vmlinux = vmlinux;
    return g;
}

void guest_symbols_destroy(struct guest_symbols *g)
{
    free(g);
}

void guest_symbols_look(struct guest_symbols *g, const struct session *s,
                        void (*warn)(void *opaque, const char *text), void *opaque)
{
    (void)g, (void)s, (void)warn, (void)opaque;
}

bool guest_symbols_offset(const struct guest_symbols *g, uint64_t *offset)
{
    (void)g, (void)offset;
    return false;
}

const char *guest_symbols_exec_file(const struct guest_symbols *g)
{
    (void)g;
    return NULL;
}

const char *guest_symbols_libraries(const struct guest_symbols *g)
{
    (void)g;
    return NULL;
}

const uint8_t *guest_symbols_file(const struct guest_symbols *g, const char *path, size_t *len)
{
    (void)g, (void)path, (void)len;
    return NULL;
}

bool guest_symbols_describe(const struct guest_symbols *g, uint64_t address, char *out, size_t len)
{
    (void)g, (void)address, (void)out, (void)len;
    return false;
}

bool guest_symbols_find(const struct guest_symbols *g, const char *name, uint64_t *address)
{
    (void)g, (void)name, (void)address;
    return false;
}
