/* SPDX-License-Identifier: MIT */
/*
 * A PS/2 mouse: IBM PS/2 Hardware Interface Technical Reference, "Mouse", with the wheel of Microsoft's
 * IntelliMouse and the five buttons of its Explorer, which a host finds by setting the sample rates 200, 100,
 * 80 and 200, 200, 80 and reading the identity.
 *
 * Modelled: all commands; stream, remote and wrap mode; scaling; reports of three and four bytes. What
 * does not fit into one report (9 bits a direction, 4 bits of wheel) stays for the next one, so the
 * overflow bits are never set.
 *
 * Not modelled: the sample rate is kept and shown, but a report sets out as soon as there is something
 * to say and the one before is gone; resolution likewise: inputs are in counts. The self test takes no
 * time.
 *
 * A command drops what was still to be sent. A byte that is no command, or no argument of the last one, is
 * answered by FEh.
 */
#include <devices/ps2_mouse.h>

#include <string.h>

#define CMD_SCALING_1    0xe6
#define CMD_SCALING_2    0xe7
#define CMD_RESOLUTION   0xe8
#define CMD_STATUS       0xe9
#define CMD_STREAM       0xea
#define CMD_READ         0xeb
#define CMD_RESET_WRAP   0xec
#define CMD_WRAP         0xee
#define CMD_REMOTE       0xf0
#define CMD_IDENTIFY     0xf2
#define CMD_RATE         0xf3
#define CMD_ENABLE       0xf4
#define CMD_DISABLE      0xf5
#define CMD_DEFAULTS     0xf6
#define CMD_RESEND       0xfe
#define CMD_RESET        0xff
#define REPLY_ACK        0xfa
#define REPLY_RESEND     0xfe
#define REPLY_TEST_DONE  0xaa

#define ID_PLAIN    0
#define ID_WHEEL    3
#define ID_EXPLORER 4

#define REPORT_ALWAYS 0x08
#define REPORT_X_SIGN 0x10
#define REPORT_Y_SIGN 0x20
#define THREE_BUTTONS 0x07u
#define MOST_MOVED    0x7fff /* further than that an unread mouse does not count */

static int ps2_mouse_post_load(void *obj);

static const struct field ps2_mouse_fields[] = {
    FIELD_ARRAY(struct ps2_mouse, moved, FIELD_U32),
    FIELD_ARRAY(struct ps2_mouse, queue, FIELD_U8),
    FIELD(struct ps2_mouse, queued, FIELD_U8),
    FIELD_ARRAY(struct ps2_mouse, last, FIELD_U8),
    FIELD(struct ps2_mouse, last_count, FIELD_U8),
    FIELD(struct ps2_mouse, buttons, FIELD_U8),
    FIELD(struct ps2_mouse, reported, FIELD_U8),
    FIELD(struct ps2_mouse, command, FIELD_U8),
    FIELD(struct ps2_mouse, resolution, FIELD_U8),
    FIELD(struct ps2_mouse, rate, FIELD_U8),
    FIELD_ARRAY(struct ps2_mouse, rates_before, FIELD_U8),
    FIELD(struct ps2_mouse, id, FIELD_U8),
    FIELD(struct ps2_mouse, remote, FIELD_BOOL),
    FIELD(struct ps2_mouse, wrap, FIELD_BOOL),
    FIELD(struct ps2_mouse, reporting, FIELD_BOOL),
    FIELD(struct ps2_mouse, doubling, FIELD_BOOL),
};
const struct state_desc ps2_mouse_desc = STATE_DESC("ps2_mouse", 1, struct ps2_mouse,
                                                    ps2_mouse_fields, ps2_mouse_post_load);

static int clamp(int64_t value, int least, int most)
{
    return (int)(value < least ? least : value > most ? most : value);
}

/* --- what goes out --- */

static void queue_byte(struct ps2_mouse *m, uint8_t byte)
{
    if (m->queued < PS2_MOUSE_QUEUE)
        m->queue[m->queued++] = byte;
}

/* What is in the queue now, from `first` on, is what FEh repeats. */
static void remember(struct ps2_mouse *m, unsigned first)
{
    m->last_count = (uint8_t)(m->queued - first);
    memcpy(m->last, m->queue + first, m->last_count);
}

static void acknowledge(struct ps2_mouse *m)
{
    queue_byte(m, REPLY_ACK);
    remember(m, 0);
}

