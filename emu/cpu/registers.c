/* SPDX-License-Identifier: MIT */
/*
 * Registers by number: emu/registers.h. Reading has no side effects. Writing keeps what the engine
 * relies on (fixed bits of RFLAGS, LMA following LME and PG, MXCSR within its mask), and leaves it to the
 * guest to run into what else makes no sense.
 */
#include <emu/registers.h>

#include <stdio.h>

#include <emu/clock.h>

#include "exception.h"
#include "system.h"

/* Of our general registers, in gdb's order. */
static const uint8_t general[16] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI,
                                    REG_RBP, REG_RSP, 8, 9, 10, 11, 12, 13, 14, 15};
/* Of our segment registers, likewise. */
static const uint8_t segments[6] = {SEG_CS, SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS};

static const struct cpu_register_info infos[CPU_REGISTER_COUNT] = {
    {"rax", 8, false}, {"rbx", 8, false}, {"rcx", 8, false}, {"rdx", 8, false}, {"rsi", 8, false},
    {"rdi", 8, false}, {"rbp", 8, false}, {"rsp", 8, false}, {"r8", 8, false}, {"r9", 8, false},
    {"r10", 8, false}, {"r11", 8, false}, {"r12", 8, false}, {"r13", 8, false}, {"r14", 8, false},
    {"r15", 8, false}, {"rip", 8, false}, {"eflags", 4, false}, {"cs", 4, false}, {"ss", 4, false},
    {"ds", 4, false}, {"es", 4, false}, {"fs", 4, false}, {"gs", 4, false}, {"st0", 10, false},
    {"st1", 10, false}, {"st2", 10, false}, {"st3", 10, false}, {"st4", 10, false},
    {"st5", 10, false}, {"st6", 10, false}, {"st7", 10, false}, {"fctrl", 4, false},
    {"fstat", 4, false}, {"ftag", 4, false}, {"fiseg", 4, false}, {"fioff", 4, false},
    {"foseg", 4, false}, {"fooff", 4, false}, {"fop", 4, false}, {"xmm0", 16, false},
    {"xmm1", 16, false}, {"xmm2", 16, false}, {"xmm3", 16, false}, {"xmm4", 16, false},
    {"xmm5", 16, false}, {"xmm6", 16, false}, {"xmm7", 16, false}, {"xmm8", 16, false},
    {"xmm9", 16, false}, {"xmm10", 16, false}, {"xmm11", 16, false}, {"xmm12", 16, false},
    {"xmm13", 16, false}, {"xmm14", 16, false}, {"xmm15", 16, false}, {"mxcsr", 4, false},
    {"fs_base", 8, false}, {"gs_base", 8, false}, {"k_gs_base", 8, false}, {"cr0", 8, false},
    {"cr2", 8, false}, {"cr3", 8, false}, {"cr4", 8, false}, {"cr8", 8, false}, {"efer", 8, false},
    {"cs_base", 8, false}, {"ss_base", 8, false}, {"ds_base", 8, false}, {"es_base", 8, false},
    {"cs_limit", 4, false}, {"ss_limit", 4, false}, {"ds_limit", 4, false}, {"es_limit", 4, false},
    {"fs_limit", 4, false}, {"gs_limit", 4, false}, {"gdt_base", 8, false}, {"gdt_limit", 4, false},
    {"idt_base", 8, false}, {"idt_limit", 4, false}, {"ldtr", 4, false}, {"ldt_base", 8, false},
    {"tr", 4, false}, {"tr_base", 8, false}, {"dr0", 8, false}, {"dr1", 8, false}, {"dr2", 8, false},
    {"dr3", 8, false}, {"dr6", 8, false}, {"dr7", 8, false}, {"xcr0", 8, false}, {"star", 8, false},
    {"lstar", 8, false}, {"cstar", 8, false}, {"fmask", 8, false}, {"cpl", 4, true},
    {"icount", 8, true}, {"vns", 8, true}, {"tsc", 8, true},
};
_Static_assert(REG_ID_TSC + 1 == CPU_REGISTER_COUNT && REG_ID_TSC == 98,
               "numbers are in traces: they stay");

const struct cpu_register_info *cpu_register_info(unsigned id)
{
    return &infos[id];
}

int cpu_register_find(const char *name)
{
    for (unsigned id = 0; id < CPU_REGISTER_COUNT; id++)
        if (strcmp(infos[id].name, name) == 0)
            return (int)id;
    return -1;
}

uint64_t cpu_linear_rip(const struct cpu *cpu)
{
    if (cpu_code_size(cpu) == CODE_64)
        return cpu->rip;
    return (uint32_t)(cpu->seg[SEG_CS].base + cpu->rip);
}

/* --- those that are a number in a field --- */

