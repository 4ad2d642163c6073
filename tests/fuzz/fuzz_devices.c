/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the board's registers: accesses to ports and memory-mapped devices and the APIC's MSRs, of any size and value,
 * between them keys, bytes on the serial line, resets and time, in which a guest sleeps or takes interrupts.
 *
 * An input is a list of acts, each of three bytes and what it takes. What must hold: nothing crashes, every run ends,
 * and the same acts lead to the same machine, also from a snapshot taken on the way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <devices/pc.h>
#include <emu/cpu.h>
#include <emu/input.h>
#include <emu/machine.h>
#include <emu/snapshot.h>
#include <replay/rewind.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_ACTS     200u
#define MOST_WAITS   100u /* a guest that sleeps while a timer ticks that wakes nobody would sleep for ever */
#define APIC_BASE    0x1bu
#define TSC_DEADLINE 0x6e0u

/* What the guest does, in its ROM: turns round, sleeps, and returns from interrupts. */
#define ROM_BYTES 4096u
#define SPIN      0xfff0u
#define SLEEP     0xfff4u
#define HANDLER   0xfff8u

static struct machine *m;
static struct rewind *back;
static uint8_t *snapshot;
static unsigned waits;

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fuzz_devices: %s\n", what);
    abort();
}

static bool no_input(void *opaque, struct machine *machine, struct input *in)
{
    (void)opaque, (void)machine, (void)in;
    return false;
}

static uint64_t never(void *opaque, uint64_t icount)
{
    (void)opaque, (void)icount;
    return UINT64_MAX;
}

static uint64_t wait_some(void *opaque, struct machine *machine, uint64_t deadline_ns)
{
    (void)opaque;
    if (++waits > MOST_WAITS)
        machine_request_stop(machine, STOP_SOURCE);
    return deadline_ns;
}

static void put_code(uint8_t *rom)
{
    static const uint8_t spin[] = {0xeb, 0xfe}, sleep[] = {0xf4, 0xeb, 0xfd}, handler[] = {0xcf};

    memset(rom, 0x90, ROM_BYTES);
    memcpy(rom + (SPIN & 0xfff), spin, sizeof(spin));
    memcpy(rom + (SLEEP & 0xfff), sleep, sizeof(sleep));
    memcpy(rom + (HANDLER & 0xfff), handler, sizeof(handler));
}

/* RAM is clear after power-on and reset: without its vectors the guest would run through it. */
static void put_vectors(void)
{
    for (uint64_t vector = 0; vector < 256; vector++)
        ram_write(&m->ram, vector * 4, &(uint32_t){0xf0000000u | HANDLER}, 4);
}

static void make_machine(void)
{
    static uint8_t rom[ROM_BYTES];
    struct machine_config config = {.struct_size = sizeof(config),
                                    .ram_bytes = 1u << 20,
                                    .seed = 1,
                                    .ns_per_insn = 1000,
                                    .firmware = 1,
                                    .hpet = 1,
                                    .mouse = 1,
                                    .bios = {.data = rom, .len = sizeof(rom)}};
    char err[256];

    put_code(rom);
    m = machine_create(&config, &pc_board, err, sizeof(err));
    require(m != NULL, err);
    put_vectors();
    machine_set_source(m, &(struct input_source){.poll = no_input, .horizon = never, .wait = wait_some});
    back = rewind_create(m);
    snapshot = malloc(machine_snapshot_bytes(m));
    require(back != NULL && snapshot != NULL, "no memory");
}

/* --- acts --- */

struct reader {
    const uint8_t *p;
    size_t n;
};

static uint64_t take(struct reader *r, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes && r->n > 0; i++, r->n--)
        v |= (uint64_t)*r->p++ << (8 * i);
    return v;
}

/* Where devices are, as the second byte of an act chooses; the third adds to it. */
static const uint64_t places[] = {
    0x0,        0x20,       0x40,       0x60,       0x70,       0x80,       0xa0,       0x2f8,     0x3c0,
    0x3d0,      0x3f8,      0x402,      0x4d0,      0x505,      0x510,      0x600,      0xae00,    0xaf00,
    0xb000,     0xcf8,      0xcfc,      0xcf9,      0xfec00000, 0xfee00000, 0xfee000f0, 0xfee00300, 0xfee00380,
    0xb8000,    0xa0000,    0xfed00000, 0xfed00100, 0xe0000,    0xf4,
    0xfee00400, 0xfed00180, 0xfee00100, 0xfee00200,
};

