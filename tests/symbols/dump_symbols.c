/* SPDX-License-Identifier: MIT */
/*
 * Shows what the symbols library finds in the guest of a trace, at its end or after N instructions:
 *
 *     dump_symbols TRACE [--until N] [COMMAND ...]
 *
 *     kallsyms           the kernel's symbols, as /proc/kallsyms prints them
 *     layout             where its tables are, and how long reading took
 *     describe ADDRESS   name+offset/size
 *     elf FILE           writes the ELF file of symbols, with call frames if there are any
 *     core FILE          writes a core file of the CPU
 *     until N            goes on to that instruction
 *     seek ADDRESS       goes on, an instruction at a time, until RIP is that
 *     step N             goes on N instructions
 *     vmlinux FILE       whether that is the kernel, how far it was moved, how many symbols agree
 *     blind FILE         the same, without a look at kallsyms
 *     kernel             its banner and build-id
 *     modules            the modules, their sections and symbols
 *     libraries DIR      gdb's list of libraries, with files of DIR
 *
 * kallsyms, describe and elf know of modules too, when `modules` was asked for before.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <devices/pc.h>
#include <emu/cpu.h>
#include <emu/machine.h>
#include <replay/player.h>
#include <symbols/elf_file.h>
#include <symbols/elf_image.h>
#include <symbols/kallsyms.h>
#include <symbols/kernel.h>
#include <symbols/modules.h>
#include <symbols/orc.h>

#include "core_file.h"

struct session {
    struct player *player;
    const struct cpu *cpu;
    struct symbols_memory memory;
    struct symbols_hints hints;
    struct symbol_table *table;  /* the guest's kallsyms, once asked for */
    struct module_list *modules; /* once asked for */
    struct kallsyms_layout layout;
    double seconds; /* that reading them took */
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "dump_symbols: %s%s%s\n", what, *why != '\0' ? ": " : "", why);
    exit(1);
}

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static size_t peek(void *user, uint64_t gva, void *out, size_t len)
{
    return cpu_peek(user, gva, out, len);
}

static void open_session(struct session *s, const char *path, uint64_t until)
{
    char err[512];
    enum player_status status;
    struct cpu *cpu;

    s->player = player_open(path, &pc_board, err, sizeof(err));
    if (s->player == NULL)
        die(err, "");
    status = player_run(s->player, until);
    if (status == PLAYER_DIVERGED || status == PLAYER_ERROR)
        die(path, "does not replay");
    cpu = &player_machine(s->player)->cpus[0];
    s->cpu = cpu;
    s->memory = (struct symbols_memory){.read = peek, .user = cpu};
    s->hints = (struct symbols_hints){
        .struct_size = sizeof(s->hints),
        .long_mode = (cpu->efer & EFER_LMA) != 0,
        .lstar = cpu->lstar,
        .sysenter_eip = cpu->sysenter_eip,
        .idt_base = cpu->idtr.base,
        .idt_limit = cpu->idtr.limit,
        .rip = cpu->rip,
    };
}

static struct symbol_table *kernel_symbols(struct session *s)
{
    char err[256];

    if (s->table == NULL) {
        double start = now();

        if (kallsyms_read(&s->memory, &s->hints, &s->table, &s->layout, err, sizeof(err)) < 0)
            die(err, "");
        s->seconds = now() - start;
    }
    return s->table;
}

/* --- commands --- */

static void print_kallsyms(struct session *s, const char *unused)
{
    const struct symbol_table *t = kernel_symbols(s);

    (void)unused;
    for (size_t i = 0; i < symbol_table_count(t); i++) {
        const struct symbol *sym = symbol_table_at(t, i);

        printf("%0*" PRIx64 " %c %s\n", s->hints.long_mode ? 16 : 8, sym->address, sym->type,
               sym->name);
    }
}

static void print_layout(struct session *s, const char *unused)
{
    size_t count = symbol_table_count(kernel_symbols(s));

    (void)unused;
    printf("names %" PRIx64 " markers %" PRIx64 " tokens %" PRIx64 " offsets %" PRIx64
           " base %" PRIx64 "%s%s\n",
           s->layout.names, s->layout.markers, s->layout.token_table, s->layout.offsets,
           s->layout.relative_base, s->layout.absolute_percpu ? " absolute-percpu" : "",
           s->layout.plain_addresses ? " plain" : "");
    printf("%zu symbols in %.1f ms\n", count, s->seconds * 1e3);
}

