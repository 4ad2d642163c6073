/* SPDX-License-Identifier: MIT */
/*
 * A debugger's changes to memory and registers, as inputs: emu/debug.h. The same bytes change the same
 * things live, in a recording's replay and in a branch. Sinks take any bytes: a trace is hostile.
 */
#include <string.h>

#include <emu/cpu.h>
#include <emu/machine.h>
#include <emu/registers.h>

#include "machine_internal.h"

static void debug_memory(void *opaque, const uint8_t *data, size_t len)
{
    struct machine *m = opaque;
    uint64_t gpa;

    if (len < sizeof(gpa))
        return;
    memcpy(&gpa, data, sizeof(gpa));
    ram_write(&m->ram, gpa, data + sizeof(gpa), len - sizeof(gpa));
}

static void debug_register(void *opaque, const uint8_t *data, size_t len)
{
    struct machine *m = opaque;
    uint32_t head[2];

    if (len < sizeof(head))
        return;
    memcpy(head, data, sizeof(head));
    if (head[0] < CPU_REGISTER_COUNT && head[1] < m->ncpus &&
        len - sizeof(head) == cpu_register_info(head[0])->bytes)
        cpu_register_write(&m->cpus[head[1]], head[0], data + sizeof(head));
}

void machine_add_debug_sinks(struct machine *m)
{
    input_door_add(&m->door, &(struct input_sink){.kind = INPUT_DEBUG, .port = INPUT_DEBUG_MEMORY,
                                                  .deliver = debug_memory, .opaque = m});
    input_door_add(&m->door, &(struct input_sink){.kind = INPUT_DEBUG,
                                                  .port = INPUT_DEBUG_REGISTER,
                                                  .deliver = debug_register, .opaque = m});
}

int machine_debug_write(struct machine *m, uint64_t gpa, const void *data, size_t len)
{
    uint8_t bytes[8 + PAGE_BYTES];
    const uint8_t *from = data;
    size_t n;

    for (; len > 0; gpa += n, from += n, len -= n) {
        n = PAGE_BYTES - (size_t)(gpa & PAGE_OFFSET_MASK);
        if (n > len)
            n = len;
        if (ram_page_of(&m->ram, gpa) == UINT64_MAX)
            return -1;
        memcpy(bytes, &gpa, 8);
        memcpy(bytes + 8, from, n);
        if (machine_deliver(m, &(struct input){.kind = INPUT_DEBUG,
                                               .port = INPUT_DEBUG_MEMORY,
                                               .data = bytes,
                                               .len = 8 + n}) != 0)
            return -1;
    }
    return 0;
}

int machine_debug_set_register(struct machine *m, unsigned cpu, unsigned id, const uint8_t *value)
{
    uint8_t bytes[8 + CPU_REGISTER_MAX_BYTES];
    uint32_t head[2] = {id, cpu};

    if (id >= CPU_REGISTER_COUNT || cpu_register_info(id)->read_only)
        return -1;
    memcpy(bytes, head, sizeof(head));
    memcpy(bytes + 8, value, cpu_register_info(id)->bytes);
    return machine_deliver(m, &(struct input){.kind = INPUT_DEBUG,
                                              .port = INPUT_DEBUG_REGISTER,
                                              .data = bytes,
                                              .len = 8u + cpu_register_info(id)->bytes});
}
