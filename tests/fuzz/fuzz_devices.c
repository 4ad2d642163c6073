/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the board's registers: accesses to ports and memory-mapped devices, of any size, between them keys, bytes on
 * the serial line, and time.
 *
 *     clang -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_devices.c
 *
 * An input is a list of acts of four bytes and what they take. What must hold: nothing crashes, and the same acts lead
 * to the same machine, also from a snapshot taken on the way.
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

#define MAX_ACTS 200u

static struct machine *m;
static struct rewind *back;

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fuzz_devices: %s\n", what);
    abort();
}

/* A guest that does nothing, with interrupts disabled: jmp $ at the reset vector. */
static void make_machine(void)
{
    static uint8_t rom[4096];
    struct machine_config config = {.struct_size = sizeof(config),
                                    .ram_bytes = 1u << 20,
                                    .seed = 1,
                                    .ns_per_insn = 1000,
                                    .firmware = 1,
                                    .hpet = 1,
                                    .mouse = 1,
                                    .bios = {.data = rom, .len = sizeof(rom)}};
    char err[256];

    memset(rom, 0x90, sizeof(rom));
    rom[0xff0] = 0xeb;
    rom[0xff1] = 0xfe;
    m = machine_create(&config, &pc_board, err, sizeof(err));
    require(m != NULL, err);
    back = rewind_create(m);
    require(back != NULL, "no memory");
}

/* Where devices are, as the first byte of an act chooses; the second adds to it. */
static const uint64_t places[] = {
    0x0,        0x20,       0x40,       0x60,       0x70,       0x80,       0xa0,       0x2f8,     0x3c0,
    0x3d0,      0x3f8,      0x402,      0x4d0,      0x505,      0x510,      0x600,      0xae00,    0xaf00,
    0xb000,     0xcf8,      0xcfc,      0xcf9,      0xfec00000, 0xfee00000, 0xfee000f0, 0xfee00300, 0xfee00380,
    0xb8000,    0xa0000,    0xfed00000, 0xfed00100, 0xe0000,    0xf4,
};

static void access_place(const uint8_t *act)
{
    uint64_t at = places[act[1] % (sizeof(places) / sizeof(places[0]))] + act[2];
    struct bus *bus = at < 0x10000 ? &m->ports : &m->memory;
    unsigned size = 1u << (act[0] >> 1 & (bus == &m->ports ? 1 : 3)); /* 1, 2; memory: up to 8 */

    if (bus == &m->ports && (act[0] & 8))
        size = 4;
    if (act[0] & 1)
        bus_write(bus, at, act[3] * 0x0101010101010101ULL ^ (uint64_t)act[2] << 8, size);
    else
        bus_read(bus, at, size);
}

static void give_input(const uint8_t *act)
{
    struct input in = {.kind = (enum input_kind)(act[1] % 12), .port = act[2] & 3, .len = act[0] & 7};
    uint8_t bytes[8] = {act[3], act[2], act[1], act[3], act[0], act[1], act[2], act[3]};

    in.data = bytes;
    machine_deliver(m, &in);
}

static void act_on(const uint8_t *act)
{
    switch (act[0] >> 5) {
    case 0: machine_run(m, m->clock.icount + 1 + ((uint64_t)act[1] << (act[2] & 7))); break;
    case 1: give_input(act); break;
    default: access_place(act); break;
    }
}

static uint64_t run(const uint8_t *data, size_t size, size_t reload_at)
{
    size_t bytes = machine_snapshot_bytes(m), n = size / 4 < MAX_ACTS ? size / 4 : MAX_ACTS;
    uint8_t *snapshot = malloc(bytes);
    uint64_t digest;

    require(snapshot != NULL && rewind_back(back) == 0, "no memory");
    for (size_t i = 0; i < n; i++) {
        act_on(data + i * 4);
        if (i != reload_at || m->stop_request != STOP_ICOUNT)
            continue; /* a request to stop is no state: whoever takes snapshots has seen it before */
        machine_snapshot_save(m, snapshot);
        require(machine_snapshot_load(m, snapshot, bytes) == 0, "a snapshot of its own is refused");
    }
    digest = machine_digest(m);
    free(snapshot);
    return digest;
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
