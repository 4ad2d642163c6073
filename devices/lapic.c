/* SPDX-License-Identifier: MIT */
/*
 * Local APIC: acceptance, priorities, acknowledgement and end of interrupt.
 *
 * Modelled after Intel SDM vol. 3, chapter 11 (10 in older editions): an integrated APIC, version
 * 14h with six LVT entries (no CMCI) and EOI-broadcast suppression, in xAPIC and x2APIC mode. The
 * registers as the guest sees them are in lapic_regs.c, the timer in lapic_timer.c, destinations in
 * apic_bus.c.
 *
 * Not modelled: SMIs (counted, dropped), focus processors, delivery status (always idle: a message
 * arrives at once), the thermal and performance-counter sources (their LVT entries are storage).
 *
 * Where the manual leaves room: ExtINT is acknowledged before a vector in IRR; an ID register write
 * is ignored; an LVT mode of 11b counts as TSC-deadline; lowest-priority IPIs are supported; INTA
 * with nothing pending yields SVR's vector and touches neither ISR nor IRR.
 *
 * Invariants: 1. `intr` is what lapic_intr_level() says, whenever the CPU runs. 2. No vector below
 * 16 is ever set in IRR or ISR (post_load refuses such a state). 3. The bus range follows base_msr.
 */
#include "lapic_internal.h"

#include <assert.h>
#include <string.h>

static int lapic_post_load(void *obj);

static const struct field lapic_fields[] = {
    FIELD(struct lapic, base_msr, FIELD_U64),
    FIELD(struct lapic, icr, FIELD_U64),
    FIELD(struct lapic, timer_start_ns, FIELD_U64),
    FIELD(struct lapic, tsc_deadline, FIELD_U64),
    FIELD(struct lapic, timer_initial, FIELD_U32),
    FIELD(struct lapic, timer_from, FIELD_U32),
    FIELD(struct lapic, timer_divide, FIELD_U32),
    FIELD(struct lapic, tpr, FIELD_U32),
    FIELD(struct lapic, ldr, FIELD_U32),
    FIELD(struct lapic, dfr, FIELD_U32),
    FIELD(struct lapic, svr, FIELD_U32),
    FIELD(struct lapic, esr, FIELD_U32),
    FIELD(struct lapic, esr_pending, FIELD_U32),
    FIELD_ARRAY(struct lapic, lvt, FIELD_U32),
    FIELD_ARRAY(struct lapic, isr, FIELD_U32),
    FIELD_ARRAY(struct lapic, tmr, FIELD_U32),
    FIELD_ARRAY(struct lapic, irr, FIELD_U32),
    FIELD_ARRAY(struct lapic, lint, FIELD_BOOL),
    FIELD(struct lapic, extint, FIELD_BOOL),
    FIELD(struct lapic, intr, FIELD_BOOL),
};
const struct state_desc lapic_desc = STATE_DESC("lapic", 1, struct lapic, lapic_fields,
                                                lapic_post_load);

/* --- helpers --- */

static bool vector_test(const uint32_t reg[8], unsigned vector)
{
    return (reg[vector / 32] >> (vector % 32)) & 1;
}

static void vector_set(uint32_t reg[8], unsigned vector, bool on)
{
    uint32_t bit = 1u << (vector % 32);

    reg[vector / 32] = on ? reg[vector / 32] | bit : reg[vector / 32] & ~bit;
}

int lapic_highest(const uint32_t reg[8])
{
    for (int i = 7; i >= 0; i--) {
        if (reg[i] != 0)
            return i * 32 + 31 - __builtin_clz(reg[i]);
    }
    return -1;
}

/* SDM 11.8.3.1: the higher class of TPR and of the highest vector in service. */
uint8_t lapic_ppr(const struct lapic *l)
{
    int in_service = lapic_highest(l->isr);
    uint8_t isrv = in_service < 0 ? 0 : (uint8_t)in_service;

    return (l->tpr & 0xf0) >= (isrv & 0xf0u) ? (uint8_t)l->tpr : isrv & 0xf0;
}

static enum apic_mode lvt_mode(const struct lapic *l, enum lapic_lvt n)
{
    return (enum apic_mode)((l->lvt[n] & LVT_MODE) >> LVT_MODE_SHIFT);
}

