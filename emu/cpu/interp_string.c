/* SPDX-License-Identifier: MIT */
/*
 * String instructions (SDM vol. 1, 7.3.9). A repeated one counts an instruction per iteration, can
 * stop after any of them (budget, fault), and ends its block.
 *
 * Counting: the block has counted one iteration when the handler starts. `repeat_add` adds what was
 * done; cpu->icount is then ahead by one until `repeat_end` takes that one back, so that a fault in
 * between, which takes back the current instruction, leaves exactly the iterations that completed.
 *
 * MOVS and STOS forwards, whole pages in RAM: done in one go as far as page, count and budget reach.
 */
#include "dispatch.h"
#include "inspect.h"
#include "stack.h"
#include "watch.h"

static inline uint64_t addr_mask(const struct op *op)
{
    return op->addrsize == OPSIZE_64   ? UINT64_MAX
           : op->addrsize == OPSIZE_32 ? UINT32_MAX
                                       : UINT16_MAX;
}

static inline void advance(struct cpu *cpu, const struct op *op, unsigned reg, uint64_t by)
{
    if (op->addrsize == OPSIZE_16)
        WR16(reg, cpu->regs[reg] + by);
    else
        cpu->regs[reg] = (cpu->regs[reg] + by) & addr_mask(op);
}

static inline uint64_t step_of(const struct cpu *cpu, const struct op *op)
{
    uint64_t size = 1u << op->opsize;

    return cpu->rflags & RFLAGS_DF ? -size : size;
}

static inline uint64_t source_linear(struct cpu *cpu, const struct op *op)
{
    return seg_linear(cpu, op, op->seg, cpu->regs[REG_RSI] & addr_mask(op), 1u << op->opsize, false);
}
static inline uint64_t dest_linear(struct cpu *cpu, const struct op *op, bool write)
{
    return seg_linear(cpu, op, SEG_ES, cpu->regs[REG_RDI] & addr_mask(op), 1u << op->opsize, write);
}

/* --- one iteration of each --- */

static void movs_once(struct cpu *cpu, const struct op *op)
{
    unsigned size = 1u << op->opsize;
    uint64_t v = load_sized(cpu, op, source_linear(cpu, op), size), step = step_of(cpu, op);

    store_sized(cpu, op, dest_linear(cpu, op, true), v, size);
    advance(cpu, op, REG_RSI, step);
    advance(cpu, op, REG_RDI, step);
}

static void stos_once(struct cpu *cpu, const struct op *op)
{
    store_sized(cpu, op, dest_linear(cpu, op, true), cpu->regs[REG_RAX], 1u << op->opsize);
    advance(cpu, op, REG_RDI, step_of(cpu, op));
}

static void lods_once(struct cpu *cpu, const struct op *op)
{
    uint64_t v = load_sized(cpu, op, source_linear(cpu, op), 1u << op->opsize);

    if (op->opsize == OPSIZE_8)
        WR8(0, v);
    else if (op->opsize == OPSIZE_16)
        WR16(REG_RAX, v);
    else
        cpu->regs[REG_RAX] = v;
    advance(cpu, op, REG_RSI, step_of(cpu, op));
}

static void compare(struct cpu *cpu, uint64_t a, uint64_t b, unsigned opsize)
{
    unsigned shift = 64 - (8u << opsize);
    uint64_t r = a - b, borrows = SUB_BORROWS(a, b, r);

    cpu->lf_result = (uint64_t)((int64_t)(r << shift) >> shift);
    cpu->lf_aux = (borrows << shift & (LF_CF | LF_PO)) | (borrows & LF_AF);
}

static void cmps_once(struct cpu *cpu, const struct op *op)
{
    unsigned size = 1u << op->opsize;
    /* ES:rDI first: where both operands fault, hardware reports this one. */
    uint64_t b = load_sized(cpu, op, dest_linear(cpu, op, false), size);
    uint64_t a = load_sized(cpu, op, source_linear(cpu, op), size);

    compare(cpu, a, b, op->opsize);
    advance(cpu, op, REG_RSI, step_of(cpu, op));
    advance(cpu, op, REG_RDI, step_of(cpu, op));
}

