/* SPDX-License-Identifier: MIT */
/*
 * The CPU at hand-over, and the traces that firmware would have left: BIOS data area, memory types.
 * Intel SDM vol. 3: 3.4.5 (descriptors), 4.5 (4-level paging), 11.11 (MTRRs).
 */
#include <string.h>

#include <emu/cpu.h>

#include "boot_internal.h"

/* --- BIOS data area (40:00), as far as kernels look at it --- */

#define BDA_BASE       0x400u
#define BDA_BYTES      0x100u
#define BDA_COM1       0x00u
#define BDA_COM2       0x02u
#define BDA_EBDA       0x0eu /* segment */
#define BDA_EQUIPMENT  0x10u
#define BDA_BASE_KIB   0x13u
#define BDA_VIDEO_MODE 0x49u
#define BDA_COLUMNS    0x4au
#define BDA_PAGE_BYTES 0x4cu
#define BDA_CRTC_PORT  0x63u
#define BDA_LAST_ROW   0x84u
#define BDA_CHAR_LINES 0x85u

#define EQUIPMENT_FPU        0x0002u
#define EQUIPMENT_MOUSE      0x0004u
#define EQUIPMENT_TWO_SERIAL 0x0400u

void boot_place_bios_data(const struct boot *b)
{
    uint8_t bda[BDA_BYTES] = {0};
    uint8_t ebda_kib = 1;

    put_le(bda + BDA_COM1, 2, 0x3f8);
    put_le(bda + BDA_COM2, 2, 0x2f8);
    put_le(bda + BDA_EBDA, 2, EBDA_BASE >> 4);
    put_le(bda + BDA_EQUIPMENT, 2, EQUIPMENT_FPU | EQUIPMENT_MOUSE | EQUIPMENT_TWO_SERIAL);
    put_le(bda + BDA_BASE_KIB, 2, EBDA_BASE >> 10);
    bda[BDA_VIDEO_MODE] = 3;
    put_le(bda + BDA_COLUMNS, 2, 80);
    put_le(bda + BDA_PAGE_BYTES, 2, 0x1000);
    put_le(bda + BDA_CRTC_PORT, 2, 0x3d4);
    bda[BDA_LAST_ROW] = 24;
    bda[BDA_CHAR_LINES] = 16;
    ram_write(&b->m->ram, BDA_BASE, bda, sizeof(bda));
    ram_write(&b->m->ram, EBDA_BASE, &ebda_kib, 1);
}

/* --- memory types --- */

#define MTRR_ENABLE       0x800u
#define MTRR_FIXED_ENABLE 0x400u
#define MTRR_VALID        0x800u
#define TYPE_UC           0u
#define TYPE_WP           5u
#define TYPE_WB           6u
#define PHYS_MASK         ((1ULL << 40) - 1)
#define PCI_HOLE          0xc0000000u

static uint64_t eight_times(uint64_t type)
{
    return type * 0x0101010101010101ULL;
}

/* Write-back by default; the VGA window and the PCI hole uncached, option ROMs write-protected. */
void boot_set_mtrrs(struct cpu *cpu)
{
    unsigned i;

    cpu->mtrr_def_type = MTRR_ENABLE | MTRR_FIXED_ENABLE | TYPE_WB;
    cpu->mtrr_fixed[0] = eight_times(TYPE_WB); /* 00000..7FFFF */
    cpu->mtrr_fixed[1] = eight_times(TYPE_WB); /* 80000..9FFFF */
    cpu->mtrr_fixed[2] = eight_times(TYPE_UC); /* A0000..BFFFF */
    for (i = 3; i < 7; i++)
        cpu->mtrr_fixed[i] = eight_times(TYPE_WP); /* C0000..DFFFF */
    for (i = 7; i < 11; i++)
        cpu->mtrr_fixed[i] = eight_times(TYPE_WB); /* E0000..FFFFF: tables in RAM */
    cpu->mtrr_base[0] = PCI_HOLE | TYPE_UC;
    cpu->mtrr_mask[0] = (PHYS_MASK & ~0x3fffffffULL) | MTRR_VALID;
}

