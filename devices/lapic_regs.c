/* SPDX-License-Identifier: MIT */
/*
 * Local APIC registers as the guest reaches them: the xAPIC page (Intel SDM vol. 3, 11.4.1), and
 * the MSRs IA32_APIC_BASE, IA32_TSC_DEADLINE and, in x2APIC mode, 800h to 83Fh (11.12).
 *
 * A register has one number in both: page offset 10h * n is MSR 800h + n. reg_peek() and
 * reg_write() know the registers; what differs by mode (who exists, reserved bits, ICR's width) is
 * in the two doors. In the page, a register that does not exist reads 0 and sets the
 * illegal-register bit of ESR; an access narrower than 32 bits reads the bytes asked for and writes
 * nothing (counted). As an MSR, what does not exist, is of the other direction or has reserved bits
 * set is #GP.
 */
#include "lapic_internal.h"

#define MSR_APIC_BASE    0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC       0x800u
#define MSR_X2APIC_END   0x840u

/* Version 14h, LVT entries 0..5, EOI-broadcast suppression in bit 24. */
#define LAPIC_VERSION (0x14u | (LAPIC_LVT_COUNT - 1u) << 16 | 1u << 24)

enum lapic_reg {
    REG_ID = 0x02,
    REG_VERSION = 0x03,
    REG_TPR = 0x08,
    REG_APR = 0x09,
    REG_PPR = 0x0a,
    REG_EOI = 0x0b,
    REG_RRD = 0x0c,
    REG_LDR = 0x0d,
    REG_DFR = 0x0e,
    REG_SVR = 0x0f,
    REG_ISR = 0x10,
    REG_TMR = 0x18,
    REG_IRR = 0x20,
    REG_ESR = 0x28,
    REG_ICR = 0x30,
    REG_ICR_HIGH = 0x31,
    REG_LVT = 0x32,
    REG_LVT_LAST = REG_LVT + LAPIC_LVT_COUNT - 1,
    REG_TIMER_INITIAL = 0x38,
    REG_TIMER_CURRENT = 0x39,
    REG_TIMER_DIVIDE = 0x3e,
    REG_SELF_IPI = 0x3f, /* x2APIC only */
};

/* Bits of an LVT entry that a guest sets; delivery status and remote IRR are not among them. */
static const uint32_t lvt_writable[LAPIC_LVT_COUNT] = {
    [LAPIC_LVT_TIMER] = LVT_VECTOR | LVT_MASKED | LVT_PERIODIC | LVT_TSC_DEADLINE,
    [LAPIC_LVT_THERMAL] = LVT_VECTOR | LVT_MODE | LVT_MASKED,
    [LAPIC_LVT_PERF] = LVT_VECTOR | LVT_MODE | LVT_MASKED,
    [LAPIC_LVT_LINT0] = LVT_VECTOR | LVT_MODE | LVT_POLARITY | LVT_LEVEL | LVT_MASKED,
    [LAPIC_LVT_LINT1] = LVT_VECTOR | LVT_MODE | LVT_POLARITY | LVT_LEVEL | LVT_MASKED,
    [LAPIC_LVT_ERROR] = LVT_VECTOR | LVT_MASKED,
};

/* SDM figure 11-18: the highest class among TPR, IRR and ISR. */
static uint32_t arbitration_priority(const struct lapic *l)
{
    int irrv = lapic_highest(l->irr);
    int isrv = lapic_highest(l->isr);
    uint32_t irr_class = irrv < 0 ? 0 : (uint32_t)irrv & 0xf0;
    uint32_t isr_class = isrv < 0 ? 0 : (uint32_t)isrv & 0xf0;
    uint32_t tpr_class = l->tpr & 0xf0;

    if (tpr_class >= irr_class && tpr_class > isr_class)
        return l->tpr;
    return irr_class > isr_class ? irr_class : isr_class;
}

static uint32_t id_register(const struct lapic *l)
{
    return lapic_is_x2apic(l) ? l->wiring.index : (uint32_t)l->wiring.index << 24;
}

/* The value of register `reg`; false when there is none to read. */
static bool reg_peek(const struct lapic *l, unsigned reg, uint32_t *value)
{
    switch (reg) {
    case REG_ID: *value = id_register(l); return true;
    case REG_VERSION: *value = LAPIC_VERSION; return true;
    case REG_TPR: *value = l->tpr; return true;
    case REG_APR: *value = arbitration_priority(l); return true;
    case REG_PPR: *value = lapic_ppr(l); return true;
    case REG_EOI:
    case REG_RRD: *value = 0; return true;
    case REG_LDR: *value = lapic_logical_id(l); return true;
    case REG_DFR: *value = l->dfr; return true;
    case REG_SVR: *value = l->svr; return true;
    case REG_ESR: *value = l->esr; return true;
    case REG_ICR: *value = (uint32_t)l->icr; return true;
    case REG_ICR_HIGH: *value = (uint32_t)(l->icr >> 32); return true;
    case REG_TIMER_INITIAL: *value = l->timer_initial; return true;
    case REG_TIMER_CURRENT: *value = lapic_timer_current(l); return true;
    case REG_TIMER_DIVIDE: *value = l->timer_divide; return true;
    default: break;
    }
    *value = 0;
    if (reg >= REG_ISR && reg < REG_TMR)
        *value = l->isr[reg - REG_ISR];
    else if (reg >= REG_TMR && reg < REG_IRR)
        *value = l->tmr[reg - REG_TMR];
    else if (reg >= REG_IRR && reg < REG_ESR)
        *value = l->irr[reg - REG_IRR];
    else if (reg >= REG_LVT && reg <= REG_LVT_LAST)
        *value = l->lvt[reg - REG_LVT];
    else
        return false;
    return true;
}

