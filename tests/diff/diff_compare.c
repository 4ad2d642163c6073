/* SPDX-License-Identifier: MIT */
#include "diff_compare.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void say(struct text *t, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->at, t->left, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= t->left)
        n = t->left > 0 ? (int)t->left - 1 : 0;
    t->at += n;
    t->left -= (size_t)n;
}

const char *const reg_names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

/* Linear address of a line of the arena. */
static uint32_t line_va(uint32_t index)
{
    uint32_t offset = index * LINE_BYTES;
    unsigned i;

    for (i = 0; i + 1 < ARENA_PARTS; i++)
        if (offset < arena_parts[i + 1].first_page * PAGE)
            break;
    return arena_parts[i].va + offset - arena_parts[i].first_page * PAGE;
}

static const uint8_t *line_bytes(const struct outcome *o, uint32_t index, const uint8_t *template,
                                 uint32_t *cursor)
{
    while (*cursor < o->nlines && o->lines[*cursor].index < index)
        (*cursor)++;
    if (*cursor < o->nlines && o->lines[*cursor].index == index)
        return o->lines[*cursor].bytes;
    return template + index * LINE_BYTES;
}

static bool is_excused(const struct excused *excused, uint32_t va)
{
    unsigned i;

    for (i = 0; i < UNDEF_RANGES; i++)
        if (va - excused->memory[i].va < excused->memory[i].len)
            return true;
    return false;
}

static unsigned compare_lines(const struct outcome *a, const struct outcome *b,
                              const struct excused *excused, const uint8_t *template,
                              struct text *t)
{
    uint32_t index, i, ca = 0, cb = 0;
    unsigned n = 0;

    if (a->nlines == b->nlines && memcmp(a->lines, b->lines, a->nlines * sizeof(a->lines[0])) == 0)
        return 0;
    for (index = 0; index < ARENA_LINES; index++) {
        const uint8_t *x = line_bytes(a, index, template, &ca);
        const uint8_t *y = line_bytes(b, index, template, &cb);

        for (i = 0; i < LINE_BYTES; i++)
            if (x[i] != y[i] && !is_excused(excused, line_va(index) + i) && n++ < 24)
                say(t, "  memory %08x: expected %02x, found %02x\n", line_va(index) + i, x[i],
                    y[i]);
    }
    return n;
}

unsigned compare_item(struct text *t, const char *name, uint64_t expected, uint64_t found)
{
    if (expected == found)
        return 0;
    say(t, "  %s: expected %" PRIx64 ", found %" PRIx64 "\n", name, expected, found);
    return 1;
}

/* --- floating-point state --- */

static uint64_t field(const uint8_t *fx, unsigned at, unsigned bytes)
{
    uint64_t v = 0;

    memcpy(&v, fx + at, bytes);
    return v;
}

static unsigned compare_wide(struct text *t, const char *what, unsigned i, const uint8_t *expected,
                             const uint8_t *found, unsigned bytes)
{
    unsigned high = bytes - 8;

    if (memcmp(expected, found, bytes) == 0)
        return 0;
    say(t, "  %s%u: expected %0*" PRIx64 ":%016" PRIx64 ", found %0*" PRIx64 ":%016" PRIx64 "\n", what,
        i, (int)high * 2, field(expected, 8, high), field(expected, 0, 8), (int)high * 2,
        field(found, 8, high), field(found, 0, 8));
    return 1;
}

static unsigned compare_fx(const uint8_t *a, const uint8_t *b, const struct excused *excused,
                           struct text *t)
{
    uint64_t c1 = excused->flags & UNDEF_C1 ? 0x200 : 0;
    unsigned i, n = 0;

