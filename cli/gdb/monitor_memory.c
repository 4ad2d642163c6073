/* SPDX-License-Identifier: MIT */
/*
 * `monitor` commands about memory: bytes, and what the page tables say.
 *
 * The tables are walked as the processor would (Intel SDM vol. 3, chapter 4), from CR3 down, reading only.
 */
#include <stdio.h>

#include "monitor.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <emu/cpu.h>

#define MAX_LINES 4096u
#define PTE_P  1u
#define PTE_W  2u
#define PTE_U  4u
#define PTE_A  0x20u
#define PTE_D  0x40u
#define PTE_PS 0x80u
#define PTE_G  0x100u
#define PTE_NX (1ULL << 63)
#define PTE_FRAME 0x000ffffffffff000ULL

/* --- bytes --- */

static void print_line(FILE *out, uint64_t address, const uint8_t *bytes, size_t n)
{
    fprintf(out, "%016" PRIx64 ": ", address);
    for (size_t i = 0; i < 16; i++) {
        if (i < n)
            fprintf(out, "%02x ", bytes[i]);
        else
            fputs("   ", out);
    }
    for (size_t i = 0; i < n; i++)
        fputc(isprint(bytes[i]) ? bytes[i] : '.', out);
    fputc('\n', out);
}

/* [/COUNT] ADDR. */
static bool parse_dump(struct monitor_call *call, uint64_t *address, uint64_t *count)
{
    size_t at = 0;

    *count = 64;
    if (call->n > 0 && call->words[0][0] == '/') {
        if (!monitor_number(call, call->words[0] + 1, count) || *count > 1 << 20)
            return false;
        at = 1;
    }
    return call->n == at + 1 && monitor_number(call, call->words[at], address);
}

static int dump(struct monitor_call *call, bool physical)
{
    const struct machine *m = call->s->m;
    uint64_t address, count, done;
    uint8_t bytes[16];

    if (!parse_dump(call, &address, &count)) {
        fputs("takes an address, and before it how many bytes: /64 0x1000\n", call->out);
        return -1;
    }
    for (done = 0; done < count; done += 16) {
        size_t n = count - done < 16 ? (size_t)(count - done) : 16, got = 0;

        if (!physical)
            got = cpu_peek(&m->cpus[0], address + done, bytes, n);
        else
            for (; got < n && ram_page_of(&m->ram, address + done + got) != UINT64_MAX; got++)
                bytes[got] = *ram_host(&m->ram, address + done + got);
        if (got > 0)
            print_line(call->out, address + done, bytes, got);
        if (got < n) {
            fprintf(call->out, "%016" PRIx64 ": %s\n", address + done + got,
                    physical ? "no RAM" : "not mapped");
            return -1;
        }
    }
    return 0;
}

int monitor_xp(struct monitor_call *call)
{
    return dump(call, true);
}

int monitor_x(struct monitor_call *call)
{
    return dump(call, false);
}

/* --- page tables --- */

/* One mapping, as the walk comes by it. */
struct mapping {
    uint64_t linear, gpa, bytes;
    uint64_t rights; /* PTE_* that hold for the whole walk; A, D and G of the leaf */
};

struct walker {
    struct monitor_call *call;
    void (*visit)(struct walker *w, const struct mapping *m);
    unsigned lines;
    struct mapping range; /* info mem: what is being put together; bytes 0: nothing */
};

static uint64_t entry_at(const struct machine *m, uint64_t gpa, unsigned bytes)
{
    uint64_t v = 0;

    return ram_read(&m->ram, gpa, &v, bytes) ? v : 0;
}

