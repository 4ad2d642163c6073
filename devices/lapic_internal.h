/* SPDX-License-Identifier: MIT */
/* What lapic.c, lapic_regs.c and lapic_timer.c share. */
#ifndef DEVICES_LAPIC_INTERNAL_H
#define DEVICES_LAPIC_INTERNAL_H

#include <devices/lapic.h>

#define BASE_BSP  (1u << 8)
#define BASE_EXTD (1u << 10)
#define BASE_EN   (1u << 11)
#define BASE_ADDR (((1ULL << LAPIC_PHYS_BITS) - 1) & ~0xfffULL)

#define SVR_VECTOR           0xffu
#define SVR_ENABLE           (1u << 8)
#define SVR_FOCUS            (1u << 9)
#define SVR_NO_EOI_BROADCAST (1u << 12)

#define LVT_VECTOR       0xffu
#define LVT_MODE_SHIFT   8
#define LVT_MODE         (7u << LVT_MODE_SHIFT)
#define LVT_STATUS       (1u << 12)
#define LVT_POLARITY     (1u << 13)
#define LVT_REMOTE_IRR   (1u << 14)
#define LVT_LEVEL        (1u << 15)
#define LVT_MASKED       (1u << 16)
#define LVT_PERIODIC     (1u << 17)
#define LVT_TSC_DEADLINE (1u << 18)

#define ICR_LOGICAL         (1u << 11)
#define ICR_ASSERT          (1u << 14)
#define ICR_LEVEL           (1u << 15)
#define ICR_SHORTHAND_SHIFT 18
#define ICR_BITS            0x000ccfffu

#define ESR_SEND_ILLEGAL (1u << 5)
#define ESR_RECV_ILLEGAL (1u << 6)
#define ESR_REGISTER     (1u << 7)

static inline bool lapic_is_enabled(const struct lapic *l)
{
    return (l->base_msr & BASE_EN) != 0;
}

static inline bool lapic_is_x2apic(const struct lapic *l)
{
    return (l->base_msr & BASE_EXTD) != 0;
}

/* lapic.c */
void lapic_reset_registers(struct lapic *l); /* SDM 11.4.7.1; IA32_APIC_BASE and pins stay */
void lapic_update_intr(struct lapic *l);
void lapic_error(struct lapic *l, uint32_t esr_bit);
void lapic_raise_lvt(struct lapic *l, enum lapic_lvt n);
/* A fixed, level-triggered LINT pin that is high: one interrupt, then none until its EOI. */
void lapic_lint_service(struct lapic *l, unsigned pin);
void lapic_eoi(struct lapic *l);
void lapic_send_ipi(struct lapic *l);
void lapic_self_ipi(struct lapic *l, uint8_t vector);
uint32_t lapic_logical_id(const struct lapic *l);
/* Highest vector set in a 256-bit register, or -1. */
int lapic_highest(const uint32_t reg[8]);

/* lapic_regs.c */
extern const struct bus_ops lapic_mmio_ops;
int lapic_rdmsr(void *opaque, uint32_t msr, uint64_t *value);
int lapic_wrmsr(void *opaque, uint32_t msr, uint64_t value);

/* lapic_timer.c */
void lapic_timer_init(struct lapic *l);
void lapic_timer_reset(struct lapic *l);
uint32_t lapic_timer_current(const struct lapic *l);
void lapic_timer_set_initial(struct lapic *l, uint32_t count);
void lapic_timer_set_divide(struct lapic *l, uint32_t value);
void lapic_timer_set_lvt(struct lapic *l, uint32_t value); /* masked to its valid bits */
uint64_t lapic_timer_get_deadline(const struct lapic *l);
void lapic_timer_set_deadline(struct lapic *l, uint64_t tsc);
void lapic_timer_rearm(struct lapic *l);

#endif
