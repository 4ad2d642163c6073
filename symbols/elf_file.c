/* SPDX-License-Identifier: MIT */
/*
 * Reads ELF files (System V ABI, chapter 4). Both classes are brought to one form when they are
 * read: Elf64 headers, and sections as the public header has them.
 *
 * Offsets and sizes of the file are used through read_at() alone, which checks them against the
 * file's length; tables have a largest length, so that no header asks for more memory than that.
 */
#include <symbols/elf_file.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory_internal.h"

#define SECTIONS_MAX 100000u
#define TABLE_MAX    (512u << 20) /* bytes of symbols, or of names */
#define NOTES_MAX    65536u

/* A section as the file has it, for what the public form leaves out. */
struct raw_section {
    uint32_t name, type, link;
    uint64_t offset, entry_size;
};

struct elf_file {
    char *name;
    int fd; /* -1: in memory */
    const uint8_t *memory;
    uint64_t len;
    unsigned bits;
    enum elf_file_machine machine;
    bool relocatable;
    struct elf_file_section *sections;
    struct raw_section *raw;
    size_t count;
    char *section_names;
    size_t section_names_len;
};

/* --- the file's bytes --- */

static bool read_at(const struct elf_file *f, uint64_t offset, void *out, size_t len)
{
    size_t done = 0;

    if (offset > f->len || len > f->len - offset)
        return false;
    if (f->fd < 0) {
        memcpy(out, f->memory + offset, len);
        return true;
    }
    while (done < len) {
        ssize_t n = pread(f->fd, (char *)out + done, len - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* A malloc'ed copy with a '\0' behind it; NULL: outside of the file, too long, or no memory. */
static uint8_t *copy_of(const struct elf_file *f, uint64_t offset, uint64_t len)
{
    uint8_t *bytes;

    if (len > TABLE_MAX || offset > f->len || len > f->len - offset)
        return NULL;
    bytes = malloc((size_t)len + 1);
    if (bytes != NULL && !read_at(f, offset, bytes, (size_t)len)) {
        free(bytes);
        return NULL;
    }
    if (bytes != NULL)
        bytes[len] = '\0';
    return bytes;
}

/* --- headers --- */

static void widen_header(const Elf32_Ehdr *from, Elf64_Ehdr *to)
{
    to->e_type = from->e_type;
    to->e_machine = from->e_machine;
    to->e_shoff = from->e_shoff;
    to->e_shentsize = from->e_shentsize;
    to->e_shnum = from->e_shnum;
    to->e_shstrndx = from->e_shstrndx;
}

static bool read_header(struct elf_file *f, Elf64_Ehdr *h)
{
    Elf32_Ehdr h32;

    if (!read_at(f, 0, h, EI_NIDENT) || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 ||
        h->e_ident[EI_DATA] != ELFDATA2LSB)
        return false;
    f->bits = h->e_ident[EI_CLASS] == ELFCLASS64 ? 64 : 32;
    if (f->bits == 64) {
        if (!read_at(f, 0, h, sizeof(*h)))
            return false;
    } else if (h->e_ident[EI_CLASS] == ELFCLASS32 && read_at(f, 0, &h32, sizeof(h32))) {
        widen_header(&h32, h);
    } else {
        return false;
    }
    f->machine = h->e_machine == EM_X86_64 ? ELF_FILE_X86_64
                 : h->e_machine == EM_386  ? ELF_FILE_I386
                                           : ELF_FILE_OTHER;
    f->relocatable = h->e_type == ET_REL;
    return true;
}

static bool read_section_header(const struct elf_file *f, uint64_t at, Elf64_Shdr *s)
{
    Elf32_Shdr s32;

    if (f->bits == 64)
        return read_at(f, at, s, sizeof(*s));
    if (!read_at(f, at, &s32, sizeof(s32)))
        return false;
    *s = (Elf64_Shdr){.sh_name = s32.sh_name,
                      .sh_type = s32.sh_type,
                      .sh_flags = s32.sh_flags,
                      .sh_addr = s32.sh_addr,
                      .sh_offset = s32.sh_offset,
                      .sh_size = s32.sh_size,
                      .sh_link = s32.sh_link,
                      .sh_info = s32.sh_info,
                      .sh_addralign = s32.sh_addralign,
                      .sh_entsize = s32.sh_entsize};
    return true;
}

static void take_section(struct elf_file *f, size_t i, const Elf64_Shdr *s)
{
    f->raw[i] = (struct raw_section){.name = s->sh_name,
                                     .type = s->sh_type,
                                     .link = s->sh_link,
                                     .offset = s->sh_offset,
                                     .entry_size = s->sh_entsize};
    f->sections[i] = (struct elf_file_section){
        .name = "",
        .address = s->sh_addr,
        .size = s->sh_size,
        .align = s->sh_addralign,
        .alloc = (s->sh_flags & SHF_ALLOC) != 0,
        .code = (s->sh_flags & SHF_EXECINSTR) != 0,
        .writable = (s->sh_flags & SHF_WRITE) != 0,
        .contents = s->sh_type != SHT_NOBITS && s->sh_type != SHT_NULL,
        .note = s->sh_type == SHT_NOTE,
    };
}

/* Large counts are in section 0 (System V ABI, "ELF header", e_shnum and e_shstrndx). */
static bool count_sections(struct elf_file *f, const Elf64_Ehdr *h, uint64_t *count,
                           uint64_t *names)
{
    Elf64_Shdr first;

    *count = h->e_shnum;
    *names = h->e_shstrndx;
    if (h->e_shoff == 0) {
        *count = 0;
        return true;
    }
    if (h->e_shentsize < (f->bits == 64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)) ||
        !read_section_header(f, h->e_shoff, &first))
        return false;
    if (*count == 0)
        *count = first.sh_size;
    if (*names == SHN_XINDEX)
        *names = first.sh_link;
    return *count <= SECTIONS_MAX && *count <= f->len / h->e_shentsize;
}

static void name_sections(struct elf_file *f, uint64_t names)
{
    if (names >= f->count || !f->sections[names].contents)
        return;
    f->section_names = (char *)copy_of(f, f->raw[names].offset, f->sections[names].size);
    if (f->section_names == NULL)
        return;
    f->section_names_len = (size_t)f->sections[names].size;
    for (size_t i = 0; i < f->count; i++)
        if (f->raw[i].name < f->section_names_len)
            f->sections[i].name = f->section_names + f->raw[i].name;
}

static int read_headers(struct elf_file *f, char *err, size_t errlen)
{
    Elf64_Ehdr h;
    uint64_t count, names;

    if (!read_header(f, &h))
        return symbols_error(SYMBOLS_ERR_UNKNOWN, err, errlen,
                             "%s: not an ELF file, or a big-endian one", f->name);
    if (!count_sections(f, &h, &count, &names))
        return symbols_error(SYMBOLS_ERR_DAMAGED, err, errlen,
                             "%s: the ELF section headers are damaged", f->name);
    f->sections = calloc((size_t)count + 1, sizeof(*f->sections));
    f->raw = calloc((size_t)count + 1, sizeof(*f->raw));
    if (f->sections == NULL || f->raw == NULL)
        return symbols_error(SYMBOLS_ERR_NO_MEMORY, err, errlen, "%s: no memory", f->name);
    f->count = (size_t)count;
    for (size_t i = 0; i < f->count; i++) {
        Elf64_Shdr s;

        if (!read_section_header(f, h.e_shoff + i * h.e_shentsize, &s))
            return symbols_error(SYMBOLS_ERR_DAMAGED, err, errlen,
                                 "%s: the ELF section headers end behind the file", f->name);
        take_section(f, i, &s);
    }
    name_sections(f, names);
    return SYMBOLS_OK;
}

/* --- life cycle --- */

static struct elf_file *new_file(const char *name, char *err, size_t errlen)
{
    struct elf_file *f = calloc(1, sizeof(*f));
    char *copy = strdup(name);

    if (f == NULL || copy == NULL) {
        free(f);
        free(copy);
        symbols_error(0, err, errlen, "%s: no memory", name);
        return NULL;
    }
    f->name = copy;
    f->fd = -1;
    return f;
}

static struct elf_file *checked(struct elf_file *f, char *err, size_t errlen)
{
    if (read_headers(f, err, errlen) == SYMBOLS_OK)
        return f;
    elf_file_close(f);
    return NULL;
}

struct elf_file *elf_file_open(const char *path, char *err, size_t errlen)
{
    struct elf_file *f = new_file(path, err, errlen);
    struct stat st;

    if (f == NULL)
        return NULL;
    f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (f->fd < 0 || fstat(f->fd, &st) != 0) {
        symbols_error(0, err, errlen, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        symbols_error(0, err, errlen, "%s: not a regular file", path);
    } else {
        f->len = (uint64_t)st.st_size;
        return checked(f, err, errlen);
    }
    elf_file_close(f);
    return NULL;
}

struct elf_file *elf_file_open_memory(const char *name, const void *data, size_t len, char *err,
                                      size_t errlen)
{
    struct elf_file *f = new_file(name, err, errlen);

    if (f == NULL)
        return NULL;
    f->memory = data;
    f->len = len;
    return checked(f, err, errlen);
}

void elf_file_close(struct elf_file *f)
{
    if (f == NULL)
        return;
    if (f->fd >= 0)
        close(f->fd);
    free(f->section_names);
    free(f->sections);
    free(f->raw);
    free(f->name);
    free(f);
}

/* --- looking --- */

const char *elf_file_name(const struct elf_file *f)
{
    return f->name;
}

enum elf_file_machine elf_file_machine(const struct elf_file *f)
{
    return f->machine;
}

unsigned elf_file_bits(const struct elf_file *f)
{
    return f->bits;
}

bool elf_file_is_relocatable(const struct elf_file *f)
{
    return f->relocatable;
}

size_t elf_file_section_count(const struct elf_file *f)
{
    return f->count;
}

const struct elf_file_section *elf_file_section(const struct elf_file *f, size_t index)
{
    return &f->sections[index];
}

const struct elf_file_section *elf_file_section_by_name(const struct elf_file *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->sections[i].name, name) == 0)
            return &f->sections[i];
    return NULL;
}

bool elf_file_read(const struct elf_file *f, uint64_t address, void *out, size_t len)
{
    for (size_t i = 0; i < f->count; i++) {
        const struct elf_file_section *s = &f->sections[i];

        if (s->alloc && s->contents && address >= s->address && len <= s->size &&
            address - s->address <= s->size - len)
            return read_at(f, f->raw[i].offset + (address - s->address), out, len);
    }
    return false;
}

static bool build_id_in_section(const struct elf_file *f, size_t i, struct build_id *id,
                                uint64_t *address)
{
    uint64_t len = f->sections[i].size < NOTES_MAX ? f->sections[i].size : NOTES_MAX;
    uint8_t *notes = copy_of(f, f->raw[i].offset, len);
    size_t at = 0;
    bool found = notes != NULL && build_id_in_notes(notes, (size_t)len, id, &at);

    free(notes);
    if (found && address != NULL)
        *address = f->relocatable ? 0 : f->sections[i].address + at;
    return found;
}

int elf_file_build_id(const struct elf_file *f, struct build_id *id, uint64_t *address)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->sections[i].note && build_id_in_section(f, i, id, address))
            return SYMBOLS_OK;
    return SYMBOLS_ERR_NOT_FOUND;
}

