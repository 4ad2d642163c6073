/* SPDX-License-Identifier: MIT */
/*
 * The decoder against Zydis: acceptance, length, instruction, operands, widths and prefixes, and
 * the status flags of insn.def.
 *
 *   decode_zydis [--random N] [--seed S] [--all-prefixes] [--time] [file...]
 *
 * Three sources of bytes: every opcode of the four maps with every ModRM byte under a list of
 * prefixes, in three modes; N random strings biased to prefixes; and the .text of ELF files (64-bit
 * mode), by default the C library or busybox of the host. What the two say differently must be in
 * the table of exceptions in zydis_compare.c, each with its reason; anything else fails and prints the bytes.
 */
#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "zydis_compare.h"

#define BUF_BYTES 24 /* longer than any instruction, so that neither decoder runs short */
#define MAX_REPORTS 200
static const char *const diff_names[DIFF_KINDS] = {
    "accepted by us only", "accepted by Zydis only", "length", "mnemonic", "operand count",
    "register operand", "memory operand", "immediate", "operand width", "operation size",
    "address size", "lock or repeat prefix", "flags read", "flags written", "flags undefined"};

/* Differences are printed once for each of these, with its first bytes. */
struct report_key {
    uint32_t diffs;
    uint16_t id;
    uint16_t zydis; /* mnemonic, or status when it rejects */
};

struct tally {
    ZydisDecoder decoders[3];
    uint64_t decoded, both, missing_isa, excepted, failures;
    unsigned reports;
    struct report_key reported[MAX_REPORTS];
};

/* --- running ---------------------------------------------------------------------------------- */

static bool already_reported(struct tally *t, const struct pair *p, uint32_t diffs)
{
    struct report_key key = {diffs, p->insn.id,
                             (uint16_t)(pair_zydis_ok(p) ? p->zinsn.mnemonic
                                                    : ZYAN_STATUS_CODE(p->zstatus))};

    for (unsigned i = 0; i < t->reports; i++) {
        if (memcmp(&t->reported[i], &key, sizeof(key)) == 0)
            return true;
    }
    if (t->reports == MAX_REPORTS)
        return true;
    t->reported[t->reports++] = key;
    return false;
}

static void report(struct tally *t, const struct pair *p, uint32_t diffs)
{
    static const char *const modes[] = {"16", "32", "64"};

    t->failures++;
    if (already_reported(t, p, diffs))
        return;
    printf("%s-bit", modes[p->mode]);
    for (unsigned i = 0; i < INSN_MAX_LEN; i++)
        printf(" %02x", p->bytes[i]);
    printf("\n    ours: status %d %s form %u opsize %u len %u; Zydis: ", p->status,
           insn_info[p->insn.id].mnemonic, p->insn.form, p->insn.opsize, p->insn.len);
    if (pair_zydis_ok(p))
        printf("%s (%s) len %u", ZydisMnemonicGetString(p->zinsn.mnemonic),
               ZydisISASetGetString(p->zinsn.meta.isa_set), p->zinsn.length);
    else
        printf("status %x", (unsigned)ZYAN_STATUS_CODE(p->zstatus));
    printf("; differs in");
    for (unsigned i = 0; i < DIFF_KINDS; i++) {
        if (diffs & (1u << i))
            printf(" [%s]", diff_names[i]);
    }
    printf("\n");
}

static void try_bytes(struct tally *t, const uint8_t *bytes, size_t n, enum code_size mode,
                      struct pair *p)
{
    uint32_t diffs;

    pair_decode(t->decoders, bytes, n, mode, p);
    t->decoded++;
    diffs = pair_compare(p);
    if (diffs == 0) {
        t->both += p->status == DECODE_OK;
        return;
    }
    if (diffs == 1u << ONLY_ZYDIS && pair_isa_missing(p)) {
        t->missing_isa++;
        return;
    }
    diffs = pair_explain(p, diffs);
    if (diffs != 0)
        report(t, p, diffs);
    else
        t->excepted++;
}

