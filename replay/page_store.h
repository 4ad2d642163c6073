/* SPDX-License-Identifier: MIT */
/*
 * Old contents of RAM pages, by icount: the bulk of what checkpoints hold.
 *
 * A page has versions. The content of a page at a checkpoint is that of its latest version at or before
 * the checkpoint's icount; a page without any has not been stored to since power-on.
 */
#ifndef REPLAY_PAGE_STORE_H
#define REPLAY_PAGE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_STORE_PAGE 4096u

struct page_store;

/* NULL: out of memory. */
struct page_store *page_store_create(uint64_t npages);
void page_store_destroy(struct page_store *s);

/* Adds the version of `page` at `icount`, or replaces it. `content` NULL: zeros; `hash` is
 * ram_content_hash(). 0, or -1: out of memory, nothing has changed. */
int page_store_put(struct page_store *s, uint64_t page, uint64_t icount, const uint8_t *content,
                   uint64_t hash);
/* The checkpoint at `from` is dropped, the one after it is at `to`: the page's version at `from` is needed
 * no more, or becomes that at `to`. */
void page_store_merge(struct page_store *s, uint64_t page, uint64_t from, uint64_t to);
/* The version at `icount` is dropped; it is the page's last. */
void page_store_drop(struct page_store *s, uint64_t page, uint64_t icount);

bool page_store_has(const struct page_store *s, uint64_t page);
/* Which version a checkpoint at `icount` needs: a number that differs from version to version; 0: none. */
uint64_t page_store_version(const struct page_store *s, uint64_t page, uint64_t icount);
/* The hash of the content at `icount`. The page must have a version there. */
uint64_t page_store_hash(const struct page_store *s, uint64_t page, uint64_t icount);
/* The content at `icount`, in `buf` or in the store's own memory until the next call; NULL: zeros.
 * The page must have a version there. */
const uint8_t *page_store_get(struct page_store *s, uint64_t page, uint64_t icount,
                              uint8_t buf[PAGE_STORE_PAGE]);

/* A version whose content is in a file: `len` bytes at `offset` of descriptor page_store_set_file(), a page
 * or less if LZ4-compressed. `len` 0: zeros. 0, or -1: out of memory. */
int page_store_put_stored(struct page_store *s, uint64_t page, uint64_t icount, uint64_t offset,
                          uint32_t len, uint64_t hash);
/* The store closes it in the end. */
void page_store_set_file(struct page_store *s, int fd);
/* A content could not be read back, or had not its hash. */
bool page_store_failed(const struct page_store *s);

/* Every version, by page and icount: its content as it is kept, `len` 0 for zeros, and the hash of what it is
 * the content of. Stops when `fn` returns false, with false. */
typedef bool page_store_visit_fn(void *opaque, uint64_t page, uint64_t icount, const uint8_t *data,
                                 uint32_t len, uint64_t hash);
bool page_store_visit(struct page_store *s, page_store_visit_fn *fn, void *opaque);

/* In the child of a fork, where the thread that compresses is not: nothing more is compressed. */
void page_store_after_fork(struct page_store *s);

/* Bytes that versions take now. */
size_t page_store_bytes(const struct page_store *s);

/* Takes over what was compressed meanwhile; called now and then. */
void page_store_collect(struct page_store *s);
/* The versions of `page` at `icount` are old: compress it when there is time. */
void page_store_age(struct page_store *s, uint64_t page, uint64_t icount);

#endif
