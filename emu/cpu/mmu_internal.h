/* SPDX-License-Identifier: MIT */
/* What the MMU, the block cache and the engine know of each other. */
#ifndef EMU_CPU_MMU_INTERNAL_H
#define EMU_CPU_MMU_INTERNAL_H

#include "interp_internal.h"

#define CPU_PHYS_BITS 40

static inline bool cpu_is_canonical(uint64_t linear)
{
    return (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
}

/* What a closed A20 gate makes of a physical address: of data, code and page tables alike. */
static inline uint64_t a20_masked(const struct cpu *cpu, uint64_t gpa)
{
    return cpu->machine->a20_mask ? gpa : gpa & ~(1ULL << 20);
}

/* ram.on_flagged_store for one CPU: drops code and translations that the store makes stale. */
void cpu_before_flagged_store(struct cpu *cpu, uint64_t page, uint64_t gpa, size_t len);

/* Drops the write tags of a RAM page, or of all (UINT64_MAX). */
void mmu_protect(struct cpu *cpu, uint64_t page);

/* Whether a store of these bytes may change how code of the current block is translated. */
bool mmu_store_needs_solo(const struct cpu *cpu, uint64_t page, uint64_t gpa, size_t len);

/* Where an instruction byte is in ram->host; UINT64_MAX when it is not in RAM, *gpa then says where.
 * Faults as a fetch does. */
uint64_t mmu_fetch(struct cpu *cpu, uint64_t linear, uint64_t *gpa);

/* #AC, where CR0.AM, EFLAGS.AC and CPL 3 ask for it. */
void mem_check_alignment(struct cpu *cpu, uint64_t linear, unsigned size);

/* --- data breakpoints: DR0..DR3, and a debugger's (debugger.h) --- */
enum page_watch { PAGE_WATCH_WRITES = 1, PAGE_WATCH_ALL = 2 };
/* Which accesses of the page must come the slow way: enum page_watch, or-ed. */
unsigned cpu_page_watch(const struct cpu *cpu, uint64_t page_linear);
/* Notes a hit; the trap, or stop, follows the instruction, which must be alone. `op` NULL: the
 * processor's own access. */
void cpu_watch_access(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size,
                      bool write);
/* The same for a store that is only announced: nothing is noted, but the instruction must be alone. */
void cpu_watch_probe(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size);

/* --- block cache --- */

#define BLOCK_HASH_BITS 14
#define BLOCK_ARENA_BYTES (48u << 20)

struct code_page {
    struct block *blocks;   /* all that have bytes in the page, by page_next[] */
    uint64_t mask;          /* a bit for each 64 bytes that hold decoded code */
};

/*
 * What the MMU knows of a page that it walked through. While `epoch` is the cache's table_epoch,
 * cached translations may come from it; `linear` and `level` say for which addresses, if all walks
 * agreed.
 */
struct table_page {
    uint64_t linear;      /* of the first byte that the table maps */
    uint32_t epoch;
    uint8_t level;        /* 1: its entries map 4 KiB pages */
    uint8_t entry_bytes;  /* 4 or 8 */
    bool mixed;           /* used for several places or levels */
};

struct block_cache {
    struct block *hash[1u << BLOCK_HASH_BITS];
    uint8_t *arena;
    size_t used;
    struct code_page *pages;    /* per RAM page */
    struct table_page *tables;  /* per RAM page: as a page table */
    uint32_t table_epoch;       /* raised when all cached translations are dropped */
    bool walking;               /* the store at hand is the walker's own */
    uint64_t decoded, flushes, dropped; /* for --stats */
    struct block *scratch;      /* a part of a block: partial budget, solo */
};

int blocks_init(struct cpu *cpu);
void blocks_fini(struct cpu *cpu);
void blocks_flush(struct cpu *cpu);
/* Code is looked up anew, by its address, before it is entered from another page. */
void blocks_forget_jumps(struct cpu *cpu);
/* The block at linear `rip` in the current mode, decoded if need be. Faults as fetching does. */
struct block *blocks_lookup(struct cpu *cpu, uint64_t rip);
/* Drops the code that [gpa, gpa + len) of a RAM page holds. */
void blocks_store(struct cpu *cpu, uint64_t page, uint64_t gpa, size_t len);
/* Whether such a store drops code or changes a translation. */
bool blocks_store_needs_solo(struct cpu *cpu, uint64_t page, uint64_t gpa, size_t len);
/* A block of `n` ops of `from`, starting with `first`, ended; valid until the next call. */
struct block *blocks_part(struct cpu *cpu, const struct block *from, unsigned first, unsigned n);

/* Chooses handler and operands for one decoded instruction, `off` bytes behind its block's start. */
void lower_insn(const struct cpu *cpu, const struct insn *in, struct op *op, unsigned off);
extern op_fn op_end, op_undefined, op_checked;

/* --- engine and exceptions --- */

enum unwind_reason {
    UNWIND_NONE = 0,
    UNWIND_FAULT = 1,
    UNWIND_SOLO = 2,
    UNWIND_DEBUG = 3,
    UNWIND_IGNNE = 4,  /* run the current instruction again, with the x87's error hidden from it */
    UNWIND_FROZEN = 5, /* it waits, until an interrupt comes */
};

/* A debugger stops before the current instruction (cpu->op; NULL: the one at cpu->rip). */
_Noreturn void engine_stop_here(struct cpu *cpu);

/* Delivers the exception noted in exc_*, cpu->rip being where it happened. Faults on the way become
 * double and triple faults. False: triple fault, the CPU is in shutdown. */
bool exception_deliver(struct cpu *cpu);
/* Takes vector `vector` as an external interrupt. Same result. */
bool interrupt_deliver(struct cpu *cpu, uint8_t vector);

/* Settles rip, icount and solo after an unwind out of a block. */
void engine_settle_fault(struct cpu *cpu);
/* Lazy flags and clock into (and out of) the architectural state. */
void engine_enter(struct cpu *cpu);
void engine_leave(struct cpu *cpu);

#endif
