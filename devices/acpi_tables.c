/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables of the PC board (ACPI 6.4, chapter 5): a FADT of revision 3, which has every field
 * that this hardware needs, and no table that would describe something that is not there (no MCFG,
 * SRAT, WAET; the HPET's, IA-PC HPET 1.0a, 3.2.4, only when the machine has one).
 *
 * They are laid out in one run, each at a multiple of 16 (FACS: 64), checksummed last.
 */
#include <devices/acpi_tables.h>

#include <assert.h>
#include <string.h>

#include <devices/apic_bus.h>
#include <devices/hpet.h>
#include <devices/ioapic.h>
#include <devices/lapic.h>
#include <devices/piix4_pm.h>

#include "acpi_internal.h"

#define OEM_ID       "DEJA  "
#define OEM_TABLE_ID "DEJAPC  "
#define CREATOR_ID   "DEJA"

#define HEADER_BYTES  36u
#define RSDP_BYTES    36u
#define FACS_BYTES    64u
#define FADT_BYTES    244u
#define FADT_REVISION 3u

#define RESET_PORT   0xcf9u
#define RESET_VALUE  0x06u
#define CMOS_CENTURY 0x32u

/* FADT flags. */
#define FADT_WBINVD        (1u << 0)
#define FADT_PROC_C1       (1u << 2)
#define FADT_NO_SLP_BUTTON (1u << 5)
#define FADT_NO_FIXED_RTC  (1u << 6)
#define FADT_RESET_REG     (1u << 10)

/* FADT boot architecture flags. */
#define BOOT_LEGACY_DEVICES (1u << 0)
#define BOOT_8042           (1u << 1)

/* MADT entries. */
#define MADT_PCAT_COMPAT 1u
#define MADT_LAPIC       0u
#define MADT_IOAPIC      1u
#define MADT_OVERRIDE    2u
#define MADT_LAPIC_NMI   4u
#define MADT_CPU_ENABLED 1u
#define MADT_ALL_CPUS    0xffu
#define INTI_CONFORMS    0x0u
#define INTI_LEVEL_HIGH  0xdu

/* --- a growing run of bytes --- */

struct blob {
    uint8_t *bytes;
    size_t len;
    size_t cap;
    bool full;     /* something did not fit: the result is void */
    uint32_t base; /* physical address of bytes[0] */
    struct acpi_fixups *fixups; /* NULL: nobody will move them */
};

static void put(struct blob *b, const void *data, size_t len)
{
    if (b->full || len > b->cap - b->len) {
        b->full = true;
        return;
    }
    memcpy(b->bytes + b->len, data, len);
    b->len += len;
}

static void put_le(struct blob *b, unsigned size, uint64_t value)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    put(b, bytes, size);
}

static void put_zeros(struct blob *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        put_le(b, 1, 0);
}

/* Pads to a multiple of `to`; returns the offset of what comes next. */
static size_t align(struct blob *b, size_t to)
{
    put_zeros(b, (to - b->len % to) % to);
    return b->len;
}

static void set_le(struct blob *b, size_t at, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size && !b->full; i++)
        b->bytes[at + i] = (uint8_t)(value >> (8 * i));
}

/* Sets the byte at `sum_at` so that [at, at + len) adds up to 0. */
static void set_checksum(struct blob *b, size_t at, size_t len, size_t sum_at)
{
    unsigned sum = 0;

    if (b->full)
        return;
    if (b->fixups != NULL)
        b->fixups->sums[b->fixups->nsums++] = (struct acpi_sum){.at = at, .len = len, .sum_at = sum_at};
    b->bytes[sum_at] = 0;
    for (size_t i = 0; i < len; i++)
        sum += b->bytes[at + i];
    b->bytes[sum_at] = (uint8_t)-sum;
}

static uint32_t address_of(const struct blob *b, size_t at)
{
    return b->base + (uint32_t)at;
}

static void note_pointer(struct blob *b, size_t at, unsigned size)
{
    if (b->fixups != NULL)
        b->fixups->pointers[b->fixups->npointers++] = (struct acpi_pointer){.at = at, .size = size};
}

/* The address of what is at `at`, as a field of `size` bytes. */
static void put_address(struct blob *b, unsigned size, size_t at)
{
    note_pointer(b, b->len, size);
    put_le(b, size, address_of(b, at));
}

static void set_address(struct blob *b, size_t field, unsigned size, size_t at)
{
    note_pointer(b, field, size);
    set_le(b, field, size, address_of(b, at));
}

/* --- table headers --- */

static size_t begin_table(struct blob *b, const char *signature, unsigned revision)
{
    size_t at = align(b, 16);

    put(b, signature, 4);
    put_le(b, 4, 0); /* length: end_table */
    put_le(b, 1, revision);
    put_le(b, 1, 0); /* checksum: end_table */
    put(b, OEM_ID, 6);
    put(b, OEM_TABLE_ID, 8);
    put_le(b, 4, 1);
    put(b, CREATOR_ID, 4);
    put_le(b, 4, 1);
    return at;
}

