/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the CPU: arbitrary code in an arbitrary state of any mode, on the whole board with 4 MiB of RAM.
 *
 * An input is: the mode, 8 bytes that choose the state, a byte for each register, the length of the code, the code,
 * and what is laid over the tables (GDT, LDT, IDT, TSS, page tables), which are sound without it: pairs of a
 * place and a byte. What must hold: nothing crashes, every run ends, and a run in pieces comes to the same
 * machine as one in one piece.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <devices/pc.h>
#include <emu/cpu.h>
#include <emu/machine.h>
#include <replay/rewind.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM_BYTES    (4u << 20)
#define INSTRUCTIONS 300u
#define TABLES       0x1000u /* from here, what the input may change: */
#define GDT          0x1000u
#define IDT          0x2000u /* of protected mode */
#define IDT64        0x3000u
#define TSS          0x5000u
#define TSS_OTHER    0x6000u
#define LDT          0x6800u
#define PD32         0x7000u
#define PDPT_PAE     0x8000u
#define PML4         0x9000u
#define PDPT         0xa000u
#define PD           0xb000u
#define TABLES_END   0xc000u
#define HANDLERS     0x10000u
#define CODE         0x20000u
#define STACK        0x30000u
#define DATA         0x40000u

enum mode { REAL, PROTECTED16, PROTECTED32, VM86, COMPAT, LONG, MODES };

struct reader {
    const uint8_t *p;
    size_t n;
};

static uint8_t take8(struct reader *r)
{
    if (r->n == 0)
        return 0;
    r->n--;
    return *r->p++;
}

static uint64_t take(struct reader *r, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)take8(r) << (8 * i);
    return v;
}

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fuzz_cpu: %s\n", what);
    abort();
}

/* --- the machine, as it is before each input --- */

static struct machine *m;
static struct rewind *back;

static void put(uint64_t at, uint64_t v, unsigned bytes)
{
    ram_write(&m->ram, at, &v, bytes);
}

/* Selectors 8 to 78h: code and data of all sizes at levels 0 and 3, gates, TSSs, an LDT. */
static const uint64_t gdt[] = {
    0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff,
    0x00af9b000000ffff, 0x00affb000000ffff, 0x00009b000000ffff, 0x000093000000ffff,
    0x0000890000000067 | (uint64_t)TSS << 16, 0, 0x0000890000000067 | (uint64_t)TSS_OTHER << 16, 0,
    0x0000820000000fff | (uint64_t)LDT << 16, 0,
    0x0001ec0000080000 | (uint64_t)(HANDLERS & 0xffff), 0, 0x0000e50000580000, 0x00cf9f000000ffff,
};

static void put_gates(void)
{
    for (unsigned v = 0; v < 256; v++) {
        uint64_t at = HANDLERS + v * 4;

        put(IDT + v * 8, (at & 0xffff) | 8u << 16 | (v & 1 ? 0xeeULL : 0xefULL) << 40 | (at >> 16) << 48, 8);
        put(IDT64 + v * 16, (at & 0xffff) | 0x28u << 16 | (v & 1 ? 0xeeULL : 0xefULL) << 40 | (at >> 16) << 48, 8);
        put(v * 4, (HANDLERS >> 4) << 16 | v * 4, 4); /* real mode */
        put(at, 0xcf90, 4);                           /* nop; iret */
    }
}

static void put_paging(void)
{
    for (unsigned i = 0; i < 1024; i++)
        put(PD32 + i * 4, (uint64_t)i << 22 | 0x87, 4);
    for (unsigned i = 0; i < 4; i++)
        put(PDPT_PAE + i * 8, PD | 1, 8);
    put(PML4, PDPT | 7, 8);
    put(PML4 + 511 * 8, PDPT | 7, 8);
    put(PDPT, PD | 7, 8);
    put(PDPT + 511 * 8, PD | 7, 8);
    for (unsigned i = 0; i < 512; i++)
        put(PD + i * 8, (uint64_t)i << 21 | 0x87, 8);
}

#define MOST_WAITS 100u /* a guest that sleeps while a timer ticks that wakes nobody would sleep for ever */

static unsigned waits;

static bool no_input(void *opaque, struct machine *machine, struct input *in)
{
    (void)opaque, (void)machine, (void)in;
    return false;
}