/* --- symbols --- */

static Elf64_Sym symbol_at(const struct elf_file *f, const uint8_t *symbols, size_t i)
{
    Elf64_Sym s;
    Elf32_Sym s32;

    if (f->bits == 64) {
        memcpy(&s, symbols + i * sizeof(s), sizeof(s));
        return s;
    }
    memcpy(&s32, symbols + i * sizeof(s32), sizeof(s32));
    return (Elf64_Sym){.st_name = s32.st_name,
                       .st_info = s32.st_info,
                       .st_shndx = s32.st_shndx,
                       .st_value = s32.st_value,
                       .st_size = s32.st_size};
}

/* Per-CPU variables are linked to 0 and up, in a section that is nowhere at that address. */
static bool is_percpu(const struct elf_file_section *s)
{
    return s->address == 0 && strcmp(s->name, ".data..percpu") == 0;
}

static char kind_of_section(const struct elf_file_section *s)
{
    if (is_percpu(s))
        return 'a';
    if (s->code)
        return 't';
    if (!s->contents)
        return 'b';
    return s->writable ? 'd' : 'r';
}

/* The letter of nm; 0: not a symbol that names a place. */
static char kind_of_symbol(const struct elf_file *f, const Elf64_Sym *s)
{
    unsigned type = ELF64_ST_TYPE(s->st_info), bind = ELF64_ST_BIND(s->st_info);
    char kind;

    if (s->st_shndx == SHN_UNDEF || type == STT_FILE || type == STT_SECTION || type == STT_TLS)
        return 0;
    if (s->st_shndx >= SHN_LORESERVE)
        kind = s->st_shndx == SHN_ABS ? 'a' : 0;
    else if (s->st_shndx < f->count && f->sections[s->st_shndx].alloc)
        kind = kind_of_section(&f->sections[s->st_shndx]);
    else
        kind = 0;
    if (kind != 0 && kind != 'a' && bind == STB_WEAK)
        return kind == 't' ? 'W' : 'V';
    return kind != 0 && bind == STB_GLOBAL ? (char)(kind - 'a' + 'A') : kind;
}

