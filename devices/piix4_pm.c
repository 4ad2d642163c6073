/* SPDX-License-Identifier: MIT */
/*
 * PIIX4 power management: Intel 82371AB data sheet (290562), function 3, and ACPI 6.4, 4.8 (fixed
 * hardware).
 *
 * Modelled: the PM1 event and control registers, the 24-bit power management timer, SCI, soft-off
 * (S5 is SLP_TYP 0, as \_S5 in the DSDT says), the power button, one general-purpose event block
 * (at AFE0h, with no event behind it), and the APM ports B2h/B3h. A write to B2h raises an SMI on
 * real boards, whose handler switches SCI_EN; there is no SMM here, so the port does that itself.
 *
 * Not modelled: SMBus (its base register is storage), sleep states but S5 (counted, ignored), clock
 * control, device traps and monitors: their registers read 0 and ignore writes (counted).
 *
 * The timer is not stepped: it is virtual time in ticks. TMROF_STS is due whenever bit 23 changes.
 * It is brought up to date when somebody looks, and a clock timer exists only while it can raise
 * SCI.
 */
#include <devices/piix4_pm.h>

#define PM1_STATUS  0x00u
#define PM1_ENABLE  0x02u
#define PM1_CONTROL 0x04u
#define PM_TIMER    0x08u

#define STS_TIMER 0x0001u
#define STS_BM    0x0010u
#define STS_GBL   0x0020u
#define STS_POWER 0x0100u
#define STS_RTC   0x0400u
#define STS_WAKE  0x8000u
#define STS_BITS  (STS_TIMER | STS_BM | STS_GBL | STS_POWER | STS_RTC | STS_WAKE)
#define EN_BITS   (STS_TIMER | STS_GBL | STS_POWER | STS_RTC)

#define CNT_SCI_EN        0x0001u
#define CNT_BM_RLD        0x0002u
#define CNT_GBL_RLS       0x0004u
#define CNT_SLP_TYP_SHIFT 10
#define CNT_SLP_TYP       (7u << CNT_SLP_TYP_SHIFT)
#define CNT_SLP_EN        0x2000u
#define CNT_STORED        (CNT_SCI_EN | CNT_BM_RLD | CNT_SLP_TYP)
#define SLP_TYP_S5        0u

#define TIMER_MASK 0xffffffu
#define TIMER_HALF 0x800000u

#define APM_PORTS 0xb2u

static int piix4_pm_post_load(void *obj);

static const struct field piix4_pm_fields[] = {
    FIELD_SUB(struct piix4_pm, pci, &pci_device_desc),
    FIELD(struct piix4_pm, overflow_at, FIELD_U64),
    FIELD(struct piix4_pm, pm1_status, FIELD_U16),
    FIELD(struct piix4_pm, pm1_enable, FIELD_U16),
    FIELD(struct piix4_pm, pm1_control, FIELD_U16),
    FIELD(struct piix4_pm, gpe_status, FIELD_U16),
    FIELD(struct piix4_pm, gpe_enable, FIELD_U16),
    FIELD(struct piix4_pm, apm_control, FIELD_U8),
    FIELD(struct piix4_pm, apm_status, FIELD_U8),
};
const struct state_desc piix4_pm_desc = STATE_DESC("piix4_pm", 1, struct piix4_pm, piix4_pm_fields,
                                                   piix4_pm_post_load);

/* --- derived --- */

static uint64_t timer_ticks(const struct piix4_pm *pm)
{
    return ns_to_ticks(clock_now_ns(pm->wiring.clock), PIIX4_PM_TIMER_HZ);
}

/* PM1_STS now, the timer's overflow included. */
static uint16_t status_now(const struct piix4_pm *pm)
{
    return pm->pm1_status | (timer_ticks(pm) >= pm->overflow_at ? STS_TIMER : 0);
}

static bool sci_irq_level(const struct piix4_pm *pm)
{
    return pm->pm1_control & CNT_SCI_EN &&
           ((status_now(pm) & pm->pm1_enable) || (pm->gpe_status & pm->gpe_enable));
}

/* --- SCI and the timer --- */

static uint64_t next_half(uint64_t ticks)
{
    return (ticks / TIMER_HALF + 1) * TIMER_HALF;
}

/* Stores what status_now() adds, and looks for the next overflow. */
static void latch_overflow(struct piix4_pm *pm)
{
    uint64_t ticks = timer_ticks(pm);

    if (ticks < pm->overflow_at)
        return;
    pm->pm1_status |= STS_TIMER;
    pm->overflow_at = next_half(ticks);
}

