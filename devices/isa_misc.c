/* SPDX-License-Identifier: MIT */
/*
 * Small ISA ports.
 *
 *   92h         system control port A (IBM PS/2 technical reference): bit 0 resets the CPU when it rises, bit 1 opens
 *               A20, the others are storage. Whoever wires it joins the gate with the keyboard controller's and saves
 *               it; loading calls nothing.
 *   80h         POST code: a write is reported, a read gives back what was written. Kernels write here to pass time; in
 *               virtual time a store takes as long as any instruction.
 *   F0h         coprocessor error (Intel 290550, PIIX3): a write takes back its interrupt and has the error ignored;
 *               reads find nothing.
 *   E9h, 402h   Bochs and SeaBIOS debug consoles: a byte written goes out; a read gives E9h, by which a guest knows that
 *               somebody listens.
 *   F4h..F7h    isa-debug-exit: a write ends the run, with the value that was written; reads give 0.
 */
#include <devices/isa_misc.h>

#define PORT_92        0x92u
#define PORT_POST      0x80u
#define PORT_E9        0xe9u
#define PORT_FPU_ERROR 0xf0u
#define PORT_DEBUGCON  0x402u
#define DEBUGCON_HERE 0xe9u

#define P92_RESET 0x01u
#define P92_A20   0x02u

static const struct field isa_misc_fields[] = {
    FIELD(struct isa_misc, port92, FIELD_U8),
    FIELD(struct isa_misc, post, FIELD_U8),
};
const struct state_desc isa_misc_desc = STATE_DESC("isa_misc", 1, struct isa_misc, isa_misc_fields,
                                                   NULL);

/* --- port 92h --- */

static uint64_t port92_peek(void *opaque, uint64_t offset, unsigned size)
{
    (void)offset, (void)size;
    return ((const struct isa_misc *)opaque)->port92;
}

static void port92_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct isa_misc *isa = opaque;
    bool resets = (value & ~(uint64_t)isa->port92 & P92_RESET) != 0;

    (void)offset, (void)size;
    isa->port92 = (uint8_t)value;
    isa->wiring.set_a20(isa->wiring.opaque, value & P92_A20);
    if (resets && isa->wiring.fast_reset != NULL)
        isa->wiring.fast_reset(isa->wiring.opaque);
}

static const struct bus_ops port92_ops = {
    .read = port92_peek, .write = port92_write, .peek = port92_peek, .max_size = 1};

/* --- port 80h --- */

static uint64_t post_peek(void *opaque, uint64_t offset, unsigned size)
{
    (void)offset, (void)size;
    return ((const struct isa_misc *)opaque)->post;
}

static void post_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct isa_misc *isa = opaque;

    (void)offset, (void)size;
    isa->post = (uint8_t)value;
    isa->wiring.post_code(isa->wiring.opaque, isa->post);
}

static const struct bus_ops post_ops = {
    .read = post_peek, .write = post_write, .peek = post_peek, .max_size = 1};

/* --- port F0h --- */

static uint64_t fpu_error_peek(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque, (void)offset, (void)size;
    return 0xff;
}

static void fpu_error_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct isa_misc *isa = opaque;

    (void)offset, (void)value, (void)size;
    isa->wiring.fpu_error(isa->wiring.opaque);
}

static const struct bus_ops fpu_error_ops = {
    .read = fpu_error_peek, .write = fpu_error_write, .peek = fpu_error_peek, .max_size = 1};

/* --- debug consoles --- */

static uint64_t debug_peek(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque, (void)offset, (void)size;
    return DEBUGCON_HERE;
}

static void e9_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct isa_misc *isa = opaque;

    (void)offset, (void)size;
    isa->wiring.debug_out(isa->wiring.opaque, PORT_E9, (uint8_t)value);
}

static void debugcon_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct isa_misc *isa = opaque;

    (void)offset, (void)size;
    isa->wiring.debug_out(isa->wiring.opaque, PORT_DEBUGCON, (uint8_t)value);
}

static const struct bus_ops e9_ops = {
    .read = debug_peek, .write = e9_write, .peek = debug_peek, .max_size = 1};
static const struct bus_ops debugcon_ops = {
    .read = debug_peek, .write = debugcon_write, .peek = debug_peek, .max_size = 1};

/* --- isa-debug-exit --- */

static uint64_t exit_peek(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque, (void)offset, (void)size;
    return 0;
}

static void exit_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct isa_misc *isa = opaque;

    (void)offset, (void)size;
    isa->wiring.debug_exit(isa->wiring.opaque, (uint32_t)value);
}

static const struct bus_ops exit_ops = {
    .read = exit_peek, .write = exit_write, .peek = exit_peek, .max_size = 4};

/* --- life cycle --- */

void isa_misc_reset(void *obj)
{
    struct isa_misc *isa = obj;

    isa->port92 = P92_A20;
    isa->post = 0;
    if (isa->wiring.set_a20 != NULL)
        isa->wiring.set_a20(isa->wiring.opaque, true);
}

void isa_misc_init(struct isa_misc *isa, const struct isa_misc_wiring *wiring)
{
    struct bus *ports = wiring->ports;

    *isa = (struct isa_misc){.wiring = *wiring};
    if (wiring->set_a20 != NULL)
        bus_add(ports, &isa->port92_range, "port 92", PORT_92, 1, &port92_ops, isa);
    if (wiring->post_code != NULL)
        bus_add(ports, &isa->post_range, "post", PORT_POST, 1, &post_ops, isa);
    if (wiring->fpu_error != NULL)
        bus_add(ports, &isa->fpu_error_range, "coprocessor error", PORT_FPU_ERROR, 1, &fpu_error_ops, isa);
    if (wiring->debug_out != NULL) {
        bus_add(ports, &isa->e9_range, "debug console e9", PORT_E9, 1, &e9_ops, isa);
        bus_add(ports, &isa->debugcon_range, "debug console 402", PORT_DEBUGCON, 1, &debugcon_ops,
                isa);
    }
    if (wiring->debug_exit != NULL)
        bus_add(ports, &isa->exit_range, "debug exit", ISA_DEBUG_EXIT_PORT, 4, &exit_ops, isa);
}
