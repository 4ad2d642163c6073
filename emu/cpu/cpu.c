/* SPDX-License-Identifier: MIT */
/*
 * A CPU as a part of the machine: its saved state, RESET, INIT and startup (Intel SDM vol. 3, table
 * 9-1 and 9.4), and the lines to its interrupt controller.
 */
#include <emu/cpu.h>

#include <stdlib.h>

#include "system.h"

/* --- state table --- */

static const struct field segment_fields[] = {
    FIELD(struct segment, base, FIELD_U64),
    FIELD(struct segment, limit, FIELD_U32),
    FIELD(struct segment, ar, FIELD_U32),
    FIELD(struct segment, selector, FIELD_U16),
};
static const struct state_desc segment_desc =
    STATE_DESC("segment", 1, struct segment, segment_fields, NULL);

static const struct field table_fields[] = {
    FIELD(struct table_register, base, FIELD_U64),
    FIELD(struct table_register, limit, FIELD_U16),
};
static const struct state_desc table_desc =
    STATE_DESC("table", 1, struct table_register, table_fields, NULL);

#define GENERAL_REGISTERS                                                                          \
    {"regs", (uint32_t)offsetof(struct cpu, regs), 16, sizeof(uint64_t), FIELD_U64, NULL}

static const struct field cpu_fields[] = {
    GENERAL_REGISTERS,
    FIELD(struct cpu, rip, FIELD_U64),
    FIELD(struct cpu, rflags, FIELD_U64),
    FIELD_SUBS(struct cpu, seg, &segment_desc),
    FIELD_SUB(struct cpu, ldtr, &segment_desc),
    FIELD_SUB(struct cpu, tr, &segment_desc),
    FIELD_SUB(struct cpu, gdtr, &table_desc),
    FIELD_SUB(struct cpu, idtr, &table_desc),
    FIELD(struct cpu, cr0, FIELD_U64),
    FIELD(struct cpu, cr2, FIELD_U64),
    FIELD(struct cpu, cr3, FIELD_U64),
    FIELD(struct cpu, cr4, FIELD_U64),
    FIELD(struct cpu, xcr0, FIELD_U64),
    FIELD_ARRAY(struct cpu, dr, FIELD_U64),
    FIELD(struct cpu, efer, FIELD_U64),
    FIELD(struct cpu, star, FIELD_U64),
    FIELD(struct cpu, lstar, FIELD_U64),
    FIELD(struct cpu, cstar, FIELD_U64),
    FIELD(struct cpu, fmask, FIELD_U64),
    FIELD(struct cpu, kernel_gs_base, FIELD_U64),
    FIELD(struct cpu, tsc_aux, FIELD_U64),
    FIELD(struct cpu, sysenter_cs, FIELD_U64),
    FIELD(struct cpu, sysenter_esp, FIELD_U64),
    FIELD(struct cpu, sysenter_eip, FIELD_U64),
    FIELD_ARRAY(struct cpu, pdpte, FIELD_U64),
    FIELD(struct cpu, tsc_adjust, FIELD_U64),
    FIELD(struct cpu, pat, FIELD_U64),
    FIELD(struct cpu, mtrr_def_type, FIELD_U64),
    FIELD(struct cpu, misc_enable, FIELD_U64),
    FIELD(struct cpu, spec_ctrl, FIELD_U64),
    FIELD(struct cpu, feature_ctl, FIELD_U64),
    FIELD_ARRAY(struct cpu, mtrr_fixed, FIELD_U64),
    FIELD_ARRAY(struct cpu, mtrr_base, FIELD_U64),
    FIELD_ARRAY(struct cpu, mtrr_mask, FIELD_U64),
    FIELD(struct cpu, mcg_status, FIELD_U64),
    FIELD(struct cpu, mcg_ctl, FIELD_U64),
    FIELD_ARRAY(struct cpu, rng, FIELD_U64),
    FIELD(struct cpu, shadow_icount, FIELD_U64),
    FIELD(struct cpu, cpl, FIELD_U32),
    FIELD(struct cpu, pending, FIELD_U32),
    FIELD(struct cpu, halted, FIELD_U32),
    FIELD(struct cpu, sipi_vector, FIELD_U32),
    FIELD(struct cpu, nmi_blocked, FIELD_U32),
    FIELD(struct cpu, trap_dr6, FIELD_U32),
    FIELD_SUB(struct cpu, fpu, &fpu_state_desc),
};