static void end_table(struct blob *b, size_t at)
{
    size_t len = b->len - at;

    set_le(b, at + 4, 4, len);
    set_checksum(b, at, len, at + 9);
}

/* --- tables --- */

static size_t put_facs(struct blob *b)
{
    size_t at = align(b, 64);

    put(b, "FACS", 4);
    put_le(b, 4, FACS_BYTES);
    put_zeros(b, FACS_BYTES - 8 - 32);
    put_le(b, 1, 1); /* version, at offset 32 */
    put_zeros(b, 31);
    return at;
}

static size_t put_dsdt(struct blob *b)
{
    size_t at = align(b, 16);

    put(b, dsdt_aml, dsdt_aml_len);
    return at;
}

/* Generic address structure for ports. access: 1 byte, 2 word, 3 dword. */
static void put_io_gas(struct blob *b, unsigned bits, unsigned access, uint64_t port)
{
    put_le(b, 1, 1); /* system I/O */
    put_le(b, 1, bits);
    put_le(b, 1, 0);
    put_le(b, 1, access);
    put_le(b, 8, port);
}

/* Offsets 36..111: addresses, lengths and latencies, as ACPI 1.0 had them. */
static void put_fadt_legacy(struct blob *b, size_t facs, size_t dsdt)
{
    put_address(b, 4, facs);
    put_address(b, 4, dsdt);
    put_le(b, 2, 0); /* reserved, preferred profile: unspecified */
    put_le(b, 2, PIIX4_PM_SCI_IRQ);
    put_le(b, 4, PIIX4_PM_SMI_CMD);
    put_le(b, 1, PIIX4_PM_ACPI_ENABLE);
    put_le(b, 1, PIIX4_PM_ACPI_DISABLE);
    put_le(b, 2, 0); /* no S4BIOS, no P-state control */
    put_le(b, 4, PIIX4_PM_BASE + PIIX4_PM1_EVENT);
    put_le(b, 4, 0);
    put_le(b, 4, PIIX4_PM_BASE + PIIX4_PM1_CONTROL);
    put_le(b, 4, 0);
    put_le(b, 4, 0); /* no PM2 */
    put_le(b, 4, PIIX4_PM_BASE + PIIX4_PM_TIMER);
    put_le(b, 4, PIIX4_PM_GPE0);
    put_le(b, 4, 0);
    put_le(b, 1, 4); /* lengths: PM1 event, PM1 control, PM2, timer, GPE0, GPE1 */
    put_le(b, 1, 2);
    put_le(b, 1, 0);
    put_le(b, 1, 4);
    put_le(b, 1, PIIX4_PM_GPE0_BYTES);
    put_le(b, 1, 0);
    put_le(b, 2, 0);     /* GPE1 base, no _CST control */
    put_le(b, 2, 0xfff); /* no C2, no C3 */
    put_le(b, 2, 0xfff);
    put_zeros(b, 8); /* cache flush, duty cycle, RTC alarms */
    put_le(b, 1, CMOS_CENTURY);
    put_le(b, 2, BOOT_LEGACY_DEVICES | BOOT_8042);
    put_le(b, 1, 0);
}

static size_t put_fadt(struct blob *b, size_t facs, size_t dsdt)
{
    size_t at = begin_table(b, "FACP", FADT_REVISION);

    put_fadt_legacy(b, facs, dsdt);
    put_le(b, 4,
           FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLP_BUTTON | FADT_NO_FIXED_RTC | FADT_RESET_REG);
    put_io_gas(b, 8, 1, RESET_PORT);
    put_le(b, 1, RESET_VALUE);
    put_zeros(b, 3);
    put_le(b, 8, 0); /* X_FIRMWARE_CTRL: the 32-bit field has it */
    put_address(b, 8, dsdt);
    put_io_gas(b, 32, 2, PIIX4_PM_BASE + PIIX4_PM1_EVENT);
    put_zeros(b, 12);
    put_io_gas(b, 16, 2, PIIX4_PM_BASE + PIIX4_PM1_CONTROL);
    put_zeros(b, 24); /* PM1b control, PM2 */
    put_io_gas(b, 32, 3, PIIX4_PM_BASE + PIIX4_PM_TIMER);
    put_io_gas(b, 8 * PIIX4_PM_GPE0_BYTES, 1, PIIX4_PM_GPE0);
    put_zeros(b, 12);
    assert(b->full || b->len - at == FADT_BYTES);
    end_table(b, at);
    return at;
}

static void put_override(struct blob *b, unsigned irq, uint32_t gsi, unsigned flags)
{
    put_le(b, 1, MADT_OVERRIDE);
    put_le(b, 1, 10);
    put_le(b, 1, 0); /* ISA */
    put_le(b, 1, irq);
    put_le(b, 4, gsi);
    put_le(b, 2, flags);
}