static void describe(struct session *s, const char *address)
{
    char text[256];

    puts(symbol_table_describe(kernel_symbols(s), strtoull(address, NULL, 16), text, sizeof(text)));
}

static void write_file(const char *path, const uint8_t *data, size_t len)
{
    FILE *f = fopen(path, "wb");

    if (f == NULL || fwrite(data, 1, len, f) != len || fclose(f) != 0)
        die(path, "cannot be written");
}

/* The kernel's, and those of modules if they are known. */
static int read_frames(struct session *s, uint8_t **frames, size_t *len, char *err, size_t errlen)
{
    size_t count = s->modules != NULL ? s->modules->count : 0;
    struct orc_place *places = calloc(count + 1, sizeof(*places));
    int status;

    orc_find_place(s->table, &places[0]);
    for (size_t i = 0; i < count; i++)
        places[i + 1] = s->modules->modules[i].orc;
    status = orc_read_frames_at(&s->memory, places, count + 1, s->table, frames, len, err, errlen);
    free(places);
    return status;
}

static void write_elf(struct session *s, const char *path)
{
    struct elf_image_options o = {.struct_size = sizeof(o), .bits = s->hints.long_mode ? 64 : 32};
    uint8_t *image, *frames = NULL;
    size_t len;
    char err[256];
    double start;

    kernel_symbols(s);
    start = now();
    if (read_frames(s, &frames, &o.debug_frame_len, err, sizeof(err)) < 0)
        fprintf(stderr, "no call frames: %s\n", err);
    o.debug_frame = frames;
    if (elf_image_build(kernel_symbols(s), &o, &image, &len, err, sizeof(err)) < 0)
        die(err, "");
    fprintf(stderr, "%zu bytes of frames, %zu in all, in %.1f ms\n", o.debug_frame_len, len,
            (now() - start) * 1e3);
    write_file(path, image, len);
    free(frames);
    free(image);
}

static void write_core(struct session *s, const char *path)
{
    if (!core_file_write(path, s->cpu))
        die(path, "cannot be written");
}

/* Goes on to an instruction. */
static void run_until(struct session *s, const char *icount)
{
    enum player_status status = player_run(s->player, strtoull(icount, NULL, 0));

    if (status == PLAYER_DIVERGED || status == PLAYER_ERROR)
        die("the trace does not replay", "");
}

static size_t count_equal(const struct symbol_table *a, const struct symbol_table *b)
{
    size_t n = 0;

    for (size_t i = 0; i < symbol_table_count(a); i++) {
        const struct symbol *s = symbol_table_at(a, i);
        const struct symbol *t = symbol_table_by_name(b, s->name);

        n += t != NULL && t->address == symbol_table_by_name(a, s->name)->address;
    }
    return n;
}

static void place_vmlinux(struct session *s, const char *path, const struct symbol_table *guest)
{
    char err[512];
    struct elf_file *f = elf_file_open(path, err, sizeof(err));
    struct symbol_table *linked = NULL, *moved = NULL;
    struct kernel_place place;
    double start;

    if (f == NULL || elf_file_symbols(f, 0, &linked, err, sizeof(err)) < 0)
        die(err, "");
    start = now();
    if (kernel_find_place(&s->memory, &s->hints, guest, f, linked, &place, err, sizeof(err)) < 0)
        die(err, "");
    printf("offset %" PRIx64 " by %s%s", place.offset, kernel_evidence_name(place.evidence),
           place.verified ? ", verified" : "");
    fprintf(stderr, "%zu symbols, place found in %.2f ms\n", symbol_table_count(linked),
            (now() - start) * 1e3);
    if (elf_file_symbols(f, place.offset, &moved, err, sizeof(err)) < 0)
        die(err, "");
    if (guest != NULL)
        printf(", %zu of %zu symbols agree", count_equal(guest, moved), symbol_table_count(guest));
    putchar('\n');
    symbol_table_destroy(moved);
    symbol_table_destroy(linked);
    elf_file_close(f);
}

static void vmlinux(struct session *s, const char *path)
{
    place_vmlinux(s, path, kernel_symbols(s));
}

static void vmlinux_blind(struct session *s, const char *path)
{
    place_vmlinux(s, path, NULL);
}

