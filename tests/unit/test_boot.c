/* SPDX-License-Identifier: MIT */
/*
 * Boot loaders: what lies in RAM and in the CPU after images of each kind were placed, and what is
 * said of images that are broken. The images are built here, field by field; one file, because all
 * cases are variations of those few images.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <emu/boot.h>
#include <emu/cpu.h>
#include <emu/machine.h>

#define MIB          (1u << 20)
#define RSDP         0xe0000u
#define SEED         0x1234u
#define PARAMS       0x90000u
#define LOADER_MAGIC 0x2badb002u

/* --- a machine without devices --- */

static void *bare_create(struct machine *m, char *err, size_t errlen)
{
    (void)err, (void)errlen;
    return m;
}

static void bare_destroy(void *board)
{
    (void)board;
}

static uint64_t bare_tables(void *board, struct machine *m)
{
    (void)board;
    assert_true(ram_write(&m->ram, RSDP, "RSD PTR ", 8));
    return RSDP;
}

static const struct machine_board bare = {
    .name = "bare", .create = bare_create, .destroy = bare_destroy, .place_tables = bare_tables};

static char error[256];

static struct machine_config config_of(uint64_t ram_mib)
{
    return (struct machine_config){.struct_size = sizeof(struct machine_config),
                                   .ram_bytes = ram_mib * MIB,
                                   .seed = SEED,
                                   .ns_per_insn = 1};
}

static struct machine *boot(const struct machine_config *config)
{
    error[0] = '\0';
    return machine_create(config, &bare, error, sizeof(error));
}

static struct machine *boot_ok(const struct machine_config *config)
{
    struct machine *m = boot(config);

    if (m == NULL)
        fail_msg("%s", error);
    return m;
}

static void assert_refused(const struct machine_config *config, const char *message)
{
    struct machine *m = boot(config);

    assert_null(m);
    assert_string_equal(error, message);
}

static uint64_t peek(const struct machine *m, uint64_t gpa, unsigned size)
{
    uint64_t value = 0;

    assert_true(ram_read(&m->ram, gpa, &value, size));
    return value;
}

static void assert_ram(const struct machine *m, uint64_t gpa, const void *expected, size_t len)
{
    uint8_t *found = malloc(len);

    assert_non_null(found);
    assert_true(ram_read(&m->ram, gpa, found, len));
    assert_memory_equal(found, expected, len);
    free(found);
}

static void assert_ram_string(const struct machine *m, uint64_t gpa, const char *expected)
{
    assert_ram(m, gpa, expected, strlen(expected) + 1);
}

/* --- images --- */

#define IMAGE_MAX 0x4000u

struct image {
    uint8_t bytes[IMAGE_MAX];
    size_t len;
};

static void put(struct image *im, size_t at, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        im->bytes[at + i] = (uint8_t)(value >> (8 * i));
}

static void fill_pattern(struct image *im, size_t at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        im->bytes[at + i] = (uint8_t)(i * 7 + 1);
}

static struct machine_image named(const struct image *im, const char *name)
{
    return (struct machine_image){.name = name, .data = im->bytes, .len = im->len};
}

#define BZ_SETUP 1024u
#define BZ_CODE  0x1000u
#define BZ_LOAD  0x1000000u

/* Protocol 2.15, relocatable, 64-bit entry, wants 2 MiB at 16 MiB. */
static struct image *bzimage(void)
{
    struct image *im = calloc(1, sizeof(*im));

    assert_non_null(im);
    im->len = BZ_SETUP + BZ_CODE;
    fill_pattern(im, BZ_SETUP, BZ_CODE);
    im->bytes[0x1f1] = 1;
    put(im, 0x1f4, 4, BZ_CODE / 16);
    put(im, 0x1fe, 2, 0xaa55);
    put(im, 0x200, 2, 0x6aeb);
    memcpy(im->bytes + 0x202, "HdrS", 4);
    put(im, 0x206, 2, 0x20f);
    im->bytes[0x211] = 1;
    put(im, 0x214, 4, 0x100000);
    put(im, 0x22c, 4, 0x7fffffff);
    put(im, 0x230, 4, 0x200000);
    im->bytes[0x234] = 1;
    put(im, 0x236, 2, 1);
    put(im, 0x238, 4, 2047);
    put(im, 0x258, 8, BZ_LOAD);
    put(im, 0x260, 4, 0x200000);
    return im;
}

static void put_multiboot_header(struct image *im, size_t at, uint32_t flags)
{
    put(im, at, 4, 0x1badb002);
    put(im, at + 4, 4, flags);
    put(im, at + 8, 4, 0u - 0x1badb002u - flags);
}

#define ELF_TEXT     0x400u /* file offset of the segment, its first byte the entry */
#define ELF_TEXT_LEN 0x200u
#define ELF_DATA     0x800u
#define ELF_DATA_LEN 0x100u
#define ELF_PADDR    0x200000u

static void put_elf_ident(struct image *im, bool wide, unsigned machine)
{
    memcpy(im->bytes, "\177ELF", 4);
    im->bytes[4] = wide ? 2 : 1;
    im->bytes[5] = im->bytes[6] = 1;
    put(im, 16, 2, 2);
    put(im, 18, 2, machine);
    im->len = 0x2000;
    fill_pattern(im, ELF_TEXT, ELF_TEXT_LEN);
    fill_pattern(im, ELF_DATA, ELF_DATA_LEN);
}

static void put_phdr32(struct image *im, unsigned i, uint32_t offset, uint32_t vaddr,
                       uint32_t paddr, uint32_t filesz, uint32_t memsz)
{
    size_t at = 0x40 + 32 * i;

    put(im, at, 4, 1);
    put(im, at + 4, 4, offset);
    put(im, at + 8, 4, vaddr);
    put(im, at + 12, 4, paddr);
    put(im, at + 16, 4, filesz);
    put(im, at + 20, 4, memsz);
}

/* A text segment at 2 MiB (linked at 3 GiB + 2 MiB), a data segment with 4 KiB of .bss behind it.
 */
static struct image *elf32(uint32_t flags)
{
    struct image *im = calloc(1, sizeof(*im));

    assert_non_null(im);
    put_elf_ident(im, false, 3);
    put_multiboot_header(im, 0x200, flags);
    put(im, 24, 4, 0xc0000000 + ELF_PADDR + 0x10);
    put(im, 28, 4, 0x40);
    put(im, 42, 2, 32);
    put(im, 44, 2, 2);
    put_phdr32(im, 0, ELF_TEXT, 0xc0000000 + ELF_PADDR, ELF_PADDR, ELF_TEXT_LEN, ELF_TEXT_LEN);
    put_phdr32(im, 1, ELF_DATA, 0xc0000000 + ELF_PADDR + 0x1000, ELF_PADDR + 0x1000, ELF_DATA_LEN,
               ELF_DATA_LEN + 0x1000);
    return im;
}

static void put_phdr64(struct image *im, unsigned i, uint64_t offset, uint64_t vaddr,
                       uint64_t paddr, uint64_t filesz, uint64_t memsz)
{
    size_t at = 0x40 + 56 * i;

    put(im, at, 4, 1);
    put(im, at + 8, 8, offset);
    put(im, at + 16, 8, vaddr);
    put(im, at + 24, 8, paddr);
    put(im, at + 32, 8, filesz);
    put(im, at + 40, 8, memsz);
}

