/* SPDX-License-Identifier: MIT */
/*
 * The PC board: which devices there are, how they are wired, and what firmware would have done.
 *
 *   ISA interrupt n -> 8259A pin n and I/O APIC pin n, but 0 -> I/O APIC pin 2 and 2 -> neither
 * (the cascade). The 8259A's INT -> LINT0 of every local APIC, and I/O APIC pin 0 on a board that starts in
 * firmware (the two virtual wire modes of the MultiProcessor specification 1.4, 3.6.2.2). PIRQA..D -> PIIX3 routes -> ISA
 * interrupts. A HPET's timers -> I/O APIC pins 20 to 23, or ISA interrupts 0 and 8, which are then its
 * alone. The PM function's SCI -> ISA interrupt 9. FERR# of the CPU -> ISA interrupt 13, until port F0h is
 * written. An interrupt is high while any of its sources holds it.
 *
 * The order in pc_create is the order of reset and of saved state: interrupt controllers first, so
 * that each device's reset finds the controller reset already and says what its line is.
 *
 * A kernel entered without firmware expects what firmware leaves behind: the PM registers at their
 * port, PCI interrupts routed, their ISA interrupts level-triggered, shadow RAM open.
 * set_up_chipset does that, together with the ACPI tables, after each reset. A machine that starts in
 * firmware (config.firmware) has none of that done: its shadow RAM is closed, and the fw_cfg device tells
 * the firmware what it needs to know. The board has more parts then, and they come last.
 *
 * Not modelled: DMA controllers, floppy, IDE, USB, parallel port; their ports read all ones.
 */
#include <devices/pc.h>

#include <stdio.h>
#include <stdlib.h>

#include <devices/acpi_tables.h>

#define ISA_IRQS         16u
#define IRQ_TIMER        0u
#define IRQ_KEYBOARD     1u
#define IRQ_CASCADE      2u
#define IRQ_RTC          8u
#define IRQ_MOUSE        12u
#define IRQ_FPU          13u
#define IOAPIC_TIMER_PIN  2u
#define IOAPIC_EXTINT_PIN 0u
#define HPET_LEGACY_IRQS (1u << IRQ_TIMER | 1u << IRQ_RTC)

#define PM_DEVACTB      0x58u
#define DEVACTB_APMC_EN 0x02000000u

#define PORT_ELCR_HIGH 0x4d1u
#define ELCR_9_10_11   0x0eu

static int pc_post_load(void *obj);

static const struct field pc_fields[] = {
    FIELD_ARRAY(struct pc, irq_levels, FIELD_U16),
    FIELD(struct pc, a20, FIELD_BOOL),
};
const struct state_desc pc_desc = STATE_DESC("pc", 1, struct pc, pc_fields, pc_post_load);

/* --- interrupts --- */

static unsigned irq_levels(const struct pc *pc)
{
    unsigned levels = 0;

    for (unsigned i = 0; i < PC_IRQ_SOURCES; i++)
        levels |= pc->irq_levels[i];
    if (pc->hpet.isa_legacy)
        levels &= ~HPET_LEGACY_IRQS;
    return levels | pc->hpet.isa_lines;
}

/* The lines were `before`; tells the controllers what has changed. */
static void drive_changed(struct pc *pc, unsigned before)
{
    unsigned now = irq_levels(pc);
    unsigned changed = (before ^ now) & ~(1u << IRQ_CASCADE);

    for (; changed != 0; changed &= changed - 1) {
        unsigned irq = (unsigned)__builtin_ctz(changed);
        bool level = now >> irq & 1;

        i8259_set_pin(&pc->pic, irq, level);
        ioapic_set_pin(&pc->ioapic, irq == IRQ_TIMER ? IOAPIC_TIMER_PIN : irq, level);
    }
}

static void drive_irq(struct pc *pc, enum pc_irq_source source, unsigned irq, bool level)
{
    unsigned before = irq_levels(pc);
    uint16_t *mine = &pc->irq_levels[source];
    unsigned bit = 1u << irq;

    *mine = (uint16_t)(level ? *mine | bit : *mine & ~bit);
    drive_changed(pc, before);
}

static void set_hpet_irqs(void *opaque, uint16_t lines, bool legacy)
{
    struct pc *pc = opaque;
    unsigned before = irq_levels(pc);

    pc->hpet.isa_lines = lines;
    pc->hpet.isa_legacy = legacy;
    drive_changed(pc, before);
}

