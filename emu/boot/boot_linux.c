/* SPDX-License-Identifier: MIT */
/*
 * Linux bzImages, by the x86 boot protocol (kernel documentation, arch/x86/boot and zero-page),
 * versions 2.06 and later: 64-bit entry where the kernel has one and the user does not ask
 * otherwise, else 32-bit entry. The real-mode setup code is not run; boot_params says what it would
 * have found out. For a loader that runs in the guest, which enters that code, the image is taken apart and
 * its header filled in (boot_linux_split).
 *
 * Not modelled: zImages, EFI hand-over, EDD and APM information; the kernel sees zeros, "not
 * there".
 *
 * The kernel's random generator and KASLR get their seed from setup_data (SETUP_RNG_SEED) and
 * RDRAND, both functions of config.seed.
 */
#include <string.h>

#include <emu/cpu.h>

#include "boot_internal.h"

/* --- setup header: offsets in the image, and the same in boot_params --- */

#define HDR_BEGIN            0x1f1u /* setup_sects */
#define HDR_SYSSIZE          0x1f4u /* protected-mode code, in 16 bytes */
#define HDR_VID_MODE         0x1fau
#define HDR_BOOT_FLAG        0x1feu
#define HDR_JUMP_LENGTH      0x201u /* the header ends at 202h plus this */
#define HDR_MAGIC            0x202u
#define HDR_VERSION          0x206u
#define HDR_TYPE_OF_LOADER   0x210u
#define HDR_LOADFLAGS        0x211u
#define HDR_CODE32_START     0x214u
#define HDR_RAMDISK_IMAGE    0x218u
#define HDR_RAMDISK_SIZE     0x21cu
#define HDR_HEAP_END         0x224u
#define HDR_CMD_LINE_PTR     0x228u
#define HDR_INITRD_ADDR_MAX  0x22cu
#define HDR_KERNEL_ALIGNMENT 0x230u
#define HDR_RELOCATABLE      0x234u
#define HDR_XLOADFLAGS       0x236u
#define HDR_CMDLINE_SIZE     0x238u
#define HDR_END_2_06         0x23cu
#define HDR_SETUP_DATA       0x250u
#define HDR_PREF_ADDRESS     0x258u
#define HDR_INIT_SIZE        0x260u
#define HDR_END_2_10         0x264u
#define HDR_MAX_END          0x290u

#define BOOT_FLAG            0xaa55u
#define VERSION_MIN          0x206u
#define LOADER_UNDEFINED     0xffu
#define LOADED_HIGH          0x01u
#define CAN_USE_HEAP         0x80u
#define HEAP_END             0xfe00u /* of the real-mode segment; from 200h on, as the protocol counts */
#define FIRMWARE_TOP_BYTES   0x100000u /* a firmware's own, below the end of low memory */
#define XLF_KERNEL_64        0x0001u
#define VID_MODE_NORMAL      0xffffu
#define ENTRY64_OFFSET       0x200u
#define SECTOR               512u
#define DEFAULT_CMDLINE_SIZE 255u
#define MAX_ALIGNMENT        (1u << 30)

/* --- boot_params beyond the header --- */

#define BP_BYTES         4096u
#define BP_EXT_MEM_K     0x002u
#define BP_VIDEO_MODE    0x006u
#define BP_VIDEO_COLS    0x007u
#define BP_VIDEO_EGA_BX  0x00au
#define BP_VIDEO_LINES   0x00eu
#define BP_VIDEO_IS_VGA  0x00fu
#define BP_VIDEO_POINTS  0x010u
#define BP_ACPI_RSDP     0x070u
#define BP_ALT_MEM_K     0x1e0u
#define BP_E820_ENTRIES  0x1e8u
#define BP_E820_TABLE    0x2d0u
#define E820_ENTRY_BYTES 20u

#define SETUP_RNG_SEED     9u
#define SETUP_HEADER_BYTES 16u
#define RNG_SEED_BYTES     32u

/* --- where things go --- */

#define GDT_GPA         0x80000u
#define PAGE_TABLES_GPA 0x81000u
#define PARAMS_GPA      0x90000u
#define SETUP_DATA_GPA  0x91000u
#define CMDLINE_GPA     0x92000u
#define CMDLINE_ROOM    0xb000u /* leaves the last pages of base memory to the kernel's trampoline */