#define SHDRS      0x1000u
#define SYMTAB     0x1400u
#define SYMTAB_LEN 0x30u

static void put_shdr64(struct image *im, unsigned i, uint32_t type, uint64_t flags, uint64_t addr,
                       uint64_t offset, uint64_t size)
{
    size_t at = SHDRS + 64 * i;

    put(im, at + 4, 4, type);
    put(im, at + 8, 8, flags);
    put(im, at + 16, 8, addr);
    put(im, at + 24, 8, offset);
    put(im, at + 32, 8, size);
}

/* One segment linked at the top 2 GiB; sections: null, text, symbols. */
static struct image *elf64(void)
{
    struct image *im = calloc(1, sizeof(*im));
    uint64_t vaddr = 0xffffffff80000000 + ELF_PADDR;

    assert_non_null(im);
    put_elf_ident(im, true, 62);
    put_multiboot_header(im, 0x200, 3);
    put(im, 24, 8, vaddr + 0x20);
    put(im, 32, 8, 0x40);
    put(im, 40, 8, SHDRS);
    put(im, 54, 2, 56);
    put(im, 56, 2, 1);
    put(im, 58, 2, 64);
    put(im, 60, 2, 3);
    put(im, 62, 2, 2);
    put_phdr64(im, 0, ELF_TEXT, vaddr, ELF_PADDR, ELF_TEXT_LEN, ELF_TEXT_LEN);
    put_shdr64(im, 1, 1, 6, vaddr, ELF_TEXT, ELF_TEXT_LEN);
    put_shdr64(im, 2, 2, 0, 0, SYMTAB, SYMTAB_LEN);
    fill_pattern(im, SYMTAB, SYMTAB_LEN);
    return im;
}

/* No ELF: a header with addresses at file offset 20h, loaded from offset 10h on. */
static struct image *flat_multiboot(uint32_t load, uint32_t load_end, uint32_t bss_end)
{
    struct image *im = calloc(1, sizeof(*im));

    assert_non_null(im);
    im->len = 0x800;
    fill_pattern(im, 0, im->len);
    put_multiboot_header(im, 0x20, 0x10000);
    put(im, 0x2c, 4, load + 0x10);
    put(im, 0x30, 4, load);
    put(im, 0x34, 4, load_end);
    put(im, 0x38, 4, bss_end);
    put(im, 0x3c, 4, load + 0x40);
    return im;
}

/* --- identification and map --- */

static void kinds_are_told_from_the_bytes(void **state)
{
    struct image *bz = bzimage(), *elf = elf32(0);
    uint8_t junk[9000];

    (void)state;
    memset(junk, 0x5a, sizeof(junk));
    assert_int_equal(boot_identify(NULL, 0), BOOT_NONE);
    assert_int_equal(boot_identify(junk, 0), BOOT_NONE);
    assert_int_equal(boot_identify(junk, sizeof(junk)), BOOT_UNKNOWN);
    assert_int_equal(boot_identify(junk, 1), BOOT_UNKNOWN);
    assert_int_equal(boot_identify(bz->bytes, bz->len), BOOT_LINUX);
    assert_int_equal(boot_identify(elf->bytes, elf->len), BOOT_MULTIBOOT);
    elf->bytes[0x208] ^= 1; /* checksum */
    assert_int_equal(boot_identify(elf->bytes, elf->len), BOOT_UNKNOWN);
    free(bz);
    free(elf);
}

static void a_bzimage_says_whether_it_has_64_bit_code(void **state)
{
    struct image *bz = bzimage(), *elf = elf32(0);

    (void)state;
    assert_false(boot_is_linux32(NULL, 0));
    assert_false(boot_is_linux32(elf->bytes, elf->len));
    assert_false(boot_is_linux32(bz->bytes, bz->len));
    put(bz, 0x206, 2, 0x20b); /* xloadflags came with 2.12 */
    assert_true(boot_is_linux32(bz->bytes, bz->len));
    put(bz, 0x206, 2, 0x20c);
    put(bz, 0x236, 2, 0);
    assert_true(boot_is_linux32(bz->bytes, bz->len));
    assert_false(boot_is_linux32(bz->bytes, 0x280));
    free(bz);
    free(elf);
}

static void a_multiboot_header_counts_only_aligned_and_in_the_first_8_kib(void **state)
{
    struct image *im = calloc(1, sizeof(*im));

    (void)state;
    assert_non_null(im);
    put_multiboot_header(im, 8192 - 12, 0);
    assert_int_equal(boot_identify(im->bytes, IMAGE_MAX), BOOT_MULTIBOOT);
    assert_int_equal(boot_identify(im->bytes, 8192 - 1), BOOT_UNKNOWN);
    memset(im->bytes, 0, IMAGE_MAX);
    put_multiboot_header(im, 8192 - 8, 0);
    assert_int_equal(boot_identify(im->bytes, IMAGE_MAX), BOOT_UNKNOWN);
    memset(im->bytes, 0, IMAGE_MAX);
    put_multiboot_header(im, 0x102, 0);
    assert_int_equal(boot_identify(im->bytes, IMAGE_MAX), BOOT_UNKNOWN);
    free(im);
}

static void assert_range(const struct boot_range *r, uint64_t base, uint64_t end, uint32_t type)
{
    assert_int_equal(r->base, base);
    assert_int_equal(r->base + r->len, end);
    assert_int_equal(r->type, type);
}

static void the_memory_map_shows_holes_and_memory_above_4_gib(void **state)
{
    struct machine_config config = config_of(5 * 1024);
    struct machine *m = boot_ok(&config);
    struct boot_range map[BOOT_MAX_RANGES];

    (void)state;
    assert_int_equal(boot_memory_map(m, map), 8);
    assert_range(&map[0], 0, 0x9fc00, 1);
    assert_range(&map[1], 0x9fc00, 0xa0000, 2);
    assert_range(&map[2], 0xe0000, 0x100000, 2);
    assert_range(&map[3], 0x100000, 0xc0000000, 1);
    assert_range(&map[4], 0xfec00000, 0xfec01000, 2);
    assert_range(&map[5], 0xfee00000, 0xfee01000, 2);
    assert_range(&map[6], 0xfffc0000, 0x100000000, 2);
    assert_range(&map[7], 0x100000000, 0x180000000, 1);
    machine_destroy(m);
}

static void the_memory_map_of_the_smallest_machine_has_no_empty_ranges(void **state)
{
    struct machine_config config = config_of(1);
    struct machine *m = boot_ok(&config);
    struct boot_range map[BOOT_MAX_RANGES];

    (void)state;
    assert_int_equal(boot_memory_map(m, map), 6);
    assert_range(&map[3], 0xfec00000, 0xfec01000, 2);
    machine_destroy(m);
}

/* --- firmware --- */

