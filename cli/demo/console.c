/* SPDX-License-Identifier: MIT */
/* The serial console: a 16550A at the port and interrupt of COM1. See console.h. */
#include "console.h"

#include "cpu.h"
#include "trap.h"

#define COM1      0x3f8u
#define UART_DATA 0u
#define UART_IER  1u
#define UART_FCR  2u
#define UART_LCR  3u
#define UART_MCR  4u
#define UART_LSR  5u

#define IER_RECEIVED     0x01u
#define FCR_ENABLE       0x07u /* on, both cleared, interrupt at the first byte */
#define LCR_8N1          0x03u
#define LCR_DLAB         0x80u
#define MCR_DTR_RTS_OUT2 0x0bu /* OUT2 lets the interrupt out */
#define LSR_RECEIVED     0x01u
#define LSR_THR_EMPTY    0x20u

static void (*key_handler)(uint8_t byte);

void console_init(void)
{
    outb(COM1 + UART_IER, 0);
    outb(COM1 + UART_LCR, LCR_DLAB);
    outb(COM1 + UART_DATA, 1); /* divisor: 115200 baud */
    outb(COM1 + UART_IER, 0);
    outb(COM1 + UART_LCR, LCR_8N1);
    outb(COM1 + UART_FCR, FCR_ENABLE);
    outb(COM1 + UART_MCR, MCR_DTR_RTS_OUT2);
}

static void on_interrupt(void)
{
    while (inb(COM1 + UART_LSR) & LSR_RECEIVED)
        key_handler(inb(COM1 + UART_DATA));
}

void console_listen(void (*on_key)(uint8_t byte))
{
    key_handler = on_key;
    irq_enable(IRQ_SERIAL, on_interrupt);
    outb(COM1 + UART_IER, IER_RECEIVED);
}

static void put_char(char c)
{
    if (c == '\n')
        put_char('\r');
    while (!(inb(COM1 + UART_LSR) & LSR_THR_EMPTY))
        ;
    outb(COM1 + UART_DATA, (uint8_t)c);
}

static void put_string(const char *s)
{
    while (*s != '\0')
        put_char(*s++);
}

static void put_number(uint64_t value, unsigned base, unsigned width, char pad, bool negative)
{
    char digits[24];
    unsigned n = 0;

    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    if (negative)
        digits[n++] = '-';
    for (; width > n; width--)
        put_char(pad);
    while (n > 0)
        put_char(digits[--n]);
}

/* One conversion, `f` behind its '%'; returns behind it. */
static const char *put_conversion(const char *f, va_list *args)
{
    char pad = *f == '0' ? '0' : ' ';
    unsigned width = 0;
    bool wide = false;
    int64_t value;

    for (; *f >= '0' && *f <= '9'; f++)
        width = width * 10 + (unsigned)(*f - '0');
    for (; *f == 'l'; f++)
        wide = true;
    switch (*f) {
    case 's': put_string(va_arg(*args, const char *)); break;
    case 'c': put_char((char)va_arg(*args, int)); break;
    case 'd':
        value = wide ? va_arg(*args, int64_t) : va_arg(*args, int);
        put_number(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, width, pad, value < 0);
        break;
    case 'u':
        put_number(wide ? va_arg(*args, uint64_t) : va_arg(*args, unsigned), 10, width, pad, false);
        break;
    case 'x':
        put_number(wide ? va_arg(*args, uint64_t) : va_arg(*args, unsigned), 16, width, pad, false);
        break;
    case 'p': put_number((uint64_t)va_arg(*args, void *), 16, 16, '0', false); break;
    default: put_char(*f); break;
    }
    return f + 1;
}

void vprint(const char *format, va_list args)
{
    uint64_t flags = interrupts_off();
    va_list rest;

    va_copy(rest, args);
    while (*format != '\0') {
        if (*format == '%')
            format = put_conversion(format + 1, &rest);
        else
            put_char(*format++);
    }
    va_end(rest);
    interrupts_restore(flags);
}

void print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprint(format, args);
    va_end(args);
}