/* xorshift64*: the same strings on every host. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

static void fill_random(uint64_t *state, uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        uint64_t value = next_random(state);
        memcpy(bytes + i, &value, n - i < 8 ? n - i : 8);
    }
}

struct prefix_set {
    uint8_t count;
    uint8_t bytes[3];
};
static const struct prefix_set prefix_sets[] = {
    {0, {0}},          {1, {0x66}},       {1, {0xf3}},       {1, {0xf2}},
    {1, {0x48}},       {1, {0xf0}},       {1, {0x67}},       {2, {0x66, 0x45}},
    {2, {0x64, 0x42}}, {2, {0xf3, 0x48}}, {2, {0xf2, 0x4f}}, {2, {0x66, 0x48}},
    /* with --all-prefixes */
    {1, {0x40}},       {1, {0x26}},       {2, {0x66, 0xf3}}, {2, {0x66, 0xf2}},
    {2, {0xf2, 0xf3}}, {2, {0xf3, 0xf2}}, {2, {0x48, 0x66}}, {2, {0x66, 0x67}},
    {2, {0xf0, 0x66}}, {2, {0xf0, 0x48}}, {2, {0xf0, 0xf3}}, {2, {0x65, 0x3e}},
    {3, {0x66, 0xf2, 0x48}}, {3, {0x67, 0xf3, 0x4c}}, {1, {0x2e}}, {1, {0x36}},
};
#define PREFIX_SETS (sizeof(prefix_sets) / sizeof(prefix_sets[0]))
#define PREFIX_SETS_SHORT 12

static void run_opcode(struct tally *t, const struct prefix_set *set, unsigned map, unsigned opcode,
                       uint64_t *random)
{
    static const uint8_t map_bytes[4][2] = {{0}, {0x0f}, {0x0f, 0x38}, {0x0f, 0x3a}};
    static const uint8_t map_lengths[4] = {0, 1, 2, 2};
    uint8_t bytes[BUF_BYTES];
    struct pair p;

    for (unsigned modrm = 0; modrm < 256; modrm++) {
        size_t at = set->count;
        fill_random(random, bytes, sizeof(bytes));
        memcpy(bytes, set->bytes, at);
        memcpy(bytes + at, map_bytes[map], map_lengths[map]);
        at += map_lengths[map];
        bytes[at] = (uint8_t)opcode;
        bytes[at + 1] = (uint8_t)modrm;
        for (unsigned mode = CODE_16; mode <= CODE_64; mode++)
            try_bytes(t, bytes, sizeof(bytes), (enum code_size)mode, &p);
    }
}

static void run_exhaustive(struct tally *t, size_t sets, uint64_t seed)
{
    for (size_t s = 0; s < sets; s++) {
        for (unsigned map = 0; map < 4; map++) {
            for (unsigned opcode = 0; opcode < 256; opcode++)
                run_opcode(t, &prefix_sets[s], map, opcode, &seed);
        }
    }
}

static void run_random(struct tally *t, uint64_t count, uint64_t seed)
{
    static const uint8_t prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2,
                                       0xf3, 0x40, 0x41, 0x44, 0x48, 0x4f};
    uint8_t bytes[BUF_BYTES];
    struct pair p;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t r = next_random(&seed);
        unsigned at = 0;
        fill_random(&seed, bytes, sizeof(bytes));
        for (; at < 15 && (r & 3) == 0; at++, r >>= 2)
            bytes[at] = prefixes[bytes[at] & 15];
        if (r & 4) {
            bytes[at++] = 0x0f;
            if (r & 0x18)
                bytes[at] = (r & 0x20) != 0 ? bytes[at] : (r & 0x40) != 0 ? 0x38 : 0x3a;
        }
        try_bytes(t, bytes, sizeof(bytes), (enum code_size)(r >> 40 & 0xff) % 3, &p);
    }
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long end;

    if (!f)
        return NULL;
    if (fseek(f, 0, SEEK_END) == 0 && (end = ftell(f)) > 0 && fseek(f, 0, SEEK_SET) == 0) {
        data = malloc((size_t)end);
        if (data && fread(data, 1, (size_t)end, f) != (size_t)end) {
            free(data);
            data = NULL;
        }
        *size = (size_t)end;
    }
    fclose(f);
    return data;
}

