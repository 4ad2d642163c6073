/* SPDX-License-Identifier: MIT */
/*
 * CPUID of the one CPU model, "deja x86-64-v2" (SDM vol. 2, CPUID; vol. 4 for the MSRs it announces).
 *
 * A Westmere by family and model, with what later processors added and kernels of today expect: SMEP,
 * SMAP, FSGSBASE, RDRAND, XSAVE (x87 and SSE), TSC deadline timer, invariant TSC of known frequency.
 * IA32_ARCH_CAPABILITIES says that the hardware has none of the speculation bugs, which is true of an
 * interpreter. Never depends on the host.
 */
#include "system.h"

#define LEAF1_EDX                                                                                  \
    (1u << 0 /* FPU */ | 1u << 2 /* DE */ | 1u << 3 /* PSE */ | 1u << 4 /* TSC */ |                \
     1u << 5 /* MSR */ | 1u << 6 /* PAE */ | 1u << 7 /* MCE */ | 1u << 8 /* CX8 */ |               \
     1u << 11 /* SEP */ | 1u << 12 /* MTRR */ | 1u << 13 /* PGE */ | 1u << 14 /* MCA */ |          \
     1u << 15 /* CMOV */ | 1u << 16 /* PAT */ | 1u << 17 /* PSE36 */ | 1u << 19 /* CLFSH */ |      \
     1u << 23 /* MMX */ | 1u << 24 /* FXSR */ | 1u << 25 /* SSE */ | 1u << 26 /* SSE2 */)
#define LEAF1_ECX                                                                                  \
    (1u << 0 /* SSE3 */ | 1u << 9 /* SSSE3 */ | 1u << 13 /* CX16 */ | 1u << 19 /* SSE4.1 */ |      \
     1u << 20 /* SSE4.2 */ | 1u << 21 /* x2APIC */ | 1u << 22 /* MOVBE */ | 1u << 23 /* POPCNT */ | \
     1u << 24 /* TSC deadline */ | 1u << 26 /* XSAVE */ | 1u << 30 /* RDRAND */ |                  \
     1u << 31 /* hypervisor */)
#define LEAF7_EBX                                                                                  \
    (1u << 0 /* FSGSBASE */ | 1u << 1 /* TSC_ADJUST */ | 1u << 7 /* SMEP */ | 1u << 9 /* ERMS */ | \
     1u << 18 /* RDSEED */ | 1u << 20 /* SMAP */)
#define LEAF7_EDX                                                                                  \
    (1u << 26 /* IBRS, IBPB */ | 1u << 27 /* STIBP */ | 1u << 29 /* ARCH_CAPABILITIES */ |         \
     1u << 31 /* SSBD */)
/* BHI_DIS_S exists, so that kernels need no loop of branches at each system call; MCDT_NO. */
#define LEAF7_2_EDX (1u << 4 | 1u << 5)
#define EXT1_EDX                                                                                   \
    (1u << 11 /* SYSCALL */ | 1u << 20 /* NX */ | 1u << 26 /* 1 GiB pages */ |                     \
     1u << 27 /* RDTSCP */ | 1u << 29 /* long mode */)

struct cpuid_regs {
    uint32_t eax, ebx, ecx, edx;
};

static void set_text(struct cpuid_regs *r, const char *text)
{
    memcpy(&r->eax, text, 4);
    memcpy(&r->ebx, text + 4, 4);
    memcpy(&r->ecx, text + 8, 4);
    memcpy(&r->edx, text + 12, 4);
}

static struct cpuid_regs leaf_features(const struct cpu *cpu)
{
    struct cpuid_regs r = {.eax = 0x000206c2, .ecx = LEAF1_ECX, .edx = LEAF1_EDX};

    r.ebx = cpu->index << 24 | 1u << 16 | 8u << 8; /* APIC id, one thread, CLFLUSH of 64 bytes */
    if (cpu->intc->enabled(cpu->intc_opaque))
        r.edx |= 1u << 9;
    if (cpu->cr4 & CR4_OSXSAVE)
        r.ecx |= 1u << 27;
    return r;
}

/* Caches as a small server part has them; nothing is simulated. */
static struct cpuid_regs leaf_caches(uint32_t sub)
{
    static const struct cpuid_regs caches[] = {
        {0x00000121, 7u << 22 | 63, 63, 0},        /* L1 data, 32 KiB, 8 ways */
        {0x00000122, 3u << 22 | 63, 127, 0},       /* L1 code, 32 KiB, 4 ways */
        {0x00000143, 7u << 22 | 63, 511, 0},       /* L2, 256 KiB, 8 ways */
        {0x00000163, 15u << 22 | 63, 8191, 2},     /* L3, 8 MiB, 16 ways, inclusive */
    };
    struct cpuid_regs none = {0, 0, 0, 0};

