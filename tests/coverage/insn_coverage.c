/* SPDX-License-Identifier: MIT */
/*
 * Which rows of the instruction table the tests execute, in 16-, 32- and 64-bit code.
 *
 *   insn_coverage [--sequences N] EXCEPTIONS GUEST...
 *
 * Runs N sequences of each set of tests/diff in 64-, 32- and 16-bit code (in the emulator alone, so
 * that no host matters) and the guests of tests/guests, and looks at every instruction before it is
 * executed. Those that fault count: that is what some of them are for.
 *
 * Every row has to be met in every mode in which it exists, but for what EXCEPTIONS lists with a reason:
 * lines of a row's name, or @x87, @mmx, @sse for what is left of a group; modes, as 16,32; the reason. A
 * row that is listed by name and met all the same is an error, so that the list does not grow old.
 *
 * Exit status: 0, or 1 for rows that are not covered or should not be listed, 2 usage or set-up.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <devices/pc.h>
#include <emu/cpu.h>
#include <emu/inspect.h>
#include <emu/machine.h>

#include "diff_guest.h"
#include "diff_undef.h"
#include "gen.h"

#define MODES             3u
#define DEFAULT_SEQUENCES 30000u
#define GUEST_MAX_ICOUNT  50000000u
#define MAX_CUTS          40u
#define STATUS_SETUP      2

struct coverage {
    bool seen[MODES][INSN_COUNT];
    bool excused[MODES][INSN_COUNT];
    struct machine *m; /* the guest that runs */
    struct guest *guest;
    struct undef undef;
    unsigned problems;
};

static const unsigned mode_bits[MODES] = {[CODE_16] = 16, [CODE_32] = 32, [CODE_64] = 64};
static const char *const names[INSN_COUNT] = {
#define INSN(id, mnemonic, fl_read, fl_written, fl_undef, attrs) [INSN_##id] = #id,
#include <emu/insn.def>
#undef INSN
};

static void note(struct coverage *c, const struct cpu *cpu, const uint8_t *bytes, size_t n)
{
    enum code_size size = cpu_code_size(cpu);
    struct insn in;

    if (insn_decode(bytes, n, size, &in) == DECODE_OK)
        c->seen[size][in.id] = true;
}

/* --- random sequences --- */

static unsigned peek(void *opaque, uint64_t va, uint8_t *out, unsigned len)
{
    return (unsigned)guest_peek(opaque, va, out, len);
}

/* As diff_cpu has it: what is undefined is not executed. */
static bool step(void *opaque, const struct cpu *cpu)
{
    struct coverage *c = opaque;
    uint8_t bytes[INSN_MAX_LEN];
    size_t n = guest_peek(c->guest, cpu->rip + cpu->seg[SEG_CS].base, bytes, sizeof(bytes));

    if (!undef_step(&c->undef, cpu))
        return false;
    note(c, cpu, bytes, n);
    return true;
}

static void run_sequence(struct coverage *c, struct seq *seq)
{
    static struct outcome out;
    uint64_t icount, offset;
    unsigned cuts;

    for (cuts = 0; cuts < MAX_CUTS; cuts++) {
        undef_begin(&c->undef);
        if (guest_run_stepped(c->guest, seq, &out, &icount, step, c) != GUEST_CUT)
            return;
        offset = c->undef.cut_rip - seq->rip;
        if (offset >= seq->code_len)
            return;
        seq->code[offset] = 0xcc;
    }
}

static bool run_sequences(struct coverage *c, uint64_t count)
{
    static uint8_t template[ARENA_BYTES];
    struct gen_program program, as16;
    struct seq seq;
    uint64_t i;

    gen_template(template, 1);
    c->guest = guest_create(template, true);
    if (c->guest == NULL)
        return false;
    guest_add_code16(c->guest);
    c->undef.peek = peek;
    c->undef.opaque = c->guest;
    for (i = 0; i < count * 2 * GEN_SETS; i++) {
        gen_program(&program, i, i & 1 ? 32 : 64, (enum gen_set)(i / 2 % GEN_SETS));
        if (gen_assemble(&program, &seq))
            run_sequence(c, &seq);
        if (program.bits == 64)
            continue;
        gen_to_16(&program, &as16); /* as diff_modes does */
        if (gen_assemble(&as16, &seq))
            run_sequence(c, &seq);
    }
    guest_destroy(c->guest);
    return true;
}

/* --- guests --- */

static bool look(void *opaque, struct moment at)
{
    struct coverage *c = opaque;
    const struct cpu *cpu = &c->m->cpus[0];
    uint64_t linear = cpu->rip;
    uint8_t bytes[INSN_MAX_LEN];

    (void)at;
    if (cpu_code_size(cpu) != CODE_64)
        linear = (uint32_t)(linear + cpu->seg[SEG_CS].base);
    note(c, cpu, bytes, cpu_peek(cpu, linear, bytes, sizeof(bytes)));
    return false;
}

static uint8_t *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long size;

    if (f == NULL)
        return NULL;
    if (fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) > 0 && (data = malloc((size_t)size)) != NULL) {
        rewind(f);
        *len = fread(data, 1, (size_t)size, f);
    }
    fclose(f);
    return data;
}

