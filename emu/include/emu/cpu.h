/* SPDX-License-Identifier: MIT */
/*
 * One x86 CPU: architectural state first, engine caches after.
 *
 * Between calls of cpu_run() the architectural part is whole: rflags holds the arithmetic flags, rip
 * the next instruction, clock->icount the instructions retired. Inside of an engine some of it lives
 * in caches (lazy flags, the block's start) that cpu_run settles before it returns.
 *
 * The CPU has no architecturally visible TLB: a store to a page table takes effect at once, because
 * pages that the walker has used are watched (RAM_TABLE). So the translations that a guest sees are a
 * function of its memory and control registers alone, whatever an engine caches and wherever a replay
 * began. INVLPG and MOV CR3 are still obeyed, and cost only what refilling costs.
 */
#ifndef EMU_CPU_H
#define EMU_CPU_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/debug.h>
#include <emu/fpu_state.h>
#include <emu/insn.h>
#include <emu/intc.h>
#include <emu/ram.h>
#include <emu/state.h>

struct machine;
struct clock;
struct bus;
struct block;
struct block_cache;
struct debugger;
struct op;

/* --- bits of the architecture (Intel SDM vol. 3, chapter 2) --- */

#define RFLAGS_CF   0x00000001u
#define RFLAGS_ONE  0x00000002u
#define RFLAGS_PF   0x00000004u
#define RFLAGS_AF   0x00000010u
#define RFLAGS_ZF   0x00000040u
#define RFLAGS_SF   0x00000080u
#define RFLAGS_TF   0x00000100u
#define RFLAGS_IF   0x00000200u
#define RFLAGS_DF   0x00000400u
#define RFLAGS_OF   0x00000800u
#define RFLAGS_IOPL 0x00003000u
#define RFLAGS_NT   0x00004000u
#define RFLAGS_RF   0x00010000u
#define RFLAGS_VM   0x00020000u
#define RFLAGS_AC   0x00040000u
#define RFLAGS_VIF  0x00080000u
#define RFLAGS_VIP  0x00100000u
#define RFLAGS_ID   0x00200000u
#define RFLAGS_ARITH 0x000008d5u

#define DR6_BS 0x4000u
#define DR6_BD 0x2000u
#define DR6_FIXED 0xffff0ff0u
#define DR7_FIXED 0x400u
#define DR7_GD 0x2000u

#define CR0_PE 0x00000001u
#define CR0_MP 0x00000002u
#define CR0_EM 0x00000004u
#define CR0_TS 0x00000008u
#define CR0_ET 0x00000010u
#define CR0_NE 0x00000020u
#define CR0_WP 0x00010000u
#define CR0_AM 0x00040000u
#define CR0_NW 0x20000000u
#define CR0_CD 0x40000000u
#define CR0_PG 0x80000000u

#define CR4_VME        0x00000001u
#define CR4_PVI        0x00000002u
#define CR4_TSD        0x00000004u
#define CR4_DE         0x00000008u
#define CR4_PSE        0x00000010u
#define CR4_PAE        0x00000020u
#define CR4_MCE        0x00000040u
#define CR4_PGE        0x00000080u
#define CR4_PCE        0x00000100u
#define CR4_OSFXSR     0x00000200u
#define CR4_OSXMMEXCPT 0x00000400u
#define CR4_UMIP       0x00000800u
#define CR4_FSGSBASE   0x00010000u
#define CR4_PCIDE      0x00020000u
#define CR4_OSXSAVE    0x00040000u
#define CR4_SMEP       0x00100000u
#define CR4_SMAP       0x00200000u

#define EFER_SCE 0x001u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u
#define EFER_NXE 0x800u

enum exception {
    EXC_DE = 0, EXC_DB = 1, EXC_NMI = 2, EXC_BP = 3, EXC_OF = 4, EXC_BR = 5, EXC_UD = 6, EXC_NM = 7,
    EXC_DF = 8, EXC_TS = 10, EXC_NP = 11, EXC_SS = 12, EXC_GP = 13, EXC_PF = 14, EXC_MF = 16,
    EXC_AC = 17, EXC_MC = 18, EXC_XM = 19,
};

