/* SPDX-License-Identifier: MIT */
/*
 * The machine that runs sequences.
 *
 * Guest-physical memory, low to high: page tables, GDT with TSS, IDT, handlers, kernel stack,
 * arena, scratch page. The kernel part is mapped for the supervisor alone, at KERNEL_VA. Each exception vector
 * has a handler of its own, HLT then IRETQ. The CPU halts in it; the harness reads the frame on the
 * kernel stack, replaces it by the next sequence's state, and lets the guest go on into IRETQ. So
 * every sequence passes through the emulator's own exception delivery and return.
 *
 * GDT and selectors are those of Linux, and so are the IDT's privilege levels, for the error codes
 * that INT n and selector faults push. The segment for 32-bit code is there if the host has it.
 */
#include "diff_guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emu/cpu.h>
#include <emu/machine.h>

#define KERNEL_VA      0xffffff8000000000ULL
#define PML4_GPA       0x1000u
#define PDPT_LOW_GPA   0x2000u
#define PD_LOW_GPA     0x3000u
#define PT_LOW_GPA     0x4000u
#define PDPT_HIGH_GPA  0x5000u
#define PD_HIGH_GPA    0x6000u
#define PT_HIGH_GPA    0x7000u
#define GDT_GPA        0x8000u
#define TSS_GPA        0x8800u
#define IDT_GPA        0x9000u
#define HANDLERS_GPA   0xa000u
#define KSTACK_TOP_GPA 0xc000u
#define ARENA_GPA      0x10000u
#define KERNEL_BYTES   0x20000u
#define SCRATCH_GPA    0x20000u

#define HANDLER_BYTES 16u
#define KERNEL_CS     0x10u
#define TSS_SELECTOR  0x40u
#define PTE_KERNEL    0x3ULL /* present, writable */
#define PTE_USER      0x7ULL
#define PTE_NX        (1ULL << 63)

struct guest {
    struct machine *m;
    const uint8_t *template;
    uint32_t dirty[ARENA_LINES]; /* lines to put back before the next run */
    uint32_t ndirty;
    uint64_t code_at, code_len; /* code that was placed, to be put back as well */
    char problem[160];
};

/* --- a board without devices --- */

static struct intr_ack stub_ack(void *opaque)
{
    (void)opaque;
    return (struct intr_ack){.vector = 255, .source = INTR_SOURCE_PIC};
}
static uint8_t stub_get_cr8(void *opaque)
{
    (void)opaque;
    return 0;
}
static void stub_set_cr8(void *opaque, uint8_t cr8)
{
    (void)opaque;
    (void)cr8;
}
static int stub_rdmsr(void *opaque, uint32_t msr, uint64_t *value)
{
    (void)opaque;
    (void)msr;
    (void)value;
    return -1;
}
static int stub_wrmsr(void *opaque, uint32_t msr, uint64_t value)
{
    (void)opaque;
    (void)msr;
    (void)value;
    return -1;
}
static bool stub_enabled(void *opaque)
{
    (void)opaque;
    return false;
}
static const struct intc_ops stub_ops = {.ack = stub_ack,
                                         .get_cr8 = stub_get_cr8,
                                         .set_cr8 = stub_set_cr8,
                                         .rdmsr = stub_rdmsr,
                                         .wrmsr = stub_wrmsr,
                                         .enabled = stub_enabled};

static void *bare_create(struct machine *m, char *err, size_t errlen)
{
    (void)err;
    (void)errlen;
    machine_connect_intc(m, 0, &stub_ops, NULL);
    return m;
}
static void bare_destroy(void *board)
{
    (void)board;
}
static const struct machine_board bare_board = {
    .name = "bare", .create = bare_create, .destroy = bare_destroy};

/* --- tables in guest memory --- */

static void put64(struct machine *m, uint64_t gpa, uint64_t value)
{
    ram_write(&m->ram, gpa, &value, sizeof(value));
}

static void build_page_tables(struct machine *m)
{
    unsigned i, page;

    put64(m, PML4_GPA, PDPT_LOW_GPA | PTE_USER);
    put64(m, PML4_GPA + ((KERNEL_VA >> 39) & 511) * 8, PDPT_HIGH_GPA | PTE_KERNEL);
    put64(m, PDPT_LOW_GPA, PD_LOW_GPA | PTE_USER);
    put64(m, PDPT_HIGH_GPA + ((KERNEL_VA >> 30) & 511) * 8, PD_HIGH_GPA | PTE_KERNEL);
    put64(m, PD_LOW_GPA + (CODE_VA >> 21) * 8, PT_LOW_GPA | PTE_USER);
    put64(m, PD_HIGH_GPA + ((KERNEL_VA >> 21) & 511) * 8, PT_HIGH_GPA | PTE_KERNEL);
    for (i = 0; i < KERNEL_BYTES / PAGE; i++)
        put64(m, PT_HIGH_GPA + i * 8, i * PAGE | PTE_KERNEL);
    for (i = 0; i < ARENA_PARTS; i++) {
        const struct arena_part *p = &arena_parts[i];

        for (page = 0; page < p->pages; page++)
            put64(m, PT_LOW_GPA + ((p->va >> 12) + page) % 512 * 8,
                  (ARENA_GPA + (p->first_page + page) * PAGE) |
                      (p->write ? PTE_USER : PTE_USER & ~2ULL) | (p->exec ? 0 : PTE_NX));
    }
}

