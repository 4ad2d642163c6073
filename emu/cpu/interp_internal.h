/* SPDX-License-Identifier: MIT */
/*
 * The interpreter's inside: operations, blocks, and how a handler is written.
 *
 * A block is a run of decoded operations in one page and mode, found by physical address. An `op` is
 * an instruction with the handler that lower.c chose for it, so that a handler tests neither operand
 * form nor size nor (in 64-bit mode) segment. Conditional branches do not end a block; a taken one
 * leaves it. The last op of a block is always an end op, which goes on at the next instruction.
 *
 * Writing a handler:
 *
 *     HANDLER(add_r64_m64)
 *     {
 *         uint64_t b = LOAD64(cpu, op, ea_bisd(cpu, op));   // may fault: does not return then
 *         uint64_t a = cpu->regs[op->reg];
 *         ...commit only after the last access that may fault...
 *         NEXT();
 *     }
 *
 * Rules that keep faults precise and dispatch fast:
 *   1. Nothing architectural changes before the last access that can fault. Stores fault too. A
 *      fault, and a store that must be alone in its block, restarts the instruction from nothing.
 *   2. No local has its address taken across NEXT(), so that the compiler can jump instead of call;
 *      operands of SIMD kernels live in cpu->tmp.
 *   3. Out-of-line helpers that can fault set cpu->op first (LOADn/STOREn slow paths do).
 *   4. A handler that changes mode, privilege, translation or interrupt state ends with END_BLOCK()
 *      (go on at cpu->rip by looking it up) or LEAVE() (return to the machine), never NEXT(); it sets
 *      cpu->rip itself, and lower.c ends the block after it (IA_SERIAL, IA_BRANCH, IA_IO).
 *   5. cpu->icount counts the whole block from its entry on; what is exact inside of a block is
 *      insn_icount(). IA_IO instructions run last in their block, so for them clock->icount is set by
 *      io_begin().
 *   6. Undefined flags get the value that is written beside them, the same in every engine.
 */
#ifndef EMU_CPU_INTERP_INTERNAL_H
#define EMU_CPU_INTERP_INTERNAL_H

#include <string.h>

#include <emu/bus.h>
#include <emu/clock.h>
#include <emu/cpu.h>
#include <emu/machine.h>

#include "flags.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* --- operations and blocks --- */

typedef const struct op *op_fn(struct cpu *cpu, const struct op *op);

struct op {
    op_fn *fn;
    uint64_t imm;       /* immediate; near branches: target relative to the block's start */
    union {
        struct {
            int32_t disp; /* RIP-relative: already relative to the block's start */
            uint8_t reg;  /* register number; 8-bit operands: byte offset into cpu->regs */
            uint8_t rm;   /* likewise */
            uint8_t base; /* 0..15, REG_NONE, REG_RIP */
            uint8_t index;
        };
        struct block *link; /* direct branches within a page: where it led last */
    };
    uint16_t off;       /* of the instruction from the block's start; end op: of the next one */
    uint8_t len;
    uint8_t idx;        /* place in the block */
    uint8_t scale : 2;
    uint8_t opsize : 3; /* enum opsize */
    uint8_t addrsize : 3;
    uint8_t seg : 3;
    uint8_t mem : 1;
    uint8_t rep : 2;    /* 0, 1: REP/REPE, 2: REPNE */
    uint8_t aligned : 1; /* SIMD: the memory operand must be on 16 bytes */
    uint16_t id;        /* enum insn_id */
};
_Static_assert(sizeof(struct op) == 32, "two ops per cache line");

#define BLOCK_MAX_OPS 32

struct block {
    uint64_t pos;         /* of the first byte in ram->host */
    struct block *hash_next;
    struct block *page_next[2];   /* lists of the pages that its bytes are in */
    uint64_t tail_page;   /* RAM page of the bytes past the first page, or UINT64_MAX */
    uint32_t mode;
    uint16_t bytes;
    uint16_t n;           /* instructions */
    bool dropped;         /* its code has changed: must not be entered any more */
    struct op ops[];      /* n + 1; behind them, with MODE_CHECKED: block_unchecked() */
};