static void set_hpet_gsi(void *opaque, unsigned pin, bool level)
{
    struct pc *pc = opaque;

    ioapic_set_pin(&pc->ioapic, pin, level);
}

static void set_isa_irq(void *opaque, unsigned irq, bool level)
{
    drive_irq(opaque, PC_IRQ_ISA, irq, level);
}

static void set_pirq_irq(void *opaque, unsigned irq, bool level)
{
    drive_irq(opaque, PC_IRQ_PIRQ, irq, level);
}

static void set_sci(void *opaque, unsigned irq, bool level)
{
    drive_irq(opaque, PC_IRQ_SCI, irq, level);
}

static struct irq_line isa_irq(struct pc *pc, unsigned irq)
{
    return (struct irq_line){.set = set_isa_irq, .opaque = pc, .pin = irq};
}

static void set_pic_int(void *opaque, unsigned pin, bool level)
{
    struct pc *pc = opaque;

    for (unsigned i = 0; i < pc->apic_bus.nlapics; i++)
        lapic_set_lint(&pc->lapics[i], pin, level);
    if (pc->machine->config.firmware)
        ioapic_set_pin(&pc->ioapic, IOAPIC_EXTINT_PIN, level);
}

static uint8_t ack_pic(void *opaque)
{
    struct pc *pc = opaque;

    return (uint8_t)i8259_ack(&pc->pic);
}

static void remap_lapics(void *opaque)
{
    struct pc *pc = opaque;

    apic_bus_remap(&pc->apic_bus);
}

/* --- what devices ask of the machine --- */

static void request_reset(void *opaque)
{
    struct pc *pc = opaque;

    machine_request_stop(pc->machine, STOP_RESET);
}

static void request_power_off(void *opaque)
{
    struct pc *pc = opaque;

    machine_request_stop(pc->machine, STOP_POWEROFF);
}

static void request_exit(void *opaque, uint32_t value)
{
    struct pc *pc = opaque;

    machine_request_exit(pc->machine, (uint8_t)(value << 1 | 1));
}

/* Port 92h and the keyboard controller: the one written last decides, as on most chip sets. */
static void set_a20(void *opaque, bool open)
{
    struct pc *pc = opaque;

    pc->a20 = open;
    machine_set_a20(pc->machine, open);
}

/* FERR# sets IRQ 13, port F0h takes it back and lets the CPU go on in spite of the error (PIIX3). That this is switched
 * on in the PIIX3 (XBCS, bit 5) is not asked. */
static void fpu_error(void *opaque)
{
    drive_irq(opaque, PC_IRQ_ISA, IRQ_FPU, true);
}

static void fpu_error_seen(void *opaque)
{
    struct pc *pc = opaque;

    drive_irq(pc, PC_IRQ_ISA, IRQ_FPU, false);
    machine_ignore_fpu_error(pc->machine);
}

static void post_code(void *opaque, uint8_t byte)
{
    struct pc *pc = opaque;

    machine_post_code(pc->machine, byte);
}

static void debug_out(void *opaque, uint16_t port, uint8_t byte)
{
    struct pc *pc = opaque;

    machine_debug_out(pc->machine, port, byte);
}

static void serial_out(void *opaque, const uint8_t *data, size_t len)
{
    struct pc_serial *serial = opaque;

    machine_serial_out(serial->pc->machine, serial->port, data, len);
}

static void set_window(void *opaque, unsigned block, enum ram_window what)
{
    struct pc *pc = opaque;

    machine_set_window(pc->machine, block, what);
}

static uint8_t rom_byte(void *opaque, uint64_t gpa)
{
    const struct pc *pc = opaque;

    return ram_rom_byte(&pc->machine->ram, gpa);
}

static void write_shadow(void *opaque, uint64_t gpa, uint8_t byte)
{
    struct pc *pc = opaque;

    ram_write_home(&pc->machine->ram, gpa, byte);
}

/* --- inputs --- */

static bool serial_ready(void *opaque)
{
    const struct pc_serial *serial = opaque;

    return uart16550_can_receive(&serial->uart);
}

/* The line has no flow control: bytes beyond the receiver's room are overruns, as on hardware. */
static void serial_deliver(void *opaque, const uint8_t *data, size_t len)
{
    struct pc_serial *serial = opaque;

    for (size_t i = 0; i < len; i++)
        uart16550_receive(&serial->uart, data[i]);
}

/* The other end is gone: its carrier drops. */
static void serial_eof(void *opaque, const uint8_t *data, size_t len)
{
    struct pc_serial *serial = opaque;

    (void)data, (void)len;
    uart16550_set_modem(&serial->uart, UART16550_CTS | UART16550_DSR);
}

