/* SPDX-License-Identifier: MIT */
/* PIIX4 power management against ACPI 6.4, 4.8, and the 82371AB data sheet. */
#include "device_test.h"

#include <devices/piix4_pm.h>

#define PM_BASE 0x600
#define STS     (PM_BASE + 0)
#define EN      (PM_BASE + 2)
#define CNT     (PM_BASE + 4)
#define TMR     (PM_BASE + 8)
#define SCI     9

struct world {
    struct fake_machine fm;
    struct irq_recorder rec;
    struct pci_bus bus;
    struct piix4_pm pm;
    unsigned power_offs;
};

static void power_off(void *opaque)
{
    ((struct world *)opaque)->power_offs++;
}

static void no_pirq(void *opaque, unsigned pirq, bool level)
{
    (void)opaque, (void)pirq, (void)level;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    fake_init(&w->fm);
    irq_recorder_init(&w->rec);
    pci_bus_init(&w->bus, &(struct pci_bus_wiring){
                              .ports = &w->fm.ports, .memory = &w->fm.memory, .set_pirq = no_pirq});
    piix4_pm_init(&w->pm, &w->bus,
                  &(struct piix4_pm_wiring){.clock = &w->fm.clock,
                                            .ports = &w->fm.ports,
                                            .sci = irq_recorder_line(&w->rec, SCI),
                                            .power_off = power_off,
                                            .power_opaque = w});
    piix4_pm_reset(&w->pm);
    pci_config_write(&w->pm.pci, 0x40, PM_BASE, 4);
    pci_config_write(&w->pm.pci, 0x80, 1, 1);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    assert_state_survives(&piix4_pm_desc, &w->pm);
    free(w);
    return 0;
}

static void wr16(struct world *w, uint16_t port, uint16_t value)
{
    out16(&w->fm, port, value);
    assert_state_survives(&piix4_pm_desc, &w->pm);
}

static void wr8(struct world *w, uint16_t port, uint8_t value)
{
    out8(&w->fm, port, value);
    assert_state_survives(&piix4_pm_desc, &w->pm);
}

static void acpi_on(struct world *w)
{
    wr8(w, 0xb2, 0xf1);
}

static void identification(void **state)
{
    struct world *w = *state;

    assert_int_equal(pci_config_peek(&w->pm.pci, 0x00, 4), 0x71138086);
    assert_int_equal(pci_config_peek(&w->pm.pci, 0x08, 4), 0x06800003);
    assert_int_equal(pci_config_peek(&w->pm.pci, 0x3d, 1), 1);
    assert_int_equal(pci_config_peek(&w->pm.pci, 0x40, 4), PM_BASE | 1);
}

static void the_registers_are_where_the_base_puts_them(void **state)
{
    struct world *w = *state;

    wr16(w, EN, 0x0100);
    assert_int_equal(in16(&w->fm, EN), 0x0100);
    pci_config_write(&w->pm.pci, 0x40, 0xb000, 4);
    assert_int_equal(in16(&w->fm, EN), 0xffff);
    assert_int_equal(in16(&w->fm, 0xb002), 0x0100);
    pci_config_write(&w->pm.pci, 0x80, 0, 1);
    assert_int_equal(in16(&w->fm, 0xb002), 0xffff);
    pci_config_write(&w->pm.pci, 0x40, 0xffffffff, 4);
    assert_int_equal(pci_config_peek(&w->pm.pci, 0x40, 4), 0xffc1);
}

static void nothing_answers_after_reset(void **state)
{
    struct world *w = *state;

    piix4_pm_reset(&w->pm);
    assert_int_equal(in16(&w->fm, EN), 0xffff);
    assert_int_equal(pci_config_peek(&w->pm.pci, 0x40, 4), 1);
}

static void smi_command_switches_acpi_mode(void **state)
{
    struct world *w = *state;

    assert_int_equal(in16(&w->fm, CNT) & 1, 0);
    acpi_on(w);
    assert_int_equal(in16(&w->fm, CNT) & 1, 1);
    assert_int_equal(in8(&w->fm, 0xb2), 0xf1);
    wr8(w, 0xb2, 0xf0);
    assert_int_equal(in16(&w->fm, CNT) & 1, 0);
    wr8(w, 0xb2, 0x55);
    assert_int_equal(in16(&w->fm, CNT) & 1, 0);
    wr8(w, 0xb3, 0x77);
    assert_int_equal(in8(&w->fm, 0xb3), 0x77);
}

