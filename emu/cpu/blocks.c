/* SPDX-License-Identifier: MIT */
/*
 * The block cache: decoded code, found by where it lies in RAM and the mode it was decoded for.
 *
 * Invariants:
 *   1. A block's bytes lie in one page, but for a block of a single instruction that straddles two.
 *      Its second page is checked at every entry, so it is never linked nor in the jump cache.
 *   2. Every page with a live block is flagged RAM_CODE, and `mask` covers the block's bytes.
 *   3. A dropped block is never entered again, but may be running; its memory, and pointers to it in op
 *      links, stay valid until blocks_flush, which also forgets every other block.
 *   4. Decoding has no effect on the guest: only bytes of pages that executing the first instruction
 *      has translated are looked at.
 */
#include "debugger.h"

#include <stdlib.h>
#include <sys/mman.h>

static unsigned hash_of(uint64_t pos, uint32_t mode)
{
    return (unsigned)((pos * 0x9e3779b97f4a7c15ULL + mode) >> (64 - BLOCK_HASH_BITS));
}

/* Only what is used of it takes memory; in large host pages, which save host TLB misses. NULL: none. */
static uint8_t *map_arena(void)
{
    void *arena = mmap(NULL, BLOCK_ARENA_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (arena == MAP_FAILED)
        return NULL;
    madvise(arena, BLOCK_ARENA_BYTES, MADV_HUGEPAGE); /* advice only */
    return arena;
}

int blocks_init(struct cpu *cpu)
{
    struct block_cache *cache = calloc(1, sizeof(*cache));

    if (cache == NULL)
        return -1;
    cpu->blocks = cache;
    cache->arena = map_arena();
    cache->pages = calloc(cpu->ram->npages, sizeof(*cache->pages));
    cache->tables = calloc(cpu->ram->npages, sizeof(*cache->tables));
    cache->scratch = malloc(BLOCK_BYTES(BLOCK_MAX_OPS));
    if (cache->arena == NULL || cache->pages == NULL || cache->tables == NULL ||
        cache->scratch == NULL) {
        blocks_fini(cpu);
        return -1;
    }
    cache->table_epoch = 1;
    return 0;
}

void blocks_fini(struct cpu *cpu)
{
    struct block_cache *cache = cpu->blocks;

    if (cache == NULL)
        return;
    if (cache->arena != NULL)
        munmap(cache->arena, BLOCK_ARENA_BYTES);
    free(cache->pages);
    free(cache->tables);
    free(cache->scratch);
    free(cache);
    cpu->blocks = NULL;
}

void blocks_forget_jumps(struct cpu *cpu)
{
    cpu->flush_generation++;
    cpu->jump_key = cpu->flush_generation << 8 | (cpu->jump_key & 0xff);
}

void blocks_flush(struct cpu *cpu)
{
    struct block_cache *cache = cpu->blocks;
    uint64_t page;

    for (page = 0; page < cpu->ram->npages; page++) {
        if (cache->pages[page].blocks == NULL && cache->pages[page].mask == 0)
            continue;
        ram_clear_flag(cpu->ram, page, RAM_CODE);
        memset(&cache->pages[page], 0, sizeof(cache->pages[page]));
    }
    memset(cache->hash, 0, sizeof(cache->hash));
    memset(cpu->jumps, 0, sizeof(cpu->jumps));
    blocks_forget_jumps(cpu);
    cache->used = 0;
    cache->flushes++;
}

/* --- decoding --- */

/* A mask bit for each 64 bytes of [from, end) in a page. */
static uint64_t line_mask(uint64_t from, uint64_t end)
{
    uint64_t first = from >> 6, last = (end - 1) >> 6;

    return (~0ULL << first) & (~0ULL >> (63 - last));
}

static void finish_block(struct block *b, unsigned n, unsigned bytes)
{
    struct op *end = &b->ops[n];

    memset(end, 0, sizeof(*end));
    end->fn = op_end;
    end->imm = bytes;
    end->off = (uint16_t)bytes;
    end->idx = (uint8_t)n;
    b->n = (uint16_t)n;
    b->bytes = (uint16_t)bytes;
    b->dropped = false;
}

/* Whether the block ends after this instruction. */
static bool ends_block(const struct insn *in)
{
    unsigned attrs = insn_info[in->id].attrs;

    if (in->id >= INSN_JO && in->id <= INSN_JNLE)
        return false;
    if (attrs & (IA_BRANCH | IA_SERIAL | IA_IO))
        return true;
    return (attrs & IA_STRING) && (in->flags & (INSN_REP | INSN_REPNE));
}

static void lower_bad(struct op *op, enum decode_status status, unsigned off, unsigned idx)
{
    memset(op, 0, sizeof(*op));
    op->fn = op_undefined;
    op->imm = status == DECODE_TOO_LONG ? EXC_GP : EXC_UD;
    op->off = (uint16_t)off;
    op->idx = (uint8_t)idx;
    op->len = 1;
}

const struct op *op_checked(struct cpu *cpu, const struct op *op)
{
    uint64_t linear = op_rip(cpu, op);

    if (mode_code_size(cpu->mode) != CODE_64)
        linear = (uint32_t)(linear + cpu->seg[SEG_CS].base);
    if (unlikely(debugger_may_stop_at(cpu->debugger, linear)))
        debugger_check_exec(cpu, op, linear);
    if (cpu->inspecting == INSPECT_EVERY)
        inspect_op(cpu, op);
    return block_unchecked(cpu->block)[op->idx](cpu, op);
}

static void check_all(struct block *b)
{
    op_fn **unchecked = block_unchecked(b);
    unsigned i;

    for (i = 0; i < b->n; i++) {
        unchecked[i] = b->ops[i].fn;
        b->ops[i].fn = op_checked;
    }
}

/* Decodes up to `limit` instructions at `code`, `room` bytes of which may be looked at. 0 when the
 * first instruction needs more. */
static unsigned decode_run(const struct cpu *cpu, struct block *b, const uint8_t *code, size_t room,
                           unsigned limit)
{
    enum code_size size = mode_code_size(b->mode);
    unsigned n = 0, off = 0;

    while (n < limit && off < room) {
        struct insn in;
        enum decode_status status = insn_decode(code + off, room - off, size, &in);

        if (status == DECODE_MORE)
            break;
        if (status != DECODE_OK) {
            lower_bad(&b->ops[n], status, off, n);
            n++;
            off += in.len; /* all bytes that were looked at: a store into any changes the answer */
            break;
        }
        lower_insn(cpu, &in, &b->ops[n], off);
        b->ops[n].idx = (uint8_t)n;
        n++;
        off += in.len;
        if (ends_block(&in))
            break;
    }
    finish_block(b, n, off);
    if (b->mode & MODE_CHECKED)
        check_all(b);
    return n;
}

/* The bytes of an instruction that crosses into the next page, or is not in RAM: one at a time, as
 * far as the instruction goes. Faults when a byte that belongs to it does. */
static unsigned fetch_slowly(struct cpu *cpu, uint64_t linear, uint8_t *buf, uint64_t *tail_page)
{
    struct insn in;
    unsigned n = 0;
    uint64_t gpa = 0;

    *tail_page = UINT64_MAX;
    while (n < INSN_MAX_LEN) {
        uint64_t at = linear + n;
        uint64_t pos;

        if (mode_code_size(cpu->mode) != CODE_64)
            at = (uint32_t)at;
        pos = mmu_fetch(cpu, at, &gpa);
        if (pos == UINT64_MAX) {
            buf[n] = (uint8_t)bus_read(cpu->memory, gpa, 1);
        } else {
            buf[n] = cpu->ram->host[pos];
            if ((at ^ linear) & ~PAGE_OFFSET_MASK)
                *tail_page = pos >> PAGE_SHIFT;
        }
        n++;
        if (insn_decode(buf, n, mode_code_size(cpu->mode), &in) != DECODE_MORE)
            break;
    }
    return n;
}

/* --- registering and dropping --- */

static void page_add(struct cpu *cpu, struct block *b, unsigned which, uint64_t page, uint64_t mask)
{
    struct code_page *cp = &cpu->blocks->pages[page];

    b->page_next[which] = cp->blocks;
    cp->blocks = b;
    cp->mask |= mask;
    ram_set_flag(cpu->ram, page, RAM_CODE);
}

static void register_block(struct cpu *cpu, struct block *b)
{
    struct block_cache *cache = cpu->blocks;
    unsigned h = hash_of(b->pos, b->mode);
    uint64_t from = b->pos & PAGE_OFFSET_MASK, end = from + b->bytes;

    b->hash_next = cache->hash[h];
    cache->hash[h] = b;
    page_add(cpu, b, 0, b->pos >> PAGE_SHIFT,
             line_mask(from, end < PAGE_BYTES ? end : PAGE_BYTES));
    if (b->tail_page != UINT64_MAX)
        page_add(cpu, b, 1, b->tail_page, line_mask(0, end - PAGE_BYTES));
    cache->used += (BLOCK_BYTES(b->n) + 63) & ~(size_t)63;
    cache->decoded++;
}

static void unhash(struct block_cache *cache, struct block *b)
{
    struct block **at = &cache->hash[hash_of(b->pos, b->mode)];

    while (*at != b)
        at = &(*at)->hash_next;
    *at = b->hash_next;
}

/* The link of `b` in the list of `page`. */
static struct block **page_link(struct block *b, uint64_t page)
{
    return &b->page_next[b->pos >> PAGE_SHIFT == page ? 0 : 1];
}

static void page_remove(struct block_cache *cache, struct block *b, uint64_t page)
{
    struct block **at = &cache->pages[page].blocks;

    while (*at != b)
        at = page_link(*at, page);
    *at = *page_link(b, page);
}

static void drop_block(struct cpu *cpu, struct block *b)
{
    unhash(cpu->blocks, b);
    page_remove(cpu->blocks, b, b->pos >> PAGE_SHIFT);
    if (b->tail_page != UINT64_MAX)
        page_remove(cpu->blocks, b, b->tail_page);
    b->dropped = true;
    cpu->blocks->dropped++;
}

/* The part of a block's bytes that lies in `page`, as offsets into the page. */
static void bytes_in_page(const struct block *b, uint64_t page, uint64_t *from, uint64_t *end)
{
    uint64_t start = b->pos & PAGE_OFFSET_MASK;

    if (b->pos >> PAGE_SHIFT == page) {
        *from = start;
        *end = start + b->bytes < PAGE_BYTES ? start + b->bytes : PAGE_BYTES;
    } else {
        *from = 0;
        *end = start + b->bytes - PAGE_BYTES;
    }
}

void blocks_store(struct cpu *cpu, uint64_t page, uint64_t gpa, size_t len)
{
    struct code_page *cp = &cpu->blocks->pages[page];
    uint64_t at = gpa & PAGE_OFFSET_MASK, mask = 0, from, end;
    struct block *b, *next;
    bool dropped = false;

    if (!(cp->mask & line_mask(at, at + len)))
        return;
    for (b = cp->blocks; b != NULL; b = next) {
        next = *page_link(b, page);
        bytes_in_page(b, page, &from, &end);
        if (from < at + len && at < end) {
            drop_block(cpu, b);
            dropped = true;
        } else {
            mask |= line_mask(from, end);
        }
    }
    cp->mask = mask;
    if (mask == 0)
        ram_clear_flag(cpu->ram, page, RAM_CODE);
    if (dropped)
        blocks_forget_jumps(cpu);
}

bool blocks_store_needs_solo(struct cpu *cpu, uint64_t page, uint64_t gpa, size_t len)
{
    uint64_t at = gpa & PAGE_OFFSET_MASK;

    if ((cpu->ram->flags[page] & RAM_CODE) &&
        (cpu->blocks->pages[page].mask & line_mask(at, at + len)))
        return true;
    return (cpu->ram->flags[page] & RAM_TABLE) &&
           mmu_store_needs_solo(cpu, page, gpa, len);
}

/* --- lookup --- */

/* Linear address of RIP, checked as a fetch checks it. */
static uint64_t code_linear(struct cpu *cpu, uint64_t rip)
{
    if (mode_code_size(cpu->mode) == CODE_64) {
        if (unlikely(!cpu_is_canonical(rip)))
            raise_gp0(cpu);
        return rip;
    }
    if (unlikely(rip > cpu->seg[SEG_CS].limit))
        raise_gp0(cpu);
    return (uint32_t)(cpu->seg[SEG_CS].base + rip);
}

/* What blocks at this address are decoded for. */
static uint32_t block_mode(const struct cpu *cpu, uint64_t linear)
{
    uint32_t mode = cpu->mode & MODE_BLOCK_MASK;

    return debugger_page_has_exec(cpu->debugger, linear) ? mode | MODE_CHECKED : mode;
}

/* One instruction that is not to be cached. */
static struct block *uncached_block(struct cpu *cpu, uint64_t linear, uint64_t rip)
{
    struct block *b = cpu->blocks->scratch;
    uint8_t buf[INSN_MAX_LEN];
    unsigned n = fetch_slowly(cpu, linear, buf, &b->tail_page);

    b->mode = block_mode(cpu, linear);
    b->pos = UINT64_MAX;
    decode_run(cpu, b, buf, n, 1);
    if (mode_code_size(cpu->mode) != CODE_64 &&
        (uint64_t)rip + b->bytes - 1 > cpu->seg[SEG_CS].limit)
        raise_gp0(cpu);
    return b;
}

/* Room for the largest block. */
static struct block *reserve_block(struct cpu *cpu)
{
    struct block_cache *cache = cpu->blocks;
    size_t most = BLOCK_BYTES(BLOCK_MAX_OPS) + 64;

    if (cache->used + most > BLOCK_ARENA_BYTES)
        blocks_flush(cpu);
    return (struct block *)(void *)(cache->arena + cache->used);
}

static struct block *build_block(struct cpu *cpu, uint64_t linear, uint64_t pos, uint32_t mode)
{
    struct block *b = reserve_block(cpu);
    uint8_t buf[INSN_MAX_LEN];
    unsigned n;

    b->mode = mode;
    b->pos = pos;
    b->tail_page = UINT64_MAX;
    if (decode_run(cpu, b, cpu->ram->host + pos, PAGE_BYTES - (pos & PAGE_OFFSET_MASK),
                   BLOCK_MAX_OPS) == 0) {
        n = fetch_slowly(cpu, linear, buf, &b->tail_page);
        if (b->tail_page == UINT64_MAX)
            return NULL; /* goes on outside of RAM */
        decode_run(cpu, b, buf, n, 1);
        b->bytes = (uint16_t)n; /* also when they are no instruction: some are in the tail page */
    }
    register_block(cpu, b);
    return b;
}

/* The second page of a straddling block is still where it was. */
static bool tail_matches(struct cpu *cpu, const struct block *b, uint64_t linear)
{
    uint64_t gpa, next = (linear | PAGE_OFFSET_MASK) + 1;
    uint64_t pos;

    if (mode_code_size(cpu->mode) != CODE_64)
        next = (uint32_t)next;
    pos = mmu_fetch(cpu, next, &gpa);
    return pos != UINT64_MAX && pos >> PAGE_SHIFT == b->tail_page;
}

struct block *blocks_lookup(struct cpu *cpu, uint64_t rip)
{
    uint64_t linear = code_linear(cpu, rip), gpa;
    uint32_t mode = block_mode(cpu, linear);
    uint64_t pos = mmu_fetch(cpu, linear, &gpa);
    struct block *b;

    if (pos == UINT64_MAX)
        return uncached_block(cpu, linear, rip);
    for (b = cpu->blocks->hash[hash_of(pos, mode)]; b != NULL; b = b->hash_next)
        if (b->pos == pos && b->mode == mode &&
            (b->tail_page == UINT64_MAX || tail_matches(cpu, b, linear)))
            break;
    if (b == NULL)
        b = build_block(cpu, linear, pos, mode);
    if (b == NULL)
        return uncached_block(cpu, linear, rip);
    if (mode_code_size(mode) != CODE_64 && rip + b->bytes - 1 > cpu->seg[SEG_CS].limit)
        return uncached_block(cpu, linear, rip);
    return b;
}

struct block *blocks_part(struct cpu *cpu, const struct block *from, unsigned first, unsigned n)
{
    struct block *b = cpu->blocks->scratch;
    op_fn *unchecked[BLOCK_MAX_OPS];
    struct op *end;
    unsigned i;

    /* `from` may be the same memory. */
    if (from->mode & MODE_CHECKED)
        memcpy(unchecked, &block_unchecked((struct block *)from)[first], n * sizeof(unchecked[0]));
    b->mode = from->mode;
    b->pos = UINT64_MAX;
    b->tail_page = UINT64_MAX;
    memmove(b->ops, &from->ops[first], n * sizeof(b->ops[0]));
    for (i = 0; i < n; i++)
        b->ops[i].idx = (uint8_t)i;
    end = &b->ops[n];
    memset(end, 0, sizeof(*end));
    end->fn = op_end;
    end->off = end[-1].off + end[-1].len;
    end->imm = end->off;
    end->idx = (uint8_t)n;
    b->n = (uint16_t)n;
    b->bytes = 0;
    b->dropped = false;
    if (b->mode & MODE_CHECKED)
        memcpy(block_unchecked(b), unchecked, n * sizeof(unchecked[0]));
    return b;
}

struct cpu_counters cpu_counters(const struct cpu *cpu)
{
    const struct block_cache *cache = cpu->blocks;

    return (struct cpu_counters){.blocks_decoded = cache->decoded,
                                 .blocks_dropped = cache->dropped,
                                 .flushes = cache->flushes};
}