static void write_lvt(struct lapic *l, enum lapic_lvt n, uint32_t value)
{
    uint32_t kept = l->lvt[n] & LVT_REMOTE_IRR;

    value &= lvt_writable[n];
    if (!(l->svr & SVR_ENABLE))
        value |= LVT_MASKED; /* SDM 11.4.7.2: cannot be cleared while software-disabled */
    if (n == LAPIC_LVT_TIMER) {
        lapic_timer_set_lvt(l, value);
        return;
    }
    /* Remote IRR means something for a fixed level entry alone. */
    if ((value & LVT_MODE) == 0 && value & LVT_LEVEL)
        value |= kept;
    l->lvt[n] = value;
    if (n == LAPIC_LVT_LINT0 || n == LAPIC_LVT_LINT1)
        lapic_lint_service(l, n - LAPIC_LVT_LINT0);
    lapic_update_intr(l);
}

static void write_svr(struct lapic *l, uint32_t value)
{
    l->svr = value & (SVR_VECTOR | SVR_ENABLE | SVR_FOCUS | SVR_NO_EOI_BROADCAST);
    if (l->svr & SVR_ENABLE)
        return;
    for (unsigned n = 0; n < LAPIC_LVT_COUNT; n++)
        write_lvt(l, n, l->lvt[n] | LVT_MASKED);
}

static void write_esr(struct lapic *l)
{
    l->esr = l->esr_pending;
    l->esr_pending = 0;
}

/* Writes what both modes have, ICR excepted. False when nothing there can be written. */
static bool reg_write(struct lapic *l, unsigned reg, uint32_t value)
{
    switch (reg) {
    case REG_TPR:
        l->tpr = value & 0xff;
        lapic_update_intr(l);
        return true;
    case REG_EOI: lapic_eoi(l); return true;
    case REG_SVR: write_svr(l, value); return true;
    case REG_ESR: write_esr(l); return true;
    case REG_TIMER_INITIAL: lapic_timer_set_initial(l, value); return true;
    case REG_TIMER_DIVIDE: lapic_timer_set_divide(l, value); return true;
    default: break;
    }
    if (reg < REG_LVT || reg > REG_LVT_LAST)
        return false;
    write_lvt(l, reg - REG_LVT, value);
    return true;
}

/* --- xAPIC: the page --- */

/* Whose page it is: every CPU sees its own at the same address. NULL: that CPU's is elsewhere. */
static struct lapic *accessed(struct lapic *l)
{
    const struct apic_bus *bus = l->wiring.bus;
    struct lapic *mine;

    if (bus->accessing >= bus->nlapics)
        return NULL;
    mine = bus->lapics[bus->accessing];
    return mine->range.len != 0 && mine->range.base == l->range.base ? mine : NULL;
}

static uint64_t extract(uint32_t value, uint64_t offset, unsigned size)
{
    uint64_t at = offset & 15;

    if (at >= 4)
        return 0;
    return (value >> (8 * at)) & (size == 4 ? UINT32_MAX : (1u << (8 * size)) - 1);
}

static uint64_t mmio_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct lapic *l = accessed(opaque);
    uint32_t value;

    if (l == NULL)
        return UINT64_MAX;
    reg_peek(l, (unsigned)(offset >> 4), &value);
    return extract(value, offset, size);
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    struct lapic *l = accessed(opaque);
    uint32_t value;

    if (l != NULL && !reg_peek(l, (unsigned)(offset >> 4), &value)) {
        l->oddities++;
        lapic_error(l, ESR_REGISTER);
    }
    return mmio_peek(opaque, offset, size);
}

