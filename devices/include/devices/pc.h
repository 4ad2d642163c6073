/* SPDX-License-Identifier: MIT */
/*
 * The PC board: a 440FX/PIIX machine as a kernel finds it after firmware, or, when its configuration says
 * that it starts in firmware, as that finds it.
 *
 *     struct machine *m = machine_create(&config, &pc_board, err, sizeof(err));
 *     const struct pc *pc = pc_of(m);      // for tools: the screen, whether the guest panicked
 *
 * The structs of all devices are here for those who look; who writes to them breaks the machine.
 */
#ifndef DEVICES_PC_H
#define DEVICES_PC_H

#include <stdbool.h>
#include <stdint.h>

#include <devices/apic_bus.h>
#include <devices/hpet.h>
#include <devices/i440fx.h>
#include <devices/i8042.h>
#include <devices/i8254.h>
#include <devices/i8259.h>
#include <devices/ioapic.h>
#include <devices/isa_misc.h>
#include <devices/lapic.h>
#include <devices/mc146818.h>
#include <devices/pc_firmware.h>
#include <devices/pci.h>
#include <devices/piix3.h>
#include <devices/piix4_pm.h>
#include <devices/ps2_mouse.h>
#include <devices/pvpanic.h>
#include <devices/uart16550.h>
#include <devices/vga_text.h>
#include <emu/machine.h>

#define PC_SERIAL_PORTS 2

/* Who can hold an ISA interrupt high. */
enum pc_irq_source { PC_IRQ_ISA, PC_IRQ_PIRQ, PC_IRQ_SCI, PC_IRQ_SOURCES };

/* Serial port n, as its sinks and its output know it. */
struct pc_serial {
    struct pc *pc;
    unsigned port;
    struct uart16550 uart;
};

struct pc {
    /* saved */
    uint16_t irq_levels[PC_IRQ_SOURCES]; /* interrupts that each source holds high */
    bool a20;                            /* the gate, by whoever wrote it last */

    /* wiring */
    struct machine *machine;
    struct i8259_pair pic;
    struct ioapic ioapic;
    struct apic_bus apic_bus;
    struct lapic *lapics; /* machine->ncpus of them */
    struct pci_bus pci;
    struct i440fx host_bridge;
    struct piix3 isa_bridge;
    struct piix4_pm pm;
    struct i8254 pit;
    struct mc146818 rtc;
    struct pc_serial serial[PC_SERIAL_PORTS];
    struct i8042 kbc;
    struct isa_misc misc;
    struct pvpanic pvpanic;
    struct vga_text vga;
    struct hpet hpet;       /* used when config.hpet */
    struct ps2_mouse mouse; /* used when config.mouse */
    struct pc_firmware firmware; /* used when the machine starts in firmware */
};

extern const struct machine_board pc_board;
extern const struct state_desc pc_desc;

/* The board of a machine that was created with pc_board. */
const struct pc *pc_of(const struct machine *m);

/* The guest has said through pvpanic that it panicked, since the last reset. */
bool pc_has_panicked(const struct pc *pc);

#endif