/* --- reports --- */

static bool has_news(const struct ps2_mouse *m)
{
    return m->moved[0] != 0 || m->moved[1] != 0 || (m->moved[2] != 0 && m->id != ID_PLAIN) ||
           m->buttons != m->reported;
}

static bool streams(const struct ps2_mouse *m)
{
    return m->reporting && !m->remote && !m->wrap;
}

/* Takes what fits from an accumulated movement. */
static int take(uint32_t *moved, int least, int most)
{
    int all = (int)(int32_t)*moved;
    int now = clamp(all, least, most);

    *moved = (uint32_t)(all - now);
    return now;
}

/* Scaling 2:1, which reports in stream mode have (technical reference, "Mouse scaling"). */
static int doubled(int count)
{
    static const uint8_t small[] = {0, 1, 1, 3, 6, 9};
    int size = count < 0 ? -count : count;

    size = size < (int)sizeof(small) ? small[size] : clamp(2 * (int64_t)size, 0, 255);
    return count < 0 ? -size : size;
}

static void queue_report(struct ps2_mouse *m, bool scaled)
{
    unsigned first = m->queued;
    int x = take(&m->moved[0], -255, 255), y = take(&m->moved[1], -255, 255);
    int z = m->id == ID_PLAIN ? 0 : take(&m->moved[2], -8, 7);

    if (scaled && m->doubling) {
        x = doubled(x);
        y = doubled(y);
    }
    m->reported = m->buttons;
    queue_byte(m, (uint8_t)(REPORT_ALWAYS | (m->buttons & THREE_BUTTONS) | (x < 0 ? REPORT_X_SIGN : 0) |
                            (y < 0 ? REPORT_Y_SIGN : 0)));
    queue_byte(m, (uint8_t)x);
    queue_byte(m, (uint8_t)y);
    if (m->id == ID_WHEEL)
        queue_byte(m, (uint8_t)z);
    else if (m->id == ID_EXPLORER)
        queue_byte(m, (uint8_t)((z & 0x0f) | (m->buttons >> 3 & 3) << 4));
    remember(m, first);
}

/* --- commands --- */

static void forget_movement(struct ps2_mouse *m)
{
    memset(m->moved, 0, sizeof(m->moved));
    m->reported = m->buttons;
}

static void set_defaults(struct ps2_mouse *m)
{
    m->rate = 100;
    m->resolution = 2;
    m->doubling = false;
    m->reporting = false;
    m->remote = false;
    forget_movement(m);
}

static void power_on(struct ps2_mouse *m)
{
    set_defaults(m);
    m->wrap = false;
    m->command = 0;
    m->id = ID_PLAIN;
    memset(m->rates_before, 0, sizeof(m->rates_before));
}

static void status_request(struct ps2_mouse *m)
{
    unsigned flags = (m->buttons & 1u) << 2 | (m->buttons & 4u) >> 1 | (m->buttons & 2u) >> 1;

    flags |= (m->doubling ? 0x10u : 0) | (m->reporting ? 0x20u : 0) | (m->remote ? 0x40u : 0);
    queue_byte(m, (uint8_t)flags);
    queue_byte(m, m->resolution);
    queue_byte(m, m->rate);
    remember(m, 1);
}

static void reset_command(struct ps2_mouse *m)
{
    power_on(m);
    queue_byte(m, REPLY_TEST_DONE);
    queue_byte(m, m->id);
    remember(m, 1);
}

static void send_again(struct ps2_mouse *m)
{
    memcpy(m->queue, m->last, m->last_count);
    m->queued = m->last_count;
}

/* The argument of a command. False: it has no such one. */
static bool take_argument(struct ps2_mouse *m, uint8_t byte)
{
    static const uint8_t rates[] = {10, 20, 40, 60, 80, 100, 200};

    if (m->command == CMD_RESOLUTION) {
        if (byte > 3)
            return false;
        m->resolution = byte;
        return true;
    }
    if (memchr(rates, byte, sizeof(rates)) == NULL)
        return false;
    m->rate = byte;
    if (byte == 80 && m->rates_before[0] == 200 && m->rates_before[1] == 100)
        m->id = ID_WHEEL;
    else if (byte == 80 && m->rates_before[0] == 200 && m->rates_before[1] == 200)
        m->id = ID_EXPLORER;
    m->rates_before[0] = m->rates_before[1];
    m->rates_before[1] = byte;
    return true;
}

