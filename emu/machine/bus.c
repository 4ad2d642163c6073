/* SPDX-License-Identifier: MIT */
/*
 * The I/O port and memory-mapped device spaces: emu/bus.h says what they promise.
 *
 * Most accesses of a running guest go to the device of the access before, so the last range hit is
 * remembered. It is remembered only when no later range overlaps any of it; a hit then needs one
 * comparison, and the answer is the one a full search gives.
 *
 * Invariants: 1. ranges[] is ordered by when a range was added or last moved. 2. `last` is NULL or
 * a range of this bus that nothing shadows. 3. bus_peek changes nothing, counters and `last`
 * included.
 *
 * Bases and lengths of moved ranges come from the guest (PCI BARs): any value is legal here, what
 * lies outside of the space is never reached, and no sum of a base and a length is ever formed.
 */
#include <emu/bus.h>

#include <assert.h>

/* What answers at an address, and for how many bytes from there on (at most the access's). */
struct hit {
    struct bus_range *range; /* NULL: nobody */
    unsigned bytes;
};

static bool range_has(const struct bus_range *r, uint64_t addr)
{
    return addr - r->base < r->len && addr >= r->base;
}

static bool ranges_overlap(const struct bus_range *a, const struct bus_range *b)
{
    return a->len != 0 && b->len != 0 && (range_has(a, b->base) || range_has(b, a->base));
}

static bool is_shadowed(const struct bus *bus, unsigned at)
{
    for (unsigned i = at + 1; i < bus->nranges; i++) {
        if (ranges_overlap(bus->ranges[at], bus->ranges[i]))
            return true;
    }
    return false;
}

static uint64_t ones(unsigned size)
{
    return size >= 8 ? UINT64_MAX : (1ULL << (8 * size)) - 1;
}

/* Index of the range that answers at `addr`, or nranges. */
static unsigned find_index(const struct bus *bus, uint64_t addr)
{
    if (addr >= bus->limit)
        return bus->nranges;
    for (unsigned i = bus->nranges; i-- > 0;) {
        if (range_has(bus->ranges[i], addr))
            return i;
    }
    return bus->nranges;
}

/* How many of `size` bytes from `addr` on get the same answer as the first. */
static unsigned same_answer(const struct bus *bus, uint64_t addr, unsigned size, unsigned index)
{
    unsigned n = 1;

    if (addr >= bus->limit)
        return size;
    while (n < size && find_index(bus, addr + n) == index)
        n++;
    return n;
}

static bool whole_in(const struct bus *bus, const struct bus_range *r, uint64_t addr, unsigned size)
{
    return range_has(r, addr) && r->len - (addr - r->base) >= size && addr < bus->limit &&
           bus->limit - addr >= size;
}

static struct hit lookup(const struct bus *bus, uint64_t addr, unsigned size, unsigned *index)
{
    *index = find_index(bus, addr);
    return (struct hit){
        .range = *index < bus->nranges ? bus->ranges[*index] : NULL,
        .bytes = size == 1 ? 1 : same_answer(bus, addr, size, *index),
    };
}

/* lookup() through the cache. */
static struct hit lookup_cached(struct bus *bus, uint64_t addr, unsigned size)
{
    struct hit hit;
    unsigned index;

    if (bus->last != NULL && whole_in(bus, bus->last, addr, size))
        return (struct hit){.range = bus->last, .bytes = size};
    hit = lookup(bus, addr, size, &index);
    if (hit.range != NULL && !is_shadowed(bus, index))
        bus->last = hit.range;
    return hit;
}

/* --- configuration --- */

void bus_init(struct bus *bus, const char *name, uint64_t limit)
{
    *bus = (struct bus){.name = name, .limit = limit};
}

void bus_add(struct bus *bus, struct bus_range *range, const char *name, uint64_t base,
             uint64_t len, const struct bus_ops *ops, void *opaque)
{
    assert(bus->nranges < BUS_MAX_RANGES);
    assert(ops->max_size == 1 || ops->max_size == 2 || ops->max_size == 4 || ops->max_size == 8);
    *range =
        (struct bus_range){.name = name, .ops = ops, .opaque = opaque, .base = base, .len = len};
    bus->ranges[bus->nranges++] = range;
    bus->last = NULL;
}

void bus_move(struct bus *bus, struct bus_range *range, uint64_t base, uint64_t len)
{
    unsigned i = 0;

    while (i < bus->nranges && bus->ranges[i] != range)
        i++;
    assert(i < bus->nranges);
    for (; i + 1 < bus->nranges; i++)
        bus->ranges[i] = bus->ranges[i + 1];
    bus->ranges[i] = range;
    range->base = base;
    range->len = len;
    bus->last = NULL;
}

const struct bus_range *bus_find(const struct bus *bus, uint64_t addr)
{
    unsigned i = find_index(bus, addr);

    return i < bus->nranges ? bus->ranges[i] : NULL;
}

/* --- access --- */

/*
 * Reads `size` bytes that one range answers, in pieces that its device takes. The offset is fixed
 * before the first piece, which may move the range.
 */
static uint64_t range_read(const struct bus_range *r, bus_read_fn *fn, uint64_t offset,
                           unsigned size)
{
    unsigned step = size < r->ops->max_size ? size : r->ops->max_size;
    uint64_t value = 0;

    if (fn == NULL)
        return ones(size);
    for (unsigned i = 0; i < size; i += step)
        value |= (fn(r->opaque, offset + i, step) & ones(step)) << (8 * i);
    return value;
}

static void range_write(const struct bus_range *r, uint64_t offset, uint64_t value, unsigned size)
{
    unsigned step = size < r->ops->max_size ? size : r->ops->max_size;

    if (r->ops->write == NULL)
        return;
    for (unsigned i = 0; i < size; i += step)
        r->ops->write(r->opaque, offset + i, (value >> (8 * i)) & ones(step), step);
}

uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned size)
{
    struct hit hit = lookup_cached(bus, addr, size);
    uint64_t value = 0;

    if (hit.bytes < size) {
        for (unsigned i = 0; i < size; i++)
            value |= bus_read(bus, addr + i, 1) << (8 * i);
        return value;
    }
    if (hit.range != NULL)
        return range_read(hit.range, hit.range->ops->read, addr - hit.range->base, size);
    bus->unclaimed_reads++;
    return ones(size);
}

void bus_write(struct bus *bus, uint64_t addr, uint64_t value, unsigned size)
{
    struct hit hit = lookup_cached(bus, addr, size);

    if (hit.bytes < size) {
        for (unsigned i = 0; i < size; i++)
            bus_write(bus, addr + i, (value >> (8 * i)) & 0xff, 1);
        return;
    }
    if (hit.range != NULL)
        range_write(hit.range, addr - hit.range->base, value, size);
    else
        bus->unclaimed_writes++;
}

uint64_t bus_peek(struct bus *bus, uint64_t addr, unsigned size)
{
    unsigned index;
    struct hit hit = lookup(bus, addr, size, &index);
    bus_read_fn *fn;
    uint64_t value = 0;

    if (hit.bytes < size) {
        for (unsigned i = 0; i < size; i++)
            value |= bus_peek(bus, addr + i, 1) << (8 * i);
        return value;
    }
    if (hit.range == NULL)
        return ones(size);
    fn = hit.range->ops->peek != NULL ? hit.range->ops->peek : hit.range->ops->read;
    return range_read(hit.range, fn, addr - hit.range->base, size);
}
