/* SPDX-License-Identifier: MIT */
/*
 * Two 8259A interrupt controllers in cascade.
 *
 * Modelled: Intel 8259A data sheet (order 231468), all of ICW1-4 and OCW1-3: fully nested and
 * special fully nested mode, automatic end of interrupt, specific, non-specific and automatic
 * rotation, special mask, poll, the default IR7 of a request that went away; and the ELCR of
 * Intel's PCI bridges (82371AB data sheet, 4D0h/4D1h). As there, ELCR alone chooses edge or level
 * and ICW1's LTIM is kept but has no effect.
 *
 * A request must stay high until it is acknowledged, in edge mode too: the data sheet has the latch
 * follow the input down, and gives IR7 when the CPU asks for a request that is gone.
 *
 * Not modelled: MCS-80/85 mode (ICW4's uPM = 0 still gives a one-byte vector), buffered mode (a pin
 * without a meaning on this board), a slave at any other pin than 2. When the master's ICW3 names
 * an input whose slave does not answer, the vector is that of a floating bus, FFh.
 *
 * Invariants: 1. INT of either chip is a pure function of its state. 2. The master's pin 2 carries
 * the slave's INT after every entry point. 3. latch is a subset of lines.
 */
#include <devices/i8259.h>

#define CASCADE_PIN  2
#define FLOATING_BUS 0xff

#define ICW1_IC4     0x01 /* ICW4 follows */
#define ICW1_SNGL    0x02 /* no cascade: no ICW3 */
#define ICW1_D4      0x10 /* an even-port write with it is ICW1 */
#define ICW4_AEOI    0x02
#define ICW4_SFNM    0x10
#define OCW_D3       0x08 /* an even-port write without D4: OCW3 with it, OCW2 without */
#define OCW3_RIS     0x01
#define OCW3_RR      0x02
#define OCW3_P       0x04
#define OCW3_SMM     0x20
#define OCW3_ESMM    0x40
#define POLL_REQUEST 0x80

/* ELCR bits that can be set: the inputs 0, 1, 2, 8 and 13 are edge-sensitive for good. */
static const uint8_t elcr_writable[2] = {0xf8, 0xde};

static int i8259_post_load(void *obj)
{
    const struct i8259_pair *pair = obj;

    for (unsigned i = 0; i < 2; i++) {
        const struct i8259_chip *c = &pair->chip[i];

        if (c->lowest > 7 || c->init_step == 1 || c->init_step > 4 || (c->vector_base & 7) != 0 ||
            (c->latch & ~c->lines) != 0 || (c->elcr & ~elcr_writable[i]) != 0)
            return -1;
    }
    return 0;
}

static const struct field i8259_chip_fields[] = {
    FIELD(struct i8259_chip, lines, FIELD_U8),
    FIELD(struct i8259_chip, latch, FIELD_U8),
    FIELD(struct i8259_chip, isr, FIELD_U8),
    FIELD(struct i8259_chip, imr, FIELD_U8),
    FIELD(struct i8259_chip, elcr, FIELD_U8),
    FIELD(struct i8259_chip, icw1, FIELD_U8),
    FIELD(struct i8259_chip, vector_base, FIELD_U8),
    FIELD(struct i8259_chip, icw3, FIELD_U8),
    FIELD(struct i8259_chip, icw4, FIELD_U8),
    FIELD(struct i8259_chip, init_step, FIELD_U8),
    FIELD(struct i8259_chip, lowest, FIELD_U8),
    FIELD(struct i8259_chip, rotate_aeoi, FIELD_BOOL),
    FIELD(struct i8259_chip, special_mask, FIELD_BOOL),
    FIELD(struct i8259_chip, poll, FIELD_BOOL),
    FIELD(struct i8259_chip, read_isr, FIELD_BOOL),
};
static const struct state_desc i8259_chip_desc = STATE_DESC("i8259-chip", 1, struct i8259_chip,
                                                            i8259_chip_fields, NULL);

static const struct field i8259_fields[] = {
    FIELD_SUBS(struct i8259_pair, chip, &i8259_chip_desc),
};
const struct state_desc i8259_desc = STATE_DESC("i8259", 1, struct i8259_pair, i8259_fields,
                                                i8259_post_load);

/* --- one chip: pure helpers --- */

static uint8_t chip_irr(const struct i8259_chip *c)
{
    return (uint8_t)((c->lines & c->elcr) | (c->latch & ~c->elcr));
}

/* Priority of an input now: 0 is the highest. */
static unsigned rank_of(const struct i8259_chip *c, unsigned input)
{
    return (input - c->lowest - 1) & 7;
}

/* The input of the highest priority among `set`, or -1. */
static int highest(const struct i8259_chip *c, uint8_t set)
{
    for (unsigned rank = 0; rank < 8; rank++) {
        unsigned input = (rank + c->lowest + 1) & 7;

        if (set & (1u << input))
            return (int)input;
    }
    return -1;
}

/* In special mask mode a masked input in service holds nobody back. */
static uint8_t blocking(const struct i8259_chip *c)
{
    return c->special_mask ? (uint8_t)(c->isr & ~c->imr) : c->isr;
}

