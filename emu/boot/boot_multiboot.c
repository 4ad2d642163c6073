/* SPDX-License-Identifier: MIT */
/*
 * Multiboot kernels, by the Multiboot Specification 0.6.96: ELF32 and ELF64 executables, or any
 * file whose header carries load addresses ("a.out kludge", header flag 16). ELF64 kernels are
 * entered in 32-bit mode too, as the specification has it for every kernel.
 *
 * Entry: flat 32-bit protected mode, paging off, IF clear, A20 open, EAX the magic, EBX the
 * information structure. That tells: memory sizes and map, command line, one module
 * (config.initrd), ELF sections with the symbols loaded, our name; and the text screen, when the
 * header asks about video. Not given: boot device, drives, configuration table, APM, VBE.
 *
 * Invariant: `taken` holds what has been placed, in usable memory and disjoint; nothing is written
 * that was not taken before. So RAM outside of it is still zero, which is what .bss needs.
 */
#include <stdio.h>
#include <string.h>

#include <emu/cpu.h>

#include "boot_internal.h"

#define SEARCH_BYTES 8192u
#define HEADER_MAGIC 0x1badb002u
#define LOADER_MAGIC 0x2badb002u
#define LOADER_NAME  "deja"

/* Header: offsets, and flags. */
#define MH_FLAGS         4u
#define MH_CHECKSUM      8u
#define MH_HEADER_ADDR   12u
#define MH_LOAD_ADDR     16u
#define MH_LOAD_END_ADDR 20u
#define MH_BSS_END_ADDR  24u
#define MH_ENTRY_ADDR    28u
#define MH_BYTES         12u
#define MH_ADDR_BYTES    32u
#define MH_VIDEO         0x00000004u
#define MH_REQUIRED      0x0000ffffu
#define MH_KNOWN         0x00000007u /* page-aligned modules, memory, video */
#define MH_HAS_ADDRESSES 0x00010000u

/* Information structure: offsets, and flags. */
#define MBI_FLAGS        0u
#define MBI_MEM_LOWER    4u
#define MBI_MEM_UPPER    8u
#define MBI_CMDLINE      16u
#define MBI_MODS_COUNT   20u
#define MBI_MODS_ADDR    24u
#define MBI_ELF_NUM      28u
#define MBI_ELF_SIZE     32u
#define MBI_ELF_ADDR     36u
#define MBI_ELF_SHNDX    40u
#define MBI_MMAP_LENGTH  44u
#define MBI_MMAP_ADDR    48u
#define MBI_LOADER_NAME  64u
#define MBI_FB_ADDR      88u
#define MBI_FB_PITCH     96u
#define MBI_FB_WIDTH     100u
#define MBI_FB_HEIGHT    104u
#define MBI_FB_BPP       108u
#define MBI_FB_TYPE      109u
#define MBI_BYTES        116u
#define MBI_HAS_MEMORY   0x0001u
#define MBI_HAS_CMDLINE  0x0004u
#define MBI_HAS_MODS     0x0008u
#define MBI_HAS_ELF      0x0020u
#define MBI_HAS_MMAP     0x0040u
#define MBI_HAS_NAME     0x0200u
#define MBI_HAS_FB       0x1000u
#define FB_EGA_TEXT      2u
#define MODULE_BYTES     16u
#define MMAP_ENTRY_BYTES 24u

/* ELF. */
#define ELFCLASS32          1u
#define ELFCLASS64          2u
#define ELFDATA2LSB         1u
#define ET_EXEC             2u
#define EM_386              3u
#define EM_X86_64           62u
#define PT_LOAD             1u
#define SHT_NULL            0u
#define SHT_NOBITS          8u
#define SHF_ALLOC           2u
#define MAX_PROGRAM_HEADERS 128u
#define MAX_SECTIONS        512u

#define MAX_TAKEN      (MAX_PROGRAM_HEADERS + MAX_SECTIONS + 4u)
#define INFO_MAX_BYTES 0x10000u /* the information block, command line and module name included */

struct extent {
    uint64_t begin, end;
};

