/* SPDX-License-Identifier: MIT */
/*
 * A target with all that the example lacks, for gdb to look at: an x86-64 with two threads that
 * have names, an executable to be read from it and moved, and every reason to stop, told beforehand
 * by "monitor next REASON".
 *
 *     rich_target ADDRESS EXECUTABLE
 *
 * Nothing is executed: a step adds one to rip, a continue sixteen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gdbstub/server.h>

#define NREGS  24u /* gdb's rax .. r15, rip, eflags, cs .. gs */
#define RIP    16u
#define BASE   0x10000u
#define MEMORY 0x10000u
#define MOVED  0x7000000u

static uint16_t sizes[NREGS];
static uint64_t regs[3][NREGS];
static uint8_t memory[MEMORY];
static uint8_t *executable;
static size_t executable_len;
static struct gdbstub_stop next;
static enum gdbstub_action action;

static int read_register(void *user, gdbstub_thread thread, unsigned reg, uint8_t *out)
{
    (void)user;
    memcpy(out, &regs[thread][reg], sizes[reg]);
    return 0;
}

static int write_register(void *user, gdbstub_thread thread, unsigned reg, const uint8_t *value)
{
    (void)user;
    memcpy(&regs[thread][reg], value, sizes[reg]);
    return 0;
}

static size_t read_memory(void *user, uint64_t address, uint8_t *out, size_t len)
{
    uint64_t at = address - BASE;

    (void)user;
    if (at >= MEMORY)
        return 0;
    len = len < MEMORY - at ? len : (size_t)(MEMORY - at);
    memcpy(out, memory + at, len);
    return len;
}

static int write_memory(void *user, uint64_t address, const uint8_t *data, size_t len)
{
    uint64_t at = address - BASE;

    (void)user;
    if (at >= MEMORY || len > MEMORY - at)
        return -1;
    memcpy(memory + at, data, len);
    return 0;
}

static int resume(void *user, const struct gdbstub_resume *how)
{
    (void)user;
    action = how->actions[how->first].action;
    regs[how->actions[how->first].thread][RIP] += action == GDBSTUB_STEP ? 1 : 16;
    return 0;
}

static void interrupt(void *user)
{
    (void)user;
}

static int point(void *user, const struct gdbstub_point *p)
{
    (void)user;
    (void)p;
    return 0;
}

static size_t threads(void *user, gdbstub_thread *out, size_t capacity)
{
    (void)user;
    for (size_t i = 0; i < 2 && i < capacity; i++)
        out[i] = (gdbstub_thread)(i + 1);
    return 2;
}

static const char *thread_name(void *user, gdbstub_thread thread)
{
    (void)user;
    return thread == 1 ? "CPU 0" : "CPU <1>";
}

static const char *thread_extra(void *user, gdbstub_thread thread)
{
    (void)user;
    return thread == 1 ? "running, CPL 0" : "halted & idle";
}

static const char *object(void *user, const char *name, const char *annex, size_t *len)
{
    static const char features[] =
        "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">"
        "<target><architecture>i386:x86-64</architecture></target>";
    static const char map[] =
        "<memory-map><memory type=\"ram\" start=\"0x10000\" length=\"0x8000\"/>"
        "</memory-map>";
    static const char libraries[] = "<library-list></library-list>";
    const char *text = strcmp(name, "features") == 0 && strcmp(annex, "target.xml") == 0 ? features
                       : strcmp(name, "memory-map") == 0                                 ? map
                       : strcmp(name, "libraries") == 0                                  ? libraries
                       : strcmp(name, "exec-file") == 0                                  ? "/prog"
                                                                                         : NULL;

    (void)user;
    *len = text ? strlen(text) : 0;
    return text;
}

static const uint8_t *file(void *user, const char *path, size_t *len)
{
    (void)user;
    *len = executable_len;
    return strcmp(path, "/prog") == 0 ? executable : NULL;
}

static bool offsets(void *user, uint64_t *text, uint64_t *data)
{
    (void)user;
    *text = *data = MOVED;
    return true;
}

static int monitor(void *user, struct gdbstub *stub, const char *command)
{
    static const char *const reasons[] = {"signal",  "swbreak", "hwbreak", "watch",
                                          "rwatch",  "awatch",  "begin",   "end",
                                          "library", "exec",    "exited",  "terminated"};
    char text[256];

    (void)user;
    for (unsigned i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
        if (strncmp(command, "next ", 5) != 0 || strcmp(command + 5, reasons[i]) != 0)
            continue;
        next.kind = (enum gdbstub_stop_kind)i;
        snprintf(text, sizeof(text), "the next stop is %s\n", reasons[i]);
        gdbstub_console(stub, text, strlen(text));
        return 0;
    }
    gdbstub_console(stub, "no such command\n", 16);
    return -1;
}

static int restart(void *user)
{
    (void)user;
    memset(regs, 0, sizeof(regs));
    regs[1][RIP] = BASE;
    regs[2][RIP] = BASE + 0x100;
    return 0;
}

static void read_executable(const char *path)
{
    FILE *f = fopen(path, "rb");

    if (!f) {
        perror(path);
        exit(2);
    }
    executable = malloc(16u << 20);
    executable_len = executable ? fread(executable, 1, 16u << 20, f) : 0;
    fclose(f);
}

static void stop(struct gdbstub *s)
{
    struct gdbstub_stop now = next;

    if (action == GDBSTUB_STEP)
        now.kind = GDBSTUB_STOP_SIGNAL;
    else
        next.kind = GDBSTUB_STOP_SIGNAL;
    now.thread = 1;
    now.address = BASE + 0x40;
    now.path = "/nowhere";
    now.code = 7;
    gdbstub_console(s, "said while running\n", 19);
    gdbstub_stopped(s, &now);
}

int main(int argc, char **argv)
{
    static const char *const objects[] = {"features", "memory-map", "libraries", "exec-file", NULL};
    const struct gdbstub_target target = {
        .struct_size = sizeof(target),
        .register_bytes = sizes,
        .nregisters = NREGS,
        .ng = NREGS,
        .read_register = read_register,
        .write_register = write_register,
        .read_memory = read_memory,
        .write_memory = write_memory,
        .resume = resume,
        .interrupt = interrupt,
        .insert_point = point,
        .remove_point = point,
        .threads = threads,
        .thread_name = thread_name,
        .thread_extra = thread_extra,
        .object = object,
        .objects = objects,
        .file = file,
        .offsets = offsets,
        .monitor = monitor,
        .restart = restart,
    };
    struct gdbstub_server *v;
    struct gdbstub *s;
    char err[256] = "";

    if (argc != 3)
        return 2;
    for (unsigned reg = 0; reg < NREGS; reg++)
        sizes[reg] = reg <= RIP ? 8 : 4;
    read_executable(argv[2]);
    restart(NULL);
    s = gdbstub_create(&target, NULL);
    v = s ? gdbstub_server_open(argv[1], s, err, sizeof(err)) : NULL;
    fprintf(stderr, v ? "target remote %s\n" : "%s\n", v ? gdbstub_server_address(v) : err);
    while (v && !(gdbstub_server_poll(v, gdbstub_running(s) ? 0 : -1) & GDBSTUB_SERVER_ENDED))
        if (gdbstub_running(s))
            stop(s);
    gdbstub_server_close(v);
    gdbstub_destroy(s);
    free(executable);
    return !v;
}
