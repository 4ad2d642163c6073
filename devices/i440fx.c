/* SPDX-License-Identifier: MIT */
/*
 * 82441FX PCI and memory controller (PMC), Intel data sheet 290549: the registers of its host
 * bridge.
 *
 * Modelled: PAM0..6 (59h-5Fh, 3.2.19), when the board wires it. Each field of two bits says, for one
 * block of C0000h..FFFFFh, whether reads (bit 0) and writes (bit 1) go to the RAM behind it; reads that
 * do not come from the firmware's ROM as far down as that reaches, other writes are lost. At reset no
 * block is RAM. A board that does not wire it has RAM there that can always be read and written, as with
 * every field at 11b: kernels that are entered without firmware find it so.
 *
 * The other registers are storage. Not modelled: what they do; there is no system management RAM.
 *
 * Which block shows what follows from PAM alone, and is told to the machine at every change, at reset
 * and after a load.
 */
#include <devices/i440fx.h>

#include <stddef.h>

#define REG_PAM0      0x59u
#define PAM_REGISTERS 7u
#define PAM_READ      1u
#define PAM_WRITE     2u

#define WINDOW_BASE   0xc0000u
#define WINDOW_BYTES  0x40000u
#define BLOCK_BYTES   0x4000u
#define F0000_BLOCK   12u /* this block and all after it are PAM0's one field */

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

/* --- PAM --- */

/* The field of a block of 16 KiB. Register n > 0 has the blocks 2n - 2, in bits 1:0, and 2n - 1, in 5:4. */
static unsigned pam_field(const struct i440fx *host, unsigned block)
{
    const uint8_t *pam = &host->pci.config[REG_PAM0];

    if (block >= F0000_BLOCK)
        return pam[0] >> 4 & 3;
    return pam[1 + block / 2] >> (block % 2 * 4) & 3;
}

static void map_blocks(void *opaque)
{
    const struct i440fx *host = opaque;

    for (unsigned block = 0; block < WINDOW_BYTES / BLOCK_BYTES; block++) {
        static const enum ram_window shown[] = {
            [0] = RAM_WINDOW_ROM,
            [PAM_READ] = RAM_WINDOW_READ_ONLY,
            [PAM_WRITE] = RAM_WINDOW_BUS,
            [PAM_READ | PAM_WRITE] = RAM_WINDOW_RAM,
        };

        host->wiring.set_window(host->wiring.opaque, block, shown[pam_field(host, block)]);
    }
}

static void config_written(void *opaque, unsigned offset, unsigned size)
{
    if (offset < REG_PAM0 + PAM_REGISTERS && offset + size > REG_PAM0)
        map_blocks(opaque);
}

/* What the window does not take from memory comes here. */
static uint64_t window_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct i440fx *host = opaque;
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)host->wiring.rom_byte(host->wiring.opaque, WINDOW_BASE + offset + i)
                 << (8 * i);
    return value;
}

static void window_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    const struct i440fx *host = opaque;

    for (unsigned i = 0; i < size; i++)
        if (pam_field(host, (unsigned)((offset + i) / BLOCK_BYTES)) & PAM_WRITE)
            host->wiring.write_shadow(host->wiring.opaque, WINDOW_BASE + offset + i,
                                      (uint8_t)(value >> (8 * i)));
}

static const struct bus_ops window_ops = {
    .read = window_peek, .write = window_write, .peek = window_peek, .max_size = 8};

/* --- life cycle --- */

void i440fx_init(struct i440fx *host, struct pci_bus *bus, const struct i440fx_wiring *wiring)
{
    static const struct pci_ident ident = {
        .vendor = 0x8086,
        .device = 0x1237,
        .class_code = 0x060000,
        .revision = 2,
    };

    const struct pci_hooks hooks = {
        .written = config_written, .remap = map_blocks, .opaque = host};

    *host = (struct i440fx){.wiring = *wiring};
    pci_device_init(&host->pci, bus, PCI_DEVFN(0, 0), &ident,
                    wiring->set_window != NULL ? &hooks : NULL);
    if (wiring->set_window != NULL)
        bus_add(wiring->memory, &host->window_range, "shadow window", WINDOW_BASE, WINDOW_BYTES,
                &window_ops, host);
    for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
        pci_set_register(&host->pci, registers[i].offset, registers[i].size, registers[i].reset,
                         registers[i].writable, 0);
}

void i440fx_reset(void *host)
{
    pci_device_reset(&((struct i440fx *)host)->pci);
}