/* --- modes --- */

#define DESCRIPTOR_CODE64 0x00af9b000000ffffULL
#define DESCRIPTOR_CODE32 0x00cf9b000000ffffULL
#define DESCRIPTOR_DATA   0x00cf93000000ffffULL

#define AR_FLAT_CODE64 (AR_G | AR_L | AR_P | AR_S | AR_CODE | AR_RW | AR_ACCESSED)
#define AR_FLAT_CODE32 (AR_G | AR_DB | AR_P | AR_S | AR_CODE | AR_RW | AR_ACCESSED)
#define AR_FLAT_DATA   (AR_G | AR_DB | AR_P | AR_S | AR_RW | AR_ACCESSED)

static struct segment flat_segment(uint16_t selector, uint32_t ar)
{
    return (struct segment){.limit = 0xffffffff, .ar = ar, .selector = selector};
}

static void set_segments(const struct boot *b, uint32_t gdt, uint64_t code, uint32_t code_ar)
{
    struct cpu *cpu = &b->m->cpus[0];
    uint8_t table[BOOT_GDT_BYTES] = {0};
    unsigned i;

    put_le(table + BOOT_CS, 8, code);
    put_le(table + BOOT_DS, 8, DESCRIPTOR_DATA);
    ram_write(&b->m->ram, gdt, table, sizeof(table));
    for (i = 0; i < 6; i++)
        cpu->seg[i] = flat_segment(BOOT_DS, AR_FLAT_DATA);
    cpu->seg[SEG_CS] = flat_segment(BOOT_CS, code_ar);
    cpu->gdtr = (struct table_register){.base = gdt, .limit = BOOT_GDT_BYTES - 1};
    cpu->idtr = (struct table_register){.limit = 0}; /* an early exception is a shutdown */
}

void boot_enter_protected(const struct boot *b, uint32_t gdt)
{
    struct cpu *cpu = &b->m->cpus[0];

    set_segments(b, gdt, DESCRIPTOR_CODE32, AR_FLAT_CODE32);
    memset(cpu->regs, 0, sizeof(cpu->regs));
    cpu->rflags = RFLAGS_ONE;
    cpu->cr0 = CR0_PE | CR0_ET;
}

#define PTE_P  0x01u
#define PTE_RW 0x02u
#define PTE_A  0x20u
#define PTE_D  0x40u
#define PTE_PS 0x80u

/* PML4, PDPT and four page directories of 2 MiB pages. */
static void write_identity_tables(const struct boot *b, uint32_t tables)
{
    uint8_t page[4096];
    unsigned i, n;

    memset(page, 0, sizeof(page));
    put_le(page, 8, (tables + 0x1000) | PTE_A | PTE_RW | PTE_P);
    ram_write(&b->m->ram, tables, page, sizeof(page));
    for (i = 0; i < 4; i++)
        put_le(page + 8 * i, 8, (tables + 0x2000 + 0x1000 * i) | PTE_A | PTE_RW | PTE_P);
    ram_write(&b->m->ram, tables + 0x1000, page, sizeof(page));
    for (n = 0; n < 4; n++) {
        for (i = 0; i < 512; i++)
            put_le(page + 8 * i, 8,
                   ((uint64_t)n << 30 | (uint64_t)i << 21) | PTE_PS | PTE_D | PTE_A | PTE_RW |
                       PTE_P);
        ram_write(&b->m->ram, tables + 0x2000 + 0x1000 * n, page, sizeof(page));
    }
}

void boot_enter_long(const struct boot *b, uint32_t gdt, uint32_t tables)
{
    struct cpu *cpu = &b->m->cpus[0];

    write_identity_tables(b, tables);
    set_segments(b, gdt, DESCRIPTOR_CODE64, AR_FLAT_CODE64);
    memset(cpu->regs, 0, sizeof(cpu->regs));
    cpu->rflags = RFLAGS_ONE;
    cpu->cr3 = tables;
    cpu->cr4 = CR4_PAE;
    cpu->efer = EFER_LME | EFER_LMA;
    cpu->cr0 = CR0_PG | CR0_PE | CR0_ET;
}
