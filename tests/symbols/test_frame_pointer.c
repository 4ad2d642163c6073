/* SPDX-License-Identifier: MIT */
/* Call frames from made-up code of a 32-bit kernel. gdb's backtraces of a stock one are in tests/e2e/test_symbols.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <symbols/frame_pointer.h>

#include "fake_guest.h"

#define TEXT 0xc1000000u

static uint8_t bytes[0x40000];
static struct fake_guest guest = {.base = TEXT, .bytes = bytes, .len = sizeof(bytes)};

struct fde {
    uint32_t begin, end;
    bool signal, stops; /* by its CIE: beyond pt_regs; the caller is undefined */
    const uint8_t *code;
    size_t len;
};

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Takes the section apart, checks that every entry is whole, and returns how many FDEs there are. */
static size_t parse(const uint8_t *frames, size_t len, struct fde *out, size_t capacity)
{
    size_t at = 0, n = 0, cies = 0, cie_at[3] = {0};

    while (at < len) {
        uint32_t size = get32(frames + at), cie = get32(frames + at + 4);

        assert_in_range(size, 12, len - at - 4);
        assert_int_equal((size + 4) % 4, 0);
        if (cie == 0xffffffff) {
            assert_in_range(cies, 0, 2);
            cie_at[cies++] = at;
        } else {
            bool signal = cie == cie_at[1];

            assert_in_range(n, 0, capacity - 1);
            out[n++] = (struct fde){.begin = get32(frames + at + 8),
                                    .end = get32(frames + at + 8) + get32(frames + at + 12),
                                    .signal = signal,
                                    .stops = cie == cie_at[2],
                                    .code = frames + at + 16 + signal,
                                    .len = size - 12 - signal};
        }
        at += size + 4;
    }
    assert_int_equal(at, len);
    assert_int_equal(cies, 3);
    return n;
}

static void add(struct symbol_table *t, const char *name, uint32_t at, const void *code, size_t len, char type)
{
    assert_int_equal(symbol_table_add(t, name, strlen(name), TEXT + at, 0, type), 0);
    memcpy(bytes + at, code, len);
}

static size_t read_all(struct symbol_table *t, uint8_t **frames, struct fde *fdes, size_t capacity)
{
    struct symbols_memory mem = fake_guest_memory(&guest);
    char err[200];
    size_t len;

    assert_int_equal(symbol_table_finish(t), 0);
    assert_int_equal(frame_pointer_read_frames(&mem, t, frames, &len, err, sizeof(err)), SYMBOLS_OK);
    return parse(*frames, len, fdes, capacity);
}

#define CODE(s) (s), sizeof(s) - 1

static void expect(const struct fde *f, uint32_t begin, uint32_t end, const char *code, size_t len)
{
    assert_int_equal(f->begin, TEXT + begin);
    assert_int_equal(f->end, TEXT + end);
    assert_in_range(len, 0, f->len);
    assert_memory_equal(f->code, code, len);
    for (size_t i = len; i < f->len; i++)
        assert_int_equal(f->code[i], 0);
}

static void functions_have_a_frame_between_prologue_and_epilogue(void **state)
{
    struct symbol_table *t = symbol_table_create();
    struct fde f[8];
    uint8_t *frames;

    (void)state;
    memset(bytes, 0x90, sizeof(bytes));
    /* push ebp; mov ebp, esp; nop; leave; ret; nop; pop ebp; ret 8 */
    add(t, "plain", 0x00, CODE("\x55\x89\xe5\x90\xc9\xc3\x90\x5d\xc2\x08\x00"), 'T');
    /* call; push ebp; mov eax, edx; mov ebp, esp; leave; ret */
    add(t, "traced", 0x20, CODE("\xe8\x00\x00\x00\x00\x55\x89\xd0\x89\xe5\xc9\xc3"), 't');
    /* test eax, eax; je; push ebp; mov ebp, esp; leave; ret */
    add(t, "late", 0x40, CODE("\x85\xc0\x74\x05\x55\x89\xe5\xc9\xc3"), 'T');
    add(t, "none", 0x60, CODE("\x31\xc0\xc3"), 'T');
    add(t, "data", 0x80, CODE("\x55\x89\xe5\xc9\xc3"), 'D');
    add(t, "plain.cold", 0xa0, CODE("\x0f\x0b"), 't');
    add(t, "none.cold", 0xc0, CODE("\x0f\x0b"), 't');
    add(t, "end", 0xe0, CODE("\x90"), 'T');
    assert_int_equal(read_all(t, &frames, f, 8), 4);
    /* advance 1, CFA + 8, EBP saved; advance 2, CFA by EBP; around each return CFA by ESP and EBP kept */
#define GONE "\x0c\x04\x04\x08\x05"
#define BACK "\x0c\x05\x08\x85\x02"
    expect(&f[0], 0x00, 0x20, CODE("\x41\x0e\x08\x85\x02\x42\x0d\x05\x42" GONE "\x41" BACK "\x42" GONE "\x43" BACK));
    expect(&f[1], 0x20, 0x40, CODE("\x46\x0e\x08\x85\x02\x44\x0d\x05\x41" GONE "\x41" BACK));
    expect(&f[2], 0x40, 0x60, CODE("\x45\x0e\x08\x85\x02\x42\x0d\x05\x41" GONE "\x41" BACK));
    expect(&f[3], 0xa0, 0xc0, CODE(BACK));
    free(frames);
    symbol_table_destroy(t);
}

