/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM: one host mapping, page flags, and the digest that is kept incrementally.
 *
 * Guest-physical layout: RAM from 0 up to `low_bytes` (at most 3 GiB), the rest from 4 GiB on.
 * A0000h..BFFFFh is a hole, where the VGA card answers. C0000h..FFFFFh is a window, block by block of 16 KiB:
 * onto the RAM that belongs there, onto the end of the ROM, or onto the bus (ram_set_window()).
 *
 * Every store into RAM goes either through a TLB entry whose write tag is installed, or through
 * ram_prepare_write(). A page's write tag may be installed only when all its flags are clear; the
 * flags therefore mean "the next store must come to me": one mechanism for digests, checkpoints,
 * self-modifying code and page tables (design, section 4).
 */
#ifndef EMU_RAM_H
#define EMU_RAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_BYTES 4096u
#define PAGE_OFFSET_MASK 4095ULL

enum ram_page_flag {
    RAM_CLEAN = 1,   /* not stored to since ram_mark_clean(): the next store records the page */
    RAM_CODE = 2,    /* decoded code was taken from it: the next store drops that code */
    RAM_TABLE = 4,   /* the MMU walked through it: the next store may change a translation */
    RAM_ROM = 8,     /* firmware: stores are ignored */
    RAM_WATCH = 16,  /* a debugger watches bytes of it: stores never come the fast way */
    RAM_SAVED = 32,  /* as the checkpoint has it: the next store notes it in `touched` */
    RAM_WATCH_READS = 64, /* a debugger watches loads from it: no read tag may be installed either */
    RAM_ABSENT = 128,     /* its content is elsewhere still: no tag may be installed, ram_page() fetches it */
};

#define RAM_WINDOW_BASE        0xc0000u
#define RAM_WINDOW_END         0x100000u
#define RAM_WINDOW_BLOCK_BYTES 0x4000u
#define RAM_WINDOW_BLOCKS      ((RAM_WINDOW_END - RAM_WINDOW_BASE) / RAM_WINDOW_BLOCK_BYTES)

/* What a block of the window shows. */
enum ram_window {
    RAM_WINDOW_RAM = 0,   /* so at first */
    RAM_WINDOW_READ_ONLY, /* RAM; stores are ignored */
    RAM_WINDOW_ROM,       /* the ROM, as far as it reaches down from 1 MiB; the bus below that */
    RAM_WINDOW_BUS,       /* nothing of ours: accesses go to the bus */
};

struct ram {
    uint8_t *host;           /* the mapping; RAM page n is at host + n * 4096 */
    uint64_t bytes;
    uint64_t low_bytes;      /* RAM below 4 GiB */
    uint64_t rom_bytes;      /* ROM that ends at 4 GiB; its pages follow those of RAM */
    uint64_t npages;         /* of RAM and ROM */
    enum ram_window window[RAM_WINDOW_BLOCKS];
    uint8_t *flags;          /* enum ram_page_flag, one byte a page */
    uint64_t *page_hash;     /* of the content at the last digest; 0 for a page of zeros */
    uint64_t sum;            /* of page_hash */
    uint32_t *dirty;         /* pages stored to since ram_mark_clean */
    uint64_t ndirty;
    bool tracking;           /* false: RAM_CLEAN is never set, dirty unused */
    uint32_t *touched;       /* pages stored to since ram_track_touched(); NULL: not tracked */
    uint64_t ntouched;
    /* Before the first store to a page that is RAM_SAVED. */
    void (*on_touch)(void *opaque, uint64_t page);
    /* Writes the content of a page that is RAM_ABSENT to `to`. */
    void (*fetch)(void *opaque, uint64_t page, uint8_t *to);
    void *touch_opaque;      /* of both */
    /* Called by ram_prepare_write for pages flagged RAM_CODE, RAM_TABLE or RAM_WATCH. */
    void (*on_flagged_store)(void *opaque, uint64_t page, uint64_t gpa, size_t len);
    /* Called when pages got a flag: drop their write tags. `page` UINT64_MAX: of all pages. */
    void (*on_protect)(void *opaque, uint64_t page);
    void *opaque;
};

/* `rom_bytes`, a multiple of 4 KiB up to 16 MiB, is mapped so that it ends at 4 GiB.
 * 0, or -1 when memory cannot be had. */
int ram_init(struct ram *ram, uint64_t bytes, uint64_t rom_bytes);
void ram_fini(struct ram *ram);
void ram_clear(struct ram *ram); /* all zeros, all pages dirty-consistent */
/* Sets the ROM's content; `len` bytes, zero-filled in front up to rom_bytes. */
void ram_load_rom(struct ram *ram, const uint8_t *data, size_t len);

