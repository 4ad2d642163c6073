/* SPDX-License-Identifier: MIT */
/*
 * The input door: the one way in which anything that can differ between two runs reaches the
 * machine.
 *
 * A source (live: a terminal, a socket; replayed: a trace) offers inputs. The machine takes one at
 * an instruction boundary, stamps it with (icount, vns), hands it to the observer and delivers it to
 * the sink that registered for its (kind, port). No sink and no device knows whether the source is
 * live or a trace.
 *
 * Order at one instruction boundary, the same live and replayed: timers that are due, then inputs
 * in the order they were offered, then interrupts.
 *
 * A sink may be unable to take an input now (a UART whose FIFO is full). It says so by
 * `ready() == false`, and a live source then keeps the input back; what was delivered is always
 * taken. A sink that becomes ready calls nothing: the source is asked again soon enough.
 */
#ifndef EMU_INPUT_H
#define EMU_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INPUT_MAX_BYTES 65536u

enum input_kind {
    INPUT_SERIAL = 1,   /* one or more bytes on the serial line `port` */
    INPUT_SERIAL_EOF,   /* the serial line's source has ended (carrier lost) */
    INPUT_KEY,          /* PS/2 set-2 scan code bytes for the keyboard */
    INPUT_POINTER,      /* PS/2 pointer packet: int32 dx, int32 dy, int32 dz, u32 buttons, LE */
    INPUT_NET,          /* a frame received by network card `port` */
    INPUT_RESET,        /* the reset button: no bytes */
    INPUT_STOP,         /* the user ends the run: no bytes */
    INPUT_MEDIUM,       /* medium of drive `port` changed: its name, or empty for ejected */
    INPUT_POWER,        /* the power button: no bytes */
    INPUT_DEBUG,        /* a debugger changes the machine: see machine_debug_write() */
    INPUT_TIME,         /* timing is perturbed: enum input_time_port in emu/perturb.h */
    INPUT_KIND_COUNT
};

struct input {
    enum input_kind kind;
    uint32_t port;
    uint64_t icount;      /* stamp: instructions retired before it */
    uint64_t vns;         /* stamp: virtual time at delivery */
    const uint8_t *data;  /* owned by the source, valid until the next call to it */
    size_t len;
};

struct input_sink {
    enum input_kind kind;
    uint32_t port;
    bool (*ready)(void *opaque);                                     /* NULL: always */
    void (*deliver)(void *opaque, const uint8_t *data, size_t len);
    void *opaque;
};

/* Ports of INPUT_DEBUG. */
enum input_debug_port {
    INPUT_DEBUG_MEMORY = 0,   /* u64 guest-physical address, then the bytes for RAM there */
    INPUT_DEBUG_REGISTER = 1, /* u32 enum cpu_register, u32 CPU, then its bytes */
};

#define INPUT_MAX_SINKS 24

struct input_door {
    struct input_sink sinks[INPUT_MAX_SINKS];
    unsigned nsinks;
};

void input_door_add(struct input_door *door, const struct input_sink *sink);
/* NULL when nobody listens for it. */
const struct input_sink *input_door_find(const struct input_door *door, enum input_kind kind,
                                         uint32_t port);
const char *input_kind_name(enum input_kind kind); /* "serial", ...; "unknown" outside the enum */

#endif