static bool write_xapic_only(struct lapic *l, unsigned reg, uint32_t value)
{
    switch (reg) {
    case REG_LDR: l->ldr = value & 0xff000000u; return true;
    case REG_DFR: l->dfr = value | 0x0fffffffu; return true;
    case REG_ICR:
        l->icr = (l->icr & 0xff00000000000000ULL) | (value & ICR_BITS);
        lapic_send_ipi(l);
        return true;
    case REG_ICR_HIGH:
        l->icr = (uint64_t)(value & 0xff000000u) << 32 | (uint32_t)l->icr;
        return true;
    default: return false;
    }
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct lapic *l = accessed(opaque);
    unsigned reg = (unsigned)(offset >> 4);
    uint32_t ignored;

    if (l == NULL)
        return;
    if (size != 4 || offset & 15) {
        l->oddities++;
        return;
    }
    if (write_xapic_only(l, reg, (uint32_t)value) || reg_write(l, reg, (uint32_t)value))
        return;
    l->oddities++;
    if (!reg_peek(l, reg, &ignored)) /* a read-only register just ignores it */
        lapic_error(l, ESR_REGISTER);
}

const struct bus_ops lapic_mmio_ops = {
    .read = mmio_read,
    .write = mmio_write,
    .peek = mmio_peek,
    .max_size = 4,
};

/* --- x2APIC: the MSRs --- */

static int x2apic_read(const struct lapic *l, unsigned reg, uint64_t *value)
{
    uint32_t value32;

    switch (reg) {
    case REG_APR:
    case REG_EOI:
    case REG_RRD:
    case REG_DFR:
    case REG_ICR_HIGH: return -1;
    case REG_ICR: *value = l->icr; return 0;
    default: break;
    }
    if (!reg_peek(l, reg, &value32))
        return -1;
    *value = value32;
    return 0;
}

/* Bits that may be set in a write of `reg`; 0 for one that takes only zero, or none at all. */
static uint64_t x2apic_writable(unsigned reg)
{
    switch (reg) {
    case REG_TPR:
    case REG_SELF_IPI: return 0xff;
    case REG_SVR: return SVR_VECTOR | SVR_ENABLE | SVR_FOCUS | SVR_NO_EOI_BROADCAST;
    case REG_ICR: return 0xffffffff00000000ULL | ICR_BITS | LVT_STATUS;
    case REG_TIMER_INITIAL: return UINT32_MAX;
    case REG_TIMER_DIVIDE: return 0xb;
    default: break;
    }
    if (reg < REG_LVT || reg > REG_LVT_LAST)
        return 0;
    return lvt_writable[reg - REG_LVT] | LVT_STATUS | LVT_REMOTE_IRR;
}

static int x2apic_write(struct lapic *l, unsigned reg, uint64_t value)
{
    if (value & ~x2apic_writable(reg))
        return -1;
    switch (reg) {
    case REG_ICR:
        l->icr = value & ~(uint64_t)LVT_STATUS;
        lapic_send_ipi(l);
        return 0;
    case REG_SELF_IPI: lapic_self_ipi(l, (uint8_t)value); return 0;
    default: return reg_write(l, reg, (uint32_t)value) ? 0 : -1;
    }
}

/* --- IA32_APIC_BASE --- */

/*
 * SDM figure 11-27: disabled <-> xAPIC -> x2APIC -> disabled. What was in the registers is lost
 * when the APIC is disabled.
 */
static int write_base(struct lapic *l, uint64_t value)
{
    bool was_enabled = lapic_is_enabled(l);
    bool was_x2apic = lapic_is_x2apic(l);
    bool enable = (value & BASE_EN) != 0;
    bool x2apic = (value & BASE_EXTD) != 0;

    if (value & ~(BASE_ADDR | BASE_BSP | BASE_EXTD | BASE_EN))
        return -1;
    if (x2apic && (!enable || !was_enabled))
        return -1;
    if (was_x2apic && enable && !x2apic)
        return -1;
    l->base_msr = value;
    if (was_enabled && !enable)
        lapic_reset_registers(l);
    if (x2apic && !was_x2apic)
        l->icr = (uint32_t)l->icr; /* 11.12.5.1: the destination is not carried over */
    apic_bus_remap(l->wiring.bus);
    lapic_update_intr(l);
    return 0;
}

int lapic_rdmsr(void *opaque, uint32_t msr, uint64_t *value)
{
    const struct lapic *l = opaque;

    switch (msr) {
    case MSR_APIC_BASE: *value = l->base_msr; return 0;
    case MSR_TSC_DEADLINE: *value = lapic_timer_get_deadline(l); return 0;
    default: break;
    }
    if (msr < MSR_X2APIC || msr >= MSR_X2APIC_END || !lapic_is_x2apic(l))
        return -1;
    return x2apic_read(l, msr - MSR_X2APIC, value);
}

int lapic_wrmsr(void *opaque, uint32_t msr, uint64_t value)
{
    struct lapic *l = opaque;

    switch (msr) {
    case MSR_APIC_BASE: return write_base(l, value);
    case MSR_TSC_DEADLINE: lapic_timer_set_deadline(l, value); return 0;
    default: break;
    }
    if (msr < MSR_X2APIC || msr >= MSR_X2APIC_END || !lapic_is_x2apic(l))
        return -1;
    return x2apic_write(l, msr - MSR_X2APIC, value);
}