/* The image, once understood. */
struct bzimage {
    const struct machine_image *image;
    const uint8_t *header; /* image->data */
    size_t header_end;     /* within the setup part */
    const uint8_t *code;   /* protected-mode part */
    size_t code_len;
    unsigned version;
    uint64_t load; /* guest-physical */
    uint64_t end;  /* of what the kernel uses before it reads the memory map */
    bool entry64;
};

bool boot_is_linux(const uint8_t *data, size_t len)
{
    return len >= HDR_END_2_06 && get_le16(data + HDR_BOOT_FLAG) == BOOT_FLAG &&
           memcmp(data + HDR_MAGIC, "HdrS", 4) == 0;
}

/* --- reading the header --- */

static int check_version(const struct boot *b, struct bzimage *bz)
{
    unsigned version = get_le16(bz->header + HDR_VERSION);
    size_t end = HDR_MAGIC + bz->header[HDR_JUMP_LENGTH];

    if (version < VERSION_MIN)
        return boot_fail(b, bz->image, "boot protocol %u.%02u is too old, 2.06 is needed",
                         version >> 8, version & 0xff);
    if (!(bz->header[HDR_LOADFLAGS] & LOADED_HIGH))
        return boot_fail(b, bz->image, "a zImage; only bzImages can be booted");
    if (end < (version >= 0x20a ? HDR_END_2_10 : HDR_END_2_06))
        return boot_fail(b, bz->image, "the setup header is cut short");
    bz->version = version;
    bz->header_end = end < HDR_MAX_END ? end : HDR_MAX_END;
    return 0;
}

static int find_code(const struct boot *b, struct bzimage *bz)
{
    size_t len = bz->image->len;
    size_t sectors = bz->header[HDR_BEGIN] == 0 ? 4 : bz->header[HDR_BEGIN];
    size_t setup = (sectors + 1) * SECTOR;
    uint64_t syssize = (uint64_t)get_le32(bz->header + HDR_SYSSIZE) * 16;

    if (len <= setup + ENTRY64_OFFSET || syssize > len - setup + 15)
        return boot_fail(b, bz->image, "cut short: %zu bytes of %llu", len,
                         (unsigned long long)(setup + (syssize ? syssize : ENTRY64_OFFSET + 1)));
    bz->code = bz->header + setup;
    bz->code_len = len - setup;
    /* What follows the code is a signature. */
    if (syssize > ENTRY64_OFFSET && syssize < bz->code_len)
        bz->code_len = (size_t)syssize;
    return 0;
}

/* From protocol 2.10 on the kernel says where it wants to be, and how much it takes there. */
static int choose_address(const struct boot *b, struct bzimage *bz)
{
    bool has_pref = bz->version >= 0x20a;
    uint64_t align = get_le32(bz->header + HDR_KERNEL_ALIGNMENT);
    uint64_t init_size = has_pref ? get_le32(bz->header + HDR_INIT_SIZE) : 0;
    uint64_t size = init_size > bz->code_len ? init_size : bz->code_len;

    bz->load = has_pref ? get_le64(bz->header + HDR_PREF_ADDRESS)
                        : get_le32(bz->header + HDR_CODE32_START);
    if (bz->load < HIGH_BASE || bz->load >= 1ULL << 32)
        return boot_fail(b, bz->image, "wants to be loaded at %llxh, outside of 1 MiB..4 GiB",
                         (unsigned long long)bz->load);
    if (bz->header[HDR_RELOCATABLE]) {
        if (align == 0 || (align & (align - 1)) != 0 || align > MAX_ALIGNMENT)
            return boot_fail(b, bz->image,
                             "kernel alignment %llxh is not a power of two up to 1 GiB",
                             (unsigned long long)align);
        if (bz->load % align != 0)
            bz->load += align - bz->load % align;
    }
    bz->end = bz->load + size;
    return boot_check_fits(b, bz->image, bz->end);
}

static bool has_64_bit_kernel(const uint8_t *header, unsigned version)
{
    return version >= 0x20c && (get_le16(header + HDR_XLOADFLAGS) & XLF_KERNEL_64);
}

bool boot_is_linux32(const uint8_t *data, size_t len)
{
    return len >= HDR_MAX_END && boot_identify(data, len) == BOOT_LINUX &&
           !has_64_bit_kernel(data, get_le16(data + HDR_VERSION));
}

static int parse(const struct boot *b, struct bzimage *bz)
{
    const struct machine_config *config = &b->m->config;

    *bz = (struct bzimage){.image = &config->kernel, .header = config->kernel.data};
    if (check_version(b, bz) != 0 || find_code(b, bz) != 0 || choose_address(b, bz) != 0)
        return -1;
    bz->entry64 = !config->boot32 && has_64_bit_kernel(bz->header, bz->version);
    return 0;
}

