/* SPDX-License-Identifier: MIT */
/*
 * 82441FX PCI and memory controller (PMC), Intel data sheet 290549: the registers of its host
 * bridge.
 *
 * Guests look at it to find out what chip set they run on, and firmware writes PAM and SMRAM. All
 * of these are storage. Not modelled: what they do. C0000h to FFFFFh is RAM that can always be read
 * and written, as with every PAM field at 11b, and there is no system management RAM.
 */
#include <devices/i440fx.h>

static const struct field i440fx_fields[] = {
    FIELD_SUB(struct i440fx, pci, &pci_device_desc),
};
const struct state_desc i440fx_desc = STATE_DESC("i440fx", 1, struct i440fx, i440fx_fields, NULL);

/* Data sheet, table 3-1: registers with other than 0 at reset, or with bits that a guest stores. */
static const struct {
    uint8_t offset;
    uint8_t size;
    uint32_t reset;
    uint32_t writable;
} registers[] = {
    {PCI_COMMAND, 2, 0x0006, 0x0140},
    {PCI_STATUS, 2, 0x0280, 0},
    {0x0d, 1, 0x00, 0xf8},             /* latency timer */
    {0x50, 2, 0x0000, 0xffff},         /* PMCCFG */
    {0x52, 1, 0x00, 0xff},             /* DETURBO */
    {0x53, 1, 0x80, 0xff},             /* DBC */
    {0x54, 1, 0x00, 0xff},             /* AXC */
    {0x55, 2, 0x0000, 0xffff},         /* DRT */
    {0x57, 1, 0x01, 0xff},             /* DRAMC */
    {0x58, 1, 0x10, 0xff},             /* DRAMT */
    {0x59, 1, 0x00, 0x30},             /* PAM0: F0000h..FFFFFh */
    {0x5a, 4, 0x00000000, 0x33333333}, /* PAM1..4 */
    {0x5e, 2, 0x0000, 0x3333},         /* PAM5, 6 */
    {0x60, 4, 0x01010101, 0xffffffff}, /* DRB0..3 */
    {0x64, 4, 0x01010101, 0xffffffff}, /* DRB4..7 */
    {0x68, 1, 0x00, 0xff},             /* FDHC */
    {0x70, 1, 0x10, 0xff},             /* MTT */
    {0x71, 1, 0x10, 0xff},             /* CLT */
    {0x72, 1, 0x02, 0x78},             /* SMRAM: C_BASE_SEG is fixed at A0000h */
    {0x90, 1, 0x00, 0xff},             /* ERRCMD */
};

void i440fx_init(struct i440fx *host, struct pci_bus *bus)
{
    static const struct pci_ident ident = {
        .vendor = 0x8086,
        .device = 0x1237,
        .class_code = 0x060000,
        .revision = 2,
    };

    pci_device_init(&host->pci, bus, PCI_DEVFN(0, 0), &ident, NULL);
    for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
        pci_set_register(&host->pci, registers[i].offset, registers[i].size, registers[i].reset,
                         registers[i].writable, 0);
}

void i440fx_reset(void *host)
{
    pci_device_reset(&((struct i440fx *)host)->pci);
}