/* `level` tables below this one; entries of `bytes`; `shift` of what an entry maps. */
static void walk_table(struct walker *w, uint64_t table, unsigned level, unsigned bytes,
                       uint64_t linear, uint64_t rights)
{
    const struct cpu *cpu = &w->call->s->m->cpus[0];
    unsigned count = bytes == 8 ? 512 : 1024, bits = bytes == 8 ? 9 : 10, i;
    unsigned shift = PAGE_SHIFT + bits * (level - 1);
    bool large_allowed = level == 2 ? bytes == 8 || (cpu->cr4 & CR4_PSE) : level == 3 && bytes == 8;

    for (i = 0; i < count && w->lines < MAX_LINES; i++) {
        uint64_t pte = entry_at(w->call->s->m, table + (uint64_t)i * bytes, bytes);
        uint64_t at = linear + ((uint64_t)i << shift), have;

        if (!(pte & PTE_P))
            continue;
        have = (rights & pte & (PTE_W | PTE_U)) | ((rights | pte) & PTE_NX);
        if (level == 4 && i >= 256)
            at |= 0xffff000000000000ULL;
        if (level == 1 || (large_allowed && (pte & PTE_PS)))
            w->visit(w, &(struct mapping){.linear = at,
                                          .gpa = pte & PTE_FRAME & ~((1ULL << shift) - 1),
                                          .bytes = 1ULL << shift,
                                          .rights = have | (pte & (PTE_A | PTE_D | PTE_G))});
        else
            walk_table(w, pte & PTE_FRAME, level - 1, bytes, at, have);
    }
}

static bool walk_all(struct walker *w)
{
    const struct cpu *cpu = &w->call->s->m->cpus[0];

    if (!(cpu->cr0 & CR0_PG)) {
        fputs("paging is off: every address is physical\n", w->call->out);
        return false;
    }
    if (cpu->efer & EFER_LMA)
        walk_table(w, cpu->cr3 & PTE_FRAME, 4, 8, 0, PTE_W | PTE_U);
    else if (!(cpu->cr4 & CR4_PAE))
        walk_table(w, cpu->cr3 & 0xfffff000u, 2, 4, 0, PTE_W | PTE_U);
    else
        for (unsigned i = 0; i < 4; i++)
            if (cpu->pdpte[i] & PTE_P)
                walk_table(w, cpu->pdpte[i] & PTE_FRAME, 2, 8, (uint64_t)i << 30, PTE_W | PTE_U);
    return true;
}

static void print_rights(FILE *out, uint64_t rights)
{
    fprintf(out, "%c%c%c", rights & PTE_U ? 'u' : 's', rights & PTE_W ? 'w' : '-',
            rights & PTE_NX ? '-' : 'x');
}

static void visit_tlb(struct walker *w, const struct mapping *m)
{
    fprintf(w->call->out, "%016" PRIx64 ": %010" PRIx64 " ", m->linear, m->gpa);
    print_rights(w->call->out, m->rights);
    fprintf(w->call->out, "%c%c%c %s\n", m->rights & PTE_A ? 'a' : '-', m->rights & PTE_D ? 'd' : '-',
            m->rights & PTE_G ? 'g' : '-',
            m->bytes >= 1u << 30 ? "1G" : m->bytes >= 4u << 20 ? "4M" : m->bytes > 4096 ? "2M" : "");
    w->lines++;
}

static void print_cut(const struct walker *w)
{
    if (w->lines >= MAX_LINES)
        fprintf(w->call->out, "(cut after %u lines)\n", MAX_LINES);
}

int monitor_info_tlb(struct monitor_call *call)
{
    struct walker w = {.call = call, .visit = visit_tlb};

    if (walk_all(&w))
        print_cut(&w);
    return 0;
}

static void print_range(struct walker *w)
{
    const struct mapping *r = &w->range;

    if (r->bytes == 0)
        return;
    fprintf(w->call->out, "%016" PRIx64 "-%016" PRIx64 " %12" PRIu64 " KiB ", r->linear,
            r->linear + r->bytes, r->bytes >> 10);
    print_rights(w->call->out, r->rights);
    fputc('\n', w->call->out);
    w->lines++;
}

static void visit_mem(struct walker *w, const struct mapping *m)
{
    const uint64_t which = PTE_W | PTE_U | PTE_NX;
    struct mapping *r = &w->range;

    if (r->bytes != 0 && r->linear + r->bytes == m->linear && !((r->rights ^ m->rights) & which)) {
        r->bytes += m->bytes;
        return;
    }
    print_range(w);
    *r = *m;
}

int monitor_info_mem(struct monitor_call *call)
{
    struct walker w = {.call = call, .visit = visit_mem};

    if (walk_all(&w)) {
        print_range(&w);
        print_cut(&w);
    }
    return 0;
}