static void firmware_is_shadowed_below_1_mib_and_entered_at_the_reset_vector(void **state)
{
    size_t len = 256 * 1024;
    uint8_t *rom = malloc(len);
    struct machine_config config = config_of(16);
    struct machine *m;

    (void)state;
    assert_non_null(rom);
    for (size_t i = 0; i < len; i++)
        rom[i] = (uint8_t)(i ^ i >> 8 ^ i >> 16);
    config.bios = (struct machine_image){.name = "bios.bin", .data = rom, .len = len};
    m = boot_ok(&config);
    assert_ram(m, 0xe0000, rom + len - 0x20000, 0x20000);
    assert_ram(m, 0x100000000 - len, rom, len);
    assert_int_equal(peek(m, 0xdfff8, 8), 0);
    assert_int_equal(m->cpus[0].rip, 0xfff0);
    assert_int_equal(m->cpus[0].seg[SEG_CS].base, 0xffff0000);
    assert_int_equal(m->cpus[0].cr0 & CR0_PE, 0);
    assert_int_equal(m->cpus[0].mtrr_def_type, 0);
    machine_destroy(m);
    free(rom);
}

static void small_firmware_ends_at_1_mib_too(void **state)
{
    uint8_t rom[5000];
    struct machine_config config = config_of(16);
    struct machine *m;

    (void)state;
    memset(rom, 0xee, sizeof(rom));
    config.bios = (struct machine_image){.name = "tiny", .data = rom, .len = sizeof(rom)};
    m = boot_ok(&config);
    assert_ram(m, 0x100000 - sizeof(rom), rom, sizeof(rom));
    assert_int_equal(peek(m, 0x100000 - sizeof(rom) - 1, 1), 0);
    machine_destroy(m);
}

static void empty_and_oversized_firmware_is_refused(void **state)
{
    size_t len = (16u << 20) + 1;
    uint8_t *rom = calloc(1, len);
    struct machine_config config = config_of(16);

    (void)state;
    assert_non_null(rom);
    config.bios = (struct machine_image){.name = "b", .data = rom, .len = 0};
    assert_refused(&config, "b: the firmware image is empty");
    config.bios.len = len;
    assert_refused(&config,
                   "b: the firmware image has 16777217 bytes, at most 16 MiB are possible");
    free(rom);
}

static void without_images_the_cpu_stays_at_its_reset_vector(void **state)
{
    struct machine_config config = config_of(1);
    struct machine *m = boot_ok(&config);

    (void)state;
    assert_int_equal(m->cpus[0].rip, 0xfff0);
    machine_destroy(m);
}

/* --- Linux --- */

static void linux_is_entered_in_64_bit_mode_with_4_gib_mapped(void **state)
{
    struct image *im = bzimage();
    struct machine_config config = config_of(64);
    struct machine *m;
    const struct cpu *cpu;

    (void)state;
    config.kernel = named(im, "k");
    m = boot_ok(&config);
    cpu = &m->cpus[0];
    assert_ram(m, BZ_LOAD, im->bytes + BZ_SETUP, BZ_CODE);
    assert_int_equal(cpu->rip, BZ_LOAD + 0x200);
    assert_int_equal(cpu->regs[REG_RSI], PARAMS);
    assert_int_equal(cpu->rflags, RFLAGS_ONE);
    assert_int_equal(cpu->cr0, CR0_PG | CR0_PE | CR0_ET);
    assert_int_equal(cpu->cr4, CR4_PAE);
    assert_int_equal(cpu->efer, EFER_LME | EFER_LMA);
    assert_int_equal(cpu_code_size(cpu), CODE_64);
    assert_int_equal(cpu->seg[SEG_CS].selector, 0x10);
    assert_int_equal(cpu->seg[SEG_CS].ar, 0xa09b);
    for (unsigned i = 0; i < 6; i++)
        if (i != SEG_CS) {
            assert_int_equal(cpu->seg[i].selector, 0x18);
            assert_int_equal(cpu->seg[i].ar, 0xc093);
            assert_int_equal(cpu->seg[i].limit, 0xffffffff);
        }
    assert_int_equal(peek(m, cpu->gdtr.base + 0x10, 8), 0x00af9b000000ffff);
    assert_int_equal(peek(m, cpu->gdtr.base + 0x18, 8), 0x00cf93000000ffff);
    assert_int_equal(cpu->gdtr.limit, 31);
    for (uint64_t at = 0; at < 1ULL << 32; at += 0x1fffff)
        assert_int_equal(cpu_peek_translate(cpu, at), at);
    assert_int_equal(cpu_peek_translate(cpu, 1ULL << 32), UINT64_MAX);
    machine_destroy(m);
    free(im);
}

static void linux_is_entered_in_32_bit_mode_when_asked_or_when_it_must(void **state)
{
    for (unsigned why = 0; why < 3; why++) {
        struct image *im = bzimage();
        struct machine_config config = config_of(64);
        struct machine *m;
        const struct cpu *cpu;

        (void)state;
        config.boot32 = why == 0;
        if (why == 1)
            put(im, 0x236, 2, 0);
        if (why == 2)
            put(im, 0x206, 2, 0x20b); /* xloadflags came with 2.12 */
        config.kernel = named(im, "k");
        m = boot_ok(&config);
        cpu = &m->cpus[0];
        assert_int_equal(cpu->rip, BZ_LOAD);
        assert_int_equal(peek(m, PARAMS + 0x214, 4), BZ_LOAD);
        assert_int_equal(cpu->cr0, CR0_PE | CR0_ET);
        assert_int_equal(cpu->efer, 0);
        assert_int_equal(cpu_code_size(cpu), CODE_32);
        assert_int_equal(cpu->seg[SEG_CS].ar, 0xc09b);
        assert_int_equal(peek(m, cpu->gdtr.base + 0x10, 8), 0x00cf9b000000ffff);
        assert_int_equal(cpu->regs[REG_RSI], PARAMS);
        assert_int_equal(cpu->regs[REG_RBP] | cpu->regs[REG_RDI] | cpu->regs[REG_RBX], 0);
        assert_int_equal(cpu->rflags & RFLAGS_IF, 0);
        machine_destroy(m);
        free(im);
    }
}

static void linux_boot_params_describe_the_machine(void **state)
{
    struct image *im = bzimage();
    struct machine_config config = config_of(64);
    struct machine *m;

    (void)state;
    memset(im->bytes + 0x1e0, 0xff, 0x11); /* what precedes the header is not taken over */
    put(im, 0x270, 4, 0xffffffff);         /* nor what follows it */
    config.kernel = named(im, "k");
    m = boot_ok(&config);
    assert_int_equal(peek(m, PARAMS + 0x1ef, 1), 0); /* sentinel */
    assert_int_equal(peek(m, PARAMS + 0x270, 4), 0);
    assert_int_equal(peek(m, PARAMS + 0x202, 4), 0x53726448);
    assert_int_equal(peek(m, PARAMS + 0x210, 1), 0xff);
    assert_int_equal(peek(m, PARAMS + 0x211, 1), 1);
    assert_int_equal(peek(m, PARAMS + 0x070, 8), RSDP);
    assert_int_equal(peek(m, PARAMS + 0x006, 2), 80 << 8 | 3);
    assert_int_equal(peek(m, PARAMS + 0x00e, 2), 1 << 8 | 25);
    assert_int_equal(peek(m, PARAMS + 0x010, 2), 16);
    assert_int_equal(peek(m, PARAMS + 0x1e0, 4), 63 * 1024);
    assert_int_equal(peek(m, PARAMS + 0x1e8, 1), 7);
    assert_int_equal(peek(m, PARAMS + 0x2d0, 8), 0);
    assert_int_equal(peek(m, PARAMS + 0x2d8, 8), 0x9fc00);
    assert_int_equal(peek(m, PARAMS + 0x2e0, 4), 1);
    assert_int_equal(peek(m, PARAMS + 0x2d0 + 60, 8), 0x100000);
    assert_int_equal(peek(m, PARAMS + 0x2d0 + 68, 8), 63 * MIB);
    assert_int_equal(peek(m, PARAMS + 0x218, 8), 0); /* no ramdisk */
    assert_int_equal(peek(m, 0x40e, 2), 0x9fc0);
    assert_int_equal(peek(m, 0x413, 2), 639);
    machine_destroy(m);
    free(im);
}