static void power_button(void *opaque, const uint8_t *data, size_t len)
{
    (void)data, (void)len;
    piix4_pm_power_button(opaque);
}

static void add_sinks(struct pc *pc)
{
    struct input_door *door = &pc->machine->door;

    for (unsigned i = 0; i < PC_SERIAL_PORTS; i++) {
        input_door_add(door, &(struct input_sink){.kind = INPUT_SERIAL,
                                                  .port = i,
                                                  .ready = serial_ready,
                                                  .deliver = serial_deliver,
                                                  .opaque = &pc->serial[i]});
        input_door_add(door, &(struct input_sink){.kind = INPUT_SERIAL_EOF,
                                                  .port = i,
                                                  .deliver = serial_eof,
                                                  .opaque = &pc->serial[i]});
    }
    input_door_add(door, &(struct input_sink){.kind = INPUT_KEY,
                                              .ready = i8042_key_ready,
                                              .deliver = i8042_key_deliver,
                                              .opaque = &pc->kbc});
    input_door_add(door, &(struct input_sink){
                             .kind = INPUT_POWER, .deliver = power_button, .opaque = &pc->pm});
}

/* --- assembly --- */

static void add_interrupt_controllers(struct pc *pc)
{
    struct machine *m = pc->machine;

    apic_bus_init(&pc->apic_bus, ioapic_eoi, &pc->ioapic);
    pc->apic_bus.sends_nmi = ioapic_sends_nmi;
    for (unsigned i = 0; i < m->ncpus; i++) {
        struct lapic_wiring wiring = {
            .clock = &m->clock,
            .memory = &m->memory,
            .bus = &pc->apic_bus,
            .index = i,
            .lines = machine_connect_intc(m, i, &lapic_intc_ops, &pc->lapics[i]),
            .pic_ack = ack_pic,
            .pic = pc,
        };

        lapic_init(&pc->lapics[i], &wiring);
        machine_add_part(m, &lapic_desc, &pc->lapics[i], lapic_reset);
    }
    ioapic_init(&pc->ioapic, &(struct ioapic_wiring){.memory = &m->memory, .bus = &pc->apic_bus});
    machine_add_part(m, &ioapic_desc, &pc->ioapic, ioapic_reset);
    i8259_init(&pc->pic, &(struct i8259_wiring){
                             .ports = &m->ports,
                             .intr = {.set = set_pic_int, .opaque = pc, .pin = 0},
                         });
    machine_add_part(m, &i8259_desc, &pc->pic, i8259_reset);
}

static void add_pci(struct pc *pc)
{
    struct machine *m = pc->machine;

    pci_bus_init(&pc->pci, &(struct pci_bus_wiring){
                               .ports = &m->ports,
                               .memory = &m->memory,
                               .set_pirq = piix3_set_pirq,
                               .pirq_opaque = &pc->isa_bridge,
                               .cf9_peek = piix3_cf9_peek,
                               .cf9_write = piix3_cf9_write,
                               .cf9_opaque = &pc->isa_bridge,
                               .after_remap = remap_lapics,
                               .remap_opaque = pc,
                           });
    machine_add_part(m, &pci_bus_desc, &pc->pci, pci_bus_reset);
    i440fx_init(&pc->host_bridge, &pc->pci,
                &(struct i440fx_wiring){.memory = &m->memory,
                                        .set_window = m->config.firmware ? set_window : NULL,
                                        .rom_byte = rom_byte,
                                        .write_shadow = write_shadow,
                                        .opaque = pc});
    machine_add_part(m, &i440fx_desc, &pc->host_bridge, i440fx_reset);
    piix3_init(
        &pc->isa_bridge, &pc->pci,
        &(struct piix3_wiring){
            .set_irq = set_pirq_irq, .irq_opaque = pc, .reset = request_reset, .reset_opaque = pc});
    machine_add_part(m, &piix3_desc, &pc->isa_bridge, piix3_reset);
    piix4_pm_init(&pc->pm, &pc->pci,
                  &(struct piix4_pm_wiring){
                      .clock = &m->clock,
                      .ports = &m->ports,
                      .sci = {.set = set_sci, .opaque = pc, .pin = PIIX4_PM_SCI_IRQ},
                      .power_off = request_power_off,
                      .power_opaque = pc,
                  });
    if (m->config.firmware) /* as after SMM was set up: there is none, and firmware would wait for it */
        pci_set_register(&pc->pm.pci, PM_DEVACTB, 4, DEVACTB_APMC_EN, 0, 0);
    machine_add_part(m, &piix4_pm_desc, &pc->pm, piix4_pm_reset);
}