static void update(struct piix4_pm *pm)
{
    bool wanted = pm->pm1_control & CNT_SCI_EN && pm->pm1_enable & STS_TIMER;

    if (wanted && !(status_now(pm) & STS_TIMER))
        timer_set(&pm->timer, ticks_to_ns(pm->overflow_at, PIIX4_PM_TIMER_HZ));
    else
        timer_cancel(&pm->timer);
    irq_set(&pm->wiring.sci, sci_irq_level(pm));
}

static void timer_fired(void *opaque)
{
    struct piix4_pm *pm = opaque;

    latch_overflow(pm);
    update(pm);
}

void piix4_pm_power_button(struct piix4_pm *pm)
{
    pm->pm1_status |= STS_POWER;
    update(pm);
}

/* --- PM registers --- */

static uint32_t pm_dword(const struct piix4_pm *pm, unsigned offset)
{
    switch (offset) {
    case PM1_STATUS: return status_now(pm) | (uint32_t)pm->pm1_enable << 16;
    case PM1_CONTROL: return pm->pm1_control;
    case PM_TIMER: return (uint32_t)(timer_ticks(pm) & TIMER_MASK);
    default: return 0;
    }
}

static uint64_t pm_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct piix4_pm *pm = opaque;
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        unsigned at = (unsigned)offset + i;

        value |= (uint64_t)(pm_dword(pm, at & ~3u) >> (8 * (at & 3)) & 0xff) << (8 * i);
    }
    return value;
}

static uint64_t pm_read(void *opaque, uint64_t offset, unsigned size)
{
    struct piix4_pm *pm = opaque;

    if (offset >= PM_TIMER + 4)
        pm->oddities++;
    return pm_peek(opaque, offset, size);
}

/* Replaces byte `n` of a 16-bit register by the bits of `mask` in `byte`. */
static void store_byte(uint16_t *reg, unsigned n, uint8_t byte, uint16_t mask)
{
    unsigned lane = 0xffu << (8 * n);

    *reg = (uint16_t)((*reg & ~lane) | ((unsigned)byte << (8 * n) & mask));
}

static void enter_sleep(struct piix4_pm *pm)
{
    if ((pm->pm1_control & CNT_SLP_TYP) >> CNT_SLP_TYP_SHIFT == SLP_TYP_S5)
        pm->wiring.power_off(pm->wiring.power_opaque);
    else
        pm->oddities++;
}

static void pm_write_byte(struct piix4_pm *pm, unsigned offset, uint8_t byte)
{
    unsigned lane = offset & 1;

    switch (offset & ~1u) {
    case PM1_STATUS:
        pm->pm1_status &= (uint16_t) ~((unsigned)byte << (8 * lane) & STS_BITS);
        return;
    case PM1_ENABLE: store_byte(&pm->pm1_enable, lane, byte, EN_BITS); return;
    case PM1_CONTROL: break;
    default: pm->oddities++; return;
    }
    store_byte(&pm->pm1_control, lane, byte, CNT_STORED);
    if ((unsigned)byte << (8 * lane) & CNT_SLP_EN)
        enter_sleep(pm);
}

static void pm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct piix4_pm *pm = opaque;

    latch_overflow(pm);
    for (unsigned i = 0; i < size; i++)
        pm_write_byte(pm, (unsigned)offset + i, (uint8_t)(value >> (8 * i)));
    update(pm);
}

static const struct bus_ops pm_ops = {
    .read = pm_read,
    .write = pm_write,
    .peek = pm_peek,
    .max_size = 4,
};

/* --- general-purpose events --- */

static uint64_t gpe_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct piix4_pm *pm = opaque;
    uint32_t block = pm->gpe_status | (uint32_t)pm->gpe_enable << 16;

    return (uint64_t)block >> (8 * offset) & ((1ULL << (8 * size)) - 1);
}

static void gpe_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct piix4_pm *pm = opaque;

    for (unsigned i = 0; i < size; i++) {
        unsigned at = (unsigned)offset + i;
        uint8_t byte = (uint8_t)(value >> (8 * i));

        if (at < 2)
            pm->gpe_status &= (uint16_t) ~((unsigned)byte << (8 * at));
        else
            store_byte(&pm->gpe_enable, at - 2, byte, 0xffff);
    }
    update(pm);
}

static const struct bus_ops gpe_ops = {
    .read = gpe_peek,
    .write = gpe_write,
    .peek = gpe_peek,
    .max_size = 4,
};

/* --- the SMI command port --- */

