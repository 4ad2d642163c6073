/* SPDX-License-Identifier: MIT */
/*
 * The machine: assembly, the run loop, the door, digests. See emu/machine.h.
 *
 * The loop stops the CPU where time or an input demands it, and nowhere else matters: where a run is
 * cut into slices (by the caller, by the source's horizon) changes nothing that a guest can see.
 * At each boundary, in this order: due timers, inputs, stop requests, then an interrupt if one is
 * open, then instructions.
 */
#include <emu/machine.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emu/boot.h>
#include <emu/cpu.h>

#include "../cpu/debugger.h"
#include "../cpu/watch.h"
#include "machine_internal.h"
#include "perturb.h"

const char *machine_stop_name(enum machine_stop why)
{
    static const char *const names[STOP_REASON_COUNT] = {
        [STOP_ICOUNT] = "icount",         [STOP_POWEROFF] = "poweroff",
        [STOP_EXIT] = "exit",             [STOP_RESET] = "reset",
        [STOP_TRIPLE_FAULT] = "triple-fault", [STOP_HALTED] = "halted",
        [STOP_USER] = "user",             [STOP_SOURCE] = "source",
        [STOP_LIVELOCK] = "livelock",     [STOP_DEBUG] = "debug",
    };

    return why < STOP_REASON_COUNT ? names[why] : "unknown";
}

/* --- assembly --- */

static void on_flagged_store(void *opaque, uint64_t page, uint64_t gpa, size_t len)
{
    struct machine *m = opaque;
    unsigned i;

    for (i = 0; i < m->ncpus; i++)
        cpu_before_flagged_store(&m->cpus[i], page, gpa, len);
    if (m->ram.flags[page] & RAM_WATCH)
        debugger_physical_store(&m->cpus[0], gpa, len);
}

static void on_protect(void *opaque, uint64_t page)
{
    struct machine *m = opaque;
    unsigned i;

    for (i = 0; i < m->ncpus; i++)
        mmu_protect(&m->cpus[i], page);
}

static int fail(char *err, size_t errlen, const char *text)
{
    snprintf(err, errlen, "%s", text);
    return -1;
}

static int check_config(const struct machine_config *c, char *err, size_t errlen)
{
    if (c->ram_bytes < (1u << 20) || c->ram_bytes > MACHINE_MAX_RAM || c->ram_bytes % (1u << 20)) {
        snprintf(err, errlen, "memory size must be a multiple of 1 MiB from 1M to %lluG",
                 (unsigned long long)(MACHINE_MAX_RAM >> 30));
        return -1;
    }
    if (c->firmware && c->bios.data == NULL)
        return fail(err, errlen, "a machine that starts in firmware needs an image of it");
    if (c->ns_per_insn == 0 || c->ns_per_insn > 1000000)
        return fail(err, errlen, "nanoseconds per instruction must be from 1 to 1000000");
    if (c->perturb.mean_icount > PERTURB_MAX_MEAN)
        return fail(err, errlen, "the mean distance of perturbations must be at most 2^40 instructions");
    return 0;
}

static uint64_t rom_bytes_of(const struct machine_config *c)
{
    return (c->bios.len + PAGE_OFFSET_MASK) & ~PAGE_OFFSET_MASK;
}

static int create_cpus(struct machine *m, unsigned n)
{
    unsigned i;

    m->cpus = calloc(n, sizeof(*m->cpus));
    if (m->cpus == NULL)
        return -1;
    for (i = 0; i < n; i++) {
        if (cpu_init(&m->cpus[i], m, i) != 0)
            return -1;
        m->ncpus++;
        machine_add_part(m, &cpu_desc, &m->cpus[i], cpu_reset);
    }
    return 0;
}

static uint64_t place_tables(struct machine *m)
{
    return m->board_type->place_tables == NULL ? 0 : m->board_type->place_tables(m->board, m);
}