static bool lint_is_extint(const struct lapic *l, unsigned pin)
{
    return lvt_mode(l, LAPIC_LVT_LINT0 + pin) == APIC_MODE_EXTINT &&
           !(l->lvt[LAPIC_LVT_LINT0 + pin] & LVT_MASKED);
}

static bool extint_pending(const struct lapic *l)
{
    return l->extint || (l->lint[0] && lint_is_extint(l, 0)) ||
           (l->lint[1] && lint_is_extint(l, 1));
}

/* The vector that the CPU would get from IRR now, or -1: its class must exceed PPR's. */
static int deliverable(const struct lapic *l)
{
    int vector = lapic_highest(l->irr);

    return vector >> 4 > lapic_ppr(l) >> 4 ? vector : -1;
}

static bool lapic_intr_level(const struct lapic *l)
{
    if (!lapic_is_enabled(l))
        return l->lint[0]; /* the pin is the CPU's INTR then */
    return extint_pending(l) || deliverable(l) >= 0;
}

void lapic_update_intr(struct lapic *l)
{
    bool level = lapic_intr_level(l);

    if (level == l->intr)
        return;
    l->intr = level;
    l->wiring.lines.set_intr(l->wiring.lines.cpu, level);
}

/* --- destinations --- */

uint32_t lapic_logical_id(const struct lapic *l)
{
    uint32_t id = l->wiring.index;

    /* SDM 11.12.10.2: cluster in the upper half, one bit of 16 in the lower. */
    return lapic_is_x2apic(l) ? (id >> 4) << 16 | 1u << (id & 15) : l->ldr;
}

static bool matches_logical(const struct lapic *l, uint32_t dest)
{
    uint32_t ldr = lapic_logical_id(l);

    if (lapic_is_x2apic(l))
        return dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff) != 0;
    ldr >>= 24;
    if (l->dfr >> 28 == 0xf)
        return (dest & ldr) != 0;
    return dest >> 4 == ldr >> 4 && (dest & ldr & 0xf) != 0;
}

bool lapic_matches(const struct lapic *l, const struct apic_message *msg)
{
    if (!lapic_is_enabled(l))
        return false;
    if (msg->dest == (msg->wide ? UINT32_MAX : 0xffu))
        return true;
    if (msg->wide && !lapic_is_x2apic(l) && msg->dest > 0xff)
        return false;
    return msg->logical ? matches_logical(l, msg->dest) : msg->dest == l->wiring.index;
}

/* --- acceptance --- */

bool lapic_takes_vectors(const struct lapic *l)
{
    return lapic_is_enabled(l) && l->svr & SVR_ENABLE;
}

/* After the first error, the next interrupt waits for a write of ESR, which rearms it (SDM vol. 3, 11.5.3). */
void lapic_error(struct lapic *l, uint32_t esr_bit)
{
    bool armed = l->esr_pending == 0;

    l->esr_pending |= esr_bit;
    if (!armed)
        return;
    /* An illegal vector in the error entry itself is noted, but cannot raise itself again. */
    if ((l->lvt[LAPIC_LVT_ERROR] & LVT_VECTOR) < 16)
        l->esr_pending |= l->lvt[LAPIC_LVT_ERROR] & LVT_MASKED ? 0 : ESR_RECV_ILLEGAL;
    else
        lapic_raise_lvt(l, LAPIC_LVT_ERROR);
}

static bool accept_vector(struct lapic *l, uint8_t vector, bool level)
{
    if (!lapic_takes_vectors(l))
        return false;
    if (vector < 16) {
        lapic_error(l, ESR_RECV_ILLEGAL);
        return false;
    }
    vector_set(l->irr, vector, true);
    vector_set(l->tmr, vector, level);
    lapic_update_intr(l);
    return true;
}

