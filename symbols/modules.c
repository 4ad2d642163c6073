/* SPDX-License-Identifier: MIT */
/*
 * Finds the loaded modules. `modules` is a list head; what it links are the `list` members of
 * struct module, of which this much is the same in all versions:
 *
 *     +0   enum module_state state      0: live
 *     +8   struct list_head list
 *     +24  char name[56]
 *
 * Behind that, members are recognised by what they hold:
 *     sect_attrs   a pointer to memory that begins with a pointer to "sections"
 *     kallsyms     { symtab, count, strtab, typetab } where strtab is right behind count symbols
 *     orc          { count, ip, entries } where ip and entries are the sections .orc_unwind_ip and
 *                  .orc_unwind
 */
#include <symbols/modules.h>

#include <elf.h>
#include <stdlib.h>

#include "memory_internal.h"

#define MODULES_MAX      4096u
#define MODULE_BYTES     2048u /* of struct module that are looked at; it has about 900 */
#define LIST_OFFSET      8u
#define NAME_OFFSET      24u
#define NAME_BYTES       56u
#define SECTIONS_MAX     256u
#define ATTRS_BYTES      (64u << 10)
#define SECTION_NAME_MAX 128u
#define SYMBOLS_MAX      (1u << 20)
#define STRINGS_MAX      (32u << 20)
#define KERNEL_HALF      0xffff800000000000u
#define TOP              0xffffffff80000000u /* kernel image and modules */

static uint64_t word_of(const uint8_t *bytes, size_t at)
{
    return le64(bytes + at);
}

/* --- sections --- */

static bool is_section_name(const char *s)
{
    size_t len = strlen(s);

    if (len < 2 || (s[0] != '.' && s[0] != '_'))
        return false;
    for (size_t i = 0; i < len; i++)
        if (s[i] <= ' ' || s[i] > '~')
            return false;
    return true;
}

static bool read_section_name(const struct symbols_memory *mem, uint64_t at,
                              char out[SECTION_NAME_MAX])
{
    return at >= KERNEL_HALF && memory_read_string(mem, at, out, SECTION_NAME_MAX) &&
           is_section_name(out);
}

/* struct module_sect_attrs: a header, then records of `stride` bytes from `first` on, each
 * beginning with a pointer to a section's name. */
struct attrs {
    uint8_t bytes[ATTRS_BYTES];
    size_t len;
    size_t first, stride, count;
};

static bool is_record(const struct symbols_memory *mem, const struct attrs *a, size_t at)
{
    char name[SECTION_NAME_MAX];

    return at + 8 <= a->len && read_section_name(mem, word_of(a->bytes, at), name);
}

static bool find_records(const struct symbols_memory *mem, struct attrs *a)
{
    size_t second;

    a->first = 8;
    while (a->first < 128 && !is_record(mem, a, a->first))
        a->first += 8;
    second = a->first + 8;
    while (second < a->first + 256 && !is_record(mem, a, second))
        second += 8;
    a->stride = second - a->first;
    if (a->first >= 128 || a->stride >= 256)
        return false;
    a->count = 2;
    while (a->count < SECTIONS_MAX && is_record(mem, a, a->first + a->count * a->stride))
        a->count++;
    return true;
}

/* Whether the words at that offset into records can be addresses of sections: all of them at the
 * top, and no two neighbours equal, as pointers to functions would be. */
static bool are_addresses(const struct attrs *a, size_t offset)
{
    for (size_t i = 0; i < a->count; i++) {
        size_t at = a->first + i * a->stride + offset;

        if (at + 8 > a->len || word_of(a->bytes, at) < TOP ||
            (i > 0 && word_of(a->bytes, at) == word_of(a->bytes, at - a->stride)))
            return false;
    }
    return true;
}

static int take_sections(const struct symbols_memory *mem, const struct attrs *a, size_t offset,
                         struct guest_module *m)
{
    m->sections = calloc(a->count, sizeof(*m->sections));
    if (m->sections == NULL)
        return SYMBOLS_ERR_NO_MEMORY;
    for (size_t i = 0; i < a->count; i++) {
        size_t at = a->first + i * a->stride;
        char name[SECTION_NAME_MAX] = "";

        read_section_name(mem, word_of(a->bytes, at), name);
        m->sections[i].name = strdup(name);
        m->sections[i].address = word_of(a->bytes, at + offset);
        if (m->sections[i].name == NULL)
            return SYMBOLS_ERR_NO_MEMORY;
        m->section_count = i + 1;
    }
    return SYMBOLS_OK;
}

