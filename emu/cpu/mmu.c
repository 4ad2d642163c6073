/* SPDX-License-Identifier: MIT */
/*
 * Linear to physical: page walks in all forms (Intel SDM vol. 3, chapter 4), the two TLB levels, and
 * the memory accesses that the inline probe could not serve.
 *
 * Forms: no paging, 32-bit with 4 KiB and (PSE, PSE-36) 4 MiB pages, PAE with 2 MiB, 4-level with 2 MiB
 * and 1 GiB; NX, WP, SMEP, SMAP, U/S, global pages, accessed and dirty bits, reserved bits. Not
 * modelled: PCID, protection keys, 5-level paging (CPUID does not announce them). A page table outside
 * of RAM reads as not present.
 *
 * Coherence (see emu/cpu.h): every RAM page that a walk read an entry from is flagged RAM_TABLE. A
 * store into it that replaces a present entry drops the translations that may come from it, before the
 * next instruction: of one page where the table is known to map just that (struct table_page), else
 * all. When everything was dropped since the last walk through a table, it loses its flag at the next
 * store and costs nothing more.
 */
#include "debugger.h"
#include "watch.h"

#include <stdlib.h>

#define PTE_P   0x001ULL
#define PTE_W   0x002ULL
#define PTE_U   0x004ULL
#define PTE_A   0x020ULL
#define PTE_D   0x040ULL
#define PTE_PS  0x080ULL
#define PTE_G   0x100ULL
#define PTE_NX  (1ULL << 63)
#define PTE_FRAME 0x000ffffffffff000ULL
#define PHYS_RESERVED (~((1ULL << CPU_PHYS_BITS) - 1) & PTE_FRAME)

/* --- dropping cached translations --- */

static void tlb_clear(struct cpu *cpu)
{
    unsigned view;

    for (view = 0; view < MMU_VIEWS; view++) {
        if (!cpu->view_used[view])
            continue;
        memset(cpu->tlbs[view], 0xff, sizeof(cpu->tlbs[view]));
        cpu->view_used[view] = false;
    }
}

#define GENERATION_SHIFT 52
#define GENERATION_LAST (4092ULL << GENERATION_SHIFT)

/* Forgets the second level's entries of one or both generations. */
static void tlb2_forget(struct cpu *cpu, bool global)
{
    if (cpu->tlb2_newest >= GENERATION_LAST) {
        memset(cpu->tlb2, 0xff, sizeof(cpu->tlb2));
        cpu->tlb2_newest = 0;
        global = true; /* more than was asked for, which is always allowed */
    }
    /* No number serves twice: an entry of an old generation must not match a newer one. */
    cpu->tlb2_local = cpu->tlb2_newest += 1ULL << GENERATION_SHIFT;
    if (global)
        cpu->tlb2_global = cpu->tlb2_newest += 1ULL << GENERATION_SHIFT;
}

void mmu_flush(struct cpu *cpu)
{
    tlb_clear(cpu);
    tlb2_forget(cpu, true);
    cpu->blocks->table_epoch++;
    blocks_forget_jumps(cpu);
}

void mmu_flush_nonglobal(struct cpu *cpu)
{
    tlb_clear(cpu);
    tlb2_forget(cpu, false);
    blocks_forget_jumps(cpu);
}

static bool tlb2_matches(const struct cpu *cpu, const struct tlb2_entry *e, uint64_t vpn)
{
    return e->key == (vpn | cpu->tlb2_local) || e->key == (vpn | cpu->tlb2_global);
}

/* Both levels forget the page; code reached through it is still linked by address. */
static void tlb_forget_page(struct cpu *cpu, uint64_t vpn)
{
    struct tlb2_entry *set = cpu->tlb2[vpn & (TLB2_SETS - 1)];
    unsigned view, way;

    for (view = 0; view < MMU_VIEWS; view++)
        memset(&cpu->tlbs[view][vpn & (TLB_ENTRIES - 1)], 0xff, sizeof(struct tlb_entry));
    for (way = 0; way < TLB2_WAYS; way++)
        if (tlb2_matches(cpu, &set[way], vpn))
            set[way].key = UINT64_MAX;
}

void mmu_flush_page(struct cpu *cpu, uint64_t linear)
{
    tlb_forget_page(cpu, linear >> PAGE_SHIFT);
    blocks_forget_jumps(cpu);
}

void mmu_protect(struct cpu *cpu, uint64_t page)
{
    const uint8_t *first = cpu->ram->host + (page << PAGE_SHIFT);
    unsigned view, i;

    for (view = 0; view < MMU_VIEWS; view++) {
        for (i = 0; i < TLB_ENTRIES; i++) {
            struct tlb_entry *e = &cpu->tlbs[view][i];

            if (e->write != TLB_INVALID &&
                (page == UINT64_MAX || (uintptr_t)(e->write + e->addend) == (uintptr_t)first))
                e->write = TLB_INVALID;
        }
    }
}