static void add_timers(struct pc *pc)
{
    struct machine *m = pc->machine;

    i8254_init(&pc->pit, &(struct i8254_wiring){.clock = &m->clock,
                                                .ports = &m->ports,
                                                .irq0 = isa_irq(pc, IRQ_TIMER)});
    machine_add_part(m, &i8254_desc, &pc->pit, i8254_reset);
    mc146818_init(&pc->rtc, &(struct mc146818_wiring){
                                .clock = &m->clock,
                                .ports = &m->ports,
                                .irq8 = isa_irq(pc, IRQ_RTC),
                                .rtc_base = m->config.rtc_base,
                                .ram_low_bytes = m->ram.low_bytes,
                                .ram_high_bytes = m->ram.bytes - m->ram.low_bytes,
                            });
    machine_add_part(m, &mc146818_desc, &pc->rtc, mc146818_reset);
}

static void add_serial_ports(struct pc *pc)
{
    static const struct {
        uint16_t base;
        unsigned irq;
        const char *name;
    } ports[PC_SERIAL_PORTS] = {{0x3f8, 4, "com1"}, {0x2f8, 3, "com2"}};
    struct machine *m = pc->machine;

    for (unsigned i = 0; i < PC_SERIAL_PORTS; i++) {
        struct pc_serial *serial = &pc->serial[i];

        serial->pc = pc;
        serial->port = i;
        uart16550_init(&serial->uart, &(struct uart16550_wiring){
                                          .clock = &m->clock,
                                          .ports = &m->ports,
                                          .base = ports[i].base,
                                          .irq = isa_irq(pc, ports[i].irq),
                                          .name = ports[i].name,
                                          .out = serial_out,
                                          .opaque = serial,
                                      });
        machine_add_part(m, &uart16550_desc, &serial->uart, uart16550_reset);
    }
}

static void add_isa_devices(struct pc *pc)
{
    struct machine *m = pc->machine;

    i8042_init(&pc->kbc, &(struct i8042_wiring){
                             .clock = &m->clock,
                             .ports = &m->ports,
                             .irq1 = isa_irq(pc, IRQ_KEYBOARD),
                             .irq12 = isa_irq(pc, IRQ_MOUSE),
                             .aux = m->config.mouse ? ps2_mouse_aux(&pc->mouse)
                                                    : (struct i8042_aux){.write = NULL},
                             .set_a20 = set_a20,
                             .reset = request_reset,
                             .opaque = pc,
                         });
    machine_add_part(m, &i8042_desc, &pc->kbc, i8042_reset);
    isa_misc_init(&pc->misc, &(struct isa_misc_wiring){
                                 .ports = &m->ports,
                                 .set_a20 = set_a20,
                                 .fast_reset = request_reset,
                                 .post_code = post_code,
                                 .fpu_error = fpu_error_seen,
                                 .debug_out = debug_out,
                                 .debug_exit = request_exit,
                                 .opaque = pc,
                             });
    machine_add_part(m, &isa_misc_desc, &pc->misc, isa_misc_reset);
    machine_connect_ferr(m, fpu_error, pc);
    pvpanic_init(&pc->pvpanic, &(struct pvpanic_wiring){.ports = &m->ports});
    machine_add_part(m, &pvpanic_desc, &pc->pvpanic, pvpanic_reset);
    vga_text_init(&pc->vga, &(struct vga_text_wiring){
                                .clock = &m->clock, .ports = &m->ports, .memory = &m->memory});
    machine_add_part(m, &vga_text_desc, &pc->vga, vga_text_reset);
}

/* Parts that the configuration asks for; behind all others, which keep their places in digests. */
static void add_optional_devices(struct pc *pc)
{
    struct machine *m = pc->machine;

    if (m->config.hpet) {
        hpet_init(&pc->hpet, &(struct hpet_wiring){.clock = &m->clock,
                                                   .memory = &m->memory,
                                                   .set_gsi = set_hpet_gsi,
                                                   .set_isa = set_hpet_irqs,
                                                   .opaque = pc});
        machine_add_part(m, &hpet_desc, &pc->hpet, hpet_reset);
    }
    if (m->config.mouse) {
        ps2_mouse_init(&pc->mouse, &pc->kbc);
        machine_add_part(m, &ps2_mouse_desc, &pc->mouse, ps2_mouse_reset);
        input_door_add(&m->door, &(struct input_sink){.kind = INPUT_POINTER,
                                                      .deliver = ps2_mouse_deliver,
                                                      .opaque = &pc->mouse});
    }
}