static uint64_t never(void *opaque, uint64_t icount)
{
    (void)opaque, (void)icount;
    return UINT64_MAX;
}

static uint64_t wait_some(void *opaque, struct machine *machine, uint64_t deadline_ns)
{
    (void)opaque;
    if (++waits > MOST_WAITS)
        machine_request_stop(machine, STOP_SOURCE);
    return deadline_ns;
}

static void make_machine(void)
{
    static uint8_t rom[4096];
    struct machine_config config = {.struct_size = sizeof(config),
                                    .ram_bytes = RAM_BYTES,
                                    .seed = 1,
                                    .ns_per_insn = 1,
                                    .bios = {.data = rom, .len = sizeof(rom)}};
    char err[256];

    memset(rom, 0xf4, sizeof(rom));
    m = machine_create(&config, &pc_board, err, sizeof(err));
    require(m != NULL, err);
    for (size_t i = 0; i < sizeof(gdt) / sizeof(gdt[0]); i++)
        put(GDT + i * 8, gdt[i], 8);
    put_gates();
    put_paging();
    put(TSS + 4, STACK, 8);
    put(TSS + 8, 0x10, 2);
    put(TSS + 102, 0x68, 2);
    machine_set_source(m, &(struct input_source){.poll = no_input, .horizon = never, .wait = wait_some});
    back = rewind_create(m);
    require(back != NULL, "no memory");
}

/* --- the state that an input asks for --- */

static void set_segment(struct segment *s, uint16_t selector, uint64_t base, uint32_t limit, uint32_t ar)
{
    *s = (struct segment){.selector = selector, .base = base, .limit = limit, .ar = ar};
}

static void set_segments(struct cpu *cpu, enum mode mode, bool user)
{
    uint32_t dpl = user ? 3u << 5 : 0, code = 0x9bu | dpl, data = 0x93u | dpl, big = AR_DB | AR_G;
    uint16_t cs = (uint16_t)(user ? 0x1b : 0x08), ds = (uint16_t)(user ? 0x23 : 0x10);

    for (unsigned i = 0; i < 6; i++)
        switch (mode) {
        case REAL: set_segment(&cpu->seg[i], (uint16_t)(i * 0x1000), i * 0x10000u, 0xffff, 0x93); break;
        case VM86: set_segment(&cpu->seg[i], (uint16_t)(i * 0x1000), i * 0x10000u, 0xffff, 0xf3); break;
        case PROTECTED16: set_segment(&cpu->seg[i], ds, i * 0x10000u, 0xffff, data); break;
        default: set_segment(&cpu->seg[i], ds, 0, UINT32_MAX, data | big); break;
        }
    if (mode == PROTECTED16)
        set_segment(&cpu->seg[SEG_CS], cs, 0x20000, 0xffff, code);
    else if (mode == PROTECTED32 || mode == COMPAT)
        set_segment(&cpu->seg[SEG_CS], cs, 0, UINT32_MAX, code | big);
    else if (mode == LONG)
        set_segment(&cpu->seg[SEG_CS], (uint16_t)(user ? 0x33 : 0x28), 0, UINT32_MAX, code | AR_L | AR_G);
    else
        set_segment(&cpu->seg[SEG_CS], CODE >> 4, CODE, 0xffff, mode == VM86 ? 0xf3 : 0x93);
    set_segment(&cpu->ldtr, 0x68, LDT, 0xfff, 0x82);
    set_segment(&cpu->tr, 0x48, TSS, 0x67, 0x8b);
}

static void set_control(struct cpu *cpu, enum mode mode, uint8_t choice)
{
    bool is_long = mode == LONG || mode == COMPAT, paging = is_long || (mode != REAL && (choice & 1));
    bool pae = is_long || (choice & 2);

    cpu->cr0 = CR0_ET | (mode != REAL ? CR0_PE : 0) | (paging ? CR0_PG : 0) | (choice & 4 ? CR0_WP : 0) |
               (choice & 8 ? CR0_AM : 0) | (choice & 16 ? CR0_NE : 0);
    cpu->cr4 = CR4_PSE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | (pae ? CR4_PAE : 0) |
               (choice & 32 ? CR4_SMEP | CR4_SMAP : 0) | (choice & 64 ? CR4_PGE | CR4_FSGSBASE : 0);
    cpu->efer = EFER_SCE | EFER_NXE | (is_long ? EFER_LME | EFER_LMA : 0);
    cpu->cr3 = is_long ? PML4 : pae ? PDPT_PAE : PD32;
    for (unsigned i = 0; i < 4; i++)
        cpu->pdpte[i] = PD | 1;
    cpu->gdtr = (struct table_register){.base = GDT, .limit = sizeof(gdt) - 1};
    cpu->idtr = (struct table_register){.base = mode == REAL ? 0 : is_long ? IDT64 : IDT,
                                        .limit = mode == REAL ? 0x3ff : is_long ? 4095 : 2047};
    cpu->lstar = cpu->sysenter_eip = HANDLERS;
    cpu->sysenter_esp = STACK;
    cpu->sysenter_cs = 8;
    cpu->star = 0x0018000800000000;
}