/* --- the walk --- */

struct walk {
    struct cpu *cpu;
    uint64_t linear;
    enum mmu_access access;
    bool user;          /* the access is a user access */
    bool peek;          /* no side effects */
    uint64_t *path;     /* where the addresses of the entries go that are looked at; NULL: nowhere */
    unsigned npath;
    bool fault;
    uint32_t error;     /* of the fault, but for the access bits */
    uint64_t frame;     /* result: page frame | TLB2_* */
};

/* Notes that a walk came through a table. */
static void note_table(struct walk *w, uint64_t page, unsigned level, unsigned entry_bytes)
{
    struct block_cache *cache = w->cpu->blocks;
    struct table_page *t = &cache->tables[page];
    unsigned bits = PAGE_SHIFT + (entry_bytes == 8 ? 9 : 10) * level;
    uint64_t linear = w->linear & (~0ULL << bits);

    if (t->epoch == cache->table_epoch) {
        t->mixed |= t->linear != linear || t->level != level || t->entry_bytes != entry_bytes;
        return;
    }
    *t = (struct table_page){.linear = linear,
                             .epoch = cache->table_epoch,
                             .level = (uint8_t)level,
                             .entry_bytes = (uint8_t)entry_bytes};
    ram_set_flag(w->cpu->ram, page, RAM_TABLE);
}

/* Address of the entry in host memory, watched; NULL when it is not in RAM. */
static uint8_t *table_entry(struct walk *w, uint64_t gpa, unsigned level, unsigned entry_bytes)
{
    struct ram *ram = w->cpu->ram;
    uint64_t page = ram_page_of(ram, gpa);

    if (page == UINT64_MAX)
        return NULL;
    if (w->path != NULL)
        w->path[w->npath++] = gpa;
    if (!w->peek)
        note_table(w, page, level, entry_bytes);
    return ram_page(ram, page) + (gpa & PAGE_OFFSET_MASK);
}

static uint64_t entry_read(const uint8_t *entry, unsigned size)
{
    uint64_t v = 0;

    memcpy(&v, entry, size);
    return v;
}

/* The processor's own update of A and D: dirties the page and drops code decoded from it, but no
 * translation changes by it. */
static void entry_set(struct walk *w, uint8_t *entry, uint64_t gpa, uint64_t old, uint64_t bits)
{
    uint8_t low = (uint8_t)(old | bits);

    if (w->peek || (old & bits) == bits)
        return;
    if (w->cpu->ram->flags[ram_page_of(w->cpu->ram, gpa)] & RAM_ROM)
        return; /* the store is lost, as any other */
    /* Who watches the entry is to see the instruction's access and nothing behind it. */
    if (unlikely(debugger_overlaps_physical(w->cpu->debugger, gpa, 1)) && w->cpu->op != NULL)
        require_solo(w->cpu);
    w->cpu->blocks->walking = true;
    ram_prepare_write(w->cpu->ram, gpa, 1);
    w->cpu->blocks->walking = false;
    entry[0] = low;
}

static void walk_fault(struct walk *w, uint32_t error)
{
    w->fault = true;
    w->error = error;
}

/* Rights of the whole walk against the access. `flags`: PTE_W, PTE_U and PTE_NX accumulated. */
static bool rights_allow(const struct cpu *cpu, uint64_t flags, enum mmu_access access, bool user,
                         bool smap_off)
{
    bool user_page = flags & PTE_U;

    if (user) {
        if (!user_page)
            return false;
        if (access == MMU_WRITE && !(flags & PTE_W))
            return false;
    } else {
        if (access == MMU_FETCH && user_page && (cpu->cr4 & CR4_SMEP))
            return false;
        if (access != MMU_FETCH && user_page && !smap_off)
            return false;
        if (access == MMU_WRITE && !(flags & PTE_W) && (cpu->cr0 & CR0_WP))
            return false;
    }
    return access != MMU_FETCH || !(flags & PTE_NX);
}

