/* SPDX-License-Identifier: MIT */
/*
 * --functions: a breakpoint at the first instruction of each, and, once it was called, one at each place that it
 * returns to. What is called and returns is then frames.c's.
 */
#include <ctype.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <symbols/table.h>

#include "../guest_symbols.h"
#include "../numbers.h"
#include "calls.h"
#include "values.h"

#define MAX_FUNCTIONS 20000u
#define FORMATS       "dluxps"
#define SITES_AT_FIRST 256u
#define SYSCALL_BYTES 2u /* of SYSCALL and SYSENTER */

struct functions {
    char *names;                /* what the user gave, cut into pieces */
    struct function *list;      /* by address */
    size_t n, capacity;
    uint64_t *sites;            /* where calls return to: a hash table, 0 for empty */
    size_t nsites, sites_size;
    struct frames *frames;
    struct origin origin;       /* of the last event with a handler */
};

/* --- which --- */

static int fail(char *err, size_t errlen, const char *fmt, const char *what)
{
    snprintf(err, errlen, fmt, what);
    return -1;
}

static int add_function(struct functions *f, const char *name, uint64_t address, uint64_t size,
                        const char *format, char *err, size_t errlen)
{
    if (f->n == MAX_FUNCTIONS)
        return fail(err, errlen, "these are more than 20000 functions, %s is one too many", name);
    if (f->n == f->capacity) {
        size_t capacity = f->capacity == 0 ? 16 : 2 * f->capacity;
        struct function *list = realloc(f->list, capacity * sizeof(*list));

        if (list == NULL)
            return fail(err, errlen, "%s", "out of memory");
        f->list = list;
        f->capacity = capacity;
    }
    f->list[f->n++] = (struct function){.address = address,
                                        .size = size,
                                        .name = name,
                                        .format = format,
                                        .nformat = format == NULL ? 0 : strlen(format)};
    return 0;
}

/* NAME.isra.0 and the like: what compilers make of a function that they have changed. */
static bool is_variant(const char *name, const char *of)
{
    size_t len = strlen(of);

    return strncmp(name, of, len) == 0 &&
           (strncmp(name + len, ".isra.", 6) == 0 || strncmp(name + len, ".constprop.", 11) == 0);
}

static bool matches(const struct symbol *s, const char *pattern, bool is_glob, bool variants)
{
    if (symbol_is_absolute(s) || (is_glob && !symbol_is_code(s)))
        return false;
    if (is_glob)
        return fnmatch(pattern, s->name, 0) == 0;
    return variants ? is_variant(s->name, pattern) : strcmp(s->name, pattern) == 0;
}

/* Every symbol of that name. How many in *found. */
static int add_matching(struct functions *f, const struct symbol_table *table, uint64_t offset,
                        const char *pattern, const char *format, bool variants, size_t *found, char *err,
                        size_t errlen)
{
    bool is_glob = strpbrk(pattern, "*?[") != NULL;

    for (size_t i = 0; i < symbol_table_count(table); i++) {
        const struct symbol *s = symbol_table_at(table, i);

        if (!matches(s, pattern, is_glob, variants))
            continue;
        ++*found;
        if (add_function(f, s->name, s->address + offset, s->size, format, err, errlen) != 0)
            return -1;
    }
    return 0;
}

static int add_by_name(const struct tracer *t, struct functions *f, const char *name, const char *format, char *err,
                       size_t errlen)
{
    uint64_t offset;
    const struct symbol_table *table = guest_symbols_table(t->symbols, &offset);
    size_t found = 0;

    if (table == NULL)
        return fail(err, errlen, "no symbols are known in this guest, so no %s: give an address, or --vmlinux",
                    name);
    if (add_matching(f, table, offset, name, format, false, &found, err, errlen) != 0 ||
        (found == 0 && add_matching(f, table, offset, name, format, true, &found, err, errlen) != 0))
        return -1;
    if (found == 0)
        return fail(err, errlen, "the guest has no function %s", name);
    return 0;
}

/* NAME[:FORMAT], where NAME may be an address. The text is cut in two. */
static int add_item(const struct tracer *t, struct functions *f, char *item, char *err, size_t errlen)
{
    char *format = strchr(item, ':');
    const struct symbol_table *table;
    const struct symbol *s = NULL;
    uint64_t address, offset = 0;

    if (format != NULL) {
        *format++ = '\0';
        if (strspn(format, FORMATS) != strlen(format) || strlen(format) > MAX_FORMAT)
            return fail(err, errlen, "the arguments of a function are up to 12 letters of " FORMATS ", not %s",
                        format);
    }
    if (item[0] == '\0')
        return fail(err, errlen, "%s", "a name in --functions is empty");
    if (!isdigit((unsigned char)item[0]))
        return add_by_name(t, f, item, format, err, errlen);
    if (!number_parse(item, &address))
        return fail(err, errlen, "%s is neither a name nor an address", item);
    table = guest_symbols_table(t->symbols, &offset);
    if (table != NULL)
        s = symbol_table_by_address(table, address - offset);
    if (s != NULL && s->address == address - offset)
        return add_function(f, s->name, address, s->size, format, err, errlen);
    return add_function(f, item, address, 0, format, err, errlen);
}