static void entries_lead_beyond_pt_regs_or_end_the_stack(void **state)
{
    struct symbol_table *t = symbol_table_create();
    struct fde f[8];
    uint8_t *frames;

    (void)state;
    memset(bytes, 0x90, sizeof(bytes));
    add(t, "ret_from_fork", 0x00, CODE("\x90"), 'T');
    add(t, "__entry_text_start", 0x100, CODE("\x90"), 'T');
    add(t, "syscall_entry", 0x110, CODE("\x90"), 'T');
    /* nop; mov ebp, esp; and ebp, 7fffffffh */
    add(t, "exception_entry", 0x120, CODE("\x90\x89\xe5\x81\xe5\xff\xff\xff\x7f"), 'T');
    add(t, "exception_return", 0x140, CODE("\x90"), 'T');
    add(t, "__entry_text_end", 0x160, CODE("\x90"), 'T');
    add(t, "_sinittext", 0x200, CODE("\x90"), 'T');
    add(t, "freed", 0x210, CODE("\xcc"), 't');
    add(t, "_einittext", 0x220, CODE("\x90"), 'T');
    assert_int_equal(read_all(t, &frames, f, 8), 8);
    assert_true(f[0].stops && f[1].stops && f[2].stops && f[3].stops && !f[4].stops && f[5].stops);
    expect(&f[0], 0x00, 0x100, CODE(""));
    expect(&f[2], 0x110, 0x120, CODE(""));
    expect(&f[3], 0x120, 0x129, CODE(""));
    assert_true(f[4].signal);
    expect(&f[4], 0x129, 0x141, CODE("")); /* and where the last call returns to */
    expect(&f[5], 0x141, 0x160, CODE(""));
    assert_true(!f[7].stops && !f[7].signal);
    expect(&f[7], 0x210, 0x220, CODE(BACK));
    free(frames);
    symbol_table_destroy(t);
}

static void code_that_says_nothing_gives_nothing(void **state)
{
    struct symbols_memory mem = fake_guest_memory(&guest);
    struct symbol_table *t = symbol_table_create();
    uint8_t *frames = NULL;
    char err[200] = "";
    size_t len;

    (void)state;
    memset(bytes, 0x90, sizeof(bytes));
    add(t, "none", 0x00, CODE("\xc3"), 'T');
    assert_int_equal(symbol_table_add(t, "unmapped", 8, TEXT + sizeof(bytes), 0x100, 'T'), 0);
    assert_int_equal(symbol_table_add(t, "beyond", 6, 0xffffffff81000000u, 0x100, 'T'), 0);
    assert_int_equal(symbol_table_finish(t), 0);
    assert_int_equal(frame_pointer_read_frames(&mem, t, &frames, &len, err, sizeof(err)), SYMBOLS_ERR_NOT_FOUND);
    assert_null(frames);
    assert_string_not_equal(err, "");
    symbol_table_destroy(t);
}

/* Any bytes, symbols of any size that overlap: sound entries, and an end. */
static void any_bytes_give_whole_entries(void **state)
{
    static struct fde f[400];
    uint64_t random = 1;

    (void)state;
    for (int round = 0; round < 200; round++) {
        struct symbol_table *t = symbol_table_create();
        uint8_t *frames;

        for (size_t i = 0; i < sizeof(bytes); i++) {
            static const uint8_t likely[] = {0x55, 0x89, 0xe5, 0xc9, 0xc3, 0x5d, 0xc2, 0x81};

            random = random * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = random >> 63 ? likely[random >> 40 & 7] : (uint8_t)(random >> 33);
        }
        for (int i = 0; i < 100; i++) {
            char name[2] = {(char)('a' + i % 26), '\0'};

            random = random * 6364136223846793005u + 1442695040888963407u;
            assert_int_equal(symbol_table_add(t, name, 1, TEXT + (random >> 33) % sizeof(bytes),
                                              random >> 40 & 1 ? (random >> 20) % 0x20000 : 0, 'T'), 0);
        }
        add(t, "plain", 0, CODE("\x55\x89\xe5\xc9\xc3"), 'T');
        assert_in_range(read_all(t, &frames, f, 400), 1, 400);
        free(frames);
        symbol_table_destroy(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_have_a_frame_between_prologue_and_epilogue),
        cmocka_unit_test(entries_lead_beyond_pt_regs_or_end_the_stack),
        cmocka_unit_test(code_that_says_nothing_gives_nothing),
        cmocka_unit_test(any_bytes_give_whole_entries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