bool lapic_deliver(struct lapic *l, enum apic_mode mode, uint8_t vector, bool level)
{
    const struct cpu_lines *lines = &l->wiring.lines;

    if (!lapic_is_enabled(l))
        return false;
    switch (mode) {
    case APIC_MODE_FIXED:
    case APIC_MODE_LOWEST: return accept_vector(l, vector, level);
    case APIC_MODE_NMI: lines->raise_nmi(lines->cpu); return true;
    case APIC_MODE_INIT:
        lapic_reset_registers(l);
        lines->raise_init(lines->cpu);
        return true;
    case APIC_MODE_SIPI: lines->raise_sipi(lines->cpu, vector); return true;
    case APIC_MODE_EXTINT:
        if (!lapic_takes_vectors(l))
            return false;
        l->extint = true;
        lapic_update_intr(l);
        return true;
    case APIC_MODE_SMI: break;
    }
    l->oddities++;
    return false;
}

/* Lowest priority, startup and 011b are reserved in an entry: nothing is delivered. */
static bool is_lvt_mode(enum apic_mode mode)
{
    return mode == APIC_MODE_FIXED || mode == APIC_MODE_SMI || mode == APIC_MODE_NMI || mode == APIC_MODE_INIT ||
           mode == APIC_MODE_EXTINT;
}

/* An edge of a local source. */
void lapic_raise_lvt(struct lapic *l, enum lapic_lvt n)
{
    uint32_t lvt = l->lvt[n];

    if (lvt & LVT_MASKED || !is_lvt_mode(lvt_mode(l, n)))
        return;
    lapic_deliver(l, lvt_mode(l, n), (uint8_t)lvt, false);
}

static bool lint_is_fixed_level(const struct lapic *l, unsigned pin)
{
    return lvt_mode(l, LAPIC_LVT_LINT0 + pin) == APIC_MODE_FIXED &&
           l->lvt[LAPIC_LVT_LINT0 + pin] & LVT_LEVEL;
}

void lapic_lint_service(struct lapic *l, unsigned pin)
{
    enum lapic_lvt n = LAPIC_LVT_LINT0 + pin;

    if (!l->lint[pin] || !lint_is_fixed_level(l, pin) || l->lvt[n] & (LVT_MASKED | LVT_REMOTE_IRR))
        return;
    if (lapic_deliver(l, APIC_MODE_FIXED, (uint8_t)l->lvt[n], true))
        l->lvt[n] |= LVT_REMOTE_IRR;
}

static void lint_raised(struct lapic *l, unsigned pin)
{
    if (!lapic_is_enabled(l)) {
        if (pin == 1)
            l->wiring.lines.raise_nmi(l->wiring.lines.cpu); /* the pin is the CPU's NMI then */
        return;
    }
    if (lint_is_fixed_level(l, pin))
        lapic_lint_service(l, pin);
    else if (lvt_mode(l, LAPIC_LVT_LINT0 + pin) != APIC_MODE_EXTINT) /* that one is a level */
        lapic_raise_lvt(l, LAPIC_LVT_LINT0 + pin);
}

void lapic_set_lint(struct lapic *l, unsigned pin, bool level)
{
    if (l->lint[pin] == level)
        return;
    l->lint[pin] = level;
    if (level)
        lint_raised(l, pin);
    lapic_update_intr(l);
}

/* --- end of interrupt --- */

static void lint_eoi(struct lapic *l, uint8_t vector)
{
    for (unsigned pin = 0; pin < 2; pin++) {
        uint32_t *lvt = &l->lvt[LAPIC_LVT_LINT0 + pin];

        if (!(*lvt & LVT_REMOTE_IRR) || (*lvt & LVT_VECTOR) != vector)
            continue;
        *lvt &= ~LVT_REMOTE_IRR;
        lapic_lint_service(l, pin);
    }
}

void lapic_eoi(struct lapic *l)
{
    const struct apic_bus *bus = l->wiring.bus;
    int vector = lapic_highest(l->isr);

    if (vector < 0)
        return;
    vector_set(l->isr, (unsigned)vector, false);
    if (vector_test(l->tmr, (unsigned)vector)) {
        lint_eoi(l, (uint8_t)vector);
        if (!(l->svr & SVR_NO_EOI_BROADCAST) && bus->eoi != NULL)
            bus->eoi(bus->eoi_opaque, (uint8_t)vector);
    }
    lapic_update_intr(l);
}

/* --- interprocessor interrupts --- */