/* A kernel on its way into memory. */
struct multiboot {
    const struct boot *b;
    const struct machine_image *image;
    const uint8_t *data;
    size_t len;
    size_t header; /* offset of the Multiboot header */
    uint32_t flags;
    uint32_t entry; /* physical */
    struct extent taken[MAX_TAKEN];
    unsigned ntaken;
    uint64_t end;      /* of all that was taken above 1 MiB; at least 1 MiB */
    uint32_t sections; /* copy of the section headers; 0: none */
    uint32_t nsections, section_bytes, section_names;
    uint32_t module, module_end;
};

/* --- header --- */

/* Offset of the header, or len when there is none. */
static size_t find_header(const uint8_t *data, size_t len)
{
    size_t end = len < SEARCH_BYTES ? len : SEARCH_BYTES, at;

    for (at = 0; at + MH_BYTES <= end; at += 4)
        if (get_le32(data + at) == HEADER_MAGIC &&
            (uint32_t)(HEADER_MAGIC + get_le32(data + at + MH_FLAGS) +
                       get_le32(data + at + MH_CHECKSUM)) == 0)
            return at;
    return len;
}

bool boot_is_multiboot(const uint8_t *data, size_t len)
{
    return find_header(data, len) < len;
}

static int parse_header(struct multiboot *mb)
{
    uint32_t unknown;

    mb->header = find_header(mb->data, mb->len);
    mb->flags = get_le32(mb->data + mb->header + MH_FLAGS);
    unknown = mb->flags & MH_REQUIRED & ~MH_KNOWN;
    if (unknown != 0)
        return boot_fail(mb->b, mb->image,
                         "its Multiboot header requires what is not provided (flags %04xh)",
                         unknown);
    return 0;
}

/* --- taking memory --- */

static bool is_free(const struct multiboot *mb, uint64_t begin, uint64_t end)
{
    unsigned i;

    for (i = 0; i < mb->ntaken; i++)
        if (begin < mb->taken[i].end && mb->taken[i].begin < end)
            return false;
    return true;
}

static bool is_usable(const struct multiboot *mb, uint64_t begin, uint64_t end)
{
    struct boot_range map[BOOT_MAX_RANGES];
    unsigned n = boot_memory_map(mb->b->m, map), i;

    for (i = 0; i < n; i++)
        if (map[i].type == 1 && begin >= map[i].base && end <= map[i].base + map[i].len)
            return begin >= LOW_USABLE_BEGIN && end <= mb->b->m->ram.low_bytes;
    return false;
}

/* begin <= end < 2^34. */
static int take(struct multiboot *mb, const struct machine_image *image, uint64_t begin,
                uint64_t end)
{
    if (begin >= HIGH_BASE && boot_check_fits(mb->b, image, end) != 0)
        return -1;
    if (!is_usable(mb, begin, end))
        return boot_fail(mb->b, image, "wants %llxh..%llxh, which is not usable memory",
                         (unsigned long long)begin, (unsigned long long)end);
    if (!is_free(mb, begin, end))
        return boot_fail(mb->b, image, "its parts overlap at %llxh..%llxh",
                         (unsigned long long)begin, (unsigned long long)end);
    mb->taken[mb->ntaken++] = (struct extent){.begin = begin, .end = end};
    if (end > mb->end)
        mb->end = end;
    return 0;
}

/* Takes [address, address + memory) and fills it with `bytes` of the file from `offset`. */
static int load(struct multiboot *mb, uint64_t address, uint64_t memory, uint64_t offset,
                uint64_t bytes)
{
    if (offset > mb->len || bytes > mb->len - offset)
        return boot_fail(mb->b, mb->image, "cut short: %llu bytes at %llu are missing",
                         (unsigned long long)bytes, (unsigned long long)offset);
    if (address >= 1ULL << 32 || memory >= 1ULL << 32 || bytes > memory)
        return boot_fail(mb->b, mb->image, "a part of %llxh bytes at %llxh makes no sense",
                         (unsigned long long)memory, (unsigned long long)address);
    if (memory == 0)
        return 0;
    if (take(mb, mb->image, address, address + memory) != 0)
        return -1;
    return boot_write(mb->b, mb->image, address, mb->data + offset, (size_t)bytes);
}

