/* SPDX-License-Identifier: MIT */
/*
 * A CPU's registers by number and name, as debuggers and reports see them: read and written between
 * two runs, as bytes in little-endian order.
 *
 * The numbers are written to traces (a debugger's write is an input) and are those of the target
 * description that gdb gets; they never change, new ones are added at the end.
 *
 * REG_ID_RIP is the linear address of the next instruction (CS base included outside of 64-bit code), so
 * that memory at it is the code, in every mode.
 */
#ifndef EMU_REGISTERS_H
#define EMU_REGISTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cpu;

#define CPU_REGISTER_MAX_BYTES 16

enum cpu_register {
    REG_ID_RAX = 0, /* gdb's order: RAX RBX RCX RDX RSI RDI RBP RSP R8..R15 */
    REG_ID_RBP = 6,
    REG_ID_RSP = 7,
    REG_ID_RIP = 16,
    REG_ID_EFLAGS,
    REG_ID_CS, /* CS SS DS ES FS GS */
    REG_ID_GS = 23,
    REG_ID_ST0 = 24,
    REG_ID_FCTRL = 32, /* FCTRL FSTAT FTAG FISEG FIOFF FOSEG FOOFF FOP */
    REG_ID_FOP = 39,
    REG_ID_XMM0 = 40,
    REG_ID_MXCSR = 56,
    REG_ID_FS_BASE,
    REG_ID_GS_BASE,
    REG_ID_K_GS_BASE,
    REG_ID_CR0,
    REG_ID_CR2,
    REG_ID_CR3,
    REG_ID_CR4,
    REG_ID_CR8,
    REG_ID_EFER,
    REG_ID_CS_BASE,
    REG_ID_SS_BASE,
    REG_ID_DS_BASE,
    REG_ID_ES_BASE,
    REG_ID_CS_LIMIT, /* CS SS DS ES FS GS */
    REG_ID_GS_LIMIT = 75,
    REG_ID_GDT_BASE,
    REG_ID_GDT_LIMIT,
    REG_ID_IDT_BASE,
    REG_ID_IDT_LIMIT,
    REG_ID_LDTR,
    REG_ID_LDT_BASE,
    REG_ID_TR,
    REG_ID_TR_BASE,
    REG_ID_DR0, /* DR0..DR3 DR6 DR7 */
    REG_ID_DR6 = 88,
    REG_ID_DR7,
    REG_ID_XCR0,
    REG_ID_STAR,
    REG_ID_LSTAR,
    REG_ID_CSTAR,
    REG_ID_FMASK,
    REG_ID_CPL,    /* read-only from here on */
    REG_ID_ICOUNT,
    REG_ID_VNS,
    REG_ID_TSC,
    CPU_REGISTER_COUNT
};

struct cpu_register_info {
    const char *name; /* as gdb has it: "rax", "st0", "k_gs_base" */
    uint8_t bytes;
    bool read_only;
};
/* Of register `id` below CPU_REGISTER_COUNT. */
const struct cpu_register_info *cpu_register_info(unsigned id);
/* The number of a register by its name; -1: none has it. */
int cpu_register_find(const char *name);

/* Writes info->bytes bytes. */
void cpu_register_read(const struct cpu *cpu, unsigned id, uint8_t *out);
/* The number in a register of at most 8 bytes; of a wider one 0. */
uint64_t cpu_register_value(const struct cpu *cpu, unsigned id);
/*
 * Gives a register a value, without the checks that an instruction would make; what cannot be set reads
 * as before. Segment selectors take base, limit and rights along, from their descriptor where there
 * is one. False: there is no such register, or it is read-only.
 */
bool cpu_register_write(struct cpu *cpu, unsigned id, const uint8_t *value);

/* The linear address of the next instruction. */
uint64_t cpu_linear_rip(const struct cpu *cpu);

#endif