static void linux_finds_command_line_and_initrd(void **state)
{
    struct image *im = bzimage(), *rd = calloc(1, sizeof(*rd));
    struct machine_config config = config_of(64);
    struct machine *m;

    (void)state;
    assert_non_null(rd);
    rd->len = 0x1234;
    fill_pattern(rd, 0, rd->len);
    config.kernel = named(im, "k");
    config.initrd = named(rd, "rd");
    config.cmdline = "console=ttyS0 quiet";
    m = boot_ok(&config);
    assert_ram_string(m, peek(m, PARAMS + 0x228, 4), "console=ttyS0 quiet");
    assert_int_equal(peek(m, PARAMS + 0x218, 4), 64 * MIB - 0x2000);
    assert_int_equal(peek(m, PARAMS + 0x21c, 4), 0x1234);
    assert_ram(m, 64 * MIB - 0x2000, rd->bytes, rd->len);
    machine_destroy(m);

    put(im, 0x22c, 4, 0x02ffffff); /* initrd_addr_max */
    m = boot_ok(&config);
    assert_int_equal(peek(m, PARAMS + 0x218, 4), 0x3000000 - 0x2000);
    machine_destroy(m);
    free(im);
    free(rd);
}

/* A machine that starts in firmware, with a kernel for it to start. */
static struct machine *firmware_machine(struct machine_config *config, const struct image *kernel)
{
    static const uint8_t rom[4096];

    config->firmware = 1;
    config->bios = (struct machine_image){.name = "rom", .data = rom, .len = sizeof(rom)};
    config->kernel = named(kernel, "k");
    return boot_ok(config);
}

static uint64_t field(const struct boot_linux_parts *parts, size_t at, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, parts->setup + at, size);
    return value;
}

static void linux_is_taken_apart_for_a_loader_in_the_guest(void **state)
{
    struct image *im = bzimage();
    struct boot_linux_parts *parts = calloc(1, sizeof(*parts));
    static uint8_t initrd[0x1234];
    struct machine_config config = config_of(64);
    struct machine *m;
    size_t setup = (size_t)(im->bytes[0x1f1] + 1) * 512;

    (void)state;
    assert_non_null(parts);
    config.initrd = (struct machine_image){.name = "rd", .data = initrd, .len = sizeof(initrd)};
    config.cmdline = "word";
    m = firmware_machine(&config, im);
    assert_int_equal(peek(m, PARAMS + 0x202, 4), 0); /* nothing was placed */
    assert_int_equal(boot_linux_split(m, parts, error, sizeof(error)), 0);
    assert_int_equal(parts->setup_len, setup);
    assert_ptr_equal(parts->code, im->bytes + setup);
    assert_in_range(parts->code_len, 1, im->len - setup);
    assert_int_equal(parts->initrd_gpa, 63 * MIB - 0x2000);
    assert_int_equal(field(parts, 0x1fe, 2), 0xaa55);
    assert_int_equal(field(parts, 0x1fa, 2), 0xffff);
    assert_int_equal(field(parts, 0x210, 2), 0x81ff);
    assert_int_equal(field(parts, 0x214, 4), BOOT_CODE_GPA);
    assert_int_equal(field(parts, 0x218, 4), parts->initrd_gpa);
    assert_int_equal(field(parts, 0x21c, 4), sizeof(initrd));
    assert_int_equal(field(parts, 0x224, 2), 0xfc00);
    assert_int_equal(field(parts, 0x228, 4), BOOT_CMDLINE_GPA);
    machine_destroy(m);
    free(parts);
    free(im);
}

static void assert_not_split(struct machine *m, const char *message)
{
    struct boot_linux_parts *parts = calloc(1, sizeof(*parts));

    assert_non_null(parts);
    assert_int_equal(boot_linux_split(m, parts, error, sizeof(error)), -1);
    assert_string_equal(error, message);
    free(parts);
}

static void what_cannot_be_taken_apart_is_said(void **state)
{
    struct image *im = bzimage(), *other = calloc(1, sizeof(*other));
    static uint8_t initrd[3 * MIB];
    struct machine_config config = config_of(21);
    struct machine *m;

    (void)state;
    assert_non_null(other);
    other->len = 0x1000;
    m = firmware_machine(&config, other);
    assert_not_split(m, "k: not a bzImage: no firmware can start it");
    machine_destroy(m);
    /* The initrd would do without firmware, which wants the last MiB. */
    config.initrd = (struct machine_image){.name = "rd", .data = initrd, .len = sizeof(initrd)};
    m = firmware_machine(&config, im);
    assert_not_split(m, "rd: needs 22 MiB of memory, the machine has 21");
    machine_destroy(m);
    free(other);
    free(im);
}

static void linux_gets_a_seed_that_follows_the_machines(void **state)
{
    struct image *im = bzimage();
    struct machine_config config = config_of(64);
    uint8_t first[32], again[32], other[32];
    struct machine *m;
    uint64_t at;

    (void)state;
    config.kernel = named(im, "k");
    m = boot_ok(&config);
    at = peek(m, PARAMS + 0x250, 8);
    assert_int_equal(peek(m, at, 8), 0);
    assert_int_equal(peek(m, at + 8, 4), 9);
    assert_int_equal(peek(m, at + 12, 4), 32);
    assert_true(ram_read(&m->ram, at + 16, first, 32));
    assert_int_equal(machine_reset(m, error, sizeof(error)), 0);
    assert_true(ram_read(&m->ram, at + 16, again, 32));
    assert_memory_equal(first, again, 32);
    assert_memory_not_equal(first, m->cpus[0].rng, 32); /* not RDRAND's stream */
    machine_destroy(m);
    config.seed++;
    m = boot_ok(&config);
    assert_true(ram_read(&m->ram, at + 16, other, 32));
    for (unsigned i = 0; i < 32; i += 8)
        assert_memory_not_equal(first + i, other + i, 8);
    machine_destroy(m);
    free(im);
}