static void build_gdt(struct machine *m, bool code32)
{
    uint64_t tss = KERNEL_VA + TSS_GPA;

    put64(m, GDT_GPA + KERNEL_CS, 0x00af9b000000ffffULL);
    put64(m, GDT_GPA + 0x18, 0x00cf93000000ffffULL);
    if (code32)
        put64(m, GDT_GPA + (USER_CS32 & ~7u), 0x00cffb000000ffffULL);
    put64(m, GDT_GPA + (USER_DS & ~7u), 0x00cff3000000ffffULL);
    put64(m, GDT_GPA + (USER_CS64 & ~7u), 0x00affb000000ffffULL);
    put64(m, GDT_GPA + TSS_SELECTOR,
          0x67 | (tss & 0xffffff) << 16 | 0x8bULL << 40 | (tss >> 24 & 0xff) << 56);
    put64(m, GDT_GPA + TSS_SELECTOR + 8, tss >> 32);
    put64(m, TSS_GPA + 4, KERNEL_VA + KSTACK_TOP_GPA); /* RSP0 */
    put64(m, TSS_GPA + 0x60, 0x68ULL << 48);           /* no I/O bitmap */
}

static void build_idt(struct machine *m)
{
    static const uint8_t handler[] = {0xf4, 0x48, 0xcf}; /* HLT; IRETQ */
    unsigned vector;

    for (vector = 0; vector < 32; vector++) {
        uint64_t at = KERNEL_VA + HANDLERS_GPA + vector * HANDLER_BYTES;
        uint64_t dpl = vector == 3 || vector == 4 ? 3 : 0;

        put64(m, IDT_GPA + vector * 16,
              (at & 0xffff) | KERNEL_CS << 16 | (0x8eULL | dpl << 5) << 40 |
                  (at >> 16 & 0xffff) << 48);
        put64(m, IDT_GPA + vector * 16 + 8, at >> 32);
        ram_write(&m->ram, HANDLERS_GPA + vector * HANDLER_BYTES, handler, sizeof(handler));
    }
}

/* --- the CPU, halted in a handler --- */

static struct segment flat_segment(uint16_t selector, uint32_t ar)
{
    return (struct segment){.limit = UINT32_MAX, .ar = ar, .selector = selector};
}

static void set_up_cpu(struct machine *m)
{
    struct cpu *cpu = &m->cpus[0];
    unsigned i;

    cpu->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
    cpu->cr3 = PML4_GPA;
    cpu->cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_FSGSBASE | CR4_OSXSAVE;
    cpu->xcr0 = XCR0_X87 | XCR0_SSE;
    cpu->efer = EFER_LME | EFER_LMA | EFER_NXE;
    cpu->gdtr = (struct table_register){.base = KERNEL_VA + GDT_GPA, .limit = 0x4f};
    cpu->idtr = (struct table_register){.base = KERNEL_VA + IDT_GPA, .limit = 32 * 16 - 1};
    cpu->tr = (struct segment){
        .base = KERNEL_VA + TSS_GPA, .limit = 0x67, .ar = 0x8b, .selector = TSS_SELECTOR};
    cpu->ldtr = (struct segment){.ar = SEG_UNUSABLE};
    for (i = 0; i < 6; i++)
        cpu->seg[i] = flat_segment(USER_DS, 0xc0f3);
    cpu->seg[SEG_CS] = flat_segment(KERNEL_CS, 0xa09b);
    cpu->seg[SEG_SS] = (struct segment){.ar = SEG_UNUSABLE | AR_DB};
    cpu->seg[SEG_FS] = (struct segment){.ar = SEG_UNUSABLE};
    cpu->seg[SEG_GS] = (struct segment){.ar = SEG_UNUSABLE, .base = GS_BASE};
    cpu->cpl = 0;
    cpu->rflags = RFLAGS_ONE;
    cpu->halted = 1;
    cpu->rip = KERNEL_VA + HANDLERS_GPA + 1;
    cpu->regs[REG_RSP] = KERNEL_VA + KSTACK_TOP_GPA - 40;
    cpu_state_changed(cpu);
}

