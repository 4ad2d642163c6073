/* SPDX-License-Identifier: MIT */
/*
 * What differs between two machines: replay/state_diff.h.
 *
 * RAM is told apart by the hashes of pages that digests keep. Their sum is kept, too: where the machines' sums
 * differ by no more than the pages that are known to differ explain, no other page does, and an update looks
 * at those alone.
 *
 * Invariant: `pages` are, in ascending order, those pages of A that differed at the last update.
 */
#include <replay/state_diff.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include <emu/cpu.h>
#include <emu/machine.h>
#include <emu/page_walk.h>
#include <emu/snapshot.h>

#define EXACT_PAGES 64u /* of so many, `places` knows which bytes differ; of more, which pages */
#define RUN_GAP     4u  /* so many equal bytes end a run */

struct state_diff {
    struct machine *m[2];
    bool same_layout; /* page numbers mean the same addresses, and hashes can be compared */
    uint64_t *pages;
    size_t npages, capacity;
    struct state_counts counts;
};

/* --- life cycle --- */

struct state_diff *state_diff_create(struct machine *a, struct machine *b)
{
    struct state_diff *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return NULL;
    d->m[0] = a;
    d->m[1] = b;
    d->same_layout = a->ram.bytes == b->ram.bytes && a->ram.rom_bytes == b->ram.rom_bytes;
    return d;
}

void state_diff_destroy(struct state_diff *d)
{
    if (d == NULL)
        return;
    free(d->pages);
    free(d);
}

/* --- pages --- */

/* B's page at the address of A's; UINT64_MAX: it has none there. */
static uint64_t page_of_b(const struct state_diff *d, uint64_t page)
{
    const struct ram *a = &d->m[0]->ram;
    uint64_t gpa;

    if (d->same_layout)
        return page;
    gpa = ram_gpa_of(a, page);
    return ram_home_page(a, gpa) == page ? ram_home_page(&d->m[1]->ram, gpa) : UINT64_MAX;
}

static const uint8_t *content(const struct machine *m, uint64_t page)
{
    return ram_page(&m->ram, page);
}

/* Hashes are made with the page's number: equal contents at other numbers have others. */
static bool page_differs(const struct state_diff *d, uint64_t page)
{
    const struct ram *a = &d->m[0]->ram, *b = &d->m[1]->ram;
    uint64_t other = page_of_b(d, page);

    if (other == page)
        return a->page_hash[page] != b->page_hash[page];
    if (other == UINT64_MAX || (a->page_hash[page] == 0 && b->page_hash[other] == 0))
        return false;
    return memcmp(content(d->m[0], page), content(d->m[1], other), PAGE_BYTES) != 0;
}

static bool add_page(struct state_diff *d, uint64_t page)
{
    if (d->npages == d->capacity) {
        size_t capacity = d->capacity == 0 ? 64 : d->capacity * 2;
        uint64_t *pages = realloc(d->pages, capacity * sizeof(*pages));

        if (pages == NULL)
            return false;
        d->pages = pages;
        d->capacity = capacity;
    }
    d->pages[d->npages++] = page;
    return true;
}

static bool find_pages(struct state_diff *d)
{
    d->npages = 0;
    for (uint64_t page = 0; page < d->m[0]->ram.npages; page++)
        if (page_differs(d, page) && !add_page(d, page))
            return false;
    return true;
}

/* Drops the pages that have become equal. True: those that are left are all that differ. */
static bool recheck_pages(struct state_diff *d)
{
    const struct ram *a = &d->m[0]->ram, *b = &d->m[1]->ram;
    uint64_t explained = 0;
    size_t kept = 0;

    if (!d->same_layout)
        return false;
    for (size_t i = 0; i < d->npages; i++) {
        uint64_t page = d->pages[i], difference = a->page_hash[page] - b->page_hash[page];

        explained += difference;
        if (difference != 0)
            d->pages[kept++] = page;
    }
    d->npages = kept;
    return explained == a->sum - b->sum;
}

/* --- which places --- */

/* Places come in the same order whenever the same ones differ. */
static void add_place(struct state_counts *counts, const void *name, size_t len)
{
    uint64_t hash = XXH3_64bits_withSeed(name, len, counts->places);

    counts->places = hash != 0 ? hash : 1;
}

