/* SPDX-License-Identifier: MIT */
/* --io, --msrs and --crs: accesses to ports, devices in memory, model-specific and control registers. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "values.h"

/* --- ports and memory --- */

static bool is_in_ranges(const struct trace_options *o, uint64_t address, unsigned size)
{
    for (size_t i = 0; i < o->io_nranges; i++)
        if (address <= o->io_ranges[i].last && o->io_ranges[i].first <= address + size - 1)
            return true;
    return o->io_nranges == 0;
}

/* "outb", "readl" */
static const char *access_name(enum watch_kind kind, unsigned size)
{
    static const char *const names[4][4] = {
        {"inb", "inw", "inl", "inq"},
        {"outb", "outw", "outl", "outq"},
        {"readb", "readw", "readl", "readq"},
        {"writeb", "writew", "writel", "writeq"},
    };

    return names[kind - WATCH_PORT_READ][size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3];
}

static bool is_port(const struct watch_event *ev)
{
    return ev->kind == WATCH_PORT_READ || ev->kind == WATCH_PORT_WRITE;
}

/* Bytes that a device takes for characters. */
static bool is_character(const struct watch_event *ev, const struct bus_range *range)
{
    return ev->size == 1 && ev->value >= ' ' && ev->value <= '~' && range != NULL && ev->address == range->base &&
           (strncmp(range->name, "com", 3) == 0 || strncmp(range->name, "debug console", 13) == 0);
}

static void json_io(struct tracer *t, const struct watch_event *ev, const struct stamp *at,
                    const struct bus_range *range)
{
    record_begin(t, at, "io");
    record_text(t, "space", is_port(ev) ? "port" : "memory");
    record_text(t, "access",
              ev->kind == WATCH_PORT_READ || ev->kind == WATCH_MMIO_READ ? "read" : "write");
    record_address(t, "address", ev->address);
    record_number(t, "size", ev->size);
    record_address(t, "value", ev->value);
    if (range != NULL)
        record_text(t, "device", range->name);
    record_code(t, "rip", "symbol", ev->rip);
    record_number(t, "cpl", ev->cpl);
    record_end(t);
}

static void on_io(struct tracer *t, const struct watch_event *ev)
{
    const struct bus_range *range = bus_find(is_port(ev) ? &t->m->ports : &t->m->memory, ev->address);
    struct stamp at = stamp_of(t, ev->at);
    struct text text = {.len = 0};

    if (!is_in_ranges(t->options, ev->address, ev->size))
        return;
    if (t->out.json) {
        json_io(t, ev, &at, range);
        return;
    }
    text_add(&text, "%-6s %" PRIx64 " = 0x%0*" PRIx64, access_name(ev->kind, ev->size), ev->address,
             (int)(2 * ev->size), ev->value);
    if (is_character(ev, range))
        text_add(&text, " '%c'", (char)ev->value);
    text_add(&text, "  %s  at ", range != NULL ? range->name : "(nobody)");
    add_code(t, &text, ev->rip);
    out_line(t, &at, 0, &text);
}

/* --- registers --- */

static const char *msr_name(uint64_t number)
{
    static const struct {
        uint32_t number;
        const char *name;
    } names[] = {
        {0x10, "TSC"}, {0x1b, "APIC_BASE"}, {0x3a, "FEATURE_CONTROL"}, {0x3b, "TSC_ADJUST"},
        {0x48, "SPEC_CTRL"}, {0x49, "PRED_CMD"}, {0x8b, "BIOS_SIGN_ID"}, {0xfe, "MTRRCAP"},
        {0x10a, "ARCH_CAPABILITIES"}, {0x174, "SYSENTER_CS"}, {0x175, "SYSENTER_ESP"},
        {0x176, "SYSENTER_EIP"}, {0x179, "MCG_CAP"}, {0x17a, "MCG_STATUS"}, {0x1a0, "MISC_ENABLE"},
        {0x277, "PAT"}, {0x2ff, "MTRR_DEF_TYPE"}, {0x6e0, "TSC_DEADLINE"}, {0x802, "X2APIC_ID"},
        {0x808, "X2APIC_TPR"}, {0x80b, "X2APIC_EOI"}, {0x80f, "X2APIC_SVR"}, {0x830, "X2APIC_ICR"},
        {0x838, "X2APIC_TIMER_INIT"}, {0xc0000080, "EFER"}, {0xc0000081, "STAR"}, {0xc0000082, "LSTAR"},
        {0xc0000083, "CSTAR"}, {0xc0000084, "FMASK"}, {0xc0000100, "FS_BASE"}, {0xc0000101, "GS_BASE"},
        {0xc0000102, "KERNEL_GS_BASE"}, {0xc0000103, "TSC_AUX"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].number == number)
            return names[i].name;
    return NULL;
}

static void on_msr(struct tracer *t, const struct watch_event *ev)
{
    struct stamp at = stamp_of(t, ev->at);
    const char *name = msr_name(ev->address);
    bool write = ev->kind == WATCH_MSR_WRITE;
    struct text text = {.len = 0};

    if (t->out.json) {
        record_begin(t, &at, "msr");
        record_text(t, "access", write ? "write" : "read");
        record_address(t, "msr", ev->address);
        if (name != NULL)
            record_text(t, "name", name);
        record_address(t, "value", ev->value);
        record_code(t, "rip", "symbol", ev->rip);
        record_end(t);
        return;
    }
    text_add(&text, "%s %" PRIx64 "%s%s = 0x%" PRIx64 "  at ", write ? "wrmsr" : "rdmsr", ev->address,
             name != NULL ? " " : "", name != NULL ? name : "", ev->value);
    add_code(t, &text, ev->rip);
    out_line(t, &at, 0, &text);
}

static void on_control(struct tracer *t, const struct watch_event *ev)
{
    struct stamp at = stamp_of(t, ev->at);
    struct text text = {.len = 0};

    if (t->out.json) {
        record_begin(t, &at, "cr");
        record_number(t, "register", ev->address);
        record_address(t, "value", ev->value);
        record_address(t, "before", ev->extra);
        record_code(t, "rip", "symbol", ev->rip);
        record_end(t);
        return;
    }
    text_add(&text, "cr%" PRIu64 " = 0x%" PRIx64 ", was 0x%" PRIx64 "  at ", ev->address, ev->value, ev->extra);
    add_code(t, &text, ev->rip);
    out_line(t, &at, 0, &text);
}

/* A change of address spaces is wanted in both. */
static bool is_wanted_event(const struct tracer *t, const struct watch_event *ev)
{
    if (ev->kind == WATCH_CR_WRITE && ev->address == 3 && ((ev->extra ^ t->options->cr3) & ~0xfffULL) == 0)
        return true;
    return is_wanted(t);
}

void accesses_event(struct tracer *t, const struct watch_event *ev)
{
    if (!is_wanted_event(t, ev))
        return;
    switch (ev->kind) {
    case WATCH_PORT_READ:
    case WATCH_PORT_WRITE:
    case WATCH_MMIO_READ:
    case WATCH_MMIO_WRITE: on_io(t, ev); break;
    case WATCH_MSR_READ:
    case WATCH_MSR_WRITE: on_msr(t, ev); break;
    case WATCH_CR_WRITE: on_control(t, ev); break;
    default: break;
    }
}
