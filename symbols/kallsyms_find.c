/* SPDX-License-Identifier: MIT */
/*
 * Finds the tables of kallsyms in guest memory.
 *
 * Names are compressed: each byte is a token, and the token table has the 256 strings, each ended
 * by a zero; token_index has the offset of each as 16 bits. Bytes that occur in names stand for
 * themselves, so the table of every kernel has "0\0" "1\0" ... "9\0" as tokens 30h to 39h. That is
 * searched for; the index behind it, all 256 entries of which must be right, says where the table
 * begins.
 *
 * The other tables have no such marks, but neighbours and checks (each begins at a multiple of the
 * word size):
 *
 *     up to 6.4:  offsets relative_base num_syms names markers [seqs] token_table token_index
 *     later:      num_syms names markers token_table token_index offsets relative_base seqs
 *
 * markers: 32 bits for every 256th name, its offset in names. So it is an ascending run that begins
 * with 0. names is found before it: where num_syms precedes it, and where names as long as they say
 * lead to each marker. The offsets then have one of the places above, and must ascend.
 *
 * Every search has a bound: bytes read, window size, and steps over it.
 */
#include "kallsyms_internal.h"

#include <stdlib.h>

#include <symbols/kernel.h>

#define SCAN_BYTES   (256ull << 20) /* read in search of the tokens, at most */
#define WINDOW_USUAL (4u << 20)     /* looked at before the token table */
#define WINDOW_MOST  (24u << 20)    /* the same, if that was too little */
#define IMAGE_MAX    (1ull << 30)   /* a kernel's size, at most */
#define STEPS_MAX    (64u << 20)    /* of comparing, for one token table */
#define COUNT_MIN    1024u
#define COUNT_MAX    (1u << 20)
#define TOKEN_MAX    256u /* bytes of one token, its '\0' included */
#define PER_MARKER   256u

static const char digits[] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";

/* --- the token table --- */

/* Where the tokens are; guest addresses. */
struct tokens {
    uint64_t table, index;
};

/* Offsets of the tokens from '0' on, relative to its place. False: no 208 strings. */
static bool token_starts(const uint8_t *text, size_t len, size_t start[KALLSYMS_TOKENS + 1])
{
    size_t at = 0;

    for (unsigned i = '0'; i < KALLSYMS_TOKENS; i++) {
        const uint8_t *end;

        start[i] = at;
        end = memchr(text + at, '\0', len - at < TOKEN_MAX ? len - at : TOKEN_MAX);
        if (end == NULL || end == text + at)
            return false;
        at = (size_t)(end - text) + 1;
    }
    start[KALLSYMS_TOKENS] = at;
    return true;
}

/* `digit`: where "0" is, start[] relative to it. */
static bool index_fits(const struct symbols_memory *mem, uint64_t digit, uint64_t index,
                       const size_t start[KALLSYMS_TOKENS + 1], struct tokens *found)
{
    uint8_t raw[KALLSYMS_TOKENS * 2], head['0' * TOKEN_MAX];
    size_t zero;

    if (!memory_read(mem, index, raw, sizeof(raw)))
        return false;
    zero = le16(raw + 2 * '0');
    if (zero > sizeof(head) || le16(raw) != 0 || !memory_read(mem, digit - zero, head, zero))
        return false;
    for (unsigned i = 1; i < '0' + 1; i++) {
        size_t at = le16(raw + 2 * i);

        if (at <= le16(raw + 2 * (i - 1)) || at > zero || head[at - 1] != '\0')
            return false;
    }
    for (unsigned i = '0'; i < KALLSYMS_TOKENS; i++)
        if (le16(raw + 2 * i) != zero + start[i])
            return false;
    *found = (struct tokens){.table = digit - zero, .index = index};
    return true;
}

