/* SPDX-License-Identifier: MIT */
/* The tiny machine of the replay tests: tiny_machine.h. */
#include "tiny_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <emu/cpu.h>

#define FIFO_BYTES     64u
#define PENDING_TIMER  1u
#define PENDING_SERIAL 2u
#define VECTOR_TIMER   0x20u
#define VECTOR_SERIAL  0x21u
#define HONEST_TICKS   4u

enum fault { FAULT_NONE, FAULT_LATE, FAULT_VECTOR, FAULT_SILENT };

struct tiny {
    /* saved */
    uint32_t pending;
    uint32_t ticks;
    uint8_t fifo[FIFO_BYTES];
    uint32_t fifo_len;
    /* wiring */
    enum fault fault;
    struct machine *m;
    struct cpu_lines lines;
    struct timer timer;
    struct bus_range range;
};

static const struct field tiny_fields[] = {
    FIELD(struct tiny, pending, FIELD_U32),
    FIELD(struct tiny, ticks, FIELD_U32),
    FIELD_ARRAY(struct tiny, fifo, FIELD_U8),
    FIELD(struct tiny, fifo_len, FIELD_U32),
};
static const struct state_desc tiny_desc = STATE_DESC("tiny", 1, struct tiny, tiny_fields, NULL);

/* --- interrupts --- */

static void update(struct tiny *t)
{
    t->lines.set_intr(t->lines.cpu, t->pending != 0);
}

static struct intr_ack ack(void *opaque)
{
    struct tiny *t = opaque;
    struct intr_ack seen = {.vector = VECTOR_SERIAL, .source = INTR_SOURCE_PIC};

    if (t->pending & PENDING_TIMER) {
        t->pending &= ~PENDING_TIMER;
        seen.source = INTR_SOURCE_LAPIC;
        seen.vector = VECTOR_TIMER;
        if (t->fault == FAULT_VECTOR && t->ticks > HONEST_TICKS)
            seen.vector = VECTOR_SERIAL;
    } else {
        t->pending &= ~PENDING_SERIAL;
    }
    update(t);
    return seen;
}

static uint8_t get_cr8(void *opaque)
{
    (void)opaque;
    return 0;
}

static void set_cr8(void *opaque, uint8_t cr8)
{
    (void)opaque, (void)cr8;
}

static int rdmsr(void *opaque, uint32_t msr, uint64_t *value)
{
    (void)opaque, (void)msr, (void)value;
    return -1;
}

static int wrmsr(void *opaque, uint32_t msr, uint64_t value)
{
    (void)opaque, (void)msr, (void)value;
    return -1;
}

static bool enabled(void *opaque)
{
    (void)opaque;
    return false;
}

static const struct intc_ops tiny_intc = {
    .ack = ack,
    .get_cr8 = get_cr8,
    .set_cr8 = set_cr8,
    .rdmsr = rdmsr,
    .wrmsr = wrmsr,
    .enabled = enabled,
};

/* --- timer, serial line, ports --- */

static void arm(struct tiny *t)
{
    uint64_t late = t->fault == FAULT_LATE && t->ticks == HONEST_TICKS;

    timer_set(&t->timer, clock_now_ns(&t->m->clock) + TINY_TIMER_NS + late);
}

static void on_tick(void *opaque)
{
    struct tiny *t = opaque;

    t->ticks++;
    if (t->fault != FAULT_SILENT || t->ticks <= HONEST_TICKS)
        t->pending |= PENDING_TIMER;
    arm(t);
    update(t);
}

static void receive(void *opaque, const uint8_t *data, size_t len)
{
    struct tiny *t = opaque;

    for (size_t i = 0; i < len && t->fifo_len < FIFO_BYTES; i++)
        t->fifo[t->fifo_len++] = data[i];
    if (len > 0)
        t->pending |= PENDING_SERIAL;
    update(t);
}

static uint8_t pop(struct tiny *t)
{
    uint8_t byte = t->fifo[0];

    if (t->fifo_len == 0)
        return 0;
    memmove(t->fifo, t->fifo + 1, --t->fifo_len);
    if (t->fifo_len > 0)
        t->pending |= PENDING_SERIAL;
    update(t);
    return byte;
}

static uint64_t port_read(void *opaque, uint64_t port, unsigned size)
{
    (void)size;
    return port == 0x10 ? pop(opaque) : 0xff;
}

static void port_write(void *opaque, uint64_t port, uint64_t value, unsigned size)
{
    struct tiny *t = opaque;
    uint8_t byte = (uint8_t)value;

    (void)size;
    switch (port) {
    case 0x10: machine_serial_out(t->m, 0, &byte, 1); break;
    case 0x40: arm(t); break;
    case 0x64: machine_request_stop(t->m, STOP_RESET); break;
    case 0x65: machine_request_stop(t->m, STOP_POWEROFF); break;
    case 0xf4: machine_request_exit(t->m, TINY_EXIT_CODE); break;
    default: break;
    }
}

static const struct bus_ops tiny_ports = {.read = port_read, .write = port_write, .max_size = 1};