/* --- load addresses in the header --- */

static int load_by_addresses(struct multiboot *mb)
{
    const uint8_t *h = mb->data + mb->header;
    uint64_t header_addr, load_addr, load_end, bss_end, offset, bytes, memory;

    if (mb->len - mb->header < MH_ADDR_BYTES)
        return boot_fail(mb->b, mb->image, "cut short within its Multiboot header");
    header_addr = get_le32(h + MH_HEADER_ADDR);
    load_addr = get_le32(h + MH_LOAD_ADDR);
    load_end = get_le32(h + MH_LOAD_END_ADDR);
    bss_end = get_le32(h + MH_BSS_END_ADDR);
    mb->entry = get_le32(h + MH_ENTRY_ADDR);
    if (load_addr > header_addr || header_addr - load_addr > mb->header)
        return boot_fail(mb->b, mb->image, "the addresses in its Multiboot header contradict");
    offset = mb->header - (header_addr - load_addr);
    if (load_end != 0 && load_end < load_addr)
        return boot_fail(mb->b, mb->image, "its Multiboot header ends loading before it begins");
    bytes = load_end == 0 ? mb->len - offset : load_end - load_addr;
    memory = bss_end > load_addr + bytes ? bss_end - load_addr : bytes;
    if (mb->entry < load_addr || mb->entry >= load_addr + memory)
        return boot_fail(mb->b, mb->image, "its entry point %xh is outside of what is loaded",
                         mb->entry);
    return load(mb, load_addr, memory, offset, bytes);
}

/* --- ELF --- */

/* The fields of either class that matter, widened. */
struct elf {
    bool wide;
    uint64_t entry, phoff, shoff;
    unsigned phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_segment {
    uint32_t type;
    uint64_t offset, vaddr, paddr, filesz, memsz;
};

static int parse_elf(const struct multiboot *mb, struct elf *elf)
{
    const uint8_t *p = mb->data;
    const uint8_t *tail;
    bool wide;

    if (mb->len < 64 || memcmp(p, "\177ELF", 4) != 0)
        return boot_fail(mb->b, mb->image,
                         "a Multiboot kernel that is no ELF file and gives no load addresses");
    wide = p[4] == ELFCLASS64;
    if ((!wide && p[4] != ELFCLASS32) || p[5] != ELFDATA2LSB)
        return boot_fail(mb->b, mb->image, "an ELF file of unknown class or byte order");
    if (get_le16(p + 18) != (wide ? EM_X86_64 : EM_386))
        return boot_fail(mb->b, mb->image, "an ELF file for another machine (type %u)",
                         get_le16(p + 18));
    if (get_le16(p + 16) != ET_EXEC)
        return boot_fail(mb->b, mb->image, "an ELF file, but not an executable");
    tail = p + (wide ? 54 : 42);
    *elf = (struct elf){
        .wide = wide,
        .entry = get_le(p + 24, wide ? 8 : 4),
        .phoff = wide ? get_le64(p + 32) : get_le32(p + 28),
        .shoff = wide ? get_le64(p + 40) : get_le32(p + 32),
        .phentsize = get_le16(tail),
        .phnum = get_le16(tail + 2),
        .shentsize = get_le16(tail + 4),
        .shnum = get_le16(tail + 6),
        .shstrndx = get_le16(tail + 8),
    };
    return 0;
}

static bool table_in_file(const struct multiboot *mb, uint64_t offset, unsigned count,
                          unsigned size)
{
    return offset <= mb->len && (uint64_t)count * size <= mb->len - offset;
}

static struct elf_segment get_segment(const struct multiboot *mb, const struct elf *elf, unsigned i)
{
    const uint8_t *p = mb->data + elf->phoff + (size_t)i * elf->phentsize;