/* True for an input whose slave sorts out priorities of its own (special fully nested mode). */
static bool is_nested_slave(const struct i8259_chip *c, int input)
{
    return (c->icw4 & ICW4_SFNM) && !(c->icw1 & ICW1_SNGL) && (c->icw3 & (1u << input));
}

/*
 * The input that requests the CPU now, or -1: INT is high when there is one. Requests are accepted when the
 * initialization sequence is complete (data sheet, figure 6).
 */
static int chip_request(const struct i8259_chip *c)
{
    int input = highest(c, (uint8_t)(chip_irr(c) & ~c->imr));
    int service = highest(c, blocking(c));

    if (c->init_step != 0)
        return -1;
    if (input < 0 || service < 0)
        return input;
    if (rank_of(c, (unsigned)input) < rank_of(c, (unsigned)service))
        return input;
    if (input == service && is_nested_slave(c, input))
        return input;
    return -1;
}

/* --- the pair --- */

bool i8259_irq_level(const struct i8259_pair *pair)
{
    return chip_request(&pair->chip[0]) >= 0;
}

static void chip_set_line(struct i8259_chip *c, unsigned input, bool level)
{
    uint8_t bit = (uint8_t)(1u << input);

    if (!level) {
        c->lines &= (uint8_t)~bit;
        c->latch &= (uint8_t)~bit;
    } else if (!(c->lines & bit)) {
        c->lines |= bit;
        c->latch |= bit;
    }
}

/* Carries the slave's INT to the master and the master's to the CPU. */
static void pair_update(struct i8259_pair *pair)
{
    chip_set_line(&pair->chip[0], CASCADE_PIN, chip_request(&pair->chip[1]) >= 0);
    irq_set(&pair->intr, i8259_irq_level(pair));
}

void i8259_set_pin(void *opaque, unsigned pin, bool level)
{
    struct i8259_pair *pair = opaque;

    if (pin == CASCADE_PIN || pin > 15)
        return;
    chip_set_line(&pair->chip[pin >> 3], pin & 7, level);
    pair_update(pair);
}

struct irq_line i8259_line(struct i8259_pair *pair, unsigned pin)
{
    return (struct irq_line){.set = i8259_set_pin, .opaque = pair, .pin = pin};
}

/* --- acknowledge, end of interrupt --- */

/* The chip's part of INTA: the request goes into service. Returns the input, or -1: none. */
static int chip_ack(struct i8259_pair *pair, unsigned which)
{
    struct i8259_chip *c = &pair->chip[which];
    int input = chip_request(c);
    uint8_t bit;

    if (input < 0)
        return -1;
    bit = (uint8_t)(1u << input);
    c->latch &= (uint8_t)~bit;
    if (!(c->icw4 & ICW4_AEOI))
        c->isr |= bit;
    else if (c->rotate_aeoi)
        c->lowest = (uint8_t)input;
    /* INT goes low in INTA, so a request that is left over makes a new edge: at the master, or at an I/O APIC. */
    if (which == 1)
        chip_set_line(&pair->chip[0], CASCADE_PIN, false);
    else
        irq_set(&pair->intr, false);
    return input;
}

/* What the slave puts on the bus when the master's cascade lines call for `input`. */
static int slave_vector(struct i8259_pair *pair, unsigned input)
{
    struct i8259_chip *slave = &pair->chip[1];
    int from_slave;

    if (input != CASCADE_PIN || (slave->icw3 & 7) != CASCADE_PIN)
        return FLOATING_BUS;
    from_slave = chip_ack(pair, 1);
    return slave->vector_base | (from_slave < 0 ? 7 : from_slave);
}

int i8259_ack(struct i8259_pair *pair)
{
    struct i8259_chip *master = &pair->chip[0];
    int input = chip_ack(pair, 0);
    int vector;

    if (input < 0)
        vector = master->vector_base | 7;
    else if (!(master->icw1 & ICW1_SNGL) && (master->icw3 & (1u << input)))
        vector = slave_vector(pair, (unsigned)input);
    else
        vector = master->vector_base | input;
    pair_update(pair);
    return vector;
}

/* Non-specific EOI; in special mask mode masked inputs stay in service. Returns the input or -1. */
static int end_highest(struct i8259_chip *c)
{
    int input = highest(c, blocking(c));

    if (input >= 0)
        c->isr &= (uint8_t) ~(1u << input);
    return input;
}

/* --- commands --- */

static void write_icw1(struct i8259_chip *c, uint8_t value)
{
    c->icw1 = value;
    c->latch = 0; /* the edge sense circuit: an input must rise anew */
    c->imr = 0;
    c->isr = 0;
    c->lowest = 7;
    c->icw3 = 7; /* "slave mode address is set to 7" */
    c->special_mask = false;
    c->rotate_aeoi = false;
    c->read_isr = false;
    c->poll = false;
    if (!(value & ICW1_IC4))
        c->icw4 = 0;
    c->init_step = 2;
}

