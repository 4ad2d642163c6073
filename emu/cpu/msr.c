/* SPDX-License-Identifier: MIT */
/*
 * Model-specific registers (SDM vol. 4). Those of the local APIC are its own. One that is not listed
 * faults, as on hardware.
 */
#include "system.h"

enum {
    MSR_TSC = 0x10, MSR_PLATFORM_ID = 0x17, MSR_APIC_BASE = 0x1b, MSR_FEATURE_CONTROL = 0x3a,
    MSR_TSC_ADJUST = 0x3b, MSR_SPEC_CTRL = 0x48, MSR_PRED_CMD = 0x49, MSR_BIOS_UPDATE = 0x79,
    MSR_BIOS_SIGN = 0x8b, MSR_MTRRCAP = 0xfe, MSR_ARCH_CAPABILITIES = 0x10a,
    MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP = 0x175, MSR_SYSENTER_EIP = 0x176,
    MSR_MCG_CAP = 0x179, MSR_MCG_STATUS = 0x17a, MSR_MCG_CTL = 0x17b, MSR_MISC_ENABLE = 0x1a0,
    MSR_MTRR_PHYS = 0x200, MSR_MTRR_PHYS_END = 0x210, MSR_MTRR_FIX64K = 0x250,
    MSR_MTRR_FIX16K = 0x258, MSR_MTRR_FIX4K = 0x268, MSR_PAT = 0x277, MSR_MTRR_DEF_TYPE = 0x2ff,
    MSR_TSC_DEADLINE = 0x6e0, MSR_X2APIC = 0x800, MSR_X2APIC_END = 0x840,
};
#define MSR_EFER           0xc0000080u
#define MSR_STAR           0xc0000081u
#define MSR_LSTAR          0xc0000082u
#define MSR_CSTAR          0xc0000083u
#define MSR_FMASK          0xc0000084u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX        0xc0000103u

#define MTRRCAP 0x508u /* 8 variable ranges, fixed ranges, write combining */

/*
 * No Meltdown, enhanced IBRS, no L1TF, SSB, MDS, MCE-on-page-size-change, TAA, MMIO stale data, BHI,
 * post-barrier RSB, GDS, RFDS, ITS.
 */
#define ARCH_CAPABILITIES                                                                          \
    (1ULL << 0 | 1ULL << 1 | 1ULL << 3 | 1ULL << 4 | 1ULL << 5 | 1ULL << 6 | 1ULL << 8 |           \
     1ULL << 13 | 1ULL << 14 | 1ULL << 15 | 1ULL << 20 | 1ULL << 24 | 1ULL << 26 | 1ULL << 27 |    \
     1ULL << 62)

static bool belongs_to_apic(uint32_t msr)
{
    return msr == MSR_APIC_BASE || msr == MSR_TSC_DEADLINE ||
           (msr >= MSR_X2APIC && msr < MSR_X2APIC_END);
}

/* Index into mtrr_fixed, or -1. */
static int fixed_index(uint32_t msr)
{
    if (msr == MSR_MTRR_FIX64K)
        return 0;
    if (msr == MSR_MTRR_FIX16K || msr == MSR_MTRR_FIX16K + 1)
        return (int)(1 + msr - MSR_MTRR_FIX16K);
    if (msr >= MSR_MTRR_FIX4K && msr < MSR_MTRR_FIX4K + 8)
        return (int)(3 + msr - MSR_MTRR_FIX4K);
    return -1;
}

static bool memory_types_valid(uint64_t value, bool pat)
{
    unsigned i, type;

    for (i = 0; i < 8; i++) {
        type = (unsigned)(value >> (8 * i)) & 0xff;
        if (type > 7 || type == 2 || type == 3 || (!pat && type == 7))
            return false;
    }
    return true;
}

/* Registers that are plain storage: where, and which bits may be set. */
struct plain_msr {
    uint32_t msr;
    uint32_t offset;
    uint64_t valid;
    bool canonical;
};
#define PLAIN(number, member, bits) {number, (uint32_t)offsetof(struct cpu, member), bits, false}
#define ADDRESS(number, member) {number, (uint32_t)offsetof(struct cpu, member), UINT64_MAX, true}

static const struct plain_msr plain_msrs[] = {
    PLAIN(MSR_FEATURE_CONTROL, feature_ctl, 0x1),
    PLAIN(MSR_SPEC_CTRL, spec_ctrl, 0x407), /* IBRS, STIBP, SSBD, BHI_DIS_S */
    PLAIN(MSR_SYSENTER_CS, sysenter_cs, UINT64_MAX),
    ADDRESS(MSR_SYSENTER_ESP, sysenter_esp),
    ADDRESS(MSR_SYSENTER_EIP, sysenter_eip),
    PLAIN(MSR_MCG_STATUS, mcg_status, 0x7),
    PLAIN(MSR_MCG_CTL, mcg_ctl, UINT64_MAX),
    PLAIN(MSR_MISC_ENABLE, misc_enable, 0x0000000400c51889ULL),
    PLAIN(MSR_MTRR_DEF_TYPE, mtrr_def_type, 0xcff),
    PLAIN(MSR_STAR, star, UINT64_MAX),
    ADDRESS(MSR_LSTAR, lstar),
    ADDRESS(MSR_CSTAR, cstar),
    PLAIN(MSR_FMASK, fmask, 0xffffffff),
    ADDRESS(MSR_FS_BASE, seg[SEG_FS].base),
    ADDRESS(MSR_GS_BASE, seg[SEG_GS].base),
    ADDRESS(MSR_KERNEL_GS_BASE, kernel_gs_base),
    PLAIN(MSR_TSC_AUX, tsc_aux, 0xffffffff),
};

