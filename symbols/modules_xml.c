/* SPDX-License-Identifier: MIT */
/*
 * gdb's list of libraries, for modules whose files are at hand. gdb's solib-target reads the file,
 * and takes one address for each section with SHF_ALLOC, in the file's order; their number must be
 * right.
 */
#include <symbols/modules.h>

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "bytes_internal.h"
#include "memory_internal.h"

/*
 * Where sections go that are not in memory, so that no address is taken for theirs: the last 2 MiB
 * but for error pointers are a hole (Linux, Documentation/x86/x86_64/mm.rst). 0 would lend their
 * symbols to null pointers.
 */
#define NOWHERE 0xffffffffffe00000u

#define DEPTH_MAX 16u
#define FILES_MAX 100000u
#define PATH_MAX_ 4096u

/* Files below a folder. */
struct search {
    const struct module_list *list;
    char **paths; /* as many as modules; NULL: not found */
    size_t files; /* looked at */
};

/* Whether a file's name is that of a module: "pvpanic-mmio.ko" of "pvpanic_mmio". */
static bool names_module(const char *file, const char *module)
{
    for (; *module != '\0'; file++, module++)
        if (*file != *module && !(*file == '-' && *module == '_'))
            return false;
    return strcmp(file, ".ko") == 0;
}

static void take_file(struct search *s, const char *path, const char *name)
{
    for (size_t i = 0; i < s->list->count; i++)
        if (s->paths[i] == NULL && names_module(name, s->list->modules[i].name)) {
            s->paths[i] = strdup(path);
            return;
        }
}

/* Links are not followed, so that the walk ends. */
static bool walk(struct search *s, const char *folder, unsigned depth)
{
    DIR *d = opendir(folder);
    struct dirent *e;

    if (d == NULL)
        return false;
    while ((e = readdir(d)) != NULL && s->files++ < FILES_MAX) {
        char path[PATH_MAX_];
        struct stat st;
        int n = snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);

        if (e->d_name[0] == '.' || n < 0 || (size_t)n >= sizeof(path) || lstat(path, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
            walk(s, path, depth + 1);
        else if (S_ISREG(st.st_mode))
            take_file(s, path, e->d_name);
    }
    closedir(d);
    return true;
}

/* --- the document --- */

static void put(struct bytes *b, const char *text)
{
    bytes_append(b, text, strlen(text));
}

static void put_escaped(struct bytes *b, const char *text)
{
    for (; *text != '\0'; text++)
        switch (*text) {
        case '&': put(b, "&amp;"); break;
        case '<': put(b, "&lt;"); break;
        case '>': put(b, "&gt;"); break;
        case '"': put(b, "&quot;"); break;
        case '\'': put(b, "&apos;"); break;
        default: bytes_append_byte(b, (uint8_t)*text); break;
        }
}

/* Where a live module had its .init sections there may be something else by now. */
static uint64_t address_of(const struct guest_module *m, const char *section)
{
    uint64_t address = guest_module_section(m, section);

    return address == 0 || (m->live && strncmp(section, ".init", 5) == 0) ? NOWHERE : address;
}

static void put_library(struct bytes *b, const struct guest_module *m, const struct elf_file *f)
{
    put(b, "  <library name=\"");
    put_escaped(b, elf_file_name(f));
    put(b, "\">\n");
    for (size_t i = 0; i < elf_file_section_count(f); i++) {
        const struct elf_file_section *s = elf_file_section(f, i);
        char line[64];

        if (!s->alloc)
            continue;
        snprintf(line, sizeof(line), "    <section address=\"0x%" PRIx64 "\"/>\n",
                 address_of(m, s->name));
        put(b, line);
    }
    put(b, "  </library>\n");
}

/* Whether the file is the module's; a warning into `text` if not. */
static bool fits(const struct guest_module *m, const struct elf_file *f, char *text, size_t len)
{
    struct build_id id;
    char ours[2 * BUILD_ID_MAX + 1], theirs[2 * BUILD_ID_MAX + 1];

    if (!elf_file_is_relocatable(f) || elf_file_machine(f) != ELF_FILE_X86_64) {
        symbols_error(0, text, len, "%s: not a module for x86-64", elf_file_name(f));
        return false;
    }
    if (m->build_id.len == 0 || elf_file_build_id(f, &id, NULL) < 0 ||
        build_id_equal(&m->build_id, &id))
        return true;
    symbols_error(0, text, len,
                  "%s: build-id %s is not that of the guest's module, %s: its symbols do not fit",
                  elf_file_name(f), build_id_text(&id, ours, sizeof(ours)),
                  build_id_text(&m->build_id, theirs, sizeof(theirs)));
    return false;
}

static void put_module(struct bytes *b, const struct guest_module *m, const char *path,
                       char *warning, size_t warning_len)
{
    char text[512] = "";
    struct elf_file *f = elf_file_open(path, text, sizeof(text));

    if (f != NULL && fits(m, f, text, sizeof(text)))
        put_library(b, m, f);
    if (text[0] != '\0' && warning_len > 0 && warning[0] == '\0')
        symbols_error(0, warning, warning_len, "%s", text);
    elf_file_close(f);
}

int modules_library_list(const struct module_list *l, const char *dir, char **xml, char *warning,
                         size_t warning_len, char *err, size_t errlen)
{
    struct search s = {.list = l, .paths = calloc(l->count + 1, sizeof(*s.paths))};
    struct bytes b = {0};
    int status = SYMBOLS_OK;

    if (warning_len > 0)
        warning[0] = '\0';
    if (s.paths == NULL)
        return symbols_error(SYMBOLS_ERR_NO_MEMORY, err, errlen, "no memory for modules");
    if (!walk(&s, dir, 0)) {
        status = symbols_error(SYMBOLS_ERR_IO, err, errlen, "%s: %s", dir, strerror(errno));
        goto free_paths;
    }
    put(&b, "<library-list>\n");
    for (size_t i = 0; i < l->count; i++)
        if (s.paths[i] != NULL && l->modules[i].section_count > 0)
            put_module(&b, &l->modules[i], s.paths[i], warning, warning_len);
    put(&b, "</library-list>\n");
    bytes_append_byte(&b, '\0');
    if (b.failed) {
        bytes_fini(&b);
        status = symbols_error(SYMBOLS_ERR_NO_MEMORY, err, errlen, "no memory for modules");
    } else {
        *xml = (char *)b.data;
    }
free_paths:
    for (size_t i = 0; i < l->count; i++)
        free(s.paths[i]);
    free(s.paths);
    return status;
}