static bool begins_sect_attrs(const struct symbols_memory *mem, uint64_t at)
{
    uint64_t name;
    char text[16];

    return at >= KERNEL_HALF && at % 8 == 0 && memory_read_word(mem, at, 8, &name) &&
           name >= KERNEL_HALF && memory_read_string(mem, name, text, sizeof(text)) &&
           strcmp(text, "sections") == 0;
}

/* Leaves the module without sections if there are none to be seen. */
static int find_sections(const struct symbols_memory *mem, const uint8_t *raw, size_t len,
                         struct attrs *a, struct guest_module *m)
{
    for (size_t at = NAME_OFFSET + NAME_BYTES; at + 8 <= len; at += 8) {
        uint64_t attrs = word_of(raw, at);

        if (!begins_sect_attrs(mem, attrs))
            continue;
        a->len = mem->read(mem->user, attrs, a->bytes, ATTRS_BYTES);
        if (a->len > ATTRS_BYTES || !find_records(mem, a))
            continue;
        for (size_t offset = 8; offset < a->stride; offset += 8)
            if (are_addresses(a, offset))
                return take_sections(mem, a, offset, m);
    }
    return SYMBOLS_OK;
}

uint64_t guest_module_section(const struct guest_module *m, const char *name)
{
    for (size_t i = 0; i < m->section_count; i++)
        if (strcmp(m->sections[i].name, name) == 0)
            return m->sections[i].address;
    return 0;
}

/* --- other members --- */

static void find_build_id(const struct symbols_memory *mem, struct guest_module *m)
{
    uint64_t at = guest_module_section(m, ".note.gnu.build-id");
    uint8_t notes[256];
    size_t got = at != 0 ? mem->read(mem->user, at, notes, sizeof(notes)) : 0;

    if (got > sizeof(notes) || !build_id_in_notes(notes, got, &m->build_id, NULL))
        m->build_id.len = 0;
}

static void find_orc(const uint8_t *raw, size_t len, struct guest_module *m)
{
    uint64_t ip = guest_module_section(m, ".orc_unwind_ip");
    uint64_t entries = guest_module_section(m, ".orc_unwind");

    for (size_t at = NAME_OFFSET + NAME_BYTES; ip != 0 && entries != 0 && at + 24 <= len; at += 8)
        if (word_of(raw, at + 8) == ip && word_of(raw, at + 16) == entries) {
            uint64_t count = le32(raw + at);

            m->orc = (struct orc_place){.ip_begin = ip,
                                        .ip_end = ip + 4 * count,
                                        .begin = entries,
                                        .end = entries + 6 * count};
            return;
        }
}

static void find_symbols(const uint8_t *raw, size_t len, struct guest_module *m)
{
    for (size_t at = NAME_OFFSET + NAME_BYTES; at + 32 <= len; at += 8) {
        uint64_t symtab = word_of(raw, at), strtab = word_of(raw, at + 16);
        uint64_t typetab = word_of(raw, at + 24);
        uint32_t count = le32(raw + at + 8);

        if (symtab >= TOP && count > 0 && count <= SYMBOLS_MAX &&
            strtab == symtab + (uint64_t)count * sizeof(Elf64_Sym) && typetab > strtab &&
            typetab - strtab <= STRINGS_MAX) {
            m->symtab = symtab;
            m->strtab = strtab;
            m->typetab = typetab;
            m->symbol_count = count;
            return;
        }
    }
}

/* --- the list --- */

static bool take_name(const uint8_t *raw, size_t len, char out[MODULE_NAME_MAX])
{
    const char *name = (const char *)raw + NAME_OFFSET;
    size_t n;

    if (len < NAME_OFFSET + NAME_BYTES)
        return false;
    n = strnlen(name, NAME_BYTES);
    if (n == 0 || n == NAME_BYTES)
        return false;
    for (size_t i = 0; i < n; i++)
        if (name[i] <= ' ' || name[i] > '~' || strchr("/<>&\"'", name[i]) != NULL)
            return false;
    memcpy(out, name, n + 1);
    return true;
}

/* 1: *m is it; 0: that is no module. */
static int read_module(const struct symbols_memory *mem, uint64_t address, struct attrs *a,
                       struct guest_module *m)
{
    uint8_t raw[MODULE_BYTES];
    size_t len = mem->read(mem->user, address, raw, sizeof(raw));
    int status;

    *m = (struct guest_module){.address = address};
    if (len > sizeof(raw) || !take_name(raw, len, m->name))
        return 0;
    m->live = le32(raw) == 0;
    status = find_sections(mem, raw, len, a, m);
    if (status < 0)
        return status;
    find_build_id(mem, m);
    find_orc(raw, len, m);
    find_symbols(raw, len, m);
    return 1;
}