static void add_pages_places(struct state_diff *d)
{
    for (size_t i = 0; i < d->npages; i++) {
        const uint8_t *a = content(d->m[0], d->pages[i]);
        const uint8_t *b = content(d->m[1], page_of_b(d, d->pages[i]));
        uint64_t at = d->pages[i] << PAGE_SHIFT;

        if (d->npages > EXACT_PAGES)
            add_place(&d->counts, &at, sizeof(at));
        else
            for (unsigned k = 0; k < PAGE_BYTES; k++, at++)
                if (a[k] != b[k])
                    add_place(&d->counts, &at, sizeof(at));
    }
}

/* --- registers and fields --- */

/* What a CPU keeps to itself. */
static bool is_hidden(const char *path)
{
    static const char *const hidden[] = {"cpu.rng[",       "cpu.shadow_icount", "cpu.pending",
                                         "cpu.halted",     "cpu.sipi_vector",   "cpu.nmi_blocked",
                                         "cpu.tsc_adjust", "cpu.trap_dr6"};

    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        if (strncmp(path, hidden[i], strlen(hidden[i])) == 0)
            return true;
    return false;
}

static bool is_register(const struct machine_part *part, const char *path)
{
    return part != NULL && part->desc == &cpu_desc && !is_hidden(path);
}

struct count {
    struct state_counts *counts;
    const struct machine_part *last;
    bool any;
};

static void count_field(void *user, const struct machine_part *part, const char *path, uint64_t a,
                        uint64_t b, unsigned width_bytes)
{
    struct count *c = user;
    unsigned instance = part == NULL ? 0 : part->instance;

    (void)a, (void)b, (void)width_bytes;
    add_place(c->counts, &instance, sizeof(instance));
    add_place(c->counts, path, strlen(path));
    if (is_register(part, path)) {
        c->counts->registers++;
        return;
    }
    c->counts->fields++;
    if (!c->any || part != c->last)
        c->counts->parts++;
    c->any = true;
    c->last = part;
}

int state_diff_update(struct state_diff *d, struct state_counts *counts)
{
    struct count count = {.counts = &d->counts};

    d->counts = (struct state_counts){.places = 0};
    ram_digest(&d->m[0]->ram);
    ram_digest(&d->m[1]->ram);
    if (!recheck_pages(d) && !find_pages(d))
        return -1;
    d->counts.pages = d->npages;
    add_pages_places(d);
    machine_compare(d->m[0], d->m[1], count_field, &count);
    *counts = d->counts;
    return 0;
}

uint64_t state_diff_bytes(const struct state_diff *d)
{
    uint64_t count = 0;

    for (size_t i = 0; i < d->npages; i++) {
        const uint8_t *a = content(d->m[0], d->pages[i]);
        const uint8_t *b = content(d->m[1], page_of_b(d, d->pages[i]));

        for (unsigned k = 0; k < PAGE_BYTES; k++)
            count += a[k] != b[k];
    }
    return count;
}

static uint64_t unpaired(const struct ram *a, const struct ram *b)
{
    uint64_t count = 0;

    for (uint64_t page = 0; page < a->npages; page++) {
        uint64_t gpa = ram_gpa_of(a, page);

        count += ram_home_page(a, gpa) == page && ram_home_page(b, gpa) == UINT64_MAX;
    }
    return count;
}

uint64_t state_diff_unpaired_pages(const struct state_diff *d)
{
    return d->same_layout ? 0 : unpaired(&d->m[0]->ram, &d->m[1]->ram) +
                                    unpaired(&d->m[1]->ram, &d->m[0]->ram);
}

/* --- details --- */