    if (elf->wide)
        return (struct elf_segment){.type = get_le32(p),
                                    .offset = get_le64(p + 8),
                                    .vaddr = get_le64(p + 16),
                                    .paddr = get_le64(p + 24),
                                    .filesz = get_le64(p + 32),
                                    .memsz = get_le64(p + 40)};
    return (struct elf_segment){.type = get_le32(p),
                                .offset = get_le32(p + 4),
                                .vaddr = get_le32(p + 8),
                                .paddr = get_le32(p + 12),
                                .filesz = get_le32(p + 16),
                                .memsz = get_le32(p + 20)};
}

/* Whether the segment covers the entry point; *physical is it then. Virtual addresses go first:
 * that is what linkers write, and kernels linked low have both alike. */
static bool covers(const struct elf_segment *s, uint64_t entry, bool virtual, uint32_t *physical)
{
    uint64_t base = virtual ? s->vaddr : s->paddr;

    if (s->type != PT_LOAD || entry < base || entry - base >= s->memsz)
        return false;
    *physical = (uint32_t)(s->paddr + (entry - base));
    return true;
}

static int find_entry(struct multiboot *mb, const struct elf *elf)
{
    unsigned i;
    int pass;

    for (pass = 0; pass < 2; pass++) {
        for (i = 0; i < elf->phnum; i++) {
            struct elf_segment s = get_segment(mb, elf, i);

            if (covers(&s, elf->entry, pass == 0, &mb->entry))
                return 0;
        }
    }
    return boot_fail(mb->b, mb->image, "its entry point %llxh is in none of its segments",
                     (unsigned long long)elf->entry);
}

static int load_segments(struct multiboot *mb, const struct elf *elf)
{
    unsigned i;

    if (elf->phnum == 0 || elf->phnum > MAX_PROGRAM_HEADERS ||
        elf->phentsize != (elf->wide ? 56 : 32))
        return boot_fail(mb->b, mb->image, "%u program headers of %u bytes make no sense",
                         elf->phnum, elf->phentsize);
    if (!table_in_file(mb, elf->phoff, elf->phnum, elf->phentsize))
        return boot_fail(mb->b, mb->image, "cut short before its program headers");
    for (i = 0; i < elf->phnum; i++) {
        struct elf_segment s = get_segment(mb, elf, i);

        if (s.type == PT_LOAD && load(mb, s.paddr, s.memsz, s.offset, s.filesz) != 0)
            return -1;
    }
    return find_entry(mb, elf);
}

/* --- ELF sections --- */

/* Offsets within a section header. */
struct shdr_layout {
    unsigned bytes, flags, addr, offset, size, width;
};
static const struct shdr_layout shdr32 = {40, 8, 12, 16, 20, 4};
static const struct shdr_layout shdr64 = {64, 8, 16, 24, 32, 8};

/* Loads one section that no segment brought (symbols, names) and notes where; false: cannot. */
static bool load_section(struct multiboot *mb, const struct shdr_layout *l, uint8_t *header)
{
    uint64_t offset = get_le(header + l->offset, l->width);
    uint64_t size = get_le(header + l->size, l->width);
    uint64_t at = page_up(mb->end);
    uint32_t type = get_le32(header + 4);

    if (type == SHT_NULL || type == SHT_NOBITS || size == 0 ||
        (get_le(header + l->flags, l->width) & SHF_ALLOC) || get_le(header + l->addr, l->width))
        return true;
    if (offset > mb->len || size > mb->len - offset || !is_usable(mb, at, at + size))
        return false;
    put_le(header + l->addr, l->width, at);
    return load(mb, at, size, offset, size) == 0;
}

/*
 * Symbols are a courtesy: a section table that is odd, or too large for the machine, is left out,
 * and the kernel boots without. What was taken for it until then stays taken.
 */
static void load_sections(struct multiboot *mb, const struct elf *elf)
{
    const struct shdr_layout *l = elf->wide ? &shdr64 : &shdr32;
    uint8_t headers[MAX_SECTIONS * 64];
    size_t bytes = (size_t)elf->shnum * l->bytes;
    uint64_t at;
    unsigned i;

    if (elf->shnum == 0 || elf->shnum > MAX_SECTIONS || elf->shentsize != l->bytes ||
        !table_in_file(mb, elf->shoff, elf->shnum, elf->shentsize))
        return;
    memcpy(headers, mb->data + elf->shoff, bytes);
    for (i = 0; i < elf->shnum; i++)
        if (!load_section(mb, l, headers + (size_t)i * l->bytes))
            return;
    at = page_up(mb->end);
    if (!is_usable(mb, at, at + bytes) || take(mb, mb->image, at, at + bytes) != 0 ||
        boot_write(mb->b, mb->image, at, headers, bytes) != 0)
        return;
    mb->sections = (uint32_t)at;
    mb->nsections = elf->shnum;
    mb->section_bytes = l->bytes;
    mb->section_names = elf->shstrndx;
}

static int load_elf(struct multiboot *mb)
{
    struct elf elf = {0};

    if (parse_elf(mb, &elf) != 0 || load_segments(mb, &elf) != 0)
        return -1;
    load_sections(mb, &elf);
    return 0;
}

/* --- module --- */

static int load_module(struct multiboot *mb)
{
    const struct machine_image *initrd = &mb->b->m->config.initrd;
    uint64_t at = page_up(mb->end);

    if (initrd->data == NULL)
        return 0;
    if (initrd->len >= 1ULL << 32)
        return boot_fail(mb->b, initrd, "too large for a Multiboot module");
    if (take(mb, initrd, at, at + initrd->len) != 0)
        return -1;
    mb->module = (uint32_t)at;
    mb->module_end = (uint32_t)(at + initrd->len);
    return boot_write(mb->b, initrd, at, initrd->data, initrd->len);
}

/* --- information structure --- */

/* The block that is handed over: structure first, then what it points to. */
struct info {
    uint8_t bytes[INFO_MAX_BYTES];
    size_t len;
    uint32_t base;
};

/* Appends at a multiple of 8; returns the guest address. The sum was checked by info_fits. */
static uint32_t info_append(struct info *info, const void *data, size_t len)
{
    size_t at = (info->len + 7) & ~(size_t)7;

    memcpy(info->bytes + at, data, len);
    info->len = at + len;
    return info->base + (uint32_t)at;
}

static void info_flag(struct info *info, uint32_t flag)
{
    put_le(info->bytes + MBI_FLAGS, 4, get_le32(info->bytes + MBI_FLAGS) | flag);
}

static void tell_memory(struct info *info, const struct machine *m)
{
    struct boot_range map[BOOT_MAX_RANGES];
    uint8_t entries[BOOT_MAX_RANGES * MMAP_ENTRY_BYTES];
    unsigned n = boot_memory_map(m, map), i;

    for (i = 0; i < n; i++) {
        uint8_t *entry = entries + i * MMAP_ENTRY_BYTES;

        put_le(entry, 4, MMAP_ENTRY_BYTES - 4);
        put_le(entry + 4, 8, map[i].base);
        put_le(entry + 12, 8, map[i].len);
        put_le(entry + 20, 4, map[i].type);
    }
    put_le(info->bytes + MBI_MEM_LOWER, 4, LOW_USABLE_END >> 10);
    put_le(info->bytes + MBI_MEM_UPPER, 4, (m->ram.low_bytes - HIGH_BASE) >> 10);
    put_le(info->bytes + MBI_MMAP_LENGTH, 4, n * MMAP_ENTRY_BYTES);
    put_le(info->bytes + MBI_MMAP_ADDR, 4, info_append(info, entries, n * MMAP_ENTRY_BYTES));
    info_flag(info, MBI_HAS_MEMORY | MBI_HAS_MMAP);
}

static void tell_module(struct info *info, const struct multiboot *mb, const char *name)
{
    uint8_t module[MODULE_BYTES] = {0};

    info_flag(info, MBI_HAS_MODS);
    if (mb->module == 0)
        return;
    put_le(module, 4, mb->module);
    put_le(module + 4, 4, mb->module_end);
    put_le(module + 8, 4, info_append(info, name, strlen(name) + 1));
    put_le(info->bytes + MBI_MODS_COUNT, 4, 1);
    put_le(info->bytes + MBI_MODS_ADDR, 4, info_append(info, module, sizeof(module)));
}

static void tell_sections(struct info *info, const struct multiboot *mb)
{
    if (mb->sections == 0)
        return;
    put_le(info->bytes + MBI_ELF_NUM, 4, mb->nsections);
    put_le(info->bytes + MBI_ELF_SIZE, 4, mb->section_bytes);
    put_le(info->bytes + MBI_ELF_ADDR, 4, mb->sections);
    put_le(info->bytes + MBI_ELF_SHNDX, 4, mb->section_names);
    info_flag(info, MBI_HAS_ELF);
}

/* The only mode there is; a kernel that asked for pixels finds that out here. */
static void tell_screen(struct info *info, const struct multiboot *mb)
{
    if (!(mb->flags & MH_VIDEO))
        return;
    put_le(info->bytes + MBI_FB_ADDR, 8, 0xb8000);
    put_le(info->bytes + MBI_FB_PITCH, 4, 160);
    put_le(info->bytes + MBI_FB_WIDTH, 4, 80);
    put_le(info->bytes + MBI_FB_HEIGHT, 4, 25);
    info->bytes[MBI_FB_BPP] = 16;
    info->bytes[MBI_FB_TYPE] = FB_EGA_TEXT;
    info_flag(info, MBI_HAS_FB);
}

/*
 * A free place in base memory, as high as possible; kernels that are loaded there push it down, or
 * above their end. 0: nowhere.
 */
static uint32_t find_info_place(const struct multiboot *mb, size_t bytes)
{
    uint64_t base = (LOW_USABLE_END - bytes) & ~4095ULL;

    for (; base >= 0x1000; base -= 4096)
        if (is_free(mb, base, base + bytes))
            return (uint32_t)base;
    base = page_up(mb->end);
    return is_usable(mb, base, base + bytes) ? (uint32_t)base : 0;
}

static const char *or_empty(const char *s)
{
    return s == NULL ? "" : s;
}

/* GDT, structure, command line, names and tables. Sets *gdt and *address. */
static int place_info(struct multiboot *mb, uint32_t *gdt, uint32_t *address)
{
    const struct machine_config *config = &mb->b->m->config;
    const char *cmdline = or_empty(config->cmdline), *name = or_empty(config->initrd.name);
    size_t most = BOOT_GDT_BYTES + MBI_BYTES + BOOT_MAX_RANGES * MMAP_ENTRY_BYTES + MODULE_BYTES +
                  sizeof(LOADER_NAME) + 64 + strlen(cmdline) + strlen(name);
    struct info info = {.len = MBI_BYTES};

    if (most > INFO_MAX_BYTES)
        return boot_fail(mb->b, mb->image, "the command line has %zu bytes, too many to pass on",
                         strlen(cmdline) + strlen(name));
    *gdt = find_info_place(mb, most);
    if (*gdt == 0)
        return boot_fail(mb->b, mb->image, "leaves no room for the boot information");
    info.base = *address = *gdt + BOOT_GDT_BYTES;
    put_le(info.bytes + MBI_CMDLINE, 4, info_append(&info, cmdline, strlen(cmdline) + 1));
    put_le(info.bytes + MBI_LOADER_NAME, 4, info_append(&info, LOADER_NAME, sizeof(LOADER_NAME)));
    info_flag(&info, MBI_HAS_CMDLINE | MBI_HAS_NAME);
    tell_memory(&info, mb->b->m);
    tell_module(&info, mb, name);
    tell_sections(&info, mb);
    tell_screen(&info, mb);
    return boot_write(mb->b, mb->image, info.base, info.bytes, info.len);
}

int boot_multiboot(const struct boot *b)
{
    const struct machine_image *kernel = &b->m->config.kernel;
    struct multiboot mb = {
        .b = b, .image = kernel, .data = kernel->data, .len = kernel->len, .end = HIGH_BASE};
    struct cpu *cpu = &b->m->cpus[0];
    uint32_t gdt = 0, address = 0;

    if (parse_header(&mb) != 0)
        return -1;
    if ((mb.flags & MH_HAS_ADDRESSES ? load_by_addresses(&mb) : load_elf(&mb)) != 0)
        return -1;
    if (load_module(&mb) != 0 || place_info(&mb, &gdt, &address) != 0)
        return -1;
    boot_enter_protected(b, gdt);
    cpu->regs[REG_RAX] = LOADER_MAGIC;
    cpu->regs[REG_RBX] = address;
    cpu->rip = mb.entry;
    return 0;
}