/* --- assembly --- */

static void tiny_reset(void *obj)
{
    struct tiny *t = obj;

    t->pending = 0;
    t->ticks = 0;
    memset(t->fifo, 0, sizeof(t->fifo));
    t->fifo_len = 0;
    timer_cancel(&t->timer);
    update(t);
}

static void *tiny_create(struct machine *m, enum fault fault)
{
    struct tiny *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->m = m;
    t->fault = fault;
    t->lines = machine_connect_intc(m, 0, &tiny_intc, t);
    timer_init(&t->timer, &m->clock, on_tick, t, "tick");
    bus_add(&m->ports, &t->range, "tiny", 0, 0x100, &tiny_ports, t);
    input_door_add(&m->door,
                   &(struct input_sink){.kind = INPUT_SERIAL, .deliver = receive, .opaque = t});
    machine_add_part(m, &tiny_desc, t, tiny_reset);
    return t;
}

static void *create_honest(struct machine *m, char *err, size_t errlen)
{
    (void)err, (void)errlen;
    return tiny_create(m, FAULT_NONE);
}

static void *create_late(struct machine *m, char *err, size_t errlen)
{
    (void)err, (void)errlen;
    return tiny_create(m, FAULT_LATE);
}

static void *create_other_vector(struct machine *m, char *err, size_t errlen)
{
    (void)err, (void)errlen;
    return tiny_create(m, FAULT_VECTOR);
}

static void *create_silent(struct machine *m, char *err, size_t errlen)
{
    (void)err, (void)errlen;
    return tiny_create(m, FAULT_SILENT);
}

const struct machine_board tiny_board = {.name = "tiny", .create = create_honest, .destroy = free};
const struct machine_board tiny_board_late = {
    .name = "tiny", .create = create_late, .destroy = free};
const struct machine_board tiny_board_other_vector = {
    .name = "tiny", .create = create_other_vector, .destroy = free};
const struct machine_board tiny_board_silent = {
    .name = "tiny", .create = create_silent, .destroy = free};
const struct machine_board tiny_board_other = {
    .name = "other", .create = create_honest, .destroy = free};

struct machine_config tiny_config(void)
{
    return (struct machine_config){
        .struct_size = sizeof(struct machine_config),
        .ram_bytes = 1u << 20,
        .seed = 42,
        .rtc_base = 1000000000,
        .ns_per_insn = 1,
        .bios = {.name = "tiny.bin",
                 .data = tiny_guest,
                 .len = (size_t)(tiny_guest_end - tiny_guest)},
    };
}

struct machine *tiny_machine_create(const struct machine_board *board)
{
    struct machine_config config = tiny_config();
    char err[256] = "";
    struct machine *m = machine_create(&config, board, err, sizeof(err));

    if (m == NULL)
        fail_msg("machine_create: %s", err);
    return m;
}

/* --- the scripted source --- */

static bool script_poll(void *opaque, struct machine *m, struct input *in)
{
    struct script *s = opaque;
    const struct script_input *next = &s->inputs[s->at];

    if (s->at == s->n) {
        if (s->ends_run)
            machine_request_stop(m, STOP_SOURCE);
        return false;
    }
    if (m->clock.icount < next->icount || clock_now_ns(&m->clock) < next->vns)
        return false;
    if (s->skipped < next->skip) {
        s->skipped++;
        return false;
    }
    *in = (struct input){.kind = next->kind,
                         .data = (const uint8_t *)next->text,
                         .len = next->text != NULL ? strlen(next->text) : 0};
    s->at++;
    s->skipped = 0;
    return true;
}

static uint64_t script_horizon(void *opaque, uint64_t icount)
{
    const struct script *s = opaque;

    if (s->at == s->n)
        return s->ends_run ? icount + 1 : UINT64_MAX;
    if (s->inputs[s->at].icount > icount)
        return s->inputs[s->at].icount;
    return icount + 777;
}

static uint64_t script_wait(void *opaque, struct machine *m, uint64_t deadline_ns)
{
    const struct script *s = opaque;
    const struct script_input *next = &s->inputs[s->at];
    uint64_t now = clock_now_ns(&m->clock);

    if (s->at == s->n || next->icount > m->clock.icount)
        return deadline_ns;
    if (next->vns <= now)
        return now;
    return next->vns < deadline_ns ? next->vns : deadline_ns;
}

struct input_source script_source(struct script *s)
{
    return (struct input_source){
        .poll = script_poll, .horizon = script_horizon, .wait = script_wait, .opaque = s};
}

/* --- output --- */

static void keep_output(void *opaque, unsigned port, const uint8_t *data, size_t len)
{
    struct tiny_output *out = opaque;

    assert_int_equal(port, 0);
    assert_true(len < sizeof(out->text) - out->len);
    memcpy(out->text + out->len, data, len);
    out->len += len;
    out->text[out->len] = '\0';
}

struct machine_observer tiny_output_observer(struct tiny_output *out)
{
    return (struct machine_observer){.serial_out = keep_output, .opaque = out};
}