static size_t put_madt(struct blob *b, unsigned ncpus)
{
    static const uint8_t level_irqs[] = {5, PIIX4_PM_SCI_IRQ, 10, 11}; /* SCI and the PIRQ links */
    size_t at = begin_table(b, "APIC", 3);

    put_le(b, 4, LAPIC_BASE_DEFAULT);
    put_le(b, 4, MADT_PCAT_COMPAT);
    for (unsigned i = 0; i < ncpus; i++) {
        put_le(b, 1, MADT_LAPIC);
        put_le(b, 1, 8);
        put_le(b, 1, i); /* processor UID */
        put_le(b, 1, i); /* APIC ID */
        put_le(b, 4, MADT_CPU_ENABLED);
    }
    put_le(b, 1, MADT_IOAPIC);
    put_le(b, 1, 12);
    put_le(b, 2, 0); /* ID, reserved */
    put_le(b, 4, IOAPIC_BASE);
    put_le(b, 4, 0); /* its first GSI */
    put_override(b, 0, 2, INTI_CONFORMS);
    for (unsigned i = 0; i < sizeof(level_irqs); i++)
        put_override(b, level_irqs[i], level_irqs[i], INTI_LEVEL_HIGH);
    put_le(b, 1, MADT_LAPIC_NMI);
    put_le(b, 1, 6);
    put_le(b, 1, MADT_ALL_CPUS);
    put_le(b, 2, INTI_CONFORMS);
    put_le(b, 1, 1); /* LINT1 */
    end_table(b, at);
    return at;
}

static size_t put_hpet(struct blob *b)
{
    size_t at = begin_table(b, "HPET", 1);

    put_le(b, 4, HPET_ID);
    put_le(b, 4, 64u << 8); /* system memory, 64 bits */
    put_le(b, 8, HPET_BASE);
    put_le(b, 1, 0);    /* its number */
    put_le(b, 2, 0x80); /* the least period, in counts, that loses no interrupt */
    put_le(b, 1, 0);    /* no page protection */
    end_table(b, at);
    return at;
}

/* iasl's code for Scope (\_SB.PCI0.ISA) { Device (MOU) { Name (_HID, EisaId ("PNP0F13"))
 * Name (_CRS, ResourceTemplate () { IRQNoFlags () { 12 } }) } } */
static const char mouse_aml[] = "\x10\x2f\\/\3_SB_PCI0ISA_"
                                "[\x82\x1dMOU_"
                                "\x08_HID\x0c\x41\xd0\x0f\x13"
                                "\x08_CRS\x11\x08\x0a\x05\x22\0\x10\x79\0";

static size_t put_mouse(struct blob *b)
{
    size_t at = begin_table(b, "SSDT", 2);

    put(b, mouse_aml, sizeof(mouse_aml) - 1);
    end_table(b, at);
    return at;
}

#define MAX_ROOTED 4u

/* RSDT (entries of 4 bytes) or XSDT (of 8). */
static size_t put_root(struct blob *b, const char *signature, unsigned entry_bytes,
                       const size_t *tables, unsigned n)
{
    size_t at = begin_table(b, signature, 1);

    for (unsigned i = 0; i < n; i++)
        put_address(b, entry_bytes, tables[i]);
    end_table(b, at);
    return at;
}

static void set_rsdp(struct blob *b, size_t rsdt, size_t xsdt)
{
    if (b->full)
        return;
    memcpy(b->bytes, "RSD PTR ", 8);
    memcpy(b->bytes + 9, OEM_ID, 6);
    b->bytes[15] = 2; /* revision */
    set_address(b, 16, 4, rsdt);
    set_le(b, 20, 4, RSDP_BYTES);
    set_address(b, 24, 8, xsdt);
    set_checksum(b, 0, 20, 8);
    set_checksum(b, 0, RSDP_BYTES, 32);
}

size_t acpi_tables_build(const struct acpi_machine *machine, uint32_t base, uint8_t *out, size_t cap)
{
    return acpi_tables_build_movable(machine, base, out, cap, NULL);
}

size_t acpi_tables_build_movable(const struct acpi_machine *machine, uint32_t base, uint8_t *out,
                                 size_t cap, struct acpi_fixups *fixups)
{
    struct blob b = {.bytes = out, .cap = cap, .base = base, .fixups = fixups};
    size_t tables[MAX_ROOTED];
    unsigned ntables = 0;
    size_t facs;
    size_t dsdt;
    size_t rsdt;
    size_t xsdt;

    assert(base % 64 == 0 && machine->ncpus >= 1 && machine->ncpus <= APIC_BUS_MAX_CPUS);
    put_zeros(&b, RSDP_BYTES);
    facs = put_facs(&b);
    dsdt = put_dsdt(&b);
    tables[ntables++] = put_fadt(&b, facs, dsdt);
    tables[ntables++] = put_madt(&b, machine->ncpus);
    if (machine->hpet)
        tables[ntables++] = put_hpet(&b);
    if (machine->mouse)
        tables[ntables++] = put_mouse(&b);
    rsdt = put_root(&b, "RSDT", 4, tables, ntables);
    xsdt = put_root(&b, "XSDT", 8, tables, ntables);
    set_rsdp(&b, rsdt, xsdt);
    return b.full ? 0 : b.len;
}