static uint64_t *plain_find(struct cpu *cpu, uint32_t msr, const struct plain_msr **row)
{
    unsigned i;

    for (i = 0; i < sizeof(plain_msrs) / sizeof(plain_msrs[0]); i++) {
        if (plain_msrs[i].msr == msr) {
            *row = &plain_msrs[i];
            return (uint64_t *)(void *)((uint8_t *)cpu + plain_msrs[i].offset);
        }
    }
    return NULL;
}

static uint64_t *variable_mtrr(struct cpu *cpu, uint32_t msr)
{
    unsigned i = (msr - MSR_MTRR_PHYS) / 2;

    return msr & 1 ? &cpu->mtrr_mask[i] : &cpu->mtrr_base[i];
}

int msr_read(struct cpu *cpu, uint32_t msr, uint64_t *value)
{
    const struct plain_msr *row;
    uint64_t *plain;

    if (belongs_to_apic(msr))
        return cpu->intc->rdmsr(cpu->intc_opaque, msr, value);
    plain = plain_find(cpu, msr, &row);
    if (plain != NULL) {
        *value = *plain;
        return 0;
    }
    if (msr >= MSR_MTRR_PHYS && msr < MSR_MTRR_PHYS_END) {
        *value = *variable_mtrr(cpu, msr);
        return 0;
    }
    if (fixed_index(msr) >= 0) {
        *value = cpu->mtrr_fixed[fixed_index(msr)];
        return 0;
    }
    switch (msr) {
    case MSR_TSC: *value = cpu_tsc(cpu); return 0;
    case MSR_TSC_ADJUST: *value = cpu->tsc_adjust; return 0;
    case MSR_PLATFORM_ID: *value = 0; return 0;
    case MSR_BIOS_SIGN: *value = 0x1ULL << 32; return 0; /* a microcode revision */
    case MSR_MTRRCAP: *value = MTRRCAP; return 0;
    case MSR_ARCH_CAPABILITIES: *value = ARCH_CAPABILITIES; return 0;
    case MSR_MCG_CAP: *value = 0; return 0; /* no banks */
    case MSR_PAT: *value = cpu->pat; return 0;
    case MSR_EFER: *value = cpu->efer; return 0;
    default: return -1;
    }
}

static int efer_write(struct cpu *cpu, uint64_t value)
{
    uint64_t valid = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;

    if (value & ~valid)
        return -1;
    if ((cpu->cr0 & CR0_PG) && ((value ^ cpu->efer) & EFER_LME))
        return -1;
    cpu->efer = (value & ~(uint64_t)EFER_LMA) | (cpu->efer & EFER_LMA);
    mmu_flush(cpu);
    cpu_update_mode(cpu);
    return 0;
}

/* The TSC took a step: deadlines that were set by it move. */
static void tsc_set_adjust(struct cpu *cpu, uint64_t adjust)
{
    cpu->tsc_adjust = adjust;
    if (cpu->intc->tsc_changed != NULL)
        cpu->intc->tsc_changed(cpu->intc_opaque);
}

static int plain_write(uint64_t *at, const struct plain_msr *row, uint64_t value)
{
    if ((value & ~row->valid) || (row->canonical && !cpu_is_canonical(value)))
        return -1;
    *at = value;
    return 0;
}

int msr_write(struct cpu *cpu, uint32_t msr, uint64_t value)
{
    const struct plain_msr *row;
    uint64_t *plain;

    if (belongs_to_apic(msr))
        return cpu->intc->wrmsr(cpu->intc_opaque, msr, value);
    plain = plain_find(cpu, msr, &row);
    if (plain != NULL)
        return plain_write(plain, row, value);
    if (msr >= MSR_MTRR_PHYS && msr < MSR_MTRR_PHYS_END) {
        *variable_mtrr(cpu, msr) = value & ((1ULL << CPU_PHYS_BITS) - 1);
        return 0;
    }
    if (fixed_index(msr) >= 0) {
        if (!memory_types_valid(value, false))
            return -1;
        cpu->mtrr_fixed[fixed_index(msr)] = value;
        return 0;
    }
    switch (msr) {
    case MSR_TSC: tsc_set_adjust(cpu, cpu->tsc_adjust + value - cpu_tsc(cpu)); return 0;
    case MSR_TSC_ADJUST: tsc_set_adjust(cpu, value); return 0;
    case MSR_PRED_CMD: return value & ~1ULL ? -1 : 0; /* IBPB: nothing to forget */
    case MSR_BIOS_UPDATE: return 0;
    case MSR_BIOS_SIGN: return 0;
    case MSR_PAT:
        if (!memory_types_valid(value, true))
            return -1;
        cpu->pat = value;
        return 0;
    case MSR_EFER: return efer_write(cpu, value);
    default: return -1;
    }
}
