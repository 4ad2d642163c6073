/* SPDX-License-Identifier: MIT */
/* Walking page tables without side effects: emu/page_walk.h. */
#include <emu/page_walk.h>

#include <string.h>

#include <emu/cpu.h>
#include <emu/ram.h>

#define PTE_P      1u
#define PTE_PS     0x80u
#define PTE_FRAME  0x000ffffffffff000ULL
#define MAX_TABLES 40000u /* 64 GiB in pages of 4 KiB need 32,833 */

struct walk {
    const struct cpu *cpu;
    page_walk_fn *visit;
    void *opaque;
    unsigned tables; /* that were looked at */
    bool stopped;
};

static uint64_t entry_at(const struct cpu *cpu, uint64_t gpa, unsigned bytes)
{
    uint64_t v = 0;

    return ram_read(cpu->ram, gpa, &v, bytes) ? v : 0;
}

/* `level` tables from here down, this one included; entries of `bytes`. */
static void walk_table(struct walk *w, uint64_t table, unsigned level, unsigned bytes, uint64_t linear,
                       uint64_t rights)
{
    const uint64_t passed_on = PAGE_WALK_WRITE | PAGE_WALK_USER;
    const uint64_t of_leaf = PAGE_WALK_ACCESSED | PAGE_WALK_DIRTY | PAGE_WALK_GLOBAL;
    unsigned count = bytes == 8 ? 512 : 1024, bits = bytes == 8 ? 9 : 10, i;
    unsigned shift = PAGE_SHIFT + bits * (level - 1);
    bool large_allowed = level == 2 ? bytes == 8 || (w->cpu->cr4 & CR4_PSE) : level == 3 && bytes == 8;

    if (++w->tables > MAX_TABLES)
        w->stopped = true;
    for (i = 0; i < count && !w->stopped; i++) {
        uint64_t pte = entry_at(w->cpu, table + (uint64_t)i * bytes, bytes);
        uint64_t at = linear + ((uint64_t)i << shift), have;

        if (!(pte & PTE_P))
            continue;
        have = (rights & pte & passed_on) | ((rights | pte) & PAGE_WALK_NX);
        if (level == 4 && i >= 256)
            at |= 0xffff000000000000ULL;
        if (level != 1 && !(large_allowed && (pte & PTE_PS)))
            walk_table(w, pte & PTE_FRAME, level - 1, bytes, at, have);
        else if (!w->visit(w->opaque,
                           &(struct page_mapping){.linear = at,
                                                  .gpa = pte & PTE_FRAME & ~((1ULL << shift) - 1),
                                                  .bytes = 1ULL << shift,
                                                  .rights = have | (pte & of_leaf)}))
            w->stopped = true;
    }
}

bool cpu_walk_pages(const struct cpu *cpu, page_walk_fn *visit, void *opaque)
{
    struct walk w = {.cpu = cpu, .visit = visit, .opaque = opaque};
    const uint64_t all = PAGE_WALK_WRITE | PAGE_WALK_USER;

    if (!(cpu->cr0 & CR0_PG))
        return false;
    if (cpu->efer & EFER_LMA) {
        walk_table(&w, cpu->cr3 & PTE_FRAME, 4, 8, 0, all);
    } else if (!(cpu->cr4 & CR4_PAE)) {
        walk_table(&w, cpu->cr3 & 0xfffff000u, 2, 4, 0, all);
    } else {
        for (unsigned i = 0; i < 4 && !w.stopped; i++)
            if (cpu->pdpte[i] & PTE_P)
                walk_table(&w, cpu->pdpte[i] & PTE_FRAME, 2, 8, (uint64_t)i << 30, all);
    }
    return true;
}

/* --- the other way round --- */

struct finder {
    const uint64_t *gpa;
    uint64_t *linear;
    size_t n;
};

/* Mappings come in ascending order: the last one is the highest. */
static bool find_in(void *opaque, const struct page_mapping *mapping)
{
    const struct finder *f = opaque;

    for (size_t i = 0; i < f->n; i++)
        if (f->gpa[i] >= mapping->gpa && f->gpa[i] - mapping->gpa < mapping->bytes)
            f->linear[i] = mapping->linear + (f->gpa[i] - mapping->gpa);
    return true;
}

void cpu_find_linear(const struct cpu *cpu, const uint64_t *gpa, uint64_t *linear, size_t n)
{
    struct finder f = {.gpa = gpa, .linear = linear, .n = n};

    for (size_t i = 0; i < n; i++)
        linear[i] = UINT64_MAX;
    if (n > 0 && !cpu_walk_pages(cpu, find_in, &f))
        memcpy(linear, gpa, n * sizeof(*gpa));
}
