/* SPDX-License-Identifier: MIT */
/*
 * Everything that a CPU's page tables map, walked as the processor would (Intel SDM vol. 3, chapter 4), from
 * CR3 down, reading only: for debuggers and reports.
 */
#ifndef EMU_PAGE_WALK_H
#define EMU_PAGE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cpu;

#define PAGE_WALK_WRITE    0x02u /* rights, as bits of a table's entry */
#define PAGE_WALK_USER     0x04u
#define PAGE_WALK_ACCESSED 0x20u
#define PAGE_WALK_DIRTY    0x40u
#define PAGE_WALK_GLOBAL   0x100u
#define PAGE_WALK_NX       (1ULL << 63)

struct page_mapping {
    uint64_t linear, gpa, bytes;
    uint64_t rights; /* that hold for the whole walk; accessed, dirty and global are the leaf's */
};

/* By ascending linear address (the upper half of the canonical space comes last). False stops the walk. */
typedef bool page_walk_fn(void *opaque, const struct page_mapping *mapping);

/*
 * Visits each page that is mapped. False: paging is off, every address is physical. Tables of a hostile
 * guest can hold more than anybody could look at: after as many as map 64 GiB in small pages it ends.
 */
bool cpu_walk_pages(const struct cpu *cpu, page_walk_fn *visit, void *opaque);

/*
 * For each of n guest-physical addresses, the highest linear one that is mapped to it now (a kernel's own
 * image and its stacks are above the place where all memory is mapped); UINT64_MAX: there is none. With
 * paging off they are the same.
 */
void cpu_find_linear(const struct cpu *cpu, const uint64_t *gpa, uint64_t *linear, size_t n);

#endif