static void linux_finds_memory_types_as_firmware_sets_them(void **state)
{
    struct image *im = bzimage();
    struct machine_config config = config_of(64);
    struct machine *m;

    (void)state;
    config.kernel = named(im, "k");
    m = boot_ok(&config);
    assert_int_equal(m->cpus[0].mtrr_def_type, 0xc06);
    assert_int_equal(m->cpus[0].mtrr_fixed[0], 0x0606060606060606);
    assert_int_equal(m->cpus[0].mtrr_fixed[2], 0);
    assert_int_equal(m->cpus[0].mtrr_fixed[3], 0x0505050505050505);
    assert_int_equal(m->cpus[0].mtrr_fixed[10], 0x0606060606060606);
    assert_int_equal(m->cpus[0].mtrr_base[0], 0xc0000000);
    assert_int_equal(m->cpus[0].mtrr_mask[0], 0xffc0000800);
    machine_destroy(m);
    free(im);
}

static void linux_before_protocol_2_10_is_loaded_where_its_code_starts(void **state)
{
    struct image *im = bzimage();
    struct machine_config config = config_of(4);
    struct machine *m;

    (void)state;
    put(im, 0x206, 2, 0x206);
    im->bytes[0x201] = 0x3a;
    im->bytes[0x234] = 0;
    config.kernel = named(im, "old");
    m = boot_ok(&config);
    assert_int_equal(m->cpus[0].rip, 0x100000);
    assert_ram(m, 0x100000, im->bytes + BZ_SETUP, BZ_CODE);
    assert_int_equal(peek(m, PARAMS + 0x250, 8), 0); /* it has no setup_data */
    machine_destroy(m);
    free(im);
}

static void linux_load_address_is_rounded_up_to_its_alignment(void **state)
{
    struct image *im = bzimage();
    struct machine_config config = config_of(64);
    struct machine *m;

    (void)state;
    put(im, 0x258, 8, BZ_LOAD + 0x1000);
    config.kernel = named(im, "k");
    m = boot_ok(&config);
    assert_int_equal(m->cpus[0].rip, BZ_LOAD + 0x200000 + 0x200);
    machine_destroy(m);
    free(im);
}

static void a_signature_behind_the_kernel_is_not_loaded(void **state)
{
    struct image *im = bzimage();
    struct machine_config config = config_of(64);
    struct machine *m;

    (void)state;
    fill_pattern(im, im->len, 64);
    im->len += 64;
    config.kernel = named(im, "k");
    m = boot_ok(&config);
    assert_int_equal(peek(m, BZ_LOAD + BZ_CODE, 8), 0);
    machine_destroy(m);
    free(im);
}

/* One change to a good image, and what is said of it. */
struct refusal {
    size_t at;
    unsigned size;
    uint64_t value;
    const char *message;
};

static void broken_bzimages_are_refused_with_the_reason(void **state)
{
    static const struct refusal cases[] = {
        {0x206, 2, 0x205, "k: boot protocol 2.05 is too old, 2.06 is needed"},
        {0x211, 1, 0, "k: a zImage; only bzImages can be booted"},
        {0x201, 1, 0x61, "k: the setup header is cut short"},
        {0x1f1, 1, 200, "k: cut short: 5120 bytes of 107008"},
        {0x1f4, 4, BZ_CODE / 16 + 1, "k: cut short: 5120 bytes of 5136"},
        {0x1f4, 4, 0xffffffff, "k: cut short: 5120 bytes of 68719477744"},
        {0x230, 4, 0x300000, "k: kernel alignment 300000h is not a power of two up to 1 GiB"},
        {0x230, 4, 0, "k: kernel alignment 0h is not a power of two up to 1 GiB"},
        {0x258, 8, 0x1000, "k: wants to be loaded at 1000h, outside of 1 MiB..4 GiB"},
        {0x258, 8, UINT64_MAX,
         "k: wants to be loaded at ffffffffffffffffh, outside of 1 MiB..4 GiB"},
        {0x260, 4, 0x3100000, "k: needs 65 MiB of memory, the machine has 64"},
        {0x260, 4, 0xfffff001, "k: needs 4112 MiB of memory, the machine has 64"},
        {0x1fe, 2, 0, "k: not a bzImage, Multiboot or ELF kernel"},
        {0x202, 1, 'X', "k: not a bzImage, Multiboot or ELF kernel"},
    };
    struct machine_config config = config_of(64);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct image *im = bzimage();

        put(im, cases[i].at, cases[i].size, cases[i].value);
        config.kernel = named(im, "k");
        assert_refused(&config, cases[i].message);
        free(im);
    }
}

static void linux_with_too_little_memory_says_how_much_it_needs(void **state)
{
    struct image *im = bzimage();
    struct machine_config config = config_of(17);
    static uint8_t initrd[3 * MIB];

    (void)state;
    config.kernel = named(im, "k");
    assert_refused(&config, "k: needs 18 MiB of memory, the machine has 17");
    config.ram_bytes = 20 * MIB;
    config.initrd = (struct machine_image){.name = "rd", .data = initrd, .len = sizeof(initrd)};
    assert_refused(&config, "rd: needs 21 MiB of memory, the machine has 20");
    config.ram_bytes = 21 * MIB;
    machine_destroy(boot_ok(&config));
    config.ram_bytes = 64 * MIB;
    put(im, 0x22c, 4, 0x12fffff);
    assert_refused(&config, "rd: does not fit below 1300000h, where this kernel looks for it");
    free(im);
}

static void linux_command_lines_have_the_kernels_limit(void **state)
{
    struct image *im = bzimage();
    struct machine_config config = config_of(64);
    char line[300];

    (void)state;
    memset(line, 'x', sizeof(line));
    line[256] = '\0';
    config.kernel = named(im, "k");
    config.cmdline = line;
    put(im, 0x238, 4, 256);
    machine_destroy(boot_ok(&config));
    put(im, 0x238, 4, 255);
    assert_refused(&config, "k: the command line has 256 bytes, this kernel takes 255");
    put(im, 0x238, 4, 0); /* says nothing: 255 */
    assert_refused(&config, "k: the command line has 256 bytes, this kernel takes 255");
    free(im);
}

/* --- Multiboot --- */

static uint32_t info_of(const struct machine *m)
{
    const struct cpu *cpu = &m->cpus[0];

    assert_int_equal(cpu->regs[REG_RAX], LOADER_MAGIC);
    return (uint32_t)cpu->regs[REG_RBX];
}

static void multiboot_elf32_is_loaded_at_its_physical_addresses(void **state)
{
    struct image *im = elf32(3);
    struct machine_config config = config_of(16);
    struct machine *m;
    const struct cpu *cpu;

    (void)state;
    config.kernel = named(im, "k");
    m = boot_ok(&config);
    cpu = &m->cpus[0];
    assert_ram(m, ELF_PADDR, im->bytes + ELF_TEXT, ELF_TEXT_LEN);
    assert_ram(m, ELF_PADDR + 0x1000, im->bytes + ELF_DATA, ELF_DATA_LEN);
    assert_int_equal(peek(m, ELF_PADDR + 0x1000 + ELF_DATA_LEN, 8), 0);
    assert_int_equal(cpu->rip, ELF_PADDR + 0x10);
    assert_int_equal(cpu->cr0, CR0_PE | CR0_ET);
    assert_int_equal(cpu->rflags, RFLAGS_ONE);
    assert_int_equal(cpu_code_size(cpu), CODE_32);
    assert_int_equal(cpu->seg[SEG_CS].base | cpu->seg[SEG_DS].base | cpu->seg[SEG_SS].base, 0);
    assert_int_equal(cpu->seg[SEG_SS].ar, 0xc093);
    assert_int_equal(cpu->mtrr_def_type, 0xc06);
    assert_true(m->a20_mask);
    assert_int_equal(peek(m, info_of(m), 4), 0x24d);
    machine_destroy(m);
    free(im);
}