/* The field that holds the register, and its width in bytes; NULL: it is not that simple. */
static void *field_of(const struct cpu *cpu, unsigned id, unsigned *width)
{
    struct cpu *c = (struct cpu *)cpu;

    *width = 8;
    if (id < 16)
        return &c->regs[general[id]];
    if (id >= REG_ID_CS_LIMIT && id <= REG_ID_GS_LIMIT) {
        *width = 4;
        return &c->seg[segments[id - REG_ID_CS_LIMIT]].limit;
    }
    if (id >= REG_ID_DR0 && id < REG_ID_DR6)
        return &c->dr[id - REG_ID_DR0];
    switch (id) {
    case REG_ID_FS_BASE: return &c->seg[SEG_FS].base;
    case REG_ID_GS_BASE: return &c->seg[SEG_GS].base;
    case REG_ID_CS_BASE: return &c->seg[SEG_CS].base;
    case REG_ID_SS_BASE: return &c->seg[SEG_SS].base;
    case REG_ID_DS_BASE: return &c->seg[SEG_DS].base;
    case REG_ID_ES_BASE: return &c->seg[SEG_ES].base;
    case REG_ID_K_GS_BASE: return &c->kernel_gs_base;
    case REG_ID_CR0: return &c->cr0;
    case REG_ID_CR2: return &c->cr2;
    case REG_ID_CR3: return &c->cr3;
    case REG_ID_CR4: return &c->cr4;
    case REG_ID_EFER: return &c->efer;
    case REG_ID_GDT_BASE: return &c->gdtr.base;
    case REG_ID_IDT_BASE: return &c->idtr.base;
    case REG_ID_LDT_BASE: return &c->ldtr.base;
    case REG_ID_TR_BASE: return &c->tr.base;
    case REG_ID_DR6: return &c->dr[6];
    case REG_ID_DR7: return &c->dr[7];
    case REG_ID_XCR0: return &c->xcr0;
    case REG_ID_STAR: return &c->star;
    case REG_ID_LSTAR: return &c->lstar;
    case REG_ID_CSTAR: return &c->cstar;
    case REG_ID_FMASK: return &c->fmask;
    default: break;
    }
    *width = 2;
    switch (id) {
    case REG_ID_GDT_LIMIT: return &c->gdtr.limit;
    case REG_ID_IDT_LIMIT: return &c->idtr.limit;
    case REG_ID_LDTR: return &c->ldtr.selector;
    case REG_ID_TR: return &c->tr.selector;
    default: return NULL;
    }
}

/* --- reading --- */

static uint64_t read_x87_word(const struct fpu_state *fpu, unsigned id)
{
    switch (id - REG_ID_FCTRL) {
    case 0: return fpu->cw;
    case 1: return fpu_status_word(fpu);
    case 2: return fpu_tag_word(fpu);
    case 3: return fpu->fcs;
    case 4: return (uint32_t)fpu->fip;
    case 5: return fpu->fds;
    case 6: return (uint32_t)fpu->fdp;
    default: return fpu->fop;
    }
}

static uint64_t read_number(const struct cpu *cpu, unsigned id)
{
    unsigned width;
    const void *field = field_of(cpu, id, &width);
    uint64_t v = 0;

    if (field != NULL) {
        memcpy(&v, field, width);
        return v;
    }
    if (id >= REG_ID_CS && id <= REG_ID_GS)
        return cpu->seg[segments[id - REG_ID_CS]].selector;
    if (id >= REG_ID_FCTRL && id <= REG_ID_FOP)
        return read_x87_word(&cpu->fpu, id);
    switch (id) {
    case REG_ID_RIP: return cpu_linear_rip(cpu);
    case REG_ID_EFLAGS: return cpu_rflags(cpu);
    case REG_ID_MXCSR: return cpu->fpu.mxcsr;
    case REG_ID_CR8: return cpu->intc == NULL ? 0 : cpu->intc->get_cr8(cpu->intc_opaque);
    case REG_ID_CPL: return cpu->cpl;
    case REG_ID_ICOUNT: return cpu->clock->icount;
    case REG_ID_VNS: return clock_now_ns(cpu->clock);
    case REG_ID_TSC: return cpu_tsc(cpu);
    default: return 0;
    }
}

uint64_t cpu_register_value(const struct cpu *cpu, unsigned id)
{
    return id < 16 ? cpu->regs[general[id]] : read_number(cpu, id);
}

static const struct f80 *x87_register(const struct cpu *cpu, unsigned id)
{
    return &cpu->fpu.st[(cpu->fpu.top + (id - REG_ID_ST0)) & 7];
}

void cpu_register_read(const struct cpu *cpu, unsigned id, uint8_t *out)
{
    uint64_t v;

    if (id >= REG_ID_ST0 && id < REG_ID_FCTRL) {
        const struct f80 *st = x87_register(cpu, id);

        memcpy(out, &st->sig, 8);
        memcpy(out + 8, &st->se, 2);
    } else if (id >= REG_ID_XMM0 && id < REG_ID_MXCSR) {
        memcpy(out, cpu->fpu.xmm[id - REG_ID_XMM0].b, 16);
    } else {
        v = read_number(cpu, id);
        memcpy(out, &v, infos[id].bytes);
    }
}