static int by_address(const void *a, const void *b)
{
    const struct function *x = a, *y = b;

    return x->address < y->address ? -1 : x->address > y->address;
}

/* Of several at one address, one. */
static void sort(struct functions *f)
{
    size_t n = 0;

    qsort(f->list, f->n, sizeof(f->list[0]), by_address);
    for (size_t i = 0; i < f->n; i++)
        if (n == 0 || f->list[n - 1].address != f->list[i].address)
            f->list[n++] = f->list[i];
    f->n = n;
}

static int find_types(const struct tracer *t, struct functions *f)
{
    const struct btf *types = guest_symbols_types(t->symbols, t->m);
    struct btf_prototype p;

    for (size_t i = 0; types != NULL && i < f->n; i++) {
        struct function *function = &f->list[i];

        if (!btf_function(types, function->name, &p))
            continue;
        function->types = malloc(sizeof(p));
        if (function->types == NULL)
            return -1;
        *function->types = p;
    }
    return 0;
}

static int add_all(const struct tracer *t, struct functions *f, char *err, size_t errlen)
{
    char *save, *item;

    for (item = strtok_r(f->names, ",", &save); item != NULL; item = strtok_r(NULL, ",", &save))
        if (add_item(t, f, item, err, errlen) != 0)
            return -1;
    if (f->n == 0)
        return fail(err, errlen, "--functions names %s", "none");
    sort(f);
    return find_types(t, f) != 0 ? fail(err, errlen, "%s", "out of memory") : 0;
}

int functions_create(struct tracer *t, char *err, size_t errlen)
{
    struct functions *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return fail(err, errlen, "%s", "out of memory");
    f->origin.entered.icount = UINT64_MAX;
    f->names = strdup(t->options->functions);
    f->frames = frames_create();
    f->sites = calloc(SITES_AT_FIRST, sizeof(*f->sites));
    f->sites_size = SITES_AT_FIRST;
    if (f->names == NULL || f->frames == NULL || f->sites == NULL) {
        functions_destroy(f);
        return fail(err, errlen, "%s", "out of memory");
    }
    if (add_all(t, f, err, errlen) != 0) {
        functions_destroy(f);
        return -1;
    }
    t->functions = f;
    return 0;
}

void functions_destroy(struct functions *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->n; i++)
        free(f->list[i].types);
    frames_destroy(f->frames);
    free(f->sites);
    free(f->list);
    free(f->names);
    free(f);
}

size_t functions_points(const struct functions *f, struct debug_point *out)
{
    size_t n = 0;

    if (out == NULL)
        return f->n + f->nsites;
    for (size_t i = 0; i < f->n; i++)
        out[n++] = (struct debug_point){.kind = DEBUG_EXEC, .address = f->list[i].address, .length = 1};
    for (size_t i = 0; i < f->sites_size; i++)
        if (f->sites[i] != 0)
            out[n++] = (struct debug_point){.kind = DEBUG_EXEC, .address = f->sites[i], .length = 1};
    return n;
}

static struct function *find(const struct functions *f, uint64_t address)
{
    struct function key = {.address = address};

    return bsearch(&key, f->list, f->n, sizeof(f->list[0]), by_address);
}

/* --- places that calls return to --- */

static uint64_t *find_site(const struct functions *f, uint64_t address)
{
    size_t at = (size_t)(address * 0x9e3779b97f4a7c15ULL >> 32) & (f->sites_size - 1);

    while (f->sites[at] != 0 && f->sites[at] != address)
        at = (at + 1) & (f->sites_size - 1);
    return &f->sites[at];
}

static int grow_sites(struct functions *f)
{
    uint64_t *old = f->sites;
    size_t old_size = f->sites_size;

    f->sites = calloc(2 * old_size, sizeof(*f->sites));
    if (f->sites == NULL) {
        f->sites = old;
        return -1;
    }
    f->sites_size = 2 * old_size;
    for (size_t i = 0; i < old_size; i++)
        if (old[i] != 0)
            *find_site(f, old[i]) = old[i];
    free(old);
    return 0;
}

/* A breakpoint where a call will return to, for the rest of the run. */
static int add_site(struct tracer *t, struct functions *f, uint64_t address)
{
    struct debug_point point = {.kind = DEBUG_EXEC, .address = address, .length = 1};

    if (address == 0 || *find_site(f, address) == address)
        return 0;
    if (4 * f->nsites >= 3 * f->sites_size && grow_sites(f) != 0)
        return -1;
    *find_site(f, address) = address;
    f->nsites++;
    return machine_debug_insert(t->m, &point);
}