struct guest *guest_create(const uint8_t *template, bool code32)
{
    struct machine_config config = {
        .struct_size = sizeof(config), .ram_bytes = 1u << 20, .ns_per_insn = 1};
    struct guest *g = calloc(1, sizeof(*g));
    char err[200];

    if (g == NULL)
        return NULL;
    g->template = template;
    g->m = machine_create(&config, &bare_board, err, sizeof(err));
    if (g->m == NULL) {
        fprintf(stderr, "guest: %s\n", err);
        free(g);
        return NULL;
    }
    build_page_tables(g->m);
    build_gdt(g->m, code32);
    build_idt(g->m);
    ram_write(&g->m->ram, ARENA_GPA, template, ARENA_BYTES);
    set_up_cpu(g->m);
    return g;
}

void guest_add_code16(struct guest *g)
{
    put64(g->m, GDT_GPA + (USER_CS16 & ~7u),
          0x0000fb000000ffffULL | (uint64_t)(CODE_VA & 0xffffff) << 16 | (uint64_t)(CODE_VA >> 24) << 56);
}

void guest_add_scratch(struct guest *g)
{
    put64(g->m, PT_LOW_GPA + (SCRATCH_VA >> 12) % 512 * 8, SCRATCH_GPA | PTE_USER | PTE_NX);
}

void guest_destroy(struct guest *g)
{
    if (g == NULL)
        return;
    machine_destroy(g->m);
    free(g);
}

const char *guest_problem(const struct guest *g)
{
    return g->problem;
}

/* --- arena --- */

static uint64_t arena_gpa(uint64_t va)
{
    unsigned i;

    for (i = 0; i < ARENA_PARTS; i++)
        if (va >= arena_parts[i].va && va < arena_parts[i].va + arena_parts[i].pages * PAGE)
            return ARENA_GPA + arena_parts[i].first_page * PAGE + (va - arena_parts[i].va);
    return UINT64_MAX;
}

size_t guest_peek(const struct guest *g, uint64_t va, uint8_t *out, size_t len)
{
    size_t n;

    for (n = 0; n < len && arena_gpa(va + n) != UINT64_MAX; n++)
        out[n] = *ram_host(&g->m->ram, arena_gpa(va + n));
    return n;
}

static void put_back(struct guest *g)
{
    uint32_t i;

    for (i = 0; i < g->ndirty; i++)
        ram_write(&g->m->ram, ARENA_GPA + g->dirty[i] * LINE_BYTES,
                  g->template + g->dirty[i] * LINE_BYTES, LINE_BYTES);
    g->ndirty = 0;
}

static void collect(struct guest *g, struct outcome *out)
{
    const uint8_t *arena = ram_host(&g->m->ram, ARENA_GPA);
    uint32_t page, i;

    g->ndirty = 0;
    for (page = 0; page < ARENA_PAGES; page++) {
        if (memcmp(arena + page * PAGE, g->template + page * PAGE, PAGE) == 0)
            continue;
        for (i = page * (PAGE / LINE_BYTES); i < (page + 1) * (PAGE / LINE_BYTES); i++) {
            if (memcmp(arena + i * LINE_BYTES, g->template + i * LINE_BYTES, LINE_BYTES) == 0)
                continue;
            out->lines[g->ndirty].index = i;
            memcpy(out->lines[g->ndirty].bytes, arena + i * LINE_BYTES, LINE_BYTES);
            g->dirty[g->ndirty++] = i;
        }
    }
    out->nlines = g->ndirty;
}

/* --- running --- */

static uint64_t kernel_read(const struct guest *g, uint64_t va)
{
    uint64_t v = 0;

    ram_read(&g->m->ram, va - KERNEL_VA, &v, sizeof(v));
    return v;
}

/* The sequence's state, for the handler to return to. */
static void enter(struct guest *g, const struct seq *seq)
{
    struct cpu *cpu = &g->m->cpus[0];
    uint64_t frame = KSTACK_TOP_GPA - 40;
    uint8_t fx[FXSAVE_BYTES];

    put_back(g);
    ram_write(&g->m->ram, arena_gpa(seq->rip + (seq->cs == USER_CS16 ? CODE_VA : 0)), seq->code,
              seq->code_len);
    memcpy(cpu->regs, seq->regs, sizeof(seq->regs));
    memcpy(fx, seq->fx, FX_BYTES);
    fpu_unpack_fxsave(&cpu->fpu, fx, true, true);
    put64(g->m, frame, seq->rip);
    put64(g->m, frame + 8, seq->cs);
    put64(g->m, frame + 16, seq->rflags | RFLAGS_ONE | RFLAGS_IF);
    put64(g->m, frame + 24, seq->regs[REG_RSP]);
    put64(g->m, frame + 32, USER_DS);
    cpu->regs[REG_RSP] = KERNEL_VA + frame;
    cpu->seg[SEG_DS] = cpu->seg[SEG_ES] = flat_segment(USER_DS, 0xc0f3);
    cpu->halted = 0;
}

