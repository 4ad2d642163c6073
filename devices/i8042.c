/* SPDX-License-Identifier: MIT */
/*
 * The PS/2 keyboard controller and its keyboard.
 *
 * Modelled: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device
 * Controller" and "Keyboards": ports 60h and 64h, the command byte, self tests, A20 and reset
 * through the output port, translation from scan code set 2 to set 1, the keyboard's commands and
 * its three scan code sets.
 *
 * A byte takes one transfer time (eleven bits of the serial line) from keyboard or mouse to the
 * output buffer, and the next one sets out when the buffer has been read, so a handler that reads
 * port 60h twice gets the same byte twice. The controller's own replies appear at once; one that
 * finds the buffer full waits for it. The keyboard answers commands ahead of the scan codes that it
 * holds.
 *
 * Nothing attached to the auxiliary port: a byte for it gives FEh with the timeout bit, as the
 * controller does when no device pulls the clock.
 *
 * Not modelled: the password, the keyboard lock (never locked), the input buffer (a command is done
 * when the write is, so IBF reads 0), diagnostic dump, the polling of input port bits (C1h, C2h)
 * and typematic repeat: the source of INPUT_KEY sends repeats. Of the key types of set 3 only
 * "reports its release" has an effect.
 *
 * Invariants: 1. The transfer timer is armed exactly when the buffer is empty and a byte may come.
 * 2. reply_waits implies output_full. 3. irq1 and irq12 have the levels of i8042_irq_level after
 * every entry point.
 */
#include <devices/i8042.h>

#include <string.h>

#define PORT_DATA    0x60
#define PORT_COMMAND 0x64

#define STATUS_OBF      0x01
#define STATUS_SYSTEM   0x04
#define STATUS_COMMAND  0x08
#define STATUS_UNLOCKED 0x10
#define STATUS_AUX      0x20
#define STATUS_TIMEOUT  0x40

#define CCB_INT         0x01
#define CCB_AUX_INT     0x02
#define CCB_SYSTEM      0x04
#define CCB_DISABLE     0x10
#define CCB_AUX_DISABLE 0x20
#define CCB_TRANSLATE   0x40

#define OUTPUT_NO_RESET 0x01
#define OUTPUT_A20      0x02
#define OUTPUT_OBF      0x10
#define OUTPUT_AUX_OBF  0x20
#define OUTPUT_KEPT     0xcf
#define INPUT_PORT      0xa0 /* not locked, and the manufacturing jumper is out */

#define CTL_READ_RAM         0x20 /* ..3Fh */
#define CTL_WRITE_RAM        0x60 /* ..7Fh */
#define CTL_TEST_PASSWORD    0xa4
#define CTL_AUX_DISABLE      0xa7
#define CTL_AUX_ENABLE       0xa8
#define CTL_AUX_TEST         0xa9
#define CTL_SELF_TEST        0xaa
#define CTL_KBD_TEST         0xab
#define CTL_KBD_DISABLE      0xad
#define CTL_KBD_ENABLE       0xae
#define CTL_READ_INPUT       0xc0
#define CTL_READ_OUTPUT      0xd0
#define CTL_WRITE_OUTPUT     0xd1
#define CTL_WRITE_KBD_BUFFER 0xd2
#define CTL_WRITE_AUX_BUFFER 0xd3
#define CTL_WRITE_AUX        0xd4
#define CTL_A20_CLOSE        0xdd
#define CTL_A20_OPEN         0xdf
#define CTL_READ_TEST        0xe0
#define CTL_PULSE            0xf0 /* ..FFh: bits 0..3 low are pulsed low */

#define KBD_LEDS                0xed
#define KBD_ECHO                0xee
#define KBD_SET                 0xf0
#define KBD_ID                  0xf2
#define KBD_TYPEMATIC           0xf3
#define KBD_ENABLE              0xf4
#define KBD_DISABLE             0xf5
#define KBD_DEFAULTS            0xf6
#define KBD_ALL_TYPEMATIC       0xf7
#define KBD_ALL_BREAK           0xf8
#define KBD_ALL_MAKE            0xf9
#define KBD_ALL_TYPEMATIC_BREAK 0xfa
#define KBD_KEY_TYPEMATIC       0xfb
#define KBD_KEY_BREAK           0xfc
#define KBD_KEY_MAKE            0xfd
#define KBD_RESEND              0xfe
#define KBD_RESET               0xff