static void do_command(struct ps2_mouse *m, uint8_t byte)
{
    acknowledge(m);
    switch (byte) {
    case CMD_SCALING_1: m->doubling = false; break;
    case CMD_SCALING_2: m->doubling = true; break;
    case CMD_RESOLUTION:
    case CMD_RATE: m->command = byte; break;
    case CMD_STATUS: status_request(m); break;
    case CMD_STREAM:
        m->remote = false;
        forget_movement(m);
        break;
    case CMD_READ: queue_report(m, false); break;
    case CMD_RESET_WRAP: m->wrap = false; break;
    case CMD_WRAP: m->wrap = true; break;
    case CMD_REMOTE:
        m->remote = true;
        forget_movement(m);
        break;
    case CMD_IDENTIFY:
        queue_byte(m, m->id);
        remember(m, 1);
        break;
    case CMD_ENABLE:
        m->reporting = true;
        forget_movement(m);
        break;
    case CMD_DISABLE: m->reporting = false; break;
    case CMD_DEFAULTS: set_defaults(m); break;
    case CMD_RESET: reset_command(m); break;
    default: m->queue[0] = REPLY_RESEND; break;
    }
}

static void aux_write(void *opaque, uint8_t byte)
{
    struct ps2_mouse *m = opaque;

    m->queued = 0;
    if (m->wrap && byte != CMD_RESET && byte != CMD_RESET_WRAP) {
        queue_byte(m, byte);
    } else if (byte == CMD_RESEND) {
        send_again(m);
    } else if (m->command != 0 && byte < CMD_SCALING_1) {
        queue_byte(m, take_argument(m, byte) ? REPLY_ACK : REPLY_RESEND);
        remember(m, 0);
        m->command = 0;
    } else {
        m->command = 0;
        do_command(m, byte);
    }
    i8042_aux_notify(m->controller);
}

/* --- the controller's side --- */

static bool aux_pending(const void *opaque)
{
    const struct ps2_mouse *m = opaque;

    return m->queued > 0 || (streams(m) && m->command == 0 && has_news(m));
}

static bool aux_next(void *opaque, uint8_t *byte)
{
    struct ps2_mouse *m = opaque;

    if (!aux_pending(m))
        return false;
    if (m->queued == 0)
        queue_report(m, true);
    *byte = m->queue[0];
    m->queued--;
    memmove(m->queue, m->queue + 1, m->queued);
    return true;
}

struct i8042_aux ps2_mouse_aux(struct ps2_mouse *mouse)
{
    return (struct i8042_aux){
        .write = aux_write, .next = aux_next, .pending = aux_pending, .opaque = mouse};
}

static uint32_t get_le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void ps2_mouse_deliver(void *mouse, const uint8_t *data, size_t len)
{
    struct ps2_mouse *m = mouse;

    if (len != PS2_MOUSE_INPUT_BYTES)
        return;
    for (unsigned i = 0; i < 3; i++) {
        int64_t sum = (int64_t)(int32_t)m->moved[i] + (int32_t)get_le32(data + 4 * i);

        m->moved[i] = (uint32_t)clamp(sum, -MOST_MOVED, MOST_MOVED);
    }
    m->buttons = data[12] & 0x1f;
    i8042_aux_notify(m->controller);
}

/* --- life cycle --- */

static int ps2_mouse_post_load(void *obj)
{
    const struct ps2_mouse *m = obj;

    for (unsigned i = 0; i < 3; i++)
        if ((int32_t)m->moved[i] < -MOST_MOVED || (int32_t)m->moved[i] > MOST_MOVED)
            return -1;
    return m->queued > PS2_MOUSE_QUEUE || m->last_count > PS2_MOUSE_QUEUE ? -1 : 0;
}

void ps2_mouse_reset(void *obj)
{
    struct ps2_mouse *m = obj;

    m->buttons = 0;
    m->queued = 0;
    m->last_count = 0;
    memset(m->queue, 0, sizeof(m->queue));
    memset(m->last, 0, sizeof(m->last));
    power_on(m);
}

void ps2_mouse_init(struct ps2_mouse *m, struct i8042 *controller)
{
    *m = (struct ps2_mouse){.controller = controller};
    ps2_mouse_reset(m);
}
