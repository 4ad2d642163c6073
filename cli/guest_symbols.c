/* SPDX-License-Identifier: MIT */
/*
 * The guest's symbols: guest_symbols.h. From, in this order: the vmlinux that the user named, with the
 * offset at which the guest runs it; the kernel image itself, if it is an ELF file with symbols; the
 * tables that a Linux kernel carries in its own memory (kallsyms, ORC), once it is up.
 */
#include "guest_symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <emu/boot.h>
#include <emu/cpu.h>
#include <emu/machine.h>
#include <symbols/btf.h>
#include <symbols/elf_file.h>
#include <symbols/elf_image.h>
#include <symbols/frame_pointer.h>
#include <symbols/kallsyms.h>
#include <symbols/kernel.h>
#include <symbols/modules.h>
#include <symbols/orc.h>

#define KERNEL_IMAGE_FILE "/deja/kernel"

struct guest_symbols {
    struct module_files *modules;  /* where the user has files of modules; NULL: nowhere */
    /* the user's vmlinux */
    char *vmlinux_path;            /* absolute; NULL: none */
    uint8_t *vmlinux_data;
    size_t vmlinux_len;
    struct elf_file *vmlinux;
    struct symbol_table *linked;   /* its symbols, as linked */
    uint64_t offset;
    bool placed, warned;
    /* the kernel image of the machine, when it has symbols */
    const struct machine_image *image;
    struct symbol_table *image_symbols;
    bool image_looked, image_i386;
    /* the guest's own */
    struct symbol_table *guest;
    uint8_t *made;                 /* an ELF file of them */
    size_t made_len;
    bool made_i386;
    struct btf *types;
    bool types_looked;
    uint64_t seen_lstar, seen_idt; /* at the last look that found nothing */
    /* its modules, where their files are at hand */
    char *libraries;
    bool modules_warned;
    bool names_only;
    bool i386; /* at the last look */
};

/* --- what the user named --- */

/* Hundreds of megabytes with debug information, of which next to nothing is looked at here: gdb may ask for
 * all of it. */
static int map_vmlinux(struct guest_symbols *g, const char *path, char *err, size_t errlen)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *data;

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
        snprintf(err, errlen, "%s: %s", path, fd < 0 ? strerror(errno) : "not a file with something in it");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (data == MAP_FAILED) {
        snprintf(err, errlen, "%s: %s", path, strerror(errno));
        return -1;
    }
    g->vmlinux_data = data;
    g->vmlinux_len = (size_t)st.st_size;
    return 0;
}

static int open_vmlinux(struct guest_symbols *g, const char *path, char *err, size_t errlen)
{
    if (map_vmlinux(g, path, err, errlen) != 0)
        return -1;
    g->vmlinux_path = realpath(path, NULL);
    g->vmlinux = elf_file_open_memory(path, g->vmlinux_data, g->vmlinux_len, err, errlen);
    if (g->vmlinux == NULL || g->vmlinux_path == NULL)
        return -1;
    if (elf_file_symbols(g->vmlinux, 0, &g->linked, err, errlen) != SYMBOLS_OK)
        return -1;
    return 0;
}

struct guest_symbols *guest_symbols_create(const char *vmlinux, const char *modules, char *err,
                                           size_t errlen)
{
    struct guest_symbols *g = calloc(1, sizeof(*g));

    if (g == NULL) {
        snprintf(err, errlen, "out of memory");
        return NULL;
    }
    if (vmlinux != NULL && open_vmlinux(g, vmlinux, err, errlen) != 0)
        goto fail;
    if (modules != NULL && (g->modules = module_files_scan(modules, err, errlen)) == NULL)
        goto fail;
    return g;

fail:
    guest_symbols_destroy(g);
    return NULL;
}

void guest_symbols_destroy(struct guest_symbols *g)
{
    if (g == NULL)
        return;
    symbol_table_destroy(g->linked);
    symbol_table_destroy(g->guest);
    btf_destroy(g->types);
    symbol_table_destroy(g->image_symbols);
    elf_file_close(g->vmlinux);
    if (g->vmlinux_data != NULL)
        munmap(g->vmlinux_data, g->vmlinux_len);
    free(g->vmlinux_path);
    free(g->made);
    free(g->libraries);
    module_files_destroy(g->modules);
    free(g);
}

void guest_symbols_names_only(struct guest_symbols *g)
{
    g->names_only = true;
}

/* --- looking at the guest --- */

static size_t peek(void *user, uint64_t gva, void *out, size_t len)
{
    return cpu_peek(user, gva, out, len);
}

/* The machine's kernel image: it stays as it is, one look is enough. */
static void look_at_image(struct guest_symbols *g, const struct machine *m)
{
    const struct machine_image *image = &m->config.kernel;
    struct elf_file *file;
    char err[256];

    g->image_looked = true;
    if (image->data == NULL || image->len < 4 || memcmp(image->data, "\177ELF", 4) != 0)
        return;
    file = elf_file_open_memory("the kernel image", image->data, image->len, err, sizeof(err));
    if (file == NULL)
        return;
    g->image_i386 = elf_file_machine(file) == ELF_FILE_I386;
    if (elf_file_symbols(file, 0, &g->image_symbols, err, sizeof(err)) == SYMBOLS_OK)
        g->image = image;
    elf_file_close(file);
}