#define REPLY_ACK         0xfa
#define REPLY_RESEND      0xfe
#define REPLY_BAT         0xaa
#define REPLY_NO_PASSWORD 0xf1
#define REPLY_SELF_TEST   0x55

#define CODE_E0          0xe0
#define CODE_E1          0xe1
#define CODE_RELEASE     0xf0
#define PAUSE_SKIP       7 /* bytes of Pause after the first E1h */
#define SET3_PAUSE       0x62
#define LONGEST_SEQUENCE 8

#define TRANSFER_NS  660000ULL  /* eleven bits at 16.7 kHz */
#define SELF_TEST_NS 4000000ULL /* the standard allows 500 ms; nobody gains by waiting */

/* --- scan codes --- */

/* Set 2 to set 1, for bytes below 80h; above it only 83h and 84h change. */
static const uint8_t set1_from_set2[0x80] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

/* Set 2 to set 3: where the codes differ, without and with E0h. Others are the same, or no key. */
struct code_pair {
    uint8_t set2, set3;
};

static const struct code_pair set3_plain[] = {
    {0x05, 0x07}, {0x06, 0x0f}, {0x04, 0x17}, {0x0c, 0x1f}, {0x03, 0x27}, {0x0b, 0x2f},
    {0x83, 0x37}, {0x0a, 0x3f}, {0x01, 0x47}, {0x09, 0x4f}, {0x78, 0x56}, {0x07, 0x5e},
    {0x76, 0x08}, {0x7e, 0x5f}, {0x58, 0x14}, {0x14, 0x11}, {0x11, 0x19}, {0x5d, 0x5c},
    {0x61, 0x13}, {0x77, 0x76}, {0x7c, 0x7e}, {0x7b, 0x84}, {0x79, 0x7c}, {0x84, 0x57},
};

static const struct code_pair set3_e0[] = {
    {0x11, 0x39}, {0x14, 0x58}, {0x70, 0x67}, {0x71, 0x64}, {0x6c, 0x6e},
    {0x69, 0x65}, {0x7d, 0x6f}, {0x7a, 0x6d}, {0x6b, 0x61}, {0x75, 0x63},
    {0x72, 0x60}, {0x74, 0x6a}, {0x4a, 0x77}, {0x5a, 0x79}, {0x7c, 0x57},
    {0x1f, 0x8b}, {0x27, 0x8c}, {0x2f, 0x8d}, {0x7e, 0x62},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint8_t translate(uint8_t byte)
{
    if (byte < 0x80)
        return set1_from_set2[byte];
    return byte == 0x83 ? 0x41 : byte == 0x84 ? 0x54 : byte;
}

static uint8_t find_code(const struct code_pair *pairs, size_t n, uint8_t set2, uint8_t otherwise)
{
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].set2 == set2)
            return pairs[i].set3;
    }
    return otherwise;
}

/* The set-3 code of a key, or 0 when set 3 has no such key (the shifts that E0h keys fake). */
static uint8_t set3_code(uint8_t prefix, uint8_t code)
{
    if (prefix == CODE_E0)
        return find_code(set3_e0, COUNT(set3_e0), code, 0);
    return find_code(set3_plain, COUNT(set3_plain), code, code);
}

/* --- field tables --- */

static int keyboard_post_load(void *obj)
{
    const struct ps2_keyboard *k = obj;

    if (k->queue_head >= PS2_KEYBOARD_QUEUE || k->queue_count > PS2_KEYBOARD_QUEUE ||
        k->nreplies > PS2_KEYBOARD_REPLIES || k->set < 1 || k->set > 3 ||
        k->pause_left > PAUSE_SKIP)
        return -1;
    return 0;
}