/* Our tables' names of registers and those under which people know them. */
static void register_name(const char *path, char *out, size_t outlen)
{
    static const char *const general[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                            "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    static const char *const segments[6] = {"es", "cs", "ss", "ds", "fs", "gs"};
    unsigned n;
    int used = 0;

    path += strlen("cpu.");
    if (sscanf(path, "regs[%u]", &n) == 1 && n < 16)
        snprintf(out, outlen, "%s", general[n]);
    else if (sscanf(path, "seg[%u].%n", &n, &used) == 1 && used > 0 && n < 6)
        snprintf(out, outlen, "%s%s%.32s", segments[n], strcmp(path + used, "selector") == 0 ? "" : ".",
                 strcmp(path + used, "selector") == 0 ? "" : path + used);
    else if (sscanf(path, "dr[%u]", &n) == 1)
        snprintf(out, outlen, "dr%u", n);
    else if (sscanf(path, "fpu.xmm[%u]%n", &n, &used) == 1 && used > 0)
        snprintf(out, outlen, "xmm%u%.32s", n, path + used);
    else
        snprintf(out, outlen, "%.64s", path);
}

static void field_name(const struct machine_part *part, const char *path, char *out, size_t outlen)
{
    size_t len = part == NULL ? 0 : strlen(part->desc->name);

    if (is_register(part, path) && part->instance == 0)
        register_name(path, out, outlen);
    else if (part == NULL || part->instance == 0)
        snprintf(out, outlen, "%.90s", path);
    else
        snprintf(out, outlen, "%.32s[%u]%.48s", part->desc->name, part->instance, path + len);
}

struct list {
    struct state_difference *out;
    bool registers; /* this round is for them, or for the others */
};

static void list_field(void *user, const struct machine_part *part, const char *path, uint64_t a,
                       uint64_t b, unsigned width_bytes)
{
    struct list *list = user;
    struct field_difference *f = &list->out->fields[list->out->nfields];

    if (list->out->nfields == STATE_DIFF_FIELDS || is_register(part, path) != list->registers)
        return;
    *f = (struct field_difference){.a = a, .b = b, .width = width_bytes, .is_register = list->registers};
    field_name(part, path, f->name, sizeof(f->name));
    list->out->nfields++;
}

/* The run that begins at `at`, where the pages differ. Returns its end. */
static unsigned take_run(struct bytes_difference *run, const uint8_t *a, const uint8_t *b, unsigned at)
{
    unsigned last = at, i;

    for (i = at; i < PAGE_BYTES && i < at + STATE_DIFF_BYTES && i - last <= RUN_GAP; i++)
        if (a[i] != b[i])
            last = i;
    run->len = last + 1 - at;
    memcpy(run->bytes[0], a + at, run->len);
    memcpy(run->bytes[1], b + at, run->len);
    return last + 1;
}

static void list_page(const struct state_diff *d, uint64_t page, struct state_difference *out)
{
    const uint8_t *a = content(d->m[0], page), *b = content(d->m[1], page_of_b(d, page));
    uint64_t gpa = ram_gpa_of(&d->m[0]->ram, page);

    for (unsigned i = 0; i < PAGE_BYTES && out->nruns < STATE_DIFF_RUNS;) {
        if (a[i] == b[i]) {
            i++;
            continue;
        }
        out->runs[out->nruns].gpa = gpa + i;
        i = take_run(&out->runs[out->nruns++], a, b, i);
    }
}

/* The same for every machine: what the tables of the first CPU map. */
static void find_linear(const struct state_diff *d, struct state_difference *out)
{
    uint64_t gpa[STATE_DIFF_RUNS], linear[STATE_DIFF_RUNS];

    for (size_t i = 0; i < out->nruns; i++)
        gpa[i] = out->runs[i].gpa;
    for (unsigned side = 0; side < 2; side++) {
        cpu_find_linear(&d->m[side]->cpus[0], gpa, linear, out->nruns);
        for (size_t i = 0; i < out->nruns; i++)
            out->runs[i].linear[side] = linear[i];
    }
}

void state_diff_describe(const struct state_diff *d, struct state_difference *out)
{
    struct list list = {.out = out, .registers = true};

    out->counts = d->counts;
    out->bytes = state_diff_bytes(d);
    out->nfields = out->nruns = 0;
    machine_compare(d->m[0], d->m[1], list_field, &list);
    list.registers = false;
    machine_compare(d->m[0], d->m[1], list_field, &list);
    for (size_t i = 0; i < d->npages && out->nruns < STATE_DIFF_RUNS; i++)
        list_page(d, d->pages[i], out);
    find_linear(d, out);
}
