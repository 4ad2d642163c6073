/* SPDX-License-Identifier: MIT */
/*
 * Crash reports. panic() keeps its message and executes UD2, so that the CPU itself writes down the
 * registers, and a panic and a fault end in the same place with the same report.
 */
#include "panic.h"

#include <stdarg.h>

#include "console.h"
#include "cpu.h"
#include "sched.h"
#include "trap.h"

#define PVPANIC_PORT     0x505u
#define PVPANIC_PANICKED 0x01u
#define DEBUG_EXIT_PORT  0xf4u
#define DEBUG_EXIT_PANIC 1u /* the emulator exits with 1 * 2 + 1 */
#define DEBUG_EXIT_DONE  0u
#define ACPI_PM1_CONTROL 0x604u /* where firmware puts it on this chip set */
#define ACPI_SLEEP_S5    0x2000u

#define MULTIBOOT_MAGIC 0x2badb002u
#define MULTIBOOT_ELF   0x20u
#define SHT_SYMTAB      2u
#define STT_FUNC        2u
#define MAX_FRAMES      16u
#define KERNEL_BASE     0x100000u

/* --- symbols --- */

struct multiboot_info {
    uint32_t flags;
    uint32_t other[6];
    uint32_t elf_count, elf_entry_bytes, elf_address, elf_names;
};

struct elf_section {
    uint32_t name, type;
    uint64_t flags, address, offset, bytes;
    uint32_t link, info;
    uint64_t align, entry_bytes;
};

struct elf_symbol {
    uint32_t name;
    uint8_t info, other;
    uint16_t section;
    uint64_t value, bytes;
};

static const struct elf_symbol *symbols;
static uint64_t nsymbols;
static const char *symbol_names;

void panic_find_symbols(uint32_t multiboot_magic, uint32_t multiboot_info)
{
    const struct multiboot_info *info = (const void *)(uint64_t)multiboot_info;
    const struct elf_section *sections;

    if (multiboot_magic != MULTIBOOT_MAGIC || !(info->flags & MULTIBOOT_ELF) ||
        info->elf_entry_bytes != sizeof(struct elf_section))
        return;
    sections = (const void *)(uint64_t)info->elf_address;
    for (uint32_t i = 0; i < info->elf_count; i++) {
        if (sections[i].type != SHT_SYMTAB || sections[i].link >= info->elf_count)
            continue;
        symbols = (const void *)sections[i].address;
        nsymbols = sections[i].bytes / sizeof(struct elf_symbol);
        symbol_names = (const char *)sections[sections[i].link].address;
    }
}

static const struct elf_symbol *find_symbol(uint64_t address)
{
    for (uint64_t i = 0; i < nsymbols; i++) {
        const struct elf_symbol *s = &symbols[i];

        if ((s->info & 15) == STT_FUNC && address >= s->value && address - s->value < s->bytes)
            return s;
    }
    return NULL;
}

/* `back`: 1 for a return address, which may already lie behind the function that made the call. */
static void print_address(uint64_t address, unsigned back)
{
    const struct elf_symbol *s = find_symbol(address - back);

    print("[<%016lx>]", address);
    if (s != NULL)
        print(" %s+0x%lx/0x%lx", symbol_names + s->name, address - s->value, s->bytes);
}

/* --- the report --- */

static const char *const exception_names[] = {
    "divide error",
    "debug",
    "NMI",
    "breakpoint",
    "overflow",
    "bound range",
    "invalid opcode",
    "no coprocessor",
    "double fault",
    "coprocessor overrun",
    "invalid TSS",
    "segment not present",
    "stack fault",
    "general protection",
    "page fault",
    "reserved",
    "floating point",
    "alignment check",
    "machine check",
    "SIMD floating point",
};

static const char *panic_format; /* set while panic() is on its way into the trap */
static va_list panic_args;
static bool reporting;

static void print_cause(const struct trap_frame *f)
{
    if (panic_format != NULL) {
        print("PANIC: ");
        vprint(panic_format, panic_args);
        print("\n");
        return;
    }
    print("PANIC: %s, error code %lx",
          f->vector < sizeof(exception_names) / sizeof(exception_names[0])
              ? exception_names[f->vector]
              : "exception",
          f->error);
    if (f->vector == EXC_PF)
        print(", address %016lx", read_cr2());
    print("\n");
}

static void print_registers(const struct trap_frame *f)
{
    print("RIP: %04lx:", f->cs);
    print_address(f->rip, 0);
    print("\nRSP: %04lx:%016lx RFLAGS: %08lx CR3: %016lx\n", f->ss, f->rsp, f->rflags, read_cr3());
    print("RAX: %016lx RBX: %016lx RCX: %016lx\n", f->rax, f->rbx, f->rcx);
    print("RDX: %016lx RSI: %016lx RDI: %016lx\n", f->rdx, f->rsi, f->rdi);
    print("RBP: %016lx R08: %016lx R09: %016lx\n", f->rbp, f->r8, f->r9);
    print("R10: %016lx R11: %016lx R12: %016lx\n", f->r10, f->r11, f->r12);
    print("R13: %016lx R14: %016lx R15: %016lx\n", f->r13, f->r14, f->r15);
}

/* Frame pointers chain the callers: each points at the last one, with the return address above. */
static void print_backtrace(const struct trap_frame *f)
{
    const uint64_t *frame = (const uint64_t *)f->rbp;

    print("Call trace:\n  ");
    print_address(f->rip, 0);
    print("\n");
    for (unsigned i = 0; i < MAX_FRAMES; i++) {
        if (!thread_owns_stack((uint64_t)frame, (uint64_t)(frame + 2)) || frame[1] < KERNEL_BASE)
            break;
        print("  ");
        print_address(frame[1], 1);
        print("\n");
        frame = (const uint64_t *)frame[0];
    }
}

static void print_thread(const char *name, uint64_t rip, uint64_t wake_tick)
{
    print("  %s: ", name);
    if (rip == 0)
        print("running");
    else if (wake_tick > sched_ticks())
        print("asleep until tick %lu", wake_tick);
    else
        print("ready");
    print("\n");
}

void panic_trap(const struct trap_frame *frame)
{
    if (reporting) /* the report itself went wrong: say no more */
        halt_forever();
    reporting = true;
    print("\n------------[ cut here ]------------\n");
    print_cause(frame);
    print("CPU: 0 thread: %s tick: %lu\n", thread_name(), sched_ticks());
    print_registers(frame);
    print_backtrace(frame);
    print("Threads:\n");
    thread_list(print_thread);
    print("---[ end of report ]---\n");
    outb(PVPANIC_PORT, PVPANIC_PANICKED);
    outb(DEBUG_EXIT_PORT, DEBUG_EXIT_PANIC);
    halt_forever();
    __builtin_unreachable();
}

void panic(const char *format, ...)
{
    interrupts_off();
    panic_format = format;
    va_start(panic_args, format);
    __asm__ volatile("ud2");
    __builtin_unreachable();
}

void power_off(void)
{
    interrupts_off();
    outw(ACPI_PM1_CONTROL, ACPI_SLEEP_S5);
    outb(DEBUG_EXIT_PORT, DEBUG_EXIT_DONE); /* a machine without that power management */
    halt_forever();
    __builtin_unreachable();
}
