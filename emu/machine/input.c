/* SPDX-License-Identifier: MIT */
/*
 * The input door's register of sinks: emu/input.h says what it promises.
 *
 * The machine owns the order of delivery; this file only knows who listens for what. There is at
 * most one sink for a (kind, port), so that a delivery has one meaning.
 */
#include <emu/input.h>

#include <assert.h>

void input_door_add(struct input_door *door, const struct input_sink *sink)
{
    assert(door->nsinks < INPUT_MAX_SINKS);
    assert(input_door_find(door, sink->kind, sink->port) == NULL);
    door->sinks[door->nsinks++] = *sink;
}

const struct input_sink *input_door_find(const struct input_door *door, enum input_kind kind,
                                         uint32_t port)
{
    for (unsigned i = 0; i < door->nsinks; i++) {
        if (door->sinks[i].kind == kind && door->sinks[i].port == port)
            return &door->sinks[i];
    }
    return NULL;
}

const char *input_kind_name(enum input_kind kind)
{
    switch (kind) {
    case INPUT_SERIAL: return "serial";
    case INPUT_SERIAL_EOF: return "serial-eof";
    case INPUT_KEY: return "key";
    case INPUT_POINTER: return "pointer";
    case INPUT_NET: return "net";
    case INPUT_RESET: return "reset";
    case INPUT_STOP: return "stop";
    case INPUT_MEDIUM: return "medium";
    case INPUT_POWER: return "power";
    case INPUT_DEBUG: return "debug";
    case INPUT_TIME: return "time";
    case INPUT_KIND_COUNT: break;
    }
    return "unknown";
}