static const struct field keyboard_fields[] = {
    FIELD_ARRAY(struct ps2_keyboard, queue, FIELD_U8),
    FIELD_ARRAY(struct ps2_keyboard, replies, FIELD_U8),
    FIELD_ARRAY(struct ps2_keyboard, set3_break, FIELD_U8),
    FIELD(struct ps2_keyboard, queue_head, FIELD_U8),
    FIELD(struct ps2_keyboard, queue_count, FIELD_U8),
    FIELD(struct ps2_keyboard, nreplies, FIELD_U8),
    FIELD(struct ps2_keyboard, command, FIELD_U8),
    FIELD(struct ps2_keyboard, set, FIELD_U8),
    FIELD(struct ps2_keyboard, leds, FIELD_U8),
    FIELD(struct ps2_keyboard, typematic, FIELD_U8),
    FIELD(struct ps2_keyboard, last_sent, FIELD_U8),
    FIELD(struct ps2_keyboard, prefix, FIELD_U8),
    FIELD(struct ps2_keyboard, pause_left, FIELD_U8),
    FIELD(struct ps2_keyboard, release, FIELD_BOOL),
    FIELD(struct ps2_keyboard, scanning, FIELD_BOOL),
    FIELD(struct ps2_keyboard, testing, FIELD_BOOL),
};
static const struct state_desc keyboard_desc = STATE_DESC("ps2-keyboard", 1, struct ps2_keyboard,
                                                          keyboard_fields, keyboard_post_load);

static int i8042_post_load(void *obj)
{
    const struct i8042 *s = obj;

    return s->reply_waits && !s->output_full ? -1 : 0;
}

static const struct field i8042_fields[] = {
    FIELD_SUB(struct i8042, kbd, &keyboard_desc),
    FIELD_ARRAY(struct i8042, ram, FIELD_U8),
    FIELD(struct i8042, output, FIELD_U8),
    FIELD(struct i8042, reply, FIELD_U8),
    FIELD(struct i8042, command, FIELD_U8),
    FIELD(struct i8042, output_port, FIELD_U8),
    FIELD(struct i8042, command_waits, FIELD_BOOL),
    FIELD(struct i8042, last_was_command, FIELD_BOOL),
    FIELD(struct i8042, output_full, FIELD_BOOL),
    FIELD(struct i8042, output_aux, FIELD_BOOL),
    FIELD(struct i8042, output_timeout, FIELD_BOOL),
    FIELD(struct i8042, reply_waits, FIELD_BOOL),
    FIELD(struct i8042, reply_aux, FIELD_BOOL),
    FIELD(struct i8042, reply_timeout, FIELD_BOOL),
    FIELD(struct i8042, translate_release, FIELD_BOOL),
};
const struct state_desc i8042_desc = STATE_DESC("i8042", 1, struct i8042, i8042_fields,
                                                i8042_post_load);

/* --- keyboard: what it sends --- */

static void keyboard_reply(struct ps2_keyboard *k, uint8_t byte)
{
    if (k->nreplies < PS2_KEYBOARD_REPLIES)
        k->replies[k->nreplies++] = byte;
}

/* The last place of the buffer is for the code that says that codes were lost. */
static void keyboard_enqueue(struct ps2_keyboard *k, uint8_t byte)
{
    if (k->queue_count >= PS2_KEYBOARD_QUEUE)
        return;
    if (k->queue_count == PS2_KEYBOARD_QUEUE - 1)
        byte = k->set == 1 ? 0xff : 0x00;
    k->queue[(k->queue_head + k->queue_count) % PS2_KEYBOARD_QUEUE] = byte;
    k->queue_count++;
}

static bool keyboard_pending(const struct ps2_keyboard *k)
{
    return k->nreplies != 0 || k->queue_count != 0;
}

/* Takes the next byte off the keyboard, which has one. */
static uint8_t keyboard_take(struct ps2_keyboard *k)
{
    uint8_t byte;

    if (k->nreplies != 0) {
        byte = k->replies[0];
        memmove(k->replies, k->replies + 1, sizeof(k->replies) - 1);
        k->nreplies--;
    } else {
        byte = k->queue[k->queue_head];
        k->queue_head = (uint8_t)((k->queue_head + 1) % PS2_KEYBOARD_QUEUE);
        k->queue_count--;
    }
    k->last_sent = byte;
    return byte;
}

static void keyboard_clear(struct ps2_keyboard *k)
{
    k->queue_head = 0;
    k->queue_count = 0;
    k->prefix = 0;
    k->pause_left = 0;
    k->release = false;
}

/* --- keyboard: keys --- */

static void key_set1(struct ps2_keyboard *k, uint8_t byte)
{
    if (byte == CODE_RELEASE) {
        k->release = true;
        return;
    }
    /* E0h and E1h stand in front of F0h, so they are never what a release is for. */
    keyboard_enqueue(k, (uint8_t)(translate(byte) | (k->release ? 0x80 : 0)));
    k->release = false;
}