static int add_firmware_interface(struct pc *pc, char *err, size_t errlen)
{
    if (pc_firmware_init(&pc->firmware, pc->machine, err, errlen) != 0)
        return -1;
    machine_add_part(pc->machine, &fw_cfg_desc, &pc->firmware.fw_cfg, fw_cfg_reset);
    return 0;
}

static int pc_post_load(void *obj)
{
    struct pc *pc = obj;

    machine_set_a20(pc->machine, pc->a20);
    return 0;
}

static void pc_reset(void *obj)
{
    struct pc *pc = obj;

    for (unsigned i = 0; i < PC_IRQ_SOURCES; i++)
        pc->irq_levels[i] = 0;
    pc->hpet.isa_lines = 0; /* or they would stand in the way until its turn comes */
    pc->hpet.isa_legacy = false;
    set_a20(pc, true);
}

static void pc_destroy(void *board)
{
    struct pc *pc = board;

    if (pc == NULL)
        return;
    free(pc->lapics);
    free(pc);
}

static void *pc_create(struct machine *m, char *err, size_t errlen)
{
    struct pc *pc = calloc(1, sizeof(*pc));

    if (pc != NULL && m->ncpus <= APIC_BUS_MAX_CPUS)
        pc->lapics = calloc(m->ncpus, sizeof(*pc->lapics));
    if (pc == NULL || pc->lapics == NULL) {
        snprintf(err, errlen, "the PC board needs memory, and takes 1 to %d CPUs",
                 APIC_BUS_MAX_CPUS);
        pc_destroy(pc);
        return NULL;
    }
    pc->machine = m;
    add_interrupt_controllers(pc);
    machine_add_part(m, &pc_desc, pc, pc_reset);
    add_pci(pc);
    add_timers(pc);
    add_serial_ports(pc);
    add_isa_devices(pc);
    add_optional_devices(pc);
    if (m->config.firmware && add_firmware_interface(pc, err, errlen) != 0) {
        pc_destroy(pc);
        return NULL;
    }
    add_sinks(pc);
    return pc;
}

/* --- what firmware does --- */

static void set_up_chipset(struct pc *pc)
{
    pci_config_write(&pc->host_bridge.pci, 0x59, 0x30, 1); /* PAM: shadow RAM, read and write */
    pci_config_write(&pc->host_bridge.pci, 0x5a, 0x33333333, 4);
    pci_config_write(&pc->host_bridge.pci, 0x5e, 0x3333, 2);
    pci_config_write(&pc->isa_bridge.pci, 0x60, 0x0b0b0a0a, 4); /* PIRQA, B: 10; C, D: 11 */
    bus_write(&pc->machine->ports, PORT_ELCR_HIGH, ELCR_9_10_11, 1);
    pci_config_write(&pc->pm.pci, PIIX4_PM_REG_PMBA, PIIX4_PM_BASE, 4);
    pci_config_write(&pc->pm.pci, PIIX4_PM_REG_MISC, PIIX4_PM_MISC_IO_EN, 1);
    pci_config_write(&pc->pm.pci, PCI_INTERRUPT_LINE, PIIX4_PM_SCI_IRQ, 1);
}

static uint64_t pc_place_tables(void *board, struct machine *m)
{
    struct pc *pc = board;
    uint8_t tables[ACPI_TABLES_MAX_BYTES];
    const struct acpi_machine acpi = {
        .ncpus = m->ncpus, .hpet = m->config.hpet != 0, .mouse = m->config.mouse != 0};
    size_t len = acpi_tables_build(&acpi, ACPI_TABLES_BASE, tables, sizeof(tables));

    if (m->config.firmware)
        return 0;
    set_up_chipset(pc);
    if (len == 0 || !ram_write(&m->ram, ACPI_TABLES_BASE, tables, len))
        return 0;
    return ACPI_TABLES_BASE;
}

const struct machine_board pc_board = {
    .name = "pc",
    .create = pc_create,
    .destroy = pc_destroy,
    .place_tables = pc_place_tables,
};

const struct pc *pc_of(const struct machine *m)
{
    return m->board;
}

bool pc_has_panicked(const struct pc *pc)
{
    return pc->pvpanic.panicked;
}
