/* SPDX-License-Identifier: MIT */
/*
 * I/O APIC, as in Intel's 82093AA data sheet (290566), with the version 20h EOI register that ICHs
 * have (ICH9 data sheet, 13.5.5: directed EOI).
 *
 * Modelled: 24 redirection entries, edge and level inputs, remote IRR, all delivery modes, directed
 * EOI. The register window answers 32-bit accesses at 00h, 10h and 40h; others read 0.
 *
 * Not modelled: delivery status (always idle: a message arrives at once). Polarity is storage: an
 * input is driven with its logical state, so that "asserted" needs no entry to be interpreted.
 *
 * As the data sheet has it, an edge on a masked input is lost, and a level input interrupts as soon
 * as it is unmasked. Writing an entry as edge-triggered clears its remote IRR; kernels rely on that
 * to end a level interrupt by hand. A level message that nobody accepts leaves remote IRR clear.
 */
#include <devices/ioapic.h>

#define WIN_SELECT 0x00u
#define WIN_DATA   0x10u
#define WIN_EOI    0x40u

#define REG_ID      0x00u
#define REG_VERSION 0x01u
#define REG_ARB     0x02u
#define REG_REDIR   0x10u

#define IOAPIC_VERSION (0x20u | (IOAPIC_PINS - 1u) << 16)

#define REDIR_VECTOR     0xffULL
#define REDIR_MODE_SHIFT 8
#define REDIR_LOGICAL    (1ULL << 11)
#define REDIR_REMOTE_IRR (1ULL << 14)
#define REDIR_LEVEL      (1ULL << 15)
#define REDIR_MASKED     (1ULL << 16)
#define REDIR_DEST_SHIFT 56
#define REDIR_WRITABLE   0xff0000000001afffULL

static int ioapic_post_load(void *obj);

static const struct field ioapic_fields[] = {
    FIELD_ARRAY(struct ioapic, redir, FIELD_U64),
    FIELD(struct ioapic, pins, FIELD_U32),
    FIELD(struct ioapic, select, FIELD_U8),
    FIELD(struct ioapic, id, FIELD_U8),
};
const struct state_desc ioapic_desc = STATE_DESC("ioapic", 1, struct ioapic, ioapic_fields,
                                                 ioapic_post_load);

/* --- delivery --- */

static enum apic_mode redir_mode(uint64_t entry)
{
    return (enum apic_mode)(entry >> REDIR_MODE_SHIFT & 7);
}

/* NMI, INIT, SMI and ExtINT are edges whatever the trigger bit says (data sheet, 3.2.4). */
static bool is_level(uint64_t entry)
{
    return entry & REDIR_LEVEL && redir_mode(entry) <= APIC_MODE_LOWEST;
}

static bool send(struct ioapic *io, unsigned pin)
{
    uint64_t entry = io->redir[pin];
    struct apic_message msg = {
        .dest = (uint32_t)(entry >> REDIR_DEST_SHIFT),
        .logical = (entry & REDIR_LOGICAL) != 0,
        .level = is_level(entry),
        .mode = redir_mode(entry),
        .vector = (uint8_t)(entry & REDIR_VECTOR),
    };

    if (msg.mode == APIC_MODE_SIPI) /* reserved (data sheet, 3.2.4); only a CPU starts CPUs */
        return false;
    return apic_bus_send(io->wiring.bus, &msg);
}

/* Sends a level input's interrupt if it is due. */
static void service_level(struct ioapic *io, unsigned pin)
{
    uint64_t entry = io->redir[pin];

    if (!(io->pins >> pin & 1) || !is_level(entry) || entry & (REDIR_MASKED | REDIR_REMOTE_IRR))
        return;
    if (send(io, pin))
        io->redir[pin] |= REDIR_REMOTE_IRR;
}

void ioapic_set_pin(void *ioapic, unsigned pin, bool level)
{
    struct ioapic *io = ioapic;
    bool was = io->pins >> pin & 1;

    if (was == level)
        return;
    io->pins ^= 1u << pin;
    if (!level || io->redir[pin] & REDIR_MASKED)
        return;
    if (is_level(io->redir[pin]))
        service_level(io, pin);
    else
        send(io, pin);
}

