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

/* What is needed of a file, so that it need not be opened again. */
struct module_file {
    char *path;
    const char *name;     /* in the path, from its last component on */
    bool fits;            /* an object file for x86-64 */
    struct build_id id;
    char **sections;      /* the allocated ones, in the file's order */
    size_t section_count;
};

struct module_files {
    struct module_file *files;
    size_t count, capacity;
    size_t looked_at;
};

/* Whether a file's name is that of a module: "pvpanic-mmio.ko" of "pvpanic_mmio". */
static bool names_module(const char *file, const char *module)
{
    for (; *module != '\0'; file++, module++)
        if (*file != *module && !(*file == '-' && *module == '_'))
            return false;
    return strcmp(file, ".ko") == 0;
}

static void free_file(struct module_file *f)
{
    for (size_t i = 0; i < f->section_count; i++)
        free(f->sections[i]);
    free(f->sections);
    free(f->path);
}

/* False: no memory. */
static bool read_sections(struct module_file *file, const struct elf_file *f)
{
    file->sections = calloc(elf_file_section_count(f) + 1, sizeof(*file->sections));
    if (file->sections == NULL)
        return false;
    for (size_t i = 0; i < elf_file_section_count(f); i++) {
        const struct elf_file_section *s = elf_file_section(f, i);

        if (!s->alloc)
            continue;
        file->sections[file->section_count] = strdup(s->name);
        if (file->sections[file->section_count] == NULL)
            return false;
        file->section_count++;
    }
    return true;
}

static bool make_room(struct module_files *s)
{
    size_t capacity = s->capacity == 0 ? 256 : 2 * s->capacity;
    struct module_file *files;

    if (s->count < s->capacity)
        return true;
    files = realloc(s->files, capacity * sizeof(*files));
    if (files == NULL)
        return false;
    s->files = files;
    s->capacity = capacity;
    return true;
}

/* Files that are no ELF files are not there. */
static void take_file(struct module_files *s, const char *path)
{
    size_t len = strlen(path);
    struct module_file file = {.path = NULL};
    struct elf_file *f;
    char err[256];

    if (len < 4 || strcmp(path + len - 3, ".ko") != 0 || !make_room(s))
        return;
    f = elf_file_open(path, err, sizeof(err));
    if (f == NULL)
        return;
    file.path = strdup(path);
    file.fits = elf_file_is_relocatable(f) && elf_file_machine(f) == ELF_FILE_X86_64;
    if (elf_file_build_id(f, &file.id, NULL) < 0)
        file.id.len = 0;
    if (file.path != NULL && read_sections(&file, f)) {
        file.name = strrchr(file.path, '/');
        file.name = file.name == NULL ? file.path : file.name + 1;
        s->files[s->count++] = file;
    } else {
        free_file(&file);
    }
    elf_file_close(f);
}

/* Links are not followed, so that the walk ends. */
static bool walk(struct module_files *s, const char *folder, unsigned depth)
{
    DIR *d = opendir(folder);
    struct dirent *e;

    if (d == NULL)
        return false;
    while ((e = readdir(d)) != NULL && s->looked_at++ < FILES_MAX) {
        char path[PATH_MAX_];
        struct stat st;
        int n = snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);

        if (e->d_name[0] == '.' || n < 0 || (size_t)n >= sizeof(path) || lstat(path, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
            walk(s, path, depth + 1);
        else if (S_ISREG(st.st_mode))
            take_file(s, path);
    }
    closedir(d);
    return true;
}

struct module_files *module_files_scan(const char *dir, char *err, size_t errlen)
{
    struct module_files *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        symbols_error(SYMBOLS_ERR_NO_MEMORY, err, errlen, "no memory for modules");
        return NULL;
    }
    if (walk(s, dir, 0))
        return s;
    symbols_error(SYMBOLS_ERR_IO, err, errlen, "%s: %s", dir, strerror(errno));
    free(s);
    return NULL;
}

void module_files_destroy(struct module_files *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++)
        free_file(&s->files[i]);
    free(s->files);
    free(s);
}

static const struct module_file *find_file(const struct module_files *s, const char *module)
{
    for (size_t i = 0; i < s->count; i++)
        if (names_module(s->files[i].name, module))
            return &s->files[i];
    return NULL;
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

static void put_library(struct bytes *b, const struct guest_module *m, const struct module_file *f)
{
    put(b, "  <library name=\"");
    put_escaped(b, f->path);
    put(b, "\">\n");
    for (size_t i = 0; i < f->section_count; i++) {
        char line[64];

        snprintf(line, sizeof(line), "    <section address=\"0x%" PRIx64 "\"/>\n",
                 address_of(m, f->sections[i]));
        put(b, line);
    }
    put(b, "  </library>\n");
}

/* Whether the file is the module's; a warning into `text` if not. */
static bool fits(const struct guest_module *m, const struct module_file *f, char *text, size_t len)
{
    char ours[2 * BUILD_ID_MAX + 1], theirs[2 * BUILD_ID_MAX + 1];

    if (!f->fits) {
        symbols_error(0, text, len, "%s: not a module for x86-64", f->path);
        return false;
    }
    if (m->build_id.len == 0 || f->id.len == 0 || build_id_equal(&m->build_id, &f->id))
        return true;
    symbols_error(0, text, len,
                  "%s: build-id %s is not that of the guest's module, %s: its symbols do not fit",
                  f->path, build_id_text(&f->id, ours, sizeof(ours)),
                  build_id_text(&m->build_id, theirs, sizeof(theirs)));
    return false;
}

int modules_library_list(const struct module_list *l, const struct module_files *files, char **xml,
                         char *warning, size_t warning_len, char *err, size_t errlen)
{
    struct bytes b = {0};

    if (warning_len > 0)
        warning[0] = '\0';
    put(&b, "<library-list>\n");
    for (size_t i = 0; i < l->count; i++) {
        const struct guest_module *m = &l->modules[i];
        const struct module_file *f = find_file(files, m->name);
        char text[512] = "";

        if (f == NULL || m->section_count == 0)
            continue;
        if (fits(m, f, text, sizeof(text)))
            put_library(&b, m, f);
        else if (warning_len > 0 && warning[0] == '\0')
            symbols_error(0, warning, warning_len, "%s", text);
    }
    put(&b, "</library-list>\n");
    bytes_append_byte(&b, '\0');
    if (b.failed) {
        bytes_fini(&b);
        return symbols_error(SYMBOLS_ERR_NO_MEMORY, err, errlen, "no memory for modules");
    }
    *xml = (char *)b.data;
    return SYMBOLS_OK;
}