/* Call frames of a 64-bit kernel and of its modules. *frames is NULL when there are none. */
static void read_frames(struct guest_symbols *g, const struct symbols_memory *mem,
                        const struct module_list *list, uint8_t **frames, size_t *len)
{
    size_t count = list == NULL ? 0 : list->count, n = 0;
    struct orc_place *places = calloc(count + 1, sizeof(*places));
    char err[256];

    *frames = NULL;
    *len = 0;
    if (places == NULL)
        return;
    if (orc_find_place(g->guest, &places[0]) == SYMBOLS_OK) {
        n = 1;
        for (size_t i = 0; i < count; i++)
            if (list->modules[i].orc.end != 0)
                places[n++] = list->modules[i].orc;
    }
    if (n > 0 &&
        orc_read_frames_at(mem, places, n, g->guest, frames, len, err, sizeof(err)) != SYMBOLS_OK)
        *frames = NULL;
    free(places);
}

static void make_file(struct guest_symbols *g, const struct symbols_memory *mem,
                      const struct module_list *list, unsigned bits)
{
    struct elf_image_options o = {.struct_size = sizeof(o), .bits = bits};
    uint8_t *frames = NULL;
    char err[256];

    if (bits == 64)
        read_frames(g, mem, list, &frames, &o.debug_frame_len);
    else if (frame_pointer_read_frames(mem, g->guest, &frames, &o.debug_frame_len, err, sizeof(err)) != SYMBOLS_OK)
        frames = NULL;
    o.debug_frame = frames;
    g->made_i386 = bits == 32;
    if (elf_image_build(g->guest, &o, &g->made, &g->made_len, err, sizeof(err)) != SYMBOLS_OK)
        g->made = NULL;
    free(frames);
}

/* The symbols of modules join the kernel's. */
static void add_modules(struct guest_symbols *g, const struct symbols_memory *mem,
                        const struct module_list *list)
{
    struct symbol_table *all = symbol_table_create();

    if (all == NULL || symbol_table_append(all, g->guest) != SYMBOLS_OK ||
        modules_add_symbols(mem, list, all) != SYMBOLS_OK || symbol_table_finish(all) != SYMBOLS_OK) {
        symbol_table_destroy(all);
        return;
    }
    symbol_table_destroy(g->guest);
    g->guest = all;
}

/* The tables of a running Linux kernel. Looked for again only when the CPU was set up anew since. */
static void look_at_kallsyms(struct guest_symbols *g, const struct symbols_memory *mem,
                             const struct symbols_hints *hints)
{
    struct module_list *list = NULL;
    char err[256];

    if (g->guest != NULL || (hints->lstar == g->seen_lstar && hints->idt_base == g->seen_idt))
        return;
    g->seen_lstar = hints->lstar;
    g->seen_idt = hints->idt_base;
    if (kallsyms_read(mem, hints, &g->guest, NULL, err, sizeof(err)) != SYMBOLS_OK)
        return;
    if (modules_read(mem, g->guest, &list, err, sizeof(err)) == SYMBOLS_OK && list->count > 0)
        add_modules(g, mem, list);
    if (!g->names_only)
        make_file(g, mem, list, hints->long_mode ? 64 : 32);
    module_list_destroy(list);
}

static void place_vmlinux(struct guest_symbols *g, const struct symbols_memory *mem,
                          const struct symbols_hints *hints,
                          void (*warn)(void *opaque, const char *text), void *opaque)
{
    struct kernel_place place;
    char err[512];
    int rc = kernel_find_place(mem, hints, g->guest, g->vmlinux, g->linked, &place, err, sizeof(err));

    if (rc == SYMBOLS_OK) {
        g->offset = place.offset;
        g->placed = true;
    } else if (rc == SYMBOLS_ERR_OTHER_KERNEL && !g->warned) {
        g->warned = true;
        warn(opaque, err);
    }
}

/* The modules that are loaded now, by the kernel's list. */
static void look_at_modules(struct guest_symbols *g, const struct symbols_memory *mem,
                            void (*warn)(void *opaque, const char *text), void *opaque)
{
    char err[256], warning[256] = "", *xml;
    struct module_list *list;

    if (g->modules == NULL || g->guest == NULL)
        return;
    if (modules_read(mem, g->guest, &list, err, sizeof(err)) != SYMBOLS_OK)
        return;
    if (modules_library_list(list, g->modules, &xml, warning, sizeof(warning), err, sizeof(err)) ==
        SYMBOLS_OK) {
        free(g->libraries);
        g->libraries = xml;
    } else {
        snprintf(warning, sizeof(warning), "%.200s", err);
    }
    if (warning[0] != '\0' && !g->modules_warned) {
        g->modules_warned = true;
        warn(opaque, warning);
    }
    module_list_destroy(list);
}

