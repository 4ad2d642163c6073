/* SPDX-License-Identifier: MIT */
/*
 * Writes the ELF file of symbols: System V ABI, chapter 4, both classes, little-endian.
 *
 *     header | symbols | names | .debug_frame | section names | section headers
 *
 * The sections that symbols lie in are SHT_NOBITS: gdb needs them to exist, for an address outside
 * of every section has no symbol, but reads their contents from the target. They follow from the
 * table: one for each run of code or of data, from its first symbol to the first of the next run.
 *
 * libelf would write the same through a file descriptor only, and this is all there is to write.
 */
#include <symbols/elf_image.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes_internal.h"
#include "memory_internal.h"

/* Runs; a kernel has ten, a module two. Past that many the last one takes all that is left. */
#define RUNS_MAX 2048u
/* What is mapped behind the last symbol, for want of its size. */
#define TAIL_BYTES 4096u

struct run {
    uint64_t begin, end;
    bool code;
    uint32_t name; /* in the section names */
};

struct builder {
    const struct symbol_table *table;
    unsigned bits;
    struct run runs[RUNS_MAX];
    unsigned nruns;
    struct bytes file, names, section_names;
    uint64_t symtab_at, strtab_at, frame_at, shstrtab_at;
    uint64_t frame_len, symtab_len;
    uint32_t locals; /* symbols before the first global one */
};

/* --- runs --- */

static void begin_run(struct builder *b, uint64_t address, bool code)
{
    if (b->nruns > 0)
        b->runs[b->nruns - 1].end = address;
    b->runs[b->nruns++] = (struct run){.begin = address, .end = address, .code = code};
}

/* Whether any symbol at the address of the one at `first` is of that kind; *next: behind them. */
static bool any_of_kind(const struct symbol_table *t, size_t first, bool code, size_t *next)
{
    bool any = false;
    size_t i = first;

    for (; i < symbol_table_count(t) &&
           symbol_table_at(t, i)->address == symbol_table_at(t, first)->address;
         i++)
        any |= symbol_is_code(symbol_table_at(t, i)) == code;
    *next = i;
    return any;
}

static size_t first_place(const struct symbol_table *t)
{
    size_t i = 0;

    while (i < symbol_table_count(t) && symbol_is_absolute(symbol_table_at(t, i)))
        i++;
    return i;
}

static void find_runs(struct builder *b)
{
    const struct symbol_table *t = b->table;
    size_t next;
    const struct symbol *last = symbol_table_at(t, symbol_table_count(t) - 1);

    for (size_t i = first_place(t); i < symbol_table_count(t); i = next) {
        const struct symbol *s = symbol_table_at(t, i);
        bool code = b->nruns > 0 ? b->runs[b->nruns - 1].code : symbol_is_code(s);

        if (!any_of_kind(t, i, code, &next) && b->nruns < RUNS_MAX)
            begin_run(b, s->address, !code);
        else if (b->nruns == 0)
            begin_run(b, s->address, code);
    }
    if (b->nruns > 0)
        b->runs[b->nruns - 1].end = last->address + (last->size > 0 ? last->size : TAIL_BYTES);
}