static void key_set3(struct ps2_keyboard *k, uint8_t byte)
{
    uint8_t code;

    if (k->pause_left != 0) {
        k->pause_left--;
        return;
    }
    switch (byte) {
    case CODE_RELEASE: k->release = true; return;
    case CODE_E0: k->prefix = CODE_E0; return;
    case CODE_E1:
        k->pause_left = PAUSE_SKIP;
        code = SET3_PAUSE;
        break;
    default: code = set3_code(k->prefix, byte); break;
    }
    if (k->release && code != 0 && (k->set3_break[code / 8] & (1u << code % 8))) {
        keyboard_enqueue(k, CODE_RELEASE);
        keyboard_enqueue(k, code);
    } else if (!k->release && code != 0) {
        keyboard_enqueue(k, code);
    }
    k->release = false;
    k->prefix = 0;
}

static void keyboard_key(struct ps2_keyboard *k, uint8_t byte)
{
    if (!k->scanning || k->testing)
        return;
    switch (k->set) {
    case 1: key_set1(k, byte); break;
    case 2: keyboard_enqueue(k, byte); break;
    default: key_set3(k, byte); break;
    }
}

/* --- keyboard: commands --- */

static void set_key_break(struct ps2_keyboard *k, uint8_t code, bool on)
{
    uint8_t bit = (uint8_t)(1u << code % 8);

    k->set3_break[code / 8] = (uint8_t)(on ? k->set3_break[code / 8] | bit
                                           : k->set3_break[code / 8] & ~bit);
}

/* Power-on defaults but for scanning, which depends on who asks. */
static void keyboard_defaults(struct ps2_keyboard *k)
{
    static const uint8_t with_break[] = {0x11, 0x12, 0x14, 0x19,
                                         0x59}; /* Ctrl, Shifts, Caps, Alt */

    keyboard_clear(k);
    memset(k->set3_break, 0, sizeof(k->set3_break));
    for (unsigned i = 0; i < sizeof(with_break); i++)
        set_key_break(k, with_break[i], true);
    k->set = 2;
    k->typematic = 0x2b; /* 10.9 a second after 500 ms */
    k->command = 0;
}

/* The argument of a command. False when the byte is no argument but the next command. */
static bool keyboard_argument(struct ps2_keyboard *k, uint8_t byte)
{
    uint8_t command = k->command;
    bool lists_keys = command >= KBD_KEY_TYPEMATIC && command <= KBD_KEY_MAKE;

    k->command = 0;
    if (byte >= (lists_keys ? KBD_LEDS : 0x80))
        return false;
    switch (command) {
    case KBD_LEDS: k->leds = byte & 7; break;
    case KBD_TYPEMATIC: k->typematic = byte & 0x7f; break;
    case KBD_SET:
        if (byte > 3) {
            keyboard_reply(k, REPLY_RESEND);
            return true;
        }
        keyboard_reply(k, REPLY_ACK);
        if (byte == 0) {
            keyboard_reply(k, k->set);
        } else {
            keyboard_clear(k);
            k->set = byte;
        }
        return true;
    default:
        set_key_break(k, byte, command == KBD_KEY_BREAK);
        k->command = command; /* more keys may follow */
        break;
    }
    keyboard_reply(k, REPLY_ACK);
    return true;
}

static void keyboard_start_test(struct i8042 *s)
{
    struct ps2_keyboard *k = &s->kbd;

    keyboard_defaults(k);
    k->leds = 0;
    k->scanning = true;
    k->testing = true;
    timer_set(&s->self_test, clock_now_ns(s->clock) + SELF_TEST_NS);
}