/* Small numbers, places, and now and then anything. */
static uint64_t value_of(struct reader *r)
{
    uint8_t b = take8(r);

    if (b < 64)
        return b;
    if (b < 96)
        return DATA + (b - 64u) * 0x7ff;
    if (b < 112)
        return (uint64_t)-(int64_t)(b - 95);
    if (b < 128)
        return TABLES + (b - 112u) * 0x808;
    return b < 192 ? (uint64_t)b << 16 : take(r, 8);
}

static void set_state(struct reader *r)
{
    struct cpu *cpu = &m->cpus[0];
    enum mode mode = (enum mode)(take8(r) % MODES);
    uint8_t choice = take8(r), more = take8(r);
    uint64_t flags = take(r, 4);
    bool user = mode == VM86 || (mode != REAL && (more & 1));
    uint8_t code_bytes, code[UINT8_MAX];

    set_control(cpu, mode, choice);
    set_segments(cpu, mode, user);
    cpu->cpl = user ? 3 : 0;
    cpu->rflags = (flags & 0x3f7fd5) | RFLAGS_ONE;
    cpu->rflags = mode == VM86 ? cpu->rflags | RFLAGS_VM : cpu->rflags & ~(uint64_t)RFLAGS_VM;
    if (more & 2)
        cpu->dr[7] = 0x400 | (take(r, 4) & 0xffff03ff);
    for (unsigned i = 0; i < 4 && (more & 2); i++)
        cpu->dr[i] = value_of(r);
    for (unsigned i = 0; i < 16; i++)
        cpu->regs[i] = value_of(r);
    if (more & 4)
        cpu->regs[REG_RSP] = mode == REAL || mode == VM86 || mode == PROTECTED16 ? 0x8000 : STACK + 0x8000;
    cpu->rip = mode == COMPAT || mode == LONG || mode == PROTECTED32 ? CODE : 0;
    code_bytes = take8(r);
    for (unsigned i = 0; i < code_bytes; i++)
        code[i] = take8(r);
    ram_write(&m->ram, CODE, code, code_bytes);
    while (r->n > 0) {
        uint64_t at = TABLES + take(r, 2) % (TABLES_END - TABLES);

        put(at, take8(r), 1);
    }
    cpu_state_changed(cpu);
}

/* --- runs --- */

struct outcome {
    enum machine_stop why;
    uint64_t icount, digest;
};

/* In pieces of 1 to `most` instructions; 0: in one. */
static struct outcome run(const uint8_t *data, size_t size, unsigned most)
{
    struct reader r = {data, size};
    struct outcome out = {.why = STOP_ICOUNT};
    uint64_t next = 0;

    require(rewind_back(back) == 0, "no memory");
    waits = 0;
    set_state(&r);
    for (unsigned i = 0; next < INSTRUCTIONS && out.why == STOP_ICOUNT; i++) {
        next = most == 0 ? INSTRUCTIONS : next + 1 + (i * 7 + size) % most;
        out.why = machine_run(m, next < INSTRUCTIONS ? next : INSTRUCTIONS);
    }
    out.icount = m->clock.icount;
    out.digest = machine_digest(m);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, pieces;

    if (m == NULL)
        make_machine();
    whole = run(data, size, 0);
    require(whole.why < STOP_REASON_COUNT && whole.icount <= INSTRUCTIONS, "ran too far");
    pieces = run(data, size, 5);
    require(whole.why == pieces.why, "pieces end otherwise");
    require(whole.icount == pieces.icount, "pieces end elsewhere");
    require(whole.digest == pieces.digest, "pieces leave another machine");
    return 0;
}
