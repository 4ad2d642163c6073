/* SPDX-License-Identifier: MIT */
/* CR0, CR3 and CR4: what may be set, and what follows from it (SDM vol. 3, 2.5 and 9.8.5). */
#include "inspect.h"
#include "system.h"

#define CR0_VALID                                                                                  \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define CR4_VALID                                                                                  \
    (CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | CR4_OSFXSR |             \
     CR4_OSXMMEXCPT | CR4_FSGSBASE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP)
/* What translations depend on. */
#define CR0_PAGING (CR0_PG | CR0_WP | CR0_PE)
#define CR4_PAGING (CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP)

#define PDPTE_RESERVED 0xfffff000000001e6ULL

/* PAE paging holds the four top entries in registers; #GP(0) when one is malformed. */
static void pdpte_load(struct cpu *cpu, uint64_t cr3)
{
    uint64_t entry[4];
    unsigned i;

    for (i = 0; i < 4; i++) {
        uint64_t gpa = a20_masked(cpu, (cr3 & 0xffffffe0u) + i * 8);

        if (!ram_read(cpu->ram, gpa, &entry[i], 8))
            entry[i] = 0;
        if ((entry[i] & 1) &&
            (entry[i] & (PDPTE_RESERVED | (~0ULL << CPU_PHYS_BITS))))
            raise_gp0(cpu);
    }
    memcpy(cpu->pdpte, entry, sizeof(entry));
}

static bool uses_pdpte(const struct cpu *cpu, uint64_t cr0, uint64_t cr4)
{
    return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(cpu->efer & (EFER_LME | EFER_LMA));
}

void cr0_write(struct cpu *cpu, uint64_t value)
{
    bool paging_on = (value & CR0_PG) && !(cpu->cr0 & CR0_PG);
    bool paging_off = !(value & CR0_PG) && (cpu->cr0 & CR0_PG);
    uint64_t changed;

    if (value >> 32)
        raise_gp0(cpu);
    value = (value & CR0_VALID) | CR0_ET;
    if ((value & CR0_PG) && !(value & CR0_PE))
        raise_gp0(cpu);
    if ((value & CR0_NW) && !(value & CR0_CD))
        raise_gp0(cpu);
    if (paging_on && (cpu->efer & EFER_LME) &&
        (!(cpu->cr4 & CR4_PAE) || (cpu->seg[SEG_CS].ar & AR_L)))
        raise_gp0(cpu);
    if (paging_off && mode_code_size(cpu->mode) == CODE_64)
        raise_gp0(cpu);
    changed = value ^ cpu->cr0;
    if (uses_pdpte(cpu, value, cpu->cr4) && (changed & (CR0_PG | CR0_CD | CR0_NW)))
        pdpte_load(cpu, cpu->cr3);
    cpu->cr0 = value;
    x87_error_changed(cpu);
    if (paging_on && (cpu->efer & EFER_LME))
        cpu->efer |= EFER_LMA;
    else if (paging_off)
        cpu->efer &= ~(uint64_t)EFER_LMA;
    if (changed & CR0_PAGING)
        mmu_flush(cpu);
    cpu_update_mode(cpu);
}

void cr3_write(struct cpu *cpu, uint64_t value)
{
    if (long_mode(cpu) && (value & ~((1ULL << CPU_PHYS_BITS) - 1)))
        raise_gp0(cpu);
    if (uses_pdpte(cpu, cpu->cr0, cpu->cr4))
        pdpte_load(cpu, value);
    cpu->cr3 = value;
    mmu_flush_nonglobal(cpu);
    inspect_control_changed(cpu);
}

void cr4_write(struct cpu *cpu, uint64_t value)
{
    uint64_t changed = value ^ cpu->cr4;

    if (value & ~(uint64_t)CR4_VALID)
        raise_gp0(cpu);
    if (long_mode(cpu) && !(value & CR4_PAE))
        raise_gp0(cpu);
    if (uses_pdpte(cpu, cpu->cr0, value) && (changed & CR4_PAGING))
        pdpte_load(cpu, cpu->cr3);
    cpu->cr4 = value;
    if (changed & CR4_PAGING)
        mmu_flush(cpu);
    cpu_update_mode(cpu);
}