static void write_init_word(struct i8259_chip *c, uint8_t value)
{
    switch (c->init_step) {
    case 2:
        c->vector_base = value & 0xf8;
        if (!(c->icw1 & ICW1_SNGL))
            c->init_step = 3;
        else
            c->init_step = (c->icw1 & ICW1_IC4) ? 4 : 0;
        break;
    case 3:
        c->icw3 = value;
        c->init_step = (c->icw1 & ICW1_IC4) ? 4 : 0;
        break;
    default:
        c->icw4 = value & 0x1f;
        c->init_step = 0;
        break;
    }
}

static void write_ocw2(struct i8259_chip *c, uint8_t value)
{
    uint8_t level = value & 7;
    int input;

    switch (value >> 5) { /* R, SL, EOI */
    case 0: c->rotate_aeoi = false; break;
    case 1: end_highest(c); break;
    case 2: break; /* no operation */
    case 3: c->isr &= (uint8_t) ~(1u << level); break;
    case 4: c->rotate_aeoi = true; break;
    case 5:
        input = end_highest(c);
        if (input >= 0)
            c->lowest = (uint8_t)input;
        break;
    case 6: c->lowest = level; break;
    case 7:
        c->isr &= (uint8_t) ~(1u << level);
        c->lowest = level;
        break;
    }
}

static void write_ocw3(struct i8259_chip *c, uint8_t value)
{
    if (value & OCW3_ESMM)
        c->special_mask = (value & OCW3_SMM) != 0;
    if (value & OCW3_P)
        c->poll = true;
    else if (value & OCW3_RR)
        c->read_isr = (value & OCW3_RIS) != 0;
}

static void chip_write(struct i8259_chip *c, bool odd, uint8_t value)
{
    if (odd) {
        if (c->init_step != 0)
            write_init_word(c, value);
        else
            c->imr = value;
        return;
    }
    if (value & ICW1_D4)
        write_icw1(c, value);
    else if (value & OCW_D3)
        write_ocw3(c, value);
    else
        write_ocw2(c, value);
}

/* --- ports --- */

/* The poll byte; with no request the data sheet leaves the low bits open, and they are 0 here. */
static uint8_t poll_byte(int input)
{
    return input < 0 ? 0 : (uint8_t)(POLL_REQUEST | input);
}

static uint64_t i8259_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct i8259_port *port = opaque;
    const struct i8259_chip *c = &port->pair->chip[port->chip];

    (void)size;
    if (c->poll)
        return poll_byte(chip_request(c));
    if (offset == 1)
        return c->imr;
    return c->read_isr ? c->isr : chip_irr(c);
}

static uint64_t i8259_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8259_port *port = opaque;
    struct i8259_chip *c = &port->pair->chip[port->chip];
    uint64_t value;

    if (!c->poll)
        return i8259_peek(opaque, offset, size);
    value = poll_byte(chip_ack(port->pair, port->chip));
    c->poll = false;
    pair_update(port->pair);
    return value;
}

static void i8259_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8259_port *port = opaque;

    (void)size;
    chip_write(&port->pair->chip[port->chip], offset == 1, (uint8_t)value);
    pair_update(port->pair);
}

static uint64_t elcr_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct i8259_pair *pair = opaque;

    (void)size;
    return pair->chip[offset].elcr;
}

static void elcr_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8259_pair *pair = opaque;

    (void)size;
    pair->chip[offset].elcr = (uint8_t)value & elcr_writable[offset];
    pair_update(pair);
}

static const struct bus_ops i8259_ops = {
    .read = i8259_read, .write = i8259_write, .peek = i8259_peek, .max_size = 1};
static const struct bus_ops elcr_ops = {.read = elcr_read, .write = elcr_write, .max_size = 1};

/* --- life cycle --- */

void i8259_reset(void *obj)
{
    struct i8259_pair *pair = obj;

    /*
     * The data sheet has no reset: the chips wait for ICW1. Until then they look like what a PC's
     * firmware leaves: vectors 08h and 70h, everything masked.
     */
    for (unsigned i = 0; i < 2; i++) {
        pair->chip[i] = (struct i8259_chip){
            .imr = 0xff,
            .icw1 = ICW1_D4 | ICW1_IC4,
            .vector_base = i == 0 ? 0x08 : 0x70,
            .icw3 = i == 0 ? 1u << CASCADE_PIN : CASCADE_PIN,
            .icw4 = 0x01,
            .lowest = 7,
        };
    }
    pair_update(pair);
}

void i8259_init(struct i8259_pair *pair, const struct i8259_wiring *wiring)
{
    *pair = (struct i8259_pair){.intr = wiring->intr};
    for (unsigned i = 0; i < 2; i++)
        pair->port[i] = (struct i8259_port){.pair = pair, .chip = i};
    bus_add(wiring->ports, &pair->range[0], "pic-master", 0x20, 2, &i8259_ops, &pair->port[0]);
    bus_add(wiring->ports, &pair->range[1], "pic-slave", 0xa0, 2, &i8259_ops, &pair->port[1]);
    bus_add(wiring->ports, &pair->range[2], "elcr", 0x4d0, 2, &elcr_ops, pair);
    i8259_reset(pair);
}