static void multiboot_elf64_is_entered_in_32_bit_mode_at_its_physical_entry(void **state)
{
    struct image *im = elf64();
    struct machine_config config = config_of(16);
    struct machine *m;

    (void)state;
    config.kernel = named(im, "k");
    m = boot_ok(&config);
    assert_int_equal(m->cpus[0].rip, ELF_PADDR + 0x20);
    assert_int_equal(cpu_code_size(&m->cpus[0]), CODE_32);
    assert_int_equal(m->cpus[0].efer, 0);
    assert_ram(m, ELF_PADDR, im->bytes + ELF_TEXT, ELF_TEXT_LEN);
    machine_destroy(m);
    free(im);
}

static void multiboot_entry_may_be_a_physical_address(void **state)
{
    struct image *im = elf32(0);
    struct machine_config config = config_of(16);
    struct machine *m;

    (void)state;
    put(im, 24, 4, ELF_PADDR + 0x30);
    config.kernel = named(im, "k");
    m = boot_ok(&config);
    assert_int_equal(m->cpus[0].rip, ELF_PADDR + 0x30);
    machine_destroy(m);
    free(im);
}

static void multiboot_information_tells_memory_module_and_names(void **state)
{
    struct image *im = elf32(7), *mod = calloc(1, sizeof(*mod));
    struct machine_config config = config_of(16);
    struct machine *m;
    uint32_t info, module, mmap;

    (void)state;
    assert_non_null(mod);
    mod->len = 0x1001;
    fill_pattern(mod, 0, mod->len);
    config.kernel = named(im, "k");
    config.initrd = named(mod, "tools.img");
    config.cmdline = "debug=1";
    m = boot_ok(&config);
    info = info_of(m);
    assert_int_equal(peek(m, info, 4), 0x124d);
    assert_int_equal(peek(m, info + 4, 4), 639);
    assert_int_equal(peek(m, info + 8, 4), 15 * 1024);
    assert_ram_string(m, peek(m, info + 16, 4), "debug=1");
    assert_ram_string(m, peek(m, info + 64, 4), "deja");
    assert_int_equal(peek(m, info + 20, 4), 1);
    module = (uint32_t)peek(m, info + 24, 4);
    assert_int_equal(peek(m, module, 4), ELF_PADDR + 0x3000); /* the page after .bss */
    assert_int_equal(peek(m, module + 4, 4), ELF_PADDR + 0x3000 + 0x1001);
    assert_ram_string(m, peek(m, module + 8, 4), "tools.img");
    assert_ram(m, ELF_PADDR + 0x3000, mod->bytes, mod->len);
    assert_int_equal(peek(m, info + 44, 4), 7 * 24);
    mmap = (uint32_t)peek(m, info + 48, 4);
    assert_int_equal(peek(m, mmap, 4), 20);
    assert_int_equal(peek(m, mmap + 3 * 24 + 4, 8), MIB);
    assert_int_equal(peek(m, mmap + 3 * 24 + 12, 8), 15 * MIB);
    assert_int_equal(peek(m, mmap + 3 * 24 + 20, 4), 1);
    assert_int_equal(peek(m, info + 88, 8), 0xb8000); /* asked about video: the text screen */
    assert_int_equal(peek(m, info + 109, 1), 2);
    machine_destroy(m);
    free(im);
    free(mod);
}

static void multiboot_without_a_module_says_so(void **state)
{
    struct image *im = elf32(0);
    struct machine_config config = config_of(16);
    struct machine *m;

    (void)state;
    config.kernel = named(im, "k");
    m = boot_ok(&config);
    assert_int_equal(peek(m, info_of(m) + 20, 4), 0);
    assert_int_equal(peek(m, info_of(m), 4) & 0x1008, 8); /* and no video, not being asked */
    machine_destroy(m);
    free(im);
}

static void multiboot_symbols_are_loaded_behind_the_kernel(void **state)
{
    struct image *im = elf64();
    struct machine_config config = config_of(16);
    struct machine *m;
    uint64_t headers, symbols;
    uint32_t info;

    (void)state;
    config.kernel = named(im, "k");
    m = boot_ok(&config);
    info = info_of(m);
    assert_int_equal(peek(m, info, 4) & 0x30, 0x20);
    assert_int_equal(peek(m, info + 28, 4), 3);
    assert_int_equal(peek(m, info + 32, 4), 64);
    assert_int_equal(peek(m, info + 40, 4), 2);
    headers = peek(m, info + 36, 4);
    assert_true(headers >= ELF_PADDR + ELF_TEXT_LEN);
    assert_int_equal(peek(m, headers + 64 + 16, 8), 0xffffffff80000000 + ELF_PADDR);
    symbols = peek(m, headers + 128 + 16, 8);
    assert_true(symbols >= ELF_PADDR + ELF_TEXT_LEN);
    assert_ram(m, symbols, im->bytes + SYMTAB, SYMTAB_LEN);
    machine_destroy(m);
    free(im);
}

static void multiboot_with_odd_section_headers_boots_without_symbols(void **state)
{
    static const struct refusal cases[] = {
        {40, 8, 0x1f80, NULL}, /* table runs out of the file */
        {40, 8, UINT64_MAX, NULL},
        {58, 2, 63, NULL},                      /* entry size */
        {60, 2, 0xffff, NULL},                  /* count */
        {SHDRS + 128 + 32, 8, 0x1000000, NULL}, /* symbols larger than the file */
        {SHDRS + 128 + 24, 8, UINT64_MAX, NULL},
    };
    struct machine_config config = config_of(16);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct image *im = elf64();
        struct machine *m;

        put(im, cases[i].at, cases[i].size, cases[i].value);
        config.kernel = named(im, "k");
        m = boot_ok(&config);
        assert_int_equal(peek(m, info_of(m), 4) & 0x30, 0);
        assert_int_equal(m->cpus[0].rip, ELF_PADDR + 0x20);
        machine_destroy(m);
        free(im);
    }
}

static void multiboot_load_addresses_in_the_header_replace_elf(void **state)
{
    struct image *im = flat_multiboot(0x300000, 0, 0x302000);
    struct machine_config config = config_of(16);
    struct machine *m;

    (void)state;
    config.kernel = named(im, "flat");
    m = boot_ok(&config);
    assert_ram(m, 0x300000, im->bytes + 0x10, im->len - 0x10);
    assert_int_equal(m->cpus[0].rip, 0x300040);
    machine_destroy(m);

    put(im, 0x34, 4, 0x300100); /* only so much of the file */
    m = boot_ok(&config);
    assert_ram(m, 0x300000, im->bytes + 0x10, 0x100);
    assert_int_equal(peek(m, 0x300100, 8), 0);
    machine_destroy(m);
    free(im);
}