/* What a #DB is. */
enum debug_cause {
    DEBUG_TRAP,       /* single step, data or I/O breakpoint, task switch */
    DEBUG_CODE,       /* instruction breakpoint, a fault */
    DEBUG_REGISTERS,  /* DR7.GD, a fault */
};

/* Page fault error code. */
#define PF_PRESENT 0x01u
#define PF_WRITE   0x02u
#define PF_USER    0x04u
#define PF_RSVD    0x08u
#define PF_FETCH   0x10u

/*
 * A segment register with its hidden part. `ar` is the descriptor's second word in place: type 3:0,
 * S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15 (the layout of SDM vol. 3, table 24-2), and
 * SEG_UNUSABLE for a null selector. `limit` is in bytes, granularity applied.
 */
struct segment {
    uint64_t base;
    uint32_t limit;
    uint32_t ar;
    uint16_t selector;
    uint16_t pad[3]; /* always 0 */
};
#define AR_TYPE       0x000fu
#define AR_ACCESSED   0x0001u
#define AR_RW         0x0002u /* code: readable; data: writable */
#define AR_DC         0x0004u /* code: conforming; data: expand-down */
#define AR_CODE       0x0008u
#define AR_S          0x0010u
#define AR_DPL(ar)    (((ar) >> 5) & 3u)
#define AR_P          0x0080u
#define AR_L          0x2000u
#define AR_DB         0x4000u
#define AR_G          0x8000u
#define SEG_UNUSABLE  0x10000u

struct table_register {
    uint64_t base;
    uint16_t limit;
    uint16_t pad[3];
};

/* --- engine caches --- */

/*
 * First-level TLB: one direct-mapped table per way of looking at memory. A tag is a page's linear
 * address, or TLB_INVALID, which no address can equal. host = linear + addend.
 */
#define TLB_BITS 8
#define TLB_ENTRIES (1u << TLB_BITS)
#define TLB_INVALID UINT64_MAX
struct tlb_entry {
    uint64_t read;
    uint64_t write;
    uint64_t fetch;
    uintptr_t addend;
};
enum mmu_view {
    MMU_KERNEL = 0,      /* CPL 0..2; SMAP in force */
    MMU_USER = 1,        /* CPL 3 */
    MMU_KERNEL_AC = 2,   /* CPL 0..2 with user pages reachable: SMAP off or EFLAGS.AC set */
    MMU_VIEWS = 3
};

/*
 * Second level: 4-way, shared by the views; holds what a walk found. `key` is the page number with a
 * generation above it: one for global pages, one for the others. Raising a generation forgets all of
 * its entries at once.
 */
#define TLB2_SETS 1024u
#define TLB2_WAYS 4u
struct tlb2_entry {
    uint64_t key;        /* linear page number | generation << 52; UINT64_MAX: empty */
    uint64_t frame;      /* physical page address | TLB2_* */
};
#define TLB2_WRITE  0x01u
#define TLB2_USER   0x02u
#define TLB2_NX     0x04u
#define TLB2_DIRTY  0x08u
#define TLB2_GLOBAL 0x10u

/* Where a jump led last: linear RIP to block, good while `key` is the CPU's. */
#define JUMP_CACHE_BITS 12
struct jump_entry {
    uint64_t rip;
    uint64_t key;
    struct block *block;
};

/* Reasons to leave the fast path, OR-ed into cpu->pending. */
#define PENDING_INTR  0x01u /* INTR line is high */
#define PENDING_NMI   0x02u
#define PENDING_INIT  0x04u
#define PENDING_SIPI  0x08u
#define PENDING_TRAP  0x10u /* #DB to raise after the instruction that just retired */
/* The pins for x87 errors with CR0.NE clear. They ask for nothing, but are looked at on the slow path alone. */
#define PENDING_FERR  0x20u /* FERR# is active: an error was reported, and is still there */
#define PENDING_IGNNE 0x40u /* IGNNE# is active, while FERR# is: waiting instructions do not mind the error */

