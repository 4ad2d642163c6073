/* SPDX-License-Identifier: MIT */
/*
 * Guests that make no sense: random bytes run as code, and random values written to every device. None
 * may crash, hang or confuse the host process, and each must come out the same however its run is cut:
 * the digests of a run in one piece and of one in odd slices are compared.
 *
 *     test_garbage [SEED [COUNT]]      other and more guests than the default
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

#include <devices/pc.h>
#include <emu/machine.h>

#define LOAD 0x200000u
#define CODE_BYTES 4096u
#define RUN_ICOUNT 60000u

static uint64_t seed = 1;
static unsigned count = 60;

static uint64_t next_random(uint64_t *s)
{
    uint64_t z = *s += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

struct image {
    uint8_t bytes[CODE_BYTES];
    size_t len;
};

static void put(struct image *im, const void *bytes, size_t len)
{
    memcpy(im->bytes + im->len, bytes, len);
    im->len += len;
}

static void put8(struct image *im, uint8_t v)
{
    put(im, &v, 1);
}

static void put32(struct image *im, uint32_t v)
{
    put(im, &v, 4);
}

/* Multiboot's a.out kludge: 32-bit flat code right behind the header. */
static void put_header(struct image *im)
{
    uint32_t header[8] = {0x1badb002, 0x10000, 0u - (0x1badb002u + 0x10000u), LOAD, LOAD,
                          LOAD + CODE_BYTES, LOAD + CODE_BYTES, LOAD + 32};

    im->len = 0;
    put(im, header, sizeof(header));
}

static void random_code(struct image *im, uint64_t *s)
{
    put_header(im);
    while (im->len < CODE_BYTES)
        put8(im, (uint8_t)next_random(s));
}

/* A port that some device listens to, more often than not. */
static uint16_t random_port(uint64_t *s)
{
    static const uint16_t known[] = {0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61, 0x64,
                                     0x70, 0x71, 0x80, 0x92, 0xb2, 0xe9, 0x2f8, 0x2f9, 0x2fb, 0x3f8,
                                     0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3c0, 0x3c4, 0x3c5, 0x3ce, 0x3d4,
                                     0x3d5, 0x3da, 0x402, 0x4d0, 0x4d1, 0x505, 0x510, 0x511, 0x514,
                                     0x518, 0x600, 0x602, 0x608,
                                     0xcf8, 0xcfc, 0xcfd, 0xcfe, 0xafe0};
    uint64_t r = next_random(s);

    if (r % 8 == 0)
        return (uint16_t)(r >> 16);
    return known[(r >> 8) % (sizeof(known) / sizeof(known[0]))];
}

static uint32_t random_device_address(uint64_t *s)
{
    uint64_t r = next_random(s);

    switch (r % 6) {
    case 4: return 0xfed00000u + ((uint32_t)(r >> 8) % 0x180 & ~3u);
    case 5: return 0xc0000u + (uint32_t)(r >> 8) % 0x40000;
    case 0: return 0xfee00000u + (uint32_t)(r >> 8) % 0x1000;
    case 1: return 0xfec00000u + ((r >> 8) % 2 ? 0x10u : 0x00u) + (uint32_t)(r >> 16) % 4;
    case 2: return 0xa0000u + (uint32_t)(r >> 8) % 0x20000;
    default: return (uint32_t)(r >> 8);
    }
}

/* One access to a device: OUT, IN, a store or a load of 1, 2 or 4 bytes. */
static void put_access(struct image *im, uint64_t *s)
{
    uint64_t r = next_random(s);
    unsigned width = (unsigned)(r >> 4) % 3;
    bool in = (r >> 8) & 1;

    put8(im, 0xb8); /* mov eax, imm32 */
    put32(im, (uint32_t)next_random(s));
    if (r % 3 != 0) {
        put8(im, 0x66); /* mov dx, imm16 */
        put8(im, 0xba);
        uint16_t port = random_port(s);
        put(im, &port, 2);
        if (width == 1)
            put8(im, 0x66);
        put8(im, (uint8_t)((in ? 0xec : 0xee) | (width != 0)));
    } else {
        if (width == 1)
            put8(im, 0x66);
        put8(im, (uint8_t)((in ? 0xa0 : 0xa2) | (width != 0))); /* mov eax, moffs and back */
        put32(im, random_device_address(s));
    }
}

static void put_out(struct image *im, uint16_t port, uint32_t value)
{
    put8(im, 0xb8);
    put32(im, value);
    put8(im, 0x66);
    put8(im, 0xba);
    put(im, &port, 2);
    put8(im, 0xef);
}

/* What is done by more than one access: shadow RAM, fw_cfg's DMA with a request at the address 1000h, a
 * command for the mouse. */
static void put_longer_access(struct image *im, uint64_t *s)
{
    uint64_t r = next_random(s);

    switch (r % 3) {
    case 0:
        put_out(im, 0xcf8, 0x80000058u + ((r >> 8) & 4));
        put_out(im, 0xcfc, (uint32_t)(r >> 16));
        break;
    case 1:
        for (unsigned i = 0; i < 4; i++) {
            put8(im, 0xc7); /* mov dword [1000h + 4 * i], imm32 */
            put8(im, 0x05);
            put32(im, 0x1000 + 4 * i);
            put32(im, __builtin_bswap32(i == 2 ? 0 : (uint32_t)(next_random(s) & 0x1f000f)));
        }
        put_out(im, 0x518, __builtin_bswap32(0x1000));
        break;
    default:
        put_out(im, 0x64, 0xd4);
        put_out(im, 0x60, (uint32_t)(r >> 8));
    }
}

