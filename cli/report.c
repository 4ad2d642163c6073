/* SPDX-License-Identifier: MIT */
/*
 * What is said when a run is over: see report.h.
 *
 * Everything here looks through cpu_peek(), which has no side effects: a report can be taken of a
 * machine that goes on.
 */
#include "report.h"
#include "sandbox.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include <devices/pc.h>
#include <emu/cpu.h>

#include "cli.h"
#include "disasm.h"

#define CODE_LINES   6u
#define BYTES_BEFORE 16u
#define MAX_COUNTED  24u /* lines of unimplemented instructions */

/* --- the CPU --- */

static const char *const exception_names[] = {
    "#DE", "#DB", "NMI", "#BP", "#OF", "#BR",       "#UD", "#NM", "#DF", "vector 9",
    "#TS", "#NP", "#SS", "#GP", "#PF", "vector 15", "#MF", "#AC", "#MC", "#XM",
};
#define NEXCEPTIONS (sizeof(exception_names) / sizeof(exception_names[0]))

const char *report_exception_name(unsigned vector)
{
    return vector < NEXCEPTIONS ? exception_names[vector] : "of no known kind";
}

static bool is_64bit(const struct cpu *cpu)
{
    return cpu_code_size(cpu) == CODE_64;
}

static void print_registers_64(const struct cpu *cpu, FILE *out)
{
    static const char names[16][4] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                      "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15"};

    for (unsigned i = 0; i < 16; i++)
        fprintf(out, "  %s %016" PRIx64 "%s", names[i], cpu->regs[i], i % 4 == 3 ? "\n" : "");
}

static void print_registers_32(const struct cpu *cpu, FILE *out)
{
    static const char names[8][4] = {"EAX", "ECX", "EDX", "EBX", "ESP", "EBP", "ESI", "EDI"};

    for (unsigned i = 0; i < 8; i++)
        fprintf(out, "  %s %08" PRIx32 "%s", names[i], (uint32_t)cpu->regs[i],
                i % 4 == 3 ? "\n" : "");
}

static void print_flags(uint64_t flags, FILE *out)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {{RFLAGS_OF, "OF"}, {RFLAGS_DF, "DF"}, {RFLAGS_IF, "IF"}, {RFLAGS_TF, "TF"},
                 {RFLAGS_SF, "SF"}, {RFLAGS_ZF, "ZF"}, {RFLAGS_AF, "AF"}, {RFLAGS_PF, "PF"},
                 {RFLAGS_CF, "CF"}, {RFLAGS_VM, "VM"}, {RFLAGS_AC, "AC"}, {RFLAGS_NT, "NT"}};

    fprintf(out, "flags %08" PRIx64 " [", flags);
    for (size_t i = 0, n = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (flags & names[i].bit)
            fprintf(out, "%s%s", n++ > 0 ? " " : "", names[i].name);
    fputs("]\n", out);
}

static const char *mode_name(const struct cpu *cpu)
{
    static const char *const names[] = {
        [CODE_16] = "16-bit", [CODE_32] = "32-bit", [CODE_64] = "64-bit"};

    if (!(cpu->cr0 & CR0_PE))
        return "real mode";
    if (cpu->rflags & RFLAGS_VM)
        return "virtual-8086 mode";
    return names[cpu_code_size(cpu)];
}