/* The last step: a page of 1 << shift bytes with the accumulated rights. */
static void walk_leaf(struct walk *w, uint8_t *entry, uint64_t gpa, uint64_t pte, unsigned shift,
                      uint64_t base, uint64_t flags, bool smap_off)
{
    uint64_t page_mask = (1ULL << shift) - 1;
    bool write = w->access == MMU_WRITE;

    if (!rights_allow(w->cpu, flags, w->access, w->user, smap_off)) {
        walk_fault(w, PF_PRESENT);
        return;
    }
    entry_set(w, entry, gpa, pte, PTE_A | (write ? PTE_D : 0));
    w->frame = (base & ~page_mask) | (w->linear & page_mask & ~PAGE_OFFSET_MASK);
    if (flags & PTE_W)
        w->frame |= TLB2_WRITE;
    if (flags & PTE_U)
        w->frame |= TLB2_USER;
    if (flags & PTE_NX)
        w->frame |= TLB2_NX;
    if ((pte & PTE_D) || write)
        w->frame |= TLB2_DIRTY;
    if ((pte & PTE_G) && (w->cpu->cr4 & CR4_PGE))
        w->frame |= TLB2_GLOBAL;
}

/* PAE and 4-level: 8-byte entries from `level` down to 1. `flags` starts with all rights. */
static void walk_long(struct walk *w, uint64_t table, unsigned level, bool smap_off)
{
    bool nxe = w->cpu->efer & EFER_NXE;
    uint64_t reserved = PHYS_RESERVED | (nxe ? 0 : PTE_NX);
    uint64_t flags = PTE_W | PTE_U;

    if (!(w->cpu->efer & EFER_LMA))
        reserved |= 0x7ff0000000000000ULL; /* PAE: bits 62:52 are reserved */
    for (;; level--) {
        unsigned shift = PAGE_SHIFT + 9 * (level - 1);
        uint64_t gpa = a20_masked(w->cpu, (table & PTE_FRAME) + ((w->linear >> shift) & 511) * 8);
        uint8_t *entry = table_entry(w, gpa, level, 8);
        uint64_t pte = entry == NULL ? 0 : entry_read(entry, 8);
        bool leaf = level == 1 || (level <= 3 && (pte & PTE_PS));
        uint64_t bad = reserved;

        if (!(pte & PTE_P)) {
            walk_fault(w, 0);
            return;
        }
        if (level == 4)
            bad |= PTE_PS;
        if (leaf && level > 1) /* the frame's low bits, but PAT at bit 12 */
            bad |= ((1ULL << shift) - 1) & PTE_FRAME & ~0x1000ULL;
        if (pte & bad) {
            walk_fault(w, PF_PRESENT | PF_RSVD);
            return;
        }
        flags &= pte | ~(PTE_W | PTE_U);
        flags |= pte & PTE_NX;
        if (leaf) {
            walk_leaf(w, entry, gpa, pte, shift, pte & PTE_FRAME & ~(level > 1 ? 0x1000ULL : 0),
                      flags, smap_off);
            return;
        }
        entry_set(w, entry, gpa, pte, PTE_A);
        table = pte;
    }
}

static void walk_32bit(struct walk *w, bool smap_off)
{
    uint64_t gpa = a20_masked(w->cpu, (w->cpu->cr3 & 0xfffff000u) + ((w->linear >> 22) & 1023) * 4);
    uint8_t *entry = table_entry(w, gpa, 2, 4);
    uint64_t pde = entry == NULL ? 0 : entry_read(entry, 4), pte, flags;

    if (!(pde & PTE_P)) {
        walk_fault(w, 0);
        return;
    }
    flags = pde & (PTE_W | PTE_U);
    if ((pde & PTE_PS) && (w->cpu->cr4 & CR4_PSE)) {
        /* PSE-36: bits 20:13 are address bits 39:32, bit 21 is reserved. */
        if (pde & (1u << 21)) {
            walk_fault(w, PF_PRESENT | PF_RSVD);
            return;
        }
        walk_leaf(w, entry, gpa, pde, 22, (pde & 0xffc00000u) | ((pde >> 13) & 0xff) << 32, flags,
                  smap_off);
        return;
    }
    entry_set(w, entry, gpa, pde, PTE_A);
    gpa = a20_masked(w->cpu, (pde & 0xfffff000u) + ((w->linear >> 12) & 1023) * 4);
    entry = table_entry(w, gpa, 1, 4);
    pte = entry == NULL ? 0 : entry_read(entry, 4);
    if (!(pte & PTE_P)) {
        walk_fault(w, 0);
        return;
    }
    flags &= pte;
    walk_leaf(w, entry, gpa, pte, PAGE_SHIFT, pte & 0xfffff000u, flags, smap_off);
}

static void walk_pae(struct walk *w, bool smap_off)
{
    uint64_t pdpte = w->cpu->pdpte[(w->linear >> 30) & 3];

    if (!(pdpte & PTE_P))
        walk_fault(w, 0);
    else
        walk_long(w, pdpte, 2, smap_off);
}