    n += compare_item(t, "fcw", field(a, FX_CW, 2), field(b, FX_CW, 2));
    n += compare_item(t, "fsw", field(a, FX_SW, 2) & ~c1, field(b, FX_SW, 2) & ~c1);
    n += compare_item(t, "tags", field(a, FX_TAGS, 1), field(b, FX_TAGS, 1));
    n += compare_item(t, "mxcsr", field(a, FX_MXCSR, 4), field(b, FX_MXCSR, 4));
    for (i = 0; i < 8; i++)
        n += compare_wide(t, "st", i, a + FX_ST + 16 * i, b + FX_ST + 16 * i, 10);
    for (i = 0; i < 16; i++)
        n += compare_wide(t, "xmm", i, a + FX_XMM + 16 * i, b + FX_XMM + 16 * i, 16);
    if (excused->x87_pointers)
        return n;
    n += compare_item(t, "fop", field(a, 6, 2), field(b, 6, 2));
    n += compare_item(t, "fip", field(a, 8, 8), field(b, 8, 8));
    return n + compare_item(t, "fdp", field(a, 16, 8), field(b, 16, 8));
}

void print_fx(const uint8_t *fx)
{
    unsigned i;

    printf("  fcw %04x  fsw %04x  tags %02x  mxcsr %04x\n", (unsigned)field(fx, FX_CW, 2),
           (unsigned)field(fx, FX_SW, 2), (unsigned)field(fx, FX_TAGS, 1),
           (unsigned)field(fx, FX_MXCSR, 4));
    for (i = 0; i < 8; i++)
        if (field(fx, FX_ST + 16 * i, 8) != 0 || field(fx, FX_ST + 16 * i + 8, 2) != 0)
            printf("  st%u %04x:%016" PRIx64 "\n", i, (unsigned)field(fx, FX_ST + 16 * i + 8, 2),
                   field(fx, FX_ST + 16 * i, 8));
    for (i = 0; i < 16; i++)
        if (field(fx, FX_XMM + 16 * i, 8) != 0 || field(fx, FX_XMM + 16 * i + 8, 8) != 0)
            printf("  xmm%u %016" PRIx64 ":%016" PRIx64 "\n", i, field(fx, FX_XMM + 16 * i + 8, 8),
                   field(fx, FX_XMM + 16 * i, 8));
}

/* --- all of it --- */

/* Linux says "protection" for every fault of a user in the kernel's half, so as not to show what is
 * mapped there. */
static uint32_t comparable_error(const struct outcome *o)
{
    return o->vector == 14 && o->cr2 >= 0x7ffffffff000ULL ? o->error & ~1u : o->error;
}

/* The kernel's return to the signal handler makes null selectors 0 (SDM vol. 2, IRET). */
static uint16_t comparable_selector(uint16_t selector)
{
    return selector < 4 ? 0 : selector;
}

unsigned compare(const struct outcome *expected, const struct outcome *found,
                 const struct excused *excused, const uint8_t *template, struct text *t)
{
    uint64_t flags = (COMPARED_FLAGS | COMPARED_HIGH_FLAGS) & ~(uint64_t)excused->flags;
    unsigned i, n = 0;

    n += compare_item(t, "exception", expected->vector, found->vector);
    n += compare_item(t, "error code", comparable_error(expected), comparable_error(found));
    n += compare_item(t, "cr2", expected->cr2, found->cr2);
    n += compare_item(t, "rip", expected->rip, found->rip);
    n += compare_item(t, "cs", expected->cs, found->cs);
    n += compare_item(t, "ss", expected->ss, found->ss);
    n += compare_item(t, "ds", comparable_selector(expected->ds), comparable_selector(found->ds));
    n += compare_item(t, "es", comparable_selector(expected->es), comparable_selector(found->es));
    for (i = 0; i < 16; i++) {
        uint64_t mask = i == 4 && excused->rsp_high ? UINT32_MAX : UINT64_MAX;

        n += compare_item(t, reg_names[i], expected->regs[i] & mask, found->regs[i] & mask);
    }
    n += compare_item(t, "rflags (defined)", expected->rflags & flags, found->rflags & flags);
    n += compare_fx(expected->fx, found->fx, excused, t);
    return n + compare_lines(expected, found, excused, template, t);
}