/* cpu->mode: what decoding and handlers depend on. */
#define MODE_CODE_MASK 0x3u /* enum code_size */
#define MODE_FLAT      0x4u /* 16/32-bit code: CS, DS, ES, SS have base 0 and limit 4 GiB - 1 */
#define MODE_STACK32   0x8u /* SS.B */
#define MODE_USER      0x10u /* CPL 3: in the jump cache's key, not in the block's */
#define MODE_BLOCK_MASK 0xfu
#define MODE_CHECKED   0x20u /* of a block: a debugger looks before each instruction */

/* What the instructions of a checked block are, each being preceded by op_checked. */
static inline op_fn **block_unchecked(struct block *b)
{
    return (op_fn **)(void *)&b->ops[b->n + 1];
}
/* Bytes of a block of n instructions, whatever its mode. */
#define BLOCK_BYTES(n) (sizeof(struct block) + ((n) + 1u) * (sizeof(struct op) + sizeof(op_fn *)))

/* Linear RIP at which the current block starts (not masked to the code size). */
static inline uint64_t block_rip(const struct cpu *cpu)
{
    return cpu->regs[REG_RIP];
}
static inline enum code_size mode_code_size(uint32_t mode)
{
    return (enum code_size)(mode & MODE_CODE_MASK);
}
/* 32-bit code in which an offset is a linear address, whatever the segment (but FS and GS). */
static inline bool mode_is_flat32(uint32_t mode)
{
    return (mode & (MODE_CODE_MASK | MODE_FLAT)) == (CODE_32 | MODE_FLAT);
}
/*
 * Where the next instruction is. In 16-bit code, too, EIP goes on behind FFFFh, to a fault or into a segment that
 * is larger; only transfers with 16-bit operands cut it.
 */
static inline uint64_t rip_mask(const struct cpu *cpu, uint64_t rip)
{
    return mode_code_size(cpu->mode) == CODE_64 ? rip : (uint32_t)rip;
}
static inline uint64_t op_rip(const struct cpu *cpu, const struct op *op)
{
    return rip_mask(cpu, cpu->regs[REG_RIP] + op->off);
}
static inline uint64_t op_next_rip(const struct cpu *cpu, const struct op *op)
{
    return rip_mask(cpu, cpu->regs[REG_RIP] + op->off + op->len);
}
/* Instructions retired before `op`. */
uint64_t insn_icount(const struct cpu *cpu, const struct op *op);

/* --- dispatch --- */

/* Without tail calls a handler that only goes on does not use `cpu`. */
#define HANDLER(name)                                                                              \
    static const struct op *name(struct cpu *cpu __attribute__((unused)), const struct op *op)

#if DEJA_TAIL_CALLS
#define NEXT() return (op + 1)->fn(cpu, op + 1)
#define DISPATCH(o) return (o)->fn(cpu, (o))
#else
#define NEXT() return op + 1
#define DISPATCH(o) return (o)
#endif
/* Back to cpu_run's loop; cpu->rip is where to go on. */
#define LEAVE() return NULL
/* cpu->rip is set, mode and privilege may have changed: looks the next block up, or leaves when
 * something is pending. */
#define END_BLOCK() return block_continue(cpu)

const struct op *block_continue(struct cpu *cpu);
/* Goes to `rip` in the same mode. Looks up and enters its block; NULL when the budget is spent. */
const struct op *block_goto(struct cpu *cpu, uint64_t rip);

/* --- faults: none of these returns --- */

_Noreturn void raise_exception(struct cpu *cpu, enum exception vector);
_Noreturn void raise_error(struct cpu *cpu, enum exception vector, uint32_t error);
_Noreturn void raise_page_fault(struct cpu *cpu, uint64_t linear, uint32_t error);
/* #UD for an instruction that is legal on this CPU model but not implemented: counted and named. */
_Noreturn void raise_unimplemented(struct cpu *cpu, const struct op *op);
_Noreturn void raise_ud(struct cpu *cpu, const struct op *op);
/* A waiting instruction finds an x87 error: #MF, or with CR0.NE clear FERR#, and it waits for an interrupt. */
_Noreturn void raise_x87_error(struct cpu *cpu, const struct op *op);
/* After anything that may have removed the error, or set CR0.NE: FERR#, and with it IGNNE#, follow. */
void x87_error_settle(struct cpu *cpu);
static inline void x87_error_changed(struct cpu *cpu)
{
    if (unlikely(cpu->pending & PENDING_FERR))
        x87_error_settle(cpu);
}
static inline _Noreturn void raise_gp0(struct cpu *cpu)
{
    raise_error(cpu, EXC_GP, 0);
}
/* Unwinds to run the current instruction again, alone in its block, unless it is already. */
void require_solo(struct cpu *cpu);

