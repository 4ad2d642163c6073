/* SPDX-License-Identifier: MIT */
/*
 * What every device test needs: a machine of a clock and two buses, a recorder for interrupt lines,
 * and the two checks of saved state that the style asks of each device.
 *
 *     struct fake_machine fm;
 *     struct irq_recorder rec;
 *     fake_init(&fm);
 *     irq_recorder_init(&rec);
 *     wiring.irq = irq_recorder_line(&rec, 4);       // a struct irq_line
 *     ...
 *     out8(&fm, 0x3f8, 'x');
 *     fake_advance(&fm, 1000);                       // ns; timers fire on the way, in order
 *     assert_true(rec.level[4]);
 *     assert_state_survives(&xxx_desc, &dev);
 *     assert_every_field_in_table(&xxx_desc, offsetof(struct xxx, first),
 *                                 MEMBER_END(struct xxx, last_saved));
 *
 * Everything is static inline, so that a test uses what it needs. Include it after cmocka's
 * prerequisites; it includes cmocka.h itself.
 */
#ifndef TESTS_UNIT_DEVICE_TEST_H
#define TESTS_UNIT_DEVICE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <emu/bus.h>
#include <emu/clock.h>
#include <emu/irq.h>
#include <emu/state.h>

#define MEMBER_END(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))
#define MSEC_NS                  1000000ULL
#define USEC_NS                  1000ULL

/* --- a machine --- */

struct fake_machine {
    struct clock clock;
    struct bus ports;
    struct bus memory;
};

static inline void fake_init(struct fake_machine *fm)
{
    clock_init(&fm->clock, 1);
    bus_init(&fm->ports, "port", 0x10000);
    bus_init(&fm->memory, "memory", 1ULL << 40);
}

static inline uint64_t fake_now(const struct fake_machine *fm)
{
    return clock_now_ns(&fm->clock);
}

/* Moves time to `ns`, stopping at each deadline on the way as the machine does. */
static inline void fake_run_until(struct fake_machine *fm, uint64_t ns)
{
    clock_run_due(&fm->clock);
    while (clock_next_deadline_ns(&fm->clock) <= ns) {
        clock_idle_until(&fm->clock, clock_next_deadline_ns(&fm->clock));
        clock_run_due(&fm->clock);
    }
    clock_idle_until(&fm->clock, ns);
}

static inline void fake_advance(struct fake_machine *fm, uint64_t ns)
{
    fake_run_until(fm, fake_now(fm) + ns);
}

static inline void out8(struct fake_machine *fm, uint16_t port, uint8_t value)
{
    bus_write(&fm->ports, port, value, 1);
}

static inline void out16(struct fake_machine *fm, uint16_t port, uint16_t value)
{
    bus_write(&fm->ports, port, value, 2);
}

static inline void out32(struct fake_machine *fm, uint16_t port, uint32_t value)
{
    bus_write(&fm->ports, port, value, 4);
}

static inline uint8_t in8(struct fake_machine *fm, uint16_t port)
{
    return (uint8_t)bus_read(&fm->ports, port, 1);
}

static inline uint16_t in16(struct fake_machine *fm, uint16_t port)
{
    return (uint16_t)bus_read(&fm->ports, port, 2);
}

static inline uint32_t in32(struct fake_machine *fm, uint16_t port)
{
    return (uint32_t)bus_read(&fm->ports, port, 4);
}

static inline uint8_t peek8(struct fake_machine *fm, uint16_t port)
{
    return (uint8_t)bus_peek(&fm->ports, port, 1);
}

/* --- interrupt lines --- */

#define IRQ_RECORDER_PINS 32

struct irq_recorder {
    bool level[IRQ_RECORDER_PINS];
    unsigned rises[IRQ_RECORDER_PINS]; /* changes from low to high; all lines begin low */
    unsigned falls[IRQ_RECORDER_PINS];
};

static inline void irq_recorder_init(struct irq_recorder *rec)
{
    memset(rec, 0, sizeof(*rec));
}

static inline void irq_recorder_set(void *opaque, unsigned pin, bool level)
{
    struct irq_recorder *rec = opaque;

    assert_true(pin < IRQ_RECORDER_PINS);
    if (level && !rec->level[pin])
        rec->rises[pin]++;
    if (!level && rec->level[pin])
        rec->falls[pin]++;
    rec->level[pin] = level;
}

static inline struct irq_line irq_recorder_line(struct irq_recorder *rec, unsigned pin)
{
    return (struct irq_line){.set = irq_recorder_set, .opaque = rec, .pin = pin};
}

/* --- saved state --- */

/* Overwrites every scalar that the table names; booleans with the other value. */
static inline void scribble_fields(const struct state_desc *desc, uint8_t *obj)
{
    for (size_t i = 0; i < desc->nfields; i++) {
        const struct field *f = &desc->fields[i];

        for (uint32_t n = 0; n < f->count; n++) {
            uint8_t *elem = obj + f->offset + (size_t)n * f->stride;

            if (f->type == FIELD_STRUCT)
                scribble_fields(f->sub, elem);
            else if (f->type == FIELD_BOOL)
                *elem ^= 1;
            else
                for (uint32_t b = 0; b < f->stride; b++)
                    elem[b] ^= 0x5a;
        }
    }
}

/* Save, load into a copy whose fields were scribbled on, save again: the bytes are the same. */
static inline void assert_state_survives(const struct state_desc *desc, const void *obj)
{
    size_t size = state_saved_size(desc);
    uint8_t *first = malloc(size);
    uint8_t *second = malloc(size);
    uint8_t *copy = malloc(desc->size);

    assert_non_null(first);
    assert_non_null(second);
    assert_non_null(copy);
    memcpy(copy, obj, desc->size);
    state_save(desc, obj, first);
    assert_memory_equal(copy, obj, desc->size); /* saving changes nothing */
    scribble_fields(desc, copy);
    assert_int_equal(state_load(desc, copy, first, size), 0);
    state_save(desc, copy, second);
    assert_memory_equal(first, second, size);
    assert_true(state_digest(desc, obj) == state_digest(desc, copy));
    free(copy);
    free(second);
    free(first);
}

/*
 * Every byte at [saved_begin, saved_end) of the object shows in its saved form. Offsets are from
 * the start of the struct; the saved part has no padding, or this fails.
 */
static inline void assert_every_field_in_table(const struct state_desc *desc, size_t saved_begin,
                                               size_t saved_end)
{
    size_t size = state_saved_size(desc);
    uint8_t *obj = calloc(1, desc->size);
    uint8_t *before = malloc(size);
    uint8_t *after = malloc(size);

    assert_non_null(obj);
    assert_non_null(before);
    assert_non_null(after);
    assert_true(saved_begin < saved_end && saved_end <= desc->size);
    state_save(desc, obj, before);
    for (size_t i = saved_begin; i < saved_end; i++) {
        obj[i] = 0xff;
        state_save(desc, obj, after);
        if (memcmp(before, after, size) == 0)
            fail_msg("%s: the byte at offset %zu is in no field", desc->name, i);
        obj[i] = 0;
    }
    assert_int_equal(size, saved_end - saved_begin);
    free(after);
    free(before);
    free(obj);
}

#endif