/* A firmware of 4 KiB that goes to flat protected mode and does to its devices whatever it likes. */
#define ROM_CODE 0x60u
#define ROM_END  0xff0u

static void random_firmware(struct image *im, uint64_t *s)
{
    static const uint8_t enter[ROM_CODE] = {
        0xfa,                                           /* cli */
        0x66, 0x2e, 0x0f, 0x01, 0x16, 0x40, 0xf0,       /* lgdt [cs:f040h] */
        0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0, /* cr0 |= PE */
        0x66, 0xea, 0x60, 0xf0, 0xff, 0xff, 0x08, 0x00, /* jmp 8:fffff060h */
        [0x40] = 0x17, 0x00, 0x48, 0xf0, 0xff, 0xff,    /* GDT at fffff048h: flat code, flat data */
        [0x50] = 0xff, 0xff, 0x00, 0x00, 0x00, 0x9b, 0xcf, 0x00,
        [0x58] = 0xff, 0xff, 0x00, 0x00, 0x00, 0x93, 0xcf, 0x00,
    };
    static const uint8_t segments[] = {0x66, 0xb8, 0x10, 0x00, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0};
    static const uint8_t reset[] = {0xe9, 0x0d, 0xf0}; /* jmp f000h */

    im->len = 0;
    put(im, enter, sizeof(enter));
    put(im, segments, sizeof(segments));
    while (im->len < ROM_END - 128) {
        if (next_random(s) % 4 == 0)
            put_longer_access(im, s);
        else
            put_access(im, s);
    }
    put8(im, 0xe9);
    put32(im, (uint32_t)((int32_t)ROM_CODE - (int32_t)im->len - 4));
    while (im->len < ROM_END)
        put8(im, 0x90);
    put(im, reset, sizeof(reset));
    while (im->len < CODE_BYTES)
        put8(im, 0);
}

static void random_accesses(struct image *im, uint64_t *s)
{
    put_header(im);
    if (next_random(s) & 1)
        put8(im, 0xfb); /* sti: no IDT, so the first interrupt ends in a triple fault */
    while (im->len < CODE_BYTES - 32)
        put_access(im, s);
    put8(im, 0xe9); /* jmp back to the first */
    put32(im, (uint32_t)(32 - (int32_t)im->len - 4));
    while (im->len < CODE_BYTES)
        put8(im, 0x90);
}

/* A guest may sleep for ever with a timer ticking that it has masked: enough is enough. */
static uint64_t wait_a_while(void *opaque, struct machine *m, uint64_t deadline_ns)
{
    (void)opaque;
    return clock_now_ns(&m->clock) > 2 * NS_PER_SEC ? CLOCK_NEVER : deadline_ns;
}

struct outcome {
    enum machine_stop why;
    uint64_t icount, digest;
};

static struct outcome run(const struct image *im, bool firmware, uint64_t slice)
{
    struct machine_config config = {.struct_size = sizeof(config),
                                    .ram_bytes = 8 << 20,
                                    .seed = 1,
                                    .rtc_base = 1767225600,
                                    .ns_per_insn = 1};
    struct outcome out = {.why = STOP_ICOUNT};
    char err[256];
    struct machine *m;

    if (firmware) {
        config.bios = (struct machine_image){"garbage", im->bytes, im->len};
        config.firmware = config.hpet = config.mouse = 1;
    } else {
        config.kernel = (struct machine_image){"garbage", im->bytes, im->len};
    }
    m = machine_create(&config, &pc_board, err, sizeof(err));
    assert_non_null(m);
    machine_set_source(m, &(struct input_source){.wait = wait_a_while});
    for (uint64_t n = slice; out.why == STOP_ICOUNT && m->clock.icount < RUN_ICOUNT; n += slice)
        out.why = machine_run(m, n < RUN_ICOUNT ? n : RUN_ICOUNT);
    out.icount = m->clock.icount;
    out.digest = machine_digest(m);
    machine_destroy(m);
    return out;
}

static void run_many(void (*make)(struct image *im, uint64_t *s), uint64_t salt)
{
    bool firmware = make == random_firmware;

    for (unsigned i = 0; i < count; i++) {
        uint64_t s = seed * 1000003 + i + (salt << 32);
        uint64_t slice = 1 + (s * 2654435761u >> 7) % 499;
        struct image im;
        struct outcome whole, cut;

        make(&im, &s);
        whole = run(&im, firmware, UINT64_MAX / 2);
        cut = run(&im, firmware, slice);
        if (whole.why != cut.why || whole.icount != cut.icount || whole.digest != cut.digest)
            fail_msg("guest %u of seed %llu, slices of %llu: %s at %llu digest %llx in one piece, "
                     "%s at %llu digest %llx in slices",
                     i, (unsigned long long)seed, (unsigned long long)slice,
                     machine_stop_name(whole.why), (unsigned long long)whole.icount,
                     (unsigned long long)whole.digest, machine_stop_name(cut.why),
                     (unsigned long long)cut.icount, (unsigned long long)cut.digest);
    }
}

static void random_bytes_as_code_come_out_the_same(void **state)
{
    (void)state;
    run_many(random_code, 1);
}

static void random_values_to_devices_come_out_the_same(void **state)
{
    (void)state;
    run_many(random_accesses, 2);
}

static void random_firmware_comes_out_the_same(void **state)
{
    (void)state;
    run_many(random_firmware, 3);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bytes_as_code_come_out_the_same),
        cmocka_unit_test(random_values_to_devices_come_out_the_same),
        cmocka_unit_test(random_firmware_comes_out_the_same),
    };

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 0);
    if (argc > 2)
        count = (unsigned)strtoul(argv[2], NULL, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
