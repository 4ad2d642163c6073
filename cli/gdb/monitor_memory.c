/* SPDX-License-Identifier: MIT */
/* `monitor` commands about memory: bytes, and what the page tables say. */
#include <stdio.h>

#include "monitor.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <emu/cpu.h>
#include <emu/page_walk.h>

#define MAX_LINES 4096u

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

struct lister {
    FILE *out;
    unsigned lines;
    struct page_mapping range; /* info mem: what is being put together; bytes 0: nothing */
};

static void print_rights(FILE *out, uint64_t rights)
{
    fprintf(out, "%c%c%c", rights & PAGE_WALK_USER ? 'u' : 's', rights & PAGE_WALK_WRITE ? 'w' : '-',
            rights & PAGE_WALK_NX ? '-' : 'x');
}

static const char *size_name(uint64_t bytes)
{
    return bytes >= 1u << 30 ? "1G" : bytes >= 4u << 20 ? "4M" : bytes > 4096 ? "2M" : "";
}

static bool list_mapping(void *opaque, const struct page_mapping *m)
{
    struct lister *l = opaque;

    fprintf(l->out, "%016" PRIx64 ": %010" PRIx64 " ", m->linear, m->gpa);
    print_rights(l->out, m->rights);
    fprintf(l->out, "%c%c%c %s\n", m->rights & PAGE_WALK_ACCESSED ? 'a' : '-',
            m->rights & PAGE_WALK_DIRTY ? 'd' : '-', m->rights & PAGE_WALK_GLOBAL ? 'g' : '-',
            size_name(m->bytes));
    return ++l->lines < MAX_LINES;
}

static void print_end(const struct lister *l)
{
    if (l->lines >= MAX_LINES)
        fprintf(l->out, "(cut after %u lines)\n", MAX_LINES);
}

/* False, and a word about it, when there are none. */
static bool walk_all(const struct monitor_call *call, struct lister *l, page_walk_fn *visit)
{
    l->out = call->out;
    if (cpu_walk_pages(&call->s->m->cpus[0], visit, l))
        return true;
    fputs("paging is off: every address is physical\n", call->out);
    return false;
}

int monitor_info_tlb(struct monitor_call *call)
{
    struct lister l = {.lines = 0};

    if (walk_all(call, &l, list_mapping))
        print_end(&l);
    return 0;
}

static void print_range(struct lister *l)
{
    const struct page_mapping *r = &l->range;

    if (r->bytes == 0)
        return;
    fprintf(l->out, "%016" PRIx64 "-%016" PRIx64 " %12" PRIu64 " KiB ", r->linear,
            r->linear + r->bytes, r->bytes >> 10);
    print_rights(l->out, r->rights);
    fputc('\n', l->out);
    l->lines++;
}

static bool join_mapping(void *opaque, const struct page_mapping *m)
{
    const uint64_t which = PAGE_WALK_WRITE | PAGE_WALK_USER | PAGE_WALK_NX;
    struct lister *l = opaque;
    struct page_mapping *r = &l->range;

    if (r->bytes != 0 && r->linear + r->bytes == m->linear && !((r->rights ^ m->rights) & which)) {
        r->bytes += m->bytes;
        return true;
    }
    print_range(l);
    *r = *m;
    return l->lines < MAX_LINES;
}

int monitor_info_mem(struct monitor_call *call)
{
    struct lister l = {.lines = 0};

    if (walk_all(call, &l, join_mapping)) {
        print_range(&l);
        print_end(&l);
    }
    return 0;
}