static void multiboot_information_avoids_a_kernel_in_base_memory(void **state)
{
    struct image *im = flat_multiboot(0x1000, 0, 0x9fc00);
    struct machine_config config = config_of(16);
    struct machine *m;

    (void)state;
    config.kernel = named(im, "low");
    m = boot_ok(&config);
    assert_true(info_of(m) >= MIB);
    assert_int_equal(peek(m, info_of(m), 4), 0x24d);
    machine_destroy(m);

    free(im);
    im = flat_multiboot(0x90000, 0, 0x9fc00);
    config.kernel = named(im, "low");
    m = boot_ok(&config);
    assert_true(info_of(m) + 0x400 <= 0x90000);
    assert_ram(m, 0x90000, im->bytes + 0x10, im->len - 0x10);
    machine_destroy(m);
    free(im);
}

static void broken_multiboot_headers_are_refused_with_the_reason(void **state)
{
    static const struct refusal cases[] = {
        {0x2c, 4, 0x2fffff, "k: the addresses in its Multiboot header contradict"},
        {0x2c, 4, 0x300021, "k: the addresses in its Multiboot header contradict"},
        {0x34, 4, 0x2fffff, "k: its Multiboot header ends loading before it begins"},
        {0x34, 4, 0x300900, "k: cut short: 2304 bytes at 16 are missing"},
        {0x38, 4, 0xfff00000, "k: needs 4095 MiB of memory, the machine has 16"},
        {0x3c, 4, 0x400000, "k: its entry point 400000h is outside of what is loaded"},
    };
    struct machine_config config = config_of(16);
    struct image *im;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        im = flat_multiboot(0x300000, 0, 0);
        put(im, cases[i].at, cases[i].size, cases[i].value);
        config.kernel = named(im, "k");
        assert_refused(&config, cases[i].message);
        free(im);
    }
    im = elf32(0x48);
    config.kernel = named(im, "k");
    assert_refused(&config, "k: its Multiboot header requires what is not provided (flags 0048h)");
    free(im);
}

static void kernels_may_not_claim_reserved_or_missing_memory(void **state)
{
    static const struct {
        uint32_t load, bss_end;
        const char *message;
    } cases[] = {
        {0x100, 0x2000, "k: wants 100h..2000h, which is not usable memory"},
        {0x9f000, 0xa0000, "k: wants 9f000h..a0000h, which is not usable memory"},
        {0xe0000, 0, "k: wants e0000h..e07f0h, which is not usable memory"},
        {0xa0000, 0x101000, "k: wants a0000h..101000h, which is not usable memory"},
        {0xfec00000, 0, "k: needs 4077 MiB of memory, the machine has 16"},
        {0xfffff900, 0, "k: needs 4097 MiB of memory, the machine has 16"},
        {0x1000000, 0, "k: needs 17 MiB of memory, the machine has 16"},
    };
    struct machine_config config = config_of(16);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct image *im = flat_multiboot(cases[i].load, 0, cases[i].bss_end);

        config.kernel = named(im, "k");
        assert_refused(&config, cases[i].message);
        free(im);
    }
}

static void broken_elf_kernels_are_refused_with_the_reason(void **state)
{
    static const struct refusal cases[] = {
        {0, 1, 0, "k: a Multiboot kernel that is no ELF file and gives no load addresses"},
        {4, 1, 3, "k: an ELF file of unknown class or byte order"},
        {5, 1, 2, "k: an ELF file of unknown class or byte order"},
        {18, 2, 40, "k: an ELF file for another machine (type 40)"},
        {18, 2, 62, "k: an ELF file for another machine (type 62)"},
        {16, 2, 3, "k: an ELF file, but not an executable"},
        {24, 4, 0x1234, "k: its entry point 1234h is in none of its segments"},
        {28, 4, 0xffffffff, "k: cut short before its program headers"},
        {42, 2, 31, "k: 2 program headers of 31 bytes make no sense"},
        {44, 2, 0, "k: 0 program headers of 32 bytes make no sense"},
        {44, 2, 0xffff, "k: 65535 program headers of 32 bytes make no sense"},
        {0x44, 4, 0x1f00, "k: cut short: 512 bytes at 7936 are missing"},
        {0x50, 4, 0xffffffff, "k: cut short: 4294967295 bytes at 1024 are missing"},
        {0x54, 4, 0x1ff, "k: a part of 1ffh bytes at 200000h makes no sense"},
        {0x54, 4, 0xffffffff, "k: needs 4098 MiB of memory, the machine has 16"},
        {0x6c, 4, ELF_PADDR + 0x100, "k: its parts overlap at 200100h..201200h"},
        {0x4c, 4, 0xb8000, "k: wants b8000h..b8200h, which is not usable memory"},
        {0x208, 4, 0, "k: an ELF file without a Multiboot header (for Linux, use its bzImage)"},
    };
    struct machine_config config = config_of(16);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct image *im = elf32(3);

        put(im, cases[i].at, cases[i].size, cases[i].value);
        config.kernel = named(im, "k");
        assert_refused(&config, cases[i].message);
        free(im);
    }
}

static void a_file_that_is_only_a_multiboot_header_is_refused(void **state)
{
    uint8_t *file = malloc(12); /* of exactly that size, so that a sanitizer sees reads beyond it */
    struct image im = {.len = 12};
    struct machine_config config = config_of(16);

    (void)state;
    assert_non_null(file);
    for (uint32_t flags = 0; flags <= 0x10000; flags += 0x10000) {
        put_multiboot_header(&im, 0, flags);
        memcpy(file, im.bytes, 12);
        config.kernel = (struct machine_image){.name = "k", .data = file, .len = 12};
        assert_refused(
            &config, flags
                         ? "k: cut short within its Multiboot header"
                         : "k: a Multiboot kernel that is no ELF file and gives no load addresses");
    }
    free(file);
}

static void multiboot_modules_that_do_not_fit_are_refused_by_name(void **state)
{
    struct image *im = elf32(0);
    uint8_t *module = calloc(1, 16 * MIB);
    struct machine_config config = config_of(16);

    (void)state;
    assert_non_null(module);
    config.kernel = named(im, "k");
    config.initrd = (struct machine_image){.name = "mod", .data = module, .len = 16 * MIB};
    assert_refused(&config, "mod: needs 19 MiB of memory, the machine has 16");
    free(module);
    free(im);
}

static void long_command_lines_for_multiboot_are_refused(void **state)
{
    struct image *im = elf32(0);
    char *line = malloc(70000);
    struct machine_config config = config_of(16);

    (void)state;
    assert_non_null(line);
    memset(line, 'y', 69999);
    line[69999] = '\0';
    config.kernel = named(im, "k");
    config.cmdline = line;
    assert_refused(&config, "k: the command line has 69999 bytes, too many to pass on");
    line[60000] = '\0';
    machine_destroy(boot_ok(&config));
    free(line);
    free(im);
}

/* --- both --- */