static void keyboard_command(struct i8042 *s, uint8_t byte)
{
    struct ps2_keyboard *k = &s->kbd;

    switch (byte) {
    case KBD_ECHO: keyboard_reply(k, KBD_ECHO); return;
    case KBD_RESEND: keyboard_reply(k, k->last_sent); return;
    case KBD_LEDS:
    case KBD_SET:
    case KBD_TYPEMATIC:
    case KBD_KEY_TYPEMATIC:
    case KBD_KEY_BREAK:
    case KBD_KEY_MAKE: k->command = byte; break;
    case KBD_ID:
        keyboard_reply(k, REPLY_ACK);
        keyboard_reply(k, 0xab);
        keyboard_reply(k, 0x83);
        return;
    case KBD_ENABLE:
        keyboard_clear(k);
        k->scanning = true;
        break;
    case KBD_DISABLE:
        keyboard_defaults(k);
        k->scanning = false;
        break;
    case KBD_DEFAULTS: keyboard_defaults(k); break;
    case KBD_ALL_TYPEMATIC:
    case KBD_ALL_MAKE: memset(k->set3_break, 0, sizeof(k->set3_break)); break;
    case KBD_ALL_BREAK:
    case KBD_ALL_TYPEMATIC_BREAK: memset(k->set3_break, 0xff, sizeof(k->set3_break)); break;
    case KBD_RESET: keyboard_start_test(s); break;
    default: keyboard_reply(k, REPLY_RESEND); return;
    }
    keyboard_reply(k, REPLY_ACK);
}

/* A byte from the host; it ends whatever the keyboard was saying in answer to the one before. */
static void keyboard_write(struct i8042 *s, uint8_t byte)
{
    struct ps2_keyboard *k = &s->kbd;

    k->nreplies = 0;
    k->testing = false; /* a host that does not wait for the self test ends it */
    timer_cancel(&s->self_test);
    if (k->command != 0 && keyboard_argument(k, byte))
        return;
    k->command = 0;
    keyboard_command(s, byte);
}

/* --- the controller: lines, output buffer --- */

static uint8_t *command_byte(struct i8042 *s)
{
    return &s->ram[0];
}

bool i8042_irq_level(const struct i8042 *s, bool aux)
{
    uint8_t enable = aux ? CCB_AUX_INT : CCB_INT;

    return s->output_full && s->output_aux == aux && (s->ram[0] & enable);
}

static bool keyboard_may_send(const struct i8042 *s)
{
    return !(s->ram[0] & CCB_DISABLE) && keyboard_pending(&s->kbd);
}

static bool aux_may_send(const struct i8042 *s)
{
    return !(s->ram[0] & CCB_AUX_DISABLE) && s->aux.write != NULL && s->aux.pending(s->aux.opaque);
}

/* Drives the lines, and lets the next byte set out when the buffer is free. */
static void update(struct i8042 *s)
{
    bool may_send = !s->output_full && (keyboard_may_send(s) || aux_may_send(s));

    irq_set(&s->irq1, i8042_irq_level(s, false));
    irq_set(&s->irq12, i8042_irq_level(s, true));
    if (!may_send)
        timer_cancel(&s->transfer);
    else if (!timer_pending(&s->transfer))
        timer_set(&s->transfer, clock_now_ns(s->clock) + TRANSFER_NS);
}

static void fill_output(struct i8042 *s, uint8_t byte, bool aux, bool timeout)
{
    s->output = byte;
    s->output_full = true;
    s->output_aux = aux;
    s->output_timeout = timeout;
}

/* A byte of the controller's own making. */
static void controller_reply(struct i8042 *s, uint8_t byte, bool aux, bool timeout)
{
    if (!s->output_full) {
        fill_output(s, byte, aux, timeout);
        return;
    }
    s->reply = byte;
    s->reply_waits = true;
    s->reply_aux = aux;
    s->reply_timeout = timeout;
}

/* A byte of the keyboard's, through the translation. F0h goes into the byte after it. */
static void receive_from_keyboard(struct i8042 *s, uint8_t byte)
{
    if (!(*command_byte(s) & CCB_TRANSLATE)) {
        fill_output(s, byte, false, false);
        return;
    }
    if (byte == CODE_RELEASE) {
        s->translate_release = true;
        return;
    }
    fill_output(s, (uint8_t)(translate(byte) | (s->translate_release ? 0x80 : 0)), false, false);
    s->translate_release = false;
}

/* --- the controller: commands --- */

static void set_output_port(struct i8042 *s, uint8_t value)
{
    s->output_port = value & OUTPUT_KEPT;
    if (s->set_a20 != NULL)
        s->set_a20(s->opaque, (value & OUTPUT_A20) != 0);
    if (!(value & OUTPUT_NO_RESET) && s->reset != NULL)
        s->reset(s->opaque);
}

static void set_a20(struct i8042 *s, bool open)
{
    set_output_port(s, (uint8_t)((s->output_port & ~OUTPUT_A20) | (open ? OUTPUT_A20 : 0)));
}

