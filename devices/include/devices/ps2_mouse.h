/* SPDX-License-Identifier: MIT */
/*
 * A PS/2 mouse with a wheel, at the auxiliary port of the keyboard controller.
 *
 *     ps2_mouse_init(&mouse, &kbc);
 *     i8042_init(&kbc, &(struct i8042_wiring){..., .aux = ps2_mouse_aux(&mouse)});
 *     input_door_add(door, &(struct input_sink){.kind = INPUT_POINTER,
 *         .deliver = ps2_mouse_deliver, .opaque = &mouse});
 *
 * devices/ps2_mouse.c says what is modelled.
 */
#ifndef DEVICES_PS2_MOUSE_H
#define DEVICES_PS2_MOUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <devices/i8042.h>
#include <emu/state.h>

#define PS2_MOUSE_QUEUE       4
#define PS2_MOUSE_INPUT_BYTES 16 /* of an INPUT_POINTER */

/* Buttons, in inputs. */
#define PS2_MOUSE_LEFT   0x01u
#define PS2_MOUSE_RIGHT  0x02u
#define PS2_MOUSE_MIDDLE 0x04u
#define PS2_MOUSE_SIDE   0x08u
#define PS2_MOUSE_EXTRA  0x10u

struct ps2_mouse {
    /* saved */
    uint32_t moved[3];              /* x, y, wheel: two's complement, not reported yet */
    uint8_t queue[PS2_MOUSE_QUEUE]; /* bytes to send, the first one next */
    uint8_t queued;
    uint8_t last[PS2_MOUSE_QUEUE]; /* what FEh sends again */
    uint8_t last_count;
    uint8_t buttons;
    uint8_t reported; /* buttons, as last told */
    uint8_t command;  /* waits for its argument; 0: none */
    uint8_t resolution;
    uint8_t rate;
    uint8_t rates_before[2]; /* the last but one, and the last */
    uint8_t id;              /* 0 three bytes a report, 3 with wheel, 4 with five buttons */
    bool remote;
    bool wrap;
    bool reporting;
    bool doubling; /* scaling 2:1 */

    /* wiring */
    struct i8042 *controller;
};

extern const struct state_desc ps2_mouse_desc;

void ps2_mouse_init(struct ps2_mouse *mouse, struct i8042 *controller);
void ps2_mouse_reset(void *mouse);
struct i8042_aux ps2_mouse_aux(struct ps2_mouse *mouse);

/* The INPUT_POINTER sink: 16 bytes, little-endian: i32 to the right, i32 up, i32 wheel (towards the user),
 * u32 buttons. Others are ignored. */
void ps2_mouse_deliver(void *mouse, const uint8_t *data, size_t len);

#endif