enum shorthand { SHORT_NONE, SHORT_SELF, SHORT_ALL, SHORT_OTHERS };

static bool ipi_is_for(const struct lapic *sender, const struct lapic *to, enum shorthand how)
{
    return how == SHORT_ALL || (how == SHORT_SELF) == (to == sender);
}

static void send_shorthand_lowest(struct lapic *l, uint8_t vector, enum shorthand how)
{
    const struct apic_bus *bus = l->wiring.bus;
    struct lapic *best = NULL;

    for (unsigned i = 0; i < bus->nlapics; i++) {
        struct lapic *to = bus->lapics[i];

        if (ipi_is_for(l, to, how) && lapic_takes_vectors(to) && (best == NULL || lapic_ppr(to) < lapic_ppr(best)))
            best = to;
    }
    if (best != NULL)
        lapic_deliver(best, APIC_MODE_FIXED, vector, false);
}

static void send_shorthand(struct lapic *l, const struct apic_message *msg, enum shorthand how)
{
    struct apic_bus *bus = l->wiring.bus;

    if (msg->mode == APIC_MODE_LOWEST) {
        send_shorthand_lowest(l, msg->vector, how);
        return;
    }
    for (unsigned i = 0; i < bus->nlapics; i++) {
        if (ipi_is_for(l, bus->lapics[i], how))
            lapic_deliver(bus->lapics[i], msg->mode, msg->vector, false);
    }
}

void lapic_self_ipi(struct lapic *l, uint8_t vector)
{
    if (vector < 16)
        lapic_error(l, ESR_SEND_ILLEGAL);
    else
        lapic_deliver(l, APIC_MODE_FIXED, vector, false);
}

void lapic_send_ipi(struct lapic *l)
{
    uint32_t low = (uint32_t)l->icr;
    uint32_t dest = (uint32_t)(l->icr >> 32);
    enum shorthand how = (enum shorthand)(low >> ICR_SHORTHAND_SHIFT & 3);
    struct apic_message msg = {
        .dest = lapic_is_x2apic(l) ? dest : dest >> 24,
        .wide = lapic_is_x2apic(l),
        .logical = (low & ICR_LOGICAL) != 0,
        .mode = (enum apic_mode)(low >> 8 & 7),
        .vector = (uint8_t)low,
    };

    /* INIT level de-assert synchronises arbitration IDs, which nobody has any more. */
    if (msg.mode == APIC_MODE_INIT && (low & ICR_LEVEL) && !(low & ICR_ASSERT))
        return;
    if (msg.mode == APIC_MODE_EXTINT) { /* 111b is reserved in the ICR */
        l->oddities++;
        return;
    }
    if (msg.mode <= APIC_MODE_LOWEST && msg.vector < 16) {
        lapic_error(l, ESR_SEND_ILLEGAL);
        return;
    }
    if (how == SHORT_NONE)
        apic_bus_send(l->wiring.bus, &msg);
    else
        send_shorthand(l, &msg, how);
}

/* --- the CPU's side --- */

static struct intr_ack ack_pic(struct lapic *l)
{
    struct intr_ack ack = {.source = INTR_SOURCE_PIC};

    l->extint = false;
    ack.vector = l->wiring.pic_ack(l->wiring.pic);
    lapic_update_intr(l);
    return ack;
}

static struct intr_ack lapic_ack(void *opaque)
{
    struct lapic *l = opaque;
    int vector;

    if (!lapic_is_enabled(l) || extint_pending(l))
        return ack_pic(l);
    vector = deliverable(l);
    if (vector < 0)
        return (struct intr_ack){.vector = (uint8_t)l->svr, .source = INTR_SOURCE_LAPIC};
    vector_set(l->irr, (unsigned)vector, false);
    vector_set(l->isr, (unsigned)vector, true);
    lapic_update_intr(l);
    return (struct intr_ack){.vector = (uint8_t)vector, .source = INTR_SOURCE_LAPIC};
}

static uint8_t lapic_get_cr8(void *opaque)
{
    const struct lapic *l = opaque;

    return (uint8_t)(l->tpr >> 4);
}

static void lapic_set_cr8(void *opaque, uint8_t cr8)
{
    struct lapic *l = opaque;

    l->tpr = (uint32_t)(cr8 & 15) << 4;
    lapic_update_intr(l);
}