/* --- boot_params --- */

static void describe_screen(uint8_t *params)
{
    params[BP_VIDEO_MODE] = 3;
    params[BP_VIDEO_COLS] = 80;
    put_le(params + BP_VIDEO_EGA_BX, 2, 3); /* colour, 256 KiB */
    params[BP_VIDEO_LINES] = 25;
    params[BP_VIDEO_IS_VGA] = 1;
    put_le(params + BP_VIDEO_POINTS, 2, 16);
}

static void describe_memory(const struct machine *m, uint8_t *params)
{
    struct boot_range map[BOOT_MAX_RANGES];
    unsigned n = boot_memory_map(m, map), i;
    uint64_t high_kib = (m->ram.low_bytes - HIGH_BASE) >> 10;

    for (i = 0; i < n; i++) {
        uint8_t *entry = params + BP_E820_TABLE + i * E820_ENTRY_BYTES;

        put_le(entry, 8, map[i].base);
        put_le(entry + 8, 8, map[i].len);
        put_le(entry + 16, 4, map[i].type);
    }
    params[BP_E820_ENTRIES] = (uint8_t)n;
    put_le(params + BP_ALT_MEM_K, 4, high_kib);
    put_le(params + BP_EXT_MEM_K, 2, high_kib < 0xfc00 ? high_kib : 0xfc00);
}

/* --- the pieces --- */

static int check_cmdline(const struct boot *b, const struct bzimage *bz)
{
    const char *cmdline = b->m->config.cmdline == NULL ? "" : b->m->config.cmdline;
    size_t limit = get_le32(bz->header + HDR_CMDLINE_SIZE);
    size_t len = strlen(cmdline);

    if (limit == 0)
        limit = DEFAULT_CMDLINE_SIZE;
    if (limit > CMDLINE_ROOM - 1)
        limit = CMDLINE_ROOM - 1;
    if (len > limit)
        return boot_fail(b, bz->image, "the command line has %zu bytes, this kernel takes %zu", len,
                         limit);
    return 0;
}

static int place_cmdline(const struct boot *b, const struct bzimage *bz, uint8_t *params)
{
    const char *cmdline = b->m->config.cmdline == NULL ? "" : b->m->config.cmdline;

    if (check_cmdline(b, bz) != 0)
        return -1;
    put_le(params + HDR_CMD_LINE_PTR, 4, CMDLINE_GPA);
    return boot_write(b, bz->image, CMDLINE_GPA, cmdline, strlen(cmdline) + 1);
}

/* As high below `end` as the kernel allows, out of the way of what it unpacks. Says so in the header at
 * `params`. */
static int choose_initrd(const struct boot *b, const struct bzimage *bz, uint64_t end, uint8_t *params)
{
    const struct machine_image *initrd = &b->m->config.initrd;
    uint64_t limit = (uint64_t)get_le32(bz->header + HDR_INITRD_ADDR_MAX) + 1;
    uint64_t first = page_up(bz->end), base;

    if (initrd->data == NULL || initrd->len == 0)
        return 0;
    if (limit > end)
        limit = end;
    if (initrd->len > limit || limit - initrd->len < first) {
        if (limit < end)
            return boot_fail(b, initrd, "does not fit below %llxh, where this kernel looks for it",
                             (unsigned long long)limit);
        return boot_check_fits(b, initrd, first + page_up(initrd->len) + b->m->ram.low_bytes - end);
    }
    base = (limit - initrd->len) & ~4095ULL;
    put_le(params + HDR_RAMDISK_IMAGE, 4, base);
    put_le(params + HDR_RAMDISK_SIZE, 4, initrd->len);
    return 0;
}

static int place_initrd(const struct boot *b, const struct bzimage *bz, uint8_t *params)
{
    const struct machine_image *initrd = &b->m->config.initrd;

    if (choose_initrd(b, bz, b->m->ram.low_bytes, params) != 0)
        return -1;
    return boot_write(b, initrd, get_le32(params + HDR_RAMDISK_IMAGE), initrd->data,
                      get_le32(params + HDR_RAMDISK_SIZE));
}

/* splitmix64 (Steele, Lea, Flood); the constant keeps it apart from RDRAND's stream. */
static void fill_seed(uint64_t seed, uint8_t out[RNG_SEED_BYTES])
{
    unsigned i;

    seed ^= 0x6c696e75782d7267ULL;
    for (i = 0; i < RNG_SEED_BYTES; i += 8) {
        uint64_t z = seed += 0x9e3779b97f4a7c15ULL;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
        put_le(out + i, 8, z ^ z >> 31);
    }
}

