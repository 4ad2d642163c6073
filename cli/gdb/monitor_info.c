/* SPDX-License-Identifier: MIT */
/* `monitor info` and the screen: state of the machine, looked at without touching it. */
#include <stdio.h>

#include "monitor.h"

#include <inttypes.h>
#include <string.h>

#include <devices/pc.h>
#include <emu/cpu.h>
#include <emu/registers.h>

#include "../report.h"

int monitor_screen(struct monitor_call *call)
{
    char screen[VGA_TEXT_SCREEN_BYTES];

    vga_text_screen(&pc_of(call->s->m)->vga, screen);
    fputs(screen, call->out);
    return 0;
}

/* --- parts of the machine, field by field --- */

static void print_field(void *user, const char *path, uint64_t value, unsigned width)
{
    fprintf(user, "  %-40s %0*" PRIx64 "\n", path, (int)width * 2, value);
}

/* Every part of that description. */
static void print_parts(struct monitor_call *call, const char *name)
{
    const struct machine *m = call->s->m;

    for (unsigned i = 0; i < m->nparts; i++) {
        const struct machine_part *part = &m->parts[i];

        if (strcmp(part->desc->name, name) != 0)
            continue;
        fprintf(call->out, "%s %u\n", name, part->instance);
        state_visit(part->desc, part->obj, print_field, call->out);
    }
}

static int info_cpu(struct monitor_call *call)
{
    report_cpu(call->s->m, call->out);
    return 0;
}

static int info_pic(struct monitor_call *call)
{
    print_parts(call, "i8259");
    return 0;
}

static int info_apic(struct monitor_call *call)
{
    print_parts(call, "lapic");
    print_parts(call, "ioapic");
    return 0;
}

static int info_pit(struct monitor_call *call)
{
    print_parts(call, "i8254");
    return 0;
}

/* All, or one by its name. */
static int info_devices(struct monitor_call *call)
{
    const struct machine *m = call->s->m;

    if (call->n > 1) {
        print_parts(call, call->words[1]);
        return 0;
    }
    for (unsigned i = 0; i < m->nparts; i++)
        fprintf(call->out, "%-14s %u  %zu bytes of state\n", m->parts[i].desc->name,
                m->parts[i].instance, state_saved_size(m->parts[i].desc));
    fputs("(info devices NAME shows one)\n", call->out);
    return 0;
}

int monitor_registers(struct monitor_call *call)
{
    uint8_t value[CPU_REGISTER_MAX_BYTES];

    for (unsigned id = 0; id < CPU_REGISTER_COUNT; id++) {
        const struct cpu_register_info *info = cpu_register_info(id);

        cpu_register_read(&call->s->m->cpus[0], id, value);
        fprintf(call->out, "%-10s ", info->name);
        for (unsigned i = info->bytes; i-- > 0;)
            fprintf(call->out, "%02x", value[i]);
        fputc('\n', call->out);
    }
    return 0;
}

int monitor_info(struct monitor_call *call)
{
    static const struct {
        const char *name;
        monitor_fn *run;
    } topics[] = {
        {"cpu", info_cpu},         {"registers", monitor_registers}, {"pic", info_pic},
        {"apic", info_apic},       {"lapic", info_apic},             {"pit", info_pit},
        {"tlb", monitor_info_tlb}, {"mem", monitor_info_mem},        {"devices", info_devices},
        {"screen", monitor_screen}, {"checkpoints", monitor_checkpoints},
    };

    for (size_t i = 0; call->n > 0 && i < sizeof(topics) / sizeof(topics[0]); i++) {
        if (strcmp(topics[i].name, call->words[0]) != 0)
            continue;
        if (topics[i].run == monitor_checkpoints && call->s->timeline == NULL)
            break;
        return topics[i].run(call);
    }
    fputs("info takes cpu, registers, pic, apic, pit, tlb, mem, devices, screen or, in a replay, "
          "checkpoints\n",
          call->out);
    return -1;
}