static bool lapic_cpuid_enabled(void *opaque)
{
    return lapic_is_enabled(opaque);
}

/* LINT1 has no source on the board; LINT0 has the 8259A. */
static bool lapic_nmi_expected(void *opaque)
{
    const struct lapic *l = opaque;
    const struct apic_bus *bus = l->wiring.bus;

    if (!lapic_is_enabled(l))
        return false;
    if (lvt_mode(l, LAPIC_LVT_LINT0) == APIC_MODE_NMI && !(l->lvt[LAPIC_LVT_LINT0] & LVT_MASKED))
        return true;
    return bus->sends_nmi != NULL && bus->sends_nmi(bus->eoi_opaque);
}

static void lapic_tsc_written(void *opaque)
{
    lapic_tsc_changed(opaque);
}

const struct intc_ops lapic_intc_ops = {
    .ack = lapic_ack,
    .get_cr8 = lapic_get_cr8,
    .set_cr8 = lapic_set_cr8,
    .rdmsr = lapic_rdmsr,
    .wrmsr = lapic_wrmsr,
    .enabled = lapic_cpuid_enabled,
    .nmi_expected = lapic_nmi_expected,
    .tsc_changed = lapic_tsc_written,
};

void lapic_tsc_changed(struct lapic *l)
{
    lapic_timer_rearm(l);
}

/* --- life cycle --- */

void lapic_remap(struct lapic *l)
{
    bool answers = lapic_is_enabled(l) && !lapic_is_x2apic(l);

    bus_move(l->wiring.memory, &l->range, l->base_msr & BASE_ADDR, answers ? 4096 : 0);
}

static int lapic_post_load(void *obj)
{
    struct lapic *l = obj;
    bool legal = !(lapic_is_x2apic(l) && !lapic_is_enabled(l)) && l->tpr <= 0xff &&
                 !(l->base_msr & ~(BASE_ADDR | BASE_BSP | BASE_EXTD | BASE_EN)) &&
                 !((l->isr[0] | l->irr[0]) & 0xffff) &&
                 (l->timer_from == 0 || l->timer_initial != 0);

    if (!legal)
        return -1;
    apic_bus_remap(l->wiring.bus);
    return 0;
}

void lapic_reset_registers(struct lapic *l)
{
    lapic_timer_reset(l);
    l->icr = 0;
    l->tpr = 0;
    l->ldr = 0;
    l->dfr = UINT32_MAX;
    l->svr = 0xff;
    l->esr = 0;
    l->esr_pending = 0;
    for (unsigned i = 0; i < LAPIC_LVT_COUNT; i++)
        l->lvt[i] = LVT_MASKED;
    memset(l->isr, 0, sizeof(l->isr));
    memset(l->tmr, 0, sizeof(l->tmr));
    memset(l->irr, 0, sizeof(l->irr));
    l->extint = false;
    lapic_update_intr(l);
}

void lapic_reset(void *lapic)
{
    struct lapic *l = lapic;

    l->base_msr = LAPIC_BASE_DEFAULT | BASE_EN | (l->wiring.index == 0 ? BASE_BSP : 0);
    l->lint[0] = l->lint[1] = false;
    lapic_reset_registers(l);
    if (l->wiring.index == 0)
        l->lvt[LAPIC_LVT_LINT0] = (uint32_t)APIC_MODE_EXTINT << LVT_MODE_SHIFT;
    l->intr = false;
    l->wiring.lines.set_intr(l->wiring.lines.cpu, false);
    apic_bus_remap(l->wiring.bus);
}

void lapic_init(struct lapic *l, const struct lapic_wiring *wiring)
{
    struct apic_bus *bus = wiring->bus;

    assert(wiring->index == bus->nlapics && bus->nlapics < APIC_BUS_MAX_CPUS);
    *l = (struct lapic){.wiring = *wiring};
    bus_add(wiring->memory, &l->range, "lapic", LAPIC_BASE_DEFAULT, 0, &lapic_mmio_ops, l);
    lapic_timer_init(l);
    bus->lapics[bus->nlapics++] = l;
}