/* --- memory --- */

/* What a memory access is for; also indexes nothing: three tags per TLB entry. */
enum mmu_access { MMU_READ, MMU_WRITE, MMU_FETCH };

static inline struct tlb_entry *tlb_slot(const struct cpu *cpu, uint64_t linear)
{
    return &cpu->tlb[(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
}

/* Slow paths: page boundaries, TLB misses, devices. They set cpu->op. */
uint64_t mem_read_slow(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size);
void mem_write_slow(struct cpu *cpu, const struct op *op, uint64_t linear, uint64_t value,
                    unsigned size);
/* Makes [linear, linear + size) writable or faults; nothing is written. For instructions that must
 * know before they compute, or that store more than once. */
void mem_probe_write(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size);
/* ... of what is aligned when its parts are: #AC goes by `alignment`, a power of two. */
void mem_probe_write_aligned(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size,
                             unsigned alignment);
/* Any length, any alignment, by way of 1 to 8 byte accesses; writes are probed first. */
void mem_read_bytes(struct cpu *cpu, const struct op *op, uint64_t linear, void *out, unsigned len);
void mem_write_bytes(struct cpu *cpu, const struct op *op, uint64_t linear, const void *data,
                     unsigned len);
/* Host address of [linear, linear + size) for reading or (after doing what a store must do first)
 * writing, or NULL when it crosses a page or is not RAM. May fault. */
uint8_t *mem_host(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size,
                  enum mmu_access access);

/* Supervisor accesses whatever the CPL is: descriptor tables, TSS (SDM vol. 3, 4.6). */
uint64_t sys_read(struct cpu *cpu, uint64_t linear, unsigned size);
void sys_write(struct cpu *cpu, uint64_t linear, uint64_t value, unsigned size);

#define DEFINE_LOAD(bits)                                                                          \
    static inline uint64_t LOAD##bits(struct cpu *cpu, const struct op *op, uint64_t linear)       \
    {                                                                                              \
        const struct tlb_entry *e = tlb_slot(cpu, linear);                                         \
        if (likely(((linear + (bits) / 8 - 1) & ~PAGE_OFFSET_MASK) == e->read)) {                  \
            uint##bits##_t v;                                                                      \
            memcpy(&v, (const void *)(uintptr_t)(linear + e->addend), sizeof(v));                  \
            return v;                                                                              \
        }                                                                                          \
        return mem_read_slow(cpu, op, linear, (bits) / 8);                                         \
    }
#define DEFINE_STORE(bits)                                                                         \
    static inline void STORE##bits(struct cpu *cpu, const struct op *op, uint64_t linear,          \
                                   uint64_t value)                                                 \
    {                                                                                              \
        const struct tlb_entry *e = tlb_slot(cpu, linear);                                         \
        if (likely(((linear + (bits) / 8 - 1) & ~PAGE_OFFSET_MASK) == e->write)) {                 \
            uint##bits##_t v = (uint##bits##_t)value;                                              \
            memcpy((void *)(uintptr_t)(linear + e->addend), &v, sizeof(v));                        \
            return;                                                                                \
        }                                                                                          \
        mem_write_slow(cpu, op, linear, value, (bits) / 8);                                        \
    }
DEFINE_LOAD(8)
DEFINE_LOAD(16)
DEFINE_LOAD(32)
DEFINE_LOAD(64)
DEFINE_STORE(8)
DEFINE_STORE(16)
DEFINE_STORE(32)
DEFINE_STORE(64)

/* A read that will be followed by a write to the same place: faults as a write does. */
#define DEFINE_LOAD_RMW(bits)                                                                      \
    static inline uint64_t LOAD_RMW##bits(struct cpu *cpu, const struct op *op, uint64_t linear)   \
    {                                                                                              \
        const struct tlb_entry *e = tlb_slot(cpu, linear);                                         \
        if (unlikely(((linear + (bits) / 8 - 1) & ~PAGE_OFFSET_MASK) != e->write))                 \
            mem_probe_write(cpu, op, linear, (bits) / 8);                                          \
        return LOAD##bits(cpu, op, linear);                                                        \
    }
DEFINE_LOAD_RMW(8)
DEFINE_LOAD_RMW(16)
DEFINE_LOAD_RMW(32)
DEFINE_LOAD_RMW(64)

/* --- effective addresses (linear) --- */

/* 64-bit code, no FS/GS: base + disp, where base may be RIP or none. */
static inline uint64_t ea_bd(const struct cpu *cpu, const struct op *op)
{
    return cpu->regs[op->base] + (uint64_t)(int64_t)op->disp;
}
static inline uint64_t ea_bisd(const struct cpu *cpu, const struct op *op)
{
    return cpu->regs[op->base] + (cpu->regs[op->index] << op->scale) +
           (uint64_t)(int64_t)op->disp;
}
/* 32-bit address, flat segment (32-bit code). */
static inline uint64_t ea_32(const struct cpu *cpu, const struct op *op)
{
    return (uint32_t)((uint32_t)cpu->regs[op->base] + ((uint32_t)cpu->regs[op->index] << op->scale) +
                      (uint32_t)op->disp);
}
/* Any address size and segment. `size`: bytes accessed, for limit checks; may fault (#GP, #SS).
 * `write`: checks that the segment can be written, else that it can be read. */
uint64_t ea_any(struct cpu *cpu, const struct op *op, unsigned size, bool write);
/* The offset alone, as LEA computes it. */
uint64_t ea_offset(const struct cpu *cpu, const struct op *op);
/* Linear address of seg:offset with all checks of the current mode. */
uint64_t seg_linear(struct cpu *cpu, const struct op *op, unsigned seg, uint64_t offset,
                    unsigned size, bool write);

/* Which of the above an op needs. */
enum ea_kind { EA_BD, EA_BISD, EA_32, EA_ANY };
enum ea_kind ea_kind_of(const struct cpu *cpu, const struct insn *in);

/* --- lowering --- */

/* Fills `op` (but off, idx) from `in`; chooses the handler. lower.c asks simd_lower for IA_X87, IA_MMX
 * and IA_SSE rows. op->imm, disp, reg, rm, base, index, scale, seg, opsize, addrsize, mem, rep and id
 * are filled before; simd_lower returns the handler or NULL (then #UD, counted). `kind` is the
 * memory operand's address form. 8-bit register operands of SIMD forms do not exist; reg and rm are
 * plain numbers there. */
op_fn *simd_lower(const struct insn *in, enum ea_kind kind, struct op *op);

/* --- shared pieces of instructions --- */

static inline uint8_t *reg8(struct cpu *cpu, unsigned byte_offset)
{
    return (uint8_t *)cpu->regs + byte_offset;
}

/* The instruction may reach a device or read time: settles clock->icount. */
static inline void io_begin(struct cpu *cpu, const struct op *op)
{
    cpu->op = op;
    cpu->clock->icount = insn_icount(cpu, op);
}

/* #GP(0) unless IOPL or the I/O bitmap of the TSS allows the port. */
void port_check(struct cpu *cpu, uint16_t port, unsigned size);
/* DR0..DR3 that watch the port, with CR4.DE, trap after the instruction that has reached it (SDM vol. 3, 17.2.4). */
void cpu_watch_port(struct cpu *cpu, uint16_t port, unsigned size);

/* Anything that changed CS, SS, DS, ES, CPL, CR0, CR4.SMAP, EFER or EFLAGS.AC ends with this. */
void cpu_update_mode(struct cpu *cpu);
/* Translations changed: all of them, or those that are not global, or of one page. */
void mmu_flush(struct cpu *cpu);
void mmu_flush_nonglobal(struct cpu *cpu);
void mmu_flush_page(struct cpu *cpu, uint64_t linear);

#endif