struct cpu {
    /* -- architectural state (see cpu_fields) -- */
    uint64_t regs[18];     /* RAX..R15; [REG_NONE] is 0; [REG_RIP]: see block_rip() */
    uint64_t rip;
    uint64_t rflags;       /* inside an engine the arithmetic flags are in lf_* instead */
    struct segment seg[6];
    struct segment ldtr, tr;
    struct table_register gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4, xcr0;
    uint64_t dr[8];        /* 4 and 5 unused */
    uint64_t efer, star, lstar, cstar, fmask, kernel_gs_base, tsc_aux;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pdpte[4];     /* PAE paging: loaded by MOV CR3 (SDM vol. 3, 4.4.1) */
    uint64_t tsc_adjust;   /* TSC = vns scaled + tsc_adjust */
    uint64_t pat, mtrr_def_type, misc_enable, spec_ctrl, feature_ctl;
    uint64_t mtrr_fixed[11];
    uint64_t mtrr_base[8], mtrr_mask[8];
    uint64_t mcg_status, mcg_ctl;
    uint64_t rng[4];       /* RDRAND: xoshiro256**, seeded by the machine */
    uint64_t shadow_icount; /* interrupts are held off while icount equals this; ~0: never */
    uint32_t cpl;          /* 0..3 */
    uint32_t pending;      /* PENDING_* */
    uint32_t halted;       /* 0, 1 (HLT, or an x87 error with CR0.NE clear), 2 (waiting for SIPI), 3 (shutdown) */
    uint32_t sipi_vector;
    uint32_t nmi_blocked;  /* until IRET */
    uint32_t trap_dr6;     /* DR6 bits of a trap; without PENDING_TRAP it waits for one more instruction */
    struct fpu_state fpu;

    /* -- engine state: caches of the above, never saved -- */
    uint64_t lf_result;    /* lazy flags: see emu/cpu/flags.h */
    uint64_t lf_aux;
    uint64_t icount;       /* retired when the current block will have ended */
    uint64_t icount_end;   /* the engine stops here exactly */
    uint64_t jump_key;     /* generation of translations << 8 | mode bits */
    struct tlb_entry *tlb; /* tlbs[view], or the empty one while every access must be looked at */
    struct block *block;   /* being executed */
    const struct op *op;   /* set before anything that may fault out of line */
    uint32_t mode;         /* block mode bits: code size, flat segments, stack size */
    uint32_t view;         /* enum mmu_view */
    bool solo;             /* the current instruction is alone in its block */
    bool watch_pages;      /* DR7 or a debugger watches data: see cpu_page_watch() */
    bool exit_request;     /* leave the engine at the end of this block */
    uint8_t inspecting;    /* enum machine_inspection */
    uint8_t exc_vector;    /* exception being raised (between raise and delivery) */
    bool exc_has_error;
    bool ignoring_error;   /* the current instruction runs with ES hidden, because of IGNNE# */
    bool tf_armed;         /* TF was set when the current instruction began */
    uint8_t exc_debug;     /* enum debug_cause of the #DB being raised */
    bool code_breakpoints; /* DR7 arms an instruction breakpoint */
    uint32_t held_dr6;     /* of a trap that the current instruction holds back, being behind a MOV SS */
    uint32_t exc_error;
    uint64_t exc_cr2;
    uint32_t faults_in_a_row; /* exceptions delivered since an instruction retired */
    uint64_t retired_mark; /* icount at the last of those */
    uint64_t entry_icount; /* where `entries` counts: see cpu_entries() */
    uint32_t entries;      /* deliveries of events at entry_icount */
    uint64_t hold_icount;  /* no interrupt is taken before, unless halted: emu/perturb.h */
    uint64_t repeat_mark;  /* icount at which a repeated string instruction was left unfinished */
    bool stop_at_entry;    /* cpu_run returns after a delivery */
    uint64_t flush_generation;
    uint64_t tlb2_local;   /* generation of pages that are not global, << 52 */
    uint64_t tlb2_global;
    uint64_t tlb2_newest;  /* the last number given to either */
    bool view_used[MMU_VIEWS]; /* the view's table is not empty */
    jmp_buf *unwind;       /* where a fault unwinds to */
    struct machine *machine;
    struct clock *clock;
    struct ram *ram;
    struct bus *ports;
    struct bus *memory;
    const struct intc_ops *intc;
    void *intc_opaque;
    struct block_cache *blocks;
    struct debugger *debugger; /* the machine's */
    uint64_t *undefined_count; /* per insn_id: not implemented, raised #UD (for --stats) */
    uint64_t undefined_bytes;  /* encodings that are no instruction: #UD */
    unsigned index;
    union xmm tmp[4];      /* scratch operands of SIMD handlers, so that none is on the stack */
    struct tlb_entry tlbs[MMU_VIEWS + 1][TLB_ENTRIES]; /* the last is always empty */
    struct tlb2_entry tlb2[TLB2_SETS][TLB2_WAYS];
    struct jump_entry jumps[1u << JUMP_CACHE_BITS];
};