static void print_state(const struct cpu *cpu, FILE *out)
{
    static const char names[6][3] = {"ES", "CS", "SS", "DS", "FS", "GS"};

    if (is_64bit(cpu))
        print_registers_64(cpu, out);
    else
        print_registers_32(cpu, out);
    fprintf(out, "  RIP %04x:%016" PRIx64 " (%s, CPL %u)  ", cpu->seg[SEG_CS].selector, cpu->rip,
            mode_name(cpu), cpu->cpl);
    print_flags(cpu_rflags(cpu), out);
    fprintf(out,
            "  CR0 %08" PRIx64 "  CR2 %016" PRIx64 "  CR3 %09" PRIx64 "  CR4 %06" PRIx64
            "  EFER %03" PRIx64 "\n ",
            cpu->cr0, cpu->cr2, cpu->cr3, cpu->cr4, cpu->efer);
    for (unsigned i = 0; i < 6; i++)
        fprintf(out, " %s %04x", names[i], cpu->seg[i].selector);
    fprintf(out, "  TR %04x\n  FS base %016" PRIx64 "  GS base %016" PRIx64 "\n", cpu->tr.selector,
            cpu->seg[SEG_FS].base, cpu->seg[SEG_GS].base);
    fprintf(out, "  IDT %016" PRIx64 " limit %04x  GDT %016" PRIx64 " limit %04x\n", cpu->idtr.base,
            cpu->idtr.limit, cpu->gdtr.base, cpu->gdtr.limit);
}

/* --- the code --- */

static void print_bytes(const uint8_t *bytes, size_t len, size_t width, FILE *out)
{
    for (size_t i = 0; i < len; i++)
        fprintf(out, "%02x ", bytes[i]);
    for (size_t i = len; i < width; i++)
        fputs("   ", out);
}

static void print_bytes_before(const struct cpu *cpu, uint64_t linear, FILE *out)
{
    uint8_t bytes[BYTES_BEFORE];

    if (linear < BYTES_BEFORE ||
        cpu_peek(cpu, linear - BYTES_BEFORE, bytes, BYTES_BEFORE) != BYTES_BEFORE)
        return;
    fputs("  before:              ", out);
    print_bytes(bytes, BYTES_BEFORE, 0, out);
    fputc('\n', out);
}

static void print_code(const struct cpu *cpu, FILE *out)
{
    static const unsigned bits[] = {[CODE_16] = 16, [CODE_32] = 32, [CODE_64] = 64};
    uint64_t linear = cpu->seg[SEG_CS].base + cpu->rip, at = cpu->rip;
    uint8_t bytes[CODE_LINES * INSN_MAX_LEN];
    size_t have = cpu_peek(cpu, linear, bytes, sizeof(bytes)), done = 0;
    char text[DISASM_TEXT];

    fputs("code at RIP:\n", out);
    print_bytes_before(cpu, linear, out);
    if (have == 0)
        fputs("  none: the address is not mapped\n", out);
    for (unsigned i = 0; i < CODE_LINES && done < have; i++) {
        size_t len = disasm(bits[cpu_code_size(cpu)], at + done, bytes + done, have - done, text);

        if (len == 0)
            len = 1;
        fprintf(out, "%s %016" PRIx64 "  ", i == 0 ? "->" : "  ", at + done);
        print_bytes(bytes + done, len, 8, out);
        fprintf(out, " %s\n", text);
        done += len;
    }
}

void report_cpu(const struct machine *m, FILE *out)
{
    print_state(&m->cpus[0], out);
    print_code(&m->cpus[0], out);
}

/* --- the end --- */

static void print_when(const struct machine *m)
{
    uint64_t ns = clock_now_ns(&m->clock);

    fprintf(stderr, " at instruction %" PRIu64 ", after %.6f s of its time\n", m->clock.icount,
            (double)ns / 1e9);
}

static void print_last_fault(const struct cpu *cpu)
{
    fprintf(stderr, "the last fault was %s",
            report_exception_name(cpu->exc_vector));
    if (cpu->exc_has_error)
        fprintf(stderr, ", error code %xh", cpu->exc_error);
    if (cpu->exc_vector == EXC_PF)
        fprintf(stderr, ", address %" PRIx64 "h", cpu->exc_cr2);
    fputc('\n', stderr);
}

static void print_replay_hint(const char *trace_path)
{
    if (trace_path != NULL)
        fprintf(stderr, "to see it again: deja replay %s\n", trace_path);
    else
        fprintf(stderr, "to be able to see it again, record it: deja record -o FILE and the same "
                        "options\n");
}

