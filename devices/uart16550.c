/* SPDX-License-Identifier: MIT */
/*
 * The 16550A UART.
 *
 * Modelled: National Semiconductor PC16550D data sheet: all registers, the receiver FIFO with its
 * trigger levels, errors that travel with their byte and the character timeout, the interrupt
 * priorities of IIR, the modem status with its deltas, break, loopback. The PC's gate on the
 * interrupt line (MCR's OUT2) is part of it; the gate looks at the register's bit in loopback too.
 *
 * Transmitting takes no time: a byte goes out as it is written, and THRE and TEMT never go low, so
 * a guest that polls does not spend its time at 115200 baud. The interrupt of THRE comes as on the
 * chip: once after each write of THR, and once when IER enables it; reading IIR while it is the
 * cause takes it back. Receiving has no pace of its own either, but the character timeout runs on
 * virtual time at the divisor and format that the guest has set.
 *
 * Not modelled: DMA signalling (FCR bit 3), the transmitter FIFO (always empty), parity and framing
 * errors of the line (it has none; their bits are there for breaks and for the interrupt logic).
 * A divisor of 0, which the data sheet leaves open, counts as 65536.
 *
 * Invariants: 1. fifo_count <= 16, and <= 1 without FIFO mode. 2. The timeout's timer is armed
 * exactly when FIFO mode has bytes waiting and char_timeout is false. 3. irq has the level of
 * uart16550_irq_level after every entry point.
 */
#include <devices/uart16550.h>

#include <string.h>

#define INPUT_CLOCK_HZ 1843200u

#define REG_DATA 0 /* RBR, THR; divisor low with DLAB */
#define REG_IER  1 /* divisor high with DLAB */
#define REG_IIR  2 /* FCR when written */
#define REG_LCR  3
#define REG_MCR  4
#define REG_LSR  5
#define REG_MSR  6
#define REG_SCR  7

#define IER_RDI         0x01
#define IER_THRI        0x02
#define IER_RLSI        0x04
#define IER_MSI         0x08
#define IER_WRITABLE    0x0f
#define IIR_NONE        0x01
#define IIR_MSI         0x00
#define IIR_THRI        0x02
#define IIR_RDI         0x04
#define IIR_RLSI        0x06
#define IIR_TIMEOUT     0x0c
#define IIR_FIFO        0xc0
#define FCR_ENABLE      0x01
#define FCR_CLEAR_RX    0x02
#define FCR_TRIGGER     0xc0
#define LCR_WORD        0x03
#define LCR_STOP        0x04
#define LCR_PARITY      0x08
#define LCR_BREAK       0x40
#define LCR_DLAB        0x80
#define MCR_DTR         0x01
#define MCR_RTS         0x02
#define MCR_OUT1        0x04
#define MCR_OUT2        0x08
#define MCR_LOOP        0x10
#define MCR_WRITABLE    0x1f
#define LSR_DR          0x01
#define LSR_OE          0x02
#define LSR_PE          0x04
#define LSR_FE          0x08
#define LSR_BI          0x10
#define LSR_THRE        0x20
#define LSR_TEMT        0x40
#define LSR_FIFO_ERROR  0x80
#define LSR_BYTE_ERRORS (LSR_PE | LSR_FE | LSR_BI)
#define MSR_DELTA_SHIFT 4 /* from an input's bit to its delta's */
#define MSR_TERI        0x04

#define TIMEOUT_CHARS 4

static int uart16550_post_load(void *obj)
{
    const struct uart16550 *u = obj;

    if (u->fifo_head >= UART16550_FIFO_BYTES || u->fifo_count > UART16550_FIFO_BYTES)
        return -1;
    if (!(u->fcr & FCR_ENABLE) && u->fifo_count > 1)
        return -1;
    if ((u->fcr & ~(FCR_ENABLE | FCR_TRIGGER)) || (u->ier & ~IER_WRITABLE) ||
        (u->mcr & ~MCR_WRITABLE) || (u->modem & 0x0f) || (u->msr_delta & 0xf0))
        return -1;
    for (unsigned i = 0; i < UART16550_FIFO_BYTES; i++) {
        if (u->fifo_errors[i] & ~LSR_BYTE_ERRORS)
            return -1;
    }
    return 0;
}