/* The page whose own address this is, whatever the window shows; UINT64_MAX: none. */
static inline uint64_t ram_home_page(const struct ram *ram, uint64_t gpa)
{
    if (gpa < ram->low_bytes)
        return (gpa >= 0xa0000 && gpa < 0xc0000) ? UINT64_MAX : gpa >> PAGE_SHIFT;
    if (gpa >= (4ULL << 30) && gpa - (4ULL << 30) < ram->bytes - ram->low_bytes)
        return (gpa - (4ULL << 30) + ram->low_bytes) >> PAGE_SHIFT;
    if (gpa < (4ULL << 30) && gpa >= (4ULL << 30) - ram->rom_bytes)
        return (ram->bytes + gpa - ((4ULL << 30) - ram->rom_bytes)) >> PAGE_SHIFT;
    return UINT64_MAX;
}

uint64_t ram_window_page(const struct ram *ram, uint64_t gpa);

/* RAM page number for a guest-physical address, or UINT64_MAX when it is not RAM. */
static inline uint64_t ram_page_of(const struct ram *ram, uint64_t gpa)
{
    if (gpa >= RAM_WINDOW_BASE && gpa < RAM_WINDOW_END)
        return ram_window_page(ram, gpa);
    return ram_home_page(ram, gpa);
}

/*
 * From now on block `block` of the window shows this. Translations that lead there are the caller's to
 * drop: devices call machine_set_window().
 */
void ram_set_window(struct ram *ram, unsigned block, enum ram_window what);
/* Stores a byte into the RAM behind the window, whatever shows in front of it. */
void ram_write_home(struct ram *ram, uint64_t gpa, uint8_t byte);
/* What of the ROM is at this address of the window; all ones where it does not reach. */
uint8_t ram_rom_byte(const struct ram *ram, uint64_t gpa);

void ram_fetch_page(const struct ram *ram, uint64_t page);

/* Where a page is in host memory, with its content. The only way there. */
static inline uint8_t *ram_page(const struct ram *ram, uint64_t page)
{
    if (ram->flags[page] & RAM_ABSENT)
        ram_fetch_page(ram, page);
    return ram->host + (page << PAGE_SHIFT);
}

static inline uint8_t *ram_host(const struct ram *ram, uint64_t gpa)
{
    uint64_t page = ram_page_of(ram, gpa);
    return page == UINT64_MAX ? NULL : ram_page(ram, page) + (gpa & PAGE_OFFSET_MASK);
}

/* Before [gpa, gpa+len), inside one RAM page, is stored to by other than an installed write tag. */
void ram_prepare_write(struct ram *ram, uint64_t gpa, size_t len);

/* Copies between guest-physical memory and the host; false when any byte is not RAM (nothing is
 * then copied). Writes prepare their pages. */
bool ram_read(const struct ram *ram, uint64_t gpa, void *out, size_t len);
bool ram_write(struct ram *ram, uint64_t gpa, const void *data, size_t len);

void ram_set_flag(struct ram *ram, uint64_t page, enum ram_page_flag flag);
void ram_clear_flag(struct ram *ram, uint64_t page, enum ram_page_flag flag);

/*
 * For checkpoints: from now on the first store to each page is told to on_touch, before it happens, and
 * noted in `touched`. Called again, it forgets what was noted. 0, or -1: out of memory. Independent
 * of the digests' tracking.
 */
int ram_track_touched(struct ram *ram, void (*on_touch)(void *opaque, uint64_t page), void *opaque);
void ram_untrack_touched(struct ram *ram);

/* The page gets this content; code and translations that it changes are dropped, digests follow, a page
 * that is RAM_SAVED stays so. NULL: zeros. */
void ram_restore_page(struct ram *ram, uint64_t page, const uint8_t *content);
/*
 * The same for a content that is fetched when something wants to see it, by `fetch`, and whose hash is known.
 * False: this page must be restored at once. Before the guest goes on all its TLB must be flushed.
 */
bool ram_defer_page(struct ram *ram, uint64_t page, uint64_t hash);
bool ram_page_is_zero(const struct ram *ram, uint64_t page);
/* As digests hash it. */
uint64_t ram_content_hash(const uint8_t *content, uint64_t page);
/* The guest-physical address of a RAM page, its home: what the window shows there may be another. */
uint64_t ram_gpa_of(const struct ram *ram, uint64_t page);

/*
 * Starts tracking (all pages count as dirty at first), then: rehash what was stored to since the
 * last call and return the sum over pages of hash(page number, content).
 *
 * The ROM's pages are in the sum until the machine is reset, and not after: it is loaded again then, and
 * no store marks it. Recordings hold such digests, so it stays so.
 */
uint64_t ram_digest(struct ram *ram);
/* A snapshot was loaded, of before the first reset (true) or after it. */
void ram_count_rom(struct ram *ram, bool counts);

#endif