bool ioapic_sends_nmi(const void *ioapic)
{
    const struct ioapic *io = ioapic;

    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        enum apic_mode mode = redir_mode(io->redir[pin]);

        if (!(io->redir[pin] & REDIR_MASKED) && (mode == APIC_MODE_NMI || mode == APIC_MODE_INIT))
            return true;
    }
    return false;
}

void ioapic_eoi(void *ioapic, uint8_t vector)
{
    struct ioapic *io = ioapic;

    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t *entry = &io->redir[pin];

        if (!(*entry & REDIR_REMOTE_IRR) || (*entry & REDIR_VECTOR) != vector)
            continue;
        *entry &= ~REDIR_REMOTE_IRR;
        service_level(io, pin);
    }
}

/* --- registers --- */

static uint32_t reg_peek(const struct ioapic *io, unsigned reg)
{
    unsigned n = reg - REG_REDIR;

    switch (reg) {
    case REG_ID:
    case REG_ARB: return (uint32_t)io->id << 24;
    case REG_VERSION: return IOAPIC_VERSION;
    default: break;
    }
    if (reg < REG_REDIR || n >= 2 * IOAPIC_PINS)
        return 0;
    return (uint32_t)(io->redir[n / 2] >> (32 * (n & 1)));
}

static void write_redir(struct ioapic *io, unsigned pin, unsigned half, uint32_t value)
{
    uint64_t half_mask = (uint64_t)UINT32_MAX << (32 * half) & REDIR_WRITABLE;
    uint64_t *entry = &io->redir[pin];

    *entry = (*entry & ~half_mask) | ((uint64_t)value << (32 * half) & half_mask);
    if (!is_level(*entry))
        *entry &= ~REDIR_REMOTE_IRR;
    service_level(io, pin);
}

static void reg_write(struct ioapic *io, unsigned reg, uint32_t value)
{
    unsigned n = reg - REG_REDIR;

    if (reg == REG_ID)
        io->id = value >> 24 & 15;
    else if (reg >= REG_REDIR && n < 2 * IOAPIC_PINS)
        write_redir(io, n / 2, n & 1, value);
    else
        io->oddities++;
}

static uint64_t ioapic_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct ioapic *io = opaque;
    uint32_t value;

    switch (offset & ~3ULL) {
    case WIN_SELECT: value = io->select; break;
    case WIN_DATA: value = reg_peek(io, io->select); break;
    default: value = 0; break;
    }
    value >>= 8 * (offset & 3);
    return size >= 4 ? value : value & ((1u << (8 * size)) - 1);
}

static void ioapic_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct ioapic *io = opaque;

    /* IOREGSEL holds a byte, which any width reaches; the others take dwords. */
    if (offset == WIN_SELECT)
        io->select = (uint8_t)value;
    else if (offset == WIN_DATA && size == 4)
        reg_write(io, io->select, (uint32_t)value);
    else if (offset == WIN_EOI)
        ioapic_eoi(io, (uint8_t)value);
    else
        io->oddities++;
}

static const struct bus_ops ioapic_ops = {
    .read = ioapic_peek,
    .write = ioapic_write,
    .peek = ioapic_peek,
    .max_size = 4,
};

/* --- life cycle --- */

static int ioapic_post_load(void *obj)
{
    const struct ioapic *io = obj;

    if (io->pins >> IOAPIC_PINS != 0 || io->id > 15)
        return -1;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        if (io->redir[pin] & ~(REDIR_WRITABLE | REDIR_REMOTE_IRR))
            return -1;
    }
    return 0;
}

void ioapic_reset(void *ioapic)
{
    struct ioapic *io = ioapic;

    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        io->redir[pin] = REDIR_MASKED;
    io->pins = 0;
    io->select = 0;
    io->id = 0;
}

void ioapic_init(struct ioapic *io, const struct ioapic_wiring *wiring)
{
    *io = (struct ioapic){.wiring = *wiring};
    bus_add(wiring->memory, &io->range, "ioapic", IOAPIC_BASE, 4096, &ioapic_ops, io);
}