/* What follows when power comes, or a reset, RAM being clear. */
static int begin(struct machine *m, char *err, size_t errlen)
{
    uint64_t rsdp;
    unsigned i;

    if (m->config.bios.data != NULL)
        ram_load_rom(&m->ram, m->config.bios.data, m->config.bios.len);
    m->a20_mask = true;
    m->stop_request = STOP_ICOUNT;
    for (i = 0; i < m->nparts; i++)
        if (m->parts[i].reset != NULL)
            m->parts[i].reset(m->parts[i].obj);
    rsdp = place_tables(m);
    for (i = 0; i < m->ncpus; i++)
        cpu_count_entry(&m->cpus[i], m->clock.icount);
    return boot_place(m, rsdp, err, errlen);
}

struct machine *machine_create(const struct machine_config *config,
                               const struct machine_board *board, char *err, size_t errlen)
{
    struct machine *m;

    if (check_config(config, err, errlen) != 0)
        return NULL;
    m = calloc(1, sizeof(*m));
    if (m == NULL) {
        fail(err, errlen, "out of memory");
        return NULL;
    }
    m->config = *config;
    m->board_type = board;
    m->a20_mask = true;
    clock_init(&m->clock, config->ns_per_insn);
    bus_init(&m->ports, "port", 0x10000);
    bus_init(&m->memory, "memory", UINT64_MAX);
    if (ram_init(&m->ram, config->ram_bytes, rom_bytes_of(config)) != 0) {
        snprintf(err, errlen, "cannot get %llu MiB of memory for the guest",
                 (unsigned long long)(config->ram_bytes >> 20));
        free(m);
        return NULL;
    }
    m->debugger = debugger_create();
    if (m->debugger == NULL) {
        fail(err, errlen, "out of memory");
        goto fail_destroy;
    }
    m->ram.opaque = m;
    m->ram.on_flagged_store = on_flagged_store;
    m->ram.on_protect = on_protect;
    machine_add_debug_sinks(m);
    perturb_add_sinks(m);
    perturb_init(m);
    machine_add_part(m, &clock_desc, &m->clock, NULL);
    if (create_cpus(m, 1) != 0) {
        fail(err, errlen, "out of memory");
        goto fail_destroy;
    }
    m->board = board->create(m, err, errlen);
    if (m->board == NULL)
        goto fail_destroy;
    if (begin(m, err, errlen) != 0)
        goto fail_destroy;
    m->cpus[0].entries = 0; /* power-on is moment 0, not a reset at it */
    return m;

fail_destroy:
    machine_destroy(m);
    return NULL;
}

void machine_destroy(struct machine *m)
{
    unsigned i;

    if (m == NULL)
        return;
    if (m->board != NULL)
        m->board_type->destroy(m->board);
    for (i = 0; i < m->ncpus; i++)
        cpu_fini(&m->cpus[i]);
    free(m->cpus);
    debugger_destroy(m->debugger);
    ram_fini(&m->ram);
    free(m);
}

void machine_add_part(struct machine *m, const struct state_desc *desc, void *obj,
                      void (*reset)(void *obj))
{
    struct machine_part *part = &m->parts[m->nparts++];
    unsigned i;

    part->desc = desc;
    part->obj = obj;
    part->reset = reset;
    for (i = 0; i + 1 < m->nparts; i++)
        if (m->parts[i].desc == desc)
            part->instance++;
}

int machine_reset(struct machine *m, char *err, size_t errlen)
{
    unsigned i;

    for (i = 0; i < m->ncpus; i++)
        blocks_flush(&m->cpus[i]);
    inspect_forget(m);
    ram_clear(&m->ram);
    /* The ROM does not count from here on (see there), whether or not there has been a digest before. */
    ram_digest(&m->ram);
    m->resets++;
    return begin(m, err, errlen);
}

/* The seed is in the CPUs' generators, and in what the boot loader leaves for the kernel. */
int machine_reseed(struct machine *m, uint64_t seed, char *err, size_t errlen)
{
    m->config.seed = seed;
    for (unsigned i = 0; i < m->ncpus; i++)
        cpu_reset(&m->cpus[i]);
    return boot_place(m, place_tables(m), err, errlen);
}

void machine_set_source(struct machine *m, const struct input_source *source)
{
    m->source = *source;
}

void machine_set_observer(struct machine *m, const struct machine_observer *observer)
{
    m->observer = *observer;
}

