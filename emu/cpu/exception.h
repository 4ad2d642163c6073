/* SPDX-License-Identifier: MIT */
/* Segments, control transfers, events and debug registers: shared by the system handlers. */
#ifndef EMU_CPU_EXCEPTION_H
#define EMU_CPU_EXCEPTION_H

#include "mmu_internal.h"

/* --- descriptors (SDM vol. 3, 3.4.5) --- */

struct descriptor {
    uint32_t low, high;
    uint32_t upper;    /* base 63:32 of 16-byte system descriptors in long mode */
    uint64_t linear;   /* where it was read from */
};

#define DESC_TYPE(d) (((d)->high >> 8) & 0xfu)
#define DESC_S       0x00001000u
#define DESC_DPL(d)  (((d)->high >> 13) & 3u)
#define DESC_P       0x00008000u
#define DESC_L       0x00200000u
#define DESC_DB      0x00400000u
#define DESC_G       0x00800000u
#define DESC_CODE    0x00000800u
#define DESC_CONF    0x00000400u /* code: conforming; data: expand-down */
#define DESC_RW      0x00000200u
#define DESC_ACCESSED 0x00000100u

enum system_type {
    SYS_TSS16_AVAIL = 1, SYS_LDT = 2, SYS_TSS16_BUSY = 3, SYS_CALL16 = 4, SYS_TASK_GATE = 5,
    SYS_INT16 = 6, SYS_TRAP16 = 7, SYS_TSS_AVAIL = 9, SYS_TSS_BUSY = 11, SYS_CALL = 12,
    SYS_INT = 14, SYS_TRAP = 15,
};

/* Reads the descriptor of a selector that is not null. False: outside of its table. */
bool descriptor_read(struct cpu *cpu, uint16_t selector, struct descriptor *d);
uint32_t descriptor_base(const struct descriptor *d);
uint32_t descriptor_limit(const struct descriptor *d);
uint32_t descriptor_ar(const struct descriptor *d);
/* Sets the accessed bit of a code or data segment in memory if it is clear. */
void descriptor_mark_accessed(struct cpu *cpu, struct descriptor *d);
void segment_from_descriptor(struct segment *seg, uint16_t selector, const struct descriptor *d);

static inline bool selector_is_null(uint16_t selector)
{
    return (selector & ~3u) == 0;
}

/* MOV/POP to a data segment register or SS, all checks. Ends with cpu_update_mode. */
void segment_load(struct cpu *cpu, unsigned seg, uint16_t selector);
/* Real and virtual-8086 mode. */
void segment_load_real(struct cpu *cpu, unsigned seg, uint16_t selector);
/* Checks a code descriptor as the target of a far JMP/CALL without gate. Raises #GP or #NP. */
void code_target_check(struct cpu *cpu, uint16_t selector, const struct descriptor *d, unsigned cpl);
/* CS from a checked descriptor, RPL forced to `cpl`, which becomes the CPL. */
void code_segment_set(struct cpu *cpu, uint16_t selector, struct descriptor *d, unsigned cpl);
/* After a return to an outer level: data segments that it may not see become null. */
void segments_drop_inner(struct cpu *cpu);
/* Out of virtual-8086 mode: all data segments but SS become null. */
void segments_forget_data(struct cpu *cpu);

static inline bool protected_mode(const struct cpu *cpu)
{
    return (cpu->cr0 & CR0_PE) && !(cpu->rflags & RFLAGS_VM);
}
static inline bool long_mode(const struct cpu *cpu)
{
    return cpu->efer & EFER_LMA;
}
static inline unsigned iopl(const struct cpu *cpu)
{
    return (unsigned)((cpu->rflags >> 12) & 3);
}

/* INT n, INT3, INTO, INT1: enters the gate with RIP after the instruction. Faults restart it. */
void software_interrupt(struct cpu *cpu, uint8_t vector, bool check_dpl, uint64_t next_rip);

/* --- stacks of other levels (vol. 3, 5.8.5 and 6.12.1); `ext` is the EXT bit of error codes --- */

/* A stack segment for level `cpl`, with all checks: #TS, or #SS where it is not present. */
void stack_segment_read(struct cpu *cpu, uint16_t selector, unsigned cpl, unsigned ext, struct segment *ss);
/* The one that the TSS has for the level. */
void inner_stack(struct cpu *cpu, unsigned cpl, unsigned ext, struct segment *ss, uint64_t *esp);
/* The same in long mode, where SS becomes null. */
uint64_t tss64_stack(struct cpu *cpu, unsigned level, unsigned ext);
void stack_segment_null(struct cpu *cpu, unsigned cpl);
/* #SS(error) if `bytes` below sp are not all inside of the segment. */
void stack_check_room(struct cpu *cpu, const struct segment *ss, uint64_t sp, unsigned bytes, uint32_t error);

/* Pushes to a stack that is not the CPU's yet. */
struct stack_push {
    uint64_t base;
    uint32_t sp, mask;
    unsigned size;
};
struct stack_push stack_pushes(const struct segment *ss, uint64_t sp, unsigned size);
void stack_push_to(struct cpu *cpu, struct stack_push *st, uint32_t value);
/* It becomes the CPU's. */
void stack_set(struct cpu *cpu, const struct segment *ss, uint32_t sp);

/* RFLAGS from POPF or IRET: only the bits in `mask` change; the lazy flags follow. */
void rflags_write(struct cpu *cpu, uint64_t value, uint64_t mask);
/* RFLAGS as pushed: arithmetic flags in place. */
uint64_t rflags_read(const struct cpu *cpu);

/* --- debug registers --- */
bool cpu_must_step(const struct cpu *cpu);
bool cpu_code_breakpoints(const struct cpu *cpu);
/* #DB when one matches cpu->rip and RF is clear. */
void cpu_check_code_breakpoints(struct cpu *cpu);
void cpu_debug_changed(struct cpu *cpu);

void cpu_init_signal(struct cpu *cpu);
void cpu_startup_signal(struct cpu *cpu, uint8_t vector);

#endif