/* --- handlers --- */

/* What INT n has pushed. In 64-bit mode, and from an outer level, the stack pointer is among it. */
static void read_pushed(const struct cpu *cpu, const struct watch_event *ev, struct origin *o)
{
    unsigned word = stack_word(cpu);
    uint64_t rip = 0, rsp = 0, top = stack_top(cpu);

    cpu_peek(cpu, top, &rip, word);
    cpu_peek(cpu, top + 3 * word, &rsp, word);
    o->rip = rip;
    o->rsp = word == 8 || ev->cpl != cpu->cpl ? rsp : cpu->regs[REG_RSP] + 3 * word;
}

/* --- calls --- */

static uint64_t returns_to(const struct frame *frame)
{
    return frame->entered == BY_EVENT ? frame->origin.rip : frame->ret;
}

static void add_origin(const struct tracer *t, struct text *text, const struct frame *frame)
{
    if (frame->entered == BY_TAIL)
        text_add(text, " by a jump");
    if (frame->entered == BY_EVENT || (frame->entered == BY_CALL && frame->depth == 0)) {
        text_add(text, " from ");
        add_code(t, text, returns_to(frame));
    }
}

static void print_call(struct tracer *t, const struct frame *frame)
{
    static const char *const entered[] = {
        [BY_CALL] = "call", [BY_TAIL] = "tail-call", [BY_EVENT] = "event", [BY_JUMP] = "jump"};
    uint64_t args[MAX_FORMAT];
    struct text text = {.len = 0};
    size_t n;

    if (!t->out.json)
        text_add(&text, "%*s", (int)(2 * (frame->depth < 20 ? frame->depth : 20)), "");
    n = add_call(t, &text, frame, args);
    if (!t->out.json) {
        add_origin(t, &text, frame);
        out_line(t, &frame->at, frame->entered == BY_JUMP ? 0 : frame->id, &text);
        return;
    }
    record_begin(t, &frame->at, "call");
    record_number(t, "id", frame->id);
    record_text(t, "function", frame->function->name);
    record_address(t, "address", frame->function->address);
    record_key(t, "args");
    for (size_t i = 0; i < n; i++)
        printf("%s\"0x%" PRIx64 "\"", i > 0 ? ", " : "[", args[i]);
    fputs(n == 0 ? "[]" : "]", stdout);
    record_text(t, "text", text.data);
    record_text(t, "entered", entered[frame->entered]);
    if (frame->entered != BY_JUMP)
        record_code(t, "return_address", "caller", returns_to(frame));
    record_number(t, "depth", frame->depth);
    record_number(t, "cpl", frame->cpl);
    record_end(t);
}

void functions_hit(struct tracer *t, uint64_t linear)
{
    struct functions *f = t->functions;
    struct function *function = find(f, linear);
    struct frame frame;

    if (linear != 0 && *find_site(f, linear) == linear)
        frames_return(t, f->frames, linear);
    if (function == NULL || !is_wanted(t))
        return;
    if (!frames_enter(t, f->frames, function, &f->origin, &frame))
        return;
    if (frame.entered == BY_CALL && add_site(t, f, frame.ret) != 0)
        t->failed = true;
    print_call(t, &frame);
}

/* An event with a handler: an interrupt or exception is told before its entry, INT after it. */
static void note_origin(struct tracer *t, const struct watch_event *ev)
{
    struct origin *o = &t->functions->origin;
    struct cpu *cpu = t->cpu;

    *o = (struct origin){.entered = {.icount = ev->at.icount, .entries = ev->at.entries + 1},
                         .rip = ev->rip,
                         .rsp = cpu->regs[REG_RSP],
                         .cr3 = cpu->cr3 & ~(uint64_t)0xfff,
                         .cpl = ev->cpl};
    if (ev->kind == WATCH_EXCEPTION || ev->kind == WATCH_INTERRUPT)
        return;
    o->entered = (struct moment){.icount = ev->at.icount + 1};
    if (ev->kind == WATCH_SYSCALL)
        o->rip += SYSCALL_BYTES;
    else
        read_pushed(cpu, ev, o);
}

void functions_event(struct tracer *t, const struct watch_event *ev)
{
    switch (ev->kind) {
    case WATCH_EXCEPTION:
    case WATCH_INTERRUPT:
    case WATCH_SOFT_INTERRUPT:
    case WATCH_SYSCALL: note_origin(t, ev); break;
    case WATCH_IRET:
    case WATCH_USER_RETURN: frames_far_return(t, t->functions->frames, ev); break;
    default: break;
    }
}

void functions_end(struct tracer *t)
{
    frames_end(t, t->functions->frames);
}