extern const struct state_desc cpu_desc;

/* --- life cycle; `cpu` is storage of the machine --- */
int cpu_init(struct cpu *cpu, struct machine *m, unsigned index);
void cpu_fini(struct cpu *cpu);
/* State after RESET (SDM vol. 3, table 9-1). */
void cpu_reset(void *cpu);
/* After the architectural part was changed from outside (load, boot loader, debugger): drops and
 * rebuilds all caches. */
void cpu_state_changed(struct cpu *cpu);
/* The same after a debugger changed registers: what the engine notes of the run so far stays. */
void cpu_registers_changed(struct cpu *cpu);

/* Deliveries of interrupts, exceptions, INIT and SIPI since the last instruction retired: struct moment. */
static inline uint32_t cpu_entries(const struct cpu *cpu, uint64_t icount)
{
    return cpu->entry_icount == icount ? cpu->entries : 0;
}
static inline void cpu_count_entry(struct cpu *cpu, uint64_t icount)
{
    cpu->entries = cpu_entries(cpu, icount) + 1;
    cpu->entry_icount = icount;
}

enum cpu_exit {
    CPU_EXIT_ICOUNT,     /* icount_end reached */
    CPU_EXIT_EVENT,      /* ask the machine: a device was touched, an interrupt may be deliverable, a
                          * debugger's point was hit */
    CPU_EXIT_HALTED,
    CPU_EXIT_SHUTDOWN,   /* triple fault */
    CPU_EXIT_LIVELOCK,   /* only exceptions, no instruction retires */
};
/* Runs until clock->icount == icount_end or an earlier reason. */
enum cpu_exit cpu_run(struct cpu *cpu, uint64_t icount_end);

/* True when an unmasked interrupt, NMI, INIT or SIPI is to be taken at this boundary. */
bool cpu_wants_interrupt(const struct cpu *cpu);
/* The same if it were not for hold_icount. */
bool cpu_interrupt_ready(const struct cpu *cpu);
/* Acknowledges it; `seen` says which vector to enter. False when it was INIT or SIPI, now done. */
bool cpu_take_interrupt(struct cpu *cpu, struct intr_ack *seen);
/* Enters the handler of an acknowledged interrupt. False: triple fault. */
bool cpu_enter_interrupt(struct cpu *cpu, uint8_t vector);
/* A halted CPU that can only be woken by a device or input; false when nothing ever can. */
bool cpu_can_wake(const struct cpu *cpu);

/* --- looking without touching (debuggers, reports) --- */
/* Physical address of a linear one by the current tables, no side effects; UINT64_MAX: not mapped. */
uint64_t cpu_peek_translate(const struct cpu *cpu, uint64_t linear);
/* Where in RAM the table entries are that this looks at, in their order: how many. As long as these stay as they
 * are, and control state (emu/inspect.h) too, so does the translation. */
#define CPU_PATH_MAX 4
unsigned cpu_peek_path(const struct cpu *cpu, uint64_t linear, uint64_t path[CPU_PATH_MAX]);
/* Bytes read, less than len where unmapped. */
size_t cpu_peek(const struct cpu *cpu, uint64_t linear, void *out, size_t len);
/* rflags with the arithmetic flags in place; valid at any time. */
uint64_t cpu_rflags(const struct cpu *cpu);

uint64_t cpu_tsc(const struct cpu *cpu);

/* What the engine's code cache did so far; not state. */
struct cpu_counters {
    uint64_t blocks_decoded;
    uint64_t blocks_dropped; /* because a store hit their code */
    uint64_t flushes;        /* of the whole cache */
};
struct cpu_counters cpu_counters(const struct cpu *cpu);

/* Code size of the current CS. */
enum code_size cpu_code_size(const struct cpu *cpu);

#endif