/* Room for one more; NULL: no memory. The array doubles when it is full, at powers of two. */
static struct guest_module *next_slot(struct module_list *l)
{
    struct guest_module *grown;

    if ((l->count & (l->count - 1)) == 0) {
        grown = realloc(l->modules, (l->count == 0 ? 1 : 2 * l->count) * sizeof(*grown));
        if (grown == NULL)
            return NULL;
        l->modules = grown;
    }
    return &l->modules[l->count];
}

static int walk(const struct symbols_memory *mem, uint64_t head, struct attrs *a,
                struct module_list *l)
{
    uint64_t at;

    if (!memory_read_word(mem, head, 8, &at))
        return SYMBOLS_ERR_NOT_FOUND;
    while (at != head && at >= KERNEL_HALF && l->count < MODULES_MAX) {
        struct guest_module *m = next_slot(l);
        int status = m == NULL ? SYMBOLS_ERR_NO_MEMORY : read_module(mem, at - LIST_OFFSET, a, m);

        if (status <= 0) {
            if (m != NULL && status < 0)
                l->count++; /* so that it is freed */
            return status;
        }
        l->count++;
        if (!memory_read_word(mem, at, 8, &at))
            break;
    }
    return SYMBOLS_OK;
}

int modules_read(const struct symbols_memory *mem, const struct symbol_table *guest,
                 struct module_list **out, char *err, size_t errlen)
{
    struct module_list *l = calloc(1, sizeof(*l));
    struct attrs *a = malloc(sizeof(*a));
    int status = SYMBOLS_ERR_NOT_FOUND;
    uint64_t head;

    if (l == NULL || a == NULL)
        status = SYMBOLS_ERR_NO_MEMORY;
    else if (symbol_table_address(guest, "modules", &head))
        status = walk(mem, head, a, l);
    free(a);
    if (status < 0) {
        module_list_destroy(l);
        return symbols_error(status, err, errlen,
                             status == SYMBOLS_ERR_NO_MEMORY
                                 ? "no memory for the list of modules"
                                 : "the guest's list of modules is not among its symbols");
    }
    *out = l;
    return SYMBOLS_OK;
}

void module_list_destroy(struct module_list *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; i < l->count; i++) {
        for (size_t s = 0; s < l->modules[i].section_count; s++)
            free(l->modules[i].sections[s].name);
        free(l->modules[i].sections);
    }
    free(l->modules);
    free(l);
}

/* --- symbols --- */

static bool is_kind(char c)
{
    return c != '\0' && strchr("tTdDbBrRwWvV", c) != NULL;
}

static int take_symbols(const struct guest_module *m, const uint8_t *symbols, const char *names,
                        const char *kinds, struct symbol_table *t)
{
    size_t names_len = (size_t)(m->typetab - m->strtab);

    for (uint32_t i = 1; i < m->symbol_count; i++) {
        Elf64_Sym s;
        size_t len;
        int status;

        memcpy(&s, symbols + i * sizeof(s), sizeof(s));
        if (s.st_name >= names_len || !is_kind(kinds[i]) || s.st_value < TOP)
            continue;
        len = strnlen(names + s.st_name, names_len - s.st_name);
        if (len == 0 || len > SYMBOL_NAME_MAX)
            continue;
        status = symbol_table_add(t, names + s.st_name, len, s.st_value, s.st_size, kinds[i]);
        if (status < 0)
            return status;
    }
    return SYMBOLS_OK;
}

/* Symbols, their names and kinds lie behind each other. */
static int add_symbols(const struct symbols_memory *mem, const struct guest_module *m,
                       struct symbol_table *t)
{
    size_t names_at = (size_t)(m->strtab - m->symtab), kinds_at = (size_t)(m->typetab - m->symtab);
    size_t len = kinds_at + m->symbol_count;
    uint8_t *bytes = malloc(len);
    int status = SYMBOLS_OK;

    if (bytes == NULL)
        return SYMBOLS_ERR_NO_MEMORY;
    if (memory_read(mem, m->symtab, bytes, len))
        status = take_symbols(m, bytes, (const char *)bytes + names_at,
                              (const char *)bytes + kinds_at, t);
    free(bytes);
    return status;
}

int modules_add_symbols(const struct symbols_memory *mem, const struct module_list *l,
                        struct symbol_table *t)
{
    for (size_t i = 0; i < l->count; i++) {
        int status = l->modules[i].symbol_count > 0 ? add_symbols(mem, &l->modules[i], t) : 0;

        if (status < 0)
            return status;
    }
    return SYMBOLS_OK;
}