static const struct field uart16550_fields[] = {
    FIELD_ARRAY(struct uart16550, fifo, FIELD_U8),
    FIELD_ARRAY(struct uart16550, fifo_errors, FIELD_U8),
    FIELD(struct uart16550, divisor, FIELD_U16),
    FIELD(struct uart16550, fifo_head, FIELD_U8),
    FIELD(struct uart16550, fifo_count, FIELD_U8),
    FIELD(struct uart16550, rbr, FIELD_U8),
    FIELD(struct uart16550, ier, FIELD_U8),
    FIELD(struct uart16550, fcr, FIELD_U8),
    FIELD(struct uart16550, lcr, FIELD_U8),
    FIELD(struct uart16550, mcr, FIELD_U8),
    FIELD(struct uart16550, scr, FIELD_U8),
    FIELD(struct uart16550, modem, FIELD_U8),
    FIELD(struct uart16550, msr_delta, FIELD_U8),
    FIELD(struct uart16550, overrun, FIELD_BOOL),
    FIELD(struct uart16550, thr_pending, FIELD_BOOL),
    FIELD(struct uart16550, char_timeout, FIELD_BOOL),
};
const struct state_desc uart16550_desc = STATE_DESC("uart16550", 1, struct uart16550,
                                                    uart16550_fields, uart16550_post_load);

/* --- pure helpers --- */

static bool fifo_mode(const struct uart16550 *u)
{
    return (u->fcr & FCR_ENABLE) != 0;
}

static unsigned capacity(const struct uart16550 *u)
{
    return fifo_mode(u) ? UART16550_FIFO_BYTES : 1;
}

static unsigned trigger(const struct uart16550 *u)
{
    static const uint8_t levels[4] = {1, 4, 8, 14};

    return fifo_mode(u) ? levels[u->fcr >> 6] : 1;
}

static bool in_loopback(const struct uart16550 *u)
{
    return (u->mcr & MCR_LOOP) != 0;
}

uint64_t uart16550_char_ns(const struct uart16550 *u)
{
    uint64_t divisor = u->divisor != 0 ? u->divisor : 0x10000;
    unsigned data = 5 + (u->lcr & LCR_WORD);
    unsigned half_bits = 2 * (1 + data + ((u->lcr & LCR_PARITY) ? 1 : 0) + 1);

    if (u->lcr & LCR_STOP)
        half_bits += data == 5 ? 1 : 2;
    return (half_bits * 8 * divisor * NS_PER_SEC + INPUT_CLOCK_HZ - 1) / INPUT_CLOCK_HZ;
}

/* Errors of the byte that RBR would give. */
static uint8_t head_errors(const struct uart16550 *u)
{
    return u->fifo_count != 0 ? u->fifo_errors[u->fifo_head] : 0;
}

static bool any_error_waiting(const struct uart16550 *u)
{
    for (unsigned i = 0; i < u->fifo_count; i++) {
        if (u->fifo_errors[(u->fifo_head + i) % UART16550_FIFO_BYTES] != 0)
            return true;
    }
    return false;
}

static uint8_t line_status(const struct uart16550 *u)
{
    return (uint8_t)(LSR_THRE | LSR_TEMT | (u->fifo_count != 0 ? LSR_DR : 0) |
                     (u->overrun ? LSR_OE : 0) | head_errors(u) |
                     (fifo_mode(u) && any_error_waiting(u) ? LSR_FIFO_ERROR : 0));
}

/* MSR bits 4..7: the inputs, or in loopback the outputs. */
static uint8_t modem_lines(const struct uart16550 *u)
{
    if (!in_loopback(u))
        return u->modem;
    return (
        uint8_t)((u->mcr & MCR_RTS ? UART16550_CTS : 0) | (u->mcr & MCR_DTR ? UART16550_DSR : 0) |
                 (u->mcr & MCR_OUT1 ? UART16550_RI : 0) | (u->mcr & MCR_OUT2 ? UART16550_DCD : 0));
}

/* IIR bits 0..3: the enabled cause of the highest priority. */
static uint8_t interrupt_id(const struct uart16550 *u)
{
    if ((u->ier & IER_RLSI) && (u->overrun || head_errors(u) != 0))
        return IIR_RLSI;
    if ((u->ier & IER_RDI) && u->fifo_count >= trigger(u))
        return IIR_RDI;
    if ((u->ier & IER_RDI) && u->char_timeout)
        return IIR_TIMEOUT;
    if ((u->ier & IER_THRI) && u->thr_pending)
        return IIR_THRI;
    if ((u->ier & IER_MSI) && u->msr_delta != 0)
        return IIR_MSI;
    return IIR_NONE;
}

bool uart16550_irq_level(const struct uart16550 *u)
{
    return (u->mcr & MCR_OUT2) && interrupt_id(u) != IIR_NONE;
}

static void update(struct uart16550 *u)
{
    irq_set(&u->irq, uart16550_irq_level(u));
}