/* --- requests and outputs of devices --- */

void machine_request_stop(struct machine *m, enum machine_stop why)
{
    if (m->stop_request == STOP_ICOUNT)
        m->stop_request = why;
}

void machine_request_exit(struct machine *m, uint8_t code)
{
    m->exit_code = code;
    machine_request_stop(m, STOP_EXIT);
}

void machine_connect_ferr(struct machine *m, void (*ferr)(void *opaque), void *opaque)
{
    m->ferr = ferr;
    m->ferr_opaque = opaque;
}

void machine_ignore_fpu_error(struct machine *m)
{
    for (unsigned i = 0; i < m->ncpus; i++)
        if (m->cpus[i].pending & PENDING_FERR)
            m->cpus[i].pending |= PENDING_IGNNE;
}

void machine_set_a20(struct machine *m, bool open)
{
    unsigned i;

    if (m->a20_mask == open)
        return;
    m->a20_mask = open;
    for (i = 0; i < m->ncpus; i++)
        mmu_flush(&m->cpus[i]);
}

void machine_set_window(struct machine *m, unsigned block, enum ram_window what)
{
    if (m->ram.window[block] == what)
        return;
    ram_set_window(&m->ram, block, what);
    for (unsigned i = 0; i < m->ncpus; i++)
        mmu_flush(&m->cpus[i]);
    debugger_window_changed(m);
}

void machine_serial_out(struct machine *m, unsigned port, const uint8_t *data, size_t len)
{
    if (m->observer.serial_out != NULL)
        m->observer.serial_out(m->observer.opaque, port, data, len);
}

void machine_debug_out(struct machine *m, uint16_t port, uint8_t byte)
{
    if (m->observer.debug_out != NULL)
        m->observer.debug_out(m->observer.opaque, port, byte);
}

void machine_post_code(struct machine *m, uint8_t byte)
{
    if (m->observer.post_code != NULL)
        m->observer.post_code(m->observer.opaque, byte);
}

/* --- the loop --- */

static void deliver_input(struct machine *m, struct input *in)
{
    const struct input_sink *sink = input_door_find(&m->door, in->kind, in->port);

    in->icount = m->clock.icount;
    in->vns = clock_now_ns(&m->clock);
    if (m->observer.input != NULL)
        m->observer.input(m->observer.opaque, in);
    if (in->kind == INPUT_STOP)
        machine_request_stop(m, STOP_USER);
    else if (in->kind == INPUT_RESET)
        machine_request_stop(m, STOP_RESET);
    else if (sink != NULL)
        sink->deliver(sink->opaque, in->data, in->len);
}

/*
 * An input's stamp must name one boundary. An instruction that faulted after it had touched a device
 * leaves a second one at its icount, behind the exception's delivery: no input is taken there.
 */
static bool is_second_boundary(const struct machine *m)
{
    return m->cpus[0].retired_mark == m->clock.icount;
}

int machine_deliver(struct machine *m, const struct input *in)
{
    struct input stamped = *in;

    if (is_second_boundary(m))
        return -1;
    deliver_input(m, &stamped);
    return 0;
}

static void take_inputs(struct machine *m)
{
    struct input in;

    if (is_second_boundary(m))
        return;
    if (m->stop_request == STOP_ICOUNT)
        perturb_boundary(m);
    while (m->source.poll != NULL && m->stop_request == STOP_ICOUNT && m->source.poll(m->source.opaque, m, &in))
        deliver_input(m, &in);
}

/* Acknowledges and enters one interrupt. False: triple fault. */
static bool take_interrupt(struct machine *m, struct cpu *cpu)
{
    struct intr_ack ack;

    if (!cpu_take_interrupt(cpu, &ack))
        return true;
    if (m->observer.interrupt != NULL)
        m->observer.interrupt(m->observer.opaque, m->clock.icount, ack);
    perturb_interrupt_taken(m);
    if (watched(cpu, WATCH_INTERRUPT))
        watch_interrupt(cpu, ack);
    return cpu_enter_interrupt(cpu, ack.vector);
}

