/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gdbstub_fixture.h"

struct fake fake;

static uint8_t content[4 * GDBSTUB_PACKET_BYTES];
static size_t content_len;
static char output[4 * GDBSTUB_PACKET_BYTES];
static bool no_acks;

/* ---- the target ---- */

static const uint16_t sizes[FAKE_REGISTERS] = {8, 8, 4, 16, 2, 8};
static const uint16_t expedite[] = {0, 2};
static const char *const objects[] = {"features", "exec-file", "memory-map", "libraries", NULL};
static const char features[] = "<target>}#$*</target>";

static int read_register(void *user, gdbstub_thread thread, unsigned reg, uint8_t *out)
{
    struct fake *f = user;

    assert_in_range(thread, 1, FAKE_THREADS);
    assert_in_range(reg, 0, FAKE_REGISTERS - 1);
    if (f->unavailable[reg])
        return -1;
    memcpy(out, f->regs[thread][reg], sizes[reg]);
    return 0;
}

static int write_register(void *user, gdbstub_thread thread, unsigned reg, const uint8_t *value)
{
    struct fake *f = user;

    assert_in_range(thread, 1, FAKE_THREADS);
    assert_in_range(reg, 0, FAKE_REGISTERS - 1);
    if (f->read_only[reg])
        return -1;
    memcpy(f->regs[thread][reg], value, sizes[reg]);
    return 0;
}

static size_t read_memory(void *user, uint64_t address, uint8_t *out, size_t len)
{
    struct fake *f = user;
    uint64_t at = address - FAKE_BASE;

    assert_true(len > 0);
    if (at >= FAKE_MEMORY)
        return 0;
    if (len > FAKE_MEMORY - at)
        len = (size_t)(FAKE_MEMORY - at);
    memcpy(out, f->memory + at, len);
    return len;
}

static int write_memory(void *user, uint64_t address, const uint8_t *data, size_t len)
{
    struct fake *f = user;
    uint64_t at = address - FAKE_BASE;

    if (f->memory_is_read_only || at >= FAKE_MEMORY || len > FAKE_MEMORY - at)
        return -1;
    memcpy(f->memory + at, data, len);
    return 0;
}

static int resume(void *user, const struct gdbstub_resume *how)
{
    struct fake *f = user;

    assert_in_range(how->nactions, 1, FAKE_THREADS);
    assert_true(how->first < how->nactions);
    f->resumes++;
    f->how = *how;
    memcpy(f->actions, how->actions, how->nactions * sizeof(*how->actions));
    f->how.actions = f->actions;
    return f->resume_result;
}

static void interrupt(void *user)
{
    struct fake *f = user;

    assert_true(gdbstub_running(f->stub));
    f->interrupts++;
}

static size_t find(const struct fake *f, const struct gdbstub_point *p)
{
    size_t i = 0;

    while (i < f->npoints && (f->points[i].kind != p->kind || f->points[i].address != p->address ||
                              f->points[i].length != p->length))
        i++;
    return i;
}

static int insert_point(void *user, const struct gdbstub_point *point)
{
    struct fake *f = user;

    f->inserts++;
    if (f->insert_result)
        return f->insert_result;
    if (find(f, point) == f->npoints && f->npoints < FAKE_POINTS)
        f->points[f->npoints++] = *point;
    return 0;
}

static int remove_point(void *user, const struct gdbstub_point *point)
{
    struct fake *f = user;
    size_t i = find(f, point);

    f->removes++;
    if (i < f->npoints)
        f->points[i] = f->points[--f->npoints];
    return 0;
}

static size_t threads(void *user, gdbstub_thread *out, size_t capacity)
{
    struct fake *f = user;

    for (size_t i = 0; i < f->nthreads && i < capacity; i++)
        out[i] = (gdbstub_thread)(i + 1);
    return f->nthreads;
}

static const char *thread_name(void *user, gdbstub_thread thread)
{
    static char name[16];

    (void)user;
    snprintf(name, sizeof(name), "CPU %u", thread - 1);
    return name;
}

static const char *thread_extra(void *user, gdbstub_thread thread)
{
    struct fake *f = user;

    (void)thread;
    return f->extra;
}

static const char *object(void *user, const char *name, const char *annex, size_t *len)
{
    (void)user;
    if (strcmp(name, "features") == 0 && strcmp(annex, "target.xml") == 0) {
        *len = sizeof(features) - 1;
        return features;
    }
    if (strcmp(name, "exec-file") == 0) {
        *len = 4;
        return "/a:b";
    }
    if (strcmp(name, "secret") == 0) {
        *len = 0;
        return "";
    }
    return NULL;
}

static const uint8_t *file(void *user, const char *path, size_t *len)
{
    struct fake *f = user;

    if (strcmp(path, "/boot/vmlinux") != 0)
        return NULL;
    *len = FAKE_MEMORY;
    return f->memory;
}

static bool offsets(void *user, uint64_t *text, uint64_t *data)
{
    struct fake *f = user;

    *text = 0xab0000;
    *data = 0xcd0000;
    return f->offsets_known;
}

static int monitor(void *user, struct gdbstub *stub, const char *command)
{
    struct fake *f = user;

    snprintf(f->monitor_command, sizeof(f->monitor_command), "%s", command);
    if (f->monitor_text)
        gdbstub_console(stub, f->monitor_text, strlen(f->monitor_text));
    return f->monitor_result;
}

