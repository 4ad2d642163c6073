/* SPDX-License-Identifier: MIT */
/*
 * The two address spaces in which devices answer: I/O ports (16 bits) and physical memory outside
 * of RAM. A device claims ranges; the bus finds the device, splits accesses that are wider than it
 * takes, and answers for addresses that nobody claimed (reads all ones, writes nothing, as an ISA
 * or PCI bus with no target does; both are counted).
 *
 * Ranges may be moved or removed at run time (PCI BARs). Where two overlap, the one added or moved
 * last answers.
 *
 * `read` and `write` are guest accesses and may have side effects. `peek` reads what `read` would
 * without any; NULL means that `read` has none. Offsets are relative to the range. `size` is
 * 1, 2, 4 or 8 and never above the range's `max_size`. An access never crosses a range's end: what
 * lies beyond goes to the neighbour, byte by byte.
 */
#ifndef EMU_BUS_H
#define EMU_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUS_MAX_RANGES 96

typedef uint64_t bus_read_fn(void *opaque, uint64_t offset, unsigned size);
typedef void bus_write_fn(void *opaque, uint64_t offset, uint64_t value, unsigned size);

struct bus_ops {
    bus_read_fn *read;
    bus_write_fn *write;
    bus_read_fn *peek;
    unsigned max_size; /* widest single access the device takes: 1, 2, 4 or 8 */
};

struct bus_range {
    const char *name;
    const struct bus_ops *ops;
    void *opaque;
    uint64_t base;
    uint64_t len;      /* 0: claimed nothing now (a disabled BAR) */
};

struct bus {
    struct bus_range *ranges[BUS_MAX_RANGES]; /* later ones win */
    unsigned nranges;
    uint64_t limit;            /* first address outside the space: 0x10000 for ports */
    uint64_t unclaimed_reads;  /* counters for --stats; not state */
    uint64_t unclaimed_writes;
    const char *name;          /* "port" or "memory" */
    struct bus_range *last;    /* cache of the last range hit */
};

void bus_init(struct bus *bus, const char *name, uint64_t limit);

/* Adds `range` (caller's storage, kept alive as long as the bus). */
void bus_add(struct bus *bus, struct bus_range *range, const char *name, uint64_t base,
             uint64_t len, const struct bus_ops *ops, void *opaque);

/* Moves or resizes a range that was added; it then answers before any other. */
void bus_move(struct bus *bus, struct bus_range *range, uint64_t base, uint64_t len);

/* The range that answers at `addr`; NULL: none. */
const struct bus_range *bus_find(const struct bus *bus, uint64_t addr);

uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned size);
void bus_write(struct bus *bus, uint64_t addr, uint64_t value, unsigned size);
uint64_t bus_peek(struct bus *bus, uint64_t addr, unsigned size);

#endif