static int cpu_post_load(void *obj)
{
    struct cpu *cpu = obj;

    if (cpu->cpl > 3 || cpu->halted > 3)
        return -1;
    return 0;
}

const struct state_desc cpu_desc = STATE_DESC("cpu", 1, struct cpu, cpu_fields, cpu_post_load);

/* --- randomness: xoshiro256** (Blackman, Vigna), seeded through splitmix64 --- */

static uint64_t rotl(uint64_t v, unsigned by)
{
    return v << by | v >> (64 - by);
}

uint64_t cpu_random(struct cpu *cpu)
{
    uint64_t *s = cpu->rng, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

void cpu_seed_random(struct cpu *cpu, uint64_t seed)
{
    unsigned i;

    for (i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15ULL;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
        cpu->rng[i] = z ^ z >> 31;
    }
}

/* --- reset --- */

static void reset_segment(struct segment *s, uint16_t selector, uint64_t base, uint32_t ar)
{
    *s = (struct segment){.base = base, .limit = 0xffff, .ar = ar, .selector = selector};
}

/* What RESET and INIT have in common; CR0.CD and CR0.NW are set by one and kept by the other. */
static void reset_execution(struct cpu *cpu, uint64_t caching)
{
    unsigned i;

    memset(cpu->regs, 0, sizeof(cpu->regs));
    cpu->regs[REG_RDX] = 0x000206c2; /* family, model, stepping */
    cpu->rip = 0xfff0;
    cpu->rflags = RFLAGS_ONE;
    for (i = 0; i < 6; i++)
        reset_segment(&cpu->seg[i], 0, 0, 0x93);
    reset_segment(&cpu->seg[SEG_CS], 0xf000, 0xffff0000, 0x9b);
    reset_segment(&cpu->ldtr, 0, 0, 0x82);
    reset_segment(&cpu->tr, 0, 0, 0x8b);
    cpu->gdtr = (struct table_register){.limit = 0xffff};
    cpu->idtr = (struct table_register){.limit = 0xffff};
    cpu->cr0 = caching | CR0_ET;
    cpu->cr2 = cpu->cr3 = cpu->cr4 = 0;
    memset(cpu->dr, 0, sizeof(cpu->dr));
    cpu->dr[6] = DR6_FIXED;
    cpu->dr[7] = DR7_FIXED;
    cpu->efer = 0;
    memset(cpu->pdpte, 0, sizeof(cpu->pdpte));
    cpu->shadow_icount = UINT64_MAX;
    cpu->cpl = 0;
    cpu->pending &= PENDING_INTR; /* the line is the controller's */
    cpu->halted = 0;
    cpu->nmi_blocked = 0;
    cpu->trap_dr6 = 0;
}

void cpu_reset(void *obj)
{
    struct cpu *cpu = obj;

    reset_execution(cpu, CR0_CD | CR0_NW);
    cpu->pending = 0;
    cpu->star = cpu->lstar = cpu->cstar = cpu->fmask = cpu->kernel_gs_base = cpu->tsc_aux = 0;
    cpu->sysenter_cs = cpu->sysenter_esp = cpu->sysenter_eip = 0;
    cpu->tsc_adjust = 0 - clock_now_ns(cpu->clock); /* the TSC starts at 0 */
    cpu->pat = 0x0007040600070406ULL;
    cpu->mtrr_def_type = 0;
    cpu->misc_enable = 1; /* fast strings */
    cpu->spec_ctrl = cpu->feature_ctl = 0;
    memset(cpu->mtrr_fixed, 0, sizeof(cpu->mtrr_fixed));
    memset(cpu->mtrr_base, 0, sizeof(cpu->mtrr_base));
    memset(cpu->mtrr_mask, 0, sizeof(cpu->mtrr_mask));
    cpu->mcg_status = cpu->mcg_ctl = 0;
    cpu->xcr0 = XCR0_X87;
    cpu->sipi_vector = 0;
    cpu_seed_random(cpu, cpu->machine->config.seed ^ (uint64_t)cpu->index << 56);
    fpu_reset(&cpu->fpu);
    if (cpu->index != 0)
        cpu->halted = 2;
    cpu_state_changed(cpu);
}

void cpu_init_signal(struct cpu *cpu)
{
    reset_execution(cpu, cpu->cr0 & (CR0_CD | CR0_NW));
    cpu->halted = cpu->index == 0 ? 0 : 2;
    cpu_state_changed(cpu);
}

void cpu_startup_signal(struct cpu *cpu, uint8_t vector)
{
    if (cpu->halted != 2)
        return;
    cpu->halted = 0;
    cpu->seg[SEG_CS].selector = (uint16_t)(vector << 8);
    cpu->seg[SEG_CS].base = (uint64_t)vector << 12;
    cpu->rip = 0;
    cpu_state_changed(cpu);
}

void cpu_registers_changed(struct cpu *cpu)
{
    cpu->regs[REG_NONE] = 0;
    flags_set(cpu, cpu->rflags);
    x87_error_changed(cpu);
    cpu_debug_changed(cpu); /* flushes translations */
    cpu_update_mode(cpu);
}

void cpu_state_changed(struct cpu *cpu)
{
    cpu->faults_in_a_row = 0;
    cpu->retired_mark = UINT64_MAX;
    cpu->repeat_mark = UINT64_MAX;
    cpu_registers_changed(cpu);
}

/* --- time --- */

uint64_t cpu_tsc(const struct cpu *cpu)
{
    return clock_now_ns(cpu->clock) + cpu->tsc_adjust; /* TSC_HZ is one per nanosecond */
}
_Static_assert(TSC_HZ == NS_PER_SEC, "cpu_tsc and line_tsc_to_ns assume one count per nanosecond");

/* --- lines from the interrupt controller --- */

static void line_set_intr(void *obj, bool level)
{
    struct cpu *cpu = obj;

    if (level)
        cpu->pending |= PENDING_INTR;
    else
        cpu->pending &= ~PENDING_INTR;
}

static void line_raise_nmi(void *obj)
{
    ((struct cpu *)obj)->pending |= PENDING_NMI;
}

static void line_raise_init(void *obj)
{
    ((struct cpu *)obj)->pending |= PENDING_INIT;
}

static void line_raise_sipi(void *obj, uint8_t vector)
{
    struct cpu *cpu = obj;

    if (cpu->halted == 2) {
        cpu->pending |= PENDING_SIPI;
        cpu->sipi_vector = vector;
    }
}

static uint64_t line_tsc(void *obj)
{
    return cpu_tsc(obj);
}

static uint64_t line_tsc_to_ns(void *obj, uint64_t tsc)
{
    const struct cpu *cpu = obj;
    uint64_t now = clock_now_ns(cpu->clock);
    uint64_t ahead = tsc > cpu_tsc(cpu) ? tsc - cpu_tsc(cpu) : 0;

    return ahead >= CLOCK_NEVER - now ? CLOCK_NEVER - 1 : now + ahead;
}

struct cpu_lines machine_connect_intc(struct machine *m, unsigned n, const struct intc_ops *ops,
                                      void *opaque)
{
    struct cpu *cpu = &m->cpus[n];

    cpu->intc = ops;
    cpu->intc_opaque = opaque;
    return (struct cpu_lines){.cpu = cpu,
                              .set_intr = line_set_intr,
                              .raise_nmi = line_raise_nmi,
                              .raise_init = line_raise_init,
                              .raise_sipi = line_raise_sipi,
                              .tsc = line_tsc,
                              .tsc_to_ns = line_tsc_to_ns};
}

/* --- life cycle --- */

int cpu_init(struct cpu *cpu, struct machine *m, unsigned index)
{
    memset(cpu, 0, sizeof(*cpu));
    memset(cpu->tlbs, 0xff, sizeof(cpu->tlbs));
    memset(cpu->tlb2, 0xff, sizeof(cpu->tlb2));
    cpu->machine = m;
    cpu->index = index;
    cpu->clock = &m->clock;
    cpu->ram = &m->ram;
    cpu->ports = &m->ports;
    cpu->memory = &m->memory;
    cpu->debugger = m->debugger;
    cpu->tlb = cpu->tlbs[0];
    cpu->flush_generation = 1;
    cpu->undefined_count = calloc(INSN_COUNT, sizeof(uint64_t));
    if (cpu->undefined_count == NULL || blocks_init(cpu) != 0) {
        free(cpu->undefined_count);
        return -1;
    }
    return 0;
}

void cpu_fini(struct cpu *cpu)
{
    blocks_fini(cpu);
    free(cpu->undefined_count);
    cpu->undefined_count = NULL;
}