static void walk(struct walk *w, bool smap_off)
{
    const struct cpu *cpu = w->cpu;

    w->fault = false;
    if (!(cpu->cr0 & CR0_PG))
        w->frame = (w->linear & ~PAGE_OFFSET_MASK) | TLB2_WRITE | TLB2_USER | TLB2_DIRTY |
                   TLB2_GLOBAL;
    else if (cpu->efer & EFER_LMA)
        walk_long(w, cpu->cr3, 4, smap_off);
    else if (cpu->cr4 & CR4_PAE)
        walk_pae(w, smap_off);
    else
        walk_32bit(w, smap_off);
}

/* --- translation with both levels --- */

static bool tlb2_allows(const struct cpu *cpu, uint64_t frame, enum mmu_access access,
                        enum mmu_view view)
{
    uint64_t flags = (frame & TLB2_WRITE ? PTE_W : 0) | (frame & TLB2_USER ? PTE_U : 0) |
                     (frame & TLB2_NX ? PTE_NX : 0);

    if (access == MMU_WRITE && !(frame & TLB2_DIRTY))
        return false; /* D is to be set: walk */
    if (!(cpu->cr0 & CR0_PG))
        return true;
    return rights_allow(cpu, flags, access, view == MMU_USER, view == MMU_KERNEL_AC);
}

static void tlb2_insert(struct cpu *cpu, uint64_t vpn, uint64_t frame)
{
    struct tlb2_entry *set = cpu->tlb2[vpn & (TLB2_SETS - 1)];
    unsigned way;

    for (way = 0; way < TLB2_WAYS - 1; way++)
        if (tlb2_matches(cpu, &set[way], vpn) || set[way].key == UINT64_MAX)
            break;
    /* Replace in order of age: the newest is way 0. */
    memmove(&set[1], &set[0], way * sizeof(set[0]));
    set[0].key = vpn | (frame & TLB2_GLOBAL ? cpu->tlb2_global : cpu->tlb2_local);
    set[0].frame = frame;
}

/* Frame | TLB2_* of the page; raises the fault when there is none. */
static uint64_t translate(struct cpu *cpu, uint64_t linear, enum mmu_access access,
                          enum mmu_view view)
{
    uint64_t vpn = linear >> PAGE_SHIFT;
    struct tlb2_entry *set = cpu->tlb2[vpn & (TLB2_SETS - 1)];
    struct walk w = {.cpu = cpu, .linear = linear, .access = access, .user = view == MMU_USER};
    unsigned way;
    uint32_t error;

    for (way = 0; way < TLB2_WAYS; way++)
        if (tlb2_matches(cpu, &set[way], vpn) && tlb2_allows(cpu, set[way].frame, access, view))
            return set[way].frame;
    walk(&w, view == MMU_KERNEL_AC);
    if (!w.fault) {
        tlb2_insert(cpu, vpn, w.frame);
        return w.frame;
    }
    error = w.error | (access == MMU_WRITE ? PF_WRITE : 0) | (w.user ? PF_USER : 0);
    if (access == MMU_FETCH && ((cpu->cr4 & CR4_SMEP) ||
                                ((cpu->cr4 & CR4_PAE) && (cpu->efer & EFER_NXE))))
        error |= PF_FETCH;
    raise_page_fault(cpu, linear, error);
}

