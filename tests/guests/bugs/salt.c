/* SPDX-License-Identifier: MIT */
/*
 * An uninitialised read that one boot in some dozens meets.
 *
 * A table of routes is hashed with a salt drawn at boot, so that nobody outside can choose keys that collide.
 * A bucket has four places. Where five of the fourteen addresses fall into one bucket, the fifth is not stored, and
 * nobody looks at what table_insert returns. When that address is looked for, table_find says nothing and
 * leaves the caller's struct route as it was: two words of stack, holding what an earlier call has left
 * there. The packet goes out by a port that does not exist.
 *
 * On hardware RDRAND gives another salt at each boot, and stack memory keeps what was last pushed or stored. The
 * timing of interrupts has no part in it.
 *
 * Passes with most seeds of the machine.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "console.h"
#include "cpu.h"
#include "panic.h"
#include "trap.h"

#define BUCKETS  16u
#define PLACES   4u
#define HOSTS    14u
#define PORTS    8u
#define PACKETS  5000u

struct route {
    uint32_t port;
    uint32_t cost;
};

struct entry {
    uint32_t address; /* 0: free */
    struct route route;
};

static struct entry table[BUCKETS][PLACES];
static uint64_t salt;
static uint64_t sent[PORTS];
static uint64_t checksum;
static volatile uint64_t ticks;

/* Where the route that led nowhere lay, for those who look at the wreck. */
const struct route *bad_route;

void kernel_main(uint32_t magic, uint32_t info);

static uint64_t hardware_random(void)
{
    uint64_t value;
    bool ok;

    do
        __asm__ volatile("rdrand %0; setc %1" : "=r"(value), "=qm"(ok) : : "cc");
    while (!ok);
    return value;
}

static uint32_t host_address(unsigned host)
{
    return 0x0a000001u + host * 3;
}

/* The finalizer of SplitMix64. */
static unsigned bucket_of(uint32_t address)
{
    uint64_t z = address ^ salt;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return (unsigned)((z ^ z >> 31) % BUCKETS);
}

/* False: there is no room. */
static bool table_insert(uint32_t address, struct route route)
{
    struct entry *bucket = table[bucket_of(address)];

    for (unsigned i = 0; i < PLACES; i++) {
        if (bucket[i].address != 0)
            continue;
        bucket[i].address = address;
        bucket[i].route = route;
        return true;
    }
    return false;
}

static void table_find(uint32_t address, struct route *route)
{
    const struct entry *bucket = table[bucket_of(address)];

    for (unsigned i = 0; i < PLACES; i++)
        if (bucket[i].address == address)
            *route = bucket[i].route;
}

/* The bug: nothing says whether a route was found. */
__attribute__((noinline)) static void packet_send(uint32_t address)
{
    struct route route;

    table_find(address, &route);
    if (route.port >= PORTS) {
        bad_route = &route;
        panic("BUG: the route to %08x leads to port %u", address, route.port);
    }
    sent[route.port]++;
}

/* A packet's content, and its sum; uses the stack that packet_send will get. */
__attribute__((noinline)) static void packet_make(uint32_t address, unsigned number)
{
    uint32_t content[16];

    for (unsigned i = 0; i < 16; i++)
        content[i] = (address ^ number) * (i + 0x01000193u) | 0x80000000u;
    for (unsigned i = 0; i < 16; i++)
        checksum += ((volatile uint32_t *)content)[i];
}

static void on_tick(void)
{
    ticks++;
}

void kernel_main(uint32_t magic, uint32_t info)
{
    console_init();
    panic_find_symbols(magic, info);
    trap_init();
    irq_init();
    irq_enable(IRQ_TIMER, on_tick);
    salt = hardware_random();
    print("salt: %u packets to %u hosts\n", PACKETS, HOSTS);
    for (unsigned host = 0; host < HOSTS; host++)
        table_insert(host_address(host), (struct route){.port = host % PORTS, .cost = host});
    __asm__ volatile("sti");
    for (unsigned number = 0; number < PACKETS; number++) {
        uint32_t address = host_address(number % HOSTS);

        packet_make(address, number);
        packet_send(address);
    }
    interrupts_off();
    print("salt: passed, %lu by port 0, checksum %016lx, %lu ticks\n", sent[0], checksum, ticks);
    power_off();
}
