/* SPDX-License-Identifier: MIT */
/*
 * 82371SB (PIIX3) PCI-to-ISA bridge, Intel data sheet 290550, function 0.
 *
 * Modelled: PIRQ route control (60h-63h) onto ISA interrupts, which reach the I/O APIC under the
 * same numbers; the reset control register CF9h. The other registers of the data sheet that
 * firmware writes are storage. Not modelled: the IDE and USB functions, DMA, bus timings, SMI.
 *
 * Invariant: `driven` is what isa_levels() says of the route registers and `pirqs`.
 */
#include <devices/piix3.h>

#define REG_PIRQ_ROUTE 0x60u
#define ROUTE_DISABLED 0x80u
#define ROUTE_IRQ      0x0fu
#define ROUTABLE_IRQS  0xdef8u /* 3..7, 9..12, 14, 15; the others are reserved */

#define RCR_HARD  0x02u
#define RCR_RESET 0x04u

static int piix3_post_load(void *obj);

static const struct field piix3_fields[] = {
    FIELD_SUB(struct piix3, pci, &pci_device_desc),
    FIELD(struct piix3, driven, FIELD_U16),
    FIELD(struct piix3, pirqs, FIELD_U8),
    FIELD(struct piix3, reset_control, FIELD_U8),
};
const struct state_desc piix3_desc = STATE_DESC("piix3", 1, struct piix3, piix3_fields,
                                                piix3_post_load);

/* Data sheet, table 3: what firmware and kernels look at or store, besides the routes. */
static const struct {
    uint8_t offset;
    uint8_t size;
    uint32_t reset;
    uint32_t writable;
} registers[] = {
    {PCI_COMMAND, 2, 0x0007, 0x0008},
    {PCI_STATUS, 2, 0x0200, 0},
    {0x4c, 1, 0x4d, 0xff},     /* ISA I/O recovery timer */
    {0x4e, 2, 0x0003, 0x01ff}, /* X-bus chip select */
    {REG_PIRQ_ROUTE, 4, 0x80808080, 0x8f8f8f8f},
    {0x69, 1, 0x02, 0xfe},     /* top of memory */
    {0x70, 2, 0x8080, 0xefef}, /* motherboard device IRQ routes: nothing is behind them */
    {0x76, 2, 0x0c0c, 0x8f8f}, /* motherboard device DMA */
    {0x78, 2, 0x0002, 0xffff}, /* programmable chip select */
    {0x80, 1, 0x00, 0x7f},     /* APIC base: storage, the I/O APIC stays at FEC00000h */
    {0x82, 1, 0x00, 0x0f},     /* deterministic latency */
    {0xa0, 1, 0x08, 0x1f},     /* SMI control, enables, fast-off timer */
    {0xa2, 2, 0x0000, 0x01ff},
    {0xa4, 4, 0x00000000, 0xf000fefb},
    {0xa8, 1, 0x0f, 0xff},
};

/* --- PIRQ routing --- */

static uint16_t isa_levels(const struct piix3 *p)
{
    unsigned levels = 0;

    for (unsigned i = 0; i < PCI_PIRQS; i++) {
        uint8_t route = p->pci.config[REG_PIRQ_ROUTE + i];

        if (p->pirqs >> i & 1 && !(route & ROUTE_DISABLED))
            levels |= 1u << (route & ROUTE_IRQ);
    }
    return (uint16_t)(levels & ROUTABLE_IRQS);
}

static void drive_irqs(struct piix3 *p)
{
    uint16_t now = isa_levels(p);
    unsigned changed = p->driven ^ now;

    p->driven = now;
    for (; changed != 0; changed &= changed - 1) {
        unsigned irq = (unsigned)__builtin_ctz(changed);

        p->wiring.set_irq(p->wiring.irq_opaque, irq, now >> irq & 1);
    }
}

void piix3_set_pirq(void *piix3, unsigned pirq, bool level)
{
    struct piix3 *p = piix3;
    uint8_t bit = (uint8_t)(1u << pirq);

    p->pirqs = level ? p->pirqs | bit : p->pirqs & (uint8_t)~bit;
    drive_irqs(p);
}

static void config_written(void *opaque, unsigned offset, unsigned size)
{
    if (offset < REG_PIRQ_ROUTE + PCI_PIRQS && offset + size > REG_PIRQ_ROUTE)
        drive_irqs(opaque);
}

/* --- reset control --- */

uint8_t piix3_cf9_peek(void *piix3)
{
    return ((const struct piix3 *)piix3)->reset_control;
}

/* The change of RCPU from 0 to 1 resets; whether hard or soft is one reset to this machine. */
void piix3_cf9_write(void *piix3, uint8_t value)
{
    struct piix3 *p = piix3;
    bool rises = (value & ~p->reset_control & RCR_RESET) != 0;

    p->reset_control = value & (RCR_HARD | RCR_RESET);
    if (rises)
        p->wiring.reset(p->wiring.reset_opaque);
}

/* --- life cycle --- */

static int piix3_post_load(void *obj)
{
    const struct piix3 *p = obj;

    return p->pirqs >> PCI_PIRQS != 0 || p->reset_control & ~(RCR_HARD | RCR_RESET) ||
                   p->driven != isa_levels(p)
               ? -1
               : 0;
}

/* PIRQ inputs are not reset here: the devices that drive them lower them in their own resets. */
void piix3_reset(void *piix3)
{
    struct piix3 *p = piix3;

    pci_device_reset(&p->pci);
    p->pirqs = 0;
    p->reset_control = 0;
    drive_irqs(p);
}

void piix3_init(struct piix3 *p, struct pci_bus *bus, const struct piix3_wiring *wiring)
{
    static const struct pci_ident ident = {
        .vendor = 0x8086,
        .device = 0x7000,
        .class_code = 0x060100,
        .header_type = PCI_HEADER_MULTI,
    };
    struct pci_hooks hooks = {.written = config_written, .opaque = p};

    *p = (struct piix3){.wiring = *wiring};
    pci_device_init(&p->pci, bus, PCI_DEVFN(1, 0), &ident, &hooks);
    for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
        pci_set_register(&p->pci, registers[i].offset, registers[i].size, registers[i].reset,
                         registers[i].writable, 0);
}