static int restart(void *user)
{
    struct fake *f = user;

    f->restarts++;
    return f->restart_result;
}

static void detach(void *user)
{
    struct fake *f = user;

    f->detaches++;
}

static void kill_target(void *user)
{
    struct fake *f = user;

    f->kills++;
}

static bool packet(void *user, const char *text, char *out, size_t capacity)
{
    (void)user;
    if (strcmp(text, "qDeja.now") == 0)
        snprintf(out, capacity, "it is #1");
    else if (strcmp(text, "qDeja.full") == 0)
        memset(out, 'f', capacity);
    else
        return false;
    return true;
}

const struct gdbstub_target fake_target = {
    .struct_size = sizeof(fake_target),
    .register_bytes = sizes,
    .nregisters = FAKE_REGISTERS,
    .ng = FAKE_NG,
    .expedite = expedite,
    .nexpedite = 2,
    .read_register = read_register,
    .write_register = write_register,
    .read_memory = read_memory,
    .write_memory = write_memory,
    .resume = resume,
    .interrupt = interrupt,
    .can_reverse = true,
    .can_range_step = true,
    .insert_point = insert_point,
    .remove_point = remove_point,
    .threads = threads,
    .thread_name = thread_name,
    .thread_extra = thread_extra,
    .object = object,
    .objects = objects,
    .file = file,
    .offsets = offsets,
    .monitor = monitor,
    .restart = restart,
    .detach = detach,
    .kill = kill_target,
    .packet = packet,
    .has_pc = true,
    .pc_register = 1,
};

void fake_begin(const struct gdbstub_target *target)
{
    gdbstub_destroy(fake.stub);
    fake.stub = gdbstub_create(target, &fake);
    assert_non_null(fake.stub);
    gdbstub_connected(fake.stub);
    no_acks = false;
}

int fake_setup(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof(fake));
    fake.nthreads = 1;
    for (size_t i = 0; i < FAKE_MEMORY; i++)
        fake.memory[i] = (uint8_t)i;
    fake_begin(&fake_target);
    return 0;
}

int fake_teardown(void **state)
{
    (void)state;
    gdbstub_destroy(fake.stub);
    fake.stub = NULL;
    return 0;
}

/* ---- the client ---- */

void expect_no_acks(void)
{
    no_acks = true;
}

void give_bytes(const void *bytes, size_t len)
{
    gdbstub_receive(fake.stub, bytes, len);
}

void give(const char *bytes)
{
    give_bytes(bytes, strlen(bytes));
}

static size_t take(void)
{
    const uint8_t *out;
    size_t len;

    out = gdbstub_output(fake.stub, &len);
    assert_true(len < sizeof(output));
    memcpy(output, out, len);
    output[len] = 0;
    gdbstub_sent(fake.stub, len);
    gdbstub_output(fake.stub, &len);
    assert_int_equal(len, 0);
    return (size_t)(strlen(output));
}

const char *taken(void)
{
    take();
    return output;
}

static void send_framed(const uint8_t *packet, size_t len)
{
    uint8_t *framed = malloc(len + 4), sum = 0;
    char digits[3];

    assert_non_null(framed);
    framed[0] = '$';
    if (len)
        memcpy(framed + 1, packet, len);
    for (size_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + packet[i]);
    snprintf(digits, sizeof(digits), "%02x", sum);
    framed[len + 1] = '#';
    memcpy(framed + len + 2, digits, 2);
    give_bytes(framed, len + 4);
    free(framed);
}

/* Exactly one packet: '$', no bare special characters, the right sum, and nothing after. */
static void unframe(const uint8_t *p, size_t len)
{
    uint8_t sum = 0;
    char digits[3];
    size_t i = 1;

    assert_true(len >= 4);
    assert_int_equal(p[0], '$');
    content_len = 0;
    for (; i < len && p[i] != '#'; i++) {
        assert_int_not_equal(p[i], '$');
        assert_int_not_equal(p[i], '*');
        sum = (uint8_t)(sum + p[i]);
        content[content_len] = p[i];
        if (p[i] == '}') {
            sum = (uint8_t)(sum + p[++i]);
            content[content_len] = p[i] ^ 0x20;
        }
        content_len++;
    }
    content[content_len] = 0;
    assert_int_equal(i + 3, len);
    snprintf(digits, sizeof(digits), "%02x", sum);
    assert_memory_equal(p + i + 1, digits, 2);
}

const char *reply(void)
{
    const uint8_t *out;
    size_t len;

    out = gdbstub_output(fake.stub, &len);
    unframe(out, len);
    gdbstub_sent(fake.stub, len);
    return (const char *)content;
}

size_t reply_len(void)
{
    return content_len;
}

static void take_ack(void)
{
    const uint8_t *out;
    size_t len;

    if (no_acks)
        return;
    out = gdbstub_output(fake.stub, &len);
    assert_true(len >= 1);
    assert_int_equal(out[0], '+');
    gdbstub_sent(fake.stub, 1);
}

const char *ask_bytes(const void *packet_bytes, size_t len)
{
    send_framed(packet_bytes, len);
    take_ack();
    return reply();
}

const char *ask(const char *text)
{
    return ask_bytes(text, strlen(text));
}

void ask_for_nothing(const char *text)
{
    size_t len;

    send_framed((const uint8_t *)text, strlen(text));
    take_ack();
    gdbstub_output(fake.stub, &len);
    assert_int_equal(len, 0);
}