/* Offset and size of .text in a 64-bit ELF file. */
static bool find_text(const uint8_t *data, size_t size, size_t *offset, size_t *bytes)
{
    Elf64_Ehdr header;
    Elf64_Shdr section, names;

    if (size < sizeof(header))
        return false;
    memcpy(&header, data, sizeof(header));
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_machine != EM_X86_64 || header.e_shoff > size ||
        (size - header.e_shoff) / sizeof(section) < header.e_shnum ||
        header.e_shstrndx >= header.e_shnum)
        return false;
    memcpy(&names, data + header.e_shoff + header.e_shstrndx * sizeof(names), sizeof(names));
    for (unsigned i = 0; i < header.e_shnum; i++) {
        memcpy(&section, data + header.e_shoff + i * sizeof(section), sizeof(section));
        if (section.sh_type != SHT_PROGBITS || section.sh_offset > size ||
            section.sh_size > size - section.sh_offset ||
            names.sh_offset + section.sh_name + sizeof(".text") > size)
            continue;
        if (memcmp(data + names.sh_offset + section.sh_name, ".text", sizeof(".text")) == 0) {
            *offset = section.sh_offset;
            *bytes = section.sh_size;
            return true;
        }
    }
    return false;
}

static void sweep(struct tally *t, const uint8_t *text, size_t bytes)
{
    struct pair p;

    for (size_t at = 0; at + BUF_BYTES <= bytes;) {
        try_bytes(t, text + at, BUF_BYTES, CODE_64, &p);
        at += p.status == DECODE_OK ? p.insn.len : 1;
    }
}

/* Nanoseconds an instruction for our decoder alone, over the same text. */
static void time_decoder(const uint8_t *text, size_t bytes)
{
    struct timespec start, stop;
    uint64_t count = 0;
    double ns;

    clock_gettime(CLOCK_MONOTONIC, &start);
    for (unsigned pass = 0; pass < 10; pass++) {
        struct insn in;
        for (size_t at = 0; at + BUF_BYTES <= bytes; count++)
            at += insn_decode(text + at, bytes - at, CODE_64, &in) == DECODE_OK ? in.len : 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &stop);
    ns = (double)(stop.tv_sec - start.tv_sec) * 1e9 + (double)(stop.tv_nsec - start.tv_nsec);
    printf("  %.1f ns an instruction over %" PRIu64 " instructions\n", ns / (double)count, count);
}

static bool run_file(struct tally *t, const char *path, bool timed)
{
    size_t size = 0, offset = 0, bytes = 0;
    uint8_t *data = read_file(path, &size);
    bool found = data && find_text(data, size, &offset, &bytes);

    if (found) {
        sweep(t, data + offset, bytes);
        printf("%s: %zu bytes of .text\n", path, bytes);
        if (timed)
            time_decoder(data + offset, bytes);
    }
    free(data);
    return found;
}

static void run_default_files(struct tally *t, bool timed)
{
    static const char *const files[] = {"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6",
                                        "/usr/lib/libc.so.6", "/bin/busybox"};

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (run_file(t, files[i], timed))
            return;
    }
    printf("no x86-64 C library or busybox here: .text not swept\n");
}
static void summary(const struct tally *t)
{
    size_t count;
    const struct zydis_exception *exceptions = zydis_exceptions(&count);

    printf("%" PRIu64 " decoded: %" PRIu64 " accepted alike, %" PRIu64
           " of instruction sets that the CPU lacks, %" PRIu64 " excepted, %" PRIu64
           " unexplained\n",
           t->decoded, t->both, t->missing_isa, t->excepted, t->failures);
    for (size_t i = 0; i < count; i++)
        printf("  %10" PRIu64 "  %s\n", exceptions[i].count, exceptions[i].reason);
}

int main(int argc, char **argv)
{
    struct tally t = {0};
    uint64_t count = 1000000, seed = 1;
    size_t sets = PREFIX_SETS_SHORT;
    bool timed = false, any_file = false;

    pair_init_decoders(t.decoders);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--random") == 0 && i + 1 < argc)
            count = strtoull(argv[++i], NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 0);
        else if (strcmp(argv[i], "--all-prefixes") == 0)
            sets = PREFIX_SETS;
        else if (strcmp(argv[i], "--time") == 0)
            timed = true;
    }
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '/' || argv[i][0] == '.') {
            any_file = true;
            if (!run_file(&t, argv[i], timed))
                printf("%s: not an x86-64 ELF file with .text\n", argv[i]);
        }
    }
    if (!any_file)
        run_default_files(&t, timed);
    run_exhaustive(&t, sets, seed * 2 + 1);
    run_random(&t, count, seed * 2 + 1);
    summary(&t);
    if (t.failures != 0)
        printf("reproduce: decode_zydis --random %" PRIu64 " --seed %" PRIu64 "%s\n", count, seed,
               sets == PREFIX_SETS ? " --all-prefixes" : "");
    return t.failures != 0;
}
