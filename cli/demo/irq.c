/* SPDX-License-Identifier: MIT */
/* The PC's interrupt controllers (8259A, cascaded) and its timer (8254 channel 0). */
#include <stddef.h>

#include "cpu.h"
#include "trap.h"

#define PIC1_COMMAND  0x20u
#define PIC1_DATA     0x21u
#define PIC2_COMMAND  0xa0u
#define PIC2_DATA     0xa1u
#define ICW1_INIT     0x11u /* edge-triggered, cascaded, ICW4 follows */
#define ICW4_8086     0x01u
#define OCW2_EOI      0x20u
#define OCW3_READ_ISR 0x0bu
#define CASCADE_IRQ   2u

#define PIT_CHANNEL0       0x40u
#define PIT_CONTROL        0x43u
#define PIT_RATE_GENERATOR 0x34u /* channel 0, low then high byte, mode 2 */
#define PIT_HZ             1193182u

#define IRQS 16u

static void (*handlers[IRQS])(void);

static void program_pics(void)
{
    outb(PIC1_COMMAND, ICW1_INIT);
    outb(PIC2_COMMAND, ICW1_INIT);
    outb(PIC1_DATA, VECTOR_IRQ0);
    outb(PIC2_DATA, VECTOR_IRQ0 + 8);
    outb(PIC1_DATA, 1u << CASCADE_IRQ);
    outb(PIC2_DATA, CASCADE_IRQ);
    outb(PIC1_DATA, ICW4_8086);
    outb(PIC2_DATA, ICW4_8086);
    outb(PIC1_DATA, 0xff & ~(1u << CASCADE_IRQ));
    outb(PIC2_DATA, 0xff);
}

static void program_timer(void)
{
    unsigned divisor = (PIT_HZ + TIMER_HZ / 2) / TIMER_HZ;

    outb(PIT_CONTROL, PIT_RATE_GENERATOR);
    outb(PIT_CHANNEL0, (uint8_t)divisor);
    outb(PIT_CHANNEL0, (uint8_t)(divisor >> 8));
}

void irq_init(void)
{
    program_pics();
    program_timer();
}

void irq_enable(unsigned irq, void (*handler)(void))
{
    uint16_t port = irq < 8 ? PIC1_DATA : PIC2_DATA;

    handlers[irq] = handler;
    outb(port, inb(port) & (uint8_t) ~(1u << (irq & 7)));
}

/* Request 7 and 15 also come when a line dropped before it was acknowledged; then none is in
 * service and none may be ended. */
static bool is_spurious(unsigned irq)
{
    uint16_t port = irq < 8 ? PIC1_COMMAND : PIC2_COMMAND;

    if ((irq & 7) != 7)
        return false;
    outb(port, OCW3_READ_ISR);
    return !(inb(port) & 0x80);
}

void irq_dispatch(unsigned irq)
{
    if (is_spurious(irq))
        return;
    /* Ended first: the timer's handler may leave for another thread. Interrupts are off until the
     * return from the trap, so this one does not nest. */
    if (irq >= 8)
        outb(PIC2_COMMAND, OCW2_EOI);
    outb(PIC1_COMMAND, OCW2_EOI);
    if (handlers[irq] != NULL)
        handlers[irq]();
}