static void print_kernel(struct session *s, const char *unused)
{
    char banner[256] = "unknown", text[2 * BUILD_ID_MAX + 1];
    struct build_id id = {.len = 0};

    (void)unused;
    kernel_read_banner(&s->memory, kernel_symbols(s), banner, sizeof(banner));
    kernel_read_build_id(&s->memory, kernel_symbols(s), &id);
    printf("%s\n%s\n", banner, build_id_text(&id, text, sizeof(text)));
}

static void print_modules(struct session *s, const char *unused)
{
    char err[256], id[2 * BUILD_ID_MAX + 1];
    struct symbol_table *all = symbol_table_create();
    double start;

    (void)unused;
    kernel_symbols(s);
    start = now();
    if (modules_read(&s->memory, s->table, &s->modules, err, sizeof(err)) < 0)
        die(err, "");
    if (symbol_table_append(all, s->table) < 0 ||
        modules_add_symbols(&s->memory, s->modules, all) < 0 || symbol_table_finish(all) < 0)
        die("no memory", "");
    fprintf(stderr, "%zu modules, %zu symbols, in %.1f ms\n", s->modules->count,
            symbol_table_count(all) - symbol_table_count(s->table), (now() - start) * 1e3);
    for (size_t i = 0; i < s->modules->count; i++) {
        const struct guest_module *m = &s->modules->modules[i];

        printf("module %s %s%s\n", m->name, build_id_text(&m->build_id, id, sizeof(id)),
               m->live ? " live" : "");
        for (size_t n = 0; n < m->section_count; n++)
            printf("section %s %s 0x%016" PRIx64 "\n", m->name, m->sections[n].name,
                   m->sections[n].address);
    }
    symbol_table_destroy(s->table);
    s->table = all;
}

static void print_libraries(struct session *s, const char *dir)
{
    char err[512], warning[512];
    struct module_files *files = module_files_scan(dir, err, sizeof(err));
    char *xml;

    if (files == NULL)
        die(err, "");
    if (s->modules == NULL)
        die("libraries", "ask for modules before");
    if (modules_library_list(s->modules, files, &xml, warning, sizeof(warning), err, sizeof(err)) < 0)
        die(err, "");
    module_files_destroy(files);
    if (warning[0] != '\0')
        fprintf(stderr, "warning: %s\n", warning);
    fputs(xml, stdout);
    free(xml);
}

static void seek(struct session *s, const char *address)
{
    uint64_t rip = strtoull(address, NULL, 16);
    const struct clock *clock = &player_machine(s->player)->clock;

    for (uint32_t i = 0; i < 100000000 && s->cpu->rip != rip; i++)
        if (player_run(s->player, clock->icount + 1) != PLAYER_EXACT)
            die(address, "not reached");
    printf("at instruction %" PRIu64 "\n", clock->icount);
}

static void step(struct session *s, const char *count)
{
    uint64_t icount = player_machine(s->player)->clock.icount + strtoull(count, NULL, 0);

    if (player_run(s->player, icount) != PLAYER_EXACT)
        die("step", "the trace ends");
}

static const struct command {
    const char *name;
    void (*run)(struct session *s, const char *arg);
    bool takes_arg;
} commands[] = {
    {"kallsyms", print_kallsyms, false},
    {"layout", print_layout, false},
    {"describe", describe, true},
    {"elf", write_elf, true},
    {"core", write_core, true},
    {"until", run_until, true},
    {"seek", seek, true},
    {"step", step, true},
    {"vmlinux", vmlinux, true},
    {"blind", vmlinux_blind, true},
    {"kernel", print_kernel, false},
    {"modules", print_modules, false},
    {"libraries", print_libraries, true},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    die("no such command", name);
    return NULL;
}

int main(int argc, char **argv)
{
    struct session s = {0};
    uint64_t until = UINT64_MAX;
    int i = 2;

    if (argc < 2)
        die("dump_symbols TRACE [--until N] [COMMAND ...]", "");
    if (argc > 3 && strcmp(argv[2], "--until") == 0) {
        until = strtoull(argv[3], NULL, 0);
        i = 4;
    }
    open_session(&s, argv[1], until);
    while (i < argc) {
        const struct command *c = find_command(argv[i++]);

        if (c->takes_arg && i == argc)
            die(c->name, "needs an argument");
        c->run(&s, c->takes_arg ? argv[i++] : "");
    }
    module_list_destroy(s.modules);
    symbol_table_destroy(s.table);
    player_destroy(s.player);
    return 0;
}