/* The run that holds an address, the last one that begins at or below it. */
static unsigned run_of(const struct builder *b, uint64_t address)
{
    unsigned low = 0, high = b->nruns;

    while (high - low > 1) {
        unsigned middle = (low + high) / 2;

        if (b->runs[middle].begin <= address)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* --- headers of both classes --- */

static void append_header(struct builder *b, uint64_t section_headers, unsigned sections)
{
    const uint8_t ident[EI_NIDENT] = {
        ELFMAG0,     ELFMAG1,    ELFMAG2,      ELFMAG3, b->bits == 64 ? ELFCLASS64 : ELFCLASS32,
        ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE};
    Elf64_Ehdr e64 = {.e_type = ET_EXEC,
                      .e_machine = EM_X86_64,
                      .e_version = EV_CURRENT,
                      .e_shoff = section_headers,
                      .e_ehsize = sizeof(e64),
                      .e_shentsize = sizeof(Elf64_Shdr),
                      .e_shnum = (uint16_t)sections,
                      .e_shstrndx = (uint16_t)(sections - 1)};
    Elf32_Ehdr e32 = {.e_type = ET_EXEC,
                      .e_machine = EM_386,
                      .e_version = EV_CURRENT,
                      .e_shoff = (uint32_t)section_headers,
                      .e_ehsize = sizeof(e32),
                      .e_shentsize = sizeof(Elf32_Shdr),
                      .e_shnum = (uint16_t)sections,
                      .e_shstrndx = (uint16_t)(sections - 1)};

    memcpy(e64.e_ident, ident, sizeof(ident));
    memcpy(e32.e_ident, ident, sizeof(ident));
    if (b->bits == 64)
        memcpy(b->file.data, &e64, sizeof(e64));
    else
        memcpy(b->file.data, &e32, sizeof(e32));
}

static void append_section(struct builder *b, const Elf64_Shdr *s)
{
    Elf32_Shdr s32 = {.sh_name = s->sh_name,
                      .sh_type = s->sh_type,
                      .sh_flags = (uint32_t)s->sh_flags,
                      .sh_addr = (uint32_t)s->sh_addr,
                      .sh_offset = (uint32_t)s->sh_offset,
                      .sh_size = (uint32_t)s->sh_size,
                      .sh_link = s->sh_link,
                      .sh_info = s->sh_info,
                      .sh_addralign = (uint32_t)s->sh_addralign,
                      .sh_entsize = (uint32_t)s->sh_entsize};

    if (b->bits == 64)
        bytes_append(&b->file, s, sizeof(*s));
    else
        bytes_append(&b->file, &s32, sizeof(s32));
}

static void append_symbol(struct builder *b, const Elf64_Sym *s)
{
    Elf32_Sym s32 = {.st_name = s->st_name,
                     .st_value = (uint32_t)s->st_value,
                     .st_size = (uint32_t)s->st_size,
                     .st_info = s->st_info,
                     .st_shndx = s->st_shndx};

    if (b->bits == 64)
        bytes_append(&b->file, s, sizeof(*s));
    else
        bytes_append(&b->file, &s32, sizeof(s32));
}

/* --- symbols --- */

static void append_table_symbol(struct builder *b, const struct symbol *s)
{
    unsigned type = symbol_is_absolute(s) ? STT_NOTYPE : symbol_is_code(s) ? STT_FUNC : STT_OBJECT;
    unsigned bind = symbol_is_global(s) ? STB_GLOBAL : STB_LOCAL;
    Elf64_Sym sym = {.st_name = (uint32_t)b->names.len,
                     .st_info = (uint8_t)ELF64_ST_INFO(bind, type),
                     .st_value = s->address,
                     .st_size = s->size};

    sym.st_shndx = symbol_is_absolute(s) ? SHN_ABS : (uint16_t)(run_of(b, s->address) + 1);
    bytes_append(&b->names, s->name, strlen(s->name) + 1);
    append_symbol(b, &sym);
}

/* Local ones first, as the ABI wants it. */
static void append_symbols(struct builder *b)
{
    const Elf64_Sym none = {0};
    size_t count = symbol_table_count(b->table);

    bytes_align(&b->file, 8);
    b->symtab_at = b->file.len;
    bytes_append_byte(&b->names, 0);
    append_symbol(b, &none);
    b->locals = 1;
    for (int global = 0; global < 2; global++)
        for (size_t i = 0; i < count; i++) {
            const struct symbol *s = symbol_table_at(b->table, i);

            if (symbol_is_global(s) != (global == 1))
                continue;
            append_table_symbol(b, s);
            b->locals += global == 0;
        }
    b->symtab_len = b->file.len - b->symtab_at;
}

/* --- sections --- */

static uint32_t section_name(struct builder *b, const char *name)
{
    uint32_t at = (uint32_t)b->section_names.len;

    bytes_append(&b->section_names, name, strlen(name) + 1);
    return at;
}

static void name_runs(struct builder *b)
{
    unsigned seen[2] = {0, 0};

    for (unsigned i = 0; i < b->nruns; i++) {
        bool code = b->runs[i].code;
        char name[24] = "";
        unsigned n = seen[code]++;

        snprintf(name, sizeof(name), n == 0 ? "%s" : "%s.%u", code ? ".text" : ".data", n);
        b->runs[i].name = section_name(b, name);
    }
}

static void append_run_sections(struct builder *b)
{
    for (unsigned i = 0; i < b->nruns; i++) {
        const struct run *r = &b->runs[i];

        append_section(b, &(Elf64_Shdr){.sh_name = r->name,
                                        .sh_type = SHT_NOBITS,
                                        .sh_flags = SHF_ALLOC |
                                                    (uint64_t)(r->code ? SHF_EXECINSTR : SHF_WRITE),
                                        .sh_addr = r->begin,
                                        .sh_offset = b->symtab_at,
                                        .sh_size = r->end - r->begin,
                                        .sh_addralign = 1});
    }
}

static void append_sections(struct builder *b)
{
    const Elf64_Shdr none = {0};
    uint64_t at;
    bool frames = b->frame_len > 0;
    uint32_t names[4];

    bytes_append_byte(&b->section_names, 0);
    name_runs(b);
    names[0] = frames ? section_name(b, ".debug_frame") : 0;
    names[1] = section_name(b, ".symtab");
    names[2] = section_name(b, ".strtab");
    names[3] = section_name(b, ".shstrtab");
    b->shstrtab_at = b->file.len;
    bytes_append(&b->file, b->section_names.data, b->section_names.len);
    bytes_align(&b->file, 8);
    at = b->file.len;
    append_section(b, &none);
    append_run_sections(b);
    if (frames)
        append_section(b, &(Elf64_Shdr){.sh_name = names[0],
                                        .sh_type = SHT_PROGBITS,
                                        .sh_offset = b->frame_at,
                                        .sh_size = b->frame_len,
                                        .sh_addralign = 8});
    append_section(
        b, &(Elf64_Shdr){.sh_name = names[1],
                         .sh_type = SHT_SYMTAB,
                         .sh_offset = b->symtab_at,
                         .sh_size = b->symtab_len,
                         .sh_link = b->nruns + frames + 2,
                         .sh_info = b->locals,
                         .sh_addralign = 8,
                         .sh_entsize = b->bits == 64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym)});
    append_section(b, &(Elf64_Shdr){.sh_name = names[2],
                                    .sh_type = SHT_STRTAB,
                                    .sh_offset = b->strtab_at,
                                    .sh_size = b->names.len,
                                    .sh_addralign = 1});
    append_section(b, &(Elf64_Shdr){.sh_name = names[3],
                                    .sh_type = SHT_STRTAB,
                                    .sh_offset = b->shstrtab_at,
                                    .sh_size = b->section_names.len,
                                    .sh_addralign = 1});
    if (!b->file.failed)
        append_header(b, at, b->nruns + frames + 4);
}

static void build(struct builder *b, const struct elf_image_options *o)
{
    find_runs(b);
    bytes_append_zeros(&b->file, b->bits == 64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr));
    append_symbols(b);
    b->strtab_at = b->file.len;
    bytes_append(&b->file, b->names.data, b->names.len);
    bytes_align(&b->file, 8);
    b->frame_at = b->file.len;
    b->frame_len = o->debug_frame != NULL ? o->debug_frame_len : 0;
    bytes_append(&b->file, o->debug_frame, b->frame_len);
    append_sections(b);
}

