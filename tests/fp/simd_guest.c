/* SPDX-License-Identifier: MIT */
/* See simd_guest.h. */
#include "simd_guest.h"

#include <string.h>

#define PML4 0x1000u
#define PDPT 0x2000u
#define PD   0x3000u
#define PT   0x4000u
#define GDT  0x5000u
#define IDT  0x6000u
#define STUBS 0x7000u
#define TABLE_ENTRY 0x3ULL

static struct intr_ack ack(void *opaque)
{
    (void)opaque;
    return (struct intr_ack){.vector = 255, .source = INTR_SOURCE_PIC};
}
static uint8_t get_cr8(void *opaque)
{
    (void)opaque;
    return 0;
}
static void set_cr8(void *opaque, uint8_t cr8)
{
    (void)opaque, (void)cr8;
}
static int no_msr_read(void *opaque, uint32_t msr, uint64_t *value)
{
    (void)opaque, (void)msr, (void)value;
    return -1;
}
static int no_msr_write(void *opaque, uint32_t msr, uint64_t value)
{
    (void)opaque, (void)msr, (void)value;
    return -1;
}
static bool disabled(void *opaque)
{
    (void)opaque;
    return false;
}
static const struct intc_ops no_intc = {.ack = ack, .get_cr8 = get_cr8, .set_cr8 = set_cr8,
                                        .rdmsr = no_msr_read, .wrmsr = no_msr_write,
                                        .enabled = disabled};

static void *bare_create(struct machine *m, char *err, size_t errlen)
{
    (void)err, (void)errlen;
    machine_connect_intc(m, 0, &no_intc, NULL);
    return m;
}
static void bare_destroy(void *board)
{
    (void)board;
}
static const struct machine_board bare = {.name = "bare", .create = bare_create,
                                          .destroy = bare_destroy};

static void put64(struct machine *m, uint64_t gpa, uint64_t v)
{
    ram_write(&m->ram, gpa, &v, sizeof(v));
}

static void build_tables(struct machine *m)
{
    put64(m, PML4, PDPT | TABLE_ENTRY);
    put64(m, PDPT, PD | TABLE_ENTRY);
    put64(m, PD, PT | TABLE_ENTRY);
    for (uint64_t page = 0; page < 512; page++)
        put64(m, PT + page * 8, page << 12 == GUEST_HOLE ? 0 : page << 12 | TABLE_ENTRY);
    put64(m, GDT + 8, 0x00af9b000000ffffULL);
    put64(m, GDT + 16, 0x00cf93000000ffffULL);
    for (uint64_t v = 0; v < 32; v++) {
        uint64_t at = STUBS + v * 16;
        uint8_t hlt = 0xf4;
        put64(m, IDT + v * 16, (at & 0xffff) | 8u << 16 | 0x8eULL << 40 | (at >> 16 & 0xffff) << 48);
        put64(m, IDT + v * 16 + 8, 0);
        ram_write(&m->ram, at, &hlt, 1);
    }
}

struct machine *simd_guest_create(void)
{
    struct machine_config config = {.struct_size = sizeof(config), .ram_bytes = 2u << 20,
                                    .ns_per_insn = 1};
    char err[160];
    struct machine *m = machine_create(&config, &bare, err, sizeof(err));

    if (m != NULL)
        build_tables(m);
    return m;
}

void simd_guest_prepare(struct machine *m)
{
    struct cpu *cpu = &m->cpus[0];
    struct segment data = {.limit = UINT32_MAX, .ar = 0xc093, .selector = 16};

    cpu->cr0 = GUEST_CR0;
    cpu->cr3 = PML4;
    cpu->cr4 = GUEST_CR4;
    cpu->xcr0 = XCR0_VALID;
    cpu->efer = EFER_LME | EFER_LMA;
    cpu->gdtr = (struct table_register){.base = GDT, .limit = 23};
    cpu->idtr = (struct table_register){.base = IDT, .limit = 32 * 16 - 1};
    for (unsigned i = 0; i < 6; i++)
        cpu->seg[i] = data;
    cpu->seg[SEG_CS] = (struct segment){.limit = UINT32_MAX, .ar = 0xa09b, .selector = 8};
    cpu->cpl = 0;
    cpu->rflags = RFLAGS_ONE;
    cpu->regs[REG_RSP] = GUEST_STACK;
}

int simd_guest_run(struct machine *m, const uint8_t *bytes, size_t n, uint64_t *error)
{
    struct cpu *cpu = &m->cpus[0];
    uint64_t start = m->clock.icount;

    ram_write(&m->ram, GUEST_CODE, bytes, n);
    cpu->halted = 0;
    cpu->rip = GUEST_CODE;
    cpu_state_changed(cpu);
    machine_run(m, start + 1);
    if (cpu->rip >= GUEST_CODE && cpu->rip <= GUEST_CODE + n)
        return -1;
    if (error != NULL)
        ram_read(&m->ram, cpu->regs[REG_RSP], error, sizeof(*error));
    return (int)((cpu->rip - STUBS) / 16);
}
