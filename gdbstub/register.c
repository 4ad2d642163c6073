/* SPDX-License-Identifier: MIT */
/*
 * Registers (GDB manual, E.2: g, G, p, P). Values go in the target's byte order; of one that is not
 * available, each digit is an 'x'.
 */
#include <string.h>

#include "stub_internal.h"

void stub_put_register(struct gdbstub *s, gdbstub_thread thread, unsigned reg)
{
    size_t len = s->target.register_bytes[reg];
    uint8_t value[GDBSTUB_MAX_REGISTER] = {0};

    if (s->target.read_register(s->user, thread, reg, value) >= 0) {
        stub_put_bytes(&s->reply, value, len);
        return;
    }
    for (size_t i = 0; i < len; i++)
        stub_put_text(&s->reply, "xx");
}

bool stub_set_register(struct gdbstub *s, gdbstub_thread thread, unsigned reg, uint64_t value)
{
    size_t len = s->target.register_bytes[reg];
    uint8_t bytes[8];

    for (size_t i = 0; i < len; i++)
        bytes[s->target.big_endian ? len - 1 - i : i] = (uint8_t)(value >> 8 * i);
    return s->target.write_register(s->user, thread, reg, bytes) >= 0;
}

void stub_read_registers(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    for (unsigned reg = 0; reg < s->target.ng && !s->reply.overflow; reg++)
        stub_put_register(s, s->general, reg);
}

/* Digits of one register: 1, or 0 for x's, which leave it as it is, or -1. */
static int read_value(struct stub_cursor *c, uint8_t *value, size_t len)
{
    if (c->p < c->end && *c->p == 'x') {
        for (size_t i = 0; i < 2 * len; i++)
            if (!stub_read_char(c, 'x'))
                return -1;
        return 0;
    }
    return stub_read_bytes(c, value, len) ? 1 : -1;
}

/* Whether the packet is as long as the registers are is seen before the first is written. */
static bool values_are_whole(const struct gdbstub *s, struct stub_cursor c)
{
    uint8_t value[GDBSTUB_MAX_REGISTER];

    for (unsigned reg = 0; reg < s->target.ng; reg++)
        if (read_value(&c, value, s->target.register_bytes[reg]) < 0)
            return false;
    return !stub_left(&c);
}

/* A register that cannot be written does not keep the others from it: gdb sends all of them when it
 * means one. It is an error only if its value would be another. */
static bool write_if_changed(struct gdbstub *s, unsigned reg, const uint8_t *value)
{
    uint8_t old[GDBSTUB_MAX_REGISTER] = {0};

    if (s->target.read_register(s->user, s->general, reg, old) >= 0 &&
        memcmp(old, value, s->target.register_bytes[reg]) == 0)
        return true;
    return s->target.write_register(s->user, s->general, reg, value) >= 0;
}

void stub_write_registers(struct gdbstub *s, struct stub_cursor *c)
{
    uint8_t value[GDBSTUB_MAX_REGISTER];
    bool good = true;

    if (!values_are_whole(s, *c)) {
        stub_error(s, STUB_EINVAL);
        return;
    }
    for (unsigned reg = 0; reg < s->target.ng; reg++)
        if (read_value(c, value, s->target.register_bytes[reg]) > 0)
            good = write_if_changed(s, reg, value) && good;
    if (good)
        stub_ok(s);
    else
        stub_error(s, STUB_EPERM);
}

static bool read_register_number(const struct gdbstub *s, struct stub_cursor *c, unsigned *reg)
{
    uint64_t number;

    if (!stub_read_number(c, &number) || number >= s->target.nregisters)
        return false;
    *reg = (unsigned)number;
    return true;
}

void stub_read_register(struct gdbstub *s, struct stub_cursor *c)
{
    unsigned reg;

    if (!read_register_number(s, c, &reg) || stub_left(c))
        stub_error(s, STUB_EINVAL);
    else
        stub_put_register(s, s->general, reg);
}

void stub_write_register(struct gdbstub *s, struct stub_cursor *c)
{
    uint8_t value[GDBSTUB_MAX_REGISTER];
    unsigned reg;

    if (!read_register_number(s, c, &reg) || !stub_read_char(c, '=') ||
        !stub_read_bytes(c, value, s->target.register_bytes[reg]) || stub_left(c))
        stub_error(s, STUB_EINVAL);
    else if (s->target.write_register(s->user, s->general, reg, value) < 0)
        stub_error(s, STUB_EPERM);
    else
        stub_ok(s);
}