static bool fits_32_bits(const struct symbol_table *t)
{
    for (size_t i = 0; i < symbol_table_count(t); i++)
        if (symbol_table_at(t, i)->address > UINT32_MAX)
            return false;
    return true;
}

int elf_image_build(const struct symbol_table *table, const struct elf_image_options *options,
                    uint8_t **image, size_t *len, char *err, size_t errlen)
{
    struct builder b = {.table = table, .bits = options->bits};
    bool failed;

    if (symbol_table_count(table) == 0)
        return symbols_error(SYMBOLS_ERR_ARGUMENT, err, errlen, "there are no symbols to write");
    if (b.bits != 64 && !fits_32_bits(table))
        return symbols_error(SYMBOLS_ERR_ARGUMENT, err, errlen,
                             "symbols above 4 GiB do not fit a 32-bit ELF file");
    build(&b, options);
    failed = b.file.failed || b.names.failed || b.section_names.failed || b.names.len > UINT32_MAX;
    bytes_fini(&b.names);
    bytes_fini(&b.section_names);
    if (failed) {
        bytes_fini(&b.file);
        return symbols_error(SYMBOLS_ERR_NO_MEMORY, err, errlen, "no memory for the symbol file");
    }
    *image = b.file.data;
    *len = b.file.len;
    return SYMBOLS_OK;
}