static bool tokens_around(const struct symbols_memory *mem, uint64_t digit, struct tokens *found)
{
    uint8_t text[(KALLSYMS_TOKENS - '0') * 64];
    size_t start[KALLSYMS_TOKENS + 1];
    size_t got = mem->read(mem->user, digit, text, sizeof(text));
    uint64_t end;

    if (got > sizeof(text) || !token_starts(text, got, start))
        return false;
    end = digit + start[KALLSYMS_TOKENS];
    return index_fits(mem, digit, align_up(end, 8), start, found) ||
           index_fits(mem, digit, align_up(end, 4), start, found);
}

/* --- the window --- */

/* The lowest page from which on all is mapped up to the page `at`, `most` bytes at most. */
static uint64_t mapped_below(const struct symbols_memory *mem, uint64_t at, size_t most)
{
    uint64_t low = at;
    uint8_t byte;

    while (at - low < most && low >= GUEST_PAGE && memory_read(mem, low - GUEST_PAGE, &byte, 1))
        low -= GUEST_PAGE;
    return low;
}

/* Copies what is mapped without a gap before the token table, and up to the end of the index. */
static int load_window(const struct symbols_memory *mem, const struct tokens *at, size_t below,
                       struct kallsyms_tables *t)
{
    uint64_t low = mapped_below(mem, at->table & ~(uint64_t)(GUEST_PAGE - 1), below);
    size_t len = (size_t)(at->index + KALLSYMS_TOKENS * 2 - low);
    uint8_t *bytes = malloc(len);

    if (bytes == NULL)
        return SYMBOLS_ERR_NO_MEMORY;
    if (!memory_read(mem, low, bytes, len)) {
        free(bytes);
        return SYMBOLS_ERR_NOT_FOUND;
    }
    t->bytes = bytes;
    t->len = len;
    t->gva = low;
    t->token_table = (size_t)(at->table - low);
    t->token_index = (size_t)(at->index - low);
    return SYMBOLS_OK;
}

/* Makes the window `len` bytes long, if so much is mapped. */
static bool extend_window(const struct symbols_memory *mem, struct kallsyms_tables *t, size_t len)
{
    uint8_t *grown;

    if (len <= t->len)
        return true;
    grown = realloc(t->bytes, len);
    if (grown == NULL)
        return false;
    t->bytes = grown;
    if (!memory_read(mem, t->gva + t->len, grown + t->len, len - t->len))
        return false;
    t->len = len;
    return true;
}

void kallsyms_tables_free(struct kallsyms_tables *t)
{
    free(t->bytes);
    t->bytes = NULL;
}

static uint64_t word_at(const struct kallsyms_tables *t, size_t at)
{
    return t->word == 8 ? le64(t->bytes + at) : le32(t->bytes + at);
}

/* --- names and markers --- */

bool kallsyms_name_at(const struct kallsyms_tables *t, size_t at, size_t *tokens, size_t *length)
{
    if (at + 2 > t->len)
        return false;
    *length = t->bytes[at];
    *tokens = at + 1;
    if (*length >= 0x80) { /* 6.1 and later: two bytes, seven bits each */
        *length = (*length & 0x7f) | (size_t)t->bytes[at + 1] << 7;
        *tokens = at + 2;
    }
    return *length > 0 && *length <= KALLSYMS_NAME_MAX && *length <= t->len - *tokens;
}

/* How many ascending words there are from `at` on: markers, and perhaps what follows them. */
static size_t marker_run(const struct kallsyms_tables *t, size_t at)
{
    size_t n = 1;

    while (n < COUNT_MAX / PER_MARKER && at + 4 * (n + 1) <= t->token_table) {
        uint32_t step = le32(t->bytes + at + 4 * n) - le32(t->bytes + at + 4 * (n - 1));

        if (step < PER_MARKER * 2 || step > PER_MARKER * KALLSYMS_NAME_MAX)
            break;
        n++;
    }
    return n;
}