static void a_reset_places_the_images_again(void **state)
{
    struct image *im = elf64();
    struct machine_config config = config_of(16);
    struct machine *m;
    uint64_t digest;

    (void)state;
    config.kernel = named(im, "k");
    m = boot_ok(&config);
    digest = machine_digest(m);
    assert_true(ram_write(&m->ram, ELF_PADDR, "overwritten", 11));
    assert_true(ram_write(&m->ram, 0x500000, "rubbish", 7));
    m->cpus[0].rip = 1;
    assert_int_equal(machine_reset(m, error, sizeof(error)), 0);
    assert_int_equal(machine_digest(m), digest);
    assert_int_equal(m->cpus[0].rip, ELF_PADDR + 0x20);
    machine_destroy(m);
    free(im);
}

static void an_image_without_bytes_or_name_is_told(void **state)
{
    struct machine_config config = config_of(16);

    (void)state;
    config.kernel = (struct machine_image){.name = "void", .data = (const uint8_t *)"", .len = 0};
    assert_refused(&config, "void: the kernel image is empty");
    config.kernel = (struct machine_image){.name = "", .data = (const uint8_t *)"x", .len = 1};
    assert_refused(&config, "built-in image: not a bzImage, Multiboot or ELF kernel");
}

/* xorshift64*, so that a failing round can be had again. */
static uint64_t next_random(uint64_t *s)
{
    *s ^= *s >> 12;
    *s ^= *s << 25;
    *s ^= *s >> 27;
    return *s * 0x2545f4914f6cdd1dULL;
}

/* Places `bytes` from a heap block of exactly that size, so that a sanitizer sees reads beyond it.
 */
static void place_mutant(struct machine *m, const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    int status;

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    m->config.kernel = (struct machine_image){.name = "mutant", .data = copy, .len = len};
    error[0] = '\0';
    status = machine_reset(m, error, sizeof(error));
    if (status != 0) {
        assert_int_equal(strncmp(error, "mutant: ", 8), 0);
        assert_null(strchr(error, '\n'));
    } else {
        assert_true(m->cpus[0].rip < m->ram.low_bytes);
    }
    free(copy);
}

static void mutate(struct machine *m, const struct image *good, size_t hot_begin, size_t hot_end,
                   uint64_t seed)
{
    static const uint32_t edges[] = {0, 1, 0x7f, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 4096};
    struct image *im = malloc(sizeof(*im));

    assert_non_null(im);
    for (size_t len = 0; len < good->len; len += len < 0x500 ? 13 : 201)
        place_mutant(m, good->bytes, len);
    for (unsigned round = 0; round < 600; round++) {
        size_t at = hot_begin + next_random(&seed) % (hot_end - hot_begin);

        *im = *good;
        if (round % 2)
            put(im, at & ~(size_t)3, 4, edges[next_random(&seed) % 8]);
        for (unsigned i = 0; i < round % 3; i++)
            im->bytes[hot_begin + next_random(&seed) % (hot_end - hot_begin)] ^=
                (uint8_t)(1u << next_random(&seed) % 8);
        place_mutant(m, im->bytes, im->len);
    }
    free(im);
}

static void mutated_images_are_placed_or_refused_but_never_harm(void **state)
{
    struct machine_config config = config_of(32);
    struct machine *m = boot_ok(&config);
    struct image *images[] = {bzimage(), elf32(7), elf64(), flat_multiboot(0x300000, 0, 0x310000)};

    (void)state;
    m->config.cmdline = "a=1";
    mutate(m, images[0], 0x1f1, 0x268, 1);
    mutate(m, images[1], 0, 0x80, 2);
    mutate(m, images[2], 0, 0x80, 3);
    mutate(m, images[2], SHDRS, SHDRS + 192, 4);
    mutate(m, images[3], 0x20, 0x40, 5);
    for (unsigned i = 0; i < 4; i++)
        free(images[i]);
    m->config.kernel = (struct machine_image){0};
    machine_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_told_from_the_bytes),
        cmocka_unit_test(a_bzimage_says_whether_it_has_64_bit_code),
        cmocka_unit_test(a_multiboot_header_counts_only_aligned_and_in_the_first_8_kib),
        cmocka_unit_test(the_memory_map_shows_holes_and_memory_above_4_gib),
        cmocka_unit_test(the_memory_map_of_the_smallest_machine_has_no_empty_ranges),
        cmocka_unit_test(firmware_is_shadowed_below_1_mib_and_entered_at_the_reset_vector),
        cmocka_unit_test(small_firmware_ends_at_1_mib_too),
        cmocka_unit_test(empty_and_oversized_firmware_is_refused),
        cmocka_unit_test(without_images_the_cpu_stays_at_its_reset_vector),
        cmocka_unit_test(linux_is_entered_in_64_bit_mode_with_4_gib_mapped),
        cmocka_unit_test(linux_is_entered_in_32_bit_mode_when_asked_or_when_it_must),
        cmocka_unit_test(linux_boot_params_describe_the_machine),
        cmocka_unit_test(linux_finds_command_line_and_initrd),
        cmocka_unit_test(linux_is_taken_apart_for_a_loader_in_the_guest),
        cmocka_unit_test(what_cannot_be_taken_apart_is_said),
        cmocka_unit_test(linux_gets_a_seed_that_follows_the_machines),
        cmocka_unit_test(linux_finds_memory_types_as_firmware_sets_them),
        cmocka_unit_test(linux_before_protocol_2_10_is_loaded_where_its_code_starts),
        cmocka_unit_test(linux_load_address_is_rounded_up_to_its_alignment),
        cmocka_unit_test(a_signature_behind_the_kernel_is_not_loaded),
        cmocka_unit_test(broken_bzimages_are_refused_with_the_reason),
        cmocka_unit_test(linux_with_too_little_memory_says_how_much_it_needs),
        cmocka_unit_test(linux_command_lines_have_the_kernels_limit),
        cmocka_unit_test(multiboot_elf32_is_loaded_at_its_physical_addresses),
        cmocka_unit_test(multiboot_elf64_is_entered_in_32_bit_mode_at_its_physical_entry),
        cmocka_unit_test(multiboot_entry_may_be_a_physical_address),
        cmocka_unit_test(multiboot_information_tells_memory_module_and_names),
        cmocka_unit_test(multiboot_without_a_module_says_so),
        cmocka_unit_test(multiboot_symbols_are_loaded_behind_the_kernel),
        cmocka_unit_test(multiboot_with_odd_section_headers_boots_without_symbols),
        cmocka_unit_test(multiboot_load_addresses_in_the_header_replace_elf),
        cmocka_unit_test(multiboot_information_avoids_a_kernel_in_base_memory),
        cmocka_unit_test(broken_multiboot_headers_are_refused_with_the_reason),
        cmocka_unit_test(kernels_may_not_claim_reserved_or_missing_memory),
        cmocka_unit_test(broken_elf_kernels_are_refused_with_the_reason),
        cmocka_unit_test(a_file_that_is_only_a_multiboot_header_is_refused),
        cmocka_unit_test(multiboot_modules_that_do_not_fit_are_refused_by_name),
        cmocka_unit_test(long_command_lines_for_multiboot_are_refused),
        cmocka_unit_test(a_reset_places_the_images_again),
        cmocka_unit_test(an_image_without_bytes_or_name_is_told),
        cmocka_unit_test(mutated_images_are_placed_or_refused_but_never_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