static uint8_t read_output_port(const struct i8042 *s)
{
    return (uint8_t)(s->output_port | (s->output_full && !s->output_aux ? OUTPUT_OBF : 0) |
                     (s->output_full && s->output_aux ? OUTPUT_AUX_OBF : 0));
}

static void self_test(struct i8042 *s)
{
    *command_byte(s) |= CCB_SYSTEM; /* the rest stays: too many kernels rely on it */
    s->translate_release = false;
    controller_reply(s, REPLY_SELF_TEST, false, false);
}

static void run_command(struct i8042 *s, uint8_t command)
{
    s->command = command;
    s->command_waits = false;
    if (command >= CTL_PULSE) {
        if (!(command & OUTPUT_NO_RESET) && s->reset != NULL)
            s->reset(s->opaque);
        return;
    }
    if (command >= CTL_READ_RAM && command < CTL_READ_RAM + 32) {
        controller_reply(s, s->ram[command & 31], false, false);
        return;
    }
    if (command >= CTL_WRITE_RAM && command < CTL_WRITE_RAM + 32) {
        s->command_waits = true;
        return;
    }
    switch (command) {
    case CTL_TEST_PASSWORD: controller_reply(s, REPLY_NO_PASSWORD, false, false); break;
    case CTL_AUX_DISABLE: *command_byte(s) |= CCB_AUX_DISABLE; break;
    case CTL_AUX_ENABLE: *command_byte(s) &= (uint8_t)~CCB_AUX_DISABLE; break;
    case CTL_AUX_TEST:
    case CTL_KBD_TEST: controller_reply(s, 0, false, false); break; /* clock and data are fine */
    case CTL_SELF_TEST: self_test(s); break;
    case CTL_KBD_DISABLE: *command_byte(s) |= CCB_DISABLE; break;
    case CTL_KBD_ENABLE: *command_byte(s) &= (uint8_t)~CCB_DISABLE; break;
    case CTL_READ_INPUT: controller_reply(s, INPUT_PORT, false, false); break;
    case CTL_READ_OUTPUT: controller_reply(s, read_output_port(s), false, false); break;
    case CTL_WRITE_OUTPUT:
    case CTL_WRITE_KBD_BUFFER:
    case CTL_WRITE_AUX_BUFFER:
    case CTL_WRITE_AUX: s->command_waits = true; break;
    case CTL_A20_CLOSE: set_a20(s, false); break;
    case CTL_A20_OPEN: set_a20(s, true); break;
    case CTL_READ_TEST: controller_reply(s, 0, false, false); break; /* both clocks are low */
    default: break; /* not a command of this controller: no answer */
    }
}

static void write_aux(struct i8042 *s, uint8_t byte)
{
    *command_byte(s) &= (uint8_t)~CCB_AUX_DISABLE;
    if (s->aux.write != NULL)
        s->aux.write(s->aux.opaque, byte);
    else
        controller_reply(s, REPLY_RESEND, true, true);
}

/* The byte at port 60h that belongs to the last command. */
static void finish_command(struct i8042 *s, uint8_t byte)
{
    s->command_waits = false;
    switch (s->command) {
    case CTL_WRITE_OUTPUT: set_output_port(s, byte); break;
    case CTL_WRITE_KBD_BUFFER: controller_reply(s, byte, false, false); break;
    case CTL_WRITE_AUX_BUFFER: controller_reply(s, byte, true, false); break;
    case CTL_WRITE_AUX: write_aux(s, byte); break;
    default: s->ram[s->command & 31] = byte; break; /* 60h..7Fh */
    }
}

/* --- ports --- */

static uint64_t data_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct i8042 *s = opaque;

    (void)offset;
    (void)size;
    return s->output;
}

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8042 *s = opaque;
    uint64_t value = data_peek(opaque, offset, size);

    if (!s->output_full)
        return value;
    s->output_full = false;
    update(s); /* the lines go low even if a reply raises them again at once */
    if (s->reply_waits) {
        s->reply_waits = false;
        fill_output(s, s->reply, s->reply_aux, s->reply_timeout);
        update(s);
    }
    return value;
}

