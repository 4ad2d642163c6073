/* SPDX-License-Identifier: MIT */
/*
 * The machine as gdbstub sees it: registers, memory, points, objects. Looking changes nothing; changes go
 * through run.c.
 *
 * Memory packets are about virtual addresses, translated by the page tables in force whatever the
 * privilege level; after `Qqemu.PhyMemMode:1` (QEMU's packet; gdb: maintenance packet Qqemu.PhyMemMode:1)
 * they are about guest-physical ones.
 */
#include "session_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <emu/cpu.h>
#include <emu/registers.h>

#include "../guest_symbols.h"

void session_say(struct session *s, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    gdbstub_console(s->stub, text, strlen(text));
}

/* --- registers --- */

static int read_register(void *user, gdbstub_thread thread, unsigned reg, uint8_t *out)
{
    const struct session *s = user;

    register_view_read(&s->view, &s->m->cpus[thread - 1], reg, out);
    return 0;
}

static int write_register(void *user, gdbstub_thread thread, unsigned reg, const uint8_t *value)
{
    struct session *s = user;
    uint8_t wide[GDBSTUB_MAX_REGISTER];

    register_view_widen(&s->view, reg, value, wide);
    return session_set_register(s, thread - 1, s->view.id[reg], wide);
}

/* --- memory --- */

static size_t read_physical(const struct session *s, uint64_t gpa, uint8_t *out, size_t len)
{
    for (size_t done = 0; done < len; done++) {
        if (gpa + done < gpa)
            return done;
        if (ram_page_of(&s->m->ram, gpa + done) != UINT64_MAX)
            out[done] = *ram_host(&s->m->ram, gpa + done);
        else
            out[done] = (uint8_t)bus_peek(&s->m->memory, gpa + done, 1);
    }
    return len;
}

static size_t read_memory(void *user, uint64_t address, uint8_t *out, size_t len)
{
    const struct session *s = user;
    size_t n = s->physical ? read_physical(s, address, out, len) : cpu_peek(&s->m->cpus[0], address, out, len);

    return s->timeline == NULL || timeline_check(s->timeline) == TIMELINE_THERE ? n : 0;
}

static uint64_t translate(const struct session *s, uint64_t address)
{
    return s->physical ? address : cpu_peek_translate(&s->m->cpus[0], address);
}

/* Bytes from `address` to the end of its page, `len` at most. */
static size_t piece(uint64_t address, size_t len)
{
    size_t room = PAGE_BYTES - (size_t)(address & PAGE_OFFSET_MASK);

    return len < room ? len : room;
}

static int write_memory(void *user, uint64_t address, const uint8_t *data, size_t len)
{
    struct session *s = user;
    size_t at, n;

    for (at = 0; at < len; at += n) {
        uint64_t gpa = translate(s, address + at);

        n = piece(address + at, len - at);
        if (gpa == UINT64_MAX || ram_page_of(&s->m->ram, gpa) == UINT64_MAX)
            return -1;
    }
    for (at = 0; at < len; at += n) {
        n = piece(address + at, len - at);
        if (session_write_memory(s, translate(s, address + at), data + at, n) != 0)
            return -1;
    }
    return 0;
}

/* --- running --- */

static int resume(void *user, const struct gdbstub_resume *how)
{
    struct session *s = user;

    s->action = how->actions[how->first];
    s->interrupt = false;
    return 0;
}

static void interrupt(void *user)
{
    ((struct session *)user)->interrupt = true;
}

static int insert_point(void *user, const struct gdbstub_point *point)
{
    return session_insert_point(user, point);
}

static int remove_point(void *user, const struct gdbstub_point *point)
{
    return session_remove_point(user, point);
}

static void detach(void *user)
{
    ((struct session *)user)->detached = true;
}

static void kill_session(void *user)
{
    ((struct session *)user)->killed = true;
}

static int restart(void *user)
{
    struct session *s = user;
    enum timeline_status status;

    if (s->timeline == NULL)
        return -1;
    status = timeline_seek(s->timeline, (struct moment){.icount = 0});
    return status == TIMELINE_THERE ? 0 : -1;
}

/* --- threads: a CPU is one --- */

