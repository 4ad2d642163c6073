/* SPDX-License-Identifier: MIT */
/*
 * An interrupt line: a wire from a device to whatever is at its other end (a pin of an 8259A, an
 * I/O APIC input, both). The device drives a level; edge or level sensitivity is the receiver's.
 */
#ifndef EMU_IRQ_H
#define EMU_IRQ_H

#include <stdbool.h>
#include <stddef.h>

typedef void irq_set_fn(void *opaque, unsigned pin, bool level);

struct irq_line {
    irq_set_fn *set;  /* NULL: not connected */
    void *opaque;
    unsigned pin;
};

static inline void irq_set(const struct irq_line *line, bool level)
{
    if (line->set != NULL)
        line->set(line->opaque, line->pin, level);
}

#endif