static void scas_once(struct cpu *cpu, const struct op *op)
{
    uint64_t b = load_sized(cpu, op, dest_linear(cpu, op, false), 1u << op->opsize);

    compare(cpu, cpu->regs[REG_RAX], b, op->opsize);
    advance(cpu, op, REG_RDI, step_of(cpu, op));
}

static void ins_once(struct cpu *cpu, const struct op *op)
{
    unsigned size = 1u << op->opsize;
    uint64_t at = dest_linear(cpu, op, true), port = cpu->regs[REG_RDX] & 0xffff, v;

    /* The store must not fault once the port has been read. */
    mem_probe_write(cpu, op, at, size);
    v = bus_read(cpu->ports, port, size);
    if (watched(cpu, WATCH_PORT_READ))
        watch_access(cpu, op, WATCH_PORT_READ, port, v, size);
    store_sized(cpu, op, at, v, size);
    advance(cpu, op, REG_RDI, step_of(cpu, op));
}

static void outs_once(struct cpu *cpu, const struct op *op)
{
    unsigned size = 1u << op->opsize;
    uint64_t v = load_sized(cpu, op, source_linear(cpu, op), size), port = cpu->regs[REG_RDX] & 0xffff;

    if (watched(cpu, WATCH_PORT_WRITE))
        watch_access(cpu, op, WATCH_PORT_WRITE, port, v, size);
    bus_write(cpu->ports, port, v, size);
    advance(cpu, op, REG_RSI, step_of(cpu, op));
}

/* --- repetition --- */

static inline uint64_t count_left(const struct cpu *cpu, const struct op *op)
{
    return cpu->regs[REG_RCX] & addr_mask(op);
}

/* `n` iterations were done. */
static inline void repeat_add(struct cpu *cpu, const struct op *op, uint64_t n)
{
    advance(cpu, op, REG_RCX, -n);
    cpu->icount += n;
}

/* How many more iterations the budget allows. */
static inline uint64_t repeat_room(const struct cpu *cpu)
{
    return cpu->icount_end - cpu->icount + 1;
}

static const struct op *repeat_end(struct cpu *cpu, const struct op *op, bool finished)
{
    cpu->icount--;
    cpu->rip = finished ? op_next_rip(cpu, op) : op_rip(cpu, op);
    if (!finished)
        cpu->repeat_mark = cpu->icount;
    if (finished && !cpu->exit_request)
        return block_goto(cpu, cpu->rip);
    LEAVE();
}

/* Whether the next iteration is to be begun by the engine's loop, where somebody looks at every moment. */
static inline bool repeat_singly(const struct cpu *cpu)
{
    return unlikely(cpu->inspecting == INSPECT_EVERY);
}

/* Bytes from `linear` to the end of its page. */
static inline uint64_t to_page_end(uint64_t linear)
{
    return PAGE_BYTES - (linear & PAGE_OFFSET_MASK);
}

/* How many elements can be moved at once; 0: one at a time. Forwards only, no wrap of offsets, all
 * of it inside a page, and inside the segment when there are segments. */
static uint64_t chunk_elements(struct cpu *cpu, const struct op *op, uint64_t linear)
{
    uint64_t n = to_page_end(linear) >> op->opsize;

    if ((cpu->rflags & RFLAGS_DF) || cpu->solo || op->addrsize == OPSIZE_16 || repeat_singly(cpu))
        return 0;
    if (mode_code_size(cpu->mode) != CODE_64 && !(cpu->mode & MODE_FLAT))
        return 0;
    return n;
}

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Overlap that a copy of wider pieces would get wrong: the destination starts inside of the source.
 * An element at a time, as the instruction does it. */
