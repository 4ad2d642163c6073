/* SPDX-License-Identifier: MIT */
/*
 * The MC146818 real-time clock and the PC's battery-backed CMOS memory.
 *
 *     struct mc146818 rtc;
 *     mc146818_init(&rtc, &(struct mc146818_wiring){
 *         .clock = &m->clock, .ports = &m->ports, .irq8 = line, .rtc_base = config->rtc_base,
 *         .ram_low_bytes = m->ram.low_bytes,
 *         .ram_high_bytes = m->ram.bytes - m->ram.low_bytes});
 *     machine_add_part(m, &mc146818_desc, &rtc, mc146818_reset);
 *
 * Ports 70h-71h (the chip's 128 bytes) and 72h-73h (the upper 128 of the PCI bridges).
 */
#ifndef DEVICES_MC146818_H
#define DEVICES_MC146818_H

#include <stdbool.h>
#include <stdint.h>

#include <emu/bus.h>
#include <emu/clock.h>
#include <emu/irq.h>
#include <emu/state.h>

struct mc146818_wiring {
    struct clock *clock;
    struct bus *ports;
    struct irq_line irq8;
    int64_t rtc_base;        /* seconds since 1970 (UTC) that the RTC shows at virtual time 0 */
    uint64_t ram_low_bytes;  /* RAM from address 0 up to its end below 4 GiB */
    uint64_t ram_high_bytes; /* RAM from 4 GiB on */
    /* Port 70h bit 7: true masks NMI. Called on every write of the port. NULL: nobody cares. */
    void (*set_nmi_mask)(void *opaque, bool masked);
    void *opaque;
};

struct mc146818 {
    /* saved */
    uint64_t base_seconds; /* two's complement: seconds since 1970 that the clock shows ... */
    uint64_t base_ns;      /* ... at this moment, an update; modulo 2^64, so it may precede 0 */
    uint64_t seen_ns;      /* PF, AF and UF are accounted for up to here */
    uint8_t ram[256];      /* [0..9] and [32h]: the time while it stands still; A to D below */
    uint8_t index;
    uint8_t upper_index;
    uint8_t dow_shift; /* 0..6: how far the guest's day of the week is from the calendar's */
    bool nmi_masked;
    /* wiring */
    struct clock *clock;
    struct irq_line irq8;
    void (*set_nmi_mask)(void *opaque, bool masked);
    void *opaque;
    struct timer timer;
    struct bus_range range;
};

extern const struct state_desc mc146818_desc;

/* Fresh battery: the time is rtc_base, CMOS memory holds what firmware keeps there. */
void mc146818_init(struct mc146818 *rtc, const struct mc146818_wiring *wiring);

/* The chip's RESET pin. The battery keeps the time and the memory, so they stay. */
void mc146818_reset(void *obj);

/* The IRQ output (IRQF of register C), as of the last access or timer. */
bool mc146818_irq_level(const struct mc146818 *rtc);

/* One byte of CMOS memory for the board (0Eh..FFh but 32h), as firmware would set it. */
void mc146818_set_cmos(struct mc146818 *rtc, uint8_t index, uint8_t value);

#endif