static bool is_firmware(const char *path)
{
    size_t len = strlen(path);

    return len > 4 && strcmp(path + len - 4, ".rom") == 0;
}

static bool run_guest(struct coverage *c, const char *path)
{
    struct machine_config config = {
        .struct_size = sizeof(config), .ram_bytes = 64u << 20, .ns_per_insn = 1};
    struct machine_image image = {.name = path};
    uint8_t *data = read_file(path, &image.len);
    char err[200] = "cannot be read";

    image.data = data;
    *(is_firmware(path) ? &config.bios : &config.kernel) = image;
    c->m = data != NULL ? machine_create(&config, &pc_board, err, sizeof(err)) : NULL;
    if (c->m == NULL) {
        fprintf(stderr, "insn_coverage: %s: %s\n", path, err);
        free(data);
        return false;
    }
    machine_inspect(c->m, &(struct machine_inspector){INSPECT_EVERY, look, c});
    machine_run(c->m, GUEST_MAX_ICOUNT);
    machine_destroy(c->m);
    free(data);
    return true;
}

/* --- which rows are to be covered --- */

static bool ends_in_64(const char *name)
{
    size_t len = strlen(name);

    return len > 3 && strcmp(name + len - 3, "_64") == 0;
}

static bool exists(unsigned mode, unsigned id)
{
    unsigned attrs = insn_info[id].attrs;
    bool only64 = (attrs & IA_ONLY64) || ends_in_64(names[id]) || id == INSN_CMPXCHG16B;

    return mode == CODE_64 ? !(attrs & IA_NO64) : !only64;
}

/* A row's name, or a group's, that is not covered otherwise. */
static bool is_meant(const char *what, unsigned id)
{
    unsigned attrs = insn_info[id].attrs;

    if (what[0] != '@')
        return strcmp(what, names[id]) == 0;
    return ((attrs & IA_X87) && strcmp(what, "@x87") == 0) ||
           ((attrs & IA_MMX) && strcmp(what, "@mmx") == 0) ||
           ((attrs & IA_SSE) && strcmp(what, "@sse") == 0);
}

static void excuse(struct coverage *c, const char *what, unsigned mode)
{
    unsigned id, n = 0;

    for (id = 1; id < INSN_COUNT; id++) {
        if (!is_meant(what, id))
            continue;
        n++;
        if (what[0] != '@' && (c->seen[mode][id] || !exists(mode, id))) {
            printf("%s is listed as not covered in %u-bit code, but %s\n", what, mode_bits[mode],
                   exists(mode, id) ? "it is" : "it does not exist there");
            c->problems++;
        }
        c->excused[mode][id] = true;
    }
    if (n == 0) {
        printf("%s is listed, and there is no such row\n", what);
        c->problems++;
    }
}

static bool read_exceptions(struct coverage *c, const char *path)
{
    FILE *f = fopen(path, "r");
    char line[300], what[64], modes[32];
    unsigned mode;

    if (f == NULL) {
        perror(path);
        return false;
    }
    while (fgets(line, sizeof(line), f) != NULL) {
        char reason;

        if (line[0] == '#' || line[0] == '\n')
            continue;
        if (sscanf(line, "%63s %31s %c", what, modes, &reason) != 3) {
            printf("no row, modes and reason: %s", line);
            c->problems++;
            continue;
        }
        for (mode = 0; mode < MODES; mode++) {
            char text[4];

            snprintf(text, sizeof(text), "%u", mode_bits[mode]);
            if (strstr(modes, text) != NULL)
                excuse(c, what, mode);
        }
    }
    fclose(f);
    return true;
}

static void report(struct coverage *c)
{
    unsigned mode, id;

    for (mode = 0; mode < MODES; mode++) {
        unsigned rows = 0, seen = 0, excused = 0;

        for (id = 1; id < INSN_COUNT; id++) {
            if (!exists(mode, id))
                continue;
            rows++;
            seen += c->seen[mode][id];
            excused += !c->seen[mode][id] && c->excused[mode][id];
            if (c->seen[mode][id] || c->excused[mode][id])
                continue;
            printf("not covered in %u-bit code: %s\n", mode_bits[mode], names[id]);
            c->problems++;
        }
        printf("%u-bit code: %u of %u rows executed, %u explained\n", mode_bits[mode], seen, rows,
               excused);
    }
}

int main(int argc, char **argv)
{
    struct coverage *c = calloc(1, sizeof(*c));
    uint64_t sequences = DEFAULT_SEQUENCES;
    int i = 1, status = STATUS_SETUP;

    if (i + 1 < argc && strcmp(argv[i], "--sequences") == 0) {
        sequences = strtoull(argv[i + 1], NULL, 0);
        i += 2;
    }
    if (c == NULL || i >= argc) {
        fprintf(stderr, "usage: insn_coverage [--sequences N] EXCEPTIONS GUEST...\n");
        goto out;
    }
    const char *exceptions = argv[i++];
    for (; i < argc; i++)
        if (!run_guest(c, argv[i]))
            goto out;
    if (!run_sequences(c, sequences) || !read_exceptions(c, exceptions))
        goto out;
    report(c);
    status = c->problems != 0;
out:
    free(c);
    return status;
}