/* Nothing runs: lets time pass until something can happen. False: nothing ever will. */
static bool idle(struct machine *m, const struct cpu *cpu)
{
    uint64_t deadline = CLOCK_NEVER, until;

    /* With interrupts off, and no NMI to come, no timer can end the wait, only an input (reset, stop) can. */
    if (cpu_can_wake(cpu))
        deadline = clock_next_deadline_ns(&m->clock);
    until = deadline;
    if (m->source.wait != NULL)
        until = m->source.wait(m->source.opaque, m, deadline);
    if (until == CLOCK_NEVER)
        return false;
    clock_idle_until(&m->clock, until);
    return true;
}

static uint64_t slice_end(const struct machine *m, uint64_t icount)
{
    uint64_t end = icount, at = perturb_horizon(m);
    uint64_t deadline = clock_next_deadline_ns(&m->clock);

    if (at < end)
        end = at;
    if (deadline != CLOCK_NEVER) {
        at = clock_icount_at(&m->clock, deadline);
        if (at < end)
            end = at;
    }
    if (m->source.horizon != NULL) {
        at = m->source.horizon(m->source.opaque, m->clock.icount);
        if (at < end)
            end = at;
    }
    return end;
}

static enum machine_stop stop_reason(struct machine *m)
{
    enum machine_stop why = m->stop_request;

    m->stop_request = STOP_ICOUNT;
    return why;
}

struct moment machine_moment(const struct machine *m)
{
    uint64_t icount = m->clock.icount;

    return (struct moment){.icount = icount, .entries = cpu_entries(&m->cpus[0], icount)};
}

/* How far the CPU may run. At the icount asked for, each entry is a moment to look at. */
static uint64_t cpu_limit(struct machine *m, struct moment until)
{
    bool there = m->clock.icount == until.icount;

    m->cpus[0].stop_at_entry = there;
    return slice_end(m, there ? until.icount + 1 : until.icount);
}

enum machine_stop machine_run(struct machine *m, uint64_t icount)
{
    return machine_run_to(m, (struct moment){.icount = icount});
}

enum machine_stop machine_run_to(struct machine *m, struct moment until)
{
    struct cpu *cpu = &m->cpus[0];

    debugger_forget_hits(m->debugger);
    m->debugger->inspection.stop = false;
    debugger_refresh(m); /* without memory for it, breakpoints stay as they were */
    for (;;) {
        clock_run_due(&m->clock);
        take_inputs(m);
        if (m->debugger->nhits > 0 || m->debugger->inspection.stop)
            return STOP_DEBUG; /* a stop that was asked for as well is for the next run */
        if (m->stop_request != STOP_ICOUNT)
            return stop_reason(m);
        if (cpu->halted == 3)
            return STOP_TRIPLE_FAULT;
        if (!moment_before(machine_moment(m), until))
            return STOP_ICOUNT;
        if (unlikely(cpu->inspecting != INSPECT_NOTHING) && inspect_in_machine(m))
            return STOP_DEBUG;
        if (cpu_interrupt_ready(cpu) && !is_second_boundary(m))
            perturb_interrupt(m);
        if (cpu_wants_interrupt(cpu)) {
            if (!take_interrupt(m, cpu))
                return STOP_TRIPLE_FAULT;
            continue;
        }
        if (cpu->halted) {
            if (!idle(m, cpu))
                return STOP_HALTED;
            continue;
        }
        switch (cpu_run(cpu, cpu_limit(m, until))) {
        case CPU_EXIT_SHUTDOWN: return STOP_TRIPLE_FAULT;
        case CPU_EXIT_LIVELOCK: return STOP_LIVELOCK;
        default: break;
        }
    }
}

/* --- digest --- */

uint64_t machine_digest(struct machine *m)
{
    uint64_t sum = 0xcbf29ce484222325ULL;
    unsigned i;

    for (i = 0; i < m->nparts; i++)
        sum = (sum ^ state_digest(m->parts[i].desc, m->parts[i].obj)) * 0x100000001b3ULL +
              (uint64_t)i;
    sum = (sum ^ (uint64_t)m->a20_mask) * 0x100000001b3ULL;
    return (sum ^ ram_digest(&m->ram)) * 0x9e3779b97f4a7c15ULL;
}