static void data_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8042 *s = opaque;

    (void)offset;
    (void)size;
    s->last_was_command = false;
    if (s->command_waits) {
        finish_command(s, (uint8_t)value);
    } else { /* to the keyboard, whose interface that opens */
        *command_byte(s) &= (uint8_t)~CCB_DISABLE;
        keyboard_write(s, (uint8_t)value);
    }
    update(s);
}

static uint64_t status_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct i8042 *s = opaque;

    (void)offset;
    (void)size;
    return STATUS_UNLOCKED | (s->output_full ? STATUS_OBF : 0u) |
           ((s->ram[0] & CCB_SYSTEM) ? STATUS_SYSTEM : 0u) |
           (s->last_was_command ? STATUS_COMMAND : 0u) |
           (s->output_full && s->output_aux ? STATUS_AUX : 0u) |
           (s->output_full && s->output_timeout ? STATUS_TIMEOUT : 0u);
}

static void command_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8042 *s = opaque;

    (void)offset;
    (void)size;
    s->last_was_command = true;
    run_command(s, (uint8_t)value);
    update(s);
}

static const struct bus_ops data_ops = {
    .read = data_read, .write = data_write, .peek = data_peek, .max_size = 1};
static const struct bus_ops command_ops = {
    .read = status_read, .write = command_write, .max_size = 1};

/* --- timers --- */

static void transfer_done(void *opaque)
{
    struct i8042 *s = opaque;
    uint8_t byte;

    if (keyboard_may_send(s))
        receive_from_keyboard(s, keyboard_take(&s->kbd));
    else if (aux_may_send(s) && s->aux.next(s->aux.opaque, &byte))
        fill_output(s, byte, true, false);
    update(s);
}

static void self_test_done(void *opaque)
{
    struct i8042 *s = opaque;

    s->kbd.testing = false;
    keyboard_reply(&s->kbd, REPLY_BAT);
    update(s);
}

/* --- inputs --- */

bool i8042_key_ready(void *opaque)
{
    const struct i8042 *s = opaque;

    return s->kbd.queue_count + LONGEST_SEQUENCE < PS2_KEYBOARD_QUEUE;
}

void i8042_key_deliver(void *opaque, const uint8_t *data, size_t len)
{
    struct i8042 *s = opaque;

    for (size_t i = 0; i < len; i++)
        keyboard_key(&s->kbd, data[i]);
    update(s);
}

void i8042_aux_notify(struct i8042 *s)
{
    update(s);
}

uint8_t i8042_leds(const struct i8042 *s)
{
    return s->kbd.leds;
}

/* --- life cycle --- */

/*
 * What firmware leaves: both self tests passed, keyboard interface and interrupt on, translation
 * on, auxiliary port off, A20 open.
 */
void i8042_reset(void *obj)
{
    struct i8042 *s = obj;

    memset(&s->kbd, 0, sizeof(s->kbd));
    keyboard_defaults(&s->kbd);
    s->kbd.scanning = true;
    memset(s->ram, 0, sizeof(s->ram));
    s->ram[0] = CCB_INT | CCB_SYSTEM | CCB_AUX_DISABLE | CCB_TRANSLATE;
    s->output = 0;
    s->reply = 0;
    s->command = 0;
    s->output_port = OUTPUT_KEPT;
    s->command_waits = false;
    s->last_was_command = false;
    s->output_full = false;
    s->output_aux = false;
    s->output_timeout = false;
    s->reply_waits = false;
    s->reply_aux = false;
    s->reply_timeout = false;
    s->translate_release = false;
    timer_cancel(&s->self_test);
    update(s);
}

void i8042_init(struct i8042 *s, const struct i8042_wiring *wiring)
{
    *s = (struct i8042){
        .clock = wiring->clock,
        .irq1 = wiring->irq1,
        .irq12 = wiring->irq12,
        .aux = wiring->aux,
        .set_a20 = wiring->set_a20,
        .reset = wiring->reset,
        .opaque = wiring->opaque,
    };
    timer_init(&s->transfer, wiring->clock, transfer_done, s, "i8042-transfer");
    timer_init(&s->self_test, wiring->clock, self_test_done, s, "keyboard-self-test");
    bus_add(wiring->ports, &s->range[0], "i8042-data", PORT_DATA, 1, &data_ops, s);
    bus_add(wiring->ports, &s->range[1], "i8042-command", PORT_COMMAND, 1, &command_ops, s);
    i8042_reset(s);
}