static size_t threads(void *user, gdbstub_thread *out, size_t capacity)
{
    const struct session *s = user;

    for (unsigned i = 0; i < s->m->ncpus && i < capacity; i++)
        out[i] = SESSION_THREAD(i);
    return s->m->ncpus;
}

static const char *thread_name(void *user, gdbstub_thread thread)
{
    static const char *const names[] = {"CPU 0", "CPU 1", "CPU 2", "CPU 3",
                                        "CPU 4", "CPU 5", "CPU 6", "CPU 7"};

    (void)user;
    return thread <= sizeof(names) / sizeof(names[0]) ? names[thread - 1] : "CPU";
}

static const char *thread_extra(void *user, gdbstub_thread thread)
{
    static char text[64];
    static const char *const modes[] = {
        [CODE_16] = "16-bit", [CODE_32] = "32-bit", [CODE_64] = "64-bit"};
    static const char *const states[] = {"running", "halted", "waiting for SIPI", "shut down"};
    const struct cpu *cpu = &((const struct session *)user)->m->cpus[thread - 1];

    snprintf(text, sizeof(text), "%s, CPL %u, %s", states[cpu->halted & 3], cpu->cpl,
             cpu->cr0 & CR0_PE ? modes[cpu_code_size(cpu)] : "real mode");
    return text;
}

/* --- objects --- */

static const char memory_map[] =
    "<?xml version=\"1.0\"?>\n"
    "<!DOCTYPE memory-map PUBLIC \"+//IDN gnu.org//DTD GDB Memory Map V1.0//EN\" "
    "\"http://sourceware.org/gdb/gdb-memory-map.dtd\">\n"
    "<memory-map><memory type=\"ram\" start=\"0x0\" length=\"0xffffffffffffffff\"/></memory-map>\n";

static const char *object(void *user, const char *name, const char *annex, size_t *len)
{
    struct session *s = user;
    const char *text = NULL;

    if (strcmp(name, "features") == 0 && strcmp(annex, "target.xml") == 0)
        text = s->description;
    else if (strcmp(name, "memory-map") == 0)
        text = memory_map;
    else if (strcmp(name, "exec-file") == 0)
        text = guest_symbols_exec_file(s->symbols);
    else if (strcmp(name, "libraries") == 0)
        text = guest_symbols_libraries(s->symbols);
    if (text != NULL)
        *len = strlen(text);
    return text;
}

static const char *const objects[] = {"features", "memory-map", "exec-file", "libraries", NULL};

static const uint8_t *file(void *user, const char *path, size_t *len)
{
    return guest_symbols_file(((struct session *)user)->symbols, path, len);
}

static bool offsets(void *user, uint64_t *text, uint64_t *data)
{
    uint64_t offset;

    if (!guest_symbols_offset(((struct session *)user)->symbols, &offset))
        return false;
    *text = *data = offset;
    return true;
}

/* --- the rest --- */

static int monitor(void *user, struct gdbstub *stub, const char *command)
{
    (void)stub;
    return session_monitor(user, command);
}

static bool packet(void *user, const char *text, char *reply, size_t capacity)
{
    struct session *s = user;

    if (strcmp(text, "qqemu.PhyMemMode") == 0) {
        snprintf(reply, capacity, "%d", s->physical);
        return true;
    }
    if (strncmp(text, "Qqemu.PhyMemMode:", 17) != 0)
        return false;
    s->physical = text[17] == '1';
    snprintf(reply, capacity, "OK");
    return true;
}

#define MEMBERS                                                                                    \
    .read_register = read_register, .write_register = write_register, .read_memory = read_memory,  \
    .write_memory = write_memory, .resume = resume, .interrupt = interrupt,                        \
    .can_range_step = true, .insert_point = insert_point, .remove_point = remove_point,            \
    .threads = threads, .thread_name = thread_name, .thread_extra = thread_extra,                  \
    .object = object, .objects = objects, .file = file, .offsets = offsets, .monitor = monitor,    \
    .restart = restart, .detach = detach, .kill = kill_session, .packet = packet

struct gdbstub_target session_target(const struct session *s)
{
    struct gdbstub_target target = {.struct_size = sizeof(target), MEMBERS};

    register_view_fill(&s->view, &target);
    target.can_reverse = s->timeline != NULL;
    return target;
}