/* --- the receiver --- */

/* A byte came or went: the wait for the character timeout begins again, or ends. */
static void restart_timeout(struct uart16550 *u)
{
    u->char_timeout = false;
    if (fifo_mode(u) && u->fifo_count != 0)
        timer_set(&u->timeout, clock_now_ns(u->clock) + TIMEOUT_CHARS * uart16550_char_ns(u));
    else
        timer_cancel(&u->timeout);
}

/* Overrun: a full FIFO loses the new byte, a lone receive buffer the old one. */
static void push(struct uart16550 *u, uint8_t byte, uint8_t errors)
{
    unsigned at;

    if (u->fifo_count == capacity(u)) {
        u->overrun = true;
        if (fifo_mode(u))
            return;
        u->fifo_count = 0;
    }
    at = (u->fifo_head + u->fifo_count) % UART16550_FIFO_BYTES;
    u->fifo[at] = byte;
    u->fifo_errors[at] = errors;
    u->fifo_count++;
    restart_timeout(u);
}

static void clear_receiver(struct uart16550 *u)
{
    u->fifo_head = 0;
    u->fifo_count = 0;
    restart_timeout(u);
}

static uint8_t read_data(struct uart16550 *u)
{
    if (u->fifo_count != 0) {
        u->rbr = u->fifo[u->fifo_head];
        u->fifo_errors[u->fifo_head] = 0;
        u->fifo_head = (uint8_t)((u->fifo_head + 1) % UART16550_FIFO_BYTES);
        u->fifo_count--;
        restart_timeout(u);
    }
    return u->rbr;
}

size_t uart16550_room(const struct uart16550 *u)
{
    return in_loopback(u) ? 0 : capacity(u) - u->fifo_count;
}

bool uart16550_can_receive(const struct uart16550 *u)
{
    return uart16550_room(u) != 0;
}

void uart16550_receive(struct uart16550 *u, uint8_t byte)
{
    unsigned data = 5 + (u->lcr & LCR_WORD);

    if (in_loopback(u))
        return;
    push(u, (uint8_t)(byte & ((1u << data) - 1)), 0);
    update(u);
}

void uart16550_receive_break(struct uart16550 *u)
{
    if (in_loopback(u))
        return;
    push(u, 0, LSR_BI);
    update(u);
}

static void timeout_expired(void *opaque)
{
    struct uart16550 *u = opaque;

    u->char_timeout = true;
    update(u);
}

/* --- transmitter, modem --- */

static void transmit(struct uart16550 *u, uint8_t byte)
{
    unsigned data = 5 + (u->lcr & LCR_WORD);

    byte &= (uint8_t)((1u << data) - 1);
    u->thr_pending = false; /* writing takes the interrupt back; an edge-sensitive pin sees that */
    update(u);
    u->thr_pending = true;
    if (in_loopback(u))
        push(u, byte, 0);
    else if (!(u->lcr & LCR_BREAK) && u->out != NULL) /* a break holds the line for itself */
        u->out(u->opaque, &byte, 1);
}

/* Notes what changed since the lines were `before`; RI counts when it ends. */
static void note_modem_change(struct uart16550 *u, uint8_t before)
{
    uint8_t now = modem_lines(u);
    uint8_t changed = (uint8_t)((before ^ now) >> MSR_DELTA_SHIFT);

    if (now & UART16550_RI)
        changed &= (uint8_t)~MSR_TERI;
    u->msr_delta |= changed;
}

void uart16550_set_modem(struct uart16550 *u, uint8_t lines)
{
    uint8_t before = modem_lines(u);

    u->modem = lines & 0xf0;
    note_modem_change(u, before);
    update(u);
}

/* --- registers --- */

static void write_ier(struct uart16550 *u, uint8_t value)
{
    if (value & ~u->ier & IER_THRI)
        u->thr_pending = true; /* THR is empty, and now that interrupts */
    u->ier = value & IER_WRITABLE;
}

static void write_fcr(struct uart16550 *u, uint8_t value)
{
    bool switches = ((value ^ u->fcr) & FCR_ENABLE) != 0;

    /* The other bits are only programmed when the enable bit is written with them. */
    u->fcr = (value & FCR_ENABLE) ? value & (FCR_ENABLE | FCR_TRIGGER) : 0;
    if (switches || (value & FCR_CLEAR_RX && value & FCR_ENABLE))
        clear_receiver(u);
}

static void write_lcr(struct uart16550 *u, uint8_t value)
{
    bool begins_break = (value & ~u->lcr & LCR_BREAK) != 0;

    u->lcr = value;
    if (begins_break && in_loopback(u))
        push(u, 0, LSR_BI);
}