static void enable_and_control_keep_their_defined_bits(void **state)
{
    struct world *w = *state;

    wr16(w, EN, 0xffff);
    assert_int_equal(in16(&w->fm, EN), 0x0521);
    wr16(w, CNT, 0xdfff); /* all but SLP_EN */
    assert_int_equal(in16(&w->fm, CNT), 0x1c03);
    wr8(w, EN + 1, 0);
    assert_int_equal(in16(&w->fm, EN), 0x0021);
    assert_int_equal(w->power_offs, 0);
}

static void the_power_button_raises_sci_until_its_status_is_cleared(void **state)
{
    struct world *w = *state;

    acpi_on(w);
    wr16(w, EN, 0x0100);
    assert_false(w->rec.level[SCI]);
    piix4_pm_power_button(&w->pm);
    assert_true(w->rec.level[SCI]);
    assert_int_equal(in16(&w->fm, STS), 0x0100);
    wr16(w, STS, 0x0001); /* another bit */
    assert_true(w->rec.level[SCI]);
    wr16(w, STS, 0x0100);
    assert_false(w->rec.level[SCI]);
    assert_int_equal(in16(&w->fm, STS), 0);
}

static void sci_needs_acpi_mode_and_the_enable_bit(void **state)
{
    struct world *w = *state;

    piix4_pm_power_button(&w->pm);
    assert_int_equal(in16(&w->fm, STS), 0x0100);
    assert_false(w->rec.level[SCI]);
    wr16(w, EN, 0x0100);
    assert_false(w->rec.level[SCI]);
    acpi_on(w);
    assert_true(w->rec.level[SCI]);
    wr16(w, EN, 0);
    assert_false(w->rec.level[SCI]);
}

static void soft_off(void **state)
{
    struct world *w = *state;

    wr16(w, CNT, 0x0001);
    assert_int_equal(w->power_offs, 0);
    wr16(w, CNT, 0x2401); /* SLP_TYP 1: no such state here */
    assert_int_equal(w->power_offs, 0);
    assert_int_equal(w->pm.oddities, 1);
    wr16(w, CNT, 0x2001); /* SLP_TYP 0, SLP_EN */
    assert_int_equal(w->power_offs, 1);
    assert_int_equal(in16(&w->fm, CNT) & 0x2000, 0); /* write-only */
    wr8(w, CNT + 1, 0x20);                           /* by the byte */
    assert_int_equal(w->power_offs, 2);
}

static void the_timer_counts_at_its_rate_in_24_bits(void **state)
{
    struct world *w = *state;
    uint32_t start = in32(&w->fm, TMR);

    fake_advance(&w->fm, NS_PER_SEC);
    assert_int_equal((in32(&w->fm, TMR) - start) & 0xffffff, 3579545);
    fake_run_until(&w->fm, ticks_to_ns(0x1000000, PIIX4_PM_TIMER_HZ) - 1);
    assert_int_equal(in32(&w->fm, TMR), 0xffffff);
    fake_advance(&w->fm, 1);
    assert_int_equal(in32(&w->fm, TMR), 0);
    assert_int_equal(peek8(&w->fm, TMR), 0);
}

static void a_change_of_bit_23_sets_timer_status(void **state)
{
    struct world *w = *state;
    uint64_t half = ticks_to_ns(0x800000, PIIX4_PM_TIMER_HZ);

    fake_run_until(&w->fm, half - 1);
    assert_int_equal(in16(&w->fm, STS), 0);
    fake_advance(&w->fm, 1);
    assert_int_equal(peek8(&w->fm, STS), 1);
    assert_int_equal(in16(&w->fm, STS), 1);
    assert_int_equal(in16(&w->fm, STS), 1); /* reading does not clear */
    wr16(w, STS, 1);
    assert_int_equal(in16(&w->fm, STS), 0);
    fake_run_until(&w->fm, ticks_to_ns(0x1000000, PIIX4_PM_TIMER_HZ));
    assert_int_equal(in16(&w->fm, STS), 1);
}