static int take_symbols(const struct elf_file *f, const uint8_t *symbols, size_t count,
                        const uint8_t *names, size_t names_len, uint64_t offset,
                        struct symbol_table *t)
{
    for (size_t i = 1; i < count; i++) {
        Elf64_Sym s = symbol_at(f, symbols, i);
        char kind = kind_of_symbol(f, &s);
        bool fixed = kind == 'a' || kind == 'A';
        const char *name = (const char *)names + (s.st_name < names_len ? s.st_name : names_len);
        size_t len = strlen(name); /* copy_of() ends them all */
        uint64_t address = s.st_value + (fixed ? 0 : offset);
        int status;

        if (kind == 0 || len == 0 || len > SYMBOL_NAME_MAX || strncmp(name, ".L", 2) == 0)
            continue;
        if (f->bits == 32)
            address &= UINT32_MAX;
        status = symbol_table_add(t, name, len, address, s.st_size, kind);
        if (status == SYMBOLS_ERR_ARGUMENT)
            return SYMBOLS_ERR_DAMAGED; /* too many */
        if (status < 0)
            return status;
    }
    return symbol_table_finish(t);
}

static size_t find_symtab(const struct elf_file *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->raw[i].type == SHT_SYMTAB && f->raw[i].link < f->count)
            return i;
    return SIZE_MAX;
}