/* --- writing --- */

static void write_x87_word(struct fpu_state *fpu, unsigned id, uint32_t v)
{
    switch (id - REG_ID_FCTRL) {
    case 0: fpu_set_control_word(fpu, (uint16_t)v); break;
    case 1: fpu_set_status_word(fpu, (uint16_t)v); break;
    case 2: fpu_set_tag_word(fpu, (uint16_t)v); break;
    case 3: fpu->fcs = (uint16_t)v; break;
    case 4: fpu->fip = (fpu->fip & ~0xffffffffULL) | v; break;
    case 5: fpu->fds = (uint16_t)v; break;
    case 6: fpu->fdp = (fpu->fdp & ~0xffffffffULL) | v; break;
    default: fpu->fop = v & 0x7ff; break;
    }
}

/* Without faults: a descriptor that cannot be read leaves all but the selector as it is. */
static void write_selector(struct cpu *cpu, unsigned seg, uint16_t selector)
{
    uint64_t table = selector & 4 ? cpu->ldtr.base : cpu->gdtr.base;
    uint32_t limit = selector & 4 ? cpu->ldtr.limit : cpu->gdtr.limit;
    struct descriptor d = {0};
    uint32_t raw[2];

    cpu->seg[seg].selector = selector;
    if (!protected_mode(cpu)) {
        cpu->seg[seg].base = (uint64_t)selector << 4;
        return;
    }
    if (selector_is_null(selector) || (selector | 7u) > limit ||
        cpu_peek(cpu, table + (selector & 0xfff8u), raw, 8) != 8)
        return;
    d.low = raw[0];
    d.high = raw[1];
    if ((d.high & DESC_S) && (d.high & DESC_P))
        segment_from_descriptor(&cpu->seg[seg], selector, &d);
}

static void write_other(struct cpu *cpu, unsigned id, uint64_t v)
{
    if (id >= REG_ID_CS && id <= REG_ID_GS)
        write_selector(cpu, segments[id - REG_ID_CS], (uint16_t)v);
    else if (id >= REG_ID_FCTRL && id <= REG_ID_FOP)
        write_x87_word(&cpu->fpu, id, (uint32_t)v);
    else if (id == REG_ID_RIP)
        cpu->rip = cpu_code_size(cpu) == CODE_64 ? v : (uint32_t)(v - cpu->seg[SEG_CS].base);
    else if (id == REG_ID_EFLAGS)
        cpu->rflags = (v & (RFLAGS_ARITH | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL |
                            RFLAGS_NT | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID)) |
                      RFLAGS_ONE;
    else if (id == REG_ID_MXCSR)
        cpu->fpu.mxcsr = (uint32_t)v & MXCSR_VALID;
    else if (id == REG_ID_CR8 && cpu->intc != NULL)
        cpu->intc->set_cr8(cpu->intc_opaque, v & 15);
}

/* What the processor keeps true, whoever writes. */
static void keep_invariants(struct cpu *cpu)
{
    unsigned i;

    cpu->cr0 = (uint32_t)cpu->cr0 | CR0_ET;
    cpu->cr3 &= (1ULL << CPU_PHYS_BITS) - 1;
    cpu->efer &= EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    cpu->efer &= ~(uint64_t)EFER_LMA;
    if ((cpu->efer & EFER_LME) && (cpu->cr0 & CR0_PG))
        cpu->efer |= EFER_LMA;
    cpu->dr[6] = (uint32_t)cpu->dr[6] | DR6_FIXED;
    cpu->dr[7] = (cpu->dr[7] & 0xffff2fffu) | DR7_FIXED;
    cpu->xcr0 = (cpu->xcr0 & XCR0_VALID) | XCR0_X87;
    for (i = 0; i < 4; i++) /* DS, ES, SS and CS have 32-bit bases */
        cpu->seg[segments[i]].base = (uint32_t)cpu->seg[segments[i]].base;
}

bool cpu_register_write(struct cpu *cpu, unsigned id, const uint8_t *value)
{
    uint64_t v = 0;
    unsigned width;
    void *field;

    if (id >= CPU_REGISTER_COUNT || infos[id].read_only)
        return false;
    if (id >= REG_ID_ST0 && id < REG_ID_FCTRL) {
        struct f80 *st = (struct f80 *)x87_register(cpu, id);

        memcpy(&st->sig, value, 8);
        memcpy(&st->se, value + 8, 2);
        return true;
    }
    if (id >= REG_ID_XMM0 && id < REG_ID_MXCSR) {
        memcpy(cpu->fpu.xmm[id - REG_ID_XMM0].b, value, 16);
        return true;
    }
    memcpy(&v, value, infos[id].bytes);
    field = field_of(cpu, id, &width);
    if (field != NULL)
        memcpy(field, &v, width);
    else
        write_other(cpu, id, v);
    if (id >= 16) {
        keep_invariants(cpu);
        cpu_registers_changed(cpu);
    }
    return true;
}