/* A kernel's first code is 32-bit code whatever it becomes. Paging without long mode is never on the way to that. */
static bool is_i386(const struct guest_symbols *g, const struct machine *m)
{
    const struct cpu *cpu = &m->cpus[0];

    if (cpu->efer & EFER_LMA)
        return false;
    if (g->vmlinux != NULL)
        return elf_file_machine(g->vmlinux) == ELF_FILE_I386;
    return g->image_i386 || g->made_i386 || (cpu->cr0 & CR0_PG) ||
           boot_is_linux32(m->config.kernel.data, m->config.kernel.len);
}

static void look(struct guest_symbols *g, const struct machine *m,
                 void (*warn)(void *opaque, const char *text), void *opaque)
{
    const struct cpu *cpu = &m->cpus[0];
    struct symbols_memory mem = {.read = peek, .user = (void *)cpu};
    struct symbols_hints hints = {
        .struct_size = sizeof(hints),
        .long_mode = (cpu->efer & EFER_LMA) != 0,
        .lstar = cpu->lstar,
        .sysenter_eip = cpu->sysenter_eip,
        .idt_base = cpu->idtr.base,
        .idt_limit = cpu->idtr.limit,
        .rip = cpu->rip,
    };

    if (!g->image_looked)
        look_at_image(g, m);
    if (g->image != NULL)
        return;
    look_at_kallsyms(g, &mem, &hints);
    if (g->vmlinux != NULL && !g->placed)
        place_vmlinux(g, &mem, &hints, warn, opaque);
    look_at_modules(g, &mem, warn, opaque);
}

void guest_symbols_look(struct guest_symbols *g, const struct machine *m,
                        void (*warn)(void *opaque, const char *text), void *opaque)
{
    look(g, m, warn, opaque);
    g->i386 = is_i386(g, m);
}

/* --- what gdb is told --- */

bool guest_symbols_are_i386(const struct guest_symbols *g)
{
    return g->i386;
}

bool guest_symbols_offset(const struct guest_symbols *g, uint64_t *offset)
{
    if (!g->placed)
        return false;
    *offset = g->offset;
    return true;
}

const char *guest_symbols_exec_file(const struct guest_symbols *g)
{
    if (g->vmlinux_path != NULL)
        return g->vmlinux_path;
    if (g->image != NULL) /* gdb takes no file of 32 bits for a guest of 64, which can have been loaded from one */
        return g->image_i386 && !g->i386 ? NULL : KERNEL_IMAGE_FILE;
    return g->made != NULL ? GUEST_SYMBOLS_FILE : NULL;
}

const char *guest_symbols_libraries(const struct guest_symbols *g)
{
    return g->libraries != NULL ? g->libraries : "<library-list></library-list>";
}

const uint8_t *guest_symbols_file(const struct guest_symbols *g, const char *path, size_t *len)
{
    if (g->vmlinux_path != NULL && strcmp(path, g->vmlinux_path) == 0) {
        *len = g->vmlinux_len;
        return g->vmlinux_data;
    }
    if (g->image != NULL && strcmp(path, KERNEL_IMAGE_FILE) == 0) {
        *len = g->image->len;
        return g->image->data;
    }
    if (g->made != NULL && strcmp(path, GUEST_SYMBOLS_FILE) == 0) {
        *len = g->made_len;
        return g->made;
    }
    return NULL;
}

const struct symbol_table *guest_symbols_table(const struct guest_symbols *g, uint64_t *offset)
{
    *offset = 0;
    if (g->image_symbols != NULL)
        return g->image_symbols;
    if (g->guest != NULL || !g->placed)
        return g->guest;
    *offset = g->offset;
    return g->linked;
}

bool guest_symbols_describe(const struct guest_symbols *g, uint64_t address, char *out, size_t len)
{
    uint64_t offset;
    const struct symbol_table *table = guest_symbols_table(g, &offset);

    if (table == NULL || symbol_table_by_address(table, address - offset) == NULL)
        return false;
    symbol_table_describe(table, address - offset, out, len);
    return true;
}

bool guest_symbols_of_linux(const struct guest_symbols *g)
{
    return g->image_symbols == NULL && g->guest != NULL;
}

const struct btf *guest_symbols_types(struct guest_symbols *g, const struct machine *m)
{
    struct symbols_memory mem = {.read = peek, .user = (void *)&m->cpus[0]};
    char err[256];

    if (!g->types_looked && guest_symbols_of_linux(g) &&
        btf_read(&mem, g->guest, &g->types, err, sizeof(err)) != SYMBOLS_OK)
        g->types = NULL;
    g->types_looked = g->types_looked || guest_symbols_of_linux(g);
    return g->types;
}

bool guest_symbols_find(const struct guest_symbols *g, const char *name, uint64_t *address)
{
    uint64_t offset;
    const struct symbol_table *table = guest_symbols_table(g, &offset);

    if (table == NULL || !symbol_table_address(table, name, address))
        return false;
    *address += offset;
    return true;
}