    return sub < 4 ? caches[sub] : none;
}

static struct cpuid_regs leaf_xsave(const struct cpu *cpu, uint32_t sub)
{
    struct cpuid_regs r = {0, 0, 0, 0};

    (void)cpu;
    if (sub == 0)
        r = (struct cpuid_regs){XCR0_VALID, 576, 576, 0};
    else if (sub == 1)
        r = (struct cpuid_regs){0x3, 576, 0, 0}; /* XSAVEOPT, XSAVEC */
    return r;
}

static struct cpuid_regs leaf_topology(const struct cpu *cpu, uint32_t sub)
{
    struct cpuid_regs r = {.ecx = sub & 0xff, .edx = cpu->index};

    if (sub < 2) {
        r.ebx = sub == 0 ? 1 : cpu->machine->ncpus;
        r.eax = sub == 0 ? 0 : 8;
        r.ecx |= (sub + 1) << 8;
    }
    return r;
}

static struct cpuid_regs basic_leaf(const struct cpu *cpu, uint32_t leaf, uint32_t sub)
{
    struct cpuid_regs r = {0, 0, 0, 0};

    switch (leaf) {
    case 0x0: return (struct cpuid_regs){0x16, 0x756e6547, 0x6c65746e, 0x49656e69};
    case 0x1: return leaf_features(cpu);
    case 0x2: r.eax = 0x00feff01; break; /* "see leaf 4" */
    case 0x4: return leaf_caches(sub);
    case 0x6: r.eax = 1u << 2; break; /* the APIC timer never stops */
    case 0x7:
        if (sub == 0)
            r = (struct cpuid_regs){2, LEAF7_EBX, 0, LEAF7_EDX};
        else if (sub == 2)
            r.edx = LEAF7_2_EDX;
        break;
    case 0xb: return leaf_topology(cpu, sub);
    case 0xd: return leaf_xsave(cpu, sub);
    case 0x15: return (struct cpuid_regs){1, (uint32_t)(TSC_HZ / CRYSTAL_HZ), CRYSTAL_HZ, 0};
    case 0x16: return (struct cpuid_regs){TSC_HZ / 1000000, TSC_HZ / 1000000, 100, 0};
    default: break;
    }
    return r;
}

static struct cpuid_regs extended_leaf(uint32_t leaf)
{
    static const char brand[48] = "deja x86-64-v2 processor";
    struct cpuid_regs r = {0, 0, 0, 0};

    switch (leaf) {
    case 0x80000000: r.eax = 0x80000008; break;
    case 0x80000001: r = (struct cpuid_regs){0, 0, 1u << 0 /* LAHF */, EXT1_EDX}; break;
    case 0x80000002: case 0x80000003: case 0x80000004:
        set_text(&r, brand + (leaf - 0x80000002) * 16);
        break;
    case 0x80000006: r.ecx = 256u << 16 | 6u << 12 | 64; break;
    case 0x80000007: r.edx = 1u << 8; break; /* invariant TSC */
    case 0x80000008: r.eax = 48u << 8 | CPU_PHYS_BITS; break;
    default: break;
    }
    return r;
}

/* The hypervisor range: a name, and the frequencies where KVM and others put them. */
static struct cpuid_regs hypervisor_leaf(uint32_t leaf)
{
    struct cpuid_regs r = {0, 0, 0, 0};

    if (leaf == 0x40000000) {
        set_text(&r, "\x10\0\0\x40" "DejaDejaDeja");
    } else if (leaf == 0x40000010) {
        r.eax = TSC_HZ / 1000;
        r.ebx = CRYSTAL_HZ / 1000;
    }
    return r;
}

void cpu_cpuid(struct cpu *cpu)
{
    uint32_t leaf = (uint32_t)cpu->regs[REG_RAX], sub = (uint32_t)cpu->regs[REG_RCX];
    struct cpuid_regs r;

    if (leaf >= 0x40000000 && leaf <= 0x400000ff)
        r = hypervisor_leaf(leaf);
    else if (leaf >= 0x80000000)
        r = extended_leaf(leaf);
    else
        r = basic_leaf(cpu, leaf > 0x16 ? 0x16 : leaf, sub);
    cpu->regs[REG_RAX] = r.eax;
    cpu->regs[REG_RBX] = r.ebx;
    cpu->regs[REG_RCX] = r.ecx;
    cpu->regs[REG_RDX] = r.edx;
}