/* Installs the tags that hold for every access of the kind. */
static void tlb_install(struct cpu *cpu, enum mmu_view view, uint64_t linear, uint64_t frame,
                        enum mmu_access access, uint64_t page)
{
    uint64_t tag = linear & ~PAGE_OFFSET_MASK;
    struct tlb_entry *e = &cpu->tlbs[view][(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    uintptr_t addend = (uintptr_t)ram_page(cpu->ram, page) - (uintptr_t)tag;
    unsigned watch = cpu->watch_pages ? cpu_page_watch(cpu, tag) : 0;

    if (watch & PAGE_WATCH_ALL)
        return; /* data breakpoints: every access of the page comes the slow way */
    cpu->view_used[view] = true;
    if (e->addend != addend || (e->read != tag && e->write != tag && e->fetch != tag)) {
        e->read = e->write = e->fetch = TLB_INVALID;
        e->addend = addend;
    }
    if (access == MMU_FETCH) {
        e->fetch = tag;
    } else {
        if (tlb2_allows(cpu, frame, MMU_READ, view) && !(cpu->ram->flags[page] & RAM_WATCH_READS))
            e->read = tag;
        if (access == MMU_WRITE && cpu->ram->flags[page] == 0 && watch == 0)
            e->write = tag;
    }
}

static uint64_t frame_gpa(const struct cpu *cpu, uint64_t frame, uint64_t linear)
{
    return a20_masked(cpu, (frame & PTE_FRAME) | (linear & PAGE_OFFSET_MASK));
}

/* --- canonical addresses, flat limits --- */

static void check_address(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size)
{
    uint64_t last = linear + size - 1;

    if (mode_code_size(cpu->mode) != CODE_64) {
        /* EA_32 checks no limit; only an operand that wraps around exceeds a flat one. */
        if ((cpu->mode & MODE_FLAT) && op != NULL && op->seg < SEG_FS && last > UINT32_MAX)
            raise_error(cpu, op->seg == SEG_SS ? EXC_SS : EXC_GP, 0);
        return;
    }
    if (cpu_is_canonical(linear) && cpu_is_canonical(last))
        return;
    raise_error(cpu, op != NULL && op->seg == SEG_SS ? EXC_SS : EXC_GP, 0);
}

/* --- accesses inside one page --- */

static uint64_t device_read(struct cpu *cpu, const struct op *op, uint64_t gpa, unsigned size)
{
    uint64_t v;

    if (op != NULL) {
        require_solo(cpu);
        io_begin(cpu, op);
        cpu->exit_request = true;
    }
    v = bus_read(cpu->memory, gpa, size);
    if (watched(cpu, WATCH_MMIO_READ))
        watch_access(cpu, op, WATCH_MMIO_READ, gpa, v, size);
    return v;
}

static void device_write(struct cpu *cpu, const struct op *op, uint64_t gpa, uint64_t value,
                         unsigned size)
{
    if (op != NULL) {
        require_solo(cpu);
        io_begin(cpu, op);
        cpu->exit_request = true;
    }
    if (watched(cpu, WATCH_MMIO_WRITE))
        watch_access(cpu, op, WATCH_MMIO_WRITE, gpa, size < 8 ? value & ((1ULL << 8 * size) - 1) : value, size);
    bus_write(cpu->memory, gpa, value, size);
}

static uint64_t read_in_page(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size,
                             enum mmu_view view)
{
    uint64_t frame = translate(cpu, linear, MMU_READ, view);
    uint64_t gpa = frame_gpa(cpu, frame, linear), v = 0;
    uint64_t page = ram_page_of(cpu->ram, gpa);

    if (cpu->watch_pages)
        cpu_watch_access(cpu, op, linear, size, false);
    if (page == UINT64_MAX)
        return device_read(cpu, op, gpa, size);
    if (cpu->ram->flags[page] & RAM_WATCH_READS)
        debugger_physical_load(cpu, op, gpa, size);
    tlb_install(cpu, view, linear, frame, MMU_READ, page);
    memcpy(&v, ram_page(cpu->ram, page) + (gpa & PAGE_OFFSET_MASK), size);
    return v;
}

/* Whether a store has effects that the next instruction must find done. */
static bool store_needs_solo(struct cpu *cpu, uint64_t page, uint64_t gpa, unsigned size)
{
    uint8_t flags = cpu->ram->flags[page];

    if (cpu->solo)
        return false;
    if ((flags & RAM_WATCH) && debugger_overlaps_physical(cpu->debugger, gpa, size))
        return true;
    return (flags & (RAM_CODE | RAM_TABLE)) && blocks_store_needs_solo(cpu, page, gpa, size);
}

/* Does all that must happen before a store into RAM: true when a write tag may be installed. */
static bool before_store(struct cpu *cpu, const struct op *op, uint64_t page, uint64_t gpa,
                         unsigned size)
{
    uint8_t flags = cpu->ram->flags[page];

    if (flags == 0)
        return true;
    if (op != NULL && store_needs_solo(cpu, page, gpa, size))
        require_solo(cpu);
    ram_prepare_write(cpu->ram, gpa, size);
    return !(flags & RAM_TABLE);
}

static void write_in_page(struct cpu *cpu, const struct op *op, uint64_t linear, uint64_t value,
                          unsigned size, enum mmu_view view)
{
    uint64_t frame = translate(cpu, linear, MMU_WRITE, view);
    uint64_t gpa = frame_gpa(cpu, frame, linear);
    uint64_t page = ram_page_of(cpu->ram, gpa);

    if (cpu->watch_pages)
        cpu_watch_access(cpu, op, linear, size, true);
    if (page == UINT64_MAX) {
        device_write(cpu, op, gpa, value, size);
        return;
    }
    if (before_store(cpu, op, page, gpa, size))
        tlb_install(cpu, view, linear, frame, MMU_WRITE, page);
    if (cpu->ram->flags[page] & RAM_ROM)
        return;
    memcpy(ram_page(cpu->ram, page) + (gpa & PAGE_OFFSET_MASK), &value, size);
}

/* Bytes of [linear, linear + size) in the first page. */
static unsigned first_part(uint64_t linear, unsigned size)
{
    unsigned room = PAGE_BYTES - (unsigned)(linear & PAGE_OFFSET_MASK);

    return size < room ? size : room;
}

/* Where the page after the one of `linear` begins. */
static uint64_t next_page(const struct cpu *cpu, uint64_t linear)
{
    uint64_t next = (linear | PAGE_OFFSET_MASK) + 1;

    return mode_code_size(cpu->mode) == CODE_64 ? next : (uint32_t)next;
}

/* A split access that reaches a device does so byte by byte; both parts are checked first. */
static uint64_t read_split(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size,
                           enum mmu_view view)
{
    unsigned first = first_part(linear, size), i;
    uint64_t next = next_page(cpu, linear), v = 0;

    translate(cpu, linear, MMU_READ, view);
    translate(cpu, next, MMU_READ, view);
    for (i = 0; i < size; i++)
        v |= read_in_page(cpu, op, i < first ? linear + i : next + (i - first), 1, view) << (8 * i);
    return v;
}

static void probe_in_page(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size,
                          enum mmu_view view)
{
    uint64_t frame = translate(cpu, linear, MMU_WRITE, view);
    uint64_t gpa = frame_gpa(cpu, frame, linear);
    uint64_t page = ram_page_of(cpu->ram, gpa);

    if (cpu->watch_pages)
        cpu_watch_probe(cpu, op, linear, size);
    if (page == UINT64_MAX) {
        if (op != NULL)
            require_solo(cpu);
        return;
    }
    if (op != NULL && store_needs_solo(cpu, page, gpa, size))
        require_solo(cpu);
    if (cpu->ram->flags[page] == 0)
        tlb_install(cpu, view, linear, frame, MMU_WRITE, page);
}

static void write_split(struct cpu *cpu, const struct op *op, uint64_t linear, uint64_t value,
                        unsigned size, enum mmu_view view)
{
    unsigned first = first_part(linear, size), i;
    uint64_t next = next_page(cpu, linear);

    probe_in_page(cpu, op, linear, first, view);
    probe_in_page(cpu, op, next, size - first, view);
    for (i = 0; i < size; i++)
        write_in_page(cpu, op, i < first ? linear + i : next + (i - first), (value >> (8 * i)) & 0xff,
                      1, view);
}

/* --- what handlers call --- */

uint64_t mem_read_slow(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size)
{
    cpu->op = op;
    check_address(cpu, op, linear, size);
    mem_check_alignment(cpu, linear, size);
    if (first_part(linear, size) == size)
        return read_in_page(cpu, op, linear, size, cpu->view);
    return read_split(cpu, op, linear, size, cpu->view);
}

void mem_write_slow(struct cpu *cpu, const struct op *op, uint64_t linear, uint64_t value,
                    unsigned size)
{
    cpu->op = op;
    check_address(cpu, op, linear, size);
    mem_check_alignment(cpu, linear, size);
    if (first_part(linear, size) == size)
        write_in_page(cpu, op, linear, value, size, cpu->view);
    else
        write_split(cpu, op, linear, value, size, cpu->view);
}

void mem_probe_write(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size)
{
    /* SDM vol. 3, table 6-7; with 16 bytes that need no alignment it is the maker's choice */
    bool is_operand = size == 2 || size == 4 || size == 8;
    unsigned alignment = is_operand ? size : size == 10 || size == 16 ? 8 : 1;

    mem_probe_write_aligned(cpu, op, linear, size, alignment);
}

void mem_probe_write_aligned(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size,
                             unsigned alignment)
{
    unsigned first = first_part(linear, size);

    cpu->op = op;
    check_address(cpu, op, linear, size);
    mem_check_alignment(cpu, linear, alignment);
    probe_in_page(cpu, op, linear, first, cpu->view);
    if (first < size)
        probe_in_page(cpu, op, next_page(cpu, linear), size - first, cpu->view);
}

void mem_read_bytes(struct cpu *cpu, const struct op *op, uint64_t linear, void *out, unsigned len)
{
    uint8_t *to = out;
    unsigned n;
    uint64_t v;

    /* The limit is that of the whole operand, before its first page is looked at (SDM vol. 3, 5.3). */
    cpu->op = op;
    check_address(cpu, op, linear, len);
    for (; len > 0; len -= n, linear += n, to += n) {
        n = len >= 8 ? 8 : len >= 4 ? 4 : len >= 2 ? 2 : 1;
        v = n == 8   ? LOAD64(cpu, op, linear)
            : n == 4 ? LOAD32(cpu, op, linear)
            : n == 2 ? LOAD16(cpu, op, linear)
                     : LOAD8(cpu, op, linear);
        memcpy(to, &v, n);
    }
}

void mem_write_bytes(struct cpu *cpu, const struct op *op, uint64_t linear, const void *data,
                     unsigned len)
{
    const uint8_t *from = data;
    unsigned n;
    uint64_t v;

    mem_probe_write(cpu, op, linear, len);
    for (; len > 0; len -= n, linear += n, from += n) {
        n = len >= 8 ? 8 : len >= 4 ? 4 : len >= 2 ? 2 : 1;
        v = 0;
        memcpy(&v, from, n);
        if (n == 8)
            STORE64(cpu, op, linear, v);
        else if (n == 4)
            STORE32(cpu, op, linear, v);
        else if (n == 2)
            STORE16(cpu, op, linear, v);
        else
            STORE8(cpu, op, linear, v);
    }
}

uint8_t *mem_host(struct cpu *cpu, const struct op *op, uint64_t linear, unsigned size,
                  enum mmu_access access)
{
    struct tlb_entry *e = tlb_slot(cpu, linear);
    uint64_t frame, gpa, page;

    if (((linear + size - 1) & ~PAGE_OFFSET_MASK) == (access == MMU_WRITE ? e->write : e->read))
        return (uint8_t *)(uintptr_t)(linear + e->addend);
    cpu->op = op;
    check_address(cpu, op, linear, 1);
    if (first_part(linear, size) != size || cpu->tlb == cpu->tlbs[MMU_VIEWS] ||
        (cpu->watch_pages && cpu_page_watch(cpu, linear & ~PAGE_OFFSET_MASK) != 0))
        return NULL; /* every access is to be looked at: breakpoints, alignment */
    frame = translate(cpu, linear, access, cpu->view);
    gpa = frame_gpa(cpu, frame, linear);
    page = ram_page_of(cpu->ram, gpa);
    if (page == UINT64_MAX ||
        (access == MMU_WRITE && (cpu->ram->flags[page] & (RAM_ROM | RAM_WATCH))) ||
        (access == MMU_READ && (cpu->ram->flags[page] & RAM_WATCH_READS)))
        return NULL;
    if (access != MMU_WRITE || before_store(cpu, op, page, gpa, size))
        tlb_install(cpu, cpu->view, linear, frame, access, page);
    return ram_page(cpu->ram, page) + (gpa & PAGE_OFFSET_MASK);
}

/* Implicit supervisor accesses: SMAP applies whatever EFLAGS.AC is (SDM vol. 3, 4.6.1). */
static enum mmu_view system_view(const struct cpu *cpu)
{
    return cpu->cr4 & CR4_SMAP ? MMU_KERNEL : MMU_KERNEL_AC;
}

uint64_t sys_read(struct cpu *cpu, uint64_t linear, unsigned size)
{
    enum mmu_view view = system_view(cpu);
    const struct tlb_entry *e = &cpu->tlbs[view][(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    uint64_t v = 0;

    if (((linear + size - 1) & ~PAGE_OFFSET_MASK) == e->read) {
        memcpy(&v, (const void *)(uintptr_t)(linear + e->addend), size);
        return v;
    }
    if (first_part(linear, size) == size)
        return read_in_page(cpu, NULL, linear, size, view);
    return read_split(cpu, NULL, linear, size, view);
}

void sys_write(struct cpu *cpu, uint64_t linear, uint64_t value, unsigned size)
{
    enum mmu_view view = system_view(cpu);
    const struct tlb_entry *e = &cpu->tlbs[view][(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];

    if (((linear + size - 1) & ~PAGE_OFFSET_MASK) == e->write)
        memcpy((void *)(uintptr_t)(linear + e->addend), &value, size);
    else if (first_part(linear, size) == size)
        write_in_page(cpu, NULL, linear, value, size, view);
    else
        write_split(cpu, NULL, linear, value, size, view);
}

uint64_t mmu_fetch(struct cpu *cpu, uint64_t linear, uint64_t *gpa)
{
    enum mmu_view view = cpu->view == MMU_USER ? MMU_USER : MMU_KERNEL;
    const struct tlb_entry *e = &cpu->tlbs[view][(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    uint64_t frame, page;

    if ((linear & ~PAGE_OFFSET_MASK) == e->fetch)
        return (uint64_t)((uintptr_t)(linear + e->addend) - (uintptr_t)cpu->ram->host);
    frame = translate(cpu, linear, MMU_FETCH, view);
    *gpa = frame_gpa(cpu, frame, linear);
    page = ram_page_of(cpu->ram, *gpa);
    if (page == UINT64_MAX)
        return UINT64_MAX;
    tlb_install(cpu, view, linear, frame, MMU_FETCH, page);
    return page << PAGE_SHIFT | (linear & PAGE_OFFSET_MASK);
}

/* --- looking without touching --- */

uint64_t cpu_peek_translate(const struct cpu *cpu, uint64_t linear)
{
    struct walk w = {.cpu = (struct cpu *)cpu, .linear = linear, .access = MMU_READ, .peek = true};

    if (cpu->efer & EFER_LMA && !cpu_is_canonical(linear))
        return UINT64_MAX;
    walk(&w, true);
    return w.fault ? UINT64_MAX : frame_gpa(cpu, w.frame, linear);
}

unsigned cpu_peek_path(const struct cpu *cpu, uint64_t linear, uint64_t path[CPU_PATH_MAX])
{
    struct walk w = {
        .cpu = (struct cpu *)cpu, .linear = linear, .access = MMU_READ, .peek = true, .path = path};

    if (!(cpu->efer & EFER_LMA) || cpu_is_canonical(linear))
        walk(&w, true);
    return w.npath;
}

size_t cpu_peek(const struct cpu *cpu, uint64_t linear, void *out, size_t len)
{
    uint8_t *to = out;
    size_t done = 0, n, i;

    for (; done < len; done += n) {
        uint64_t gpa = cpu_peek_translate(cpu, linear + done);

        if (gpa == UINT64_MAX)
            break;
        n = PAGE_BYTES - (size_t)(gpa & PAGE_OFFSET_MASK);
        if (n > len - done)
            n = len - done;
        if (ram_page_of(cpu->ram, gpa) != UINT64_MAX)
            memcpy(to + done, ram_host(cpu->ram, gpa), n);
        else
            for (i = 0; i < n; i++)
                to[done + i] = (uint8_t)bus_peek(cpu->memory, gpa + i, 1);
    }
    return done;
}

/* --- stores that touch page tables --- */

/* Whether the store replaces a page-table entry that a cached translation may use. */
static bool store_changes_translation(const struct cpu *cpu, uint64_t page, uint64_t gpa, size_t len)
{
    const uint8_t *base = ram_page(cpu->ram, page);
    size_t from = (size_t)(gpa & PAGE_OFFSET_MASK & ~3ULL);
    size_t end = (size_t)(gpa & PAGE_OFFSET_MASK) + len;

    if (cpu->blocks->tables[page].epoch != cpu->blocks->table_epoch)
        return false;
    /* Present entries have bit 0 set in one of their words, whichever size they are. */
    for (; from < end; from += 4)
        if (base[from] & PTE_P)
            return true;
    /* The high half of an 8-byte entry: look at its low half too. */
    from = (size_t)(gpa & PAGE_OFFSET_MASK & ~7ULL);
    return base[from] & PTE_P;
}

/*
 * The one page that the store can change the translation of, when the table is known to map it and
 * the store stays inside of one entry. *data: the page cannot have been executed from.
 */
static bool leaf_of_store(const struct cpu *cpu, uint64_t page, uint64_t gpa, size_t len,
                          uint64_t *linear, bool *data)
{
    const struct table_page *t = &cpu->blocks->tables[page];
    uint64_t offset = gpa & PAGE_OFFSET_MASK, index, pte;

    if (t->mixed || t->level != 1 || t->epoch != cpu->blocks->table_epoch)
        return false;
    index = offset / t->entry_bytes;
    if ((offset + len - 1) / t->entry_bytes != index)
        return false;
    *linear = t->linear + (index << PAGE_SHIFT);
    pte = entry_read(ram_page(cpu->ram, page) + index * t->entry_bytes, t->entry_bytes);
    *data = (pte & PTE_NX) && (cpu->efer & EFER_NXE);
    return true;
}

bool mmu_store_needs_solo(const struct cpu *cpu, uint64_t page, uint64_t gpa, size_t len)
{
    uint64_t linear;
    bool data = false;

    if (!store_changes_translation(cpu, page, gpa, len))
        return false;
    return !leaf_of_store(cpu, page, gpa, len, &linear, &data) || !data;
}

static void drop_translations(struct cpu *cpu, uint64_t page, uint64_t gpa, size_t len)
{
    uint64_t linear;
    bool data;

    if (!leaf_of_store(cpu, page, gpa, len, &linear, &data))
        mmu_flush(cpu);
    else if (data)
        tlb_forget_page(cpu, linear >> PAGE_SHIFT);
    else
        mmu_flush_page(cpu, linear);
}

void cpu_before_flagged_store(struct cpu *cpu, uint64_t page, uint64_t gpa, size_t len)
{
    struct block_cache *cache = cpu->blocks;
    uint8_t flags = cpu->ram->flags[page];

    if (flags & RAM_CODE)
        blocks_store(cpu, page, gpa, len);
    if (!(flags & RAM_TABLE) || cache->walking)
        return;
    if (store_changes_translation(cpu, page, gpa, len))
        drop_translations(cpu, page, gpa, len);
    if (cache->tables[page].epoch != cache->table_epoch)
        ram_clear_flag(cpu->ram, page, RAM_TABLE);
}