static void the_timer_raises_sci_only_when_enabled(void **state)
{
    struct world *w = *state;
    uint64_t half = ticks_to_ns(0x800000, PIIX4_PM_TIMER_HZ);

    assert_true(clock_next_deadline_ns(&w->fm.clock) == CLOCK_NEVER);
    acpi_on(w);
    wr16(w, EN, 1);
    fake_run_until(&w->fm, half - 1);
    clock_run_due(&w->fm.clock);
    assert_false(w->rec.level[SCI]);
    fake_run_until(&w->fm, half);
    clock_run_due(&w->fm.clock);
    assert_true(w->rec.level[SCI]);
    wr16(w, STS, 1);
    assert_false(w->rec.level[SCI]);
    fake_run_until(&w->fm, 2 * half);
    clock_run_due(&w->fm.clock);
    assert_int_equal(w->rec.rises[SCI], 2);
    wr16(w, STS, 1);
    wr16(w, EN, 0);
    assert_true(clock_next_deadline_ns(&w->fm.clock) == CLOCK_NEVER);
}

static void an_overflow_while_disabled_raises_sci_on_enabling(void **state)
{
    struct world *w = *state;

    acpi_on(w);
    fake_run_until(&w->fm, ticks_to_ns(0x800000, PIIX4_PM_TIMER_HZ) + 500);
    wr16(w, EN, 1);
    assert_true(w->rec.level[SCI]);
}

static void gpe_block_has_status_and_enable(void **state)
{
    struct world *w = *state;

    assert_int_equal(in32(&w->fm, 0xafe0), 0);
    wr16(w, 0xafe2, 0xa5c3);
    assert_int_equal(in8(&w->fm, 0xafe2), 0xc3);
    assert_int_equal(in8(&w->fm, 0xafe3), 0xa5);
    w->pm.gpe_status = 0x0003; /* as an event would */
    acpi_on(w);
    assert_true(w->rec.level[SCI]);
    wr8(w, 0xafe0, 0x03);
    assert_int_equal(in16(&w->fm, 0xafe0), 0);
    assert_false(w->rec.level[SCI]);
}

static void unmodelled_registers_read_zero_and_are_counted(void **state)
{
    struct world *w = *state;

    out32(&w->fm, PM_BASE + 0x10, 0xffffffff);
    assert_int_equal(in32(&w->fm, PM_BASE + 0x10), 0);
    assert_int_equal(w->pm.oddities, 5); /* four bytes and a read */
}

static void every_field_is_saved(void **state)
{
    struct state_desc own = piix4_pm_desc;

    (void)state;
    own.fields++; /* the PCI part comes first; test_pci checks it */
    own.nfields--;
    assert_every_field_in_table(&own, offsetof(struct piix4_pm, overflow_at),
                                MEMBER_END(struct piix4_pm, apm_status));
}

static void loading_moves_the_registers_and_rejects_nonsense(void **state)
{
    struct world *w = *state;
    uint8_t saved[512];
    size_t size = state_saved_size(&piix4_pm_desc);
    struct piix4_pm bad;

    wr16(w, EN, 0x0100);
    state_save(&piix4_pm_desc, &w->pm, saved);
    piix4_pm_reset(&w->pm);
    assert_int_equal(state_load(&piix4_pm_desc, &w->pm, saved, size), 0);
    assert_int_equal(in16(&w->fm, EN), 0x0100);
    bad = w->pm;
    bad.pm1_enable = 0x8000;
    state_save(&piix4_pm_desc, &bad, saved);
    assert_int_equal(state_load(&piix4_pm_desc, &w->pm, saved, size), -1);
    assert_int_equal(in16(&w->fm, EN), 0x0100);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(identification),
        T(the_registers_are_where_the_base_puts_them),
        T(nothing_answers_after_reset),
        T(smi_command_switches_acpi_mode),
        T(enable_and_control_keep_their_defined_bits),
        T(the_power_button_raises_sci_until_its_status_is_cleared),
        T(sci_needs_acpi_mode_and_the_enable_bit),
        T(soft_off),
        T(the_timer_counts_at_its_rate_in_24_bits),
        T(a_change_of_bit_23_sets_timer_status),
        T(the_timer_raises_sci_only_when_enabled),
        T(an_overflow_while_disabled_raises_sci_on_enabling),
        T(gpe_block_has_status_and_enable),
        T(unmodelled_registers_read_zero_and_are_counted),
        T(every_field_is_saved),
        T(loading_moves_the_registers_and_rejects_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