static void write_mcr(struct uart16550 *u, uint8_t value)
{
    uint8_t before = modem_lines(u);

    u->mcr = value & MCR_WRITABLE;
    note_modem_change(u, before);
}

static void write_divisor(struct uart16550 *u, uint64_t offset, uint8_t value)
{
    if (offset == REG_DATA)
        u->divisor = (uint16_t)((u->divisor & 0xff00) | value);
    else
        u->divisor = (uint16_t)((u->divisor & 0x00ff) | value << 8);
}

static void uart_write(void *opaque, uint64_t offset, uint64_t value64, unsigned size)
{
    struct uart16550 *u = opaque;
    uint8_t value = (uint8_t)value64;

    (void)size;
    if ((u->lcr & LCR_DLAB) && offset <= REG_IER) {
        write_divisor(u, offset, value);
        return;
    }
    switch (offset) {
    case REG_DATA: transmit(u, value); break;
    case REG_IER: write_ier(u, value); break;
    case REG_IIR: write_fcr(u, value); break;
    case REG_LCR: write_lcr(u, value); break;
    case REG_MCR: write_mcr(u, value); break;
    case REG_SCR: u->scr = value; break;
    default: break; /* LSR and MSR: writing is for the factory's tests */
    }
    update(u);
}

static uint64_t uart_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct uart16550 *u = opaque;

    (void)size;
    if ((u->lcr & LCR_DLAB) && offset <= REG_IER)
        return offset == REG_DATA ? u->divisor & 0xff : u->divisor >> 8;
    switch (offset) {
    case REG_DATA: return u->fifo_count != 0 ? u->fifo[u->fifo_head] : u->rbr;
    case REG_IER: return u->ier;
    case REG_IIR: return interrupt_id(u) | (fifo_mode(u) ? IIR_FIFO : 0);
    case REG_LCR: return u->lcr;
    case REG_MCR: return u->mcr;
    case REG_LSR: return line_status(u);
    case REG_MSR: return modem_lines(u) | u->msr_delta;
    default: return u->scr;
    }
}

static uint64_t uart_read(void *opaque, uint64_t offset, unsigned size)
{
    struct uart16550 *u = opaque;
    uint64_t value = uart_peek(opaque, offset, size);

    if ((u->lcr & LCR_DLAB) && offset <= REG_IER)
        return value;
    switch (offset) {
    case REG_DATA: read_data(u); break;
    case REG_IIR:
        if (interrupt_id(u) == IIR_THRI)
            u->thr_pending = false;
        break;
    case REG_LSR:
        u->overrun = false;
        if (u->fifo_count != 0)
            u->fifo_errors[u->fifo_head] = 0;
        break;
    case REG_MSR: u->msr_delta = 0; break;
    default: return value;
    }
    update(u);
    return value;
}

static const struct bus_ops uart_ops = {
    .read = uart_read, .write = uart_write, .peek = uart_peek, .max_size = 1};

/* --- life cycle --- */

/*
 * The data sheet's reset (table I), but the line is set to 9600 baud, 8 bits, no parity, as
 * firmware leaves it for kernels that write to it right away (the chip would be at 5 bits and no
 * baud rate). The modem inputs are those of a terminal that is connected and ready.
 */
void uart16550_reset(void *obj)
{
    struct uart16550 *u = obj;

    memset(u->fifo, 0, sizeof(u->fifo));
    memset(u->fifo_errors, 0, sizeof(u->fifo_errors));
    u->divisor = INPUT_CLOCK_HZ / 16 / 9600;
    u->rbr = 0;
    u->ier = 0;
    u->fcr = 0;
    u->lcr = LCR_WORD; /* 8 bits */
    u->mcr = 0;
    u->scr = 0;
    u->modem = UART16550_CTS | UART16550_DSR | UART16550_DCD;
    u->msr_delta = 0;
    u->overrun = false;
    u->thr_pending = false;
    clear_receiver(u);
    update(u);
}

void uart16550_init(struct uart16550 *u, const struct uart16550_wiring *wiring)
{
    const char *name = wiring->name != NULL ? wiring->name : "uart";

    *u = (struct uart16550){
        .clock = wiring->clock, .irq = wiring->irq, .out = wiring->out, .opaque = wiring->opaque};
    timer_init(&u->timeout, wiring->clock, timeout_expired, u, name);
    bus_add(wiring->ports, &u->range, name, wiring->base, 8, &uart_ops, u);
    uart16550_reset(u);
}