/* Halted in a handler: what the exception's frame says. */
static bool read_exception(struct guest *g, struct outcome *out)
{
    struct cpu *cpu = &g->m->cpus[0];
    uint64_t at = cpu->rip - 1 - (KERNEL_VA + HANDLERS_GPA), frame = cpu->regs[REG_RSP];
    uint8_t fx[FXSAVE_BYTES];

    if (at % HANDLER_BYTES != 0 || at / HANDLER_BYTES >= 32 || cpu->cpl != 0)
        return false;
    out->vector = (uint16_t)(at / HANDLER_BYTES);
    out->error = 0;
    if (vector_has_error(out->vector)) {
        out->error = (uint32_t)kernel_read(g, frame);
        frame += 8;
    }
    if (frame != KERNEL_VA + KSTACK_TOP_GPA - 40)
        return false;
    out->cr2 = out->vector == EXC_PF ? cpu->cr2 : 0;
    memcpy(out->regs, cpu->regs, sizeof(out->regs));
    fpu_pack_fxsave(&cpu->fpu, fx, true, true);
    memcpy(out->fx, fx, FX_BYTES);
    out->rip = kernel_read(g, frame);
    out->cs = (uint16_t)kernel_read(g, frame + 8);
    out->rflags = kernel_read(g, frame + 16);
    out->regs[REG_RSP] = kernel_read(g, frame + 24);
    out->ss = (uint16_t)kernel_read(g, frame + 32);
    out->ds = cpu->seg[SEG_DS].selector;
    out->es = cpu->seg[SEG_ES].selector;
    return true;
}

static enum guest_end broken(struct guest *g, const char *what, uint64_t detail)
{
    snprintf(g->problem, sizeof(g->problem), "%s (%llu), rip %llx, cpl %u", what,
             (unsigned long long)detail, (unsigned long long)g->m->cpus[0].rip, g->m->cpus[0].cpl);
    return GUEST_BROKEN;
}

/* Leaves the machine ready for the next sequence, however this one ended. */
static enum guest_end finish(struct guest *g, struct outcome *out, enum guest_end end)
{
    collect(g, out);
    if (end != GUEST_DONE)
        set_up_cpu(g->m);
    return end;
}

static enum guest_end finish_halted(struct guest *g, struct outcome *out)
{
    if (read_exception(g, out))
        return finish(g, out, GUEST_DONE);
    return finish(g, out, broken(g, "halted outside of a handler", 0));
}

/* Runs to `end` of the instruction count, at most `slice` at a time. */
static enum machine_stop run_sliced(struct machine *m, uint64_t end, unsigned slice)
{
    enum machine_stop why = STOP_ICOUNT;

    if (slice == 0)
        return machine_run(m, end);
    while (why == STOP_ICOUNT && m->clock.icount < end) {
        uint64_t next = m->clock.icount + slice;

        why = machine_run(m, next < end ? next : end);
    }
    return why;
}

enum guest_end guest_run(struct guest *g, const struct seq *seq, unsigned slice,
                         struct outcome *out, uint64_t *icount)
{
    uint64_t start = g->m->clock.icount;
    enum machine_stop why;

    out->vector = VECTOR_NONE;
    enter(g, seq);
    why = run_sliced(g->m, start + GUEST_MAX_INSNS, slice);
    *icount = g->m->clock.icount - start - 2; /* without IRETQ and HLT */
    if (why == STOP_HALTED)
        return finish_halted(g, out);
    if (why == STOP_ICOUNT)
        return finish(g, out, GUEST_RUNAWAY);
    return finish(g, out, broken(g, machine_stop_name(why), why));
}

enum guest_end guest_run_stepped(struct guest *g, const struct seq *seq, struct outcome *out,
                                 uint64_t *icount, guest_step_fn *step, void *opaque)
{
    const struct cpu *cpu = &g->m->cpus[0];
    uint64_t start = g->m->clock.icount, n;
    enum machine_stop why;

    out->vector = VECTOR_NONE;
    enter(g, seq);
    for (n = 1; n <= GUEST_MAX_INSNS; n++) {
        if (cpu->cpl == 3 && !step(opaque, cpu))
            return finish(g, out, GUEST_CUT);
        why = machine_run(g->m, start + n);
        if (g->m->clock.icount != start + n)
            return finish(
                g, out,
                broken(g, "a budget of one was not kept", g->m->clock.icount - (start + n - 1)));
        if (cpu->halted) {
            *icount = n - 2;
            return finish_halted(g, out);
        }
        if (why != STOP_ICOUNT)
            return finish(g, out, broken(g, machine_stop_name(why), why));
    }
    return finish(g, out, GUEST_RUNAWAY);
}
