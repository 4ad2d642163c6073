/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM and what is known of its pages. See emu/ram.h.
 *
 * Invariants: 1. sum is the sum of page_hash. 2. While tracking, a page without RAM_CLEAN is in
 * `dirty` exactly once. 3. A page of zeros hashes to 0, so RAM that was never touched costs nothing,
 * neither host memory nor hashing. 4. The page_hash of a page that is RAM_ABSENT is that of the content to come.
 */
#include <emu/ram.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <xxhash.h>

#define MAX_LOW_BYTES    (3ULL << 30)
#define ROM_WINDOW_BYTES 0x20000u

int ram_init(struct ram *ram, uint64_t bytes, uint64_t rom_bytes)
{
    void *host;

    memset(ram, 0, sizeof(*ram));
    ram->bytes = bytes;
    ram->low_bytes = bytes < MAX_LOW_BYTES ? bytes : MAX_LOW_BYTES;
    ram->rom_bytes = rom_bytes;
    ram->npages = (bytes + rom_bytes) >> PAGE_SHIFT;
    host = mmap(NULL, bytes + rom_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
    ram->flags = calloc(ram->npages, 1);
    ram->page_hash = calloc(ram->npages, sizeof(*ram->page_hash));
    ram->dirty = calloc(ram->npages, sizeof(*ram->dirty));
    if (host == MAP_FAILED || ram->flags == NULL || ram->page_hash == NULL || ram->dirty == NULL) {
        if (host != MAP_FAILED)
            munmap(host, bytes + rom_bytes);
        free(ram->flags);
        free(ram->page_hash);
        free(ram->dirty);
        memset(ram, 0, sizeof(*ram));
        return -1;
    }
    /* Guests touch memory everywhere: large host pages save host TLB misses. Advice only. */
    madvise(host, bytes + rom_bytes, MADV_HUGEPAGE);
    ram->host = host;
    return 0;
}

void ram_fini(struct ram *ram)
{
    if (ram->host != NULL)
        munmap(ram->host, ram->bytes + ram->rom_bytes);
    free(ram->flags);
    free(ram->page_hash);
    free(ram->dirty);
    free(ram->touched);
    memset(ram, 0, sizeof(*ram));
}

/* Calls `fn` for each page that the host has given memory of its own; unknown counts as yes. Others
 * hold zeros. */
static void for_each_resident(struct ram *ram, void (*fn)(struct ram *ram, uint64_t page))
{
    enum { CHUNK = 4096 };
    unsigned char resident[CHUNK];
    uint64_t page, i, n;

    for (page = 0; page < ram->npages; page += CHUNK) {
        n = ram->npages - page < CHUNK ? ram->npages - page : CHUNK;
        if (mincore(ram->host + (page << PAGE_SHIFT), n << PAGE_SHIFT, resident) != 0)
            memset(resident, 1, sizeof(resident));
        for (i = 0; i < n; i++)
            if (resident[i] & 1)
                fn(ram, page + i);
    }
}

/* The page is about to differ from what the checkpoint has. */
static void touch(struct ram *ram, uint64_t page)
{
    if (!(ram->flags[page] & RAM_SAVED))
        return;
    ram->on_touch(ram->touch_opaque, page);
    ram->flags[page] &= (uint8_t)~RAM_SAVED;
    ram->touched[ram->ntouched++] = (uint32_t)page;
}

/* What lies behind the VGA's window has host memory too, as a part of a large page, but no address: it
 * holds zeros for ever. */
static void touch_addressed(struct ram *ram, uint64_t page)
{
    if (ram_home_page(ram, ram_gpa_of(ram, page)) == page)
        touch(ram, page);
}

void ram_clear(struct ram *ram)
{
    uint64_t page;

    for (page = 0; page < ram->npages; page++)
        if (ram->flags[page] & RAM_ABSENT)
            touch_addressed(ram, page);
    if (ram->touched != NULL)
        for_each_resident(ram, touch_addressed);
    /* Fresh zero pages from the host; every page then counts as stored to. */
    madvise(ram->host, ram->bytes + ram->rom_bytes, MADV_DONTNEED);
    for (page = 0; page < ram->npages; page++)
        ram->flags[page] &= RAM_SAVED | RAM_WATCH | RAM_WATCH_READS;
    memset(ram->page_hash, 0, ram->npages * sizeof(*ram->page_hash));
    ram->sum = 0;
    ram->ndirty = 0;
    ram->tracking = false;
}

void ram_load_rom(struct ram *ram, const uint8_t *data, size_t len)
{
    uint64_t page;

    memcpy(ram->host + ram->bytes + ram->rom_bytes - len, data, len);
    for (page = ram->bytes >> PAGE_SHIFT; page < ram->npages; page++)
        ram->flags[page] |= RAM_ROM;
}

/* Before a store to the page, which is not read-only or is so for the guest alone. */
static void prepare_page(struct ram *ram, uint64_t page, uint64_t gpa, size_t len)
{
    uint8_t flags = ram->flags[page];

    if (flags & (RAM_CODE | RAM_TABLE | RAM_WATCH))
        ram->on_flagged_store(ram->opaque, page, gpa, len);
    ram_page(ram, page);
    touch(ram, page);
    if (flags & RAM_CLEAN) {
        ram->flags[page] &= (uint8_t)~RAM_CLEAN;
        ram->dirty[ram->ndirty++] = (uint32_t)page;
    }
}

void ram_prepare_write(struct ram *ram, uint64_t gpa, size_t len)
{
    uint64_t page = ram_page_of(ram, gpa);
    uint8_t flags = ram->flags[page];

    if (flags != 0 && !(flags & RAM_ROM))
        prepare_page(ram, page, gpa, len);
}

/* Whether [gpa, gpa + len) is RAM throughout. */
static bool is_ram(const struct ram *ram, uint64_t gpa, size_t len)
{
    uint64_t end = gpa + len, page;

    if (end < gpa)
        return false;
    for (page = gpa >> PAGE_SHIFT; page << PAGE_SHIFT < end; page++)
        if (ram_page_of(ram, page << PAGE_SHIFT) == UINT64_MAX)
            return false;
    return true;
}

/* Bytes of [gpa, gpa + len) that lie in gpa's page. */
static size_t within_page(uint64_t gpa, size_t len)
{
    size_t room = PAGE_BYTES - (size_t)(gpa & PAGE_OFFSET_MASK);

    return len < room ? len : room;
}

bool ram_read(const struct ram *ram, uint64_t gpa, void *out, size_t len)
{
    uint8_t *to = out;

    if (!is_ram(ram, gpa, len))
        return false;
    while (len > 0) {
        size_t n = within_page(gpa, len);

        memcpy(to, ram_host(ram, gpa), n);
        to += n;
        gpa += n;
        len -= n;
    }
    return true;
}

bool ram_write(struct ram *ram, uint64_t gpa, const void *data, size_t len)
{
    const uint8_t *from = data;

    if (!is_ram(ram, gpa, len))
        return false;
    while (len > 0) {
        size_t n = within_page(gpa, len);

        ram_prepare_write(ram, gpa, n);
        if (!(ram->flags[ram_page_of(ram, gpa)] & RAM_ROM))
            memcpy(ram_host(ram, gpa), from, n);
        from += n;
        gpa += n;
        len -= n;
    }
    return true;
}

void ram_set_flag(struct ram *ram, uint64_t page, enum ram_page_flag flag)
{
    if (ram->flags[page] & flag)
        return;
    if (ram->flags[page] == 0)
        ram->on_protect(ram->opaque, page);
    ram->flags[page] |= (uint8_t)flag;
}

void ram_clear_flag(struct ram *ram, uint64_t page, enum ram_page_flag flag)
{
    ram->flags[page] &= (uint8_t)~flag;
}

static bool is_zero_page(const uint8_t *p)
{
    return p[0] == 0 && memcmp(p, p + 1, PAGE_BYTES - 1) == 0;
}

uint64_t ram_content_hash(const uint8_t *content, uint64_t page)
{
    return is_zero_page(content) ? 0 : XXH3_64bits_withSeed(content, PAGE_BYTES, page);
}

static void set_hash(struct ram *ram, uint64_t page, uint64_t hash)
{
    ram->sum += hash - ram->page_hash[page];
    ram->page_hash[page] = hash;
}

static void rehash(struct ram *ram, uint64_t page)
{
    if (!(ram->flags[page] & RAM_ABSENT))
        set_hash(ram, page, ram_content_hash(ram->host + (page << PAGE_SHIFT), page));
}

uint64_t ram_digest(struct ram *ram)
{
    uint64_t i;

    if (!ram->tracking) {
        for_each_resident(ram, rehash);
        for (i = 0; i < ram->npages; i++)
            ram->flags[i] |= RAM_CLEAN;
        ram->tracking = true;
        ram->ndirty = 0;
        ram->on_protect(ram->opaque, UINT64_MAX);
        return ram->sum;
    }
    if (ram->ndirty == 0)
        return ram->sum;
    for (i = 0; i < ram->ndirty; i++) {
        rehash(ram, ram->dirty[i]);
        ram->flags[ram->dirty[i]] |= RAM_CLEAN;
    }
    ram->ndirty = 0;
    ram->on_protect(ram->opaque, UINT64_MAX);
    return ram->sum;
}

void ram_count_rom(struct ram *ram, bool counts)
{
    uint64_t page;

    for (page = ram->bytes >> PAGE_SHIFT; page < ram->npages && ram->tracking; page++) {
        if (counts == (ram->page_hash[page] != 0))
            continue;
        if (counts) {
            rehash(ram, page);
        } else {
            ram->sum -= ram->page_hash[page];
            ram->page_hash[page] = 0;
        }
    }
}

/* --- checkpoints --- */

int ram_track_touched(struct ram *ram, void (*on_touch)(void *opaque, uint64_t page), void *opaque)
{
    uint64_t i;

    ram->on_touch = on_touch;
    ram->touch_opaque = opaque;
    if (ram->touched == NULL) {
        ram->touched = calloc(ram->npages, sizeof(*ram->touched));
        if (ram->touched == NULL)
            return -1;
        for (i = 0; i < ram->npages; i++)
            ram->flags[i] |= RAM_SAVED;
    } else {
        for (i = 0; i < ram->ntouched; i++)
            ram->flags[ram->touched[i]] |= RAM_SAVED;
    }
    ram->ntouched = 0;
    ram->on_protect(ram->opaque, UINT64_MAX);
    return 0;
}

void ram_untrack_touched(struct ram *ram)
{
    uint64_t i;

    free(ram->touched);
    ram->touched = NULL;
    ram->ntouched = 0;
    for (i = 0; i < ram->npages; i++)
        ram->flags[i] &= (uint8_t)~RAM_SAVED;
}

bool ram_page_is_zero(const struct ram *ram, uint64_t page)
{
    return is_zero_page(ram_page(ram, page));
}

uint64_t ram_gpa_of(const struct ram *ram, uint64_t page)
{
    uint64_t at = page << PAGE_SHIFT;

    if (at < ram->low_bytes)
        return at;
    if (at < ram->bytes)
        return at - ram->low_bytes + (4ULL << 30);
    return at - ram->bytes + (4ULL << 30) - ram->rom_bytes;
}

/* Code is dropped by lines of this size. */
#define RESTORE_BYTES 64u

/* The ROM itself is not followed by digests; RAM is, also where the window makes it read-only. */
static void prepare_restore(struct ram *ram, uint64_t page, uint64_t gpa, size_t len)
{
    if (page < ram->bytes >> PAGE_SHIFT)
        prepare_page(ram, page, gpa, len);
}

void ram_restore_page(struct ram *ram, uint64_t page, const uint8_t *content)
{
    static const uint8_t zeros[PAGE_BYTES];
    uint8_t *to = ram_page(ram, page);
    uint8_t saved = ram->flags[page] & RAM_SAVED;
    uint64_t gpa = ram_gpa_of(ram, page);
    unsigned at;

    if (content == NULL)
        content = zeros;
    ram->flags[page] &= (uint8_t)~RAM_SAVED;
    if (ram->flags[page] & RAM_CODE) {
        for (at = 0; at < PAGE_BYTES; at += RESTORE_BYTES) {
            if (memcmp(to + at, content + at, RESTORE_BYTES) == 0)
                continue;
            prepare_restore(ram, page, gpa + at, RESTORE_BYTES);
            memcpy(to + at, content + at, RESTORE_BYTES);
        }
    } else {
        prepare_restore(ram, page, gpa, PAGE_BYTES);
        memcpy(to, content, PAGE_BYTES);
    }
    ram->flags[page] |= saved;
}

/* --- the window --- */

static enum ram_window window_at(const struct ram *ram, uint64_t gpa)
{
    return ram->window[(gpa - RAM_WINDOW_BASE) / RAM_WINDOW_BLOCK_BYTES];
}

/* The page of the ROM that ends at 1 MiB as it ends at 4 GiB, 128 KiB of it at most. */
static uint64_t rom_window_page(const struct ram *ram, uint64_t gpa)
{
    uint64_t shown = ram->rom_bytes < ROM_WINDOW_BYTES ? ram->rom_bytes : ROM_WINDOW_BYTES;

    if (gpa < RAM_WINDOW_END - shown)
        return UINT64_MAX;
    return (ram->bytes + ram->rom_bytes - (RAM_WINDOW_END - gpa)) >> PAGE_SHIFT;
}

uint64_t ram_window_page(const struct ram *ram, uint64_t gpa)
{
    switch (window_at(ram, gpa)) {
    case RAM_WINDOW_RAM:
    case RAM_WINDOW_READ_ONLY: return ram_home_page(ram, gpa);
    case RAM_WINDOW_ROM: return rom_window_page(ram, gpa);
    default: return UINT64_MAX;
    }
}

void ram_set_window(struct ram *ram, unsigned block, enum ram_window what)
{
    uint64_t page = (RAM_WINDOW_BASE + (uint64_t)block * RAM_WINDOW_BLOCK_BYTES) >> PAGE_SHIFT;
    uint64_t end = page + (RAM_WINDOW_BLOCK_BYTES >> PAGE_SHIFT);

    ram->window[block] = what;
    for (; page < end; page++) {
        if (what == RAM_WINDOW_READ_ONLY)
            ram_set_flag(ram, page, RAM_ROM);
        else
            ram_clear_flag(ram, page, RAM_ROM);
    }
}

void ram_write_home(struct ram *ram, uint64_t gpa, uint8_t byte)
{
    uint64_t page = ram_home_page(ram, gpa);

    prepare_page(ram, page, gpa, 1);
    ram_page(ram, page)[gpa & PAGE_OFFSET_MASK] = byte;
}

uint8_t ram_rom_byte(const struct ram *ram, uint64_t gpa)
{
    uint64_t page = rom_window_page(ram, gpa);

    return page == UINT64_MAX ? 0xff : ram_page(ram, page)[gpa & PAGE_OFFSET_MASK];
}

/* --- contents that are elsewhere --- */

bool ram_defer_page(struct ram *ram, uint64_t page, uint64_t hash)
{
    /* What was made of a page's content goes with it. */
    const uint8_t bound = RAM_CODE | RAM_TABLE | RAM_ROM | RAM_WATCH | RAM_WATCH_READS;

    if (!ram->tracking || (ram->flags[page] & bound))
        return false;
    ram->flags[page] |= RAM_ABSENT;
    set_hash(ram, page, hash);
    return true;
}

void ram_fetch_page(const struct ram *ram, uint64_t page)
{
    ram->flags[page] &= (uint8_t)~RAM_ABSENT;
    ram->fetch(ram->touch_opaque, page, ram->host + (page << PAGE_SHIFT));
}