/* Whether names at `at` lead from marker to marker, and to their end before the first marker. */
static bool names_fit(struct kallsyms_tables *t, size_t at, uint32_t count, size_t markers,
                      uint32_t *steps)
{
    size_t pos = at, tokens, length;

    for (uint32_t i = 0; i < count; i++) {
        if (i % PER_MARKER == 0 && pos - at != le32(t->bytes + markers + 4 * (i / PER_MARKER)))
            return false;
        if (pos >= markers || *steps == 0 || !kallsyms_name_at(t, pos, &tokens, &length))
            return false;
        --*steps;
        pos = tokens + length;
    }
    t->names_end = pos;
    return pos <= markers && align_up(t->gva + pos, t->word) == t->gva + markers;
}

/* Looks for num_syms and names before these markers. */
static bool names_before(struct kallsyms_tables *t, size_t markers, size_t run, uint32_t *steps)
{
    size_t at = markers;
    size_t most = le32(t->bytes + markers + 4 * (run - 1)) + PER_MARKER * (KALLSYMS_NAME_MAX + 2);

    while (at >= 2 * t->word && markers - at <= most && *steps > 0) {
        uint32_t count;
        size_t used, least;

        at -= t->word;
        --*steps;
        count = le32(t->bytes + at - t->word);
        used = (count + PER_MARKER - 1) / PER_MARKER;
        if (count < COUNT_MIN || count > COUNT_MAX || used > run)
            continue;
        least = le32(t->bytes + markers + 4 * (used - 1));
        if (markers - at > least && markers - at - least <= PER_MARKER * (KALLSYMS_NAME_MAX + 2) &&
            names_fit(t, at, count, markers, steps)) {
            t->names = at;
            t->markers = markers;
            t->num_syms = at - t->word;
            t->count = count;
            return true;
        }
    }
    return false;
}

static bool find_names(struct kallsyms_tables *t, uint32_t *steps)
{
    size_t at = t->token_table / t->word * t->word; /* the window begins at a page */

    while (at >= 3 * t->word && *steps > 0) {
        at -= t->word;
        --*steps;
        if (le32(t->bytes + at) == 0) {
            size_t run = marker_run(t, at);

            if (run >= COUNT_MIN / PER_MARKER && names_before(t, at, run, steps))
                return true;
        }
    }
    return false;
}

/* --- addresses --- */

uint64_t kallsyms_address(const struct kallsyms_tables *t, uint32_t i, bool *absolute)
{
    uint32_t offset;

    *absolute = false;
    if (t->plain_addresses)
        return word_at(t, t->offsets + (size_t)i * t->word);
    offset = le32(t->bytes + t->offsets + (size_t)i * 4);
    if (t->absolute_percpu) {
        *absolute = offset < 0x80000000u;
        return *absolute ? offset : t->relative_base + (uint32_t)~offset;
    }
    return t->relative_base + offset;
}

static bool in_kernel_half(const struct kallsyms_tables *t, uint64_t address)
{
    return t->word == 8 ? address >= 0xffff800000000000u
                        : address >= 0x40000000u && address <= UINT32_MAX;
}

/* Whether the addresses ascend, apart from absolute ones, within the size of a kernel. */
static bool addresses_fit(const struct kallsyms_tables *t)
{
    uint64_t first = 0, before = 0;

    for (uint32_t i = 0; i < t->count; i++) {
        bool absolute;
        uint64_t address = kallsyms_address(t, i, &absolute);

        if (absolute || (t->plain_addresses && !in_kernel_half(t, address)))
            continue;
        if (!in_kernel_half(t, address) || address < before)
            return false;
        if (before == 0)
            first = address;
        before = address;
    }
    return before > first && before - first < IMAGE_MAX;
}

/* Offsets at `offsets`, their base at `base`. */
static bool try_offsets(struct kallsyms_tables *t, size_t offsets, size_t base)
{
    if (base > t->len - 8 || offsets > t->len || (t->len - offsets) / 4 < t->count)
        return false;
    t->plain_addresses = false;
    t->offsets = offsets;
    t->relative_base = word_at(t, base);
    t->absolute_percpu = (le32(t->bytes + offsets + 4 * (size_t)(t->count - 1)) >> 31) != 0;
    return addresses_fit(t);
}