static int load_symbols(const struct elf_file *f, size_t symtab, uint64_t offset,
                        struct symbol_table *t)
{
    size_t strtab = f->raw[symtab].link;
    size_t entry = f->bits == 64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
    uint8_t *symbols, *names;
    int status = SYMBOLS_ERR_DAMAGED;

    if (f->raw[symtab].entry_size != entry || !f->sections[strtab].contents)
        return SYMBOLS_ERR_DAMAGED;
    symbols = copy_of(f, f->raw[symtab].offset, f->sections[symtab].size);
    names = copy_of(f, f->raw[strtab].offset, f->sections[strtab].size);
    if (symbols != NULL && names != NULL)
        status = take_symbols(f, symbols, (size_t)f->sections[symtab].size / entry, names,
                              (size_t)f->sections[strtab].size, offset, t);
    free(symbols);
    free(names);
    return status;
}

int elf_file_symbols(const struct elf_file *f, uint64_t offset, struct symbol_table **out,
                     char *err, size_t errlen)
{
    size_t symtab = find_symtab(f);
    struct symbol_table *t;
    int status;

    if (f->relocatable)
        return symbols_error(SYMBOLS_ERR_ARGUMENT, err, errlen,
                             "%s: an object file, its symbols have no addresses", f->name);
    if (symtab == SIZE_MAX)
        return symbols_error(SYMBOLS_ERR_NOT_FOUND, err, errlen,
                             "%s: there are no symbols in it, it was stripped", f->name);
    t = symbol_table_create();
    status = t == NULL ? SYMBOLS_ERR_NO_MEMORY : load_symbols(f, symtab, offset, t);
    if (status < 0) {
        symbol_table_destroy(t);
        return symbols_error(status, err, errlen, "%s: %s", f->name,
                             status == SYMBOLS_ERR_NO_MEMORY ? "no memory for its symbols"
                                                             : "its symbol table is damaged");
    }
    *out = t;
    return SYMBOLS_OK;
}