static void print_bad_end(const struct machine *m, const char *what, const char *trace_path)
{
    fprintf(stderr, "deja: the guest %s", what);
    print_when(m);
    print_last_fault(&m->cpus[0]);
    report_cpu(m, stderr);
    print_replay_hint(trace_path);
}

/* A guest that said it panicked ended badly, however it stopped afterwards. */
static void print_panic(const struct machine *m, enum machine_stop why, const char *trace_path)
{
    fprintf(stderr, "deja: the guest panicked; the run ended (%s)", machine_stop_name(why));
    print_when(m);
    print_replay_hint(trace_path);
}

int report_status(const struct machine *m, enum machine_stop why)
{
    if (why == STOP_TRIPLE_FAULT || why == STOP_LIVELOCK)
        return EXIT_GUEST;
    if (why == STOP_EXIT)
        return m->exit_code;
    return pc_has_panicked(pc_of(m)) ? EXIT_GUEST : EXIT_DONE;
}

int report_end(const struct machine *m, enum machine_stop why, const char *trace_path)
{
    bool panicked = pc_has_panicked(pc_of(m));

    if (why == STOP_TRIPLE_FAULT) {
        print_bad_end(m, "ended in a triple fault", trace_path);
    } else if (why == STOP_LIVELOCK) {
        print_bad_end(m, "raises exceptions for ever and executes nothing", trace_path);
    } else if (panicked) {
        print_panic(m, why, trace_path);
    } else if (why == STOP_HALTED) {
        fprintf(stderr, "deja: the guest halted and nothing can wake it");
        print_when(m);
    }
    return report_status(m, why);
}

/* --- counters --- */

static void print_undefined(const struct cpu *cpu, FILE *out)
{
    unsigned lines = 0;

    for (unsigned id = 0; id < INSN_COUNT; id++) {
        if (cpu->undefined_count[id] == 0)
            continue;
        if (lines++ < MAX_COUNTED)
            fprintf(out, "not implemented:    %s, %" PRIu64 " times (#UD)\n",
                    insn_info[id].mnemonic, cpu->undefined_count[id]);
    }
    if (lines > MAX_COUNTED)
        fprintf(out, "not implemented:    %u more\n", lines - MAX_COUNTED);
    if (cpu->undefined_bytes > 0)
        fprintf(out, "no instruction:     %" PRIu64 " times (#UD)\n", cpu->undefined_bytes);
}

static void print_unclaimed(const struct bus *bus, FILE *out)
{
    if (bus->unclaimed_reads + bus->unclaimed_writes > 0)
        fprintf(out, "no device there:    %" PRIu64 " %s reads, %" PRIu64 " writes\n",
                bus->unclaimed_reads, bus->name, bus->unclaimed_writes);
}

void report_stats(const struct machine *m, uint64_t wall_ns, FILE *out)
{
    const struct cpu *cpu = &m->cpus[0];
    struct cpu_counters counters = cpu_counters(cpu);
    double wall = (double)wall_ns / 1e9;

    fprintf(out, "instructions:       %" PRIu64 "\n", m->clock.icount);
    fprintf(out, "wall time:          %.3f s, %.1f million instructions a second\n", wall,
            wall > 0 ? (double)m->clock.icount / wall / 1e6 : 0.0);
    fprintf(out, "virtual time:       %.6f s, of it idle %.6f s\n",
            (double)clock_now_ns(&m->clock) / 1e9, (double)m->clock.idle_ns / 1e9);
    fprintf(out, "seed:               %" PRIu64 "\n", m->config.seed);
    fprintf(out, "resets:             %" PRIu64 "\n", m->resets);
    if (sandbox_off_reason() != NULL)
        fprintf(out, "no sandbox:         %s\n", sandbox_off_reason());
    fprintf(out,
            "blocks decoded:     %" PRIu64 ", dropped by stores %" PRIu64 ", flushes %" PRIu64 "\n",
            counters.blocks_decoded, counters.blocks_dropped, counters.flushes);
    print_undefined(cpu, out);
    print_unclaimed(&m->ports, out);
    print_unclaimed(&m->memory, out);
}