static void copy_elements(uint8_t *to, const uint8_t *from, uint64_t n, unsigned opsize)
{
    uint64_t bytes = n << opsize, i;
    unsigned size = 1u << opsize;

    if (to <= from || to >= from + bytes) {
        memmove(to, from, bytes);
        return;
    }
    if ((uint64_t)(to - from) < size) {
        for (i = 0; i < bytes; i += size) {
            uint64_t v = 0;

            memcpy(&v, from + i, size);
            memcpy(to + i, &v, size);
        }
        return;
    }
    for (i = 0; i < bytes; i += size)
        memcpy(to + i, from + i, size);
}

/* Several iterations of MOVS at once; 0 when it must be done singly. */
static uint64_t movs_chunk(struct cpu *cpu, const struct op *op, uint64_t limit)
{
    uint64_t src = source_linear(cpu, op), dst, n;
    const uint8_t *from;
    uint8_t *to;

    /* The source first, as movs_once has it. */
    n = min64(chunk_elements(cpu, op, src), limit);
    if (n < 2 || (op->seg >= SEG_FS && mode_code_size(cpu->mode) != CODE_64))
        return 0;
    from = mem_host(cpu, op, src, (unsigned)(n << op->opsize), MMU_READ);
    if (from == NULL)
        return 0;
    dst = dest_linear(cpu, op, true);
    n = min64(chunk_elements(cpu, op, dst), n);
    if (n < 2)
        return 0;
    to = mem_host(cpu, op, dst, (unsigned)(n << op->opsize), MMU_WRITE);
    if (to == NULL)
        return 0;
    copy_elements(to, from, n, op->opsize);
    advance(cpu, op, REG_RSI, n << op->opsize);
    advance(cpu, op, REG_RDI, n << op->opsize);
    return n;
}

static uint64_t stos_chunk(struct cpu *cpu, const struct op *op, uint64_t limit)
{
    uint64_t dst = dest_linear(cpu, op, true), n, i;
    uint8_t *to;

    n = min64(chunk_elements(cpu, op, dst), limit);
    if (n < 2)
        return 0;
    to = mem_host(cpu, op, dst, (unsigned)(n << op->opsize), MMU_WRITE);
    if (to == NULL)
        return 0;
    switch (op->opsize) {
    case OPSIZE_8: memset(to, (int)(cpu->regs[REG_RAX] & 0xff), n); break;
    case OPSIZE_16:
        for (i = 0; i < n; i++)
            memcpy(to + 2 * i, &cpu->regs[REG_RAX], 2);
        break;
    case OPSIZE_32:
        for (i = 0; i < n; i++)
            memcpy(to + 4 * i, &cpu->regs[REG_RAX], 4);
        break;
    default:
        for (i = 0; i < n; i++)
            memcpy(to + 8 * i, &cpu->regs[REG_RAX], 8);
        break;
    }
    advance(cpu, op, REG_RDI, n << op->opsize);
    return n;
}

#define REP_EMPTY()                                                                                \
    do {                                                                                           \
        cpu->op = op;                                                                              \
        if (count_left(cpu, op) == 0) {                                                            \
            cpu->rip = op_next_rip(cpu, op);                                                       \
            return block_goto(cpu, cpu->rip);                                                      \
        }                                                                                          \
    } while (0)

