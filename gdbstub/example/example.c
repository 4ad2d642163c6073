/* SPDX-License-Identifier: MIT */
/*
 * A toy computer for gdb: six i386 instructions, 4 KiB of memory, and a copy of all that from
 * before each step, by which it also runs backwards. With the library installed:
 *     cc example.c -o example $(pkg-config --cflags --libs gdbstub)
 *     ./example tcp:1234 &
 *     gdb -ex 'target remote :1234'          or: gdb -ex 'target remote | ./example stdio'
 * Try: display/i $pc, stepi, watch *(int *)0x200, continue, reverse-stepi, break *0x10b if $ecx==2
 */
#include <stdio.h>
#include <string.h>

#include <gdbstub/server.h>

enum { EAX, ECX, EIP = 8, EFLAGS, NREGS = 16, ZF = 0x40, MEMORY = 4096, STEPS = 4096 };

struct computer {
    uint32_t regs[NREGS]; /* gdb's first ones of an i386; it does without the others */
    uint8_t memory[MEMORY];
};

static struct computer before[STEPS], now = {
    .regs[EIP] = 0x100,
    .memory[0x100] = 0xb9, 5, 0, 0, 0, /* 100: mov ecx, 5       */
    0xa1, 0, 2, 0, 0,                  /* 105: mov eax, [0x200] */
    0x40, 0xa3, 0, 2, 0, 0,            /* 10a: inc eax; mov [0x200], eax */
    0x49, 0x75, 0xf2, 0xf4,            /* 110: dec ecx; jnz 105; hlt */
};
static unsigned steps;             /* that can be taken back */
static struct gdbstub_point points[GDBSTUB_WRITE_WATCH + 1][MEMORY]; /* length 0: none */
static enum gdbstub_action action; /* HOLD: gdb wants it to stop */

/* False where nothing comes after: at hlt, and at what is no instruction. */
static bool step_forward(void)
{
    uint32_t *r = now.regs, pc = r[EIP], operand;
    if (pc > MEMORY - 5)
        return false;
    before[steps] = now;
    memcpy(&operand, now.memory + pc + 1, 4);
    switch (now.memory[pc]) {
    case 0xb9: r[EIP] += 5, r[ECX] = operand; break;
    case 0xa1: r[EIP] += 5, memcpy(&r[EAX], now.memory + operand % (MEMORY - 3), 4); break;
    case 0xa3: r[EIP] += 5, memcpy(now.memory + operand % (MEMORY - 3), &r[EAX], 4); break;
    case 0x40: r[EIP] += 1, r[EAX]++; break;
    case 0x49: r[EIP] += 1, r[EFLAGS] = --r[ECX] ? 0 : ZF; break;
    case 0x75: r[EIP] += 2 + (r[EFLAGS] & ZF ? 0 : (uint32_t)(int8_t)operand); break;
    default: return false;
    }
    steps = (steps + 1) % STEPS; /* when there is no room, what was is forgotten */
    return true;
}

/* A breakpoint where it is, or a watched place that the last step, either way, changed. */
static bool at_point(struct gdbstub *s, const struct computer *then, struct gdbstub_stop *stop)
{
    const struct gdbstub_point *here = &points[GDBSTUB_SOFTWARE_BREAK][now.regs[EIP] % MEMORY];
    const struct gdbstub_point *watches = points[GDBSTUB_WRITE_WATCH];
    if (here->length && here->address == now.regs[EIP] && gdbstub_should_stop(s, here, 1))
        return stop->kind = GDBSTUB_STOP_SOFTWARE_BREAK, true;
    for (stop->address = 0; stop->address < MEMORY; stop->address++)
        if (memcmp(now.memory + stop->address, then->memory + stop->address,
                   watches[stop->address].length) != 0)
            return stop->kind = GDBSTUB_STOP_WRITE_WATCH, true;
    return false;
}

/* One step; true if it stopped there. */
static bool run(struct gdbstub *s, struct gdbstub_stop *stop)
{
    bool back = action == GDBSTUB_REVERSE_STEP || action == GDBSTUB_REVERSE_CONTINUE;
    struct computer then = now;
    *stop = (struct gdbstub_stop){.signal = action == GDBSTUB_HOLD ? 2 : 5};
    if (action == GDBSTUB_HOLD)
        return true;
    if (back ? !steps : !step_forward()) {
        stop->kind = back ? GDBSTUB_STOP_REPLAY_BEGIN : GDBSTUB_STOP_REPLAY_END;
        return true;
    }
    if (back)
        now = before[--steps];
    return at_point(s, &then, stop) || action == GDBSTUB_STEP || action == GDBSTUB_REVERSE_STEP;
}

static int read_register(void *user, gdbstub_thread thread, unsigned reg, uint8_t *out)
{
    return memcpy(out, &now.regs[reg], 4), 0;
}
static int write_register(void *user, gdbstub_thread thread, unsigned reg, const uint8_t *value)
{
    return memcpy(&now.regs[reg], value, 4), 0;
}
static bool is_memory(uint64_t address, uint64_t len)
{
    return len <= MEMORY && address <= MEMORY - len;
}
static size_t read_memory(void *user, uint64_t address, uint8_t *out, size_t len)
{
    while (len && !is_memory(address, len))
        len--;
    return len ? memcpy(out, now.memory + address, len), len : 0;
}
static int write_memory(void *user, uint64_t address, const uint8_t *data, size_t len)
{
    return is_memory(address, len) ? memcpy(now.memory + address, data, len), 0 : -1;
}
static int insert_point(void *user, const struct gdbstub_point *p)
{
    if (p->kind != GDBSTUB_SOFTWARE_BREAK && p->kind != GDBSTUB_WRITE_WATCH)
        return 1; /* there are no others here */
    return is_memory(p->address, p->length) ? points[p->kind][p->address] = *p, 0 : -1;
}
static int remove_point(void *user, const struct gdbstub_point *p)
{
    return points[p->kind][p->address].length = 0, 0;
}
static int resume(void *user, const struct gdbstub_resume *how)
{
    return action = how->actions[how->first].action, 0;
}
static void interrupt(void *user)
{
    action = GDBSTUB_HOLD;
}

int main(int argc, char **argv)
{
    static const uint16_t sizes[NREGS] = {[0 ... NREGS - 1] = 4};
    static const struct gdbstub_target target = {
        sizeof(target), .register_bytes = sizes, .nregisters = NREGS, .ng = NREGS,
        .read_register = read_register, .write_register = write_register,
        .read_memory = read_memory, .write_memory = write_memory, .resume = resume,
        .interrupt = interrupt, .insert_point = insert_point, .remove_point = remove_point,
        .can_reverse = true};
    const char *address = argc > 1 ? argv[1] : "tcp:1234";
    char err[256] = "out of memory";
    struct gdbstub *s = gdbstub_create(&target, NULL);
    struct gdbstub_server *v = s ? gdbstub_server_open(address, s, err, sizeof(err)) : NULL;
    struct gdbstub_stop stop;
    fprintf(stderr, v ? "target remote %s\n" : "%s\n", v ? gdbstub_server_address(v) : err);
    while (v && !(gdbstub_server_poll(v, gdbstub_running(s) ? 0 : -1) & GDBSTUB_SERVER_ENDED))
        if (gdbstub_running(s) && run(s, &stop))
            gdbstub_stopped(s, &stop);
    gdbstub_server_close(v);
    gdbstub_destroy(s);
    return !v;
}