/* struct setup_data: next, type, length, bytes. Protocol 2.09 has it. */
static int place_setup_data(const struct boot *b, const struct bzimage *bz, uint8_t *params)
{
    uint8_t node[SETUP_HEADER_BYTES + RNG_SEED_BYTES] = {0};

    if (bz->header_end < HDR_SETUP_DATA + 8)
        return 0;
    put_le(node + 8, 4, SETUP_RNG_SEED);
    put_le(node + 12, 4, RNG_SEED_BYTES);
    fill_seed(b->m->config.seed, node + SETUP_HEADER_BYTES);
    put_le(params + HDR_SETUP_DATA, 8, SETUP_DATA_GPA);
    return boot_write(b, bz->image, SETUP_DATA_GPA, node, sizeof(node));
}

static int place_params(const struct boot *b, const struct bzimage *bz)
{
    uint8_t params[BP_BYTES] = {0};

    memcpy(params + HDR_BEGIN, bz->header + HDR_BEGIN, bz->header_end - HDR_BEGIN);
    put_le(params + HDR_VID_MODE, 2, VID_MODE_NORMAL);
    params[HDR_TYPE_OF_LOADER] = LOADER_UNDEFINED;
    put_le(params + HDR_CODE32_START, 4, bz->load);
    put_le(params + HDR_RAMDISK_IMAGE, 8, 0);
    put_le(params + BP_ACPI_RSDP, 8, b->rsdp);
    describe_screen(params);
    describe_memory(b->m, params);
    if (place_cmdline(b, bz, params) != 0 || place_initrd(b, bz, params) != 0 ||
        place_setup_data(b, bz, params) != 0)
        return -1;
    return boot_write(b, bz->image, PARAMS_GPA, params, sizeof(params));
}

int boot_linux(const struct boot *b)
{
    struct cpu *cpu = &b->m->cpus[0];
    struct bzimage bz;

    if (parse(b, &bz) != 0 || boot_write(b, bz.image, bz.load, bz.code, bz.code_len) != 0 ||
        place_params(b, &bz) != 0)
        return -1;
    if (bz.entry64)
        boot_enter_long(b, GDT_GPA, PAGE_TABLES_GPA);
    else
        boot_enter_protected(b, GDT_GPA);
    cpu->regs[REG_RSI] = PARAMS_GPA;
    cpu->rip = bz.entry64 ? bz.load + ENTRY64_OFFSET : bz.load;
    return 0;
}

int boot_linux_split(struct machine *m, struct boot_linux_parts *parts, char *err, size_t errlen)
{
    const struct boot b = {.m = m, .err = err, .errlen = errlen};
    const struct machine_image *kernel = &m->config.kernel;
    uint64_t end = m->ram.low_bytes - FIRMWARE_TOP_BYTES;
    uint8_t *header = parts->setup;
    struct bzimage bz;

    if (!boot_is_linux(kernel->data, kernel->len))
        return boot_fail(&b, kernel, "not a bzImage: no firmware can start it");
    if (parse(&b, &bz) != 0 || check_cmdline(&b, &bz) != 0)
        return -1;
    parts->setup_len = (size_t)(bz.code - bz.header);
    parts->code = bz.code;
    parts->code_len = bz.code_len;
    if (parts->setup_len > sizeof(parts->setup))
        return boot_fail(&b, kernel, "its real-mode part has %zu bytes, too many", parts->setup_len);
    memcpy(header, bz.header, parts->setup_len);
    put_le(header + HDR_VID_MODE, 2, VID_MODE_NORMAL);
    header[HDR_TYPE_OF_LOADER] = LOADER_UNDEFINED;
    header[HDR_LOADFLAGS] |= CAN_USE_HEAP;
    put_le(header + HDR_CODE32_START, 4, BOOT_CODE_GPA);
    put_le(header + HDR_HEAP_END, 2, HEAP_END - SECTOR);
    put_le(header + HDR_CMD_LINE_PTR, 4, BOOT_CMDLINE_GPA);
    put_le(header + HDR_RAMDISK_IMAGE, 8, 0);
    if (choose_initrd(&b, &bz, end, header) != 0)
        return -1;
    parts->initrd_gpa = get_le32(header + HDR_RAMDISK_IMAGE);
    return 0;
}