/* Debuggers and digests look this way: twice the same. */
static void peek_place(struct bus *bus, uint64_t at, unsigned size)
{
    require(bus_peek(bus, at, size) == bus_peek(bus, at, size), "a peek changes what the next one sees");
}

static void access_place(struct reader *r, const uint8_t *act)
{
    uint64_t at = places[act[1] % (sizeof(places) / sizeof(places[0]))] + act[2];
    struct bus *bus = at < 0x10000 ? &m->ports : &m->memory;
    unsigned log2 = act[0] >> 1 & 3;
    unsigned size = 1u << (log2 == 3 && bus == &m->ports ? 2 : log2); /* 1, 2, 4; memory: 8 too */

    if (act[0] & 1)
        bus_write(bus, at, take(r, size), size);
    else if (act[0] & 8)
        peek_place(bus, at, size);
    else
        bus_read(bus, at, size);
}

/* CR8, or an MSR: IA32_APIC_BASE, IA32_TSC_DEADLINE, one of the 256 that an x2APIC has (SDM vol. 3, 10.12). */
static void access_cpu_register(struct reader *r, const uint8_t *act)
{
    const uint32_t msrs[3] = {0x800u + act[2], APIC_BASE, TSC_DEADLINE};
    struct lapic *lapic = &((struct pc *)m->board)->lapics[0];
    unsigned which = act[1] & 3;
    uint64_t value;

    if (which == 3 && (act[0] & 1))
        lapic_intc_ops.set_cr8(lapic, act[2] & 15);
    else if (which == 3)
        lapic_intc_ops.get_cr8(lapic);
    else if (act[0] & 1)
        lapic_intc_ops.wrmsr(lapic, msrs[which], take(r, 8));
    else
        lapic_intc_ops.rdmsr(lapic, msrs[which], &value);
}

static void give_input(struct reader *r, const uint8_t *act)
{
    uint64_t value = take(r, 8);
    uint8_t bytes[16];
    struct input in = {
        .kind = (enum input_kind)(act[1] % (INPUT_KIND_COUNT + 1)), .port = act[2] & 3, .len = act[0] & 15};

    memcpy(bytes, &value, 8);
    memcpy(bytes + 8, &value, 8);
    in.data = bytes;
    machine_deliver(m, &in);
}

static void run_guest(const uint8_t *act)
{
    struct cpu *cpu = &m->cpus[0];
    char err[256];

    cpu->rflags = act[0] & 1 ? cpu->rflags | RFLAGS_IF : cpu->rflags & ~(uint64_t)RFLAGS_IF;
    cpu->rip = act[0] & 2 ? SLEEP : SPIN;
    cpu_state_changed(cpu);
    if (machine_run(m, m->clock.icount + 1 + ((uint64_t)act[1] << (act[2] & 3))) != STOP_RESET)
        return;
    require(machine_reset(m, err, sizeof(err)) == 0, err);
    put_vectors();
}

static void act_on(struct reader *r)
{
    uint8_t act[3] = {(uint8_t)take(r, 1), (uint8_t)take(r, 1), (uint8_t)take(r, 1)};

    switch (act[0] >> 5) {
    case 0: run_guest(act); break;
    case 1: give_input(r, act); break;
    case 2: access_cpu_register(r, act); break;
    default: access_place(r, act); break;
    }
}

/* A snapshot is taken, and loaded again, after act `reload_at`. */
static uint64_t run(const uint8_t *data, size_t size, size_t reload_at)
{
    struct reader r = {data, size};

    require(rewind_back(back) == 0, "no memory");
    waits = 0;
    for (size_t i = 0; r.n > 0 && i < MAX_ACTS; i++) {
        act_on(&r);
        if (i != reload_at || m->stop_request != STOP_ICOUNT)
            continue; /* a request to stop is no state: whoever takes snapshots has seen it before */
        machine_snapshot_save(m, snapshot);
        require(machine_snapshot_load(m, snapshot, machine_snapshot_bytes(m)) == 0, "a snapshot of its own is refused");
    }
    return machine_digest(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t digest;

    if (m == NULL)
        make_machine();
    digest = run(data, size, SIZE_MAX);
    require(digest == run(data, size, size / 8), "a snapshot on the way changes the machine");
    return 0;
}