static bool try_plain(struct kallsyms_tables *t, size_t addresses)
{
    t->plain_addresses = true;
    t->absolute_percpu = false;
    t->relative_base = 0;
    t->offsets = addresses;
    return addresses_fit(t);
}

static bool find_addresses(const struct symbols_memory *mem, struct kallsyms_tables *t)
{
    size_t table = (size_t)align_up((uint64_t)t->count * 4, t->word);
    size_t plain = (size_t)t->count * t->word;
    size_t behind = t->token_index + KALLSYMS_TOKENS * 2;

    if (t->num_syms >= table + t->word &&
        try_offsets(t, t->num_syms - t->word - table, t->num_syms - t->word))
        return true;
    if (extend_window(mem, t, behind + table + 8) && try_offsets(t, behind, behind + table))
        return true;
    return t->num_syms >= plain && try_plain(t, t->num_syms - plain);
}

/* --- the search --- */

static int find_in_window(const struct symbols_memory *mem, const struct tokens *at, size_t below,
                          unsigned word, struct kallsyms_tables *t)
{
    uint32_t steps = STEPS_MAX;
    int status;

    *t = (struct kallsyms_tables){.word = word};
    status = load_window(mem, at, below, t);
    if (status == SYMBOLS_OK && !(find_names(t, &steps) && find_addresses(mem, t))) {
        kallsyms_tables_free(t);
        status = SYMBOLS_ERR_NOT_FOUND;
    }
    return status;
}

static int find_rest(const struct symbols_memory *mem, const struct tokens *at, unsigned word,
                     struct kallsyms_tables *t)
{
    int status = find_in_window(mem, at, WINDOW_USUAL, word, t);

    return status == SYMBOLS_ERR_NOT_FOUND ? find_in_window(mem, at, WINDOW_MOST, word, t) : status;
}

/* Looks at every token table in [begin, end). Few kernels have two. */
static int find_in(const struct symbols_memory *mem, uint64_t begin, uint64_t end, unsigned word,
                   struct kallsyms_tables *t)
{
    uint64_t budget = SCAN_BYTES;
    unsigned tables = 0;

    for (uint64_t at = begin; memory_find(mem, &at, end, digits, sizeof(digits), &budget); at++) {
        struct tokens tokens;
        int status;

        if (!tokens_around(mem, at, &tokens))
            continue;
        status = find_rest(mem, &tokens, word, t);
        if (status != SYMBOLS_ERR_NOT_FOUND || ++tables == 4)
            return status;
    }
    return SYMBOLS_ERR_NOT_FOUND;
}

/* An address in the kernel's text; 0: unknown. */
static uint64_t text_address(const struct symbols_memory *mem, const struct symbols_hints *hints)
{
    uint64_t handler;

    if (hints->sysenter_eip != 0)
        return hints->sysenter_eip;
    if (kernel_idt_handler(mem, hints, 14, &handler))
        return handler;
    return hints->rip;
}

int kallsyms_find(const struct symbols_memory *mem, const struct symbols_hints *hints,
                  struct kallsyms_tables *t, char *err, size_t errlen)
{
    int status;

    if (hints->long_mode) {
        status = find_in(mem, 0xffffffff80000000u, 0xffffffffc0000000u, 8, t);
    } else {
        /* A 32-bit kernel maps much of RAM, so where its text is matters. */
        uint64_t text = text_address(mem, hints) & ~(uint64_t)0xffffff;
        uint64_t begin = text > 0x42000000u ? text - 0x2000000u : 0x40000000u;

        status = text == 0 ? SYMBOLS_ERR_NOT_FOUND : find_in(mem, begin, UINT32_MAX, 4, t);
        if (status == SYMBOLS_ERR_NOT_FOUND)
            status = find_in(mem, 0x40000000u, UINT32_MAX, 4, t);
    }
    if (status == SYMBOLS_ERR_NOT_FOUND)
        symbols_error(0, err, errlen, "no kallsyms tables are mapped in the guest");
    else if (status == SYMBOLS_ERR_NO_MEMORY)
        symbols_error(0, err, errlen, "no memory for the guest's kallsyms tables");
    return status;
}