static uint64_t apm_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct piix4_pm *pm = opaque;

    (void)size;
    return offset == 0 ? pm->apm_control : pm->apm_status;
}

static void apm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct piix4_pm *pm = opaque;

    (void)size;
    if (offset != 0) {
        pm->apm_status = (uint8_t)value;
        return;
    }
    pm->apm_control = (uint8_t)value;
    if (value == PIIX4_PM_ACPI_ENABLE)
        pm->pm1_control |= CNT_SCI_EN;
    else if (value == PIIX4_PM_ACPI_DISABLE)
        pm->pm1_control &= (uint16_t)~CNT_SCI_EN;
    else
        pm->oddities++;
    update(pm);
}

static const struct bus_ops apm_ops = {
    .read = apm_peek,
    .write = apm_write,
    .peek = apm_peek,
    .max_size = 1,
};

/* --- configuration --- */

/* The PM registers answer while PMREGMISC enables them, at the base register's address. */
static void remap(void *opaque)
{
    struct piix4_pm *pm = opaque;
    uint32_t base = pci_config_peek(&pm->pci, PIIX4_PM_REG_PMBA, 4) & 0xffc0u;
    bool on = pm->pci.config[PIIX4_PM_REG_MISC] & PIIX4_PM_MISC_IO_EN;

    bus_move(pm->wiring.ports, &pm->pm_range, base, on ? PIIX4_PM_BYTES : 0);
}

static void config_written(void *opaque, unsigned offset, unsigned size)
{
    struct piix4_pm *pm = opaque;
    unsigned end = offset + size;

    if ((offset < PIIX4_PM_REG_PMBA + 4 && end > PIIX4_PM_REG_PMBA) ||
        (offset <= PIIX4_PM_REG_MISC && end > PIIX4_PM_REG_MISC))
        pci_remap(pm->pci.bus);
}

/* --- life cycle --- */

static int piix4_pm_post_load(void *obj)
{
    const struct piix4_pm *pm = obj;

    return pm->pm1_status & ~STS_BITS || pm->pm1_enable & ~EN_BITS ||
                   pm->pm1_control & ~CNT_STORED || pm->overflow_at % TIMER_HALF != 0
               ? -1
               : 0;
}

void piix4_pm_reset(void *obj)
{
    struct piix4_pm *pm = obj;

    pci_device_reset(&pm->pci);
    pm->overflow_at = next_half(timer_ticks(pm));
    pm->pm1_status = 0;
    pm->pm1_enable = 0;
    pm->pm1_control = 0;
    pm->gpe_status = 0;
    pm->gpe_enable = 0;
    pm->apm_control = 0;
    pm->apm_status = 0;
    update(pm);
}

void piix4_pm_init(struct piix4_pm *pm, struct pci_bus *bus, const struct piix4_pm_wiring *wiring)
{
    static const struct pci_ident ident = {
        .vendor = 0x8086,
        .device = 0x7113,
        .class_code = 0x068000,
        .revision = 3,
        .interrupt_pin = 1,
    };
    struct pci_hooks hooks = {.written = config_written, .remap = remap, .opaque = pm};

    *pm = (struct piix4_pm){.wiring = *wiring};
    pci_device_init(&pm->pci, bus, PCI_DEVFN(1, 3), &ident, &hooks);
    pci_set_register(&pm->pci, PCI_COMMAND, 2, 0, PCI_COMMAND_IO, 0);
    pci_set_register(&pm->pci, PCI_STATUS, 2, 0x0280, 0, 0);
    pci_set_register(&pm->pci, PIIX4_PM_REG_PMBA, 4, 1, 0xffc0, 0);
    pci_set_register(&pm->pci, PIIX4_PM_REG_MISC, 1, 0, PIIX4_PM_MISC_IO_EN, 0);
    pci_set_register(&pm->pci, 0x90, 4, 1, 0xfff0, 0); /* SMBus base */
    pci_set_register(&pm->pci, 0xd2, 1, 0, 0x0f, 0);   /* SMBus host configuration */
    bus_add(wiring->ports, &pm->pm_range, "piix4 pm", PIIX4_PM_BASE, 0, &pm_ops, pm);
    bus_add(wiring->ports, &pm->gpe_range, "piix4 gpe0", PIIX4_PM_GPE0, PIIX4_PM_GPE0_BYTES,
            &gpe_ops, pm);
    bus_add(wiring->ports, &pm->apm_range, "piix4 apm", APM_PORTS, 2, &apm_ops, pm);
    timer_init(&pm->timer, wiring->clock, timer_fired, pm, "pm timer");
}