#define REP_CHUNKED(name)                                                                          \
    HANDLER(rep_##name)                                                                            \
    {                                                                                              \
        REP_EMPTY();                                                                               \
        while (count_left(cpu, op) != 0) {                                                         \
            uint64_t room = repeat_room(cpu), n;                                                   \
            if (room == 0 || cpu->exit_request)                                                    \
                return repeat_end(cpu, op, false);                                                 \
            n = name##_chunk(cpu, op, min64(room, count_left(cpu, op)));                           \
            if (n == 0) {                                                                          \
                name##_once(cpu, op);                                                              \
                n = 1;                                                                             \
            }                                                                                      \
            repeat_add(cpu, op, n);                                                                \
            if (repeat_singly(cpu))                                                                \
                return repeat_end(cpu, op, count_left(cpu, op) == 0);                              \
        }                                                                                          \
        return repeat_end(cpu, op, true);                                                          \
    }
REP_CHUNKED(movs)
REP_CHUNKED(stos)

#define REP_PLAIN(name)                                                                            \
    HANDLER(rep_##name)                                                                            \
    {                                                                                              \
        REP_EMPTY();                                                                               \
        while (count_left(cpu, op) != 0) {                                                         \
            if (repeat_room(cpu) == 0 || cpu->exit_request)                                        \
                return repeat_end(cpu, op, false);                                                 \
            name##_once(cpu, op);                                                                  \
            repeat_add(cpu, op, 1);                                                                \
            if (repeat_singly(cpu))                                                                \
                return repeat_end(cpu, op, count_left(cpu, op) == 0);                              \
        }                                                                                          \
        return repeat_end(cpu, op, true);                                                          \
    }
REP_PLAIN(lods)

/* REPE and REPNE: ZF after each iteration decides as well. */
#define REP_COMPARING(name)                                                                        \
    HANDLER(rep_##name)                                                                            \
    {                                                                                              \
        bool while_zf = op->rep == 1;                                                              \
        REP_EMPTY();                                                                               \
        for (;;) {                                                                                 \
            if (repeat_room(cpu) == 0 || cpu->exit_request)                                        \
                return repeat_end(cpu, op, false);                                                 \
            name##_once(cpu, op);                                                                  \
            repeat_add(cpu, op, 1);                                                                \
            if (count_left(cpu, op) == 0 || flag_zf(cpu) != while_zf)                              \
                return repeat_end(cpu, op, true);                                                  \
            if (repeat_singly(cpu))                                                                \
                return repeat_end(cpu, op, false);                                                 \
        }                                                                                          \
    }
REP_COMPARING(cmps)
REP_COMPARING(scas)

/* Ports: one iteration, then the machine looks at what the device did. */
#define PORT_STRING(name)                                                                          \
    HANDLER(name##_port)                                                                           \
    {                                                                                              \
        cpu->op = op;                                                                              \
        port_check(cpu, (uint16_t)cpu->regs[REG_RDX], 1u << op->opsize);                           \
        if (op->rep != 0 && count_left(cpu, op) == 0) {                                            \
            cpu->rip = op_next_rip(cpu, op);                                                       \
            return block_goto(cpu, cpu->rip);                                                      \
        }                                                                                          \
        io_begin(cpu, op);                                                                         \
        name##_once(cpu, op);                                                                      \
        cpu_watch_port(cpu, (uint16_t)cpu->regs[REG_RDX], 1u << op->opsize);                       \
        cpu->exit_request = true;                                                                  \
        if (op->rep != 0)                                                                          \
            advance(cpu, op, REG_RCX, UINT64_MAX);                                                 \
        cpu->rip = op_next_rip(cpu, op);                                                           \
        if (op->rep != 0 && count_left(cpu, op) != 0) {                                            \
            cpu->rip = op_rip(cpu, op);                                                            \
            cpu->repeat_mark = cpu->icount;                                                        \
        }                                                                                          \
        LEAVE();                                                                                   \
    }
PORT_STRING(ins)
PORT_STRING(outs)

#define SINGLE(name)                                                                               \
    HANDLER(name##_single)                                                                         \
    {                                                                                              \
        name##_once(cpu, op);                                                                      \
        NEXT();                                                                                    \
    }
SINGLE(movs)
SINGLE(stos)
SINGLE(lods)
SINGLE(cmps)
SINGLE(scas)

op_fn *lower_string(const struct insn *in, struct op *op)
{
    bool rep = op->rep != 0;

    switch (in->id) {
    case INSN_MOVS: return rep ? rep_movs : movs_single;
    case INSN_STOS: return rep ? rep_stos : stos_single;
    case INSN_LODS: return rep ? rep_lods : lods_single;
    case INSN_CMPS: return rep ? rep_cmps : cmps_single;
    case INSN_SCAS: return rep ? rep_scas : scas_single;
    case INSN_INS: return ins_port;
    case INSN_OUTS: return outs_port;
    default: return NULL;
    }
}
